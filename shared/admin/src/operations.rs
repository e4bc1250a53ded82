//! The log of operations (LOG-06): what administrators did, chained so that nobody can change it unseen.
//!
//! Each tenant has a book, and so has the installation. Record `n` of a book is the control item `n`, written only if
//! that item is not there yet, and it holds the SHA-256 of the bytes of record `n - 1`: of two writers at once one wins,
//! and the other goes on behind it, so that the chain never forks. Numbers have no holes, times never step back. Nothing
//! here changes or deletes a record.
//!
//! A record is written before what it tells of is done, and a second one only if that fails. If the process dies in
//! between, the log says that something was ordered which may not have happened, never the other way about.
//!
//! Where the end is, is remembered in the process and noted every [`HINT_EVERY`] records in a hint, behind which a
//! process that starts looks for the rest: an operation costs one write, and one more for every [`HINT_EVERY`]th.

use std::net::IpAddr;

use pennypost_directory::{DirectoryError, InvitationId, SessionId};
use pennypost_model::codec::{Versioned, decode, encode};
use pennypost_model::{AccountKey, TenantId, Timestamp};
use pennypost_ports::{Consistency, ControlKey, Expected, Put};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::authorise::{Actor, Means};
use crate::keys::KeyId;
use crate::{AdminError, Administration};

/// Records between two notes of where the end is.
const HINT_EVERY: u64 = 16;
/// Records that are read at once.
const READ: usize = 500;
/// How often an append begins again behind others.
const MAX_ATTEMPTS: usize = 256;
/// Books of which a process remembers the end.
const MAX_REMEMBERED: usize = 10_000;
/// Characters of what an object was or becomes.
const MAX_SUMMARY: usize = 4_000;

/// Characters of an object or a cause.
const MAX_TEXT: usize = 500;

/// The hash of a record's bytes.
pub type Hash = [u8; 32];

/// Whose book: a tenant's, or the installation's.
pub type Book = Option<TenantId>;

/// Who did it. Stored: new ones at the end.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum By {
    /// Whoever ran the program on the machine.
    Operator,
    /// A program.
    Service {
        /// By which key.
        key: KeyId,
        /// What it is called.
        name: String,
    },
    /// A person.
    Person {
        /// By which key.
        key: KeyId,
        /// Who.
        account: AccountKey,
        /// The address at that time.
        address: String,
    },
    /// A person in a session.
    Session {
        /// Which.
        session: SessionId,
        /// Who.
        account: AccountKey,
        /// The address at that time.
        address: String,
    },
    /// Nobody: it was due.
    Schedule,
    /// Somebody who was nobody yet, by an invitation.
    Invited {
        /// By which; `None`: by one that was made for the account alone.
        invitation: Option<InvitationId>,
    },
    /// Whoever was sent what sets another password.
    Recovering,
    /// Somebody who has shown nothing yet.
    Stranger,
    /// Whoever has opened the tenant by himself.
    Founder {
        /// Who he is since then.
        account: AccountKey,
        /// The address at that time.
        address: String,
    },
}

impl By {
    pub(crate) fn of(actor: &Actor) -> By {
        match actor {
            Actor::Operator => By::Operator,
            Actor::Service { key, name, .. } => By::Service { key: *key, name: name.clone() },
            Actor::Person { means: Means::Key(key), account, address, .. } => {
                By::Person { key: *key, account: *account, address: address.clone() }
            }
            Actor::Person { means: Means::Session(presence), account, address, .. } => {
                By::Session { session: presence.session, account: *account, address: address.clone() }
            }
        }
    }

    /// For people.
    #[must_use]
    pub fn shown(&self) -> String {
        match self {
            By::Operator => "operator".to_owned(),
            By::Schedule => "schedule".to_owned(),
            By::Service { key, name } => format!("key {name} ({key})"),
            By::Person { address, .. } | By::Session { address, .. } | By::Founder { address, .. } => {
                address.clone()
            }
            By::Invited { invitation: Some(invitation) } => format!("invitation {invitation}"),
            By::Invited { invitation: None } => "invitation".to_owned(),
            By::Recovering => "password recovery".to_owned(),
            By::Stranger => "somebody".to_owned(),
        }
    }
}

