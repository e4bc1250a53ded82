//! The newest end of each account's journal, as far as deliveries need it: the next number, the next UID, the
//! totals, and the events of the recent past. A tip may be old: then the append loses, and it is read anew.
//!
//! Each delivery asks whether an event of now is in the entries of the last two minutes. What came in meanwhile is
//! read once, not by each: however much it was, a delivery costs the same. Only entries of deliveries count, since
//! nobody else's holds an event from the queue.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::Arc;

use parking_lot::Mutex;
use pennypost_mailstore::{Mailstore, StoreError, long_tail};
use pennypost_model::journal::{Actor, Add, Entry, MailboxOp, Op, Usage};
use pennypost_model::{AccountKey, EventId, MailboxId, MailboxRole, Rid, Seq, Timestamp, Uid};
use pennypost_ports::Consistency;

use crate::past::Past;

/// Clocks of acceptance and delivery may differ by this much: an event is looked for in entries that are not
/// older than its time less this margin.
pub const CLOCK_MARGIN_MS: i64 = 120_000;

/// A tail of this many entries wants a base, in an account that is not large.
const LONG_TAIL: u64 = 128;

/// How much is read and remembered. The defaults are for work; tests take small ones to reach every path.
#[derive(Debug, Clone, Copy)]
pub struct Memory {
    /// Entries read of an account that is not known: about what one read unit pays for. In most accounts nothing
    /// else came in the last two minutes.
    pub first: usize,
    /// Entries read at once, where more are needed.
    pub page: usize,
    /// Events remembered for each account, with their copies.
    pub events: usize,
    /// Older ones of which it is only remembered that they were delivered: 10 to 20 bytes each.
    pub seen: usize,
    /// For how long, in an account that gets no others.
    pub millis: i64,
    /// Accounts remembered.
    pub accounts: usize,
    /// Copies that one entry adds: it stays below 64 KB.
    pub copies_per_entry: usize,
}

impl Default for Memory {
    fn default() -> Memory {
        Memory {
            first: 4,
            page: 64,
            events: 2_000,
            seen: 1 << 20,
            millis: 3_600_000,
            accounts: 10_000,
            copies_per_entry: 50,
        }
    }
}

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

/// What the next entry must follow.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Mark {
    /// The newest entry known.
    pub seq: Seq,
    /// When it was committed.
    pub time: Timestamp,
    /// The next UID.
    pub next_uid: u32,
    /// Totals.
    pub used: Usage,
    /// The mailbox for mail to unknown addresses, if the account is known to have one.
    pub transfer: Option<MailboxId>,
}

impl Default for Mark {
    fn default() -> Mark {
        Mark { seq: Seq::ZERO, time: Timestamp(0), next_uid: 1, used: Usage::default(), transfer: None }
    }
}

/// An event of the recent past, with the entry that holds it.
struct Remembered {
    event: EventId,
    seq: Seq,
    time: Timestamp,
}

/// The newest end of one account.
struct Tip {
    memory: Memory,
    mark: Mark,
    /// The newest base.
    base_seq: Seq,
    /// All events of entries after this one are in `events` or `past`.
    covered_after: Seq,
    /// No entry up to `covered_after` was committed after this.
    covered_time: Timestamp,
    events: HashMap<EventId, Copy>,
    /// The same, oldest first.
    order: VecDeque<Remembered>,
    /// Those before them.
    past: Past,
}

impl Tip {
    fn new(memory: Memory, base_seq: Seq) -> Tip {
        Tip {
            memory,
            mark: Mark::default(),
            base_seq,
            covered_after: Seq::ZERO,
            covered_time: Timestamp(0),
            events: HashMap::new(),
            order: VecDeque::new(),
            past: Past::default(),
        }
    }

    /// Advances by an entry; what is not the next one is ignored.
    fn advance(&mut self, entry: &Entry) {
        if entry.seq != self.mark.seq.next() {
            return;
        }
        let (seq, time) = (entry.seq, entry.time);
        let transfer = entry.ops.iter().fold(self.mark.transfer, transfer_after);
        self.mark = Mark { seq, time, next_uid: entry.next_uid, used: entry.used, transfer };
        for (event, copy) in self.copies(entry) {
            self.events.insert(event, copy);
            self.order.push_back(Remembered { event, seq, time });
        }
        let oldest = time.plus_millis(-self.memory.millis);
        while self.order.len() > self.memory.events
            || self.order.front().is_some_and(|front| front.time < oldest)
        {
            let Some(Remembered { event, seq, time }) = self.order.pop_front() else { break };
            self.events.remove(&event);
            self.past.push_newer(event, (seq, time), self.memory.seen);
        }
        if let Some(forgotten) = self.past.trim(self.memory.seen, oldest) {
            (self.covered_after, self.covered_time) = forgotten;
        }
    }

