//! The rows in `queue.db`. `message` is small, so that starting, marking and due times never touch the
//! letters in `body`; both have the same key, which only grows and is never given twice.

use pennypost_model::event::Stage;
use pennypost_model::{EventId, TenantId, Timestamp};
use pennypost_ports::{DeadLetter, DeadLetterId};
use rusqlite::{Connection, OptionalExtension, params};

use super::lane::{Id, Marked};
use crate::failure::Failure;
use crate::seal::unseal;

/// The tables.
pub(crate) const CREATE: &str = "
    CREATE TABLE message (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        stage TEXT NOT NULL,
        tenant BLOB NOT NULL,
        sent INTEGER NOT NULL,
        due INTEGER NOT NULL,
        tries INTEGER NOT NULL
    );
    CREATE TABLE body (id INTEGER PRIMARY KEY, body BLOB NOT NULL);
    CREATE TABLE dead_letter (
        id BLOB PRIMARY KEY,
        stage TEXT NOT NULL,
        tenant BLOB NOT NULL,
        sent INTEGER NOT NULL,
        died INTEGER NOT NULL,
        tries INTEGER NOT NULL,
        cause TEXT NOT NULL,
        body BLOB NOT NULL
    );
";

/// A waiting row, as the lanes need it.
pub(super) struct Waiting {
    pub(super) id: Id,
    pub(super) stage: Stage,
    pub(super) tenant: TenantId,
    pub(super) due: Timestamp,
}

fn tenant(bytes: [u8; 8]) -> TenantId {
    TenantId(u64::from_be_bytes(bytes))
}

fn stage(name: &str) -> Result<Stage, Failure> {
    Stage::of_queue(name).ok_or_else(|| Failure::Damaged(format!("there is no queue called {name:?}")))
}

pub(super) fn insert(
    connection: &Connection,
    stage: Stage,
    tenant: TenantId,
    sent: Timestamp,
    due: Timestamp,
    tries: u32,
    sealed: &[u8],
) -> Result<Id, Failure> {
    connection
        .prepare_cached("INSERT INTO message (stage, tenant, sent, due, tries) VALUES (?1, ?2, ?3, ?4, ?5)")?
        .execute(params![stage.queue(), tenant.0.to_be_bytes(), sent.0, due.0, tries])?;
    let id = connection.last_insert_rowid();
    connection.prepare_cached("INSERT INTO body (id, body) VALUES (?1, ?2)")?.execute(params![id, sealed])?;
    Ok(id)
}

pub(super) fn delete(connection: &Connection, id: Id) -> Result<(), Failure> {
    connection.prepare_cached("DELETE FROM message WHERE id = ?1")?.execute([id])?;
    connection.prepare_cached("DELETE FROM body WHERE id = ?1")?.execute([id])?;
    Ok(())
}

/// Hands rows after `after` to `each`, ascending, at most `limit`; gives the last id that was read. A row that
/// makes no sense is reported and left where it is: it must not stand in the way of the others.
pub(super) fn after(
    connection: &Connection,
    after: Id,
    limit: usize,
    mut each: impl FnMut(Waiting),
) -> Result<Option<Id>, Failure> {
    let mut statement = connection
        .prepare_cached("SELECT id, stage, tenant, due FROM message WHERE id > ?1 ORDER BY id LIMIT ?2")?;
    let mut rows = statement.query(params![after, i64::try_from(limit).unwrap_or(i64::MAX)])?;
    let mut last = None;
    while let Some(row) = rows.next()? {
        let id: Id = row.get(0)?;
        last = Some(id);
        let waiting = || -> Result<Waiting, Failure> {
            let name: String = row.get(1)?;
            let due = Timestamp(row.get(3)?);
            Ok(Waiting { id, stage: stage(&name)?, tenant: tenant(row.get(2)?), due })
        };
        match waiting() {
            Ok(waiting) => each(waiting),
            Err(failure) => tracing::error!(id, ?failure, "a queued message cannot be read"),
        }
    }
    Ok(last)
}

/// Waiting messages of a stage, for a process that has no lanes.
pub(super) fn count(connection: &Connection, stage: Stage) -> Result<u64, Failure> {
    let count: i64 = connection
        .prepare_cached("SELECT count(*) FROM message WHERE stage = ?1")?
        .query_row([stage.queue()], |row| row.get(0))?;
    Ok(count.unsigned_abs())
}

