//! Handler: what mail programs ask a domain for when they set themselves up, over HTTP (CLI-09); and the admin API.
//!
//! | path | who asks | answer |
//! | --- | --- | --- |
//! | `GET /.well-known/autoconfig/mail/config-v1.1.xml`, `GET /mail/config-v1.1.xml` | Thunderbird, K-9, Evolution | its autoconfiguration format, version 1.1 |
//! | `POST /autodiscover/autodiscover.xml` | Outlook | Autodiscover as plain old XML (MS-OXDSCLI) |
//! | `GET /mobileconfig?email=` | a person with an Apple device | a configuration profile |
//! | `GET /.well-known/mta-sts.txt` | mail servers, at `mta-sts.DOMAIN` | the domain's policy for TLS (RFC 8461) |
//! | `/api/v1/…` | programs with a key | the admin API ([`rest`]); its reference is `GET /api/v1/reference` |
//! | `/scim/v2/…` | a directory elsewhere, with a key | SCIM 2.0 (RFC 7644): members and tags |
//! | `GET /health` | whoever watches | that the program answers |
//!
//! What is open to everybody owns nothing, and reads of the directory only whether a domain is here, so no answer tells
//! whether an account exists: every address of a domain gets the same one. Servers and ports are configured
//! ([`Settings`]). What the API owns stands in [`rest`].
//!
//! Invariants: input is bounded (16 KB of a body, 320 bytes of an address); XML is written by a library that escapes what
//! others wrote; every refusal is a problem of RFC 9457, in the language that is asked for. If the process dies, nothing
//! is lost: what the pages for mail programs need is never written.

mod autoconfig;
mod autodiscover;
mod domain;
mod language;
mod mobileconfig;
mod problem;
pub mod rest;
mod settings;
mod sites;
mod xml;

use std::sync::Arc;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::http::{HeaderMap, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use pennypost_directory::Directory;

use crate::domain::Address;
use crate::language::Language;
use crate::problem::{Kind, Problem};
pub use crate::rest::{
    AutomaticDocument, Client, ContentRulesDocument, Rest, RuleDocument, RulesDocument,
    routes as admin_routes,
};
pub use crate::settings::{BadSetting, Outgoing, Security, Settings};
pub use crate::sites::{Site, Sites};

/// Bytes of a request's body at most.
const MOST_BODY: usize = 16 * 1024;

/// What the pages stand on. Cheap to clone.
#[derive(Clone)]
pub struct Api {
    directory: Directory,
    settings: Arc<Settings>,
}

impl Api {
    /// Pages for the domains of `directory`.
    #[must_use]
    pub fn new(directory: Directory, settings: Settings) -> Api {
        Api { directory, settings: Arc::new(settings) }
    }

    /// Is the domain here? An address of any other gets no settings.
    async fn admit(&self, domain: &str, language: Language) -> Result<(), Problem> {
        match self.directory.domain(domain).await {
            Ok(Some(_)) => Ok(()),
            Ok(None) => Err(Problem::new(Kind::UnknownDomain, language)),
            Err(error) if error.is_temporary() => {
                tracing::warn!(%error, "a domain can't be looked up");
                Err(Problem::new(Kind::Unavailable, language))
            }
            Err(error) => {
                tracing::debug!(%error, "no domain");
                Err(Problem::new(Kind::UnknownDomain, language))
            }
        }
    }
}

/// The pages by their paths. What is at no path of them is left to whoever adds this to other pages.
pub fn routes(api: Api) -> Router {
    let autodiscover = post(autodiscover::page).get(autodiscover::not_by_get);
    Router::new()
        .route("/.well-known/autoconfig/mail/config-v1.1.xml", get(autoconfig::page))
        .route("/mail/config-v1.1.xml", get(autoconfig::page))
        .route("/autodiscover/autodiscover.xml", autodiscover.clone())
        // As Outlook writes it.
        .route("/Autodiscover/Autodiscover.xml", autodiscover)
        .route("/mobileconfig", get(mobileconfig::page))
        .route("/health", get(health))
        .layer(DefaultBodyLimit::max(MOST_BODY))
        .with_state(api)
}

/// The pages by themselves, with a clear answer to whatever else is asked.
pub fn router(api: Api, rest: Rest) -> Router {
    routes(api).merge(admin_routes(rest)).fallback(nothing_here).method_not_allowed_fallback(not_so)
}

async fn health() -> Response {
    ([(header::CONTENT_TYPE, "application/json")], r#"{"status":"ok"}"#).into_response()
}

async fn nothing_here(headers: HeaderMap, uri: Uri) -> Problem {
    Problem::new(Kind::NoSuchPage, Language::of(&headers, uri.query()))
}

async fn not_so(headers: HeaderMap, uri: Uri) -> Problem {
    Problem::new(Kind::OtherMethod, Language::of(&headers, uri.query()))
}

/// A document that the programs of no other address may keep.
fn document(media_type: &'static str, language: Option<Language>, text: Vec<u8>) -> Response {
    let mut response = (StatusCode::OK, text).into_response();
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, header::HeaderValue::from_static(media_type));
    headers.insert(header::CACHE_CONTROL, header::HeaderValue::from_static("no-store"));
    if let Some(language) = language {
        headers.insert(header::CONTENT_LANGUAGE, header::HeaderValue::from_static(language.tag()));
        headers.insert(header::VARY, header::HeaderValue::from_static("accept-language"));
    }
    response
}

/// The address in a query's parameter, if there is one.
fn address_in(query: Option<&str>, name: &str, language: Language) -> Result<Option<Address>, Problem> {
    let Some(text) = domain::parameter(query, name).filter(|text| !text.is_empty()) else { return Ok(None) };
    Address::parse(&text).map(Some).ok_or_else(|| Problem::new(Kind::NoAddress, language))
}

#[cfg(test)]
mod tests;
