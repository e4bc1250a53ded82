//! The life of an account after it was added: suspended, ended by a date, in the recycle bin, given to another owner,
//! turned into a business mailbox, erased (ORG-17, ORG-18, ORG-20 … ORG-23, BIZ-03, TEN-10).
//!
//! What an account is stands in its item. `T/bin` names the accounts that may be in the bin, by their id: it is written
//! before the item and erased after it, so that none in the bin is missing there; which really are, the items say. An
//! account in the bin keeps its address until it is erased, so that nobody else gets its mail meanwhile.

use futures::stream::{self, StreamExt, TryStreamExt};
use pennypost_model::codec::Versioned;
use pennypost_model::{AccountId, AccountKey, TenantId, Timestamp};
use pennypost_ports::{Consistency, ControlKey, Expected};
use serde::{Deserialize, Serialize};

use crate::account::{account_item_key, display_name_of};
use crate::address::Entry;
use crate::allowance::account_key as sent_key;
use crate::password::credential_key;
use crate::password_rules::Names;
use crate::seats::SeatUse;
use crate::sign_in_rules::account_sign_in_key;
use crate::{
    Account, AccountKind, BinCause, Binned, DEFAULT_QUOTA, DepartmentId, Directory, DirectoryError, Listed,
    MAX_PAGE, MailPermission, NoSeat, Page, Profile,
};

const DAY: i64 = 24 * 60 * 60 * 1000;
/// Accounts of the bin that are read at once.
const LOOKUPS: usize = 16;

impl BinCause {
    /// Days for which an account stays in the bin (ORG-23). Whoever changes them has to think of
    /// [`Binned::is_being_erased`].
    #[must_use]
    pub const fn days(self) -> i64 {
        match self {
            BinCause::Deleted => 30,
            BinCause::Unbound | BinCause::Withdrawn => 60,
        }
    }
}

impl Binned {
    const fn full_time(&self) -> i64 {
        self.since.0.saturating_add(self.cause.days() * DAY)
    }

    /// Is its time over, so that it can only be erased?
    #[must_use]
    pub const fn is_over(&self, now: Timestamp) -> bool {
        self.until.0 <= now.0 || self.is_being_erased()
    }

    /// Has its erasing begun? From then on its mail may be gone. Its time was cut short for that, also where it was over:
    /// whoever changes the account meanwhile loses his compare-and-set, and sees it whatever his clock says.
    #[must_use]
    pub const fn is_being_erased(&self) -> bool {
        self.until.0 < self.full_time()
    }
}

/// To whom an account is given.
#[derive(Debug, Clone, Default)]
pub struct NewOwner<'a> {
    /// Name; may be empty.
    pub display_name: &'a str,
    /// Password. `None`: nobody can sign in until one is set.
    pub password: Option<&'a str>,
    /// Departments, the main one first.
    pub departments: &'a [DepartmentId],
    /// What else the directory says of the new owner.
    pub profile: Profile,
}

/// That an account may be in the bin.
#[derive(Debug, Serialize, Deserialize)]
struct BinItem;

impl Versioned for BinItem {
    const KIND: &'static str = "bin";
}

fn bin_partition(tenant: TenantId) -> String {
    format!("{tenant}/bin")
}

fn bin_key(key: AccountKey) -> ControlKey {
    ControlKey::new(bin_partition(key.tenant), key.account.to_string())
}

impl Directory {
    /// The operator suspends an account, or lets it in again (TEN-10).
    ///
    /// # Errors
    /// [`DirectoryError::NoAccount`], or the port's.
    #[pennypost_ports::compiled_here]
    pub async fn set_suspended(&self, key: AccountKey, suspended: bool) -> Result<(), DirectoryError> {
        self.change_account(key, |account| account.suspended = suspended).await
    }

    /// Says from when on an account cannot be used; `None`: never (ORG-18).
    ///
    /// # Errors
    /// [`DirectoryError::NoAccount`], or the port's.
    #[pennypost_ports::compiled_here]
    pub async fn set_expiry(
        &self,
        key: AccountKey,
        expires: Option<Timestamp>,
    ) -> Result<(), DirectoryError> {
        self.change_account(key, |account| account.expires = expires).await
    }

