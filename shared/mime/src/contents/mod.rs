//! What is in a letter, for whoever decides what may leave: its text with that of what is attached, and what could not be looked into.
//!
//! Text is what [`crate::decode_text`] finds, and that of documents of Office (Open XML). What is kept of it, what is unpacked and
//! what is decoded have limits; where one is met, that is said.

mod archive;
mod office;

use pennypost_model::message::cut;
use pennypost_model::structure::{Content, Part, Structure};

use crate::facts::file_name;
use crate::text::{add_line, body_of, gather};
use crate::transfer::decode_part;

/// Bytes of an attachment, as it stands in the letter, that are decoded to look into it.
const MAX_DECODED: usize = 32 * 1024 * 1024;
/// Bytes by which the kind of an attachment is told, as they stand in the letter.
const BEGINNING: usize = 4 * 1024;
/// Bytes that documents of one letter have unpacked.
const MAX_UNPACKED: u64 = 16 * 1024 * 1024;
/// Attachments that are told.
const MAX_ATTACHED: usize = 1_000;

/// What is in a letter.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Contents {
    /// Its texts, a line feed between two.
    pub text: String,
    /// What is attached, and other parts that have a name.
    pub attached: Vec<Attached>,
    /// The letter itself, or something attached, is encrypted.
    pub is_encrypted: bool,
    /// Something was not looked into: more text than is kept, or an attachment that is neither text nor a document that is read here. Pictures,
    /// sounds and films don't count, nor does what is encrypted.
    pub is_unread: bool,
}

/// Something attached.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Attached {
    /// Its name; may be empty.
    pub name: String,
    /// What the letter says of its type.
    pub media_type: String,
}

/// What came of looking into an attachment.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Found {
    /// Its text, and whether there may be more.
    Text(String, bool),
    Encrypted,
    Unread,
}

/// What is in a letter, with at most about `limit` bytes of its text.
#[must_use]
pub fn contents(structure: &Structure, raw: &[u8], limit: usize) -> Contents {
    let mut found = Contents::default();
    let (text, is_cut) = gather(structure, raw, limit, false);
    (found.text, found.is_unread) = (text, is_cut);
    found.is_encrypted = is_armoured(&found.text);
    let mut unpacked = MAX_UNPACKED;
    for (index, part) in structure.parts.iter().enumerate() {
        let (kind, sub) = (&*part.media_type.0, &*part.media_type.1);
        if part.content != Content::Leaf {
            found.is_encrypted |= (kind, sub) == ("multipart", "encrypted");
            let is_embedded = index > 0 && matches!(part.content, Content::Message(..));
            if is_embedded {
                found.attach(part);
            }
            continue;
        }
        let is_attachment = part.disposition.as_ref().is_some_and(|(kind, _)| kind == "attachment");
        if kind != "text" && kind != "message" || is_attachment || file_name(part).is_some() {
            found.attach(part);
        }
        if is_enveloped(part) || sub == "pgp-encrypted" {
            found.is_encrypted = true;
            continue;
        }
        let is_seen = matches!(kind, "text" | "message" | "image" | "audio" | "video");
        if is_seen || sub.ends_with("-signature") {
            continue;
        }
        match look_into(part, raw, limit.saturating_sub(found.text.len()), &mut unpacked) {
            Found::Text(text, is_cut) => {
                found.is_encrypted |= is_armoured(&text);
                found.is_unread |= is_cut;
                add_line(&mut found.text, &text);
            }
            Found::Encrypted => found.is_encrypted = true,
            Found::Unread => found.is_unread = true,
        }
    }
    if found.text.len() > limit {
        found.is_unread = true;
        let length = cut(&found.text, limit).len();
        found.text.truncate(length);
    }
    found
}

impl Contents {
    fn attach(&mut self, part: &Part) {
        if self.attached.len() < MAX_ATTACHED {
            let media_type = cut(&format!("{}/{}", part.media_type.0, part.media_type.1), 255).to_owned();
            self.attached.push(Attached { name: file_name(part).unwrap_or_default(), media_type });
        }
    }
}

/// Does a message that is encrypted by PGP stand in it?
fn is_armoured(text: &str) -> bool {
    text.contains("-----BEGIN PGP MESSAGE-----")
}

