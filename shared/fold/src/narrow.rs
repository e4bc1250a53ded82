//! A state as mail programs may see it: without some mailboxes, and without old messages (CLI-04, CLI-05).
//!
//! Pure, and derived: nothing is decided or committed on a narrowed state, it is only shown. What is left out is simply
//! not there: not in the rows, not in the counters; UIDs and MODSEQs are those of the whole. Pieces of which nothing
//! is left out are shared with the whole, and a change costs what it touches, not what is there.

use std::collections::BTreeMap;
use std::sync::Arc;

use pennypost_model::{MailboxId, MailboxRole, Timestamp, UidValidity};

use crate::ascending::{Ascending, Group};
use crate::mailbox::{Counts, Mailbox};
use crate::rows::Row;
use crate::state::State;

/// What is seen of an account.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Sight {
    /// Only messages received then or later.
    pub since: Option<Timestamp>,
    /// Own folders, which are those that the post office itself has no use for.
    pub folders: bool,
    /// The junk folder.
    pub junk: bool,
    /// What is added to every UIDVALIDITY. It has to grow whenever messages may come to light below others that were
    /// seen: a UID that has no message never gets one later (RFC 3501 section 2.3.1.1).
    pub validity: u32,
}

impl Sight {
    /// Everything as it is.
    pub const WHOLE: Sight = Sight { since: None, folders: true, junk: true, validity: 0 };

    /// Is the mailbox seen?
    #[must_use]
    pub const fn holds_mailbox(&self, mailbox: &Mailbox) -> bool {
        match mailbox.role {
            None => self.folders,
            Some(MailboxRole::Junk) => self.junk,
            Some(_) => true,
        }
    }

    /// Is the message seen, if its mailbox is?
    #[must_use]
    pub fn holds(&self, row: &Row) -> bool {
        self.since.is_none_or(|since| row.internal_date >= since)
    }
}

/// Narrows one state after the other, and makes anew only what has changed in between.
#[derive(Debug)]
pub struct Narrowing {
    sight: Sight,
    /// What was made of each mailbox.
    made: BTreeMap<MailboxId, Made>,
    /// The last state with what was made of it.
    last: Option<(Arc<State>, Arc<State>)>,
}

/// A mailbox with what was made of it.
#[derive(Debug)]
struct Made {
    whole: Arc<Mailbox>,
    part: Arc<Mailbox>,
    pieces: Vec<Piece>,
}

/// A piece of a mailbox with what is left of it.
#[derive(Debug, Clone)]
struct Piece {
    whole: Arc<Group<Row>>,
    part: Option<Arc<Group<Row>>>,
    counts: Counts,
}

impl Narrowing {
    /// Nothing made so far.
    #[must_use]
    pub const fn new(sight: Sight) -> Narrowing {
        Narrowing { sight, made: BTreeMap::new(), last: None }
    }

    /// What is seen of a state.
    pub fn narrow(&mut self, state: &Arc<State>) -> Arc<State> {
        if let Some((whole, part)) = &self.last
            && Arc::ptr_eq(whole, state)
        {
            return Arc::clone(part);
        }
        let mut part = State::clone(state);
        for mailbox in state.mailboxes().filter(|mailbox| !self.sight.holds_mailbox(mailbox)) {
            part.mailboxes.remove(&mailbox.id);
            if part.subscriptions.contains(&mailbox.name) {
                Arc::make_mut(&mut part.subscriptions).remove(&mailbox.name);
            }
        }
        if self.sight.since.is_some() || self.sight.validity > 0 {
            self.made.retain(|id, _| part.mailboxes.contains_key(id));
            for mailbox in part.mailboxes.values_mut() {
                *mailbox = self.narrow_mailbox(mailbox);
            }
        }
        let part = Arc::new(part);
        self.last = Some((Arc::clone(state), Arc::clone(&part)));
        part
    }

