//! Accounts.
//!
//! An account's item is the truth about it. Adding one claims the address, writes the account's items, and makes the
//! address the account's as the last step; a change is one compare-and-set. What pages and searches read, cards, follows
//! ([`crate::organisation`]): an intent that is noted before says so if the process dies in between.

mod item;

use std::collections::BTreeSet;

use pennypost_model::{AccountId, AccountKey, TenantId, Timestamp};
use pennypost_ports::{Consistency, ControlKey, Expected};
use serde::{Deserialize, Serialize};

use crate::address::{Entry, address_key};
use crate::organisation::{Intent, Person, check_departments};
use crate::password::{Credential, credential_key};
use crate::password_rules::Names;
use crate::seats::SeatUse;
use crate::store::{MAX_ATTEMPTS, name_for_people};
use crate::{
    Block, ClientSettings, DepartmentId, Directory, DirectoryError, Listed, MailAddress, MailPermission,
    Page, Profile,
};

pub(crate) use item::AccountItem;

/// Bytes that an account may hold when nobody has said otherwise, and the tenant has no plan: 10 GB.
pub const DEFAULT_QUOTA: u64 = 10_000_000_000;

/// Bytes that a business mailbox may hold when nobody has said otherwise, and the tenant has no plan: 1 GB (BIZ-01).
pub const BUSINESS_QUOTA: u64 = 1_000_000_000;

/// Characters of a display name.
const MAX_DISPLAY_NAME: usize = 200;

/// An account: somebody's mailboxes behind an address.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Account {
    /// Tenant and account id; the key of its journal.
    pub key: AccountKey,
    /// Its own address.
    pub address: MailAddress,
    /// May it be used?
    pub state: AccountState,
    /// Bytes of messages that it may hold by an administrator's word; `None`: nobody has said anything. What holds is
    /// [`Account::capacity`].
    pub quota_bytes: Option<u64>,
    /// When it was added.
    pub created: Timestamp,
    /// Name of its owner for people; may be empty.
    pub display_name: String,
    /// What its owner has said about mail programs.
    pub clients: ClientSettings,
    /// What else the directory says of its owner.
    pub profile: Profile,
    /// The departments that its owner is in, the main one first; empty: directly in the organisation.
    pub departments: Vec<DepartmentId>,
    /// Whose it is.
    pub kind: AccountKind,
    /// The operator has suspended it (TEN-10): no administrator of the tenant opens it again.
    pub suspended: bool,
    /// From then on it cannot be used (ORG-18).
    pub expires: Option<Timestamp>,
    /// It is in the recycle bin (ORG-23).
    pub binned: Option<Binned>,
    /// It has a VIP seat (PLN-02).
    pub is_vip: bool,
    /// With whom it exchanges mail, by an administrator's word (ORG-07).
    pub mail: MailPermission,
    /// What the operator has blocked (TEN-10).
    pub block: Option<Block>,
    /// What its owner wants to be called in letters, where the organisation lets members choose (ORG-27); may be empty.
    pub nickname: String,
}

/// Whose an account is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum AccountKind {
    /// A person's.
    Member,
    /// A function's, which members use (BIZ-01).
    Business,
}

impl AccountKind {
    /// Bytes that it may hold when nobody has said otherwise, and the tenant has no plan.
    pub(crate) const fn quota(self) -> u64 {
        match self {
            AccountKind::Member => DEFAULT_QUOTA,
            AccountKind::Business => BUSINESS_QUOTA,
        }
    }
}

/// Since when an account is in the recycle bin, and why.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Binned {
    /// Why.
    pub cause: BinCause,
    /// Since when.
    pub since: Timestamp,
    /// From then on it can only be erased.
    pub until: Timestamp,
}

/// Why an account is in the recycle bin (ORG-23).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum BinCause {
    /// A member's account was deleted (ORG-21).
    Deleted,
    /// It was taken from its owner (ORG-20).
    Unbound,
    /// A business mailbox was withdrawn (BIZ-05).
    Withdrawn,
}

