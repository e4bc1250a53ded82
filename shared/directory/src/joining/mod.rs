//! Joining by invitation (ORG-10 … ORG-12): links by which people become members, what was applied for by them, and
//! invitations of members who have no password yet.
//!
//! | partition | sort | holds |
//! | --- | --- | --- |
//! | `T` | `joining` | [`JoiningRules`] |
//! | `T/invitations` | `ID` | an [`Invitation`], the hash of its secret, and its places that are being taken |
//! | `T/applications` | `DOMAIN/LOCAL` | what was last applied for at that address: an [`Application`] |
//! | `T/member-invitations` | `A` | that the member of that account may set a first password: the hash of a secret |
//!
//! What is given out is 256 random bits behind the ids that lead to it, told once and stored as SHA-256. It stands in the
//! body of a request, never in its path or in a cookie: no log holds it, and no foreign page can make a browser show it.
//!
//! Invariants:
//! - An invitation is accepted as often as it says, at most. A place in it is taken by compare-and-set before anything is
//!   applied for, and counts until it is known that nothing has come of it.
//! - An address is applied for by one at a time. What is applied for stands in one item, and every step is a
//!   compare-and-set of it. Where nothing has come of it, the item stays for a day: its version goes on.
//! - An account comes of it once. Each attempt to add it has an account id of its own, which stands in the application
//!   before the attempt begins; the address is the only thing that makes one of them the account ([`crate::account`]).
//!   Whoever takes an attempt over claims the address anew, so that the one before, if it was only held up, fails.
//! - A first password is set by put-if-absent: of two, and of an administrator at the same time, one wins.
//!
//! If the process dies at any line: the same request again goes on where it stopped; and without it, whoever needs the
//! place, or looks at the list, finds out what became of it.

mod apply;
mod invitation;
mod member;
mod number;
mod rules;

use pennypost_model::TenantId;
use sha2::{Digest, Sha256};

pub use apply::{Application, ApplicationState, Applied, Joining, NewApplication};
pub use invitation::{Invitation, InvitationId, MAX_INVITATION_USES, MAX_INVITATIONS, NewInvitation};
pub use member::MemberInvitation;
pub use rules::JoiningRules;

/// Milliseconds of a day.
const DAY: i64 = 24 * 60 * 60 * 1000;
/// The longest time for which an invitation is good: 90 days.
pub const MAX_INVITATION_LIFE: i64 = 90 * DAY;
/// What the secrets of open invitations, of invitations of members, and of applications begin with.
const OPEN: &str = "ppi_";
const MEMBER: &str = "ppm_";
const RECEIPT: &str = "ppa_";
/// Hex digits of an id, and of a secret.
const ID: usize = 16;
const SECRET: usize = 64;

/// Why an invitation is good for nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum InvitationEnd {
    /// The organisation does not let people join at the moment.
    #[error("the organisation does not let people join by invitation")]
    Closed,
    /// Its time is over.
    #[error("the time of the invitation is over")]
    Past,
    /// It was revoked.
    #[error("the invitation was revoked")]
    Revoked,
    /// It was accepted as often as it may be.
    #[error("the invitation was accepted as often as it may be")]
    UsedUp,
}

impl InvitationEnd {
    /// Its name in documents.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            InvitationEnd::Closed => "closed",
            InvitationEnd::Past => "past",
            InvitationEnd::Revoked => "revoked",
            InvitationEnd::UsedUp => "used-up",
        }
    }
}

/// 256 random bits, and their hash.
fn fresh_secret() -> (String, [u8; 32]) {
    let secret: String = rand::random::<[u8; 32]>().iter().map(|byte| format!("{byte:02x}")).collect();
    let hash = hash(&secret);
    (secret, hash)
}

fn hash(secret: &str) -> [u8; 32] {
    Sha256::digest(secret.as_bytes()).into()
}

/// Tenant, id and secret of a text that begins so.
fn parts<'a>(text: &'a str, prefix: &str) -> Option<(TenantId, &'a str, &'a str)> {
    let digits = text.strip_prefix(prefix)?;
    let is_hex = digits.len() == 2 * ID + SECRET
        && digits.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
    if !is_hex {
        return None;
    }
    Some((digits[..ID].parse().ok()?, &digits[ID..2 * ID], &digits[2 * ID..]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_given_out_has_one_form() {
        let (secret, hashed) = fresh_secret();
        assert_eq!((secret.len(), hash(&secret)), (SECRET, hashed));
        let text = format!("{OPEN}{}{}{secret}", TenantId(1), "00000000000000ff");
        let (tenant, id, read) = parts(&text, OPEN).expect("its parts");
        assert_eq!((tenant, id, read), (TenantId(1), "00000000000000ff", secret.as_str()));
        let capital = format!("{OPEN}{}{}{}", TenantId(1), "00000000000000FF", secret);
        for bad in ["", OPEN, &text[..text.len() - 1], &format!("{text}0"), &capital] {
            assert_eq!(parts(bad, OPEN), None, "{bad}");
        }
        assert_eq!(parts(&text, MEMBER), None);
    }
}
