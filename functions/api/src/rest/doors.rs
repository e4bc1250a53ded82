//! Doors: the few operations that need neither key nor session, since one comes in by them.

use std::net::IpAddr;
use std::pin::Pin;

use axum::body::to_bytes;
use axum::extract::Request;
use axum::http::HeaderMap;
use axum::response::Response;
use pennypost_admin::Visitor;

use crate::language::Language;
use crate::rest::cookie::is_own_page;
use crate::rest::front::{MOST_BODY, is_json, text};
use crate::rest::operation::{Good, Shape};
use crate::rest::problem::details::both;
use crate::rest::problem::{Kind, Refusal};
use crate::rest::reply::Reply;
use crate::rest::resources::{choices, joining, mobiles, passkeys, providers, recovery, sessions, sign_ups};
use crate::rest::{Client, Rest};
use crate::sites::Site;

/// A request at a door.
pub(crate) struct Knock<'a> {
    pub(crate) rest: &'a Rest,
    pub(crate) body: Vec<u8>,
    pub(crate) headers: HeaderMap,
    pub(crate) client: Option<IpAddr>,
    agent: String,
}

impl Knock<'_> {
    /// The site that is best for whoever knocks, if one is better than the installation's own hosts.
    pub(crate) fn site(&self) -> Option<&Site> {
        self.rest.sites.best(self.client)
    }

    /// Who comes from where.
    pub(crate) fn visitor(&self) -> Visitor<'_> {
        Visitor { client: &self.agent, address: self.client }
    }

    /// A header, if it is text.
    pub(crate) fn header(&self, name: &str) -> Option<String> {
        text(&self.headers, name)
    }

    /// Does the network ask too often? What is asked at doors costs work, whoever asks.
    pub(crate) fn must_not_hurry(&self) -> Result<(), Refusal> {
        self.rest.limits.knock(self.client, self.rest.clock.now()).map_err(wait)
    }

    /// The same where somebody wants to sign in, which many do from one network.
    pub(crate) fn must_not_hurry_to_sign_in(&self) -> Result<(), Refusal> {
        self.rest.limits.sign_in(self.client, self.rest.clock.now()).map_err(wait)
    }

    /// Is it a page of this post office that asks?
    pub(crate) fn must_be_own_page(&self) -> Result<(), Refusal> {
        is_own_page(&self.headers)
    }
}

fn wait(seconds: u64) -> Refusal {
    Refusal { retry_after: Some(seconds), ..Refusal::from(Kind::TooManyRequests) }
}

/// The answer that is on its way.
pub(crate) type Opening<'a> = Pin<Box<dyn Future<Output = Result<Reply, Refusal>> + Send + 'a>>;

/// A door. By POST, with a body.
pub(crate) struct Door {
    /// Its name in the document.
    pub(crate) name: &'static str,
    pub(crate) path: &'static str,
    pub(crate) summary: &'static str,
    pub(crate) body: Shape,
    pub(crate) good: Good,
    /// What may be wrong, beside what may be wrong with each.
    pub(crate) problems: &'static [Kind],
    pub(crate) handler: for<'a> fn(&'a Knock<'a>) -> Opening<'a>,
}

/// All of them.
pub(crate) static DOORS: &[Door] = &[
    sessions::SIGN_IN,
    passkeys::ASK,
    passkeys::SIGN_IN,
    providers::WAYS,
    providers::ASK,
    providers::SIGN_IN,
    recovery::ASK,
    recovery::SET,
    mobiles::ASK,
    mobiles::SIGN_IN,
    mobiles::RECOVER,
    choices::CHOOSE,
    sign_ups::OFFER,
    sign_ups::BEGIN,
    sign_ups::FINISH,
    joining::LOOK,
    joining::JOIN,
    joining::FOLLOW,
];

impl Door {
    /// Every kind of problem that it may answer with.
    pub(crate) fn kinds(&self) -> Vec<Kind> {
        let always = [
            Kind::BadBody,
            Kind::TooLarge,
            Kind::OtherMedia,
            Kind::OtherPage,
            Kind::TooManyRequests,
            Kind::Damaged,
            Kind::Unavailable,
        ];
        always.into_iter().chain(self.problems.iter().copied()).collect()
    }
}

/// Answers a request at a door.
pub(crate) async fn answer(rest: &Rest, door: &'static Door, request: Request) -> Response {
    let language = Language::of(request.headers(), request.uri().query());
    match opened(rest, door, request).await {
        Ok(reply) => reply.into_response(false),
        Err(refusal) => refusal.say(language),
    }
}

async fn opened(rest: &Rest, door: &'static Door, request: Request) -> Result<Reply, Refusal> {
    let (parts, body) = request.into_parts();
    is_json(&parts.headers)?;
    let too_large = |_| Refusal::new(Kind::TooLarge, both("256 KB at most", "最多 256 KB"));
    let body = to_bytes(body, MOST_BODY).await.map_err(too_large)?.to_vec();
    let client = parts.extensions.get::<Client>().map(|client| client.0);
    let agent = text(&parts.headers, "user-agent").unwrap_or_default();
    let knock = Knock { rest, body, headers: parts.headers, client, agent };
    (door.handler)(&knock).await
}
