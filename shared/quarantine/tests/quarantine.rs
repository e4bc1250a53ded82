//! What lies in quarantine is kept for its time, and released once, whoever dies.

use std::sync::Arc;
use std::time::Duration;

use pennypost_backend_embedded::{Embedded, Options};
use pennypost_mailstore::compress::compress;
use pennypost_model::event::{Accepted, AuthResults, Body, Event, Recipient, Source, SourceKind, Stage, Via};
use pennypost_model::message::Contact;
use pennypost_model::scan::HeldFor;
use pennypost_model::{AccountId, AccountKey, EventId, TenantId, Timestamp, codec};
use pennypost_ports::{Control, ControlKey, Expected, Objects, Queue};
use pennypost_quarantine::{HeldLetter, HeldState, KEPT_DAYS, Quarantine, Standing};

const TENANT: TenantId = TenantId(7);
const ANN: AccountKey = AccountKey { tenant: TENANT, account: AccountId(1) };
const BEA: AccountKey = AccountKey { tenant: TENANT, account: AccountId(2) };
const THEN: Timestamp = Timestamp(1_795_076_130_000);

struct Bench {
    _dir: tempfile::TempDir,
    control: Arc<dyn Control>,
    objects: Arc<dyn Objects>,
    queue: Arc<dyn Queue>,
    quarantine: Quarantine,
}

impl Bench {
    fn open() -> Bench {
        let dir = tempfile::tempdir().expect("a folder");
        let backend = Embedded::open(dir.path(), &Options::server()).expect("opens");
        let (control, objects): (Arc<dyn Control>, Arc<dyn Objects>) = (backend.control(), backend.objects());
        let quarantine = Quarantine::new(Arc::clone(&control), Arc::clone(&objects));
        Bench { _dir: dir, control, objects, queue: backend.queue(), quarantine }
    }

    async fn keep(&self, id: EventId, kept: &[AccountKey]) -> Accepted {
        self.keep_at(id.time(), id, kept).await
    }

    async fn keep_at(&self, now: Timestamp, id: EventId, kept: &[AccountKey]) -> Accepted {
        let message = compress(b"Subject: hello\r\n\r\nhello\r\n").expect("compresses");
        let recipient =
            |account| Recipient { account, address: "someone@t.test".to_owned(), via: Via::Direct };
        let accepted = Accepted {
            id,
            time: id.time(),
            tenant: TENANT,
            source: Source { kind: SourceKind::Smtp, ip: None, helo: String::new(), tls: None },
            auth: AuthResults::default(),
            reverse_path: "bob@sender.test".to_owned(),
            recipients: [ANN, BEA].map(recipient).to_vec(),
            body: Body::Spooled { object: "elsewhere".to_owned(), size: 1 },
            receipt: "Received: by a test\r\n".to_owned(),
        };
        let row = |account: &AccountKey| HeldLetter {
            letter: id,
            account: *account,
            address: "someone@t.test".to_owned(),
            accepted: id.time(),
            kept: now,
            reverse_path: "bob@sender.test".to_owned(),
            from: Contact::default(),
            subject: "hello".to_owned(),
            size: 25,
            held_for: HeldFor::Spam,
            reasons: Vec::new(),
            state: HeldState::Held,
        };
        let rows: Vec<HeldLetter> = kept.iter().map(row).collect();
        for _ in 0..2 {
            self.quarantine.keep(&accepted, &message, &rows).await.expect("kept");
        }
        accepted
    }

    async fn sent(&self) -> Vec<Accepted> {
        let (minute, brief) = (Duration::from_secs(60), Duration::from_millis(1));
        let received = self.queue.receive(Stage::InboundParse, 10, minute, brief).await.expect("queue");
        let mut sent = Vec::new();
        for message in received {
            self.queue.ack(Stage::InboundParse, &[message.receipt]).await.expect("acknowledged");
            let Ok(Event::Accepted(accepted)) = codec::decode(&message.body) else { panic!("a letter") };
            sent.push(*accepted);
        }
        sent
    }

