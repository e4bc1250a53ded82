//! What IMAP tells of a message's structure, as it stands on the wire: ENVELOPE, BODY and BODYSTRUCTURE (RFC 3501
//! section 7.4.2), and the strings that they are made of. A function of the structure alone, so that it can be
//! written once and kept.
//!
//! Invariant: whatever the text, what is written is one well-formed token: CR, LF, NUL and quotes never get
//! out of it.

use pennypost_model::structure::{Address, Content, Envelope, Part, RawText, Structure};

/// Longest text that is sent as a quoted string.
const MAX_QUOTED: usize = 1_000;

/// ENVELOPE.
pub fn envelope(out: &mut Vec<u8>, envelope: &Envelope) {
    out.push(b'(');
    nstring(out, envelope.date.as_deref());
    out.push(b' ');
    nstring(out, envelope.subject.as_deref());
    let lists =
        [&envelope.from, &envelope.sender, &envelope.reply_to, &envelope.to, &envelope.cc, &envelope.bcc];
    for list in lists {
        out.push(b' ');
        addresses(out, list);
    }
    out.push(b' ');
    nstring(out, envelope.in_reply_to.as_deref());
    out.push(b' ');
    nstring(out, envelope.message_id.as_deref());
    out.push(b')');
}

fn addresses(out: &mut Vec<u8>, list: &[Address]) {
    if list.is_empty() {
        out.extend_from_slice(b"NIL");
        return;
    }
    out.push(b'(');
    for address in list {
        out.push(b'(');
        for (index, part) in
            [&address.name, &address.route, &address.mailbox, &address.host].into_iter().enumerate()
        {
            if index > 0 {
                out.push(b' ');
            }
            nstring(out, part.as_deref());
        }
        out.push(b')');
    }
    out.push(b')');
}

/// BODYSTRUCTURE if `extended`, else BODY.
pub fn body(out: &mut Vec<u8>, structure: &Structure, extended: bool) {
    match structure.root() {
        Some(_) => part(out, structure, 0, extended),
        None => made_up_part(out, 0, 0, extended),
    }
}

fn part(out: &mut Vec<u8>, structure: &Structure, index: usize, extended: bool) {
    let Some(part) = structure.parts.get(index) else { return made_up_part(out, 0, 0, extended) };
    out.push(b'(');
    match &part.content {
        Content::Multipart(children) => multipart(out, structure, index, children, extended),
        Content::Message(inner, root) => {
            leaf(out, part, &part.media_type);
            out.push(b' ');
            envelope(out, inner);
            out.push(b' ');
            child(out, structure, index, *root, extended);
            out.extend_from_slice(format!(" {}", part.lines).as_bytes());
        }
        Content::Leaf => {
            // The grammar wants an envelope for message/rfc822, and this one was not read: as base64, or
            // nested too deeply.
            let is_unread_message =
                part.media_type.0 == "message" && matches!(&*part.media_type.1, "rfc822" | "global");
            if is_unread_message {
                leaf(out, part, &("application".to_owned(), "octet-stream".to_owned()));
            } else {
                leaf(out, part, &part.media_type);
            }
            if part.media_type.0 == "text" {
                out.extend_from_slice(format!(" {}", part.lines).as_bytes());
            }
        }
    }
    if extended {
        if !matches!(part.content, Content::Multipart(_)) {
            out.push(b' ');
            nstring(out, part.md5.as_deref());
        }
        extension(out, part);
    }
    out.push(b')');
}

/// A part below another one stands behind it: no stored structure can make this run in circles.
fn child(out: &mut Vec<u8>, structure: &Structure, parent: usize, index: u32, extended: bool) {
    let index = index as usize;
    if index > parent { part(out, structure, index, extended) } else { made_up_part(out, 0, 0, extended) }
}

