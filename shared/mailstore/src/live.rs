//! Live accounts: one state per account and process, shared by all of its sessions.
//!
//! Invariants: as long as somebody has a session, the account has one state here and no second; accounts without
//! sessions are kept, so that the next one opens at once, until the states of all together are heavier than the
//! room allows; then those go that were not asked for longest. What goes is loaded again from base and tail.

use std::collections::HashMap;
use std::future::ready;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use async_trait::async_trait;
use parking_lot::{Mutex, RwLock};
use pennypost_fold::{Draft, DraftError, State};
use pennypost_model::journal::Actor;
use pennypost_model::{AccountKey, MailboxId, Seq};
use pennypost_ports::{Consistency, PortResult, Wakeups};
use tokio::sync::{mpsc, watch};

use crate::{ChangeError, Incoming, Mailstore, Placed, StoreError, Writing};

/// Bytes that the states of a room may take unless it is told otherwise.
const ROOM: usize = 256 << 20;
/// What an account takes besides its messages.
const ACCOUNT: usize = 1024;

/// The live accounts of this process. Cheap to clone.
#[derive(Clone)]
pub struct Mailroom {
    store: Mailstore,
    shelf: Arc<Shelf>,
    others: Option<Others>,
}

/// Where changes by this process are told, for sessions in other processes.
pub type Others = mpsc::UnboundedSender<(AccountKey, Seq)>;

struct Shelf {
    /// Bytes that states may take before accounts without sessions go.
    room: usize,
    accounts: Mutex<HashMap<AccountKey, Kept>>,
    /// Counts the times that accounts were asked for.
    asked: AtomicU64,
    counts: Arc<Counts>,
}

struct Kept {
    account: Arc<LiveAccount>,
    /// When it was last asked for, as a count.
    asked: u64,
}

#[derive(Default)]
struct Counts {
    bytes: AtomicUsize,
    loaded: AtomicU64,
    dropped: AtomicU64,
    reads: AtomicU64,
    spared: AtomicU64,
}

/// What a room holds, and what it did for that.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Occupancy {
    /// Accounts.
    pub accounts: usize,
    /// About the bytes that their states take.
    pub bytes: usize,
    /// Accounts loaded so far.
    pub loaded: u64,
    /// Accounts that went because there was no room.
    pub dropped: u64,
    /// Reads of a journal for news.
    pub reads: u64,
    /// Questions for news that were answered without a read.
    pub spared: u64,
}

/// An account with its newest known state.
pub struct LiveAccount {
    key: AccountKey,
    store: Mailstore,
    state: RwLock<Arc<State>>,
    weight: AtomicUsize,
    counts: Arc<Counts>,
    /// Held while the journal is read for this account, so that sessions do not all read the same.
    advancing: tokio::sync::Mutex<()>,
    /// Held while a change is decided and committed: sessions of this process take turns, first come first
    /// served, and lose races only to other processes and to deliveries.
    changing: tokio::sync::Mutex<()>,
    /// The highest entry that somebody has told us of.
    news: watch::Sender<Seq>,
    others: Option<Others>,
}

impl Mailroom {
    /// No accounts yet.
    #[must_use]
    pub fn new(store: Mailstore) -> Mailroom {
        Mailroom::with_room(store, ROOM)
    }

    /// No accounts yet, and so many bytes for the states of those to come. Accounts with sessions stay even if they
    /// take more.
    #[must_use]
    pub fn with_room(store: Mailstore, bytes: usize) -> Mailroom {
        let shelf = Shelf {
            room: bytes,
            accounts: Mutex::default(),
            asked: AtomicU64::new(0),
            counts: Arc::default(),
        };
        Mailroom { store, shelf: Arc::new(shelf), others: None }
    }

    /// As it is, and what its accounts commit is told to `others`, too.
    #[must_use]
    pub fn telling(self, others: Others) -> Mailroom {
        Mailroom { others: Some(others), ..self }
    }

    /// The accounts whose sessions wait for news.
    #[must_use]
    pub fn watched(&self) -> Vec<AccountKey> {
        let accounts = self.shelf.accounts.lock();
        let watched = accounts.values().filter(|kept| kept.account.news.receiver_count() > 0);
        watched.map(|kept| kept.account.key).collect()
    }

    /// Tells sessions that the account may have grown, by nobody knows how much.
    pub fn look_again(&self, account: AccountKey) {
        if let Some(kept) = self.shelf.accounts.lock().get(&account) {
            kept.account.news.send_modify(|_| {});
        }
    }

