//! Signing in and out, and sessions.

use pennypost_admin::{Action, SignIn};
use pennypost_directory::{Listed, SessionId, SignInKind};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::page_of;
use crate::rest::ask::{document_in, rows};
use crate::rest::cookie;
use crate::rest::doors::{Door, Knock, Opening};
use crate::rest::operation::{Good, Method, Operation, shape};
use crate::rest::problem::Kind;
use crate::rest::reply::Reply;
use crate::sites::Site;

/// Who wants to come in.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Credentials {
    /// The address of an account, or an alias that leads to it alone.
    address: String,
    /// Its password.
    password: String,
    /// A code of the second factor, or a recovery code.
    code: Option<String>,
    /// Have a code sent by SMS, though there is an authenticator, too; with that as the only second factor one is sent in any
    /// case when none is said.
    #[serde(default)]
    sms: bool,
    /// For browsers: the session is set as a cookie that no script can read, and is not in the answer. Needs the header
    /// `Pennypost-Page: 1`, as everything that then changes something does.
    #[serde(default)]
    cookie: bool,
}

/// A session that was opened.
#[derive(Serialize, JsonSchema)]
pub(crate) struct Opened {
    /// Its description.
    #[serde(flatten)]
    description: Session,
    /// The tenant of the account.
    tenant: String,
    /// The id of the account.
    account: String,
    /// The session itself, to be sent as a bearer token. It is never told again. Null if it was set as a cookie.
    token: Option<String>,
    /// The organisation wants a second factor, and there is none: nothing else can be done in this session before it is
    /// set up.
    second_factor_missing: bool,
    /// The password is to be changed: nothing else can be done in this session, which ends with it.
    password_change_needed: bool,
    /// The site that is best for whoever comes from there; null: the installation's own hosts are.
    site: Option<BestSite>,
}

/// A place at which the post office is reached. A host that is null is the installation's own.
#[derive(Serialize, JsonSchema)]
struct BestSite {
    /// What it is called.
    name: String,
    /// The host of IMAP.
    imap: Option<String>,
    /// The host of POP3.
    pop3: Option<String>,
    /// The host of the server for sending.
    smtp: Option<String>,
    /// The host of the pages for people.
    https: Option<String>,
}

fn best(site: &Site) -> BestSite {
    let Site { name, imap, pop3, smtp, https, .. } = site.clone();
    BestSite { name, imap, pop3, smtp, https }
}

/// A session.
#[derive(Serialize, JsonSchema)]
pub(crate) struct Session {
    /// 16 hex digits.
    id: String,
    /// `password`, `password-and-code`, `ticket`, `passkey`, `provider`, `mobile` or
    /// `mobile-and-code`, `chosen`, `chosen-and-code`.
    signed_in_by: &'static str,
    /// What the client said that it is.
    client: String,
    /// From which address it was opened.
    from: Option<String>,
    /// When it was opened.
    created: String,
    /// When it was last used, to some minutes.
    used: String,
    /// When it is over in any case.
    expires: String,
}

page_of!(Sessions, Session);

/// What was ended.
#[derive(Serialize, JsonSchema)]
pub(crate) struct Ended {
    /// How many sessions.
    ended: usize,
}

fn show(session: pennypost_directory::Session) -> Session {
    Session {
        id: session.id.to_string(),
        signed_in_by: session.by.name(),
        client: session.client,
        from: session.address.map(|address| address.to_string()),
        created: session.created.rfc3339(),
        used: session.used.rfc3339(),
        expires: session.expires.rfc3339(),
    }
}

