//! Domains of a tenant.

use pennypost_admin::Action;
use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, Serialize};

use super::page_of;
use crate::rest::ask::rows;
use crate::rest::operation::{Good, Method, Operation, PAGE, shape};
use crate::rest::problem::Kind;
use crate::rest::reply::Reply;

/// A mail domain.
#[derive(Serialize, JsonSchema)]
pub(crate) struct Domain {
    /// In A-labels.
    name: String,
    /// The address that gets mail to unknown addresses.
    catch_all: Option<String>,
    /// When it was added.
    created: String,
}

page_of!(Domains, Domain);

/// A domain to be given to the tenant.
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

fn show(domain: pennypost_directory::Domain) -> Domain {
    let catch_all = domain.catch_all.map(|catch_all| catch_all.address.to_string());
    Domain { name: domain.name.to_string(), catch_all, created: domain.created.rfc3339() }
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
        summary: "Give a domain to a tenant",
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
