//! What the live accounts take, in the registry that `/metrics` prints; read when somebody asks.

use pennypost_mailstore::Mailroom;
use prometheus::core::{Collector, Desc};
use prometheus::proto::MetricFamily;
use prometheus::{IntCounter, IntGauge, Registry};

/// The metrics of one room.
struct LiveAccounts {
    room: Mailroom,
    accounts: IntGauge,
    bytes: IntGauge,
    loaded: IntCounter,
    dropped: IntCounter,
    reads: IntCounter,
    spared: IntCounter,
}

/// Puts the room's metrics into the registry.
///
/// # Errors
/// If the registry has metrics of these names already.
pub(super) fn register(room: &Mailroom, registry: &Registry) -> Result<(), prometheus::Error> {
    let gauge = |name: &str, help: &str| IntGauge::new(name, help);
    let counter = |name: &str, help: &str| IntCounter::new(name, help);
    registry.register(Box::new(LiveAccounts {
        room: room.clone(),
        accounts: gauge("pennypost_live_accounts", "accounts whose state is in memory")?,
        bytes: gauge("pennypost_live_bytes", "memory taken by the states of accounts")?,
        loaded: counter("pennypost_live_loaded_total", "states loaded from base and tail")?,
        dropped: counter("pennypost_live_dropped_total", "states dropped because there was no room")?,
        reads: counter("pennypost_live_reads_total", "reads of a journal for news of an account")?,
        spared: counter("pennypost_live_reads_spared_total", "questions for news answered without a read")?,
    }))
}

impl Collector for LiveAccounts {
    fn desc(&self) -> Vec<&Desc> {
        let gauges = [&self.accounts, &self.bytes].into_iter().flat_map(Collector::desc);
        let counters = [&self.loaded, &self.dropped, &self.reads, &self.spared];
        gauges.chain(counters.into_iter().flat_map(Collector::desc)).collect()
    }

    fn collect(&self) -> Vec<MetricFamily> {
        let now = self.room.occupancy();
        self.accounts.set(i64::try_from(now.accounts).unwrap_or(i64::MAX));
        self.bytes.set(i64::try_from(now.bytes).unwrap_or(i64::MAX));
        let counters = [
            (&self.loaded, now.loaded),
            (&self.dropped, now.dropped),
            (&self.reads, now.reads),
            (&self.spared, now.spared),
        ];
        for (counter, value) in counters {
            // The room counts; two who ask at once must not both add what is new.
            counter.reset();
            counter.inc_by(value);
        }
        let gauges = [&self.accounts, &self.bytes].into_iter().flat_map(|gauge| gauge.collect());
        gauges.chain(counters.into_iter().flat_map(|(counter, _)| counter.collect())).collect()
    }
}
