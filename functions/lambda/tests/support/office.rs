//! A post office on the embedded backend, with ports that are guarded, and the service's part played by the test.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use lambda_http::request::LambdaRequest;
use parking_lot::Mutex;
use pennypost_admin::{Administration, Call, Holder, NewKey, Permission, Record};
use pennypost_api::Settings;
use pennypost_backend_aws::queue::body as queue_body;
use pennypost_backend_embedded::{Embedded, Options};
use pennypost_directory::Directory;
use pennypost_lambda::{Environment, Ports, Tick, api_function, queue_function, tick_function};
use pennypost_mailstore::Mailstore;
use pennypost_model::codec;
use pennypost_model::event::{Event, Stage};
use pennypost_model::trace::TraceRecord;
use pennypost_model::{AccountKey, EventId, Seq, TenantId, Timestamp};
use pennypost_ports::{
    Clock, Consistency, Ids, LogKind, LogQuery, Outgoing, PortResult, Receipt, Received, Wakeups,
};
use pennypost_runtime::needs::{self, Needs, RAW_MAIL};
use pennypost_runtime::{Fusing, NoFusing};
use pennypost_runtime_lambda::{
    Delivered, Finished, Function, Handled, Invocation, SqsEvent, SqsRecord, Takeover,
};

use pennypost_schedule::Ticked;
use serde_json::Value;

use super::guard::Guard;

/// The demo's accounts.
pub const ALICE: &str = "alice@demo.test";
pub const BOB: &str = "bob@demo.test";

/// A clock that stands, and ids that are counted.
pub struct Fixed {
    now: AtomicI64,
    count: AtomicU64,
}

impl Fixed {
    /// The time of the samples.
    pub const NOW: Timestamp = Timestamp(1_795_076_130_000);

    pub fn new() -> Arc<Fixed> {
        Arc::new(Fixed { now: AtomicI64::new(Fixed::NOW.0), count: AtomicU64::new(0) })
    }
}

#[async_trait]
impl Clock for Fixed {
    fn now(&self) -> Timestamp {
        Timestamp(self.now.load(Ordering::Relaxed))
    }

    async fn sleep(&self, _duration: Duration) {}
}

impl Ids for Fixed {
    fn event(&self, now: Timestamp) -> EventId {
        EventId::from_parts(now, u128::from(self.random()))
    }

    fn random(&self) -> u64 {
        self.count.fetch_add(1, Ordering::Relaxed) + 1
    }
}

/// Whom somebody woke.
#[derive(Default)]
pub struct Woken(pub Mutex<Vec<(AccountKey, Seq)>>);

#[async_trait]
impl Wakeups for Woken {
    async fn wake(&self, account: AccountKey, seq: Seq) -> PortResult<()> {
        self.0.lock().push((account, seq));
        Ok(())
    }
}

/// Takes messages over whose handle is the receipt of the embedded queue.
struct ByHandle;

#[async_trait]
impl Takeover for ByHandle {
    async fn take_over(&self, _stage: Stage, delivered: Delivered) -> PortResult<Vec<Received>> {
        let (tries, sent) = (delivered.tries, delivered.sent);
        let events = queue_body::events(&delivered.text).into_iter();
        let received = |body| Received { receipt: Receipt(delivered.handle.clone()), body, tries, sent };
        Ok(events.map(received).collect())
    }

    fn must_return(&self, _stage: Stage, _receipt: &Receipt) -> bool {
        true
    }

    fn let_go(&self, _stage: Stage, _receipts: &[Receipt]) {}
}

pub struct Office {
    _dir: tempfile::TempDir,
    pub backend: Embedded,
    pub fixed: Arc<Fixed>,
    pub directory: Directory,
    pub store: Mailstore,
    pub tenant: TenantId,
    pub alice: AccountKey,
    pub bob: AccountKey,
    pub woken: Arc<Woken>,
    /// What functions did without having said that they need it.
    pub violations: Arc<Mutex<Vec<String>>>,
}

