//! Notices of new mail for other programs (INT-01): subscriptions, how telling goes, and how many unread letters a member has.

use std::collections::BTreeSet;

use pennypost_admin::{
    Action, Attempted, DepartmentId, NewSubscription, NoticeKind, NoticeState, SeenSubscription,
    SubscriptionChange, SubscriptionId, Whose,
};
use pennypost_directory::Listed;
use pennypost_model::{AccountId, MailboxRole};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::page_of;
use crate::rest::ask::{Ask, id_in, rows};
use crate::rest::operation::{Good, Method, Operation, shape};
use crate::rest::problem::{Kind, Refusal};
use crate::rest::reply::Reply;

/// A subscription to notices of new mail.
#[derive(Serialize, JsonSchema)]
pub(crate) struct Subscription {
    /// 16 hex digits.
    id: String,
    /// What administrators call it.
    name: String,
    /// Where notices go.
    url: String,
    /// `mail.received`: one for each letter; `mailbox.unread`: how many unread letters a member has, when letters have come.
    events: Vec<&'static str>,
    /// Notices tell who has sent a letter.
    sender: bool,
    /// Notices tell its subject.
    subject: bool,
    /// Of whose mail, beside those in the departments; where neither names anybody, of everybody's.
    accounts: Vec<String>,
    /// Of the mail of those who are in these departments or below them.
    departments: Vec<u32>,
    /// Anything is told at all.
    on: bool,
    /// Nothing is told any more, until somebody says that it goes on.
    paused: Option<Paused>,
    /// Since when it is there.
    created: String,
}

/// Since when nothing is told any more, and why.
#[derive(Serialize, JsonSchema)]
struct Paused {
    since: String,
    /// `failing`: the receiver has taken nothing for 24 hours; `gone`: it has said that it is gone for good (410).
    cause: &'static str,
}

page_of!(Subscriptions, Subscription);

/// Of what notices are wanted.
#[derive(Clone, Copy, Deserialize, JsonSchema)]
enum Event {
    /// Of each letter.
    #[serde(rename = "mail.received")]
    Received,
    /// Of how many unread letters a member has, when letters have come.
    #[serde(rename = "mailbox.unread")]
    Unread,
}

/// A subscription to be added.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct SubscriptionWish {
    /// What administrators call it: 1 to 100 characters.
    name: String,
    /// `https://HOST`, with a port, a path and a query or without. The host has to be on a network that the world reaches,
    /// unless the operator has named it.
    url: String,
    /// At least one.
    events: Vec<Event>,
    /// Tell who has sent a letter.
    #[serde(default)]
    sender: bool,
    /// Tell its subject.
    #[serde(default)]
    subject: bool,
    /// Only of these accounts' mail, by their ids, and of those in the departments. 100 of both at most.
    #[serde(default)]
    accounts: Vec<String>,
    /// Only of the mail of those who are in these departments or below them, and of the accounts'.
    #[serde(default)]
    departments: Vec<u32>,
}

/// What a subscription is to be from now on.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct SubscriptionUpdate {
    /// What administrators call it: 1 to 100 characters.
    name: String,
    /// `https://HOST`, with a port, a path and a query or without.
    url: String,
    /// At least one.
    events: Vec<Event>,
    /// Tell who has sent a letter.
    sender: bool,
    /// Tell its subject.
    subject: bool,
    /// Only of these accounts' mail, by their ids, and of those in the departments. 100 of both at most.
    accounts: Vec<String>,
    /// Only of the mail of those who are in these departments or below them, and of the accounts'.
    departments: Vec<u32>,
    /// Tell anything at all.
    on: bool,
}

/// A subscription that was added.
#[derive(Serialize, JsonSchema)]
pub(crate) struct NewlySubscribed {
    subscription: Subscription,
    /// What notices are signed with. It is told this once.
    secret: String,
}

/// How telling goes.
#[derive(Serialize, JsonSchema)]
pub(crate) struct SubscriptionState {
    /// How many notices the receiver has taken.
    taken: u64,
    /// Since when it has taken nothing.
    failing_since: Option<String>,
    /// When it is tried again.
    next: Option<String>,
    /// What came of telling last.
    last: Option<Told>,
}

/// What came of telling.
#[derive(Serialize, JsonSchema)]
pub(crate) struct Told {
    /// When; null: just now.
    time: Option<String>,
    /// The receiver has taken it.
    taken: bool,
    /// The status with which it has answered.
    status: Option<u16>,
    /// Why there was none.
    cause: Option<String>,
}