/// May an account be used?
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum AccountState {
    /// Yes.
    #[default]
    Active,
    /// No sign-in and no new mail; what it holds stays.
    Disabled,
}

impl Account {
    /// May anybody sign in, and does it take mail, at that time?
    #[must_use]
    pub fn is_open(&self, now: Timestamp) -> bool {
        let is_expired = self.expires.is_some_and(|expires| expires <= now);
        self.state == AccountState::Active && !self.suspended && !is_expired && self.binned.is_none()
    }

    /// What pages and searches tell of it; `None` where they tell nothing: of what is in the recycle bin, and of
    /// mailboxes that are no person's.
    pub(crate) fn person(&self) -> Option<Person> {
        let is_shown = self.binned.is_none() && self.kind == AccountKind::Member;
        is_shown.then(|| Person {
            account: self.key.account,
            address: self.address.clone(),
            display_name: self.display_name.clone(),
            title: self.profile.title.clone(),
            phone: self.profile.phone.clone(),
            departments: self.departments.clone(),
            is_active: self.state == AccountState::Active && !self.suspended,
        })
    }
}

/// What an account begins with.
#[derive(Debug, Clone, Default)]
pub struct NewAccount<'a> {
    /// Its address; the domain says which tenant gets it.
    pub address: &'a str,
    /// Its password. `None`: nobody can sign in until one is set.
    pub password: Option<&'a str>,
    /// Its owner has to set another one at the next sign-in that can ask for it.
    pub must_change: bool,
    /// Name of its owner for people; may be empty.
    pub display_name: &'a str,
    /// Bytes that it may hold; `None`: what the tenant's plan gives, or without one [`DEFAULT_QUOTA`], for a business
    /// mailbox [`BUSINESS_QUOTA`].
    pub quota_bytes: Option<u64>,
    /// Departments that its owner is in, the main one first; empty: directly in the organisation.
    pub departments: &'a [DepartmentId],
    /// What else the directory says of its owner.
    pub profile: Profile,
    /// Is it a function's, no person's?
    pub is_business: bool,
    /// With whom it exchanges mail.
    pub mail: MailPermission,
    /// May it be used from the beginning?
    pub state: AccountState,
}

pub(crate) fn accounts_partition(tenant: TenantId) -> String {
    format!("{tenant}/accounts")
}

pub(crate) fn account_item_key(key: AccountKey) -> ControlKey {
    ControlKey::new(accounts_partition(key.tenant), key.account.to_string())
}

impl Directory {
    /// Adds an account with a password; the domain says which tenant gets it. `quota_bytes` of `None`: nothing is said. An
    /// interrupted call may be repeated; until it has succeeded there is no account.
    ///
    /// # Errors
    /// Those of [`Directory::add_account_with`].
    #[pennypost_ports::compiled_here]
    pub async fn add_account(
        &self,
        address: &str,
        password: &str,
        display_name: &str,
        quota_bytes: Option<u64>,
    ) -> Result<Account, DirectoryError> {
        let password = Some(password);
        self.add_account_with(&NewAccount {
            address,
            password,
            display_name,
            quota_bytes,
            ..NewAccount::default()
        })
        .await
    }

    /// Adds an account. An interrupted call may be repeated; until it has succeeded there is no account.
    ///
    /// # Errors
    /// [`DirectoryError::Address`], [`DirectoryError::UnsuitableAddress`], [`DirectoryError::Password`],
    /// [`DirectoryError::Name`], [`DirectoryError::NoDomain`], [`DirectoryError::NoDepartment`],
    /// [`DirectoryError::AddressTaken`], [`DirectoryError::NoSeat`], or the port's.
    pub async fn add_account_with(&self, new: &NewAccount<'_>) -> Result<Account, DirectoryError> {
        self.add_account_as(AccountId(self.ids.random()), new, None, None).await
    }

