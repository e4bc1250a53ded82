//! What handlers and protocols use: every call of a port, counted in the units that a cloud bills, and what that
//! costs.
//!
//! Owns: the kinds of units ([`Unit`]), the counts of a scope ([`Tally`], [`metered`]) and of the whole process
//! ([`total`]), the rules by which services turn bytes into units ([`rules`]), price tables ([`PriceTable`], files
//! below `prices/`) and bills ([`Bill`]). A backend calls [`count`] once for each answered call, with the units that
//! the service names or that its rules give; retries count again, since they are billed again.
//!
//! Counts are whole thousandths of a unit ([`MILLI`]), so that half read units add up exactly; amounts are whole
//! millionths of a millionth ([`Pico`]). No float is in any sum. A count is divided without remainder
//! ([`Counts::divided`]): the shares add up to it.
//!
//! If the process dies, the counts since the last report are lost with it; what is billed to tenants is rolled up
//! from records that were written, never from these counters.

mod bill;
mod item;
mod money;
mod prices;
pub mod rules;
mod tally;
mod unit;

pub use bill::{Bill, Line};
pub use item::Item;
pub use money::{NotMoney, Pico};
pub use prices::{Price, PriceError, PriceTable};
pub use tally::{Counts, Tally, count, metered, total};
pub use unit::Unit;

/// Thousandths in a unit.
pub const MILLI: u64 = 1000;
