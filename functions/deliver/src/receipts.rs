//! Read receipts that mail programs send of letters of members (SND-09, RFC 8098): that a recipient has read a letter stands in
//! its trace then; the receipt itself is a letter as any other.
//!
//! Whom one believes is who could know: of an address elsewhere whoever writes over SMTP from nobody, names the letter by its
//! Message-ID and by what our Received field calls it, and has nothing speak against him (DMARC); of a colleague that colleague,
//! signed in. It counts for whoever has sent that letter, and for an address to which he has written.
//!
//! A receipt of a member here whose consent was asked by the post office ([`RECEIPT_REASON`](pennypost_model::trace::RECEIPT_REASON)) is
//! written by the post office itself, and believed; which letters ask is read of their headers, where their traces are written.
//!
//! What is no receipt costs nothing. A receipt costs one query of the log for each id that it names, three at most, and a write
//! if it is news.

use pennypost_journeys::Journey;
use pennypost_mailstore::compress::{decompress_begin, decompress_header};
use pennypost_model::codec;
use pennypost_model::event::{SourceKind, Verdict};
use pennypost_model::message::cut;
use pennypost_model::trace::{Outcome, TraceRecipient, TraceRecord, TraceStep, WasRead};
use pennypost_ports::{LogKind, LogRecord};
use pennypost_reports::{Receipt, asks, is_receipt, receipt};
use pennypost_runtime::Failure;

use crate::came_back::{BEGIN, MESSAGE_ID, is_written_to, plain};
use crate::{Deliver, Letter, failure};

/// May the letter be a receipt for a member, of somebody who is believed?
pub(crate) fn may_tell(letter: &Letter) -> bool {
    let accepted = &letter.decided.accepted;
    let is_believed = match accepted.source.kind.way() {
        SourceKind::Smtp | SourceKind::Service { .. } => {
            accepted.reverse_path.is_empty() && accepted.auth.dmarc != Verdict::Fail
        }
        // The post office writes no receipt but for a member who has agreed to it.
        SourceKind::System => true,
        kind => kind.submission().is_some(),
    };
    is_believed && is_receipt(&letter.decided.sidecar.structure)
}

/// Who asks whoever gets the letter for a receipt. Not what programs and lists have sent, nor a receipt (RFC 8098 section 2), nor what
/// nobody has.
pub(crate) fn asker(letter: &Letter) -> Option<String> {
    let (accepted, sidecar) = (&letter.decided.accepted, &letter.decided.sidecar);
    if accepted.reverse_path.is_empty() || sidecar.facts.automatic || is_receipt(&sidecar.structure) {
        return None;
    }
    match decompress_header(&letter.message) {
        Ok(header) => asks(&header),
        Err(error) => {
            tracing::warn!(message = %accepted.id, %error, "whether a letter asks for a receipt can't be read");
            None
        }
    }
}

/// What the receipt says that was not known, of an address to which whoever has sent the letter wrote himself.
fn news(letter: &Letter, told: &Receipt, sent: &Journey) -> Vec<WasRead> {
    let accepted = &letter.decided.accepted;
    let reader = accepted.source.kind.submission().map(|submission| submission.submitter.account);
    let is_readers = |recipient: &&TraceRecipient| match reader {
        Some(reader) => matches!(recipient.outcome, Outcome::Stored { .. }) && recipient.account == reader,
        None if accepted.source.kind == SourceKind::System => {
            matches!(recipient.outcome, Outcome::Stored { .. })
        }
        None => is_written_to(recipient),
    };
    let is_named = |recipient: &&TraceRecipient| {
        let address = plain(&recipient.address);
        told.addresses.iter().any(|told| plain(told) == address)
    };
    let is_news = |recipient: &&TraceRecipient| sent.receipt(&recipient.address).is_none();
    let found = sent.recipients().filter(is_readers).filter(is_named).filter(is_news);
    let read = found.map(|recipient| WasRead {
        address: recipient.address.clone(),
        program: told.program.clone(),
        receipt: accepted.id,
    });
    // A receipt is of one reader.
    read.take(1).collect()
}

impl Deliver {
    /// Notes what a receipt says.
    pub(crate) async fn note_receipt(&self, letter: &Letter) -> Result<(), Failure> {
        let accepted = &letter.decided.accepted;
        let begin = match decompress_begin(&letter.message, BEGIN) {
            Ok(begin) => begin,
            Err(error) => {
                tracing::warn!(message = %accepted.id, %error, "a receipt can't be read");
                return Ok(());
            }
        };
        let Some(told) = receipt(&begin, &letter.decided.sidecar.structure) else { return Ok(()) };
        if !told.is_displayed {
            return Ok(());
        }
        for id in &told.ids {
            let Some(sent) = self.sent_by(accepted, *id).await? else { continue };
            let known = sent.delivery.as_ref().map(|delivery| delivery.message_id.as_str());
            if known != Some(cut(&told.message_id, MESSAGE_ID)) {
                continue;
            }
            let time = self.store.clock().now();
            let records: Vec<LogRecord> = news(letter, &told, &sent)
                .into_iter()
                .map(|read| {
                    let record = TraceRecord::new(sent.tenant, sent.id, time, TraceStep::WasRead(read));
                    let value = codec::encode(&record);
                    LogRecord { tenant: sent.tenant, kind: LogKind::Trace, id: sent.id, time, value }
                })
                .collect();
            if !records.is_empty() {
                self.log.append(&records).await.map_err(|error| failure(&error.into()))?;
                tracing::info!(tenant = %sent.tenant, message = %sent.id, receipt = %accepted.id, "a letter was read");
            }
            return Ok(());
        }
        Ok(())
    }
}
