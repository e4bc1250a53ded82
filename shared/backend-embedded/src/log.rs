//! The log in `mail.db`: rows under (kind, tenant, id, time, number), which is the order of every answer.

use std::sync::Arc;

use async_trait::async_trait;
use pennypost_model::{EventId, TenantId, Timestamp};
use pennypost_ports::{Log, LogKind, LogQuery, LogRecord, PortResult};
use rusqlite::{Connection, OptionalExtension, params};

use crate::database::Readers;
use crate::failure::Failure;
use crate::seal::{seal, unseal};
use crate::writer::{Haste, Kind, Writer};

const PORT: &str = "log";
/// Up to so many records are read on the calling thread.
const INLINE: usize = 32;
/// Records that one transaction of an expiry removes at most: appends go on between them.
const EXPIRY_BATCH: i64 = 500;

/// [`Log`] on SQLite.
pub(crate) struct EmbeddedLog {
    pub(crate) writer: Arc<Writer>,
    pub(crate) readers: Arc<Readers>,
}

fn id_bytes(id: EventId) -> [u8; 16] {
    id.to_bytes()
}

fn append(connection: &Connection, records: &[(LogRecord, Vec<u8>)]) -> Result<(), Failure> {
    // The number keeps records of one id and one millisecond apart, in the order in which they were written.
    let mut insert = connection.prepare_cached(
        "INSERT INTO log (kind, tenant, id, time, number, value) \
         SELECT ?1, ?2, ?3, ?4, ifnull(max(number), 0) + 1, ?5 FROM log \
         WHERE kind = ?1 AND tenant = ?2 AND id = ?3 AND time = ?4",
    )?;
    for (record, sealed) in records {
        insert.execute(params![
            record.kind.name(),
            record.tenant.0.to_be_bytes(),
            id_bytes(record.id),
            record.time.0,
            sealed
        ])?;
    }
    Ok(())
}

fn query(connection: &Connection, query: &LogQuery) -> Result<Vec<LogRecord>, Failure> {
    let mut statement = connection.prepare_cached(
        "SELECT id, time, value FROM log WHERE kind = ?1 AND tenant = ?2 AND id BETWEEN ?3 AND ?4 \
         ORDER BY id, time, number LIMIT ?5",
    )?;
    let mut rows = statement.query(params![
        query.kind.name(),
        query.tenant.0.to_be_bytes(),
        id_bytes(query.from),
        id_bytes(query.to),
        i64::try_from(query.limit).unwrap_or(i64::MAX)
    ])?;
    let mut found = Vec::new();
    while let Some(row) = rows.next()? {
        let id = EventId::from_bytes(row.get(0)?);
        let time = Timestamp(row.get(1)?);
        let value = unseal(row.get(2)?, || format!("a {} record of {id}", query.kind.name()))?;
        found.push(LogRecord { tenant: query.tenant, kind: query.kind, id, time, value });
    }
    Ok(found)
}

/// Tenants after `after` that have records of `kind`: one seek for each.
fn next_tenant(
    connection: &Connection,
    kind: LogKind,
    after: Option<TenantId>,
) -> Result<Option<TenantId>, Failure> {
    let (sql, from) = match after {
        None => ("SELECT tenant FROM log WHERE kind = ?1 AND tenant >= ?2 ORDER BY tenant LIMIT 1", 0),
        Some(after) => {
            ("SELECT tenant FROM log WHERE kind = ?1 AND tenant > ?2 ORDER BY tenant LIMIT 1", after.0)
        }
    };
    let row: Option<[u8; 8]> = connection
        .prepare_cached(sql)?
        .query_row(params![kind.name(), from.to_be_bytes()], |row| row.get(0))
        .optional()?;
    Ok(row.map(|bytes| TenantId(u64::from_be_bytes(bytes))))
}

/// Removes records of one tenant whose time and whose id's time are before `before`. A record whose id is
/// younger than its time lingers until its id has aged too; there is none in practice.
fn expire(
    connection: &Connection,
    kind: LogKind,
    tenant: TenantId,
    before: Timestamp,
) -> Result<usize, Failure> {
    let first_kept = EventId::from_parts(before, 0);
    let deleted = connection
        .prepare_cached(
            "DELETE FROM log WHERE (kind, tenant, id, time, number) IN \
             (SELECT kind, tenant, id, time, number FROM log \
              WHERE kind = ?1 AND tenant = ?2 AND id < ?3 AND time < ?4 LIMIT ?5)",
        )?
        .execute(params![
            kind.name(),
            tenant.0.to_be_bytes(),
            id_bytes(first_kept),
            before.0,
            EXPIRY_BATCH
        ])?;
    Ok(deleted)
}

fn erase(connection: &Connection, kind: LogKind, tenant: TenantId, limit: usize) -> Result<usize, Failure> {
    let erased = connection
        .prepare_cached(
            "DELETE FROM log WHERE (kind, tenant, id, time, number) IN \
             (SELECT kind, tenant, id, time, number FROM log WHERE kind = ?1 AND tenant = ?2 LIMIT ?3)",
        )?
        .execute(params![kind.name(), tenant.0.to_be_bytes(), i64::try_from(limit).unwrap_or(i64::MAX)])?;
    Ok(erased)
}

impl EmbeddedLog {
    async fn append_all(&self, records: &[LogRecord], haste: Haste) -> PortResult<()> {
        if records.is_empty() {
            return Ok(());
        }
        let records: Vec<(LogRecord, Vec<u8>)> = records
            .iter()
            .map(|record| {
                let key = LogRecord { value: Vec::new(), ..record.clone() };
                (key, seal(record.value.clone()))
            })
            .collect();
        let bytes = records.iter().map(|(_, sealed)| sealed.len()).sum();
        self.writer
            .run_with(Kind::LogAppend, bytes, haste, move |connection| append(connection, &records))
            .await
            .map_err(|failure| failure.at(PORT))
    }
}

#[async_trait]
impl Log for EmbeddedLog {
    async fn append(&self, records: &[LogRecord]) -> PortResult<()> {
        self.append_all(records, Haste::AtOnce).await
    }

    async fn append_unhurried(&self, records: &[LogRecord]) -> PortResult<()> {
        self.append_all(records, Haste::InCompany).await
    }

    async fn query(&self, asked: &LogQuery) -> PortResult<Vec<LogRecord>> {
        let found = if asked.limit <= INLINE {
            self.readers.inline(|connection| query(connection, asked)).await
        } else {
            let asked = asked.clone();
            self.readers.blocking(move |connection| query(connection, &asked)).await
        };
        found.map_err(|failure| failure.at(PORT))
    }

    async fn expire(&self, kind: LogKind, before: Timestamp) -> PortResult<u64> {
        let mut removed = 0;
        let mut after = None;
        loop {
            let tenant = self
                .readers
                .inline(|connection| next_tenant(connection, kind, after))
                .await
                .map_err(|failure| failure.at(PORT))?;
            let Some(tenant) = tenant else { return Ok(removed) };
            loop {
                let batch = self
                    .writer
                    .run(Kind::Other, 0, move |connection| expire(connection, kind, tenant, before))
                    .await
                    .map_err(|failure| failure.at(PORT))?;
                removed += batch as u64;
                if batch == 0 {
                    break;
                }
            }
            after = Some(tenant);
        }
    }

    async fn erase(&self, tenant: TenantId, kind: LogKind, limit: usize) -> PortResult<u64> {
        let erased = self
            .writer
            .run(Kind::Other, 0, move |connection| erase(connection, kind, tenant, limit))
            .await
            .map_err(|failure| failure.at(PORT))?;
        Ok(erased as u64)
    }
}
