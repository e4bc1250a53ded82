//! Storing messages that do not come through the pipeline: APPEND and import.

use bytes::Bytes;
use futures::future::BoxFuture;
use pennypost_fold::{Draft, DraftError, NewMessage, State};
use pennypost_model::journal::Actor;
use pennypost_model::message::{BlobRef, Card, Facts, Sidecar, StoredMessage};
use pennypost_model::{AccountKey, EventId, FlagSet, MailboxId, Rid, Timestamp, Uid};
use pennypost_ports::NewObject;

use crate::blobs::NewPack;
use crate::compress::compress;
use crate::pack::{MessagePart, PackEntry, SidecarPart, keep_sidecar, pack_sidecar};
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
    /// Here as it came, to be packed so.
    AsItIs { sidecar: Vec<u8>, raw: Bytes, header_len: usize, crc: u32 },
    /// In a pack of this account ([`Mailstore::put_ahead`]).
    Packed { account: AccountKey, event: EventId, blob: BlobRef },
    /// In a pack that names this account among its owners.
    There { account: AccountKey, blob: BlobRef },
}

/// How much time is taken for a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Effort {
    /// It is compressed.
    Compressed,
    /// It is stored as it is: parsing and copying are all the work.
    AsItIs,
}

impl Place {
    /// What is to be packed, if it is here.
    fn here(&self) -> Option<(SidecarPart<'_>, MessagePart<'_>)> {
        match self {
            Place::Here { sidecar, message } => {
                Some((SidecarPart::Packed(sidecar), MessagePart::Stored(message)))
            }
            Place::AsItIs { sidecar, raw, header_len, crc } => {
                let message = MessagePart::AsItIs { raw, header_len: *header_len, crc: *crc };
                Some((SidecarPart::Packed(sidecar), message))
            }
            Place::Packed { .. } | Place::There { .. } => None,
        }
    }
}

impl Prepared {
    /// Parses and compresses a message. CPU work: some 50 µs for 10 KB.
    ///
    /// # Errors
    /// [`StoreError::Damaged`] if the compressor fails, which happens only without memory.
    pub fn new(raw: &[u8]) -> Result<Prepared, StoreError> {
        Prepared::received(raw, String::new())
    }

    /// As [`Prepared::new`], with the header fields that were made at its receipt.
    ///
    /// # Errors
    /// As there.
    pub fn received(raw: &[u8], receipt: String) -> Result<Prepared, StoreError> {
        let sidecar = Sidecar { receipt, ..parsed(raw) };
        let place = Place::Here { sidecar: pack_sidecar(&sidecar)?, message: compress(raw)? };
        Ok(Prepared { facts: sidecar.facts, size: raw.len() as u64, place })
    }

    /// As [`Prepared::new`], with as much effort as is said.
    ///
    /// # Errors
    /// As there.
    pub fn with(raw: Bytes, effort: Effort) -> Result<Prepared, StoreError> {
        if effort == Effort::Compressed {
            return Prepared::new(&raw);
        }
        let sidecar = parsed(&raw);
        let (size, packed) = (raw.len() as u64, keep_sidecar(&sidecar)?);
        let (header_len, crc) = (pennypost_mime::header_end(&raw), crc32fast::hash(&raw));
        let place = Place::AsItIs { sidecar: packed, raw, header_len, crc };
        Ok(Prepared { facts: sidecar.facts, size, place })
    }

    /// A message of a pack that names `account` among its owners, because it refers to it already: nothing is stored anew.
    #[must_use]
    pub fn there(account: AccountKey, blob: BlobRef, facts: Facts, size: u64) -> Prepared {
        Prepared { facts, size, place: Place::There { account, blob } }
    }

    /// The event under which it was packed, if it was.
    #[must_use]
    pub const fn event(&self) -> Option<EventId> {
        match self.place {
            Place::Here { .. } | Place::AsItIs { .. } | Place::There { .. } => None,
            Place::Packed { event, .. } => Some(event),
        }
    }

    /// Can it be stored in this account? One that was packed belongs to the account whose pack it is.
    #[must_use]
    pub fn is_for(&self, account: AccountKey) -> bool {
        match self.place {
            Place::Here { .. } | Place::AsItIs { .. } => true,
            Place::Packed { account: owner, .. } | Place::There { account: owner, .. } => owner == account,
        }
    }
}

fn parsed(raw: &[u8]) -> Sidecar {
    let (structure, facts) = pennypost_mime::parse(raw);
    Sidecar { structure, facts, receipt: String::new() }
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

    fn put_into(&self, draft: &mut Draft, mailbox: MailboxId, blob: BlobRef) -> Result<Placed, DraftError> {
        let facts = &self.prepared.facts;
        let (uid, rid) = draft.add(NewMessage {
            mailbox,
            flags: self.flags.clone(),
            internal_date: self.internal_date,
            sent: facts.sent,
            size: self.prepared.size,
            thread: facts.thread,
            message_id_hash: facts.message_id_hash,
            event: self.event,
            blob,
            card: Card::of(facts),
            receipt: String::new(),
        })?;
        Ok(Placed { uid, rid })
    }
}

/// Messages in a pack.
pub(crate) struct Packed {
    /// A reference to each, in order.
    blobs: Vec<BlobRef>,
    /// The pack, if it goes with the entry.
    with_entry: Option<NewObject>,
    /// The pack, if it must be written before the entry.
    before_entry: Option<NewPack>,
    /// Packs of [`Mailstore::put_ahead`] that hold the others.
    pub(crate) written: Option<Writing>,
}

