//! The adapter over real sockets, on the embedded backend: dialogues as text, hostile peers, authentication
//! with a DNS server of our own, and POP3.

#[path = "../common/alone.rs"]
mod alone;
mod authentication;
mod contents;
mod dialogues;
mod dmarc;
mod dns;
mod footers;
mod groups;
mod groups_elsewhere;
mod held;
mod home;
mod hostile;
mod mailbox;
mod office;
mod outward;
mod plans;
mod private;
mod reach;
#[path = "../common/scram.rs"]
mod scram;
mod submission;
mod throughput;
mod wire;
