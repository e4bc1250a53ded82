//! Notices of new mail, told to a real receiver over TLS on this machine (INT-01).

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicUsize, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use parking_lot::Mutex;
use pennypost_admin::{
    Administration, Call, NewSubscription, NoticeKind, SubscriptionChange, SubscriptionId, Whose,
};
use pennypost_backend_embedded::{Embedded, Options};
use pennypost_directory::{DepartmentId, Directory, NewAccount};
use pennypost_hooks::{Hooks, PauseCause};
use pennypost_lookup::Documents;
use pennypost_mailstore::{Incoming, Mailroom, Mailstore};
use pennypost_model::event::{Changed, Event, House, Stage};
use pennypost_model::journal::Actor;
use pennypost_model::{AccountKey, FlagSet, MailboxId, Seq, TenantId, Timestamp};
use pennypost_notify::{Announcer, Messenger, Notify, Ports, Settings};
use pennypost_ports::{
    Clock, Consistency, Control, ControlKey, Dns, DnsError, DnsKind, DnsRecord, Expected, Https, Ids, Item,
    PortError, PortResult, Put, RandomIds, Wakeups,
};
use pennypost_runtime::{Fusing, Handler, Outcome, Pipeline};
use pennypost_sealing::Keyring;
use rustls::RootCertStore;
use rustls::pki_types::PrivateKeyDer;
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

const OPERATOR: Call = Call::of_operator();
const HOST: &str = "portal.example";
const MINUTE: i64 = 60_000;
const HOUR: i64 = 60 * MINUTE;

/// The time, and by how much it steps back once it was asked for.
struct TestClock(AtomicI64, AtomicI64);

#[async_trait]
impl Clock for TestClock {
    fn now(&self) -> Timestamp {
        Timestamp(self.0.fetch_sub(self.1.swap(0, Ordering::SeqCst), Ordering::SeqCst))
    }

    async fn sleep(&self, duration: Duration) {
        self.0.fetch_add(i64::try_from(duration.as_millis()).expect("a while"), Ordering::SeqCst);
    }
}

/// A control table whose next calls fail, and how many there were.
struct Shaky {
    inner: Arc<dyn Control>,
    failing: AtomicUsize,
    calls: AtomicUsize,
}

impl Shaky {
    fn ask(&self) -> PortResult<()> {
        self.calls.fetch_add(1, Ordering::SeqCst);
        let left = self.failing.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1));
        match left {
            Ok(_) => Err(PortError::Unavailable { port: "control", cause: "test".to_owned() }),
            Err(_) => Ok(()),
        }
    }
}

#[async_trait]
impl Control for Shaky {
    async fn get(&self, key: &ControlKey, consistency: Consistency) -> PortResult<Option<Item>> {
        self.ask()?;
        self.inner.get(key, consistency).await
    }

    async fn put_if(&self, key: &ControlKey, value: &[u8], expected: Expected) -> PortResult<Put> {
        self.ask()?;
        self.inner.put_if(key, value, expected).await
    }

    async fn delete_if(&self, key: &ControlKey, version: u64) -> PortResult<bool> {
        self.ask()?;
        self.inner.delete_if(key, version).await
    }

    async fn query(
        &self,
        partition: &str,
        prefix: &str,
        after: Option<&str>,
        limit: usize,
    ) -> PortResult<Vec<(String, Item)>> {
        self.ask()?;
        self.inner.query(partition, prefix, after, limit).await
    }
}

/// A stage before the notices: what follows from its event is always that this account has changed.
struct Delivers(Changed);

#[async_trait]
impl Handler for Delivers {
    fn stage(&self) -> Stage {
        Stage::Deliver
    }

    async fn handle(&self, events: Vec<Event>) -> Vec<Outcome> {
        events.iter().map(|_| Ok(vec![Event::Changed(self.0)])).collect()
    }
}

struct NobodyWatches;

#[async_trait]
impl Wakeups for NobodyWatches {
    async fn wake(&self, _account: AccountKey, _seq: Seq) -> PortResult<()> {
        Ok(())
    }
}

/// The receiver's host is this machine.
struct Here;

#[async_trait]
impl Dns for Here {
    async fn look_up(&self, name: &str, _kind: DnsKind) -> Result<Vec<DnsRecord>, DnsError> {
        let found = (name == HOST).then_some(DnsRecord::Address(IpAddr::from([127, 0, 0, 1])));
        Ok(found.into_iter().collect())
    }
}

