//! Roles: named sets of permissions.

use pennypost_admin::{Action, RoleId};
use pennypost_directory::Listed;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::page_of;
use crate::rest::ask::{permissions, rows};
use crate::rest::operation::{Good, Method, Operation, shape};
use crate::rest::problem::Kind;
use crate::rest::reply::Reply;

/// A role.
#[derive(Serialize, JsonSchema)]
pub(crate) struct Role {
    /// 16 hex digits.
    id: String,
    /// Its name.
    name: String,
    /// What its holders may do: `members:read`, `groups:write` and so on. Changing holds looking.
    permissions: Vec<String>,
    /// When it was made.
    created: String,
}

page_of!(Roles, Role);

/// A role as it is to be.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewRole {
    /// 1 to 100 characters, unique without regard to case.
    name: String,
    /// What its holders may do: none that whoever makes the role has not himself.
    permissions: Vec<String>,
}

fn show(role: pennypost_admin::Role) -> Role {
    let permissions = role.permissions.iter().map(|one| one.to_string()).collect();
    Role { id: role.id.to_string(), name: role.name, permissions, created: role.created.rfc3339() }
}

pub(super) const OPERATIONS: &[Operation] = &[
    Operation {
        name: "list-roles",
        method: Method::Get,
        path: "/tenants/{tenant}/roles",
        action: Some(Action::RoleRead),
        summary: "List all roles",
        query: &[],
        body: None,
        is_update: false,
        good: Good::list(shape::<Roles>),
        problems: &[],
        handler: |ask| {
            Box::pin(async move {
                let items = ask.administration.roles(&ask.call, ask.tenant()?).await?;
                Ok(Reply::document(&rows(Listed { items, next: None }, show)))
            })
        },
    },
    Operation {
        name: "add-role",
        method: Method::Post,
        path: "/tenants/{tenant}/roles",
        action: Some(Action::RoleAdd),
        summary: "Make a role",
        query: &[],
        body: Some(shape::<NewRole>),
        is_update: false,
        good: Good::made(shape::<Role>),
        problems: &[Kind::Taken, Kind::Invalid, Kind::Changed, Kind::PlanLimit],
        handler: |ask| {
            Box::pin(async move {
                let new: NewRole = ask.body()?;
                let (tenant, given) = (ask.tenant()?, permissions(&new.permissions, "/permissions")?);
                let role = ask.administration.add_role(&ask.call, tenant, &new.name, given).await?;
                let location = format!("/api/v1/tenants/{tenant}/roles/{}", role.id);
                Ok(Reply::made(&show(role), location))
            })
        },
    },
    Operation {
        name: "read-role",
        method: Method::Get,
        path: "/tenants/{tenant}/roles/{role}",
        action: Some(Action::RoleRead),
        summary: "A role",
        query: &[],
        body: None,
        is_update: false,
        good: Good::one(shape::<Role>),
        problems: &[],
        handler: |ask| {
            Box::pin(async move {
                let id: RoleId = ask.id("role")?;
                Ok(Reply::tagged(&show(ask.administration.role(&ask.call, ask.tenant()?, id).await?)))
            })
        },
    },
    Operation {
        name: "change-role",
        method: Method::Put,
        path: "/tenants/{tenant}/roles/{role}",
        action: Some(Action::RoleChange),
        summary: "Change a role; it holds for all who have it at once",
        query: &[],
        body: Some(shape::<NewRole>),
        is_update: true,
        good: Good::one(shape::<Role>),
        problems: &[Kind::Taken, Kind::Invalid],
        handler: |ask| {
            Box::pin(async move {
                let new: NewRole = ask.body()?;
                let (tenant, id): (_, RoleId) = (ask.tenant()?, ask.id("role")?);
                let given = permissions(&new.permissions, "/permissions")?;
                let seen = ask.administration.role(&ask.call, tenant, id).await?;
                ask.must_match(&show(seen.clone()))?;
                let changing = ask.administration.change_role(&ask.call, tenant, &seen, &new.name, given);
                Ok(Reply::tagged(&show(changing.await?)))
            })
        },
    },
    Operation {
        name: "remove-role",
        method: Method::Delete,
        path: "/tenants/{tenant}/roles/{role}",
        action: Some(Action::RoleRemove),
        summary: "Remove a role that nobody holds",
        query: &[],
        body: None,
        is_update: false,
        good: Good::NOTHING,
        problems: &[Kind::Held],
        handler: |ask| {
            Box::pin(async move {
                let id: RoleId = ask.id("role")?;
                ask.administration.remove_role(&ask.call, ask.tenant()?, id).await?;
                Ok(Reply::nothing())
            })
        },
    },
];
