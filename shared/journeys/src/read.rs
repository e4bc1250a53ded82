//! Journeys as they are found in the log: forwards over a period, one by its id, backwards from the newest.

use std::ops::ControlFlow;

use pennypost_model::{EventId, TenantId, Timestamp};
use pennypost_ports::{Log, LogKind, LogQuery, LogRecord, PortResult};

use crate::Journey;

/// Records that are read at once.
const PAGE: usize = 500;
/// Records of a window that is read backwards, about: it is made narrower where there are more.
const WINDOW: usize = 2_000;
/// Milliseconds of the first window.
const FIRST: i64 = 60 * 60 * 1000;
/// Milliseconds of the widest window.
const WIDEST: i64 = 32 * 24 * 60 * 60 * 1000;

/// The journey of one message.
///
/// # Errors
/// The port's.
#[pennypost_ports::compiled_here]
pub async fn journey(log: &dyn Log, tenant: TenantId, id: EventId) -> PortResult<Option<Journey>> {
    let mut found = None;
    read(log, tenant, id, id, &mut |journey| {
        found = Some(journey);
        ControlFlow::Break(())
    })
    .await?;
    Ok(found)
}

/// Hands out the journeys of ids from `from` to `to`, both inclusive, in ascending order, each once and whole, until
/// `each` has enough.
///
/// # Errors
/// The port's.
#[pennypost_ports::compiled_here]
pub async fn read(
    log: &dyn Log,
    tenant: TenantId,
    mut from: EventId,
    to: EventId,
    each: &mut (dyn FnMut(Journey) -> ControlFlow<()> + Send),
) -> PortResult<()> {
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
        for journey in journeys(tenant, &records) {
            if each(journey).is_break() {
                return Ok(());
            }
        }
        if !is_full {
            return Ok(());
        }
        page = PAGE;
    }
}

fn journeys(tenant: TenantId, records: &[LogRecord]) -> impl DoubleEndedIterator<Item = Journey> {
    records.chunk_by(|a, b| a.id == b.id).map(move |some| Journey::of(tenant, some[0].id, some))
}

/// Reads from the newest to the oldest. The log is read forwards only, so it goes back window by window: wide ones where
/// little is written, narrow ones where much is.
pub struct Backwards<'a> {
    log: &'a dyn Log,
    tenant: TenantId,
    /// The first millisecond of the period.
    begin: Timestamp,
    /// The last millisecond of the next window.
    end: Timestamp,
    width: i64,
}

impl<'a> Backwards<'a> {
    /// Over what was accepted from `begin` to `end`, both inclusive.
    #[must_use]
    pub fn new(log: &'a dyn Log, tenant: TenantId, begin: Timestamp, end: Timestamp) -> Backwards<'a> {
        Backwards { log, tenant, begin: begin.max(Timestamp(0)), end, width: FIRST }
    }

    /// The id below which nothing has been read yet; `None` where the period is over.
    #[must_use]
    pub fn position(&self) -> Option<EventId> {
        (self.end >= self.begin).then(|| EventId::from_parts(self.end.plus_millis(1), 0))
    }

    /// The journeys of the next window, the newest first, and perhaps none; `None` where the period is over.
    ///
    /// # Errors
    /// The port's; the same window comes again then.
    #[pennypost_ports::compiled_here]
    pub async fn next(&mut self) -> PortResult<Option<Vec<Journey>>> {
        let mut limit = WINDOW;
        loop {
            if self.end < self.begin {
                return Ok(None);
            }
            let begin = self.begin.max(self.end.plus_millis(1 - self.width));
            let (from, to) = (EventId::from_parts(begin, 0), EventId::from_parts(self.end, u128::MAX));
            let query = LogQuery { tenant: self.tenant, kind: LogKind::Trace, from, to, limit };
            let records = self.log.query(&query).await?;
            if records.len() >= limit {
                if begin == self.end {
                    // More in one millisecond: they are read at once.
                    limit = limit.saturating_mul(2);
                } else {
                    // As wide as it would have to be if all were as dense as what was read.
                    let last = records.last().map_or(begin, |record| record.id.time());
                    let dense = last.0.saturating_sub(begin.0) + 1;
                    self.width = (dense / 2).clamp(1, (self.width / 2).max(1));
                }
                continue;
            }
            self.end = begin.plus_millis(-1);
            if records.len() < WINDOW / 4 {
                self.width = self.width.saturating_mul(4).min(WIDEST);
            }
            return Ok(Some(journeys(self.tenant, &records).rev().collect()));
        }
    }
}

#[cfg(test)]
#[path = "read_tests.rs"]
mod tests;
