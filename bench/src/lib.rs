//! A load generator for any mail server: what `pennypost bench` runs.
//!
//! It owns the made-up mail ([`corpus`]), small clients of SMTP, LMTP, IMAP and POP3, and the measurements, one file
//! each. It uses nothing of the post office itself, and measures every server by the same code.
//!
//! Invariants:
//! - An error is never timed as a success: every reply is checked, and what can be counted is counted against what
//!   was sent. A wrong count ends the run with [`BenchError::Wrong`].
//! - It runs on one thread and buffers no large answer whole, so that it can share a small machine with the server
//!   that it measures; its own share of the processor is a figure of the report.
//! - The same seed makes the same mail, byte for byte.
//!
//! If the process dies, nothing is left behind but the mail that it sent.

mod append;
pub mod args;
pub mod corpus;
mod error;
pub mod idle;
mod imap;
mod limits;
pub mod login;
pub mod mailbox;
pub mod mixed;
mod outcome;
pub mod pop3;
mod process;
mod processor;
mod report;
pub mod smtp;
mod stats;
mod wire;

pub use error::BenchError;
pub use report::{Figure, Measure, Report, Unit};
