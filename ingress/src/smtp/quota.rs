//! Is there room for more mail in an account? Answered from memory for a few seconds, so that it costs one
//! read per account and not per letter.

use std::collections::HashMap;
use std::time::Duration;

use parking_lot::Mutex;
use pennypost_directory::Capacities;
use pennypost_model::AccountKey;
use pennypost_ports::Consistency;
use tokio::time::Instant;
use tracing::warn;

use crate::net::Adapter;

const MAX_REMEMBERED: usize = 50_000;

/// What is known of accounts.
#[derive(Debug, Default)]
pub(crate) struct Quotas(Mutex<HashMap<AccountKey, Known>>);

#[derive(Debug, Clone, Copy)]
struct Known {
    free: u64,
    until: Instant,
}

impl Quotas {
    /// Does the account, of a tenant with this plan, have room for `size` bytes more? An account that can't be asked now
    /// counts as having room: the quota is a matter of order, not of safety, and the mail may be important.
    pub async fn has_room(
        &self,
        adapter: &Adapter,
        account: AccountKey,
        plan: Option<Capacities>,
        size: u64,
    ) -> bool {
        let now = Instant::now();
        let known = self.0.lock().get(&account).copied();
        if let Some(known) = known.filter(|known| known.until > now) {
            return size < known.free;
        }
        let Some(free) = free(adapter, account, plan).await else { return true };
        let mut remembered = self.0.lock();
        if remembered.len() >= MAX_REMEMBERED {
            remembered.retain(|_, known| known.until > now);
            if remembered.len() >= MAX_REMEMBERED {
                remembered.clear();
            }
        }
        let memory: Duration = adapter.limits.smtp.quota_memory;
        remembered.insert(account, Known { free, until: now + memory });
        size < free
    }
}

/// Bytes that are free: what it may hold less what the newest journal entry says is used.
async fn free(adapter: &Adapter, account: AccountKey, plan: Option<Capacities>) -> Option<u64> {
    let journal = adapter.mailroom.store().journal();
    let (found, newest) =
        tokio::join!(adapter.directory.account(account), journal.newest(account, 1, Consistency::Eventual));
    match (found, newest) {
        (Ok(Some(found)), Ok(newest)) => {
            let used = newest.entries.last().map_or(0, |entry| entry.used.bytes);
            Some(found.capacity(plan).saturating_sub(used))
        }
        (Ok(None), _) => None,
        (Err(error), _) => {
            warn!(%account, %error, "quota is not known");
            None
        }
        (_, Err(error)) => {
            warn!(%account, %error, "use of the quota is not known");
            None
        }
    }
}
