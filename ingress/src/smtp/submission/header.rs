//! The header of a message that a member hands in: read, and put in order (RFC 6409 section 8). Without I/O.
//!
//! What is missing of Date, Message-ID and Sender is added, Bcc and Return-Path are taken out, of what goes to members elsewhere
//! of groups also the fields of other lists; all else stays byte for byte: signatures over the rest hold.

use pennypost_mime::{contact, header_end, header_fields};
use pennypost_model::structure::Address;

use crate::smtp::reply::Reply;

/// Authors that a message may have.
const MAX_AUTHORS: usize = 10;
/// Bytes of the From field: all of its authors are read.
const MAX_FROM: usize = 4096;
/// Bytes of Bcc fields that are kept for the copy in Sent.
const MAX_BCC: usize = 2048;

/// What is asked of a header.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Header {
    /// The authors' addresses; at least one.
    pub from: Vec<String>,
    /// Their names.
    pub names: Vec<String>,
    /// The address in Sender.
    pub sender: Option<String>,
    pub subject: String,
    pub has_date: bool,
    pub has_message_id: bool,
    /// The Bcc fields as they stand there, if they are not too long to be kept.
    pub bcc: String,
    /// Each recipient is to get a letter of his own (SND-04).
    pub is_individual: bool,
}

/// What is added.
#[derive(Debug, Clone, Default)]
pub(super) struct Additions {
    pub date: Option<String>,
    pub message_id: Option<String>,
    pub sender: Option<String>,
    /// In the place of the From field: its value.
    pub from: Option<String>,
    /// It goes to a list of ours, whose own fields stand there once (RFC 2369 section 4): those of others are taken out.
    pub is_for_list: bool,
}

/// The field by which a program says that each recipient is to get a letter of his own (SND-04): `yes` or `no`.
const INDIVIDUAL: &[u8] = b"x-pennypost-individual";

/// Fields that lists add.
const OF_LISTS: [&[u8]; 9] = [
    b"list-id",
    b"list-help",
    b"list-unsubscribe",
    b"list-unsubscribe-post",
    b"list-subscribe",
    b"list-post",
    b"list-owner",
    b"list-archive",
    b"precedence",
];

const fn malformed(text: &'static str) -> Reply {
    Reply::new(550, "5.6.0", text)
}

impl Header {
    /// Reads the header of a message.
    pub fn read(raw: &[u8]) -> Result<Header, Reply> {
        let block = &raw[..header_end(raw)];
        let (mut froms, mut senders, mut has_date, mut has_message_id) = (0, 0, false, false);
        let (mut bcc, mut is_individual): (Vec<u8>, bool) = (Vec::new(), false);
        for (name, value, span) in header_fields(block) {
            match &*name.to_ascii_lowercase() {
                b"from" if value.len() > MAX_FROM => return Err(malformed("the From field is too long")),
                b"from" => froms += 1,
                b"sender" => senders += 1,
                b"date" => has_date = true,
                b"message-id" => has_message_id = true,
                INDIVIDUAL => {
                    let text = "X-Pennypost-Individual is yes or no";
                    is_individual = said(value).ok_or_else(|| malformed(text))?;
                }
                b"bcc" => bcc.extend_from_slice(&block[span.start as usize..span.end as usize]),
                _ => {}
            }
        }
        // What goes before it would become a part of it, or it of what goes before it.
        if raw.starts_with(b" ") || raw.starts_with(b"\t") {
            return Err(malformed("the header of the message begins with white space"));
        }
        // With two of them programs could show another one than was looked at.
        if froms != 1 {
            return Err(malformed("the message must have one From field, and no second one"));
        }
        if senders > 1 {
            return Err(malformed("the message has more than one Sender field"));
        }
        let (structure, facts) = pennypost_mime::parse(block);
        let envelope = &structure.envelope;
        // The beginning and the end of a group are no addresses (RFC 6854: none that anybody could write as).
        let address = |address: &Address| contact(address).address;
        let from: Vec<String> = envelope.from.iter().map(address).collect();
        let names = envelope.from.iter().map(|author| contact(author).name).collect();
        if from.is_empty() || from.len() > MAX_AUTHORS {
            return Err(malformed("the From field must have an address, and no more than ten"));
        }
        // Without the field what is read is From.
        let sender = match (senders, envelope.sender.as_slice()) {
            (0, _) => None,
            (_, [only]) => Some(address(only)),
            _ => return Err(malformed("the Sender field must have one address")),
        };
        if !bcc.is_empty() && !bcc.ends_with(b"\r\n") {
            bcc.extend_from_slice(b"\r\n");
        }
        let bcc = Some(bcc).filter(|bcc| bcc.len() <= MAX_BCC).and_then(|bcc| String::from_utf8(bcc).ok());
        let bcc = bcc.unwrap_or_default();
        let subject = facts.subject;
        Ok(Header { from, names, sender, subject, has_date, has_message_id, bcc, is_individual })
    }
}

