//! Accounts.

use pennypost_admin::{AccountChange, Action, DepartmentId};
use pennypost_directory::{AccountKind, AccountState, Capacities, Listed};
use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, Serialize};

use super::page_of;
use crate::rest::ask::{Ask, rows};
use crate::rest::operation::{Good, Method, Operation, PAGE, Query, shape};
use crate::rest::problem::{Kind, Refusal};
use crate::rest::reply::Reply;

/// May an account be used?
#[derive(Clone, Copy, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
#[schemars(rename = "AccountState")]
pub(crate) enum State {
    /// Yes.
    Active,
    /// No sign-in and no new mail; what it holds stays.
    Disabled,
}

/// An account.
#[derive(Serialize, JsonSchema)]
pub(crate) struct Account {
    /// 16 hex digits.
    id: String,
    /// Its own address.
    address: String,
    /// The name of its owner; may be empty.
    display_name: String,
    /// May it be used?
    state: State,
    /// Bytes of messages that it may hold, where an administrator has said so; null: what the plan gives, or without one 10 GB,
    /// 1 GB for a business mailbox. Never more than the plan gives.
    quota_bytes: Option<u64>,
    /// Bytes of messages that it holds at most, by its plan and by that word; null: any number.
    capacity_bytes: Option<u64>,
    /// Its owner has a VIP seat.
    vip: bool,
    /// The numbers of the departments that its owner is in, the main one first.
    departments: Vec<u32>,
    /// The operator has suspended it.
    suspended: bool,
    /// It is in the recycle bin.
    in_recycle_bin: bool,
    /// When it was added.
    created: String,
    /// A function's, which members use; not a person's.
    business: bool,
    /// From then on it cannot be used; null: it does not end.
    expires: Option<String>,
}

page_of!(Accounts, Account);

/// An account to be added.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewAccount {
    /// In a domain of the tenant.
    address: String,
    /// 8 characters at least, 1,024 bytes at most.
    password: String,
    /// The name of its owner.
    #[serde(default)]
    display_name: String,
    /// Bytes of messages that it may hold; if nothing is said, what the plan gives, or 10 GB without one.
    quota_bytes: Option<u64>,
    /// The numbers of the departments that its owner is to be in, the main one first.
    #[serde(default)]
    departments: Vec<u32>,
}

/// What is to be different; what is not named stays as it is.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct AccountPatch {
    /// May it be used?
    state: Option<State>,
    /// Bytes of messages that it may hold, or null: what the plan gives. Less than it holds only keeps new mail out.
    #[serde(default, deserialize_with = "said")]
    #[schemars(with = "Option<u64>")]
    quota_bytes: Option<Option<u64>>,
}

/// Null is something that is said.
fn said<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Option<u64>>, D::Error> {
    Option::deserialize(deserializer).map(Some)
}

/// A password to be set.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Password {
    /// 8 characters at least, 1,024 bytes at most, and what the tenant's rules ask for.
    password: String,
    /// Its owner has to set another one at the next sign-in in a browser; as the tenant's rules say, if nothing is said.
    must_change: Option<bool>,
}

/// An account, with what it holds by its tenant's plan.
pub(super) async fn shown(ask: &Ask, account: pennypost_directory::Account) -> Result<Account, Refusal> {
    let capacities = ask.administration.capacities(account.key.tenant).await?;
    Ok(show(account, capacities))
}

pub(super) fn show(account: pennypost_directory::Account, plan: Option<Capacities>) -> Account {
    let capacity = account.capacity(plan);
    let state = match account.state {
        AccountState::Active => State::Active,
        AccountState::Disabled => State::Disabled,
    };
    Account {
        id: account.key.account.to_string(),
        address: account.address.to_string(),
        display_name: account.display_name,
        state,
        quota_bytes: account.quota_bytes,
        capacity_bytes: (capacity < u64::MAX).then_some(capacity),
        vip: account.is_vip,
        departments: account.departments.iter().map(|department| department.0).collect(),
        suspended: account.suspended,
        in_recycle_bin: account.binned.is_some(),
        created: account.created.rfc3339(),
        business: account.kind == AccountKind::Business,
        expires: account.expires.map(|expires| expires.rfc3339()),
    }
}

const LIST: &[Query] = &[
    PAGE[0],
    PAGE[1],
    Query { name: "address", about: "Only the account whose own address this is.", is_number: false },
];

