//! Passwords: their form, their hash, and the memory of hashes that were right a moment ago.

use argon2::password_hash::{PasswordHash, PasswordHasher, PasswordVerifier, SaltString};
use argon2::{Algorithm, Argon2, Params, Version};
use pennypost_model::AccountKey;
use pennypost_model::codec::Versioned;
use pennypost_ports::ControlKey;
use serde::{Deserialize, Serialize};
use unicode_normalization::UnicodeNormalization;

use crate::DirectoryError;

/// Least number of characters of a password (NIST SP 800-63B section 5.1.1.1).
pub const MIN_PASSWORD: usize = 8;
/// Most bytes of a password.
pub const MAX_PASSWORD: usize = 1_024;

/// Memory in KiB, passes and lanes of argon2id, as OWASP advises.
const COST: (u32, u32, u32) = (19_456, 2, 1);

/// The stored proof of a password. Has no `Debug`, so that it gets into no log.
#[derive(Serialize, Deserialize)]
pub(crate) struct Credential {
    /// PHC string.
    pub(crate) phc: String,
}

impl Versioned for Credential {
    const KIND: &'static str = "credential";
}

pub(crate) fn credential_key(key: AccountKey) -> ControlKey {
    ControlKey::new(format!("{}/credentials", key.tenant), key.account.to_string())
}

/// The password as it is hashed: NFC, other spaces as plain spaces (RFC 8265 section 4.2.2, OpaqueString).
pub(crate) fn prepare(password: &str) -> String {
    let spaces = |c: char| if c.is_whitespace() && !c.is_control() { ' ' } else { c };
    password.chars().map(spaces).nfc().collect()
}

/// A new password, prepared, if it is good enough.
pub(crate) fn prepare_new(password: &str) -> Result<String, DirectoryError> {
    let failed = DirectoryError::Password { min: MIN_PASSWORD, max: MAX_PASSWORD };
    if password.len() > MAX_PASSWORD {
        return Err(failed);
    }
    let prepared = prepare(password);
    let is_good = prepared.chars().count() >= MIN_PASSWORD && !prepared.chars().any(char::is_control);
    if is_good { Ok(prepared) } else { Err(failed) }
}

fn hasher() -> Result<Argon2<'static>, argon2::Error> {
    let (memory, passes, lanes) = COST;
    Ok(Argon2::new(Algorithm::Argon2id, Version::V0x13, Params::new(memory, passes, lanes, None)?))
}

/// Hashes with a fresh salt. Takes some 20 ms of a core and 19 MiB.
pub(crate) fn hash(prepared: &str) -> Option<Credential> {
    let salt = SaltString::encode_b64(&rand::random::<[u8; 16]>()).ok()?;
    let phc = hasher().ok()?.hash_password(prepared.as_bytes(), &salt).ok()?.to_string();
    Some(Credential { phc })
}

/// Is it the password behind `phc`? Takes as long as [`hash`].
pub(crate) fn verify(prepared: &str, phc: &str) -> bool {
    let Ok(hasher) = hasher() else { return false };
    // The parameters of the stored string count, not today's.
    PasswordHash::new(phc).is_ok_and(|stored| hasher.verify_password(prepared.as_bytes(), &stored).is_ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_stored_is_argon2id_with_these_costs() {
        let credential = hash("correct horse").expect("hash");
        assert!(credential.phc.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"), "{}", credential.phc);
        assert!(!credential.phc.contains("horse"));
        assert!(verify("correct horse", &credential.phc));
        assert!(!verify("correct horsE", &credential.phc));
        assert!(!verify("correct horse", "no phc string"));
        assert_ne!(credential.phc, hash("correct horse").expect("hash").phc);
    }

    #[test]
    fn passwords_have_one_form() {
        assert_eq!(prepare("cafe\u{301}\u{3000}x"), "caf\u{e9} x");
        for bad in ["", "seven77", "tab\tinside it", "line\ninside", &"x".repeat(MAX_PASSWORD + 1)] {
            assert!(prepare_new(bad).is_err(), "{bad:?}");
        }
        assert!(prepare_new("密码密码密码密码").is_ok());
    }
}
