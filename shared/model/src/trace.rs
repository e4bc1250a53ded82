//! Trace records: the journey of each message, so that it can be read back (architecture section 5).

use serde::{Deserialize, Serialize};

use crate::codec::{self, CodecError, Versioned};
use crate::event::Verdict;
use crate::usage::Used;
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
    /// The message's share of what the batch used that it was in; nothing where nothing is counted.
    pub used: Option<Used>,
    /// Who handed it in, if it was a member.
    pub submitter: Option<Submitter>,
    /// Of an attempt at another server: why the way had to be private, and whether it was.
    pub demand: Option<TlsDemand>,
}

/// A member who handed a message in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Submitter {
    /// The account that had signed in.
    pub account: AccountKey,
    /// Its own address.
    pub address: String,
    /// By which protocol, as RFC 3848 and RFC 6531 name it: `ESMTPSA`.
    pub protocol: String,
}

impl TraceRecord {
    /// A step for which nothing was counted.
    #[must_use]
    pub const fn new(tenant: TenantId, message: EventId, time: Timestamp, step: TraceStep) -> TraceRecord {
        TraceRecord { tenant, message, time, step, used: None, submitter: None, demand: None }
    }
}

impl Versioned for TraceRecord {
    const KIND: &'static str = "trace record";
    const VERSION: u8 = 4;

    /// Programs that read version 3 only go on reading it: the demand stands behind all that they read.
    fn version(&self) -> u8 {
        3
    }

    fn upgrade(found: u8, body: &[u8]) -> Result<TraceRecord, CodecError> {
        /// Before members handed messages in.
        #[derive(Deserialize)]
        struct Version2 {
            tenant: TenantId,
            message: EventId,
            time: Timestamp,
            step: TraceStep,
            used: Option<Used>,
        }
        /// Before shares were written.
        #[derive(Deserialize)]
        struct Version1 {
            tenant: TenantId,
            message: EventId,
            time: Timestamp,
            step: TraceStep,
        }
        match found {
            3 => codec::decode_without_last(Self::KIND, body),
            1 => {
                let Version1 { tenant, message, time, step } = codec::decode_plain(Self::KIND, body)?;
                Ok(TraceRecord::new(tenant, message, time, step))
            }
            2 => {
                let Version2 { tenant, message, time, step, used } = codec::decode_plain(Self::KIND, body)?;
                Ok(TraceRecord { used, ..TraceRecord::new(tenant, message, time, step) })
            }
            _ => Err(CodecError::Version { kind: Self::KIND, found, known: Self::VERSION }),
        }
    }
}

/// TLS with a certificate that holds, as it was asked for of an attempt at another server.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TlsDemand {
    /// Who asks for it.
    pub reason: TlsReason,
    /// Without it nothing is sent; otherwise it is only told that there was none.
    pub is_enforced: bool,
    /// Why it could not be had.
    pub failure: Option<String>,
}

/// Who asks for TLS with a certificate that holds. Stored: new ones at the end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum TlsReason {
    /// The domain's policy (MTA-STS: RFC 8461).
    MtaSts,
    /// The smart host, to which a password is told.
    SmartHost,
    /// What is published of the server, and proved (DANE: RFC 7672).
    Dane,
    /// Its sender (REQUIRETLS: RFC 8689).
    Sender,
}

impl TlsReason {
    /// Its name, as documents have it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            TlsReason::MtaSts => "mta-sts",
            TlsReason::SmartHost => "smart-host",
            TlsReason::Dane => "dane",
            TlsReason::Sender => "sender",
        }
    }
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
    /// Another service received the message for us, and this was done with it: written before the bytes that lie
    /// with that service are removed.
    Received {
        /// The service.
        by: String,
        /// The message's id there.
        id: String,
        /// Addresses of the envelope at which nobody takes mail here, with the reason of each. Nobody is told: the
        /// service has said `250` (architecture, invariant 9).
        unreached: Vec<(String, String)>,
        /// Why it was not accepted at all; its bytes stay with the service then.
        held: Option<String>,
    },
    /// Another server was tried. Of attempts that only put off once more what was put off before nothing is written.
    Attempted(Attempt),
    /// It waits for a scanner, or is with it for long (RCV-16): what is known of it before it is delivered.
    BeingProcessed {
        /// Reverse-path.
        reverse_path: String,
        /// Subject, cut to 100 bytes.
        subject: String,
        /// Message-ID, if any, cut to 200 bytes.
        message_id: String,
        /// Bytes.
        size: u64,
        /// Its recipients with their accounts; of a letter to many the first hundred.
        recipients: Vec<(String, AccountKey)>,
        /// What it waits for.
        cause: String,
    },
    /// Another server had taken it, and a report has come that it goes no further.
    CameBack(CameBack),
    /// A receipt says that a recipient has read it.
    WasRead(WasRead),
}

