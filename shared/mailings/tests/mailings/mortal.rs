//! What dies at one of its calls.

#![allow(clippy::unwrap_used)] // a test may panic

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use pennypost_model::Timestamp;
use pennypost_model::event::Stage;
use pennypost_ports::{
    Clock, Consistency, Control, ControlKey, Created, DeadLetter, DeadLetterId, Depth, Etag, Expected, Item,
    ObjectInfo, Objects, Outgoing, PortError, PortResult, Put, Queue, Receipt, Received, Replaced,
};

pub struct TestClock(pub AtomicI64);

#[async_trait]
impl Clock for TestClock {
    fn now(&self) -> Timestamp {
        Timestamp(self.0.load(Ordering::SeqCst))
    }

    async fn sleep(&self, _duration: Duration) {}
}

/// It dies at one of its calls.
pub struct Mortal {
    pub left: AtomicI64,
    /// It dies behind what the call does.
    pub is_behind: bool,
    pub is_dead: AtomicBool,
    pub control: Arc<dyn Control>,
    pub objects: Arc<dyn Objects>,
    pub queue: Arc<dyn Queue>,
}

fn died() -> PortError {
    PortError::Unavailable { port: "test", cause: "died".to_owned() }
}

impl Mortal {
    async fn call<T>(&self, effect: impl Future<Output = PortResult<T>> + Send) -> PortResult<T> {
        if self.is_dead.load(Ordering::SeqCst) {
            return Err(died());
        }
        if self.left.fetch_sub(1, Ordering::SeqCst) > 0 {
            return effect.await;
        }
        self.is_dead.store(true, Ordering::SeqCst);
        if self.is_behind {
            let _ = effect.await;
        }
        Err(died())
    }
}

#[async_trait]
impl Control for Mortal {
    async fn get(&self, key: &ControlKey, consistency: Consistency) -> PortResult<Option<Item>> {
        self.call(self.control.get(key, consistency)).await
    }

    async fn put_if(&self, key: &ControlKey, value: &[u8], expected: Expected) -> PortResult<Put> {
        self.call(self.control.put_if(key, value, expected)).await
    }

    async fn delete_if(&self, key: &ControlKey, version: u64) -> PortResult<bool> {
        self.call(self.control.delete_if(key, version)).await
    }

    async fn query(
        &self,
        partition: &str,
        prefix: &str,
        after: Option<&str>,
        limit: usize,
    ) -> PortResult<Vec<(String, Item)>> {
        self.call(self.control.query(partition, prefix, after, limit)).await
    }
}

#[async_trait]
impl Objects for Mortal {
    async fn put_unique(&self, name: &str, bytes: bytes::Bytes) -> PortResult<Created> {
        self.call(self.objects.put_unique(name, bytes)).await
    }

    async fn get(&self, name: &str) -> PortResult<(bytes::Bytes, Etag)> {
        self.call(self.objects.get(name)).await
    }

    async fn get_range(&self, name: &str, start: u64, len: u64) -> PortResult<bytes::Bytes> {
        self.call(self.objects.get_range(name, start, len)).await
    }

    async fn put_if_match(&self, name: &str, bytes: bytes::Bytes, etag: &Etag) -> PortResult<Replaced> {
        self.call(self.objects.put_if_match(name, bytes, etag)).await
    }

    async fn delete(&self, name: &str) -> PortResult<()> {
        self.call(self.objects.delete(name)).await
    }

    async fn list(&self, prefix: &str, after: Option<&str>, limit: usize) -> PortResult<Vec<ObjectInfo>> {
        self.call(self.objects.list(prefix, after, limit)).await
    }
}

#[async_trait]
impl Queue for Mortal {
    async fn send_batch(&self, stage: Stage, messages: Vec<Outgoing>) -> Vec<PortResult<()>> {
        let sent = self.call(async { Ok(self.queue.send_batch(stage, messages).await) }).await;
        sent.unwrap_or_else(|error| vec![Err(error)])
    }

    async fn receive(
        &self,
        stage: Stage,
        max: usize,
        visibility: Duration,
        wait: Duration,
    ) -> PortResult<Vec<Received>> {
        self.queue.receive(stage, max, visibility, wait).await
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
