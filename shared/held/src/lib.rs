//! Letters of members that wait for their time: scheduled ones (SND-08, RFC 4865), and those that can be taken back for a moment.
//!
//! Owns two kinds of control items. `T/held`, by account and letter: [`Held`], the event as it was accepted with what has
//! become of it. And `held-due` and `held-due-large`, which are the installation's: a row for each by the time at which it is to be looked at, as
//! `outbound-due` has them. The bytes lie in `T/spool`.
//!
//! Invariants: a letter that has not ended has a row at its time or earlier, since a row is written before its item and
//! removed behind all that follows from its end. Its end is one conditional write: it went, it was taken back, or it can't go.
//! That write names the ids of what follows (the event, the copy in Drafts, the report), so what is done twice is one letter.
//! Nothing of it runs before: no event is in a queue.
//!
//! If the process dies at any line: before the item, nobody was told `250`, and bytes and row are orphans; behind its end, the
//! row leads whoever looks next to the item, and what follows is done again.

mod contents;
mod item;
mod judge;
mod letter;
mod release;
mod store;
mod time;

pub use item::{Cause, Held, Lane, State, Why};
pub use judge::Judgement;
pub use release::{Ports, Releaser};
pub use store::{Change, Changed, Due, HeldError, HeldLetters, KEPT};
pub use time::{DEFAULT_ZONE, said_time, shown_time};

/// Letters of an account that wait at once, at most.
pub const MAX_HELD: usize = 200;
/// Bytes of them.
pub const MAX_HELD_BYTES: u64 = 1 << 30;
/// Days for which a letter is put off at most by whoever says another time; one that was to wait for longer may.
pub const MAX_DAYS: u16 = 30;