    /// Adds an account with an id that no account had, and with what is stored of its password, if that is known; only in
    /// the expected tenant, if there is one. Two calls at once take different ids.
    pub(crate) async fn add_account_as(
        &self,
        id: AccountId,
        new: &NewAccount<'_>,
        known: Option<Credential>,
        expected: Option<TenantId>,
    ) -> Result<Account, DirectoryError> {
        let (tenant, address) = self.place_for(new.address).await?;
        if expected.is_some_and(|expected| expected != tenant) {
            return Err(DirectoryError::OtherTenant(address.to_string()));
        }
        let display_name = display_name_of(new.display_name)?;
        let departments = match new.departments {
            [] => Vec::new(),
            departments => check_departments(&self.departments(tenant).await?, departments)?,
        };
        let names = Names { local: address.local(), display: &display_name };
        let credential = match new.password {
            Some(password) => {
                Some(self.new_credential(tenant, names, password, new.must_change, None).await?)
            }
            None => known,
        };
        let account = Account {
            key: AccountKey { tenant, account: id },
            address,
            state: new.state,
            quota_bytes: new.quota_bytes,
            created: self.clock.now(),
            display_name,
            clients: ClientSettings::default(),
            profile: new.profile.clone(),
            departments,
            kind: kind_of(new.is_business),
            suspended: false,
            expires: None,
            binned: None,
            is_vip: false,
            mail: new.mail,
            block: None,
            nickname: String::new(),
        };
        let intent = self.intend(account.key).await?;
        let added = self.add_prepared(account, credential.as_ref(), &intent).await;
        if added.is_ok() || added.as_ref().is_err_and(|error| !error.is_temporary()) {
            self.take_back(&intent).await?;
        }
        added
    }

    async fn add_prepared(
        &self,
        account: Account,
        credential: Option<&Credential>,
        intent: &Intent,
    ) -> Result<Account, DirectoryError> {
        let key = account.key;
        let claim_version = self.claim(key, &account.address).await?;
        let item_key = account_item_key(key);
        if let Some(credential) = credential {
            self.write(&credential_key(key), credential, Expected::Any).await?;
        }
        let last_move = self.ids.random();
        let stale = BTreeSet::new();
        let mut item = AccountItem { account, complete: false, revision: 1, stale, last_move };
        self.write(&item_key, &item, Expected::Any).await?;
        let seat = match self.take_first_seat(key, item.account.seat(), last_move).await {
            Ok(seat) => seat,
            Err(error) => {
                if !error.is_temporary() {
                    self.erase_account_items(key.tenant, key.account).await?;
                    // Unless somebody has taken it over, who wants it.
                    self.free_address(key.tenant, &item.account.address, claim_version).await.ok();
                }
                return Err(error);
            }
        };
        if let Err(error) = self.check_intent(intent) {
            self.leave_seat(seat, false).await;
            return Err(error);
        }
        // From here on it is an account.
        let commit = Expected::Version(claim_version);
        let address_key = address_key(key.tenant, &item.account.address);
        let is_committed = self.write(&address_key, &Entry::Account(key.account), commit).await?.is_some();
        self.leave_seat(seat, is_committed).await;
        if !is_committed {
            self.erase_account_items(key.tenant, key.account).await?;
            return Err(DirectoryError::AddressTaken(item.account.address.to_string()));
        }
        item.complete = true;
        // Only spares readers a look at the address; whoever changed the item meanwhile knows it, too.
        if let Some(held) = self.read::<AccountItem>(&item_key, Consistency::Strong).await?
            && !held.value.complete
        {
            self.write(&item_key, &item, Expected::Version(held.version)).await?;
        }
        self.settle(key).await?;
        Ok(item.account)
    }

