//! Making and undoing the form in which a message is stored. It is made once, at acceptance.

use std::cell::RefCell;
use std::io::Cursor;

use pennypost_model::message::{FRAME_LEN, StoredMessage};

use crate::StoreError;

/// zstd level: 1 takes a quarter less time than 3 (25 µs for 9 KB of mail) and 3 % more room (0.47 of what came); below it,
/// room is lost quickly.
const LEVEL: i32 = 1;

thread_local! {
    static COMPRESSOR: RefCell<Option<zstd::bulk::Compressor<'static>>> = const { RefCell::new(None) };
    static DECOMPRESSOR: RefCell<Option<zstd::bulk::Decompressor<'static>>> = const { RefCell::new(None) };
}

/// Compresses a message: its header block, then its body in frames.
///
/// # Errors
/// [`StoreError::Damaged`] if the compressor fails, which happens only without memory.
pub fn compress(raw: &[u8]) -> Result<StoredMessage, StoreError> {
    let header_len = pennypost_mime::header_end(raw);
    let (header, body) = raw.split_at(header_len);
    Ok(StoredMessage {
        size: raw.len() as u64,
        header_len: header_len as u64,
        crc: crc32fast::hash(raw),
        header: compress_block(header)?,
        frames: body.chunks(FRAME_LEN).map(compress_block).collect::<Result<_, _>>()?,
    })
}

/// The message as received.
///
/// # Errors
/// [`StoreError::Damaged`] if it is not the message that was compressed.
pub fn decompress(stored: &StoredMessage) -> Result<Vec<u8>, StoreError> {
    let limit = stored.size.min(2 << 30) as usize;
    let mut raw = decompress_block(&stored.header, limit)?;
    for frame in &stored.frames {
        decompress_onto(frame, FRAME_LEN, &mut raw)?;
        if raw.len() > limit {
            return Err(StoreError::Damaged("longer than it says".to_owned()));
        }
    }
    if raw.len() as u64 != stored.size || crc32fast::hash(&raw) != stored.crc {
        return Err(StoreError::Damaged("checksum differs".to_owned()));
    }
    Ok(raw)
}

/// The header block of a message, with the empty line that ends it.
///
/// # Errors
/// [`StoreError::Damaged`] if it is not what was compressed.
pub fn decompress_header(stored: &StoredMessage) -> Result<Vec<u8>, StoreError> {
    decompress_block(&stored.header, stored.header_len.min(2 << 30) as usize)
}

/// The beginning of a message: its header, and of what follows at least `wanted` bytes, if it has so many. Whether it is whole is
/// not looked at.
///
/// # Errors
/// [`StoreError::Damaged`] if that is not what was compressed.
pub fn decompress_begin(stored: &StoredMessage, wanted: usize) -> Result<Vec<u8>, StoreError> {
    let mut begin = decompress_header(stored)?;
    let enough = begin.len().saturating_add(wanted);
    for frame in &stored.frames {
        if begin.len() >= enough {
            break;
        }
        decompress_onto(frame, FRAME_LEN, &mut begin)?;
    }
    Ok(begin)
}

/// What [`keep_onto`] puts before the bytes of a frame, and before each of its blocks.
const KEPT_HEAD: usize = 9;
const KEPT_BLOCK: usize = 3;
/// Bytes of a raw block at most.
pub(crate) const KEPT_MOST: usize = 128 * 1024;

/// The length of what [`keep_onto`] makes of so many bytes.
pub(crate) const fn kept_len(plain: usize) -> usize {
    let blocks = plain.div_ceil(KEPT_MOST);
    KEPT_HEAD + plain + KEPT_BLOCK * if blocks == 0 { 1 } else { blocks }
}

/// Appends one block as a zstd frame of raw blocks (RFC 8878 sections 3.1.1.1 and 3.1.1.2): 12 bytes more than it has, and
/// no work but a copy. Whoever reads compressed blocks reads it.
///
/// # Errors
/// [`StoreError::Damaged`] if it is larger than 4 GB.
pub(crate) fn keep_onto(plain: &[u8], out: &mut Vec<u8>) -> Result<(), StoreError> {
    let blocks = plain.len().div_ceil(KEPT_MOST).max(1);
    out.reserve(kept_len(plain.len()));
    frame_head(plain.len(), out)?;
    for number in 0..blocks {
        let block = &plain[number * KEPT_MOST..plain.len().min((number + 1) * KEPT_MOST)];
        block_head(block.len(), number + 1 == blocks, out);
        out.extend_from_slice(block);
    }
    Ok(())
}

/// Appends what [`keep_onto`] puts before the bytes of a frame of one block, of at most [`KEPT_MOST`] bytes.
pub(crate) fn keep_head(plain: usize, out: &mut Vec<u8>) -> Result<(), StoreError> {
    frame_head(plain, out)?;
    block_head(plain, true, out);
    Ok(())
}