    /// Takes in older entries, ascending, which end at `covered_after`.
    fn extend(&mut self, entries: &[Entry]) {
        for entry in entries.iter().rev() {
            for (event, copy) in copies(entry, false) {
                if self.past.is_empty() && self.order.len() < self.memory.events / 2 {
                    self.events.insert(event, copy);
                    self.order.push_front(Remembered { event, seq: entry.seq, time: entry.time });
                } else {
                    self.past.push_older(event, (entry.seq, entry.time), self.memory.seen);
                }
            }
            self.covered_after = Seq(entry.seq.0 - 1);
            self.covered_time = entry.time;
        }
    }

    /// What an entry adds.
    fn copies(&self, entry: &Entry) -> Vec<(EventId, Copy)> {
        let tail = entry.seq.0.saturating_sub(self.base_seq.0);
        copies(entry, tail >= long_tail(LONG_TAIL, entry.used.messages))
    }

    /// Can more be taken in of the entries that came before?
    fn has_room(&self) -> bool {
        self.order.len() + self.past.len() < (self.memory.events + self.memory.seen) / 2
    }

    /// Up to which entry the journal must be searched for an event. `None`: the event is in `events`, or it
    /// certainly has not been delivered.
    fn unknown_upto(&self, event: EventId, time: Timestamp) -> Option<Seq> {
        if self.events.contains_key(&event) {
            None
        } else if self.past.may_have(event) {
            Some(self.past.newest().unwrap_or(Seq::ZERO).max(self.covered_after))
        } else {
            Some(self.covered_after).filter(|_| !self.covers(time))
        }
    }

    /// Are all entries known that may hold an event of that time?
    fn covers(&self, time: Timestamp) -> bool {
        self.covered_after == Seq::ZERO || self.covered_time < time.plus_millis(-CLOCK_MARGIN_MS)
    }
}

/// The mailbox for mail to unknown addresses after an op.
const fn transfer_after(before: Option<MailboxId>, op: &Op) -> Option<MailboxId> {
    match (op, before) {
        (Op::Mailbox(MailboxOp::Create { id, role: Some(MailboxRole::Transfer), .. }), _) => Some(*id),
        (Op::Mailbox(MailboxOp::Delete { id }), Some(before)) if id.0 == before.0 => None,
        _ => before,
    }
}

/// Events that are remembered by their fingerprints, in entries after one.
struct Fingerprints {
    events: Vec<EventId>,
    after: Seq,
}

impl Fingerprints {
    /// Must some lie before this entry?
    fn is_before(&self, seq: Seq, found: &BTreeMap<EventId, Copy>) -> bool {
        seq > self.after && self.events.iter().any(|event| !found.contains_key(event))
    }
}

/// The copies that a delivery's entry adds, by event.
pub fn copies(entry: &Entry, wants_housekeeping: bool) -> Vec<(EventId, Copy)> {
    if entry.actor != Actor::Delivery {
        return Vec::new();
    }
    let added = entry.ops.iter().filter_map(|op| if let Op::Add(add) = op { Some(add) } else { None });
    let copy = |add: &Add| Copy {
        seq: entry.seq,
        uid: add.uid,
        rid: Rid::new(entry.seq, add.index),
        mailbox: add.mailbox,
        wants_housekeeping,
    };
    added.map(|add| (add.event, copy(add))).collect()
}

/// The tips of this process.
pub struct Tips {
    store: Mailstore,
    memory: Memory,
    /// In order of their keys, so that a schedule of the simulation can be repeated.
    known: Mutex<BTreeMap<AccountKey, Arc<Mutex<Tip>>>>,
}

impl Tips {
    /// No tips yet.
    pub fn new(store: Mailstore, memory: Memory) -> Tips {
        Tips { store, memory, known: Mutex::default() }
    }

    /// How much is read and remembered.
    pub const fn memory(&self) -> Memory {
        self.memory
    }

    /// The newest end known of an account, and which of these events its journal holds up to there.
    pub async fn look(
        &self,
        account: AccountKey,
        events: &[(EventId, Timestamp)],
    ) -> Result<(Mark, BTreeMap<EventId, Copy>), StoreError> {
        let known = self.known.lock().get(&account).cloned();
        let tip = match known {
            Some(tip) => tip,
            None => self.reload(account, Consistency::Eventual).await?,
        };
        // Whatever is searched, is searched for all of them.
        let oldest = events.iter().map(|(_, time)| time.plus_millis(-CLOCK_MARGIN_MS)).min();
        let oldest = oldest.unwrap_or(Timestamp(i64::MAX));
        // What older entries hold, and up to where they were searched.
        let mut searched: Option<(Seq, BTreeMap<EventId, Copy>)> = None;
        loop {
            let (covered_after, upto, can_extend, past) = {
                let tip = tip.lock();
                let reached = searched.as_ref().map(|(upto, _)| *upto);
                let unknown = events.iter().filter_map(|(event, time)| tip.unknown_upto(*event, *time));
                let Some(upto) = unknown.filter(|upto| reached.is_none_or(|reached| *upto > reached)).max()
                else {
                    let recent = |event: &EventId| tip.events.get(event).copied();
                    let older = |event: &EventId| searched.as_ref()?.1.get(event).copied();
                    let ids = events.iter().map(|(event, _)| event);
                    let found = ids.filter_map(|id| Some((*id, recent(id).or_else(|| older(id))?)));
                    return Ok((tip.mark, found.collect()));
                };
                let is_recent = oldest > tip.mark.time.plus_millis(-self.memory.millis / 2);
                // What may have been delivered is searched at once.
                let can_extend = upto == tip.covered_after && is_recent && tip.has_room();
                let ids = events.iter().map(|(event, _)| *event);
                let past = ids.filter(|event| tip.past.may_have(*event)).collect();
                (tip.covered_after, upto, can_extend, Fingerprints { events: past, after: tip.covered_after })
            };
            if can_extend {
                // Take in what was committed around that time: after a restart, a whole backlog asks for it.
                let older = self.store.journal().before(account, covered_after, self.memory.page).await?;
                let mut tip = tip.lock();
                if older.is_empty() {
                    let what = format!("entries up to {covered_after} of {account} are missing");
                    return Err(StoreError::Damaged(what));
                }
                if tip.covered_after == covered_after {
                    tip.extend(&older);
                }
            } else {
                let (reached, mut found) = searched.take().unwrap_or_default();
                found.extend(self.search(account, events, &past, reached, upto, oldest).await?);
                searched = Some((upto, found));
            }
        }
    }

