//! Seven-bit forms of text that the encoding library leaves out: UTF-7 (RFC 2152) and HZ (RFC 1843).

/// UTF-7 to text; malformed runs become replacement characters.
pub(crate) fn utf7(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len());
    let mut at = 0;
    while let Some(&byte) = bytes.get(at) {
        at += 1;
        if byte != b'+' {
            text.push(if byte.is_ascii() { char::from(byte) } else { char::REPLACEMENT_CHARACTER });
            continue;
        }
        let start = at;
        let run = bytes[start..].iter().take_while(|byte| base64_value(**byte).is_some()).count();
        at += run;
        if run == 0 {
            text.push('+');
        } else {
            utf16(&bytes[start..at], &mut text);
        }
        if bytes.get(at) == Some(&b'-') {
            at += 1;
        }
    }
    text
}

fn utf16(run: &[u8], text: &mut String) {
    let (mut bits, mut held) = (0_u32, 0_u32);
    let mut units = Vec::with_capacity(run.len() / 2);
    for value in run.iter().filter_map(|byte| base64_value(*byte)) {
        bits = (bits << 6 | u32::from(value)) & 0x3F_FFFF;
        held += 6;
        if held >= 16 {
            held -= 16;
            units.push((bits >> held) as u16);
        }
    }
    text.extend(char::decode_utf16(units).map(|unit| unit.unwrap_or(char::REPLACEMENT_CHARACTER)));
}

/// HZ to GB 2312 bytes.
pub(crate) fn hz(bytes: &[u8]) -> Vec<u8> {
    let mut decoded = Vec::with_capacity(bytes.len());
    let mut chinese = false;
    let mut at = 0;
    while let Some(&byte) = bytes.get(at) {
        let pair = (byte, bytes.get(at + 1).copied());
        at += 2;
        match pair {
            (b'~', Some(b'~')) => decoded.push(b'~'),
            (b'~', Some(b'{')) => chinese = true,
            (b'~', Some(b'}')) => chinese = false,
            (b'~', Some(b'\n')) => {}
            (b'\r' | b'\n', _) => {
                // Lines begin in ASCII.
                chinese = false;
                decoded.push(byte);
                at -= 1;
            }
            (_, Some(second)) if chinese => decoded.extend([byte | 0x80, second | 0x80]),
            _ => {
                decoded.push(byte);
                at -= 1;
            }
        }
    }
    decoded
}

/// Value of a character of the base64 alphabet.
pub(crate) fn base64_value(byte: u8) -> Option<u8> {
    match byte {
        b'A'..=b'Z' => Some(byte - b'A'),
        b'a'..=b'z' => Some(byte - b'a' + 26),
        b'0'..=b'9' => Some(byte - b'0' + 52),
        b'+' => Some(62),
        b'/' => Some(63),
        _ => None,
    }
}
