//! A checksum behind stored values: SQLite has none of its own, and a flipped bit must not become mail.

use crate::failure::Failure;

/// `value` followed by its CRC-32.
pub(crate) fn seal(mut value: Vec<u8>) -> Vec<u8> {
    let sum = crc32fast::hash(&value);
    value.extend_from_slice(&sum.to_le_bytes());
    value
}

/// The value in `sealed`; `what` names it in the error.
pub(crate) fn unseal(mut sealed: Vec<u8>, what: impl FnOnce() -> String) -> Result<Vec<u8>, Failure> {
    match sealed.split_last_chunk::<4>() {
        Some((value, sum)) if crc32fast::hash(value) == u32::from_le_bytes(*sum) => {
            sealed.truncate(sealed.len() - 4);
            Ok(sealed)
        }
        _ => Err(Failure::Damaged(format!("{} does not match its checksum", what()))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_flipped_bit_and_every_cut_is_noticed() {
        let sealed = seal(b"a letter".to_vec());
        assert_eq!(unseal(sealed.clone(), String::new), Ok(b"a letter".to_vec()));
        for bit in 0..sealed.len() * 8 {
            let mut damaged = sealed.clone();
            damaged[bit / 8] ^= 1 << (bit % 8);
            assert!(unseal(damaged, String::new).is_err());
        }
        for len in 0..sealed.len() {
            assert!(unseal(sealed[..len].to_vec(), String::new).is_err());
        }
    }
}
