//! Counting failed sign-ins durably, slowing down who has too many, and locking accounts (AUT-16, AUT-17).
//!
//! A login has a counter for each place from which it fails: one for all strangers, one for each network from which the
//! account was opened lately, one for all networks that the tenant trusts, which slows but never locks. What strangers do
//! to an account keeps out strangers. Codes of its second factor have counters of their own, by the same places: a right
//! password, which comes before each of them, would clear those of passwords. So have codes of its mobile number, before which
//! nothing comes: who guesses at them closes neither the password nor the factor.

use std::net::IpAddr;
use std::time::Duration;

use pennypost_model::codec::{CodecError, Versioned, decode_plain};
use pennypost_model::{AccountId, AccountKey, TenantId, Timestamp};
use pennypost_ports::{Consistency, ControlKey, Expected};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::sign_in_rules::{Gate, LockRules, network_of};
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
const MINUTE: i64 = 60_000;
/// Until somebody unlocks it.
const FOR_EVER: Timestamp = Timestamp(i64::MAX);
/// Everybody at networks from which the account was not opened lately.
const STRANGERS: &str = "strangers";
/// What stands before the place in a counter of wrong codes.
const CODES: &str = "code/";
/// The same for codes that went to its mobile number.
const MOBILE: &str = "mobile/";
/// Old counters that are looked at for each failure counted, so that they do not pile up.
const SWEEP: usize = 2;

/// The failed sign-ins of a login or from a network.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Failures {
    count: u32,
    last: Timestamp,
    /// No attempt is looked at before.
    until: Timestamp,
    /// Those that count towards a lock, since `wrong_since`.
    wrong: u32,
    wrong_since: Timestamp,
    /// Locked until then.
    locked: Option<Timestamp>,
    /// Nothing of this matters any more from then on.
    kept: Timestamp,
}

impl Versioned for Failures {
    const KIND: &'static str = "failed sign-ins";
    const VERSION: u8 = 2;

    fn upgrade(found: u8, bytes: &[u8]) -> Result<Failures, CodecError> {
        if found != 1 {
            return Err(CodecError::Version { kind: Self::KIND, found, known: Self::VERSION });
        }
        let (count, last, until): (u32, Timestamp, Timestamp) = decode_plain(Self::KIND, bytes)?;
        let kept = until.max(last.plus_millis(WINDOW_MILLIS));
        Ok(Failures { count, last, until, kept, ..Failures::default() })
    }
}

impl Failures {
    fn is_forgotten(&self, now: Timestamp) -> bool {
        now > self.kept && now >= self.until
    }

    /// One more failure: after the free ones each doubles the wait, from 1 s on; and so many within the window
    /// of the rules lock.
    fn and_one_more(self, now: Timestamp, free: u32, lock: Option<&LockRules>) -> Failures {
        let is_old = now.0.saturating_sub(self.last.0) > WINDOW_MILLIS && now >= self.until;
        let count = if is_old { 1 } else { self.count.saturating_add(1) };
        let wait = match count.checked_sub(free) {
            None => 0,
            Some(beyond) => {
                1000_i64.checked_shl(beyond.min(20)).unwrap_or(MAX_WAIT_MILLIS).min(MAX_WAIT_MILLIS)
            }
        };
        let until = now.plus_millis(wait);
        let kept = until.max(now.plus_millis(WINDOW_MILLIS));
        let next = Failures { count, last: now, until, kept, ..self };
        let Some(lock) = lock.filter(|lock| lock.count != 0) else {
            return Failures { wrong: 0, locked: None, ..next };
        };
        let window = i64::from(lock.window_minutes) * MINUTE;
        let is_over = self.wrong == 0 || now.0.saturating_sub(self.wrong_since.0) > window;
        let (wrong, wrong_since) =
            if is_over { (1, now) } else { (self.wrong.saturating_add(1), self.wrong_since) };
        let locked = (wrong >= u32::from(lock.count)).then(|| match lock.minutes {
            0 => FOR_EVER,
            minutes => now.plus_millis(i64::from(minutes) * MINUTE),
        });
        let kept = kept.max(wrong_since.plus_millis(window)).max(locked.unwrap_or(kept));
        Failures { wrong, wrong_since, locked, kept, ..next }
    }