    /// Would [`Directory::add_account`] succeed at the moment? For dry runs; changes nothing.
    ///
    /// # Errors
    /// Those of [`Directory::add_account`].
    #[pennypost_ports::compiled_here]
    pub async fn check_new_account(
        &self,
        address: &str,
        password: Option<&str>,
        display_name: &str,
    ) -> Result<(), DirectoryError> {
        let (tenant, address) = self.place_for(address).await?;
        let display_name = display_name_of(display_name)?;
        let names = Names { local: address.local(), display: &display_name };
        if let Some(password) = password {
            self.check_new_password(tenant, names, password).await?;
        }
        self.check_free(tenant, &address).await?;
        self.check_first_seat(tenant, SeatUse::of(AccountKind::Member, false)).await
    }

    /// Would [`Directory::add_account_with`] succeed at the moment, in this tenant, if its departments are there? Changes
    /// nothing.
    ///
    /// # Errors
    /// [`DirectoryError::OtherTenant`], and those of [`Directory::add_account_with`].
    pub async fn check_new(&self, tenant: TenantId, new: &NewAccount<'_>) -> Result<(), DirectoryError> {
        let display_name = display_name_of(new.display_name)?;
        if let Some(password) = new.password {
            let local = new.address.split('@').next().unwrap_or_default();
            self.check_new_password(tenant, Names { local, display: &display_name }, password).await?;
        }
        self.check_new_address(tenant, new.address).await?;
        self.check_first_seat(tenant, SeatUse::of(kind_of(new.is_business), false)).await
    }

    /// Can this address of the tenant be given to somebody or something at the moment?
    ///
    /// # Errors
    /// [`DirectoryError::Address`], [`DirectoryError::UnsuitableAddress`], [`DirectoryError::NoDomain`],
    /// [`DirectoryError::OtherTenant`], [`DirectoryError::AddressTaken`], or the port's.
    #[pennypost_ports::compiled_here]
    pub async fn check_new_address(&self, tenant: TenantId, address: &str) -> Result<(), DirectoryError> {
        let (owner, address) = self.place_for(address).await?;
        if owner != tenant {
            return Err(DirectoryError::OtherTenant(address.to_string()));
        }
        self.check_free(tenant, &address).await
    }

    async fn check_free(&self, tenant: TenantId, address: &MailAddress) -> Result<(), DirectoryError> {
        match self.entry(tenant, address, Consistency::Strong).await?.map(|held| held.value) {
            None | Some(Entry::Claimed(_) | Entry::Free) => Ok(()),
            Some(_) => Err(DirectoryError::AddressTaken(address.to_string())),
        }
    }

    /// Claims a free address, or takes over the claim of an add that was cut off; the version of the claim.
    async fn claim(&self, key: AccountKey, address: &MailAddress) -> Result<u64, DirectoryError> {
        let address_key = address_key(key.tenant, address);
        let claim = Entry::Claimed(key.account);
        if let Some(version) = self.write(&address_key, &claim, Expected::Absent).await? {
            return Ok(version);
        }
        self.take_over(key.tenant, address, &claim).await
    }

    /// Clears the items of an account that never came to be.
    pub(crate) async fn erase_account_items(
        &self,
        tenant: TenantId,
        account: AccountId,
    ) -> Result<(), DirectoryError> {
        let key = AccountKey { tenant, account };
        self.erase(&account_item_key(key)).await?;
        self.erase(&credential_key(key)).await
    }

    /// The account with that key.
    ///
    /// # Errors
    /// The port's.
    #[pennypost_ports::compiled_here]
    pub async fn account(&self, key: AccountKey) -> Result<Option<Account>, DirectoryError> {
        match self.read::<AccountItem>(&account_item_key(key), Consistency::Strong).await? {
            Some(held) => self.if_complete(held.value).await,
            None => Ok(None),
        }
    }

    /// The account of an item, unless it is only half an account.
    pub(crate) async fn if_complete(&self, item: AccountItem) -> Result<Option<Account>, DirectoryError> {
        if item.complete {
            return Ok(Some(item.account));
        }
        let (tenant, address) = (item.account.key.tenant, &item.account.address);
        let entry = self.entry(tenant, address, Consistency::Strong).await?;
        let is_its = entry.is_some_and(|held| held.value == Entry::Account(item.account.key.account));
        Ok(is_its.then_some(item.account))
    }

