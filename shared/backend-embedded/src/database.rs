//! Opening a database file, and the pool of connections that read from it.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use rusqlite::{Connection, OpenFlags, TransactionBehavior};
use tokio::sync::Semaphore;

use crate::failure::Failure;
use crate::{Error, permissions};

/// `application_id` of our files: "PPst".
const APPLICATION_ID: i64 = 0x5050_7374;
/// How long a connection waits for another process that is writing.
const BUSY_TIMEOUT: Duration = Duration::from_secs(10);
/// An entry of 1 KB stays inside its leaf page (SQLite moves what is longer than about a quarter of the page
/// out of a WITHOUT ROWID leaf), and so does a queued letter of 5 KB.
const PAGE_SIZE: i64 = 8192;

/// What a database file contains.
pub(crate) struct Schema {
    /// Its file name, for errors.
    pub(crate) name: &'static str,
    /// What makes each format from the one before it, the first one from an empty file.
    pub(crate) steps: &'static [&'static str],
}

impl Schema {
    /// The format that this program writes.
    const fn version(&self) -> usize {
        self.steps.len()
    }
}

/// Opens the file for writing, makes it when it is missing, and checks that it is ours.
///
/// To be called under the lock of the directory: switching a new file to WAL does not wait for others.
///
/// A file of an older format is brought to the newest one if `may_convert`, as the server may; the format that it has is given with the
/// connection.
pub(crate) fn open_writer(
    path: &Path,
    schema: &Schema,
    may_convert: bool,
) -> Result<(Connection, usize), Error> {
    let failed = |error: rusqlite::Error| Error::of_database(schema.name, &error);
    // SQLite gives the mode of the database to its WAL and its shared memory.
    permissions::private_database(path).map_err(|error| Error::of_file(schema.name, &error))?;
    let flags =
        OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_CREATE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let mut connection = Connection::open_with_flags(path, flags).map_err(failed)?;
    connection.busy_timeout(BUSY_TIMEOUT).map_err(failed)?;
    connection.pragma_update(None, "page_size", PAGE_SIZE).map_err(failed)?;
    let found = check_ours(&connection, schema)?;
    let mode: String =
        connection.pragma_update_and_check(None, "journal_mode", "wal", |row| row.get(0)).map_err(failed)?;
    if mode != "wal" {
        return Err(Error::Database {
            file: schema.name,
            cause: format!("its file system only allows journal mode {mode}"),
        });
    }
    configure(&connection, -32 * 1024).map_err(failed)?;
    // A commit is durable when it returns: the WAL is synced at each.
    connection.pragma_update(None, "synchronous", "FULL").map_err(failed)?;
    // Checkpoints are the business of `checkpoint`.
    connection.pragma_update(None, "wal_autocheckpoint", 0).map_err(failed)?;
    if may_convert && found > 0 {
        // Makes the WAL, whose first commit takes three syncs: otherwise the first member to write waits for them.
        connection.pragma_update(None, "user_version", found.cast_signed()).map_err(failed)?;
    }
    let convert = found == 0 || may_convert && found < schema.version();
    if convert {
        let transaction =
            connection.transaction_with_behavior(TransactionBehavior::Immediate).map_err(failed)?;
        for step in &schema.steps[found..] {
            transaction.execute_batch(step).map_err(failed)?;
        }
        transaction.pragma_update(None, "application_id", APPLICATION_ID).map_err(failed)?;
        transaction.pragma_update(None, "user_version", schema.version().cast_signed()).map_err(failed)?;
        transaction.commit().map_err(failed)?;
    }
    Ok((connection, if convert { schema.version() } else { found }))
}

/// The format of the file, 0 if it is empty. If not, it must be a database of ours, in a format that this program
/// knows.
pub(crate) fn check_ours(connection: &Connection, schema: &Schema) -> Result<usize, Error> {
    let failed = |error: rusqlite::Error| Error::of_database(schema.name, &error);
    // The first read: says whether this is a database at all.
    let application: i64 =
        connection.pragma_query_value(None, "application_id", |row| row.get(0)).map_err(failed)?;
    let version: i64 =
        connection.pragma_query_value(None, "user_version", |row| row.get(0)).map_err(failed)?;
    let tables: i64 =
        connection.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0)).map_err(failed)?;
    if tables == 0 && application == 0 {
        return Ok(0);
    }
    if application != APPLICATION_ID {
        return Err(Error::NotOurs { file: schema.name });
    }
    match usize::try_from(version) {
        Ok(found) if found <= schema.version() => Ok(if tables == 0 { 0 } else { found }),
        _ => {
            let known = schema.version().cast_signed() as i64;
            Err(Error::Newer { file: schema.name, found: version, known })
        }
    }
}

