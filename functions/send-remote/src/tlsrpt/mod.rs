//! What became of TLS with the servers of a domain, counted, and told to whoever it names for that (TLSRPT: RFC 8460).
//!
//! Owns the partition `tls-results` of the control table, the installation's: an item for each period (a day) and domain that wants
//! reports, with the sums of all processes. A process counts in memory, and adds what it has to the items from time to time; if it
//! dies, what it has not added yet is counted nowhere, and no letter is the worse for it. When a period is over, whoever looks first
//! sends the report as a letter whose id follows from period and domain, and then removes the item: of two who do, or of one who dies
//! in between and begins again, one report comes.

mod letter;
mod post;
mod sums;
mod tally;
#[cfg(test)]
mod tests;

pub use post::TlsReports;
pub use tally::Tally;

pub(crate) use letter::is_report;
pub(crate) use sums::{Policy, PolicyKind, TlsFailure, TlsFault};
