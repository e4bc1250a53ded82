//! The directory as its callers see it: one program, so that the whole is linked once.

mod business;
mod crashes;
mod entries;
mod friends;
mod joining;
mod life;
mod member_rules;
#[allow(dead_code, clippy::allow_attributes, reason = "shared with the tests of administration")]
mod memory;
mod organisation;
mod plans;
mod rules;
mod sealed_factors;
mod secretary;
mod sharing;
mod sign_in;
