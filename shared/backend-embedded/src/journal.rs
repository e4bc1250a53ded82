//! The journal in `mail.db`: one row for each entry under (tenant, account, seq), and the head hints. Large entries lie
//! beside their rows ([`large`]).

pub(crate) mod large;

use std::sync::Arc;

use async_trait::async_trait;
use pennypost_model::codec;
use pennypost_model::journal::Entry;
use pennypost_model::{AccountId, AccountKey, Seq, TenantId};
use pennypost_ports::{Appended, Consistency, Head, Journal, NewObject, Newest, PortResult};
use rusqlite::types::ValueRef;
use rusqlite::{CachedStatement, Connection, OptionalExtension, Params, params};

use crate::database::Readers;
use crate::failure::Failure;
use crate::heads::Heads;
use crate::objects::{check_name, rows};
use crate::seal::{seal, unseal};
use crate::writer::{Kind, Writer};

const PORT: &str = "journal";
/// Objects up to so many bytes are put with their entry. Twice this is written for each (WAL and database), which
/// takes less than the syncs that a file of its own needs.
const LARGEST_ROW: usize = 64 * 1024;
/// Up to so many entries are read on the calling thread.
const INLINE: usize = 64;
/// Puts an entry in its place if nothing is there.
pub(crate) const APPEND: &str =
    "INSERT INTO journal (tenant, account, seq, entry) VALUES (?1, ?2, ?3, ?4) ON CONFLICT DO NOTHING";

/// [`Journal`] on SQLite.
pub(crate) struct EmbeddedJournal {
    pub(crate) writer: Arc<Writer>,
    pub(crate) readers: Arc<Readers>,
    pub(crate) heads: Arc<Heads>,
    /// Is there a table for objects?
    pub(crate) has_rows: bool,
    /// Is there a table for large entries?
    pub(crate) has_large: bool,
}

/// Ids are stored as 8 bytes, most significant first: their order is that of the numbers.
type IdBytes = [u8; 8];

fn key(account: AccountKey) -> (IdBytes, IdBytes) {
    (account.tenant.0.to_be_bytes(), account.account.0.to_be_bytes())
}

fn number(seq: Seq) -> Result<i64, Failure> {
    i64::try_from(seq.0).map_err(|_| Failure::Refused(format!("there is no entry {seq}")))
}

/// As [`number`], for an upper or lower bound: beyond all numbers there is nothing more.
fn bound(seq: Seq) -> i64 {
    i64::try_from(seq.0).unwrap_or(i64::MAX)
}

fn count(limit: usize) -> i64 {
    i64::try_from(limit).unwrap_or(i64::MAX)
}

fn read_entry(account: AccountKey, seq: i64, found: ValueRef<'_>) -> Result<Entry, Failure> {
    let sealed = match found {
        ValueRef::Blob(sealed) => sealed.to_vec(),
        ValueRef::Integer(_) => {
            return Err(Failure::Unavailable(
                "mail.db has a newer format since a moment ago: start again".to_owned(),
            ));
        }
        _ => return Err(Failure::Damaged(format!("entry {seq} of account {account} lies nowhere"))),
    };
    let bytes = unseal(sealed, || format!("entry {seq} of account {account}"))?;
    let entry: Entry = codec::decode(&bytes)
        .map_err(|error| Failure::Damaged(format!("entry {seq} of account {account}: {error}")))?;
    if i64::try_from(entry.seq.0) != Ok(seq) {
        return Err(Failure::Damaged(format!(
            "entry {} of account {account} lies in place of entry {seq}",
            entry.seq
        )));
    }
    Ok(entry)
}

/// The rows of a query for (seq, entry), decoded.
fn read_entries(
    mut statement: CachedStatement<'_>,
    parameters: impl Params,
    account: AccountKey,
) -> Result<Vec<Entry>, Failure> {
    let mut rows = statement.query(parameters)?;
    let mut entries = Vec::new();
    while let Some(row) = rows.next()? {
        entries.push(read_entry(account, row.get(0)?, row.get_ref(1)?)?);
    }
    Ok(entries)
}

