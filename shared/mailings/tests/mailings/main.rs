//! Mailings that go: where the process dies at any call of any port, where their writer stops them, and what goes before them.

#![allow(clippy::unwrap_used)] // a test may panic

mod mortal;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::time::Duration;

use mortal::{Mortal, TestClock};
use pennypost_backend_embedded::{Embedded, Options};
use pennypost_directory::Directory;
use pennypost_held::{HeldLetters, Ports, Releaser, Why};
use pennypost_mailings::{
    Body as Said, Content, Counts, Fate, Individual, Kind, Mailing, Mailings, Personal, Recipients, Runner,
    State,
};
use pennypost_mailstore::{accept, compress};
use pennypost_model::event::{
    Accepted, AuthResults, Body, Event, Recipient, Source, SourceKind, Stage, Submission, Via, Wishes,
};
use pennypost_model::message::StoredMessage;
use pennypost_model::trace::Submitter;
use pennypost_model::{AccountKey, EventId, Timestamp, codec};
use pennypost_outbound::Outbox;
use pennypost_ports::{Clock, ControlKey, Expected, Ids, Outgoing, RandomIds};

struct World {
    _dir: tempfile::TempDir,
    backend: Embedded,
    clock: Arc<TestClock>,
    ann: AccountKey,
    /// Of another organisation.
    eve: AccountKey,
}

/// One life of a process.
struct Life {
    mortal: Arc<Mortal>,
    mailings: Mailings,
    runner: Runner,
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
        directory.add_account("bob@t.test", "a long password", "", None).await.unwrap();
        let other = directory.add_tenant("u").await.unwrap().id;
        directory.add_domain(other, "u.test").await.unwrap();
        let eve = directory.add_account("eve@u.test", "a long password", "", None).await.unwrap().key;
        World { _dir: dir, backend, clock, ann, eve }
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
        let releaser = Releaser::new(HeldLetters::new(Arc::clone(&mortal) as _), ports, "mx.t.test");
        let mailings = Mailings::new(Arc::clone(&mortal) as _, Arc::clone(&mortal) as _);
        let outbox = Outbox::new(Arc::clone(&mortal) as _);
        let runner = Runner::new(mailings.clone(), outbox, releaser, true);
        Life { mortal, mailings, runner }
    }

    fn immortal(&self) -> Life {
        self.life(i64::MAX, false)
    }

    fn mailing(&self, kind: Kind, rows: usize) -> Mailing {
        let now = self.clock.now();
        let id = RandomIds.event(now);
        Mailing {
            id,
            sender: (self.ann, "ann@t.test".to_owned()),
            user: None,
            kind,
            subject: "pay".to_owned(),
            object: Mailings::object(self.ann.tenant, id),
            state: State::Going,
            rows: u32::try_from(rows).unwrap(),
            next: 0,
            counts: Counts::default(),
            keeps_copy: true,
            created: now,
            ordered: Some(now),
            due: now,
            waits: None,
            moved: now,
            busy: (Timestamp(0), 0),
            ended: None,
        }
    }

    /// What was sent since the last time.
    async fn sent(&self) -> Vec<Accepted> {
        let (queue, wait) = (self.backend.queue(), Duration::ZERO);
        let mut sent = Vec::new();
        loop {
            let received =
                queue.receive(Stage::InboundParse, 100, Duration::from_secs(600), wait).await.unwrap();
            if received.is_empty() {
                return sent;
            }
            for message in received {
                queue.ack(Stage::InboundParse, &[message.receipt]).await.unwrap();
                let Ok(Event::Accepted(accepted)) = codec::decode(&message.body) else { panic!("no letter") };
                sent.push(*accepted);
            }
        }
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
        self.backend.control().query("mailing-due", "", None, 100).await.unwrap().len()
    }

    /// A single letter of somebody, as the adapter hands it in.
    async fn hand_in(&self, from: AccountKey, address: &str) -> EventId {
        let now = self.clock.now();
        let id = RandomIds.event(now);
        let submitter =
            Submitter { account: from, address: address.to_owned(), protocol: "ESMTPSA".to_owned() };
        let kind = SourceKind::Submission(Box::new(Submission { submitter, bcc: String::new() }));
        let accepted = Accepted {
            id,
            time: now,
            tenant: from.tenant,
            source: Source { kind, ip: None, helo: String::new(), tls: None },
            auth: AuthResults::default(),
            reverse_path: address.to_owned(),
            recipients: vec![Recipient { account: from, address: address.to_owned(), via: Via::Direct }],
            body: Body::Inline(accept::compressed(b"From: x\r\n\r\nhello\r\n".to_vec()).await.unwrap()),
            receipt: String::new(),
        };
        let body = codec::encode(&Event::Accepted(Box::new(accepted)));
        let outgoing = Outgoing { tenant: from.tenant, body, delay: Duration::ZERO };
        for sent in self.backend.queue().send_batch(Stage::InboundParse, vec![outgoing]).await {
            sent.unwrap();
        }
        id
    }
}

