//! The creator of a tenant.

use pennypost_admin::Action;
use pennypost_model::AccountId;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::rest::ask::id_in;
use crate::rest::operation::{Good, Method, Operation, shape};
use crate::rest::problem::Kind;
use crate::rest::reply::Reply;

/// The creator of a tenant.
#[derive(Serialize, JsonSchema)]
pub(crate) struct Creator {
    /// The id of the account; null if none was named.
    account: Option<String>,
}

/// The creator that is to be.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewCreator {
    /// The id of an account of the tenant.
    account: String,
}

fn show(account: Option<AccountId>) -> Creator {
    Creator { account: account.map(|account| account.to_string()) }
}

pub(super) const OPERATIONS: &[Operation] = &[
    Operation {
        name: "read-creator",
        method: Method::Get,
        path: "/tenants/{tenant}/creator",
        action: Some(Action::GrantRead),
        summary: "The creator",
        query: &[],
        body: None,
        is_update: false,
        good: Good::one(shape::<Creator>),
        problems: &[],
        handler: |ask| {
            Box::pin(async move {
                Ok(Reply::tagged(&show(ask.administration.creator(&ask.call, ask.tenant()?).await?)))
            })
        },
    },
    Operation {
        name: "change-creator",
        method: Method::Put,
        path: "/tenants/{tenant}/creator",
        action: Some(Action::CreatorChange),
        summary: "Name the creator: the operator the first, the creator his successor",
        query: &[],
        body: Some(shape::<NewCreator>),
        is_update: true,
        good: Good::one(shape::<Creator>),
        problems: &[Kind::Unknown, Kind::Invalid],
        handler: |ask| {
            Box::pin(async move {
                let new: NewCreator = ask.body()?;
                let (tenant, account) = (ask.tenant()?, id_in(&new.account, "/account")?);
                let seen = ask.administration.creator(&ask.call, tenant).await?;
                ask.must_match(&show(seen))?;
                ask.administration.change_creator(&ask.call, tenant, seen, account).await?;
                Ok(Reply::tagged(&show(Some(account))))
            })
        },
    },
];
