//! Handler: packs, journals and traces of decided messages.
//!
//! Owns: the writing of mail into accounts. Ports: objects (one put for each pack that does not go with an entry), journal
//! (one append for each account of the batch, one read where the account is not known yet), log (one append for each
//! batch), wake-ups where sessions are in the same process; control only for what goes into quarantine, and for
//! reports that name envelopes.
//!
//! Invariants: every recipient of an event gets it exactly once, however often the event comes: the event's
//! id is looked for in the journal back to the event's time less [`CLOCK_MARGIN_MS`] before it is added,
//! and a lost race is decided anew. The writer's copy in Sent has an id of its own, made of the event's, and comes
//! exactly once likewise. Recipients of other servers are passed over, and stand in the trace: send-remote looks after them.
//! Packs are durable before entries refer to them, or with the first that does; the trace is written
//! after the entries. What is withheld goes into no journal; it lies in quarantine before the trace says so, and only for those who have not
//! got the letter by an earlier try, at which nothing spoke against it. Who doesn't get it because of a virus, or has sent one, is told
//! behind that, and whoever wanted to hear that it was delivered, by messages whose ids are made of the event's: what follows from an event
//! is handed on before the event is done. What another server's report or a reader's receipt says of a member's letter is noted behind the trace, in that
//! of the letter, once.
//!
//! If the process dies: before the pack, nothing happened; after a pack that goes before its entries, it is an orphan and
//! the event comes again; after some entries, the event comes again and only the others are added; after the trace, it is
//! written a second time and readers merge.

mod account;
mod came_back;
mod notice;
mod past;
mod receipts;
mod reported;
#[cfg(test)]
mod tests;
mod tip;

use std::collections::BTreeMap;
use std::sync::Arc;

use async_trait::async_trait;
use futures::future::BoxFuture;
use futures::{FutureExt, StreamExt};
use pennypost_directory::Directory;
use pennypost_mailstore::pack::{MessagePart, PackEntry, SidecarPart};
use pennypost_mailstore::summary::Summary;
use pennypost_mailstore::{Mailstore, StoreError, accept, compress};
use pennypost_model::codec;
use pennypost_model::event::{
    Accepted, Body, Changed, Decided, Decision, Event, House, Recipient, Stage, Target, Via, Wishes,
};
use pennypost_model::message::{BlobRef, StoredMessage, cut};
use pennypost_model::scan::{HeldFor, Withheld};
use pennypost_model::trace::{
    GROUP_REASON, Outcome as Journey, RECEIPT_REASON, TraceRecipient, TraceRecord, TraceStep,
};
use pennypost_model::{AccountId, AccountKey, EventId, TenantId, Timestamp};
use pennypost_policy::scanning::{SPAM_REASON, VIRUS_REASON};
use pennypost_ports::{Log, LogKind, LogRecord, NewObject, PortError, Wakeups, crash};
use pennypost_quarantine::{HeldLetter, HeldState, Quarantine};
use pennypost_reports::{About, Action, Report, Told};
use pennypost_runtime::usage::{self, Part};
use pennypost_runtime::{Failure, Handler, Outcome, was_delivered};

use crate::account::{Copies, Delivery};
pub use crate::tip::{CLOCK_MARGIN_MS, Memory};
use crate::tip::{Copy, Found, Tips};

/// Accounts that are committed to at the same time.
const CONCURRENT_ACCOUNTS: usize = 64;
/// Stored bytes that go into one pack; the message that passes it is the last.
const PACK_BYTES: usize = 8 << 20;
/// A pack of messages of one account goes with its entry, where the journal takes objects, up to so many bytes: one synced
/// write instead of three. What is larger is not written twice, to the log of the database and to the database.
const WITH_ENTRY: usize = 32 * 1024;
/// Bytes of messages of a batch that go with entries; the rest lies in one pack, which is written once.
const WITH_ENTRIES: usize = 256 * 1024;

/// Bytes of messages that are in memory at once; the message that passes it is the last of its part.
const PART_BYTES: u64 = 32 << 20;

/// Why a copy is somewhere else than was decided: it was there already when the event came again, and rules had changed.
pub const PLACED_BEFORE_REASON: &str = "placed-before";

