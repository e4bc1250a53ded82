//! Secretaries: members who act for another one (DLG-01 … DLG-04).
//!
//! | partition | sort | holds |
//! | --- | --- | --- |
//! | `T/secretaries` | `OWNER` | who is his secretary, who applies for it: all of them, and only that counts |
//! | `T/secretary-of` | `SECRETARY/OWNER` | whose secretary somebody is: an index |
//!
//! A secretary stands from the grant for one of five terms, and then no more: whoever asks compares the time, and nothing
//! has to run for it. What is over, and applications that nobody has decided for 30 days, goes with the next change. The
//! index is written and read as that of business mailboxes ([`crate::business`]): before whatever is new, and cleared after
//! what has gone, or by whoever finds that it tells of what is over.
//!
//! Nobody's secretary has, by however many others, himself as secretary. That is looked at before and after the grant: of
//! two at once that make a circle, one at least is taken back.

use std::collections::BTreeSet;

use futures::stream::{self, StreamExt, TryStreamExt};
use pennypost_model::codec::Versioned;
use pennypost_model::{AccountId, AccountKey, TenantId, Timestamp};
use pennypost_ports::{Consistency, ControlKey, Expected};
use serde::{Deserialize, Serialize};

use crate::store::MAX_ATTEMPTS;
use crate::{Account, AccountKind, Directory, DirectoryError, NoSeat};

/// Secretaries that one member has at a time. T says no number.
pub const MAX_SECRETARIES: usize = 10;
/// Applications that wait for one member's word, and of one member for the words of others.
pub const MAX_APPLICATIONS: usize = 20;
/// Members whose secretaries are looked at for a circle.
const MAX_CHAIN: usize = 200;
/// Owners that are looked up at once.
const LOOKUPS: usize = 16;
const DAY: i64 = 24 * 60 * 60 * 1000;
/// For how long an application waits.
const WAITING: i64 = 30 * DAY;

/// What a secretary may do (DLG-03). Stored: new ones at the end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum SecretaryScope {
    /// Send mail that shows the owner as its sender.
    SendAs,
    /// Send mail that shows who has sent it for the owner.
    SendOnBehalf,
    /// All that the owner may do in his mailboxes.
    Full,
}

impl SecretaryScope {
    /// Every scope.
    pub const ALL: [SecretaryScope; 3] =
        [SecretaryScope::SendAs, SecretaryScope::SendOnBehalf, SecretaryScope::Full];

    /// Its name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            SecretaryScope::SendAs => "send-as",
            SecretaryScope::SendOnBehalf => "send-on-behalf",
            SecretaryScope::Full => "full",
        }
    }
}

/// For how long (DLG-04). Stored: new ones at the end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum SecretaryTerm {
    /// 1 day.
    Day,
    /// 1 week.
    Week,
    /// 1 month: 30 days.
    Month,
    /// 3 months: 90 days.
    ThreeMonths,
    /// 6 months: 180 days.
    SixMonths,
}

impl SecretaryTerm {
    /// Every term.
    pub const ALL: [SecretaryTerm; 5] = [
        SecretaryTerm::Day,
        SecretaryTerm::Week,
        SecretaryTerm::Month,
        SecretaryTerm::ThreeMonths,
        SecretaryTerm::SixMonths,
    ];

    /// Its name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            SecretaryTerm::Day => "1-day",
            SecretaryTerm::Week => "1-week",
            SecretaryTerm::Month => "1-month",
            SecretaryTerm::ThreeMonths => "3-months",
            SecretaryTerm::SixMonths => "6-months",
        }
    }

    /// How many days it is.
    #[must_use]
    pub const fn days(self) -> i64 {
        match self {
            SecretaryTerm::Day => 1,
            SecretaryTerm::Week => 7,
            SecretaryTerm::Month => 30,
            SecretaryTerm::ThreeMonths => 90,
            SecretaryTerm::SixMonths => 180,
        }
    }
}