    /// Until when it is locked, if it is.
    pub(crate) fn locked(&self, now: Timestamp) -> Option<Timestamp> {
        self.locked.filter(|until| *until > now)
    }

    /// How many wrong passwords locked.
    pub(crate) const fn wrong(&self) -> u32 {
        self.wrong
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
    login: Option<LoginCounter>,
    /// `None` from networks that the tenant trusts: one broken program there must not slow everybody.
    client: Option<ControlKey>,
}

/// The counter of a login from one kind of place.
#[derive(Debug, Clone)]
struct LoginCounter {
    key: ControlKey,
    /// When it locks; `None` from networks that the tenant trusts.
    lock: Option<LockRules>,
    /// The account, for the list of those that are locked.
    account: Option<AccountKey>,
}

/// Whose failures they are.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Whose<'a> {
    /// An account's, whichever of its addresses was said.
    Account(AccountKey),
    /// Wrong codes of an account's second factor.
    Codes(AccountKey),
    /// Wrong codes that went to an account's mobile number.
    Mobile(AccountKey),
    /// Nobody's: a login at a domain of the tenant. Counted alike, so that it can't be told from an account.
    Nobody(TenantId, &'a str),
    /// Of no login: none of ours was said; or a token was shown, of which nobody guesses 256 bits.
    Unnamed,
}

pub(crate) fn counters_partition(tenant: TenantId) -> String {
    format!("{tenant}/sign-in")
}

/// What all counters of an account begin with.
pub(crate) fn counters_prefix(account: AccountId) -> String {
    format!("{account}/")
}

impl Counters {
    /// For somebody at `client`.
    ///
    /// A member's failures from networks from which the account was opened lately are counted apart for each of these;
    /// those from all others together. So strangers lock and slow the account for strangers only.
    pub(crate) fn new(whose: Whose<'_>, gate: &Gate, client: IpAddr, now: Timestamp) -> Counters {
        let is_trusted = gate.trusts(client);
        let lock = (!is_trusted).then(|| gate.rules.lock.clone());
        let neighbours = network_of(client);
        let place = if is_trusted {
            "trusted".to_owned()
        } else if gate.own.knows(neighbours, now) {
            neighbours.to_string()
        } else {
            STRANGERS.to_owned()
        };
        let of_account = |account: AccountKey, what: &str| {
            let sort = format!("{}{what}{place}", counters_prefix(account.account));
            let key = ControlKey::new(counters_partition(account.tenant), sort);
            Some(LoginCounter { key, lock: lock.clone(), account: Some(account) })
        };
        let login = match whose {
            Whose::Account(account) => of_account(account, ""),
            Whose::Codes(account) => of_account(account, CODES),
            Whose::Mobile(account) => of_account(account, MOBILE),
            Whose::Nobody(tenant, login) => {
                let digest = Sha256::digest(login.as_bytes());
                let sort = digest.iter().take(16).map(|byte| format!("{byte:02x}")).collect::<String>();
                let key = ControlKey::new(counters_partition(tenant), format!("-{sort}"));
                Some(LoginCounter { key, lock, account: None })
            }
            Whose::Unnamed => None,
        };
        let client = (!is_trusted).then(|| ControlKey::new("sign-in/clients", network(client)));
        Counters { login, client }
    }

    fn each(&self) -> impl Iterator<Item = &ControlKey> {
        self.login.iter().map(|login| &login.key).chain(&self.client)
    }
}

/// What stands in the way of an attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Barrier {
    /// Wait so long.
    Slowed(Duration),
    /// The account is locked until then.
    Locked(Timestamp),
}

