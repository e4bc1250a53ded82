//! Tickets with which members are let in who have signed in elsewhere (INT-01).

use pennypost_admin::{Action, TICKET_LIFE};
use schemars::JsonSchema;
use serde::Serialize;

use crate::rest::operation::{Good, Method, Operation, shape};
use crate::rest::reply::Reply;

/// A ticket.
#[derive(Serialize, JsonSchema)]
pub(crate) struct Ticket {
    /// The ticket itself, which is never told again and opens one session.
    ticket: String,
    /// Where to send the member's browser, at this post office.
    path: String,
    /// Seconds that it is good for.
    seconds: u32,
}

pub(super) const OPERATIONS: &[Operation] = &[Operation {
    name: "add-ticket",
    method: Method::Post,
    path: "/tenants/{tenant}/accounts/{account}/tickets",
    action: Some(Action::TicketAdd),
    summary: "Ask for a ticket that lets a member in once, within a minute",
    query: &[],
    body: None,
    is_update: false,
    good: Good::list(shape::<Ticket>),
    problems: &[],
    handler: |ask| {
        Box::pin(async move {
            let ticket = ask.administration.add_ticket(&ask.call, ask.account()?).await?;
            let path = format!("/sso?ticket={ticket}");
            Ok(Reply::document(&Ticket { ticket, path, seconds: TICKET_LIFE }))
        })
    },
}];
