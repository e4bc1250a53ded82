//! Records that are written together lie in one item: a chunk.
//!
//! Owns the form of a chunk (`id time len bytes`, one after the other, numbers little-endian, then sealed) and the rule
//! that makes ids findable in it: a chunk's key begins with its first id, and no id in it is younger than that by more
//! than [`SPAN`].

use pennypost_model::{EventId, Timestamp};
use pennypost_ports::{LogKind, LogRecord};

/// Milliseconds between the times in the first and the last id of a chunk, at most. Who looks for an id reads the chunks
/// of so much time before it.
pub(super) const SPAN: i64 = 60_000;
/// Bytes of a chunk's records. The service's limit for an item is 400 KB.
const LARGEST: usize = 128 * 1024;
/// Bytes of a single record, at most.
pub(super) const LARGEST_RECORD: usize = 380 * 1024;
const HEADER: usize = 16 + 8 + 4;

/// Records of one tenant and kind that go into one item, in order of their ids, then their times, then of writing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Chunk {
    pub(super) key: Key,
    pub(super) first: EventId,
    /// When the youngest was written.
    pub(super) newest: Timestamp,
    pub(super) bytes: Vec<u8>,
}

/// Whose records of which kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Key {
    pub(super) kind: u8,
    pub(super) tenant: u64,
}

impl Key {
    pub(super) fn new(kind: LogKind, tenant: u64) -> Key {
        let kind = match kind {
            LogKind::Trace => b't',
            LogKind::Login => b'l',
            LogKind::Audit => b'a',
            LogKind::Usage => b'u',
            LogKind::Heard => b'h',
        };
        Key { kind, tenant }
    }

    pub(super) fn to_bytes(self) -> [u8; 9] {
        let mut bytes = [self.kind; 9];
        bytes[1..].copy_from_slice(&self.tenant.to_be_bytes());
        bytes
    }
}

/// A record out of a chunk.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Kept {
    pub(super) id: EventId,
    pub(super) time: Timestamp,
    pub(super) value: Vec<u8>,
}

/// The records in as few chunks as the rules allow.
pub(super) fn chunks(records: &[LogRecord]) -> Vec<Chunk> {
    let mut sorted: Vec<(Key, &LogRecord)> =
        records.iter().map(|record| (Key::new(record.kind, record.tenant.0), record)).collect();
    // Stable: what is equal stays in the order of writing.
    sorted.sort_by_key(|(key, record)| (*key, record.id, record.time));
    let mut chunks: Vec<Chunk> = Vec::new();
    for (key, record) in sorted {
        let len = HEADER + record.value.len();
        let fits = |chunk: &Chunk| {
            chunk.key == key
                && record.id.time().0 <= chunk.first.time().0 + SPAN
                && chunk.bytes.len() + len <= LARGEST
        };
        if !chunks.last().is_some_and(fits) {
            chunks.push(Chunk { key, first: record.id, newest: record.time, bytes: Vec::new() });
        }
        let Some(chunk) = chunks.last_mut() else { continue };
        chunk.newest = chunk.newest.max(record.time);
        chunk.bytes.extend_from_slice(&record.id.to_bytes());
        chunk.bytes.extend_from_slice(&record.time.0.to_le_bytes());
        chunk.bytes.extend_from_slice(&(record.value.len() as u32).to_le_bytes());
        chunk.bytes.extend_from_slice(&record.value);
    }
    chunks
}

/// The records in a chunk's bytes; `None` if they are none.
pub(super) fn records(mut bytes: &[u8]) -> Option<Vec<Kept>> {
    let mut found = Vec::new();
    while !bytes.is_empty() {
        let (id, rest) = bytes.split_first_chunk::<16>()?;
        let (time, rest) = rest.split_first_chunk::<8>()?;
        let (len, rest) = rest.split_first_chunk::<4>()?;
        let (value, rest) = rest.split_at_checked(u32::from_le_bytes(*len) as usize)?;
        found.push(Kept {
            id: EventId::from_bytes(*id),
            time: Timestamp(i64::from_le_bytes(*time)),
            value: value.to_vec(),
        });
        bytes = rest;
    }
    Some(found)
}

#[cfg(test)]
mod tests {
    use pennypost_model::TenantId;

    use super::*;

    fn record(tenant: u64, id: i64, time: i64, value: Vec<u8>) -> LogRecord {
        let id = EventId::from_parts(Timestamp(id), 7);
        LogRecord { tenant: TenantId(tenant), kind: LogKind::Trace, id, time: Timestamp(time), value }
    }

    #[test]
    fn a_batch_of_one_tenant_is_one_chunk() {
        let batch: Vec<LogRecord> = (0..30).map(|at| record(1, 50_000 - at, at, vec![1; 200])).collect();
        let made = chunks(&batch);
        assert_eq!(made.len(), 1);
        assert_eq!(made[0].first, batch[29].id);
        assert_eq!(made[0].newest, Timestamp(29));
        let kept = records(&made[0].bytes).expect("records");
        assert!(kept.iter().zip(batch.iter().rev()).all(|(kept, sent)| kept.id == sent.id));
        assert_eq!(kept.len(), 30);
    }

    #[test]
    fn tenants_times_and_sizes_part_chunks() {
        let apart = [
            record(1, 0, 0, vec![]),
            record(2, 0, 0, vec![]),
            record(1, SPAN, 0, vec![]),
            record(1, SPAN + 1, 0, vec![]),
        ];
        let firsts: Vec<(u64, i64)> =
            chunks(&apart).iter().map(|chunk| (chunk.key.tenant, chunk.first.time().0)).collect();
        assert_eq!(firsts, [(1, 0), (1, SPAN + 1), (2, 0)]);
        let large: Vec<LogRecord> = (0..10).map(|at| record(1, at, 0, vec![1; 60_000])).collect();
        assert_eq!(chunks(&large).len(), 5);
        assert_eq!(chunks(&[record(1, 0, 0, vec![1; LARGEST_RECORD])]).len(), 1);
    }

    #[test]
    fn cut_chunks_are_none() {
        let bytes = chunks(&[record(1, 0, 0, vec![5; 20]), record(1, 1, 1, vec![])])[0].bytes.clone();
        assert_eq!(records(&bytes).map(|kept| kept.len()), Some(2));
        let whole = [0, HEADER + 20, bytes.len()];
        for len in (0..bytes.len()).filter(|len| !whole.contains(len)) {
            assert_eq!(records(&bytes[..len]), None);
        }
    }
}
