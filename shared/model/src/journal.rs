//! The journal entry: one change of an account, commit record and list card in one (architecture section 4).

use serde::{Deserialize, Serialize};

use crate::codec::{CodecError, Versioned, decode_plain};
use crate::message::{BlobRef, Card};
use crate::{
    EventId, FlagSet, Grantee, MailboxId, MailboxRole, Rights, Seq, SpecialUses, ThreadId, Timestamp, Uid,
    UidSet, UidValidity,
};

/// One change of an account. Entry `n + 1` cannot exist before entry `n`; an entry never changes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// Its number, repeated inside so that a misplaced entry is noticed.
    pub seq: Seq,
    /// When it was committed, never before the entry in front of it.
    pub time: Timestamp,
    /// Who did it.
    pub actor: Actor,
    /// The lowest UID that no entry up to this one has given.
    pub next_uid: u32,
    /// Totals of the account after this entry.
    pub used: Usage,
    /// What changed, in order.
    pub ops: Vec<Op>,
}

impl Versioned for Entry {
    const KIND: &'static str = "journal entry";
    const VERSION: u8 = 2;

    /// Programs that read version 1 only go on reading what has no [`Op::Envelope`].
    fn version(&self) -> u8 {
        let has_envelope = self.ops.iter().any(|op| matches!(op, Op::Envelope { .. }));
        if has_envelope { Entry::VERSION } else { 1 }
    }

    /// Version 1 had no [`Op::Envelope`].
    fn upgrade(found: u8, bytes: &[u8]) -> Result<Entry, CodecError> {
        match found {
            1 => decode_plain(Entry::KIND, bytes),
            _ => Err(CodecError::Version { kind: Entry::KIND, found, known: Entry::VERSION }),
        }
    }
}

impl Entry {
    /// Was this event already recorded here?
    #[must_use]
    pub fn holds_event(&self, event: EventId) -> bool {
        self.ops.iter().any(|op| matches!(op, Op::Add(add) if add.event == event))
    }
}

/// Messages and bytes that count against the quota: everything live, in any mailbox.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Usage {
    /// Bytes as received, uncompressed.
    pub bytes: u64,
    /// Messages.
    pub messages: u64,
}

/// Who made a change, for the audit.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Actor {
    /// The delivery pipeline.
    Delivery,
    /// The member, over the named protocol.
    Member(Protocol),
    /// An administrator.
    Admin,
    /// The system: retention, housekeeping.
    System,
}

/// How a member was connected.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Protocol {
    /// IMAP.
    Imap,
    /// POP3.
    Pop3,
    /// JMAP or the webmail.
    Jmap,
    /// Import by the command line or the API.
    Import,
}

/// One step of a change. Folding is total: an op that names what is not there does nothing, except that a
/// message for an unknown mailbox goes to the Inbox.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Op {
    /// A new message.
    Add(Box<Add>),
    /// Flags of these messages: first removed, then added.
    Flags {
        /// The mailbox that they are in.
        mailbox: MailboxId,
        /// The messages.
        uids: UidSet,
        /// Flags set.
        add: FlagSet,
        /// Flags cleared.
        remove: FlagSet,
    },
    /// Messages go to another mailbox and get new UIDs, in ascending order of their old ones. The rid stays.
    Move {
        /// The mailbox that they are in.
        mailbox: MailboxId,
        /// The messages.
        uids: UidSet,
        /// Where to.
        to: MailboxId,
        /// The first new UID.
        first_uid: Uid,
    },
    /// Copies with UIDs of their own; rids are `seq * 65,536 + first_index + i`.
    Copy {
        /// The mailbox that they are in.
        mailbox: MailboxId,
        /// The messages.
        uids: UidSet,
        /// Where to.
        to: MailboxId,
        /// The first new UID.
        first_uid: Uid,
        /// Number of the first copy among the messages that this entry adds.
        first_index: u16,
    },
    /// Messages leave their mailbox and can be restored for the window (architecture section 6).
    Delete {
        /// The mailbox that they are in.
        mailbox: MailboxId,
        /// The messages.
        uids: UidSet,
        /// Why.
        reason: DeleteReason,
    },
    /// Deleted messages come back under new UIDs, in ascending order of their old ones.
    Restore {
        /// The UIDs under which they were deleted.
        uids: UidSet,
        /// Where to.
        to: MailboxId,
        /// The first new UID.
        first_uid: Uid,
    },
    /// Deleted messages whose window has passed: from here on nothing can bring them back.
    Forget {
        /// The UIDs under which they were deleted.
        uids: UidSet,
    },
    /// A mailbox changes.
    Mailbox(MailboxOp),
    /// An annotation (RFC 5464) is set or removed.
    Annotate {
        /// Of this mailbox; `None`: of the account (a server annotation).
        mailbox: Option<MailboxId>,
        /// Name of the entry, in lower case: `/private/comment`.
        entry: String,
        /// Its value; `None` removes it.
        value: Option<Vec<u8>>,
    },
    /// ENVELOPE of a message that this entry adds, compressed: for lists. It changes nothing.
    Envelope {
        /// Number among the messages that the entry adds.
        index: u16,
        /// As the mail store has written it.
        #[serde(with = "serde_bytes")]
        envelope: Vec<u8>,
    },
}