/// The handler.
pub struct Deliver {
    store: Mailstore,
    log: Arc<dyn Log>,
    tips: Tips,
    hostname: Arc<str>,
    wakeups: Option<Arc<dyn Wakeups>>,
    quarantine: Option<Quarantine>,
    directory: Option<Directory>,
}

/// A message of the batch, with the number of its event.
type Numbered<'a> = &'a (usize, Letter);
/// What came of the commit for one account: the numbers of its events, and its copies.
type Committed = (Vec<usize>, Result<Found, StoreError>);

/// Where the bytes of the batch's messages lie.
#[derive(Default)]
struct Packed {
    /// By the number of the event.
    blobs: BTreeMap<usize, BlobRef>,
    /// Packs that are still to be put, each with an entry of its account.
    with_entry: BTreeMap<AccountKey, NewObject>,
}

/// A message of the batch with its bytes.
struct Letter {
    decided: Decided,
    message: StoredMessage,
    /// The object that holds the bytes until they lie in a pack, if they are not in the event itself.
    spooled: Option<String>,
}

impl Letter {
    fn pack_entry(&self) -> PackEntry<'_> {
        PackEntry {
            event: self.decided.accepted.id,
            owners: owners(&self.decided),
            sidecar: SidecarPart::Plain(&self.decided.sidecar),
            message: MessagePart::Stored(&self.message),
        }
    }

    fn part(&self) -> Part {
        let size = |length: usize| u32::try_from(length).unwrap_or(u32::MAX);
        let accepted = &self.decided.accepted;
        let (deliveries, bytes) = (size(copies(&self.decided).count()), size(self.message.stored_len()));
        Part { tenant: accepted.tenant, deliveries, bytes }
    }
}

impl Deliver {
    /// A handler over these ports.
    #[must_use]
    pub fn new(store: Mailstore, log: Arc<dyn Log>) -> Deliver {
        Deliver::with_memory(store, log, Memory::default())
    }

    /// A handler that reads and remembers so much of each account.
    #[must_use]
    pub fn with_memory(store: Mailstore, log: Arc<dyn Log>, memory: Memory) -> Deliver {
        Deliver {
            tips: Tips::new(store.clone(), memory),
            store,
            log,
            hostname: "localhost".into(),
            wakeups: None,
            quarantine: None,
            directory: None,
        }
    }

    /// As it is, with a place for what scanners speak against.
    #[must_use]
    pub fn keeping(self, quarantine: Quarantine) -> Deliver {
        Deliver { quarantine: Some(quarantine), ..self }
    }

    /// As it is, and it knows how the envelopes of the tenants' letters are called before other servers.
    #[must_use]
    pub fn knowing(self, directory: Directory) -> Deliver {
        Deliver { directory: Some(directory), ..self }
    }

    /// As it is, and reports of what was delivered are in that host's name.
    #[must_use]
    pub fn reporting_as(self, hostname: &str) -> Deliver {
        Deliver { hostname: hostname.into(), ..self }
    }

    /// As it is, but where sessions live in the same process they are woken as soon as an entry stands, and need not
    /// wait for the rest of the batch and its traces. The event for `notify` follows nevertheless.
    #[must_use]
    pub fn waking(self, wakeups: Arc<dyn Wakeups>) -> Deliver {
        Deliver { wakeups: Some(wakeups), ..self }
    }

