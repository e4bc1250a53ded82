//! Housekeeping on the embedded backend with a clock of our own.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use pennypost_backend_embedded::{Embedded, Options};
use pennypost_mailstore::{Incoming, Mailroom, Mailstore, Placed, StoreError, names};
use pennypost_model::event::{Accepted, AuthResults, Body, Event, Source, SourceKind};
use pennypost_model::journal::{Actor, DeleteReason, Entry, Protocol};
use pennypost_model::message::BlobRef;
use pennypost_model::{
    AccountId, AccountKey, EventId, FlagSet, MailboxId, Rid, Seq, TenantId, Timestamp, UidSet, codec,
};
use pennypost_ports::{
    Appended, Clock, Consistency, ControlKey, Created, Etag, Expected, ObjectInfo, Objects, Outgoing,
    PortError, PortResult, Put, RandomIds, Replaced,
};

use crate::hints::Hint;
use crate::{Housekeep, Removed, Settings};

const TENANT: TenantId = TenantId(7);
pub(crate) const ANN: AccountKey = AccountKey { tenant: TENANT, account: AccountId(1) };
const BOB: AccountKey = AccountKey { tenant: TENANT, account: AccountId(2) };
pub(crate) const DAY: i64 = 86_400_000;

struct TestClock(AtomicI64);

#[async_trait]
impl Clock for TestClock {
    fn now(&self) -> Timestamp {
        Timestamp(self.0.load(Ordering::SeqCst))
    }

    async fn sleep(&self, duration: Duration) {
        self.0.fetch_add(i64::try_from(duration.as_millis()).unwrap(), Ordering::SeqCst);
    }
}

/// Counts the reads of whole objects, and fails ranged ones when asked to.
struct Watched {
    inner: Arc<dyn Objects>,
    whole_reads: AtomicU64,
    /// Bytes of packs that were read in ranges, and bytes of segments that were written.
    pack_bytes: AtomicU64,
    segment_bytes: AtomicU64,
    out_of_order: AtomicBool,
}

#[async_trait]
impl Objects for Watched {
    async fn put_unique(&self, name: &str, bytes: Bytes) -> PortResult<Created> {
        if name.starts_with(&names::segments(ANN)) {
            self.segment_bytes.fetch_add(bytes.len() as u64, Ordering::SeqCst);
        }
        self.inner.put_unique(name, bytes).await
    }

    async fn get(&self, name: &str) -> PortResult<(Bytes, Etag)> {
        self.whole_reads.fetch_add(1, Ordering::SeqCst);
        self.inner.get(name).await
    }

    async fn get_range(&self, name: &str, start: u64, len: u64) -> PortResult<Bytes> {
        if self.out_of_order.load(Ordering::SeqCst) {
            return Err(PortError::Unavailable { port: "objects", cause: "a test".to_owned() });
        }
        if name.starts_with(&names::packs(ANN.tenant)) {
            self.pack_bytes.fetch_add(len, Ordering::SeqCst);
        }
        self.inner.get_range(name, start, len).await
    }

    async fn put_if_match(&self, name: &str, bytes: Bytes, etag: &Etag) -> PortResult<Replaced> {
        self.inner.put_if_match(name, bytes, etag).await
    }

    async fn delete(&self, name: &str) -> PortResult<()> {
        self.inner.delete(name).await
    }

    async fn list(&self, prefix: &str, after: Option<&str>, limit: usize) -> PortResult<Vec<ObjectInfo>> {
        self.inner.list(prefix, after, limit).await
    }
}

pub(crate) struct Fixture {
    house: Housekeep,
    objects: Arc<Watched>,
    pub store: Mailstore,
    clock: Arc<TestClock>,
    pub backend: Arc<Embedded>,
    dir: Arc<tempfile::TempDir>,
}

pub(crate) fn fixture() -> Fixture {
    let dir = tempfile::tempdir().unwrap();
    let backend = Arc::new(Embedded::open(dir.path(), &Options::server()).unwrap());
    let clock = Arc::new(TestClock(AtomicI64::new(1_795_076_130_000)));
    fixture_on(Arc::new(dir), backend, clock)
}

