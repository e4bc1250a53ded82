//! A letter that goes later, where the process dies at any call of any port: before what the call does, or behind it. Whoever
//! comes next finds what there is, and each letter has one end.
//!
//! Feature SND-08 (part): a letter goes once or comes back to Drafts, wherever the server dies; T's and Z's have no tracking, this has

#![allow(clippy::unwrap_used)] // a test may panic

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use pennypost_backend_embedded::{Embedded, Options};
use pennypost_directory::Directory;
use pennypost_held::{Cause, Change, Changed, Held, HeldError, HeldLetters, Lane, Ports, Releaser, State};
use pennypost_mailstore::{compress, names};
use pennypost_model::event::{
    Accepted, AuthResults, Body, Event, Recipient, Source, SourceKind, Stage, Submission, Via,
};
use pennypost_model::message::StoredMessage;
use pennypost_model::trace::Submitter;
use pennypost_model::{AccountKey, EventId, Timestamp, codec};
use pennypost_ports::{
    Clock, Consistency, Control, ControlKey, Created, DeadLetter, DeadLetterId, Depth, Etag, Expected, Ids,
    Item, ObjectInfo, Objects, Outgoing, PortError, PortResult, Put, Queue, RandomIds, Receipt, Received,
    Replaced,
};

const LETTER: &str = "From: Ann <ann@t.test>\r\nDate: then\r\nSubject: later\r\n\r\nhello\r\n";

struct TestClock(AtomicI64);

#[async_trait]
impl Clock for TestClock {
    fn now(&self) -> Timestamp {
        Timestamp(self.0.load(Ordering::SeqCst))
    }

    async fn sleep(&self, _duration: Duration) {}
}

/// What dies at one of its calls.
struct Mortal {
    left: AtomicI64,
    /// It dies behind what the call does.
    is_behind: bool,
    is_dead: AtomicBool,
    control: Arc<dyn Control>,
    objects: Arc<dyn Objects>,
    queue: Arc<dyn Queue>,
}

fn died() -> PortError {
    PortError::Unavailable { port: "test", cause: "died".to_owned() }
}

impl Mortal {
    async fn call<T>(&self, effect: impl Future<Output = PortResult<T>> + Send) -> PortResult<T> {
        if self.is_dead.load(Ordering::SeqCst) {
            return Err(died());
        }
        if self.left.fetch_sub(1, Ordering::SeqCst) > 0 {
            return effect.await;
        }
        self.is_dead.store(true, Ordering::SeqCst);
        if self.is_behind {
            let _ = effect.await;
        }
        Err(died())
    }
}

#[async_trait]
impl Control for Mortal {
    async fn get(&self, key: &ControlKey, consistency: Consistency) -> PortResult<Option<Item>> {
        self.call(self.control.get(key, consistency)).await
    }

    async fn put_if(&self, key: &ControlKey, value: &[u8], expected: Expected) -> PortResult<Put> {
        self.call(self.control.put_if(key, value, expected)).await
    }

    async fn delete_if(&self, key: &ControlKey, version: u64) -> PortResult<bool> {
        self.call(self.control.delete_if(key, version)).await
    }

    async fn query(
        &self,
        partition: &str,
        prefix: &str,
        after: Option<&str>,
        limit: usize,
    ) -> PortResult<Vec<(String, Item)>> {
        self.call(self.control.query(partition, prefix, after, limit)).await
    }
}

#[async_trait]
impl Objects for Mortal {
    async fn put_unique(&self, name: &str, bytes: bytes::Bytes) -> PortResult<Created> {
        self.call(self.objects.put_unique(name, bytes)).await
    }

    async fn get(&self, name: &str) -> PortResult<(bytes::Bytes, Etag)> {
        self.call(self.objects.get(name)).await
    }

    async fn get_range(&self, name: &str, start: u64, len: u64) -> PortResult<bytes::Bytes> {
        self.call(self.objects.get_range(name, start, len)).await
    }

    async fn put_if_match(&self, name: &str, bytes: bytes::Bytes, etag: &Etag) -> PortResult<Replaced> {
        self.call(self.objects.put_if_match(name, bytes, etag)).await
    }

