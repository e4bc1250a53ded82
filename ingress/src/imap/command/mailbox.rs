//! CREATE, DELETE, RENAME, SUBSCRIBE and UNSUBSCRIBE (RFC 3501 sections 6.3.3 to 6.3.7).
//!
//! Subscriptions are a list of names and the client's own business: it may name what is not there, and neither
//! CREATE, DELETE nor RENAME changes it (section 6.3.6 forbids to take a name out on our own; Dovecot does the same).

use pennypost_fold::name::{self, SEPARATOR};
use pennypost_fold::{Draft, DraftError};
use pennypost_model::MailboxId;

use super::{Answer, named, status};
use crate::imap::grammar::Name;
use crate::imap::response::{Refusal, Reply};
use crate::imap::session::{ACTOR, Session};

/// Mailboxes that an account can have.
const MAX_MAILBOXES: usize = 10_000;

fn find(draft: &Draft, name: &str) -> Result<MailboxId, Refusal> {
    let mailbox = draft.state().mailbox_named(name).ok_or(DraftError::NoMailbox)?;
    Ok(mailbox.id)
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

impl Session {
    pub(super) async fn create(&mut self, name: &Name) -> Answer {
        // A separator at the end only says that there will be mailboxes below it.
        let name = named(name)?;
        let name = name.strip_suffix(SEPARATOR).unwrap_or(name);
        let (live, state) = self.refreshed().await?;
        if state.mailboxes().count() >= MAX_MAILBOXES {
            return Err(Reply::no("[LIMIT] the account has too many mailboxes"));
        }
        let create = |draft: &mut Draft| {
            draft.keeping_subscriptions(|draft| draft.create_mailbox(name, None).map_err(Refusal::from))
        };
        let (state, id) = live.change(&ACTOR, create).await?;
        match state.mailbox(id) {
            Some(mailbox) => Ok(Reply::ok(format!("[MAILBOXID ({})] created", status::mailbox_id(mailbox)))),
            None => Ok(Reply::ok("created")),
        }
    }

    pub(super) async fn delete(&mut self, name: &Name) -> Answer {
        let name = named(name)?;
        let (live, _) = self.refreshed().await?;
        let delete = |draft: &mut Draft| {
            let id = find(draft, name)?;
            draft.keeping_subscriptions(|draft| draft.delete_mailbox(id).map_err(Refusal::from))
        };
        live.change(&ACTOR, delete).await?;
        Ok(Reply::ok("deleted"))
    }

    pub(super) async fn rename(&mut self, from: &Name, to: &Name) -> Answer {
        let (from, to) = (named(from)?, named(to)?);
        let to = to.strip_suffix(SEPARATOR).unwrap_or(to);
        let (live, _) = self.refreshed().await?;
        let rename = |draft: &mut Draft| {
            draft.keeping_subscriptions(|draft| match find(draft, from) {
                Ok(id) => draft.rename_mailbox(id, to).map_err(Refusal::from),
                Err(missing) => rename_below(draft, from, to, missing),
            })
        };
        live.change(&ACTOR, rename).await?;
        Ok(Reply::ok("renamed"))
    }

    pub(super) async fn subscribe(&mut self, name: &Name, subscribed: bool) -> Answer {
        let name = named(name)?;
        let (live, _) = self.refreshed().await?;
        let subscribe = |draft: &mut Draft| draft.subscribe_name(name, subscribed).map_err(Refusal::from);
        live.change(&ACTOR, subscribe).await?;
        Ok(Reply::ok(if subscribed { "subscribed" } else { "no longer subscribed" }))
    }
}
