//! Reports of other servers about letters that members have sent, and that had been taken (RFC 3464): what they say stands in the
//! trace of the letter then, beside the attempts; the report itself is a letter as any other, and lies in the mailbox.
//!
//! Anybody can write a report. One counts only if it comes from nobody, over SMTP, names the letter, is for whoever has sent that, and
//! speaks of an address to which he has written it; and readers of traces believe it only where a server has taken it for that
//! address ([`Journey::remote`]). The letter is named by what its envelope was
//! called, which nobody knows who has only seen it; or by what our Received field calls it together with its Message-ID, which those
//! know who have got it: then nothing may speak against the author of the report (DMARC).
//!
//! What is not a report costs nothing. A report costs one query of the log for each id that it names, two at most, and a write if
//! it is news; one read, where it names an envelope of ours.

use std::collections::BTreeMap;

use pennypost_directory::SuppressedBy;
use pennypost_journeys::{Journey, journey};
use pennypost_mailstore::compress::decompress_begin;
use pennypost_model::event::{Accepted, SourceKind, Verdict, Via};
use pennypost_model::message::cut;
use pennypost_model::trace::{
    CameBack, FORWARD_REASON, GROUP_REASON, Outcome, RemoteOutcome, TraceRecipient, TraceRecord, TraceStep,
};
use pennypost_model::{EventId, codec};
use pennypost_policy::MailAddress;
use pennypost_ports::{LogKind, LogRecord};
use pennypost_reports::{Heard, HeardOf, heard, is_report};
use pennypost_runtime::Failure;

use crate::receipts::may_tell;
use crate::{Deliver, Letter, failure};

/// Bytes of a report that are read, behind its header: what it says stands before what it gives back.
pub(crate) const BEGIN: usize = 256 * 1024;
/// Milliseconds for which members are told of what they have sent.
const TOLD: i64 = 90 * 24 * 3_600_000;
/// Milliseconds by which the clock of another machine may be ahead.
const AHEAD: i64 = 3_600_000;
/// Nobody has the address (RFC 3463 section 3.2).
const NOBODY: &str = "5.1.1";
/// Bytes of a Message-ID in a trace.
pub(crate) const MESSAGE_ID: usize = 200;

/// May the letter be another server's report to a member?
fn may_report(letter: &Letter) -> bool {
    let accepted = &letter.decided.accepted;
    let is_from_outside = matches!(accepted.source.kind.way(), SourceKind::Smtp | SourceKind::Service { .. });
    is_from_outside && accepted.reverse_path.is_empty() && is_report(&letter.decided.sidecar.structure)
}

/// An address as it is compared: servers on the way may write it otherwise.
pub(crate) fn plain(address: &str) -> String {
    let known = MailAddress::parse(address);
    known.map_or_else(|_| address.trim().to_owned(), |known| known.to_string()).to_ascii_lowercase()
}

/// Has whoever gets the report sent that letter?
fn is_for_sender(report: &Accepted, letter: &Journey) -> bool {
    let Some(submitter) = letter.submitter() else { return false };
    let path = plain(letter.reverse_path());
    let is_path = |address: &str| !path.is_empty() && plain(address) == path;
    let mut own =
        report.recipients.iter().filter(|one| !matches!(one.via, Via::Outside | Via::Sent | Via::Drafts));
    own.any(|one| one.account == submitter.account || is_path(&one.address))
}

/// Did the member write to that address himself, at another server?
pub(crate) fn is_written_to(recipient: &TraceRecipient) -> bool {
    let is_others = |reason: &String| reason.starts_with(GROUP_REASON) || reason.starts_with(FORWARD_REASON);
    recipient.outcome == Outcome::Outside && !recipient.reasons.iter().any(is_others)
}

/// What of the report is news of that letter.
fn news(report: EventId, heard: &Heard, letter: &Journey) -> Vec<CameBack> {
    let mut failed: BTreeMap<String, &HeardOf> = BTreeMap::new();
    for one in heard.recipients.iter().filter(|one| one.action == "failed") {
        for address in &one.addresses {
            failed.entry(plain(address)).or_insert(one);
        }
    }
    let mut news: Vec<CameBack> = Vec::new();
    for recipient in letter.recipients().filter(|recipient| is_written_to(recipient)) {
        let address = &recipient.address;
        let Some(told) = failed.get(&plain(address)) else { continue };
        // What has failed, or has come back, has its end. That it was taken may be written only behind the report of a server that
        // was fast: whoever reads the trace looks at both.
        let has_failed = letter.remote(address).is_some_and(|remote| remote.outcome == RemoteOutcome::Failed);
        let mut known = letter.came_back.iter().map(|(_, back)| back).chain(&news);
        if !has_failed && !known.any(|known| known.address == *address) {
            let (address, answer) = (address.clone(), told.answer.clone());
            news.push(CameBack { address, answer, reporter: heard.reporter.clone(), report });
        }
    }
    news
}

impl Deliver {
    /// Notes what reports and read receipts say. One that can't be noted now comes again; one that can't be read, or never be noted, is a letter and
    /// no more: it is delivered.
    pub(crate) async fn note_what_came_back(
        &self,
        letters: &[(usize, Letter)],
        failures: &mut [Option<Failure>],
    ) {
        for (index, letter) in letters {
            let noted = match letter {
                _ if failures[*index].is_some() => continue,
                letter if may_report(letter) => self.note_report(letter).await,
                letter if may_tell(letter) => self.note_receipt(letter).await,
                _ => continue,
            };
            match noted {
                Ok(()) => {}
                Err(failure) if failure.temporary => failures[*index] = Some(failure),
                Err(failure) => {
                    let Accepted { tenant, id, .. } = &letter.decided.accepted;
                    tracing::error!(%tenant, message = %id, cause = failure.cause, "what a report says can't be noted");
                }
            }
        }
    }

