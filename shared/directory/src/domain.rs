//! Domains, each of one tenant.

use pennypost_model::codec::{CodecError, Versioned, decode_plain};
use pennypost_model::{AccountId, TenantId, Timestamp};
use pennypost_ports::{Consistency, ControlKey, Expected};
use serde::{Deserialize, Serialize};

use crate::{Directory, DirectoryError, DomainName, Listed, MailAddress, Page};

/// A mail domain.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Domain {
    /// Its name in A-labels.
    pub name: DomainName,
    /// Whose it is, or who says so.
    pub tenant: TenantId,
    /// The account that gets mail for unknown addresses (RCV-17).
    pub catch_all: Option<CatchAll>,
    /// When it was added.
    pub created: Timestamp,
    /// How far it is.
    pub state: DomainState,
    /// What its zone has to show to prove whose it is (DOM-08): a long token, and digits for a label. None, where the
    /// operator has said it.
    pub challenge: Option<(String, String)>,
    /// The domain for which it stands: mail to x@this is mail to x there.
    pub alias_of: Option<DomainName>,
    /// What the last check of its records said (DOM-07).
    pub health: Option<DomainHealth>,
}

/// How far a domain is. Stored: new ones at the end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum DomainState {
    /// The tenant says that it is its own, and has not shown it. Stands in nobody's way.
    Pending,
    /// The tenant has shown that it is its own, while another tenant has it.
    Conflict,
    /// It is the tenant's; that mail arrives is not known.
    Proved,
    /// It is the tenant's, and its mail is brought here.
    Active,
    /// The operator has closed it: mail is put off (TEN-10).
    Suspended,
    /// It is being removed.
    Removing,
}

impl DomainState {
    /// Its name for programs.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            DomainState::Pending => "pending",
            DomainState::Conflict => "conflict",
            DomainState::Proved => "proved",
            DomainState::Active => "active",
            DomainState::Suspended => "suspended",
            DomainState::Removing => "removing",
        }
    }

    /// Is it the tenant's?
    #[must_use]
    pub const fn is_owned(self) -> bool {
        !matches!(self, DomainState::Pending | DomainState::Conflict)
    }
}

/// What the last check of a domain's records said.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct DomainHealth {
    /// When.
    pub time: Timestamp,
    /// Is mail brought here? `None`: DNS did not answer.
    pub takes_mail: Option<bool>,
    /// Since when it has not been; kept from check to check (TEN-11).
    pub without_mail_since: Option<Timestamp>,
    /// Is something wrong or missing that is not optional?
    pub needs_attention: bool,
    /// Is mail that is forged in its name refused (DOM-10)?
    pub is_protected: bool,
}

impl Versioned for Domain {
    const KIND: &'static str = "domain";
    const VERSION: u8 = 2;

    fn upgrade(found: u8, bytes: &[u8]) -> Result<Domain, CodecError> {
        if found != 1 {
            return Err(CodecError::Version { kind: Self::KIND, found, known: Self::VERSION });
        }
        let DomainV1 { name, tenant, catch_all, created } = decode_plain(Self::KIND, bytes)?;
        Ok(Domain { catch_all, ..Domain::new(name, tenant, created, DomainState::Proved) })
    }
}

/// As stored when domains were given by the operator alone.
#[derive(Serialize, Deserialize)]
struct DomainV1 {
    name: DomainName,
    tenant: TenantId,
    catch_all: Option<CatchAll>,
    created: Timestamp,
}

impl Domain {
    pub(crate) fn new(name: DomainName, tenant: TenantId, created: Timestamp, state: DomainState) -> Domain {
        Domain {
            name,
            tenant,
            catch_all: None,
            created,
            state,
            challenge: None,
            alias_of: None,
            health: None,
        }
    }
}

/// The account that gets mail for unknown addresses.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CatchAll {
    /// The account.
    pub account: AccountId,
    /// Its address.
    pub address: MailAddress,
}

/// Whose a domain is, in the one registry of all tenants: all that a look-up of an address needs of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct DomainOwner {
    pub(crate) tenant: TenantId,
    /// The domain for which it stands.
    pub(crate) alias_of: Option<DomainName>,
    /// Mail is put off.
    pub(crate) is_closed: bool,
}

impl DomainOwner {
    pub(crate) const fn of(tenant: TenantId) -> DomainOwner {
        DomainOwner { tenant, alias_of: None, is_closed: false }
    }
}

