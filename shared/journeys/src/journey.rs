//! The way of one message.

use pennypost_model::event::Verdict;
use pennypost_model::trace::{
    Attempt, CameBack, Outcome, RemoteAnswer, RemoteOutcome, Submitter, TlsDemand, TraceRecipient,
    TraceRecord, TraceStep, WasRead,
};
use pennypost_model::{AccountKey, EventId, TenantId, Timestamp, codec};
use pennypost_policy::{DRAFT_REASON, SENT_REASON};
use pennypost_ports::LogRecord;

/// The way of one message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Journey {
    /// Whose mail it is.
    pub tenant: TenantId,
    /// The accepted message.
    pub id: EventId,
    /// Its delivery, if it came to that.
    pub delivery: Option<Delivery>,
    /// Attempts at other servers that brought something new; each once, in the order in which they were made.
    pub attempts: Vec<Tried>,
    /// What came back from servers behind those that had taken it, and when: of each address what was reported first.
    pub came_back: Vec<(Timestamp, CameBack)>,
    /// What receipts say of who has read it, and when they came: of each address what came first.
    pub receipts: Vec<(Timestamp, WasRead)>,
    /// What else happened, and when; each once, in the order of the records.
    pub incidents: Vec<(Timestamp, TraceStep)>,
    /// Before its delivery: that it is being processed, and what is known of it.
    pub processing: Option<Processing>,
}

/// What [`TraceStep::BeingProcessed`] says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Processing {
    /// When that was noted first.
    pub time: Timestamp,
    /// Reverse-path.
    pub reverse_path: String,
    /// Subject, cut.
    pub subject: String,
    /// Message-ID, cut.
    pub message_id: String,
    /// Bytes.
    pub size: u64,
    /// Some of its recipients, with their accounts.
    pub recipients: Vec<(String, AccountKey)>,
    /// What it waits for.
    pub cause: String,
    /// Who handed it in, if it was a member.
    pub submitter: Option<Submitter>,
}

/// What [`TraceStep::Delivered`] says, all records of a message taken together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Delivery {
    /// When the first record was written.
    pub time: Timestamp,
    /// When the message was accepted.
    pub accepted: Timestamp,
    /// Who handed it in: address and EHLO name.
    pub peer: String,
    /// Reverse-path.
    pub reverse_path: String,
    /// Subject, cut.
    pub subject: String,
    /// Message-ID, cut.
    pub message_id: String,
    /// Bytes.
    pub size: u64,
    /// SPF, DKIM, DMARC.
    pub auth: [Verdict; 3],
    /// What happened for each recipient. The copy in Sent is one of them.
    pub recipients: Vec<TraceRecipient>,
    /// Who handed it in, if it was a member.
    pub submitter: Option<Submitter>,
}

/// An attempt at other servers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tried {
    /// When it ended.
    pub time: Timestamp,
    /// What came of it.
    pub attempt: Attempt,
    /// Why the way had to be private, and whether it was.
    pub demand: Option<TlsDemand>,
}

/// What became of a recipient at another server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Remote<'a> {
    /// When.
    pub time: Timestamp,
    /// What it came to.
    pub outcome: RemoteOutcome,
    /// What was said.
    pub answer: &'a RemoteAnswer,
    /// The attempt.
    pub attempt: &'a Attempt,
    /// Why the way had to be private, and whether it was.
    pub demand: Option<&'a TlsDemand>,
    /// The report by which it came back from there: then it has failed though it was sent.
    pub came_back: Option<&'a CameBack>,
}

impl Journey {
    /// One of which nothing is known yet.
    #[must_use]
    pub const fn new(tenant: TenantId, id: EventId) -> Journey {
        Journey {
            tenant,
            id,
            delivery: None,
            attempts: Vec::new(),
            came_back: Vec::new(),
            receipts: Vec::new(),
            incidents: Vec::new(),
            processing: None,
        }
    }

    /// What the records of one message say together.
    #[must_use]
    pub fn of(tenant: TenantId, id: EventId, records: &[LogRecord]) -> Journey {
        let mut journey = Journey::new(tenant, id);
        records.iter().for_each(|record| journey.take(record));
        journey
    }

