//! Policies for TLS (MTA-STS): said by a domain's administrators, told to the world.
//!
//! | partition | sort | holds |
//! | --- | --- | --- |
//! | `T/mta-sts` | name | the [`TlsPolicy`] of a domain |

use pennypost_directory::{DirectoryError, Domain, DomainState};
use pennypost_domains::{Service, TlsPolicy};
use pennypost_model::TenantId;
use pennypost_ports::{ControlKey, Expected};
use serde_json::{Value, json};

use crate::action::Action;
use crate::authorise::Scope;
use crate::call::{About, Call};
use crate::{AdminError, Administration, Conflict, Invalid};

/// What is said of a domain, and what the world is told by it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Policed {
    /// The domain.
    pub domain: Domain,
    /// What is said; none: nothing is published.
    pub policy: Option<TlsPolicy>,
    /// The document, and its name in the record of the domain; none without a policy, or where the operator has not said
    /// at what domains have to point.
    pub published: Option<(String, String)>,
}

fn key(domain: &Domain) -> ControlKey {
    ControlKey::new(format!("{}/mta-sts", domain.tenant), domain.name.to_string())
}

fn shown(policy: &TlsPolicy) -> Value {
    json!({ "mode": policy.mode.name(), "max_age": policy.max_age })
}

fn published(policy: &TlsPolicy, service: &Service) -> (String, String) {
    (policy.text(service), policy.id(service))
}

impl Administration {
    pub(crate) async fn tls_policy(&self, domain: &Domain) -> Result<Option<TlsPolicy>, AdminError> {
        Ok(self.read::<TlsPolicy>(&key(domain)).await?.map(|(policy, _)| policy))
    }

    pub(crate) async fn forget_tls_policy(&self, domain: &Domain) -> Result<(), AdminError> {
        self.erase(&key(domain)).await.map(drop)
    }

    async fn policed(&self, domain: Domain) -> Result<Policed, AdminError> {
        let policy = self.tls_policy(&domain).await?;
        let published = match &policy {
            None => None,
            Some(policy) => match self.said_service().await {
                Ok(service) => Some(published(policy, &service)),
                Err(AdminError::Conflict(Conflict::ServiceUnsaid)) => None,
                Err(error) => return Err(error),
            },
        };
        Ok(Policed { domain, policy, published })
    }

    /// The policy for TLS of a domain of the tenant.
    ///
    /// # Errors
    /// [`AdminError`].
    #[pennypost_ports::compiled_here]
    pub async fn domain_tls(&self, call: &Call, tenant: TenantId, name: &str) -> Result<Policed, AdminError> {
        call.may(Action::DomainRead, &Scope::Tenant(tenant))?;
        self.policed(self.own(tenant, name).await?).await
    }

    /// Says another policy, if the one that is said is still as `expected`. There is no way back to none at all: others
    /// remember what was published until they are told that there is none any more ([`pennypost_domains::TlsMode::None`]).
    ///
    /// # Errors
    /// [`AdminError`].
    #[pennypost_ports::compiled_here]
    pub async fn change_domain_tls(
        &self,
        call: &Call,
        tenant: TenantId,
        name: &str,
        expected: Option<TlsPolicy>,
        policy: TlsPolicy,
    ) -> Result<Policed, AdminError> {
        let about = About::new(Some(tenant), Action::DomainTls, name)
            .from(expected.as_ref().map(shown).unwrap_or_default())
            .to(shown(&policy));
        self.permit(call, &Scope::Tenant(tenant), &about).await?;
        policy.check().map_err(|_| Invalid::TlsPolicy)?;
        let domain = self.own(tenant, name).await?;
        if !domain.state.is_owned() || domain.state == DomainState::Removing {
            return Err(DirectoryError::DomainState(domain.name.to_string()).into());
        }
        let key = key(&domain);
        let change = async {
            let stored = self.read::<TlsPolicy>(&key).await?;
            if stored.as_ref().map(|(stored, _)| *stored) != expected {
                return Err(AdminError::Changed);
            }
            let version = stored.map_or(Expected::Absent, |(_, version)| Expected::Version(version));
            if self.write(&key, &policy, version).await? { Ok(()) } else { Err(AdminError::Changed) }
        };
        self.act(call, &about, change).await?;
        self.policed(domain).await
    }

    /// The document that the world finds at `mta-sts.DOMAIN`: whoever asks gets it. At most four reads.
    ///
    /// # Errors
    /// [`AdminError`].
    #[pennypost_ports::compiled_here]
    pub async fn published_tls_policy(&self, domain: &str) -> Result<Option<String>, AdminError> {
        let domain = match self.directory.domain(domain).await {
            Ok(Some(domain)) if domain.state.is_owned() => domain,
            Ok(_) | Err(DirectoryError::Address(_)) => return Ok(None),
            Err(error) => return Err(error.into()),
        };
        Ok(self.policed(domain).await?.published.map(|(text, _)| text))
    }
}
