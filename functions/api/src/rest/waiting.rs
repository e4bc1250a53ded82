//! Operations that wait for a second administrator (ADM-13): a request is put down as it was asked, and asked again in the
//! name of whoever confirms it.

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use pennypost_admin::{Call, Order};
use serde::{Deserialize, Serialize};

use crate::rest::ask::Ask;
use crate::rest::operation::Operation;
use crate::rest::problem::{Kind, Refusal};
use crate::rest::reply::Reply;
use crate::rest::resources::{self, requests};

/// A request of the API, as it is kept. JSON: fields may be added.
#[derive(Serialize, Deserialize)]
struct Kept {
    operation: String,
    words: Vec<(String, String)>,
    query: Vec<(String, String)>,
    body: String,
    if_match: Option<String>,
}

/// Puts a request down.
pub(super) async fn put_down(operation: &'static Operation, ask: &Ask) -> Result<Reply, Refusal> {
    let (Some(action), tenant) = (operation.action, ask.tenant()?) else {
        return Err(Kind::SecondNeeded.into());
    };
    let kept = Kept {
        operation: operation.name.to_owned(),
        words: ask.words.clone(),
        query: ask.query.clone(),
        body: BASE64_STANDARD.encode(&ask.body),
        if_match: ask.if_match.clone(),
    };
    let last = ask.words.iter().rfind(|(name, _)| name != "tenant");
    let object = last.map_or_else(|| tenant.to_string(), |(_, word)| word.clone());
    let order = Order { object, bytes: serde_json::to_vec(&kept).unwrap_or_default() };
    let pending = ask.administration.put_down(&ask.call, tenant, action, order).await?;
    let location = format!("/api/v1/tenants/{tenant}/requests/{}", pending.id);
    Ok(Reply::accepted(&requests::show(pending), location))
}

/// An operation, what stood behind the question mark, and the body.
pub(crate) type Told = (String, Vec<(String, String)>, serde_json::Value);

/// What was put down, for whoever is to confirm it. Nothing that is put down holds a secret.
pub(crate) fn told(order: &[u8]) -> Option<Told> {
    let kept: Kept = serde_json::from_slice(order).ok()?;
    let body = BASE64_STANDARD.decode(&kept.body).ok()?;
    Some((kept.operation, kept.query, serde_json::from_slice(&body).unwrap_or_default()))
}

/// Asks again for what was put down, as somebody else.
pub(crate) async fn ask_again(ask: &Ask, order: &Order, call: Call) -> Result<Reply, Refusal> {
    let damaged = || Refusal::from(Kind::Damaged);
    let kept: Kept = serde_json::from_slice(&order.bytes).map_err(|_| damaged())?;
    let operation = resources::operations().find(|operation| operation.name == kept.operation);
    let again = Ask {
        administration: ask.administration.clone(),
        call,
        words: kept.words,
        query: kept.query,
        body: BASE64_STANDARD.decode(&kept.body).map_err(|_| damaged())?,
        if_match: kept.if_match,
        accept: String::new(),
        once: None,
    };
    (operation.ok_or_else(damaged)?.handler)(&again).await
}
