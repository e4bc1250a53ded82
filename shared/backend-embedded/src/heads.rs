//! Where journals end, as far as that is certain without a read: so that a session whose account has not changed
//! need not ask the database before each command.
//!
//! A number is certain if it was read, and neither this process nor another has appended since. Appends of this
//! process are noted on the writer's thread right after their commit. Other processes say so in the file
//! `others`, one byte for each of their commits, before they answer anybody: its length is looked at. What dies
//! between a commit and that byte has told nobody; the writer's poll of the database finds its commit.
//!
//! Invariants: [`Heads::newest`] never gives a number below one of an append that was answered before the call.
//! The file holds nothing that is needed: it is emptied whenever the server starts.

use std::collections::HashMap;
use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};

use parking_lot::Mutex;
use pennypost_model::{AccountKey, Seq};

/// Its name in the data directory.
pub(crate) const FILE: &str = "others";
/// Accounts whose end is remembered.
const MAX_ACCOUNTS: usize = 65_536;

/// What other processes have committed, as a number that grows with it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Foreign {
    said: u64,
    found: u64,
}

/// The end of one journal.
struct End {
    newest: Seq,
    /// What others had committed when it was read; `None` before that.
    proven: Option<Foreign>,
    /// Which note of the account this is: one that was forgotten meanwhile proves nothing.
    note: u64,
}

/// A read under way of an account's end.
pub(crate) struct Reading {
    account: AccountKey,
    foreign: Foreign,
    note: u64,
}

/// The known ends.
pub(crate) struct Heads {
    /// Of the process that serves, to look at; tools write into theirs and know nothing.
    others: Option<File>,
    /// Commits of others that the writer has found.
    found: AtomicU64,
    ends: Mutex<Ends>,
}

#[derive(Default)]
struct Ends {
    by_account: HashMap<AccountKey, End>,
    notes: u64,
}

/// Opens the file for the server, which looks at its length, and empties it.
pub(crate) fn open_to_watch(dir: &Path) -> io::Result<File> {
    OpenOptions::new().create(true).truncate(true).read(true).write(true).mode(0o600).open(dir.join(FILE))
}

/// Opens the file for a tool, which adds to it.
pub(crate) fn open_to_tell(dir: &Path) -> io::Result<File> {
    OpenOptions::new().create(true).append(true).mode(0o600).open(dir.join(FILE))
}

/// Tells the server of a commit.
pub(crate) fn tell(mut others: &File) -> io::Result<()> {
    others.write_all(b".")
}

impl Heads {
    /// Nothing is known yet; without a file nothing ever will be.
    pub(crate) fn new(others: Option<File>) -> Heads {
        Heads { others, found: AtomicU64::new(0), ends: Mutex::default() }
    }

    /// The end of the account's journal, if it is certain.
    pub(crate) fn newest(&self, account: AccountKey) -> Option<Seq> {
        let foreign = self.foreign()?;
        let ends = self.ends.lock();
        let end = ends.by_account.get(&account)?;
        (end.proven == Some(foreign)).then_some(end.newest)
    }

    /// To be called before a read of the end; `None` if the read will prove nothing.
    pub(crate) fn begin(&self, account: AccountKey) -> Option<Reading> {
        let foreign = self.foreign()?;
        let mut ends = self.ends.lock();
        if ends.by_account.len() >= MAX_ACCOUNTS && !ends.by_account.contains_key(&account) {
            ends.by_account.clear();
        }
        ends.notes += 1;
        let fresh = End { newest: Seq::ZERO, proven: None, note: ends.notes };
        let note = ends.by_account.entry(account).or_insert(fresh).note;
        Some(Reading { account, foreign, note })
    }

    /// The read has found `newest` as the end. What was appended meanwhile has been noted besides.
    pub(crate) fn prove(&self, reading: &Reading, newest: Seq) {
        let mut ends = self.ends.lock();
        if let Some(end) = ends.by_account.get_mut(&reading.account)
            && end.note == reading.note
        {
            end.newest = end.newest.max(newest);
            end.proven = Some(reading.foreign);
        }
    }

