//! Second factors: authenticators, codes by SMS, recovery codes, and showing them before what can't be made undone.

use pennypost_admin::Action;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::rest::operation::{Good, Method, Operation, shape};
use crate::rest::problem::Kind;
use crate::rest::reply::Reply;

/// The second factor of an account.
#[derive(Serialize, JsonSchema)]
pub(crate) struct SecondFactor {
    /// There is one: the password alone opens neither a session nor a mail program.
    on: bool,
    /// Since when.
    since: Option<String>,
    /// Codes of an authenticator are good.
    authenticator: bool,
    /// Codes that go by SMS to the own mobile number are good.
    sms: bool,
    /// Recovery codes that were not used.
    recovery_codes: usize,
}

/// A secret for an authenticator.
#[derive(Serialize, JsonSchema)]
pub(crate) struct NewAuthenticator {
    /// In base32, for typing. It is never told again.
    secret: String,
    /// The same as an `otpauth:` address, for a QR code.
    address: String,
}

/// A code.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Code {
    /// Six digits of an authenticator, eight that went by SMS, or a recovery code.
    code: String,
}

/// Recovery codes.
#[derive(Serialize, JsonSchema)]
pub(crate) struct RecoveryCodes {
    /// Each opens once, in the place of a code. They are never told again.
    recovery_codes: Vec<String>,
}

fn show(found: Option<pennypost_directory::SecondFactor>) -> SecondFactor {
    SecondFactor {
        on: found.is_some(),
        since: found.map(|found| found.since.rfc3339()),
        authenticator: found.is_some_and(|found| found.authenticator),
        sms: found.is_some_and(|found| found.sms),
        recovery_codes: found.map_or(0, |found| found.recovery_codes),
    }
}

const SMS: &str = "/tenants/{tenant}/accounts/{account}/second-factor/sms";

