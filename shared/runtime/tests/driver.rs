//! The local driver on the embedded queue: panics, garbage, failures that pass and failures that do not, events that
//! take the process with them.

#![allow(clippy::unwrap_used)] // a test may panic

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use pennypost_backend_embedded::{Embedded, Options};
use pennypost_model::codec;
use pennypost_model::event::{Changed, Event, House, Stage};
use pennypost_model::{AccountId, AccountKey, Seq, TenantId};
use pennypost_ports::{Outgoing, SystemClock};
use pennypost_runtime::local::{Driver, Settings};
use pennypost_runtime::{Failure, Fusing, Handler, Outcome, Pipeline};

const TENANT: TenantId = TenantId(1);

/// What the handler does with an event depends on the account that the event names.
const FINE: u64 = 1;
const PANICS: u64 = 2;
const FAILS_ONCE: u64 = 3;
const IS_REFUSED: u64 = 4;
const NEVER_ENDS: u64 = 5;
const FAILS_ALWAYS: u64 = 6;
const WAITS: u64 = 7;

#[derive(Default)]
struct Moody {
    handled: AtomicUsize,
    failed: AtomicUsize,
    /// Events of the last batch.
    together: AtomicUsize,
}

#[async_trait]
impl Handler for Moody {
    fn stage(&self) -> Stage {
        Stage::Housekeep
    }

