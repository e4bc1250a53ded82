//! Letters that scanners speak against (RCV-11): kept for some days, released or deleted.
//!
//! A letter has an item in `T/quarantined-letters` under its id: its envelope, as it was accepted, and an object with its bytes, `T/qn/DAY/ID`.
//! Each of its recipients who does not get it has a row in `T/quarantine` under `ACCOUNT/ID`: what people are shown of it, and what
//! became of it. Items come first, then bytes, then rows: a row says that all is there, and an item without rows that nothing was
//! decided yet.
//!
//! What lies here goes [`KEPT_DAYS`] after it came *here*, however old it was then.
//!
//! *Released* is what the row says. The letter then goes through the pipeline once more, under its own id: whoever decides asks
//! the rows, and delivery, which looks for the id in the journal, gives it once, however often it is sent. A row says
//! `Releasing` before the letter is in the queue, and `Released` behind it: what a dead process has left is sent again by the next one
//! that is asked, and by housekeeping, which finds it by an item in `T/quarantine-releases` under `ACCOUNT/ID`, written before `Releasing`
//! and removed behind `Released`. What is on its way to somebody is not removed before that event's life is over.
//!
//! Invariants: nothing is removed before [`KEPT_DAYS`], whatever anybody says: what is deleted is only not shown any more, so that an event that
//! comes late finds what was decided. If the process dies anywhere, the event that brought the letter comes again, and everything here may be
//! done again.

mod letter;
mod store;

pub use letter::{HeldLetter, HeldState};
pub use store::{Page, Quarantine, QuarantineError, Standing, Standings};

/// For so many days letters lie in quarantine (RCV-11: natural days).
pub const KEPT_DAYS: i64 = 7;
