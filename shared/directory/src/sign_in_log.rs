//! The record of sign-ins (LOG-02, LOG-05, LOG-11): what is written of each, gathering it, and reading it.
//!
//! Nobody waits for the log. A sign-in is put into memory; a writer in the background appends what has come every
//! [`GATHER`], so that a record is also named by a program that says its name right after signing in. The first of its like
//! is written so; those that follow alike (same account, address, way, token and outcome) are counted and written as one
//! more record, of successes when an hour is over, of others when a minute is. Counts of all records add up.
//!
//! If the log does not take them they are kept and tried again, up to [`MAX_PENDING`]; what does not fit is counted and
//! told in the program's log. If the process dies, what the last [`GATHER`] brought is lost, and the counts of repetitions;
//! [`SignInLog::finish`] writes both when it ends in order.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use pennypost_model::codec::{Versioned, decode, encode};
use pennypost_model::{AccountId, AccountKey, EventId, TenantId, Timestamp};
use pennypost_ports::{Clock, Ids, Log, LogKind, LogQuery, LogRecord, PortResult};
use serde::{Deserialize, Serialize};
use tokio::sync::{Notify, watch};

use crate::sign_in::Subject;
use crate::{Attempt, Directory, DirectoryError, SignInError, SignInKind, Standing, TokenId};

/// How long a record is gathered with others before it is written.
const GATHER: Duration = Duration::from_secs(3);
/// How long the writer waits before it tries again what the log did not take.
const AGAIN: Duration = Duration::from_secs(10);
/// Records that wait at most, and kinds of repetitions that are counted.
const MAX_PENDING: usize = 100_000;
/// Records that are appended at once.
const BATCH: usize = 500;
/// Records that are read at once, and for one page at most.
const READ: usize = 1_000;
const MAX_READ: usize = 20_000;
/// How long repetitions are counted together: of successes, of others.
const HOUR: i64 = 60 * 60 * 1000;
const MINUTE: i64 = 60 * 1000;
/// Characters of what a program calls itself.
const MAX_PROGRAM: usize = 100;

/// What came of a sign-in. Stored: new ones at the end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum SignInOutcome {
    /// Signed in.
    Ok,
    /// Wrong password.
    WrongPassword,
    /// No account has that address.
    UnknownAccount,
    /// The account or its tenant is not active, or has no password.
    NotActive,
    /// Wrong token, or another account's.
    WrongToken,
    /// What was shown does not open what was asked for.
    Closed,
    /// Refused unseen: too many failures.
    Slowed,
    /// Refused unseen: locked.
    Locked,
    /// Refused unseen: not from that address.
    Elsewhere,
    /// The password has expired.
    Expired,
    /// Could not be checked.
    Unavailable,
    /// Wrong passwords have locked the account: beside the record of the last of them (AUT-16).
    LockBegan,
    /// An administrator has unlocked it.
    Unlocked,
    /// The password was right, and the code that belongs to it was not shown: half a sign-in.
    CodeNeeded,
    /// Wrong code of the second factor, or one that was used.
    WrongCode,
    /// A passkey that is not the account's, or was not signed for this.
    WrongPasskey,
}

impl SignInOutcome {
    /// Every outcome.
    pub const ALL: [SignInOutcome; 16] = [
        SignInOutcome::Ok,
        SignInOutcome::WrongPassword,
        SignInOutcome::UnknownAccount,
        SignInOutcome::NotActive,
        SignInOutcome::WrongToken,
        SignInOutcome::Closed,
        SignInOutcome::Slowed,
        SignInOutcome::Locked,
        SignInOutcome::Elsewhere,
        SignInOutcome::Expired,
        SignInOutcome::Unavailable,
        SignInOutcome::LockBegan,
        SignInOutcome::Unlocked,
        SignInOutcome::CodeNeeded,
        SignInOutcome::WrongCode,
        SignInOutcome::WrongPasskey,
    ];

