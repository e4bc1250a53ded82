//! Events as text, since SQS carries nothing else.
//!
//! What is sent is billed by begun 64 KB of text, ten events at most in a call: the less the text grows, the more
//! letters share a request. Thirteen bits become two of 91 printable characters: 1.23 times the bytes, where base64
//! takes 1.33 times. None of the characters is escaped in JSON, so that what functions are invoked with is as small.
//!
//! The first character tells the format, and no document in JSON or XML begins with it:
//!
//! ```text
//! P event                      one event
//! G (len event)+               several events of one tenant; len: bytes of the event, u32 little-endian
//! ```
//!
//! What does not begin with it was put into the queue by somebody else and is handed out as it is.

/// The first character of the text of one event.
const FORMAT: u8 = b'P';
/// The first character of the text of several.
const GROUP: u8 = b'G';
/// Printable ASCII without `"`, `\` and `'`.
const ALPHABET: &[u8; 91] =
    b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789!#$%&()*+,-./:;<=>?@[]^_`{|}~";
const BASE: u32 = 91;
/// Bits in two characters: 2^13 = 8192 of 91² = 8281.
const BITS: u32 = 13;
const MASK: u32 = (1 << BITS) - 1;

/// In which place of the alphabet a character stands.
const PLACES: [u8; 256] = {
    let mut places = [u8::MAX; 256];
    let mut place = 0;
    while place < ALPHABET.len() {
        places[ALPHABET[place] as usize] = place as u8;
        place += 1;
    }
    places
};

/// Bytes of the text for so many bytes.
#[must_use]
pub const fn encoded_len(bytes: usize) -> usize {
    let bits = bytes * 8;
    let rest = match bits % BITS as usize {
        0 => 0,
        1..=6 => 1,
        _ => 2,
    };
    1 + bits / BITS as usize * 2 + rest
}

/// The text for `bytes`.
#[must_use]
pub fn encode(bytes: &[u8]) -> String {
    encode_as(FORMAT, bytes)
}

/// The text for several events. One alone is written as one.
#[must_use]
pub fn encode_group(events: &[&[u8]]) -> String {
    if let [event] = events {
        return encode(event);
    }
    let mut bytes = Vec::with_capacity(group_len(events.iter().map(|event| event.len())));
    for event in events {
        bytes.extend_from_slice(&u32::try_from(event.len()).unwrap_or(u32::MAX).to_le_bytes());
        bytes.extend_from_slice(event);
    }
    encode_as(GROUP, &bytes)
}

/// Bytes of events of these sizes, before they are made a text.
fn group_len(sizes: impl Iterator<Item = usize>) -> usize {
    sizes.map(|size| size_of::<u32>() + size).sum()
}

/// Bytes of the text for events of these sizes.
#[must_use]
pub fn encoded_group_len(sizes: &[usize]) -> usize {
    match sizes {
        [size] => encoded_len(*size),
        _ => encoded_len(group_len(sizes.iter().copied())),
    }
}

fn encode_as(format: u8, bytes: &[u8]) -> String {
    let mut text = String::with_capacity(encoded_len(bytes.len()));
    text.push(char::from(format));
    let mut pair = |value: u32, characters: u32| {
        text.push(char::from(ALPHABET[(value % BASE) as usize]));
        if characters == 2 {
            text.push(char::from(ALPHABET[(value / BASE) as usize]));
        }
    };
    let (mut held, mut bits) = (0u32, 0u32);
    for byte in bytes {
        held |= u32::from(*byte) << bits;
        bits += 8;
        if bits >= BITS {
            pair(held & MASK, 2);
            held >>= BITS;
            bits -= BITS;
        }
    }
    // Six bits fit into one character.
    match bits {
        0 => {}
        1..=6 => pair(held, 1),
        _ => pair(held, 2),
    }
    text
}

/// The bytes of a text that [`encode`] has made. `None` if it is not one.
#[must_use]
pub fn decode(text: &str) -> Option<Vec<u8>> {
    decode_as(FORMAT, text)
}

fn decode_as(format: u8, text: &str) -> Option<Vec<u8>> {
    let characters = text.as_bytes().strip_prefix(&[format])?;
    let place = |character: u8| match PLACES[usize::from(character)] {
        u8::MAX => None,
        place => Some(u32::from(place)),
    };
    let mut bytes = Vec::with_capacity(characters.len() * 13 / 16);
    let (mut held, mut bits) = (0u32, 0u32);
    for pair in characters.chunks(2) {
        let (value, count) = match *pair {
            [low, high] => (place(low)? + BASE * place(high)?, BITS),
            [low] => (place(low)?, 6),
            _ => return None,
        };
        if value > MASK {
            return None;
        }
        held |= value << bits;
        bits += count;
        while bits >= 8 {
            bytes.push(held.to_le_bytes()[0]);
            held >>= 8;
            bits -= 8;
        }
    }
    // What is left was filled up with zeros, and with fewer bits than a character carries.
    let whole = held == 0 && encoded_len(bytes.len()) == text.len();
    whole.then_some(bytes)
}

