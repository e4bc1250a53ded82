//! A part of a letter into which texts are put: out of its transfer encoding and back into it, in its charset where that has the
//! characters.

use std::borrow::Cow;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use encoding_rs::{BIG5, EUC_KR, Encoding, GB18030, GBK, UTF_8, WINDOWS_1252};
use pennypost_model::structure::Part;

use super::{Addition, Untouched, bytes, html, plain};
use crate::{charset, decode_part, header_fields, parameter};

/// Bytes of a line of a message, without its end (RFC 5322 section 2.1.1).
const MAX_LINE: usize = 998;
/// From so many bytes a text is not written three times as long.
const LARGE: usize = 1 << 20;
/// Bytes on a line of base64 or quoted-printable.
const LINE: usize = 76;

/// What the bytes of a text mean.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Coded {
    /// ASCII, whatever else the charset could tell.
    Ascii,
    /// By this encoding, in which ASCII stands for itself.
    As(&'static Encoding),
}

/// The text of a part.
struct Body {
    bytes: Vec<u8>,
    coded: Coded,
    /// Another charset than the header says has to be named there.
    is_renamed: bool,
}

/// Header and body of a part.
pub(super) type Anew = (Vec<u8>, Vec<u8>);

/// Header and body of the part with these texts; `None` if all of them are there already.
pub(super) fn with_additions(
    raw: &[u8],
    part: &Part,
    is_root: bool,
    additions: &[Addition<'_>],
) -> Result<Option<Anew>, Untouched> {
    let mut body = Body::of(part, decoded(part, bytes(raw, part.body))?)?;
    let has_crlf = body.bytes.windows(2).any(|pair| pair == b"\r\n") || !body.bytes.contains(&b'\n');
    let line_end = if has_crlf { "\r\n" } else { "\n" };
    let mut is_changed = false;
    for addition in additions {
        is_changed |= match &*part.media_type.1 {
            "html" => body.add_html(addition, line_end)?,
            _ => body.add_plain(addition, is_flowed(part), line_end)?,
        };
    }
    if !is_changed {
        return Ok(None);
    }
    let encoding = encoding_of(part, &body.bytes);
    let mut encoded = encoded(encoding, body.bytes);
    let end = usize::try_from(part.body.end).unwrap_or(usize::MAX);
    let has_end = raw.get(end..).is_some_and(|rest| rest.starts_with(b"\r\n") || rest.starts_with(b"\n"));
    if encoding == "base64" && has_end {
        // The line end that belongs to a boundary follows in the letter.
        encoded.truncate(encoded.len().saturating_sub(2));
    }
    let header = header(raw, part, is_root, (encoding, body.is_renamed));
    Ok(Some((header, encoded)))
}

fn is_flowed(part: &Part) -> bool {
    parameter::find(&part.parameters, "format").is_some_and(|format| format.eq_ignore_ascii_case(b"flowed"))
}

/// The body without its transfer encoding, if that is whole.
fn decoded(part: &Part, body: &[u8]) -> Result<Vec<u8>, Untouched> {
    match &*part.encoding {
        "base64" => {
            let digits: Vec<u8> = body.iter().copied().filter(|byte| !byte.is_ascii_whitespace()).collect();
            BASE64_STANDARD.decode(digits).map_err(|_| Untouched::Unknown)
        }
        "7bit" | "8bit" | "binary" | "quoted-printable" => Ok(decode_part(part, body).into_owned()),
        _ => Err(Untouched::Unknown),
    }
}

impl Body {
    fn of(part: &Part, bytes: Vec<u8>) -> Result<Body, Untouched> {
        let label = parameter::find(&part.parameters, "charset").map(<[u8]>::trim_ascii);
        let named = label.and_then(charset::encoding);
        let is_ascii_label = label.is_none_or(|label| {
            [&b"us-ascii"[..], b"ascii", b"ansi_x3.4-1968"]
                .iter()
                .any(|name| label.eq_ignore_ascii_case(name))
        });
        match named {
            None if !is_ascii_label => Err(Untouched::Unknown),
            // Escapes would say that it is not.
            None if bytes.contains(&0x1b) => Err(Untouched::Unknown),
            None if bytes.is_ascii() => Ok(Body { bytes, coded: Coded::Ascii, is_renamed: false }),
            None if std::str::from_utf8(&bytes).is_ok() => {
                Ok(Body { bytes, coded: Coded::As(UTF_8), is_renamed: true })
            }
            None => Err(Untouched::Unknown),
            Some(encoding) if encoding.is_ascii_compatible() => {
                Ok(Body { bytes, coded: Coded::As(encoding), is_renamed: false })
            }
            Some(encoding) => {
                let (text, _, is_malformed) = encoding.decode(&bytes);
                if is_malformed {
                    return Err(Untouched::Unknown);
                }
                let bytes = text.into_owned().into_bytes();
                Ok(Body { bytes, coded: Coded::As(UTF_8), is_renamed: true })
            }
        }
    }

    fn add_html(&mut self, addition: &Addition<'_>, line_end: &str) -> Result<bool, Untouched> {
        let mark = html::mark(addition);
        if memchr::memmem::find(&self.bytes, mark.as_bytes()).is_some() {
            return Ok(false);
        }
        let block = html::block(addition, line_end);
        let multibyte = [UTF_8, GB18030, GBK, BIG5, EUC_KR];
        let block = match self.coded {
            // What the charset has not is told by its number.
            Coded::As(encoding) if multibyte.contains(&encoding) => encoding.encode(&block).0.into_owned(),
            _ => html::in_ascii(&block).into_bytes(),
        };
        let (above, end) = html::places(&self.bytes).map_err(|html::Unfinished| Untouched::Unknown)?;
        let at = above.filter(|_| addition.is_above).unwrap_or(end);
        self.bytes.splice(at..at, block);
        Ok(true)
    }

    fn add_plain(
        &mut self,
        addition: &Addition<'_>,
        is_flowed: bool,
        line_end: &str,
    ) -> Result<bool, Untouched> {
        if let Some(why) = plain::pgp(&self.bytes) {
            return Err(why);
        }
        let lines = plain::lines(addition, is_flowed);
        let in_charset = |coded: Coded| -> Option<Vec<Vec<u8>>> {
            lines.iter().map(|line| line_in(coded, line).map(Cow::into_owned)).collect()
        };
        let coded = match in_charset(self.coded) {
            Some(coded) => coded,
            None => {
                self.make_utf8()?;
                in_charset(self.coded).ok_or(Untouched::Unknown)?
            }
        };
        if plain::holds(&self.bytes, &coded) {
            return Ok(false);
        }
        let at = plain::signature(&self.bytes).filter(|_| addition.is_above);
        plain::put(&mut self.bytes, &coded, at, line_end.as_bytes());
        Ok(true)
    }

    /// The text in UTF-8, in which every character can be told.
    fn make_utf8(&mut self) -> Result<(), Untouched> {
        if let Coded::As(encoding) = self.coded
            && encoding != UTF_8
        {
            let text = encoding.decode_without_bom_handling_and_without_replacement(&self.bytes);
            self.bytes = text.ok_or(Untouched::Unknown)?.into_owned().into_bytes();
        }
        (self.coded, self.is_renamed) = (Coded::As(UTF_8), true);
        Ok(())
    }
}

/// A line in the charset of a text, if that has its characters.
fn line_in(coded: Coded, line: &str) -> Option<Cow<'_, [u8]>> {
    match coded {
        _ if line.is_ascii() => Some(Cow::Borrowed(line.as_bytes())),
        Coded::Ascii => None,
        Coded::As(encoding) => {
            let (coded, _, is_unmappable) = encoding.encode(line);
            // Of what is called iso-8859-1 not everybody takes these for what they are in windows-1252.
            let is_windows = encoding == WINDOWS_1252 && coded.iter().any(|byte| (0x80..0xa0).contains(byte));
            (!is_unmappable && !is_windows).then_some(coded)
        }
    }
}

