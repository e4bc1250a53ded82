//! `pennypost quarantine …`: letters that scanners speak against (RCV-11).

use clap::Subcommand;
use pennypost_admin::{HeldLetter, HeldState};
use pennypost_directory::Page;
use pennypost_model::{EventId, TenantId};
use serde_json::{Value, json};

use super::{OPERATOR, refused, tenant};
use crate::office::Office;
use crate::print::{Output, time};
use crate::text::Text;
use crate::{Failed, say};

/// Letters of a page.
const PAGE: usize = 500;

/// Subcommands of `quarantine`.
#[derive(Debug, Subcommand)]
pub enum QuarantineCommand {
    /// List what lies there: of an account, or of the whole tenant
    #[command(after_help = "Examples:
  pennypost quarantine list --tenant acme
  pennypost quarantine list ann@example.com")]
    List {
        /// The address of an account
        address: Option<String>,
        /// Name or id of the tenant; may be left out if there is only one, or an account is named
        #[arg(long)]
        tenant: Option<String>,
    },
    /// Look at a letter: why it is there, and its header
    #[command(after_help = "Example:\n  pennypost quarantine show ann@example.com 01KAEV3Q8WJ7R9T2N5X4M6C0BD")]
    Show {
        /// The address of the account from which it is kept
        address: String,
        /// The id of the letter
        letter: EventId,
    },
    /// Release a letter: it comes into the mailbox, whatever scanners say
    #[command(after_help = "Example:\n  pennypost quarantine release ann@example.com 01KAEV3Q8WJ7R9T2N5X4M6C0BD")]
    Release {
        /// The address of the account from which it is kept
        address: String,
        /// The id of the letter
        letter: EventId,
    },
    /// Delete a letter from quarantine
    #[command(after_help = "Example:\n  pennypost quarantine delete ann@example.com 01KAEV3Q8WJ7R9T2N5X4M6C0BD")]
    Delete {
        /// The address of the account from which it is kept
        address: String,
        /// The id of the letter
        letter: EventId,
    },
}

/// Does what was asked.
pub async fn run(
    office: &Office,
    command: &QuarantineCommand,
    text: &Text,
    output: &mut Output<'_>,
) -> Result<(), Failed> {
    let administration = office.administration();
    let told = |error| refused(error, text);
    match command {
        QuarantineCommand::List { address: None, tenant: name } => {
            let tenant = tenant(office, name.as_deref(), text).await?.id;
            let letters = all(office, tenant, text).await?;
            list(&letters, text, output)
        }
        QuarantineCommand::List { address: Some(address), .. } => {
            let key = office.account(address, text).await?.key;
            let (mut letters, mut page) = (Vec::new(), Page { after: None, limit: PAGE });
            loop {
                let found = administration.account_quarantine(&OPERATOR, key, &page).await.map_err(told)?;
                letters.extend(found.items);
                page.after = found.next;
                if page.after.is_none() {
                    return list(&letters, text, output);
                }
            }
        }
        QuarantineCommand::Show { address, letter } => {
            let key = office.account(address, text).await?.key;
            let seen = administration.quarantined_letter(&OPERATOR, key, *letter).await.map_err(told)?;
            let mut document = document(&seen.held);
            document["header"] = json!(seen.header);
            let sentence = format!("{}\n\n{}", sentence(&seen.held, text), seen.header.trim_end());
            Ok(output.result(&sentence, &document)?)
        }
        QuarantineCommand::Release { address, letter } => {
            let key = office.account(address, text).await?.key;
            let held = administration.release_quarantined(&OPERATOR, key, *letter).await.map_err(told)?;
            Ok(output.result(&say!(text, "quarantine-released", address = address), &document(&held))?)
        }
        QuarantineCommand::Delete { address, letter } => {
            let key = office.account(address, text).await?.key;
            administration.delete_quarantined(&OPERATOR, key, *letter).await.map_err(told)?;
            let document = json!({ "letter": letter.to_string(), "address": address });
            Ok(output.result(&say!(text, "quarantine-deleted", address = address), &document)?)
        }
    }
}

async fn all(office: &Office, tenant: TenantId, text: &Text) -> Result<Vec<HeldLetter>, Failed> {
    let administration = office.administration();
    let (mut letters, mut page) = (Vec::new(), Page { after: None, limit: PAGE });
    loop {
        let found = administration.quarantined(&OPERATOR, tenant, &page).await;
        let found = found.map_err(|error| refused(error, text))?;
        letters.extend(found.items);
        page.after = found.next;
        if page.after.is_none() {
            return Ok(letters);
        }
    }
}

fn list(letters: &[HeldLetter], text: &Text, output: &mut Output<'_>) -> Result<(), Failed> {
    let rows = letters.iter().map(|held| {
        let row = vec![
            held.letter.to_string(),
            held.address.clone(),
            state(held, text),
            plain(&held.from.address),
            plain(&held.subject),
        ];
        (row, document(held))
    });
    let heads = vec![
        say!(text, "quarantine-letter"),
        say!(text, "quarantine-for"),
        say!(text, "quarantine-state"),
        say!(text, "quarantine-from"),
        say!(text, "quarantine-subject"),
    ];
    Ok(output.table(heads, rows.collect(), &say!(text, "quarantine-empty"))?)
}

/// What somebody else has written, for a terminal.
fn plain(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}

fn state(held: &HeldLetter, text: &Text) -> String {
    match held.state {
        HeldState::Held => say!(text, "quarantine-held", held_for = held.held_for.name()),
        HeldState::Releasing { .. } | HeldState::Released { .. } => say!(text, "quarantine-is-released"),
        HeldState::Deleted { .. } => say!(text, "quarantine-is-deleted"),
    }
}

fn sentence(held: &HeldLetter, text: &Text) -> String {
    let (from, subject) = (plain(&held.from.address), plain(&held.subject));
    let (reasons, until) = (plain(&held.reasons.join(", ")), time(held.expires()));
    say!(
        text,
        "quarantine-one",
        address = held.address.as_str(),
        from = from,
        subject = subject,
        state = state(held, text),
        reasons = reasons,
        until = until
    )
}

fn document(held: &HeldLetter) -> Value {
    json!({
        "letter": held.letter.to_string(),
        "account": held.account.account.to_string(),
        "address": held.address,
        "accepted": held.accepted.rfc3339(),
        "sender": held.reverse_path,
        "from": held.from.address,
        "subject": held.subject,
        "size": held.size,
        "held_for": held.held_for.name(),
        "reasons": held.reasons,
        "state": held.state.name(),
        "expires": held.expires().rfc3339(),
    })
}
