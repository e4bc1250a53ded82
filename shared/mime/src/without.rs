//! Parts that are taken out of a letter, with a few words in the place of each (RCV-15).
//!
//! Every other part stays byte for byte, which is looked at when it is done. Signed and encrypted letters stay whole, and so does what
//! has no part that is attached: the texts that a reader sees are not taken out.

use std::borrow::Cow;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use pennypost_model::structure::{Content, Part, Span, Structure};

use crate::facts::file_name;
use crate::footer::bytes;
use crate::multipart::scan;
use crate::text::body_of;
use crate::transfer::decode_part;

/// Bytes of a letter out of which parts are taken at most.
pub const MAX_LETTER: usize = 10 << 20;
/// Parts without others inside that it has at most.
const MAX_LEAVES: usize = 50;
/// Parts of any kind: each one that has others inside is asked for its end at each line.
const MAX_ALL: usize = 70;
/// Characters of a line of base64 (RFC 2045 section 6.8).
const LINE: usize = 76;

/// A letter out of which parts may be taken.
#[derive(Debug, Clone)]
pub struct Divisible<'a> {
    raw: &'a [u8],
    structure: Structure,
}

impl<'a> Divisible<'a> {
    /// That letter; `None` if it is not to be divided: it is signed or encrypted, too large, or of too many parts.
    #[must_use]
    pub fn of(raw: &'a [u8]) -> Option<Divisible<'a>> {
        if raw.len() > MAX_LETTER {
            return None;
        }
        let (structure, _) = scan(raw);
        let letter = Divisible { raw, structure };
        let is_whole = letter.structure.parts.iter().any(is_secured)
            || letter.structure.parts.len() > MAX_ALL
            || letter.leaves().count() > MAX_LEAVES;
        (!is_whole).then_some(letter)
    }

    /// The parts without others inside, with their numbers in [`Structure::parts`].
    pub fn leaves(&self) -> impl Iterator<Item = (u32, &Part)> {
        let parts = self.structure.parts.iter().enumerate();
        let leaves = parts.filter(|(_, part)| part.content == Content::Leaf);
        leaves.map(|(number, part)| (number as u32, part))
    }

    /// What is in such a part, without its transfer encoding.
    #[must_use]
    pub fn decoded(&self, part: &Part) -> Cow<'a, [u8]> {
        decode_part(part, body_of(part, self.raw))
    }

    /// The letter without these parts. Each becomes a text of what `words` says of its file name, or of its type if it has none.
    /// `None`: one of them can't be taken out, or nothing would be left.
    #[must_use]
    pub fn without(&self, taken: &[u32], words: impl Fn(&str) -> String) -> Option<Vec<u8>> {
        let is_all = self.leaves().all(|(number, _)| taken.contains(&number));
        if taken.is_empty() || is_all || !taken.iter().all(|number| self.may_be_taken(*number)) {
            return None;
        }
        let (mut letter, mut at) = (Vec::with_capacity(self.raw.len()), 0);
        for (_, part) in self.leaves().filter(|(number, _)| taken.contains(number)) {
            letter.extend_from_slice(bytes(self.raw, Span { start: at, end: part.header.start }));
            let kind = || format!("{}/{}", part.media_type.0, part.media_type.1);
            let name = file_name(part).unwrap_or_else(kind);
            letter.extend_from_slice(text_part(&words(&name)).as_bytes());
            at = part.body.end;
        }
        letter.extend_from_slice(bytes(self.raw, Span { start: at, end: self.raw.len() as u64 }));
        self.is_otherwise_same(&letter, taken).then_some(letter)
    }

    /// Is it attached to something? The root of a message has a header that is more than the part's own.
    fn may_be_taken(&self, number: u32) -> bool {
        let parts = &self.structure.parts;
        let Some(part) = parts.get(number as usize) else { return false };
        let is_inner = |one: &Part| matches!(&one.content, Content::Message(_, root) if *root == number);
        let is_root = number == 0 || parts.iter().any(is_inner);
        let is_attachment = part.disposition.as_ref().is_some_and(|(kind, _)| kind == "attachment");
        let is_text = part.media_type.0 == "text" && !is_attachment && file_name(part).is_none();
        part.content == Content::Leaf && !is_root && !is_text
    }

    /// Is the letter the same but for these parts, however it is read?
    fn is_otherwise_same(&self, letter: &[u8], taken: &[u32]) -> bool {
        let (after, _) = scan(letter);
        let before = &self.structure.parts;
        let is_same = |number: usize, old: &Part, new: &Part| {
            if taken.contains(&(number as u32)) {
                let (kind, subtype) = (&*new.media_type.0, &*new.media_type.1);
                return new.content == Content::Leaf && (kind, subtype) == ("text", "plain");
            }
            bytes(self.raw, old.header) == bytes(letter, new.header)
                && match (&old.content, &new.content) {
                    (Content::Leaf, Content::Leaf) => body_of(old, self.raw) == body_of(new, letter),
                    (Content::Multipart(old), Content::Multipart(new)) => old == new,
                    (Content::Message(_, old), Content::Message(_, new)) => old == new,
                    _ => false,
                }
        };
        before.len() == after.parts.len()
            && before
                .iter()
                .zip(&after.parts)
                .enumerate()
                .all(|(number, (old, new))| is_same(number, old, new))
    }
}

/// Is it signed or encrypted, or holds what is (RFC 1847)?
fn is_secured(part: &Part) -> bool {
    matches!(
        (&*part.media_type.0, &*part.media_type.1),
        ("multipart", "signed" | "encrypted") | ("application", "pkcs7-mime" | "x-pkcs7-mime")
    )
}

