//! What administration does to mail: copying what an account holds into another one, erasing it, and hiding, showing or deleting
//! single letters.
//!
//! A copy goes in slices, each one entry of the account that it is put into. With it goes a mark at the folder, an annotation
//! that tells up to which UID of the other account messages are there: so a slice that is copied again, by whomever and
//! however often, adds nothing. UIDs ascend over all mailboxes of an account: what comes meanwhile comes behind the mark.
//!
//! If the process dies at any line: a pack without an entry is an orphan, which the audit removes; what has an entry has its
//! mark. Of erasing, hints are written before what they are about goes.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use async_trait::async_trait;
use pennypost_admin::{
    Copied, Copying, FoundLetter, LetterDeed, LetterHead, LettersDone, Mail, MailboxCount, NamedLetter,
    RulesRan, RulesRun, RunPlace, SeenLetter, ToCopy,
};
use pennypost_fold::{Draft, DraftError, Row, State, name};
use pennypost_mailstore::{ChangeError, Incoming, Mailstore, Prepared, StoreError};
use pennypost_model::journal::{Actor, DeleteReason};
use pennypost_model::message::BlobRef;
use pennypost_model::{
    AccountId, AccountKey, FlagSet, MailboxId, MailboxRole, Rid, Seq, SystemFlags, Timestamp, Uid, UidSet,
};
use pennypost_ports::{Consistency, Control, PortError, PortResult};

use crate::hints::{Hint, write_hints};

/// Messages of an entry: their cards have to fit into it.
const SLICE: usize = 100;
/// Bytes of them; a single message may have more.
const SLICE_BYTES: u64 = 16_000_000;
/// Messages that are copied at once: both accounts are loaded once for them.
const AT_ONCE: u64 = 1_000;
/// Bytes of them.
const BYTES_AT_ONCE: u64 = 64_000_000;
/// Messages that are erased at once: each has a hint.
const ERASED_AT_ONCE: usize = 2_000;

/// The mail of this post office, for administration.
pub struct KeptMail {
    store: Mailstore,
    control: Arc<dyn Control>,
}

/// A message that is to be copied, and the name of the mailbox that it is in.
struct Wanted<'a> {
    row: Row,
    mailbox: &'a str,
}

impl KeptMail {
    /// Over these ports.
    #[must_use]
    pub fn new(store: Mailstore, control: Arc<dyn Control>) -> KeptMail {
        KeptMail { store, control }
    }

    /// The newest letters that came, with their cards: the account is loaded, and of its journal read what lies around them.
    async fn newest_cards(&self, account: AccountKey, limit: usize) -> Result<Vec<SeenLetter>, StoreError> {
        let state = self.store.load(account, Consistency::Eventual).await?;
        // Nor what came by the catch-all: rules are not asked about it.
        let hidden = [MailboxRole::Sent, MailboxRole::Drafts, MailboxRole::Junk, MailboxRole::Transfer];
        let came = |role: Option<MailboxRole>| role.is_none_or(|role| !hidden.contains(&role));
        let mut rows: Vec<(&str, Row)> = Vec::new();
        for mailbox in state.mailboxes().filter(|mailbox| came(mailbox.role)) {
            for row in mailbox.rows.iter() {
                rows.push((mailbox.name.as_str(), *row));
                // However many there are, few are held.
                if rows.len() >= limit.saturating_mul(2).max(SLICE) {
                    keep_newest(&mut rows, limit);
                }
            }
        }
        keep_newest(&mut rows, limit);
        self.seen(account, &rows).await
    }

    async fn junk_cards(
        &self,
        account: AccountKey,
        (after, until): (Timestamp, Timestamp),
        limit: usize,
    ) -> Result<(Vec<SeenLetter>, usize), StoreError> {
        let state = self.store.load(account, Consistency::Strong).await?;
        let junk = state.mailboxes().filter(|mailbox| mailbox.role == Some(MailboxRole::Junk));
        let all = junk.flat_map(|mailbox| mailbox.rows.iter().map(|row| (mailbox.name.as_str(), *row)));
        let mut rows: Vec<(&str, Row)> =
            all.filter(|(_, row)| row.internal_date > after && row.internal_date <= until).collect();
        let count = rows.len();
        keep_newest(&mut rows, limit);
        Ok((self.seen(account, &rows).await?, count))
    }

