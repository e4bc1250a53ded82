//! `replay`: sends an event through the pipeline again: one from a file, a dead letter, or a delivered message
//! whose event is rebuilt from its trace and from a copy that somebody still has.
//!
//! The rebuilt event has the id of the first one, so that deliver finds what arrived already and adds only what
//! is missing. What the trace does not keep is not guessed: TLS, the signers' domains and DMARC's wish are left
//! out. If the process dies before the event is in the queue, nothing happened; after that, only the note in
//! the trace is missing.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;
use std::time::Duration;

use clap::Args;
use pennypost_mailstore::compress::compress;
use pennypost_mailstore::{StoreError, names};
use pennypost_model::codec;
use pennypost_model::event::{
    Accepted, AuthResults, Body, Event, Recipient, Source, SourceKind, Stage, Submission, Verdict, Via,
};
use pennypost_model::journal::Op;
use pennypost_model::message::BlobRef;
use pennypost_model::trace::{Outcome, TraceRecipient, TraceStep};
use pennypost_model::{AccountKey, EventId, Rid, Seq, TenantId};
use pennypost_ports::{Created, Outgoing, PortError};
use pennypost_receive::{Notification, Said};
use pennypost_runtime::needs::RAW_MAIL;
use serde::Deserialize;
use serde_json::json;

use crate::dead_letters;
use crate::office::Office;
use crate::print::Output;
use crate::text::Text;
use crate::trace::{self, Delivery, Journey};
use crate::{Failed, say};

/// A file with an event is not larger than this: as JSON, its bytes take four times their number.
const MAX_FILE: u64 = 512 << 20;
/// Bytes of an encoded event at most: every queue service carries 256 KB.
const MAX_EVENT: usize = 255 * 1024;

/// What `replay` takes.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  pennypost replay 01KA5G3Z8QJ4N0T5W2Y7V9X1BC     a dead letter or a delivered message, by its id
  pennypost replay events/inbound/letters.json    events from a file: one, or a batch as functions get it
The event goes into a queue; “pennypost serve” works on it, at once if it runs.")]
pub struct ReplayArgs {
    /// The id of a message or dead letter, or a file with an event or a batch in JSON.
    #[arg(value_name = "EVENTID|FILE")]
    what: String,
}

/// From where an event was taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Origin {
    File,
    DeadLetter,
    Trace,
}

/// What was put into a queue.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Replayed {
    message: Option<EventId>,
    stage: Stage,
    origin: Origin,
}

/// Sends an event again.
///
/// # Errors
/// [`Failed`]; when there is nothing to send, too.
pub async fn run(office: &Office, args: &ReplayArgs, json: bool, text: &Text) -> Result<(), Failed> {
    let replayed = replay(office, &args.what, text).await?;
    let mut out = io::stdout().lock();
    let mut output = Output::new(&mut out, json);
    replayed.iter().try_for_each(|one| report(&mut output, one, &args.what, text))?;
    Ok(())
}

fn report(output: &mut Output<'_>, replayed: &Replayed, what: &str, text: &Text) -> io::Result<()> {
    let Replayed { message, stage, origin } = *replayed;
    let queue = stage.queue();
    let sentence = match (origin, message) {
        (Origin::DeadLetter, _) => say!(text, "dead-letter-replayed", id = what, queue = queue),
        (_, Some(id)) => say!(text, "replay-message", id = id.to_string(), queue = queue),
        (_, None) => say!(text, "replay-event", queue = queue),
    };
    let origin = match origin {
        Origin::File => "file",
        Origin::DeadLetter => "dead-letter",
        Origin::Trace => "trace",
    };
    let document = json!({ "id": message, "queue": queue, "origin": origin });
    output.result(&sentence, &document)
}

async fn replay(office: &Office, what: &str, text: &Text) -> Result<Vec<Replayed>, Failed> {
    let path = Path::new(what);
    match what.parse::<EventId>() {
        Ok(id) if !path.exists() => replay_id(office, id, text).await.map(|replayed| vec![replayed]),
        _ => replay_file(office, path, text).await,
    }
}