    /// What a process has left that died between saying that a letter is released and sending it.
    async fn leave_releasing(&self, account: AccountKey, id: EventId) {
        let name = format!("{}/{id}", account.account);
        let key = ControlKey::new(format!("{TENANT}/quarantine"), name.clone());
        let mut held = self.quarantine.letter(account, id).await.expect("read").expect("there");
        held.state = HeldState::Releasing { at: THEN };
        self.control.put_if(&key, &codec::encode(&held), Expected::Any).await.expect("written");
        let key = ControlKey::new(format!("{TENANT}/quarantine-releases"), name);
        self.control.put_if(&key, b"", Expected::Any).await.expect("written");
    }

    /// What is noted of letters that are being released.
    async fn releases(&self) -> usize {
        self.control
            .query(&format!("{TENANT}/quarantine-releases"), "", None, 10)
            .await
            .expect("listed")
            .len()
    }

    async fn release(&self, account: AccountKey, id: EventId) -> Option<HeldLetter> {
        let spool = EventId::from_parts(THEN, 99);
        self.quarantine.release(account, id, &*self.queue, (THEN, spool)).await.expect("released")
    }

    async fn look_after(&self, now: Timestamp) -> u64 {
        let fresh = || EventId::from_parts(now, 98);
        self.quarantine.look_after(TENANT, &*self.queue, now, fresh).await.expect("looked after")
    }
}

fn kept_for_spam() -> Standing {
    Standing::Kept { held_for: HeldFor::Spam, reasons: Vec::new() }
}

fn id(number: u128) -> EventId {
    EventId::from_parts(THEN, number)
}

#[tokio::test]
async fn what_is_released_goes_to_its_recipient_alone_and_once() {
    let bench = Bench::open();
    let accepted = bench.keep(id(1), &[ANN, BEA]).await;
    assert!(bench.quarantine.standings(TENANT, id(2), &[ANN]).await.expect("read").is_empty());
    let held = bench.release(ANN, id(1)).await.expect("there");
    assert_eq!(held.state, HeldState::Released { at: THEN });
    assert_eq!(bench.release(ANN, id(1)).await.map(|held| held.state), Some(held.state));
    let [sent] = &bench.sent().await[..] else { panic!("one letter") };
    assert_eq!((sent.id, sent.time, &sent.receipt), (accepted.id, accepted.time, &accepted.receipt));
    assert_eq!(sent.recipients.iter().map(|one| one.account).collect::<Vec<_>>(), [ANN]);
    assert!(matches!(&sent.body, Body::Inline(message) if message.size == 25), "{:?}", sent.body);
    let standings = bench.quarantine.standings(TENANT, id(1), &[ANN, BEA]).await.expect("read");
    assert_eq!(
        (standings.get(&ANN), standings.get(&BEA)),
        (Some(&Standing::Released), Some(&kept_for_spam()))
    );
    assert_eq!(bench.release(ANN, id(9)).await, None);
    let other = AccountKey { tenant: TenantId(8), ..ANN };
    assert_eq!(bench.release(other, id(1)).await, None, "of another tenant");
    assert!(bench.quarantine.standings(TenantId(8), id(1), &[other]).await.expect("read").is_empty());
}

