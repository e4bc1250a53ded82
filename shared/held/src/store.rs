//! The items and their rows.

use std::sync::Arc;

use pennypost_directory::DirectoryError;
use pennypost_mailstore::StoreError;
use pennypost_model::codec::{self, CodecError};
use pennypost_model::{AccountKey, EventId, TenantId, Timestamp};
use pennypost_ports::{Consistency, Control, ControlKey, Expected, Ids, PortError, Put, crash};
use tokio::sync::Notify;

use crate::{Cause, Held, Lane, MAX_HELD, MAX_HELD_BYTES, State};

/// Partition of the control table with the rows of a lane. They are the installation's, no tenant's.
const fn due_in(lane: Lane) -> &'static str {
    match lane {
        Lane::Light => "held-due",
        Lane::Heavy => "held-due-large",
    }
}
/// Items that are read at once.
const PAGE: usize = 200;
/// Milliseconds for which a scheduled letter is remembered when it has ended, so that whoever asks learns what became of it.
pub const KEPT: i64 = 7 * DAY;
/// The same of one that could be taken back for a moment.
const KEPT_UNDO: i64 = DAY;
/// Milliseconds of a day.
const DAY: i64 = 24 * 3_600_000;
/// Milliseconds after which a row without an item is nobody's any more.
const ORPHANED: i64 = 10 * 60_000;
/// How often a change begins anew before it gives up.
const TRIES: usize = 16;

/// Why an item was not read or written.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum HeldError {
    /// The port.
    #[error(transparent)]
    Port(#[from] PortError),
    /// The item is damaged.
    #[error(transparent)]
    Item(#[from] CodecError),
    /// The directory.
    #[error(transparent)]
    Directory(#[from] DirectoryError),
    /// The bytes.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// Others change it all the time.
    #[error("others change the letter all the time")]
    Contended,
}

impl HeldError {
    /// Can the same call succeed later?
    #[must_use]
    pub fn is_temporary(&self) -> bool {
        match self {
            HeldError::Port(error) => error.is_temporary(),
            HeldError::Directory(error) => error.is_temporary(),
            HeldError::Store(error) => error.is_temporary(),
            HeldError::Contended => true,
            HeldError::Item(_) => false,
        }
    }

    /// Was the item written by a newer program? Then one of those can do something with it.
    #[must_use]
    pub fn is_of_newer(&self) -> bool {
        matches!(self, HeldError::Item(CodecError::Version { found, known, .. }) if found > known)
    }
}

/// Where to look, and since when.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Due {
    /// Its time.
    pub at: Timestamp,
    /// Whose letter.
    pub account: AccountKey,
    /// Which.
    pub letter: EventId,
    lane: Lane,
    sort: String,
    version: u64,
}

impl Due {
    /// Is it so old that no item will follow?
    #[must_use]
    pub const fn is_orphan(&self, now: Timestamp) -> bool {
        self.at.plus_millis(ORPHANED).0 < now.0
    }

    fn read(lane: Lane, sort: String, version: u64) -> Option<Due> {
        let mut parts = sort.splitn(4, '/');
        let at = parts.next()?.parse().ok().map(Timestamp)?;
        let (tenant, account) = (parts.next()?.parse().ok()?, parts.next()?.parse().ok()?);
        let letter = parts.next()?.parse().ok()?;
        Some(Due { at, account: AccountKey { tenant, account }, letter, lane, sort, version })
    }
}

/// What its sender wants of a letter that waits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    /// It does not go: a copy comes into Drafts.
    TakeBack,
    /// It goes then; the time is thought of in that zone.
    At(Timestamp, String),
    /// It goes now.
    Now,
}

/// What came of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Changed {
    /// It is as wanted.
    Done(Box<Held>),
    /// It waits no more: this has become of it.
    Over(Box<Held>),
    /// There is no such letter.
    Missing,
}

fn row(lane: Lane, account: AccountKey, letter: EventId, at: Timestamp) -> ControlKey {
    let AccountKey { tenant, account } = account;
    ControlKey::new(due_in(lane), format!("{:014}/{tenant}/{account}/{letter}", at.0.max(0)))
}

fn partition(tenant: TenantId) -> String {
    format!("{tenant}/held")
}

fn key(account: AccountKey, letter: EventId) -> ControlKey {
    ControlKey::new(partition(account.tenant), format!("{}/{letter}", account.account))
}

/// The letters that wait. Cheap to clone; clones ring the same bell.
#[derive(Clone)]
pub struct HeldLetters {
    control: Arc<dyn Control>,
    bells: Arc<[Notify; 2]>,
}

impl HeldLetters {
    /// Over that port.
    #[must_use]
    pub fn new(control: Arc<dyn Control>) -> HeldLetters {
        HeldLetters { control, bells: Arc::default() }
    }