async fn replay_file(office: &Office, path: &Path, text: &Text) -> Result<Vec<Replayed>, Failed> {
    let shown = path.display().to_string();
    let cannot = |cause: String| Failed::Said(say!(text, "error-file", path = &shown, cause = cause));
    let mut bytes = Vec::new();
    let file = File::open(path).map_err(|error| cannot(error.to_string()))?;
    file.take(MAX_FILE + 1).read_to_end(&mut bytes).map_err(|error| cannot(error.to_string()))?;
    if bytes.len() as u64 > MAX_FILE {
        return Err(Failed::Said(say!(text, "error-file-too-large", path = &shown, limit = MAX_FILE >> 20)));
    }
    let no_event = |error: serde_json::Error| {
        Failed::Said(say!(text, "replay-no-event", path = &shown, cause = error.to_string()))
    };
    if let Ok(batch) = serde_json::from_slice::<Batch>(&bytes) {
        let mut replayed = Vec::with_capacity(batch.records.len());
        for record in &batch.records {
            if stage_of(record) == Some(Stage::Receive) {
                put_raw_letter(office, record, path, text).await?;
            }
            replayed.extend(replay_record(office, record, &shown, text).await?);
        }
        return Ok(replayed);
    }
    let mut event: Event = serde_json::from_slice(&bytes).map_err(no_event)?;
    drop(bytes);
    let stage = event.stage();
    at_home(office, &mut event, text).await?;
    send(office, stage, &mut event).await?;
    Ok(vec![Replayed { message: event.message(), stage, origin: Origin::File }])
}

/// A batch, as functions are invoked with it: the samples in `events` are such.
#[derive(Deserialize)]
struct Batch {
    #[serde(rename = "Records")]
    records: Vec<Record>,
}

/// A message of a batch.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Record {
    body: String,
    #[serde(rename = "eventSourceARN")]
    event_source_arn: String,
}

/// The stage of the queue that it was in.
fn stage_of(record: &Record) -> Option<Stage> {
    record.event_source_arn.rsplit(['-', ':']).next().and_then(Stage::of_queue)
}

/// Puts the letter that a notification is about where another service would have put it, if its bytes lie beside the file:
/// `raw/NAME.eml`, as beside the samples.
async fn put_raw_letter(office: &Office, record: &Record, file: &Path, text: &Text) -> Result<(), Failed> {
    let Ok(Said::Letter(said)) = Notification::read(record.body.as_bytes()) else { return Ok(()) };
    let Some(name) = said.object.strip_prefix(RAW_MAIL).filter(|name| !name.contains(['/', '\\'])) else {
        return Ok(());
    };
    let Some((raw, _)) = office.backend.raw_mail() else { return Ok(()) };
    let beside = file.with_file_name("raw").join(format!("{name}.eml"));
    let bytes = match std::fs::read(&beside) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => {
            let (path, cause) = (beside.display().to_string(), error.to_string());
            return Err(Failed::Said(say!(text, "error-file", path = path, cause = cause)));
        }
    };
    // One that is there already is the same: it is named after its message.
    raw.put_unique(&said.object, bytes.into()).await?;
    Ok(())
}

/// Puts a message into the queue that it was in, also one that nobody can read: it becomes a dead letter there.
async fn replay_record(
    office: &Office,
    record: &Record,
    shown: &str,
    text: &Text,
) -> Result<Vec<Replayed>, Failed> {
    let Some(stage) = stage_of(record) else {
        let cause = format!("{:?} is no queue", record.event_source_arn);
        return Err(Failed::Said(say!(text, "replay-no-event", path = shown, cause = cause)));
    };
    let mut replayed = Vec::new();
    for body in pennypost_backend_aws::queue::body::events(&record.body) {
        let message = match codec::decode::<Event>(&body) {
            Ok(mut event) => {
                at_home(office, &mut event, text).await?;
                send(office, stage, &mut event).await?;
                event.message()
            }
            Err(_) => {
                put_bytes(office, stage, TenantId::default(), body).await?;
                None
            }
        };
        replayed.push(Replayed { message, stage, origin: Origin::File });
    }
    Ok(replayed)
}

/// An event of a tenant that is not here goes to those who have its addresses here: samples come from elsewhere.
async fn at_home(office: &Office, event: &mut Event, text: &Text) -> Result<(), Failed> {
    if office.directory.tenant(event.tenant()).await?.is_some() {
        return Ok(());
    }
    let stranger = event.tenant().to_string();
    let Some(accepted) = accepted_of(event) else {
        return Err(Failed::Said(say!(text, "replay-no-tenant", tenant = stranger)));
    };
    let before = accepted.tenant;
    for recipient in &mut accepted.recipients {
        let Some(account) = office.directory.account_at(&recipient.address).await? else {
            let address = recipient.address.clone();
            return Err(Failed::Said(say!(text, "replay-no-account", address = address)));
        };
        // An event that names something of a third tenant goes on doing so: whoever handles it refuses it.
        if recipient.account.tenant == before {
            recipient.account = account.key;
        }
        accepted.tenant = account.key.tenant;
    }
    Ok(())
}

