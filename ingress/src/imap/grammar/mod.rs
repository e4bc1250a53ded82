//! The grammar of commands, without I/O: bytes of one command, literals included, to a typed [`Command`].
//!
//! Our own, since codec crates know about half of the extensions (docs/decisions/0004-imap-grammar.md).
//! Invariants: total over arbitrary bytes; nesting, list lengths and path lengths are bounded by constants
//! named where they hold; sets stay ranges; what a command holds is not more than what was sent.

mod acl;
pub mod append;
pub mod cursor;
pub mod date;
pub mod fetch;
mod list;
#[cfg(test)]
mod mailbox_tests;
mod metadata;
mod notify;
mod partial;
mod quota;
pub mod search;
mod select;
pub mod set;
pub mod sort;
#[cfg(test)]
mod tests;
pub mod url;
pub mod utf7;

use pennypost_model::{FlagSet, SpecialUses};

pub use acl::{Acl, RightsChange};
pub use append::{AppendData, AppendMessage, Piece};
use cursor::Cursor;
pub use cursor::{Parse, SyntaxError};
pub use fetch::{Fetch, FetchItem, Section, SectionText};
pub use list::List;
pub use metadata::{Depth, GetMetadata, SetMetadata};
pub use notify::{EventGroup, Events, Filter, Notify};
pub use partial::Partial;
pub use quota::Quota;
pub use search::{Charset, Returns, Search, SearchError, SearchKey};
pub use select::Resync;
pub use set::{SeqNumber, SequenceSet};
pub use sort::{Algorithm, Criterion, Sort, Thread};
use utf7::Names;

/// A mailbox name, decoded. `None`: what the client wrote is neither modified UTF-7 nor UTF-8.
pub type Name = Option<String>;

/// A command of a client.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Command {
    /// CAPABILITY
    Capability,
    /// NOOP
    Noop,
    /// LOGOUT
    Logout,
    /// ID (RFC 2971)
    Id(Vec<(String, Option<String>)>),
    /// STARTTLS
    StartTls,
    /// AUTHENTICATE, perhaps with the first answer (RFC 4959)
    Authenticate {
        /// The mechanism in upper case.
        mechanism: String,
        /// The first answer, in base64; `=` for an empty one.
        initial: Option<Vec<u8>>,
    },
    /// LOGIN
    Login {
        /// The user name.
        user: Vec<u8>,
        /// The password.
        password: Vec<u8>,
    },
    /// ENABLE (RFC 5161): capabilities in upper case
    Enable(Vec<String>),
    /// SELECT and EXAMINE
    Select {
        /// Which mailbox.
        mailbox: Name,
        /// EXAMINE.
        read_only: bool,
        /// With the parameter CONDSTORE (RFC 7162 section 3.1.8).
        condstore: bool,
        /// With the parameter QRESYNC (RFC 7162 section 3.2.5).
        resync: Option<Box<Resync>>,
    },
    /// CREATE
    Create {
        /// Its name.
        mailbox: Name,
        /// What it is for (RFC 6154 section 3), if that is said; `Err` if one of the uses can't be had here.
        uses: Option<Result<SpecialUses, NoSuchUse>>,
    },
    /// DELETE
    Delete(Name),
    /// RENAME
    Rename {
        /// The old name.
        from: Name,
        /// The new name.
        to: Name,
    },
    /// SUBSCRIBE and UNSUBSCRIBE
    Subscribe {
        /// Which mailbox.
        mailbox: Name,
        /// SUBSCRIBE.
        subscribed: bool,
    },
    /// LIST
    List(List),
    /// LSUB
    Lsub {
        /// The reference.
        reference: Name,
        /// The pattern.
        pattern: Name,
    },
    /// STATUS
    Status {
        /// Which mailbox.
        mailbox: Name,
        /// What of it.
        items: Vec<StatusItem>,
    },
    /// APPEND
    Append {
        /// Where to.
        mailbox: Name,
        /// The messages; more than one with MULTIAPPEND (RFC 3502).
        messages: Vec<AppendMessage>,
    },
    /// REPLACE and UID REPLACE (RFC 8508)
    Replace {
        /// The number is a UID.
        by_uid: bool,
        /// The message that goes.
        replaced: SeqNumber,
        /// Where the new one goes.
        mailbox: Name,
        /// The new one.
        message: Box<AppendMessage>,
    },
    /// COMPRESS (RFC 4978): the mechanism in upper case
    Compress(String),
    /// UNAUTHENTICATE (RFC 8437)
    Unauthenticate,
    /// NAMESPACE (RFC 2342)
    Namespace,
    /// Rights of mailboxes (RFC 4314)
    Acl(Acl),
    /// Quotas (RFC 9208)
    Quota(Quota),
    /// GETMETADATA (RFC 5464)
    GetMetadata(GetMetadata),
    /// SETMETADATA (RFC 5464)
    SetMetadata(SetMetadata),
    /// NOTIFY (RFC 5465)
    Notify(Notify),
    /// IDLE (RFC 2177)
    Idle,
    /// CHECK
    Check,
    /// CLOSE
    Close,
    /// UNSELECT (RFC 3691)
    Unselect,
    /// EXPUNGE, and UID EXPUNGE (RFC 4315)
    Expunge {
        /// UIDs of UID EXPUNGE.
        uids: Option<SequenceSet>,
    },
    /// SEARCH and UID SEARCH
    Search(Search),
    /// SEARCH in a charset that is not known
    SearchBadCharset {
        /// With RETURN (SAVE).
        saves: bool,
    },
    /// SORT and UID SORT (RFC 5256)
    Sort(Sort),
    /// THREAD and UID THREAD (RFC 5256)
    Thread(Thread),
    /// FETCH and UID FETCH
    Fetch(Fetch),
    /// STORE and UID STORE
    Store(Store),
    /// COPY, MOVE (RFC 6851) and their UID forms
    Copy {
        /// The numbers are UIDs.
        by_uid: bool,
        /// Which messages.
        set: SequenceSet,
        /// Where to.
        mailbox: Name,
        /// MOVE.
        moves: bool,
    },
}

