//! What one letter may take, and what comes of attempts that end badly.

use pennypost_ports::{Consistency, ControlKey, Expected, Item, Put};

use super::*;
use crate::slots::{Busy, InHand, Mood};
use crate::worker::{Look, Room};

/// A control table that fails so often when the end of an attempt is written: at first before it is written, the last time
/// behind it.
struct ShakyControl(Arc<dyn Control>, Mutex<usize>);

#[async_trait]
impl Control for ShakyControl {
    async fn get(&self, key: &ControlKey, consistency: Consistency) -> PortResult<Option<Item>> {
        self.0.get(key, consistency).await
    }

    async fn put_if(&self, key: &ControlKey, value: &[u8], expected: Expected) -> PortResult<Put> {
        let is_end = codec::decode::<Outbound>(value).is_ok_and(|item| item.ended > 0 && !item.claimed);
        let left = *self.1.lock();
        if !is_end || left == 0 {
            return self.0.put_if(key, value, expected).await;
        }
        *self.1.lock() = left - 1;
        if left == 1 {
            self.0.put_if(key, value, expected).await?;
        }
        Err(PortError::Unavailable { port: "control", cause: "test".to_owned() })
    }

    async fn delete_if(&self, key: &ControlKey, version: u64) -> PortResult<bool> {
        self.0.delete_if(key, version).await
    }

    async fn query(
        &self,
        partition: &str,
        prefix: &str,
        after: Option<&str>,
        limit: usize,
    ) -> PortResult<Vec<(String, Item)>> {
        self.0.query(partition, prefix, after, limit).await
    }
}

/// An item of a tenant to a destination.
fn in_hand(tenant: u64, destination: &str, number: u128, size: u64) -> InHand {
    let message = EventId::from_parts(Timestamp(1), number);
    let (destination, lane) = (destination.to_owned(), destination.to_owned());
    InHand { tenant: TenantId(tenant), message, destination, part: 0, size, lane }
}

#[test]
fn a_slow_destination_holds_up_no_other_nor_a_tenant_another() {
    let slots = Slots::new(8, 4);
    let take = |tenant, destination: &str, number| slots.take(in_hand(tenant, destination, number, 9));
    let first = take(1, "a", 1).expect("free");
    let _second = take(1, "a", 2).expect("free");
    assert_eq!(take(1, "a", 2).err(), Some(Busy::InHand));
    assert_eq!(take(1, "a", 3).err(), Some(Busy::Here), "half of the destination is another's");
    let _others = [take(1, "b", 3).expect("free"), take(1, "c", 3).expect("free")];
    assert_eq!(take(1, "d", 3).err(), Some(Busy::Here), "half of all is another's");
    let _more =
        [take(2, "a", 4).expect("free"), take(2, "e", 4).expect("free"), take(3, "f", 5).expect("free")];
    assert_eq!(take(2, "g", 4).err(), Some(Busy::Here));
    let _last = take(4, "h", 6).expect("free");
    assert_eq!(take(5, "i", 7).err(), Some(Busy::All));
    drop(first);
    assert!(take(5, "i", 7).is_ok());
}

#[test]
fn who_answers_has_more_at_once_and_who_does_not_has_one_in_the_end() {
    let slots = Slots::new(50, 20);
    assert_eq!(slots.window("a"), 5);
    (0..5).for_each(|_| slots.note("a", Mood::Well));
    assert_eq!(slots.window("a"), 5, "a letter is no proof");
    slots.note("a", Mood::Well);
    assert_eq!(slots.window("a"), 6);
    (0..500).for_each(|_| slots.note("a", Mood::Well));
    assert_eq!((slots.window("a"), slots.window("b")), (20, 5), "no more than may be, and nobody else");
    for expected in [10, 5, 2, 1, 1] {
        slots.note("a", Mood::Unwell);
        assert_eq!(slots.window("a"), expected);
    }
    slots.note("a", Mood::Well);
    assert_eq!(slots.window("a"), 2, "it is back");
    let few = Slots::new(8, 2);
    (0..9).for_each(|_| few.note("a", Mood::Well));
    assert_eq!(few.window("a"), 2);
}

#[test]
fn large_messages_have_their_share_of_memory_once_each() {
    let slots = Slots::new(50, 50);
    let take = |tenant, destination: &str, number, megabytes: u64| {
        slots.take(in_hand(tenant, destination, number, megabytes << 20))
    };
    let first = take(1, "a", 1, 50).expect("free");
    let same = take(1, "b", 1, 50).expect("it is in memory already");
    assert_eq!(take(1, "a", 2, 50).err(), Some(Busy::Here));
    let _small = take(1, "a", 3, 0).expect("small ones go on");
    let second = take(2, "a", 4, 50).expect("another tenant's");
    assert_eq!(take(3, "a", 5, 50).err(), Some(Busy::Here), "there is no room for a third");
    drop((first, second));
    assert_eq!(take(3, "a", 5, 200).err(), Some(Busy::Here), "its twin keeps the first one there");
    drop(same);
    let _alone = take(3, "a", 5, 200).expect("alone");
    assert_eq!(take(4, "a", 6, 2).err(), Some(Busy::Here));
}

