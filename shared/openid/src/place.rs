//! Addresses over HTTPS, taken apart.

use serde::{Deserialize, Serialize};

use crate::Refused;

/// Bytes of an address.
const MAX: usize = 1_000;

/// An address over HTTPS.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Place {
    /// As it was said.
    pub text: String,
    /// The host, in lower case.
    pub host: String,
    /// The port.
    pub port: u16,
    /// The path with what is asked of it; begins with a slash.
    pub path: String,
}

impl Place {
    /// An address with a name as its host: numbers could be anybody's, and have no certificates.
    #[must_use]
    pub fn parse(text: &str) -> Option<Place> {
        let rest = text.strip_prefix("https://")?;
        let is_plain =
            text.len() <= MAX && text.bytes().all(|byte| byte.is_ascii_graphic()) && !text.contains('#');
        let end = rest.find(['/', '?']).unwrap_or(rest.len());
        let (authority, path) = rest.split_at(end);
        let (host, port) = match authority.split_once(':') {
            Some((host, port)) => (host, port.parse().ok().filter(|port| *port > 0)?),
            None => (authority, 443),
        };
        let is_label = |label: &str| {
            (1..=63).contains(&label.len())
                && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
        };
        let is_name = host.len() <= 253
            && host.contains('.')
            && host.split('.').all(is_label)
            && !host.rsplit('.').next().is_some_and(|last| last.bytes().all(|byte| byte.is_ascii_digit()));
        let path = if path.starts_with('/') { path.to_owned() } else { format!("/{path}") };
        let place = Place { text: text.to_owned(), host: host.to_ascii_lowercase(), port, path };
        (is_plain && is_name).then_some(place)
    }

    /// An issuer (OpenID Connect Discovery section 3): no query.
    ///
    /// # Errors
    /// [`Refused::Issuer`].
    pub fn issuer(text: &str) -> Result<Place, Refused> {
        Place::parse(text).filter(|place| !place.path.contains('?')).ok_or(Refused::Issuer)
    }

    /// The path at which an issuer says what it is (OpenID Connect Discovery section 4).
    #[must_use]
    pub fn configuration(&self) -> String {
        format!("{}/.well-known/openid-configuration", self.path.trim_end_matches('/'))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_names_over_https_are_issuers() {
        let place = Place::issuer("https://ID.example:8443/realms/a/").expect("good");
        assert_eq!((place.host.as_str(), place.port), ("id.example", 8443));
        assert_eq!(place.configuration(), "/realms/a/.well-known/openid-configuration");
        let place = Place::issuer("https://id.example").expect("good");
        assert_eq!(place.configuration(), "/.well-known/openid-configuration");
        for bad in [
            "http://id.example",
            "https://",
            "https://localhost",
            "https://127.0.0.1",
            "https://[::1]/",
            "https://user@id.example",
            "https://id.example:0",
            "https://id.example:70000",
            "https://id.example/?a=b",
            "https://id.example/#a",
            "https://id.example/a b",
            "https://id.example/\r\nHost: x",
            "https://-_.example",
        ] {
            assert_eq!(Place::issuer(bad), Err(Refused::Issuer), "{bad}");
        }
    }
}