/// From where.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Origin {
    /// The command line.
    Command,
    /// The API, from this address where it is known.
    Api(Option<IpAddr>),
    /// The daily round.
    Schedule,
}

impl Origin {
    /// For people.
    #[must_use]
    pub fn shown(&self) -> String {
        match self {
            Origin::Command => "command".to_owned(),
            Origin::Schedule => "schedule".to_owned(),
            Origin::Api(address) => address.map_or_else(|| "api".to_owned(), |address| address.to_string()),
        }
    }
}

/// What became of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Outcome {
    /// It was permitted and begun. Done, if no record of the same book says that it failed.
    Ordered,
    /// It was not permitted.
    Denied {
        /// Why.
        why: String,
    },
    /// What an earlier record ordered failed.
    Failed {
        /// The number of that record.
        of: u64,
        /// Why.
        cause: String,
    },
}

impl Outcome {
    /// Its name.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Outcome::Ordered => "ordered",
            Outcome::Denied { .. } => "denied",
            Outcome::Failed { .. } => "failed",
        }
    }

    /// The reason, if it is none of success.
    #[must_use]
    pub fn reason(&self) -> &str {
        match self {
            Outcome::Ordered => "",
            Outcome::Denied { why } => why,
            Outcome::Failed { cause, .. } => cause,
        }
    }
}

/// What is to be recorded.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// Who did it.
    pub by: By,
    /// From where.
    pub origin: Origin,
    /// What: the name of an [`crate::Action`], or `invitation.accept`.
    pub action: String,
    /// Upon what: an address, a name, a number.
    pub object: String,
    /// What it was, as far as it changes: JSON without secrets.
    pub before: Option<String>,
    /// What it becomes.
    pub after: Option<String>,
    /// What became of it.
    pub outcome: Outcome,
}

/// A record.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Record {
    /// Its number in the book: 1 for the first, without holes.
    pub seq: u64,
    /// The hash of the record before; zeros for the first.
    pub previous: Hash,
    /// When. Never before the record before.
    pub time: Timestamp,
    /// What happened.
    pub entry: Entry,
}

impl Versioned for Record {
    const KIND: &'static str = "operation";
}

/// Where the end of a book was, at least.
#[derive(Serialize, Deserialize)]
struct Hint {
    seq: u64,
}

impl Versioned for Hint {
    const KIND: &'static str = "end of operations";
}

/// The end of a book.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct End {
    /// The number of the last record; 0 if there is none.
    pub seq: u64,
    /// The hash of its bytes.
    pub hash: Hash,
    time: Timestamp,
}

/// What a look at a whole book found.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Checked {
    /// How many records there are.
    pub records: u64,
    /// What is wrong.
    pub wrong: Vec<String>,
}

fn partition(book: Book) -> String {
    book.map_or_else(|| "installation/operations".to_owned(), |tenant| format!("{tenant}/operations"))
}

fn record_key(book: Book, seq: u64) -> ControlKey {
    ControlKey::new(partition(book), sort(seq))
}

fn sort(seq: u64) -> String {
    format!("{seq:020}")
}

fn hint_key(book: Book) -> ControlKey {
    let partition = book.map_or_else(|| "installation".to_owned(), |tenant| tenant.to_string());
    ControlKey::new(partition, "operations-end")
}

fn hash(bytes: &[u8]) -> Hash {
    Sha256::digest(bytes).into()
}

fn end_after(bytes: &[u8]) -> Result<End, AdminError> {
    let record: Record = decode(bytes)?;
    Ok(End { seq: record.seq, hash: hash(bytes), time: record.time })
}

fn cut(text: &str, limit: usize) -> String {
    text.chars().take(limit).collect()
}

impl Entry {
    /// Did a member do it to the own account (LOG-07)?
    #[must_use]
    pub fn is_ones_own(&self) -> bool {
        matches!(&self.by, By::Person { address, .. } if *address == self.object)
    }

    /// The same with texts of bounded length: objects are what somebody has written.
    fn bounded(self) -> Entry {
        let summary = |text: Option<String>| text.map(|text| cut(&text, MAX_SUMMARY));
        let outcome = match self.outcome {
            Outcome::Ordered => Outcome::Ordered,
            Outcome::Denied { why } => Outcome::Denied { why: cut(&why, MAX_TEXT) },
            Outcome::Failed { of, cause } => Outcome::Failed { of, cause: cut(&cause, MAX_TEXT) },
        };
        Entry {
            object: cut(&self.object, MAX_TEXT),
            before: summary(self.before),
            after: summary(self.after),
            outcome,
            ..self
        }
    }
}

