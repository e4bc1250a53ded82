//! The API, by its own router on a store on disk: one program, so that the whole is linked once.

mod business;
mod calls;
mod domains;
mod organisation;
mod plans;
mod secretaries;
mod sessions;
mod sign_in;
mod support;
mod tasks;
mod walk;
