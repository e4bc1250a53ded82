//! `pennypost terms …`: terms of service (TEN-08).

use std::path::PathBuf;

use clap::Subcommand;
use pennypost_admin::{Acceptance, Terms};
use pennypost_directory::Page;
use serde_json::{Value, json};

use super::{OPERATOR, refused, tenant};
use crate::office::Office;
use crate::print::{Output, time};
use crate::text::Text;
use crate::{Failed, say};

/// Subcommands of `terms`.
#[derive(Debug, Subcommand)]
pub enum TermsCommand {
    /// List the versions; the last one holds
    #[command(after_help = "Example:\n  pennypost terms list")]
    List,
    /// Publish a version: it holds from now on, and can't be changed
    #[command(after_help = "Example:\n  pennypost terms publish 'Terms of service' --file terms.txt")]
    Publish {
        /// What it is called
        title: String,
        /// The file with its text
        #[arg(long, value_name = "FILE")]
        file: PathBuf,
    },
    /// List who has accepted which version for a tenant
    #[command(after_help = "Example:\n  pennypost terms accepted --tenant acme")]
    Accepted {
        /// Name or id of the tenant; may be left out if there is only one
        #[arg(long)]
        tenant: Option<String>,
    },
}

/// Does what was asked.
pub async fn run(
    office: &Office,
    command: &TermsCommand,
    text: &Text,
    output: &mut Output<'_>,
) -> Result<(), Failed> {
    let administration = office.administration();
    let told = |error| refused(error, text);
    match command {
        TermsCommand::List => {
            let found = administration.published_terms(&OPERATOR).await.map_err(told)?;
            let rows = found.iter().map(|terms| {
                let cells = vec![terms.number.to_string(), terms.title.clone(), time(terms.published)];
                (cells, document(terms))
            });
            let heads = vec![say!(text, "word-number"), say!(text, "word-name"), say!(text, "word-since")];
            Ok(output.table(heads, rows.collect(), &say!(text, "terms-none"))?)
        }
        TermsCommand::Publish { title, file } => {
            let read = std::fs::read_to_string(file).map_err(|error| {
                let (path, cause) = (file.display().to_string(), error.to_string());
                Failed::Said(say!(text, "error-file", path = path, cause = cause))
            })?;
            let published = administration.publish_terms(&OPERATOR, title, &read).await.map_err(told)?;
            let sentence = say!(text, "terms-published", number = published.number);
            Ok(output.result(&sentence, &document(&published))?)
        }
        TermsCommand::Accepted { tenant: name } => {
            let tenant = tenant(office, name.as_deref(), text).await?;
            let mut found = Vec::new();
            let mut page = Page::default();
            loop {
                let listed =
                    administration.accepted_terms(&OPERATOR, tenant.id, &page).await.map_err(told)?;
                found.extend(listed.items);
                page.after = listed.next;
                if page.after.is_none() {
                    break;
                }
            }
            let rows = found.iter().map(|accepted| {
                let cells = vec![accepted.number.to_string(), accepted.by.shown(), time(accepted.at)];
                (cells, acceptance(accepted))
            });
            let heads = vec![say!(text, "word-number"), say!(text, "word-who"), say!(text, "word-since")];
            Ok(output.table(heads, rows.collect(), &say!(text, "terms-not-accepted"))?)
        }
    }
}

fn document(terms: &Terms) -> Value {
    json!({
        "number": terms.number, "title": terms.title, "sha256": terms.digest(),
        "published": terms.published.rfc3339(),
    })
}

fn acceptance(accepted: &Acceptance) -> Value {
    json!({
        "number": accepted.number, "sha256": accepted.sha256, "by": accepted.by.shown(),
        "at": accepted.at.rfc3339(),
    })
}