/// How many letters a member has not read.
#[derive(Serialize, JsonSchema)]
pub(crate) struct UnreadCounts {
    /// In the inbox.
    unread: u64,
    /// In each mailbox.
    mailboxes: Vec<MailboxCounts>,
}

/// What a mailbox holds.
#[derive(Serialize, JsonSchema)]
struct MailboxCounts {
    /// Its full name, with `/` between levels.
    name: String,
    /// What it is for: `inbox`, `junk`, `trash`, `sent`, `drafts`, `archive` or `transfer`; null: the member's affair.
    role: Option<&'static str>,
    /// Letters.
    messages: u64,
    /// Of these, such as are not read.
    unread: u64,
}

const fn role(role: MailboxRole) -> &'static str {
    match role {
        MailboxRole::Inbox => "inbox",
        MailboxRole::Junk => "junk",
        MailboxRole::Trash => "trash",
        MailboxRole::Sent => "sent",
        MailboxRole::Drafts => "drafts",
        MailboxRole::Archive => "archive",
        MailboxRole::Transfer => "transfer",
    }
}

fn show(seen: SeenSubscription) -> Subscription {
    let SeenSubscription { id, wish, on, paused, created } = seen;
    let paused = paused.map(|pause| Paused { since: pause.since.rfc3339(), cause: pause.cause.name() });
    Subscription {
        id: id.to_string(),
        name: wish.name,
        url: wish.url,
        events: wish.kinds.iter().map(|kind| kind.name()).collect(),
        sender: wish.tells_sender,
        subject: wish.tells_subject,
        accounts: wish.whose.accounts.iter().map(ToString::to_string).collect(),
        departments: wish.whose.departments.iter().map(|one| one.0).collect(),
        on,
        paused,
        created: created.rfc3339(),
    }
}

fn told(time: Option<String>, attempted: &Attempted) -> Told {
    let (status, cause) = (attempted.status(), attempted.cause().map(str::to_owned));
    Told { time, taken: attempted.is_taken(), status, cause }
}

fn show_state(state: NoticeState) -> SubscriptionState {
    let failing_since = state.failing_since.map(|since| since.rfc3339());
    let next = state.failing_since.map(|_| state.next.rfc3339());
    let last = state.last.map(|(time, attempted)| told(Some(time.rfc3339()), &attempted));
    SubscriptionState { taken: state.taken, failing_since, next, last }
}

fn kinds(events: &[Event]) -> BTreeSet<NoticeKind> {
    let kind = |event: &Event| match event {
        Event::Received => NoticeKind::Received,
        Event::Unread => NoticeKind::Unread,
    };
    events.iter().map(kind).collect()
}

fn whose(accounts: &[String], departments: &[u32]) -> Result<Whose, Refusal> {
    let mut named = BTreeSet::new();
    for (index, account) in accounts.iter().enumerate() {
        named.insert(id_in::<AccountId>(account, &format!("/accounts/{index}"))?);
    }
    let departments = departments.iter().map(|one| DepartmentId(*one)).collect();
    Ok(Whose { accounts: named, departments })
}

fn id(ask: &Ask) -> Result<SubscriptionId, Refusal> {
    ask.id("subscription")
}

const LIST: &str = "/tenants/{tenant}/subscriptions";
const ONE: &str = "/tenants/{tenant}/subscriptions/{subscription}";

