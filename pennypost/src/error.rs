//! Why a command failed, in the person's language.

use pennypost_backend_aws as aws;
use pennypost_backend_embedded as embedded;
use pennypost_directory::DirectoryError;
use pennypost_mailstore::StoreError;
use pennypost_ports::PortError;

use crate::admin::AdminError;
use crate::say;
use crate::text::Text;

/// Why a command failed.
#[derive(Debug, thiserror::Error)]
pub enum Failed {
    /// The data directory can't be opened.
    #[error(transparent)]
    Open(#[from] embedded::Error),
    /// The services of a cloud can't be used.
    #[error(transparent)]
    Cloud(#[from] aws::Error),
    /// An administrator's command.
    #[error(transparent)]
    Admin(#[from] AdminError),
    /// The mail store.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A file or the terminal.
    #[error(transparent)]
    Io(#[from] std::io::Error),
    /// Already in the person's language.
    #[error("{0}")]
    Said(String),
}

impl From<DirectoryError> for Failed {
    fn from(error: DirectoryError) -> Failed {
        Failed::Admin(error.into())
    }
}

impl From<PortError> for Failed {
    fn from(error: PortError) -> Failed {
        Failed::Store(error.into())
    }
}

impl Failed {
    /// The text for the person, without `error: ` in front.
    #[must_use]
    pub fn message(&self, text: &Text) -> String {
        match self {
            Failed::Open(embedded::Error::Missing { dir }) => {
                say!(text, "failed-no-data", data = dir.display().to_string())
            }
            Failed::Open(embedded::Error::NotADirectory { dir }) => {
                say!(text, "failed-not-a-directory", data = dir.display().to_string())
            }
            Failed::Open(error) => say!(text, "failed-open", cause = error.to_string()),
            Failed::Cloud(error) => say!(text, "failed-cloud", cause = error.to_string()),
            Failed::Admin(error) => error.message(text),
            Failed::Store(error) => say!(text, "failed-store", cause = error.to_string()),
            Failed::Io(error) => say!(text, "failed-io", cause = error.to_string()),
            Failed::Said(message) => message.clone(),
        }
    }
}
