//! All ports on SQLite and files, for one machine.
//!
//! Owns a directory:
//!
//! ```text
//! DIR/mail.db       journal, head hints, control, log, small objects (SQLite, WAL, synchronous=FULL)
//! DIR/queue.db      queues and dead letters                  (the same)
//! DIR/objects/…     one file for each other object, under its name
//! DIR/others        a byte for each commit to mail.db by a process that does not serve
//! DIR/open.lock     held while a process opens the directory
//! DIR/serve.lock    held, and its pid in it, by the one process that receives from the queues
//! ```
//!
//! Invariants: what a port has answered with success has been synced to the disk; any number of processes may
//! have the directory open, and everything holds between them as it does within one; only the server receives
//! from the queues. Stored values carry a checksum, files a format version. Files are for their owner alone,
//! whatever the mode of the directory. A directory that can't be written (a mounted backup) is opened by tools
//! for reading, see [`read_only`].
//!
//! If the process dies at any line: SQLite's WAL and the order temp file → fsync → link or rename → fsync of
//! the directory leave the state before or after each call, never one between. Nothing needs to be repaired
//! at the next start; the modules say what they find and how they go on.

mod checkpoint;
mod control;
mod database;
mod failure;
mod heads;
mod journal;
mod log;
mod objects;
mod permissions;
mod queue;
mod read_only;
mod seal;
mod serve_lock;
mod wal_room;
mod writer;

use std::fs::{self, File};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use pennypost_ports::{Control, Journal, Log, Objects, Queue};
use tokio::sync::watch;

use crate::control::EmbeddedControl;
use crate::database::{Access, Readers, Schema};
use crate::failure::Failure;
use crate::heads::Heads;
use crate::journal::{EmbeddedJournal, large};
use crate::log::EmbeddedLog;
use crate::objects::{EmbeddedObjects, Rows, rows};
use crate::queue::{EmbeddedQueue, Serving};
use crate::serve_lock::ServeLock;
use crate::wal_room::WalRoom;
use crate::writer::{Ready, Writer};

const MAIL: Schema = Schema {
    name: "mail.db",
    steps: &[
        "
        CREATE TABLE journal (
            tenant BLOB NOT NULL,
            account BLOB NOT NULL,
            seq INTEGER NOT NULL,
            entry BLOB NOT NULL,
            PRIMARY KEY (tenant, account, seq)
        ) WITHOUT ROWID;
        CREATE TABLE head (
            tenant BLOB NOT NULL,
            account BLOB NOT NULL,
            base_seq INTEGER NOT NULL,
            base TEXT NOT NULL,
            PRIMARY KEY (tenant, account)
        ) WITHOUT ROWID;
        CREATE TABLE control (
            partition TEXT NOT NULL,
            sort TEXT NOT NULL,
            version INTEGER NOT NULL,
            value BLOB NOT NULL,
            PRIMARY KEY (partition, sort)
        ) WITHOUT ROWID;
        CREATE TABLE log (
            kind TEXT NOT NULL,
            tenant BLOB NOT NULL,
            id BLOB NOT NULL,
            time INTEGER NOT NULL,
            number INTEGER NOT NULL,
            value BLOB NOT NULL,
            PRIMARY KEY (kind, tenant, id, time, number)
        ) WITHOUT ROWID;
    ",
        rows::CREATE,
        large::CREATE,
    ],
};

const QUEUE: Schema = Schema { name: "queue.db", steps: &[queue::CREATE] };

/// Why a directory could not be opened.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// There is no data directory.
    #[error("{} is no data directory: it does not exist or holds no mail.db", .dir.display())]
    Missing {
        /// Where.
        dir: PathBuf,
    },
    /// There is something else.
    #[error("{} is not a directory", .dir.display())]
    NotADirectory {
        /// Where.
        dir: PathBuf,
    },
    /// A directory that can't be written was copied from a running server: its newest commits are in a WAL,
    /// which can't be read without writing beside it.
    #[error(
        "{file} has commits in its WAL, and the directory is read-only: copy it to where it can be written"
    )]
    UnmergedWal {
        /// Which database.
        file: &'static str,
    },
    /// A file or directory can't be made, opened or locked.
    #[error("cannot open {file}: {cause}")]
    File {
        /// Which one.
        file: &'static str,
        /// What the system said.
        cause: String,
    },
    /// The database can't be opened; it may be damaged.
    #[error("cannot open the database {file}: {cause}")]
    Database {
        /// Which one.
        file: &'static str,
        /// What SQLite said.
        cause: String,
    },
    /// It is a database of another program.
    #[error("{file} is not a database of Pennypost")]
    NotOurs {
        /// Which one.
        file: &'static str,
    },
    /// A newer Pennypost has written it.
    #[error("{file} has format {found}; this program knows formats up to {known}: use a newer Pennypost")]
    Newer {
        /// Which one.
        file: &'static str,
        /// Its format.
        found: i64,
        /// The newest format that this program knows.
        known: i64,
    },
    /// Another process is the server.
    #[error("the directory is already being served{}", .pid.map(|pid| format!(" by process {pid}")).unwrap_or_default())]
    AlreadyServed {
        /// Its process id, if it could be read.
        pid: Option<u32>,
    },
}

