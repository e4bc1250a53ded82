//! Drivers that run handlers. A handler knows one thing: events in, following events out. Whether the next
//! stage runs in the same invocation or behind a queue is [`Fusing`], a matter of configuration
//! (architecture section 1, point 5).
//!
//! Owns: the [`Handler`] contract, the [`Pipeline`] that joins handlers, the rules of a [`batch`], the [`local`] driver
//! that feeds it from the queue port in one process, the list of what each function [`needs`], and what batches used
//! ([`usage`]).
//!
//! Invariants: an event is acknowledged only after everything that follows from it has been handled or sent,
//! durably; a panic or a bad record fails one event, never its batch; an event that keeps failing ends in the
//! dead letters with its cause. If the process dies, unacknowledged events come again.

pub mod batch;
mod fusing;
mod handler;
pub mod local;
pub mod needs;
mod pipeline;
pub mod usage;

pub use fusing::{Fusing, NoFusing};
pub use handler::{Failure, Handler, Outcome, was_delivered};
pub use pipeline::{Lighten, Pipeline};
