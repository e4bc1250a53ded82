//! A post office for a measured run: in a directory of its own, with ports that reckon what the cloud would bill, or on
//! the services themselves.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use pennypost_backend_aws::reckon;
use pennypost_backend_embedded::Options;
use pennypost_deliver::Deliver;
use pennypost_directory::{Account, Directory, SignInLog};
use pennypost_hooks::Hooks;
use pennypost_housekeep::{Housekeep, Index, Settings as HouseSettings};
use pennypost_inbound_parse::InboundParse;
use pennypost_mailstore::{Mailroom, Mailstore};
use pennypost_model::Timestamp;
use pennypost_model::event::Stage;
use pennypost_notify::{Announcer, Notify};
use pennypost_policy_filter::PolicyFilter;
use pennypost_ports::{
    Clock, Control, DeadLetter, DeadLetterId, Depth, Ids, Journal, Log, LogKind, LogQuery, LogRecord,
    Objects, Outgoing, PortResult, Queue, Receipt, Received, SystemClock,
};
use pennypost_runtime::{Fusing, Handler, Pipeline};

use crate::Failed;
use crate::backend::{Kind, Place};
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

/// A queue that knows how many events wait for housekeeping: asking the service would be counted.
struct Watched {
    inner: Arc<dyn Queue>,
    house: AtomicI64,
}

#[async_trait]
impl Queue for Watched {
    async fn send_batch(&self, stage: Stage, messages: Vec<Outgoing>) -> Vec<PortResult<()>> {
        let sent = self.inner.send_batch(stage, messages).await;
        if stage == Stage::Housekeep {
            let count = sent.iter().filter(|sent| sent.is_ok()).count();
            self.house.fetch_add(i64::try_from(count).unwrap_or(0), Ordering::Relaxed);
        }
        sent
    }

    async fn receive(
        &self,
        stage: Stage,
        max: usize,
        visibility: Duration,
        wait: Duration,
    ) -> PortResult<Vec<Received>> {
        self.inner.receive(stage, max, visibility, wait).await
    }

    async fn ack(&self, stage: Stage, receipts: &[Receipt]) -> PortResult<()> {
        self.inner.ack(stage, receipts).await?;
        if stage == Stage::Housekeep {
            self.house.fetch_sub(i64::try_from(receipts.len()).unwrap_or(0), Ordering::Relaxed);
        }
        Ok(())
    }

    async fn retry_later(&self, stage: Stage, receipt: &Receipt, delay: Duration) -> PortResult<()> {
        self.inner.retry_later(stage, receipt, delay).await
    }

    async fn dead_letter(&self, stage: Stage, receipt: &Receipt, cause: &str) -> PortResult<()> {
        self.inner.dead_letter(stage, receipt, cause).await
    }

    async fn dead_letters(&self, after: Option<DeadLetterId>, limit: usize) -> PortResult<Vec<DeadLetter>> {
        self.inner.dead_letters(after, limit).await
    }

    async fn replay_dead_letter(&self, id: DeadLetterId) -> PortResult<bool> {
        self.inner.replay_dead_letter(id).await
    }

    async fn discard_dead_letter(&self, id: DeadLetterId) -> PortResult<bool> {
        self.inner.discard_dead_letter(id).await
    }

    async fn depth(&self, stage: Stage) -> PortResult<Depth> {
        self.inner.depth(stage).await
    }
}

/// A log that knows how many bytes it holds.
struct Weighed {
    inner: Arc<dyn Log>,
    bytes: AtomicU64,
}

#[async_trait]
impl Log for Weighed {
    async fn append(&self, records: &[LogRecord]) -> PortResult<()> {
        self.inner.append(records).await?;
        self.bytes.fetch_add(reckon::log_bytes(records), Ordering::Relaxed);
        Ok(())
    }

    async fn query(&self, query: &LogQuery) -> PortResult<Vec<LogRecord>> {
        self.inner.query(query).await
    }

    async fn expire(&self, kind: LogKind, before: Timestamp) -> PortResult<u64> {
        self.inner.expire(kind, before).await
    }
}

