//! Policies of other domains are found, remembered, and held to.

use std::sync::atomic::{AtomicI64, AtomicUsize, Ordering};

use pennypost_backend_embedded::{Embedded, Options};
use pennypost_domains::TlsMode;
use pennypost_ports::{Clock, Control, FetchError, Https, HttpsRequest};

use super::super::StsPolicies;
use super::*;

const MINUTE: i64 = 60_000;
const DAY: i64 = 24 * 60 * MINUTE;

/// The world: a record, and a document, as they are at the moment.
pub(super) struct World {
    pub record: Mutex<Result<Vec<&'static str>, DnsError>>,
    pub document: Mutex<Result<String, FetchError>>,
    pub fetched: AtomicUsize,
    pub asked: AtomicUsize,
    now: AtomicI64,
}

impl World {
    pub(super) fn with(mode: &str, mx: &str) -> Arc<World> {
        Arc::new(World {
            record: Mutex::new(Ok(vec!["v=STSv1; id=1"])),
            document: Mutex::new(Ok(document(mode, mx, 7 * 86_400))),
            fetched: AtomicUsize::default(),
            asked: AtomicUsize::default(),
            now: AtomicI64::new(1_795_000_000_000),
        })
    }

    fn pass(&self, millis: i64) {
        self.now.fetch_add(millis, Ordering::SeqCst);
    }

    fn fetched(&self) -> usize {
        self.fetched.load(Ordering::SeqCst)
    }

    /// A process of its own.
    pub(super) fn policies(self: &Arc<World>, control: Arc<dyn Control>) -> StsPolicies {
        StsPolicies::new(Arc::clone(self) as _, Arc::clone(self) as _, control, Arc::clone(self) as _)
    }
}

fn document(mode: &str, mx: &str, max_age: u32) -> String {
    format!("version: STSv1\nmode: {mode}\nmx: {mx}\nmax_age: {max_age}\n")
}

#[async_trait]
impl Dns for World {
    async fn look_up(&self, name: &str, kind: DnsKind) -> Result<Vec<DnsRecord>, DnsError> {
        self.asked.fetch_add(1, Ordering::SeqCst);
        match kind {
            DnsKind::Txt if name.starts_with("_mta-sts.") => {
                let texts = self.record.lock().clone()?;
                Ok(texts.into_iter().map(|text| DnsRecord::Txt(text.to_owned())).collect())
            }
            DnsKind::Address => Ok(vec![DnsRecord::Address([127, 0, 0, 1].into())]),
            _ => Ok(Vec::new()),
        }
    }
}

#[async_trait]
impl Https for World {
    async fn fetch(&self, host: &str, path: &str) -> Result<Vec<u8>, FetchError> {
        assert!(host.starts_with("mta-sts.") && path == "/.well-known/mta-sts.txt", "{host}{path}");
        self.fetched.fetch_add(1, Ordering::SeqCst);
        self.document.lock().clone().map(String::into_bytes)
    }

    async fn ask(&self, _request: &HttpsRequest<'_>) -> Result<Vec<u8>, FetchError> {
        unreachable!("policies are documents")
    }
}

#[async_trait]
impl Clock for World {
    fn now(&self) -> Timestamp {
        Timestamp(self.now.load(Ordering::SeqCst))
    }

    async fn sleep(&self, _duration: Duration) {}
}

pub(super) struct Table {
    pub control: Arc<dyn Control>,
    _folder: tempfile::TempDir,
}

pub(super) fn table() -> Table {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let control = Embedded::open(folder.path(), &Options::server()).expect("opens").control();
    Table { control, _folder: folder }
}

async fn mode(policies: &StsPolicies) -> Option<TlsMode> {
    policies.of("d.example").await.expect("read").map(|policy| policy.mode)
}

const ENFORCE: Option<TlsMode> = Some(TlsMode::Enforce);

