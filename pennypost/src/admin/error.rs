//! Why a command did not do what it was asked, said in the person's language.

use pennypost_directory::DirectoryError;

use crate::say;
use crate::text::{Text, directory_message};

/// Why a command failed.
#[derive(Debug, thiserror::Error)]
pub enum AdminError {
    /// The directory.
    #[error(transparent)]
    Directory(#[from] DirectoryError),
    /// Nobody can read the output any more.
    #[error("the output cannot be written: {0}")]
    Output(#[from] std::io::Error),
    /// Something else, already in the person's language.
    #[error("{0}")]
    Said(String),
}

impl AdminError {
    /// The text for the person, without `error: ` in front.
    #[must_use]
    pub fn message(&self, text: &Text) -> String {
        match self {
            AdminError::Directory(error) => directory_message(error, text),
            AdminError::Output(error) => say!(text, "error-output", cause = error.to_string()),
            AdminError::Said(message) => message.clone(),
        }
    }
}
