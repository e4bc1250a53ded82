//! The terms of service, and who has accepted them.

use pennypost_admin::Action;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::page_of;
use crate::rest::ask::{numbered, rows};
use crate::rest::operation::{Good, Method, Operation, PAGE, shape};
use crate::rest::problem::details::no_such;
use crate::rest::problem::{Kind, Refusal};
use crate::rest::reply::Reply;

/// A version of the terms of service.
#[derive(Serialize, JsonSchema)]
pub(crate) struct TermsVersion {
    /// 1, 2, …: the highest is what holds.
    number: u32,
    /// What it is called.
    title: String,
    /// SHA-256 of its text.
    sha256: String,
    /// Since when it holds.
    published: String,
}

/// A version of the terms of service with its text.
#[derive(Serialize, JsonSchema)]
pub(crate) struct Terms {
    /// Which.
    #[serde(flatten)]
    version: TermsVersion,
    /// The text.
    text: String,
}

/// A version to be published.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewTerms {
    /// What it is called: 1 to 200 characters.
    title: String,
    /// The text: 100,000 bytes at most.
    text: String,
}

/// That somebody has accepted a version.
#[derive(Serialize, JsonSchema)]
pub(crate) struct Acceptance {
    /// Which version.
    number: u32,
    /// SHA-256 of the text that was accepted.
    sha256: String,
    /// Who.
    by: String,
    /// From where.
    from: String,
    /// When.
    at: String,
}

page_of!(TermsVersions, TermsVersion);
page_of!(Acceptances, Acceptance);

fn version(terms: &pennypost_admin::Terms) -> TermsVersion {
    TermsVersion {
        number: terms.number,
        title: terms.title.clone(),
        sha256: terms.digest(),
        published: terms.published.rfc3339(),
    }
}

fn show(terms: pennypost_admin::Terms) -> Terms {
    Terms { version: version(&terms), text: terms.text }
}

fn accepted(acceptance: pennypost_admin::Acceptance) -> Acceptance {
    Acceptance {
        number: acceptance.number,
        sha256: acceptance.sha256,
        by: acceptance.by.shown(),
        from: acceptance.origin.shown(),
        at: acceptance.at.rfc3339(),
    }
}

pub(super) const OPERATIONS: &[Operation] = &[
    Operation::new(
        (Method::Get, "/terms", "list-published-terms"),
        Action::TermsManage,
        "As the operator: list the versions of the terms of service, the first one first",
        Good::list(shape::<TermsVersions>),
        |ask| {
            Box::pin(async move {
                let terms = ask.administration.published_terms(&ask.call).await?;
                Ok(Reply::document(&numbered(terms, None, |terms| version(&terms))))
            })
        },
    ),
    Operation::new(
        (Method::Post, "/terms", "publish-terms"),
        Action::TermsPublish,
        "As the operator: publish a version of the terms of service; it holds from now on, and is never changed",
        Good::told(shape::<Terms>),
        |ask| {
            Box::pin(async move {
                let NewTerms { title, text } = ask.body()?;
                Ok(Reply::document(&show(ask.administration.publish_terms(&ask.call, &title, &text).await?)))
            })
        },
    )
    .with(shape::<NewTerms>)
    .refusing(&[Kind::Invalid]),
    Operation::new(
        (Method::Get, "/tenants/{tenant}/terms", "list-terms"),
        Action::TermsRead,
        "List the versions of the terms of service, the first one first; the last one holds",
        Good::list(shape::<TermsVersions>),
        |ask| {
            Box::pin(async move {
                let terms = ask.administration.terms(&ask.call, ask.tenant()?).await?;
                Ok(Reply::document(&numbered(terms, None, |terms| version(&terms))))
            })
        },
    ),
    Operation::new(
        (Method::Get, "/tenants/{tenant}/terms/{number}", "read-terms"),
        Action::TermsRead,
        "A version of the terms of service",
        Good::told(shape::<Terms>),
        |ask| {
            Box::pin(async move {
                let (tenant, number) = (ask.tenant()?, ask.number("number")?);
                let terms = ask.administration.terms(&ask.call, tenant).await?;
                let found = terms.into_iter().find(|terms| terms.number == number);
                let found = found.ok_or_else(|| Refusal::new(Kind::NotFound, no_such("terms")))?;
                Ok(Reply::document(&show(found)))
            })
        },
    ),
    Operation::new(
        (Method::Post, "/tenants/{tenant}/terms/{number}/acceptance", "accept-terms"),
        Action::TermsAccept,
        "Accept the version of the terms of service that holds, in a session",
        Good::told(shape::<Acceptance>),
        |ask| {
            Box::pin(async move {
                let (tenant, number) = (ask.tenant()?, ask.number("number")?);
                let acceptance = ask.administration.accept_terms(&ask.call, tenant, number).await?;
                Ok(Reply::document(&accepted(acceptance)))
            })
        },
    )
    .refusing(&[Kind::Changed]),
    Operation::new(
        (Method::Get, "/tenants/{tenant}/terms-accepted", "list-accepted-terms"),
        Action::TermsRead,
        "List who has accepted which version, the first version first",
        Good::list(shape::<Acceptances>),
        |ask| {
            Box::pin(async move {
                let (tenant, page) = (ask.tenant()?, ask.page()?);
                let listed = ask.administration.accepted_terms(&ask.call, tenant, &page).await?;
                Ok(Reply::document(&rows(listed, accepted)))
            })
        },
    )
    .asking(PAGE),
];
