//! The library behind the one binary: its subcommands and what they say.

pub mod admin;
pub mod text;