/// Is it encrypted by S/MIME?
fn is_enveloped(part: &Part) -> bool {
    let is_cms = matches!(&*part.media_type.1, "pkcs7-mime" | "x-pkcs7-mime");
    let kind = crate::parameter::find(&part.parameters, "smime-type").unwrap_or_default();
    is_cms && !kind.eq_ignore_ascii_case(b"signed-data") && !kind.eq_ignore_ascii_case(b"certs-only")
}

fn look_into(part: &Part, raw: &[u8], limit: usize, unpacked: &mut u64) -> Found {
    let body = body_of(part, raw);
    let beginning = decode_part(part, body.get(..BEGINNING).unwrap_or(body));
    let Some(kind) = archive::kind(&beginning) else { return plainly(part, body, &beginning, limit) };
    if body.len() > MAX_DECODED {
        return Found::Unread;
    }
    let bytes = decode_part(part, body);
    if archive::is_encrypted(kind, &bytes) {
        return Found::Encrypted;
    }
    match kind {
        archive::Kind::Zip => office::text(&bytes, limit, unpacked)
            .map_or(Found::Unread, |(text, is_cut)| Found::Text(text, is_cut)),
        _ => Found::Unread,
    }
}

/// What is text, whatever the letter says of it: programs call tables of plain text by the names of their own documents.
fn plainly(part: &Part, body: &[u8], beginning: &[u8], limit: usize) -> Found {
    if beginning.contains(&0) {
        return Found::Unread;
    }
    // However it is encoded, that is more than is kept.
    let input = body.get(..limit.saturating_mul(4).min(MAX_DECODED)).unwrap_or(body);
    let is_part = input.len() < body.len();
    let bytes = decode_part(part, input);
    let text = match std::str::from_utf8(&bytes) {
        Ok(text) => text,
        // The last character of what was decoded may be a part of one.
        Err(error) if is_part && error.error_len().is_none() => bytes
            .get(..error.valid_up_to())
            .and_then(|whole| std::str::from_utf8(whole).ok())
            .unwrap_or_default(),
        Err(_) => return Found::Unread,
    };
    if text.contains('\0') {
        return Found::Unread;
    }
    let kept = cut(text, limit);
    // Their words stand in them in a form of their own.
    let is_coded =
        ["{\\rtf", "%!PS"].iter().any(|sign| text.trim_start_matches('\u{feff}').starts_with(sign));
    Found::Text(kept.to_owned(), is_part || is_coded || kept.len() < text.len())
}

#[cfg(test)]
mod tests {
    use std::io::{Cursor, Write};

    use base64::Engine;
    use base64::engine::general_purpose::STANDARD;
    use zip::ZipWriter;
    use zip::write::SimpleFileOptions;

    use super::*;

    fn zipped(files: &[(&str, &str)]) -> Vec<u8> {
        let mut out = ZipWriter::new(Cursor::new(Vec::new()));
        for (name, content) in files {
            out.start_file(*name, SimpleFileOptions::default()).expect("begun");
            out.write_all(content.as_bytes()).expect("written");
        }
        out.finish().expect("done").into_inner()
    }

    fn with(media_type: &str, bytes: &[u8]) -> Vec<u8> {
        let head =
            "Subject: x\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n\r\nhello\r\n--b\r\n";
        let coded = STANDARD.encode(bytes);
        format!(
            "{head}Content-Type: {media_type}; name=a.bin\r\nContent-Transfer-Encoding: base64\r\n\r\n{coded}\r\n--b--\r\n"
        )
        .into_bytes()
    }

    fn of(raw: &[u8]) -> Contents {
        contents(&crate::parse(raw).0, raw, 10_000)
    }