    /// Rung when a letter of that lane has come, or another time was said.
    pub(crate) fn bell(&self, lane: Lane) -> &Notify {
        match lane {
            Lane::Light => &self.bells[0],
            Lane::Heavy => &self.bells[1],
        }
    }

    /// Puts a letter down whose bytes lie in the spool. When this returns it is durable.
    ///
    /// # Errors
    /// [`HeldError`]; then nobody has it, or it goes when its time has come: its sender may not be told that it was refused
    /// for good.
    #[pennypost_ports::compiled_here]
    pub async fn add(&self, held: &Held) -> Result<(), HeldError> {
        self.remind(held, held.due).await?;
        crash::point("held.after-row");
        let key = key(held.sender.0, held.id());
        match self.control.put_if(&key, &codec::encode(held), Expected::Absent).await? {
            Put::Stored(_) => {}
            // Written by a try of ours whose answer was lost.
            Put::Conflict(Some(found)) if codec::decode::<Held>(&found.value).as_ref() == Ok(held) => {}
            Put::Conflict(_) => return Err(HeldError::Contended),
        }
        crash::point("held.after-item");
        self.bell(held.lane()).notify_one();
        Ok(())
    }

    /// The rows of a lane whose time has come behind the last one of the page before, those that have waited longest first; and when
    /// the next one comes, where that is known.
    ///
    /// # Errors
    /// [`HeldError`].
    #[pennypost_ports::compiled_here]
    pub async fn due(
        &self,
        lane: Lane,
        now: Timestamp,
        after: Option<&Due>,
        limit: usize,
    ) -> Result<(Vec<Due>, Option<Timestamp>), HeldError> {
        let after = after.map(|due| due.sort.as_str());
        let rows = self.control.query(due_in(lane), "", after, limit).await?;
        let mut due = Vec::with_capacity(rows.len());
        for (sort, item) in rows {
            match Due::read(lane, sort.clone(), item.version) {
                Some(row) if row.at > now => return Ok((due, Some(row.at))),
                Some(row) => due.push(row),
                None => tracing::warn!(sort, "a row of what waits can't be read"),
            }
        }
        Ok((due, None))
    }

    /// Removes a row. One that was written anew meanwhile stays.
    ///
    /// # Errors
    /// [`HeldError`].
    #[pennypost_ports::compiled_here]
    pub async fn forget(&self, due: &Due) -> Result<(), HeldError> {
        self.control.delete_if(&ControlKey::new(due_in(due.lane), &*due.sort), due.version).await?;
        Ok(())
    }

    /// Writes a row: the letter will be looked at then.
    ///
    /// # Errors
    /// [`HeldError`].
    #[pennypost_ports::compiled_here]
    pub async fn remind(&self, held: &Held, at: Timestamp) -> Result<(), HeldError> {
        let key = row(held.lane(), held.sender.0, held.id(), at);
        self.control.put_if(&key, &[1], Expected::Any).await?;
        Ok(())
    }

    /// Writes a row in the place of another one: what it leads to is looked at later.
    ///
    /// # Errors
    /// [`HeldError`].
    #[pennypost_ports::compiled_here]
    pub async fn put_off(&self, due: &Due, at: Timestamp) -> Result<(), HeldError> {
        self.control.put_if(&row(due.lane, due.account, due.letter, at), &[1], Expected::Any).await?;
        self.forget(due).await
    }

    /// A letter of an account with the version of its item, as it stands now.
    ///
    /// # Errors
    /// [`HeldError`].
    #[pennypost_ports::compiled_here]
    pub async fn find(&self, account: AccountKey, letter: EventId) -> Result<Option<(Held, u64)>, HeldError> {
        let found = self.control.get(&key(account, letter), Consistency::Strong).await?;
        found.map(|item| Ok((codec::decode(&item.value)?, item.version))).transpose()
    }

    /// Writes a letter over the version that was read: its version now, or none if somebody else has written it since.
    ///
    /// # Errors
    /// [`HeldError`].
    #[pennypost_ports::compiled_here]
    pub async fn save(&self, held: &Held, version: u64) -> Result<Option<u64>, HeldError> {
        let key = key(held.sender.0, held.id());
        let put = self.control.put_if(&key, &codec::encode(held), Expected::Version(version)).await?;
        Ok(match put {
            Put::Stored(version) => Some(version),
            Put::Conflict(_) => None,
        })
    }

    /// Removes a letter of which nothing is to be told: its account is gone.
    ///
    /// # Errors
    /// [`HeldError`].
    #[pennypost_ports::compiled_here]
    pub async fn remove(&self, held: &Held, version: u64) -> Result<(), HeldError> {
        self.control.delete_if(&key(held.sender.0, held.id()), version).await?;
        Ok(())
    }

