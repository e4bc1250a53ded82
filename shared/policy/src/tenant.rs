//! The policy of a tenant: what its administrator has decided about incoming mail.

use std::fmt;
use std::str::FromStr;

use pennypost_model::codec::Versioned;
use serde::{Deserialize, Serialize};

use crate::address::{AddressError, DomainName, MailAddress};

/// Why a policy cannot be what somebody wants it to be.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PolicyError {
    /// Neither address nor domain.
    #[error(transparent)]
    Address(#[from] AddressError),
    /// A list is full.
    #[error("a list holds at most {limit} entries")]
    ListFull {
        /// Entries that a list may hold.
        limit: usize,
    },
    /// A subject keyword that is empty, too long, or holds control characters.
    #[error("a subject keyword has 1 to {limit} characters and no control characters")]
    Keyword {
        /// Characters that a keyword may have.
        limit: usize,
    },
}

/// A sender or a group of senders in a list.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum SenderPattern {
    /// Exactly that address, with or without `+tag`.
    Address(MailAddress),
    /// Every address of the domain and of the domains below it.
    Domain(DomainName),
}

impl SenderPattern {
    /// Reads an address, or a domain as `example.com` or `@example.com`.
    ///
    /// # Errors
    /// [`AddressError`] if it is neither.
    pub fn parse(text: &str) -> Result<SenderPattern, AddressError> {
        let text = text.trim();
        let domain = text.strip_prefix('@').unwrap_or(text);
        if domain.contains('@') {
            return MailAddress::parse(text).map(SenderPattern::Address);
        }
        DomainName::parse(domain).map(SenderPattern::Domain)
    }

    /// Is `address` one of these senders?
    #[must_use]
    pub fn matches(&self, address: &MailAddress) -> bool {
        match self {
            SenderPattern::Address(listed) => {
                listed == address || address.without_tag().is_some_and(|base| base == *listed)
            }
            SenderPattern::Domain(listed) => address.domain().is_within(listed),
        }
    }
}

impl fmt::Display for SenderPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            SenderPattern::Address(address) => address.fmt(f),
            SenderPattern::Domain(domain) => domain.fmt(f),
        }
    }
}

impl FromStr for SenderPattern {
    type Err = AddressError;
    fn from_str(text: &str) -> Result<SenderPattern, AddressError> {
        SenderPattern::parse(text)
    }
}

/// What a tenant's administrator has decided about incoming mail.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TenantPolicy {
    /// Version of the stored item, put in when it is read; 0 for the policy of a tenant that has set none.
    pub version: u64,
    /// Senders whose mail nobody in the tenant gets (RCV-03).
    pub blacklist: Vec<SenderPattern>,
    /// Senders whose mail is not intercepted (RCV-04).
    pub whitelist: Vec<SenderPattern>,
    /// Keywords; mail whose subject contains one, without regard to case, is refused (RCV-05).
    pub subject_filter: Vec<String>,
    /// Refuse what the domain in From asks to be refused (RFC 7489 `p=reject`).
    pub dmarc_reject: bool,
    /// Mail with at least so many points goes to the junk folder.
    pub junk_threshold: i32,
}

impl TenantPolicy {
    /// Entries of one list.
    pub const MAX_ENTRIES: usize = 1_000;
    /// Characters of a subject keyword.
    pub const MAX_KEYWORD: usize = 60;
    /// The threshold of a tenant that has set none.
    pub const DEFAULT_JUNK_THRESHOLD: i32 = 50;

    /// Puts a sender into the blacklist; `false` if it is there already.
    ///
    /// # Errors
    /// [`PolicyError`] for a text that is no sender, or a full list.
    pub fn add_to_blacklist(&mut self, sender: &str) -> Result<bool, PolicyError> {
        add(&mut self.blacklist, SenderPattern::parse(sender)?)
    }

    /// Takes a sender out of the blacklist; `false` if it is not there.
    ///
    /// # Errors
    /// [`PolicyError`] for a text that is no sender.
    pub fn remove_from_blacklist(&mut self, sender: &str) -> Result<bool, PolicyError> {
        Ok(remove(&mut self.blacklist, &SenderPattern::parse(sender)?))
    }

    /// Puts a sender into the whitelist; `false` if it is there already.
    ///
    /// # Errors
    /// [`PolicyError`] for a text that is no sender, or a full list.
    pub fn add_to_whitelist(&mut self, sender: &str) -> Result<bool, PolicyError> {
        add(&mut self.whitelist, SenderPattern::parse(sender)?)
    }

    /// Takes a sender out of the whitelist; `false` if it is not there.
    ///
    /// # Errors
    /// [`PolicyError`] for a text that is no sender.
    pub fn remove_from_whitelist(&mut self, sender: &str) -> Result<bool, PolicyError> {
        Ok(remove(&mut self.whitelist, &SenderPattern::parse(sender)?))
    }

