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
//! A business mailbox has no password. A user makes himself a token for it, which is worth nothing while he does not use
//! the mailbox. Tokens of an account that is taken out, or let in anew, and that no department lets in, are removed; so are
//! all of an account that gets another owner, wherever they are for: `T/user-tokens`, `USER/MAILBOX/TOKEN` tells which.

use std::collections::{BTreeMap, BTreeSet};

use futures::stream::{self, StreamExt, TryStreamExt};
use pennypost_model::codec::Versioned;
use pennypost_model::{AccountId, AccountKey, TenantId, Timestamp};
use pennypost_ports::{Consistency, ControlKey, Expected};
use serde::{Deserialize, Serialize};
use tokio::sync::OnceCell;

use crate::store::{Held, MAX_ATTEMPTS, MAX_PAGE};
use crate::{
    Account, AccountKind, DepartmentId, DepartmentTree, Directory, DirectoryError, Listed, NewAccount, Page,
    Token, TokenId, TokenScope,
};

/// Accounts and departments, together, that use one business mailbox. T says no number.
pub const MAX_MAILBOX_USERS: usize = 500;
/// Tokens that one user may have for one business mailbox. Those of others count for others.
pub const MAX_USER_TOKENS: usize = 10;
/// Tokens that all users of one business mailbox may have for it together: all are read where one is made or listed.
pub const MAX_USERS_TOKENS: usize = 5_000;
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

    /// Are they too many?
    ///
    /// # Errors
    /// [`DirectoryError::TooMany`] for more than [`MAX_MAILBOX_USERS`].
    pub fn check_number(&self) -> Result<(), DirectoryError> {
        let (what, limit) = ("the list of users of a mailbox", MAX_MAILBOX_USERS);
        if self.len() > limit { Err(DirectoryError::TooMany { what, limit }) } else { Ok(()) }
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
        let departments = self.departments.iter().map(|id| format!("{}{mailbox}", of_department(*id)));
        accounts.chain(departments).collect()
    }
}

impl Versioned for MailboxUsers {
    const KIND: &'static str = "users of a business mailbox";
}

fn of_account(account: AccountId) -> String {
    format!("a/{account}/")
}

fn of_department(id: DepartmentId) -> String {
    format!("d/{:08x}/", id.0)
}

fn user_tokens_partition(tenant: TenantId) -> String {
    format!("{tenant}/user-tokens")
}

