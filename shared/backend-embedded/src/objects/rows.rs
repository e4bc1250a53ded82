//! Small objects as rows of `mail.db`: those that were put in the transaction of a journal entry
//! ([`pennypost_ports::Journal::append_with`]). One synced write serves both, where a file of its own takes
//! two more; a row of some KB is also read faster than a file.
//!
//! A name is a row or a file, never both: what is put with an entry has a fresh name. A replaced row stays a
//! row.

use std::time::{SystemTime, UNIX_EPOCH};

use pennypost_model::Timestamp;
use pennypost_ports::{Etag, NewObject, ObjectInfo, Replaced};
use rusqlite::{Connection, OptionalExtension, params};

use crate::failure::Failure;

/// The table; a part of format 2 of `mail.db`.
pub(crate) const CREATE: &str = "
    CREATE TABLE object (
        name TEXT NOT NULL PRIMARY KEY,
        version INTEGER NOT NULL,
        modified INTEGER NOT NULL,
        bytes BLOB NOT NULL
    );
";

/// The first format of `mail.db` that has it.
pub(crate) const SINCE: usize = 2;

/// Puts an object; its name must be free.
pub(crate) fn insert(connection: &Connection, object: &NewObject) -> Result<(), Failure> {
    connection
        .prepare_cached("INSERT INTO object (name, version, modified, bytes) VALUES (?1, 1, ?2, ?3)")?
        .execute(params![object.name, now(), &object.bytes[..]])?;
    Ok(())
}

pub(super) fn exists(connection: &Connection, name: &str) -> Result<bool, Failure> {
    Ok(connection.prepare_cached("SELECT 1 FROM object WHERE name = ?1")?.exists([name])?)
}

pub(super) fn get(connection: &Connection, name: &str) -> Result<Option<(Vec<u8>, Etag)>, Failure> {
    let row: Option<(i64, Vec<u8>)> = connection
        .prepare_cached("SELECT version, bytes FROM object WHERE name = ?1")?
        .query_row([name], |row| Ok((row.get(0)?, row.get(1)?)))
        .optional()?;
    Ok(row.map(|(version, bytes)| {
        let etag = etag(version, &bytes);
        (bytes, etag)
    }))
}

pub(super) fn get_range(
    connection: &Connection,
    name: &str,
    start: u64,
    len: u64,
) -> Result<Option<Vec<u8>>, Failure> {
    let mut statement = connection.prepare_cached("SELECT bytes FROM object WHERE name = ?1")?;
    let mut rows = statement.query([name])?;
    let Some(row) = rows.next()? else { return Ok(None) };
    let bytes =
        row.get_ref(0)?.as_blob().map_err(|error| Failure::Damaged(format!("object {name}: {error}")))?;
    let size = bytes.len() as u64;
    let (from, to) = (start.min(size), start.saturating_add(len).min(size));
    Ok(Some(bytes.get(from as usize..to as usize).unwrap_or_default().to_vec()))
}

/// `None` if there is no such row.
pub(super) fn replace(
    connection: &Connection,
    name: &str,
    bytes: &[u8],
    expected: &Etag,
) -> Result<Option<Replaced>, Failure> {
    let Some((_, found)) = get(connection, name)? else { return Ok(None) };
    if found != *expected {
        return Ok(Some(Replaced::Mismatch));
    }
    connection
        .prepare_cached("UPDATE object SET version = version + 1, modified = ?2, bytes = ?3 WHERE name = ?1")?
        .execute(params![name, now(), bytes])?;
    Ok(Some(Replaced::Stored))
}

pub(super) fn delete(connection: &Connection, name: &str) -> Result<(), Failure> {
    connection.prepare_cached("DELETE FROM object WHERE name = ?1")?.execute([name])?;
    Ok(())
}

/// Rows under `prefix` after `after`, ascending, at most `limit`.
pub(super) fn list(
    connection: &Connection,
    prefix: &str,
    after: Option<&str>,
    limit: usize,
) -> Result<Vec<ObjectInfo>, Failure> {
    // One bound, where the index is entered: of two, names up to the other one would be walked over.
    let (sql, bound) = match after.filter(|after| *after >= prefix) {
        Some(after) => {
            ("SELECT name, length(bytes), modified FROM object WHERE name > ?1 ORDER BY name LIMIT ?2", after)
        }
        None => (
            "SELECT name, length(bytes), modified FROM object WHERE name >= ?1 ORDER BY name LIMIT ?2",
            prefix,
        ),
    };
    let mut statement = connection.prepare_cached(sql)?;
    let mut rows = statement.query(params![bound, i64::try_from(limit).unwrap_or(i64::MAX)])?;
    let mut found = Vec::new();
    while let Some(row) = rows.next()? {
        let name: String = row.get(0)?;
        // Names of one prefix stand together.
        if !name.starts_with(prefix) {
            break;
        }
        let size: i64 = row.get(1)?;
        found.push(ObjectInfo { name, size: size.unsigned_abs(), modified: Timestamp(row.get(2)?) });
    }
    Ok(found)
}

/// Two ascending listings as one, at most `limit`.
pub(super) fn merge(files: Vec<ObjectInfo>, rows: Vec<ObjectInfo>, limit: usize) -> Vec<ObjectInfo> {
    if rows.is_empty() {
        return files;
    }
    let mut all = files;
    all.extend(rows);
    all.sort_unstable_by(|one, other| one.name.cmp(&other.name));
    all.truncate(limit);
    all
}

/// The version of a row: how often it was replaced, and its content. A file's has other parts.
fn etag(version: i64, bytes: &[u8]) -> Etag {
    Etag(format!("row-{version:x}-{:x}-{:08x}", bytes.len(), crc32fast::hash(bytes)))
}

/// Milliseconds since 1970.
fn now() -> i64 {
    let elapsed = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(elapsed.as_millis()).unwrap_or(i64::MAX)
}
