//! The keys of SCRAM-SHA-256 (RFC 5802, RFC 7677): what is stored of a password so that its owner can prove to
//! know it without saying it. Pure.
//!
//! The stored keys are no password: whoever steals them can pass for the server, and can guess at the password
//! at the price of one PBKDF2 for each guess, which is why there are so many more rounds than RFC 7677 asks for.

use std::num::NonZeroU32;

use ring::{digest, hmac, pbkdf2};
use serde::{Deserialize, Serialize};
use unicode_normalization::UnicodeNormalization;

/// Rounds of PBKDF2. RFC 7677 section 4 asks for 4,096 at least; each costs the member's program the same as us.
pub(crate) const ITERATIONS: u32 = 50_000;
const ROUNDS: NonZeroU32 = match NonZeroU32::new(ITERATIONS) {
    Some(rounds) => rounds,
    None => NonZeroU32::MIN,
};
/// Bytes of a salt.
pub(crate) const SALT: usize = 16;
/// Bytes of a key, a proof and a signature.
const KEY: usize = 32;

/// StoredKey and ServerKey of a password (RFC 5802 section 3). Has no `Debug`, so that it gets into no log.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct ScramKeys {
    pub(crate) salt: [u8; SALT],
    pub(crate) iterations: u32,
    stored_key: [u8; KEY],
    server_key: [u8; KEY],
}

impl ScramKeys {
    /// The keys of a password with a fresh salt. Takes some 10 ms of a core.
    pub(crate) fn derive(password: &str) -> ScramKeys {
        ScramKeys::with_salt(password, rand::random(), ROUNDS)
    }

    fn with_salt(password: &str, salt: [u8; SALT], rounds: NonZeroU32) -> ScramKeys {
        let mut salted = [0; KEY];
        pbkdf2::derive(pbkdf2::PBKDF2_HMAC_SHA256, rounds, &salt, saslprep(password).as_bytes(), &mut salted);
        let client_key = mac(&salted, b"Client Key");
        let stored_key = sha256(&client_key);
        ScramKeys { salt, iterations: rounds.get(), stored_key, server_key: mac(&salted, b"Server Key") }
    }

    /// Is this the client's proof for that exchange? If so, the server's signature, by which the client knows
    /// that we have the keys.
    pub(crate) fn check(&self, auth_message: &[u8], proof: &[u8]) -> Option<[u8; KEY]> {
        let signature = mac(&self.stored_key, auth_message);
        let proof: &[u8; KEY] = proof.try_into().ok()?;
        let mut client_key = [0; KEY];
        for (byte, (a, b)) in client_key.iter_mut().zip(proof.iter().zip(signature)) {
            *byte = a ^ b;
        }
        // As hashes, so that the time of the comparison tells nothing.
        let is_right = sha256(&sha256(&client_key)) == sha256(&self.stored_key);
        is_right.then(|| mac(&self.server_key, auth_message))
    }
}

fn mac(key: &[u8], text: &[u8]) -> [u8; KEY] {
    let tag = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, key), text);
    let mut bytes = [0; KEY];
    bytes.copy_from_slice(tag.as_ref());
    bytes
}

fn sha256(text: &[u8]) -> [u8; KEY] {
    let mut bytes = [0; KEY];
    bytes.copy_from_slice(digest::digest(&digest::SHA256, text).as_ref());
    bytes
}

/// A salt for a login that has no keys: the same each time, so that it looks like any other.
pub(crate) fn salt_of_nobody(key: &[u8; KEY], login: &str) -> [u8; SALT] {
    let mac = mac(key, login.as_bytes());
    let mut salt = [0; SALT];
    salt.copy_from_slice(&mac[..SALT]);
    salt
}

/// The password as SCRAM clients hash it (RFC 4013 section 2): NFKC, spaces as plain ones, without what is
/// "commonly mapped to nothing". What SASLprep forbids is kept: such a password works with whoever keeps it, too.
fn saslprep(password: &str) -> String {
    let mapped = password.chars().filter(|c| !is_mapped_to_nothing(*c)).map(|c| match c {
        '\u{a0}' | '\u{1680}' | '\u{2000}'..='\u{200b}' | '\u{202f}' | '\u{205f}' | '\u{3000}' => ' ',
        other => other,
    });
    mapped.nfkc().collect()
}

/// RFC 3454 table B.1.
const fn is_mapped_to_nothing(c: char) -> bool {
    matches!(
        c,
        '\u{ad}' | '\u{34f}' | '\u{1806}' | '\u{180b}'..='\u{180d}' | '\u{200c}' | '\u{200d}' | '\u{2060}'
            | '\u{fe00}'..='\u{fe0f}' | '\u{feff}'
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 7677 section 3.
    #[test]
    fn the_example_of_the_rfc_holds() {
        let salt =
            [0x5b, 0x6d, 0x99, 0x68, 0x9d, 0x12, 0x35, 0x8e, 0xec, 0xa0, 0x4b, 0x14, 0x12, 0x36, 0xfa, 0x81];
        let keys = ScramKeys::with_salt("pencil", salt, NonZeroU32::new(4096).expect("rounds"));
        let auth_message = b"n=user,r=rOprNGfwEbeRWgbNEkqO,\
            r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096,\
            c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0";
        // dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=
        let proof = [
            0x74, 0x7c, 0xdb, 0x65, 0xaa, 0x56, 0x22, 0x4e, 0x23, 0x52, 0x13, 0x7e, 0x52, 0xd7, 0xbd, 0xca,
            0xd6, 0xa0, 0xf7, 0x38, 0xdf, 0x30, 0x78, 0x2c, 0xaa, 0x69, 0xa2, 0xcf, 0xb0, 0x27, 0x75, 0x54,
        ];
        // 6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=
        let signature = [
            0xea, 0xba, 0xe2, 0x4d, 0x10, 0x62, 0xdb, 0x75, 0xa9, 0x45, 0x1f, 0xf0, 0xb6, 0xea, 0x7e, 0x98,
            0xc8, 0x54, 0x65, 0x49, 0xff, 0x74, 0x1e, 0x67, 0x2d, 0x32, 0x51, 0xb2, 0x39, 0x7d, 0xe4, 0x6e,
        ];
        assert_eq!(keys.check(auth_message, &proof), Some(signature));
        assert_eq!(keys.check(b"another exchange", &proof), None);
        for wrong in [&proof[..31], &[], &[0; 32]] {
            assert_eq!(keys.check(auth_message, wrong), None);
        }
    }

    /// RFC 4013 section 3.
    #[test]
    fn passwords_are_prepared_as_clients_do() {
        for (written, prepared) in [
            ("I\u{ad}X", "IX"),
            ("user", "user"),
            ("USER", "USER"),
            ("\u{aa}", "a"),
            ("\u{2168}", "IX"),
            ("a\u{3000}b", "a b"),
            ("密码", "密码"),
        ] {
            assert_eq!(saslprep(written), prepared);
        }
    }

    #[test]
    fn nobody_has_the_same_salt_each_time_and_no_two_have_the_same() {
        let key = [7; 32];
        assert_eq!(salt_of_nobody(&key, "a@b.example"), salt_of_nobody(&key, "a@b.example"));
        assert_ne!(salt_of_nobody(&key, "a@b.example"), salt_of_nobody(&key, "c@b.example"));
        assert_ne!(ScramKeys::derive("x").salt, ScramKeys::derive("x").salt);
    }
}
