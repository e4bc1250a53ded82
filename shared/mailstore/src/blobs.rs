//! Reading and writing message bytes through packs.

use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;
use pennypost_model::message::{BlobRef, FRAME_LEN, Sidecar};
use pennypost_model::{EventId, TenantId};
use pennypost_ports::{Created, NewObject, PortError};

use crate::compress::{decompress_block, decompress_onto};
use crate::pack::{self, FOOTER_LEN, HEAD_LEN, Head, PackEntry, TocEntry};
use crate::recent::{Memory, Recent};
use crate::{Mailstore, StoreError, names};

/// How much of an entry is read at once: most entries are smaller and come whole.
const PREFIX: u64 = 64 * 1024;
/// Bytes of entries that are read together.
const MAX_SPAN: u64 = 512 * 1024;
/// Bytes between two entries that are read along with them.
const MAX_GAP: u32 = 8 * 1024;
/// How much of a pack's end is read at once: the footer, and most tables of contents with it.
const TAIL: u64 = 8 * 1024;

/// Bytes of messages that are kept when they were read as a whole.
pub(crate) const KEPT_BYTES: usize = 16 << 20;
/// Bytes of one of them, at most.
const KEPT_EACH: u64 = 1 << 20;
/// How many messages are known to have been read once.
const READ_ONCE: usize = 16 * 1024;

/// An entry of a pack.
type Key = (TenantId, EventId, u32);

/// Messages that were read as a whole more than once lately: a member's other programs ask for the same ones, and whoever reads
/// all of a mailbox once pushes nothing out.
pub(crate) struct Kept {
    read: Recent<Key, Arc<Read>>,
    once: Recent<Key, Once>,
}

/// That a message was read once.
#[derive(Clone)]
struct Once;

impl Memory for Once {
    fn memory(&self) -> usize {
        1
    }
}

impl Kept {
    /// For so many bytes.
    pub(crate) fn new(bytes: usize) -> Kept {
        Kept { read: Recent::new(bytes), once: Recent::new(READ_ONCE) }
    }
}

/// What is kept of a message.
pub(crate) struct Read {
    /// The entry, which was read whole, too.
    object: String,
    offset: u64,
    head: Head,
    entry: Bytes,
    whole: Bytes,
}

impl Memory for Arc<Read> {
    fn memory(&self) -> usize {
        160 + self.object.len() + self.entry.len() + self.whole.len()
    }
}

/// An open entry: its head and the bytes read so far.
pub struct Message {
    store: Mailstore,
    object: String,
    offset: u64,
    len: u64,
    head: Head,
    prefix: Bytes,
    /// The whole message, if it was read lately.
    whole: Option<Bytes>,
    /// By what it is kept when it is read as a whole.
    key: Option<Key>,
}

/// A pack that is not written yet.
pub(crate) struct NewPack {
    name: String,
    pieces: Vec<Bytes>,
}

impl NewPack {
    pub(crate) fn len(&self) -> usize {
        self.pieces.iter().map(Bytes::len).sum()
    }

    /// In one piece.
    pub(crate) fn object(self) -> NewObject {
        NewObject { name: self.name, bytes: self.pieces.concat().into() }
    }
}