/// The network that is counted: the address itself for IPv4, the /64 for IPv6.
pub(crate) fn network(client: IpAddr) -> String {
    match client.to_canonical() {
        IpAddr::V4(address) => address.to_string(),
        IpAddr::V6(address) => {
            let [a, b, c, d, ..] = address.segments();
            format!("{a:x}:{b:x}:{c:x}:{d:x}::/64")
        }
    }
}

/// What a provider gives to one customer as a rule: of IPv6 65 536 networks.
pub(crate) fn site(client: IpAddr) -> Option<String> {
    match client.to_canonical() {
        IpAddr::V4(_) => None,
        IpAddr::V6(address) => {
            let [a, b, c, ..] = address.segments();
            Some(format!("{a:x}:{b:x}:{c:x}::/48"))
        }
    }
}

impl Directory {
    /// What stands in the way before an attempt is looked at.
    pub(crate) async fn barrier(&self, counters: &Counters) -> Result<Option<Barrier>, DirectoryError> {
        let now = self.clock.now();
        let mut longest = None;
        for key in counters.each() {
            let Some(held) = self.read::<Failures>(key, Consistency::Strong).await? else { continue };
            if let Some(until) = held.value.locked(now) {
                return Ok(Some(Barrier::Locked(until)));
            }
            longest = longest.max(held.value.wait(now));
        }
        Ok(longest.map(Barrier::Slowed))
    }

    /// Counts a failure, durably; until when it has locked the account, if it has.
    pub(crate) async fn count_failure(
        &self,
        counters: &Counters,
        client: IpAddr,
    ) -> Result<Option<Timestamp>, DirectoryError> {
        let now = self.clock.now();
        let mut locked = None;
        if let Some(login) = &counters.login {
            let noting = login.account.map(|account| (account, client));
            locked = self.add_failure(&login.key, now, FREE_OF_LOGIN, login.lock.as_ref(), noting).await?;
            self.sweep(&login.key, now).await?;
        }
        if let Some(key) = &counters.client {
            self.add_failure(key, now, FREE_OF_CLIENT, None, None).await?;
            self.sweep(key, now).await?;
        }
        Ok(locked)
    }

    async fn add_failure(
        &self,
        key: &ControlKey,
        now: Timestamp,
        free: u32,
        lock: Option<&LockRules>,
        noting: Option<(AccountKey, IpAddr)>,
    ) -> Result<Option<Timestamp>, DirectoryError> {
        for _ in 0..MAX_ATTEMPTS {
            let held = self.read::<Failures>(key, Consistency::Strong).await?;
            let expected = held.as_ref().map_or(Expected::Absent, |held| Expected::Version(held.version));
            let before = held.map(|held| held.value).unwrap_or_default();
            let after = before.and_one_more(now, free, lock);
            let locked = after.locked(now);
            if let (Some(until), Some((account, client))) = (locked, noting) {
                // Before it is locked: what is locked is in the list.
                self.note_lock(account, &key.sort, client, now, until).await?;
            }
            if self.write(key, &after, expected).await?.is_some() {
                return Ok(locked);
            }
        }
        Err(DirectoryError::Contended)
    }