    fn narrow_mailbox(&mut self, whole: &Arc<Mailbox>) -> Arc<Mailbox> {
        let before = self.made.remove(&whole.id);
        if let Some(made) = &before
            && Arc::ptr_eq(&made.whole, whole)
        {
            let part = Arc::clone(&made.part);
            self.made.extend(before.map(|made| (whole.id, made)));
            return part;
        }
        let known = before.map(|made| made.pieces).unwrap_or_default();
        let pieces: Vec<Piece> = match self.sight.since {
            None => Vec::new(),
            Some(_) => {
                let groups = whole.rows.groups().iter().enumerate();
                groups.map(|(at, group)| self.piece(group, known.get(at))).collect()
            }
        };
        let (rows, counts) = if self.sight.since.is_none() {
            (whole.rows.clone(), whole.counts)
        } else {
            let left = pieces.iter().filter_map(|piece| piece.part.clone());
            let counts = pieces.iter().fold(Counts::default(), |sum, piece| sum.plus(&piece.counts));
            (Ascending::from_groups(left.collect()), counts)
        };
        let part = Arc::new(Mailbox {
            rows,
            counts,
            uid_validity: UidValidity(whole.uid_validity.0.saturating_add(self.sight.validity)),
            name: whole.name.clone(),
            annotations: Arc::clone(&whole.annotations),
            acl: Arc::clone(&whole.acl),
            ..**whole
        });
        let made = Made { whole: Arc::clone(whole), part: Arc::clone(&part), pieces };
        self.made.insert(whole.id, made);
        part
    }

    fn piece(&self, whole: &Arc<Group<Row>>, known: Option<&Piece>) -> Piece {
        if let Some(known) = known.filter(|known| Arc::ptr_eq(&known.whole, whole)) {
            return known.clone();
        }
        let part = whole.filtered(|row| self.sight.holds(row));
        let mut counts = Counts::default();
        for row in part.iter().flat_map(|group| group.chunks.iter()).flat_map(|chunk| chunk.iter()) {
            counts.enter(row);
        }
        Piece { whole: Arc::clone(whole), part, counts }
    }
}

#[cfg(test)]
mod tests {
    use pennypost_model::journal::{Actor, DeleteReason};
    use pennypost_model::message::{BlobRef, Card};
    use pennypost_model::{EventId, FlagSet, SystemFlags, ThreadId, UidSet};
    use proptest::prelude::*;

    use super::*;
    use crate::diff::difference;
    use crate::{Draft, NewMessage};

    const SINCE: Timestamp = Timestamp(1_000);
    const SIGHT: Sight = Sight { since: Some(SINCE), folders: true, junk: true, validity: 3 };

    fn event() -> EventId {
        EventId::from_parts(SINCE, 1)
    }

    fn message(internal_date: i64) -> NewMessage {
        NewMessage {
            mailbox: MailboxId::INBOX,
            flags: FlagSet::default(),
            internal_date: Timestamp(internal_date),
            sent: None,
            size: 10,
            thread: ThreadId(1),
            message_id_hash: 0,
            event: event(),
            blob: BlobRef { pack: event(), entry: 0, offset: 0, len: 10 },
            card: Card::default(),
            receipt: String::new(),
        }
    }

    fn changed(state: &State, change: impl FnOnce(&mut Draft)) -> Arc<State> {
        let mut draft = Draft::new(state, Actor::System, Timestamp(0));
        change(&mut draft);
        let (_, state) = draft.finish().expect("a change");
        Arc::new(state)
    }

    /// What has to be seen, made the simple way.
    fn check(whole: &State, part: &State) {
        for mailbox in whole.mailboxes() {
            let seen = part.mailbox(mailbox.id).expect("seen");
            let rows: Vec<Row> =
                mailbox.rows.iter().filter(|row| row.internal_date >= SINCE).copied().collect();
            assert_eq!(seen.rows.iter().copied().collect::<Vec<Row>>(), rows);
            assert_eq!(seen.rows.len(), rows.len());
            assert_eq!(seen.counts, seen.recount());
            assert_eq!(seen.uid_validity.0, mailbox.uid_validity.0 + 3);
            assert_eq!((seen.modseq, seen.highest_uid), (mailbox.modseq, mailbox.highest_uid));
            for (position, row) in rows.iter().enumerate().step_by(7) {
                assert_eq!(seen.rows.find(row.uid), Some((position, row)));
                assert_eq!(seen.rows.at(position), Some(row));
            }
        }
    }

    #[derive(Debug, Clone)]
    enum Step {
        Add(usize, i64),
        Flag(u32, u32),
        Delete(u32, u32),
    }

