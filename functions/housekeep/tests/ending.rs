//! Tenants that have ended: told of, held, and erased with all that there is of them, whoever dies in it; and their
//! neighbours, of whom nothing goes.

use std::collections::BTreeSet;
use std::future::Future;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use pennypost_admin::{
    Administration, Call, EndCause, EndState, EndingRules, KEPT_PARTITIONS, OrderTerms, PurchaseKind,
};
use pennypost_backend_embedded::{Embedded, Options};
use pennypost_directory::{Directory, DomainHealth, DomainName, Page, Plan};
use pennypost_housekeep::{Housekeep, Settings};
use pennypost_mailstore::{Incoming, Mailroom, Mailstore};
use pennypost_model::event::{Event, House, Stage};
use pennypost_model::journal::{Actor, Entry, Protocol};
use pennypost_model::trace::{RemoteAnswer, RemoteOutcome};
use pennypost_model::{AccountKey, EventId, FlagSet, MailboxId, Seq, TenantId, Timestamp};
use pennypost_outbound::{Addressee, Outbound, Outbox};
use pennypost_ports::{
    Appended, Clock, Consistency, Control, ControlKey, Created, Etag, Expected, Head, Ids, Item, Journal,
    LogKind, LogQuery, LogRecord, NewObject, Newest, ObjectInfo, Objects, Outgoing, PortError, PortResult,
    Put, RandomIds, Replaced,
};
use pennypost_runtime::Handler;
use rusqlite::{Connection, OpenFlags};

const DAY: i64 = 24 * 60 * 60 * 1000;
const OPERATOR: Call = Call::of_operator();

struct TestClock(AtomicI64);

#[async_trait]
impl Clock for TestClock {
    fn now(&self) -> Timestamp {
        Timestamp(self.0.load(Ordering::SeqCst))
    }

    async fn sleep(&self, duration: Duration) {
        self.0.fetch_add(i64::try_from(duration.as_millis()).expect("a while"), Ordering::SeqCst);
    }
}

/// A process that dies at one of its writes: before it, or after it and before it hears of it.
struct Life {
    writes: AtomicI64,
    after: bool,
}

fn dead() -> PortError {
    PortError::Unavailable { port: "any", cause: "dead".to_owned() }
}

impl Life {
    async fn write<T>(&self, effect: impl Future<Output = PortResult<T>> + Send) -> PortResult<T> {
        match self.writes.fetch_sub(1, Ordering::SeqCst) {
            left if left > 0 => effect.await,
            0 if self.after => effect.await.and(Err(dead())),
            _ => Err(dead()),
        }
    }

    async fn read<T>(&self, effect: impl Future<Output = PortResult<T>> + Send) -> PortResult<T> {
        if self.writes.load(Ordering::SeqCst) < 0 { Err(dead()) } else { effect.await }
    }
}

struct Mortal<P: ?Sized> {
    life: Arc<Life>,
    port: Arc<P>,
}

#[async_trait]
impl Control for Mortal<dyn Control> {
    async fn get(&self, key: &ControlKey, consistency: Consistency) -> PortResult<Option<Item>> {
        self.life.read(self.port.get(key, consistency)).await
    }

    async fn put_if(&self, key: &ControlKey, value: &[u8], expected: Expected) -> PortResult<Put> {
        self.life.write(self.port.put_if(key, value, expected)).await
    }

    async fn delete_if(&self, key: &ControlKey, version: u64) -> PortResult<bool> {
        self.life.write(self.port.delete_if(key, version)).await
    }

    async fn query(
        &self,
        partition: &str,
        prefix: &str,
        after: Option<&str>,
        limit: usize,
    ) -> PortResult<Vec<(String, Item)>> {
        self.life.read(self.port.query(partition, prefix, after, limit)).await
    }
}

#[async_trait]
impl Journal for Mortal<dyn Journal> {
    async fn append(&self, account: AccountKey, entry: &Entry) -> PortResult<Appended> {
        self.life.write(self.port.append(account, entry)).await
    }

    fn takes_objects(&self) -> usize {
        self.port.takes_objects()
    }

    async fn append_with(
        &self,
        account: AccountKey,
        entry: &Entry,
        object: NewObject,
    ) -> PortResult<Appended> {
        self.life.write(self.port.append_with(account, entry, object)).await
    }

