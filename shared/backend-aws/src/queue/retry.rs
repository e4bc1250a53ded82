//! Entries of a batch that the service has failed: which to send again, and when.

use std::time::Duration;

use aws_sdk_sqs::types::BatchResultErrorEntry;
use pennypost_ports::PortError;

use super::PORT;
use crate::failure;

/// Calls for one entry at most.
pub(super) const CALLS: u32 = 4;
const FIRST_PAUSE: Duration = Duration::from_millis(100);

/// A random part of a time that doubles with each call that was made: those who were throttled together do not come
/// back together.
pub(super) fn pause(calls: u32) -> Duration {
    FIRST_PAUSE.saturating_mul(1 << calls.min(6)).mul_f64(fastrand::f64())
}

/// May the same entry succeed? A receipt that is wrong stays so, whatever the service says of whose fault it is.
pub(super) fn is_passing(entry: &BatchResultErrorEntry) -> bool {
    !entry.sender_fault && !is_of_receipt(entry.code())
}

/// Is this what the service says of a receipt that is nobody's, of another queue, or of a hand-out whose time is over?
pub(super) fn is_of_receipt(code: &str) -> bool {
    const OF_RECEIPT: &[&str] = &["InvalidIdFormat", "MessageNotInflight", "ReceiptHandleIsInvalid"];
    OF_RECEIPT.contains(&code.strip_prefix("AWS.SimpleQueueService.").unwrap_or(code))
}

/// What the port says of an entry.
pub(super) fn of_entry(queue: &str, entry: &BatchResultErrorEntry) -> PortError {
    let status = if entry.sender_fault { 400 } else { 503 };
    failure::of_code(PORT, queue, Some(entry.code()), status)
}
