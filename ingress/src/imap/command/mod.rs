//! The commands, one file each (or one for a few that are one thing), and what is common to them.

mod acl;
mod append;
mod authenticate;
mod catenate;
mod compress;
mod copy;
mod copy_across;
mod enable;
mod expunge;
mod fetch;
mod idle;
mod letters;
mod list;
mod mailbox;
mod metadata;
mod notify;
mod quota;
mod search;
mod select;
mod small;
mod sort;
mod status;
mod store;

pub(super) use notify::Watch;

use super::grammar::{self, Command, Name, SequenceSet, Sort, Thread};
use super::response::Reply;
use super::session::{Done, Session};
use super::view::Movement;

/// The name of a command in the metrics.
pub(super) const fn name(command: &Command) -> &'static str {
    match command {
        Command::Capability => "capability",
        Command::Noop => "noop",
        Command::Logout => "logout",
        Command::Id(_) => "id",
        Command::StartTls => "starttls",
        Command::Authenticate { .. } => "authenticate",
        Command::Login { .. } => "login",
        Command::Enable(_) => "enable",
        Command::Select { read_only: false, .. } => "select",
        Command::Select { .. } => "examine",
        Command::Create { .. } => "create",
        Command::Delete(_) => "delete",
        Command::Rename { .. } => "rename",
        Command::Subscribe { .. } => "subscribe",
        Command::List(_) => "list",
        Command::Lsub { .. } => "lsub",
        Command::Status { .. } => "status",
        Command::Append { .. } => "append",
        Command::Replace { .. } => "replace",
        Command::Compress(_) => "compress",
        Command::Unauthenticate => "unauthenticate",
        Command::Namespace => "namespace",
        Command::Acl(_) => "acl",
        Command::Quota(_) => "quota",
        Command::GetMetadata(_) => "getmetadata",
        Command::SetMetadata(_) => "setmetadata",
        Command::Notify(_) => "notify",
        Command::Idle => "idle",
        Command::Check => "check",
        Command::Close => "close",
        Command::Unselect => "unselect",
        Command::Expunge { .. } => "expunge",
        Command::Search(_) | Command::SearchBadCharset { .. } => "search",
        Command::Sort(_) => "sort",
        Command::Thread(_) => "thread",
        Command::Fetch(_) => "fetch",
        Command::Store(_) => "store",
        Command::Copy { moves: false, .. } => "copy",
        Command::Copy { .. } => "move",
    }
}

/// What may be told after a command: no EXPUNGE after FETCH, STORE and SEARCH by sequence numbers (RFC 3501
/// section 7.4.1), nor after COPY by sequence numbers if more commands are on their way that may count on them.
/// `None` for nothing: SELECT tells one state, since clients may put its answers together at its end, EXISTS last.
pub(super) const fn movement(command: &Command, pipelined: bool) -> Option<Movement> {
    let by_number = match command {
        Command::Select { .. } => return None,
        Command::Fetch(fetch) => !fetch.by_uid,
        Command::Store(store) => !store.by_uid,
        Command::Search(search) => !search.by_uid,
        Command::Sort(sort) => !sort.search.by_uid,
        Command::Thread(thread) => !thread.search.by_uid,
        Command::SearchBadCharset { .. } => true,
        Command::Copy { by_uid, moves, .. } => !*by_uid && !*moves && pipelined,
        _ => false,
    };
    Some(if by_number { Movement::WithoutExpunge } else { Movement::Full })
}

/// Uses message sequence numbers: not allowed with UIDONLY (RFC 9586 section 3.1).
fn counts(command: &Command) -> bool {
    match command {
        Command::Fetch(fetch) => !fetch.by_uid,
        Command::Store(store) => !store.by_uid,
        Command::Copy { by_uid, .. } | Command::Replace { by_uid, .. } => !*by_uid,
        Command::Search(search) => !search.by_uid || search.key.names_numbers(),
        Command::Sort(Sort { search, .. }) | Command::Thread(Thread { search, .. }) => {
            !search.by_uid || search.key.names_numbers()
        }
        Command::Select { resync: Some(resync), .. } => resync.pairs.is_some(),
        _ => false,
    }
}

