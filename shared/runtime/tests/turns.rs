//! Workers of one stage take batches in turn: on a clock that stands still while somebody works, so that every order is
//! the same in each run.

#![allow(clippy::unwrap_used)] // a test may panic

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use parking_lot::Mutex;
use pennypost_backend_embedded::{Embedded, Options};
use pennypost_model::codec;
use pennypost_model::event::{Changed, Event, Stage};
use pennypost_model::{AccountId, AccountKey, Seq, TenantId, Timestamp};
use pennypost_ports::{
    DeadLetter, DeadLetterId, Depth, Outgoing, PortResult, Queue, Receipt, Received, SystemClock,
};
use pennypost_runtime::local::{Driver, Settings};
use pennypost_runtime::{Fusing, Handler, Outcome, Pipeline};
use tokio::sync::{Notify, watch};

const TENANT: TenantId = TenantId(1);
/// The account whose event takes an hour.
const SLOW: u64 = 9;

/// Hands out what lies there, and nothing twice.
#[derive(Default)]
struct Line {
    waiting: Mutex<VecDeque<Received>>,
    arrived: Notify,
}

impl Line {
    fn add(&self, accounts: &[u64]) {
        let received = |account: &u64| Received {
            receipt: Receipt(account.to_string()),
            body: codec::encode(&Event::Changed(Changed {
                account: AccountKey { tenant: TENANT, account: AccountId(*account) },
                seq: Seq(1),
            })),
            tries: 1,
            sent: Timestamp(0),
        };
        self.waiting.lock().extend(accounts.iter().map(received));
        self.arrived.notify_one();
    }
}

#[async_trait]
impl Queue for Line {
    async fn receive(&self, _: Stage, max: usize, _: Duration, wait: Duration) -> PortResult<Vec<Received>> {
        if self.waiting.lock().is_empty() {
            let _ = tokio::time::timeout(wait, self.arrived.notified()).await;
        }
        let mut waiting = self.waiting.lock();
        let count = max.min(waiting.len());
        Ok(waiting.drain(..count).collect())
    }

    async fn ack(&self, _: Stage, _: &[Receipt]) -> PortResult<()> {
        Ok(())
    }

    async fn send_batch(&self, _: Stage, _: Vec<Outgoing>) -> Vec<PortResult<()>> {
        unreachable!("nothing follows")
    }

    async fn retry_later(&self, _: Stage, _: &Receipt, _: Duration) -> PortResult<()> {
        unreachable!("nothing fails")
    }

    async fn dead_letter(&self, _: Stage, _: &Receipt, _: &str) -> PortResult<()> {
        unreachable!("nothing fails")
    }

    async fn dead_letters(&self, _: Option<DeadLetterId>, _: usize) -> PortResult<Vec<DeadLetter>> {
        unreachable!("nothing fails")
    }

    async fn replay_dead_letter(&self, _: DeadLetterId) -> PortResult<bool> {
        unreachable!("nothing fails")
    }

    async fn discard_dead_letter(&self, _: DeadLetterId) -> PortResult<bool> {
        unreachable!("nothing fails")
    }

    async fn depth(&self, _: Stage) -> PortResult<Depth> {
        Ok(Depth::default())
    }
}

/// Needs ten milliseconds for a batch, and remembers how large it was.
#[derive(Default)]
struct Weighs {
    batches: Mutex<Vec<usize>>,
}

#[async_trait]
impl Handler for Weighs {
    fn stage(&self) -> Stage {
        Stage::Notify
    }

    async fn handle(&self, events: Vec<Event>) -> Vec<Outcome> {
        self.batches.lock().push(events.len());
        let is_slow = |event: &Event| matches!(event, Event::Changed(c) if c.account.account.0 == SLOW);
        let long = Duration::from_secs(if events.iter().any(is_slow) { 3600 } else { 0 });
        tokio::time::sleep(long + Duration::from_millis(10)).await;
        events.iter().map(|_| Ok(Vec::new())).collect()
    }
}

struct Bench {
    _dir: tempfile::TempDir,
    line: Arc<Line>,
    handler: Arc<Weighs>,
    _stop: watch::Sender<bool>,
}

impl Bench {
    fn start() -> Bench {
        let dir = tempfile::tempdir().unwrap();
        let backend = Embedded::open(dir.path(), &Options::server()).unwrap();
        let (line, handler) = (Arc::new(Line::default()), Arc::new(Weighs::default()));
        let handlers: [Arc<dyn Handler>; 1] = [Arc::clone(&handler) as _];
        let queue = Arc::clone(&line) as Arc<dyn Queue>;
        let pipeline = Pipeline::new(handlers, Fusing::unfused(), Arc::clone(&queue));
        let driver = Driver::new(
            Arc::new(pipeline),
            queue,
            backend.log(),
            backend.control(),
            Arc::new(SystemClock),
            Settings { workers: 2, batch: 64, ..Settings::default() },
            &prometheus::Registry::new(),
        );
        let (stop, stopped) = watch::channel(false);
        tokio::spawn(driver.unwrap().run(stopped));
        Bench { _dir: dir, line, handler, _stop: stop }
    }

    /// The batches that have begun when so many milliseconds have passed.
    async fn after(&self, milliseconds: u64) -> Vec<usize> {
        tokio::time::sleep(Duration::from_millis(milliseconds)).await;
        self.handler.batches.lock().clone()
    }
}

#[tokio::test(start_paused = true)]
async fn what_arrives_while_a_batch_is_in_hand_becomes_one_batch() {
    let bench = Bench::start();
    bench.line.add(&[1]);
    assert_eq!(bench.after(1).await, [1]);
    for account in 2..=5 {
        bench.line.add(&[account]);
        assert_eq!(bench.after(1).await, [1], "the other worker waits");
    }
    assert_eq!(bench.after(10).await, [1, 4]);
}

#[tokio::test(start_paused = true)]
async fn a_batch_that_takes_long_holds_nobody_up() {
    let bench = Bench::start();
    bench.line.add(&[SLOW]);
    assert_eq!(bench.after(1).await, [1]);
    bench.line.add(&[2, 3]);
    assert_eq!(bench.after(30).await, [1, 2]);
    bench.line.add(&[4]);
    assert_eq!(bench.after(30).await, [1, 2, 1]);
}

#[tokio::test(start_paused = true)]
async fn beside_a_large_batch_another_one_is_taken_at_once() {
    let bench = Bench::start();
    bench.line.add(&[1; 20]);
    assert_eq!(bench.after(1).await, [20]);
    bench.line.add(&[2]);
    assert_eq!(bench.after(1).await, [20, 1]);
}
