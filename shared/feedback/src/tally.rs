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
/// Bytes of them: who writes names as long as can be has fewer.
const MAX_BYTES: usize = 16 << 20;
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
    bytes: usize,
}

/// A period, and a domain.
type Place = (i64, String);

impl Counted {
    /// Counts messages; where there is no room for their row, how many there were.
    fn add(&mut self, place: Place, seen: Seen, count: u64) {
        let Counted { domains, rows, bytes } = self;
        let domain = domains.entry(place).or_default();
        if let Some(known) = domain.rows.get_mut(&seen) {
            *known = known.saturating_add(count);
        } else if *rows < MAX_ROWS && domain.rows.len() < MAX_ROWS_EACH && *bytes + seen.weight() <= MAX_BYTES
        {
            *rows += 1;
            *bytes += seen.weight();
            domain.rows.insert(seen, count);
        } else {
            domain.left_out = domain.left_out.saturating_add(count);
        }
    }
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
        if counted.domains.len() >= MAX_DOMAINS && !counted.domains.contains_key(&place) {
            return;
        }
        counted.add(place, seen, 1);
    }

    /// Adds what was counted to the items. What nobody wants to hear of is dropped; what can't be added now is kept for a period
    /// more. If the future is dropped, what it had in hand is counted nowhere. For each author's domain one look-up or a few, and,
    /// for each policy under which reports are wanted, one read and one write: however many names below a domain strangers make up.
    pub async fn put_down(&self) {
        let places: Vec<Place> = self.counted.lock().domains.keys().cloned().collect();
        let found = futures::stream::iter(places).map(|place| self.policy_of(place));
        let found: Vec<Option<(Place, Place)>> = found.buffered(AT_ONCE).collect().await;
        let mut items: BTreeMap<Place, Sums> = BTreeMap::new();
        for (item, place) in found.into_iter().flatten() {
            if let Some(sums) = self.take(&place) {
                items.entry(item).or_default().merge(sums);
            }
        }
        let put = futures::stream::iter(items).map(|(item, sums)| self.put_one(item, sums));
        put.buffer_unordered(AT_ONCE).collect::<()>().await;
    }

    /// What was counted of an author's domain, and the domain of the policy under which that is told. What nobody wants to hear is
    /// forgotten here.
    async fn policy_of(&self, place: Place) -> Option<(Place, Place)> {
        match published(&*self.dns, &place.1).await {
            Ok(Some(policy)) if !policy.record.rua().is_empty() => Some(((place.0, policy.domain), place)),
            Ok(_) => {
                drop(self.take(&place));
                None
            }
            Err(error) => {
                tracing::debug!(domain = place.1, %error, "whether a domain wants reports of DMARC is not known");
                if place.0 + 2 * self.period <= self.clock.now().0 {
                    drop(self.take(&place));
                }
                None
            }
        }
    }

    async fn put_one(&self, item: Place, sums: Sums) {
        if let Err(error) = self.add(&key(item.0, &item.1), &sums).await {
            tracing::warn!(domain = item.1, %error, "results of DMARC were not put down");
            self.keep(&item, sums);
        }
    }

    fn take(&self, place: &Place) -> Option<Sums> {
        let mut counted = self.counted.lock();
        let taken = counted.domains.remove(place)?;
        counted.rows = counted.rows.saturating_sub(taken.rows.len());
        counted.bytes = counted.bytes.saturating_sub(taken.rows.keys().map(Seen::weight).sum());
        Some(taken.sums())
    }

    /// Kept under the domain of the policy: next time that is looked up as any author's.
    fn keep(&self, place: &Place, sums: Sums) {
        if place.0 + 2 * self.period <= self.clock.now().0 {
            return;
        }
        let mut counted = self.counted.lock();
        let domain = counted.domains.entry(place.clone()).or_default();
        domain.left_out = domain.left_out.saturating_add(sums.left_out);
        for (seen, count) in sums.rows {
            counted.add(place.clone(), seen, count);
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
