//! Which mailbox a name means, whose it is, and what the session may do with it (RFC 4314).
//!
//! A member's own mailboxes have their names; those that others of the tenant share stand under
//! `Other Users/ADDRESS/NAME`, which NAMESPACE tells. Every command that takes a name goes through
//! [`Session::reach`], gets an [`Access`], and says which rights it needs.
//!
//! Invariant: another account is only ever reached through [`Colleague`], and a colleague is only made from the
//! session's own tenant and an id within it: there is no way to name an account of another tenant.
//!
//! What a colleague's account opens is an [`Opening`]: mailbox by mailbox by their access control lists; the whole of it
//! to a full secretary (DLG-03); of a business mailbox (BIZ-01), the whole of it to its users and nothing to others. What is
//! opened as a whole is asked of the directory with each command in it, so that who is out is out of open sessions, too.

use std::borrow::Cow;
use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use pennypost_directory::{Account, AccountKind, Listed, Page};
use pennypost_fold::name::SEPARATOR;
use pennypost_fold::{Mailbox, State};
use pennypost_model::{AccountId, AccountKey, FlagSet, Grantee, MailboxId, Rights, SystemFlags};
use tokio::time::Instant;
use tracing::warn;

use super::response::{Refusal, Reply};
use super::session::Session;
use crate::net::ClientAccount;

/// Top level of what others share.
pub(super) const OTHER_USERS: &str = "Other Users";
/// Groups of which it is remembered whether the member is in them.
const MAX_GROUPS: usize = 1_000;

/// Is the member in these groups, and when was that looked up?
pub(super) type Memberships = HashMap<String, (Instant, bool)>;

/// Another account of the session's tenant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Colleague(AccountKey);

impl Colleague {
    /// The account with that id in the tenant of `me`; `None` if that is `me`.
    fn of(me: AccountKey, account: AccountId) -> Option<Colleague> {
        (account != me.account).then_some(Colleague(AccountKey { tenant: me.tenant, account }))
    }
}

/// What a colleague's account opens to the member.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Opening {
    /// Each mailbox what its access control list says.
    ByList,
    /// All mailboxes alike, those that will be made among them, and these rights; lists say nothing.
    Whole(Rights),
}

impl Opening {
    /// Nothing.
    const CLOSED: Opening = Opening::Whole(Rights::NONE);
    /// What users of a business mailbox may do: everything but to share it. Who uses it is the administrators' choice.
    const OF_USERS: Opening = Opening::Whole(Rights::ALL.without(Rights::ADMINISTER));
    /// What a full secretary may do: what the owner may (DLG-03), but to share. Whom he let in would stay when his term ends,
    /// himself among them (DLG-04).
    const OF_SECRETARIES: Opening = Opening::Whole(Rights::ALL.without(Rights::ADMINISTER));

    /// Rights in the account as a whole: new mailboxes at its top take them.
    pub const fn everywhere(self) -> Rights {
        match self {
            Opening::ByList => Rights::NONE,
            Opening::Whole(rights) => rights,
        }
    }
}

/// A mailbox that a command was given.
pub(super) struct Access {
    /// The account that it belongs to.
    pub live: ClientAccount,
    /// That account, with everything that was durable when it was asked for.
    pub state: Arc<State>,
    /// The mailbox.
    pub mailbox: Arc<Mailbox>,
    /// What the session may do with it.
    pub rights: Rights,
    /// Whose it is, if it is a colleague's: the level below [`OTHER_USERS`].
    pub owner: Option<String>,
    /// What that account opens; of the member's own, everything.
    pub opening: Opening,
    /// Bytes that the account may hold.
    pub quota: u64,
}

impl Access {
    /// Which mailbox of its account.
    pub fn id(&self) -> MailboxId {
        self.mailbox.id
    }

    /// Is it the member's own?
    pub const fn is_own(&self) -> bool {
        self.owner.is_none()
    }

    /// Its name as this session's client knows it.
    pub fn name(&self) -> Cow<'_, str> {
        name_of(self.owner.as_deref(), &self.mailbox.name)
    }

    /// Goes on if the session has all these rights. Whoever may not even look a mailbox up is not told that it is
    /// there (RFC 4314 section 6).
    pub fn need(self, rights: Rights) -> Result<Access, Reply> {
        if self.rights.contains(rights) {
            return Ok(self);
        }
        Err(if self.rights.contains(Rights::LOOKUP) { no_right() } else { not_there() })
    }
}

