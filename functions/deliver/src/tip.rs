//! The newest end of each account's journal, as far as deliveries need it: the next number, the next UID, the
//! totals, and the events of the recent past. A tip may be old: then the append loses, and it is read anew.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::Arc;

use parking_lot::Mutex;
use pennypost_mailstore::{Mailstore, StoreError};
use pennypost_model::journal::{Entry, Op, Usage};
use pennypost_model::{AccountKey, EventId, MailboxId, Rid, Seq, Timestamp, Uid};
use pennypost_ports::Consistency;

/// Clocks of acceptance and delivery may differ by this much: an event is looked for in entries that are not
/// older than its time less this margin.
pub const CLOCK_MARGIN_MS: i64 = 120_000;

/// A tail of this many entries wants a base.
const LONG_TAIL: u64 = 128;
/// Entries read at once.
const PAGE: usize = 64;
/// Events remembered for each account.
const REMEMBERED: usize = 2_000;
/// Accounts remembered.
const ACCOUNTS: usize = 10_000;

/// A copy that is in the account.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Copy {
    /// The entry that added it.
    pub seq: Seq,
    /// Its UID.
    pub uid: Uid,
    /// Its id.
    pub rid: Rid,
    /// The mailbox that it was put into.
    pub mailbox: MailboxId,
    /// The account's tail has grown long with it.
    pub wants_housekeeping: bool,
}

/// Copies by account and event.
pub type Found = BTreeMap<(AccountKey, EventId), Copy>;

/// The newest end of one account.
#[derive(Debug, Clone, Default)]
pub struct Tip {
    /// The newest entry known.
    pub seq: Seq,
    /// When it was committed.
    pub time: Timestamp,
    /// The next UID.
    pub next_uid: u32,
    /// Totals.
    pub used: Usage,
    /// The newest base.
    base_seq: Seq,
    /// All events of entries after this one are in `events`.
    covered_after: Seq,
    /// The time of the entry `covered_after`: events of entries committed later are all known.
    covered_time: Timestamp,
    events: HashMap<EventId, Copy>,
    order: VecDeque<(EventId, Seq, Timestamp)>,
}

impl Tip {
    /// Advances by an entry; what is not the next one is ignored.
    pub fn advance(&mut self, entry: &Entry) {
        if entry.seq != self.seq.next() {
            return;
        }
        self.seq = entry.seq;
        self.time = entry.time;
        self.next_uid = entry.next_uid;
        self.used = entry.used;
        self.remember(entry);
        while self.order.len() > REMEMBERED
            && let Some((event, seq, time)) = self.order.pop_front()
        {
            self.events.remove(&event);
            (self.covered_after, self.covered_time) = (seq, time);
        }
    }

    fn remember(&mut self, entry: &Entry) {
        let long = entry.seq.0 - self.base_seq.0.min(entry.seq.0) >= LONG_TAIL;
        let wants_housekeeping = long && entry.seq.0.is_multiple_of(LONG_TAIL / 4);
        for op in &entry.ops {
            let Op::Add(add) = op else { continue };
            let rid = Rid::new(entry.seq, add.index);
            let copy = Copy { seq: entry.seq, uid: add.uid, rid, mailbox: add.mailbox, wants_housekeeping };
            if self.events.insert(add.event, copy).is_none() {
                self.order.push_back((add.event, entry.seq, entry.time));
            }
        }
    }

    /// The copy that this event brought, if one of the entries known here holds it.
    #[must_use]
    pub fn copy(&self, event: EventId) -> Option<Copy> {
        self.events.get(&event).copied()
    }

    /// Are all entries that may hold an event of that time known?
    fn covers(&self, time: Timestamp) -> bool {
        self.covered_after == Seq::ZERO || self.covered_time < time.plus_millis(-CLOCK_MARGIN_MS)
    }
}

/// The tips of this process.
pub struct Tips {
    store: Mailstore,
    known: Mutex<HashMap<AccountKey, Arc<Tip>>>,
}

impl Tips {
    /// No tips yet.
    pub fn new(store: Mailstore) -> Tips {
        Tips { store, known: Mutex::default() }
    }

