//! What a journal means up to one of its entries, and the fold that advances it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use pennypost_model::journal::{Add, DeleteReason, Entry, MailboxOp, Op, Usage};
use pennypost_model::{
    FlagSet, Keyword, MailboxId, MailboxRole, Rid, Seq, SpecialUses, SystemFlags, Timestamp, Uid, UidSet,
    UidValidity,
};

use crate::ascending::{Ascending, Numbered};
use crate::mailbox::name::canonical;
use crate::mailbox::{Annotations, Mailbox};
use crate::rows::{Row, RowFlags, Seconds};

/// A deleted message that can still be restored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Deleted {
    /// The message as it was, with its last UID; `modseq` is that of the deletion.
    pub row: Row,
    /// Where it was.
    pub mailbox: MailboxId,
    /// When it was deleted.
    pub at: Timestamp,
    /// Why.
    pub reason: DeleteReason,
}

impl Numbered for Deleted {
    fn uid(&self) -> Uid {
        self.row.uid
    }
}

/// Why an entry cannot be folded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum FoldError {
    /// The entry is not the next one.
    #[error("entry {found} can't follow entry {at}")]
    NotNext {
        /// Where the state stands.
        at: Seq,
        /// The entry's number.
        found: Seq,
    },
}

/// An account at one entry of its journal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct State {
    /// The last entry folded.
    pub seq: Seq,
    /// When it was committed.
    pub time: Timestamp,
    /// The lowest UID not yet given.
    pub next_uid: u32,
    /// Live messages and their bytes.
    pub used: Usage,
    pub(crate) mailboxes: BTreeMap<MailboxId, Arc<Mailbox>>,
    pub(crate) keywords: Arc<Vec<Keyword>>,
    /// Names that the member subscribes, with or without a mailbox.
    pub(crate) subscriptions: Arc<BTreeSet<String>>,
    /// Annotations of the account.
    pub(crate) annotations: Arc<Annotations>,
    /// Deleted messages by the UID under which they were deleted.
    pub(crate) deleted: Ascending<Deleted>,
    pub(crate) highest_mailbox: u32,
    pub(crate) highest_validity: u32,
}

impl Default for State {
    fn default() -> State {
        State {
            seq: Seq::ZERO,
            time: Timestamp(0),
            next_uid: 1,
            used: Usage::default(),
            mailboxes: BTreeMap::new(),
            keywords: Arc::default(),
            subscriptions: Arc::default(),
            annotations: Arc::default(),
            deleted: Ascending::default(),
            highest_mailbox: 0,
            highest_validity: 0,
        }
    }
}

/// The mailboxes with which every account begins: the first entry of a journal makes them before its own ops.
pub(crate) const STANDARD: [(MailboxId, &str, MailboxRole); 6] = [
    (MailboxId::INBOX, "INBOX", MailboxRole::Inbox),
    (MailboxId::JUNK, "Junk", MailboxRole::Junk),
    (MailboxId::TRASH, "Trash", MailboxRole::Trash),
    (MailboxId::SENT, "Sent", MailboxRole::Sent),
    (MailboxId::DRAFTS, "Drafts", MailboxRole::Drafts),
    (MailboxId::ARCHIVE, "Archive", MailboxRole::Archive),
];

impl State {
    /// The mailbox.
    #[must_use]
    pub fn mailbox(&self, id: MailboxId) -> Option<&Arc<Mailbox>> {
        self.mailboxes.get(&id)
    }

    /// The mailbox of that full name; INBOX in any case.
    #[must_use]
    pub fn mailbox_named(&self, name: &str) -> Option<&Arc<Mailbox>> {
        let name = canonical(name);
        self.mailboxes.values().find(|mailbox| mailbox.name == name)
    }

    /// The mailbox with that use.
    #[must_use]
    pub fn mailbox_with_role(&self, role: MailboxRole) -> Option<&Arc<Mailbox>> {
        self.mailboxes.values().find(|mailbox| mailbox.role == Some(role))
    }

    /// All mailboxes in order of creation.
    pub fn mailboxes(&self) -> impl Iterator<Item = &Arc<Mailbox>> {
        self.mailboxes.values()
    }