fn fixture_on(dir: Arc<tempfile::TempDir>, backend: Arc<Embedded>, clock: Arc<TestClock>) -> Fixture {
    let objects = Arc::new(Watched {
        inner: backend.objects(),
        whole_reads: AtomicU64::new(0),
        pack_bytes: AtomicU64::new(0),
        segment_bytes: AtomicU64::new(0),
        out_of_order: AtomicBool::new(false),
    });
    let (journal, watched) = (backend.journal(), Arc::clone(&objects) as _);
    let store = Mailstore::new(journal, watched, Arc::clone(&clock) as _, Arc::new(RandomIds));
    // Bases are built only where a test asks for them.
    let settings = Settings { long_tail: u64::MAX, ..Settings::default() };
    let house = Housekeep::new(store.clone(), backend.control(), backend.queue(), settings);
    Fixture { house, objects, store, clock, backend, dir }
}

impl Fixture {
    /// The same store, in the eyes of a process that knows nothing of it yet.
    pub fn anew(&self) -> Fixture {
        fixture_on(Arc::clone(&self.dir), Arc::clone(&self.backend), Arc::clone(&self.clock))
    }

    /// Whole objects that were read, bytes of packs that were read, bytes of segments that were written, since the
    /// last time.
    pub fn work(&self) -> (u64, u64, u64) {
        let [whole, packs, segments] =
            [&self.objects.whole_reads, &self.objects.pack_bytes, &self.objects.segment_bytes]
                .map(|count| count.swap(0, Ordering::SeqCst));
        (whole, packs, segments)
    }

    pub fn pass(&self, millis: i64) {
        self.clock.0.fetch_add(millis, Ordering::SeqCst);
    }

    /// Stores one message of each size, in one pack, in the Inbox.
    pub async fn arrive(
        &self,
        account: AccountKey,
        sizes: &[usize],
    ) -> (MailboxId, Vec<Placed>, Vec<BlobRef>) {
        Mailroom::new(self.store.clone()).account(account).await.unwrap();
        let state = self.store.load(account, Consistency::Strong).await.unwrap();
        let inbox = state.mailbox_named("INBOX").unwrap().id;
        let ids = self.store.ids();
        let messages: Vec<Incoming> = sizes
            .iter()
            .map(|size| {
                let event = ids.event(self.clock.now());
                let mut raw = format!("Subject: {event}\r\n\r\n").into_bytes();
                // Random bytes, so that the entry is as large as the message.
                raw.extend(std::iter::repeat_with(|| ids.random().to_le_bytes()).take(size / 8).flatten());
                Incoming::prepare(&raw, event, FlagSet::default(), self.clock.now()).unwrap()
            })
            .collect();
        let actor = Actor::Member(Protocol::Import);
        let stored = self.store.store(account, state, &actor, inbox, &messages, |_| Ok(())).await.unwrap();
        let mailbox = stored.state.mailbox(inbox).unwrap();
        let blob = |placed: &Placed| mailbox.rows.find(placed.uid).unwrap().1.blob;
        let blobs = stored.value.iter().map(blob).collect();
        (inbox, stored.value, blobs)
    }

    pub async fn delete(&self, account: AccountKey, mailbox: MailboxId, placed: Placed) {
        let state = self.store.load(account, Consistency::Strong).await.unwrap();
        let uids: UidSet = [placed.uid].into_iter().collect();
        let actor = Actor::Member(Protocol::Imap);
        let deleting = self.store.commit(account, state, &actor, |draft| {
            draft.delete_messages(mailbox, &uids, DeleteReason::Expunge).map(drop)
        });
        deleting.await.unwrap();
    }

    /// Stores a message, deletes it and lets its window pass: its hint is written, it is forgotten.
    async fn forgotten(&self, account: AccountKey) -> BlobRef {
        let (inbox, placed, blobs) = self.arrive(account, &[1000]).await;
        self.delete(account, inbox, placed[0]).await;
        self.pass(15 * DAY);
        self.house.keep_account(account).await.unwrap();
        self.pass(2 * DAY);
        blobs[0]
    }

    pub async fn damage(&self, name: &str) {
        let objects = self.store.objects();
        let (bytes, etag) = objects.get(name).await.unwrap();
        let junk = vec![0x55; bytes.len()];
        assert_eq!(objects.put_if_match(name, junk.into(), &etag).await, Ok(Replaced::Stored));
    }

