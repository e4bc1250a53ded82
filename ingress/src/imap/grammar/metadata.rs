//! GETMETADATA and SETMETADATA (RFC 5464 section 4).

use super::cursor::{Cursor, Parse, SyntaxError};
use super::{Name, mailbox};

/// Entries of one command.
const MAX_ENTRIES: usize = 100;
/// Octets of an entry's name.
const MAX_NAME: usize = 255;

/// GETMETADATA.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct GetMetadata {
    /// Which mailbox; the empty name stands for the server.
    pub mailbox: Name,
    /// Values longer than this are left out.
    pub max_size: Option<u64>,
    /// How far below the entries.
    pub depth: Depth,
    /// Names of entries in lower case.
    pub entries: Vec<String>,
}

/// DEPTH (RFC 5464 section 4.2.2).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Depth {
    /// Only the entries themselves.
    #[default]
    Zero,
    /// And those one level below.
    One,
    /// And all below.
    Infinity,
}

/// SETMETADATA.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SetMetadata {
    /// Which mailbox; the empty name stands for the server.
    pub mailbox: Name,
    /// Names in lower case, each with its value; `None` removes it.
    pub values: Vec<(String, Option<Vec<u8>>)>,
}

impl GetMetadata {
    /// Reads the arguments. The options may stand before the mailbox, as the syntax says, or behind it, as the
    /// examples of the RFC have it.
    ///
    /// # Errors
    /// They are broken.
    pub fn parse(cursor: &mut Cursor<'_>) -> Parse<GetMetadata> {
        let mut get = GetMetadata::default();
        if cursor.peek() == Some(b'(') {
            options(cursor, &mut get)?;
            cursor.space()?;
        }
        get.mailbox = mailbox(cursor)?;
        cursor.space()?;
        let is_options = cursor
            .rest()
            .strip_prefix(b"(")
            .is_some_and(|rest| !matches!(rest.first(), Some(b'/' | b'"' | b'{')));
        if is_options {
            options(cursor, &mut get)?;
            cursor.space()?;
        }
        get.entries = if cursor.peek() == Some(b'(') { entries(cursor)? } else { vec![entry(cursor)?] };
        Ok(get)
    }
}

fn options(cursor: &mut Cursor<'_>, get: &mut GetMetadata) -> Parse<()> {
    cursor.list(10, |cursor| {
        if cursor.take_word("MAXSIZE") {
            cursor.space()?;
            get.max_size = Some(cursor.number64()?);
            return Ok(());
        }
        if !cursor.take_word("DEPTH") {
            return Err(SyntaxError("unknown option of GETMETADATA"));
        }
        cursor.space()?;
        get.depth = match () {
            () if cursor.take_word("0") => Depth::Zero,
            () if cursor.take_word("1") => Depth::One,
            () if cursor.take_word("infinity") => Depth::Infinity,
            () => return Err(SyntaxError("DEPTH is 0, 1 or infinity")),
        };
        Ok(())
    })?;
    Ok(())
}

impl SetMetadata {
    /// Reads the arguments.
    ///
    /// # Errors
    /// They are broken.
    pub fn parse(cursor: &mut Cursor<'_>) -> Parse<SetMetadata> {
        let mailbox = mailbox(cursor)?;
        cursor.space()?;
        let values = cursor.list(MAX_ENTRIES, |cursor| {
            let name = entry(cursor)?;
            cursor.space()?;
            Ok((name, value(cursor)?))
        })?;
        Ok(SetMetadata { mailbox, values })
    }
}

/// `nstring` or `literal8`.
fn value(cursor: &mut Cursor<'_>) -> Parse<Option<Vec<u8>>> {
    if cursor.peek() == Some(b'~') {
        return cursor.octets().map(|octets| Some(octets.to_vec()));
    }
    cursor.nstring()
}

/// A list of entries.
pub(super) fn entries(cursor: &mut Cursor<'_>) -> Parse<Vec<String>> {
    cursor.list(MAX_ENTRIES, entry)
}

/// The name of an entry (RFC 5464 section 3.2): it begins with a slash, ends without one, has no empty level, no
/// wildcard and nothing that is not printable ASCII. Its case does not matter.
fn entry(cursor: &mut Cursor<'_>) -> Parse<String> {
    let name = cursor.astring()?;
    let is_name = name.len() <= MAX_NAME
        && name.starts_with(b"/")
        && name.len() > 1
        && !name.ends_with(b"/")
        && !name.windows(2).any(|pair| pair == b"//")
        && name.iter().all(|byte| matches!(byte, b' '..=b'~') && !b"*%".contains(byte));
    match String::from_utf8(name) {
        Ok(name) if is_name => Ok(name.to_ascii_lowercase()),
        _ => Err(SyntaxError("that is no name of an entry")),
    }
}
