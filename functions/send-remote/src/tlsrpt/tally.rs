//! What a process counts, and where it adds that.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt;
use parking_lot::Mutex;
use pennypost_model::{Timestamp, codec};
use pennypost_policy::MailAddress;
use pennypost_ports::{
    Clock, Consistency, Control, ControlKey, Dns, DnsError, DnsKind, DnsRecord, Expected, PortError,
    PortResult, Put,
};

use super::sums::{Policy, Sums, TlsFailure};

/// The partition of the control table.
pub(super) const PARTITION: &str = "tls-results";
/// Domains that are counted in memory at once; one more is not.
const MAX_DOMAINS: usize = 10_000;
/// Addresses of a domain that get its reports.
const MAX_PLACES: usize = 4;
/// How often an item is written that another process has overtaken.
const TRIES: usize = 5;
/// Domains that are asked at the same time.
const AT_ONCE: usize = 16;

/// By period and domain.
type Counted = BTreeMap<(i64, String), Sums>;

/// What counts.
pub struct Tally {
    control: Arc<dyn Control>,
    dns: Arc<dyn Dns>,
    clock: Arc<dyn Clock>,
    /// Milliseconds.
    period: i64,
    counted: Mutex<Counted>,
}

impl Tally {
    /// In periods as long as that: a day, but in tests. `dns` is asked who wants reports.
    #[must_use]
    pub fn new(
        control: Arc<dyn Control>,
        dns: Arc<dyn Dns>,
        clock: Arc<dyn Clock>,
        period: Duration,
    ) -> Tally {
        let period = i64::try_from(period.as_millis()).unwrap_or(i64::MAX).max(1_000);
        Tally { control, dns, clock, period, counted: Mutex::default() }
    }

    pub(super) const fn period(&self) -> i64 {
        self.period
    }

    pub(super) fn control(&self) -> &dyn Control {
        &*self.control
    }

    pub(super) fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// Counts a conversation with a server of a domain.
    pub(crate) fn note(&self, domain: &str, policy: Policy, failure: Option<TlsFailure>) {
        self.sum(domain, |sums| sums.add(policy, failure));
    }

    /// Counts that no server of a domain may be called.
    pub(crate) fn note_uncalled(&self, domain: &str, policy: Policy) {
        self.sum(domain, |sums| sums.add_failed(policy));
    }

    fn sum(&self, domain: &str, add: impl FnOnce(&mut Sums)) {
        let now = self.clock.now().0;
        let place = (now - now.rem_euclid(self.period), domain.to_owned());
        let mut counted = self.counted.lock();
        if counted.len() >= MAX_DOMAINS && !counted.contains_key(&place) {
            return;
        }
        add(counted.entry(place).or_default());
    }

    /// Adds what was counted to the items. What nobody wants to hear of is dropped; what can't be added now is kept for a period
    /// more. If the future is dropped, what it had in hand is counted nowhere.
    pub(super) async fn put_down(&self) {
        let places: Vec<(i64, String)> = self.counted.lock().keys().cloned().collect();
        let put = futures::stream::iter(places).map(|place| self.put_one(place));
        put.buffer_unordered(AT_ONCE).collect::<()>().await;
    }

    async fn put_one(&self, place: (i64, String)) {
        let Some(sums) = self.counted.lock().remove(&place) else { return };
        let is_wanted = match self.places(&place.1).await {
            Ok(places) => !places.is_empty(),
            Err(error) => {
                tracing::debug!(domain = place.1, %error, "whether a domain wants reports of TLS is not known");
                return self.keep(place, sums);
            }
        };
        if is_wanted && let Err(error) = self.add(&place, &sums).await {
            tracing::warn!(domain = place.1, %error, "results of TLS were not put down");
            self.keep(place, sums);
        }
    }

    /// What was counted of a domain and not put down: the policy, good and bad conversations, what was wrong.
    #[cfg(test)]
    pub(crate) fn counted(&self, domain: &str) -> Vec<(&'static str, u64, u64, Vec<&'static str>)> {
        let counted = self.counted.lock();
        let sums =
            counted.iter().filter(|((_, known), _)| known == domain).flat_map(|(_, sums)| &sums.policies);
        sums.map(|one| {
            let faults = one.failures.iter().map(|(failure, _)| failure.fault.name()).collect();
            (one.policy.kind.name(), one.successes, one.failed, faults)
        })
        .collect()
    }

    fn keep(&self, place: (i64, String), sums: Sums) {
        if place.0 + 2 * self.period > self.clock.now().0 {
            self.counted.lock().entry(place).or_default().merge(sums);
        }
    }

    async fn add(&self, (start, domain): &(i64, String), sums: &Sums) -> PortResult<()> {
        let key = key(*start, domain);
        let mut found = self.control.get(&key, Consistency::Strong).await?;
        for _ in 0..TRIES {
            let mut whole = match &found {
                Some(item) => codec::decode(&item.value)
                    .map_err(|error| PortError::Damaged { port: "control", cause: error.to_string() })?,
                None => Sums::default(),
            };
            whole.merge(sums.clone());
            let expected = found.as_ref().map_or(Expected::Absent, |item| Expected::Version(item.version));
            match self.control.put_if(&key, &codec::encode(&whole), expected).await? {
                Put::Stored(_) => return Ok(()),
                Put::Conflict(other) => found = other,
            }
        }
        Err(PortError::Unavailable { port: "control", cause: "others write it all the time".to_owned() })
    }

    /// The addresses that get reports about a domain, by the record at `_smtp._tls.` in front of it (section 3); none without one.
    pub(super) async fn places(&self, domain: &str) -> Result<Vec<MailAddress>, DnsError> {
        let records = self.dns.look_up(&format!("_smtp._tls.{domain}"), DnsKind::Txt).await?;
        Ok(places(records.iter().filter_map(|record| match record {
            DnsRecord::Txt(text) => Some(text.as_str()),
            _ => None,
        })))
    }
}

/// The key of an item.
pub(super) fn key(start: i64, domain: &str) -> ControlKey {
    ControlKey::new(PARTITION, format!("{start:014}/{domain}"))
}

/// The addresses of the only record of its kind.
pub(super) fn places<'a>(texts: impl IntoIterator<Item = &'a str>) -> Vec<MailAddress> {
    let tags = |text: &'a str| text.split(';').map(str::trim);
    let mut records = texts.into_iter().filter(|text| tags(text).next() == Some("v=TLSRPTv1"));
    let (Some(only), None) = (records.next(), records.next()) else { return Vec::new() };
    let named = tags(only).find_map(|tag| {
        let (name, value) = tag.split_once('=')?;
        (name.trim() == "rua").then_some(value)
    });
    let mail = named.unwrap_or_default().split(',').filter_map(|place| {
        let (kind, address) = place.trim().split_once(':')?;
        let address = address.split(['?', '!']).next()?;
        if kind.eq_ignore_ascii_case("mailto") { MailAddress::parse(address).ok() } else { None }
    });
    mail.take(MAX_PLACES).collect()
}
