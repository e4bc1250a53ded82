//! What a process counts, and where it adds that.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt;
use parking_lot::Mutex;
use pennypost_model::{Timestamp, codec};
use pennypost_ports::{Clock, Consistency, Control, ControlKey, Dns, Expected, PortError, PortResult, Put};

use super::published::published;
use super::seen::{Seen, Sums};

/// The partition of the control table.
pub(crate) const PARTITION: &str = "dmarc-results";
/// Domains of authors that are counted in memory at once; one more is not.
const MAX_DOMAINS: usize = 10_000;
/// Rows that are counted in memory at once.
const MAX_ROWS: usize = 50_000;
/// Rows of one domain that are counted in memory at once.
const MAX_ROWS_EACH: usize = 2_000;
/// How often an item is written that another process has overtaken.
const TRIES: usize = 5;
/// Domains that are asked at the same time.
const AT_ONCE: usize = 16;

/// What came in of an author's domain.
#[derive(Debug, Default)]
struct OfDomain {
    rows: HashMap<Seen, u64>,
    left_out: u64,
}

impl OfDomain {
    fn sums(self) -> Sums {
        Sums { rows: self.rows.into_iter().collect(), left_out: self.left_out }
    }
}

/// By period and author's domain.
#[derive(Debug, Default)]
struct Counted {
    domains: BTreeMap<(i64, String), OfDomain>,
    rows: usize,
}

/// What counts.
pub struct DmarcTally {
    control: Arc<dyn Control>,
    dns: Arc<dyn Dns>,
    clock: Arc<dyn Clock>,
    /// Milliseconds.
    period: i64,
    counted: Mutex<Counted>,
}

impl DmarcTally {
    /// In periods as long as that: a day, but in tests. `dns` is asked whose policy holds, and who wants reports.
    #[must_use]
    pub fn new(
        control: Arc<dyn Control>,
        dns: Arc<dyn Dns>,
        clock: Arc<dyn Clock>,
        period: Duration,
    ) -> DmarcTally {
        let period = i64::try_from(period.as_millis()).unwrap_or(i64::MAX).max(1_000);
        DmarcTally { control, dns, clock, period, counted: Mutex::default() }
    }

    pub(crate) const fn period(&self) -> i64 {
        self.period
    }

    pub(crate) fn control(&self) -> &dyn Control {
        &*self.control
    }

    pub(crate) fn dns(&self) -> &dyn Dns {
        &*self.dns
    }

    pub(crate) fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// Counts a message whose author's domain wants reports. In memory: no call.
    pub fn note(&self, seen: Seen) {
        let (seen, now) = (seen.bounded(), self.clock.now().0);
        let place = (now - now.rem_euclid(self.period), seen.author.clone());
        let mut counted = self.counted.lock();
        let Counted { domains, rows } = &mut *counted;
        if domains.len() >= MAX_DOMAINS && !domains.contains_key(&place) {
            return;
        }
        let domain = domains.entry(place).or_default();
        if let Some(known) = domain.rows.get_mut(&seen) {
            *known = known.saturating_add(1);
        } else if *rows < MAX_ROWS && domain.rows.len() < MAX_ROWS_EACH {
            *rows += 1;
            domain.rows.insert(seen, 1);
        } else {
            domain.left_out = domain.left_out.saturating_add(1);
        }
    }

    /// Adds what was counted to the items. What nobody wants to hear of is dropped; what can't be added now is kept for a period
    /// more. If the future is dropped, what it had in hand is counted nowhere. For each author's domain one look-up or a few, and,
    /// where reports are wanted, one read and one write.
    pub async fn put_down(&self) {
        let places: Vec<(i64, String)> = self.counted.lock().domains.keys().cloned().collect();
        let put = futures::stream::iter(places).map(|place| self.put_one(place));
        put.buffer_unordered(AT_ONCE).collect::<()>().await;
    }

    async fn put_one(&self, place: (i64, String)) {
        let Some(sums) = self.take(&place) else { return };
        let policy = match published(&*self.dns, &place.1).await {
            Ok(Some(policy)) if !policy.record.rua().is_empty() => policy.domain,
            Ok(_) => return,
            Err(error) => {
                tracing::debug!(domain = place.1, %error, "whether a domain wants reports of DMARC is not known");
                return self.keep(place, sums);
            }
        };
        if let Err(error) = self.add(&key(place.0, &policy), &sums).await {
            tracing::warn!(domain = place.1, %error, "results of DMARC were not put down");
            self.keep(place, sums);
        }
    }

    fn take(&self, place: &(i64, String)) -> Option<Sums> {
        let mut counted = self.counted.lock();
        let taken = counted.domains.remove(place)?;
        counted.rows = counted.rows.saturating_sub(taken.rows.len());
        Some(taken.sums())
    }

    fn keep(&self, place: (i64, String), sums: Sums) {
        if place.0 + 2 * self.period <= self.clock.now().0 {
            return;
        }
        let mut counted = self.counted.lock();
        let Counted { domains, rows } = &mut *counted;
        let domain = domains.entry(place).or_default();
        domain.left_out = domain.left_out.saturating_add(sums.left_out);
        for (seen, count) in sums.rows {
            let before = domain.rows.len();
            let known = domain.rows.entry(seen).or_default();
            *known = known.saturating_add(count);
            *rows += domain.rows.len() - before;
        }
    }

    async fn add(&self, key: &ControlKey, sums: &Sums) -> PortResult<()> {
        let mut found = self.control.get(key, Consistency::Strong).await?;
        for _ in 0..TRIES {
            let mut whole = match &found {
                Some(item) => codec::decode(&item.value)
                    .map_err(|error| PortError::Damaged { port: "control", cause: error.to_string() })?,
                None => Sums::default(),
            };
            whole.merge(sums.clone());
            let expected = found.as_ref().map_or(Expected::Absent, |item| Expected::Version(item.version));
            match self.control.put_if(key, &codec::encode(&whole), expected).await? {
                Put::Stored(_) => return Ok(()),
                Put::Conflict(other) => found = other,
            }
        }
        Err(PortError::Unavailable { port: "control", cause: "others write it all the time".to_owned() })
    }
}

/// The key of an item.
pub(crate) fn key(start: i64, domain: &str) -> ControlKey {
    ControlKey::new(PARTITION, format!("{start:014}/{domain}"))
}
