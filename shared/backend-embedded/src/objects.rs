//! Objects as files: `objects/` followed by the object's name.
//!
//! A new object is written to `objects/~tmp/`, synced, linked to its name (which fails when the name is
//! taken, whoever was first) and made durable by an fsync of the directory. A replaced object is renamed over
//! the old one, under a lock file, because reading its version and renaming are two steps. `~` cannot stand
//! in an object's name. Small objects that came with a journal entry are rows of `mail.db` instead ([`rows`]).
//!
//! If the process dies at any line: the name has its old bytes or its new ones; what is left in `~tmp` has no
//! owner any more (its lock is free) and the next server that starts removes it.

mod directories;
mod listing;
mod names;
mod opened;
pub(crate) mod rows;

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, IoSlice, IoSliceMut, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use async_trait::async_trait;
use bytes::Bytes;
use pennypost_ports::{Created, Etag, ObjectInfo, Objects, PortResult, Replaced, crash};
use rusqlite::Connection;
use rustix::io::ReadWriteFlags;
use tokio::sync::Semaphore;

use self::directories::Directories;
pub(crate) use self::names::check_name;
use self::names::check_prefix;
use self::opened::OpenedFiles;
use crate::database::Readers;
use crate::failure::Failure;
use crate::permissions;
use crate::writer::{Kind, Writer};

const PORT: &str = "objects";
const TEMPORARY: &str = "~tmp";
const LOCKS: &str = "~locks";
/// Lock files for replacing and deleting; names are spread over them.
const LOCK_FILES: u32 = 64;
/// Up to so many bytes are read without another thread where they are in memory.
const AT_ONCE: u64 = 512 * 1024;
/// File operations at a time: enough to keep a disk busy, and a bound for threads.
const CONCURRENCY: usize = 64;

/// [`Objects`] on a directory, and on a table of `mail.db`.
pub(crate) struct EmbeddedObjects {
    files: Arc<Files>,
    permits: Arc<Semaphore>,
    rows: Option<Rows>,
}

/// `mail.db`, if it has a table for objects: one of the first format has none, and is left so when it can't be
/// written.
pub(crate) struct Rows {
    pub(crate) writer: Arc<Writer>,
    pub(crate) readers: Arc<Readers>,
}

struct Files {
    root: PathBuf,
    directories: Directories,
    opened: OpenedFiles,
    /// `~tmp/ID`, ours alone.
    temporary: PathBuf,
    next_temporary: AtomicU64,
    /// Locked as long as we live: says that `temporary` is in use.
    _alive: Option<File>,
}

impl EmbeddedObjects {
    /// Opens `root`. With `clean`, removes what dead processes have left. To be called under the lock of the
    /// directory, so that nobody is between making its own place and locking it.
    pub(crate) fn open(root: &Path, clean: bool, rows: Option<Rows>) -> io::Result<EmbeddedObjects> {
        let places = root.join(TEMPORARY);
        permissions::private_directory(root)?;
        fs::create_dir_all(&places)?;
        fs::create_dir_all(root.join(LOCKS))?;
        File::open(root)?.sync_all()?;
        if clean {
            remove_leftovers(&places)?;
        }
        let id = format!("{:016x}", rand::random::<u64>());
        let alive = File::create_new(places.join(format!("{id}.lock")))?;
        alive.lock()?;
        let temporary = places.join(id);
        fs::create_dir(&temporary)?;
        let files = Files {
            root: root.to_owned(),
            directories: Directories::new(root.to_owned()),
            opened: OpenedFiles::default(),
            temporary,
            next_temporary: AtomicU64::new(0),
            _alive: Some(alive),
        };
        Ok(EmbeddedObjects::of(files, rows))
    }

    /// Objects in a place that can't be written: there is no place for temporary files, without which nothing
    /// is changed.
    pub(crate) fn open_read_only(root: &Path, rows: Option<Rows>) -> EmbeddedObjects {
        let files = Files {
            root: root.to_owned(),
            directories: Directories::new(root.to_owned()),
            opened: OpenedFiles::default(),
            temporary: root.join(TEMPORARY).join("read-only"),
            next_temporary: AtomicU64::new(0),
            _alive: None,
        };
        EmbeddedObjects::of(files, rows)
    }

    fn of(files: Files, rows: Option<Rows>) -> EmbeddedObjects {
        EmbeddedObjects { files: Arc::new(files), permits: Arc::new(Semaphore::new(CONCURRENCY)), rows }
    }

    /// Reads in the table; `T::default()` where there is none.
    async fn in_rows<T: Default>(
        &self,
        read: impl FnOnce(&Connection) -> Result<T, Failure>,
    ) -> PortResult<T> {
        let Some(rows) = &self.rows else { return Ok(T::default()) };
        rows.readers.inline(|connection| read(connection)).await.map_err(|failure| failure.at(PORT))
    }

