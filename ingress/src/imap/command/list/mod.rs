//! LIST (RFC 3501 section 6.3.8), with the options of RFC 5258, 5819, 6154, 8440 and 9590, and LSUB (section 6.3.9).
//!
//! CHILDINFO stands with a name that has something below it that the selection options ask for and that is not told
//! by a line of its own, since it matches no pattern, whether the name itself is asked for or not (RFC 5258 section
//! 3.5).

mod names;
mod pattern;

use std::collections::{BTreeMap, BTreeSet};

use pennypost_fold::State;
use pennypost_fold::name::SEPARATOR;
use pennypost_model::Rights;

use super::{metadata, named};
use crate::imap::grammar::{List, Name, StatusItem};
use crate::imap::response::{Reply, mailbox_name};
use crate::imap::session::{Done, Session};
use names::{Listed, Names, is_selected, levels_above};
use pattern::Pattern;

/// Names between two chances for other sessions of this thread.
const BATCH: usize = 50;

/// What to say of one name.
struct Line<'a> {
    name: &'a str,
    listed: Option<&'a Listed<'a>>,
    has_children: bool,
    child_info: bool,
}

impl Session {
    pub(super) async fn list(&mut self, list: &List) -> Done {
        let (live, state) = match self.own().await {
            Ok(own) => own,
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
        let sharers = match names::shared(self, &patterns).await {
            Ok(sharers) => sharers,
            Err(refused) => return Ok(refused),
        };
        let mut names = Names::of(&state, live.key());
        if let Err(refused) = names::add_shared(self, &mut names, &sharers).await {
            return Ok(refused);
        }
        names.complete(list.select_subscribed.then_some(&**state.subscriptions()));
        let with_selected_below = below_selected(list, &state, &names, &patterns);
        for (count, (name, listed)) in names.all.iter().enumerate() {
            if count % BATCH == BATCH - 1 {
                tokio::task::yield_now().await;
            }
            let listed = listed.as_ref();
            let selected = is_selected(list, &state, name, listed);
            let child_info = with_selected_below.contains(&**name);
            if !(selected || child_info) || !patterns.iter().any(|pattern| pattern.matches(name)) {
                continue;
            }
            let line = Line { name, listed, has_children: names.with_children.contains(name), child_info };
            let mut out = Vec::new();
            self.list_line(&mut out, list, &state, &line);
            if let Some(listed) = listed {
                self.more_of(&mut out, list, name, listed, selected);
            }
            self.stream.write(&out);
            self.stream.relieve().await?;
        }
        Ok(Reply::ok("done"))
    }

    /// What was asked for besides the LIST line itself.
    fn more_of(&self, out: &mut Vec<u8>, list: &List, name: &str, listed: &Listed<'_>, selected: bool) {
        if !list.return_status.is_empty() && selected && listed.rights.contains(Rights::READ) {
            self.status_line(out, listed.account, name, listed.mailbox, &list.return_status);
        }
        if list.return_rights {
            self.rights_line(out, name, listed.rights);
        }
        if !list.return_metadata.is_empty() && listed.rights.contains(Rights::READ) {
            let mut all = metadata::of_mailbox(listed.mailbox, listed.is_own);
            all.retain(|entry, _| list.return_metadata.contains(entry));
            let missing: Vec<&str> = list
                .return_metadata
                .iter()
                .filter(|entry| !all.contains_key(*entry))
                .map(String::as_str)
                .collect();
            self.metadata_line(out, name, &all, &missing);
        }
    }

    fn list_line(&self, out: &mut Vec<u8>, list: &List, own: &State, line: &Line<'_>) {
        let mut attributes: Vec<&str> = Vec::new();
        if (list.return_subscribed || list.select_subscribed) && own.is_subscribed(line.name) {
            attributes.push("\\Subscribed");
        }
        if line.listed.is_none() {
            attributes.push(if list.extended { "\\NonExistent" } else { "\\Noselect" });
        }
        attributes.push(if line.has_children { "\\HasChildren" } else { "\\HasNoChildren" });
        if let Some(listed) = line.listed.filter(|listed| listed.is_own) {
            attributes.extend(listed.mailbox.uses.names());
        }
        out.extend_from_slice(format!("* LIST ({}) \"{SEPARATOR}\" ", attributes.join(" ")).as_bytes());
        mailbox_name(out, line.name, self.modes.names());
        if line.child_info {
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

    pub(super) async fn lsub(&mut self, reference: &Name, pattern: &Name) -> Done {
        let (_, state) = match self.own().await {
            Ok(own) => own,
            Err(refused) => return Ok(refused),
        };
        let reference = match named(reference) {
            Ok(reference) => reference,
            Err(refused) => return Ok(refused),
        };
        let Some(pattern) = pattern.as_deref() else { return Ok(Reply::ok("done")) };
        let has_percent = pattern.contains('%');
        let pattern = Pattern::new(reference, pattern);
        // With `%` a name that is not subscribed stands for those below it that are (RFC 3501 section 6.3.9).
        let mut found: BTreeMap<&str, bool> = BTreeMap::new();
        for (count, name) in state.subscriptions().iter().enumerate() {
            if count % BATCH == BATCH - 1 {
                tokio::task::yield_now().await;
            }
            if pattern.matches(name) {
                found.insert(name, true);
                continue;
            }
            for above in levels_above(name).filter(|above| has_percent && pattern.matches(above)) {
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

/// Names that have something selected below them that is not told by itself, for RECURSIVEMATCH (RFC 5258 section 3.5).
fn below_selected<'a>(
    list: &List,
    own: &State,
    names: &'a Names<'_>,
    patterns: &[Pattern],
) -> BTreeSet<&'a str> {
    if !list.recursive_match {
        return BTreeSet::new();
    }
    let selected = names.all.iter().filter(|(name, listed)| is_selected(list, own, name, listed.as_ref()));
    let told_otherwise = |name: &str| patterns.iter().any(|pattern| pattern.matches(name));
    selected.filter(|(name, _)| !told_otherwise(name)).flat_map(|(name, _)| levels_above(name)).collect()
}
