//! Modified UTF-7 for mailbox names (RFC 3501 section 5.1.3).

const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+,";

/// How mailbox names are written.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Names {
    /// In modified UTF-7.
    #[default]
    Utf7,
    /// In UTF-8 (RFC 6855 section 3, RFC 9051 section 5.1): `&` is a letter like others.
    Utf8,
}

impl Names {
    /// The name that a client wrote; `None` if it is none.
    #[must_use]
    pub fn decode(self, wire: &[u8]) -> Option<String> {
        match self {
            Names::Utf7 => decode(wire),
            Names::Utf8 => String::from_utf8(wire.to_vec()).ok(),
        }
    }
}

/// The name as it goes over the wire: printable ASCII.
#[must_use]
pub fn encode(name: &str) -> String {
    let mut out = String::with_capacity(name.len());
    let mut run: Vec<u16> = Vec::new();
    for character in name.chars() {
        if (' '..='~').contains(&character) {
            flush(&mut run, &mut out);
            out.push(character);
            if character == '&' {
                out.push('-');
            }
        } else {
            run.extend_from_slice(character.encode_utf16(&mut [0; 2]));
        }
    }
    flush(&mut run, &mut out);
    out
}

fn flush(run: &mut Vec<u16>, out: &mut String) {
    if run.is_empty() {
        return;
    }
    out.push('&');
    let (mut bits, mut count) = (0_u32, 0);
    for byte in run.drain(..).flat_map(u16::to_be_bytes) {
        bits = bits << 8 | u32::from(byte);
        count += 8;
        while count >= 6 {
            count -= 6;
            out.push(char::from(ALPHABET[(bits >> count & 63) as usize]));
        }
        bits &= (1 << count) - 1;
    }
    if count > 0 {
        out.push(char::from(ALPHABET[(bits << (6 - count) & 63) as usize]));
    }
    out.push('-');
}

/// The name that a client wrote. Raw UTF-8 is tolerated; `None` for what is no name in either form: only one
/// encoding of each name is taken, so that two names can't look like one.
#[must_use]
pub fn decode(wire: &[u8]) -> Option<String> {
    let text = std::str::from_utf8(wire).ok()?;
    let mut name = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((plain, shifted)) = rest.split_once('&') {
        name.push_str(plain);
        let (run, after) = shifted.split_once('-')?;
        if run.is_empty() {
            name.push('&');
        } else {
            let decoded = decode_run(run.as_bytes())?;
            if decoded.chars().any(|character| (' '..='~').contains(&character)) {
                return None;
            }
            name.push_str(&decoded);
        }
        rest = after;
    }
    name.push_str(rest);
    Some(name)
}

fn decode_run(run: &[u8]) -> Option<String> {
    let mut units: Vec<u16> = Vec::with_capacity(run.len() * 3 / 8 + 1);
    let (mut bits, mut count) = (0_u32, 0);
    for byte in run {
        let value = ALPHABET.iter().position(|known| known == byte)? as u32;
        bits = bits << 6 | value;
        count += 6;
        if count >= 16 {
            count -= 16;
            units.push((bits >> count) as u16);
            bits &= (1 << count) - 1;
        }
    }
    let padding_is_zero = count < 6 && bits == 0;
    padding_is_zero.then(|| String::from_utf16(&units).ok()).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn names_of_the_rfc() {
        for (wire, name) in [
            ("~peter/mail/&U,BTFw-/&ZeVnLIqe-", "~peter/mail/台北/日本語"),
            ("Entw&APw-rfe", "Entwürfe"),
            ("R&-D", "R&D"),
            ("&XfJT0ZAB-", "已发送"),
            ("&2D3cAA-", "\u{1f400}"),
            ("", ""),
        ] {
            assert_eq!(decode(wire.as_bytes()).as_deref(), Some(name));
            assert_eq!(encode(name), wire);
        }
        assert_eq!(decode("已发送".as_bytes()).as_deref(), Some("已发送"));
    }

    #[test]
    fn what_is_no_name_is_refused() {
        for wire in ["R&D", "&", "&Jjo!-", "&2D0-", "&AEEAQg-", "&A-", "&AGE-", "&U,BTFx-"] {
            assert_eq!(decode(wire.as_bytes()), None, "{wire}");
        }
        assert_eq!(decode(b"\xff"), None);
    }

    proptest! {
        #[test]
        fn names_come_back(name in any::<String>()) {
            prop_assert_eq!(decode(encode(&name).as_bytes()), Some(name));
        }

        #[test]
        fn arbitrary_bytes_are_harmless(wire in proptest::collection::vec(any::<u8>(), 0..200)) {
            if let Some(name) = decode(&wire) {
                prop_assert_eq!(decode(encode(&name).as_bytes()), Some(name));
            }
        }
    }
}
