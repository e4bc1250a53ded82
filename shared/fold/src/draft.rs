//! Making an entry: each step is applied to a working state at once, so that the entry's totals and UIDs are
//! what folding it will give.

use std::sync::Arc;

use pennypost_model::journal::{Actor, Add, DeleteReason, Entry, MailboxOp, Op};
use pennypost_model::message::{BlobRef, Card};
use pennypost_model::{
    EventId, FlagSet, Grantee, MailboxId, MailboxRole, Rid, Rights, SpecialUses, SystemFlags, ThreadId,
    Timestamp, Uid, UidSet,
};

use crate::mailbox::name;
use crate::rows::RowFlags;
use crate::state::{STANDARD, State};

/// Names that an account can subscribe.
pub const MAX_SUBSCRIPTIONS: usize = 20_000;
/// Annotations of an account and all of its mailboxes.
pub const MAX_ANNOTATIONS: usize = 2_000;
/// Bytes of them, names and values.
pub const MAX_ANNOTATION_BYTES: usize = 512 * 1024;
/// Entries of one access control list.
pub const MAX_GRANTEES: usize = 200;

/// Why a change can't be made.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DraftError {
    /// There is no such mailbox (any more).
    #[error("there is no such mailbox")]
    NoMailbox,
    /// A mailbox of that name is there.
    #[error("a mailbox of that name exists")]
    MailboxExists,
    /// No mailbox can have that name.
    #[error("{0}")]
    BadName(&'static str),
    /// The Inbox and the other standard mailboxes can't be deleted: mail is delivered into them.
    #[error("a standard mailbox can't be deleted")]
    Standard,
    /// The caller's view of the account is not the newest.
    #[error("the account has changed meanwhile")]
    Outdated,
    /// The account's keywords are used up.
    #[error("an account can't use more than {} keywords", RowFlags::MAX_KEYWORDS)]
    TooManyKeywords,
    /// Too many names are subscribed.
    #[error("an account can't subscribe more than {MAX_SUBSCRIPTIONS} names")]
    TooManySubscriptions,
    /// The account's annotations are used up.
    #[error("the account has no room for more annotations")]
    TooManyAnnotations,
    /// The list is full.
    #[error("a mailbox can't be shared with more than {MAX_GRANTEES}")]
    TooManyGrantees,
    /// Too much for one entry.
    #[error("too many messages in one change")]
    TooManyMessages,
    /// The account has given all 4 billion UIDs.
    #[error("the account has no UIDs left")]
    UidsExhausted,
}

/// A message to add.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewMessage {
    /// Where it goes.
    pub mailbox: MailboxId,
    /// Its flags.
    pub flags: FlagSet,
    /// INTERNALDATE.
    pub internal_date: Timestamp,
    /// The Date header.
    pub sent: Option<Timestamp>,
    /// Bytes as received.
    pub size: u64,
    /// Its conversation.
    pub thread: ThreadId,
    /// Hash of its Message-ID; 0 when there is none.
    pub message_id_hash: u64,
    /// What brought it.
    pub event: EventId,
    /// Where its bytes lie.
    pub blob: BlobRef,
    /// Its list card.
    pub card: Card,
    /// Header fields particular to this copy.
    pub receipt: String,
}

impl NewMessage {
    /// The op that adds it under `uid`, as the `index`-th message of its entry.
    #[must_use]
    pub fn numbered(self, uid: Uid, index: u16) -> Add {
        Add {
            uid,
            index,
            mailbox: self.mailbox,
            flags: self.flags,
            internal_date: self.internal_date,
            sent: self.sent,
            size: self.size,
            thread: self.thread,
            message_id_hash: self.message_id_hash,
            event: self.event,
            blob: self.blob,
            card: self.card,
            receipt: self.receipt,
        }
    }
}

/// An entry in the making.
#[derive(Debug)]
pub struct Draft {
    state: State,
    actor: Actor,
    ops: Vec<Op>,
    added: usize,
}

impl Draft {
    /// Begins the entry that follows `state`.
    #[must_use]
    pub fn new(state: &State, actor: Actor, now: Timestamp) -> Draft {
        let mut state = state.clone();
        let seq = state.seq.next();
        state.begin(seq, now);
        Draft { state, actor, ops: Vec::new(), added: 0 }
    }

    /// The account as it will be.
    #[must_use]
    pub fn state(&self) -> &State {
        &self.state
    }

