//! One entry for one account: all copies of the batch that it gets.

use std::collections::BTreeSet;

use pennypost_fold::{Draft, DraftError, NewMessage};
use pennypost_mailstore::summary::{Summary, add_envelopes};
use pennypost_mailstore::{ChangeError, Mailstore, StoreError};
use pennypost_model::event::{Decided, Decision, Recipient, Target, Via};
use pennypost_model::journal::{Actor, Entry, Op};
use pennypost_model::message::BlobRef;
use pennypost_model::{AccountKey, EventId, MailboxId, MailboxRole, Timestamp, Uid};
use pennypost_ports::{Appended, Consistency, NewObject, Wakeups};

use crate::tip::{Copy, Found, Mark, Tips};

/// Lost races before the batch gives up and comes again.
const MAX_TRIES: u32 = 40;
/// Name of the folder for mail to unknown addresses (RCV-17).
const TRANSFER_MAILBOX: &str = "Mail transfer";

/// A copy to be added.
#[derive(Clone, Copy)]
pub struct Delivery<'a> {
    /// Number of the event in the batch.
    pub index: usize,
    /// The event id of the copy.
    pub event: EventId,
    /// The message.
    pub decided: &'a Decided,
    /// Who gets it.
    pub recipient: &'a Recipient,
    /// Where it goes.
    pub decision: &'a Decision,
    /// Where its bytes lie.
    pub blob: BlobRef,
    /// Bytes as received.
    pub size: u64,
    /// What its entry tells of it.
    pub summary: &'a Summary,
}

/// The newest end of an account, the copies found up to there, and the deliveries not found.
type Split<'b, 'c> = (Mark, Vec<(EventId, Copy)>, Vec<&'b Delivery<'c>>);

/// The copies for one account.
pub struct Copies<'a> {
    /// The store.
    pub store: &'a Mailstore,
    /// What is known of the account.
    pub tips: &'a Tips,
    /// Who is told of an entry at once.
    pub wakeups: Option<&'a dyn Wakeups>,
    /// The account.
    pub account: AccountKey,
    /// What it gets.
    pub deliveries: Vec<Delivery<'a>>,
    /// A pack of some of them that is put with the first entry.
    pub pack: Option<NewObject>,
}