    /// Deleted messages that can still be restored, by the UID under which they were deleted.
    #[must_use]
    pub const fn deleted(&self) -> &Ascending<Deleted> {
        &self.deleted
    }

    /// The names that the member subscribes, in order, whether there are such mailboxes or not.
    #[must_use]
    pub fn subscriptions(&self) -> &Arc<BTreeSet<String>> {
        &self.subscriptions
    }

    /// Does the member subscribe the mailbox of that name?
    #[must_use]
    pub fn is_subscribed(&self, name: &str) -> bool {
        self.subscriptions.contains(name)
    }

    /// Annotations of the account (RFC 5464 calls them server annotations).
    #[must_use]
    pub fn annotations(&self) -> &Annotations {
        &self.annotations
    }

    /// Bytes and number of all annotations, of the account and of its mailboxes.
    #[must_use]
    pub fn annotations_size(&self) -> (usize, usize) {
        let all = self.mailboxes.values().map(|mailbox| &mailbox.annotations).chain([&self.annotations]);
        all.flat_map(|annotations| annotations.iter())
            .fold((0, 0), |(bytes, count), (entry, value)| (bytes + entry.len() + value.len(), count + 1))
    }

    /// The account's keywords, in the order of their first use.
    #[must_use]
    pub fn keywords(&self) -> &[Keyword] {
        &self.keywords
    }

    /// The flags of a row by name.
    #[must_use]
    pub fn flags(&self, flags: RowFlags) -> FlagSet {
        let has = |index: usize| flags.0 >> (RowFlags::FIRST_KEYWORD as usize + index) & 1 == 1;
        let keywords =
            self.keywords.iter().enumerate().filter(|(index, _)| has(*index)).map(|(_, k)| k.clone());
        FlagSet { system: flags.system(), keywords: keywords.collect() }
    }

    /// The bit of a keyword, if the account has ever used it.
    #[must_use]
    pub fn keyword_bit(&self, keyword: &Keyword) -> Option<RowFlags> {
        let index = self.keywords.iter().position(|known| known == keyword)?;
        Some(RowFlags(1 << (RowFlags::FIRST_KEYWORD as usize + index)))
    }

    /// The totals made anew from the rows.
    #[must_use]
    pub fn recount(&self) -> Usage {
        let mut used = Usage::default();
        for row in self.mailboxes.values().flat_map(|mailbox| mailbox.rows.iter()) {
            used.bytes += row.size;
            used.messages += 1;
        }
        used
    }

    /// Is `base` this state, but for times of saving that it does not know, being of an older format?
    #[must_use]
    pub fn agrees_with(&self, base: &State) -> bool {
        if self == base {
            return true;
        }
        let mut base = base.clone();
        for (id, mailbox) in &mut base.mailboxes {
            let Some(ours) = self.mailboxes.get(id) else { return false };
            let unknown: UidSet =
                mailbox.rows.iter().filter(|row| row.saved.is_none()).map(|row| row.uid).collect();
            Arc::make_mut(mailbox).rows.update(&unknown, |row| {
                row.saved = ours.rows.find(row.uid).and_then(|(_, ours)| ours.saved);
            });
        }
        let unknown: UidSet =
            base.deleted.iter().filter(|d| d.row.saved.is_none()).map(|d| d.row.uid).collect();
        base.deleted.update(&unknown, |deleted| {
            deleted.row.saved = self.deleted.find(deleted.row.uid).and_then(|(_, ours)| ours.row.saved);
        });
        *self == base
    }

    /// About the bytes of memory that it takes, were nothing shared with other states.
    #[must_use]
    pub fn weight(&self) -> usize {
        const MAILBOX: usize = 1024;
        let of_mailbox = |mailbox: &Arc<Mailbox>| MAILBOX + mailbox.rows.len() * size_of::<Row>();
        let mailboxes: usize = self.mailboxes.values().map(of_mailbox).sum();
        mailboxes + self.deleted.len() * size_of::<Deleted>()
    }