/// By which transfer encoding a text goes: its own, if that can.
fn encoding_of(part: &Part, text: &[u8]) -> &'static str {
    let fits = |line: &[u8]| line.strip_suffix(b"\r").unwrap_or(line).len() <= MAX_LINE;
    let has_lines = text.split(|byte| *byte == b'\n').all(fits) && !text.contains(&0);
    let high = text.iter().filter(|byte| !byte.is_ascii()).count();
    let escaped = text.iter().filter(|byte| !byte.is_ascii() || **byte == b'=').count();
    match &*part.encoding {
        // What bears another name than it should may grow to three times its size.
        "8bit" if has_lines => "8bit",
        "7bit" if has_lines && high == 0 => "7bit",
        "7bit" | "8bit" | "quoted-printable" if text.len() > LARGE && escaped * 3 > text.len() => "base64",
        "quoted-printable" => "quoted-printable",
        "base64" => "base64",
        "binary" => "binary",
        _ if high * 3 > text.len() => "base64",
        _ => "quoted-printable",
    }
}

fn encoded(encoding: &str, text: Vec<u8>) -> Vec<u8> {
    match encoding {
        "base64" => {
            let digits = BASE64_STANDARD.encode(&text);
            let mut lines = Vec::with_capacity(digits.len() + digits.len() / LINE * 2 + 2);
            for line in digits.as_bytes().chunks(LINE) {
                lines.extend_from_slice(line);
                lines.extend_from_slice(b"\r\n");
            }
            lines
        }
        "quoted-printable" => quoted_printable(&text),
        _ => text,
    }
}

