//! What a mailbox is for, as mail programs are told (RFC 6154 section 2, RFC 8457 for `\Important`).

use serde::{Deserialize, Serialize};

use crate::MailboxRole;

/// A set of uses. A mailbox may have several, and several mailboxes may have one: programs choose. Where the post
/// office itself puts mail does not depend on it but on the [`MailboxRole`].
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct SpecialUses(u16);

impl SpecialUses {
    /// No use.
    pub const NONE: SpecialUses = SpecialUses(0);

    /// Each use with its attribute, in the order in which they are listed.
    pub const NAMED: [(SpecialUses, &'static str); 6] = [
        (SpecialUses(1), "\\Archive"),
        (SpecialUses(2), "\\Drafts"),
        (SpecialUses(4), "\\Junk"),
        (SpecialUses(8), "\\Sent"),
        (SpecialUses(16), "\\Trash"),
        (SpecialUses(32), "\\Important"),
    ];

    /// The use with that attribute, in any case. `None` for those that would need a mailbox made of a search
    /// (`\All`, `\Flagged`), and for what is unknown.
    #[must_use]
    pub fn named(attribute: &str) -> Option<SpecialUses> {
        let found = SpecialUses::NAMED.iter().find(|(_, name)| name.eq_ignore_ascii_case(attribute));
        found.map(|(one, _)| *one)
    }

    /// The uses with which a mailbox of this role begins.
    #[must_use]
    pub const fn of_role(role: Option<MailboxRole>) -> SpecialUses {
        match role {
            Some(MailboxRole::Archive) => SpecialUses(1),
            Some(MailboxRole::Drafts) => SpecialUses(2),
            Some(MailboxRole::Junk) => SpecialUses(4),
            Some(MailboxRole::Sent) => SpecialUses(8),
            Some(MailboxRole::Trash) => SpecialUses(16),
            Some(MailboxRole::Inbox | MailboxRole::Transfer) | None => SpecialUses::NONE,
        }
    }

    /// No use at all?
    #[must_use]
    pub const fn is_none(self) -> bool {
        self.0 == 0
    }

    /// These and those.
    #[must_use]
    pub const fn union(self, other: SpecialUses) -> SpecialUses {
        SpecialUses(self.0 | other.0)
    }

    /// The attributes.
    pub fn names(self) -> impl Iterator<Item = &'static str> {
        SpecialUses::NAMED.into_iter().filter(move |(one, _)| self.0 & one.0 != 0).map(|(_, name)| name)
    }
}
