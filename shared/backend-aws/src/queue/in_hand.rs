//! What this process was handed out and has not given back.
//!
//! A receipt is the message's id and SQS's handle of the hand-out. SQS lets an old handle change a message that
//! somebody else has by now, or not, as it happens; here a receipt is void as soon as the same message was handed out
//! again. Bodies stay until their time is over, because a dead letter is written from here.
//!
//! A message of several events has a receipt for each. The message can be deleted when all of them are settled; what
//! becomes of one that is not is up to the service, which hands the whole message out again.

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
    /// Its events; `None` once one is settled: done, sent again by itself, or a dead letter.
    pub events: Vec<Option<Vec<u8>>>,
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

/// What a receipt says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Slip<'a> {
    /// The message's id.
    pub message: &'a str,
    /// SQS's handle of the hand-out.
    pub handle: &'a str,
    /// Which event of the message, where it has several.
    pub event: Option<usize>,
}

/// The receipt for an event of a hand-out.
pub(super) fn receipt(slip: Slip<'_>) -> Receipt {
    let Slip { message, handle, event } = slip;
    Receipt(match event {
        None => format!("{message} {handle}"),
        Some(event) => format!("{message} {handle} {event}"),
    })
}

/// What a receipt says. `None` for what is no receipt of a queue.
pub(super) fn read(receipt: &Receipt) -> Option<Slip<'_>> {
    let (message, rest) = receipt.0.split_once(' ')?;
    let (handle, event) = match rest.split_once(' ') {
        None => (rest, None),
        Some((handle, event)) => (handle, Some(event.parse().ok()?)),
    };
    (!message.is_empty() && !handle.is_empty()).then_some(Slip { message, handle, event })
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

    /// Notes that an event is settled; is the message to be deleted now? Of a message that is not known here nobody can
    /// say so, unless it has but one event.
    pub(super) fn settle(&self, slip: Slip<'_>) -> bool {
        let Some(event) = slip.event else { return !self.is_void(slip.message, slip.handle) };
        let mut held = self.0.lock();
        let held = held.get_mut(slip.message).filter(|held| held.handle == slip.handle);
        held.is_some_and(|held| {
            if let Some(event) = held.events.get_mut(event) {
                *event = None;
            }
            held.events.iter().all(Option::is_none)
        })
    }

    /// Must the message come again because of this event? One with several need not when the event is settled.
    pub(super) fn is_open(&self, slip: Slip<'_>) -> bool {
        let Some(event) = slip.event else { return true };
        let held = self.0.lock();
        let held = held.get(slip.message).filter(|held| held.handle == slip.handle);
        held.is_none_or(|held| held.events.get(event).is_none_or(Option::is_some))
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
