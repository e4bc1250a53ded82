//! SELECT and EXAMINE (RFC 3501 sections 6.3.1 and 6.3.2), CLOSE (6.4.2), UNSELECT (RFC 3691).

use std::sync::Arc;

use pennypost_fold::{Draft, Mailbox};
use pennypost_model::Rights;
use pennypost_model::journal::DeleteReason;

use super::{Answer, named, nothing_selected};
use crate::imap::access::name_of;
use crate::imap::grammar::{Name, Resync};
use crate::imap::modes::Modes;
use crate::imap::print::RowWriter;
use crate::imap::response::{Refusal, Reply, known_flags, mailbox_name};
use crate::imap::session::{ACTOR, Done, End, Session};
use crate::imap::vanished::{self, Known};
use crate::imap::view::View;
use crate::net::ClientAccount;

/// Octets of flags that are written before output is sent in between.
const OUTPUT: usize = 64 * 1024;

/// The LIST line that IMAP4rev2 tells unasked: the mailbox's name, and the name that the client used if it is another
/// (RFC 9051 section 6.3.2 and 6.3.9.7).
pub(super) fn named_line(out: &mut Vec<u8>, attributes: &str, name: &str, used: &str, modes: Modes) {
    out.extend_from_slice(format!("* LIST ({attributes}) \"/\" ").as_bytes());
    mailbox_name(out, name, modes.names());
    if name != used {
        out.extend_from_slice(b" (\"OLDNAME\" (");
        mailbox_name(out, used, modes.names());
        out.extend_from_slice(b"))");
    }
    out.extend_from_slice(b"\r\n");
}

impl Session {
    pub(super) async fn select(
        &mut self,
        name: &Name,
        read_only: bool,
        condstore: bool,
        resync: Option<&Resync>,
    ) -> Done {
        if resync.is_some() && !self.modes.qresync {
            return Ok(Reply::bad("QRESYNC is not enabled"));
        }
        let view = match self.open(name, read_only, condstore).await {
            Ok(view) => view,
            Err(refused) => return Ok(refused),
        };
        let shown = Arc::clone(view.shown());
        let read_only = view.read_only;
        self.view = Some(view);
        self.knows_rights = true;
        if let (Ok(live), Some(view)) = (self.selected(), &self.view) {
            consider_index(&live, view);
        }
        if let Some(resync) = resync.filter(|resync| resync.uid_validity == shown.uid_validity.0) {
            self.resynchronise(&shown, resync).await?;
        }
        Ok(Reply::ok(if read_only { "[READ-ONLY] selected" } else { "[READ-WRITE] selected" }))
    }

    /// Opens a mailbox and tells of it.
    async fn open(&mut self, name: &Name, read_only: bool, condstore: bool) -> Result<View, Reply> {
        self.live()?;
        // Even a SELECT that fails leaves the selected mailbox (RFC 7162 section 3.2.11 for the code).
        if self.view.take().is_some() {
            self.stream.write(b"* OK [CLOSED] the other mailbox\r\n");
        }
        let name = named(name)?;
        let access = self.reach(name).await?.need(Rights::READ)?;
        let modes = Modes { condstore: self.modes.condstore || condstore, ..self.modes };
        let view = View::open(access, &self.shared.recent, read_only, modes);
        self.modes = modes;

        let mut out = Vec::new();
        known_flags(&mut out, view.state(), view.read_only, view.rights());
        let shown = view.shown();
        let mut line = |text: String| out.extend_from_slice(text.as_bytes());
        line(format!("* {} EXISTS\r\n", view.len()));
        if !modes.rev2 {
            line(format!("* {} RECENT\r\n", view.recent_count()));
        }
        if let Some(first) = shown.first_unseen().filter(|_| !modes.rev2 && !modes.uid_only) {
            line(format!("* OK [UNSEEN {}] first unseen message\r\n", first + 1));
        }
        line(format!("* OK [UIDVALIDITY {}] UIDs are valid\r\n", shown.uid_validity));
        line(format!("* OK [UIDNEXT {}] next UID\r\n", shown.uid_next()));
        line(format!("* OK [HIGHESTMODSEQ {}] highest MODSEQ\r\n", shown.modseq));
        line(format!("* OK [MAILBOXID ({})] mailbox id\r\n", super::status::mailbox_id(shown)));
        if modes.rev2 {
            named_line(&mut out, "", &name_of(view.owner(), &shown.name), name, modes);
        }
        self.stream.write(&out);
        Ok(view)
    }