/// How the receiver answers.
#[derive(Clone, Copy)]
enum Mood {
    Says(u16),
    /// It ends the connection.
    Dead,
    /// It says nothing, and goes on.
    Mute,
}

/// Something that was posted: the path, the fields of its header in lower case, and the body.
struct Post {
    path: String,
    head: String,
    body: String,
}

impl Post {
    fn field(&self, name: &str) -> &str {
        let found = self.head.lines().find_map(|line| line.strip_prefix(&format!("{name}: ")));
        found.unwrap_or_else(|| panic!("no {name} in {}", self.head))
    }

    fn json(&self) -> Value {
        serde_json::from_str(&self.body).expect("JSON")
    }
}

#[derive(Default)]
struct Heard {
    mood: Mutex<Option<Mood>>,
    /// What has this in it is answered so, whatever the mood.
    refuses: Mutex<Option<(&'static str, u16)>>,
    posts: Mutex<Vec<Post>>,
}

impl Heard {
    fn mood(&self, mood: Mood) {
        *self.mood.lock() = Some(mood);
    }

    fn take(&self) -> Vec<Post> {
        std::mem::take(&mut self.posts.lock())
    }
}

/// A receiver: what it has heard, how it is reached, and its address.
async fn receiver() -> (Arc<Heard>, Arc<dyn Https>, String) {
    let made = rcgen::generate_simple_self_signed([HOST.to_owned()]).expect("certificate");
    let mut roots = RootCertStore::empty();
    roots.add(made.cert.der().clone()).expect("an authority");
    let key = PrivateKeyDer::Pkcs8(made.signing_key.serialize_der().into());
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ServerConfig::builder_with_provider(provider)
        .with_protocol_versions(rustls::DEFAULT_VERSIONS)
        .expect("versions")
        .with_no_client_auth()
        .with_single_cert(vec![made.cert.der().clone()], key)
        .expect("a configuration");
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let url = format!("https://{HOST}:{}", listener.local_addr().expect("address").port());
    let heard = Arc::new(Heard::default());
    let (hearing, acceptor) = (Arc::clone(&heard), TlsAcceptor::from(Arc::new(config)));
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let (hearing, acceptor) = (Arc::clone(&hearing), acceptor.clone());
            tokio::spawn(async move {
                let Ok(mut stream) = acceptor.accept(stream).await else { return };
                let mut request = Vec::new();
                let mut piece = [0; 4096];
                while !is_whole(&request) {
                    match stream.read(&mut piece).await {
                        Ok(len) if len > 0 => request.extend_from_slice(&piece[..len]),
                        _ => break,
                    }
                }
                let request = String::from_utf8(request).expect("UTF-8");
                let (head, body) = request.split_once("\r\n\r\n").expect("a head");
                let path = head.strip_prefix("POST ").and_then(|head| head.split(' ').next());
                let (path, head) = (path.expect("a POST").to_owned(), head.to_ascii_lowercase());
                let is_mute = path == "/mute";
                hearing.posts.lock().push(Post { path, head, body: body.to_owned() });
                let refused = hearing.refuses.lock().filter(|(text, _)| body.contains(text));
                let mood = match refused {
                    Some((_, status)) => Some(Mood::Says(status)),
                    None if is_mute => Some(Mood::Mute),
                    None => *hearing.mood.lock(),
                };
                match mood.unwrap_or(Mood::Says(204)) {
                    Mood::Says(status) => {
                        let head = format!("HTTP/1.1 {status} X\r\nLocation: https://{HOST}/\r\n\r\n");
                        let _ = stream.write_all(head.as_bytes()).await;
                        let _ = stream.shutdown().await;
                    }
                    Mood::Dead => {}
                    Mood::Mute => tokio::time::sleep(Duration::from_secs(60)).await,
                }
            });
        }
    });
    (heard, Arc::new(Documents::believing(Arc::new(Here), roots, 443, true)), url)
}

fn is_whole(request: &[u8]) -> bool {
    let text = String::from_utf8_lossy(request);
    let Some((head, body)) = text.split_once("\r\n\r\n") else { return false };
    let length = head.lines().find_map(|line| line.strip_prefix("Content-Length: "));
    body.len() >= length.map_or(0, |length| length.parse().expect("a length"))
}

