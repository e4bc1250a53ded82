//! What a client has turned on (RFC 5161): it changes how the server speaks for the rest of the session.

use super::grammar::utf7::Names;

/// What is enabled.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Modes {
    /// CONDSTORE (RFC 7162 section 3.1): every untagged FETCH tells MODSEQ.
    pub condstore: bool,
    /// QRESYNC (RFC 7162 section 3.2): VANISHED takes the place of EXPUNGE.
    pub qresync: bool,
    /// IMAP4rev2 (RFC 9051): no `\Recent`, ESEARCH for SEARCH, names in UTF-8.
    pub rev2: bool,
    /// UTF8=ACCEPT (RFC 6855): names in UTF-8, messages with UTF-8 headers in APPEND.
    pub utf8: bool,
    /// UIDONLY (RFC 9586): no message sequence numbers in either direction.
    pub uid_only: bool,
}

impl Modes {
    /// How mailbox names are written.
    pub const fn names(self) -> Names {
        if self.rev2 || self.utf8 { Names::Utf8 } else { Names::Utf7 }
    }

    /// VANISHED instead of EXPUNGE.
    pub const fn vanished(self) -> bool {
        self.qresync || self.uid_only
    }
}
