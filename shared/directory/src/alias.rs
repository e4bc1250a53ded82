//! Aliases: further addresses of accounts.
//!
//! An alias is what its address item says. `T/aliases` names, under each account, the addresses that may be aliases of it:
//! written before the address and erased after it, so that none is missing there.

use pennypost_model::codec::Versioned;
use pennypost_model::{AccountId, AccountKey, TenantId};
use pennypost_ports::{Consistency, ControlKey, Expected};
use serde::{Deserialize, Serialize};

use crate::address::{Entry, address_key, address_of_sort, addresses_partition};
use crate::store::MAX_ATTEMPTS;
use crate::{AccountKind, Directory, DirectoryError, Listed, MAX_PAGE, MailAddress, Page};

/// Accounts that an alias may lead to. What leads to more is a group.
pub const MAX_ALIAS_TARGETS: usize = 50;

/// Aliases of one account (ORG-08).
pub const MAX_ALIASES: usize = 50;
/// Aliases of a business mailbox (BIZ-04).
pub const MAX_BUSINESS_ALIASES: usize = 5;

/// An account that an alias or group leads to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Target {
    /// The account.
    pub account: AccountId,
    /// Its own address.
    pub address: MailAddress,
}

/// Another address of one account, or of a few.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Alias {
    /// The alias.
    pub address: MailAddress,
    /// Whose address it is; never empty.
    pub targets: Vec<Target>,
}

/// That an address may be an alias of an account.
#[derive(Debug, Serialize, Deserialize)]
struct AliasItem;

impl Versioned for AliasItem {
    const KIND: &'static str = "alias";
}

fn aliases_partition(tenant: TenantId) -> String {
    format!("{tenant}/aliases")
}

pub(crate) fn alias_key(account: AccountKey, alias: &MailAddress) -> ControlKey {
    let sort = format!("{}/{}/{}", account.account, alias.domain(), alias.local());
    ControlKey::new(aliases_partition(account.tenant), sort)
}

impl Directory {
    /// Adds an alias for accounts of the tenant that owns its domain.
    ///
    /// # Errors
    /// [`DirectoryError::Address`], [`DirectoryError::UnsuitableAddress`], [`DirectoryError::NoDomain`],
    /// [`DirectoryError::NoAccount`], [`DirectoryError::OtherTenant`], [`DirectoryError::NoTargets`],
    /// [`DirectoryError::TooMany`] (also for an account with [`MAX_ALIASES`], or a business mailbox with
    /// [`MAX_BUSINESS_ALIASES`]), [`DirectoryError::AddressTaken`], or the port's.
    pub async fn add_alias<T: AsRef<str>>(
        &self,
        alias: &str,
        targets: &[T],
    ) -> Result<Alias, DirectoryError> {
        let (tenant, address) = self.place_for(alias).await?;
        if targets.is_empty() {
            return Err(DirectoryError::NoTargets);
        }
        if targets.len() > MAX_ALIAS_TARGETS {
            return Err(DirectoryError::TooMany { what: "an alias", limit: MAX_ALIAS_TARGETS });
        }
        let mut found: Vec<Target> = Vec::with_capacity(targets.len());
        for target in targets {
            let account = self.account_of_tenant(tenant, target.as_ref()).await?;
            let limit = match account.kind {
                AccountKind::Member => MAX_ALIASES,
                AccountKind::Business => MAX_BUSINESS_ALIASES,
            };
            if self.aliases_of(account.key).await?.len() >= limit {
                return Err(DirectoryError::TooMany { what: "an account's aliases", limit });
            }
            let target = Target { account: account.key.account, address: account.address };
            if !found.contains(&target) {
                found.push(target);
            }
        }
        self.note_alias(tenant, &address, &found).await?;
        self.give_address(tenant, &address, &Entry::Alias(found.clone())).await?;
        Ok(Alias { address, targets: found })
    }

    /// The alias at an address.
    ///
    /// # Errors
    /// [`DirectoryError::Address`], or the port's.
    #[pennypost_ports::compiled_here]
    pub async fn alias(&self, alias: &str) -> Result<Option<Alias>, DirectoryError> {
        let address = MailAddress::parse(alias)?;
        let Some(tenant) = self.owner(address.domain(), Consistency::Strong).await? else { return Ok(None) };
        Ok(match self.entry(tenant, &address, Consistency::Strong).await?.map(|held| held.value) {
            Some(Entry::Alias(targets)) => Some(Alias { address, targets }),
            _ => None,
        })
    }

