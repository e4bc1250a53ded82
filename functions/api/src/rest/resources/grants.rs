//! Who holds which role over whom.

use pennypost_admin::{Action, DepartmentId, Reach};
use pennypost_model::AccountId;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::page_of;
use crate::rest::ask::{id_in, rows};
use crate::rest::operation::{Good, Method, Operation, PAGE, shape};
use crate::rest::problem::{Kind, Refusal};
use crate::rest::reply::Reply;

/// A role over somebody.
#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Grant {
    /// The id of the role.
    role: String,
    /// The departments that it reaches, with those below them; null: the whole tenant.
    departments: Option<Vec<u32>>,
}

/// What an account holds.
#[derive(Serialize, JsonSchema)]
pub(crate) struct Grants {
    /// The id of the account.
    account: String,
    /// It is a super admin.
    #[serde(rename = "super")]
    is_super: bool,
    /// Its roles.
    roles: Vec<Grant>,
}

page_of!(GrantsPage, Grants);

/// What an account is to hold, in the place of what it holds.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewGrants {
    /// It is to be a super admin.
    #[serde(rename = "super")]
    is_super: bool,
    /// Its roles: 20 at most.
    roles: Vec<Grant>,
}

fn show((account, grants): (AccountId, pennypost_admin::Grants)) -> Grants {
    let role = |grant: pennypost_admin::Grant| Grant {
        role: grant.role.to_string(),
        departments: match grant.reach {
            Reach::Tenant => None,
            Reach::Departments(some) => Some(some.iter().map(|department| department.0).collect()),
        },
    };
    let roles = grants.roles.into_iter().map(role).collect();
    Grants { account: account.to_string(), is_super: grants.is_super, roles }
}

fn read(new: &NewGrants) -> Result<pennypost_admin::Grants, Refusal> {
    let mut roles = Vec::with_capacity(new.roles.len());
    for (index, grant) in new.roles.iter().enumerate() {
        let role = id_in(&grant.role, &format!("/roles/{index}/role"))?;
        let reach = match &grant.departments {
            None => Reach::Tenant,
            Some(named) => Reach::Departments(named.iter().copied().map(DepartmentId).collect()),
        };
        roles.push(pennypost_admin::Grant { role, reach });
    }
    Ok(pennypost_admin::Grants { is_super: new.is_super, roles })
}

pub(super) const OPERATIONS: &[Operation] = &[
    Operation {
        name: "list-grants",
        method: Method::Get,
        path: "/tenants/{tenant}/grants",
        action: Some(Action::GrantRead),
        summary: "List who holds roles, by account",
        query: PAGE,
        body: None,
        is_update: false,
        good: Good::list(shape::<GrantsPage>),
        problems: &[],
        handler: |ask| {
            Box::pin(async move {
                let listed = ask.administration.grants(&ask.call, ask.tenant()?, &ask.page()?).await?;
                Ok(Reply::document(&rows(listed, show)))
            })
        },
    },
    Operation {
        name: "read-grants",
        method: Method::Get,
        path: "/tenants/{tenant}/grants/{account}",
        action: Some(Action::GrantRead),
        summary: "What an account holds",
        query: &[],
        body: None,
        is_update: false,
        good: Good::one(shape::<Grants>),
        problems: &[],
        handler: |ask| {
            Box::pin(async move {
                let key = ask.account()?;
                let held = ask.administration.grants_of(&ask.call, key).await?;
                Ok(Reply::tagged(&show((key.account, held))))
            })
        },
    },
    Operation {
        name: "change-grants",
        method: Method::Put,
        path: "/tenants/{tenant}/grants/{account}",
        action: Some(Action::GrantChange),
        summary: "Give an account roles and take others away, from the next call on",
        query: &[],
        body: Some(shape::<NewGrants>),
        is_update: true,
        good: Good::one(shape::<Grants>),
        problems: &[Kind::Unknown, Kind::Invalid, Kind::PlanLimit],
        handler: |ask| {
            Box::pin(async move {
                let grants = read(&ask.body()?)?;
                let key = ask.account()?;
                let seen = ask.administration.grants_of(&ask.call, key).await?;
                ask.must_match(&show((key.account, seen.clone())))?;
                let changed = ask.administration.change_grants(&ask.call, key, &seen, grants).await?;
                Ok(Reply::tagged(&show((key.account, changed))))
            })
        },
    },
];