    async fn delete(&self, name: &str) -> PortResult<()> {
        self.call(self.objects.delete(name)).await
    }

    async fn list(&self, prefix: &str, after: Option<&str>, limit: usize) -> PortResult<Vec<ObjectInfo>> {
        self.call(self.objects.list(prefix, after, limit)).await
    }
}

#[async_trait]
impl Queue for Mortal {
    async fn send_batch(&self, stage: Stage, messages: Vec<Outgoing>) -> Vec<PortResult<()>> {
        let sent = self.call(async { Ok(self.queue.send_batch(stage, messages).await) }).await;
        sent.unwrap_or_else(|error| vec![Err(error)])
    }

    async fn receive(
        &self,
        stage: Stage,
        max: usize,
        visibility: Duration,
        wait: Duration,
    ) -> PortResult<Vec<Received>> {
        self.queue.receive(stage, max, visibility, wait).await
    }

    async fn ack(&self, stage: Stage, receipts: &[Receipt]) -> PortResult<()> {
        self.queue.ack(stage, receipts).await
    }

    async fn retry_later(&self, stage: Stage, receipt: &Receipt, delay: Duration) -> PortResult<()> {
        self.queue.retry_later(stage, receipt, delay).await
    }

    async fn dead_letter(&self, stage: Stage, receipt: &Receipt, cause: &str) -> PortResult<()> {
        self.queue.dead_letter(stage, receipt, cause).await
    }

    async fn dead_letters(&self, after: Option<DeadLetterId>, limit: usize) -> PortResult<Vec<DeadLetter>> {
        self.queue.dead_letters(after, limit).await
    }

    async fn replay_dead_letter(&self, id: DeadLetterId) -> PortResult<bool> {
        self.queue.replay_dead_letter(id).await
    }

    async fn discard_dead_letter(&self, id: DeadLetterId) -> PortResult<bool> {
        self.queue.discard_dead_letter(id).await
    }

    async fn depth(&self, stage: Stage) -> PortResult<Depth> {
        self.queue.depth(stage).await
    }
}

struct World {
    _dir: tempfile::TempDir,
    backend: Embedded,
    clock: Arc<TestClock>,
    ann: AccountKey,
    bob: AccountKey,
}

/// One life of a process.
struct Life {
    mortal: Arc<Mortal>,
    held: HeldLetters,
    releaser: Releaser,
}

impl World {
    async fn open() -> World {
        let dir = tempfile::tempdir().unwrap();
        let backend = Embedded::open(dir.path(), &Options::server()).unwrap();
        let clock = Arc::new(TestClock(AtomicI64::new(1_795_000_000_000)));
        let directory = Directory::new(backend.control(), Arc::clone(&clock) as _, Arc::new(RandomIds));
        let tenant = directory.add_tenant("t").await.unwrap().id;
        directory.add_domain(tenant, "t.test").await.unwrap();
        let ann = directory.add_account("ann@t.test", "a long password", "", None).await.unwrap().key;
        let bob = directory.add_account("bob@t.test", "a long password", "", None).await.unwrap().key;
        World { _dir: dir, backend, clock, ann, bob }
    }

    fn directory(&self) -> Directory {
        Directory::new(self.backend.control(), Arc::clone(&self.clock) as _, Arc::new(RandomIds))
    }

    fn life(&self, calls: i64, is_behind: bool) -> Life {
        let mortal = Arc::new(Mortal {
            left: AtomicI64::new(calls),
            is_behind,
            is_dead: AtomicBool::new(false),
            control: self.backend.control(),
            objects: self.backend.objects(),
            queue: self.backend.queue(),
        });
        let held = HeldLetters::new(Arc::clone(&mortal) as _);
        let (clock, ids): (Arc<dyn Clock>, Arc<dyn Ids>) =
            (Arc::clone(&self.clock) as _, Arc::new(RandomIds));
        let directory = Directory::new(Arc::clone(&mortal) as _, Arc::clone(&clock), Arc::clone(&ids));
        let ports = Ports {
            directory,
            objects: Arc::clone(&mortal) as _,
            queue: Arc::clone(&mortal) as _,
            clock,
            ids,
        };
        let releaser = Releaser::new(held.clone(), ports, "mx.t.test");
        Life { mortal, held, releaser }
    }

