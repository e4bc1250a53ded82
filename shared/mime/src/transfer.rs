//! Transfer encodings (RFC 2045 section 6), decoded as far as they make sense; broken places never lose what
//! stands behind them.

use std::borrow::Cow;

use memchr::memchr;
use pennypost_model::structure::Part;

/// The bytes of a part's body without its transfer encoding. `body` may be a beginning of the body.
#[must_use]
pub fn decode_part<'a>(part: &Part, body: &'a [u8]) -> Cow<'a, [u8]> {
    match &*part.encoding {
        "base64" => Cow::Owned(base64(body)),
        "quoted-printable" => Cow::Owned(quoted_printable(body)),
        _ => Cow::Borrowed(body),
    }
}

/// Not in the alphabet: skipped.
const SKIP: u8 = 0xFF;
/// Padding: ends a quantum.
const PADDING: u8 = 0xFE;

const VALUES: [u8; 256] = {
    let mut values = [SKIP; 256];
    let alphabet = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut value = 0;
    while value < alphabet.len() {
        values[alphabet[value] as usize] = value as u8;
        value += 1;
    }
    values[b'=' as usize] = PADDING;
    values
};

/// Decodes base64; bytes outside of the alphabet are skipped, and what follows padding is decoded on, since
/// some mailers join several encodings.
pub(crate) fn base64(body: &[u8]) -> Vec<u8> {
    let mut decoded = Vec::with_capacity(body.len() / 4 * 3 + 3);
    let (mut bits, mut count) = (0_u32, 0_u32);
    let mut rest = body;
    loop {
        // Whole quanta without anything odd in them are nearly all there is.
        while count == 0
            && let Some((quantum, more)) = rest.split_first_chunk::<4>()
        {
            let [a, b, c, d] = quantum.map(|byte| u32::from(VALUES[byte as usize]));
            if (a | b | c | d) > 63 {
                break;
            }
            let bits = a << 18 | b << 12 | c << 6 | d;
            decoded.extend_from_slice(&[(bits >> 16) as u8, (bits >> 8) as u8, bits as u8]);
            rest = more;
        }
        let Some((&byte, more)) = rest.split_first() else { break };
        rest = more;
        match VALUES[byte as usize] {
            SKIP => continue,
            PADDING => {
                flush(&mut decoded, bits, count);
                (bits, count) = (0, 0);
            }
            value => {
                bits = bits << 6 | u32::from(value);
                count += 1;
                if count == 4 {
                    decoded.extend_from_slice(&[(bits >> 16) as u8, (bits >> 8) as u8, bits as u8]);
                    (bits, count) = (0, 0);
                }
            }
        }
    }
    flush(&mut decoded, bits, count);
    decoded
}

fn flush(decoded: &mut Vec<u8>, bits: u32, count: u32) {
    match count {
        2 => decoded.push((bits >> 4) as u8),
        3 => decoded.extend_from_slice(&[(bits >> 10) as u8, (bits >> 2) as u8]),
        _ => {}
    }
}

/// Decodes quoted-printable: white space at the ends of lines is dropped, an `=` that begins no code stays.
fn quoted_printable(body: &[u8]) -> Vec<u8> {
    let mut decoded = Vec::with_capacity(body.len());
    let mut rest = body;
    while !rest.is_empty() {
        let (line, next) = match memchr(b'\n', rest) {
            Some(newline) => rest.split_at(newline + 1),
            None => (rest, &rest[rest.len()..]),
        };
        rest = next;
        let text = line.trim_ascii_end();
        let line_end = match line {
            [.., b'\r', b'\n'] => &b"\r\n"[..],
            [.., b'\n'] => b"\n",
            _ => b"",
        };
        match text.strip_suffix(b"=") {
            Some(soft) => decode_escapes(soft, &mut decoded),
            None => {
                decode_escapes(text, &mut decoded);
                decoded.extend_from_slice(line_end);
            }
        }
    }
    decoded
}

/// Decodes `=XX` in either case of letters; anything else stays.
fn decode_escapes(text: &[u8], decoded: &mut Vec<u8>) {
    let mut rest = text;
    while let Some(equals) = memchr(b'=', rest) {
        decoded.extend_from_slice(&rest[..equals]);
        rest = &rest[equals..];
        match rest.get(1..3).and_then(hex) {
            Some(byte) => {
                decoded.push(byte);
                rest = &rest[3..];
            }
            None => {
                decoded.push(b'=');
                rest = &rest[1..];
            }
        }
    }
    decoded.extend_from_slice(rest);
}

/// The byte of two hexadecimal digits.
pub(crate) fn hex(digits: &[u8]) -> Option<u8> {
    let [high, low] = digits else { return None };
    let digit = |byte: &u8| char::from(*byte).to_digit(16);
    Some((digit(high)? * 16 + digit(low)?) as u8)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::seven_bit::base64_value;

    #[test]
    fn base64_is_tolerant() {
        for (encoded, decoded) in [
            (&b""[..], &b""[..]),
            (b"aGVsbG8=", b"hello"),
            (b"aGVs\r\nbG8", b"hello"),
            (b"aGVs bG8!gd29y-bGQ=\r\n", b"hello world"),
            (b"aGk=aGk=", b"hihi"),
            (b"a", b""),
            (b"====", b""),
            (b"AAAA\n////", b"\0\0\0\xff\xff\xff"),
        ] {
            assert_eq!(base64(encoded), decoded, "{}", String::from_utf8_lossy(encoded));
        }
    }

    #[test]
    fn the_table_is_the_alphabet() {
        for byte in 0..=255_u8 {
            let value = VALUES[byte as usize];
            assert_eq!((value < 64).then_some(value), base64_value(byte));
        }
    }

    #[test]
    fn quoted_printable_is_tolerant() {
        for (encoded, decoded) in [
            (&b"a=3Db =e4=BD=A0"[..], "a=b 你".as_bytes()),
            (b"soft=\r\nline= \t\r\nend", b"softlineend"),
            (b"trailing  \r\nx\t\n", b"trailing\r\nx\n"),
            (b"100=% = =X =4", b"100=% = =X =4"),
            (b"end=", b"end"),
            (b"=\r\n", b""),
        ] {
            assert_eq!(quoted_printable(encoded), decoded, "{}", String::from_utf8_lossy(encoded));
        }
    }
}
