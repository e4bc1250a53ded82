//! What organisations tell each other of their mail: DMARC aggregate reports that are written (RFC 7489 section 7.2), and reports
//! that come in (DMARC; TLSRPT: RFC 8460; complaints: RFC 5965), which are read.
//!
//! Owns the partition `dmarc-results` of the control table, the installation's: an item for each period (a day) and domain that wants
//! reports, with the sums of all processes. A process counts in memory what comes in by SMTP, and adds what it has to the items from
//! time to time; if it dies, what it has not added yet is counted nowhere, and no letter is the worse for it. When a period is over,
//! whoever looks first sends the report as a letter whose id follows from period and domain, and then removes the item: of two who
//! do, or of one who dies in between and begins again, one report comes.
//!
//! Why not from the traces: what is refused has none, and of what was delivered they know neither the author's domain nor who signed.
//!
//! Invariants: no address of a recipient, and of the envelope's sender only the domain, is counted or told. What strangers can have
//! us keep is bounded, for each domain and in all. What comes in is read up to a size, also where it was compressed.

mod heard;
mod letter;
mod post;
mod published;
mod seen;
mod tally;
#[cfg(test)]
mod tests;

pub use heard::{
    HeardAbout, HeardCounts, HeardKind, HeardReport, Hearing, MAX_LETTER, SourceCounts, TlsFailed, Unread,
    heard, may_be_report,
};
pub use post::DmarcReports;
pub use seen::{Disposition, Reason, Seen, Signature};
pub use tally::DmarcTally;
