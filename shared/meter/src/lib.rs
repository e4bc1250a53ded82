//! What handlers and protocols use: every call of a port, counted in the units that a cloud bills.
//!
//! Owns: the kinds of units ([`Unit`]), the counts of a scope ([`Tally`], [`metered`]) and of the whole process
//! ([`total`]). A backend calls [`count`] once for each answered call, with the units that the service names or
//! that its rules give; retries count again, since they are billed again.
//!
//! Counts are whole thousandths of a unit ([`MILLI`]), so that half read units add up exactly.
//!
//! If the process dies, the counts since the last report are lost with it; what is billed to tenants is rolled up
//! from records that were written, never from these counters.

mod tally;
mod unit;

pub use tally::{Counts, Tally, count, metered, total};
pub use unit::Unit;

/// Thousandths in a unit.
pub const MILLI: u64 = 1000;
