//! Filling the mailbox.

use std::time::Instant;

use super::{Fill, Measuring};
use crate::BenchError;
use crate::corpus::letter::internal_date;
use crate::error::expect;
use crate::imap::{Imap, Look};
use crate::report::{Measure, Unit};

/// Messages of one MULTIAPPEND.
const BATCH: u64 = 200;
/// APPEND commands on their way at once.
const AHEAD: usize = 32;

impl Measuring<'_> {
    /// Brings the mailbox to the messages that are wanted: message `n` becomes letter `n - 1`, nine of ten are seen.
    pub(super) async fn fill(&mut self) -> Result<(), BenchError> {
        let mut session = self.session().await?;
        let wanted = self.args.messages;
        let how = match self.args.fill {
            Fill::Auto if session.offers("MULTIAPPEND").await? => Fill::Multiappend,
            Fill::Auto => Fill::Append,
            other => other,
        };
        if how != Fill::None && session.count(&self.args.mailbox).await.is_err() {
            session.run(&format!("CREATE {}", self.mailbox())).await?;
        }
        let status = session.run(&format!("STATUS {} (MESSAGES UIDNEXT)", self.mailbox())).await?;
        let there = status.messages.unwrap_or(0);
        self.untouched = status.uid_next == Some(there + 1);
        if how == Fill::None || there >= wanted {
            return expect("messages of the mailbox", wanted, there);
        }
        if !session.offers("LITERAL+").await? {
            return Err(BenchError::Missing("LITERAL+"));
        }
        let began = Instant::now();
        if how == Fill::Multiappend {
            self.fill_in_batches(&mut session, there).await?;
        } else {
            self.fill_one_by_one(&mut session, there).await?;
        }
        expect("messages of the mailbox", wanted, session.count(&self.args.mailbox).await?)?;
        let rate = (wanted - there) as f64 / began.elapsed().as_secs_f64();
        self.report.add("APPEND", Measure::Accepted, Unit::PerSecond, rate);
        Ok(())
    }

    async fn fill_in_batches(&self, session: &mut Imap, there: u64) -> Result<(), BenchError> {
        let wanted = self.args.messages;
        let mut before = None;
        for begin in (there..wanted).step_by(BATCH as usize) {
            // The next batch is made and sent while the server works on the one before.
            let tag = self.begin_multiappend(session, begin..wanted.min(begin + BATCH)).await?;
            if let Some(earlier) = before.replace(tag) {
                session.finish(&earlier, "APPEND", Look::default()).await?;
            }
        }
        if let Some(last) = before {
            session.finish(&last, "APPEND", Look::default()).await?;
        }
        Ok(())
    }

    async fn fill_one_by_one(&self, session: &mut Imap, there: u64) -> Result<(), BenchError> {
        let mut ahead = std::collections::VecDeque::new();
        for number in there..self.args.messages {
            ahead.push_back(self.begin_multiappend(session, number..number + 1).await?);
            if ahead.len() > AHEAD
                && let Some(tag) = ahead.pop_front()
            {
                session.finish(&tag, "APPEND", Look::default()).await?;
            }
        }
        for tag in ahead {
            session.finish(&tag, "APPEND", Look::default()).await?;
        }
        Ok(())
    }

    /// Sends one APPEND command with these letters.
    pub(super) async fn begin_multiappend(
        &self,
        session: &mut Imap,
        numbers: std::ops::Range<u64>,
    ) -> Result<String, BenchError> {
        let tag = session.tag();
        let mut octets = format!("{tag} APPEND {}", self.mailbox()).into_bytes();
        for number in numbers {
            append_argument(&mut octets, number, &self.corpus.letter(number));
            if octets.len() > 1 << 18 {
                session.send(&octets).await?;
                octets.clear();
            }
        }
        octets.extend_from_slice(b"\r\n");
        session.send(&octets).await?;
        Ok(tag)
    }
}

/// Is letter `number` seen in a filled mailbox?
pub(super) const fn is_seen(number: u64) -> bool {
    number % 10 != 0
}

/// Flags, date and literal of one message.
pub(super) fn append_argument(octets: &mut Vec<u8>, number: u64, letter: &[u8]) {
    let flags = if is_seen(number) { "\\Seen" } else { "" };
    let head = format!(" ({flags}) \"{}\" {{{}+}}\r\n", internal_date(number), letter.len());
    octets.extend_from_slice(head.as_bytes());
    octets.extend_from_slice(letter);
}
