//! Storing messages that do not come through the pipeline: APPEND and import.

use pennypost_fold::{Draft, DraftError, NewMessage, State};
use pennypost_model::journal::Actor;
use pennypost_model::message::{BlobRef, Card, Facts, Sidecar, StoredMessage};
use pennypost_model::{AccountKey, EventId, FlagSet, MailboxId, Rid, Timestamp, Uid};
use pennypost_ports::NewObject;

use crate::compress::compress;
use crate::pack::{PackEntry, SidecarPart, pack_sidecar};
use crate::{ChangeError, Committed, Mailstore, StoreError};

/// A message, compressed and parsed.
#[derive(Debug, Clone)]
pub struct Prepared {
    facts: Facts,
    sidecar: Vec<u8>,
    message: StoredMessage,
}

impl Prepared {
    /// Parses and compresses a message. CPU work: some 50 µs for 10 KB.
    ///
    /// # Errors
    /// [`StoreError::Damaged`] if the compressor fails, which happens only without memory.
    pub fn new(raw: &[u8]) -> Result<Prepared, StoreError> {
        let (structure, facts) = pennypost_mime::parse(raw);
        let sidecar = Sidecar { structure, facts, receipt: String::new() };
        Ok(Prepared { sidecar: pack_sidecar(&sidecar)?, facts: sidecar.facts, message: compress(raw)? })
    }
}

/// A message to store.
#[derive(Debug, Clone)]
pub struct Incoming {
    /// Idempotency key: a message whose key the account's journal holds is not stored again by import.
    pub event: EventId,
    /// Its flags.
    pub flags: FlagSet,
    /// INTERNALDATE.
    pub internal_date: Timestamp,
    prepared: Prepared,
}

impl Incoming {
    /// A message that was prepared.
    #[must_use]
    pub const fn new(
        prepared: Prepared,
        event: EventId,
        flags: FlagSet,
        internal_date: Timestamp,
    ) -> Incoming {
        Incoming { event, flags, internal_date, prepared }
    }

    /// Prepares a message: [`Prepared::new`].
    ///
    /// # Errors
    /// As there.
    pub fn prepare(
        raw: &[u8],
        event: EventId,
        flags: FlagSet,
        internal_date: Timestamp,
    ) -> Result<Incoming, StoreError> {
        Ok(Incoming::new(Prepared::new(raw)?, event, flags, internal_date))
    }

    /// Bytes of the message.
    #[must_use]
    pub const fn size(&self) -> u64 {
        self.prepared.message.size
    }
}

/// Messages in a pack.
pub(crate) struct Packed {
    /// A reference to each, in order.
    blobs: Vec<BlobRef>,
    /// The pack, if it is not written yet.
    waiting: Option<NewObject>,
}

/// Where a message went.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Placed {
    /// Its UID.
    pub uid: Uid,
    /// Its id in the account.
    pub rid: Rid,
}

impl Mailstore {
    /// Stores messages in a mailbox: one pack, one entry, all or none. `allow` is asked on the state that the
    /// entry will follow (quota, mailbox still there).
    ///
    /// # Errors
    /// What `allow` returned, [`DraftError`], or [`StoreError`].
    pub async fn store(
        &self,
        account: AccountKey,
        state: State,
        actor: &Actor,
        mailbox: MailboxId,
        messages: &[Incoming],
        allow: impl FnMut(&State) -> Result<(), DraftError>,
    ) -> Result<Committed<Vec<Placed>>, ChangeError> {
        let packed = self.pack(account, messages).await?;
        self.place(account, state, actor, mailbox, messages, packed, allow).await
    }

    /// Packs the bytes of messages. A large pack is written, durably, and nothing refers to it yet; a small one
    /// waits for its entry where the journal takes it.
    pub(crate) async fn pack(
        &self,
        account: AccountKey,
        messages: &[Incoming],
    ) -> Result<Packed, StoreError> {
        let entries: Vec<PackEntry<'_>> = messages
            .iter()
            .map(|incoming| PackEntry {
                event: incoming.event,
                owners: vec![account.account],
                sidecar: SidecarPart::Packed(&incoming.prepared.sidecar),
                message: &incoming.prepared.message,
            })
            .collect();
        let (blobs, waiting) = self.put_or_keep_pack(account.tenant, &entries).await?;
        Ok(Packed { blobs, waiting })
    }

    /// Places messages that are packed: one entry, all or none.
    pub(crate) async fn place(
        &self,
        account: AccountKey,
        state: State,
        actor: &Actor,
        mailbox: MailboxId,
        messages: &[Incoming],
        packed: Packed,
        mut allow: impl FnMut(&State) -> Result<(), DraftError>,
    ) -> Result<Committed<Vec<Placed>>, ChangeError> {
        let decide = |draft: &mut Draft| {
            allow(draft.state())?;
            draft.state().mailbox(mailbox).ok_or(DraftError::NoMailbox)?;
            let placed = messages.iter().zip(&packed.blobs).map(|(incoming, blob)| {
                let facts = &incoming.prepared.facts;
                let (uid, rid) = draft.add(NewMessage {
                    mailbox,
                    flags: incoming.flags.clone(),
                    internal_date: incoming.internal_date,
                    sent: facts.sent,
                    size: incoming.prepared.message.size,
                    thread: facts.thread,
                    message_id_hash: facts.message_id_hash,
                    event: incoming.event,
                    blob: *blob,
                    card: Card::of(facts),
                    receipt: String::new(),
                })?;
                Ok(Placed { uid, rid })
            });
            placed.collect()
        };
        let committed = self.commit_with(account, state, actor, packed.waiting, decide, |_, _| {}).await?;
        self.note_stored(account, messages.len());
        Ok(committed)
    }
}
