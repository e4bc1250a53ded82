//! Scanners: [`ClamAv`] for viruses, by the protocol of clamd, and [`Rspamd`] for spam, over HTTP.
//!
//! Owns the two protocols and what the operator says of where scanners are ([`Settings`]). Owns no state: each letter has a
//! connection of its own. Only who can't be reached is [`Unavailable`](pennypost_ports::ScanError::Unavailable): what goes wrong
//! once a scanner has the letter is perhaps that letter's fault. Only what it never takes is refused. If the process dies, nothing was changed anywhere.

mod clamav;
mod place;
mod rspamd;
mod settings;

pub use clamav::ClamAv;
pub use place::{BadPlace, Place};
pub use rspamd::Rspamd;
pub use settings::{MOST_SECONDS, Settings, WrongSettings};
