//! Scanners: programs that say of a letter whether there is a virus in it, or how much it looks like spam.

use std::net::IpAddr;

use async_trait::async_trait;
use pennypost_model::EventId;
use pennypost_model::scan::ScanReport;

/// What a scanner looks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ScansFor {
    /// Viruses: asked about what comes in and what members send.
    Viruses,
    /// Spam: asked about what comes in from other servers.
    Spam,
}

/// A letter with what its envelope says.
#[derive(Debug, Clone, Copy)]
pub struct ScanLetter<'a> {
    /// Its id.
    pub id: EventId,
    /// All of its bytes, as they came.
    pub raw: &'a [u8],
    /// Reverse-path; empty for `<>`.
    pub reverse_path: &'a str,
    /// Addresses of its recipients, some of them where they are many.
    pub recipients: &'a [&'a str],
    /// Whoever handed it in.
    pub ip: Option<IpAddr>,
    /// Its EHLO or HELO name.
    pub helo: &'a str,
}

/// Why a scanner said nothing of a letter.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ScanError {
    /// It can't be reached: later it may be. No letter's fault, and the same for all of them.
    #[error("{scanner} does not answer: {cause}")]
    Unavailable {
        /// Which.
        scanner: &'static str,
        /// What happened, without secrets and addresses.
        cause: String,
    },
    /// It has the letter, and said nothing of it: it took too long, broke off, or told of an error. That may be the letter's fault, and says
    /// little of others.
    #[error("{scanner} does not answer: {cause}")]
    Failed {
        /// Which.
        scanner: &'static str,
        /// What happened, without secrets and addresses.
        cause: String,
    },
    /// It never looks at this letter: too large, or more than it can unpack.
    #[error("{scanner} does not look at this letter: {cause}")]
    Refused {
        /// Which.
        scanner: &'static str,
        /// Why.
        cause: String,
    },
}

/// A scanner. Asking changes nothing, and may be repeated; the same letter may be answered otherwise tomorrow, when the scanner
/// knows more.
#[async_trait]
pub trait Scanner: Send + Sync {
    /// What it is called in traces.
    fn name(&self) -> &'static str;

    /// What it looks for.
    fn scans_for(&self) -> ScansFor;

    /// What it says of a letter. Comes to an end within the time that the operator has said.
    ///
    /// # Errors
    /// [`ScanError`].
    async fn scan(&self, letter: &ScanLetter<'_>) -> Result<ScanReport, ScanError>;
}
