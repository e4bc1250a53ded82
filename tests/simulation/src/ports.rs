//! Simulated ports: the contracts of `shared/ports`, taken at their worst.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use parking_lot::Mutex;
use pennypost_model::event::Stage;
use pennypost_model::journal::Entry;
use pennypost_model::{AccountKey, EventId, Seq, TenantId, Timestamp};
use pennypost_ports::{
    Appended, Clock, Consistency, Control, ControlKey, Created, DeadLetter, DeadLetterId, Depth, Etag,
    Expected, Head, Ids, Item, Journal, Log, LogKind, LogQuery, LogRecord, NewObject, Newest, ObjectInfo,
    Objects, Outgoing, PortError, PortResult, Put, Queue, Receipt, Received, Replaced,
};
use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};

use crate::executor::turn;

/// Everything durable, and the world's clock.
pub struct World {
    state: Mutex<Durable>,
}

/// What survives every crash.
pub struct Durable {
    pub random: SmallRng,
    pub now: i64,
    /// Calls fail and reads are stale only while this is set.
    pub harsh: bool,
    pub journals: BTreeMap<AccountKey, Vec<Entry>>,
    pub heads: BTreeMap<AccountKey, Head>,
    pub objects: BTreeMap<String, (Bytes, u64)>,
    pub control: BTreeMap<ControlKey, Item>,
    pub log: Vec<LogRecord>,
    next_version: u64,
}

/// The ports as one process sees them, with its own wrong clock.
#[derive(Clone)]
pub struct Ports {
    world: Arc<World>,
    skew: i64,
}

impl World {
    pub fn new(seed: u64) -> Arc<World> {
        let durable = Durable {
            random: SmallRng::seed_from_u64(seed),
            now: 1_795_000_000_000,
            harsh: true,
            journals: BTreeMap::new(),
            heads: BTreeMap::new(),
            objects: BTreeMap::new(),
            control: BTreeMap::new(),
            log: Vec::new(),
            next_version: 0,
        };
        Arc::new(World { state: Mutex::new(durable) })
    }

    pub fn with<T>(&self, look: impl FnOnce(&mut Durable) -> T) -> T {
        look(&mut self.state.lock())
    }
}

impl Durable {
    fn chance(&mut self, percent: u32) -> bool {
        self.harsh && self.random.random_range(0..100) < percent
    }

    fn version(&mut self) -> u64 {
        self.next_version += 1;
        self.next_version
    }
}

fn fault() -> PortError {
    PortError::Unavailable { port: "simulated", cause: "as the schedule wants it".to_owned() }
}

impl Ports {
    pub fn new(world: Arc<World>, skew: i64) -> Ports {
        Ports { world, skew }
    }

    /// A read: somebody else may act before it and after it; it may fail.
    async fn read<T>(&self, look: impl FnOnce(&mut Durable) -> T) -> PortResult<T> {
        turn().await;
        let result =
            self.world.with(|durable| if durable.chance(1) { Err(fault()) } else { Ok(look(durable)) });
        turn().await;
        result
    }

    /// A write: it may fail before it takes effect, and its answer may be lost after it did.
    async fn write<T>(&self, act: impl FnOnce(&mut Durable) -> T) -> PortResult<T> {
        turn().await;
        let result = self.world.with(|durable| {
            if durable.chance(2) {
                return Err(fault());
            }
            let done = act(durable);
            if durable.chance(2) { Err(fault()) } else { Ok(done) }
        });
        turn().await;
        result
    }
}

#[async_trait]
impl Clock for Ports {
    fn now(&self) -> Timestamp {
        Timestamp(self.world.with(|durable| durable.now) + self.skew)
    }

    async fn sleep(&self, _duration: Duration) {
        turn().await;
    }
}

impl Ids for Ports {
    fn event(&self, now: Timestamp) -> EventId {
        EventId::from_parts(now, self.world.with(|durable| u128::from(durable.random.random::<u64>())))
    }

    fn random(&self) -> u64 {
        self.world.with(|durable| durable.random.random::<u64>().max(1))
    }
}

fn append(durable: &mut Durable, account: AccountKey, entry: &Entry) -> Appended {
    let journal = durable.journals.entry(account).or_default();
    match journal.get(entry.seq.0 as usize - 1) {
        Some(existing) => Appended::Lost(Box::new(existing.clone())),
        None => {
            assert_eq!(journal.len() as u64 + 1, entry.seq.0, "an append would leave a hole");
            journal.push(entry.clone());
            Appended::Committed
        }
    }
}

#[async_trait]
impl Journal for Ports {
    async fn append(&self, account: AccountKey, entry: &Entry) -> PortResult<Appended> {
        self.write(|durable| append(durable, account, entry)).await
    }