    async fn since(
        &self,
        account: AccountKey,
        after: Seq,
        limit: usize,
        consistency: Consistency,
    ) -> PortResult<Vec<Entry>> {
        self.life.read(self.port.since(account, after, limit, consistency)).await
    }

    async fn before(&self, account: AccountKey, upto: Seq, limit: usize) -> PortResult<Vec<Entry>> {
        self.life.read(self.port.before(account, upto, limit)).await
    }

    async fn newest(
        &self,
        account: AccountKey,
        limit: usize,
        consistency: Consistency,
    ) -> PortResult<Newest> {
        self.life.read(self.port.newest(account, limit, consistency)).await
    }

    async fn advance_head(&self, account: AccountKey, head: &Head) -> PortResult<bool> {
        self.life.write(self.port.advance_head(account, head)).await
    }

    async fn accounts(
        &self,
        tenant: TenantId,
        after: Option<AccountKey>,
        limit: usize,
    ) -> PortResult<Vec<AccountKey>> {
        self.life.read(self.port.accounts(tenant, after, limit)).await
    }

    async fn erase(&self, account: AccountKey, limit: usize) -> PortResult<bool> {
        self.life.write(self.port.erase(account, limit)).await
    }
}

#[async_trait]
impl Objects for Mortal<dyn Objects> {
    async fn put_unique(&self, name: &str, bytes: Bytes) -> PortResult<Created> {
        self.life.write(self.port.put_unique(name, bytes)).await
    }

    async fn get(&self, name: &str) -> PortResult<(Bytes, Etag)> {
        self.life.read(self.port.get(name)).await
    }

    async fn get_range(&self, name: &str, start: u64, len: u64) -> PortResult<Bytes> {
        self.life.read(self.port.get_range(name, start, len)).await
    }

    async fn put_if_match(&self, name: &str, bytes: Bytes, etag: &Etag) -> PortResult<Replaced> {
        self.life.write(self.port.put_if_match(name, bytes, etag)).await
    }

    async fn delete(&self, name: &str) -> PortResult<()> {
        self.life.write(self.port.delete(name)).await
    }

    async fn list(&self, prefix: &str, after: Option<&str>, limit: usize) -> PortResult<Vec<ObjectInfo>> {
        self.life.read(self.port.list(prefix, after, limit)).await
    }
}

struct Office {
    dir: tempfile::TempDir,
    backend: Embedded,
    clock: Arc<TestClock>,
    directory: Directory,
    it: Administration,
    store: Mailstore,
}

impl Office {
    fn open() -> Office {
        let dir = tempfile::tempdir().expect("a temporary folder");
        let backend = Embedded::open(dir.path(), &Options::server()).expect("opens");
        let clock = Arc::new(TestClock(AtomicI64::new(1_795_076_130_000)));
        let (directory, it, store) = rooms(&backend, &clock, None);
        Office { dir, backend, clock, directory, it, store }
    }

    fn pass(&self, days: i64) {
        self.clock.0.fetch_add(days * DAY, Ordering::SeqCst);
    }

    /// Housekeeping that dies after so many writes, if it is to.
    fn house(&self, life: Option<Life>) -> Housekeep {
        let (_, it, store) = rooms(&self.backend, &self.clock, life.map(Arc::new).as_ref());
        Housekeep::new(store, self.backend.control(), self.backend.queue(), Settings::default())
            .carrying_out(it)
    }

    async fn handle(&self, house: House) {
        assert_eq!(self.house(None).handle(vec![Event::House(house)]).await, [Ok(Vec::new())], "{house:?}");
    }

    /// Does housekeeping have something to erase?
    async fn is_erasing_asked_for(&self) -> bool {
        let (queue, mut found) = (self.backend.queue(), false);
        let hour = Duration::from_secs(3_600);
        for received in queue.receive(Stage::Housekeep, 100, hour, Duration::ZERO).await.expect("received") {
            let event = Event::read(Stage::Housekeep, &received.body).expect("an event");
            found |= matches!(event, Event::House(House::Erase(_)));
            queue.ack(Stage::Housekeep, &[received.receipt]).await.expect("acknowledged");
        }
        found
    }

