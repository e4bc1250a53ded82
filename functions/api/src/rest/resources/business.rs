//! Business mailboxes: made for functions, used by members.

use std::collections::BTreeSet;

use pennypost_admin::{Action, DepartmentId, NewBusinessMailbox};
use pennypost_directory::{Listed, MailboxUsers, TokenId};
use pennypost_model::AccountId;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::accounts::{Account, shown};
use super::page_of;
use super::tags::accounts_in;
use super::tokens::{MadeToken, NewToken, Tokens, made, show as show_token, wished};
use crate::rest::ask::rows;
use crate::rest::operation::{Good, Method, Operation, PAGE, shape};
use crate::rest::problem::{Kind, Refusal};
use crate::rest::reply::Reply;

/// Who uses a business mailbox: 500 accounts and departments together at most.
#[derive(Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Users {
    /// The ids of members' accounts.
    #[serde(default)]
    accounts: Vec<String>,
    /// The numbers of departments: everybody in and below them.
    #[serde(default)]
    departments: BTreeSet<u32>,
}

/// A business mailbox to be made.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewMailbox {
    /// In a domain of the tenant.
    address: String,
    /// Its name.
    #[serde(default)]
    name: String,
    /// Bytes of messages that it may hold; if nothing is said, what the plan gives, or 1 GB without one.
    quota_bytes: Option<u64>,
    /// Who uses it.
    #[serde(default)]
    users: Users,
}

/// A business mailbox that an account uses.
#[derive(Serialize, JsonSchema)]
pub(crate) struct UsedMailbox {
    /// 16 hex digits.
    id: String,
    /// Its address. In a mail program of the user it stands below `Other Users`, under this name.
    address: String,
    /// Its name; may be empty.
    name: String,
}

page_of!(UsedMailboxes, UsedMailbox);

fn show(users: &MailboxUsers) -> Users {
    Users {
        accounts: users.accounts.iter().map(ToString::to_string).collect(),
        departments: users.departments.iter().map(|id| id.0).collect(),
    }
}

fn read(users: &Users, pointer: &str) -> Result<MailboxUsers, Refusal> {
    Ok(MailboxUsers {
        accounts: accounts_in(&users.accounts, &format!("{pointer}/accounts"))?,
        departments: users.departments.iter().copied().map(DepartmentId).collect(),
    })
}

