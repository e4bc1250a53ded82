//! Text of parts: decoded from transfer encoding, charset and HTML; the searchable text and the preview.

use pennypost_model::message::cut;
use pennypost_model::structure::{Address, Content, Part, Structure};

use crate::charset;
use crate::encoded_word::decode_text_value;
use crate::facts::{contact, file_name};
use crate::html;
use crate::parameter::find;
use crate::transfer::decode_part;

/// Characters of a preview.
const PREVIEW: usize = 256;
/// Bytes of a part that are read for the preview: HTML of Outlook begins with long styles.
const PREVIEW_INPUT: usize = 256 * 1024;
/// Bytes of a part that are read for search, however much text is asked for.
const SEARCH_INPUT: usize = 32 * 1024 * 1024;

/// The searchable text of a message: text parts and the decoded headers of embedded messages in their order,
/// with the names of attached files; one line feed between them. At most `limit` bytes. The header of the
/// message itself is not in it.
///
/// Of a part that is mostly markup or padding, only a multiple of `limit` is read.
#[must_use]
pub fn decode_text(structure: &Structure, raw: &[u8], limit: usize) -> String {
    gather(structure, raw, limit, true).0
}

/// The same, with the names of attached files or without; and whether there may be more.
pub(crate) fn gather(structure: &Structure, raw: &[u8], limit: usize, with_names: bool) -> (String, bool) {
    let mut text = String::new();
    let mut is_cut = false;
    for part in &structure.parts {
        if text.len() >= limit {
            is_cut = true;
            break;
        }
        if let Some(name) = file_name(part).filter(|_| with_names) {
            add_line(&mut text, &name);
        }
        if let Content::Message(envelope, _) = &part.content {
            let subject = envelope.subject.as_deref().map(decode_text_value);
            add_line(&mut text, &subject.unwrap_or_default());
            for address in envelope.from.iter().chain(&envelope.to).chain(&envelope.cc) {
                add_line(&mut text, &address_text(address));
            }
        }
        if is_searchable(part) {
            let left = limit.saturating_sub(text.len());
            let input = left.saturating_mul(if is_html(part) { 16 } else { 4 }).min(SEARCH_INPUT);
            is_cut |= body_of(part, raw).len() > input;
            add_line(&mut text, &part_text(part, raw, input, left));
        }
    }
    let length = cut(&text, limit).len();
    is_cut |= length < text.len();
    text.truncate(length);
    (text, is_cut)
}

pub(crate) fn add_line(text: &mut String, line: &str) {
    if !line.is_empty() {
        if !text.is_empty() {
            text.push('\n');
        }
        text.push_str(line);
    }
}

fn address_text(address: &Address) -> String {
    let contact = contact(address);
    format!("{} {}", contact.name, contact.address).trim().to_owned()
}

fn is_html(part: &Part) -> bool {
    matches!(&*part.media_type.1, "html" | "xhtml" | "xhtml+xml")
}

fn is_searchable(part: &Part) -> bool {
    match &part.content {
        Content::Leaf => matches!(&*part.media_type.0, "text" | "message"),
        // A multipart whose parts could not be told apart.
        Content::Multipart(children) => children.is_empty(),
        Content::Message(..) => false,
    }
}

/// Text of a part, from at most `input` bytes of its body; of HTML at most about `limit` bytes.
fn part_text(part: &Part, raw: &[u8], input: usize, limit: usize) -> String {
    let body = body_of(part, raw);
    let decoded = decode_part(part, &body[..body.len().min(input)]);
    let text = match find(&part.parameters, "charset") {
        Some(label) => charset::decode(label, &decoded),
        None => charset::guess(&decoded),
    };
    if is_html(part) { html::text_of(&text, limit) } else { text }
}

pub(crate) fn body_of<'a>(part: &Part, raw: &'a [u8]) -> &'a [u8] {
    let range = usize::try_from(part.body.start).ok().zip(usize::try_from(part.body.end).ok());
    range.and_then(|(start, end)| raw.get(start..end)).unwrap_or_default()
}

/// Beginning of the text that a person would read, white space folded; empty when the part has none.
pub(crate) fn preview(part: &Part, raw: &[u8]) -> String {
    // Plain text is all text, so that little of it is enough; HTML may begin with much that is not.
    let input = if is_html(part) { PREVIEW_INPUT } else { 4 * 1024 };
    let preview = fold(&part_text(part, raw, input, 8 * 1024));
    let more = body_of(part, raw).len() > input;
    if preview.is_empty() && more && !is_html(part) {
        return fold(&part_text(part, raw, PREVIEW_INPUT, 8 * 1024));
    }
    preview
}

/// The first [`PREVIEW`] characters with white space folded, without those that have no width: senders pad
/// previews with them.
fn fold(text: &str) -> String {
    let mut folded = String::new();
    let mut characters = 0;
    let mut gap = false;
    for character in text.chars() {
        if character.is_whitespace() || character.is_control() {
            gap = true;
            continue;
        }
        let invisible = matches!(
            character,
            '\u{ad}' | '\u{34f}' | '\u{200b}'..='\u{200f}' | '\u{2060}' | '\u{feff}' | '\u{fffc}'
        );
        if invisible {
            continue;
        }
        if gap && characters > 0 {
            folded.push(' ');
            characters += 1;
        }
        gap = false;
        if characters >= PREVIEW {
            break;
        }
        folded.push(character);
        characters += 1;
    }
    folded.truncate(folded.trim_end().len());
    folded
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn previews_are_folded_and_short() {
        assert_eq!(fold(" a\r\n\u{a0}\u{200b} b\u{feff}c "), "a bc");
        assert_eq!(fold(&"邮件 ".repeat(200)).chars().count(), 255 + 1);
        assert!(fold(&"x ".repeat(200)).chars().count() <= PREVIEW);
        assert_eq!(fold(""), "");
    }

    #[test]
    fn search_finds_every_text_once_decoded() {
        let raw = concat!(
            "Subject: own\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n",
            "--b\r\nContent-Type: text/html; charset=gbk\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n",
            "<p>=C4=E3=BA=C3</p>\r\n",
            "--b\r\nContent-Type: message/rfc822\r\n\r\n",
            "Subject: =?utf-8?B?5YaF?=\r\nFrom: =?utf-8?B?5byg?= <z@x>\r\n\r\ninner text\r\n",
            "--b\r\nContent-Type: application/pdf\r\nContent-Disposition: attachment;\r\n",
            " filename*=utf-8''%E6%8A%A5.pdf\r\n\r\nnot searched\r\n--b--\r\n",
        );
        let (structure, _) = crate::parse(raw.as_bytes());
        let text = decode_text(&structure, raw.as_bytes(), 10_000);
        for expected in ["你好", "内", "张 z@x", "inner text", "报.pdf"] {
            assert!(text.contains(expected), "{expected} in {text}");
        }
        assert!(!text.contains("not searched") && !text.contains("own"), "{text}");
        assert!(decode_text(&structure, raw.as_bytes(), 8).len() <= 8);
    }
}
