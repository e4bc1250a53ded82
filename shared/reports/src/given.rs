//! Read receipts that members give (RFC 8098): which letters ask for one, and its form. Without I/O.

use pennypost_mime::{header_fields, parse};
use pennypost_model::message::cut;
use pennypost_model::{EventId, Timestamp};
use pennypost_text::{Lang, Text, plain, say};

use crate::heard::MAX_ADDRESS;
use crate::{MAX_HEADER, base64_lines, encoded_words};

/// Bytes of the field that names who asks; of a longer one nobody is found.
const MAX_FIELD: usize = 2_000;
/// Characters of the letter's subject in the text.
const SUBJECT: usize = 200;
/// Bytes of its Message-ID; of a letter with a longer one no receipt is made (RFC 5322 section 2.1.1).
const MESSAGE_ID: usize = 900;

/// Who asks for a receipt, by the letter's header: one address, in ASCII. Nobody, where the field stands there several times or
/// names several addresses, so that nobody is written to of whom its reader does not know; nor where something is required of the receipt
/// (RFC 8098 section 2.2), since nothing of that kind is known here.
#[must_use]
pub fn asks(header: &[u8]) -> Option<String> {
    let mut asking: Option<&[u8]> = None;
    for (name, value, _) in header_fields(header) {
        if name.eq_ignore_ascii_case(b"Disposition-Notification-To") {
            if asking.replace(value).is_some() || value.len() > MAX_FIELD {
                return None;
            }
        } else if name.eq_ignore_ascii_case(b"Disposition-Notification-Options") {
            let said: Vec<u8> = value.iter().filter(|byte| !byte.is_ascii_whitespace()).copied().collect();
            if said.to_ascii_lowercase().windows(9).any(|word| word == b"=required") {
                return None;
            }
        }
    }
    // The field is read as any that names mailboxes.
    let (_, facts) = parse(&[b"From:", asking?, b"\r\n\r\n"].concat());
    let [contact] = &facts.from[..] else { return None };
    let address = contact.address.as_str();
    let is_address = (3..=MAX_ADDRESS).contains(&address.len())
        && address.bytes().all(|byte| byte.is_ascii_graphic() && !matches!(byte, b'<' | b'>' | b','))
        && address.rsplit_once('@').is_some_and(|(local, domain)| !local.is_empty() && domain.contains('.'));
    is_address.then(|| address.to_owned())
}

/// A receipt that somebody gives.
#[derive(Debug)]
pub struct GivenReceipt<'a> {
    /// Its id.
    pub id: EventId,
    /// When it is given.
    pub time: Timestamp,
    /// Who gives it: the own address, and the name, which may be empty.
    pub from: (&'a str, &'a str),
    /// The address at which the letter came, if that is one of whoever gives it; else the own one.
    pub at: &'a str,
    /// Who asks for it.
    pub to: &'a str,
    /// The letter's subject.
    pub subject: &'a str,
    /// Its Message-ID, without angle brackets.
    pub message_id: &'a str,
    /// When it was written, or came.
    pub sent: Timestamp,
    /// Its header, with what was added where it came in.
    pub header: &'a [u8],
}