    fn letter(&self, cause: Cause) -> Held {
        let now = self.clock.now();
        let id = RandomIds.event(now);
        let (ann, bob) = ("ann@t.test".to_owned(), "bob@t.test".to_owned());
        let submitter = Submitter { account: self.ann, address: ann.clone(), protocol: "ESMTPSA".to_owned() };
        let bcc = "Bcc: eve@t.test\r\n".to_owned();
        let kind = SourceKind::Submission(Box::new(Submission { submitter, bcc }));
        let object = names::spool(self.ann.tenant, id);
        let accepted = Accepted {
            id,
            time: now,
            tenant: self.ann.tenant,
            source: Source { kind, ip: None, helo: String::new(), tls: None },
            auth: AuthResults::default(),
            reverse_path: ann.clone(),
            recipients: vec![
                Recipient { account: self.bob, address: bob, via: Via::Direct },
                Recipient { account: self.ann, address: ann.clone(), via: Via::Sent },
            ],
            body: Body::Spooled { object, size: LETTER.len() as u64 },
            receipt: String::new(),
        };
        let wanted = now.plus_millis(60_000);
        Held {
            accepted,
            sender: (self.ann, ann),
            subject: "later".to_owned(),
            cause,
            zone: String::new(),
            wanted,
            due: wanted,
            waits: None,
            refused: Vec::new(),
            state: State::Waiting,
            user: None,
            is_counted: cause == Cause::Undo,
            is_settled: false,
        }
    }

    /// What was sent since the last time.
    async fn sent(&self) -> Vec<Accepted> {
        let (queue, wait) = (self.backend.queue(), Duration::ZERO);
        let received = queue.receive(Stage::InboundParse, 100, Duration::from_secs(60), wait).await.unwrap();
        let mut sent = Vec::new();
        for message in received {
            queue.ack(Stage::InboundParse, &[message.receipt]).await.unwrap();
            let Ok(Event::Accepted(accepted)) = codec::decode(&message.body) else { panic!("no letter") };
            sent.push(*accepted);
        }
        sent
    }

    async fn text(&self, accepted: &Accepted) -> String {
        let stored: StoredMessage = match &accepted.body {
            Body::Inline(stored) => stored.clone(),
            Body::Spooled { object, .. } => {
                codec::decode(&self.backend.objects().get(object).await.unwrap().0).unwrap()
            }
        };
        String::from_utf8(compress::decompress(&stored).unwrap()).unwrap()
    }

    async fn rows(&self) -> usize {
        self.backend.control().query("held-due", "", None, 100).await.unwrap().len()
    }
}

/// As the adapter does it.
async fn hand_in(life: &Life, letter: &Held) -> Result<(), HeldError> {
    let stored = compress::compress(LETTER.as_bytes())?;
    let object = letter.object().unwrap();
    life.mortal.put_unique(object, codec::encode(&stored).into()).await?;
    life.held.add(letter).await
}

/// Whom a letter is for, beside the copy in Sent.
fn kinds(sent: &[Accepted]) -> (BTreeSet<EventId>, BTreeSet<EventId>) {
    let is_draft = |accepted: &&Accepted| accepted.recipients.iter().any(|one| one.via == Via::Drafts);
    let ids = |drafts| sent.iter().filter(|one| is_draft(one) == drafts).map(|one| one.id).collect();
    (ids(false), ids(true))
}

