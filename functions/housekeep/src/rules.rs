//! Rules of a member, run on letters that lie in one of his folders (RUL-04).
//!
//! The account is loaded once for some slices, each of which is one entry: rows as they are held anyway, and of a slice the
//! facts of its letters, which are read only where a rule asks for them. Neighbours in one pack are read together. A letter's text is taken
//! out where a rule asks for it that nothing else has decided: what of the letter was not read with its facts is read then.
//!
//! If the process dies at any line: a slice is done or not; done again, it finds nothing to do.

use std::collections::{BTreeMap, BTreeSet};

use pennypost_admin::{RulesRan, RulesRun, RunPlace};
use pennypost_fold::{Draft, DraftError, Row, State};
use pennypost_mailstore::blobs::Message;
use pennypost_mailstore::{ChangeError, Mailstore, StoreError};
use pennypost_model::journal::Actor;
use pennypost_model::message::{BlobRef, Facts, Sidecar};
use pennypost_model::structure::Structure;
use pennypost_model::{FlagSet, MailboxId, MailboxRole, Uid, UidSet};
use pennypost_policy::rules::{Applied, Condition, FullText, Letter, MAX_TEXT, Put};
use pennypost_ports::Consistency;

/// Letters of an entry.
const SLICE: usize = 100;
/// Letters that are looked at for one load of the account.
const AT_ONCE: u64 = 1_000;

/// What rules do to letters of a slice.
#[derive(Default)]
struct Decided {
    /// Flags and labels, and who gets them.
    marks: Vec<(FlagSet, Vec<Uid>)>,
    /// Where letters go.
    moves: BTreeMap<MailboxId, Vec<Uid>>,
    damaged: u64,
}

/// What is looked at of a letter.
#[derive(Default)]
struct Looked {
    facts: Facts,
    /// Where its text is found, if a rule asks for texts.
    letter: Option<(Message, Structure)>,
}

/// Where rules put a letter.
enum Folder {
    That(MailboxId),
    Trash,
}

/// What rules say of a letter.
struct Asked {
    flags: FlagSet,
    folder: Option<Folder>,
}

impl Asked {
    fn of(applied: &Applied<'_>) -> Asked {
        let folder = match &applied.put {
            Some(Put::Folder(folder)) => Some(Folder::That(folder.id)),
            Some(Put::Trash) => Some(Folder::Trash),
            // Whoever wrote it long ago has it as delivered.
            Some(Put::Refused(_)) | None => None,
        };
        Asked { flags: applied.flags.clone(), folder }
    }
}

/// Runs rules on some letters behind a place.
pub(crate) async fn run(
    store: &Mailstore,
    run: &RulesRun,
    place: Option<RunPlace>,
) -> Result<Option<RulesRan>, StoreError> {
    let mut state = store.load(run.account, Consistency::Strong).await?;
    let Some(mailbox) = state.mailbox(run.folder) else { return Ok(None) };
    let mut ran = match place {
        Some(place) => RulesRan { place, ..RulesRan::default() },
        None => RulesRan {
            place: RunPlace { uid: 0, upto: state.next_uid.saturating_sub(1) },
            total: Some(mailbox.rows.len() as u64),
            ..RulesRan::default()
        },
    };
    // Of others rows are read, and not letters.
    let at_once = if run.rules.asks_for_text() { SLICE as u64 } else { AT_ONCE };
    while ran.looked_at < at_once {
        let rows = slice(&state, run.folder, ran.place);
        let Some(last) = rows.last().map(|row| row.uid) else {
            ran.is_last = true;
            break;
        };
        let decided = decide(store, run, &state, &rows).await?;
        let (after, changed) = carry_out(store, run, state, &decided).await?;
        state = after;
        let looked_at = rows.len() as u64;
        ran.looked_at += looked_at;
        ran.damaged += decided.damaged;
        ran.unchanged += looked_at.saturating_sub(decided.damaged + changed);
        ran.place.uid = last.0;
    }
    Ok(Some(ran))
}

/// The next letters of a folder.
fn slice(state: &State, folder: MailboxId, place: RunPlace) -> Vec<Row> {
    let Some(mailbox) = state.mailbox(folder) else { return Vec::new() };
    let first = mailbox.rows.position_of(Uid(place.uid.saturating_add(1)));
    let rows = mailbox.rows.from_position(first).take(SLICE);
    rows.take_while(|row| row.uid.0 <= place.upto && row.uid.0 > place.uid).copied().collect()
}

