//! The names that LIST tells of: a member's own mailboxes, what others share with them, the levels above both that
//! are no mailboxes, and names that are subscribed without being there.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};

use pennypost_fold::name::SEPARATOR;
use pennypost_fold::{Mailbox, State};
use pennypost_model::{AccountKey, Rights};

use super::pattern::Pattern;
use crate::imap::access::{OTHER_USERS, Sharer, name_of};
use crate::imap::grammar::List;
use crate::imap::response::Reply;
use crate::imap::session::Session;

/// Between two chances for other sessions of this thread.
const BATCH: usize = 200;

/// A mailbox behind a name.
#[derive(Clone, Copy)]
pub(super) struct Listed<'a> {
    pub mailbox: &'a Mailbox,
    pub account: AccountKey,
    pub rights: Rights,
    pub is_own: bool,
}

/// All names in order.
pub(super) struct Names<'a> {
    /// With the mailbox of that name, if there is one.
    pub all: BTreeMap<Cow<'a, str>, Option<Listed<'a>>>,
    /// Names below which there is a mailbox.
    pub with_children: BTreeSet<Cow<'a, str>>,
}

impl<'a> Names<'a> {
    /// The member's own.
    pub fn of(state: &'a State, account: AccountKey) -> Names<'a> {
        let mut names = Names { all: BTreeMap::new(), with_children: BTreeSet::new() };
        for mailbox in state.mailboxes() {
            let listed = Listed { mailbox, account, rights: Rights::ALL, is_own: true };
            names.put(Cow::Borrowed(&mailbox.name), listed);
        }
        names
    }

    fn put(&mut self, name: Cow<'a, str>, listed: Listed<'a>) {
        for above in levels_above(&name) {
            if !self.with_children.contains(above) {
                self.with_children.insert(Cow::Owned(above.to_owned()));
            }
        }
        self.all.insert(name, Some(listed));
    }

    /// The levels above, too, and names that are subscribed.
    pub fn complete(&mut self, subscribed: Option<&'a BTreeSet<String>>) {
        for above in &self.with_children {
            self.all.entry(above.clone()).or_insert(None);
        }
        for name in subscribed.into_iter().flatten() {
            self.all.entry(Cow::Borrowed(name)).or_insert(None);
            for above in levels_above(name) {
                self.all.entry(Cow::Borrowed(above)).or_insert(None);
            }
        }
    }
}

pub(super) fn levels_above(name: &str) -> impl Iterator<Item = &str> {
    name.match_indices(SEPARATOR).map(|(end, _)| &name[..end])
}

/// Is the name one that the selection options ask for? Without any, names that are no mailboxes are, too: for what is
/// below them.
pub(super) fn is_selected(list: &List, own: &State, name: &str, listed: Option<&Listed<'_>>) -> bool {
    let has_use = || listed.is_some_and(|listed| listed.is_own && !listed.mailbox.uses.is_none());
    (!list.select_subscribed || own.is_subscribed(name)) && (!list.select_special_use || has_use())
}

/// What colleagues share, as far as a pattern may ask for it.
pub(super) async fn shared(session: &mut Session, patterns: &[Pattern]) -> Result<Vec<Sharer>, Reply> {
    if !patterns.iter().any(|pattern| pattern.may_match_below(OTHER_USERS)) {
        return Ok(Vec::new());
    }
    session.sharers().await
}

/// Adds what may be seen of it.
pub(super) async fn add_shared<'a>(
    session: &mut Session,
    names: &mut Names<'a>,
    sharers: &'a [Sharer],
) -> Result<(), Reply> {
    let mut looked_at = 0;
    for sharer in sharers {
        for mailbox in sharer.state.mailboxes() {
            looked_at += 1;
            if looked_at % BATCH == 0 {
                tokio::task::yield_now().await;
            }
            let rights = session.rights_in(sharer.opening, mailbox).await?;
            if rights.contains(Rights::LOOKUP) {
                let listed = Listed { mailbox, account: sharer.live.key(), rights, is_own: false };
                let name = Cow::Owned(name_of(Some(&sharer.address), &mailbox.name).into_owned());
                names.put(name, listed);
            }
        }
    }
    Ok(())
}
