//! The messages of one mailbox.

use std::num::NonZeroU32;

use pennypost_model::message::BlobRef;
use pennypost_model::{Rid, Seq, SystemFlags, ThreadId, Timestamp, Uid};

use crate::ascending::{Ascending, Numbered};

/// Flags of a message as bits: 0 to 4 are the system flags, 5 to 63 the account's keywords in the order of
/// their first use.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct RowFlags(pub u64);

impl RowFlags {
    /// The first bit that stands for a keyword.
    pub const FIRST_KEYWORD: u32 = 5;
    /// How many keywords an account can use.
    pub const MAX_KEYWORDS: usize = 59;

    /// The system flags.
    #[must_use]
    pub const fn system(self) -> SystemFlags {
        SystemFlags((self.0 & 0x1f) as u8)
    }

    /// Are all these system flags set?
    #[must_use]
    pub const fn has(self, flags: SystemFlags) -> bool {
        self.system().contains(flags)
    }
}

/// A message in a mailbox.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Row {
    /// Its UID.
    pub uid: Uid,
    /// Its flags.
    pub flags: RowFlags,
    /// Its id in the account; a move keeps it.
    pub rid: Rid,
    /// The id under which its card stands in the journal: of itself, or of the message it is a copy of.
    pub origin: Rid,
    /// The last entry that touched it: its MODSEQ.
    pub modseq: Seq,
    /// INTERNALDATE.
    pub internal_date: Timestamp,
    /// The Date header; `None` also if it is out of the range of [`Seconds`].
    pub sent: Option<Seconds>,
    /// When it came into its mailbox (RFC 8514). `None`: before that was noted.
    pub saved: Option<Seconds>,
    /// Bytes as received.
    pub size: u64,
    /// Its conversation.
    pub thread: ThreadId,
    /// Where its bytes lie.
    pub blob: BlobRef,
}

/// A moment of 1970 to 2106, to the second, in four bytes; and `Option` needs no more.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Seconds(NonZeroU32);

impl Seconds {
    /// The second in which `time` lies, if it is in the range.
    #[must_use]
    pub fn of(time: Timestamp) -> Option<Seconds> {
        u32::try_from(time.seconds()).ok().and_then(NonZeroU32::new).map(Seconds)
    }

    /// From a count of seconds since 1970; `None` for 0.
    #[must_use]
    pub fn from_count(seconds: u32) -> Option<Seconds> {
        NonZeroU32::new(seconds).map(Seconds)
    }

    /// Seconds since 1970.
    #[must_use]
    pub const fn count(self) -> u32 {
        self.0.get()
    }

    /// Its beginning.
    #[must_use]
    pub const fn timestamp(self) -> Timestamp {
        Timestamp(self.0.get() as i64 * 1000)
    }
}

/// The messages of one mailbox.
pub type Rows = Ascending<Row>;

impl Numbered for Row {
    fn uid(&self) -> Uid {
        self.uid
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A mailbox of a million messages fits into 100 MB.
    #[test]
    fn a_row_is_small() {
        assert!(size_of::<Row>() <= 96, "{} bytes", size_of::<Row>());
    }
}