    /// Changes the row of that name, if there is one.
    async fn change_row<T: Send + 'static>(
        &self,
        name: &str,
        bytes: usize,
        change: impl FnOnce(&Connection, &str) -> Result<Option<T>, Failure> + Send + 'static,
    ) -> PortResult<Option<T>> {
        let Some(rows) = &self.rows else { return Ok(None) };
        if !self.in_rows(|connection| rows::exists(connection, name)).await? {
            return Ok(None);
        }
        let name = name.to_owned();
        let job = move |connection: &Connection| change(connection, &name);
        rows.writer.run(Kind::Other, bytes, job).await.map_err(|failure| failure.at(PORT))
    }

    /// Runs file work on a thread for blocking work. The permit goes with it: a caller that goes away does
    /// not make room for more threads.
    async fn blocking<T: Send + 'static>(
        &self,
        name: &str,
        work: impl FnOnce(&Files, &str) -> Result<T, Failure> + Send + 'static,
    ) -> PortResult<T> {
        let permit = Arc::clone(&self.permits).acquire_owned().await;
        let permit = permit.map_err(|_| Failure::closed().at(PORT))?;
        let (files, name) = (Arc::clone(&self.files), name.to_owned());
        let done = tokio::task::spawn_blocking(move || {
            let _permit = permit;
            work(&files, &name)
        });
        let result = done.await.map_err(|error| Failure::Unavailable(error.to_string()).at(PORT))?;
        result.map_err(|failure| failure.at(PORT))
    }
}

/// Removes the temporary files of processes that are gone.
fn remove_leftovers(places: &Path) -> io::Result<()> {
    for entry in fs::read_dir(places)? {
        let path = entry?.path();
        if path.extension().is_none_or(|extension| extension != "lock") {
            continue;
        }
        match File::open(&path)?.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => continue,
            Err(TryLockError::Error(error)) => return Err(error),
        }
        match fs::remove_dir_all(path.with_extension("")) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => fs::remove_file(&path)?,
        }
    }
    Ok(())
}

impl Drop for Files {
    fn drop(&mut self) {
        // Best effort: the next server does it otherwise.
        let _ = fs::remove_dir_all(&self.temporary);
        let _ = fs::remove_file(self.temporary.with_extension("lock"));
    }
}

/// An empty vector with room for `len` bytes, if there is such room.
fn reserve(len: u64) -> Result<Vec<u8>, Failure> {
    let mut bytes = Vec::new();
    usize::try_from(len)
        .ok()
        .and_then(|len| bytes.try_reserve_exact(len).ok())
        .ok_or_else(|| Failure::Unavailable(format!("there is no memory for {len} bytes")))?;
    Ok(bytes)
}

/// What an error of opening an object for reading means.
fn open_failure(error: io::Error, name: &str) -> Failure {
    match error.kind() {
        io::ErrorKind::NotFound | io::ErrorKind::NotADirectory => Failure::NotFound(format!("object {name}")),
        _ => Failure::from(error),
    }
}

/// What an error of making a name means.
fn name_failure(error: io::Error, name: &str) -> Failure {
    match error.kind() {
        io::ErrorKind::NotADirectory | io::ErrorKind::IsADirectory => {
            Failure::Refused(format!("object name {name:?} goes on where another object's name ends"))
        }
        _ => Failure::from(error),
    }
}

impl Files {
    fn parent(path: &Path) -> &Path {
        // A checked name has a `/`.
        path.parent().unwrap_or(path)
    }

    /// Writes the pieces to a synced temporary file.
    fn write_temporary(&self, pieces: &[Bytes]) -> Result<Temporary, Failure> {
        let number = self.next_temporary.fetch_add(1, Ordering::Relaxed);
        let temporary = Temporary(self.temporary.join(number.to_string()));
        crash::point("object.before-write");
        let mut file = File::create_new(&temporary.0)?;
        let mut slices: Vec<IoSlice<'_>> = pieces.iter().map(|piece| IoSlice::new(piece)).collect();
        let mut left = &mut slices[..];
        // Passes over empty ones.
        IoSlice::advance_slices(&mut left, 0);
        while !left.is_empty() {
            let written = file.write_vectored(left)?;
            if written == 0 {
                return Err(io::Error::from(io::ErrorKind::WriteZero).into());
            }
            IoSlice::advance_slices(&mut left, written);
        }
        crash::point("object.after-write");
        file.sync_all()?;
        crash::point("object.after-fsync");
        Ok(temporary)
    }