impl Mailstore {
    /// Writes one pack of these messages, durably: a reference to each, in order. The owners must be complete:
    /// nobody else may ever refer to the entry.
    ///
    /// # Errors
    /// [`StoreError::Port`].
    pub async fn put_pack(
        &self,
        tenant: TenantId,
        entries: &[PackEntry<'_>],
    ) -> Result<Vec<BlobRef>, StoreError> {
        let (pack, refs) = self.new_pack(tenant, entries)?;
        self.put_new(pack).await?;
        Ok(refs)
    }

    /// As [`Mailstore::put_pack`], but a pack of at most `most` bytes that the journal takes with an entry is not written:
    /// the caller puts it with the first entry that refers to it ([`pennypost_ports::Journal::append_with`]).
    ///
    /// # Errors
    /// [`StoreError::Port`].
    pub async fn pack_for_entry(
        &self,
        tenant: TenantId,
        entries: &[PackEntry<'_>],
        most: usize,
    ) -> Result<(Vec<BlobRef>, Option<NewObject>), StoreError> {
        let (pack, refs) = self.new_pack(tenant, entries)?;
        if pack.len() <= self.journal.takes_objects().min(most) {
            return Ok((refs, Some(pack.object())));
        }
        self.put_new(pack).await?;
        Ok((refs, None))
    }

    /// A pack of these messages, to be written, and a reference to each.
    pub(crate) fn new_pack(
        &self,
        tenant: TenantId,
        entries: &[PackEntry<'_>],
    ) -> Result<(NewPack, Vec<BlobRef>), StoreError> {
        let id = self.ids.event(self.clock.now());
        let (pieces, refs) = pack::build(id, entries)?;
        Ok((NewPack { name: names::pack(tenant, id), pieces }, refs))
    }

    pub(crate) async fn put_new(&self, pack: NewPack) -> Result<(), StoreError> {
        match self.objects.put_unique_pieces(&pack.name, pack.pieces).await? {
            Created::Stored => Ok(()),
            Created::Exists => {
                let cause = "a fresh pack id was taken".to_owned();
                Err(PortError::Unavailable { port: "objects", cause }.into())
            }
        }
    }

    /// Opens an entry with one ranged read (and [`Mailstore::toc`] and a second one if the pack was compacted
    /// since).
    ///
    /// # Errors
    /// [`StoreError::Port`] with `NotFound` if the pack is gone, [`StoreError::Damaged`] if the entry is.
    pub async fn open(&self, tenant: TenantId, blob: BlobRef) -> Result<Message, StoreError> {
        let object = names::pack(tenant, blob.pack);
        let (mut offset, mut len) = (u64::from(blob.offset), u64::from(blob.len));
        let mut prefix = self.objects.get_range(&object, offset, len.min(PREFIX)).await?;
        let mut head = Head::read(&prefix).filter(|head| head.entry == blob.entry);
        if head.is_none() {
            let entry = self.toc(tenant, blob.pack).await?.into_iter().find(|e| e.entry == blob.entry);
            let entry = entry.ok_or_else(|| StoreError::Damaged(format!("{object} has lost an entry")))?;
            (offset, len) = (u64::from(entry.offset), u64::from(entry.len));
            prefix = self.objects.get_range(&object, offset, len.min(PREFIX)).await?;
            head = Head::read(&prefix).filter(|head| head.entry == blob.entry);
        }
        let head = head.ok_or_else(|| StoreError::Damaged(format!("{object} at {offset} is no entry")))?;
        Ok(Message { store: self.clone(), object, offset, len, head, prefix, whole: None, key: None })
    }

    /// As [`Mailstore::open`], for somebody to whom it doesn't matter whether the entry still lies where it was: without a
    /// read, if it was read as a whole twice lately.
    ///
    /// # Errors
    /// As [`Mailstore::open`].
    pub async fn open_kept(&self, tenant: TenantId, blob: BlobRef) -> Result<Message, StoreError> {
        if let Some(message) = self.kept(tenant, blob) {
            return Ok(message);
        }
        let message = self.open(tenant, blob).await?;
        Ok(Message { key: Some((tenant, blob.pack, blob.entry)), ..message })
    }

    /// The message, if it was read as a whole twice lately.
    #[must_use]
    pub fn kept(&self, tenant: TenantId, blob: BlobRef) -> Option<Message> {
        let key = (tenant, blob.pack, blob.entry);
        let read = self.kept.lock().read.find(&key)?;
        Some(Message {
            store: self.clone(),
            object: read.object.clone(),
            offset: read.offset,
            len: read.entry.len() as u64,
            head: read.head,
            prefix: read.entry.clone(),
            whole: Some(read.whole.clone()),
            key: Some(key),
        })
    }

    /// Opens entries, each as [`Mailstore::open`] does, in order. Neighbours in one pack are read together.
    pub async fn open_many(&self, tenant: TenantId, blobs: &[BlobRef]) -> Vec<Result<Message, StoreError>> {
        let mut opened = Vec::with_capacity(blobs.len());
        let mut rest = blobs;
        while let Some(first) = rest.first() {
            let (run, behind) = rest.split_at(neighbours(rest));
            rest = behind;
            let start = u64::from(first.offset);
            let end = run.last().map_or(start, |last| u64::from(last.offset) + u64::from(last.len));
            let object = names::pack(tenant, first.pack);
            let span = match run {
                [_] => Bytes::new(),
                // Should that fail, each is read by itself and has its own error.
                _ => self.objects.get_range(&object, start, end - start).await.unwrap_or_default(),
            };
            for blob in run {
                let from = (u64::from(blob.offset) - start) as usize;
                let prefix = span.get(from..from + blob.len as usize).map(|bytes| span.slice_ref(bytes));
                let entry = prefix.and_then(|prefix| Some((Head::read(&prefix)?, prefix)));
                opened.push(match entry.filter(|(head, _)| head.entry == blob.entry) {
                    Some((head, prefix)) => Ok(Message {
                        store: self.clone(),
                        object: object.clone(),
                        offset: u64::from(blob.offset),
                        len: u64::from(blob.len),
                        head,
                        prefix,
                        whole: None,
                        key: None,
                    }),
                    None => self.open(tenant, *blob).await,
                });
            }
        }
        opened
    }

    /// The table of contents of a pack whose size nobody knows: reads the whole pack. With the size at hand,
    /// [`Mailstore::toc_sized`] reads far less.
    ///
    /// # Errors
    /// [`StoreError::Port`] with `NotFound` if the pack is gone, [`StoreError::Damaged`] if it is no pack.
    pub async fn toc(&self, tenant: TenantId, pack: EventId) -> Result<Vec<TocEntry>, StoreError> {
        let (bytes, _) = self.objects.get(&names::pack(tenant, pack)).await?;
        pack::read_toc(&bytes)
    }

    /// The table of contents of a pack of `size` bytes (from a listing), with one ranged read of its end, and a
    /// second one where the table is longer than that. Nothing is said about the entries' bytes.
    ///
    /// # Errors
    /// [`StoreError::Port`] with `NotFound` if the pack is gone; [`StoreError::Damaged`] if it is no pack, or not
    /// of this size (any more: it may have been compacted since the listing).
    pub async fn toc_sized(
        &self,
        tenant: TenantId,
        pack: EventId,
        size: u64,
    ) -> Result<Vec<TocEntry>, StoreError> {
        let object = names::pack(tenant, pack);
        let tail_at = size.saturating_sub(TAIL);
        let tail = self.objects.get_range(&object, tail_at, size - tail_at).await?;
        let other_size = || StoreError::Damaged(format!("{object} is not a pack of {size} bytes"));
        let (_, footer) = tail.split_last_chunk::<FOOTER_LEN>().ok_or_else(other_size)?;
        let (toc_at, toc_len, crc) = pack::read_footer(footer)?;
        let toc_len = u64::from(toc_len);
        let end = toc_at.checked_add(toc_len).and_then(|end| end.checked_add(FOOTER_LEN as u64));
        if end != Some(size) || tail_at + tail.len() as u64 != size {
            return Err(other_size());
        }
        let toc = match toc_at.checked_sub(tail_at) {
            Some(start) => tail.slice(start as usize..tail.len() - FOOTER_LEN),
            None => self.objects.get_range(&object, toc_at, toc_len).await?,
        };
        pack::decode_toc(&toc, crc)
    }
}

impl Message {
    /// Bytes of the message.
    #[must_use]
    pub const fn size(&self) -> u64 {
        self.head.message_size
    }

    /// Bytes of the header block.
    #[must_use]
    pub const fn header_len(&self) -> u64 {
        self.head.message_header_len
    }

    /// CRC-32 of the whole message, for those who read it in ranges.
    #[must_use]
    pub const fn checksum(&self) -> u32 {
        self.head.message_crc
    }

    /// What parsing found, and what was added at receipt.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn sidecar(&self) -> Result<Sidecar, StoreError> {
        let len = u64::from(self.head.sidecar_len);
        pack::read_sidecar(&self.bytes(HEAD_LEN as u64, len).await?)
    }

    /// The header block with the empty line that ends it.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn header(&self) -> Result<Vec<u8>, StoreError> {
        if let Some(header) = self.whole.as_ref().and_then(|whole| whole.get(..self.header_len() as usize)) {
            return Ok(header.to_vec());
        }
        let packed = self.packed_header().await?;
        let limit = usize::try_from(self.head.message_header_len).unwrap_or(usize::MAX);
        decompress_block(&packed, limit)
    }

    /// Bytes of the message as received; the range is cut at the message's end. Only the frames that the range
    /// touches are read.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn range(&self, range: Range<u64>) -> Result<Vec<u8>, StoreError> {
        let mut out = Vec::new();
        self.append_range(range, &mut out).await?;
        Ok(out)
    }