    /// Letters with their cards; one whose card is gone is left out.
    async fn seen(&self, account: AccountKey, rows: &[(&str, Row)]) -> Result<Vec<SeenLetter>, StoreError> {
        let origins: Vec<Rid> = rows.iter().map(|(_, row)| row.origin).collect();
        let cards = self.store.cards(account, &origins).await?;
        let seen = |(mailbox, row): &(&str, Row)| {
            let card = cards.get(&row.origin)?.clone();
            let (time, size) = (row.internal_date, row.size);
            Some(SeenLetter { mailbox: (*mailbox).to_owned(), uid: row.uid, time, size, card })
        };
        Ok(rows.iter().filter_map(seen).collect())
    }

    /// Both accounts.
    async fn both(&self, copying: &Copying) -> Result<(State, State), StoreError> {
        let from = self.store.load(copying.from, Consistency::Strong).await?;
        let to = self.store.load(copying.to, Consistency::Strong).await?;
        Ok((from, to))
    }

    async fn copy(&self, copying: &Copying, after: u32) -> Result<Copied, StoreError> {
        let (from, mut to) = self.both(copying).await?;
        let marked = mark(&to, copying.from.account).map_or(0, |(_, uid)| uid);
        let mut copied = Copied { after: after.max(marked), ..Copied::default() };
        let mut bytes = 0;
        while copied.messages < AT_ONCE && bytes < BYTES_AT_ONCE {
            let wanted = slice(&from, copied.after);
            let Some(last) = wanted.last().map(|wanted| wanted.row.uid) else {
                copied.is_last = true;
                break;
            };
            let prepared = self.prepare(copying, &from, &to, &wanted).await?;
            copied.damaged += wanted.len() as u64 - prepared.len() as u64;
            bytes += wanted.iter().map(|wanted| wanted.row.size).sum::<u64>();
            match self.put(copying, to, &prepared, last).await? {
                Some(state) => to = state,
                None => {
                    copied.is_full = true;
                    break;
                }
            }
            copied.messages += wanted.len() as u64;
            copied.after = last.0;
        }
        Ok(copied)
    }

    /// The messages of a slice in the form in which they are stored, each with its UID and the name of its mailbox. Those
    /// that are damaged, or gone, are left out.
    async fn prepare<'a>(
        &self,
        copying: &Copying,
        from: &State,
        to: &State,
        wanted: &[Wanted<'a>],
    ) -> Result<Vec<(Uid, &'a str, Incoming)>, StoreError> {
        let held: BTreeSet<Hint> = blobs(to).map(Hint::of).collect();
        let mut prepared = Vec::with_capacity(wanted.len());
        for Wanted { row, mailbox } in wanted {
            let is_there = held.contains(&Hint::of(row.blob));
            let message = match self.open(copying, row, is_there).await {
                Ok(message) => message,
                Err(error) if error.is_temporary() => return Err(error),
                Err(error) => {
                    let account = copying.from;
                    tracing::error!(%account, uid = %row.uid, %error, "a message can't be copied");
                    continue;
                }
            };
            let event = self.store.ids().event(self.store.clock().now());
            let incoming = Incoming::new(message, event, from.flags(row.flags), row.internal_date);
            prepared.push((row.uid, *mailbox, incoming));
        }
        Ok(prepared)
    }

    /// A message: by reference where the account that it is put into refers to its bytes already.
    async fn open(&self, copying: &Copying, row: &Row, is_there: bool) -> Result<Prepared, StoreError> {
        let message = self.store.open(copying.from.tenant, row.blob).await?;
        let sidecar = message.sidecar().await?;
        if is_there {
            return Ok(Prepared::there(copying.to, row.blob, sidecar.facts, row.size));
        }
        Prepared::received(&message.whole().await?, sidecar.receipt)
    }

