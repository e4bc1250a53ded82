//! FETCH items and sections (RFC 3501 section 6.4.5), with MODSEQ and CHANGEDSINCE (RFC 7162) and the object
//! ids of RFC 8474.

use std::fmt;

use super::cursor::{Cursor, Parse, SyntaxError};
use super::partial::Partial;
use super::set::SequenceSet;

/// FETCH and UID FETCH.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fetch {
    /// The numbers are UIDs.
    pub by_uid: bool,
    /// Which messages.
    pub set: SequenceSet,
    /// What of them, macros resolved.
    pub items: Vec<FetchItem>,
    /// Only messages changed after this MODSEQ.
    pub changed_since: Option<u64>,
    /// Tell which have vanished since then (RFC 7162 section 3.2.6).
    pub vanished: bool,
    /// Only a window of them (RFC 9394 section 3.3).
    pub partial: Option<Partial>,
}

/// A data item.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FetchItem {
    /// FLAGS
    Flags,
    /// UID
    Uid,
    /// INTERNALDATE
    InternalDate,
    /// RFC822.SIZE
    Size,
    /// ENVELOPE
    Envelope,
    /// BODY without a section
    Body,
    /// BODYSTRUCTURE
    BodyStructure,
    /// MODSEQ
    ModSeq,
    /// EMAILID
    EmailId,
    /// THREADID
    ThreadId,
    /// SAVEDATE (RFC 8514)
    SaveDate,
    /// PREVIEW (RFC 8970)
    Preview,
    /// BINARY[…] and BINARY.PEEK[…] (RFC 3516)
    Binary {
        /// Part numbers; empty for the message itself.
        path: Vec<u32>,
        /// First octet and how many.
        partial: Option<(u64, u64)>,
        /// Leaves `\Seen` alone.
        peek: bool,
    },
    /// BINARY.SIZE[…] (RFC 3516)
    BinarySize(Vec<u32>),
    /// BODY[…], BODY.PEEK[…], RFC822, RFC822.HEADER, RFC822.TEXT
    Section {
        /// Which bytes.
        section: Section,
        /// First octet and how many.
        partial: Option<(u64, u64)>,
        /// Leaves `\Seen` alone.
        peek: bool,
        /// The name under which it is answered, if it is not BODY.
        name: Option<&'static str>,
    },
}

/// Bytes of a message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Section {
    /// Part numbers; empty for the message itself.
    pub path: Vec<u32>,
    /// What of it.
    pub text: SectionText,
}

/// What of a part.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SectionText {
    /// All of it.
    Whole,
    /// HEADER
    Header,
    /// HEADER.FIELDS and HEADER.FIELDS.NOT
    HeaderFields {
        /// All but these.
        not: bool,
        /// Their names as the client wrote them.
        names: Vec<String>,
    },
    /// TEXT
    Text,
    /// MIME
    Mime,
}

/// Part numbers that a section can have one below the other.
const MAX_PATH: usize = 60;
/// Items of one FETCH, and names of one HEADER.FIELDS.
const MAX_ITEMS: usize = 500;
/// Sections of one FETCH: each is read and sent for each message.
const MAX_SECTIONS: usize = 50;

impl Fetch {
    /// Reads the arguments.
    ///
    /// # Errors
    /// They are broken.
    pub fn parse(cursor: &mut Cursor<'_>, by_uid: bool) -> Parse<Fetch> {
        let set = SequenceSet::parse(cursor)?;
        cursor.space()?;
        let mut items = match cursor.peek() {
            Some(b'(') => cursor.list(MAX_ITEMS, item)?,
            _ => macro_or_item(cursor)?,
        };
        let reads = |item: &&FetchItem| {
            matches!(item, FetchItem::Section { .. } | FetchItem::Binary { .. } | FetchItem::BinarySize(_))
        };
        let sections = items.iter().filter(reads).count();
        if sections > MAX_SECTIONS {
            return Err(SyntaxError("too many sections in one FETCH"));
        }
        if by_uid && !items.contains(&FetchItem::Uid) {
            items.insert(0, FetchItem::Uid);
        }
        let (mut changed_since, mut vanished, mut partial) = (None, false, None);
        if cursor.take(b' ') {
            cursor.list(10, |cursor| {
                match () {
                    () if cursor.take_word("CHANGEDSINCE") => {
                        cursor.space()?;
                        changed_since = Some(cursor.number64()?);
                    }
                    () if cursor.take_word("VANISHED") => vanished = true,
                    () if by_uid && cursor.take_word("PARTIAL") => {
                        cursor.space()?;
                        partial = Some(Partial::parse(cursor)?);
                    }
                    () => return Err(SyntaxError("unknown modifier of FETCH")),
                }
                Ok(())
            })?;
        }
        if vanished && (changed_since.is_none() || !by_uid) {
            return Err(SyntaxError("VANISHED goes with UID FETCH and CHANGEDSINCE"));
        }
        if changed_since.is_some() && !items.contains(&FetchItem::ModSeq) {
            items.push(FetchItem::ModSeq);
        }
        Ok(Fetch { by_uid, set, items, changed_since, vanished, partial })
    }

