//! The messages of one mailbox, ascending by UID, in shared chunks: a clone shares them all, a change copies
//! only the chunks that it touches.

use std::num::NonZeroU32;
use std::sync::Arc;

use pennypost_model::message::BlobRef;
use pennypost_model::{Rid, Seq, SystemFlags, ThreadId, Timestamp, Uid, UidSet};

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

const CHUNK: usize = 256;

/// Rows, ascending by UID.
#[derive(Debug, Clone, Default)]
pub struct Rows {
    chunks: Vec<Arc<Vec<Row>>>,
    len: usize,
}

impl Rows {
    /// How many rows there are.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.len
    }

    /// No rows at all.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// All rows, ascending.
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = &Row> + Clone {
        self.chunks.iter().flat_map(|chunk| chunk.iter())
    }

    /// The row at `position`, counted from 0 (a message sequence number less one).
    #[must_use]
    pub fn at(&self, position: usize) -> Option<&Row> {
        let mut left = position;
        for chunk in &self.chunks {
            match chunk.get(left) {
                Some(row) => return Some(row),
                None => left -= chunk.len(),
            }
        }
        None
    }

    /// Rows from `position` on.
    pub fn from_position(&self, position: usize) -> impl Iterator<Item = &Row> {
        let mut left = position;
        let mut first = 0;
        while first < self.chunks.len() && left >= self.chunks[first].len() {
            left -= self.chunks[first].len();
            first += 1;
        }
        self.chunks[first..].iter().flat_map(|chunk| chunk.iter()).skip(left)
    }

    /// The position of `uid` and its row.
    #[must_use]
    pub fn find(&self, uid: Uid) -> Option<(usize, &Row)> {
        let after = self.chunk_after(uid);
        let chunk = self.chunks.get(after.checked_sub(1)?)?;
        let index = chunk.binary_search_by_key(&uid, |row| row.uid).ok()?;
        let before: usize = self.chunks[..after - 1].iter().map(|chunk| chunk.len()).sum();
        Some((before + index, &chunk[index]))
    }

    /// How many rows have a UID below `uid`: the position at which it is or would be.
    #[must_use]
    pub fn position_of(&self, uid: Uid) -> usize {
        let Some(index) = self.chunk_after(uid).checked_sub(1) else { return 0 };
        let before: usize = self.chunks[..index].iter().map(|chunk| chunk.len()).sum();
        before + self.chunks[index].partition_point(|row| row.uid < uid)
    }

    /// The highest row.
    #[must_use]
    pub fn last(&self) -> Option<&Row> {
        self.chunks.last().and_then(|chunk| chunk.last())
    }

    /// Rows whose UIDs are in `uids`, ascending.
    pub fn select<'a>(&'a self, uids: &'a UidSet) -> impl Iterator<Item = (usize, &'a Row)> + 'a {
        uids.ranges().iter().flat_map(move |(first, last)| {
            let start = self.position_of(Uid(*first));
            self.from_position(start)
                .take_while(move |row| row.uid.0 <= *last)
                .enumerate()
                .map(move |(index, row)| (start + index, row))
        })
    }

    /// The shared chunks, for comparing two states without looking at what they share.
    pub(crate) fn chunks(&self) -> &[Arc<Vec<Row>>] {
        &self.chunks
    }

    /// Appends a row with a UID above all others; another UID finds its place by insertion. `false`, and no
    /// change, if the UID is there already.
    pub(crate) fn push(&mut self, row: Row) -> bool {
        let in_order = self.last().is_none_or(|last| last.uid < row.uid);
        if in_order {
            match self.chunks.last_mut() {
                Some(chunk) if chunk.len() < CHUNK => Arc::make_mut(chunk).push(row),
                _ => {
                    let mut chunk = Vec::with_capacity(8);
                    chunk.push(row);
                    self.chunks.push(Arc::new(chunk));
                }
            }
            self.len += 1;
            return true;
        }
        let index = self.chunk_after(row.uid).saturating_sub(1);
        let chunk = Arc::make_mut(&mut self.chunks[index]);
        match chunk.binary_search_by_key(&row.uid, |row| row.uid) {
            Ok(_) => return false,
            Err(place) => chunk.insert(place, row),
        }
        self.len += 1;
        if self.chunks[index].len() > 2 * CHUNK {
            let upper = Arc::make_mut(&mut self.chunks[index]).split_off(CHUNK);
            self.chunks.insert(index + 1, Arc::new(upper));
        }
        true
    }

    /// Calls `change` for each row in `uids`. The UID must not be changed.
    pub(crate) fn update(&mut self, uids: &UidSet, mut change: impl FnMut(&mut Row)) {
        for (first, last) in uids.ranges() {
            let mut index = self.chunk_after(Uid(*first)).saturating_sub(1);
            while index < self.chunks.len() && self.chunks[index][0].uid.0 <= *last {
                let touched = self.chunks[index].iter().any(|row| (*first..=*last).contains(&row.uid.0));
                if touched {
                    let chunk = Arc::make_mut(&mut self.chunks[index]);
                    chunk
                        .iter_mut()
                        .filter(|row| (*first..=*last).contains(&row.uid.0))
                        .for_each(&mut change);
                }
                index += 1;
            }
        }
    }

    /// Takes the rows in `uids` out, ascending.
    pub(crate) fn remove(&mut self, uids: &UidSet) -> Vec<Row> {
        let mut removed = Vec::new();
        for (first, last) in uids.ranges() {
            let mut index = self.chunk_after(Uid(*first)).saturating_sub(1);
            while index < self.chunks.len() && self.chunks[index][0].uid.0 <= *last {
                let range = *first..=*last;
                if self.chunks[index].iter().any(|row| range.contains(&row.uid.0)) {
                    let chunk = Arc::make_mut(&mut self.chunks[index]);
                    let from = chunk.partition_point(|row| row.uid.0 < *first);
                    let to = chunk.partition_point(|row| row.uid.0 <= *last);
                    removed.extend(chunk.drain(from..to));
                }
                if self.chunks[index].is_empty() {
                    self.chunks.remove(index);
                } else {
                    index += 1;
                }
            }
        }
        self.len -= removed.len();
        self.merge_small_chunks();
        removed
    }

    fn merge_small_chunks(&mut self) {
        if self.chunks.len() < 16 || self.len > self.chunks.len() * CHUNK / 4 {
            return;
        }
        let rows: Vec<Row> = self.iter().copied().collect();
        self.chunks = rows.chunks(CHUNK).map(|chunk| Arc::new(chunk.to_vec())).collect();
    }

    /// Index of the first chunk that begins above `uid`.
    fn chunk_after(&self, uid: Uid) -> usize {
        self.chunks.partition_point(|chunk| chunk.first().is_some_and(|row| row.uid <= uid))
    }
}

impl PartialEq for Rows {
    fn eq(&self, other: &Rows) -> bool {
        self.len == other.len && self.iter().eq(other.iter())
    }
}
impl Eq for Rows {}

#[cfg(test)]
mod tests {
    use super::*;

    /// A mailbox of a million messages fits into 100 MB.
    #[test]
    fn a_row_is_small() {
        assert!(size_of::<Row>() <= 96, "{} bytes", size_of::<Row>());
    }
}