    /// This process has committed an entry. To be called before anybody is told.
    pub(crate) fn appended(&self, account: AccountKey, seq: Seq) {
        if let Some(end) = self.ends.lock().by_account.get_mut(&account) {
            end.newest = end.newest.max(seq);
        }
    }

    /// This process has erased entries. What a read under way finds proves nothing.
    pub(crate) fn erased(&self, account: AccountKey) {
        self.ends.lock().by_account.remove(&account);
    }

    /// The writer has found a commit of another process, or one whose outcome is not known.
    pub(crate) fn found_foreign(&self) {
        self.found.fetch_add(1, Ordering::SeqCst);
    }

    fn foreign(&self) -> Option<Foreign> {
        let said = self.others.as_ref()?.metadata().ok()?.len();
        Some(Foreign { said, found: self.found.load(Ordering::SeqCst) })
    }
}

#[cfg(test)]
mod tests {
    use pennypost_model::{AccountId, TenantId};

    use super::*;

    const ACCOUNT: AccountKey = AccountKey { tenant: TenantId(1), account: AccountId(2) };

    fn read(heads: &Heads, newest: u64) {
        let reading = heads.begin(ACCOUNT).expect("a server's");
        heads.prove(&reading, Seq(newest));
    }

    #[test]
    fn an_end_is_certain_until_somebody_else_writes() {
        let dir = tempfile::tempdir().expect("dir");
        let heads = Heads::new(Some(open_to_watch(dir.path()).expect("file")));
        let tool = open_to_tell(dir.path()).expect("file");
        assert_eq!(heads.newest(ACCOUNT), None);
        heads.appended(ACCOUNT, Seq(3));
        assert_eq!(heads.newest(ACCOUNT), None, "nobody has read");
        read(&heads, 3);
        assert_eq!(heads.newest(ACCOUNT), Some(Seq(3)));
        heads.appended(ACCOUNT, Seq(4));
        assert_eq!(heads.newest(ACCOUNT), Some(Seq(4)));
        tell(&tool).expect("told");
        assert_eq!(heads.newest(ACCOUNT), None);
        read(&heads, 7);
        assert_eq!(heads.newest(ACCOUNT), Some(Seq(7)));
        heads.found_foreign();
        assert_eq!(heads.newest(ACCOUNT), None);
    }

    #[test]
    fn what_happens_during_a_read_is_not_overlooked() {
        let dir = tempfile::tempdir().expect("dir");
        let heads = Heads::new(Some(open_to_watch(dir.path()).expect("file")));
        let tool = open_to_tell(dir.path()).expect("file");
        // An append between the read and its proof.
        let reading = heads.begin(ACCOUNT).expect("a server's");
        heads.appended(ACCOUNT, Seq(5));
        heads.prove(&reading, Seq(4));
        assert_eq!(heads.newest(ACCOUNT), Some(Seq(5)));
        // Another process.
        let reading = heads.begin(ACCOUNT).expect("a server's");
        tell(&tool).expect("told");
        heads.prove(&reading, Seq(5));
        assert_eq!(heads.newest(ACCOUNT), None);
        // The account was forgotten, and an append with it.
        let reading = heads.begin(ACCOUNT).expect("a server's");
        heads.ends.lock().by_account.clear();
        heads.appended(ACCOUNT, Seq(6));
        let second = heads.begin(ACCOUNT).expect("a server's");
        heads.prove(&reading, Seq(5));
        assert_eq!(heads.newest(ACCOUNT), None);
        heads.prove(&second, Seq(6));
        assert_eq!(heads.newest(ACCOUNT), Some(Seq(6)));
        assert!(Heads::new(None).begin(ACCOUNT).is_none(), "a tool proves nothing");
    }
}
