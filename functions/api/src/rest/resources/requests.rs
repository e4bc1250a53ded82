//! Operations that wait for a second administrator.

use pennypost_admin::{Action, RequestId};
use schemars::JsonSchema;
use serde::Serialize;

use super::page_of;
use crate::rest::ask::rows;
use crate::rest::operation::{Good, Method, Operation, PAGE, shape};
use crate::rest::problem::Kind;
use crate::rest::reply::Reply;
use crate::rest::waiting::{ask_again, told};

/// An operation that waits for a second administrator.
#[derive(Serialize, JsonSchema)]
pub(crate) struct Pending {
    /// 16 hex digits.
    id: String,
    /// What is to be done.
    action: String,
    /// To what.
    object: String,
    /// Who ordered it.
    by: String,
    /// When.
    ordered: String,
    /// When nobody can confirm it any more.
    until: String,
    /// The name of the operation that was asked for; null if that can't be read any more.
    operation: Option<String>,
    /// What stood behind the question mark: `name=value` each.
    query: Vec<String>,
    /// The body that was sent with it; null if there was none.
    body: serde_json::Value,
}

page_of!(Requests, Pending);

/// What was done after it was confirmed.
#[derive(Serialize, JsonSchema)]
pub(crate) struct Done {
    /// The status with which it was answered.
    status: u16,
    /// The answer, if it has any.
    answer: serde_json::Value,
}

pub(crate) fn show(pending: pennypost_admin::Pending) -> Pending {
    let (operation, query, body) = match told(&pending.order) {
        Some((operation, query, body)) => (Some(operation), query, body),
        None => (None, Vec::new(), serde_json::Value::Null),
    };
    Pending {
        id: pending.id.to_string(),
        action: pending.action,
        object: pending.object,
        by: pending.by.shown(),
        ordered: pending.ordered.rfc3339(),
        until: pending.until.rfc3339(),
        operation,
        query: query.into_iter().map(|(name, value)| format!("{name}={value}")).collect(),
        body,
    }
}

pub(super) const OPERATIONS: &[Operation] = &[
    Operation {
        name: "list-requests",
        method: Method::Get,
        path: "/tenants/{tenant}/requests",
        action: Some(Action::RequestRead),
        summary: "List operations that wait for a second administrator",
        query: PAGE,
        body: None,
        is_update: false,
        good: Good::list(shape::<Requests>),
        problems: &[],
        handler: |ask| {
            Box::pin(async move {
                let listed = ask.administration.requests(&ask.call, ask.tenant()?, &ask.page()?).await?;
                Ok(Reply::document(&rows(listed, show)))
            })
        },
    },
    Operation {
        name: "read-request",
        method: Method::Get,
        path: "/tenants/{tenant}/requests/{request}",
        action: Some(Action::RequestRead),
        summary: "An operation that waits for a second administrator",
        query: &[],
        body: None,
        is_update: false,
        good: Good::list(shape::<Pending>),
        problems: &[],
        handler: |ask| {
            Box::pin(async move {
                let id: RequestId = ask.id("request")?;
                let pending = ask.administration.request(&ask.call, ask.tenant()?, id).await?;
                Ok(Reply::document(&show(pending)))
            })
        },
    },
    Operation {
        name: "confirm-request",
        method: Method::Post,
        path: "/tenants/{tenant}/requests/{request}/confirmation",
        action: Some(Action::RequestConfirm),
        summary: "Confirm what another administrator has ordered: it is done at once",
        query: &[],
        body: None,
        is_update: false,
        good: Good::list(shape::<Done>),
        problems: &[Kind::Changed, Kind::Unknown, Kind::Invalid, Kind::Taken, Kind::Held],
        handler: |ask| {
            Box::pin(async move {
                let (tenant, id): (_, RequestId) = (ask.tenant()?, ask.id("request")?);
                let confirmed = ask.administration.confirm_request(&ask.call, tenant, id).await?;
                let (_, order, call) = confirmed;
                let (status, answer) = ask_again(ask, &order, call).await?.parts();
                Ok(Reply::document(&Done { status, answer }))
            })
        },
    },
    Operation {
        name: "refuse-request",
        method: Method::Delete,
        path: "/tenants/{tenant}/requests/{request}",
        action: Some(Action::RequestRefuse),
        summary: "Refuse what another administrator has ordered, or take back what one has ordered oneself",
        query: &[],
        body: None,
        is_update: false,
        good: Good::NOTHING,
        problems: &[],
        handler: |ask| {
            Box::pin(async move {
                let id: RequestId = ask.id("request")?;
                ask.administration.refuse_request(&ask.call, ask.tenant()?, id).await?;
                Ok(Reply::nothing())
            })
        },
    },
];
