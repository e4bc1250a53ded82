//! The report of a month (LOG-10): who signed in, what mailboxes held, what was received and sent, day by day.

use std::collections::BTreeSet;

use pennypost_journeys::Counts;
use pennypost_model::{AccountId, TenantId, Timestamp};

use super::mailboxes::UsedBytes;
use super::{DayOfMail, Period, day_of};
use crate::action::Action;
use crate::authorise::Scope;
use crate::call::Call;
use crate::{AdminError, Administration};

/// A day of the report.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DayOfReport {
    /// What was received and sent.
    pub mail: DayOfMail,
    /// Accounts that signed in.
    pub signed_in: usize,
    /// What all mailboxes held, as it was noted on that day; `None`: it was not.
    pub used: Option<UsedBytes>,
}

/// What happened in a month.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MonthlyReport {
    /// Its days, as far as they have begun and are shown by the plan.
    pub days: Vec<DayOfReport>,
    /// Accounts that signed in, each once.
    pub signed_in: usize,
    /// What was received and sent on these days together.
    pub counts: Counts,
    /// What all mailboxes held at the end, as far as it was noted.
    pub used: Option<UsedBytes>,
}

impl Administration {
    /// The report of a month that begins and ends with these days, in UTC. Made at once, of what days came to.
    ///
    /// # Errors
    /// [`AdminError`].
    #[pennypost_ports::compiled_here]
    pub async fn monthly_report(
        &self,
        call: &Call,
        tenant: TenantId,
        month: &Period,
    ) -> Result<MonthlyReport, AdminError> {
        call.may(Action::ReportRead, &Scope::Tenant(tenant))?;
        let tomorrow = super::beginning(day_of(self.clock.now()) + 1);
        let period = Period { until: month.until.min(tomorrow), ..*month };
        let mut report =
            MonthlyReport { days: Vec::new(), signed_in: 0, counts: Counts::default(), used: None };
        if period.until <= period.from {
            return Ok(report);
        }
        let uses = self.use_heads(tenant).await?;
        let mut everybody: BTreeSet<AccountId> = BTreeSet::new();
        let days = self.days_of_mail(tenant, &period, None).await?;
        let Some(first) = days.first().map(|day| day.day) else { return Ok(report) };
        let sign_ins = self.days_of_sign_ins(tenant, first, period.until).await?;
        for (mail, (_, accounts)) in days.into_iter().zip(sign_ins) {
            let used = uses.get(&day_of(mail.day)).map(|(head, _)| head.used);
            report.counts += mail.counts;
            report.used = used.or(report.used);
            report.days.push(DayOfReport { mail, signed_in: accounts.len(), used });
            everybody.extend(accounts);
        }
        report.signed_in = everybody.len();
        Ok(report)
    }
}

/// The month that holds a time: from its first day to that of the next one.
#[must_use]
pub fn month_of(time: Timestamp) -> Period {
    let (year, month, _) = time.civil_day();
    let first =
        |year: i64, month: u32| Timestamp::from_rfc3339(&format!("{year:04}-{month:02}-01T00:00:00Z"));
    let next = if month == 12 { first(year + 1, 1) } else { first(year, month + 1) };
    Period { from: first(year, month).unwrap_or(time), until: next.unwrap_or(time) }
}
