//! Mail addresses and domains in the form in which they are compared and stored.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use unicode_normalization::UnicodeNormalization;

/// Why a text is no domain or address.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AddressError {
    /// Not a domain.
    #[error("{0:?} is not a domain name")]
    Domain(String),
    /// No `@`, or nothing in front of it.
    #[error("{0:?} is not a mail address: it needs the form local-part@domain")]
    Shape(String),
    /// The part before the `@` is too long (RFC 5321 section 4.5.3.1.1) or holds characters that it may not.
    #[error("{0:?} is not a mail address: the part before the @ is not valid")]
    LocalPart(String),
}

/// The beginning of what somebody wrote, for an error text.
fn excerpt(text: &str) -> String {
    text.chars().take(80).collect()
}

/// A domain as A-labels in lower case (RFC 5890), at least two labels, no dot at the end.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct DomainName(String);

impl DomainName {
    /// Longest name in bytes (RFC 1035 section 2.3.4, without the root).
    pub const MAX_LEN: usize = 253;

    /// Reads a name in A-labels or U-labels, in any case; a dot at the end is ignored.
    ///
    /// # Errors
    /// [`AddressError::Domain`] for anything else, including address literals and names with one label.
    pub fn parse(text: &str) -> Result<DomainName, AddressError> {
        let failed = || AddressError::Domain(excerpt(text));
        // A name in U-labels can be longer than in A-labels only by its bytes; this bounds the work.
        if text.len() > 4 * Self::MAX_LEN {
            return Err(failed());
        }
        let trimmed = text.strip_suffix('.').unwrap_or(text);
        let ascii = idna::domain_to_ascii_strict(trimmed).map_err(|_| failed())?;
        let labels_are_valid = ascii.split('.').all(|label| {
            !label.is_empty()
                && label.len() <= 63
                && !label.starts_with('-')
                && !label.ends_with('-')
                && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
        });
        let valid = ascii.len() <= Self::MAX_LEN && ascii.contains('.') && labels_are_valid;
        valid.then(|| DomainName(ascii.to_ascii_lowercase())).ok_or_else(failed)
    }

    /// The name in A-labels.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The name in U-labels, for people.
    #[must_use]
    pub fn to_unicode(&self) -> String {
        idna::domain_to_unicode(&self.0).0
    }

    /// Is it `ancestor` or a name below it?
    #[must_use]
    pub fn is_within(&self, ancestor: &DomainName) -> bool {
        self.0.strip_suffix(ancestor.as_str()).is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
    }
}

impl fmt::Display for DomainName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for DomainName {
    type Err = AddressError;
    fn from_str(text: &str) -> Result<DomainName, AddressError> {
        DomainName::parse(text)
    }
}

/// A mail address in the form in which it is compared: local part unquoted, in lower case and NFC (RFC 6532
/// section 3.1), domain as [`DomainName`].
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct MailAddress {
    local: String,
    domain: DomainName,
}

impl MailAddress {
    /// Longest local part in bytes (RFC 5321 section 4.5.3.1.1).
    pub const MAX_LOCAL: usize = 64;

    /// Reads `local-part@domain`, with or without angle brackets around it, the local part perhaps a quoted
    /// string (RFC 5321 section 4.1.2: quoting does not make another address).
    ///
    /// # Errors
    /// [`AddressError`] that says what is wrong.
    pub fn parse(text: &str) -> Result<MailAddress, AddressError> {
        let (local, domain) = split(text)?;
        let domain = DomainName::parse(domain)?;
        let local = canonical_local(local).ok_or_else(|| AddressError::LocalPart(excerpt(text)))?;
        Ok(MailAddress { local, domain })
    }

    /// The domain alone, though the local part be nonsense.
    ///
    /// # Errors
    /// [`AddressError`] if there is no domain in it.
    pub fn domain_of(text: &str) -> Result<DomainName, AddressError> {
        DomainName::parse(split(text)?.1)
    }

    /// The local part in its canonical form.
    #[must_use]
    pub fn local(&self) -> &str {
        &self.local
    }

    /// The domain.
    #[must_use]
    pub const fn domain(&self) -> &DomainName {
        &self.domain
    }

    /// Is the local part a dot-atom (RFC 5321 `Dot-string`, with the characters of RFC 6531)? Only such
    /// addresses are given to accounts: many programs cannot write to others.
    #[must_use]
    pub fn is_dot_atom(&self) -> bool {
        self.local.split('.').all(|atom| {
            !atom.is_empty()
                && atom.chars().all(|c| {
                    c.is_ascii_alphanumeric()
                        || "!#$%&'*+-/=?^_`{|}~".contains(c)
                        || (!c.is_ascii() && !c.is_control() && !c.is_whitespace())
                })
        })
    }

    /// The same local part in another domain.
    #[must_use]
    pub fn in_domain(&self, domain: &DomainName) -> MailAddress {
        MailAddress { domain: domain.clone(), ..self.clone() }
    }

    /// The address without `+tag`, if it has one.
    #[must_use]
    pub fn without_tag(&self) -> Option<MailAddress> {
        let (base, _tag) = self.local.split_once('+')?;
        (!base.is_empty()).then(|| MailAddress { local: base.to_owned(), domain: self.domain.clone() })
    }
}

/// Splits at the last `@`: a quoted local part may hold others.
fn split(text: &str) -> Result<(&str, &str), AddressError> {
    let bare = text.trim();
    let bare = bare.strip_prefix('<').and_then(|bare| bare.strip_suffix('>')).unwrap_or(bare);
    bare.rsplit_once('@').ok_or_else(|| AddressError::Shape(excerpt(text)))
}

