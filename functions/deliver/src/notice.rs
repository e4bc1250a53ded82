//! What people are told of letters that a virus keeps from them: a member who has sent one, by a report (RFC 3464), since it goes to nobody;
//! recipients, by a few words. In English and in Chinese: nobody knows which language a mailbox reads.
//!
//! Told is what came of it, and not what was decided: who has got the letter by an earlier try is in no report, and not told that it is kept from him.
//! All are events of the system under an id that is made of the letter's: however often that comes, they come once. Their
//! text names no address but the recipient's own and the sender's, and of the sender's words only the subject. Where the organisation says so,
//! recipients get the rest of the letter with that: attached as a message, without the parts that hold the virus.

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use pennypost_mailstore::StoreError;
use pennypost_mailstore::compress::{compress, decompress};
use pennypost_mime::header_end;
use pennypost_mime::without::{Divisible, MAX_LETTER};
use pennypost_model::EventId;
use pennypost_model::event::{
    Accepted, AuthResults, Body, Decided, Decision, Event, Recipient, Source, SourceKind, Target, Via,
};
use pennypost_model::message::{StoredMessage, cut};
use pennypost_model::scan::{HeldFor, Withheld};
use pennypost_policy::scanning::{TOLD_REASON, VIRUS_REASON, infected_parts};
use pennypost_reports::without_infected;
use pennypost_text::{Lang, Text, plain, say};

use crate::tip::Found;

/// Characters of a line of base64 (RFC 2045 section 6.8).
const LINE: usize = 76;
/// Bytes of a text in one encoded-word.
const WORD: usize = 45;
/// Bytes of a line of a message that is not binary, without its end (RFC 5322 section 2.1.1).
const MAX_LINE: usize = 998;
/// Recipients that a report names.
const NAMED: usize = 100;

/// What is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Told {
    /// A letter lies in quarantine.
    Kept,
    /// It was deleted.
    Deleted,
    /// It goes to nobody. Of those that members send only this is told.
    Refused,
}

/// The id of what is told of a letter: as old as it, and nobody else's.
const fn id_of(letter: EventId, told: Told) -> EventId {
    let mut bytes = letter.to_bytes();
    bytes[8] ^= match told {
        Told::Kept | Told::Refused => 0x40,
        Told::Deleted => 0x20,
    };
    EventId::from_bytes(bytes)
}

/// What is to be told of a letter, of which these have copies; with what may be given of it, if its bytes are here.
pub(crate) fn of(decided: &Decided, placed: &Found, message: Option<&StoredMessage>) -> Vec<Event> {
    let accepted = &decided.accepted;
    let mut told = Vec::new();
    if let Some(submission) = accepted.source.kind.submission() {
        let refused =
            without(decided, placed, |one| matches!(one.target, Target::Withheld(Withheld::Refused(_))));
        let refused: Vec<&str> =
            refused.iter().filter(|one| one.via != Via::Sent).map(|one| one.address.as_str()).collect();
        // Members elsewhere of groups are named by the addresses of these.
        let groups = accepted.source.kind.groups().iter().map(|group| group.address.as_str());
        let refused: Vec<&str> = match decided.is_refused() {
            true if refused.is_empty() => groups.collect(),
            _ => refused,
        };
        if !refused.is_empty() {
            let (account, address) = (submission.submitter.account, submission.submitter.address.clone());
            let report = report(decided, &address, &refused);
            let recipient = Recipient { account, address, via: Via::Direct };
            told.push(letter(decided, Told::Refused, vec![recipient], report.as_bytes()));
        }
        return posted(decided, told);
    }
    let is_told = |one: &Decision, held: Withheld| {
        one.target == Target::Withheld(held) && one.reasons.iter().any(|reason| reason == TOLD_REASON)
    };
    for (what, held) in [
        (Told::Kept, Withheld::Quarantined(HeldFor::Virus)),
        (Told::Deleted, Withheld::Deleted(HeldFor::Virus)),
    ] {
        let recipients = without(decided, placed, |one| is_told(one, held));
        let Some(first) = recipients.first() else { continue };
        let rest = message.and_then(|message| rest(decided, message, |one| is_told(one, held)));
        let words = words(decided, &first.address, recipients.len(), (what, rest.as_deref()));
        told.push(letter(decided, what, recipients.into_iter().cloned().collect(), &words));
    }
    posted(decided, told)
}

