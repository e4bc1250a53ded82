//! The cookie of a session in a browser, and how a page of this post office is told from others.
//!
//! The cookie is HttpOnly, Secure, for this host alone, and SameSite=Strict. Beyond that, what changes something and shows
//! it has to come with a header that no foreign page can send without being asked for (CORS), and must not say that it
//! comes from elsewhere.

use axum::http::{HeaderMap, header};

use crate::rest::front::text;
use crate::rest::problem::details::both;
use crate::rest::problem::{Kind, Refusal};

/// The prefix makes browsers refuse it without Secure, with another path, or for other hosts.
const NAME: &str = "__Host-pennypost";
/// What a browser that went to a provider shows when it comes back. It comes from another site: Strict would keep it back.
const PROVIDER: &str = "__Host-pennypost-provider";
/// What pages of this post office send along.
pub(crate) const OWN_PAGE: &str = "pennypost-page";

/// The session in a browser's cookies.
pub(super) fn session(headers: &HeaderMap) -> Option<&str> {
    named(headers, NAME)
}

/// What it has to show when it comes back from a provider.
pub(super) fn provider(headers: &HeaderMap) -> Option<&str> {
    named(headers, PROVIDER)
}

fn named<'a>(headers: &'a HeaderMap, wanted: &str) -> Option<&'a str> {
    let lines = headers.get_all(header::COOKIE).into_iter().filter_map(|line| line.to_str().ok());
    let mut values = lines.flat_map(|line| line.split(';')).filter_map(|pair| {
        let (name, value) = pair.trim().split_once('=')?;
        (name == wanted).then_some(value)
    });
    // Two of that name: somebody has set one, and nobody knows which.
    values.next().filter(|value| !value.is_empty() && values.next().is_none())
}

/// Sets it, for so many seconds.
pub(crate) fn set(session: &str, seconds: i64) -> String {
    format!("{NAME}={session}; Path=/; Secure; HttpOnly; SameSite=Strict; Max-Age={}", seconds.max(0))
}

/// Sets what has to be shown after a provider was asked, for so many seconds.
pub(crate) fn set_provider(key: &str, seconds: i64) -> String {
    format!("{PROVIDER}={key}; Path=/; Secure; HttpOnly; SameSite=Lax; Max-Age={seconds}")
}

/// Takes it away.
pub(crate) fn clear() -> String {
    set("", 0)
}

/// Was it asked by a page of this post office?
pub(super) fn is_own_page(headers: &HeaderMap) -> Result<(), Refusal> {
    let refused = |english: &str, chinese: &str| Err(Refusal::new(Kind::OtherPage, both(english, chinese)));
    if !headers.contains_key(OWN_PAGE) {
        return refused("send the header Pennypost-Page: 1", "请求须带有 Pennypost-Page: 1 标头");
    }
    let is_ours = |site: String| matches!(site.as_str(), "same-origin" | "none");
    if text(headers, "sec-fetch-site").is_some_and(|site| !is_ours(site)) {
        return refused("it comes from another site", "请求来自其他网站");
    }
    let host = text(headers, header::HOST.as_str());
    if let (Some(origin), Some(host)) = (text(headers, header::ORIGIN.as_str()), host) {
        let of_origin = origin.split_once("://").map_or("", |(_, host)| host);
        if !of_origin.eq_ignore_ascii_case(&host) {
            return refused("it comes from another site", "请求来自其他网站");
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use axum::http::{HeaderName, HeaderValue};

    use super::*;

    fn headers(all: &[(&'static str, &'static str)]) -> HeaderMap {
        let pair = |(name, value): &(&'static str, &'static str)| {
            (HeaderName::from_static(name), HeaderValue::from_static(value))
        };
        all.iter().map(pair).collect()
    }

    #[test]
    fn the_session_is_found_among_cookies() {
        for (line, expected) in [
            ("__Host-pennypost=pps_1", Some("pps_1")),
            ("a=b; __Host-pennypost=pps_1; c=d", Some("pps_1")),
            ("pennypost=pps_1", None),
            ("__Host-pennypost=", None),
            ("__Host-pennypost=pps_1; __Host-pennypost=pps_2", None),
            ("", None),
        ] {
            assert_eq!(session(&headers(&[("cookie", line)])), expected, "{line}");
        }
    }

    #[test]
    fn foreign_pages_are_refused() {
        let own = [("pennypost-page", "1"), ("host", "mail.acme.example")];
        for (more, is_good) in [
            (vec![], true),
            (vec![("sec-fetch-site", "same-origin"), ("origin", "https://mail.acme.example")], true),
            (vec![("sec-fetch-site", "cross-site")], false),
            (vec![("sec-fetch-site", "same-site")], false),
            (vec![("origin", "https://evil.example")], false),
            (vec![("origin", "null")], false),
        ] {
            let all: Vec<_> = own.iter().copied().chain(more).collect();
            assert_eq!(is_own_page(&headers(&all)).is_ok(), is_good, "{all:?}");
        }
        assert!(is_own_page(&headers(&[("host", "mail.acme.example")])).is_err());
    }
}
