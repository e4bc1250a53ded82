//! `pennypost suppressed …`: addresses elsewhere to which a tenant's mailings are not sent any more.

use std::path::PathBuf;

use clap::Subcommand;
use pennypost_admin::{AdminError, MAX_SUPPRESSED_AT_ONCE, suppressed_csv};
use pennypost_directory::{Page, Suppressed};
use serde_json::{Value, json};

use super::sign_ins::csv_page;
use super::{OPERATOR, refused, tenant};
use crate::office::Office;
use crate::print::{Output, clean, time};
use crate::text::Text;
use crate::{Failed, say};

/// Subcommands of `suppressed`.
#[derive(Debug, Subcommand)]
pub enum SuppressedCommand {
    /// List addresses to which no mass mail is sent any more
    #[command(after_help = "Examples:
  pennypost suppressed list --prefix ann@
  pennypost suppressed list --csv > suppressed.csv")]
    List {
        /// Those that begin so
        #[arg(long, default_value = "")]
        prefix: String,
        /// As CSV
        #[arg(long)]
        csv: bool,
        /// Name or id of the tenant; may be left out if there is only one
        #[arg(long)]
        tenant: Option<String>,
    },
    /// Send no mass mail to addresses any more: single letters go there all the same
    #[command(after_help = "Examples:
  pennypost suppressed add ann@example.com bob@example.net
  pennypost suppressed add --file suppressed.csv")]
    Add {
        /// The addresses
        addresses: Vec<String>,
        /// A file with an address at the beginning of each line, as `list --csv` writes it
        #[arg(long, value_name = "FILE")]
        file: Option<PathBuf>,
        /// Name or id of the tenant; may be left out if there is only one
        #[arg(long)]
        tenant: Option<String>,
    },
    /// Send mass mail to an address again
    #[command(after_help = "Example:\n  pennypost suppressed remove ann@example.com")]
    Remove {
        /// The address
        address: String,
        /// Name or id of the tenant; may be left out if there is only one
        #[arg(long)]
        tenant: Option<String>,
    },
}

/// Does what was asked.
pub async fn run(
    office: &Office,
    command: &SuppressedCommand,
    text: &Text,
    output: &mut Output<'_>,
) -> Result<(), Failed> {
    let administration = office.administration();
    let told = |error: AdminError| refused(error, text);
    match command {
        SuppressedCommand::List { prefix, csv, tenant: name } => {
            let tenant = tenant(office, name.as_deref(), text).await?;
            let (mut page, mut rows, mut is_first) = (Page::default(), Vec::new(), true);
            loop {
                let listed =
                    administration.suppressed(&OPERATOR, tenant.id, prefix, &page).await.map_err(told)?;
                if *csv {
                    csv_page(&suppressed_csv(&listed.items), is_first, output)?;
                    is_first = false;
                } else {
                    rows.extend(listed.items.iter().map(|one| row(one, text)));
                }
                let Some(next) = listed.next else { break };
                page.after = Some(next);
            }
            if *csv {
                return Ok(());
            }
            let heads = vec![say!(text, "word-address"), say!(text, "word-by"), say!(text, "word-date")];
            Ok(output.table(heads, rows, &say!(text, "suppressed-none"))?)
        }
        SuppressedCommand::Add { addresses, file, tenant: name } => {
            let tenant = tenant(office, name.as_deref(), text).await?;
            let mut all = addresses.clone();
            if let Some(file) = file {
                let written = std::fs::read_to_string(file)?;
                let first = written.lines().filter_map(|line| line.split([',', ';', '\t']).next());
                let named = first.map(|cell| cell.trim().trim_matches('"').trim_start_matches('\u{feff}'));
                all.extend(named.filter(|cell| cell.contains('@')).map(str::to_owned));
            }
            let mut added = 0;
            for some in all.chunks(MAX_SUPPRESSED_AT_ONCE) {
                added += administration.suppress(&OPERATOR, tenant.id, some).await.map_err(told)?;
            }
            let sentence = say!(text, "suppressed-added", count = added.to_string());
            Ok(output.result(&sentence, &json!({ "added": added }))?)
        }
        SuppressedCommand::Remove { address, tenant: name } => {
            let tenant = tenant(office, name.as_deref(), text).await?;
            administration.release_suppressed(&OPERATOR, tenant.id, address).await.map_err(told)?;
            let sentence = say!(text, "suppressed-removed", address = clean(address));
            Ok(output.result(&sentence, &json!({ "address": address }))?)
        }
    }
}

fn row(one: &Suppressed, text: &Text) -> (Vec<String>, Value) {
    let by = match one.by.name() {
        "complaint" => say!(text, "suppressed-by-complaint"),
        "bounce" => say!(text, "suppressed-by-bounce"),
        _ => say!(text, "suppressed-by-administrator"),
    };
    let document = json!({
        "address": one.address,
        "by": one.by.name(),
        "since": one.since.rfc3339(),
        "letter": one.letter.map(|letter| letter.to_string()),
    });
    (vec![clean(&one.address), by, time(one.since)], document)
}
