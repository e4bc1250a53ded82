//! OpenID Connect as its relying party: addresses of providers, what they are asked, and what they answer, verified
//! (OpenID Connect Core 1.0 and Discovery 1.0, RFC 6749, RFC 7636, RFC 9207).
//!
//! Owns nothing and connects to nobody. Requests are told, answers are given, and whatever is in them the answer is a
//! [`Refused`] and no panic. Signatures of ID tokens are verified by `jsonwebtoken`, whose arithmetic is ring's.
//!
//! That a state is used once, by the browser that began, is the caller's to see to.

mod discovery;
mod place;
mod ring_provider;
mod token;

use base64::Engine;
use base64::prelude::{BASE64_STANDARD, BASE64_URL_SAFE_NO_PAD};
use sha2::{Digest, Sha256};

pub use discovery::{Discovered, SecretBy};
pub use place::Place;
pub use token::{Identity, email_of, verify};

/// Why a provider, or what it answers, is not believed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// No address of a provider.
    #[error("an issuer is https://HOST, with a path or none, and nothing else")]
    Issuer,
    /// What it says of itself can't be read, or is another's.
    #[error("what the provider says of itself can't be read, or is another provider's")]
    Discovery,
    /// It gave no token for the code.
    #[error("the provider gave no ID token")]
    NoToken,
    /// The ID token is not one for us, or not any more.
    #[error("the ID token is not valid")]
    Token,
    /// What it says of a person can't be read, or is of another one.
    #[error("what the provider says of a person can't be read, or is of another person")]
    Person,
}

/// What is asked of a provider by way of the browser (OpenID Connect Core section 3.1.2.1).
#[derive(Clone, Copy)]
pub struct Authorisation<'a> {
    /// As whom we are known to it.
    pub client: &'a str,
    /// Where the browser is to come back.
    pub redirect: &'a str,
    /// What tells this request from others.
    pub state: &'a str,
    /// What the ID token has to say again.
    pub nonce: &'a str,
    /// What only we know until the code is shown (RFC 7636).
    pub verifier: &'a str,
    /// Who it will be, if that is known.
    pub hint: Option<&'a str>,
}

/// What is sent for a code.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TokenRequest {
    /// The header `Authorization`, if there is one.
    pub authorization: Option<String>,
    /// A form.
    pub body: String,
}

fn percent(text: &str) -> String {
    let mut encoded = String::new();
    for byte in text.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => {
                encoded.push(char::from(byte));
            }
            other => encoded.push_str(&format!("%{other:02X}")),
        }
    }
    encoded
}

fn form(pairs: &[(&str, &str)]) -> String {
    let pair = |(name, value): &(&str, &str)| format!("{name}={}", percent(value));
    pairs.iter().map(pair).collect::<Vec<_>>().join("&")
}

impl Authorisation<'_> {
    /// Where the browser has to go.
    #[must_use]
    pub fn address(&self, provider: &Discovered) -> String {
        let challenge = BASE64_URL_SAFE_NO_PAD.encode(Sha256::digest(self.verifier.as_bytes()));
        let mut pairs = vec![
            ("response_type", "code"),
            ("scope", "openid email"),
            ("client_id", self.client),
            ("redirect_uri", self.redirect),
            ("state", self.state),
            ("nonce", self.nonce),
            ("code_challenge", &challenge),
            ("code_challenge_method", "S256"),
        ];
        pairs.extend(self.hint.map(|hint| ("login_hint", hint)));
        let at = &provider.authorisation;
        let joint = if at.contains('?') { '&' } else { '?' };
        format!("{at}{joint}{}", form(&pairs))
    }

    /// What is sent for the code with which it came back (RFC 6749 section 4.1.3, RFC 7636 section 4.5).
    #[must_use]
    pub fn token_request(&self, provider: &Discovered, code: &str, secret: &str) -> TokenRequest {
        let mut pairs = vec![
            ("grant_type", "authorization_code"),
            ("code", code),
            ("redirect_uri", self.redirect),
            ("code_verifier", self.verifier),
        ];
        let authorization = match provider.secret_by {
            SecretBy::Header => {
                let said = format!("{}:{}", percent(self.client), percent(secret));
                Some(format!("Basic {}", BASE64_STANDARD.encode(said)))
            }
            SecretBy::Form => {
                pairs.extend([("client_id", self.client), ("client_secret", secret)]);
                None
            }
        };
        TokenRequest { authorization, body: form(&pairs) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_are_written_as_the_standards_say() {
        let provider = Discovered::of(
            &Place::issuer("https://id.example").expect("an issuer"),
            br#"{"issuer":"https://id.example","authorization_endpoint":"https://id.example/a?x=1",
                "token_endpoint":"https://id.example/t","jwks_uri":"https://id.example/k"}"#,
        )
        .expect("good");
        // The verifier and the challenge are those of RFC 7636, appendix B.
        let asked = Authorisation {
            client: "a b",
            redirect: "https://mail.example/x",
            state: "s",
            nonce: "n",
            verifier: "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk",
            hint: Some("ann@acme.example"),
        };
        assert_eq!(
            asked.address(&provider),
            "https://id.example/a?x=1&response_type=code&scope=openid%20email&client_id=a%20b\
             &redirect_uri=https%3A%2F%2Fmail.example%2Fx&state=s&nonce=n\
             &code_challenge=E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM&code_challenge_method=S256\
             &login_hint=ann%40acme.example"
        );
        let sent = asked.token_request(&provider, "c&d", "se:cret");
        // "a%20b:se%3Acret"
        assert_eq!(sent.authorization.as_deref(), Some("Basic YSUyMGI6c2UlM0FjcmV0"));
        assert!(sent.body.contains("code=c%26d&") && !sent.body.contains("secret"), "{}", sent.body);
    }
}
