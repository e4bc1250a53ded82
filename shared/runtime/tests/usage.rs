//! What batches used, put down: the records of a process and what it carries add up to what it counted.

#![allow(clippy::unwrap_used)] // a test may panic

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use parking_lot::Mutex;
use pennypost_backend_embedded::{Embedded, Options};
use pennypost_meter::{Counts, Unit, count};
use pennypost_model::event::{Event, House, Stage};
use pennypost_model::usage::{UsageRecord, Used};
use pennypost_model::{AccountId, AccountKey, TenantId, Timestamp, codec};
use pennypost_ports::{Log, LogKind, LogQuery, LogRecord, PortResult, Queue, SystemClock};
use pennypost_runtime::usage::{self, Part};
use pennypost_runtime::{Fusing, Handler, Outcome, Pipeline};
use proptest::prelude::*;

/// Uses what it is told to, and says so itself, says so before its last call, or leaves it to the driver.
struct Worker {
    says: Says,
    said: Arc<Mutex<Vec<(TenantId, Used)>>>,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Says {
    Nothing,
    BeforeTheLastCall,
}

#[async_trait]
impl Handler for Worker {
    fn stage(&self) -> Stage {
        Stage::Housekeep
    }

    async fn handle(&self, events: Vec<Event>) -> Vec<Outcome> {
        for event in &events {
            count(Unit::JournalRead, 500);
            count(Unit::JournalWrite, 1000 * (1 + event.tenant().0 % 3));
        }
        count(Unit::ObjectWrite, 1000);
        if self.says == Says::BeforeTheLastCall {
            let part = |event: &Event| Part {
                tenant: event.tenant(),
                deliveries: 1,
                bytes: event.tenant().0 as u32,
            };
            let parts: Vec<Part> = events.iter().map(part).collect();
            let shares = events.iter().map(Event::tenant).zip(usage::take(&parts));
            self.said.lock().extend(shares.filter_map(|(tenant, used)| Some((tenant, used?))));
        }
        count(Unit::LogWrite, 1000);
        count(Unit::QueueRequest, 1000);
        vec![Ok(Vec::new()); events.len()]
    }
}

/// Keeps what is appended, and how often something was.
#[derive(Default)]
struct Kept(Mutex<Vec<LogRecord>>, AtomicU64);

#[async_trait]
impl Log for Kept {
    async fn append(&self, records: &[LogRecord]) -> PortResult<()> {
        count(Unit::LogWrite, 7_000);
        self.0.lock().extend_from_slice(records);
        self.1.fetch_add(1, Ordering::Relaxed);
        Ok(())
    }

    async fn query(&self, _query: &LogQuery) -> PortResult<Vec<LogRecord>> {
        Ok(Vec::new())
    }

    async fn expire(&self, _kind: LogKind, _before: Timestamp) -> PortResult<u64> {
        Ok(0)
    }
}

fn queue(dir: &std::path::Path) -> Arc<dyn Queue> {
    Embedded::open(dir, &Options::server()).unwrap().queue()
}

fn event(tenant: u64) -> Event {
    Event::House(House::Account(AccountKey { tenant: TenantId(tenant), account: AccountId(1) }))
}

/// All that batches of these tenants counted, and all that is put down or carried.
async fn run(says: Says, batches: &[Vec<u64>], queue: Arc<dyn Queue>) -> (Counts, Counts, usize) {
    let said = Arc::default();
    let worker = Worker { says, said: Arc::clone(&said) };
    let pipeline = Pipeline::new([Arc::new(worker) as Arc<dyn Handler>], Fusing::unfused(), queue);
    let log = Kept::default();
    let mut counted = Counts::default();
    for tenants in batches {
        let mut before = Counts::default();
        before.add(Unit::QueueRequest, 1000);
        let events = tenants.iter().copied().map(event).collect();
        let work = pipeline.run(Stage::Housekeep, events);
        let usages = pipeline.usages();
        let (results, used) = usages.batch(Stage::Housekeep, &log, &SystemClock, &before, work).await;
        assert!(results.iter().all(Result::is_ok));
        counted = counted.plus(&used);
    }
    let appends = log.1.load(Ordering::Relaxed);
    counted.add(Unit::LogWrite, 7_000 * appends);
    let mut told = pipeline.usages().carried();
    for (_, used) in said.lock().iter() {
        told = told.plus(&usage::counts(used));
    }
    let records = log.0.lock().clone();
    for record in &records {
        assert_eq!(record.kind, LogKind::Usage);
        let usage: UsageRecord = codec::decode(&record.value).unwrap();
        assert_eq!(usage.tenant, record.tenant);
        told = told.plus(&usage::counts(&usage.used));
    }
    (counted, told, records.len())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]

    #[test]
    fn what_is_put_down_and_carried_is_what_was_counted(
        batches in proptest::collection::vec(proptest::collection::vec(0_u64..5, 1..8), 1..10),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let dir = tempfile::tempdir().unwrap();
            let queue = queue(dir.path());
            let (counted, told, records) = run(Says::BeforeTheLastCall, &batches, Arc::clone(&queue)).await;
            assert_eq!(counted, told);
            assert_eq!(records, 0, "traces say it");
            let (counted, told, records) = run(Says::Nothing, &batches, queue).await;
            assert_eq!(counted, told);
            let tenants = |batch: &Vec<u64>| batch.iter().collect::<std::collections::BTreeSet<_>>().len();
            assert_eq!(records, batches.iter().map(tenants).sum::<usize>());
        });
    }
}

#[tokio::test]
async fn time_is_counted_for_functions_only() {
    let dir = tempfile::tempdir().unwrap();
    let queue = queue(dir.path());
    let worker = Worker { says: Says::Nothing, said: Arc::default() };
    let pipeline = Pipeline::new([Arc::new(worker) as Arc<dyn Handler>], Fusing::unfused(), queue);
    let work = async |pipeline: &Pipeline| {
        let log = Kept::default();
        let work = async {
            tokio::time::sleep(Duration::from_millis(3)).await;
            pipeline.run(Stage::Housekeep, vec![event(1)]).await
        };
        pipeline.usages().batch(Stage::Housekeep, &log, &SystemClock, &Counts::default(), work).await.1
    };
    let used = work(&pipeline).await;
    assert_eq!((used.milli(Unit::MegabyteMillis), used.milli(Unit::Invocation)), (0, 0));
    let pipeline = pipeline.of_function(128);
    let used = work(&pipeline).await;
    assert!(used.milli(Unit::MegabyteMillis) >= 3 * 128 * 1000, "{used}");
    assert_eq!(used.milli(Unit::Invocation), 1000);
}

#[test]
fn the_poller_of_the_service_is_billed_by_calls_of_ten() {
    assert_eq!(usage::polled(&[5_000; 30]).milli(Unit::QueueRequest), 6_000);
    assert_eq!(usage::polled(&[8_000; 10]).milli(Unit::QueueRequest), 3_000);
    assert_eq!(usage::polled(&[5_000; 2]).milli(Unit::QueueRequest), 2_000);
    assert!(usage::polled(&[]).is_empty());
}