pub(super) const OPERATIONS: &[Operation] = &[
    Operation {
        name: "read-second-factor",
        method: Method::Get,
        path: "/tenants/{tenant}/accounts/{account}/second-factor",
        action: Some(Action::SecondFactorRead),
        summary: "Whether an account has a second factor",
        query: &[],
        body: None,
        is_update: false,
        good: Good::list(shape::<SecondFactor>),
        problems: &[],
        handler: |ask| {
            Box::pin(async move {
                let found = ask.administration.second_factor(&ask.call, ask.account()?).await?;
                Ok(Reply::document(&show(found)))
            })
        },
    },
    Operation {
        name: "begin-authenticator",
        method: Method::Post,
        path: "/tenants/{tenant}/accounts/{account}/second-factor/authenticator",
        action: Some(Action::SecondFactorSet),
        summary: "Make a secret for the own authenticator; it counts from its first code on",
        query: &[],
        body: None,
        is_update: false,
        good: Good::list(shape::<NewAuthenticator>),
        problems: &[],
        handler: |ask| {
            Box::pin(async move {
                let made = ask.administration.begin_authenticator(&ask.call, ask.account()?).await?;
                Ok(Reply::document(&NewAuthenticator { secret: made.secret, address: made.address }))
            })
        },
    },
    Operation {
        name: "finish-authenticator",
        method: Method::Post,
        path: "/tenants/{tenant}/accounts/{account}/second-factor/authenticator/first-code",
        action: Some(Action::SecondFactorSet),
        summary: "Say the first code of the own authenticator: the second factor is on, and recovery codes are told",
        query: &[],
        body: Some(shape::<Code>),
        is_update: false,
        good: Good::list(shape::<RecoveryCodes>),
        problems: &[Kind::WrongCode],
        handler: |ask| {
            Box::pin(async move {
                let Code { code } = ask.body()?;
                let (key, client) = (ask.account()?, ask.client());
                let recovery_codes =
                    ask.administration.finish_authenticator(&ask.call, key, &code, client).await?;
                Ok(Reply::document(&RecoveryCodes { recovery_codes }))
            })
        },
    },
    Operation {
        name: "remove-authenticator",
        method: Method::Delete,
        path: "/tenants/{tenant}/accounts/{account}/second-factor/authenticator",
        action: Some(Action::SecondFactorSet),
        summary: "Take the own authenticator away",
        query: &[],
        body: None,
        is_update: false,
        good: Good::NOTHING,
        problems: &[],
        handler: |ask| {
            Box::pin(async move {
                ask.administration.remove_authenticator(&ask.call, ask.account()?).await?;
                Ok(Reply::nothing())
            })
        },
    },
    Operation::new(
        (Method::Post, SMS, "begin-sms-factor"),
        Action::SecondFactorSet,
        "Have a code sent to the own mobile number, to which codes are to go at each sign-in",
        Good::NOTHING,
        |ask| {
            Box::pin(async move {
                ask.administration.begin_sms_factor(&ask.call, ask.account()?).await?;
                Ok(Reply::nothing())
            })
        },
    )
    .refusing(&[Kind::OtherState]),
    Operation::new(
        (Method::Post, "/tenants/{tenant}/accounts/{account}/second-factor/sms/first-code", "finish-sms-factor"),
        Action::SecondFactorSet,
        "Say the code that was sent: the second factor is on, and recovery codes are told if there was none before",
        Good::told(shape::<RecoveryCodes>),
        |ask| {
            Box::pin(async move {
                let Code { code } = ask.body()?;
                let (key, client) = (ask.account()?, ask.client());
                let recovery_codes =
                    ask.administration.finish_sms_factor(&ask.call, key, &code, client).await?;
                Ok(Reply::document(&RecoveryCodes { recovery_codes }))
            })
        },
    )
    .with(shape::<Code>)
    .refusing(&[Kind::WrongCode]),
    Operation::new(
        (Method::Delete, SMS, "remove-sms-factor"),
        Action::SecondFactorSet,
        "Codes by SMS are no second factor of the own account any more",
        Good::NOTHING,
        |ask| {
            Box::pin(async move {
                ask.administration.remove_sms_factor(&ask.call, ask.account()?).await?;
                Ok(Reply::nothing())
            })
        },
    )
    .refusing(&[Kind::OtherState]),
    Operation::new(
        (Method::Post, "/tenants/{tenant}/accounts/{account}/second-factor/sms/code", "send-confirmation-code"),
        Action::SessionConfirm,
        "Have a code sent by SMS, with which this session is confirmed",
        Good::NOTHING,
        |ask| {
            Box::pin(async move {
                ask.administration.send_confirmation_code(&ask.call, ask.account()?).await?;
                Ok(Reply::nothing())
            })
        },
    )
    .refusing(&[Kind::OtherState]),
    Operation {
        name: "renew-recovery-codes",
        method: Method::Post,
        path: "/tenants/{tenant}/accounts/{account}/second-factor/recovery-codes",
        action: Some(Action::SecondFactorSet),
        summary: "Make new recovery codes in the place of the own earlier ones",
        query: &[],
        body: None,
        is_update: false,
        good: Good::list(shape::<RecoveryCodes>),
        problems: &[],
        handler: |ask| {
            Box::pin(async move {
                let recovery_codes = ask.administration.new_recovery_codes(&ask.call, ask.account()?).await?;
                Ok(Reply::document(&RecoveryCodes { recovery_codes }))
            })
        },
    },
    Operation {
        name: "confirm-session",
        method: Method::Post,
        path: "/tenants/{tenant}/accounts/{account}/second-factor/confirmation",
        action: Some(Action::SessionConfirm),
        summary: "Show the own second factor: for five minutes the session may do what can't be made undone",
        query: &[],
        body: Some(shape::<Code>),
        is_update: false,
        good: Good::NOTHING,
        problems: &[Kind::WrongCode],
        handler: |ask| {
            Box::pin(async move {
                let Code { code } = ask.body()?;
                ask.administration.confirm(&ask.call, ask.account()?, &code, ask.client()).await?;
                Ok(Reply::nothing())
            })
        },
    },
    Operation {
        name: "reset-second-factor",
        method: Method::Delete,
        path: "/tenants/{tenant}/accounts/{account}/second-factor",
        action: Some(Action::SecondFactorReset),
        summary: "Take away the second factor and the passkeys of somebody who has lost them",
        query: &[],
        body: None,
        is_update: false,
        good: Good::NOTHING,
        problems: &[],
        handler: |ask| {
            Box::pin(async move {
                ask.administration.reset_second_factor(&ask.call, ask.account()?).await?;
                Ok(Reply::nothing())
            })
        },
    },
];