    /// Takes a record in. One that can't be read is passed over with a warning: the others still tell a lot.
    pub fn take(&mut self, record: &LogRecord) {
        let record: TraceRecord = match codec::decode(&record.value) {
            Ok(record) => record,
            Err(error) => {
                tracing::warn!(tenant = %record.tenant, message = %record.id, %error, "trace record passed over");
                return;
            }
        };
        let TraceRecord { time, submitter, demand, .. } = record;
        match record.step {
            TraceStep::Delivered {
                accepted,
                peer,
                reverse_path,
                subject,
                message_id,
                size,
                auth,
                recipients,
            } => match &mut self.delivery {
                Some(delivery) => {
                    delivery.merge(recipients);
                    delivery.submitter = delivery.submitter.take().or(submitter);
                }
                None => {
                    self.delivery = Some(Delivery {
                        time,
                        accepted,
                        peer,
                        reverse_path,
                        subject,
                        message_id,
                        size,
                        auth,
                        recipients,
                        submitter,
                    });
                }
            },
            TraceStep::Attempted(attempt) => {
                // What follows from an attempt may be done twice; of many recipients each part has attempts of its own.
                let tried = Tried { time, attempt, demand };
                if !self.attempts.contains(&tried) {
                    let place = self.attempts.partition_point(|earlier| earlier.time <= time);
                    self.attempts.insert(place, tried);
                }
            }
            TraceStep::BeingProcessed { reverse_path, subject, message_id, size, recipients, cause } => {
                let new = Processing {
                    time,
                    reverse_path,
                    subject,
                    message_id,
                    size,
                    recipients,
                    cause,
                    submitter,
                };
                // By several processes it may be noted several times.
                let is_later = self.processing.as_ref().is_some_and(|known| known.time <= new.time);
                if !is_later {
                    self.processing = Some(new);
                }
            }
            TraceStep::CameBack(back) => {
                match self.came_back.iter_mut().find(|(_, known)| known.address == back.address) {
                    Some(known) if known.0 <= time => {}
                    Some(known) => *known = (time, back),
                    None => self.came_back.push((time, back)),
                }
            }
            TraceStep::WasRead(read) => {
                match self.receipts.iter_mut().find(|(_, known)| known.address == read.address) {
                    Some(known) if known.0 <= time => {}
                    Some(known) => *known = (time, read),
                    None => self.receipts.push((time, read)),
                }
            }
            step => {
                // A notification may come twice; when it first came is enough.
                let is_received = matches!(step, TraceStep::Received { .. });
                let is_known =
                    |(known, same): &(Timestamp, TraceStep)| *same == step && (is_received || *known == time);
                if !self.incidents.iter().any(is_known) {
                    self.incidents.push((time, step));
                }
            }
        }
    }