pub(super) const OPERATIONS: &[Operation] = &[
    Operation::new(
        (Method::Post, "/tenants/{tenant}/business-mailboxes", "add-business-mailbox"),
        Action::BusinessAdd,
        "Add a business mailbox with its users: no password opens it. If it is there and has no users, after a call that was \
         cut off, let them in",
        Good::made(shape::<Account>),
        |ask| {
            Box::pin(async move {
                let NewMailbox { address, name, quota_bytes, users } = ask.body()?;
                let users = read(&users, "/users")?;
                let (tenant, new) =
                    (ask.tenant()?, NewBusinessMailbox { address, name, quota_bytes, users });
                let mailbox = ask.administration.add_business_mailbox(&ask.call, tenant, &new).await?;
                let location = format!("/api/v1/tenants/{tenant}/accounts/{}", mailbox.key.account);
                Ok(Reply::made(&shown(ask, mailbox).await?, location))
            })
        },
    )
    .with(shape::<NewMailbox>)
    .refusing(&[Kind::Taken, Kind::Unknown, Kind::Invalid, Kind::PlanLimit]),
    Operation::new(
        (Method::Get, "/tenants/{tenant}/accounts/{account}/users", "read-mailbox-users"),
        Action::MailboxUsersRead,
        "Who uses a business mailbox",
        Good::one(shape::<Users>),
        |ask| {
            Box::pin(async move {
                let users = ask.administration.mailbox_users(&ask.call, ask.account()?).await?;
                Ok(Reply::tagged(&show(&users)))
            })
        },
    ),
    Operation::new(
        (Method::Put, "/tenants/{tenant}/accounts/{account}/users", "change-mailbox-users"),
        Action::MailboxUsersChange,
        "Replace the users of a business mailbox: who is not among them is out, of open sessions, too",
        Good::one(shape::<Users>),
        |ask| {
            Box::pin(async move {
                let (key, users) = (ask.account()?, read(&ask.body()?, "")?);
                let seen = ask.administration.mailbox_users(&ask.call, key).await?;
                ask.must_match(&show(&seen))?;
                let changing = ask.administration.change_mailbox_users(&ask.call, key, &seen, &users);
                Ok(Reply::tagged(&show(&changing.await?)))
            })
        },
    )
    .with(shape::<Users>)
    .update()
    .refusing(&[Kind::Unknown, Kind::Invalid]),
    Operation::new(
        (Method::Post, "/tenants/{tenant}/accounts/{account}/users", "add-mailbox-users"),
        Action::MailboxUsersChange,
        "Let more use a business mailbox, whoever else does",
        Good::told(shape::<Users>),
        |ask| {
            Box::pin(async move {
                let (key, more) = (ask.account()?, read(&ask.body()?, "")?);
                let users = ask.administration.add_mailbox_users(&ask.call, key, &more).await?;
                Ok(Reply::document(&show(&users)))
            })
        },
    )
    .with(shape::<Users>)
    .refusing(&[Kind::Unknown, Kind::Invalid]),
    Operation::new(
        (Method::Delete, "/tenants/{tenant}/accounts/{account}/users/{user}", "remove-mailbox-user"),
        Action::MailboxUsersChange,
        "Let an account use a business mailbox no more, from now on and in open sessions, too",
        Good::NOTHING,
        |ask| {
            Box::pin(async move {
                let (key, user) = (ask.account()?, ask.id::<AccountId>("user")?);
                let fewer =
                    MailboxUsers { accounts: BTreeSet::from([user]), departments: BTreeSet::new() };
                ask.administration.remove_mailbox_users(&ask.call, key, &fewer).await?;
                Ok(Reply::nothing())
            })
        },
    ),
    Operation::new(
        (
            Method::Delete,
            "/tenants/{tenant}/accounts/{account}/users/departments/{department}",
            "remove-mailbox-department",
        ),
        Action::MailboxUsersChange,
        "Let a department use a business mailbox no more, with all below it that is not named by itself",
        Good::NOTHING,
        |ask| {
            Box::pin(async move {
                let (key, department) = (ask.account()?, DepartmentId(ask.number("department")?));
                let departments = BTreeSet::from([department]);
                let fewer = MailboxUsers { accounts: BTreeSet::new(), departments };
                ask.administration.remove_mailbox_users(&ask.call, key, &fewer).await?;
                Ok(Reply::nothing())
            })
        },
    ),
    Operation::new(
        (Method::Get, "/tenants/{tenant}/accounts/{account}/business-mailboxes", "list-business-mailboxes"),
        Action::BusinessRead,
        "List the business mailboxes that an account uses and that are open",
        Good::list(shape::<UsedMailboxes>),
        |ask| {
            Box::pin(async move {
                let (account, page) = (ask.account()?, ask.page()?);
                let listed = ask.administration.business_mailboxes(&ask.call, account, &page).await?;
                Ok(Reply::document(&rows(listed, |mailbox| UsedMailbox {
                    id: mailbox.key.account.to_string(),
                    address: mailbox.address.to_string(),
                    name: mailbox.display_name,
                })))
            })
        },
    )
    .asking(PAGE),
    Operation::new(
        (
            Method::Get,
            "/tenants/{tenant}/accounts/{account}/business-mailboxes/{mailbox}/tokens",
            "list-business-tokens",
        ),
        Action::BusinessTokenRead,
        "List the tokens that an account has made for a business mailbox that it uses",
        Good::list(shape::<Tokens>),
        |ask| {
            Box::pin(async move {
                let (user, mailbox) = (ask.account()?, ask.id("mailbox")?);
                let items = ask.administration.business_tokens(&ask.call, user, mailbox).await?;
                Ok(Reply::document(&rows(Listed { items, next: None }, show_token)))
            })
        },
    ),
    Operation::new(
        (
            Method::Post,
            "/tenants/{tenant}/accounts/{account}/business-mailboxes/{mailbox}/tokens",
            "add-business-token",
        ),
        Action::BusinessTokenAdd,
        "Make a token with which one's mail program opens a business mailbox that one uses; it is told only once, 10 for \
         each user",
        Good::made(shape::<MadeToken>),
        |ask| {
            Box::pin(async move {
                let new = wished(ask.body()?)?;
                let (user, mailbox) = (ask.account()?, ask.id("mailbox")?);
                let (token, text) =
                    ask.administration.add_business_token(&ask.call, user, mailbox, &new).await?;
                let place = format!("accounts/{}/business-mailboxes/{mailbox}", user.account);
                let location = format!("/api/v1/tenants/{}/{place}/tokens/{}", user.tenant, token.id);
                Ok(Reply::made(&made(token, text), location))
            })
        },
    )
    .with(shape::<NewToken>)
    .refusing(&[Kind::Invalid]),
    Operation::new(
        (
            Method::Delete,
            "/tenants/{tenant}/accounts/{account}/business-mailboxes/{mailbox}/tokens/{token}",
            "revoke-business-token",
        ),
        Action::BusinessTokenRevoke,
        "Make a token worthless that an account has made for a business mailbox; sessions that stand on it end",
        Good::NOTHING,
        |ask| {
            Box::pin(async move {
                let (user, mailbox) = (ask.account()?, ask.id("mailbox")?);
                let id: TokenId = ask.id("token")?;
                ask.administration.revoke_business_token(&ask.call, user, mailbox, id).await?;
                Ok(Reply::nothing())
            })
        },
    ),
];
