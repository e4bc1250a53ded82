//! How values lie in items: a version, the bytes, a checksum. A value that would cost more units than it must is
//! compressed.
//!
//! ```text
//! 1 value crc        as it is
//! 2 len zstd crc     compressed; len: bytes of the value, u32 little-endian
//! 3 name crc         the value, in one of the two forms above, is the object of that name (journal entries only)
//! ```
//!
//! The CRC-32, little-endian, is over everything before it.

use pennypost_ports::{PortError, PortResult};

use crate::units::write_units;

const PLAIN: u8 = 1;
const COMPRESSED: u8 = 2;
const ELSEWHERE: u8 = 3;
const LEVEL: i32 = 3;

/// What a sealed value holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Unsealed {
    /// The value.
    Value(Vec<u8>),
    /// The name of the object that holds the sealed value.
    Elsewhere(String),
}

fn with_checksum(mut bytes: Vec<u8>) -> Vec<u8> {
    let sum = crc32fast::hash(&bytes);
    bytes.extend_from_slice(&sum.to_le_bytes());
    bytes
}

/// `value`, sealed for an item whose other attributes and names take `rest` bytes.
pub(crate) fn seal(value: &[u8], rest: usize) -> Vec<u8> {
    const AROUND: usize = 5;
    let plain_units = write_units(rest + AROUND + value.len());
    if plain_units > 1
        && let Ok(len) = u32::try_from(value.len())
        && let Ok(compressed) = zstd::bulk::compress(value, LEVEL)
        && write_units(rest + AROUND + size_of::<u32>() + compressed.len()) < plain_units
    {
        let mut bytes = Vec::with_capacity(compressed.len() + 9);
        bytes.push(COMPRESSED);
        bytes.extend_from_slice(&len.to_le_bytes());
        bytes.extend_from_slice(&compressed);
        return with_checksum(bytes);
    }
    let mut bytes = Vec::with_capacity(value.len() + AROUND);
    bytes.push(PLAIN);
    bytes.extend_from_slice(value);
    with_checksum(bytes)
}

/// Says that the value is in the object `name`.
pub(crate) fn elsewhere(name: &str) -> Vec<u8> {
    let mut bytes = vec![ELSEWHERE];
    bytes.extend_from_slice(name.as_bytes());
    with_checksum(bytes)
}

/// What is in `sealed`; `what` names it in the error.
pub(crate) fn unseal(port: &'static str, sealed: &[u8], what: impl Fn() -> String) -> PortResult<Unsealed> {
    let damaged = |how: &str| PortError::Damaged { port, cause: format!("{} {how}", what()) };
    let (body, sum) = sealed.split_last_chunk::<4>().ok_or_else(|| damaged("is cut short"))?;
    if crc32fast::hash(body) != u32::from_le_bytes(*sum) {
        return Err(damaged("does not match its checksum"));
    }
    let (version, body) = body.split_first().ok_or_else(|| damaged("is empty"))?;
    match *version {
        PLAIN => Ok(Unsealed::Value(body.to_vec())),
        COMPRESSED => {
            let (len, compressed) = body.split_first_chunk::<4>().ok_or_else(|| damaged("is cut short"))?;
            let len = u32::from_le_bytes(*len) as usize;
            let value = zstd::bulk::decompress(compressed, len).ok().filter(|value| value.len() == len);
            value.map(Unsealed::Value).ok_or_else(|| damaged("cannot be decompressed"))
        }
        ELSEWHERE => {
            let name = String::from_utf8(body.to_vec());
            name.map(Unsealed::Elsewhere).map_err(|_| damaged("names no object"))
        }
        newer => Err(damaged(&format!("has format {newer}, which this program does not know"))),
    }
}

/// As [`unseal`], where a value is never elsewhere.
pub(crate) fn unseal_value(
    port: &'static str,
    sealed: &[u8],
    what: impl Fn() -> String,
) -> PortResult<Vec<u8>> {
    match unseal(port, sealed, &what)? {
        Unsealed::Value(value) => Ok(value),
        Unsealed::Elsewhere(_) => {
            Err(PortError::Damaged { port, cause: format!("{} is not where it should be", what()) })
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn open(sealed: &[u8]) -> PortResult<Unsealed> {
        unseal("test", sealed, || "it".to_owned())
    }

    #[test]
    fn every_flipped_bit_and_every_cut_is_noticed() {
        let letters = b"a letter, and another letter ".repeat(100);
        for sealed in [seal(b"a letter", 20), seal(&letters, 20), elsewhere("t/je/a")] {
            assert!(open(&sealed).is_ok());
            for bit in 0..sealed.len() * 8 {
                let mut damaged = sealed.clone();
                damaged[bit / 8] ^= 1 << (bit % 8);
                assert!(open(&damaged).is_err());
            }
            for len in 0..sealed.len() {
                assert!(open(&sealed[..len]).is_err());
            }
        }
    }

    #[test]
    fn values_come_back_and_are_compressed_where_it_saves_a_unit() {
        let words = b"one two three ".repeat(100);
        // Bytes that cannot be compressed.
        let noise: Vec<u8> = (0..2_000_u32).map(|at| (at.wrapping_mul(2_654_435_761) >> 13) as u8).collect();
        for value in [&b""[..], b"short", &words, &noise] {
            assert_eq!(open(&seal(value, 20)), Ok(Unsealed::Value(value.to_vec())));
        }
        assert!(seal(&words, 20).len() < 200);
        // Within one unit nothing is gained.
        assert_eq!(seal(&words[..900], 20).len(), 905);
    }
}
