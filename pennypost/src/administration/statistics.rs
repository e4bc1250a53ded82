//! `pennypost statistics …`: what was received and sent, what mailboxes hold, the report of a month (LOG-01, LOG-03, LOG-10).
//! Single letters are `pennypost trace`'s.

use clap::{Args, Subcommand, ValueEnum};
use pennypost_admin::{
    Counts, DayOfMail, MailboxUse, MemberOfMail, MemberOrder, MonthlyReport, UsedBytes, Worked, days_csv,
    mailboxes_csv, members_csv, month_of, report_csv,
};
use pennypost_model::Timestamp;
use serde_json::{Value, json};

use super::log::day;
use super::sign_ins::{Period, csv_page, day_name};
use super::{OPERATOR, refused, tenant};
use crate::office::Office;
use crate::print::{Output, fitting, size, time};
use crate::text::Text;
use crate::{Failed, say};

/// Rows that are read at once.
const PAGE: usize = 500;
/// Columns of a name.
const COLUMNS: usize = 30;

/// Subcommands of `statistics`.
#[derive(Debug, Subcommand)]
pub enum StatisticsCommand {
    /// Count letters received and sent day by day, 92 days at most
    #[command(after_help = "Examples:
  pennypost statistics mail --tenant acme --from 2026-11-01 --to 2026-11-30
  pennypost statistics mail --domain acme.example --csv")]
    Mail {
        /// When, and in which form
        #[command(flatten)]
        period: Period,
        /// Of this domain only
        #[arg(long)]
        domain: Option<String>,
    },
    /// Count letters received and sent by member, the most first
    #[command(after_help = "Examples:
  pennypost statistics members --tenant acme --by sent --top 15
  pennypost statistics members --from 2026-11-01 --csv")]
    Members(MembersArgs),
    /// Show what mailboxes hold and may hold, the fullest first, as housekeeping saw them last
    #[command(after_help = "Example:\n  pennypost statistics mailboxes --tenant acme --csv")]
    Mailboxes {
        /// Name or id of the tenant; may be left out if there is only one
        #[arg(long)]
        tenant: Option<String>,
        /// As CSV
        #[arg(long)]
        csv: bool,
    },
    /// Report a month: who signed in, what mailboxes held, what was received and sent, day by day
    #[command(after_help = "Example:\n  pennypost statistics month 2026-10 --tenant acme")]
    Month {
        /// The month [default: the one that it is]
        #[arg(value_name = "MONTH", value_parser = month)]
        month: Option<Timestamp>,
        /// Name or id of the tenant; may be left out if there is only one
        #[arg(long)]
        tenant: Option<String>,
        /// As CSV
        #[arg(long)]
        csv: bool,
    },
    /// Count the days that are over now, as housekeeping does once a day
    #[command(after_help = "Examples:
  pennypost statistics count --tenant acme
  pennypost statistics count --again-from 2026-11-01    after old dead letters were replayed")]
    Count {
        /// Count all days from this one on again
        #[arg(long, value_name = "DAY", value_parser = day)]
        again_from: Option<Timestamp>,
        /// Name or id of the tenant; may be left out if there is only one
        #[arg(long)]
        tenant: Option<String>,
    },
}

/// Arguments of `statistics members`.
#[derive(Debug, Args)]
pub struct MembersArgs {
    /// When, and in which form
    #[command(flatten)]
    period: Period,
    /// The most first of
    #[arg(long, value_enum, default_value = "received")]
    by: By,
    /// So many at most [default: all who have any]
    #[arg(long)]
    top: Option<usize>,
}

/// By what members are ordered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum By {
    /// Letters received
    Received,
    /// Bytes received
    ReceivedBytes,
    /// Letters sent
    Sent,
    /// Bytes sent
    SentBytes,
}

impl By {
    const fn order(self) -> MemberOrder {
        match self {
            By::Received => MemberOrder::Received,
            By::ReceivedBytes => MemberOrder::ReceivedBytes,
            By::Sent => MemberOrder::Sent,
            By::SentBytes => MemberOrder::SentBytes,
        }
    }
}

fn month(text: &str) -> Result<Timestamp, String> {
    let first = Timestamp::from_rfc3339(&format!("{text}-01T00:00:00Z")).filter(|_| text.len() == 7);
    first.ok_or_else(|| "a month is written as 2026-11".to_owned())
}