fn frame_head(plain: usize, out: &mut Vec<u8>) -> Result<(), StoreError> {
    /// The content's size in four bytes, and no window besides.
    const SINGLE_SEGMENT: u8 = 0b1010_0000;
    let too_large = |_| StoreError::Damaged("a block is larger than 4 GB".to_owned());
    let size = u32::try_from(plain).map_err(too_large)?;
    out.extend_from_slice(&[0x28, 0xb5, 0x2f, 0xfd, SINGLE_SEGMENT]);
    out.extend_from_slice(&size.to_le_bytes());
    Ok(())
}

fn block_head(len: usize, is_last: bool, out: &mut Vec<u8>) {
    // Bit 0 says that it is the last; a type of 0, that it is raw.
    let head = (len as u32) << 3 | u32::from(is_last);
    out.extend_from_slice(&head.to_le_bytes()[..KEPT_BLOCK]);
}

/// Compresses one block.
pub(crate) fn compress_block(plain: &[u8]) -> Result<Vec<u8>, StoreError> {
    COMPRESSOR.with_borrow_mut(|slot| {
        let compressor = match slot {
            Some(compressor) => compressor,
            None => slot.insert(zstd::bulk::Compressor::new(LEVEL).map_err(|error| damaged(&error))?),
        };
        compressor.compress(plain).map_err(|error| damaged(&error))
    })
}

/// Decompresses one block of at most `limit` bytes.
pub(crate) fn decompress_block(packed: &[u8], limit: usize) -> Result<Vec<u8>, StoreError> {
    let mut plain = Vec::new();
    decompress_onto(packed, limit, &mut plain)?;
    Ok(plain)
}

/// Decompresses one block of at most `limit` bytes onto the end of `out`, which after an error is as it was.
pub(crate) fn decompress_onto(packed: &[u8], limit: usize, out: &mut Vec<u8>) -> Result<(), StoreError> {
    let too_long = || StoreError::Damaged("a block is longer than it may be".to_owned());
    let stated = zstd::zstd_safe::get_frame_content_size(packed).ok().flatten();
    let capacity = stated.and_then(|len| usize::try_from(len).ok()).unwrap_or(limit);
    if capacity > limit {
        return Err(too_long());
    }
    let before = out.len();
    out.reserve(capacity);
    DECOMPRESSOR.with_borrow_mut(|slot| {
        let decompressor = match slot {
            Some(decompressor) => decompressor,
            None => slot.insert(zstd::bulk::Decompressor::new().map_err(|error| damaged(&error))?),
        };
        let mut end = Cursor::new(std::mem::take(out));
        end.set_position(before as u64);
        let done = decompressor.decompress_to_buffer(packed, &mut end);
        *out = end.into_inner();
        let done = done.map_err(|error| damaged(&error));
        let done = done.and_then(|len| if len <= limit { Ok(()) } else { Err(too_long()) });
        if done.is_err() {
            out.truncate(before);
        }
        done
    })
}

fn damaged(error: &std::io::Error) -> StoreError {
    StoreError::Damaged(error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn kept(plain: &[u8]) -> Vec<u8> {
        let mut frame = Vec::new();
        keep_onto(plain, &mut frame).expect("keeps");
        frame
    }

    proptest! {
        #[test]
        fn every_message_comes_back(raw in proptest::collection::vec(any::<u8>(), 0..200_000)) {
            let stored = compress(&raw).expect("compresses");
            prop_assert_eq!(decompress(&stored).expect("decompresses"), raw);
        }

        #[test]
        fn damage_is_noticed(raw in proptest::collection::vec(any::<u8>(), 1..5_000), at in any::<prop::sample::Index>(), bit in 0_u32..8) {
            let mut stored = compress(&raw).expect("compresses");
            if bit % 2 == 0 {
                let (header, body) = raw.split_at(stored.header_len as usize);
                stored.header = kept(header);
                stored.frames = body.chunks(FRAME_LEN).map(kept).collect();
            }
            let block = if stored.header.len() > 9 { &mut stored.header } else { &mut stored.frames[0] };
            let place = at.index(block.len());
            block[place] ^= 1_u8 << bit;
            if let Ok(back) = decompress(&stored) {
                prop_assert_eq!(back, raw);
            }
        }
    }

    #[test]
    fn what_is_kept_as_it_is_takes_little_more_room_and_is_read_by_zstd_itself() {
        for len in [0, 1, 255, 256, 65_536, 131_071, 131_072, 131_073, 300_000] {
            let plain: Vec<u8> = (0..len).map(|at| (at % 251) as u8).collect();
            let frame = kept(&plain);
            assert!(frame.len() <= plain.len() + 12 + 3 * (len / 131_072), "{len}: {}", frame.len());
            assert_eq!(frame.len(), kept_len(len));
            assert_eq!(zstd::decode_all(&frame[..]).expect("decodes"), plain);
            assert_eq!(decompress_block(&frame, len).expect("decompresses"), plain);
        }
    }
}
