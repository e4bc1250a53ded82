//! Who uses business mailboxes (BIZ-01, BIZ-02, BIZ-04), and their passwords for mail programs (BIZ-07).
//!
//! | partition | sort | holds |
//! | --- | --- | --- |
//! | `T/mailbox-users` | `MAILBOX` | the [`MailboxUsers`] of a business mailbox: all of them, and only that counts |
//! | `T/mailboxes-used` | `a/ACCOUNT/MAILBOX`, `d/DEPARTMENT/MAILBOX` | who may use which: an index |
//!
//! One item for all users of a mailbox: a change is one compare-and-set, and whether somebody uses it is one read. The
//! index answers what somebody uses. It is written before the users and cleared after them, so that it says too much at
//! most; whoever reads it asks the users. Whoever cleared it looks at the users once more: of two at once the later one
//! sees what the other has made.
//!
//! A business mailbox has no password. A user makes himself a token for it, which is worth nothing once he no longer uses
//! the mailbox; tokens of somebody who leaves, or comes anew, are removed.

use std::collections::BTreeSet;

use futures::stream::{self, StreamExt, TryStreamExt};
use pennypost_model::codec::Versioned;
use pennypost_model::{AccountId, AccountKey, TenantId, Timestamp};
use pennypost_ports::{Consistency, ControlKey, Expected};
use serde::{Deserialize, Serialize};
use tokio::sync::OnceCell;

use crate::store::{Held, MAX_ATTEMPTS};
use crate::{
    Account, AccountKind, DepartmentId, DepartmentTree, Directory, DirectoryError, Token, TokenId, TokenScope,
};

/// Accounts and departments, together, that use one business mailbox. T says no number.
pub const MAX_MAILBOX_USERS: usize = 500;
/// Tokens that one user may have for one business mailbox.
pub const MAX_USER_TOKENS: usize = 10;
/// Items of the index that one look reads: of each kind.
const MAX_ITEMS: usize = 1_000;
/// Accounts that are looked up at once.
const LOOKUPS: usize = 16;

/// Who uses a business mailbox.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct MailboxUsers {
    /// Members' accounts.
    pub accounts: BTreeSet<AccountId>,
    /// Departments: everybody in them and below them.
    pub departments: BTreeSet<DepartmentId>,
}

impl MailboxUsers {
    /// How many accounts and departments.
    #[must_use]
    pub fn len(&self) -> usize {
        self.accounts.len() + self.departments.len()
    }

    /// Nobody?
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.accounts.is_empty() && self.departments.is_empty()
    }

    /// Those that the others have not.
    #[must_use]
    pub fn without(&self, others: &MailboxUsers) -> MailboxUsers {
        MailboxUsers {
            accounts: self.accounts.difference(&others.accounts).copied().collect(),
            departments: self.departments.difference(&others.departments).copied().collect(),
        }
    }

    /// Where the index says that these use a mailbox.
    fn places(&self, mailbox: AccountId) -> BTreeSet<String> {
        let accounts = self.accounts.iter().map(|account| format!("{}{mailbox}", of_account(*account)));
        let departments = self.departments.iter().map(|id| format!("{DEPARTMENTS}{:08x}/{mailbox}", id.0));
        accounts.chain(departments).collect()
    }
}

impl Versioned for MailboxUsers {
    const KIND: &'static str = "users of a business mailbox";
}

const DEPARTMENTS: &str = "d/";

fn of_account(account: AccountId) -> String {
    format!("a/{account}/")
}

fn users_key(mailbox: AccountKey) -> ControlKey {
    ControlKey::new(format!("{}/mailbox-users", mailbox.tenant), mailbox.account.to_string())
}

fn used_partition(tenant: TenantId) -> String {
    format!("{tenant}/mailboxes-used")
}

/// The mailbox at the end of a sort key of the index.
fn mailbox_of(sort: &str) -> Option<AccountId> {
    sort.rsplit_once('/')?.1.parse().ok()
}

/// The tree of departments, read when it is asked for first.
struct Tree(OnceCell<DepartmentTree>);

