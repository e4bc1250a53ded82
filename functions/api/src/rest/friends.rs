//! `/friends/…`: where somebody elsewhere agrees to get what members write to groups, or leaves (GRP-07). What follows the
//! last slash was in a letter to him.
//!
//! Looking at the page does nothing: programs open links in letters on their own. A POST does it, whatever its body says; the
//! one of RFC 8058 (`List-Unsubscribe=One-Click`) as well as that of the button of the page.

use std::net::IpAddr;

use axum::extract::{Path, Request, State};
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use pennypost_admin::SeenFriend;

use crate::language::Language;
use crate::rest::problem::{Kind, Refusal};
use crate::rest::{Client, Rest};

/// Where it is.
pub(super) const PATH: &str = "/friends/{secret}";

/// The page, with its button.
pub(super) async fn page(State(rest): State<Rest>, Path(secret): Path<String>, request: Request) -> Response {
    let (language, client) = caller(&request);
    let found = async {
        must_not_hurry(&rest, client)?;
        rest.administration.seen_friend(&secret).await.map_err(Refusal::from)
    };
    match found.await {
        Ok(seen) => page_of(language, &asked(language, &seen)),
        Err(refusal) => refusal.say(language),
    }
}

/// Does it.
pub(super) async fn answer(
    State(rest): State<Rest>,
    Path(secret): Path<String>,
    request: Request,
) -> Response {
    let (language, client) = caller(&request);
    let answered = async {
        must_not_hurry(&rest, client)?;
        rest.administration.answer_as_friend(&secret, client).await.map_err(Refusal::from)
    };
    match answered.await {
        Ok(seen) => page_of(language, &done(language, &seen)),
        Err(refusal) => refusal.say(language),
    }
}

pub(super) fn caller(request: &Request) -> (Language, Option<IpAddr>) {
    let language = Language::of(request.headers(), request.uri().query());
    (language, request.extensions().get::<Client>().map(|client| client.0))
}

pub(super) fn must_not_hurry(rest: &Rest, client: Option<IpAddr>) -> Result<(), Refusal> {
    let wait = |seconds| Refusal { retry_after: Some(seconds), ..Refusal::from(Kind::TooManyRequests) };
    rest.limits.knock(client, rest.clock.now()).map_err(wait)
}

pub(super) fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

/// What is asked: a heading, and a form whose button does it.
fn asked(language: Language, seen: &SeenFriend) -> (&'static str, String) {
    let (organisation, address) = (escaped(&seen.organisation), escaped(&seen.friend.address.to_string()));
    let (title, text, button) = if seen.leaves {
        (
            language.say("No more letters", "不再接收邮件"),
            match language {
                Language::English => {
                    format!("{address} gets what members of {organisation} write to groups.")
                }
                Language::Chinese => format!("{address} 正在接收 {organisation} 成员发往群组的邮件。"),
            },
            language.say("No longer", "不再接收"),
        )
    } else {
        (
            language.say("Letters of a group", "群组邮件"),
            match language {
                Language::English => {
                    format!("{organisation} would like to send {address} what its members write to groups.")
                }
                Language::Chinese => format!("{organisation} 希望将其成员发往群组的邮件发送给 {address}。"),
            },
            language.say("Agree", "同意"),
        )
    };
    (title, format!("<p>{text}</p><form method=\"post\"><button>{button}</button></form>"))
}

/// What was done.
fn done(language: Language, seen: &SeenFriend) -> (&'static str, String) {
    let organisation = escaped(&seen.organisation);
    let text = match (language, seen.leaves) {
        (Language::English, true) => {
            format!("Nothing that members of {organisation} write to groups goes to you any more.")
        }
        (Language::Chinese, true) => format!("您将不再收到 {organisation} 成员发往群组的邮件。"),
        (Language::English, false) => {
            format!(
                "You get what members of {organisation} write to groups. Every letter tells how to end it."
            )
        }
        (Language::Chinese, false) => {
            format!("您将收到 {organisation} 成员发往群组的邮件，每封邮件都说明了如何退订。")
        }
    };
    (language.say("Done", "已完成"), format!("<p>{text}</p>"))
}

pub(super) fn page_of(language: Language, (title, content): &(&str, String)) -> Response {
    let tag = language.tag();
    let page = format!(
        "<!doctype html><html lang=\"{tag}\"><meta charset=\"utf-8\">\
         <meta name=\"viewport\" content=\"width=device-width\"><title>{title}</title><h1>{title}</h1>{content}</html>"
    );
    let mut response = (StatusCode::OK, page).into_response();
    let headers = response.headers_mut();
    let policy = "default-src 'none'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'";
    for (name, value) in [
        (header::CONTENT_TYPE, "text/html; charset=utf-8"),
        (header::CACHE_CONTROL, "no-store"),
        (header::REFERRER_POLICY, "no-referrer"),
        (header::CONTENT_LANGUAGE, tag),
        (header::CONTENT_SECURITY_POLICY, policy),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
    response
}
