//! Tokens: passwords of an account for one program each.

use pennypost_admin::Action;
use pennypost_directory::{Listed, TokenId, TokenScope};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::page_of;
use crate::rest::ask::{rows, time};
use crate::rest::operation::{Good, Method, Operation, shape};
use crate::rest::problem::{Kind, Refusal};
use crate::rest::reply::Reply;

/// A protocol that a token may open.
#[derive(Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
#[schemars(rename = "TokenProtocol")]
pub(crate) enum Protocol {
    /// IMAP.
    Imap,
    /// POP3.
    Pop3,
    /// SMTP: sending.
    Smtp,
}

/// A token, without its secret.
#[derive(Serialize, JsonSchema)]
pub(crate) struct Token {
    /// 16 hex digits.
    id: String,
    /// What its owner calls it.
    name: String,
    /// What it opens.
    scope: Vec<Protocol>,
    /// When it was made.
    created: String,
    /// From when on it is worth nothing.
    expires: Option<String>,
    /// The first use of the last day on which it was used; null: never.
    used: Option<TokenUse>,
    /// Of a business mailbox: the id of the user who made it, as long as whose use it opens the mailbox.
    user: Option<String>,
}

/// A use of a token.
#[derive(Serialize, JsonSchema)]
pub(crate) struct TokenUse {
    /// When.
    time: String,
    /// From where.
    address: String,
    /// `imap`, `pop3`, `smtp`, `web`, `api`.
    kind: &'static str,
}

page_of!(Tokens, Token);

/// A token that was made.
#[derive(Serialize, JsonSchema)]
pub(crate) struct MadeToken {
    /// Its description.
    #[serde(flatten)]
    description: Token,
    /// The token itself, which is never told again.
    token: String,
}

/// A token to be made.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewToken {
    /// What its owner calls it: 1 to 100 characters.
    name: String,
    /// What it is to open; everything, if nothing is said.
    scope: Option<Vec<Protocol>>,
    /// From when on it is to be worth nothing: RFC 3339, in UTC.
    expires: Option<String>,
}

pub(super) fn show(token: pennypost_directory::Token) -> Token {
    let TokenScope { imap, pop3, smtp } = token.scope;
    let scope = [(Protocol::Imap, imap), (Protocol::Pop3, pop3), (Protocol::Smtp, smtp)];
    Token {
        id: token.id.to_string(),
        name: token.name,
        scope: scope.into_iter().filter(|(_, opens)| *opens).map(|(protocol, _)| protocol).collect(),
        created: token.created.rfc3339(),
        expires: token.expires.map(|end| end.rfc3339()),
        used: token.used.map(|used| TokenUse {
            time: used.time.rfc3339(),
            address: used.client.to_string(),
            kind: used.kind.name(),
        }),
        user: token.user.map(|user| user.to_string()),
    }
}

/// What is told once of a token that was made.
pub(super) fn made(token: pennypost_directory::Token, text: String) -> MadeToken {
    MadeToken { description: show(token), token: text }
}

/// The token that a body wishes for.
pub(super) fn wished(new: NewToken) -> Result<pennypost_admin::NewToken, Refusal> {
    let NewToken { name, scope, expires } = new;
    let scope = scope.map_or(TokenScope::ALL, |scope| TokenScope {
        imap: scope.contains(&Protocol::Imap),
        pop3: scope.contains(&Protocol::Pop3),
        smtp: scope.contains(&Protocol::Smtp),
    });
    let expires = time(expires.as_ref(), "/expires")?;
    Ok(pennypost_admin::NewToken { name, scope, expires })
}

pub(super) const OPERATIONS: &[Operation] = &[
    Operation {
        name: "list-tokens",
        method: Method::Get,
        path: "/tenants/{tenant}/accounts/{account}/tokens",
        action: Some(Action::TokenRead),
        summary: "List all tokens of an account",
        query: &[],
        body: None,
        is_update: false,
        good: Good::list(shape::<Tokens>),
        problems: &[],
        handler: |ask| {
            Box::pin(async move {
                let items = ask.administration.tokens(&ask.call, ask.account()?).await?;
                Ok(Reply::document(&rows(Listed { items, next: None }, show)))
            })
        },
    },
    Operation {
        name: "add-token",
        method: Method::Post,
        path: "/tenants/{tenant}/accounts/{account}/tokens",
        action: Some(Action::TokenAdd),
        summary: "Make a token; it is told only once",
        query: &[],
        body: Some(shape::<NewToken>),
        is_update: false,
        good: Good::made(shape::<MadeToken>),
        problems: &[Kind::Invalid],
        handler: |ask| {
            Box::pin(async move {
                let new = wished(ask.body()?)?;
                let key = ask.account()?;
                let (token, text) = ask.administration.add_token(&ask.call, key, &new).await?;
                let (tenant, account) = (key.tenant, key.account);
                let location = format!("/api/v1/tenants/{tenant}/accounts/{account}/tokens/{}", token.id);
                Ok(Reply::made(&made(token, text), location))
            })
        },
    },
    Operation {
        name: "revoke-token",
        method: Method::Delete,
        path: "/tenants/{tenant}/accounts/{account}/tokens/{token}",
        action: Some(Action::TokenRevoke),
        summary: "Make a token worthless; sessions that stand on it end",
        query: &[],
        body: None,
        is_update: false,
        good: Good::NOTHING,
        problems: &[],
        handler: |ask| {
            Box::pin(async move {
                let id: TokenId = ask.id("token")?;
                ask.administration.revoke_token(&ask.call, ask.account()?, id).await?;
                Ok(Reply::nothing())
            })
        },
    },
];