    /// Delivers messages: one result for each, in order. What follows from them takes no more than that `room`, but for what is small.
    async fn deliver(&self, batch: Vec<Decided>, room: &mut u64) -> Vec<Outcome> {
        let mut failures: Vec<Option<Failure>> = vec![None; batch.len()];
        let mut letters = Vec::with_capacity(batch.len());
        for (index, decided) in batch.into_iter().enumerate() {
            match self.with_bytes(decided).await {
                Ok(Some(letter)) => letters.push((index, letter)),
                Ok(None) => {}
                Err(failure) => failures[index] = Some(failure),
            }
        }
        let found = self.find_delivered(&letters, &mut failures).await;
        letters.retain(|(index, _)| failures[*index].is_none());
        let packed = self.pack(&letters, &found, &mut failures).await;
        crash::point("deliver.after-pack");
        let placed = self.commit(&letters, packed, found, &mut failures).await;
        crash::point("deliver.after-commits");
        self.keep(&letters, &placed, &mut failures).await;
        self.trace(&letters, &placed, &mut failures).await;
        crash::point("deliver.after-trace");
        self.note_what_came_back(&letters, &mut failures).await;
        self.note_what_was_heard(&letters, &mut failures).await;
        self.drop_spooled(&letters, &placed, &failures).await;

        let mut following: BTreeMap<usize, Vec<Event>> = BTreeMap::new();
        for (index, letter) in &letters {
            let is_room = letter.message.stored_len() as u64 <= *room;
            let message = (failures[*index].is_none() && is_room).then_some(&letter.message);
            let mut events = notice::of(&letter.decided, &placed, message);
            *room = room.saturating_sub(events.iter().map(inline_bytes).sum::<u64>());
            events.extend(follow(&letter.decided, &placed));
            if failures[*index].is_none() {
                events.extend(self.report(letter, &placed).await);
            }
            following.insert(*index, events);
        }
        let outcome = |(index, failure): (usize, Option<Failure>)| match failure {
            Some(failure) => Err(failure),
            None => Ok(following.remove(&index).unwrap_or_default()),
        };
        failures.into_iter().enumerate().map(outcome).collect()
    }

    /// What its sender is told of those who have it here, if he wanted to hear of them (RFC 3461). Made anew it is the same.
    async fn report(&self, letter: &Letter, placed: &Found) -> Option<Event> {
        let Letter { decided, message, .. } = letter;
        let told = delivered(&decided.accepted, placed)?;
        let submission = decided.accepted.source.kind.submission()?;
        let header = compress::decompress_header(message).ok();
        let raw = report_of(&decided.accepted, told, &self.hostname, header.as_deref());
        let sender = (submission.submitter.account, submission.submitter.address.clone());
        let id = decided.accepted.id.report();
        let message = match accept::compressed(raw).await {
            Ok(message) => message,
            Err(error) => {
                tracing::error!(%id, %error, "a report can't be packed");
                return None;
            }
        };
        let report = pennypost_reports::accepted(sender, id, &self.hostname, message);
        let report = report.private(decided.accepted.source.kind.is_private());
        Some(Event::Accepted(Box::new(report)))
    }

    /// The message with its bytes. `None` if its spooled bytes are gone because it has been delivered: then this
    /// is a late repetition.
    async fn with_bytes(&self, mut decided: Decided) -> Result<Option<Letter>, Failure> {
        let elsewhere = Body::Spooled { object: String::new(), size: 0 };
        let body = std::mem::replace(&mut decided.accepted.body, elsewhere);
        let (message, spooled) = match body {
            Body::Inline(message) => (message, None),
            Body::Spooled { object, .. } => {
                let bytes = match self.store.objects().get(&object).await {
                    Ok((bytes, _)) => bytes,
                    Err(PortError::NotFound { .. })
                        if was_delivered(&*self.log, decided.accepted.tenant, decided.accepted.id)
                            .await? =>
                    {
                        return Ok(None);
                    }
                    Err(error) => return Err(failure(&error.into())),
                };
                let message = codec::decode(&bytes).map_err(|error| Failure::permanent(&error))?;
                (message, Some(object))
            }
        };
        Ok(Some(Letter { decided, message, spooled }))
    }

    /// Which copies are there already, from an earlier try.
    async fn find_delivered(&self, letters: &[(usize, Letter)], failures: &mut [Option<Failure>]) -> Found {
        let mut accounts: BTreeMap<AccountKey, Vec<(usize, EventId, Timestamp)>> = BTreeMap::new();
        for (index, letter) in letters {
            let accepted = &letter.decided.accepted;
            // Of those, too, from whom it is kept now: they may have got it when nothing spoke against it.
            for recipient in accepted.recipients.iter().filter(|recipient| recipient.via != Via::Outside) {
                let copy = accepted.copy_id(recipient);
                accounts.entry(recipient.account).or_default().push((*index, copy, accepted.earliest()));
            }
        }
        let mut found = Found::default();
        for (account, wanted) in accounts {
            let events: Vec<_> = wanted.iter().map(|(_, event, time)| (*event, *time)).collect();
            match self.tips.look(account, &events).await {
                Ok((_, copies)) => found.extend(copies.into_iter().map(|(event, c)| ((account, event), c))),
                Err(error) => wanted.iter().for_each(|(index, ..)| failures[*index] = Some(failure(&error))),
            }
        }
        found
    }

