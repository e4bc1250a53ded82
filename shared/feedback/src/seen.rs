//! What is counted of a message, and the sums of a period and a domain.

use std::net::IpAddr;

use pennypost_model::codec::Versioned;
use pennypost_model::event::Verdict;
use pennypost_model::message::cut;
use serde::{Deserialize, Serialize};

/// Signatures of a message that are told of.
const MAX_SIGNATURES: usize = 4;
/// Bytes of a domain.
const MAX_DOMAIN: usize = 253;
/// Bytes of a selector.
const MAX_SELECTOR: usize = 63;
/// Bytes of the rows of a domain: an item of the control table holds them.
const MAX_WEIGHT: usize = 250_000;
/// Bytes of a row without what it names.
const ROW: usize = 64;

/// What was done with a message because of DMARC. Stored: new ones at the end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Disposition {
    /// Nothing.
    None,
    /// It goes to Junk.
    Quarantine,
    /// It was refused.
    Reject,
}

/// Why something else was done than the domain asks for. Stored: new ones at the end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Reason {
    /// The organisation wants it so.
    LocalPolicy,
    /// A forwarder vouches for it (ARC).
    TrustedForwarder,
}

/// A DKIM signature.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Signature {
    /// Who signs.
    pub domain: String,
    /// By which key.
    pub selector: String,
    /// Does it hold?
    pub result: Verdict,
}

/// What is told of a message: of equal ones the number.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Seen {
    /// The peer.
    pub source: IpAddr,
    /// The author's domain.
    pub author: String,
    /// The domain of the reverse-path; empty for `<>`.
    pub envelope_from: String,
    /// The domain that SPF was asked of.
    pub spf_domain: String,
    /// What it said.
    pub spf: Verdict,
    /// Signatures.
    pub signatures: Vec<Signature>,
    /// SPF holds for the author's domain.
    pub is_spf_aligned: bool,
    /// A signature holds for the author's domain.
    pub is_dkim_aligned: bool,
    /// What was done.
    pub disposition: Disposition,
    /// Why it was something else.
    pub reason: Option<Reason>,
}

impl Seen {
    /// Has DMARC passed?
    #[must_use]
    pub const fn has_passed(&self) -> bool {
        self.is_spf_aligned || self.is_dkim_aligned
    }

    /// What strangers have named, within bounds.
    pub(crate) fn bounded(mut self) -> Seen {
        for domain in [&mut self.author, &mut self.envelope_from, &mut self.spf_domain] {
            shorten(domain, MAX_DOMAIN);
        }
        self.signatures.truncate(MAX_SIGNATURES);
        for signature in &mut self.signatures {
            shorten(&mut signature.domain, MAX_DOMAIN);
            shorten(&mut signature.selector, MAX_SELECTOR);
        }
        self
    }

    pub(crate) fn weight(&self) -> usize {
        let signatures = self.signatures.iter().map(|one| one.domain.len() + one.selector.len() + 8);
        ROW + self.author.len() + self.envelope_from.len() + self.spf_domain.len() + signatures.sum::<usize>()
    }
}

/// Domains are compared as they are written in small letters.
fn shorten(text: &mut String, max: usize) {
    text.truncate(cut(text, max).len());
    text.make_ascii_lowercase();
}

/// What came in of a domain.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Sums {
    pub rows: Vec<(Seen, u64)>,
    /// Messages for whose rows there was no room.
    pub left_out: u64,
}

impl Versioned for Sums {
    const KIND: &'static str = "results of DMARC";
}

impl Sums {
    /// Those of another process, or of another domain under the same policy.
    pub(crate) fn merge(&mut self, other: Sums) {
        self.left_out = self.left_out.saturating_add(other.left_out);
        let mut weight: usize = self.rows.iter().map(|(seen, _)| seen.weight()).sum();
        for (seen, count) in other.rows {
            if let Some((_, known)) = self.rows.iter_mut().find(|(known, _)| *known == seen) {
                *known = known.saturating_add(count);
            } else if weight + seen.weight() <= MAX_WEIGHT {
                weight += seen.weight();
                self.rows.push((seen, count));
            } else {
                self.left_out = self.left_out.saturating_add(count);
            }
        }
    }
}
