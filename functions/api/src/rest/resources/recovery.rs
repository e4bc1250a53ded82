//! Forgotten passwords (AUT-07): the recovery address of a member, and the doors by which another password is set.

use pennypost_admin::Action;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::rest::ask::document_in;
use crate::rest::doors::{Door, Knock, Opening};
use crate::rest::operation::{Good, Method, Operation, shape};
use crate::rest::problem::Kind;
use crate::rest::reply::Reply;

/// Where a member is reached who can't sign in.
#[derive(Serialize, JsonSchema)]
pub(crate) struct Recovery {
    /// The address, once a code that went there was said.
    address: Option<String>,
    /// Since when.
    since: Option<String>,
    /// One to which a code went that was not said yet.
    pending: Option<String>,
}

/// An address that is to be it.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct RecoveryWish {
    /// The own address of another member of the organisation, or one elsewhere, if this post office sends to other servers.
    address: String,
}

/// A code.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct RecoveryCode {
    /// Eight digits, as they were sent.
    code: String,
}

/// Who has forgotten a password.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Forgotten {
    /// The address of an account.
    address: String,
}

/// Another password.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Recovered {
    /// What was sent.
    secret: String,
    /// The password that is to hold.
    password: String,
}

fn show(recovery: pennypost_directory::Recovery) -> Recovery {
    let since = recovery.address.as_ref().map(|known| known.since.rfc3339());
    Recovery { address: recovery.address.map(|known| known.address), since, pending: recovery.pending }
}

pub(crate) const ASK: Door = Door {
    name: "begin-password-recovery",
    path: "/password-recoveries",
    summary: "Have a letter sent by which another password is set, to the recovery address, if there are such an account and \
              such an address: that is not told",
    body: shape::<Forgotten>,
    good: Good::NOTHING,
    problems: &[],
    handler: begin,
};

fn begin<'a>(knock: &'a Knock<'a>) -> Opening<'a> {
    Box::pin(async move {
        let Forgotten { address } = document_in(&knock.body)?;
        knock.must_not_hurry()?;
        knock.rest.administration.begin_password_recovery(&address).await;
        Ok(Reply::nothing())
    })
}

pub(crate) const SET: Door = Door {
    name: "recover-password",
    path: "/recovered-passwords",
    summary: "Set another password by what was sent, once",
    body: shape::<Recovered>,
    good: Good::NOTHING,
    problems: &[Kind::SignInRefused, Kind::Elsewhere, Kind::Invalid],
    handler: set,
};

fn set<'a>(knock: &'a Knock<'a>) -> Opening<'a> {
    Box::pin(async move {
        let Recovered { secret, password } = document_in(&knock.body)?;
        knock.must_not_hurry()?;
        knock.rest.administration.recover_password(&secret, &password, knock.visitor()).await?;
        Ok(Reply::nothing())
    })
}

const PATH: &str = "/tenants/{tenant}/accounts/{account}/recovery-address";

pub(super) const OPERATIONS: &[Operation] = &[
    Operation::new(
        (Method::Get, PATH, "read-recovery-address"),
        Action::RecoveryRead,
        "Where a member is reached who can't sign in",
        Good::told(shape::<Recovery>),
        |ask| {
            Box::pin(async move {
                let found = ask.administration.recovery(&ask.call, ask.account()?).await?;
                Ok(Reply::document(&show(found)))
            })
        },
    ),
    Operation::new(
        (Method::Post, PATH, "begin-recovery-address"),
        Action::RecoverySet,
        "Have a code sent to what is to be the own recovery address",
        Good::NOTHING,
        |ask| {
            Box::pin(async move {
                let RecoveryWish { address } = ask.body()?;
                ask.administration.begin_recovery_address(&ask.call, ask.account()?, &address).await?;
                Ok(Reply::nothing())
            })
        },
    )
    .with(shape::<RecoveryWish>)
    .refusing(&[Kind::Invalid, Kind::OtherState]),
    Operation::new(
        (
            Method::Post,
            "/tenants/{tenant}/accounts/{account}/recovery-address/confirmation",
            "finish-recovery-address",
        ),
        Action::RecoverySet,
        "Say the code that was sent: the address is the own recovery address from now on",
        Good::told(shape::<Recovery>),
        |ask| {
            Box::pin(async move {
                let RecoveryCode { code } = ask.body()?;
                let key = ask.account()?;
                let found = ask.administration.finish_recovery_address(&ask.call, key, &code).await?;
                Ok(Reply::document(&show(found)))
            })
        },
    )
    .with(shape::<RecoveryCode>)
    .refusing(&[Kind::WrongCode]),
    Operation::new(
        (Method::Delete, PATH, "remove-recovery-address"),
        Action::RecoverySet,
        "Forget the own recovery address",
        Good::NOTHING,
        |ask| {
            Box::pin(async move {
                ask.administration.remove_recovery_address(&ask.call, ask.account()?).await?;
                Ok(Reply::nothing())
            })
        },
    ),
];
