//! How many attempts a process makes at once, in all, for each destination and for each tenant, and how many bytes of large
//! messages they keep in memory.
//!
//! A destination has few at first, and more for each that it answers; one that can't be reached, or says that it has too much to
//! do, has half as many from then on: in the end it is tried by one alone, and slows down nothing else.
//!
//! A tenant has at most half of what the others leave free, everywhere: whoever sends to servers that take their time, or
//! sends large messages, leaves room for the next one.

use std::collections::HashMap;
use std::sync::Arc;

use parking_lot::Mutex;
use pennypost_model::{EventId, TenantId};
use pennypost_outbound::Due;

/// Bytes of large messages in memory; one that is larger is there alone.
const ROOM: u64 = 128 << 20;
/// From so many bytes a message is large.
const LARGE: u64 = 1 << 20;
/// Attempts at once for a destination of which nothing is known.
const FIRST: usize = 5;
/// Destinations of which something is remembered.
const KNOWN: usize = 10_000;

/// An item in hand.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct InHand {
    pub tenant: TenantId,
    pub message: EventId,
    pub destination: String,
    pub part: u16,
    pub size: u64,
    /// By what it goes: the destination, or a server of the tenant's own.
    pub lane: String,
}

impl InHand {
    /// By that lane; none: that of its destination.
    pub fn of(due: &Due, lane: Option<String>) -> InHand {
        let Due { tenant, message, part, size, .. } = *due;
        let lane = lane.unwrap_or_else(|| due.destination.clone());
        InHand { tenant, message, destination: due.destination.clone(), part, size, lane }
    }

    /// Whatever lane it takes.
    fn is_same(&self, other: &InHand) -> bool {
        let key = |item: &InHand| (item.tenant, item.message, item.part);
        key(self) == key(other) && self.destination == other.destination
    }
}

pub(crate) struct Slots {
    in_hand: Arc<Mutex<Vec<InHand>>>,
    all: usize,
    each: usize,
    /// How many each destination has at once, where that is not what it has at first, in hundredths.
    windows: Mutex<HashMap<String, usize>>,
}

/// What an attempt tells of its destination.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mood {
    /// It has answered.
    Well,
    /// It was not reached, or has too much to do.
    Unwell,
}

/// The right to make an attempt; given back when dropped.
pub(crate) struct Slot {
    in_hand: Arc<Mutex<Vec<InHand>>>,
    item: InHand,
}

/// Why there is no slot.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Busy {
    /// As many as may be are in hand.
    All,
    /// As many as may be at this destination, of this tenant, or in memory: others may go on.
    Here,
    /// This one.
    InHand,
}

/// What one tenant has of what the others leave free.
const fn share(free: usize) -> usize {
    free.div_ceil(2)
}

impl Slots {
    pub fn new(all: usize, each: usize) -> Slots {
        Slots { in_hand: Arc::default(), all: all.max(1), each: each.max(1), windows: Mutex::default() }
    }

    /// How many attempts a destination has at once now.
    pub fn window(&self, destination: &str) -> usize {
        let found = self.windows.lock().get(destination).copied();
        found.map_or(FIRST, |hundredths| hundredths / 100).clamp(1, self.each)
    }

    /// Notes what an attempt has shown: with each good one there may be a part of one more, with each bad one half as many.
    pub fn note(&self, destination: &str, mood: Mood) {
        let (least, first, most) = (100, 100 * FIRST.min(self.each), 100 * self.each);
        let mut windows = self.windows.lock();
        let window = windows.get(destination).copied().unwrap_or(first);
        let window = match mood {
            Mood::Well => (window + 10_000 / window.max(1)).min(most),
            Mood::Unwell => (window / 2).max(least),
        };
        if windows.len() >= KNOWN && !windows.contains_key(destination) {
            // All begin anew: nothing hangs upon what is remembered.
            windows.clear();
        }
        windows.insert(destination.to_owned(), window);
    }

    /// Another process has found it unwell: it is tried by one.
    pub fn narrow(&self, destination: &str) {
        let mut windows = self.windows.lock();
        if windows.len() < KNOWN || windows.contains_key(destination) {
            windows.insert(destination.to_owned(), 100);
        }
    }

    pub fn take(&self, item: InHand) -> Result<Slot, Busy> {
        let (tenant, each) = (item.tenant, self.window(&item.lane));
        let mut in_hand = self.in_hand.lock();
        if in_hand.iter().any(|known| known.is_same(&item)) {
            return Err(Busy::InHand);
        }
        if in_hand.len() >= self.all {
            return Err(Busy::All);
        }
        let ours = in_hand.iter().filter(|known| known.tenant == tenant).count();
        let here = || in_hand.iter().filter(|known| known.lane == item.lane);
        let ours_here = here().filter(|known| known.tenant == tenant).count();
        let free_here = each.saturating_sub(here().count() - ours_here);
        if ours >= share(self.all - (in_hand.len() - ours))
            || ours_here >= share(free_here)
            || !has_room(&in_hand, &item)
        {
            return Err(Busy::Here);
        }
        in_hand.push(item.clone());
        Ok(Slot { in_hand: Arc::clone(&self.in_hand), item })
    }
}

/// Is there memory for it? A message is there once, however many destinations it has.
fn has_room(in_hand: &[InHand], item: &InHand) -> bool {
    let large = in_hand.iter().filter(|known| known.size >= LARGE);
    let large: HashMap<_, _> = large.map(|known| ((known.tenant, known.message), known.size)).collect();
    if item.size < LARGE || large.is_empty() || large.contains_key(&(item.tenant, item.message)) {
        return true;
    }
    let ours = large.iter().filter(|((tenant, _), _)| *tenant == item.tenant);
    let ours: u64 = ours.map(|(_, size)| size).sum();
    let others = large.values().sum::<u64>() - ours;
    let half = ROOM.saturating_sub(others) / 2;
    ours + others + item.size <= ROOM && (ours == 0 || ours + item.size <= half)
}

impl Drop for Slot {
    fn drop(&mut self) {
        let mut in_hand = self.in_hand.lock();
        if let Some(place) = in_hand.iter().position(|known| *known == self.item) {
            in_hand.swap_remove(place);
        }
    }
}
