//! Secretaries: members who act for another one.

use pennypost_admin::{Action, Deputy};
use pennypost_directory::{Listed, SecretaryScope, SecretaryTerm};
use pennypost_model::AccountId;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::page_of;
use crate::rest::ask::rows;
use crate::rest::operation::{Good, Method, Operation, shape};
use crate::rest::problem::Kind;
use crate::rest::reply::Reply;

/// What a secretary may do.
#[derive(Clone, Copy, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
#[schemars(rename = "SecretaryScope")]
pub(crate) enum Scope {
    /// Send mail that shows the owner as its sender. Kept for when members send mail here.
    SendAs,
    /// Send mail that shows who has sent it for the owner. Kept likewise.
    SendOnBehalf,
    /// All that the owner may do in his mailboxes, in the secretary's own mail program.
    Full,
}

/// For how long somebody is a secretary: then it ends by itself.
#[derive(Clone, Copy, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "SecretaryTerm")]
pub(crate) enum Term {
    /// 1 day.
    #[serde(rename = "1-day")]
    Day,
    /// 7 days.
    #[serde(rename = "1-week")]
    Week,
    /// 30 days.
    #[serde(rename = "1-month")]
    Month,
    /// 90 days.
    #[serde(rename = "3-months")]
    ThreeMonths,
    /// 180 days.
    #[serde(rename = "6-months")]
    SixMonths,
}

/// That somebody is a secretary.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "SecretaryGrant")]
pub(crate) struct Grant {
    /// What he may do.
    scope: Scope,
    /// Since when.
    since: String,
    /// Until when.
    until: String,
}

/// That somebody would like to be one. It waits for 30 days.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "SecretaryApplication")]
pub(crate) struct Application {
    /// To do what.
    scope: Scope,
    /// For how long.
    term: Term,
    /// Since when.
    since: String,
}

/// A secretary, or somebody who applies for it; seen by the secretary: whose.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Secretary")]
pub(crate) struct Row {
    /// The id of the other account.
    account: String,
    /// Its address; null if it is gone.
    address: Option<String>,
    /// Its name; may be empty.
    name: String,
    /// What the secretary is.
    granted: Option<Grant>,
    /// What he would like to be.
    applied: Option<Application>,
}

page_of!(Secretaries, Row);

/// A secretary to be made.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewSecretary {
    /// The address of the colleague.
    secretary: String,
    /// What he may do.
    scope: Scope,
    /// For how long, from now on.
    term: Term,
}

/// What somebody applies for.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewApplication {
    /// The address of the member whose secretary he would like to be.
    owner: String,
    /// To do what.
    scope: Scope,
    /// For how long.
    term: Term,
}

impl From<Scope> for SecretaryScope {
    fn from(scope: Scope) -> SecretaryScope {
        match scope {
            Scope::SendAs => SecretaryScope::SendAs,
            Scope::SendOnBehalf => SecretaryScope::SendOnBehalf,
            Scope::Full => SecretaryScope::Full,
        }
    }
}

impl From<SecretaryScope> for Scope {
    fn from(scope: SecretaryScope) -> Scope {
        match scope {
            SecretaryScope::SendAs => Scope::SendAs,
            SecretaryScope::SendOnBehalf => Scope::SendOnBehalf,
            SecretaryScope::Full => Scope::Full,
        }
    }
}

impl From<Term> for SecretaryTerm {
    fn from(term: Term) -> SecretaryTerm {
        match term {
            Term::Day => SecretaryTerm::Day,
            Term::Week => SecretaryTerm::Week,
            Term::Month => SecretaryTerm::Month,
            Term::ThreeMonths => SecretaryTerm::ThreeMonths,
            Term::SixMonths => SecretaryTerm::SixMonths,
        }
    }
}

impl From<SecretaryTerm> for Term {
    fn from(term: SecretaryTerm) -> Term {
        match term {
            SecretaryTerm::Day => Term::Day,
            SecretaryTerm::Week => Term::Week,
            SecretaryTerm::Month => Term::Month,
            SecretaryTerm::ThreeMonths => Term::ThreeMonths,
            SecretaryTerm::SixMonths => Term::SixMonths,
        }
    }
}