/// Ports, and what stands on them.
pub(super) struct Scene {
    office: Office,
    /// Deleted with the scene.
    _dir: tempfile::TempDir,
    watched: Arc<Watched>,
    weighed: Arc<Weighed>,
    index: Index,
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
    /// An empty post office: in a temporary directory, where what the calls would use in the cloud is reckoned unless it
    /// is to be bare; or a new tenant on the services that the environment names, which tell the units themselves.
    pub(super) async fn new(kind: Kind, is_bare: bool) -> Result<Scene, Failed> {
        let dir = tempfile::tempdir()?;
        let place = Place { kind, data: dir.path().join("data") };
        place.create().await?;
        let office = Office::open_at(&place, &Options::server()).await?;
        let shifted = Arc::new(Shifted::default());
        let (clock, ids) = (Arc::clone(&shifted) as Arc<dyn Clock>, Arc::clone(&office.ids));
        let (journal, objects) = (office.backend.journal(), office.objects());
        let (control, log, queue) = (office.control(), office.log(), office.queue());
        let (journal, objects, control, log, queue) = if is_bare || kind == Kind::Aws {
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
        let watched = Arc::new(Watched { inner: queue, house: AtomicI64::new(0) });
        let queue = Arc::clone(&watched) as Arc<dyn Queue>;
        let weighed = Arc::new(Weighed { inner: log, bytes: AtomicU64::new(0) });
        let log = Arc::clone(&weighed) as Arc<dyn Log>;
        let directory = Directory::new(Arc::clone(&control), Arc::clone(&clock), Arc::clone(&ids));
        Ok(Scene {
            office,
            _dir: dir,
            watched,
            weighed,
            index: Index::Opened,
            shifted,
            directory,
            journal,
            objects,
            control,
            log,
            queue,
            clock,
            ids,
        })
    }

    /// As it is, with segments for those.
    pub(super) fn indexing(self, index: Index) -> Scene {
        Scene { index, ..self }
    }

    /// Bytes in the log.
    pub(super) fn logged(&self) -> u64 {
        self.weighed.bytes.load(Ordering::Relaxed)
    }

    /// Lets time pass, at once.
    pub(super) fn pass(&self, time: Duration) {
        let millis = i64::try_from(time.as_millis()).unwrap_or(i64::MAX);
        self.shifted.0.fetch_add(millis, Ordering::Relaxed);
    }

    /// A tenant with so many accounts, all opened.
    pub(super) async fn people(&self, count: usize) -> Result<Vec<Account>, Failed> {
        let mark = self.ids.random();
        let tenant = self.directory.add_tenant(&format!("measured-{mark:016x}")).await?;
        let domain = format!("m{mark:016x}.example");
        self.directory.add_domain(tenant.id, &domain).await?;
        let room = Mailroom::new(self.store());
        let mut accounts = Vec::with_capacity(count);
        for number in 0..count {
            let address = format!("member-{number:05}@{domain}");
            let account = self.directory.add_account(&address, PASSWORD, "", None).await?;
            room.account(account.key).await?;
            accounts.push(account);
        }
        Ok(accounts)
    }

    /// The directory of a process that has just been started, which records sign-ins.
    pub(super) fn cold(&self) -> Directory {
        let (clock, ids) = (Arc::clone(&self.clock), Arc::clone(&self.ids));
        let record = SignInLog::new(Arc::clone(&self.log), Arc::clone(&clock), Arc::clone(&ids));
        Directory::new(Arc::clone(&self.control), clock, ids).recording(record)
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
            Arc::new(Notify::new(
                Arc::new(Mailroom::new(store.clone())),
                Announcer::new(Hooks::new(Arc::clone(&self.control)), Arc::clone(&self.clock)),
            )),
            Arc::new(Housekeep::new(
                store,
                Arc::clone(&self.control),
                Arc::clone(&self.queue),
                HouseSettings { index: self.index, ..HouseSettings::default() },
            )),
        ];
        Pipeline::new(handlers, fusing, Arc::clone(&self.queue))
    }

    /// How many events wait for housekeeping.
    pub(super) fn house_waits(&self) -> u64 {
        u64::try_from(self.watched.house.load(Ordering::Relaxed)).unwrap_or(0)
    }

    /// Ends it.
    pub(super) async fn close(self) {
        self.office.backend.shutdown().await;
    }
}
