//! Pure decisions over messages: refuse before `250`, junk, deliver where and why.
//!
//! Owns: the form of mail addresses and domains ([`address`]), the policy of a tenant ([`tenant`]), the score
//! ([`score()`]), the decision before the `250` ([`accept()`]) and the one after it ([`place()`]). The order of the
//! rules and its reasons stand in `docs/decisions/0003-receiving-policy.md`. What members say themselves is in [`rules`], what organisations say of letters that
//! go out in [`content`], what follows from
//! what scanners find in [`scanning`].
//!
//! Invariants: no I/O, no clock, no randomness: the same arguments give the same decision, so that a replayed
//! event is decided alike under the same policy version. After `250` nothing is refused (architecture,
//! invariant 9): [`place()`] knows only mailboxes. No function panics, whatever a message holds.

pub mod accept;
pub mod address;
pub mod content;
pub mod place;
pub mod rules;
pub mod scanning;
pub mod score;
pub mod tenant;

pub use accept::{Acceptance, accept, submit, whitelists};
pub use address::{AddressError, DomainName, MailAddress};
pub use place::{DRAFT_REASON, Placed, SENT_REASON, SYSTEM_REASON, place, place_letter, place_screened};
pub use rules::{MemberRules, Personal};
pub use scanning::{BadPoints, RecipientsGet, ScanPolicy, Screening, Unanswered, VirusAction};
pub use score::{Score, score};
pub use tenant::{PolicyError, SenderPattern, TenantPolicy};
