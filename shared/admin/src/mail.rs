//! What administration does to mail: whoever keeps the mail does it, in pieces, each of which is durable.

use std::collections::BTreeMap;

use async_trait::async_trait;
use pennypost_directory::{MailAddress, MemberRules};
use pennypost_model::message::Card;
use pennypost_model::{AccountKey, MailboxId, MailboxRole, Rid, Seq, Timestamp, Uid};
use pennypost_ports::PortResult;

use crate::{LetterDeed, NamedLetter};

/// The mail of accounts, as far as administration has to do with it.
#[async_trait]
pub trait Mail: Send + Sync {
    /// What there is to be copied. Changes nothing.
    async fn look(&self, copying: &Copying) -> PortResult<ToCopy>;

    /// Copies some messages behind a UID of the account that is copied, in the order of its UIDs. Each comes once into the
    /// other account, however often and by how many it is copied at once.
    async fn copy_some(&self, copying: &Copying, after: u32) -> PortResult<Copied>;

    /// Erases some of an account's mail, so that nobody restores it; `true` if there is more.
    async fn erase_some(&self, account: AccountKey) -> PortResult<bool>;

    /// The number of the account's newest entry.
    async fn newest(&self, account: AccountKey) -> PortResult<Seq>;

    /// Does it to the copies of these letters that are in the account: to those of these ids, and to copies of them; to some of
    /// them if they are many. Nothing is done where `at` is not the account's newest entry any more. What is done already
    /// stays done. A letter that its owner has deleted is not hidden: it keeps his reason.
    async fn do_to_letters(
        &self,
        account: AccountKey,
        at: Seq,
        letters: &[NamedLetter],
        deed: LetterDeed,
    ) -> PortResult<LettersDone>;

    /// How many of these letters are as that leaves them: hidden, and no copy is in a mailbox; a copy in a mailbox; nothing left
    /// of them, not even to be restored. Changes nothing.
    async fn letters_after(
        &self,
        account: AccountKey,
        letters: &[NamedLetter],
        deed: LetterDeed,
    ) -> PortResult<u64>;

    /// Runs rules on some letters of a folder, behind a place; on the first ones, if none is said. What they change is durable,
    /// and found to be done if it is run there again. `None` where the folder is not there.
    async fn run_rules(&self, run: &RulesRun, place: Option<RunPlace>) -> PortResult<Option<RulesRan>>;

    /// A letter, by the full name of its folder and its UID there.
    async fn letter(&self, account: AccountKey, folder: &str, uid: Uid) -> PortResult<Option<FoundLetter>>;

    /// Moves a letter into Junk, wherever it is; `false` if it is there already, or nowhere.
    async fn put_into_junk(&self, account: AccountKey, letter: Rid) -> PortResult<bool>;

    /// Of which of these letters something was said to whoever asks for a receipt ($MDNSent, RFC 3503), of those that are in a mailbox: of a
    /// letter, or of a copy of it. Perhaps as of a moment ago.
    async fn receipts(&self, account: AccountKey, letters: &[Rid]) -> PortResult<BTreeMap<Rid, bool>>;

    /// What a receipt of a letter gives back, which is read for that; `None` if it is in no mailbox any more.
    async fn letter_head(&self, account: AccountKey, letter: Rid) -> PortResult<Option<LetterHead>>;

    /// Notes of a letter, and of its copies, that something was said to whoever asks ($MDNSent); `false` if that was noted already, or it
    /// is in no mailbox any more.
    async fn note_receipt(&self, account: AccountKey, letter: Rid) -> PortResult<bool>;

    /// What the mailboxes of an account hold, in the order in which they were made.
    async fn counts(&self, account: AccountKey) -> PortResult<Vec<MailboxCount>>;

    /// Which of these messages are marked as read: those that are there, or can be restored, by whatever name they go there now.
    /// What is gone is not in the answer. Perhaps as of a moment ago.
    async fn seen(&self, account: AccountKey, messages: &[Rid]) -> PortResult<BTreeMap<Rid, bool>>;

