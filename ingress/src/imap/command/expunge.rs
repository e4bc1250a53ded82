//! EXPUNGE (RFC 3501 section 6.4.3) and UID EXPUNGE (RFC 4315 section 2.1).

use pennypost_fold::Draft;
use pennypost_model::Rights;
use pennypost_model::journal::DeleteReason;

use super::{Answer, no_such_numbers, nothing_selected, read_only};
use crate::imap::access::no_right;
use crate::imap::grammar::SequenceSet;
use crate::imap::response::{Refusal, Reply};
use crate::imap::session::{ACTOR, Session};

impl Session {
    pub(super) async fn expunge(&mut self, uids: Option<&SequenceSet>, tag: &str) -> Answer {
        let (live, _) = self.refreshed().await?;
        let view = self.view.as_ref().ok_or_else(nothing_selected)?;
        if view.read_only {
            return Err(read_only());
        }
        if !view.rights().contains(Rights::EXPUNGE) {
            return Err(no_right());
        }
        let among = match uids {
            Some(set) => Some(view.uids(set, true).ok_or_else(no_such_numbers)?),
            None => None,
        };
        let id = view.id;
        let expunge = |draft: &mut Draft| {
            let marked = live.marked_deleted(draft, id, among.as_ref())?;
            draft.delete_messages(id, &marked, DeleteReason::Expunge)?;
            Ok::<(), Refusal>(())
        };
        let (state, ()) = self.patiently(tag, live.change(&ACTOR, expunge)).await?;
        // RFC 7162 section 3.2.7.
        Ok(match state.mailbox(id).filter(|_| self.modes.condstore) {
            Some(mailbox) => Reply::ok(format!("[HIGHESTMODSEQ {}] expunged", mailbox.modseq)),
            None => Reply::ok("expunged"),
        })
    }
}
