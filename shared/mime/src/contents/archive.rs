//! What kind of archive or document some bytes are, and whether that is encrypted, as far as it is easily told.

use memchr::memmem;

/// A kind that is told by how it begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// ZIP, and what is made of it: documents of Office and others.
    Zip,
    /// RAR, before version 5.
    Rar4,
    /// RAR since version 5.
    Rar5,
    Pdf,
    /// A compound file: old documents of Office, and new ones that are encrypted.
    Compound,
}

/// Bytes in front of a PDF in which it may begin.
const PDF_BEGINS: usize = 1_024;

pub(super) fn kind(beginning: &[u8]) -> Option<Kind> {
    match beginning {
        [b'P', b'K', 3, 4, ..] => Some(Kind::Zip),
        [b'R', b'a', b'r', b'!', 0x1a, 7, 0, ..] => Some(Kind::Rar4),
        [b'R', b'a', b'r', b'!', 0x1a, 7, 1, 0, ..] => Some(Kind::Rar5),
        [0xd0, 0xcf, 0x11, 0xe0, 0xa1, 0xb1, 0x1a, 0xe1, ..] => Some(Kind::Compound),
        _ => {
            let first = beginning.get(..PDF_BEGINS).unwrap_or(beginning);
            memmem::find(first, b"%PDF-").map(|_| Kind::Pdf)
        }
    }
}

pub(super) fn is_encrypted(kind: Kind, bytes: &[u8]) -> bool {
    match kind {
        Kind::Zip => is_zip_encrypted(bytes),
        // The first block: two bytes of check, its type, its flags; the headers are encrypted, or the first file is.
        Kind::Rar4 => {
            let flags = bytes.get(10).copied().unwrap_or_default();
            let size = bytes.get(12..14).map_or(0, |size| usize::from(size[0]) | usize::from(size[1]) << 8);
            let file = bytes.get(7 + size..).unwrap_or_default();
            let is_file = file.get(2) == Some(&0x74);
            flags & 0x80 != 0 || is_file && file.get(3).is_some_and(|flags| flags & 4 != 0)
        }
        // Four bytes of check, the size in seven bits each, the type: 4 is that of encryption.
        Kind::Rar5 => {
            let block = bytes.get(12..).unwrap_or_default();
            let size = block.iter().take(3).take_while(|byte| **byte & 0x80 != 0).count() + 1;
            block.get(size) == Some(&4)
        }
        Kind::Pdf => memmem::find(bytes, b"/Encrypt").is_some(),
        Kind::Compound => {
            let name: Vec<u8> = b"EncryptedPackage".iter().flat_map(|byte| [*byte, 0]).collect();
            memmem::find(bytes, &name).is_some()
        }
    }
}

/// Says the directory of one of its files that this is encrypted?
fn is_zip_encrypted(bytes: &[u8]) -> bool {
    let flag_is_set = |at: usize| bytes.get(at).is_some_and(|flags| flags & 1 != 0);
    flag_is_set(6) || memmem::find_iter(bytes, b"PK\x01\x02").any(|at| flag_is_set(at + 8))
}
