//! `pennypost mail-report …`: what other organisations report of a tenant's mail, and where their reports come in.

use clap::{Args, Subcommand, ValueEnum};
use pennypost_admin::{AdminError, HeardAbout, HeardKind, HeardQuery, HeardReport, heard_reports_csv};
use pennypost_directory::{DirectoryError, MailAddress};
use pennypost_model::Timestamp;
use serde_json::{Value, json};

use super::log::{DAY_MILLIS, day};
use super::sign_ins::csv_page;
use super::{OPERATOR, refused, tenant};
use crate::office::Office;
use crate::print::{Output, clean, time};
use crate::text::Text;
use crate::{Failed, say};

/// Records that are read at once.
const PAGE: usize = 200;

/// What is reported.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum ReportKind {
    /// What came in the name of a domain
    Dmarc,
    /// What became of TLS with its servers
    Tls,
    /// Complaints about letters
    Complaint,
}

impl ReportKind {
    const fn kind(self) -> HeardKind {
        match self {
            ReportKind::Dmarc => HeardKind::Dmarc,
            ReportKind::Tls => HeardKind::Tls,
            ReportKind::Complaint => HeardKind::Complaint,
        }
    }
}

/// Which reports.
#[derive(Debug, Args)]
pub struct ReportListArgs {
    /// Name or id of the tenant; may be left out if there is only one
    #[arg(long)]
    tenant: Option<String>,
    /// About this domain
    #[arg(long)]
    domain: Option<String>,
    /// Of this kind
    #[arg(long, value_enum)]
    kind: Option<ReportKind>,
    /// The first day, in UTC
    #[arg(long, value_name = "DAY", value_parser = day)]
    from: Option<Timestamp>,
    /// The last day, in UTC
    #[arg(long, value_name = "DAY", value_parser = day)]
    to: Option<Timestamp>,
    /// As CSV, with a line for each source
    #[arg(long)]
    csv: bool,
}

/// Subcommands of `mail-report`.
#[derive(Debug, Subcommand)]
pub enum MailReportCommand {
    /// List what others report: DMARC, TLS, complaints
    #[command(after_help = "Examples:
  pennypost mail-report list --domain example.com --from 2026-11-01
  pennypost mail-report list --kind dmarc --csv > sources.csv")]
    List(ReportListArgs),
    /// Show or say at which addresses of the organisation reports come in
    #[command(after_help = "Examples:
  pennypost mail-report addresses
  pennypost mail-report addresses --add reports@example.com
  pennypost mail-report addresses --remove reports@example.com
Others are told of them by records of DMARC (rua=mailto:reports@example.com) and TLSRPT, and by feedback loops.")]
    Addresses {
        /// Reports come in here
        #[arg(long)]
        add: Vec<String>,
        /// Reports are not read here any more
        #[arg(long)]
        remove: Vec<String>,
        /// Name or id of the tenant; may be left out if there is only one
        #[arg(long)]
        tenant: Option<String>,
    },
}

/// Does what was asked.
pub async fn run(
    office: &Office,
    command: &MailReportCommand,
    text: &Text,
    output: &mut Output<'_>,
) -> Result<(), Failed> {
    match command {
        MailReportCommand::List(args) => list(office, args, text, output).await,
        MailReportCommand::Addresses { add, remove, tenant: name } => {
            let tenant = tenant(office, name.as_deref(), text).await?;
            let administration = office.administration();
            let told = |error: AdminError| refused(error, text);
            let seen = administration.report_addresses(&OPERATOR, tenant.id).await.map_err(told)?;
            let mut addresses = seen.clone();
            for address in add {
                addresses.0.insert(MailAddress::parse(address).map_err(DirectoryError::from)?);
            }
            for address in remove {
                addresses.0.remove(&MailAddress::parse(address).map_err(DirectoryError::from)?);
            }
            if addresses != seen {
                let changed =
                    administration.change_report_addresses(&OPERATOR, tenant.id, &seen, &addresses).await;
                changed.map_err(told)?;
            }
            let row = |address: &MailAddress| {
                let address = address.to_string();
                (vec![address.clone()], json!({ "address": address }))
            };
            let rows = addresses.0.iter().map(row).collect();
            Ok(output.table(
                vec![say!(text, "word-address")],
                rows,
                &say!(text, "mail-report-no-addresses"),
            )?)
        }
    }
}