/// Begins what is due, as the worker does; the attempts go on.
async fn begin(it: &Fixture) -> tokio::task::JoinSet<()> {
    let mut attempts = tokio::task::JoinSet::new();
    it.sender.begin_due(&mut attempts, &Arc::<Room>::default(), &mut None, Look::Whole).await.expect("begun");
    for _ in 0..500 {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    attempts
}

#[tokio::test]
async fn a_letter_to_many_that_answer_late_leaves_room_for_another_tenant() {
    let it = with(Town { is_deaf: true, ..Town::default() }, None);
    let slow: Vec<String> = (0..210).map(|number| format!("you@d{number}.example")).collect();
    let slow: Vec<&str> = slow.iter().map(String::as_str).collect();
    it.handle(&it.letter(&slow)).await;
    it.pass(1_000);
    let mut other = it.letter(&["you@z.example"]);
    other.tenant = TenantId(8);
    let account = AccountKey { tenant: other.tenant, account: AccountId(1) };
    other.recipients[0].account = account;
    let SourceKind::Submission(submission) = &mut other.source.kind else { panic!("a submission") };
    submission.submitter.account = account;
    it.handle(&other).await;
    it.pass(1_000);
    let _attempts = begin(&it).await;
    let handed = it.town.handed.lock();
    assert_eq!((handed.len(), handed.iter().filter(|(to, ..)| to == "z.example").count()), (26, 1));
}

#[tokio::test]
async fn an_attempt_that_ends_makes_room_for_one_more() {
    let it = with(Town { is_deaf: true, ..Town::default() }, None);
    for _ in 0..6 {
        it.pass(1_000);
        it.handle(&it.letter(&["you@a.example"])).await;
    }
    it.pass(1_000);
    // One tenant has three of five.
    let mut attempts = begin(&it).await;
    assert_eq!(it.tried(), 3);
    attempts.shutdown().await;
    let room = Arc::<Room>::default();
    for (made, tried) in [(0, 3), (1, 4), (0, 4), (1, 5)] {
        (0..made).for_each(|_| room.make());
        it.sender.begin_due(&mut attempts, &room, &mut None, Look::Room).await.expect("begun");
        while it.tried() < tried {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        assert_eq!((attempts.len(), it.tried()), (tried - 3, tried));
    }
    it.sender.begin_due(&mut attempts, &room, &mut None, Look::Whole).await.expect("begun");
    assert_eq!(attempts.len(), 3);
}

#[tokio::test]
async fn what_is_more_than_a_destination_gets_waits_and_is_no_attempt() {
    let mut it = fixture();
    let rate = Rate { per_minute: Some(2), per_hour: None };
    let pacing = Pacing { rates: [("a.example".to_owned(), rate)].into(), warm_up: None };
    let settings = Settings { pacing, ..it.sender.0.settings.clone() };
    it.sender = SendRemote::new(it.sender.0.ports.clone(), settings);
    let mut letters = Vec::new();
    for _ in 0..5 {
        it.pass(1);
        letters.push(it.letter(&["you@a.example"]));
        it.handle(&letters[letters.len() - 1]).await;
    }
    it.pass(1);
    it.handle(&it.letter(&["you@b.example"])).await;
    for (minutes, tried) in [(0, 3), (0, 3), (1, 5), (0, 5), (1, 6)] {
        it.pass(minutes * MINUTE);
        let mut attempts = begin(&it).await;
        while attempts.join_next().await.is_some() {}
        assert_eq!(it.tried(), tried);
    }
    // Nothing was an attempt that was none.
    for letter in &letters {
        assert_eq!(it.attempts(letter).await.first().map(|attempt| attempt.number), Some(1));
    }
}

#[tokio::test]
async fn rows_of_whoever_died_take_no_slot_until_the_claim_is_over() {
    let it = with(Town { is_deaf: true, ..Town::default() }, None);
    it.handle(&it.letter(&["you@a.example"])).await;
    assert!(tokio::time::timeout(Duration::from_millis(200), it.sender.work_off()).await.is_err());
    assert_eq!(it.tried(), 1);
    assert_eq!(it.sender.work_off().await, Ok(0), "nothing is due");
    it.pass(36 * MINUTE);
    assert_eq!(it.sender.0.outbox.due(it.clock.now(), None, 10).await.expect("due").len(), 1);
}

#[tokio::test]
async fn a_clock_that_steps_back_leaves_the_row_of_what_was_never_tried() {
    let it = fixture();
    it.handle(&it.letter(&["you@a.example"])).await;
    let due = it.sender.0.outbox.due(it.clock.now(), None, 10).await.expect("due").remove(0);
    it.pass(-5);
    it.sender.look_after(&due).await;
    assert_eq!(it.tried(), 0, "it is not yet due");
    it.pass(5);
    it.work().await;
    assert_eq!((it.tried(), it.objects().await), (1, 0));
}

#[tokio::test]
async fn whose_clock_is_ahead_leaves_the_row_of_the_next_attempt() {
    let it = fixture();
    let outbox = &it.sender.0.outbox;
    it.handle(&it.letter(&["you@a.example"])).await;
    let due = outbox.due(it.clock.now(), None, 10).await.expect("due").remove(0);
    let (mut item, version) = outbox.item(&due).await.expect("read").expect("there");
    // One process has tried, and has written the row of the next attempt; its item is still to come.
    let end = it.clock.now().plus_millis(35 * MINUTE);
    (item.claimed, item.next, item.claim, item.attempts) = (true, end, end, 1);
    outbox.remind(&item, end).await.expect("written");
    let version = outbox.save(&item, version).await.expect("written").expect("has it");
    let next = it.clock.now().plus_millis(MINUTE);
    outbox.remind(&item, next).await.expect("written");
    // Another one is two minutes ahead: it removes the row of the attempt that was begun, and no other.
    it.pass(2 * MINUTE);
    it.work().await;
    assert_eq!(it.tried(), 0, "it is somebody's");
    let left = outbox.due(it.clock.now(), None, 10).await.expect("due");
    assert_eq!(left.iter().map(|due| due.at).collect::<Vec<_>>(), [next]);
    (item.claimed, item.next) = (false, next);
    assert!(outbox.save(&item, version).await.expect("written").is_some());
    it.work().await;
    assert_eq!((it.tried(), it.objects().await), (1, 0));
}

#[tokio::test]
async fn many_recipients_go_in_parts_whose_ends_can_be_written() {
    let it = fixture();
    let long = "x".repeat(60);
    let addresses: Vec<String> = (0..250).map(|number| format!("{number}{long}@a.example")).collect();
    let letter = it.letter(&addresses.iter().map(String::as_str).collect::<Vec<_>>());
    it.handle(&letter).await;
    it.handle(&letter).await;
    let answer = RemoteAnswer { code: Some(451), status: "4.3.0".to_owned(), text: "y".repeat(4_000) };
    for _ in 0..3 {
        it.town.answers.lock().push_back((RemoteOutcome::Deferred, answer.clone()));
    }
    it.work().await;
    let items = it.sender.0.outbox.of_message(TENANT, letter.id).await.expect("read");
    assert_eq!(items.iter().map(|item| item.recipients.len()).collect::<Vec<_>>(), [100, 100, 50]);
    assert!(items.iter().all(|item| item.ended == 1 && codec::encode(item).len() < 350_000));
    assert_eq!(it.attempts(&letter).await.len(), 3);
    assert_eq!(it.objects().await, 1);
    it.pass(2 * MINUTE);
    it.work().await;
    let handed: usize = it.town.handed.lock().iter().map(|(_, recipients, _)| recipients.len()).sum();
    assert_eq!((it.tried(), handed, it.objects().await), (6, 500, 0));
}

#[tokio::test]
async fn an_end_that_was_not_written_at_first_does_not_bring_the_letter_twice() {
    let it = fixture();
    let control: Arc<dyn Control> = Arc::new(ShakyControl(it.backend.control(), Mutex::new(3)));
    let sender = SendRemote::new(Ports { control, ..it.sender.0.ports.clone() }, Settings::default());
    let letter = it.letter(&["you@a.example"]);
    it.handle(&letter).await;
    sender.work_off().await.expect("works");
    let [attempt] = &*it.attempts(&letter).await else { panic!("one attempt") };
    assert_eq!((attempt.number, attempt.recipients[0].outcome), (1, RemoteOutcome::Sent));
    it.pass(HOUR);
    it.work().await;
    assert_eq!((it.tried(), it.objects().await), (1, 0));
}

#[tokio::test]
async fn what_is_put_off_first_is_told_though_an_earlier_attempt_was_cut_off() {
    let it = with(Town { is_deaf: true, ..Town::default() }, None);
    let letter = it.letter(&["you@a.example"]);
    it.handle(&letter).await;
    assert!(tokio::time::timeout(Duration::from_millis(200), it.sender.work_off()).await.is_err());
    let town = Arc::<Town>::default();
    town.answers.lock().push_back(verdict(RemoteOutcome::Deferred, 451, "4.3.0"));
    let carrier: Arc<dyn Carrier> = town;
    let other = SendRemote::new(Ports { carrier, ..it.sender.0.ports.clone() }, Settings::default());
    it.pass(36 * MINUTE);
    other.work_off().await.expect("works");
    let [attempt] = &*it.attempts(&letter).await else { panic!("one attempt is told of") };
    assert_eq!((attempt.number, attempt.recipients[0].outcome), (2, RemoteOutcome::Deferred));
}

#[tokio::test]
async fn a_report_that_its_process_died_before_is_sent_before_the_next_attempt() {
    let it = fixture();
    let letter = it.letter(&["you@a.example"]);
    it.handle(&letter).await;
    it.pass(5 * HOUR);
    it.town.answers.lock().push_back(verdict(RemoteOutcome::Deferred, 451, "4.3.0"));
    // The log fails, and then nobody looks until the next attempt is due.
    *it.log.1.lock() = 1;
    it.work().await;
    assert_eq!(it.reports().await.len(), 0);
    for row in it.sender.0.outbox.due(it.clock.now(), None, 10).await.expect("due") {
        it.sender.0.outbox.forget(&row).await.expect("removed");
    }
    it.pass(10 * MINUTE);
    it.work().await;
    let reports = it.reports().await;
    assert_eq!((it.tried(), reports.len(), it.attempts(&letter).await.len()), (2, 1, 2));
    assert!(reports[0].1.contains("Action: delayed"), "{}", reports[0].1);
}

#[tokio::test]
async fn what_can_not_be_signed_here_waits() {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let secrets = pennypost_sealing::KeyFile::at(dir.path().join("keys"));
    let it = fixture();
    let keys = KeyStore::new(it.backend.control());
    keys.add(&secrets, (TENANT, "t.example"), Algorithm::Ed25519, it.clock.now()).await.expect("a key");
    let letter = it.letter(&["you@a.example"]);
    // A key that DNS has not shown signs nothing: nobody waits for it.
    it.handle(&letter).await;
    let activated = keys.change(TENANT, "t.example", |keys| {
        keys.keys.iter_mut().for_each(|key| key.state = KeyState::Active);
        Ok::<_, SigningError>(())
    });
    activated.await.expect("active");
    let letter = Accepted { id: EventId::from_parts(letter.time, 6), ..letter };
    let event = Event::Outbound(Box::new(letter));
    let outcome = it.sender.handle(vec![event]).await.remove(0);
    let failure = outcome.expect_err("it waits");
    assert!(failure.temporary && failure.cause.contains("t.example"), "{failure:?}");
    it.work().await;
    assert_eq!(it.tried(), 1);
}

#[tokio::test]
async fn bytes_of_what_comes_late_lie_under_a_name_of_today() {
    let it = fixture();
    let letter = it.letter(&["you@a.example"]);
    it.pass(30 * 24 * HOUR);
    it.handle(&letter).await;
    let names = it.backend.objects().list(&names::spools(TENANT), None, 10).await.expect("lists");
    let [object] = &*names else { panic!("one object") };
    let named = names::id_of(&object.name).expect("an id");
    assert_eq!(named.time(), it.clock.now());
}

#[tokio::test]
async fn what_is_given_up_is_reported_with_what_the_server_said_last() {
    let it = fixture();
    let letter = it.letter(&["you@a.example"]);
    it.handle(&letter).await;
    it.town.answers.lock().push_back(verdict(RemoteOutcome::Deferred, 451, "4.3.0"));
    it.work().await;
    it.pass(5 * 24 * HOUR);
    let answer = RemoteAnswer { code: None, status: "4.4.1".to_owned(), text: "no connection".to_owned() };
    it.town.answers.lock().push_back((RemoteOutcome::Deferred, answer));
    it.work().await;
    let (_, text) = it.reports().await.remove(0);
    for part in [
        "Status: 5.4.7\r\n",
        "Remote-MTA: dns; mx.a.example\r\n",
        "Diagnostic-Code: smtp; 451 4.3.0 said\r\n",
        "the last answer was 4.4.1 no connection",
    ] {
        assert!(text.contains(part), "{part}\n{text}");
    }
    let subject = text.split("Subject: ").nth(1).and_then(|rest| rest.split("\r\nDate").next());
    let words: Vec<&str> = subject.expect("a subject").split("\r\n ").collect();
    assert!(words.len() >= 2 && words.iter().all(|word| word.len() <= 75), "{words:?}");
    assert!(words.iter().all(|word| word.starts_with("=?utf-8?B?") && word.ends_with("?=")), "{words:?}");
}
