//! Single letters, as their traces tell of them: never what is in them.

use pennypost_admin::{Action, Delivery, Journey, LetterKind, LetterQuery, letters_csv};
use pennypost_directory::Listed;
use pennypost_model::event::Verdict;
use pennypost_model::trace::{Outcome, RemoteAnswer, RemoteOutcome, TraceRecipient, TraceStep};
use pennypost_model::{AccountId, EventId, Timestamp};
use schemars::JsonSchema;
use serde::Serialize;

use super::page_of;
use super::sign_ins::{FROM, TO, day, wrong};
use crate::rest::ask::{Ask, cursor_of, rows};
use crate::rest::operation::{Good, Method, Operation, PAGE, Query, shape};
use crate::rest::problem::details::no_such;
use crate::rest::problem::{Kind, Refusal};
use crate::rest::reply::Reply;

/// A letter.
#[derive(Serialize, JsonSchema)]
pub(crate) struct Letter {
    /// Its id, which stands in its Received field, too.
    id: String,
    /// When it was accepted.
    accepted: String,
    /// `sent`, if a member within reach handed it in, whoever gets it; else `received`.
    kind: &'static str,
    /// Reverse-path of its envelope.
    sender: String,
    /// Addresses that it goes to, as far as they are within reach.
    recipients: Vec<String>,
    /// Its subject, cut to 100 bytes.
    subject: String,
    /// Its bytes; null: nothing is known of it but that something went wrong.
    size: Option<u64>,
    /// `being-processed`: it waits for a scanner, or is with it, and is delivered nowhere yet; `processed`: each recipient has
    /// an outcome; `unknown`: nothing is known of it but that something went wrong.
    state: &'static str,
}

page_of!(Letters, Letter);

/// What happened for a recipient.
#[derive(Serialize, JsonSchema)]
pub(crate) struct LetterRecipient {
    /// The address of the envelope.
    address: String,
    /// The account to which it led.
    account: String,
    /// `stored`, `refused`, or `quarantined`; at another server `on-the-way`, `delayed` (the other server does not take it yet, and it is
    /// tried again), `sent` (the other server has it) or `failed` (also by a report that came later).
    outcome: &'static str,
    /// The mailbox into which it came: the name of its use, or its number.
    mailbox: Option<String>,
    /// Why it was refused, or what the other server said.
    cause: Option<String>,
    /// The other server that was spoken to last, with its address.
    server: Option<String>,
    /// TLS version and cipher suite of the way to it.
    tls: Option<String>,
    /// Who asked for TLS with a valid certificate on that way; null: nobody did.
    tls_demand: Option<LetterTlsDemand>,
    /// When it said that.
    answered: Option<String>,
    /// Who has reported that it came back after that server had taken it, as he calls himself; null: nobody has.
    reported_by: Option<String>,
    /// When it is tried again; null: nobody waits, or it has been tried since without news.
    next: Option<String>,
    /// Rules that decided where it went.
    reasons: Vec<String>,
}

/// TLS with a valid certificate, as it was asked for.
#[derive(Serialize, JsonSchema)]
pub(crate) struct LetterTlsDemand {
    /// Who asks for it: `dane` (what its domain has published of the server, proved by DNSSEC: RFC 7672), `mta-sts` (the other domain's policy:
    /// RFC 8461), `smart-host` (the password that it is told), or `sender` (who wrote it: RFC 8689; then it fails at once).
    reason: &'static str,
    /// Without it nothing is sent, and the letter waits; otherwise it is only told here that there was none.
    enforced: bool,
    /// Why it could not be had; null: nothing stood in its way.
    failure: Option<String>,
}

/// What authentication found, by RFC 8601.
#[derive(Serialize, JsonSchema)]
pub(crate) struct LetterAuth {
    /// SPF.
    spf: &'static str,
    /// DKIM.
    dkim: &'static str,
    /// DMARC.
    dmarc: &'static str,
}