impl Versioned for DomainOwner {
    const KIND: &'static str = "domain owner";
    const VERSION: u8 = 2;

    fn upgrade(found: u8, bytes: &[u8]) -> Result<DomainOwner, CodecError> {
        if found != 1 {
            return Err(CodecError::Version { kind: Self::KIND, found, known: Self::VERSION });
        }
        let DomainOwnerV1 { tenant } = decode_plain(Self::KIND, bytes)?;
        Ok(DomainOwner::of(tenant))
    }
}

#[derive(Serialize, Deserialize)]
struct DomainOwnerV1 {
    tenant: TenantId,
}

const DOMAIN_PREFIX: &str = "domain/";

pub(crate) fn owner_key(name: &DomainName) -> ControlKey {
    ControlKey::new(format!("domain/{name}"), "owner")
}

pub(crate) fn domain_key(tenant: TenantId, name: &DomainName) -> ControlKey {
    ControlKey::new(tenant.to_string(), format!("{DOMAIN_PREFIX}{name}"))
}

impl Directory {
    /// Gives a domain to a tenant. Repeating an interrupted call completes it.
    ///
    /// # Errors
    /// [`DirectoryError::Address`], [`DirectoryError::NoTenant`], [`DirectoryError::DomainTaken`], or the port's.
    #[pennypost_ports::compiled_here]
    pub async fn add_domain(&self, tenant: TenantId, name: &str) -> Result<Domain, DirectoryError> {
        let name = DomainName::parse(name)?;
        if !self.is_kept(tenant).await? {
            return Err(DirectoryError::NoTenant(tenant.to_string()));
        }
        if self.own_domain(tenant, &name).await? != tenant {
            return Err(DirectoryError::DomainTaken(name.to_string()));
        }
        let domain = Domain::new(name, tenant, self.clock.now(), DomainState::Proved);
        if self.write(&domain_key(tenant, &domain.name), &domain, Expected::Absent).await?.is_some() {
            return Ok(domain);
        }
        // The tenant has claimed it before: now it is said.
        let proved = self
            .change(&domain_key(tenant, &domain.name), |stored: &mut Domain| {
                if stored.state.is_owned() {
                    return Err(DirectoryError::DomainTaken(stored.name.to_string()));
                }
                (stored.state, stored.challenge) = (DomainState::Proved, None);
                Ok(stored.clone())
            })
            .await?;
        proved.ok_or_else(|| DirectoryError::DomainTaken(domain.name.to_string()))
    }

    /// The domain of that name.
    ///
    /// # Errors
    /// [`DirectoryError::Address`], or the port's.
    #[pennypost_ports::compiled_here]
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
    #[pennypost_ports::compiled_here]
    pub async fn domains(&self, tenant: TenantId, page: &Page) -> Result<Listed<Domain>, DirectoryError> {
        let listed = self.list::<Domain>(&tenant.to_string(), DOMAIN_PREFIX, page).await?;
        Ok(Listed { items: listed.items.into_iter().map(|(_, domain)| domain).collect(), next: listed.next })
    }

    /// Names the account that gets mail to unknown addresses of a domain, or none.
    ///
    /// # Errors
    /// [`DirectoryError::NoDomain`], [`DirectoryError::NoAccount`], [`DirectoryError::OtherTenant`], or the
    /// port's.
    #[pennypost_ports::compiled_here]
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
        Ok(self.ownership(name, consistency).await?.map(|owner| owner.tenant))
    }

    /// Whose domain it is, and what holds for all of its addresses.
    pub(crate) async fn ownership(
        &self,
        name: &DomainName,
        consistency: Consistency,
    ) -> Result<Option<DomainOwner>, DirectoryError> {
        Ok(self.read::<DomainOwner>(&owner_key(name), consistency).await?.map(|held| held.value))
    }

    /// Where an address lies: in the domain for which its own stands.
    pub(crate) async fn home_of(
        &self,
        address: &MailAddress,
        consistency: Consistency,
    ) -> Result<Option<(TenantId, MailAddress)>, DirectoryError> {
        let owner = self.ownership(address.domain(), consistency).await?;
        Ok(owner.map(|owner| match owner.alias_of {
            Some(domain) => (owner.tenant, address.in_domain(&domain)),
            None => (owner.tenant, address.clone()),
        }))
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