    /// A tenant with something of much.
    async fn tenant(&self, name: &str) -> TenantId {
        let tenant = self.directory.add_tenant(name).await.expect("tenant").id;
        let domain = format!("{name}.example");
        self.directory.add_domain(tenant, &domain).await.expect("domain");
        let plan = Plan { ends: Some(self.clock.now().plus_millis(DAY)), ..Plan::pro() };
        assert!(self.directory.set_plan(tenant, None, &plan).await.expect("a plan"));
        let room = Mailroom::new(self.store.clone());
        let mut keys = Vec::new();
        for local in ["ann", "bob"] {
            let address = format!("{local}@{domain}");
            let added = self.directory.add_account(&address, "a long password", local, None).await;
            let key = added.expect("account").key;
            keys.push(key);
            room.account(key).await.expect("journal");
            let raw = format!("Subject: {local}\r\n\r\n{}\r\n", "hello ".repeat(50_000));
            let event = RandomIds.event(self.clock.now());
            let letter = Incoming::prepare(raw.as_bytes(), event, FlagSet::default(), Timestamp(77_000));
            let state = self.store.load(key, Consistency::Strong).await.expect("state");
            let (actor, letters) = (Actor::Member(Protocol::Import), [letter.expect("prepares")]);
            self.store
                .store(key, state, &actor, MailboxId::INBOX, &letters, |_| Ok(()))
                .await
                .expect("stores");
        }
        let ann = format!("ann@{domain}");
        self.directory.add_alias(&format!("info@{domain}"), &[ann.as_str()]).await.expect("an alias");
        let purchase = OrderTerms {
            kind: PurchaseKind::Buy,
            edition: "pro".to_owned(),
            seats: 2,
            vip_seats: 0,
            amount: 100,
            currency: "EUR".to_owned(),
            starts: self.clock.now(),
            ends: self.clock.now().plus_millis(DAY),
            note: String::new(),
        };
        self.it.add_purchase(&OPERATOR, tenant, purchase).await.expect("an order");
        let spooled = format!("{tenant}/spool/{}", RandomIds.event(self.clock.now()));
        self.backend.objects().put_unique(&spooled, Bytes::from_static(b"x")).await.expect("spooled");
        let outbox = Outbox::new(self.backend.control());
        let waiting = outbound(keys[0], self.clock.now().plus_millis(100 * DAY), &spooled);
        assert!(outbox.add(&waiting, || Timestamp(0)).await.expect("added"));
        self.give_up(tenant).await;
        let record = |kind| LogRecord {
            tenant,
            kind,
            id: RandomIds.event(self.clock.now()),
            time: self.clock.now(),
            value: b"what happened".to_vec(),
        };
        let records = [LogKind::Trace, LogKind::Login, LogKind::Audit, LogKind::Usage].map(record);
        self.backend.log().append(&records).await.expect("logged");
        tenant
    }

    /// A letter that nobody could deal with.
    async fn give_up(&self, tenant: TenantId) {
        let queue = self.backend.queue();
        let message = Outgoing { tenant, body: b"a letter".to_vec(), delay: Duration::ZERO };
        queue.send_batch(Stage::Deliver, vec![message]).await.remove(0).expect("sent");
        let hour = Duration::from_secs(3_600);
        let received =
            queue.receive(Stage::Deliver, 1, hour, Duration::from_secs(5)).await.expect("received");
        queue.dead_letter(Stage::Deliver, &received[0].receipt, "no reason").await.expect("given up");
    }

    /// Rows of the control table that are a tenant's, or name it.
    fn rows(&self, tenant: TenantId) -> BTreeSet<String> {
        rows(self.dir.path(), tenant)
    }

