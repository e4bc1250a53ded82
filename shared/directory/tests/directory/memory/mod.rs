//! A control port in memory that can die at a chosen call, a clock that is set by hand, and repeatable ids.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};

use async_trait::async_trait;
use parking_lot::Mutex;
use pennypost_directory::Directory;
use pennypost_model::{EventId, Timestamp};
use pennypost_ports::{
    Clock, Consistency, Control, ControlKey, Expected, Ids, Item, PortError, PortResult, Put,
};

/// What is durable: survives the death of a [`Memory`].
#[derive(Default)]
pub struct Disk {
    items: Mutex<BTreeMap<ControlKey, Item>>,
    versions: AtomicU64,
    /// Keys that were read, since they were taken last.
    reads: Mutex<Vec<ControlKey>>,
}

impl Disk {
    /// Every key that is there.
    pub fn keys(&self) -> Vec<ControlKey> {
        self.items.lock().keys().cloned().collect()
    }

    /// Keys that were read since this was asked last.
    pub fn take_reads(&self) -> Vec<ControlKey> {
        std::mem::take(&mut self.reads.lock())
    }

    /// Every stored byte, to look for what must not be there.
    pub fn bytes(&self) -> Vec<u8> {
        self.items.lock().values().flat_map(|item| item.value.clone()).collect()
    }
}

/// How a write fails when its time has come.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Death {
    /// The write has no effect.
    BeforeWrite,
    /// The write has taken effect, but nobody is told.
    AfterWrite,
}

/// One process's view of the disk.
pub struct Memory {
    disk: Arc<Disk>,
    writes_left: AtomicI64,
    death: Death,
}

impl Memory {
    /// A process that lives on.
    pub fn new(disk: &Arc<Disk>) -> Memory {
        Memory::dying(disk, i64::MAX, Death::BeforeWrite)
    }

    /// A process that dies at its write number `writes` (from 0).
    pub fn dying(disk: &Arc<Disk>, writes: i64, death: Death) -> Memory {
        Memory { disk: Arc::clone(disk), writes_left: AtomicI64::new(writes), death }
    }

    fn dead() -> PortError {
        PortError::Unavailable { port: "control", cause: "dead".to_owned() }
    }

    /// Whether the write is to be made, and whether its caller lives to see it.
    fn write_turn(&self) -> (bool, bool) {
        match self.writes_left.fetch_sub(1, Ordering::SeqCst) {
            left if left > 0 => (true, true),
            0 => (self.death == Death::AfterWrite, false),
            _ => (false, false),
        }
    }
}

#[async_trait]
impl Control for Memory {
    async fn get(&self, key: &ControlKey, _: Consistency) -> PortResult<Option<Item>> {
        // Lets other tasks in between, so that races are real.
        tokio::task::yield_now().await;
        if self.writes_left.load(Ordering::SeqCst) < 0 {
            return Err(Memory::dead());
        }
        self.disk.reads.lock().push(key.clone());
        Ok(self.disk.items.lock().get(key).cloned())
    }

    async fn put_if(&self, key: &ControlKey, value: &[u8], expected: Expected) -> PortResult<Put> {
        tokio::task::yield_now().await;
        let (is_made, is_told) = self.write_turn();
        let put = if is_made {
            let mut items = self.disk.items.lock();
            let held = items.get(key).cloned();
            let holds = match expected {
                Expected::Absent => held.is_none(),
                Expected::Version(version) => held.as_ref().is_some_and(|item| item.version == version),
                Expected::Any => true,
            };
            if holds {
                let version = self.disk.versions.fetch_add(1, Ordering::SeqCst) + 1;
                items.insert(key.clone(), Item { value: value.to_vec(), version });
                Put::Stored(version)
            } else {
                Put::Conflict(held)
            }
        } else {
            Put::Conflict(None)
        };
        if is_told { Ok(put) } else { Err(Memory::dead()) }
    }

    async fn delete_if(&self, key: &ControlKey, version: u64) -> PortResult<bool> {
        tokio::task::yield_now().await;
        let (is_made, is_told) = self.write_turn();
        let mut deleted = false;
        if is_made {
            let mut items = self.disk.items.lock();
            deleted = items.get(key).is_some_and(|item| item.version == version);
            if deleted {
                items.remove(key);
            }
        }
        if is_told { Ok(deleted) } else { Err(Memory::dead()) }
    }

    async fn query(
        &self,
        partition: &str,
        prefix: &str,
        after: Option<&str>,
        limit: usize,
    ) -> PortResult<Vec<(String, Item)>> {
        let items = self.disk.items.lock();
        let matching = items.iter().filter(|(key, _)| {
            key.partition == partition
                && key.sort.starts_with(prefix)
                && after.is_none_or(|after| key.sort.as_str() > after)
        });
        Ok(matching.take(limit).map(|(key, item)| (key.sort.clone(), item.clone())).collect())
    }
}

/// A clock that stands still until it is moved.
pub struct HandClock(AtomicI64);

impl HandClock {
    /// Moves on.
    pub fn advance(&self, millis: i64) {
        self.0.fetch_add(millis, Ordering::SeqCst);
    }
}

#[async_trait]
impl Clock for HandClock {
    fn now(&self) -> Timestamp {
        Timestamp(self.0.load(Ordering::SeqCst))
    }
    async fn sleep(&self, duration: std::time::Duration) {
        self.advance(i64::try_from(duration.as_millis()).unwrap_or(i64::MAX));
    }
}

/// 1, 2, 3 … scattered, the same in each run.
pub struct CountedIds(AtomicU64);

impl Ids for CountedIds {
    fn event(&self, now: Timestamp) -> EventId {
        EventId::from_parts(now, u128::from(self.random()))
    }
    fn random(&self) -> u64 {
        (self.0.fetch_add(1, Ordering::SeqCst) + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15)
    }
}

/// A directory in memory and what it stands on.
pub struct House {
    pub disk: Arc<Disk>,
    pub clock: Arc<HandClock>,
    pub directory: Directory,
    ids: Arc<CountedIds>,
}

impl House {
    /// An empty one.
    pub fn new() -> House {
        let disk: Arc<Disk> = Arc::default();
        let clock = Arc::new(HandClock(AtomicI64::new(1_800_000_000_000)));
        let ids = Arc::new(CountedIds(AtomicU64::new(0)));
        let directory = Directory::new(
            Arc::new(Memory::new(&disk)),
            Arc::clone(&clock) as Arc<dyn Clock>,
            Arc::clone(&ids) as Arc<dyn Ids>,
        );
        House { disk, clock, directory, ids }
    }

    /// One with tenant `acme` that has the domain `acme.example`.
    pub async fn with_acme() -> (House, pennypost_model::TenantId) {
        let house = House::new();
        let tenant = house.directory.add_tenant("Acme").await.expect("tenant").id;
        house.directory.add_domain(tenant, "acme.example").await.expect("domain");
        (house, tenant)
    }

    /// The time, in milliseconds.
    pub fn clock_now(&self) -> i64 {
        self.clock.now().0
    }

    /// The same house seen by another process.
    pub fn process(&self, memory: Memory) -> Directory {
        self.process_on(Arc::new(memory))
    }

    /// The same house seen by another process, through a control port of its own.
    pub fn process_on(&self, control: Arc<dyn Control>) -> Directory {
        Directory::new(
            control,
            Arc::clone(&self.clock) as Arc<dyn Clock>,
            Arc::clone(&self.ids) as Arc<dyn Ids>,
        )
    }
}

/// A password that is good enough.
pub const PASSWORD: &str = "a good password";
