//! Keys that seal and open.

use async_trait::async_trait;
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use pennypost_ports::{PortError, PortResult, Secrets};
use ring::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use ring::digest;
use ring::rand::{SecureRandom, SystemRandom};
use zeroize::Zeroizing;

/// The format of what is sealed.
const VERSION: u8 = 1;
/// Bytes that name a key.
const NAME_LEN: usize = 4;
/// Bytes of a key.
const KEY_LEN: usize = 32;
/// Bytes of a secret at most.
const MAX_SECRET: usize = 64 * 1024;
/// Keys of a ring at most.
const MAX_KEYS: usize = 16;
const PORT: &str = "secrets";

/// Keys that can't be.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadKeys {
    /// A key that is none. The number is told, and never the text.
    #[error("key {0} is not 32 bytes in base64")]
    Form(usize),
    /// None at all, or more than anybody needs.
    #[error("there must be 1 to 16 keys")]
    Count,
}

struct Key {
    /// The beginning of the digest of the key.
    name: [u8; NAME_LEN],
    key: LessSafeKey,
}

/// Keys that seal and open.
pub struct Keyring {
    /// The first one seals.
    keys: Vec<Key>,
    random: SystemRandom,
}

impl Keyring {
    /// Keys as they are written: 32 bytes in base64 each, separated by commas, blanks or lines. What stands behind `#` in a
    /// line is not read.
    ///
    /// # Errors
    /// [`BadKeys`].
    pub fn parse(text: &str) -> Result<Keyring, BadKeys> {
        let lines = text.lines().map(|line| line.split('#').next().unwrap_or_default());
        let words = lines.flat_map(|line| line.split([',', ' ', '\t'])).filter(|word| !word.is_empty());
        let keys: Result<Vec<Key>, BadKeys> =
            words.enumerate().map(|(index, word)| key(word).ok_or(BadKeys::Form(index + 1))).collect();
        let keys = keys?;
        if !(1..=MAX_KEYS).contains(&keys.len()) {
            return Err(BadKeys::Count);
        }
        Ok(Keyring { keys, random: SystemRandom::new() })
    }

    /// A fresh key, as it is written; `None` if the machine has no randomness.
    #[must_use]
    pub fn fresh() -> Option<Zeroizing<String>> {
        let mut bytes = Zeroizing::new([0_u8; KEY_LEN]);
        SystemRandom::new().fill(&mut *bytes).ok()?;
        Some(Zeroizing::new(BASE64_STANDARD.encode(*bytes)))
    }

    /// As [`Secrets::seal`].
    ///
    /// # Errors
    /// As there.
    pub fn seal_now(&self, context: &str, secret: &[u8]) -> PortResult<Vec<u8>> {
        if secret.len() > MAX_SECRET {
            let cause = format!("a secret of {} bytes", secret.len());
            return Err(PortError::Refused { port: PORT, cause });
        }
        let unable = || PortError::Unavailable { port: PORT, cause: "nothing can be sealed".to_owned() };
        let Key { name, key } = self.keys.first().ok_or_else(unable)?;
        let mut nonce = [0; NONCE_LEN];
        self.random.fill(&mut nonce).map_err(|_| unable())?;
        let mut text = secret.to_vec();
        key.seal_in_place_append_tag(Nonce::assume_unique_for_key(nonce), Aad::from(context), &mut text)
            .map_err(|_| unable())?;
        Ok([&[VERSION][..], name, &nonce, &text].concat())
    }

    /// As [`Secrets::open`].
    ///
    /// # Errors
    /// As there.
    pub fn open_now(&self, context: &str, sealed: &[u8]) -> PortResult<Vec<u8>> {
        let damaged =
            || PortError::Damaged { port: PORT, cause: format!("what lies at {context} is no secret of it") };
        let (version, rest) = sealed.split_first().ok_or_else(damaged)?;
        if *version != VERSION {
            return Err(damaged());
        }
        let (name, rest) = rest.split_first_chunk::<NAME_LEN>().ok_or_else(damaged)?;
        let (nonce, text) = rest.split_first_chunk::<NONCE_LEN>().ok_or_else(damaged)?;
        let mut named = self.keys.iter().filter(|key| key.name == *name).peekable();
        if named.peek().is_none() {
            let shown: String = name.iter().map(|byte| format!("{byte:02x}")).collect();
            return Err(PortError::NotFound { port: PORT, what: format!("key {shown}") });
        }
        for Key { key, .. } in named {
            let mut text = Zeroizing::new(text.to_vec());
            let nonce = Nonce::assume_unique_for_key(*nonce);
            if let Ok(secret) = key.open_in_place(nonce, Aad::from(context), &mut text) {
                return Ok(secret.to_vec());
            }
        }
        Err(damaged())
    }
}