/// The answer to whoever was let in.
pub(crate) fn opened(
    session: pennypost_directory::Session,
    text: &str,
    as_cookie: bool,
    site: Option<&Site>,
) -> Reply {
    let seconds = session.expires.0.saturating_sub(session.created.0) / 1000;
    let (tenant, account) = (session.account.tenant.to_string(), session.account.account.to_string());
    let location = format!("/api/v1/tenants/{tenant}/accounts/{account}/sessions/{}", session.id);
    let (second_factor_missing, password_change_needed) = (session.lacks_factor, session.must_change);
    let token = (!as_cookie).then(|| text.to_owned());
    let opened = Opened {
        description: show(session),
        tenant,
        account,
        token,
        second_factor_missing,
        password_change_needed,
        site: site.map(best),
    };
    let reply = Reply::made(&opened, location);
    if as_cookie { reply.with_cookie(cookie::set(text, seconds)) } else { reply }
}

pub(crate) const SIGN_IN: Door = Door {
    name: "sign-in",
    path: "/sessions",
    summary: "Sign in by address and password, with a code where there is a second factor",
    body: shape::<Credentials>,
    good: Good::made(shape::<Opened>),
    problems: &[Kind::SignInRefused, Kind::CodeNeeded, Kind::Elsewhere, Kind::OtherState],
    handler: sign_in,
};

fn sign_in<'a>(knock: &'a Knock<'a>) -> Opening<'a> {
    Box::pin(async move {
        let Credentials { address, password, code, sms, cookie } = document_in(&knock.body)?;
        if cookie {
            // Else a foreign page could sign somebody in as somebody else.
            knock.must_be_own_page()?;
        }
        let kind = if cookie { SignInKind::Web } else { SignInKind::Api };
        let shown =
            SignIn { address: &address, password: &password, code: code.as_deref(), wants_sms: sms, kind };
        let (session, text) = knock.rest.administration.sign_in(shown, knock.visitor()).await?;
        Ok(opened(session, &text, cookie, knock.site()))
    })
}

pub(super) const OPERATIONS: &[Operation] = &[
    Operation {
        name: "sign-out",
        method: Method::Delete,
        path: "/session",
        action: None,
        summary: "End the session in which this is asked; with a key nothing happens",
        query: &[],
        body: None,
        is_update: false,
        good: Good::NOTHING,
        problems: &[],
        handler: |ask| {
            Box::pin(async move {
                let is_ended = ask.administration.sign_out(&ask.call).await?;
                let reply = Reply::nothing();
                Ok(if is_ended { reply.with_cookie(cookie::clear()) } else { reply })
            })
        },
    },
    Operation {
        name: "list-sessions",
        method: Method::Get,
        path: "/tenants/{tenant}/accounts/{account}/sessions",
        action: Some(Action::SessionRead),
        summary: "List the sessions of an account",
        query: &[],
        body: None,
        is_update: false,
        good: Good::list(shape::<Sessions>),
        problems: &[],
        handler: |ask| {
            Box::pin(async move {
                let items = ask.administration.sessions(&ask.call, ask.account()?).await?;
                Ok(Reply::document(&rows(Listed { items, next: None }, show)))
            })
        },
    },
    Operation {
        name: "end-sessions",
        method: Method::Delete,
        path: "/tenants/{tenant}/accounts/{account}/sessions",
        action: Some(Action::SessionEnd),
        summary: "End all sessions of an account, but for the one in which this is asked",
        query: &[],
        body: None,
        is_update: false,
        good: Good::list(shape::<Ended>),
        problems: &[],
        handler: |ask| {
            Box::pin(async move {
                let ended = ask.administration.end_sessions(&ask.call, ask.account()?).await?;
                Ok(Reply::document(&Ended { ended }))
            })
        },
    },
    Operation {
        name: "end-session",
        method: Method::Delete,
        path: "/tenants/{tenant}/accounts/{account}/sessions/{session}",
        action: Some(Action::SessionEnd),
        summary: "End a session of an account",
        query: &[],
        body: None,
        is_update: false,
        good: Good::NOTHING,
        problems: &[],
        handler: |ask| {
            Box::pin(async move {
                let id: SessionId = ask.id("session")?;
                ask.administration.end_session(&ask.call, ask.account()?, id).await?;
                Ok(Reply::nothing())
            })
        },
    },
];