/// That somebody is a secretary.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct SecretaryGrant {
    /// What he may do.
    pub scope: SecretaryScope,
    /// Since when.
    pub since: Timestamp,
    /// From then on he is none.
    pub until: Timestamp,
}

/// That somebody would like to be one (DLG-02).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct SecretaryApplication {
    /// To do what.
    pub scope: SecretaryScope,
    /// For how long.
    pub term: SecretaryTerm,
    /// Since when.
    pub since: Timestamp,
}

/// Somebody who is another one's secretary, would like to be, or both.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Secretary {
    /// The account.
    pub account: AccountId,
    /// What he is.
    pub granted: Option<SecretaryGrant>,
    /// What he would like to be.
    pub applied: Option<SecretaryApplication>,
}

impl Secretary {
    /// What is left of it at that time; `None` if nothing is.
    fn at(mut self, now: Timestamp) -> Option<Secretary> {
        self.granted = self.granted.filter(|granted| granted.until > now);
        self.applied = self.applied.filter(|applied| applied.since.plus_millis(WAITING) > now);
        (self.granted.is_some() || self.applied.is_some()).then_some(self)
    }

    /// Does he stand in the owner's place?
    fn is_full(&self) -> bool {
        self.granted.is_some_and(|granted| granted.scope == SecretaryScope::Full)
    }
}

/// Those of one owner, in the order in which they came.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Secretaries(Vec<Secretary>);

impl Versioned for Secretaries {
    const KIND: &'static str = "secretaries";
}

impl Secretaries {
    fn at(self, now: Timestamp) -> Secretaries {
        Secretaries(self.0.into_iter().filter_map(|secretary| secretary.at(now)).collect())
    }

    /// Those that the others have not, or have otherwise.
    fn unlike(&self, others: &Secretaries) -> Secretaries {
        Secretaries(self.0.iter().filter(|secretary| !others.0.contains(secretary)).cloned().collect())
    }

    /// The entry of an account, made if there is none.
    fn of(&mut self, account: AccountId) -> &mut Secretary {
        let known = self.0.iter().position(|secretary| secretary.account == account);
        let index = known.unwrap_or_else(|| {
            self.0.push(Secretary { account, granted: None, applied: None });
            self.0.len() - 1
        });
        &mut self.0[index]
    }

    /// Where the index says whose secretaries these are.
    fn places(&self, owner: AccountId) -> BTreeSet<String> {
        self.0.iter().map(|secretary| place(secretary.account, owner)).collect()
    }
}

fn secretaries_key(owner: AccountKey) -> ControlKey {
    ControlKey::new(format!("{}/secretaries", owner.tenant), owner.account.to_string())
}

fn owners_partition(tenant: TenantId) -> String {
    format!("{tenant}/secretary-of")
}

fn place(secretary: AccountId, owner: AccountId) -> String {
    format!("{secretary}/{owner}")
}

impl Directory {
    /// The secretaries of a member, and who applies for it; in the order in which they came.
    ///
    /// # Errors
    /// The port's.
    #[pennypost_ports::compiled_here]
    pub async fn secretaries(&self, owner: AccountKey) -> Result<Vec<Secretary>, DirectoryError> {
        let held = self.read::<Secretaries>(&secretaries_key(owner), Consistency::Strong).await?;
        Ok(held.map(|held| held.value.at(self.clock.now()).0).unwrap_or_default())
    }