impl Office {
    /// A post office with the accounts of the demo, whose ids are always the same.
    pub async fn open() -> Office {
        let dir = tempfile::tempdir().unwrap();
        let backend = Embedded::open(dir.path(), &Options::server()).unwrap();
        let fixed = Fixed::new();
        let (clock, ids): (Arc<dyn Clock>, Arc<dyn Ids>) = (Arc::clone(&fixed) as _, Arc::clone(&fixed) as _);
        let directory = Directory::new(backend.control(), Arc::clone(&clock), Arc::clone(&ids));
        let tenant = directory.add_tenant("demo").await.unwrap().id;
        directory.add_domain(tenant, "demo.test").await.unwrap();
        let alice = directory.add_account(ALICE, "a long password", "", None).await.unwrap().key;
        let bob = directory.add_account(BOB, "a long password", "", None).await.unwrap().key;
        let store = Mailstore::new(backend.journal(), backend.objects(), clock, ids);
        let (woken, violations) = (Arc::default(), Arc::default());
        Office { _dir: dir, backend, fixed, directory, store, tenant, alice, bob, woken, violations }
    }

    /// The ports that a function builds, each guarded by what it says that it needs.
    pub fn ports(&self, needs: &Needs) -> Ports {
        let guard = Guard { needs: *needs, violations: Arc::clone(&self.violations) };
        Ports {
            function: needs.name,
            queue: guard.queue(self.backend.queue()),
            takeover: Arc::new(ByHandle),
            control: guard.control(self.backend.control()),
            log: guard.log(self.backend.log()),
            clock: Arc::clone(&self.fixed) as _,
            ids: Arc::clone(&self.fixed) as _,
            journal: guard.journal(self.backend.journal()),
            objects: guard.objects(self.backend.objects()),
            raw_mail: guard.raw_mail(self.backend.objects()),
            wakeups: needs.wakes.then(|| Arc::clone(&self.woken) as _),
        }
    }

    /// Invokes the function of a queue with a batch whose messages lie in the queue, and deletes what the answer does
    /// not name, as the service does.
    pub async fn invoke(&self, stage: Stage, fuse: &str, event: &SqsEvent) -> Handled {
        let fusing = fuse.parse::<Fusing>().unwrap_or_else(|error: NoFusing| panic!("{error}"));
        let needs = needs::of_queue(stage, &fusing);
        let environment = Environment { fusing, ..Environment::default() };
        let function = queue_function(stage, &needs, &self.ports(&needs), &environment).unwrap();
        let event = self.hand_out(stage, event).await;
        let finished = function.invoke(event.clone(), Invocation { deadline: None }).await.unwrap();
        let Finished { answer, done, .. } = finished;
        let is_open = |record: &SqsRecord| {
            answer.batch_item_failures.iter().any(|item| item.item_identifier == record.message_id)
        };
        let deleted = event.records.iter().filter(|record| !is_open(record));
        let deleted: Vec<Receipt> = deleted.map(|record| Receipt(record.receipt_handle.clone())).collect();
        assert_eq!(deleted.len() + answer.batch_item_failures.len(), event.records.len());
        self.backend.queue().ack(stage, &deleted).await.unwrap();
        done
    }

    /// Invokes the function that the clock starts.
    pub async fn tick(&self, tick: Tick) -> Ticked {
        let function = tick_function(&self.ports(&needs::SCHEDULE), &Environment::default()).unwrap();
        function.invoke(tick, Invocation { deadline: None }).await.unwrap().answer
    }

    /// Puts the messages into the embedded queue and takes them out: then they have receipts that hold.
    async fn hand_out(&self, stage: Stage, event: &SqsEvent) -> SqsEvent {
        let queue = self.backend.queue();
        let minute = Duration::from_secs(60);
        let mut handed = event.clone();
        for record in &mut handed.records {
            let body = queue_body::events(&record.body).remove(0);
            let outgoing = Outgoing { tenant: self.tenant, body, delay: Duration::ZERO };
            queue.send_batch(stage, vec![outgoing]).await.remove(0).unwrap();
            let received = queue.receive(stage, 1, minute, minute).await.unwrap();
            record.receipt_handle.clone_from(&received[0].receipt.0);
        }
        handed
    }

