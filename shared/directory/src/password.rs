//! Passwords: their form, and what is stored of them.

use argon2::password_hash::{self, Output, ParamsString, PasswordHash, Salt, SaltString};
use argon2::{Algorithm, Argon2, Block, Params, Version};
use parking_lot::Mutex;
use pennypost_model::codec::{CodecError, Versioned, decode_plain};
use pennypost_model::{AccountKey, Timestamp};
use pennypost_ports::ControlKey;
use serde::{Deserialize, Serialize};
use unicode_normalization::UnicodeNormalization;

use crate::scram::ScramKeys;

/// Least number of characters of a password (NIST SP 800-63B section 5.1.1.1).
pub const MIN_PASSWORD: usize = 8;
/// Most bytes of a password.
pub const MAX_PASSWORD: usize = 1_024;

/// Memory in KiB, passes and lanes of argon2id, as OWASP advises.
const COST: (u32, u32, u32) = (19_456, 2, 1);

/// The stored proof of a password. Has no `Debug`, so that it gets into no log.
#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct Credential {
    /// PHC string.
    pub(crate) phc: String,
    /// For SCRAM. `None` for a password that was set before there was SCRAM: filled in at the next sign-in
    /// that says the password.
    pub(crate) scram: Option<ScramKeys>,
    /// When it was set; `None` of one that was set before this was noted: with the account.
    pub(crate) set: Option<Timestamp>,
    /// Its owner has to set another one at the next sign-in that can ask for it (AUT-06).
    pub(crate) must_change: bool,
    /// PHC strings of those before, the latest first, as many as the tenant wants remembered (AUT-13).
    pub(crate) history: Vec<String>,
}

impl Versioned for Credential {
    const KIND: &'static str = "credential";
    const VERSION: u8 = 3;

    fn upgrade(found: u8, bytes: &[u8]) -> Result<Credential, CodecError> {
        let CredentialV2 { phc, scram } = match found {
            // Version 1 was the PHC string alone.
            1 => CredentialV2 { phc: decode_plain(Self::KIND, bytes)?, scram: None },
            2 => decode_plain(Self::KIND, bytes)?,
            _ => return Err(CodecError::Version { kind: Self::KIND, found, known: Self::VERSION }),
        };
        Ok(Credential { phc, scram, set: None, must_change: false, history: Vec::new() })
    }
}

/// As stored before passwords had an age.
#[derive(Serialize, Deserialize)]
struct CredentialV2 {
    phc: String,
    scram: Option<ScramKeys>,
}

pub(crate) fn credential_key(key: AccountKey) -> ControlKey {
    ControlKey::new(format!("{}/credentials", key.tenant), key.account.to_string())
}

/// The password as it is hashed: NFC, other spaces as plain spaces (RFC 8265 section 4.2.2, OpaqueString).
pub(crate) fn prepare(password: &str) -> String {
    let spaces = |c: char| if c.is_whitespace() && !c.is_control() { ' ' } else { c };
    password.chars().map(spaces).nfc().collect()
}

fn hasher() -> Result<Argon2<'static>, argon2::Error> {
    let (memory, passes, lanes) = COST;
    Ok(Argon2::new(Algorithm::Argon2id, Version::V0x13, Params::new(memory, passes, lanes, None)?))
}

/// What is stored of a password, with fresh salts. Takes some 30 ms of a core and 19 MiB.
pub(crate) fn hashed(prepared: &str) -> Option<(String, ScramKeys)> {
    Some((hash(prepared)?, ScramKeys::derive(prepared)))
}

/// Hashes with a fresh salt. Takes some 20 ms of a core and 19 MiB.
pub(crate) fn hash(prepared: &str) -> Option<String> {
    let salt = SaltString::encode_b64(&rand::random::<[u8; 16]>()).ok()?;
    let hasher = hasher().ok()?;
    let hash = derive(&hasher, prepared, salt.as_salt(), Params::DEFAULT_OUTPUT_LEN).ok()?;
    let stored = PasswordHash {
        algorithm: Algorithm::Argon2id.ident(),
        version: Some(Version::V0x13.into()),
        params: ParamsString::try_from(hasher.params()).ok()?,
        salt: Some(salt.as_salt()),
        hash: Some(hash),
    };
    Some(stored.to_string())
}

