//! SCIM 2.0 (RFC 7643, 7644): a directory elsewhere, such as Entra ID, Okta or Keycloak, says who is a member (ORG-26).
//!
//! | path below `/scim/v2` | what |
//! | --- | --- |
//! | `/ServiceProviderConfig`, `/ResourceTypes`, `/Schemas` | what there is ([`documents`]) |
//! | `/Users` | members ([`users`]): list, find, add, replace, change, put into the recycle bin |
//! | `/Groups` | tags ([`groups`]) |
//!
//! The tenant is the key's. A request goes the way that every request of the API goes (who is it, not too often, may he do
//! this at all), and what is done is done by [`pennypost_admin`] with its questions and records.
//!
//! Invariants:
//! - A resource is changed only if it is still as it was looked at, else it is tried again upon what is there; who names a version
//!   has that version changed, or nothing further.
//! - Nobody stays in who is to be out: disabling is done before anything else of a request is looked at. What else can be known
//!   to be wrong with it is known before anything else of it is done.
//! - Another tenant's resources are as those that are not there.

mod answer;
mod documents;
mod filter;
mod groups;
mod list;
mod patch;
mod users;
mod value;

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::{Request, State};
use axum::http::request::Parts;
use axum::http::uri::Authority;
use axum::http::{Method, header};
use axum::response::{IntoResponse, Response};
use axum::routing::any;
use pennypost_admin::{Administration, Call, Origin, Provisioner};
use serde_json::{Map, Value};

use self::answer::{Answer, Failure, Type, no_method};
use super::front::{self, MOST_BODY, Shown};
use super::problem::details::{bad_parameter, both, no_such};
use super::problem::{Kind, Refusal};
use super::{Client, Rest};
use crate::language::Language;

/// What stands in front of all paths.
pub(super) const PREFIX: &str = "/scim/v2";
/// How often something is looked at again that others change at the same time.
const TRIES: usize = 5;
/// Bytes of a group's document at most: as many members as a tag marks, as they are shown.
const MOST_GROUP: usize = 2 * 1024 * 1024;
/// Bytes of a filter at most.
const MOST_FILTER: usize = 8 * 1024;

/// All paths of it.
pub(super) fn routes() -> Router<Rest> {
    Router::new().route("/scim/v2", any(page)).route("/scim/v2/{*path}", any(page))
}

async fn page(State(rest): State<Rest>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let language = Language::of(&parts.headers, parts.uri.query());
    match answered(&rest, &parts, body).await {
        Ok(answer) => answer.into_response(),
        Err(failure) => failure.say(language),
    }
}

/// A request that was let in.
struct Ask {
    administration: Administration,
    by: Provisioner,
    /// What stands in front of the paths of resources, with the host that was asked, if it said one.
    base: String,
    /// How often the key has asked, and what it has shown.
    rest: Rest,
    secret: String,
    query: Vec<(String, String)>,
    if_match: Option<String>,
    if_none_match: Option<String>,
    /// The document that was sent; empty where none was.
    body: Map<String, Value>,
}

impl Ask {
    /// A parameter behind the question mark, whatever its case.
    fn parameter(&self, name: &str) -> Option<&str> {
        let found = self.query.iter().find(|(known, _)| known.eq_ignore_ascii_case(name));
        found.map(|(_, value)| value.as_str())
    }

    /// Has whoever asks seen this version, if one was named?
    fn must_match(&self, version: &str) -> Result<(), Failure> {
        let Some(seen) = &self.if_match else { return Ok(()) };
        if names(seen, version) { Ok(()) } else { Err(Kind::Changed.into()) }
    }

    /// Is it still as this request has left it, if a version was named? What it changed itself is nobody else's change.
    fn must_still_be(&self, left: Option<&str>, version: &str) -> Result<(), Failure> {
        let is_any = self.if_match.as_ref().is_none_or(|seen| seen.trim() == "*");
        match left {
            None => self.must_match(version),
            Some(left) if is_any || left == version => Ok(()),
            Some(_) => Err(Kind::Changed.into()),
        }
    }