/// The events of a text that [`encode_group`] has made of several. `None` if it is not one.
fn decode_group(text: &str) -> Option<Vec<Vec<u8>>> {
    let bytes = decode_as(GROUP, text)?;
    let mut rest = bytes.as_slice();
    let mut events = Vec::new();
    while !rest.is_empty() {
        let (len, behind) = rest.split_first_chunk::<4>()?;
        let (event, behind) = behind.split_at_checked(usize::try_from(u32::from_le_bytes(*len)).ok()?)?;
        events.push(event.to_vec());
        rest = behind;
    }
    (events.len() > 1).then_some(events)
}

/// The events in the body of a message, one at least: what [`encode_group`] or [`encode`] has made of them, or else the
/// text itself.
#[must_use]
pub fn events(text: &str) -> Vec<Vec<u8>> {
    match decode_group(text) {
        Some(events) => events,
        None => vec![decode(text).unwrap_or_else(|| text.as_bytes().to_vec())],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bytes(len: usize, seed: u32) -> Vec<u8> {
        let mut state = seed.wrapping_mul(2_654_435_761).wrapping_add(1);
        let mut next = || {
            state ^= state << 13;
            state ^= state >> 17;
            state ^= state << 5;
            state.to_le_bytes()[0]
        };
        (0..len).map(|_| next()).collect()
    }

    #[test]
    fn bytes_come_back_from_text_of_the_promised_length() {
        for len in (0..300).chain([4096, 65_535, 262_144]) {
            for sample in [bytes(len, 7), vec![0; len], vec![255; len]] {
                let text = encode(&sample);
                assert_eq!(text.len(), encoded_len(len), "{len}");
                assert!(text.bytes().all(|byte| byte.is_ascii_graphic() && !b"\"\\'".contains(&byte)));
                assert_eq!(decode(&text).as_deref(), Some(sample.as_slice()), "{len}");
            }
        }
        assert_eq!(encoded_len(13_000), 16_001);
    }

    #[test]
    fn an_event_at_its_limit_stays_below_what_every_queue_service_takes() {
        let envelope = 7 * 1024;
        let longest = pennypost_model::event::Body::INLINE_LIMIT + envelope;
        assert!(encoded_len(longest) <= 256 * 1024);
    }

    #[test]
    fn several_events_come_back_from_one_text() {
        for sizes in [&[5_usize][..], &[0, 1], &[300, 7_000, 1, 2_500], &[64; 40]] {
            let parts: Vec<Vec<u8>> =
                sizes.iter().enumerate().map(|(seed, len)| bytes(*len, seed as u32)).collect();
            let text = encode_group(&parts.iter().map(Vec::as_slice).collect::<Vec<_>>());
            assert_eq!(text.len(), encoded_group_len(sizes), "{sizes:?}");
            assert_eq!(events(&text), parts, "{sizes:?}");
            assert_eq!(decode(&text).is_some(), sizes.len() == 1);
        }
        // Cut, with a length that is not there, of one, of none: somebody else's.
        let alone = encode_as(GROUP, &[3, 0, 0, 0, 1, 2, 3]);
        let short = encode_as(GROUP, &[3, 0, 0, 0, 1, 2, 3, 9, 0, 0, 0, 1]);
        let cut = encode_as(GROUP, &[3, 0, 0, 0, 1, 2, 3, 9]);
        let huge = encode_as(GROUP, &[255; 12]);
        for text in [alone.as_str(), &short, &cut, &huge, "G", "GG", "G\""] {
            assert_eq!(events(text), [text.as_bytes()], "{text}");
        }
    }

    #[test]
    fn what_is_no_such_text_is_told() {
        for text in ["", "{}", "PA\"", "P信", "P~~", "PA", "Pé"] {
            assert_eq!(decode(text), None, "{text}");
            assert_eq!(events(text), [text.as_bytes()]);
        }
        // Each text is the only one of its bytes: one more character is another's.
        for len in 0..60 {
            let text = encode(&bytes(len, 3));
            for extra in ["A", "AA", "B"] {
                let longer = format!("{text}{extra}");
                let decoded = decode(&longer);
                assert!(decoded.is_none_or(|bytes| encode(&bytes) == longer), "{longer}");
            }
        }
    }
}
