//! The journal: the truth of every account (architecture sections 1 and 4).

use async_trait::async_trait;
use pennypost_model::journal::Entry;
use pennypost_model::{AccountKey, Seq, TenantId};

use crate::{Consistency, NewObject, PortError, PortResult};

/// What became of an append.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Appended {
    /// The entry is there, durably, and nobody else's ever will be under its number.
    Committed,
    /// Another entry has that number. It may be the caller's own from an earlier try whose answer was lost:
    /// look for the event id in it.
    Lost(Box<Entry>),
}

/// The head hint: where the newest base lies. Only a hint, and only ever moves forward.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Head {
    /// The base contains entries up to this one.
    pub base_seq: Seq,
    /// Name of the base object.
    pub base: String,
}

/// The newest end of a journal.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Newest {
    /// The newest entries, ascending, without holes.
    pub entries: Vec<Entry>,
    /// The head hint, if a base was ever built.
    pub head: Option<Head>,
}

/// The journal of each account: entries 1, 2, 3, … without holes, each put once and never changed.
#[async_trait]
pub trait Journal: Send + Sync {
    /// Puts `entry` under `entry.seq` if nothing is there. Atomic and durable when it returns `Committed`.
    /// The caller has seen entry `seq - 1`; a backend need not check that it exists.
    async fn append(&self, account: AccountKey, entry: &Entry) -> PortResult<Appended>;

    /// Bytes of objects that [`Journal::append_with`] takes at most; 0 where objects can't go with an entry.
    fn takes_objects(&self) -> usize {
        0
    }

    /// As [`Journal::append`], and puts an object with the entry: both are there, durably, or neither is. The
    /// object port sees it from then on.
    async fn append_with(
        &self,
        account: AccountKey,
        entry: &Entry,
        object: NewObject,
    ) -> PortResult<Appended> {
        let _ = (account, entry, object);
        Err(PortError::Refused { port: "journal", cause: "objects can't be put with an entry".to_owned() })
    }

    /// Entries after `after`, ascending, at most `limit`, never with a hole: a stale read is a prefix.
    async fn since(
        &self,
        account: AccountKey,
        after: Seq,
        limit: usize,
        consistency: Consistency,
    ) -> PortResult<Vec<Entry>>;

    /// The number of the account's newest entry, where that is certain without a read: it is not below that of
    /// any append that was answered before the call, by whichever process. `None` where only a read can tell.
    fn newest_known(&self, account: AccountKey) -> Option<Seq> {
        let _ = account;
        None
    }

    /// Entries up to and including `upto`, the newest `limit` of them, ascending.
    async fn before(&self, account: AccountKey, upto: Seq, limit: usize) -> PortResult<Vec<Entry>>;

    /// The newest `limit` entries and the head hint, in one read. A stale read gives an older end.
    async fn newest(&self, account: AccountKey, limit: usize, consistency: Consistency)
    -> PortResult<Newest>;

    /// Moves the head hint to `head` if that is further than where it stands. `false` if it is not.
    async fn advance_head(&self, account: AccountKey, head: &Head) -> PortResult<bool>;

    /// Accounts of a tenant that have a journal, in ascending order after `after`, at most `limit`.
    async fn accounts(
        &self,
        tenant: TenantId,
        after: Option<AccountKey>,
        limit: usize,
    ) -> PortResult<Vec<AccountKey>>;

    /// Erases some of what the account has, `limit` entries at most: first the head hint, then entries from the newest
    /// on, and with the first one that the account has a journal. `true` if there is more. For tenants that are erased: what
    /// somebody appends meanwhile is for the next call.
    async fn erase(&self, account: AccountKey, limit: usize) -> PortResult<bool> {
        let _ = (account, limit);
        Err(PortError::Refused { port: "journal", cause: "entries can't be erased here".to_owned() })
    }
}