    /// The filter, if one was said.
    fn filter(&self) -> Result<Option<&str>, Failure> {
        let said = self.parameter("filter").map(str::trim).filter(|said| !said.is_empty());
        if said.is_some_and(|said| said.len() > MOST_FILTER) {
            let most = MOST_FILTER / 1024;
            let detail = both(format!("a filter has {most} KB at most"), format!("过滤条件最多 {most} KB"));
            return Err(Failure::of(Type::TooMany, detail));
        }
        Ok(said)
    }

    /// One more query of many rows: it counts as a request, so that nobody reads without end.
    fn count_query(&self) -> Result<(), Failure> {
        let wait = |seconds| Refusal { retry_after: Some(seconds), ..Refusal::from(Kind::TooManyRequests) };
        Ok(self.rest.limits.key(&self.secret, self.rest.clock.now()).map_err(wait)?)
    }

    /// Is this the version that whoever asks has already?
    fn is_known(&self, version: &str) -> bool {
        self.if_none_match.as_ref().is_some_and(|known| names(known, version))
    }
}

/// Is the version among those of a header? Compared weakly: many write them without the `W/` that they were given with.
fn names(header: &str, version: &str) -> bool {
    let bare = |tag: &str| tag.trim().trim_start_matches("W/").to_owned();
    header.split(',').any(|tag| tag.trim() == "*" || bare(tag) == bare(version))
}

async fn answered(rest: &Rest, parts: &Parts, body: Body) -> Result<Answer, Failure> {
    let client = parts.extensions.get::<Client>().map(|client| client.0);
    let Shown { secret, is_cookie } = front::shown(&parts.headers)?;
    if is_cookie {
        return Err(Kind::Unauthorised.into());
    }
    let actor = front::authentic(rest, secret, client).await?;
    let call = Call { actor, origin: Origin::Api(client) };
    let changes = !matches!(parts.method, Method::GET | Method::HEAD);
    let path = parts.uri.path();
    let by = rest.administration.provisioner(&call, changes, path).await?;
    let words = words(path)?;
    let mut ask = Ask {
        administration: rest.administration.clone(),
        by,
        base: base(parts),
        rest: rest.clone(),
        secret: secret.to_owned(),
        query: front::query_within(parts.uri.query(), 2 * MOST_FILTER)?,
        if_match: front::text(&parts.headers, header::IF_MATCH.as_str()),
        if_none_match: front::text(&parts.headers, header::IF_NONE_MATCH.as_str()),
        body: Map::new(),
    };
    if matches!(parts.method, Method::POST | Method::PUT | Method::PATCH) {
        is_json(parts)?;
        let most = if words.first().is_some_and(|first| first == "Groups") { MOST_GROUP } else { MOST_BODY };
        ask.body = document(body, most).await?;
    }
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    // Of HEAD the server leaves out the body.
    let method = if parts.method == Method::HEAD { &Method::GET } else { &parts.method };
    // On the heap: they are large.
    match (method, words.as_slice()) {
        (&Method::GET, ["ServiceProviderConfig"]) => Ok(documents::config(&ask.base)),
        (&Method::GET, ["ResourceTypes", rest @ ..]) => documents::resource_types(&ask.base, rest),
        (&Method::GET, ["Schemas", rest @ ..]) => documents::schemas(&ask.base, rest),
        (&Method::GET, ["Users"]) => Box::pin(users::list(&ask)).await,
        (&Method::POST, ["Users"]) => Box::pin(users::add(&ask)).await,
        (&Method::GET, ["Users", id]) => Box::pin(users::read(&ask, id)).await,
        (&Method::PUT, ["Users", id]) => Box::pin(users::replace(&ask, id)).await,
        (&Method::PATCH, ["Users", id]) => Box::pin(users::change(&ask, id)).await,
        (&Method::DELETE, ["Users", id]) => Box::pin(users::remove(&ask, id)).await,
        (&Method::GET, ["Groups"]) => Box::pin(groups::list(&ask)).await,
        (&Method::POST, ["Groups"]) => Box::pin(groups::add(&ask)).await,
        (&Method::GET, ["Groups", id]) => Box::pin(groups::read(&ask, id)).await,
        (&Method::PUT, ["Groups", id]) => Box::pin(groups::replace(&ask, id)).await,
        (&Method::PATCH, ["Groups", id]) => Box::pin(groups::change(&ask, id)).await,
        (&Method::DELETE, ["Groups", id]) => Box::pin(groups::remove(&ask, id)).await,
        // What the standard has and ServiceProviderConfig does not offer (RFC 7644 sections 3.7, 3.11).
        (_, ["Bulk" | "Me", ..] | [".search"] | ["Users" | "Groups", ".search"]) => Err(Failure::not_built()),
        (_, ["Users" | "Groups"]) => Err(no_method("GET, HEAD, POST")),
        (_, ["Users" | "Groups", _]) => Err(no_method("GET, HEAD, PUT, PATCH, DELETE")),
        (_, ["ServiceProviderConfig"] | ["ResourceTypes" | "Schemas", ..]) => Err(no_method("GET, HEAD")),
        _ => Err(Kind::NotFound.into()),
    }
}

