//! The types of the post office, shared by everything and depending on nothing of ours.
//!
//! Owns: identities and units ([`ids`]), flags and UID sets ([`flags`], [`uidset`]), the journal entry
//! ([`journal`]), what a mailbox is for and who may use it ([`special_use`], [`sharing`]), the compressed form
//! in which message bytes travel and lie ([`message`]), the parsed shape of a message ([`structure`]), what scanners say
//! of it ([`scan`]), the events of every queue ([`event`]), the trace records ([`trace`]) and what work used ([`usage`]).
//!
//! Invariants: no I/O, no clock, no randomness; everything that is stored or sent is written through
//! [`codec`], which puts a format version in front and reads the last one too (architecture, invariant 10).

pub mod codec;
pub mod event;
pub mod flags;
pub mod ids;
pub mod journal;
pub mod message;
pub mod scan;
pub mod sharing;
pub mod special_use;
pub mod structure;
pub mod trace;
pub mod uidset;
pub mod usage;

pub use flags::{FlagSet, Keyword, SystemFlags};
pub use ids::{
    AccountId, AccountKey, EventId, MailboxId, MailboxRole, Rid, Seq, TaskId, TenantId, ThreadId, Timestamp,
    Uid, UidValidity,
};
pub use sharing::{Grantee, Rights};
pub use special_use::SpecialUses;
pub use uidset::UidSet;
