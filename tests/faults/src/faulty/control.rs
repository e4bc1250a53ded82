use async_trait::async_trait;
use pennypost_ports::{Consistency, Control, ControlKey, Expected, Item, PortResult, Put};

use super::Faulty;

const PORT: &str = "control";

impl<P: Control + ?Sized> Faulty<P> {
    /// What a stale read would see of the item after the write that follows.
    async fn note_before(&self, key: &ControlKey) {
        if let Ok(before) = self.inner.get(key, Consistency::Strong).await {
            self.trouble.memory.lock().before.insert(key.clone(), before);
        }
    }
}

#[async_trait]
impl<P: Control + ?Sized> Control for Faulty<P> {
    async fn get(&self, key: &ControlKey, consistency: Consistency) -> PortResult<Option<Item>> {
        let item = self.trouble.read(PORT, self.inner.get(key, consistency)).await?;
        if consistency == Consistency::Eventual && self.trouble.source.chance(300) {
            let before = self.trouble.memory.lock().before.get(key).cloned();
            return Ok(before.unwrap_or(item));
        }
        Ok(item)
    }

    async fn put_if(&self, key: &ControlKey, value: &[u8], expected: Expected) -> PortResult<Put> {
        let put = async {
            self.note_before(key).await;
            self.inner.put_if(key, value, expected).await
        };
        self.trouble.write(PORT, put).await
    }

    async fn delete_if(&self, key: &ControlKey, version: u64) -> PortResult<bool> {
        let delete = async {
            self.note_before(key).await;
            self.inner.delete_if(key, version).await
        };
        self.trouble.write(PORT, delete).await
    }

    async fn query(
        &self,
        partition: &str,
        prefix: &str,
        after: Option<&str>,
        limit: usize,
    ) -> PortResult<Vec<(String, Item)>> {
        self.trouble.read(PORT, self.inner.query(partition, prefix, after, limit)).await
    }
}
