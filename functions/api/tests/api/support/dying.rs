//! A store of which a process loses hold in the middle of what it does.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use async_trait::async_trait;
use pennypost_ports::{Consistency, Control, ControlKey, Expected, Item, PortError, PortResult, Put};

/// Writes as long as it lives; after so many writes none is made any more.
pub struct Dying {
    inside: Arc<dyn Control>,
    left: AtomicI64,
}

impl Dying {
    pub fn over(inside: Arc<dyn Control>) -> Dying {
        Dying { inside, left: AtomicI64::new(i64::MAX) }
    }

    pub fn after(&self, writes: i64) {
        self.left.store(writes, Ordering::Relaxed);
    }

    fn must_live(&self) -> PortResult<()> {
        if self.left.fetch_sub(1, Ordering::Relaxed) > 0 {
            return Ok(());
        }
        Err(PortError::Unavailable { port: "control", cause: "it is dead".to_owned() })
    }
}

#[async_trait]
impl Control for Dying {
    async fn get(&self, key: &ControlKey, consistency: Consistency) -> PortResult<Option<Item>> {
        self.inside.get(key, consistency).await
    }

    async fn put_if(&self, key: &ControlKey, value: &[u8], expected: Expected) -> PortResult<Put> {
        self.must_live()?;
        self.inside.put_if(key, value, expected).await
    }

    async fn delete_if(&self, key: &ControlKey, version: u64) -> PortResult<bool> {
        self.must_live()?;
        self.inside.delete_if(key, version).await
    }

    async fn query(
        &self,
        partition: &str,
        prefix: &str,
        after: Option<&str>,
        limit: usize,
    ) -> PortResult<Vec<(String, Item)>> {
        self.inside.query(partition, prefix, after, limit).await
    }
}