/// A use that no mailbox of this server can have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NoSuchUse;

/// What STATUS tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StatusItem {
    /// MESSAGES
    Messages,
    /// RECENT
    Recent,
    /// UIDNEXT
    UidNext,
    /// UIDVALIDITY
    UidValidity,
    /// UNSEEN
    Unseen,
    /// HIGHESTMODSEQ (RFC 7162)
    HighestModSeq,
    /// SIZE (RFC 8438)
    Size,
    /// MAILBOXID (RFC 8474)
    MailboxId,
    /// APPENDLIMIT (RFC 7889)
    AppendLimit,
    /// DELETED-STORAGE (RFC 9208)
    DeletedStorage,
    /// DELETED (RFC 9051 section 6.3.11)
    Deleted,
}

/// STORE and UID STORE.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Store {
    /// The numbers are UIDs.
    pub by_uid: bool,
    /// Which messages.
    pub set: SequenceSet,
    /// Only messages not changed after this MODSEQ (RFC 7162).
    pub unchanged_since: Option<u64>,
    /// What to do with the flags.
    pub action: StoreAction,
    /// `.SILENT`
    pub silent: bool,
    /// The flags.
    pub flags: FlagSet,
}

/// What STORE does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StoreAction {
    /// FLAGS
    Replace,
    /// +FLAGS
    Add,
    /// -FLAGS
    Remove,
}

/// Flags of one command: more than an account can have.
const MAX_FLAGS: usize = 200;

/// The tag of a command, if it has one.
#[must_use]
pub fn tag(bytes: &[u8]) -> Option<&str> {
    Cursor::new(bytes).tag().ok()
}

/// Is it one of the commands whose literals are messages? For limits that depend on it before it is complete.
#[must_use]
pub fn takes_messages(bytes: &[u8]) -> bool {
    let mut cursor = Cursor::new(bytes);
    if cursor.tag().is_err() || !cursor.take(b' ') {
        return false;
    }
    let by_uid = cursor.take_word("UID") && cursor.take(b' ');
    cursor.take_word("REPLACE") || !by_uid && cursor.take_word("APPEND")
}

