//! Bases: a state as columns. A base can be thrown away and rebuilt from the journal at any time.
//!
//! Layout: magic `PPBS`, a format byte, then one zstd frame with checksum around a postcard record whose
//! columns are delta-encoded varints. Version 2 has names of subscriptions instead of a mark at each mailbox, uses,
//! annotations, access control lists, and the time at which each message came into its mailbox instead of the hash
//! of its Message-ID; version 1 is read with those times unknown.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Read;
use std::sync::Arc;

use pennypost_model::codec::{self, CodecError, Versioned};
use pennypost_model::journal::{DeleteReason, Usage};
use pennypost_model::message::BlobRef;
use pennypost_model::{
    EventId, Grantee, Keyword, MailboxId, MailboxRole, Rid, Rights, Seq, SpecialUses, ThreadId, Timestamp,
    Uid, UidValidity,
};
use serde::{Deserialize, Serialize};

use crate::mailbox::{Annotations, Counts, Mailbox};
use crate::rows::{Row, RowFlags, Rows, Seconds};
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
    subscriptions: BTreeSet<String>,
    annotations: Annotations,
}

impl Versioned for Record {
    const KIND: &'static str = "base";
    const VERSION: u8 = 2;

    fn upgrade(found: u8, bytes: &[u8]) -> Result<Record, CodecError> {
        first::upgrade(found, bytes)
    }
}

#[derive(Serialize, Deserialize)]
struct MailboxRecord {
    id: MailboxId,
    name: String,
    role: Option<MailboxRole>,
    uses: SpecialUses,
    uid_validity: UidValidity,
    created: Seq,
    modseq: Seq,
    highest_uid: u32,
    annotations: Annotations,
    acl: BTreeMap<Grantee, Rights>,
    rows: Columns,
}

/// One value of each row after another, each column by itself so that it compresses.
#[derive(Default, Serialize, Deserialize)]
struct Columns {
    len: u64,
    packs: Vec<EventId>,
    columns: [Vec<u8>; 13],
    /// Of version 1: one column is of no use any more.
    #[serde(skip)]
    is_first_version: bool,
}

/// The base of `state`.
///
/// # Errors
/// [`BaseError::Damaged`] if compression fails, which happens only without memory.
pub fn encode(state: &State) -> Result<Vec<u8>, BaseError> {
    let mailboxes = state.mailboxes().map(|mailbox| MailboxRecord {
        id: mailbox.id,
        name: mailbox.name.clone(),
        role: mailbox.role,
        uses: mailbox.uses,
        uid_validity: mailbox.uid_validity,
        created: mailbox.created,
        modseq: mailbox.modseq,
        highest_uid: mailbox.highest_uid,
        annotations: (*mailbox.annotations).clone(),
        acl: (*mailbox.acl).clone(),
        rows: Columns::of(mailbox.rows.iter()),
    });
    let record = Record {
        seq: state.seq,
        time: state.time,
        next_uid: state.next_uid,
        used: state.used,
        keywords: state.keywords().to_vec(),
        highest_mailbox: state.highest_mailbox,
        highest_validity: state.highest_validity,
        mailboxes: mailboxes.collect(),
        deleted: Columns::of(state.deleted.iter().map(|deleted| &deleted.row)),
        deleted_from: state.deleted.iter().map(|deleted| deleted.mailbox).collect(),
        deleted_at: state.deleted.iter().map(|deleted| deleted.at).collect(),
        deleted_reason: state.deleted.iter().map(|deleted| deleted.reason).collect(),
        subscriptions: (*state.subscriptions).clone(),
        annotations: (*state.annotations).clone(),
    };
    framed(&codec::encode(&record))
}

