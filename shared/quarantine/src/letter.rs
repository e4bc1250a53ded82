//! A letter in quarantine, as its row tells of it.

use pennypost_model::codec::Versioned;
use pennypost_model::event::Accepted;
use pennypost_model::message::Contact;
use pennypost_model::scan::HeldFor;
use pennypost_model::{AccountKey, EventId, Timestamp};
use serde::{Deserialize, Serialize};

use crate::KEPT_DAYS;

/// What a recipient does not get.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HeldLetter {
    /// Its id.
    pub letter: EventId,
    /// Whose it would be.
    pub account: AccountKey,
    /// The address to which it came.
    pub address: String,
    /// When it was accepted.
    pub accepted: Timestamp,
    /// When it came here.
    pub kept: Timestamp,
    /// Reverse-path.
    pub reverse_path: String,
    /// Its first author.
    pub from: Contact,
    /// Its subject, cut to 200 bytes.
    pub subject: String,
    /// Bytes.
    pub size: u64,
    /// Why it is here.
    pub held_for: HeldFor,
    /// What was decided, and why: as in its trace.
    pub reasons: Vec<String>,
    /// What became of it.
    pub state: HeldState,
}

/// What became of a letter in quarantine. Stored: new ones at the end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum HeldState {
    /// It lies there.
    Held,
    /// It is to be delivered, and is perhaps not in the queue yet.
    Releasing {
        /// Since when.
        at: Timestamp,
    },
    /// It is delivered, or on its way there.
    Released {
        /// Since when.
        at: Timestamp,
    },
    /// It is not shown any more.
    Deleted {
        /// Since when.
        at: Timestamp,
    },
}

impl HeldState {
    /// Does its recipient get it?
    #[must_use]
    pub const fn is_released(self) -> bool {
        matches!(self, HeldState::Releasing { .. } | HeldState::Released { .. })
    }

    /// Its name, as documents have it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            HeldState::Held => "held",
            HeldState::Releasing { .. } => "releasing",
            HeldState::Released { .. } => "released",
            HeldState::Deleted { .. } => "deleted",
        }
    }
}

impl HeldLetter {
    /// Until when it lies there: however old the letter was when it came here.
    #[must_use]
    pub fn expires(&self) -> Timestamp {
        expires(self.kept)
    }
}

/// When what came then goes.
pub(crate) const fn expires(kept: Timestamp) -> Timestamp {
    kept.plus_millis(KEPT_DAYS * 86_400_000)
}

impl Versioned for HeldLetter {
    const KIND: &'static str = "letter in quarantine";
}

/// The envelope of a letter, as it was accepted; its bytes lie in the object that its body names.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Envelope {
    pub(crate) accepted: Accepted,
    /// When it came here first. Rows that came later say so themselves.
    pub(crate) kept: Timestamp,
}

impl Versioned for Envelope {
    const KIND: &'static str = "envelope in quarantine";
}

/// That somebody is releasing a letter for an account.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Release {
    /// Since when.
    pub(crate) at: Timestamp,
}

impl Versioned for Release {
    const KIND: &'static str = "release from quarantine";
}