    /// Invokes the function that is asked over HTTP.
    pub async fn ask(&self, request: LambdaRequest) -> (u64, Value) {
        let outgoing = "smtp.demo.test:465".parse().unwrap();
        let settings = Settings::new("mx.demo.test", Some(993), Some(995), Some(outgoing)).unwrap();
        let function = api_function(&self.ports(&needs::API), settings).unwrap();
        let finished = function.invoke(request, Invocation { deadline: None }).await.unwrap();
        (finished.done.status, finished.answer)
    }

    fn administration(&self) -> Administration {
        let (clock, ids) = (Arc::clone(&self.fixed) as _, Arc::clone(&self.fixed) as _);
        Administration::new(self.directory.clone(), self.backend.control(), clock, ids)
    }

    /// A key of the tenant.
    pub async fn key(&self, permissions: &[&str]) -> String {
        let permissions = permissions.iter().map(|text| text.parse::<Permission>().unwrap()).collect();
        let new = NewKey { name: "test".to_owned(), holder: Holder::Program, permissions, expires: None };
        self.administration().add_key(&Call::of_operator(), Some(self.tenant), new).await.unwrap().1
    }

    /// The tenant's log.
    pub async fn operations(&self) -> Vec<Record> {
        let all = (None, None);
        let (administration, operator) = (self.administration(), Call::of_operator());
        administration.operations(&operator, Some(self.tenant), all, 0, 100).await.unwrap().0
    }

    /// Puts the letters of the samples where SES would have put them.
    pub async fn receive_letters(&self) {
        for (name, bytes) in super::samples::raw_letters() {
            self.backend.objects().put_unique(&format!("{RAW_MAIL}{name}"), bytes.into()).await.unwrap();
        }
    }

    /// Letters that lie where SES has put them.
    pub async fn raw_letters(&self) -> Vec<String> {
        let found = self.backend.objects().list(RAW_MAIL, None, 100).await.unwrap();
        found.into_iter().map(|object| object.name).collect()
    }

    /// What lies in a queue, taken out of it.
    pub async fn sent(&self, stage: Stage) -> Vec<Event> {
        let queue = self.backend.queue();
        let received = queue.receive(stage, 100, Duration::from_secs(60), Duration::ZERO).await.unwrap();
        let receipts: Vec<Receipt> = received.iter().map(|message| message.receipt.clone()).collect();
        queue.ack(stage, &receipts).await.unwrap();
        received.iter().map(|message| codec::decode(&message.body).unwrap()).collect()
    }

    pub async fn dead(&self) -> Vec<String> {
        let letters = self.backend.queue().dead_letters(None, 100).await.unwrap();
        letters.into_iter().map(|letter| letter.cause).collect()
    }

    /// Subjects of an account's messages, in the order of their UIDs.
    pub async fn subjects(&self, account: AccountKey) -> Vec<String> {
        let state = self.store.load(account, Consistency::Strong).await.unwrap();
        let mut found = Vec::new();
        for row in state.mailboxes().flat_map(|mailbox| mailbox.rows.iter()) {
            let message = self.store.open(account.tenant, row.blob).await.unwrap();
            found.push((row.uid, message.sidecar().await.unwrap().facts.subject));
        }
        found.sort();
        found.into_iter().map(|(_, subject)| subject).collect()
    }

    /// The steps of messages in the traces, by message.
    pub async fn traces(&self) -> HashMap<EventId, Vec<TraceRecord>> {
        let (from, to) = (EventId::from_parts(Timestamp(0), 0), EventId::from_parts(Timestamp(1 << 46), 0));
        let query = LogQuery { tenant: self.tenant, kind: LogKind::Trace, from, to, limit: 1_000 };
        let mut traces: HashMap<EventId, Vec<TraceRecord>> = HashMap::new();
        for record in self.backend.log().query(&query).await.unwrap() {
            traces.entry(record.id).or_default().push(codec::decode(&record.value).unwrap());
        }
        traces
    }
}