/// An entry is only ever appended behind the one before it: a hole is damage and must not pass for the end.
fn without_holes(account: AccountKey, entries: Vec<Entry>) -> Result<Vec<Entry>, Failure> {
    let hole = entries.windows(2).find(|pair| pair[0].seq.0 + 1 != pair[1].seq.0);
    match hole {
        None => Ok(entries),
        Some(pair) => Err(Failure::Damaged(format!("account {account} has no entry {}", pair[0].seq.0 + 1))),
    }
}

fn since(
    connection: &Connection,
    has_large: bool,
    account: AccountKey,
    after: Seq,
    limit: usize,
) -> Result<Vec<Entry>, Failure> {
    let (tenant, id) = key(account);
    let entry = large::column(has_large);
    let statement = connection.prepare_cached(&format!(
        "SELECT seq, {entry} FROM journal WHERE tenant = ?1 AND account = ?2 AND seq > ?3 ORDER BY seq LIMIT ?4",
    ))?;
    let entries = read_entries(statement, params![tenant, id, bound(after), count(limit)], account)?;
    if let Some(first) = entries.first()
        && first.seq.0 != after.0 + 1
    {
        return Err(Failure::Damaged(format!("account {account} has no entry {}", after.0 + 1)));
    }
    without_holes(account, entries)
}

fn before(
    connection: &Connection,
    has_large: bool,
    account: AccountKey,
    upto: Seq,
    limit: usize,
) -> Result<Vec<Entry>, Failure> {
    let (tenant, id) = key(account);
    let entry = large::column(has_large);
    let statement = connection.prepare_cached(&format!(
        "SELECT seq, {entry} FROM journal WHERE tenant = ?1 AND account = ?2 AND seq <= ?3 \
         ORDER BY seq DESC LIMIT ?4",
    ))?;
    let mut entries = read_entries(statement, params![tenant, id, bound(upto), count(limit)], account)?;
    entries.reverse();
    without_holes(account, entries)
}

fn head(connection: &Connection, account: AccountKey) -> Result<Option<Head>, Failure> {
    let (tenant, id) = key(account);
    let row: Option<(i64, String)> = connection
        .prepare_cached("SELECT base_seq, base FROM head WHERE tenant = ?1 AND account = ?2")?
        .query_row(params![tenant, id], |row| Ok((row.get(0)?, row.get(1)?)))
        .optional()?;
    row.map(|(seq, base)| {
        let seq = u64::try_from(seq)
            .map_err(|_| Failure::Damaged(format!("the head of account {account} is negative")))?;
        Ok(Head { base_seq: Seq(seq), base })
    })
    .transpose()
}

fn newest(
    connection: &mut Connection,
    has_large: bool,
    account: AccountKey,
    limit: usize,
) -> Result<Newest, Failure> {
    // One snapshot: the head must not be ahead of the entries.
    let snapshot = connection.transaction()?;
    let entries = before(&snapshot, has_large, account, Seq(u64::MAX), limit)?;
    let head = head(&snapshot, account)?;
    Ok(Newest { entries, head })
}

fn append(
    connection: &Connection,
    has_large: bool,
    account: AccountKey,
    seq: i64,
    sealed: &[u8],
    object: Option<&NewObject>,
) -> Result<Appended, Failure> {
    let (tenant, id) = key(account);
    let apart =
        if has_large && large::is_large(sealed) { Some(large::insert(connection, sealed)?) } else { None };
    let mut insert = connection.prepare_cached(APPEND)?;
    let inserted = match apart {
        Some(number) => insert.execute(params![tenant, id, seq, number])?,
        None => insert.execute(params![tenant, id, seq, sealed])?,
    };
    if inserted == 1 {
        if let Some(object) = object {
            rows::insert(connection, object)?;
        }
        return Ok(Appended::Committed);
    }
    if let Some(number) = apart {
        large::remove(connection, number)?;
    }
    let entry = large::column(has_large);
    let mut there = connection.prepare_cached(&format!(
        "SELECT {entry} FROM journal WHERE tenant = ?1 AND account = ?2 AND seq = ?3"
    ))?;
    let mut rows = there.query(params![tenant, id, seq])?;
    let found = rows.next()?.ok_or(rusqlite::Error::QueryReturnedNoRows)?;
    Ok(Appended::Lost(Box::new(read_entry(account, seq, found.get_ref(0)?)?)))
}

