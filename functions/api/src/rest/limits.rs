//! How often one may ask. Buckets of this process: of several, each has its own.

use std::collections::HashMap;
use std::net::IpAddr;

use parking_lot::Mutex;
use pennypost_model::Timestamp;
use sha2::{Digest, Sha256};

/// How often one key may ask.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Pace {
    /// Requests at once.
    pub at_once: u32,
    /// Requests for each second after that.
    pub per_second: u32,
}

impl Default for Pace {
    fn default() -> Pace {
        Pace { at_once: 200, per_second: 20 }
    }
}

/// Keys from one network that opened nothing, at once: guessing is hopeless, but each costs a read.
const BURST_OF_FAILURES: f64 = 30.0;
/// And for each second after that.
const RATE_OF_FAILURES: f64 = 0.5;
/// Invitations that are shown from one network, and letters that it asks for, at once: an office in which many join, but
/// nobody who makes us hash passwords, or write, without end.
const BURST_OF_KNOCKS: f64 = 60.0;
/// And for each second after that.
const RATE_OF_KNOCKS: f64 = 0.5;
/// Passkeys and providers for which one network asks, at once: an office of thousands that begins its day behind one
/// address. Each is a write or two that are over in minutes.
const BURST_OF_SIGN_INS: f64 = 1_000.0;
/// And for each second after that.
const RATE_OF_SIGN_INS: f64 = 10.0;
/// Buckets that are kept; full ones go first.
const MAX_BUCKETS: usize = 10_000;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Whose {
    Key([u8; 16]),
    Network(u128),
    /// Who comes without a key.
    Knocking(u128),
    /// Who wants to sign in otherwise than by a password.
    SigningIn(u128),
}

#[derive(Debug, Clone, Copy)]
struct Bucket {
    left: f64,
    at: Timestamp,
    /// A key that has opened something here.
    is_good: bool,
}

/// The buckets of a process.
#[derive(Default)]
pub(crate) struct Limits {
    pace: Pace,
    buckets: Mutex<HashMap<Whose, Bucket>>,
}

impl Whose {
    fn limits(self, pace: Pace) -> (f64, f64) {
        match self {
            Whose::Key(_) => (f64::from(pace.at_once.max(1)), f64::from(pace.per_second.max(1))),
            Whose::Network(_) => (BURST_OF_FAILURES, RATE_OF_FAILURES),
            Whose::Knocking(_) => (BURST_OF_KNOCKS, RATE_OF_KNOCKS),
            Whose::SigningIn(_) => (BURST_OF_SIGN_INS, RATE_OF_SIGN_INS),
        }
    }
}

impl Bucket {
    fn at(self, now: Timestamp, (burst, rate): (f64, f64)) -> Bucket {
        let seconds = now.0.saturating_sub(self.at.0).max(0) as f64 / 1000.0;
        Bucket { left: (self.left + seconds * rate).min(burst), at: now, ..self }
    }
}

fn whose(key: &str) -> Whose {
    let digest = Sha256::digest(key.as_bytes());
    let mut half = [0; 16];
    half.copy_from_slice(&digest[..16]);
    Whose::Key(half)
}

/// A /64 is one network.
fn number(client: IpAddr) -> u128 {
    match client.to_canonical() {
        IpAddr::V4(address) => u128::from(u32::from(address)),
        IpAddr::V6(address) => u128::from(address) >> 64 << 64,
    }
}

fn network(client: IpAddr) -> Whose {
    Whose::Network(number(client))
}

impl Limits {
    pub(crate) fn of(pace: Pace) -> Limits {
        Limits { pace, buckets: Mutex::default() }
    }

    /// Takes one; or the seconds after which there is one again.
    fn take(&self, whose: Whose, now: Timestamp, taken: f64) -> Result<(), u64> {
        let pace = self.pace;
        let (burst, rate) = whose.limits(pace);
        let mut buckets = self.buckets.lock();
        if buckets.len() >= MAX_BUCKETS && !buckets.contains_key(&whose) {
            buckets.retain(|whose, bucket| {
                let limits = whose.limits(pace);
                bucket.at(now, limits).left < limits.0
            });
            if buckets.len() >= MAX_BUCKETS {
                buckets.clear();
            }
        }
        let bucket = buckets.entry(whose).or_insert(Bucket { left: burst, at: now, is_good: false });
        *bucket = bucket.at(now, (burst, rate));
        if bucket.left < 1.0 {
            return Err(((1.0 - bucket.left) / rate).ceil() as u64);
        }
        bucket.left -= taken;
        Ok(())
    }

    /// May this key ask now? Counted by the whole of it, so that nobody spends another's with half of it.
    pub(crate) fn key(&self, key: &str, now: Timestamp) -> Result<(), u64> {
        self.take(whose(key), now, 1.0)
    }

    /// The key has opened something.
    pub(crate) fn opened(&self, key: &str) {
        if let Some(bucket) = self.buckets.lock().get_mut(&whose(key)) {
            bucket.is_good = true;
        }
    }