    async fn is_gone(&self, blob: BlobRef) -> bool {
        let found = self.store.objects().get(&names::pack(TENANT, blob.pack)).await;
        matches!(found, Err(PortError::NotFound { .. }))
    }

    async fn hints(&self) -> usize {
        self.house.hints(TENANT, None).await.unwrap().packs.values().map(Vec::len).sum()
    }
}

/// What was hidden, whether rightly or not, is not lost with what its owner has deleted.
#[tokio::test]
async fn hidden_letters_are_kept_for_a_time_of_their_own() {
    let fixture = fixture();
    let (inbox, placed, _) = fixture.arrive(ANN, &[1000, 1000]).await;
    fixture.delete(ANN, inbox, placed[0]).await;
    let state = fixture.store.load(ANN, Consistency::Strong).await.unwrap();
    let uids: UidSet = [placed[1].uid].into_iter().collect();
    let hiding = fixture.store.commit(ANN, state, &Actor::Admin, |draft| {
        draft.delete_messages(inbox, &uids, DeleteReason::Admin).map(drop)
    });
    hiding.await.unwrap();
    for (days, left) in [(13, 2), (2, 1), (164, 1), (2, 0)] {
        fixture.pass(days * DAY);
        let state = fixture.house.keep_account(ANN).await.unwrap();
        assert_eq!(state.deleted().iter().count(), left, "after {days} more days");
    }
}

#[tokio::test]
async fn a_damaged_pack_does_not_stop_the_collection_of_another() {
    let fixture = fixture();
    let damaged = fixture.forgotten(ANN).await;
    let dead = fixture.forgotten(ANN).await;
    assert!(damaged.pack < dead.pack, "the damaged one comes first");
    fixture.damage(&names::pack(TENANT, damaged.pack)).await;
    let removed = fixture.house.collect_garbage(TENANT).await.unwrap();
    assert_eq!(removed, Removed { packs: 1, ..Removed::default() });
    assert!(fixture.is_gone(dead).await);
    assert_eq!(fixture.hints().await, 1, "that of the damaged pack");
}

#[tokio::test]
async fn a_damaged_pack_does_not_stop_the_audit_of_packs_and_spool() {
    let fixture = fixture();
    let damaged = fixture.forgotten(ANN).await;
    let dead = fixture.forgotten(ANN).await;
    fixture.damage(&names::pack(TENANT, damaged.pack)).await;
    let spooled = names::spool(TENANT, damaged.pack);
    assert_eq!(fixture.store.objects().put_unique(&spooled, vec![1].into()).await, Ok(Created::Stored));
    let removed = fixture.house.audit(TENANT).await.unwrap();
    assert_eq!(removed, Removed { packs: 1, rewritten: 0, spooled: 1 });
    assert!(fixture.is_gone(dead).await && !fixture.is_gone(damaged).await);
}

#[tokio::test]
async fn an_owner_that_cannot_be_read_keeps_its_bytes() {
    let fixture = fixture();
    let unreadable = fixture.forgotten(ANN).await;
    let dead = fixture.forgotten(BOB).await;
    let newest = fixture.store.journal().newest(ANN, 1, Consistency::Strong).await.unwrap();
    let last = newest.entries.last().unwrap();
    // An entry behind a hole, as a lost row would leave it.
    let stray = Entry { seq: Seq(last.seq.0 + 2), ..last.clone() };
    assert_eq!(fixture.store.journal().append(ANN, &stray).await, Ok(Appended::Committed));
    assert!(fixture.store.load(ANN, Consistency::Strong).await.is_err());
    fixture.house.collect_garbage(TENANT).await.unwrap();
    fixture.house.audit(TENANT).await.unwrap();
    assert!(!fixture.is_gone(unreadable).await && fixture.is_gone(dead).await);
}

