//! GETMETADATA and SETMETADATA (RFC 5464): annotations of mailboxes and, under the empty name, of the account.
//! `/private/specialuse` is what a mailbox is for (RFC 6154 section 4).
//!
//! Bounds: 64 KB for a value, and for all of an account those of the draft
//! ([`pennypost_fold::draft::MAX_ANNOTATIONS`]). Private entries of a colleague's mailbox would have to be kept for each
//! member apart: they are refused with NOPRIVATE, as section 4.3 allows.

use std::collections::BTreeMap;

use pennypost_fold::{Annotations, Draft, Mailbox};
use pennypost_model::{MailboxId, Rights, SpecialUses};

use super::{Answer, named};
use crate::imap::access::Access;
use crate::imap::grammar::{Depth, GetMetadata, Name, SetMetadata};
use crate::imap::response::{Refusal, Reply, mailbox_name, string};
use crate::imap::session::{ACTOR, Session};

/// Octets of a value.
const MAX_VALUE: usize = 64 * 1024;
/// The entry that says what a mailbox is for.
const SPECIAL_USE: &str = "/private/specialuse";

/// Entries below it are the post office's own: a backup reads there what it has copied.
const OWN: &str = "/private/vendor/pennypost/";

/// What annotations belong to.
enum Subject {
    Account,
    Mailbox(Box<Access>),
}

fn is_private(entry: &str) -> bool {
    entry.starts_with("/private/")
}

/// Entries of a mailbox with those that are kept otherwise.
pub(super) fn of_mailbox(mailbox: &Mailbox, is_own: bool) -> BTreeMap<String, Vec<u8>> {
    let mut all: BTreeMap<String, Vec<u8>> = (*mailbox.annotations).clone();
    if is_own && !mailbox.uses.is_none() {
        all.insert(SPECIAL_USE.to_owned(), mailbox.uses.names().collect::<Vec<_>>().join(" ").into_bytes());
    }
    all.retain(|entry, _| is_own || !is_private(entry));
    all
}

impl Session {
    async fn subject(&mut self, name: &Name, rights: Rights) -> Result<Subject, Reply> {
        let name = named(name)?;
        if name.is_empty() {
            return Ok(Subject::Account);
        }
        Ok(Subject::Mailbox(Box::new(self.reach(name).await?.need(rights)?)))
    }

    pub(super) async fn get_metadata(&mut self, get: &GetMetadata) -> Answer {
        self.live()?;
        let (name, all) = match self.subject(&get.mailbox, Rights::LOOKUP.union(Rights::READ)).await? {
            Subject::Account => (String::new(), self.own().await?.1.annotations().clone()),
            Subject::Mailbox(access) => {
                (access.name().into_owned(), of_mailbox(&access.mailbox, access.is_own()))
            }
        };
        let mut found: Annotations = BTreeMap::new();
        let mut missing = Vec::new();
        for entry in &get.entries {
            match all.get(entry) {
                Some(value) => _ = found.insert(entry.clone(), value.clone()),
                None if get.depth == Depth::Zero => missing.push(entry.as_str()),
                None => {}
            }
            let below = format!("{entry}/");
            let is_near = |name: &str| get.depth == Depth::Infinity || !name[below.len()..].contains('/');
            if get.depth != Depth::Zero {
                let children = all.range(below.clone()..).take_while(|(name, _)| name.starts_with(&below));
                let near = children.filter(|(name, _)| is_near(name));
                found.extend(near.map(|(name, value)| (name.clone(), value.clone())));
            }
        }
        let mut longest = None;
        found.retain(|_, value| {
            let len = value.len() as u64;
            let fits = get.max_size.is_none_or(|most| len <= most);
            if !fits {
                longest = longest.max(Some(len));
            }
            fits
        });
        let mut out = Vec::new();
        self.metadata_line(&mut out, &name, &found, &missing);
        self.stream.write(&out);
        Ok(match longest {
            Some(longest) => Reply::ok(format!("[METADATA LONGENTRIES {longest}] done")),
            None => Reply::ok("done"),
        })
    }