    /// Has this network shown too many keys that open nothing? Whose key has opened something is not held up by others
    /// who sit behind the same address.
    pub(crate) fn client(&self, key: &str, client: Option<IpAddr>, now: Timestamp) -> Result<(), u64> {
        let is_good = self.buckets.lock().get(&whose(key)).is_some_and(|bucket| bucket.is_good);
        match client {
            Some(client) if !is_good => self.take(network(client), now, 0.0),
            _ => Ok(()),
        }
    }

    /// Has this network come without a key too often, whatever came of it? Networks that are not known are counted as one.
    pub(crate) fn knock(&self, client: Option<IpAddr>, now: Timestamp) -> Result<(), u64> {
        self.take(Whose::Knocking(client.map_or(0, number)), now, 1.0)
    }

    /// Has this network asked too often for what signs somebody in? Counted apart: an office that signs in holds up nobody who
    /// joins, and the other way round.
    pub(crate) fn sign_in(&self, client: Option<IpAddr>, now: Timestamp) -> Result<(), u64> {
        self.take(Whose::SigningIn(client.map_or(0, number)), now, 1.0)
    }

    /// A key from this network opened nothing.
    pub(crate) fn failed(&self, client: Option<IpAddr>, now: Timestamp) {
        if let Some(client) = client {
            let _ = self.take(network(client), now, 1.0);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buckets_run_out_and_fill_again() {
        let limits = Limits::default();
        let now = Timestamp(1_000_000);
        for _ in 0..200 {
            assert_eq!(limits.key("a", now), Ok(()));
        }
        assert_eq!(limits.key("a", now), Err(1));
        assert_eq!(limits.key("b", now), Ok(()));
        assert_eq!(limits.key("a", now.plus_millis(100)), Ok(()));
        // A clock that was set back fills nothing, and takes nothing away.
        assert_eq!(limits.key("a", now.plus_millis(-90_000)), Ok(()));
    }

    #[test]
    fn networks_are_counted_by_what_opened_nothing() {
        let limits = Limits::default();
        let now = Timestamp(1_000_000);
        let at = |text: &str| Some(text.parse::<IpAddr>().expect("an address"));
        for n in 0..30 {
            assert_eq!(limits.client("guess", at(&format!("2001:db8::{n}")), now), Ok(()));
            limits.failed(at(&format!("2001:db8::{n}")), now);
        }
        assert_eq!(limits.client("guess", at("2001:db8::ffff"), now), Err(2));
        assert_eq!(limits.client("guess", at("2001:db8:0:1::1"), now), Ok(()));
        // Somebody whose key opens goes on.
        assert_eq!(limits.key("good", now), Ok(()));
        assert_eq!(limits.client("good", at("2001:db8::1"), now), Err(2));
        limits.opened("good");
        assert_eq!(limits.client("good", at("2001:db8::1"), now), Ok(()));
        assert_eq!(limits.client("guess", None, now), Ok(()));
        assert_eq!(limits.client("guess", at("2001:db8::1"), now.plus_millis(2_000)), Ok(()));
    }

    #[test]
    fn invitations_are_counted_by_networks_and_for_themselves() {
        let limits = Limits::default();
        let now = Timestamp(1_000_000);
        let at = |text: &str| Some(text.parse::<IpAddr>().expect("an address"));
        for n in 0..60 {
            assert_eq!(limits.knock(at(&format!("2001:db8::{n:x}")), now), Ok(()));
        }
        assert_eq!(limits.knock(at("2001:db8::ffff"), now), Err(2));
        assert_eq!(limits.knock(at("192.0.2.1"), now), Ok(()));
        assert_eq!(limits.knock(None, now), Ok(()));
        // Keys from there are none of it.
        assert_eq!(limits.client("good", at("2001:db8::1"), now), Ok(()));
        assert_eq!(limits.knock(at("2001:db8::1"), now.plus_millis(2_000)), Ok(()));
    }

    #[test]
    fn an_office_signs_in_at_once_and_for_itself() {
        let limits = Limits::default();
        let now = Timestamp(1_000_000);
        let office = Some("192.0.2.1".parse::<IpAddr>().expect("an address"));
        for _ in 0..60 {
            assert_eq!(limits.knock(office, now), Ok(()));
        }
        assert_eq!(limits.knock(office, now), Err(2));
        for _ in 0..1_000 {
            assert_eq!(limits.sign_in(office, now), Ok(()));
        }
        assert_eq!(limits.sign_in(office, now), Err(1));
        assert_eq!(limits.sign_in(office, now.plus_millis(100)), Ok(()));
    }

    #[test]
    fn memory_is_bounded() {
        let limits = Limits::default();
        for n in 0..3 * MAX_BUCKETS {
            let _ = limits.key(&n.to_string(), Timestamp(0));
        }
        assert!(limits.buckets.lock().len() <= MAX_BUCKETS);
    }
}
