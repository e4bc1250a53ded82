//! Who wants a summary of what lies in quarantine for him, once a day (RCV-11).
//!
//! Owns the control items `T/quarantine-digests`, `A`: whether it is wanted, and of what came there up to when it was told. That is written before the
//! summary: who dies in between tells nobody of these letters, which still can be seen, and nobody is told of one twice.

use pennypost_model::codec::Versioned;
use pennypost_model::{AccountKey, TenantId, Timestamp};
use pennypost_ports::{Consistency, ControlKey, Expected};
use serde::{Deserialize, Serialize};

use crate::store::MAX_ATTEMPTS;
use crate::{Directory, DirectoryError, Listed, Page};

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
struct DigestItem {
    wanted: bool,
    told: Option<Timestamp>,
}

impl Versioned for DigestItem {
    const KIND: &'static str = "digest of the quarantine";
}

fn partition(tenant: TenantId) -> String {
    format!("{tenant}/quarantine-digests")
}

fn digest_key(key: AccountKey) -> ControlKey {
    ControlKey::new(partition(key.tenant), key.account.to_string())
}

impl Directory {
    /// Does the account want a summary of what lies in quarantine for it?
    ///
    /// # Errors
    /// The port's.
    #[pennypost_ports::compiled_here]
    pub async fn wants_quarantine_digest(&self, key: AccountKey) -> Result<bool, DirectoryError> {
        let held = self.read::<DigestItem>(&digest_key(key), Consistency::Strong).await?;
        Ok(held.is_some_and(|held| held.value.wanted))
    }

    /// Says that it wants one, or no more.
    ///
    /// # Errors
    /// [`DirectoryError::Contended`], or the port's.
    #[pennypost_ports::compiled_here]
    pub async fn want_quarantine_digest(&self, key: AccountKey, wanted: bool) -> Result<(), DirectoryError> {
        for _ in 0..MAX_ATTEMPTS {
            let held = self.read::<DigestItem>(&digest_key(key), Consistency::Strong).await?;
            let (item, expected) = match held {
                Some(held) => (held.value, Expected::Version(held.version)),
                None => (DigestItem::default(), Expected::Absent),
            };
            let said = DigestItem { wanted, ..item };
            if said == item || self.write(&digest_key(key), &said, expected).await?.is_some() {
                return Ok(());
            }
        }
        Err(DirectoryError::Contended)
    }

    /// Accounts of a page that want one, each with the time up to which it was told.
    ///
    /// # Errors
    /// The port's.
    #[pennypost_ports::compiled_here]
    pub async fn quarantine_digests(
        &self,
        tenant: TenantId,
        page: &Page,
    ) -> Result<Listed<(AccountKey, Option<Timestamp>)>, DirectoryError> {
        let listed = self.list::<DigestItem>(&partition(tenant), "", page).await?;
        let wanted = listed.items.into_iter().filter(|(_, item)| item.wanted);
        let named = wanted.filter_map(|(sort, item)| {
            let account = sort.parse().ok()?;
            Some((AccountKey { tenant, account }, item.told))
        });
        Ok(Listed { items: named.collect(), next: listed.next })
    }

    /// Notes that an account is told of what came up to then; `false` if somebody else has told it meanwhile, or it wants none any more.
    ///
    /// # Errors
    /// The port's.
    #[pennypost_ports::compiled_here]
    pub async fn note_quarantine_digest(
        &self,
        key: AccountKey,
        before: Option<Timestamp>,
        told: Timestamp,
    ) -> Result<bool, DirectoryError> {
        let Some(held) = self.read::<DigestItem>(&digest_key(key), Consistency::Strong).await? else {
            return Ok(false);
        };
        if !held.value.wanted || held.value.told != before {
            return Ok(false);
        }
        let item = DigestItem { wanted: true, told: Some(told) };
        Ok(self.write(&digest_key(key), &item, Expected::Version(held.version)).await?.is_some())
    }

    /// Forgets what was said, with its owner.
    pub(crate) async fn forget_quarantine_digest(&self, key: AccountKey) -> Result<(), DirectoryError> {
        self.erase(&digest_key(key)).await
    }
}
