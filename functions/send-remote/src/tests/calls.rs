//! How often the table is asked: what docs/decisions/0032-letters-out.md says of it, counted.

use std::sync::atomic::AtomicUsize;

use pennypost_ports::{Consistency, ControlKey, Expected, Item, Put};

use super::*;

/// A control table that counts reads, writes, deletions and queries.
struct Counting(Arc<dyn Control>, [AtomicUsize; 4]);

impl Counting {
    fn count(&self, place: usize) {
        self.1[place].fetch_add(1, Ordering::SeqCst);
    }

    /// The calls since the last time.
    fn taken(&self) -> [usize; 4] {
        self.1.each_ref().map(|count| count.swap(0, Ordering::SeqCst))
    }
}

#[async_trait]
impl Control for Counting {
    async fn get(&self, key: &ControlKey, consistency: Consistency) -> PortResult<Option<Item>> {
        self.count(0);
        self.0.get(key, consistency).await
    }

    async fn put_if(&self, key: &ControlKey, value: &[u8], expected: Expected) -> PortResult<Put> {
        self.count(1);
        self.0.put_if(key, value, expected).await
    }

    async fn delete_if(&self, key: &ControlKey, version: u64) -> PortResult<bool> {
        self.count(2);
        self.0.delete_if(key, version).await
    }

    async fn query(
        &self,
        partition: &str,
        prefix: &str,
        after: Option<&str>,
        limit: usize,
    ) -> PortResult<Vec<(String, Item)>> {
        self.count(3);
        self.0.query(partition, prefix, after, limit).await
    }
}

#[tokio::test]
async fn letters_that_wait_cost_nothing_and_attempts_what_is_said_of_them() {
    let mut it = fixture();
    let counting = Arc::new(Counting(it.backend.control(), Default::default()));
    let control: Arc<dyn Control> = Arc::clone(&counting) as _;
    it.sender = SendRemote::new(Ports { control, ..it.sender.0.ports.clone() }, Settings::default());
    let later = || verdict(RemoteOutcome::Deferred, 451, "4.7.1");

    it.handle(&it.letter(&["you@a.example"])).await;
    // Its keys, its items; a row and an item.
    assert_eq!(counting.taken(), [1, 2, 0, 1], "put down");
    it.work().await;
    // What names envelopes is read, and made, once; by which way they go is read once.
    assert_eq!(counting.taken(), [3, 4, 2, 1], "taken at once, with the look");
    it.pass(1_000);
    it.handle(&it.letter(&["you@b.example"])).await;
    counting.taken();
    for (number, reads) in [(1, 1), (2, 2), (3, 1)] {
        it.town.answers.lock().push_back(later());
        it.work().await;
        assert_eq!(counting.taken(), [reads, 4, 2, 1], "put off, attempt {number}");
        it.pass(HOUR);
    }
    it.work().await;
    counting.taken();

    for number in 0..250 {
        it.pass(1);
        it.handle(&it.letter(&[&format!("you@d{number}.example")])).await;
        it.town.answers.lock().push_back(later());
    }
    it.work().await;
    counting.taken();
    it.work().await;
    assert_eq!(counting.taken(), [0, 0, 0, 1], "a look at letters that wait");
}

/// Which destinations are left alone is read twice in a minute, and written when that changes.
#[tokio::test]
async fn who_is_left_alone_costs_a_query_in_half_a_minute_and_a_write_when_it_begins() {
    let mut it = fixture();
    let counting = Arc::new(Counting(it.backend.control(), Default::default()));
    let control: Arc<dyn Control> = Arc::clone(&counting) as _;
    it.sender = SendRemote::new(Ports { control, ..it.sender.0.ports.clone() }, Settings::default());
    let text = "no connection".to_owned();
    let unreached = (RemoteOutcome::Deferred, RemoteAnswer { code: None, status: "4.4.1".to_owned(), text });
    it.handle(&it.letter(&["you@z.example"])).await;
    super::pauses::look(&it.sender).await;
    for (millis, calls, told) in [
        (1, [1, 4, 2, 1], "known already"),
        (31_000, [1, 5, 2, 2], "read again, and written"),
        (1, [0, 0, 0, 1], "it waits"),
    ] {
        it.pass(millis);
        it.handle(&it.letter(&["you@a.example"])).await;
        it.town.answers.lock().push_back(unreached.clone());
        counting.taken();
        super::pauses::look(&it.sender).await;
        assert_eq!(counting.taken(), calls, "{told}");
    }
}
