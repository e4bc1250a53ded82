//! The choice between several organisations of one person (TEN-16).

use pennypost_admin::Chosen;
use pennypost_directory::SignInKind;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::sessions::{Opened, opened};
use crate::rest::ask::{document_in, id_in};
use crate::rest::doors::{Door, Knock, Opening};
use crate::rest::operation::{Good, Method, Operation, shape};
use crate::rest::problem::Kind;
use crate::rest::reply::Reply;

/// An organisation.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "OwnOrganisation")]
struct Organisation {
    /// The tenant.
    tenant: String,
    /// Its name.
    name: String,
    /// The address of one's account there.
    address: String,
}

/// Organisations of one person.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "OwnOrganisations")]
struct Organisations {
    /// Those in which the mobile number is one's own by which one has signed in; empty if that was more than five minutes ago, or
    /// otherwise.
    items: Vec<Organisation>,
    /// What is shown to choose another one, once, within five minutes; null if there is no other one.
    selection: Option<String>,
}

/// Who chooses.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "ChosenOrganisation")]
pub(crate) struct Choosing {
    /// What was told with the organisations.
    selection: String,
    /// The tenant that is chosen.
    tenant: String,
    /// A code of an authenticator, or a recovery code, where the account there has a second factor.
    second_factor: Option<String>,
    /// For browsers: the session is set as a cookie that no script can read, and is not in the answer. Needs the header
    /// `Pennypost-Page: 1`.
    #[serde(default)]
    cookie: bool,
}

pub(crate) const CHOOSE: Door = Door {
    name: "choose-organisation",
    path: "/chosen-sessions",
    summary: "Sign in to another organisation of one's own, by what was told with the list of them",
    body: shape::<Choosing>,
    good: Good::made(shape::<Opened>),
    problems: &[Kind::SignInRefused, Kind::CodeNeeded, Kind::Elsewhere, Kind::Invalid],
    handler: choose,
};

fn choose<'a>(knock: &'a Knock<'a>) -> Opening<'a> {
    Box::pin(async move {
        let Choosing { selection, tenant, second_factor, cookie } = document_in(&knock.body)?;
        if cookie {
            knock.must_be_own_page()?;
        }
        knock.must_not_hurry_to_sign_in()?;
        let kind = if cookie { SignInKind::Web } else { SignInKind::Api };
        let tenant = id_in(&tenant, "/tenant")?;
        let chosen = Chosen { selection: &selection, tenant, factor: second_factor.as_deref(), kind };
        let (session, text) = knock.rest.administration.choose(chosen, knock.visitor()).await?;
        Ok(opened(session, &text, cookie, knock.site()))
    })
}

pub(super) const OPERATIONS: &[Operation] = &[Operation {
    name: "list-own-organisations",
    method: Method::Post,
    path: "/me/organisations",
    action: None,
    summary: "The organisations in which one has an account by the mobile number by which one has just signed in",
    query: &[],
    body: None,
    is_update: false,
    good: Good::told(shape::<Organisations>),
    problems: &[],
    handler: |ask| {
        Box::pin(async move {
            let (choices, selection) = ask.administration.choices(&ask.call).await?;
            let items = choices.into_iter().map(|choice| Organisation {
                tenant: choice.tenant.to_string(),
                name: choice.name,
                address: choice.address,
            });
            Ok(Reply::document(&Organisations { items: items.collect(), selection }))
        })
    },
}];
