//! Batches of a queue through a function, on the embedded queue: what the service would do with the answer is done, so
//! that what is left in the queue and in the dead letters is seen.

#![allow(clippy::unwrap_used)] // a test may panic

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use pennypost_backend_embedded::{Embedded, Options};
use pennypost_model::codec;
use pennypost_model::event::{Event, House, Stage};
use pennypost_model::{AccountId, AccountKey, TenantId};
use pennypost_ports::{Outgoing, PortResult, Receipt, Received, SystemClock};
use pennypost_runtime::batch::{Acknowledgement, Desk, Patience};
use pennypost_runtime::{Failure, Fusing, Handler, Outcome, Pipeline};
use pennypost_runtime_lambda::{
    Delivered, Function, Handled, Invocation, InvocationError, QueueFunction, SqsEvent, SqsRecord, Takeover,
};

const TENANT: TenantId = TenantId(1);
const FINE: u64 = 1;
const PANICS: u64 = 2;
const FAILS: u64 = 3;
const IS_REFUSED: u64 = 4;
const NEVER_ENDS: u64 = 5;

/// What the handler does with an event depends on the account that the event names.
#[derive(Default)]
struct Moody {
    handled: AtomicUsize,
}

#[async_trait]
impl Handler for Moody {
    fn stage(&self) -> Stage {
        Stage::Housekeep
    }

    async fn handle(&self, events: Vec<Event>) -> Vec<Outcome> {
        let mut outcomes = Vec::new();
        for event in &events {
            let Event::House(House::Account(account)) = event else { panic!("another event: {event:?}") };
            outcomes.push(match account.account.0 {
                PANICS => panic!("as it was told to"),
                FAILS => Err(Failure::temporary("not now")),
                IS_REFUSED => Err(Failure::permanent("never")),
                NEVER_ENDS => std::future::pending().await,
                _ => {
                    self.handled.fetch_add(1, Ordering::Relaxed);
                    Ok(Vec::new())
                }
            });
        }
        outcomes
    }
}

/// Hexadecimal stands for the encoding of the real queue here.
struct ByHandle;

#[async_trait]
impl Takeover for ByHandle {
    async fn take_over(&self, _stage: Stage, delivered: Delivered) -> PortResult<Vec<Received>> {
        let digits: Vec<u8> = delivered.text.bytes().collect();
        let byte = |pair: &[u8]| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap_or(0xff);
        Ok(vec![Received {
            receipt: Receipt(delivered.handle),
            body: digits.chunks(2).map(byte).collect(),
            tries: delivered.tries,
            sent: delivered.sent,
        }])
    }

    fn must_return(&self, _stage: Stage, _receipt: &Receipt) -> bool {
        true
    }

    fn let_go(&self, _stage: Stage, _receipts: &[Receipt]) {}
}

struct Bench {
    _dir: tempfile::TempDir,
    backend: Embedded,
    handler: Arc<Moody>,
    function: QueueFunction,
}

impl Bench {
    fn new() -> Bench {
        let dir = tempfile::tempdir().unwrap();
        let backend = Embedded::open(dir.path(), &Options::server()).unwrap();
        let handler = Arc::new(Moody::default());
        let handlers: [Arc<dyn Handler>; 1] = [Arc::clone(&handler) as _];
        let desk = Desk::new(
            Arc::new(Pipeline::new(handlers, Fusing::unfused(), backend.queue())),
            backend.queue(),
            backend.log(),
            backend.control(),
            Arc::new(SystemClock),
            Patience { max_tries: 4, first_retry_seconds: 0, ..Patience::default() },
            Acknowledgement::ByTheCaller,
        );
        let function = QueueFunction::new(Stage::Housekeep, desk, Arc::new(ByHandle));
        Bench { _dir: dir, backend, handler, function }
    }

    async fn send(&self, bodies: Vec<Vec<u8>>) {
        let message = |body| Outgoing { tenant: TENANT, body, delay: Duration::ZERO };
        let messages = bodies.into_iter().map(message).collect();
        for sent in self.backend.queue().send_batch(Stage::Housekeep, messages).await {
            sent.unwrap();
        }
    }

