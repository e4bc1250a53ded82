//! Opening a directory that can't be written: a backup that is mounted read-only.
//!
//! SQLite needs to write beside a database in WAL mode even for reading, unless it is told that nobody can
//! change the file. That holds only when no server has the directory (its lock is looked for) and when there is
//! nothing in the WAL, which is not read then. Every change is refused.

use std::fs::{self, File, TryLockError};
use std::io;
use std::path::Path;
use std::sync::Arc;

use tokio::sync::watch;

use crate::control::EmbeddedControl;
use crate::database::{self, Access, Readers, Schema};
use crate::heads::Heads;
use crate::journal::{EmbeddedJournal, large};
use crate::log::EmbeddedLog;
use crate::objects::{EmbeddedObjects, Rows, rows};
use crate::queue::EmbeddedQueue;
use crate::writer::Writer;
use crate::{Embedded, Error, MAIL, Options, QUEUE};

/// Does the error say that the directory can't be written?
pub(crate) fn is_cause(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::ReadOnlyFilesystem | io::ErrorKind::PermissionDenied)
}

impl Embedded {
    /// Opens `dir` for reading; nothing in it is touched.
    ///
    /// # Errors
    /// [`Error`] when it is no data directory, can't be read, is being served, or was copied with commits in a
    /// WAL.
    pub fn open_read_only(dir: &Path, options: &Options) -> Result<Embedded, Error> {
        refuse_served(&dir.join("serve.lock"))?;
        let readers = |schema: &Schema| {
            let path = dir.join(schema.name);
            let format = check(dir, &path, schema)?;
            Ok::<_, Error>((Arc::new(Readers::new(path, options.readers, Access::Immutable)), format))
        };
        let ((readers, format), (queue_readers, _)) = (readers(&MAIL)?, readers(&QUEUE)?);
        let mail = Arc::new(Writer::read_only());
        let rows = Rows { writer: Arc::clone(&mail), readers: Arc::clone(&readers) };
        let has_rows = format >= rows::SINCE;
        let rows = has_rows.then_some(rows);
        let queue = Arc::new(Writer::read_only());
        let (_, foreign_changes) = watch::channel(0);
        Ok(Embedded {
            journal: Arc::new(EmbeddedJournal {
                writer: Arc::clone(&mail),
                readers: Arc::clone(&readers),
                heads: Arc::new(Heads::new(None)),
                has_rows,
                has_large: format >= large::SINCE,
            }),
            objects: Arc::new(EmbeddedObjects::open_read_only(&dir.join("objects"), rows)),
            control: Arc::new(EmbeddedControl { writer: Arc::clone(&mail), readers: Arc::clone(&readers) }),
            log: Arc::new(EmbeddedLog { writer: Arc::clone(&mail), readers }),
            queue: Arc::new(EmbeddedQueue { writer: queue, readers: queue_readers, serving: None }),
            mail,
            foreign_changes,
            _serve_lock: None,
        })
    }
}

/// Nobody may be writing; a backup need not have the lock file.
fn refuse_served(lock: &Path) -> Result<(), Error> {
    let failed = |error: io::Error| Error::of_file("serve.lock", &error);
    let file = match File::open(lock) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        file => file.map_err(failed)?,
    };
    match file.try_lock_shared() {
        Err(TryLockError::WouldBlock) => Err(Error::AlreadyServed { pid: None }),
        // A file system without locks has no server either.
        Ok(()) | Err(TryLockError::Error(_)) => Ok(()),
    }
}

fn check(dir: &Path, path: &Path, schema: &Schema) -> Result<usize, Error> {
    let mut wal = path.as_os_str().to_owned();
    wal.push("-wal");
    if fs::metadata(Path::new(&wal)).is_ok_and(|wal| wal.len() > 0) {
        return Err(Error::UnmergedWal { file: schema.name });
    }
    let failed = |error: rusqlite::Error| Error::of_database(schema.name, &error);
    let connection = database::open_immutable(path).map_err(failed)?;
    match database::check_ours(&connection, schema)? {
        0 => Err(Error::Missing { dir: dir.to_owned() }),
        format => Ok(format),
    }
}
