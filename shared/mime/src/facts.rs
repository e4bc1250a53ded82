//! Decoded facts of a message: what lists, policies and searches show and compare. Decoded from the
//! structure, so that their cost is bounded by what the structure keeps.

use pennypost_model::message::{Attachment, Contact, Facts, cut};
use pennypost_model::structure::{Address, Content, Part, RawText, Structure};

use crate::address::{MISSING_HOST, MISSING_MAILBOX};
use crate::charset;
use crate::date::timestamp;
use crate::encoded_word::decode_text_value;
use crate::fields::Fields;
use crate::header::unfold;
use crate::parameter::{find, percent_decode};
use crate::text::preview;
use crate::thread::{first_id, message_id_hash, thread};

/// Contacts that are kept of each of From, To and Cc.
const MAX_CONTACTS: usize = 100;
/// Attachments that are kept.
const MAX_ATTACHMENTS: usize = 100;
/// Characters of a subject.
const MAX_SUBJECT: usize = 1_000;
/// Bytes of a name or an address.
const MAX_NAME: usize = 1_000;
/// Text parts that are looked into for a preview before it stays empty.
const MAX_PREVIEWED: usize = 10;

pub(crate) fn facts(raw: &[u8], structure: &Structure, fields: &Fields<'_>) -> Facts {
    let envelope = &structure.envelope;
    let subject = line(&envelope.subject.as_deref().map(decode_text_value).unwrap_or_default());
    let subject: String = subject.chars().take(MAX_SUBJECT).collect();
    // Escape sequences alone decode to nothing, and an empty id is none.
    let id = fields.message_id.and_then(first_id).map(|id| charset::guess(&id)).filter(|id| !id.is_empty());
    let header = structure.root().map_or(0, |root| root.header.end as usize);
    let thread = thread(fields, &subject, id.as_deref(), raw.get(..header).unwrap_or_default());
    let places = places(structure);
    Facts {
        subject,
        from: contacts(&envelope.from),
        to: contacts(&envelope.to),
        cc: contacts(&envelope.cc),
        sent: fields.date.and_then(timestamp),
        message_id_hash: id.as_deref().map_or(0, message_id_hash),
        message_id: id.map(|id| cut(&id, MAX_NAME).to_owned()),
        thread,
        preview: find_preview(raw, structure, &places),
        attachments: attachments(structure, &places),
        automatic: is_automatic(fields),
    }
}

/// Text on one line: control characters become spaces.
fn line(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect::<String>().trim().to_owned()
}

fn contacts(addresses: &[Address]) -> Vec<Contact> {
    let mailboxes = addresses.iter().filter(|address| address.host.is_some());
    mailboxes.take(MAX_CONTACTS).map(contact).collect()
}

/// The address for people.
#[must_use]
pub fn contact(address: &Address) -> Contact {
    let present = |text: &Option<RawText>, missing: &[u8]| {
        text.as_deref().filter(|text| *text != missing).map(charset::guess).unwrap_or_default()
    };
    let mailbox = present(&address.mailbox, MISSING_MAILBOX);
    let host = present(&address.host, MISSING_HOST);
    let whole = if host.is_empty() { mailbox } else { format!("{}@{host}", quoted_if_needed(mailbox)) };
    let name = address.name.as_deref().map(decode_text_value).unwrap_or_default();
    Contact { name: cut(&line(&name), MAX_NAME).to_owned(), address: cut(&line(&whole), MAX_NAME).to_owned() }
}

/// A local part as it must be written in an address (RFC 5322 section 3.4.1).
fn quoted_if_needed(local: String) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || !c.is_ascii() || "!#$%&'*+-/=?^_`{|}~.".contains(c);
    if local.chars().all(plain) {
        return local;
    }
    format!("\"{}\"", local.replace('\\', "\\\\").replace('"', "\\\""))
}

/// Where a part stands.
#[derive(Clone, Copy, Default)]
struct Place {
    parent: Option<usize>,
    /// Within an embedded message.
    embedded: bool,
}

/// The places of all parts; parents stand before their children.
fn places(structure: &Structure) -> Vec<Place> {
    let mut places = vec![Place::default(); structure.parts.len()];
    for (index, part) in structure.parts.iter().enumerate() {
        let embedded = places[index].embedded;
        match &part.content {
            Content::Leaf => {}
            Content::Multipart(children) => {
                for child in children {
                    places[*child as usize] = Place { parent: Some(index), embedded };
                }
            }
            Content::Message(_, inner) => {
                places[*inner as usize] = Place { parent: Some(index), embedded: true };
            }
        }
    }
    places
}

