//! The format of a segment.
//!
//! ```text
//! segment    "PPSG" version  directory length (4)  directory crc (4)  directory  columns  signatures
//! directory  zstd of a postcard [`Directory`]
//! column     blocks, each a zstd frame of: ends of the messages' bytes (4 each), the bytes
//! signature  groups of rows, each a zstd frame (see [`super::signature`])
//! ```
//! Integers are little-endian. Offsets count from behind the directory.

use pennypost_model::codec::{self, Versioned};
use pennypost_model::{Rid, Seq};
use serde::{Deserialize, Serialize};

use super::derive::Derived;
use super::signature::{SignatureBuilder, SignatureDirectory};
use super::{BLOCK, Column, Signed};
use crate::StoreError;
use crate::compress::{compress_block, decompress_block};

const MAGIC: &[u8; 5] = b"PPSG\x02";
/// Bytes in front of the directory.
pub(super) const PREAMBLE: usize = 13;
/// A directory is never larger than this before compression: rids of 65,536 messages and more.
const MAX_DIRECTORY: usize = 16 << 20;
/// A block is never larger than this before compression.
const MAX_BLOCK: usize = 64 << 20;

/// Bytes of texts in a block: what a search holds of it at once. The message with which they would be more has
/// none there, and is read itself.
const MAX_TEXTS: usize = 2 << 20;

/// What is where in a segment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Directory {
    /// It covers the entries after this one.
    pub low: Seq,
    /// Up to this one.
    pub high: Seq,
    /// Origins of the messages, ascending, each as the distance from the one before.
    pub rids: Vec<u64>,
    /// Numbers of messages whose text is not there.
    pub without_text: Vec<u32>,
    /// By the number of the column: where it begins, and length and checksum of each block.
    pub columns: Vec<(u64, Vec<Piece>)>,
    /// By the number of [`Signed`].
    pub signatures: Vec<SignatureDirectory>,
}

impl Versioned for Directory {
    const KIND: &'static str = "segment directory";
}

/// A piece of the segment that is read by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Piece {
    pub len: u32,
    pub crc: u32,
}

impl Piece {
    /// Compresses `plain` onto `out`.
    pub fn write(out: &mut Vec<u8>, plain: &[u8]) -> Result<Piece, StoreError> {
        let packed = compress_block(plain)?;
        out.extend_from_slice(&packed);
        Ok(Piece { len: packed.len() as u32, crc: crc32fast::hash(&packed) })
    }

    /// The bytes again.
    pub fn read(self, packed: &[u8]) -> Result<Vec<u8>, StoreError> {
        if packed.len() != self.len as usize || crc32fast::hash(packed) != self.crc {
            return Err(damaged("a block's checksum differs"));
        }
        decompress_block(packed, MAX_BLOCK)
    }
}

/// One column of up to [`BLOCK`] messages.
#[derive(Debug)]
pub struct Block {
    bytes: Vec<u8>,
    messages: usize,
}

impl Block {
    pub(super) fn new(bytes: Vec<u8>, messages: usize) -> Result<Block, StoreError> {
        if bytes.len() < messages * 4 {
            return Err(damaged("a block is cut"));
        }
        Ok(Block { bytes, messages })
    }

    /// What it holds of the message in that slot; empty if there is none.
    #[must_use]
    pub fn message(&self, slot: usize) -> &[u8] {
        let end = |slot: usize| -> Option<usize> {
            let word = self.bytes.get(slot * 4..slot * 4 + 4)?;
            Some(word.try_into().map(u32::from_le_bytes).ok()? as usize)
        };
        if slot >= self.messages {
            return &[];
        }
        let start = if slot == 0 { Some(0) } else { end(slot - 1) };
        let body = self.bytes.get(self.messages * 4..).unwrap_or_default();
        start.zip(end(slot)).and_then(|(start, end)| body.get(start..end)).unwrap_or_default()
    }

