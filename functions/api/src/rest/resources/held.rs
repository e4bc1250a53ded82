//! Letters of a member that go later (SND-08), and for how long all of them wait so that he can take them back.

use pennypost_admin::{Action, SeenHeld};
use pennypost_directory::{Listed, UndoWindow};
use pennypost_held::{Change, MAX_DAYS, State, Why, said_time};
use pennypost_model::{EventId, Timestamp};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::page_of;
use crate::rest::ask::{Ask, rows};
use crate::rest::operation::{Good, Method, Operation, PAGE, or_null, shape};
use crate::rest::problem::details::{bad_parameter, no_such, send_time};
use crate::rest::problem::{Kind, Refusal};
use crate::rest::reply::Reply;

/// A recipient to whom a letter did not go.
#[derive(Serialize, JsonSchema)]
pub(crate) struct RefusedRecipient {
    /// The address.
    address: String,
    /// Why: `may-not-send`, `inside-only`, `unknown-address`, `mailbox-closed`, `not-to-this-group`.
    cause: &'static str,
}

/// A letter that goes later, or was to.
#[derive(Serialize, JsonSchema)]
pub(crate) struct HeldLetter {
    /// Its id.
    id: String,
    /// When it was handed in.
    accepted: String,
    /// Its subject, cut to 200 bytes.
    subject: String,
    /// To whom it goes.
    recipients: Vec<String>,
    /// Its bytes.
    size: u64,
    /// Why it waits: `scheduled`, or `undo` where the member's letters wait for some seconds.
    cause: &'static str,
    /// When it goes, or was to go.
    time: String,
    /// The time zone in which its writer thinks of that; null: he has not said.
    zone: Option<String>,
    /// The same time as clocks show it there.
    local_time: Option<String>,
    /// `scheduled`, `sent`, `taken-back`, or `unsent` (it could not go).
    state: &'static str,
    /// When it ended; null: it waits.
    ended: Option<String>,
    /// The id of the letter that went: what became of it is told of that.
    letter: Option<String>,
    /// Why it could not go, or why it still waits though its time has come: `account-closed`, `may-not-send`,
    /// `not-your-address`, `inside-only`, `unknown-address`, `mailbox-closed`, `not-to-this-group`, `allowance-used-up`, `lost`,
    /// `content-refused`.
    why: Option<&'static str>,
    /// Recipients to whom it did not go; its writer was told.
    refused: Vec<RefusedRecipient>,
}

page_of!(HeldLetters, HeldLetter);

/// When a letter is to go.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct SendAt {
    /// A time of RFC 3339, or one without an offset as clocks show it in `zone`, such as `2030-01-31T08:00`: within 30 days.
    time: String,
    /// The time zone in which it is thought of, by its name of the IANA; `Asia/Shanghai`, if nothing is said.
    #[serde(default)]
    zone: Option<String>,
}

/// For how long a member's letters wait, so that he can take them back.
#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "UndoWindow")]
pub(crate) struct Window {
    /// 5 to 120 seconds; null: they go at once.
    #[serde(deserialize_with = "Option::deserialize")]
    #[schemars(required, schema_with = "or_null::<u16>")]
    seconds: Option<u16>,
}

fn show(seen: &SeenHeld) -> HeldLetter {
    let held = &seen.0;
    let (letter, why) = match &held.state {
        State::Waiting => (None, held.waits),
        State::Sent { message, .. } => (Some(message.to_string()), None),
        State::TakenBack { .. } => (None, None),
        State::Unsent { why, .. } => (None, Some(*why)),
    };
    HeldLetter {
        id: held.id().to_string(),
        accepted: held.accepted.time.rfc3339(),
        subject: held.subject.clone(),
        recipients: seen.recipients(),
        size: held.size(),
        cause: held.cause.name(),
        time: held.wanted.rfc3339(),
        zone: Some(held.zone.clone()).filter(|zone| !zone.is_empty()),
        local_time: seen.local_time(),
        state: held.state.name(),
        ended: seen.ended().map(Timestamp::rfc3339),
        letter,
        why: why.map(Why::name),
        refused: held
            .refused
            .iter()
            .map(|(address, why)| RefusedRecipient { address: address.clone(), cause: why.name() })
            .collect(),
    }
}

const fn window(window: Option<UndoWindow>) -> Window {
    Window {
        seconds: match window {
            Some(window) => Some(window.seconds()),
            None => None,
        },
    }
}

fn letter(ask: &Ask) -> Result<EventId, Refusal> {
    ask.word("held").parse().map_err(|_| Refusal::new(Kind::NotFound, no_such("letter")))
}

