//! Counts of sign-ins by day (LOG-02), and who has not signed in (LOG-05).

use std::collections::{BTreeMap, BTreeSet};

use pennypost_directory::{Account, Listed, Page, SignInKind, SignInOutcome, SignInQuery};
use pennypost_model::{AccountId, TenantId, Timestamp};

use crate::action::Action;
use crate::authorise::Scope;
use crate::call::Call;
use crate::statistics::{beginning, day_of, days_between};
use crate::{AdminError, Administration, Conflict};

/// Records that are read at once.
const PAGE: usize = 1_000;
/// Pages of records that are read for the first page of administrators.
const PAGES_AT_ONCE: usize = 20;

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

impl Administration {
    /// Counts for each day of a period; days without a sign-in are among them, those that the plan shows no more are not.
    ///
    /// # Errors
    /// [`AdminError`].
    #[pennypost_ports::compiled_here]
    pub async fn sign_in_statistics(
        &self,
        call: &Call,
        tenant: TenantId,
        from: Timestamp,
        until: Timestamp,
    ) -> Result<Vec<DayOfSignIns>, AdminError> {
        call.may(Action::SignInRead, &Scope::Tenant(tenant))?;
        days_between(from, until)?;
        let since = self.shown_since(tenant).await?;
        let days = self.days_of_sign_ins(tenant, from.max(since), until).await?;
        let finished = |(day, accounts): (DayOfSignIns, BTreeSet<AccountId>)| DayOfSignIns {
            accounts: accounts.len(),
            ..day
        };
        Ok(days.into_iter().map(finished).collect())
    }

    /// How many accounts signed in, each counted once; `None`: sign-ins are not recorded, or there are more records than are
    /// read while somebody waits.
    pub(crate) async fn accounts_signed_in(
        &self,
        tenant: TenantId,
        from: Timestamp,
        until: Timestamp,
    ) -> Result<Option<u64>, AdminError> {
        let record = match self.sign_in_record() {
            Err(AdminError::Conflict(Conflict::NoRecord)) => return Ok(None),
            record => record?,
        };
        let query = SignInQuery { from: Some(from), until: Some(until), ..SignInQuery::default() };
        let (mut accounts, mut after) = (BTreeSet::new(), None);
        for _ in 0..PAGES_AT_ONCE {
            let (found, next) = record.find(tenant, &query, after, PAGE).await?;
            let good = found.into_iter().filter(|one| one.outcome == SignInOutcome::Ok);
            accounts.extend(good.filter_map(|one| one.account));
            let Some(next) = next else { return Ok(Some(accounts.len() as u64)) };
            after = Some(next);
        }
        Ok(None)
    }

    /// The same for whoever may see it, with the accounts of each day. A period that is over before it begins has no days.
    pub(crate) async fn days_of_sign_ins(
        &self,
        tenant: TenantId,
        from: Timestamp,
        until: Timestamp,
    ) -> Result<Vec<(DayOfSignIns, BTreeSet<AccountId>)>, AdminError> {
        if until <= from {
            return Ok(Vec::new());
        }
        let days = days_between(from, until)?;
        let record = self.sign_in_record()?;
        let query = SignInQuery { from: Some(from), until: Some(until), ..SignInQuery::default() };
        let mut counted: Vec<(DayOfSignIns, BTreeSet<AccountId>)> = Vec::with_capacity(days);
        for number in 0..days {
            let day = day_of(from).saturating_add(i64::try_from(number).unwrap_or(0));
            counted.push((DayOfSignIns { day: beginning(day), ..DayOfSignIns::default() }, BTreeSet::new()));
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
        Ok(counted)
    }

    /// Accounts that may sign in, and did not from that day on; pages go by accounts, and may hold few, even none, though
    /// more follow. What the directory knows of each account answers it: no record is read.
    ///
    /// # Errors
    /// [`AdminError`].
    #[pennypost_ports::compiled_here]
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
