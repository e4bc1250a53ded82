//! xtext (RFC 3461 section 4): a text in which what can't stand in a command is written as `+` and two digits.

/// The text that is written so; `None` if that is none, or it is not printable ASCII.
#[must_use]
pub fn from_xtext(written: &str) -> Option<String> {
    let mut text = String::with_capacity(written.len());
    let mut rest = written.bytes();
    while let Some(byte) = rest.next() {
        let byte = match byte {
            b'+' => {
                // Digits are written large.
                let digit = |byte: u8| match byte {
                    b'0'..=b'9' => Some(byte - b'0'),
                    b'A'..=b'F' => Some(byte - b'A' + 10),
                    _ => None,
                };
                digit(rest.next()?)? * 16 + digit(rest.next()?)?
            }
            b'!'..=b'~' if byte != b'=' => byte,
            _ => return None,
        };
        if !matches!(byte, b' '..=b'~') {
            return None;
        }
        text.push(char::from(byte));
    }
    Some(text)
}

/// The text as it is written so.
#[must_use]
pub fn to_xtext(text: &str) -> String {
    let mut written = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'!'..=b'~' if !matches!(byte, b'+' | b'=') => written.push(char::from(byte)),
            byte => written.push_str(&format!("+{byte:02X}")),
        }
    }
    written
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn xtext_is_read_as_it_is_written() {
        for (text, written) in [
            ("", ""),
            ("QQ314159", "QQ314159"),
            ("a+b=c d", "a+2Bb+3Dc+20d"),
            ("me@x.example", "me@x.example"),
        ] {
            assert_eq!(to_xtext(text), written);
            assert_eq!(from_xtext(written).as_deref(), Some(text));
        }
        for bad in ["+", "+2", "+2b", "+GG", "a=b", "a b", "+00", "+0D", "+0A", "+7F", "+E4", "ä"] {
            assert_eq!(from_xtext(bad), None, "{bad}");
        }
    }
}
