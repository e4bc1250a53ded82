//! Filling a mailbox by APPEND and MULTIAPPEND (RFC 3502), without waiting for each answer (RFC 7888).

use std::collections::VecDeque;
use std::ops::Range;

use crate::BenchError;
use crate::corpus::Corpus;
use crate::corpus::letter::internal_date;
use crate::imap::{Imap, Look, quoted};

/// Messages of one MULTIAPPEND.
const BATCH: u64 = 200;
/// APPEND commands on their way at once, beside the one that the server works on.
const AHEAD: usize = 32;
/// Octets that are gathered before they are sent.
const GATHERED: usize = 256 * 1024;

/// Appends these letters, many at once in one command where `multiappend` says that the server can.
pub(crate) async fn letters(
    session: &mut Imap,
    corpus: &Corpus,
    mailbox: &str,
    numbers: Range<u64>,
    multiappend: bool,
) -> Result<(), BenchError> {
    if !session.offers("LITERAL+").await? {
        return Err(BenchError::Missing("LITERAL+"));
    }
    let (batch, ahead) = if multiappend { (BATCH, 1) } else { (1, AHEAD) };
    let mut open = VecDeque::new();
    let mut next = numbers.start;
    while next < numbers.end {
        let end = numbers.end.min(next + batch);
        open.push_back(begin(session, corpus, mailbox, next..end).await?);
        next = end;
        if open.len() > ahead
            && let Some(tag) = open.pop_front()
        {
            session.finish(&tag, "APPEND", Look::default()).await?;
        }
    }
    for tag in open {
        session.finish(&tag, "APPEND", Look::default()).await?;
    }
    Ok(())
}

/// Sends one APPEND command with these letters; gives its tag.
async fn begin(
    session: &mut Imap,
    corpus: &Corpus,
    mailbox: &str,
    numbers: Range<u64>,
) -> Result<String, BenchError> {
    let tag = session.tag();
    let mut octets = command(&tag, mailbox);
    for number in numbers {
        argument(&mut octets, number, &corpus.letter(number));
        if octets.len() > GATHERED {
            session.send(&octets).await?;
            octets.clear();
        }
    }
    octets.extend_from_slice(b"\r\n");
    session.send(&octets).await?;
    Ok(tag)
}

/// The beginning of an APPEND command.
pub(crate) fn command(tag: &str, mailbox: &str) -> Vec<u8> {
    format!("{tag} APPEND {}", quoted(mailbox)).into_bytes()
}

/// Flags, date and literal of one message.
pub(crate) fn argument(octets: &mut Vec<u8>, number: u64, letter: &[u8]) {
    let flags = if is_seen(number) { "\\Seen" } else { "" };
    let head = format!(" ({flags}) \"{}\" {{{}+}}\r\n", internal_date(number), letter.len());
    octets.extend_from_slice(head.as_bytes());
    octets.extend_from_slice(letter);
}

/// Is letter `number` seen when it is appended? Nine of ten are.
pub(crate) const fn is_seen(number: u64) -> bool {
    !number.is_multiple_of(10)
}
