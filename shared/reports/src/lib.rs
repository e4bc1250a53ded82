//! What a sender is told of what became of a message (RFC 3461, RFC 3464). In English and in Chinese: nobody knows which
//! language a mailbox reads.
//!
//! Owns the form of reports, ours and those of other servers ([`heard`]), what read receipts say ([`receipt`]), who asks for them and the form in which members give them ([`GivenReceipt`]), the form of xtext ([`xtext`]), and what is left of a letter with a virus ([`without_infected`]). Who is told of what, and when, is decided by whoever makes one:
//! send-remote of other servers, deliver of mailboxes here, and whoever releases letters that waited. Nothing is stored.
//!
//! Invariant: a report is from nobody, and for the mailbox of whoever had signed in, and nobody else (architecture, invariant 9).

mod given;
mod heard;
mod receipt;
mod rest;
mod xtext;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use pennypost_mime::header_end;
use pennypost_model::event::{Accepted, AuthResults, Body, Recipient, Source, SourceKind, Via};
use pennypost_model::message::{StoredMessage, cut};
use pennypost_model::{AccountKey, EventId, Timestamp};
use pennypost_text::{Lang, Text, say};

pub use given::{GivenReceipt, asks};
pub use heard::{Heard, HeardOf, Returned, heard, is_report, returned};
pub use receipt::{Receipt, is_receipt, receipt};
pub use rest::without_infected;
pub use xtext::{from_xtext, to_xtext};

/// Bytes of the message's header that are given back.
const MAX_HEADER: usize = 32 * 1024;
/// Bytes of a message that is given back as a whole; of a longer one only the header is.
pub const MAX_WHOLE: usize = 1 << 20;
/// Delivery time expired (RFC 3463 section 3.5).
pub const EXPIRED: &str = "5.4.7";
/// Of what a server may have, though it never said so (RFC 3463 section 3.5, X.4.2).
pub const UNCONFIRMED: &str = "5.4.2";

/// What became of a recipient (RFC 3464 section 2.3.3).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    /// It does not get the message.
    Failed,
    /// It does not have it yet.
    Delayed,
    /// It has it.
    Delivered,
    /// A server has it that tells nothing of what becomes of it.
    Relayed,
    /// Those have it to whom it leads.
    Expanded,
}

impl Action {
    const fn name(self) -> &'static str {
        match self {
            Action::Failed => "failed",
            Action::Delayed => "delayed",
            Action::Delivered => "delivered",
            Action::Relayed => "relayed",
            Action::Expanded => "expanded",
        }
    }
}

/// What a report is about as a whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum About {
    /// Recipients do not get the message.
    Failure,
    /// It takes long; it is tried until then.
    Delay {
        /// Until when.
        until: Timestamp,
    },
    /// Recipients have it.
    Success,
    /// It could not be forwarded, and the report is for whoever has it forwarded.
    Forward,
    /// It was to go later, and did not go at all; a copy is in Drafts.
    Unsent,
}

/// A recipient, and what became of it.
#[derive(Debug, Clone)]
pub struct Told {
    /// The address in RCPT TO.
    pub address: String,
    /// The address to which the sender had written: its type, `;`, and the address.
    pub original: Option<String>,
    /// What became of it.
    pub action: Action,
    /// The status (RFC 3463).
    pub status: String,
    /// Why, for people: the same in both languages, or in each its own, English first.
    pub cause: [String; 2],
    /// The other server that said so, and what it said.
    pub server: Option<(String, String)>,
    /// When it was tried last.
    pub tried: Option<Timestamp>,
}

/// A report.
#[derive(Debug)]
pub struct Report<'a> {
    /// Its id.
    pub id: EventId,
    /// Its time.
    pub time: Timestamp,
    /// Who reports.
    pub hostname: &'a str,
    /// To whom.
    pub to: &'a str,
    /// When the message was accepted.
    pub arrived: Timestamp,
    /// What its sender calls its envelope.
    pub envelope_id: Option<&'a str>,
    /// What it is about.
    pub about: About,
    /// Of whom it tells.
    pub told: Vec<Told>,
    /// The message, if its bytes are still there.
    pub letter: Option<&'a [u8]>,
    /// As a whole.
    pub is_whole: bool,
}