#[tokio::test]
async fn a_policy_is_fetched_once_and_holds_for_every_process() {
    let (world, table) = (World::with("enforce", "d.example"), table());
    let one = world.policies(Arc::clone(&table.control));
    for _ in 0..3 {
        assert_eq!(mode(&one).await, ENFORCE);
    }
    let two = world.policies(Arc::clone(&table.control));
    assert_eq!(mode(&two).await, ENFORCE);
    assert_eq!(world.fetched(), 1);
    // After a day it is fetched again, by whoever needs it first, and once for all.
    world.pass(DAY + MINUTE);
    assert_eq!((mode(&one).await, mode(&two).await, world.fetched()), (ENFORCE, ENFORCE, 2));
    // At once, all the same.
    let three = world.policies(Arc::clone(&table.control));
    world.pass(DAY + MINUTE);
    let many = futures::future::join_all((0..5).map(|_| mode(&three))).await;
    assert_eq!((many, world.fetched()), (vec![ENFORCE; 5], 3));
}

#[tokio::test]
async fn another_id_is_another_policy() {
    let (world, table) = (World::with("enforce", "d.example"), table());
    let (one, two) = (world.policies(Arc::clone(&table.control)), world.policies(Arc::clone(&table.control)));
    assert_eq!((mode(&one).await, mode(&two).await), (ENFORCE, ENFORCE));
    *world.document.lock() = Ok(document("testing", "d.example", 86_400));
    assert_eq!(mode(&one).await, ENFORCE);
    *world.record.lock() = Ok(vec!["v=STSv1; id=2"]);
    assert_eq!(mode(&one).await, Some(TlsMode::Testing));
    world.pass(10 * MINUTE);
    assert_eq!((mode(&two).await, world.fetched()), (Some(TlsMode::Testing), 2));
    // With `none` what was remembered is over.
    *world.document.lock() = Ok("version: STSv1\nmode: none\nmax_age: 86400\n".to_owned());
    *world.record.lock() = Ok(vec!["v=STSv1; id=3"]);
    assert_eq!((mode(&one).await, mode(&one).await, world.fetched()), (None, None, 3));
}

#[tokio::test]
async fn what_is_remembered_holds_while_nothing_new_can_be_had() {
    let (world, table) = (World::with("enforce", "d.example"), table());
    let one = world.policies(Arc::clone(&table.control));
    assert_eq!(mode(&one).await, ENFORCE);
    for record in [Ok(Vec::new()), Err(DnsError("test".to_owned())), Ok(vec!["v=STSv1; id=9"; 2])] {
        *world.record.lock() = record;
        // Also by a process that has just been started.
        let fresh = world.policies(Arc::clone(&table.control));
        assert_eq!((mode(&one).await, mode(&fresh).await, world.fetched()), (ENFORCE, ENFORCE, 1));
    }
    // A new one that can't be fetched, or is none, changes nothing, and is not asked for all the time.
    *world.record.lock() = Ok(vec!["v=STSv1; id=2"]);
    for (failure, fetched) in [(Err(FetchError::Status(404)), 2), (Ok("<html>".to_owned()), 3)] {
        *world.document.lock() = failure;
        assert_eq!((mode(&one).await, mode(&one).await, world.fetched()), (ENFORCE, ENFORCE, fetched));
        world.pass(6 * MINUTE);
    }
    // Until it is over.
    world.pass(7 * DAY);
    assert_eq!(mode(&one).await, None);
    // Whoever never had one has none.
    assert_eq!(one.of("other.example").await.expect("read"), None);
}

#[tokio::test]
async fn domains_without_a_policy_cost_one_read_and_no_request() {
    let (world, table) = (World::with("enforce", "d.example"), table());
    *world.record.lock() = Ok(Vec::new());
    let counted = Arc::new(Counted(Arc::clone(&table.control), AtomicUsize::default()));
    let policies = world.policies(Arc::clone(&counted) as _);
    for _ in 0..5 {
        assert_eq!(mode(&policies).await, None);
    }
    assert_eq!((counted.1.load(Ordering::SeqCst), world.fetched()), (1, 0));
    world.pass(6 * MINUTE);
    assert_eq!((mode(&policies).await, counted.1.load(Ordering::SeqCst)), (None, 2));
    // What is remembered can't be read: nobody knows what it forbids.
    let down =
        world.policies(Arc::new(Counted(Arc::clone(&table.control), AtomicUsize::new(usize::MAX / 2))));
    assert!(down.of("d.example").await.is_err());
}