    /// Its name: the error code of a record.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            SignInOutcome::Ok => "ok",
            SignInOutcome::WrongPassword => "wrong-password",
            SignInOutcome::UnknownAccount => "unknown-account",
            SignInOutcome::NotActive => "not-active",
            SignInOutcome::WrongToken => "wrong-token",
            SignInOutcome::Closed => "closed",
            SignInOutcome::Slowed => "slowed",
            SignInOutcome::Locked => "locked",
            SignInOutcome::Elsewhere => "elsewhere",
            SignInOutcome::Expired => "expired",
            SignInOutcome::Unavailable => "unavailable",
            SignInOutcome::LockBegan => "lock-began",
            SignInOutcome::Unlocked => "unlocked",
            SignInOutcome::CodeNeeded => "code-needed",
            SignInOutcome::WrongCode => "wrong-code",
            SignInOutcome::WrongPasskey => "wrong-passkey",
        }
    }

    /// Is it of a lock, no sign-in?
    #[must_use]
    pub const fn is_lock_record(self) -> bool {
        matches!(self, SignInOutcome::LockBegan | SignInOutcome::Unlocked)
    }

    pub(crate) fn of(error: &SignInError) -> SignInOutcome {
        match error {
            SignInError::Denied => SignInOutcome::WrongPassword,
            SignInError::Closed => SignInOutcome::Closed,
            SignInError::TooManyFailures { .. } => SignInOutcome::Slowed,
            SignInError::Locked { .. } => SignInOutcome::Locked,
            SignInError::Elsewhere => SignInOutcome::Elsewhere,
            SignInError::Expired => SignInOutcome::Expired,
            SignInError::Unavailable => SignInOutcome::Unavailable,
        }
    }
}

/// A record: one sign-in, or repetitions of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SignInRecord {
    /// When; of repetitions the first.
    pub first: Timestamp,
    /// Of repetitions the last.
    pub last: Timestamp,
    /// How many.
    pub count: u32,
    /// The address that was said, or the account's where only a token was shown.
    pub login: String,
    /// The account, if it was one.
    pub account: Option<AccountId>,
    /// From where.
    pub client: IpAddr,
    /// By what way.
    pub kind: SignInKind,
    /// How: SASL mechanism or the like.
    pub mechanism: String,
    /// What the program called itself.
    pub program: Option<String>,
    /// The token that was shown, if it was one and was right.
    pub token: Option<TokenId>,
    /// What came of it.
    pub outcome: SignInOutcome,
}

impl Versioned for SignInRecord {
    const KIND: &'static str = "sign-in";
}

/// Which records are counted together.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Like {
    tenant: TenantId,
    login: String,
    client: IpAddr,
    kind: SignInKind,
    mechanism: String,
    token: Option<TokenId>,
    outcome: SignInOutcome,
}

/// Repetitions that are being counted.
#[derive(Debug)]
struct Counting {
    /// Until when.
    end: Timestamp,
    /// `count` is 0 as long as there are none.
    repeated: SignInRecord,
}

#[derive(Default)]
struct Pending {
    /// To be written, in order.
    ready: Vec<(TenantId, SignInRecord)>,
    counting: HashMap<Like, Counting>,
    dropped: u64,
}

impl Pending {
    fn push(&mut self, tenant: TenantId, record: SignInRecord) {
        if self.ready.len() < MAX_PENDING {
            self.ready.push((tenant, record));
        } else {
            self.dropped += u64::from(record.count);
        }
    }

    fn note(&mut self, tenant: TenantId, record: SignInRecord) {
        let like = Like {
            tenant,
            login: record.login.clone(),
            client: record.client,
            kind: record.kind,
            mechanism: record.mechanism.clone(),
            token: record.token,
            outcome: record.outcome,
        };
        let (now, window) = (record.first, if record.outcome == SignInOutcome::Ok { HOUR } else { MINUTE });
        let has_room = self.counting.len() < MAX_PENDING;
        let repeated = SignInRecord { count: 0, ..record.clone() };
        let over = match self.counting.entry(like) {
            Entry::Occupied(mut known) if now < known.get().end => {
                let repeated = &mut known.get_mut().repeated;
                if repeated.count == 0 {
                    repeated.first = now;
                }
                repeated.count = repeated.count.saturating_add(1);
                repeated.last = now;
                return;
            }
            Entry::Occupied(mut known) => {
                let next = Counting { end: now.plus_millis(window), repeated };
                Some(std::mem::replace(known.get_mut(), next).repeated)
            }
            Entry::Vacant(place) => {
                if has_room {
                    place.insert(Counting { end: now.plus_millis(window), repeated });
                }
                None
            }
        };
        if let Some(over) = over.filter(|over| over.count > 0) {
            self.push(tenant, over);
        }
        self.push(tenant, record);
    }

    /// What is to be written now: all that is ready, and repetitions whose time is over; with `all` every one.
    fn take(&mut self, now: Timestamp, all: bool) -> Vec<(TenantId, SignInRecord)> {
        let mut over = Vec::new();
        self.counting.retain(|like, counting| {
            let is_over = all || now >= counting.end;
            if is_over && counting.repeated.count > 0 {
                over.push((like.tenant, counting.repeated.clone()));
            }
            !is_over
        });
        let mut taken = std::mem::take(&mut self.ready);
        taken.extend(over);
        taken
    }
}

