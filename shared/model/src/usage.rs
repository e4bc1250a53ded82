//! What work used, as it is written down for the meters of tenants (architecture section 8).

use serde::{Deserialize, Serialize};

use crate::codec::Versioned;
use crate::event::Stage;
use crate::{TenantId, Timestamp};

/// A share of what a batch of work used. The shares of a batch add up to what was counted.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Used {
    /// The batch, by a random number. A share that is found twice (a retried append) is one share; two shares with
    /// different numbers are two pieces of work, also if they are about the same message.
    pub batch: u64,
    /// Thousandths of units, by the numbers under which the meter knows the kinds of units.
    pub units: Vec<(u8, u64)>,
}

/// What a batch used for one tenant, where no trace says it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct UsageRecord {
    /// Whose work it was.
    pub tenant: TenantId,
    /// When it was written.
    pub time: Timestamp,
    /// Who worked.
    pub stage: Stage,
    /// What was used.
    pub used: Used,
}

impl Versioned for UsageRecord {
    const KIND: &'static str = "usage record";
}
