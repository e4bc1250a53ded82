//! The journal's table: one write unit for each begun 1 KB of an item, reads by the bytes of all items of a query.

use std::sync::Arc;

use async_trait::async_trait;
use pennypost_meter::{MILLI, Unit, count, rules};
use pennypost_model::journal::Entry;
use pennypost_model::{AccountKey, Seq, TenantId, codec};
use pennypost_ports::{Appended, Consistency, Head, Journal, Newest, PortResult};

use crate::journal::{AROUND, LARGEST};
use crate::seal::{elsewhere, seal};

/// Bytes of an item that only says that an account has a journal.
const NOTE: usize = 2 + 8 + 11;
/// Bytes of the head hint beside its name: two more names of attributes, and the larger numbers.
const HEAD: usize = AROUND + 12;
/// Bytes of the name of an object that holds a large entry.
const BESIDE: usize = 80;

pub(super) struct ReckonedJournal(pub(super) Arc<dyn Journal>);

/// An entry as it would lie in the table: bytes of its item, and of the object beside it.
pub(super) fn laid_out(entry: &Entry) -> (usize, Option<usize>) {
    let sealed = seal(&codec::encode(entry), AROUND).len();
    if sealed > LARGEST {
        (AROUND + elsewhere(&"x".repeat(BESIDE)).len(), Some(sealed))
    } else {
        (AROUND + sealed, None)
    }
}

fn count_read(entries: &[Entry], beside: usize, consistency: Consistency) {
    let mut bytes = beside;
    for entry in entries {
        let (item, object) = laid_out(entry);
        bytes += item;
        if let Some(object) = object {
            count(Unit::ObjectRead, MILLI);
            count(Unit::ObjectBytesRead, object as u64 * MILLI);
        }
    }
    count(Unit::JournalRead, rules::read(bytes as u64, consistency == Consistency::Strong));
}

fn head_bytes(head: &Head) -> usize {
    HEAD + seal(head.base.as_bytes(), HEAD).len()
}

#[async_trait]
impl Journal for ReckonedJournal {
    async fn append(&self, account: AccountKey, entry: &Entry) -> PortResult<Appended> {
        let appended = self.0.append(account, entry).await?;
        let (mut item, object) = laid_out(entry);
        if let Some(object) = object {
            count(Unit::ObjectWrite, MILLI);
            count(Unit::ObjectBytesWritten, object as u64 * MILLI);
        }
        if entry.seq == Seq(1) {
            count(Unit::JournalWrite, rules::write(NOTE as u64));
        }
        if let Appended::Lost(there) = &appended {
            item = item.max(laid_out(there).0);
        }
        count(Unit::JournalWrite, rules::write(item as u64));
        Ok(appended)
    }

    async fn since(
        &self,
        account: AccountKey,
        after: Seq,
        limit: usize,
        consistency: Consistency,
    ) -> PortResult<Vec<Entry>> {
        let entries = self.0.since(account, after, limit, consistency).await?;
        count_read(&entries, 0, consistency);
        Ok(entries)
    }

    async fn before(&self, account: AccountKey, upto: Seq, limit: usize) -> PortResult<Vec<Entry>> {
        let entries = self.0.before(account, upto, limit).await?;
        count_read(&entries, 0, Consistency::Eventual);
        Ok(entries)
    }

    async fn newest(
        &self,
        account: AccountKey,
        limit: usize,
        consistency: Consistency,
    ) -> PortResult<Newest> {
        let newest = self.0.newest(account, limit, consistency).await?;
        count_read(&newest.entries, newest.head.as_ref().map_or(0, head_bytes), consistency);
        Ok(newest)
    }

    async fn advance_head(&self, account: AccountKey, head: &Head) -> PortResult<bool> {
        let moved = self.0.advance_head(account, head).await?;
        count(Unit::JournalWrite, rules::write(head_bytes(head) as u64));
        Ok(moved)
    }

    async fn accounts(
        &self,
        tenant: TenantId,
        after: Option<AccountKey>,
        limit: usize,
    ) -> PortResult<Vec<AccountKey>> {
        let accounts = self.0.accounts(tenant, after, limit).await?;
        count(Unit::JournalRead, rules::read((accounts.len() * NOTE) as u64, true));
        Ok(accounts)
    }

    /// How many entries there were is not known here: as if there had been as many as were asked for.
    async fn erase(&self, account: AccountKey, limit: usize) -> PortResult<bool> {
        let is_more = self.0.erase(account, limit).await?;
        let entries = if is_more { limit as u64 } else { 1 };
        count(Unit::JournalWrite, rules::write(0) * entries);
        Ok(is_more)
    }
}
