//! Administration as its callers see it: one program, so that the whole is linked once.

#[path = "../../../directory/tests/directory/memory/mod.rs"]
#[allow(dead_code, clippy::allow_attributes, reason = "shared with the tests of the directory")]
mod memory;

mod domain_keys;
mod orders;
mod service;
mod statistics;
mod table;
mod tasks;