    /// Everything else that is a tenant's.
    async fn rest(&self, tenant: TenantId) -> BTreeSet<String> {
        let mut found = BTreeSet::new();
        for account in self.backend.journal().accounts(tenant, None, 100).await.expect("accounts") {
            let entries = self.backend.journal().since(account, Seq::ZERO, 1_000, Consistency::Strong).await;
            found.extend(entries.expect("entries").iter().map(|entry| format!("{account} {}", entry.seq)));
        }
        let prefix = format!("{tenant}/");
        let objects = self.backend.objects().list(&prefix, None, 1_000).await.expect("objects");
        found.extend(objects.into_iter().map(|object| object.name));
        let letters = self.backend.queue().dead_letters(None, 100).await.expect("dead letters");
        found.extend(
            letters.iter().filter(|letter| letter.tenant == tenant).map(|letter| format!("{:?}", letter.id)),
        );
        for kind in [LogKind::Trace, LogKind::Login, LogKind::Audit] {
            let (from, to) =
                (EventId::from_parts(Timestamp(0), 0), RandomIds.event(Timestamp((1 << 47) - 1)));
            let query = LogQuery { tenant, kind, from, to, limit: 100 };
            let records = self.backend.log().query(&query).await.expect("records");
            found.extend(records.iter().map(|record| format!("{} {}", kind.name(), record.id)));
        }
        found
    }

    async fn state(&self, tenant: TenantId) -> EndState {
        self.it.ending(&OPERATOR, tenant).await.expect("an ending").state
    }
}

fn rooms(
    backend: &Embedded,
    clock: &Arc<TestClock>,
    life: Option<&Arc<Life>>,
) -> (Directory, Administration, Mailstore) {
    let (mut control, mut objects, mut journal) = (backend.control(), backend.objects(), backend.journal());
    if let Some(life) = life {
        let life = || Arc::clone(life);
        control = Arc::new(Mortal { life: life(), port: control });
        objects = Arc::new(Mortal { life: life(), port: objects });
        journal = Arc::new(Mortal { life: life(), port: journal });
    }
    let ids: Arc<dyn Ids> = Arc::new(RandomIds);
    let clock = || Arc::clone(clock) as Arc<dyn Clock>;
    let directory = Directory::new(Arc::clone(&control), clock(), Arc::clone(&ids));
    let it = Administration::new(directory.clone(), control, clock(), Arc::clone(&ids))
        .with_tasks(Arc::clone(&objects), backend.queue())
        .reading(backend.log());
    (directory, it, Mailstore::new(journal, objects, clock(), ids))
}

fn rows(dir: &Path, tenant: TenantId) -> BTreeSet<String> {
    let base = Connection::open_with_flags(dir.join("mail.db"), OpenFlags::SQLITE_OPEN_READ_ONLY);
    let base = base.expect("opens");
    let mut query = base.prepare("SELECT partition || ' ' || sort, value FROM control").expect("a query");
    let all = query.query_map([], |row| row.get::<_, String>(0)).expect("rows");
    all.map(|row| row.expect("a row")).filter(|row| row.contains(&tenant.to_string())).collect()
}

fn outbound(sender: AccountKey, next: Timestamp, object: &str) -> Outbound {
    Outbound {
        tenant: sender.tenant,
        message: RandomIds.event(Timestamp(5)),
        destination: "other.example".to_owned(),
        part: 0,
        items: 1,
        size: 9,
        accepted: Timestamp(5),
        reverse_path: "ann@acme.example".to_owned(),
        sender: (sender, "ann@acme.example".to_owned()),
        object: object.to_owned(),
        is_shared: true,
        head: Vec::new(),
        recipients: vec![Addressee {
            address: "you@other.example".to_owned(),
            outcome: RemoteOutcome::Deferred,
            answer: RemoteAnswer::default(),
            said: None,
        }],
        attempts: 0,
        claimed: false,
        next,
        claim: Timestamp::default(),
        ended: 0,
        delay_told: false,
        last: None,
        demand: None,
        asked: None,
        is_private: false,
        doubts: Vec::new(),
    }
}

