//! `mailbox`: the mailboxes of an account, or the newest messages of one of them. Reads only.

use std::sync::Arc;

use clap::Args;
use pennypost_fold::{Mailbox, Row, State};
use pennypost_model::message::{Card, Contact};
use pennypost_model::{FlagSet, MailboxRole, Rid, SystemFlags, Uid};
use pennypost_ports::Consistency;
use serde_json::{Value, json};

use crate::office::Office;
use crate::print::{self, Output, clean, fitting};
use crate::text::Text;
use crate::{Failed, say};

/// What `mailbox` takes.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  pennypost mailbox ann@acme.example
  pennypost mailbox ann@acme.example INBOX --limit 10
  pennypost mailbox ann@acme.example INBOX --before 4711    the messages in front of those")]
pub struct MailboxArgs {
    /// Whose mailboxes.
    address: String,
    /// The mailbox whose messages are listed, newest first; without it the mailboxes are listed.
    name: Option<String>,
    /// So many messages at most.
    #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..=1_000))]
    limit: u32,
    /// Only messages with a UID below this one.
    #[arg(long, value_name = "UID")]
    before: Option<u32>,
}

/// Lists mailboxes or messages.
///
/// # Errors
/// [`Failed`]; when there is no such account or mailbox, too.
pub async fn run(office: &Office, args: &MailboxArgs, json: bool, text: &Text) -> Result<(), Failed> {
    list(office, args, text, &mut Output::new(&mut std::io::stdout().lock(), json)).await
}

async fn list(
    office: &Office,
    args: &MailboxArgs,
    text: &Text,
    output: &mut Output<'_>,
) -> Result<(), Failed> {
    let account = office.account(&args.address, text).await?;
    let state = office.store.load(account.key, Consistency::Strong).await?;
    let Some(name) = &args.name else { return mailboxes(&state, text, output) };
    let mailbox = state.mailbox_named(name);
    let mailbox = mailbox.ok_or_else(|| Failed::Said(missing(&args.address, name, text)))?;
    let before = args.before.map_or(usize::MAX, |uid| mailbox.rows.position_of(Uid(uid)));
    let first = mailbox.rows.len().min(before).saturating_sub(args.limit as usize);
    let wanted = mailbox.rows.len().min(before) - first;
    let mut rows: Vec<Row> = mailbox.rows.from_position(first).take(wanted).copied().collect();
    rows.reverse();
    let origins: Vec<Rid> = rows.iter().map(|row| row.origin).collect();
    let cards = office.store.cards(account.key, &origins).await?;
    let card = |row: &Row| cards.get(&row.origin).cloned().unwrap_or_default();
    let listed = rows.iter().map(|row| message(&state, row, &card(row))).collect();
    let heads = vec![
        "UID".to_owned(),
        say!(text, "word-date"),
        say!(text, "word-from"),
        say!(text, "word-subject"),
        say!(text, "word-size"),
        say!(text, "word-flags"),
    ];
    Ok(output.table(heads, listed, &say!(text, "mailbox-empty", name = clean(&mailbox.name)))?)
}

/// That there is no such mailbox.
pub(crate) fn missing(address: &str, name: &str, text: &Text) -> String {
    say!(text, "mailbox-missing", address = address, name = clean(name))
}

/// Its mailboxes as people look for them: the Inbox first, then by name.
pub(crate) fn sorted(state: &State) -> Vec<Arc<Mailbox>> {
    let mut mailboxes: Vec<Arc<Mailbox>> = state.mailboxes().cloned().collect();
    mailboxes.sort_by(|a, b| {
        let key = |mailbox: &Mailbox| mailbox.role != Some(MailboxRole::Inbox);
        (key(a), &a.name).cmp(&(key(b), &b.name))
    });
    mailboxes
}

fn mailboxes(state: &State, text: &Text, output: &mut Output<'_>) -> Result<(), Failed> {
    let row = |mailbox: &Arc<Mailbox>| {
        let role = mailbox.role.map(role_name);
        let cells = vec![
            clean(&mailbox.name),
            role.unwrap_or_default().to_owned(),
            mailbox.rows.len().to_string(),
            mailbox.counts.unseen.to_string(),
            print::size(mailbox.counts.bytes),
            mailbox.uid_validity.to_string(),
            mailbox.uid_next().to_string(),
        ];
        let document = json!({
            "name": mailbox.name,
            "role": role,
            "messages": mailbox.rows.len(),
            "unseen": mailbox.counts.unseen,
            "size": mailbox.counts.bytes,
            "uidvalidity": mailbox.uid_validity,
            "uidnext": mailbox.uid_next(),
        });
        (cells, document)
    };
    let heads = vec![
        say!(text, "word-name"),
        say!(text, "word-role"),
        say!(text, "word-messages"),
        say!(text, "word-unseen"),
        say!(text, "word-size"),
        "UIDVALIDITY".to_owned(),
        "UIDNEXT".to_owned(),
    ];
    let rows = sorted(state).iter().map(row).collect();
    Ok(output.table(heads, rows, &say!(text, "mailboxes-none"))?)
}

/// The name of a use, as in RFC 6154.
fn role_name(role: MailboxRole) -> &'static str {
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

/// Names of flags, the system's first.
pub(crate) fn flag_names(flags: &FlagSet) -> Vec<&str> {
    let system = SystemFlags::NAMED.iter().filter(|(flag, _)| flags.system.contains(*flag));
    system.map(|(_, name)| *name).chain(flags.keywords.iter().map(|keyword| keyword.as_str())).collect()
}

fn message(state: &State, row: &Row, card: &Card) -> (Vec<String>, Value) {
    let flags = state.flags(row.flags);
    let flags = flag_names(&flags);
    let date = row.sent.map_or(row.internal_date, pennypost_fold::Seconds::timestamp);
    let from = if card.from.name.is_empty() { &card.from.address } else { &card.from.name };
    let cells = vec![
        row.uid.to_string(),
        print::time(date).chars().take(16).collect(),
        fitting(from, 30),
        fitting(&card.subject, 60),
        print::size(row.size),
        flags.join(" "),
    ];
    let contact = |contact: &Contact| json!({ "name": contact.name, "address": contact.address });
    let document = json!({
        "uid": row.uid,
        "rid": row.rid,
        "date": row.internal_date.rfc3339(),
        "sent": row.sent.map(|sent| sent.timestamp().rfc3339()),
        "from": contact(&card.from),
        "to": card.to.iter().map(contact).collect::<Vec<_>>(),
        "subject": card.subject,
        "preview": card.preview,
        "attachments": card.attachment_count,
        "size": row.size,
        "flags": flags,
    });
    (cells, document)
}

#[cfg(test)]
mod tests;