#[tokio::test]
async fn a_remembered_policy_that_cant_be_read_is_not_taken_for_none() {
    let (world, table) = (World::with("enforce", "d.example"), table());
    damage(&table).await;
    let policies = world.policies(Arc::clone(&table.control));
    for record in [Ok(Vec::new()), Err(DnsError("test".to_owned())), Ok(vec!["v=STSv1; id=1"])] {
        *world.record.lock() = record;
        let document = std::mem::replace(&mut *world.document.lock(), Err(FetchError::Status(404)));
        let fresh = world.policies(Arc::clone(&table.control));
        assert!(policies.of("d.example").await.is_err() && fresh.of("d.example").await.is_err());
        *world.document.lock() = document;
    }
    // One that can be fetched heals it, for all.
    world.pass(6 * MINUTE);
    assert_eq!(mode(&policies).await, ENFORCE);
    *world.record.lock() = Ok(Vec::new());
    assert_eq!((mode(&policies).await, mode(&world.policies(table.control)).await), (ENFORCE, ENFORCE));
}

/// What is remembered of the domain is of a version that nobody knows.
pub(super) async fn damage(table: &Table) {
    let key = pennypost_ports::ControlKey::new("tls-policies", "d.example");
    let put = table.control.put_if(&key, &[9, 1, 2, 3], pennypost_ports::Expected::Any).await;
    assert!(matches!(put, Ok(pennypost_ports::Put::Stored(_))));
}

#[tokio::test]
async fn what_is_over_is_removed_by_whoever_writes_beside_it() {
    let (world, table) = (World::with("enforce", "d.example"), table());
    let policies = world.policies(Arc::clone(&table.control));
    for domain in ["a.example", "b.example", "c.example"] {
        policies.of(domain).await.expect("read");
    }
    world.pass(8 * DAY);
    policies.of("d.example").await.expect("read");
    let left = table.control.query("tls-policies", "", None, 10).await.expect("read");
    assert_eq!(left.into_iter().map(|(domain, _)| domain).collect::<Vec<_>>(), ["d.example"]);
}

/// A control table that counts what is read, and fails from a very high number on.
struct Counted(Arc<dyn Control>, AtomicUsize);

#[async_trait]
impl Control for Counted {
    async fn get(
        &self,
        key: &pennypost_ports::ControlKey,
        consistency: pennypost_ports::Consistency,
    ) -> pennypost_ports::PortResult<Option<pennypost_ports::Item>> {
        if self.1.fetch_add(1, Ordering::SeqCst) >= usize::MAX / 2 {
            return Err(pennypost_ports::PortError::Unavailable {
                port: "control",
                cause: "test".to_owned(),
            });
        }
        self.0.get(key, consistency).await
    }

    async fn put_if(
        &self,
        key: &pennypost_ports::ControlKey,
        value: &[u8],
        expected: pennypost_ports::Expected,
    ) -> pennypost_ports::PortResult<pennypost_ports::Put> {
        self.0.put_if(key, value, expected).await
    }

    async fn delete_if(
        &self,
        key: &pennypost_ports::ControlKey,
        version: u64,
    ) -> pennypost_ports::PortResult<bool> {
        self.0.delete_if(key, version).await
    }

    async fn query(
        &self,
        partition: &str,
        prefix: &str,
        after: Option<&str>,
        limit: usize,
    ) -> pennypost_ports::PortResult<Vec<(String, pennypost_ports::Item)>> {
        self.0.query(partition, prefix, after, limit).await
    }
}
