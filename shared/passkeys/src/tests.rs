//! An authenticator of three algorithms, and everything that may be wrong with what it shows.

use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use ring::rand::SystemRandom;
use ring::signature::{
    ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair, RSA_PKCS1_SHA256, RsaKeyPair,
    RsaPublicKeyComponents,
};
use rsa::pkcs8::EncodePrivateKey;
use serde_json::json;

use super::*;

const SITE: RelyingParty<'static> = RelyingParty::at("mail.example");
const CHALLENGE: Challenge = [7; 32];

enum Pair {
    Es256(EcdsaKeyPair),
    EdDsa(Ed25519KeyPair),
    Rs256(RsaKeyPair),
}

impl Pair {
    fn all() -> [Pair; 3] {
        let random = SystemRandom::new();
        let pkcs8 = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_ASN1_SIGNING, &random).expect("made");
        let es256 = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_ASN1_SIGNING, pkcs8.as_ref(), &random);
        let pkcs8 = Ed25519KeyPair::generate_pkcs8(&random).expect("made");
        let eddsa = Ed25519KeyPair::from_pkcs8(pkcs8.as_ref());
        let rsa = rsa::RsaPrivateKey::new(&mut rsa::rand_core::OsRng, 2048).expect("made");
        let rs256 = RsaKeyPair::from_pkcs8(rsa.to_pkcs8_der().expect("DER").as_bytes());
        [
            Pair::Es256(es256.expect("a key")),
            Pair::EdDsa(eddsa.expect("a key")),
            Pair::Rs256(rs256.expect("a key")),
        ]
    }

    fn sign(&self, message: &[u8]) -> Vec<u8> {
        let random = SystemRandom::new();
        match self {
            Pair::Es256(pair) => pair.sign(&random, message).expect("signed").as_ref().to_vec(),
            Pair::EdDsa(pair) => pair.sign(message).as_ref().to_vec(),
            Pair::Rs256(pair) => {
                let mut signature = vec![0; pair.public().modulus_len()];
                pair.sign(&RSA_PKCS1_SHA256, &random, message, &mut signature).expect("signed");
                signature
            }
        }
    }

    fn cose(&self) -> Vec<u8> {
        let int = |n: i32| Value::Integer(n.into());
        let bytes = |bytes: &[u8]| Value::Bytes(bytes.to_vec());
        let members = match self {
            Pair::Es256(pair) => {
                let point = pair.public_key().as_ref();
                vec![
                    (int(1), int(2)),
                    (int(3), int(-7)),
                    (int(-1), int(1)),
                    (int(-2), bytes(&point[1..33])),
                    (int(-3), bytes(&point[33..])),
                ]
            }
            Pair::EdDsa(pair) => vec![
                (int(1), int(1)),
                (int(3), int(-8)),
                (int(-1), int(6)),
                (int(-2), bytes(pair.public_key().as_ref())),
            ],
            Pair::Rs256(pair) => {
                let public: RsaPublicKeyComponents<Vec<u8>> = pair.public().into();
                vec![
                    (int(1), int(3)),
                    (int(3), int(-257)),
                    (int(-1), bytes(&public.n)),
                    (int(-2), bytes(&public.e)),
                ]
            }
        };
        cbor(&Value::Map(members))
    }
}

fn cbor(value: &Value) -> Vec<u8> {
    let mut bytes = Vec::new();
    ciborium::into_writer(value, &mut bytes).expect("written");
    bytes
}

fn client_data(kind: &str, challenge: &Challenge, origin: &str, is_cross_origin: bool) -> Vec<u8> {
    let challenge = BASE64_URL_SAFE_NO_PAD.encode(challenge);
    let said = json!({
        "type": kind, "challenge": challenge, "origin": origin, "crossOrigin": is_cross_origin,
        "other_keys_can_be_added_here": "and are",
    });
    said.to_string().into_bytes()
}

fn head(site: &str, flags: u8, counter: u32) -> Vec<u8> {
    let mut data = Sha256::digest(site.as_bytes()).to_vec();
    data.push(flags);
    data.extend(counter.to_be_bytes());
    data
}

fn made(pair: &Pair, site: &str, flags: u8) -> Vec<u8> {
    let mut data = head(site, flags, 0);
    data.extend([0; 16]);
    data.extend([0, 4, 1, 2, 3, 4]);
    data.extend(pair.cose());
    data
}

fn object(format: &str, statement: Vec<(Value, Value)>, data: Vec<u8>) -> Vec<u8> {
    let text = |text: &str| Value::Text(text.to_owned());
    cbor(&Value::Map(vec![
        (text("fmt"), text(format)),
        (text("attStmt"), Value::Map(statement)),
        (text("authData"), Value::Bytes(data)),
    ]))
}

