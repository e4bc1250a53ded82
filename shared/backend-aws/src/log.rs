//! The log's table: the records of one call, tenant and kind lie together in an item.
//!
//! ```text
//! T  kind (1 byte), tenant (8)    I  first id (16), microsecond of writing (8), random (4)
//! V  sealed chunk of records      E  second after which the service deletes the item
//! ```
//!
//! An item ends a retention after its youngest record; what is kept without limit has no `E`. If the process dies within
//! an append of several items, some of them are there: the caller was not told that all are, and repeats them.

mod chunk;

use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

use async_trait::async_trait;
use aws_sdk_dynamodb::types::{PutRequest, ReturnConsumedCapacity, WriteRequest};
use pennypost_model::{EventId, TenantId, Timestamp};
use pennypost_ports::{Log, LogKind, LogQuery, LogRecord, PortResult};

use self::chunk::{Chunk, Kept, Key, LARGEST_RECORD, SPAN, chunks, records};
use crate::schema::LOG;
use crate::seal::{seal, unseal_value};
use crate::settings::Retention;
use crate::table::{Attributes, BATCH, Table, binary, number, page};

pub(crate) const PORT: &str = "log";
const KEY: &str = LOG.partition.name;
const PLACE: &str = LOG.sort.name;
const VALUE: &str = "V";
const END: &str = match LOG.ttl {
    Some(name) => name,
    None => "E",
};
/// Bytes of an item beside the value.
const AROUND: usize = 4 + 9 + 28 + 6;
const DAY_SECONDS: i64 = 86_400;
/// Items of a page, at least: those that lie before an id may hold others only.
const FEW: usize = 50;

/// [`Log`] on DynamoDB.
pub(crate) struct AwsLog {
    pub(crate) table: Table,
    pub(crate) retention: Retention,
}

/// The microsecond of writing, later than any that this process has given before: what one process writes stays in order,
/// whatever its clock does.
fn stamp() -> u64 {
    static LAST: AtomicU64 = AtomicU64::new(0);
    let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let now = u64::try_from(since_epoch.as_micros()).unwrap_or(u64::MAX);
    let later = |last: u64| Some(now.max(last + 1));
    let last = LAST.fetch_update(Ordering::Relaxed, Ordering::Relaxed, later).unwrap_or(now);
    now.max(last + 1)
}

/// The key of a chunk within its partition.
fn place(first: EventId) -> Vec<u8> {
    let mut place = first.to_bytes().to_vec();
    place.extend_from_slice(&stamp().to_be_bytes());
    place.extend_from_slice(&rand::random::<[u8; 4]>());
    place
}

/// Bytes of the items in which an append of these records ends.
pub(crate) fn item_sizes(records: &[LogRecord]) -> Vec<usize> {
    chunks(records).iter().map(|chunk| AROUND + seal(&chunk.bytes, AROUND).len()).collect()
}

impl AwsLog {
    fn request(&self, chunk: &Chunk) -> PortResult<WriteRequest> {
        let mut item: Attributes = HashMap::from([
            (KEY.to_owned(), binary(chunk.key.to_bytes())),
            (PLACE.to_owned(), binary(place(chunk.first))),
            (VALUE.to_owned(), binary(seal(&chunk.bytes, AROUND))),
        ]);
        let days = match chunk.key.kind {
            // What is billed is rolled up from both together.
            b't' | b'u' | b'h' => Some(self.retention.trace_days),
            b'l' => Some(self.retention.login_days),
            _ => None,
        };
        if let Some(days) = days {
            let end = chunk.newest.seconds().saturating_add(i64::from(days) * DAY_SECONDS);
            item.insert(END.to_owned(), number(u64::try_from(end).unwrap_or(0)));
        }
        let put = PutRequest::builder().set_item(Some(item)).build();
        let put = put.map_err(|_| self.table.refused("a record can't be put into an item"))?;
        Ok(WriteRequest::builder().put_request(put).build())
    }
}

/// Where a record stands in an answer.
type Order = (EventId, Timestamp, Vec<u8>, usize);

#[async_trait]
impl Log for AwsLog {
    async fn append(&self, records: &[LogRecord]) -> PortResult<()> {
        if let Some(large) = records.iter().find(|record| record.value.len() > LARGEST_RECORD) {
            let bytes = large.value.len();
            return Err(self.table.refused(format!("a record of {bytes} bytes is too large")));
        }
        let requests: Vec<WriteRequest> =
            chunks(records).iter().map(|chunk| self.request(chunk)).collect::<PortResult<_>>()?;
        for batch in requests.chunks(BATCH) {
            self.table.write_batch(batch.to_vec()).await?;
        }
        Ok(())
    }

