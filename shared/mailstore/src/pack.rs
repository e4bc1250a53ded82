//! The format of pack objects: many messages in one immutable object.
//!
//! ```text
//! pack    "PPPK" version  entry*  toc  footer
//! entry   head (44 bytes)  sidecar  header block  frame lengths (4 bytes each)  frames
//! head    "PE" 0 version  entry number  sidecar length  header block length  frame count
//!         message size (8)  header length (8)  message crc  crc of the head
//! toc     postcard list of [`TocEntry`]
//! footer  toc offset (8)  toc length (4)  toc crc (4)  "PPTC"
//! ```
//! Integers are little-endian, 4 bytes unless said. Sidecar, header block and frames are zstd frames. The
//! table of contents carries the owners of each entry and is complete before anybody refers to the pack.

use std::borrow::Cow;

use bytes::Bytes;
use pennypost_model::codec;
use pennypost_model::message::{BlobRef, FRAME_LEN, Sidecar, StoredMessage};
use pennypost_model::{AccountId, EventId};
use serde::{Deserialize, Serialize};

use crate::StoreError;
use crate::compress::{KEPT_MOST, compress_block, decompress_block, keep_head, keep_onto, kept_len};

const MAGIC: &[u8; 5] = b"PPPK\x01";
const ENTRY_MAGIC: &[u8; 4] = b"PE\x00\x01";
const FOOTER_MAGIC: &[u8; 4] = b"PPTC";
/// Bytes of the footer.
pub const FOOTER_LEN: usize = 20;
/// Bytes of an entry's head.
pub const HEAD_LEN: usize = 44;
/// A sidecar is never larger than this before compression.
const MAX_SIDECAR: usize = 64 << 20;

/// A message to pack.
#[derive(Debug, Clone)]
pub struct PackEntry<'a> {
    /// The event that brought it.
    pub event: EventId,
    /// The accounts that may refer to it.
    pub owners: Vec<AccountId>,
    /// What parsing found.
    pub sidecar: SidecarPart<'a>,
    /// The bytes.
    pub message: MessagePart<'a>,
}

impl PackEntry<'_> {
    /// About the bytes that it takes in a pack, its line of the table of contents included.
    fn room(&self) -> usize {
        const LINE: usize = 64;
        let sidecar = match self.sidecar {
            SidecarPart::Plain(_) => 1024,
            SidecarPart::Packed(packed) => packed.len(),
        };
        let message = match self.message {
            MessagePart::Stored(message) => message.stored_len() + 4 * message.frames.len(),
            // The bytes themselves stay where they are.
            MessagePart::AsItIs { raw, header_len, .. } => {
                let frames = raw.len().div_ceil(FRAME_LEN) + 1;
                header_len + Pieces::LONG + frames * (4 + kept_len(0))
            }
        };
        HEAD_LEN + sidecar + message + LINE
    }
}

/// The bytes of a message to pack.
#[derive(Debug, Clone, Copy)]
pub enum MessagePart<'a> {
    /// As they were compressed at acceptance.
    Stored(&'a StoredMessage),
    /// As they came, to be kept so: in frames of raw blocks.
    AsItIs {
        /// The message.
        raw: &'a Bytes,
        /// Bytes of its header block with the empty line that ends it.
        header_len: usize,
        /// Its CRC-32.
        crc: u32,
    },
}

