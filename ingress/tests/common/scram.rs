//! The client's side of SCRAM-SHA-256, written from RFC 5802 for the tests.

use std::num::NonZeroU32;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use ring::{digest, hmac, pbkdf2};

pub struct Scram {
    header: String,
    binding: Vec<u8>,
    bare: String,
    nonce: String,
    password: String,
}

impl Scram {
    /// `header` as in RFC 5801 section 4: `n,,`, or `p=tls-exporter,,` with its data.
    pub fn new(header: &str, binding: &[u8], login: &str, password: &str) -> Scram {
        let nonce = STANDARD.encode(rand::random::<[u8; 12]>());
        let bare = format!("n={},r={nonce}", login.replace('=', "=3D").replace(',', "=2C"));
        let (header, password) = (header.to_owned(), password.to_owned());
        Scram { header, binding: binding.to_vec(), bare, nonce, password }
    }

    /// The first message in base64.
    pub fn first(&self) -> String {
        STANDARD.encode(format!("{}{}", self.header, self.bare))
    }

    /// The last message and the server's last, both in base64, from the server's first in base64.
    pub fn last(&self, server_first: &str) -> (String, String) {
        let server_first =
            String::from_utf8(STANDARD.decode(server_first.trim()).expect("base64")).expect("UTF-8");
        let field = |name: &str| {
            let mut fields = server_first.split(',').filter_map(|field| field.strip_prefix(name));
            fields.next().unwrap_or_else(|| panic!("no {name} in {server_first}"))
        };
        let nonce = field("r=");
        assert!(nonce.starts_with(&self.nonce) && nonce.len() > self.nonce.len() + 16, "{server_first}");
        let salt = STANDARD.decode(field("s=")).expect("salt");
        let rounds: NonZeroU32 = field("i=").parse().expect("rounds");
        assert!(rounds.get() >= 4096, "{server_first}");

        let mut salted = [0; 32];
        pbkdf2::derive(pbkdf2::PBKDF2_HMAC_SHA256, rounds, &salt, self.password.as_bytes(), &mut salted);
        let mac = |key: &[u8], text: &[u8]| {
            hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, key), text).as_ref().to_vec()
        };
        let bound = [self.header.as_bytes(), &self.binding].concat();
        let without_proof = format!("c={},r={nonce}", STANDARD.encode(bound));
        let auth_message = format!("{},{server_first},{without_proof}", self.bare);
        let client_key = mac(&salted, b"Client Key");
        let stored_key = digest::digest(&digest::SHA256, &client_key);
        let signature = mac(stored_key.as_ref(), auth_message.as_bytes());
        let proof: Vec<u8> = client_key.iter().zip(signature).map(|(a, b)| a ^ b).collect();
        let last = STANDARD.encode(format!("{without_proof},p={}", STANDARD.encode(proof)));
        let server_signature = mac(&mac(&salted, b"Server Key"), auth_message.as_bytes());
        (last, STANDARD.encode(format!("v={}", STANDARD.encode(server_signature))))
    }
}
