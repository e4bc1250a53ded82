//! Whether members see who of their colleagues has read what they sent (DLV-07).

use pennypost_admin::{Action, ReadStatusWish};
use pennypost_directory::ReadStatus;
use pennypost_model::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::rest::operation::{Good, Method, Operation, shape};
use crate::rest::reply::Reply;

/// What is to hold.
#[derive(Clone, Copy, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
#[schemars(rename = "ReadStatusWish")]
pub(crate) enum Wish {
    /// Members do not see it.
    Off,
    /// They see it from now on.
    AtOnce,
    /// They see it after 48 hours, and all of them are told so by a letter. Said again while it has not begun, the letter goes to
    /// whoever has not got it.
    #[serde(rename = "after-48-hours")]
    Later,
}

/// What is to hold.
#[derive(Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ReadStatusChange {
    /// Where it is on already, it goes on, and does not begin anew.
    begin: Wish,
}

/// What holds.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "ReadStatus")]
pub(crate) struct Status {
    /// `off`, `on`, or `later`: it begins in the time to come.
    state: &'static str,
    /// Since when it is on, or from when on; null: it is off. Nothing is told of letters that were sent before.
    since: Option<String>,
    /// Members are being told that it begins.
    telling: bool,
    /// When all members had been told; null: nobody was to be told, or not all have been.
    told: Option<String>,
}

fn show(status: &ReadStatus, now: Timestamp) -> Status {
    let state = match status.since {
        None => "off",
        Some(_) if status.began(now).is_some() => "on",
        Some(_) => "later",
    };
    Status {
        state,
        since: status.since.map(Timestamp::rfc3339),
        telling: status.telling.is_some(),
        told: status.told.map(Timestamp::rfc3339),
    }
}

pub(super) const OPERATIONS: &[Operation] = &[
    Operation::new(
        (Method::Get, "/tenants/{tenant}/read-status", "read-read-status"),
        Action::ReadStatusRead,
        "Whether members see who of their colleagues has read what they sent, and since when",
        Good::one(shape::<Status>),
        |ask| {
            Box::pin(async move {
                let status = ask.administration.read_status(&ask.call, ask.tenant()?).await?;
                Ok(Reply::tagged(&show(&status, ask.administration.directory().now())))
            })
        },
    ),
    Operation::new(
        (Method::Put, "/tenants/{tenant}/read-status", "change-read-status"),
        Action::ReadStatusChange,
        "Say whether members see who of their colleagues has read what they sent: at once, or after 48 hours of which all are told",
        Good::one(shape::<Status>),
        |ask| {
            Box::pin(async move {
                let (tenant, ReadStatusChange { begin }) = (ask.tenant()?, ask.body()?);
                let wish = match begin {
                    Wish::Off => ReadStatusWish::Off,
                    Wish::AtOnce => ReadStatusWish::AtOnce,
                    Wish::Later => ReadStatusWish::Later,
                };
                let administration = &ask.administration;
                let seen = administration.read_status(&ask.call, tenant).await?;
                let now = administration.directory().now();
                ask.must_match(&show(&seen, now))?;
                let changed = administration.change_read_status(&ask.call, tenant, &seen, wish).await?;
                Ok(Reply::tagged(&show(&changed, administration.directory().now())))
            })
        },
    )
    .with(shape::<ReadStatusChange>)
    .update(),
];
