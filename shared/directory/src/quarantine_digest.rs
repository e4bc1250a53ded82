//! Who wants a summary of what lies in quarantine for him, once a day (RCV-11), and of what went to Junk (RCV-12).
//!
//! Owns the control items `T/quarantine-digests`, `A`: whether it is wanted, of what came there up to when it was told, and up to when a summary
//! tells that is being written. That is said before the summary goes, which has an id made of it: who dies in between writes it once more, and it comes
//! once; and only behind it does it count as told.

use pennypost_model::codec::{self, CodecError, Versioned};
use pennypost_model::{AccountKey, TenantId, Timestamp};
use pennypost_ports::{Consistency, ControlKey, Expected};
use serde::{Deserialize, Serialize};

use crate::store::MAX_ATTEMPTS;
use crate::{Directory, DirectoryError, Listed, Page};

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
struct DigestItem {
    wanted: bool,
    told: Option<Timestamp>,
    telling: Option<Timestamp>,
    junk: bool,
}

impl DigestItem {
    const fn wish(&self) -> DigestWish {
        DigestWish { quarantine: self.wanted, junk: self.junk }
    }
}

/// What an account is told of once a day.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct DigestWish {
    /// Suspected spam that has come into quarantine.
    pub quarantine: bool,
    /// What went to Junk: for who fetches by POP3, and does not see it.
    pub junk: bool,
}

impl DigestWish {
    const fn is_any(self) -> bool {
        self.quarantine || self.junk
    }
}

/// What an account was told of what lies in quarantine for it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct QuarantineTold {
    /// Of what came there up to then.
    pub told: Option<Timestamp>,
    /// Up to when a summary tells that is perhaps written, and perhaps not.
    pub telling: Option<Timestamp>,
}

impl Versioned for DigestItem {
    const KIND: &'static str = "digest of the quarantine";
    const VERSION: u8 = 2;

    /// Programs that know of the quarantine alone read what they know: what they don't stands behind it.
    fn version(&self) -> u8 {
        1
    }

    fn upgrade(found: u8, body: &[u8]) -> Result<DigestItem, CodecError> {
        match found {
            1 => codec::decode_without_last(Self::KIND, body),
            _ => Err(CodecError::Version { kind: Self::KIND, found, known: Self::VERSION }),
        }
    }
}

fn partition(tenant: TenantId) -> String {
    format!("{tenant}/quarantine-digests")
}

fn digest_key(key: AccountKey) -> ControlKey {
    ControlKey::new(partition(key.tenant), key.account.to_string())
}

impl Directory {
    /// Of what the account wants a summary.
    ///
    /// # Errors
    /// The port's.
    #[pennypost_ports::compiled_here]
    pub async fn wants_quarantine_digest(&self, key: AccountKey) -> Result<DigestWish, DirectoryError> {
        let held = self.read::<DigestItem>(&digest_key(key), Consistency::Strong).await?;
        Ok(held.map(|held| held.value.wish()).unwrap_or_default())
    }

    /// Says of what it wants one.
    ///
    /// # Errors
    /// [`DirectoryError::Contended`], or the port's.
    #[pennypost_ports::compiled_here]
    pub async fn want_quarantine_digest(
        &self,
        key: AccountKey,
        wish: DigestWish,
    ) -> Result<(), DirectoryError> {
        for _ in 0..MAX_ATTEMPTS {
            let held = self.read::<DigestItem>(&digest_key(key), Consistency::Strong).await?;
            let (item, expected) = match held {
                Some(held) => (held.value, Expected::Version(held.version)),
                None => (DigestItem::default(), Expected::Absent),
            };
            let said = DigestItem { wanted: wish.quarantine, junk: wish.junk, ..item };
            if said == item || self.write(&digest_key(key), &said, expected).await?.is_some() {
                return Ok(());
            }
        }
        Err(DirectoryError::Contended)
    }

    /// Accounts of a page that want one, each with of what, and what it was told of.
    ///
    /// # Errors
    /// The port's.
    #[pennypost_ports::compiled_here]
    pub async fn quarantine_digests(
        &self,
        tenant: TenantId,
        page: &Page,
    ) -> Result<Listed<(AccountKey, DigestWish, QuarantineTold)>, DirectoryError> {
        let listed = self.list::<DigestItem>(&partition(tenant), "", page).await?;
        let wanted = listed.items.into_iter().filter(|(_, item)| item.wish().is_any());
        let named = wanted.filter_map(|(sort, item)| {
            let account = sort.parse().ok()?;
            let DigestItem { told, telling, .. } = item;
            Some((AccountKey { tenant, account }, item.wish(), QuarantineTold { told, telling }))
        });
        Ok(Listed { items: named.collect(), next: listed.next })
    }

    /// Changes what an account was told, if it still was told of `before`, and wants it; `false` if not.
    async fn change_quarantine_told(
        &self,
        key: AccountKey,
        before: QuarantineTold,
        now: QuarantineTold,
    ) -> Result<bool, DirectoryError> {
        let Some(held) = self.read::<DigestItem>(&digest_key(key), Consistency::Strong).await? else {
            return Ok(false);
        };
        let DigestItem { told, telling, .. } = held.value;
        if !held.value.wish().is_any() || (QuarantineTold { told, telling }) != before {
            return Ok(false);
        }
        let item = DigestItem { told: now.told, telling: now.telling, ..held.value };
        Ok(self.write(&digest_key(key), &item, Expected::Version(held.version)).await?.is_some())
    }

    /// Notes that a summary is being written of what came up to `until`; `false` if somebody else writes, or has written, one meanwhile, or
    /// none is wanted any more.
    ///
    /// # Errors
    /// The port's.
    #[pennypost_ports::compiled_here]
    pub async fn begin_quarantine_digest(
        &self,
        key: AccountKey,
        before: QuarantineTold,
        until: Timestamp,
    ) -> Result<bool, DirectoryError> {
        let now = QuarantineTold { telling: Some(until), ..before };
        if now == before {
            return Ok(true);
        }
        self.change_quarantine_told(key, before, now).await
    }

    /// Notes that the summary of what came up to `until` is written; `false` if somebody else has noted it.
    ///
    /// # Errors
    /// The port's.
    #[pennypost_ports::compiled_here]
    pub async fn end_quarantine_digest(
        &self,
        key: AccountKey,
        before: QuarantineTold,
        until: Timestamp,
    ) -> Result<bool, DirectoryError> {
        let before = QuarantineTold { telling: Some(until), ..before };
        self.change_quarantine_told(key, before, QuarantineTold { told: Some(until), telling: None }).await
    }

    /// Forgets what was said, with its owner.
    pub(crate) async fn forget_quarantine_digest(&self, key: AccountKey) -> Result<(), DirectoryError> {
        self.erase(&digest_key(key)).await
    }
}
