//! STORE (RFC 3501 section 6.4.6), with UNCHANGEDSINCE (RFC 7162 section 3.1.3).

use pennypost_fold::{Draft, DraftError, RowFlags, State};
use pennypost_model::{FlagSet, Rights, SystemFlags, UidSet};

use super::{no_such_numbers, nothing_selected, read_only};
use crate::imap::access::{no_right, permitted};
use crate::imap::grammar::{Store, StoreAction};
use crate::imap::print::{RowWriter, begin_fetch};
use crate::imap::response::{Refusal, Reply};
use crate::imap::session::{ACTOR, Done, Session};
use crate::imap::view::{Told, View};

/// Messages whose flags are written before output is sent in between.
const BATCH: usize = 1_000;

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
        let change = |draft: &mut Draft| apply(draft, &plan, store);
        let (state, stored) = match self.patiently(tag, live.change(&ACTOR, change)).await {
            Ok(changed) => changed,
            Err(error) => return Ok(error.into()),
        };
        let told = self.tell_stored(&plan, store, &state, &stored).await?;
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

    /// Tells the flags of the messages stored, unless it was silent: then only those where the client can't
    /// know them, since somebody else has changed them too, and MODSEQs to those who want them.
    async fn tell_stored(
        &mut self,
        plan: &Plan,
        store: &Store,
        state: &std::sync::Arc<State>,
        stored: &Stored,
    ) -> Result<Told, crate::imap::session::End> {
        let mut told = Told { uids: UidSet::new(), at: state.seq };
        let Some(view) = &mut self.view else { return Ok(told) };
        view.learn(state);
        let mut out = Vec::new();
        let mut writer = RowWriter::default();
        view.tell_keywords(&mut out);
        let shown = std::sync::Arc::clone(view.shown());
        let bits = bits_of(state, &store.flags);
        for (count, (position, before)) in shown.rows.select(&plan.wanted).enumerate() {
            let Some(view) = &self.view else { return Ok(told) };
            if stored.modified.contains(before.uid) || !view.is_there(before.uid) {
                continue;
            }
            let row = view.now(before);
            if store.silent {
                if expected(before.flags, bits, store.action) != row.flags {
                    // A move tells it.
                    continue;
                }
                if self.modes.condstore && row.modseq != before.modseq {
                    begin_fetch(&mut out, position, row.uid, self.modes.uid_only);
                    let line = format!("UID {} MODSEQ ({}))\r\n", row.uid, row.modseq);
                    out.extend_from_slice(line.as_bytes());
                }
            } else {
                view.tell_flags(&mut writer, position, &row, self.modes.condstore, &mut out);
            }
            told.uids.push(row.uid);
            if count % BATCH == BATCH - 1 {
                self.stream.write(&out);
                out.clear();
                self.stream.relieve().await?;
            }
        }
        self.stream.write(&out);
        Ok(told)
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
}

fn apply(draft: &mut Draft, plan: &Plan, store: &Store) -> Result<Stored, Refusal> {
    let mailbox = draft.state().mailbox(plan.mailbox).ok_or(DraftError::NoMailbox)?;
    let mut stored = Stored { modified: UidSet::new(), there: 0 };
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