    /// Packs all messages that still have somebody to go to, and writes the packs that don't go with an entry.
    async fn pack(
        &self,
        letters: &[(usize, Letter)],
        found: &Found,
        failures: &mut [Option<Failure>],
    ) -> Packed {
        let mut packed = Packed::default();
        let wanting = letters.iter().filter(|(_, letter)| {
            let accepted = &letter.decided.accepted;
            copies(&letter.decided).any(|r| !found.contains_key(&(r.account, accepted.copy_id(r))))
        });
        let (alone, together) = self.by_account(wanting);
        let alone = alone.into_iter().map(|(account, group)| (Some(account), account.tenant, group));
        let together =
            in_packs(together.into_iter()).into_iter().map(|(tenant, group)| (None, tenant, group));
        for (account, tenant, group) in alone.chain(together) {
            let entries: Vec<PackEntry<'_>> = group.iter().map(|(_, letter)| letter.pack_entry()).collect();
            let written = match account {
                Some(_) => self.store.pack_for_entry(tenant, &entries, WITH_ENTRY).await,
                None => self.store.put_pack(tenant, &entries).await.map(|refs| (refs, None)),
            };
            match written {
                Ok((refs, object)) => {
                    packed.blobs.extend(group.iter().map(|(index, _)| *index).zip(refs));
                    packed.with_entry.extend(account.zip(object));
                }
                Err(error) => group.iter().for_each(|(index, _)| failures[*index] = Some(failure(&error))),
            }
        }
        packed
    }

