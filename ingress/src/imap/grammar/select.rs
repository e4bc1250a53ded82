//! SELECT and EXAMINE (RFC 3501 section 6.3.1), with the parameters of RFC 7162.

use pennypost_model::UidSet;

use super::cursor::{Cursor, Parse, SyntaxError};
use super::{Command, SequenceSet, mailbox};

/// The parameter QRESYNC (RFC 7162 section 3.2.5): what the client knows of the mailbox.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Resync {
    /// Under which UIDVALIDITY.
    pub uid_validity: u32,
    /// As of which MODSEQ.
    pub modseq: u64,
    /// Which UIDs; `None`: all up to its UIDNEXT.
    pub known: Option<UidSet>,
    /// Sequence numbers and their UIDs.
    pub pairs: Option<(UidSet, UidSet)>,
}

/// Reads the arguments.
pub(super) fn parse(cursor: &mut Cursor<'_>, read_only: bool) -> Parse<Command> {
    let mailbox = mailbox(cursor)?;
    let (mut condstore, mut resync) = (false, None);
    if cursor.take(b' ') {
        cursor.list(10, |cursor| {
            match () {
                () if cursor.take_word("CONDSTORE") => condstore = true,
                () if cursor.take_word("QRESYNC") => {
                    cursor.space()?;
                    resync = Some(Box::new(parse_resync(cursor)?));
                }
                () => return Err(SyntaxError("unknown parameter of SELECT")),
            }
            Ok(())
        })?;
    }
    Ok(Command::Select { mailbox, read_only, condstore, resync })
}

fn parse_resync(cursor: &mut Cursor<'_>) -> Parse<Resync> {
    const BROKEN: &str = "QRESYNC is broken";
    cursor.expect(b'(', BROKEN)?;
    let uid_validity = cursor.number()?;
    cursor.space()?;
    let modseq = cursor.number64()?;
    if uid_validity == 0 || modseq == 0 {
        return Err(SyntaxError(BROKEN));
    }
    let mut resync = Resync { uid_validity, modseq, known: None, pairs: None };
    if cursor.take(b' ') && cursor.peek() != Some(b'(') {
        resync.known = Some(SequenceSet::parse_known(cursor)?);
        if !cursor.take(b' ') {
            cursor.expect(b')', BROKEN)?;
            return Ok(resync);
        }
    }
    if cursor.take(b'(') {
        let numbers = SequenceSet::parse_known(cursor)?;
        cursor.space()?;
        let uids = SequenceSet::parse_known(cursor)?;
        cursor.expect(b')', BROKEN)?;
        if numbers.len() != uids.len() {
            return Err(SyntaxError("as many UIDs as numbers are needed"));
        }
        resync.pairs = Some((numbers, uids));
    }
    cursor.expect(b')', BROKEN)?;
    Ok(resync)
}

#[cfg(test)]
mod tests {
    use crate::imap::grammar::{Command, command};

    #[test]
    fn parameters_of_select() {
        let parse = |text: &str| command(format!("A02 SELECT INBOX ({text})").as_bytes());
        // The examples of RFC 7162.
        for (text, known, pairs) in [
            ("QRESYNC (67890007 20050715194045000 41,43:211,214:541)", Some("41,43:211,214:541"), None),
            ("QRESYNC (67890007 90060115194045000 41:211,214:541)", Some("41:211,214:541"), None),
            (
                "QRESYNC (67890007 90060115205545359 (5000,7500,9000,9990:9999 5001,7501,9001,9991:10000))",
                None,
                Some("5000,7500,9000,9990:9999"),
            ),
            ("CONDSTORE QRESYNC (67890007 20050715194045000)", None, None),
            ("QRESYNC (1 2 3:4 (1 3))", Some("3:4"), Some("1")),
        ] {
            match parse(text) {
                Ok(Command::Select { resync: Some(resync), .. }) => {
                    assert_eq!(resync.known.map(|set| set.to_string()).as_deref(), known, "{text}");
                    assert_eq!(resync.pairs.map(|(set, _)| set.to_string()).as_deref(), pairs, "{text}");
                }
                other => panic!("{text}: {other:?}"),
            }
        }
        for text in [
            "QRESYNC",
            "QRESYNC ()",
            "QRESYNC (0 1)",
            "QRESYNC (1 0)",
            "QRESYNC (1 1 1:*)",
            "QRESYNC (1 1 $)",
            "QRESYNC (1 1 1:3 (1:2 1))",
            "QRESYNC (1 1 )",
            "QRESYNC (1 1 1:3 (1 1) 5)",
            "",
        ] {
            assert!(parse(text).is_err(), "{text}");
        }
    }
}