    /// A sign-in succeeded: the login's failures are forgotten, those of the network are not (else somebody
    /// with one account could guess at all others).
    pub(crate) async fn forget_failures(&self, counters: &Counters) -> Result<(), DirectoryError> {
        let Some(LoginCounter { key, .. }) = &counters.login else { return Ok(()) };
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
    use pennypost_model::codec::{decode, encode_plain};

    use super::*;

    #[test]
    fn waits_double_up_to_the_longest() {
        let mut failures = Failures::default();
        let now = Timestamp(1_000_000_000);
        let mut waits = Vec::new();
        for _ in 0..40 {
            failures = failures.and_one_more(now, FREE_OF_LOGIN, None);
            waits.push(failures.wait(now).map_or(0, |wait| wait.as_secs()));
        }
        assert_eq!(waits[..8], [0, 0, 0, 0, 1, 2, 4, 8]);
        assert_eq!(waits[39], 300);
        let later = now.plus_millis(WINDOW_MILLIS + 1);
        assert_eq!(failures.and_one_more(later, FREE_OF_LOGIN, None).count, 1);
        assert_eq!(failures.wait(Timestamp(0)), Some(Duration::from_secs(300)));
    }

    #[test]
    fn so_many_within_the_window_lock() {
        let lock = LockRules { count: 3, window_minutes: 10, minutes: 5, trusted: Vec::new() };
        let fail =
            |failures: Failures, now: i64| failures.and_one_more(Timestamp(now), FREE_OF_LOGIN, Some(&lock));
        let twice = fail(fail(Failures::default(), 1_000), 2_000);
        assert_eq!(twice.locked(Timestamp(2_000)), None);
        let thrice = fail(twice, 3_000);
        let until = Timestamp(3_000 + 5 * MINUTE);
        assert_eq!(thrice.locked(Timestamp(3_000)), Some(until));
        assert_eq!(thrice.locked(until), None);
        assert!(!thrice.is_forgotten(until) && thrice.is_forgotten(Timestamp(3_001 + WINDOW_MILLIS)));
        // The third comes too late.
        assert_eq!(fail(twice, 1_001 + 10 * MINUTE).locked(Timestamp(1_001 + 10 * MINUTE)), None);
        let never = LockRules { count: 0, ..lock.clone() };
        assert_eq!(twice.and_one_more(Timestamp(3_000), FREE_OF_LOGIN, Some(&never)).locked, None);
        let for_ever = LockRules { minutes: 0, ..lock.clone() };
        let locked = twice.and_one_more(Timestamp(3_000), FREE_OF_LOGIN, Some(&for_ever));
        assert_eq!(locked.locked(Timestamp(i64::MAX - 1)), Some(FOR_EVER));
        assert!(!locked.is_forgotten(Timestamp(i64::MAX - 1)));
    }

    #[test]
    fn counters_of_before_there_were_locks_are_read() {
        let old = encode_plain(&(7_u32, Timestamp(1_000), Timestamp(2_000)), 1);
        let read: Failures = decode(&old).expect("read");
        assert_eq!((read.count, read.last, read.until), (7, Timestamp(1_000), Timestamp(2_000)));
        assert!(
            read.locked(Timestamp(1_500)).is_none() && !read.is_forgotten(Timestamp(1_000 + WINDOW_MILLIS))
        );
        assert!(read.is_forgotten(Timestamp(1_001 + WINDOW_MILLIS)));
    }

    /// Else whoever knows a number would close a member's password and factor, and whoever has the telephone would clear
    /// the count of wrong codes of the factor.
    #[test]
    fn codes_of_a_mobile_number_are_counted_apart_and_unlocked_with_the_account() {
        let (account, gate) = (AccountKey::default(), Gate::default());
        let client = "192.0.2.1".parse().expect("address");
        let sort = |whose: Whose<'_>| {
            let counters = Counters::new(whose, &gate, client, Timestamp(0));
            counters.login.map(|login| login.key.sort).expect("a counter")
        };
        let mobile = sort(Whose::Mobile(account));
        assert!(mobile.starts_with(&counters_prefix(account.account)), "{mobile}");
        for other in [Whose::Account(account), Whose::Codes(account)] {
            assert_ne!(mobile, sort(other));
        }
    }

    #[test]
    fn networks_are_counted_together() {
        let of = |text: &str| network(text.parse().expect("address"));
        assert_eq!(of("::ffff:192.0.2.1"), of("192.0.2.1"));
        assert_ne!(of("192.0.2.1"), of("192.0.2.2"));
        assert_eq!(of("2001:db8:1:2::1"), of("2001:db8:1:2:ffff::9"));
        assert_ne!(of("2001:db8:1:2::1"), of("2001:db8:1:3::1"));
        let at = |text: &str| site(text.parse().expect("address"));
        assert_eq!(at("2001:db8:1:2::1"), at("2001:db8:1:3::1"));
        assert_ne!(at("2001:db8:1::1"), at("2001:db8:2::1"));
        assert_eq!(at("::ffff:192.0.2.1"), None);
    }
}