    /// What became of a recipient at another server: its end, else what the last attempt that is told of came to. `None`
    /// before the first. What was sent and came back has failed; nothing else does by a report.
    #[must_use]
    pub fn remote(&self, address: &str) -> Option<Remote<'_>> {
        let of_recipient = self.attempts.iter().filter_map(|Tried { time, attempt, demand }| {
            let recipient = attempt.recipients.iter().find(|recipient| recipient.address == address)?;
            let (outcome, answer) = (recipient.outcome, &recipient.answer);
            Some(Remote { time: *time, outcome, answer, attempt, demand: demand.as_ref(), came_back: None })
        });
        let end = of_recipient
            .reduce(|known, later| if known.outcome == RemoteOutcome::Deferred { later } else { known })?;
        match self.came_back.iter().find(|(_, back)| back.address == address) {
            Some((time, back)) if end.outcome == RemoteOutcome::Sent => Some(Remote {
                time: *time,
                outcome: RemoteOutcome::Failed,
                answer: &back.answer,
                came_back: Some(back),
                ..end
            }),
            _ => Some(end),
        }
    }

    /// The receipt by which it is known that the recipient has read it, and when that came.
    #[must_use]
    pub fn receipt(&self, address: &str) -> Option<&(Timestamp, WasRead)> {
        self.receipts.iter().find(|(_, read)| read.address == address)
    }

    /// Who handed it in, if it was a member.
    #[must_use]
    pub fn submitter(&self) -> Option<&Submitter> {
        match &self.delivery {
            Some(delivery) => delivery.submitter.as_ref(),
            None => self.processing.as_ref()?.submitter.as_ref(),
        }
    }

    /// Its subject, if it is known.
    #[must_use]
    pub fn subject(&self) -> &str {
        let processing = self.processing.as_ref().map_or("", |processing| &processing.subject);
        self.delivery.as_ref().map_or(processing, |delivery| &delivery.subject)
    }

    /// Its reverse-path, if it is known.
    #[must_use]
    pub fn reverse_path(&self) -> &str {
        let processing = self.processing.as_ref().map_or("", |processing| &processing.reverse_path);
        self.delivery.as_ref().map_or(processing, |delivery| &delivery.reverse_path)
    }

    /// Whom it is for, as far as that is known: whoever has the copy in Sent, or has it back in Drafts, is none of them.
    pub fn recipients(&self) -> impl Iterator<Item = &TraceRecipient> {
        let recipients = self.delivery.iter().flat_map(|delivery| &delivery.recipients);
        recipients.filter(|recipient| !is_sent_copy(recipient) && !is_draft(recipient))
    }

    /// Is `wanted` (in lower case) in its Message-ID, subject, sender, a recipient's address, or what the service that
    /// received it calls it?
    #[must_use]
    pub fn matches(&self, wanted: &str) -> bool {
        let is_unreached = |(_, step): &(Timestamp, TraceStep)| match step {
            TraceStep::Received { id, unreached, .. } => {
                contains(id, wanted) || unreached.iter().any(|(address, _)| contains(address, wanted))
            }
            _ => false,
        };
        if self.incidents.iter().any(is_unreached) {
            return true;
        }
        let Some(delivery) = &self.delivery else {
            let Some(processing) = &self.processing else { return false };
            let texts = [&processing.message_id, &processing.subject, &processing.reverse_path];
            let addresses = processing.recipients.iter().map(|(address, _)| address);
            let submitter = processing.submitter.iter().map(|submitter| &submitter.address);
            return texts.into_iter().chain(addresses).chain(submitter).any(|text| contains(text, wanted));
        };
        let texts = [&delivery.message_id, &delivery.subject, &delivery.reverse_path];
        let addresses = delivery.recipients.iter().map(|recipient| &recipient.address);
        let submitter = delivery.submitter.iter().map(|submitter| &submitter.address);
        texts.into_iter().chain(addresses).chain(submitter).any(|text| contains(text, wanted))
    }
}

impl Delivery {
    /// A later record of the same message: who was not reached before may be now.
    fn merge(&mut self, recipients: Vec<TraceRecipient>) {
        for recipient in recipients {
            let is_same = |known: &&mut TraceRecipient| {
                let is_sent = is_sent_copy(known) == is_sent_copy(&recipient);
                is_sent && known.account == recipient.account && known.address == recipient.address
            };
            let known = self.recipients.iter_mut().find(is_same);
            match known {
                Some(known) if matches!(known.outcome, Outcome::Refused { .. }) => *known = recipient,
                // Released from quarantine.
                Some(known)
                    if matches!(known.outcome, Outcome::Quarantined { .. })
                        && matches!(recipient.outcome, Outcome::Stored { .. }) =>
                {
                    *known = recipient;
                }
                Some(_) => {}
                None => self.recipients.push(recipient),
            }
        }
    }
}

/// Is it the copy of whoever wrote the message?
#[must_use]
pub fn is_sent_copy(recipient: &TraceRecipient) -> bool {
    recipient.reasons.iter().any(|reason| reason == SENT_REASON)
}

/// Is it the copy of whoever has taken the message back?
#[must_use]
pub fn is_draft(recipient: &TraceRecipient) -> bool {
    recipient.reasons.iter().any(|reason| reason == DRAFT_REASON)
}

/// Does `text` contain `wanted`, which is in lower case?
#[must_use]
pub fn contains(text: &str, wanted: &str) -> bool {
    text.to_lowercase().contains(wanted)
}
