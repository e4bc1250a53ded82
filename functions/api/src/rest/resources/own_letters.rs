//! The letters that a member has sent, and what became of them (DLV-01, DLV-02, DLV-05); who has read them (DLV-06). Those that came
//! in for him, and where they were put (DLV-05).

use pennypost_admin::{Action, OwnLetter, PutAt, ReadState, ReceivedLetter, RecipientState};
use pennypost_directory::Listed;
use pennypost_model::{EventId, Timestamp};
use schemars::JsonSchema;
use serde::Serialize;

use super::page_of;
use super::sign_ins::wrong;
use crate::rest::ask::{Ask, rows};
use crate::rest::operation::{Good, Method, Operation, PAGE, Query, shape};
use crate::rest::problem::Refusal;
use crate::rest::reply::Reply;

/// What has become of a letter for one address.
#[derive(Serialize, JsonSchema)]
pub(crate) struct DeliveryOfRecipient {
    /// The address to which it was written.
    address: String,
    /// `scheduled` (it goes later), `processing`, `redelivering` (another server has not answered in time, or not taken it yet; it
    /// is tried again), `delivered` (in the mailbox, of the same organisation), `reached-server` (another server has it, and
    /// answers for it), `refused` (by that server, at once or in a later report, or by the recipient's mailbox), `failed` (it did not
    /// get there), `unknown` (nothing was heard of it for a week: it may be sent again).
    state: &'static str,
    /// Since when; null: that is not known.
    since: Option<String>,
    /// What another server said, or why it is so.
    cause: Option<String>,
    /// Who has reported that it came back after another server had taken it, as that server calls itself; null: nobody has.
    reported_by: Option<String>,
    /// When it goes, or is tried again.
    next: Option<String>,
    /// Whether it was read: `read` (it is marked so in the recipient's mailbox, by all where several are behind the address; or the
    /// recipient has sent a receipt), `unread`, `unknown` (outside the organisation, not delivered, or not there any more). Null: it
    /// is not told, since the organisation has it off or it had not begun when the letter was sent; or 100 mailboxes were looked
    /// into for letters that stand before it: of a page of one letter (`limit=1`) it is always told.
    read: Option<&'static str>,
}

/// A letter that a member has sent.
#[derive(Serialize, JsonSchema)]
pub(crate) struct SentLetter {
    /// Its id.
    id: String,
    /// When it was handed in; of one that went later, when it went.
    accepted: String,
    /// When it goes; null: it has gone.
    goes: Option<String>,
    /// Its subject, cut.
    subject: String,
    /// Its Message-ID; empty while it waits.
    message_id: String,
    /// Its bytes.
    size: u64,
    /// Of what has become of it for its recipients what should be known first.
    state: &'static str,
    /// What has become of it for each.
    recipients: Vec<DeliveryOfRecipient>,
}

page_of!(SentLetters, SentLetter);

fn show_recipient(one: RecipientState) -> DeliveryOfRecipient {
    DeliveryOfRecipient {
        address: one.address,
        state: one.state.name(),
        since: one.since.map(Timestamp::rfc3339),
        cause: one.cause,
        reported_by: one.reporter,
        next: one.next.map(Timestamp::rfc3339),
        read: one.read.map(ReadState::name),
    }
}

fn show(letter: OwnLetter) -> SentLetter {
    SentLetter {
        id: letter.id.to_string(),
        accepted: letter.time.rfc3339(),
        goes: letter.goes.map(Timestamp::rfc3339),
        subject: letter.subject,
        message_id: letter.message_id,
        size: letter.size,
        state: letter.state.name(),
        recipients: letter.recipients.into_iter().map(show_recipient).collect(),
    }
}

/// A letter that came in for a member.
#[derive(Serialize, JsonSchema)]
pub(crate) struct CameIn {
    /// Its id.
    id: String,
    /// When it was accepted.
    accepted: String,
    /// When it was put where it was put.
    put: String,
    /// The address that it was sent from (reverse-path); empty for a report.
    sender: String,
    /// The address to which it came: the member's, an alias, a group.
    address: String,
    /// Its subject, cut.
    subject: String,
    /// Its Message-ID, cut.
    message_id: String,
    /// Its bytes.
    size: u64,
    /// `delivered`, `quarantined`, or `refused` (it is nowhere).
    state: &'static str,
    /// The folder into which it was delivered: its use (`inbox`, `junk`, `trash`, …), or its number. It may lie elsewhere by now.
    folder: Option<String>,
    /// Why it was not delivered.
    cause: Option<String>,
    /// What was decided, and by which list, rule or check.
    reasons: Vec<String>,
}

page_of!(ReceivedLetters, CameIn);

fn show_received(letter: ReceivedLetter) -> CameIn {
    let state = letter.at.name();
    let (folder, cause) = match letter.at {
        PutAt::Folder(folder) => (Some(folder), None),
        PutAt::Quarantine(cause) | PutAt::Nowhere(cause) => (None, Some(cause)),
    };
    CameIn {
        id: letter.id.to_string(),
        accepted: letter.time.rfc3339(),
        put: letter.put.rfc3339(),
        sender: letter.sender,
        address: letter.address,
        subject: letter.subject,
        message_id: letter.message_id,
        size: letter.size,
        state,
        folder,
        cause,
        reasons: letter.reasons,
    }
}

/// Of how many days, below which letter, and how many.
fn asked(ask: &Ask) -> Result<(u16, Option<EventId>, usize), Refusal> {
    let page = ask.page()?;
    let days = match ask.parameter("days") {
        None => 30,
        Some(text) => {
            let days = text.parse::<u16>().ok().filter(|days| (1..=90).contains(days));
            days.ok_or_else(|| wrong("days"))?
        }
    };
    let below = page.after.map(|text| text.parse::<EventId>().map_err(|_| wrong("after"))).transpose()?;
    Ok((days, below, page.limit))
}

const LIST: &[Query] = &[
    PAGE[0],
    PAGE[1],
    Query { name: "days", about: "Of how many days: 1 to 90; 30, if nothing is said.", is_number: true },
];

pub(super) const OPERATIONS: &[Operation] = &[
    Operation::new(
        (Method::Get, "/tenants/{tenant}/accounts/{account}/sent-letters", "list-sent-letters"),
        Action::OwnLetterRead,
        "Letters that a member has sent, and what became of them; the newest first, and before them those that go later",
        Good::list(shape::<SentLetters>),
        |ask| {
            Box::pin(async move {
                let (days, below, limit) = asked(ask)?;
                let found =
                    ask.administration.own_letters(&ask.call, ask.account()?, Some(days), below, limit);
                let (items, next) = found.await?;
                let next = next.map(|next| next.to_string());
                Ok(Reply::document(&rows(Listed { items, next }, show)))
            })
        },
    )
    .asking(LIST),
    Operation::new(
        (Method::Get, "/tenants/{tenant}/accounts/{account}/received-letters", "list-received-letters"),
        Action::OwnLetterRead,
        "Letters that came in for a member, and where they were put; the newest first",
        Good::list(shape::<ReceivedLetters>),
        |ask| {
            Box::pin(async move {
                let (days, below, limit) = asked(ask)?;
                let found =
                    ask.administration.received_letters(&ask.call, ask.account()?, Some(days), below, limit);
                let (items, next) = found.await?;
                let next = next.map(|next| next.to_string());
                Ok(Reply::document(&rows(Listed { items, next }, show_received)))
            })
        },
    )
    .asking(LIST),
];