    pub(super) fn memory(&self) -> usize {
        self.bytes.capacity() + size_of::<Block>()
    }
}

/// Makes a segment, message by message.
pub(super) struct Builder {
    directory: Directory,
    last: u64,
    /// The block that is being filled, by column.
    open: Vec<Vec<Vec<u8>>>,
    columns: Vec<Vec<u8>>,
    signatures: [SignatureBuilder; 2],
}

impl Builder {
    pub fn new(low: Seq, high: Seq) -> Builder {
        let columns = Column::ALL.len();
        let directory = Directory {
            low,
            high,
            rids: Vec::new(),
            without_text: Vec::new(),
            columns: vec![(0, Vec::new()); columns],
            signatures: Vec::new(),
        };
        let (open, made) = (vec![Vec::new(); columns], vec![Vec::new(); columns]);
        let signatures = [SignatureBuilder::new(), SignatureBuilder::new()];
        Builder { directory, last: 0, open, columns: made, signatures }
    }

    /// Messages so far.
    pub fn len(&self) -> usize {
        self.directory.rids.len()
    }

    /// Bytes so far, compressed.
    pub fn bytes(&self) -> usize {
        self.columns.iter().map(Vec::len).sum()
    }

    /// Adds a message; its origin is above those before.
    pub fn push(&mut self, origin: Rid, mut derived: Derived) -> Result<(), StoreError> {
        let text = &mut derived.columns[Column::Text as usize];
        let texts: usize = self.open[Column::Text as usize].iter().map(Vec::len).sum();
        if texts + text.len() > MAX_TEXTS {
            text.clear();
            derived.lacks_text = true;
        }
        if derived.lacks_text {
            self.directory.without_text.push(self.directory.rids.len() as u32);
        }
        self.directory.rids.push(origin.0 - self.last);
        self.last = origin.0;
        for (open, bytes) in self.open.iter_mut().zip(derived.columns) {
            open.push(bytes);
        }
        if self.directory.rids.len().is_multiple_of(BLOCK) {
            self.close_block()?;
        }
        Ok(())
    }

    fn close_block(&mut self) -> Result<(), StoreError> {
        for column in [Column::MainFields, Column::OtherFields] {
            self.open[column as usize]
                .iter()
                .for_each(|text| self.signatures[Signed::Header as usize].add(text));
        }
        self.open[Column::Text as usize]
            .iter()
            .for_each(|text| self.signatures[Signed::Text as usize].add(text));
        self.signatures.iter_mut().for_each(SignatureBuilder::close_block);
        let mut plain = Vec::new();
        for (index, open) in self.open.iter_mut().enumerate() {
            plain.clear();
            let mut end = 0_u32;
            for bytes in open.iter() {
                end += bytes.len() as u32;
                plain.extend_from_slice(&end.to_le_bytes());
            }
            open.iter().for_each(|bytes| plain.extend_from_slice(bytes));
            open.clear();
            let piece = Piece::write(&mut self.columns[index], &plain)?;
            self.directory.columns[index].1.push(piece);
        }
        Ok(())
    }

    /// The object's bytes.
    pub fn finish(mut self) -> Result<Vec<u8>, StoreError> {
        if !self.open[0].is_empty() {
            self.close_block()?;
        }
        let mut data = Vec::with_capacity(self.bytes() * 9 / 8);
        for ((start, _), column) in self.directory.columns.iter_mut().zip(&self.columns) {
            *start = data.len() as u64;
            data.extend_from_slice(column);
        }
        self.columns.clear();
        for signature in self.signatures {
            let written = signature.finish(&mut data)?;
            self.directory.signatures.push(written);
        }
        let directory = compress_block(&codec::encode(&self.directory))?;
        let mut bytes = MAGIC.to_vec();
        bytes.reserve_exact(PREAMBLE + directory.len() + data.len());
        bytes.extend_from_slice(&(directory.len() as u32).to_le_bytes());
        bytes.extend_from_slice(&crc32fast::hash(&directory).to_le_bytes());
        bytes.extend_from_slice(&directory);
        bytes.extend_from_slice(&data);
        Ok(bytes)
    }
}