impl Error {
    fn of_file(file: &'static str, error: &std::io::Error) -> Error {
        Error::File { file, cause: error.to_string() }
    }

    fn of_database(file: &'static str, error: &rusqlite::Error) -> Error {
        Error::Database { file, cause: error.to_string() }
    }

    fn of_failure(file: &'static str, failure: Failure) -> Error {
        Error::Database { file, cause: failure.at("database").to_string() }
    }
}

/// How a directory is opened.
#[derive(Debug, Clone)]
pub struct Options {
    /// As the server, which receives from the queues? Otherwise as a tool beside it.
    pub serve: bool,
    /// Make the directory when it is missing? Otherwise that is an error.
    pub create: bool,
    /// Bytes of queued messages that are kept in memory until they are handed out.
    pub queue_cache: usize,
    /// Messages that may wait in one queue; beyond it sending is unavailable.
    pub max_waiting: usize,
    /// Connections that read from each database at a time.
    pub readers: usize,
    /// Make room in the WALs beforehand, 9 MB for each database? Then the first commits are as fast as later ones.
    pub wal_room: bool,
}

impl Options {
    /// For the one process that serves.
    #[must_use]
    pub const fn server() -> Options {
        Options {
            serve: true,
            create: true,
            queue_cache: 64 << 20,
            max_waiting: 2_000_000,
            readers: 8,
            wal_room: false,
        }
    }

    /// For administration, import and export, beside a server or without one.
    #[must_use]
    pub const fn tool() -> Options {
        Options { serve: false, create: false, ..Options::server() }
    }
}

/// An open directory. Clone the ports out of it; [`Embedded::shutdown`] ends it in order.
pub struct Embedded {
    journal: Arc<EmbeddedJournal>,
    objects: Arc<EmbeddedObjects>,
    control: Arc<EmbeddedControl>,
    log: Arc<EmbeddedLog>,
    queue: Arc<EmbeddedQueue>,
    mail: Arc<Writer>,
    foreign_changes: watch::Receiver<u64>,
    // The last to go: others may serve only when our writers have ended.
    _serve_lock: Option<ServeLock>,
}

impl Embedded {
    /// Opens `dir`, and makes it when it is missing and the options say so. A tool opens a directory that can't
    /// be written as [`Embedded::open_read_only`] does.
    ///
    /// # Errors
    /// [`Error`] when the directory is missing, can't be used, is damaged, was written by a newer program, or is
    /// to be served and already is.
    pub fn open(dir: &Path, options: &Options) -> Result<Embedded, Error> {
        let failed = |file| move |error: std::io::Error| Error::of_file(file, &error);
        if fs::metadata(dir).is_ok_and(|found| !found.is_dir()) {
            return Err(Error::NotADirectory { dir: dir.to_owned() });
        }
        if !options.create && !dir.join(MAIL.name).try_exists().map_err(failed(MAIL.name))? {
            return Err(Error::Missing { dir: dir.to_owned() });
        }
        if options.create {
            // Mail is nobody else's business.
            let made = fs::DirBuilder::new().recursive(true).mode(0o700).create(dir);
            made.map_err(failed("the data directory"))?;
        }
        let serve_lock = options.serve.then(|| ServeLock::take(&dir.join("serve.lock"))).transpose()?;
        let opening = match permissions::private_file(&dir.join("open.lock")) {
            Err(error) if !options.serve && read_only::is_cause(&error) => {
                return Embedded::open_read_only(dir, options);
            }
            opening => opening.map_err(failed("open.lock"))?,
        };
        opening.lock().map_err(failed("open.lock"))?;

        let (mail_path, queue_path) = (dir.join(MAIL.name), dir.join(QUEUE.name));
        // A server of the format before may be running beside a tool, and would not find what a tool puts in the new one.
        let (mail, format) = database::open_writer(&mail_path, &MAIL, options.serve)?;
        let has_rows = format >= rows::SINCE;
        let (changed, foreign_changes) = watch::channel(0_u64);
        let (watched, told) = if options.serve {
            (Some(heads::open_to_watch(dir).map_err(failed(heads::FILE))?), None)
        } else {
            (None, Some(heads::open_to_tell(dir).map_err(failed(heads::FILE))?))
        };
        let heads = Arc::new(Heads::new(watched));
        let finding = Arc::clone(&heads);
        let on_change = move |_: &rusqlite::Connection| {
            finding.found_foreign();
            changed.send_modify(|count| *count += 1);
            Ok(())
        };
        let ready =
            |connection: &rusqlite::Connection, path: &Path, file, statements: &'static [&'static str]| {
                let room = options.wal_room.then(|| WalRoom::new(connection, path)).transpose();
                let room = room.map_err(|error| Error::of_database(file, &error))?;
                Ok::<_, Error>(room.map(|room| Ready { room, statements }))
            };
        let mail_ready = ready(&mail, &mail_path, MAIL.name, &[journal::APPEND])?;
        let mail = Writer::start(mail, &mail_path, MAIL.name, Box::new(on_change), false, told, mail_ready);
        let mail = Arc::new(mail.map_err(|failure| Error::of_failure(MAIL.name, failure))?);