    /// Puts a keyword into the subject filter; `false` if it is there already.
    ///
    /// # Errors
    /// [`PolicyError`] for an empty or overlong keyword, or a full list.
    pub fn add_to_subject_filter(&mut self, keyword: &str) -> Result<bool, PolicyError> {
        let keyword = keyword.trim();
        let length = keyword.chars().count();
        if length == 0 || length > Self::MAX_KEYWORD || keyword.chars().any(char::is_control) {
            return Err(PolicyError::Keyword { limit: Self::MAX_KEYWORD });
        }
        add(&mut self.subject_filter, keyword.to_lowercase())
    }

    /// Takes a keyword out of the subject filter; `false` if it is not there.
    pub fn remove_from_subject_filter(&mut self, keyword: &str) -> bool {
        remove(&mut self.subject_filter, &keyword.trim().to_lowercase())
    }

    /// Is one of `senders` in the blacklist?
    #[must_use]
    pub fn blacklists<'a>(&self, senders: impl IntoIterator<Item = &'a MailAddress>) -> bool {
        senders.into_iter().any(|sender| self.blacklist.iter().any(|pattern| pattern.matches(sender)))
    }

    /// Is one of `senders` in the whitelist?
    #[must_use]
    pub fn whitelists<'a>(&self, senders: impl IntoIterator<Item = &'a MailAddress>) -> bool {
        senders.into_iter().any(|sender| self.whitelist.iter().any(|pattern| pattern.matches(sender)))
    }

    /// Does the decoded subject contain a keyword?
    #[must_use]
    pub fn filters_subject(&self, subject: &str) -> bool {
        if self.subject_filter.is_empty() {
            return false;
        }
        let subject = subject.to_lowercase();
        self.subject_filter.iter().any(|keyword| subject.contains(keyword.as_str()))
    }
}

impl Default for TenantPolicy {
    fn default() -> TenantPolicy {
        TenantPolicy {
            version: 0,
            blacklist: Vec::new(),
            whitelist: Vec::new(),
            subject_filter: Vec::new(),
            dmarc_reject: true,
            junk_threshold: TenantPolicy::DEFAULT_JUNK_THRESHOLD,
        }
    }
}

impl Versioned for TenantPolicy {
    const KIND: &'static str = "tenant policy";
}

fn add<T: PartialEq>(list: &mut Vec<T>, entry: T) -> Result<bool, PolicyError> {
    if list.contains(&entry) {
        return Ok(false);
    }
    if list.len() >= TenantPolicy::MAX_ENTRIES {
        return Err(PolicyError::ListFull { limit: TenantPolicy::MAX_ENTRIES });
    }
    list.push(entry);
    Ok(true)
}

fn remove<T: PartialEq>(list: &mut Vec<T>, entry: &T) -> bool {
    let before = list.len();
    list.retain(|listed| listed != entry);
    list.len() != before
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_match_addresses_and_whole_domains() {
        for (pattern, address, matches) in [
            ("spam@example.com", "SPAM@example.com", true),
            ("spam@example.com", "spam+1@example.com", true),
            ("spam@example.com", "ham@example.com", false),
            ("spam@example.com", "spam@mail.example.com", false),
            ("example.com", "anyone@example.com", true),
            ("@Example.com", "anyone@mail.example.com", true),
            ("example.com", "anyone@badexample.com", false),
            ("bücher.example", "a@xn--bcher-kva.example", true),
        ] {
            let pattern = SenderPattern::parse(pattern).expect("pattern");
            let address = MailAddress::parse(address).expect("address");
            assert_eq!(pattern.matches(&address), matches, "{pattern} {address}");
        }
        assert!(SenderPattern::parse("not a sender").is_err());
    }

    #[test]
    fn lists_are_sets_with_a_limit() {
        let mut policy = TenantPolicy::default();
        assert_eq!(policy.add_to_blacklist("Example.com"), Ok(true));
        assert_eq!(policy.add_to_blacklist("@example.com"), Ok(false));
        assert_eq!(policy.remove_from_blacklist("example.com"), Ok(true));
        assert_eq!(policy.remove_from_blacklist("example.com"), Ok(false));
        for number in 0..TenantPolicy::MAX_ENTRIES {
            assert_eq!(policy.add_to_subject_filter(&format!("word {number}")), Ok(true));
        }
        assert_eq!(
            policy.add_to_subject_filter("one more"),
            Err(PolicyError::ListFull { limit: TenantPolicy::MAX_ENTRIES })
        );
        assert!(policy.add_to_subject_filter("  ").is_err());
        assert!(policy.filters_subject("WORD 7") && !policy.filters_subject("words"));
    }
}
