//! Messages that were accepted a moment ago, as they came: where acceptance and parsing are in one process, nobody has to
//! decompress what was compressed there.
//!
//! Owns nothing: the queue has the message. What is not here (another process accepted it, it came again, there was no room)
//! is decompressed. If the process dies, nothing is missed.

use std::collections::BTreeMap;
use std::sync::Arc;

use parking_lot::Mutex;
use pennypost_model::EventId;

/// Messages by their events, the oldest of which make room for others. Clones are the same.
#[derive(Clone, Default)]
pub struct Fresh(Arc<Mutex<Kept>>);

#[derive(Default)]
struct Kept {
    messages: BTreeMap<EventId, Vec<u8>>,
    bytes: usize,
    /// Bytes of messages at most. None are kept before somebody says that he takes them.
    most: usize,
}

impl Fresh {
    /// From now on messages of so many bytes together are kept for whoever calls [`Fresh::take`].
    pub fn keep_up_to(&self, bytes: usize) {
        self.0.lock().most = bytes;
    }

    /// Keeps the message of an event that is about to be sent.
    pub fn keep(&self, event: EventId, message: Vec<u8>) {
        let mut kept = self.0.lock();
        if message.len() > kept.most {
            return;
        }
        kept.bytes += message.len();
        if let Some(before) = kept.messages.insert(event, message) {
            kept.bytes -= before.len();
        }
        while kept.bytes > kept.most
            && let Some((_, oldest)) = kept.messages.pop_first()
        {
            kept.bytes -= oldest.len();
        }
    }

    /// The message of an event, once.
    #[must_use]
    pub fn take(&self, event: EventId) -> Option<Vec<u8>> {
        let mut kept = self.0.lock();
        let message = kept.messages.remove(&event)?;
        kept.bytes -= message.len();
        Some(message)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(number: u8) -> EventId {
        EventId::from_bytes([number; 16])
    }

    #[test]
    fn the_oldest_make_room_and_each_is_given_once() {
        let fresh = Fresh::default();
        fresh.keep(event(1), vec![1; 10]);
        assert_eq!(fresh.take(event(1)), None, "nobody has said that he takes them");
        fresh.keep_up_to(30);
        for number in [3, 1, 4, 2] {
            fresh.keep(event(number), vec![number; 10]);
        }
        fresh.keep(event(5), vec![5; 31]);
        assert_eq!(fresh.take(event(1)), None, "made room");
        assert_eq!(fresh.take(event(5)), None, "larger than all that is kept");
        for number in [2, 3, 4] {
            assert_eq!(fresh.take(event(number)), Some(vec![number; 10]));
            assert_eq!(fresh.take(event(number)), None, "given already");
        }
        fresh.keep(event(6), vec![6; 30]);
        fresh.keep(event(6), vec![7; 30]);
        assert_eq!(fresh.take(event(6)), Some(vec![7; 30]));
    }
}