impl MessagePart<'_> {
    /// The head of its entry, but for the entry's number and the sidecar.
    fn head(&self) -> Result<Head, StoreError> {
        let (header_len, frames, message_size, message_header_len, message_crc) = match *self {
            MessagePart::Stored(message) => {
                let header_len = length(message.header.len())?;
                (header_len, message.frames.len(), message.size, message.header_len, message.crc)
            }
            MessagePart::AsItIs { raw, header_len, crc } => {
                let frames = raw.len().saturating_sub(header_len).div_ceil(FRAME_LEN);
                (length(kept_len(header_len))?, frames, raw.len() as u64, header_len as u64, crc)
            }
        };
        let frames = length(frames)?;
        Ok(Head {
            entry: 0,
            sidecar_len: 0,
            header_len,
            frames,
            message_size,
            message_header_len,
            message_crc,
        })
    }

    /// The header block, the lengths of the frames, and the frames.
    fn write(&self, pieces: &mut Pieces) -> Result<(), StoreError> {
        match *self {
            MessagePart::Stored(message) => {
                let out = &mut pieces.open;
                out.extend_from_slice(&message.header);
                for frame in &message.frames {
                    out.extend_from_slice(&length(frame.len())?.to_le_bytes());
                }
                message.frames.iter().for_each(|frame| out.extend_from_slice(frame));
            }
            MessagePart::AsItIs { raw, header_len, .. } => {
                if header_len > raw.len() {
                    return Err(damaged("a header longer than its message"));
                }
                keep_onto(&raw[..header_len], &mut pieces.open)?;
                let frames = (header_len..raw.len()).step_by(FRAME_LEN);
                let frames = frames.map(|at| at..raw.len().min(at + FRAME_LEN));
                for frame in frames.clone() {
                    pieces.open.extend_from_slice(&length(kept_len(frame.len()))?.to_le_bytes());
                }
                for frame in frames {
                    pieces.keep(raw.slice(frame))?;
                }
            }
        }
        Ok(())
    }
}

/// The bytes of a pack while it is made: what is long and there already is not copied.
#[derive(Default)]
struct Pieces {
    done: Vec<Bytes>,
    done_len: usize,
    open: Vec<u8>,
}

impl Pieces {
    /// Shorter ones are copied.
    const LONG: usize = 1024;

    fn len(&self) -> usize {
        self.done_len + self.open.len()
    }

    /// Appends a block as a frame of raw blocks.
    fn keep(&mut self, block: Bytes) -> Result<(), StoreError> {
        if block.len() < Pieces::LONG || block.len() > KEPT_MOST {
            return keep_onto(&block, &mut self.open);
        }
        keep_head(block.len(), &mut self.open)?;
        let open = Bytes::from(std::mem::take(&mut self.open));
        self.done_len += open.len() + block.len();
        self.done.extend([open, block]);
        Ok(())
    }

    fn finish(mut self) -> Vec<Bytes> {
        self.done.push(self.open.into());
        self.done
    }
}

/// The sidecar of a message to pack.
#[derive(Debug, Clone, Copy)]
pub enum SidecarPart<'a> {
    /// As it is.
    Plain(&'a Sidecar),
    /// As [`pack_sidecar`] has made it.
    Packed(&'a [u8]),
}

/// An entry in the table of contents.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TocEntry {
    /// Its number; stays when the pack is compacted.
    pub entry: u32,
    /// Where it is.
    pub offset: u32,
    /// Its bytes.
    pub len: u32,
    /// The event that brought it.
    pub event: EventId,
    /// The accounts that may refer to it.
    pub owners: Vec<AccountId>,
}

/// The beginning of an entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Head {
    /// The entry's number.
    pub entry: u32,
    /// Bytes of the sidecar.
    pub sidecar_len: u32,
    /// Bytes of the compressed header block.
    pub header_len: u32,
    /// Body frames.
    pub frames: u32,
    /// Bytes of the whole message, uncompressed.
    pub message_size: u64,
    /// Bytes of the header block, uncompressed.
    pub message_header_len: u64,
    /// CRC-32 of the whole message.
    pub message_crc: u32,
}

impl Head {
    /// Reads a head; `None` if these bytes are not one.
    #[must_use]
    pub fn read(bytes: &[u8]) -> Option<Head> {
        let bytes = bytes.get(..HEAD_LEN)?;
        let word = |at: usize| bytes[at..at + 4].try_into().map(u32::from_le_bytes).unwrap_or_default();
        let long = |at: usize| bytes[at..at + 8].try_into().map(u64::from_le_bytes).unwrap_or_default();
        let intact = &bytes[..4] == ENTRY_MAGIC && word(40) == crc32fast::hash(&bytes[..40]);
        intact.then(|| Head {
            entry: word(4),
            sidecar_len: word(8),
            header_len: word(12),
            frames: word(16),
            message_size: long(20),
            message_header_len: long(28),
            message_crc: word(36),
        })
    }

