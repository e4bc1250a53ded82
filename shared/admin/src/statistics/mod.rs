//! Statistics of mail (LOG-01, LOG-03, LOG-04, LOG-10): what was received and sent by day, what mailboxes hold, single
//! letters.
//!
//! What a letter did stands in its trace, and nowhere else: nothing is written for statistics when a letter comes. Once a
//! day housekeeping counts the days that are over ([`Administration::roll_up`]) and notes what they come to: a *head* with
//! the counts of the tenant and its domains, and a *sheet* with those of the members. A day is always counted as a whole and
//! from the log, so that counting twice, in another order, or by two at once comes to the same; it is counted again after
//! one, three and sixteen days, since letters are delivered late, too.
//!
//! If the process dies: a sheet without a head is nobody's, and removed a day later; a day without a head, or whose head is
//! older than its last turn, is counted by the next run.

mod csv;
mod letters;
mod mail;
mod mailboxes;
mod report;
mod rollup;
mod sheet;

use std::sync::Arc;

use pennypost_model::{TenantId, Timestamp};
use pennypost_ports::Log;

use crate::{AdminError, Administration, Invalid};

pub use csv::{days_csv, letters_csv, mailboxes_csv, members_csv, report_csv};
pub use letters::{LetterKind, LetterQuery};
pub use mail::{DayOfMail, MemberOfMail, MemberOrder, Period};
pub use mailboxes::{MailboxUse, UsedBytes};
pub use pennypost_journeys::{Counts, Delivery, Journey};
pub use report::{DayOfReport, MonthlyReport, month_of};

pub(crate) use pennypost_journeys::{DAY_MILLIS, day_of};

/// Days of which statistics are made at once.
const MAX_DAYS: usize = 92;

/// The beginning of a day.
pub(crate) const fn beginning(day: i64) -> Timestamp {
    Timestamp(day.saturating_mul(DAY_MILLIS))
}

/// How many days there are in a period: one at least, and no more than are counted at once.
pub(crate) fn days_between(from: Timestamp, until: Timestamp) -> Result<usize, Invalid> {
    let days = day_of(until.plus_millis(-1)).saturating_sub(day_of(from)).saturating_add(1);
    let days = usize::try_from(days).ok().filter(|days| (1..=MAX_DAYS).contains(days));
    days.ok_or(Invalid::TooMany { limit: MAX_DAYS })
}

/// Rows of a page, behind the one at `after`.
fn page_of<T>(rows: Vec<T>, after: usize, limit: usize) -> (Vec<T>, Option<usize>) {
    let end = after.saturating_add(limit);
    let next = (end < rows.len()).then_some(end);
    (rows.into_iter().skip(after).take(limit).collect(), next)
}

impl Administration {
    /// The same with the log, in which traces are read.
    #[must_use]
    pub fn reading(self, log: Arc<dyn Log>) -> Administration {
        Administration { log: Some(log), ..self }
    }

    pub(crate) fn traces(&self) -> Result<&Arc<dyn Log>, AdminError> {
        self.log.as_ref().ok_or(AdminError::NoTraces)
    }

    /// From when on the tenant's logs and statistics are shown: so many days as its plan says, today being the last.
    pub(crate) async fn shown_since(&self, tenant: TenantId) -> Result<Timestamp, AdminError> {
        let now = self.clock.now();
        let days = self.stored_tenant(tenant).await?.log_days(now);
        Ok(beginning(day_of(now) - days + 1))
    }

    /// The days of a period that are shown.
    async fn shown_days(
        &self,
        tenant: TenantId,
        period: &Period,
    ) -> Result<std::ops::Range<i64>, AdminError> {
        days_between(period.from, period.until)?;
        let since = day_of(self.shown_since(tenant).await?);
        Ok(day_of(period.from).max(since)..day_of(period.until.plus_millis(-1)) + 1)
    }
}
