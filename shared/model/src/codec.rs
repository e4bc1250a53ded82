//! The one way in which values become stored or sent bytes: a format byte, then postcard.
//!
//! The format byte is the version of the *kind* of value. A reader accepts its own version and the one
//! before (architecture, invariant 10); a kind whose shape changes implements [`Versioned::upgrade`].

use serde::Serialize;
use serde::de::DeserializeOwned;

/// Why bytes are not the value that they should be.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CodecError {
    /// Nothing there.
    #[error("{kind} record is empty")]
    Empty {
        /// The kind of value that was expected.
        kind: &'static str,
    },
    /// A version that this program does not know, most likely a newer one.
    #[error("{kind} record has format version {found}, this program reads up to {known}")]
    Version {
        /// The kind of value that was expected.
        kind: &'static str,
        /// The version in front of the bytes.
        found: u8,
        /// The newest version known here.
        known: u8,
    },
    /// The bytes are damaged.
    #[error("{kind} record is damaged: {cause}")]
    Damaged {
        /// The kind of value that was expected.
        kind: &'static str,
        /// What the decoder said.
        cause: String,
    },
}

/// A kind of value with a format version.
pub trait Versioned: Serialize + DeserializeOwned {
    /// Name of the kind, for errors.
    const KIND: &'static str;
    /// The version that is written.
    const VERSION: u8 = 1;

    /// The version that this value is written as: an older one where it holds nothing that needs the newest.
    fn version(&self) -> u8 {
        Self::VERSION
    }

    /// Reads the version before [`Versioned::VERSION`]. The default knows none.
    ///
    /// # Errors
    /// [`CodecError::Version`] when there is no older version to read.
    fn upgrade(found: u8, _bytes: &[u8]) -> Result<Self, CodecError> {
        Err(CodecError::Version { kind: Self::KIND, found, known: Self::VERSION })
    }
}

/// The bytes of `value`: its version, then its fields.
#[must_use]
pub fn encode<T: Versioned>(value: &T) -> Vec<u8> {
    // Writing to a growing vector cannot fail for types without unsized sequences, which is all of ours.
    postcard::to_extend(value, vec![value.version()]).unwrap_or_default()
}

/// The bytes of a value that is not the newest of its kind, behind the version that it had: for tests of reading
/// what was written before.
#[must_use]
pub fn encode_plain<T: Serialize>(value: &T, version: u8) -> Vec<u8> {
    postcard::to_extend(value, vec![version]).unwrap_or_default()
}

/// The fields behind a version: for [`Versioned::upgrade`].
///
/// # Errors
/// [`CodecError::Damaged`].
pub fn decode_plain<T: DeserializeOwned>(kind: &'static str, body: &[u8]) -> Result<T, CodecError> {
    postcard::from_bytes(body).map_err(|error| CodecError::Damaged { kind, cause: error.to_string() })
}

/// The fields behind a version that had all but the last one, which is an option: it is none. For [`Versioned::upgrade`].
///
/// # Errors
/// [`CodecError::Damaged`].
pub fn decode_without_last<T: DeserializeOwned>(kind: &'static str, body: &[u8]) -> Result<T, CodecError> {
    // Of a value that was written as an older version by a newer program the option stands there already: what is behind the
    // last field is not read.
    decode_plain(kind, &[body, &[0]].concat())
}

/// The same of a value that had all but the last `missing` ones.
///
/// # Errors
/// [`CodecError::Damaged`].
pub fn decode_without<T: DeserializeOwned>(
    kind: &'static str,
    body: &[u8],
    missing: usize,
) -> Result<T, CodecError> {
    decode_plain(kind, &[body, &vec![0; missing]].concat())
}

/// The value in `bytes`.
///
/// # Errors
/// [`CodecError`] for an unknown version or damaged bytes; never panics, whatever the bytes.
pub fn decode<T: Versioned>(bytes: &[u8]) -> Result<T, CodecError> {
    let (version, body) = bytes.split_first().ok_or(CodecError::Empty { kind: T::KIND })?;
    if *version != T::VERSION {
        return T::upgrade(*version, body);
    }
    decode_plain(T::KIND, body)
}
