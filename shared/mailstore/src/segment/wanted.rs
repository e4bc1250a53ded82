//! Accounts that somebody wants segments of: readers who had to open many messages, and housekeeping itself where
//! an account is too busy at the moment. Only a hint, in memory: what is lost with the process, the sweep finds.

use std::collections::{BTreeMap, BTreeSet};

use parking_lot::Mutex;
use pennypost_model::{AccountKey, Rid, Seq};
use tokio::sync::Notify;

use super::MAX_MESSAGES;
use crate::{Mailstore, StoreError};

/// Accounts that are remembered; of more, the sweep takes care.
const MAX_ACCOUNTS: usize = 10_000;

/// From so many stored messages on, segments are asked for.
const SOME: usize = 128;

/// The accounts.
#[derive(Default)]
pub(crate) struct Wanted {
    /// Each with the entry that segments should reach.
    accounts: Mutex<BTreeMap<AccountKey, Seq>>,
    /// How many messages were stored in an account since segments of it were last asked for.
    stored: Mutex<BTreeMap<AccountKey, usize>>,
    /// Those that somebody is reading at the moment.
    read: Mutex<BTreeSet<AccountKey>>,
    news: Notify,
}

impl Wanted {
    fn read_by(&self, account: AccountKey) {
        let mut read = self.read.lock();
        if read.len() < MAX_ACCOUNTS {
            read.insert(account);
        }
    }
}

impl Mailstore {
    /// Asks housekeeping for segments of an account, some time soon.
    pub fn want_index(&self, account: AccountKey) {
        self.want_index_up_to(account, Seq(u64::MAX));
    }

    fn want_index_up_to(&self, account: AccountKey, upto: Seq) {
        let mut accounts = self.wanted.accounts.lock();
        if accounts.len() < MAX_ACCOUNTS || accounts.contains_key(&account) {
            let known = accounts.entry(account).or_insert(Seq::ZERO);
            *known = upto.max(*known);
            self.wanted.news.notify_one();
        }
    }

    /// Somebody opens a mailbox in which many messages stand from this one on: segments should reach it.
    pub fn consider_index(&self, account: AccountKey, origin: Rid) {
        self.wanted.read_by(account);
        self.want_index_up_to(account, Seq(origin.0 / Rid::PER_ENTRY as u64));
    }

    /// So many messages were stored. Many of them get a segment at once, however busy the account is; a few when
    /// it is quiet.
    pub(crate) fn note_stored(&self, account: AccountKey, messages: usize) {
        let mut stored = self.wanted.stored.lock();
        if stored.len() >= MAX_ACCOUNTS {
            stored.clear();
        }
        let count = stored.entry(account).or_default();
        *count += messages;
        let all = *count;
        if all >= MAX_MESSAGES {
            stored.remove(&account);
            drop(stored);
            self.want_index_now(account);
        } else if all >= SOME {
            drop(stored);
            self.want_index(account);
        }
    }

    /// As [`Mailstore::want_index`], by somebody who reads: however busy the account is.
    pub fn want_index_now(&self, account: AccountKey) {
        self.wanted.read_by(account);
        self.want_index(account);
    }

    /// Was [`Mailstore::want_index_now`] said of the account? The wish is taken.
    #[must_use]
    pub fn is_wanted_now(&self, account: AccountKey) -> bool {
        self.wanted.read.lock().remove(&account)
    }

    /// Was [`Mailstore::want_index_now`] said of the account? The wish stays.
    #[must_use]
    pub fn is_wanted(&self, account: AccountKey) -> bool {
        self.wanted.read.lock().contains(&account)
    }

    /// Waits until segments of an account are wanted.
    pub async fn index_wanted(&self) {
        while self.wanted.accounts.lock().is_empty() {
            self.wanted.news.notified().await;
        }
    }

    /// Takes the accounts whose segments are wanted, but for those whose segments reach far enough.
    ///
    /// # Errors
    /// [`StoreError::Port`] when the object port can't answer now.
    pub async fn take_wanted(&self) -> Result<Vec<AccountKey>, StoreError> {
        let wanted = std::mem::take(&mut *self.wanted.accounts.lock());
        let mut accounts = Vec::new();
        for (account, upto) in wanted {
            if upto == Seq(u64::MAX) || self.indexed_up_to(account).await? < upto {
                accounts.push(account);
            }
        }
        Ok(accounts)
    }
}
