//! An authenticator with one passkey: ES256, with a counter, and with no attestation.

use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use ciborium::Value as Cbor;
use ring::rand::SystemRandom;
use ring::signature::{ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair, KeyPair};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

const PRESENT: u8 = 1;
const VERIFIED: u8 = 1 << 2;
const HAS_PASSKEY: u8 = 1 << 6;

pub struct Authenticator {
    origin: String,
    pair: EcdsaKeyPair,
    id: Vec<u8>,
    /// Whose the passkey is.
    user: Option<String>,
    pub counter: u32,
    /// It looks who it is.
    pub verifies: bool,
}

fn encoded(bytes: &[u8]) -> String {
    BASE64_URL_SAFE_NO_PAD.encode(bytes)
}

impl Authenticator {
    /// One in a browser that shows a page of this origin.
    pub fn at(origin: &str) -> Authenticator {
        let random = SystemRandom::new();
        let pkcs8 = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_ASN1_SIGNING, &random).expect("made");
        let pair = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_ASN1_SIGNING, pkcs8.as_ref(), &random);
        let id = rand::random::<[u8; 20]>().to_vec();
        let (origin, pair) = (origin.to_owned(), pair.expect("a key"));
        Authenticator { origin, pair, id, user: None, counter: 0, verifies: true }
    }

    fn client_data(&self, kind: &str, challenge: &Value) -> Vec<u8> {
        let said =
            json!({ "type": kind, "challenge": challenge, "origin": self.origin, "crossOrigin": false });
        said.to_string().into_bytes()
    }

    fn data(&mut self, site: &Value, more: u8) -> Vec<u8> {
        self.counter += 1;
        let mut data = Sha256::digest(site.as_str().expect("an id").as_bytes()).to_vec();
        data.push(PRESENT | more | if self.verifies { VERIFIED } else { 0 });
        data.extend(self.counter.to_be_bytes());
        data
    }

    /// Makes its passkey, as a browser answers `create()`.
    pub fn create(&mut self, options: &Value) -> Value {
        assert_eq!(options["attestation"], "none");
        self.user = Some(options["user"]["id"].as_str().expect("an id").to_owned());
        let client_data = self.client_data("webauthn.create", &options["challenge"]);
        let int = |n: i32| Cbor::Integer(n.into());
        let point = self.pair.public_key().as_ref().to_vec();
        let key = Cbor::Map(vec![
            (int(1), int(2)),
            (int(3), int(-7)),
            (int(-1), int(1)),
            (int(-2), Cbor::Bytes(point[1..33].to_vec())),
            (int(-3), Cbor::Bytes(point[33..].to_vec())),
        ]);
        let mut data = self.data(&options["rp"]["id"], HAS_PASSKEY);
        data.extend([0; 16]);
        data.extend(u16::try_from(self.id.len()).expect("short").to_be_bytes());
        data.extend(&self.id);
        ciborium::into_writer(&key, &mut data).expect("written");
        let text = |text: &str| Cbor::Text(text.to_owned());
        let object = Cbor::Map(vec![
            (text("fmt"), text("none")),
            (text("attStmt"), Cbor::Map(Vec::new())),
            (text("authData"), Cbor::Bytes(data)),
        ]);
        let mut attestation = Vec::new();
        ciborium::into_writer(&object, &mut attestation).expect("written");
        json!({
            "id": encoded(&self.id), "rawId": encoded(&self.id), "type": "public-key",
            "authenticatorAttachment": "platform", "clientExtensionResults": {},
            "response": {
                "clientDataJSON": encoded(&client_data), "attestationObject": encoded(&attestation),
                "transports": ["internal"],
            },
        })
    }

    /// Shows its passkey, as a browser answers `get()`.
    pub fn get(&mut self, options: &Value) -> Value {
        let client_data = self.client_data("webauthn.get", &options["challenge"]);
        let data = self.data(&options["rpId"], 0);
        let mut message = data.clone();
        message.extend_from_slice(&Sha256::digest(&client_data));
        let signature = self.pair.sign(&SystemRandom::new(), &message).expect("signed");
        json!({
            "id": encoded(&self.id), "rawId": encoded(&self.id), "type": "public-key",
            "authenticatorAttachment": "platform", "clientExtensionResults": {},
            "response": {
                "clientDataJSON": encoded(&client_data), "authenticatorData": encoded(&data),
                "signature": encoded(signature.as_ref()), "userHandle": self.user,
            },
        })
    }

    /// The id of its credential, as it stands in options.
    pub fn credential(&self) -> String {
        encoded(&self.id)
    }
}
