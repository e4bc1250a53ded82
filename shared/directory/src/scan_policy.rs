//! What an organisation says of what scanners find (RCV-13, RCV-15): `T`/`scan-policy`. It is an item of its own, beside the policy
//! of senders and subjects: only where there are scanners is it read.

use pennypost_model::TenantId;
use pennypost_policy::ScanPolicy;
use pennypost_ports::{Consistency, ControlKey, Expected};

use crate::{Directory, DirectoryError};

fn scan_policy_key(tenant: TenantId) -> ControlKey {
    ControlKey::new(tenant.to_string(), "scan-policy")
}

impl Directory {
    /// What an organisation says of what scanners find; the default, if it has said nothing. May miss what was written a moment
    /// ago, unless it is asked strongly.
    ///
    /// # Errors
    /// The port's.
    #[pennypost_ports::compiled_here]
    pub async fn scan_policy(
        &self,
        tenant: TenantId,
        consistency: Consistency,
    ) -> Result<ScanPolicy, DirectoryError> {
        let held = self.read::<ScanPolicy>(&scan_policy_key(tenant), consistency).await?;
        Ok(held.map(|held| held.value).unwrap_or_default())
    }

    /// Says something else, if what holds is still as expected; `false` if it is not. Whether it can be is the caller's to check.
    ///
    /// # Errors
    /// The port's.
    #[pennypost_ports::compiled_here]
    pub async fn change_scan_policy(
        &self,
        tenant: TenantId,
        expected: &ScanPolicy,
        policy: &ScanPolicy,
    ) -> Result<bool, DirectoryError> {
        let key = scan_policy_key(tenant);
        let held = self.read::<ScanPolicy>(&key, Consistency::Strong).await?;
        let (stored, version) = match held {
            Some(held) => (held.value, Expected::Version(held.version)),
            None => (ScanPolicy::default(), Expected::Absent),
        };
        if stored != *expected {
            return Ok(false);
        }
        if stored == *policy {
            return Ok(true);
        }
        Ok(self.write(&key, policy, version).await?.is_some())
    }
}
