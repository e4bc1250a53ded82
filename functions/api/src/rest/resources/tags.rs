//! Tags over departments and accounts.

use std::collections::BTreeSet;

use pennypost_admin::{Action, DepartmentId};
use pennypost_directory::{TagChange, TagId};
use pennypost_model::AccountId;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::page_of;
use crate::rest::ask::{id_in, numbered};
use crate::rest::operation::{Good, Method, Operation, shape};
use crate::rest::problem::{Kind, Refusal};
use crate::rest::reply::Reply;

/// A tag in a list.
#[derive(Serialize, JsonSchema)]
pub(crate) struct TagName {
    /// Its number.
    id: u32,
    /// Its name.
    name: String,
}

page_of!(Tags, TagName);

/// A tag and whom it marks.
#[derive(Serialize, JsonSchema)]
pub(crate) struct Tag {
    /// Its number.
    id: u32,
    /// Its name.
    name: String,
    /// The numbers of departments, with everybody in and below them.
    departments: BTreeSet<u32>,
    /// The ids of accounts.
    accounts: Vec<String>,
}

/// A tag to be added.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewTag {
    /// 1 to 50 characters, not beginning with `#`.
    name: String,
}

/// What is to be different; what is not named stays as it is.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct TagPatch {
    /// Another name.
    name: Option<String>,
    /// The numbers of all departments that it is to mark.
    departments: Option<BTreeSet<u32>>,
    /// The ids of all accounts that it is to mark.
    accounts: Option<Vec<String>>,
}

fn show(tag: pennypost_directory::Tag) -> Tag {
    Tag {
        id: tag.id.0,
        name: tag.name,
        departments: tag.departments.iter().map(|department| department.0).collect(),
        accounts: tag.accounts.iter().map(ToString::to_string).collect(),
    }
}

/// Ids of accounts in a list of the body.
pub(super) fn accounts_in(ids: &[String], pointer: &str) -> Result<BTreeSet<AccountId>, Refusal> {
    let each = ids.iter().enumerate();
    each.map(|(index, id)| id_in(id, &format!("{pointer}/{index}"))).collect()
}

pub(super) const OPERATIONS: &[Operation] = &[
    Operation::new(
        (Method::Get, "/tenants/{tenant}/tags", "list-tags"),
        Action::TagRead,
        "List tags by name: all of them, 500 at most",
        Good::list(shape::<Tags>),
        |ask| {
            Box::pin(async move {
                let tags = ask.administration.tags(&ask.call, ask.tenant()?).await?;
                Ok(Reply::document(&numbered(tags, None, |(id, name)| TagName { id: id.0, name })))
            })
        },
    ),
    Operation::new(
        (Method::Post, "/tenants/{tenant}/tags", "add-tag"),
        Action::TagAdd,
        "Add a tag that marks nobody yet",
        Good::made(shape::<Tag>),
        |ask| {
            Box::pin(async move {
                let NewTag { name } = ask.body()?;
                let tenant = ask.tenant()?;
                let tag = ask.administration.add_tag(&ask.call, tenant, &name).await?;
                let location = format!("/api/v1/tenants/{tenant}/tags/{}", tag.id.0);
                Ok(Reply::made(&show(tag), location))
            })
        },
    )
    .with(shape::<NewTag>)
    .refusing(&[Kind::Taken, Kind::Invalid]),
    Operation::new(
        (Method::Get, "/tenants/{tenant}/tags/{tag}", "read-tag"),
        Action::TagRead,
        "A tag and whom it marks",
        Good::one(shape::<Tag>),
        |ask| {
            Box::pin(async move {
                let id = TagId(ask.number("tag")?);
                Ok(Reply::tagged(&show(ask.administration.tag(&ask.call, ask.tenant()?, id).await?)))
            })
        },
    ),
    Operation::new(
        (Method::Patch, "/tenants/{tenant}/tags/{tag}", "change-tag"),
        Action::TagChange,
        "Rename a tag, or say whom it marks",
        Good::one(shape::<Tag>),
        |ask| {
            Box::pin(async move {
                let TagPatch { name, departments, accounts } = ask.body()?;
                let (tenant, id) = (ask.tenant()?, TagId(ask.number("tag")?));
                let seen = ask.administration.tag(&ask.call, tenant, id).await?;
                ask.must_match(&show(seen.clone()))?;
                let change = TagChange {
                    name,
                    departments: departments.map(|all| all.into_iter().map(DepartmentId).collect()),
                    accounts: accounts.map(|all| accounts_in(&all, "/accounts")).transpose()?,
                };
                let changed = ask.administration.change_tag(&ask.call, tenant, &seen, &change).await?;
                Ok(Reply::tagged(&show(changed)))
            })
        },
    )
    .with(shape::<TagPatch>)
    .update()
    .refusing(&[Kind::Taken, Kind::Unknown, Kind::Invalid]),
    Operation::new(
        (Method::Delete, "/tenants/{tenant}/tags/{tag}", "remove-tag"),
        Action::TagRemove,
        "Remove a tag; whom it marked stays as they are",
        Good::NOTHING,
        |ask| {
            Box::pin(async move {
                let id = TagId(ask.number("tag")?);
                ask.administration.remove_tag(&ask.call, ask.tenant()?, id).await?;
                Ok(Reply::nothing())
            })
        },
    )
    .refusing(&[Kind::Unknown]),
];
