//! The control table in `mail.db`.

use std::sync::Arc;

use async_trait::async_trait;
use pennypost_ports::{Consistency, Control, ControlKey, Expected, Item, PortResult, Put};
use rusqlite::{Connection, OptionalExtension, params};

use crate::database::Readers;
use crate::failure::Failure;
use crate::seal::{seal, unseal};
use crate::writer::{Kind, Writer};

const PORT: &str = "control";
const MAX_KEY_HALF: usize = 512;
const MAX_VALUE: usize = 350 * 1024;
/// Up to so many items are read on the calling thread.
const INLINE: usize = 16;

/// [`Control`] on SQLite.
pub(crate) struct EmbeddedControl {
    pub(crate) writer: Arc<Writer>,
    pub(crate) readers: Arc<Readers>,
}

fn check(half: &str, name: &str) -> Result<(), Failure> {
    match half.len() {
        0 => Err(Failure::Refused(format!("a {name} of no bytes is too short"))),
        len if len > MAX_KEY_HALF => Err(Failure::Refused(format!("a {name} of {len} bytes is too long"))),
        _ => Ok(()),
    }
}

fn check_key(key: &ControlKey) -> Result<(), Failure> {
    check(&key.partition, "partition")?;
    check(&key.sort, "sort key")
}

fn item(key: &ControlKey, version: i64, sealed: Vec<u8>) -> Result<Item, Failure> {
    let what = || format!("item {:?} {:?}", key.partition, key.sort);
    let value = unseal(sealed, what)?;
    let version =
        u64::try_from(version).map_err(|_| Failure::Damaged(format!("{} has no version", what())))?;
    Ok(Item { value, version })
}

fn find(connection: &Connection, key: &ControlKey) -> Result<Option<Item>, Failure> {
    let row: Option<(i64, Vec<u8>)> = connection
        .prepare_cached("SELECT version, value FROM control WHERE partition = ?1 AND sort = ?2")?
        .query_row(params![key.partition, key.sort], |row| Ok((row.get(0)?, row.get(1)?)))
        .optional()?;
    row.map(|(version, sealed)| item(key, version, sealed)).transpose()
}

fn put_if(
    connection: &Connection,
    key: &ControlKey,
    sealed: &[u8],
    expected: Expected,
) -> Result<Put, Failure> {
    let there = find(connection, key)?;
    let version = there.as_ref().map(|item| item.version);
    let holds = match expected {
        Expected::Any => true,
        Expected::Absent => version.is_none(),
        Expected::Version(wanted) => version == Some(wanted),
    };
    if !holds {
        return Ok(Put::Conflict(there));
    }
    let version = version.unwrap_or(0) + 1;
    connection
        .prepare_cached(
            "INSERT INTO control (partition, sort, version, value) VALUES (?1, ?2, ?3, ?4) \
             ON CONFLICT DO UPDATE SET version = excluded.version, value = excluded.value",
        )?
        .execute(params![key.partition, key.sort, version.cast_signed(), sealed])?;
    Ok(Put::Stored(version))
}

fn delete_if(connection: &Connection, key: &ControlKey, version: u64) -> Result<bool, Failure> {
    let deleted = connection
        .prepare_cached("DELETE FROM control WHERE partition = ?1 AND sort = ?2 AND version = ?3")?
        .execute(params![key.partition, key.sort, version.cast_signed()])?;
    Ok(deleted == 1)
}

fn query(
    connection: &Connection,
    partition: &str,
    prefix: &str,
    after: Option<&str>,
    limit: usize,
) -> Result<Vec<(String, Item)>, Failure> {
    // Read from the first candidate on and stop at the first key without the prefix: the end of the range
    // need not be expressible as text.
    let (from, inclusive) = match after {
        Some(after) if after >= prefix => (after, false),
        _ => (prefix, true),
    };
    let mut statement = connection.prepare_cached(if inclusive {
        "SELECT sort, version, value FROM control WHERE partition = ?1 AND sort >= ?2 ORDER BY sort LIMIT ?3"
    } else {
        "SELECT sort, version, value FROM control WHERE partition = ?1 AND sort > ?2 ORDER BY sort LIMIT ?3"
    })?;
    let mut rows = statement.query(params![partition, from, i64::try_from(limit).unwrap_or(i64::MAX)])?;
    let mut found = Vec::new();
    while let Some(row) = rows.next()? {
        let sort: String = row.get(0)?;
        if !sort.starts_with(prefix) {
            break;
        }
        let key = ControlKey::new(partition, sort);
        let item = item(&key, row.get(1)?, row.get(2)?)?;
        found.push((key.sort, item));
    }
    Ok(found)
}

#[async_trait]
impl Control for EmbeddedControl {
    async fn get(&self, key: &ControlKey, _consistency: Consistency) -> PortResult<Option<Item>> {
        let found = match check_key(key) {
            Ok(()) => self.readers.inline(|connection| find(connection, key)).await,
            Err(failure) => Err(failure),
        };
        found.map_err(|failure| failure.at(PORT))
    }

    async fn put_if(&self, key: &ControlKey, value: &[u8], expected: Expected) -> PortResult<Put> {
        check_key(key).map_err(|failure| failure.at(PORT))?;
        if value.len() > MAX_VALUE {
            let cause = format!("an item of {} bytes is too large", value.len());
            return Err(Failure::Refused(cause).at(PORT));
        }
        let (key, sealed) = (key.clone(), seal(value.to_vec()));
        self.writer
            .run(Kind::ControlPut, sealed.len(), move |connection| {
                put_if(connection, &key, &sealed, expected)
            })
            .await
            .map_err(|failure| failure.at(PORT))
    }

    async fn delete_if(&self, key: &ControlKey, version: u64) -> PortResult<bool> {
        check_key(key).map_err(|failure| failure.at(PORT))?;
        let key = key.clone();
        self.writer
            .run(Kind::ControlPut, 0, move |connection| delete_if(connection, &key, version))
            .await
            .map_err(|failure| failure.at(PORT))
    }

    async fn query(
        &self,
        partition: &str,
        prefix: &str,
        after: Option<&str>,
        limit: usize,
    ) -> PortResult<Vec<(String, Item)>> {
        check(partition, "partition").map_err(|failure| failure.at(PORT))?;
        let found = if limit <= INLINE {
            self.readers.inline(|connection| query(connection, partition, prefix, after, limit)).await
        } else {
            let (partition, prefix) = (partition.to_owned(), prefix.to_owned());
            let after = after.map(str::to_owned);
            self.readers
                .blocking(move |connection| query(connection, &partition, &prefix, after.as_deref(), limit))
                .await
        };
        found.map_err(|failure| failure.at(PORT))
    }
}
