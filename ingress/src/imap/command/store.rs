//! STORE (RFC 3501 section 6.4.6), with UNCHANGEDSINCE (RFC 7162 section 3.1.3).

use std::sync::Arc;

use pennypost_fold::{Draft, DraftError, Row, RowFlags, State};
use pennypost_model::{FlagSet, Rights, SystemFlags, UidSet};

use super::{no_such_numbers, nothing_selected, read_only};
use crate::imap::access::{no_right, permitted};
use crate::imap::grammar::{Store, StoreAction};
use crate::imap::modes::Modes;
use crate::imap::print::{RowWriter, begin_fetch};
use crate::imap::progress::patiently;
use crate::imap::response::{Refusal, Reply};
use crate::imap::session::{ACTOR, Done, End, Session};
use crate::imap::view::{Told, View};

/// Messages whose flags are written before output is sent in between.
const BATCH: usize = 1_000;
/// Up to so many messages, what is told of them is made while the change is on its way to the disk.
const EARLY: u64 = 4_000;

impl Session {
    pub(super) async fn store(&mut self, store: &Store, tag: &str) -> Done {
        if let Err(refused) = self.refreshed().await {
            return Ok(refused);
        }
        if self.view.is_none() {
            return Ok(nothing_selected());
        }
        if store.unchanged_since.is_some() {
            self.enable_condstore();
        }
        // Flags that may not be changed are left alone; only if none may, that is said (RFC 4314 section 4).
        let rights = self.view.as_ref().map_or(Rights::NONE, View::rights);
        let flags = permitted(rights, &store.flags);
        let has_none =
            flags.is_empty() && (!store.flags.is_empty() || permitted(rights, &every_flag()).is_empty());
        let store = &Store { flags, ..store.clone() };
        let plan = match self.plan(store) {
            Ok(plan) => plan,
            Err(refused) => return Ok(refused),
        };
        if has_none {
            return Ok(no_right());
        }
        let live = match self.selected() {
            Ok(live) => live,
            Err(refused) => return Ok(refused),
        };
        let mut tries = 0;
        let change = |draft: &mut Draft| {
            tries += 1;
            apply(draft, &plan, store, tries)
        };
        let (view, modes) = (self.view.as_ref(), self.modes);
        let mut answers = None;
        let meanwhile = |state: &State, stored: &Stored| {
            if let Some(view) = view.filter(|_| plan.wanted.len() <= EARLY) {
                let teller = Teller::new(store, state, stored, modes);
                answers = Some((stored.tries, Answers::new(view.clone(), state, &plan, teller)));
            }
        };
        let changing = live.change_while(&ACTOR, change, meanwhile);
        let interval = self.adapter.limits.imap.progress;
        let (state, stored) = match patiently(&mut self.stream, tag, interval, changing).await {
            Ok(changed) => changed,
            Err(error) => return Ok(error.into()),
        };
        let told = match answers {
            // Of the try that came to stand, and of the newest state that is known.
            Some((tries, answers)) if tries == stored.tries && answers.told.at == state.seq => {
                self.give(answers, &state)
            }
            _ => self.tell_stored(&plan, Teller::new(store, &state, &stored, self.modes), &state).await?,
        };
        let Some(view) = self.view.as_ref() else { return Ok(nothing_selected()) };
        if !stored.modified.is_empty() {
            let modified = if store.by_uid {
                stored.modified.to_string()
            } else {
                let rows = &view.shown().rows;
                let numbers = rows.select(&stored.modified).map(|(position, _)| (position + 1) as u32);
                UidSet::from_ranges(numbers.map(|number| (number, number)).collect::<Vec<_>>()).to_string()
            };
            return Ok(Reply::ok(format!("[MODIFIED {modified}] some had been changed")).telling(told));
        }
        let all_there = plan.wanted.len() == stored.there;
        Ok(Reply::ok(if all_there { "stored" } else { "[EXPUNGEISSUED] stored" }).telling(told))
    }

    fn plan(&self, store: &Store) -> Result<Plan, Reply> {
        let view = self.view.as_ref().ok_or_else(nothing_selected)?;
        let wanted = view.uids(&store.set, store.by_uid).ok_or_else(no_such_numbers)?;
        if view.read_only {
            return Err(read_only());
        }
        Ok(Plan { mailbox: view.id, wanted, rights: view.rights() })
    }

    /// Tells what was made while the change was on its way.
    fn give(&mut self, answers: Answers, state: &Arc<State>) -> Told {
        let Answers { mut view, out, told } = answers;
        view.learn(state);
        self.view = Some(view);
        self.stream.write(&out);
        told
    }