/// Those for whom that was decided and who have no copy.
fn without<'a>(
    decided: &'a Decided,
    placed: &Found,
    is_meant: impl Fn(&Decision) -> bool,
) -> Vec<&'a Recipient> {
    let has_copy = |recipient: &Recipient| {
        let copy = (recipient.account, decided.accepted.copy_id(recipient));
        recipient.via != Via::Outside && placed.contains_key(&copy)
    };
    let meant = decided.each().filter(|(recipient, decision)| is_meant(decision) && !has_copy(recipient));
    meant.map(|(recipient, _)| recipient).collect()
}

fn posted(decided: &Decided, told: Vec<Result<Accepted, StoreError>>) -> Vec<Event> {
    let message = decided.accepted.id;
    told.into_iter()
        .filter_map(|accepted| match accepted {
            Ok(accepted) => Some(Event::Accepted(Box::new(accepted))),
            Err(error) => {
                tracing::error!(%message, %error, "nobody is told of a virus");
                None
            }
        })
        .collect()
}

/// The letter without the parts that hold the virus, if everybody who is told is to get it without the same.
fn rest(decided: &Decided, message: &StoredMessage, is_told: impl Fn(&Decision) -> bool) -> Option<Vec<u8>> {
    let mut told = decided.decisions.iter().filter(|one| is_told(one));
    let infected = infected_parts(&told.next()?.reasons)?;
    let is_same = told.all(|one| infected_parts(&one.reasons).as_ref() == Some(&infected));
    if !is_same || message.size > MAX_LETTER as u64 {
        return None;
    }
    let raw = match decompress(message) {
        Ok(raw) => raw,
        Err(error) => {
            tracing::error!(message = %decided.accepted.id, %error, "the rest of a letter with a virus is not given");
            return None;
        }
    };
    let divisible = Divisible::of(&raw)?;
    without_infected(&divisible, found(decided)?, &infected)
}

fn letter(
    decided: &Decided,
    told: Told,
    recipients: Vec<Recipient>,
    raw: &[u8],
) -> Result<Accepted, StoreError> {
    let id = id_of(decided.accepted.id, told);
    Ok(Accepted {
        id,
        time: id.time(),
        tenant: decided.accepted.tenant,
        source: Source { kind: SourceKind::System, ip: None, helo: String::new(), tls: None },
        auth: AuthResults::default(),
        reverse_path: String::new(),
        recipients,
        body: Body::Inline(compress(raw)?),
        receipt: format!("Received: by the post office id {id};\r\n\t{}\r\n", id.time().rfc5322()),
    })
}

/// The virus, as it was found.
fn found(decided: &Decided) -> Option<&str> {
    let mut reasons = decided.decisions.iter().flat_map(|decision| &decision.reasons);
    reasons.find_map(|reason| reason.strip_prefix(VIRUS_REASON))
}

/// The same, as it is told.
fn virus(decided: &Decided) -> String {
    plain(found(decided).unwrap_or("?"), 60)
}

fn texts() -> [Text; 2] {
    [Text::new(Lang::ZhCn), Text::new(Lang::En)]
}

fn both(say: impl Fn(&Text) -> String, between: &str) -> String {
    texts().each_ref().map(say).join(between)
}

/// A text as encoded-words of at most 75 characters, one on each line (RFC 2047 section 2).
fn encoded_words(text: &str) -> String {
    let (mut words, mut rest) = (Vec::new(), text);
    while !rest.is_empty() {
        let word = cut(rest, WORD);
        words.push(format!("=?utf-8?B?{}?=", BASE64_STANDARD.encode(word)));
        rest = rest.get(word.len()..).unwrap_or_default();
    }
    words.join("\r\n ")
}

