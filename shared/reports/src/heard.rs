//! What other servers' reports tell programs (RFC 3464). Without I/O.

use pennypost_mime::{decode_part, header_end, header_fields, parse};
use pennypost_model::EventId;
use pennypost_model::message::cut;
use pennypost_model::structure::{Content, Part, Span, Structure};
use pennypost_model::trace::RemoteAnswer;

/// Bytes of what a report tells programs that are read.
pub(crate) const MAX_STATUS: usize = 256 * 1024;
/// Bytes of the header that it gives back that are read.
const MAX_HEADER: usize = 64 * 1024;
/// Recipients of whom one report tells.
const MAX_RECIPIENTS: usize = 200;
/// Received fields of the letter that are looked through.
const MAX_RECEIVED: usize = 20;
/// Ids that they may name.
const MAX_IDS: usize = 2;
/// Bytes of an address: 64 of the local part, 255 of the domain. What is longer is none.
pub(crate) const MAX_ADDRESS: usize = 320;
/// Bytes of a text, and of a name.
const MAX_SAID: usize = 500;

/// What a report says.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Heard {
    /// What the sender had called the envelope (ENVID).
    pub envelope_id: Option<String>,
    /// Who reports, as it calls itself.
    pub reporter: String,
    /// The Message-ID of the letter, if its header is there.
    pub message_id: Option<String>,
    /// What servers on its way have called it that may be ids of ours, if its header is there.
    pub ids: Vec<EventId>,
    /// Recipients.
    pub recipients: Vec<HeardOf>,
}

/// What a report says of a recipient.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct HeardOf {
    /// Its addresses: the one that the sender had named stands first.
    pub addresses: Vec<String>,
    /// What was done, in small letters: `failed`, `delayed`, `delivered`, `relayed`, `expanded`.
    pub action: String,
    /// Its status, and what another server has said to the one that reports.
    pub answer: RemoteAnswer,
}

/// Is the message a report of that kind?
#[must_use]
pub fn is_report(structure: &Structure) -> bool {
    own_parts(structure).is_some_and(|mut parts| parts.any(is_status))
}

/// What a report says; `None`: it is none in that form. Of a message that is not there as a whole what is there is read.
#[must_use]
pub fn heard(raw: &[u8], structure: &Structure) -> Option<Heard> {
    let status = own_parts(structure)?.find(|part| is_status(part))?;
    let body = decode_part(status, slice(raw, status.body));
    let text = String::from_utf8_lossy(body.get(..MAX_STATUS).unwrap_or(&body)).into_owned();
    let mut heard = Heard::default();
    for fields in groups(&text) {
        if fields.iter().any(|(name, _)| name == "action") {
            if heard.recipients.len() < MAX_RECIPIENTS {
                heard.recipients.push(recipient(&fields));
            }
            continue;
        }
        let of = |wanted: &str| value(&fields, wanted);
        heard.envelope_id = heard.envelope_id.or_else(|| of("original-envelope-id").map(str::to_owned));
        if let (true, Some(reporter)) = (heard.reporter.is_empty(), of("reporting-mta")) {
            heard.reporter = plain(behind_type(reporter));
        }
    }
    if let Some(Returned { message_id, ids, .. }) = returned(raw, structure) {
        (heard.message_id, heard.ids) = (message_id, ids);
    }
    Some(heard)
}

/// What a report gives back of the letter that it is about.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Returned {
    /// Its Message-ID.
    pub message_id: Option<String>,
    /// Its first author.
    pub author: Option<String>,
    /// What servers on its way have called it that may be ids of ours.
    pub ids: Vec<EventId>,
}

/// What a report of any kind (RFC 6522) gives back; `None`: it is no report, or gives no header back.
#[must_use]
pub fn returned(raw: &[u8], structure: &Structure) -> Option<Returned> {
    let header = returned_header(raw, structure)?;
    let (_, facts) = parse(&header);
    let author = facts.from.into_iter().next().map(|contact| contact.address);
    Some(Returned { message_id: facts.message_id, author, ids: ids(&header) })
}

/// The report's own parts (RFC 6522 section 3), and not those of what it gives back.
pub(crate) fn own_parts(structure: &Structure) -> Option<impl Iterator<Item = &Part>> {
    let root = structure.root()?;
    let Content::Multipart(parts) = &root.content else { return None };
    let parts = parts.iter().filter_map(|index| structure.parts.get(*index as usize));
    is(root, "multipart", "report").then_some(parts)
}

pub(crate) fn is(part: &Part, kind: &str, subtype: &str) -> bool {
    part.media_type.0 == kind && part.media_type.1 == subtype
}

fn is_status(part: &Part) -> bool {
    is(part, "message", "delivery-status") || is(part, "message", "global-delivery-status")
}

pub(crate) fn slice(raw: &[u8], span: Span) -> &[u8] {
    let place = |at: u64| usize::try_from(at).unwrap_or(usize::MAX).min(raw.len());
    raw.get(place(span.start)..place(span.end)).unwrap_or_default()
}

