//! Journeys of messages, put together from the records of the log. Records may stand twice (a retry after a
//! crash): they are merged.

use std::collections::BTreeMap;

use pennypost_model::codec;
use pennypost_model::event::Verdict;
use pennypost_model::trace::{Outcome, Submitter, TraceRecipient, TraceRecord, TraceStep};
use pennypost_model::{EventId, TenantId, Timestamp};
use pennypost_ports::{Log, LogKind, LogQuery, LogRecord};

use crate::Failed;

/// Records that are read at once.
const PAGE: usize = 500;
/// Milliseconds of a day.
const DAY: i64 = 86_400_000;

/// The way of one message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Journey {
    pub tenant: TenantId,
    pub id: EventId,
    /// Its delivery, if it came to that.
    pub delivery: Option<Delivery>,
    /// What else happened, and when; each once, in order of time.
    pub incidents: Vec<(Timestamp, TraceStep)>,
}

/// What [`TraceStep::Delivered`] says, all records of a message taken together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Delivery {
    pub time: Timestamp,
    pub accepted: Timestamp,
    pub peer: String,
    pub reverse_path: String,
    pub subject: String,
    pub message_id: String,
    pub size: u64,
    pub auth: [Verdict; 3],
    pub recipients: Vec<TraceRecipient>,
    /// Who handed it in, if it was a member.
    pub submitter: Option<Submitter>,
}

impl Journey {
    pub(crate) fn new(tenant: TenantId, id: EventId) -> Journey {
        Journey { tenant, id, delivery: None, incidents: Vec::new() }
    }

    /// Takes a record in. One that can't be read is passed over with a warning: the others still tell a lot.
    fn take(&mut self, record: &LogRecord) {
        let record: TraceRecord = match codec::decode(&record.value) {
            Ok(record) => record,
            Err(error) => {
                tracing::warn!(tenant = %record.tenant, message = %record.id, %error, "trace record passed over");
                return;
            }
        };
        let TraceRecord { time, submitter, .. } = record;
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
                Some(delivery) => delivery.merge(recipients),
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

    /// Is `wanted` (in lower case) in its Message-ID, subject, sender, a recipient's address, or what the service that
    /// received it calls it?
    pub(crate) fn matches(&self, wanted: &str) -> bool {
        let is_unreached = |(_, step): &(Timestamp, TraceStep)| match step {
            TraceStep::Received { id, unreached, .. } => {
                contains(id, wanted) || unreached.iter().any(|(address, _)| contains(address, wanted))
            }
            _ => false,
        };
        if self.incidents.iter().any(is_unreached) {
            return true;
        }
        let Some(delivery) = &self.delivery else { return false };
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
                Some(_) => {}
                None => self.recipients.push(recipient),
            }
        }
    }
}

/// Is it the copy of whoever wrote the message?
pub(crate) fn is_sent_copy(recipient: &TraceRecipient) -> bool {
    recipient.reasons.iter().any(|reason| reason == pennypost_policy::SENT_REASON)
}

/// Does `text` contain `wanted`, which is in lower case?
pub(crate) fn contains(text: &str, wanted: &str) -> bool {
    text.to_lowercase().contains(wanted)
}

/// The journey of one message.
pub(crate) async fn journey(log: &dyn Log, tenant: TenantId, id: EventId) -> Result<Option<Journey>, Failed> {
    let mut found = BTreeMap::new();
    collect(log, tenant, id, id, &|_| true, 1, &mut found).await?;
    Ok(found.into_values().next())
}

/// The newest `limit` journeys of a tenant that match and were accepted between `since` and `until`, by id.
/// Goes back day by day, so that a question for the newest does not read everything.
pub(crate) async fn newest(
    log: &dyn Log,
    tenant: TenantId,
    since: Timestamp,
    until: Timestamp,
    matches: &dyn Fn(&Journey) -> bool,
    limit: usize,
) -> Result<BTreeMap<EventId, Journey>, Failed> {
    let mut found = BTreeMap::new();
    let mut end = until;
    while end >= since && found.len() < limit {
        let begin = since.max(end.plus_millis(1 - DAY));
        let (from, to) = (EventId::from_parts(begin, 0), EventId::from_parts(end, u128::MAX));
        collect(log, tenant, from, to, matches, limit, &mut found).await?;
        end = begin.plus_millis(-1);
    }
    Ok(found)
}

/// Adds the matching journeys of ids from `from` to `to`; `found` keeps the newest `limit`.
async fn collect(
    log: &dyn Log,
    tenant: TenantId,
    mut from: EventId,
    to: EventId,
    matches: &dyn Fn(&Journey) -> bool,
    limit: usize,
    found: &mut BTreeMap<EventId, Journey>,
) -> Result<(), Failed> {
    let mut page = PAGE;
    loop {
        let query = LogQuery { tenant, kind: LogKind::Trace, from, to, limit: page };
        let mut records = log.query(&query).await?;
        let is_full = records.len() >= page;
        let last = records.last().map(|record| record.id);
        if let (true, Some(last)) = (is_full, last) {
            if records.first().is_some_and(|first| first.id == last) {
                // More records of one message than fit on a page.
                page = page.saturating_mul(2);
                continue;
            }
            // The last message's records may go on behind the page: it is read with the next one.
            records.retain(|record| record.id != last);
            from = last;
        }
        for some in records.chunk_by(|a, b| a.id == b.id) {
            let mut journey = Journey::new(tenant, some[0].id);
            some.iter().for_each(|record| journey.take(record));
            if matches(&journey) {
                found.insert(journey.id, journey);
                while found.len() > limit {
                    found.pop_first();
                }
            }
        }
        if !is_full {
            return Ok(());
        }
        page = PAGE;
    }
}
