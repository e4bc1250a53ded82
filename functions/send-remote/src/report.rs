//! What a sender is told (RFC 3461, RFC 3464): that recipients do not get the message, or that it takes long. In English and
//! in Chinese: nobody knows which language a mailbox reads.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use pennypost_mime::header_end;
use pennypost_model::event::{Accepted, AuthResults, Body, Recipient, Source, SourceKind, Via};
use pennypost_model::message::{StoredMessage, cut};
use pennypost_model::trace::{Attempt, RemoteAnswer, RemoteOutcome, RemoteRecipient};
use pennypost_model::{EventId, Timestamp};
use pennypost_outbound::Outbound;
use pennypost_text::{Lang, Text, say};

/// Bytes of the message's header that are given back.
const MAX_HEADER: usize = 32 * 1024;

/// Delivery time expired (RFC 3463 section 3.5).
pub(crate) const EXPIRED: &str = "5.4.7";

/// The report about an attempt. `letter` is the message, if its bytes are still there.
pub(crate) fn report(
    item: &Outbound,
    (time, attempt): (Timestamp, &Attempt),
    hostname: &str,
    until: Timestamp,
    letter: Option<&[u8]>,
) -> Vec<u8> {
    let is_failure = attempt.recipients.iter().any(|one| one.outcome == RemoteOutcome::Failed);
    let about = if is_failure { RemoteOutcome::Failed } else { RemoteOutcome::Deferred };
    let told: Vec<&RemoteRecipient> = attempt.recipients.iter().filter(|one| one.outcome == about).collect();
    let id = attempt.reported.unwrap_or(item.message);
    let boundary = format!("=_{id}");
    let texts = [Text::new(Lang::En), Text::new(Lang::ZhCn)];
    let is_forwarded = item.is_forwarded();
    let subject = texts.each_ref().map(|text| match is_failure {
        true if is_forwarded => say!(text, "report-forward-subject"),
        true => say!(text, "report-failed-subject"),
        false => say!(text, "report-delayed-subject"),
    });
    let [english, chinese] = subject;
    let subject = format!("{}\r\n {}", encoded_words(&format!("{english} / ")), encoded_words(&chinese));
    let is_utf8 = told.iter().any(|one| !one.address.is_ascii());
    let status = if is_utf8 { "message/global-delivery-status" } else { "message/delivery-status" };
    let mut report = format!(
        "From: Mail Delivery System <mailer-daemon@{hostname}>\r\nTo: <{to}>\r\nSubject: {subject}\r\n\
         Date: {date}\r\nMessage-ID: <{id}@{hostname}>\r\nAuto-Submitted: auto-replied\r\nMIME-Version: 1.0\r\n\
         Content-Type: multipart/report; report-type=delivery-status;\r\n\tboundary=\"{boundary}\"\r\n\r\n\
         --{boundary}\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n\r\n",
        to = item.sender.1,
        date = time.rfc5322(),
    );
    for text in &texts {
        let until = until.rfc5322();
        let line = match is_failure {
            true if is_forwarded => say!(text, "report-forward"),
            true => say!(text, "report-failed"),
            false => say!(text, "report-delayed", until = until),
        };
        report.push_str(&format!("{line}\r\n\r\n"));
        for recipient in &told {
            let answer = &recipient.answer;
            let cause = format!("{} {}", answer.status, answer.text);
            let (address, cause) = (recipient.address.as_str(), cause.trim());
            let line = match recipient.outcome {
                RemoteOutcome::Failed => say!(text, "report-failed-one", address = address, cause = cause),
                _ => say!(text, "report-delayed-one", address = address, cause = cause),
            };
            report.push_str(&format!("  {line}\r\n"));
        }
        report.push_str("\r\n");
    }
    report.push_str(&format!(
        "--{boundary}\r\nContent-Type: {status}\r\n\r\nReporting-MTA: dns; {hostname}\r\nArrival-Date: {}\r\n",
        item.accepted.rfc5322()
    ));
    for recipient in &told {
        report.push_str(&fields(item, recipient, time, until));
    }
    let header = letter.map(|letter| letter.get(..header_end(letter)).unwrap_or_default());
    if let Some(header) = header {
        let header = String::from_utf8_lossy(header);
        let header = cut(header.trim_end_matches("\r\n"), MAX_HEADER);
        let kind = if header.is_ascii() { "text/rfc822-headers" } else { "message/global-headers" };
        report.push_str(&format!("\r\n--{boundary}\r\nContent-Type: {kind}\r\n\r\n{header}\r\n"));
    }
    report.push_str(&format!("\r\n--{boundary}--\r\n"));
    report.into_bytes()
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

/// The fields of a recipient (RFC 3464 section 2.3, RFC 6533 section 3).
fn fields(item: &Outbound, recipient: &RemoteRecipient, time: Timestamp, until: Timestamp) -> String {
    let RemoteRecipient { address, outcome, answer } = recipient;
    let kind = if address.is_ascii() { "rfc822" } else { "utf-8" };
    let action = if *outcome == RemoteOutcome::Failed { "failed" } else { "delayed" };
    let mut fields = format!(
        "\r\nFinal-Recipient: {kind}; {address}\r\nAction: {action}\r\nStatus: {}\r\n",
        answer.status
    );
    // A server's words, and none of ours; of what is given up those that it said last.
    let of_server = answer.code.is_some() || answer.status == EXPIRED;
    let said = item.recipients.iter().find(|one| one.address == *address && of_server);
    let said = said.and_then(|one| one.said.as_ref());
    if let Some((host, RemoteAnswer { code: Some(code), status, text })) = said {
        let text: String = text.chars().map(|c| if c.is_ascii() { c } else { '?' }).collect();
        fields.push_str(&format!("Remote-MTA: dns; {host}\r\n"));
        fields.push_str(&format!("Diagnostic-Code: smtp; {code} {status} {text}\r\n"));
    }
    fields.push_str(&format!("Last-Attempt-Date: {}\r\n", time.rfc5322()));
    if *outcome == RemoteOutcome::Deferred {
        fields.push_str(&format!("Will-Retry-Until: {}\r\n", until.rfc5322()));
    }
    fields
}

/// The report as an accepted message: from nobody, for the mailbox of whoever had signed in, and nobody else (architecture,
/// invariant 9).
pub(crate) fn accepted(item: &Outbound, id: EventId, hostname: &str, message: StoredMessage) -> Accepted {
    let (account, address) = item.sender.clone();
    Accepted {
        id,
        time: id.time(),
        tenant: item.tenant,
        source: Source { kind: SourceKind::System, ip: None, helo: String::new(), tls: None },
        auth: AuthResults::default(),
        reverse_path: String::new(),
        recipients: vec![Recipient { account, address, via: Via::Direct }],
        body: Body::Inline(message),
        receipt: format!("Received: by {hostname} (Pennypost)\r\n\tid {id}; {}\r\n", id.time().rfc5322()),
    }
}