    fn takes_objects(&self) -> usize {
        // Some packs go with their entry, some before it.
        400
    }

    async fn append_with(
        &self,
        account: AccountKey,
        entry: &Entry,
        object: NewObject,
    ) -> PortResult<Appended> {
        self.write(|durable| {
            let appended = append(durable, account, entry);
            if appended == Appended::Committed {
                let version = durable.version();
                let before = durable.objects.insert(object.name, (object.bytes, version));
                assert!(before.is_none(), "the name of a new object was taken");
            }
            appended
        })
        .await
    }

    async fn since(
        &self,
        account: AccountKey,
        after: Seq,
        limit: usize,
        consistency: Consistency,
    ) -> PortResult<Vec<Entry>> {
        self.read(|durable| {
            let journal = seen(durable, account, consistency);
            journal.into_iter().skip(after.0 as usize).take(limit).collect()
        })
        .await
    }

    async fn before(&self, account: AccountKey, upto: Seq, limit: usize) -> PortResult<Vec<Entry>> {
        self.read(|durable| {
            let journal = durable.journals.get(&account).map(Vec::as_slice).unwrap_or_default();
            let end = journal.len().min(upto.0 as usize);
            journal[end.saturating_sub(limit)..end].to_vec()
        })
        .await
    }

    async fn newest(
        &self,
        account: AccountKey,
        limit: usize,
        consistency: Consistency,
    ) -> PortResult<Newest> {
        self.read(|durable| {
            let journal = seen(durable, account, consistency);
            let entries = journal[journal.len().saturating_sub(limit)..].to_vec();
            // The hint is an item of its own: it may be older or newer than the entries of the same read.
            let head = durable.heads.get(&account).cloned();
            let head = head.filter(|_| consistency == Consistency::Strong || !durable.chance(20));
            Newest { entries, head }
        })
        .await
    }

    async fn advance_head(&self, account: AccountKey, head: &Head) -> PortResult<bool> {
        self.write(|durable| {
            let further = durable.heads.get(&account).is_none_or(|known| known.base_seq < head.base_seq);
            if further {
                durable.heads.insert(account, head.clone());
            }
            further
        })
        .await
    }

    async fn accounts(
        &self,
        tenant: TenantId,
        after: Option<AccountKey>,
        limit: usize,
    ) -> PortResult<Vec<AccountKey>> {
        self.read(|durable| {
            let keys = durable.journals.keys().filter(|key| key.tenant == tenant && Some(**key) > after);
            keys.copied().take(limit).collect()
        })
        .await
    }
}

/// The journal as a read of that consistency sees it.
fn seen(durable: &mut Durable, account: AccountKey, consistency: Consistency) -> Vec<Entry> {
    let mut journal = durable.journals.get(&account).cloned().unwrap_or_default();
    if consistency == Consistency::Eventual && durable.chance(40) {
        let missing = durable.random.random_range(0..=3);
        journal.truncate(journal.len().saturating_sub(missing));
    }
    journal
}

#[async_trait]
impl Objects for Ports {
    async fn put_unique(&self, name: &str, bytes: Bytes) -> PortResult<Created> {
        self.write(|durable| {
            if durable.objects.contains_key(name) {
                return Created::Exists;
            }
            let version = durable.version();
            durable.objects.insert(name.to_owned(), (bytes, version));
            Created::Stored
        })
        .await
    }

    async fn get(&self, name: &str) -> PortResult<(Bytes, Etag)> {
        let found = self.read(|durable| durable.objects.get(name).cloned()).await?;
        let missing = || PortError::NotFound { port: "objects", what: name.to_owned() };
        found.map(|(bytes, version)| (bytes, Etag(version.to_string()))).ok_or_else(missing)
    }

    async fn get_range(&self, name: &str, start: u64, len: u64) -> PortResult<Bytes> {
        let (bytes, _) = Objects::get(self, name).await?;
        let start = (start as usize).min(bytes.len());
        let end = start.saturating_add(len as usize).min(bytes.len());
        Ok(bytes.slice(start..end))
    }

    async fn put_if_match(&self, name: &str, bytes: Bytes, etag: &Etag) -> PortResult<Replaced> {
        self.write(|durable| {
            let version = durable.version();
            match durable.objects.get_mut(name) {
                Some((stored, known)) if known.to_string() == etag.0 => {
                    (*stored, *known) = (bytes, version);
                    Replaced::Stored
                }
                _ => Replaced::Mismatch,
            }
        })
        .await
    }

    async fn delete(&self, name: &str) -> PortResult<()> {
        self.write(|durable| drop(durable.objects.remove(name))).await
    }