fn show(deputy: Deputy) -> Row {
    Row {
        account: deputy.account.to_string(),
        address: deputy.address.map(|address| address.to_string()),
        name: deputy.name,
        granted: deputy.granted.map(|granted| Grant {
            scope: granted.scope.into(),
            since: granted.since.rfc3339(),
            until: granted.until.rfc3339(),
        }),
        applied: deputy.applied.map(|applied| Application {
            scope: applied.scope.into(),
            term: applied.term.into(),
            since: applied.since.rfc3339(),
        }),
    }
}

fn all(items: Vec<Deputy>) -> Reply {
    Reply::document(&rows(Listed { items, next: None }, show))
}

pub(super) const OPERATIONS: &[Operation] = &[
    Operation::new(
        (Method::Get, "/tenants/{tenant}/accounts/{account}/secretaries", "list-secretaries"),
        Action::SecretaryRead,
        "List a member's secretaries and who applies for it: all of them",
        Good::list(shape::<Secretaries>),
        |ask| {
            Box::pin(async move { Ok(all(ask.administration.secretaries(&ask.call, ask.account()?).await?)) })
        },
    ),
    Operation::new(
        (Method::Post, "/tenants/{tenant}/accounts/{account}/secretaries", "grant-secretary"),
        Action::SecretaryGrant,
        "Make the colleague at an address one's secretary, or grant what he applies for; 10 at a time at most",
        Good::told(shape::<Row>),
        |ask| {
            Box::pin(async move {
                let NewSecretary { secretary, scope, term } = ask.body()?;
                let (owner, what) = (ask.account()?, (scope.into(), term.into()));
                let deputy = ask.administration.grant_secretary(&ask.call, owner, &secretary, what).await?;
                Ok(Reply::document(&show(deputy)))
            })
        },
    )
    .with(shape::<NewSecretary>)
    .refusing(&[Kind::Unknown, Kind::Invalid]),
    Operation::new(
        (Method::Delete, "/tenants/{tenant}/accounts/{account}/secretaries/{secretary}", "end-secretary"),
        Action::SecretaryEnd,
        "End that an account is a member's secretary, in open sessions, too; or refuse its application",
        Good::NOTHING,
        |ask| {
            Box::pin(async move {
                let (owner, secretary) = (ask.account()?, ask.id::<AccountId>("secretary")?);
                ask.administration.end_secretary(&ask.call, owner, secretary).await?;
                Ok(Reply::nothing())
            })
        },
    ),
    Operation::new(
        (Method::Get, "/tenants/{tenant}/accounts/{account}/secretary-of", "list-secretary-of"),
        Action::SecretaryRead,
        "List whose secretary an account is, and for whom it applies: all of them",
        Good::list(shape::<Secretaries>),
        |ask| {
            Box::pin(
                async move { Ok(all(ask.administration.secretary_of(&ask.call, ask.account()?).await?)) },
            )
        },
    ),
    Operation::new(
        (Method::Post, "/tenants/{tenant}/accounts/{account}/secretary-of", "apply-as-secretary"),
        Action::SecretaryApply,
        "Apply to be the secretary of the member at an address, who decides; 20 applications at a time at most",
        Good::told(shape::<Row>),
        |ask| {
            Box::pin(async move {
                let NewApplication { owner, scope, term } = ask.body()?;
                let (secretary, what) = (ask.account()?, (scope.into(), term.into()));
                let applied =
                    ask.administration.apply_as_secretary(&ask.call, secretary, &owner, what).await?;
                Ok(Reply::document(&show(applied)))
            })
        },
    )
    .with(shape::<NewApplication>)
    .refusing(&[Kind::Unknown, Kind::Invalid]),
    Operation::new(
        (Method::Delete, "/tenants/{tenant}/accounts/{account}/secretary-of/{owner}", "resign-as-secretary"),
        Action::SecretaryEnd,
        "Give up being somebody's secretary, or take the application back",
        Good::NOTHING,
        |ask| {
            Box::pin(async move {
                let (secretary, owner) = (ask.account()?, ask.id::<AccountId>("owner")?);
                ask.administration.resign_as_secretary(&ask.call, secretary, owner).await?;
                Ok(Reply::nothing())
            })
        },
    ),
];