/// Groups of fields with blank lines between them (RFC 3464 section 2.1): names in small letters, values unfolded.
pub(crate) fn groups(text: &str) -> Vec<Vec<(String, String)>> {
    let mut groups: Vec<Vec<(String, String)>> = vec![Vec::new()];
    for line in text.lines() {
        let Some(group) = groups.last_mut() else { break };
        if line.trim().is_empty() {
            if !group.is_empty() {
                groups.push(Vec::new());
            }
        } else if line.starts_with([' ', '\t']) {
            if let Some((_, value)) = group.last_mut() {
                value.push(' ');
                value.push_str(line.trim());
            }
        } else if let Some((name, value)) = line.split_once(':') {
            group.push((name.trim().to_ascii_lowercase(), value.trim().to_owned()));
        }
    }
    groups
}

pub(crate) fn value<'a>(fields: &'a [(String, String)], wanted: &str) -> Option<&'a str> {
    fields.iter().find(|(name, _)| name == wanted).map(|(_, value)| value.as_str())
}

/// What stands behind the type: `rfc822; a@b.example`.
pub(crate) fn behind_type(value: &str) -> &str {
    value.split_once(';').map_or(value, |(_, value)| value).trim()
}

pub(crate) fn plain(said: &str) -> String {
    let said: String = said.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    cut(said.trim(), MAX_SAID).to_owned()
}

fn recipient(fields: &[(String, String)]) -> HeardOf {
    let addresses =
        ["original-recipient", "final-recipient"].into_iter().filter_map(|name| value(fields, name));
    let addresses = addresses.map(|said| behind_type(said).trim_matches(['<', '>']));
    let addresses = addresses.filter(|address| address.len() <= MAX_ADDRESS).map(str::to_owned);
    let first = |name: &str| {
        // A comment may follow.
        let word = value(fields, name).and_then(|value| value.split_ascii_whitespace().next());
        word.unwrap_or_default().to_ascii_lowercase()
    };
    let said = value(fields, "diagnostic-code").map(|said| plain(behind_type(said))).unwrap_or_default();
    HeardOf {
        addresses: addresses.collect(),
        action: first("action"),
        answer: answer(&said, cut(&first("status"), 20)),
    }
}

/// A reply of SMTP, as it is quoted: `550 5.1.1 text`, or `550-5.1.1 text 550 5.1.1 text`.
fn answer(said: &str, status: &str) -> RemoteAnswer {
    let digits = said.get(..3).filter(|code| code.bytes().all(|byte| byte.is_ascii_digit()));
    let code = digits.and_then(|code| code.parse().ok()).filter(|code| (200..600).contains(code));
    let text = match code {
        Some(_) => said.get(3..).unwrap_or_default().trim_start_matches(['-', ' ']),
        None => said,
    };
    let text = text.strip_prefix(status).filter(|_| !status.is_empty()).unwrap_or(text).trim();
    RemoteAnswer { code, status: status.to_owned(), text: text.to_owned() }
}

/// The header of the letter that the report is about, if it gives that back.
fn returned_header(raw: &[u8], structure: &Structure) -> Option<Vec<u8>> {
    let header = own_parts(structure)?.find_map(|part| match &part.content {
        Content::Message(_, root) => {
            let inner = structure.parts.get(*root as usize)?;
            Some(slice(raw, inner.header).to_vec())
        }
        _ if is(part, "text", "rfc822-headers") || is(part, "message", "global-headers") => {
            Some(decode_part(part, slice(raw, part.body)).into_owned())
        }
        _ => None,
    })?;
    let end = header_end(&header).min(MAX_HEADER);
    Some(header.get(..end).unwrap_or_default().to_vec())
}

