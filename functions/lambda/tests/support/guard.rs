//! Ports that note what a function does without having said that it needs it.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use parking_lot::Mutex;
use pennypost_lambda::RawMail;
use pennypost_model::event::Stage;
use pennypost_model::journal::Entry;
use pennypost_model::{AccountKey, Seq, TenantId, Timestamp};
use pennypost_ports::{
    Appended, Consistency, Control, ControlKey, Created, DeadLetter, DeadLetterId, Depth, Etag, Expected,
    Head, Item, Journal, Log, LogKind, LogQuery, LogRecord, Newest, ObjectInfo, Objects, Outgoing,
    PortResult, Put, Queue, Receipt, Received, Replaced,
};
use pennypost_runtime::needs::{Access, Kind, Kinds, Needs, ObjectAccess, RAW_MAIL, SUSPECTS};

/// What a function may do, and what it did beyond that.
#[derive(Clone)]
pub struct Guard {
    pub needs: Needs,
    pub violations: Arc<Mutex<Vec<String>>>,
}

struct Guarded<P: ?Sized> {
    guard: Guard,
    port: Arc<P>,
}

impl Guard {
    fn check(&self, is_allowed: bool, what: impl FnOnce() -> String) {
        if !is_allowed {
            self.violations.lock().push(format!("{}: {}", self.needs.name, what()));
        }
    }

    fn kinds(&self, kinds: Kinds, name: &str, what: &str) {
        let component = name.split('/').nth(1).unwrap_or_default();
        let is_allowed = Kind::ALL.into_iter().any(|kind| kind.component() == component && kinds.has(kind));
        self.check(is_allowed, || format!("{what} {component}"));
    }

    pub fn queue(&self, port: Arc<dyn Queue>) -> Arc<dyn Queue> {
        Arc::new(Guarded { guard: self.clone(), port })
    }

    pub fn control(&self, port: Arc<dyn Control>) -> Arc<dyn Control> {
        Arc::new(Guarded { guard: self.clone(), port })
    }

    pub fn log(&self, port: Arc<dyn Log>) -> Arc<dyn Log> {
        Arc::new(Guarded { guard: self.clone(), port })
    }

    pub fn journal(&self, port: Arc<dyn Journal>) -> Option<Arc<dyn Journal>> {
        (self.needs.journal != Access::None).then(|| Arc::new(Guarded { guard: self.clone(), port }) as _)
    }

    pub fn objects(&self, port: Arc<dyn Objects>) -> Option<Arc<dyn Objects>> {
        (self.needs.objects != ObjectAccess::NONE)
            .then(|| Arc::new(Guarded { guard: self.clone(), port }) as _)
    }
}

impl Guard {
    /// What lies below the one prefix, to be read and removed.
    pub fn raw_mail(&self, port: Arc<dyn Objects>) -> Option<RawMail> {
        let objects = Arc::new(GuardedRaw { guard: self.clone(), port });
        self.needs.raw_mail.then(|| RawMail { objects, bucket: Some("pennypost-raw".to_owned()) })
    }
}

/// The bucket of raw mail.
struct GuardedRaw {
    guard: Guard,
    port: Arc<dyn Objects>,
}

impl GuardedRaw {
    fn check(&self, is_allowed: bool, name: &str, what: &str) {
        let is_allowed = is_allowed && name.starts_with(RAW_MAIL);
        self.guard.check(is_allowed, || format!("{what} {name} of raw mail"));
    }
}

#[async_trait]
impl Objects for GuardedRaw {
    async fn put_unique(&self, name: &str, bytes: Bytes) -> PortResult<Created> {
        self.check(false, name, "puts");
        self.port.put_unique(name, bytes).await
    }

    async fn get(&self, name: &str) -> PortResult<(Bytes, Etag)> {
        self.check(true, name, "gets");
        self.port.get(name).await
    }

    async fn get_range(&self, name: &str, start: u64, len: u64) -> PortResult<Bytes> {
        self.check(true, name, "gets");
        self.port.get_range(name, start, len).await
    }

    async fn put_if_match(&self, name: &str, bytes: Bytes, etag: &Etag) -> PortResult<Replaced> {
        self.check(false, name, "puts");
        self.port.put_if_match(name, bytes, etag).await
    }

