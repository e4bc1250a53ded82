//! What batches used, put down for the meters of tenants without a counter anywhere.
//!
//! Owns: the scope of a batch, in which every call of a port is counted, and the division of the counts. Whatever is
//! counted is put down once: in the traces that the batch writes anyway ([`take`]), each message with its share, or,
//! where a batch writes none, in a usage record for each of its tenants. What is counted after that
//! (the traces' own write units, acknowledgements, hints) is carried into the next record of the same tenant. The shares of a batch add up
//! to its counts; so do all records of a process, with what it still carries, to all that it counted.
//!
//! If the process dies, what it carries is lost, and so are the counts of a batch that had written nothing: tenants are
//! never billed for it. If an append fails, its shares are lost alike, since they may be there nevertheless. Nothing is
//! ever put down twice.

use std::collections::BTreeMap;
use std::mem;
use std::sync::Arc;
use std::time::Instant;

use parking_lot::Mutex;
use pennypost_meter::{Counts, MILLI, Tally, Unit, count, metered};
use pennypost_model::event::Stage;
use pennypost_model::usage::{UsageRecord, Used};
use pennypost_model::{EventId, TenantId, codec};
use pennypost_ports::{Clock, Log, LogKind, LogRecord};

/// Messages of a batch that the service's poller takes from a queue, and deletes, with one call.
const POLLED_AT_ONCE: usize = 10;

tokio::task_local! {
    static BATCH: Arc<Batch>;
}

/// A message that gets a share.
#[derive(Debug, Clone, Copy)]
pub struct Part {
    /// Whose it is.
    pub tenant: TenantId,
    /// Accounts that it went to.
    pub deliveries: u32,
    /// Its bytes.
    pub bytes: u32,
}

/// What the batches of a process used and nothing says yet.
#[derive(Debug, Default)]
pub struct Usages {
    carried: Arc<Mutex<Carried>>,
    /// Megabytes of the function; 0 where time is not billed.
    memory: u64,
}

#[derive(Debug, Default)]
struct Carried {
    tenants: BTreeMap<TenantId, Counts>,
    /// Of batches that had no tenant: whoever comes next has a share of it.
    nobodys: Counts,
}

impl Carried {
    /// What these tenants used, all alike; one that is there more than once has more of it.
    fn add(&mut self, tenants: &[TenantId], used: &Counts) {
        if tenants.is_empty() {
            self.nobodys = self.nobodys.plus(used);
        }
        for (tenant, share) in tenants.iter().zip(used.divided(&vec![1; tenants.len()])) {
            let known = self.tenants.entry(*tenant).or_default();
            *known = known.plus(&share);
        }
    }
}

/// A batch in hand.
struct Batch {
    carried: Arc<Mutex<Carried>>,
    tally: Arc<Tally>,
    memory: u64,
    state: Mutex<State>,
}

struct State {
    /// What is put down, or on its way.
    taken: Counts,
    has_given: bool,
    /// Whose events it has.
    tenants: Vec<TenantId>,
    /// Up to here its time is counted.
    timed: Instant,
    depth: usize,
}

impl Usages {
    /// For a function with so many megabytes: its time is counted too, and each batch as an invocation.
    #[must_use]
    pub fn of_function(megabytes: u64) -> Usages {
        Usages { memory: megabytes, ..Usages::default() }
    }

    /// Handles a batch: `work` with all that it calls is counted, `before` (a receipt, say) with it. What it used.
    pub async fn batch<T>(
        &self,
        stage: Stage,
        log: &dyn Log,
        clock: &dyn Clock,
        before: &Counts,
        work: impl Future<Output = T>,
    ) -> (T, Counts) {
        let batch = self.begin(before);
        let done = batch.run(work).await;
        let (counts, records) = batch.end();
        let time = clock.now();
        let record = |(tenant, counts): (TenantId, Counts)| {
            let used = put_down(&counts)?;
            let id = EventId::from_parts(time, rand::random::<u128>() >> 48);
            let value = codec::encode(&UsageRecord { tenant, time, stage, used });
            Some(LogRecord { tenant, kind: LogKind::Usage, id, time, value })
        };
        let records: Vec<LogRecord> = records.into_iter().filter_map(record).collect();
        if !records.is_empty() {
            let tally = Arc::new(Tally::new());
            if let Err(error) = metered(Arc::clone(&tally), log.append(&records)).await {
                tracing::warn!(stage = stage.queue(), %error, "what a batch used is not put down");
            }
            let tenants: Vec<TenantId> = records.iter().map(|record| record.tenant).collect();
            self.carried.lock().add(&tenants, &tally.counts());
        }
        (done, counts)
    }

    /// The same where nothing is put down after it: all that its traces do not say is carried.
    pub(crate) async fn carry<T>(&self, work: impl Future<Output = T>) -> T {
        let batch = self.begin(&Counts::default());
        let done = batch.run(work).await;
        batch.state.lock().has_given = true;
        batch.end();
        done
    }

    /// What is carried now: counted, and in no record yet.
    #[must_use]
    pub fn carried(&self) -> Counts {
        let carried = self.carried.lock();
        carried.tenants.values().fold(carried.nobodys, |sum, counts| sum.plus(counts))
    }

    fn begin(&self, before: &Counts) -> Arc<Batch> {
        let tally = Arc::new(Tally::new());
        tally.add_all(before);
        let state = State {
            taken: Counts::default(),
            has_given: false,
            tenants: Vec::new(),
            timed: Instant::now(),
            depth: 0,
        };
        let (carried, memory) = (Arc::clone(&self.carried), self.memory);
        Arc::new(Batch { carried, tally, memory, state: Mutex::new(state) })
    }
}