fn is_attachment(structure: &Structure, place: Place, part: &Part) -> bool {
    let (kind, sub) = (&*part.media_type.0, &*part.media_type.1);
    let parent = place.parent.map(|parent| structure.parts[parent].media_type.1.as_str());
    let disposition = part.disposition.as_ref().map(|(disposition, _)| disposition.as_str());
    match part.content {
        Content::Multipart(_) => return false,
        // The original in a report belongs to the report.
        Content::Message(..) => return place.parent.is_some() && parent != Some("report"),
        Content::Leaf => {}
    }
    if disposition.is_some_and(|disposition| disposition != "inline") {
        return !is_signature(sub);
    }
    // Pictures of an HTML text, told by their id.
    if parent == Some("related") && part.id.is_some() || is_signature(sub) {
        return false;
    }
    if find_name(part).is_some() {
        return true;
    }
    match kind {
        "text" | "multipart" => false,
        "message" => matches!(sub, "rfc822" | "global" | "partial"),
        _ => !matches!(parent, Some("alternative" | "encrypted" | "signed" | "report")),
    }
}

fn is_signature(sub: &str) -> bool {
    matches!(sub, "pkcs7-signature" | "x-pkcs7-signature" | "pgp-signature")
}

fn attachments(structure: &Structure, places: &[Place]) -> Vec<Attachment> {
    structure
        .parts
        .iter()
        .zip(places)
        .filter(|(part, place)| !place.embedded && is_attachment(structure, **place, part))
        .take(MAX_ATTACHMENTS)
        .map(|(part, _)| Attachment {
            name: file_name(part).unwrap_or_default(),
            media_type: cut(&format!("{}/{}", part.media_type.0, part.media_type.1), 255).to_owned(),
            size: part.body.len(),
        })
        .collect()
}

/// The decoded file name of a part, on one line, at most 255 bytes: of Content-Disposition, else of
/// Content-Type (RFC 2183 section 2.3, RFC 2231). It may hold anything else, `../` and such too.
#[must_use]
pub fn file_name(part: &Part) -> Option<String> {
    let (value, extended) = find_name(part)?;
    let name = if extended { decode_extended(value) } else { decode_text_value(value) };
    let name = cut(&line(&name), 255).to_owned();
    (!name.is_empty()).then_some(name)
}

/// The file name as it stands there, and whether it is encoded by RFC 2231.
fn find_name(part: &Part) -> Option<(&[u8], bool)> {
    let disposition = part.disposition.as_ref().map(|(_, parameters)| parameters.as_slice());
    let of = |parameters, extended, plain| {
        find(parameters, extended).map(|value| (value, true)).or(find(parameters, plain).map(|v| (v, false)))
    };
    let name = disposition.and_then(|parameters| of(parameters, "filename*", "filename"));
    name.or_else(|| of(&part.parameters, "name*", "name")).filter(|(value, _)| !value.is_empty())
}

/// `charset'language'percent-encoded` (RFC 2231 section 4).
fn decode_extended(value: &[u8]) -> String {
    let mut pieces = value.splitn(3, |byte| *byte == b'\'');
    match (pieces.next(), pieces.next(), pieces.next()) {
        (Some(charset), Some(_), Some(text)) => charset::decode(charset, &percent_decode(text)),
        _ => charset::guess(&percent_decode(value)),
    }
}

/// Text for people; the others are for programs.
fn is_readable(part: &Part) -> bool {
    part.media_type.0 == "text"
        && !matches!(
            &*part.media_type.1,
            "calendar" | "vcard" | "x-vcard" | "directory" | "css" | "javascript"
        )
}

/// The first text that is not blank; plain text before HTML where they are alternatives.
fn find_preview(raw: &[u8], structure: &Structure, places: &[Place]) -> String {
    let texts = || {
        structure.parts.iter().zip(places).filter(|(part, place)| match &part.content {
            Content::Leaf => is_readable(part) && !is_attachment(structure, **place, part),
            Content::Multipart(children) => children.is_empty(),
            Content::Message(..) => false,
        })
    };
    let plain_alternative = |place: &Place| {
        let parent = place.parent.map(|parent| &structure.parts[parent])?;
        let Content::Multipart(children) = &parent.content else { return None };
        let mut siblings = children.iter().filter_map(|child| structure.parts.get(*child as usize));
        siblings.find(|part| {
            parent.media_type.1 == "alternative"
                && part.media_type.0 == "text"
                && part.media_type.1 == "plain"
        })
    };
    // The text of an embedded message only where there is no own.
    let own = texts().filter(|(_, place)| !place.embedded);
    let embedded = texts().filter(|(_, place)| place.embedded);
    for (part, place) in own.chain(embedded).take(MAX_PREVIEWED) {
        for candidate in plain_alternative(place).into_iter().chain([part]) {
            let found = preview(candidate, raw);
            if !found.is_empty() {
                return found;
            }
        }
    }
    String::new()
}

