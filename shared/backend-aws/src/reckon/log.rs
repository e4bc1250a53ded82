//! The log's table: the records of one call, tenant and kind lie together in an item.

use std::sync::Arc;

use async_trait::async_trait;
use pennypost_meter::{Unit, count, rules};
use pennypost_model::{TenantId, Timestamp};
use pennypost_ports::{Log, LogKind, LogQuery, LogRecord, PortResult};

use crate::log::item_sizes;

pub(super) struct ReckonedLog(pub(super) Arc<dyn Log>);

#[async_trait]
impl Log for ReckonedLog {
    async fn append(&self, records: &[LogRecord]) -> PortResult<()> {
        self.0.append(records).await?;
        item_sizes(records).into_iter().for_each(|bytes| count(Unit::LogWrite, rules::write(bytes as u64)));
        Ok(())
    }

    async fn query(&self, query: &LogQuery) -> PortResult<Vec<LogRecord>> {
        let records = self.0.query(query).await?;
        // As if they had been written together, and nothing with them.
        let bytes: usize = item_sizes(&records).into_iter().sum();
        count(Unit::LogRead, rules::read(bytes as u64, true));
        Ok(records)
    }

    /// The service does it for nothing.
    async fn expire(&self, kind: LogKind, before: Timestamp) -> PortResult<u64> {
        self.0.expire(kind, before).await
    }

    async fn erase(&self, tenant: TenantId, kind: LogKind, limit: usize) -> PortResult<u64> {
        let erased = self.0.erase(tenant, kind, limit).await?;
        count(Unit::LogWrite, rules::write(0) * erased);
        Ok(erased)
    }
}
