//! Bad records among good ones, and services that an operator has to mend: what is bad fails alone and with its cause, and
//! nothing is lost meanwhile. On both backends, through the drivers of the pipeline.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use pennypost_faults::Backend;
use pennypost_faults::backend::{Open, Ports};
use pennypost_faults::faulty::{Faulty, FaultyClock, SeededIds, Trouble};
use pennypost_faults::hours::{Hours, Pace};
use pennypost_faults::outside::Outside;
use pennypost_faults::post::{Driver, VISIBILITY};
use pennypost_faults::services::{Alive, Outage, Services};
use pennypost_faults::source::Source;
use pennypost_model::event::{Event, Stage as Step};
use pennypost_model::journal::Op;
use pennypost_model::{EventId, Seq, TenantId, codec};
use pennypost_ports::{Consistency, DeadLetter, Outgoing};
use pennypost_runtime::Fusing;
use pennypost_runtime::batch::Acknowledgement;
use pennypost_simulation::letter::{Letter, letter};
use pennypost_simulation::stage::{ACCOUNTS, Stage, dice};

/// The ports without any faults; the wrapper makes their calls at the pace.
fn stage(ports: Ports, source: &Arc<Source>, hours: &Hours) -> Stage {
    let trouble = Trouble::new(Arc::clone(source), hours.clone(), 0);
    Stage {
        journal: Faulty::new(ports.journal, &trouble),
        objects: Faulty::new(ports.objects, &trouble),
        control: Faulty::new(ports.control, &trouble),
        log: Faulty::new(ports.log, &trouble),
        queue: Faulty::new(ports.queue, &trouble),
        clock: Arc::new(FaultyClock { trouble, skew: 0 }),
        ids: Arc::new(SeededIds(Arc::clone(source))),
        dice: dice(7),
        ledger: Arc::default(),
    }
}

/// A letter whose bytes wait in an object, or one whose bytes the event has.
fn letter_that(stage: &Stage, hours: &Hours, is_spooled: bool) -> Letter {
    loop {
        let made = stage.random(|random| letter(random, hours.now())).expect("compressed");
        if made.spool.is_some() == is_spooled {
            return made;
        }
    }
}

async fn send(stage: &Stage, body: Vec<u8>) {
    let message = Outgoing { tenant: TenantId(1), body, delay: Duration::ZERO };
    assert_eq!(stage.queue.send_batch(Step::InboundParse, vec![message]).await, [Ok(())]);
}

/// Puts the letter's object, if it has one, as `stored` makes it, and sends the event.
async fn accept(stage: &Stage, letter: Letter, stored: impl Fn(Bytes) -> Option<Bytes>) -> EventId {
    let id = letter.accepted.id;
    if let Some((name, bytes)) = letter.spool
        && let Some(bytes) = stored(bytes)
    {
        stage.objects.put_unique(&name, bytes).await.expect("stored");
    }
    send(stage, codec::encode(&Event::Accepted(Box::new(letter.accepted)))).await;
    id
}

/// Handles what waits until nothing comes for a while.
async fn work(stage: &Stage, hours: &Hours) {
    let driver = Driver::new(stage.clone(), Acknowledgement::Here, Fusing::fused(), &Outside::default());
    for _ in 0..4 {
        while driver.batch(Step::InboundParse, 10).await > 0 {}
        hours.pass(VISIBILITY).await;
    }
}

/// How many copies of an event are in all accounts, those in Sent among them.
async fn copies(stage: &Stage, event: EventId) -> usize {
    let mut found = 0;
    for account in ACCOUNTS {
        let entries =
            stage.journal.since(account, Seq::ZERO, 1_000, Consistency::Strong).await.expect("read");
        let ops = entries.iter().flat_map(|entry| &entry.ops);
        let ids = [event, event.sent_copy()];
        found += ops.filter(|op| matches!(op, Op::Add(add) if ids.contains(&add.event))).count();
    }
    found
}

async fn dead(stage: &Stage) -> Vec<DeadLetter> {
    stage.queue.dead_letters(None, 100).await.expect("listed")
}