/// The local part unquoted, lower-case, NFC; `None` if it cannot be one.
fn canonical_local(local: &str) -> Option<String> {
    // Lower case and NFC change the length; a bound in front keeps the work small.
    if local.len() > 4 * MailAddress::MAX_LOCAL {
        return None;
    }
    let quoted = local.len() >= 2 && local.starts_with('"') && local.ends_with('"');
    let content = if quoted { unquote(&local[1..local.len() - 1])? } else { local.to_owned() };
    let shape_is_valid =
        |c: char| !c.is_control() && (quoted || !(c.is_whitespace() || "\"<>,;:\\()[]@".contains(c)));
    if content.is_empty() || !content.chars().all(shape_is_valid) {
        return None;
    }
    // NFC after lower case: `İ` in lower case is two characters that compose differently.
    let canonical: String = content.nfc().collect::<String>().to_lowercase().nfc().collect();
    (canonical.len() <= MailAddress::MAX_LOCAL).then_some(canonical)
}

/// Takes the backslashes of quoted pairs away; `None` for a bare quote or a backslash at the end.
fn unquote(content: &str) -> Option<String> {
    let mut plain = String::with_capacity(content.len());
    let mut chars = content.chars();
    while let Some(c) = chars.next() {
        match c {
            '\\' => plain.push(chars.next()?),
            '"' => return None,
            other => plain.push(other),
        }
    }
    Some(plain)
}

impl fmt::Display for MailAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_dot_atom() {
            return write!(f, "{}@{}", self.local, self.domain);
        }
        let escaped = self.local.replace('\\', "\\\\").replace('"', "\\\"");
        write!(f, "\"{escaped}\"@{}", self.domain)
    }
}

impl FromStr for MailAddress {
    type Err = AddressError;
    fn from_str(text: &str) -> Result<MailAddress, AddressError> {
        MailAddress::parse(text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn domains_have_one_form() {
        for (text, name) in [
            ("Example.COM", "example.com"),
            ("example.com.", "example.com"),
            ("BÜCHER.example", "xn--bcher-kva.example"),
            ("xn--bcher-kva.example", "xn--bcher-kva.example"),
            ("邮件.中国", "xn--i2rz4e.xn--fiqs8s"),
        ] {
            let parsed = DomainName::parse(text);
            if text.starts_with('邮') {
                assert_eq!(parsed.as_ref().map(DomainName::to_unicode).as_deref(), Ok(text));
            } else {
                assert_eq!(parsed.as_ref().map(DomainName::as_str), Ok(name), "{text}");
            }
        }
        for bad in [
            "",
            ".",
            "localhost",
            "a..b",
            "-a.example",
            "a-.example",
            "a_b.example",
            "[127.0.0.1]",
            "a b.c",
            "a@b.c",
        ] {
            assert!(DomainName::parse(bad).is_err(), "{bad:?}");
        }
        assert!(DomainName::parse(&"a.".repeat(200)).is_err());
    }

    #[test]
    fn addresses_have_one_form() {
        for (text, address) in [
            ("Alice@Example.COM", "alice@example.com"),
            (" <alice@example.com> ", "alice@example.com"),
            ("\"alice\"@example.com", "alice@example.com"),
            ("\"al\\ice\"@example.com", "alice@example.com"),
            ("\"al ice\"@example.com", "\"al ice\"@example.com"),
            ("\"a@b\"@example.com", "\"a@b\"@example.com"),
            ("Andre\u{301}@example.com", "andr\u{e9}@example.com"),
            ("用户@example.com", "用户@example.com"),
        ] {
            let parsed = MailAddress::parse(text);
            assert_eq!(parsed.as_ref().map(ToString::to_string).as_deref(), Ok(address), "{text:?}");
        }
        for bad in [
            "",
            "alice",
            "@example.com",
            "a b@example.com",
            "\"\"@example.com",
            "a\r\n@example.com",
            "a@b@example.com",
            "\"a\"b\"@example.com",
            "\"@example.com",
        ] {
            assert!(MailAddress::parse(bad).is_err(), "{bad:?}");
        }
        assert!(MailAddress::parse(&format!("{}@example.com", "x".repeat(65))).is_err());
    }

    #[test]
    fn a_tag_falls_away() {
        let base =
            |text: &str| MailAddress::parse(text).expect("address").without_tag().map(|a| a.to_string());
        assert_eq!(base("alice+news+2@example.com").as_deref(), Some("alice@example.com"));
        assert_eq!(base("alice@example.com"), None);
        assert_eq!(base("+news@example.com"), None);
    }

    #[test]
    fn subdomains_are_within() {
        let name = |text: &str| DomainName::parse(text).expect("domain");
        assert!(name("a.example.com").is_within(&name("example.com")));
        assert!(name("example.com").is_within(&name("example.com")));
        assert!(!name("badexample.com").is_within(&name("example.com")));
        assert!(!name("example.com").is_within(&name("a.example.com")));
    }

    proptest! {
        #[test]
        fn what_is_read_is_read_again_alike(text in ".{0,90}") {
            if let Ok(address) = MailAddress::parse(&text) {
                prop_assert_eq!(MailAddress::parse(&address.to_string()), Ok(address));
            }
        }

        #[test]
        fn plain_addresses_are_read(local in "[a-zA-Z0-9.]{1,20}", domain in "[a-z]{1,10}\\.[a-z]{2,5}") {
            let address = format!("\"{local}\"@{domain}");
            prop_assert!(MailAddress::parse(&address).is_ok());
        }
    }
}