    /// Tells what the client does not know yet (RFC 7162 section 3.2.5.1).
    async fn resynchronise(&mut self, shown: &Mailbox, resync: &Resync) -> Result<(), End> {
        let Some(view) = &self.view else { return Ok(()) };
        let ages = view.live().loses_sight();
        let (uids, pairs) = (resync.known.as_ref(), resync.pairs.as_ref());
        let known = Known { since: resync.modseq, uids, pairs, ages };
        let vanished = vanished::vanished(shown, view.state().deleted(), &known);
        for line in vanished::lines(&vanished, true) {
            self.stream.write(&line);
            self.stream.relieve().await?;
        }
        if shown.modseq.0 <= resync.modseq {
            return Ok(());
        }
        let mut writer = RowWriter::default();
        let mut out = Vec::new();
        for (position, row) in shown.rows.iter().enumerate() {
            let Some(view) = &self.view else { return Ok(()) };
            let is_known = resync.known.as_ref().is_none_or(|known| known.contains(row.uid));
            if row.modseq.0 > resync.modseq && is_known {
                view.tell_flags(&mut writer, position, row, true, &mut out);
            }
            if out.len() >= OUTPUT {
                self.stream.write(&out);
                out.clear();
                self.stream.relieve().await?;
                tokio::task::yield_now().await;
            }
        }
        self.stream.write(&out);
        Ok(())
    }

    /// Expunges in silence.
    pub(super) async fn close_mailbox(&mut self) -> Answer {
        self.live()?;
        let view = self.view.take().ok_or_else(nothing_selected)?;
        // Without the right to expunge nothing is, and that is no error (RFC 4314 section 4).
        if !view.read_only && view.rights().contains(Rights::EXPUNGE) {
            let live = view.live().clone();
            live.refresh().await?;
            let id = view.id;
            let mut before = None;
            let expunge = |draft: &mut Draft| {
                let Some(mailbox) = draft.state().mailbox(id) else { return Ok(()) };
                before = Some(mailbox.modseq);
                let marked = live.marked_deleted(draft, id, None)?;
                draft.delete_messages(id, &marked, DeleteReason::Expunge)?;
                Ok::<(), Refusal>(())
            };
            let (state, ()) = live.change(&ACTOR, expunge).await?;
            // What others did is not told any more: whoever has not heard of it may not believe to be up to date.
            let was_told = before == Some(view.shown().modseq);
            if let Some(mailbox) = state.mailbox(id).filter(|_| self.modes.condstore && was_told) {
                return Ok(Reply::ok(format!("[HIGHESTMODSEQ {}] closed", mailbox.modseq)));
            }
        }
        Ok(Reply::ok("closed"))
    }

    pub(super) fn unselect(&mut self) -> Answer {
        self.live()?;
        self.view.take().ok_or_else(nothing_selected)?;
        Ok(Reply::ok("closed, and nothing was expunged"))
    }
}

/// Whoever opens a mailbox is going to read it: are there segments for its newest messages?
fn consider_index(live: &ClientAccount, view: &View) {
    const MANY: usize = 128;
    let newest = view.len().checked_sub(MANY).and_then(|position| view.shown().rows.at(position));
    if let Some(row) = newest {
        live.store().consider_index(live.key(), row.origin);
    }
}
