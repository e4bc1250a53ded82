//! `pennypost log …`: the log of operations (LOG-06), and the record of sign-ins (LOG-02, LOG-05).

use clap::Subcommand;
use pennypost_admin::operations::csv;
use pennypost_admin::{Book, Record};
use pennypost_model::Timestamp;
use serde_json::{Value, json};

use super::sign_ins::{self, AbsentArgs, Period, SignInsArgs};
use super::{OPERATOR, refused, tenant};
use crate::office::Office;
use crate::print::{Output, clean, fitting};
use crate::text::Text;
use crate::{Failed, say};

/// Records that are read at once.
const PAGE: usize = 500;
pub(super) const DAY_MILLIS: i64 = 24 * 60 * 60 * 1_000;
/// Columns of an object.
const COLUMNS: usize = 60;

/// Subcommands of `log`.
#[derive(Debug, Subcommand)]
pub enum LogCommand {
    /// Show what administrators did, oldest first; nobody can change it (see verify)
    #[command(after_help = "Examples:
  pennypost log list --tenant acme --from 2026-11-01 --to 2026-11-30
  pennypost log list --tenant acme --csv
  pennypost log list --operator")]
    List {
        /// Name or id of the tenant; may be left out if there is only one
        #[arg(long, conflicts_with = "operator")]
        tenant: Option<String>,
        /// What was done to the installation, beside what was done to tenants
        #[arg(long)]
        operator: bool,
        /// The first day, in UTC
        #[arg(long, value_name = "DAY", value_parser = day)]
        from: Option<Timestamp>,
        /// The last day, in UTC
        #[arg(long, value_name = "DAY", value_parser = day)]
        to: Option<Timestamp>,
        /// Only what members did to their own accounts, such as another password
        #[arg(long, conflicts_with = "operator")]
        own: bool,
        /// As CSV
        #[arg(long)]
        csv: bool,
    },
    /// Show sign-ins, oldest first: who, from where, by what way and program, and what came of it
    #[command(after_help = "Examples:
  pennypost log sign-ins ann@acme.example --from 2026-11-01 --to 2026-11-30
  pennypost log sign-ins --kind client --result failed
  pennypost log sign-ins --kind lock --csv")]
    SignIns(SignInsArgs),
    /// Count sign-ins day by day, 92 days at most
    #[command(after_help = "Example:\n  pennypost log statistics --tenant acme --from 2026-11-01 --csv")]
    Statistics(Period),
    /// List accounts that were not signed in to since a day
    #[command(after_help = "Example:\n  pennypost log not-signed-in --since 2026-11-01 --tenant acme")]
    NotSignedIn(AbsentArgs),
}

pub(super) fn day(text: &str) -> Result<Timestamp, String> {
    let time = Timestamp::from_rfc3339(&format!("{text}T00:00:00Z"));
    time.ok_or_else(|| "a day is written as 2026-11-20".to_owned())
}

/// Does what was asked.
pub async fn run(
    office: &Office,
    command: &LogCommand,
    text: &Text,
    output: &mut Output<'_>,
) -> Result<(), Failed> {
    let (name, operator, from, to, own, as_csv) = match command {
        LogCommand::List { tenant, operator, from, to, own, csv } => (tenant, operator, from, to, own, csv),
        LogCommand::SignIns(args) => return sign_ins::list(office, args, text, output).await,
        LogCommand::Statistics(period) => return sign_ins::statistics(office, period, text, output).await,
        LogCommand::NotSignedIn(args) => return sign_ins::absent(office, args, text, output).await,
    };
    let book: Book = if *operator { None } else { Some(tenant(office, name.as_deref(), text).await?.id) };
    let administration = office.administration();
    let times = (*from, to.map(|last| last.plus_millis(DAY_MILLIS)));
    let (mut after, mut rows, mut is_first) = (0, Vec::new(), true);
    loop {
        let read = administration.operations(&OPERATOR, book, times, after, PAGE).await;
        let (mut records, next) = read.map_err(|error| refused(error, text))?;
        records.retain(|record| !own || record.entry.is_ones_own());
        if *as_csv {
            // The line of names stands once.
            let page = csv(&records);
            let body = page.split_once("\r\n").map_or("", |(_, body)| body);
            let page = if is_first { &page } else { body };
            output.line(page.trim_end_matches("\r\n"))?;
            is_first = false;
        } else {
            rows.extend(records.iter().map(row));
        }
        let Some(next) = next else { break };
        after = next;
    }
    if *as_csv {
        return Ok(());
    }
    let heads = vec![
        say!(text, "word-number"),
        say!(text, "word-date"),
        say!(text, "word-by"),
        say!(text, "word-from"),
        say!(text, "word-operation"),
        say!(text, "word-object"),
        say!(text, "word-outcome"),
    ];
    Ok(output.table(heads, rows, &say!(text, "log-none"))?)
}

fn row(record: &Record) -> (Vec<String>, Value) {
    let Record { seq, time, entry, .. } = record;
    let outcome = format!("{} {}", entry.outcome.name(), entry.outcome.reason());
    let cells = vec![
        seq.to_string(),
        crate::print::time(*time),
        clean(&entry.by.shown()),
        entry.origin.shown(),
        entry.action.clone(),
        fitting(&entry.object, COLUMNS),
        fitting(outcome.trim_end(), COLUMNS),
    ];
    let document = json!({
        "seq": seq,
        "time": time.rfc3339(),
        "by": entry.by.shown(),
        "origin": entry.origin.shown(),
        "action": entry.action,
        "object": entry.object,
        "before": entry.before,
        "after": entry.after,
        "outcome": entry.outcome.name(),
        "reason": entry.outcome.reason(),
    });
    (cells, document)
}
