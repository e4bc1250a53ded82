//! Groups: addresses of many accounts, of other groups, and of addresses elsewhere.

use pennypost_admin::Action;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::page_of;
use crate::rest::ask::rows;
use crate::rest::operation::{Good, Method, Operation, PAGE, shape};
use crate::rest::problem::Kind;
use crate::rest::reply::Reply;

/// A group.
#[derive(Serialize, JsonSchema)]
pub(crate) struct Group {
    /// Its address.
    address: String,
    /// Its name; may be empty.
    name: String,
    /// The addresses that it names: of accounts and groups, and those elsewhere.
    members: Vec<String>,
}

page_of!(Groups, Group);

/// A group to be added.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewGroup {
    /// In a domain of the tenant.
    address: String,
    /// Its name.
    #[serde(default)]
    name: String,
    /// Addresses of accounts, aliases and groups of the tenant, and of other servers: 500 at most. Those elsewhere, 100 with
    /// those of the groups in it, get what members write to it once they are friends.
    members: Vec<String>,
}

/// What is to be different.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct GroupPatch {
    /// All members, in the place of those that it has.
    members: Vec<String>,
}

/// What is to stand before the @ of a group's address.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "GroupPrefix")]
pub(crate) struct Prefix {
    /// Letters, digits, dots and hyphens.
    prefix: String,
}

pub(super) fn show(group: pennypost_directory::Group) -> Group {
    let members = group.members.iter().map(|member| member.address().to_string()).collect();
    Group { address: group.address.to_string(), name: group.name, members }
}

pub(super) const OPERATIONS: &[Operation] = &[
    Operation {
        name: "list-groups",
        method: Method::Get,
        path: "/tenants/{tenant}/groups",
        action: Some(Action::GroupRead),
        summary: "List groups by domain and name",
        query: PAGE,
        body: None,
        is_update: false,
        good: Good::list(shape::<Groups>),
        problems: &[],
        handler: |ask| {
            Box::pin(async move {
                let listed = ask.administration.groups(&ask.call, ask.tenant()?, &ask.page()?).await?;
                Ok(Reply::document(&rows(listed, show)))
            })
        },
    },
    Operation {
        name: "add-group",
        method: Method::Post,
        path: "/tenants/{tenant}/groups",
        action: Some(Action::GroupAdd),
        summary: "Add a group",
        query: &[],
        body: Some(shape::<NewGroup>),
        is_update: false,
        good: Good::made(shape::<Group>),
        problems: &[Kind::Taken, Kind::Unknown, Kind::Invalid],
        handler: |ask| {
            Box::pin(async move {
                let NewGroup { address, name, members } = ask.body()?;
                let tenant = ask.tenant()?;
                let adding = ask.administration.add_group(&ask.call, tenant, &address, &name, &members);
                let group = adding.await?;
                let location = format!("/api/v1/tenants/{tenant}/groups/{}", group.address);
                Ok(Reply::made(&show(group), location))
            })
        },
    },
    Operation {
        name: "read-group",
        method: Method::Get,
        path: "/tenants/{tenant}/groups/{group}",
        action: Some(Action::GroupRead),
        summary: "A group",
        query: &[],
        body: None,
        is_update: false,
        good: Good::one(shape::<Group>),
        problems: &[],
        handler: |ask| {
            Box::pin(async move {
                let group = ask.administration.group(&ask.call, ask.tenant()?, ask.word("group")).await?;
                Ok(Reply::tagged(&show(group)))
            })
        },
    },
    Operation {
        name: "change-group",
        method: Method::Patch,
        path: "/tenants/{tenant}/groups/{group}",
        action: Some(Action::GroupChange),
        summary: "Replace the members of a group",
        query: &[],
        body: Some(shape::<GroupPatch>),
        is_update: true,
        good: Good::one(shape::<Group>),
        problems: &[Kind::Unknown, Kind::Invalid],
        handler: |ask| {
            Box::pin(async move {
                let GroupPatch { members } = ask.body()?;
                let tenant = ask.tenant()?;
                let seen = ask.administration.group(&ask.call, tenant, ask.word("group")).await?;
                ask.must_match(&show(seen.clone()))?;
                let changed = ask.administration.change_group(&ask.call, tenant, &seen, &members).await?;
                Ok(Reply::tagged(&show(changed)))
            })
        },
    },
    Operation {
        name: "remove-group",
        method: Method::Delete,
        path: "/tenants/{tenant}/groups/{group}",
        action: Some(Action::GroupRemove),
        summary: "Remove a group: its address is free again",
        query: &[],
        body: None,
        is_update: false,
        good: Good::NOTHING,
        problems: &[],
        handler: |ask| {
            Box::pin(async move {
                ask.administration.remove_group(&ask.call, ask.tenant()?, ask.word("group")).await?;
                Ok(Reply::nothing())
            })
        },
    },
    Operation::new(
        (Method::Post, "/tenants/{tenant}/groups/{group}/address", "readdress-group"),
        Action::GroupReaddress,
        "Give the group of a department another address in its domain, once; groups that name it name the new one",
        Good::told(shape::<Group>),
        |ask| {
            Box::pin(async move {
                let Prefix { prefix } = ask.body()?;
                let (tenant, group) = (ask.tenant()?, ask.word("group"));
                Ok(Reply::document(&show(
                    ask.administration.readdress_group(&ask.call, tenant, group, &prefix).await?,
                )))
            })
        },
    )
    .with(shape::<Prefix>)
    .refusing(&[Kind::Taken, Kind::Invalid]),
];
