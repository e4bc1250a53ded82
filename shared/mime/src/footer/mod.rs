//! Texts that an organisation puts into its members' letters: company footers, disclaimers, cards (BRD-09, BRD-12).
//!
//! The first text that a reader sees gets them, in each of its forms (`multipart/alternative`); every other part stays byte for
//! byte, which is looked at before a letter is changed. Signed and encrypted letters, what programs send by themselves, and
//! what is not understood stay as they are, and it is said why. Put in again nothing changes: HTML bears a mark, of plain text the
//! lines themselves are looked for.
//!
//! | form | above | else |
//! | --- | --- | --- |
//! | plain text | before the line `-- ` with which a signature begins | at the end |
//! | HTML | before what mail programs mark as their signature, if no quoted letter stands before it | before `</body>` |
//!
//! Where there is no such signature, *above* is the end, too. What was quoted from another letter stands before that end.

mod html;
mod part;
mod plain;

use pennypost_model::structure::{Content, Part, Span, Structure};

use crate::multipart::scan;
use crate::{header_end, header_fields};
pub use html::{MarkupProblem, check_markup, escape, markup_of};

/// A text that is put in, in both forms.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Addition<'a> {
    /// As plain text; lines end with a line feed.
    pub text: &'a str,
    /// The same as HTML.
    pub html: &'a str,
    /// Above the writer's own signature, if that is known.
    pub is_above: bool,
}

/// Why a letter stays as it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Untouched {
    /// Somebody has signed it: S/MIME, PGP, or DKIM.
    Signed,
    /// It is encrypted.
    Encrypted,
    /// A program sends it by itself: answers, reports, receipts.
    Automatic,
    /// It begins with no text.
    NoText,
    /// It is not understood: its structure, its encoding, or its charset.
    Unknown,
}

impl Untouched {
    /// Its name, as documents have it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Untouched::Signed => "signed",
            Untouched::Encrypted => "encrypted",
            Untouched::Automatic => "automatic",
            Untouched::NoText => "no-text",
            Untouched::Unknown => "not-understood",
        }
    }
}

/// Forms of a text that get additions at most.
const MAX_FORMS: usize = 10;
/// Bytes that are put into a letter at most.
const MAX_MORE: usize = 1 << 20;

/// Bytes of the longer form at most, in whatever charset.
fn most(addition: &Addition<'_>) -> usize {
    let html: usize = addition.html.chars().map(|c| if c.is_ascii() { 1 } else { 10 }).sum();
    html.max(addition.text.len())
}