fn advance_head(connection: &Connection, account: AccountKey, seq: i64, base: &str) -> Result<bool, Failure> {
    let (tenant, id) = key(account);
    let changed = connection
        .prepare_cached(
            "INSERT INTO head (tenant, account, base_seq, base) VALUES (?1, ?2, ?3, ?4) \
             ON CONFLICT DO UPDATE SET base_seq = excluded.base_seq, base = excluded.base \
             WHERE excluded.base_seq > head.base_seq",
        )?
        .execute(params![tenant, id, seq, base])?;
    Ok(changed == 1)
}

fn accounts(
    connection: &Connection,
    tenant: TenantId,
    after: Option<AccountId>,
    limit: usize,
) -> Result<Vec<AccountKey>, Failure> {
    // One seek for each account: a plain DISTINCT would read every entry.
    let mut first = connection.prepare_cached(
        "SELECT account FROM journal WHERE tenant = ?1 AND account >= ?2 ORDER BY account LIMIT 1",
    )?;
    let mut next = connection.prepare_cached(
        "SELECT account FROM journal WHERE tenant = ?1 AND account > ?2 ORDER BY account LIMIT 1",
    )?;
    let mut found = Vec::new();
    let mut last = after;
    while found.len() < limit {
        let statement = if last.is_some() { &mut next } else { &mut first };
        let from = last.map_or(0, |account| account.0).to_be_bytes();
        let row: Option<IdBytes> =
            statement.query_row(params![tenant.0.to_be_bytes(), from], |row| row.get(0)).optional()?;
        let Some(account) = row.map(|bytes| AccountId(u64::from_be_bytes(bytes))) else { break };
        found.push(AccountKey { tenant, account });
        last = Some(account);
    }
    Ok(found)
}

/// Erases the newest `limit` entries, and before them the head hint; are there more?
fn erase(
    connection: &Connection,
    has_large: bool,
    account: AccountKey,
    limit: usize,
) -> Result<bool, Failure> {
    let (tenant, id) = key(account);
    let newest = "SELECT seq FROM journal WHERE tenant = ?1 AND account = ?2 ORDER BY seq DESC LIMIT ?3";
    let limit = count(limit);
    connection
        .prepare_cached("DELETE FROM head WHERE tenant = ?1 AND account = ?2")?
        .execute(params![tenant, id])?;
    if has_large {
        connection
            .prepare_cached(&format!(
                "DELETE FROM large_entry WHERE id IN (SELECT entry FROM journal WHERE tenant = ?1 AND \
                 account = ?2 AND typeof(entry) = 'integer' AND seq IN ({newest}))"
            ))?
            .execute(params![tenant, id, limit])?;
    }
    let erased = connection
        .prepare_cached(&format!(
            "DELETE FROM journal WHERE tenant = ?1 AND account = ?2 AND seq IN ({newest})"
        ))?
        .execute(params![tenant, id, limit])?;
    Ok(i64::try_from(erased).unwrap_or(i64::MAX) >= limit)
}

impl EmbeddedJournal {
    async fn append_all(
        &self,
        account: AccountKey,
        entry: &Entry,
        object: Option<NewObject>,
    ) -> Result<Appended, Failure> {
        let seq = number(entry.seq)?;
        if seq == 0 {
            return Err(Failure::Refused("entries are numbered from 1".to_owned()));
        }
        let sealed = seal(codec::encode(entry));
        let heads = Arc::clone(&self.heads);
        let number = entry.seq;
        // On the writer's thread: also when whoever appends has gone away meanwhile.
        let note = move |appended: Appended| {
            if appended == Appended::Committed {
                heads.appended(account, number);
            }
            appended
        };
        let bytes = sealed.len() + object.as_ref().map_or(0, |object| object.bytes.len());
        let has_large = self.has_large;
        let work = move |connection: &Connection| {
            append(connection, has_large, account, seq, &sealed, object.as_ref())
        };
        self.writer.run_then(Kind::JournalAppend, bytes, work, note).await
    }
}

