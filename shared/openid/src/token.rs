//! ID tokens (OpenID Connect Core section 3.1.3).

use jsonwebtoken::jwk::{Jwk, PublicKeyUse};
use jsonwebtoken::{AlgorithmFamily, DecodingKey, Validation, decode, decode_header};
use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::Value;

use crate::{Refused, ring_provider};

/// Bytes of a subject (OpenID Connect Core section 2).
const MAX_SUBJECT: usize = 255;
/// Seconds by which clocks may differ.
const LEEWAY: u64 = 60;

/// Who somebody is, as a provider says it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    /// What tells this person from all others of the provider, and stays.
    pub subject: String,
    /// An address of which the provider says that it is the person's.
    pub email: Option<String>,
    /// What opens what the provider says of the person (UserInfo), where the ID token says nothing of an address: with codes
    /// a provider need not put it there (OpenID Connect Core section 5.4).
    pub access: Option<String>,
}

#[derive(Deserialize)]
struct Answer {
    id_token: String,
    #[serde(default)]
    access_token: Option<String>,
}

#[derive(Deserialize)]
struct Person {
    sub: String,
    email: Option<String>,
    email_verified: Option<Value>,
}

#[derive(Deserialize)]
struct Claims {
    sub: String,
    aud: Audience,
    nonce: Option<String>,
    azp: Option<String>,
    email: Option<String>,
    email_verified: Option<Value>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Audience {
    Many(Vec<String>),
    /// Validation has looked at it.
    One(IgnoredAny),
}

#[derive(Deserialize)]
struct Keys {
    keys: Vec<Value>,
}

/// Verifies what a provider answers to a code, with its keys: who it is.
///
/// # Errors
/// [`Refused::NoToken`], [`Refused::Token`].
pub fn verify(
    answer: &[u8],
    keys: &[u8],
    (issuer, client): (&str, &str),
    nonce: &str,
) -> Result<Identity, Refused> {
    ring_provider::install();
    let answer: Answer = serde_json::from_slice(answer).map_err(|_| Refused::NoToken)?;
    let header = decode_header(&answer.id_token).map_err(|_| Refused::Token)?;
    if !ring_provider::ALGORITHMS.contains(&header.alg) {
        return Err(Refused::Token);
    }
    let key = key_of(keys, header.kid.as_deref(), ring_provider::family(header.alg)).ok_or(Refused::Token)?;
    let mut wanted = Validation::new(header.alg);
    wanted.set_issuer(&[issuer]);
    wanted.set_audience(&[client]);
    wanted.set_required_spec_claims(&["exp", "iss", "aud", "sub"]);
    (wanted.leeway, wanted.validate_nbf) = (LEEWAY, true);
    let claims = decode::<Claims>(&answer.id_token, &key, &wanted).map_err(|_| Refused::Token)?.claims;
    let is_for_others = match &claims.aud {
        Audience::One(_) => false,
        Audience::Many(all) => all.len() > 1 && claims.azp.is_none(),
    };
    let is_another = claims.azp.as_deref().is_some_and(|party| party != client);
    let is_asked = claims.nonce.as_deref() == Some(nonce);
    let is_name = (1..=MAX_SUBJECT).contains(&claims.sub.len()) && !claims.sub.chars().any(char::is_control);
    if is_for_others || is_another || !is_asked || !is_name {
        return Err(Refused::Token);
    }
    let access = answer.access_token.filter(|_| claims.email.is_none());
    Ok(Identity { subject: claims.sub, email: verified(claims.email, claims.email_verified), access })
}

/// An address, if it is said to be verified. Some say it as a text.
fn verified(email: Option<String>, verified: Option<Value>) -> Option<String> {
    let is_verified = match verified {
        Some(Value::Bool(is_verified)) => is_verified,
        Some(Value::String(text)) => text == "true",
        _ => false,
    };
    email.filter(|_| is_verified)
}

/// The address of which a provider says, at its UserInfo endpoint, that it is this person's (OpenID Connect Core section
/// 5.3.2).
///
/// # Errors
/// [`Refused::Person`].
pub fn email_of(answer: &[u8], subject: &str) -> Result<Option<String>, Refused> {
    let person: Person = serde_json::from_slice(answer).map_err(|_| Refused::Person)?;
    if person.sub != subject {
        return Err(Refused::Person);
    }
    Ok(verified(person.email, person.email_verified))
}

/// The key with which a token was signed; of several without a name, none. Keys that are not understood are left out.
fn key_of(keys: &[u8], name: Option<&str>, family: AlgorithmFamily) -> Option<DecodingKey> {
    let Keys { keys } = serde_json::from_slice(keys).ok()?;
    let read = keys.into_iter().filter_map(|key| serde_json::from_value::<Jwk>(key).ok());
    let is_it = |key: &Jwk| {
        let signs = key.common.public_key_use.as_ref().is_none_or(|used| *used == PublicKeyUse::Signature);
        signs && (name.is_none() || key.common.key_id.as_deref() == name)
    };
    let made = read.filter(is_it).filter_map(|key| DecodingKey::from_jwk(&key).ok());
    let mut fit = made.filter(|key| key.family() == family);
    let found = fit.next()?;
    fit.next().is_none().then_some(found)
}

#[cfg(test)]
mod tests {
    use base64::Engine;
    use base64::prelude::BASE64_URL_SAFE_NO_PAD;
    use ring::rand::SystemRandom;
    use ring::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair};
    use serde_json::json;