    /// Makes a colleague a member's secretary, from now on for that term; one who is it already is it anew (DLG-01,
    /// DLG-04). An application of his is answered with it.
    ///
    /// # Errors
    /// [`DirectoryError::NoAccount`], [`DirectoryError::WrongKind`] for business mailboxes (BIZ-08),
    /// [`DirectoryError::InBin`], [`DirectoryError::SecretaryCycle`], [`DirectoryError::TooMany`],
    /// [`NoSeat::NoSecretaries`] where the plan has VIP seats and the owner has none (PLN-10), or the port's.
    #[pennypost_ports::compiled_here]
    pub async fn grant_secretary(
        &self,
        owner: AccountKey,
        secretary: AccountId,
        (scope, term): (SecretaryScope, SecretaryTerm),
    ) -> Result<Secretary, DirectoryError> {
        let known = self.secretaries(owner).await?;
        let is_one = known.iter().any(|one| one.account == secretary && one.granted.is_some());
        self.check_pair(owner, secretary, is_one).await?;
        let since = self.clock.now();
        let granted = SecretaryGrant { scope, since, until: since.plus_millis(term.days() * DAY) };
        let (before, changed) = self
            .change_secretaries(owner, |secretaries| {
                let entry = secretaries.of(secretary);
                let before = entry.clone();
                (entry.granted, entry.applied) = (Some(granted), None);
                let entry = entry.clone();
                let count = secretaries.0.iter().filter(|one| one.granted.is_some()).count();
                too_many(count, MAX_SECRETARIES, "the list of secretaries").map(|()| (before, entry))
            })
            .await?;
        match self.check_circle(owner, secretary).await {
            Ok(()) => Ok(changed),
            // It was looked at before; and a circle is untidy, but opens nothing: full rights do not pass on.
            Err(error) if error.is_temporary() => Ok(changed),
            Err(circle) => {
                // What was there before comes back.
                self.change_secretaries(owner, |secretaries| {
                    let entry = secretaries.of(secretary);
                    if entry.granted == Some(granted) {
                        entry.clone_from(&before);
                    }
                    Ok(())
                })
                .await?;
                Err(circle)
            }
        }
    }

    /// Somebody would like to be a colleague's secretary (DLG-02). A later application takes the place of an earlier one;
    /// [`MAX_APPLICATIONS`] of one member may wait.
    ///
    /// # Errors
    /// Those of [`Directory::grant_secretary`].
    #[pennypost_ports::compiled_here]
    pub async fn apply_as_secretary(
        &self,
        owner: AccountKey,
        secretary: AccountId,
        (scope, term): (SecretaryScope, SecretaryTerm),
    ) -> Result<Secretary, DirectoryError> {
        self.check_pair(owner, secretary, false).await?;
        let all = self.secretary_of(AccountKey { account: secretary, ..owner }).await?;
        let others = all.iter().filter(|(of, entry)| of.key != owner && entry.applied.is_some()).count();
        too_many(others + 1, MAX_APPLICATIONS, "the list of applications")?;
        let applied = SecretaryApplication { scope, term, since: self.clock.now() };
        self.change_secretaries(owner, |secretaries| {
            let entry = secretaries.of(secretary);
            entry.applied = Some(applied);
            let entry = entry.clone();
            let count = secretaries.0.iter().filter(|one| one.applied.is_some()).count();
            too_many(count, MAX_APPLICATIONS, "the list of applications").map(|()| entry)
        })
        .await
    }

    /// Somebody is a member's secretary no more, from here on, and his application is answered with no; `false` if there
    /// was neither.
    ///
    /// # Errors
    /// The port's.
    #[pennypost_ports::compiled_here]
    pub async fn end_secretary(
        &self,
        owner: AccountKey,
        secretary: AccountId,
    ) -> Result<bool, DirectoryError> {
        self.change_secretaries(owner, |secretaries| {
            let before = secretaries.0.len();
            secretaries.0.retain(|one| one.account != secretary);
            Ok(secretaries.0.len() < before)
        })
        .await
    }

