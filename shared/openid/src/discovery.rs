//! What a provider says of itself (OpenID Connect Discovery section 3).

use serde::Deserialize;

use crate::{Place, Refused};

/// How a provider wants to be shown the secret (OpenID Connect Core section 9).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SecretBy {
    /// `client_secret_basic`, which holds where nothing is said.
    Header,
    /// `client_secret_post`.
    Form,
}

/// A provider, as far as it matters.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Discovered {
    /// Where browsers go.
    pub(crate) authorisation: String,
    /// Where codes are shown.
    pub token: Place,
    /// Where its keys are.
    pub keys: Place,
    /// Where it says more of somebody, if it does.
    pub user: Option<Place>,
    /// How it is shown the secret.
    pub secret_by: SecretBy,
    /// It says who it is when a browser comes back (RFC 9207).
    pub tells_issuer: bool,
}

#[derive(Deserialize)]
struct Document {
    issuer: String,
    authorization_endpoint: String,
    token_endpoint: String,
    jwks_uri: String,
    #[serde(default)]
    userinfo_endpoint: Option<String>,
    #[serde(default)]
    token_endpoint_auth_methods_supported: Option<Vec<String>>,
    #[serde(default)]
    authorization_response_iss_parameter_supported: bool,
}

impl Discovered {
    /// What the document of this issuer says.
    ///
    /// # Errors
    /// [`Refused::Discovery`].
    pub fn of(issuer: &Place, document: &[u8]) -> Result<Discovered, Refused> {
        let document: Document = serde_json::from_slice(document).map_err(|_| Refused::Discovery)?;
        let place = |text: &str| Place::parse(text).ok_or(Refused::Discovery);
        let methods = document.token_endpoint_auth_methods_supported;
        let has = |name: &str| methods.as_ref().is_some_and(|all| all.iter().any(|one| one == name));
        let secret_by = match (has("client_secret_basic"), has("client_secret_post"), &methods) {
            (true, _, _) | (_, _, None) => SecretBy::Header,
            (false, true, _) => SecretBy::Form,
            (false, false, Some(_)) => return Err(Refused::Discovery),
        };
        if document.issuer != issuer.text {
            return Err(Refused::Discovery);
        }
        Ok(Discovered {
            authorisation: place(&document.authorization_endpoint)?.text,
            token: place(&document.token_endpoint)?,
            keys: place(&document.jwks_uri)?,
            user: document.userinfo_endpoint.as_deref().map(place).transpose()?,
            secret_by,
            tells_issuer: document.authorization_response_iss_parameter_supported,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_document_is_its_issuers_and_names_places_over_https() {
        let issuer = Place::issuer("https://id.example/a").expect("good");
        let of = |issuer: &str, token: &str, more: &str| {
            format!(
                r#"{{"issuer":"{issuer}","authorization_endpoint":"https://id.example/auth",
                    "token_endpoint":"{token}","jwks_uri":"https://keys.example/k"{more}}}"#
            )
        };
        let read = |text: String| Discovered::of(&issuer, text.as_bytes());
        let plain = read(of("https://id.example/a", "https://id.example/t", "")).expect("good");
        assert_eq!((plain.secret_by, plain.keys.host.as_str()), (SecretBy::Header, "keys.example"));
        let more = r#","token_endpoint_auth_methods_supported":["client_secret_post"]"#;
        let post = read(of("https://id.example/a", "https://id.example/t", more)).expect("good");
        assert_eq!(post.secret_by, SecretBy::Form);
        let more = r#","token_endpoint_auth_methods_supported":["private_key_jwt"]"#;
        for bad in [
            of("https://id.example/b", "https://id.example/t", ""),
            of("https://id.example/a/", "https://id.example/t", ""),
            of("https://id.example/a", "http://id.example/t", ""),
            of("https://id.example/a", "https://id.example/t", more),
            "[]".to_owned(),
        ] {
            assert_eq!(read(bad.clone()), Err(Refused::Discovery), "{bad}");
        }
    }
}