    /// Letters of an account, the oldest first, behind that one: those that wait, and those that have ended of late. And
    /// which is the last that was looked at, if there may be more.
    ///
    /// # Errors
    /// [`HeldError`].
    #[pennypost_ports::compiled_here]
    pub async fn of_account(
        &self,
        account: AccountKey,
        after: Option<EventId>,
        limit: usize,
    ) -> Result<(Vec<Held>, Option<EventId>), HeldError> {
        let prefix = format!("{}/", account.account);
        let after = after.map(|letter| key(account, letter).sort);
        let limit = limit.clamp(1, PAGE);
        let rows = self.control.query(&partition(account.tenant), &prefix, after.as_deref(), limit).await?;
        let is_full = rows.len() >= limit;
        let mut letters: Vec<Held> = Vec::with_capacity(rows.len());
        let mut last = None;
        for (sort, item) in rows {
            last = sort.strip_prefix(&*prefix).and_then(|id| id.parse().ok());
            match codec::decode(&item.value) {
                Ok(held) => letters.push(held),
                Err(error) => tracing::error!(%account, sort, %error, "a letter that waits can't be read"),
            }
        }
        Ok((letters, last.filter(|_| is_full)))
    }

    /// How many letters of an account wait, and their bytes, up to what may.
    ///
    /// # Errors
    /// [`HeldError`].
    #[pennypost_ports::compiled_here]
    pub async fn waiting(&self, account: AccountKey) -> Result<(usize, u64), HeldError> {
        let (mut count, mut bytes, mut after) = (0, 0_u64, None);
        loop {
            let (letters, next) = self.of_account(account, after, PAGE).await?;
            for held in letters.iter().filter(|held| held.is_waiting()) {
                count += 1;
                bytes = bytes.saturating_add(held.size());
            }
            if next.is_none() || count >= MAX_HELD || bytes >= MAX_HELD_BYTES {
                return Ok((count, bytes));
            }
            after = next;
        }
    }

    /// Does with a letter what its sender wants, if it still waits: one conditional write decides between that and its going.
    ///
    /// # Errors
    /// [`HeldError`].
    #[pennypost_ports::compiled_here]
    pub async fn change(
        &self,
        account: AccountKey,
        letter: EventId,
        change: &Change,
        now: Timestamp,
        ids: &dyn Ids,
    ) -> Result<Changed, HeldError> {
        for _ in 0..TRIES {
            let Some((mut held, version)) = self.find(account, letter).await? else {
                return Ok(Changed::Missing);
            };
            if !held.is_waiting() {
                return Ok(Changed::Over(Box::new(held)));
            }
            match change {
                Change::TakeBack => {
                    held.state = State::TakenBack { at: now, draft: ids.event(now) };
                    held.due = now;
                }
                Change::Now => {
                    (held.wanted, held.due, held.waits) = (now, now, None);
                }
                Change::At(at, zone) => {
                    (held.wanted, held.due, held.waits) = (*at, *at, None);
                    (held.zone, held.cause) = (zone.clone(), Cause::Scheduled);
                }
            }
            // Whoever dies behind this leaves a row that leads to the letter as it was.
            self.remind(&held, held.due).await?;
            crash::point("held.after-other-row");
            if self.save(&held, version).await?.is_none() {
                continue;
            }
            crash::point("held.after-change");
            self.bell(held.lane()).notify_one();
            // The row of before stays: somebody else may have said that time again. It says only where to look.
            return Ok(Changed::Done(Box::new(held)));
        }
        Err(HeldError::Contended)
    }

    /// Hands out every letter of a tenant, nothing for one that can't be read, and removes those that have been over for long
    /// enough. One of which something should have been done a day ago gets another row: somebody has removed the one that it had.
    ///
    /// # Errors
    /// [`HeldError`].
    pub async fn sweep(
        &self,
        tenant: TenantId,
        now: Timestamp,
        mut each: impl FnMut(Option<&Held>),
    ) -> Result<u64, HeldError> {
        let mut removed = 0;
        let mut after: Option<String> = None;
        loop {
            let page = self.control.query(&partition(tenant), "", after.as_deref(), PAGE).await?;
            let is_last = page.len() < PAGE;
            for (sort, stored) in page {
                let key = ControlKey::new(partition(tenant), &*sort);
                after = Some(sort);
                let held: Held = match codec::decode(&stored.value) {
                    Ok(held) => held,
                    Err(error) => {
                        tracing::warn!(%tenant, sort = key.sort, %error, "a letter that waits can't be read");
                        each(None);
                        continue;
                    }
                };
                each(Some(&held));
                let kept = if held.cause == Cause::Undo { KEPT_UNDO } else { KEPT };
                match held.state.ended() {
                    Some(ended) if held.is_settled && ended.plus_millis(kept) < now => {
                        removed += u64::from(self.control.delete_if(&key, stored.version).await?);
                    }
                    _ if !held.is_settled && held.due.plus_millis(DAY) < now => {
                        self.remind(&held, held.due).await?;
                    }
                    Some(_) | None => {}
                }
            }
            if is_last {
                return Ok(removed);
            }
        }
    }
}
