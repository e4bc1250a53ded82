//! The items, rows and objects.

use std::collections::BTreeMap;
use std::sync::Arc;

use futures::stream::{self, StreamExt, TryStreamExt};
use pennypost_mailstore::{accept, names};
use pennypost_model::codec::{self, CodecError};
use pennypost_model::event::{Accepted, Body, Stage};
use pennypost_model::message::StoredMessage;
use pennypost_model::scan::HeldFor;
use pennypost_model::{AccountId, AccountKey, EventId, TenantId, Timestamp};
use pennypost_ports::{
    Consistency, Control, ControlKey, Expected, Item, Objects, Outgoing, PortError, Put, Queue, crash,
};

use crate::letter::{Envelope, HeldLetter, HeldState, Release, expires};

/// How often a compare-and-set loop begins again before it gives up.
const MAX_ATTEMPTS: usize = 32;
/// Rows and items of a page.
const PAGE: usize = 100;
/// Rows that are read or written at once.
const AT_ONCE: usize = 16;
/// For so long a released letter may be on its way: as long as any event is tried, and a day. What was decided about it is kept
/// until then.
const ON_ITS_WAY_MS: i64 = 72 * 3_600_000;
/// After so long nobody is about to release a letter who said that he would, and has not.
const BEGUN_MS: i64 = 3_600_000;

/// Why something was not done.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum QuarantineError {
    /// A port.
    #[error(transparent)]
    Port(#[from] PortError),
    /// What is stored can't be read.
    #[error(transparent)]
    Item(#[from] CodecError),
    /// Others were always faster.
    #[error("too many others change it at the same time")]
    Contended,
}

impl QuarantineError {
    /// Can the same call succeed later?
    #[must_use]
    pub const fn is_temporary(&self) -> bool {
        match self {
            QuarantineError::Port(error) => error.is_temporary(),
            QuarantineError::Item(_) => false,
            QuarantineError::Contended => true,
        }
    }
}

/// What was decided about a recipient of a letter that lies in quarantine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Standing {
    /// It is kept from him.
    Kept {
        /// For this.
        held_for: HeldFor,
        /// As it was decided then.
        reasons: Vec<String>,
    },
    /// It was released: he gets it, whatever a scanner says.
    Released,
}

/// The same of all of its recipients that were decided upon.
pub type Standings = BTreeMap<AccountKey, Standing>;

/// Some rows, and behind what to go on, if there may be more.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Page {
    /// The rows.
    pub letters: Vec<HeldLetter>,
    /// Where the next page begins.
    pub next: Option<String>,
}

/// The quarantine. Cheap to clone.
#[derive(Clone)]
pub struct Quarantine {
    control: Arc<dyn Control>,
    objects: Arc<dyn Objects>,
}

fn rows(tenant: TenantId) -> String {
    format!("{tenant}/quarantine")
}

fn row_key(account: AccountKey, letter: EventId) -> ControlKey {
    ControlKey::new(rows(account.tenant), format!("{}/{letter}", account.account))
}

fn letters(tenant: TenantId) -> String {
    format!("{tenant}/quarantined-letters")
}

fn releases(tenant: TenantId) -> String {
    format!("{tenant}/quarantine-releases")
}

fn release_key(account: AccountKey, letter: EventId) -> ControlKey {
    ControlKey::new(releases(account.tenant), format!("{}/{letter}", account.account))
}

fn letter_key(tenant: TenantId, letter: EventId) -> ControlKey {
    ControlKey::new(letters(tenant), letter.to_string())
}

impl Quarantine {
    /// Over these ports.
    #[must_use]
    pub fn new(control: Arc<dyn Control>, objects: Arc<dyn Objects>) -> Quarantine {
        Quarantine { control, objects }
    }

    /// What was decided about the recipients of a letter: nothing, for nearly all letters. One strong read; for a letter that
    /// is here one more for each of its recipients.
    ///
    /// # Errors
    /// [`QuarantineError`].
    pub async fn standings(
        &self,
        tenant: TenantId,
        letter: EventId,
        accounts: &[AccountKey],
    ) -> Result<Standings, QuarantineError> {
        let mut standings = Standings::new();
        if self.control.get(&letter_key(tenant, letter), Consistency::Strong).await?.is_none() {
            return Ok(standings);
        }
        let reads: Vec<_> = accounts.iter().map(|account| self.row(*account, letter)).collect();
        let mut reads = stream::iter(reads).buffer_unordered(AT_ONCE);
        while let Some(row) = reads.next().await {
            if let Some((held, _)) = row? {
                let HeldLetter { account, held_for, reasons, .. } = held;
                let is_released = held.state.is_released();
                let kept = Standing::Kept { held_for, reasons };
                standings.insert(account, if is_released { Standing::Released } else { kept });
            }
        }
        Ok(standings)
    }

