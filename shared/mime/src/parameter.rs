//! Values with parameters (RFC 2045 section 5.1, RFC 2183), whose long and encoded parameters may be split
//! (RFC 2231). Mended where mailers get it wrong: missing semicolons, unquoted names with spaces, quotes that
//! never end.

use pennypost_model::structure::RawText;

use crate::header::{MAX_TEXT, unfold};

/// Parameters that are read from one field.
const MAX_PARAMETERS: usize = 100;
/// Bytes of a field with parameters that are read.
const MAX_FIELD: usize = 64 * 1024;

/// Names in lower case with unquoted values.
pub(crate) type Parameters = Vec<(String, RawText)>;

/// The first token of a field in lower case (cut at 255 bytes), and its parameters with split ones joined.
pub(crate) fn parameterized(value: &[u8]) -> (String, Parameters) {
    let text = unfold(value, MAX_FIELD);
    let mut cursor = Cursor { text: &text, at: 0 };
    cursor.space();
    let main = match cursor.peek() {
        Some(b'"') => cursor.quoted(),
        _ => cursor.token(|byte| matches!(byte, b';' | b' ' | b'\t' | b'(')).to_vec(),
    };
    let main = &main[..main.len().min(255)];
    (String::from_utf8_lossy(main).to_ascii_lowercase(), join(cursor.parameters()))
}

/// The value of a parameter, name in lower case.
pub(crate) fn find<'a>(parameters: &'a [(String, RawText)], name: &str) -> Option<&'a [u8]> {
    parameters.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_slice())
}

struct Cursor<'a> {
    text: &'a [u8],
    at: usize,
}

impl<'a> Cursor<'a> {
    fn parameters(&mut self) -> Parameters {
        let mut found = Parameters::new();
        while found.len() < MAX_PARAMETERS {
            self.space();
            while self.peek() == Some(b';') {
                self.at += 1;
                self.space();
            }
            if self.peek().is_none() {
                break;
            }
            let start = self.at;
            let name = self.token(|byte| matches!(byte, b'=' | b';' | b' ' | b'\t' | b'(' | b'"')).to_vec();
            self.space();
            if self.peek() != Some(b'=') {
                // No parameter: skip the word, and at least one byte.
                self.at = self.at.max(start + 1);
                continue;
            }
            self.at += 1;
            self.space();
            let name = String::from_utf8_lossy(&name[..name.len().min(255)]).to_ascii_lowercase();
            let mut value = match self.peek() {
                Some(b'"') => self.quoted(),
                // Names of files are often written with spaces and without quotes.
                _ if name == "filename" || name == "name" => {
                    self.token(|byte| byte == b';').trim_ascii_end().to_vec()
                }
                _ => self.token(|byte| matches!(byte, b';' | b' ' | b'\t')).to_vec(),
            };
            value.truncate(MAX_TEXT);
            if !name.is_empty() && !found.iter().any(|(known, _)| *known == name) {
                found.push((name, value));
            }
        }
        found
    }

    fn peek(&self) -> Option<u8> {
        self.text.get(self.at).copied()
    }

    fn space(&mut self) {
        let mut depth = 0_usize;
        while let Some(byte) = self.peek() {
            match byte {
                b'(' => depth += 1,
                b')' if depth > 0 => depth -= 1,
                b'\\' if depth > 0 && self.at + 1 < self.text.len() => self.at += 1,
                b' ' | b'\t' => {}
                _ if depth > 0 => {}
                _ => return,
            }
            self.at += 1;
        }
    }

    fn token(&mut self, ends: impl Fn(u8) -> bool) -> &'a [u8] {
        let rest = &self.text[self.at..];
        let length = rest.iter().position(|byte| ends(*byte)).unwrap_or(rest.len());
        self.at += length;
        &rest[..length]
    }

    /// A quoted string; one that never ends goes on to the end of the field.
    fn quoted(&mut self) -> Vec<u8> {
        self.at += 1;
        let mut value = Vec::new();
        while let Some(byte) = self.peek() {
            self.at += 1;
            match (byte, self.peek()) {
                (b'"', _) => break,
                // Only these need the escape; in `"C:\dir\file"` the backslash is meant.
                (b'\\', Some(escaped @ (b'"' | b'\\'))) => {
                    value.push(escaped);
                    self.at += 1;
                }
                _ => value.push(byte),
            }
        }
        value
    }
}