#[test]
fn passkeys_of_each_algorithm_are_registered_and_shown() {
    for pair in Pair::all() {
        let client = client_data("webauthn.create", &CHALLENGE, "https://mail.example", false);
        let attestation = object("none", Vec::new(), made(&pair, "mail.example", 0x5d));
        let shown = Registration { client_data: &client, attestation: &attestation };
        assert_eq!(challenge_in(&client), Some(CHALLENGE));
        let passkey = SITE.register(&CHALLENGE, &shown).expect("good");
        assert_eq!((passkey.id.as_slice(), passkey.counter), (&[1, 2, 3, 4][..], 0));
        assert!(passkey.is_verified && passkey.is_synced);

        let client = client_data("webauthn.get", &CHALLENGE, "https://mail.example", false);
        let data = head("mail.example", 0x01, 9);
        let signature = pair.sign(&signed(&data, &client));
        let shown = Assertion { client_data: &client, authenticator_data: &data, signature: &signature };
        let asserted = SITE.verify(&CHALLENGE, &passkey.key, &shown);
        assert_eq!(asserted, Ok(Asserted { counter: 9, is_verified: false }));

        // One bit of any part, and it is nothing.
        for place in 0..data.len() {
            let mut other = data.clone();
            other[place] ^= 1;
            let shown = Assertion { authenticator_data: &other, ..shown };
            assert!(SITE.verify(&CHALLENGE, &passkey.key, &shown).is_err(), "byte {place}");
        }
        let mut other = signature.clone();
        *other.last_mut().expect("bytes") ^= 1;
        let shown = Assertion { signature: &other, ..shown };
        assert_eq!(SITE.verify(&CHALLENGE, &passkey.key, &shown), Err(Refused::Signature));
    }
}

#[test]
fn what_was_made_for_something_else_is_refused() {
    let [pair, ..] = Pair::all();
    let attestation = object("none", Vec::new(), made(&pair, "mail.example", 0x45));
    let here = "https://mail.example";
    for (client, expected) in [
        (client_data("webauthn.get", &CHALLENGE, here, false), Refused::Elsewhere),
        (client_data("webauthn.create", &[8; 32], here, false), Refused::Elsewhere),
        (
            client_data("webauthn.create", &CHALLENGE, "https://mail.example.evil.example", false),
            Refused::Elsewhere,
        ),
        (client_data("webauthn.create", &CHALLENGE, "http://mail.example", false), Refused::Elsewhere),
        (client_data("webauthn.create", &CHALLENGE, "https://sub.mail.example", false), Refused::Elsewhere),
        (client_data("webauthn.create", &CHALLENGE, here, true), Refused::Elsewhere),
        (b"{}".to_vec(), Refused::Form),
    ] {
        let shown = Registration { client_data: &client, attestation: &attestation };
        let said = String::from_utf8_lossy(&client);
        assert_eq!(SITE.register(&CHALLENGE, &shown), Err(expected), "{said}");
    }
    let client = client_data("webauthn.create", &CHALLENGE, here, false);
    let text = |text: &str| Value::Text(text.to_owned());
    let chain = (text("x5c"), Value::Array(Vec::new()));
    let bad = (text("sig"), Value::Bytes(vec![0; 70]));
    for (attestation, expected) in [
        (object("none", Vec::new(), made(&pair, "evil.example", 0x45)), Refused::Elsewhere),
        (object("none", Vec::new(), made(&pair, "mail.example", 0x44)), Refused::NobodyPresent),
        (object("none", Vec::new(), made(&pair, "mail.example", 0x05)), Refused::Form),
        // Extensions are said to follow; what is backed up and may not be.
        (object("none", Vec::new(), made(&pair, "mail.example", 0xc5)), Refused::Form),
        (object("none", Vec::new(), made(&pair, "mail.example", 0x55)), Refused::Form),
        (object("packed", vec![chain], made(&pair, "mail.example", 0x45)), Refused::Attestation),
        (object("packed", vec![bad], made(&pair, "mail.example", 0x45)), Refused::Signature),
        (object("tpm", Vec::new(), made(&pair, "mail.example", 0x45)), Refused::Attestation),
        (Vec::new(), Refused::Form),
    ] {
        let shown = Registration { client_data: &client, attestation: &attestation };
        assert_eq!(SITE.register(&CHALLENGE, &shown), Err(expected));
    }
    let data = made(&pair, "mail.example", 0x45);
    let own = (text("sig"), Value::Bytes(pair.sign(&signed(&data, &client))));
    let attestation = object("packed", vec![own], data);
    let shown = Registration { client_data: &client, attestation: &attestation };
    assert!(SITE.register(&CHALLENGE, &shown).is_ok());
    // Cut anywhere, it is refused and nothing breaks.
    for end in 0..attestation.len() {
        let shown = Registration { client_data: &client, attestation: &attestation[..end] };
        assert_eq!(SITE.register(&CHALLENGE, &shown), Err(Refused::Form), "{end}");
    }
}

#[test]
fn a_counter_goes_on_or_is_none() {
    for (shown, before, is_good) in [(0, 0, true), (1, 0, true), (2, 1, true), (1, 1, false), (0, 1, false)] {
        assert_eq!(is_later(shown, before), is_good, "{shown} after {before}");
    }
}
