//! Random schedules of the whole mail store: the real handlers and the real mail store on simulated ports.
//!
//! One schedule is one seed. In it several processes deliver, sessions of members change accounts, housekeeping
//! builds bases, forgets deleted mail and collects garbage, clocks disagree and jump, reads are stale, calls fail
//! before or after they took effect, events come twice and in any order, and processes die between any two port
//! calls. At the end everything is let run out, and every invariant of architecture section 2 is checked. A
//! failing schedule prints its seed; `SIMULATION_SEED=n` runs that one again.
//!
//! Feature FLD-06 (part): deleted mail is kept for 14 days; restoring it has no command yet

//!
//! What is not about simulated ports (the actors, the executor, the verdict) is shared with `tests/faults`, where it runs
//! on the real backends.

pub mod actors;
mod deliveries;
pub mod executor;
pub mod letter;
mod ports;
mod schedule;
pub mod stage;
pub mod verdict;

pub use schedule::{Plan, run};