impl Batch {
    async fn run<T>(self: &Arc<Self>, work: impl Future<Output = T>) -> T {
        let work = BATCH.scope(Arc::clone(self), async {
            if self.memory > 0 {
                count(Unit::Invocation, MILLI);
            }
            let done = work.await;
            self.count_time();
            done
        });
        metered(Arc::clone(&self.tally), work).await
    }

    /// Counts the time since it was last counted.
    fn count_time(&self) {
        let mut state = self.state.lock();
        let micros = u64::try_from(state.timed.elapsed().as_micros()).unwrap_or(u64::MAX);
        state.timed = Instant::now();
        // Thousandths of a megabyte-millisecond.
        count(Unit::MegabyteMillis, self.memory.saturating_mul(micros));
    }

    /// What was counted and nothing says yet; from now on somebody says it.
    fn untold(&self, state: &mut State) -> Counts {
        let counts = self.tally.counts();
        let untold = counts.since(&state.taken);
        state.taken = counts;
        untold
    }

    /// What it used in all, and what is to be put down for each of its tenants.
    fn end(&self) -> (Counts, Vec<(TenantId, Counts)>) {
        let mut state = self.state.lock();
        let rest = self.untold(&mut state);
        let mut carried = self.carried.lock();
        let tenants = mem::take(&mut state.tenants);
        carried.add(&tenants, &rest);
        let is_to_be_told = |tenant: &TenantId| (!state.has_given).then_some(*tenant);
        let told = tenants.iter().filter_map(is_to_be_told);
        let told = told.filter_map(|tenant| Some((tenant, carried.tenants.remove(&tenant)?))).collect();
        carried.tenants.retain(|_, counts| !counts.is_empty());
        (self.tally.counts(), told)
    }
}

/// Whose events the batch in hand has. Only the outermost of joined stages says it.
pub(crate) struct Depth(Option<Arc<Batch>>);

impl Depth {
    /// A stage begins. `None` outside any batch.
    pub(crate) fn enter(tenants: impl Iterator<Item = TenantId>) -> Option<Depth> {
        let batch = BATCH.try_with(Arc::clone).ok()?;
        {
            let mut state = batch.state.lock();
            if state.depth == 0 {
                state.tenants.extend(tenants);
            }
            state.depth += 1;
        }
        Some(Depth(Some(batch)))
    }
}

impl Drop for Depth {
    fn drop(&mut self) {
        if let Some(batch) = self.0.take() {
            batch.state.lock().depth -= 1;
        }
    }
}

/// Takes all that the batch in hand has used and nothing says yet, divided among these messages: for records that are
/// about to be written. Nothing outside any batch, and for whom nothing was counted.
#[must_use]
pub fn take(parts: &[Part]) -> Vec<Option<Used>> {
    let Ok(batch) = BATCH.try_with(Arc::clone) else { return vec![None; parts.len()] };
    if parts.is_empty() {
        return Vec::new();
    }
    if batch.memory > 0 {
        batch.count_time();
    }
    let mut state = batch.state.lock();
    state.has_given = true;
    let mut untold = batch.untold(&mut state);
    let mut carried = batch.carried.lock();
    untold = untold.plus(&mem::take(&mut carried.nobodys));
    let mut shares = vec![Counts::default(); parts.len()];
    for ground in [Ground::Deliveries, Ground::Bytes, Ground::Messages] {
        let weights: Vec<u32> = parts.iter().map(|part| ground.weight(part)).collect();
        let divided = untold.only(|unit| Ground::of(unit) == ground).divided(&weights);
        shares.iter_mut().zip(divided).for_each(|(share, part)| *share = share.plus(&part));
    }
    for (part, share) in parts.iter().zip(&mut shares) {
        if let Some(before) = carried.tenants.remove(&part.tenant) {
            *share = share.plus(&before);
        }
    }
    shares.iter().map(put_down).collect()
}

/// By what a count is divided.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Ground {
    Deliveries,
    Bytes,
    Messages,
}

impl Ground {
    const fn of(unit: Unit) -> Ground {
        match unit {
            Unit::JournalWrite | Unit::JournalRead => Ground::Deliveries,
            Unit::QueueRequest | Unit::ObjectWrite | Unit::ObjectBytesWritten => Ground::Bytes,
            _ => Ground::Messages,
        }
    }

    const fn weight(self, part: &Part) -> u32 {
        match self {
            Ground::Deliveries => part.deliveries,
            Ground::Bytes => part.bytes,
            Ground::Messages => 1,
        }
    }
}

fn put_down(counts: &Counts) -> Option<Used> {
    let units: Vec<(u8, u64)> = counts.used().map(|(unit, milli)| (unit.code(), milli)).collect();
    (!units.is_empty()).then(|| Used { batch: rand::random(), units })
}

/// What a share says, back in counts. Kinds of units that a later version counts are passed over.
#[must_use]
pub fn counts(used: &Used) -> Counts {
    let mut counts = Counts::default();
    for (code, milli) in &used.units {
        if let Some(unit) = Unit::of_code(*code) {
            counts.add(unit, *milli);
        }
    }
    counts
}

/// What the service's own poller is billed for a batch that it hands to a function and deletes afterwards: nobody in
/// the function makes these calls. `sizes` are the messages' bytes.
#[must_use]
pub fn polled(sizes: &[usize]) -> Counts {
    let mut counts = Counts::default();
    for some in sizes.chunks(POLLED_AT_ONCE) {
        let bytes = some.iter().map(|size| *size as u64).sum();
        counts.add(Unit::QueueRequest, pennypost_meter::rules::request(bytes));
        counts.add(Unit::QueueRequest, pennypost_meter::rules::request(0));
    }
    counts
}