/// What is said of a mailbox that is not there, or not there for this member.
pub(super) fn not_there() -> Reply {
    Reply::no("[NONEXISTENT] there is no such mailbox")
}

/// What is said to whom a right is missing.
pub(super) fn no_right() -> Reply {
    Reply::no("[NOPERM] you have no right to do that")
}

/// A mailbox's name to a session: of its own, or of a colleague's.
pub(super) fn name_of<'a>(owner: Option<&str>, name: &'a str) -> Cow<'a, str> {
    match owner {
        None => Cow::Borrowed(name),
        Some(owner) => Cow::Owned(format!("{OTHER_USERS}{SEPARATOR}{owner}{SEPARATOR}{name}")),
    }
}

/// The address and the rest of a name below [`OTHER_USERS`]; both may be empty. `None`: it is one of the member's
/// own names.
pub(super) fn split_shared(name: &str) -> Option<(&str, &str)> {
    let (top, rest) = name.split_once(SEPARATOR).unwrap_or((name, ""));
    (top == OTHER_USERS).then(|| rest.split_once(SEPARATOR).unwrap_or((rest, "")))
}

/// An account whose mailboxes are shared with the member.
pub(super) struct Sharer {
    /// Its address.
    pub address: String,
    /// Its mail.
    pub live: ClientAccount,
    /// With everything that is durable now.
    pub state: Arc<State>,
    /// Bytes that it may hold.
    pub quota: u64,
    /// What it opens to the member.
    pub opening: Opening,
}

impl Session {
    /// The member's own account with everything that is durable now; the view, if there is one, knows of it.
    pub async fn own(&mut self) -> Result<(ClientAccount, Arc<State>), Reply> {
        let live = self.live()?;
        let state = live.refresh().await?;
        if let Some(view) = self.view.as_mut().filter(|view| view.account() == live.key()) {
            view.learn(&state);
        }
        Ok((live, state))
    }

    /// The mailbox of that name, of the member or shared with them.
    pub async fn reach(&mut self, name: &str) -> Result<Access, Reply> {
        let Some((address, rest)) = split_shared(name) else {
            let (live, state) = self.own().await?;
            let mailbox = Arc::clone(state.mailbox_named(name).ok_or_else(not_there)?);
            let quota = self.signed_in.as_ref().map_or(0, |signed_in| signed_in.standing.capacity());
            let (rights, opening) = (Rights::ALL, Opening::Whole(Rights::ALL));
            return Ok(Access { live, state, mailbox, rights, owner: None, opening, quota });
        };
        let sharer = self.sharer_at(address).await?.ok_or_else(not_there)?;
        let mailbox = Arc::clone(sharer.state.mailbox_named(rest).ok_or_else(not_there)?);
        let rights = self.rights_in(sharer.opening, &mailbox).await?;
        if rights.is_none() {
            return Err(not_there());
        }
        let Sharer { address, live, state, quota, opening } = sharer;
        Ok(Access { live, state, mailbox, rights, owner: Some(address), opening, quota })
    }

    /// As [`Session::reach`] for a mailbox that messages are to be put into: one that is not there can be created
    /// (RFC 3501 section 7.1, TRYCREATE).
    pub async fn reach_target(&mut self, name: &str) -> Result<Access, Reply> {
        let reached = self.reach(name).await;
        let access = reached.map_err(|refused| match &refused {
            missing if missing.text.starts_with("[NONEXISTENT]") => Refusal::NoTarget.into(),
            _ => refused,
        })?;
        access.need(Rights::INSERT)
    }

    /// The account of the selected mailbox, which may be a colleague's; without one the member's own.
    pub fn selected(&self) -> Result<ClientAccount, Reply> {
        let own = self.live()?;
        Ok(self.view.as_ref().map_or(own, |view| view.live().clone()))
    }

    /// Rights in a colleague's mailbox may have changed since it was selected; without the right to read it is
    /// closed. What lists say is known with the mailbox; that it is still lists that say it is looked at now and then, and
    /// who uses a business mailbox each time.
    pub async fn recheck_rights(&mut self) -> Result<(), Reply> {
        let Some(view) = self.view.as_ref().filter(|view| view.owner().is_some()) else { return Ok(()) };
        let (account, mut opening, since) = (view.account(), view.opening(), view.opening_since());
        let (mailbox, before) = (view.state().mailbox(view.id).map(Arc::clone), view.rights());
        let is_asked = opening != Opening::ByList || since.elapsed() >= self.adapter.limits.recheck;
        if is_asked {
            opening = match self.adapter.directory.account(account).await.map_err(unavailable)? {
                Some(account) => self.opening_of(&account).await?,
                None => Opening::CLOSED,
            };
        }
        let rights = match &mailbox {
            Some(mailbox) => self.rights_in(opening, mailbox).await?,
            // One that was deleted is one without messages; of that nothing is to be taken away.
            None if opening == Opening::CLOSED => Rights::NONE,
            None => before,
        };
        let Some(view) = &mut self.view else { return Ok(()) };
        if is_asked {
            view.set_opening(opening);
        }
        view.set_rights(rights);
        self.knows_rights = true;
        if !rights.contains(Rights::READ) {
            self.view = None;
            self.stream.write(b"* OK [CLOSED] the mailbox is no longer shared with you\r\n");
        }
        Ok(())
    }

