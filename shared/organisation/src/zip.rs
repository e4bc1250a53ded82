//! The files in a ZIP archive, as spreadsheets are: stored or deflated, none larger than is said, not encrypted and not
//! split (APPNOTE.TXT of PKWARE, sections 4.3.7, 4.3.12 and 4.3.16).
//!
//! What is not such an archive has no files; nothing of it is believed that is not bounded.

use miniz_oxide::inflate::{TINFLStatus, decompress_to_vec_with_limit};

const END: &[u8; 4] = b"PK\x05\x06";
const ENTRY: &[u8; 4] = b"PK\x01\x02";
const LOCAL: &[u8; 4] = b"PK\x03\x04";
/// Bytes of the end record and the longest comment behind it.
const MAX_END: usize = 22 + 65_535;
/// Entries that are looked at.
const MAX_ENTRIES: usize = 10_000;
const STORED: u16 = 0;
const DEFLATED: u16 = 8;

/// Why a file is not read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Unread {
    /// It is not there.
    Missing,
    /// It is larger than wanted.
    Large,
    /// It is damaged, or packed in another way.
    Damaged,
}

/// An archive.
pub(super) struct Archive<'a> {
    bytes: &'a [u8],
    entries: Vec<Entry<'a>>,
}

struct Entry<'a> {
    name: &'a [u8],
    method: u16,
    compressed: usize,
    offset: usize,
}

fn number16(bytes: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_le_bytes(bytes.get(at..at + 2)?.try_into().ok()?))
}

fn number32(bytes: &[u8], at: usize) -> Option<usize> {
    let number = u32::from_le_bytes(bytes.get(at..at + 4)?.try_into().ok()?);
    usize::try_from(number).ok()
}

/// Do bytes begin as an archive does?
pub(super) fn is_archive(bytes: &[u8]) -> bool {
    bytes.starts_with(LOCAL)
}

