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
    Consistency, Control, ControlKey, Expected, Objects, Outgoing, PortError, Put, Queue, crash,
};

use crate::letter::{Envelope, HeldLetter, HeldState, expires};

/// How often a compare-and-set loop begins again before it gives up.
const MAX_ATTEMPTS: usize = 32;
/// Rows and items of a page.
const PAGE: usize = 100;
/// Rows that are read or written at once.
const AT_ONCE: usize = 16;

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
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// It is kept from him, for this.
    Kept(HeldFor),
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
                let kept = Standing::Kept(held.held_for);
                let standing = if held.state.is_released() { Standing::Released } else { kept };
                standings.insert(held.account, standing);
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
        let envelope = Envelope { accepted: Accepted { body, ..without_body(accepted) } };
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
        let begin = |state| match state {
            HeldState::Held => Some(HeldState::Releasing { at: now }),
            _ => None,
        };
        let Some((held, _)) = self.change(account, letter, begin).await? else { return Ok(None) };
        crash::point("quarantine.after-releasing");
        match held.state {
            HeldState::Releasing { .. } => self.send(held, queue, spool).await,
            _ => Ok(Some(held)),
        }
    }

    async fn send(
        &self,
        held: HeldLetter,
        queue: &dyn Queue,
        spool: EventId,
    ) -> Result<Option<HeldLetter>, QuarantineError> {
        let (account, letter) = (held.account, held.letter);
        let tenant = account.tenant;
        let item = self.control.get(&letter_key(tenant, letter), Consistency::Strong).await?;
        let (Some(item), Some(message)) = (item, self.message(tenant, letter).await?) else {
            return Ok(None);
        };
        let Envelope { mut accepted } = codec::decode(&item.value)?;
        accepted.recipients.retain(|recipient| recipient.account == account);
        accepted.body = Body::Inline(message);
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

    /// Removes the letters of a tenant whose time is over, the oldest first, and sends those that were released and are perhaps
    /// not in the queue; how many were removed. One query, where there is nothing.
    ///
    /// # Errors
    /// [`QuarantineError`]; what was removed before it is removed.
    pub async fn look_after(
        &self,
        tenant: TenantId,
        queue: &dyn Queue,
        now: Timestamp,
        fresh: impl Fn() -> EventId + Send,
    ) -> Result<u64, QuarantineError> {
        let (mut removed, mut after) = (0, None::<String>);
        loop {
            let page = self.control.query(&letters(tenant), "", after.as_deref(), PAGE).await?;
            for (sort, item) in &page {
                let Ok(letter) = sort.parse::<EventId>() else { continue };
                let envelope: Envelope = match codec::decode(&item.value) {
                    Ok(envelope) => envelope,
                    Err(error) => {
                        tracing::warn!(%tenant, %letter, %error, "a letter in quarantine is passed over");
                        continue;
                    }
                };
                let accounts: Vec<AccountKey> =
                    envelope.accepted.recipients.iter().map(|recipient| recipient.account).collect();
                let mut waits = false;
                for account in &accounts {
                    let Some((held, _)) = self.row(*account, letter).await? else { continue };
                    if matches!(held.state, HeldState::Releasing { .. }) {
                        waits = true;
                        self.send(held, queue, fresh()).await?;
                    }
                }
                if expires(letter) <= now && !waits {
                    self.remove(tenant, letter, &accounts, item.version).await?;
                    removed += 1;
                }
            }
            match page.last() {
                Some((last, _)) if page.len() == PAGE => after = Some(last.clone()),
                _ => return Ok(removed),
            }
        }
    }

    async fn remove(
        &self,
        tenant: TenantId,
        letter: EventId,
        accounts: &[AccountKey],
        version: u64,
    ) -> Result<(), QuarantineError> {
        for account in accounts {
            if let Some((_, version)) = self.row(*account, letter).await? {
                self.control.delete_if(&row_key(*account, letter), version).await?;
            }
        }
        self.objects.delete(&names::quarantined(tenant, letter)).await?;
        self.control.delete_if(&letter_key(tenant, letter), version).await?;
        Ok(())
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
