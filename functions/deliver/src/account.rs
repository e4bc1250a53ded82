//! One entry for one account: all copies of the batch that it gets.

use std::collections::BTreeSet;

use pennypost_fold::{Draft, DraftError, NewMessage};
use pennypost_mailstore::{ChangeError, Mailstore, StoreError};
use pennypost_model::event::{Decided, Decision, Recipient, Target};
use pennypost_model::journal::{Actor, Add, Entry, Op};
use pennypost_model::message::{BlobRef, Card};
use pennypost_model::{AccountKey, EventId, MailboxId, MailboxRole, Rid, Uid};
use pennypost_ports::{Appended, Consistency};

use crate::tip::{Copy, Found, Tip, Tips};

/// Lost races before the batch gives up and comes again.
const MAX_TRIES: u32 = 40;
/// Copies in one entry: it stays below 64 KB.
const COPIES_PER_ENTRY: usize = 50;
/// Name of the folder for mail to unknown addresses (RCV-17).
const TRANSFER_MAILBOX: &str = "Mail transfer";

/// A copy to be added.
#[derive(Clone, Copy)]
pub struct Delivery<'a> {
    /// Number of the event in the batch.
    pub index: usize,
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
}

/// The copies for one account.
pub struct Copies<'a> {
    /// The store.
    pub store: &'a Mailstore,
    /// What is known of the account.
    pub tips: &'a Tips,
    /// The account.
    pub account: AccountKey,
    /// What it gets.
    pub deliveries: Vec<Delivery<'a>>,
}