async fn change(ask: &Ask, change: &Change) -> Result<Reply, Refusal> {
    let (key, letter) = (ask.account()?, letter(ask)?);
    let changed = ask.administration.change_held_letter(&ask.call, key, letter, change).await?;
    Ok(Reply::document(&show(&changed)))
}

pub(super) const OPERATIONS: &[Operation] = &[
    Operation::new(
        (Method::Get, "/tenants/{tenant}/accounts/{account}/held-letters", "list-held-letters"),
        Action::HeldRead,
        "Letters of a member that go later, and for some days those that have gone or were taken back; the oldest first",
        Good::list(shape::<HeldLetters>),
        |ask| {
            Box::pin(async move {
                let (key, page) = (ask.account()?, ask.page()?);
                let wrong = |_| Refusal::new(Kind::BadParameter, bad_parameter("after"));
                let after = page.after.map(|text| text.parse::<EventId>().map_err(wrong)).transpose()?;
                let found = ask.administration.held_letters(&ask.call, key, after, page.limit).await?;
                let (items, next) = found;
                let next = next.map(|next| next.to_string());
                Ok(Reply::document(&rows(Listed { items, next }, |seen| show(&seen))))
            })
        },
    )
    .asking(PAGE),
    Operation::new(
        (Method::Get, "/tenants/{tenant}/accounts/{account}/held-letters/{held}", "get-held-letter"),
        Action::HeldRead,
        "Look at a letter that goes later",
        Good::told(shape::<HeldLetter>),
        |ask| {
            Box::pin(async move {
                let (key, letter) = (ask.account()?, letter(ask)?);
                Ok(Reply::document(&show(&ask.administration.held_letter(&ask.call, key, letter).await?)))
            })
        },
    ),
    Operation::new(
        (Method::Put, "/tenants/{tenant}/accounts/{account}/held-letters/{held}/time", "put-off-held-letter"),
        Action::HeldChange,
        "Let a letter go at another time, if it has not gone yet",
        Good::told(shape::<HeldLetter>),
        |ask| {
            Box::pin(async move {
                let SendAt { time, zone } = ask.body()?;
                let wrong = || Refusal::new(Kind::Invalid, send_time(MAX_DAYS)).at("/time".to_owned(), send_time(MAX_DAYS));
                let (at, zone) = said_time(&time, zone.as_deref()).ok_or_else(wrong)?;
                change(ask, &Change::At(at, zone)).await
            })
        },
    )
    .with(shape::<SendAt>)
    .refusing(&[Kind::Invalid, Kind::OtherState]),
    Operation::new(
        (Method::Post, "/tenants/{tenant}/accounts/{account}/held-letters/{held}/sent", "send-held-letter"),
        Action::HeldChange,
        "Let a letter go now, if it has not gone yet",
        Good::told(shape::<HeldLetter>),
        |ask| Box::pin(async move { change(ask, &Change::Now).await }),
    )
    .refusing(&[Kind::OtherState]),
    Operation::new(
        (Method::Post, "/tenants/{tenant}/accounts/{account}/held-letters/{held}/taken-back", "take-held-letter-back"),
        Action::HeldChange,
        "Take a letter back, if it has not gone yet: a copy comes into Drafts",
        Good::told(shape::<HeldLetter>),
        |ask| Box::pin(async move { change(ask, &Change::TakeBack).await }),
    )
    .refusing(&[Kind::OtherState]),
    Operation::new(
        (Method::Get, "/tenants/{tenant}/accounts/{account}/undo-window", "read-undo-window"),
        Action::UndoRead,
        "For how long a member's letters wait, so that he can take them back",
        Good::one(shape::<Window>),
        |ask| {
            Box::pin(async move {
                let found = ask.administration.undo_window(&ask.call, ask.account()?).await?;
                Ok(Reply::tagged(&window(found)))
            })
        },
    ),
    Operation::new(
        (Method::Put, "/tenants/{tenant}/accounts/{account}/undo-window", "change-undo-window"),
        Action::UndoChange,
        "Say for how long a member's letters wait, from the next ones on, within half a minute",
        Good::one(shape::<Window>),
        |ask| {
            Box::pin(async move {
                let (key, said): (_, Window) = (ask.account()?, ask.body()?);
                let seen = ask.administration.undo_window(&ask.call, key).await?;
                ask.must_match(&window(seen))?;
                let changed =
                    ask.administration.change_undo_window(&ask.call, key, seen, said.seconds).await?;
                Ok(Reply::tagged(&window(changed)))
            })
        },
    )
    .with(shape::<Window>)
    .update()
    .refusing(&[Kind::Invalid]),
];
