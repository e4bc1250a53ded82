//! Ticks on the embedded backend.

use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use pennypost_backend_embedded::{Embedded, Options};
use pennypost_mailstore::{Mailroom, Mailstore};
use pennypost_model::{AccountId, AccountKey};
use pennypost_ports::RandomIds;
use pennypost_runtime::Fusing;

use super::*;

const HOUR: i64 = 3_600_000;

struct TestClock(AtomicI64);

#[async_trait]
impl Clock for TestClock {
    fn now(&self) -> Timestamp {
        Timestamp(self.0.load(Ordering::SeqCst))
    }

    async fn sleep(&self, _duration: Duration) {}
}

struct Fixture {
    backend: Embedded,
    directory: Directory,
    store: Mailstore,
    clock: Arc<TestClock>,
    schedule: Schedule,
    _dir: tempfile::TempDir,
}

fn fixture() -> Fixture {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let backend = Embedded::open(dir.path(), &Options::server()).expect("opens");
    let clock = Arc::new(TestClock(AtomicI64::new(1_795_076_130_000)));
    let (at, ids): (Arc<dyn Clock>, _) = (Arc::clone(&clock) as _, Arc::new(RandomIds));
    let directory = Directory::new(backend.control(), Arc::clone(&at), Arc::clone(&ids) as _);
    let store = Mailstore::new(backend.journal(), backend.objects(), Arc::clone(&at), ids);
    let pipeline = Pipeline::new([], Fusing::fused(), backend.queue());
    let (journal, control, queue) = (backend.journal(), backend.control(), backend.queue());
    let schedule = Schedule::new(directory.clone(), journal, control, queue, at, pipeline);
    Fixture { backend, directory, store, clock, schedule, _dir: dir }
}

impl Fixture {
    async fn tenant(&self, name: &str, accounts: u64) -> TenantId {
        let tenant = self.directory.add_tenant(name).await.expect("tenant").id;
        for number in 1..=accounts {
            let key = AccountKey { tenant, account: AccountId(number) };
            Mailroom::new(self.store.clone()).account(key).await.expect("journal");
        }
        tenant
    }

    /// What was sent to housekeeping, acknowledged.
    async fn sent(&self) -> Vec<House> {
        let queue = self.backend.queue();
        let minute = Duration::from_secs(60);
        let received =
            queue.receive(Stage::Housekeep, 1_000, minute, Duration::ZERO).await.expect("receives");
        let mut houses = Vec::new();
        for message in received {
            if let Ok(Event::House(house)) = codec::decode::<Event>(&message.body) {
                houses.push(house);
            }
            queue.ack(Stage::Housekeep, &[message.receipt]).await.expect("acknowledges");
        }
        houses
    }

    async fn tick(&self) -> Ticked {
        self.schedule.tick(None).await.expect("ticks")
    }
}

#[tokio::test]
async fn every_tenant_and_account_is_sent_once_a_day() {
    let fixture = fixture();
    let (acme, other) = (fixture.tenant("acme", 2).await, fixture.tenant("other", 1).await);
    assert_eq!(fixture.tick().await, Ticked { tenants: 2, events: 11, left: 0, letters: 0 });
    let sent = fixture.sent().await;
    for tenant in [acme, other] {
        for chore in [
            House::CollectGarbage(tenant),
            House::Audit(tenant),
            House::Domains(tenant),
            House::Statistics(tenant),
        ] {
            assert!(sent.contains(&chore), "{chore:?}");
        }
    }
    assert_eq!(sent.iter().filter(|house| matches!(house, House::Account(_))).count(), 3);

    fixture.clock.0.fetch_add(23 * HOUR, Ordering::SeqCst);
    assert_eq!(fixture.tick().await, Ticked::default());
    // A tenant that is new does not wait for the others.
    fixture.tenant("third", 0).await;
    assert_eq!(fixture.tick().await, Ticked { tenants: 1, events: 4, left: 0, letters: 0 });
    fixture.sent().await;
    fixture.clock.0.fetch_add(HOUR, Ordering::SeqCst);
    assert_eq!(fixture.tick().await, Ticked { tenants: 2, events: 11, left: 0, letters: 0 });
}

#[tokio::test]
async fn of_a_tenant_that_is_being_erased_nothing_but_that_is_asked_for() {
    let fixture = fixture();
    let acme = fixture.tenant("acme", 2).await;
    assert_eq!(fixture.directory.begin_erasing_tenant(acme, |_| true).await, Ok(true));
    assert_eq!(fixture.tick().await, Ticked { tenants: 1, events: 1, left: 0, letters: 0 });
    assert_eq!(fixture.sent().await, [House::Erase(acme)]);
    assert_eq!(fixture.tick().await, Ticked::default(), "once a day");
}

#[tokio::test]
async fn nothing_piles_up_and_what_there_is_no_time_for_comes_next() {
    let fixture = fixture();
    fixture.tenant("acme", 1).await;
    fixture.tick().await;
    fixture.clock.0.fetch_add(25 * HOUR, Ordering::SeqCst);
    assert_eq!(fixture.tick().await, Ticked { left: 1, ..Ticked::default() }, "housekeeping is busy");
    // Something in the queue that goes on for hours holds nothing up for longer than that.
    fixture.clock.0.fetch_add(5 * HOUR, Ordering::SeqCst);
    assert_eq!(fixture.tick().await, Ticked { tenants: 1, events: 5, left: 0, letters: 0 });
    fixture.clock.0.fetch_add(25 * HOUR, Ordering::SeqCst);
    assert_eq!(fixture.tick().await, Ticked { left: 1, ..Ticked::default() });
    fixture.sent().await;
    fixture.tenant("other", 1).await;
    let ticked = fixture.schedule.tick(Some(Instant::now())).await.expect("ticks");
    assert_eq!(ticked, Ticked { left: 2, ..Ticked::default() });
    assert_eq!(fixture.tick().await, Ticked { tenants: 2, events: 10, left: 0, letters: 0 });
}