    /// Puts an account into the recycle bin. Nobody signs in, no mail is taken, pages and searches do not show it; its
    /// mail, its address, and its aliases are kept. One that was unbound loses its password and tokens for good.
    ///
    /// # Errors
    /// [`DirectoryError::NoAccount`], [`DirectoryError::InBin`], [`DirectoryError::WrongKind`] for a withdrawal of a
    /// member's account and anything else of a business mailbox, or the port's. Repeating an interrupted call completes it.
    #[pennypost_ports::compiled_here]
    pub async fn bin_account(&self, key: AccountKey, cause: BinCause) -> Result<Binned, DirectoryError> {
        let since = self.clock.now();
        let binned = Binned { cause, since, until: Timestamp(since.0.saturating_add(cause.days() * DAY)) };
        self.write(&bin_key(key), &BinItem, Expected::Any).await?;
        let put = self
            .try_change_account(key, |account| {
                let is_withdrawn = cause == BinCause::Withdrawn;
                if is_withdrawn != (account.kind == AccountKind::Business) {
                    return Err(DirectoryError::WrongKind(account.address.to_string()));
                }
                if account.binned.is_some() {
                    return Err(DirectoryError::InBin(account.address.to_string()));
                }
                account.binned = Some(binned);
                // Its seat is free again, and it comes back as an ordinary one (PLN-03).
                account.is_vip = false;
                Ok(())
            })
            .await;
        if matches!(put, Err(DirectoryError::WrongKind(_) | DirectoryError::NoAccount(_))) {
            self.erase(&bin_key(key)).await?;
        }
        put?;
        if cause == BinCause::Unbound {
            self.forget_credentials(key).await?;
        }
        Ok(binned)
    }

    /// Accounts in the recycle bin, in no order that means anything (ORG-23). A page may hold few though more follow.
    ///
    /// # Errors
    /// The port's.
    #[pennypost_ports::compiled_here]
    pub async fn binned(&self, tenant: TenantId, page: &Page) -> Result<Listed<Account>, DirectoryError> {
        let listed = self.list::<BinItem>(&bin_partition(tenant), "", page).await?;
        let keys = listed.items.into_iter().filter_map(|(sort, _)| sort.parse::<AccountId>().ok());
        let accounts = keys.map(|account| self.account(AccountKey { tenant, account })).collect::<Vec<_>>();
        let found: Vec<Option<Account>> = stream::iter(accounts).buffered(LOOKUPS).try_collect().await?;
        let items = found.into_iter().flatten().filter(|account| account.binned.is_some()).collect();
        Ok(Listed { items, next: listed.next })
    }

    /// Takes a deleted account or a withdrawn business mailbox out of the bin, as it was.
    ///
    /// # Errors
    /// [`DirectoryError::NoAccount`], [`DirectoryError::NotInBin`], [`DirectoryError::BinOver`],
    /// [`DirectoryError::WrongKind`] for one that was unbound (it needs an owner: [`Directory::assign_account`]),
    /// [`DirectoryError::NoSeat`], or the port's.
    #[pennypost_ports::compiled_here]
    pub async fn restore_account(&self, key: AccountKey) -> Result<(), DirectoryError> {
        self.leave_bin(key, |account, binned| {
            if binned.cause == BinCause::Unbound {
                return Err(DirectoryError::WrongKind(account.address.to_string()));
            }
            Ok(())
        })
        .await?;
        self.lead_to_again(key).await
    }

    /// Gives an account in the bin to another member (ORG-20, ORG-23): address, aliases and mail stay; name, profile,
    /// departments and password are the new owner's, and no token of the old one opens it.
    ///
    /// # Errors
    /// [`DirectoryError::NoAccount`], [`DirectoryError::NotInBin`], [`DirectoryError::BinOver`],
    /// [`DirectoryError::WrongKind`] for a business mailbox, those of [`Directory::add_account_with`], or the port's.
    pub async fn assign_account(&self, key: AccountKey, owner: &NewOwner<'_>) -> Result<(), DirectoryError> {
        let display_name = display_name_of(owner.display_name)?;
        let tree = self.departments(key.tenant).await?;
        let departments = crate::organisation::check_departments(&tree, owner.departments)?;
        let account = self.account(key).await?.ok_or_else(|| DirectoryError::NoAccount(key.to_string()))?;
        let check = |account: &Account| {
            self.check_in_bin(account)?;
            match account.kind {
                AccountKind::Member => Ok(()),
                AccountKind::Business => Err(DirectoryError::WrongKind(account.address.to_string())),
            }
        };
        check(&account)?;
        let names = Names { local: account.address.local(), display: &display_name };
        let credential = match owner.password {
            Some(password) => Some(self.new_credential(key.tenant, names, password, false, None).await?),
            None => None,
        };
        self.check_seat(&account, SeatUse::of(AccountKind::Member, false), check).await?;
        // While it is in the bin nothing opens it.
        self.forget_credentials(key).await?;
        self.forget_member_rules(key).await?;
        self.forget_undo_window(key).await?;
        self.forget_card_choice(key).await?;
        if let Some(credential) = credential {
            self.write(&credential_key(key), &credential, Expected::Any).await?;
        }
        self.leave_bin(key, |account, _| {
            account.display_name.clone_from(&display_name);
            account.nickname.clear();
            account.departments.clone_from(&departments);
            account.profile = owner.profile.clone();
            account.expires = None;
            // That was said about the one who had it.
            account.mail = MailPermission::default();
            Ok(())
        })
        .await?;
        // Whoever was about to say a code while it left the bin has said it for nothing.
        self.forget_forwarding(key).await
    }

