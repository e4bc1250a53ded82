//! QUIT and the UPDATE state (RFC 1939 section 6).

use pennypost_fold::DraftError;
use pennypost_model::journal::{Actor, DeleteReason, Protocol};
use tracing::warn;

use crate::pop3::session::Session;

impl Session {
    pub(super) async fn quit(&mut self) {
        let Some(maildrop) = self.maildrop.take() else { return self.ok("bye") };
        let marked = maildrop.marked();
        if marked.is_empty() {
            return self.ok("bye");
        }
        if !maildrop.standing.rules.pop3_deletes {
            // The member wants it so, and no client can do anything about it (CLI-06).
            return self.ok("bye, marked messages stay on the server");
        }
        let actor = Actor::Member(Protocol::Pop3);
        let change = maildrop.account.change(&actor, |draft| {
            for (mailbox, uids) in &marked {
                // One that is gone has taken its messages with it.
                if draft.state().mailbox(*mailbox).is_some() {
                    draft.delete_messages(*mailbox, uids, DeleteReason::Expunge)?;
                }
            }
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