    /// The whole message, checked against its checksum.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn whole(&self) -> Result<Vec<u8>, StoreError> {
        let mut raw = Vec::new();
        self.append_range(0..self.size(), &mut raw).await?;
        if raw.len() as u64 != self.size() || crc32fast::hash(&raw) != self.head.message_crc {
            return Err(StoreError::Damaged(format!("checksum differs in {}", self.object)));
        }
        Ok(raw)
    }

    /// As [`Message::whole`], for others to use, too.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn shared(&self) -> Result<Bytes, StoreError> {
        if let Some(whole) = &self.whole {
            return Ok(whole.clone());
        }
        let whole = Bytes::from(self.whole().await?);
        let is_small = self.prefix.len() as u64 == self.len && self.size() <= KEPT_EACH;
        if let Some(key) = self.key.filter(|_| is_small) {
            self.keep(key, &whole);
        }
        Ok(whole)
    }

    /// Keeps the message if this is not the first time that it is read.
    fn keep(&self, key: Key, whole: &Bytes) {
        let mut kept = self.store.kept.lock();
        if kept.once.find(&key).is_none() {
            return kept.once.keep(key, Once);
        }
        // Of its own, not a part of what else was read with it.
        let entry = Bytes::copy_from_slice(&self.prefix);
        let (object, offset, head) = (self.object.clone(), self.offset, self.head);
        let read = Read { object, offset, head, entry, whole: whole.clone() };
        kept.read.keep(key, Arc::new(read));
    }

    async fn append_range(&self, range: Range<u64>, out: &mut Vec<u8>) -> Result<(), StoreError> {
        let end = range.end.min(self.size());
        let start = range.start.min(end);
        if let Some(part) = self.whole.as_ref().and_then(|whole| whole.get(start as usize..end as usize)) {
            out.extend_from_slice(part);
            return Ok(());
        }
        out.reserve((end - start) as usize);
        let header_len = self.header_len();
        if start < header_len {
            let packed = self.packed_header().await?;
            append_block(&packed, header_len, start..end.min(header_len), out)?;
        }
        if end > header_len {
            let (from, to) = (start.max(header_len) - header_len, end - header_len);
            self.append_body(from, to, out).await?;
        }
        Ok(())
    }

    async fn append_body(&self, from: u64, to: u64, out: &mut Vec<u8>) -> Result<(), StoreError> {
        let frame_len = FRAME_LEN as u64;
        let lengths = self.bytes(self.head.frame_lengths_at(), 4 * u64::from(self.head.frames)).await?;
        let lengths = lengths
            .chunks_exact(4)
            .map(|word| u64::from(word.try_into().map(u32::from_le_bytes).unwrap_or_default()));
        let mut at = self.head.frames_at();
        for (number, len) in (0_u64..).zip(lengths) {
            let first = number * frame_len;
            if first >= to {
                break;
            }
            if first + frame_len > from {
                let packed = self.bytes(at, len).await?;
                append_block(
                    &packed,
                    frame_len,
                    from.saturating_sub(first)..(to - first).min(frame_len),
                    out,
                )?;
            }
            at += len;
        }
        Ok(())
    }

    async fn packed_header(&self) -> Result<Bytes, StoreError> {
        let start = HEAD_LEN as u64 + u64::from(self.head.sidecar_len);
        self.bytes(start, u64::from(self.head.header_len)).await
    }

    /// Bytes of the entry, from what was read already if they are there.
    async fn bytes(&self, start: u64, len: u64) -> Result<Bytes, StoreError> {
        if start + len > self.len {
            return Err(StoreError::Damaged(format!("an entry of {} is cut", self.object)));
        }
        let end = (start + len) as usize;
        if end <= self.prefix.len() {
            return Ok(self.prefix.slice(start as usize..end));
        }
        let bytes = self.store.objects.get_range(&self.object, self.offset + start, len).await?;
        if bytes.len() as u64 != len {
            return Err(StoreError::Damaged(format!("{} is cut", self.object)));
        }
        Ok(bytes)
    }
}