#[tokio::test]
async fn what_is_deleted_is_not_shown_and_still_kept_from_its_recipient() {
    let bench = Bench::open();
    bench.keep(id(1), &[ANN, BEA]).await;
    bench.keep(id(2), &[ANN]).await;
    bench.quarantine.delete(ANN, id(1), THEN).await.expect("deleted");
    let listed = |account| bench.quarantine.list(TENANT, account, None, (THEN, 10));
    let letters =
        |page: pennypost_quarantine::Page| page.letters.iter().map(|one| one.letter).collect::<Vec<_>>();
    assert_eq!(letters(listed(Some(ANN.account)).await.expect("listed")), [id(2)]);
    assert_eq!(letters(listed(None).await.expect("listed")), [id(2), id(1)]);
    assert_eq!(
        letters(bench.quarantine.list(TenantId(8), None, None, (THEN, 10)).await.expect("listed")),
        []
    );
    let standings = bench.quarantine.standings(TENANT, id(1), &[ANN]).await.expect("read");
    assert_eq!(standings.get(&ANN), Some(&kept_for_spam()));
    assert!(matches!(
        bench.release(ANN, id(1)).await,
        Some(HeldLetter { state: HeldState::Deleted { .. }, .. })
    ));
    assert!(bench.sent().await.is_empty());
    // What is released is not deleted.
    bench.release(BEA, id(1)).await.expect("there");
    let held = bench.quarantine.delete(BEA, id(1), THEN).await.expect("asked").expect("there");
    assert!(held.state.is_released());
    // Pages are no longer than they are wanted.
    let page = bench.quarantine.list(TENANT, None, None, (THEN, 1)).await.expect("listed");
    let rest = bench.quarantine.list(TENANT, None, page.next.as_deref(), (THEN, 10)).await.expect("listed");
    assert_eq!(page.letters.len() + rest.letters.len(), 2);
}

/// Feature RCV-11: what is kept is removed after seven natural days
#[tokio::test]
async fn what_has_lain_there_for_its_time_goes_and_nothing_else() {
    let bench = Bench::open();
    let later = EventId::from_parts(THEN.plus_millis(86_400_000), 1);
    bench.keep(id(1), &[ANN, BEA]).await;
    bench.keep(later, &[ANN]).await;
    let end = THEN.plus_millis(KEPT_DAYS * 86_400_000);
    assert_eq!(bench.look_after(end.plus_millis(-1)).await, 0);
    assert_eq!(bench.look_after(end).await, 1);
    assert_eq!(bench.look_after(end).await, 0);
    assert_eq!(bench.quarantine.letter(ANN, id(1)).await, Ok(None));
    assert_eq!(bench.quarantine.message(TENANT, id(1)).await, Ok(None));
    assert!(bench.quarantine.message(TENANT, later).await.expect("read").is_some());
    assert_eq!(bench.objects.list("", None, 10).await.expect("listed").len(), 1);
    // What is over, and not removed yet, is not shown.
    let over = end.plus_millis(86_400_000);
    assert_eq!(bench.quarantine.list(TENANT, None, None, (over, 10)).await.expect("listed").letters, []);
}

/// The process dies between saying that a letter is released and sending it.
#[tokio::test]
async fn what_was_to_be_released_is_sent_by_the_next_one_who_looks() {
    let bench = Bench::open();
    bench.keep(id(1), &[ANN]).await;
    bench.leave_releasing(ANN, id(1)).await;
    let day = THEN.plus_millis(86_400_000);
    assert_eq!(bench.look_after(day).await, 0);
    assert_eq!((bench.sent().await.len(), bench.releases().await), (1, 0));
    let end = THEN.plus_millis(KEPT_DAYS * 86_400_000);
    assert_eq!(bench.look_after(end).await, 1);
    assert!(bench.sent().await.is_empty());

    bench.keep(id(2), &[ANN]).await;
    bench.leave_releasing(ANN, id(2)).await;
    let released = bench.release(ANN, id(2)).await.expect("there");
    assert_eq!((released.state, bench.sent().await.len()), (HeldState::Released { at: THEN }, 1));
    assert_eq!(bench.releases().await, 0);
}

