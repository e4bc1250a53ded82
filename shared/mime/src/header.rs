//! Header blocks: where they end, and their fields one by one (RFC 5322 section 2.2). Lines end with CRLF or
//! LF alone; a CR by itself is an ordinary byte.

use memchr::memchr;
use pennypost_model::structure::{RawText, Span};

/// Bytes of a text that a structure keeps; further ones are cut, so that a hostile header cannot blow up
/// what is stored beside the message.
pub(crate) const MAX_TEXT: usize = 16 * 1024;

/// Length of the header block with the empty line that ends it; the whole length when there is no empty line.
#[must_use]
pub fn header_end(raw: &[u8]) -> usize {
    let mut start = 0;
    while start < raw.len() {
        let end = line_end(raw, start);
        if is_empty_line(&raw[start..end]) {
            return end;
        }
        start = end;
    }
    raw.len()
}

/// The fields of a header block in order: name as it stands there (without the colon and white space before
/// it), raw value (all behind the colon with its folding, without the last line end), and the whole field in
/// `raw_header` with its last line end.
///
/// The fields follow each other without gaps up to the empty line or the end. A line that is no field (no
/// colon: mbox `From ` line, garbage) comes as a field with that line as its name and an empty value. Takes
/// time linear in the length.
pub fn header_fields(raw_header: &[u8]) -> impl Iterator<Item = (&[u8], &[u8], Span)> {
    HeaderFields { raw: raw_header, at: 0 }
}

struct HeaderFields<'a> {
    raw: &'a [u8],
    at: usize,
}

impl<'a> Iterator for HeaderFields<'a> {
    type Item = (&'a [u8], &'a [u8], Span);

    fn next(&mut self) -> Option<Self::Item> {
        let start = self.at;
        if start >= self.raw.len() {
            return None;
        }
        let first_end = line_end(self.raw, start);
        if is_empty_line(&self.raw[start..first_end]) {
            self.at = self.raw.len();
            return None;
        }
        let mut end = first_end;
        while matches!(self.raw.get(end), Some(b' ' | b'\t')) {
            end = line_end(self.raw, end);
        }
        self.at = end;
        let field = without_line_end(&self.raw[start..end]);
        let first_line = without_line_end(&self.raw[start..first_end]);
        let (name, value) = match memchr(b':', first_line) {
            Some(colon) => (&field[..colon], &field[colon + 1..]),
            None => (first_line, &field[field.len()..]),
        };
        Some((name.trim_ascii_end(), value, Span { start: start as u64, end: end as u64 }))
    }
}

/// Offset behind the line that begins at `start`.
pub(crate) fn line_end(raw: &[u8], start: usize) -> usize {
    memchr(b'\n', &raw[start..]).map_or(raw.len(), |newline| start + newline + 1)
}

pub(crate) fn is_empty_line(line: &[u8]) -> bool {
    matches!(line, b"\n" | b"\r\n")
}

pub(crate) fn without_line_end(line: &[u8]) -> &[u8] {
    let line = line.strip_suffix(b"\n").unwrap_or(line);
    line.strip_suffix(b"\r").unwrap_or(line)
}

/// A field's value as a text: unfolded (a line end with the white space around it becomes one space), at
/// most `limit` bytes, free of CR, LF and NUL so that IMAP can send it as it is.
pub(crate) fn unfold(value: &[u8], limit: usize) -> RawText {
    let value = value.trim_ascii();
    let mut text = Vec::with_capacity(value.len().min(limit));
    let mut bytes = value.iter().copied().peekable();
    while let Some(byte) = bytes.next() {
        if text.len() >= limit {
            break;
        }
        match byte {
            b'\r' | b'\n' => {
                while bytes.next_if(|next| next.is_ascii_whitespace()).is_some() {}
                text.truncate(text.trim_ascii_end().len());
                text.push(b' ');
            }
            0 => text.push(b' '),
            other => text.push(other),
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fields(raw: &str) -> Vec<(String, String, String)> {
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        header_fields(raw.as_bytes())
            .map(|(name, value, span)| {
                (text(name), text(value), text(&raw.as_bytes()[span.start as usize..span.end as usize]))
            })
            .collect()
    }

    #[test]
    fn a_header_block_ends_with_its_empty_line() {
        for (raw, length) in [
            ("", 0),
            ("\r\nbody", 2),
            ("\nbody", 1),
            ("A: b\r\n\r\nbody", 8),
            ("A: b\n\nbody", 6),
            ("A: b\n\r\nbody", 7),
            ("A: b\r\n \r\nC: d\r\n\r\n", 17),
            ("A: b\r\rbody", 10),
            ("A: b\r\nno end", 12),
        ] {
            assert_eq!(header_end(raw.as_bytes()), length, "{raw:?}");
        }
    }

    #[test]
    fn fields_keep_their_exact_bytes() {
        let raw = "From x\r\nSubject : a\r\n\tb\r\n:empty\r\nX:\nY: 1\r\n\r\nZ: body";
        assert_eq!(
            fields(raw),
            [
                ("From x", "", "From x\r\n"),
                ("Subject", " a\r\n\tb", "Subject : a\r\n\tb\r\n"),
                ("", "empty", ":empty\r\n"),
                ("X", "", "X:\n"),
                ("Y", " 1", "Y: 1\r\n"),
            ]
            .map(|(name, value, whole)| (name.to_owned(), value.to_owned(), whole.to_owned()))
        );
    }

    #[test]
    fn texts_are_unfolded_and_clean() {
        for (raw, text) in [
            (&b" a \r\n\t b "[..], &b"a b"[..]),
            (b"a\n b", b"a b"),
            (b"a\rb\0c", b"a b c"),
            (b"a  b", b"a  b"),
            (b"", b""),
        ] {
            assert_eq!(unfold(raw, 100), text);
        }
        assert_eq!(unfold(&[b'x'; 50], 10).len(), 10);
    }
}
