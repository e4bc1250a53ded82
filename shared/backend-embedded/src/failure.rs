//! What goes wrong inside, before it is known which port asked.

use pennypost_ports::PortError;
use rusqlite::ErrorCode;

/// A [`PortError`] without its port.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Failure {
    Unavailable(String),
    Damaged(String),
    NotFound(String),
    Refused(String),
}

impl Failure {
    /// The error that the caller of `port` gets.
    pub(crate) fn at(self, port: &'static str) -> PortError {
        match self {
            Failure::Unavailable(cause) => PortError::Unavailable { port, cause },
            Failure::Damaged(cause) => PortError::Damaged { port, cause },
            Failure::NotFound(what) => PortError::NotFound { port, what },
            Failure::Refused(cause) => PortError::Refused { port, cause },
        }
    }

    /// The handle was shut down, or its thread is gone.
    pub(crate) fn closed() -> Failure {
        Failure::Unavailable("the store is shut down".to_owned())
    }
}

impl From<rusqlite::Error> for Failure {
    fn from(error: rusqlite::Error) -> Failure {
        match error.sqlite_error_code() {
            Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase | ErrorCode::SchemaChanged) => {
                Failure::Damaged(error.to_string())
            }
            Some(ErrorCode::TooBig) => Failure::Refused(error.to_string()),
            Some(_) => Failure::Unavailable(error.to_string()),
            // Everything else is about a value that is not of the type that we write.
            None => Failure::Damaged(error.to_string()),
        }
    }
}

impl From<std::io::Error> for Failure {
    fn from(error: std::io::Error) -> Failure {
        Failure::Unavailable(error.to_string())
    }
}
