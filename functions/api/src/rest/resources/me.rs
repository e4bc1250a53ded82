//! Whose key is it, and what is it for?

use pennypost_admin::{Actor, Granted, Means, Permissions, Reach, Standing};
use schemars::JsonSchema;
use serde::Serialize;

use crate::rest::operation::{Good, Method, Operation, shape};
use crate::rest::reply::Reply;

/// Whoever calls.
#[derive(Serialize, JsonSchema)]
pub(crate) struct Me {
    /// The number of the key.
    key: Option<String>,
    /// The number of the session.
    session: Option<String>,
    /// In a session: the second factor was shown within the last five minutes.
    confirmed: Option<bool>,
    /// In a session: a second factor has to be set up before anything else.
    second_factor_missing: Option<bool>,
    /// What the key is called, or the address of the person whose it is.
    name: String,
    /// The tenant; null for an operator's key.
    tenant: Option<String>,
    /// The account as which the key acts.
    account: Option<String>,
    /// `member`, `super` or `creator`, for a person.
    standing: Option<&'static str>,
    /// What the key is for.
    permissions: Vec<String>,
    /// A person administers something: the console is for him, too, in the same session as his mailbox.
    administrator: bool,
    /// What a member administers by roles, within what the key is for; a super admin or the creator administers everything.
    grants: Vec<HeldGrant>,
}

/// What somebody administers by a role.
#[derive(Serialize, JsonSchema)]
struct HeldGrant {
    /// What he may do.
    permissions: Vec<String>,
    /// In which departments and those below them; null: in the whole organisation.
    departments: Option<Vec<u32>>,
}

fn names(permissions: &Permissions) -> Vec<String> {
    permissions.iter().map(|one| one.to_string()).collect()
}

fn held(granted: &Granted, limit: &Permissions) -> HeldGrant {
    let departments = match &granted.reach {
        Reach::Tenant => None,
        Reach::Departments(departments) => Some(departments.iter().map(|department| department.0).collect()),
    };
    HeldGrant { permissions: names(&granted.permissions.and(limit)), departments }
}

pub(super) const OPERATIONS: &[Operation] = &[Operation {
    name: "read-me",
    method: Method::Get,
    path: "/me",
    action: None,
    summary: "Whose key or session it is, and what it is for",
    query: &[],
    body: None,
    is_update: false,
    good: Good { status: 200, shape: Some(shape::<Me>), is_tagged: false, has_csv: false },
    problems: &[],
    handler: |ask| Box::pin(async move { Ok(Reply::document(&me(&ask.call.actor))) }),
}];

fn me(actor: &Actor) -> Me {
    let tenant = actor.tenant().map(|tenant| tenant.to_string());
    match actor {
        Actor::Operator => Me {
            key: None,
            session: None,
            confirmed: None,
            second_factor_missing: None,
            name: "operator".to_owned(),
            tenant,
            account: None,
            standing: None,
            permissions: Vec::new(),
            administrator: false,
            grants: Vec::new(),
        },
        Actor::Service { key, name, permissions, .. } => Me {
            key: Some(key.to_string()),
            session: None,
            confirmed: None,
            second_factor_missing: None,
            name: name.clone(),
            tenant,
            account: None,
            standing: None,
            permissions: names(permissions),
            administrator: false,
            grants: Vec::new(),
        },
        Actor::Person { means, account, address, authority, limit } => Me {
            key: match means {
                Means::Key(key) => Some(key.to_string()),
                Means::Session(_) => None,
            },
            session: actor.presence().map(|presence| presence.session.to_string()),
            confirmed: actor.presence().map(|presence| presence.is_confirmed),
            second_factor_missing: actor.presence().map(|presence| presence.lacks_factor),
            name: address.clone(),
            tenant,
            account: Some(account.account.to_string()),
            standing: Some(match authority.standing {
                Standing::Member => "member",
                Standing::Super => "super",
                Standing::Creator => "creator",
            }),
            permissions: names(limit),
            administrator: authority.standing != Standing::Member || !authority.grants.is_empty(),
            grants: authority.grants.iter().map(|granted| held(granted, limit)).collect(),
        },
    }
}
