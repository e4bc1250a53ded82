//! What this process was handed out and has not given back.
//!
//! A receipt is the message's id and SQS's handle of the hand-out. SQS lets an old handle change a message that
//! somebody else has by now, or not, as it happens; here a receipt is void as soon as the same message was handed out
//! again. Bodies stay until their time is over, because a dead letter is written from here.

use std::collections::HashMap;
use std::time::Duration;

use parking_lot::Mutex;
use pennypost_model::{TenantId, Timestamp};
use pennypost_ports::Receipt;
use tokio::time::Instant;

/// One hand-out.
#[derive(Debug, Clone)]
pub(super) struct HandOut {
    pub handle: String,
    pub tenant: TenantId,
    pub body: Vec<u8>,
    pub tries: u32,
    pub sent: Timestamp,
    /// When it was handed out, and when its invisibility ends.
    pub from: Instant,
    pub until: Instant,
}

/// The hand-outs of a queue by the ids of their messages.
#[derive(Debug, Default)]
pub(super) struct InHand(Mutex<HashMap<String, HandOut>>);

/// What this process knows of a receipt.
#[derive(Debug)]
pub(super) enum Known {
    /// It holds, as far as one can tell here.
    Held(Box<HandOut>),
    /// Nothing: its time is over, or it is another process's.
    Unknown,
    /// The message was handed out again since.
    Void,
}

/// The receipt for a hand-out.
pub(super) fn receipt(message: &str, handle: &str) -> Receipt {
    Receipt(format!("{message} {handle}"))
}

/// The message's id and the handle. `None` for what is no receipt of a queue.
pub(super) fn parts(receipt: &Receipt) -> Option<(&str, &str)> {
    receipt.0.split_once(' ').filter(|(message, handle)| !message.is_empty() && !handle.is_empty())
}

impl InHand {
    /// Notes a hand-out; an earlier one of the same message is void from now on.
    pub(super) fn take(&self, message: &str, hand_out: HandOut) {
        self.0.lock().insert(message.to_owned(), hand_out);
    }

    /// Forgets what is no longer anybody's.
    pub(super) fn forget_expired(&self, now: Instant) {
        self.0.lock().retain(|_, hand_out| hand_out.until > now);
    }

    /// What is known of the hand-out.
    pub(super) fn known(&self, message: &str, handle: &str) -> Known {
        match self.0.lock().get(message) {
            Some(held) if held.handle == handle => Known::Held(Box::new(held.clone())),
            Some(_) => Known::Void,
            None => Known::Unknown,
        }
    }

    /// Was the message handed out again since?
    pub(super) fn is_void(&self, message: &str, handle: &str) -> bool {
        self.0.lock().get(message).is_some_and(|held| held.handle != handle)
    }

    /// Forgets the hand-out: the message is done, or back in its queue.
    pub(super) fn release(&self, message: &str, handle: &str) {
        let mut held = self.0.lock();
        if held.get(message).is_some_and(|one| one.handle == handle) {
            held.remove(message);
        }
    }

    /// The whole time that the message has been kept invisible for this receipt.
    pub(super) fn held_for(&self, message: &str, now: Instant) -> Duration {
        let held = self.0.lock();
        held.get(message).map_or(Duration::ZERO, |one| now.saturating_duration_since(one.from))
    }
}