    /// What goes to one account alone and is small enough to go with its entry, by account; and the rest.
    fn by_account<'a>(
        &self,
        letters: impl Iterator<Item = &'a (usize, Letter)>,
    ) -> (BTreeMap<AccountKey, Vec<Numbered<'a>>>, Vec<Numbered<'a>>) {
        // What a pack holds beside messages is seldom more than that.
        let room = self.store.journal().takes_objects().min(WITH_ENTRY) / 4 * 3;
        let mut alone: BTreeMap<AccountKey, (usize, Vec<_>)> = BTreeMap::new();
        let (mut together, mut left) = (Vec::new(), WITH_ENTRIES);
        for numbered in letters {
            let (_, letter) = numbered;
            let mut accounts = copies(&letter.decided).map(|recipient| recipient.account);
            let first = accounts.next().filter(|first| accounts.all(|account| account == *first));
            let size = letter.message.stored_len();
            let taken = |account: AccountKey| alone.get(&account).map_or(0, |(taken, _)| *taken);
            match first.filter(|account| size <= left && taken(*account) + size <= room) {
                Some(account) => {
                    left -= size;
                    let (taken, group) = alone.entry(account).or_default();
                    *taken += size;
                    group.push(numbered);
                }
                None => together.push(numbered),
            }
        }
        (alone.into_iter().map(|(account, (_, group))| (account, group)).collect(), together)
    }

    /// Commits one entry for each account. What was placed, with what had been found before.
    async fn commit(
        &self,
        letters: &[(usize, Letter)],
        packed: Packed,
        mut found: Found,
        failures: &mut [Option<Failure>],
    ) -> Found {
        let Packed { blobs, mut with_entry } = packed;
        let mut accounts: BTreeMap<AccountKey, Vec<Delivery<'_>>> = BTreeMap::new();
        let packed = letters.iter().filter(|(index, _)| blobs.contains_key(index));
        let summaries: BTreeMap<usize, Summary> =
            packed.map(|(index, letter)| (*index, Summary::of(&letter.decided.sidecar))).collect();
        for (index, letter) in letters {
            let (Some(blob), Some(summary)) = (blobs.get(index), summaries.get(index)) else { continue };
            let decided = &letter.decided;
            for (recipient, decision) in decided.each() {
                let event = decided.accepted.copy_id(recipient);
                if has_copy(recipient, decision) && !found.contains_key(&(recipient.account, event)) {
                    let (index, blob, size) = (*index, *blob, letter.message.size);
                    let delivery =
                        Delivery { index, event, decided, recipient, decision, blob, size, summary };
                    accounts.entry(recipient.account).or_default().push(delivery);
                }
            }
        }
        let mut commits: Vec<BoxFuture<'_, Committed>> = Vec::new();
        for (account, deliveries) in accounts {
            let indices: Vec<usize> = deliveries.iter().map(|delivery| delivery.index).collect();
            let (store, tips, wakeups) = (&self.store, &self.tips, self.wakeups.as_deref());
            let pack = with_entry.remove(&account);
            let copies = Copies { store, tips, wakeups, account, deliveries, pack };
            commits.push(async move { (indices, copies.commit().await) }.boxed());
        }
        let mut results = futures::stream::iter(commits).buffer_unordered(CONCURRENT_ACCOUNTS);
        while let Some((indices, result)) = results.next().await {
            match result {
                Ok(placed) => found.extend(placed),
                Err(error) => indices.iter().for_each(|index| failures[*index] = Some(failure(&error))),
            }
        }
        found
    }

    /// Puts into quarantine what is to lie there.
    async fn keep(&self, letters: &[(usize, Letter)], placed: &Found, failures: &mut [Option<Failure>]) {
        for (index, letter) in letters {
            let kept: Vec<HeldLetter> = kept(letter, placed, self.store.clock().now()).collect();
            if kept.is_empty() || failures[*index].is_some() {
                continue;
            }
            let Some(quarantine) = &self.quarantine else {
                failures[*index] = Some(Failure::temporary("there is no quarantine here"));
                continue;
            };
            if let Err(error) = quarantine.keep(&letter.decided.accepted, &letter.message, &kept).await {
                let is_temporary = error.is_temporary();
                let failure =
                    if is_temporary { Failure::temporary(&error) } else { Failure::permanent(&error) };
                failures[*index] = Some(failure);
            }
        }
    }

    async fn trace(&self, letters: &[(usize, Letter)], placed: &Found, failures: &mut [Option<Failure>]) {
        let time = self.store.clock().now();
        let mut records = Vec::new();
        let mut traced = Vec::new();
        let delivered: Vec<&(usize, Letter)> =
            letters.iter().filter(|(index, _)| failures[*index].is_none()).collect();
        let parts: Vec<Part> = delivered.iter().map(|(_, letter)| letter.part()).collect();
        for ((index, letter), used) in delivered.into_iter().zip(usage::take(&parts)) {
            let (tenant, message) = (letter.decided.accepted.tenant, letter.decided.accepted.id);
            let submission = letter.decided.accepted.source.kind.submission();
            let submitter = submission.map(|submission| submission.submitter.clone());
            let step = journey(letter, placed);
            let record = TraceRecord { used, submitter, ..TraceRecord::new(tenant, message, time, step) };
            let value = codec::encode(&record);
            records.push(LogRecord { tenant, kind: LogKind::Trace, id: message, time, value });
            traced.push(*index);
        }
        if records.is_empty() {
            return;
        }
        // Only what goes to other servers waits for the trace: the next stage follows it.
        let leaves = letters.iter().any(|(_, letter)| letter.decided.leaves());
        let appended =
            if leaves { self.log.append(&records).await } else { self.log.append_unhurried(&records).await };
        if let Err(error) = appended {
            traced.iter().for_each(|index| failures[*index] = Some(failure(&error.clone().into())));
        }
    }

    /// A spooled message that lies in a pack now is not needed any more, unless it goes to other servers, too: then
    /// send-remote removes it; or somebody is still to be told of it: then its event is to find it if it comes again, and
    /// housekeeping removes it.
    async fn drop_spooled(&self, letters: &[(usize, Letter)], placed: &Found, failures: &[Option<Failure>]) {
        for (_, letter) in letters.iter().filter(|(index, _)| failures[*index].is_none()) {
            if let Some(object) = &letter.spooled
                && !letter.decided.leaves()
                && notice::of(&letter.decided, placed, None).is_empty()
                // Its report may still be lost on its way, and is made of it again: housekeeping removes it.
                && !letter.decided.accepted.source.kind.wishes().is_some_and(Wishes::wants_success)
                && !letter.decided.decisions.iter().any(is_refused)
                && let Err(error) = self.store.objects().delete(object).await
            {
                tracing::warn!(%error, "a spooled message is left for housekeeping");
            }
        }
    }
}

/// Bytes of a message that is in its event.
fn inline_bytes(event: &Event) -> u64 {
    match event {
        Event::Accepted(accepted) => match &accepted.body {
            Body::Inline(message) => message.stored_len() as u64,
            Body::Spooled { .. } => 0,
        },
        _ => 0,
    }
}

