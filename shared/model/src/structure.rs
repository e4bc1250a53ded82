//! The MIME structure of a message with byte offsets, as IMAP's ENVELOPE, BODYSTRUCTURE and sections need
//! it. Texts are the message's own bytes, undecoded, since that is what the protocol hands out.

use serde::{Deserialize, Serialize};

/// A half-open range of bytes of the message.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Span {
    /// First byte.
    pub start: u64,
    /// Byte after the last.
    pub end: u64,
}

impl Span {
    /// Bytes in the range.
    #[must_use]
    pub const fn len(self) -> u64 {
        self.end.saturating_sub(self.start)
    }

    /// Nothing in the range.
    #[must_use]
    pub const fn is_empty(self) -> bool {
        self.end <= self.start
    }
}

/// A text of the message as it stands there: unfolded, not decoded, perhaps not UTF-8.
pub type RawText = Vec<u8>;

/// The structure of a message.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Structure {
    /// The envelope of the message itself.
    pub envelope: Envelope,
    /// All parts; the first is the root. Never empty in a parsed structure. At most
    /// [`Structure::MAX_PARTS`]; what lies beyond belongs to the body of its parent.
    pub parts: Vec<Part>,
}

impl Structure {
    /// Parts that are told apart in one message; further ones are left in their parent's body.
    pub const MAX_PARTS: usize = 2_000;
    /// Levels of nesting that are told apart.
    pub const MAX_DEPTH: usize = 50;

    /// The root part.
    #[must_use]
    pub fn root(&self) -> Option<&Part> {
        self.parts.first()
    }
}

/// A part of a message.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Part {
    /// Its header block with the empty line that ends it. For the root: the message's header.
    pub header: Span,
    /// Its body, without the line end that belongs to a following boundary.
    pub body: Span,
    /// `type`, `subtype` in lower case; `text`, `plain` when the message does not say.
    pub media_type: (String, String),
    /// Parameters of Content-Type, names in lower case, values unquoted.
    pub parameters: Vec<(String, RawText)>,
    /// Content-ID.
    pub id: Option<RawText>,
    /// Content-Description.
    pub description: Option<RawText>,
    /// Content-Transfer-Encoding in lower case; `7bit` when the message does not say.
    pub encoding: String,
    /// Content-MD5.
    pub md5: Option<RawText>,
    /// Content-Disposition in lower case, and its parameters.
    pub disposition: Option<(String, Vec<(String, RawText)>)>,
    /// Content-Language.
    pub language: Vec<RawText>,
    /// Content-Location.
    pub location: Option<RawText>,
    /// Lines of the body.
    pub lines: u32,
    /// What is inside.
    pub content: Content,
}

/// What is inside a part.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Content {
    /// Bytes.
    #[default]
    Leaf,
    /// Parts, as indices into [`Structure::parts`]. May be empty for a broken multipart.
    Multipart(Vec<u32>),
    /// A message/rfc822 (or message/global) with its envelope; the index is that of the inner message's root
    /// part, whose `header` span is the inner message's header.
    Message(Box<Envelope>, u32),
}

/// ENVELOPE (RFC 3501 section 7.4.2).
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Envelope {
    /// Date.
    pub date: Option<RawText>,
    /// Subject.
    pub subject: Option<RawText>,
    /// From.
    pub from: Vec<Address>,
    /// Sender; From where the message has none.
    pub sender: Vec<Address>,
    /// Reply-To; From where the message has none.
    pub reply_to: Vec<Address>,
    /// To.
    pub to: Vec<Address>,
    /// Cc.
    pub cc: Vec<Address>,
    /// Bcc.
    pub bcc: Vec<Address>,
    /// In-Reply-To.
    pub in_reply_to: Option<RawText>,
    /// Message-ID.
    pub message_id: Option<RawText>,
}

/// An address of an ENVELOPE. A group begins with an address whose `host` is missing and whose `mailbox` is
/// the group's name, and ends with one where both are missing (RFC 3501 section 7.4.2).
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Address {
    /// Display name, not decoded.
    pub name: Option<RawText>,
    /// Source route (obsolete).
    pub route: Option<RawText>,
    /// Local part.
    pub mailbox: Option<RawText>,
    /// Domain.
    pub host: Option<RawText>,
}
