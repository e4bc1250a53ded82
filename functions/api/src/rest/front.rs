//! The way that every request goes, up to what is done for it.

use std::net::IpAddr;

use axum::body::{Body, to_bytes};
use axum::extract::Request;
use axum::http::request::Parts;
use axum::http::{HeaderMap, header};
use axum::response::Response;
use pennypost_admin::{Actor, Call, NotAuthentic, Origin};
use pennypost_model::TenantId;

use crate::language::Language;
use crate::rest::ask::Ask;
use crate::rest::cookie::{self, is_own_page};
use crate::rest::idempotency::{Begun, Once, digest};
use crate::rest::operation::{Method, Operation};
use crate::rest::problem::details::{bad_parameter, both, no_such};
use crate::rest::problem::{Kind, Refusal};
use crate::rest::reply::Reply;
use crate::rest::{Client, Rest, waiting};

/// Bytes of a body at most: 500 members of a group with the longest addresses.
pub(super) const MOST_BODY: usize = 256 * 1024;
/// Bytes of a word of a path, and of a parameter, at most.
const MOST_TEXT: usize = 2_048;
/// What stands in front of all paths.
const PREFIX: &str = "/api/v1";

/// Answers a request for an operation.
pub(crate) async fn answer(rest: &Rest, operation: &'static Operation, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let language = Language::of(&parts.headers, parts.uri.query());
    // Of HEAD the server leaves out the body.
    match answered(rest, operation, parts, body).await {
        Ok((reply, is_repeated)) => reply.into_response(is_repeated),
        Err(refusal) => refusal.say(language),
    }
}

async fn answered(
    rest: &Rest,
    operation: &'static Operation,
    parts: Parts,
    body: Body,
) -> Result<(Reply, bool), Refusal> {
    let client = parts.extensions.get::<Client>().map(|client| client.0);
    let Shown { secret, is_cookie } = shown(&parts.headers)?;
    if is_cookie && operation.method != Method::Get {
        is_own_page(&parts.headers)?;
    }
    let actor = authentic(rest, secret, client).await?;
    let asked = actor.presence().and_then(|presence| presence.from);
    if let (Actor::Person { account, .. }, Some(client)) = (&actor, client)
        && asked != Some(client)
        && !rest.administration.directory().admits_from(*account, client).await?
    {
        return Err(Kind::Elsewhere.into());
    }
    let call = Call { actor, origin: Origin::Api(client) };
    let words = words(operation, parts.uri.path())?;
    let mut ask = Ask {
        administration: rest.administration.clone(),
        call,
        words,
        query: query(parts.uri.query())?,
        body: Vec::new(),
        if_match: text(&parts.headers, header::IF_MATCH.as_str()),
        accept: text(&parts.headers, header::ACCEPT.as_str()).unwrap_or_default(),
        once: None,
    };
    let tenant = if ask.word("tenant").is_empty() { None } else { Some(visible_tenant(&ask).await?) };
    if let Some(action) = operation.action {
        let path = parts.uri.path();
        let object = path.strip_prefix(PREFIX).unwrap_or(path);
        rest.administration.admit(&ask.call, action, tenant, object).await?;
    }
    ask.check_query(operation.query)?;
    if operation.is_update && ask.if_match.is_none() {
        let how = both("send If-Match with the ETag that you have seen", "请在 If-Match 中带上所读到的 ETag");
        return Err(Refusal::new(Kind::PreconditionRequired, how));
    }
    if operation.body.is_some() {
        if operation.is_script() {
            is_media(&parts.headers, &["application/sieve", "text/plain"])?;
        } else {
            is_json(&parts.headers)?;
        }
        let most = operation.most_body();
        let read = to_bytes(body, most).await;
        let too_large = || {
            let most = most / 1024;
            Refusal::new(Kind::TooLarge, both(format!("{most} KB at most"), format!("最多 {most} KB")))
        };
        ask.body = read.map_err(|_| too_large())?.to_vec();
    }
    let key = text(&parts.headers, "idempotency-key");
    let (Some(key), Method::Post) = (key, operation.method) else {
        return done(operation, &ask).await.map(|reply| (reply, false));
    };
    let request = digest(operation.method.name(), parts.uri.path(), &ask.body);
    let once = Once::new(&ask.call.actor, secret, &key, request)?;
    match once.begin(rest).await? {
        Begun::Answered(reply) => Ok((reply, true)),
        Begun::Do(version) => {
            ask.once = Some(once.name);
            let result = done(operation, &ask).await;
            once.keep(rest, version, &result).await;
            result.map(|reply| (reply, false))
        }
    }
}

/// Whose key it is, or session, if it may be asked with now.
pub(super) async fn authentic(rest: &Rest, secret: &str, client: Option<IpAddr>) -> Result<Actor, Refusal> {
    let now = rest.clock.now();
    let wait = |seconds| Refusal { retry_after: Some(seconds), ..Refusal::from(Kind::TooManyRequests) };
    rest.limits.client(secret, client, now).map_err(wait)?;
    rest.limits.key(secret, now).map_err(wait)?;
    match rest.administration.authenticate(secret).await {
        Ok(actor) => {
            rest.limits.opened(secret);
            Ok(actor)
        }
        Err(NotAuthentic::Unknown) => {
            rest.limits.failed(client, now);
            Err(Kind::Unauthorised.into())
        }
        Err(NotAuthentic::Failed(error)) => Err(error.into()),
    }
}