fn base64_lines(text: &str) -> String {
    let text = BASE64_STANDARD.encode(text.replace('\n', "\r\n"));
    let lines: Vec<&str> =
        (0..text.len()).step_by(LINE).filter_map(|at| text.get(at..text.len().min(at + LINE))).collect();
    lines.join("\r\n")
}

fn domain_of(address: &str) -> &str {
    address.rsplit('@').next().unwrap_or_default()
}

fn head(id: EventId, domain: &str, to: &str, subject: &str) -> String {
    format!(
        "From: postmaster@{domain}\r\nTo: {to}\r\nSubject: {}\r\nDate: {}\r\nMessage-ID: <{id}@{domain}>\r\n\
         Auto-Submitted: auto-replied\r\nMIME-Version: 1.0\r\n",
        encoded_words(subject),
        id.time().rfc5322(),
    )
}

/// The report to the member who has sent it.
fn report(decided: &Decided, sender: &str, refused: &[&str]) -> String {
    let id = id_of(decided.accepted.id, Told::Refused);
    let (domain, boundary) = (domain_of(sender), format!("=_{id}"));
    let subject = both(|text| say!(text, "virus-report-subject"), " / ");
    let (about, virus) = (plain(&decided.sidecar.facts.subject, 200), virus(decided));
    let told = both(
        |text| {
            let (about, virus) = (about.as_str(), virus.as_str());
            say!(text, "virus-report", subject = about, virus = virus)
        },
        "\n\n",
    );
    let mut report = head(id, domain, &format!("<{sender}>"), &subject);
    report.push_str(&format!(
        "Content-Type: multipart/report; report-type=delivery-status;\r\n\tboundary=\"{boundary}\"\r\n\r\n\
         --{boundary}\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: base64\r\n\r\n{}\r\n",
        base64_lines(&told)
    ));
    let recipients = &refused[..refused.len().min(NAMED)];
    let is_ascii = recipients.iter().all(|address| address.is_ascii());
    let kind = if is_ascii { "message/delivery-status" } else { "message/global-delivery-status" };
    report.push_str(&format!(
        "\r\n--{boundary}\r\nContent-Type: {kind}\r\n\r\nReporting-MTA: dns; {domain}\r\nArrival-Date: {}\r\n",
        decided.accepted.time.rfc5322()
    ));
    for address in recipients {
        let kind = if address.is_ascii() { "rfc822" } else { "utf-8" };
        // Message refused for what is in it: other or undefined security status (RFC 3463 section 3.8).
        report.push_str(&format!(
            "\r\nFinal-Recipient: {kind}; {address}\r\nAction: failed\r\nStatus: 5.7.0\r\n"
        ));
    }
    report.push_str(&format!("\r\n--{boundary}--\r\n"));
    report
}

/// A few words to those who don't get it, with the rest of it if they get that.
fn words(
    decided: &Decided,
    address: &str,
    recipients: usize,
    (what, rest): (Told, Option<&[u8]>),
) -> Vec<u8> {
    let id = id_of(decided.accepted.id, what);
    let rest = rest.and_then(|rest| attached(id, rest));
    let facts = &decided.sidecar.facts;
    let author = facts.from.first().map(|from| from.address.as_str()).filter(|author| !author.is_empty());
    let from = plain(author.unwrap_or(&decided.accepted.reverse_path), 320);
    let (about, virus) = (plain(&facts.subject, 200), virus(decided));
    let subject = both(|text| say!(text, "virus-notice-subject"), " / ");
    let told = both(
        |text| {
            let (from, about, virus) = (from.as_str(), about.as_str(), virus.as_str());
            let told = match what == Told::Deleted {
                true => say!(text, "virus-notice-deleted", from = from, subject = about, virus = virus),
                false => say!(text, "virus-notice-kept", from = from, subject = about, virus = virus),
            };
            match &rest {
                Some(_) => format!("{told}\n{}", say!(text, "virus-notice-rest")),
                None => told,
            }
        },
        "\n\n",
    );
    // Who else was to get it is nobody's business.
    let to = if recipients == 1 { format!("<{address}>") } else { "undisclosed-recipients:;".to_owned() };
    let head = head(id, domain_of(address), &to, &subject);
    let words = format!(
        "Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: base64\r\n\r\n{}\r\n",
        base64_lines(&told)
    );
    let Some(rest) = rest else { return format!("{head}{words}").into_bytes() };
    let boundary = boundary_of(id);
    let begin = format!(
        "{head}Content-Type: multipart/mixed; boundary=\"{boundary}\"\r\n\r\n--{boundary}\r\n{words}"
    );
    [begin.as_bytes(), &rest].concat()
}