        let (queue, _) = database::open_writer(&queue_path, &QUEUE, options.serve)?;
        let serving = options.serve.then(|| Arc::new(Serving::new(options.queue_cache, options.max_waiting)));
        if let Some(serving) = &serving {
            serving.scan(&queue).map_err(|failure| Error::of_failure(QUEUE.name, failure))?;
        }
        let scanning = serving.clone();
        let on_change = move |connection: &rusqlite::Connection| match &scanning {
            Some(serving) => serving.scan(connection),
            None => Ok(()),
        };
        let queue_ready = ready(&queue, &queue_path, QUEUE.name, &[])?;
        let queue =
            Writer::start(queue, &queue_path, QUEUE.name, Box::new(on_change), true, None, queue_ready);
        let queue = Arc::new(queue.map_err(|failure| Error::of_failure(QUEUE.name, failure))?);

        let readers = Arc::new(Readers::new(mail_path, options.readers, Access::Live));
        let rows = has_rows.then(|| Rows { writer: Arc::clone(&mail), readers: Arc::clone(&readers) });
        let objects =
            EmbeddedObjects::open(&dir.join("objects"), options.serve, rows).map_err(failed("objects"))?;
        // The new files themselves.
        File::open(dir).and_then(|dir| dir.sync_all()).map_err(failed("the data directory"))?;
        drop(opening);

        let queue_readers = Arc::new(Readers::new(queue_path, options.readers, Access::Live));
        Ok(Embedded {
            journal: Arc::new(EmbeddedJournal {
                writer: Arc::clone(&mail),
                readers: Arc::clone(&readers),
                heads,
                has_rows,
                has_large: format >= large::SINCE,
            }),
            objects: Arc::new(objects),
            control: Arc::new(EmbeddedControl { writer: Arc::clone(&mail), readers: Arc::clone(&readers) }),
            log: Arc::new(EmbeddedLog { writer: Arc::clone(&mail), readers }),
            queue: Arc::new(EmbeddedQueue { writer: queue, readers: queue_readers, serving }),
            mail,
            foreign_changes,
            _serve_lock: serve_lock,
        })
    }

    /// The journal port.
    #[must_use]
    pub fn journal(&self) -> Arc<dyn Journal> {
        Arc::clone(&self.journal) as Arc<dyn Journal>
    }

    /// The object port.
    #[must_use]
    pub fn objects(&self) -> Arc<dyn Objects> {
        Arc::clone(&self.objects) as Arc<dyn Objects>
    }

    /// The control port.
    #[must_use]
    pub fn control(&self) -> Arc<dyn Control> {
        Arc::clone(&self.control) as Arc<dyn Control>
    }

    /// The log port.
    #[must_use]
    pub fn log(&self) -> Arc<dyn Log> {
        Arc::clone(&self.log) as Arc<dyn Log>
    }

    /// The queue port.
    #[must_use]
    pub fn queue(&self) -> Arc<dyn Queue> {
        Arc::clone(&self.queue) as Arc<dyn Queue>
    }

    /// Ticks when another process has committed to `mail.db`: sessions that are open should look again.
    #[must_use]
    pub fn foreign_changes(&self) -> watch::Receiver<u64> {
        self.foreign_changes.clone()
    }

    /// Commits what is under way and moves the WALs into the databases. Later writes are unavailable.
    pub async fn shutdown(&self) {
        self.queue.close().await;
        self.mail.stop().await;
    }
}
