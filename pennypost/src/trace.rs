//! `trace`: the journey of a message, from its acceptance to where each copy is now.
//!
//! Reads the log (what happened), the dead letters (what waits for a decision) and the accounts (what became of
//! each copy since). Changes nothing; only [`note`] appends, for the commands that intervene.

pub(crate) mod journeys;

use std::collections::HashMap;
use std::io;
use std::process::ExitCode;

use clap::Args;
use pennypost_directory::Tenant;
use pennypost_fold::State;
use pennypost_journeys::Tried;
use pennypost_model::event::Verdict;
use pennypost_model::journal::DeleteReason;
use pennypost_model::trace::{
    CameBack, Outcome, RemoteAnswer, RemoteOutcome, RemoteRecipient, TlsDemand, TlsReason, TraceRecipient,
    TraceRecord, TraceStep, WasRead,
};
use pennypost_model::{AccountKey, EventId, Rid, SystemFlags, TenantId, Timestamp, codec};
use pennypost_ports::{Consistency, LogKind, LogRecord};
use serde_json::{Value, json};

use crate::dead_letters::{self, Envelope};
use crate::mailbox::flag_names;
use crate::office::Office;
use crate::print::{self, Output, clean};
use crate::text::Text;
use crate::{Failed, say};

pub(crate) use pennypost_journeys::{Delivery, Journey, contains, is_sent_copy, journey};

/// Accounts whose state is kept in memory for the next message.
const STATES: usize = 8;
/// Milliseconds of a day.
const DAY: i64 = 86_400_000;

/// What `trace` takes.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  pennypost trace 01KA5G3Z8QJ4N0T5W2Y7V9X1BC     one message, by the id in its Received header
  pennypost trace ann@acme.example --since 7     what she sent or got in the last week
  pennypost trace \"invoice 4711\"                 by subject
Exits with 1 when nothing is found.")]
pub struct TraceArgs {
    /// An event id, or a part of a Message-ID, subject, sender or recipient, whatever its case.
    query: String,
    /// Only messages of this tenant.
    #[arg(long, value_name = "NAME")]
    tenant: Option<String>,
    /// Accepted within so many days.
    #[arg(long, value_name = "DAYS", default_value_t = 30, value_parser = clap::value_parser!(u32).range(1..=3_660))]
    since: u32,
    /// The newest so many at most.
    #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..=1_000))]
    limit: u32,
}

