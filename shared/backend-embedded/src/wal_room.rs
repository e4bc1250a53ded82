//! Room in the WAL before it is needed.
//!
//! A commit behind the end of the file moves that end, and is durable only when the file system has noted it, too (ext4:
//! by a commit to its own journal, with waits of its own). A commit that overwrites takes one write. A WAL is
//! overwritten from its second round on; with room made beforehand, from its first commit on.
//!
//! Invariants: only what lies behind the end of the file is written, while nobody else may write to the WAL. It is zeros,
//! no valid frame, so that SQLite passes over it as over what is left of an earlier round.
//!
//! If the process dies at any line, the file is longer or it is not.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use rusqlite::{Connection, Transaction, TransactionBehavior};

use crate::checkpoint::CHECKPOINT_FRAMES;
use crate::failure::Failure;

/// What SQLite adds to the pages: before the first, and before each.
const WAL_HEAD: u64 = 32;
const FRAME_HEAD: u64 = 24;
/// Zeros that are written at once.
const STEP: usize = 1 << 20;

/// The WAL of one database.
pub(crate) struct WalRoom {
    wal: PathBuf,
    bytes: u64,
}

impl WalRoom {
    /// As much as a round takes, and a little more: the checkpoint is asked for while others go on writing.
    pub(crate) fn new(connection: &Connection, database: &Path) -> rusqlite::Result<WalRoom> {
        let page: u32 = connection.pragma_query_value(None, "page_size", |row| row.get(0))?;
        let frames = u64::from(CHECKPOINT_FRAMES.unsigned_abs()) * 9 / 8;
        let mut wal = database.as_os_str().to_owned();
        wal.push("-wal");
        Ok(WalRoom { wal: wal.into(), bytes: WAL_HEAD + frames * (FRAME_HEAD + u64::from(page)) })
    }

    /// Makes the room if it is not there: at first, and after another process has cut the file off.
    pub(crate) fn make(&self, connection: &Connection) -> Result<(), Failure> {
        match fs::metadata(&self.wal) {
            Ok(found) if found.len() >= self.bytes => return Ok(()),
            // The first commit makes it.
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            found => found?,
        };
        // As long as it lasts nobody else writes to the WAL.
        let alone = Transaction::new_unchecked(connection, TransactionBehavior::Immediate)?;
        let made = OpenOptions::new().write(true).open(&self.wal).and_then(|file| self.lengthen(&file));
        alone.rollback()?;
        Ok(made?)
    }

    fn lengthen(&self, file: &File) -> io::Result<()> {
        let before = file.metadata()?.len();
        let zeros = vec![0; STEP];
        let mut at = before;
        while at < self.bytes {
            let count = usize::try_from(self.bytes - at).unwrap_or(STEP).min(STEP);
            if let Err(error) = file.write_all_at(&zeros[..count], at) {
                // A full disk: the little that is left is for others.
                file.set_len(before)?;
                return Err(error);
            }
            at += count as u64;
        }
        file.sync_all()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn open(path: &Path) -> Connection {
        let connection = Connection::open(path).expect("opens");
        connection.pragma_update_and_check(None, "journal_mode", "wal", |_| Ok(())).expect("wal");
        connection.pragma_update(None, "wal_autocheckpoint", 0).expect("pragma");
        connection
    }

    fn count(connection: &Connection) -> i64 {
        connection.query_row("SELECT count(*) FROM t", [], |row| row.get(0)).expect("counts")
    }

    #[test]
    fn room_is_filled_by_commits_and_never_taken_for_one() {
        let directory = tempfile::tempdir().expect("directory");
        let (path, wal) = (directory.path().join("a.db"), directory.path().join("a.db-wal"));
        let len = || fs::metadata(&wal).expect("there").len();
        let connection = open(&path);
        connection.execute_batch("CREATE TABLE t (a BLOB); INSERT INTO t VALUES (1)").expect("creates");
        let room = WalRoom::new(&connection, &path).expect("room");
        let first = fs::read(&wal).expect("reads");
        room.make(&connection).expect("makes");
        assert_eq!(len(), room.bytes);
        assert_eq!(fs::read(&wal).expect("reads")[..first.len()], first);
        for _ in 0..200 {
            connection.execute("INSERT INTO t VALUES (zeroblob(3000))", []).expect("inserts");
        }
        assert_eq!(len(), room.bytes);
        // What a process that died has left, as another one finds it.
        let copy = directory.path().join("b.db");
        fs::copy(&path, &copy).expect("copies");
        fs::copy(&wal, directory.path().join("b.db-wal")).expect("copies");
        let found = open(&copy);
        assert_eq!(count(&found), 201);
        found.execute("INSERT INTO t VALUES (2)", []).expect("inserts");
        drop(found);
        assert_eq!(count(&open(&copy)), 202);
        // A next round begins at the front.
        connection.query_row("PRAGMA wal_checkpoint(PASSIVE)", [], |_| Ok(())).expect("checkpoint");
        connection.execute("INSERT INTO t VALUES (3)", []).expect("inserts");
        assert_eq!((len(), count(&connection)), (room.bytes, 202));
    }

    #[test]
    fn room_is_made_again_when_somebody_has_cut_the_file_off() {
        let directory = tempfile::tempdir().expect("directory");
        let path = directory.path().join("a.db");
        let connection = open(&path);
        connection.execute_batch("CREATE TABLE t (a BLOB)").expect("creates");
        let room = WalRoom::new(&connection, &path).expect("room");
        for _ in 0..2 {
            room.make(&connection).expect("makes");
            assert_eq!(fs::metadata(&room.wal).expect("there").len(), room.bytes);
            connection.execute("INSERT INTO t VALUES (1)", []).expect("inserts");
            let other = open(&path);
            other.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(())).expect("checkpoint");
            assert_eq!(fs::metadata(&room.wal).expect("there").len(), 0);
        }
        assert_eq!(count(&connection), 2);
    }

    #[test]
    fn nobody_writes_to_the_wal_while_room_is_made() {
        let directory = tempfile::tempdir().expect("directory");
        let path = directory.path().join("a.db");
        let (connection, other) = (open(&path), open(&path));
        connection.execute_batch("CREATE TABLE t (a BLOB)").expect("creates");
        let room = WalRoom::new(&connection, &path).expect("room");
        connection.busy_timeout(std::time::Duration::ZERO).expect("pragma");
        other.execute_batch("BEGIN IMMEDIATE").expect("begins");
        let before = fs::metadata(&room.wal).expect("there").len();
        assert!(room.make(&connection).is_err());
        assert_eq!(fs::metadata(&room.wal).expect("there").len(), before);
        other.execute_batch("ROLLBACK").expect("ends");
        room.make(&connection).expect("makes");
    }
}