    use super::*;

    const WHO: (&str, &str) = ("https://id.example", "pennypost");

    fn encoded(bytes: &[u8]) -> String {
        BASE64_URL_SAFE_NO_PAD.encode(bytes)
    }

    fn pair() -> EcdsaKeyPair {
        let random = SystemRandom::new();
        let pkcs8 = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &random).expect("made");
        EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, pkcs8.as_ref(), &random).expect("a key")
    }

    fn keys(pair: &EcdsaKeyPair) -> Value {
        let point = pair.public_key().as_ref();
        json!({ "keys": [
            { "kty": "new", "kid": "other" },
            { "kty": "EC", "crv": "P-256", "kid": "1", "x": encoded(&point[1..33]), "y": encoded(&point[33..]) },
        ] })
    }

    fn answer(pair: &EcdsaKeyPair, header: &Value, claims: &Value) -> Vec<u8> {
        let message =
            format!("{}.{}", encoded(header.to_string().as_bytes()), encoded(claims.to_string().as_bytes()));
        let signature = pair.sign(&SystemRandom::new(), message.as_bytes()).expect("signed");
        json!({ "id_token": format!("{message}.{}", encoded(signature.as_ref())) }).to_string().into_bytes()
    }

    fn claims() -> Value {
        let now = jsonwebtoken::get_current_timestamp();
        json!({
            "iss": WHO.0, "aud": WHO.1, "sub": "248289761001", "nonce": "n", "iat": now, "exp": now + 300,
            "email": "ann@acme.example", "email_verified": true,
        })
    }

    #[test]
    fn an_id_token_is_for_us_and_for_now() {
        let pair = pair();
        let keys = keys(&pair).to_string();
        let header = json!({ "alg": "ES256", "kid": "1" });
        let verified = |header: &Value, claims: &Value| {
            verify(&answer(&pair, header, claims), keys.as_bytes(), WHO, "n")
        };
        let email = Some("ann@acme.example".to_owned());
        let ann = Identity { subject: "248289761001".to_owned(), email, access: None };
        assert_eq!(verified(&header, &claims()), Ok(ann.clone()));
        let now = jsonwebtoken::get_current_timestamp();
        for (name, value) in [
            ("iss", json!("https://other.example")),
            ("iss", Value::Null),
            ("aud", json!("other")),
            ("aud", json!(["pennypost", "other"])),
            ("aud", Value::Null),
            ("azp", json!("other")),
            ("nonce", json!("m")),
            ("nonce", Value::Null),
            ("exp", json!(now - 120)),
            ("exp", json!("never")),
            ("exp", Value::Null),
            ("nbf", json!(now + 600)),
            ("sub", json!("")),
            ("sub", json!(7)),
        ] {
            let mut bad = claims();
            bad[name] = value.clone();
            assert_eq!(verified(&header, &bad), Err(Refused::Token), "{name} {value}");
        }
        for (value, expected) in
            [(json!("true"), ann.email.clone()), (json!(false), None), (Value::Null, None), (json!(1), None)]
        {
            let mut other = claims();
            other["email_verified"] = value.clone();
            assert_eq!(verified(&header, &other).expect("good").email, expected, "{value}");
        }
        for bad in [
            json!({ "alg": "none" }),
            json!({ "alg": "HS256", "kid": "1" }),
            json!({ "alg": "RS256", "kid": "1" }),
            json!({ "alg": "ES384", "kid": "1" }),
            json!({ "alg": "ES256", "kid": "2" }),
        ] {
            assert_eq!(verified(&bad, &claims()), Err(Refused::Token), "{bad}");
        }
        assert_eq!(verified(&json!({ "alg": "ES256" }), &claims()), Ok(ann));
    }

    #[test]
    fn what_is_said_elsewhere_is_of_the_same_person() {
        let pair = pair();
        let keys = keys(&pair).to_string();
        let header = json!({ "alg": "ES256", "kid": "1" });
        let accessed = |claims: &Value| {
            let mut sent: Value = serde_json::from_slice(&answer(&pair, &header, claims)).expect("JSON");
            sent["access_token"] = json!("a.b");
            verify(sent.to_string().as_bytes(), keys.as_bytes(), WHO, "n").expect("good").access
        };
        let mut silent = claims();
        silent.as_object_mut().expect("claims").remove("email");
        assert_eq!(accessed(&silent).as_deref(), Some("a.b"));
        // What the token says is what counts.
        assert_eq!(accessed(&claims()), None);
        let said = |text: &str| email_of(text.as_bytes(), "ann");
        let good = r#"{"sub":"ann","email":"ann@acme.example","email_verified":true}"#;
        assert_eq!(said(good), Ok(Some("ann@acme.example".to_owned())));
        assert_eq!(said(r#"{"sub":"ann","email":"ann@acme.example"}"#), Ok(None));
        assert_eq!(said(r#"{"sub":"ann"}"#), Ok(None));
        for bad in [good.replace("\"ann\"", "\"bob\""), "{}".to_owned(), "a.b.c".to_owned()] {
            assert_eq!(said(&bad), Err(Refused::Person), "{bad}");
        }
    }

    #[test]
    fn what_another_key_has_signed_is_nothing() {
        let (ours, theirs) = (pair(), pair());
        let header = json!({ "alg": "ES256", "kid": "1" });
        let keys = keys(&ours).to_string();
        let forged = answer(&theirs, &header, &claims());
        assert_eq!(verify(&forged, keys.as_bytes(), WHO, "n"), Err(Refused::Token));
        // A key for something else is no key for this.
        let mut set: Value = serde_json::from_str(&keys).expect("JSON");
        set["keys"][1]["use"] = json!("enc");
        let good = answer(&ours, &header, &claims());
        assert_eq!(verify(&good, set.to_string().as_bytes(), WHO, "n"), Err(Refused::Token));
        assert_eq!(verify(b"{}", keys.as_bytes(), WHO, "n"), Err(Refused::NoToken));
        let error = br#"{"error":"invalid_grant"}"#;
        assert_eq!(verify(error, keys.as_bytes(), WHO, "n"), Err(Refused::NoToken));
    }

    #[test]
    fn ed25519_is_known_too() {
        let pkcs8 = Ed25519KeyPair::generate_pkcs8(&SystemRandom::new()).expect("made");
        let pair = Ed25519KeyPair::from_pkcs8(pkcs8.as_ref()).expect("a key");
        let x = encoded(pair.public_key().as_ref());
        let keys = json!({ "keys": [{ "kty": "OKP", "crv": "Ed25519", "x": x }] }).to_string();
        let message =
            format!("{}.{}", encoded(br#"{"alg":"EdDSA"}"#), encoded(claims().to_string().as_bytes()));
        let token = format!("{message}.{}", encoded(pair.sign(message.as_bytes()).as_ref()));
        let answer = json!({ "id_token": token }).to_string();
        assert!(verify(answer.as_bytes(), keys.as_bytes(), WHO, "n").is_ok());
    }
}