    /// The newest letters that came to an account, wherever they lie now but in Sent, Drafts and Junk: so many at most, the
    /// newest first, with what lists show of them.
    async fn newest_letters(&self, account: AccountKey, limit: usize) -> PortResult<Vec<SeenLetter>>;

    /// The letters in Junk that came after the first time and not after the second, the newest first: so many of them, and how many
    /// there are. Changes nothing.
    async fn junk_letters(
        &self,
        account: AccountKey,
        times: (Timestamp, Timestamp),
        limit: usize,
    ) -> PortResult<(Vec<SeenLetter>, usize)>;
}

/// What came of doing something to letters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LettersDone {
    /// It is done to all of them.
    All,
    /// It is done to some of them.
    Some,
    /// Somebody else has changed the account meanwhile, and nothing was done.
    Overtaken,
}

/// A letter of a member.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FoundLetter {
    /// What it is known by, wherever it is moved.
    pub rid: Rid,
    /// Who wrote it to whom about what, cut.
    pub card: Card,
}

/// The head of a letter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LetterHead {
    /// What was added where it came in, and its header.
    pub header: Vec<u8>,
    /// Its subject.
    pub subject: String,
    /// Its Message-ID; empty: it has none.
    pub message_id: String,
    /// When it was written, as it says, or came.
    pub sent: Timestamp,
}

/// Rules that are run on a folder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RulesRun {
    /// Whose.
    pub account: AccountKey,
    /// Which folder.
    pub folder: MailboxId,
    /// The rules, with their words folded. Nothing is forwarded or answered.
    pub rules: MemberRules,
    /// The account's addresses, if a rule asks for them.
    pub own: Vec<MailAddress>,
}

/// How far rules have been run on a folder.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct RunPlace {
    /// Up to this UID.
    pub uid: u32,
    /// The last one that is looked at: what comes behind it has come since.
    pub upto: u32,
}

/// What came of running rules on some letters.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct RulesRan {
    /// How far they have come.
    pub place: RunPlace,
    /// Letters in the folder, where this was the beginning.
    pub total: Option<u64>,
    /// Letters that were looked at.
    pub looked_at: u64,
    /// Of these, such as stay as they were.
    pub unchanged: u64,
    /// Of these, such as are damaged, and stay.
    pub damaged: u64,
    /// Nothing is left.
    pub is_last: bool,
}

/// What a mailbox holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MailboxCount {
    /// Which it is.
    pub id: MailboxId,
    /// Its full name.
    pub name: String,
    /// What the post office itself uses it for.
    pub role: Option<MailboxRole>,
    /// Messages.
    pub messages: u64,
    /// Of these, such as are not read.
    pub unread: u64,
}

/// A letter as lists show it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SeenLetter {
    /// The mailbox in which it lies.
    pub mailbox: String,
    /// Its UID there.
    pub uid: Uid,
    /// When it came.
    pub time: Timestamp,
    /// Bytes.
    pub size: u64,
    /// Who wrote it to whom about what, cut.
    pub card: Card,
}

/// What is copied where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Copying {
    /// Whose mail.
    pub from: AccountKey,
    /// Into which account of the same tenant.
    pub to: AccountKey,
    /// The folder there, with all mailboxes below it.
    pub folder: String,
    /// Bytes that the account may hold with it.
    pub room: u64,
}

/// What there is to be copied.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ToCopy {
    /// Messages that have not been copied yet.
    pub messages: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Bytes that the other account holds.
    pub used: u64,
}

/// What was copied.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Copied {
    /// Up to which UID.
    pub after: u32,
    /// Messages.
    pub messages: u64,
    /// Of these, such as are damaged and were left out.
    pub damaged: u64,
    /// There is no room for more.
    pub is_full: bool,
    /// Nothing is left.
    pub is_last: bool,
}