pub(super) const OPERATIONS: &[Operation] = &[
    Operation::new(
        (Method::Get, LIST, "list-subscriptions"),
        Action::SubscriptionRead,
        "List the subscriptions to notices of new mail",
        Good::list(shape::<Subscriptions>),
        |ask| {
            Box::pin(async move {
                let items = ask.administration.subscriptions(&ask.call, ask.tenant()?).await?;
                Ok(Reply::document(&rows(Listed { items, next: None }, show)))
            })
        },
    ),
    Operation::new(
        (Method::Get, ONE, "read-subscription"),
        Action::SubscriptionRead,
        "Look at a subscription",
        Good::one(shape::<Subscription>),
        |ask| {
            Box::pin(async move {
                let found = ask.administration.subscription(&ask.call, ask.tenant()?, id(ask)?).await?;
                Ok(Reply::tagged(&show(found)))
            })
        },
    ),
    Operation::new(
        (Method::Get, "/tenants/{tenant}/subscriptions/{subscription}/state", "read-subscription-state"),
        Action::SubscriptionRead,
        "Look at how telling goes",
        Good::told(shape::<SubscriptionState>),
        |ask| {
            Box::pin(async move {
                let state = ask.administration.subscription_state(&ask.call, ask.tenant()?, id(ask)?).await?;
                Ok(Reply::document(&show_state(state)))
            })
        },
    ),
    Operation::new(
        (Method::Post, LIST, "add-subscription"),
        Action::SubscriptionChange,
        "Add a subscription to notices of new mail, 10 at most; its secret is told once",
        Good::made(shape::<NewlySubscribed>),
        |ask| {
            Box::pin(async move {
                let wish: SubscriptionWish = ask.body()?;
                let new = NewSubscription {
                    name: wish.name,
                    url: wish.url,
                    kinds: kinds(&wish.events),
                    tells_sender: wish.sender,
                    tells_subject: wish.subject,
                    whose: whose(&wish.accounts, &wish.departments)?,
                };
                let tenant = ask.tenant()?;
                let (added, secret) = ask.administration.add_subscription(&ask.call, tenant, &new).await?;
                let location = format!("/api/v1/tenants/{tenant}/subscriptions/{}", added.id);
                Ok(Reply::made(&NewlySubscribed { subscription: show(added), secret }, location))
            })
        },
    )
    .with(shape::<SubscriptionWish>)
    .refusing(&[Kind::Invalid, Kind::Unknown, Kind::PlanLimit]),
    Operation::new(
        (Method::Put, ONE, "change-subscription"),
        Action::SubscriptionChange,
        "Change a subscription",
        Good::one(shape::<Subscription>),
        |ask| {
            Box::pin(async move {
                let update: SubscriptionUpdate = ask.body()?;
                let (tenant, id) = (ask.tenant()?, id(ask)?);
                let seen = ask.administration.subscription(&ask.call, tenant, id).await?;
                ask.must_match(&show(seen.clone()))?;
                let wish = NewSubscription {
                    name: update.name,
                    url: update.url,
                    kinds: kinds(&update.events),
                    tells_sender: update.sender,
                    tells_subject: update.subject,
                    whose: whose(&update.accounts, &update.departments)?,
                };
                let change = SubscriptionChange { wish, on: update.on };
                let changed = ask.administration.change_subscription(&ask.call, tenant, &seen, &change);
                Ok(Reply::tagged(&show(changed.await?)))
            })
        },
    )
    .with(shape::<SubscriptionUpdate>)
    .update()
    .refusing(&[Kind::Invalid, Kind::Unknown]),
    Operation::new(
        (Method::Post, "/tenants/{tenant}/subscriptions/{subscription}/resume", "resume-subscription"),
        Action::SubscriptionChange,
        "Let a subscription go on that was paused; what would have been told meanwhile is not told any more",
        Good::told(shape::<Subscription>),
        |ask| {
            Box::pin(async move {
                let resumed = ask.administration.resume_subscription(&ask.call, ask.tenant()?, id(ask)?);
                Ok(Reply::document(&show(resumed.await?)))
            })
        },
    ),
    Operation::new(
        (Method::Post, "/tenants/{tenant}/subscriptions/{subscription}/test", "test-subscription"),
        Action::SubscriptionChange,
        "Tell the receiver something that is nothing, at once: what came of it",
        Good::told(shape::<Told>),
        |ask| {
            Box::pin(async move {
                let attempted = ask.administration.test_subscription(&ask.call, ask.tenant()?, id(ask)?);
                Ok(Reply::document(&told(None, &attempted.await?)))
            })
        },
    ),
    Operation::new(
        (Method::Delete, ONE, "remove-subscription"),
        Action::SubscriptionChange,
        "Remove a subscription; what waits for its receiver is not told any more",
        Good::NOTHING,
        |ask| {
            Box::pin(async move {
                ask.administration.remove_subscription(&ask.call, ask.tenant()?, id(ask)?).await?;
                Ok(Reply::nothing())
            })
        },
    ),
    Operation::new(
        (Method::Get, "/tenants/{tenant}/accounts/{account}/unread", "read-unread"),
        Action::UnreadRead,
        "How many letters a member has not read",
        Good::told(shape::<UnreadCounts>),
        |ask| {
            Box::pin(async move {
                let unread = ask.administration.unread(&ask.call, ask.account()?).await?;
                let mailboxes = unread.mailboxes.into_iter().map(|one| MailboxCounts {
                    role: one.role.map(role),
                    name: one.name,
                    messages: one.messages,
                    unread: one.unread,
                });
                Ok(Reply::document(&UnreadCounts { unread: unread.inbox, mailboxes: mailboxes.collect() }))
            })
        },
    ),
];
