//! What changed between two states of a mailbox, without looking at the chunks that both share.

use std::sync::Arc;

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
                if was.modseq != is.modseq {
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
    let (old, new) = (old.rows.chunks(), new.rows.chunks());
    old.len() == new.len() && old.iter().zip(new).all(|(old, new)| Arc::ptr_eq(old, new))
}

struct Cursor<'a> {
    chunks: &'a [Arc<Vec<Row>>],
    chunk: usize,
    index: usize,
    position: usize,
}

impl<'a> Cursor<'a> {
    fn new(mailbox: &'a Mailbox) -> Cursor<'a> {
        Cursor { chunks: mailbox.rows.chunks(), chunk: 0, index: 0, position: 0 }
    }

    fn row(&self) -> Option<&'a Row> {
        self.chunks.get(self.chunk).and_then(|chunk| chunk.get(self.index))
    }

    fn step(&mut self) {
        self.index += 1;
        self.position += 1;
        if self.chunks.get(self.chunk).is_some_and(|chunk| self.index >= chunk.len()) {
            self.chunk += 1;
            self.index = 0;
        }
    }

    /// If both are at the beginning of one and the same chunk, passes over it.
    fn skip_shared(&mut self, other: &mut Cursor<'_>) -> bool {
        if self.index != 0 || other.index != 0 {
            return false;
        }
        let (Some(ours), Some(theirs)) = (self.chunks.get(self.chunk), other.chunks.get(other.chunk)) else {
            return false;
        };
        if !Arc::ptr_eq(ours, theirs) {
            return false;
        }
        self.chunk += 1;
        self.position += ours.len();
        other.chunk += 1;
        other.position += theirs.len();
        true
    }
}