/// Its delivery.
#[derive(Serialize, JsonSchema)]
pub(crate) struct LetterDelivery {
    /// When it was delivered.
    time: String,
    /// Who handed it in: address and name.
    peer: String,
    /// What authentication found.
    auth: LetterAuth,
    /// Of what its reader is to be warned: `dmarc-failed` (its author's domain says that others have written it, or it was changed on its way),
    /// `not-authenticated` (nothing proves who has written it). Null: of nothing; a member, or the post office itself, has written it, or it is proved.
    hint: Option<&'static str>,
    /// What happened for each recipient within reach; of whoever handed it in the copy in Sent, too.
    recipients: Vec<LetterRecipient>,
}

/// A member who handed it in.
#[derive(Serialize, JsonSchema)]
pub(crate) struct LetterSubmitter {
    /// The member's account.
    account: String,
    /// Its own address.
    address: String,
    /// By which protocol: `ESMTPSA`.
    protocol: String,
}

/// Something else that happened to it.
#[derive(Serialize, JsonSchema)]
pub(crate) struct LetterIncident {
    /// When.
    time: String,
    /// `received` (by another service for us), `dead-lettered`, `replayed`, `refused`.
    step: &'static str,
    /// The queue or service, and why.
    detail: String,
}

/// What a letter waits for.
#[derive(Serialize, JsonSchema)]
pub(crate) struct LetterProcessing {
    /// Since when.
    since: String,
    /// For what.
    cause: String,
}

/// A letter with what happened to it.
#[derive(Serialize, JsonSchema)]
pub(crate) struct LetterJourney {
    /// What lists tell of it.
    #[serde(flatten)]
    letter: Letter,
    /// Its Message-ID.
    message_id: String,
    /// Who handed it in; null: it came from outside, or from somebody out of reach.
    submitter: Option<LetterSubmitter>,
    /// What it waits for while it is being processed; null: nothing.
    processing: Option<LetterProcessing>,
    /// Its delivery; null: it was not delivered here.
    delivery: Option<LetterDelivery>,
    /// What else happened; told to those only who reach the whole tenant.
    incidents: Vec<LetterIncident>,
}

fn show(letter: &Journey) -> Letter {
    let mut recipients: Vec<String> = Vec::new();
    for recipient in letter.recipients() {
        if !recipients.contains(&recipient.address) {
            recipients.push(recipient.address.clone());
        }
    }
    let waiting = letter.processing.as_ref().filter(|_| letter.delivery.is_none());
    if let Some(processing) = waiting {
        recipients.extend(processing.recipients.iter().map(|(address, _)| address.clone()));
        recipients.dedup();
    }
    Letter {
        id: letter.id.to_string(),
        accepted: letter.id.time().rfc3339(),
        kind: if letter.submitter().is_some() { "sent" } else { "received" },
        sender: letter.reverse_path().to_owned(),
        recipients,
        subject: letter.subject().to_owned(),
        size: letter
            .delivery
            .as_ref()
            .map(|delivery| delivery.size)
            .or(waiting.map(|processing| processing.size)),
        state: match (&letter.delivery, waiting) {
            (Some(_), _) => "processed",
            (None, Some(_)) => "being-processed",
            (None, None) => "unknown",
        },
    }
}