fn boundary_of(id: EventId) -> String {
    format!("=_{id}")
}

/// That letter as the last part of the one with this id, up to its end; `None` if one of its lines would end the part.
fn attached(id: EventId, letter: &[u8]) -> Option<Vec<u8>> {
    let boundary = format!("--{}", boundary_of(id));
    if letter.split(|byte| *byte == b'\n').any(|line| line.starts_with(boundary.as_bytes())) {
        return None;
    }
    let header = letter.get(..header_end(letter)).unwrap_or_default();
    // RFC 6532 section 3.7.
    let kind = if header.is_ascii() || std::str::from_utf8(header).is_err() { "rfc822" } else { "global" };
    let is_binary = letter.contains(&0)
        || letter.split(|byte| *byte == b'\n').any(|line| line.trim_ascii_end().len() > MAX_LINE);
    // RFC 2046 section 5.2.1: no other encoding is permitted.
    let encoding = match is_binary {
        true => "binary",
        false if letter.is_ascii() => "7bit",
        false => "8bit",
    };
    let head = format!(
        "\r\n{boundary}\r\nContent-Type: message/{kind}\r\nContent-Disposition: attachment\r\n\
         Content-Transfer-Encoding: {encoding}\r\n\r\n"
    );
    Some([head.as_bytes(), letter, format!("\r\n{boundary}--\r\n").as_bytes()].concat())
}

#[cfg(test)]
mod tests {
    use pennypost_model::Timestamp;

    use super::*;

    #[test]
    fn a_letter_is_attached_as_it_is_and_as_what_it_is() {
        let id = EventId::from_parts(Timestamp(5), 9);
        let long = "x".repeat(MAX_LINE + 1);
        for (letter, head) in [
            (
                "Subject: x\r\n\r\nhello",
                "message/rfc822\r\nContent-Disposition: attachment\r\nContent-Transfer-Encoding: 7bit",
            ),
            (
                "Subject: x\r\n\r\n您好",
                "message/rfc822\r\nContent-Disposition: attachment\r\nContent-Transfer-Encoding: 8bit",
            ),
            (
                "Subject: 您好\r\n\r\nx",
                "message/global\r\nContent-Disposition: attachment\r\nContent-Transfer-Encoding: 8bit",
            ),
            (
                "Subject: x\r\n\r\na\0",
                "message/rfc822\r\nContent-Disposition: attachment\r\nContent-Transfer-Encoding: binary",
            ),
            (
                &*long,
                "message/rfc822\r\nContent-Disposition: attachment\r\nContent-Transfer-Encoding: binary",
            ),
        ] {
            let boundary = boundary_of(id);
            let expected =
                format!("\r\n--{boundary}\r\nContent-Type: {head}\r\n\r\n{letter}\r\n--{boundary}--\r\n");
            assert_eq!(attached(id, letter.as_bytes()), Some(expected.into_bytes()));
        }
        let ends = format!("Subject: x\r\n\r\n--{}--\r\n", boundary_of(id));
        assert_eq!(attached(id, ends.as_bytes()), None);
    }
}
