//! The log: records that are appended, looked up by time and id, and expire.

use async_trait::async_trait;
use pennypost_model::{EventId, TenantId, Timestamp};

use crate::{PortError, PortResult};

/// Kinds of records; each has a retention of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum LogKind {
    /// [`pennypost_model::trace::TraceRecord`]s; the id is the message's.
    Trace,
    /// Sign-ins; the id is the record's own.
    Login,
    /// Operations of administrators; the id is the record's own.
    Audit,
    /// [`pennypost_model::usage::UsageRecord`]s: what work used that left no traces; the id is the record's own.
    Usage,
    /// Reports of other organisations about the tenant's mail; the id is made of what they are called.
    Heard,
}

impl LogKind {
    /// Its name in storage.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            LogKind::Trace => "trace",
            LogKind::Login => "login",
            LogKind::Audit => "audit",
            LogKind::Usage => "usage",
            LogKind::Heard => "heard",
        }
    }
}

/// A record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogRecord {
    /// Whose it is.
    pub tenant: TenantId,
    /// Its kind.
    pub kind: LogKind,
    /// What it is about; several records may share an id.
    pub id: EventId,
    /// When it was written.
    pub time: Timestamp,
    /// The encoded record.
    pub value: Vec<u8>,
}

/// What to look for. Results come in order of (id, time, order of writing).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogQuery {
    /// Whose records.
    pub tenant: TenantId,
    /// Which kind.
    pub kind: LogKind,
    /// Ids from this one on, inclusive.
    pub from: EventId,
    /// Ids up to this one, inclusive.
    pub to: EventId,
    /// At most so many.
    pub limit: usize,
}

/// Append-only records. A record that was appended twice (a retry) may be found twice: readers merge.
#[async_trait]
pub trait Log: Send + Sync {
    /// Appends all records, durably.
    async fn append(&self, records: &[LogRecord]) -> PortResult<()>;

    /// As [`Log::append`], durably when it returns, but it may take some milliseconds longer where that saves a write of
    /// their own: for records that nobody waits for but who has to know that they are there.
    async fn append_unhurried(&self, records: &[LogRecord]) -> PortResult<()> {
        self.append(records).await
    }

    /// Finds records.
    async fn query(&self, query: &LogQuery) -> PortResult<Vec<LogRecord>>;

    /// Removes records of `kind` whose time is before `before`; they may linger.
    async fn expire(&self, kind: LogKind, before: Timestamp) -> PortResult<u64>;

    /// Erases some of a tenant's records of `kind`, whatever their time; how many pieces of storage it has removed, `limit` at
    /// most. None: there were none.
    async fn erase(&self, tenant: TenantId, kind: LogKind, limit: usize) -> PortResult<u64> {
        let _ = (tenant, kind, limit);
        Err(PortError::Refused { port: "log", cause: "records can't be erased here".to_owned() })
    }
}