fn show_recipient(recipient: &TraceRecipient, letter: &Journey, now: Timestamp) -> LetterRecipient {
    let mut shown = LetterRecipient {
        address: recipient.address.clone(),
        account: recipient.account.account.to_string(),
        outcome: "on-the-way",
        mailbox: None,
        cause: None,
        server: None,
        tls: None,
        tls_demand: None,
        answered: None,
        reported_by: None,
        next: None,
        reasons: recipient.reasons.clone(),
    };
    match &recipient.outcome {
        Outcome::Stored { mailbox, .. } => (shown.outcome, shown.mailbox) = ("stored", Some(mailbox.clone())),
        Outcome::Refused { cause } => (shown.outcome, shown.cause) = ("refused", Some(cause.clone())),
        Outcome::Quarantined { cause } => {
            (shown.outcome, shown.cause) = ("quarantined", Some(cause.clone()));
        }
        Outcome::Outside => {
            let Some(remote) = letter.remote(&recipient.address) else { return shown };
            shown.outcome = match remote.outcome {
                RemoteOutcome::Sent => "sent",
                RemoteOutcome::Deferred => "delayed",
                RemoteOutcome::Failed => "failed",
            };
            let RemoteAnswer { code, status, text } = remote.answer;
            let code = code.map(|code| format!("{code} ")).unwrap_or_default();
            shown.cause = Some(format!("{code}{status} {text}").trim().to_owned());
            shown.server = Some(remote.attempt.host.clone()).filter(|host| !host.is_empty());
            shown.tls.clone_from(&remote.attempt.tls);
            shown.tls_demand = remote.demand.map(|demand| LetterTlsDemand {
                reason: demand.reason.name(),
                enforced: demand.is_enforced,
                failure: demand.failure.clone(),
            });
            shown.answered = Some(remote.time.rfc3339());
            shown.reported_by = remote.came_back.map(|back| back.reporter.clone());
            let waits = remote.outcome == RemoteOutcome::Deferred;
            // Of later attempts that put it off once more nothing is traced: a time that is past says nothing.
            shown.next = remote.attempt.next.filter(|next| waits && *next > now).map(Timestamp::rfc3339);
        }
    }
    shown
}

const fn verdict(verdict: Verdict) -> &'static str {
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

/// Of what the reader of a letter is to be warned (RCV-18). What the post office has written has come from no peer.
fn hint(delivery: &Delivery) -> Option<&'static str> {
    let [.., dmarc] = delivery.auth;
    if delivery.submitter.is_some() || delivery.peer.is_empty() {
        return None;
    }
    if dmarc == Verdict::Fail {
        return Some("dmarc-failed");
    }
    (!delivery.auth.contains(&Verdict::Pass)).then_some("not-authenticated")
}

fn show_delivery(delivery: &Delivery, letter: &Journey, now: Timestamp) -> LetterDelivery {
    let [spf, dkim, dmarc] = delivery.auth.map(verdict);
    LetterDelivery {
        time: delivery.time.rfc3339(),
        peer: delivery.peer.clone(),
        auth: LetterAuth { spf, dkim, dmarc },
        hint: hint(delivery),
        recipients: delivery
            .recipients
            .iter()
            .map(|recipient| show_recipient(recipient, letter, now))
            .collect(),
    }
}

/// What happened beside its delivery.
fn show_incident((time, step): (Timestamp, TraceStep)) -> Option<LetterIncident> {
    let (step, detail) = match step {
        TraceStep::Delivered { .. }
        | TraceStep::Attempted(_)
        | TraceStep::BeingProcessed { .. }
        | TraceStep::CameBack(_)
        | TraceStep::WasRead(_) => {
            return None;
        }
        TraceStep::DeadLettered { queue, cause } => ("dead-lettered", format!("{queue}: {cause}")),
        TraceStep::Replayed { queue } => ("replayed", queue),
        TraceStep::Refused { cause } => ("refused", cause),
        TraceStep::Received { by, id, unreached, held } => {
            let mut detail = format!("{by} {id}");
            for (address, cause) in unreached {
                detail.push_str(&format!("; {address}: {cause}"));
            }
            if let Some(cause) = held {
                detail.push_str(&format!("; held: {cause}"));
            }
            ("received", detail)
        }
    };
    Some(LetterIncident { time: time.rfc3339(), step, detail })
}

