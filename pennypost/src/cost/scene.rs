//! A post office for a measured run: in a directory of its own, with ports that reckon what the cloud would bill.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use pennypost_backend_aws::reckon;
use pennypost_backend_embedded::Options;
use pennypost_deliver::Deliver;
use pennypost_directory::{Account, Directory};
use pennypost_housekeep::{Housekeep, Settings as HouseSettings};
use pennypost_inbound_parse::InboundParse;
use pennypost_mailstore::{Mailroom, Mailstore};
use pennypost_model::Timestamp;
use pennypost_model::event::Stage;
use pennypost_notify::Notify;
use pennypost_policy_filter::PolicyFilter;
use pennypost_ports::{Clock, Control, Ids, Journal, Log, Objects, Queue, SystemClock};
use pennypost_runtime::{Fusing, Handler, Pipeline};

use crate::Failed;
use crate::office::Office;

/// The password of every account here: nobody else ever reaches them.
pub(super) const PASSWORD: &str = "a measured password";

/// The machine's clock, and as much later as was asked for.
#[derive(Default)]
struct Shifted(AtomicI64);

#[async_trait]
impl Clock for Shifted {
    fn now(&self) -> Timestamp {
        SystemClock.now().plus_millis(self.0.load(Ordering::Relaxed))
    }

    async fn sleep(&self, duration: Duration) {
        SystemClock.sleep(duration).await;
    }
}

/// Ports, and what stands on them.
pub(super) struct Scene {
    office: Office,
    /// Deleted with the scene.
    _dir: tempfile::TempDir,
    shifted: Arc<Shifted>,
    pub(super) directory: Directory,
    pub(super) journal: Arc<dyn Journal>,
    pub(super) objects: Arc<dyn Objects>,
    pub(super) control: Arc<dyn Control>,
    pub(super) log: Arc<dyn Log>,
    pub(super) queue: Arc<dyn Queue>,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) ids: Arc<dyn Ids>,
}

impl Scene {
    /// An empty post office. Bare: nothing is reckoned, so that the processor's time is that of the handlers alone.
    pub(super) fn new(is_bare: bool) -> Result<Scene, Failed> {
        let dir = tempfile::tempdir()?;
        let office = Office::open(&dir.path().join("data"), &Options::server())?;
        let journal = office.backend.journal();
        let (objects, control, log, queue) =
            (office.objects(), office.control(), office.log(), office.queue());
        let shifted = Arc::new(Shifted::default());
        let (clock, ids) = (Arc::clone(&shifted) as Arc<dyn Clock>, Arc::clone(&office.ids));
        let (journal, objects, control, log, queue) = if is_bare {
            (journal, objects, control, log, queue)
        } else {
            (
                reckon::journal(journal),
                reckon::objects(objects),
                reckon::control(control),
                reckon::log(log),
                reckon::queue(queue),
            )
        };
        let directory = Directory::new(Arc::clone(&control), Arc::clone(&clock), Arc::clone(&ids));
        Ok(Scene { office, _dir: dir, shifted, directory, journal, objects, control, log, queue, clock, ids })
    }

    /// Lets time pass, at once.
    pub(super) fn pass(&self, time: Duration) {
        let millis = i64::try_from(time.as_millis()).unwrap_or(i64::MAX);
        self.shifted.0.fetch_add(millis, Ordering::Relaxed);
    }

    /// A tenant with so many accounts, all opened.
    pub(super) async fn people(&self, count: usize) -> Result<Vec<Account>, Failed> {
        let tenant = self.directory.add_tenant("measured").await?;
        self.directory.add_domain(tenant.id, "measured.example").await?;
        let room = Mailroom::new(self.store());
        let mut accounts = Vec::with_capacity(count);
        for number in 0..count {
            let address = format!("member-{number:05}@measured.example");
            let account = self.directory.add_account(&address, PASSWORD, "", None).await?;
            room.account(account.key).await?;
            accounts.push(account);
        }
        Ok(accounts)
    }

    /// A mail store that knows nothing yet.
    pub(super) fn store(&self) -> Mailstore {
        let (journal, objects) = (Arc::clone(&self.journal), Arc::clone(&self.objects));
        Mailstore::new(journal, objects, Arc::clone(&self.clock), Arc::clone(&self.ids))
    }

    /// The handlers of a function that has just been started, joined so.
    pub(super) fn pipeline(&self, fusing: Fusing) -> Pipeline {
        let store = self.store();
        let handlers: [Arc<dyn Handler>; 5] = [
            Arc::new(InboundParse::new(Arc::clone(&self.objects), Arc::clone(&self.log))),
            Arc::new(PolicyFilter::new(Arc::new(self.directory.clone()))),
            Arc::new(Deliver::new(store.clone(), Arc::clone(&self.log))),
            // Nobody is on line.
            Arc::new(Notify::new(Arc::new(Mailroom::new(store.clone())))),
            Arc::new(Housekeep::new(
                store,
                Arc::clone(&self.control),
                Arc::clone(&self.queue),
                HouseSettings::default(),
            )),
        ];
        Pipeline::new(handlers, fusing, Arc::clone(&self.queue))
    }

    /// How many events wait for a stage; asked beside the ports that reckon.
    pub(super) async fn office_depth(&self, stage: Stage) -> Result<u64, Failed> {
        Ok(self.office.queue().depth(stage).await?.waiting)
    }

    /// Ends it.
    pub(super) async fn close(self) {
        self.office.backend.shutdown().await;
    }
}