/// A table of so many rows, all for Bob but for those that nobody gets.
fn personal(rows: usize, nobody: &[usize]) -> Content {
    let mut table = "邮箱地址,姓名,pay\n".to_owned();
    for row in 0..rows {
        let local = if nobody.contains(&row) { format!("nobody{row}") } else { "bob".to_owned() };
        table.push_str(&format!("{local}@t.test,N{row},=1+{row}\n"));
    }
    let recipients = Recipients::read(table.as_bytes()).unwrap();
    let subject = "pay of {{姓名}}".to_owned();
    Content::Personal(Personal {
        recipients,
        name: "Ann".to_owned(),
        subject,
        body: Said::Table,
        attachments: Vec::new(),
    })
}

fn ids(sent: &[Accepted]) -> BTreeMap<EventId, usize> {
    let mut ids = BTreeMap::new();
    for accepted in sent {
        *ids.entry(accepted.id).or_default() += 1;
    }
    ids
}

const ROWS: usize = 11;
const NOBODY: usize = 9;

/// One mailing; the process dies at that call, if there are so many. Did it?
async fn try_at(world: &World, calls: i64, is_behind: bool, is_stopped: bool) -> bool {
    let (life, mailing) = (world.life(calls, is_behind), world.mailing(Kind::Table, ROWS));
    let told = life.mailings.add(&mailing, &personal(ROWS, &[NOBODY])).await.is_ok();
    if is_stopped {
        let _ = life.runner.look().await;
        let _ = life.mailings.stop(world.ann, mailing.id, world.clock.now()).await;
    }
    let _ = life.runner.work(None).await;
    let has_died = life.mortal.is_dead.load(Ordering::SeqCst);
    // Others come, again and again, and later once more for what is nobody's.
    for _ in 0..3 {
        world.clock.0.fetch_add(11 * 60_000, Ordering::SeqCst);
        let other = world.immortal();
        while other.runner.look().await.unwrap().moved > 0 {}
    }
    let shown = format!("died at {calls} (behind: {is_behind}, stopped: {is_stopped})");
    assert_eq!(world.rows().await, 0, "{shown}");
    let sent = world.sent().await;
    let other = world.immortal();
    let Some((found, _)) = other.mailings.find(world.ann, mailing.id).await.unwrap() else {
        assert!(!told && sent.is_empty(), "{shown}");
        return has_died;
    };
    assert!(found.state.is_over(), "{shown}: {found:?}");
    let known = ids(&sent);
    let fates: BTreeMap<u32, Fate> =
        other.mailings.fates(&found, 0, ROWS).await.unwrap().into_iter().collect();
    let Counts { sent: gone, refused, stopped } = found.counts;
    assert_eq!(gone + refused + stopped, ROWS as u32, "{shown}: {found:?}");
    let mut wanted: BTreeSet<EventId> = BTreeSet::new();
    for row in 0..ROWS as u32 {
        if let Some(Fate::Sent { .. }) = fates.get(&row) {
            wanted.insert(found.letter(row));
        }
    }
    assert_eq!(wanted.len(), gone as usize, "{shown}: {found:?}");
    if found.state == State::Done {
        assert_eq!((gone, refused, stopped), (ROWS as u32 - 1, 1, 0), "{shown}");
        assert_eq!(
            fates.get(&(NOBODY as u32)).map(|fate| matches!(fate, Fate::Refused { why: Why::Unknown, .. })),
            Some(true)
        );
    }
    if gone > 0 {
        wanted.insert(found.copy());
    }
    if refused > 0 {
        wanted.insert(found.report());
    }
    // Each under its own id, however often: whoever delivers knows it again. Nothing that was not decided goes.
    let known: BTreeSet<EventId> = known.into_keys().collect();
    assert_eq!(known, wanted, "{shown}: {found:?}");
    has_died
}

