//! The mobile number of a member, and the doors by which somebody comes in with a code that went there (AUT-01, AUT-07).

use pennypost_admin::{Action, MobileLogin};
use pennypost_directory::{MobileNumber, MobilePurpose, SignInKind};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::sessions::{Opened, opened};
use crate::rest::ask::document_in;
use crate::rest::doors::{Door, Knock, Opening};
use crate::rest::operation::{Good, Method, Operation, shape};
use crate::rest::problem::Kind;
use crate::rest::reply::Reply;

/// By which mobile number a member signs in.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "MobileNumber")]
pub(crate) struct Number {
    /// The number with its country, once a code that went there was said.
    number: Option<String>,
    /// Since when.
    since: Option<String>,
    /// One to which a code went that was not said yet.
    pending: Option<String>,
}

/// A number that is to be it.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "MobileNumberWish")]
pub(crate) struct NumberWish {
    /// With its country, such as `+8613800000000`.
    number: String,
}

/// A code.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "MobileCode")]
pub(crate) struct Code {
    /// Eight digits, as they were sent.
    code: String,
}

/// What a code is for.
#[derive(Clone, Copy, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
#[schemars(rename = "MobileCodePurpose")]
enum Purpose {
    /// To sign in.
    SignIn,
    /// To set another password.
    Password,
}

/// Who wants a code.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "MobileCodeWish")]
pub(crate) struct CodeWish {
    /// A domain of the organisation.
    domain: String,
    /// The mobile number.
    number: String,
    /// What for.
    purpose: Purpose,
}

/// Who wants to come in.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "MobileCredentials")]
pub(crate) struct Credentials {
    /// A domain of the organisation.
    domain: String,
    /// The mobile number.
    number: String,
    /// The code that went there.
    code: String,
    /// A code of the second factor, or a recovery code.
    second_factor: Option<String>,
    /// For browsers: the session is set as a cookie that no script can read, and is not in the answer. Needs the header
    /// `Pennypost-Page: 1`.
    #[serde(default)]
    cookie: bool,
}

/// Who has forgotten a password.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "MobileRecovery")]
pub(crate) struct Recovery {
    /// A domain of the organisation.
    domain: String,
    /// The mobile number.
    number: String,
    /// The code that went there.
    code: String,
}

/// What sets another password.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "RecoverySecret")]
pub(crate) struct Secret {
    /// For `/recovered-passwords`, once, within half an hour.
    secret: String,
}

fn show(mobile: pennypost_directory::Mobile) -> Number {
    let since = mobile.number.as_ref().map(|(_, since)| since.rfc3339());
    let text = |number: MobileNumber| number.to_string();
    Number { number: mobile.number.map(|(number, _)| text(number)), since, pending: mobile.pending.map(text) }
}

pub(crate) const ASK: Door = Door {
    name: "begin-mobile-code",
    path: "/mobile-codes",
    summary: "Have a code sent by SMS to a mobile number, if it is that of a member of the organisation: that is not told",
    body: shape::<CodeWish>,
    good: Good::NOTHING,
    problems: &[Kind::OtherState, Kind::Invalid],
    handler: ask_code,
};

fn ask_code<'a>(knock: &'a Knock<'a>) -> Opening<'a> {
    Box::pin(async move {
        let CodeWish { domain, number, purpose } = document_in(&knock.body)?;
        // Whoever asks makes us write to somebody.
        knock.must_not_hurry()?;
        let number = MobileNumber::parse(&number)?;
        let purpose = match purpose {
            Purpose::SignIn => MobilePurpose::SignIn,
            Purpose::Password => MobilePurpose::Password,
        };
        let login = MobileLogin { domain: &domain, number: &number };
        knock.rest.administration.begin_mobile_code(login, purpose, knock.visitor()).await?;
        Ok(Reply::nothing())
    })
}

