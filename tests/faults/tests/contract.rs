//! The contracts of all ports, held by the backend for AWS on the stand-in: this shows that the stand-in does what the
//! services document, and needs no emulator.

use std::sync::Arc;

use pennypost_backend_aws::{Aws, Needed};
use pennypost_faults::hours::{Hours, Pace};
use pennypost_faults::services::{Alive, Services, settings};
use pennypost_faults::source::Source;
use pennypost_model::event::Stage;

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