/// Quoted-printable (RFC 2045 section 6.7): the lines stay lines.
pub(super) fn quoted_printable(text: &[u8]) -> Vec<u8> {
    let mut encoded = Vec::with_capacity(text.len() + text.len() / 4);
    for line in text.split_inclusive(|byte| *byte == b'\n') {
        let (content, has_end) = match line {
            [content @ .., b'\r', b'\n'] | [content @ .., b'\n'] => (content, true),
            content => (content, false),
        };
        let mut width = 0;
        for (index, byte) in content.iter().enumerate() {
            let is_last = index + 1 == content.len();
            let is_plain =
                matches!(byte, b'!'..=b'<' | b'>'..=b'~') || matches!(byte, b' ' | b'\t') && !is_last;
            let length = if is_plain { 1 } else { 3 };
            if width + length > LINE - 1 {
                encoded.extend_from_slice(b"=\r\n");
                width = 0;
            }
            if is_plain {
                encoded.push(*byte);
            } else {
                let digit = |value: u8| b"0123456789ABCDEF".get(usize::from(value)).copied().unwrap_or(b'0');
                encoded.extend_from_slice(&[b'=', digit(byte >> 4), digit(byte & 15)]);
            }
            width += length;
        }
        if has_end {
            encoded.extend_from_slice(b"\r\n");
        }
    }
    encoded
}

/// The header of the part with another encoding, and with the charset UTF-8, where it has them.
fn header(raw: &[u8], part: &Part, is_root: bool, (encoding, is_utf8): (&str, bool)) -> Vec<u8> {
    let block = bytes(raw, part.header);
    let is_recoded = encoding != part.encoding;
    let mut header = Vec::with_capacity(block.len() + 200);
    let (mut end, mut has_version) = (0, false);
    for (name, _, span) in header_fields(block) {
        end = usize::try_from(span.end).unwrap_or(block.len());
        let is_dropped = match &*name.to_ascii_lowercase() {
            b"content-type" => is_utf8,
            b"content-transfer-encoding" => is_recoded,
            // It was the digest of another body.
            b"content-md5" => true,
            other => {
                has_version |= other == b"mime-version";
                false
            }
        };
        if !is_dropped {
            header.extend_from_slice(bytes(block, span));
        }
    }
    if !header.is_empty() && !header.ends_with(b"\n") {
        header.extend_from_slice(b"\r\n");
    }
    if is_root && !has_version && (is_utf8 || is_recoded) {
        header.extend_from_slice(b"MIME-Version: 1.0\r\n");
    }
    if is_utf8 {
        let (kind, subtype) = &part.media_type;
        header.extend_from_slice(format!("Content-Type: {kind}/{subtype}; charset=utf-8").as_bytes());
        for (name, value) in part.parameters.iter().filter(|(name, _)| name != "charset") {
            header.extend_from_slice(format!(";\r\n {name}=\"").as_bytes());
            for byte in value.iter().filter(|byte| !matches!(byte, b'\r' | b'\n')) {
                if matches!(byte, b'"' | b'\\') {
                    header.push(b'\\');
                }
                header.push(*byte);
            }
            header.push(b'"');
        }
        header.extend_from_slice(b"\r\n");
    }
    if is_recoded {
        header.extend_from_slice(format!("Content-Transfer-Encoding: {encoding}\r\n").as_bytes());
    }
    // The empty line: where there was none there was no body.
    match block.get(end..) {
        Some(rest @ [_, ..]) => header.extend_from_slice(rest),
        _ => header.extend_from_slice(b"\r\n"),
    }
    header
}