    /// Advances by the next entry. Total but for the number: ops that name what is not there do nothing.
    ///
    /// # Errors
    /// [`FoldError::NotNext`] when the entry is not `seq + 1`; the state is unchanged.
    pub fn fold(&mut self, entry: &Entry) -> Result<(), FoldError> {
        if entry.seq != self.seq.next() {
            return Err(FoldError::NotNext { at: self.seq, found: entry.seq });
        }
        self.begin(entry.seq, entry.time);
        for op in &entry.ops {
            self.apply(op);
        }
        self.next_uid = self.next_uid.max(entry.next_uid);
        Ok(())
    }

    /// Enters the entry `seq`: its ops follow.
    pub(crate) fn begin(&mut self, seq: Seq, time: Timestamp) {
        self.seq = seq;
        self.time = self.time.max(time);
        if seq == Seq(1) {
            for (id, name, role) in STANDARD {
                let uid_validity = self.fresh_validity();
                self.create_mailbox(id, name, Some(role), uid_validity);
            }
        }
    }

    /// A UIDVALIDITY above all that the account has had (JAMES-3074: plain times collide).
    pub(crate) fn fresh_validity(&self) -> UidValidity {
        let now = u32::try_from(self.time.seconds()).unwrap_or(u32::MAX);
        UidValidity(now.max(self.highest_validity.saturating_add(1)).max(1))
    }

    /// Applies one op under the number of the entry begun last.
    pub(crate) fn apply(&mut self, op: &Op) {
        match op {
            Op::Add(add) => self.add(add),
            Op::Flags { mailbox, uids, add, remove } => self.change_flags(*mailbox, uids, add, remove),
            Op::Move { mailbox, uids, to, first_uid } => self.move_rows(*mailbox, uids, *to, *first_uid),
            Op::Copy { mailbox, uids, to, first_uid, first_index } => {
                self.copy_rows(*mailbox, uids, *to, *first_uid, *first_index);
            }
            Op::Delete { mailbox, uids, reason } => self.delete_rows(*mailbox, uids, *reason),
            Op::Restore { uids, to, first_uid } => self.restore_rows(uids, *to, *first_uid),
            Op::Forget { uids } => {
                self.deleted.remove(uids);
            }
            Op::Mailbox(op) => self.change_mailbox(op),
            Op::Annotate { mailbox, entry, value } => self.annotate(*mailbox, entry, value.as_deref()),
            Op::Envelope { .. } => {}
        }
    }

    fn add(&mut self, add: &Add) {
        let rid = Rid::new(self.seq, add.index);
        let row = Row {
            uid: add.uid,
            flags: self.intern_flags(&add.flags),
            rid,
            origin: rid,
            modseq: self.seq,
            internal_date: add.internal_date,
            sent: add.sent.and_then(Seconds::of),
            saved: None,
            size: add.size,
            thread: add.thread,
            blob: add.blob,
        };
        self.enter(add.mailbox, row);
    }

    /// Puts a row with a new UID into a mailbox, or into the Inbox if there is no such mailbox.
    fn enter(&mut self, to: MailboxId, row: Row) {
        let to = if self.mailboxes.contains_key(&to) { to } else { MailboxId::INBOX };
        let seq = self.seq;
        let row = Row { saved: Seconds::of(self.time), ..row };
        let Some(mailbox) = self.mailboxes.get_mut(&to).map(Arc::make_mut) else { return };
        if !mailbox.rows.push(row) {
            return;
        }
        mailbox.counts.enter(&row);
        mailbox.highest_uid = mailbox.highest_uid.max(row.uid.0);
        mailbox.modseq = seq;
        self.used.bytes += row.size;
        self.used.messages += 1;
        self.next_uid = self.next_uid.max(row.uid.0.saturating_add(1));
    }

