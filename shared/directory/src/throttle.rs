//! Counting failed sign-ins durably, and slowing down who has too many.

use std::net::IpAddr;
use std::time::Duration;

use pennypost_model::codec::Versioned;
use pennypost_model::{TenantId, Timestamp};
use pennypost_ports::{Consistency, ControlKey, Expected};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::store::MAX_ATTEMPTS;
use crate::{Directory, DirectoryError};

/// Failures are forgotten when there was none for so long.
const WINDOW_MILLIS: i64 = 15 * 60 * 1000;
/// Failures of a login before it is slowed.
const FREE_OF_LOGIN: u32 = 5;
/// Failures from a network before it is slowed: many people may sit behind one address.
const FREE_OF_CLIENT: u32 = 20;
/// The longest wait.
const MAX_WAIT_MILLIS: i64 = 300_000;
/// Old counters that are looked at for each failure counted, so that they do not pile up.
const SWEEP: usize = 2;

/// The failed sign-ins of a login or from a network.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Failures {
    count: u32,
    last: Timestamp,
    /// No attempt is looked at before.
    until: Timestamp,
}

impl Versioned for Failures {
    const KIND: &'static str = "failed sign-ins";
}

impl Failures {
    fn is_forgotten(&self, now: Timestamp) -> bool {
        now.0.saturating_sub(self.last.0) > WINDOW_MILLIS && now >= self.until
    }

    /// One more failure: after the free ones each doubles the wait, from 1 s on.
    fn and_one_more(self, now: Timestamp, free: u32) -> Failures {
        let count = if self.is_forgotten(now) { 1 } else { self.count.saturating_add(1) };
        let wait = match count.checked_sub(free) {
            None => 0,
            Some(beyond) => {
                1000_i64.checked_shl(beyond.min(20)).unwrap_or(MAX_WAIT_MILLIS).min(MAX_WAIT_MILLIS)
            }
        };
        Failures { count, last: now, until: now.plus_millis(wait) }
    }

    fn wait(&self, now: Timestamp) -> Option<Duration> {
        // A clock that was set back must not lock anybody out for longer than the longest wait.
        let left = (self.until.0.saturating_sub(now.0)).min(MAX_WAIT_MILLIS);
        u64::try_from(left).ok().filter(|left| *left > 0).map(Duration::from_millis)
    }
}

/// Whose failures are counted together in one attempt.
#[derive(Debug, Clone)]
pub(crate) struct Counters {
    login: Option<ControlKey>,
    client: ControlKey,
}

impl Counters {
    /// For a login at a tenant's domain (known or not, so that the wait tells nothing) from a client.
    pub(crate) fn new(login: Option<(TenantId, &str)>, client: IpAddr) -> Counters {
        let login = login.map(|(tenant, login)| {
            let digest = Sha256::digest(login.as_bytes());
            let sort = digest.iter().take(16).map(|byte| format!("{byte:02x}")).collect::<String>();
            ControlKey::new(format!("{tenant}/sign-in"), sort)
        });
        Counters { login, client: ControlKey::new("sign-in/clients", network(client)) }
    }

    fn each(&self) -> impl Iterator<Item = (&ControlKey, u32)> {
        let login = self.login.iter().map(|key| (key, FREE_OF_LOGIN));
        login.chain(std::iter::once((&self.client, FREE_OF_CLIENT)))
    }
}

/// The network that is counted: the address itself for IPv4, the /64 for IPv6.
fn network(client: IpAddr) -> String {
    match client.to_canonical() {
        IpAddr::V4(address) => address.to_string(),
        IpAddr::V6(address) => {
            let [a, b, c, d, ..] = address.segments();
            format!("{a:x}:{b:x}:{c:x}:{d:x}::/64")
        }
    }
}

