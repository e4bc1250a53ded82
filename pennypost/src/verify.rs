//! `verify`: does everything that is stored keep the invariants (architecture section 2)? Reads only; works on a
//! live or a stopped store.

use std::collections::BTreeSet;
use std::process::ExitCode;

use clap::Args;
use indicatif::ProgressBar;
use pennypost_admin::Book;
use pennypost_directory::TenantState;
use pennypost_mailstore::check::{Depth, Report, Violation};
use pennypost_model::codec;
use pennypost_model::journal::Op;
use pennypost_model::trace::{Outcome, TraceRecord, TraceStep};
use pennypost_model::{AccountKey, EventId, Rid, Seq, TenantId, Timestamp};
use pennypost_ports::{Consistency, LogKind, LogQuery};
use serde_json::json;

use crate::office::Office;
use crate::print::Output;
use crate::text::Text;
use crate::{Failed, say};

/// What `verify` takes.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  pennypost verify
  pennypost verify --quick --account ann@acme.example
  pennypost verify --data /backup/pennypost-data      proves a backup, also one that is mounted read-only
Exit code 0: every invariant holds. 1: violations are listed.")]
pub struct VerifyArgs {
    /// Journals, counters, bases and traces only; do not read the bytes of messages.
    #[arg(long)]
    quick: bool,
    /// Only this account.
    #[arg(long, value_name = "ADDRESS")]
    account: Option<String>,
}

#[derive(Default)]
struct Totals {
    accounts: u64,
    report: Report,
    traces: u64,
    operations: u64,
}