    /// The store beneath.
    #[must_use]
    pub fn store(&self) -> &Mailstore {
        &self.store
    }

    /// What the room holds now.
    #[must_use]
    pub fn occupancy(&self) -> Occupancy {
        let counts = &self.shelf.counts;
        Occupancy {
            accounts: self.shelf.accounts.lock().len(),
            bytes: counts.bytes.load(Ordering::Relaxed),
            loaded: counts.loaded.load(Ordering::Relaxed),
            dropped: counts.dropped.load(Ordering::Relaxed),
            reads: counts.reads.load(Ordering::Relaxed),
            spared: counts.spared.load(Ordering::Relaxed),
        }
    }

    /// The account, with everything in it that was durable when the call began. An account without journal is
    /// opened: its first entry makes the standard mailboxes.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn account(&self, key: AccountKey) -> Result<Arc<LiveAccount>, StoreError> {
        let account = match self.known(key) {
            Some(account) => account,
            None => {
                // What a stale read lacks, the refresh below reads: a long tail costs half as much so.
                let state = self.store.load_to_list(key, Consistency::Eventual).await?;
                self.shelf.counts.loaded.fetch_add(1, Ordering::Relaxed);
                self.keep(LiveAccount::new(
                    key,
                    self.store.clone(),
                    state,
                    &self.shelf.counts,
                    self.others.clone(),
                ))
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
        let accounts: Vec<_> =
            self.shelf.accounts.lock().values().map(|kept| Arc::clone(&kept.account)).collect();
        for account in accounts {
            account.news.send_modify(|_| {});
        }
    }

    fn known(&self, key: AccountKey) -> Option<Arc<LiveAccount>> {
        let asked = self.shelf.asked.fetch_add(1, Ordering::Relaxed);
        let mut accounts = self.shelf.accounts.lock();
        let kept = accounts.get_mut(&key)?;
        kept.asked = asked;
        Some(Arc::clone(&kept.account))
    }

    fn keep(&self, account: LiveAccount) -> Arc<LiveAccount> {
        let asked = self.shelf.asked.fetch_add(1, Ordering::Relaxed);
        let mut accounts = self.shelf.accounts.lock();
        let key = account.key;
        // Another session may have been faster.
        let kept = accounts.entry(key).or_insert_with(|| Kept { account: Arc::new(account), asked });
        let account = Arc::clone(&kept.account);
        let dropped = self.shelf.make_room(&mut accounts);
        drop(accounts);
        // Large states are not given back while everybody waits.
        drop(dropped);
        account
    }
}

impl Shelf {
    /// Takes out accounts that nobody has, those not asked for longest first, until the rest fits.
    fn make_room(&self, accounts: &mut HashMap<AccountKey, Kept>) -> Vec<Kept> {
        let mut surplus = self.counts.bytes.load(Ordering::Relaxed).saturating_sub(self.room);
        if surplus == 0 {
            return Vec::new();
        }
        let is_idle = |kept: &Kept| Arc::strong_count(&kept.account) == 1;
        let mut idle: Vec<(u64, AccountKey)> =
            accounts.iter().filter(|(_, kept)| is_idle(kept)).map(|(key, kept)| (kept.asked, *key)).collect();
        idle.sort_unstable();
        let mut dropped = Vec::new();
        for (_, key) in idle {
            if surplus == 0 {
                break;
            }
            if let Some(kept) = accounts.remove(&key) {
                surplus = surplus.saturating_sub(kept.account.weight.load(Ordering::Relaxed));
                self.counts.dropped.fetch_add(1, Ordering::Relaxed);
                dropped.push(kept);
            }
        }
        dropped
    }
}

#[async_trait]
impl Wakeups for Mailroom {
    async fn wake(&self, account: AccountKey, seq: Seq) -> PortResult<()> {
        let live = self.shelf.accounts.lock().get(&account).map(|kept| Arc::clone(&kept.account));
        if let Some(live) = live {
            live.tell(seq);
        }
        Ok(())
    }
}

impl LiveAccount {
    fn new(
        key: AccountKey,
        store: Mailstore,
        state: State,
        counts: &Arc<Counts>,
        others: Option<Others>,
    ) -> LiveAccount {
        let weight = ACCOUNT + state.weight();
        counts.bytes.fetch_add(weight, Ordering::Relaxed);
        LiveAccount {
            key,
            store,
            news: watch::Sender::new(state.seq),
            state: RwLock::new(Arc::new(state)),
            weight: AtomicUsize::new(weight),
            counts: Arc::clone(counts),
            advancing: tokio::sync::Mutex::new(()),
            changing: tokio::sync::Mutex::new(()),
            others,
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
        if let Some(state) = self.proven() {
            return Ok(state);
        }
        // On the heap while it lasts: this is a part of every command.
        Box::pin(self.read_news()).await
    }

    /// The state, if it is certain without a read that nothing has come after it.
    fn proven(&self) -> Option<Arc<State>> {
        let newest = self.store.journal.newest_known(self.key)?;
        let state = self.state();
        if state.seq < newest {
            return None;
        }
        self.counts.spared.fetch_add(1, Ordering::Relaxed);
        Some(state)
    }

    async fn read_news(&self) -> Result<Arc<State>, StoreError> {
        let _turn = self.advancing.lock().await;
        // Whoever had the turn before may have read what all were waiting for.
        if let Some(state) = self.proven() {
            return Ok(state);
        }
        self.counts.reads.fetch_add(1, Ordering::Relaxed);
        let known = self.state();
        const FEW: usize = 64;
        let entries = self.store.journal.since(self.key, known.seq, FEW, Consistency::Strong).await?;
        if entries.is_empty() {
            return Ok(known);
        }
        self.store.keep_envelopes(&entries);
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
        self.change_while(actor, decide, |_, _| {}).await
    }

    /// As [`LiveAccount::change`]; `meanwhile` is called with what will be there, and with what the decision gave, while
    /// the change becomes durable: for making answers, which nobody may be given before that. Should somebody else be
    /// faster, it is called again.
    ///
    /// # Errors
    /// As there.
    pub async fn change_while<T, E>(
        &self,
        actor: &Actor,
        decide: impl FnMut(&mut Draft) -> Result<T, E>,
        meanwhile: impl FnMut(&State, &T),
    ) -> Result<(Arc<State>, T), ChangeError<E>> {
        let _turn = self.changing.lock().await;
        let state = (*self.state()).clone();
        let before = state.seq;
        let committed =
            self.store.commit_with(self.key, state, actor, None, ready(Ok(())), decide, meanwhile).await?;
        self.tell_others(before, committed.state.seq);
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
        self.store_messages_after(None, actor, mailbox, messages, allow).await
    }

    /// As [`LiveAccount::store_messages`]; `written` ends when the packs of [`Mailstore::put_ahead`] are durable. Their
    /// entry is made meanwhile, and appended after that.
    ///
    /// # Errors
    /// As there, and that of `written`.
    pub async fn store_messages_after(
        &self,
        written: Option<Writing>,
        actor: &Actor,
        mailbox: MailboxId,
        messages: &[Incoming],
        allow: impl FnMut(&State) -> Result<(), DraftError>,
    ) -> Result<(Arc<State>, Vec<Placed>), ChangeError> {
        let mut packed = self.store.pack(self.key, messages)?;
        packed.written = written;
        let _turn = self.changing.lock().await;
        let state = (*self.state()).clone();
        let before = state.seq;
        let placing = self.store.place(self.key, state, actor, mailbox, messages, packed, allow);
        let committed = placing.await?;
        self.tell_others(before, committed.state.seq);
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

    fn tell_others(&self, before: Seq, after: Seq) {
        if let Some(others) = &self.others
            && after > before
        {
            // Nobody listens when the process is about to end.
            let _ = others.send((self.key, after));
        }
    }

    /// Makes `state` the newest unless a newer one is there; the answer is the newest.
    fn publish(&self, state: State) -> Arc<State> {
        let newest = {
            let mut current = self.state.write();
            if state.seq > current.seq {
                let weight = ACCOUNT + state.weight();
                let before = self.weight.swap(weight, Ordering::Relaxed);
                self.counts.bytes.fetch_add(weight, Ordering::Relaxed);
                self.counts.bytes.fetch_sub(before, Ordering::Relaxed);
                *current = Arc::new(state);
            }
            Arc::clone(&current)
        };
        self.tell(newest.seq);
        newest
    }
}

impl Drop for LiveAccount {
    fn drop(&mut self) {
        self.counts.bytes.fetch_sub(*self.weight.get_mut(), Ordering::Relaxed);
    }
}