    async fn delete(&self, name: &str) -> PortResult<()> {
        self.check(true, name, "deletes");
        self.port.delete(name).await
    }

    async fn list(&self, prefix: &str, after: Option<&str>, limit: usize) -> PortResult<Vec<ObjectInfo>> {
        self.check(false, prefix, "lists");
        self.port.list(prefix, after, limit).await
    }
}

#[async_trait]
impl Queue for Guarded<dyn Queue> {
    async fn send_batch(&self, stage: Stage, messages: Vec<Outgoing>) -> Vec<PortResult<()>> {
        self.guard.check(self.guard.needs.sends.has(stage), || format!("sends to {}", stage.queue()));
        self.port.send_batch(stage, messages).await
    }

    async fn receive(
        &self,
        stage: Stage,
        max: usize,
        visibility: Duration,
        wait: Duration,
    ) -> PortResult<Vec<Received>> {
        self.guard.check(false, || format!("receives from {}", stage.queue()));
        self.port.receive(stage, max, visibility, wait).await
    }

    async fn ack(&self, stage: Stage, receipts: &[Receipt]) -> PortResult<()> {
        self.guard.check(self.guard.needs.queue() == Some(stage), || format!("acks {}", stage.queue()));
        self.port.ack(stage, receipts).await
    }

    async fn retry_later(&self, stage: Stage, receipt: &Receipt, delay: Duration) -> PortResult<()> {
        self.guard.check(self.guard.needs.queue() == Some(stage), || format!("delays {}", stage.queue()));
        self.port.retry_later(stage, receipt, delay).await
    }

    async fn dead_letter(&self, stage: Stage, receipt: &Receipt, cause: &str) -> PortResult<()> {
        self.guard.check(self.guard.needs.queue() == Some(stage), || format!("buries {}", stage.queue()));
        self.port.dead_letter(stage, receipt, cause).await
    }

    async fn dead_letters(&self, after: Option<DeadLetterId>, limit: usize) -> PortResult<Vec<DeadLetter>> {
        self.guard.check(self.guard.needs.dead_letters, || "reads dead letters".to_owned());
        self.port.dead_letters(after, limit).await
    }

    async fn replay_dead_letter(&self, id: DeadLetterId) -> PortResult<bool> {
        self.guard.check(false, || "replays dead letters".to_owned());
        self.port.replay_dead_letter(id).await
    }

    async fn discard_dead_letter(&self, id: DeadLetterId) -> PortResult<bool> {
        self.guard.check(self.guard.needs.dead_letters, || "discards dead letters".to_owned());
        self.port.discard_dead_letter(id).await
    }

    async fn depth(&self, stage: Stage) -> PortResult<Depth> {
        self.guard.check(self.guard.needs.measures.has(stage), || format!("measures {}", stage.queue()));
        self.port.depth(stage).await
    }
}

impl Guarded<dyn Control> {
    fn reads(&self, partition: &str) {
        let is_allowed = self.guard.needs.control.reads() || partition == SUSPECTS;
        self.guard.check(is_allowed, || format!("reads control {partition}"));
    }

    fn writes(&self, partition: &str) {
        let is_allowed = self.guard.needs.control.writes() || partition == SUSPECTS;
        self.guard.check(is_allowed, || format!("writes control {partition}"));
    }
}

#[async_trait]
impl Control for Guarded<dyn Control> {
    async fn get(&self, key: &ControlKey, consistency: Consistency) -> PortResult<Option<Item>> {
        self.reads(&key.partition);
        self.port.get(key, consistency).await
    }

    async fn put_if(&self, key: &ControlKey, value: &[u8], expected: Expected) -> PortResult<Put> {
        self.writes(&key.partition);
        self.port.put_if(key, value, expected).await
    }

    async fn delete_if(&self, key: &ControlKey, version: u64) -> PortResult<bool> {
        self.writes(&key.partition);
        self.port.delete_if(key, version).await
    }

    async fn query(
        &self,
        partition: &str,
        prefix: &str,
        after: Option<&str>,
        limit: usize,
    ) -> PortResult<Vec<(String, Item)>> {
        self.reads(partition);
        self.port.query(partition, prefix, after, limit).await
    }
}