fn multipart(out: &mut Vec<u8>, structure: &Structure, index: usize, children: &[u32], extended: bool) {
    let part = structure.parts.get(index);
    if children.is_empty() {
        // The grammar wants one part at least: all that is there, which is what section 1 gives, too.
        let (octets, lines) = part.map_or((0, 0), |part| (part.body.len(), part.lines));
        made_up_part(out, octets, lines, extended);
    }
    for number in children {
        child(out, structure, index, *number, extended);
    }
    out.push(b' ');
    string(out, part.map_or(b"mixed", |part| part.media_type.1.as_bytes()));
    if extended {
        out.push(b' ');
        parameters(out, part.map_or(&[], |part| &part.parameters), None);
    }
}

fn leaf(out: &mut Vec<u8>, part: &Part, media_type: &(String, String)) {
    string(out, media_type.0.as_bytes());
    out.push(b' ');
    string(out, media_type.1.as_bytes());
    out.push(b' ');
    // Text has a charset even where it does not say so (RFC 2046 section 4.1.2); clients are used to being told.
    let is_silent = part.media_type.0 == "text" && part.parameters.iter().all(|(name, _)| name != "charset");
    parameters(out, &part.parameters, is_silent.then_some(("charset", "us-ascii")));
    out.push(b' ');
    nstring(out, part.id.as_deref());
    out.push(b' ');
    nstring(out, part.description.as_deref());
    out.push(b' ');
    string(out, part.encoding.as_bytes());
    out.extend_from_slice(format!(" {}", part.body.len()).as_bytes());
}

/// Disposition, language and location, which end the extension data of every part.
fn extension(out: &mut Vec<u8>, part: &Part) {
    out.push(b' ');
    match &part.disposition {
        Some((disposition, values)) => {
            out.push(b'(');
            string(out, disposition.as_bytes());
            out.push(b' ');
            parameters(out, values, None);
            out.push(b')');
        }
        None => out.extend_from_slice(b"NIL"),
    }
    out.push(b' ');
    match part.language.as_slice() {
        [] => out.extend_from_slice(b"NIL"),
        [one] => string(out, one),
        several => {
            out.push(b'(');
            for (index, language) in several.iter().enumerate() {
                if index > 0 {
                    out.push(b' ');
                }
                string(out, language);
            }
            out.push(b')');
        }
    }
    out.push(b' ');
    nstring(out, part.location.as_deref());
}

fn parameters(out: &mut Vec<u8>, parameters: &[(String, RawText)], default: Option<(&str, &str)>) {
    if parameters.is_empty() && default.is_none() {
        out.extend_from_slice(b"NIL");
        return;
    }
    out.push(b'(');
    let given = parameters.iter().map(|(name, value)| (name.as_str(), value.as_slice()));
    let default = default.map(|(name, value)| (name, value.as_bytes()));
    for (index, (name, value)) in given.chain(default).enumerate() {
        if index > 0 {
            out.push(b' ');
        }
        string(out, name.as_bytes());
        out.push(b' ');
        string(out, value);
    }
    out.push(b')');
}

/// A part of plain text where the message has none.
fn made_up_part(out: &mut Vec<u8>, octets: u64, lines: u32, extended: bool) {
    let end = if extended { " NIL NIL NIL NIL)" } else { ")" };
    let head = "(\"text\" \"plain\" (\"charset\" \"us-ascii\") NIL NIL \"7bit\"";
    out.extend_from_slice(format!("{head} {octets} {lines}{end}").as_bytes());
}

/// `string`: quoted if it can be, else a literal. NUL, which neither may hold, is sent as a space.
pub fn string(out: &mut Vec<u8>, text: &[u8]) {
    let can_be_quoted = text.len() <= MAX_QUOTED && text.iter().all(|byte| matches!(byte, b' '..=b'~'));
    if !can_be_quoted {
        out.extend_from_slice(format!("{{{}}}\r\n", text.len()).as_bytes());
        out.extend(text.iter().map(|byte| if *byte == 0 { b' ' } else { *byte }));
        return;
    }
    out.push(b'"');
    for byte in text {
        if matches!(byte, b'"' | b'\\') {
            out.push(b'\\');
        }
        out.push(*byte);
    }
    out.push(b'"');
}

/// `nstring`.
pub fn nstring(out: &mut Vec<u8>, text: Option<&[u8]>) {
    match text {
        Some(text) => string(out, text),
        None => out.extend_from_slice(b"NIL"),
    }
}