pub(super) const OPERATIONS: &[Operation] = &[
    Operation {
        name: "list-accounts",
        method: Method::Get,
        path: "/tenants/{tenant}/accounts",
        action: Some(Action::AccountRead),
        summary: "List accounts, or find the one at an address",
        query: LIST,
        body: None,
        is_update: false,
        good: Good::list(shape::<Accounts>),
        problems: &[],
        handler: |ask| {
            Box::pin(async move {
                let (tenant, page) = (ask.tenant()?, ask.page()?);
                let listed = match ask.parameter("address") {
                    Some(address) => {
                        let found = ask.administration.account_at(&ask.call, tenant, address).await?;
                        Listed { items: found.into_iter().collect(), next: None }
                    }
                    None => ask.administration.accounts(&ask.call, tenant, &page).await?,
                };
                let capacities = ask.administration.capacities(tenant).await?;
                Ok(Reply::document(&rows(listed, |account| show(account, capacities))))
            })
        },
    },
    Operation {
        name: "add-account",
        method: Method::Post,
        path: "/tenants/{tenant}/accounts",
        action: Some(Action::AccountAdd),
        summary: "Add an account",
        query: &[],
        body: Some(shape::<NewAccount>),
        is_update: false,
        good: Good::made(shape::<Account>),
        problems: &[Kind::Taken, Kind::Unknown, Kind::Invalid, Kind::PlanLimit],
        handler: |ask| {
            Box::pin(async move {
                let new: NewAccount = ask.body()?;
                let new = pennypost_admin::NewAccount {
                    address: new.address,
                    password: new.password,
                    display_name: new.display_name,
                    quota_bytes: new.quota_bytes,
                    departments: new.departments.into_iter().map(DepartmentId).collect(),
                };
                let tenant = ask.tenant()?;
                let account = ask.administration.add_account(&ask.call, tenant, &new).await?;
                let location = format!("/api/v1/tenants/{tenant}/accounts/{}", account.key.account);
                Ok(Reply::made(&shown(ask, account).await?, location))
            })
        },
    },
    Operation {
        name: "read-account",
        method: Method::Get,
        path: "/tenants/{tenant}/accounts/{account}",
        action: Some(Action::AccountRead),
        summary: "An account",
        query: &[],
        body: None,
        is_update: false,
        good: Good::one(shape::<Account>),
        problems: &[],
        handler: |ask| {
            Box::pin(async move {
                let account = ask.administration.account(&ask.call, ask.account()?).await?;
                Ok(Reply::tagged(&shown(ask, account).await?))
            })
        },
    },
    Operation {
        name: "change-account",
        method: Method::Patch,
        path: "/tenants/{tenant}/accounts/{account}",
        action: Some(Action::AccountChange),
        summary: "Change the quota of an account, disable it or enable it again",
        query: &[],
        body: Some(shape::<AccountPatch>),
        is_update: true,
        good: Good::one(shape::<Account>),
        problems: &[],
        handler: |ask| {
            Box::pin(async move {
                let AccountPatch { state, quota_bytes } = ask.body()?;
                let action = Action::AccountChange;
                let seen = ask.administration.account_for(action, &ask.call, ask.account()?).await?;
                let capacities = ask.administration.capacities(seen.key.tenant).await?;
                ask.must_match(&show(seen.clone(), capacities))?;
                let state = state.map(|state| match state {
                    State::Active => AccountState::Active,
                    State::Disabled => AccountState::Disabled,
                });
                let change = AccountChange { quota_bytes, state };
                let changed = ask.administration.change_account(&ask.call, &seen, change).await?;
                Ok(Reply::tagged(&show(changed, capacities)))
            })
        },
    },
    Operation {
        name: "set-password",
        method: Method::Put,
        path: "/tenants/{tenant}/accounts/{account}/password",
        action: Some(Action::AccountPassword),
        summary: "Set the password of an account",
        query: &[],
        body: Some(shape::<Password>),
        is_update: false,
        good: Good::NOTHING,
        problems: &[Kind::Invalid],
        handler: |ask| {
            Box::pin(async move {
                let Password { password, must_change } = ask.body()?;
                let must_change = must_change.unwrap_or(false);
                ask.administration.set_password(&ask.call, ask.account()?, &password, must_change).await?;
                Ok(Reply::nothing())
            })
        },
    },
];
