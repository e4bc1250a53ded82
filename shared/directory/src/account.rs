//! Accounts.

use pennypost_model::codec::{CodecError, Versioned, decode_plain};
use pennypost_model::{AccountId, AccountKey, TenantId, Timestamp};
use pennypost_ports::{Consistency, ControlKey, Expected};
use serde::{Deserialize, Serialize};

use crate::address::{Entry, address_key};
use crate::password::{Credential, credential_key, prepare_new};
use crate::store::name_for_people;
use crate::{ClientSettings, Directory, DirectoryError, Listed, MailAddress, Page};

/// Bytes that an account may hold when nobody has said otherwise: 10 GB.
pub const DEFAULT_QUOTA: u64 = 10_000_000_000;

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
    /// Bytes of messages that it may hold.
    pub quota_bytes: u64,
    /// When it was added.
    pub created: Timestamp,
    /// Name of its owner for people; may be empty.
    pub display_name: String,
    /// What its owner has said about mail programs.
    pub clients: ClientSettings,
}

/// May an account be used?
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum AccountState {
    /// Yes.
    Active,
    /// No sign-in and no new mail; what it holds stays.
    Disabled,
}

/// An account as stored.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct AccountItem {
    account: Account,
    /// The address item is known to have become this account's; if `false` it has to be asked.
    complete: bool,
}

impl Versioned for AccountItem {
    const KIND: &'static str = "account";
    const VERSION: u8 = 2;

    fn upgrade(found: u8, bytes: &[u8]) -> Result<AccountItem, CodecError> {
        if found != 1 {
            return Err(CodecError::Version { kind: Self::KIND, found, known: Self::VERSION });
        }
        let AccountItemV1 { account, complete } = decode_plain(Self::KIND, bytes)?;
        let AccountV1 { key, address, state, quota_bytes, created, display_name } = account;
        let clients = ClientSettings::default();
        let account = Account { key, address, state, quota_bytes, created, display_name, clients };
        Ok(AccountItem { account, complete })
    }
}

/// As stored before there was a word about mail programs.
#[derive(Serialize, Deserialize)]
struct AccountItemV1 {
    account: AccountV1,
    complete: bool,
}

#[derive(Serialize, Deserialize)]
struct AccountV1 {
    key: AccountKey,
    address: MailAddress,
    state: AccountState,
    quota_bytes: u64,
    created: Timestamp,
    display_name: String,
}

fn accounts_partition(tenant: TenantId) -> String {
    format!("{tenant}/accounts")
}

fn account_item_key(key: AccountKey) -> ControlKey {
    ControlKey::new(accounts_partition(key.tenant), key.account.to_string())
}

impl Directory {
    /// Adds an account with a password; the domain says which tenant gets it. `quota_bytes` of `None` is
    /// [`DEFAULT_QUOTA`]. An interrupted call may be repeated; until it has succeeded there is no account.
    ///
    /// # Errors
    /// [`DirectoryError::Address`], [`DirectoryError::UnsuitableAddress`], [`DirectoryError::Password`],
    /// [`DirectoryError::Name`], [`DirectoryError::NoDomain`], [`DirectoryError::AddressTaken`], or the port's.
    pub async fn add_account(
        &self,
        address: &str,
        password: &str,
        display_name: &str,
        quota_bytes: Option<u64>,
    ) -> Result<Account, DirectoryError> {
        let (tenant, address) = self.place_for(address).await?;
        let display_name = match display_name.trim() {
            "" => String::new(),
            name => name_for_people(name, MAX_DISPLAY_NAME)?,
        };
        let credential = self.sign_ins.hash(password).await?;
        let key = AccountKey { tenant, account: AccountId(self.ids.random()) };
        let claim_version = self.claim(key, &address).await?;

        let account = Account {
            key,
            address,
            state: AccountState::Active,
            quota_bytes: quota_bytes.unwrap_or(DEFAULT_QUOTA),
            created: self.clock.now(),
            display_name,
            clients: ClientSettings::default(),
        };
        let item_key = account_item_key(key);
        self.write(&credential_key(key), &credential, Expected::Any).await?;
        let mut item = AccountItem { account, complete: false };
        self.write(&item_key, &item, Expected::Any).await?;
        // From here on it is an account.
        let commit = Expected::Version(claim_version);
        let address_key = address_key(tenant, &item.account.address);
        if self.write(&address_key, &Entry::Account(key.account), commit).await?.is_none() {
            self.erase_account_items(tenant, key.account).await?;
            return Err(DirectoryError::AddressTaken(item.account.address.to_string()));
        }
        item.complete = true;
        // Only spares readers a look at the address; whoever changed the item meanwhile knows it, too.
        if let Some(held) = self.read::<AccountItem>(&item_key, Consistency::Strong).await?
            && !held.value.complete
        {
            self.write(&item_key, &item, Expected::Version(held.version)).await?;
        }
        Ok(item.account)
    }