    fn put_unique(&self, name: &str, pieces: &[Bytes]) -> Result<Created, Failure> {
        let path = self.root.join(name);
        let parent = Files::parent(&path);
        let taken = |path: &Path| match fs::symlink_metadata(path) {
            Ok(metadata) if metadata.is_dir() => Err(name_failure(io::ErrorKind::IsADirectory.into(), name)),
            Ok(_) => Ok(true),
            Err(_) => Ok(false),
        };
        if taken(&path)? {
            // The one who wrote it may not have come to its fsync yet, or have died before it.
            self.directories.sync(parent)?;
            return Ok(Created::Exists);
        }
        let temporary = self.write_temporary(pieces)?;
        self.directories.ensure(parent).map_err(|error| name_failure(error, name))?;
        let mut linked = fs::hard_link(&temporary.0, &path);
        if linked.as_ref().is_err_and(|error| error.kind() == io::ErrorKind::NotFound) {
            self.directories.forget();
            self.directories.ensure(parent).map_err(|error| name_failure(error, name))?;
            linked = fs::hard_link(&temporary.0, &path);
        }
        let created = match linked {
            Ok(()) => Created::Stored,
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                taken(&path)?;
                Created::Exists
            }
            Err(error) => return Err(name_failure(error, name)),
        };
        crash::point("object.after-rename");
        self.directories.sync(parent)?;
        crash::point("object.after-directory-fsync");
        Ok(created)
    }

    fn open(&self, name: &str) -> Result<(File, fs::Metadata), Failure> {
        let file = File::open(self.root.join(name)).map_err(|error| open_failure(error, name))?;
        let metadata = file.metadata()?;
        if !metadata.is_file() {
            return Err(Failure::NotFound(format!("object {name}")));
        }
        Ok((file, metadata))
    }

    fn get(&self, name: &str) -> Result<(Bytes, Etag), Failure> {
        let (mut file, metadata) = self.open(name)?;
        let mut bytes = reserve(metadata.len())?;
        file.read_to_end(&mut bytes)?;
        let etag = etag(&metadata, &bytes);
        Ok((Bytes::from(bytes), etag))
    }

    fn get_range(&self, name: &str, start: u64, len: u64) -> Result<Bytes, Failure> {
        let (mut file, metadata) = self.open(name)?;
        let available = metadata.len().saturating_sub(start).min(len);
        if available == 0 {
            return Ok(Bytes::new());
        }
        file.seek(SeekFrom::Start(start))?;
        let mut bytes = reserve(available)?;
        file.take(available).read_to_end(&mut bytes)?;
        Ok(Bytes::from(bytes))
    }

    /// As [`Files::get_range`], but only what the kernel has in memory: then it takes microseconds, less than a
    /// turn of another thread. `None`: it must be read from the disk, or something is wrong.
    fn get_range_in_memory(&self, name: &str, start: u64, len: u64) -> Option<Bytes> {
        // To preadv2 the offset -1 is where the file stands.
        i64::try_from(start).ok()?;
        let file = self.opened.open(name, || self.root.join(name)).ok()?;
        let mut bytes = vec![0; usize::try_from(len).ok()?];
        let mut read = 0;
        while read < bytes.len() {
            let mut rest = [IoSliceMut::new(&mut bytes[read..])];
            let at = start.checked_add(read as u64)?;
            match rustix::io::preadv2(&file, &mut rest, at, ReadWriteFlags::NOWAIT) {
                Ok(0) => break,
                Ok(more) => read += more,
                Err(_) => return None,
            }
        }
        bytes.truncate(read);
        Some(Bytes::from(bytes))
    }

    /// Keeps others, in any process, from replacing or deleting the object.
    fn lock(&self, name: &str) -> Result<File, Failure> {
        let number = crc32fast::hash(name.as_bytes()) % LOCK_FILES;
        let path = self.root.join(LOCKS).join(number.to_string());
        let file = OpenOptions::new().create(true).truncate(false).write(true).open(path)?;
        file.lock()?;
        Ok(file)
    }

    fn put_if_match(&self, name: &str, bytes: &Bytes, expected: &Etag) -> Result<Replaced, Failure> {
        let path = self.root.join(name);
        let _lock = self.lock(name)?;
        match self.get(name) {
            Ok((_, found)) if found == *expected => {}
            Ok(_) | Err(Failure::NotFound(_)) => return Ok(Replaced::Mismatch),
            Err(failure) => return Err(failure),
        }
        let temporary = self.write_temporary(std::slice::from_ref(bytes))?;
        fs::rename(&temporary.0, &path)?;
        self.opened.forget(name);
        crash::point("object.after-rename");
        self.directories.sync(Files::parent(&path))?;
        crash::point("object.after-directory-fsync");
        Ok(Replaced::Stored)
    }

    fn delete(&self, name: &str) -> Result<(), Failure> {
        let path = self.root.join(name);
        let _lock = self.lock(name)?;
        let removed = fs::remove_file(&path);
        self.opened.forget(name);
        match removed {
            Ok(()) => {}
            Err(error) => match error.kind() {
                // Perhaps deleted a moment ago by somebody who has not come to the fsync yet.
                io::ErrorKind::NotFound => {}
                io::ErrorKind::NotADirectory | io::ErrorKind::IsADirectory => return Ok(()),
                _ => return Err(error.into()),
            },
        }
        match self.directories.sync(Files::parent(&path)) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            synced => Ok(synced?),
        }
    }
}