    /// The untagged METADATA; nothing if there is nothing to tell. Entries that are not there are NIL.
    pub(super) fn metadata_line(&self, out: &mut Vec<u8>, name: &str, found: &Annotations, missing: &[&str]) {
        if found.is_empty() && missing.is_empty() {
            return;
        }
        out.extend_from_slice(b"* METADATA ");
        mailbox_name(out, name, self.modes.names());
        let mut before = b" (".as_slice();
        for (entry, value) in found {
            out.extend_from_slice(before);
            before = b" ";
            atom_or_string(out, entry);
            out.push(b' ');
            if value.contains(&0) {
                // `literal8`: a string can't hold NUL.
                out.extend_from_slice(format!("~{{{}}}\r\n", value.len()).as_bytes());
                out.extend_from_slice(value);
            } else {
                string(out, value);
            }
        }
        for entry in missing {
            out.extend_from_slice(before);
            before = b" ";
            atom_or_string(out, entry);
            out.extend_from_slice(b" NIL");
        }
        out.extend_from_slice(b")\r\n");
    }

    pub(super) async fn set_metadata(&mut self, set: SetMetadata) -> Answer {
        self.live()?;
        let subject = self.subject(&set.mailbox, Rights::LOOKUP.union(Rights::WRITE)).await?;
        let mut values = Vec::with_capacity(set.values.len());
        let mut uses = None;
        let is_own_mailbox = matches!(&subject, Subject::Mailbox(access) if access.is_own());
        let is_shared = matches!(&subject, Subject::Mailbox(access) if !access.is_own());
        for (entry, value) in set.values {
            if is_private(&entry) && is_shared {
                return Err(Reply::no(
                    "[METADATA NOPRIVATE] private entries are kept for own mailboxes only",
                ));
            }
            if !is_private(&entry) && !entry.starts_with("/shared/") {
                return Err(Reply::no("[CANNOT] entries begin with /private/ or /shared/"));
            }
            if entry.starts_with(OWN) {
                return Err(Reply::no(
                    "[CANNOT] the post office alone sets entries below /private/vendor/pennypost",
                ));
            }
            if value.as_ref().is_some_and(|value| value.len() > MAX_VALUE) {
                return Err(Reply::no(format!("[METADATA MAXSIZE {MAX_VALUE}] the value is too long")));
            }
            if entry == SPECIAL_USE && is_own_mailbox {
                uses = Some(read_uses(value.as_deref().unwrap_or_default())?);
                continue;
            }
            values.push((entry, value));
        }
        let (live, mailbox) = match subject {
            Subject::Account => (self.live()?, None),
            Subject::Mailbox(access) => (access.live.clone(), Some(access.id())),
        };
        if uses.is_some() && mailbox == Some(MailboxId::INBOX) {
            return Err(Reply::no("[CANNOT] the Inbox has no special use"));
        }
        let change = |draft: &mut Draft| {
            for (entry, value) in &values {
                draft.annotate(mailbox, entry, value.clone())?;
            }
            if let (Some(uses), Some(id)) = (uses, mailbox) {
                draft.set_uses(id, uses)?;
            }
            Ok::<(), Refusal>(())
        };
        live.change(&ACTOR, change).await?;
        Ok(Reply::ok("set"))
    }
}

/// Uses as they stand in the value of [`SPECIAL_USE`].
fn read_uses(value: &[u8]) -> Result<SpecialUses, Reply> {
    let cannot = || Reply::no("[USEATTR] no mailbox can have that use here");
    let text = std::str::from_utf8(value).map_err(|_| cannot())?;
    text.split_ascii_whitespace().try_fold(SpecialUses::NONE, |uses, name| {
        SpecialUses::named(name).map(|one| uses.union(one)).ok_or_else(cannot)
    })
}

fn atom_or_string(out: &mut Vec<u8>, text: &str) {
    let is_atom = text.bytes().all(|byte| byte.is_ascii_graphic() && !b"(){%*\"\\]".contains(&byte));
    if is_atom { out.extend_from_slice(text.as_bytes()) } else { string(out, text.as_bytes()) }
}
