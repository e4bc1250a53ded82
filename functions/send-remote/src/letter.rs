//! A message as it goes out: its lines in order, and what goes in front of them.

use std::collections::HashMap;
use std::sync::{Arc, Weak};

use parking_lot::Mutex;
use pennypost_mailstore::StoreError;
use pennypost_mailstore::compress::decompress;
use pennypost_mime::{header_end, header_fields};
use pennypost_model::event::Accepted;
use pennypost_model::message::StoredMessage;
use pennypost_policy::MailAddress;
use tokio::sync::OnceCell;

/// From so many bytes a message is decompressed beside what else the thread has to do.
pub(crate) const LARGE: u64 = 128 * 1024;

/// A message in memory.
pub(crate) struct Letter {
    pub lines: Vec<u8>,
    pub is_ascii: bool,
    pub has_ascii_header: bool,
}

impl Letter {
    pub fn new(lines: Vec<u8>) -> Letter {
        let has_ascii_header = lines.get(..header_end(&lines)).unwrap_or_default().is_ascii();
        Letter { is_ascii: lines.is_ascii(), has_ascii_header, lines }
    }
}

/// A message that several attempts have in hand; empty, if its bytes are gone or damaged.
pub(crate) type Shared = Arc<OnceCell<Option<Letter>>>;

/// The messages that are in hand, by their objects.
#[derive(Default)]
pub(crate) struct Letters(Mutex<HashMap<String, Weak<OnceCell<Option<Letter>>>>>);

impl Letters {
    /// The place of the message that lies there: whoever comes first reads it.
    pub fn of(&self, object: &str) -> Shared {
        let mut known = self.0.lock();
        if let Some(letter) = known.get(object).and_then(Weak::upgrade) {
            return letter;
        }
        known.retain(|_, letter| letter.strong_count() > 0);
        let letter = Shared::default();
        known.insert(object.to_owned(), Arc::downgrade(&letter));
        letter
    }
}

/// The message as it goes out.
pub(crate) async fn opened(stored: StoredMessage) -> Result<Vec<u8>, StoreError> {
    let open = |stored: StoredMessage| {
        let raw = decompress(&stored)?;
        drop(stored);
        Ok(in_lines(raw))
    };
    if stored.size < LARGE {
        return open(stored);
    }
    let task = tokio::task::spawn_blocking(move || open(stored));
    task.await.unwrap_or_else(|error| Err(StoreError::Damaged(error.to_string())))
}

/// The message with CRLF at the end of each line: a bare CR or LF would be an end of a line to some servers and none to
/// others, and what one of them takes for the end of the message the next one would take for commands.
pub(crate) fn in_lines(raw: Vec<u8>) -> Vec<u8> {
    let is_in_order = raw.iter().enumerate().all(|(index, byte)| match byte {
        b'\n' => index > 0 && raw.get(index - 1) == Some(&b'\r'),
        b'\r' => raw.get(index + 1) == Some(&b'\n'),
        _ => true,
    });
    if is_in_order {
        return raw;
    }
    let mut lines = Vec::with_capacity(raw.len() + 64);
    let mut bytes = raw.iter().peekable();
    while let Some(byte) = bytes.next() {
        match byte {
            b'\r' => {
                bytes.next_if(|next| **next == b'\n');
                lines.extend_from_slice(b"\r\n");
            }
            b'\n' => lines.extend_from_slice(b"\r\n"),
            byte => lines.push(*byte),
        }
    }
    lines
}

/// The Received field of the receipt. What authentication found is for us alone: it names the login.
pub(crate) fn received(accepted: &Accepted) -> Vec<u8> {
    let receipt = accepted.receipt.as_bytes();
    let mut found = Vec::new();
    for (name, _, span) in header_fields(receipt) {
        if name.eq_ignore_ascii_case(b"received") {
            found.extend_from_slice(receipt.get(span.start as usize..span.end as usize).unwrap_or_default());
        }
    }
    found
}

/// The domain that signs: that of the first author, which DMARC asks for (RFC 7489 section 3.1.1). It is the sender's to
/// write as: submission has asked.
pub(crate) fn signing_domain(letter: &[u8]) -> Option<String> {
    let (_, facts) = pennypost_mime::parse(letter.get(..header_end(letter))?);
    let author = facts.from.first()?;
    Some(MailAddress::domain_of(&author.address).ok()?.as_str().to_owned())
}

/// The domain to which an address leads, in A-labels; none, where mail can't go.
#[must_use]
pub fn destination_of(address: &str) -> Option<String> {
    Some(MailAddress::domain_of(address).ok()?.as_str().to_owned())
}

/// The address with its domain in A-labels: with an ASCII local part it needs no SMTPUTF8 then.
pub(crate) fn on_the_wire(address: &str) -> String {
    match (address.rsplit_once('@'), destination_of(address)) {
        (Some((local, domain)), Some(ascii)) if !domain.is_ascii() => format!("{local}@{ascii}"),
        _ => address.to_owned(),
    }
}

/// Does its sender say that policies of others for TLS do not matter to it (`TLS-Required: No`: RFC 8689 section 3)? A header that says
/// it twice, or anything else, says nothing.
pub(crate) fn needs_no_tls(lines: &[u8]) -> bool {
    let header = lines.get(..header_end(lines)).unwrap_or_default();
    let mut fields = header_fields(header).filter(|(name, ..)| name.eq_ignore_ascii_case(b"TLS-Required"));
    let is_no = |(_, value, _): (&[u8], &[u8], _)| value.trim_ascii().eq_ignore_ascii_case(b"no");
    fields.next().is_some_and(is_no) && fields.next().is_none()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_line_ends_alike() {
        for (raw, lines) in [
            ("a\r\nb\r\n", "a\r\nb\r\n"),
            ("a\nb\r\r\nc\r", "a\r\nb\r\n\r\nc\r\n"),
            ("\n.\n", "\r\n.\r\n"),
            ("a\r\n.\rb", "a\r\n.\r\nb"),
            ("", ""),
        ] {
            assert_eq!(in_lines(raw.as_bytes().to_vec()), lines.as_bytes(), "{raw:?}");
        }
    }

    #[test]
    fn domains_go_out_in_a_labels() {
        assert_eq!(on_the_wire("me@bücher.example"), "me@xn--bcher-kva.example");
        assert_eq!(on_the_wire("ö@bücher.example"), "ö@xn--bcher-kva.example");
        assert_eq!(on_the_wire("Me@Other.Example"), "Me@Other.Example");
        assert_eq!(on_the_wire(""), "");
        assert_eq!(destination_of("Me@Other.Example").as_deref(), Some("other.example"));
        for nowhere in ["me", "me@localhost", "me@[127.0.0.1]", "me@"] {
            assert_eq!(destination_of(nowhere), None, "{nowhere}");
        }
    }

    #[test]
    fn the_first_author_signs() {
        let letter = b"From: Ann <ann@B\xc3\xbccher.example>, b@c.example\r\nTo: x@y.example\r\n\r\nFrom: z@z.example\r\n";
        assert_eq!(signing_domain(letter).as_deref(), Some("xn--bcher-kva.example"));
        assert_eq!(signing_domain(b"To: x@y.example\r\n\r\n"), None);
    }
}
