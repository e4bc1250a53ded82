//! CREATE, DELETE, RENAME, SUBSCRIBE and UNSUBSCRIBE (RFC 3501 sections 6.3.3 to 6.3.7).
//!
//! Subscriptions are a list of names and the client's own business: it may name what is not there, and neither
//! CREATE, DELETE nor RENAME changes it (section 6.3.6 forbids to take a name out on our own; Dovecot does the same).

use std::sync::Arc;

use pennypost_fold::name::{self, SEPARATOR};
use pennypost_fold::{Draft, DraftError, State};
use pennypost_model::{MailboxId, Rights, SpecialUses};

use super::select::named_line;
use super::{Answer, named, status};
use crate::imap::access::{Opening, Sharer, no_right, split_shared};
use crate::imap::grammar::{Name, NoSuchUse};
use crate::imap::response::{Refusal, Reply};
use crate::imap::session::{ACTOR, Session};
use crate::net::ClientAccount;

/// Mailboxes that an account can have.
const MAX_MAILBOXES: usize = 10_000;

fn find(draft: &Draft, live: &ClientAccount, name: &str) -> Result<MailboxId, Refusal> {
    let mailbox = draft.state().mailbox_named(name).filter(|mailbox| live.sees_mailbox(mailbox));
    Ok(mailbox.ok_or(DraftError::NoMailbox)?.id)
}

/// What it makes would not be seen, and what it renames has folders below it that are not.
fn need_folders(live: &ClientAccount) -> Result<(), Reply> {
    let refused = || Reply::no("[NOPERM] own folders are not open to mail programs");
    live.sees_folders().then_some(()).ok_or_else(refused)
}

/// Renames a mailbox that is there only by those below it. `missing` is the answer if there are none.
fn rename_below(draft: &mut Draft, from: &str, to: &str, missing: Refusal) -> Result<(), Refusal> {
    let (from, to) = (name::canonical(from), name::canonical(to));
    let below = format!("{from}{SEPARATOR}");
    if to == from || draft.state().mailbox_named(&to).is_some() {
        return Err(DraftError::MailboxExists.into());
    }
    if to.starts_with(&below) {
        return Err(DraftError::BadName("a mailbox can't be moved below itself").into());
    }
    let mut children: Vec<String> =
        draft.state().mailboxes().map(|mailbox| mailbox.name.to_string()).collect();
    children.retain(|name| name.starts_with(&below));
    if children.is_empty() {
        return Err(missing);
    }
    // Those above first: what is below them comes with them.
    children.sort();
    for child in children {
        if let Some(mailbox) = draft.state().mailbox_named(&child) {
            let id = mailbox.id;
            draft.rename_mailbox(id, &format!("{to}{SEPARATOR}{}", &child[below.len()..]))?;
        }
    }
    Ok(())
}

/// The name as it is kept. Those of others' mailboxes stand as they are.
fn normal(name: &str) -> String {
    if split_shared(name).is_some() { name.to_owned() } else { name::canonical(name) }
}

/// Where a name leads: the account, the name within it, and, in a colleague's account, whose it is.
struct Place<'a> {
    live: ClientAccount,
    state: Arc<State>,
    name: &'a str,
    is_own: bool,
    opening: Opening,
}