pub(crate) const SIGN_IN: Door = Door {
    name: "sign-in-by-mobile",
    path: "/mobile-sessions",
    summary: "Sign in by a mobile number and the code that went there, with one of the second factor where there is one",
    body: shape::<Credentials>,
    good: Good::made(shape::<Opened>),
    problems: &[Kind::SignInRefused, Kind::CodeNeeded, Kind::OtherState, Kind::Invalid],
    handler: sign_in,
};

fn sign_in<'a>(knock: &'a Knock<'a>) -> Opening<'a> {
    Box::pin(async move {
        let Credentials { domain, number, code, second_factor, cookie } = document_in(&knock.body)?;
        if cookie {
            knock.must_be_own_page()?;
        }
        knock.must_not_hurry_to_sign_in()?;
        let number = MobileNumber::parse(&number)?;
        let login = MobileLogin { domain: &domain, number: &number };
        let codes = (code.as_str(), second_factor.as_deref());
        let kind = if cookie { SignInKind::Web } else { SignInKind::Api };
        let administration = &knock.rest.administration;
        let (session, text) = administration.sign_in_by_mobile(login, codes, kind, knock.visitor()).await?;
        Ok(opened(session, &text, cookie, knock.site()))
    })
}

pub(crate) const RECOVER: Door = Door {
    name: "recover-by-mobile",
    path: "/mobile-recoveries",
    summary: "What sets another password, for the code that went to the mobile number",
    body: shape::<Recovery>,
    good: Good::told(shape::<Secret>),
    problems: &[Kind::SignInRefused, Kind::OtherState, Kind::Invalid],
    handler: recover,
};

fn recover<'a>(knock: &'a Knock<'a>) -> Opening<'a> {
    Box::pin(async move {
        let Recovery { domain, number, code } = document_in(&knock.body)?;
        knock.must_not_hurry_to_sign_in()?;
        let number = MobileNumber::parse(&number)?;
        let login = MobileLogin { domain: &domain, number: &number };
        let secret = knock.rest.administration.recover_by_mobile(login, &code, knock.visitor()).await?;
        Ok(Reply::document(&Secret { secret }))
    })
}

const PATH: &str = "/tenants/{tenant}/accounts/{account}/mobile";

pub(super) const OPERATIONS: &[Operation] = &[
    Operation::new(
        (Method::Get, PATH, "read-mobile"),
        Action::MobileRead,
        "By which mobile number a member signs in",
        Good::told(shape::<Number>),
        |ask| {
            Box::pin(async move {
                let found = ask.administration.mobile(&ask.call, ask.account()?).await?;
                Ok(Reply::document(&show(found)))
            })
        },
    ),
    Operation::new(
        (Method::Post, PATH, "begin-mobile"),
        Action::MobileSet,
        "Have a code sent by SMS to what is to be the own mobile number",
        Good::NOTHING,
        |ask| {
            Box::pin(async move {
                let NumberWish { number } = ask.body()?;
                ask.administration.begin_mobile(&ask.call, ask.account()?, &number).await?;
                Ok(Reply::nothing())
            })
        },
    )
    .with(shape::<NumberWish>)
    .refusing(&[Kind::Invalid]),
    Operation::new(
        (Method::Post, "/tenants/{tenant}/accounts/{account}/mobile/confirmation", "finish-mobile"),
        Action::MobileSet,
        "Say the code that was sent: one signs in by the number from now on, which nobody else of the organisation has then",
        Good::told(shape::<Number>),
        |ask| {
            Box::pin(async move {
                let Code { code } = ask.body()?;
                let found = ask.administration.finish_mobile(&ask.call, ask.account()?, &code).await?;
                Ok(Reply::document(&show(found)))
            })
        },
    )
    .with(shape::<Code>)
    .refusing(&[Kind::WrongCode, Kind::Taken]),
    Operation::new(
        (Method::Delete, PATH, "remove-mobile"),
        Action::MobileSet,
        "Forget the own mobile number",
        Good::NOTHING,
        |ask| {
            Box::pin(async move {
                ask.administration.remove_mobile(&ask.call, ask.account()?).await?;
                Ok(Reply::nothing())
            })
        },
    ),
];