/// A letter that had waited for days before it came into quarantine was over at once, and gone with the next housekeeping.
#[tokio::test]
async fn however_old_a_letter_is_it_lies_there_for_seven_days() {
    let bench = Bench::open();
    let late = THEN.plus_millis(8 * 86_400_000);
    bench.keep_at(late, id(1), &[ANN]).await;
    assert_eq!(bench.look_after(late).await, 0);
    let listed = bench.quarantine.list(TENANT, None, None, (late, 10)).await.expect("listed").letters;
    assert_eq!(
        listed.iter().map(HeldLetter::expires).collect::<Vec<_>>(),
        [late.plus_millis(7 * 86_400_000)]
    );
    // From one more it is kept later: it stays for him, and no longer for her.
    let later = late.plus_millis(5 * 86_400_000);
    bench.keep_at(later, id(1), &[BEA]).await;
    let end = late.plus_millis(KEPT_DAYS * 86_400_000);
    assert_eq!(bench.look_after(end).await, 0);
    let listed = bench.quarantine.list(TENANT, None, None, (end, 10)).await.expect("listed").letters;
    assert_eq!(listed.iter().map(|held| held.account).collect::<Vec<_>>(), [BEA]);
    assert!(bench.release(BEA, id(1)).await.expect("there").state.is_released());
    assert_eq!(bench.sent().await.len(), 1);
    assert_eq!(bench.look_after(later.plus_millis(KEPT_DAYS * 86_400_000)).await, 1);
}

/// The row went before the event that was sent because of it: the letter was scanned anew, and kept once more.
#[tokio::test]
async fn what_is_released_at_last_stays_until_it_has_come() {
    let bench = Bench::open();
    let nearly = THEN.plus_millis(KEPT_DAYS * 86_400_000 - 1_000);
    bench.keep(id(1), &[ANN]).await;
    let spool = EventId::from_parts(nearly, 99);
    bench.quarantine.release(ANN, id(1), &*bench.queue, (nearly, spool)).await.expect("released");
    for hours in [1, 71] {
        assert_eq!(bench.look_after(nearly.plus_millis(hours * 3_600_000)).await, 0, "{hours}");
        let standings = bench.quarantine.standings(TENANT, id(1), &[ANN]).await.expect("read");
        assert_eq!(standings.get(&ANN), Some(&Standing::Released));
    }
    assert_eq!(bench.look_after(nearly.plus_millis(72 * 3_600_000)).await, 1);
}

/// One row that could not be read ended housekeeping for all that stood behind it.
#[tokio::test]
async fn what_cannot_be_read_is_in_no_others_way() {
    let bench = Bench::open();
    for number in 1..=4 {
        bench.keep(id(number), &[ANN]).await;
    }
    let row = ControlKey::new(format!("{TENANT}/quarantine"), format!("{}/{}", ANN.account, id(1)));
    bench.control.put_if(&row, b"\xff\xff", Expected::Any).await.expect("written");
    let letter = ControlKey::new(format!("{TENANT}/quarantined-letters"), id(2).to_string());
    bench.control.put_if(&letter, b"\xff\xff", Expected::Any).await.expect("written");
    for (account, number) in [(ANN, 3), (ANN, 4)] {
        bench.leave_releasing(account, id(number)).await;
    }
    // Its bytes are gone: it can't be sent, and holds nothing back.
    for object in bench.objects.list("", None, 10).await.expect("listed") {
        if object.name.ends_with(&id(3).to_string()) {
            bench.objects.delete(&object.name).await.expect("deleted");
        }
    }
    assert_eq!(bench.release(ANN, id(3)).await, None);
    let end = THEN.plus_millis(KEPT_DAYS * 86_400_000);
    assert_eq!(bench.look_after(end).await, 2);
    let sent: Vec<EventId> = bench.sent().await.iter().map(|accepted| accepted.id).collect();
    assert_eq!((sent, bench.releases().await), (vec![id(4)], 0));
    // Somebody is about to release it, or died before he said so.
    let later = EventId::from_parts(end, 1);
    bench.keep(later, &[BEA]).await;
    let key = ControlKey::new(format!("{TENANT}/quarantine-releases"), format!("{}/{later}", BEA.account));
    bench.control.put_if(&key, b"", Expected::Any).await.expect("written");
    bench.look_after(end).await;
    assert_eq!((bench.sent().await.len(), bench.releases().await), (0, 0));
    assert_eq!(
        bench.quarantine.letter(BEA, later).await.expect("read").map(|held| held.state),
        Some(HeldState::Held)
    );
}