async fn replay_id(office: &Office, id: EventId, text: &Text) -> Result<Replayed, Failed> {
    if let Some(letter) = dead_letters::find(office, id).await?
        && dead_letters::replay(office, &letter).await?
    {
        return Ok(Replayed { message: Some(id), stage: letter.stage, origin: Origin::DeadLetter });
    }
    let log = office.log();
    let mut is_known = false;
    for tenant in office.tenants().await? {
        let Some(journey) = trace::journey(&*log, tenant.id, id).await? else { continue };
        is_known = true;
        let Some(delivery) = &journey.delivery else { continue };
        let Some(accepted) = rebuild(office, &journey, delivery).await? else { continue };
        let mut event = Event::Accepted(Box::new(accepted));
        send(office, Stage::InboundParse, &mut event).await?;
        return Ok(Replayed { message: Some(id), stage: Stage::InboundParse, origin: Origin::Trace });
    }
    let id = id.to_string();
    Err(Failed::Said(if is_known {
        say!(text, "replay-gone", id = id)
    } else {
        say!(text, "replay-unknown", id = id)
    }))
}

/// Puts the event into the queue of `stage` and notes it in the trace.
async fn send(office: &Office, stage: Stage, event: &mut Event) -> Result<(), Failed> {
    spool_large(office, event).await?;
    put(office, stage, event).await?;
    if let Some(message) = event.message() {
        let step = TraceStep::Replayed { queue: stage.queue().to_owned() };
        trace::note(office, event.tenant(), message, step).await?;
    }
    Ok(())
}

/// Puts the event into the queue of `stage`, durably.
pub(crate) async fn put(office: &Office, stage: Stage, event: &Event) -> Result<(), Failed> {
    put_bytes(office, stage, event.tenant(), codec::encode(event)).await
}

async fn put_bytes(office: &Office, stage: Stage, tenant: TenantId, body: Vec<u8>) -> Result<(), Failed> {
    let outgoing = Outgoing { tenant, body, delay: Duration::ZERO };
    let results = office.queue().send_batch(stage, vec![outgoing]).await;
    let unanswered = PortError::Unavailable { port: "queue", cause: "it gave no answer".to_owned() };
    Ok(results.into_iter().next().unwrap_or(Err(unanswered))?)
}

fn accepted_of(event: &mut Event) -> Option<&mut Accepted> {
    match event {
        Event::Accepted(accepted) | Event::Outbound(accepted) => Some(accepted),
        Event::Forwarding(forwarding) => Some(&mut forwarding.accepted),
        Event::Parsed(parsed) => Some(&mut parsed.accepted),
        Event::Decided(decided) => Some(&mut decided.accepted),
        Event::Changed(_) | Event::House(_) | Event::Notified(_) => None,
    }
}

/// Takes the bytes out of an event that is too large with them.
async fn spool_large(office: &Office, event: &mut Event) -> Result<(), Failed> {
    let is_large = |event: &mut Event| {
        accepted_of(event).is_some_and(
            |accepted| matches!(&accepted.body, Body::Inline(stored) if stored.stored_len() > Body::INLINE_LIMIT),
        )
    };
    if !is_large(event) && codec::encode(event).len() <= MAX_EVENT {
        return Ok(());
    }
    let Some(accepted) = accepted_of(event) else { return Ok(()) };
    let Body::Inline(stored) = &accepted.body else { return Ok(()) };
    let (size, bytes) = (stored.size, codec::encode(stored));
    accepted.body = Body::Spooled { object: spool(office, accepted, bytes).await?, size };
    Ok(())
}

/// Gives the spooled bytes of an event a fresh name. `false` if they are not spooled.
pub(crate) async fn respool(office: &Office, event: &mut Event) -> Result<bool, Failed> {
    let Some(accepted) = accepted_of(event) else { return Ok(false) };
    let Body::Spooled { object, size } = &accepted.body else { return Ok(false) };
    let size = *size;
    let (bytes, _) = office.objects().get(object).await?;
    accepted.body = Body::Spooled { object: spool(office, accepted, bytes.to_vec()).await?, size };
    Ok(true)
}

/// Writes spooled bytes under a name of today: neither is it taken, nor does an earlier delivery of the same
/// message or housekeeping remove it too soon.
async fn spool(office: &Office, accepted: &Accepted, bytes: Vec<u8>) -> Result<String, Failed> {
    let object = names::spool(accepted.tenant, office.ids.event(office.clock.now()));
    match office.objects().put_unique(&object, bytes.into()).await? {
        Created::Stored => Ok(object),
        Created::Exists => {
            Err(PortError::Unavailable { port: "objects", cause: "a fresh id was taken".to_owned() }.into())
        }
    }
}