/// The tenant in the path, if whoever asks may know of it. What is another's is as what is not there.
async fn visible_tenant(ask: &Ask) -> Result<TenantId, Refusal> {
    let tenant = ask.tenant()?;
    let missing = || Refusal::new(Kind::NotFound, no_such("tenant"));
    match ask.call.actor.tenant() {
        // That it is there was looked at when the key was.
        Some(own) if own == tenant => Ok(tenant),
        Some(_) => Err(missing()),
        None => match ask.directory().tenant(tenant).await? {
            Some(_) => Ok(tenant),
            None => Err(missing()),
        },
    }
}

/// Does it, or puts it down for a second administrator.
async fn done(operation: &'static Operation, ask: &Ask) -> Result<Reply, Refusal> {
    match (operation.handler)(ask).await {
        Err(Refusal { kind: Kind::SecondNeeded, .. }) => waiting::put_down(operation, ask).await,
        other => other,
    }
}

/// What somebody shows.
pub(super) struct Shown<'a> {
    pub(super) secret: &'a str,
    /// A browser shows it by itself, whoever's page it was that made it ask.
    pub(super) is_cookie: bool,
}

pub(super) fn shown(headers: &HeaderMap) -> Result<Shown<'_>, Refusal> {
    let how = || {
        both(
            "send it as Authorization: Bearer ppk_…, or sign in",
            "请使用 Authorization: Bearer ppk_… 发送密钥，或先登录",
        )
    };
    let missing = || Refusal::new(Kind::Unauthorised, how());
    if let Some(value) = headers.get(header::AUTHORIZATION) {
        let (scheme, secret) =
            value.to_str().ok().and_then(|value| value.split_once(' ')).ok_or_else(missing)?;
        let is_bearer = scheme.eq_ignore_ascii_case("bearer");
        return if is_bearer {
            Ok(Shown { secret: secret.trim(), is_cookie: false })
        } else {
            Err(missing())
        };
    }
    let secret = cookie::session(headers).ok_or_else(missing)?;
    Ok(Shown { secret, is_cookie: true })
}

pub(super) fn text(headers: &HeaderMap, name: &str) -> Option<String> {
    headers.get(name).and_then(|value| value.to_str().ok()).map(str::to_owned)
}

pub(super) fn is_json(headers: &HeaderMap) -> Result<(), Refusal> {
    is_media(headers, &["application/json", "application/merge-patch+json"])
}

fn is_media(headers: &HeaderMap, known: &[&str]) -> Result<(), Refusal> {
    let said = text(headers, header::CONTENT_TYPE.as_str()).unwrap_or_default();
    let media = said.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    if known.contains(&media.as_str()) { Ok(()) } else { Err(Kind::OtherMedia.into()) }
}

/// What stands at the names in braces, decoded.
fn words(operation: &Operation, path: &str) -> Result<Vec<(String, String)>, Refusal> {
    let path = path.strip_prefix(PREFIX).unwrap_or(path);
    let mut words = Vec::new();
    for (named, said) in operation.path.split('/').zip(path.split('/')) {
        if let Some(name) = named.strip_prefix('{').and_then(|name| name.strip_suffix('}')) {
            let word = decoded(said, false).filter(|word| is_plain(word));
            let word = word.ok_or_else(|| Refusal::new(Kind::NotFound, no_such(name)))?;
            words.push((name.to_owned(), word));
        }
    }
    Ok(words)
}

pub(super) fn query(query: Option<&str>) -> Result<Vec<(String, String)>, Refusal> {
    query_within(query, MOST_TEXT)
}

/// The same, with parameters of that many bytes at most.
pub(super) fn query_within(query: Option<&str>, most: usize) -> Result<Vec<(String, String)>, Refusal> {
    let mut found = Vec::new();
    for pair in query.unwrap_or_default().split('&').filter(|pair| !pair.is_empty()).take(20) {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        let wrong = || Refusal::new(Kind::BadParameter, bad_parameter(name));
        let part = |text| decoded(text, true).filter(|text| is_plain_within(text, most)).ok_or_else(wrong);
        found.push((part(name)?, part(value)?));
    }
    Ok(found)
}

/// Nothing that could be meant for anybody but people.
pub(super) fn is_plain(text: &str) -> bool {
    is_plain_within(text, MOST_TEXT)
}

fn is_plain_within(text: &str, most: usize) -> bool {
    text.len() <= most && !text.chars().any(char::is_control)
}

pub(super) fn decoded(text: &str, is_form: bool) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        match byte {
            b'%' => {
                let digit = |byte: Option<u8>| byte.and_then(|byte| char::from(byte).to_digit(16));
                let (high, low) = (digit(rest.next())?, digit(rest.next())?);
                bytes.push(u8::try_from(high * 16 + low).ok()?);
            }
            b'+' if is_form => bytes.push(b' '),
            other => bytes.push(other),
        }
    }
    String::from_utf8(bytes).ok()
}
