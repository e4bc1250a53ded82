//! What a delivery reads of the journal does not depend on how much came in before it.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicUsize, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use pennypost_backend_embedded::{Embedded, Options};
use pennypost_deliver::{Deliver, Memory};
use pennypost_fold::DraftError;
use pennypost_mailstore::compress::compress;
use pennypost_mailstore::{Incoming, Mailroom, Mailstore};
use pennypost_model::event::{
    Accepted, AuthResults, Body, Decided, Decision, Event, Recipient, Source, SourceKind, Target, Via,
};
use pennypost_model::journal::{Actor, Entry, Protocol};
use pennypost_model::message::{Facts, Sidecar};
use pennypost_model::structure::Structure;
use pennypost_model::{
    AccountId, AccountKey, EventId, FlagSet, MailboxId, MailboxRole, Seq, TenantId, Timestamp,
};
use pennypost_ports::{
    Appended, Clock, Consistency, Head, Journal, NewObject, Newest, PortResult, RandomIds,
};
use pennypost_runtime::Handler;

const ANN: AccountKey = AccountKey { tenant: TenantId(7), account: AccountId(1) };

struct TestClock(AtomicI64);

#[async_trait]
impl Clock for TestClock {
    fn now(&self) -> Timestamp {
        Timestamp(self.0.load(Ordering::SeqCst))
    }

    async fn sleep(&self, duration: Duration) {
        self.0.fetch_add(i64::try_from(duration.as_millis()).expect("works"), Ordering::SeqCst);
    }
}

/// Counts the entries that are read.
struct Counted {
    inner: Arc<dyn Journal>,
    read: AtomicUsize,
}

impl Counted {
    fn count(&self, entries: &[Entry]) {
        self.read.fetch_add(entries.len(), Ordering::SeqCst);
    }
}

#[async_trait]
impl Journal for Counted {
    async fn append(&self, account: AccountKey, entry: &Entry) -> PortResult<Appended> {
        self.inner.append(account, entry).await
    }

    fn takes_objects(&self) -> usize {
        self.inner.takes_objects()
    }

    async fn append_with(
        &self,
        account: AccountKey,
        entry: &Entry,
        object: NewObject,
    ) -> PortResult<Appended> {
        self.inner.append_with(account, entry, object).await
    }

    async fn since(
        &self,
        account: AccountKey,
        after: Seq,
        limit: usize,
        consistency: Consistency,
    ) -> PortResult<Vec<Entry>> {
        let entries = self.inner.since(account, after, limit, consistency).await?;
        self.count(&entries);
        Ok(entries)
    }

    async fn before(&self, account: AccountKey, upto: Seq, limit: usize) -> PortResult<Vec<Entry>> {
        let entries = self.inner.before(account, upto, limit).await?;
        self.count(&entries);
        Ok(entries)
    }

    async fn newest(
        &self,
        account: AccountKey,
        limit: usize,
        consistency: Consistency,
    ) -> PortResult<Newest> {
        let newest = self.inner.newest(account, limit, consistency).await?;
        self.count(&newest.entries);
        Ok(newest)
    }

    async fn advance_head(&self, account: AccountKey, head: &Head) -> PortResult<bool> {
        self.inner.advance_head(account, head).await
    }

    async fn accounts(
        &self,
        tenant: TenantId,
        after: Option<AccountKey>,
        limit: usize,
    ) -> PortResult<Vec<AccountKey>> {
        self.inner.accounts(tenant, after, limit).await
    }
}

struct Fixture {
    _dir: tempfile::TempDir,
    backend: Embedded,
    journal: Arc<Counted>,
    clock: Arc<TestClock>,
    store: Mailstore,
}

fn fixture() -> Fixture {
    let dir = tempfile::tempdir().expect("works");
    let backend = Embedded::open(dir.path(), &Options::server()).expect("works");
    let clock = Arc::new(TestClock(AtomicI64::new(1_795_076_130_000)));
    let journal = Arc::new(Counted { inner: backend.journal(), read: AtomicUsize::new(0) });
    let ports = (Arc::clone(&journal) as _, backend.objects(), Arc::clone(&clock) as _);
    let store = Mailstore::new(ports.0, ports.1, ports.2, Arc::new(RandomIds));
    Fixture { _dir: dir, backend, journal, clock, store }
}

impl Fixture {
    fn deliverer(&self, memory: Memory) -> Deliver {
        Deliver::with_memory(self.store.clone(), self.backend.log(), memory)
    }