    /// The account whose own address this is; an alias or a tagged address is not followed.
    ///
    /// # Errors
    /// [`DirectoryError::Address`], or the port's.
    #[pennypost_ports::compiled_here]
    pub async fn account_at(&self, address: &str) -> Result<Option<Account>, DirectoryError> {
        let address = MailAddress::parse(address)?;
        let Some(tenant) = self.owner(address.domain(), Consistency::Strong).await? else { return Ok(None) };
        match self.entry(tenant, &address, Consistency::Strong).await?.map(|held| held.value) {
            Some(Entry::Account(account)) => self.account(AccountKey { tenant, account }).await,
            _ => Ok(None),
        }
    }

    /// Whose domain an address is in; `None`: nobody's here, or it is no address.
    ///
    /// # Errors
    /// The port's.
    #[pennypost_ports::compiled_here]
    pub async fn tenant_of_address(&self, address: &str) -> Result<Option<TenantId>, DirectoryError> {
        let Ok(address) = MailAddress::parse(address) else { return Ok(None) };
        self.owner(address.domain(), Consistency::Strong).await
    }

    /// The account at an address, which has to be of that tenant.
    pub(crate) async fn account_of_tenant(
        &self,
        tenant: TenantId,
        address: &str,
    ) -> Result<Account, DirectoryError> {
        let account = self.account_at(address).await?;
        let account = account.ok_or_else(|| DirectoryError::NoAccount(address.to_owned()))?;
        if account.key.tenant != tenant {
            return Err(DirectoryError::OtherTenant(account.address.to_string()));
        }
        Ok(account)
    }

    /// Accounts of a tenant, in no order that means anything.
    ///
    /// # Errors
    /// The port's.
    #[pennypost_ports::compiled_here]
    pub async fn accounts(&self, tenant: TenantId, page: &Page) -> Result<Listed<Account>, DirectoryError> {
        let listed = self.list::<AccountItem>(&accounts_partition(tenant), "", page).await?;
        let mut items = Vec::with_capacity(listed.items.len());
        for (_, item) in listed.items {
            items.extend(self.if_complete(item).await?);
        }
        Ok(Listed { items, next: listed.next })
    }

    /// Says how many bytes an account may hold: less than it holds only keeps new mail out, and more than the tenant's plan
    /// gives is as much as that.
    ///
    /// # Errors
    /// [`DirectoryError::NoAccount`], or the port's.
    #[pennypost_ports::compiled_here]
    pub async fn set_quota(&self, key: AccountKey, quota_bytes: u64) -> Result<(), DirectoryError> {
        self.change_account(key, |account| account.quota_bytes = Some(quota_bytes)).await
    }

    /// Disables an account or enables it again.
    ///
    /// # Errors
    /// [`DirectoryError::NoAccount`], or the port's.
    #[pennypost_ports::compiled_here]
    pub async fn set_account_state(
        &self,
        key: AccountKey,
        state: AccountState,
    ) -> Result<(), DirectoryError> {
        self.change_account(key, |account| account.state = state).await
    }

    /// Gives an account's owner another name; an empty one is none.
    ///
    /// # Errors
    /// [`DirectoryError::Name`], [`DirectoryError::NoAccount`], or the port's.
    #[pennypost_ports::compiled_here]
    pub async fn set_display_name(&self, key: AccountKey, name: &str) -> Result<(), DirectoryError> {
        let name = display_name_of(name)?;
        self.change_account(key, |account| account.display_name.clone_from(&name)).await
    }

    pub(crate) async fn change_account(
        &self,
        key: AccountKey,
        change: impl Fn(&mut Account),
    ) -> Result<(), DirectoryError> {
        self.try_change_account(key, |account| {
            change(account);
            Ok(())
        })
        .await
    }