#[tokio::test]
async fn a_pack_is_rewritten_when_it_is_worth_it() {
    for audit in [false, true] {
        let fixture = fixture();
        let (inbox, placed, blobs) = fixture.arrive(ANN, &[30_000, 1000, 2000]).await;
        fixture.delete(ANN, inbox, placed[1]).await;
        fixture.pass(20 * DAY);
        fixture.house.keep_account(ANN).await.unwrap();
        let run = async || {
            if audit {
                fixture.house.audit(TENANT).await.unwrap()
            } else {
                fixture.house.collect_garbage(TENANT).await.unwrap()
            }
        };
        assert_eq!(run().await, Removed::default(), "1 KB is not worth it");
        fixture.delete(ANN, inbox, placed[0]).await;
        fixture.pass(20 * DAY);
        fixture.house.keep_account(ANN).await.unwrap();
        assert_eq!(run().await, Removed { rewritten: 1, ..Removed::default() });
        assert_eq!(run().await, Removed::default());
        let kept = fixture.store.open(TENANT, blobs[2]).await.unwrap().whole().await.unwrap();
        assert!(kept.len() > 2000);
        let gone = fixture.store.open(TENANT, blobs[0]).await;
        assert!(matches!(gone, Err(StoreError::Damaged(_))));
    }
}

#[tokio::test]
async fn the_audit_reads_no_pack_whole_that_stays_or_goes_as_a_whole() {
    let fixture = fixture();
    fixture.arrive(ANN, &[50_000]).await;
    fixture.forgotten(ANN).await;
    let before = fixture.objects.whole_reads.load(Ordering::SeqCst);
    let removed = fixture.house.audit(TENANT).await.unwrap();
    assert_eq!(removed, Removed { packs: 1, ..Removed::default() });
    assert_eq!(fixture.objects.whole_reads.load(Ordering::SeqCst), before);
}

#[tokio::test]
async fn an_error_that_passes_ends_the_audit_of_packs_but_not_of_the_spool() {
    let fixture = fixture();
    let dead = fixture.forgotten(ANN).await;
    let spooled = names::spool(TENANT, dead.pack);
    fixture.store.objects().put_unique(&spooled, vec![1].into()).await.unwrap();
    fixture.objects.out_of_order.store(true, Ordering::SeqCst);
    assert!(fixture.house.audit(TENANT).await.unwrap_err().is_temporary());
    let spool = fixture.store.objects().list(&names::spools(TENANT), None, 10).await;
    assert_eq!(spool, Ok(Vec::new()));
    fixture.objects.out_of_order.store(false, Ordering::SeqCst);
    let removed = fixture.house.audit(TENANT).await.unwrap();
    assert_eq!(removed, Removed { packs: 1, ..Removed::default() });
}

#[tokio::test]
async fn the_audit_goes_through_all_pages() {
    let fixture = fixture();
    let (mut dead, mut alive) = (Vec::new(), Vec::new());
    for (number, account) in [ANN, BOB, BOB, ANN, ANN, BOB, ANN].into_iter().enumerate() {
        let (inbox, placed, blobs) = fixture.arrive(account, &[1000]).await;
        fixture.pass(1);
        if number % 2 == 0 {
            fixture.delete(account, inbox, placed[0]).await;
            dead.push(blobs[0]);
        } else {
            alive.push(blobs[0]);
        }
    }
    fixture.pass(20 * DAY);
    for account in [ANN, BOB] {
        fixture.house.keep_account(account).await.unwrap();
    }
    let removed = fixture.house.audit_packs(TENANT, 2).await.unwrap();
    assert_eq!(removed, Removed { packs: dead.len() as u64, ..Removed::default() });
    for blob in dead {
        assert!(fixture.is_gone(blob).await);
    }
    for blob in alive {
        assert!(fixture.store.open(TENANT, blob).await.unwrap().whole().await.is_ok());
    }
}

#[tokio::test]
async fn a_hint_of_a_live_entry_settles_only_after_a_day() {
    let fixture = fixture();
    let (.., blobs) = fixture.arrive(ANN, &[1000]).await;
    fixture.pass(20 * DAY);
    // A keep_account that has written its hint and not yet its Forget.
    fixture.house.write_hints(TENANT, &[Hint::of(blobs[0])]).await.unwrap();
    fixture.pass(DAY / 2);
    assert_eq!(fixture.house.collect_garbage(TENANT).await, Ok(Removed::default()));
    assert_eq!(fixture.hints().await, 1);
    fixture.pass(DAY);
    assert_eq!(fixture.house.collect_garbage(TENANT).await, Ok(Removed::default()));
    assert_eq!(fixture.hints().await, 0);
    assert!(!fixture.is_gone(blobs[0]).await);
}