fn key(word: &str) -> Option<Key> {
    let bytes = Zeroizing::new(BASE64_STANDARD.decode(word).ok()?);
    if bytes.len() != KEY_LEN {
        return None;
    }
    let digest = digest::digest(&digest::SHA256, &bytes);
    let name = *digest.as_ref().first_chunk::<NAME_LEN>()?;
    let key = LessSafeKey::new(UnboundKey::new(&AES_256_GCM, &bytes).ok()?);
    Some(Key { name, key })
}

#[async_trait]
impl Secrets for Keyring {
    async fn seal(&self, context: &str, secret: &[u8]) -> PortResult<Vec<u8>> {
        self.seal_now(context, secret)
    }

    async fn open(&self, context: &str, sealed: &[u8]) -> PortResult<Vec<u8>> {
        self.open_now(context, sealed)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn fresh() -> String {
        Keyring::fresh().expect("randomness").to_string()
    }

    #[test]
    fn what_was_sealed_opens_at_its_place_with_its_key_only() {
        let (old, new) = (fresh(), fresh());
        let ring = Keyring::parse(&old).expect("a key");
        let sealed = ring.seal_now("t1/totp/a1", b"a secret").expect("sealed");
        assert_eq!(ring.open_now("t1/totp/a1", &sealed), Ok(b"a secret".to_vec()));
        assert_ne!(ring.seal_now("t1/totp/a1", b"a secret").expect("sealed"), sealed);
        let elsewhere = ring.open_now("t1/totp/a2", &sealed);
        assert!(matches!(elsewhere, Err(PortError::Damaged { .. })), "{elsewhere:?}");

        // A new key in front seals; the old one still opens.
        let both = Keyring::parse(&format!("{new} # since today\n{old}\n")).expect("keys");
        assert_eq!(both.open_now("t1/totp/a1", &sealed), Ok(b"a secret".to_vec()));
        let again = both.seal_now("t1/totp/a1", b"a secret").expect("sealed");
        let gone = ring.open_now("t1/totp/a1", &again);
        assert!(matches!(gone, Err(PortError::NotFound { .. })), "{gone:?}");
        assert!(matches!(ring.seal_now("x", &vec![0; MAX_SECRET + 1]), Err(PortError::Refused { .. })));
    }

    #[test]
    fn every_flipped_bit_and_every_cut_is_noticed() {
        let ring = Keyring::parse(&fresh()).expect("a key");
        let sealed = ring.seal_now("here", b"a secret").expect("sealed");
        for bit in 0..sealed.len() * 8 {
            let mut damaged = sealed.clone();
            damaged[bit / 8] ^= 1 << (bit % 8);
            assert!(ring.open_now("here", &damaged).is_err(), "bit {bit}");
        }
        for len in 0..sealed.len() {
            assert!(ring.open_now("here", &sealed[..len]).is_err(), "{len} bytes");
        }
    }

    #[test]
    fn keys_that_can_not_be_are_told_and_not_shown() {
        assert_eq!(Keyring::parse("# nothing\n").err(), Some(BadKeys::Count));
        let short = BASE64_STANDARD.encode([7; 31]);
        let error = Keyring::parse(&format!("{}, {short}", fresh())).err().expect("refused");
        assert_eq!(error, BadKeys::Form(2));
        assert!(!error.to_string().contains(&short));
        let many = vec![fresh(); MAX_KEYS + 1].join(" ");
        assert_eq!(Keyring::parse(&many).err(), Some(BadKeys::Count));
    }

    proptest! {
        #[test]
        fn nothing_panics(sealed in proptest::collection::vec(any::<u8>(), 0..100), text in ".{0,100}") {
            let ring = Keyring::parse(&fresh()).expect("a key");
            prop_assert!(ring.open_now("here", &sealed).is_err());
            let _ = Keyring::parse(&text);
        }
    }
}
