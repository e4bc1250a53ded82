//! The counting of days that are over.

use std::collections::BTreeMap;

use pennypost_journeys::{Counted, Counts, count_day};
use pennypost_model::codec::{Versioned, decode};
use pennypost_model::{AccountId, EventId, TenantId, Timestamp};
use pennypost_ports::{ControlKey, Expected, LogKind, LogQuery};
use serde::{Deserialize, Serialize};

use super::sheet::{Row, Sheet};
use super::{beginning, day_of};
use crate::{AdminError, Administration, Worked};

/// Days that statistics are kept for, the longest that a plan shows.
pub(super) const KEPT: i64 = pennypost_directory::LONG_LOG_DAYS;
/// Heads that are read at once: more than there are days.
pub(super) const HEADS: usize = 500;
/// What is accepted at the end of a day is in the log by then.
const SETTLED: i64 = 15 * 60 * 1000;
/// After so many days a day is counted, and again. Events are tried for two days; what was given up may be taken up again
/// as long as its bytes are kept.
const TURNS: [i64; 4] = [0, 1, 3, 16];
/// The same day met other writers so often.
const ATTEMPTS: usize = 4;

/// What a day came to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct DayHead {
    /// When it was counted.
    pub(super) counted: Timestamp,
    /// Letters that were counted.
    letters: u64,
    pub(super) total: Counts,
    pub(super) domains: BTreeMap<String, Counts>,
    /// The members.
    pub(super) sheet: Sheet,
}

impl Versioned for DayHead {
    const KIND: &'static str = "mail of a day";
}

impl Row for (AccountId, Counts) {
    const KIND: &'static str = "mail of members on a day";
}

pub(super) fn heads_partition(tenant: TenantId) -> String {
    format!("{tenant}/mail-days")
}

pub(super) fn members_partition(tenant: TenantId) -> String {
    format!("{tenant}/mail-day-members")
}

/// Names of the items of a day's members begin so.
pub(super) fn members_prefix(day: i64) -> String {
    format!("{}/", beginning(day).day())
}

/// Is it a day's turn to be counted, which was counted last at that time?
fn is_due(day: i64, counted: Option<Timestamp>, now: Timestamp) -> bool {
    let turn = |days: &i64| beginning(day + 1 + days).plus_millis(SETTLED);
    let last = TURNS.iter().map(turn).filter(|turn| *turn <= now).max();
    last.is_some_and(|last| counted.is_none_or(|counted| counted < last))
}

/// Heads of days with the versions of their items.
pub(super) type Heads = BTreeMap<i64, (DayHead, u64)>;

impl Administration {
    /// Counts the days of a tenant whose turn it is, the newest first, until a time; at least one. What is left is for
    /// another call. Repeated, at once or later, it changes nothing.
    ///
    /// # Errors
    /// [`AdminError`]; what was counted before it stands.
    #[pennypost_ports::compiled_here]
    pub async fn roll_up(&self, tenant: TenantId, until: Timestamp) -> Result<Worked, AdminError> {
        let now = self.clock.now();
        let today = day_of(now);
        let heads = self.mail_heads(tenant).await?;
        self.drop_old_days(tenant, &heads, today).await?;
        let Some(oldest) = self.oldest_trace(tenant).await? else { return Ok(Worked::Over) };
        for day in (oldest.max(today - KEPT)..today).rev() {
            if !is_due(day, heads.get(&day).map(|(head, _)| head.counted), now) {
                continue;
            }
            self.count(tenant, day, false).await?;
            if self.clock.now() >= until {
                return Ok(Worked::More);
            }
        }
        Ok(Worked::Over)
    }

    /// Counts the days of a tenant from a time on anew, whether or not it is their turn, and writes everything again: after a
    /// letter that had been given up for weeks was delivered.
    ///
    /// # Errors
    /// [`AdminError`]; what was counted before it stands.
    #[pennypost_ports::compiled_here]
    pub async fn count_again(&self, tenant: TenantId, from: Timestamp) -> Result<(), AdminError> {
        let today = day_of(self.clock.now());
        let Some(oldest) = self.oldest_trace(tenant).await? else { return Ok(()) };
        for day in (day_of(from).max(oldest).max(today - KEPT)..today).rev() {
            self.count(tenant, day, true).await?;
        }
        Ok(())
    }

    /// Heads of all days, as they stand.
    pub(super) async fn mail_heads(&self, tenant: TenantId) -> Result<Heads, AdminError> {
        let rows = self.control.query(&heads_partition(tenant), "", None, HEADS).await?;
        let mut heads = Heads::new();
        for (sort, item) in rows {
            let Some(day) = day_in(&sort) else { continue };
            heads.insert(day, (decode(&item.value)?, item.version));
        }
        Ok(heads)
    }