impl Directory {
    /// Who uses a business mailbox; nobody if there is none.
    ///
    /// # Errors
    /// The port's.
    pub async fn mailbox_users(&self, mailbox: AccountKey) -> Result<MailboxUsers, DirectoryError> {
        let held = self.held_users(mailbox).await?;
        Ok(held.map(|held| held.value).unwrap_or_default())
    }

    async fn held_users(&self, mailbox: AccountKey) -> Result<Option<Held<MailboxUsers>>, DirectoryError> {
        self.read(&users_key(mailbox), Consistency::Strong).await
    }

    /// Says who uses a business mailbox. `change` may be called several times, each time with who uses it then; where it
    /// gives `false` nothing is changed, and the answer is `None`. Who is taken out is out with this call, also of open
    /// sessions, and the tokens that he made for the mailbox are worth nothing.
    ///
    /// # Errors
    /// [`DirectoryError::NoAccount`], [`DirectoryError::WrongKind`] for a mailbox that is a member's and for a user that
    /// is none, [`DirectoryError::InBin`], [`DirectoryError::NoDepartment`], [`DirectoryError::TooMany`], or the port's.
    /// Repeating an interrupted call completes it.
    pub async fn change_mailbox_users(
        &self,
        mailbox: AccountKey,
        change: impl Fn(&mut MailboxUsers) -> bool,
    ) -> Result<Option<MailboxUsers>, DirectoryError> {
        let account = self.account(mailbox).await?;
        let account = account.ok_or_else(|| DirectoryError::NoAccount(mailbox.account.to_string()))?;
        let shown = account.address.to_string();
        match account.kind {
            AccountKind::Member => return Err(DirectoryError::WrongKind(shown)),
            AccountKind::Business if account.binned.is_some() => return Err(DirectoryError::InBin(shown)),
            AccountKind::Business => {}
        }
        self.put_users(mailbox, change).await
    }

    /// The same for whatever mailbox, in whatever state.
    async fn put_users(
        &self,
        mailbox: AccountKey,
        change: impl Fn(&mut MailboxUsers) -> bool,
    ) -> Result<Option<MailboxUsers>, DirectoryError> {
        for _ in 0..MAX_ATTEMPTS {
            let held = self.held_users(mailbox).await?;
            let expected = held.as_ref().map_or(Expected::Absent, |held| Expected::Version(held.version));
            let before = held.map(|held| held.value).unwrap_or_default();
            let mut users = before.clone();
            if !change(&mut users) {
                return Ok(None);
            }
            if users.len() > MAX_MAILBOX_USERS {
                let limit = MAX_MAILBOX_USERS;
                return Err(DirectoryError::TooMany { what: "the list of users of a mailbox", limit });
            }
            let (come, gone) = (users.without(&before), before.without(&users));
            self.check_users(mailbox.tenant, &come).await?;
            // Left over of an earlier time as a user, if the process died then.
            self.remove_tokens_of(mailbox, &come.accounts).await?;
            let places = come.places(mailbox.account);
            self.mark_index(&used_partition(mailbox.tenant), places.iter()).await?;
            if users != before && self.write(&users_key(mailbox), &users, expected).await?.is_none() {
                continue;
            }
            self.remove_tokens_of(mailbox, &gone.accounts).await?;
            let both = |one: &MailboxUsers| one.places(mailbox.account);
            self.settle_used(mailbox, &both(&come).union(&both(&gone)).cloned().collect()).await?;
            return Ok(Some(users));
        }
        Err(DirectoryError::Contended)
    }

    /// Makes the index say at these places what the users say, until they have not changed meanwhile.
    async fn settle_used(
        &self,
        mailbox: AccountKey,
        places: &BTreeSet<String>,
    ) -> Result<(), DirectoryError> {
        let wanted = |stored: &MailboxUsers| stored.places(mailbox.account);
        self.settle_index(&users_key(mailbox), &used_partition(mailbox.tenant), places, wanted).await
    }

