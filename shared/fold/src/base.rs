//! Bases: a state as columns. A base can be thrown away and rebuilt from the journal at any time.
//!
//! Layout: magic `PPBS`, a format byte, then one zstd frame with checksum around a postcard record whose
//! columns are delta-encoded varints. Version 2 has a column more than version 1 (`v1`): when a message was saved.

mod v1;

use std::collections::BTreeMap;
use std::io::Read;
use std::sync::Arc;

use pennypost_model::codec::{self, CodecError, Versioned};
use pennypost_model::journal::{DeleteReason, Usage};
use pennypost_model::message::BlobRef;
use pennypost_model::{
    EventId, Keyword, MailboxId, MailboxRole, Rid, Seq, ThreadId, Timestamp, Uid, UidValidity,
};
use serde::{Deserialize, Serialize};

use crate::mailbox::{Counts, Mailbox};
use crate::rows::{Row, RowFlags, Rows};
use crate::state::{Deleted, State};

const MAGIC: &[u8; 4] = b"PPBS";

/// A base is never larger than this before compression: about 40 million messages.
const MAX_LEN: u64 = 4 << 30;

/// Why bytes are not a base. The remedy is always the same: fold the journal and build another.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BaseError {
    /// No base at all, or a damaged one.
    #[error("the base is damaged: {0}")]
    Damaged(String),
    /// The record inside.
    #[error(transparent)]
    Record(#[from] CodecError),
}

#[derive(Serialize, Deserialize)]
struct Record {
    seq: Seq,
    time: Timestamp,
    next_uid: u32,
    used: Usage,
    keywords: Vec<Keyword>,
    highest_mailbox: u32,
    highest_validity: u32,
    mailboxes: Vec<MailboxRecord>,
    deleted: Columns,
    deleted_from: Vec<MailboxId>,
    deleted_at: Vec<Timestamp>,
    deleted_reason: Vec<DeleteReason>,
}

impl Versioned for Record {
    const KIND: &'static str = "base";
    const VERSION: u8 = 2;

    fn upgrade(found: u8, bytes: &[u8]) -> Result<Record, CodecError> {
        v1::read(found, bytes)
    }
}

#[derive(Serialize, Deserialize)]
struct MailboxRecord {
    id: MailboxId,
    name: String,
    role: Option<MailboxRole>,
    uid_validity: UidValidity,
    subscribed: bool,
    created: Seq,
    modseq: Seq,
    highest_uid: u32,
    rows: Columns,
}

/// One value of each row after another, each column by itself so that it compresses.
#[derive(Serialize, Deserialize)]
struct Columns {
    len: u64,
    packs: Vec<EventId>,
    /// [`WIDTH`] of them.
    columns: Vec<Vec<u8>>,
}

/// Columns of a row.
const WIDTH: usize = 14;

/// The base of `state`.
///
/// # Errors
/// [`BaseError::Damaged`] if compression fails, which happens only without memory.
pub fn encode(state: &State) -> Result<Vec<u8>, BaseError> {
    let plain = codec::encode(&Record::of(state));
    let packed = compress(&plain).map_err(|error| BaseError::Damaged(error.to_string()))?;
    let mut base = Vec::with_capacity(packed.len() + 4);
    base.extend_from_slice(MAGIC);
    base.extend_from_slice(&packed);
    Ok(base)
}

impl Record {
    fn of(state: &State) -> Record {
        let mailboxes = state.mailboxes().map(|mailbox| MailboxRecord {
            id: mailbox.id,
            name: mailbox.name.clone(),
            role: mailbox.role,
            uid_validity: mailbox.uid_validity,
            subscribed: mailbox.subscribed,
            created: mailbox.created,
            modseq: mailbox.modseq,
            highest_uid: mailbox.highest_uid,
            rows: Columns::of(mailbox.rows.iter()),
        });
        Record {
            seq: state.seq,
            time: state.time,
            next_uid: state.next_uid,
            used: state.used,
            keywords: state.keywords().to_vec(),
            highest_mailbox: state.highest_mailbox,
            highest_validity: state.highest_validity,
            mailboxes: mailboxes.collect(),
            deleted: Columns::of(state.deleted.values().map(|deleted| &deleted.row)),
            deleted_from: state.deleted.values().map(|deleted| deleted.mailbox).collect(),
            deleted_at: state.deleted.values().map(|deleted| deleted.at).collect(),
            deleted_reason: state.deleted.values().map(|deleted| deleted.reason).collect(),
        }
    }
}