    /// Sets `\Seen`.
    #[must_use]
    pub fn marks_seen(&self) -> bool {
        self.items.iter().any(|item| {
            matches!(item, FetchItem::Section { peek: false, .. } | FetchItem::Binary { peek: false, .. })
        })
    }

    /// Needs more than the row.
    #[must_use]
    pub fn opens_message(&self) -> bool {
        self.items.iter().any(FetchItem::opens_message)
    }
}

impl FetchItem {
    /// Needs more than the row.
    #[must_use]
    pub const fn opens_message(&self) -> bool {
        matches!(
            self,
            FetchItem::Envelope
                | FetchItem::Body
                | FetchItem::BodyStructure
                | FetchItem::Preview
                | FetchItem::Binary { .. }
                | FetchItem::BinarySize(_)
                | FetchItem::Section { .. }
        )
    }
}

fn macro_or_item(cursor: &mut Cursor<'_>) -> Parse<Vec<FetchItem>> {
    use FetchItem::{Body, Envelope, Flags, InternalDate, Size};
    if cursor.take_word("ALL") {
        return Ok(vec![Flags, InternalDate, Size, Envelope]);
    }
    if cursor.take_word("FAST") {
        return Ok(vec![Flags, InternalDate, Size]);
    }
    if cursor.take_word("FULL") {
        return Ok(vec![Flags, InternalDate, Size, Envelope, Body]);
    }
    Ok(vec![item(cursor)?])
}

/// One item.
pub(super) fn item(cursor: &mut Cursor<'_>) -> Parse<FetchItem> {
    let name = cursor.take_while(|byte| byte.is_ascii_alphanumeric() || byte == b'.').to_ascii_uppercase();
    let whole = |name, text, peek| {
        let section = Section { path: Vec::new(), text };
        Ok(FetchItem::Section { section, partial: None, peek, name: Some(name) })
    };
    match name.as_slice() {
        b"FLAGS" => Ok(FetchItem::Flags),
        b"UID" => Ok(FetchItem::Uid),
        b"INTERNALDATE" => Ok(FetchItem::InternalDate),
        b"RFC822.SIZE" => Ok(FetchItem::Size),
        b"ENVELOPE" => Ok(FetchItem::Envelope),
        b"BODYSTRUCTURE" => Ok(FetchItem::BodyStructure),
        b"MODSEQ" => Ok(FetchItem::ModSeq),
        b"EMAILID" => Ok(FetchItem::EmailId),
        b"THREADID" => Ok(FetchItem::ThreadId),
        b"SAVEDATE" => Ok(FetchItem::SaveDate),
        b"PREVIEW" => {
            // The preview is always there: LAZY changes nothing (RFC 8970 section 3.2).
            let mut lazy = *cursor;
            if lazy.take(b' ') && lazy.take(b'(') && lazy.take_word("LAZY") && lazy.take(b')') {
                *cursor = lazy;
            }
            Ok(FetchItem::Preview)
        }
        b"BINARY" | b"BINARY.PEEK" => {
            let path = part_numbers(cursor)?;
            Ok(FetchItem::Binary { path, partial: partial(cursor)?, peek: name.len() > 6 })
        }
        b"BINARY.SIZE" => Ok(FetchItem::BinarySize(part_numbers(cursor)?)),
        b"RFC822" => whole("RFC822", SectionText::Whole, false),
        b"RFC822.HEADER" => whole("RFC822.HEADER", SectionText::Header, true),
        b"RFC822.TEXT" => whole("RFC822.TEXT", SectionText::Text, false),
        b"BODY" | b"BODY.PEEK" if cursor.peek() == Some(b'[') => {
            let peek = name.len() > 4;
            let section = section(cursor)?;
            let partial = partial(cursor)?;
            Ok(FetchItem::Section { section, partial, peek, name: None })
        }
        b"BODY" => Ok(FetchItem::Body),
        _ => Err(SyntaxError("unknown item of FETCH")),
    }
}

