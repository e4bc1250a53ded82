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
            kept: id.time(),
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

    async fn release(&self, account: AccountKey, id: EventId) -> Option<HeldLetter> {
        let spool = EventId::from_parts(THEN, 99);
        self.quarantine.release(account, id, &*self.queue, (THEN, spool)).await.expect("released")
    }

    async fn look_after(&self, now: Timestamp) -> u64 {
        let fresh = || EventId::from_parts(now, 98);
        self.quarantine.look_after(TENANT, &*self.queue, now, fresh).await.expect("looked after")
    }
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
        (Some(&Standing::Released), Some(&Standing::Kept(HeldFor::Spam)))
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
    assert_eq!(standings.get(&ANN), Some(&Standing::Kept(HeldFor::Spam)));
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
    let key = ControlKey::new(format!("{TENANT}/quarantine"), format!("{}/{}", ANN.account, id(1)));
    let mut held = bench.quarantine.letter(ANN, id(1)).await.expect("read").expect("there");
    held.state = HeldState::Releasing { at: THEN };
    bench.control.put_if(&key, &codec::encode(&held), Expected::Any).await.expect("written");
    let end = THEN.plus_millis((KEPT_DAYS + 1) * 86_400_000);
    assert_eq!(bench.look_after(end).await, 0, "it is not removed before it is sent");
    assert_eq!(bench.sent().await.len(), 1);
    assert_eq!(bench.look_after(end).await, 1);
    assert!(bench.sent().await.is_empty());

    bench.keep(id(2), &[ANN]).await;
    let key = ControlKey::new(format!("{TENANT}/quarantine"), format!("{}/{}", ANN.account, id(2)));
    held.letter = id(2);
    bench.control.put_if(&key, &codec::encode(&held), Expected::Any).await.expect("written");
    let released = bench.release(ANN, id(2)).await.expect("there");
    assert_eq!((released.state, bench.sent().await.len()), (HeldState::Released { at: THEN }, 1));
}
