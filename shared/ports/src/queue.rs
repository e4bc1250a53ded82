//! The job queue: at least once, in no order, with visibility, retries and dead letters.

use std::time::Duration;

use async_trait::async_trait;
use pennypost_model::event::Stage;
use pennypost_model::{EventId, TenantId, Timestamp};

use crate::PortResult;

/// A message to send.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outgoing {
    /// Its group: no tenant's backlog delays another's.
    pub tenant: TenantId,
    /// The encoded event, at most 256 KB.
    pub body: Vec<u8>,
    /// It is not handed out before this has passed; at most 15 minutes.
    pub delay: Duration,
}

/// Names one hand-out of a message. Void once the visibility time has passed and somebody else has it.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Receipt(pub String);

/// A message handed out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Received {
    /// To acknowledge it with.
    pub receipt: Receipt,
    /// The encoded event.
    pub body: Vec<u8>,
    /// How often it has been handed out, this time included. Counts across crashes of the process.
    pub tries: u32,
    /// When it was sent.
    pub sent: Timestamp,
}

/// A dead letter's id.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DeadLetterId(pub EventId);

/// A message that its handler could not deal with, kept whole until somebody decides.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeadLetter {
    /// Its id.
    pub id: DeadLetterId,
    /// The queue that it was in.
    pub stage: Stage,
    /// Whose it is.
    pub tenant: TenantId,
    /// When it was given up.
    pub died: Timestamp,
    /// How often it was tried.
    pub tries: u32,
    /// Why.
    pub cause: String,
    /// The encoded event.
    pub body: Vec<u8>,
}

/// How full a queue is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Depth {
    /// Waiting, delayed ones included.
    pub waiting: u64,
    /// Handed out and neither acknowledged nor back. What was put off by `retry_later` may be counted as either.
    pub in_flight: u64,
}

/// The queues, one per stage.
#[async_trait]
pub trait Queue: Send + Sync {
    /// Sends messages; one result for each, in order. `Ok` is durable: this is the moment at which a letter
    /// counts as accepted.
    async fn send_batch(&self, stage: Stage, messages: Vec<Outgoing>) -> Vec<PortResult<()>>;

    /// Hands out up to `max` messages, waiting up to `wait` for the first. They are invisible to others for
    /// `visibility`, then come back by themselves.
    async fn receive(
        &self,
        stage: Stage,
        max: usize,
        visibility: Duration,
        wait: Duration,
    ) -> PortResult<Vec<Received>>;

    /// The messages are done and go. A void or unknown receipt is ignored. May be lost in a crash: then the
    /// message comes again.
    async fn ack(&self, stage: Stage, receipts: &[Receipt]) -> PortResult<()>;

    /// The message comes back after `delay`. A receipt that is void or unknown changes nothing: where it is known to be,
    /// the answer is [`PortError::NotFound`](crate::PortError::NotFound), never that the queue can't be used.
    async fn retry_later(&self, stage: Stage, receipt: &Receipt, delay: Duration) -> PortResult<()>;

    /// The message goes to the dead letters: it is never in none of both places. A backend that can't do it in one
    /// step gives it up first: if the process dies between, it comes again, and giving it up again is the same letter.
    /// Receipts as for [`Queue::retry_later`].
    async fn dead_letter(&self, stage: Stage, receipt: &Receipt, cause: &str) -> PortResult<()>;

    /// Dead letters after `after`, ascending by id, at most `limit`.
    async fn dead_letters(&self, after: Option<DeadLetterId>, limit: usize) -> PortResult<Vec<DeadLetter>>;

    /// Puts a dead letter back into its queue with tries at zero; of several callers one does. `false` if there is none,
    /// or somebody else is doing it. A backend that can't do it in one step sends first: if the process dies between,
    /// the letter can be replayed once more.
    async fn replay_dead_letter(&self, id: DeadLetterId) -> PortResult<bool>;

    /// Ends a dead letter. `false` if there is none.
    async fn discard_dead_letter(&self, id: DeadLetterId) -> PortResult<bool>;

    /// How full a queue is; may be a little old.
    async fn depth(&self, stage: Stage) -> PortResult<Depth>;
}