#[async_trait]
impl Log for Guarded<dyn Log> {
    async fn append(&self, records: &[LogRecord]) -> PortResult<()> {
        self.guard.check(self.guard.needs.log.writes(), || "writes the log".to_owned());
        self.port.append(records).await
    }

    async fn query(&self, query: &LogQuery) -> PortResult<Vec<LogRecord>> {
        self.guard.check(self.guard.needs.log.reads(), || "reads the log".to_owned());
        self.port.query(query).await
    }

    async fn expire(&self, kind: LogKind, before: Timestamp) -> PortResult<u64> {
        self.guard.check(false, || "expires the log".to_owned());
        self.port.expire(kind, before).await
    }

    async fn erase(&self, tenant: TenantId, kind: LogKind, limit: usize) -> PortResult<u64> {
        self.guard.check(self.guard.needs.erases, || "erases records of the log".to_owned());
        self.port.erase(tenant, kind, limit).await
    }
}

impl Guarded<dyn Journal> {
    fn reads(&self) {
        self.guard.check(self.guard.needs.journal.reads(), || "reads journals".to_owned());
    }

    fn writes(&self) {
        self.guard.check(self.guard.needs.journal.writes(), || "writes journals".to_owned());
    }
}

#[async_trait]
impl Journal for Guarded<dyn Journal> {
    async fn append(&self, account: AccountKey, entry: &Entry) -> PortResult<Appended> {
        self.writes();
        self.port.append(account, entry).await
    }

    async fn since(
        &self,
        account: AccountKey,
        after: Seq,
        limit: usize,
        consistency: Consistency,
    ) -> PortResult<Vec<Entry>> {
        self.reads();
        self.port.since(account, after, limit, consistency).await
    }

    async fn before(&self, account: AccountKey, upto: Seq, limit: usize) -> PortResult<Vec<Entry>> {
        self.reads();
        self.port.before(account, upto, limit).await
    }

    async fn newest(
        &self,
        account: AccountKey,
        limit: usize,
        consistency: Consistency,
    ) -> PortResult<Newest> {
        self.reads();
        self.port.newest(account, limit, consistency).await
    }

    async fn advance_head(&self, account: AccountKey, head: &Head) -> PortResult<bool> {
        self.writes();
        self.port.advance_head(account, head).await
    }

    async fn accounts(
        &self,
        tenant: TenantId,
        after: Option<AccountKey>,
        limit: usize,
    ) -> PortResult<Vec<AccountKey>> {
        self.reads();
        self.port.accounts(tenant, after, limit).await
    }

    async fn erase(&self, account: AccountKey, limit: usize) -> PortResult<bool> {
        self.guard.check(self.guard.needs.erases, || "erases journals".to_owned());
        self.port.erase(account, limit).await
    }
}

#[async_trait]
impl Objects for Guarded<dyn Objects> {
    async fn put_unique(&self, name: &str, bytes: Bytes) -> PortResult<Created> {
        self.guard.kinds(self.guard.needs.objects.write, name, "puts");
        self.port.put_unique(name, bytes).await
    }

    async fn get(&self, name: &str) -> PortResult<(Bytes, Etag)> {
        self.guard.kinds(self.guard.needs.objects.read, name, "gets");
        self.port.get(name).await
    }

    async fn get_range(&self, name: &str, start: u64, len: u64) -> PortResult<Bytes> {
        self.guard.kinds(self.guard.needs.objects.read, name, "gets a range of");
        self.port.get_range(name, start, len).await
    }

    async fn put_if_match(&self, name: &str, bytes: Bytes, etag: &Etag) -> PortResult<Replaced> {
        self.guard.kinds(self.guard.needs.objects.write, name, "replaces");
        self.port.put_if_match(name, bytes, etag).await
    }

    async fn delete(&self, name: &str) -> PortResult<()> {
        self.guard.kinds(self.guard.needs.objects.delete, name, "deletes");
        self.port.delete(name).await
    }

    async fn list(&self, prefix: &str, after: Option<&str>, limit: usize) -> PortResult<Vec<ObjectInfo>> {
        self.guard.kinds(self.guard.needs.objects.list, prefix, "lists");
        self.port.list(prefix, after, limit).await
    }
}
