//! Policies for TLS, for the world: `https://mta-sts.DOMAIN/.well-known/mta-sts.txt` (RFC 8461 section 3.2), by the name under
//! which it is asked.

use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};

use crate::language::Language;
use crate::rest::Rest;
use crate::rest::problem::{Kind, Refusal};

/// Where the policy of a domain lies.
pub(super) const PATH: &str = "/.well-known/mta-sts.txt";

pub(super) async fn page(State(rest): State<Rest>, headers: HeaderMap, uri: Uri) -> Response {
    match policy(&rest, &headers).await {
        Ok(text) => {
            let headers =
                [(header::CONTENT_TYPE, "text/plain; charset=utf-8"), (header::CACHE_CONTROL, "no-cache")];
            (StatusCode::OK, headers, text).into_response()
        }
        Err(refusal) => refusal.say(Language::of(&headers, uri.query())),
    }
}

/// The policy of the domain below whose name `mta-sts` it is asked. What is no name, or none of a domain with a policy, has
/// none: all told alike.
async fn policy(rest: &Rest, headers: &HeaderMap) -> Result<String, Refusal> {
    let host = headers.get(header::HOST).and_then(|host| host.to_str().ok()).unwrap_or_default();
    let (host, _port) = host.split_once(':').unwrap_or((host, ""));
    let (label, domain) = host.split_once('.').ok_or(Kind::NotFound)?;
    if !label.eq_ignore_ascii_case("mta-sts") {
        return Err(Kind::NotFound.into());
    }
    let found = rest.administration.published_tls_policy(domain).await?;
    found.ok_or_else(|| Kind::NotFound.into())
}
