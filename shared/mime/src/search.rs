//! The text in which SEARCH looks (RFC 3501 section 6.4.4), folded: the one form of it, whether a message is
//! searched as it lies in its pack or in a text segment made long before.
//!
//! Of a header, each field is a line `name: value`, name in lower case, value decoded; line feeds within become
//! spaces. Of a body, the text of its parts.

use memchr::memmem::Finder;
use pennypost_model::structure::{Envelope, Structure};

use crate::{decode_header, decode_text, header_fields};

/// Fields that are looked at most: their lines are kept apart from those of other fields.
pub const MAIN_FIELDS: [&str; 5] = ["subject", "from", "to", "cc", "bcc"];

/// Up to so many bytes, lines are looked through for one that is there already.
const FEW: usize = 8 * 1024;

/// Lines of a header.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct HeaderText {
    /// Of [`MAIN_FIELDS`], and of addresses as people write them.
    pub main: String,
    /// Of all other fields.
    pub rest: String,
}

/// Folds case, character by character, so that a piece of a text folds as it does within the whole.
#[must_use]
pub fn fold(text: &str) -> String {
    let mut folded = String::with_capacity(text.len());
    fold_onto(&mut folded, text);
    folded
}

fn fold_onto(out: &mut String, text: &str) {
    if text.is_ascii() {
        let start = out.len();
        out.push_str(text);
        if let Some(added) = out.get_mut(start..) {
            added.make_ascii_lowercase();
        }
        return;
    }
    for character in text.chars() {
        match character {
            // The sigma at the end of a word is the sigma.
            'ς' => out.push('σ'),
            'A'..='Z' => out.push(character.to_ascii_lowercase()),
            '\0'..='\u{7f}' | '\u{2e80}'..='\u{a63f}' | '\u{ac00}'..='\u{d7a3}' => out.push(character),
            _ => out.extend(character.to_lowercase()),
        }
    }
}

fn add_line(out: &mut String, name: &str, value: &str) {
    fold_onto(out, name);
    out.push_str(": ");
    let start = out.len();
    fold_onto(out, value);
    if out[start..].contains('\n') {
        let spaced = out[start..].replace('\n', " ");
        out.truncate(start);
        out.push_str(&spaced);
    }
    out.push('\n');
}

/// The lines of a header block. Addresses stand there a second time as people write them, so that they are
/// found whatever comments and folding stand in between.
#[must_use]
pub fn header_text(raw_header: &[u8], envelope: &Envelope) -> HeaderText {
    let mut text = HeaderText::default();
    for (name, value, _) in header_fields(raw_header) {
        let name = String::from_utf8_lossy(name).replace([':', '\n'], " ");
        let is_main = MAIN_FIELDS.iter().any(|main| main.eq_ignore_ascii_case(&name));
        add_line(if is_main { &mut text.main } else { &mut text.rest }, &name, &decode_header(value));
    }
    let lists =
        [("from", &envelope.from), ("to", &envelope.to), ("cc", &envelope.cc), ("bcc", &envelope.bcc)];
    for (field, addresses) in lists {
        for address in addresses {
            let part = |part: &Option<Vec<u8>>| decode_header(part.as_deref().unwrap_or_default());
            let (name, mailbox, host) = (part(&address.name), part(&address.mailbox), part(&address.host));
            let start = text.main.len();
            add_line(&mut text.main, field, &format!("{name} <{mailbox}@{host}>"));
            // Most are written like that already.
            let (before, line) = text.main.split_at(start);
            if before.len() < FEW && before.split_inclusive('\n').any(|known| known == line) {
                text.main.truncate(start);
            }
        }
    }
    text
}

/// The lines of the headers of parts, which TEXT looks into, too (RFC 9051 section 6.4.4). At most about `limit`
/// bytes.
#[must_use]
pub fn part_header_text(structure: &Structure, raw: &[u8], limit: usize) -> String {
    let mut text = String::new();
    // The first part's header is the message's own.
    for part in structure.parts.iter().skip(1) {
        let range = usize::try_from(part.header.start).ok().zip(usize::try_from(part.header.end).ok());
        let header = range.and_then(|(start, end)| raw.get(start..end)).unwrap_or_default();
        for (name, value, _) in header_fields(header) {
            if text.len() + value.len() > limit {
                return text;
            }
            add_line(&mut text, &String::from_utf8_lossy(name), &decode_header(value));
        }
    }
    text
}

/// The searchable text of a body, at most about `limit` bytes.
#[must_use]
pub fn body_text(structure: &Structure, raw: &[u8], limit: usize) -> String {
    fold(&decode_text(structure, raw, limit))
}

/// A text to look for, folded.
#[derive(Debug, Clone)]
pub struct Needle {
    finder: Finder<'static>,
    has_line_feed: bool,
}

impl Needle {
    /// Folds `text`.
    #[must_use]
    pub fn new(text: &str) -> Needle {
        let folded = fold(text);
        Needle { has_line_feed: folded.contains('\n'), finder: Finder::new(folded.as_bytes()).into_owned() }
    }

    /// The folded text.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        self.finder.needle()
    }

    /// Does it stand in a folded text?
    #[must_use]
    pub fn is_in(&self, folded: &[u8]) -> bool {
        self.finder.find(folded).is_some()
    }

    /// Does it stand in one of these lines?
    #[must_use]
    pub fn is_in_lines(&self, lines: &[u8]) -> bool {
        !self.has_line_feed && self.is_in(lines)
    }

    /// Does it stand in the value of a field of that name (in lower case)?
    #[must_use]
    pub fn is_in_field(&self, field: &str, lines: &[u8]) -> bool {
        // Most messages do not have it anywhere.
        if !self.is_in_lines(lines) {
            return false;
        }
        values(field, lines).any(|value| self.is_in(value))
    }
}

/// The values of the fields of that name (in lower case), folded.
pub fn values<'a>(field: &str, lines: &'a [u8]) -> impl Iterator<Item = &'a [u8]> {
    let lines = lines.split(|byte| *byte == b'\n');
    lines.filter_map(move |line| line.strip_prefix(field.as_bytes())?.strip_prefix(b": "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_fold_as_the_whole_does() {
        let text = "ΟΔΟΣ Straße İstanbul 邮件 ÀÉ Ⅷ ﬀ 한글 Ａｂ";
        let folded = fold(text);
        for (start, _) in text.char_indices() {
            for (end, _) in text[start..].char_indices() {
                let piece = fold(&text[start..start + end]);
                assert!(folded.contains(&piece), "{piece} in {folded}");
            }
        }
        assert_eq!(fold("ὈΔΥΣΣΕΎΣ"), fold("Ὀδυσσεύς"));
    }

    #[test]
    fn fields_are_lines() {
        let raw =
            b"Subject: =?utf-8?B?5L2g5aW9?= World\r\nX-Odd : a\r\n b\r\nFrom: \"Ann B\" (c) <a@B.c>\r\n\r\n";
        let (structure, _) = crate::parse(raw);
        let text = header_text(raw, &structure.envelope);
        assert_eq!(text.main, "subject: 你好 world\nfrom: \"ann b\" (c) <a@b.c>\nfrom: ann b <a@b.c>\n");
        assert_eq!(text.rest, "x-odd: a b\n");
        let found = |field: &str, needle: &str| Needle::new(needle).is_in_field(field, text.main.as_bytes());
        assert!(found("subject", "你好 W") && found("from", "B <A@") && found("subject", ""));
        assert!(!found("subject", "ann") && !found("subject", "subject") && !found("cc", ""));
        assert!(!found("subject", "world\nfrom"));
    }
}