impl Session {
    /// The account that a name is or would be in. Of a colleague's account it says nothing about rights.
    async fn place<'a>(&mut self, name: &'a str) -> Result<Place<'a>, Reply> {
        match split_shared(name) {
            None => {
                let (live, state) = self.own().await?;
                Ok(Place { live, state, name, is_own: true, opening: Opening::Whole(Rights::ALL) })
            }
            Some((_, "")) => Err(Reply::no("[NOPERM] that level is for the mailboxes of others")),
            Some((address, rest)) => {
                let sharer = self.sharer_at(address).await?.ok_or_else(no_right)?;
                let Sharer { live, state, opening, .. } = sharer;
                Ok(Place { live, state, name: rest, is_own: false, opening })
            }
        }
    }

    /// May a mailbox be made at this place? In a colleague's account that needs `k` at the nearest mailbox above
    /// (RFC 4314 section 4), or in the account as a whole.
    async fn may_create(&mut self, place: &Place<'_>) -> Result<(), Reply> {
        if place.state.mailboxes().count() >= MAX_MAILBOXES {
            return Err(Reply::no("[LIMIT] the account has too many mailboxes"));
        }
        if place.is_own || place.opening.everywhere().contains(Rights::CREATE) {
            return Ok(());
        }
        let mut name = place.name;
        while let Some((above, _)) = name.rsplit_once(SEPARATOR) {
            if let Some(mailbox) = place.state.mailbox_named(above) {
                let rights = self.rights_in(place.opening, mailbox).await?;
                return if rights.contains(Rights::CREATE) { Ok(()) } else { Err(no_right()) };
            }
            name = above;
        }
        Err(no_right())
    }

    pub(super) async fn create(
        &mut self,
        name: &Name,
        uses: Option<Result<SpecialUses, NoSuchUse>>,
    ) -> Answer {
        self.live()?;
        // A separator at the end only says that there will be mailboxes below it.
        let name = named(name)?;
        let name = name.strip_suffix(SEPARATOR).unwrap_or(name);
        let place = self.place(name).await?;
        let uses = match uses {
            None => None,
            // What others see as theirs has no use to them.
            Some(Err(NoSuchUse)) => return Err(Reply::no("[USEATTR] no mailbox can have that use here")),
            Some(Ok(_)) if !place.is_own => return Err(Reply::no("[USEATTR] only own mailboxes have a use")),
            Some(Ok(uses)) => Some(uses),
        };
        need_folders(&place.live)?;
        self.may_create(&place).await?;
        let create = |draft: &mut Draft| {
            draft.keeping_subscriptions(|draft| {
                let id = draft.create_mailbox(place.name, None)?;
                if let Some(uses) = uses {
                    draft.set_uses(id, uses)?;
                }
                Ok::<_, Refusal>(id)
            })
        };
        let (state, id) = place.live.change(&ACTOR, create).await?;
        self.tell_name("", &normal(name), name);
        match state.mailbox(id) {
            Some(mailbox) => Ok(Reply::ok(format!("[MAILBOXID ({})] created", status::mailbox_id(mailbox)))),
            None => Ok(Reply::ok("created")),
        }
    }

    pub(super) async fn delete(&mut self, name: &Name) -> Answer {
        self.live()?;
        let access = self.reach(named(name)?).await?.need(Rights::DELETE_MAILBOX)?;
        let id = access.id();
        let delete = |draft: &mut Draft| {
            let mailbox = draft.state().mailbox(id).filter(|_| access.live.loses_sight());
            if mailbox.is_some_and(|mailbox| mailbox.rows.iter().any(|row| !access.live.sees(row))) {
                return Err(Refusal::HoldsUnseen);
            }
            draft.keeping_subscriptions(|draft| draft.delete_mailbox(id).map_err(Refusal::from))
        };
        access.live.change(&ACTOR, delete).await?;
        let name = named(name)?;
        self.tell_name("\\NonExistent", &normal(name), name);
        Ok(Reply::ok("deleted"))
    }

    pub(super) async fn rename(&mut self, from: &Name, to: &Name) -> Answer {
        self.live()?;
        let (from, to) = (named(from)?, named(to)?);
        let to = to.strip_suffix(SEPARATOR).unwrap_or(to);
        let old = self.place(from).await?;
        let new = self.place(to).await?;
        if old.live.key() != new.live.key() {
            return Err(Reply::no("[CANNOT] a mailbox can't be moved to another account"));
        }
        if !old.is_own {
            self.reach(from).await?.need(Rights::DELETE_MAILBOX)?;
            self.may_create(&new).await?;
        }
        need_folders(&old.live)?;
        let is_own = old.is_own;
        let (old_name, new_name) = (from, normal(to));
        let (from, to) = (old.name, new.name);
        let rename = |draft: &mut Draft| {
            draft.keeping_subscriptions(|draft| match find(draft, &old.live, from) {
                Ok(id) => draft.rename_mailbox(id, to).map_err(Refusal::from),
                Err(missing) if is_own => rename_below(draft, from, to, missing),
                Err(missing) => Err(missing),
            })
        };
        old.live.change(&ACTOR, rename).await?;
        // The Inbox stays: what was in it is in a new mailbox.
        if normal(old_name) == "INBOX" {
            self.tell_name("", "INBOX", old_name);
        } else {
            self.tell_name("", &new_name, old_name);
        }
        Ok(Reply::ok("renamed"))
    }

    /// Tells, in IMAP4rev2, which name took the place of the one that the client used (RFC 9051 section 6.3.9.7).
    fn tell_name(&mut self, attributes: &str, name: &str, used: &str) {
        if self.modes.rev2 && name != used {
            let mut out = Vec::new();
            named_line(&mut out, attributes, name, used, self.modes);
            self.stream.write(&out);
        }
    }

    /// The list of subscriptions is the member's own, whosever the mailboxes are.
    pub(super) async fn subscribe(&mut self, name: &Name, subscribed: bool) -> Answer {
        let name = named(name)?;
        let (live, _) = self.own().await?;
        let subscribe = |draft: &mut Draft| draft.subscribe_name(name, subscribed).map_err(Refusal::from);
        live.change(&ACTOR, subscribe).await?;
        Ok(Reply::ok(if subscribed { "subscribed" } else { "no longer subscribed" }))
    }
}
