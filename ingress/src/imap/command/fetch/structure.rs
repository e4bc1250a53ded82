//! What is written of a message's structure is what a client can read (RFC 3501 section 7.4.2).

use pennypost_mime::wire::{body, envelope};
use proptest::prelude::*;

fn printed(raw: &[u8], extended: bool) -> String {
    let (structure, _) = pennypost_mime::parse(raw);
    let mut out = Vec::new();
    body(&mut out, &structure, extended);
    String::from_utf8_lossy(&out).into_owned()
}

#[test]
fn structures_of_the_rfc() {
    let raw = b"Content-Type: text/plain; charset=us-ascii\r\n\r\none\r\ntwo\r\n";
    assert_eq!(printed(raw, false), "(\"text\" \"plain\" (\"charset\" \"us-ascii\") NIL NIL \"7bit\" 10 2)");
    let raw = b"Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n\r\na\r\n--b\r\n\
        Content-Type: message/rfc822\r\n\r\nSubject: x\r\n\r\ny\r\n--b--\r\n";
    assert_eq!(
        printed(raw, true),
        "((\"text\" \"plain\" (\"charset\" \"us-ascii\") NIL NIL \"7bit\" 1 0 NIL NIL NIL NIL)(\"message\" \"rfc822\" NIL NIL NIL \
         \"7bit\" 15 (NIL \"x\" NIL NIL NIL NIL NIL NIL NIL NIL) (\"text\" \"plain\" (\"charset\" \
         \"us-ascii\") NIL NIL \"7bit\" 1 0 NIL NIL NIL NIL) 2 NIL NIL NIL NIL) \"mixed\" (\"boundary\" \"b\") NIL NIL NIL)"
    );
}

/// Reads a parenthesized list as a client would; gives what is left.
fn balanced(mut text: &[u8]) -> Option<&[u8]> {
    let mut depth = 0_u32;
    while let Some((first, rest)) = text.split_first() {
        match first {
            b'(' => depth += 1,
            b')' => depth = depth.checked_sub(1)?,
            b'"' | b'{' => {
                let mut cursor = crate::imap::grammar::cursor::Cursor::new(text);
                cursor.string().ok()?;
                text = cursor.rest();
                continue;
            }
            b'\r' | b'\n' => return None,
            _ => {}
        }
        text = rest;
        if depth == 0 {
            return Some(text);
        }
    }
    None
}

/// Lines that make trouble in MIME.
fn line() -> impl Strategy<Value = String> {
    prop_oneof![
        Just("Content-Type: multipart/mixed; boundary=\"(b\"".to_owned()),
        Just("Content-Type: multipart/alternative; boundary=c".to_owned()),
        Just("Content-Type: message/rfc822".to_owned()),
        Just("Content-Disposition: attachment; filename=\"a)\\\"b\"".to_owned()),
        Just("Content-Language: de, (en".to_owned()),
        Just("Subject: )(\"\\ {3}".to_owned()),
        Just("From: \"(\" <a@b>, g: c@d;".to_owned()),
        Just(String::new()),
        Just("--(b".to_owned()),
        Just("--(b--".to_owned()),
        Just("--c".to_owned()),
        "[ -~\u{80}-\u{fff}]{0,30}",
    ]
}

proptest! {
    #[test]
    fn structures_are_balanced(lines in proptest::collection::vec(line(), 0..40), extended: bool) {
        let raw = lines.join("\r\n").into_bytes();
        let (structure, _) = pennypost_mime::parse(&raw);
        let mut out = Vec::new();
        body(&mut out, &structure, extended);
        prop_assert_eq!(balanced(&out), Some(&b""[..]), "{}", String::from_utf8_lossy(&out));
        out.clear();
        envelope(&mut out, &structure.envelope);
        prop_assert_eq!(balanced(&out), Some(&b""[..]), "{}", String::from_utf8_lossy(&out));
    }
}
