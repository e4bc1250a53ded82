//! Letters whose senders ask for a read receipt, and what their readers say to that (SND-09, RFC 8098).

use pennypost_admin::{Action, ReceiptRequest as Stored, Task, TaskKind};
use pennypost_directory::Listed;
use pennypost_model::EventId;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::page_of;
use super::sign_ins::wrong;
use super::tasks::{TaskState, state_of};
use crate::rest::ask::{Ask, rows};
use crate::rest::operation::{Good, Method, Operation, PAGE, Query, shape};
use crate::rest::problem::details::no_such;
use crate::rest::problem::{Kind, Refusal};
use crate::rest::reply::Reply;

/// A letter whose sender asks for a read receipt.
#[derive(Serialize, JsonSchema)]
pub(crate) struct ReceiptRequest {
    /// Its id.
    letter: String,
    /// When it came.
    time: String,
    /// The reverse-path of its envelope.
    sender: String,
    /// Its subject, cut to 100 bytes.
    subject: String,
    /// The address to which a receipt would go.
    asker: String,
    /// `open`: nothing was said yet; `answered`: a receipt was given, or refused, here or by a mail program; `gone`: the letter is in no mailbox
    /// any more.
    state: &'static str,
}

page_of!(ReceiptRequests, ReceiptRequest);

/// What is said to whoever asks.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ReceiptAnswer {
    /// He gets a receipt, which tells that the letter was displayed, and when that was said. `false`: he gets none, and is told nothing.
    give: bool,
}

/// What was said.
#[derive(Serialize, JsonSchema)]
pub(crate) struct SaidReceipt {
    /// The letter.
    letter: String,
    /// The address that asks.
    asker: String,
    /// It gets a receipt.
    give: bool,
    /// `done`: it is on its way.
    state: TaskState,
    /// When it was said.
    said: String,
}

fn show(request: Stored) -> ReceiptRequest {
    ReceiptRequest {
        letter: request.letter.to_string(),
        time: request.time.rfc3339(),
        sender: request.sender,
        subject: request.subject,
        asker: request.asker,
        state: request.state.name(),
    }
}

fn show_said(task: Task) -> SaidReceipt {
    let (letter, asker, give) = match task.kind {
        TaskKind::Receipt { letter, asker, gives, .. } => (letter.to_string(), asker, gives),
        _ => Default::default(),
    };
    SaidReceipt { letter, asker, give, state: state_of(task.state), said: task.created.rfc3339() }
}

fn letter(ask: &Ask) -> Result<EventId, Refusal> {
    ask.word("letter").parse().map_err(|_| Refusal::new(Kind::NotFound, no_such("letter")))
}

const LIST: &[Query] = &[
    PAGE[0],
    PAGE[1],
    Query { name: "days", about: "Of how many days: 1 to 90; 30, if nothing is said.", is_number: true },
];

pub(super) const OPERATIONS: &[Operation] = &[
    Operation::new(
        (Method::Get, "/tenants/{tenant}/accounts/{account}/receipt-requests", "list-receipt-requests"),
        Action::ReceiptRead,
        "Letters that a member has got whose senders ask for a read receipt, the newest first",
        Good::list(shape::<ReceiptRequests>),
        |ask| {
            Box::pin(async move {
                let (key, page) = (ask.account()?, ask.page()?);
                let days = match ask.parameter("days") {
                    None => 30,
                    Some(text) => text
                        .parse::<u16>()
                        .ok()
                        .filter(|days| (1..=90).contains(days))
                        .ok_or_else(|| wrong("days"))?,
                };
                let below = page.after.map(|text| text.parse::<EventId>().map_err(|_| wrong("after")));
                let below = below.transpose()?;
                let it = &ask.administration;
                let (items, next) =
                    it.receipt_requests(&ask.call, key, Some(days), below, page.limit).await?;
                let next = next.map(|next| next.to_string());
                Ok(Reply::document(&rows(Listed { items, next }, show)))
            })
        },
    )
    .asking(LIST),
    Operation::new(
        (
            Method::Get,
            "/tenants/{tenant}/accounts/{account}/receipt-requests/{letter}",
            "read-receipt-request",
        ),
        Action::ReceiptRead,
        "Look how it stands with a letter whose sender asks for a read receipt",
        Good::told(shape::<ReceiptRequest>),
        |ask| {
            Box::pin(async move {
                let request =
                    ask.administration.receipt_request(&ask.call, ask.account()?, letter(ask)?).await?;
                Ok(Reply::document(&show(request)))
            })
        },
    ),
    Operation::new(
        (
            Method::Post,
            "/tenants/{tenant}/accounts/{account}/receipt-requests/{letter}/answer",
            "answer-receipt-request",
        ),
        Action::ReceiptAnswer,
        "Give the sender of a letter of one's own a read receipt, or refuse it; once",
        Good::accepted(shape::<SaidReceipt>),
        |ask| {
            Box::pin(async move {
                let (key, letter, ReceiptAnswer { give }) = (ask.account()?, letter(ask)?, ask.body()?);
                let it = &ask.administration;
                let task = it.answer_receipt_request(&ask.call, key, letter, give, ask.once).await?;
                let (tenant, account) = (key.tenant, key.account);
                let location =
                    format!("/api/v1/tenants/{tenant}/accounts/{account}/receipt-requests/{letter}");
                Ok(Reply::accepted(&show_said(task), location))
            })
        },
    )
    .with(shape::<ReceiptAnswer>)
    .refusing(&[Kind::Invalid, Kind::OtherState]),
];
