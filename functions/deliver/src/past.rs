//! Events of the recent past that are remembered by eight bytes each: enough to tell that an event has not been
//! delivered, which is what is asked of nearly all. Of one that may have been, the journal knows where it is.

use std::collections::{HashSet, VecDeque};

use pennypost_model::{EventId, Seq, Timestamp};

/// The past is forgotten in so many parts.
const PARTS: usize = 16;

/// Events in the order of their entries.
#[derive(Default)]
pub struct Past {
    /// The oldest first; none is empty.
    parts: VecDeque<Part>,
    events: usize,
}

struct Part {
    seen: HashSet<u64>,
    /// Its newest entry.
    last: (Seq, Timestamp),
}

impl Past {
    /// Events.
    pub const fn len(&self) -> usize {
        self.events
    }

    /// None.
    pub const fn is_empty(&self) -> bool {
        self.events == 0
    }

    /// The newest entry of which an event is here.
    pub fn newest(&self) -> Option<Seq> {
        self.parts.back().map(|part| part.last.0)
    }

    /// `false`: the event is certainly not here.
    pub fn may_have(&self, event: EventId) -> bool {
        let mark = mark(event);
        self.parts.iter().any(|part| part.seen.contains(&mark))
    }

    /// Takes in an event that is newer than all here. `most` is how many are to be remembered.
    pub fn push_newer(&mut self, event: EventId, entry: (Seq, Timestamp), most: usize) {
        match self.parts.back_mut().filter(|part| part.seen.len() < share(most)) {
            Some(part) => {
                part.last = entry;
                self.events += usize::from(part.seen.insert(mark(event)));
            }
            None => self.parts.push_back(Part::of(event, entry, &mut self.events)),
        }
    }

    /// Takes in an event that is older than all here.
    pub fn push_older(&mut self, event: EventId, entry: (Seq, Timestamp), most: usize) {
        match self.parts.front_mut().filter(|part| part.seen.len() < share(most)) {
            Some(part) => self.events += usize::from(part.seen.insert(mark(event))),
            None => self.parts.push_front(Part::of(event, entry, &mut self.events)),
        }
    }

    /// Forgets the oldest ones until no more than `most` are left, and none of a part that ended before `oldest`.
    /// The newest entry of which something was forgotten.
    pub fn trim(&mut self, most: usize, oldest: Timestamp) -> Option<(Seq, Timestamp)> {
        let mut forgotten = None;
        while self.events > most || self.parts.front().is_some_and(|part| part.last.1 < oldest) {
            let Some(part) = self.parts.pop_front() else { break };
            self.events -= part.seen.len();
            forgotten = Some(part.last);
        }
        forgotten
    }
}

impl Part {
    fn of(event: EventId, entry: (Seq, Timestamp), events: &mut usize) -> Part {
        *events += 1;
        Part { seen: HashSet::from([mark(event)]), last: entry }
    }
}

fn share(most: usize) -> usize {
    (most / PARTS).max(1)
}

/// Eight of the event's random bytes.
fn mark(event: EventId) -> u64 {
    let [.., a, b, c, d, e, f, g, h] = event.to_bytes();
    u64::from_le_bytes([a, b, c, d, e, f, g, h])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(number: u64) -> EventId {
        EventId::from_parts(Timestamp(1_000), u128::from(number))
    }

    fn entry(number: u64) -> (Seq, Timestamp) {
        (Seq(number), Timestamp(number as i64 * 10))
    }

    #[test]
    fn what_is_here_is_never_denied_and_what_is_forgotten_is_told() {
        let mut past = Past::default();
        for number in 100..200 {
            past.push_newer(event(number), entry(number), 160);
        }
        for number in (20..100).rev() {
            past.push_older(event(number), entry(number), 160);
        }
        assert_eq!((past.len(), past.newest()), (180, Some(Seq(199))));
        assert!((20..200).all(|number| past.may_have(event(number))));
        assert!(!(0..20).chain(200..1_000).any(|number| past.may_have(event(number))));

        let (upto, time) = past.trim(160, Timestamp(0)).expect("forgets");
        assert_eq!(Timestamp(upto.0 as i64 * 10), time);
        assert!(past.len() <= 160 && upto >= Seq(39), "{upto} {}", past.len());
        assert!((upto.0 + 1..200).all(|number| past.may_have(event(number))));

        let (upto, _) = past.trim(160, Timestamp(1_500)).expect("forgets");
        assert!((Seq(130)..Seq(150)).contains(&upto), "{upto}");
        assert!((upto.0 + 1..200).all(|number| past.may_have(event(number))));
        assert_eq!(past.trim(160, Timestamp(1_500)), None);
    }

    #[test]
    fn nothing_is_kept_where_there_is_no_room() {
        let mut past = Past::default();
        past.push_newer(event(1), entry(1), 0);
        assert_eq!(past.trim(0, Timestamp(0)), Some(entry(1)));
        assert!(past.is_empty() && past.newest().is_none());
    }
}
