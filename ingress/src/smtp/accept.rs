//! From a message that has arrived to its event in the queue: the last look at it, and the durable step.

use pennypost_directory::{MemberLimits, ReportOf, TenantPolicy};
use pennypost_feedback::{Disposition, Reason, Seen};
use pennypost_held::Cause;
use pennypost_mailstore::accept;
use pennypost_model::EventId;
use pennypost_model::event::{
    Accepted, AuthResults, Body as EventBody, DmarcPolicy, Recipient, Requested, Source, SourceKind, Stage,
    ToGroups, Verdict,
};
use pennypost_model::message::Facts;
use pennypost_model::structure::{Part, Structure};
use pennypost_policy::Acceptance;
use pennypost_ports::{Outgoing, PortError};
use tokio::time::Instant;
use tracing::{info, warn};

use super::Role;
use super::authenticate::{Sender, none_field};
use super::received::{Received, Spoken, protocol};
use super::reply::Reply;
use super::report::tells_of_failure;
use super::session::Session;
use super::submission::Alone;
use super::transaction::{Body, Tenant, Transaction};
use super::without_delay;

/// Bytes of a header block that is looked through for signatures.
const MAX_VERIFIED_HEADER: usize = 1 << 20;

/// Bytes of a report that goes back to a sender elsewhere: servers return the header, or cut what they return.
const MAX_RETURNED: usize = 256 * 1024;

/// What is done with a message because of DMARC (decision 0003), and why it is something else than the domain asks for.
fn disposition(
    acceptance: &Acceptance,
    auth: &AuthResults,
    is_listed: bool,
) -> (Disposition, Option<Reason>) {
    match (acceptance, auth.dmarc, auth.dmarc_policy) {
        (Acceptance::Refuse { rule: "dmarc-reject", .. }, ..) => (Disposition::Reject, None),
        (Acceptance::Refuse { .. }, ..) => (Disposition::Reject, Some(Reason::LocalPolicy)),
        (Acceptance::Accept, Verdict::Fail, DmarcPolicy::Quarantine | DmarcPolicy::Reject) if is_listed => {
            (Disposition::None, Some(Reason::LocalPolicy))
        }
        (Acceptance::Accept, Verdict::Fail, DmarcPolicy::Reject) if auth.arc == Verdict::Pass => {
            (Disposition::Quarantine, Some(Reason::TrustedForwarder))
        }
        (Acceptance::Accept, Verdict::Fail, DmarcPolicy::Reject) => {
            (Disposition::Quarantine, Some(Reason::LocalPolicy))
        }
        (Acceptance::Accept, Verdict::Fail, DmarcPolicy::Quarantine) => (Disposition::Quarantine, None),
        (Acceptance::Accept, ..) => (Disposition::None, None),
    }
}

/// A message that nothing speaks against.
pub(super) struct Judged {
    /// As it is to be stored.
    pub raw: Vec<u8>,
    /// Where it came from.
    pub kind: SourceKind,
    /// What is known of its sender.
    pub auth: AuthResults,
    /// The Authentication-Results field, with its end.
    pub results: String,
    /// Who has written it, for the copy in Sent.
    pub sent: Option<Recipient>,
    /// Its subject, if a member has written it.
    pub subject: String,
    /// Each of its recipients gets a letter of his own.
    pub is_individual: bool,
}

/// The source of a member's message with what he has said of reports.
fn with_wishes(kind: SourceKind, transaction: &mut Transaction) -> SourceKind {
    if !transaction.has_wishes() {
        return kind;
    }
    let to = match kind {
        SourceKind::Submission(submission) => ToGroups { submission: *submission, groups: Vec::new() },
        SourceKind::ToGroups(to) => *to,
        other => return other,
    };
    let wishes = std::mem::take(&mut transaction.wishes);
    SourceKind::Requested(Box::new(Requested { to, wishes }))
}