struct Office {
    _dir: tempfile::TempDir,
    clock: Arc<TestClock>,
    directory: Directory,
    it: Administration,
    store: Mailstore,
    room: Mailroom,
    tenant: TenantId,
    notify: Notify,
    messenger: Messenger,
    announcer: Announcer,
    ports: Ports,
    control: Arc<Shaky>,
    backend: Embedded,
    hooks: Hooks,
    heard: Arc<Heard>,
    url: String,
}

impl Office {
    async fn open() -> Office {
        let dir = tempfile::tempdir().expect("a temporary folder");
        let backend = Embedded::open(dir.path(), &Options::server()).expect("opens");
        let clock = Arc::new(TestClock(AtomicI64::new(1_795_076_130_000), AtomicI64::new(0)));
        let ids: Arc<dyn Ids> = Arc::new(RandomIds);
        let directory = Directory::new(backend.control(), Arc::clone(&clock) as _, Arc::clone(&ids));
        let tenant = directory.add_tenant("acme").await.expect("tenant").id;
        directory.add_domain(tenant, "acme.example").await.expect("domain");
        let store =
            Mailstore::new(backend.journal(), backend.objects(), Arc::clone(&clock) as _, Arc::clone(&ids));
        let ring = Arc::new(Keyring::parse(&Keyring::fresh().expect("randomness")).expect("a key"));
        let (heard, https, url) = receiver().await;
        let it = Administration::new(directory.clone(), backend.control(), Arc::clone(&clock) as _, ids)
            .sealing(Arc::clone(&ring) as _)
            .looking_up(Arc::new(Here), Arc::clone(&https));
        let hooks = Hooks::new(backend.control());
        let (failing, calls) = (AtomicUsize::new(0), AtomicUsize::new(0));
        let control = Arc::new(Shaky { inner: backend.control(), failing, calls });
        let announcer = Announcer::new(Hooks::new(Arc::clone(&control) as _), Arc::clone(&clock) as _);
        let ports = Ports {
            hooks: hooks.clone(),
            directory: directory.clone(),
            store: store.clone(),
            administration: it.clone(),
            https,
            secrets: ring,
            clock: Arc::clone(&clock) as _,
        };
        Office {
            _dir: dir,
            clock,
            directory,
            it,
            room: Mailroom::new(store.clone()),
            store,
            tenant,
            notify: Notify::new(Arc::new(NobodyWatches), announcer.clone()),
            messenger: Messenger::new(ports.clone(), Settings::default()),
            announcer,
            ports,
            control,
            backend,
            hooks,
            heard,
            url,
        }
    }

    async fn account(&self, local: &str) -> AccountKey {
        let address = format!("{local}@acme.example");
        let new = NewAccount { address: &address, display_name: local, ..NewAccount::default() };
        let key = self.directory.add_account_with(&new).await.expect("account").key;
        self.room.account(key).await.expect("journal");
        key
    }

    fn wish(&self, path: &str, kinds: &[NoticeKind]) -> NewSubscription {
        NewSubscription {
            name: "portal".to_owned(),
            url: format!("{}{path}", self.url),
            kinds: kinds.iter().copied().collect(),
            tells_sender: false,
            tells_subject: false,
            whose: Whose::default(),
        }
    }

    async fn subscribe(&self, new: &NewSubscription) -> (SubscriptionId, Vec<u8>) {
        let (added, secret) = self.it.add_subscription(&OPERATOR, self.tenant, new).await.expect("added");
        let secret = BASE64_STANDARD.decode(secret.strip_prefix("whsec_").expect("a secret"));
        (added.id, secret.expect("base64"))
    }

    /// A letter comes, and the handler hears of it.
    async fn letter(&self, account: AccountKey, mailbox: MailboxId) -> Seq {
        let raw = "From: Bob <bob@other.example>\r\nSubject: Invoice 4711\r\n\r\nhello\r\n";
        let event = RandomIds.event(self.clock.now());
        let incoming = Incoming::prepare(raw.as_bytes(), event, FlagSet::default(), self.clock.now());
        let state = self.store.load(account, Consistency::Strong).await.expect("state");
        let incoming = [incoming.expect("prepares")];
        let stored = self.store.store(account, state, &Actor::Delivery, mailbox, &incoming, |_| Ok(()));
        stored.await.expect("stores");
        let seq = self.store.load(account, Consistency::Strong).await.expect("state").seq;
        self.changed(account, seq).await;
        seq
    }

