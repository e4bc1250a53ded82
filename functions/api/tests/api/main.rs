//! The API, by its own router on a store on disk: one program, so that the whole is linked once.

mod business;
mod calls;
mod colleagues;
mod domains;
mod joining;
mod organisation;
mod plans;
mod profile;
mod secretaries;
mod sessions;
mod sign_in;
mod statistics;
mod support;
mod tasks;
mod walk;