    /// The entry, and the state after it. `None` when nothing changes and the account is already open.
    #[must_use]
    pub fn finish(self) -> Option<(Entry, State)> {
        let opens = self.state.seq.0 == 1;
        if self.ops.is_empty() && !opens {
            return None;
        }
        let entry = Entry {
            seq: self.state.seq,
            time: self.state.time,
            actor: self.actor,
            next_uid: self.state.next_uid,
            used: self.state.used,
            ops: self.ops,
        };
        Some((entry, self.state))
    }

    /// Adds a message.
    ///
    /// # Errors
    /// [`DraftError::UidsExhausted`], [`DraftError::TooManyMessages`], [`DraftError::TooManyKeywords`].
    pub fn add(&mut self, message: NewMessage) -> Result<(Uid, Rid), DraftError> {
        self.check_keywords(&message.flags)?;
        let uid = self.take_uids(1)?;
        let index = self.take_indices(1)?;
        let add = message.numbered(uid, index);
        self.push(Op::Add(Box::new(add)));
        Ok((uid, Rid::new(self.state.seq, index)))
    }

    /// Changes flags of those messages of `uids` that are there and do not have them so already. The answer
    /// is which were changed.
    ///
    /// # Errors
    /// [`DraftError::NoMailbox`], [`DraftError::TooManyKeywords`].
    pub fn flags(
        &mut self,
        mailbox: MailboxId,
        uids: &UidSet,
        add: &FlagSet,
        remove: &FlagSet,
    ) -> Result<UidSet, DraftError> {
        self.check_keywords(add)?;
        let there = self.state.mailbox(mailbox).ok_or(DraftError::NoMailbox)?;
        let unknown_keyword = add.keywords.iter().any(|k| self.state.keyword_bit(k).is_none());
        let bits = |flags: &FlagSet| {
            let keywords = flags.keywords.iter().filter_map(|k| self.state.keyword_bit(k));
            keywords.fold(u64::from(flags.system.0), |bits, bit| bits | bit.0)
        };
        let (set, clear) = (bits(add), bits(remove));
        let differs = |flags: RowFlags| unknown_keyword || (flags.0 & !clear | set) != flags.0;
        let changed: UidSet =
            there.rows.select(uids).filter(|(_, row)| differs(row.flags)).map(|(_, row)| row.uid).collect();
        if !changed.is_empty() {
            let op = Op::Flags { mailbox, uids: changed.clone(), add: add.clone(), remove: remove.clone() };
            self.push(op);
        }
        Ok(changed)
    }

    /// Moves messages to another mailbox. The answer maps old UIDs to new ones, in ascending order.
    ///
    /// # Errors
    /// [`DraftError::NoMailbox`], [`DraftError::UidsExhausted`].
    pub fn move_messages(
        &mut self,
        mailbox: MailboxId,
        uids: &UidSet,
        to: MailboxId,
    ) -> Result<Vec<(Uid, Uid)>, DraftError> {
        let present = self.present(mailbox, uids)?;
        self.state.mailbox(to).ok_or(DraftError::NoMailbox)?;
        let Some(first_uid) = self.uids_for(&present)? else { return Ok(Vec::new()) };
        self.push(Op::Move { mailbox, uids: present.clone(), to, first_uid });
        Ok(numbered(&present, first_uid))
    }

    /// Copies messages. The answer maps UIDs to those of the copies, in ascending order.
    ///
    /// # Errors
    /// [`DraftError::NoMailbox`], [`DraftError::UidsExhausted`], [`DraftError::TooManyMessages`].
    pub fn copy_messages(
        &mut self,
        mailbox: MailboxId,
        uids: &UidSet,
        to: MailboxId,
    ) -> Result<Vec<(Uid, Uid)>, DraftError> {
        let present = self.present(mailbox, uids)?;
        self.state.mailbox(to).ok_or(DraftError::NoMailbox)?;
        let Some(first_uid) = self.uids_for(&present)? else { return Ok(Vec::new()) };
        let first_index = self.take_indices(present.len() as usize)?;
        self.push(Op::Copy { mailbox, uids: present.clone(), to, first_uid, first_index });
        Ok(numbered(&present, first_uid))
    }