/// What a read receipt says of a recipient (RFC 8098).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct WasRead {
    /// The address in RCPT TO.
    pub address: String,
    /// The program that says so, as it calls itself; may be empty.
    pub program: String,
    /// The receipt, which is a letter.
    pub receipt: EventId,
}

/// What a report says of a recipient whose server had taken the message (RFC 3464).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CameBack {
    /// The address in RCPT TO.
    pub address: String,
    /// What the server said that did not take it from the other one; the code and the text only if it is told.
    pub answer: RemoteAnswer,
    /// Who reports, as it calls itself.
    pub reporter: String,
    /// The report, which is a letter.
    pub report: EventId,
}

/// An attempt to hand a message to the servers of a destination.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Attempt {
    /// The domain of the recipients, in A-labels, or an address literal.
    pub destination: String,
    /// Which attempt it was; the first is 1.
    pub number: u32,
    /// The host that answered last, with its address; empty if none was reached.
    pub host: String,
    /// TLS version and cipher suite, if there were any.
    pub tls: Option<String>,
    /// What came of it for each recipient that was still waiting.
    pub recipients: Vec<RemoteRecipient>,
    /// When it is tried again; none, if nobody waits any more.
    pub next: Option<Timestamp>,
    /// The message by which its sender was told.
    pub reported: Option<EventId>,
}

/// What came of an attempt for one recipient.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RemoteRecipient {
    /// The address in RCPT TO.
    pub address: String,
    /// What came of it.
    pub outcome: RemoteOutcome,
    /// What the other server said, or why it was not asked.
    pub answer: RemoteAnswer,
}

/// What became of a recipient at another server.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum RemoteOutcome {
    /// The other server has the message, and answers for it.
    Sent,
    /// It does not have it yet: it is tried again.
    Deferred,
    /// It does not get it.
    Failed,
}

/// What another server said, or why it was not asked.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RemoteAnswer {
    /// The reply code; none, where no server has spoken.
    pub code: Option<u16>,
    /// The enhanced status code (RFC 3463), the server's or ours.
    pub status: String,
    /// The text, cut.
    pub text: String,
}

/// What the reason of a recipient begins with whom a group leads to that has members elsewhere; behind it stands the group.
pub const GROUP_REASON: &str = "group:";

/// What the reason of a recipient begins with to whom an account forwards the message, followed by its address.
pub const FORWARD_REASON: &str = "forwarded-by:";

/// What the reason of the first recipient here begins with where a letter asks for a read receipt (RFC 8098), followed by the address that
/// asks. It stands once, for all who have got the letter.
pub const RECEIPT_REASON: &str = "receipt-asked:";

/// What happened for one recipient.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TraceRecipient {
    /// The address in RCPT TO.
    pub address: String,
    /// The account; for an address of another server that of the member who wrote to it.
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
    /// It goes to another server: what came of it stands in [`TraceStep::Attempted`], once there was an attempt.
    Outside,
    /// It lies in quarantine. Released, it is told as stored.
    Quarantined {
        /// Why.
        cause: String,
    },
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codec::{decode, decode_plain, encode, encode_plain};

    #[test]
    fn records_of_earlier_versions_are_read() {
        let step = TraceStep::Refused { cause: "spam".to_owned() };
        let record = TraceRecord::new(TenantId(7), EventId::from_parts(Timestamp(5), 9), Timestamp(6), step);
        let fields = (record.tenant, record.message, record.time, record.step.clone());
        assert_eq!(decode(&encode_plain(&fields, 1)), Ok(record.clone()));
        assert_eq!(decode(&encode_plain(&(&fields, record.used.clone()), 2)), Ok(record.clone()));
        let before = (fields, record.used.clone(), record.submitter.clone());
        assert_eq!(decode(&encode_plain(&before, 3)), Ok(record.clone()));
        assert_eq!(decode(&encode(&record)), Ok(record.clone()));
        let failure = Some("it has expired".to_owned());
        let demand = Some(TlsDemand { reason: TlsReason::MtaSts, is_enforced: true, failure });
        let record = TraceRecord { demand, ..record };
        assert_eq!(decode(&encode(&record)), Ok(record.clone()));
        // Whoever knows of no demand reads the rest.
        let written = encode(&record);
        assert_eq!((written[0], decode_plain(TraceRecord::KIND, &written[1..])), (3, Ok(before)));
        assert!(decode::<TraceRecord>(&[5, 0]).is_err());
        assert!(decode::<TraceRecord>(&[1, 0]).is_err());
    }
}
