//! Version 1 of the base, read only. Its shape stays as it is: new fields of [`Record`] get their value here.

use pennypost_model::codec::{self, CodecError, Versioned};
use pennypost_model::journal::{DeleteReason, Usage};
use pennypost_model::{EventId, Keyword, MailboxId, MailboxRole, Seq, Timestamp, UidValidity};
use serde::{Deserialize, Serialize};

#[derive(Serialize, Deserialize)]
struct RecordV1 {
    seq: Seq,
    time: Timestamp,
    next_uid: u32,
    used: Usage,
    keywords: Vec<Keyword>,
    highest_mailbox: u32,
    highest_validity: u32,
    mailboxes: Vec<MailboxRecordV1>,
    deleted: ColumnsV1,
    deleted_from: Vec<MailboxId>,
    deleted_at: Vec<Timestamp>,
    deleted_reason: Vec<DeleteReason>,
}

impl Versioned for RecordV1 {
    const KIND: &'static str = "base";
}

#[derive(Serialize, Deserialize)]
struct MailboxRecordV1 {
    id: MailboxId,
    name: String,
    role: Option<MailboxRole>,
    uid_validity: UidValidity,
    subscribed: bool,
    created: Seq,
    modseq: Seq,
    highest_uid: u32,
    rows: ColumnsV1,
}

#[derive(Serialize, Deserialize)]
struct ColumnsV1 {
    len: u64,
    packs: Vec<EventId>,
    columns: [Vec<u8>; 13],
}

impl From<ColumnsV1> for super::Columns {
    /// Without a time of saving a message counts as saved when it was received: no difference to its INTERNALDATE.
    fn from(old: ColumnsV1) -> super::Columns {
        let mut columns = Vec::from(old.columns);
        let rows = usize::try_from(old.len).unwrap_or(usize::MAX);
        columns.push(vec![0; rows.min(columns.first().map_or(0, Vec::len))]);
        super::Columns { len: old.len, packs: old.packs, columns }
    }
}

impl From<MailboxRecordV1> for super::MailboxRecord {
    fn from(old: MailboxRecordV1) -> super::MailboxRecord {
        super::MailboxRecord {
            id: old.id,
            name: old.name,
            role: old.role,
            uid_validity: old.uid_validity,
            subscribed: old.subscribed,
            created: old.created,
            modseq: old.modseq,
            highest_uid: old.highest_uid,
            rows: old.rows.into(),
        }
    }
}

/// The record in bytes of the version `found`.
pub(super) fn read(found: u8, bytes: &[u8]) -> Result<super::Record, CodecError> {
    if found != RecordV1::VERSION {
        let known = super::Record::VERSION;
        return Err(CodecError::Version { kind: RecordV1::KIND, found, known });
    }
    let old: RecordV1 = codec::decode(&[&[found], bytes].concat())?;
    Ok(super::Record {
        seq: old.seq,
        time: old.time,
        next_uid: old.next_uid,
        used: old.used,
        keywords: old.keywords,
        highest_mailbox: old.highest_mailbox,
        highest_validity: old.highest_validity,
        mailboxes: old.mailboxes.into_iter().map(Into::into).collect(),
        deleted: old.deleted.into(),
        deleted_from: old.deleted_from,
        deleted_at: old.deleted_at,
        deleted_reason: old.deleted_reason,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Draft, NewMessage, State};
    use pennypost_model::journal::{Actor, Protocol};
    use pennypost_model::message::{BlobRef, Card};
    use pennypost_model::{FlagSet, ThreadId, Uid};

    fn older(columns: super::super::Columns) -> ColumnsV1 {
        let old: Vec<Vec<u8>> = columns.columns.into_iter().take(13).collect();
        ColumnsV1 { len: columns.len, packs: columns.packs, columns: old.try_into().expect("13 columns") }
    }

    #[test]
    fn a_base_of_version_1_is_read() {
        let mut draft = Draft::new(&State::default(), Actor::Member(Protocol::Imap), Timestamp(5_000));
        let pack = EventId::from_parts(Timestamp(1), 2);
        for count in 0..3 {
            let message = NewMessage {
                mailbox: MailboxId::INBOX,
                flags: FlagSet::default(),
                internal_date: Timestamp(1_000 + count),
                sent: None,
                size: 10,
                thread: ThreadId(7),
                message_id_hash: 3,
                event: pack,
                blob: BlobRef { pack, entry: 0, offset: 0, len: 10 },
                card: Card::default(),
                receipt: String::new(),
            };
            draft.add(message).expect("add");
        }
        let (_, state) = draft.finish().expect("entry");
        assert_eq!(
            state.mailbox(MailboxId::INBOX).expect("inbox").rows.at(0).expect("row").saved,
            Timestamp(5_000)
        );
        let record = super::super::Record::of(&state);
        let old = RecordV1 {
            seq: record.seq,
            time: record.time,
            next_uid: record.next_uid,
            used: record.used,
            keywords: record.keywords,
            highest_mailbox: record.highest_mailbox,
            highest_validity: record.highest_validity,
            mailboxes: record
                .mailboxes
                .into_iter()
                .map(|mailbox| MailboxRecordV1 {
                    id: mailbox.id,
                    name: mailbox.name,
                    role: mailbox.role,
                    uid_validity: mailbox.uid_validity,
                    subscribed: mailbox.subscribed,
                    created: mailbox.created,
                    modseq: mailbox.modseq,
                    highest_uid: mailbox.highest_uid,
                    rows: older(mailbox.rows),
                })
                .collect(),
            deleted: older(record.deleted),
            deleted_from: record.deleted_from,
            deleted_at: record.deleted_at,
            deleted_reason: record.deleted_reason,
        };
        let bytes = codec::encode(&old);
        let mut base = super::super::MAGIC.to_vec();
        base.extend(super::super::compress(&bytes).expect("compress"));
        let read = super::super::decode(&base).expect("base");
        let inbox = read.mailbox(MailboxId::INBOX).expect("inbox");
        assert_eq!(inbox.rows.len(), 3);
        let newer = state.mailbox(MailboxId::INBOX).expect("inbox");
        for (position, row) in inbox.rows.iter().enumerate() {
            let newer = newer.rows.at(position).expect("row");
            assert_eq!(row.saved, row.internal_date);
            assert_eq!(crate::Row { saved: newer.saved, ..*row }, *newer);
        }
        assert_eq!(inbox.rows.last().expect("row").uid, Uid(3));
    }
}