/// May it go back to whoever sent what was forwarded? Whoever has seen such a path could send him anything by it.
fn check_returned(
    raw: &[u8],
    structure: &Structure,
    facts: &Facts,
    points: i32,
    policy: &TenantPolicy,
) -> Result<(), Reply> {
    if raw.len() > MAX_RETURNED {
        return Err(Reply::new(552, "5.3.4", "a report that goes back to a sender has 256 KiB at most"));
    }
    let is_type = |root: &Part| root.media_type.0 == "multipart" && root.media_type.1 == "report";
    let is_report = structure.root().is_some_and(is_type);
    if !is_report && !facts.automatic {
        return Err(Reply::new(550, "5.7.1", "only reports go to this address"));
    }
    // It would lie in Junk, if it were for somebody here.
    if points >= policy.junk_threshold {
        return Err(Reply::new(550, "5.7.1", "this report is taken for spam"));
    }
    Ok(())
}

impl Session {
    /// Accepts the message durably, or says why not. After `Ok` the message is ours.
    pub(super) async fn accept(
        &mut self,
        mut transaction: Transaction,
        body: Body,
    ) -> Result<EventId, Reply> {
        let Body { message: raw, mut share, .. } = body;
        // The compressed form, once more encoded, stands beside it for a moment.
        if !share.grow_beyond(2 * raw.len()) {
            return Err(Reply::new(452, "4.3.1", "too much mail at the moment, try again later"));
        }
        if let Some(report) = transaction.report.take() {
            return self.take_report(&report, &raw).await;
        }
        let Some(tenant) = transaction.tenant.take() else {
            return Err(Reply::new(554, "5.5.1", "no valid recipients"));
        };
        let header = &raw[..pennypost_mime::header_end(&raw)];
        let is_received = |(name, ..): &(&[u8], &[u8], _)| name.eq_ignore_ascii_case(b"Received");
        let hops =
            without_delay(header.len(), || pennypost_mime::header_fields(header).filter(is_received).count());
        if hops > self.adapter.limits.smtp.hops {
            return Err(Reply::new(554, "5.4.6", "too many hops: the message is in a loop"));
        }
        let is_looked_at = !self.trusted || self.role == Role::Submission;
        if is_looked_at && header.len() > MAX_VERIFIED_HEADER {
            return Err(Reply::new(554, "5.6.0", "the header of the message is too large"));
        }

        let time = self.adapter.clock.now();
        let fresh = self.adapter.ids.event(time);
        let id = if let Role::Home(id) = self.role { id } else { fresh };
        let hello = self.hello.as_ref();
        let protocol = protocol(Spoken {
            extended: hello.is_some_and(|hello| hello.extended),
            tls: self.stream.is_tls(),
            utf8: transaction.utf8,
            authenticated: self.member.is_some(),
        });
        if self.role == Role::Submission {
            // The transaction may have been open for hours.
            self.look_again().await?;
        }
        let waits = match self.role {
            Role::Submission => self.waits(transaction.hold, &transaction.reverse_path, time).await?,
            Role::Exchange | Role::Home(_) => None,
        };
        // It counts when it goes: until then it has its room.
        let is_scheduled = waits.is_some_and(|waits| waits.cause == Cause::Scheduled);
        if is_scheduled {
            self.has_room_to_wait(raw.len()).await?;
        }
        let mut judged = match self.role {
            Role::Exchange | Role::Home(_) => self.judge(&mut transaction, &tenant, raw).await?,
            Role::Submission => {
                let (policy, to) = (&tenant.policy, (&*transaction.recipients, &*transaction.groups));
                self.prepare((id, time), protocol, policy, to, raw).await?
            }
        };
        // What goes later is asked again then, and so is each letter to a recipient alone.
        let noted = match self.role {
            Role::Submission => self.ask_for_contents(&mut judged, &transaction).await?,
            Role::Exchange | Role::Home(_) => Vec::new(),
        };
        // What goes later gets what holds then, and so do letters to each recipient alone.
        let footers = match self.role {
            Role::Submission if !is_scheduled && !judged.is_individual => {
                self.put_footers(&mut judged, &transaction).await?
            }
            _ => None,
        };
        let Judged { raw, kind, auth, results, sent, subject, is_individual } = judged;

        let size = raw.len();
        let helo = self.hello.as_ref().map(|hello| hello.name.clone()).unwrap_or_default();
        let received = Received {
            helo: &helo,
            protocol,
            ip: self.stream.peer().ip(),
            tls: self.stream.tls(),
            hostname: &self.adapter.hostname,
            id,
            recipient: transaction.only_recipient(),
            time,
        };
        let receipt = received.field() + &results;
        if is_individual {
            let letter = Alone { id, time, tenant: tenant.id, raw, receipt, kind, subject };
            self.set_out(letter, &mut transaction, sent.is_some(), waits).await?;
            drop(share);
            pennypost_ports::crash::point("accept.before-reply");
            self.adapter.metrics.accepted.inc();
            self.adapter.metrics.accepted_bytes.inc_by(size as u64);
            return Ok(id);
        }
        let kind = with_wishes(kind, &mut transaction);
        let kind = match footers {
            Some(footers) => kind.with_footers(footers),
            None => kind,
        };
        // Of what is from elsewhere nothing was asked.
        let kind = kind.with_noted(noted).private(transaction.is_private);
        let (stored, raw) = accept::compressed_beside(raw).await.map_err(|error| {
            warn!(%error, "a message can't be compressed");
            Reply::later()
        })?;
        let mut recipients = std::mem::take(&mut transaction.recipients);
        recipients.extend(sent);
        let accepted = Accepted {
            id,
            time,
            tenant: tenant.id,
            source: Source {
                kind,
                ip: Some(self.stream.peer().ip()),
                helo: helo.clone(),
                tls: self.stream.tls().map(str::to_owned),
            },
            auth,
            reverse_path: std::mem::take(&mut transaction.reverse_path),
            receipt,
            recipients,
            body: EventBody::Inline(stored),
        };
        let recipients = accepted.recipients.len();
        // Where the recipient outside was refused for something else after all, the message stays inside.
        let leaves = accepted.leaves();
        let counted = match is_scheduled {
            true => MemberLimits::default(),
            false => self.count_against_allowance(id, transaction.open.filter(|_| leaves)).await?,
        };
        if let Some(waits) = waits {
            if let Err(reply) = self.hold(accepted, &subject, waits).await {
                if !is_scheduled {
                    self.give_allowance_back(id, counted).await;
                }
                return Err(reply);
            }
            drop((share, raw));
            pennypost_ports::crash::point("accept.before-reply");
            self.adapter.metrics.accepted.inc();
            self.adapter.metrics.accepted_bytes.inc_by(size as u64);
            return Ok(id);
        }
        // The event may be handed out before this session hears that it was sent.
        self.adapter.fresh.keep(id, raw);
        if let Err(error) = self.send(accepted, fresh).await {
            drop(self.adapter.fresh.take(id));
            warn!(tenant = %tenant.id, message = %id, %error, "a message can't be accepted");
            self.give_allowance_back(id, counted).await;
            return Err(Reply::later());
        }
        drop(share);
        pennypost_ports::crash::point("accept.before-reply");
        self.adapter.metrics.accepted.inc();
        self.adapter.metrics.accepted_bytes.inc_by(size as u64);
        info!(tenant = %tenant.id, message = %id, size, recipients, "accepted");
        Ok(id)
    }

