//! Fresh pairs of keys.

use ring::rand::SystemRandom;
use ring::signature::{Ed25519KeyPair, KeyPair};
use rsa::pkcs8::{EncodePrivateKey, EncodePublicKey};
use rsa::rand_core::OsRng;
use rsa::{RsaPrivateKey, RsaPublicKey};
use zeroize::Zeroizing;

use crate::{Algorithm, SigningError};

/// Bits of a key of RSA: what RFC 8301 section 3.2 recommends. More do not fit into a record of 512 bytes.
const RSA_BITS: usize = 2_048;

/// A fresh pair.
pub(crate) struct Pair {
    /// PKCS #8.
    pub(crate) private: Zeroizing<Vec<u8>>,
    /// As a record has it: 32 bytes of Ed25519 (RFC 8463 section 4), a `SubjectPublicKeyInfo` of RSA, as everybody
    /// publishes it (RFC 6376 erratum 7001).
    pub(crate) public: Vec<u8>,
}

/// Makes a pair. Takes a part of a second for RSA, without a pause.
pub(crate) fn make(algorithm: Algorithm) -> Result<Pair, SigningError> {
    let failed = |cause: &dyn std::fmt::Display| SigningError::Crypto(cause.to_string());
    match algorithm {
        Algorithm::Ed25519 => {
            let private = Ed25519KeyPair::generate_pkcs8(&SystemRandom::new()).map_err(|e| failed(&e))?;
            let pair = Ed25519KeyPair::from_pkcs8(private.as_ref()).map_err(|e| failed(&e))?;
            let public = pair.public_key().as_ref().to_vec();
            Ok(Pair { private: Zeroizing::new(private.as_ref().to_vec()), public })
        }
        // Timing of this crate's private operations has been found to leak (RUSTSEC-2023-0071): none is made with it here,
        // ring signs.
        Algorithm::Rsa => {
            let key = RsaPrivateKey::new(&mut OsRng, RSA_BITS).map_err(|e| failed(&e))?;
            let public = RsaPublicKey::from(&key).to_public_key_der().map_err(|e| failed(&e))?;
            let private = key.to_pkcs8_der().map_err(|e| failed(&e))?;
            Ok(Pair { private: Zeroizing::new(private.as_bytes().to_vec()), public: public.into_vec() })
        }
    }
}
