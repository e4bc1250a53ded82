//! Aliases: further addresses of accounts.

use pennypost_model::{AccountId, TenantId};
use pennypost_ports::Consistency;
use serde::{Deserialize, Serialize};

use crate::address::{Entry, address_of_sort, addresses_partition};
use crate::{Directory, DirectoryError, Listed, MailAddress, Page};

/// Accounts that an alias may lead to. What leads to more is a group.
pub const MAX_ALIAS_TARGETS: usize = 50;

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

impl Directory {
    /// Adds an alias for accounts of the tenant that owns its domain.
    ///
    /// # Errors
    /// [`DirectoryError::Address`], [`DirectoryError::UnsuitableAddress`], [`DirectoryError::NoDomain`],
    /// [`DirectoryError::NoAccount`], [`DirectoryError::OtherTenant`], [`DirectoryError::NoTargets`],
    /// [`DirectoryError::TooMany`], [`DirectoryError::AddressTaken`], or the port's.
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
            let target = Target { account: account.key.account, address: account.address };
            if !found.contains(&target) {
                found.push(target);
            }
        }
        self.give_address(tenant, &address, &Entry::Alias(found.clone())).await?;
        Ok(Alias { address, targets: found })
    }

    /// Removes an alias: its address is free again.
    ///
    /// # Errors
    /// [`DirectoryError::NoAlias`], [`DirectoryError::Contended`], or the port's.
    pub async fn remove_alias(&self, alias: &str) -> Result<(), DirectoryError> {
        let address = MailAddress::parse(alias)?;
        let missing = || DirectoryError::NoAlias(address.to_string());
        let tenant = self.owner(address.domain(), Consistency::Strong).await?.ok_or_else(missing)?;
        let held = self.entry(tenant, &address, Consistency::Strong).await?.ok_or_else(missing)?;
        if !matches!(held.value, Entry::Alias(_)) {
            return Err(missing());
        }
        self.free_address(tenant, &address, held.version).await
    }

    /// Aliases of a tenant, by domain and local part. A page may hold few though more follow.
    ///
    /// # Errors
    /// The port's.
    pub async fn aliases(&self, tenant: TenantId, page: &Page) -> Result<Listed<Alias>, DirectoryError> {
        let listed = self.list::<Entry>(&addresses_partition(tenant), "", page).await?;
        let aliases = listed.items.into_iter().filter_map(|(sort, entry)| match entry {
            Entry::Alias(targets) => Some(Alias { address: address_of_sort(&sort)?, targets }),
            _ => None,
        });
        Ok(Listed { items: aliases.collect(), next: listed.next })
    }
}
