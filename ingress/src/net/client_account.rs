//! An account as a mail program may see it (CLI-04, CLI-05).
//!
//! Sessions reach an account only through [`ClientAccount`]: every state that they get is narrowed to what the member
//! wants mail programs to see, so that all commands see the same. Changes are decided on the whole account, under the
//! commit rule; what names messages not by what the client saw has to ask [`ClientAccount::sees`].
//!
//! Sessions with the same sight of the same account share what was made for it; a session that sees everything has
//! nothing of all this.

use std::collections::HashMap;
use std::sync::{Arc, Weak};

use parking_lot::Mutex;
use pennypost_directory::ProtocolRules;
use pennypost_fold::{Draft, DraftError, Mailbox, Narrowing, Row, Sight, State};
use pennypost_mailstore::{ChangeError, Incoming, LiveAccount, Mailstore, Placed, StoreError, Writing};
use pennypost_model::journal::Actor;
use pennypost_model::{AccountKey, MailboxId, Seq, Timestamp, UidSet};
use tokio::sync::watch;

/// What is shared by the sessions of all accounts that do not see everything.
#[derive(Default)]
pub(crate) struct Sights(Mutex<Lenses>);

#[derive(Default)]
struct Lenses {
    all: HashMap<(AccountKey, Sight), Weak<Lens>>,
    /// How many there may be before those without sessions are thrown away.
    room: usize,
}

/// Lenses that are kept at least, with sessions or without.
const ROOM: usize = 64;

/// Through which a narrowed account is seen.
struct Lens {
    sight: Sight,
    narrowing: Mutex<Narrowing>,
}

/// An account as one session sees it. Cheap to clone.
#[derive(Clone)]
pub(crate) struct ClientAccount {
    live: Arc<LiveAccount>,
    /// `None`: it sees everything.
    lens: Option<Arc<Lens>>,
}

/// What POP3 sees of a mailbox: it has no UIDVALIDITY, and which mailboxes it has is its own business.
pub(crate) fn pop3_sight(rules: &ProtocolRules, now: Timestamp) -> Sight {
    Sight { since: rules.range.since(now), ..Sight::WHOLE }
}

/// What IMAP sees by these rules from now on. The beginning of the range stays for the whole session: while it lasts no
/// message goes away by growing old.
pub(crate) fn sight(rules: &ProtocolRules, now: Timestamp) -> Sight {
    let ProtocolRules { range, folders, junk, range_changes, .. } = *rules;
    Sight { since: range.since(now), folders, junk, validity: range_changes }
}

impl Sights {
    /// The account with this sight.
    pub fn account(&self, live: Arc<LiveAccount>, sight: Sight) -> ClientAccount {
        if sight == Sight::WHOLE {
            return ClientAccount::whole(live);
        }
        let key = (live.key(), sight);
        let mut lenses = self.0.lock();
        let lens = lenses.all.get(&key).and_then(Weak::upgrade).unwrap_or_else(|| {
            if lenses.all.len() >= lenses.room {
                lenses.all.retain(|_, lens| lens.strong_count() > 0);
                lenses.room = (2 * lenses.all.len()).max(ROOM);
            }
            let lens = Arc::new(Lens { sight, narrowing: Mutex::new(Narrowing::new(sight)) });
            lenses.all.insert(key, Arc::downgrade(&lens));
            lens
        });
        ClientAccount { live, lens: Some(lens) }
    }
}

impl ClientAccount {
    /// Everything of it.
    pub const fn whole(live: Arc<LiveAccount>) -> ClientAccount {
        ClientAccount { live, lens: None }
    }

    /// Its key.
    pub fn key(&self) -> AccountKey {
        self.live.key()
    }

    /// The store beneath.
    pub fn store(&self) -> &Mailstore {
        self.live.store()
    }

    /// Ticks when the account may have changed.
    pub fn news(&self) -> watch::Receiver<Seq> {
        self.live.news()
    }

    /// The newest state known here, without a look at the journal.
    pub fn state(&self) -> Arc<State> {
        self.narrowed(self.live.state())
    }

