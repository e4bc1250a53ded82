//! The items, their rows, and what they say.

use std::sync::Arc;

use pennypost_held::HeldError;
use pennypost_mailstore::names;
use pennypost_model::codec;
use pennypost_model::{AccountKey, EventId, TenantId, Timestamp};
use pennypost_ports::{Consistency, Control, ControlKey, Created, Expected, Objects, PortError, Put, crash};
use tokio::sync::Notify;

use crate::content::Content;
use crate::item::{Fate, Mailing, MailingRules, Saved, State};
use crate::table::MAX_RECIPIENTS;

/// Partition of the control table with the rows of what is due. They are the installation's, no tenant's.
const DUE: &str = "mailing-due";
/// Items that are read at once.
const PAGE: usize = 200;
/// Mailings of an account that are drafts, or go, at most.
pub const MAX_OPEN: usize = 50;
/// Mailings of an account at all, those that are over and still kept among them.
pub const MAX_KEPT: usize = 500;
/// Bodies that an account keeps.
pub const MAX_SAVED: usize = 50;
/// How often a change begins anew before it gives up.
const TRIES: usize = 16;
/// Milliseconds of a day.
const DAY: i64 = 24 * 3_600_000;
/// Milliseconds for which a draft is kept.
pub const DRAFT_KEPT: i64 = 7 * DAY;
/// Milliseconds for which a mailing is kept when it is over.
pub const KEPT: i64 = 90 * DAY;
/// The same of a letter to each alone.
const KEPT_INDIVIDUAL: i64 = 30 * DAY;
/// Milliseconds after which a row without an item is nobody's any more.
const ORPHANED: i64 = 10 * 60_000;

/// Where to look, and since when.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Due {
    /// Its time.
    pub at: Timestamp,
    /// Whose mailing.
    pub account: AccountKey,
    /// Which.
    pub mailing: EventId,
    sort: String,
    version: u64,
}

impl Due {
    /// Is it so old that no item will follow?
    #[must_use]
    pub const fn is_orphan(&self, now: Timestamp) -> bool {
        self.at.plus_millis(ORPHANED).0 < now.0
    }

    fn read(sort: &str, version: u64) -> Option<Due> {
        let mut parts = sort.splitn(4, '/');
        let at = parts.next()?.parse().ok().map(Timestamp)?;
        let (tenant, account) = (parts.next()?.parse().ok()?, parts.next()?.parse().ok()?);
        let mailing = parts.next()?.parse().ok()?;
        let account = AccountKey { tenant, account };
        Some(Due { at, account, mailing, sort: sort.to_owned(), version })
    }
}

fn due_key(AccountKey { tenant, account }: AccountKey, mailing: EventId, at: Timestamp) -> ControlKey {
    ControlKey::new(DUE, format!("{:014}/{tenant}/{account}/{mailing}", at.0.max(0)))
}

fn partition(tenant: TenantId) -> String {
    format!("{tenant}/mailings")
}

/// The newest stands first.
fn backwards(id: EventId) -> String {
    format!("{:032x}", !u128::from_be_bytes(id.to_bytes()))
}

fn key(account: AccountKey, mailing: EventId) -> ControlKey {
    ControlKey::new(partition(account.tenant), format!("{}/{}", account.account, backwards(mailing)))
}

fn letters(tenant: TenantId) -> String {
    format!("{tenant}/mailing-letters")
}

fn letter_key(mailing: &Mailing, row: u32) -> ControlKey {
    ControlKey::new(letters(mailing.sender.0.tenant), format!("{}/{row:06}", mailing.id))
}

fn saved_in(tenant: TenantId) -> String {
    format!("{tenant}/mail-templates")
}

fn saved_key(account: AccountKey, saved: EventId) -> ControlKey {
    ControlKey::new(saved_in(account.tenant), format!("{}/{saved}", account.account))
}

fn rules_key(tenant: TenantId) -> ControlKey {
    ControlKey::new(tenant.to_string(), "mailing-rules")
}

/// The mailings. Cheap to clone; clones ring the same bell.
#[derive(Clone)]
pub struct Mailings {
    control: Arc<dyn Control>,
    objects: Arc<dyn Objects>,
    bell: Arc<Notify>,
}

impl Mailings {
    /// Over these ports.
    #[must_use]
    pub fn new(control: Arc<dyn Control>, objects: Arc<dyn Objects>) -> Mailings {
        Mailings { control, objects, bell: Arc::default() }
    }

