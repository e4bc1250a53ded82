//! The checker: does an account keep the invariants of architecture section 2? It runs at the end of every
//! end-to-end test and behind `pennypost verify`.

use std::collections::BTreeSet;

use pennypost_fold::State;
use pennypost_model::journal::{Entry, Op};
use pennypost_model::message::BlobRef;
use pennypost_model::{AccountKey, EventId, Seq};
use pennypost_ports::{Consistency, PortError};

use crate::{Mailstore, StoreError};

/// Entries that are read at once.
const PAGE: usize = 500;

/// How thoroughly an account is checked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Depth {
    /// Journal, counters, bases, segments.
    Metadata,
    /// And every message's bytes against their checksum.
    Bytes,
}

/// A broken invariant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Violation {
    /// The account.
    pub account: AccountKey,
    /// The number of the invariant in architecture section 2.
    pub invariant: u8,
    /// What is wrong.
    pub what: String,
}

/// What was checked, and what is wrong.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Report {
    /// Entries read.
    pub entries: u64,
    /// Live messages.
    pub messages: u64,
    /// Deleted messages that can still be restored.
    pub restorable: u64,
    /// Messages whose bytes were read and compared.
    pub read: u64,
    /// Broken invariants.
    pub violations: Vec<Violation>,
}

impl Mailstore {
    /// Checks one account. Works on a live account: what is checked is the state of one moment.
    ///
    /// # Errors
    /// [`StoreError`] when a port can't answer; a broken account is no error but a violation.
    #[pennypost_ports::compiled_here]
    pub async fn check(&self, account: AccountKey, depth: Depth) -> Result<Report, StoreError> {
        let mut checker = Checker { account, report: Report::default(), given: 0, events: BTreeSet::new() };
        let head = self.journal.newest(account, 1, Consistency::Strong).await?.head;
        let mut state = State::default();
        let mut at_base = None;
        loop {
            let entries = self.journal.since(account, state.seq, PAGE, Consistency::Strong).await?;
            for entry in &entries {
                checker.entry(&state, entry);
                if state.fold(entry).is_err() {
                    checker
                        .broken(5, format!("entry {} stands where {} should", entry.seq, state.seq.next()));
                    return Ok(checker.report);
                }
                checker.totals(&state, entry);
                if head.as_ref().is_some_and(|head| head.base_seq == state.seq) {
                    at_base = Some(state.clone());
                }
            }
            if entries.len() < PAGE {
                break;
            }
        }
        checker.state(&state);
        if let Some(head) = &head {
            match (self.load_base(account, head).await?, at_base) {
                (_, None) => checker.broken(4, format!("the base is ahead of the journal: {}", head.base)),
                (None, _) => checker.broken(6, format!("the base is missing or damaged: {}", head.base)),
                (Some(base), Some(state)) if !state.agrees_with(&base) => {
                    checker.broken(4, format!("the base differs from the journal: {}", head.base));
                }
                (Some(_), Some(_)) => {}
            }
        }
        for what in self.check_segments(account, &state, depth == Depth::Bytes).await? {
            checker.broken(6, what);
        }
        if depth == Depth::Bytes {
            self.check_bytes(&state, &mut checker).await?;
        }
        Ok(checker.report)
    }

    async fn check_bytes(&self, state: &State, checker: &mut Checker) -> Result<(), StoreError> {
        let account = checker.account;
        let live = state.mailboxes().flat_map(|m| m.rows.iter().map(|row| (row.blob, row.size)));
        let restorable = state.deleted().iter().map(|deleted| (deleted.row.blob, deleted.row.size));
        let blobs: BTreeSet<(BlobRef, u64)> = live.chain(restorable).collect();
        for (blob, size) in blobs {
            let problem = match self.open(account.tenant, blob).await {
                Ok(message) if message.size() != size => Some("its size differs".to_owned()),
                Ok(message) => {
                    message.whole().await.err().filter(|e| !e.is_temporary()).map(|e| e.to_string())
                }
                Err(error) if error.is_temporary() => return Err(error),
                Err(StoreError::Port(PortError::NotFound { .. })) => {
                    // It may have been deleted and collected since the journal was read.
                    let newest = self.load(account, Consistency::Strong).await?;
                    refers(&newest, blob).then(|| "its pack is gone".to_owned())
                }
                Err(error) => Some(error.to_string()),
            };
            checker.report.read += 1;
            if let Some(problem) = problem {
                checker.broken(6, format!("entry {} of pack {}: {problem}", blob.entry, blob.pack));
            }
        }
        Ok(())
    }
}