/// The letter with these texts; `None` if all of them are there already.
///
/// # Errors
/// [`Untouched`]: it stays as it is.
pub fn with_additions(raw: &[u8], additions: &[Addition<'_>]) -> Result<Option<Vec<u8>>, Untouched> {
    if additions.is_empty() {
        return Ok(None);
    }
    check_header(raw.get(..header_end(raw)).unwrap_or_default())?;
    let (structure, _) = scan(raw);
    let mut meant = Vec::new();
    find(&structure, 0, &mut meant)?;
    if meant.is_empty() {
        return Err(Untouched::NoText);
    }
    // A letter of a thousand forms would get as many of each text.
    let more = additions.iter().map(most).fold(0_usize, usize::saturating_add);
    if meant.len() > MAX_FORMS || more.saturating_mul(meant.len()) > MAX_MORE {
        return Err(Untouched::Unknown);
    }
    meant.sort_unstable();
    let mut changed = Vec::new();
    for index in &meant {
        let part = structure.parts.get(*index).ok_or(Untouched::Unknown)?;
        if let Some(anew) = part::with_additions(raw, part, *index == 0, additions)? {
            changed.push((part, anew));
        }
    }
    if changed.is_empty() {
        return Ok(None);
    }
    let more: usize = changed.iter().map(|(_, (header, body))| header.len() + body.len()).sum();
    if more > raw.len() + raw.len() / 2 + MAX_MORE {
        return Err(Untouched::Unknown);
    }
    let (mut letter, mut at) = (Vec::with_capacity(raw.len() + more), 0);
    for (part, (header, body)) in &changed {
        letter.extend_from_slice(bytes(raw, Span { start: at, end: part.header.start }));
        letter.extend_from_slice(header);
        letter.extend_from_slice(body);
        at = part.body.end;
    }
    letter.extend_from_slice(bytes(raw, Span { start: at, end: raw.len() as u64 }));
    if is_otherwise_same((raw, &structure), &letter, &meant) {
        Ok(Some(letter))
    } else {
        Err(Untouched::Unknown)
    }
}

/// Does its header say that it stays as it is?
fn check_header(block: &[u8]) -> Result<(), Untouched> {
    for (name, value, _) in header_fields(block) {
        match &*name.to_ascii_lowercase() {
            b"dkim-signature" => return Err(Untouched::Signed),
            // RFC 3834 section 5.
            b"auto-submitted" => {
                let word = value.trim_ascii().to_ascii_lowercase();
                if !(word == b"no" || word.starts_with(b"no;") || word.starts_with(b"no ")) {
                    return Err(Untouched::Automatic);
                }
            }
            _ => {}
        }
    }
    Ok(())
}

/// The texts with which the part begins: one, or one of each form.
fn find(structure: &Structure, index: usize, meant: &mut Vec<usize>) -> Result<(), Untouched> {
    // Each step goes to a part behind the one before: there are no more steps than levels.
    let mut at = index;
    loop {
        let part = structure.parts.get(at).ok_or(Untouched::Unknown)?;
        let (kind, subtype) = (&*part.media_type.0, &*part.media_type.1);
        let children: &[u32] = match &part.content {
            Content::Multipart(children) => children,
            Content::Leaf => &[],
            Content::Message(..) => return Err(Untouched::NoText),
        };
        match (kind, subtype) {
            ("text", "plain" | "html") if is_body(part) => {
                meant.push(at);
                return Ok(());
            }
            ("multipart", "signed") => return Err(Untouched::Signed),
            ("multipart", "encrypted") => return Err(Untouched::Encrypted),
            ("application", "pkcs7-mime" | "x-pkcs7-mime") => {
                let is_signed = crate::parameter::find(&part.parameters, "smime-type")
                    .is_some_and(|kind| kind.eq_ignore_ascii_case(b"signed-data"));
                return Err(if is_signed { Untouched::Signed } else { Untouched::Encrypted });
            }
            ("multipart", "report") | ("message", _) => return Err(Untouched::Automatic),
            ("multipart", "alternative") => {
                for child in children {
                    meant.extend(find_in_alternative(structure, *child as usize)?);
                }
                return if meant.is_empty() { Err(Untouched::NoText) } else { Ok(()) };
            }
            ("multipart", "mixed" | "related") => {
                let Some(first) = children.first() else { return Err(Untouched::Unknown) };
                // RFC 2387 section 3.2: another one than the first may be what the others belong to.
                if subtype == "related"
                    && let Some(start) = crate::parameter::find(&part.parameters, "start")
                {
                    let id = structure.parts.get(*first as usize).and_then(|part| part.id.as_deref());
                    if id.map(<[u8]>::trim_ascii) != Some(start.trim_ascii()) {
                        return Err(Untouched::Unknown);
                    }
                }
                at = *first as usize;
            }
            ("multipart", _) => return Err(Untouched::Unknown),
            _ => return Err(Untouched::NoText),
        }
    }
}

/// The text in one form of several: itself, or with what belongs to it. Forms that are neither stay, as invitations do.
fn find_in_alternative(structure: &Structure, index: usize) -> Result<Option<usize>, Untouched> {
    let mut at = index;
    loop {
        let part = structure.parts.get(at).ok_or(Untouched::Unknown)?;
        match (&*part.media_type.0, &*part.media_type.1, &part.content) {
            ("text", "plain" | "html", _) if is_body(part) => return Ok(Some(at)),
            ("multipart", "related" | "mixed", Content::Multipart(children)) => match children.first() {
                Some(first) => at = *first as usize,
                None => return Err(Untouched::Unknown),
            },
            ("multipart", "signed", _) => return Err(Untouched::Signed),
            ("multipart", "encrypted", _) => return Err(Untouched::Encrypted),
            ("multipart", ..) => return Err(Untouched::Unknown),
            _ => return Ok(None),
        }
    }
}

fn is_body(part: &Part) -> bool {
    part.content == Content::Leaf && part.disposition.as_ref().is_none_or(|(kind, _)| kind != "attachment")
}

/// Is the letter the same but for these parts, however it is read?
fn is_otherwise_same((raw, before): (&[u8], &Structure), letter: &[u8], meant: &[usize]) -> bool {
    let (after, _) = scan(letter);
    before.parts.len() == after.parts.len()
        && before.parts.iter().zip(&after.parts).enumerate().all(|(index, (old, new))| {
            let is_same_kind = old.media_type == new.media_type && old.disposition == new.disposition;
            let is_leaf = old.content == Content::Leaf && new.content == Content::Leaf;
            is_same_kind
                && (meant.contains(&index)
                    || !is_leaf && (old.content == Content::Leaf) == (new.content == Content::Leaf)
                    || is_leaf
                        && bytes(raw, old.header) == bytes(letter, new.header)
                        && bytes(raw, old.body) == bytes(letter, new.body))
        })
}

pub(crate) fn bytes(raw: &[u8], span: Span) -> &[u8] {
    let at = |offset: u64| usize::try_from(offset).unwrap_or(usize::MAX);
    raw.get(at(span.start)..at(span.end)).unwrap_or_default()
}

#[cfg(test)]
mod tests;