/// The event of a message that was delivered. `None` if nobody has its bytes any more.
async fn rebuild(
    office: &Office,
    journey: &Journey,
    delivery: &Delivery,
) -> Result<Option<Accepted>, Failed> {
    for recipient in &delivery.recipients {
        let Outcome::Stored { rid, .. } = recipient.outcome else { continue };
        let Some(blob) = blob(office, recipient.account, rid).await? else { continue };
        let read = async {
            let message = office.store.open(journey.tenant, blob).await?;
            let receipt = as_accepted(message.sidecar().await?.receipt);
            Ok((receipt, compress(&message.whole().await?)?))
        };
        let (receipt, stored) = match read.await {
            Ok(found) => found,
            // This copy was deleted for good or is damaged: another recipient's may lie elsewhere.
            Err(StoreError::Port(PortError::NotFound { .. }) | StoreError::Damaged(_)) => continue,
            Err(error) => return Err(error.into()),
        };
        return Ok(Some(Accepted {
            id: journey.id,
            time: delivery.accepted,
            tenant: journey.tenant,
            source: source(delivery),
            auth: auth(delivery),
            reverse_path: delivery.reverse_path.clone(),
            recipients: delivery
                .recipients
                .iter()
                .filter(|one| !is_of_group(one) && !is_forwarded(one))
                .map(addressee)
                .collect(),
            body: Body::Inline(stored),
            receipt,
        }));
    }
    Ok(None)
}

/// The fields made at receipt without the Return-Path, which parsing puts in front of them.
fn as_accepted(receipt: String) -> String {
    match receipt.split_once("\r\n") {
        Some((first, rest)) if first.starts_with("Return-Path:") => rest.to_owned(),
        _ => receipt,
    }
}

/// Where the message with that id lay when it was added.
async fn blob(office: &Office, account: AccountKey, rid: Rid) -> Result<Option<BlobRef>, StoreError> {
    let seq = Seq(rid.0 / Rid::PER_ENTRY as u64);
    let entries = office.store.journal().before(account, seq, 1).await?;
    let entry = entries.into_iter().find(|entry| entry.seq == seq);
    let blob = |op: &Op| match op {
        Op::Add(add) if Rid::new(seq, add.index) == rid => Some(add.blob),
        _ => None,
    };
    Ok(entry.and_then(|entry| entry.ops.iter().find_map(blob)))
}

fn has_reason(delivery: &Delivery, wanted: impl Fn(&str) -> bool) -> bool {
    delivery.recipients.iter().flat_map(|recipient| &recipient.reasons).any(|reason| wanted(reason))
}

fn source(delivery: &Delivery) -> Source {
    let (ip, helo) = delivery.peer.split_once(' ').unwrap_or((&delivery.peer, ""));
    let is_system = has_reason(delivery, |reason| reason == pennypost_policy::SYSTEM_REASON);
    Source {
        kind: if let Some(submitter) = delivery.submitter.clone() {
            // What stood in Bcc lies with the copy in Sent, and nowhere else.
            SourceKind::Submission(Box::new(Submission { submitter, bcc: String::new() }))
        } else if let [only] = &delivery.recipients[..]
            && only.outcome == Outcome::Outside
        {
            // Only the post office itself writes to somebody elsewhere whom no member has written to.
            SourceKind::Notice(only.account)
        } else if is_system {
            SourceKind::System
        } else if has_reason(delivery, |reason| reason == "rule:service-spam") {
            SourceKind::Service { spam: Verdict::Fail }
        } else {
            SourceKind::Smtp
        },
        ip: ip.parse().ok(),
        helo: helo.to_owned(),
        tls: None,
    }
}

fn auth(delivery: &Delivery) -> AuthResults {
    let [spf, dkim, dmarc] = delivery.auth;
    // The score notes for mail from trusted networks only that it is that.
    let trusted =
        delivery.auth == [Verdict::None; 3] && has_reason(delivery, |reason| reason.starts_with("trusted"));
    AuthResults { spf, dkim, dmarc, trusted, ..AuthResults::default() }
}

/// Is it a member elsewhere of a group? What goes there is put down apart, and is not sent again by a replay.
fn is_of_group(recipient: &TraceRecipient) -> bool {
    recipient.outcome == Outcome::Outside
        && recipient.reasons.iter().any(|reason| reason.starts_with(pennypost_model::trace::GROUP_REASON))
}

/// Does it get the message because somebody forwards it? A replay asks anew whether he does, and whoever has it gets it no more.
fn is_forwarded(recipient: &TraceRecipient) -> bool {
    recipient.reasons.iter().any(|reason| reason.starts_with(pennypost_model::trace::FORWARD_REASON))
}

fn addressee(recipient: &TraceRecipient) -> Recipient {
    let is_catch_all = recipient.reasons.iter().any(|reason| reason == "rule:catch-all");
    Recipient {
        account: recipient.account,
        address: recipient.address.clone(),
        via: match (is_catch_all, trace::is_sent_copy(recipient)) {
            _ if recipient.outcome == Outcome::Outside => Via::Outside,
            _ if pennypost_journeys::is_draft(recipient) => Via::Drafts,
            (_, true) => Via::Sent,
            (true, false) => Via::CatchAll,
            (false, false) => Via::Direct,
        },
    }
}

#[cfg(test)]
mod tests;
