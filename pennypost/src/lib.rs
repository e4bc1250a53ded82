//! The library behind the one binary: its subcommands and what they say.

pub mod admin;
pub mod administration;
pub mod backend;
mod background;
mod bench;
pub mod cli;
pub mod config;
mod cost;
mod dead_letters;
mod demo;
mod error;
mod export;
mod functions;
mod http;
mod import;
pub mod mail_files;
mod mailbox;
mod neighbours;
pub mod office;
mod open_files;
mod pacing;
mod print;
mod probing;
mod replay;
mod sending;
mod serve;
mod signing_up;
mod sweep;
#[cfg(test)]
mod test_office;
mod trace;
mod verify;

pub use error::Failed;
pub use pennypost_text::{self as text, say};
pub use print::complain;
