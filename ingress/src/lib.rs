//! The adapter: the long-running part that speaks SMTP, IMAP and POP3.
//!
//! Owns the connections and nothing else: what it accepts is durable in the queue or in a journal before it
//! says so. If the process dies, peers see a broken connection and ask again.

pub mod imap;
pub mod net;
pub mod pop3;
mod sasl;
pub mod smtp;