/// Reads the command in `bytes`, which hold the tag and the literals but not the last line end.
///
/// # Errors
/// It can't be read.
pub fn command(bytes: &[u8]) -> Parse<Command> {
    command_with(bytes, Names::Utf7)
}

/// As [`command`], with mailbox names written so.
///
/// # Errors
/// It can't be read.
pub fn command_with(bytes: &[u8], names: Names) -> Parse<Command> {
    let mut cursor = Cursor::new(bytes).with_names(names);
    cursor.tag()?;
    cursor.space()?;
    let mut name = cursor.atom()?.to_ascii_uppercase();
    let by_uid = name == "UID";
    if by_uid {
        cursor.space()?;
        name = cursor.atom()?.to_ascii_uppercase();
        if !matches!(
            &*name,
            "FETCH" | "STORE" | "SEARCH" | "SORT" | "THREAD" | "COPY" | "MOVE" | "EXPUNGE" | "REPLACE"
        ) {
            return Err(SyntaxError("unknown command"));
        }
    }
    let command = arguments(&name, by_uid, &mut cursor)?;
    cursor.end()?;
    Ok(command)
}

fn arguments(name: &str, by_uid: bool, cursor: &mut Cursor<'_>) -> Parse<Command> {
    Ok(match name {
        "CAPABILITY" => Command::Capability,
        "NOOP" => Command::Noop,
        "LOGOUT" => Command::Logout,
        "STARTTLS" => Command::StartTls,
        "NAMESPACE" => Command::Namespace,
        "UNAUTHENTICATE" => Command::Unauthenticate,
        "IDLE" => Command::Idle,
        "CHECK" => Command::Check,
        "CLOSE" => Command::Close,
        "UNSELECT" => Command::Unselect,
        "EXPUNGE" if !by_uid => Command::Expunge { uids: None },
        _ => {
            cursor.space().map_err(|_| match name {
                known if takes_arguments(known) => SyntaxError("arguments are missing"),
                _ => SyntaxError("unknown command"),
            })?;
            with_arguments(name, by_uid, cursor)?
        }
    })
}

fn takes_arguments(name: &str) -> bool {
    matches!(
        name,
        "ID" | "AUTHENTICATE"
            | "COMPRESS"
            | "LOGIN"
            | "ENABLE"
            | "SELECT"
            | "EXAMINE"
            | "CREATE"
            | "DELETE"
            | "RENAME"
            | "SUBSCRIBE"
            | "UNSUBSCRIBE"
            | "LIST"
            | "LSUB"
            | "STATUS"
            | "APPEND"
            | "REPLACE"
            | "EXPUNGE"
            | "SEARCH"
            | "SORT"
            | "THREAD"
            | "FETCH"
            | "STORE"
            | "COPY"
            | "MOVE"
            | "GETACL"
            | "SETACL"
            | "DELETEACL"
            | "LISTRIGHTS"
            | "MYRIGHTS"
            | "GETQUOTA"
            | "GETQUOTAROOT"
            | "SETQUOTA"
            | "GETMETADATA"
            | "SETMETADATA"
            | "NOTIFY"
    )
}