fn user_token(user: AccountId, mailbox: AccountId, id: TokenId) -> String {
    format!("{user}/{mailbox}/{id}")
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

impl Tree {
    const fn unread() -> Tree {
        Tree(OnceCell::const_new())
    }

    async fn of(&self, directory: &Directory, tenant: TenantId) -> Result<&DepartmentTree, DirectoryError> {
        self.0.get_or_try_init(|| directory.departments(tenant)).await
    }
}

impl Directory {
    /// Who uses a business mailbox; nobody if there is none.
    ///
    /// # Errors
    /// The port's.
    #[pennypost_ports::compiled_here]
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
            AccountKind::Business => {}
        }
        // Into one that is withdrawn nobody is let; who is taken out is out when it comes back.
        let closed = account.binned.map(|_| DirectoryError::InBin(shown));
        self.put_users(mailbox, closed.as_ref(), change).await
    }

    /// Adds a business mailbox with its users (BIZ-02). They are written before it, so that it is never there without them. If
    /// the process dies in between, there are users of a number that no mailbox has: that opens nothing.
    ///
    /// # Errors
    /// Those of [`Directory::add_account_with`] and [`Directory::check_users`].
    pub async fn add_business_mailbox(
        &self,
        new: &NewAccount<'_>,
        users: &MailboxUsers,
    ) -> Result<Account, DirectoryError> {
        let (tenant, _) = self.place_for(new.address).await?;
        let mailbox = AccountKey { tenant, account: AccountId(self.ids.random()) };
        self.put_users(mailbox, None, |stored| {
            stored.clone_from(users);
            true
        })
        .await?;
        let wished = NewAccount { is_business: true, ..new.clone() };
        let added = Box::pin(self.add_account_as(mailbox.account, &wished, None, Some(tenant))).await;
        if added.as_ref().is_err_and(|error| !error.is_temporary()) {
            self.forget_users(mailbox).await?;
        }
        added
    }

    /// The same for whatever mailbox; where it is closed to more users, that is said of each.
    async fn put_users(
        &self,
        mailbox: AccountKey,
        closed: Option<&DirectoryError>,
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
            users.check_number()?;
            let (come, gone) = (users.without(&before), before.without(&users));
            if let Some(closed) = closed.filter(|_| !come.is_empty()) {
                return Err(closed.clone());
            }
            self.check_users(mailbox.tenant, &come).await?;
            // Left over of an earlier time as a user, if the process died then.
            self.remove_tokens_of(mailbox, &come.accounts, &before).await?;
            let places = come.places(mailbox.account);
            self.mark_index(&used_partition(mailbox.tenant), places.iter()).await?;
            if users != before && self.write(&users_key(mailbox), &users, expected).await?.is_none() {
                continue;
            }
            self.remove_tokens_of(mailbox, &gone.accounts, &users).await?;
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
    /// [`DirectoryError::TooMany`], [`DirectoryError::NoAccount`], [`DirectoryError::WrongKind`],
    /// [`DirectoryError::NoDepartment`], or the port's.
    #[pennypost_ports::compiled_here]
    pub async fn check_users(&self, tenant: TenantId, users: &MailboxUsers) -> Result<(), DirectoryError> {
        users.check_number()?;
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
    #[pennypost_ports::compiled_here]
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
        self.is_among(&user, &users, &Tree::unread()).await
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
        let tree = tree.of(self, user.key.tenant).await?;
        Ok(user.departments.iter().any(|department| tree.is_within(*department, &users.departments)))
    }

    /// The business mailboxes that an account uses and that are open, by their ids (BIZ-06). A page may hold few though more
    /// follow.
    ///
    /// # Errors
    /// The port's.
    #[pennypost_ports::compiled_here]
    pub async fn mailboxes_used(
        &self,
        user: &Account,
        page: &Page,
    ) -> Result<Listed<Account>, DirectoryError> {
        if user.kind != AccountKind::Member {
            return Ok(Listed { items: Vec::new(), next: None });
        }
        let tree = Tree::unread();
        let after: Option<AccountId> = page.after.as_ref().and_then(|after| after.parse().ok());
        let mut candidates = self.perhaps_used(user, &tree).await?;
        candidates.retain(|mailbox| after.is_none_or(|after| *mailbox > after));
        let wanted: Vec<AccountId> = candidates.iter().copied().take(page.limit.clamp(1, MAX_PAGE)).collect();
        let has_more = |last: &AccountId| candidates.last().is_some_and(|end| end > last);
        let next = wanted.last().copied().filter(has_more).map(|last| last.to_string());
        let lookups = wanted.into_iter().map(|mailbox| {
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
        Ok(Listed { items: found.into_iter().flatten().collect(), next })
    }

    /// The mailboxes of which the index says that the account uses them: by itself, by the organisation as a whole, by the
    /// departments in which it is and those above them. Those of other departments are not looked at.
    async fn perhaps_used(&self, user: &Account, tree: &Tree) -> Result<BTreeSet<AccountId>, DirectoryError> {
        let tenant = user.key.tenant;
        let mut departments = BTreeSet::from([DepartmentId::ROOT]);
        if !user.departments.is_empty() {
            let tree = tree.of(self, tenant).await?;
            departments.extend(user.departments.iter().flat_map(|id| tree.with_above(*id)));
        }
        let partition = used_partition(tenant);
        let prefixes = departments.into_iter().map(of_department).chain([of_account(user.key.account)]);
        let prefixes: Vec<String> = prefixes.collect();
        let looks: Vec<_> = prefixes.iter().map(|prefix| self.sorts(&partition, prefix)).collect();
        let found: Vec<Vec<String>> = stream::iter(looks).buffered(LOOKUPS).try_collect().await?;
        Ok(found.iter().flatten().filter_map(|sort| mailbox_of(sort)).collect())
    }

    /// Is it a business mailbox that can be used now?
    #[must_use]
    pub fn is_open_business(&self, account: &Account) -> bool {
        account.kind == AccountKind::Business && account.is_open(self.clock.now())
    }

    /// The account uses no business mailbox any more: it has another owner from now on, or none.
    pub(crate) async fn leave_mailboxes(&self, user: AccountKey) -> Result<(), DirectoryError> {
        let partition = used_partition(user.tenant);
        for sort in self.sorts(&partition, &of_account(user.account)).await? {
            let Some(mailbox) = mailbox_of(&sort) else {
                self.erase(&ControlKey::new(&partition, sort)).await?;
                continue;
            };
            let mailbox = AccountKey { tenant: user.tenant, account: mailbox };
            self.put_users(mailbox, None, |users| {
                users.accounts.remove(&user.account);
                true
            })
            .await?;
            // Where the users did not name him: what an interrupted call has left.
            self.settle_used(mailbox, &BTreeSet::from([sort])).await?;
        }
        // Also of mailboxes that a department let him into, now or earlier: the next owner may be in it.
        let partition = user_tokens_partition(user.tenant);
        for sort in self.sorts(&partition, &format!("{}/", user.account)).await? {
            let mut parts = sort.split('/').skip(1);
            let mailbox = parts.next().and_then(|mailbox| mailbox.parse().ok());
            let id = parts.next().and_then(|id| id.parse().ok());
            if let (Some(account), Some(id)) = (mailbox, id) {
                self.revoke_token(AccountKey { tenant: user.tenant, account }, id).await?;
            }
            self.erase(&ControlKey::new(&partition, sort)).await?;
        }
        Ok(())
    }

    /// Notes that a user has a token for a mailbox, before it is there.
    pub(crate) async fn mark_user_token(
        &self,
        user: AccountId,
        mailbox: AccountKey,
        id: TokenId,
    ) -> Result<(), DirectoryError> {
        let place = user_token(user, mailbox.account, id);
        self.mark_index(&user_tokens_partition(mailbox.tenant), std::iter::once(&place)).await
    }

    /// The token is there no more.
    pub(crate) async fn unmark_user_token(
        &self,
        user: AccountId,
        mailbox: AccountKey,
        id: TokenId,
    ) -> Result<(), DirectoryError> {
        let place = user_token(user, mailbox.account, id);
        self.erase(&ControlKey::new(user_tokens_partition(mailbox.tenant), place)).await
    }

    /// Nobody uses the mailbox, which is erased.
    pub(crate) async fn forget_users(&self, mailbox: AccountKey) -> Result<(), DirectoryError> {
        if self.held_users(mailbox).await?.is_none() {
            return Ok(());
        }
        self.put_users(mailbox, None, |users| {
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
    #[pennypost_ports::compiled_here]
    pub async fn add_user_token(
        &self,
        (user, mailbox): (AccountId, AccountKey),
        name: &str,
        scope: TokenScope,
        expires: Option<Timestamp>,
    ) -> Result<(Token, String), DirectoryError> {
        self.make_token(mailbox, name, scope, expires, Some(user)).await
    }

    /// Removes the tokens that these accounts have made for a mailbox, but of those whom its departments let in.
    async fn remove_tokens_of(
        &self,
        mailbox: AccountKey,
        accounts: &BTreeSet<AccountId>,
        users: &MailboxUsers,
    ) -> Result<(), DirectoryError> {
        if accounts.is_empty() {
            return Ok(());
        }
        let mut theirs: BTreeMap<AccountId, Vec<TokenId>> = BTreeMap::new();
        for token in self.tokens(mailbox).await? {
            if let Some(user) = token.user.filter(|user| accounts.contains(user)) {
                theirs.entry(user).or_default().push(token.id);
            }
        }
        let by_department =
            MailboxUsers { accounts: BTreeSet::new(), departments: users.departments.clone() };
        let tree = Tree::unread();
        for (account, ids) in theirs {
            if !by_department.is_empty()
                && let Some(user) = self.account(AccountKey { account, ..mailbox }).await?
                && self.is_among(&user, &by_department, &tree).await?
            {
                continue;
            }
            for id in ids {
                self.revoke_token(mailbox, id).await?;
            }
        }
        Ok(())
    }

    /// The account of who uses a business mailbox, if he still does and may be here at all.
    ///
    /// # Errors
    /// The port's.
    #[pennypost_ports::compiled_here]
    pub async fn mailbox_user(
        &self,
        user: AccountId,
        mailbox: AccountKey,
    ) -> Result<Option<Account>, DirectoryError> {
        self.standing_user(user, mailbox).await
    }

    /// The account of who made a token, if he still uses the mailbox and may be here at all.
    pub(crate) async fn standing_user(
        &self,
        user: AccountId,
        mailbox: AccountKey,
    ) -> Result<Option<Account>, DirectoryError> {
        let key = AccountKey { tenant: mailbox.tenant, account: user };
        let account = self.account(key).await?.filter(|account| account.is_open(self.clock.now()));
        let Some(account) = account else { return Ok(None) };
        Ok(self.uses_mailbox(key, mailbox).await?.then_some(account))
    }
}
