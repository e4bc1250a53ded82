//! What is derived from one message.

use pennypost_mime::search::{body_text, header_text, part_header_text};
use pennypost_mime::{base_subject, contact, header_fields, message_ids, wire};
use pennypost_model::message::{Contact, Sidecar};
use pennypost_model::structure::{Address, Structure};
use serde::{Deserialize, Serialize};

use super::Column;

/// Bytes of text of one message that are searched at most.
const MAX_TEXT: usize = 16 << 20;
/// A text above this is not kept in segments; its message is read when its text is searched.
const MAX_KEPT_TEXT: usize = 256 * 1024;
/// A message of which anything else is larger is not kept in segments at all.
const MAX_KEPT: usize = 64 * 1024;
/// Bytes of headers of parts that are searched at most.
const MAX_PART_HEADERS: usize = 1 << 20;
/// Message ids of References that are kept: the first one, which names the thread, and the last ones.
const MAX_REFERENCES: usize = 100;
/// Bytes of a message up to which its text is looked for.
pub(super) const MAX_MESSAGE: u64 = 8 << 20;

/// What messages are sorted and threaded by (RFC 5256, RFC 5957), and their preview (RFC 8970).
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SortFacts {
    /// The subject without marks of replies, in lower case.
    pub base_subject: String,
    /// Local part of the first address.
    pub from: String,
    /// Local part of the first address.
    pub to: String,
    /// Local part of the first address.
    pub cc: String,
    /// The first From for people.
    pub display_from: Contact,
    /// The first To for people.
    pub display_to: Contact,
    /// Message-ID without angle brackets.
    pub message_id: Option<String>,
    /// The ids in References, or the first in In-Reply-To; the oldest first.
    pub references: Vec<String>,
    /// Beginning of the text.
    pub preview: String,
    /// The subject has marks of a reply or a forward.
    pub is_reply: bool,
}

impl SortFacts {
    /// From the header block of a message and what parsing found.
    #[must_use]
    pub fn of(raw_header: &[u8], sidecar: &Sidecar) -> SortFacts {
        let envelope = &sidecar.structure.envelope;
        let facts = &sidecar.facts;
        let local = |list: &[Address]| {
            let first = list.first().and_then(|address| address.mailbox.as_deref());
            first.map(|mailbox| String::from_utf8_lossy(mailbox).to_lowercase()).unwrap_or_default()
        };
        let person = |list: &[Address]| list.first().map(contact).unwrap_or_default();
        let field = |wanted: &str| {
            let mut fields = header_fields(raw_header);
            fields.find(|(name, ..)| name.eq_ignore_ascii_case(wanted.as_bytes())).map(|(_, value, _)| value)
        };
        let mut references = message_ids(field("references").unwrap_or_default(), usize::MAX);
        if references.is_empty() {
            references = message_ids(field("in-reply-to").unwrap_or_default(), 1);
        }
        if references.len() > MAX_REFERENCES {
            references.drain(1..references.len() - MAX_REFERENCES + 1);
        }
        let (base_subject, is_reply) = base_subject(&facts.subject);
        SortFacts {
            base_subject,
            from: local(&envelope.from),
            to: local(&envelope.to),
            cc: local(&envelope.cc),
            display_from: person(&envelope.from),
            display_to: person(&envelope.to),
            message_id: facts.message_id.clone(),
            references,
            preview: facts.preview.clone(),
            is_reply,
        }
    }
}

/// What BODY and TEXT look into beside the header.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Text {
    /// Text of the body, folded.
    pub body: String,
    /// Lines of the headers of parts: only TEXT looks into them.
    pub part_headers: String,
}

impl Text {
    /// Of a message. CPU work.
    #[must_use]
    pub fn of(structure: &Structure, raw: &[u8]) -> Text {
        Text {
            body: body_text(structure, raw, MAX_TEXT),
            part_headers: part_header_text(structure, raw, MAX_PART_HEADERS),
        }
    }

    fn pack(self) -> Vec<u8> {
        let mut packed = self.part_headers.into_bytes();
        let length = packed.len() as u32;
        packed.reserve(self.body.len() + 4);
        packed.extend_from_slice(self.body.as_bytes());
        packed.extend_from_slice(&length.to_le_bytes());
        packed
    }

    /// Body and headers of parts from [`Column::Text`] of a message.
    #[must_use]
    pub fn unpack(packed: &[u8]) -> (&[u8], &[u8]) {
        let Some((texts, length)) = packed.split_last_chunk::<4>() else { return (&[], &[]) };
        let (headers, body) = texts.split_at((u32::from_le_bytes(*length) as usize).min(texts.len()));
        (body, headers)
    }
}

/// What is kept of one message.
#[derive(Default)]
pub(super) struct Derived {
    /// By the number of the column.
    pub columns: [Vec<u8>; Column::ALL.len()],
    /// Its text is not among them.
    pub lacks_text: bool,
}

/// Derives from a header block and from the whole message, where it is at hand. `None` if the message is not
/// for segments.
pub(super) fn derive(raw_header: &[u8], raw: Option<&[u8]>, sidecar: &Sidecar) -> Option<Derived> {
    let structure = &sidecar.structure;
    let mut derived = Derived::default();
    let [envelope, body_structure, body, facts, main, other, text] = &mut derived.columns;
    wire::envelope(envelope, &structure.envelope);
    wire::body(body_structure, structure, true);
    wire::body(body, structure, false);
    *facts = postcard::to_stdvec(&SortFacts::of(raw_header, sidecar)).ok()?;
    let header = header_text(raw_header, &structure.envelope);
    *main = header.main.into_bytes();
    *other = header.rest.into_bytes();
    if let Some(raw) = raw {
        *text = Text::of(structure, raw).pack();
    }
    if raw.is_none() || text.len() > MAX_KEPT_TEXT {
        text.clear();
        derived.lacks_text = true;
    }
    let kept = &derived.columns[..Column::Text as usize];
    kept.iter().all(|column| column.len() <= MAX_KEPT).then_some(derived)
}