/// Feature TEN-11: after the term and a time of grace that the operator sets, or at the operator's order, everything of a tenant is erased as a task that goes on after any death: accounts, mail, letters that wait to be sent, items, logs; domains and the name become free; administrators read the date before; the operator holds it
#[tokio::test(flavor = "multi_thread")]
async fn a_tenant_that_has_ended_is_erased_whoever_dies_in_it_and_no_other() {
    let office = Office::open();
    let ninety = EndingRules { grace_days: Some(90) };
    office.it.change_ending_rules(&OPERATOR, EndingRules::default(), ninety).await.expect("said");
    let (acme, other) = (office.tenant("acme").await, office.tenant("other").await);
    let plan = Plan { ends: None, ..office.directory.tenant(other).await.unwrap().unwrap().plan.unwrap() };
    let seen = office.directory.tenant(other).await.unwrap().unwrap().plan;
    assert!(office.directory.set_plan(other, seen.as_ref(), &plan).await.expect("a plan without an end"));
    let neighbour = (office.rows(other), office.rest(other).await);
    assert!(office.rest(acme).await.len() > 8, "{:?}", office.rest(acme).await);

    // Before the end the date can be read; at the end the time of grace begins, and no sooner than it could be read of.
    let told = office.it.ending(&OPERATOR, acme).await.expect("an ending");
    assert_eq!((told.state, told.cause), (EndState::Open, Some(EndCause::Term)));
    assert_eq!(told.erased_from, Some(office.clock.now().plus_millis(91 * DAY)));
    office.pass(200);
    office.handle(House::Audit(acme)).await;
    assert!(!office.is_erasing_asked_for().await, "nobody could read of it yet");
    office.handle(House::Erase(acme)).await;
    assert_eq!(office.state(acme).await, EndState::Ended);
    // What is held stays, however late it is.
    office.it.hold_tenant(&OPERATOR, acme, Some("a court")).await.expect("held");
    office.pass(15);
    office.handle(House::Audit(acme)).await;
    office.handle(House::Erase(acme)).await;
    assert_eq!((office.state(acme).await, office.is_erasing_asked_for().await), (EndState::Held, false));
    office.it.hold_tenant(&OPERATOR, acme, None).await.expect("released");
    // The operator may have said that nothing goes by itself.
    let never = EndingRules::default();
    office.it.change_ending_rules(&OPERATOR, ninety, never).await.expect("said");
    office.handle(House::Audit(acme)).await;
    assert!(!office.is_erasing_asked_for().await);
    office.it.change_ending_rules(&OPERATOR, never, ninety).await.expect("said");
    office.handle(House::Audit(acme)).await;
    assert!(office.is_erasing_asked_for().await);

    let known = office.backend.journal().accounts(acme, None, 100).await.expect("accounts");
    assert_eq!(known.len(), 2);
    // Whoever dies, another one goes on.
    let mut lives = 0;
    while office.directory.tenant(acme).await.unwrap().is_some_and(|_| lives < 2_000) {
        let life = Life { writes: AtomicI64::new(lives % 3), after: lives % 2 == 0 };
        let done = office.house(Some(life)).handle(vec![Event::House(House::Erase(acme))]).await;
        lives += 1;
        if done == [Ok(Vec::new())] && office.state(acme).await == EndState::Erased {
            break;
        }
    }
    assert!((15..2_000).contains(&lives), "{lives} lives");
    assert_eq!(office.rest(acme).await, BTreeSet::new());
    let left = office.rows(acme);
    let kept = |row: &String| KEPT_PARTITIONS.iter().any(|name| row.starts_with(&format!("{acme}/{name} ")));
    // Whose journals are to be erased once more is known until that is done.
    let noted = |row: &&String| row.starts_with(&format!("{acme}/erased-journals "));
    assert_eq!(left.iter().filter(noted).count(), 2, "{left:?}");
    let own: Vec<&String> = left.iter().filter(|row| !kept(row) && !noted(row)).collect();
    assert_eq!(own, [&format!("{acme} tenant"), &format!("installation/endings {acme}")], "{left:?}");
    // Its domain is free, for whoever has it next.
    office.directory.add_domain(other, "acme.example").await.expect("free");
    office
        .directory
        .remove_domain(other, &DomainName::parse("acme.example").unwrap(), 1)
        .await
        .expect("gone");
    // Nothing leads back.
    office.it.hold_tenant(&OPERATOR, acme, Some("too late")).await.expect_err("begun");
    office.it.withdraw_erasure(&OPERATOR, acme).await.expect_err("begun");
    office.directory.set_plan(acme, None, &Plan::pro()).await.expect_err("no tenant any more");
    office.directory.add_tenant("acme").await.expect_err("its name is not free yet");

    // What was still in a queue goes with a pass some weeks later, and the tenant with it.
    let late = AccountKey { tenant: acme, account: pennypost_model::AccountId(9) };
    Mailroom::new(office.store.clone()).account(late).await.expect("a journal that came late");
    // Somebody had a journal open when it was erased: only the head is there, and no entry by which it would be found.
    let head = Head { base_seq: Seq(1), base: "a base".to_owned() };
    assert_eq!(office.backend.journal().advance_head(known[0], &head).await, Ok(true));
    // The other chores of the day make nothing anew.
    let before = office.rows(acme);
    for chore in [House::CollectGarbage(acme), House::Domains(acme), House::Statistics(acme)] {
        office.handle(chore).await;
    }
    assert_eq!(office.rows(acme), before);
    office.pass(10);
    office.handle(House::Audit(acme)).await;
    assert!(office.is_erasing_asked_for().await);
    office.handle(House::Erase(acme)).await;
    assert_eq!(office.rest(acme).await, BTreeSet::new());
    assert!(office.directory.tenant(acme).await.unwrap().is_some());
    office.pass(7);
    office.handle(House::Erase(acme)).await;
    assert_eq!(office.directory.tenant(acme).await, Ok(None));
    let newest = office.backend.journal().newest(known[0], 1, Consistency::Strong).await;
    assert_eq!(newest, Ok(Newest::default()));
    office.handle(House::Statistics(acme)).await;
    assert_eq!(office.it.erased_tenants().await.expect("read"), [acme]);
    assert_eq!(office.it.left_of_erased(&[acme]).await, Ok(Vec::new()));
    let kept = office.rows(acme).into_iter().filter(|row| !kept(row)).collect::<Vec<_>>();
    assert_eq!(kept, [format!("installation/endings {acme}")]);
    office.handle(House::Erase(acme)).await;
    let told = office.it.endings(&OPERATOR, &Page::default()).await.expect("endings").items;
    assert_eq!((told.len(), told[0].state, told[0].cause), (1, EndState::Erased, Some(EndCause::Term)));
    // What was erased by those who died is not counted.
    assert!(told[0].counts.accounts > 0 && told[0].counts.items > 0, "{told:?}");
    let book = office.it.operations(&OPERATOR, None, (None, None), 0, 100).await.expect("records").0;
    assert!(book.iter().any(|record| record.entry.action == "tenant.erase" && record.entry.object == "acme"));
    office.directory.add_tenant("acme").await.expect("the name is free");
    assert_eq!((office.rows(other), office.rest(other).await), neighbour);
}

