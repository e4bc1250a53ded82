//! Handler: mail that another service has received for us becomes accepted messages.
//!
//! SES puts a letter into the bucket of raw mail and says so ([`Notification`]): for whom, from whom, and what it found.
//! This asks the directory who of them is here, as SMTP does at RCPT, and accepts the letter as SMTP does after DATA: the
//! same event in the queue `inbound`, the same spool for what is large, one event for each tenant.
//!
//! Owns nothing. It removes a letter from the bucket of raw mail once its events are in the queue and the trace says so
//! ([`TraceStep::Received`]).
//!
//! Invariants:
//! - SES has said `250`: nobody is bounced any more. An address at which nobody takes mail stands in the trace, a letter
//!   that SMTP would have refused (blacklist, DMARC) goes to Junk by the filter's own rules, one with a virus stays where it
//!   lies and the trace says so.
//! - The message's id and time follow from SES's, so a notification that comes again adds nothing (deliver looks for the
//!   id). One that comes when the letter has been removed is known by its trace.
//! - Events first, trace second, removal last. If the process dies at any line, the notification comes again and finds the
//!   letter, or the trace. A notification whose letter is in neither place is a dead letter.
//! - Only names below [`RAW_MAIL`] are read and removed, in the bucket that was configured, whatever a notification says.

mod letter;
mod notification;
mod peer;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use futures::FutureExt;
use futures::stream::{self, StreamExt};
use pennypost_directory::{Admission, Directory, Resolved};
use pennypost_mailstore::accept;
use pennypost_model::event::{Event, Notified, Recipient, Stage, Verdict, Via};
use pennypost_model::trace::{TraceRecord, TraceStep};
use pennypost_model::{EventId, TenantId, codec};
use pennypost_ports::{Clock, Ids, Log, LogKind, LogQuery, LogRecord, Objects, Outgoing, PortError, Queue};
use pennypost_runtime::needs::RAW_MAIL;
use pennypost_runtime::usage::{self, Part};
use pennypost_runtime::{Failure, Handler, Outcome};

pub use notification::{Malformed, Notification, Said, Verdicts};

/// Letters that are in memory at once.
const AT_ONCE: usize = 4;
/// Received fields from which on a letter is taken to be in a loop (RFC 5321 section 6.3).
const HOPS: usize = 100;
/// The service, in traces.
const SES: &str = "ses";

/// The ports.
pub struct Ports {
    /// The bucket of raw mail.
    pub raw: Arc<dyn Objects>,
    /// Spools what is large.
    pub objects: Arc<dyn Objects>,
    /// Takes what is accepted.
    pub queue: Arc<dyn Queue>,
    /// Holds the trace.
    pub log: Arc<dyn Log>,
    /// Who is here.
    pub directory: Directory,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// Fresh ids.
    pub ids: Arc<dyn Ids>,
}

/// What is configured.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// The bucket that notifications must name. `None`: any, since there is one place only.
    pub bucket: Option<String>,
    /// Our name in header fields.
    pub hostname: String,
}

/// The handler.
pub struct Receive {
    ports: Ports,
    settings: Settings,
}

/// What is to be done for one notification.
#[derive(Default)]
struct Taken {
    letters: Vec<Outgoing>,
    notes: Vec<Note>,
    /// What is removed at the end.
    raw: Option<String>,
    /// What stays undone although the rest is done.
    left: Option<Failure>,
}

/// What the trace of one tenant says.
struct Note {
    part: Part,
    message: EventId,
    step: TraceStep,
}

/// The envelope by tenants.
#[derive(Default)]
struct Envelope {
    tenants: BTreeMap<TenantId, Addressees>,
    strangers: usize,
    suspended: bool,
}

#[derive(Default)]
struct Addressees {
    /// Each account once.
    recipients: Vec<Recipient>,
    unreached: Vec<(String, String)>,
}

impl Addressees {
    fn add(&mut self, found: Vec<Recipient>) {
        for recipient in found {
            if !self.recipients.iter().any(|known| known.account == recipient.account) {
                self.recipients.push(recipient);
            }
        }
    }
}

fn failure(error: &PortError) -> Failure {
    if error.is_temporary() { Failure::temporary(error) } else { Failure::permanent(error) }
}

