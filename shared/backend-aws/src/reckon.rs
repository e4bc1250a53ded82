//! What calls would use on these services, reckoned by their rules: around the ports of any backend.
//!
//! So a run on the embedded backend tells what it would cost in the cloud, without any service: items are reckoned as the
//! ports of this crate would lay them out, byte for byte, and calls as they would make them. What can't be reckoned from
//! outside is left out, and is little: retries, throttling, a stale read that is repeated. Around the ports of this crate
//! everything would be counted twice.
//!
//! Owns nothing. What a backend can do beyond these services (know the newest entry without a read, put small packs with
//! their entries) is hidden: the callers behave as they do in the cloud.

mod control;
mod journal;
mod log;
mod objects;
mod queue;

use std::sync::Arc;

use pennypost_model::journal::Entry;
use pennypost_ports::{Control, Journal, Log, LogRecord, Objects, Queue};

use self::control::ReckonedControl;
use self::journal::ReckonedJournal;
use self::log::ReckonedLog;
use self::objects::ReckonedObjects;
use self::queue::ReckonedQueue;

/// Bytes of the item in which an entry would lie, and of the object beside it if there is one.
#[must_use]
pub fn entry_bytes(entry: &Entry) -> usize {
    let (item, object) = journal::laid_out(entry);
    item + object.unwrap_or(0)
}

/// Bytes of the items in which an append of these records would end.
#[must_use]
pub fn log_bytes(records: &[LogRecord]) -> u64 {
    crate::log::item_sizes(records).into_iter().map(|bytes| bytes as u64).sum()
}

/// The journal, with its calls reckoned.
#[must_use]
pub fn journal(inner: Arc<dyn Journal>) -> Arc<dyn Journal> {
    Arc::new(ReckonedJournal(inner))
}

/// The control port, with its calls reckoned.
#[must_use]
pub fn control(inner: Arc<dyn Control>) -> Arc<dyn Control> {
    Arc::new(ReckonedControl(inner))
}

/// The log, with its calls reckoned.
#[must_use]
pub fn log(inner: Arc<dyn Log>) -> Arc<dyn Log> {
    Arc::new(ReckonedLog(inner))
}

/// The objects, with their calls reckoned.
#[must_use]
pub fn objects(inner: Arc<dyn Objects>) -> Arc<dyn Objects> {
    Arc::new(ReckonedObjects(inner))
}

/// The queue, with its calls reckoned.
#[must_use]
pub fn queue(inner: Arc<dyn Queue>) -> Arc<dyn Queue> {
    Arc::new(ReckonedQueue::new(inner))
}