fn show_journey(letter: Journey, now: Timestamp) -> LetterJourney {
    let shown = show(&letter);
    let submitter = letter.submitter().map(|submitter| LetterSubmitter {
        account: submitter.account.account.to_string(),
        address: submitter.address.clone(),
        protocol: submitter.protocol.clone(),
    });
    let waiting = letter.processing.as_ref().filter(|_| letter.delivery.is_none());
    let message_id = letter.delivery.as_ref().map(|delivery| &delivery.message_id);
    let message_id = message_id.or(waiting.map(|processing| &processing.message_id)).cloned();
    let processing = waiting.map(|processing| LetterProcessing {
        since: processing.time.rfc3339(),
        cause: processing.cause.clone(),
    });
    LetterJourney {
        letter: shown,
        message_id: message_id.unwrap_or_default(),
        submitter,
        processing,
        delivery: letter.delivery.as_ref().map(|delivery| show_delivery(delivery, &letter, now)),
        incidents: letter.incidents.into_iter().filter_map(show_incident).collect(),
    }
}

const LIST: &[Query] = &[
    PAGE[0],
    PAGE[1],
    FROM,
    TO,
    Query { name: "kind", about: "`received` or `sent`.", is_number: false },
    Query { name: "address", about: "A part of an address of the sender or a recipient.", is_number: false },
    Query { name: "domain", about: "The domain of the sender or a recipient.", is_number: false },
    Query { name: "subject", about: "A part of the subject.", is_number: false },
    Query { name: "account", about: "The id of the account that received or sent it.", is_number: false },
];

fn query(ask: &Ask) -> Result<LetterQuery, Refusal> {
    let kind = match ask.parameter("kind") {
        None => None,
        Some("received") => Some(LetterKind::Received),
        Some("sent") => Some(LetterKind::Sent),
        Some(_) => return Err(wrong("kind")),
    };
    let account = ask.parameter("account").map(|id| id.parse::<AccountId>().map_err(|_| wrong("account")));
    let text = |name| ask.parameter(name).map(str::to_owned);
    Ok(LetterQuery {
        from: day(ask, "from")?,
        until: day(ask, "to")?.map(|last| last.plus_millis(24 * 60 * 60 * 1000)),
        kind,
        address: text("address"),
        domain: text("domain"),
        subject: text("subject"),
        account: account.transpose()?,
    })
}

pub(super) const OPERATIONS: &[Operation] = &[
    Operation {
        name: "list-letters",
        method: Method::Get,
        path: "/tenants/{tenant}/letters",
        action: Some(Action::LetterRead),
        summary: "Look for letters, the newest first, of 180 or 90 days, as the plan says",
        query: LIST,
        body: None,
        is_update: false,
        good: Good { status: 200, shape: Some(shape::<Letters>), is_tagged: false, has_csv: true },
        problems: &[],
        handler: |ask| {
            Box::pin(async move {
                let (tenant, query, page) = (ask.tenant()?, query(ask)?, ask.page()?);
                let below = page.after.map(|text| text.parse::<EventId>().map_err(|_| wrong("after")));
                let below = below.transpose()?;
                let found = ask.administration.letters(&ask.call, tenant, &query, below, page.limit);
                let (letters, next) = found.await?;
                let next = next.map(|next| next.to_string());
                if ask.accept.contains("text/csv") {
                    return Ok(Reply::csv(letters_csv(&letters), next.as_deref().map(cursor_of)));
                }
                Ok(Reply::document(&rows(Listed { items: letters, next }, |letter| show(&letter))))
            })
        },
    },
    Operation {
        name: "get-letter",
        method: Method::Get,
        path: "/tenants/{tenant}/letters/{letter}",
        action: Some(Action::LetterRead),
        summary: "Look at what happened to a letter",
        query: &[],
        body: None,
        is_update: false,
        good: Good::told(shape::<LetterJourney>),
        problems: &[],
        handler: |ask| {
            Box::pin(async move {
                let missing = |_| Refusal::new(Kind::NotFound, no_such("letter"));
                let id = ask.word("letter").parse::<EventId>().map_err(missing)?;
                let letter = ask.administration.letter(&ask.call, ask.tenant()?, id).await?;
                let now = ask.administration.directory().now();
                Ok(Reply::document(&show_journey(letter, now)))
            })
        },
    },
];
