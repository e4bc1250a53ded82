//! About which domain somebody asks.

use axum::http::HeaderMap;
use axum::http::header::HOST;
use pennypost_directory::MailAddress;

/// Bytes of an address at most: 64 of a local part, `@`, 255 of a domain (RFC 5321 section 4.5.3.1).
pub(crate) const MAX_ADDRESS: usize = 320;

/// Names that programs put in front of a domain.
const ASKED: [&str; 2] = ["autoconfig.", "autodiscover."];

/// An address as somebody wrote it. Nobody says whether there is an account.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Address {
    /// As it was written.
    pub whole: String,
    /// What is behind its `@`.
    pub domain: String,
}

impl Address {
    pub(crate) fn parse(text: &str) -> Option<Address> {
        let whole = text.trim();
        let is_plain =
            whole.len() <= MAX_ADDRESS && !whole.contains(|character: char| character.is_control());
        if !is_plain || MailAddress::parse(whole).is_err() {
            return None;
        }
        let (_, domain) = whole.rsplit_once('@')?;
        Some(Address { whole: whole.to_owned(), domain: domain.to_owned() })
    }
}

/// The domain of the name that was called: programs ask `autoconfig.DOMAIN` and `autodiscover.DOMAIN`, too.
pub(crate) fn called(headers: &HeaderMap) -> Option<String> {
    let host = headers.get(HOST)?.to_str().ok()?;
    let name = host.split(':').next().unwrap_or_default().to_ascii_lowercase();
    let bare = ASKED.iter().find_map(|asked| name.strip_prefix(asked)).unwrap_or(&name);
    Some(bare.to_owned()).filter(|bare| !bare.is_empty() && bare.len() <= 255)
}

/// The value of a query's parameter, decoded (application/x-www-form-urlencoded). A plus stays one: it stands in
/// addresses, and programs do not write a blank there.
pub(crate) fn parameter(query: Option<&str>, name: &str) -> Option<String> {
    let pairs = query?.split('&').filter_map(|pair| pair.split_once('='));
    let (_, value) = pairs.into_iter().find(|(key, _)| key.eq_ignore_ascii_case(name))?;
    decoded(value)
}

fn decoded(value: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(value.len());
    let mut rest = value.bytes();
    while let Some(byte) = rest.next() {
        if byte == b'%' {
            let digit = |byte: Option<u8>| byte.and_then(|byte| char::from(byte).to_digit(16));
            let (high, low) = (digit(rest.next())?, digit(rest.next())?);
            bytes.push(u8::try_from(high * 16 + low).ok()?);
        } else {
            bytes.push(byte);
        }
    }
    String::from_utf8(bytes).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn parameters_are_decoded() {
        let query = Some("a=1&EmailAddress=ann%40acme.example&plus=a+b&bad=%4&cut=%");
        assert_eq!(parameter(query, "emailaddress").as_deref(), Some("ann@acme.example"));
        assert_eq!(parameter(query, "plus").as_deref(), Some("a+b"));
        for missing in ["bad", "cut", "none"] {
            assert_eq!(parameter(query, missing), None, "{missing}");
        }
    }

    #[test]
    fn the_domain_is_that_of_the_name_that_was_called() {
        for (host, expected) in [
            ("autoconfig.acme.example", Some("acme.example")),
            ("Autodiscover.Acme.example:443", Some("acme.example")),
            ("acme.example", Some("acme.example")),
            ("autoconfig.", None),
            ("", None),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(HOST, host.parse().expect("a value"));
            assert_eq!(called(&headers).as_deref(), expected, "{host}");
        }
        assert_eq!(called(&HeaderMap::new()), None);
    }

    proptest! {
        #[test]
        fn nothing_panics(query in ".{0,80}", text in ".{0,80}") {
            let _ = parameter(Some(&query), "a");
            let _ = parameter(Some(&format!("a={query}")), "a");
            let _ = Address::parse(&text);
        }
    }
}
