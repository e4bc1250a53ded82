//! Accounts that wrong passwords have locked: the list of them, and unlocking (AUT-16).
//!
//! What is locked says the counter of failures ([`crate::throttle`]), which every sign-in reads. Beside it lies, in `T/locks`
//! under the same sort key, what the list tells. It is written before the counter, so that what is locked is listed; what is
//! listed is looked up in the counter, so that nothing is listed that is no longer locked.

use std::net::IpAddr;

use pennypost_model::codec::Versioned;
use pennypost_model::{AccountId, AccountKey, TenantId, Timestamp};
use pennypost_ports::{Consistency, ControlKey, Expected};
use serde::{Deserialize, Serialize};

use crate::store::MAX_PAGE;
use crate::throttle::{Failures, counters_partition, counters_prefix};
use crate::{Directory, DirectoryError, Listed, Page};

/// A lock as it is stored.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct LockItem {
    since: Timestamp,
    until: Timestamp,
    client: IpAddr,
}

impl Versioned for LockItem {
    const KIND: &'static str = "lock";
}

/// That an account is locked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lock {
    /// Which account.
    pub account: AccountId,
    /// For whom: `strangers` is everybody at networks from which the account was not opened lately; else such a network.
    /// With `code/` before it: wrong codes of the second factor have locked that.
    pub place: String,
    /// Since when.
    pub since: Timestamp,
    /// Until when; `None`: until it is unlocked.
    pub until: Option<Timestamp>,
    /// From where the last wrong password came.
    pub client: IpAddr,
    /// Wrong passwords, or codes, that locked it.
    pub wrong: u32,
}

fn partition(tenant: TenantId) -> String {
    format!("{tenant}/locks")
}

/// The end of a lock, unless it has none.
pub(crate) fn end_of(until: Timestamp) -> Option<Timestamp> {
    (until.0 != i64::MAX).then_some(until)
}

impl Directory {
    pub(crate) async fn note_lock(
        &self,
        account: AccountKey,
        sort: &str,
        client: IpAddr,
        since: Timestamp,
        until: Timestamp,
    ) -> Result<(), DirectoryError> {
        let key = ControlKey::new(partition(account.tenant), sort);
        self.write(&key, &LockItem { since, until, client }, Expected::Any).await?;
        Ok(())
    }

    /// Accounts that are locked, an account once for each place for which it is.
    ///
    /// # Errors
    /// The port's.
    #[pennypost_ports::compiled_here]
    pub async fn locks(&self, tenant: TenantId, page: &Page) -> Result<Listed<Lock>, DirectoryError> {
        let now = self.clock.now();
        let listed = self.list::<LockItem>(&partition(tenant), "", page).await?;
        let mut items = Vec::new();
        for (sort, item) in listed.items {
            let counter = ControlKey::new(counters_partition(tenant), sort.as_str());
            let failures = self.read::<Failures>(&counter, Consistency::Strong).await?.map(|held| held.value);
            let locked = failures.and_then(|failures| Some((failures.locked(now)?, failures.wrong())));
            let Some((until, wrong)) = locked else {
                // Over, or never begun. A lock that begins just now is noted anew with the next failure at the latest.
                self.forget_lock(tenant, &sort, &item, now).await?;
                continue;
            };
            let Some((account, place)) = sort.split_once('/') else { continue };
            let Ok(account) = account.parse() else { continue };
            let LockItem { since, client, .. } = item;
            items.push(Lock { account, place: place.to_owned(), since, until: end_of(until), client, wrong });
        }
        Ok(Listed { items, next: listed.next })
    }

    /// Removes what the list told of a lock, if that has been over for a while.
    async fn forget_lock(
        &self,
        tenant: TenantId,
        sort: &str,
        item: &LockItem,
        now: Timestamp,
    ) -> Result<(), DirectoryError> {
        const AFTER: i64 = 60_000;
        let is_old = now.0.saturating_sub(item.since.0) > AFTER;
        if is_old {
            self.erase(&ControlKey::new(partition(tenant), sort)).await?;
        }
        Ok(())
    }

    /// Unlocks an account everywhere and forgets its failures; how many places it was locked for.
    ///
    /// # Errors
    /// The port's.
    #[pennypost_ports::compiled_here]
    pub async fn unlock(&self, key: AccountKey) -> Result<usize, DirectoryError> {
        let (prefix, now) = (counters_prefix(key.account), self.clock.now());
        let counters = counters_partition(key.tenant);
        let mut unlocked = 0;
        for (sort, item) in self.control.query(&counters, &prefix, None, MAX_PAGE).await? {
            let failures = pennypost_model::codec::decode::<Failures>(&item.value)?;
            unlocked += usize::from(failures.locked(now).is_some());
            self.erase(&ControlKey::new(counters.as_str(), sort)).await?;
        }
        for (sort, _) in self.control.query(&partition(key.tenant), &prefix, None, MAX_PAGE).await? {
            self.erase(&ControlKey::new(partition(key.tenant), sort)).await?;
        }
        Ok(unlocked)
    }
}