    async fn changed(&self, account: AccountKey, seq: Seq) {
        let outcomes = self.notify.handle(vec![Event::Changed(Changed { account, seq })]).await;
        assert_eq!(outcomes, [Ok(Vec::new())]);
    }

    /// The stages of a server, joined, up to the notices of an entry that came to an account: one event through them.
    fn joined(&self, account: AccountKey, seq: Seq) -> Pipeline {
        let notify = Notify::new(Arc::new(NobodyWatches), self.fresh_announcer());
        let handlers: [Arc<dyn Handler>; 2] =
            [Arc::new(Delivers(Changed { account, seq })), Arc::new(notify)];
        Pipeline::new(handlers, Fusing::fused(), self.backend.queue())
    }

    /// One of a process that has just begun.
    fn fresh_announcer(&self) -> Announcer {
        Announcer::new(Hooks::new(Arc::clone(&self.control) as _), Arc::clone(&self.clock) as _)
    }

    /// Some time passes, and what is due then is looked after: what the receiver heard.
    async fn after(&self, millis: i64) -> Vec<Post> {
        self.clock.0.fetch_add(millis, Ordering::SeqCst);
        self.messenger.work_off().await.expect("looked");
        self.heard.take()
    }

    async fn nothing_waits(&self, id: SubscriptionId) -> bool {
        let ever = Timestamp(i64::MAX);
        let look = self.hooks.waiting(self.tenant, id, ever, 10).await.expect("read");
        look.waiting.is_empty() && self.hooks.due(ever, None, 10).await.expect("read").due.is_empty()
    }
}

/// Feature INT-01: notices of new mail and of unread counts to a receiver over HTTPS, signed, each with an id that stays
#[tokio::test(flavor = "multi_thread")]
async fn a_letter_is_told_once_and_signed() {
    let it = Office::open().await;
    let ann = it.account("ann").await;
    let (id, secret) = it.subscribe(&it.wish("/hook?a=b", &NoticeKind::ALL)).await;
    let seq = it.letter(ann, MailboxId::INBOX).await;
    let told = it.after(2_000).await;
    assert_eq!(told.len(), 2);
    for post in &told {
        assert_eq!(post.path, "/hook?a=b");
        let (webhook, time) = (post.field("webhook-id"), post.field("webhook-timestamp"));
        let key = ring::hmac::Key::new(ring::hmac::HMAC_SHA256, &secret);
        let signed = format!("{}.{time}.{}", post.json()["id"].as_str().expect("an id"), post.body);
        let tag = post.field("webhook-signature");
        // Fields were put into lower case for the look: base64 is case-sensitive, and so compared likewise.
        let wanted = format!("v1,{}", BASE64_STANDARD.encode(ring::hmac::sign(&key, signed.as_bytes())));
        assert_eq!(tag, wanted.to_ascii_lowercase());
        assert_eq!(webhook, post.json()["id"].as_str().expect("an id"));
        assert_eq!(time, (it.clock.now().0 / 1_000).to_string());
    }
    let received = told.iter().find(|post| post.json()["type"] == "mail.received").expect("told").json();
    let data = &received["data"];
    assert_eq!(
        (&data["address"], &data["mailbox"], &data["unread"]),
        (&"ann@acme.example".into(), &"INBOX".into(), &1.into())
    );
    assert!(!received.to_string().contains("Invoice") && !received.to_string().contains("bob"), "{received}");
    let unread = told.iter().find(|post| post.json()["type"] == "mailbox.unread").expect("told").json();
    assert_eq!(unread["data"]["unread"], 1);
    assert!(it.after(60_000).await.is_empty() && it.nothing_waits(id).await);

    // The same event may come again: the receiver knows it by its id.
    it.changed(ann, seq).await;
    let again = it.after(2_000).await;
    assert!(again.iter().any(|post| post.json()["id"] == received["id"]), "{}", received["id"]);
    // What members send is no mail that has come.
    it.letter(ann, MailboxId::SENT).await;
    let own: Vec<Value> = it.after(2_000).await.iter().map(Post::json).collect();
    assert!(own.iter().all(|post| post["type"] == "mailbox.unread"), "{own:?}");
    let state = it.it.subscription_state(&OPERATOR, it.tenant, id).await.expect("state");
    assert_eq!((state.taken, state.failing_since), (5, None));
}

