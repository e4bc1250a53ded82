//! Letters of a member that the operator hides, shows again or deletes.

use pennypost_admin::{Action, LetterDeed, NewLetterDeed};
use pennypost_model::EventId;
use schemars::JsonSchema;
use serde::Deserialize;

use super::tasks::{Task, accepted};
use crate::rest::ask::Ask;
use crate::rest::operation::{Good, Method, Operation, shape};
use crate::rest::problem::details::no_letter;
use crate::rest::problem::{Kind, Refusal};
use crate::rest::reply::Reply;

/// To which letters of the account it is done, and why.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct LetterOrder {
    /// Their ids, as `list-letters` tells them: 1 to 100, each of which came into the account. All copies in it are meant, in whichever
    /// folder they are by now.
    letters: Vec<String>,
    /// Why: 1 to 500 characters, which administrators of the tenant read.
    reason: String,
}

async fn order(ask: &Ask, deed: LetterDeed) -> Result<Reply, Refusal> {
    let LetterOrder { letters, reason } = ask.body()?;
    let id = |(number, letter): (usize, &String)| {
        let wrong =
            |_| Refusal::new(Kind::Unknown, no_letter()).at(format!("/letters/{number}"), no_letter());
        letter.parse::<EventId>().map_err(wrong)
    };
    let letters = letters.iter().enumerate().map(id).collect::<Result<_, _>>()?;
    let new = NewLetterDeed { account: ask.account()?, deed, letters, reason };
    accepted(ask, ask.administration.order_letter_deed(&ask.call, new, ask.once).await?)
}

pub(super) const OPERATIONS: &[Operation] = &[
    Operation::new(
        (Method::Post, "/tenants/{tenant}/accounts/{account}/letters/hidden", "hide-letters"),
        Action::LetterHide,
        "As the operator: hide letters of a member, as a task; they can be shown again for `housekeeping.hidden_days`, and are gone then",
        Good::accepted(shape::<Task>),
        |ask| Box::pin(order(ask, LetterDeed::Hide)),
    )
    .with(shape::<LetterOrder>)
    .refusing(&[Kind::Unknown, Kind::Invalid]),
    Operation::new(
        (Method::Post, "/tenants/{tenant}/accounts/{account}/letters/shown", "show-letters"),
        Action::LetterShow,
        "As the operator: show letters again that were hidden, as a task",
        Good::accepted(shape::<Task>),
        |ask| Box::pin(order(ask, LetterDeed::Show)),
    )
    .with(shape::<LetterOrder>)
    .refusing(&[Kind::Unknown, Kind::Invalid]),
    Operation::new(
        (Method::Post, "/tenants/{tenant}/accounts/{account}/letters/deleted", "delete-letters"),
        Action::LetterDelete,
        "As the operator: delete letters of a member for good, as a task",
        Good::accepted(shape::<Task>),
        |ask| Box::pin(order(ask, LetterDeed::Delete)),
    )
    .with(shape::<LetterOrder>)
    .refusing(&[Kind::Unknown, Kind::Invalid]),
];