/// A connection to a file that nobody can change: takes no locks and needs no WAL.
pub(crate) fn open_immutable(path: &Path) -> rusqlite::Result<Connection> {
    let mut uri = String::from("file:");
    for byte in path.as_os_str().as_encoded_bytes() {
        match byte {
            b'/' | b'.' | b'-' | b'_' | b'0'..=b'9' | b'a'..=b'z' | b'A'..=b'Z' => {
                uri.push(char::from(*byte))
            }
            _ => uri.push_str(&format!("%{byte:02X}")),
        }
    }
    uri.push_str("?immutable=1");
    let flags =
        OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_URI | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(uri, flags)?;
    configure(&connection, -8 * 1024)?;
    Ok(connection)
}

/// A further connection to a file that [`open_writer`] has opened.
pub(crate) fn open_further(path: &Path) -> rusqlite::Result<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags)?;
    connection.busy_timeout(BUSY_TIMEOUT)?;
    configure(&connection, -8 * 1024)?;
    connection.pragma_update(None, "synchronous", "FULL")?;
    connection.pragma_update(None, "wal_autocheckpoint", 0)?;
    Ok(connection)
}

fn configure(connection: &Connection, cache: i64) -> rusqlite::Result<()> {
    connection.set_prepared_statement_cache_capacity(64);
    connection.pragma_update(None, "cache_size", cache)?;
    connection.pragma_update(None, "temp_store", "MEMORY")?;
    // Finds a damaged cell when it is read, and not only when its length makes no sense.
    connection.pragma_update(None, "cell_size_check", true)
}

/// Whether others may write to the file that is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Access {
    Live,
    Immutable,
}

/// Connections that only read; each read sees everything that was committed before it began.
pub(crate) struct Readers {
    path: PathBuf,
    access: Access,
    permits: Arc<Semaphore>,
    idle: Mutex<Vec<Connection>>,
}

impl Readers {
    /// At most `count` reads at a time.
    pub(crate) fn new(path: PathBuf, count: usize, access: Access) -> Readers {
        Readers { path, access, permits: Arc::new(Semaphore::new(count)), idle: Mutex::new(Vec::new()) }
    }

    /// A short read (a few rows by key), on this very thread: it takes less time than a change of thread.
    pub(crate) async fn inline<T>(
        &self,
        read: impl FnOnce(&mut Connection) -> Result<T, Failure>,
    ) -> Result<T, Failure> {
        let _permit = self.permits.acquire().await.map_err(|_| Failure::closed())?;
        self.with_connection(read)
    }

    /// A read that may take long, on a thread for blocking work.
    pub(crate) async fn blocking<T: Send + 'static>(
        self: &Arc<Self>,
        read: impl FnOnce(&mut Connection) -> Result<T, Failure> + Send + 'static,
    ) -> Result<T, Failure> {
        let permit = Arc::clone(&self.permits).acquire_owned().await.map_err(|_| Failure::closed())?;
        let readers = Arc::clone(self);
        let done = tokio::task::spawn_blocking(move || {
            let _permit = permit;
            readers.with_connection(read)
        });
        done.await.map_err(|error| Failure::Unavailable(error.to_string()))?
    }

    fn with_connection<T>(
        &self,
        read: impl FnOnce(&mut Connection) -> Result<T, Failure>,
    ) -> Result<T, Failure> {
        let idle = self.idle.lock().pop();
        let mut connection = match idle {
            Some(connection) => connection,
            None => {
                let connection = match self.access {
                    Access::Live => open_further(&self.path)?,
                    Access::Immutable => open_immutable(&self.path)?,
                };
                connection.pragma_update(None, "query_only", true)?;
                connection
            }
        };
        let result = read(&mut connection);
        // After damage a fresh connection reads the file anew.
        if !matches!(result, Err(Failure::Damaged(_))) {
            self.idle.lock().push(connection);
        }
        result
    }
}