    /// Puts a slice down with its mark; the account after it. `None` where there is no room for it.
    async fn put(
        &self,
        copying: &Copying,
        state: State,
        prepared: &[(Uid, &str, Incoming)],
        last: Uid,
    ) -> Result<Option<State>, StoreError> {
        // An account has so many keywords at most: then these are left behind, and not the letters.
        for with_keywords in [true, false] {
            let messages: Vec<Incoming> = prepared
                .iter()
                .map(|(_, _, incoming)| {
                    let mut incoming = incoming.clone();
                    if !with_keywords {
                        incoming.flags = FlagSet::system(incoming.flags.system);
                    }
                    incoming
                })
                .collect();
            let mut is_full = false;
            let place = |draft: &mut Draft| {
                let (root, done) = folder(draft, copying)?;
                let top = draft.state().mailbox(root).ok_or(DraftError::NoMailbox)?.name.clone();
                let mut homes = Vec::with_capacity(prepared.len());
                let mut bytes = draft.state().used.bytes;
                for (uid, mailbox, incoming) in prepared {
                    if uid.0 <= done {
                        homes.push(None);
                        continue;
                    }
                    bytes = bytes.saturating_add(incoming.size());
                    homes.push(Some(below(draft, root, &format!("{top}{}{mailbox}", name::SEPARATOR))?));
                }
                is_full = bytes > copying.room && homes.iter().any(Option::is_some);
                if is_full {
                    return Err(DraftError::TooManyMessages);
                }
                if last.0 > done {
                    let text = last.to_string().into_bytes();
                    draft.annotate(Some(root), &mark_name(copying.from.account), Some(text))?;
                }
                Ok(homes)
            };
            let storing =
                self.store.store_each(copying.to, state.clone(), &Actor::Admin, &messages, place).await;
            match storing {
                Ok(committed) => return Ok(Some(committed.state)),
                Err(ChangeError::Decided(_)) if is_full => return Ok(None),
                Err(ChangeError::Decided(DraftError::TooManyKeywords)) if with_keywords => {}
                Err(ChangeError::Decided(error)) => return Err(StoreError::Damaged(error.to_string())),
                Err(ChangeError::Store(error)) => return Err(error),
            }
        }
        Err(StoreError::Busy)
    }

    /// Erases some of an account's mail for good, of what is meant: as the account is after the entry `at`, if that is said.
    async fn erase(
        &self,
        account: AccountKey,
        at: Option<Seq>,
        is_meant: impl Fn(&Row) -> bool,
    ) -> Result<LettersDone, StoreError> {
        let state = self.store.load(account, Consistency::Strong).await?;
        if at.is_some_and(|at| state.seq != at) {
            return Ok(LettersDone::Overtaken);
        }
        let live = state.mailboxes().flat_map(|mailbox| {
            let id = mailbox.id;
            mailbox.rows.iter().map(move |row| (Some(id), *row))
        });
        let deleted = state.deleted().iter().map(|deleted| (None, deleted.row));
        let some = live.chain(deleted).filter(|(_, row)| is_meant(row)).take(ERASED_AT_ONCE);
        let some: Vec<(Option<MailboxId>, Uid, BlobRef)> =
            some.map(|(mailbox, row)| (mailbox, row.uid, row.blob)).collect();
        if some.is_empty() {
            return Ok(LettersDone::All);
        }
        let hints: Vec<Hint> = some.iter().map(|(_, _, blob)| Hint::of(*blob)).collect();
        write_hints(&*self.control, self.store.clock().now(), account.tenant, &hints).await?;
        let uids: UidSet = some.iter().map(|(_, uid, _)| *uid).collect();
        let mailboxes: BTreeSet<MailboxId> = some.iter().filter_map(|(mailbox, ..)| *mailbox).collect();
        let erase = |draft: &mut Draft| {
            for mailbox in &mailboxes {
                match draft.delete_messages(*mailbox, &uids, DeleteReason::Admin) {
                    Ok(_) | Err(DraftError::NoMailbox) => {}
                    Err(error) => return Err(error),
                }
            }
            draft.forget_deleted(&uids);
            Ok(())
        };
        let is_done = self.change(account, state, at.is_some(), erase).await?;
        Ok(if is_done { LettersDone::Some } else { LettersDone::Overtaken })
    }

    /// Changes an account. `false` if it is to be decided once, and somebody else was faster.
    async fn change(
        &self,
        account: AccountKey,
        state: State,
        is_once: bool,
        decide: impl Fn(&mut Draft) -> Result<(), DraftError>,
    ) -> Result<bool, StoreError> {
        let mut is_first = true;
        let changing = self.store.commit(account, state, &Actor::Admin, |draft| {
            if is_once && !std::mem::replace(&mut is_first, false) {
                return Err(None);
            }
            decide(draft).map_err(Some)
        });
        match changing.await {
            Ok(_) => Ok(true),
            Err(ChangeError::Decided(None)) => Ok(false),
            Err(ChangeError::Store(error)) => Err(error),
            Err(ChangeError::Decided(Some(error))) => Err(StoreError::Damaged(error.to_string())),
        }
    }