fn with_arguments(name: &str, by_uid: bool, cursor: &mut Cursor<'_>) -> Parse<Command> {
    Ok(match name {
        "ID" => Command::Id(id(cursor)?),
        "AUTHENTICATE" => authenticate(cursor)?,
        "COMPRESS" => Command::Compress(cursor.atom()?.to_ascii_uppercase()),
        "LOGIN" => {
            let user = cursor.astring()?;
            cursor.space()?;
            Command::Login { user, password: cursor.astring()? }
        }
        "ENABLE" => {
            let mut names = vec![cursor.atom()?.to_ascii_uppercase()];
            while cursor.take(b' ') {
                names.push(cursor.atom()?.to_ascii_uppercase());
            }
            Command::Enable(names)
        }
        "SELECT" | "EXAMINE" => select::parse(cursor, name == "EXAMINE")?,
        "CREATE" => {
            let mailbox = mailbox(cursor)?;
            let uses = if cursor.take(b' ') { Some(create_uses(cursor)?) } else { None };
            Command::Create { mailbox, uses }
        }
        "GETACL" | "SETACL" | "DELETEACL" | "LISTRIGHTS" | "MYRIGHTS" => {
            Command::Acl(Acl::parse(name, cursor)?)
        }
        "GETQUOTA" | "GETQUOTAROOT" | "SETQUOTA" => Command::Quota(Quota::parse(name, cursor)?),
        "GETMETADATA" => Command::GetMetadata(GetMetadata::parse(cursor)?),
        "SETMETADATA" => Command::SetMetadata(SetMetadata::parse(cursor)?),
        "NOTIFY" => Command::Notify(Notify::parse(cursor)?),
        "DELETE" => Command::Delete(mailbox(cursor)?),
        "RENAME" => {
            let from = mailbox(cursor)?;
            cursor.space()?;
            Command::Rename { from, to: mailbox(cursor)? }
        }
        "SUBSCRIBE" | "UNSUBSCRIBE" => {
            Command::Subscribe { mailbox: mailbox(cursor)?, subscribed: name == "SUBSCRIBE" }
        }
        "LIST" => Command::List(List::parse(cursor)?),
        "LSUB" => {
            let reference = mailbox(cursor)?;
            cursor.space()?;
            Command::Lsub { reference, pattern: pattern(cursor)? }
        }
        "STATUS" => {
            let mailbox = mailbox(cursor)?;
            cursor.space()?;
            Command::Status { mailbox, items: cursor.list(20, status_item)? }
        }
        "APPEND" => append::parse(cursor)?,
        "REPLACE" => append::parse_replace(cursor, by_uid)?,
        "EXPUNGE" if by_uid => Command::Expunge { uids: Some(SequenceSet::parse(cursor)?) },
        "SEARCH" | "SORT" | "THREAD" => {
            let parsed = match name {
                "SEARCH" => Search::parse(cursor, by_uid).map(Command::Search),
                "SORT" => Sort::parse(cursor, by_uid).map(Command::Sort),
                _ => Thread::parse(cursor, by_uid).map(Command::Thread),
            };
            match parsed {
                Ok(command) => command,
                Err(SearchError::Syntax(error)) => return Err(error),
                Err(SearchError::BadCharset { saves }) => {
                    // The rest is in a charset that can't be read.
                    cursor.take_while(|_| true);
                    Command::SearchBadCharset { saves }
                }
            }
        }
        "FETCH" => Command::Fetch(Fetch::parse(cursor, by_uid)?),
        "STORE" => Command::Store(store(cursor, by_uid)?),
        "COPY" | "MOVE" => {
            let set = SequenceSet::parse(cursor)?;
            cursor.space()?;
            Command::Copy { by_uid, set, mailbox: mailbox(cursor)?, moves: name == "MOVE" }
        }
        _ => return Err(SyntaxError("unknown command")),
    })
}

/// `mailbox`.
fn mailbox(cursor: &mut Cursor<'_>) -> Parse<Name> {
    cursor.astring().map(|wire| cursor.names().decode(&wire))
}

fn pattern(cursor: &mut Cursor<'_>) -> Parse<Name> {
    cursor.list_mailbox().map(|wire| cursor.names().decode(&wire))
}

/// `(USE (\Sent))` of CREATE (RFC 6154 section 3).
fn create_uses(cursor: &mut Cursor<'_>) -> Parse<Result<SpecialUses, NoSuchUse>> {
    let mut uses = Ok(SpecialUses::NONE);
    cursor.list(5, |cursor| {
        if !cursor.take_word("USE") {
            return Err(SyntaxError("unknown parameter of CREATE"));
        }
        cursor.space()?;
        for name in cursor.list_or_empty(20, use_attribute)? {
            uses = match (uses, SpecialUses::named(&name)) {
                (Ok(uses), Some(one)) => Ok(uses.union(one)),
                _ => Err(NoSuchUse),
            };
        }
        Ok(())
    })?;
    Ok(uses)
}

fn use_attribute(cursor: &mut Cursor<'_>) -> Parse<String> {
    cursor.expect(b'\\', "expected a use")?;
    Ok(format!("\\{}", cursor.atom()?))
}