impl Receive {
    /// A handler over these ports.
    #[must_use]
    pub const fn new(ports: Ports, settings: Settings) -> Receive {
        Receive { ports, settings }
    }

    async fn take(&self, event: Event) -> Result<Taken, Failure> {
        let Event::Notified(Notified { document }) = event else {
            return Err(Failure::misrouted(&event, Stage::Receive));
        };
        let said = Notification::read(&document).map_err(|error| Failure::permanent(&error))?;
        let Said::Letter(notification) = said else {
            tracing::info!("SES has made a rule");
            return Ok(Taken::default());
        };
        self.check_place(&notification)?;
        let envelope = self.envelope(&notification).await?;
        if notification.verdicts.virus == Verdict::Fail {
            return Ok(held(&notification, envelope, "there is a virus in it"));
        }
        self.accept(&notification, envelope).await
    }

    fn check_place(&self, notification: &Notification) -> Result<(), Failure> {
        let is_ours = self.settings.bucket.as_ref().is_none_or(|bucket| *bucket == notification.bucket);
        if !is_ours {
            return Err(Failure::permanent("the letter lies in another bucket than the one for raw mail"));
        }
        if !notification.object.starts_with(RAW_MAIL) {
            return Err(Failure::permanent(&format!("the letter's name does not begin with {RAW_MAIL:?}")));
        }
        Ok(())
    }

    /// Whom the addresses lead to. All of them unknown domains is no misaddressed letter but a domain that is missing here.
    async fn envelope(&self, notification: &Notification) -> Result<Envelope, Failure> {
        let mut envelope = Envelope::default();
        for address in &notification.recipients {
            let resolved = self.ports.directory.resolve_taken(address).await;
            let resolved = resolved.map_err(|error| match error.is_temporary() {
                true => Failure::temporary(&error),
                false => Failure::permanent(&error),
            })?;
            let unreached = |why: &str| (address.clone(), why.to_owned());
            match resolved {
                Resolved::Local { tenant, ref recipients, .. }
                    if recipients.iter().any(|recipient| recipient.via == Via::Group)
                        && !self.may_send(tenant, address, notification).await? =>
                {
                    let addressees = envelope.tenants.entry(tenant).or_default();
                    addressees.unreached.push(unreached("this sender may not send to this group"));
                }
                // Members elsewhere get what members of the organisation hand in, and nothing else.
                Resolved::Local { tenant, recipients, .. } if recipients.is_empty() => {
                    let addressees = envelope.tenants.entry(tenant).or_default();
                    addressees.unreached.push(unreached("all members of this group are elsewhere"));
                }
                Resolved::Local { tenant, recipients, .. } => {
                    envelope.tenants.entry(tenant).or_default().add(recipients);
                }
                Resolved::UnknownUser { tenant } => {
                    let addressees = envelope.tenants.entry(tenant).or_default();
                    addressees.unreached.push(unreached("nobody has this address"));
                }
                Resolved::Disabled { tenant } => {
                    let addressees = envelope.tenants.entry(tenant).or_default();
                    addressees.unreached.push(unreached("this mailbox takes no mail"));
                }
                Resolved::UnknownDomain => envelope.strangers += 1,
                Resolved::Suspended { .. } => envelope.suspended = true,
            }
        }
        if envelope.tenants.is_empty() && !envelope.suspended {
            return Err(Failure::permanent("the domain of none of its recipients is here"));
        }
        if envelope.strangers > 0 {
            let count = envelope.strangers;
            tracing::warn!(id = notification.id, count, "recipients of domains that are not here");
        }
        Ok(envelope)
    }

    /// May the sender send to this address of the tenant (GRP-04)? Who may has to be confirmed by SPF.
    async fn may_send(
        &self,
        tenant: TenantId,
        address: &str,
        notification: &Notification,
    ) -> Result<bool, Failure> {
        let admission = self.ports.directory.admission(tenant, address, &notification.reverse_path).await;
        let admission = admission.map_err(|error| match error.is_temporary() {
            true => Failure::temporary(&error),
            false => Failure::permanent(&error),
        })?;
        Ok(match admission {
            Admission::Open => true,
            Admission::Known => notification.verdicts.spf == Verdict::Pass,
            Admission::Refused => false,
        })
    }

