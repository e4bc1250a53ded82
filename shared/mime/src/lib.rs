//! MIME structure, decoded facts and previews of a message; tolerant of anything.

mod address;
mod fields;
mod header;
mod multipart;
mod parameter;
mod part;

pub use header::{header_end, header_fields};
use pennypost_model::message::Facts;
use pennypost_model::structure::Structure;

/// Structure and facts of a message.
#[must_use]
pub fn parse(raw: &[u8]) -> (Structure, Facts) {
    let (structure, _) = multipart::scan(raw);
    (structure, Facts::default())
}