    fn step() -> impl Strategy<Value = Step> {
        prop_oneof![
            (1..700_usize, 0..2_000_i64).prop_map(|(count, date)| Step::Add(count, date)),
            (1..4_000_u32, 1..500_u32).prop_map(|(first, len)| Step::Flag(first, first + len)),
            (1..4_000_u32, 1..500_u32).prop_map(|(first, len)| Step::Delete(first, first + len)),
        ]
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

        /// Each state by one narrowing and anew are the same, and what is told between two of them is the
        /// difference of what is seen.
        #[test]
        fn what_is_seen_is_a_filtered_whole(steps in proptest::collection::vec(step(), 1..12)) {
            let mut narrowing = Narrowing::new(SIGHT);
            let mut state = changed(&State::default(), |_| ());
            let mut shown = narrowing.narrow(&state);
            for step in steps {
                state = changed(&state, |draft| match step {
                    Step::Add(count, date) => {
                        for n in 0..count as i64 {
                            draft.add(message((date + 37 * n) % 2_000)).expect("added");
                        }
                    }
                    Step::Flag(first, last) => {
                        let uids = UidSet::from_ranges([(first, last)]);
                        let flags = FlagSet::system(SystemFlags::SEEN);
                        draft.flags(MailboxId::INBOX, &uids, &flags, &FlagSet::default()).expect("set");
                        draft.add(message(0)).expect("added");
                    }
                    Step::Delete(first, last) => {
                        let uids = UidSet::from_ranges([(first, last)]);
                        draft.delete_messages(MailboxId::INBOX, &uids, DeleteReason::Expunge).expect("deleted");
                        draft.add(message(0)).expect("added");
                    }
                });
                let next = narrowing.narrow(&state);
                check(&state, &next);
                prop_assert_eq!(&*next, &*Narrowing::new(SIGHT).narrow(&state));
                let inbox = |state: &State| Arc::clone(state.mailbox(MailboxId::INBOX).expect("there"));
                let (old, new) = (inbox(&shown), inbox(&next));
                let told = difference(&old, &new);
                prop_assert_eq!(old.rows.len() + told.new.len() - told.gone.len(), new.rows.len());
                prop_assert!(told.new.iter().all(|(_, row)| row.internal_date >= SINCE));
                shown = next;
            }
        }
    }

    #[test]
    fn what_is_not_to_be_seen_is_not_there() {
        let state = changed(&State::default(), |draft| {
            draft.create_mailbox("Mine/Deep", None).expect("made");
            draft.subscribe_name("Mine", true).expect("subscribed");
            draft.subscribe_name("Junk", true).expect("subscribed");
        });
        let names = |sight: Sight| {
            let part = Narrowing::new(sight).narrow(&state);
            let names: Vec<String> = part.mailboxes().map(|mailbox| mailbox.name.clone()).collect();
            (names, part.is_subscribed("Mine"), part.is_subscribed("Junk"))
        };
        let all = names(Sight::WHOLE);
        assert_eq!((all.0.len(), all.1, all.2), (8, true, true));
        let (standard, mine, junk) = names(Sight { folders: false, ..Sight::WHOLE });
        assert_eq!(standard, ["INBOX", "Junk", "Trash", "Sent", "Drafts", "Archive"]);
        assert_eq!((mine, junk), (false, true));
        let (rest, mine, junk) = names(Sight { junk: false, ..Sight::WHOLE });
        assert!(!rest.contains(&"Junk".to_owned()) && rest.contains(&"Mine/Deep".to_owned()));
        assert_eq!((mine, junk), (true, false));
    }

    /// A new message in a large mailbox costs the piece that it goes into.
    #[test]
    fn what_did_not_change_is_shared() {
        let mut whole = State::clone(&changed(&State::default(), |_| ()));
        for _ in 0..3 {
            whole = State::clone(&changed(&whole, |draft| {
                for n in 0..20_000 {
                    draft.add(message(900 + n % 200)).expect("added");
                }
            }));
        }
        let mut narrowing = Narrowing::new(SIGHT);
        let whole = Arc::new(whole);
        let before = narrowing.narrow(&whole);
        assert!(Arc::ptr_eq(&before, &narrowing.narrow(&whole)));
        let after = narrowing.narrow(&changed(&whole, |draft| {
            draft.add(message(2_000)).expect("added");
        }));
        let groups = |state: &State| state.mailbox(MailboxId::INBOX).expect("there").rows.groups().to_vec();
        let (before, after) = (groups(&before), groups(&after));
        let own = before.iter().zip(&after).filter(|(old, new)| !Arc::ptr_eq(old, new)).count();
        assert!(before.len() > 2 && own <= 1, "{own} of {}", before.len());
    }
}
