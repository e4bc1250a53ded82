//! The contracts of all ports, held by the backend for AWS on the stand-in: this shows that the stand-in does what the
//! services document, and needs no emulator.

use std::sync::Arc;

use pennypost_backend_aws::Aws;
use pennypost_faults::hours::{Hours, Pace};
use pennypost_faults::services::{Alive, Services, settings};
use pennypost_faults::source::Source;

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