fn refers(state: &State, blob: BlobRef) -> bool {
    let live = state.mailboxes().any(|mailbox| mailbox.rows.iter().any(|row| row.blob == blob));
    live || state.deleted().iter().any(|deleted| deleted.row.blob == blob)
}

struct Checker {
    account: AccountKey,
    report: Report,
    /// The highest UID given so far.
    given: u32,
    events: BTreeSet<EventId>,
}

impl Checker {
    fn broken(&mut self, invariant: u8, what: String) {
        self.report.violations.push(Violation { account: self.account, invariant, what });
    }

    /// Checks what an entry says against the state in front of it.
    fn entry(&mut self, before: &State, entry: &Entry) {
        self.report.entries += 1;
        if entry.seq != before.seq.next() {
            return;
        }
        if entry.time < before.time {
            self.broken(5, format!("entry {} is older than the one before", entry.seq));
        }
        for op in &entry.ops {
            match op {
                Op::Add(add) => {
                    self.gives(entry.seq, add.uid.0, 1);
                    if !self.events.insert(add.event) {
                        self.broken(2, format!("event {} was delivered twice", add.event));
                    }
                }
                Op::Move { uids, first_uid, .. }
                | Op::Copy { uids, first_uid, .. }
                | Op::Restore { uids, first_uid, .. } => {
                    self.gives(entry.seq, first_uid.0, u32::try_from(uids.len()).unwrap_or(u32::MAX));
                }
                Op::Flags { .. }
                | Op::Delete { .. }
                | Op::Forget { .. }
                | Op::Mailbox(_)
                | Op::Annotate { .. }
                | Op::Envelope { .. } => {}
            }
        }
    }

    fn gives(&mut self, seq: Seq, first: u32, count: u32) {
        if first <= self.given {
            self.broken(3, format!("entry {seq} gives UID {first} again (at {} already)", self.given));
        }
        self.given = self.given.max(first.saturating_add(count).saturating_sub(1));
    }

    /// Checks the totals that an entry carries against the state behind it.
    fn totals(&mut self, after: &State, entry: &Entry) {
        if entry.used != after.used {
            let (said, counted) = (entry.used, after.used);
            self.broken(4, format!("entry {} says {said:?}, folding gives {counted:?}", entry.seq));
        }
        if entry.next_uid != after.next_uid {
            let (said, counted) = (entry.next_uid, after.next_uid);
            self.broken(3, format!("entry {} says next UID {said}, folding gives {counted}", entry.seq));
        }
    }

    /// Checks a state against a recount.
    fn state(&mut self, state: &State) {
        self.report.messages += state.used.messages;
        self.report.restorable += state.deleted().len() as u64;
        if state.used != state.recount() {
            self.broken(4, format!("{:?} used, a recount gives {:?}", state.used, state.recount()));
        }
        let mut validities = BTreeSet::new();
        for mailbox in state.mailboxes() {
            if mailbox.counts != mailbox.recount() {
                self.broken(4, format!("counters of mailbox {:?} differ from a recount", mailbox.id));
            }
            if !validities.insert(mailbox.uid_validity) {
                self.broken(3, format!("UIDVALIDITY {} is used twice", mailbox.uid_validity));
            }
            let mut rows = mailbox.rows.iter().map(|row| row.uid);
            let mut previous = rows.next();
            for uid in rows {
                if Some(uid) <= previous {
                    self.broken(3, format!("UIDs of mailbox {:?} do not ascend", mailbox.id));
                    break;
                }
                previous = Some(uid);
            }
        }
    }
}