    async fn query(&self, query: &LogQuery) -> PortResult<Vec<LogRecord>> {
        let key = Key::new(query.kind, query.tenant.0);
        let first = EventId::from_parts(query.from.time().plus_millis(-SPAN), 0);
        let mut last = query.to.to_bytes().to_vec();
        last.extend_from_slice(&[u8::MAX; 12]);
        // Read, and not yet in the answer: a chunk that begins later may hold records that come before them.
        let mut waiting: BTreeMap<Order, Kept> = BTreeMap::new();
        let mut found: Vec<LogRecord> = Vec::new();
        let mut start = None;
        while found.len() < query.limit && query.from <= query.to {
            let output = self
                .table
                .client
                .query()
                .table_name(&self.table.name)
                .key_condition_expression("#t = :t AND #i BETWEEN :first AND :last")
                .expression_attribute_names("#t", KEY)
                .expression_attribute_names("#i", PLACE)
                .expression_attribute_values(":t", binary(key.to_bytes()))
                .expression_attribute_values(":first", binary(first.to_bytes()))
                .expression_attribute_values(":last", binary(last.clone()))
                .consistent_read(true)
                .limit(page(query.limit.max(FEW)))
                .set_exclusive_start_key(start)
                .return_consumed_capacity(ReturnConsumedCapacity::Total)
                .send()
                .await
                .map_err(|error| self.table.failed(&error))?;
            self.table.count_read(output.consumed_capacity());
            for item in output.items() {
                let what = || format!("a chunk of {} records of tenant {}", query.kind.name(), query.tenant);
                let place = self.table.bytes(item, PLACE, what)?;
                let chunk_first = place.first_chunk().map(|id| EventId::from_bytes(*id));
                let chunk_first = chunk_first.ok_or_else(|| self.table.damaged(what()))?;
                take(&mut waiting, &mut found, query, Some(chunk_first));
                if found.len() >= query.limit {
                    return Ok(found);
                }
                let bytes = unseal_value(PORT, self.table.bytes(item, VALUE, what)?, what)?;
                let kept = records(&bytes).ok_or_else(|| self.table.damaged(what()))?;
                let wanted = kept.into_iter().filter(|kept| query.from <= kept.id && kept.id <= query.to);
                let written = place[16..].to_vec();
                let placed =
                    wanted.enumerate().map(|(at, kept)| ((kept.id, kept.time, written.clone(), at), kept));
                waiting.extend(placed);
            }
            start = output.last_evaluated_key;
            if start.is_none() {
                take(&mut waiting, &mut found, query, None);
                break;
            }
        }
        Ok(found)
    }

    /// The service removes each item at the end that it was given when it was written, for nothing; to delete them one
    /// by one would cost as much as writing them. So this has nothing to do.
    async fn expire(&self, _kind: LogKind, _before: Timestamp) -> PortResult<u64> {
        Ok(0)
    }

    async fn erase(&self, tenant: TenantId, kind: LogKind, limit: usize) -> PortResult<u64> {
        let output = self
            .table
            .client
            .query()
            .table_name(&self.table.name)
            .key_condition_expression("#t = :t")
            .projection_expression("#t, #i")
            .expression_attribute_names("#t", KEY)
            .expression_attribute_names("#i", PLACE)
            .expression_attribute_values(":t", binary(Key::new(kind, tenant.0).to_bytes()))
            .consistent_read(true)
            .limit(page(limit))
            .return_consumed_capacity(ReturnConsumedCapacity::Total)
            .send()
            .await
            .map_err(|error| self.table.failed(&error))?;
        self.table.count_read(output.consumed_capacity());
        self.table.delete_all(output.items()).await?;
        Ok(output.items().len() as u64)
    }
}

/// Moves what comes before `before` (everything, if there is none) into the answer, as far as it is wanted.
fn take(
    waiting: &mut BTreeMap<Order, Kept>,
    found: &mut Vec<LogRecord>,
    query: &LogQuery,
    before: Option<EventId>,
) {
    while found.len() < query.limit
        && let Some(next) = waiting.first_entry()
        && before.is_none_or(|before| next.key().0 < before)
    {
        let Kept { id, time, value } = next.remove();
        found.push(LogRecord { tenant: query.tenant, kind: query.kind, id, time, value });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stamps_of_a_process_ascend() {
        let stamps: Vec<u64> = (0..10_000).map(|_| stamp()).collect();
        assert!(stamps.windows(2).all(|pair| pair[0] < pair[1]));
    }
}