async fn decide(
    store: &Mailstore,
    run: &RulesRun,
    state: &State,
    rows: &[Row],
) -> Result<Decided, StoreError> {
    let mut decided = Decided::default();
    let trash = state.mailbox_with_role(MailboxRole::Trash).map_or(MailboxId::TRASH, |mailbox| mailbox.id);
    for (row, looked) in rows.iter().zip(look(store, run, rows).await) {
        let asked = match looked {
            Ok(Looked { facts, letter }) => ask(run, row, &facts, letter).await,
            Err(error) => Err(error),
        };
        let (flags, to) = match asked {
            Ok(Asked { flags, folder: Some(Folder::That(id)) }) => (flags, Some(id)),
            Ok(Asked { flags, folder: Some(Folder::Trash) }) => (flags, Some(trash)),
            Ok(Asked { flags, folder: None }) => (flags, None),
            Err(error) if error.is_temporary() => return Err(error),
            Err(error) => {
                tracing::error!(account = %run.account, uid = %row.uid, %error, "rules can't look at a letter");
                decided.damaged += 1;
                continue;
            }
        };
        if !flags.is_empty() {
            match decided.marks.iter_mut().find(|(known, _)| *known == flags) {
                Some((_, uids)) => uids.push(row.uid),
                None => decided.marks.push((flags, vec![row.uid])),
            }
        }
        if let Some(to) = to {
            decided.moves.entry(to).or_default().push(row.uid);
        }
    }
    Ok(decided)
}

/// What rules say of a letter.
async fn ask(
    run: &RulesRun,
    row: &Row,
    facts: &Facts,
    letter: Option<(Message, Structure)>,
) -> Result<Asked, StoreError> {
    let own = &run.own;
    let without = Letter { time: row.internal_date, size: row.size, facts, own, text: None };
    let applied = run.rules.apply(&without);
    let Some((message, structure)) = letter.filter(|_| applied.wants_text) else {
        return Ok(Asked::of(&applied));
    };
    let raw = message.whole().await?;
    let text = FullText::of(&pennypost_mime::decode_text(&structure, &raw, MAX_TEXT));
    Ok(Asked::of(&run.rules.apply(&Letter { text: Some(&text), ..without })))
}

/// What rules ask of letters.
async fn look(store: &Mailstore, run: &RulesRun, rows: &[Row]) -> Vec<Result<Looked, StoreError>> {
    let is_of_row = |condition: &Condition| {
        matches!(condition, Condition::Size { .. } | Condition::Time { .. } | Condition::Hours { .. })
    };
    if run.rules.rules.iter().flat_map(|rule| &rule.conditions).all(is_of_row) {
        return rows.iter().map(|_| Ok(Looked::default())).collect();
    }
    let blobs: Vec<BlobRef> = rows.iter().map(|row| row.blob).collect();
    let asks_for_text = run.rules.asks_for_text();
    let mut looked = Vec::with_capacity(rows.len());
    for message in store.open_many(run.account.tenant, &blobs).await {
        looked.push(match message {
            Ok(message) => {
                let sidecar = message.sidecar().await;
                sidecar.map(|Sidecar { facts, structure, .. }| {
                    let letter = asks_for_text.then_some((message, structure));
                    Looked { facts, letter }
                })
            }
            Err(error) => Err(error),
        });
    }
    looked
}

/// Does it in one entry; the account after it, and how many letters were changed. What is gone from the folder meanwhile is left, and
/// so is what would go into a folder that is not there.
async fn carry_out(
    store: &Mailstore,
    run: &RulesRun,
    state: State,
    decided: &Decided,
) -> Result<(State, u64), StoreError> {
    let folder = run.folder;
    let set = |uids: &[Uid]| uids.iter().copied().collect::<UidSet>();
    let committing = store.commit(run.account, state, &Actor::System, |draft: &mut Draft| {
        let mut changed: BTreeSet<Uid> = BTreeSet::new();
        if draft.state().mailbox(folder).is_none() {
            return Ok(changed);
        }
        for (flags, uids) in &decided.marks {
            let mut flags = flags.clone();
            // Labels for which the account has no room are left out, as in what comes in.
            draft.fit_keywords(&mut flags);
            if !flags.is_empty() {
                changed.extend(draft.flags(folder, &set(uids), &flags, &FlagSet::default())?.iter());
            }
        }
        for (to, uids) in &decided.moves {
            if *to != folder && draft.state().mailbox(*to).is_some() {
                let moved = draft.move_messages(folder, &set(uids), *to)?;
                changed.extend(moved.into_iter().map(|(before, _)| before));
            }
        }
        Ok::<_, DraftError>(changed)
    });
    match committing.await {
        Ok(committed) => Ok((committed.state, committed.value.len() as u64)),
        Err(ChangeError::Store(error)) => Err(error),
        Err(ChangeError::Decided(error)) => Err(StoreError::Damaged(error.to_string())),
    }
}