/// Shows journeys. The exit code is 1 when there is none.
///
/// # Errors
/// [`Failed`].
pub async fn run(office: &Office, args: &TraceArgs, json: bool, text: &Text) -> Result<ExitCode, Failed> {
    let found = show(office, args, text, &mut Output::new(&mut io::stdout().lock(), json)).await?;
    Ok(if found == 0 { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

/// Appends a step to the trace of a message.
pub(crate) async fn note(
    office: &Office,
    tenant: TenantId,
    message: EventId,
    step: TraceStep,
) -> Result<(), Failed> {
    let time = office.clock.now();
    let value = codec::encode(&TraceRecord::new(tenant, message, time, step));
    let record = LogRecord { tenant, kind: LogKind::Trace, id: message, time, value };
    Ok(office.log().append(&[record]).await?)
}

async fn show(
    office: &Office,
    args: &TraceArgs,
    text: &Text,
    output: &mut Output<'_>,
) -> Result<usize, Failed> {
    let tenants = match &args.tenant {
        None => office.tenants().await?,
        Some(name) => {
            let tenant = office.directory.tenant_named(name).await?;
            vec![tenant.ok_or_else(|| Failed::Said(say!(text, "error-no-tenant", name = name)))?]
        }
    };
    let found = find(office, args, &tenants).await?;
    let mut copies = Copies { office, states: HashMap::new() };
    for (index, journey) in found.iter().enumerate() {
        if output.json {
            let document = document(journey, &mut copies).await?;
            output.line(&document.to_string())?;
        } else {
            if index > 0 {
                output.line("")?;
            }
            timeline(journey, &mut copies, text, output).await?;
        }
    }
    if found.is_empty() && !output.json {
        output.line(&say!(text, "trace-none"))?;
    }
    Ok(found.len())
}

/// The journeys asked for, newest first.
async fn find(office: &Office, args: &TraceArgs, tenants: &[Tenant]) -> Result<Vec<Journey>, Failed> {
    let log = office.log();
    if let Ok(id) = args.query.parse::<EventId>() {
        let mut found = Vec::new();
        for tenant in tenants {
            found.extend(journey(&*log, tenant.id, id).await?);
        }
        if !found.is_empty() {
            return Ok(found);
        }
    }
    let wanted = args.query.trim_start_matches('<').trim_end_matches('>').to_lowercase();
    let limit = args.limit as usize;
    let now = office.clock.now();
    let since = Timestamp(now.plus_millis(-DAY * i64::from(args.since)).0.max(0));
    // Another machine's clock may be ahead.
    let until = now.plus_millis(DAY);
    let mut found: Vec<Journey> = Vec::new();
    for tenant in tenants {
        let matches = |journey: &Journey| journey.matches(&wanted);
        let newest = journeys::newest(&*log, tenant.id, since, until, &matches, limit).await?;
        found.extend(newest.into_values());
        found.sort_by_key(|journey| std::cmp::Reverse(journey.id));
        found.truncate(limit);
    }
    // What never arrived has no addresses in the log; its dead letter has them.
    dead_letters::for_each(office, async |letter| {
        let Some(envelope) = Envelope::of(&letter.body) else { return Ok(()) };
        let Some(id) = envelope.message else { return Ok(()) };
        let is_wanted = tenants.iter().any(|tenant| tenant.id == letter.tenant)
            && (since..=until).contains(&id.time())
            && !found.iter().any(|known| known.id == id && known.tenant == letter.tenant)
            && (args.query.parse() == Ok(id) || is_about(&envelope, &wanted));
        if is_wanted {
            let traced = journey(&*log, letter.tenant, id).await?;
            let mut journey = traced.unwrap_or_else(|| Journey::new(letter.tenant, id));
            if journey.incidents.is_empty() {
                let (queue, cause) = (letter.stage.queue().to_owned(), letter.cause);
                journey.incidents.push((letter.died, TraceStep::DeadLettered { queue, cause }));
            }
            found.push(journey);
        }
        Ok(())
    })
    .await?;
    found.sort_by_key(|journey| std::cmp::Reverse(journey.id));
    found.truncate(limit);
    Ok(found)
}

fn is_about(envelope: &Envelope, wanted: &str) -> bool {
    let message_id = envelope.facts.message_id.as_deref().unwrap_or_default();
    let texts = [message_id, &envelope.facts.subject, &envelope.reverse_path];
    let addresses = envelope.recipients.iter().map(String::as_str);
    texts.into_iter().chain(addresses).any(|text| contains(text, wanted))
}

/// What became of a copy since it was delivered.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Now {
    /// It is there.
    There { mailbox: String, uid: u32, flags: Vec<String>, is_seen: bool },
    /// It was deleted and can still be restored.
    Deleted { at: Timestamp, reason: DeleteReason },
    /// Nobody can bring it back.
    Gone,
}

/// Looks copies up, with the last few accounts in memory.
struct Copies<'a> {
    office: &'a Office,
    states: HashMap<AccountKey, State>,
}

impl Copies<'_> {
    async fn now(&mut self, account: AccountKey, rid: Rid) -> Result<Now, Failed> {
        if !self.states.contains_key(&account) {
            if self.states.len() >= STATES {
                self.states.clear();
            }
            let state = self.office.store.load(account, Consistency::Strong).await?;
            self.states.insert(account, state);
        }
        Ok(self.states.get(&account).map_or(Now::Gone, |state| now(state, rid)))
    }
}