/// Does what was asked.
pub async fn run(
    office: &Office,
    command: &StatisticsCommand,
    text: &Text,
    output: &mut Output<'_>,
) -> Result<(), Failed> {
    match command {
        StatisticsCommand::Mail { period, domain } => {
            mail(office, period, domain.as_deref(), text, output).await
        }
        StatisticsCommand::Members(args) => members(office, args, text, output).await,
        StatisticsCommand::Mailboxes { tenant, csv } => {
            mailboxes(office, tenant.as_deref(), *csv, text, output).await
        }
        StatisticsCommand::Month { month, tenant: name, csv } => {
            let tenant = tenant(office, name.as_deref(), text).await?.id;
            let period = month_of(month.unwrap_or_else(|| office.clock.now()));
            let report = office.administration().monthly_report(&OPERATOR, tenant, &period).await;
            show_report(&report.map_err(|error| refused(error, text))?, *csv, text, output)
        }
        StatisticsCommand::Count { again_from, tenant: name } => {
            let tenant = tenant(office, name.as_deref(), text).await?.id;
            let administration = office.administration();
            if let Some(from) = again_from {
                let counted = administration.count_again(tenant, *from).await;
                counted.map_err(|error| refused(error, text))?;
            }
            let for_ever = Timestamp(i64::MAX);
            let mut worked = Worked::More;
            while worked == Worked::More {
                worked =
                    administration.roll_up(tenant, for_ever).await.map_err(|error| refused(error, text))?;
            }
            Ok(output.result(&say!(text, "statistics-counted"), &json!({ "counted": true }))?)
        }
    }
}

fn heads_of_counts(text: &Text) -> [String; 4] {
    [
        say!(text, "word-letters-received"),
        say!(text, "word-bytes-received"),
        say!(text, "word-letters-sent"),
        say!(text, "word-bytes-sent"),
    ]
}

fn cells_of(counts: &Counts) -> [String; 4] {
    let Counts { received, received_bytes, sent, sent_bytes } = *counts;
    [received.to_string(), size(received_bytes), sent.to_string(), size(sent_bytes)]
}

fn document_of(mut document: Value, counts: &Counts) -> Value {
    document["received"] = json!(counts.received);
    document["received_bytes"] = json!(counts.received_bytes);
    document["sent"] = json!(counts.sent);
    document["sent_bytes"] = json!(counts.sent_bytes);
    document
}

/// Cells of what was counted, or that it was not.
fn counted(day: &DayOfMail, text: &Text) -> Vec<String> {
    match day.counted {
        Some(_) => cells_of(&day.counts).to_vec(),
        None => {
            let mut cells = vec![say!(text, "statistics-uncounted")];
            cells.resize(4, String::new());
            cells
        }
    }
}

fn day_document(day: &DayOfMail) -> Value {
    let document = json!({ "day": day_name(day.day), "counted": day.counted.map(Timestamp::rfc3339) });
    document_of(document, &day.counts)
}

async fn mail(
    office: &Office,
    period: &Period,
    domain: Option<&str>,
    text: &Text,
    output: &mut Output<'_>,
) -> Result<(), Failed> {
    let tenant = tenant(office, period.tenant.as_deref(), text).await?.id;
    let days = office.administration().mail_statistics(&OPERATOR, tenant, &period.days(office), domain).await;
    let days = days.map_err(|error| refused(error, text))?;
    if period.csv {
        return csv_page(&days_csv(&days), true, output);
    }
    let row = |day: &DayOfMail| {
        let mut cells = vec![day_name(day.day)];
        cells.extend(counted(day, text));
        (cells, day_document(day))
    };
    let mut heads = vec![say!(text, "word-date")];
    heads.extend(heads_of_counts(text));
    Ok(output.table(heads, days.iter().map(row).collect(), &say!(text, "statistics-none"))?)
}

async fn members(
    office: &Office,
    args: &MembersArgs,
    text: &Text,
    output: &mut Output<'_>,
) -> Result<(), Failed> {
    let MembersArgs { period, by, top } = args;
    let tenant = tenant(office, period.tenant.as_deref(), text).await?.id;
    let (administration, days) = (office.administration(), period.days(office));
    let most = top.unwrap_or(usize::MAX);
    let (mut after, mut rows) = (0, Vec::new());
    while after < most {
        let place = (after, PAGE.min(most - after));
        let read = administration.member_statistics(&OPERATOR, tenant, &days, by.order(), place).await;
        let (found, next) = read.map_err(|error| refused(error, text))?;
        if period.csv {
            csv_page(&members_csv(&found), after == 0, output)?;
        } else {
            rows.extend(found.iter().map(member_row));
        }
        let Some(next) = next else { break };
        after = next;
    }
    if period.csv {
        return Ok(());
    }
    let mut heads = vec![say!(text, "word-address"), say!(text, "word-name")];
    heads.extend(heads_of_counts(text));
    Ok(output.table(heads, rows, &say!(text, "statistics-none"))?)
}