    /// A letter that is accepted now.
    fn letter(&self) -> Decided {
        let time = self.clock.now();
        let id: EventId = self.store.ids().event(time);
        let recipient = Recipient { account: ANN, address: "ann@test".to_owned(), via: Via::Direct };
        let decision = Decision {
            target: Target::Role(MailboxRole::Inbox),
            flags: FlagSet::default(),
            reasons: Vec::new(),
        };
        Decided {
            accepted: Accepted {
                id,
                time,
                tenant: ANN.tenant,
                source: Source { kind: SourceKind::Smtp, ip: None, helo: String::new(), tls: None },
                auth: AuthResults::default(),
                reverse_path: String::new(),
                recipients: vec![recipient],
                body: Body::Inline(
                    compress(format!("Subject: {id}\r\n\r\nhi\r\n").as_bytes()).expect("works"),
                ),
                receipt: String::new(),
            },
            sidecar: Sidecar {
                structure: Structure::default(),
                facts: Facts::default(),
                receipt: String::new(),
            },
            decisions: vec![decision],
        }
    }

    async fn deliver(&self, handler: &Deliver, letter: Decided) {
        for outcome in handler.handle(vec![Event::Decided(Box::new(letter))]).await {
            outcome.expect("works");
        }
    }

    /// A member stores so many messages, each by itself.
    async fn append(&self, count: usize) {
        let live = Mailroom::new(self.store.clone()).account(ANN).await.expect("works");
        let (actor, now) = (Actor::Member(Protocol::Imap), self.clock.now());
        let event = self.store.ids().event(now);
        let message =
            Incoming::prepare(b"Subject: x\r\n\r\ny\r\n", event, FlagSet::default(), now).expect("works");
        for _ in 0..count {
            let allow = |_: &pennypost_fold::State| Ok::<(), DraftError>(());
            live.store_messages(&actor, MailboxId::INBOX, std::slice::from_ref(&message), allow)
                .await
                .expect("works");
        }
    }

    fn entries_read(&self) -> usize {
        self.journal.read.swap(0, Ordering::SeqCst)
    }

    async fn messages(&self) -> u64 {
        self.store.load(ANN, Consistency::Strong).await.expect("works").used.messages
    }
}

#[tokio::test]
async fn what_came_in_lately_is_read_once_and_not_by_each_delivery() {
    let fixture = fixture();
    let memory = Memory { events: 10, ..Memory::default() };
    let deliver = fixture.deliverer(memory);
    fixture.append(300).await;
    fixture.entries_read();
    fixture.deliver(&deliver, fixture.letter()).await;
    let first = fixture.entries_read();
    assert!((300..=400).contains(&first), "the last two minutes, once: {first}");
    let mut letters = Vec::new();
    for _ in 0..200 {
        let letter = fixture.letter();
        letters.push(letter.clone());
        fixture.deliver(&deliver, letter).await;
    }
    assert_eq!(fixture.entries_read(), 0, "the newest end is known");

    // Those that come again are found, wherever they are remembered.
    for letter in letters {
        fixture.deliver(&deliver, letter).await;
    }
    assert_eq!(fixture.messages().await, 501);
    fixture.entries_read();

    // So it is after a start.
    let deliver = fixture.deliverer(memory);
    for _ in 0..100 {
        fixture.deliver(&deliver, fixture.letter()).await;
    }
    let read = fixture.entries_read();
    assert!(read <= 600, "{read}");
}

#[tokio::test]
async fn repetitions_are_found_at_every_distance() {
    for memory in [
        Memory { events: 4, seen: 0, page: 3, ..Memory::default() },
        Memory { events: 4, seen: 7, page: 3, ..Memory::default() },
        Memory { events: 4, seen: 64, page: 3, ..Memory::default() },
        Memory::default(),
    ] {
        let fixture = fixture();
        let deliver = fixture.deliverer(memory);
        let mut letters: Vec<Decided> = Vec::new();
        for number in 0..60 {
            let letter = fixture.letter();
            letters.push(letter.clone());
            fixture.deliver(&deliver, letter).await;
            fixture.clock.0.fetch_add(1_000, Ordering::SeqCst);
            if let Some(again) = letters.get(number * 7 % 60) {
                fixture.deliver(&deliver, again.clone()).await;
            }
            assert_eq!(fixture.messages().await, letters.len() as u64);
        }
        let restarted = fixture.deliverer(memory);
        for letter in letters {
            fixture.deliver(&restarted, letter).await;
        }
        assert_eq!(fixture.messages().await, 60, "{memory:?}");
    }
}