/// A part with that text. No line of it is like one of any boundary.
fn text_part(text: &str) -> String {
    let coded = BASE64_STANDARD.encode(text);
    let lines: Vec<&str> =
        (0..coded.len()).step_by(LINE).filter_map(|at| coded.get(at..coded.len().min(at + LINE))).collect();
    format!(
        "Content-Type: text/plain; charset=utf-8\r\nContent-Disposition: inline\r\nContent-Transfer-Encoding: base64\r\n\r\n{}",
        lines.join("\r\n")
    )
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const MIXED: &str = "Subject: x\r\nContent-Type: multipart/mixed; boundary=\"=b\"\r\n\r\npreamble\r\n--=b\r\n\r\nhello \r\n\
        --=b\r\nContent-Type: application/octet-stream; name=\"a.exe\"\r\nContent-Transfer-Encoding: base64\r\nX-Other: y\r\n\r\nTVqQ\r\n\
        --=b\r\nContent-Type: image/png\r\n\r\n\u{89}PNG\r\n--=b--\r\nepilogue";

    fn without(raw: &str, taken: &[u32]) -> Option<String> {
        let letter = Divisible::of(raw.as_bytes())?.without(taken, |name| format!("<{name}>"))?;
        Some(String::from_utf8(letter).expect("text"))
    }

    #[test]
    fn a_part_becomes_a_few_words_and_all_else_stays() {
        let letter = Divisible::of(MIXED.as_bytes()).expect("divisible");
        let parts: Vec<_> =
            letter.leaves().map(|(number, part)| (number, letter.decoded(part).to_vec())).collect();
        assert_eq!(parts[0], (1, b"hello ".to_vec()));
        assert_eq!(parts[1], (2, b"MZ\x90".to_vec()));
        let words = |text: &str| {
            let coded = BASE64_STANDARD.encode(text);
            format!(
                "Content-Type: text/plain; charset=utf-8\r\nContent-Disposition: inline\r\nContent-Transfer-Encoding: base64\r\n\r\n{coded}\r\n"
            )
        };
        let file = "Content-Type: application/octet-stream; name=\"a.exe\"\r\nContent-Transfer-Encoding: base64\r\nX-Other: y\r\n\r\nTVqQ\r\n";
        let picture = "Content-Type: image/png\r\n\r\n\u{89}PNG\r\n";
        let once = MIXED.replace(file, &words("<a.exe>"));
        assert_eq!(without(MIXED, &[2]), Some(once.clone()));
        assert_eq!(without(MIXED, &[2, 3]), Some(once.replace(picture, &words("<image/png>"))));
        // By line feeds alone it is the same, but for what is put in.
        let feeds = MIXED.replace("\r\n", "\n");
        let put = without(&feeds, &[2]).expect("changed");
        assert!(put.starts_with("Subject: x\n") && put.ends_with("--=b--\nepilogue"), "{put}");
    }

    #[test]
    fn what_is_read_or_signed_or_all_there_is_stays() {
        // Nothing, the text, what is no part or has others inside, and everything.
        for taken in [&[][..], &[1], &[2, 1], &[7], &[0], &[1, 2, 3]] {
            assert_eq!(without(MIXED, taken), None, "{taken:?}");
        }
        assert_eq!(without("Content-Type: application/zip; name=a.zip\r\n\r\nPK", &[0]), None);
        let alone = "Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\nContent-Type: application/zip\r\n\r\nPK\r\n--b--\r\n";
        assert_eq!(without(alone, &[1]), None);
        for secured in [
            "multipart/signed; protocol=\"application/pgp-signature\"",
            "multipart/encrypted; protocol=\"application/pgp-encrypted\"",
        ] {
            assert_eq!(without(&MIXED.replace("multipart/mixed", secured), &[2]), None);
        }
        let enveloped = MIXED.replace("image/png", "application/pkcs7-mime");
        assert_eq!(without(&enveloped, &[2]), None);
        let many =
            format!("{}--=b--\r\n", MIXED.replace("--=b--\r\nepilogue", &"--=b\r\n\r\nx\r\n".repeat(50)));
        assert_eq!(without(&many, &[2]), None);
    }

    #[test]
    fn within_an_embedded_message_a_part_is_taken_but_not_its_root() {
        let embedded = |inner: &str| {
            format!(
                "Content-Type: multipart/mixed; boundary=o\r\n\r\n--o\r\n\r\nsee there\r\n--o\r\n\
                 Content-Type: message/rfc822\r\n\r\n{inner}\r\n--o--\r\n"
            )
        };
        let raw = embedded(MIXED);
        // The root, its text, the part that embeds, the embedded root, its text, its file, its picture.
        let put = without(&raw, &[5]).expect("changed");
        assert!(!put.contains("TVqQ") && !put.contains("X-Other") && put.contains("\u{89}PNG"), "{put}");
        let alone = embedded("From: a@b.example\r\nContent-Type: application/zip\r\n\r\nPK");
        assert_eq!(without(&alone, &[3]), None);
    }

    proptest! {
        #[test]
        fn whatever_is_divided_stays_what_it_was(raw in "(--b\r?\n|Content-Type: (multipart/mixed; boundary=b|image/png|message/rfc822)\r?\n|\r?\n|x|: ){0,40}", taken in 0_u32..8) {
            if let Some(letter) = Divisible::of(raw.as_bytes())
                && let Some(put) = letter.without(&[taken], str::to_owned)
            {
                let again = Divisible::of(&put).expect("as divisible as before");
                prop_assert_eq!(again.leaves().count(), letter.leaves().count());
            }
        }
    }
}