fn now(state: &State, rid: Rid) -> Now {
    for mailbox in state.mailboxes() {
        if let Some(row) = mailbox.rows.iter().find(|row| row.rid == rid) {
            let flags = state.flags(row.flags);
            return Now::There {
                mailbox: mailbox.name.clone(),
                uid: row.uid.0,
                flags: flag_names(&flags).into_iter().map(str::to_owned).collect(),
                is_seen: row.flags.has(SystemFlags::SEEN),
            };
        }
    }
    let deleted = state.deleted().iter().find(|deleted| deleted.row.rid == rid);
    deleted.map_or(Now::Gone, |deleted| Now::Deleted { at: deleted.at, reason: deleted.reason })
}

fn reason_name(reason: DeleteReason) -> &'static str {
    match reason {
        DeleteReason::Expunge => "expunge",
        DeleteReason::Recall => "recall",
        DeleteReason::Admin => "admin",
        DeleteReason::Retention => "retention",
        DeleteReason::MailboxDeleted => "mailbox-deleted",
    }
}

/// The result as RFC 8601 names it.
fn verdict_name(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::None => "none",
        Verdict::Pass => "pass",
        Verdict::Fail => "fail",
        Verdict::SoftFail => "softfail",
        Verdict::Neutral => "neutral",
        Verdict::TempError => "temperror",
        Verdict::PermError => "permerror",
    }
}

async fn document(journey: &Journey, copies: &mut Copies<'_>) -> Result<Value, Failed> {
    let incident = |(time, step): &(Timestamp, TraceStep)| {
        let mut document = match step {
            TraceStep::DeadLettered { queue, cause } => {
                json!({ "step": "dead-lettered", "queue": queue, "cause": cause })
            }
            TraceStep::Replayed { queue } => json!({ "step": "replayed", "queue": queue }),
            TraceStep::Refused { cause } => json!({ "step": "refused", "cause": cause }),
            TraceStep::Received { by, id, unreached, held } => {
                let address = |(address, cause)| json!({ "address": address, "cause": cause });
                let unreached: Vec<Value> = unreached.iter().map(|(a, c)| (a, c)).map(address).collect();
                json!({ "step": "received", "by": by, "id": id, "unreached": unreached, "held": held })
            }
            TraceStep::Delivered { .. } => json!({ "step": "delivered" }),
            TraceStep::Attempted(_) => json!({ "step": "attempted" }),
            TraceStep::BeingProcessed { .. } => json!({ "step": "being-processed" }),
            TraceStep::CameBack(_) => json!({ "step": "came-back" }),
            TraceStep::WasRead(_) => json!({ "step": "was-read" }),
        };
        document["time"] = json!(time.rfc3339());
        document
    };
    let mut document = json!({
        "id": journey.id,
        "tenant": journey.tenant.to_string(),
        "incidents": journey.incidents.iter().map(incident).collect::<Vec<_>>(),
        "attempts": journey.attempts.iter().map(attempt_document).collect::<Vec<_>>(),
        "came_back": journey.came_back.iter().map(came_back_document).collect::<Vec<_>>(),
        "receipts": journey.receipts.iter().map(receipt_document).collect::<Vec<_>>(),
    });
    if let Some(processing) = &journey.processing {
        let recipients: Vec<&String> = processing.recipients.iter().map(|(address, _)| address).collect();
        document["processing"] = json!({
            "since": processing.time.rfc3339(),
            "cause": processing.cause,
            "over": journey.delivery.is_some(),
            "subject": processing.subject,
            "recipients": recipients,
        });
    }
    let Some(delivery) = &journey.delivery else { return Ok(document) };
    let mut recipients = Vec::with_capacity(delivery.recipients.len());
    for recipient in &delivery.recipients {
        let remote = journey.remote(&recipient.address).map(|remote| remote.outcome);
        recipients.push(recipient_document(recipient, remote, copies).await?);
    }
    let [spf, dkim, dmarc] = delivery.auth.map(verdict_name);
    document["accepted"] = json!(delivery.accepted.rfc3339());
    document["delivered"] = json!(delivery.time.rfc3339());
    document["peer"] = json!(delivery.peer);
    document["reverse_path"] = json!(delivery.reverse_path);
    document["subject"] = json!(delivery.subject);
    document["message_id"] = json!(delivery.message_id);
    document["size"] = json!(delivery.size);
    document["auth"] = json!({ "spf": spf, "dkim": dkim, "dmarc": dmarc });
    document["submitted"] = delivery.submitter.as_ref().map_or(Value::Null, |submitter| {
        json!({
            "address": submitter.address,
            "account": submitter.account.account.to_string(),
            "protocol": submitter.protocol,
        })
    });
    document["recipients"] = Value::Array(recipients);
    Ok(document)
}