#[tokio::test(flavor = "multi_thread")]
async fn who_is_named_is_told_of_and_what_is_asked_for_is_told() {
    let it = Office::open().await;
    let (ann, bob, cleo) = (it.account("ann").await, it.account("bob").await, it.account("cleo").await);
    let sales = it.directory.add_department(it.tenant, DepartmentId::ROOT, "Sales", "").await;
    let sales = sales.expect("added").id;
    it.directory.set_departments(cleo, &[sales]).await.expect("in it");
    let whose = Whose { accounts: BTreeSet::from([bob.account]), departments: BTreeSet::from([sales]) };
    let wish = it.wish("/named", &[NoticeKind::Received]);
    let wish = NewSubscription { whose, tells_sender: true, tells_subject: true, ..wish };
    it.subscribe(&wish).await;
    for account in [ann, bob, cleo] {
        it.letter(account, MailboxId::INBOX).await;
    }
    let mut told: Vec<Value> = it.after(2_000).await.iter().map(|post| post.json()["data"].clone()).collect();
    told.sort_by_key(|data| data["address"].to_string());
    let addresses: Vec<&Value> = told.iter().map(|data| &data["address"]).collect();
    assert_eq!(addresses, ["bob@acme.example", "cleo@acme.example"]);
    assert_eq!(told[0]["subject"], "Invoice 4711");
    assert_eq!(told[0]["from"]["address"], "bob@other.example");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_receiver_that_takes_nothing_is_tried_again_and_later() {
    let it = Office::open().await;
    let ann = it.account("ann").await;
    let (id, _) = it.subscribe(&it.wish("/hook", &[NoticeKind::Received])).await;
    for mood in [Mood::Says(500), Mood::Says(301), Mood::Dead] {
        it.heard.mood(mood);
        it.letter(ann, MailboxId::INBOX).await;
        let told = it.after(2_000).await;
        assert_eq!(told.len(), 1);
        let failing = it.it.subscription_state(&OPERATOR, it.tenant, id).await.expect("state");
        assert_eq!((failing.tries, failing.failing_since), (1, Some(it.clock.now())));
        assert!(failing.last.is_some_and(|(_, last)| !last.is_taken()));
        // It is left alone for a minute, whatever comes.
        it.letter(ann, MailboxId::INBOX).await;
        assert!(it.after(2_000).await.is_empty());
        let again = it.after(70_000).await;
        assert!((1..=2).contains(&again.len()), "{}", again.len());
        let failing = it.it.subscription_state(&OPERATOR, it.tenant, id).await.expect("state");
        assert_eq!(failing.tries, 2);
        it.heard.mood(Mood::Says(200));
        let taken = it.after(6 * MINUTE).await;
        let ids: BTreeSet<String> = taken.iter().map(|post| post.json()["id"].to_string()).collect();
        assert!(ids.len() == 2 && ids.contains(&told[0].json()["id"].to_string()), "{ids:?}");
        assert!(it.nothing_waits(id).await);
        let going = it.it.subscription_state(&OPERATOR, it.tenant, id).await.expect("state");
        assert_eq!((going.tries, going.failing_since), (0, None));
    }
}

/// Feature INT-01: a receiver that takes nothing for a day, or is gone, is told nothing more until an administrator says so
#[tokio::test(flavor = "multi_thread")]
async fn a_receiver_that_stays_away_is_given_up_and_its_administrators_see_why() {
    let it = Office::open().await;
    let ann = it.account("ann").await;
    let (id, _) = it.subscribe(&it.wish("/hook", &NoticeKind::ALL)).await;
    for (mood, cause) in [(Mood::Says(503), PauseCause::Failing), (Mood::Says(410), PauseCause::Gone)] {
        it.heard.mood(mood);
        it.letter(ann, MailboxId::INBOX).await;
        let mut tries = 0;
        let paused = loop {
            tries += usize::from(!it.after(HOUR).await.is_empty());
            let seen = it.it.subscription(&OPERATOR, it.tenant, id).await.expect("there");
            if let Some(paused) = seen.paused {
                break paused;
            }
            assert!(tries < 40);
        };
        assert_eq!(paused.cause, cause);
        assert!(if cause == PauseCause::Gone { tries == 1 } else { tries > 5 }, "{tries}");
        let page = it.it.operations(&OPERATOR, Some(it.tenant), (None, None), 0, 100).await.expect("a log");
        let recorded = page.0.iter().any(|record| {
            let after = record.entry.after.as_deref().unwrap_or_default();
            record.entry.action == "subscription.change" && after.contains(cause.name())
        });
        assert!(recorded, "{cause:?}");
        // Nothing waits any more, and what comes now is not told, nor later.
        it.heard.mood(Mood::Says(200));
        it.letter(ann, MailboxId::INBOX).await;
        assert!(it.after(2_000).await.is_empty() && it.nothing_waits(id).await);
        it.it.resume_subscription(&OPERATOR, it.tenant, id).await.expect("goes on");
        it.letter(ann, MailboxId::INBOX).await;
        assert_eq!(it.after(2_000).await.len(), 2);
    }
    it.it.remove_subscription(&OPERATOR, it.tenant, id).await.expect("removed");
    it.letter(ann, MailboxId::INBOX).await;
    assert!(it.after(2_000).await.is_empty() && it.nothing_waits(id).await);
    assert_eq!(it.hooks.state(it.tenant, id).await.expect("read").1, None);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_slow_receiver_holds_up_no_other() {
    let it = Office::open().await;
    let ann = it.account("ann").await;
    it.subscribe(&it.wish("/mute", &[NoticeKind::Received])).await;
    it.subscribe(&it.wish("/hook", &[NoticeKind::Received])).await;
    it.letter(ann, MailboxId::INBOX).await;
    it.clock.0.fetch_add(2_000, Ordering::SeqCst);
    let (_stop, stopped) = tokio::sync::watch::channel(false);
    let running = tokio::spawn(it.messenger.clone().run(it.announcer.bell(), stopped));
    let both = async {
        while it.heard.posts.lock().iter().filter(|post| post.path == "/hook").count() == 0 {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(8), both).await.expect("told");
    running.abort();
    assert!(it.heard.take().iter().any(|post| post.path == "/mute"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_notice_that_could_not_be_put_down_comes_with_its_letter_again() {
    let it = Office::open().await;
    let ann = it.account("ann").await;
    let (id, _) = it.subscribe(&it.wish("/hook", &NoticeKind::ALL)).await;
    let event = || vec![Event::House(House::Account(ann))];
    // The read of the subscriptions, the writes of what waits, and that of the row.
    for calls_before in 0..4 {
        let seq = Seq(2);
        it.heard.mood(Mood::Says(200));
        let pipeline = it.joined(ann, seq);
        if calls_before > 0 {
            // What is subscribed is known already: the writes fail.
            let _ = pipeline.run(Stage::Deliver, event()).await;
            it.after(2_000).await;
        }
        it.control.failing.store(calls_before.max(1), Ordering::SeqCst);
        let failed = pipeline.run(Stage::Deliver, event()).await;
        assert!(failed[0].as_ref().is_err_and(|failure| !failure.panicked), "{calls_before}: {failed:?}");
        it.control.failing.store(0, Ordering::SeqCst);
        assert_eq!(pipeline.run(Stage::Deliver, event()).await, [Ok(())]);
        let look = it.hooks.waiting(it.tenant, id, it.clock.now(), 10).await.expect("read");
        assert!(look.waiting.len() >= 2, "{calls_before}: {look:?}");
        it.after(2_000).await;
        assert!(it.nothing_waits(id).await, "{calls_before}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn letters_of_those_without_subscriptions_wait_for_nothing() {
    let it = Office::open().await;
    let ann = it.account("ann").await;
    let event = || vec![Event::House(House::Account(ann))];
    let pipeline = it.joined(ann, Seq(2));
    assert_eq!(pipeline.run(Stage::Deliver, event()).await, [Ok(())]);
    assert_eq!(it.control.calls.load(Ordering::SeqCst), 1);
    // It is known for a while that there are none: no call, so nothing that could fail.
    it.control.failing.store(1_000, Ordering::SeqCst);
    for _ in 0..5 {
        assert_eq!(pipeline.run(Stage::Deliver, event()).await, [Ok(())]);
    }
    assert_eq!(it.control.calls.load(Ordering::SeqCst), 1);
    it.control.failing.store(0, Ordering::SeqCst);

    // A damaged item buries no letters.
    let key = ControlKey::new(it.tenant.to_string(), "subscriptions");
    it.control.put_if(&key, &[1, 0xff, 0xff], Expected::Any).await.expect("written");
    assert_eq!(it.joined(ann, Seq(2)).run(Stage::Deliver, event()).await, [Ok(())]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_notice_that_is_never_taken_holds_up_no_other() {
    // A receiver that answers nothing but refusals is asked again in half an hour at the latest.
    for (status, letters, patience) in [(403, 3, 2_000), (403, 12, 40 * MINUTE), (500, 12, 40 * MINUTE)] {
        let it = Office::open().await;
        let (ann, bob) = (it.account("ann").await, it.account("bob").await);
        let (id, _) = it.subscribe(&it.wish("/hook", &NoticeKind::ALL)).await;
        *it.heard.refuses.lock() = Some(("bob@acme.example", status));
        for _ in 0..letters {
            it.letter(bob, MailboxId::INBOX).await;
        }
        let mut refused = 0;
        // Whatever waits for the other one at first is soon behind what can be told.
        it.letter(ann, MailboxId::INBOX).await;
        it.after(2_000).await;
        it.after(2 * MINUTE).await;
        for hour in 0..26 {
            it.letter(ann, MailboxId::INBOX).await;
            let told = it.after(patience).await;
            let of_ann = told.iter().filter(|post| post.body.contains("ann@acme.example")).count();
            assert_eq!(of_ann, 2, "{status}, hour {hour}");
            let told = it.after(HOUR).await;
            refused += told.iter().filter(|post| post.body.contains("bob@acme.example")).count();
        }
        assert!((letters..26 * letters).contains(&refused), "{refused}");
        let seen = it.it.subscription(&OPERATOR, it.tenant, id).await.expect("there");
        assert_eq!(seen.paused, None);
        assert!(it.nothing_waits(id).await, "what was refused for a day is dropped");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_nobody_could_tell_for_a_day_is_not_told_any_more() {
    let it = Office::open().await;
    let ann = it.account("ann").await;
    let (id, _) = it.subscribe(&it.wish("/hook", &[NoticeKind::Received])).await;
    it.letter(ann, MailboxId::INBOX).await;
    assert!(it.after(25 * HOUR).await.is_empty() && it.nothing_waits(id).await);
    it.letter(ann, MailboxId::INBOX).await;
    assert_eq!(it.after(2_000).await.len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_clock_that_steps_back_takes_no_row() {
    let it = Office::open().await;
    let ann = it.account("ann").await;
    let (id, _) = it.subscribe(&it.wish("/hook", &[NoticeKind::Received])).await;
    it.heard.mood(Mood::Says(503));
    it.letter(ann, MailboxId::INBOX).await;
    assert_eq!(it.after(2_000).await.len(), 1);
    let next = it.it.subscription_state(&OPERATOR, it.tenant, id).await.expect("state").next;
    it.heard.mood(Mood::Says(200));
    it.clock.0.store(next.0, Ordering::SeqCst);
    // Between the look for rows and that at the state.
    it.clock.1.store(5_000, Ordering::SeqCst);
    assert!(it.after(0).await.is_empty());
    assert_eq!(it.after(2 * MINUTE).await.len(), 1);
    assert!(it.nothing_waits(id).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_an_administrator_changes_begins_anew() {
    let it = Office::open().await;
    let ann = it.account("ann").await;
    let (id, _) = it.subscribe(&it.wish("/hook?key=s3cret", &[NoticeKind::Received])).await;
    let sales = it.directory.add_department(it.tenant, DepartmentId::ROOT, "Sales", "").await;
    let sales = sales.expect("added").id;
    for way in ["a URL", "off and on", "resume"] {
        it.heard.mood(Mood::Says(503));
        it.letter(ann, MailboxId::INBOX).await;
        assert_eq!(it.after(2_000).await.len(), 1, "{way}");
        it.heard.mood(Mood::Says(200));
        let change = async |wish: NewSubscription, on: bool| {
            let seen = it.it.subscription(&OPERATOR, it.tenant, id).await.expect("there");
            let change = SubscriptionChange { wish, on };
            it.it.change_subscription(&OPERATOR, it.tenant, &seen, &change).await.expect("changed");
        };
        let wish = it.it.subscription(&OPERATOR, it.tenant, id).await.expect("there").wish;
        match way {
            "a URL" => change(it.wish("/other?key=s3cret", &[NoticeKind::Received]), true).await,
            "off and on" => {
                change(wish.clone(), false).await;
                change(wish, true).await;
            }
            _ => drop(it.it.resume_subscription(&OPERATOR, it.tenant, id).await.expect("goes on")),
        }
        let state = it.it.subscription_state(&OPERATOR, it.tenant, id).await.expect("state");
        assert_eq!((state.tries, state.failing_since), (0, None), "{way}");
        assert_eq!(it.after(2_000).await.len(), 1, "{way}");
        // The row of the try that was put off leads nowhere.
        assert!(it.after(2 * MINUTE).await.is_empty() && it.nothing_waits(id).await, "{way}");
    }
    // Who was named and is gone keeps nobody from turning it off.
    let whose = Whose { departments: BTreeSet::from([sales]), ..Whose::default() };
    let wish = NewSubscription { whose, ..it.wish("/other?key=s3cret", &[NoticeKind::Received]) };
    for (on, is_there) in [(true, true), (false, false)] {
        let seen = it.it.subscription(&OPERATOR, it.tenant, id).await.expect("there");
        let change = SubscriptionChange { wish: wish.clone(), on };
        it.it.change_subscription(&OPERATOR, it.tenant, &seen, &change).await.expect("changed");
        if is_there {
            it.directory.remove_department(it.tenant, sales).await.expect("removed");
        }
    }
    let page = it.it.operations(&OPERATOR, Some(it.tenant), (None, None), 0, 100).await.expect("a log");
    assert!(page.0.len() > 5 && !format!("{:?}", page.0).contains("s3cret"));
}

#[tokio::test(flavor = "multi_thread")]
async fn two_tell_once_and_who_died_is_followed_when_its_claim_is_over() {
    let it = Office::open().await;
    let ann = it.account("ann").await;
    let (id, _) = it.subscribe(&it.wish("/hook", &[NoticeKind::Received])).await;
    it.letter(ann, MailboxId::INBOX).await;
    it.clock.0.fetch_add(2_000, Ordering::SeqCst);
    let other = Messenger::new(it.ports.clone(), Settings::default());
    let (one, two) = tokio::join!(it.messenger.work_off(), other.work_off());
    one.and(two).expect("looked");
    assert_eq!(it.heard.take().len(), 1);
    it.after(6 * MINUTE).await;
    assert!(it.nothing_waits(id).await);

    // Somebody has claimed it, and is no more.
    let (state, seen) = it.hooks.state(it.tenant, id).await.expect("read");
    let claim = it.clock.now().plus_millis(5 * MINUTE);
    it.hooks.remind(it.tenant, id, claim).await.expect("written");
    let claimed = pennypost_hooks::State { claim, ..state };
    it.hooks.save_state(it.tenant, id, &claimed, seen).await.expect("written").expect("is as it was");
    it.letter(ann, MailboxId::INBOX).await;
    assert!(it.after(4 * MINUTE).await.is_empty());
    assert_eq!(it.after(2 * MINUTE).await.len(), 1);
    assert!(it.nothing_waits(id).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn who_has_its_share_leaves_the_rest_to_others() {
    let it = Office::open().await;
    let ann = it.account("ann").await;
    let settings = Settings { at_once_each: 1, ..Settings::default() };
    it.subscribe(&it.wish("/mute", &[NoticeKind::Received])).await;
    it.subscribe(&it.wish("/mute", &[NoticeKind::Received])).await;
    it.letter(ann, MailboxId::INBOX).await;
    it.clock.0.fetch_add(2_000, Ordering::SeqCst);
    let (_stop, stopped) = tokio::sync::watch::channel(false);
    let running = tokio::spawn(Messenger::new(it.ports.clone(), settings).run(it.announcer.bell(), stopped));
    // Time for a second look, in which the first one still has the only place.
    tokio::time::sleep(Duration::from_secs(7)).await;
    running.abort();
    assert_eq!(it.heard.take().len(), 1);
}