impl GivenReceipt<'_> {
    /// The message: that the letter was displayed, as its reader has said by himself. `None`: its letter has no Message-ID that a receipt
    /// can name.
    #[must_use]
    pub fn message(&self) -> Option<Vec<u8>> {
        let GivenReceipt { id, time, from: (address, name), at, to, subject, message_id, sent, .. } = self;
        let is_id = !message_id.is_empty()
            && message_id.len() <= MESSAGE_ID
            && message_id.bytes().all(|byte| byte.is_ascii_graphic() && !matches!(byte, b'<' | b'>'));
        if !is_id {
            return None;
        }
        let boundary = format!("=_{id}");
        let domain = address.rsplit('@').next().unwrap_or_default();
        let texts = [Text::new(Lang::ZhCn), Text::new(Lang::En)];
        let about = plain(subject, SUBJECT);
        let [chinese, english] = texts.each_ref().map(|text| say!(text, "receipt-subject"));
        let who =
            if name.is_empty() { (*address).to_owned() } else { format!("{} <{address}>", plain(name, 100)) };
        let [in_chinese, in_english] = texts.each_ref().map(|text| {
            let (sent, time) = (sent.rfc5322(), time.rfc5322());
            say!(
                text,
                "receipt-given",
                who = who.as_str(),
                subject = about.as_str(),
                sent = sent,
                time = time
            )
        });
        let from = match *name {
            "" => (*address).to_owned(),
            name => format!("{}\r\n <{address}>", encoded_words(name)),
        };
        let mut receipt = format!(
            "From: {from}\r\nTo: <{to}>\r\nSubject: {subject}\r\nDate: {date}\r\nMessage-ID: <{id}@{domain}>\r\n\
             In-Reply-To: <{message_id}>\r\nReferences: <{message_id}>\r\nAuto-Submitted: auto-replied\r\nMIME-Version: 1.0\r\n\
             Content-Type: multipart/report; report-type=disposition-notification;\r\n\tboundary=\"{boundary}\"\r\n\r\n\
             --{boundary}\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: base64\r\n\r\n{text}\r\n",
            subject = encoded_words(&format!("{chinese} / {english}: {about}")),
            date = time.rfc5322(),
            text = base64_lines(&format!("{in_chinese}\n\n{in_english}\n").replace('\n', "\r\n")),
        );
        receipt.push_str(&format!(
            "--{boundary}\r\nContent-Type: message/disposition-notification\r\n\r\nReporting-UA: {domain}; Pennypost\r\n\
             Final-Recipient: rfc822; {at}\r\nOriginal-Message-ID: <{message_id}>\r\n\
             Disposition: manual-action/MDN-sent-manually; displayed\r\n"
        ));
        let header = String::from_utf8_lossy(self.header);
        let header = cut(header.trim_end_matches(['\r', '\n']), MAX_HEADER);
        // The empty line of the header would end it, and nothing that it says is a line of ours.
        if !header.contains(&boundary) {
            let kind = if header.is_ascii() { "text/rfc822-headers" } else { "message/global-headers" };
            receipt.push_str(&format!("\r\n--{boundary}\r\nContent-Type: {kind}\r\n\r\n{header}\r\n"));
        }
        receipt.push_str(&format!("\r\n--{boundary}--\r\n"));
        Some(receipt.into_bytes())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{is_receipt, receipt};

    #[test]
    fn one_address_may_ask() {
        for (header, expected) in [
            ("Disposition-Notification-To: ann@t.example", Some("ann@t.example")),
            ("disposition-notification-to:\r\n Ann <Ann@t.example>", Some("Ann@t.example")),
            ("Disposition-Notification-To: =?utf-8?B?5a6J?= <a@t.example>", Some("a@t.example")),
            ("Subject: Disposition-Notification-To: ann@t.example", None),
            ("Disposition-Notification-To: a@t.example, b@t.example", None),
            ("Disposition-Notification-To: a@t.example\r\nDisposition-Notification-To: a@t.example", None),
            ("Disposition-Notification-To: <>", None),
            ("Disposition-Notification-To: ann", None),
            ("Disposition-Notification-To: a b@t.example\u{e9}", None),
            (
                "Disposition-Notification-To: a@t.example\r\nDisposition-Notification-Options: x=optional,y",
                Some("a@t.example"),
            ),
            (
                "Disposition-Notification-To: a@t.example\r\nDisposition-Notification-Options: x = Required,y",
                None,
            ),
            ("Subject: hello\r\n\r\nDisposition-Notification-To: a@t.example", None),
            ("", None),
        ] {
            assert_eq!(asks(format!("{header}\r\n\r\n").as_bytes()).as_deref(), expected, "{header}");
        }
        let long = format!("Disposition-Notification-To: a@t.example{}", " ".repeat(MAX_FIELD));
        assert_eq!(asks(long.as_bytes()), None);
    }

    fn given<'a>(name: &'a str, subject: &'a str, message_id: &'a str, header: &'a [u8]) -> Option<String> {
        let given = GivenReceipt {
            id: EventId::from_parts(Timestamp(5), 9),
            time: Timestamp(1_795_000_000_000),
            from: ("bob@t.example", name),
            at: "b@t.example",
            to: "ann@far.example",
            subject,
            message_id,
            sent: Timestamp(0),
            header,
        };
        given.message().map(|raw| String::from_utf8(raw).expect("text"))
    }

    #[test]
    fn what_is_given_is_what_is_read() {
        let id = "01KAQ8ZJ00000000000000000A";
        let header = format!(
            "Received: from laptop\r\n by mx.acme.example with ESMTPSA id {id};\r\n Mon\r\nMessage-ID: <1@acme.example>\r\n\r\n"
        );
        let raw = given("鲍勃", "你好 \r\nBcc: x@y.example", "1@acme.example", header.as_bytes())
            .expect("a receipt");
        assert!(!raw.contains("\nBcc:") && raw.split("\r\n").all(|line| line.len() <= 100), "{raw}");
        let (structure, facts) = parse(raw.as_bytes());
        assert!(is_receipt(&structure) && facts.automatic);
        assert_eq!((facts.from[0].name.as_str(), facts.to[0].address.as_str()), ("鲍勃", "ann@far.example"));
        assert_eq!(facts.subject, "已读 / Read: 你好   Bcc: x@y.example");
        let told = receipt(raw.as_bytes(), &structure).expect("a receipt");
        assert!(told.is_displayed);
        assert_eq!(
            (told.message_id.as_str(), &told.addresses[..]),
            ("1@acme.example", &["b@t.example".to_owned()][..])
        );
        assert_eq!(told.ids, [id.parse().expect("an id")]);
    }

    #[test]
    fn what_can_not_be_named_has_no_receipt() {
        for id in ["", "a b@c.example", "a>@c.example", &"x".repeat(MESSAGE_ID + 1)] {
            assert_eq!(given("", "hello", id, b""), None, "{id}");
        }
        let raw = given("", "", "1@c.example", "Subject: h\u{e9}llo\r\n\r\n".as_bytes()).expect("a receipt");
        assert!(
            raw.contains("message/global-headers") && raw.starts_with("From: bob@t.example\r\n"),
            "{raw}"
        );
    }

    proptest::proptest! {
        #[test]
        fn whatever_asks_is_read(text in "(Disposition-Notification-(To|Options)|:|;|<|>|@|,|=required| |\r\n|[ -~]){0,60}") {
            if let Some(address) = asks(text.as_bytes()) {
                assert!(address.is_ascii() && address.contains('@') && !address.contains(['\r', '\n', ' ']));
            }
        }
    }
}
