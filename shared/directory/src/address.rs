//! The address item: what an address is. One item per address makes addresses unique.

use pennypost_model::codec::Versioned;
use pennypost_model::{AccountId, TenantId};
use pennypost_ports::{Consistency, ControlKey, Expected};
use serde::{Deserialize, Serialize};

use crate::alias::Target;
use crate::store::Held;
use crate::{Directory, DirectoryError, MailAddress, Member};

/// What an address is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Entry {
    /// Claimed for an account that is being added, perhaps by a process that has died.
    Claimed(AccountId),
    /// An account's own address.
    Account(AccountId),
    /// Another address of accounts.
    Alias(Vec<Target>),
    /// A group.
    Group { name: String, members: Vec<Member> },
}

impl Versioned for Entry {
    const KIND: &'static str = "address";
}

pub(crate) fn addresses_partition(tenant: TenantId) -> String {
    format!("{tenant}/addresses")
}

pub(crate) fn address_key(tenant: TenantId, address: &MailAddress) -> ControlKey {
    ControlKey::new(addresses_partition(tenant), format!("{}/{}", address.domain(), address.local()))
}

/// The address in the sort key of an address item.
pub(crate) fn address_of_sort(sort: &str) -> Option<MailAddress> {
    let (domain, local) = sort.split_once('/')?;
    let quoted = local.replace('\\', "\\\\").replace('"', "\\\"");
    MailAddress::parse(&format!("\"{quoted}\"@{domain}")).ok()
}

impl Directory {
    pub(crate) async fn entry(
        &self,
        tenant: TenantId,
        address: &MailAddress,
        consistency: Consistency,
    ) -> Result<Option<Held<Entry>>, DirectoryError> {
        self.read(&address_key(tenant, address), consistency).await
    }

    /// Parses an address that is to be given away, and finds the tenant of its domain.
    pub(crate) async fn place_for(&self, address: &str) -> Result<(TenantId, MailAddress), DirectoryError> {
        let address = MailAddress::parse(address)?;
        // A `+` in it could never be told from a tag of the base address.
        if !address.is_dot_atom() || address.local().contains('+') {
            return Err(DirectoryError::UnsuitableAddress { address: address.to_string() });
        }
        let no_domain = || DirectoryError::NoDomain(address.domain().to_string());
        let tenant = self.owner(address.domain(), Consistency::Strong).await?.ok_or_else(no_domain)?;
        self.domain_of(tenant, address.domain(), Consistency::Strong).await?.ok_or_else(no_domain)?;
        Ok((tenant, address))
    }

    /// Gives a free address to an alias or group.
    pub(crate) async fn give_address(
        &self,
        tenant: TenantId,
        address: &MailAddress,
        entry: &Entry,
    ) -> Result<(), DirectoryError> {
        let key = address_key(tenant, address);
        if self.write(&key, entry, Expected::Absent).await?.is_some() {
            return Ok(());
        }
        // An account whose adding was cut off stands in nobody's way.
        if let Some(held) = self.read::<Entry>(&key, Consistency::Strong).await?
            && let Entry::Claimed(abandoned) = held.value
            && self.write(&key, entry, Expected::Version(held.version)).await?.is_some()
        {
            return self.erase_account_items(tenant, abandoned).await;
        }
        Err(DirectoryError::AddressTaken(address.to_string()))
    }
}
