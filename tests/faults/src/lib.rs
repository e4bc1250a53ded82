//! The whole mail path on the real backends, with faults between all calls.
//!
//! One run is one seed. In it an adapter accepts letters into the queue, drivers run the pipeline by batches (fused and
//! unfused, both ways of acknowledging), members change their accounts and housekeeping builds and removes, each in a
//! process of its own that may die between any two calls. Every port is wrapped ([`faulty`]): calls fail before or after
//! their effect, reads are stale, batches fail in part, messages come twice and in any order, clocks are wrong. Below the
//! ports lies a real backend ([`Backend`]): the embedded one in a directory, or the one for AWS, whose services are
//! played by a stand-in ([`services`]) at the other end of a faulty line. Then the faults stop, everything is let run out,
//! and every invariant of the architecture is checked, by the same verdict as in `tests/simulation`.
//!
//! A run that fails prints its seed; `FAULT_SEED=n` runs that one again.

pub mod backend;
pub mod faulty;
pub mod functions;
pub mod hours;
pub mod outside;
pub mod post;
mod scenario;
pub mod services;
pub mod source;

pub use backend::Backend;
pub use scenario::{Plan, Report, run};