    /// Turns a member's account, or one that was unbound, into a business mailbox (BIZ-03): what was the person's is
    /// cleared and opens it no more, the mail stays, nobody uses it until somebody is let in.
    ///
    /// # Errors
    /// [`DirectoryError::NoAccount`], [`DirectoryError::WrongKind`], [`DirectoryError::BinOver`],
    /// [`DirectoryError::Name`], [`DirectoryError::NoSeat`] where the plan allows no more business mailboxes, or the member
    /// has no VIP seat, or the port's. Repeating an interrupted call completes it.
    #[pennypost_ports::compiled_here]
    pub async fn convert_to_business(&self, key: AccountKey, name: &str) -> Result<(), DirectoryError> {
        let name = display_name_of(name)?;
        let now = self.clock.now();
        let has_plan = self.tenant(key.tenant).await?.is_some_and(|tenant| tenant.plan.is_some());
        let check = |account: &Account| {
            let is_over = account.binned.is_some_and(|binned| binned.is_over(now));
            let is_deleted = account.binned.is_some_and(|binned| binned.cause != BinCause::Unbound);
            match (account.kind, is_deleted) {
                (AccountKind::Member, false) if is_over => {
                    Err(DirectoryError::BinOver(account.address.to_string()))
                }
                (AccountKind::Member, false) if has_plan && account.binned.is_none() && !account.is_vip => {
                    Err(NoSeat::NotVip(account.address.to_string()).into())
                }
                (AccountKind::Member, false) => Ok(()),
                _ => Err(DirectoryError::WrongKind(account.address.to_string())),
            }
        };
        // Before anything is forgotten. Who loses the last one to somebody else after that repeats the call.
        let account = self.account(key).await?.ok_or_else(|| DirectoryError::NoAccount(key.to_string()))?;
        check(&account)?;
        self.check_seat(&account, SeatUse::of(AccountKind::Business, false), check).await?;
        // Before it changes: else what was the person's would open the business mailbox if the process died in between.
        self.forget_credentials(key).await?;
        self.forget_member_rules(key).await?;
        self.forget_undo_window(key).await?;
        self.forget_card_choice(key).await?;
        self.try_change_account(key, |account| {
            check(account)?;
            account.kind = AccountKind::Business;
            account.display_name.clone_from(&name);
            account.nickname.clear();
            account.profile = Profile::default();
            account.departments.clear();
            account.expires = None;
            account.binned = None;
            account.is_vip = false;
            // That was said about the person.
            account.mail = MailPermission::default();
            if !has_plan {
                // What it holds may be more than a new business mailbox gets by itself.
                account.quota_bytes = account.quota_bytes.or(Some(DEFAULT_QUOTA));
            }
            Ok(())
        })
        .await?;
        // Who was about to say something has written it meanwhile.
        self.forget_member_rules(key).await?;
        self.forget_undo_window(key).await?;
        self.forget_card_choice(key).await?;
        self.erase(&bin_key(key)).await
    }

    fn check_in_bin(&self, account: &Account) -> Result<Binned, DirectoryError> {
        let shown = || account.address.to_string();
        let binned = account.binned.ok_or_else(|| DirectoryError::NotInBin(shown()))?;
        if binned.is_over(self.clock.now()) { Err(DirectoryError::BinOver(shown())) } else { Ok(binned) }
    }

    async fn leave_bin(
        &self,
        key: AccountKey,
        change: impl Fn(&mut Account, Binned) -> Result<(), DirectoryError>,
    ) -> Result<(), DirectoryError> {
        self.try_change_account(key, |account| {
            let binned = self.check_in_bin(account)?;
            change(account, binned)?;
            account.binned = None;
            Ok(())
        })
        .await?;
        self.erase(&bin_key(key)).await
    }