/// Feature TEN-11: free tenants to whose domains no mail was brought for 30 days in a row count as ended
#[tokio::test(flavor = "multi_thread")]
async fn a_free_tenant_without_mail_ends_unless_it_comes_back() {
    let office = Office::open();
    let tenant = office.directory.add_tenant("free").await.expect("tenant").id;
    office.directory.add_domain(tenant, "free.example").await.expect("domain");
    assert!(office.directory.set_plan(tenant, None, &Plan::basic()).await.expect("a plan"));
    let name = DomainName::parse("free.example").expect("a name");
    let since = office.clock.now();
    let health = async |takes_mail: bool| {
        let health = DomainHealth {
            time: office.clock.now(),
            takes_mail: Some(takes_mail),
            without_mail_since: (!takes_mail).then_some(since),
            needs_attention: !takes_mail,
            is_protected: false,
        };
        office.directory.note_health(tenant, &name, health).await.expect("noted");
    };
    health(false).await;
    assert_eq!(office.state(tenant).await, EndState::Open);
    office.pass(31);
    assert_eq!(office.state(tenant).await, EndState::Open, "nobody has looked for weeks");
    health(false).await;
    let ended = office.it.ending(&OPERATOR, tenant).await.expect("an ending");
    assert_eq!((ended.state, ended.cause), (EndState::Ended, Some(EndCause::NoMail)));
    assert_eq!(ended.ended, Some(since.plus_millis(30 * DAY)));
    office.handle(House::Audit(tenant)).await;
    health(true).await;
    office.handle(House::Audit(tenant)).await;
    assert_eq!(office.state(tenant).await, EndState::Open);
    assert_eq!(office.it.endings(&OPERATOR, &Page::default()).await.expect("none").items, []);
}
