use async_trait::async_trait;
use pennypost_model::journal::Entry;
use pennypost_model::{AccountKey, Seq, TenantId};
use pennypost_ports::{Appended, Consistency, Head, Journal, NewObject, Newest, PortResult};
use rand::Rng;

use super::Faulty;

const PORT: &str = "journal";

impl<P: Journal + ?Sized> Faulty<P> {
    /// How many of the newest entries a read does not see.
    fn missing(&self, consistency: Consistency) -> usize {
        let stale = consistency == Consistency::Eventual && self.trouble.source.chance(300);
        if stale { self.trouble.source.random(|random| random.random_range(1..=3)) } else { 0 }
    }
}

#[async_trait]
impl<P: Journal + ?Sized> Journal for Faulty<P> {
    async fn append(&self, account: AccountKey, entry: &Entry) -> PortResult<Appended> {
        self.trouble.write(PORT, self.inner.append(account, entry)).await
    }

    fn takes_objects(&self) -> usize {
        self.inner.takes_objects()
    }

    async fn append_with(
        &self,
        account: AccountKey,
        entry: &Entry,
        object: NewObject,
    ) -> PortResult<Appended> {
        self.note_written(&object.name);
        self.trouble.write(PORT, self.inner.append_with(account, entry, object)).await
    }

    async fn since(
        &self,
        account: AccountKey,
        after: Seq,
        limit: usize,
        consistency: Consistency,
    ) -> PortResult<Vec<Entry>> {
        let mut entries =
            self.trouble.read(PORT, self.inner.since(account, after, limit, consistency)).await?;
        entries.truncate(entries.len().saturating_sub(self.missing(consistency)));
        Ok(entries)
    }

    fn newest_known(&self, account: AccountKey) -> Option<Seq> {
        self.inner.newest_known(account)
    }

    async fn before(&self, account: AccountKey, upto: Seq, limit: usize) -> PortResult<Vec<Entry>> {
        self.trouble.read(PORT, self.inner.before(account, upto, limit)).await
    }

    async fn newest(
        &self,
        account: AccountKey,
        limit: usize,
        consistency: Consistency,
    ) -> PortResult<Newest> {
        let missing = self.missing(consistency);
        let more = limit.saturating_add(missing);
        let mut newest = self.trouble.read(PORT, self.inner.newest(account, more, consistency)).await?;
        newest.entries.truncate(newest.entries.len().saturating_sub(missing));
        let first = newest.entries.len().saturating_sub(limit);
        newest.entries.drain(..first);
        if consistency == Consistency::Eventual && self.trouble.source.chance(100) {
            newest.head = None;
        }
        Ok(newest)
    }

    async fn advance_head(&self, account: AccountKey, head: &Head) -> PortResult<bool> {
        self.trouble.write(PORT, self.inner.advance_head(account, head)).await
    }

    async fn accounts(
        &self,
        tenant: TenantId,
        after: Option<AccountKey>,
        limit: usize,
    ) -> PortResult<Vec<AccountKey>> {
        self.trouble.read(PORT, self.inner.accounts(tenant, after, limit)).await
    }

    async fn erase(&self, account: AccountKey, limit: usize) -> PortResult<bool> {
        self.trouble.write(PORT, self.inner.erase(account, limit)).await
    }
}