    /// Takes rows out of a mailbox.
    fn leave(&mut self, from: MailboxId, uids: &UidSet) -> Vec<Row> {
        let seq = self.seq;
        let Some(mailbox) = self.mailboxes.get_mut(&from) else { return Vec::new() };
        if mailbox.rows.select(uids).next().is_none() {
            return Vec::new();
        }
        let mailbox = Arc::make_mut(mailbox);
        let rows = mailbox.rows.remove(uids);
        mailbox.modseq = seq;
        for row in &rows {
            mailbox.counts.leave(row);
            self.used.bytes -= row.size;
            self.used.messages -= 1;
        }
        rows
    }

    fn change_flags(&mut self, id: MailboxId, uids: &UidSet, add: &FlagSet, remove: &FlagSet) {
        let set = self.intern_flags(add).0;
        let clear = self.known_flags(remove).0;
        let seq = self.seq;
        let Some(mailbox) = self.mailboxes.get_mut(&id) else { return };
        if mailbox.rows.select(uids).next().is_none() {
            return;
        }
        let mailbox = Arc::make_mut(mailbox);
        let counts = &mut mailbox.counts;
        mailbox.rows.update(uids, |row| {
            counts.leave(row);
            row.flags = RowFlags(row.flags.0 & !clear | set);
            row.modseq = seq;
            counts.enter(row);
        });
        mailbox.modseq = seq;
    }

    fn move_rows(&mut self, from: MailboxId, uids: &UidSet, to: MailboxId, first_uid: Uid) {
        let rows = self.leave(from, uids);
        for (uid, row) in (first_uid.0..).zip(rows) {
            self.enter(to, Row { uid: Uid(uid), modseq: self.seq, ..row });
        }
    }

    fn copy_rows(&mut self, from: MailboxId, uids: &UidSet, to: MailboxId, first_uid: Uid, index: u16) {
        let Some(mailbox) = self.mailboxes.get(&from) else { return };
        let rows: Vec<Row> = mailbox.rows.select(uids).map(|(_, row)| *row).collect();
        for (offset, row) in rows.into_iter().enumerate() {
            let rid = Rid::new(self.seq, index.saturating_add(offset as u16));
            let uid = Uid(first_uid.0.saturating_add(offset as u32));
            self.enter(to, Row { uid, rid, modseq: self.seq, ..row });
        }
    }

    fn delete_rows(&mut self, from: MailboxId, uids: &UidSet, reason: DeleteReason) {
        let rows = self.leave(from, uids);
        if rows.is_empty() {
            return;
        }
        let (seq, at) = (self.seq, self.time);
        for row in rows {
            let row = Row { modseq: seq, ..row };
            self.deleted.push(Deleted { row, mailbox: from, at, reason });
        }
    }

    fn restore_rows(&mut self, uids: &UidSet, to: MailboxId, first_uid: Uid) {
        let rows: Vec<Row> = self.deleted.remove(uids).into_iter().map(|deleted| deleted.row).collect();
        if rows.is_empty() {
            return;
        }
        for (uid, row) in (first_uid.0..).zip(rows) {
            let flags = RowFlags(row.flags.0 & !u64::from(SystemFlags::DELETED.0));
            self.enter(to, Row { uid: Uid(uid), flags, modseq: self.seq, ..row });
        }
    }