    /// A batch as the service makes it of what is in the queue.
    async fn batch(&self, visibility: Duration) -> SqsEvent {
        let wait = Duration::from_secs(5);
        let received = self.backend.queue().receive(Stage::Housekeep, 64, visibility, wait).await.unwrap();
        let record = |(number, message): (usize, Received)| SqsRecord {
            message_id: format!("message-{number}"),
            receipt_handle: message.receipt.0,
            body: message.body.iter().map(|byte| format!("{byte:02x}")).collect(),
            attributes: HashMap::from([
                ("ApproximateReceiveCount".to_owned(), message.tries.to_string()),
                ("SentTimestamp".to_owned(), message.sent.0.to_string()),
            ]),
            ..SqsRecord::default()
        };
        SqsEvent { records: received.into_iter().enumerate().map(record).collect() }
    }

    /// Invokes the function, and deletes what it does not name, as the service does.
    async fn turn(&self) -> Handled {
        let event = self.batch(Duration::from_secs(60)).await;
        let finished = self.function.invoke(event.clone(), Invocation { deadline: None }).await.unwrap();
        let failed = &finished.answer.batch_item_failures;
        let is_done =
            |record: &&SqsRecord| !failed.iter().any(|item| item.item_identifier == record.message_id);
        let done: Vec<Receipt> = event
            .records
            .iter()
            .filter(is_done)
            .map(|record| Receipt(record.receipt_handle.clone()))
            .collect();
        self.backend.queue().ack(Stage::Housekeep, &done).await.unwrap();
        finished.done
    }

    async fn dead(&self) -> Vec<String> {
        let letters = self.backend.queue().dead_letters(None, 100).await.unwrap();
        letters.into_iter().map(|letter| letter.cause).collect()
    }

    async fn left(&self) -> u64 {
        let depth = self.backend.queue().depth(Stage::Housekeep).await.unwrap();
        depth.waiting + depth.in_flight
    }
}

fn event(mood: u64) -> Vec<u8> {
    codec::encode(&Event::House(House::Account(AccountKey { tenant: TENANT, account: AccountId(mood) })))
}

#[tokio::test]
async fn each_record_fails_for_itself() {
    let bench = Bench::new();
    let newer = [&[99][..], &event(FINE)[1..]].concat();
    let bodies = vec![event(FINE), vec![1, 0xff, 0xff], event(PANICS), newer, event(FAILS), event(FINE)];
    bench.send([bodies, vec![event(IS_REFUSED)]].concat()).await;
    let handled = bench.turn().await;
    assert_eq!((handled.records, handled.done, handled.retried, handled.dead), (7, 2, 2, 3));
    assert_eq!(handled.open, 2, "the panic and the passing failure come again");
    let dead = bench.dead().await;
    let is_there = |part: &str| dead.iter().any(|cause| cause.contains(part));
    assert!(is_there("damaged") && is_there("format version 99") && is_there("never"), "{dead:?}");
    assert_eq!(bench.left().await, 2);
    // The panic is poison after its tries; the passing failure stays.
    for _ in 0..6 {
        bench.turn().await;
    }
    let dead = bench.dead().await;
    assert!(
        dead.len() == 4 && dead.iter().any(|cause| cause.contains("panicked: as it was told to")),
        "{dead:?}"
    );
    assert_eq!(bench.left().await, 1);
}

#[tokio::test]
async fn what_is_not_answered_for_in_time_comes_again_and_is_buried_in_the_end() {
    let bench = Bench::new();
    bench.send(vec![event(FINE), event(NEVER_ENDS)]).await;
    for turn in 0..12 {
        let event = bench.batch(Duration::from_millis(30)).await;
        let deadline = Some(Instant::now() + Duration::from_millis(60));
        let finished = bench.function.invoke(event, Invocation { deadline }).await.unwrap();
        if turn == 0 {
            assert!(finished.done.time_over && finished.answer.batch_item_failures.len() == 2);
        }
        if !bench.dead().await.is_empty() {
            break;
        }
    }
    let dead = bench.dead().await;
    assert!(dead.len() == 1 && dead[0].contains("died with it"), "{dead:?}");
    assert!(bench.handler.handled.load(Ordering::Relaxed) >= 1);
    assert_eq!(bench.left().await, 0, "the other one was acknowledged before the suspect was taken in hand");
}

#[tokio::test]
async fn a_record_that_nobody_can_name_fails_the_invocation_before_anything_is_done() {
    let bench = Bench::new();
    bench.send(vec![event(FINE), event(FINE)]).await;
    let mut batch = bench.batch(Duration::from_secs(60)).await;
    batch.records[1].receipt_handle.clear();
    let answer = bench.function.invoke(batch, Invocation { deadline: None }).await;
    assert_eq!(answer, Err(InvocationError::Nameless(1)));
    assert_eq!(bench.handler.handled.load(Ordering::Relaxed), 0);
}
