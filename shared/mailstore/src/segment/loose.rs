//! Messages that no segment has (yet): what was made of them is kept for a while beside the blocks of segments, so
//! that the newest messages of a mailbox are not read again by each command.

use std::sync::Arc;

use pennypost_mime::search::HeaderText;
use pennypost_mime::wire;
use pennypost_model::message::BlobRef;
use pennypost_model::structure::Structure;

use super::cache::{Key, Value};
use super::{Column, Text};
use crate::Mailstore;

/// What is larger is not kept.
const MAX_KEPT: usize = 128 * 1024;

/// What SEARCH looks into.
#[derive(Debug, Default)]
pub struct Texts {
    /// Lines of the header.
    pub header: HeaderText,
    /// `None`: the text was not looked for.
    pub text: Option<Text>,
}

impl Texts {
    pub(super) fn memory(&self) -> usize {
        let text = self.text.as_ref().map_or(0, |text| text.body.capacity() + text.part_headers.capacity());
        self.header.main.capacity() + self.header.rest.capacity() + text
    }
}

/// The columns that [`Mailstore::structure`] gives, in this order.
const COLUMNS: [Column; 3] = [Column::Envelope, Column::BodyStructure, Column::Body];

impl Mailstore {
    /// What was written lately of the structure of a message: the column is one of those of IMAP's structure.
    #[must_use]
    pub fn structure(&self, blob: BlobRef) -> Option<Arc<[Vec<u8>; 3]>> {
        match self.cache.find(&Key::Structure(blob.pack, blob.entry))? {
            Value::Structure(columns) => Some(columns),
            _ => None,
        }
    }

    /// The envelope of a message that came lately, or was written lately: the first of [`Mailstore::structure`]'s columns,
    /// and the others are empty.
    #[must_use]
    pub fn envelope(&self, blob: BlobRef) -> Option<Arc<[Vec<u8>; 3]>> {
        match self.cache.find(&Key::Envelope(blob.pack, blob.entry)) {
            Some(Value::Envelope(columns)) => Some(columns),
            _ => self.structure(blob),
        }
    }

    /// Keeps the envelope of a message for a while.
    pub(crate) fn keep_envelope(&self, blob: BlobRef, written: Vec<u8>) {
        let columns = Arc::new([written, Vec::new(), Vec::new()]);
        self.cache.keep(Key::Envelope(blob.pack, blob.entry), Value::Envelope(columns));
    }

    /// Writes the structure of a message, and keeps it for a while.
    #[must_use]
    pub fn write_structure(&self, blob: BlobRef, structure: &Structure) -> Arc<[Vec<u8>; 3]> {
        let mut columns = [Vec::new(), Vec::new(), Vec::new()];
        let [envelope, body_structure, body] = &mut columns;
        wire::envelope(envelope, &structure.envelope);
        wire::body(body_structure, structure, true);
        wire::body(body, structure, false);
        let columns = Arc::new(columns);
        if columns.iter().map(Vec::len).sum::<usize>() <= MAX_KEPT {
            self.cache.keep(Key::Structure(blob.pack, blob.entry), Value::Structure(Arc::clone(&columns)));
        }
        columns
    }

    /// Which of [`Mailstore::structure`]'s columns this is; `None` if it is none of them.
    #[must_use]
    pub fn number_of_structure(column: Column) -> Option<usize> {
        COLUMNS.iter().position(|known| *known == column)
    }

    /// What SEARCH looked into lately.
    #[must_use]
    pub fn texts(&self, blob: BlobRef) -> Option<Arc<Texts>> {
        match self.cache.find(&Key::Texts(blob.pack, blob.entry))? {
            Value::Texts(texts) => Some(texts),
            _ => None,
        }
    }

    /// Keeps what SEARCH looks into for a while.
    pub fn keep_texts(&self, blob: BlobRef, texts: Arc<Texts>) {
        if texts.memory() <= MAX_KEPT {
            self.cache.keep(Key::Texts(blob.pack, blob.entry), Value::Texts(texts));
        }
    }
}
