//! Signatures: in which blocks of a segment can a text be?
//!
//! Each block's text has a set of trigrams, three bytes each of the folded UTF-8 (so that a Chinese character is
//! one), hashed to as many bits as keep about seven of eight bits clear. The bits are stored by their number, for
//! all blocks together: a row has a bit for each block. A text can only be in blocks whose bits are set in the
//! rows of all its trigrams. Rows lie in groups that are compressed and read by themselves, so that a question
//! costs a few small reads whatever the size of the segment. What is found possible is verified in the text.

use serde::{Deserialize, Serialize};

use super::format::Piece;
use crate::StoreError;

/// Bytes of a group before compression, about.
const GROUP: usize = 4 * 1024;
/// Bits for each trigram of the fullest block.
const BITS_EACH: usize = 8;
/// Bits of a signature.
const BITS: std::ops::RangeInclusive<u32> = 12..=20;
/// Trigrams of a text that are looked up.
const MAX_ASKED: usize = 12;

/// Where the groups of rows are.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct SignatureDirectory {
    /// There are 2 to this rows.
    pub bits: u32,
    /// Blocks in each row.
    pub blocks: u32,
    /// Where the first group begins.
    pub start: u64,
    /// All groups.
    pub groups: Vec<Piece>,
}

/// Collects the trigrams of blocks.
pub(super) struct SignatureBuilder {
    /// A bit for each trigram that the open block has.
    seen: Vec<u64>,
    open: Vec<u32>,
    blocks: Vec<Vec<u32>>,
}

impl SignatureBuilder {
    pub fn new() -> SignatureBuilder {
        SignatureBuilder { seen: vec![0; 1 << 18], open: Vec::new(), blocks: Vec::new() }
    }

    /// Text of the open block.
    pub fn add(&mut self, text: &[u8]) {
        for trigram in trigrams(text) {
            let (word, bit) = ((trigram >> 6) as usize, 1_u64 << (trigram & 63));
            if self.seen[word] & bit == 0 {
                self.seen[word] |= bit;
                self.open.push(trigram);
            }
        }
    }

    pub fn close_block(&mut self) {
        for trigram in &self.open {
            self.seen[(trigram >> 6) as usize] = 0;
        }
        self.blocks.push(std::mem::take(&mut self.open));
    }

    /// Writes the groups onto `data`.
    pub fn finish(self, data: &mut Vec<u8>) -> Result<SignatureDirectory, StoreError> {
        let fullest = self.blocks.iter().map(Vec::len).max().unwrap_or(0);
        let bits = (fullest * BITS_EACH).next_power_of_two().ilog2().clamp(*BITS.start(), *BITS.end());
        let blocks = self.blocks.len();
        let width = blocks.div_ceil(8);
        let mut rows = vec![0_u8; width << bits];
        for (block, trigrams) in self.blocks.iter().enumerate() {
            for trigram in trigrams {
                rows[row_of(*trigram, bits) * width + block / 8] |= 1 << (block % 8);
            }
        }
        let start = data.len() as u64;
        let mut groups = Vec::new();
        if width > 0 {
            for group in rows.chunks(rows_in_group(blocks) * width) {
                groups.push(Piece::write(data, group)?);
            }
        }
        Ok(SignatureDirectory { bits, blocks: blocks as u32, start, groups })
    }
}

/// A row that must be looked at.
pub(super) struct Ask {
    /// In which group.
    pub group: usize,
    /// Its bytes in the group.
    pub bytes: std::ops::Range<usize>,
}

impl SignatureDirectory {
    /// The rows for a text; `None` if it is too short to tell.
    pub fn asks(&self, text: &[u8]) -> Option<Vec<Ask>> {
        let width = (self.blocks as usize).div_ceil(8);
        let all: Vec<u32> = trigrams(text).collect();
        if all.is_empty() || width == 0 || !BITS.contains(&self.bits) {
            return None;
        }
        let per_group = rows_in_group(self.blocks as usize);
        let count = all.len().min(MAX_ASKED);
        let asked = (0..count).map(|index| all[index * all.len() / count]);
        let ask = asked.map(|trigram| {
            let row = row_of(trigram, self.bits);
            let start = row % per_group * width;
            Ask { group: row / per_group, bytes: start..start + width }
        });
        Some(ask.collect())
    }
}

fn rows_in_group(blocks: usize) -> usize {
    (GROUP / blocks.div_ceil(8).max(1)).max(1)
}

fn row_of(trigram: u32, bits: u32) -> usize {
    (trigram.wrapping_mul(0x9e37_79b1) >> (32 - bits)) as usize
}

fn trigrams(text: &[u8]) -> impl Iterator<Item = u32> {
    text.windows(3).map(|bytes| u32::from(bytes[0]) << 16 | u32::from(bytes[1]) << 8 | u32::from(bytes[2]))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// In which blocks a text can be, by the rule of [`SignatureDirectory::asks`].
    fn possible(directory: &SignatureDirectory, data: &[u8], text: &[u8]) -> Option<Vec<bool>> {
        let mut all = vec![true; directory.blocks as usize];
        for ask in directory.asks(text)? {
            let start: u64 = directory.groups[..ask.group].iter().map(|piece| u64::from(piece.len)).sum();
            let piece = directory.groups[ask.group];
            let at = (directory.start + start) as usize;
            let group = piece.read(&data[at..at + piece.len as usize]).expect("a group");
            let row = &group[ask.bytes];
            for (block, possible) in all.iter_mut().enumerate() {
                *possible &= row[block / 8] >> (block % 8) & 1 == 1;
            }
        }
        Some(all)
    }

    proptest! {
        #[test]
        fn no_block_that_has_a_text_is_passed_over(
            blocks in proptest::collection::vec("[a-d邮局会议 ]{0,60}", 1..40),
            from in any::<prop::sample::Index>(),
            ends in any::<(prop::sample::Index, prop::sample::Index)>(),
        ) {
            let mut builder = SignatureBuilder::new();
            for text in &blocks {
                builder.add(text.as_bytes());
                builder.close_block();
            }
            let mut data = b"something in front".to_vec();
            let directory = builder.finish(&mut data).expect("written");
            let source: Vec<char> = blocks[from.index(blocks.len())].chars().collect();
            let (a, b) = (ends.0.index(source.len() + 1), ends.1.index(source.len() + 1));
            let text: String = source[a.min(b)..a.max(b)].iter().collect();
            match possible(&directory, &data, text.as_bytes()) {
                None => prop_assert!(text.len() < 3),
                Some(possible) => {
                    for (block, possible) in blocks.iter().zip(possible) {
                        prop_assert!(possible || !block.contains(&text), "{text} in {block}");
                    }
                }
            }
        }
    }

    #[test]
    fn a_text_that_is_nowhere_is_possible_in_few_blocks() {
        let mut builder = SignatureBuilder::new();
        for block in 0..100 {
            for word in 0..500 {
                builder.add(format!("word {} ", (block * 7919 + word * 104_729) % 100_003).as_bytes());
            }
            builder.close_block();
        }
        let mut data = Vec::new();
        let directory = builder.finish(&mut data).expect("written");
        let found = possible(&directory, &data, b"xylophone").expect("long enough");
        assert!(found.iter().filter(|possible| **possible).count() < 5);
    }
}
