//! What changed between two states of a mailbox, without looking at the chunks that both share.

use std::sync::Arc;

use crate::ascending::Group;
use crate::mailbox::Mailbox;
use crate::rows::Row;

/// What a session that showed the old state must be told to show the new one.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Difference {
    /// Messages that are gone: position in the old state (from 0) and row, ascending.
    pub gone: Vec<(usize, Row)>,
    /// Messages whose flags or other data changed: position in the new state and new row, ascending.
    pub changed: Vec<(usize, Row)>,
    /// Messages that are new: position in the new state and row, ascending.
    pub new: Vec<(usize, Row)>,
}

impl Difference {
    /// Nothing to tell.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.gone.is_empty() && self.changed.is_empty() && self.new.is_empty()
    }
}

/// Compares two states of the same mailbox.
#[must_use]
pub fn difference(old: &Mailbox, new: &Mailbox) -> Difference {
    difference_of(old, new, |_| true)
}

/// As [`difference`], but of changed messages only those that are wanted.
#[must_use]
pub fn difference_of(old: &Mailbox, new: &Mailbox, wanted: impl Fn(&Row) -> bool) -> Difference {
    let mut result = Difference::default();
    if old.modseq == new.modseq && old.rows.len() == new.rows.len() && shares_all(old, new) {
        return result;
    }
    let mut before = Cursor::new(old);
    let mut after = Cursor::new(new);
    loop {
        if before.skip_shared(&mut after) {
            continue;
        }
        match (before.row(), after.row()) {
            (None, None) => return result,
            (Some(was), Some(is)) if was.uid == is.uid => {
                if was.modseq != is.modseq && wanted(is) {
                    result.changed.push((after.position, *is));
                }
                before.step();
                after.step();
            }
            (Some(was), is) if is.is_none_or(|is| was.uid < is.uid) => {
                result.gone.push((before.position, *was));
                before.step();
            }
            (_, Some(is)) => {
                result.new.push((after.position, *is));
                after.step();
            }
            (Some(_), None) => return result,
        }
    }
}

fn shares_all(old: &Mailbox, new: &Mailbox) -> bool {
    let (old, new) = (old.rows.groups(), new.rows.groups());
    old.len() == new.len() && old.iter().zip(new).all(|(old, new)| Arc::ptr_eq(old, new))
}

struct Cursor<'a> {
    groups: &'a [Arc<Group<Row>>],
    group: usize,
    chunk: usize,
    index: usize,
    position: usize,
}

impl<'a> Cursor<'a> {
    fn new(mailbox: &'a Mailbox) -> Cursor<'a> {
        Cursor { groups: mailbox.rows.groups(), group: 0, chunk: 0, index: 0, position: 0 }
    }

    fn chunk(&self) -> Option<&'a Arc<Vec<Row>>> {
        self.groups.get(self.group)?.chunks.get(self.chunk)
    }

    fn row(&self) -> Option<&'a Row> {
        self.chunk()?.get(self.index)
    }

    fn step(&mut self) {
        self.index += 1;
        self.position += 1;
        if self.chunk().is_some_and(|chunk| self.index >= chunk.len()) {
            self.next_chunk();
        }
    }

    fn next_chunk(&mut self) {
        self.index = 0;
        self.chunk += 1;
        if self.groups.get(self.group).is_some_and(|group| self.chunk >= group.chunks.len()) {
            self.group += 1;
            self.chunk = 0;
        }
    }

    /// If both are at the beginning of one and the same group or chunk, passes over it.
    fn skip_shared(&mut self, other: &mut Cursor<'_>) -> bool {
        if self.index != 0 || other.index != 0 {
            return false;
        }
        if self.chunk == 0
            && other.chunk == 0
            && let (Some(ours), Some(theirs)) = (self.groups.get(self.group), other.groups.get(other.group))
            && Arc::ptr_eq(ours, theirs)
        {
            self.group += 1;
            self.position += ours.len;
            other.group += 1;
            other.position += ours.len;
            return true;
        }
        let (Some(ours), Some(theirs)) = (self.chunk(), other.chunk()) else { return false };
        if !Arc::ptr_eq(ours, theirs) {
            return false;
        }
        self.position += ours.len();
        other.position += ours.len();
        self.next_chunk();
        other.next_chunk();
        true
    }
}