impl Report<'_> {
    /// The message that tells it.
    #[must_use]
    pub fn message(&self) -> Vec<u8> {
        self.written(false)
    }

    /// The same for other servers: some take 7-bit text only. What comes back of the letter has to be ASCII for that.
    #[must_use]
    pub fn seven_bit(&self) -> Vec<u8> {
        self.written(true)
    }

    fn written(&self, is_seven_bit: bool) -> Vec<u8> {
        let Report { id, time, hostname, about, told, .. } = self;
        let boundary = format!("=_{id}");
        let texts = [Text::new(Lang::En), Text::new(Lang::ZhCn)];
        let subject = texts.each_ref().map(|text| match about {
            About::Failure => say!(text, "report-failed-subject"),
            About::Delay { .. } => say!(text, "report-delayed-subject"),
            About::Success => say!(text, "report-sent-subject"),
            About::Forward => say!(text, "report-forward-subject"),
            About::Unsent => say!(text, "report-unsent-subject"),
        });
        let [english, chinese] = subject;
        let subject = format!("{}\r\n {}", encoded_words(&format!("{english} / ")), encoded_words(&chinese));
        let is_utf8 = told.iter().any(|one| !one.address.is_ascii());
        let status = if is_utf8 { "message/global-delivery-status" } else { "message/delivery-status" };
        let mut report = format!(
            "From: Mail Delivery System <mailer-daemon@{hostname}>\r\nTo: <{to}>\r\nSubject: {subject}\r\n\
             Date: {date}\r\nMessage-ID: <{id}@{hostname}>\r\nAuto-Submitted: auto-replied\r\nMIME-Version: 1.0\r\n\
             Content-Type: multipart/report; report-type=delivery-status;\r\n\tboundary=\"{boundary}\"\r\n\r\n\
             --{boundary}\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: {encoding}\r\n\r\n",
            to = self.to,
            encoding = if is_seven_bit { "base64" } else { "8bit" },
            date = time.rfc5322(),
        );
        let paragraphs: String =
            texts.iter().enumerate().map(|(language, text)| self.paragraph(language, text)).collect();
        match is_seven_bit {
            true => report.push_str(&format!("{}\r\n\r\n", base64_lines(&paragraphs))),
            false => report.push_str(&paragraphs),
        }
        report.push_str(&format!(
            "--{boundary}\r\nContent-Type: {status}\r\n\r\n{}Reporting-MTA: dns; {hostname}\r\nArrival-Date: {}\r\n",
            self.envelope_id.map(|id| format!("Original-Envelope-Id: {id}\r\n")).unwrap_or_default(),
            self.arrived.rfc5322()
        ));
        for one in told {
            report.push_str(&self.fields(one));
        }
        report.push_str(&self.returned(&boundary));
        report.push_str(&format!("\r\n--{boundary}--\r\n"));
        report.into_bytes()
    }

    /// What people read.
    fn paragraph(&self, language: usize, text: &Text) -> String {
        let line = match self.about {
            About::Failure => say!(text, "report-failed"),
            About::Delay { until } => say!(text, "report-delayed", until = until.rfc5322()),
            About::Success => say!(text, "report-sent"),
            About::Forward => say!(text, "report-forward"),
            About::Unsent => say!(text, "report-unsent"),
        };
        let mut paragraph = format!("{line}\r\n\r\n");
        for one in &self.told {
            let (address, cause) = (one.address.as_str(), one.cause[language].trim());
            let line = match one.action {
                Action::Failed => say!(text, "report-failed-one", address = address, cause = cause),
                Action::Delayed => say!(text, "report-delayed-one", address = address, cause = cause),
                Action::Delivered | Action::Expanded => say!(text, "report-delivered-one", address = address),
                Action::Relayed => say!(text, "report-relayed-one", address = address),
            };
            paragraph.push_str(&format!("  {line}\r\n"));
        }
        paragraph.push_str("\r\n");
        paragraph
    }

    /// The fields of a recipient (RFC 3464 section 2.3, RFC 6533 section 3).
    fn fields(&self, told: &Told) -> String {
        let Told { address, original, action, status, server, tried, .. } = told;
        let kind = if address.is_ascii() { "rfc822" } else { "utf-8" };
        let original = original.as_ref().map(|original| match original.split_once(';') {
            Some((kind, address)) => format!("Original-Recipient: {kind}; {address}\r\n"),
            None => String::new(),
        });
        let mut fields = format!(
            "\r\n{}Final-Recipient: {kind}; {address}\r\nAction: {}\r\nStatus: {status}\r\n",
            original.unwrap_or_default(),
            action.name()
        );
        if let Some((host, said)) = server {
            let said: String = said.chars().map(|c| if c.is_ascii() { c } else { '?' }).collect();
            fields.push_str(&format!("Remote-MTA: dns; {host}\r\n"));
            fields.push_str(&format!("Diagnostic-Code: smtp; {said}\r\n"));
        }
        if let Some(tried) = tried {
            fields.push_str(&format!("Last-Attempt-Date: {}\r\n", tried.rfc5322()));
        }
        if let (Action::Delayed, About::Delay { until }) = (action, self.about) {
            fields.push_str(&format!("Will-Retry-Until: {}\r\n", until.rfc5322()));
        }
        fields
    }

    /// The message, or its header.
    fn returned(&self, boundary: &str) -> String {
        let Some(letter) = self.letter else { return String::new() };
        let part =
            |kind: &str, text: &str| format!("\r\n--{boundary}\r\nContent-Type: {kind}\r\n\r\n{text}\r\n");
        let whole = self.is_whole.then_some(letter).filter(|letter| letter.len() <= MAX_WHOLE);
        // What is no UTF-8 would come back as something else: its header tells which letter it was.
        if let Some(whole) = whole.and_then(|whole| std::str::from_utf8(whole).ok())
            && !whole.contains(boundary)
        {
            let header_is_ascii = whole.get(..header_end(letter)).is_some_and(str::is_ascii);
            let kind = if header_is_ascii { "message/rfc822" } else { "message/global" };
            return part(kind, whole.trim_end_matches("\r\n"));
        }
        let header = String::from_utf8_lossy(letter.get(..header_end(letter)).unwrap_or_default());
        let header = cut(header.trim_end_matches("\r\n"), MAX_HEADER);
        part(if header.is_ascii() { "text/rfc822-headers" } else { "message/global-headers" }, header)
    }
}