/// Counts the coming hand-out. Rows that are gone are left out.
pub(super) fn mark(connection: &Connection, ids: &[(Id, TenantId)]) -> Result<Vec<Marked>, Failure> {
    let mut update = connection
        .prepare_cached("UPDATE message SET tries = tries + 1 WHERE id = ?1 RETURNING tries, sent")?;
    let mut marked = Vec::with_capacity(ids.len());
    for (id, tenant) in ids {
        let row: Option<(u32, i64)> =
            update.query_row([id], |row| Ok((row.get(0)?, row.get(1)?))).optional()?;
        if let Some((tries, sent)) = row {
            marked.push(Marked { id: *id, tenant: *tenant, sent: Timestamp(sent), tries, body: None });
        }
    }
    Ok(marked)
}

/// Takes hand-outs back that were counted and did not happen.
pub(super) fn unmark(connection: &Connection, ids: &[Id]) -> Result<(), Failure> {
    let mut update =
        connection.prepare_cached("UPDATE message SET tries = tries - 1 WHERE id = ?1 AND tries > 0")?;
    for id in ids {
        update.execute([id])?;
    }
    Ok(())
}

pub(super) fn set_due(connection: &Connection, id: Id, due: Timestamp) -> Result<(), Failure> {
    connection.prepare_cached("UPDATE message SET due = ?2 WHERE id = ?1")?.execute(params![id, due.0])?;
    Ok(())
}

/// The body of a message, still sealed; `None` when there is no such row.
pub(super) fn body(connection: &Connection, id: Id) -> Result<Option<Vec<u8>>, Failure> {
    let body = connection
        .prepare_cached("SELECT body FROM body WHERE id = ?1")?
        .query_row([id], |row| row.get(0))
        .optional()?;
    Ok(body)
}

/// Moves a message to the dead letters. A body that is missing is left empty: the letter must not vanish.
pub(super) fn bury(
    connection: &Connection,
    id: Id,
    letter: DeadLetterId,
    died: Timestamp,
    cause: &str,
) -> Result<(), Failure> {
    connection
        .prepare_cached(
            "INSERT INTO dead_letter (id, stage, tenant, sent, died, tries, cause, body) \
             SELECT ?2, stage, tenant, sent, ?3, tries, ?4, \
                    ifnull((SELECT body FROM body WHERE body.id = message.id), x'') \
             FROM message WHERE id = ?1",
        )?
        .execute(params![id, letter.0.to_bytes(), died.0, cause])?;
    delete(connection, id)
}

pub(super) fn dead_letters(
    connection: &Connection,
    after: Option<DeadLetterId>,
    limit: usize,
) -> Result<Vec<DeadLetter>, Failure> {
    let mut statement = connection.prepare_cached(
        "SELECT id, stage, tenant, died, tries, cause, body FROM dead_letter WHERE id > ?1 ORDER BY id LIMIT ?2",
    )?;
    // An empty blob comes before every id.
    let from = after.map_or(Vec::new(), |id| id.0.to_bytes().to_vec());
    let mut rows = statement.query(params![from, i64::try_from(limit).unwrap_or(i64::MAX)])?;
    let mut found = Vec::new();
    while let Some(row) = rows.next()? {
        let name: String = row.get(1)?;
        let sealed: Vec<u8> = row.get(6)?;
        // A damaged letter is shown as it lies there: its decoder and its cause say what is wrong.
        let body = unseal(sealed.clone(), String::new).unwrap_or(sealed);
        found.push(DeadLetter {
            id: DeadLetterId(EventId::from_bytes(row.get(0)?)),
            stage: stage(&name)?,
            tenant: tenant(row.get(2)?),
            died: Timestamp(row.get(3)?),
            tries: row.get(4)?,
            cause: row.get(5)?,
            body,
        });
    }
    Ok(found)
}

/// Moves a dead letter back into its queue. `None` when there is none.
pub(super) fn replay(
    connection: &Connection,
    id: DeadLetterId,
    now: Timestamp,
) -> Result<Option<Waiting>, Failure> {
    let key = id.0.to_bytes();
    let row: Option<(String, [u8; 8], i64, Vec<u8>)> = connection
        .prepare_cached("SELECT stage, tenant, sent, body FROM dead_letter WHERE id = ?1")?
        .query_row([key], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?)))
        .optional()?;
    let Some((name, owner, sent, body)) = row else { return Ok(None) };
    let (stage, tenant) = (stage(&name)?, tenant(owner));
    let row = insert(connection, stage, tenant, Timestamp(sent), now, 0, &body)?;
    discard(connection, id)?;
    Ok(Some(Waiting { id: row, stage, tenant, due: now }))
}

pub(super) fn discard(connection: &Connection, id: DeadLetterId) -> Result<bool, Failure> {
    let key = id.0.to_bytes();
    let deleted = connection.prepare_cached("DELETE FROM dead_letter WHERE id = ?1")?.execute([key])?;
    Ok(deleted == 1)
}