impl Directory {
    /// How long these have to wait before an attempt is looked at.
    pub(crate) async fn wait_of(&self, counters: &Counters) -> Result<Option<Duration>, DirectoryError> {
        let now = self.clock.now();
        let mut longest = None;
        for (key, _) in counters.each() {
            let held = self.read::<Failures>(key, Consistency::Strong).await?;
            longest = longest.max(held.and_then(|held| held.value.wait(now)));
        }
        Ok(longest)
    }

    /// Counts a failure, durably.
    pub(crate) async fn count_failure(&self, counters: &Counters) -> Result<(), DirectoryError> {
        let now = self.clock.now();
        for (key, free) in counters.each() {
            self.add_failure(key, now, free).await?;
            self.sweep(key, now).await?;
        }
        Ok(())
    }

    async fn add_failure(&self, key: &ControlKey, now: Timestamp, free: u32) -> Result<(), DirectoryError> {
        for _ in 0..MAX_ATTEMPTS {
            let held = self.read::<Failures>(key, Consistency::Strong).await?;
            let expected = held.as_ref().map_or(Expected::Absent, |held| Expected::Version(held.version));
            let before = held.map(|held| held.value).unwrap_or_default();
            let after = before.and_one_more(now, free);
            if self.write(key, &after, expected).await?.is_some() {
                return Ok(());
            }
        }
        Err(DirectoryError::Contended)
    }

    /// A sign-in succeeded: the login's failures are forgotten, those of the network are not (else somebody
    /// with one account could guess at all others).
    pub(crate) async fn forget_failures(&self, counters: &Counters) -> Result<(), DirectoryError> {
        let Some(key) = &counters.login else { return Ok(()) };
        match self.control.get(key, Consistency::Strong).await? {
            // Lost against another failure: that one counts.
            Some(item) => self.control.delete_if(key, item.version).await.map(|_| ()).map_err(Into::into),
            None => Ok(()),
        }
    }

    /// Deletes forgotten counters after `key`, going round: each failure adds one counter at most and looks
    /// at two, so that their number stays in proportion to the failures within the window.
    async fn sweep(&self, key: &ControlKey, now: Timestamp) -> Result<(), DirectoryError> {
        let partition = key.partition.as_str();
        let after = self.sign_ins.sweep_position(partition);
        let rows = self.control.query(partition, "", after.as_deref(), SWEEP).await?;
        let next = if rows.len() == SWEEP { rows.last().map(|(sort, _)| sort.clone()) } else { None };
        self.sign_ins.set_sweep_position(partition, next);
        for (sort, item) in rows {
            let is_forgotten = pennypost_model::codec::decode::<Failures>(&item.value)
                .map_or(true, |failures| failures.is_forgotten(now));
            if is_forgotten {
                self.control.delete_if(&ControlKey::new(partition, sort), item.version).await?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_up_to_the_longest() {
        let mut failures = Failures::default();
        let now = Timestamp(1_000_000_000);
        let mut waits = Vec::new();
        for _ in 0..40 {
            failures = failures.and_one_more(now, FREE_OF_LOGIN);
            waits.push(failures.wait(now).map_or(0, |wait| wait.as_secs()));
        }
        assert_eq!(waits[..8], [0, 0, 0, 0, 1, 2, 4, 8]);
        assert_eq!(waits[39], 300);
        let later = now.plus_millis(WINDOW_MILLIS + 1);
        assert_eq!(failures.and_one_more(later, FREE_OF_LOGIN).count, 1);
        assert_eq!(failures.wait(Timestamp(0)), Some(Duration::from_secs(300)));
    }

    #[test]
    fn networks_are_counted_together() {
        let of = |text: &str| network(text.parse().expect("address"));
        assert_eq!(of("::ffff:192.0.2.1"), of("192.0.2.1"));
        assert_ne!(of("192.0.2.1"), of("192.0.2.2"));
        assert_eq!(of("2001:db8:1:2::1"), of("2001:db8:1:2:ffff::9"));
        assert_ne!(of("2001:db8:1:2::1"), of("2001:db8:1:3::1"));
    }
}
