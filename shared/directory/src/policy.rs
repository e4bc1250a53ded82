//! The stored policy of a tenant.

use pennypost_model::TenantId;
use pennypost_policy::{PolicyError, TenantPolicy};
use pennypost_ports::{Consistency, ControlKey, Expected};

use crate::store::MAX_ATTEMPTS;
use crate::{Directory, DirectoryError};

fn policy_key(tenant: TenantId) -> ControlKey {
    ControlKey::new(tenant.to_string(), "policy")
}

impl Directory {
    /// The tenant's policy with its version; the default (version 0) if it has set none. May miss what was
    /// written a moment ago.
    ///
    /// # Errors
    /// The port's.
    #[pennypost_ports::compiled_here]
    pub async fn policy(&self, tenant: TenantId) -> Result<TenantPolicy, DirectoryError> {
        self.policy_with(tenant, Consistency::Eventual).await
    }

    async fn policy_with(
        &self,
        tenant: TenantId,
        consistency: Consistency,
    ) -> Result<TenantPolicy, DirectoryError> {
        let held = self.read::<TenantPolicy>(&policy_key(tenant), consistency).await?;
        Ok(held.map(|held| TenantPolicy { version: held.version, ..held.value }).unwrap_or_default())
    }

    /// Changes the tenant's policy by compare-and-set; `change` may be called several times, each time with
    /// what is stored then. Gives what `change` gave and the policy with its new version.
    ///
    /// # Errors
    /// [`DirectoryError::NoTenant`], [`DirectoryError::Policy`] as `change` says, [`DirectoryError::Contended`],
    /// or the port's.
    pub async fn update_policy<R>(
        &self,
        tenant: TenantId,
        mut change: impl FnMut(&mut TenantPolicy) -> Result<R, PolicyError>,
    ) -> Result<(R, TenantPolicy), DirectoryError> {
        if self.tenant(tenant).await?.is_none() {
            return Err(DirectoryError::NoTenant(tenant.to_string()));
        }
        for _ in 0..MAX_ATTEMPTS {
            let stored = self.policy_with(tenant, Consistency::Strong).await?;
            let mut policy = stored.clone();
            let result = change(&mut policy)?;
            policy.version = stored.version;
            if policy == stored {
                return Ok((result, policy));
            }
            let expected =
                if stored.version == 0 { Expected::Absent } else { Expected::Version(stored.version) };
            if let Some(version) = self.write(&policy_key(tenant), &policy, expected).await? {
                return Ok((result, TenantPolicy { version, ..policy }));
            }
        }
        Err(DirectoryError::Contended)
    }
}
