//! QUIT and the UPDATE state (RFC 1939 section 6).

use pennypost_fold::DraftError;
use pennypost_model::journal::{Actor, DeleteReason, Protocol};
use pennypost_model::{MailboxId, UidSet};
use tracing::warn;

use crate::pop3::session::Session;

impl Session {
    pub(super) async fn quit(&mut self) {
        let Some(maildrop) = self.maildrop.take() else { return self.ok("bye") };
        let rows = maildrop.inbox().into_iter().flat_map(|inbox| inbox.rows.iter());
        let marked = rows.zip(&maildrop.deleted).filter(|(_, deleted)| **deleted);
        let uids: UidSet = marked.map(|(row, _)| row.uid).collect();
        if uids.is_empty() {
            return self.ok("bye");
        }
        if !maildrop.standing.rules.pop3_deletes {
            // The member wants it so, and no client can do anything about it (CLI-06).
            return self.ok("bye, marked messages stay on the server");
        }
        let actor = Actor::Member(Protocol::Pop3);
        let change = maildrop.account.change(&actor, |draft| {
            draft.delete_messages(MailboxId::INBOX, &uids, DeleteReason::Expunge)?;
            Ok::<(), DraftError>(())
        });
        match change.await {
            Ok(_) => self.ok("bye, marked messages are deleted"),
            Err(error) => {
                warn!(account = %maildrop.account.key(), %error, "messages can't be deleted");
                self.err("[SYS/TEMP] the marked messages were not deleted");
            }
        }
    }
}