/// Is its sender told that a recipient's rules refuse it?
fn is_refused(decision: &Decision) -> bool {
    decision.target == Target::Withheld(Withheld::RefusedByRecipient)
}

#[async_trait]
impl Handler for Deliver {
    fn stage(&self) -> Stage {
        Stage::Deliver
    }

    async fn handle(&self, events: Vec<Event>) -> Vec<Outcome> {
        let mut outcomes: Vec<Option<Outcome>> = Vec::with_capacity(events.len());
        let mut parts: Vec<Vec<Decided>> = vec![Vec::new()];
        let mut bytes = 0;
        for event in events {
            let decided = match readable(event) {
                Ok(decided) => decided,
                Err(failure) => {
                    outcomes.push(Some(Err(failure)));
                    continue;
                }
            };
            outcomes.push(None);
            if bytes > PART_BYTES {
                parts.push(Vec::new());
                bytes = 0;
            }
            bytes += match &decided.accepted.body {
                Body::Inline(message) => message.stored_len() as u64,
                Body::Spooled { size, .. } => *size,
            };
            if let Some(part) = parts.last_mut() {
                part.push(decided);
            }
        }
        // All that follows from a batch is in memory until the end of it.
        let mut room = PART_BYTES;
        let mut delivered = Vec::with_capacity(outcomes.len());
        for part in parts {
            delivered.extend(self.deliver(part, &mut room).await);
        }
        let mut delivered = delivered.into_iter();
        let missing = || Err(Failure::temporary("no outcome"));
        outcomes
            .into_iter()
            .map(|outcome| outcome.unwrap_or_else(|| delivered.next().unwrap_or_else(missing)))
            .collect()
    }
}

/// The message, if the event is one for this handler and names nothing of another tenant (invariant 7).
fn readable(event: Event) -> Result<Decided, Failure> {
    let Event::Decided(decided) = event else { return Err(Failure::misrouted(&event, Stage::Deliver)) };
    let accepted = &decided.accepted;
    if decided.decisions.len() != accepted.recipients.len() {
        return Err(Failure::permanent("decisions and recipients differ in number"));
    }
    if !accepted.names_only_its_tenant() {
        return Err(Failure::permanent("the event names something of another tenant"));
    }
    Ok(*decided)
}

/// Does the recipient get a copy here?
fn has_copy(recipient: &Recipient, decision: &Decision) -> bool {
    recipient.via != Via::Outside && !matches!(decision.target, Target::Withheld(_))
}

/// The recipients that get a copy here.
fn copies(decided: &Decided) -> impl Iterator<Item = &Recipient> {
    let copies = decided.each().filter(|(recipient, decision)| has_copy(recipient, decision));
    copies.map(|(recipient, _)| recipient)
}

/// What is to lie in quarantine: for those who have not got the letter.
fn kept<'a>(letter: &'a Letter, placed: &'a Found, now: Timestamp) -> impl Iterator<Item = HeldLetter> + 'a {
    let accepted = &letter.decided.accepted;
    let facts = &letter.decided.sidecar.facts;
    letter.decided.each().filter_map(move |(recipient, decision)| {
        let Target::Withheld(Withheld::Quarantined(held_for)) = decision.target else { return None };
        let has_it = placed.contains_key(&(recipient.account, accepted.copy_id(recipient)));
        (recipient.via != Via::Outside && !has_it).then(|| HeldLetter {
            letter: accepted.id,
            account: recipient.account,
            address: recipient.address.clone(),
            accepted: accepted.time,
            kept: now,
            reverse_path: accepted.reverse_path.clone(),
            from: facts.from.first().cloned().unwrap_or_default(),
            subject: cut(&facts.subject, 200).to_owned(),
            size: letter.message.size,
            held_for,
            reasons: decision.reasons.clone(),
            state: HeldState::Held,
        })
    })
}

/// The accounts that a pack entry is for, each once.
fn owners(decided: &Decided) -> Vec<AccountId> {
    let others = |account| copies(decided).any(|r| r.account == account && r.via != Via::Sent);
    let once = copies(decided).filter(|r| r.via != Via::Sent || !others(r.account));
    once.map(|recipient| recipient.account.account).collect()
}

