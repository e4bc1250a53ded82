//! A session's view of the selected mailbox: which messages have which sequence numbers.
//!
//! A view shows one state of the mailbox until it is moved to a newer one; all sequence numbers mean the shown
//! state, while flags are always told from the newest state known. A move tells the client every difference:
//! EXPUNGE in descending order (so that no number shifts under another), EXISTS and RECENT, then FETCH for
//! what changed. With QRESYNC or UIDONLY one VANISHED tells what EXPUNGE would. Where EXPUNGE may not be sent (RFC 3501
//! section 7.4.1) a move that would need it waits. SELECT and EXAMINE tell the state that they open, and no other.

use std::collections::HashMap;
use std::ops::Range;
use std::sync::Arc;

use parking_lot::Mutex;
use pennypost_fold::diff::difference_of;
use pennypost_fold::{Mailbox, Row, Rows, State};
use pennypost_model::{AccountKey, MailboxId, Rights, Seq, Uid, UidSet, UidValidity};
use tokio::time::Instant;

use super::access::{Access, Opening, may_change};
use super::grammar::{Partial, SequenceSet};
use super::modes::Modes;
use super::print::{self, RowWriter};
use super::response;
use super::vanished;
use crate::net::ClientAccount;

/// Flags that the client has been told by a command's own answers: of these messages, as of this entry.
#[derive(Debug, Default)]
pub(super) struct Told {
    /// Of which messages.
    pub uids: UidSet,
    /// As of which entry.
    pub at: Seq,
}

/// What a move may tell.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Movement {
    /// Everything.
    Full,
    /// All but EXPUNGE.
    WithoutExpunge,
}

/// Which messages no session has been told of yet: `\Recent` (RFC 3501 section 2.3.2).
///
/// The rule: a mailbox has a mark, the highest UID that a read-write session was told of. Messages above it
/// are recent to the session that learns of them first, and that session raises the mark. Marks are in memory
/// only: after a restart it can't be told who was first, and then messages count as recent, as the RFC says.
#[derive(Default)]
pub(super) struct RecentMarks(Mutex<HashMap<(AccountKey, MailboxId, UidValidity), u32>>);

/// Marks that are kept.
const MAX_MARKS: usize = 200_000;

impl RecentMarks {
    /// The mark; raised to all that is there now if `claim`.
    pub fn mark(&self, account: AccountKey, mailbox: &Mailbox, claim: bool) -> u32 {
        let key = (account, mailbox.id, mailbox.uid_validity);
        let mut marks = self.0.lock();
        if !claim {
            return marks.get(&key).copied().unwrap_or_default();
        }
        if marks.len() >= MAX_MARKS {
            marks.clear();
        }
        let mark = marks.entry(key).or_default();
        let before = *mark;
        *mark = before.max(mailbox.highest_uid);
        before
    }
}

/// The selected mailbox as its session sees it. Cheap to clone.
#[derive(Clone)]
pub(super) struct View {
    live: ClientAccount,
    /// Whose it is, if it is a colleague's.
    owner: Option<String>,
    /// What that colleague's account opens, and when that was asked.
    opening: (Opening, Instant),
    rights: Rights,
    marks: Arc<RecentMarks>,
    /// Which mailbox.
    pub id: MailboxId,
    /// Opened by EXAMINE, or nothing may be changed in it.
    pub read_only: bool,
    /// What the sequence numbers mean.
    shown: Arc<Mailbox>,
    /// The newest state known; its mailbox is `newest`.
    state: Arc<State>,
    newest: Arc<Mailbox>,
    recent: UidSet,
    /// How many of the account's keywords the client was told of.
    told_keywords: usize,
    /// How the client is spoken to.
    pub modes: Modes,
    /// What `$` means (RFC 5182): UIDs, so that it stays right when messages go away.
    pub saved: UidSet,
}

impl View {
    /// Opens a mailbox.
    pub fn open(access: Access, marks: &Arc<RecentMarks>, read_only: bool, modes: Modes) -> View {
        let Access { live, state, mailbox, rights, owner, opening, quota: _ } = access;
        let mut view = View {
            live,
            owner,
            opening: (opening, Instant::now()),
            rights,
            marks: Arc::clone(marks),
            id: mailbox.id,
            read_only: read_only || !may_change(rights),
            shown: Arc::clone(&mailbox),
            newest: mailbox,
            recent: UidSet::new(),
            told_keywords: state.keywords().len(),
            state,
            modes,
            saved: UidSet::new(),
        };
        view.claim_recent();
        view
    }

    /// The account that the mailbox belongs to.
    pub const fn live(&self) -> &ClientAccount {
        &self.live
    }

    /// Its key.
    pub fn account(&self) -> AccountKey {
        self.live.key()
    }

    /// Whose the mailbox is, if it is a colleague's.
    pub fn owner(&self) -> Option<&str> {
        self.owner.as_deref()
    }

    /// What the account of the mailbox opens to the member.
    pub const fn opening(&self) -> Opening {
        self.opening.0
    }

    /// When that was asked.
    pub const fn opening_since(&self) -> Instant {
        self.opening.1
    }