    /// Changes an account by compare-and-set, what is counted of the tenant's seats with it, and its cards after it. `change`
    /// may be called several times, each time with what is stored then.
    pub(crate) async fn try_change_account<R>(
        &self,
        key: AccountKey,
        change: impl Fn(&mut Account) -> Result<R, DirectoryError>,
    ) -> Result<R, DirectoryError> {
        let missing = || DirectoryError::NoAccount(key.to_string());
        self.account(key).await?.ok_or_else(missing)?;
        let item_key = account_item_key(key);
        let mut intent = None;
        for _ in 0..MAX_ATTEMPTS {
            let held = self.read::<AccountItem>(&item_key, Consistency::Strong).await?.ok_or_else(missing)?;
            let mut item = held.value;
            item.complete = true;
            let before = item.account.seat();
            let (follows, result) = match item.try_change(&change) {
                Ok(changed) => changed,
                Err(error) => {
                    self.take_back_if_any(intent.as_ref()).await?;
                    return Err(error);
                }
            };
            let after = item.account.seat();
            if (follows || before != after) && intent.is_none() {
                intent = Some(self.intend(key).await?);
            }
            // What an account holds is asked for after the intent: whoever counts seats for the first time finds that.
            let seat = match self.take_seat(key, before, after).await {
                Ok(seat) => seat,
                Err(error) => {
                    let is_refused = matches!(error, DirectoryError::NoSeat(_));
                    if is_refused && self.version_of(&item_key).await? != Some(held.version) {
                        // Whoever was waited for may have done the same, and is who has the seat.
                        continue;
                    }
                    self.take_back_if_any(intent.as_ref()).await?;
                    return Err(error);
                }
            };
            item.last_move = seat.map_or(item.last_move, |seat| seat.id);
            if let Some(Err(error)) = intent.as_ref().map(|intent| self.check_intent(intent)) {
                self.leave_seat(seat, false).await;
                return Err(error);
            }
            if self.write(&item_key, &item, Expected::Version(held.version)).await?.is_some() {
                self.leave_seat(seat, true).await;
                if follows {
                    self.settle(key).await?;
                }
                self.take_back_if_any(intent.as_ref()).await?;
                return Ok(result);
            }
            // Whoever has written it meanwhile may have settled the move.
            self.leave_seat(seat, false).await;
        }
        Err(DirectoryError::Contended)
    }

    async fn version_of(&self, item_key: &ControlKey) -> Result<Option<u64>, DirectoryError> {
        let held = self.read::<AccountItem>(item_key, Consistency::Strong).await?;
        Ok(held.map(|held| held.version))
    }

    async fn take_back_if_any(&self, intent: Option<&Intent>) -> Result<(), DirectoryError> {
        match intent {
            Some(intent) => self.take_back(intent).await,
            None => Ok(()),
        }
    }

    /// The account behind an address item that names it.
    pub(crate) async fn account_behind(
        &self,
        key: AccountKey,
        consistency: Consistency,
    ) -> Result<Option<Account>, DirectoryError> {
        let held = self.read::<AccountItem>(&account_item_key(key), consistency).await?;
        Ok(held.map(|held| held.value.account))
    }
}

const fn kind_of(is_business: bool) -> AccountKind {
    if is_business { AccountKind::Business } else { AccountKind::Member }
}

/// The name of somebody who has one, as it is stored.
///
/// # Errors
/// [`DirectoryError::Name`].
pub fn owner_name(name: &str) -> Result<String, DirectoryError> {
    name_for_people(name, MAX_DISPLAY_NAME)
}

/// A display name as it is stored; blanks are none.
/// Can somebody be called so?
///
/// # Errors
/// [`DirectoryError::Name`].
pub fn check_display_name(name: &str) -> Result<(), DirectoryError> {
    display_name_of(name).map(drop)
}

pub(crate) fn display_name_of(name: &str) -> Result<String, DirectoryError> {
    match name.trim() {
        "" => Ok(String::new()),
        name => name_for_people(name, MAX_DISPLAY_NAME),
    }
}