    /// Can all of these use a business mailbox of the tenant?
    ///
    /// # Errors
    /// [`DirectoryError::NoAccount`], [`DirectoryError::WrongKind`], [`DirectoryError::NoDepartment`], or the port's.
    pub async fn check_users(&self, tenant: TenantId, users: &MailboxUsers) -> Result<(), DirectoryError> {
        if !users.departments.is_empty() {
            let tree = self.departments(tenant).await?;
            if let Some(missing) = users.departments.iter().find(|id| !tree.is_open(**id)) {
                return Err(DirectoryError::NoDepartment(format!("#{missing}")));
            }
        }
        let lookups = users.accounts.iter().map(|account| async move {
            let key = AccountKey { tenant, account: *account };
            let missing = || DirectoryError::NoAccount(account.to_string());
            let found = self.account(key).await?.ok_or_else(missing)?;
            if found.kind == AccountKind::Member {
                Ok(())
            } else {
                Err(DirectoryError::WrongKind(found.address.to_string()))
            }
        });
        let lookups: Vec<_> = lookups.collect();
        stream::iter(lookups).buffer_unordered(LOOKUPS).try_collect().await
    }

    /// Does the account use that business mailbox? What else may be in the way, such as a mailbox that is disabled, is
    /// not asked.
    ///
    /// # Errors
    /// The port's.
    pub async fn uses_mailbox(&self, user: AccountKey, mailbox: AccountKey) -> Result<bool, DirectoryError> {
        if user.tenant != mailbox.tenant {
            return Ok(false);
        }
        let users = self.mailbox_users(mailbox).await?;
        if users.accounts.contains(&user.account) {
            return Ok(true);
        }
        if users.departments.is_empty() {
            return Ok(false);
        }
        // Where he is now, not where he was when he signed in.
        let Some(user) = self.account(user).await? else { return Ok(false) };
        self.is_among(&user, &users, &Tree(OnceCell::new())).await
    }

    /// Is the account among the users, by itself or by a department?
    async fn is_among(
        &self,
        user: &Account,
        users: &MailboxUsers,
        tree: &Tree,
    ) -> Result<bool, DirectoryError> {
        if user.kind != AccountKind::Member {
            return Ok(false);
        }
        if users.accounts.contains(&user.key.account) || users.departments.contains(&DepartmentId::ROOT) {
            return Ok(true);
        }
        if user.departments.iter().any(|department| users.departments.contains(department)) {
            return Ok(true);
        }
        if users.departments.is_empty() || user.departments.is_empty() {
            return Ok(false);
        }
        let tree = tree.0.get_or_try_init(|| self.departments(user.key.tenant)).await?;
        Ok(user.departments.iter().any(|department| tree.is_within(*department, &users.departments)))
    }

    /// The business mailboxes that an account uses and that are open, by their addresses (BIZ-06).
    ///
    /// # Errors
    /// The port's.
    pub async fn mailboxes_used(&self, user: &Account) -> Result<Vec<Account>, DirectoryError> {
        if user.kind != AccountKind::Member {
            return Ok(Vec::new());
        }
        let (partition, own) = (used_partition(user.key.tenant), of_account(user.key.account));
        let of_departments = self.control.query(&partition, DEPARTMENTS, None, MAX_ITEMS);
        let (own, of_departments) =
            futures::try_join!(self.control.query(&partition, &own, None, MAX_ITEMS), of_departments)?;
        let sorts = own.iter().chain(&of_departments).map(|(sort, _)| sort.as_str());
        let candidates: BTreeSet<AccountId> = sorts.filter_map(mailbox_of).collect();
        let tree = Tree(OnceCell::new());
        let lookups = candidates.into_iter().map(|mailbox| {
            let (tree, key) = (&tree, AccountKey { tenant: user.key.tenant, account: mailbox });
            async move {
                let users = self.mailbox_users(key).await?;
                if !self.is_among(user, &users, tree).await? {
                    return Ok(None);
                }
                let found = self.account(key).await?;
                Ok::<_, DirectoryError>(found.filter(|found| self.is_open_business(found)))
            }
        });
        let lookups: Vec<_> = lookups.collect();
        let found: Vec<Option<Account>> = stream::iter(lookups).buffered(LOOKUPS).try_collect().await?;
        let mut mailboxes: Vec<Account> = found.into_iter().flatten().collect();
        mailboxes.sort_by_cached_key(|mailbox| mailbox.address.to_string());
        Ok(mailboxes)
    }

