//! A mailbox: its name and use, its counters, its messages.

use std::collections::BTreeMap;
use std::sync::Arc;

use pennypost_model::{
    Grantee, MailboxId, MailboxRole, Rights, Seq, SpecialUses, SystemFlags, Uid, UidValidity,
};

use crate::rows::{Row, Rows};

/// Counters of a mailbox; always equal to a recount of its rows.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts {
    /// Messages without `\Seen`.
    pub unseen: u64,
    /// Messages with `\Deleted`.
    pub deleted: u64,
    /// Bytes as received.
    pub bytes: u64,
}

impl Counts {
    /// Counts `row` in.
    pub(crate) fn enter(&mut self, row: &Row) {
        self.unseen += u64::from(!row.flags.has(SystemFlags::SEEN));
        self.deleted += u64::from(row.flags.has(SystemFlags::DELETED));
        self.bytes += row.size;
    }

    /// Of two parts together.
    pub(crate) const fn plus(self, other: &Counts) -> Counts {
        Counts {
            unseen: self.unseen + other.unseen,
            deleted: self.deleted + other.deleted,
            bytes: self.bytes + other.bytes,
        }
    }

    /// Counts `row` out.
    pub(crate) fn leave(&mut self, row: &Row) {
        self.unseen -= u64::from(!row.flags.has(SystemFlags::SEEN));
        self.deleted -= u64::from(row.flags.has(SystemFlags::DELETED));
        self.bytes -= row.size;
    }
}

/// A mailbox at one point of the journal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mailbox {
    /// Its id.
    pub id: MailboxId,
    /// Its full name, UTF-8, `/` between levels.
    pub name: String,
    /// What the post office itself uses it for.
    pub role: Option<MailboxRole>,
    /// What mail programs are told that it is for.
    pub uses: SpecialUses,
    /// Its UIDVALIDITY.
    pub uid_validity: UidValidity,
    /// The entry that made it.
    pub created: Seq,
    /// The last entry that touched it or a message in it: its HIGHESTMODSEQ. Never 0.
    pub modseq: Seq,
    /// The highest UID that was ever in it; 0 before the first. UIDNEXT is one more, and so stays unchanged
    /// while nothing is added (RFC 9051 section 2.3.1.1).
    pub highest_uid: u32,
    /// Counters.
    pub counts: Counts,
    /// Its annotations (RFC 5464) by the name of the entry.
    pub annotations: Arc<Annotations>,
    /// Who else may do what with it (RFC 4314). The owner may do everything and is not in it.
    pub acl: Arc<BTreeMap<Grantee, Rights>>,
    /// Its messages.
    pub rows: Rows,
}

/// Values by the names of entries, which are in lower case and begin with `/private/` or `/shared/`.
pub type Annotations = BTreeMap<String, Vec<u8>>;

impl Mailbox {
    /// UIDNEXT: no message below it will ever appear.
    #[must_use]
    pub const fn uid_next(&self) -> Uid {
        Uid(self.highest_uid.saturating_add(1))
    }

    /// The counters made anew from the rows.
    #[must_use]
    pub fn recount(&self) -> Counts {
        let mut counts = Counts::default();
        self.rows.iter().for_each(|row| counts.enter(row));
        counts
    }

    /// Position (from 0) of the first message without `\Seen`.
    #[must_use]
    pub fn first_unseen(&self) -> Option<usize> {
        if self.counts.unseen == 0 {
            return None;
        }
        self.rows.iter().position(|row| !row.flags.has(SystemFlags::SEEN))
    }
}

/// Rules for mailbox names.
pub mod name {
    /// Between levels.
    pub const SEPARATOR: char = '/';
    /// Longest full name in bytes.
    pub const MAX_LEN: usize = 500;
    /// Most levels.
    pub const MAX_DEPTH: usize = 20;

    /// INBOX is one name, whatever its case (RFC 3501 section 5.1); everything else is as written.
    #[must_use]
    pub fn canonical(name: &str) -> String {
        match name.split_once(SEPARATOR) {
            None if name.eq_ignore_ascii_case("INBOX") => "INBOX".to_owned(),
            Some((top, rest)) if top.eq_ignore_ascii_case("INBOX") => format!("INBOX{SEPARATOR}{rest}"),
            _ => name.to_owned(),
        }
    }

    /// Can a mailbox have this name? The answer is the reason why not.
    ///
    /// # Errors
    /// A text for the client.
    pub fn check(name: &str) -> Result<(), &'static str> {
        if name.is_empty() {
            return Err("a mailbox name can't be empty");
        }
        if name.len() > MAX_LEN {
            return Err("the mailbox name is too long");
        }
        if name.split(SEPARATOR).count() > MAX_DEPTH {
            return Err("the mailbox name has too many levels");
        }
        if name.split(SEPARATOR).any(str::is_empty) {
            return Err("a level of the mailbox name is empty");
        }
        if name.chars().any(char::is_control) {
            return Err("a mailbox name can't contain control characters");
        }
        if name.contains(['*', '%']) {
            return Err("a mailbox name can't contain * or %");
        }
        Ok(())
    }
}