    /// Password, second factor, passkeys, bindings, recovery address, sessions and tokens of an account open nothing any more,
    /// and it uses no business mailbox and acts for nobody.
    async fn forget_credentials(&self, key: AccountKey) -> Result<(), DirectoryError> {
        self.forget_member_invitation(key).await?;
        self.erase(&credential_key(key)).await?;
        // What its owner has said about signing in, and from where.
        self.erase(&account_sign_in_key(key)).await?;
        self.unlock(key).await?;
        self.end_sessions(key, None).await?;
        self.forget_beginnings(key).await?;
        self.remove_second_factor(key).await?;
        self.remove_passkeys(key).await?;
        self.cut_bindings(key).await?;
        self.hand_over_recovery(key).await?;
        self.forget_provisioned_account(key).await?;
        self.remove_mobile(key).await?;
        Box::pin(self.leave_mailboxes(key)).await?;
        Box::pin(self.leave_secretaries(key)).await?;
        for token in self.tokens(key).await? {
            self.revoke_token(key, token.id).await?;
        }
        Ok(())
    }

    /// Ends the time of an account in the bin: from here on nothing leads back, and its mail may be erased.
    ///
    /// # Errors
    /// [`DirectoryError::NoAccount`], [`DirectoryError::NotInBin`], or the port's.
    #[pennypost_ports::compiled_here]
    pub async fn begin_erasing(&self, key: AccountKey) -> Result<(), DirectoryError> {
        let now = self.clock.now();
        self.try_change_account(key, |account| {
            let shown = account.address.to_string();
            let binned = account.binned.as_mut().ok_or(DirectoryError::NotInBin(shown))?;
            binned.until = Timestamp(binned.until.0.min(now.0).min(binned.full_time() - 1));
            Ok(())
        })
        .await
    }

    /// Erases an account whose erasing has begun and whose mail is gone: its aliases, its address and itself. What the
    /// recycle bin tells of it stays for a while: [`Directory::erased`].
    ///
    /// # Errors
    /// [`DirectoryError::NotInBin`] where it has not begun, or the port's. Repeating an interrupted call completes it.
    #[pennypost_ports::compiled_here]
    pub async fn erase_account(&self, key: AccountKey) -> Result<(), DirectoryError> {
        if let Some(account) = self.account(key).await? {
            let shown = account.address.to_string();
            if !account.binned.is_some_and(|binned| binned.is_over(self.clock.now())) {
                return Err(DirectoryError::NotInBin(shown));
            }
            // Before anything of it goes.
            self.keep_row(&account).await?;
            self.forget_credentials(key).await?;
            self.settle_seat(key).await?;
            self.forget_vip(key).await?;
            self.bring_cards_up_to_date(key.tenant).await?;
            // A change of address that was cut off leaves two of them.
            self.settle_addresses(key).await?;
            for alias in self.aliases_noted(key).await? {
                self.leave_alias(key, &alias).await?;
            }
            let held = self.entry(key.tenant, &account.address, Consistency::Strong).await?;
            if let Some(held) = held.filter(|held| held.value == Entry::Account(key.account)) {
                self.free_address(key.tenant, &account.address, held.version).await?;
            }
            self.forget_users(key).await?;
            self.forget_recovery(key).await?;
            self.forget_member_rules(key).await?;
            self.forget_undo_window(key).await?;
            self.forget_card_choice(key).await?;
            self.forget_mail_templates(key).await?;
            self.forget_password_reminder(key).await?;
            self.forget_cuts(key).await?;
            self.erase(&sent_key(key)).await?;
            self.erase(&account_item_key(key)).await?;
        }
        // Who was about to say something when the account went has written it meanwhile.
        self.forget_member_rules(key).await?;
        self.forget_undo_window(key).await?;
        self.forget_card_choice(key).await?;
        self.forget_mail_templates(key).await?;
        self.erase(&bin_key(key)).await
    }

    /// The bodies that it kept for mailings (PMG-07), which are items of `pennypost-mailings`: a few dozen at most.
    async fn forget_mail_templates(&self, key: AccountKey) -> Result<(), DirectoryError> {
        let partition = format!("{}/mail-templates", key.tenant);
        let prefix = format!("{}/", key.account);
        for (sort, _) in self.control.query(&partition, &prefix, None, MAX_PAGE).await? {
            self.erase(&ControlKey::new(&*partition, sort)).await?;
        }
        Ok(())
    }
}