    /// The copy that an event of that time brought, if it is in the journal.
    pub async fn find(
        &self,
        account: AccountKey,
        event: EventId,
        time: Timestamp,
    ) -> Result<Option<Copy>, StoreError> {
        let tip = self.tip(account).await?;
        self.find_upto(&tip, account, event, time).await
    }

    /// The copy that an event of that time brought, if it is in the journal up to `tip`.
    pub async fn find_upto(
        &self,
        tip: &Tip,
        account: AccountKey,
        event: EventId,
        time: Timestamp,
    ) -> Result<Option<Copy>, StoreError> {
        if tip.covers(time) || tip.copy(event).is_some() {
            return Ok(tip.copy(event));
        }
        self.look_back(account, tip.covered_after, event, time).await
    }

    /// The account's newest end; a moment old if it is remembered.
    pub async fn tip(&self, account: AccountKey) -> Result<Arc<Tip>, StoreError> {
        let known = self.known.lock().get(&account).cloned();
        match known {
            Some(tip) => Ok(tip),
            None => self.reload(account, Consistency::Eventual).await,
        }
    }

    /// Reads the account's newest end anew.
    pub async fn reload(
        &self,
        account: AccountKey,
        consistency: Consistency,
    ) -> Result<Arc<Tip>, StoreError> {
        let newest = self.store.journal().newest(account, PAGE, consistency).await?;
        let mut tip = Tip { next_uid: 1, ..Tip::default() };
        tip.base_seq = newest.head.map_or(Seq::ZERO, |head| head.base_seq);
        if let Some(first) = newest.entries.first() {
            tip.covered_after = Seq(first.seq.0 - 1);
            // The time of the entry before the first is not known, but it is not after the first one's.
            tip.covered_time = first.time;
            tip.seq = tip.covered_after;
        }
        newest.entries.iter().for_each(|entry| tip.advance(entry));
        Ok(self.put(account, tip))
    }

    /// Remembers a tip unless a newer one is known; the answer is the newest.
    pub fn put(&self, account: AccountKey, tip: Tip) -> Arc<Tip> {
        let mut known = self.known.lock();
        if known.len() >= ACCOUNTS && !known.contains_key(&account) {
            let some: Vec<AccountKey> = known.keys().take(ACCOUNTS / 10).copied().collect();
            some.iter().for_each(|account| drop(known.remove(account)));
        }
        match known.get(&account) {
            Some(newer) if newer.seq > tip.seq => Arc::clone(newer),
            _ => {
                let tip = Arc::new(tip);
                known.insert(account, Arc::clone(&tip));
                tip
            }
        }
    }

    /// Looks for an event in entries up to `upto` that are not too old to hold it.
    async fn look_back(
        &self,
        account: AccountKey,
        upto: Seq,
        event: EventId,
        time: Timestamp,
    ) -> Result<Option<Copy>, StoreError> {
        let oldest = time.plus_millis(-CLOCK_MARGIN_MS);
        let mut upto = upto;
        while upto > Seq::ZERO {
            let entries = self.store.journal().before(account, upto, PAGE).await?;
            let mut page = Tip::default();
            entries.iter().for_each(|entry| page.remember(entry));
            if let Some(copy) = page.copy(event) {
                return Ok(Some(Copy { wants_housekeeping: false, ..copy }));
            }
            match entries.first() {
                Some(first) if first.time >= oldest => upto = Seq(first.seq.0 - 1),
                _ => break,
            }
        }
        Ok(None)
    }
}

/// How the trace calls a mailbox.
pub fn mailbox_label(mailbox: MailboxId) -> String {
    match mailbox {
        MailboxId::INBOX => "INBOX".to_owned(),
        MailboxId::JUNK => "Junk".to_owned(),
        MailboxId::TRASH => "Trash".to_owned(),
        MailboxId::SENT => "Sent".to_owned(),
        MailboxId::DRAFTS => "Drafts".to_owned(),
        MailboxId::ARCHIVE => "Archive".to_owned(),
        MailboxId(other) => format!("#{other}"),
    }
}
