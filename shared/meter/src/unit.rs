//! The kinds of units.

/// A kind of unit that is counted and billed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Unit {
    /// Write units of the journal's table: one for each 1 KB of an item, begun ones included.
    JournalWrite,
    /// Read units of the journal's table: one for each 4 KB read consistently, half of one otherwise.
    JournalRead,
    /// Write units of the control table.
    ControlWrite,
    /// Read units of the control table.
    ControlRead,
    /// Write units of the log's table.
    LogWrite,
    /// Read units of the log's table.
    LogRead,
    /// Puts and copies of objects.
    ObjectWrite,
    /// Gets of objects, ranged ones included.
    ObjectRead,
    /// Deletions of objects.
    ObjectDelete,
    /// Bytes of objects that were read.
    ObjectBytesRead,
    /// Bytes of objects that were written.
    ObjectBytesWritten,
    /// Requests to queues: one for each 64 KB of a call, begun ones included.
    QueueRequest,
    /// Invocations of functions.
    Invocation,
    /// Time of functions, in megabyte-milliseconds of their memory.
    MegabyteMillis,
    /// Bytes sent to mail programs, browsers and other servers.
    BytesOut,
    /// Listings of objects: one for each 1,000 names, begun ones included. Each costs as much as a put.
    ObjectList,
}

impl Unit {
    /// Every kind, in the order of reports.
    pub const ALL: [Unit; 16] = [
        Unit::QueueRequest,
        Unit::Invocation,
        Unit::MegabyteMillis,
        Unit::JournalWrite,
        Unit::JournalRead,
        Unit::ControlWrite,
        Unit::ControlRead,
        Unit::LogWrite,
        Unit::LogRead,
        Unit::ObjectWrite,
        Unit::ObjectList,
        Unit::ObjectRead,
        Unit::ObjectDelete,
        Unit::ObjectBytesWritten,
        Unit::ObjectBytesRead,
        Unit::BytesOut,
    ];

    /// The number by which stored records know it: never given to another kind.
    #[must_use]
    pub const fn code(self) -> u8 {
        match self {
            Unit::JournalWrite => 0,
            Unit::JournalRead => 1,
            Unit::ControlWrite => 2,
            Unit::ControlRead => 3,
            Unit::LogWrite => 4,
            Unit::LogRead => 5,
            Unit::ObjectWrite => 6,
            Unit::ObjectRead => 7,
            Unit::ObjectDelete => 8,
            Unit::ObjectBytesRead => 9,
            Unit::ObjectBytesWritten => 10,
            Unit::QueueRequest => 11,
            Unit::Invocation => 12,
            Unit::MegabyteMillis => 13,
            Unit::BytesOut => 14,
            Unit::ObjectList => 15,
        }
    }

    /// The kind of that number.
    #[must_use]
    pub fn of_code(code: u8) -> Option<Unit> {
        Unit::ALL.into_iter().find(|unit| unit.code() == code)
    }

    /// Its name in reports and metrics.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Unit::JournalWrite => "journal-write",
            Unit::JournalRead => "journal-read",
            Unit::ControlWrite => "control-write",
            Unit::ControlRead => "control-read",
            Unit::LogWrite => "log-write",
            Unit::LogRead => "log-read",
            Unit::ObjectWrite => "object-write",
            Unit::ObjectRead => "object-read",
            Unit::ObjectDelete => "object-delete",
            Unit::ObjectBytesRead => "object-bytes-read",
            Unit::ObjectBytesWritten => "object-bytes-written",
            Unit::QueueRequest => "queue-request",
            Unit::Invocation => "invocation",
            Unit::MegabyteMillis => "megabyte-millis",
            Unit::BytesOut => "bytes-out",
            Unit::ObjectList => "object-list",
        }
    }
}