/// What stands in front of the paths of resources: with the host by which the request came, if it names one.
fn base(parts: &Parts) -> String {
    let said = front::text(&parts.headers, header::HOST.as_str());
    let named = parts.uri.authority().cloned().or_else(|| said?.parse::<Authority>().ok());
    let Some(host) = named.filter(|host| !host.as_str().contains('@')) else { return PREFIX.to_owned() };
    let is_here = ["localhost", "127.0.0.1", "[::1]"].contains(&host.host());
    let scheme = if is_here { "http" } else { "https" };
    format!("{scheme}://{host}{PREFIX}")
}

/// The parts of the path, decoded.
fn words(path: &str) -> Result<Vec<String>, Refusal> {
    let path = path.strip_prefix(PREFIX).unwrap_or(path);
    let missing = || Refusal::new(Kind::NotFound, no_such("path"));
    path.split('/')
        .filter(|word| !word.is_empty())
        .map(|word| front::decoded(word, false).filter(|word| front::is_plain(word)).ok_or_else(missing))
        .collect()
}

fn is_json(parts: &Parts) -> Result<(), Refusal> {
    let said = front::text(&parts.headers, header::CONTENT_TYPE.as_str()).unwrap_or_default();
    let media = said.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    let is_json = ["application/scim+json", "application/json"].contains(&media.as_str());
    if is_json { Ok(()) } else { Err(Kind::OtherMedia.into()) }
}

async fn document(body: Body, most: usize) -> Result<Map<String, Value>, Failure> {
    let too_large = |_| {
        let most = most / 1024;
        Refusal::new(Kind::TooLarge, both(format!("{most} KB at most"), format!("最多 {most} KB")))
    };
    let bytes = to_bytes(body, most).await.map_err(too_large)?;
    match serde_json::from_slice(&bytes) {
        Ok(Value::Object(document)) => Ok(document),
        Ok(_) => Err(Failure::of(
            Type::InvalidSyntax,
            both("the body is no JSON object", "请求内容不是 JSON 对象"),
        )),
        Err(_) => {
            Err(Failure::of(Type::InvalidSyntax, both("the body is no JSON", "请求内容不是有效的 JSON")))
        }
    }
}

/// A number behind the question mark.
fn number(ask: &Ask, name: &str) -> Result<Option<i64>, Refusal> {
    let wrong = |_| Refusal::new(Kind::BadParameter, bad_parameter(name));
    ask.parameter(name).map(|text| text.trim().parse().map_err(wrong)).transpose()
}
