//! Live accounts: one state per account and process, shared by all of its sessions.

use std::collections::HashMap;
use std::sync::Arc;

use async_trait::async_trait;
use parking_lot::{Mutex, RwLock};
use pennypost_fold::{Draft, DraftError, State};
use pennypost_model::journal::Actor;
use pennypost_model::{AccountKey, MailboxId, Seq};
use pennypost_ports::{Consistency, PortResult, Wakeups};
use tokio::sync::watch;

use crate::{ChangeError, Incoming, Mailstore, Placed, StoreError};

/// Accounts that are kept although nobody has a session, so that the next one opens at once.
const KEPT: usize = 256;

/// The live accounts of this process. Cheap to clone.
#[derive(Clone)]
pub struct Mailroom {
    store: Mailstore,
    accounts: Arc<Mutex<HashMap<AccountKey, Arc<LiveAccount>>>>,
}

/// An account with its newest known state.
pub struct LiveAccount {
    key: AccountKey,
    store: Mailstore,
    state: RwLock<Arc<State>>,
    /// Held while the journal is read for this account, so that sessions do not all read the same.
    advancing: tokio::sync::Mutex<()>,
    /// Held while a change is decided and committed: sessions of this process take turns, first come first
    /// served, and lose races only to other processes and to deliveries.
    changing: tokio::sync::Mutex<()>,
    /// The highest entry that somebody has told us of.
    news: watch::Sender<Seq>,
}

impl Mailroom {
    /// No accounts yet.
    #[must_use]
    pub fn new(store: Mailstore) -> Mailroom {
        Mailroom { store, accounts: Arc::default() }
    }

    /// The store beneath.
    #[must_use]
    pub fn store(&self) -> &Mailstore {
        &self.store
    }

    /// The account, with everything in it that was durable when the call began. An account without journal is
    /// opened: its first entry makes the standard mailboxes.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn account(&self, key: AccountKey) -> Result<Arc<LiveAccount>, StoreError> {
        let known = self.accounts.lock().get(&key).cloned();
        let account = match known {
            Some(account) => account,
            None => {
                let state = self.store.load(key, Consistency::Strong).await?;
                self.keep(LiveAccount::new(key, self.store.clone(), state))
            }
        };
        let state = account.refresh().await?;
        if state.seq == Seq::ZERO {
            match account.change(&Actor::System, |_| Ok::<(), DraftError>(())).await {
                Ok(_) => {}
                Err(ChangeError::Store(error)) => return Err(error),
                Err(ChangeError::Decided(error)) => return Err(StoreError::Damaged(error.to_string())),
            }
        }
        Ok(account)
    }

    /// Tells every live account that the journal may have grown, for changes by other processes.
    pub fn wake_all(&self) {
        let accounts: Vec<_> = self.accounts.lock().values().cloned().collect();
        for account in accounts {
            account.news.send_modify(|_| {});
        }
    }

    fn keep(&self, account: LiveAccount) -> Arc<LiveAccount> {
        let mut accounts = self.accounts.lock();
        if accounts.len() >= KEPT {
            accounts.retain(|_, account| Arc::strong_count(account) > 1);
        }
        let key = account.key;
        // Another session may have been faster.
        Arc::clone(accounts.entry(key).or_insert_with(|| Arc::new(account)))
    }
}

#[async_trait]
impl Wakeups for Mailroom {
    async fn wake(&self, account: AccountKey, seq: Seq) -> PortResult<()> {
        let live = self.accounts.lock().get(&account).cloned();
        if let Some(live) = live {
            live.tell(seq);
        }
        Ok(())
    }
}

impl LiveAccount {
    fn new(key: AccountKey, store: Mailstore, state: State) -> LiveAccount {
        let news = watch::Sender::new(state.seq);
        let state = RwLock::new(Arc::new(state));
        LiveAccount {
            key,
            store,
            state,
            advancing: tokio::sync::Mutex::new(()),
            changing: tokio::sync::Mutex::new(()),
            news,
        }
    }

    /// Its key.
    #[must_use]
    pub const fn key(&self) -> AccountKey {
        self.key
    }

    /// The store beneath.
    #[must_use]
    pub fn store(&self) -> &Mailstore {
        &self.store
    }

    /// The newest state known here, without a look at the journal.
    #[must_use]
    pub fn state(&self) -> Arc<State> {
        Arc::clone(&self.state.read())
    }

    /// Ticks when the account may have changed; then [`LiveAccount::refresh`].
    #[must_use]
    pub fn news(&self) -> watch::Receiver<Seq> {
        self.news.subscribe()
    }

    /// The state with everything that was durable when the call began.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn refresh(&self) -> Result<Arc<State>, StoreError> {
        let _turn = self.advancing.lock().await;
        let known = self.state();
        const FEW: usize = 64;
        let entries = self.store.journal.since(self.key, known.seq, FEW, Consistency::Strong).await?;
        if entries.is_empty() {
            return Ok(known);
        }
        let mut state = (*known).clone();
        for entry in &entries {
            state.fold(entry)?;
        }
        if entries.len() == FEW {
            self.store.advance(self.key, &mut state, Consistency::Strong).await?;
        }
        Ok(self.publish(state))
    }

    /// Changes the account by the commit rule and tells the other sessions.
    ///
    /// # Errors
    /// What `decide` returned, or [`StoreError`].
    pub async fn change<T, E>(
        &self,
        actor: &Actor,
        decide: impl FnMut(&mut Draft) -> Result<T, E>,
    ) -> Result<(Arc<State>, T), ChangeError<E>> {
        let _turn = self.changing.lock().await;
        let state = (*self.state()).clone();
        let committed = self.store.commit(self.key, state, actor, decide).await?;
        Ok((self.publish(committed.state), committed.value))
    }

    /// Stores messages in a mailbox: all or none.
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
        let blobs = self.store.pack(self.key, messages).await?;
        let _turn = self.changing.lock().await;
        let state = (*self.state()).clone();
        let placing = self.store.place(self.key, state, actor, mailbox, messages, &blobs, allow);
        let committed = placing.await?;
        Ok((self.publish(committed.state), committed.value))
    }

    /// Somebody says that the journal has at least entry `seq`.
    fn tell(&self, seq: Seq) {
        self.news.send_if_modified(|known| {
            let is_news = seq > *known;
            *known = (*known).max(seq);
            is_news
        });
    }

    /// Makes `state` the newest unless a newer one is there; the answer is the newest.
    fn publish(&self, state: State) -> Arc<State> {
        let newest = {
            let mut current = self.state.write();
            if state.seq > current.seq {
                *current = Arc::new(state);
            }
            Arc::clone(&current)
        };
        self.tell(newest.seq);
        newest
    }
}