/// A new message.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Add {
    /// Its UID.
    pub uid: Uid,
    /// Number among the messages that the entry adds; the rid follows from it.
    pub index: u16,
    /// Where it goes.
    pub mailbox: MailboxId,
    /// Its flags.
    pub flags: FlagSet,
    /// INTERNALDATE: when it was accepted (or the date an import gave).
    pub internal_date: Timestamp,
    /// Date of the Date header, if any.
    pub sent: Option<Timestamp>,
    /// Bytes as received.
    pub size: u64,
    /// Its conversation.
    pub thread: ThreadId,
    /// Hash of the Message-ID; 0 when there is none.
    pub message_id_hash: u64,
    /// The event that brought it: the idempotency key.
    pub event: EventId,
    /// Where its bytes lie.
    pub blob: BlobRef,
    /// Its list card.
    pub card: Card,
    /// Header fields particular to this copy (Return-Path, Delivered-To), CRLF-terminated.
    pub receipt: String,
}

/// Why a message was deleted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum DeleteReason {
    /// The member expunged it.
    Expunge,
    /// Its sender recalled it.
    Recall,
    /// An administrator removed it.
    Admin,
    /// A retention rule.
    Retention,
    /// Its mailbox was deleted.
    MailboxDeleted,
}

/// A change of a mailbox.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum MailboxOp {
    /// A new mailbox.
    Create {
        /// Its id: one above the highest ever given in the account.
        id: MailboxId,
        /// Full name with `/` between levels, UTF-8.
        name: String,
        /// Its use.
        role: Option<MailboxRole>,
        /// Its UIDVALIDITY.
        uid_validity: UidValidity,
    },
    /// A new name for the mailbox itself (its children get entries of their own).
    Rename {
        /// The mailbox.
        id: MailboxId,
        /// The new full name.
        name: String,
    },
    /// The member wants it listed by LSUB, or not.
    Subscribe {
        /// The mailbox; its name of that time is meant.
        id: MailboxId,
        /// Subscribed from now on?
        subscribed: bool,
    },
    /// The mailbox goes. Its messages must have been deleted or moved by ops before; what is left goes to
    /// the Inbox.
    Delete {
        /// The mailbox.
        id: MailboxId,
    },
    /// The member wants that name listed by LSUB, or not, whether there is such a mailbox or not (RFC 3501
    /// section 6.3.6).
    SubscribeName {
        /// Full name.
        name: String,
        /// Subscribed from now on?
        subscribed: bool,
    },
    /// What mail programs are told that the mailbox is for (RFC 6154).
    Uses {
        /// The mailbox.
        id: MailboxId,
        /// All its uses from now on.
        uses: SpecialUses,
    },
    /// An entry of the mailbox's access control list is set or removed (RFC 4314).
    Acl {
        /// The mailbox.
        id: MailboxId,
        /// Whom it names.
        grantee: Grantee,
        /// What they may do from now on; `None` removes the entry.
        rights: Option<Rights>,
    },
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codec::{decode, encode};
    use crate::message::{Contact, Facts};

    /// Architecture section 4: one entry for one message is one write unit of the table.
    #[test]
    fn an_entry_for_one_message_stays_within_one_kilobyte() {
        let long = "企业邮局 Pennypost ".repeat(100);
        let contact = Contact { name: long.clone(), address: format!("{}@example.test", "a".repeat(64)) };
        let facts = Facts {
            subject: long.clone(),
            from: vec![contact.clone()],
            to: vec![contact; 100],
            preview: long,
            ..Facts::default()
        };
        let id = EventId::from_parts(Timestamp(1_795_132_800_000), u128::MAX >> 48);
        let add = Add {
            uid: Uid(u32::MAX),
            index: 0,
            mailbox: MailboxId::INBOX,
            flags: FlagSet::default(),
            internal_date: Timestamp(1_795_132_800_000),
            sent: Some(Timestamp(1_795_132_800_000)),
            size: 50_000_000,
            thread: ThreadId(u64::MAX),
            message_id_hash: u64::MAX,
            event: id,
            blob: BlobRef { pack: id, entry: 99, offset: 8_000_000, len: 8_000_000 },
            card: Card::of(&facts),
            receipt: "x".repeat(120),
        };
        let entry = Entry {
            seq: Seq(1_000_000),
            time: Timestamp(1_795_132_800_000),
            actor: Actor::Delivery,
            next_uid: u32::MAX,
            used: Usage { bytes: 1 << 40, messages: 1 << 20 },
            ops: vec![Op::Add(Box::new(add))],
        };
        let bytes = encode(&entry);
        assert!(bytes.len() <= 1024, "{} bytes", bytes.len());
        assert_eq!(decode::<Entry>(&bytes).as_ref(), Ok(&entry));
        assert_eq!(bytes[0], 1, "what has no envelope is written as before");
        let ops = vec![Op::Envelope { index: 0, envelope: vec![1, 2, 3] }];
        let with_envelope = Entry { ops, ..entry };
        let bytes = encode(&with_envelope);
        assert_eq!((bytes[0], decode::<Entry>(&bytes)), (2, Ok(with_envelope)));
    }

    #[test]
    fn damaged_entries_are_errors() {
        assert!(decode::<Entry>(&[]).is_err());
        assert!(decode::<Entry>(&[9, 1, 2]).is_err());
        assert!(decode::<Entry>(&[2, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255]).is_err());
    }
}