#[async_trait]
impl Journal for EmbeddedJournal {
    async fn append(&self, account: AccountKey, entry: &Entry) -> PortResult<Appended> {
        self.append_all(account, entry, None).await.map_err(|failure| failure.at(PORT))
    }

    fn takes_objects(&self) -> usize {
        if self.has_rows { LARGEST_ROW } else { 0 }
    }

    async fn append_with(
        &self,
        account: AccountKey,
        entry: &Entry,
        object: NewObject,
    ) -> PortResult<Appended> {
        let appended = match check_name(&object.name) {
            Ok(()) if !self.has_rows => {
                Err(Failure::Refused("this format of mail.db has no place for objects".to_owned()))
            }
            Ok(()) => self.append_all(account, entry, Some(object)).await,
            Err(failure) => Err(failure),
        };
        appended.map_err(|failure| failure.at(PORT))
    }

    async fn since(
        &self,
        account: AccountKey,
        after: Seq,
        limit: usize,
        _consistency: Consistency,
    ) -> PortResult<Vec<Entry>> {
        let reading = self.heads.begin(account);
        let has_large = self.has_large;
        let read = move |connection: &mut Connection| since(connection, has_large, account, after, limit);
        let entries =
            if limit <= INLINE { self.readers.inline(read).await } else { self.readers.blocking(read).await };
        let entries = entries.map_err(|failure| failure.at(PORT))?;
        if let Some(reading) = reading
            && entries.len() < limit
        {
            self.heads.prove(&reading, entries.last().map_or(after, |entry| entry.seq));
        }
        Ok(entries)
    }

    fn newest_known(&self, account: AccountKey) -> Option<Seq> {
        self.heads.newest(account)
    }

    async fn before(&self, account: AccountKey, upto: Seq, limit: usize) -> PortResult<Vec<Entry>> {
        let has_large = self.has_large;
        let read = move |connection: &mut Connection| before(connection, has_large, account, upto, limit);
        let entries =
            if limit <= INLINE { self.readers.inline(read).await } else { self.readers.blocking(read).await };
        entries.map_err(|failure| failure.at(PORT))
    }

    async fn newest(
        &self,
        account: AccountKey,
        limit: usize,
        _consistency: Consistency,
    ) -> PortResult<Newest> {
        let has_large = self.has_large;
        let read = move |connection: &mut Connection| newest(connection, has_large, account, limit);
        let newest =
            if limit <= INLINE { self.readers.inline(read).await } else { self.readers.blocking(read).await };
        newest.map_err(|failure| failure.at(PORT))
    }

    async fn advance_head(&self, account: AccountKey, head: &Head) -> PortResult<bool> {
        let seq = number(head.base_seq).map_err(|failure| failure.at(PORT))?;
        let base = head.base.clone();
        self.writer
            .run(Kind::HeadAdvance, base.len(), move |connection| {
                advance_head(connection, account, seq, &base)
            })
            .await
            .map_err(|failure| failure.at(PORT))
    }

    async fn accounts(
        &self,
        tenant: TenantId,
        after: Option<AccountKey>,
        limit: usize,
    ) -> PortResult<Vec<AccountKey>> {
        // Keys of another tenant lie wholly before or behind this one's.
        let after = match after {
            Some(key) if key.tenant > tenant => return Ok(Vec::new()),
            Some(key) if key.tenant == tenant => Some(key.account),
            _ => None,
        };
        let read = move |connection: &mut Connection| accounts(connection, tenant, after, limit);
        self.readers.blocking(read).await.map_err(|failure| failure.at(PORT))
    }

    async fn erase(&self, account: AccountKey, limit: usize) -> PortResult<bool> {
        let (heads, has_large) = (Arc::clone(&self.heads), self.has_large);
        let forget = move |is_more: bool| {
            heads.erased(account);
            is_more
        };
        let work = move |connection: &Connection| erase(connection, has_large, account, limit.max(1));
        self.writer.run_then(Kind::Other, 0, work, forget).await.map_err(|failure| failure.at(PORT))
    }
}