    fn change_mailbox(&mut self, op: &MailboxOp) {
        let seq = self.seq;
        match op {
            MailboxOp::Create { id, name, role, uid_validity } => {
                self.create_mailbox(*id, name, *role, *uid_validity);
            }
            MailboxOp::Rename { id, name } => {
                if let Some(mailbox) = self.mailboxes.get_mut(id).map(Arc::make_mut) {
                    let old_name = std::mem::replace(&mut mailbox.name, canonical(name));
                    mailbox.modseq = seq;
                    // A draft that wants it otherwise says so behind this op.
                    if self.subscriptions.contains(&old_name) {
                        let new_name = canonical(name);
                        let subscriptions = Arc::make_mut(&mut self.subscriptions);
                        subscriptions.remove(&old_name);
                        subscriptions.insert(new_name);
                    }
                }
            }
            MailboxOp::Subscribe { id, subscribed } => {
                if let Some(mailbox) = self.mailboxes.get_mut(id).map(Arc::make_mut) {
                    let name = mailbox.name.clone();
                    mailbox.modseq = seq;
                    self.subscribe(&name, *subscribed);
                }
            }
            MailboxOp::Delete { id } if *id != MailboxId::INBOX => {
                let Some(mailbox) = self.mailboxes.get(id) else { return };
                let left: UidSet = mailbox.rows.iter().map(|row| row.uid).collect();
                let first_uid = Uid(self.next_uid);
                self.move_rows(*id, &left, MailboxId::INBOX, first_uid);
                if let Some(mailbox) = self.mailboxes.remove(id) {
                    // A draft that wants it otherwise says so behind this op.
                    self.subscribe(&mailbox.name, false);
                }
            }
            MailboxOp::Delete { .. } => {}
            MailboxOp::SubscribeName { name, subscribed } => self.subscribe(name, *subscribed),
            MailboxOp::Uses { id, uses } => {
                if let Some(mailbox) = self.mailboxes.get_mut(id).map(Arc::make_mut) {
                    mailbox.uses = *uses;
                }
            }
            MailboxOp::Acl { id, grantee, rights } => {
                let Some(mailbox) = self.mailboxes.get_mut(id).map(Arc::make_mut) else { return };
                let acl = Arc::make_mut(&mut mailbox.acl);
                match rights {
                    Some(rights) => acl.insert(grantee.clone(), *rights),
                    None => acl.remove(grantee),
                };
            }
        }
    }

    pub(crate) fn subscribe(&mut self, name: &str, subscribed: bool) {
        let name = canonical(name);
        if self.subscriptions.contains(&name) == subscribed {
            return;
        }
        let subscriptions = Arc::make_mut(&mut self.subscriptions);
        if subscribed {
            subscriptions.insert(name);
        } else {
            subscriptions.remove(&name);
        }
    }

    fn annotate(&mut self, mailbox: Option<MailboxId>, entry: &str, value: Option<&[u8]>) {
        let annotations = match mailbox {
            None => &mut self.annotations,
            Some(id) => match self.mailboxes.get_mut(&id).map(Arc::make_mut) {
                Some(mailbox) => &mut mailbox.annotations,
                None => return,
            },
        };
        let annotations = Arc::make_mut(annotations);
        match value {
            Some(value) => annotations.insert(entry.to_owned(), value.to_vec()),
            None => annotations.remove(entry),
        };
    }

    fn create_mailbox(
        &mut self,
        id: MailboxId,
        name: &str,
        role: Option<MailboxRole>,
        uid_validity: UidValidity,
    ) {
        let taken = self.mailboxes.contains_key(&id) || self.mailbox_named(name).is_some();
        if taken {
            return;
        }
        self.highest_mailbox = self.highest_mailbox.max(id.0);
        self.highest_validity = self.highest_validity.max(uid_validity.0);
        let mailbox = Mailbox {
            id,
            name: canonical(name),
            role,
            uses: SpecialUses::of_role(role),
            uid_validity,
            created: self.seq,
            modseq: self.seq,
            highest_uid: 0,
            counts: crate::Counts::default(),
            annotations: Arc::default(),
            acl: Arc::default(),
            rows: crate::Rows::default(),
        };
        self.subscribe(&mailbox.name, true);
        self.mailboxes.insert(id, Arc::new(mailbox));
    }

    /// The bits of flags, giving new keywords a bit as long as there is one left.
    fn intern_flags(&mut self, flags: &FlagSet) -> RowFlags {
        let mut bits = self.known_flags(flags);
        for keyword in &flags.keywords {
            let room = self.keywords.len() < RowFlags::MAX_KEYWORDS;
            if room && self.keyword_bit(keyword).is_none() {
                Arc::make_mut(&mut self.keywords).push(keyword.clone());
                bits.0 |= self.keyword_bit(keyword).unwrap_or_default().0;
            }
        }
        bits
    }

    fn known_flags(&self, flags: &FlagSet) -> RowFlags {
        let keywords = flags.keywords.iter().filter_map(|keyword| self.keyword_bit(keyword));
        RowFlags(keywords.fold(u64::from(flags.system.0), |bits, bit| bits | bit.0))
    }
}