impl Copies<'_> {
    /// Commits them all; where each is. Copies that somebody else has added meanwhile are not added again.
    pub async fn commit(mut self) -> Result<Found, StoreError> {
        // A queue may hand out an event twice in one batch.
        let mut seen = BTreeSet::new();
        self.deliveries.retain(|delivery| seen.insert(delivery.decided.accepted.id));
        let mut placed = Found::new();
        for some in self.deliveries.chunks(COPIES_PER_ENTRY) {
            let special = some.iter().any(|delivery| mailbox_of(delivery.decision.target).is_none());
            let copies = if special { self.commit_by_state(some).await? } else { self.append(some).await? };
            placed.extend(copies.into_iter().map(|(event, copy)| ((self.account, event), copy)));
        }
        Ok(placed)
    }

    /// The short way: the newest entry says all that the next one needs.
    async fn append(&self, deliveries: &[Delivery<'_>]) -> Result<Vec<(EventId, Copy)>, StoreError> {
        let mut tip = self.tips.tip(self.account).await?;
        for attempt in 0..MAX_TRIES {
            let (mut placed, missing) = self.split(&tip, deliveries).await?;
            if missing.is_empty() {
                return Ok(placed);
            }
            let entry = self.entry(&tip, &missing)?;
            match self.store.journal().append(self.account, &entry).await? {
                Appended::Committed => {
                    let mut advanced = (*tip).clone();
                    advanced.advance(&entry);
                    let ids = missing.iter().map(|delivery| delivery.decided.accepted.id);
                    placed.extend(ids.filter_map(|event| Some((event, advanced.copy(event)?))));
                    self.tips.put(self.account, advanced);
                    return Ok(placed);
                }
                Appended::Lost(_) => {
                    self.store.pause(attempt).await;
                    tip = self.catch_up(&tip).await?;
                }
            }
        }
        Err(StoreError::Busy)
    }

    /// Which copies are in the journal up to `tip`, and which are missing.
    async fn split<'b, 'c>(
        &self,
        tip: &Tip,
        deliveries: &'b [Delivery<'c>],
    ) -> Result<(Vec<(EventId, Copy)>, Vec<&'b Delivery<'c>>), StoreError> {
        let mut placed = Vec::new();
        let mut missing = Vec::new();
        for delivery in deliveries {
            let accepted = &delivery.decided.accepted;
            match self.tips.find_upto(tip, self.account, accepted.id, accepted.time).await? {
                Some(copy) => placed.push((accepted.id, copy)),
                None => missing.push(delivery),
            }
        }
        Ok((placed, missing))
    }

    /// Reads what came after `tip`, without forgetting what it knows.
    async fn catch_up(&self, tip: &Tip) -> Result<std::sync::Arc<Tip>, StoreError> {
        const PAGE: usize = 500;
        let mut tip = tip.clone();
        loop {
            let entries =
                self.store.journal().since(self.account, tip.seq, PAGE, Consistency::Strong).await?;
            entries.iter().for_each(|entry| tip.advance(entry));
            if entries.len() < PAGE {
                return Ok(self.tips.put(self.account, tip));
            }
        }
    }

    fn entry(&self, tip: &Tip, deliveries: &[&Delivery<'_>]) -> Result<Entry, StoreError> {
        let mut used = tip.used;
        let mut next_uid = tip.next_uid;
        let mut ops = Vec::with_capacity(deliveries.len());
        for (index, delivery) in (0..).zip(deliveries) {
            let new =
                self.new_message(delivery, mailbox_of(delivery.decision.target).unwrap_or(MailboxId::INBOX));
            used.bytes += new.size;
            used.messages += 1;
            ops.push(Op::Add(Box::new(Add {
                uid: Uid(next_uid),
                index,
                mailbox: new.mailbox,
                flags: new.flags,
                internal_date: new.internal_date,
                sent: new.sent,
                size: new.size,
                thread: new.thread,
                message_id_hash: new.message_id_hash,
                event: new.event,
                blob: new.blob,
                card: new.card,
                receipt: new.receipt,
            })));
            next_uid = next_uid.checked_add(1).filter(|uid| *uid < u32::MAX).ok_or(StoreError::Busy)?;
        }
        let time = self.store.clock().now().max(tip.time);
        Ok(Entry { seq: tip.seq.next(), time, actor: Actor::Delivery, next_uid, used, ops })
    }

    /// The long way, for mailboxes that may have to be made first.
    async fn commit_by_state(&self, deliveries: &[Delivery<'_>]) -> Result<Vec<(EventId, Copy)>, StoreError> {
        for attempt in 0..MAX_TRIES {
            let state = self.store.load(self.account, Consistency::Strong).await?;
            let tip = self.tips.reload(self.account, Consistency::Strong).await?;
            let (mut placed, missing) = self.split(&tip, deliveries).await?;
            if missing.is_empty() {
                return Ok(placed);
            }
            if state.seq != tip.seq {
                continue;
            }
            let mut draft = Draft::new(&state, Actor::Delivery, self.store.clock().now());
            for delivery in missing {
                let mailbox = mailbox_in(&mut draft, delivery.decision.target).map_err(refused)?;
                let new = self.new_message(delivery, mailbox);
                let event = new.event;
                let (uid, rid): (Uid, Rid) = draft.add(new).map_err(refused)?;
                let seq = draft.state().seq;
                placed.push((event, Copy { seq, uid, rid, mailbox, wants_housekeeping: false }));
            }
            let Some((entry, _)) = draft.finish() else { return Ok(placed) };
            match self.store.journal().append(self.account, &entry).await? {
                Appended::Committed => {
                    let mut tip = (*tip).clone();
                    tip.advance(&entry);
                    self.tips.put(self.account, tip);
                    return Ok(placed);
                }
                Appended::Lost(_) => self.store.pause(attempt).await,
            }
        }
        Err(StoreError::Busy)
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
            event: accepted.id,
            blob: delivery.blob,
            card: Card::of(facts),
            receipt: format!("Delivered-To: {}\r\n", delivery.recipient.address),
        }
    }
}

/// The mailbox, if every account has it from the beginning under a fixed number.
const fn mailbox_of(target: Target) -> Option<MailboxId> {
    match target {
        Target::Mailbox(mailbox) => Some(mailbox),
        Target::Role(MailboxRole::Inbox) => Some(MailboxId::INBOX),
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