/// What stands behind `id` in Received fields (RFC 5321 section 4.4), if it may be an id of ours.
fn ids(header: &[u8]) -> Vec<EventId> {
    let received = header_fields(header).filter(|(name, ..)| name.eq_ignore_ascii_case(b"received"));
    let mut ids: Vec<EventId> = Vec::new();
    for (_, value, _) in received.take(MAX_RECEIVED) {
        let value = String::from_utf8_lossy(value);
        let mut words = value.split_ascii_whitespace();
        while let Some(word) = words.next() {
            if !word.eq_ignore_ascii_case("id") {
                continue;
            }
            let id: Option<EventId> = words.next().and_then(|id| id.trim_end_matches(';').parse().ok());
            ids.extend(id.filter(|id| !ids.contains(id)));
            break;
        }
    }
    // Ours is among the oldest: members hand in what nobody has had before.
    ids.reverse();
    ids.truncate(MAX_IDS);
    ids
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: &str = "01KAQ8ZJ00000000000000000A";

    fn read(text: &str) -> Option<Heard> {
        let raw = text.replace('\n', "\r\n").into_bytes();
        let (structure, _) = parse(&raw);
        assert_eq!(is_report(&structure), heard(&raw, &structure).is_some());
        heard(&raw, &structure)
    }

    fn report(returned: &str) -> String {
        format!(
            "From: MAILER-DAEMON@mx.far.example\nContent-Type: multipart/report; report-type=delivery-status; boundary=b\n\n\
             --b\n\nSorry.\n--b\nContent-Type: message/delivery-status\n\n\
             Original-Envelope-Id: {ID}.abc\nReporting-MTA: dns; mx.far.example\n\n\
             Original-Recipient: rfc822;You@far.example\nFinal-Recipient: rfc822; other@inner.example\nAction: failed (sorry)\n\
             Status: 5.1.1 (gone)\nRemote-MTA: dns; inner.example\nDiagnostic-Code: smtp; 550 5.1.1 <other@inner.example>:\n    no such user\n\n\
             Final-Recipient: rfc822;b@far.example\nAction: Delayed\nStatus: 4.4.1\n\n\
             Final-Recipient: rfc822;c@far.example\nAction: failed\nStatus: 5.0.0\nDiagnostic-Code: X-Postfix; mail for c loops\n\
             --b\n{returned}\n--b--\n"
        )
    }

    #[test]
    fn what_a_report_says_is_read() {
        let header = format!(
            "Received: from mx.acme.example (x [192.0.2.1])\n by mx.far.example (Postfix) with ESMTPS id 4Xy12\n for <you@far.example>\n\
             Received: from laptop ([192.0.2.9])\n\tby mx.acme.example with ESMTPSA id {ID}\n\tfor <you@far.example>;\n\tMon\n\
             From: ann@acme.example\nMessage-ID: <1@acme.example>\nSubject: hello\n"
        );
        for returned in [
            format!("Content-Type: message/rfc822\n\n{header}\nhello"),
            format!("Content-Type: text/rfc822-headers\n\n{header}"),
        ] {
            let heard = read(&report(&returned)).expect("a report");
            assert_eq!(heard.envelope_id, Some(format!("{ID}.abc")));
            assert_eq!(
                (heard.reporter.as_str(), heard.message_id.as_deref()),
                ("mx.far.example", Some("1@acme.example"))
            );
            assert_eq!(heard.ids, [ID.parse().expect("an id")]);
            let [first, second, third] = &*heard.recipients else { panic!("{heard:?}") };
            assert_eq!(first.addresses, ["You@far.example", "other@inner.example"]);
            let answer = RemoteAnswer {
                code: Some(550),
                status: "5.1.1".to_owned(),
                text: "<other@inner.example>: no such user".to_owned(),
            };
            assert_eq!((first.action.as_str(), &first.answer), ("failed", &answer));
            assert_eq!((second.action.as_str(), second.answer.status.as_str()), ("delayed", "4.4.1"));
            assert_eq!((third.answer.code, third.answer.text.as_str()), (None, "mail for c loops"));
        }
        let alone = read(&report("Content-Type: text/plain\n\nnothing")).expect("a report");
        assert_eq!((alone.message_id, alone.ids.len(), alone.recipients.len()), (None, 0, 3));
    }

    #[test]
    fn what_is_too_long_is_no_address() {
        let long = format!("rfc822; {}@far.example\n", "x".repeat(MAX_ADDRESS));
        let text = report("Content-Type: text/plain\n\nx").replace("rfc822; other@inner.example\n", &long);
        let heard = read(&text).expect("a report");
        assert_eq!(heard.recipients[0].addresses, ["You@far.example"]);
    }

    #[test]
    fn other_messages_are_none() {
        let text = report("Content-Type: text/plain\n\nx");
        for other in [
            text.replace("multipart/report", "multipart/mixed"),
            text.replace("message/delivery-status", "text/plain"),
            "Subject: x\n\nAction: failed\n".to_owned(),
            String::new(),
        ] {
            assert_eq!(read(&other), None, "{other}");
        }
    }

    proptest::proptest! {
        #[test]
        fn whatever_it_says_it_is_read(status in "(?s).{0,300}", fields in "(Received|Message-ID|id|:|;| |\n|\r|[ -~]){0,80}") {
            for kind in ["message/rfc822", "text/rfc822-headers", "message/global-headers"] {
                let returned = format!("Content-Type: {kind}\n\n{fields}");
                let text = report(&returned).replace("Status: 5.1.1 (gone)", &status);
                let raw = text.into_bytes();
                let (structure, _) = parse(&raw);
                let Some(heard) = heard(&raw, &structure) else { continue };
                assert!(heard.ids.len() <= MAX_IDS && heard.recipients.len() <= MAX_RECIPIENTS);
                assert!(heard.recipients.iter().all(|one| one.answer.text.len() <= MAX_SAID));
                let mut addresses = heard.recipients.iter().flat_map(|one| &one.addresses);
                assert!(addresses.all(|address| address.len() <= MAX_ADDRESS));
            }
        }
    }

    #[test]
    fn what_is_cut_off_is_read_as_far_as_it_is_there() {
        let raw = report("Content-Type: text/plain\n\nx").replace('\n', "\r\n").into_bytes();
        let (structure, _) = parse(&raw);
        for end in 0..raw.len() {
            assert!(heard(&raw[..end], &structure).is_some());
        }
    }
}