impl<'a> Archive<'a> {
    /// Reads the directory of an archive.
    pub(super) fn open(bytes: &'a [u8]) -> Option<Archive<'a>> {
        let tail = bytes.get(bytes.len().saturating_sub(MAX_END)..)?;
        let end = tail.windows(END.len()).rposition(|window| window == END)?;
        let end = tail.get(end..)?;
        let count = usize::from(number16(end, 10)?);
        let mut at = number32(end, 16)?;
        if count > MAX_ENTRIES {
            return None;
        }
        let mut entries = Vec::with_capacity(count);
        for _ in 0..count {
            let record = bytes.get(at..)?;
            if !record.starts_with(ENTRY) {
                return None;
            }
            let lengths =
                [number16(record, 28)?, number16(record, 30)?, number16(record, 32)?].map(usize::from);
            let name = record.get(46..46 + lengths[0])?;
            let (method, compressed, offset) =
                (number16(record, 10)?, number32(record, 20)?, number32(record, 42)?);
            entries.push(Entry { name, method, compressed, offset });
            at = at.checked_add(46 + lengths.iter().sum::<usize>())?;
        }
        Some(Archive { bytes, entries })
    }

    /// The content of a file, if it has at most `limit` bytes.
    ///
    /// # Errors
    /// [`Unread`].
    pub(super) fn file(&self, name: &str, limit: usize) -> Result<Vec<u8>, Unread> {
        let entry = self.entries.iter().find(|entry| entry.name == name.as_bytes()).ok_or(Unread::Missing)?;
        let content = self.packed(entry).ok_or(Unread::Damaged)?;
        match entry.method {
            STORED if content.len() > limit => Err(Unread::Large),
            STORED => Ok(content.to_vec()),
            DEFLATED => decompress_to_vec_with_limit(content, limit).map_err(|error| match error.status {
                TINFLStatus::HasMoreOutput => Unread::Large,
                _ => Unread::Damaged,
            }),
            _ => Err(Unread::Damaged),
        }
    }

    /// The bytes of an entry as they lie there.
    fn packed(&self, entry: &Entry<'_>) -> Option<&'a [u8]> {
        let local = self.bytes.get(entry.offset..)?;
        if !local.starts_with(LOCAL) {
            return None;
        }
        let begin = 30 + usize::from(number16(local, 26)?) + usize::from(number16(local, 28)?);
        local.get(begin..begin.checked_add(entry.compressed)?)
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// An archive of these files; deflated where `deflate` says so.
    pub(crate) fn archive(files: &[(&str, &str)], deflate: bool) -> Vec<u8> {
        let (mut bytes, mut directory) = (Vec::new(), Vec::new());
        for (name, content) in files {
            let packed = match deflate {
                true => miniz_oxide::deflate::compress_to_vec(content.as_bytes(), 6),
                false => content.as_bytes().to_vec(),
            };
            let method = if deflate { DEFLATED } else { STORED };
            let offset = bytes.len() as u32;
            let mut common = Vec::new();
            common.extend_from_slice(&[20, 0, 0, 0]);
            common.extend_from_slice(&method.to_le_bytes());
            common.extend_from_slice(&[0; 8]);
            common.extend_from_slice(&(packed.len() as u32).to_le_bytes());
            common.extend_from_slice(&(content.len() as u32).to_le_bytes());
            common.extend_from_slice(&(name.len() as u16).to_le_bytes());
            common.extend_from_slice(&[0, 0]);
            bytes.extend_from_slice(LOCAL);
            bytes.extend_from_slice(&common);
            bytes.extend_from_slice(name.as_bytes());
            bytes.extend_from_slice(&packed);
            directory.extend_from_slice(ENTRY);
            directory.extend_from_slice(&[20, 0]);
            directory.extend_from_slice(&common);
            directory.extend_from_slice(&[0; 10]);
            directory.extend_from_slice(&offset.to_le_bytes());
            directory.extend_from_slice(name.as_bytes());
        }
        let (at, length, count) = (bytes.len() as u32, directory.len() as u32, files.len() as u16);
        bytes.extend_from_slice(&directory);
        bytes.extend_from_slice(END);
        bytes.extend_from_slice(&[0; 4]);
        bytes.extend_from_slice(&count.to_le_bytes());
        bytes.extend_from_slice(&count.to_le_bytes());
        bytes.extend_from_slice(&length.to_le_bytes());
        bytes.extend_from_slice(&at.to_le_bytes());
        bytes.extend_from_slice(&[0, 0]);
        bytes
    }

    #[test]
    fn files_are_read_to_their_limit() {
        for deflate in [false, true] {
            let bytes = archive(&[("a/b.xml", "content"), ("zeros", &"0".repeat(100_000))], deflate);
            assert!(is_archive(&bytes));
            let opened = Archive::open(&bytes).expect("opened");
            assert_eq!(opened.file("a/b.xml", 7).as_deref(), Ok(&b"content"[..]));
            assert_eq!(opened.file("a/b.xml", 6), Err(Unread::Large));
            assert_eq!(opened.file("zeros", 99_999), Err(Unread::Large));
            assert_eq!(opened.file("zeros", 100_000).map(|zeros| zeros.len()), Ok(100_000));
            assert_eq!(opened.file("c", 100), Err(Unread::Missing));
        }
    }

    #[test]
    fn damage_is_no_panic() {
        let whole = archive(&[("a", "content"), ("b", "more")], true);
        for length in 0..whole.len() {
            if let Some(opened) = Archive::open(&whole[..length]) {
                _ = opened.file("a", 100);
            }
        }
        for at in 0..whole.len() {
            for byte in [0, 0xff] {
                let mut damaged = whole.clone();
                damaged[at] = byte;
                if let Some(opened) = Archive::open(&damaged) {
                    _ = opened.file("a", 100);
                    _ = opened.file("b", 100);
                }
            }
        }
    }
}