    /// Removes an alias: its address is free again.
    ///
    /// # Errors
    /// [`DirectoryError::NoAlias`], [`DirectoryError::Contended`], or the port's.
    #[pennypost_ports::compiled_here]
    pub async fn remove_alias(&self, alias: &str) -> Result<(), DirectoryError> {
        let address = MailAddress::parse(alias)?;
        let missing = || DirectoryError::NoAlias(address.to_string());
        let tenant = self.owner(address.domain(), Consistency::Strong).await?.ok_or_else(missing)?;
        let held = self.entry(tenant, &address, Consistency::Strong).await?.ok_or_else(missing)?;
        let Entry::Alias(targets) = held.value else { return Err(missing()) };
        self.free_address(tenant, &address, held.version).await?;
        for target in targets {
            self.erase(&alias_key(AccountKey { tenant, account: target.account }, &address)).await?;
        }
        Ok(())
    }

    /// The aliases of an account, by domain and local part (ORG-08).
    ///
    /// # Errors
    /// The port's.
    #[pennypost_ports::compiled_here]
    pub async fn aliases_of(&self, key: AccountKey) -> Result<Vec<MailAddress>, DirectoryError> {
        // What is older than this list is noted together with the cards.
        self.bring_cards_up_to_date(key.tenant).await?;
        let mut aliases = self.aliases_noted(key).await?;
        let mut index = 0;
        while let Some(alias) = aliases.get(index) {
            let entry = self.entry(key.tenant, alias, Consistency::Strong).await?.map(|held| held.value);
            if entry.is_some_and(|entry| leads_to(&entry, key.account)) {
                index += 1;
            } else {
                aliases.remove(index);
            }
        }
        Ok(aliases)
    }

    /// Addresses that may be aliases of an account.
    pub(crate) async fn aliases_noted(&self, key: AccountKey) -> Result<Vec<MailAddress>, DirectoryError> {
        let partition = aliases_partition(key.tenant);
        let noted = self.control.query(&partition, &format!("{}/", key.account), None, MAX_PAGE).await?;
        let address = |(sort, _): &(String, _)| address_of_sort(sort.split_once('/')?.1);
        Ok(noted.iter().filter_map(address).collect())
    }

    /// Notes under each account that an address may be an alias of it.
    pub(crate) async fn note_alias(
        &self,
        tenant: TenantId,
        alias: &MailAddress,
        targets: &[Target],
    ) -> Result<(), DirectoryError> {
        for target in targets {
            let key = alias_key(AccountKey { tenant, account: target.account }, alias);
            self.write(&key, &AliasItem, Expected::Any).await?;
        }
        Ok(())
    }

    /// Takes an account out of an alias; one that leads to nobody else is free again.
    pub(crate) async fn leave_alias(
        &self,
        key: AccountKey,
        alias: &MailAddress,
    ) -> Result<(), DirectoryError> {
        for _ in 0..MAX_ATTEMPTS {
            let held = self.entry(key.tenant, alias, Consistency::Strong).await?;
            let Some(held) = held.filter(|held| leads_to(&held.value, key.account)) else { break };
            let Entry::Alias(mut targets) = held.value else { break };
            targets.retain(|target| target.account != key.account);
            let entry = if targets.is_empty() { Entry::Free } else { Entry::Alias(targets) };
            let expected = Expected::Version(held.version);
            if self.write(&address_key(key.tenant, alias), &entry, expected).await?.is_some() {
                break;
            }
        }
        self.erase(&alias_key(key, alias)).await
    }

    /// Aliases of a tenant, by domain and local part. A page may hold few though more follow.
    ///
    /// # Errors
    /// The port's.
    #[pennypost_ports::compiled_here]
    pub async fn aliases(&self, tenant: TenantId, page: &Page) -> Result<Listed<Alias>, DirectoryError> {
        let listed = self.list::<Entry>(&addresses_partition(tenant), "", page).await?;
        let aliases = listed.items.into_iter().filter_map(|(sort, entry)| match entry {
            Entry::Alias(targets) => Some(Alias { address: address_of_sort(&sort)?, targets }),
            _ => None,
        });
        Ok(Listed { items: aliases.collect(), next: listed.next })
    }
}

fn leads_to(entry: &Entry, account: AccountId) -> bool {
    matches!(entry, Entry::Alias(targets) if targets.iter().any(|target| target.account == account))
}