/// Feature PMG-01 (part): each row is one letter, wherever the server dies
#[tokio::test(flavor = "multi_thread")]
async fn wherever_the_process_dies_each_row_is_one_letter() {
    let world = World::open().await;
    for is_stopped in [false, true] {
        for is_behind in [false, true] {
            let mut calls = 0;
            while try_at(&world, calls, is_behind, is_stopped).await {
                calls += 1;
            }
            assert!(calls >= 30, "{calls} calls");
        }
    }
}

/// Of 2,000 letters of two mailings that wait, nearly all go behind a single letter of another organisation, and one of the same.
#[tokio::test(flavor = "multi_thread")]
async fn a_single_letter_goes_before_nearly_all_of_a_mailing() {
    let world = World::open().await;
    let life = world.immortal();
    for _ in 0..2 {
        let mailing = world.mailing(Kind::Table, 1_000);
        life.mailings.add(&mailing, &personal(1_000, &[])).await.unwrap();
    }
    // However often it is looked at: nobody works off the queue.
    for _ in 0..40 {
        life.runner.look().await.unwrap();
    }
    let single = [world.hand_in(world.eve, "eve@u.test").await, world.hand_in(world.ann, "ann@t.test").await];
    let before = world.backend.queue().depth(Stage::InboundParse).await.unwrap();
    assert!(before.waiting + before.in_flight <= 64, "{before:?}");
    let mut order = Vec::new();
    let mut rounds = 0;
    while rounds < 10_000 {
        rounds += 1;
        let (queue, hidden) = (world.backend.queue(), Duration::from_secs(600));
        let received = queue.receive(Stage::InboundParse, 10, hidden, Duration::ZERO);
        let received = received.await.unwrap();
        if received.is_empty() && life.runner.look().await.unwrap().moved == 0 {
            break;
        }
        for message in received {
            world.backend.queue().ack(Stage::InboundParse, &[message.receipt]).await.unwrap();
            let Ok(Event::Accepted(accepted)) = codec::decode(&message.body) else { panic!("no letter") };
            order.push(accepted.id);
        }
        life.runner.look().await.unwrap();
    }
    // Each mailing has a copy in Sent.
    assert_eq!(order.len(), 2_000 + 2 + 2);
    for id in single {
        let place = order.iter().position(|one| *one == id).unwrap();
        assert!(place < 64, "{place}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn letters_to_other_servers_wait_until_those_before_were_tried() {
    let world = World::open().await;
    let life = world.immortal();
    let mut table = "email\n".to_owned();
    for row in 0..100 {
        table.push_str(&format!("x{row}@far.example\n"));
    }
    let Content::Personal(mut content) = personal(1, &[]) else { panic!("personal") };
    content.recipients = Recipients::read(table.as_bytes()).unwrap();
    content.subject = "hello".to_owned();
    let mailing = world.mailing(Kind::Table, 100);
    life.mailings.add(&mailing, &Content::Personal(content)).await.unwrap();
    for _ in 0..40 {
        life.runner.look().await.unwrap();
        // The pipeline takes them, and nobody tries them.
        world.sent().await;
    }
    let (found, _) = life.mailings.find(world.ann, mailing.id).await.unwrap().unwrap();
    assert!((16..=32).contains(&found.next), "{found:?}");
    // What hangs for long holds up no other.
    world.clock.0.fetch_add(6 * 60_000, Ordering::SeqCst);
    life.runner.look().await.unwrap();
    let (later, _) = life.mailings.find(world.ann, mailing.id).await.unwrap().unwrap();
    assert!(later.next > found.next, "{later:?}");
}

/// Feature SND-04 (part): each recipient gets a letter of his own, Sent holds what was handed in
#[tokio::test(flavor = "multi_thread")]
async fn each_recipient_gets_a_letter_of_his_own() {
    let world = World::open().await;
    let life = world.immortal();
    let raw = "From: Ann <ann@t.test>\r\nTo: bob@t.test, x@far.example\r\nSubject: hi\r\nMessage-ID: <1@t.test>\r\n\r\nhello\r\n";
    let addresses = ["bob@t.test", "x@far.example", "nobody@t.test"].map(str::to_owned).to_vec();
    let content = Content::Individual(Individual {
        raw: raw.as_bytes().to_vec(),
        addresses,
        reverse_path: "ann@t.test".to_owned(),
        protocol: "ESMTPSA".to_owned(),
        bcc: "Bcc: nobody@t.test\r\n".to_owned(),
        receipt: "Received: by mx.t.test\r\n".to_owned(),
        from: ("client.test".to_owned(), None),
        subject: "hi".to_owned(),
        wishes: Wishes::default(),
        is_private: true,
    });
    let mailing = world.mailing(Kind::Individual, 3);
    life.mailings.add(&mailing, &content).await.unwrap();
    life.runner.work(None).await.unwrap();
    let sent = world.sent().await;
    assert_eq!(sent.len(), 4, "{sent:?}");
    assert!(sent.iter().all(|accepted| accepted.source.kind.is_private()));
    let mut seen = BTreeSet::new();
    for accepted in &sent {
        let text = world.text(accepted).await;
        let [recipient] = &accepted.recipients[..] else { panic!("one recipient: {accepted:?}") };
        seen.insert(match recipient.via {
            Via::Sent => {
                assert_eq!((accepted.id, text.as_str()), (mailing.id, raw));
                assert!(accepted.source.kind.submission().unwrap().bcc.contains("nobody"));
                "copy"
            }
            Via::Outside => {
                assert!(text.starts_with("To: <x@far.example>\r\n") && !text.contains("bob"), "{text}");
                "outside"
            }
            Via::Direct if accepted.reverse_path.is_empty() => {
                assert!(text.contains("nobody@t.test") && text.contains("5.1.1"), "{text}");
                "report"
            }
            _ => {
                assert!(text.starts_with("To: <bob@t.test>\r\n") && !text.contains("far"), "{text}");
                "inside"
            }
        });
    }
    assert_eq!(seen.len(), 4, "{seen:?}");
    let (found, _) = life.mailings.find(world.ann, mailing.id).await.unwrap().unwrap();
    assert_eq!((found.state, found.counts.sent, found.counts.refused), (State::Done, 2, 1));

    // Stopped before any of it goes it comes back to Drafts, as its writer had it.
    let mut later = world.mailing(Kind::Individual, 3);
    later.due = later.due.plus_millis(60_000);
    life.mailings.add(&later, &content).await.unwrap();
    life.runner.work(None).await.unwrap();
    assert_eq!(world.sent().await.len(), 0);
    life.mailings.stop(world.ann, later.id, world.clock.now()).await.unwrap().unwrap();
    life.runner.work(None).await.unwrap();
    let sent = world.sent().await;
    let [draft] = &sent[..] else { panic!("one letter: {sent:?}") };
    assert_eq!(draft.recipients[0].via, Via::Drafts);
    let text = world.text(draft).await;
    assert!(text.starts_with("X-Pennypost-Individual: yes\r\nBcc: nobody@t.test\r\nFrom:"), "{text}");
    let (found, _) = life.mailings.find(world.ann, later.id).await.unwrap().unwrap();
    assert_eq!((found.state, found.counts.stopped), (State::Stopped, 3));
}

/// Feature SND-21 (part): each letter of a mailing counts; what is too much waits for the next time
/// Feature SND-22 (part): who may not send outside sends no mailing there
#[tokio::test(flavor = "multi_thread")]
async fn a_mailing_waits_for_what_its_writer_may_send() {
    use pennypost_directory::{Frequency, SendingRules, SendingTarget};
    let world = World::open().await;
    let life = world.immortal();
    let directory =
        Directory::new(world.backend.control(), Arc::clone(&world.clock) as _, Arc::new(RandomIds));
    let none = SendingRules::default();
    let rules = SendingRules { everybody: Frequency::new(3, 60).ok(), ..SendingRules::default() };
    assert_eq!(directory.change_sending_rules(world.ann.tenant, &none, &rules).await, Ok(true));
    let table = format!("email\n{}", "x@far.example\n".repeat(7));
    let Content::Personal(mut content) = personal(1, &[]) else { panic!("personal") };
    content.recipients = Recipients::read(table.as_bytes()).unwrap();
    content.subject = "hello".to_owned();
    let mailing = world.mailing(Kind::Table, 7);
    life.mailings.add(&mailing, &Content::Personal(content.clone())).await.unwrap();
    let found = async || life.mailings.find(world.ann, mailing.id).await.unwrap().unwrap().0;
    for (sent, state) in [(3, State::Going), (6, State::Going), (7, State::Done)] {
        // However often it is looked at.
        life.runner.work(None).await.unwrap();
        life.runner.work(None).await.unwrap();
        let found = found().await;
        assert_eq!((found.counts.sent, found.state), (sent, state), "{found:?}");
        assert_eq!(found.waits.is_some(), state == State::Going, "{found:?}");
        world.clock.0.fetch_add(61 * 60_000, Ordering::SeqCst);
    }
    assert_eq!(ids(&world.sent().await).len(), 8);

    let target = SendingTarget::Account(world.ann.account);
    let closed = SendingRules { forbidden: [target].into(), ..SendingRules::default() };
    assert_eq!(directory.change_sending_rules(world.ann.tenant, &rules, &closed).await, Ok(true));
    let mailing = world.mailing(Kind::Table, 7);
    life.mailings.add(&mailing, &Content::Personal(content)).await.unwrap();
    life.runner.work(None).await.unwrap();
    let (found, _) = life.mailings.find(world.ann, mailing.id).await.unwrap().unwrap();
    assert_eq!((found.counts.refused, found.state), (7, State::Done), "{found:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mailing_that_cannot_be_read_holds_up_no_other() {
    let world = World::open().await;
    let life = world.immortal();
    life.mailings.add(&world.mailing(Kind::Table, 2), &personal(2, &[])).await.unwrap();
    let (control, partition) = (world.backend.control(), format!("{}/mailings", world.ann.tenant));
    for (sort, _) in control.query(&partition, "", None, 9).await.unwrap() {
        control.put_if(&ControlKey::new(&*partition, sort), &[1, 255], Expected::Any).await.unwrap();
    }
    world.clock.0.fetch_add(1, Ordering::SeqCst);
    let mailing = world.mailing(Kind::Table, 2);
    life.mailings.add(&mailing, &personal(2, &[])).await.unwrap();
    life.runner.work(None).await.unwrap();
    let (found, _) = life.mailings.find(world.ann, mailing.id).await.unwrap().unwrap();
    assert_eq!(found.state, State::Done);
    // It is looked at again later.
    assert_eq!(world.rows().await, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn of_a_draft_that_is_stopped_nothing_is_kept_that_it_said() {
    let world = World::open().await;
    let life = world.immortal();
    let mut draft = world.mailing(Kind::Table, 2);
    draft.state = State::Draft;
    life.mailings.add(&draft, &personal(2, &[])).await.unwrap();
    let stopped = life.mailings.stop(world.ann, draft.id, world.clock.now()).await.unwrap().unwrap();
    assert_eq!(stopped.state, State::Stopped);
    assert!(world.backend.objects().get(&draft.object).await.is_err());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_over_for_long_is_forgotten_with_what_it_said() {
    let world = World::open().await;
    let life = world.immortal();
    let mailing = world.mailing(Kind::Table, 2);
    life.mailings.add(&mailing, &personal(2, &[])).await.unwrap();
    life.runner.work(None).await.unwrap();
    let mut draft = world.mailing(Kind::Table, 2);
    draft.state = State::Draft;
    life.mailings.add(&draft, &personal(2, &[])).await.unwrap();
    let tenant = world.ann.tenant;
    let mut names = BTreeSet::new();
    let mut keep = |found: Option<&Mailing>| {
        names.insert(found.unwrap().object.clone());
    };
    assert_eq!(life.mailings.sweep(tenant, world.clock.now(), &mut keep).await.unwrap(), 0);
    assert_eq!(names.len(), 2);
    world.clock.0.fetch_add(8 * 24 * 3_600_000, Ordering::SeqCst);
    assert_eq!(life.mailings.sweep(tenant, world.clock.now(), |_| {}).await.unwrap(), 1);
    world.clock.0.fetch_add(83 * 24 * 3_600_000, Ordering::SeqCst);
    assert_eq!(life.mailings.sweep(tenant, world.clock.now(), |_| {}).await.unwrap(), 1);
    let letters = world.backend.control().query(&format!("{tenant}/mailing-letters"), "", None, 9).await;
    assert_eq!(letters.unwrap().len(), 0);
    assert!(world.backend.objects().get(&mailing.object).await.is_err());
}

/// Addresses elsewhere that are suppressed get nothing of a mailing, and its writer is told; all others do.
#[tokio::test(flavor = "multi_thread")]
async fn mailings_leave_out_addresses_that_are_suppressed() {
    let world = World::open().await;
    let life = world.immortal();
    let directory =
        Directory::new(world.backend.control(), Arc::clone(&world.clock) as _, Arc::new(RandomIds));
    for address in ["X1@far.example", "bob@t.test"] {
        let by = pennypost_directory::SuppressedBy::Administrator;
        assert_eq!(directory.suppress(world.ann.tenant, address, by, None).await, Ok(true));
    }
    let mut table = "email\n".to_owned();
    for address in ["x0@far.example", "x1@Far.example", "x2@far.example", "bob@t.test"] {
        table.push_str(&format!("{address}\n"));
    }
    let Content::Personal(mut content) = personal(1, &[]) else { panic!("personal") };
    content.recipients = Recipients::read(table.as_bytes()).unwrap();
    content.subject = "hello".to_owned();
    let mailing = world.mailing(Kind::Table, 4);
    life.mailings.add(&mailing, &Content::Personal(content)).await.unwrap();
    life.runner.work(None).await.unwrap();
    let fates = life.mailings.fates(&mailing, 0, 4).await.unwrap();
    let sent: Vec<bool> = fates.iter().map(|(_, fate)| matches!(fate, Fate::Sent { .. })).collect();
    assert_eq!(sent, [true, false, true, true], "{fates:?}");
    assert!(matches!(fates[1].1, Fate::Refused { why: Why::Suppressed, .. }));
    let sent = world.sent().await;
    let report = sent.iter().find(|one| one.id == mailing.report()).unwrap();
    let text = world.text(report).await;
    assert!(text.contains("sends no mass mail to this address any more") && !text.contains("x2@"), "{text}");
}