fn id(cursor: &mut Cursor<'_>) -> Parse<Vec<(String, Option<String>)>> {
    if cursor.take_word("NIL") {
        return Ok(Vec::new());
    }
    let text = |octets: Vec<u8>| String::from_utf8_lossy(&octets).into_owned();
    // RFC 2971 section 3.3 allows 30 fields.
    cursor.list_or_empty(30, |cursor| {
        let field = cursor.string()?;
        cursor.space()?;
        Ok((text(field), cursor.nstring()?.map(text)))
    })
}

fn authenticate(cursor: &mut Cursor<'_>) -> Parse<Command> {
    let mechanism = cursor.atom()?.to_ascii_uppercase();
    let initial = cursor.take(b' ').then(|| cursor.take_while(|byte| byte.is_ascii_graphic()).to_vec());
    if initial.as_ref().is_some_and(Vec::is_empty) {
        return Err(SyntaxError("the initial response is missing"));
    }
    Ok(Command::Authenticate { mechanism, initial })
}

fn status_item(cursor: &mut Cursor<'_>) -> Parse<StatusItem> {
    Ok(match &*cursor.atom()?.to_ascii_uppercase() {
        "MESSAGES" => StatusItem::Messages,
        "RECENT" => StatusItem::Recent,
        "UIDNEXT" => StatusItem::UidNext,
        "UIDVALIDITY" => StatusItem::UidValidity,
        "UNSEEN" => StatusItem::Unseen,
        "HIGHESTMODSEQ" => StatusItem::HighestModSeq,
        "SIZE" => StatusItem::Size,
        "MAILBOXID" => StatusItem::MailboxId,
        "APPENDLIMIT" => StatusItem::AppendLimit,
        "DELETED-STORAGE" => StatusItem::DeletedStorage,
        "DELETED" => StatusItem::Deleted,
        _ => return Err(SyntaxError("unknown item of STATUS")),
    })
}

fn store(cursor: &mut Cursor<'_>, by_uid: bool) -> Parse<Store> {
    let set = SequenceSet::parse(cursor)?;
    cursor.space()?;
    let mut unchanged_since = None;
    if cursor.peek() == Some(b'(') {
        cursor.list(10, |cursor| {
            if !cursor.take_word("UNCHANGEDSINCE") {
                return Err(SyntaxError("unknown modifier of STORE"));
            }
            cursor.space()?;
            unchanged_since = Some(cursor.number64()?);
            Ok(())
        })?;
        cursor.space()?;
    }
    let action = match () {
        () if cursor.take(b'+') => StoreAction::Add,
        () if cursor.take(b'-') => StoreAction::Remove,
        () => StoreAction::Replace,
    };
    let silent = cursor.take_word("FLAGS.SILENT");
    if !silent && !cursor.take_word("FLAGS") {
        return Err(SyntaxError("expected FLAGS"));
    }
    cursor.space()?;
    let flags = if cursor.peek() == Some(b'(') { flag_list(cursor)? } else { flags_without_list(cursor)? };
    Ok(Store { by_uid, set, unchanged_since, action, silent, flags })
}

/// A flag is its name; `\Recent` and unknown `\` names are passed over, since no client can set them.
fn flag(cursor: &mut Cursor<'_>, flags: &mut FlagSet) -> Parse<()> {
    let system = cursor.take(b'\\');
    let name = cursor.atom()?;
    let name = if system { format!("\\{name}") } else { name.to_owned() };
    if !flags.insert_named(&name) && !system {
        return Err(SyntaxError("a keyword is too long or broken"));
    }
    Ok(())
}

fn flag_list(cursor: &mut Cursor<'_>) -> Parse<FlagSet> {
    let mut flags = FlagSet::default();
    cursor.list_or_empty(MAX_FLAGS, |cursor| flag(cursor, &mut flags))?;
    Ok(flags)
}

fn flags_without_list(cursor: &mut Cursor<'_>) -> Parse<FlagSet> {
    let mut flags = FlagSet::default();
    flag(cursor, &mut flags)?;
    for _ in 0..MAX_FLAGS {
        if !cursor.take(b' ') {
            return Ok(flags);
        }
        flag(cursor, &mut flags)?;
    }
    Err(SyntaxError("too many flags"))
}