    /// Whose secretary somebody is, or would like to be; by the owners' addresses.
    ///
    /// # Errors
    /// The port's.
    #[pennypost_ports::compiled_here]
    pub async fn secretary_of(
        &self,
        secretary: AccountKey,
    ) -> Result<Vec<(Account, Secretary)>, DirectoryError> {
        let prefix = format!("{}/", secretary.account);
        let sorts = self.sorts(&owners_partition(secretary.tenant), &prefix).await?;
        let owners = sorts.iter().filter_map(|sort| sort.strip_prefix(&prefix)?.parse::<AccountId>().ok());
        let looks: Vec<_> = owners.map(|owner| self.found_at(secretary, owner)).collect();
        let found: Vec<Option<(Account, Secretary)>> =
            stream::iter(looks).buffered(LOOKUPS).try_collect().await?;
        let mut found: Vec<(Account, Secretary)> = found.into_iter().flatten().collect();
        found.sort_by_cached_key(|(owner, _)| owner.address.to_string());
        Ok(found)
    }

    /// What somebody is to the owner of whom the index tells. If that is over, the index tells of it no more: nothing else
    /// clears it while nobody changes that owner's list.
    async fn found_at(
        &self,
        secretary: AccountKey,
        owner: AccountId,
    ) -> Result<Option<(Account, Secretary)>, DirectoryError> {
        let owner = AccountKey { tenant: secretary.tenant, account: owner };
        let his = self.secretaries(owner).await?;
        let entry = his.into_iter().find(|one| one.account == secretary.account);
        let Some(entry) = entry else {
            self.settle_owners(owner, &BTreeSet::from([place(secretary.account, owner.account)])).await?;
            return Ok(None);
        };
        Ok(self.account(owner).await?.map(|owner| (owner, entry)))
    }

    /// The open accounts of members in whose place somebody stands (DLG-03), by their addresses.
    ///
    /// # Errors
    /// The port's.
    #[pennypost_ports::compiled_here]
    pub async fn stands_in_for(&self, secretary: AccountKey) -> Result<Vec<Account>, DirectoryError> {
        let all = self.secretary_of(secretary).await?.into_iter();
        let now = self.clock.now();
        let is_meant = |(owner, entry): &(Account, Secretary)| {
            entry.is_full() && owner.kind == AccountKind::Member && owner.is_open(now)
        };
        Ok(all.filter(is_meant).map(|(owner, _)| owner).collect())
    }

    /// Does somebody stand in the place of that member, whose account is open?
    ///
    /// # Errors
    /// The port's.
    #[pennypost_ports::compiled_here]
    pub async fn is_full_secretary(
        &self,
        secretary: AccountKey,
        owner: &Account,
    ) -> Result<bool, DirectoryError> {
        let is_possible = secretary.tenant == owner.key.tenant
            && owner.kind == AccountKind::Member
            && owner.is_open(self.clock.now());
        if !is_possible {
            return Ok(false);
        }
        let secretaries = self.secretaries(owner.key).await?;
        Ok(secretaries.iter().any(|one| one.account == secretary.account && one.is_full()))
    }

    /// The account has another owner from now on, or none: nobody is his secretary, and he is nobody's.
    pub(crate) async fn leave_secretaries(&self, key: AccountKey) -> Result<(), DirectoryError> {
        if self.read::<Secretaries>(&secretaries_key(key), Consistency::Strong).await?.is_some() {
            self.change_secretaries(key, |secretaries| {
                secretaries.0.clear();
                Ok(())
            })
            .await?;
            self.erase(&secretaries_key(key)).await?;
        }
        let (partition, prefix) = (owners_partition(key.tenant), format!("{}/", key.account));
        for sort in self.sorts(&partition, &prefix).await? {
            let Some(owner) = sort.strip_prefix(&prefix).and_then(|owner| owner.parse().ok()) else {
                self.erase(&ControlKey::new(&partition, sort)).await?;
                continue;
            };
            let owner = AccountKey { tenant: key.tenant, account: owner };
            self.end_secretary(owner, key.account).await?;
            // Where he stood no longer: what is over, or what an interrupted call has left.
            self.settle_owners(owner, &BTreeSet::from([sort])).await?;
        }
        Ok(())
    }

