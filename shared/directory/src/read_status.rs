//! Whether an organisation's members see who of their colleagues has read what they sent (DLV-07).
//!
//! `T`, `read-status` holds it, from the opening of the tenant on: it is on then. Organisations that were opened before there was
//! such an item have none, and for them it is off until somebody says otherwise.
//!
//! Where it begins later, members are told by a letter. Its id stands in the item until all of them have been told: whoever dies
//! in between leaves it there, and who goes on tells all of them under the same id, by which each gets it once.

use pennypost_model::codec::Versioned;
use pennypost_model::{EventId, TenantId, Timestamp};
use pennypost_ports::{Consistency, ControlKey, Expected};
use serde::{Deserialize, Serialize};

use crate::{Directory, DirectoryError};

/// Whether members see who has read what they sent.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReadStatus {
    /// Since when they do, or from when on; `None`: they don't.
    pub since: Option<Timestamp>,
    /// The letter that not all members have got yet by which they are told that it begins.
    pub telling: Option<EventId>,
    /// When all of them had been told.
    pub told: Option<Timestamp>,
}

impl Versioned for ReadStatus {
    const KIND: &'static str = "read status";
}

impl ReadStatus {
    /// Since when it holds, at that time; `None`: it does not.
    #[must_use]
    pub fn began(&self, now: Timestamp) -> Option<Timestamp> {
        self.since.filter(|since| *since <= now)
    }
}

fn key_of(tenant: TenantId) -> ControlKey {
    ControlKey::new(tenant.to_string(), "read-status")
}

impl Directory {
    /// What an organisation has said of read status.
    ///
    /// # Errors
    /// The port's.
    #[pennypost_ports::compiled_here]
    pub async fn read_status(&self, tenant: TenantId) -> Result<ReadStatus, DirectoryError> {
        let held = self.read::<ReadStatus>(&key_of(tenant), Consistency::Strong).await?;
        Ok(held.map(|held| held.value).unwrap_or_default())
    }

    /// Says something else, if what holds is still as expected; `false` if it is not.
    ///
    /// # Errors
    /// The port's.
    #[pennypost_ports::compiled_here]
    pub async fn change_read_status(
        &self,
        tenant: TenantId,
        expected: &ReadStatus,
        status: &ReadStatus,
    ) -> Result<bool, DirectoryError> {
        let key = key_of(tenant);
        let held = self.read::<ReadStatus>(&key, Consistency::Strong).await?;
        let version = held.as_ref().map_or(Expected::Absent, |held| Expected::Version(held.version));
        let stored = held.map(|held| held.value).unwrap_or_default();
        if stored != *expected {
            return Ok(false);
        }
        if stored == *status {
            return Ok(true);
        }
        Ok(self.write(&key, status, version).await?.is_some())
    }

    /// It is on for an organisation that is being opened, unless something was said before.
    pub(crate) async fn begin_read_status(&self, tenant: TenantId) -> Result<(), DirectoryError> {
        let status = ReadStatus { since: Some(self.clock.now()), ..ReadStatus::default() };
        self.write(&key_of(tenant), &status, Expected::Absent).await.map(drop)
    }

    /// Of a tenant that is not to be nothing is said.
    pub(crate) async fn forget_read_status(&self, tenant: TenantId) -> Result<(), DirectoryError> {
        self.erase(&key_of(tenant)).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_begins_later_does_not_hold_yet() {
        let status = ReadStatus { since: Some(Timestamp(7)), ..ReadStatus::default() };
        assert_eq!((status.began(Timestamp(6)), status.began(Timestamp(7))), (None, Some(Timestamp(7))));
        assert_eq!(ReadStatus::default().began(Timestamp(7)), None);
    }
}