    async fn accept(&self, notification: &Notification, envelope: Envelope) -> Result<Taken, Failure> {
        let is_for_somebody = envelope.tenants.values().any(|addressees| !addressees.recipients.is_empty());
        let suspended =
            envelope.suspended.then(|| Failure::temporary("an organisation takes no mail at present"));
        if !is_for_somebody {
            let notes = envelope.tenants.into_iter();
            let notes = notes.map(|(tenant, addressees)| note(notification, tenant, &addressees, 0, None));
            let raw = Some(notification.object.clone());
            return Ok(Taken { notes: notes.collect(), raw, left: suspended, ..Taken::default() });
        }
        let Some(bytes) = self.bytes(notification, &envelope).await? else { return Ok(Taken::default()) };
        let header = &bytes[..pennypost_mime::header_end(&bytes)];
        let is_received = |(name, ..): &(&[u8], &[u8], _)| name.eq_ignore_ascii_case(b"Received");
        if pennypost_mime::header_fields(header).filter(is_received).count() > HOPS {
            return Ok(held(notification, envelope, "too many hops: it is in a loop"));
        }
        let peer = peer::peer(header, &notification.id);
        let size = bytes.len();
        let stored = accept::compressed(bytes).await.map_err(|error| Failure::temporary(&error))?;
        let mut taken = Taken { raw: Some(notification.object.clone()), left: suspended, ..Taken::default() };
        let now = self.ports.clock.now();
        for (tenant, addressees) in envelope.tenants {
            taken.notes.push(note(notification, tenant, &addressees, size, None));
            let parts = letter::parts(addressees.recipients).into_iter().enumerate();
            for (number, recipients) in parts.filter(|(_, recipients)| !recipients.is_empty()) {
                let part = (tenant, number, recipients);
                let hostname = &self.settings.hostname;
                let accepted = letter::accepted(notification, &peer, hostname, part, (stored.clone(), now));
                // A fresh name of today: an earlier try's may have been removed since.
                let spool = self.ports.ids.event(now);
                let body = accept::for_the_queue(&*self.ports.objects, accepted, spool).await;
                let body = body.map_err(|error| failure(&error))?;
                taken.letters.push(Outgoing { tenant, body, delay: Duration::ZERO });
            }
        }
        Ok(taken)
    }

    /// The letter as SES has put it there. `None` if it has been accepted and removed before.
    async fn bytes(
        &self,
        notification: &Notification,
        envelope: &Envelope,
    ) -> Result<Option<Vec<u8>>, Failure> {
        match self.ports.raw.get(&notification.object).await {
            Ok((bytes, _)) if bytes.is_empty() => Err(Failure::permanent("the letter is empty")),
            Ok((bytes, _)) => Ok(Some(bytes.into())),
            Err(PortError::NotFound { .. }) => {
                for tenant in envelope.tenants.keys() {
                    if self.was_received(*tenant, letter::id_of(notification, *tenant, 0)).await? {
                        return Ok(None);
                    }
                }
                Err(Failure::permanent("the letter is not in the bucket of raw mail, and was never accepted"))
            }
            Err(error) => Err(failure(&error)),
        }
    }

    async fn was_received(&self, tenant: TenantId, id: EventId) -> Result<bool, Failure> {
        let query = LogQuery { tenant, kind: LogKind::Trace, from: id, to: id, limit: 100 };
        let records = self.ports.log.query(&query).await.map_err(|error| failure(&error))?;
        Ok(records.iter().any(|record| {
            let trace = codec::decode::<TraceRecord>(&record.value);
            trace.is_ok_and(|trace| matches!(trace.step, TraceStep::Received { held: None, .. }))
        }))
    }

    /// Sends the letters of all notifications together.
    async fn send(&self, taken: &mut [Result<Taken, Failure>]) {
        let mut origins = Vec::new();
        let mut letters = Vec::new();
        for (index, one) in taken.iter_mut().enumerate() {
            if let Ok(one) = one {
                origins.extend(one.letters.iter().map(|_| index));
                letters.append(&mut one.letters);
            }
        }
        if letters.is_empty() {
            return;
        }
        let count = letters.len();
        let mut results = self.ports.queue.send_batch(Stage::InboundParse, letters).await;
        let silence = || Err(PortError::Unavailable { port: "queue", cause: "it gave no answer".to_owned() });
        results.resize_with(count, silence);
        for (index, result) in origins.into_iter().zip(results) {
            if let Err(error) = result {
                taken[index] = Err(failure(&error));
            }
        }
    }