    /// From now on it opens this.
    pub fn set_opening(&mut self, opening: Opening) {
        self.opening = (opening, Instant::now());
    }

    /// What the session may do.
    pub const fn rights(&self) -> Rights {
        self.rights
    }

    /// From now on it may do this.
    pub fn set_rights(&mut self, rights: Rights) {
        self.rights = rights;
        self.read_only |= !may_change(rights);
    }

    /// The mailbox in the newest state known.
    pub const fn newest(&self) -> &Arc<Mailbox> {
        &self.newest
    }

    /// What the client sees.
    pub const fn shown(&self) -> &Arc<Mailbox> {
        &self.shown
    }

    /// The newest state known.
    pub const fn state(&self) -> &Arc<State> {
        &self.state
    }

    /// The number of messages that the client sees.
    pub fn len(&self) -> usize {
        self.shown.rows.len()
    }

    /// How many of them are recent.
    pub fn recent_count(&self) -> usize {
        let rows = &self.shown.rows;
        let counts = self.recent.ranges().iter().map(|(first, last)| {
            let end = last.checked_add(1).map_or(rows.len(), |next| rows.position_of(Uid(next)));
            end - rows.position_of(Uid(*first))
        });
        counts.sum()
    }

    /// Is the message recent in this session? IMAP4rev2 knows no such thing.
    pub fn is_recent(&self, uid: Uid) -> bool {
        !self.modes.rev2 && self.recent.contains(uid)
    }

    /// A shown row as it is in the newest state; as shown if it is gone there.
    pub fn now(&self, row: &Row) -> Row {
        if Arc::ptr_eq(&self.shown, &self.newest) {
            return *row;
        }
        self.newest.rows.find(row.uid).map_or(*row, |(_, row)| *row)
    }

    /// As [`View::now`] for the `count` shown rows from a position on, with their positions.
    pub fn rows_now(&self, start: usize, count: usize) -> impl Iterator<Item = (usize, &Row)> {
        let shown = self.shown.rows.from_position(start).take(count);
        let mut newest = (!Arc::ptr_eq(&self.shown, &self.newest)).then(|| {
            let first = self.shown.rows.at(start).map_or(0, |row| self.newest.rows.position_of(row.uid));
            self.newest.rows.from_position(first).peekable()
        });
        let now = shown.map(move |row| {
            let Some(newest) = &mut newest else { return row };
            while newest.next_if(|newer| newer.uid < row.uid).is_some() {}
            newest.next_if(|newer| newer.uid == row.uid).unwrap_or(row)
        });
        (start..).zip(now)
    }