    /// Is it a business mailbox that can be used now?
    #[must_use]
    pub fn is_open_business(&self, account: &Account) -> bool {
        account.kind == AccountKind::Business && account.is_open(self.clock.now())
    }

    /// The account uses no business mailbox any more: it has another owner from now on, or none.
    pub(crate) async fn leave_mailboxes(&self, user: AccountKey) -> Result<(), DirectoryError> {
        let prefix = of_account(user.account);
        loop {
            let rows = self.control.query(&used_partition(user.tenant), &prefix, None, MAX_ITEMS).await?;
            if rows.is_empty() {
                return Ok(());
            }
            for (sort, _) in rows {
                let Some(mailbox) = mailbox_of(&sort) else {
                    self.erase(&ControlKey::new(used_partition(user.tenant), sort)).await?;
                    continue;
                };
                let mailbox = AccountKey { tenant: user.tenant, account: mailbox };
                self.put_users(mailbox, |users| {
                    users.accounts.remove(&user.account);
                    true
                })
                .await?;
                // Where the users did not name him: what an interrupted call has left.
                self.settle_used(mailbox, &BTreeSet::from([sort])).await?;
            }
        }
    }

    /// Nobody uses the mailbox, which is erased.
    pub(crate) async fn forget_users(&self, mailbox: AccountKey) -> Result<(), DirectoryError> {
        if self.held_users(mailbox).await?.is_none() {
            return Ok(());
        }
        self.put_users(mailbox, |users| {
            *users = MailboxUsers::default();
            true
        })
        .await?;
        self.erase(&users_key(mailbox)).await
    }

    /// Makes a token with which a user's mail program opens a business mailbox (BIZ-07): its description, and the token
    /// itself, which is never told again. It holds as long as he uses the mailbox.
    ///
    /// # Errors
    /// [`DirectoryError::TooMany`], and those of [`Directory::add_token`].
    pub async fn add_user_token(
        &self,
        (user, mailbox): (AccountId, AccountKey),
        name: &str,
        scope: TokenScope,
        expires: Option<Timestamp>,
    ) -> Result<(Token, String), DirectoryError> {
        let tokens = self.tokens(mailbox).await?;
        if tokens.iter().filter(|token| token.user == Some(user)).count() >= MAX_USER_TOKENS {
            return Err(DirectoryError::TooMany { what: "the list of tokens", limit: MAX_USER_TOKENS });
        }
        self.make_token(mailbox, name, scope, expires, Some(user)).await
    }

    /// Removes the tokens that these users have made for a mailbox.
    async fn remove_tokens_of(
        &self,
        mailbox: AccountKey,
        users: &BTreeSet<AccountId>,
    ) -> Result<(), DirectoryError> {
        if users.is_empty() {
            return Ok(());
        }
        let theirs = |token: &Token| token.user.is_some_and(|user| users.contains(&user));
        let ids: Vec<TokenId> =
            self.tokens(mailbox).await?.into_iter().filter(theirs).map(|token| token.id).collect();
        for id in ids {
            self.revoke_token(mailbox, id).await?;
        }
        Ok(())
    }

    /// Does who made a token still use the mailbox, and may he be here at all?
    pub(crate) async fn user_stands(
        &self,
        user: Option<AccountId>,
        mailbox: AccountKey,
    ) -> Result<bool, DirectoryError> {
        let Some(user) = user else { return Ok(true) };
        let user = AccountKey { tenant: mailbox.tenant, account: user };
        let account = self.account(user).await?;
        if !account.is_some_and(|account| account.is_open(self.clock.now())) {
            return Ok(false);
        }
        self.uses_mailbox(user, mailbox).await
    }
}