/// Is it the password behind `phc`? Takes as long as [`hash`].
pub(crate) fn verify(prepared: &str, phc: &str) -> bool {
    let is_behind = || -> Result<bool, password_hash::Error> {
        let stored = PasswordHash::new(phc)?;
        let (Some(salt), Some(hash)) = (stored.salt, stored.hash) else { return Ok(false) };
        // The parameters of the stored string count, not today's.
        let algorithm = Algorithm::try_from(stored.algorithm)?;
        let version = stored.version.map(Version::try_from).transpose()?.unwrap_or_default();
        let hasher = Argon2::new(algorithm, version, Params::try_from(&stored)?);
        // In constant time.
        Ok(derive(&hasher, prepared, salt, hash.len())? == hash)
    };
    is_behind().unwrap_or(false)
}

/// Memory that hashes have worked in, for the next ones. An allocator that gets 19 MiB back from each thread that
/// ever hashed keeps them all.
static WORKPLACES: Mutex<Vec<Vec<Block>>> = Mutex::new(Vec::new());
/// How many are kept.
const MAX_WORKPLACES: usize = 2;

fn derive(
    hasher: &Argon2<'_>,
    prepared: &str,
    salt: Salt<'_>,
    len: usize,
) -> Result<Output, password_hash::Error> {
    let mut salt_bytes = [0; 64];
    let salt = salt.decode_b64(&mut salt_bytes)?;
    let mut place = WORKPLACES.lock().pop().unwrap_or_default();
    place.resize(hasher.params().block_count(), Block::new());
    let output = Output::init_with(len, |output| {
        Ok(hasher.hash_password_into_with_memory(prepared.as_bytes(), salt, output, &mut place)?)
    });
    let mut places = WORKPLACES.lock();
    if places.len() < MAX_WORKPLACES {
        places.push(place);
    }
    output
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::password_rules::{Names, PasswordRules};
    use pennypost_model::codec::{decode, encode, encode_plain};

    #[test]
    fn what_is_stored_is_argon2id_with_these_costs() {
        let phc = hash("correct horse").expect("hash");
        assert!(phc.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"), "{phc}");
        assert!(!phc.contains("horse"));
        assert!(verify("correct horse", &phc));
        assert!(!verify("correct horsE", &phc));
        assert!(!verify("correct horse", "no phc string"));
        assert_ne!(phc, hash("correct horse").expect("hash"));
    }

    #[test]
    fn credentials_of_earlier_versions_are_read() {
        let phc = || "$argon2id$x".to_owned();
        let keys = ScramKeys::derive("correct horse");
        let first = encode_plain(&phc(), 1);
        let second = encode_plain(&CredentialV2 { phc: phc(), scram: Some(keys.clone()) }, 2);
        for (bytes, has_keys) in [(first, false), (second, true)] {
            let read = decode::<Credential>(&bytes).expect("read");
            assert!(read.phc == phc() && read.scram.is_some() == has_keys);
            assert!(read.set.is_none() && !read.must_change && read.history.is_empty());
            let again = decode::<Credential>(&encode(&read)).expect("read");
            assert!(again.phc == phc() && again.scram.is_some() == has_keys);
        }
        assert!(decode::<Credential>(&[4, 0]).is_err());
        assert!(decode::<Credential>(&[1, 200]).is_err());
    }

    #[test]
    fn passwords_have_one_form() {
        assert_eq!(prepare("cafe\u{301}\u{3000}x"), "caf\u{e9} x");
        let is_good =
            |text: &str| PasswordRules::default().broken_by(&prepare(text), Names::default()).is_empty();
        for bad in ["", "seven77", "tab\tinside it", "line\ninside", &"x".repeat(MAX_PASSWORD + 1)] {
            assert!(!is_good(bad), "{bad:?}");
        }
        assert!(is_good("密码密码密码密码"));
    }
}