    /// Keeps a letter from these recipients. What is here already stays as it is.
    ///
    /// # Errors
    /// [`QuarantineError`]; the same again finishes it.
    pub async fn keep(
        &self,
        accepted: &Accepted,
        message: &StoredMessage,
        recipients: &[HeldLetter],
    ) -> Result<(), QuarantineError> {
        let (tenant, letter) = (accepted.tenant, accepted.id);
        let object = names::quarantined(tenant, letter);
        let body = Body::Spooled { object: object.clone(), size: message.size };
        let Some(kept) = recipients.iter().map(|held| held.kept).max() else { return Ok(()) };
        let envelope = Envelope { accepted: Accepted { body, ..without_body(accepted) }, kept };
        let value = codec::encode(&envelope);
        self.control.put_if(&letter_key(tenant, letter), &value, Expected::Absent).await?;
        crash::point("quarantine.after-letter");
        self.objects.put_unique(&object, codec::encode(message).into()).await?;
        crash::point("quarantine.after-bytes");
        let writes: Vec<_> = recipients.iter().map(|held| self.put_row(held)).collect();
        stream::iter(writes).buffer_unordered(AT_ONCE).try_collect().await
    }

    async fn put_row(&self, held: &HeldLetter) -> Result<(), QuarantineError> {
        let key = row_key(held.account, held.letter);
        self.control.put_if(&key, &codec::encode(held), Expected::Absent).await?;
        Ok(())
    }

    async fn row(
        &self,
        account: AccountKey,
        letter: EventId,
    ) -> Result<Option<(HeldLetter, u64)>, QuarantineError> {
        let Some(item) = self.control.get(&row_key(account, letter), Consistency::Strong).await? else {
            return Ok(None);
        };
        Ok(Some((codec::decode(&item.value)?, item.version)))
    }

    /// What is kept from an account of a letter, whatever became of it.
    ///
    /// # Errors
    /// [`QuarantineError`].
    pub async fn letter(
        &self,
        account: AccountKey,
        letter: EventId,
    ) -> Result<Option<HeldLetter>, QuarantineError> {
        Ok(self.row(account, letter).await?.map(|(held, _)| held))
    }

    /// Some of what lies there, of one account or of all, the oldest of each first, behind `after`. What was deleted, and what is
    /// over by now, is passed over; what can't be read, too, with a warning.
    ///
    /// # Errors
    /// [`QuarantineError`].
    pub async fn list(
        &self,
        tenant: TenantId,
        account: Option<AccountId>,
        after: Option<&str>,
        (now, limit): (Timestamp, usize),
    ) -> Result<Page, QuarantineError> {
        let prefix = account.map(|account| format!("{account}/")).unwrap_or_default();
        let found = self.control.query(&rows(tenant), &prefix, after, limit).await?;
        let next = if found.len() < limit { None } else { found.last().map(|(sort, _)| sort.clone()) };
        let mut letters = Vec::with_capacity(found.len());
        for (sort, item) in found {
            match codec::decode::<HeldLetter>(&item.value) {
                Ok(held) if matches!(held.state, HeldState::Deleted { .. }) || held.expires() <= now => {}
                Ok(held) => letters.push(held),
                Err(error) => tracing::warn!(%tenant, sort, %error, "a row of the quarantine is passed over"),
            }
        }
        Ok(Page { letters, next })
    }