/// Checks, and says what was found.
pub async fn run(office: &Office, args: &VerifyArgs, json: bool, text: &Text) -> Result<ExitCode, Failed> {
    let depth = if args.quick { Depth::Metadata } else { Depth::Bytes };
    let mut totals = Totals::default();
    match &args.account {
        Some(address) => {
            let account = office.account(address, text).await?;
            totals.take(office.store.check(account.key, depth).await?);
        }
        None => verify_all(office, depth, json, &mut totals).await?,
    }
    say_totals(&totals, text, &mut Output::new(&mut std::io::stdout().lock(), json))?;
    Ok(if totals.report.violations.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

async fn verify_all(office: &Office, depth: Depth, json: bool, totals: &mut Totals) -> Result<(), Failed> {
    const PAGE: usize = 500;
    let progress = if json { ProgressBar::hidden() } else { ProgressBar::new_spinner() };
    let mut tenants = BTreeSet::new();
    for tenant in office.tenants().await? {
        tenants.insert(tenant.id);
        // Half of it may be gone: what is left when it is forgotten is looked for below.
        if tenant.state == TenantState::Erasing {
            continue;
        }
        let mut after = None;
        loop {
            let accounts = office.store.journal().accounts(tenant.id, after, PAGE).await?;
            for account in &accounts {
                totals.take(office.store.check(*account, depth).await?);
                progress.set_message(format!("{} / {}", totals.accounts, totals.report.messages));
                progress.tick();
            }
            after = accounts.last().copied();
            if accounts.len() < PAGE {
                break;
            }
        }
        verify_traces(office, tenant.id, totals).await?;
        verify_operations(office, Some(tenant.id), totals).await?;
        verify_seats(office, tenant.id, totals).await?;
    }
    verify_operations(office, None, totals).await?;
    verify_erased(office, totals).await?;
    verify_names(office, &tenants, totals).await?;
    progress.finish_and_clear();
    Ok(())
}

/// The log of operations is a whole chain.
async fn verify_operations(office: &Office, book: Book, totals: &mut Totals) -> Result<(), Failed> {
    let checked = office.administration().check_operations(book).await;
    let checked = checked.map_err(unread)?;
    totals.operations += checked.records;
    let account = AccountKey { tenant: book.unwrap_or_default(), ..AccountKey::default() };
    let violations = checked.wrong.into_iter().map(|what| Violation { account, invariant: 11, what });
    totals.report.violations.extend(violations);
    Ok(())
}

/// Nothing is left of tenants that were erased (TEN-11): no item, no journal, no record of a log that is not kept. Objects are
/// looked at by their names.
async fn verify_erased(office: &Office, totals: &mut Totals) -> Result<(), Failed> {
    let administration = office.administration();
    let erased = administration.erased_tenants().await.map_err(unread)?;
    let mut left = administration.left_of_erased(&erased).await.map_err(unread)?;
    for tenant in erased {
        if !office.store.journal().accounts(tenant, None, 1).await?.is_empty() {
            left.push((tenant, "journals".to_owned()));
        }
        let (from, to) = (EventId::from_parts(Timestamp(0), 0), last_id());
        for kind in [LogKind::Trace, LogKind::Login, LogKind::Audit] {
            let query = LogQuery { tenant, kind, from, to, limit: 1 };
            if !office.log().query(&query).await?.is_empty() {
                left.push((tenant, format!("records of the log of {}", kind.name())));
            }
        }
    }
    let violations = left.into_iter().map(|(tenant, what)| Violation {
        account: AccountKey { tenant, ..AccountKey::default() },
        invariant: 6,
        what: format!("the tenant was erased, but there are {what}"),
    });
    totals.report.violations.extend(violations);
    Ok(())
}

fn unread(error: pennypost_admin::AdminError) -> Failed {
    match error {
        pennypost_admin::AdminError::Directory(error) => Failed::from(error),
        other => Failed::Said(other.to_string()),
    }
}

/// What is counted of the tenant's seats equals a recount (invariant 4).
async fn verify_seats(office: &Office, tenant: TenantId, totals: &mut Totals) -> Result<(), Failed> {
    let account = AccountKey { tenant, ..AccountKey::default() };
    let wrong = office.directory.check_seats(tenant).await?;
    totals.report.violations.extend(wrong.map(|what| Violation { account, invariant: 4, what }));
    Ok(())
}

/// Every object belongs to a tenant (invariant 7).
async fn verify_names(
    office: &Office,
    tenants: &BTreeSet<TenantId>,
    totals: &mut Totals,
) -> Result<(), Failed> {
    const PAGE: usize = 1000;
    let mut after: Option<String> = None;
    loop {
        let objects = office.store.objects().list("", after.as_deref(), PAGE).await?;
        for object in &objects {
            let owner = object.name.split('/').next().and_then(|tenant| tenant.parse().ok());
            if !owner.is_some_and(|owner| tenants.contains(&owner)) {
                totals.report.violations.push(Violation {
                    account: AccountKey::default(),
                    invariant: 7,
                    what: format!("object {} belongs to no tenant", object.name),
                });
            }
        }
        match objects.last() {
            Some(last) if objects.len() == PAGE => after = Some(last.name.clone()),
            _ => return Ok(()),
        }
    }
}

/// No id comes after it.
fn last_id() -> EventId {
    EventId::from_parts(Timestamp((1 << 48) - 1), u128::MAX >> 48)
}

/// What a trace says was stored is in the journal (invariant 2).
async fn verify_traces(office: &Office, tenant: TenantId, totals: &mut Totals) -> Result<(), Failed> {
    const PAGE: usize = 500;
    let mut from = EventId::from_parts(Timestamp(0), 0);
    let to = last_id();
    loop {
        let query = LogQuery { tenant, kind: LogKind::Trace, from, to, limit: PAGE };
        let records = office.log().query(&query).await?;
        for record in &records {
            let trace = codec::decode::<TraceRecord>(&record.value);
            let Ok(TraceRecord { message, step: TraceStep::Delivered { recipients, .. }, .. }) = trace else {
                continue;
            };
            totals.traces += 1;
            for recipient in recipients {
                let Outcome::Stored { seq, rid, .. } = recipient.outcome else { continue };
                if !holds(office, recipient.account, seq, rid, message).await? {
                    totals.report.violations.push(Violation {
                        account: recipient.account,
                        invariant: 2,
                        what: format!("the trace says that entry {seq} holds {message}, but it does not"),
                    });
                }
            }
        }
        match records.last() {
            Some(last) if records.len() == PAGE && last.id > from => from = last.id,
            _ => return Ok(()),
        }
    }
}

async fn holds(
    office: &Office,
    account: AccountKey,
    seq: Seq,
    rid: Rid,
    message: EventId,
) -> Result<bool, Failed> {
    let before = Seq(seq.0.saturating_sub(1));
    let entries = office.store.journal().since(account, before, 1, Consistency::Strong).await?;
    let mut ops = entries.iter().flat_map(|entry| entry.ops.iter().map(move |op| (entry.seq, op)));
    Ok(ops.any(|(at, op)| match op {
        Op::Add(add) => {
            let is_it = add.event == message || add.event == message.sent_copy();
            at == seq && is_it && Rid::new(at, add.index) == rid
        }
        _ => false,
    }))
}

impl Totals {
    fn take(&mut self, report: Report) {
        self.accounts += 1;
        self.report.entries += report.entries;
        self.report.messages += report.messages;
        self.report.restorable += report.restorable;
        self.report.read += report.read;
        self.report.violations.extend(report.violations);
    }
}

fn say_totals(totals: &Totals, text: &Text, output: &mut Output<'_>) -> std::io::Result<()> {
    let Totals { accounts, report, traces, operations } = totals;
    if output.json {
        let violations = report.violations.iter().map(|violation| {
            json!({
                "account": violation.account.to_string(),
                "invariant": violation.invariant,
                "what": violation.what,
            })
        });
        let document = json!({
            "clean": report.violations.is_empty(),
            "accounts": accounts,
            "entries": report.entries,
            "messages": report.messages,
            "restorable": report.restorable,
            "read": report.read,
            "traces": traces,
            "operations": operations,
            "violations": violations.collect::<Vec<_>>(),
        });
        return output.line(&document.to_string());
    }
    for violation in &report.violations {
        let (account, invariant) = (violation.account.to_string(), violation.invariant.to_string());
        let what = violation.what.as_str();
        let sentence = say!(text, "verify-violation", account = account, invariant = invariant, what = what);
        output.line(&sentence)?;
    }
    let (messages, entries, read) = (report.messages, report.entries, report.read);
    let summary = say!(
        text,
        "verify-summary",
        accounts = *accounts,
        messages = messages,
        entries = entries,
        read = read,
        traces = *traces,
        operations = *operations
    );
    output.line(&summary)?;
    let violations = report.violations.len();
    if violations == 0 {
        output.line(&say!(text, "verify-clean"))
    } else {
        output.line(&say!(text, "verify-broken", violations = violations))
    }
}
