//! What the tests of functions share.

#![allow(dead_code, clippy::unwrap_used, clippy::panic)] // not each test uses all of it, and a test may panic

pub mod guard;
pub mod office;
pub mod samples;
