//! NUL octets can stand in binary parts only (RFC 3516): elsewhere IMAP has no way to tell them.

use std::borrow::Cow;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use memchr::memchr;
use pennypost_model::structure::{Content, Part};

use crate::multipart;

/// Octets of a body line in base64 (RFC 2045 section 6.8).
const LINE: usize = 57;
const FIELD: &[u8] = b"content-transfer-encoding:";

/// The message with its binary parts that hold NUL in base64, so that it can be sent as any literal; the parts'
/// octets are the same when decoded. NUL octets elsewhere stay: nothing can stand for them.
#[must_use]
pub fn without_binary_nul(raw: &[u8]) -> Cow<'_, [u8]> {
    if memchr(0, raw).is_none() {
        return Cow::Borrowed(raw);
    }
    let (structure, _) = multipart::scan(raw);
    let octets = |span: pennypost_model::structure::Span| {
        raw.get(span.start as usize..span.end as usize).unwrap_or_default()
    };
    let is_meant = |part: &&Part| {
        part.content == Content::Leaf && part.encoding == "binary" && memchr(0, octets(part.body)).is_some()
    };
    let mut meant: Vec<&Part> = structure.parts.iter().filter(is_meant).collect();
    meant.sort_by_key(|part| part.header.start);
    let mut out = Vec::with_capacity(raw.len() * 4 / 3);
    let mut at = 0;
    for part in meant {
        out.extend_from_slice(raw.get(at..part.header.start as usize).unwrap_or_default());
        recode_header(octets(part.header), &mut out);
        for line in octets(part.body).chunks(LINE) {
            out.extend_from_slice(STANDARD.encode(line).as_bytes());
            out.extend_from_slice(b"\r\n");
        }
        // The line end that belongs to a boundary follows in the message.
        at = part.body.end as usize;
        if raw.get(at..).is_some_and(|rest| rest.starts_with(b"\r\n")) {
            out.truncate(out.len() - 2);
        }
    }
    out.extend_from_slice(raw.get(at..).unwrap_or_default());
    Cow::Owned(out)
}

/// The header block with base64 as Content-Transfer-Encoding.
fn recode_header(header: &[u8], out: &mut Vec<u8>) {
    let mut dropping = false;
    for line in header.split_inclusive(|byte| *byte == b'\n') {
        let goes_on = line.first().is_some_and(|byte| matches!(byte, b' ' | b'\t'));
        if goes_on && dropping {
            continue;
        }
        dropping = line.get(..FIELD.len()).is_some_and(|name| name.eq_ignore_ascii_case(FIELD));
        out.extend_from_slice(if dropping { b"Content-Transfer-Encoding: base64\r\n" } else { line });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{decode_part, parse};
    use proptest::prelude::*;

    #[test]
    fn binary_parts_with_nul_become_base64_and_others_stay() {
        let raw =
            b"Subject: x\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n\r\nplain\r\n--b\r\n\
            Content-Transfer-Encoding:\r\n binary\r\nContent-Type: a/b\r\n\r\n\0one\0\r\n--b--\r\n";
        let recoded = without_binary_nul(raw);
        let text = String::from_utf8_lossy(&recoded);
        assert_eq!(
            text,
            "Subject: x\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n\r\nplain\r\n--b\r\n\
             Content-Transfer-Encoding: base64\r\nContent-Type: a/b\r\n\r\nAG9uZQA=\r\n--b--\r\n"
        );
        for other in [&b"Subject: \0\r\n\r\nx"[..], b"Subject: x\r\n\r\n\0", b"Subject: x\r\n\r\nx"] {
            assert_eq!(&*without_binary_nul(other), other);
        }
    }

    proptest! {
        #[test]
        fn a_recoded_part_holds_the_same(body in proptest::collection::vec(any::<u8>(), 1..400)) {
            let mut raw = b"Content-Transfer-Encoding: binary\r\nContent-Type: a/b\r\n\r\n".to_vec();
            raw.extend_from_slice(&body);
            let recoded = without_binary_nul(&raw);
            let (structure, _) = parse(&recoded);
            let part = structure.root().expect("root");
            let span = part.body.start as usize..part.body.end as usize;
            prop_assert_eq!(decode_part(part, &recoded[span]).into_owned(), body);
        }

        #[test]
        fn any_bytes_are_taken(raw in proptest::collection::vec(any::<u8>(), 0..300)) {
            let nuls = |bytes: &[u8]| bytes.iter().filter(|byte| **byte == 0).count();
            prop_assert!(nuls(&without_binary_nul(&raw)) <= nuls(&raw));
        }
    }
}
