//! Friends: members elsewhere of groups.

use pennypost_admin::Action;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::page_of;
use crate::rest::ask::rows;
use crate::rest::operation::{Good, Method, Operation, PAGE, shape};
use crate::rest::problem::Kind;
use crate::rest::reply::Reply;

/// An address elsewhere that was invited.
#[derive(Serialize, JsonSchema)]
pub(crate) struct Friend {
    /// The address.
    address: String,
    /// `stranger`: has not agreed yet, and as long as that is so, nothing goes to a group in which it is; `friend`: gets what
    /// members write to groups; `left`: wants no more, and is passed over; `suspended`: what went there has come back on five
    /// days of thirty, and it is passed over until it agrees anew.
    standing: &'static str,
    /// Since when.
    since: String,
    /// When it was invited last.
    invited: String,
}

page_of!(Friends, Friend);

/// Who is to be invited.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "FriendToInvite")]
pub(crate) struct ToInvite {
    /// An address of another server.
    address: String,
    /// The group for which; in its domain's name the letter comes.
    group: String,
}

fn show(friend: &pennypost_directory::Friend) -> Friend {
    Friend {
        address: friend.address.to_string(),
        standing: friend.standing.name(),
        since: friend.since.rfc3339(),
        invited: friend.invited.rfc3339(),
    }
}

pub(super) const OPERATIONS: &[Operation] = &[
    Operation::new(
        (Method::Get, "/tenants/{tenant}/friends", "list-friends"),
        Action::FriendRead,
        "List addresses elsewhere that were invited to groups, in no order that means anything",
        Good::list(shape::<Friends>),
        |ask| {
            Box::pin(async move {
                let listed = ask.administration.friends(&ask.call, ask.tenant()?, &ask.page()?).await?;
                Ok(Reply::document(&rows(listed, |friend| show(&friend))))
            })
        },
    )
    .asking(PAGE),
    Operation::new(
        (Method::Post, "/tenants/{tenant}/friends", "invite-friend"),
        Action::FriendInvite,
        "Invite an address elsewhere, by a letter, to get what members write to a group; once a day at most, good for a week",
        Good::told(shape::<Friend>),
        |ask| {
            Box::pin(async move {
                let ToInvite { address, group } = ask.body()?;
                let tenant = ask.tenant()?;
                let inviting = ask.administration.invite_friend(&ask.call, tenant, (&address, &group));
                Ok(Reply::document(&show(&inviting.await?)))
            })
        },
    )
    .with(shape::<ToInvite>)
    .refusing(&[Kind::Invalid, Kind::OtherState, Kind::Taken]),
    Operation::new(
        (Method::Delete, "/tenants/{tenant}/friends/{friend}", "forget-friend"),
        Action::FriendForget,
        "Forget an address elsewhere that was invited: nothing goes there until it is invited again and agrees",
        Good::NOTHING,
        |ask| {
            Box::pin(async move {
                ask.administration.forget_friend(&ask.call, ask.tenant()?, ask.word("friend")).await?;
                Ok(Reply::nothing())
            })
        },
    ),
    Operation::new(
        (Method::Post, "/tenants/{tenant}/accounts/{account}/friends", "invite-friend-as-member"),
        Action::FriendAsk,
        "A member invites an address elsewhere to a group to which he may send; where there is a plan, with a VIP seat only",
        Good::told(shape::<Friend>),
        |ask| {
            Box::pin(async move {
                let ToInvite { address, group } = ask.body()?;
                let key = ask.account()?;
                let inviting =
                    ask.administration.invite_friend_as_member(&ask.call, key, (&address, &group));
                Ok(Reply::document(&show(&inviting.await?)))
            })
        },
    )
    .with(shape::<ToInvite>)
    .refusing(&[Kind::Invalid, Kind::OtherState, Kind::Taken]),
];
