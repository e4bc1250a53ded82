//! The contracts of all ports, held by the backend for AWS on the stand-in: this shows that the stand-in does what the
//! services document, and needs no emulator.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use pennypost_backend_aws::{Aws, Needed};
use pennypost_faults::hours::{Hours, Pace};
use pennypost_faults::services::{Alive, Services, settings};
use pennypost_faults::source::Source;
use pennypost_model::TenantId;
use pennypost_model::event::Stage;
use pennypost_ports::{Outgoing, Queue};

/// Makes everything by the backend's own calls.
async fn fresh(made: &Made) -> Aws {
    let services = Services::new(Source::new(0), Hours::new(Pace::Together));
    let aws = Aws::with_configuration(settings(), &services.configuration(&Alive::default()));
    // The second time there is nothing left to make.
    for _ in 0..2 {
        aws.create_missing().await.expect("made");
    }
    made.0.borrow_mut().push(services);
    aws
}

/// The services that were made.
#[derive(Default)]
struct Made(std::cell::RefCell<Vec<Arc<Services>>>);

impl Drop for Made {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            for services in self.0.borrow().iter() {
                assert_eq!(services.misunderstood(), Vec::<String>::new());
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn journal() {
    let made = Made::default();
    pennypost_contract::journal::all(async || fresh(&made).await.journal()).await;
}

#[tokio::test(start_paused = true)]
async fn control() {
    let made = Made::default();
    pennypost_contract::control::all(async || fresh(&made).await.control()).await;
}

#[tokio::test(start_paused = true)]
async fn log() {
    let made = Made::default();
    pennypost_contract::log::all(async || fresh(&made).await.log()).await;
}

#[tokio::test(start_paused = true)]
async fn objects() {
    let made = Made::default();
    pennypost_contract::objects::all(async || fresh(&made).await.objects()).await;
}

#[tokio::test(start_paused = true)]
async fn queue() {
    let made = Made::default();
    pennypost_contract::queue::all(async || fresh(&made).await.queue() as Arc<dyn pennypost_ports::Queue>)
        .await;
}

#[tokio::test(start_paused = true)]
async fn what_is_missing_is_named() {
    let services = Services::new(Source::new(0), Hours::new(Pace::Together));
    let aws = Aws::with_configuration(settings(), &services.configuration(&Alive::default()));
    let few = Needed { log: false, queues: vec![Stage::InboundParse, Stage::Housekeep] };
    let all = Needed { log: true, queues: Stage::ALL.to_vec() };
    let names = ["faults-journal", "faults-control", "faults-inbound", "faults-house", "faults-mail"];
    assert_eq!(aws.missing(&few).await, names);
    assert_eq!(aws.missing(&all).await.len(), 3 + Stage::ALL.len() + 1);
    aws.create_missing().await.expect("made");
    assert_eq!(aws.missing(&all).await, [""; 0]);
    assert_eq!(services.misunderstood(), Vec::<String>::new());
}

/// Requests and answers get lost, the service throttles, entries of batches fail with and without effect, deleted messages
/// come again: what was taken comes out, and in the end the queue is empty.
#[tokio::test(start_paused = true)]
async fn a_queue_on_a_line_that_fails_loses_nothing() {
    const STAGE: Stage = Stage::InboundParse;
    let source = Source::new(7);
    let services = Services::installed(Arc::clone(&source), Hours::new(Pace::Together));
    let queue = Aws::with_configuration(settings(), &services.configuration(&Alive::default())).queue();
    source.set_harsh(true);
    let (mut taken, mut refused) = (BTreeSet::new(), 0);
    for batch in 0..60_u32 {
        let bodies: Vec<Vec<u8>> = (0..10).map(|one| (10 * batch + one).to_le_bytes().to_vec()).collect();
        let message =
            |body: &Vec<u8>| Outgoing { tenant: TenantId(1), body: body.clone(), delay: Duration::ZERO };
        let results = queue.send_batch(STAGE, bodies.iter().map(message).collect()).await;
        for (body, result) in bodies.into_iter().zip(results) {
            match result {
                Ok(()) => drop(taken.insert(body)),
                Err(error) => refused += u32::from(error.is_temporary()),
            }
        }
    }
    assert_eq!(taken.len() + refused as usize, 600);
    let (mut seen, mut handed_out) = (BTreeSet::new(), 0);
    while !taken.is_subset(&seen) {
        handed_out += receive(&*queue, &mut seen).await;
    }
    source.set_harsh(false);
    loop {
        handed_out += receive(&*queue, &mut seen).await;
        let depth = queue.depth(STAGE).await.expect("told");
        if depth.waiting + depth.in_flight == 0 {
            break;
        }
        tokio::time::advance(Duration::from_secs(90)).await;
    }
    assert!(seen.iter().all(|body| body.len() == 4), "what nobody has sent");
    assert!(handed_out > seen.len(), "nothing came twice");
    assert!(source.counts().1 > 50, "hardly anything went wrong: {:?}", source.counts());
    assert_eq!(services.misunderstood(), Vec::<String>::new());
}

/// Receives and acknowledges once; how many messages it was handed.
async fn receive(queue: &dyn Queue, seen: &mut BTreeSet<Vec<u8>>) -> usize {
    let (visibility, wait) = (Duration::from_secs(60), Duration::from_secs(1));
    let Ok(received) = queue.receive(Stage::InboundParse, 25, visibility, wait).await else { return 0 };
    let receipts: Vec<_> = received.iter().map(|one| one.receipt.clone()).collect();
    // A failure brings them again.
    let _ = queue.ack(Stage::InboundParse, &receipts).await;
    let count = received.len();
    seen.extend(received.into_iter().map(|one| one.body));
    count
}