    async fn note_report(&self, letter: &Letter) -> Result<(), Failure> {
        let accepted = &letter.decided.accepted;
        let begin = match decompress_begin(&letter.message, BEGIN) {
            Ok(begin) => begin,
            Err(error) => {
                tracing::warn!(message = %accepted.id, %error, "a report can't be read");
                return Ok(());
            }
        };
        let Some(heard) = heard(&begin, &letter.decided.sidecar.structure) else { return Ok(()) };
        if !heard.recipients.iter().any(|one| one.action == "failed") {
            return Ok(());
        }
        let Some(sent) = self.reported(accepted, &heard).await? else { return Ok(()) };
        let time = self.store.clock().now();
        let news = news(accepted.id, &heard, &sent);
        let gone: Vec<CameBack> = news.iter().filter(|back| back.answer.status == NOBODY).cloned().collect();
        let records: Vec<LogRecord> = news
            .into_iter()
            .map(|back| {
                let record = TraceRecord::new(sent.tenant, sent.id, time, TraceStep::CameBack(back));
                let value = codec::encode(&record);
                LogRecord { tenant: sent.tenant, kind: LogKind::Trace, id: sent.id, time, value }
            })
            .collect();
        if records.is_empty() {
            return Ok(());
        }
        // Before the trace, by which it would be no news any more; twice is once.
        for back in &gone {
            self.suppress(sent.tenant, &back.address, SuppressedBy::Bounce, sent.id).await?;
        }
        self.log.append(&records).await.map_err(|error| failure(&error.into()))?;
        let (tenant, message, report) = (sent.tenant, sent.id, accepted.id);
        tracing::info!(%tenant, %message, %report, recipients = records.len(), "a letter has come back");
        Ok(())
    }

    /// The letter that a report is about, if whoever gets the report has sent it.
    async fn reported(&self, accepted: &Accepted, heard: &Heard) -> Result<Option<Journey>, Failure> {
        if let (Some(directory), Some(envelope)) = (&self.directory, &heard.envelope_id) {
            let found = directory.letter_of_envelope(accepted.tenant, envelope).await;
            let found = found.map_err(|error| match error.is_temporary() {
                true => Failure::temporary(&error),
                false => Failure::permanent(&error),
            })?;
            if let Some(id) = found {
                return self.sent_by(accepted, id).await;
            }
        }
        if accepted.auth.dmarc == Verdict::Fail {
            return Ok(None);
        }
        let Some(message_id) = heard.message_id.as_deref().filter(|id| !id.is_empty()) else {
            return Ok(None);
        };
        for id in &heard.ids {
            let found = self.sent_by(accepted, *id).await?;
            let is_it = |letter: &Journey| {
                let known = letter.delivery.as_ref().map(|delivery| delivery.message_id.as_str());
                known == Some(cut(message_id, MESSAGE_ID))
            };
            if let Some(letter) = found.filter(is_it) {
                return Ok(Some(letter));
            }
        }
        Ok(None)
    }

    pub(crate) async fn sent_by(&self, report: &Accepted, id: EventId) -> Result<Option<Journey>, Failure> {
        let now = self.store.clock().now();
        if id.time() < now.plus_millis(-TOLD) || id.time() > now.plus_millis(AHEAD) {
            return Ok(None);
        }
        let found = journey(&*self.log, report.tenant, id).await.map_err(|error| failure(&error.into()))?;
        Ok(found.filter(|letter| is_for_sender(report, letter)))
    }
}

#[cfg(test)]
mod tests {
    use pennypost_journeys::Delivery;
    use pennypost_model::trace::RemoteAnswer;
    use pennypost_model::{AccountKey, TenantId, Timestamp};

    use super::*;

    #[test]
    fn of_an_address_the_first_failure_counts_however_it_is_written() {
        let id = EventId::from_parts(Timestamp(1), 1);
        let recipient = |address: &str| TraceRecipient {
            address: address.to_owned(),
            account: AccountKey::default(),
            reasons: Vec::new(),
            outcome: Outcome::Outside,
        };
        let delivery = Delivery {
            time: Timestamp(1),
            accepted: Timestamp(1),
            peer: String::new(),
            reverse_path: String::new(),
            subject: String::new(),
            message_id: String::new(),
            size: 0,
            auth: [Verdict::None; 3],
            recipients: Vec::from(["You@far.example", "b@far.example", "c@far.example"].map(recipient)),
            submitter: None,
        };
        let letter = Journey { delivery: Some(delivery), ..Journey::new(TenantId(1), id) };
        let told = |addresses: &[&str], action: &str, text: &str| HeardOf {
            addresses: addresses.iter().map(|one| (*one).to_owned()).collect(),
            action: action.to_owned(),
            answer: RemoteAnswer { text: text.to_owned(), ..RemoteAnswer::default() },
        };
        let recipients = vec![
            told(&["b@far.example"], "delayed", "one"),
            told(&["x@inner.example", "\"you\"@FAR.example"], "failed", "two"),
            told(&["you@far.example", "c@far.example"], "failed", "three"),
        ];
        let heard = Heard { recipients, ..Heard::default() };
        let found = news(id, &heard, &letter);
        let found: Vec<_> =
            found.iter().map(|back| (back.address.as_str(), back.answer.text.as_str())).collect();
        assert_eq!(found, [("You@far.example", "two"), ("c@far.example", "three")]);
    }
}
