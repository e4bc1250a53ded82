//! Channel bindings: what only the two ends of one TLS connection have in common.

use ring::digest::{self, Algorithm, digest};

/// A kind of channel binding that is offered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Binding {
    /// Keying material of the connection (RFC 9266); with TLS 1.3 only, since what TLS 1.2 exports is the
    /// connection's own only with an extension that a client need not have.
    TlsExporter,
    /// The hash of our certificate (RFC 5929 section 4).
    TlsServerEndPoint,
}

impl Binding {
    /// As IANA has registered it.
    pub fn named(name: &str) -> Option<Binding> {
        match name {
            "tls-exporter" => Some(Binding::TlsExporter),
            "tls-server-end-point" => Some(Binding::TlsServerEndPoint),
            _ => None,
        }
    }
}

/// The data of tls-server-end-point: the certificate, hashed with the hash of its signature, but SHA-256 for
/// MD5 and SHA-1. `None` where RFC 5929 leaves it undefined, as for EdDSA.
pub(crate) fn end_point_of(certificate: &[u8]) -> Option<Vec<u8>> {
    let algorithm = hash_of_signature(signature_algorithm(certificate)?)?;
    Some(digest(algorithm, certificate).as_ref().to_vec())
}

fn hash_of_signature(oid: &[u8]) -> Option<&'static Algorithm> {
    /// 1.2.840.113549.1.1
    const PKCS1: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01];
    /// 1.2.840.10045.4
    const ECDSA: &[u8] = &[0x2a, 0x86, 0x48, 0xce, 0x3d, 0x04];
    if let Some(last) = oid.strip_prefix(PKCS1) {
        return match last {
            // md5, sha1, sha256
            [4 | 5 | 11] => Some(&digest::SHA256),
            [12] => Some(&digest::SHA384),
            [13] => Some(&digest::SHA512),
            _ => None,
        };
    }
    match oid.strip_prefix(ECDSA)? {
        // sha1, sha256
        [1] | [3, 2] => Some(&digest::SHA256),
        [3, 3] => Some(&digest::SHA384),
        [3, 4] => Some(&digest::SHA512),
        _ => None,
    }
}

/// The OID in `Certificate ::= SEQUENCE { tbsCertificate, signatureAlgorithm SEQUENCE { OID … }, … }`
/// (RFC 5280 section 4.1).
fn signature_algorithm(certificate: &[u8]) -> Option<&[u8]> {
    const SEQUENCE: u8 = 0x30;
    const OID: u8 = 0x06;
    let (certificate, _) = element(certificate, SEQUENCE)?;
    let (_, rest) = element(certificate, SEQUENCE)?;
    let (algorithm, _) = element(rest, SEQUENCE)?;
    element(algorithm, OID).map(|(oid, _)| oid)
}

/// The content of a DER element of that kind, and what comes after it.
fn element(der: &[u8], kind: u8) -> Option<(&[u8], &[u8])> {
    let (&[found, length], rest) = der.split_first_chunk()?;
    if found != kind {
        return None;
    }
    let (length, rest) = match length {
        short @ 0..=0x7f => (usize::from(short), rest),
        long @ 0x81..=0x84 => {
            let (bytes, rest) = rest.split_at_checked(usize::from(long & 0x7f))?;
            (bytes.iter().fold(0, |length, byte| length << 8 | usize::from(*byte)), rest)
        }
        _ => return None,
    };
    rest.split_at_checked(length)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use rcgen::{CertificateParams, KeyPair, PKCS_ECDSA_P256_SHA256, PKCS_ECDSA_P384_SHA384, PKCS_ED25519};

    #[test]
    fn a_certificate_is_hashed_as_its_signature_is() {
        for (signature, algorithm) in [
            (&PKCS_ECDSA_P256_SHA256, Some(&digest::SHA256)),
            (&PKCS_ECDSA_P384_SHA384, Some(&digest::SHA384)),
            (&PKCS_ED25519, None),
        ] {
            let key = KeyPair::generate_for(signature).expect("key");
            let params = CertificateParams::new(vec!["localhost".to_owned()]).expect("parameters");
            let certificate = params.self_signed(&key).expect("certificate");
            let expected = algorithm.map(|algorithm| digest(algorithm, certificate.der()).as_ref().to_vec());
            assert_eq!(end_point_of(certificate.der()), expected);
        }
    }

    proptest! {
        #[test]
        fn nothing_panics(bytes in proptest::collection::vec(any::<u8>(), 0..60)) {
            let _ = end_point_of(&bytes);
            let _ = end_point_of(&[&[0x30, 0x80 | bytes.first().unwrap_or(&0)], &*bytes].concat());
        }
    }
}
