//! Keys of passkeys: as authenticators write them (COSE, RFC 9052 section 7, RFC 9053), and as they are kept.

use ciborium::Value;
use ring::signature::{
    ECDSA_P256_SHA256_ASN1, ED25519, RSA_PKCS1_2048_8192_SHA256, RsaPublicKeyComponents, UnparsedPublicKey,
};
use serde::{Deserialize, Serialize};

use crate::Refused;

/// The algorithms that are known, by their numbers in COSE, the best first.
pub const ALGORITHMS: [i32; 3] = [-8, -7, -257];

/// The key with which a passkey's signatures are verified. Stored: new kinds at the end.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum PublicKey {
    /// ECDSA on P-256 with SHA-256: the point, not compressed.
    Es256(Vec<u8>),
    /// Ed25519.
    EdDsa(Vec<u8>),
    /// RSA with PKCS #1 version 1.5 and SHA-256.
    Rs256 {
        /// Modulus.
        n: Vec<u8>,
        /// Exponent.
        e: Vec<u8>,
    },
}

/// The members of a COSE key, by their labels.
const KIND: i32 = 1;
const ALGORITHM: i32 = 3;
const FIRST: i32 = -1;
const SECOND: i32 = -2;
const THIRD: i32 = -3;

/// One value of CBOR, and what follows it.
pub(crate) fn first_value(mut bytes: &[u8]) -> Result<(Value, &[u8]), Refused> {
    let value = ciborium::from_reader(&mut bytes).map_err(|_| Refused::Form)?;
    Ok((value, bytes))
}

/// One value of CBOR, and nothing after it.
pub(crate) fn whole_value(bytes: &[u8]) -> Result<Value, Refused> {
    match first_value(bytes)? {
        (value, []) => Ok(value),
        _ => Err(Refused::Form),
    }
}

fn member(map: &Value, label: i32) -> Option<&Value> {
    let is_it = |key: &Value| key.as_integer() == Some(label.into());
    map.as_map()?.iter().find(|(key, _)| is_it(key)).map(|(_, value)| value)
}

impl PublicKey {
    pub(crate) fn parse(key: &Value) -> Result<PublicKey, Refused> {
        let number = |label| {
            let number = member(key, label).and_then(Value::as_integer).ok_or(Refused::Form)?;
            i32::try_from(number).map_err(|_| Refused::Form)
        };
        let bytes =
            |label| member(key, label).and_then(Value::as_bytes).map(Vec::as_slice).ok_or(Refused::Form);
        let of_32 = |label| {
            bytes(label).and_then(|found| if found.len() == 32 { Ok(found) } else { Err(Refused::Form) })
        };
        match (number(KIND)?, number(ALGORITHM)?) {
            (2, -7) if number(FIRST)? == 1 => {
                let point = [&[4], of_32(SECOND)?, of_32(THIRD)?].concat();
                Ok(PublicKey::Es256(point))
            }
            (1, -8) if number(FIRST)? == 6 => Ok(PublicKey::EdDsa(of_32(SECOND)?.to_vec())),
            (3, -257) => {
                let (n, e) = (bytes(FIRST)?.to_vec(), bytes(SECOND)?.to_vec());
                // As long as a signature of it can be verified, and no longer.
                if (256..=1024).contains(&n.len()) && (1..=8).contains(&e.len()) {
                    Ok(PublicKey::Rs256 { n, e })
                } else {
                    Err(Refused::Algorithm)
                }
            }
            _ => Err(Refused::Algorithm),
        }
    }

    pub(crate) fn verify(&self, message: &[u8], signature: &[u8]) -> Result<(), Refused> {
        let verified = match self {
            PublicKey::Es256(point) => {
                UnparsedPublicKey::new(&ECDSA_P256_SHA256_ASN1, point).verify(message, signature)
            }
            PublicKey::EdDsa(key) => UnparsedPublicKey::new(&ED25519, key).verify(message, signature),
            PublicKey::Rs256 { n, e } => {
                RsaPublicKeyComponents { n, e }.verify(&RSA_PKCS1_2048_8192_SHA256, message, signature)
            }
        };
        verified.map_err(|_| Refused::Signature)
    }
}