    async fn deed(
        &self,
        account: AccountKey,
        at: Seq,
        letters: &[NamedLetter],
        deed: LetterDeed,
    ) -> Result<LettersDone, StoreError> {
        let copies: BTreeSet<Rid> = letters.iter().flat_map(|letter| letter.copies.iter().copied()).collect();
        let is_meant = |row: &Row| copies.contains(&row.rid) || copies.contains(&row.origin);
        if deed == LetterDeed::Delete {
            return self.erase(account, Some(at), is_meant).await;
        }
        let state = self.store.load(account, Consistency::Strong).await?;
        if state.seq != at {
            return Ok(LettersDone::Overtaken);
        }
        let decide = |draft: &mut Draft| match deed {
            LetterDeed::Hide => hide(draft, is_meant),
            LetterDeed::Show | LetterDeed::Delete => show(draft, is_meant),
        };
        let is_done = self.change(account, state, true, decide).await?;
        Ok(if is_done { LettersDone::All } else { LettersDone::Overtaken })
    }
}

/// What there is of a letter in an account.
#[derive(Debug, Clone, Copy, Default)]
struct Held {
    /// A copy is in a mailbox.
    is_live: bool,
    /// A copy was hidden, and can be shown again.
    is_hidden: bool,
    /// A copy can be restored, whoever has deleted it.
    is_restorable: bool,
}

impl Held {
    const fn is_after(self, deed: LetterDeed) -> bool {
        match deed {
            LetterDeed::Hide => self.is_hidden && !self.is_live,
            LetterDeed::Show => self.is_live,
            LetterDeed::Delete => !self.is_live && !self.is_restorable,
        }
    }
}

/// What there is of each of these letters.
fn held_of(state: &State, letters: &[NamedLetter]) -> Vec<Held> {
    let mut held = vec![Held::default(); letters.len()];
    let numbers: BTreeMap<Rid, usize> = (0..)
        .zip(letters)
        .flat_map(|(number, letter)| letter.copies.iter().map(move |copy| (*copy, number)))
        .collect();
    let number_of = |row: &Row| numbers.get(&row.rid).or_else(|| numbers.get(&row.origin)).copied();
    for row in state.mailboxes().flat_map(|mailbox| mailbox.rows.iter()) {
        if let Some(number) = number_of(row) {
            held[number].is_live = true;
        }
    }
    for deleted in state.deleted().iter() {
        if let Some(number) = number_of(&deleted.row) {
            held[number].is_restorable = true;
            held[number].is_hidden |= deleted.reason == DeleteReason::Admin;
        }
    }
    held
}

/// Deletes what is meant: until it is forgotten it can be shown again. What its owner has deleted before keeps his reason, so that
/// showing does not bring it back.
fn hide(draft: &mut Draft, is_meant: impl Fn(&Row) -> bool) -> Result<(), DraftError> {
    let found: Vec<(MailboxId, UidSet)> = draft
        .state()
        .mailboxes()
        .map(|mailbox| {
            let meant = mailbox.rows.iter().filter(|row| is_meant(row));
            (mailbox.id, meant.map(|row| row.uid).collect())
        })
        .collect();
    for (mailbox, uids) in found {
        draft.delete_messages(mailbox, &uids, DeleteReason::Admin)?;
    }
    Ok(())
}

/// Restores what is meant and was hidden, not what its owner has deleted: where it was, or into the Inbox.
fn show(draft: &mut Draft, is_meant: impl Fn(&Row) -> bool) -> Result<(), DraftError> {
    let mut hidden: BTreeMap<MailboxId, Vec<Uid>> = BTreeMap::new();
    for deleted in draft.state().deleted().iter() {
        if deleted.reason == DeleteReason::Admin && is_meant(&deleted.row) {
            let is_there = draft.state().mailbox(deleted.mailbox).is_some();
            let home = if is_there { deleted.mailbox } else { MailboxId::INBOX };
            hidden.entry(home).or_default().push(deleted.row.uid);
        }
    }
    for (mailbox, uids) in hidden {
        draft.restore_messages(&uids.into_iter().collect(), mailbox)?;
    }
    Ok(())
}