    /// A report about a letter to a member elsewhere of a group: that it failed counts, and nobody is told.
    async fn take_report(&self, report: &ReportOf, raw: &[u8]) -> Result<EventId, Reply> {
        let ReportOf { tenant, message, address } = report;
        let has_failed = without_delay(raw.len(), || tells_of_failure(raw));
        if has_failed {
            // The day of the letter counts: several reports about one are one.
            let noted = self.adapter.directory.friend_failed(*tenant, address, message.time()).await;
            let is_over = noted.map_err(|error| {
                warn!(%tenant, %message, %error, "a report can't be noted");
                Reply::later()
            })?;
            info!(%tenant, %message, is_over, "a letter to a member elsewhere of a group came back");
        }
        Ok(self.adapter.ids.event(self.adapter.clock.now()))
    }

    /// May a message of another server come in?
    async fn judge(
        &self,
        transaction: &mut Transaction,
        tenant: &Tenant,
        raw: Vec<u8>,
    ) -> Result<Judged, Reply> {
        let (auth, results, seen) = self.authenticate(transaction, &raw).await;
        let header = &raw[..pennypost_mime::header_end(&raw)];
        let (structure, facts) = without_delay(header.len(), || pennypost_mime::parse(header));
        let authors = facts.from.iter().map(|contact| contact.address.as_str());
        let reverse_path = &transaction.reverse_path;
        let acceptance =
            pennypost_policy::accept(&tenant.policy, reverse_path, authors, &facts.subject, &auth);
        if let Some(seen) = seen.filter(|_| self.adapter.dmarc.get().is_some()) {
            let authors = facts.from.iter().map(|contact| contact.address.as_str());
            let is_listed = pennypost_policy::whitelists(&tenant.policy, reverse_path, authors);
            self.count_for_dmarc(*seen, disposition(&acceptance, &auth, is_listed));
        }
        if let Some(reply) = Reply::refusal(&acceptance) {
            info!(tenant = %tenant.id, ?acceptance, "message is refused");
            return Err(reply);
        }
        if transaction.is_returned {
            check_returned(
                &raw,
                &structure,
                &facts,
                pennypost_policy::score(&auth, &facts).points,
                &tenant.policy,
            )?;
        }
        let kind = if transaction.is_returned { SourceKind::Returned } else { SourceKind::Smtp };
        Ok(Judged { raw, kind, auth, results, sent: None, subject: String::new(), is_individual: false })
    }