/// A pack that is on its way to the disk ([`Mailstore::put_ahead`]).
pub type Writing = BoxFuture<'static, Result<(), StoreError>>;

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
        let packed = self.pack(account, messages)?;
        self.place(account, state, actor, mailbox, messages, packed, allow).await
    }

    /// Packs messages whose entry comes later: for those of a command that is still coming. The pack is durable when
    /// what is given with them has ended well, and no entry may refer to it before. If none ever does, housekeeping
    /// removes it.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn put_ahead(
        &self,
        account: AccountKey,
        messages: Vec<Prepared>,
    ) -> Result<(Vec<Prepared>, Option<Writing>), StoreError> {
        let now = self.clock.now();
        let here = messages.iter().filter_map(|prepared| prepared.place.here());
        let entries: Vec<PackEntry<'_>> = here
            .map(|(sidecar, message)| {
                let owners = vec![account.account];
                PackEntry { event: self.ids.event(now), owners, sidecar, message }
            })
            .collect();
        if entries.is_empty() {
            return Ok((messages, None));
        }
        let events: Vec<EventId> = entries.iter().map(|entry| entry.event).collect();
        let (pack, blobs) = self.new_pack(account.tenant, &entries)?;
        let mut packed = events.into_iter().zip(blobs);
        let there = |prepared: Prepared| match &prepared.place {
            Place::Packed { .. } | Place::There { .. } => Some(prepared),
            Place::Here { .. } | Place::AsItIs { .. } => {
                let (event, blob) = packed.next()?;
                Some(Prepared { place: Place::Packed { account, event, blob }, ..prepared })
            }
        };
        let store = self.clone();
        let writing: Writing = Box::pin(async move { store.put_new(pack).await });
        Ok((messages.into_iter().filter_map(there).collect(), Some(writing)))
    }

    /// Packs the bytes of messages; nothing is written yet. A small pack goes with its entry where the journal takes it.
    pub(crate) fn pack(&self, account: AccountKey, messages: &[Incoming]) -> Result<Packed, StoreError> {
        let mut entries = Vec::new();
        for incoming in messages {
            if let Some((sidecar, message)) = incoming.prepared.place.here() {
                let owners = vec![account.account];
                entries.push(PackEntry { event: incoming.event, owners, sidecar, message });
            }
        }
        let (mut with_entry, mut before_entry, mut packed) = (None, None, Vec::new());
        if !entries.is_empty() {
            let (pack, blobs) = self.new_pack(account.tenant, &entries)?;
            packed = blobs;
            if pack.len() <= self.journal.takes_objects() {
                with_entry = Some(pack.object());
            } else {
                before_entry = Some(pack);
            }
        }
        let mut packed = packed.into_iter();
        let place = |incoming: &Incoming| match incoming.prepared.place {
            Place::Here { .. } | Place::AsItIs { .. } => packed.next(),
            Place::Packed { account: owner, event, blob } => {
                (owner == account && event == incoming.event).then_some(blob)
            }
            Place::There { account: owner, blob } => (owner == account).then_some(blob),
        };
        let blobs: Option<Vec<BlobRef>> = messages.iter().map(place).collect();
        let elsewhere = || StoreError::Damaged("a message was packed for somebody else".to_owned());
        let blobs = blobs.ok_or_else(elsewhere)?;
        Ok(Packed { blobs, with_entry, before_entry, written: None })
    }

    /// Stores messages, each in the mailbox that `place` names for it, or not at all where that names none: one pack, one
    /// entry. `place` is asked on the state that the entry will follow, and may change more with it.
    ///
    /// # Errors
    /// What `place` returned, [`DraftError`], or [`StoreError`].
    pub async fn store_each(
        &self,
        account: AccountKey,
        state: State,
        actor: &Actor,
        messages: &[Incoming],
        mut place: impl FnMut(&mut Draft) -> Result<Vec<Option<MailboxId>>, DraftError>,
    ) -> Result<Committed<Vec<Placed>>, ChangeError> {
        let Packed { blobs, with_entry, before_entry, .. } = self.pack(account, messages)?;
        let before = async {
            match before_entry {
                Some(pack) => self.put_new(pack).await,
                None => Ok(()),
            }
        };
        let decide = |draft: &mut Draft| {
            let homes = place(draft)?;
            let stored = messages.iter().zip(&blobs).zip(homes);
            let stored = stored.filter_map(|((incoming, blob), home)| Some((incoming, *blob, home?)));
            stored.map(|(incoming, blob, home)| incoming.put_into(draft, home, blob)).collect()
        };
        let committing = self.commit_with(account, state, actor, with_entry, before, decide, |_, _| {});
        let committed: Committed<Vec<Placed>> = committing.await?;
        self.note_stored(account, committed.value.len());
        Ok(committed)
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
        let Packed { blobs, with_entry, before_entry, written } = packed;
        let pack = async {
            match before_entry {
                Some(pack) => self.put_new(pack).await,
                None => Ok(()),
            }
        };
        let written = async {
            match written {
                Some(written) => written.await,
                None => Ok(()),
            }
        };
        let before = async { futures::try_join!(pack, written).map(drop) };
        let decide = |draft: &mut Draft| {
            allow(draft.state())?;
            draft.state().mailbox(mailbox).ok_or(DraftError::NoMailbox)?;
            let placed =
                messages.iter().zip(&blobs).map(|(incoming, blob)| incoming.put_into(draft, mailbox, *blob));
            placed.collect()
        };
        let committing = self.commit_with(account, state, actor, with_entry, before, decide, |_, _| {});
        let committed = committing.await?;
        self.note_stored(account, messages.len());
        Ok(committed)
    }
}