    /// The copies of these events in entries after one up to another that are not older than `oldest`; those that
    /// are remembered wherever they are remembered from, since a clock may have been set back.
    async fn search(
        &self,
        account: AccountKey,
        events: &[(EventId, Timestamp)],
        past: &Fingerprints,
        after: Seq,
        upto: Seq,
        oldest: Timestamp,
    ) -> Result<BTreeMap<EventId, Copy>, StoreError> {
        let mut found = BTreeMap::new();
        let mut upto = upto;
        while upto > after {
            let entries = self.store.journal().before(account, upto, self.memory.page).await?;
            let copies = entries.iter().flat_map(|entry| copies(entry, false));
            found.extend(copies.filter(|(found, _)| events.iter().any(|(event, _)| event == found)));
            match entries.first() {
                Some(first) if first.time >= oldest || past.is_before(first.seq, &found) => {
                    upto = Seq(first.seq.0 - 1);
                }
                _ => break,
            }
        }
        Ok(found)
    }

    /// The entry was committed: the account's newest end moves on. The answer is what it added.
    pub fn committed(&self, account: AccountKey, entry: &Entry) -> Vec<(EventId, Copy)> {
        let known = self.known.lock().get(&account).cloned();
        let Some(tip) = known else { return copies(entry, false) };
        let mut tip = tip.lock();
        let placed = tip.copies(entry);
        tip.advance(entry);
        if placed.iter().any(|(_, copy)| copy.wants_housekeeping) {
            // A base is on its way; if it gets lost, the sweep asks again.
            tip.base_seq = entry.seq;
        }
        placed
    }

    /// At `seq` the account has that mailbox for mail to unknown addresses.
    pub fn learn_transfer(&self, account: AccountKey, seq: Seq, mailbox: MailboxId) {
        if let Some(tip) = self.known.lock().get(&account) {
            let mut tip = tip.lock();
            if tip.mark.seq == seq {
                tip.mark.transfer = Some(mailbox);
            }
        }
    }

    /// Reads what came after `mark`.
    pub async fn catch_up(&self, account: AccountKey, mark: Mark) -> Result<(), StoreError> {
        const PAGE: usize = 500;
        let mut after = mark.seq;
        loop {
            let entries = self.store.journal().since(account, after, PAGE, Consistency::Strong).await?;
            let known = self.known.lock().get(&account).cloned();
            let Some(tip) = known else { return Ok(()) };
            let mut tip = tip.lock();
            entries.iter().for_each(|entry| tip.advance(entry));
            match entries.last() {
                Some(last) if entries.len() == PAGE => after = last.seq,
                _ => return Ok(()),
            }
        }
    }

    /// Reads the account's newest end anew, and forgets what was known of it.
    async fn reload(
        &self,
        account: AccountKey,
        consistency: Consistency,
    ) -> Result<Arc<Mutex<Tip>>, StoreError> {
        let newest = self.store.journal().newest(account, self.memory.first, consistency).await?;
        let base_seq = newest.head.map_or(Seq::ZERO, |head| head.base_seq);
        let mut tip = Tip::new(self.memory, base_seq);
        if let Some(first) = newest.entries.first() {
            tip.covered_after = Seq(first.seq.0 - 1);
            // The time of the entry before the first is not known, but it is not after the first one's.
            tip.covered_time = first.time;
            tip.mark.seq = tip.covered_after;
        }
        newest.entries.iter().for_each(|entry| tip.advance(entry));
        let mut known = self.known.lock();
        if known.len() >= self.memory.accounts && !known.contains_key(&account) {
            let some: Vec<AccountKey> = known.keys().take(self.memory.accounts / 10 + 1).copied().collect();
            some.iter().for_each(|account| drop(known.remove(account)));
        }
        // Another worker may have been faster: then its tip knows as much.
        Ok(Arc::clone(known.entry(account).or_insert_with(|| Arc::new(Mutex::new(tip)))))
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
