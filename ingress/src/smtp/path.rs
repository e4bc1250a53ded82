//! Paths: what stands between the angle brackets of MAIL and RCPT (RFC 5321 section 4.1.2, RFC 6531 section
//! 3.3).

use std::net::{Ipv4Addr, Ipv6Addr};

/// Longest path in bytes (RFC 5321 section 4.5.3.1.3), brackets not counted.
const MAX_PATH: usize = 254;
/// Longest local part in bytes (RFC 5321 section 4.5.3.1.1).
const MAX_LOCAL: usize = 64;
/// Longest domain in bytes (RFC 5321 section 4.5.3.1.2).
const MAX_DOMAIN: usize = 255;

/// Why something is no path.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum PathError {
    #[error("the address must stand in angle brackets")]
    Brackets,
    #[error("the address is too long")]
    TooLong,
    #[error("the part before the @ is not valid")]
    Local,
    #[error("the domain is not valid")]
    Domain,
    #[error("the address is not valid UTF-8")]
    Encoding,
}

/// Splits `<path>` off the front: the path without brackets, and what follows. A quoted local part may
/// contain a `>`.
pub(crate) fn split_path(text: &[u8]) -> Result<(&[u8], &[u8]), PathError> {
    let inner = text.strip_prefix(b"<").ok_or(PathError::Brackets)?;
    let mut quoted = false;
    let mut bytes = inner.iter().enumerate();
    while let Some((index, byte)) = bytes.next() {
        match byte {
            b'"' => quoted = !quoted,
            b'\\' if quoted => {
                bytes.next();
            }
            b'>' if !quoted => return Ok((&inner[..index], &inner[index + 1..])),
            _ => {}
        }
    }
    Err(PathError::Brackets)
}

/// Checks a mailbox and gives it as text, without a source route: `@a,@b:` in front is to be ignored (RFC 5321
/// appendix C).
pub(crate) fn mailbox(path: &[u8]) -> Result<&str, PathError> {
    let path = match path {
        [b'@', ..] => {
            let colon = memchr::memchr(b':', path).ok_or(PathError::Local)?;
            let is_route = path[..colon].split(|byte| *byte == b',').all(|hop| {
                hop.strip_prefix(b"@").and_then(|hop| std::str::from_utf8(hop).ok()).is_some_and(is_domain)
            });
            if !is_route {
                return Err(PathError::Domain);
            }
            &path[colon + 1..]
        }
        _ => path,
    };
    if path.len() > MAX_PATH {
        return Err(PathError::TooLong);
    }
    let text = std::str::from_utf8(path).map_err(|_| PathError::Encoding)?;
    let (local, domain) = split_at_sign(text).ok_or(PathError::Domain)?;
    check_local(local)?;
    let is_literal = domain.starts_with('[');
    if !(if is_literal { is_literal_address(domain) } else { is_domain(domain) }) {
        return Err(PathError::Domain);
    }
    Ok(text)
}

/// The local part alone, for `<postmaster>` (RFC 5321 section 4.1.1.3).
pub(crate) const fn is_postmaster(path: &[u8]) -> bool {
    path.eq_ignore_ascii_case(b"postmaster")
}

/// Splits at the `@` behind the local part, which may be quoted.
fn split_at_sign(text: &str) -> Option<(&str, &str)> {
    if !text.starts_with('"') {
        return text.split_once('@');
    }
    // The domain can't contain a quotation mark.
    let close = text.rfind('"').filter(|close| *close > 0)?;
    let domain = text[close + 1..].strip_prefix('@')?;
    Some((&text[..=close], domain))
}

fn check_local(local: &str) -> Result<(), PathError> {
    if local.len() > MAX_LOCAL {
        return Err(PathError::TooLong);
    }
    let is_valid = match local.strip_prefix('"') {
        Some(rest) => rest.strip_suffix('"').is_some_and(is_quoted_content),
        None => local.split('.').all(|atom| !atom.is_empty() && atom.chars().all(is_atext)),
    };
    is_valid.then_some(()).ok_or(PathError::Local)
}

fn is_quoted_content(content: &str) -> bool {
    let mut chars = content.chars();
    while let Some(c) = chars.next() {
        let is_valid = match c {
            '"' => false,
            '\\' => chars.next().is_some_and(|c| (' '..='~').contains(&c)),
            c => (' '..='~').contains(&c) || is_utf8_text(c),
        };
        if !is_valid {
            return false;
        }
    }
    true
}

