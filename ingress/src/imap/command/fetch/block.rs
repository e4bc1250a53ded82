//! The header block of a message that is kept while its sections are sent.
//!
//! A header is stored as one compressed block, so that each look at it costs the whole: it is read once for
//! all sections of a message. A large one counts in the account's share of the memory for messages under way.

use std::ops::Range;

use pennypost_mailstore::StoreError;
use pennypost_mailstore::blobs::Message;
use pennypost_model::structure::Span;
use pennypost_ports::PortError;

use crate::imap::PATIENCE_FOR_MEMORY;
use crate::net::Share;

/// Up to here a block needs no share.
const SMALL: u64 = 64 * 1024;

/// One block of a message: its header, or that of a message in it.
pub(super) struct Block {
    held: Option<(Span, Vec<u8>)>,
    share: Share,
}

impl Block {
    /// Nothing is held yet.
    pub fn new(share: Share) -> Block {
        Block { held: None, share }
    }

    /// The bytes of a span, held from now on instead of others.
    pub async fn read(&mut self, message: &Message, span: Span) -> Result<&[u8], StoreError> {
        if self.held.as_ref().is_none_or(|(held, _)| *held != span) {
            self.held = None;
            reserve(&mut self.share, span.len()).await?;
            self.held = Some((span, message.range(span.start..span.end).await?));
        }
        Ok(self.held.as_ref().map_or(&[], |(_, bytes)| bytes))
    }

    /// Bytes of the message: those of the header from the block, others as they are stored.
    pub async fn range(&mut self, message: &Message, range: Range<u64>) -> Result<Vec<u8>, StoreError> {
        let header = Span { start: 0, end: message.header_len() };
        if range.start >= header.end {
            return message.range(range).await;
        }
        let held = self.read(message, header).await?;
        let (start, end) = (range.start as usize, range.end.min(header.end) as usize);
        let cut = || StoreError::Damaged("a header is shorter than it says".to_owned());
        let mut bytes = held.get(start..end).ok_or_else(cut)?.to_vec();
        if range.end > header.end {
            bytes.extend_from_slice(&message.range(header.end..range.end).await?);
        }
        Ok(bytes)
    }
}

/// Waits for memory for so many bytes of a message, unless they are few.
pub(in crate::imap::command) async fn reserve(share: &mut Share, bytes: u64) -> Result<(), StoreError> {
    let len = usize::try_from(bytes).unwrap_or(usize::MAX);
    if bytes <= SMALL || share.grow_within(len, PATIENCE_FOR_MEMORY).await {
        return Ok(());
    }
    Err(PortError::Unavailable { port: "memory", cause: "too many messages are under way".to_owned() }.into())
}
