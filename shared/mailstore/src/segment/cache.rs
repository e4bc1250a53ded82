//! What was read of segments lately, shared by all sessions of the process and bounded by its bytes.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use parking_lot::Mutex;
use pennypost_model::{AccountKey, EventId, Seq, Timestamp};

use super::format::Block;
use super::loose::Texts;
use super::read::Segment;

/// Bytes that are kept.
const CAPACITY: usize = 64 << 20;
/// Bytes that a value takes beside its own.
const OVERHEAD: usize = 160;

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) enum Key {
    /// Of the object of that name.
    Segment(String),
    /// Of the segment of that number: column, block.
    Block(u64, u8, u32),
    /// Of the segment of that number: signature, group.
    Group(u64, u8, u32),
    /// Of a message of no segment, by the entry of its pack.
    Structure(EventId, u32),
    /// The same.
    Envelope(EventId, u32),
    /// The same.
    Texts(EventId, u32),
}

#[derive(Clone)]
pub(super) enum Value {
    Segment(Arc<Segment>),
    Block(Arc<Block>),
    Group(Arc<Vec<u8>>),
    Structure(Arc<[Vec<u8>; 3]>),
    Envelope(Arc<[Vec<u8>; 3]>),
    Texts(Arc<Texts>),
}

impl Value {
    fn memory(&self) -> usize {
        OVERHEAD
            + match self {
                Value::Segment(segment) => segment.memory(),
                Value::Block(block) => block.memory(),
                Value::Group(group) => group.capacity(),
                Value::Structure(columns) | Value::Envelope(columns) => {
                    columns.iter().map(Vec::capacity).sum()
                }
                Value::Texts(texts) => texts.memory(),
            }
    }
}

/// Lists that are kept.
const LISTS: usize = 1_024;
/// For so many milliseconds a list counts without a look at the objects; this process's own changes count at once.
const LIST_MILLIS: i64 = 2_000;

/// The ranges and names of an account's segments.
pub(super) type Names = Vec<((Seq, Seq), String)>;

/// Values by use: the one that was not used for longest goes first.
#[derive(Default)]
pub(crate) struct Cache(Mutex<Inner>, Mutex<HashMap<AccountKey, (Arc<Names>, Timestamp)>>);

#[derive(Default)]
struct Inner {
    values: HashMap<Key, (Value, u64)>,
    /// Uses in their order; the last one of a key counts.
    uses: VecDeque<(Key, u64)>,
    clock: u64,
    bytes: usize,
}

impl Cache {
    /// The names that were listed a moment ago.
    pub(super) fn names(&self, account: AccountKey, now: Timestamp) -> Option<Arc<Names>> {
        let lists = self.1.lock();
        let (names, listed) = lists.get(&account)?;
        (0..LIST_MILLIS).contains(&(now.0 - listed.0)).then(|| Arc::clone(names))
    }

    pub(super) fn keep_names(&self, account: AccountKey, names: &Arc<Names>, now: Timestamp) {
        let mut lists = self.1.lock();
        if lists.len() >= LISTS {
            lists.clear();
        }
        lists.insert(account, (Arc::clone(names), now));
    }

    /// This process has put a segment, or removed one.
    pub(super) fn change_names(&self, account: AccountKey, change: impl FnOnce(&mut Names)) {
        if let Some((names, _)) = self.1.lock().get_mut(&account) {
            change(Arc::make_mut(names));
        }
    }

    /// Others may have changed the segments of an account.
    pub(super) fn forget_names(&self, account: AccountKey) {
        self.1.lock().remove(&account);
    }

    pub(super) fn find(&self, key: &Key) -> Option<Value> {
        let mut inner = self.0.lock();
        inner.clock += 1;
        let now = inner.clock;
        let (value, used) = inner.values.get_mut(key)?;
        *used = now;
        let value = value.clone();
        inner.uses.push_back((key.clone(), now));
        inner.trim();
        Some(value)
    }

    pub(super) fn keep(&self, key: Key, value: Value) {
        let mut inner = self.0.lock();
        inner.clock += 1;
        let now = inner.clock;
        inner.bytes += value.memory();
        if let Some((old, _)) = inner.values.insert(key.clone(), (value, now)) {
            inner.bytes -= old.memory();
        }
        inner.uses.push_back((key, now));
        inner.trim();
    }
}

impl Inner {
    /// Keeps to the bounds, of bytes and of the list of uses.
    fn trim(&mut self) {
        while self.bytes > CAPACITY || self.uses.len() > 4 * self.values.len() + 64 {
            let Some((key, used)) = self.uses.pop_front() else { return };
            let is_last_use = self.values.get(&key).is_some_and(|(_, last)| *last == used);
            if !is_last_use {
                continue;
            }
            if self.bytes > CAPACITY {
                if let Some((value, _)) = self.values.remove(&key) {
                    self.bytes -= value.memory();
                }
            } else {
                self.uses.push_back((key, used));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_cache_keeps_its_bounds_and_what_is_used() {
        let cache = Cache::default();
        let value = || Value::Group(Arc::new(vec![0; 1 << 20]));
        for number in 0..1_000 {
            cache.keep(Key::Group(0, 0, number), value());
            cache.keep(Key::Group(1, 0, number % 3), value());
            assert!(cache.find(&Key::Group(0, 0, 0)).is_some());
        }
        let inner = cache.0.lock();
        assert!(inner.bytes <= CAPACITY, "{}", inner.bytes);
        assert!(inner.uses.len() <= 4 * inner.values.len() + 64);
        assert!(inner.values.len() > 32);
        let sum: usize = inner.values.values().map(|(value, _)| value.memory()).sum();
        assert_eq!(sum, inner.bytes);
    }
}