    #[test]
    fn documents_are_read_and_what_is_not_is_said() {
        let docx = zipped(&[
            ("[Content_Types].xml", "<Types/>"),
            (
                "word/document.xml",
                "<w:p><w:r><w:t>top se</w:t></w:r><w:r><w:t>cret &amp; more</w:t></w:r></w:p><w:p>end</w:p>",
            ),
        ]);
        let found = of(&with("application/octet-stream", &docx));
        assert!(
            found.text.contains("hello") && found.text.contains("top secret & more\nend"),
            "{}",
            found.text
        );
        assert!(!found.text.contains("a.bin") && !found.is_unread && !found.is_encrypted);
        assert_eq!(found.attached[0].name, "a.bin");
        let sheet = zipped(&[
            ("xl/sharedStrings.xml", "<sst><si><t>shared</t></si></sst>"),
            ("xl/worksheets/sheet1.xml", "<c><v>110</v></c><c><is><t>inline</t></is></c>"),
        ]);
        let found = of(&with("application/zip", &sheet));
        assert!(found.text.contains("shared") && found.text.contains("110\ninline"), "{}", found.text);
        for unread in [
            &b"%PDF-1.7\n1 0 obj"[..],
            b"\x7fELF\x02\x01\x01\x00",
            &zipped(&[("a.txt", "x")]),
            b"PK\x03\x04junk",
            b"{\\rtf1 hello}",
            "表格".as_bytes().split_last().expect("bytes").1,
        ] {
            let found = of(&with("application/octet-stream", unread));
            assert!(found.is_unread && !found.is_encrypted, "{unread:?}");
        }
        assert!(!of(&with("image/png", b"\x89PNG")).is_unread);
    }

    #[test]
    fn what_is_encrypted_is_told() {
        let mut zip = zipped(&[("a.txt", "x")]);
        // The flag in the header of the file, and in the directory.
        for (mark, offset) in [(*b"PK\x03\x04", 6), (*b"PK\x01\x02", 8)] {
            let at = zip.windows(4).position(|four| *four == mark).expect("there");
            zip[at + offset] |= 1;
        }
        for encrypted in [
            zip,
            b"%PDF-1.7\ntrailer << /Encrypt 5 0 R >>".to_vec(),
            b"Rar!\x1a\x07\x01\x00\x00\x00\x00\x00\x08\x04".to_vec(),
        ] {
            let found = of(&with("application/octet-stream", &encrypted));
            assert!(found.is_encrypted && !found.is_unread, "{encrypted:?}");
        }
        for raw in [
            &b"Content-Type: application/pkcs7-mime; smime-type=enveloped-data\r\n\r\nx"[..],
            b"Content-Type: multipart/encrypted; boundary=b\r\n\r\n--b\r\n\r\nx\r\n--b--\r\n",
            b"A: b\r\n\r\n-----BEGIN PGP MESSAGE-----\r\nx\r\n",
        ] {
            assert!(of(raw).is_encrypted);
        }
        assert!(!of(b"Content-Type: application/pkcs7-mime; smime-type=signed-data\r\n\r\nx").is_encrypted);
    }

    #[test]
    fn limits_hold_and_are_said() {
        let long = "word ".repeat(10_000);
        let found = of(format!("A: b\r\n\r\n{long}").as_bytes());
        assert!(found.is_unread && found.text.len() <= 10_000);
        let docx = zipped(&[("word/document.xml", &format!("<w:t>{long}</w:t>"))]);
        let found = of(&with("application/zip", &docx));
        assert!(found.is_unread && found.text.len() <= 10_000);
        assert!(found.text.contains("word word"), "what is kept of it is looked at");
    }

    #[test]
    fn text_is_read_whatever_the_letter_calls_it() {
        let found = of(&with("application/vnd.ms-excel", "name,card\n张三,4111".as_bytes()));
        assert!(found.text.contains("张三,4111") && !found.is_unread, "{}", found.text);
        // Of what is longer than what is kept, its beginning.
        let found = of(&with("application/octet-stream", "表".repeat(40_000).as_bytes()));
        assert!(found.text.contains("表表") && found.text.len() <= 10_000 && found.is_unread);
        let found = of(&with("application/octet-stream", b"-----BEGIN PGP MESSAGE-----\n\nx"));
        assert!(found.is_encrypted);
    }

    #[test]
    fn what_is_before_a_damaged_part_is_looked_at() {
        let docx = zipped(&[
            ("word/document.xml", "<w:p>secret</w:p>"),
            ("word/footnotes.xml", "<w:p>a note</w:p><w:p>&"),
        ]);
        let found = of(&with("application/zip", &docx));
        assert!(found.text.contains("secret") && found.text.contains("a note"), "{}", found.text);
        let mut damaged = docx;
        // The second file is no file any more.
        let second = memchr::memmem::rfind(&damaged, b"PK\x03\x04").expect("there");
        damaged[second] = b'X';
        let found = of(&with("application/zip", &damaged));
        assert!(found.text.contains("secret") && found.is_unread, "{}", found.text);
        assert!(!found.text.contains("a note"), "{}", found.text);
    }
}