#[tokio::test]
async fn all_of_many_hints_are_written() {
    let fixture = fixture();
    let pack = EventId::from_parts(fixture.clock.now(), 1);
    let hints: Vec<Hint> = (0..150).map(|entry| Hint { pack, entry }).collect();
    fixture.house.write_hints(TENANT, &hints).await.unwrap();
    assert_eq!(fixture.hints().await, 150);
}

#[tokio::test]
async fn the_contents_of_a_pack_are_read_from_its_end() {
    let fixture = fixture();
    // A small pack, a large one, and one whose table of contents is longer than what is read at first.
    for sizes in [vec![1000], vec![100_000, 10], vec![10; 400]] {
        let (.., blobs) = fixture.arrive(ANN, &sizes).await;
        let name = names::pack(TENANT, blobs[0].pack);
        let size = fixture.store.objects().get(&name).await.unwrap().0.len() as u64;
        let whole = fixture.store.toc(TENANT, blobs[0].pack).await.unwrap();
        assert_eq!(whole.len(), sizes.len());
        assert_eq!(fixture.store.toc_sized(TENANT, blobs[0].pack, size).await, Ok(whole));
        for wrong in [0, 1, 19, size - 1, size + 1, size + 20_000, u64::MAX] {
            let refused = fixture.store.toc_sized(TENANT, blobs[0].pack, wrong).await;
            assert!(refused.is_err(), "{wrong} instead of {size}");
        }
    }
}

#[tokio::test]
async fn what_was_read_twice_is_read_again_without_the_pack() {
    let fixture = fixture();
    // The last one does not come whole with its beginning, so it is not kept.
    let (.., blobs) = fixture.arrive(ANN, &[0, 5000, 200_000]).await;
    let store = &fixture.store;
    let mut first = Vec::new();
    for blob in &blobs {
        let message = store.open_kept(TENANT, *blob).await.unwrap();
        let whole = message.shared().await.unwrap();
        assert_eq!(whole, message.whole().await.unwrap());
        first.push((whole, message.sidecar().await.unwrap(), message.header().await.unwrap()));
    }
    for blob in &blobs {
        assert!(store.kept(TENANT, *blob).is_none(), "it was read once only");
        let message = store.open_kept(TENANT, *blob).await.unwrap();
        assert!(message.shared().await.is_ok());
    }
    assert!(store.kept(TENANT, blobs[1]).is_some() && store.kept(TENANT, blobs[2]).is_none());
    let read = fixture.objects.pack_bytes.load(Ordering::SeqCst);
    for (blob, (whole, sidecar, header)) in blobs.iter().zip(&first).take(2) {
        let again = store.open_kept(TENANT, *blob).await.unwrap();
        assert_eq!((&again.shared().await.unwrap(), &again.header().await.unwrap()), (whole, header));
        assert_eq!(again.sidecar().await.as_ref(), Ok(sidecar));
        for (start, end) in [(0, 10), (3, 4), (again.header_len(), again.size()), (again.size(), u64::MAX)] {
            let part = &whole[start as usize..end.min(again.size()) as usize];
            assert_eq!(again.range(start..end).await.as_deref(), Ok(part), "{start}..{end}");
        }
    }
    assert_eq!(fixture.objects.pack_bytes.load(Ordering::SeqCst), read, "nothing was read");
    let large = store.open_kept(TENANT, blobs[2]).await.unwrap();
    assert_eq!(large.shared().await.as_ref(), Ok(&first[2].0));
    assert!(fixture.objects.pack_bytes.load(Ordering::SeqCst) > read);
    // Another tenant has none of it, and whoever wants to know what there is reads it.
    fixture.objects.out_of_order.store(true, Ordering::SeqCst);
    assert!(store.open_kept(TenantId(8), blobs[1]).await.is_err());
    assert!(store.open(TENANT, blobs[1]).await.is_err());
    assert!(store.open_kept(TENANT, blobs[1]).await.is_ok());
}