/// The record of sign-ins. Clones of a [`Directory`] share it.
pub struct SignInLog {
    log: Arc<dyn Log>,
    clock: Arc<dyn Clock>,
    ids: Arc<dyn Ids>,
    pending: Mutex<Pending>,
    come: Notify,
}

/// Which records are looked for.
#[derive(Debug, Clone, Default)]
pub struct SignInQuery {
    /// From then on.
    pub from: Option<Timestamp>,
    /// Before then.
    pub until: Option<Timestamp>,
    /// Of that account.
    pub account: Option<AccountId>,
    /// Of addresses that begin so.
    pub login: Option<String>,
    /// Of these kinds; none: of all.
    pub kinds: Vec<SignInKind>,
    /// What came of them.
    pub outcome: Option<Outcomes>,
}

/// Outcomes of one sort.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcomes {
    /// Who signed in.
    Ok,
    /// Who did not, also for want of a code.
    Failed,
    /// Of locks.
    Locks,
}

impl SignInQuery {
    fn holds(&self, record: &SignInRecord) -> bool {
        let sort = match self.outcome {
            None => true,
            Some(Outcomes::Ok) => record.outcome == SignInOutcome::Ok,
            Some(Outcomes::Failed) => record.outcome != SignInOutcome::Ok && !record.outcome.is_lock_record(),
            Some(Outcomes::Locks) => record.outcome.is_lock_record(),
        };
        sort && self.account.is_none_or(|account| record.account == Some(account))
            && self.login.as_ref().is_none_or(|login| record.login.starts_with(login))
            && (self.kinds.is_empty() || self.kinds.contains(&record.kind))
            && self.from.is_none_or(|from| record.last >= from)
            && self.until.is_none_or(|until| record.last < until)
    }
}

impl SignInLog {
    /// Over a log. Nothing is written until [`SignInLog::run`] or [`SignInLog::finish`].
    #[must_use]
    pub fn new(log: Arc<dyn Log>, clock: Arc<dyn Clock>, ids: Arc<dyn Ids>) -> Arc<SignInLog> {
        Arc::new(SignInLog { log, clock, ids, pending: Mutex::default(), come: Notify::new() })
    }

    fn note(&self, tenant: TenantId, record: SignInRecord) {
        self.pending.lock().note(tenant, record);
        self.come.notify_one();
    }

    /// Writes what comes, until it is to stop; then all that is left.
    #[pennypost_ports::compiled_here]
    pub async fn run(self: Arc<SignInLog>, mut stop: watch::Receiver<bool>) {
        while !*stop.borrow() {
            tokio::select! {
                () = self.come.notified() => {}
                () = tokio::time::sleep(Duration::from_secs(30)) => {}
                _ = stop.changed() => break,
            }
            tokio::select! {
                () = tokio::time::sleep(GATHER) => {}
                _ = stop.changed() => break,
            }
            if !self.write(false).await {
                tokio::select! {
                    () = tokio::time::sleep(AGAIN) => {}
                    _ = stop.changed() => break,
                }
            }
        }
        self.finish().await;
    }

    /// Writes everything that is left.
    #[pennypost_ports::compiled_here]
    pub async fn finish(&self) {
        self.write(true).await;
    }

    /// Writes what is ready; `false` if the log does not take it, which is then kept.
    async fn write(&self, all: bool) -> bool {
        let taken = {
            let mut pending = self.pending.lock();
            let dropped = std::mem::take(&mut pending.dropped);
            if dropped > 0 {
                tracing::error!(dropped, "sign-ins are not in the record: the log takes none");
            }
            pending.take(self.clock.now(), all)
        };
        let mut left = taken.as_slice();
        while !left.is_empty() {
            let (batch, rest) = left.split_at(left.len().min(BATCH));
            let records: Vec<LogRecord> =
                batch.iter().map(|(tenant, record)| self.stored(*tenant, record)).collect();
            if let Err(error) = self.log.append(&records).await {
                tracing::warn!(%error, waiting = left.len(), "sign-ins can't be written yet");
                let mut pending = self.pending.lock();
                for (tenant, record) in left.iter().cloned() {
                    pending.push(tenant, record);
                }
                self.come.notify_one();
                return false;
            }
            left = rest;
        }
        true
    }