/// Length and checksum of the directory.
pub(super) fn read_preamble(bytes: &[u8]) -> Result<Piece, StoreError> {
    let preamble = bytes.get(..PREAMBLE).filter(|bytes| bytes.starts_with(MAGIC));
    let preamble = preamble.ok_or_else(|| damaged("no segment"))?;
    let word = |at: usize| preamble[at..at + 4].try_into().map(u32::from_le_bytes).unwrap_or_default();
    Ok(Piece { len: word(5), crc: word(9) })
}

/// The directory from its own bytes.
pub(super) fn read_directory(piece: Piece, packed: &[u8]) -> Result<Directory, StoreError> {
    if packed.len() != piece.len as usize || crc32fast::hash(packed) != piece.crc {
        return Err(damaged("the directory's checksum differs"));
    }
    let directory: Directory = codec::decode(&decompress_block(packed, MAX_DIRECTORY)?)?;
    let blocks = directory.rids.len().div_ceil(BLOCK);
    let is_whole = directory.columns.len() >= Column::ALL.len()
        && directory.columns.iter().all(|(_, pieces)| pieces.len() == blocks)
        && directory.signatures.len() >= 2;
    if is_whole { Ok(directory) } else { Err(damaged("the directory does not fit together")) }
}

pub(super) fn damaged(what: &str) -> StoreError {
    StoreError::Damaged(format!("segment: {what}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Messages by rid, each with its columns.
    type Texts = Vec<(u64, Vec<Vec<u8>>)>;

    /// Everything in a segment, as a reader finds it.
    fn read(bytes: &[u8]) -> Result<Texts, StoreError> {
        let piece = read_preamble(bytes)?;
        let end = PREAMBLE + piece.len as usize;
        let directory = read_directory(piece, bytes.get(PREAMBLE..end).ok_or_else(|| damaged("cut"))?)?;
        let mut rid = 0_u64;
        let mut all = Vec::new();
        for (index, distance) in directory.rids.iter().enumerate() {
            rid = rid.checked_add(*distance).ok_or_else(|| damaged("rids"))?;
            let mut columns = Vec::new();
            for (start, pieces) in &directory.columns {
                let before: usize = pieces[..index / BLOCK].iter().map(|piece| piece.len as usize).sum();
                let (at, piece) = (end + *start as usize + before, pieces[index / BLOCK]);
                let packed = bytes.get(at..at + piece.len as usize).ok_or_else(|| damaged("cut"))?;
                let messages = directory.rids.len().saturating_sub(index / BLOCK * BLOCK).min(BLOCK);
                let block = Block::new(piece.read(packed)?, messages)?;
                columns.push(block.message(index % BLOCK).to_vec());
            }
            all.push((rid, columns));
        }
        Ok(all)
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_and_damage_is_noticed(
            texts in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..40), 0..200),
            at in any::<prop::sample::Index>(),
            bit in 0_u32..8,
        ) {
            let mut builder = Builder::new(Seq(3), Seq(900));
            let mut expected = Vec::new();
            for (rid, text) in (1_u64..).map(|number| number * 65_537).zip(&texts) {
                let columns = std::array::from_fn(|column| [text.as_slice(), &[column as u8]].concat());
                let columns: [Vec<u8>; 7] = columns;
                expected.push((rid, columns.to_vec()));
                builder.push(Rid(rid), Derived { columns, lacks_text: false }).expect("pushed");
            }
            let mut bytes = builder.finish().expect("finished");
            prop_assert_eq!(read(&bytes).expect("read"), expected.clone());
            let place = at.index(bytes.len());
            bytes[place] ^= 1_u8 << bit;
            // What was hit may be a signature, which nobody reads here.
            if let Ok(found) = read(&bytes) {
                prop_assert_eq!(found, expected);
            }
        }
    }
}