    /// As [`Answers`], of any number of messages.
    async fn tell_stored(
        &mut self,
        plan: &Plan,
        mut teller: Teller<'_>,
        state: &Arc<State>,
    ) -> Result<Told, End> {
        let mut told = Told { uids: UidSet::new(), at: state.seq };
        let Some(view) = &mut self.view else { return Ok(told) };
        let mut out = Vec::new();
        view.learn(state);
        view.tell_keywords(&mut out);
        let Some(view) = &self.view else { return Ok(told) };
        for (count, (position, before, row)) in (1..).zip(view.then_and_now(&plan.wanted)) {
            if teller.tell(view, position, before, row, &mut out) {
                told.uids.push(row.uid);
            }
            if count % BATCH == 0 {
                self.stream.write(&out);
                out.clear();
                self.stream.relieve().await?;
            }
        }
        self.stream.write(&out);
        Ok(told)
    }
}

/// What a client is told of the messages stored, made before the change is durable and given only after that.
struct Answers {
    /// As the client sees the mailbox then.
    view: View,
    out: Vec<u8>,
    told: Told,
}

impl Answers {
    fn new(mut view: View, state: &State, plan: &Plan, mut teller: Teller<'_>) -> Answers {
        let mut out = Vec::new();
        let mut told = Told { uids: UidSet::new(), at: state.seq };
        view.learn(&Arc::new(state.clone()));
        view.tell_keywords(&mut out);
        for (position, before, row) in view.then_and_now(&plan.wanted) {
            if teller.tell(&view, position, before, row, &mut out) {
                told.uids.push(row.uid);
            }
        }
        Answers { view, out, told }
    }
}

/// Tells the flags of the messages stored, unless STORE was silent: then only MODSEQs to those who want them, and
/// nothing where the client can't know the flags, since somebody else has changed them too.
struct Teller<'a> {
    store: &'a Store,
    modified: &'a UidSet,
    modes: Modes,
    bits: u64,
    writer: RowWriter,
}

impl<'a> Teller<'a> {
    fn new(store: &'a Store, state: &State, stored: &'a Stored, modes: Modes) -> Teller<'a> {
        let bits = bits_of(state, &store.flags);
        Teller { store, modified: &stored.modified, modes, bits, writer: RowWriter::default() }
    }

    /// Writes what is told of one message; `false` if the client does not know its flags then.
    fn tell(&mut self, view: &View, position: usize, before: &Row, row: &Row, out: &mut Vec<u8>) -> bool {
        if self.modified.contains(before.uid) {
            return false;
        }
        if !self.store.silent {
            view.tell_flags(&mut self.writer, position, row, self.modes.condstore, out);
            return true;
        }
        if expected(before.flags, self.bits, self.store.action) != row.flags {
            // A move tells it.
            return false;
        }
        if self.modes.condstore && row.modseq != before.modseq {
            begin_fetch(out, position, row.uid, self.modes.uid_only);
            let line = format!("UID {} MODSEQ ({}))\r\n", row.uid, row.modseq);
            out.extend_from_slice(line.as_bytes());
        }
        true
    }
}

struct Plan {
    mailbox: pennypost_model::MailboxId,
    wanted: UidSet,
    rights: Rights,
}

/// All that are there without keywords.
const fn every_flag() -> FlagSet {
    FlagSet::system(SystemFlags(0x1f))
}

struct Stored {
    /// Messages left alone because of UNCHANGEDSINCE.
    modified: UidSet,
    /// How many of those wanted are there.
    there: u64,
    /// How many times it was decided.
    tries: u32,
}

fn apply(draft: &mut Draft, plan: &Plan, store: &Store, tries: u32) -> Result<Stored, Refusal> {
    let mailbox = draft.state().mailbox(plan.mailbox).ok_or(DraftError::NoMailbox)?;
    let mut stored = Stored { modified: UidSet::new(), there: 0, tries };
    let mut uids = UidSet::new();
    for (_, row) in mailbox.rows.select(&plan.wanted) {
        stored.there += 1;
        if store.unchanged_since.is_some_and(|since| row.modseq.0 > since) {
            stored.modified.push(row.uid);
        } else {
            uids.push(row.uid);
        }
    }
    let none = FlagSet::default();
    let (add, remove) = match store.action {
        StoreAction::Add => (&store.flags, FlagSet::default()),
        StoreAction::Remove => (&none, store.flags.clone()),
        StoreAction::Replace => {
            let all = FlagSet { system: SystemFlags(0x1f), keywords: draft.state().keywords().to_vec() };
            (&store.flags, permitted(plan.rights, &all))
        }
    };
    draft.flags(plan.mailbox, &uids, add, &remove)?;
    Ok(stored)
}

fn bits_of(state: &State, flags: &FlagSet) -> u64 {
    let keywords = flags.keywords.iter().filter_map(|keyword| state.keyword_bit(keyword));
    keywords.fold(u64::from(flags.system.0), |bits, bit| bits | bit.0)
}

/// What the client thinks that the flags are now.
const fn expected(before: RowFlags, bits: u64, action: StoreAction) -> RowFlags {
    RowFlags(match action {
        StoreAction::Replace => bits,
        StoreAction::Add => before.0 | bits,
        StoreAction::Remove => before.0 & !bits,
    })
}
