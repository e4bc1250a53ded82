//! `GET /sso?ticket=`: a member whom another program of the organisation has signed in (INT-01). `GET /sign-in/provider`: one
//! whom a provider of identities sends back (AUT-01).
//!
//! The answer is a page and no redirection: a browser that comes from another site does not show a SameSite=Strict cookie
//! to where it is sent on, but does to where a page of ours leads it.

use axum::extract::{Request, State};
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use pennypost_admin::{ProviderReturn, Visitor};

use crate::domain;
use crate::language::Language;
use crate::rest::problem::Refusal;
use crate::rest::{Client, Rest, cookie, front};

/// The page.
pub(super) async fn page(State(rest): State<Rest>, request: Request) -> Response {
    let language = Language::of(request.headers(), request.uri().query());
    let ticket = domain::parameter(request.uri().query(), "ticket").unwrap_or_default();
    let client = request.extensions().get::<Client>().map(|client| client.0);
    let agent = front::text(request.headers(), "user-agent").unwrap_or_default();
    let visitor = Visitor { client: &agent, address: client };
    match rest.administration.sign_in_by_ticket(&ticket, visitor).await {
        Ok((session, secret)) => {
            let seconds = session.expires.0.saturating_sub(session.created.0) / 1000;
            page_of(language, &cookie::set(&secret, seconds))
        }
        Err(error) => Refusal::from(error).say(language),
    }
}

/// The page to which a provider sends a browser back.
pub(super) async fn from_provider(State(rest): State<Rest>, request: Request) -> Response {
    let (headers, query) = (request.headers(), request.uri().query());
    let language = Language::of(headers, query);
    let said = |name| domain::parameter(query, name);
    let (state, code, issuer) =
        (said("state").unwrap_or_default(), said("code").unwrap_or_default(), said("iss"));
    let key = cookie::provider(headers).unwrap_or_default();
    let client = request.extensions().get::<Client>().map(|client| client.0);
    let agent = front::text(headers, "user-agent").unwrap_or_default();
    let visitor = Visitor { client: &agent, address: client };
    if said("error").is_some() {
        // Whoever has thought better of it there has guessed nothing here (OpenID Connect Core section 3.1.2.6).
        return Refusal::from(rest.administration.decline_provider_sign_in(&state, key).await).say(language);
    }
    let back = ProviderReturn { state: &state, code: &code, issuer: issuer.as_deref(), key };
    match rest.administration.sign_in_by_provider(&back, visitor).await {
        Ok((session, secret)) => {
            let seconds = session.expires.0.saturating_sub(session.created.0) / 1000;
            page_of(language, &cookie::set(&secret, seconds))
        }
        Err(error) => Refusal::from(error).say(language),
    }
}

fn page_of(language: Language, cookie: &str) -> Response {
    let (tag, title) = (language.tag(), language.say("Signed in", "已登录"));
    let go = language.say("Go on to your mail", "进入邮箱");
    let page = format!(
        "<!doctype html><html lang=\"{tag}\"><meta charset=\"utf-8\"><meta http-equiv=\"refresh\" content=\"0;url=/\">\
         <title>{title}</title><p><a href=\"/\">{go}</a></p></html>"
    );
    let mut response = (StatusCode::OK, page).into_response();
    let headers = response.headers_mut();
    let mut insert = |name, text: &str| {
        if let Ok(value) = HeaderValue::from_str(text) {
            headers.insert(name, value);
        }
    };
    insert(header::CONTENT_TYPE, "text/html; charset=utf-8");
    insert(header::SET_COOKIE, cookie);
    insert(header::CACHE_CONTROL, "no-store");
    insert(header::REFERRER_POLICY, "no-referrer");
    insert(header::CONTENT_LANGUAGE, tag);
    insert(header::CONTENT_SECURITY_POLICY, "default-src 'none'; base-uri 'none'; frame-ancestors 'none'");
    insert(header::X_CONTENT_TYPE_OPTIONS, "nosniff");
    response
}