const fn remote_name(outcome: RemoteOutcome) -> &'static str {
    match outcome {
        RemoteOutcome::Sent => "sent",
        RemoteOutcome::Deferred => "deferred",
        RemoteOutcome::Failed => "failed",
    }
}

fn attempt_document(Tried { time, attempt, demand }: &Tried) -> Value {
    let recipient = |recipient: &RemoteRecipient| {
        let RemoteAnswer { code, status, text } = &recipient.answer;
        json!({
            "address": recipient.address,
            "outcome": remote_name(recipient.outcome),
            "code": code,
            "status": status,
            "text": text,
        })
    };
    json!({
        "time": time.rfc3339(),
        "destination": attempt.destination,
        "attempt": attempt.number,
        "host": attempt.host,
        "tls": attempt.tls,
        "tls_demand": demand.as_ref().map(|demand| json!({
            "reason": demand.reason.name(),
            "enforced": demand.is_enforced,
            "failure": demand.failure,
        })),
        "recipients": attempt.recipients.iter().map(recipient).collect::<Vec<_>>(),
        "next": attempt.next.map(Timestamp::rfc3339),
        "reported": attempt.reported,
    })
}

fn came_back_document((time, back): &(Timestamp, CameBack)) -> Value {
    let RemoteAnswer { code, status, text } = &back.answer;
    json!({
        "time": time.rfc3339(),
        "address": back.address,
        "code": code,
        "status": status,
        "text": text,
        "reported_by": back.reporter,
        "report": back.report,
    })
}

fn receipt_document((time, read): &(Timestamp, WasRead)) -> Value {
    json!({
        "time": time.rfc3339(),
        "address": read.address,
        "program": read.program,
        "receipt": read.receipt,
    })
}

async fn recipient_document(
    recipient: &TraceRecipient,
    remote: Option<RemoteOutcome>,
    copies: &mut Copies<'_>,
) -> Result<Value, Failed> {
    let mut document = json!({
        "address": recipient.address,
        "account": recipient.account.account.to_string(),
        "reasons": recipient.reasons,
    });
    match &recipient.outcome {
        Outcome::Stored { seq, uid, rid, mailbox } => {
            document["outcome"] = json!("stored");
            document["mailbox"] = json!(mailbox);
            document["uid"] = json!(uid);
            document["entry"] = json!(seq);
            document["rid"] = json!(rid);
            document["now"] = match copies.now(recipient.account, *rid).await? {
                Now::There { mailbox, uid, flags, .. } => {
                    json!({ "state": "there", "mailbox": mailbox, "uid": uid, "flags": flags })
                }
                Now::Deleted { at, reason } => {
                    json!({ "state": "deleted", "at": at.rfc3339(), "reason": reason_name(reason) })
                }
                Now::Gone => json!({ "state": "gone" }),
            };
        }
        // Until it was tried it is on its way.
        Outcome::Outside => document["outcome"] = json!(remote.map_or("outside", remote_name)),
        Outcome::Refused { cause } => {
            document["outcome"] = json!("refused");
            document["cause"] = json!(cause);
        }
        Outcome::Quarantined { cause } => {
            document["outcome"] = json!("quarantined");
            document["cause"] = json!(cause);
        }
    }
    Ok(document)
}

/// A step for a person: when, what, and further lines below it.
struct Step(Timestamp, String, Vec<String>);