    /// The state with everything that was durable when the call began.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn refresh(&self) -> Result<Arc<State>, StoreError> {
        Ok(self.narrowed(self.live.refresh().await?))
    }

    /// Changes the account. `decide` meets all of it; the state that is returned is narrowed again.
    ///
    /// # Errors
    /// What `decide` returned, or [`StoreError`].
    pub async fn change<T, E>(
        &self,
        actor: &Actor,
        decide: impl FnMut(&mut Draft) -> Result<T, E>,
    ) -> Result<(Arc<State>, T), ChangeError<E>> {
        let (state, value) = self.live.change(actor, decide).await?;
        Ok((self.narrowed(state), value))
    }

    /// As [`ClientAccount::change`]; `meanwhile` is called as [`LiveAccount::change_while`] says, or not at all.
    ///
    /// # Errors
    /// As there.
    pub async fn change_while<T, E>(
        &self,
        actor: &Actor,
        decide: impl FnMut(&mut Draft) -> Result<T, E>,
        meanwhile: impl FnMut(&State, &T),
    ) -> Result<(Arc<State>, T), ChangeError<E>> {
        if self.lens.is_some() {
            // What is not sure yet is not narrowed.
            return self.change(actor, decide).await;
        }
        self.live.change_while(actor, decide, meanwhile).await
    }

    /// Stores messages in a mailbox: all or none. `allow` meets all of the account.
    ///
    /// # Errors
    /// What `allow` returned, [`DraftError`], or [`StoreError`].
    pub async fn store_messages(
        &self,
        actor: &Actor,
        mailbox: MailboxId,
        messages: &[Incoming],
        allow: impl FnMut(&State) -> Result<(), DraftError>,
    ) -> Result<(Arc<State>, Vec<Placed>), ChangeError> {
        self.store_messages_after(None, actor, mailbox, messages, allow).await
    }

    /// As [`ClientAccount::store_messages`], after what [`LiveAccount::store_messages_after`] waits for.
    ///
    /// # Errors
    /// As there.
    pub async fn store_messages_after(
        &self,
        written: Option<Writing>,
        actor: &Actor,
        mailbox: MailboxId,
        messages: &[Incoming],
        allow: impl FnMut(&State) -> Result<(), DraftError>,
    ) -> Result<(Arc<State>, Vec<Placed>), ChangeError> {
        let storing = self.live.store_messages_after(written, actor, mailbox, messages, allow);
        let (state, placed) = storing.await?;
        Ok((self.narrowed(state), placed))
    }

    /// Is the mailbox seen?
    pub fn sees_mailbox(&self, mailbox: &Mailbox) -> bool {
        self.lens.as_ref().is_none_or(|lens| lens.sight.holds_mailbox(mailbox))
    }

    /// Are own folders seen?
    pub fn sees_folders(&self) -> bool {
        self.lens.as_ref().is_none_or(|lens| lens.sight.folders)
    }

    /// Is the message seen, if its mailbox is?
    pub fn sees(&self, row: &Row) -> bool {
        self.lens.as_ref().is_none_or(|lens| lens.sight.holds(row))
    }

    /// Do messages go out of sight by growing old?
    pub fn loses_sight(&self) -> bool {
        self.lens.as_ref().is_some_and(|lens| lens.sight.since.is_some())
    }

    /// Messages of a mailbox that carry `\Deleted`, of those that are seen, and of `among` if given.
    ///
    /// # Errors
    /// [`DraftError::NoMailbox`].
    pub fn marked_deleted(
        &self,
        draft: &Draft,
        id: MailboxId,
        among: Option<&UidSet>,
    ) -> Result<UidSet, DraftError> {
        let marked = draft.marked_deleted(id, among)?;
        if !self.loses_sight() {
            return Ok(marked);
        }
        let mailbox = draft.state().mailbox(id).ok_or(DraftError::NoMailbox)?;
        let seen = mailbox.rows.select(&marked).filter(|(_, row)| self.sees(row));
        Ok(seen.map(|(_, row)| row.uid).collect())
    }

    fn narrowed(&self, state: Arc<State>) -> Arc<State> {
        match &self.lens {
            None => state,
            Some(lens) => lens.narrowing.lock().narrow(&state),
        }
    }
}
