//! Housekeeping on a thread of its own, behind everything that somebody waits for.
//!
//! It compresses and sorts for seconds at a time: on a worker thread of the runtime, connections and deliveries whose
//! tasks lie there would wait for it. The thread, and those that it starts for its file work, have a lower priority.

use std::thread;

use pennypost_model::event::Stage;
use pennypost_runtime::local::Driver;
use tokio::sync::{oneshot, watch};

/// How nice the thread is. Not as nice as can be: it holds a lock for moments, too.
const NICE: i32 = 10;

/// Works the queue of housekeeping until `stop` turns true. The answer comes when it has ended.
pub(crate) fn start(driver: Driver, stop: watch::Receiver<bool>) -> std::io::Result<oneshot::Receiver<()>> {
    let (ended, end) = oneshot::channel();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    thread::Builder::new().name("housekeep".to_owned()).spawn(move || {
        // Of this thread alone, on Linux.
        if let Err(error) = rustix::process::setpriority_process(None, NICE) {
            tracing::debug!(%error, "housekeeping has the same priority as everything else");
        }
        runtime.block_on(driver.run_some(|stage| stage == Stage::Housekeep, stop));
        let _ = ended.send(());
    })?;
    Ok(end)
}