async fn timeline(
    journey: &Journey,
    copies: &mut Copies<'_>,
    text: &Text,
    output: &mut Output<'_>,
) -> Result<(), Failed> {
    let mut steps = Vec::new();
    let mut title = journey.id.to_string();
    if let Some(delivery) = &journey.delivery {
        title = format!("{title}  {}", clean(&delivery.subject)).trim_end().to_owned();
        steps.push(acceptance(delivery, text));
        for recipient in &delivery.recipients {
            steps.push(arrival(delivery.time, recipient, copies, text).await?);
        }
    }
    if let Some(processing) = &journey.processing {
        if journey.delivery.is_none() {
            title = format!("{title}  {}", clean(&processing.subject)).trim_end().to_owned();
        }
        let cause = clean(&processing.cause);
        steps.push(Step(processing.time, say!(text, "trace-being-processed", cause = cause), Vec::new()));
    }
    steps.extend(journey.attempts.iter().map(|tried| attempted(tried, text)));
    steps.extend(journey.came_back.iter().map(|back| came_back(back, text)));
    steps.extend(journey.receipts.iter().map(|read| was_read(read, text)));
    for (time, step) in &journey.incidents {
        let mut below = Vec::new();
        let line = match step {
            TraceStep::DeadLettered { queue, cause } => {
                say!(text, "trace-dead", queue = clean(queue), cause = clean(cause))
            }
            TraceStep::Replayed { queue } => say!(text, "trace-replayed", queue = clean(queue)),
            TraceStep::Refused { cause } => say!(text, "trace-refused", cause = clean(cause)),
            TraceStep::Received { by, id, unreached, held } => {
                below.extend(unreached.iter().map(|(address, cause)| {
                    say!(text, "trace-unreached", address = clean(address), cause = clean(cause))
                }));
                let (by, id) = (clean(by), clean(id));
                match held {
                    None => say!(text, "trace-received", by = by, id = id),
                    Some(cause) => say!(text, "trace-received-held", by = by, id = id, cause = clean(cause)),
                }
            }
            TraceStep::Delivered { .. }
            | TraceStep::Attempted(_)
            | TraceStep::BeingProcessed { .. }
            | TraceStep::CameBack(_)
            | TraceStep::WasRead(_) => {
                continue;
            }
        };
        steps.push(Step(*time, line, below));
    }
    steps.sort_by_key(|step| step.0);
    output.line(&title)?;
    for Step(time, line, below) in steps {
        output.line(&format!("  {}  {line}", print::time(time)))?;
        for line in below {
            output.line(&format!("{:23}{line}", ""))?;
        }
    }
    Ok(())
}

fn came_back((time, back): &(Timestamp, CameBack), text: &Text) -> Step {
    let RemoteAnswer { code, status, text: said } = &back.answer;
    let code = code.map(|code| format!("{code} ")).unwrap_or_default();
    let (address, answer) = (clean(&back.address), clean(&format!("{code}{status} {said}")));
    let reporter = clean(&back.reporter);
    let line = say!(text, "trace-came-back", address = address, answer = answer, reporter = reporter);
    Step(*time, line, vec![say!(text, "trace-remote-reported", id = back.report.to_string())])
}

fn was_read((time, read): &(Timestamp, WasRead), text: &Text) -> Step {
    let line = say!(text, "trace-was-read", address = clean(&read.address));
    Step(*time, line, vec![say!(text, "trace-read-receipt", id = read.receipt.to_string())])
}

fn attempted(Tried { time, attempt, demand }: &Tried, text: &Text) -> Step {
    let or_dash = |said: &str| if said.is_empty() { "–".to_owned() } else { clean(said) };
    let (destination, host) = (clean(&attempt.destination), or_dash(&attempt.host));
    let tls = or_dash(attempt.tls.as_deref().unwrap_or_default());
    let number = attempt.number;
    let line = say!(text, "trace-remote", number = number, destination = destination, host = host, tls = tls);
    let mut below: Vec<String> =
        demand.iter().map(|demand| demanded(demand, attempt.tls.is_some(), text)).collect();
    below.extend(attempt.recipients.iter().map(|recipient| {
        let RemoteAnswer { code, status, text: said } = &recipient.answer;
        let code = code.map(|code| format!("{code} ")).unwrap_or_default();
        let (address, answer) = (clean(&recipient.address), clean(&format!("{code}{status} {said}")));
        match recipient.outcome {
            RemoteOutcome::Sent => say!(text, "trace-remote-sent", address = address, answer = answer),
            RemoteOutcome::Deferred => {
                say!(text, "trace-remote-deferred", address = address, answer = answer)
            }
            RemoteOutcome::Failed => {
                say!(text, "trace-remote-failed", address = address, answer = answer)
            }
        }
    }));
    below.extend(attempt.next.map(|next| say!(text, "trace-remote-next", time = print::time(next))));
    below.extend(attempt.reported.map(|id| say!(text, "trace-remote-reported", id = id.to_string())));
    Step(*time, line, below)
}