/// One letter; the process dies at that call, if there are so many. Did it?
async fn try_at(calls: i64, is_behind: bool, cause: Cause, takes_back: bool) -> bool {
    let world = World::open().await;
    let (life, letter) = (world.life(calls, is_behind), world.letter(cause));
    let told = hand_in(&life, &letter).await.is_ok();
    let mut back = None;
    if takes_back {
        let change =
            life.held.change(world.ann, letter.id(), &Change::TakeBack, world.clock.now(), &RandomIds);
        back = Some(change.await);
    }
    world.clock.0.fetch_add(61_000, Ordering::SeqCst);
    let _ = life.releaser.look(None).await;
    let has_died = life.mortal.is_dead.load(Ordering::SeqCst);
    // Others come, twice, and later once more for what is nobody's.
    for _ in 0..3 {
        world.life(i64::MAX, false).releaser.look(None).await.unwrap();
        world.clock.0.fetch_add(11 * 60_000, Ordering::SeqCst);
    }
    let sent = world.sent().await;
    let (letters, drafts) = kinds(&sent);
    let shown = format!("died at {calls} (behind: {is_behind}), {cause:?}, back: {back:?}");
    match (&back, told) {
        (_, false) => assert!(letters.len() + drafts.len() <= 1, "{shown}"),
        (None, true) => assert_eq!((letters.len(), drafts.len()), (1, 0), "{shown}"),
        (Some(Ok(Changed::Done(_))), true) => {
            assert_eq!((letters.len(), drafts.len()), (0, 1), "{shown}");
        }
        (Some(_), true) => assert_eq!(letters.len() + drafts.len(), 1, "{shown}"),
    }
    assert_eq!(world.rows().await, 0, "{shown}");
    for accepted in &sent {
        let text = world.text(accepted).await;
        let is_draft = accepted.recipients.iter().any(|one| one.via == Via::Drafts);
        assert_eq!(text.contains("Bcc: eve@t.test"), is_draft, "{shown} {text}");
        assert_eq!(text.contains("Date: then"), is_draft || cause == Cause::Undo, "{shown} {text}");
        assert!(text.ends_with("\r\n\r\nhello\r\n"), "{text}");
    }
    has_died
}

#[tokio::test(flavor = "multi_thread")]
async fn wherever_the_process_dies_a_letter_has_one_end() {
    for cause in [Cause::Scheduled, Cause::Undo] {
        for takes_back in [false, true] {
            for is_behind in [false, true] {
                let mut calls = 0;
                while try_at(calls, is_behind, cause, takes_back).await {
                    calls += 1;
                }
                assert!(calls >= 8, "{calls} calls");
            }
        }
    }
}

/// Of two at once, one who takes the letter back and one who lets it go, one does it, and the other is told.
#[tokio::test(flavor = "multi_thread")]
async fn taking_back_and_going_are_decided_by_one_write() {
    for _ in 0..30 {
        let world = World::open().await;
        let (life, letter) = (world.life(i64::MAX, false), world.letter(Cause::Scheduled));
        hand_in(&life, &letter).await.unwrap();
        world.clock.0.fetch_add(61_000, Ordering::SeqCst);
        let other = world.life(i64::MAX, false);
        let back = tokio::spawn({
            let (now, ann, id) = (world.clock.now(), world.ann, letter.id());
            async move { other.held.change(ann, id, &Change::TakeBack, now, &RandomIds).await }
        });
        let third = world.life(i64::MAX, false);
        let (one, two) = tokio::join!(life.releaser.look(None), third.releaser.look(None));
        one.unwrap();
        two.unwrap();
        let back = back.await.unwrap().unwrap();
        life.releaser.look(None).await.unwrap();
        let (letters, drafts) = kinds(&world.sent().await);
        match back {
            Changed::Done(_) => assert_eq!((letters.len(), drafts.len()), (0, 1)),
            Changed::Over(held) => {
                assert_eq!((letters.len(), drafts.len()), (1, 0));
                assert_eq!(held.state.name(), "sent");
            }
            Changed::Missing => panic!("the letter is there"),
        }
    }
}

