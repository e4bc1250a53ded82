//! Message flags: the five storable system flags of RFC 3501 section 2.3.2 and keywords.

use std::fmt;

use serde::{Deserialize, Serialize};

/// A set of system flags as bits. `\Recent` is a session's business and is not stored.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct SystemFlags(pub u8);

impl SystemFlags {
    /// `\Seen`
    pub const SEEN: SystemFlags = SystemFlags(1);
    /// `\Answered`
    pub const ANSWERED: SystemFlags = SystemFlags(2);
    /// `\Flagged`
    pub const FLAGGED: SystemFlags = SystemFlags(4);
    /// `\Deleted`
    pub const DELETED: SystemFlags = SystemFlags(8);
    /// `\Draft`
    pub const DRAFT: SystemFlags = SystemFlags(16);

    /// Each flag with its name, in the order in which they are listed to clients.
    pub const NAMED: [(SystemFlags, &'static str); 5] = [
        (SystemFlags::ANSWERED, "\\Answered"),
        (SystemFlags::FLAGGED, "\\Flagged"),
        (SystemFlags::DELETED, "\\Deleted"),
        (SystemFlags::SEEN, "\\Seen"),
        (SystemFlags::DRAFT, "\\Draft"),
    ];

    /// Is every flag of `other` in this set?
    #[must_use]
    pub const fn contains(self, other: SystemFlags) -> bool {
        self.0 & other.0 == other.0
    }

    /// This set and `other`.
    #[must_use]
    pub const fn union(self, other: SystemFlags) -> SystemFlags {
        SystemFlags(self.0 | other.0)
    }

    /// The flag of that name, whatever its case.
    #[must_use]
    pub fn named(name: &str) -> Option<SystemFlags> {
        Self::NAMED.iter().find(|(_, known)| known.eq_ignore_ascii_case(name)).map(|(flag, _)| *flag)
    }
}

/// A keyword (RFC 3501 `flag-keyword`, RFC 5788): an atom without a backslash, compared without case.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Keyword(String);

impl Keyword {
    /// Longest keyword that is taken, in bytes.
    pub const MAX_LEN: usize = 100;

    /// Parses an atom. `None` for anything that is no atom or is longer than [`Keyword::MAX_LEN`].
    #[must_use]
    pub fn parse(text: &str) -> Option<Keyword> {
        let is_atom_char = |byte: u8| byte.is_ascii_graphic() && !b"(){%*\"\\]".contains(&byte);
        let valid = !text.is_empty() && text.len() <= Self::MAX_LEN && text.bytes().all(is_atom_char);
        valid.then(|| Keyword(text.to_owned()))
    }

    /// The keyword as first written.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl PartialEq for Keyword {
    fn eq(&self, other: &Keyword) -> bool {
        self.0.eq_ignore_ascii_case(&other.0)
    }
}
impl Eq for Keyword {}

impl fmt::Display for Keyword {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Flags by name, as they stand in journal entries and commands.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct FlagSet {
    /// The system flags.
    pub system: SystemFlags,
    /// The keywords, each once.
    pub keywords: Vec<Keyword>,
}

impl FlagSet {
    /// Only system flags.
    #[must_use]
    pub const fn system(system: SystemFlags) -> FlagSet {
        FlagSet { system, keywords: Vec::new() }
    }

    /// Holds no flag at all.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.system.0 == 0 && self.keywords.is_empty()
    }

    /// Adds the flag or keyword of that name; `false` if it is neither (`\Recent` and unknown `\` names are
    /// not settable).
    pub fn insert_named(&mut self, name: &str) -> bool {
        if let Some(flag) = SystemFlags::named(name) {
            self.system = self.system.union(flag);
            return true;
        }
        match Keyword::parse(name) {
            Some(keyword) => {
                if !self.keywords.contains(&keyword) {
                    self.keywords.push(keyword);
                }
                true
            }
            None => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keywords_are_atoms_without_case() {
        assert_eq!(Keyword::parse("$Forwarded"), Keyword::parse("$FORWARDED"));
        for bad in ["", "a b", "\\Seen", "a(b", "a\"b", "ключ", &"x".repeat(101)] {
            assert!(Keyword::parse(bad).is_none(), "{bad:?}");
        }
    }

    #[test]
    fn flags_are_named_without_case() {
        let mut flags = FlagSet::default();
        assert!(flags.insert_named("\\seen") && flags.insert_named("Work") && flags.insert_named("WORK"));
        assert!(!flags.insert_named("\\Recent"));
        assert_eq!(flags.system, SystemFlags::SEEN);
        assert_eq!(flags.keywords.len(), 1);
    }
}
