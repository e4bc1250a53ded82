//! SELECT and EXAMINE (RFC 3501 sections 6.3.1 and 6.3.2), CLOSE (6.4.2), UNSELECT (RFC 3691).

use pennypost_fold::Draft;
use pennypost_model::journal::DeleteReason;

use super::{Answer, named, nothing_selected};
use crate::imap::grammar::Name;
use crate::imap::response::{Refusal, Reply, known_flags};
use crate::imap::session::{ACTOR, Session};
use crate::imap::view::View;

impl Session {
    pub(super) async fn select(&mut self, name: &Name, read_only: bool, condstore: bool) -> Answer {
        self.live()?;
        // Even a SELECT that fails leaves the selected mailbox (RFC 7162 section 3.2.11 for the code).
        if self.view.take().is_some() {
            self.stream.write(b"* OK [CLOSED] the other mailbox\r\n");
        }
        let name = named(name)?;
        let (live, state) = self.refreshed().await?;
        let mailbox = state.mailbox_named(name).map(|mailbox| mailbox.id);
        let view = mailbox
            .and_then(|id| View::open(live.key(), &self.shared.recent, &state, id, read_only))
            .ok_or_else(|| Reply::no("[NONEXISTENT] there is no such mailbox"))?;
        self.condstore |= condstore;

        let mut out = Vec::new();
        known_flags(&mut out, &state, read_only);
        let shown = view.shown();
        let mut line = |text: String| out.extend_from_slice(text.as_bytes());
        line(format!("* {} EXISTS\r\n", view.len()));
        line(format!("* {} RECENT\r\n", view.recent_count()));
        if let Some(first) = shown.first_unseen() {
            line(format!("* OK [UNSEEN {}] first unseen message\r\n", first + 1));
        }
        line(format!("* OK [UIDVALIDITY {}] UIDs are valid\r\n", shown.uid_validity));
        line(format!("* OK [UIDNEXT {}] next UID\r\n", shown.uid_next()));
        line(format!("* OK [HIGHESTMODSEQ {}] highest MODSEQ\r\n", shown.modseq));
        line(format!("* OK [MAILBOXID ({})] mailbox id\r\n", super::status::mailbox_id(shown)));
        self.stream.write(&out);
        self.view = Some(view);
        Ok(Reply::ok(if read_only { "[READ-ONLY] selected" } else { "[READ-WRITE] selected" }))
    }

    /// Expunges in silence.
    pub(super) async fn close_mailbox(&mut self) -> Answer {
        self.live()?;
        let view = self.view.take().ok_or_else(nothing_selected)?;
        if !view.read_only {
            let live = self.live()?;
            live.refresh().await?;
            let id = view.id;
            let expunge = |draft: &mut Draft| {
                if draft.state().mailbox(id).is_none() {
                    return Ok(());
                }
                let marked = draft.marked_deleted(id, None)?;
                draft.delete_messages(id, &marked, DeleteReason::Expunge)?;
                Ok::<(), Refusal>(())
            };
            live.change(&ACTOR, expunge).await?;
        }
        Ok(Reply::ok("closed"))
    }

    pub(super) fn unselect(&mut self) -> Answer {
        self.live()?;
        self.view.take().ok_or_else(nothing_selected)?;
        Ok(Reply::ok("closed, and nothing was expunged"))
    }
}
