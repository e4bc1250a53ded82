//! Counts of sign-ins by day (LOG-02), and who has not signed in (LOG-05).

use std::collections::{BTreeMap, BTreeSet};

use pennypost_directory::{Account, Listed, Page, SignInKind, SignInOutcome, SignInQuery};
use pennypost_model::{AccountId, TenantId, Timestamp};

use crate::action::Action;
use crate::authorise::Scope;
use crate::call::Call;
use crate::{AdminError, Administration, Invalid};

/// Days of which counts are made at once.
pub(crate) const MAX_DAYS: usize = 92;
const DAY: i64 = 24 * 60 * 60 * 1000;
/// Records that are read at once.
const PAGE: usize = 1_000;

/// What happened on a day, in UTC.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct DayOfSignIns {
    /// Its beginning.
    pub day: Timestamp,
    /// Accounts that signed in.
    pub accounts: usize,
    /// Sign-ins, by kind.
    pub signed_in: BTreeMap<SignInKind, u64>,
    /// Attempts that failed.
    pub failed: u64,
    /// Accounts that were locked.
    pub locked: u64,
}

/// Somebody who has not signed in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Absent {
    /// The account.
    pub account: Account,
    /// The last day on which it was signed in to; `None`: never, as far as is known.
    pub last: Option<Timestamp>,
}

const fn day_of(time: Timestamp) -> i64 {
    time.0.div_euclid(DAY)
}

impl Administration {
    /// Counts for each day of a period; days without a sign-in are among them.
    ///
    /// # Errors
    /// [`AdminError`].
    pub async fn sign_in_statistics(
        &self,
        call: &Call,
        tenant: TenantId,
        from: Timestamp,
        until: Timestamp,
    ) -> Result<Vec<DayOfSignIns>, AdminError> {
        call.may(Action::SignInRead, &Scope::Tenant(tenant))?;
        let days = day_of(until.plus_millis(-1)) - day_of(from) + 1;
        let days = usize::try_from(days).ok().filter(|days| (1..=MAX_DAYS).contains(days));
        let days = days.ok_or(Invalid::TooMany { limit: MAX_DAYS })?;
        let record = self.sign_in_record()?;
        let query = SignInQuery { from: Some(from), until: Some(until), ..SignInQuery::default() };
        let mut counted: Vec<(DayOfSignIns, BTreeSet<AccountId>)> = Vec::with_capacity(days);
        for number in 0..days {
            let day = day_of(from).saturating_add(i64::try_from(number).unwrap_or(0));
            let day = Timestamp(day.saturating_mul(DAY));
            counted.push((DayOfSignIns { day, ..DayOfSignIns::default() }, BTreeSet::new()));
        }
        let mut after = None;
        loop {
            let (found, next) = record.find(tenant, &query, after, PAGE).await?;
            for one in found {
                let number = usize::try_from(day_of(one.last) - day_of(from)).unwrap_or(usize::MAX);
                let Some((day, accounts)) = counted.get_mut(number) else { continue };
                let count = u64::from(one.count);
                match one.outcome {
                    SignInOutcome::Ok => {
                        *day.signed_in.entry(one.kind).or_default() += count;
                        accounts.extend(one.account);
                    }
                    SignInOutcome::LockBegan => day.locked += count,
                    // Half a sign-in: what comes of it has a record of its own.
                    SignInOutcome::Unlocked | SignInOutcome::CodeNeeded => {}
                    _ => day.failed += count,
                }
            }
            let Some(next) = next else { break };
            after = Some(next);
        }
        let finished = |(day, accounts): (DayOfSignIns, BTreeSet<AccountId>)| DayOfSignIns {
            accounts: accounts.len(),
            ..day
        };
        Ok(counted.into_iter().map(finished).collect())
    }

    /// Accounts that may sign in, and did not from that day on; pages go by accounts, and may hold few, even none, though
    /// more follow. What the directory knows of each account answers it: no record is read.
    ///
    /// # Errors
    /// [`AdminError`].
    pub async fn not_signed_in(
        &self,
        call: &Call,
        tenant: TenantId,
        since: Timestamp,
        page: &Page,
    ) -> Result<Listed<Absent>, AdminError> {
        call.may(Action::SignInRead, &Scope::Tenant(tenant))?;
        let now = self.clock.now();
        let Listed { items, next } = self.directory.accounts(tenant, page).await?;
        let keys: Vec<_> = items.iter().map(|account| account.key).collect();
        let last = self.directory.last_sign_ins(&keys).await?;
        let absent = items.into_iter().filter(|account| account.is_open(now)).filter_map(|account| {
            let last = last.get(&account.key.account).copied();
            let is_absent = last.is_none_or(|last| last < since);
            is_absent.then_some(Absent { account, last })
        });
        Ok(Listed { items: absent.collect(), next })
    }
}
