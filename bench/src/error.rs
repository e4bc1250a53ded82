//! Why a measurement ended without a result.

use std::fmt::Display;
use std::io;

/// Why a measurement ended without a result.
#[derive(Debug, thiserror::Error)]
pub enum BenchError {
    /// No connection to the server.
    #[error("no connection to {to}: {cause}")]
    Connect {
        /// Address or path.
        to: String,
        /// What the system said.
        cause: io::Error,
    },
    /// A connection broke.
    #[error("the connection broke: {0}")]
    Io(#[from] io::Error),
    /// The server ended the connection.
    #[error("the server closed the connection")]
    Closed,
    /// The server said nothing for so long.
    #[error("no answer from the server for {seconds} s")]
    Silent {
        /// Seconds.
        seconds: u64,
    },
    /// The server refused a command.
    #[error("{command} was answered by {reply:?}")]
    Refused {
        /// What was asked.
        command: String,
        /// What it said.
        reply: String,
    },
    /// The answer is not what was stored or asked for.
    #[error("{what}: expected {expected}, found {found}")]
    Wrong {
        /// Which answer.
        what: String,
        /// How many or what it should have been.
        expected: String,
        /// What it was.
        found: String,
    },
    /// The server cannot do what the measurement needs.
    #[error("the server does not offer {0}")]
    Missing(&'static str),
    /// Something of this machine is too small.
    #[error("{0}")]
    Limit(String),
}

impl BenchError {
    pub(crate) fn wrong(what: &str, expected: &dyn Display, found: &dyn Display) -> BenchError {
        BenchError::Wrong { what: what.to_owned(), expected: expected.to_string(), found: found.to_string() }
    }

    pub(crate) fn refused(command: &str, reply: &[u8]) -> BenchError {
        let reply = String::from_utf8_lossy(&reply[..reply.len().min(300)]).into_owned();
        BenchError::Refused { command: command.chars().take(100).collect(), reply }
    }
}

/// Is the count the expected one?
pub(crate) fn expect(what: &str, expected: u64, found: u64) -> Result<(), BenchError> {
    if expected == found { Ok(()) } else { Err(BenchError::wrong(what, &expected, &found)) }
}