impl Copies<'_> {
    /// Commits them all; where each is. Copies that somebody else has added meanwhile are not added again.
    pub async fn commit(mut self) -> Result<Found, StoreError> {
        // A queue may hand out an event twice in one batch.
        let mut seen = BTreeSet::new();
        self.deliveries.retain(|delivery| seen.insert(delivery.event));
        let mut placed = Found::new();
        let mut pack = self.pack.take();
        for some in self.deliveries.chunks(self.tips.memory().copies_per_entry) {
            let copies = self.append(some, &mut pack).await?;
            placed.extend(copies.into_iter().map(|(event, copy)| ((self.account, event), copy)));
        }
        Ok(placed)
    }

    /// One entry: whatever is not in the journal yet. `pack` goes with it, and is gone then.
    async fn append(
        &self,
        deliveries: &[Delivery<'_>],
        pack: &mut Option<NewObject>,
    ) -> Result<Vec<(EventId, Copy)>, StoreError> {
        for attempt in 0..MAX_TRIES {
            let (mark, mut placed, missing) = self.split(deliveries).await?;
            if missing.is_empty() {
                return Ok(placed);
            }
            let entry = match self.entry(mark, &missing)? {
                Some(entry) => Some(entry),
                None => self.entry_by_state(mark, &missing).await?,
            };
            let Some(entry) = entry else {
                self.tips.catch_up(self.account, mark).await?;
                continue;
            };
            let appended = match pack.as_ref() {
                Some(pack) => self.store.journal().append_with(self.account, &entry, pack.clone()).await?,
                None => self.store.journal().append(self.account, &entry).await?,
            };
            match appended {
                Appended::Committed => {
                    *pack = None;
                    placed.extend(self.tips.committed(self.account, &entry));
                    if let Some(wakeups) = self.wakeups
                        && let Err(error) = wakeups.wake(self.account, entry.seq).await
                    {
                        tracing::debug!(account = %self.account, %error, "not woken at once");
                    }
                    return Ok(placed);
                }
                Appended::Lost(_) => {
                    self.store.pause(attempt).await;
                    self.tips.catch_up(self.account, mark).await?;
                }
            }
        }
        Err(StoreError::Busy)
    }

    /// The newest end known of the account, which copies are in the journal up to there, and which are missing.
    async fn split<'b, 'c>(&self, deliveries: &'b [Delivery<'c>]) -> Result<Split<'b, 'c>, StoreError> {
        let event = |delivery: &Delivery<'_>| (delivery.event, delivery.decided.accepted.earliest());
        let events: Vec<(EventId, Timestamp)> = deliveries.iter().map(event).collect();
        let (mark, found) = self.tips.look(self.account, &events).await?;
        let is_missing = |delivery: &&Delivery<'_>| !found.contains_key(&delivery.event);
        let missing = deliveries.iter().filter(is_missing).collect();
        Ok((mark, found.into_iter().collect(), missing))
    }

    /// The short way: the newest entry says all that the next one needs. `None` if a mailbox may have to be made
    /// first.
    fn entry(&self, mark: Mark, deliveries: &[&Delivery<'_>]) -> Result<Option<Entry>, StoreError> {
        let mut used = mark.used;
        let mut next_uid = mark.next_uid;
        let mut ops = Vec::with_capacity(deliveries.len());
        for (index, delivery) in (0..).zip(deliveries) {
            let target = delivery.decision.target;
            let Some(mailbox) = mailbox_of(target).or(mark.transfer) else { return Ok(None) };
            let new = self.new_message(delivery, mailbox);
            used.bytes += new.size;
            used.messages += 1;
            ops.push(Op::Add(Box::new(new.numbered(Uid(next_uid), index))));
            next_uid = next_uid.checked_add(1).filter(|uid| *uid < u32::MAX).ok_or(StoreError::Busy)?;
        }
        let time = self.store.clock().now().max(mark.time);
        let mut entry = Entry { seq: mark.seq.next(), time, actor: Actor::Delivery, next_uid, used, ops };
        add_envelopes(&mut entry, deliveries.iter().map(|delivery| delivery.summary));
        Ok(Some(entry))
    }

    /// The long way, once for each account that gets mail to unknown addresses. `None` if `mark` is not the end.
    async fn entry_by_state(
        &self,
        mark: Mark,
        deliveries: &[&Delivery<'_>],
    ) -> Result<Option<Entry>, StoreError> {
        let state = self.store.load(self.account, Consistency::Strong).await?;
        if state.seq != mark.seq {
            return Ok(None);
        }
        if let Some(transfer) = state.mailbox_with_role(MailboxRole::Transfer) {
            self.tips.learn_transfer(self.account, state.seq, transfer.id);
        }
        let mut draft = Draft::new(&state, Actor::Delivery, self.store.clock().now());
        for delivery in deliveries {
            let mailbox = mailbox_in(&mut draft, delivery.decision.target).map_err(refused)?;
            let mut new = self.new_message(delivery, mailbox);
            // Labels for which the account has no room are left out, as the fold leaves them out of what goes the short way.
            draft.fit_keywords(&mut new.flags);
            draft.add(new).map_err(refused)?;
        }
        Ok(draft.finish().map(|(entry, _)| entry))
    }

    fn new_message(&self, delivery: &Delivery<'_>, mailbox: MailboxId) -> NewMessage {
        let accepted = &delivery.decided.accepted;
        let facts = &delivery.decided.sidecar.facts;
        NewMessage {
            mailbox,
            flags: delivery.decision.flags.clone(),
            internal_date: accepted.time,
            sent: facts.sent,
            size: delivery.size,
            thread: facts.thread,
            message_id_hash: facts.message_id_hash,
            event: delivery.event,
            blob: delivery.blob,
            card: delivery.summary.card().clone(),
            receipt: match (accepted.source.kind.submission(), delivery.recipient.via) {
                (Some(submission), Via::Sent) => submission.bcc.clone(),
                (_, Via::Drafts) => String::new(),
                _ => format!("Delivered-To: {}\r\n", delivery.recipient.address),
            },
        }
    }
}

/// The mailbox, if its number is known without looking: the decision names it, or every account has it from the beginning. A
/// folder that is gone by now is not looked for: every reader puts what would be in it into the Inbox.
pub const fn mailbox_of(target: Target) -> Option<MailboxId> {
    match target {
        Target::Mailbox(mailbox) => Some(mailbox),
        // Policy decides that of no copy that is kept here; if it did, it would be kept all the same.
        Target::Role(MailboxRole::Inbox) | Target::Outside | Target::Withheld(_) => Some(MailboxId::INBOX),
        Target::Role(MailboxRole::Junk) => Some(MailboxId::JUNK),
        Target::Role(MailboxRole::Trash) => Some(MailboxId::TRASH),
        Target::Role(MailboxRole::Sent) => Some(MailboxId::SENT),
        Target::Role(MailboxRole::Drafts) => Some(MailboxId::DRAFTS),
        Target::Role(MailboxRole::Archive) => Some(MailboxId::ARCHIVE),
        Target::Role(MailboxRole::Transfer) => None,
    }
}

/// The mailbox, made if it is missing.
fn mailbox_in(draft: &mut Draft, target: Target) -> Result<MailboxId, DraftError> {
    if let Some(mailbox) = mailbox_of(target) {
        return Ok(mailbox);
    }
    if let Some(mailbox) = draft.state().mailbox_with_role(MailboxRole::Transfer) {
        return Ok(mailbox.id);
    }
    let mut name = TRANSFER_MAILBOX.to_owned();
    while draft.state().mailbox_named(&name).is_some() {
        name.push('+');
    }
    draft.create_mailbox(&name, Some(MailboxRole::Transfer))
}

fn refused(error: DraftError) -> StoreError {
    match ChangeError::Decided(error) {
        ChangeError::Store(error) => error,
        ChangeError::Decided(error) => StoreError::Damaged(error.to_string()),
    }
}
