//! Reminders of passwords that expire, by the daily chores of a tenant.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use pennypost_admin::Administration;
use pennypost_backend_embedded::{Embedded, Options};
use pennypost_directory::Directory;
use pennypost_housekeep::{Housekeep, Settings};
use pennypost_mailstore::Mailstore;
use pennypost_model::event::{Event, House, Stage};
use pennypost_model::{Timestamp, codec};
use pennypost_ports::{
    Clock, DeadLetter, DeadLetterId, Depth, Ids, Outgoing, PortError, PortResult, Queue, RandomIds, Receipt,
    Received,
};
use pennypost_runtime::Handler;

const DAY: i64 = 24 * 60 * 60 * 1000;

struct TestClock(AtomicI64);

#[async_trait]
impl Clock for TestClock {
    fn now(&self) -> Timestamp {
        Timestamp(self.0.load(Ordering::SeqCst))
    }

    async fn sleep(&self, _duration: Duration) {}
}

/// A queue that is away now and then: for whoever sends.
struct Moody {
    queue: Arc<dyn Queue>,
    is_away: AtomicBool,
}

#[async_trait]
impl Queue for Moody {
    async fn send_batch(&self, stage: Stage, messages: Vec<Outgoing>) -> Vec<PortResult<()>> {
        if self.is_away.load(Ordering::SeqCst) {
            let away = || PortError::Unavailable { port: "queue", cause: "away".to_owned() };
            return messages.iter().map(|_| Err(away())).collect();
        }
        self.queue.send_batch(stage, messages).await
    }

    async fn receive(
        &self,
        stage: Stage,
        limit: usize,
        visible: Duration,
        wait: Duration,
    ) -> PortResult<Vec<Received>> {
        self.queue.receive(stage, limit, visible, wait).await
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

/// Feature AUT-12: members are told by a letter a week before their password expires, once for each password; the reminder has no console home yet
#[tokio::test(flavor = "multi_thread")]
async fn who_has_a_password_that_expires_is_reminded_once() {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let backend = Embedded::open(dir.path(), &Options::server()).expect("opens");
    let clock = Arc::new(TestClock(AtomicI64::new(1_795_000_000_000)));
    let ids: Arc<dyn Ids> = Arc::new(RandomIds);
    let directory = Directory::new(backend.control(), Arc::clone(&clock) as _, Arc::clone(&ids));
    let tenant = directory.add_tenant("acme").await.expect("tenant").id;
    directory.add_domain(tenant, "acme.example").await.expect("domain");
    let ann =
        directory.add_account("ann@acme.example", "a long password", "Ann", None).await.expect("ann").key;
    clock.0.fetch_add(20 * DAY, Ordering::SeqCst);
    directory.add_account("bob@acme.example", "a long password", "Bob", None).await.expect("bob");
    let moody = Arc::new(Moody { queue: backend.queue(), is_away: AtomicBool::new(false) });
    let it =
        Administration::new(directory.clone(), backend.control(), Arc::clone(&clock) as _, Arc::clone(&ids))
            .with_tasks(backend.objects(), Arc::clone(&moody) as _);
    let telling = it.clone();
    let store = Mailstore::new(backend.journal(), backend.objects(), Arc::clone(&clock) as _, ids);
    let house = Housekeep::new(store, backend.control(), backend.queue(), Settings::default());
    let house = house.carrying_out(it);
    let queue = backend.queue();
    let reminded = async || {
        let outcomes = house.handle(vec![Event::House(House::Audit(tenant))]).await;
        assert_eq!(outcomes, [Ok(Vec::new())]);
        let (visible, wait) = (Duration::from_secs(60), Duration::ZERO);
        let found = queue.receive(Stage::InboundParse, 10, visible, wait).await.expect("received");
        let mut told = Vec::new();
        for message in found {
            let Ok(Event::Accepted(accepted)) = codec::decode(&message.body) else { panic!("a letter") };
            told.extend(accepted.recipients.into_iter().map(|recipient| recipient.address));
            queue.ack(Stage::InboundParse, &[message.receipt]).await.expect("done");
        }
        told
    };
    // Passwords have no end.
    assert_eq!(reminded().await, [""; 0]);
    let mut rules = directory.sign_in_rules(tenant).await.expect("rules");
    rules.passwords.lifetime_days = 28;
    directory.set_sign_in_rules(tenant, &rules).await.expect("set").expect("as it was");
    // Ann's ends in eight days, then in seven.
    assert_eq!(reminded().await, [""; 0]);
    clock.0.fetch_add(DAY + 1, Ordering::SeqCst);
    // Whom the queue did not take is told later.
    moody.is_away.store(true, Ordering::SeqCst);
    telling.remind_of_passwords(tenant).await.expect_err("the queue is away");
    moody.is_away.store(false, Ordering::SeqCst);
    assert_eq!(reminded().await, ["ann@acme.example"]);
    assert_eq!(reminded().await, [""; 0]);
    // Another password has another end, of which she is told in its time; Bob's comes first.
    directory.give_password(ann, "another long password", false).await.expect("set");
    clock.0.fetch_add(20 * DAY, Ordering::SeqCst);
    assert_eq!(reminded().await, ["bob@acme.example"]);
    clock.0.fetch_add(DAY, Ordering::SeqCst);
    assert_eq!(reminded().await, ["ann@acme.example"]);
    // What is over is not about to be.
    clock.0.fetch_add(30 * DAY, Ordering::SeqCst);
    assert_eq!(reminded().await, [""; 0]);
}
