//! Directories, and making their entries durable: several writers that wait share one fsync.

use std::collections::HashMap;
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use parking_lot::Mutex;

/// Directories remembered at most; what is forgotten costs a few fsyncs when it is used again.
const REMEMBERED: usize = 4096;

/// The directories under one root.
pub(super) struct Directories {
    root: PathBuf,
    known: Mutex<HashMap<PathBuf, Arc<Directory>>>,
}

/// A directory that is durably there.
#[derive(Default)]
struct Directory {
    arrived: AtomicU64,
    synced: AtomicU64,
    running: Mutex<()>,
}

impl Directories {
    pub(super) fn new(root: PathBuf) -> Directories {
        Directories { root, known: Mutex::new(HashMap::new()) }
    }

    /// Makes `path` and what is missing above it, durably. That another process has made a directory does
    /// not say that it has synced it: what this handle has not seen is synced once.
    pub(super) fn ensure(&self, path: &Path) -> io::Result<()> {
        if path == self.root || self.known.lock().contains_key(path) {
            return Ok(());
        }
        let parent = path.parent().unwrap_or(&self.root);
        self.ensure(parent)?;
        match fs::create_dir(path) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                if !fs::metadata(path)?.is_dir() {
                    return Err(io::ErrorKind::NotADirectory.into());
                }
            }
            made => made?,
        }
        self.sync(parent)?;
        self.remember(path);
        Ok(())
    }

    /// Somebody has removed directories behind our back.
    pub(super) fn forget(&self) {
        self.known.lock().clear();
    }

    fn remember(&self, path: &Path) -> Arc<Directory> {
        let mut known = self.known.lock();
        if known.len() >= REMEMBERED {
            known.clear();
        }
        Arc::clone(known.entry(path.to_owned()).or_default())
    }

    /// Makes every change of `path`'s entries durable that was made before this call.
    pub(super) fn sync(&self, path: &Path) -> io::Result<()> {
        let directory = self.known.lock().get(path).map(Arc::clone);
        let Some(directory) = directory else { return File::open(path)?.sync_all() };
        let ticket = directory.arrived.fetch_add(1, Ordering::AcqRel) + 1;
        let _running = directory.running.lock();
        if directory.synced.load(Ordering::Acquire) >= ticket {
            return Ok(());
        }
        // Covers everybody who has arrived by now and waits for the lock.
        let covered = directory.arrived.load(Ordering::Acquire);
        File::open(path)?.sync_all()?;
        directory.synced.store(covered, Ordering::Release);
        Ok(())
    }
}
