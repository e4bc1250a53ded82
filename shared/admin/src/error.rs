//! Why administration did not do what it was asked.

use pennypost_directory::{DirectoryError, Function, SignInError};
use pennypost_model::codec::CodecError;
use pennypost_organisation::FileError;
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
    /// The old password is not right, or may not be tried now.
    #[error(transparent)]
    OldPassword(SignInError),
    /// DNS can't be asked from here: HTTP 503.
    #[error("DNS can't be asked from here")]
    NoLookUps,
    /// Secrets can't be sealed here: HTTP 503.
    #[error("there is no key here with which secrets are sealed")]
    NoSealing,
    /// A key of a domain was not made: HTTP 503.
    #[error("{0}")]
    NoKeyMade(String),
    /// What the operator says of the service can't be: HTTP 422.
    #[error("{0}")]
    Service(String),
    /// A code of the second factor is wrong, or can't be looked at now: HTTP 422, 429.
    #[error("the code was not accepted: {0}")]
    Code(SignInError),
    /// A file that can't be imported: HTTP 422.
    #[error("the file {name} can't be imported")]
    File {
        /// What it is called.
        name: String,
        /// What is wrong with it.
        error: FileError,
    },
    /// Long operations are not carried out here: HTTP 503.
    #[error("long operations are not carried out here")]
    NoTasks,
    /// Traces of letters can't be read here: HTTP 503.
    #[error("traces of letters can't be read here")]
    NoTraces,
    /// A second administrator has to confirm it (ADM-13): HTTP 202.
    #[error("a second administrator has to confirm it")]
    NeedsSecond,
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
    /// A rule would let nobody in from where it is made.
    #[error("the rule would not let you in from where you are")]
    ExcludesYou,
    /// There is no record of sign-ins where this runs.
    #[error("sign-ins are not recorded here")]
    NoRecord,
    /// An administrator has forced it.
    #[error("an administrator has turned secure sign-in on")]
    Forced,
    /// The operator has not said at what domains have to point.
    #[error("the operator has not said yet at what domains have to point")]
    ServiceUnsaid,
    /// It is known already whose the domain is.
    #[error("it is known already whose the domain is")]
    DomainOwned,
    /// Mail is not brought to the domain yet, and the tenant waits for that (DOM-07).
    #[error("mail is not brought to the domain yet")]
    DomainLocked,
    /// What goes with it has not been confirmed, or is something else by now (DOM-13).
    #[error("not confirmed")]
    NotConfirmed,
    /// A key of that kind waits for its record already.
    #[error("a key of that kind waits for its record already")]
    KeyWaits,
    /// A long operation that has ended.
    #[error("it has ended")]
    TaskOver,
    /// Nothing to be read has come of a long operation yet, or not any more.
    #[error("there is nothing to be read")]
    NoResult,
    /// The creator hands the tenant over before he leaves.
    #[error("the creator hands the organisation over first")]
    CreatorLeaves,
    /// The tenant's plan does not have the function (PLN-09).
    #[error("the plan does not have the function {}", .0.name())]
    NotInPlan(Function),
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
    /// A life of sessions that can't be.
    #[error(
        "sessions last 15 minutes to 90 days, and may be idle for 5 minutes at least and not for longer than they last"
    )]
    SessionLife,
    /// A policy for TLS that can't be.
    #[error("a policy for TLS is remembered for 86400 to 31557600 seconds")]
    TlsPolicy,
    /// A rule of rotation that can't be.
    #[error("keys are used for 7 to 3650 days, and stay published for 1 to 90 days after that")]
    KeyRotation,
    /// There is no second factor.
    #[error("there is no second factor")]
    NoFactor,
    /// Somebody would be his own second.
    #[error("it takes another administrator")]
    OwnRequest,
    /// A file without a row.
    #[error("the file has no rows")]
    NoRows,
    /// A contact address.
    #[error("a contact address has at most {limit} characters and no control characters")]
    Contact {
        /// Characters.
        limit: usize,
    },
    /// A logo.
    #[error("a logo is PNG, JPEG or WebP and has at most {limit} bytes")]
    Logo {
        /// Bytes.
        limit: usize,
    },
    /// The order of a request can't be kept.
    #[error("the order is larger than {limit} bytes")]
    LargeOrder {
        /// Bytes.
        limit: usize,
    },
}

impl AdminError {
    /// Can the same call succeed later?
    #[must_use]
    pub const fn is_temporary(&self) -> bool {
        matches!(self, AdminError::Directory(error) if error.is_temporary())
    }
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