/// Whether the way was as private as somebody asks for.
fn demanded(demand: &TlsDemand, is_private: bool, text: &Text) -> String {
    let by = match (demand.reason, demand.is_enforced) {
        (TlsReason::MtaSts, true) => "MTA-STS (enforce)".to_owned(),
        (TlsReason::MtaSts, false) => "MTA-STS (testing)".to_owned(),
        (TlsReason::SmartHost, _) => say!(text, "trace-remote-smart-host"),
        (TlsReason::Dane, _) => "DANE".to_owned(),
        (TlsReason::Sender, _) => say!(text, "trace-remote-by-sender"),
    };
    match &demand.failure {
        Some(cause) => say!(text, "trace-remote-not-private", by = by, cause = clean(cause)),
        None if is_private => say!(text, "trace-remote-private", by = by),
        None => say!(text, "trace-remote-demand", by = by),
    }
}

fn acceptance(delivery: &Delivery, text: &Text) -> Step {
    let sender = format!("<{}>", clean(&delivery.reverse_path));
    let (peer, size) = (clean(&delivery.peer), print::size(delivery.size));
    let line = say!(text, "trace-accepted", peer = peer, sender = sender, size = size);
    let mut below = Vec::new();
    match &delivery.submitter {
        Some(submitter) => {
            let (address, protocol) = (clean(&submitter.address), clean(&submitter.protocol));
            below.push(say!(text, "trace-submitted", address = address, protocol = protocol));
        }
        None => {
            let [spf, dkim, dmarc] = delivery.auth.map(verdict_name);
            below.push(format!("SPF {spf}, DKIM {dkim}, DMARC {dmarc}"));
        }
    }
    if !delivery.message_id.is_empty() {
        below.push(format!("Message-ID <{}>", clean(&delivery.message_id)));
    }
    Step(delivery.accepted, line, below)
}

async fn arrival(
    time: Timestamp,
    recipient: &TraceRecipient,
    copies: &mut Copies<'_>,
    text: &Text,
) -> Result<Step, Failed> {
    let address = clean(&recipient.address);
    let mut below = Vec::new();
    if !recipient.reasons.is_empty() {
        below.push(say!(text, "trace-reasons", reasons = clean(&recipient.reasons.join(", "))));
    }
    let line = match &recipient.outcome {
        Outcome::Stored { seq, uid, rid, mailbox } => {
            below.push(match copies.now(recipient.account, *rid).await? {
                Now::There { mailbox, uid, is_seen: true, .. } => {
                    say!(text, "trace-now-seen", mailbox = clean(&mailbox), uid = uid)
                }
                Now::There { mailbox, uid, .. } => {
                    say!(text, "trace-now-unseen", mailbox = clean(&mailbox), uid = uid)
                }
                Now::Deleted { at, reason } => {
                    say!(text, "trace-now-deleted", time = print::time(at), reason = reason_name(reason))
                }
                Now::Gone => say!(text, "trace-now-gone"),
            });
            let (mailbox, uid, seq) = (clean(mailbox), uid.0, seq.0);
            say!(text, "trace-stored", address = address, mailbox = mailbox, uid = uid, seq = seq)
        }
        Outcome::Outside => say!(text, "trace-outside", address = address),
        Outcome::Refused { cause } => {
            say!(text, "trace-not-stored", address = address, cause = clean(cause))
        }
        Outcome::Quarantined { cause } => {
            say!(text, "trace-quarantined", address = address, cause = clean(cause))
        }
    };
    Ok(Step(time, line, below))
}

#[cfg(test)]
mod tests;
