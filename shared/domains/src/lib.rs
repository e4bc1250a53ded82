//! What a domain has to have in DNS for its mail, and whether it has it (DOM-06 to DOM-11).
//!
//! Owns the shape of the [`Service`], which says under which names the world reaches this post office, and of a
//! [`Report`], the result of a check. Everything else here is made from them and from what DNS says at the moment.
//!
//! Invariants: no answer of DNS makes a check fail or run without end (look-ups for SPF are bounded as RFC 7208 section
//! 4.6.4 bounds them); that DNS did not answer is never told as if there were no record. If the process dies, a check is
//! simply made again.

mod bimi;
mod challenge;
mod check;
mod dmarc;
mod mta_sts;
mod published;
mod reception;
mod report;
mod say;
mod service;
mod spf;
mod tags;
mod tls_policy;
mod wanted;

pub use challenge::{Challenge, Proof, prove};
pub use check::{DkimRecord, Question, check};
pub use published::{BadPolicy, POLICY_PATH, PublishedPolicy, policy_id};
pub use reception::{Lists, reception};
pub use report::{Checked, Fault, Report, Subject, Verdict};
pub use service::{BadService, MailHost, Server, Service};
pub use tls_policy::{BadTlsPolicy, TlsMode, TlsPolicy};
pub use wanted::{Importance, Wanted, wanted};