    /// Deletes messages; they can be restored for the window. The answer is which were there.
    ///
    /// # Errors
    /// [`DraftError::NoMailbox`].
    pub fn delete_messages(
        &mut self,
        mailbox: MailboxId,
        uids: &UidSet,
        reason: DeleteReason,
    ) -> Result<UidSet, DraftError> {
        let present = self.present(mailbox, uids)?;
        if !present.is_empty() {
            self.push(Op::Delete { mailbox, uids: present.clone(), reason });
        }
        Ok(present)
    }

    /// Restores deleted messages. The answer maps the UIDs under which they were deleted to new ones.
    ///
    /// # Errors
    /// [`DraftError::NoMailbox`], [`DraftError::UidsExhausted`].
    pub fn restore_messages(&mut self, uids: &UidSet, to: MailboxId) -> Result<Vec<(Uid, Uid)>, DraftError> {
        self.state.mailbox(to).ok_or(DraftError::NoMailbox)?;
        let present: UidSet = self.state.deleted().select(uids).map(|(_, deleted)| deleted.row.uid).collect();
        let Some(first_uid) = self.uids_for(&present)? else { return Ok(Vec::new()) };
        self.push(Op::Restore { uids: present.clone(), to, first_uid });
        Ok(numbered(&present, first_uid))
    }

    /// Gives up those of these deleted messages that are still there to be restored: nothing brings them back.
    pub fn forget_deleted(&mut self, uids: &UidSet) {
        let there: UidSet = self.state.deleted().select(uids).map(|(_, deleted)| deleted.row.uid).collect();
        if !there.is_empty() {
            self.push(Op::Forget { uids: there });
        }
    }

    /// Creates a mailbox, and those above it that are missing.
    ///
    /// # Errors
    /// [`DraftError::MailboxExists`], [`DraftError::BadName`].
    pub fn create_mailbox(
        &mut self,
        full_name: &str,
        role: Option<MailboxRole>,
    ) -> Result<MailboxId, DraftError> {
        let full_name = name::canonical(full_name);
        name::check(&full_name).map_err(DraftError::BadName)?;
        if self.state.mailbox_named(&full_name).is_some() {
            return Err(DraftError::MailboxExists);
        }
        let levels = full_name.match_indices(name::SEPARATOR).map(|(end, _)| &full_name[..end]);
        for above in levels {
            if self.state.mailbox_named(above).is_none() {
                self.create_one(above, None);
            }
        }
        Ok(self.create_one(&full_name, role))
    }

    fn create_one(&mut self, full_name: &str, role: Option<MailboxRole>) -> MailboxId {
        let id = MailboxId(self.state.highest_mailbox + 1);
        let uid_validity = self.state.fresh_validity();
        let op = MailboxOp::Create { id, name: full_name.to_owned(), role, uid_validity };
        self.push(Op::Mailbox(op));
        // RFC 4314 section 4 leaves it to the server; what is below a shared mailbox is shared alike, as elsewhere.
        let above =
            full_name.rsplit_once(name::SEPARATOR).and_then(|(above, _)| self.state.mailbox_named(above));
        let inherited = above.map(|above| Arc::clone(&above.acl));
        for (grantee, rights) in inherited.iter().flat_map(|acl| acl.iter()) {
            let (grantee, rights) = (grantee.clone(), Some(*rights));
            self.push(Op::Mailbox(MailboxOp::Acl { id, grantee, rights }));
        }
        id
    }

    /// Renames a mailbox with all below it. Renaming the Inbox moves its messages to a new mailbox and leaves
    /// it empty (RFC 3501 section 6.3.5).
    ///
    /// # Errors
    /// [`DraftError::NoMailbox`], [`DraftError::MailboxExists`], [`DraftError::BadName`],
    /// [`DraftError::UidsExhausted`].
    pub fn rename_mailbox(&mut self, id: MailboxId, new_name: &str) -> Result<(), DraftError> {
        let new_name = name::canonical(new_name);
        name::check(&new_name).map_err(DraftError::BadName)?;
        let old_name = self.state.mailbox(id).ok_or(DraftError::NoMailbox)?.name.clone();
        if id == MailboxId::INBOX {
            let to = self.create_mailbox(&new_name, None)?;
            let all = UidSet::from_ranges([(1, u32::MAX)]);
            self.move_messages(id, &all, to)?;
            return Ok(());
        }
        if self.state.mailbox_named(&new_name).is_some() {
            return Err(DraftError::MailboxExists);
        }
        let below = format!("{old_name}{}", name::SEPARATOR);
        if new_name.starts_with(&below) {
            return Err(DraftError::BadName("a mailbox can't be moved below itself"));
        }
        let renamed: Vec<(MailboxId, String)> = self
            .state
            .mailboxes()
            .filter_map(|mailbox| {
                let rest = mailbox.name.strip_prefix(&below)?;
                Some((mailbox.id, format!("{new_name}{}{rest}", name::SEPARATOR)))
            })
            .collect();
        for (_, child) in &renamed {
            name::check(child).map_err(DraftError::BadName)?;
        }
        if let Some((above, _)) = new_name.rsplit_once(name::SEPARATOR)
            && self.state.mailbox_named(above).is_none()
        {
            self.create_mailbox(above, None)?;
        }
        self.push(Op::Mailbox(MailboxOp::Rename { id, name: new_name }));
        for (id, name) in renamed {
            self.push(Op::Mailbox(MailboxOp::Rename { id, name }));
        }
        Ok(())
    }

