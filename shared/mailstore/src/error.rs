//! Errors of the mail store.

use pennypost_fold::{DraftError, FoldError};
use pennypost_model::codec::CodecError;
use pennypost_ports::PortError;

/// Why the store did not do what it was asked.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StoreError {
    /// A port failed.
    #[error(transparent)]
    Port(#[from] PortError),
    /// A journal does not fold: an entry is missing or misplaced.
    #[error("the journal of the account is broken: {0}")]
    Journal(#[from] FoldError),
    /// Bytes of a message are not what was stored.
    #[error("the stored message is damaged: {0}")]
    Damaged(String),
    /// A record is damaged.
    #[error(transparent)]
    Record(#[from] CodecError),
    /// Too many others changed the account at the same time.
    #[error("the account is too busy, try again")]
    Busy,
}

impl StoreError {
    /// Can the same call succeed later?
    #[must_use]
    pub const fn is_temporary(&self) -> bool {
        match self {
            StoreError::Port(error) => error.is_temporary(),
            StoreError::Busy => true,
            StoreError::Journal(_) | StoreError::Damaged(_) | StoreError::Record(_) => false,
        }
    }
}

/// Why a change was not made: the store could not, or the decision was against it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ChangeError<E = DraftError> {
    /// The store.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The decision.
    #[error("{0}")]
    Decided(E),
}

impl<E> From<PortError> for ChangeError<E> {
    fn from(error: PortError) -> Self {
        ChangeError::Store(error.into())
    }
}