/// The name, or the answer to one that is none.
pub(super) fn named(name: &Name) -> Result<&str, Reply> {
    name.as_deref().ok_or_else(|| Reply::no("[CANNOT] the mailbox name is neither UTF-7 nor UTF-8"))
}

impl Session {
    /// Does what the command says; `bytes` are those it was read from.
    pub(super) async fn execute(&mut self, command: Command, bytes: &[u8]) -> Done {
        if self.modes.uid_only && counts(&command) {
            return Ok(Reply::bad("[UIDREQUIRED] with UIDONLY messages are named by UIDs"));
        }
        let tag = grammar::tag(bytes).unwrap_or_default();
        let done = match command {
            Command::Capability => Ok(self.capability()),
            Command::Noop => self.noop().await,
            // Of the selected state (RFC 3501 section 6.4.1).
            Command::Check if self.view.is_none() => Ok(nothing_selected()),
            Command::Check => self.noop().await,
            Command::Logout => Ok(Reply::ok("signed out")),
            Command::Id(said) => Ok(self.id(&said)),
            Command::StartTls => Ok(self.may_start_tls()),
            Command::Authenticate { mechanism, initial } => {
                return self.authenticate(&mechanism, initial).await;
            }
            Command::Login { user, password } => self.login(&user, &password).await,
            Command::Enable(names) => self.enable(&names),
            Command::Select { mailbox, read_only, condstore, resync } => {
                return self.select(&mailbox, read_only, condstore, resync.as_deref()).await;
            }
            Command::Create { mailbox, uses } => self.create(&mailbox, uses).await,
            Command::Delete(mailbox) => self.delete(&mailbox).await,
            Command::Rename { from, to } => self.rename(&from, &to).await,
            Command::Subscribe { mailbox, subscribed } => self.subscribe(&mailbox, subscribed).await,
            Command::List(list) => return self.list(&list).await,
            Command::Lsub { reference, pattern } => return self.lsub(&reference, &pattern).await,
            Command::Status { mailbox, items } => self.status(&mailbox, &items).await,
            Command::Append { mailbox, messages } => self.append(&mailbox, &messages, bytes).await,
            Command::Replace { by_uid, replaced, mailbox, message } => {
                let replaced = SequenceSet::from(vec![(replaced, replaced)]);
                Box::pin(self.replace(&replaced, by_uid, &mailbox, &message, bytes)).await
            }
            Command::Compress(mechanism) => self.may_compress(&mechanism),
            Command::Unauthenticate => self.may_sign_out(),
            Command::Namespace => self.namespace(),
            Command::Acl(acl) => self.acl(acl).await,
            Command::Quota(quota) => self.quota(&quota).await,
            Command::GetMetadata(get) => self.get_metadata(&get).await,
            Command::SetMetadata(set) => self.set_metadata(set).await,
            Command::Notify(notify) => return self.set_notify(notify).await,
            Command::Idle => return Box::pin(self.idle()).await,
            Command::Close => self.close_mailbox().await,
            Command::Unselect => self.unselect(),
            Command::Expunge { uids } => self.expunge(uids.as_ref(), tag).await,
            Command::Search(search) => return self.search(&search, bytes).await,
            Command::SearchBadCharset { saves } => Ok(self.bad_charset(saves)),
            Command::Sort(sort) => return self.sort(sort, bytes).await,
            Command::Thread(thread) => return self.thread(thread, bytes).await,
            Command::Fetch(fetch) => return self.fetch(&fetch, tag).await,
            Command::Store(store) => return self.store(&store, tag).await,
            Command::Copy { by_uid, set, mailbox, moves } => {
                self.copy(by_uid, &set, &mailbox, moves, tag).await
            }
        };
        Ok(done.unwrap_or_else(|refused| refused))
    }
}

/// What most commands give: both are answers, `Err` the one that ends early.
pub(super) type Answer = Result<Reply, Reply>;

/// What is said when no mailbox is selected.
pub(super) fn nothing_selected() -> Reply {
    Reply::bad("no mailbox is selected")
}

/// What is said to sequence numbers that no message has.
pub(super) fn no_such_numbers() -> Reply {
    Reply::bad("there are not so many messages")
}

/// What is said in a mailbox opened by EXAMINE.
pub(super) fn read_only() -> Reply {
    Reply::no("[NOPERM] the mailbox was opened read-only")
}
