//! The control table: tenants, domains, directory, credentials, policies, hints, tasks.

use async_trait::async_trait;

use crate::{Consistency, PortResult};

/// Key of an item. Everything of a tenant lies in partitions that begin with its id; the one exception is the
/// map from domain to tenant. What is the installation's own (`chores`) has partitions without an id.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ControlKey {
    /// Items of a partition are found together. 1 to 512 bytes.
    pub partition: String,
    /// Order within the partition. 1 to 512 bytes.
    pub sort: String,
}

impl ControlKey {
    /// A key from its two halves.
    #[must_use]
    pub fn new(partition: impl Into<String>, sort: impl Into<String>) -> ControlKey {
        ControlKey { partition: partition.into(), sort: sort.into() }
    }
}

/// An item with its version.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Item {
    /// The bytes, at most 350 KB.
    pub value: Vec<u8>,
    /// Grows with each write of the item; starts at 1. An item that is made after another one was deleted under the
    /// same key is a new one, and starts at 1 again: who holds a version across a deletion may find it on the new one.
    pub version: u64,
}

/// What must hold for a write.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Expected {
    /// No item.
    Absent,
    /// The item with this version.
    Version(u64),
    /// Nothing: the last writer wins. Only for values that any writer would write alike.
    Any,
}

/// What became of a conditional write.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Put {
    /// Written, durably, under this version.
    Stored(u64),
    /// The condition did not hold; this is what is there.
    Conflict(Option<Item>),
}

/// Small items under two-part keys with compare-and-set.
#[async_trait]
pub trait Control: Send + Sync {
    /// The item.
    async fn get(&self, key: &ControlKey, consistency: Consistency) -> PortResult<Option<Item>>;

    /// Writes the item if `expected` holds. Atomic. A version is never given twice for a key while its
    /// item exists; beyond its deletion nothing is remembered of it.
    async fn put_if(&self, key: &ControlKey, value: &[u8], expected: Expected) -> PortResult<Put>;

    /// Deletes the item if it has that version. `false` if it has not.
    async fn delete_if(&self, key: &ControlKey, version: u64) -> PortResult<bool>;

    /// Items of a partition whose sort keys begin with `prefix` and come after `after`, ascending by bytes, at
    /// most `limit`.
    async fn query(
        &self,
        partition: &str,
        prefix: &str,
        after: Option<&str>,
        limit: usize,
    ) -> PortResult<Vec<(String, Item)>>;
}
