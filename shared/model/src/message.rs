//! The form in which a message's bytes travel in events and lie in packs, its list card, and where it lies.

use serde::{Deserialize, Serialize};

use crate::codec::Versioned;
use crate::ids::EventId;
use crate::structure::Structure;
use crate::{ThreadId, Timestamp};

/// Bytes of one compressed body frame before compression: a part can be fetched without the rest.
pub const FRAME_LEN: usize = 64 * 1024;

/// A message as received, split into header block and body frames, each compressed by itself (zstd). It is
/// made once at acceptance and goes unchanged into the pack (architecture, invariant 8).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StoredMessage {
    /// Bytes of the whole message, uncompressed.
    pub size: u64,
    /// Bytes of the header block with the empty line that ends it, uncompressed.
    pub header_len: u64,
    /// CRC-32 of the uncompressed message.
    pub crc: u32,
    /// The compressed header block.
    #[serde(with = "serde_bytes")]
    pub header: Vec<u8>,
    /// The compressed body frames, each of [`FRAME_LEN`] bytes uncompressed but for the last.
    #[serde(with = "frames")]
    pub frames: Vec<Vec<u8>>,
}

/// Frames as wholes and not octet by octet: the same encoding, made and read by copying.
mod frames {
    use serde::{Deserialize, Deserializer, Serializer};
    use serde_bytes::{ByteBuf, Bytes};

    pub(super) fn serialize<S: Serializer>(frames: &[Vec<u8>], serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(frames.iter().map(|frame| Bytes::new(frame)))
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<Vec<u8>>, D::Error> {
        let frames: Vec<ByteBuf> = Vec::deserialize(deserializer)?;
        Ok(frames.into_iter().map(ByteBuf::into_vec).collect())
    }
}

impl Versioned for StoredMessage {
    const KIND: &'static str = "stored message";
}

impl StoredMessage {
    /// Bytes that it takes as it is.
    #[must_use]
    pub fn stored_len(&self) -> usize {
        self.header.len() + self.frames.iter().map(Vec::len).sum::<usize>()
    }
}

/// Where the bytes of a message lie: an entry of a pack object of the account's tenant.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct BlobRef {
    /// The pack; its id also tells its day.
    pub pack: EventId,
    /// Number of the entry in the pack; stays the same when the pack is compacted.
    pub entry: u32,
    /// Where the entry was when the reference was made. Only a hint.
    pub offset: u32,
    /// Bytes of the entry.
    pub len: u32,
}

/// What a pack entry holds beside the message: what parsing found, and what was added at receipt.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sidecar {
    /// The MIME structure with offsets into the message.
    pub structure: Structure,
    /// Decoded facts that lists and policies use.
    pub facts: Facts,
    /// Header fields made at receipt (Received, Authentication-Results), CRLF-terminated. They stand beside
    /// the message and are never mixed into its bytes.
    pub receipt: String,
}

impl Versioned for Sidecar {
    const KIND: &'static str = "sidecar";
}

/// A decoded mailbox of an address header.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Contact {
    /// Display name, decoded; empty when there is none.
    pub name: String,
    /// `local@domain`; may be empty in a broken message.
    pub address: String,
}

/// A part that a person would call an attachment.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Attachment {
    /// Decoded file name; empty when there is none.
    pub name: String,
    /// `type/subtype` in lower case.
    pub media_type: String,
    /// Bytes as encoded in the message.
    pub size: u64,
}

/// Decoded facts of a message.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Facts {
    /// Subject, decoded, at most 1,000 characters.
    pub subject: String,
    /// From.
    pub from: Vec<Contact>,
    /// To, at most 100.
    pub to: Vec<Contact>,
    /// Cc, at most 100.
    pub cc: Vec<Contact>,
    /// Date, if it could be read.
    pub sent: Option<Timestamp>,
    /// Message-ID without angle brackets, if there is one.
    pub message_id: Option<String>,
    /// Stable hash of the Message-ID; 0 when there is none.
    pub message_id_hash: u64,
    /// The conversation.
    pub thread: ThreadId,
    /// Beginning of the text that a person would read, white space folded, at most 256 characters.
    pub preview: String,
    /// Attachments, at most 100.
    pub attachments: Vec<Attachment>,
    /// Sent by a machine: Auto-Submitted other than `no`, or a list.
    pub automatic: bool,
}

/// The list card of a message: all that a list row shows. Sized so that an entry for one message stays
/// within 1 KB.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Card {
    /// First From.
    pub from: Contact,
    /// First recipients of To and Cc.
    pub to: Vec<Contact>,
    /// How many recipients there are in all.
    pub to_count: u32,
    /// Subject, cut.
    pub subject: String,
    /// Beginning of the text, cut.
    pub preview: String,
    /// Names of the first attachments.
    pub attachments: Vec<String>,
    /// How many attachments there are in all.
    pub attachment_count: u32,
}

/// Bytes of a card's preview at most: a line and a half of a list. The whole of it is in the sidecar and in segments.
const PREVIEW: usize = 200;

impl Card {
    /// Bytes of texts that a card holds at most.
    pub const BUDGET: usize = 700;

    /// Cuts the facts down to a card: the preview gives way first, then names of recipients.
    #[must_use]
    pub fn of(facts: &Facts) -> Card {
        let contact = |contact: &Contact| Contact {
            name: cut(&contact.name, 60).to_owned(),
            address: cut(&contact.address, 100).to_owned(),
        };
        let recipients = || facts.to.iter().chain(&facts.cc);
        let mut card = Card {
            from: facts.from.first().map(contact).unwrap_or_default(),
            to: recipients().take(2).map(contact).collect(),
            to_count: recipients().count() as u32,
            subject: cut(&facts.subject, 200).to_owned(),
            preview: String::new(),
            attachments: facts.attachments.iter().take(2).map(|a| cut(&a.name, 60).to_owned()).collect(),
            attachment_count: facts.attachments.len() as u32,
        };
        let used = card.text_len();
        card.preview = cut(&facts.preview, Card::BUDGET.saturating_sub(used).min(PREVIEW)).to_owned();
        card
    }

    fn text_len(&self) -> usize {
        let contacts = std::iter::once(&self.from).chain(&self.to);
        contacts.map(|c| c.name.len() + c.address.len()).sum::<usize>()
            + self.subject.len()
            + self.attachments.iter().map(String::len).sum::<usize>()
    }
}

/// The longest beginning of `text` of at most `limit` bytes that ends between characters.
#[must_use]
pub fn cut(text: &str, limit: usize) -> &str {
    if text.len() <= limit {
        return text;
    }
    let end = (0..=limit).rev().find(|end| text.is_char_boundary(*end)).unwrap_or(0);
    &text[..end]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_card_keeps_its_budget_and_whole_characters() {
        let long = "邮".repeat(400);
        let contact = Contact { name: long.clone(), address: "x".repeat(400) };
        let facts = Facts {
            subject: long.clone(),
            from: vec![contact.clone()],
            to: vec![contact; 50],
            preview: long.clone(),
            attachments: vec![Attachment { name: long, ..Attachment::default() }; 3],
            ..Facts::default()
        };
        let card = Card::of(&facts);
        assert!(card.text_len() + card.preview.len() <= 960, "{}", card.text_len());
        assert_eq!((card.to.len(), card.to_count, card.attachment_count), (2, 50, 3));
        assert_eq!(card.subject.chars().count(), 66);
    }
}
