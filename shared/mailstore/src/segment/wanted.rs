//! Accounts that somebody wants segments of: readers who had to open many messages, and housekeeping itself where
//! an account is too busy at the moment. Only a hint, in memory: what is lost with the process, the sweep finds.

use std::collections::BTreeSet;

use parking_lot::Mutex;
use pennypost_model::AccountKey;
use tokio::sync::Notify;

use crate::Mailstore;

/// Accounts that are remembered; of more, the sweep takes care.
const MAX_ACCOUNTS: usize = 10_000;

/// The accounts.
#[derive(Default)]
pub(crate) struct Wanted {
    accounts: Mutex<BTreeSet<AccountKey>>,
    /// Those that somebody is reading at the moment.
    read: Mutex<BTreeSet<AccountKey>>,
    news: Notify,
}

impl Mailstore {
    /// Asks housekeeping for segments of an account, some time soon.
    pub fn want_index(&self, account: AccountKey) {
        let mut accounts = self.wanted.accounts.lock();
        if accounts.len() < MAX_ACCOUNTS && accounts.insert(account) {
            self.wanted.news.notify_one();
        }
    }

    /// As [`Mailstore::want_index`], by somebody who reads: however busy the account is.
    pub fn want_index_now(&self, account: AccountKey) {
        {
            let mut read = self.wanted.read.lock();
            if read.len() < MAX_ACCOUNTS {
                read.insert(account);
            }
        }
        self.want_index(account);
    }

    /// Was [`Mailstore::want_index_now`] said of the account? The wish is taken.
    #[must_use]
    pub fn is_wanted_now(&self, account: AccountKey) -> bool {
        self.wanted.read.lock().remove(&account)
    }

    /// Waits until segments of an account are wanted.
    pub async fn index_wanted(&self) {
        while self.wanted.accounts.lock().is_empty() {
            self.wanted.news.notified().await;
        }
    }

    /// Takes the accounts whose segments are wanted.
    #[must_use]
    pub fn take_wanted(&self) -> Vec<AccountKey> {
        std::mem::take(&mut *self.wanted.accounts.lock()).into_iter().collect()
    }
}
