//! `pennypost notice …`: notices of new mail for other programs, and unread letters of members (INT-01).

use clap::{Args, Subcommand, ValueEnum};
use pennypost_admin::{
    Attempted, DepartmentId, NewSubscription, NoticeKind, NoticeState, SeenSubscription, SubscriptionChange,
    SubscriptionId, Whose,
};
use pennypost_directory::Tenant;
use serde_json::{Value, json};

use super::{OPERATOR, refused, tenant};
use crate::office::Office;
use crate::print::{Output, time};
use crate::text::Text;
use crate::{Failed, say};

/// Whose it is.
#[derive(Debug, Args)]
pub struct OfTenant {
    /// Name or id of the tenant; may be left out if there is only one
    #[arg(long)]
    tenant: Option<String>,
}

/// One subscription.
#[derive(Debug, Args)]
pub struct One {
    /// Its number, as `list` tells it
    id: SubscriptionId,
    #[command(flatten)]
    of: OfTenant,
}

/// Of what notices are wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Event {
    /// Each letter
    #[value(name = "mail.received")]
    Received,
    /// How many unread letters a member has, when letters have come
    #[value(name = "mailbox.unread")]
    Unread,
}

impl From<Event> for NoticeKind {
    fn from(event: Event) -> NoticeKind {
        match event {
            Event::Received => NoticeKind::Received,
            Event::Unread => NoticeKind::Unread,
        }
    }
}

/// Arguments of `notice add`.
#[derive(Debug, Args)]
pub struct AddArgs {
    /// What administrators call it
    name: String,
    /// Where notices go
    #[arg(long, value_name = "URL")]
    url: String,
    /// Of what, as often as needed
    #[arg(long = "event", value_name = "EVENT", required = true)]
    events: Vec<Event>,
    /// Tell who has sent a letter
    #[arg(long)]
    sender: bool,
    /// Tell its subject
    #[arg(long)]
    subject: bool,
    /// Only of the mail of this member, as often as needed
    #[arg(long, value_name = "ADDRESS")]
    account: Vec<String>,
    /// Only of the mail of those who are in this department or below it, by its number, as often as needed
    #[arg(long, value_name = "NUMBER")]
    department: Vec<u32>,
    #[command(flatten)]
    of: OfTenant,
}

/// Subcommands of `notice`.
#[derive(Debug, Subcommand)]
pub enum NoticeCommand {
    /// List the subscriptions
    #[command(after_help = "Example:\n  pennypost notice list --tenant acme")]
    List(OfTenant),
    /// Add a subscription; its secret is told once
    #[command(after_help = "Examples:
  pennypost notice add Portal --url https://portal.acme.example/hooks --event mail.received --sender
  pennypost notice add Badge --url https://oa.acme.example/unread --event mailbox.unread --account ann@acme.example")]
    Add(AddArgs),
    /// Show how telling goes
    #[command(after_help = "Example:\n  pennypost notice show 00c5a1b2d3e4f506")]
    Show(One),
    /// Tell nothing by it until it is turned on again
    #[command(after_help = "Example:\n  pennypost notice off 00c5a1b2d3e4f506")]
    Off(One),
    /// Turn it on again, and let it go on if it was paused
    #[command(after_help = "Example:\n  pennypost notice on 00c5a1b2d3e4f506")]
    On(One),
    /// Tell the receiver something that is nothing, at once
    #[command(after_help = "Example:\n  pennypost notice test 00c5a1b2d3e4f506")]
    Test(One),
    /// Remove a subscription
    #[command(after_help = "Example:\n  pennypost notice remove 00c5a1b2d3e4f506")]
    Remove(One),
    /// How many letters a member has not read
    #[command(after_help = "Example:\n  pennypost notice unread ann@acme.example")]
    Unread {
        /// The member's address
        address: String,
    },
}

