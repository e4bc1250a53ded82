//! Trace records: the journey of each message, so that it can be read back (architecture section 5).

use serde::{Deserialize, Serialize};

use crate::codec::Versioned;
use crate::event::Verdict;
use crate::{AccountKey, EventId, Rid, Seq, TenantId, Timestamp, Uid};

/// One step of a message's journey. Records of the same step may stand twice after a retry: readers merge.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TraceRecord {
    /// Whose mail it is.
    pub tenant: TenantId,
    /// The accepted message.
    pub message: EventId,
    /// When the step was made.
    pub time: Timestamp,
    /// The step.
    pub step: TraceStep,
}

impl Versioned for TraceRecord {
    const KIND: &'static str = "trace record";
}

/// A step of a message's journey.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum TraceStep {
    /// Accepted, parsed, decided and delivered: written by deliver after its commits.
    Delivered {
        /// When it was accepted.
        accepted: Timestamp,
        /// Who handed it in: address and EHLO name.
        peer: String,
        /// Reverse-path.
        reverse_path: String,
        /// Subject, cut to 100 bytes.
        subject: String,
        /// Message-ID, if any, cut to 200 bytes.
        message_id: String,
        /// Bytes.
        size: u64,
        /// SPF, DKIM, DMARC.
        auth: [Verdict; 3],
        /// What happened for each recipient.
        recipients: Vec<TraceRecipient>,
    },
    /// A handler failed for good; the event lies in the dead letters.
    DeadLettered {
        /// The queue.
        queue: String,
        /// Why.
        cause: String,
    },
    /// An administrator took the event up again.
    Replayed {
        /// The queue.
        queue: String,
    },
    /// An administrator ended a dead letter without delivery.
    Refused {
        /// Why.
        cause: String,
    },
}

/// What happened for one recipient.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TraceRecipient {
    /// The address in RCPT TO.
    pub address: String,
    /// The account.
    pub account: AccountKey,
    /// Why it went where it went.
    pub reasons: Vec<String>,
    /// What came of it.
    pub outcome: Outcome,
}

/// What came of a delivery to one recipient.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Outcome {
    /// In the mailbox.
    Stored {
        /// The journal entry.
        seq: Seq,
        /// The UID it got.
        uid: Uid,
        /// Its id in the account.
        rid: Rid,
        /// Name of the mailbox's use, or its number.
        mailbox: String,
    },
    /// Not delivered, with the reason; never silent.
    Refused {
        /// Why.
        cause: String,
    },
}
