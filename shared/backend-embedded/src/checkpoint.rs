//! Moves committed pages from the WAL into the database file, beside the writer, and keeps the WAL short.
//!
//! A passive checkpoint disturbs nobody, but a WAL starts over only when *all* of it has been moved, which
//! never happens beside a busy writer. So the thread here does the long part, and then the writer itself
//! moves, between two batches, the few pages that were added meanwhile; its next commit starts the WAL over.
//! A WAL that is overwritten in place does not change its length, which makes its fsync cheaper too.
//!
//! If the process dies at any line, nothing is lost: the WAL holds everything that was not moved.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::JoinHandle;

use rusqlite::Connection;

use crate::database;

/// Frames in the WAL (8 KB each) from which on a checkpoint is worth its fsyncs, for which those who write meanwhile wait:
/// at 100 KB a letter, fewer than one of a hundred does. Pages that were written again by then (a queue's, mostly) are moved once.
pub(crate) const CHECKPOINT_FRAMES: i32 = 2500;
/// Frames at which the writer moves everything itself before it goes on.
pub(crate) const LONGEST_WAL_FRAMES: i32 = 4 * CHECKPOINT_FRAMES;

/// The thread that checkpoints one database.
pub(crate) struct Checkpointer {
    requests: Option<SyncSender<()>>,
    swept: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Checkpointer {
    pub(crate) fn start(path: PathBuf, name: &'static str) -> std::io::Result<Checkpointer> {
        let (sender, receiver) = sync_channel(1);
        let swept = Arc::new(AtomicBool::new(false));
        let done = Arc::clone(&swept);
        let thread = std::thread::Builder::new()
            .name(format!("checkpoint {name}"))
            .spawn(move || run(&path, name, &receiver, &done))?;
        Ok(Checkpointer { requests: Some(sender), swept, thread: Some(thread) })
    }

    /// Asks for a checkpoint; one at a time.
    pub(crate) fn request(&self) {
        if let Some(requests) = &self.requests {
            // A full channel means that one is asked for already.
            let _ = requests.try_send(());
        }
    }

    /// Has the thread moved its part since the last call?
    pub(crate) fn take_swept(&self) -> bool {
        self.swept.swap(false, Ordering::AcqRel)
    }
}

impl Drop for Checkpointer {
    fn drop(&mut self) {
        self.requests = None;
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn run(path: &std::path::Path, name: &'static str, requests: &Receiver<()>, swept: &AtomicBool) {
    let mut connection: Option<Connection> = None;
    while requests.recv().is_ok() {
        if connection.is_none() {
            connection = database::open_further(path)
                .inspect_err(|error| tracing::warn!(database = name, %error, "cannot open for checkpoint"))
                .ok();
        }
        let Some(open) = &connection else { continue };
        match passive(open) {
            Ok(()) => swept.store(true, Ordering::Release),
            Err(error) => {
                tracing::warn!(database = name, %error, "checkpoint failed");
                connection = None;
            }
        }
    }
}

/// Moves what can be moved without waiting for anybody.
pub(crate) fn passive(connection: &Connection) -> rusqlite::Result<()> {
    connection.query_row("PRAGMA wal_checkpoint(PASSIVE)", [], |_| Ok(()))
}

/// Moves everything, waiting for whoever is at it already.
pub(crate) fn full(connection: &Connection) -> rusqlite::Result<()> {
    connection.query_row("PRAGMA wal_checkpoint(FULL)", [], |_| Ok(()))
}

/// Moves everything and cuts the WAL off, if nobody else is reading or writing.
pub(crate) fn truncate(connection: &Connection) -> rusqlite::Result<()> {
    connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()))
}