#[tokio::test]
async fn cards_are_found_in_the_journal_and_runs_of_older_programs_go() {
    let fixture = fixture();
    let mut origins: Vec<Rid> = Vec::new();
    for _ in 0..7 {
        origins.extend(fixture.arrive(ANN, &[10, 10]).await.1.iter().map(|placed| placed.rid));
    }
    let cards = fixture.store.cards(ANN, &origins).await.unwrap();
    assert_eq!(cards.keys().copied().collect::<BTreeSet<_>>(), origins.iter().copied().collect());
    let newest = fixture.store.load(ANN, Consistency::Strong).await.unwrap().seq;
    let unknown = Rid::new(Seq(newest.0 + 5), 3);
    assert_eq!(fixture.store.cards(ANN, &[unknown, origins[0]]).await.unwrap().len(), 1);

    let objects = fixture.store.objects();
    let run = format!("{}1/00000000000000000000-00000000000000000007", names::card_runs(TENANT));
    objects.put_unique(&run, "of an older program".into()).await.unwrap();
    fixture.house.audit(TENANT).await.unwrap();
    assert_eq!(objects.list(&names::card_runs(TENANT), None, 100).await, Ok(Vec::new()));
    assert_eq!(fixture.store.cards(ANN, &origins).await.unwrap(), cards);
}

#[tokio::test]
async fn dead_letters_keep_their_spooled_messages() {
    let fixture = fixture();
    let queue = fixture.backend.queue();
    let mut kept = Vec::new();
    // More than one page of dead letters.
    for number in 0..60 {
        let id = fixture.store.ids().event(fixture.clock.now());
        let object = names::spool(TENANT, id);
        fixture.store.objects().put_unique(&object, vec![1].into()).await.unwrap();
        if number == 0 {
            continue;
        }
        kept.push(object.clone());
        let event = Event::Accepted(Box::new(accepted(id, fixture.clock.now(), object)));
        let outgoing = Outgoing { tenant: TENANT, body: codec::encode(&event), delay: Duration::ZERO };
        let stage = event.stage();
        assert_eq!(queue.send_batch(stage, vec![outgoing]).await, [Ok(())]);
        let received =
            queue.receive(stage, 1, Duration::from_secs(60), Duration::from_secs(5)).await.unwrap();
        queue.dead_letter(stage, &received[0].receipt, "a test").await.unwrap();
    }
    fixture.pass(20 * DAY);
    assert_eq!(fixture.house.audit(TENANT).await, Ok(Removed { spooled: 1, ..Removed::default() }));
    let left = fixture.store.objects().list(&names::spools(TENANT), None, 100).await.unwrap();
    let left: BTreeSet<String> = left.into_iter().map(|object| object.name).collect();
    assert_eq!(left, kept.into_iter().collect());
}

#[tokio::test]
async fn while_a_letter_out_cant_be_read_no_bytes_go() {
    let fixture = fixture();
    let id = fixture.store.ids().event(fixture.clock.now());
    let object = names::spool(TENANT, id);
    fixture.store.objects().put_unique(&object, vec![1].into()).await.unwrap();
    // Of a newer program.
    let key = ControlKey::new(format!("{TENANT}/outbound"), format!("{id}/a.example/0"));
    let control = fixture.backend.control();
    let Put::Stored(version) = control.put_if(&key, &[99], Expected::Absent).await.unwrap() else { panic!() };
    fixture.pass(20 * DAY);
    assert_eq!(fixture.house.audit(TENANT).await, Ok(Removed::default()));
    assert_eq!(control.delete_if(&key, version).await, Ok(true));
    assert_eq!(fixture.house.audit(TENANT).await, Ok(Removed { spooled: 1, ..Removed::default() }));
}

fn accepted(id: EventId, time: Timestamp, object: String) -> Accepted {
    let source = Source { kind: SourceKind::Smtp, ip: None, helo: String::new(), tls: None };
    Accepted {
        id,
        time,
        tenant: TENANT,
        source,
        auth: AuthResults::default(),
        reverse_path: String::new(),
        recipients: Vec::new(),
        body: Body::Spooled { object, size: 1 },
        receipt: String::new(),
    }
}
