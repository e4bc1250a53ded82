//! Events as text, since SQS carries nothing else.
//!
//! What is sent is billed by begun 64 KB of text, ten events at most in a call: the less the text grows, the more
//! letters share a request. Thirteen bits become two of 91 printable characters: 1.23 times the bytes, where base64
//! takes 1.33 times. None of the characters is escaped in JSON, so that what functions are invoked with is as small.
//!
//! The first character tells the format: [`FORMAT`], and no document in JSON or XML begins with it. What does not
//! begin with it was put into the queue by somebody else and is handed out as it is.

/// The first character of every text.
const FORMAT: u8 = b'P';
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
    let mut text = String::with_capacity(encoded_len(bytes.len()));
    text.push(char::from(FORMAT));
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
    let characters = text.as_bytes().strip_prefix(&[FORMAT])?;
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

/// The event in the body of a message: what [`encode`] has made of it, or else the text itself.
#[must_use]
pub fn event(text: &str) -> Vec<u8> {
    decode(text).unwrap_or_else(|| text.as_bytes().to_vec())
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
    fn what_is_no_such_text_is_told() {
        for text in ["", "{}", "PA\"", "P信", "P~~", "PA", "Pé"] {
            assert_eq!(decode(text), None, "{text}");
            assert_eq!(event(text), text.as_bytes());
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
