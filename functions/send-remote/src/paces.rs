//! How fast a destination is written to, where the operator has said so: letters in a minute, in an hour, and in a day while this
//! installation is new to the world.
//!
//! Counted in this process, from the first letter of each minute, hour and day (UTC). What is above stays where it waits: its row is
//! left lying, as that of a busy destination is. What comes in here again, for domains that are kept here, is not counted once that is
//! known.

use std::collections::{BTreeMap, HashMap, HashSet};

use parking_lot::Mutex;
use pennypost_model::Timestamp;

/// Destinations of which something is counted.
const KNOWN: usize = 10_000;
/// The most, on a day with very many.
const MOST_KNOWN: usize = 100_000;
const MINUTE: i64 = 60_000;
const HOUR: i64 = 60 * MINUTE;
const DAY: i64 = 24 * HOUR;

/// So many letters; none: as many as there are.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Rate {
    /// Within a minute.
    pub per_minute: Option<u32>,
    /// Within an hour.
    pub per_hour: Option<u32>,
}

/// An installation that is new to the world: on its first day it sends so many letters to each destination, on each further day twice
/// as many as on the one before, until it sends as many as it likes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WarmUp {
    /// When the first day begins.
    pub since: Timestamp,
    /// Letters of the first day.
    pub first: u32,
    /// From the day on of which so many would be too few, there is no limit any more.
    pub most: u32,
}

impl WarmUp {
    /// Letters of that day; none: as many as there are.
    fn limit(&self, now: Timestamp) -> Option<u32> {
        let days = u32::try_from((now.0 - self.since.0).div_euclid(DAY)).unwrap_or(0);
        let limit = u64::from(self.first).checked_shl(days.min(40)).filter(|_| days <= 31)?;
        u32::try_from(limit).ok().filter(|limit| *limit <= self.most)
    }
}

/// What the operator has said.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Pacing {
    /// By destination, in A-labels; `*` is all of which nothing else is said.
    pub rates: BTreeMap<String, Rate>,
    /// Of all destinations.
    pub warm_up: Option<WarmUp>,
}

/// Since when, and how many.
#[derive(Clone, Copy, Default)]
struct Count {
    since: i64,
    letters: u32,
}

impl Count {
    /// Is there room for one more?
    fn has_room(&mut self, now: i64, length: i64, limit: Option<u32>) -> bool {
        let Some(limit) = limit else { return true };
        let since = now.div_euclid(length) * length;
        if self.since != since {
            *self = Count { since, letters: 0 };
        }
        self.letters < limit
    }
}

/// What was counted.
#[derive(Default)]
pub(crate) struct Paces {
    pacing: Pacing,
    counted: Mutex<HashMap<String, [Count; 3]>>,
    /// In which hour it was looked through last.
    swept: Mutex<i64>,
    /// Domains that are kept here.
    ours: Mutex<HashSet<String>>,
}

impl Paces {
    pub(crate) fn new(pacing: Pacing) -> Paces {
        Paces { pacing, ..Paces::default() }
    }

    /// Notes whether that domain is kept here, as an attempt has shown.
    pub(crate) fn note(&self, destination: &str, is_ours: bool) {
        if self.pacing == Pacing::default() {
            return;
        }
        let mut ours = self.ours.lock();
        match is_ours {
            true if ours.len() < KNOWN => drop(ours.insert(destination.to_owned())),
            _ => drop(ours.remove(destination)),
        }
    }

    /// May a letter go there now? It is counted then.
    pub(crate) fn take(&self, destination: &str, now: Timestamp) -> bool {
        let Pacing { rates, warm_up } = &self.pacing;
        let rate = rates.get(destination).or_else(|| rates.get("*")).copied().unwrap_or_default();
        let limits = [
            (MINUTE, rate.per_minute),
            (HOUR, rate.per_hour),
            (DAY, warm_up.and_then(|warm_up| warm_up.limit(now))),
        ];
        if limits.iter().all(|(_, limit)| limit.is_none()) {
            return true;
        }
        if self.ours.lock().contains(destination) {
            return true;
        }
        let mut counted = self.counted.lock();
        if counted.len() >= KNOWN && !counted.contains_key(destination) {
            // What was counted before today says nothing any more. Today's is looked through once in a while.
            let today = now.0.div_euclid(DAY) * DAY;
            let mut swept = self.swept.lock();
            if *swept != now.0.div_euclid(HOUR) {
                *swept = now.0.div_euclid(HOUR);
                counted.retain(|_, counts| counts.iter().any(|count| count.since >= today));
            }
            // Beyond that nothing is remembered: better a few letters too many than none.
            if counted.len() >= MOST_KNOWN {
                return true;
            }
        }
        let counts = counted.entry(destination.to_owned()).or_default();
        let mut has_room = true;
        for (count, (length, limit)) in counts.iter_mut().zip(limits) {
            has_room &= count.has_room(now.0, length, limit);
        }
        if has_room {
            counts.iter_mut().for_each(|count| count.letters = count.letters.saturating_add(1));
        }
        has_room
    }

    /// The letter did not go: nobody was called.
    pub(crate) fn give_back(&self, destination: &str) {
        if let Some(counts) = self.counted.lock().get_mut(destination) {
            counts.iter_mut().for_each(|count| count.letters = count.letters.saturating_sub(1));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn taken(paces: &Paces, destination: &str, now: i64) -> usize {
        (0..1_000).take_while(|_| paces.take(destination, Timestamp(now))).count()
    }

    #[test]
    fn a_destination_gets_as_many_as_is_said() {
        let rate = |per_minute, per_hour| Rate { per_minute, per_hour };
        let rates = [("a".to_owned(), rate(Some(3), Some(5))), ("*".to_owned(), rate(Some(7), None))];
        let paces = Paces::new(Pacing { rates: rates.into(), warm_up: None });
        assert_eq!((taken(&paces, "a", 0), taken(&paces, "b", 0), taken(&paces, "c", 1)), (3, 7, 7));
        assert_eq!((taken(&paces, "a", MINUTE), taken(&paces, "b", MINUTE)), (2, 7));
        assert_eq!((taken(&paces, "a", 2 * MINUTE), taken(&paces, "a", HOUR)), (0, 3));
        // What did not go is not counted.
        paces.give_back("a");
        paces.give_back("nobody");
        assert_eq!(taken(&paces, "a", HOUR), 1);
        // Nothing said, nothing counted.
        let paces = Paces::new(Pacing::default());
        assert_eq!((taken(&paces, "a", 0), paces.counted.lock().len()), (1_000, 0));
    }

    #[test]
    fn who_is_new_sends_twice_as_many_each_day() {
        let warm_up = WarmUp { since: Timestamp(10 * DAY), first: 20, most: 100 };
        let paces = Paces::new(Pacing { rates: BTreeMap::new(), warm_up: Some(warm_up) });
        let days: Vec<usize> = (9..15).map(|day| taken(&paces, "a", day * DAY + HOUR)).collect();
        assert_eq!(days, [20, 20, 40, 80, 1_000, 1_000]);
        assert_eq!(taken(&paces, "b", 10 * DAY + 5), 20, "each destination for itself");
        assert_eq!(taken(&paces, "a", 1_000_000 * DAY), 1_000);
        // Of domains that are kept here nothing is counted.
        paces.note("c", true);
        assert_eq!(taken(&paces, "c", 10 * DAY), 1_000);
        paces.note("c", false);
        assert_eq!(taken(&paces, "c", 10 * DAY), 20);
    }
}
