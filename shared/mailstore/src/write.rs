//! Storing messages that do not come through the pipeline: APPEND and import.

use pennypost_fold::{Draft, DraftError, NewMessage, State};
use pennypost_model::journal::Actor;
use pennypost_model::message::{BlobRef, Card, Facts, Sidecar, StoredMessage};
use pennypost_model::{AccountKey, EventId, FlagSet, MailboxId, Rid, Timestamp, Uid};
use pennypost_ports::NewObject;

use crate::compress::{compress, keep};
use crate::pack::{PackEntry, SidecarPart, keep_sidecar, pack_sidecar};
use crate::{ChangeError, Committed, Mailstore, StoreError};

/// A message, parsed, and in the form in which it is stored.
#[derive(Debug, Clone)]
pub struct Prepared {
    facts: Facts,
    size: u64,
    place: Place,
}

/// Where a prepared message is.
#[derive(Debug, Clone)]
enum Place {
    /// Here, to be packed.
    Here { sidecar: Vec<u8>, message: StoredMessage },
    /// In a pack of this account already ([`Mailstore::put_ahead`]).
    Packed { account: AccountKey, event: EventId, blob: BlobRef },
}

/// How much time is taken for a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Effort {
    /// It is compressed.
    Compressed,
    /// It is stored as it is: parsing and copying are all the work.
    AsItIs,
}

impl Prepared {
    /// Parses and compresses a message. CPU work: some 50 µs for 10 KB.
    ///
    /// # Errors
    /// [`StoreError::Damaged`] if the compressor fails, which happens only without memory.
    pub fn new(raw: &[u8]) -> Result<Prepared, StoreError> {
        Prepared::with(raw, Effort::Compressed)
    }

    /// As [`Prepared::new`], with as much effort as is said.
    ///
    /// # Errors
    /// As there.
    pub fn with(raw: &[u8], effort: Effort) -> Result<Prepared, StoreError> {
        let (structure, facts) = pennypost_mime::parse(raw);
        let sidecar = Sidecar { structure, facts, receipt: String::new() };
        let (packed, message) = match effort {
            Effort::Compressed => (pack_sidecar(&sidecar)?, compress(raw)?),
            Effort::AsItIs => (keep_sidecar(&sidecar)?, keep(raw)?),
        };
        let place = Place::Here { sidecar: packed, message };
        Ok(Prepared { facts: sidecar.facts, size: raw.len() as u64, place })
    }

    /// The event under which it was packed, if it was.
    #[must_use]
    pub const fn event(&self) -> Option<EventId> {
        match self.place {
            Place::Here { .. } => None,
            Place::Packed { event, .. } => Some(event),
        }
    }

    /// Can it be stored in this account? One that was packed belongs to the account whose pack it is.
    #[must_use]
    pub fn is_for(&self, account: AccountKey) -> bool {
        match self.place {
            Place::Here { .. } => true,
            Place::Packed { account: owner, .. } => owner == account,
        }
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
    /// A message that was prepared. One that was packed has its event already ([`Prepared::event`]).
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
        self.prepared.size
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

    /// Packs messages whose entry comes later, durably: for those of a command that is still coming. Nothing refers to
    /// them yet; if nothing ever does, housekeeping removes them.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn put_ahead(
        &self,
        account: AccountKey,
        messages: Vec<Prepared>,
    ) -> Result<Vec<Prepared>, StoreError> {
        let now = self.clock.now();
        let mut entries = Vec::with_capacity(messages.len());
        for prepared in &messages {
            if let Place::Here { sidecar, message } = &prepared.place {
                let sidecar = SidecarPart::Packed(sidecar);
                let owners = vec![account.account];
                entries.push(PackEntry { event: self.ids.event(now), owners, sidecar, message });
            }
        }
        if entries.is_empty() {
            return Ok(messages);
        }
        let events: Vec<EventId> = entries.iter().map(|entry| entry.event).collect();
        let blobs = self.put_pack(account.tenant, &entries).await?;
        let mut packed = events.into_iter().zip(blobs);
        let there = |prepared: Prepared| match &prepared.place {
            Place::Packed { .. } => Some(prepared),
            Place::Here { .. } => {
                let (event, blob) = packed.next()?;
                Some(Prepared { place: Place::Packed { account, event, blob }, ..prepared })
            }
        };
        Ok(messages.into_iter().filter_map(there).collect())
    }

    /// Packs the bytes of messages. A large pack is written, durably, and nothing refers to it yet; a small one
    /// waits for its entry where the journal takes it.
    pub(crate) async fn pack(
        &self,
        account: AccountKey,
        messages: &[Incoming],
    ) -> Result<Packed, StoreError> {
        let mut entries = Vec::new();
        for incoming in messages {
            if let Place::Here { sidecar, message } = &incoming.prepared.place {
                let sidecar = SidecarPart::Packed(sidecar);
                let owners = vec![account.account];
                entries.push(PackEntry { event: incoming.event, owners, sidecar, message });
            }
        }
        let (packed, waiting) = match entries.as_slice() {
            [] => (Vec::new(), None),
            entries => self.put_or_keep_pack(account.tenant, entries).await?,
        };
        let mut packed = packed.into_iter();
        let place = |incoming: &Incoming| match incoming.prepared.place {
            Place::Here { .. } => packed.next(),
            Place::Packed { account: owner, event, blob } => {
                (owner == account && event == incoming.event).then_some(blob)
            }
        };
        let blobs: Option<Vec<BlobRef>> = messages.iter().map(place).collect();
        let elsewhere = || StoreError::Damaged("a message was packed for somebody else".to_owned());
        let blobs = blobs.ok_or_else(elsewhere)?;
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
                    size: incoming.prepared.size,
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
