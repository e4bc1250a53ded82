//! At which addresses an organisation gets reports of others about its mail (DMARC, TLS, complaints).
//!
//! `T`/`report-addresses` holds them. They are addresses of its own, where letters come in as at any: a report stays a letter, and
//! what it says is noted beside that. Read for letters that may be reports by what they are made of, and for no other.

use std::collections::BTreeSet;

use pennypost_model::TenantId;
use pennypost_model::codec::Versioned;
use pennypost_ports::{Consistency, ControlKey, Expected};
use serde::{Deserialize, Serialize};

use crate::{Directory, DirectoryError, DomainName, MailAddress, Resolved};

/// Addresses at which an organisation gets reports.
pub const MAX_REPORT_ADDRESSES: usize = 10;
/// Labels above a domain that are asked whose it is.
const MAX_STEPS: usize = 4;

/// The addresses at which reports come in.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReportAddresses(pub BTreeSet<MailAddress>);

impl Versioned for ReportAddresses {
    const KIND: &'static str = "report addresses";
}

fn key(tenant: TenantId) -> ControlKey {
    ControlKey::new(tenant.to_string(), "report-addresses")
}

impl Directory {
    /// The addresses at which an organisation gets reports. One read.
    ///
    /// # Errors
    /// The port's.
    #[pennypost_ports::compiled_here]
    pub async fn report_addresses(&self, tenant: TenantId) -> Result<ReportAddresses, DirectoryError> {
        let held = self.read::<ReportAddresses>(&key(tenant), Consistency::Eventual).await?;
        Ok(held.map(|held| held.value).unwrap_or_default())
    }

    /// Says other addresses, if those that hold are still as expected; `false` if they are not.
    ///
    /// # Errors
    /// [`DirectoryError::TooMany`]; [`DirectoryError::NoAccount`] for an address at which nobody gets mail in this organisation; or
    /// the port's.
    #[pennypost_ports::compiled_here]
    pub async fn change_report_addresses(
        &self,
        tenant: TenantId,
        expected: &ReportAddresses,
        addresses: &ReportAddresses,
    ) -> Result<bool, DirectoryError> {
        if addresses.0.len() > MAX_REPORT_ADDRESSES {
            return Err(DirectoryError::TooMany { what: "report addresses", limit: MAX_REPORT_ADDRESSES });
        }
        let held = self.read::<ReportAddresses>(&key(tenant), Consistency::Strong).await?;
        let (stored, version) = match held {
            Some(held) => (held.value, Expected::Version(held.version)),
            None => (ReportAddresses::default(), Expected::Absent),
        };
        if stored != *expected {
            return Ok(false);
        }
        if stored == *addresses {
            return Ok(true);
        }
        for address in addresses.0.difference(&stored.0) {
            match self.resolve(&address.to_string()).await? {
                Resolved::Local { tenant: owner, .. } if owner == tenant => {}
                _ => return Err(DirectoryError::NoAccount(address.to_string())),
            }
        }
        Ok(self.write(&key(tenant), addresses, version).await?.is_some())
    }

    /// Is the domain, or one above it, the tenant's? At most ten reads.
    ///
    /// # Errors
    /// The port's.
    #[pennypost_ports::compiled_here]
    pub async fn is_domain_of(&self, tenant: TenantId, name: &str) -> Result<bool, DirectoryError> {
        let mut name = Some(name);
        for _ in 0..=MAX_STEPS {
            let Some(domain) = name.filter(|name| name.contains('.') && DomainName::parse(name).is_ok())
            else {
                return Ok(false);
            };
            let found = self.domain(domain).await?;
            if let Some(found) = found {
                return Ok(found.tenant == tenant && found.state.is_owned());
            }
            name = domain.split_once('.').map(|(_, above)| above);
        }
        Ok(false)
    }
}
