//! Reports of other organisations about the mail of this one: aggregate reports of DMARC, of TLS, and complaints. The letter that
//! brings one is delivered as any, and what it says is noted in the log behind that, once.
//!
//! Anybody can write one. It counts only if it comes from outside to an address that the organisation has named for that, is about a
//! domain of the organisation, and its author has not failed DMARC; whose name DMARC does not prove is told as unproved. What can't
//! be read is a letter and no more.
//!
//! What is made like no report costs nothing. What may be one costs a read; one that counts two reads for each label of its domain
//! until one is the organisation's, a query of the log, and a write if it is news; a complaint up to two queries more, and two reads and
//! two writes where it is about a letter of ours.

use pennypost_directory::SuppressedBy;
use pennypost_feedback::{HeardAbout, HeardReport, Hearing, MAX_LETTER, heard, may_be_report};
use pennypost_journeys::journey;
use pennypost_mailstore::compress::decompress;
use pennypost_model::event::{Accepted, SourceKind, Verdict, Via};
use pennypost_model::message::cut;
use pennypost_model::trace::Outcome;
use pennypost_model::{EventId, TenantId, codec};
use pennypost_policy::MailAddress;
use pennypost_ports::{LogKind, LogQuery, LogRecord};
use pennypost_runtime::Failure;

use crate::{Deliver, Letter, failure};

/// Bytes of a Message-ID in a trace.
const MESSAGE_ID: usize = 200;

fn may_count(letter: &Letter) -> bool {
    let accepted = &letter.decided.accepted;
    let is_from_outside = matches!(accepted.source.kind.way(), SourceKind::Smtp | SourceKind::Service { .. });
    is_from_outside
        && accepted.auth.dmarc != Verdict::Fail
        && letter.message.size <= MAX_LETTER
        && may_be_report(&letter.decided.sidecar.structure)
}

/// The addresses here to which it was written.
fn addresses(accepted: &Accepted) -> impl Iterator<Item = MailAddress> {
    let own =
        accepted.recipients.iter().filter(|one| matches!(one.via, Via::Direct | Via::Alias | Via::Group));
    own.filter_map(|one| MailAddress::parse(&one.address).ok())
}

impl Deliver {
    /// Notes what reports of other organisations say. One that can't be noted now comes again.
    pub(crate) async fn note_what_was_heard(
        &self,
        letters: &[(usize, Letter)],
        failures: &mut [Option<Failure>],
    ) {
        for (index, letter) in letters {
            if failures[*index].is_some() || !may_count(letter) {
                continue;
            }
            match self.note_heard(letter).await {
                Ok(()) => {}
                Err(failure) if failure.temporary => failures[*index] = Some(failure),
                Err(failure) => {
                    let Accepted { tenant, id, .. } = &letter.decided.accepted;
                    tracing::error!(%tenant, message = %id, cause = failure.cause, "a report can't be noted");
                }
            }
        }
    }

    async fn note_heard(&self, letter: &Letter) -> Result<(), Failure> {
        let accepted = &letter.decided.accepted;
        let (tenant, message) = (accepted.tenant, accepted.id);
        let Some(directory) = &self.directory else { return Ok(()) };
        let of_directory = |error: pennypost_directory::DirectoryError| match error.is_temporary() {
            true => Failure::temporary(&error),
            false => Failure::permanent(&error),
        };
        let named = directory.report_addresses(tenant).await.map_err(of_directory)?;
        if !addresses(accepted).any(|address| named.0.contains(&address)) {
            return Ok(());
        }
        let Some(report) = read(letter) else { return Ok(()) };
        if !directory.is_domain_of(tenant, &report.domain).await.map_err(of_directory)? {
            tracing::info!(%tenant, %message, domain = report.domain, "a report is about somebody else's domain");
            return Ok(());
        }
        self.note_complaint(accepted, &report).await?;
        let id = report.id();
        let query = LogQuery { tenant, kind: LogKind::Heard, from: id, to: id, limit: 1 };
        let known = self.log.query(&query).await.map_err(|error| failure(&error.into()))?;
        if known.is_empty() {
            let (time, value) = (self.store.clock().now(), codec::encode(&report));
            let record = LogRecord { tenant, kind: LogKind::Heard, id, time, value };
            self.log.append(&[record]).await.map_err(|error| failure(&error.into()))?;
            tracing::info!(%tenant, %message, kind = report.about.kind().name(), "a report has come in");
        }
        Ok(())
    }
}

impl Deliver {
    /// Whoever complains of a letter of ours that was written to him gets no mailings any more. One query of the log for each id that
    /// the complaint names, two at most.
    async fn note_complaint(&self, accepted: &Accepted, report: &HeardReport) -> Result<(), Failure> {
        let HeardAbout::Complaint { what, address, message_id: Some(message_id), ids, .. } = &report.about
        else {
            return Ok(());
        };
        if what == "not-spam" {
            return Ok(());
        }
        for id in ids {
            let found = journey(&*self.log, accepted.tenant, *id).await;
            let Some(letter) = found.map_err(|error| failure(&error.into()))? else { continue };
            let known = letter.delivery.as_ref().map(|delivery| delivery.message_id.as_str());
            if known != Some(cut(message_id, MESSAGE_ID)) {
                continue;
            }
            let outside: Vec<&str> = letter
                .recipients()
                .filter(|one| one.outcome == Outcome::Outside)
                .map(|one| one.address.as_str())
                .collect();
            // Many do not say who has complained: of a letter to one it was he.
            let complains = match (address, &outside[..]) {
                (Some(address), _) => outside.iter().find(|known| known.eq_ignore_ascii_case(address)),
                (None, [only]) => Some(only),
                (None, _) => None,
            };
            if let Some(address) = complains {
                self.suppress(accepted.tenant, address, SuppressedBy::Complaint, letter.id).await?;
            }
        }
        Ok(())
    }

    /// Sends the organisation's mailings there no more. Where the list is full, or the address none of ours to judge, nothing is done.
    pub(crate) async fn suppress(
        &self,
        tenant: TenantId,
        address: &str,
        by: SuppressedBy,
        letter: EventId,
    ) -> Result<(), Failure> {
        let Some(directory) = &self.directory else { return Ok(()) };
        match directory.suppress(tenant, address, by, Some(letter)).await {
            Ok(_) => Ok(()),
            Err(error) if error.is_temporary() => Err(Failure::temporary(&error)),
            Err(error) => {
                tracing::warn!(%tenant, %letter, %error, "an address is written to by mailings all the same");
                Ok(())
            }
        }
    }
}

/// What the report in a letter says; `None`: nothing that can be read.
fn read(letter: &Letter) -> Option<HeardReport> {
    let (accepted, sidecar) = (&letter.decided.accepted, &letter.decided.sidecar);
    let hearing = Hearing {
        letter: accepted.id,
        received: accepted.time,
        message_id: sidecar.facts.message_id.as_deref(),
        author: sidecar.facts.from.first().map_or("", |author| author.address.as_str()),
        is_unproved: accepted.auth.dmarc != Verdict::Pass,
    };
    let raw = match decompress(&letter.message) {
        Ok(raw) => raw,
        Err(error) => {
            tracing::warn!(message = %accepted.id, %error, "a report can't be read");
            return None;
        }
    };
    match heard(&raw, &sidecar.structure, &hearing) {
        Ok(report) => Some(report),
        Err(unread) => {
            let tenant = accepted.tenant;
            tracing::info!(%tenant, message = %accepted.id, cause = unread.0, "a report can't be read");
            None
        }
    }
}