    /// Subscribes a name or ends that, whether there is such a mailbox or not (RFC 3501 section 6.3.6).
    ///
    /// # Errors
    /// [`DraftError::BadName`], [`DraftError::TooManySubscriptions`].
    pub fn subscribe_name(&mut self, full_name: &str, subscribed: bool) -> Result<(), DraftError> {
        let full_name = name::canonical(full_name);
        if self.state.is_subscribed(&full_name) == subscribed {
            return Ok(());
        }
        if subscribed {
            name::check(&full_name).map_err(DraftError::BadName)?;
            if self.state.subscriptions().len() >= MAX_SUBSCRIPTIONS {
                return Err(DraftError::TooManySubscriptions);
            }
        }
        self.push(Op::Mailbox(MailboxOp::SubscribeName { name: full_name, subscribed }));
        Ok(())
    }

    /// Makes a change that leaves the names subscribed as they were: creating, renaming and deleting by
    /// themselves subscribe what is new and carry or end what was subscribed.
    ///
    /// # Errors
    /// Those of `change`.
    pub fn keeping_subscriptions<T, E: From<DraftError>>(
        &mut self,
        change: impl FnOnce(&mut Draft) -> Result<T, E>,
    ) -> Result<T, E> {
        let before = Arc::clone(self.state.subscriptions());
        let value = change(self)?;
        let after = Arc::clone(self.state.subscriptions());
        if !Arc::ptr_eq(&before, &after) {
            for name in before.symmetric_difference(&after) {
                let subscribed = before.contains(name);
                self.push(Op::Mailbox(MailboxOp::SubscribeName { name: name.clone(), subscribed }));
            }
        }
        Ok(value)
    }

    /// Says what a mailbox is for.
    ///
    /// # Errors
    /// [`DraftError::NoMailbox`].
    pub fn set_uses(&mut self, id: MailboxId, uses: SpecialUses) -> Result<(), DraftError> {
        let mailbox = self.state.mailbox(id).ok_or(DraftError::NoMailbox)?;
        if mailbox.uses != uses {
            self.push(Op::Mailbox(MailboxOp::Uses { id, uses }));
        }
        Ok(())
    }

    /// Sets an annotation of a mailbox or of the account, or removes it. The caller has checked the entry's name.
    ///
    /// # Errors
    /// [`DraftError::NoMailbox`], [`DraftError::TooManyAnnotations`] when all of them together would be more than
    /// [`MAX_ANNOTATIONS`] or [`MAX_ANNOTATION_BYTES`].
    pub fn annotate(
        &mut self,
        mailbox: Option<MailboxId>,
        entry: &str,
        value: Option<Vec<u8>>,
    ) -> Result<(), DraftError> {
        let annotations = match mailbox {
            None => self.state.annotations(),
            Some(id) => &*self.state.mailbox(id).ok_or(DraftError::NoMailbox)?.annotations,
        };
        let before = annotations.get(entry);
        if before == value.as_ref() {
            return Ok(());
        }
        if let Some(value) = &value {
            let (bytes, count) = self.state.annotations_size();
            let grows_to = bytes + entry.len() + value.len() - before.map_or(0, |b| entry.len() + b.len());
            if count + 1 - usize::from(before.is_some()) > MAX_ANNOTATIONS || grows_to > MAX_ANNOTATION_BYTES
            {
                return Err(DraftError::TooManyAnnotations);
            }
        }
        self.push(Op::Annotate { mailbox, entry: entry.to_owned(), value });
        Ok(())
    }