    /// Would [`Directory::add_account`] succeed at the moment? For dry runs; changes nothing.
    ///
    /// # Errors
    /// Those of [`Directory::add_account`].
    pub async fn check_new_account(
        &self,
        address: &str,
        password: &str,
        display_name: &str,
    ) -> Result<(), DirectoryError> {
        let (tenant, address) = self.place_for(address).await?;
        if !display_name.trim().is_empty() {
            name_for_people(display_name, MAX_DISPLAY_NAME)?;
        }
        prepare_new(password)?;
        match self.entry(tenant, &address, Consistency::Strong).await?.map(|held| held.value) {
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
    pub async fn account(&self, key: AccountKey) -> Result<Option<Account>, DirectoryError> {
        match self.read::<AccountItem>(&account_item_key(key), Consistency::Strong).await? {
            Some(held) => self.if_complete(held.value).await,
            None => Ok(None),
        }
    }

    /// The account of an item, unless it is only half an account.
    async fn if_complete(&self, item: AccountItem) -> Result<Option<Account>, DirectoryError> {
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
    pub async fn account_at(&self, address: &str) -> Result<Option<Account>, DirectoryError> {
        let address = MailAddress::parse(address)?;
        let Some(tenant) = self.owner(address.domain(), Consistency::Strong).await? else { return Ok(None) };
        match self.entry(tenant, &address, Consistency::Strong).await?.map(|held| held.value) {
            Some(Entry::Account(account)) => self.account(AccountKey { tenant, account }).await,
            _ => Ok(None),
        }
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
    pub async fn accounts(&self, tenant: TenantId, page: &Page) -> Result<Listed<Account>, DirectoryError> {
        let listed = self.list::<AccountItem>(&accounts_partition(tenant), "", page).await?;
        let mut items = Vec::with_capacity(listed.items.len());
        for (_, item) in listed.items {
            items.extend(self.if_complete(item).await?);
        }
        Ok(Listed { items, next: listed.next })
    }

    /// Changes how many bytes an account may hold. Less than it holds only keeps new mail out.
    ///
    /// # Errors
    /// [`DirectoryError::NoAccount`], or the port's.
    pub async fn set_quota(&self, key: AccountKey, quota_bytes: u64) -> Result<(), DirectoryError> {
        self.change_account(key, |account| account.quota_bytes = quota_bytes).await
    }

    /// Disables an account or enables it again.
    ///
    /// # Errors
    /// [`DirectoryError::NoAccount`], or the port's.
    pub async fn set_account_state(
        &self,
        key: AccountKey,
        state: AccountState,
    ) -> Result<(), DirectoryError> {
        self.change_account(key, |account| account.state = state).await
    }

    pub(crate) async fn change_account(
        &self,
        key: AccountKey,
        change: impl Fn(&mut Account),
    ) -> Result<(), DirectoryError> {
        let missing = || DirectoryError::NoAccount(key.to_string());
        self.account(key).await?.ok_or_else(missing)?;
        let changed = self
            .change(&account_item_key(key), |item: &mut AccountItem| {
                change(&mut item.account);
                item.complete = true;
                Ok(())
            })
            .await?;
        changed.ok_or_else(missing)
    }

    /// Replaces the password. Sign-ins with the old one fail from here on, also those remembered in memory.
    ///
    /// # Errors
    /// [`DirectoryError::Password`], [`DirectoryError::NoAccount`], or the port's.
    pub async fn set_password(&self, key: AccountKey, password: &str) -> Result<(), DirectoryError> {
        let credential: Credential = self.sign_ins.hash(password).await?;
        self.account(key).await?.ok_or_else(|| DirectoryError::NoAccount(key.to_string()))?;
        self.write(&credential_key(key), &credential, Expected::Any).await?;
        Ok(())
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

#[cfg(test)]
mod tests {
    use pennypost_model::codec::{decode, encode_plain};

    use super::*;

    #[test]
    fn accounts_of_before_mail_programs_had_settings_are_read() {
        let old = AccountItemV1 {
            account: AccountV1 {
                key: AccountKey { tenant: TenantId(1), account: AccountId(2) },
                address: MailAddress::parse("ann@acme.example").expect("an address"),
                state: AccountState::Disabled,
                quota_bytes: 7,
                created: Timestamp(8),
                display_name: "Ann".to_owned(),
            },
            complete: true,
        };
        let item: AccountItem = decode(&encode_plain(&old, 1)).expect("read");
        let Account { state, quota_bytes, created, display_name, clients, .. } = item.account;
        assert_eq!((state, quota_bytes, created), (AccountState::Disabled, 7, Timestamp(8)));
        assert_eq!((display_name.as_str(), clients), ("Ann", ClientSettings::default()));
        assert!(item.complete);
    }
}