/// Auto-Submitted (RFC 3834 section 5), Precedence as lists and bulk mailers set it, List-Id (RFC 2919)
/// and other fields of lists (RFC 2369).
fn is_automatic(fields: &Fields<'_>) -> bool {
    let word = |value: &[u8]| {
        let text = unfold(value, 100).to_ascii_lowercase();
        text.split(|byte| matches!(byte, b';' | b' ' | b'(')).next().unwrap_or_default().to_vec()
    };
    fields.auto_submitted.map(word).is_some_and(|kind| !kind.is_empty() && kind != b"no")
        || fields.precedence.map(word).is_some_and(|kind| matches!(&*kind, b"bulk" | b"list" | b"junk"))
        || fields.list_id.is_some()
        || fields.is_of_list
}

#[cfg(test)]
mod tests {
    use crate::parse;

    #[test]
    fn what_a_person_calls_an_attachment() {
        let in_multipart = |kind: &str, part: &str| {
            let raw = format!(
                "Content-Type: multipart/{kind}; boundary=a\r\n\r\n--a\r\n{part}\r\n\r\nx\r\n--a--\r\n"
            );
            let found = parse(raw.as_bytes()).1.attachments;
            found
                .into_iter()
                .map(|found| format!("{} {}", found.media_type, found.name))
                .collect::<Vec<_>>()
                .join(";")
        };
        for (kind, part, found) in [
            ("mixed", "", ""),
            ("mixed", "Content-Type: text/html", ""),
            ("mixed", "Content-Type: application/pdf", "application/pdf "),
            ("mixed", "Content-Disposition: attachment", "text/plain "),
            ("mixed", "Content-Type: text/plain; name=a.txt", "text/plain a.txt"),
            (
                "mixed",
                "Content-Type: image/png; name=a.png\r\nContent-Disposition: inline",
                "image/png a.png",
            ),
            ("mixed", "Content-Type: message/rfc822", "message/rfc822 "),
            ("mixed", "Content-Type: message/rfc822\r\nContent-Transfer-Encoding: base64", "message/rfc822 "),
            ("related", "Content-Type: image/png; name=a.png\r\nContent-ID: <a>", ""),
            ("related", "Content-Type: image/png; name=a.png", "image/png a.png"),
            ("alternative", "Content-Type: text/calendar", ""),
            ("alternative", "Content-Type: application/rtf", ""),
            ("report", "Content-Type: message/delivery-status", ""),
            ("report", "Content-Type: message/rfc822", ""),
            ("signed", "Content-Type: application/pkcs7-signature; name=smime.p7s", ""),
            (
                "mixed",
                "Content-Disposition: attachment; filename=\"=?gbk?B?xOO6ww==?=.txt\"",
                "text/plain 你好.txt",
            ),
            ("mixed", "Content-Disposition: attachment; filename*=gbk''%C4%E3; filename=no", "text/plain 你"),
        ] {
            assert_eq!(in_multipart(kind, part), found, "{kind} {part}");
        }
    }

    #[test]
    fn machines_are_told_from_people() {
        for (header, automatic) in [
            ("", false),
            ("Auto-Submitted: no", false),
            ("Auto-Submitted: NO (really)", false),
            ("Auto-Submitted:", false),
            ("Auto-Submitted: auto-replied; owner=x", true),
            ("Precedence: Bulk", true),
            ("Precedence: list", true),
            ("Precedence: first-class", false),
            ("List-Id: x", true),
            ("LIST-Unsubscribe: <mailto:x@y.example>", true),
            ("Listen: x", false),
        ] {
            assert_eq!(parse(format!("{header}\r\n\r\n").as_bytes()).1.automatic, automatic, "{header}");
        }
    }

    #[test]
    fn previews_prefer_plain_text_and_skip_blanks() {
        let two = |kind: &str, first: &str, second: &str| {
            let raw =
                format!("Content-Type: multipart/{kind}; boundary=a\n\n--a\n{first}\n--a\n{second}\n--a--\n");
            parse(raw.as_bytes()).1.preview
        };
        let html = "Content-Type: text/html\n\n<p>marked</p>";
        let plain = "Content-Type: text/plain\n\nplain";
        let blank = "Content-Type: text/plain\n\n \n\n";
        let calendar = "Content-Type: text/calendar\n\nBEGIN:VCALENDAR";
        for (kind, first, second, preview) in [
            ("alternative", plain, html, "plain"),
            ("alternative", html, plain, "plain"),
            ("mixed", html, plain, "marked"),
            ("alternative", blank, html, "marked"),
            ("mixed", calendar, html, "marked"),
            ("mixed", "Content-Disposition: attachment\n\nfile", plain, "plain"),
            ("mixed", "Content-Type: message/rfc822\n\nA: b\n\ninner", blank, "inner"),
        ] {
            assert_eq!(two(kind, first, second), preview, "{first} {second}");
        }
        assert_eq!(parse(b"Content-Type: multipart/mixed\n\nstill read").1.preview, "still read");
    }
}