/// A yes or a no.
fn said(value: &[u8]) -> Option<bool> {
    let word = value.trim_ascii();
    let is_any = |words: [&str; 3]| words.iter().any(|known| word.eq_ignore_ascii_case(known.as_bytes()));
    if is_any(["yes", "true", "1"]) { Some(true) } else { is_any(["no", "false", "0"]).then_some(false) }
}

/// The message as it is accepted.
pub(super) fn put_in_order(raw: &[u8], additions: &Additions) -> Vec<u8> {
    let Additions { date, message_id, sender, from, is_for_list } = additions;
    let mut ordered = Vec::with_capacity(raw.len() + 512);
    for (name, value) in [("Date", date), ("Message-ID", message_id), ("Sender", sender)] {
        if let Some(value) = value {
            ordered.extend_from_slice(format!("{name}: {value}\r\n").as_bytes());
        }
    }
    let mut end = 0;
    for (name, _, span) in header_fields(&raw[..header_end(raw)]) {
        end = span.end as usize;
        // Of Return-Path, which delivery adds, RFC 5321 section 4.4.
        let name = name.to_ascii_lowercase();
        let is_taken_out = matches!(&*name, b"bcc" | b"resent-bcc" | b"return-path" | INDIVIDUAL)
            || *is_for_list && OF_LISTS.contains(&&*name);
        if let (b"from", Some(from)) = (&*name, from) {
            ordered.extend_from_slice(format!("From: {from}\r\n").as_bytes());
        } else if !is_taken_out {
            ordered.extend_from_slice(&raw[span.start as usize..end]);
        }
    }
    ordered.extend_from_slice(&raw[end..]);
    ordered
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn read(text: &str) -> Result<Header, Reply> {
        Header::read(text.as_bytes())
    }

    #[test]
    fn who_wrote_it_is_read() {
        let header = read(
            "From: \"Ann, of Acme\" <ann@acme.example>,\r\n bob@acme.example\r\nSender: Ann <ann@acme.example>\r\n\
             Subject: =?utf-8?q?h=C3=A9llo?=\r\ndate: now\r\nBcc: x@y.example,\r\n\tz@y.example\r\n\r\nFrom: body\r\n",
        );
        let header = header.expect("read");
        assert_eq!(header.from, ["ann@acme.example", "bob@acme.example"]);
        assert_eq!(header.sender.as_deref(), Some("ann@acme.example"));
        assert_eq!((header.subject.as_str(), header.has_date, header.has_message_id), ("héllo", true, false));
        assert_eq!(header.bcc, "Bcc: x@y.example,\r\n\tz@y.example\r\n");
        let alone = read("From: ann@acme.example").expect("read");
        assert_eq!((alone.sender, alone.bcc.as_str()), (None, ""));
    }

    #[test]
    fn what_programs_could_read_otherwise_is_refused() {
        let many = "a@b.example, ".repeat(11);
        let long = format!("From: a@b.example{}\r\n\r\n", "\r\n ".repeat(2000));
        for text in [
            "",
            "Subject: x\r\n\r\nFrom: a@b.example\r\n",
            "From: a@b.example\r\nfrom: c@d.example\r\n\r\n",
            "From: a@b.example\r\nFrom : c@d.example\r\n\r\n",
            "From:\r\n\r\n",
            " From: a@b.example\r\nFrom: c@d.example\r\n\r\n",
            "From: a@b.example\r\nSender: a@b.example\r\nSender: a@b.example\r\n\r\n",
            "From: a@b.example\r\nSender: a@b.example, c@d.example\r\n\r\n",
            &format!("From: {many}c@d.example\r\n\r\n"),
            &long,
        ] {
            let reply = read(text).expect_err(text);
            assert_eq!((reply.code, reply.enhanced), (550, "5.6.0"), "{text}");
        }
        // A group, and what is no address, are nobody's.
        for text in ["From: Us: a@b.example;\r\n\r\n", "From: nobody\r\n\r\n"] {
            let from = read(text).expect("read").from;
            assert!(from.iter().any(|author| !author.contains('@')), "{from:?}");
        }
    }

    #[test]
    fn what_is_missing_is_added_and_what_must_not_be_seen_is_taken_out() {
        let raw =
            b"Return-Path: <a@b.example>\r\nFrom: a@b.example\r\nBCC : x@y.example,\r\n z@y.example\r\n\
            Resent-Bcc: q@y.example\r\nTo: t@b.example\r\n\r\nBcc: stays\r\n";
        let ordered = put_in_order(raw, &Additions::default());
        assert_eq!(ordered, b"From: a@b.example\r\nTo: t@b.example\r\n\r\nBcc: stays\r\n");
        let additions = Additions {
            date: Some("Fri, 20 Nov 2026 00:00:00 +0000".to_owned()),
            message_id: Some("<1@b.example>".to_owned()),
            sender: Some("s@b.example".to_owned()),
            from: None,
            is_for_list: false,
        };
        let ordered = put_in_order(b"From: a@b.example\r\n\r\n\r\n", &additions);
        assert_eq!(
            String::from_utf8_lossy(&ordered),
            "Date: Fri, 20 Nov 2026 00:00:00 +0000\r\nMessage-ID: <1@b.example>\r\nSender: s@b.example\r\n\
             From: a@b.example\r\n\r\n\r\n"
        );
        assert_eq!(put_in_order(b"From: a@b.example", &Additions::default()), b"From: a@b.example");
        let additions = Additions { from: Some("\"A\" <a@b.example>".to_owned()), ..Additions::default() };
        let ordered =
            put_in_order(b"To: t@b.example\r\nFROM: x\r\n <a@b.example>\r\n\r\nFrom: b\r\n", &additions);
        assert_eq!(ordered, b"To: t@b.example\r\nFrom: \"A\" <a@b.example>\r\n\r\nFrom: b\r\n");
    }

    proptest! {
        #[test]
        fn nothing_panics_and_the_body_stays(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
            let _ = Header::read(&bytes);
            let ordered = put_in_order(&bytes, &Additions::default());
            prop_assert!(ordered.ends_with(&bytes[header_end(&bytes)..]));
            prop_assert!(ordered.len() <= bytes.len());
        }

        #[test]
        fn near_misses_lose_their_bcc(text in "(?i)((From|Bcc|Sender|Date)[: \t]{0,2}[a-z@<>,;:\"]{0,12}(\r\n|\n| ){1,2}){0,6}") {
            let _ = read(&text);
            let ordered = put_in_order(text.as_bytes(), &Additions::default());
            let block = &ordered[..header_end(&ordered)];
            let has_bcc = header_fields(block).any(|(name, ..)| name.eq_ignore_ascii_case(b"bcc"));
            prop_assert!(!has_bcc);
        }
    }
}