fn framed(plain: &[u8]) -> Result<Vec<u8>, BaseError> {
    let packed = compress(plain).map_err(|error| BaseError::Damaged(error.to_string()))?;
    let mut base = Vec::with_capacity(packed.len() + 4);
    base.extend_from_slice(MAGIC);
    base.extend_from_slice(&packed);
    Ok(base)
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
            uses: mailbox.uses,
            uid_validity: mailbox.uid_validity,
            created: mailbox.created,
            modseq: mailbox.modseq,
            highest_uid: mailbox.highest_uid,
            counts,
            annotations: Arc::new(mailbox.annotations),
            acl: Arc::new(mailbox.acl),
            rows,
        };
        mailboxes.insert(mailbox.id, Arc::new(mailbox));
    }
    let deleted_rows = record.deleted.rows().ok_or_else(|| damaged("columns of unequal length"))?;
    let details = record.deleted_from.iter().zip(&record.deleted_at).zip(&record.deleted_reason);
    let deleted = deleted_rows.into_iter().zip(details).map(|(row, ((mailbox, at), reason))| Deleted {
        row,
        mailbox: *mailbox,
        at: *at,
        reason: *reason,
    });
    Ok(State {
        seq: record.seq,
        time: record.time,
        next_uid: record.next_uid,
        used: record.used,
        mailboxes,
        keywords: Arc::new(record.keywords),
        subscriptions: Arc::new(record.subscriptions),
        annotations: Arc::new(record.annotations),
        deleted: deleted.collect(),
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
        let mut columns = Columns::default();
        let mut previous = [0_i64; 13];
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
                row.sent.map_or(0, |sent| {
                    sent.timestamp().0.wrapping_sub(row.internal_date.0).wrapping_add(1 << 60)
                }),
                row.size as i64,
                row.thread.0 as i64,
                row.saved.map_or(0, |saved| i64::from(saved.count())),
                pack,
                i64::from(row.blob.entry) << 32 | i64::from(row.blob.len),
                i64::from(row.blob.offset),
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
        let mut values = [0_i64; 13];
        let has_saved = !self.is_first_version;
        let longest = self.columns[0].len() as u64;
        if self.len > longest {
            return None;
        }
        let mut rows = Vec::with_capacity(self.len as usize);
        for _ in 0..self.len {
            for (value, reader) in values.iter_mut().zip(&mut readers) {
                *value = value.wrapping_add(unzigzag(read_varint(reader)?));
            }
            let [uid, rid, origin, flags, modseq, date, sent, size, thread, saved, pack, entry_len, offset] =
                values;
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
                sent: sent.and_then(Seconds::of),
                saved: if has_saved { Seconds::from_count(saved as u32) } else { None },
                size: size as u64,
                thread: ThreadId(thread as u64),
                blob,
            });
        }
        Some(rows)
    }
}

/// Version 1, from before subscriptions by name.
mod first {
    use super::*;

    #[derive(Serialize, Deserialize)]
    struct First {
        seq: Seq,
        time: Timestamp,
        next_uid: u32,
        used: Usage,
        keywords: Vec<Keyword>,
        highest_mailbox: u32,
        highest_validity: u32,
        mailboxes: Vec<FirstMailbox>,
        deleted: Columns,
        deleted_from: Vec<MailboxId>,
        deleted_at: Vec<Timestamp>,
        deleted_reason: Vec<DeleteReason>,
    }

    #[derive(Serialize, Deserialize)]
    struct FirstMailbox {
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

    pub(super) fn upgrade(found: u8, bytes: &[u8]) -> Result<Record, CodecError> {
        let kind = Record::KIND;
        if found != 1 {
            return Err(CodecError::Version { kind, found, known: Record::VERSION });
        }
        let first: First = codec::decode_plain(kind, bytes)?;
        let subscribed = first.mailboxes.iter().filter(|mailbox| mailbox.subscribed);
        let subscriptions = subscribed.map(|mailbox| mailbox.name.clone()).collect();
        let mailboxes = first.mailboxes.into_iter().map(|mailbox| MailboxRecord {
            id: mailbox.id,
            name: mailbox.name,
            role: mailbox.role,
            uses: SpecialUses::of_role(mailbox.role),
            uid_validity: mailbox.uid_validity,
            created: mailbox.created,
            modseq: mailbox.modseq,
            highest_uid: mailbox.highest_uid,
            annotations: Annotations::new(),
            acl: BTreeMap::new(),
            rows: Columns { is_first_version: true, ..mailbox.rows },
        });
        Ok(Record {
            seq: first.seq,
            time: first.time,
            next_uid: first.next_uid,
            used: first.used,
            keywords: first.keywords,
            highest_mailbox: first.highest_mailbox,
            highest_validity: first.highest_validity,
            mailboxes: mailboxes.collect(),
            deleted: Columns { is_first_version: true, ..first.deleted },
            deleted_from: first.deleted_from,
            deleted_at: first.deleted_at,
            deleted_reason: first.deleted_reason,
            subscriptions,
            annotations: Annotations::new(),
        })
    }

