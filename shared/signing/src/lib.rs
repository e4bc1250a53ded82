//! Keys of domains with which letters are signed (DKIM: RFC 6376, RFC 8463), signatures, and seals (ARC: RFC 8617).
//!
//! Owns the control items `T/domain-keys` by the name of a domain: all keys of the domain, and the rule of their rotation
//! ([`DomainKeys`]), so that each change of them is one conditional write. Private keys are sealed
//! ([`Secrets`](pennypost_ports::Secrets)) for their tenant, domain and selector.
//!
//! Invariants: of each kind of key at most one is active, and no letter is signed with a key that DNS has not shown; the key
//! before it stays published for as long as letters that it has signed may be on their way; a private key is gone once its
//! key is removed. A selector is not given again for as long as DNS may remember what stood there.
//!
//! If the process dies at any line, a key was made or not, and has the state that it had; the next look at DNS goes on.

mod key;
mod make;
mod seal;
mod sign;
mod store;

use pennypost_model::codec::CodecError;
use pennypost_ports::PortError;

pub use key::{Algorithm, BadRotation, DomainKey, DomainKeys, KeyState, MAX_KEYS, Moved, Rotation, Seen};
pub use seal::Found;
pub use sign::{Copies, Signer};
pub use store::KeyStore;

/// Why a key was not made, changed, or used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SigningError {
    /// The store, or what seals.
    #[error(transparent)]
    Port(#[from] PortError),
    /// The item is damaged.
    #[error(transparent)]
    Item(#[from] CodecError),
    /// Others change it all the time.
    #[error("the keys are being changed by others")]
    Contended,
    /// One of that kind waits for its record already.
    #[error("a key of {} waits for its record already", .0.name())]
    Waits(Algorithm),
    /// More keys than a domain may have.
    #[error("a domain has {MAX_KEYS} keys at most, those included that are no longer used")]
    TooMany,
    /// No such key.
    #[error("there is no key {0}")]
    NoKey(String),
    /// A rule of rotation that can't be.
    #[error(transparent)]
    Rotation(#[from] BadRotation),
    /// A key can't be made or used.
    #[error("a key can't be used: {0}")]
    Crypto(String),
    /// What is to be signed is no letter.
    #[error("what is to be signed has no header")]
    NoHeader,
}

impl SigningError {
    /// Can the same call succeed later?
    #[must_use]
    pub const fn is_temporary(&self) -> bool {
        match self {
            SigningError::Port(error) => error.is_temporary(),
            SigningError::Contended => true,
            _ => false,
        }
    }
}