    /// Writes the traces of what is done as a whole.
    async fn note(&self, taken: &mut [Result<Taken, Failure>]) {
        let time = self.ports.clock.now();
        let mut notes = Vec::new();
        for (index, one) in taken.iter_mut().enumerate() {
            if let Ok(one) = one
                && one.left.is_none()
            {
                notes.extend(one.notes.drain(..).map(|note| (index, note)));
            }
        }
        if notes.is_empty() {
            return;
        }
        let parts: Vec<Part> = notes.iter().map(|(_, note)| note.part).collect();
        let mut origins = Vec::with_capacity(notes.len());
        let mut records = Vec::with_capacity(notes.len());
        for ((index, note), used) in notes.into_iter().zip(usage::take(&parts)) {
            let Note { part: Part { tenant, .. }, message, step } = note;
            let record = TraceRecord { used, ..TraceRecord::new(tenant, message, time, step) };
            let value = codec::encode(&record);
            records.push(LogRecord { tenant, kind: LogKind::Trace, id: message, time, value });
            origins.push(index);
        }
        if let Err(error) = self.ports.log.append(&records).await {
            origins.into_iter().for_each(|index| taken[index] = Err(failure(&error)));
        }
    }

    /// Removes what is done as a whole. What can't be removed is left to the bucket's own rule.
    async fn remove(&self, taken: &[Result<Taken, Failure>]) {
        let is_done = |one: &&Taken| one.left.is_none();
        let names = taken.iter().filter_map(|one| one.as_ref().ok()).filter(is_done);
        let removals = names.filter_map(|one| one.raw.as_ref()).map(|name| {
            async move {
                if let Err(error) = self.ports.raw.delete(name).await {
                    tracing::warn!(name, %error, "a letter that was accepted is still in the bucket of raw mail");
                }
            }
            .boxed()
        });
        stream::iter(removals.collect::<Vec<_>>()).buffer_unordered(AT_ONCE).collect::<Vec<()>>().await;
    }
}

/// The note of a tenant.
fn note(
    notification: &Notification,
    tenant: TenantId,
    addressees: &Addressees,
    size: usize,
    held: Option<&str>,
) -> Note {
    let deliveries = u32::try_from(addressees.recipients.len()).unwrap_or(u32::MAX);
    let bytes = u32::try_from(size).unwrap_or(u32::MAX);
    let step = TraceStep::Received {
        by: SES.to_owned(),
        id: notification.id.clone(),
        unreached: addressees.unreached.clone(),
        held: held.map(str::to_owned),
    };
    Note { part: Part { tenant, deliveries, bytes }, message: letter::id_of(notification, tenant, 0), step }
}

/// What is not accepted: the traces of all its tenants say why, and it stays where it lies.
fn held(notification: &Notification, envelope: Envelope, why: &str) -> Taken {
    tracing::warn!(id = notification.id, why, "a letter is held in the bucket of raw mail");
    let tenants = envelope.tenants.into_iter();
    let notes = tenants.map(|(tenant, addressees)| note(notification, tenant, &addressees, 0, Some(why)));
    Taken { notes: notes.collect(), ..Taken::default() }
}

#[async_trait]
impl Handler for Receive {
    fn stage(&self) -> Stage {
        Stage::Receive
    }

    async fn handle(&self, events: Vec<Event>) -> Vec<Outcome> {
        let takings: Vec<_> = events.into_iter().map(|event| self.take(event).boxed()).collect();
        let mut taken: Vec<Result<Taken, Failure>> = stream::iter(takings).buffered(AT_ONCE).collect().await;
        self.send(&mut taken).await;
        self.note(&mut taken).await;
        self.remove(&taken).await;
        let outcome = |taken: Result<Taken, Failure>| match taken?.left {
            None => Ok(Vec::new()),
            Some(left) => Err(left),
        };
        taken.into_iter().map(outcome).collect()
    }
}

#[cfg(test)]
mod tests;