    /// Rung when a mailing has come, or was stopped.
    pub(crate) fn bell(&self) -> &Notify {
        &self.bell
    }

    /// Puts a mailing down with what it says; one that goes has a row before its item. When this returns it is durable.
    ///
    /// # Errors
    /// [`HeldError`]; then nobody has it, or it goes.
    #[pennypost_ports::compiled_here]
    pub async fn add(&self, mailing: &Mailing, content: &Content) -> Result<(), HeldError> {
        let put = self.objects.put_unique(&mailing.object, codec::encode(content).into()).await?;
        if put == Created::Exists {
            let cause = "a fresh id was taken".to_owned();
            return Err(PortError::Unavailable { port: "objects", cause }.into());
        }
        crash::point("mailing.after-content");
        if mailing.state == State::Going {
            self.remind(mailing, mailing.due).await?;
            crash::point("mailing.after-row");
        }
        let put = self
            .control
            .put_if(&key(mailing.sender.0, mailing.id), &codec::encode(mailing), Expected::Absent)
            .await?;
        match put {
            Put::Stored(_) => {}
            // Written by a try of ours whose answer was lost.
            Put::Conflict(Some(found)) if codec::decode::<Mailing>(&found.value).as_ref() == Ok(mailing) => {}
            Put::Conflict(_) => return Err(HeldError::Contended),
        }
        crash::point("mailing.after-item");
        self.bell.notify_one();
        Ok(())
    }

    /// The name of a new content's object.
    #[must_use]
    pub fn object(tenant: TenantId, id: EventId) -> String {
        names::spool(tenant, id)
    }