    /// The bytes of a letter.
    ///
    /// # Errors
    /// [`QuarantineError`].
    pub async fn message(
        &self,
        tenant: TenantId,
        letter: EventId,
    ) -> Result<Option<StoredMessage>, QuarantineError> {
        match self.objects.get(&names::quarantined(tenant, letter)).await {
            Ok((bytes, _)) => Ok(Some(codec::decode(&bytes)?)),
            Err(PortError::NotFound { .. }) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// Changes the state of a row by compare-and-set; the row as it is then, and whether it was changed. `None` if there is none.
    async fn change(
        &self,
        account: AccountKey,
        letter: EventId,
        change: impl Fn(HeldState) -> Option<HeldState> + Send,
    ) -> Result<Option<(HeldLetter, bool)>, QuarantineError> {
        for _ in 0..MAX_ATTEMPTS {
            let Some((mut held, version)) = self.row(account, letter).await? else { return Ok(None) };
            let Some(state) = change(held.state) else { return Ok(Some((held, false))) };
            held.state = state;
            let put = self
                .control
                .put_if(&row_key(account, letter), &codec::encode(&held), Expected::Version(version))
                .await?;
            if matches!(put, Put::Stored(_)) {
                return Ok(Some((held, true)));
            }
        }
        Err(QuarantineError::Contended)
    }

    /// Releases a letter for an account: says so, and sends it through the pipeline, with the name that `spool` gives to its
    /// bytes if they are too many for an event. What was released already is sent again only if that is not certain. The row as it is then.
    ///
    /// # Errors
    /// [`QuarantineError`]: what is said to be released goes later, if it is not in the queue yet.
    pub async fn release(
        &self,
        account: AccountKey,
        letter: EventId,
        queue: &dyn Queue,
        (now, spool): (Timestamp, EventId),
    ) -> Result<Option<HeldLetter>, QuarantineError> {
        let Some((held, _)) = self.row(account, letter).await? else { return Ok(None) };
        if !matches!(held.state, HeldState::Held | HeldState::Releasing { .. }) {
            return Ok(Some(held));
        }
        // What can't be read is not said to be released.
        let Some(accepted) = self.whole(account, letter).await? else { return Ok(None) };
        let begun = codec::encode(&Release { at: now });
        self.control.put_if(&release_key(account, letter), &begun, Expected::Any).await?;
        let begin = |state| match state {
            HeldState::Held => Some(HeldState::Releasing { at: now }),
            _ => None,
        };
        let Some((held, _)) = self.change(account, letter, begin).await? else { return Ok(None) };
        crash::point("quarantine.after-releasing");
        match held.state {
            HeldState::Releasing { .. } => self.send(held, accepted, queue, spool).await,
            _ => {
                self.end_release(account, letter).await?;
                Ok(Some(held))
            }
        }
    }

    /// A letter as it goes through the pipeline for one of its recipients; `None` if something of it is gone.
    async fn whole(&self, account: AccountKey, letter: EventId) -> Result<Option<Accepted>, QuarantineError> {
        let tenant = account.tenant;
        let item = self.control.get(&letter_key(tenant, letter), Consistency::Strong).await?;
        let (Some(item), Some(message)) = (item, self.message(tenant, letter).await?) else {
            return Ok(None);
        };
        let Envelope { mut accepted, .. } = codec::decode(&item.value)?;
        accepted.recipients.retain(|recipient| recipient.account == account);
        accepted.body = Body::Inline(message);
        Ok(Some(accepted))
    }

    /// Nobody is releasing it any more.
    async fn end_release(&self, account: AccountKey, letter: EventId) -> Result<(), QuarantineError> {
        let key = release_key(account, letter);
        if let Some(begun) = self.control.get(&key, Consistency::Strong).await? {
            self.control.delete_if(&key, begun.version).await?;
        }
        Ok(())
    }

    async fn send(
        &self,
        held: HeldLetter,
        accepted: Accepted,
        queue: &dyn Queue,
        spool: EventId,
    ) -> Result<Option<HeldLetter>, QuarantineError> {
        let (account, letter) = (held.account, held.letter);
        let tenant = account.tenant;
        let body = accept::for_the_queue(&*self.objects, accepted, spool).await?;
        let message = Outgoing { tenant, body, delay: std::time::Duration::ZERO };
        for sent in queue.send_batch(Stage::InboundParse, vec![message]).await {
            sent?;
        }
        crash::point("quarantine.after-sent");
        let end = |state| match state {
            HeldState::Releasing { at } => Some(HeldState::Released { at }),
            _ => None,
        };
        let changed = self.change(account, letter, end).await?;
        self.end_release(account, letter).await?;
        Ok(changed.map(|(held, _)| held))
    }

    /// Deletes a letter from the quarantine of an account: nobody sees it any more. What was released is not deleted. The row as it
    /// is then.
    ///
    /// # Errors
    /// [`QuarantineError`].
    pub async fn delete(
        &self,
        account: AccountKey,
        letter: EventId,
        now: Timestamp,
    ) -> Result<Option<HeldLetter>, QuarantineError> {
        let end = |state| match state {
            HeldState::Held => Some(HeldState::Deleted { at: now }),
            _ => None,
        };
        Ok(self.change(account, letter, end).await?.map(|(held, _)| held))
    }

    /// Sends those letters of a tenant that were released and are perhaps not in the queue, and removes those whose time is over; how many
    /// were removed. Two queries where there is nothing to be done. What one letter fails for is told in the program's log, and in no
    /// other's way.
    ///
    /// # Errors
    /// [`QuarantineError`], if the lists themselves can't be read.
    pub async fn look_after(
        &self,
        tenant: TenantId,
        queue: &dyn Queue,
        now: Timestamp,
        fresh: impl Fn() -> EventId + Send,
    ) -> Result<u64, QuarantineError> {
        self.send_released(tenant, queue, now, fresh).await?;
        let (mut removed, mut after) = (0, None::<String>);
        loop {
            let page = self.control.query(&letters(tenant), "", after.as_deref(), PAGE).await?;
            for (sort, item) in &page {
                let Ok(letter) = sort.parse::<EventId>() else { continue };
                // They are in the order of their ids, and none came here before there was one.
                if expires(letter.time()) > now {
                    return Ok(removed);
                }
                match self.remove_if_over(tenant, letter, item, now).await {
                    Ok(is_removed) => removed += u64::from(is_removed),
                    Err(error) => {
                        tracing::warn!(%tenant, %letter, %error, "a letter in quarantine is passed over");
                    }
                }
            }
            match page.last() {
                Some((last, _)) if page.len() == PAGE => after = Some(last.clone()),
                _ => return Ok(removed),
            }
        }
    }

    /// Sends what was released, and is perhaps not in the queue.
    async fn send_released(
        &self,
        tenant: TenantId,
        queue: &dyn Queue,
        now: Timestamp,
        fresh: impl Fn() -> EventId + Send,
    ) -> Result<(), QuarantineError> {
        let mut after = None::<String>;
        loop {
            let page = self.control.query(&releases(tenant), "", after.as_deref(), PAGE).await?;
            for (sort, item) in &page {
                let named = sort.split_once('/').and_then(|(account, letter)| {
                    let account = AccountKey { tenant, account: account.parse().ok()? };
                    Some((account, letter.parse::<EventId>().ok()?))
                });
                let Some((account, letter)) = named else { continue };
                // What can't be read was begun long ago.
                let begun = codec::decode::<Release>(&item.value).map_or(Timestamp(0), |release| release.at);
                let is_old = begun.plus_millis(BEGUN_MS) <= now;
                if let Err(error) = self.finish_release(account, letter, is_old, queue, fresh()).await {
                    tracing::warn!(%tenant, %letter, %error, "a released letter is not sent yet");
                }
            }
            match page.last() {
                Some((last, _)) if page.len() == PAGE => after = Some(last.clone()),
                _ => return Ok(()),
            }
        }
    }

    async fn finish_release(
        &self,
        account: AccountKey,
        letter: EventId,
        is_old: bool,
        queue: &dyn Queue,
        spool: EventId,
    ) -> Result<(), QuarantineError> {
        match self.row(account, letter).await? {
            Some((held, _)) if matches!(held.state, HeldState::Releasing { .. }) => {
                let Some(accepted) = self.whole(account, letter).await? else {
                    tracing::error!(%account, %letter, "a released letter is gone, and can't be sent");
                    return self.end_release(account, letter).await;
                };
                self.send(held, accepted, queue, spool).await.map(drop)
            }
            // Perhaps somebody is about to say that it is released.
            Some((held, _)) if held.state == HeldState::Held && !is_old => Ok(()),
            _ => self.end_release(account, letter).await,
        }
    }

    /// Removes a letter, if its time is over for all from whom it was kept, and it is on its way to none of them. A read for each recipient
    /// of one that may go, and none for others.
    async fn remove_if_over(
        &self,
        tenant: TenantId,
        letter: EventId,
        item: &Item,
        now: Timestamp,
    ) -> Result<bool, QuarantineError> {
        let envelope: Envelope = codec::decode(&item.value)?;
        if expires(envelope.kept) > now {
            return Ok(false);
        }
        let mut found = Vec::new();
        for recipient in &envelope.accepted.recipients {
            let Some((held, version)) = self.row(recipient.account, letter).await? else { continue };
            let stays = match held.state {
                HeldState::Held | HeldState::Deleted { .. } => false,
                HeldState::Releasing { .. } => self.message(tenant, letter).await?.is_some(),
                HeldState::Released { at } => at.plus_millis(ON_ITS_WAY_MS) > now,
            };
            if stays || held.expires() > now {
                return Ok(false);
            }
            found.push((held.account, version));
        }
        for (account, version) in found {
            self.control.delete_if(&row_key(account, letter), version).await?;
        }
        self.objects.delete(&names::quarantined(tenant, letter)).await?;
        self.control.delete_if(&letter_key(tenant, letter), item.version).await?;
        Ok(true)
    }
}

/// The envelope alone.
fn without_body(accepted: &Accepted) -> Accepted {
    Accepted {
        id: accepted.id,
        time: accepted.time,
        tenant: accepted.tenant,
        source: accepted.source.clone(),
        auth: accepted.auth.clone(),
        reverse_path: accepted.reverse_path.clone(),
        recipients: accepted.recipients.clone(),
        body: Body::Spooled { object: String::new(), size: 0 },
        receipt: accepted.receipt.clone(),
    }
}
