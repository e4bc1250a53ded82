//! Aliases: further addresses of accounts.

use pennypost_admin::Action;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::page_of;
use crate::rest::ask::rows;
use crate::rest::operation::{Good, Method, Operation, PAGE, shape};
use crate::rest::problem::Kind;
use crate::rest::reply::Reply;

/// An alias.
#[derive(Serialize, JsonSchema)]
pub(crate) struct Alias {
    /// The alias.
    address: String,
    /// The addresses of the accounts to which it leads.
    targets: Vec<String>,
}

page_of!(Aliases, Alias);

/// An alias to be added.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewAlias {
    /// In a domain of the tenant.
    address: String,
    /// Addresses of accounts of the tenant: 1 to 50.
    targets: Vec<String>,
}

fn show(alias: pennypost_directory::Alias) -> Alias {
    let targets = alias.targets.into_iter().map(|target| target.address.to_string()).collect();
    Alias { address: alias.address.to_string(), targets }
}

pub(super) const OPERATIONS: &[Operation] = &[
    Operation {
        name: "list-aliases",
        method: Method::Get,
        path: "/tenants/{tenant}/aliases",
        action: Some(Action::AliasRead),
        summary: "List aliases by domain and name",
        query: PAGE,
        body: None,
        is_update: false,
        good: Good::list(shape::<Aliases>),
        problems: &[],
        handler: |ask| {
            Box::pin(async move {
                let listed = ask.administration.aliases(&ask.call, ask.tenant()?, &ask.page()?).await?;
                Ok(Reply::document(&rows(listed, show)))
            })
        },
    },
    Operation {
        name: "add-alias",
        method: Method::Post,
        path: "/tenants/{tenant}/aliases",
        action: Some(Action::AliasAdd),
        summary: "Add an alias for accounts",
        query: &[],
        body: Some(shape::<NewAlias>),
        is_update: false,
        good: Good::made(shape::<Alias>),
        problems: &[Kind::Taken, Kind::Unknown, Kind::Invalid],
        handler: |ask| {
            Box::pin(async move {
                let NewAlias { address, targets } = ask.body()?;
                let tenant = ask.tenant()?;
                let alias = ask.administration.add_alias(&ask.call, tenant, &address, &targets).await?;
                let location = format!("/api/v1/tenants/{tenant}/aliases/{}", alias.address);
                Ok(Reply::made(&show(alias), location))
            })
        },
    },
    Operation {
        name: "read-alias",
        method: Method::Get,
        path: "/tenants/{tenant}/aliases/{alias}",
        action: Some(Action::AliasRead),
        summary: "An alias",
        query: &[],
        body: None,
        is_update: false,
        good: Good::one(shape::<Alias>),
        problems: &[],
        handler: |ask| {
            Box::pin(async move {
                let alias = ask.administration.alias(&ask.call, ask.tenant()?, ask.word("alias")).await?;
                Ok(Reply::tagged(&show(alias)))
            })
        },
    },
    Operation {
        name: "remove-alias",
        method: Method::Delete,
        path: "/tenants/{tenant}/aliases/{alias}",
        action: Some(Action::AliasRemove),
        summary: "Remove an alias: its address is free again",
        query: &[],
        body: None,
        is_update: false,
        good: Good::NOTHING,
        problems: &[],
        handler: |ask| {
            Box::pin(async move {
                ask.administration.remove_alias(&ask.call, ask.tenant()?, ask.word("alias")).await?;
                Ok(Reply::nothing())
            })
        },
    },
];