/// Characters on a line of base64.
const LINE: usize = 76;

/// A text in base64, in lines.
pub(crate) fn base64_lines(text: &str) -> String {
    let text = STANDARD.encode(text);
    let lines: Vec<&str> =
        (0..text.len()).step_by(LINE).filter_map(|at| text.get(at..text.len().min(at + LINE))).collect();
    lines.join("\r\n")
}

/// A text as encoded-words of at most 75 characters, one on each line (RFC 2047 section 2).
fn encoded_words(text: &str) -> String {
    let (mut words, mut rest) = (Vec::new(), text);
    while !rest.is_empty() {
        let word = cut(rest, 45);
        words.push(format!("=?utf-8?B?{}?=", STANDARD.encode(word)));
        rest = rest.get(word.len()..).unwrap_or_default();
    }
    words.join("\r\n ")
}

/// The report as an accepted message: from nobody, for the mailbox of whoever had signed in.
#[must_use]
pub fn accepted(
    (account, address): (AccountKey, String),
    id: EventId,
    hostname: &str,
    message: StoredMessage,
) -> Accepted {
    Accepted {
        id,
        time: id.time(),
        tenant: account.tenant,
        source: Source { kind: SourceKind::System, ip: None, helo: String::new(), tls: None },
        auth: AuthResults::default(),
        reverse_path: String::new(),
        recipients: vec![Recipient { account, address, via: Via::Direct }],
        body: Body::Inline(message),
        receipt: format!("Received: by {hostname} (Pennypost)\r\n\tid {id}; {}\r\n", id.time().rfc5322()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report(is_whole: bool, letter: &[u8]) -> String {
        let told = vec![Told {
            address: "you@far.example".to_owned(),
            original: Some("rfc822;first@far.example".to_owned()),
            action: Action::Relayed,
            status: "2.6.0".to_owned(),
            cause: [String::new(), String::new()],
            server: None,
            tried: None,
        }];
        let report = Report {
            id: EventId::from_parts(Timestamp(5), 9),
            time: Timestamp(5),
            hostname: "mx.example",
            to: "me@t.example",
            arrived: Timestamp(0),
            envelope_id: Some("QQ314"),
            about: About::Success,
            told,
            letter: Some(letter),
            is_whole,
        };
        String::from_utf8(report.message()).expect("text")
    }

    #[test]
    fn a_report_names_what_its_reader_has_named() {
        let letter = b"Subject: hello\r\n\r\nthe body\r\n";
        let told = report(false, letter);
        for part in [
            "Original-Envelope-Id: QQ314\r\nReporting-MTA: dns; mx.example\r\n",
            "Original-Recipient: rfc822; first@far.example\r\nFinal-Recipient: rfc822; you@far.example\r\nAction: relayed\r\n",
            "text/rfc822-headers\r\n\r\nSubject: hello\r\n",
        ] {
            assert!(told.contains(part), "{part}\n{told}");
        }
        assert!(!told.contains("the body"));
        assert!(report(true, letter).contains("message/rfc822\r\n\r\nSubject: hello\r\n\r\nthe body\r\n"));
    }

    #[test]
    fn what_is_too_long_or_no_text_comes_back_as_its_header() {
        let long = ["Subject: long\r\n\r\n".as_bytes(), &vec![b'x'; MAX_WHOLE]].concat();
        let latin = b"Subject: latin\r\n\r\n\xe4\r\n";
        for (letter, subject) in [(&long[..], "long"), (&latin[..], "latin")] {
            let told = report(true, letter);
            assert!(told.contains("text/rfc822-headers") && told.contains(subject));
            assert!(told.len() < 10_000);
        }
    }
}
