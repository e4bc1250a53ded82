//! LIST (RFC 3501 section 6.3.8), with the options of RFC 5258, 5819 and 6154, and LSUB (section 6.3.9).

mod pattern;

use std::collections::{BTreeMap, BTreeSet};

use pennypost_fold::name::SEPARATOR;
use pennypost_fold::{Mailbox, State};
use pennypost_model::MailboxRole;

use super::named;
use crate::imap::grammar::{List, Name, StatusItem, utf7};
use crate::imap::response::{Reply, mailbox_name};
use crate::imap::session::{Done, Session};
use pattern::Pattern;

/// Mailboxes between two chances for other sessions of this thread.
const BATCH: usize = 50;

/// All names of an account in order, with those that only have mailboxes below them.
struct Names<'a> {
    all: BTreeMap<&'a str, Option<&'a Mailbox>>,
    with_children: BTreeSet<&'a str>,
    /// How they are written.
    form: utf7::Names,
}

impl<'a> Names<'a> {
    fn of(state: &'a State, form: utf7::Names) -> Names<'a> {
        let mut names = Names { all: BTreeMap::new(), with_children: BTreeSet::new(), form };
        for mailbox in state.mailboxes() {
            names.all.insert(&mailbox.name, Some(mailbox));
            for above in levels_above(&mailbox.name) {
                names.with_children.insert(above);
            }
        }
        for above in &names.with_children {
            names.all.entry(above).or_insert(None);
        }
        names
    }
}

fn levels_above(name: &str) -> impl Iterator<Item = &str> {
    name.match_indices(SEPARATOR).map(|(end, _)| &name[..end])
}

/// The attribute of a use (RFC 6154 section 2).
const fn special_use(mailbox: &Mailbox) -> Option<&'static str> {
    match mailbox.role {
        Some(MailboxRole::Junk) => Some("\\Junk"),
        Some(MailboxRole::Trash) => Some("\\Trash"),
        Some(MailboxRole::Sent) => Some("\\Sent"),
        Some(MailboxRole::Drafts) => Some("\\Drafts"),
        Some(MailboxRole::Archive) => Some("\\Archive"),
        Some(MailboxRole::Inbox | MailboxRole::Transfer) | None => None,
    }
}

fn is_selected(list: &List, state: &State, mailbox: &Mailbox) -> bool {
    (!list.select_subscribed || state.is_subscribed(&mailbox.name))
        && (!list.select_special_use || special_use(mailbox).is_some())
}

impl Session {
    pub(super) async fn list(&mut self, list: &List) -> Done {
        let (live, state) = match self.refreshed().await {
            Ok(refreshed) => refreshed,
            Err(refused) => return Ok(refused),
        };
        let reference = match named(&list.reference) {
            Ok(reference) => reference,
            Err(refused) => return Ok(refused),
        };
        if !list.extended && list.patterns.first().is_some_and(|p| p.as_deref() == Some("")) {
            self.stream.write(b"* LIST (\\Noselect) \"/\" \"\"\r\n");
            return Ok(Reply::ok("done"));
        }
        if list.return_status.contains(&StatusItem::HighestModSeq) {
            self.enable_condstore();
        }
        // A pattern that is no name in any encoding matches none.
        let patterns: Vec<Pattern> =
            list.patterns.iter().flatten().map(|pattern| Pattern::new(reference, pattern)).collect();
        let names = Names::of(&state, self.modes.names());
        let with_selected_below = below_selected(list, &state);
        for (count, (name, mailbox)) in names.all.iter().enumerate() {
            if count % BATCH == BATCH - 1 {
                tokio::task::yield_now().await;
            }
            let selects = list.select_subscribed || list.select_special_use;
            let selected = mailbox.map_or(!selects, |mailbox| is_selected(list, &state, mailbox));
            let child_info = with_selected_below.contains(name);
            if !(selected || child_info) || !patterns.iter().any(|pattern| pattern.matches(name)) {
                continue;
            }
            let mut out = Vec::new();
            list_line(&mut out, list, &state, name, *mailbox, &names, child_info);
            if let Some(mailbox) = mailbox
                && !list.return_status.is_empty()
                && selected
            {
                self.status_line(&mut out, live.key(), mailbox, &list.return_status);
            }
            self.stream.write(&out);
            self.stream.relieve().await?;
        }
        Ok(Reply::ok("done"))
    }

