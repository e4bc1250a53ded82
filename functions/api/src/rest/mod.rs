//! The admin API: resources under `/api/v1`, for programs and for the console.
//!
//! [`resources`] has a table of operations; from it come the router, the OpenAPI document, the page that shows it, and
//! the first question of authorisation. Every request goes the same way ([`front`]): who is it (401), not too often
//! (429), is the tenant his (404), may he do this at all (403), is the body what it should be (400, 413, 415, 428), was it
//! asked before ([`idempotency`]); then [`pennypost_admin`] asks again, records and does. Directories elsewhere come in by
//! [`scim`], the same way.
//!
//! Invariants:
//! - What is not in the table is not there, nor among the few [`doors`] through which one comes in without a key, nor in [`scim`]. What has no action in it is open to whoever has a key, and tells of nobody else.
//! - Another tenant's objects are as those that are not there: the same status, the same document.
//! - A body is bounded, fields that nobody knows are refused, and nothing is half read.
//! - Secrets are told once. What is kept of answers for whoever asks again is sealed with the asker's key.

mod ask;
mod cookie;
mod document;
mod doors;
mod friends;
mod front;
mod idempotency;
mod limits;
mod mta_sts;
mod operation;
mod problem;
mod qr_code;
mod quarantine_link;
mod reference;
mod reply;
mod resources;
mod scim;
mod sso;
mod waiting;

use std::net::IpAddr;
use std::sync::Arc;

use axum::Router;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{MethodFilter, MethodRouter, get, on};
use pennypost_admin::Administration;
use pennypost_ports::{Clock, Control};

use crate::language::Language;
use crate::rest::problem::{Kind, Refusal};
use crate::sites::Sites;

pub use crate::rest::document::document;
pub use crate::rest::limits::Pace;
pub use crate::rest::resources::automatic::AutomaticDocument;
pub use crate::rest::resources::contents::ContentRulesDocument;
pub use crate::rest::resources::receiving::{RuleDocument, RulesDocument};

/// From where a request comes: to be put into its extensions by whoever serves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Client(pub IpAddr);

/// What the API stands on. Cheap to clone.
#[derive(Clone)]
pub struct Rest {
    administration: Administration,
    control: Arc<dyn Control>,
    clock: Arc<dyn Clock>,
    limits: Arc<limits::Limits>,
    sites: Arc<Sites>,
}

impl Rest {
    /// The API over administration; `control` keeps answers for whoever asks again.
    #[must_use]
    pub fn new(administration: Administration, control: Arc<dyn Control>, clock: Arc<dyn Clock>) -> Rest {
        Rest { administration, control, clock, limits: Arc::default(), sites: Arc::default() }
    }
}

impl Rest {
    /// The same with another pace.
    #[must_use]
    pub fn at(self, pace: Pace) -> Rest {
        Rest { limits: Arc::new(limits::Limits::of(pace)), ..self }
    }

    /// The same, where the post office is reached at several places.
    #[must_use]
    pub fn with_sites(self, sites: Sites) -> Rest {
        Rest { sites: Arc::new(sites), ..self }
    }
}

/// The API by its paths, all under `/api/v1`.
pub fn routes(rest: Rest) -> Router {
    let mut router = Router::new()
        .route("/openapi.json", get(openapi))
        .route("/reference", get(reference::page))
        .route("/reference.css", get(reference::style));
    for operation in resources::operations() {
        let filter = match operation.method {
            operation::Method::Get => MethodFilter::GET,
            operation::Method::Post => MethodFilter::POST,
            operation::Method::Put => MethodFilter::PUT,
            operation::Method::Patch => MethodFilter::PATCH,
            operation::Method::Delete => MethodFilter::DELETE,
        };
        let answer = move |State(rest): State<Rest>, request: Request| async move {
            front::answer(&rest, operation, request).await
        };
        let route: MethodRouter<Rest> = on(filter, answer);
        router = router.route(operation.path, route);
    }
    for door in doors::DOORS {
        let answer = move |State(rest): State<Rest>, request: Request| async move {
            doors::answer(&rest, door, request).await
        };
        let route: MethodRouter<Rest> = on(MethodFilter::POST, answer);
        router = router.route(door.path, route);
    }
    let pages = Router::new()
        .route("/sso", get(sso::page))
        .route(pennypost_admin::SIGN_IN_RETURN, get(sso::from_provider))
        .route(mta_sts::PATH, get(mta_sts::page))
        .route(friends::PATH, get(friends::page).post(friends::answer))
        .route(quarantine_link::PATH, get(quarantine_link::page).post(quarantine_link::answer))
        .merge(scim::routes())
        .with_state(rest.clone());
    let router = router.fallback(nothing_here).method_not_allowed_fallback(not_so).with_state(rest);
    Router::new().nest("/api/v1", router).merge(pages)
}

async fn nothing_here(headers: HeaderMap, uri: Uri) -> Response {
    Refusal::from(Kind::NotFound).say(Language::of(&headers, uri.query()))
}

async fn not_so(headers: HeaderMap, uri: Uri) -> Response {
    Refusal::from(Kind::OtherMethod).say(Language::of(&headers, uri.query()))
}

async fn openapi() -> Response {
    let headers = [(header::CONTENT_TYPE, "application/json"), (header::CACHE_CONTROL, "no-cache")];
    (StatusCode::OK, headers, document::text()).into_response()
}
