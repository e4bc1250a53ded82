//! Crash points: named places before and after each durable step, where a test can make the process die as
//! if it had been killed. They cost one relaxed load when no test has asked for one.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicI64, Ordering};

/// Every crash point, each in front of or behind a durable step.
pub const POINTS: &[&str] = &[
    "queue-send.before-commit",
    "queue-send.after-commit",
    "queue-ack.before-commit",
    "queue-ack.after-commit",
    "object.before-write",
    "object.after-write",
    "object.after-fsync",
    "object.after-rename",
    "object.after-directory-fsync",
    "journal-append.before-commit",
    "journal-append.after-commit",
    "log-append.before-commit",
    "log-append.after-commit",
    "control-put.before-commit",
    "control-put.after-commit",
    "head-advance.before-commit",
    "head-advance.after-commit",
    "accept.before-reply",
    "deliver.after-pack",
    "deliver.after-commits",
    "deliver.after-trace",
    "quarantine.after-letter",
    "quarantine.after-bytes",
    "quarantine.after-releasing",
    "quarantine.after-sent",
    "import.after-batch",
    "held.after-bytes",
    "held.after-row",
    "held.after-item",
    "held.after-other-row",
    "held.after-change",
    "held.after-end",
    "held.after-copy",
    "held.after-send",
    "mailing.after-content",
    "mailing.after-row",
    "mailing.after-item",
    "mailing.after-begin-row",
    "mailing.after-begin",
    "mailing.after-fates",
    "mailing.after-send",
    "mailing.after-slice",
    "send-remote.after-bytes",
    "send-remote.after-row",
    "send-remote.after-item",
    "send-remote.after-claim-row",
    "send-remote.after-claim",
    "send-remote.after-old-row",
    "send-remote.after-attempt",
    "send-remote.after-next-row",
    "send-remote.after-end",
    "send-remote.after-trace",
    "send-remote.after-report",
    "send-remote.after-bytes-gone",
];

static WANTED: OnceLock<Option<(String, AtomicI64)>> = OnceLock::new();

/// Asks for a crash: `NAME` or `NAME:N` for its `N`th passing. To be called once, by `main`.
///
/// # Errors
/// A text for the user when there is no such point or `N` is no positive number.
pub fn arm(request: &str) -> Result<(), String> {
    let (name, count) = request.split_once(':').unwrap_or((request, "1"));
    if !POINTS.contains(&name) {
        return Err(format!("no crash point is called {name:?}"));
    }
    let count = count.parse::<i64>().ok().filter(|count| *count > 0);
    let count = count.ok_or_else(|| format!("{request:?} does not end in a positive number"))?;
    WANTED
        .set(Some((name.to_owned(), AtomicI64::new(count))))
        .map_err(|_| "a crash point is already armed".to_owned())
}

/// Dies here if a test asked for it.
pub fn point(name: &'static str) {
    debug_assert!(POINTS.contains(&name), "crash point {name} is not listed");
    if let Some(Some((wanted, left))) = WANTED.get()
        && wanted == name
        && left.fetch_sub(1, Ordering::Relaxed) == 1
    {
        std::process::abort();
    }
}
