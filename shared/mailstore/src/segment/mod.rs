//! Segments: what is derived from messages so that mailboxes of 100,000 are listed and searched quickly
//! (architecture section 7).
//!
//! A segment is an immutable object of one account. It covers the messages that the entries after `low` up to
//! `high` have added, by their `origin`; [`Column`]s of 64 messages each are compressed by themselves: what IMAP
//! tells of a message, as it stands on the wire; facts to sort by; the folded text that SEARCH looks into. Beside
//! them stand signatures that tell in which blocks a text cannot be.
//!
//! Segments are written by housekeeping and can be thrown away: a message that no segment has, is read as it
//! lies in its pack. Whoever reads goes by the rids in the directories and not by ranges, so that segments may
//! overlap, lack messages, hold some that are gone, or disappear while they are read.
//!
//! If the process dies at any line: a segment is there or it is not; one that a larger one contains is an orphan
//! that the next run removes.

mod build;
mod cache;
mod check;
mod derive;
mod format;
mod loose;
mod read;
mod signature;
mod wanted;

pub use build::{Indexed, Indexing, Settings};
pub(crate) use cache::Cache;
pub use derive::{SortFacts, Text};
pub use format::Block;
pub use loose::Texts;
pub use read::{Place, Segments};
pub(crate) use wanted::Wanted;

/// Messages in a block.
pub const BLOCK: usize = 64;
/// Messages of the largest segments.
pub const MAX_MESSAGES: usize = 8_192;

/// What is kept of each message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Column {
    /// ENVELOPE as on the wire.
    Envelope,
    /// BODYSTRUCTURE as on the wire.
    BodyStructure,
    /// BODY as on the wire.
    Body,
    /// [`SortFacts`].
    Facts,
    /// Lines of the main header fields ([`pennypost_mime::search::HeaderText::main`]).
    MainFields,
    /// Lines of the other header fields.
    OtherFields,
    /// [`Text`].
    Text,
}

impl Column {
    /// All of them, in the order of their numbers.
    pub const ALL: [Column; 7] = [
        Column::Envelope,
        Column::BodyStructure,
        Column::Body,
        Column::Facts,
        Column::MainFields,
        Column::OtherFields,
        Column::Text,
    ];
}

/// Texts that have signatures of their own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Signed {
    /// [`Column::MainFields`] and [`Column::OtherFields`].
    Header,
    /// [`Column::Text`].
    Text,
}