async fn list(
    office: &Office,
    args: &ReportListArgs,
    text: &Text,
    output: &mut Output<'_>,
) -> Result<(), Failed> {
    let tenant = tenant(office, args.tenant.as_deref(), text).await?;
    let query = HeardQuery {
        from: args.from,
        until: args.to.map(|last| last.plus_millis(DAY_MILLIS)),
        domain: args.domain.clone(),
        kind: args.kind.map(ReportKind::kind),
    };
    let administration = office.administration();
    let (mut after, mut rows, mut is_first) = (None, Vec::new(), true);
    loop {
        let read = administration.heard_reports(&OPERATOR, tenant.id, &query, after, PAGE).await;
        let (reports, next) = read.map_err(|error| refused(error, text))?;
        if args.csv {
            csv_page(&heard_reports_csv(&reports), is_first, output)?;
            is_first = false;
        } else {
            rows.extend(reports.iter().map(|report| row(report, text)));
        }
        let Some(next) = next else { break };
        after = Some(next);
    }
    if args.csv {
        return Ok(());
    }
    let heads = vec![
        say!(text, "word-date"),
        say!(text, "mail-report-kind"),
        say!(text, "word-domain"),
        say!(text, "mail-report-by"),
        say!(text, "mail-report-says"),
    ];
    Ok(output.table(heads, rows, &say!(text, "mail-report-none"))?)
}

fn row(report: &HeardReport, text: &Text) -> (Vec<String>, Value) {
    let ip = |ip: Option<std::net::IpAddr>| ip.map(|ip| ip.to_string());
    let (said, about) = match &report.about {
        HeardAbout::Dmarc { counts, sources, more } => {
            let (good, bad) = (counts.passed.to_string(), counts.failed.to_string());
            let sources: Vec<Value> = sources
                .iter()
                .map(|one| {
                    json!({
                        "source": ip(one.source),
                        "author": one.author,
                        "passed": one.counts.passed,
                        "failed": one.counts.failed,
                        "quarantined": one.counts.quarantined,
                        "rejected": one.counts.rejected,
                    })
                })
                .collect();
            let about =
                json!({ "passed": counts.passed, "failed": counts.failed, "sources": sources, "more": more });
            (say!(text, "mail-report-dmarc", good = good, bad = bad), about)
        }
        HeardAbout::Tls { good, bad, failures, more } => {
            let failures: Vec<Value> = failures
                .iter()
                .map(|one| {
                    json!({ "what": one.what, "host": one.host, "source": ip(one.source), "count": one.count })
                })
                .collect();
            let about = json!({ "good": good, "bad": bad, "failures": failures, "more": more });
            (say!(text, "mail-report-tls", good = good.to_string(), bad = bad.to_string()), about)
        }
        HeardAbout::Complaint { what, source, address, message_id, .. } => {
            let about =
                json!({ "what": what, "source": ip(*source), "address": address, "message_id": message_id });
            let address = clean(address.as_deref().unwrap_or_default());
            (say!(text, "mail-report-complaint", what = what.as_str(), address = address), about)
        }
    };
    let kind = report.about.kind().name();
    let cells =
        vec![time(report.begin), kind.to_owned(), clean(&report.domain), clean(&report.reporter), said];
    let document = json!({
        "kind": kind,
        "domain": report.domain,
        "reporter": report.reporter,
        "name": report.name,
        "begin": report.begin.rfc3339(),
        "end": report.end.rfc3339(),
        "letter": report.letter.to_string(),
        "unproved": report.is_unproved,
        "says": about,
    });
    (cells, document)
}