/// Does what was asked.
pub async fn run(
    office: &Office,
    command: &NoticeCommand,
    text: &Text,
    output: &mut Output<'_>,
) -> Result<(), Failed> {
    let administration = office.administration();
    let told = |error| refused(error, text);
    match command {
        NoticeCommand::List(of) => {
            let tenant = whose(office, of, text).await?;
            let found = administration.subscriptions(&OPERATOR, tenant.id).await.map_err(told)?;
            let rows = found.iter().map(|one| row(one, text)).collect();
            let heads = vec![
                say!(text, "word-number"),
                say!(text, "word-name"),
                say!(text, "word-receiver"),
                say!(text, "word-events"),
                say!(text, "word-state"),
            ];
            Ok(output.table(heads, rows, &say!(text, "notices-none"))?)
        }
        NoticeCommand::Add(args) => {
            let tenant = whose(office, &args.of, text).await?;
            let mut named = Whose::default();
            for address in &args.account {
                named.accounts.insert(office.account(address, text).await?.key.account);
            }
            named.departments.extend(args.department.iter().map(|one| DepartmentId(*one)));
            let new = NewSubscription {
                name: args.name.clone(),
                url: args.url.clone(),
                kinds: args.events.iter().map(|event| (*event).into()).collect(),
                tells_sender: args.sender,
                tells_subject: args.subject,
                whose: named,
            };
            let added = administration.add_subscription(&OPERATOR, tenant.id, &new).await;
            let (added, secret) = added.map_err(told)?;
            let id = added.id.to_string();
            let mut document = document(&added);
            document["secret"] = secret.as_str().into();
            Ok(output.result(&say!(text, "notice-added", id = id, secret = secret), &document)?)
        }
        NoticeCommand::Show(one) => {
            let tenant = whose(office, &one.of, text).await?;
            let state = administration.subscription_state(&OPERATOR, tenant.id, one.id).await;
            let state = state.map_err(told)?;
            Ok(output.result(&sentence(&state, text), &shown(&state))?)
        }
        NoticeCommand::Off(one) | NoticeCommand::On(one) => {
            let on = matches!(command, NoticeCommand::On(_));
            let tenant = whose(office, &one.of, text).await?;
            let mut seen = administration.subscription(&OPERATOR, tenant.id, one.id).await.map_err(told)?;
            // One that is on and waits because of failures is told at once.
            if on && (seen.paused.is_some() || seen.on) {
                let resumed = administration.resume_subscription(&OPERATOR, tenant.id, one.id).await;
                seen = resumed.map_err(told)?;
            }
            if seen.on != on {
                let change = SubscriptionChange { wish: seen.wish.clone(), on };
                let changed = administration.change_subscription(&OPERATOR, tenant.id, &seen, &change).await;
                seen = changed.map_err(told)?;
            }
            let id = seen.id.to_string();
            let sentence =
                if on { say!(text, "notice-on", id = id) } else { say!(text, "notice-off", id = id) };
            Ok(output.result(&sentence, &document(&seen))?)
        }
        NoticeCommand::Test(one) => {
            let tenant = whose(office, &one.of, text).await?;
            let attempted = administration.test_subscription(&OPERATOR, tenant.id, one.id).await;
            let attempted = attempted.map_err(told)?;
            Ok(output.result(&outcome(&attempted, text), &attempt(&attempted))?)
        }
        NoticeCommand::Remove(one) => {
            let tenant = whose(office, &one.of, text).await?;
            administration.remove_subscription(&OPERATOR, tenant.id, one.id).await.map_err(told)?;
            let id = one.id.to_string();
            Ok(output.result(&say!(text, "notice-removed", id = id.as_str()), &json!({ "id": id }))?)
        }
        NoticeCommand::Unread { address } => {
            let key = office.account(address, text).await?.key;
            let unread = administration.unread(&OPERATOR, key).await.map_err(told)?;
            let mailboxes = unread
                .mailboxes
                .iter()
                .map(|one| json!({ "name": one.name, "messages": one.messages, "unread": one.unread }));
            let document = json!({ "unread": unread.inbox, "mailboxes": mailboxes.collect::<Vec<_>>() });
            let address = crate::print::clean(address);
            let sentence = say!(text, "notice-unread", address = address, count = unread.inbox.to_string());
            Ok(output.result(&sentence, &document)?)
        }
    }
}

async fn whose(office: &Office, of: &OfTenant, text: &Text) -> Result<Tenant, Failed> {
    tenant(office, of.tenant.as_deref(), text).await
}

fn outcome(attempted: &Attempted, text: &Text) -> String {
    match attempted {
        attempted if attempted.is_taken() => say!(text, "notice-taken"),
        Attempted::Answered(status) => say!(text, "notice-not-taken", status = *status),
        Attempted::Unreachable(cause) => say!(text, "notice-not-reached", cause = cause),
    }
}

fn attempt(attempted: &Attempted) -> Value {
    json!({ "taken": attempted.is_taken(), "status": attempted.status(), "cause": attempted.cause() })
}

fn sentence(state: &NoticeState, text: &Text) -> String {
    let taken = state.taken.to_string();
    let last = state.last.as_ref().map_or_else(String::new, |(_, attempted)| outcome(attempted, text));
    match state.failing_since {
        Some(since) => {
            let (since, next) = (time(since), time(state.next));
            say!(text, "notice-failing", taken = taken, since = since, next = next, last = last)
        }
        None => say!(text, "notice-going", taken = taken),
    }
}

fn shown(state: &NoticeState) -> Value {
    let last = state.last.as_ref().map(|(time, attempted)| {
        let mut last = attempt(attempted);
        last["time"] = time.rfc3339().into();
        last
    });
    json!({
        "taken": state.taken, "failing_since": state.failing_since.map(|since| since.rfc3339()),
        "next": state.failing_since.map(|_| state.next.rfc3339()), "last": last,
    })
}

fn row(seen: &SeenSubscription, text: &Text) -> (Vec<String>, Value) {
    let state = match seen.paused {
        _ if !seen.on => say!(text, "notice-state-off"),
        Some(pause) => say!(text, "notice-state-paused", cause = pause.cause.name()),
        None => say!(text, "notice-state-on"),
    };
    let events: Vec<&str> = seen.wish.kinds.iter().map(|kind| kind.name()).collect();
    let cells =
        vec![seen.id.to_string(), seen.wish.name.clone(), seen.wish.url.clone(), events.join(", "), state];
    (cells, document(seen))
}

fn document(seen: &SeenSubscription) -> Value {
    let SeenSubscription { id, wish, on, paused, created } = seen;
    let paused = paused.map(|pause| json!({ "since": pause.since.rfc3339(), "cause": pause.cause.name() }));
    json!({
        "id": id.to_string(),
        "name": wish.name,
        "url": wish.url,
        "events": wish.kinds.iter().map(|kind| kind.name()).collect::<Vec<_>>(),
        "sender": wish.tells_sender,
        "subject": wish.tells_subject,
        "accounts": wish.whose.accounts.iter().map(ToString::to_string).collect::<Vec<_>>(),
        "departments": wish.whose.departments.iter().map(|one| one.0).collect::<Vec<_>>(),
        "on": on,
        "paused": paused,
        "created": created.rfc3339(),
    })
}
