//! State = base + tail: what a journal means (architecture sections 1 and 4).
//!
//! Owns: [`State`], the meaning of an account's journal up to one entry; [`fold`](State::fold), the pure and
//! total function that advances it; [`Draft`], which makes entries that fold as intended; [`base`], the
//! columnar form in which a state is stored; [`diff`], what changed between two states of a mailbox; [`Narrowing`],
//! what mail programs see of a state.
//!
//! Invariants: folding the same entries gives the same state on every path (whole journal, base and tail,
//! one by one); counters equal a recount; UIDs ascend and are never given twice. A `State` is cheap to clone:
//! clones share all that has not changed since, and a change copies little of it (`ascending`).
//!
//! Nothing here does I/O, so there is nothing to lose when the process dies.

mod ascending;
pub mod base;
pub mod diff;
pub mod draft;
mod mailbox;
mod narrow;
mod rows;
mod state;

pub use ascending::Ascending;
pub use draft::{Draft, DraftError, NewMessage};
pub use mailbox::{Annotations, Counts, Mailbox, name};
pub use narrow::{Narrowing, Sight};
pub use rows::{Row, RowFlags, Rows, Seconds};
pub use state::{Deleted, FoldError, State};