/// Those that are large wait apart, and go in the same way; one that was put off and back again goes in its time.
#[tokio::test(flavor = "multi_thread")]
async fn large_ones_and_those_that_were_put_off_and_back_go_in_their_time() {
    let world = World::open().await;
    let (life, mut large) = (world.life(i64::MAX, false), world.letter(Cause::Scheduled));
    let object = large.object().unwrap().to_owned();
    large.accepted.body = Body::Spooled { object, size: 4_000_000 };
    hand_in(&life, &large).await.unwrap();
    assert_eq!((large.lane(), world.rows().await), (Lane::Heavy, 0));
    let letter = world.letter(Cause::Scheduled);
    hand_in(&life, &letter).await.unwrap();
    for at in [letter.due.plus_millis(3_600_000), letter.due] {
        let change = Change::At(at, String::new());
        life.held.change(world.ann, letter.id(), &change, world.clock.now(), &RandomIds).await.unwrap();
    }
    life.releaser.look(None).await.unwrap();
    assert_eq!(world.sent().await.len(), 0);
    world.clock.0.fetch_add(61_000, Ordering::SeqCst);
    assert_eq!(life.releaser.look(Some(Instant::now())).await.unwrap(), 0, "there is no time");
    life.releaser.look(None).await.unwrap();
    assert_eq!(world.sent().await.len(), 2);
    for id in [large.id(), letter.id()] {
        let (held, _) = life.held.find(world.ann, id).await.unwrap().unwrap();
        assert_eq!((held.state.name(), held.is_settled), ("sent", true));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_held_when_it_was_handed_in_has_to_hold_when_it_goes() {
    // The account is closed: a report, and a copy in Drafts.
    let world = World::open().await;
    let (life, letter) = (world.life(i64::MAX, false), world.letter(Cause::Scheduled));
    hand_in(&life, &letter).await.unwrap();
    let disabled = pennypost_directory::AccountState::Disabled;
    world.directory().set_account_state(world.ann, disabled).await.unwrap();
    world.clock.0.fetch_add(61_000, Ordering::SeqCst);
    life.releaser.look(None).await.unwrap();
    let sent = world.sent().await;
    assert_eq!(sent.len(), 2, "{sent:?}");
    let report = world.text(&sent[0]).await;
    for part in ["Final-Recipient: rfc822; bob@t.test", "Status: 5.7.1", "Subject: later", "Action: failed"] {
        assert!(report.contains(part), "{part}: {report}");
    }
    assert_eq!(sent[1].recipients[0].via, Via::Drafts);
    let (held, _) = life.held.find(world.ann, letter.id()).await.unwrap().unwrap();
    assert_eq!(held.state.name(), "unsent");

    // The recipient is gone: the same, with another reason; it is not told twice.
    let world = World::open().await;
    let (life, letter) = (world.life(i64::MAX, false), world.letter(Cause::Scheduled));
    hand_in(&life, &letter).await.unwrap();
    let disabled = pennypost_directory::AccountState::Disabled;
    world.directory().set_account_state(world.bob, disabled).await.unwrap();
    world.clock.0.fetch_add(61_000, Ordering::SeqCst);
    life.releaser.look(None).await.unwrap();
    life.releaser.look(None).await.unwrap();
    let sent = world.sent().await;
    assert_eq!(sent.len(), 2, "{sent:?}");
    assert!(world.text(&sent[0]).await.contains("Status: 5.2.1"));
    // Nobody is left of the account: nothing is told, and nothing stays.
    let letter = world.letter(Cause::Scheduled);
    hand_in(&life, &letter).await.unwrap();
    world
        .backend
        .control()
        .delete_if(
            &ControlKey::new(format!("{}/accounts", world.ann.tenant), world.ann.account.to_string()),
            world
                .backend
                .control()
                .get(
                    &ControlKey::new(format!("{}/accounts", world.ann.tenant), world.ann.account.to_string()),
                    Consistency::Strong,
                )
                .await
                .unwrap()
                .unwrap()
                .version,
        )
        .await
        .unwrap();
    world.clock.0.fetch_add(61_000, Ordering::SeqCst);
    life.releaser.look(None).await.unwrap();
    assert_eq!((world.sent().await.len(), world.rows().await), (0, 0));
    assert_eq!(life.held.find(world.ann, letter.id()).await.unwrap(), None);
    assert!(world.backend.objects().get(letter.object().unwrap()).await.is_err());
}
