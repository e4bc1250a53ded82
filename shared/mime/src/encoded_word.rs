//! Encoded words in headers (RFC 2047, RFC 2231 section 5), in one pass however hostile the header.

use memchr::memmem;

use crate::charset;
use crate::header::unfold;
use crate::transfer::{base64, hex};

/// A header value for people: unfolded, encoded words decoded, other bytes with the high bit guessed. The
/// text is at most about three times as long as `raw_value`.
#[must_use]
pub fn decode_header(raw_value: &[u8]) -> String {
    decode_text_value(&unfold(raw_value, usize::MAX))
}

/// As [`decode_header`], of a value that is already unfolded.
pub(crate) fn decode_text_value(value: &[u8]) -> String {
    if memmem::find(value, b"=?").is_none() {
        return charset::guess(value);
    }
    let mut decoder = Decoder { text: String::with_capacity(value.len()), pending: None };
    // Text between words that is not decoded yet.
    let mut plain = 0;
    let mut at = 0;
    while let Some(found) = memmem::find(&value[at..], b"=?") {
        let start = at + found;
        match encoded_word(&value[start..]) {
            Word::Whole { charset, bytes, length } => {
                let between = &value[plain..start];
                // White space between two encoded words is not shown (RFC 2047 section 6.2).
                if decoder.pending.is_none() || !between.trim_ascii().is_empty() {
                    decoder.plain(between);
                }
                decoder.word(charset, bytes);
                at = start + length;
                plain = at;
            }
            Word::No => at = start + 2,
            // Nothing that follows can end either.
            Word::NoEnd => break,
        }
    }
    decoder.plain(&value[plain..]);
    decoder.text
}

enum Word<'a> {
    Whole { charset: &'a [u8], bytes: Vec<u8>, length: usize },
    No,
    NoEnd,
}

/// Reads an encoded word at the beginning of `text`. White space within its text, which is not allowed but
/// written, is taken as it is.
fn encoded_word(text: &[u8]) -> Word<'_> {
    /// Longer than any charset with a language.
    const MAX_CHARSET: usize = 75;
    let inside = &text[2..];
    let Some(charset_end) = inside.iter().take(MAX_CHARSET).position(|byte| *byte == b'?') else {
        return Word::No;
    };
    let charset = &inside[..charset_end];
    let (Some(kind), Some(b'?')) = (inside.get(charset_end + 1), inside.get(charset_end + 2)) else {
        return Word::No;
    };
    if charset.is_empty() || charset.iter().any(|byte| byte.is_ascii_whitespace()) {
        return Word::No;
    }
    // Before the search for the end: else many such beginnings would make it quadratic.
    if !matches!(kind, b'B' | b'b' | b'Q' | b'q') {
        return Word::No;
    }
    let encoded = &inside[charset_end + 3..];
    let Some(end) = memmem::find(encoded, b"?=") else { return Word::NoEnd };
    let bytes = match kind {
        b'B' | b'b' => base64(&encoded[..end]),
        _ => q_encoding(&encoded[..end]),
    };
    let charset = charset.split(|byte| *byte == b'*').next().unwrap_or(charset);
    Word::Whole { charset, bytes, length: 2 + charset_end + 3 + end + 2 }
}

/// RFC 2047 section 4.2.
fn q_encoding(text: &[u8]) -> Vec<u8> {
    let mut decoded = Vec::with_capacity(text.len());
    let mut at = 0;
    while let Some(&byte) = text.get(at) {
        at += 1;
        match byte {
            b'_' => decoded.push(b' '),
            b'=' => match text.get(at..at + 2).and_then(hex) {
                Some(byte) => {
                    decoded.push(byte);
                    at += 2;
                }
                None => decoded.push(b'='),
            },
            other => decoded.push(other),
        }
    }
    decoded
}

/// Collects words of the same charset before it decodes them, since mailers cut characters in two between
/// words.
struct Decoder<'a> {
    text: String,
    pending: Option<(&'a [u8], Vec<u8>)>,
}

impl<'a> Decoder<'a> {
    fn word(&mut self, charset: &'a [u8], bytes: Vec<u8>) {
        match &mut self.pending {
            Some((same, collected)) if same.eq_ignore_ascii_case(charset) => collected.extend(bytes),
            _ => {
                self.flush();
                self.pending = Some((charset, bytes));
            }
        }
    }

    fn plain(&mut self, bytes: &[u8]) {
        self.flush();
        self.text.push_str(&charset::guess(bytes));
    }

    fn flush(&mut self) {
        if let Some((charset, bytes)) = self.pending.take() {
            let decoded = charset::decode(charset, &bytes);
            // A line end or NUL in an encoded word has no meaning in a header and could fake one.
            self.text.extend(decoded.chars().map(|c| if c.is_control() { ' ' } else { c }));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn encoded_words() {
        for (raw, text) in [
            (&b" plain\r\n text "[..], "plain text"),
            (b"=?utf-8?B?5L2g5aW9?=", "你好"),
            (b"=?UTF-8?q?caf=C3=A9_au?= lait", "café au lait"),
            (b"=?utf-8?Q?a?= =?utf-8?Q?b?=", "ab"),
            (b"=?utf-8?Q?a?=\r\n\t=?iso-8859-1?Q?=E9?= c", "aé c"),
            (b"=?utf-8?Q?a?= x =?utf-8?Q?b?=", "a x b"),
            (b"x=?utf-8?Q?a?==?utf-8?Q?b?=y", "xaby"),
            // A character cut in two between words.
            (b"=?utf-8?B?5L0=?= =?utf-8?B?oOWlvQ==?=", "你好"),
            (b"=?GB2312?B?xOO6ww==?=", "你好"),
            (b"=?gb18030?Q?=C4=E3=BA=C3?=", "你好"),
            (b"=?big5?B?p0Gmbg==?=", "你好"),
            (b"=?ISO-2022-JP?B?GyRCRnxLXBsoQg==?=", "日本"),
            (b"=?us-ascii*en?Q?lang?=", "lang"),
            (b"=?utf-8?Q?with space?=", "with space"),
            (b"=?utf-8?Q?a=0D=0AX:b?=", "a  X:b"),
            (b"=?utf-8?X?a?= =?", "=?utf-8?X?a?= =?"),
            (b"=?utf-8?Q?never", "=?utf-8?Q?never"),
            (b"=??Q?a?=", "=??Q?a?="),
            (b"=?no-such?Q?a?=", "a"),
            (b"\xc4\xe3\xba\xc3", "你好"),
            ("你好".as_bytes(), "你好"),
            (b"", ""),
        ] {
            assert_eq!(decode_header(raw), text, "{}", String::from_utf8_lossy(raw));
        }
    }
}