    /// Counts what came in for the reports that the author's domain gets. What this post office hands itself it has not received.
    fn count_for_dmarc(&self, mut seen: Seen, done: (Disposition, Option<Reason>)) {
        if let (Some(tally), false) = (self.adapter.dmarc.get(), matches!(self.role, Role::Home(_))) {
            (seen.disposition, seen.reason) = done;
            tally.note(seen);
        }
    }

    async fn authenticate(
        &self,
        transaction: &mut Transaction,
        raw: &[u8],
    ) -> (AuthResults, String, Option<Box<Seen>>) {
        let hostname = &self.adapter.hostname;
        if self.trusted {
            return (AuthResults { trusted: true, ..AuthResults::default() }, none_field(hostname), None);
        }
        let deadline = Instant::now() + self.adapter.limits.smtp.authentication;
        let spf = match transaction.spf.take() {
            Some(spf) => spf.answer().await,
            None => None,
        };
        let sender = Sender {
            ip: self.stream.peer().ip(),
            helo: self.hello.as_ref().map_or("", |hello| &hello.name),
            reverse_path: &transaction.reverse_path,
            hostname,
        };
        self.adapter.smtp.authenticator.message(raw, sender, spf.as_ref(), deadline).await
    }

    /// Puts the event into the queue, and the message into an object of this name before it if it is too large for that.
    async fn send(&self, accepted: Accepted, spool: EventId) -> Result<(), PortError> {
        let tenant = accepted.tenant;
        let body = accept::for_the_queue(&*self.adapter.objects, accepted, spool).await?;
        let outgoing = Outgoing { tenant, body, delay: std::time::Duration::ZERO };
        let results = self.adapter.queue.send_batch(Stage::InboundParse, vec![outgoing]).await;
        results.into_iter().next().unwrap_or_else(|| {
            Err(PortError::Unavailable { port: "queue", cause: "it gave no answer".to_owned() })
        })
    }
}
