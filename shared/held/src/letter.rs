//! The bytes of a letter when its time has come.

use pennypost_mime::{header_end, header_fields};
use pennypost_model::Timestamp;

/// The letter with the time at which it goes as its Date. A letter that somebody has signed stays as it is.
pub(crate) fn dated(raw: &[u8], at: Timestamp) -> Vec<u8> {
    let block = raw.get(..header_end(raw)).unwrap_or_default();
    let is_signed = header_fields(block).any(|(name, ..)| name.eq_ignore_ascii_case(b"dkim-signature"));
    if is_signed {
        return raw.to_vec();
    }
    let mut dated = Vec::with_capacity(raw.len() + 64);
    dated.extend_from_slice(format!("Date: {}\r\n", at.rfc5322()).as_bytes());
    let mut end = 0;
    for (name, _, span) in header_fields(block) {
        end = span.end as usize;
        if !name.eq_ignore_ascii_case(b"date") {
            dated.extend_from_slice(&raw[span.start as usize..end]);
        }
    }
    dated.extend_from_slice(&raw[end..]);
    dated
}

/// The letter as its writer had it: with the Bcc fields that were taken out.
pub(crate) fn with_bcc(raw: &[u8], bcc: &str) -> Vec<u8> {
    [bcc.as_bytes(), raw].concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_letter_has_the_date_of_its_going() {
        let date = format!("Date: {}\r\n", Timestamp(0).rfc5322());
        for (raw, rest) in [
            ("Date: then\r\nSubject: a\r\n\r\nDate: body\r\n", "Subject: a\r\n\r\nDate: body\r\n"),
            ("Subject: a\r\ndate:\r\n then\r\n\r\nx", "Subject: a\r\n\r\nx"),
            ("Subject: a\r\n\r\n", "Subject: a\r\n\r\n"),
        ] {
            let dated = dated(raw.as_bytes(), Timestamp(0));
            assert_eq!(String::from_utf8(dated).expect("text"), format!("{date}{rest}"));
        }
        let signed = b"DKIM-Signature: v=1\r\nDate: then\r\n\r\nx";
        assert_eq!(dated(signed, Timestamp(0)), signed);
    }
}
