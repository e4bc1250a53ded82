//! SORT and THREAD (RFC 5256), with the display criteria of RFC 5957 and the return options of RFC 5267 (ESORT).

use super::cursor::{Cursor, Parse, SyntaxError};
use super::search::{Search, SearchError, return_options};

/// SORT and UID SORT.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sort {
    /// Which messages, and how they are told.
    pub search: Search,
    /// By what, and whether in reverse.
    pub criteria: Vec<(Criterion, bool)>,
}

/// What messages are sorted by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Criterion {
    /// ARRIVAL: INTERNALDATE
    Arrival,
    /// CC: mailbox of the first address
    Cc,
    /// DATE: when it was sent
    Date,
    /// DISPLAYFROM (RFC 5957)
    DisplayFrom,
    /// DISPLAYTO (RFC 5957)
    DisplayTo,
    /// FROM: mailbox of the first address
    From,
    /// SIZE
    Size,
    /// SUBJECT: the base subject
    Subject,
    /// TO: mailbox of the first address
    To,
}

/// THREAD and UID THREAD.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Thread {
    /// Which messages.
    pub search: Search,
    /// How.
    pub algorithm: Algorithm,
}

/// How messages are put into threads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Algorithm {
    /// ORDEREDSUBJECT
    OrderedSubject,
    /// REFERENCES
    References,
}

/// Criteria of one SORT.
const MAX_CRITERIA: usize = 20;

impl Sort {
    /// Reads the arguments.
    ///
    /// # Errors
    /// They are broken, or name an unknown charset.
    pub fn parse(cursor: &mut Cursor<'_>, by_uid: bool) -> Result<Sort, SearchError> {
        let mut returns = None;
        if cursor.take_word("RETURN") {
            cursor.space()?;
            returns = Some(return_options(cursor)?);
            cursor.space()?;
        }
        let mut reverse = false;
        let mut criteria = Vec::new();
        cursor.list(2 * MAX_CRITERIA, |cursor| {
            if cursor.take_word("REVERSE") {
                if std::mem::replace(&mut reverse, true) {
                    return Err(SyntaxError("REVERSE is said twice"));
                }
                return Ok(());
            }
            if criteria.len() >= MAX_CRITERIA {
                return Err(SyntaxError("too many sort criteria"));
            }
            criteria.push((criterion(cursor)?, std::mem::take(&mut reverse)));
            Ok(())
        })?;
        if reverse || criteria.is_empty() {
            return Err(SyntaxError("REVERSE of what?").into());
        }
        cursor.space()?;
        Ok(Sort { search: Search::parse_with_charset(cursor, by_uid, returns)?, criteria })
    }
}

fn criterion(cursor: &mut Cursor<'_>) -> Parse<Criterion> {
    Ok(match &*cursor.atom()?.to_ascii_uppercase() {
        "ARRIVAL" => Criterion::Arrival,
        "CC" => Criterion::Cc,
        "DATE" => Criterion::Date,
        "DISPLAYFROM" => Criterion::DisplayFrom,
        "DISPLAYTO" => Criterion::DisplayTo,
        "FROM" => Criterion::From,
        "SIZE" => Criterion::Size,
        "SUBJECT" => Criterion::Subject,
        "TO" => Criterion::To,
        _ => return Err(SyntaxError("unknown sort criterion")),
    })
}

impl Thread {
    /// Reads the arguments.
    ///
    /// # Errors
    /// They are broken, or name an unknown charset.
    pub fn parse(cursor: &mut Cursor<'_>, by_uid: bool) -> Result<Thread, SearchError> {
        let algorithm = match &*cursor.atom()?.to_ascii_uppercase() {
            "ORDEREDSUBJECT" => Algorithm::OrderedSubject,
            "REFERENCES" => Algorithm::References,
            _ => return Err(SyntaxError("unknown threading algorithm").into()),
        };
        cursor.space()?;
        Ok(Thread { search: Search::parse_with_charset(cursor, by_uid, None)?, algorithm })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::imap::grammar::{Command, command};

    #[test]
    fn the_examples_of_the_rfc() {
        for (text, criteria) in [
            ("A282 SORT (SUBJECT) UTF-8 SINCE 1-Feb-1994", vec![(Criterion::Subject, false)]),
            (
                "A283 SORT (SUBJECT REVERSE DATE) UTF-8 ALL",
                vec![(Criterion::Subject, false), (Criterion::Date, true)],
            ),
            ("A284 SORT (SUBJECT) US-ASCII TEXT {12}\r\nnot in mails", vec![(Criterion::Subject, false)]),
            ("E01 UID SORT RETURN () (REVERSE DATE) UTF-8 UNDELETED", vec![(Criterion::Date, true)]),
        ] {
            match command(text.as_bytes()) {
                Ok(Command::Sort(sort)) => assert_eq!(sort.criteria, criteria, "{text}"),
                other => panic!("{text}: {other:?}"),
            }
        }
        for (text, algorithm) in [
            ("A283 THREAD ORDEREDSUBJECT UTF-8 SINCE 5-MAR-2000", Algorithm::OrderedSubject),
            ("A284 UID THREAD REFERENCES US-ASCII TEXT \"gewp\"", Algorithm::References),
        ] {
            match command(text.as_bytes()) {
                Ok(Command::Thread(thread)) => assert_eq!(thread.algorithm, algorithm, "{text}"),
                other => panic!("{text}: {other:?}"),
            }
        }
        for text in [
            "SORT () UTF-8 ALL",
            "SORT (REVERSE) UTF-8 ALL",
            "SORT (DATE REVERSE) UTF-8 ALL",
            "SORT (REVERSE REVERSE DATE) UTF-8 ALL",
            "SORT (NONSENSE) UTF-8 ALL",
            "SORT (DATE) UTF-8",
            "SORT (DATE) ALL",
            "SORT DATE UTF-8 ALL",
            "THREAD NONSENSE UTF-8 ALL",
            "THREAD REFERENCES UTF-8",
        ] {
            assert!(
                !matches!(command(format!("a {text}").as_bytes()), Ok(Command::Sort(_) | Command::Thread(_))),
                "{text}"
            );
        }
        let many = format!("a SORT ({}DATE) UTF-8 ALL", "DATE ".repeat(30));
        assert!(command(many.as_bytes()).is_err());
    }
}
