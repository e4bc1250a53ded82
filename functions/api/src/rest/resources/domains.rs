//! Domains of a tenant.

use pennypost_admin::Action;
use pennypost_directory::DomainState;
use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, Serialize};

use super::page_of;
use crate::rest::ask::rows;
use crate::rest::operation::{Good, Method, Operation, PAGE, shape};
use crate::rest::problem::Kind;
use crate::rest::reply::Reply;

/// How far a domain is.
#[derive(Clone, Copy, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
#[schemars(rename = "DomainState")]
pub(crate) enum State {
    /// Claimed: its zone does not show yet whose it is. Stands in nobody's way.
    Pending,
    /// Its zone shows that it is the tenant's, and another tenant has it: ask the operator.
    Conflict,
    /// It is the tenant's.
    Proved,
    /// It is the tenant's, and its mail is brought here.
    Active,
    /// Closed by the operator: mail is put off.
    Suspended,
    /// On the way to be gone.
    Removing,
}

/// What the last look at its records said.
#[derive(Clone, Serialize, JsonSchema)]
pub(crate) struct Health {
    /// When.
    checked: String,
    /// Is its mail brought here? Null: DNS did not answer.
    takes_mail: Option<bool>,
    /// Since when it has not been.
    without_mail_since: Option<String>,
    /// Is something wrong or missing that matters? Lists show a mark then.
    needs_attention: bool,
    /// Is mail that is forged in its name refused or put aside?
    is_protected: bool,
}

/// A mail domain.
#[derive(Serialize, JsonSchema)]
pub(crate) struct Domain {
    /// In A-labels.
    name: String,
    /// The same as people write it.
    shown: String,
    /// How far it is.
    state: State,
    /// The domain for which it stands; mail to x@this is mail to x there.
    alias_of: Option<String>,
    /// What the last look at its records said; null if nobody has looked.
    health: Option<Health>,
    /// The address that gets mail to unknown addresses.
    catch_all: Option<String>,
    /// When it was added.
    created: String,
}

page_of!(Domains, Domain);

/// A domain that is to be the tenant's.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewDomain {
    /// In A-labels or U-labels.
    name: String,
}

/// What is to be different.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct DomainPatch {
    /// The address of an account of the tenant, or null: mail to unknown addresses is refused.
    #[serde(default, deserialize_with = "said")]
    #[schemars(with = "Option<String>")]
    catch_all: Option<Option<String>>,
}

/// Null is something that is said.
fn said<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Option<String>>, D::Error> {
    Option::deserialize(deserializer).map(Some)
}

pub(super) fn show(domain: pennypost_directory::Domain) -> Domain {
    let catch_all = domain.catch_all.map(|catch_all| catch_all.address.to_string());
    let state = match domain.state {
        DomainState::Pending => State::Pending,
        DomainState::Conflict => State::Conflict,
        DomainState::Proved => State::Proved,
        DomainState::Active => State::Active,
        DomainState::Suspended => State::Suspended,
        DomainState::Removing => State::Removing,
    };
    let health = domain.health.map(|health| Health {
        checked: health.time.rfc3339(),
        takes_mail: health.takes_mail,
        without_mail_since: health.without_mail_since.map(|time| time.rfc3339()),
        needs_attention: health.needs_attention,
        is_protected: health.is_protected,
    });
    Domain {
        name: domain.name.to_string(),
        shown: domain.name.to_unicode(),
        state,
        alias_of: domain.alias_of.map(|name| name.to_string()),
        health,
        catch_all,
        created: domain.created.rfc3339(),
    }
}

pub(super) const OPERATIONS: &[Operation] = &[
    Operation {
        name: "list-domains",
        method: Method::Get,
        path: "/tenants/{tenant}/domains",
        action: Some(Action::DomainRead),
        summary: "List domains in the order of their names",
        query: PAGE,
        body: None,
        is_update: false,
        good: Good::list(shape::<Domains>),
        problems: &[],
        handler: |ask| {
            Box::pin(async move {
                let listed = ask.administration.domains(&ask.call, ask.tenant()?, &ask.page()?).await?;
                Ok(Reply::document(&rows(listed, show)))
            })
        },
    },
    Operation {
        name: "add-domain",
        method: Method::Post,
        path: "/tenants/{tenant}/domains",
        action: Some(Action::DomainAdd),
        summary: "Claim a domain: its zone has to prove whose it is; by an operator, give it at once",
        query: &[],
        body: Some(shape::<NewDomain>),
        is_update: false,
        good: Good::made(shape::<Domain>),
        problems: &[Kind::Taken, Kind::Invalid],
        handler: |ask| {
            Box::pin(async move {
                let NewDomain { name } = ask.body()?;
                let tenant = ask.tenant()?;
                let domain = ask.administration.add_domain(&ask.call, tenant, &name).await?;
                let location = format!("/api/v1/tenants/{tenant}/domains/{}", domain.name);
                Ok(Reply::made(&show(domain), location))
            })
        },
    },
    Operation {
        name: "read-domain",
        method: Method::Get,
        path: "/tenants/{tenant}/domains/{domain}",
        action: Some(Action::DomainRead),
        summary: "A domain",
        query: &[],
        body: None,
        is_update: false,
        good: Good::one(shape::<Domain>),
        problems: &[],
        handler: |ask| {
            Box::pin(async move {
                let domain = ask.administration.domain(&ask.call, ask.tenant()?, ask.word("domain")).await?;
                Ok(Reply::tagged(&show(domain)))
            })
        },
    },
    Operation {
        name: "change-domain",
        method: Method::Patch,
        path: "/tenants/{tenant}/domains/{domain}",
        action: Some(Action::DomainChange),
        summary: "Name the account for mail to unknown addresses, or none",
        query: &[],
        body: Some(shape::<DomainPatch>),
        is_update: true,
        good: Good::one(shape::<Domain>),
        problems: &[Kind::Unknown, Kind::Invalid],
        handler: |ask| {
            Box::pin(async move {
                let DomainPatch { catch_all } = ask.body()?;
                let (tenant, name) = (ask.tenant()?, ask.word("domain"));
                let seen = ask.administration.domain(&ask.call, tenant, name).await?;
                ask.must_match(&show(seen.clone()))?;
                // What is not named stays as it is.
                let Some(catch_all) = catch_all else { return Ok(Reply::tagged(&show(seen))) };
                let change = ask.administration.change_domain(&ask.call, &seen, catch_all.as_deref());
                let changed = change.await?;
                Ok(Reply::tagged(&show(changed)))
            })
        },
    },
];