/// Groups letters by tenant into packs of about [`PACK_BYTES`].
fn in_packs<'a>(
    letters: impl Iterator<Item = &'a (usize, Letter)>,
) -> Vec<(TenantId, Vec<&'a (usize, Letter)>)> {
    let mut packs: Vec<(TenantId, Vec<&'a (usize, Letter)>)> = Vec::new();
    let mut open: BTreeMap<TenantId, (usize, usize)> = BTreeMap::new();
    for letter in letters {
        let tenant = letter.1.decided.accepted.tenant;
        let (pack, bytes) = *open.entry(tenant).or_insert_with(|| {
            packs.push((tenant, Vec::new()));
            (packs.len() - 1, 0)
        });
        packs[pack].1.push(letter);
        let bytes = bytes + letter.1.message.stored_len();
        if bytes >= PACK_BYTES {
            open.remove(&tenant);
        } else {
            open.insert(tenant, (pack, bytes));
        }
    }
    packs
}

/// The trace of a delivered message.
fn journey(letter: &Letter, placed: &Found) -> TraceStep {
    let accepted = &letter.decided.accepted;
    let facts = &letter.decided.sidecar.facts;
    let recipients = accepted.recipients.iter().zip(&letter.decided.decisions);
    let recipients = recipients.map(|(recipient, decision)| TraceRecipient {
        address: recipient.address.clone(),
        account: recipient.account,
        reasons: reasons(decision, placed.get(&(recipient.account, accepted.copy_id(recipient)))),
        outcome: match placed.get(&(recipient.account, accepted.copy_id(recipient))) {
            _ if recipient.via == Via::Outside => outside(decision),
            Some(copy) => Journey::Stored {
                seq: copy.seq,
                uid: copy.uid,
                rid: copy.rid,
                mailbox: tip::mailbox_label(copy.mailbox),
            },
            None => withheld(decision),
        },
    });
    let mut recipients: Vec<TraceRecipient> = recipients.chain(elsewhere(&letter.decided)).collect();
    let is_reader = |recipient: &Recipient| !matches!(recipient.via, Via::Outside | Via::Sent | Via::Drafts);
    let mut readers = accepted
        .recipients
        .iter()
        .zip(&mut recipients)
        .filter(|(one, traced)| is_reader(one) && matches!(traced.outcome, Journey::Stored { .. }));
    if let Some((_, first)) = readers.next()
        && let Some(asker) = receipts::asker(letter)
    {
        first.reasons.push(format!("{RECEIPT_REASON}{asker}"));
    }
    let peer = accepted.source.ip.map(|ip| ip.to_string()).unwrap_or_default();
    TraceStep::Delivered {
        accepted: accepted.time,
        peer: format!("{peer} {}", cut(&accepted.source.helo, 100)).trim().to_owned(),
        reverse_path: accepted.reverse_path.clone(),
        subject: cut(&facts.subject, 100).to_owned(),
        message_id: cut(facts.message_id.as_deref().unwrap_or_default(), 200).to_owned(),
        size: letter.message.size,
        auth: [accepted.auth.spf, accepted.auth.dkim, accepted.auth.dmarc],
        recipients,
    }
}

/// What came of a recipient who has no copy.
fn withheld(decision: &Decision) -> Journey {
    let Target::Withheld(withheld) = decision.target else {
        return Journey::Refused { cause: "not placed".to_owned() };
    };
    let is_cause = |reason: &&String| reason.starts_with(VIRUS_REASON) || reason.starts_with(SPAM_REASON);
    let found = decision.reasons.iter().find(is_cause).cloned();
    let named = |held_for: HeldFor| found.clone().unwrap_or_else(|| held_for.name().to_owned());
    match withheld {
        Withheld::Quarantined(held_for) => Journey::Quarantined { cause: named(held_for) },
        Withheld::Refused(held_for) => Journey::Refused { cause: named(held_for) },
        // Delivery not authorised, message refused (RFC 3463 section 3.8).
        Withheld::RefusedByRecipient => {
            Journey::Refused { cause: "5.7.1 refused by the recipient".to_owned() }
        }
        Withheld::Deleted(held_for) => {
            Journey::Refused { cause: format!("deleted, as the organisation says: {}", named(held_for)) }
        }
    }
}

/// The same of one at another server.
fn outside(decision: &Decision) -> Journey {
    if matches!(decision.target, Target::Withheld(_)) { withheld(decision) } else { Journey::Outside }
}

/// Why the copy is where it is: what was decided, and whether an earlier decision had placed it.
fn reasons(decision: &Decision, copy: Option<&Copy>) -> Vec<String> {
    let mut reasons = decision.reasons.clone();
    if let (Some(wanted), Some(copy)) = (account::mailbox_of(decision.target), copy)
        && copy.mailbox != wanted
    {
        reasons.push(PLACED_BEFORE_REASON.to_owned());
    }
    reasons
}

/// The members elsewhere of groups, with whose they are.
fn elsewhere(decided: &Decided) -> impl Iterator<Item = TraceRecipient> {
    let accepted = &decided.accepted;
    // What goes to nobody goes to them neither.
    let refused = decided.decisions.iter().find(|_| decided.is_refused()).map(withheld);
    let outcome = refused.unwrap_or(Journey::Outside);
    let account = accepted.source.kind.submission().map(|submission| submission.submitter.account);
    accepted.source.kind.groups().iter().flat_map(move |group| {
        let outcome = outcome.clone();
        group.members.iter().map(move |member| TraceRecipient {
            address: member.address.clone(),
            account: account.unwrap_or_default(),
            reasons: vec![format!("{GROUP_REASON}{}", group.address)],
            outcome: outcome.clone(),
        })
    })
}

/// Those recipients who have the message here and of whom its sender wanted to hear that: each address once, if all behind it
/// have it. `None`: there are none, or nobody is to be told.
fn delivered(accepted: &Accepted, placed: &Found) -> Option<Vec<Told>> {
    // Those from whom it is kept are behind their addresses, too.
    let is_copy = |one: &&Recipient| !matches!(one.via, Via::Outside | Via::Sent);
    let wishes = accepted.source.kind.wishes().filter(|_| !accepted.reverse_path.is_empty())?;
    let has_it = |one: &&Recipient| placed.contains_key(&(one.account, accepted.copy_id(one)));
    let told = wishes.recipients.iter().filter(|wish| wish.notify.is_some_and(|notify| notify.success));
    let told = told.filter_map(|wish| {
        let behind = || accepted.recipients.iter().filter(is_copy).filter(|one| one.address == wish.address);
        let is_group = behind().any(|one| one.via == Via::Group);
        let is_there = behind().next().is_some() && behind().all(|one| has_it(&one));
        is_there.then(|| Told {
            address: wish.address.clone(),
            original: wish.original.clone(),
            action: if is_group { Action::Expanded } else { Action::Delivered },
            status: "2.1.5".to_owned(),
            cause: [String::new(), String::new()],
            server: None,
            tried: None,
        })
    });
    let told: Vec<Told> = told.collect();
    (!told.is_empty()).then_some(told)
}

fn report_of(accepted: &Accepted, told: Vec<Told>, hostname: &str, header: Option<&[u8]>) -> Vec<u8> {
    let (wishes, submission) = (accepted.source.kind.wishes(), accepted.source.kind.submission());
    let report = Report {
        id: accepted.id.report(),
        // The time of the message, so that one that is made anew is the same.
        time: accepted.time,
        hostname,
        to: submission.map_or("", |submission| &submission.submitter.address),
        arrived: accepted.time,
        envelope_id: wishes.and_then(|wishes| wishes.envelope_id.as_deref()),
        about: About::Success,
        told,
        letter: header,
        is_whole: false,
    };
    report.message()
}

/// What follows from a delivered message: wake-ups, and housekeeping where a tail has grown long.
fn follow(decided: &Decided, placed: &Found) -> Vec<Event> {
    let mut events = Vec::new();
    for recipient in copies(decided) {
        let copy = (recipient.account, decided.accepted.copy_id(recipient));
        let Some(copy) = placed.get(&copy) else { continue };
        events.push(Event::Changed(Changed { account: recipient.account, seq: copy.seq }));
        if copy.wants_housekeeping {
            events.push(Event::House(House::Account(recipient.account)));
        }
    }
    events
}

fn failure(error: &StoreError) -> Failure {
    if error.is_temporary() { Failure::temporary(error) } else { Failure::permanent(error) }
}