    pub(super) async fn lsub(&mut self, reference: &Name, pattern: &Name) -> Done {
        let (_, state) = match self.refreshed().await {
            Ok(refreshed) => refreshed,
            Err(refused) => return Ok(refused),
        };
        let reference = match named(reference) {
            Ok(reference) => reference,
            Err(refused) => return Ok(refused),
        };
        let Some(pattern) = pattern.as_deref() else { return Ok(Reply::ok("done")) };
        let pattern = Pattern::new(reference, pattern);
        // With `%` a name that is not subscribed stands for those below it that are (RFC 3501 section 6.3.9).
        let mut found: BTreeMap<&str, bool> = BTreeMap::new();
        for (count, mailbox) in
            state.mailboxes().filter(|mailbox| state.is_subscribed(&mailbox.name)).enumerate()
        {
            if count % BATCH == BATCH - 1 {
                tokio::task::yield_now().await;
            }
            if pattern.matches(&mailbox.name) {
                found.insert(&mailbox.name, true);
                continue;
            }
            for above in levels_above(&mailbox.name).filter(|above| pattern.matches(above)) {
                found.entry(above).or_insert(false);
            }
        }
        for (name, subscribed) in found {
            let mut out = Vec::new();
            out.extend_from_slice(if subscribed {
                b"* LSUB () \"/\" "
            } else {
                b"* LSUB (\\Noselect) \"/\" "
            });
            mailbox_name(&mut out, name, self.modes.names());
            out.extend_from_slice(b"\r\n");
            self.stream.write(&out);
            self.stream.relieve().await?;
        }
        Ok(Reply::ok("done"))
    }
}

/// Names that have something selected below them, for RECURSIVEMATCH (RFC 5258 section 3.5).
fn below_selected<'a>(list: &List, state: &'a State) -> BTreeSet<&'a str> {
    if !list.recursive_match {
        return BTreeSet::new();
    }
    let selected = state.mailboxes().filter(|mailbox| is_selected(list, state, mailbox));
    selected.flat_map(|mailbox| levels_above(&mailbox.name)).collect()
}

fn list_line(
    out: &mut Vec<u8>,
    list: &List,
    state: &State,
    name: &str,
    mailbox: Option<&Mailbox>,
    names: &Names<'_>,
    child_info: bool,
) {
    let mut attributes: Vec<&str> = Vec::new();
    let tells_subscribed = list.return_subscribed || list.select_subscribed;
    match mailbox {
        None if list.extended => attributes.push("\\NonExistent"),
        None => attributes.push("\\Noselect"),
        Some(mailbox) => {
            if tells_subscribed && state.is_subscribed(&mailbox.name) {
                attributes.push("\\Subscribed");
            }
        }
    }
    attributes.push(if names.with_children.contains(name) { "\\HasChildren" } else { "\\HasNoChildren" });
    attributes.extend(mailbox.and_then(special_use));
    out.extend_from_slice(format!("* LIST ({}) \"{SEPARATOR}\" ", attributes.join(" ")).as_bytes());
    mailbox_name(out, name, names.form);
    if child_info {
        let mut criteria = Vec::new();
        if list.select_subscribed {
            criteria.push("\"SUBSCRIBED\"");
        }
        if list.select_special_use {
            criteria.push("\"SPECIAL-USE\"");
        }
        out.extend_from_slice(format!(" (\"CHILDINFO\" ({}))", criteria.join(" ")).as_bytes());
    }
    out.extend_from_slice(b"\r\n");
}