    /// Sets an entry of a mailbox's access control list, or removes it.
    ///
    /// # Errors
    /// [`DraftError::NoMailbox`], [`DraftError::TooManyGrantees`].
    pub fn set_acl(
        &mut self,
        id: MailboxId,
        grantee: Grantee,
        rights: Option<Rights>,
    ) -> Result<(), DraftError> {
        let acl = &self.state.mailbox(id).ok_or(DraftError::NoMailbox)?.acl;
        let before = acl.get(&grantee).copied();
        if before == rights {
            return Ok(());
        }
        if before.is_none() && acl.len() >= MAX_GRANTEES {
            return Err(DraftError::TooManyGrantees);
        }
        self.push(Op::Mailbox(MailboxOp::Acl { id, grantee, rights }));
        Ok(())
    }

    /// Deletes a mailbox; its messages can be restored for the window. Mailboxes below it stay.
    ///
    /// # Errors
    /// [`DraftError::NoMailbox`], [`DraftError::Standard`].
    pub fn delete_mailbox(&mut self, id: MailboxId) -> Result<(), DraftError> {
        if STANDARD.iter().any(|(standard, ..)| *standard == id) {
            return Err(DraftError::Standard);
        }
        let all = UidSet::from_ranges([(1, u32::MAX)]);
        self.delete_messages(id, &all, DeleteReason::MailboxDeleted)?;
        self.push(Op::Mailbox(MailboxOp::Delete { id }));
        Ok(())
    }

    /// Messages of a mailbox that carry `\Deleted`, of `among` if given.
    ///
    /// # Errors
    /// [`DraftError::NoMailbox`].
    pub fn marked_deleted(&self, id: MailboxId, among: Option<&UidSet>) -> Result<UidSet, DraftError> {
        let mailbox = self.state.mailbox(id).ok_or(DraftError::NoMailbox)?;
        if mailbox.counts.deleted == 0 {
            return Ok(UidSet::new());
        }
        let marked = mailbox.rows.iter().filter(|row| row.flags.has(SystemFlags::DELETED));
        Ok(marked.map(|row| row.uid).filter(|uid| among.is_none_or(|set| set.contains(*uid))).collect())
    }

    fn push(&mut self, op: Op) {
        self.state.apply(&op);
        self.ops.push(op);
    }

    fn present(&self, mailbox: MailboxId, uids: &UidSet) -> Result<UidSet, DraftError> {
        let mailbox = self.state.mailbox(mailbox).ok_or(DraftError::NoMailbox)?;
        Ok(mailbox.rows.select(uids).map(|(_, row)| row.uid).collect())
    }

    /// Takes those keywords out for which there is no room in the account, the last ones first.
    pub fn fit_keywords(&self, flags: &mut FlagSet) {
        let mut room = RowFlags::MAX_KEYWORDS.saturating_sub(self.state.keywords().len());
        flags.keywords.retain(|keyword| {
            let is_known = self.state.keyword_bit(keyword).is_some();
            let fits = is_known || room > 0;
            room -= usize::from(fits && !is_known);
            fits
        });
    }

    fn check_keywords(&self, flags: &FlagSet) -> Result<(), DraftError> {
        let unknown = flags.keywords.iter().filter(|k| self.state.keyword_bit(k).is_none()).count();
        if self.state.keywords().len() + unknown > RowFlags::MAX_KEYWORDS {
            return Err(DraftError::TooManyKeywords);
        }
        Ok(())
    }

    fn take_uids(&self, count: u64) -> Result<Uid, DraftError> {
        if u64::from(self.state.next_uid) + count > u64::from(u32::MAX) {
            return Err(DraftError::UidsExhausted);
        }
        Ok(Uid(self.state.next_uid))
    }

    fn uids_for(&self, messages: &UidSet) -> Result<Option<Uid>, DraftError> {
        if messages.is_empty() {
            return Ok(None);
        }
        self.take_uids(messages.len()).map(Some)
    }

    fn take_indices(&mut self, count: usize) -> Result<u16, DraftError> {
        let first = u16::try_from(self.added).map_err(|_| DraftError::TooManyMessages)?;
        self.added += count;
        if self.added > Rid::PER_ENTRY {
            return Err(DraftError::TooManyMessages);
        }
        Ok(first)
    }
}

fn numbered(uids: &UidSet, first: Uid) -> Vec<(Uid, Uid)> {
    uids.iter().zip((first.0..).map(Uid)).collect()
}