/// Records as CSV with a line of names. A cell that a program for tables would take for a formula has a quote
/// in front.
#[must_use]
pub fn csv(records: &[Record]) -> String {
    let mut text = String::from("seq,time,by,origin,action,object,before,after,outcome,reason,of\r\n");
    for record in records {
        let entry = &record.entry;
        let of = match entry.outcome {
            Outcome::Failed { of, .. } => of.to_string(),
            Outcome::Ordered | Outcome::Denied { .. } => String::new(),
        };
        let cells = [
            record.seq.to_string(),
            record.time.rfc3339(),
            entry.by.shown(),
            entry.origin.shown(),
            entry.action.clone(),
            entry.object.clone(),
            entry.before.clone().unwrap_or_default(),
            entry.after.clone().unwrap_or_default(),
            entry.outcome.name().to_owned(),
            entry.outcome.reason().to_owned(),
            of,
        ];
        text.push_str(&cells.map(|cell| quoted(&cell)).join(","));
        text.push_str("\r\n");
    }
    text
}

pub(crate) fn quoted(cell: &str) -> String {
    const SIGNS: [char; 11] = ['=', '+', '-', '@', '\t', '\r', '\n', '＝', '＋', '－', '＠'];
    let cell = if cell.starts_with(SIGNS) { format!("'{cell}") } else { cell.to_owned() };
    // Some programs take semicolons and tabs for borders of cells, unless they are quoted.
    if cell.contains(['"', ',', ';', '\t', '\r', '\n']) {
        format!("\"{}\"", cell.replace('"', "\"\""))
    } else {
        cell
    }
}

impl Administration {
    /// Appends to a book, durably; the number of the record.
    pub(crate) async fn append(&self, book: Book, entry: Entry) -> Result<u64, AdminError> {
        let entry = entry.bounded();
        let mut end = self.ends.lock().get(&book).copied();
        for _ in 0..MAX_ATTEMPTS {
            let before = match end {
                Some(end) => end,
                None => self.end(book).await?,
            };
            let time = self.clock.now().max(before.time);
            let record = Record { seq: before.seq + 1, previous: before.hash, time, entry: entry.clone() };
            let bytes = encode(&record);
            match self.control.put_if(&record_key(book, record.seq), &bytes, Expected::Absent).await? {
                Put::Stored(_) => {
                    self.remember(book, End { seq: record.seq, hash: hash(&bytes), time }).await;
                    return Ok(record.seq);
                }
                Put::Conflict(Some(item)) => end = Some(end_after(&item.value)?),
                // There and gone: nothing of ours does that.
                Put::Conflict(None) => end = None,
            }
        }
        Err(DirectoryError::Contended.into())
    }

    async fn remember(&self, book: Book, end: End) {
        {
            let mut ends = self.ends.lock();
            if ends.len() >= MAX_REMEMBERED && !ends.contains_key(&book) {
                ends.clear();
            }
            let known = ends.entry(book).or_default();
            if end.seq > known.seq {
                *known = end;
            }
        }
        if end.seq.is_multiple_of(HINT_EVERY) {
            let hint = encode(&Hint { seq: end.seq });
            // Without it a process that starts reads a little more.
            if let Err(error) = self.control.put_if(&hint_key(book), &hint, Expected::Any).await {
                tracing::debug!(%error, "the end of the operations is not noted");
            }
        }
    }

    /// Where the book ends.
    ///
    /// # Errors
    /// The port's.
    #[pennypost_ports::compiled_here]
    pub async fn end(&self, book: Book) -> Result<End, AdminError> {
        let hint = self.read::<Hint>(&hint_key(book)).await?;
        let hinted = hint.map_or(0, |(hint, _)| hint.seq);
        let mut end = End::default();
        let mut after = hinted.saturating_sub(1);
        loop {
            let rows = self.control.query(&partition(book), "", Some(&sort(after)), READ).await?;
            if let Some((_, item)) = rows.last() {
                end = end_after(&item.value)?;
                after = end.seq;
            }
            if rows.len() < READ {
                break;
            }
        }
        if end.seq < hinted {
            // What was there is not found: no writer may begin anew at its place.
            let cause = format!("operation {hinted} of {} is not there", partition(book));
            return Err(pennypost_ports::PortError::Damaged { port: "control", cause }.into());
        }
        Ok(end)
    }

