//! Who may do what with a mailbox (RFC 4314).

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::AccountId;

/// Whom an entry of an access control list names. All of them are of the tenant that owns the mailbox: the type
/// can't name anybody else (architecture, invariant 7).
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Grantee {
    /// Every account of the tenant: `anyone`.
    Anyone,
    /// An account of the tenant. Its address may change; the entry stays with the account.
    Account(AccountId),
    /// The members of the group with this address, at the time of asking.
    Group(String),
}

/// A set of rights.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Rights(u16);

/// Letters of the rights (RFC 4314 section 2.1), the first for bit 0.
const LETTERS: &[u8; 11] = b"lrswipkxtea";

impl Rights {
    /// None.
    pub const NONE: Rights = Rights(0);
    /// All of them: the owner's.
    pub const ALL: Rights = Rights(0x7ff);
    /// `l`: it is seen by LIST, and can be subscribed.
    pub const LOOKUP: Rights = Rights(1);
    /// `r`: SELECT, STATUS, reading.
    pub const READ: Rights = Rights(1 << 1);
    /// `s`: setting and clearing `\Seen`.
    pub const SEEN: Rights = Rights(1 << 2);
    /// `w`: flags but `\Seen` and `\Deleted`.
    pub const WRITE: Rights = Rights(1 << 3);
    /// `i`: APPEND and COPY into it.
    pub const INSERT: Rights = Rights(1 << 4);
    /// `p`: sending mail to it.
    pub const POST: Rights = Rights(1 << 5);
    /// `k`: creating mailboxes below it.
    pub const CREATE: Rights = Rights(1 << 6);
    /// `x`: deleting and renaming it.
    pub const DELETE_MAILBOX: Rights = Rights(1 << 7);
    /// `t`: setting and clearing `\Deleted`.
    pub const DELETE_MESSAGES: Rights = Rights(1 << 8);
    /// `e`: EXPUNGE.
    pub const EXPUNGE: Rights = Rights(1 << 9);
    /// `a`: reading and changing its list of rights.
    pub const ADMINISTER: Rights = Rights(1 << 10);

    /// Reads the letters of RFC 4314 and the two old ones of RFC 2086 (section 2.1.1): `c` is `k`, `d` is `x`, `t`
    /// and `e`. `None` if there is another one.
    #[must_use]
    pub fn parse(letters: &str) -> Option<Rights> {
        let mut rights = Rights::NONE;
        for letter in letters.bytes() {
            let right = match letter {
                b'c' => Rights::CREATE,
                b'd' => Rights::DELETE_MAILBOX.union(Rights::DELETE_MESSAGES).union(Rights::EXPUNGE),
                _ => Rights(1 << LETTERS.iter().position(|known| *known == letter)?),
            };
            rights = rights.union(right);
        }
        Some(rights)
    }

    /// Are all of `other` in this set?
    #[must_use]
    pub const fn contains(self, other: Rights) -> bool {
        self.0 & other.0 == other.0
    }

    /// Is any of `other` in this set?
    #[must_use]
    pub const fn intersects(self, other: Rights) -> bool {
        self.0 & other.0 != 0
    }

    /// These and those.
    #[must_use]
    pub const fn union(self, other: Rights) -> Rights {
        Rights(self.0 | other.0)
    }

    /// These without those.
    #[must_use]
    pub const fn without(self, other: Rights) -> Rights {
        Rights(self.0 & !other.0)
    }

    /// None at all?
    #[must_use]
    pub const fn is_none(self) -> bool {
        self.0 == 0
    }
}

impl fmt::Display for Rights {
    /// As letters, with the old `c` and `d` behind them where one of what they stood for is there (RFC 4314
    /// section 2.1.1).
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (bit, letter) in LETTERS.iter().enumerate() {
            if self.0 >> bit & 1 == 1 {
                write!(f, "{}", *letter as char)?;
            }
        }
        if self.contains(Rights::CREATE) {
            f.write_str("c")?;
        }
        let old_delete = Rights::DELETE_MAILBOX.union(Rights::DELETE_MESSAGES).union(Rights::EXPUNGE);
        if self.intersects(old_delete) {
            f.write_str("d")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rights_are_letters() {
        assert_eq!(Rights::parse("lrswipkxtea"), Some(Rights::ALL));
        assert_eq!(Rights::ALL.to_string(), "lrswipkxteacd");
        assert_eq!(Rights::parse("lrcd").map(|rights| rights.to_string()).as_deref(), Some("lrkxtecd"));
        assert_eq!(Rights::parse("lq"), None);
        assert_eq!(Rights::parse(""), Some(Rights::NONE));
        assert_eq!(Rights::parse("lr").map(|rights| rights.to_string()).as_deref(), Some("lr"));
    }
}
