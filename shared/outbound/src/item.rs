//! One message for one destination.

use pennypost_model::codec::{self, CodecError, Versioned};
use pennypost_model::event::{Notify, Wishes};
use pennypost_model::trace::{Attempt, RemoteAnswer, RemoteOutcome, TlsDemand, TlsReason};
use pennypost_model::{AccountKey, EventId, TenantId, Timestamp};
use serde::{Deserialize, Serialize};

/// The part that the first address has to which an account forwards a message, each one of its own; those of other recipients
/// come before.
pub const FIRST_FORWARD: u16 = 20_000;
/// So many attempts may bring a message without the server's having said so; it is not sent another time.
const MAX_DOUBTS: u8 = 2;

/// A recipient with what became of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Addressee {
    /// The address in RCPT TO.
    pub address: String,
    /// What the last attempt came to; [`RemoteOutcome::Deferred`] also before the first.
    pub outcome: RemoteOutcome,
    /// What was said last.
    pub answer: RemoteAnswer,
    /// The last reply of a server, and which one: what we say ourselves of a later attempt is none.
    pub said: Option<(String, RemoteAnswer)>,
}

/// A message for recipients of one destination: as many as one item holds with their answers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Outbound {
    /// Whose message it is.
    pub tenant: TenantId,
    /// The accepted message.
    pub message: EventId,
    /// The domain of the recipients, in A-labels.
    pub destination: String,
    /// Which part of the recipients of that destination, from 0.
    pub part: u16,
    /// How many items the message has: its bytes are needed until all are over.
    pub items: u32,
    /// Bytes of the message, without what goes in front of it.
    pub size: u64,
    /// When it was accepted.
    pub accepted: Timestamp,
    /// Reverse-path; empty for `<>`, and then nobody is told of anything.
    pub reverse_path: String,
    /// The account of the member who handed it in, and its own address: whoever is told, whatever the reverse-path says. Of
    /// a notice of the post office the account in whose matter it is, and no address: it is from `<>`. No address also of what
    /// a group sends on: reports come to the group's domain. Of what an account forwards that account, and its own address.
    pub sender: (AccountKey, String),
    /// Where the bytes lie.
    pub object: String,
    /// They lay there before: delivery needs them, too, until it is done.
    pub is_shared: bool,
    /// Fields that go in front of them: Received, signatures.
    pub head: Vec<u8>,
    /// The recipients.
    pub recipients: Vec<Addressee>,
    /// Attempts that were begun.
    pub attempts: u32,
    /// An attempt has begun and has not ended: until `next` it is somebody's.
    pub claimed: bool,
    /// When it is tried next; while it is claimed, when whoever has it is taken for dead.
    pub next: Timestamp,
    /// Until when the last attempt was somebody's. Its row goes when all is done that follows from that attempt.
    pub claim: Timestamp,
    /// Attempts that have ended.
    pub ended: u32,
    /// The sender knows that it takes long.
    pub delay_told: bool,
    /// The last attempt that ended, and when.
    pub last: Option<(Timestamp, Attempt)>,
    /// Why the way had to be private in that attempt, and whether it was.
    pub demand: Option<TlsDemand>,
    /// Of what its sender wants to hear, if he has said anything.
    pub asked: Option<Asked>,
    /// Its sender does not want it to be read on its way (REQUIRETLS: RFC 8689).
    pub is_private: bool,
    /// For each recipient, in their order, how many attempts may have brought the message without his server's having said so; empty:
    /// none.
    pub doubts: Vec<u8>,
}

/// Of what the sender of a message wants to hear (RFC 3461), as far as it is about these recipients.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Asked {
    /// What he has said.
    pub wishes: Wishes,
    /// Recipients whose server has taken the message in the last attempt and tells nothing of what becomes of it.
    pub relayed: Vec<String>,
}

impl Versioned for Outbound {
    const KIND: &'static str = "outbound message";
    const VERSION: u8 = 5;

    /// Programs that read version 1 only, after a rollback or beside this one, have to find what they send: the demand, and what
    /// was asked for, stand behind all that they read. A demand of DANE those that know of demands would take for damage: they
    /// leave it to a newer one. What is private those that know nothing of that would send to anybody: they leave it, too.
    fn version(&self) -> u8 {
        match &self.demand {
            _ if self.is_private => Self::VERSION,
            Some(demand) if demand.reason == TlsReason::Sender => Self::VERSION,
            Some(demand) if demand.reason == TlsReason::Dane => 4,
            _ => 1,
        }
    }

    fn upgrade(found: u8, body: &[u8]) -> Result<Outbound, CodecError> {
        match found {
            1 => codec::decode_without(Self::KIND, body, 4),
            2 => codec::decode_without(Self::KIND, body, 3),
            3 | 4 => codec::decode_without(Self::KIND, body, 2),
            _ => Err(CodecError::Version { kind: Self::KIND, found, known: Self::VERSION }),
        }
    }
}

impl Outbound {
    /// Does nobody wait any more?
    #[must_use]
    pub fn is_over(&self) -> bool {
        self.recipients.iter().all(|recipient| recipient.outcome != RemoteOutcome::Deferred)
    }

    /// The recipients that wait, by their places.
    #[must_use]
    pub fn places(&self) -> Vec<usize> {
        let waits = |(_, one): &(usize, &Addressee)| one.outcome == RemoteOutcome::Deferred;
        self.recipients.iter().enumerate().filter(waits).map(|(place, _)| place).collect()
    }

    /// Notes that an attempt may have brought the message to the recipient at that place, and nobody has said so.
    pub fn doubt(&mut self, place: usize) {
        if self.doubts.len() <= place {
            self.doubts.resize(self.recipients.len().max(place + 1), 0);
        }
        if let Some(doubts) = self.doubts.get_mut(place) {
            *doubts = doubts.saturating_add(1);
        }
    }

    /// May the recipient at that place have the message as often as he may at most? Then he is not sent it again.
    #[must_use]
    pub fn is_doubtful(&self, place: usize) -> bool {
        self.doubts.get(place).is_some_and(|doubts| *doubts >= MAX_DOUBTS)
    }

    /// The recipients that wait.
    pub fn waiting(&self) -> impl Iterator<Item = &Addressee> {
        self.recipients.iter().filter(|recipient| recipient.outcome == RemoteOutcome::Deferred)
    }

    /// Of what is to be told about a recipient.
    #[must_use]
    pub fn notify(&self, address: &str) -> Notify {
        self.asked.as_ref().map(|asked| asked.wishes.notify(address)).unwrap_or_default()
    }

    /// Did a group send it on to a member elsewhere? Then its author is not told of what becomes of it.
    #[must_use]
    pub fn is_of_group(&self) -> bool {
        self.sender.1.is_empty() && !self.reverse_path.is_empty()
    }

    /// Has an account forwarded it there? Then its owner is told of what fails, whoever wrote it.
    #[must_use]
    pub const fn is_forwarded(&self) -> bool {
        self.part >= FIRST_FORWARD
    }

    /// Has the last attempt brought anything that nobody knows yet? That a recipient was put off once more is nothing new. The
    /// first that ended is, whichever was the first to begin.
    #[must_use]
    pub fn is_news(&self) -> bool {
        self.last.as_ref().is_some_and(|(_, last)| {
            let is_final = last.recipients.iter().any(|one| one.outcome != RemoteOutcome::Deferred);
            self.ended == 1 || is_final || last.reported.is_some()
        })
    }
}