    /// Records of a book in order, from `from` on and before `until`, behind the number `after`; at most `limit`. With
    /// the number behind which the next ones are, if there may be more.
    ///
    /// # Errors
    /// The port's.
    pub(crate) async fn records(
        &self,
        book: Book,
        from: Option<Timestamp>,
        until: Option<Timestamp>,
        after: u64,
        limit: usize,
    ) -> Result<(Vec<Record>, Option<u64>), AdminError> {
        let after = match from {
            Some(from) => after.max(self.last_before(book, from).await?),
            None => after,
        };
        let limit = limit.clamp(1, READ);
        let rows = self.control.query(&partition(book), "", Some(&sort(after)), limit).await?;
        let is_full = rows.len() >= limit;
        let mut records = Vec::with_capacity(rows.len());
        for (_, item) in rows {
            let record: Record = decode(&item.value)?;
            if until.is_some_and(|until| record.time >= until) {
                return Ok((records, None));
            }
            records.push(record);
        }
        let next = if is_full { records.last().map(|record| record.seq) } else { None };
        Ok((records, next))
    }

    /// The number of the last record before a time: times never step back, so it is found by halving.
    async fn last_before(&self, book: Book, time: Timestamp) -> Result<u64, AdminError> {
        let (mut low, mut high) = (0, self.end(book).await?.seq);
        while low < high {
            let middle = low + (high - low).div_ceil(2);
            let item = self.control.get(&record_key(book, middle), Consistency::Eventual).await?;
            let is_before = match item {
                Some(item) => decode::<Record>(&item.value)?.time < time,
                None => false,
            };
            if is_before {
                low = middle;
            } else {
                high = middle - 1;
            }
        }
        Ok(low)
    }

    /// Reads a whole book and looks whether the chain holds.
    ///
    /// # Errors
    /// The port's. What is wrong with the book is no error.
    #[pennypost_ports::compiled_here]
    pub async fn check_operations(&self, book: Book) -> Result<Checked, AdminError> {
        let mut checked = Checked::default();
        let mut end = End::default();
        let mut after: Option<String> = None;
        // A copy without its last records is a chain, too; only the hint tells.
        let hinted = self.read::<Hint>(&hint_key(book)).await?.map_or(0, |(hint, _)| hint.seq);
        loop {
            let rows = self.control.query(&partition(book), "", after.as_deref(), READ).await?;
            for (name, item) in &rows {
                checked.records += 1;
                match decode::<Record>(&item.value) {
                    Ok(record) => {
                        check(&mut checked.wrong, name, &end, &record);
                        end = End { seq: record.seq, hash: hash(&item.value), time: record.time };
                    }
                    Err(error) => {
                        checked.wrong.push(format!("operation {name} can't be read: {error}"));
                        let seq = name.parse().unwrap_or(end.seq + 1);
                        end = End { seq, hash: hash(&item.value), time: end.time };
                    }
                }
            }
            match rows.last() {
                Some((name, _)) if rows.len() >= READ => after = Some(name.clone()),
                _ => break,
            }
        }
        if hinted > end.seq {
            checked.wrong.push(format!("operations end at {}, but there was number {hinted}", end.seq));
        }
        Ok(checked)
    }
}

fn check(wrong: &mut Vec<String>, name: &str, before: &End, record: &Record) {
    let seq = record.seq;
    if sort(seq) != name {
        wrong.push(format!("operation {seq} lies at {name}"));
    }
    if seq != before.seq + 1 {
        wrong.push(format!("operation {seq} follows {}", before.seq));
    } else if record.previous != before.hash {
        wrong.push(format!("operation {} is not what it was when {seq} was written", before.seq));
    }
    if record.time < before.time {
        wrong.push(format!("operation {seq} is older than the one before"));
    }
}

#[cfg(test)]
#[path = "operations_tests.rs"]
mod tests;