async fn bad_records(stage: Stage, hours: Hours) {
    let all = |bytes: Bytes| Some(bytes);
    let mut good = Vec::new();
    for is_spooled in [false, true, false, true] {
        let letter = letter_that(&stage, &hours, is_spooled);
        let count = letter.accepted.recipients.len();
        good.push((accept(&stage, letter, all).await, count));
    }
    let missing = letter_that(&stage, &hours, true);
    let (spool, missing_count) = (missing.spool.clone().expect("spooled"), missing.accepted.recipients.len());
    let missing = accept(&stage, missing, |_| None).await;
    accept(&stage, letter_that(&stage, &hours, true), |bytes| Some(bytes.slice(..bytes.len() / 2))).await;
    accept(&stage, letter_that(&stage, &hours, true), |_| Some(Bytes::from_static(b"\x63 of another age")))
        .await;
    send(&stage, b"no event".to_vec()).await;
    send(&stage, Vec::new()).await;
    work(&stage, &hours).await;

    for (event, count) in &good {
        assert_eq!(copies(&stage, *event).await, *count, "{event}");
    }
    let letters = dead(&stage).await;
    assert_eq!(letters.len(), 5, "{letters:?}");
    assert!(letters.iter().all(|letter| !letter.cause.is_empty()), "{letters:?}");
    let body = |event: EventId| {
        letters.iter().find(|letter| {
        matches!(Event::read(Step::InboundParse, &letter.body), Ok(Event::Accepted(accepted)) if accepted.id == event)
    })
    };
    let of_missing = body(missing).expect("a dead letter");
    assert!(of_missing.cause.contains(&spool.0), "the cause names the object: {}", of_missing.cause);

    // What was missing is brought back and the letter tried again; the rest is refused.
    stage.objects.put_unique(&spool.0, spool.1).await.expect("stored");
    assert_eq!(stage.queue.replay_dead_letter(of_missing.id).await, Ok(true));
    for letter in letters.iter().filter(|letter| letter.id != of_missing.id) {
        assert_eq!(stage.queue.discard_dead_letter(letter.id).await, Ok(true));
    }
    work(&stage, &hours).await;
    assert_eq!(copies(&stage, missing).await, missing_count);
    assert_eq!(dead(&stage).await, []);
    let depth = stage.queue.depth(Step::InboundParse).await.expect("told");
    assert_eq!((depth.waiting, depth.in_flight), (0, 0));
}

#[test]
fn bad_records_fail_alone_on_the_embedded_backend() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build();
    let pace = Pace::Apart(Arc::new(runtime.expect("a runtime")));
    let (source, hours) = (Source::new(1), Hours::new(pace.clone()));
    let open = Open::new(Backend::Embedded, &source, &hours).expect("open");
    let stage = stage(open.ports(&Alive::default()), &source, &hours);
    futures::executor::block_on(bad_records(stage, hours));
    futures::executor::block_on(open.close(&pace));
}

#[tokio::test(start_paused = true)]
async fn bad_records_fail_alone_on_the_services_of_a_cloud() {
    let (source, hours) = (Source::new(1), Hours::new(Pace::Together));
    let open = Open::new(Backend::Aws, &source, &hours).expect("open");
    bad_records(stage(open.ports(&Alive::default()), &source, &hours), hours).await;
    assert_eq!(open.misunderstood(), Vec::<String>::new());
}

/// Nothing is a dead letter because somebody has to mend an installation; when it is mended, everything comes.
#[tokio::test(start_paused = true)]
async fn letters_wait_until_an_installation_is_mended() {
    for outage in
        [Outage::CredentialsExpired, Outage::TablesMissing, Outage::TablesFull, Outage::BucketMissing]
    {
        let (source, hours) = (Source::new(2), Hours::new(Pace::Together));
        let services = Services::installed(Arc::clone(&source), hours.clone());
        let open = Open::Aws(Arc::clone(&services));
        let stage = stage(open.ports(&Alive::default()), &source, &hours);
        let mut sent = Vec::new();
        for is_spooled in [false, true, false] {
            let letter = letter_that(&stage, &hours, is_spooled);
            let count = letter.accepted.recipients.len();
            sent.push((accept(&stage, letter, Some).await, count));
        }
        services.set_outage(Some(outage));
        work(&stage, &hours).await;
        for (event, _) in &sent {
            services.set_outage(None);
            assert_eq!(copies(&stage, *event).await, 0, "{event} during {outage:?}");
            services.set_outage(Some(outage));
        }
        services.set_outage(None);
        assert_eq!(dead(&stage).await, [], "{outage:?}");
        // Retries come at longer and longer intervals.
        for _ in 0..50 {
            hours.pass(Duration::from_secs(120)).await;
            work(&stage, &hours).await;
        }
        for (event, count) in &sent {
            assert_eq!(copies(&stage, *event).await, *count, "{event} after {outage:?}");
        }
        assert_eq!(dead(&stage).await, [], "{outage:?}");
        assert_eq!(services.misunderstood(), Vec::<String>::new());
    }
}
