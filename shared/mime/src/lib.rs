//! MIME structure, decoded facts and previews of a message; tolerant of anything.
//!
//! Owns: where the parts of a message lie and what IMAP tells of them (the modules `multipart`, `part`, `address`,
//! `parameter`), what people are shown of it (`facts`, `text`, `thread`), and the one iterator over header
//! fields that everybody uses ([`header_fields`]).
//!
//! Invariants: every function is total and pure: it takes any bytes, does not panic, does not recurse with the
//! input, takes time linear in the input and memory bounded by constants beside it (the caps are named where
//! they hold). The same bytes always give the same result, so a message that is parsed again after a
//! crash, on another machine or by another path gets the same sidecar. Nothing is kept, so a process that dies
//! at any line loses nothing.

mod address;
mod charset;
pub mod contents;
mod date;
mod encoded_word;
mod facts;
mod fields;
pub mod footer;
mod header;
mod html;
mod multipart;
mod parameter;
mod part;
mod recode;
pub mod search;
mod seven_bit;
mod text;
mod thread;
mod transfer;
pub mod wire;
pub mod without;

pub use encoded_word::decode_header;
pub use facts::{contact, file_name};
pub use header::{header_end, header_fields};
use pennypost_model::message::Facts;
use pennypost_model::structure::Structure;
pub use recode::without_binary_nul;
pub use text::decode_text;
pub use thread::{base_subject, message_id_hash, message_ids};
pub use transfer::decode_part;

/// Structure and facts of a message, of any bytes at all. The structure has at least the root part.
#[must_use]
pub fn parse(raw: &[u8]) -> (Structure, Facts) {
    let (structure, fields) = multipart::scan(raw);
    let facts = facts::facts(raw, &structure, &fields);
    (structure, facts)
}