    fn stored(&self, tenant: TenantId, record: &SignInRecord) -> LogRecord {
        let (id, time) = (self.ids.event(record.last), record.last);
        LogRecord { tenant, kind: LogKind::Login, id, time, value: encode(record) }
    }

    /// Records in order of their time, behind an id; at most `limit`, but perhaps fewer, even none, though more follow. With
    /// the id behind which the next ones are, if there may be more.
    ///
    /// # Errors
    /// The port's.
    #[pennypost_ports::compiled_here]
    pub async fn find(
        &self,
        tenant: TenantId,
        query: &SignInQuery,
        after: Option<EventId>,
        limit: usize,
    ) -> Result<(Vec<SignInRecord>, Option<EventId>), DirectoryError> {
        let mut found = Vec::new();
        let mut behind = after;
        let mut read = 0;
        loop {
            let rows = self.rows(tenant, query, behind).await?;
            let is_end = rows.len() < READ;
            read += rows.len();
            for row in rows {
                behind = Some(row.id);
                let record: SignInRecord = decode(&row.value)?;
                if query.holds(&record) {
                    found.push(record);
                    if found.len() >= limit {
                        return Ok((found, behind));
                    }
                }
            }
            if is_end {
                return Ok((found, None));
            }
            if read >= MAX_READ {
                return Ok((found, behind));
            }
        }
    }

    /// The next records as they are stored.
    async fn rows(
        &self,
        tenant: TenantId,
        query: &SignInQuery,
        behind: Option<EventId>,
    ) -> PortResult<Vec<LogRecord>> {
        let first = query.from.map_or(EventId::from_bytes([0; 16]), |from| EventId::from_parts(from, 0));
        let from = match behind {
            Some(behind) => after(behind).max(first),
            None => first,
        };
        let to = match query.until {
            // Ids of the last millisecond.
            Some(until) => EventId::from_parts(until.plus_millis(-1), u128::MAX),
            None => EventId::from_bytes([u8::MAX; 16]),
        };
        let query = LogQuery { tenant, kind: LogKind::Login, from, to, limit: READ };
        self.log.query(&query).await
    }
}

/// The id behind an id.
fn after(id: EventId) -> EventId {
    EventId::from_bytes(u128::from_be_bytes(id.to_bytes()).saturating_add(1).to_be_bytes())
}

impl Directory {
    /// The record of sign-ins, if there is one.
    #[must_use]
    pub fn sign_in_log(&self) -> Option<&Arc<SignInLog>> {
        self.log.as_ref()
    }

    /// The same directory, which records sign-ins.
    #[must_use]
    pub fn recording(self, log: Arc<SignInLog>) -> Directory {
        Directory { log: Some(log), ..self }
    }

    /// Records an attempt.
    pub(crate) fn record(
        &self,
        attempt: &Attempt,
        subject: &Subject,
        result: &Result<Standing, SignInError>,
    ) {
        match result {
            Ok(standing) => self.record_as(attempt, subject, SignInOutcome::Ok, standing.token()),
            Err(error) => self.record_refusal(attempt, subject, error),
        }
    }

    /// Records an attempt that was refused.
    pub(crate) fn record_refusal(&self, attempt: &Attempt, subject: &Subject, error: &SignInError) {
        let outcome = match error {
            SignInError::Denied => subject.outcome.unwrap_or(SignInOutcome::WrongPassword),
            error => SignInOutcome::of(error),
        };
        self.record_as(attempt, subject, outcome, None);
    }

    /// Records what came of an attempt. One at a domain that is nobody's here is nobody's to look at.
    pub(crate) fn record_as(
        &self,
        attempt: &Attempt,
        subject: &Subject,
        outcome: SignInOutcome,
        token: Option<TokenId>,
    ) {
        let (Some(log), Some(tenant)) = (&self.log, subject.tenant) else { return };
        let now = self.clock.now();
        let record = SignInRecord {
            first: now,
            last: now,
            count: 1,
            login: subject.login.clone(),
            account: subject.account,
            client: attempt.client.to_canonical(),
            kind: attempt.kind,
            mechanism: attempt.mechanism.to_owned(),
            program: attempt.program.as_deref().map(program),
            token,
            outcome,
        };
        if subject.locked.is_some() {
            log.note(tenant, SignInRecord { outcome: SignInOutcome::LockBegan, ..record.clone() });
        }
        log.note(tenant, record);
    }