    async fn handle(&self, events: Vec<Event>) -> Vec<Outcome> {
        self.together.store(events.len(), Ordering::Relaxed);
        let mut outcomes = Vec::new();
        for event in &events {
            let Event::House(House::Account(account)) = event else { panic!("another event: {event:?}") };
            outcomes.push(match account.account.0 {
                PANICS => panic!("as it was told to"),
                FAILS_ONCE if self.failed.fetch_add(1, Ordering::Relaxed) == 0 => {
                    Err(Failure::temporary("not now"))
                }
                FAILS_ALWAYS => Err(Failure::temporary("never now")),
                WAITS => Err(Failure { retry_after: Some(Duration::ZERO), ..Failure::temporary("not yet") }),
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

struct Bench {
    _dir: tempfile::TempDir,
    backend: Embedded,
    handler: Arc<Moody>,
    driver: Driver,
}

impl Bench {
    fn new(settings: Settings) -> Bench {
        let dir = tempfile::tempdir().unwrap();
        let backend = Embedded::open(dir.path(), &Options::server()).unwrap();
        let handler = Arc::new(Moody::default());
        let handlers: [Arc<dyn Handler>; 1] = [Arc::clone(&handler) as _];
        let pipeline = Pipeline::new(handlers, Fusing::unfused(), backend.queue());
        let driver = Driver::new(
            Arc::new(pipeline),
            backend.queue(),
            backend.log(),
            backend.control(),
            Arc::new(SystemClock),
            settings,
            &prometheus::Registry::new(),
        );
        Bench { _dir: dir, backend, handler, driver: driver.unwrap() }
    }

    async fn send(&self, bodies: Vec<Vec<u8>>) {
        let message = |body| Outgoing { tenant: TENANT, body, delay: Duration::ZERO };
        let messages = bodies.into_iter().map(message).collect();
        for sent in self.backend.queue().send_batch(Stage::Housekeep, messages).await {
            sent.unwrap();
        }
    }

    /// Hands out once what is there, and lets the driver handle it.
    async fn turn(&self) -> usize {
        let queue = self.backend.queue();
        let wait = Duration::from_secs(5);
        let messages = queue.receive(Stage::Housekeep, 64, Duration::from_secs(60), wait).await.unwrap();
        let count = messages.len();
        self.driver.handle(Stage::Housekeep, messages).await;
        count
    }

    async fn dead(&self) -> Vec<String> {
        let letters = self.backend.queue().dead_letters(None, 100).await.unwrap();
        letters.into_iter().map(|letter| letter.cause).collect()
    }

    async fn left(&self) -> u64 {
        let depth = self.backend.queue().depth(Stage::Housekeep).await.unwrap();
        depth.waiting + depth.in_flight
    }

    fn handled(&self) -> usize {
        self.handler.handled.load(Ordering::Relaxed)
    }
}

fn event(mood: u64) -> Vec<u8> {
    codec::encode(&Event::House(House::Account(AccountKey { tenant: TENANT, account: AccountId(mood) })))
}

fn at_once() -> Settings {
    Settings { first_retry_seconds: 0, max_tries: 4, ..Settings::default() }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_panic_fails_one_event_and_not_its_batch() {
    let bench = Bench::new(at_once());
    bench.send(vec![event(FINE), event(PANICS), event(FINE), event(FINE)]).await;
    bench.turn().await;
    // What was handled before the panic is handled again: handlers are idempotent.
    let handled = bench.handled();
    assert!(handled >= 3);
    assert_eq!(bench.left().await, 1, "the others are done");
    assert!(bench.dead().await.is_empty(), "it is tried again before it is given up");
    while bench.left().await > 0 {
        bench.turn().await;
    }
    let dead = bench.dead().await;
    assert_eq!(dead.len(), 1);
    assert!(dead[0].contains("panicked: as it was told to"), "{dead:?}");
    assert_eq!(bench.handled(), handled, "nobody else was handled again");
}

#[tokio::test(flavor = "multi_thread")]
async fn garbage_and_refused_events_are_dead_letters_at_once() {
    let bench = Bench::new(at_once());
    let changed = Changed { account: AccountKey::default(), seq: Seq(1) };
    let bodies = vec![vec![], vec![0xff; 100], event(IS_REFUSED), event(FINE)];
    bench.send(bodies).await;
    bench.turn().await;
    assert_eq!(bench.dead().await.len(), 3);
    assert_eq!((bench.handled(), bench.left().await), (1, 0));
    // An event of another stage never gets to the handler's good side either.
    bench.send(vec![codec::encode(&Event::Changed(changed))]).await;
    while bench.left().await > 0 {
        bench.turn().await;
    }
    assert_eq!(bench.dead().await.len(), 4);
}

/// What had waited for something that was gone for minutes was handled one after the other when that came back.
#[tokio::test(flavor = "multi_thread")]
async fn what_waits_for_something_is_handled_together_however_often_it_was_tried() {
    for (mood, then) in [(WAITS, 3), (FAILS_ALWAYS, 1)] {
        let bench = Bench::new(at_once());
        bench.send(vec![event(mood); 3]).await;
        for _ in 0..5 {
            assert_eq!(bench.turn().await, 3);
        }
        assert_eq!((bench.handler.together.load(Ordering::Relaxed), bench.left().await), (then, 3));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_passing_failure_is_tried_again_and_not_buried_by_tries() {
    let bench = Bench::new(at_once());
    bench.send(vec![event(FAILS_ONCE), event(FAILS_ALWAYS)]).await;
    for _ in 0..12 {
        bench.turn().await;
    }
    assert_eq!(bench.handled(), 1);
    assert!(bench.dead().await.is_empty(), "twelve tries are not two days");
    assert_eq!(bench.left().await, 1);

    let impatient = Bench::new(Settings { give_up_hours: 0, ..at_once() });
    impatient.send(vec![event(FAILS_ALWAYS)]).await;
    tokio::time::sleep(Duration::from_millis(20)).await;
    impatient.turn().await;
    assert_eq!(impatient.dead().await.len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_event_that_takes_the_process_with_it_is_buried_in_the_end() {
    let bench = Bench::new(Settings { max_tries: 3, ..at_once() });
    bench.send(vec![event(NEVER_ENDS)]).await;
    let queue = bench.backend.queue();
    // The process "dies": what it had in hand is dropped, and comes back when its time is over.
    for _ in 0..12 {
        let visibility = Duration::from_millis(30);
        let messages = queue.receive(Stage::Housekeep, 8, visibility, Duration::from_secs(5)).await.unwrap();
        let handling = bench.driver.handle(Stage::Housekeep, messages);
        let _ = tokio::time::timeout(Duration::from_millis(60), handling).await;
        if !bench.dead().await.is_empty() {
            break;
        }
    }
    let dead = bench.dead().await;
    assert!(dead.len() == 1 && dead[0].contains("died with it"), "{dead:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn queues_that_are_seldom_used_are_looked_into_again_and_again() {
    let bench = Bench::new(at_once());
    bench.send(vec![event(FINE), event(FINE)]).await;
    let (stop, stopped) = tokio::sync::watch::channel(false);
    let pause = Duration::from_millis(20);
    let looking = tokio::spawn(bench.driver.clone().look_into(vec![Stage::Housekeep], pause, stopped));
    while bench.left().await > 0 {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    assert_eq!(bench.handled(), 2);
    bench.send(vec![event(FINE), event(IS_REFUSED)]).await;
    while bench.left().await > 0 {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    assert_eq!((bench.handled(), bench.dead().await.len()), (3, 1));
    stop.send(true).unwrap();
    looking.await.unwrap();
}