    /// The colleague with that address, whether they share anything or not.
    pub async fn sharer_at(&mut self, address: &str) -> Result<Option<Sharer>, Reply> {
        if self.is_business() {
            return Ok(None);
        }
        let me = self.live()?.key();
        let account = self.adapter.directory.colleague(me.tenant, address).await.map_err(unavailable)?;
        match account {
            Some(account) => self.sharer(account).await,
            None => Ok(None),
        }
    }

    /// All colleagues who share something with the member, or have done so, the business mailboxes that the member
    /// uses, and those in whose place he stands; in order of their addresses.
    pub async fn sharers(&mut self) -> Result<Vec<Sharer>, Reply> {
        let mut sharers = Vec::new();
        if self.is_business() {
            return Ok(sharers);
        }
        let me = self.live()?.key();
        let stands_in_for = self.adapter.directory.stands_in_for(me).await.map_err(unavailable)?;
        let whole: BTreeSet<AccountId> = stands_in_for.iter().map(|owner| owner.key.account).collect();
        for owner in stands_in_for {
            sharers.extend(self.open_sharer(owner, Opening::OF_SECRETARIES).await?);
        }
        let owners = self.adapter.directory.sharers(me).await.map_err(unavailable)?;
        for owner in owners.difference(&whole).copied() {
            let Some(Colleague(key)) = Colleague::of(me, owner) else { continue };
            let account = self.adapter.directory.account(key).await.map_err(unavailable)?;
            // What is a business mailbox now comes with the others.
            let now = self.adapter.directory.now();
            let is_meant = |owner: &Account| owner.kind == AccountKind::Member && owner.is_open(now);
            if let Some(account) = account.filter(is_meant) {
                sharers.extend(self.open_sharer(account, Opening::ByList).await?);
            }
        }
        // In the departments in which the member is now.
        if let Some(own) = self.adapter.directory.account(me).await.map_err(unavailable)? {
            let mut page = Page::default();
            loop {
                let used = self.adapter.directory.mailboxes_used(&own, &page).await;
                let Listed { items, next } = used.map_err(unavailable)?;
                for account in items {
                    sharers.extend(self.open_sharer(account, Opening::OF_USERS).await?);
                }
                let Some(next) = next else { break };
                page.after = Some(next);
            }
        }
        sharers.sort_by(|a, b| a.address.cmp(&b.address));
        Ok(sharers)
    }

    /// Is it the session of a program that opens a business mailbox? To that nobody's folders are open: what colleagues have
    /// shared with the member that it once was, they have not shared with its users.
    pub fn is_business(&self) -> bool {
        let account = self.signed_in.as_ref().map(|signed_in| &signed_in.standing.account);
        account.is_some_and(|account| account.kind == AccountKind::Business)
    }

    /// What an account opens to the member, by what is stored now.
    async fn opening_of(&self, account: &Account) -> Result<Opening, Reply> {
        let directory = &self.adapter.directory;
        let me = self.live()?.key();
        if account.kind == AccountKind::Member {
            // Into an account in the recycle bin nobody files mail, whatever its owner has shared.
            if !account.is_open(directory.now()) {
                return Ok(Opening::CLOSED);
            }
            let is_full = directory.is_full_secretary(me, account).await.map_err(unavailable)?;
            return Ok(if is_full { Opening::OF_SECRETARIES } else { Opening::ByList });
        }
        let is_open = directory.is_open_business(account)
            && directory.uses_mailbox(me, account.key).await.map_err(unavailable)?;
        Ok(if is_open { Opening::OF_USERS } else { Opening::CLOSED })
    }

    async fn sharer(&self, account: Account) -> Result<Option<Sharer>, Reply> {
        let opening = self.opening_of(&account).await?;
        self.open_sharer(account, opening).await
    }