/// Joins the pieces `name*0`, `name*1*`, … (RFC 2231 section 3) to one parameter `name`, or `name*` with all
/// of its value percent-encoded if a piece is. Pieces without a first one stay as they are.
fn join(parameters: Parameters) -> Parameters {
    if !parameters.iter().any(|(name, _)| piece(name).is_some()) {
        return parameters;
    }
    let mut joined = Parameters::with_capacity(parameters.len());
    let mut done: Vec<&str> = Vec::new();
    for (name, value) in &parameters {
        let Some((base, _, _)) = piece(name) else {
            joined.push((name.clone(), value.clone()));
            continue;
        };
        if done.contains(&base) {
            continue;
        }
        let mut pieces: Vec<_> = parameters
            .iter()
            .filter_map(|(name, value)| {
                piece(name)
                    .filter(|(other, _, _)| *other == base)
                    .map(|(_, number, encoded)| (number, encoded, value))
            })
            .collect();
        pieces.sort_by_key(|(number, _, _)| *number);
        if pieces.first().is_none_or(|(number, _, _)| *number != 0) {
            joined.push((name.clone(), value.clone()));
            continue;
        }
        done.push(base);
        let encoded = pieces.iter().any(|(_, encoded, _)| *encoded);
        let mut whole = Vec::new();
        for (expected, (number, piece_encoded, value)) in pieces.into_iter().enumerate() {
            if number as usize != expected || whole.len() > MAX_TEXT {
                break;
            }
            if encoded && !piece_encoded {
                percent_encode(value, &mut whole);
            } else {
                whole.extend_from_slice(value);
            }
        }
        whole.truncate(MAX_TEXT);
        joined.push((format!("{base}{}", if encoded { "*" } else { "" }), whole));
    }
    joined
}

/// `name*1*` as name, number, and whether it is encoded.
fn piece(name: &str) -> Option<(&str, u32, bool)> {
    let (plain, encoded) = match name.strip_suffix('*') {
        Some(plain) => (plain, true),
        None => (name, false),
    };
    let (base, number) = plain.rsplit_once('*')?;
    Some((base, number.parse().ok()?, encoded))
}

fn percent_encode(value: &[u8], into: &mut Vec<u8>) {
    for &byte in value {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_') {
            into.push(byte);
        } else {
            into.extend_from_slice(format!("%{byte:02X}").as_bytes());
        }
    }
}

/// Decodes `%XX`; anything else stays.
pub(crate) fn percent_decode(value: &[u8]) -> Vec<u8> {
    let hex = |byte: Option<&u8>| byte.and_then(|byte| char::from(*byte).to_digit(16));
    let mut decoded = Vec::with_capacity(value.len());
    let mut at = 0;
    while let Some(&byte) = value.get(at) {
        match (byte, hex(value.get(at + 1)), hex(value.get(at + 2))) {
            (b'%', Some(high), Some(low)) => {
                decoded.push((high * 16 + low) as u8);
                at += 3;
            }
            _ => {
                decoded.push(byte);
                at += 1;
            }
        }
    }
    decoded
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_and_parameters() {
        type Row<'a> = (&'a str, &'a str, &'a [(&'a str, &'a str)]);
        let rows: &[Row] = &[
            (" Text/PLAIN; Charset=UTF-8", "text/plain", &[("charset", "UTF-8")]),
            ("text/plain charset=gbk", "text/plain", &[("charset", "gbk")]),
            ("multipart/mixed;\r\n\tboundary=\"a;\\\"b=c\"", "multipart/mixed", &[("boundary", "a;\"b=c")]),
            ("a/b (comment; x=y); c (d) = (e) f (g)", "a/b", &[("c", "f")]),
            (
                "attachment; filename=my report.pdf ; size=3",
                "attachment",
                &[("filename", "my report.pdf"), ("size", "3")],
            ),
            ("a/b; name=\"C:\\dir\\x.txt\"", "a/b", &[("name", "C:\\dir\\x.txt")]),
            ("a/b; name=\"never ends; c=d", "a/b", &[("name", "never ends; c=d")]),
            ("a/b;; ;x;=1;\"\";c=d;c=e;", "a/b", &[("c", "d")]),
            ("a/b; c=", "a/b", &[("c", "")]),
            ("\"attachment\"; a=b", "attachment", &[("a", "b")]),
            ("", "", &[]),
            ("(((", "", &[]),
            ("a; f*=utf-8''%e4%bd%a0", "a", &[("f*", "utf-8''%e4%bd%a0")]),
            ("a; f*1=b; f*0=\"a \"; g=h; f*2=c", "a", &[("f", "a bc"), ("g", "h")]),
            ("a; f*0*=utf-8''%41; f*1=\"b c%\"; f*2*=%42", "a", &[("f*", "utf-8''%41b%20c%25%42")]),
            ("a; f*0=a; f*2=c", "a", &[("f", "a")]),
            ("a; f*1=b; f*2=c", "a", &[("f*1", "b"), ("f*2", "c")]),
        ];
        for (raw, main, parameters) in rows {
            let expected: Parameters = parameters
                .iter()
                .map(|(name, value)| ((*name).to_owned(), value.as_bytes().to_vec()))
                .collect();
            assert_eq!(parameterized(raw.as_bytes()), ((*main).to_owned(), expected), "{raw}");
        }
    }

    #[test]
    fn parameters_are_bounded() {
        let many: String = (0..5_000).map(|number| format!(";p{number}={number}")).collect();
        assert_eq!(parameterized(many.as_bytes()).1.len(), MAX_PARAMETERS);
        let long = format!("a; b={}", "x".repeat(1 << 20));
        assert_eq!(parameterized(long.as_bytes()).1[0].1.len(), MAX_TEXT);
    }
}
