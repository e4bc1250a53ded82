//! APPEND (RFC 3501 section 6.3.11) and REPLACE (RFC 8508): messages as literals, several at once (RFC 3502), with UTF-8
//! headers (RFC 6855 section 4), or put together from texts and parts of other messages (RFC 4469).

use std::ops::Range;

use pennypost_model::{FlagSet, Timestamp};

use super::cursor::{Cursor, Parse, SyntaxError};
use super::url::MessageUrl;
use super::{Command, SeqNumber, date, flag_list, mailbox};

/// A message of APPEND.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AppendMessage {
    /// Its flags.
    pub flags: FlagSet,
    /// Its INTERNALDATE.
    pub internal_date: Option<Timestamp>,
    /// What it is made of.
    pub data: AppendData,
}

/// Where the octets of a message come from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AppendData {
    /// They are these bytes of the command.
    Octets(Range<usize>),
    /// As before, with UTF8: only after ENABLE (RFC 6855 section 4).
    Utf8(Range<usize>),
    /// CATENATE
    Catenate(Vec<Piece>),
}

/// A piece of a message that is put together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Piece {
    /// These bytes of the command.
    Text(Range<usize>),
    /// As before, with UTF8.
    Utf8(Range<usize>),
    /// What is stored there; as it was written, and read if it could be.
    Url(String, Option<Box<MessageUrl>>),
}

/// Messages of one APPEND.
const MAX_APPEND: usize = 1_000;
/// Pieces of one message.
const MAX_PIECES: usize = 500;

/// APPEND's arguments.
pub(super) fn parse(cursor: &mut Cursor<'_>) -> Parse<Command> {
    let mailbox = mailbox(cursor)?;
    let mut messages = Vec::new();
    while messages.is_empty() || !cursor.is_at_end() {
        if messages.len() >= MAX_APPEND {
            return Err(SyntaxError("too many messages in one APPEND"));
        }
        cursor.space()?;
        messages.push(message(cursor)?);
    }
    Ok(Command::Append { mailbox, messages })
}

/// REPLACE's arguments.
pub(super) fn parse_replace(cursor: &mut Cursor<'_>, by_uid: bool) -> Parse<Command> {
    let replaced = SeqNumber::parse(cursor)?;
    cursor.space()?;
    let mailbox = mailbox(cursor)?;
    cursor.space()?;
    Ok(Command::Replace { by_uid, replaced, mailbox, message: Box::new(message(cursor)?) })
}

fn message(cursor: &mut Cursor<'_>) -> Parse<AppendMessage> {
    let mut flags = FlagSet::default();
    if cursor.peek() == Some(b'(') {
        flags = flag_list(cursor)?;
        cursor.space()?;
    }
    let mut internal_date = None;
    if cursor.peek() == Some(b'"') {
        internal_date = Some(date::date_time(cursor)?);
        cursor.space()?;
    }
    let data = if cursor.take_word("UTF8") {
        AppendData::Utf8(utf8_literal(cursor)?)
    } else if cursor.take_word("CATENATE") {
        cursor.space()?;
        AppendData::Catenate(cursor.list(MAX_PIECES, piece)?)
    } else {
        AppendData::Octets(cursor.literal()?)
    };
    Ok(AppendMessage { flags, internal_date, data })
}

/// ` (~{…})`
fn utf8_literal(cursor: &mut Cursor<'_>) -> Parse<Range<usize>> {
    cursor.space()?;
    cursor.expect(b'(', "expected a list")?;
    let octets = cursor.literal()?;
    cursor.expect(b')', "expected the end of a list")?;
    Ok(octets)
}

fn piece(cursor: &mut Cursor<'_>) -> Parse<Piece> {
    match () {
        () if cursor.take_word("TEXT") => {
            cursor.space()?;
            Ok(Piece::Text(cursor.literal()?))
        }
        () if cursor.take_word("UTF8") => Ok(Piece::Utf8(utf8_literal(cursor)?)),
        () if cursor.take_word("URL") => {
            cursor.space()?;
            let url = String::from_utf8_lossy(&cursor.astring()?).into_owned();
            let read = MessageUrl::parse(&url).map(Box::new);
            Ok(Piece::Url(url, read))
        }
        () => Err(SyntaxError("a message is put together from TEXT and URL")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::imap::grammar::command;

    fn data(text: &str) -> Parse<AppendData> {
        match command(text.as_bytes())? {
            Command::Append { mut messages, .. } => Ok(messages.remove(0).data),
            Command::Replace { message, .. } => Ok(message.data),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn messages_in_every_form() {
        // After the examples of RFC 4469, 6855 and 8508.
        assert!(matches!(data("A APPEND Drafts (\\Seen) {2}\r\nab"), Ok(AppendData::Octets(_))));
        assert!(matches!(data("A APPEND Drafts ~{2+}\r\na\0"), Ok(AppendData::Octets(_))));
        assert!(matches!(data("A APPEND Drafts UTF8 (~{2}\r\nab)"), Ok(AppendData::Utf8(_))));
        assert!(matches!(data("R REPLACE 4 Drafts (\\Draft) {2}\r\nab"), Ok(AppendData::Octets(_))));
        assert!(matches!(data("R UID REPLACE 2000 Drafts UTF8 (~{2}\r\nab)"), Ok(AppendData::Utf8(_))));
        let text = "A003 APPEND Drafts (\\Seen \\$MDNSent) CATENATE (TEXT {2}\r\nab TEXT ~{1}\r\n\0 \
                    URL \"/Drafts;UIDVALIDITY=385759045/;UID=20/;section=HEADER\" URL x UTF8 (~{1}\r\na))";
        let Ok(AppendData::Catenate(pieces)) = data(text) else { panic!("{:?}", data(text)) };
        assert_eq!(pieces.len(), 5);
        assert!(matches!(&pieces[2], Piece::Url(_, Some(url)) if url.uid == 20 && url.mailbox == "Drafts"));
        assert!(matches!(&pieces[3], Piece::Url(text, None) if text == "x"));
        for text in [
            "A APPEND Drafts UTF8 {2}\r\nab",
            "A APPEND Drafts UTF8 (~{2}\r\nab",
            "A APPEND Drafts CATENATE ()",
            "A APPEND Drafts CATENATE (TEXT x)",
            "A APPEND Drafts CATENATE (FILE x)",
            "A REPLACE 0 Drafts {1}\r\na",
            "A REPLACE 1:2 Drafts {1}\r\na",
            "A REPLACE 1 Drafts {1}\r\na {1}\r\nb",
        ] {
            assert!(data(text).is_err(), "{text}");
        }
    }
}