    async fn list(&self, prefix: &str, after: Option<&str>, limit: usize) -> PortResult<Vec<ObjectInfo>> {
        self.read(|durable| {
            let modified = Timestamp(durable.now);
            let named = durable.objects.iter().filter(|(name, _)| name.starts_with(prefix));
            let later = named.filter(|(name, _)| after.is_none_or(|after| name.as_str() > after));
            let info = |(name, (bytes, _)): (&String, &(Bytes, u64))| ObjectInfo {
                name: name.clone(),
                size: bytes.len() as u64,
                modified,
            };
            later.take(limit).map(info).collect()
        })
        .await
    }
}

#[async_trait]
impl Control for Ports {
    async fn get(&self, key: &ControlKey, _consistency: Consistency) -> PortResult<Option<Item>> {
        self.read(|durable| durable.control.get(key).cloned()).await
    }

    async fn put_if(&self, key: &ControlKey, value: &[u8], expected: Expected) -> PortResult<Put> {
        self.write(|durable| {
            let there = durable.control.get(key).cloned();
            let holds = match (expected, &there) {
                (Expected::Any, _) | (Expected::Absent, None) => true,
                (Expected::Version(version), Some(item)) => item.version == version,
                (Expected::Absent, Some(_)) | (Expected::Version(_), None) => false,
            };
            if !holds {
                return Put::Conflict(there);
            }
            let version = durable.version();
            durable.control.insert(key.clone(), Item { value: value.to_vec(), version });
            Put::Stored(version)
        })
        .await
    }

    async fn delete_if(&self, key: &ControlKey, version: u64) -> PortResult<bool> {
        self.write(|durable| {
            let matches = durable.control.get(key).is_some_and(|item| item.version == version);
            if matches {
                durable.control.remove(key);
            }
            matches
        })
        .await
    }

    async fn query(
        &self,
        partition: &str,
        prefix: &str,
        after: Option<&str>,
        limit: usize,
    ) -> PortResult<Vec<(String, Item)>> {
        self.read(|durable| {
            let items = durable.control.iter().filter(|(key, _)| key.partition == partition);
            let items = items.filter(|(key, _)| key.sort.starts_with(prefix));
            let later = items.filter(|(key, _)| after.is_none_or(|after| key.sort.as_str() > after));
            later.take(limit).map(|(key, item)| (key.sort.clone(), item.clone())).collect()
        })
        .await
    }
}

#[async_trait]
impl Log for Ports {
    async fn append(&self, records: &[LogRecord]) -> PortResult<()> {
        self.write(|durable| durable.log.extend_from_slice(records)).await
    }

    async fn query(&self, query: &LogQuery) -> PortResult<Vec<LogRecord>> {
        self.read(|durable| {
            let ours = durable.log.iter().filter(|r| r.tenant == query.tenant && r.kind == query.kind);
            let ours = ours.filter(|r| (query.from..=query.to).contains(&r.id));
            ours.take(query.limit).cloned().collect()
        })
        .await
    }

    async fn expire(&self, _kind: LogKind, _before: Timestamp) -> PortResult<u64> {
        Ok(0)
    }
}

/// Housekeeping asks the queue only for dead letters, and schedules have none: events are handed out by the
/// schedule itself, which knows how to do so in the worst order.
#[async_trait]
impl Queue for Ports {
    async fn send_batch(&self, _stage: Stage, messages: Vec<Outgoing>) -> Vec<PortResult<()>> {
        vec![Err(fault()); messages.len()]
    }

    async fn receive(
        &self,
        _stage: Stage,
        _max: usize,
        _visibility: Duration,
        _wait: Duration,
    ) -> PortResult<Vec<Received>> {
        Ok(Vec::new())
    }

    async fn ack(&self, _stage: Stage, _receipts: &[Receipt]) -> PortResult<()> {
        Ok(())
    }

    async fn retry_later(&self, _stage: Stage, _receipt: &Receipt, _delay: Duration) -> PortResult<()> {
        Ok(())
    }

    async fn dead_letter(&self, _stage: Stage, _receipt: &Receipt, _cause: &str) -> PortResult<()> {
        Ok(())
    }

    async fn dead_letters(&self, _after: Option<DeadLetterId>, _limit: usize) -> PortResult<Vec<DeadLetter>> {
        Ok(Vec::new())
    }

    async fn replay_dead_letter(&self, _id: DeadLetterId) -> PortResult<bool> {
        Ok(false)
    }

    async fn discard_dead_letter(&self, _id: DeadLetterId) -> PortResult<bool> {
        Ok(false)
    }

    async fn depth(&self, _stage: Stage) -> PortResult<Depth> {
        Ok(Depth::default())
    }
}