    #[cfg(test)]
    pub(super) fn of(state: &State) -> Vec<u8> {
        let mailboxes = state.mailboxes().map(|mailbox| FirstMailbox {
            id: mailbox.id,
            name: mailbox.name.clone(),
            role: mailbox.role,
            uid_validity: mailbox.uid_validity,
            subscribed: state.is_subscribed(&mailbox.name),
            created: mailbox.created,
            modseq: mailbox.modseq,
            highest_uid: mailbox.highest_uid,
            rows: Columns::of(mailbox.rows.iter()),
        });
        let first = First {
            seq: state.seq,
            time: state.time,
            next_uid: state.next_uid,
            used: state.used,
            keywords: state.keywords().to_vec(),
            highest_mailbox: state.highest_mailbox,
            highest_validity: state.highest_validity,
            mailboxes: mailboxes.collect(),
            deleted: Columns::of(state.deleted.iter().map(|deleted| &deleted.row)),
            deleted_from: state.deleted.iter().map(|deleted| deleted.mailbox).collect(),
            deleted_at: state.deleted.iter().map(|deleted| deleted.at).collect(),
            deleted_reason: state.deleted.iter().map(|deleted| deleted.reason).collect(),
        };
        codec::encode_plain(&first, 1)
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

#[cfg(test)]
mod tests {
    use pennypost_model::journal::{Actor, Protocol};
    use pennypost_model::message::Card;
    use pennypost_model::{FlagSet, UidSet};

    use super::*;
    use crate::{Draft, NewMessage};

    fn message(n: u32) -> NewMessage {
        let time = Timestamp(1_795_132_800_000 + i64::from(n));
        NewMessage {
            mailbox: MailboxId::INBOX,
            flags: FlagSet::default(),
            internal_date: time,
            sent: [Some(time), None, Some(Timestamp(-5)), Some(Timestamp(5_000_000_000_000))][n as usize % 4],
            size: u64::from(n) * 1_000,
            thread: ThreadId(u64::MAX - u64::from(n)),
            message_id_hash: u64::from(n),
            event: EventId::from_parts(time, u128::from(n)),
            blob: pennypost_model::message::BlobRef {
                pack: EventId::from_parts(time, u128::from(n) / 3),
                entry: n,
                offset: n * 7,
                len: 100,
            },
            card: Card::default(),
            receipt: String::new(),
        }
    }

    /// A state with something of everything; `new` with what version 1 does not know.
    fn state(new: bool) -> State {
        let mut state = State::default();
        let mut step = |change: &mut dyn FnMut(&mut Draft)| {
            let now = state.time.plus_millis(1_795_132_800_000 % 1_000_003 + 5_000);
            let mut draft = Draft::new(&state, Actor::Member(Protocol::Imap), now);
            change(&mut draft);
            let (entry, after) = draft.finish().expect("an entry");
            let mut folded = state.clone();
            folded.fold(&entry).expect("the next");
            assert_eq!(folded, after);
            state = after;
        };
        step(&mut |draft| {
            for n in 0..20 {
                draft.add(message(n)).expect("added");
            }
            draft.create_mailbox("work/done", None).expect("created");
        });
        let some = UidSet::from_ranges([(3, 5), (9, 9)]);
        step(&mut |draft| {
            draft.move_messages(MailboxId::INBOX, &some, MailboxId::TRASH).expect("moved");
            let gone = UidSet::from_ranges([(1, 1), (12, 12)]);
            draft.delete_messages(MailboxId::INBOX, &gone, DeleteReason::Expunge).expect("deleted");
        });
        if new {
            step(&mut |draft| {
                draft.subscribe_name("not/there", true).expect("subscribed");
                draft.subscribe_name("work", false).expect("no longer");
                let work = draft.state().mailbox_named("work").expect("work").id;
                let uses = SpecialUses::named("\\sent").expect("a use");
                draft.set_uses(work, uses).expect("uses");
                draft.annotate(None, "/shared/admin", Some(b"mailto:x".to_vec())).expect("annotated");
                draft.annotate(Some(work), "/private/comment", Some(vec![0, 255])).expect("annotated");
                let rights = Rights::parse("lrs");
                draft.set_acl(work, Grantee::Anyone, rights).expect("acl");
            });
        }
        state
    }

    #[test]
    fn a_base_is_its_state() {
        let state = state(true);
        assert!(state.mailboxes().any(|mailbox| mailbox.rows.iter().any(|row| row.saved.is_some())));
        assert_eq!(decode(&encode(&state).expect("base")), Ok(state));
    }

    /// Invariant 10: what version 1 wrote is read; only the times of saving are unknown.
    #[test]
    fn the_first_version_is_read() {
        let state = state(false);
        let first = decode(&framed(&first::of(&state)).expect("base")).expect("read");
        assert!(first.mailboxes().all(|mailbox| mailbox.rows.iter().all(|row| row.saved.is_none())));
        assert_ne!(first, state);
        assert!(state.agrees_with(&first));
        let mut other = first.clone();
        other.subscribe("INBOX", false);
        assert!(!state.agrees_with(&other));
    }
}