#[async_trait]
impl Mail for KeptMail {
    async fn look(&self, copying: &Copying) -> PortResult<ToCopy> {
        let (from, to) = self.both(copying).await.map_err(port_error)?;
        let after = mark(&to, copying.from.account).map_or(0, |(_, uid)| uid);
        let rows = from.mailboxes().flat_map(|mailbox| mailbox.rows.iter()).filter(|row| row.uid.0 > after);
        let none = ToCopy { used: to.used.bytes, ..ToCopy::default() };
        Ok(rows.fold(none, |sum, row| ToCopy {
            messages: sum.messages + 1,
            bytes: sum.bytes + row.size,
            ..sum
        }))
    }

    async fn copy_some(&self, copying: &Copying, after: u32) -> PortResult<Copied> {
        self.copy(copying, after).await.map_err(port_error)
    }

    async fn erase_some(&self, account: AccountKey) -> PortResult<bool> {
        let done = self.erase(account, None, |_| true).await.map_err(port_error)?;
        Ok(done != LettersDone::All)
    }

    async fn newest(&self, account: AccountKey) -> PortResult<Seq> {
        let newest = self.store.journal().newest(account, 1, Consistency::Strong).await?;
        Ok(newest.entries.last().map_or(Seq::ZERO, |entry| entry.seq))
    }

    async fn do_to_letters(
        &self,
        account: AccountKey,
        at: Seq,
        letters: &[NamedLetter],
        deed: LetterDeed,
    ) -> PortResult<LettersDone> {
        self.deed(account, at, letters, deed).await.map_err(port_error)
    }

    async fn letters_after(
        &self,
        account: AccountKey,
        letters: &[NamedLetter],
        deed: LetterDeed,
    ) -> PortResult<u64> {
        let state = self.store.load(account, Consistency::Strong).await.map_err(port_error)?;
        let held = held_of(&state, letters);
        Ok(held.into_iter().filter(|held| held.is_after(deed)).count() as u64)
    }

    async fn run_rules(&self, run: &RulesRun, place: Option<RunPlace>) -> PortResult<Option<RulesRan>> {
        crate::rules::run(&self.store, run, place).await.map_err(port_error)
    }

    async fn letter(&self, account: AccountKey, folder: &str, uid: Uid) -> PortResult<Option<FoundLetter>> {
        crate::junk::letter(&self.store, account, folder, uid).await.map_err(port_error)
    }

    async fn put_into_junk(&self, account: AccountKey, letter: Rid) -> PortResult<bool> {
        crate::junk::put_into_junk(&self.store, account, letter).await.map_err(port_error)
    }

    async fn receipts(&self, account: AccountKey, letters: &[Rid]) -> PortResult<BTreeMap<Rid, bool>> {
        crate::receipts::receipts(&self.store, account, letters).await.map_err(port_error)
    }

    async fn letter_head(&self, account: AccountKey, letter: Rid) -> PortResult<Option<LetterHead>> {
        crate::receipts::head(&self.store, account, letter).await.map_err(port_error)
    }

    async fn note_receipt(&self, account: AccountKey, letter: Rid) -> PortResult<bool> {
        crate::receipts::note(&self.store, account, letter).await.map_err(port_error)
    }

    async fn counts(&self, account: AccountKey) -> PortResult<Vec<MailboxCount>> {
        let state = self.store.load(account, Consistency::Strong).await.map_err(port_error)?;
        let counts = state.mailboxes().map(|mailbox| MailboxCount {
            id: mailbox.id,
            name: mailbox.name.clone(),
            role: mailbox.role,
            messages: mailbox.rows.len() as u64,
            unread: mailbox.counts.unseen,
        });
        Ok(counts.collect())
    }

    async fn seen(&self, account: AccountKey, messages: &[Rid]) -> PortResult<BTreeMap<Rid, bool>> {
        let state = self.store.load(account, Consistency::Eventual).await.map_err(port_error)?;
        Ok(seen_in(&state, messages))
    }

    async fn newest_letters(&self, account: AccountKey, limit: usize) -> PortResult<Vec<SeenLetter>> {
        self.newest_cards(account, limit).await.map_err(port_error)
    }

