//! A provider of identities: OpenID Connect over TLS on this machine, with codes, PKCE and a client secret.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;

use async_trait::async_trait;
use base64::Engine;
use base64::prelude::{BASE64_STANDARD, BASE64_URL_SAFE_NO_PAD};
use parking_lot::Mutex;
use pennypost_lookup::Documents;
use pennypost_ports::{Dns, DnsError, DnsKind, DnsRecord};
use ring::rand::SystemRandom;
use ring::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair};
use rustls::RootCertStore;
use rustls::pki_types::PrivateKeyDer;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

pub const CLIENT: &str = "pennypost of acme";
pub const SECRET: &str = "s3cret: of the client";
const HOST: &str = "id.example";

/// The provider's host is this machine.
struct Here;

#[async_trait]
impl Dns for Here {
    async fn look_up(&self, name: &str, _kind: DnsKind) -> Result<Vec<DnsRecord>, DnsError> {
        let found = (name == HOST).then_some(DnsRecord::Address(IpAddr::from([127, 0, 0, 1])));
        Ok(found.into_iter().collect())
    }
}

/// What somebody has been let in with.
struct Given {
    asked: HashMap<String, String>,
    claims: Value,
}

struct Inside {
    issuer: String,
    pair: EcdsaKeyPair,
    codes: Mutex<HashMap<String, Given>>,
    /// What is told of a person only at the UserInfo endpoint, by access tokens.
    persons: Mutex<HashMap<String, Value>>,
    /// Notices that it was told.
    notices: Mutex<Vec<String>>,
}

pub struct Provider {
    pub issuer: String,
    inside: Arc<Inside>,
    roots: RootCertStore,
}

fn encoded(bytes: &[u8]) -> String {
    BASE64_URL_SAFE_NO_PAD.encode(bytes)
}

fn decoded(text: &str) -> String {
    let mut bytes = Vec::new();
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        if byte == b'%' {
            let digits = [rest.next().expect("a digit"), rest.next().expect("a digit")];
            let digits = std::str::from_utf8(&digits).expect("digits").to_owned();
            bytes.push(u8::from_str_radix(&digits, 16).expect("hex"));
        } else {
            bytes.push(byte);
        }
    }
    String::from_utf8(bytes).expect("UTF-8")
}

fn pairs(form: &str) -> HashMap<String, String> {
    let pairs = form.split('&').filter_map(|pair| pair.split_once('='));
    pairs.map(|(name, value)| (name.to_owned(), decoded(value))).collect()
}

impl Provider {
    pub async fn open() -> Provider {
        let made = rcgen::generate_simple_self_signed([HOST.to_owned()]).expect("certificate");
        let mut roots = RootCertStore::empty();
        roots.add(made.cert.der().clone()).expect("an authority");
        let key = PrivateKeyDer::Pkcs8(made.signing_key.serialize_der().into());
        let config =
            rustls::ServerConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
                .with_protocol_versions(rustls::DEFAULT_VERSIONS)
                .expect("versions")
                .with_no_client_auth()
                .with_single_cert(vec![made.cert.der().clone()], key)
                .expect("a configuration");
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let issuer = format!("https://{HOST}:{}", listener.local_addr().expect("address").port());
        let random = SystemRandom::new();
        let pkcs8 = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &random).expect("made");
        let pair = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, pkcs8.as_ref(), &random);
        let inside = Inside {
            issuer: issuer.clone(),
            pair: pair.expect("a key"),
            codes: Mutex::default(),
            persons: Mutex::default(),
            notices: Mutex::default(),
        };
        let inside = Arc::new(inside);
        let serving = Arc::clone(&inside);
        let acceptor = TlsAcceptor::from(Arc::new(config));
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let Ok(mut stream) = acceptor.accept(stream).await else { continue };
                let mut request = Vec::new();
                let mut piece = [0; 4096];
                while !is_whole(&request) {
                    match stream.read(&mut piece).await {
                        Ok(len) if len > 0 => request.extend_from_slice(&piece[..len]),
                        _ => break,
                    }
                }
                let (status, body) = serving.answer(&String::from_utf8_lossy(&request));
                let head = format!("HTTP/1.0 {status} X\r\nContent-Length: {}\r\n\r\n", body.len());
                let _ = stream.write_all(format!("{head}{body}").as_bytes()).await;
                let _ = stream.shutdown().await;
            }
        });
        Provider { issuer, inside, roots }
    }

    /// The way to it.
    pub fn reach(&self) -> Arc<Documents> {
        Arc::new(Documents::believing(Arc::new(Here), self.roots.clone(), 443, true))
    }

    /// The notices that it was told.
    pub fn notices(&self) -> Vec<Value> {
        let notices = self.inside.notices.lock();
        notices.iter().map(|body| serde_json::from_str(body).expect("JSON")).collect()
    }

    /// Somebody signs in there, whom a browser brings with this address: `state`, `code` and where it is sent back.
    pub fn sign_in(&self, url: &str, claims: Value) -> (String, String, String) {
        let (place, query) = url.split_once('?').expect("a query");
        assert_eq!(place, format!("{}/authorise", self.issuer));
        let asked = pairs(query);
        for (name, value) in [
            ("response_type", "code"),
            ("client_id", CLIENT),
            ("scope", "openid email"),
            ("code_challenge_method", "S256"),
        ] {
            assert_eq!(asked[name], value, "{url}");
        }
        let code = encoded(&rand::random::<[u8; 16]>());
        let (state, back) = (asked["state"].clone(), asked["redirect_uri"].clone());
        self.inside.codes.lock().insert(code.clone(), Given { asked, claims });
        (state, code, back)
    }
}