    /// Changes who is a member's secretary by compare-and-set, without what is over; `change` may be called several times,
    /// each time with what is stored then.
    async fn change_secretaries<R>(
        &self,
        owner: AccountKey,
        change: impl Fn(&mut Secretaries) -> Result<R, DirectoryError>,
    ) -> Result<R, DirectoryError> {
        let key = secretaries_key(owner);
        for _ in 0..MAX_ATTEMPTS {
            let held = self.read::<Secretaries>(&key, Consistency::Strong).await?;
            let expected = held.as_ref().map_or(Expected::Absent, |held| Expected::Version(held.version));
            let stored = held.map(|held| held.value).unwrap_or_default();
            let mut secretaries = stored.clone().at(self.clock.now());
            let result = change(&mut secretaries)?;
            let secretaries = secretaries.at(self.clock.now());
            if secretaries == stored {
                return Ok(result);
            }
            // Also of whom was there before, if it has changed: what was over may have been cleared meanwhile.
            let new = secretaries.unlike(&stored).places(owner.account);
            self.mark_index(&owners_partition(owner.tenant), new.iter()).await?;
            if self.write(&key, &secretaries, expected).await?.is_some() {
                let gone = &stored.places(owner.account) - &secretaries.places(owner.account);
                self.settle_owners(owner, &(&new | &gone)).await?;
                return Ok(result);
            }
        }
        Err(DirectoryError::Contended)
    }

    async fn settle_owners(
        &self,
        owner: AccountKey,
        places: &BTreeSet<String>,
    ) -> Result<(), DirectoryError> {
        let now = self.clock.now();
        let wanted = |stored: &Secretaries| stored.clone().at(now).places(owner.account);
        self.settle_index(&secretaries_key(owner), &owners_partition(owner.tenant), places, wanted).await
    }

    /// Can the one be the other's secretary? Who is one already stays it, also with other rights or for another time.
    async fn check_pair(
        &self,
        owner: AccountKey,
        secretary: AccountId,
        is_one: bool,
    ) -> Result<(), DirectoryError> {
        for account in [owner.account, secretary] {
            let found = self.account(AccountKey { account, ..owner }).await?;
            let found = found.ok_or_else(|| DirectoryError::NoAccount(account.to_string()))?;
            let shown = found.address.to_string();
            match found.kind {
                AccountKind::Business => return Err(DirectoryError::WrongKind(shown)),
                AccountKind::Member if found.binned.is_some() => return Err(DirectoryError::InBin(shown)),
                AccountKind::Member if found.key == owner && !found.is_vip && !is_one => {
                    let tenant = self.tenant(owner.tenant).await?;
                    let plan = tenant.as_ref().and_then(|tenant| tenant.plan.as_ref());
                    if plan.is_some_and(|plan| plan.in_force(self.clock.now()).vip_seats > 0) {
                        return Err(NoSeat::NoSecretaries(shown).into());
                    }
                }
                AccountKind::Member => {}
            }
        }
        self.check_circle(owner, secretary).await
    }

    /// Is the owner, by however many others, the secretary of the one who is to be his?
    async fn check_circle(&self, owner: AccountKey, secretary: AccountId) -> Result<(), DirectoryError> {
        let (mut seen, mut waiting) = (BTreeSet::from([secretary]), vec![secretary]);
        while let Some(next) = waiting.pop() {
            if next == owner.account {
                let shown = self.account(owner).await?.map(|account| account.address.to_string());
                return Err(DirectoryError::SecretaryCycle(shown.unwrap_or_default()));
            }
            too_many(seen.len(), MAX_CHAIN, "the line of secretaries of secretaries")?;
            for one in self.secretaries(AccountKey { account: next, ..owner }).await? {
                if one.granted.is_some() && seen.insert(one.account) {
                    waiting.push(one.account);
                }
            }
        }
        Ok(())
    }
}

fn too_many(count: usize, limit: usize, what: &'static str) -> Result<(), DirectoryError> {
    if count > limit { Err(DirectoryError::TooMany { what, limit }) } else { Ok(()) }
}