/// `[1.2]`: part numbers alone.
fn part_numbers(cursor: &mut Cursor<'_>) -> Parse<Vec<u32>> {
    let section = section(cursor)?;
    if section.text != SectionText::Whole {
        return Err(SyntaxError("BINARY takes part numbers only"));
    }
    Ok(section.path)
}

fn section(cursor: &mut Cursor<'_>) -> Parse<Section> {
    cursor.expect(b'[', BROKEN)?;
    if cursor.take(b']') {
        return Ok(Section { path: Vec::new(), text: SectionText::Whole });
    }
    let section = section_text(cursor)?;
    cursor.expect(b']', BROKEN)?;
    Ok(section)
}

const BROKEN: &str = "a section is broken";

/// What stands between the brackets, if anything does.
pub(super) fn section_text(cursor: &mut Cursor<'_>) -> Parse<Section> {
    let mut path = Vec::new();
    while cursor.peek().is_some_and(|byte| byte.is_ascii_digit()) {
        if path.len() >= MAX_PATH {
            return Err(SyntaxError("a section has too many levels"));
        }
        match cursor.number()? {
            0 => return Err(SyntaxError("0 is not a part number")),
            number => path.push(number),
        }
        if cursor.peek() != Some(b'.') {
            return Ok(Section { path, text: SectionText::Whole });
        }
        cursor.expect(b'.', BROKEN)?;
    }
    let name = cursor.take_while(|byte| byte.is_ascii_alphabetic() || byte == b'.').to_ascii_uppercase();
    let text = match name.as_slice() {
        b"HEADER" => SectionText::Header,
        b"TEXT" => SectionText::Text,
        b"MIME" if !path.is_empty() => SectionText::Mime,
        b"HEADER.FIELDS" | b"HEADER.FIELDS.NOT" => {
            cursor.space()?;
            let names = cursor.list(MAX_ITEMS, |cursor| {
                let name = cursor.astring()?;
                String::from_utf8(name).map_err(|_| SyntaxError("a field name is broken"))
            })?;
            SectionText::HeaderFields { not: name.ends_with(b"NOT"), names }
        }
        _ => return Err(SyntaxError(BROKEN)),
    };
    Ok(Section { path, text })
}

fn partial(cursor: &mut Cursor<'_>) -> Parse<Option<(u64, u64)>> {
    const BROKEN: &str = "a partial is broken";
    if !cursor.take(b'<') {
        return Ok(None);
    }
    let start = cursor.number64()?;
    cursor.expect(b'.', BROKEN)?;
    let len = cursor.number64()?;
    cursor.expect(b'>', BROKEN)?;
    if len == 0 {
        return Err(SyntaxError(BROKEN));
    }
    Ok(Some((start, len)))
}

impl fmt::Display for Section {
    /// As it stands between the brackets of an answer.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, number) in self.path.iter().enumerate() {
            let dot = if index == 0 { "" } else { "." };
            write!(f, "{dot}{number}")?;
        }
        let dot = if self.path.is_empty() || self.text == SectionText::Whole { "" } else { "." };
        f.write_str(dot)?;
        match &self.text {
            SectionText::Whole => Ok(()),
            SectionText::Header => f.write_str("HEADER"),
            SectionText::Text => f.write_str("TEXT"),
            SectionText::Mime => f.write_str("MIME"),
            SectionText::HeaderFields { not, names } => {
                f.write_str(if *not { "HEADER.FIELDS.NOT (" } else { "HEADER.FIELDS (" })?;
                for (index, name) in names.iter().enumerate() {
                    let space = if index == 0 { "" } else { " " };
                    write!(f, "{space}{}", FieldName(name))?;
                }
                f.write_str(")")
            }
        }
    }
}

/// A field name as `astring`.
struct FieldName<'a>(&'a str);

impl fmt::Display for FieldName<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let plain = |byte: u8| byte.is_ascii_graphic() && !b"(){%*\"\\]".contains(&byte);
        if !self.0.is_empty() && self.0.bytes().all(plain) {
            return f.write_str(self.0);
        }
        // A name that came as a literal may hold what a quoted string can't: it names no field anyway.
        f.write_str("\"")?;
        for character in self.0.chars() {
            match character {
                '"' | '\\' => write!(f, "\\{character}")?,
                '\r' | '\n' => f.write_str(" ")?,
                other => write!(f, "{other}")?,
            }
        }
        f.write_str("\"")
    }
}