/// How many of these entries, from the first on, are read at once. At least one.
fn neighbours(blobs: &[BlobRef]) -> usize {
    let Some(first) = blobs.first() else { return 0 };
    let mut count = 1;
    for pair in blobs.windows(2) {
        let [before, next] = pair else { break };
        let end = before.offset.saturating_add(before.len);
        let are_small = u64::from(before.len.max(next.len)) <= PREFIX;
        let is_near =
            are_small && next.pack == before.pack && next.offset >= end && next.offset - end <= MAX_GAP;
        let span = u64::from(next.offset) + u64::from(next.len)
            - u64::from(first.offset).min(u64::from(next.offset));
        if !is_near || span > MAX_SPAN {
            break;
        }
        count += 1;
    }
    count
}

/// Appends a part of a block that is no longer than `limit`.
fn append_block(packed: &[u8], limit: u64, part: Range<u64>, out: &mut Vec<u8>) -> Result<(), StoreError> {
    let before = out.len();
    decompress_onto(packed, usize::try_from(limit).unwrap_or(usize::MAX), out)?;
    let (start, end) = (before + part.start as usize, before + part.end as usize);
    if end > out.len() || start > end {
        return Err(StoreError::Damaged("a frame is shorter than it should be".to_owned()));
    }
    out.truncate(end);
    out.drain(before..start);
    Ok(())
}