    /// What a mailing says; `None` if its bytes are gone or damaged.
    ///
    /// # Errors
    /// The port's, and where a newer program has written it.
    #[pennypost_ports::compiled_here]
    pub async fn content(&self, mailing: &Mailing) -> Result<Option<Content>, HeldError> {
        match self.objects.get(&mailing.object).await {
            Ok((bytes, _)) => match codec::decode(&bytes) {
                Ok(content) => Ok(Some(content)),
                Err(error) => {
                    let error = HeldError::from(error);
                    if error.is_of_newer() {
                        return Err(error);
                    }
                    tracing::error!(object = mailing.object, %error, "a mailing is damaged");
                    Ok(None)
                }
            },
            Err(PortError::NotFound { .. }) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// Removes what a mailing says.
    ///
    /// # Errors
    /// The port's.
    #[pennypost_ports::compiled_here]
    pub async fn drop_content(&self, mailing: &Mailing) -> Result<(), HeldError> {
        Ok(self.objects.delete(&mailing.object).await?)
    }

    /// A mailing of an account with the version of its item, as it stands now.
    ///
    /// # Errors
    /// [`HeldError`].
    #[pennypost_ports::compiled_here]
    pub async fn find(
        &self,
        account: AccountKey,
        mailing: EventId,
    ) -> Result<Option<(Mailing, u64)>, HeldError> {
        let found = self.control.get(&key(account, mailing), Consistency::Strong).await?;
        found.map(|item| Ok((codec::decode(&item.value)?, item.version))).transpose()
    }

    /// Writes a mailing over the version that was read: its version now, or none if somebody else has written it since.
    ///
    /// # Errors
    /// [`HeldError`].
    #[pennypost_ports::compiled_here]
    pub async fn save(&self, mailing: &Mailing, version: u64) -> Result<Option<u64>, HeldError> {
        let key = key(mailing.sender.0, mailing.id);
        let put = self.control.put_if(&key, &codec::encode(mailing), Expected::Version(version)).await?;
        Ok(match put {
            Put::Stored(version) => Some(version),
            Put::Conflict(_) => None,
        })
    }

    /// Writes a draft that goes from now on over the version that was read, behind its row. `false` if somebody else has written it
    /// since.
    ///
    /// # Errors
    /// [`HeldError`]; then it may go.
    #[pennypost_ports::compiled_here]
    pub async fn begin(&self, mailing: &Mailing, version: u64) -> Result<bool, HeldError> {
        self.remind(mailing, mailing.due).await?;
        crash::point("mailing.after-begin-row");
        let is_begun = self.save(mailing, version).await?.is_some();
        crash::point("mailing.after-begin");
        self.bell.notify_one();
        Ok(is_begun)
    }

    /// Stops a mailing, if it is not over: whoever looks after it decides of what is in hand.
    ///
    /// # Errors
    /// [`HeldError`].
    #[pennypost_ports::compiled_here]
    pub async fn stop(
        &self,
        account: AccountKey,
        mailing: EventId,
        now: Timestamp,
    ) -> Result<Option<Mailing>, HeldError> {
        for _ in 0..TRIES {
            let Some((mut mailing, version)) = self.find(account, mailing).await? else { return Ok(None) };
            match mailing.state {
                State::Draft => {
                    (mailing.state, mailing.ended) = (State::Stopped, Some(now));
                    mailing.counts.stopped = mailing.rows;
                }
                State::Going => {
                    (mailing.state, mailing.due) = (State::Stopping, now);
                    self.remind(&mailing, now).await?;
                }
                State::Stopping => return Ok(Some(mailing)),
                State::Done | State::Stopped | State::Failed => return Ok(None),
            }
            if self.save(&mailing, version).await?.is_some() {
                // What a draft said nobody needs any more. If it stays, it goes with the item.
                if mailing.state == State::Stopped
                    && let Err(error) = self.drop_content(&mailing).await
                {
                    tracing::warn!(mailing = %mailing.id, %error, "what a mailing said stays");
                }
                self.bell.notify_one();
                return Ok(Some(mailing));
            }
        }
        Err(HeldError::Contended)
    }

    /// Mailings of an account, the newest first, behind that one; and which is the last that was looked at, if there may be more.
    ///
    /// # Errors
    /// [`HeldError`].
    #[pennypost_ports::compiled_here]
    pub async fn of_account(
        &self,
        account: AccountKey,
        after: Option<EventId>,
        limit: usize,
    ) -> Result<(Vec<Mailing>, Option<EventId>), HeldError> {
        let prefix = format!("{}/", account.account);
        let after = after.map(|mailing| key(account, mailing).sort);
        let limit = limit.clamp(1, PAGE);
        let rows = self.control.query(&partition(account.tenant), &prefix, after.as_deref(), limit).await?;
        let is_full = rows.len() >= limit;
        let (mut found, mut last) = (Vec::with_capacity(rows.len()), None);
        for (sort, item) in rows {
            let id = sort.strip_prefix(&*prefix).and_then(|id| u128::from_str_radix(id, 16).ok());
            last = id.map(|id| EventId::from_bytes((!id).to_be_bytes()));
            match codec::decode(&item.value) {
                Ok(mailing) => found.push(mailing),
                Err(error) => tracing::error!(%account, sort, %error, "a mailing can't be read"),
            }
        }
        Ok((found, last.filter(|_| is_full)))
    }

    /// Has the account room for one more?
    ///
    /// # Errors
    /// [`HeldError`].
    #[pennypost_ports::compiled_here]
    pub async fn has_room(&self, account: AccountKey) -> Result<bool, HeldError> {
        let (mut after, mut open, mut kept) = (None, 0, 0);
        loop {
            let (page, last) = self.of_account(account, after, PAGE).await?;
            open += page.iter().filter(|mailing| !mailing.state.is_over()).count();
            kept += page.len();
            if open >= MAX_OPEN || kept >= MAX_KEPT {
                return Ok(false);
            }
            if last.is_none() {
                return Ok(true);
            }
            after = last;
        }
    }

    /// The rows whose time has come, those that have waited longest first; and when the next one comes, where that is known.
    ///
    /// # Errors
    /// [`HeldError`].
    #[pennypost_ports::compiled_here]
    pub async fn due(
        &self,
        now: Timestamp,
        after: Option<&Due>,
        limit: usize,
    ) -> Result<(Vec<Due>, Option<Timestamp>), HeldError> {
        let after = after.map(|due| due.sort.as_str());
        let rows = self.control.query(DUE, "", after, limit).await?;
        let mut due = Vec::with_capacity(rows.len());
        for (sort, item) in rows {
            match Due::read(&sort, item.version) {
                Some(row) if row.at > now => return Ok((due, Some(row.at))),
                Some(row) => due.push(row),
                None => tracing::warn!(sort, "a row of mailings can't be read"),
            }
        }
        Ok((due, None))
    }

    /// Writes a row: the mailing will be looked at then.
    ///
    /// # Errors
    /// [`HeldError`].
    #[pennypost_ports::compiled_here]
    pub async fn remind(&self, mailing: &Mailing, at: Timestamp) -> Result<(), HeldError> {
        self.control.put_if(&due_key(mailing.sender.0, mailing.id, at), &[1], Expected::Any).await?;
        Ok(())
    }

    /// Writes a row for a later time in the place of this one.
    ///
    /// # Errors
    /// [`HeldError`]; then this one is still there.
    #[pennypost_ports::compiled_here]
    pub async fn put_off(&self, due: &Due, at: Timestamp) -> Result<(), HeldError> {
        self.control.put_if(&due_key(due.account, due.mailing, at), &[1], Expected::Any).await?;
        self.forget(due).await
    }

    /// Removes a row. One that was written anew meanwhile stays.
    ///
    /// # Errors
    /// [`HeldError`].
    #[pennypost_ports::compiled_here]
    pub async fn forget(&self, due: &Due) -> Result<(), HeldError> {
        self.control.delete_if(&ControlKey::new(DUE, &*due.sort), due.version).await?;
        Ok(())
    }

    /// What became of letters of a mailing from that one on, as many as are decided of so many.
    ///
    /// # Errors
    /// [`HeldError`].
    #[pennypost_ports::compiled_here]
    pub async fn fates(
        &self,
        mailing: &Mailing,
        from: u32,
        count: usize,
    ) -> Result<Vec<(u32, Fate)>, HeldError> {
        let prefix = format!("{}/", mailing.id);
        // The last one before it; before the first the prefix itself.
        let after = from.checked_sub(1).map(|row| letter_key(mailing, row).sort);
        let tenant = mailing.sender.0.tenant;
        let end = from.saturating_add(u32::try_from(count).unwrap_or(u32::MAX));
        let (mut fates, mut after) = (Vec::new(), after);
        let limit = count.clamp(1, PAGE);
        loop {
            let page = self.control.query(&letters(tenant), &prefix, after.as_deref(), limit).await?;
            let is_last = page.len() < limit;
            for (sort, item) in page {
                let row = sort.strip_prefix(&*prefix).and_then(|row| row.parse().ok());
                after = Some(sort);
                match row {
                    Some(row) if row < end => fates.push((row, codec::decode(&item.value)?)),
                    _ => return Ok(fates),
                }
            }
            if is_last || fates.len() >= count {
                return Ok(fates);
            }
        }
    }

    /// Decides what becomes of a letter, if nobody has yet: what holds.
    ///
    /// # Errors
    /// [`HeldError`].
    #[pennypost_ports::compiled_here]
    pub async fn decide(&self, mailing: &Mailing, row: u32, fate: &Fate) -> Result<Fate, HeldError> {
        let put =
            self.control.put_if(&letter_key(mailing, row), &codec::encode(fate), Expected::Absent).await?;
        match put {
            Put::Stored(_) => Ok(fate.clone()),
            Put::Conflict(Some(found)) => Ok(codec::decode(&found.value)?),
            Put::Conflict(None) => Err(HeldError::Contended),
        }
    }

    /// Removes a mailing whose account is gone, with what it says and what became of it.
    ///
    /// # Errors
    /// [`HeldError`].
    #[pennypost_ports::compiled_here]
    pub async fn remove(&self, mailing: &Mailing, version: u64) -> Result<(), HeldError> {
        self.drop_content(mailing).await?;
        let tenant = mailing.sender.0.tenant;
        let prefix = format!("{}/", mailing.id);
        loop {
            let page = self.control.query(&letters(tenant), &prefix, None, PAGE).await?;
            let is_last = page.len() < PAGE;
            for (sort, item) in page {
                self.control.delete_if(&ControlKey::new(letters(tenant), sort), item.version).await?;
            }
            if is_last {
                break;
            }
        }
        self.control.delete_if(&key(mailing.sender.0, mailing.id), version).await?;
        Ok(())
    }

    /// Names the object of every mailing of a tenant, nothing for one that can't be read, and removes those that are forgotten by
    /// now. One with which something should have been done a day ago gets another row: somebody has removed the one that it had.
    ///
    /// # Errors
    /// [`HeldError`].
    pub async fn sweep(
        &self,
        tenant: TenantId,
        now: Timestamp,
        mut each: impl FnMut(Option<&Mailing>),
    ) -> Result<u64, HeldError> {
        let mut removed = 0;
        let mut after: Option<String> = None;
        loop {
            let page = self.control.query(&partition(tenant), "", after.as_deref(), PAGE).await?;
            let is_last = page.len() < PAGE;
            for (sort, stored) in page {
                let mailing: Mailing = match codec::decode(&stored.value) {
                    Ok(mailing) => mailing,
                    Err(error) => {
                        tracing::warn!(%tenant, sort, %error, "a mailing can't be read");
                        each(None);
                        after = Some(sort);
                        continue;
                    }
                };
                after = Some(sort);
                let kept = if mailing.kind == crate::item::Kind::Individual { KEPT_INDIVIDUAL } else { KEPT };
                let is_forgotten = match mailing.ended {
                    Some(ended) => ended.plus_millis(kept) < now,
                    None => mailing.state == State::Draft && mailing.created.plus_millis(DRAFT_KEPT) < now,
                };
                if is_forgotten {
                    self.remove(&mailing, stored.version).await?;
                    removed += 1;
                    continue;
                }
                each(Some(&mailing));
                let is_moving = matches!(mailing.state, State::Going | State::Stopping);
                if is_moving && mailing.due.plus_millis(DAY) < now && mailing.moved.plus_millis(DAY) < now {
                    self.remind(&mailing, mailing.due).await?;
                }
            }
            if is_last {
                return Ok(removed);
            }
        }
    }

    /// What an organisation says of mailings, as it stands now; as many recipients as any may have, if it has said nothing.
    ///
    /// # Errors
    /// [`HeldError`].
    #[pennypost_ports::compiled_here]
    pub async fn rules(&self, tenant: TenantId) -> Result<(MailingRules, Expected), HeldError> {
        let found = self.control.get(&rules_key(tenant), Consistency::Strong).await?;
        let unsaid = MailingRules { recipients: u32::try_from(MAX_RECIPIENTS).unwrap_or(u32::MAX) };
        match found {
            Some(item) => Ok((codec::decode(&item.value)?, Expected::Version(item.version))),
            None => Ok((unsaid, Expected::Absent)),
        }
    }

    /// Says something else, if what holds is what was read. `false` if somebody else has said something since.
    ///
    /// # Errors
    /// [`HeldError`].
    #[pennypost_ports::compiled_here]
    pub async fn change_rules(
        &self,
        tenant: TenantId,
        rules: MailingRules,
        expected: Expected,
    ) -> Result<bool, HeldError> {
        let put = self.control.put_if(&rules_key(tenant), &codec::encode(&rules), expected).await?;
        Ok(matches!(put, Put::Stored(_)))
    }

    /// Keeps a body for other mailings. `false` if the account keeps as many as it may.
    ///
    /// # Errors
    /// [`HeldError`].
    #[pennypost_ports::compiled_here]
    pub async fn keep(&self, account: AccountKey, saved: &Saved) -> Result<bool, HeldError> {
        if self.saved(account).await?.len() >= MAX_SAVED {
            return Ok(false);
        }
        let key = saved_key(account, saved.id);
        self.control.put_if(&key, &codec::encode(saved), Expected::Any).await?;
        Ok(true)
    }

    /// The bodies that an account keeps, the oldest first.
    ///
    /// # Errors
    /// [`HeldError`].
    #[pennypost_ports::compiled_here]
    pub async fn saved(&self, account: AccountKey) -> Result<Vec<Saved>, HeldError> {
        let prefix = format!("{}/", account.account);
        let rows = self.control.query(&saved_in(account.tenant), &prefix, None, PAGE).await?;
        rows.into_iter().map(|(_, item)| Ok(codec::decode(&item.value)?)).collect()
    }

    /// One of them.
    ///
    /// # Errors
    /// [`HeldError`].
    #[pennypost_ports::compiled_here]
    pub async fn find_saved(&self, account: AccountKey, id: EventId) -> Result<Option<Saved>, HeldError> {
        let found = self.control.get(&saved_key(account, id), Consistency::Strong).await?;
        found.map(|item| Ok(codec::decode(&item.value)?)).transpose()
    }

    /// Keeps one no longer. `false` if there is none.
    ///
    /// # Errors
    /// [`HeldError`].
    #[pennypost_ports::compiled_here]
    pub async fn forget_saved(&self, account: AccountKey, id: EventId) -> Result<bool, HeldError> {
        let key = saved_key(account, id);
        match self.control.get(&key, Consistency::Strong).await? {
            Some(found) => Ok(self.control.delete_if(&key, found.version).await?),
            None => Ok(false),
        }
    }
}
