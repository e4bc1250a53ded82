//! What was read of segments lately, shared by all sessions of the process and bounded by its bytes.

use std::collections::HashMap;
use std::sync::Arc;

use parking_lot::Mutex;
use pennypost_model::{AccountKey, EventId, Seq, Timestamp};

use super::format::Block;
use super::loose::Texts;
use super::read::Segment;
use crate::recent::{Memory, Recent};

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

impl Memory for Value {
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

/// Values by use, and the lists.
pub(crate) struct Cache(Mutex<Recent<Key, Value>>, Mutex<HashMap<AccountKey, (Arc<Names>, Timestamp)>>);

impl Default for Cache {
    fn default() -> Cache {
        Cache(Mutex::new(Recent::new(CAPACITY)), Mutex::default())
    }
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
        self.0.lock().find(key)
    }

    pub(super) fn keep(&self, key: Key, value: Value) {
        self.0.lock().keep(key, value);
    }
}
