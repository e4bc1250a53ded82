//! Keys for programs: a tenant's, and those of operators.

use pennypost_admin::{Action, Book, Holder, KeyId};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::page_of;
use crate::rest::ask::{Ask, id_in, permissions, rows, time};
use crate::rest::operation::{Answering, Good, Method, Operation, PAGE, shape};
use crate::rest::problem::Kind;
use crate::rest::reply::Reply;

/// A key, without its secret.
#[derive(Serialize, JsonSchema)]
pub(crate) struct Key {
    /// 16 hex digits.
    id: String,
    /// What it is called.
    name: String,
    /// The id of the account as which it acts; null: as nobody.
    account: Option<String>,
    /// What it is for. One that acts as an account may do what the account may, of that.
    permissions: Vec<String>,
    /// When it was made.
    created: String,
    /// From when on it is worth nothing.
    expires: Option<String>,
    /// The hour of its last use.
    used: Option<String>,
}

page_of!(Keys, Key);

/// A key that was made.
#[derive(Serialize, JsonSchema)]
pub(crate) struct MadeKey {
    /// Its description.
    #[serde(flatten)]
    description: Key,
    /// The key itself, which is never told again.
    key: String,
}

/// A key to be made.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewKey {
    /// What it is to be called: 1 to 100 characters.
    name: String,
    /// The id of the account as which it is to act.
    account: Option<String>,
    /// What it is to be for: none that whoever makes the key has not himself.
    permissions: Vec<String>,
    /// From when on it is to be worth nothing: RFC 3339, in UTC.
    expires: Option<String>,
}

fn show(key: pennypost_admin::ApiKey) -> Key {
    let account = match key.holder {
        Holder::Program => None,
        Holder::Account(account) => Some(account.to_string()),
    };
    Key {
        id: key.id.to_string(),
        name: key.name,
        account,
        permissions: key.permissions.iter().map(|one| one.to_string()).collect(),
        created: key.created.rfc3339(),
        expires: key.expires.map(|end| end.rfc3339()),
        used: key.used.map(|hour| hour.rfc3339()),
    }
}

fn book(ask: &Ask) -> Result<Book, crate::rest::problem::Refusal> {
    // In the path of an operator's keys stands no tenant.
    if ask.word("tenant").is_empty() { Ok(None) } else { ask.tenant().map(Some) }
}

fn list(ask: &Ask) -> Answering<'_> {
    Box::pin(async move {
        let listed = ask.administration.keys(&ask.call, book(ask)?, &ask.page()?).await?;
        Ok(Reply::document(&rows(listed, show)))
    })
}

fn add(ask: &Ask) -> Answering<'_> {
    Box::pin(async move {
        let new: NewKey = ask.body()?;
        let book = book(ask)?;
        let holder = match &new.account {
            None => Holder::Program,
            Some(account) => Holder::Account(id_in(account, "/account")?),
        };
        let permissions = permissions(&new.permissions, "/permissions")?;
        let expires = time(new.expires.as_ref(), "/expires")?;
        let new = pennypost_admin::NewKey { name: new.name, holder, permissions, expires };
        let (key, text) = ask.administration.add_key(&ask.call, book, new).await?;
        let place = book.map_or_else(String::new, |tenant| format!("/tenants/{tenant}"));
        let location = format!("/api/v1{place}/keys/{}", key.id);
        Ok(Reply::made(&MadeKey { description: show(key), key: text }, location))
    })
}

fn read(ask: &Ask) -> Answering<'_> {
    Box::pin(async move {
        let id: KeyId = ask.id("key")?;
        Ok(Reply::tagged(&show(ask.administration.key(&ask.call, book(ask)?, id).await?)))
    })
}

fn revoke(ask: &Ask) -> Answering<'_> {
    Box::pin(async move {
        let id: KeyId = ask.id("key")?;
        ask.administration.revoke_key(&ask.call, book(ask)?, id).await?;
        Ok(Reply::nothing())
    })
}

/// The four operations of a place where keys lie.
macro_rules! keys_at {
    ($path:literal, $list:literal, $add:literal, $read:literal, $revoke:literal,
     $may_read:ident, $may_add:ident, $may_revoke:ident, $whose:literal) => {
        [
            Operation {
                name: $list,
                method: Method::Get,
                path: $path,
                action: Some(Action::$may_read),
                summary: concat!("List keys of ", $whose),
                query: PAGE,
                body: None,
                is_update: false,
                good: Good::list(shape::<Keys>),
                problems: &[],
                handler: list,
            },
            Operation {
                name: $add,
                method: Method::Post,
                path: $path,
                action: Some(Action::$may_add),
                summary: concat!("Make a key of ", $whose, "; it is told only once"),
                query: &[],
                body: Some(shape::<NewKey>),
                is_update: false,
                good: Good::made(shape::<MadeKey>),
                problems: &[Kind::Unknown, Kind::Invalid, Kind::Changed, Kind::PlanLimit],
                handler: add,
            },
            Operation {
                name: $read,
                method: Method::Get,
                path: concat!($path, "/{key}"),
                action: Some(Action::$may_read),
                summary: concat!("A key of ", $whose),
                query: &[],
                body: None,
                is_update: false,
                good: Good::one(shape::<Key>),
                problems: &[],
                handler: read,
            },
            Operation {
                name: $revoke,
                method: Method::Delete,
                path: concat!($path, "/{key}"),
                action: Some(Action::$may_revoke),
                summary: concat!("Make a key of ", $whose, " worthless, from the next call on"),
                query: &[],
                body: None,
                is_update: false,
                good: Good::NOTHING,
                problems: &[],
                handler: revoke,
            },
        ]
    };
}

pub(super) const OF_TENANTS: &[Operation] = &keys_at!(
    "/tenants/{tenant}/keys",
    "list-keys",
    "add-key",
    "read-key",
    "revoke-key",
    KeyRead,
    KeyAdd,
    KeyRevoke,
    "a tenant"
);
pub(super) const OF_OPERATORS: &[Operation] = &keys_at!(
    "/keys",
    "list-operator-keys",
    "add-operator-key",
    "read-operator-key",
    "revoke-operator-key",
    OperatorKeyRead,
    OperatorKeyAdd,
    OperatorKeyRevoke,
    "operators"
);