    fn write(&self, out: &mut Vec<u8>) {
        let start = out.len();
        out.extend_from_slice(ENTRY_MAGIC);
        for word in [self.entry, self.sidecar_len, self.header_len, self.frames] {
            out.extend_from_slice(&word.to_le_bytes());
        }
        out.extend_from_slice(&self.message_size.to_le_bytes());
        out.extend_from_slice(&self.message_header_len.to_le_bytes());
        out.extend_from_slice(&self.message_crc.to_le_bytes());
        let crc = crc32fast::hash(&out[start..]);
        out.extend_from_slice(&crc.to_le_bytes());
    }

    /// Where the frame lengths begin, counted from the entry's beginning.
    #[must_use]
    pub const fn frame_lengths_at(&self) -> u64 {
        HEAD_LEN as u64 + self.sidecar_len as u64 + self.header_len as u64
    }

    /// Where the first frame begins.
    #[must_use]
    pub const fn frames_at(&self) -> u64 {
        self.frame_lengths_at() + 4 * self.frames as u64
    }
}

/// Builds a pack of these messages under the id `pack`: its bytes in pieces, and a reference to each entry.
///
/// # Errors
/// [`StoreError::Damaged`] if the pack would be larger than 4 GB or the compressor fails.
pub fn build(pack: EventId, entries: &[PackEntry<'_>]) -> Result<(Vec<Bytes>, Vec<BlobRef>), StoreError> {
    let room: usize = entries.iter().map(PackEntry::room).sum();
    let mut pieces =
        Pieces { open: Vec::with_capacity(room + MAGIC.len() + FOOTER_LEN), ..Pieces::default() };
    pieces.open.extend_from_slice(MAGIC);
    let mut toc = Vec::with_capacity(entries.len());
    for (number, entry) in (0..).zip(entries) {
        let start = pieces.len();
        let sidecar = match entry.sidecar {
            SidecarPart::Plain(sidecar) => Cow::Owned(pack_sidecar(sidecar)?),
            SidecarPart::Packed(packed) => Cow::Borrowed(packed),
        };
        let head = Head { entry: number, sidecar_len: length(sidecar.len())?, ..entry.message.head()? };
        head.write(&mut pieces.open);
        pieces.open.extend_from_slice(&sidecar);
        entry.message.write(&mut pieces)?;
        toc.push(TocEntry {
            entry: number,
            offset: length(start)?,
            len: length(pieces.len() - start)?,
            event: entry.event,
            owners: entry.owners.clone(),
        });
    }
    let refs = toc.iter().map(|t| BlobRef { pack, entry: t.entry, offset: t.offset, len: t.len }).collect();
    let before = pieces.done_len as u64;
    finish(before, &mut pieces.open, &toc)?;
    Ok((pieces.finish(), refs))
}

/// A pack without some of its entries, the others under their numbers.
///
/// # Errors
/// [`StoreError::Damaged`] if the bytes are not a pack.
pub fn without(pack: &[u8], dead: impl Fn(&TocEntry) -> bool) -> Result<Vec<u8>, StoreError> {
    let mut bytes = MAGIC.to_vec();
    let mut kept = Vec::new();
    for entry in read_toc(pack)? {
        if dead(&entry) {
            continue;
        }
        let (from, to) = (entry.offset as usize, entry.offset as usize + entry.len as usize);
        let offset = length(bytes.len())?;
        bytes.extend_from_slice(pack.get(from..to).ok_or_else(|| damaged("an entry lies outside"))?);
        kept.push(TocEntry { offset, ..entry });
    }
    finish(0, &mut bytes, &kept)?;
    Ok(bytes)
}

/// Appends table and footer to the last bytes of a pack, behind so many before them.
fn finish(before: u64, bytes: &mut Vec<u8>, toc: &[TocEntry]) -> Result<(), StoreError> {
    let toc_at = before + bytes.len() as u64;
    let toc = postcard::to_stdvec(toc).map_err(|error| StoreError::Damaged(error.to_string()))?;
    bytes.extend_from_slice(&toc);
    bytes.extend_from_slice(&toc_at.to_le_bytes());
    bytes.extend_from_slice(&length(toc.len())?.to_le_bytes());
    bytes.extend_from_slice(&crc32fast::hash(&toc).to_le_bytes());
    bytes.extend_from_slice(FOOTER_MAGIC);
    Ok(())
}

/// Where the table of contents lies, from the last [`FOOTER_LEN`] bytes of a pack: offset, length, checksum.
///
/// # Errors
/// [`StoreError::Damaged`] if the bytes are not a footer.
pub fn read_footer(footer: &[u8]) -> Result<(u64, u32, u32), StoreError> {
    let footer: &[u8; FOOTER_LEN] = footer.try_into().map_err(|_| damaged("the footer is cut"))?;
    if &footer[16..] != FOOTER_MAGIC {
        return Err(damaged("no footer"));
    }
    let word = |at: usize| footer[at..at + 4].try_into().map(u32::from_le_bytes).unwrap_or_default();
    let offset = u64::from(word(0)) | u64::from(word(4)) << 32;
    Ok((offset, word(8), word(12)))
}

/// The table of contents of a whole pack.
///
/// # Errors
/// [`StoreError::Damaged`] if the bytes are not a pack.
pub fn read_toc(pack: &[u8]) -> Result<Vec<TocEntry>, StoreError> {
    if !pack.starts_with(MAGIC) {
        return Err(damaged("no magic"));
    }
    let footer = pack.len().checked_sub(FOOTER_LEN).and_then(|at| pack.get(at..));
    let (offset, len, crc) = read_footer(footer.unwrap_or_default())?;
    let start = usize::try_from(offset).map_err(|_| damaged("the toc lies outside"))?;
    let toc = start.checked_add(len as usize).and_then(|end| pack.get(start..end));
    let toc = toc.ok_or_else(|| damaged("the toc lies outside"))?;
    decode_toc(toc, crc)
}

/// The table of contents from its own bytes and the checksum in the footer.
///
/// # Errors
/// [`StoreError::Damaged`] if they are not one.
pub fn decode_toc(toc: &[u8], crc: u32) -> Result<Vec<TocEntry>, StoreError> {
    if crc32fast::hash(toc) != crc {
        return Err(damaged("checksum of the toc differs"));
    }
    postcard::from_bytes(toc).map_err(|error| StoreError::Damaged(error.to_string()))
}

/// The compressed bytes of a sidecar.
///
/// # Errors
/// [`StoreError::Damaged`] if the compressor fails, which happens only without memory.
pub fn pack_sidecar(sidecar: &Sidecar) -> Result<Vec<u8>, StoreError> {
    compress_block(&codec::encode(sidecar))
}

/// The bytes of a sidecar as they are, in the same form.
///
/// # Errors
/// [`StoreError::Damaged`] as [`pack_sidecar`].
pub fn keep_sidecar(sidecar: &Sidecar) -> Result<Vec<u8>, StoreError> {
    let plain = codec::encode(sidecar);
    let mut packed = Vec::with_capacity(kept_len(plain.len()));
    keep_onto(&plain, &mut packed)?;
    Ok(packed)
}

/// The sidecar from its compressed bytes.
///
/// # Errors
/// [`StoreError`] if they are damaged.
pub fn read_sidecar(packed: &[u8]) -> Result<Sidecar, StoreError> {
    Ok(codec::decode(&decompress_block(packed, MAX_SIDECAR)?)?)
}

fn length(len: usize) -> Result<u32, StoreError> {
    u32::try_from(len).map_err(|_| damaged("larger than 4 GB"))
}

fn damaged(what: &str) -> StoreError {
    StoreError::Damaged(what.to_owned())
}