    /// Records that somebody has unlocked an account.
    pub fn record_unlocked(&self, key: AccountKey, login: &str) {
        let AccountKey { tenant, account } = key;
        let Some(log) = &self.log else { return };
        let now = self.clock.now();
        log.note(
            tenant,
            SignInRecord {
                first: now,
                last: now,
                count: 1,
                login: login.to_owned(),
                account: Some(account),
                client: IpAddr::from([0, 0, 0, 0]),
                kind: SignInKind::Api,
                mechanism: "unlock".to_owned(),
                program: None,
                token: None,
                outcome: SignInOutcome::Unlocked,
            },
        );
    }

    /// Tells what the program of a session calls itself, if it says so only after signing in: what is recorded of that
    /// sign-in, and is not yet written, names it.
    pub fn name_program(&self, standing: &Standing, kind: SignInKind, name: &str) {
        let Some(log) = &self.log else { return };
        let key = standing.account.key;
        let client = standing.client.to_canonical();
        let is_its = |record: &SignInRecord| {
            record.account == Some(key.account)
                && record.client == client
                && record.kind == kind
                && record.outcome == SignInOutcome::Ok
                && record.program.is_none()
        };
        let mut pending = log.pending.lock();
        let Pending { ready, counting, .. } = &mut *pending;
        let ready = ready.iter_mut().filter(|(tenant, _)| *tenant == key.tenant).map(|(_, record)| record);
        let counting = counting.iter_mut().filter(|(like, _)| like.tenant == key.tenant);
        let counting = counting.map(|(_, counting)| &mut counting.repeated);
        if let Some(record) = ready.chain(counting).find(|record| is_its(record)) {
            record.program = Some(program(name));
        }
    }
}

/// What a program calls itself, as it is kept.
fn program(name: &str) -> String {
    name.chars().filter(|c| !c.is_control()).take(MAX_PROGRAM).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(at: i64, outcome: SignInOutcome) -> SignInRecord {
        SignInRecord {
            first: Timestamp(at),
            last: Timestamp(at),
            count: 1,
            login: "ann@acme.example".to_owned(),
            account: Some(AccountId(7)),
            client: IpAddr::from([192, 0, 2, 1]),
            kind: SignInKind::Imap,
            mechanism: "PLAIN".to_owned(),
            program: None,
            token: None,
            outcome,
        }
    }

    #[test]
    fn repetitions_are_counted_and_add_up() {
        let mut pending = Pending::default();
        for at in [0, 10, 20, HOUR - 1] {
            pending.note(TenantId(1), record(at, SignInOutcome::Ok));
        }
        let counts = |taken: Vec<(TenantId, SignInRecord)>| -> Vec<(i64, i64, u32)> {
            taken.into_iter().map(|(_, one)| (one.first.0, one.last.0, one.count)).collect()
        };
        assert_eq!(counts(pending.take(Timestamp(30), false)), [(0, 0, 1)]);
        assert!(pending.take(Timestamp(HOUR - 1), false).is_empty());
        assert_eq!(counts(pending.take(Timestamp(HOUR), false)), [(10, HOUR - 1, 3)]);
        // Another hour begins with a record of its own.
        pending.note(TenantId(1), record(HOUR + 5, SignInOutcome::Ok));
        pending.note(TenantId(1), record(HOUR + 6, SignInOutcome::Ok));
        assert_eq!(
            counts(pending.take(Timestamp(HOUR + 7), true)),
            [(HOUR + 5, HOUR + 5, 1), (HOUR + 6, HOUR + 6, 1)]
        );
        // Failures by the minute, and apart from successes.
        pending.note(TenantId(1), record(0, SignInOutcome::WrongPassword));
        pending.note(TenantId(1), record(1, SignInOutcome::WrongPassword));
        pending.note(TenantId(1), record(MINUTE + 2, SignInOutcome::WrongPassword));
        assert_eq!(
            counts(pending.take(Timestamp(MINUTE + 3), false)),
            [(0, 0, 1), (1, 1, 1), (MINUTE + 2, MINUTE + 2, 1)]
        );
    }

    #[test]
    fn what_does_not_fit_is_counted() {
        let mut pending = Pending::default();
        for number in 0..MAX_PENDING + 5 {
            let login = format!("user{number}@acme.example");
            pending.note(TenantId(1), SignInRecord { login, ..record(0, SignInOutcome::Ok) });
        }
        assert_eq!(
            (pending.ready.len(), pending.counting.len(), pending.dropped),
            (MAX_PENDING, MAX_PENDING, 5)
        );
    }
}
