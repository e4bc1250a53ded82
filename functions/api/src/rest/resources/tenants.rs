//! Tenants.

use pennypost_admin::{Action, TenantChange};
use pennypost_directory::TenantState;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::page_of;
use crate::rest::ask::rows;
use crate::rest::operation::{Good, Method, Operation, PAGE, shape};
use crate::rest::problem::Kind;
use crate::rest::reply::Reply;

/// May a tenant use the post office?
#[derive(Clone, Copy, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
#[schemars(rename = "TenantState")]
pub(crate) enum State {
    /// Yes.
    Active,
    /// Nobody signs in, its keys open nothing, mail is put off.
    Suspended,
}

/// May a tenant use the post office?
#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
#[schemars(rename = "SeenTenantState")]
pub(crate) enum SeenState {
    /// Yes.
    Active,
    /// Nobody signs in, its keys open nothing, mail is put off.
    Suspended,
    /// It has ended, and is being erased.
    Erasing,
}

/// A tenant.
#[derive(Serialize, JsonSchema)]
pub(crate) struct Tenant {
    /// 16 hex digits.
    id: String,
    /// Unique without regard to case.
    name: String,
    /// May it use the post office?
    state: SeenState,
    /// When it was opened.
    created: String,
}

page_of!(Tenants, Tenant);

/// A tenant to be opened.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewTenant {
    /// 1 to 100 characters.
    name: String,
}

/// What is to be different.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct TenantPatch {
    /// May it use the post office?
    state: State,
}

fn show(tenant: pennypost_directory::Tenant) -> Tenant {
    let state = match tenant.state {
        TenantState::Active => SeenState::Active,
        TenantState::Suspended => SeenState::Suspended,
        TenantState::Erasing => SeenState::Erasing,
    };
    Tenant { id: tenant.id.to_string(), name: tenant.name, state, created: tenant.created.rfc3339() }
}

pub(super) const OPERATIONS: &[Operation] = &[
    Operation {
        name: "list-tenants",
        method: Method::Get,
        path: "/tenants",
        action: Some(Action::TenantList),
        summary: "List tenants in the order of their names",
        query: PAGE,
        body: None,
        is_update: false,
        good: Good::list(shape::<Tenants>),
        problems: &[],
        handler: |ask| {
            Box::pin(async move {
                let listed = ask.administration.tenants(&ask.call, &ask.page()?).await?;
                Ok(Reply::document(&rows(listed, show)))
            })
        },
    },
    Operation {
        name: "add-tenant",
        method: Method::Post,
        path: "/tenants",
        action: Some(Action::TenantAdd),
        summary: "Open a tenant",
        query: &[],
        body: Some(shape::<NewTenant>),
        is_update: false,
        good: Good::made(shape::<Tenant>),
        problems: &[Kind::Taken, Kind::Invalid],
        handler: |ask| {
            Box::pin(async move {
                let NewTenant { name } = ask.body()?;
                let tenant = ask.administration.add_tenant(&ask.call, &name).await?;
                let location = format!("/api/v1/tenants/{}", tenant.id);
                Ok(Reply::made(&show(tenant), location))
            })
        },
    },
    Operation {
        name: "read-tenant",
        method: Method::Get,
        path: "/tenants/{tenant}",
        action: Some(Action::TenantRead),
        summary: "A tenant",
        query: &[],
        body: None,
        is_update: false,
        good: Good::one(shape::<Tenant>),
        problems: &[],
        handler: |ask| {
            Box::pin(async move {
                let tenant = ask.administration.tenant(&ask.call, ask.tenant()?).await?;
                Ok(Reply::tagged(&show(tenant)))
            })
        },
    },
    Operation {
        name: "change-tenant",
        method: Method::Patch,
        path: "/tenants/{tenant}",
        action: Some(Action::TenantState),
        summary: "Suspend a tenant, or let it in again",
        query: &[],
        body: Some(shape::<TenantPatch>),
        is_update: true,
        good: Good::one(shape::<Tenant>),
        problems: &[],
        handler: |ask| {
            Box::pin(async move {
                let TenantPatch { state } = ask.body()?;
                let seen = ask.directory().tenant(ask.tenant()?).await?.ok_or(Kind::NotFound)?;
                ask.must_match(&show(seen.clone()))?;
                let state = match state {
                    State::Active => TenantState::Active,
                    State::Suspended => TenantState::Suspended,
                };
                let change = TenantChange { state };
                let changed = ask.administration.change_tenant(&ask.call, &seen, change).await?;
                Ok(Reply::tagged(&show(changed)))
            })
        },
    },
];