    /// The shown rows with these UIDs that are still there: position, the row as shown, and as it is now.
    pub fn then_and_now<'a>(&'a self, uids: &'a UidSet) -> impl Iterator<Item = (usize, &'a Row, &'a Row)> {
        // Side by side, without looking each of them up.
        let mut newest = self.newest.rows.select(uids).map(|(_, row)| row).peekable();
        self.shown.rows.select(uids).filter_map(move |(position, then)| {
            while newest.next_if(|now| now.uid < then.uid).is_some() {}
            let now = newest.next_if(|now| now.uid == then.uid)?;
            Some((position, then, now))
        })
    }

    /// Is the message still there in the newest state?
    pub fn is_there(&self, uid: Uid) -> bool {
        Arc::ptr_eq(&self.shown, &self.newest) || self.newest.rows.find(uid).is_some()
    }

    /// Positions (from 0) of the messages that a set names, ascending and disjoint. `None` if it names a
    /// sequence number that no message has.
    pub fn positions(&self, set: &SequenceSet, by_uid: bool) -> Option<Vec<Range<usize>>> {
        if !set.saved {
            return self.named_positions(set, by_uid);
        }
        let named = self.named_positions(set, by_uid)?;
        let both = named.into_iter().chain(self.positions_of(&self.saved));
        let numbers = UidSet::from_ranges(both.map(|range| (range.start as u32 + 1, range.end as u32)));
        Some(numbers.ranges().iter().map(|(a, b)| *a as usize - 1..*b as usize).collect())
    }

    fn named_positions(&self, set: &SequenceSet, by_uid: bool) -> Option<Vec<Range<usize>>> {
        let rows = &self.shown.rows;
        if !by_uid {
            let last = u32::try_from(rows.len()).unwrap_or(u32::MAX);
            if set.exceeds(last) {
                return None;
            }
            let numbers = set.resolve(last);
            return Some(numbers.ranges().iter().map(|(a, b)| *a as usize - 1..*b as usize).collect());
        }
        let last = rows.last().map_or(0, |row| row.uid.0);
        Some(self.positions_of(&set.resolve(last)))
    }

    fn positions_of(&self, uids: &UidSet) -> Vec<Range<usize>> {
        let rows = &self.shown.rows;
        let ranges = uids.ranges().iter().map(|(first, last)| {
            let end = last.checked_add(1).map_or(rows.len(), |next| rows.position_of(Uid(next)));
            rows.position_of(Uid(*first))..end
        });
        ranges.filter(|range| !range.is_empty()).collect()
    }

    /// A window of the messages at these positions that were changed after `since`, if that is given (RFC 9394
    /// section 3.3).
    pub fn window(
        &self,
        positions: Vec<Range<usize>>,
        partial: Option<Partial>,
        since: Option<u64>,
    ) -> Vec<Range<usize>> {
        let Some(partial) = partial else { return positions };
        let all = positions.into_iter().flat_map(|range| self.rows_now(range.start, range.len()));
        let wanted: Vec<usize> = all
            .filter(|(_, row)| since.is_none_or(|since| row.modseq.0 > since))
            .map(|(position, _)| position)
            .collect();
        let window = partial.of(wanted.len() as u64);
        let wanted = &wanted[window.start as usize..window.end as usize];
        let numbers = UidSet::from_ranges(wanted.iter().map(|position| (*position as u32, *position as u32)));
        numbers.ranges().iter().map(|(first, last)| *first as usize..*last as usize + 1).collect()
    }

    /// The UIDs of the messages that a set names.
    pub fn uids(&self, set: &SequenceSet, by_uid: bool) -> Option<UidSet> {
        let rows = &self.shown.rows;
        let positions = self.positions(set, by_uid)?;
        let uids = positions.into_iter().flat_map(|range| rows.from_position(range.start).take(range.len()));
        Some(uids.map(|row| row.uid).collect())
    }

    /// Takes note of a newer state without telling the client anything.
    pub fn learn(&mut self, state: &Arc<State>) {
        if state.seq < self.state.seq || Arc::ptr_eq(state, &self.state) {
            return;
        }
        self.newest = match state.mailbox(self.id) {
            Some(mailbox) => Arc::clone(mailbox),
            // Deleted: to this session a mailbox without messages.
            None => Arc::new(Mailbox {
                rows: Rows::default(),
                counts: pennypost_fold::Counts::default(),
                modseq: state.seq,
                ..(*self.newest).clone()
            }),
        };
        // Sessions may be told of entries that did not touch this mailbox.
        if self.newest.modseq == self.shown.modseq && self.newest.rows.len() == self.shown.rows.len() {
            self.newest = Arc::clone(&self.shown);
        }
        self.state = Arc::clone(state);
    }

    /// Moves to the newest state known, and writes what the client must be told. `false`, and nothing is told,
    /// if that needs EXPUNGE and `movement` does not allow it.
    pub fn advance(
        &mut self,
        state: &Arc<State>,
        movement: Movement,
        told: &Told,
        with_modseq: bool,
        out: &mut Vec<u8>,
    ) -> bool {
        self.learn(state);
        self.tell_keywords(out);
        if Arc::ptr_eq(&self.shown, &self.newest) {
            return true;
        }
        let is_news = |row: &Row| row.modseq > told.at || !told.uids.contains(row.uid);
        let difference = difference_of(&self.shown, &self.newest, is_news);
        if movement == Movement::WithoutExpunge && !difference.gone.is_empty() {
            return false;
        }
        self.shown = Arc::clone(&self.newest);
        if self.modes.vanished() {
            let gone: UidSet = difference.gone.iter().map(|(_, row)| row.uid).collect();
            vanished::lines(&gone, false).for_each(|line| out.extend_from_slice(&line));
        }
        for (position, _) in difference.gone.iter().rev().filter(|_| !self.modes.vanished()) {
            out.extend_from_slice(b"* ");
            print::number(out, *position as u64 + 1);
            out.extend_from_slice(b" EXPUNGE\r\n");
        }
        if !difference.new.is_empty() {
            self.claim_recent();
            out.extend_from_slice(format!("* {} EXISTS\r\n", self.len()).as_bytes());
            if !self.modes.rev2 {
                out.extend_from_slice(format!("* {} RECENT\r\n", self.recent_count()).as_bytes());
            }
        }
        let mut writer = RowWriter::default();
        for (position, row) in &difference.changed {
            self.tell_flags(&mut writer, *position, row, with_modseq, out);
        }
        true
    }

    /// Tells of keywords that are new to the client, before it meets them in a FETCH.
    pub fn tell_keywords(&mut self, out: &mut Vec<u8>) {
        let keywords = self.state.keywords().len();
        if std::mem::replace(&mut self.told_keywords, keywords) != keywords {
            response::known_flags(out, &self.state, self.read_only, self.rights);
        }
    }

    /// An untagged FETCH with the flags of a message. The writer is used for this view's state alone.
    pub fn tell_flags(
        &self,
        writer: &mut RowWriter,
        position: usize,
        row: &Row,
        with_modseq: bool,
        out: &mut Vec<u8>,
    ) {
        print::begin_fetch(out, position, row.uid, self.modes.uid_only);
        writer.told_flags(out, &self.state, row, self.is_recent(row.uid), with_modseq);
    }

    /// What lies above the mark is recent here.
    fn claim_recent(&mut self) {
        let mark = self.marks.mark(self.live.key(), &self.shown, !self.read_only);
        let highest = self.shown.highest_uid;
        if mark < highest {
            let ranges = self.recent.ranges().iter().copied().chain([(mark + 1, highest)]);
            self.recent = UidSet::from_ranges(ranges.collect::<Vec<_>>());
        }
    }
}