    async fn junk_letters(
        &self,
        account: AccountKey,
        times: (Timestamp, Timestamp),
        limit: usize,
    ) -> PortResult<(Vec<SeenLetter>, usize)> {
        self.junk_cards(account, times, limit).await.map_err(port_error)
    }
}

/// Of these messages, and of copies of them, whether one is marked as read.
fn seen_in(state: &State, messages: &[Rid]) -> BTreeMap<Rid, bool> {
    let wanted: BTreeSet<Rid> = messages.iter().copied().collect();
    let live = state.mailboxes().flat_map(|mailbox| mailbox.rows.iter());
    let rows = live.copied().chain(state.deleted().iter().map(|deleted| deleted.row));
    let mut seen = BTreeMap::new();
    for row in rows {
        let found = [row.rid, row.origin].into_iter().find(|rid| wanted.contains(rid));
        if let Some(rid) = found {
            *seen.entry(rid).or_insert(false) |= row.flags.has(SystemFlags::SEEN);
        }
    }
    seen
}

/// The newest first, so many of them.
fn keep_newest(rows: &mut Vec<(&str, Row)>, limit: usize) {
    rows.sort_unstable_by_key(|(_, row)| std::cmp::Reverse((row.internal_date, row.uid)));
    rows.truncate(limit);
}

fn port_error(error: StoreError) -> PortError {
    match error {
        StoreError::Port(error) => error,
        StoreError::Busy => PortError::Unavailable { port: "journal", cause: error.to_string() },
        _ => PortError::Damaged { port: "journal", cause: error.to_string() },
    }
}

/// The next messages behind a UID, whatever mailbox they are in.
fn slice(state: &State, after: u32) -> Vec<Wanted<'_>> {
    let mut wanted: Vec<Wanted<'_>> = Vec::new();
    for mailbox in state.mailboxes() {
        let first = mailbox.rows.position_of(Uid(after.saturating_add(1)));
        let rows = mailbox.rows.from_position(first).take(SLICE);
        wanted.extend(rows.map(|row| Wanted { row: *row, mailbox: &mailbox.name }));
    }
    wanted.sort_unstable_by_key(|wanted| wanted.row.uid);
    wanted.truncate(SLICE);
    let mut bytes = 0;
    let fitting = wanted.iter().take_while(|wanted| {
        bytes += wanted.row.size;
        bytes <= SLICE_BYTES
    });
    let count = fitting.count().max(1);
    wanted.truncate(count);
    wanted
}

/// Everything that an account refers to.
fn blobs(state: &State) -> impl Iterator<Item = BlobRef> + '_ {
    let live = state.mailboxes().flat_map(|mailbox| mailbox.rows.iter().map(|row| row.blob));
    live.chain(state.deleted().iter().map(|deleted| deleted.row.blob))
}

fn mark_name(from: AccountId) -> String {
    format!("/private/vendor/pennypost/mail-of/{from}")
}

/// The folder into which an account was copied, and up to which of its UIDs.
fn mark(state: &State, from: AccountId) -> Option<(MailboxId, u32)> {
    let entry = mark_name(from);
    let mut marks = state.mailboxes().filter_map(|mailbox| {
        let uid = str::from_utf8(mailbox.annotations.get(&entry)?).ok()?.parse().ok()?;
        Some((mailbox.id, uid))
    });
    marks.next()
}

/// The folder, made if it is not there, and up to which UID its messages have been copied.
fn folder(draft: &mut Draft, copying: &Copying) -> Result<(MailboxId, u32), DraftError> {
    if let Some(found) = mark(draft.state(), copying.from.account) {
        return Ok(found);
    }
    let id = match draft.state().mailbox_named(&copying.folder) {
        Some(mailbox) => mailbox.id,
        None => draft.create_mailbox(&copying.folder, None)?,
    };
    Ok((id, 0))
}

/// The mailbox of that name below the folder, made if it is not there; the folder itself if nothing can have that name.
fn below(draft: &mut Draft, root: MailboxId, name: &str) -> Result<MailboxId, DraftError> {
    if let Some(mailbox) = draft.state().mailbox_named(name) {
        return Ok(mailbox.id);
    }
    match draft.create_mailbox(name, None) {
        Err(DraftError::BadName(_)) => Ok(root),
        made => made,
    }
}