/// The state in a base.
///
/// # Errors
/// [`BaseError`] for anything that [`encode`] has not made; never a panic.
pub fn decode(bytes: &[u8]) -> Result<State, BaseError> {
    let damaged = |what: &str| BaseError::Damaged(what.to_owned());
    let packed = bytes.strip_prefix(MAGIC).ok_or_else(|| damaged("no magic"))?;
    let mut plain = Vec::new();
    zstd::Decoder::new(packed)
        .and_then(|decoder| decoder.take(MAX_LEN).read_to_end(&mut plain))
        .map_err(|error| BaseError::Damaged(error.to_string()))?;
    let record: Record = codec::decode(&plain)?;
    let mut mailboxes = BTreeMap::new();
    for mailbox in record.mailboxes {
        let mut rows = Rows::default();
        let mut counts = Counts::default();
        for row in mailbox.rows.rows().ok_or_else(|| damaged("columns of unequal length"))? {
            if rows.push(row) {
                counts.enter(&row);
            }
        }
        let mailbox = Mailbox {
            id: mailbox.id,
            name: mailbox.name,
            role: mailbox.role,
            uid_validity: mailbox.uid_validity,
            subscribed: mailbox.subscribed,
            created: mailbox.created,
            modseq: mailbox.modseq,
            highest_uid: mailbox.highest_uid,
            counts,
            rows,
        };
        mailboxes.insert(mailbox.id, Arc::new(mailbox));
    }
    let deleted_rows = record.deleted.rows().ok_or_else(|| damaged("columns of unequal length"))?;
    let details = record.deleted_from.iter().zip(&record.deleted_at).zip(&record.deleted_reason);
    let deleted = deleted_rows.into_iter().zip(details).map(|(row, ((mailbox, at), reason))| {
        (row.uid, Deleted { row, mailbox: *mailbox, at: *at, reason: *reason })
    });
    Ok(State {
        seq: record.seq,
        time: record.time,
        next_uid: record.next_uid,
        used: record.used,
        mailboxes,
        keywords: Arc::new(record.keywords),
        deleted: Arc::new(deleted.collect()),
        highest_mailbox: record.highest_mailbox,
        highest_validity: record.highest_validity,
    })
}

fn compress(plain: &[u8]) -> std::io::Result<Vec<u8>> {
    let mut encoder = zstd::Encoder::new(Vec::new(), 3)?;
    encoder.include_checksum(true)?;
    std::io::Write::write_all(&mut encoder, plain)?;
    encoder.finish()
}

impl Columns {
    fn of<'a>(rows: impl Iterator<Item = &'a Row>) -> Columns {
        let mut columns = Columns { len: 0, packs: Vec::new(), columns: vec![Vec::new(); WIDTH] };
        let mut previous = [0_i64; WIDTH];
        let mut pack_numbers = BTreeMap::new();
        for row in rows {
            columns.len += 1;
            let packs = &mut columns.packs;
            let pack = *pack_numbers.entry(row.blob.pack).or_insert_with(|| {
                packs.push(row.blob.pack);
                packs.len() as i64 - 1
            });
            let values = [
                i64::from(row.uid.0),
                row.rid.0 as i64,
                row.rid.0.wrapping_sub(row.origin.0) as i64,
                row.flags.0 as i64,
                row.modseq.0 as i64,
                row.internal_date.0,
                row.sent.map_or(0, |sent| sent.0.wrapping_sub(row.internal_date.0).wrapping_add(1 << 60)),
                row.size as i64,
                row.thread.0 as i64,
                row.message_id_hash as i64,
                pack,
                i64::from(row.blob.entry) << 32 | i64::from(row.blob.len),
                i64::from(row.blob.offset),
                row.saved.0.wrapping_sub(row.internal_date.0),
            ];
            for ((column, value), previous) in columns.columns.iter_mut().zip(values).zip(&mut previous) {
                write_varint(column, zigzag(value.wrapping_sub(*previous)));
                *previous = value;
            }
        }
        columns
    }

    fn rows(&self) -> Option<Vec<Row>> {
        let mut readers: Vec<&[u8]> = self.columns.iter().map(Vec::as_slice).collect();
        let mut values = [0_i64; WIDTH];
        let longest = self.columns.first()?.len() as u64;
        if self.columns.len() != WIDTH || self.len > longest {
            return None;
        }
        let mut rows = Vec::with_capacity(self.len as usize);
        for _ in 0..self.len {
            for (value, reader) in values.iter_mut().zip(&mut readers) {
                *value = value.wrapping_add(unzigzag(read_varint(reader)?));
            }
            let [
                uid,
                rid,
                origin,
                flags,
                modseq,
                date,
                sent,
                size,
                thread,
                hash,
                pack,
                entry_len,
                offset,
                saved,
            ] = values;
            let internal_date = Timestamp(date);
            let blob = BlobRef {
                pack: *self.packs.get(usize::try_from(pack).ok()?)?,
                entry: (entry_len >> 32) as u32,
                len: entry_len as u32,
                offset: offset as u32,
            };
            let sent = (sent != 0).then(|| Timestamp(sent.wrapping_sub(1 << 60).wrapping_add(date)));
            rows.push(Row {
                uid: Uid(u32::try_from(uid).ok()?),
                flags: RowFlags(flags as u64),
                rid: Rid(rid as u64),
                origin: Rid((rid as u64).wrapping_sub(origin as u64)),
                modseq: Seq(modseq as u64),
                internal_date,
                saved: Timestamp(date.wrapping_add(saved)),
                sent,
                size: size as u64,
                thread: ThreadId(thread as u64),
                message_id_hash: hash as u64,
                blob,
            });
        }
        Some(rows)
    }
}

const fn zigzag(value: i64) -> u64 {
    (value << 1 ^ value >> 63) as u64
}

const fn unzigzag(value: u64) -> i64 {
    (value >> 1) as i64 ^ -((value & 1) as i64)
}

fn write_varint(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

fn read_varint(reader: &mut &[u8]) -> Option<u64> {
    let mut value = 0_u64;
    for shift in (0..70).step_by(7) {
        let (byte, rest) = reader.split_first()?;
        *reader = rest;
        value |= u64::from(byte & 0x7f).checked_shl(shift).unwrap_or(0);
        if byte & 0x80 == 0 {
            return Some(value);
        }
    }
    None
}