fn member_row(member: &MemberOfMail) -> (Vec<String>, Value) {
    let address = member.account.as_ref().map(|account| account.address.to_string());
    let name = member.account.as_ref().map(|account| account.display_name.as_str());
    let id = member.id.to_string();
    let document = json!({ "account": id, "address": address, "display_name": name });
    let mut cells = vec![address.unwrap_or(id), fitting(name.unwrap_or_default(), COLUMNS)];
    cells.extend(cells_of(&member.counts));
    (cells, document_of(document, &member.counts))
}

async fn mailboxes(
    office: &Office,
    name: Option<&str>,
    as_csv: bool,
    text: &Text,
    output: &mut Output<'_>,
) -> Result<(), Failed> {
    let tenant = tenant(office, name, text).await?.id;
    let administration = office.administration();
    let (mut after, mut rows) = (0, Vec::new());
    loop {
        let read = administration.mailbox_use(&OPERATOR, tenant, (after, PAGE)).await;
        let (found, next) = read.map_err(|error| refused(error, text))?;
        if as_csv {
            csv_page(&mailboxes_csv(&found), after == 0, output)?;
        } else {
            rows.extend(found.iter().map(|mailbox| mailbox_row(mailbox, text)));
        }
        let Some(next) = next else { break };
        after = next;
    }
    if as_csv {
        return Ok(());
    }
    let heads = vec![
        say!(text, "word-address"),
        say!(text, "word-name"),
        say!(text, "word-holds"),
        say!(text, "word-messages"),
        say!(text, "word-quota"),
        say!(text, "word-date"),
    ];
    Ok(output.table(heads, rows, &say!(text, "statistics-no-mailboxes"))?)
}

fn mailbox_row(mailbox: &MailboxUse, text: &Text) -> (Vec<String>, Value) {
    let address = mailbox.account.as_ref().map(|account| account.address.to_string());
    let name = mailbox.account.as_ref().map(|account| account.display_name.as_str());
    let UsedBytes { bytes, messages } = mailbox.used;
    let id = mailbox.id.to_string();
    let document = json!({
        "account": id,
        "address": address,
        "display_name": name,
        "bytes": bytes,
        "messages": messages,
        "capacity": mailbox.capacity,
        "taken": mailbox.taken.rfc3339(),
    });
    let cells = vec![
        address.unwrap_or(id),
        fitting(name.unwrap_or_default(), COLUMNS),
        size(bytes),
        messages.to_string(),
        mailbox.capacity.map_or_else(|| say!(text, "word-unlimited"), size),
        time(mailbox.taken),
    ];
    (cells, document)
}

fn show_report(
    report: &MonthlyReport,
    as_csv: bool,
    text: &Text,
    output: &mut Output<'_>,
) -> Result<(), Failed> {
    if as_csv {
        return csv_page(&report_csv(report), true, output);
    }
    let mut rows = Vec::with_capacity(report.days.len());
    for day in &report.days {
        let mut document = day_document(&day.mail);
        document["signed_in"] = json!(day.signed_in);
        document["used_bytes"] = json!(day.used.map(|used| used.bytes));
        document["messages"] = json!(day.used.map(|used| used.messages));
        let mut cells = vec![day_name(day.mail.day), day.signed_in.to_string()];
        cells.push(day.used.map(|used| size(used.bytes)).unwrap_or_default());
        cells.extend(counted(&day.mail, text));
        rows.push((cells, document));
    }
    let (signed_in, used) = (report.signed_in, report.used);
    let document = json!({
        "signed_in": signed_in,
        "used_bytes": used.map(|used| used.bytes),
        "messages": used.map(|used| used.messages),
    });
    let mut cells = vec![say!(text, "word-total"), signed_in.to_string()];
    cells.push(used.map(|used| size(used.bytes)).unwrap_or_default());
    cells.extend(cells_of(&report.counts));
    rows.push((cells, document_of(document, &report.counts)));
    let mut heads = vec![say!(text, "word-date"), say!(text, "word-signed-in"), say!(text, "word-holds")];
    heads.extend(heads_of_counts(text));
    Ok(output.table(heads, rows, &say!(text, "statistics-none"))?)
}