/// Is all of a request there?
fn is_whole(request: &[u8]) -> bool {
    let text = String::from_utf8_lossy(request);
    let Some((head, body)) = text.split_once("\r\n\r\n") else { return false };
    let length = head.lines().find_map(|line| line.strip_prefix("Content-Length: "));
    body.len() >= length.map_or(0, |length| length.parse().expect("a length"))
}

impl Inside {
    fn answer(&self, request: &str) -> (u16, String) {
        let (head, body) = request.split_once("\r\n\r\n").unwrap_or((request, ""));
        let issuer = &self.issuer;
        let document = match head.split(" HTTP/").next().expect("a line") {
            "GET /.well-known/openid-configuration" => json!({
                "issuer": issuer, "authorization_endpoint": format!("{issuer}/authorise"),
                "token_endpoint": format!("{issuer}/token"), "jwks_uri": format!("{issuer}/keys"),
                "userinfo_endpoint": format!("{issuer}/person"),
                "authorization_response_iss_parameter_supported": true,
            }),
            "GET /keys" => {
                let point = self.pair.public_key().as_ref();
                let (x, y) = (encoded(&point[1..33]), encoded(&point[33..]));
                json!({ "keys": [{ "kty": "EC", "crv": "P-256", "kid": "1", "use": "sig", "x": x, "y": y }] })
            }
            "POST /token" => match self.token(head, &pairs(body)) {
                Some((token, access)) => {
                    json!({ "id_token": token, "access_token": access, "token_type": "Bearer" })
                }
                None => return (400, json!({ "error": "invalid_grant" }).to_string()),
            },
            "GET /person" => {
                let shown = head.lines().find_map(|line| line.strip_prefix("Authorization: Bearer "));
                match shown.and_then(|access| self.persons.lock().get(access).cloned()) {
                    Some(person) => person,
                    None => return (401, String::new()),
                }
            }
            // A receiver of notices.
            "POST /hook" => {
                self.notices.lock().push(body.to_owned());
                return (204, String::new());
            }
            _ => return (404, String::new()),
        };
        (200, document.to_string())
    }

    /// The ID token and the access token for a code, for our client alone, once. What the claims have in `person` is told at
    /// the UserInfo endpoint.
    fn token(&self, head: &str, form: &HashMap<String, String>) -> Option<(String, String)> {
        let Given { asked, mut claims } = self.codes.lock().remove(&form["code"])?;
        let shown = head.lines().find_map(|line| line.strip_prefix("Authorization: Basic "))?;
        let shown = String::from_utf8(BASE64_STANDARD.decode(shown).ok()?).ok()?;
        let (client, secret) = shown.split_once(':')?;
        let is_ours = (decoded(client).as_str(), decoded(secret).as_str()) == (CLIENT, SECRET);
        let challenge = encoded(&Sha256::digest(form["code_verifier"].as_bytes()));
        let is_asked = form["redirect_uri"] == asked["redirect_uri"] && challenge == asked["code_challenge"];
        if !is_ours || !is_asked || form["grant_type"] != "authorization_code" {
            return None;
        }
        let access = encoded(&rand::random::<[u8; 16]>());
        if let Some(person) = claims.as_object_mut().expect("claims").remove("person") {
            self.persons.lock().insert(access.clone(), person);
        }
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).expect("after 1970");
        let mut all = json!({
            "iss": self.issuer, "aud": CLIENT, "nonce": asked["nonce"],
            "iat": now.as_secs(), "exp": now.as_secs() + 300,
        });
        for (name, value) in claims.as_object().expect("claims") {
            all[name] = value.clone();
        }
        let header = encoded(br#"{"alg":"ES256","kid":"1"}"#);
        let message = format!("{header}.{}", encoded(all.to_string().as_bytes()));
        let signature = self.pair.sign(&SystemRandom::new(), message.as_bytes()).expect("signed");
        Some((format!("{message}.{}", encoded(signature.as_ref())), access))
    }
}