fn is_atext(c: char) -> bool {
    c.is_ascii_alphanumeric() || "!#$%&'*+-/=?^_`{|}~".contains(c) || is_utf8_text(c)
}

/// `UTF8-non-ascii`, without what could fool a reader of logs.
fn is_utf8_text(c: char) -> bool {
    !c.is_ascii() && !c.is_control() && !c.is_whitespace()
}

/// A domain: labels of letters, digits and hyphens, or of UTF-8. An underscore is let through, as it is
/// found in the names of real hosts.
pub(crate) fn is_domain(domain: &str) -> bool {
    let is_label = |label: &str| {
        let valid = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_' || is_utf8_text(c);
        !label.is_empty()
            && label.len() <= 4 * 63
            && !label.starts_with('-')
            && !label.ends_with('-')
            && label.chars().all(valid)
    };
    !domain.is_empty()
        && domain.len() <= MAX_DOMAIN
        && domain.strip_suffix('.').unwrap_or(domain).split('.').all(is_label)
}

/// `[192.0.2.1]` or `[IPv6:2001:db8::1]` (RFC 5321 section 4.1.3).
pub(crate) fn is_literal_address(text: &str) -> bool {
    let Some(inner) = text.strip_prefix('[').and_then(|text| text.strip_suffix(']')) else { return false };
    match inner.get(..5) {
        Some(tag) if tag.eq_ignore_ascii_case("ipv6:") => inner[5..].parse::<Ipv6Addr>().is_ok(),
        _ => inner.parse::<Ipv4Addr>().is_ok(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn paths_end_at_their_bracket() {
        for (text, path, rest) in [
            ("<a@b.example>", "a@b.example", ""),
            ("<> SIZE=1", "", " SIZE=1"),
            (r#"<"a>b"@c.example> X"#, r#""a>b"@c.example"#, " X"),
            (r#"<"a\">b"@c.example>"#, r#""a\">b"@c.example"#, ""),
        ] {
            assert_eq!(split_path(text.as_bytes()), Ok((path.as_bytes(), rest.as_bytes())), "{text}");
        }
        for text in ["", "a@b.example", "<a@b.example", r#"<"a>"#, "< a", "<\"\\"] {
            assert_eq!(split_path(text.as_bytes()), Err(PathError::Brackets), "{text}");
        }
    }

    #[test]
    fn mailboxes_are_checked() {
        for good in [
            "a@b.example",
            "a.b+tag@b-c.example",
            "a@localhost",
            "\"a b\"@c.example",
            r#""a\"b@c"@d.example"#,
            "a@[192.0.2.1]",
            "a@[IPv6:2001:db8::1]",
            "用户@例子.测试",
            "a@b_c.example",
            "a@b.example.",
        ] {
            assert_eq!(mailbox(good.as_bytes()), Ok(good));
        }
        assert_eq!(mailbox(b"@x.example,@y.example:a@b.example"), Ok("a@b.example"));
        for bad in [
            "",
            "a",
            "@b.example",
            "a@",
            "a@b..example",
            "a@-b.example",
            "a..b@c.example",
            ".a@c.example",
            "a b@c.example",
            "a@b example",
            "a\"b@c.example",
            "\"a@c.example",
            "a@[300.0.0.1]",
            "a@[::1]",
            "a@b@c.example",
            "@x.example:",
            "@x y:a@b.example",
            "a\u{a0}b@c.example",
            "\"\"x@c.example",
        ] {
            assert!(mailbox(bad.as_bytes()).is_err(), "{bad}");
        }
        assert!(mailbox(b"a\xff@b.example").is_err());
        assert!(mailbox(format!("{}@b.example", "x".repeat(65)).as_bytes()).is_err());
        assert!(mailbox(format!("x@{}", "x.".repeat(200)).as_bytes()).is_err());
    }

    proptest! {
        #[test]
        fn nothing_panics(bytes in proptest::collection::vec(any::<u8>(), 0..80)) {
            let _ = split_path(&bytes);
            let _ = mailbox(&bytes);
        }

        #[test]
        fn nothing_that_could_split_a_line_passes(text in "[\\PC\r\n\0]{0,40}") {
            if let Ok(mailbox) = mailbox(text.as_bytes()) {
                prop_assert!(!mailbox.chars().any(char::is_control));
            }
        }
    }
}