/// A file in `~tmp` that goes with the value, whatever happened to its bytes.
struct Temporary(PathBuf);

impl Drop for Temporary {
    fn drop(&mut self) {
        // Renamed away, it is not there any more.
        let _ = fs::remove_file(&self.0);
    }
}

/// The version of a file: its content, and which file it is. The checksum alone could be hit by another
/// content; inode and time alone repeat when files replace one another within one tick of the clock.
fn etag(metadata: &fs::Metadata, bytes: &[u8]) -> Etag {
    Etag(format!(
        "{:x}-{:08x}-{:x}-{:x}.{:x}",
        bytes.len(),
        crc32fast::hash(bytes),
        metadata.ino(),
        metadata.mtime(),
        metadata.mtime_nsec()
    ))
}

#[async_trait]
impl Objects for EmbeddedObjects {
    async fn put_unique(&self, name: &str, bytes: Bytes) -> PortResult<Created> {
        self.put_unique_pieces(name, vec![bytes]).await
    }

    async fn put_unique_pieces(&self, name: &str, pieces: Vec<Bytes>) -> PortResult<Created> {
        check_name(name).map_err(|failure| failure.at(PORT))?;
        if self.in_rows(|connection| rows::exists(connection, name)).await? {
            return Ok(Created::Exists);
        }
        self.blocking(name, move |files, name| files.put_unique(name, &pieces)).await
    }

    async fn get(&self, name: &str) -> PortResult<(Bytes, Etag)> {
        check_name(name).map_err(|failure| failure.at(PORT))?;
        if let Some((bytes, etag)) = self.in_rows(|connection| rows::get(connection, name)).await? {
            return Ok((bytes.into(), etag));
        }
        self.blocking(name, |files, name| files.get(name)).await
    }

    async fn get_range(&self, name: &str, start: u64, len: u64) -> PortResult<Bytes> {
        check_name(name).map_err(|failure| failure.at(PORT))?;
        if len <= AT_ONCE
            && let Some(bytes) = self.files.get_range_in_memory(name, start, len)
        {
            return Ok(bytes);
        }
        if let Some(bytes) = self.in_rows(|connection| rows::get_range(connection, name, start, len)).await? {
            return Ok(bytes.into());
        }
        self.blocking(name, move |files, name| files.get_range(name, start, len)).await
    }

    async fn put_if_match(&self, name: &str, bytes: Bytes, etag: &Etag) -> PortResult<Replaced> {
        check_name(name).map_err(|failure| failure.at(PORT))?;
        let (new, expected) = (bytes.clone(), etag.clone());
        let replace =
            move |connection: &Connection, name: &str| rows::replace(connection, name, &new, &expected);
        if let Some(replaced) = self.change_row(name, bytes.len(), replace).await? {
            return Ok(replaced);
        }
        let etag = etag.clone();
        self.blocking(name, move |files, name| files.put_if_match(name, &bytes, &etag)).await
    }

    async fn delete(&self, name: &str) -> PortResult<()> {
        check_name(name).map_err(|failure| failure.at(PORT))?;
        let delete = |connection: &Connection, name: &str| rows::delete(connection, name).map(Some);
        if self.change_row(name, 0, delete).await?.is_some() {
            return Ok(());
        }
        self.blocking(name, |files, name| files.delete(name)).await
    }

    async fn list(&self, prefix: &str, after: Option<&str>, limit: usize) -> PortResult<Vec<ObjectInfo>> {
        check_prefix(prefix).map_err(|failure| failure.at(PORT))?;
        // Rows first: what becomes a row meanwhile is as if it came after the listing.
        let rows = self.in_rows(|connection| rows::list(connection, prefix, after, limit)).await?;
        let after = after.map(str::to_owned);
        let files = self.blocking(prefix, move |files, prefix| {
            let mut found = Vec::new();
            listing::list(&files.root, prefix, after.as_deref(), limit, &mut found)?;
            Ok(found)
        });
        Ok(rows::merge(files.await?, rows, limit))
    }
}