    async fn open_sharer(&self, account: Account, opening: Opening) -> Result<Option<Sharer>, Reply> {
        let me = self.live()?.key();
        let Some(Colleague(key)) = Colleague::of(me, account.key.account) else { return Ok(None) };
        if key != account.key || opening == Opening::CLOSED {
            return Ok(None);
        }
        // What the member wants mail programs to see is said of their own mail.
        let live = ClientAccount::whole(self.adapter.mailroom.account(key).await?);
        let state = live.refresh().await?;
        let quota = self.signed_in.as_ref().map_or(0, |signed_in| signed_in.standing.capacity_of(&account));
        let address = account.address.to_string();
        Ok(Some(Sharer { address, live, state, quota, opening }))
    }

    /// What the member may do with a mailbox of a colleague whose account opens this.
    pub async fn rights_in(&mut self, opening: Opening, mailbox: &Mailbox) -> Result<Rights, Reply> {
        if let Opening::Whole(rights) = opening {
            return Ok(rights);
        }
        if mailbox.acl.is_empty() {
            return Ok(Rights::NONE);
        }
        let me = self.live()?.key();
        let mut rights = Rights::NONE;
        for (grantee, granted) in mailbox.acl.iter() {
            let is_meant = match grantee {
                Grantee::Anyone => true,
                Grantee::Account(account) => *account == me.account,
                Grantee::Group(group) => self.is_in_group(me, group).await?,
            };
            if is_meant {
                rights = rights.union(*granted);
            }
        }
        Ok(rights)
    }

    /// Looked up again after the time after which a session is looked at again.
    async fn is_in_group(&mut self, me: AccountKey, group: &str) -> Result<bool, Reply> {
        if let Some((since, is_in)) = self.memberships.get(group)
            && since.elapsed() < self.adapter.limits.recheck
        {
            return Ok(*is_in);
        }
        let is_in = self.adapter.directory.is_in_group(me, group).await.map_err(unavailable)?;
        if self.memberships.len() >= MAX_GROUPS {
            self.memberships.clear();
        }
        self.memberships.insert(group.to_owned(), (Instant::now(), is_in));
        Ok(is_in)
    }
}

/// Those of the flags that may be set and cleared with these rights (RFC 4314 section 2.1).
pub(super) fn permitted(rights: Rights, flags: &FlagSet) -> FlagSet {
    let mut allowed = 0;
    for (flag, _) in SystemFlags::NAMED {
        let needed = match flag {
            SystemFlags::SEEN => Rights::SEEN,
            SystemFlags::DELETED => Rights::DELETE_MESSAGES,
            _ => Rights::WRITE,
        };
        allowed |= if rights.contains(needed) { flag.0 } else { 0 };
    }
    let keywords = if rights.contains(Rights::WRITE) { flags.keywords.clone() } else { Vec::new() };
    FlagSet { system: SystemFlags(flags.system.0 & allowed), keywords }
}

/// Can anything be changed in a mailbox with these rights?
pub(super) fn may_change(rights: Rights) -> bool {
    let changing = [Rights::SEEN, Rights::WRITE, Rights::INSERT, Rights::DELETE_MESSAGES, Rights::EXPUNGE];
    changing.into_iter().any(|right| rights.contains(right))
}

/// The directory's cause is for the log.
#[expect(clippy::needless_pass_by_value, reason = "it is given to map_err")]
pub(super) fn unavailable(error: pennypost_directory::DirectoryError) -> Reply {
    warn!(%error, "the directory can't be asked");
    Reply::no("[UNAVAILABLE] not possible at the moment, try again")
}

#[cfg(test)]
mod tests {
    use super::*;
    use pennypost_model::TenantId;

    #[test]
    fn names_below_other_users_are_others() {
        assert_eq!(split_shared("INBOX"), None);
        assert_eq!(split_shared("Other Users"), Some(("", "")));
        assert_eq!(split_shared("Other Users/a@x/b/c"), Some(("a@x", "b/c")));
        assert_eq!(split_shared("Other Users of mine/x"), None);
        assert_eq!(name_of(Some("a@x"), "b"), "Other Users/a@x/b");
    }

    #[test]
    fn a_colleague_is_of_the_same_tenant() {
        let me = AccountKey { tenant: TenantId(1), account: AccountId(2) };
        assert_eq!(Colleague::of(me, AccountId(2)), None);
        assert_eq!(Colleague::of(me, AccountId(3)).map(|Colleague(key)| key.tenant), Some(TenantId(1)));
    }
}
