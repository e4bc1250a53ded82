//! The From field of a message, written anew with names that an administrator has given (ORG-27). Without I/O.

use base64::Engine;
use base64::prelude::BASE64_STANDARD;

/// Bytes of a name in one encoded word: with what stands around them 75 characters (RFC 2047 section 2).
const WORD: usize = 45;

/// The value of a From field: each author with a name, which may be empty, and an address as it is written in a header.
pub(super) fn from_field<'a>(authors: impl Iterator<Item = (&'a str, &'a str)>) -> String {
    let authors: Vec<String> = authors
        .map(|(name, address)| match name.trim() {
            "" => format!("<{address}>"),
            name => format!("{} <{address}>", phrase(name)),
        })
        .collect();
    authors.join(",\r\n ")
}

/// A name as RFC 5322 section 3.2.5 writes it: quoted, or if it is not ASCII in encoded words. So is one that looks like such
/// a word itself: there are programs that decode it within quotes, and show what it was not read as when it was given.
fn phrase(name: &str) -> String {
    let is_ascii = name.bytes().all(|byte| matches!(byte, b' '..=b'~'));
    let is_plain = is_ascii && name.len() <= 200 && !name.contains("=?");
    if is_plain {
        let escaped = name.replace('\\', "\\\\").replace('"', "\\\"");
        return format!("\"{escaped}\"");
    }
    let mut words: Vec<String> = Vec::new();
    let mut word = String::new();
    for character in name.chars().filter(|character| !character.is_control()) {
        if word.len() + character.len_utf8() > WORD {
            words.push(std::mem::take(&mut word));
        }
        word.push(character);
    }
    words.push(word);
    let encoded = words.iter().map(|word| format!("=?utf-8?B?{}?=", BASE64_STANDARD.encode(word)));
    encoded.collect::<Vec<_>>().join("\r\n ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use pennypost_mime::contact;
    use proptest::prelude::*;

    /// What a program reads of it.
    fn read(authors: &[(&str, &str)]) -> Vec<(String, String)> {
        let field = from_field(authors.iter().copied());
        assert!(field.split("\r\n").all(|line| line.len() <= 998), "{field}");
        let (structure, _) = pennypost_mime::parse(format!("From: {field}\r\n\r\n").as_bytes());
        let contacts = structure.envelope.from.iter().map(contact);
        contacts.map(|contact| (contact.name, contact.address)).collect()
    }

    #[test]
    fn names_are_read_as_they_were_given() {
        let long = "企业邮局 ".repeat(30);
        for name in ["Ann", "O'Neil, \"Ann\" \\ (Sales) <x@y.example>", "王小明", "Zoë", long.trim(), ""]
        {
            let read = read(&[(name, "ann@acme.example"), ("Bob", "\"b+my tag\"@acme.example")]);
            assert_eq!(read[0], (name.to_owned(), "ann@acme.example".to_owned()));
            assert_eq!(read[1], ("Bob".to_owned(), "\"b+my tag\"@acme.example".to_owned()));
            assert_eq!(read.len(), 2);
        }
    }

    #[test]
    fn a_name_that_looks_encoded_is_encoded_once_more() {
        let name = "=?utf-8?B?Ym9zc0BiYW5rLmNvbQ==?=";
        let field = from_field([(name, "ann@acme.example")].into_iter());
        assert!(!field.contains("Ym9zc0BiYW5rLmNvbQ"), "{field}");
        assert_eq!(read(&[(name, "ann@acme.example")])[0].0, name);
    }

    proptest! {
        #[test]
        fn no_name_is_more_than_a_name(name in "\\PC{0,80}") {
            let read = read(&[(&name, "ann@acme.example")]);
            prop_assert_eq!(read.len(), 1);
            prop_assert_eq!(&read[0].1, "ann@acme.example");
        }
    }
}
