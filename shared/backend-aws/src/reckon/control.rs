//! The control table.

use std::sync::Arc;

use async_trait::async_trait;
use pennypost_meter::{Unit, count, rules};
use pennypost_ports::{Consistency, Control, ControlKey, Expected, Item, PortResult, Put};

use crate::control::AROUND;
use crate::seal::seal;

pub(super) struct ReckonedControl(pub(super) Arc<dyn Control>);

fn bytes(partition: &str, sort: &str, value: &[u8]) -> u64 {
    let rest = partition.len() + sort.len() + AROUND;
    (rest + seal(value, rest).len()) as u64
}

#[async_trait]
impl Control for ReckonedControl {
    async fn get(&self, key: &ControlKey, consistency: Consistency) -> PortResult<Option<Item>> {
        let item = self.0.get(key, consistency).await?;
        let read = item.as_ref().map_or(0, |item| bytes(&key.partition, &key.sort, &item.value));
        count(Unit::ControlRead, rules::read(read, consistency == Consistency::Strong));
        Ok(item)
    }

    async fn put_if(&self, key: &ControlKey, value: &[u8], expected: Expected) -> PortResult<Put> {
        let put = self.0.put_if(key, value, expected).await?;
        let mut written = bytes(&key.partition, &key.sort, value);
        if let Put::Conflict(Some(there)) = &put {
            written = written.max(bytes(&key.partition, &key.sort, &there.value));
        }
        count(Unit::ControlWrite, rules::write(written));
        Ok(put)
    }

    async fn delete_if(&self, key: &ControlKey, version: u64) -> PortResult<bool> {
        let deleted = self.0.delete_if(key, version).await?;
        // As large as the item that went, which nobody has read: nearly all are below 1 KB.
        count(Unit::ControlWrite, rules::write(0));
        Ok(deleted)
    }

    async fn query(
        &self,
        partition: &str,
        prefix: &str,
        after: Option<&str>,
        limit: usize,
    ) -> PortResult<Vec<(String, Item)>> {
        let items = self.0.query(partition, prefix, after, limit).await?;
        let read = items.iter().map(|(sort, item)| bytes(partition, sort, &item.value)).sum();
        count(Unit::ControlRead, rules::read(read, true));
        Ok(items)
    }
}
