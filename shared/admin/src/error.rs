//! Why administration did not do what it was asked.

use pennypost_directory::DirectoryError;
use pennypost_model::codec::CodecError;
use pennypost_ports::PortError;

use crate::authorise::Why;

/// Why administration did not do what it was asked.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AdminError {
    /// It is another tenant's, or it is not there: the two are told alike. HTTP 404.
    #[error("there is no such {0}")]
    NotFound(&'static str),
    /// Not by this actor: HTTP 403.
    #[error("not permitted: {}", .0.name())]
    Denied(Why),
    /// It is no longer what the actor has seen: HTTP 412.
    #[error("it has been changed meanwhile")]
    Changed,
    /// It can't be done as long as something else is as it is: HTTP 409.
    #[error("{0}")]
    Conflict(Conflict),
    /// The request can never succeed as it is: HTTP 422.
    #[error("{0}")]
    Invalid(Invalid),
    /// The directory.
    #[error(transparent)]
    Directory(#[from] DirectoryError),
}

/// What stands in the way.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Conflict {
    /// A role of that name is there.
    #[error("there is a role of that name")]
    RoleTaken,
    /// Somebody holds the role.
    #[error("somebody holds the role")]
    RoleHeld,
}

/// What can't be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Invalid {
    /// A name of a role or key.
    #[error("a name has 1 to {limit} characters and no control characters")]
    Name {
        /// Characters that a name may have.
        limit: usize,
    },
    /// A role or key without any permission, or with one that no tenant's may have.
    #[error("no permissions, or such as only operators have")]
    Permissions,
    /// A grant names a role that is not there.
    #[error("there is no such role")]
    NoRole,
    /// A grant or creator is to be an account that is not there.
    #[error("there is no such account")]
    NoAccount,
    /// More than there may be.
    #[error("there may be {limit} at most")]
    TooMany {
        /// How many.
        limit: usize,
    },
    /// A time that has passed.
    #[error("the end has passed")]
    Past,
}

impl From<PortError> for AdminError {
    fn from(error: PortError) -> AdminError {
        AdminError::Directory(error.into())
    }
}

impl From<CodecError> for AdminError {
    fn from(error: CodecError) -> AdminError {
        AdminError::Directory(error.into())
    }
}

impl From<Invalid> for AdminError {
    fn from(error: Invalid) -> AdminError {
        AdminError::Invalid(error)
    }
}
