//! Domains, each of one tenant.

use pennypost_model::codec::Versioned;
use pennypost_model::{AccountId, TenantId, Timestamp};
use pennypost_ports::{Consistency, ControlKey, Expected};
use serde::{Deserialize, Serialize};

use crate::{Directory, DirectoryError, DomainName, Listed, MailAddress, Page};

/// A mail domain.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Domain {
    /// Its name in A-labels.
    pub name: DomainName,
    /// Whose it is.
    pub tenant: TenantId,
    /// The account that gets mail for unknown addresses (RCV-17).
    pub catch_all: Option<CatchAll>,
    /// When it was added.
    pub created: Timestamp,
}

impl Versioned for Domain {
    const KIND: &'static str = "domain";
}

/// The account that gets mail for unknown addresses.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CatchAll {
    /// The account.
    pub account: AccountId,
    /// Its address.
    pub address: MailAddress,
}

#[derive(Debug, Serialize, Deserialize)]
struct DomainOwner {
    tenant: TenantId,
}

impl Versioned for DomainOwner {
    const KIND: &'static str = "domain owner";
}

const DOMAIN_PREFIX: &str = "domain/";

fn owner_key(name: &DomainName) -> ControlKey {
    ControlKey::new(format!("domain/{name}"), "owner")
}

fn domain_key(tenant: TenantId, name: &DomainName) -> ControlKey {
    ControlKey::new(tenant.to_string(), format!("{DOMAIN_PREFIX}{name}"))
}

impl Directory {
    /// Gives a domain to a tenant. Repeating an interrupted call completes it.
    ///
    /// # Errors
    /// [`DirectoryError::Address`], [`DirectoryError::NoTenant`], [`DirectoryError::DomainTaken`], or the port's.
    pub async fn add_domain(&self, tenant: TenantId, name: &str) -> Result<Domain, DirectoryError> {
        let name = DomainName::parse(name)?;
        if self.tenant(tenant).await?.is_none() {
            return Err(DirectoryError::NoTenant(tenant.to_string()));
        }
        let owner = DomainOwner { tenant };
        if self.write(&owner_key(&name), &owner, Expected::Absent).await?.is_none() {
            let found = self.read::<DomainOwner>(&owner_key(&name), Consistency::Strong).await?;
            if found.is_none_or(|found| found.value.tenant != tenant) {
                return Err(DirectoryError::DomainTaken(name.to_string()));
            }
        }
        let domain = Domain { name, tenant, catch_all: None, created: self.clock.now() };
        match self.write(&domain_key(tenant, &domain.name), &domain, Expected::Absent).await? {
            Some(_) => Ok(domain),
            None => Err(DirectoryError::DomainTaken(domain.name.to_string())),
        }
    }

    /// The domain of that name.
    ///
    /// # Errors
    /// [`DirectoryError::Address`], or the port's.
    pub async fn domain(&self, name: &str) -> Result<Option<Domain>, DirectoryError> {
        let name = DomainName::parse(name)?;
        match self.owner(&name, Consistency::Strong).await? {
            Some(tenant) => self.domain_of(tenant, &name, Consistency::Strong).await,
            None => Ok(None),
        }
    }

    /// Domains of a tenant in the order of their names.
    ///
    /// # Errors
    /// The port's.
    pub async fn domains(&self, tenant: TenantId, page: &Page) -> Result<Listed<Domain>, DirectoryError> {
        let listed = self.list::<Domain>(&tenant.to_string(), DOMAIN_PREFIX, page).await?;
        Ok(Listed { items: listed.items.into_iter().map(|(_, domain)| domain).collect(), next: listed.next })
    }

    /// Names the account that gets mail to unknown addresses of a domain, or none.
    ///
    /// # Errors
    /// [`DirectoryError::NoDomain`], [`DirectoryError::NoAccount`], [`DirectoryError::OtherTenant`], or the
    /// port's.
    pub async fn set_catch_all(&self, domain: &str, account: Option<&str>) -> Result<(), DirectoryError> {
        self.set_catch_all_where(domain, account, |_| true).await
    }

    /// The same, if the domain is as it should be.
    pub(crate) async fn set_catch_all_where(
        &self,
        domain: &str,
        account: Option<&str>,
        is_right: impl Fn(&Domain) -> bool,
    ) -> Result<(), DirectoryError> {
        let name = DomainName::parse(domain)?;
        let no_domain = || DirectoryError::NoDomain(name.to_string());
        let tenant = self.owner(&name, Consistency::Strong).await?.ok_or_else(no_domain)?;
        let catch_all = match account {
            Some(address) => {
                let account = self.account_of_tenant(tenant, address).await?;
                Some(CatchAll { account: account.key.account, address: account.address })
            }
            None => None,
        };
        let changed = self
            .change(&domain_key(tenant, &name), |stored: &mut Domain| {
                if is_right(stored) {
                    stored.catch_all.clone_from(&catch_all);
                }
                Ok(())
            })
            .await?;
        changed.ok_or_else(no_domain)
    }

    /// Whose domain it is.
    pub(crate) async fn owner(
        &self,
        name: &DomainName,
        consistency: Consistency,
    ) -> Result<Option<TenantId>, DirectoryError> {
        Ok(self.read::<DomainOwner>(&owner_key(name), consistency).await?.map(|held| held.value.tenant))
    }

    pub(crate) async fn domain_of(
        &self,
        tenant: TenantId,
        name: &DomainName,
        consistency: Consistency,
    ) -> Result<Option<Domain>, DirectoryError> {
        Ok(self.read(&domain_key(tenant, name), consistency).await?.map(|held| held.value))
    }
}
