use async_trait::async_trait;
use pennypost_model::{TenantId, Timestamp};
use pennypost_ports::{Log, LogKind, LogQuery, LogRecord, PortResult};
use rand::Rng;

use super::Faulty;
use crate::source::fault;

const PORT: &str = "log";

#[async_trait]
impl<P: Log + ?Sized> Log for Faulty<P> {
    async fn append(&self, records: &[LogRecord]) -> PortResult<()> {
        // An append that fails may have taken some of its records.
        if records.len() > 1 && self.trouble.source.chance(self.trouble.per_mille) {
            let some = self.trouble.source.random(|random| random.random_range(1..records.len()));
            self.trouble.write(PORT, self.inner.append(&records[..some])).await?;
            return Err(fault(PORT));
        }
        self.trouble.write(PORT, self.inner.append(records)).await
    }

    async fn query(&self, query: &LogQuery) -> PortResult<Vec<LogRecord>> {
        self.trouble.read(PORT, self.inner.query(query)).await
    }

    async fn expire(&self, kind: LogKind, before: Timestamp) -> PortResult<u64> {
        self.trouble.write(PORT, self.inner.expire(kind, before)).await
    }

    async fn erase(&self, tenant: TenantId, kind: LogKind, limit: usize) -> PortResult<u64> {
        self.trouble.write(PORT, self.inner.erase(tenant, kind, limit)).await
    }
}