    /// The day of the oldest letter of which there still is a trace.
    pub(super) async fn oldest_trace(&self, tenant: TenantId) -> Result<Option<i64>, AdminError> {
        let (from, to) = (EventId::from_bytes([0; 16]), EventId::from_bytes([u8::MAX; 16]));
        let query = LogQuery { tenant, kind: LogKind::Trace, from, to, limit: 1 };
        let found = self.traces()?.query(&query).await?;
        Ok(found.first().map(|record| day_of(record.id.time())))
    }

    /// Counts a day and notes what it comes to. Of two at once the one that comes later finds what the other has written
    /// and counts anew: it has begun before that was finished, perhaps, but what it writes is no older.
    async fn count(&self, tenant: TenantId, day: i64, anew: bool) -> Result<(), AdminError> {
        let (members, prefix) = (members_partition(tenant), members_prefix(day));
        let key = ControlKey::new(heads_partition(tenant), beginning(day).day());
        for _ in 0..ATTEMPTS {
            let known = self.read::<DayHead>(&key).await?;
            let counted = self.clock.now();
            let found = count_day(&**self.traces()?, tenant, day, u64::MAX).await?.unwrap_or_default();
            let (next, expected) = match &known {
                // Fewer letters than there were: their traces are past their time. Mail does not become less.
                Some((known, version)) if found.letters < known.letters => {
                    (DayHead { counted, ..known.clone() }, Expected::Version(*version))
                }
                Some((known, version)) => (
                    self.head(&members, &prefix, found, counted, Some(known).filter(|_| !anew)).await?,
                    Expected::Version(*version),
                ),
                None => (self.head(&members, &prefix, found, counted, None).await?, Expected::Absent),
            };
            if self.write(&key, &next, expected).await? {
                let replaced =
                    known.iter().map(|(known, _)| &known.sheet).filter(|sheet| **sheet != next.sheet);
                let replaced: Vec<&Sheet> = replaced.collect();
                return self.drop_sheets((&members, &prefix), Some(&next.sheet), &replaced).await;
            }
        }
        Err(pennypost_directory::DirectoryError::Contended.into())
    }

    /// What a day comes to, with the sheet of its members: that which is there, if it holds the same.
    async fn head(
        &self,
        members: &str,
        prefix: &str,
        found: Counted,
        counted: Timestamp,
        known: Option<&DayHead>,
    ) -> Result<DayHead, AdminError> {
        let Counted { letters, total, domains, members: rows } = found;
        let rows: Vec<(AccountId, Counts)> = rows.into_iter().collect();
        let sheet = match known.filter(|known| known.sheet.holds(&rows)) {
            Some(known) => known.sheet.clone(),
            None => self.write_sheet((members, prefix), &rows).await?,
        };
        Ok(DayHead { counted, letters, total, domains, sheet })
    }

    /// Forgets days that nobody is shown any more.
    async fn drop_old_days(&self, tenant: TenantId, heads: &Heads, today: i64) -> Result<(), AdminError> {
        for (day, (head, version)) in heads.range(..today - KEPT) {
            let (members, prefix) = (members_partition(tenant), members_prefix(*day));
            self.drop_sheets((&members, &prefix), None, &[&head.sheet]).await?;
            let key = ControlKey::new(heads_partition(tenant), beginning(*day).day());
            self.control.delete_if(&key, *version).await?;
        }
        Ok(())
    }
}

/// The day in the name of an item.
pub(super) fn day_in(sort: &str) -> Option<i64> {
    let (year, rest) = sort.split_at_checked(4)?;
    let (month, day) = rest.split_at_checked(2)?;
    Timestamp::from_rfc3339(&format!("{year}-{month}-{day}T00:00:00Z")).map(day_of)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::statistics::DAY_MILLIS;

    #[test]
    fn days_are_counted_at_their_turns() {
        let end = beginning(11);
        let at = |days: i64, millis: i64| end.plus_millis(days * DAY_MILLIS + SETTLED + millis);
        assert!(!is_due(10, None, at(0, -1)), "it may go on");
        assert!(is_due(10, None, at(0, 0)));
        for (turn, next) in [(0, 1), (1, 3), (3, 16)] {
            let counted = Some(at(turn, 5));
            assert!(!is_due(10, counted, at(next, -1)), "{turn}");
            assert!(is_due(10, counted, at(next, 0)), "{turn}");
        }
        assert!(!is_due(10, Some(at(16, 0)), at(1_000, 0)), "never again");
        // What was missed is made good at once, and once.
        assert!(is_due(10, Some(at(0, 0)), at(9, 0)));
        assert!(!is_due(10, Some(at(9, 0)), at(9, 1)));
    }

    #[test]
    fn days_are_read_as_they_are_named() {
        for day in [0, 19_000, 20_600] {
            assert_eq!(day_in(&beginning(day).day()), Some(day));
        }
        for bad in ["", "2026", "20261340", "tomorrow", "2026112"] {
            assert_eq!(day_in(bad), None, "{bad}");
        }
    }
}
