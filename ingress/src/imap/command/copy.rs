//! COPY (RFC 3501 section 6.4.7) and MOVE (RFC 6851), with COPYUID (RFC 4315 section 3).

use pennypost_fold::Draft;
use pennypost_model::{Rights, Uid, UidSet};

use super::{Answer, named, no_such_numbers, nothing_selected, read_only};
use crate::imap::access::no_right;
use crate::imap::grammar::{Name, SequenceSet};
use crate::imap::response::{Refusal, Reply};
use crate::imap::session::{ACTOR, Session};

impl Session {
    pub(super) async fn copy(
        &mut self,
        by_uid: bool,
        set: &SequenceSet,
        to: &Name,
        moves: bool,
        tag: &str,
    ) -> Answer {
        let (live, _) = self.refreshed().await?;
        self.view.as_ref().ok_or_else(nothing_selected)?;
        let to = self.reach_target(named(to)?).await?;
        let quota = to.quota;
        let view = self.view.as_ref().ok_or_else(nothing_selected)?;
        let wanted = view.uids(set, by_uid).ok_or_else(no_such_numbers)?;
        if moves && view.read_only {
            return Err(read_only());
        }
        let leaving = Rights::DELETE_MESSAGES.union(Rights::EXPUNGE);
        if moves && !view.rights().contains(leaving) {
            return Err(no_right());
        }
        let from = view.id;
        // Within the account, whole, where no flag has to be left behind.
        let every_flag = Rights::SEEN.union(Rights::WRITE).union(Rights::DELETE_MESSAGES);
        if to.live.key() != live.key() || !to.rights.contains(every_flag) {
            return self.copy_across(&wanted, to, moves, tag).await;
        }
        let to = to.id();
        let change = |draft: &mut Draft| {
            let target = draft.state().mailbox(to).ok_or(Refusal::NoTarget)?.id;
            let pairs = if moves {
                draft.move_messages(from, &wanted, target)?
            } else {
                let pairs = draft.copy_messages(from, &wanted, target)?;
                if draft.state().used.bytes > quota && !pairs.is_empty() {
                    return Err(Refusal::OverQuota);
                }
                pairs
            };
            Ok(pairs)
        };
        let (state, pairs) = self.patiently(tag, live.change(&ACTOR, change)).await?;
        let lost = if pairs.len() as u64 == wanted.len() { "" } else { "[EXPUNGEISSUED] " };
        if pairs.is_empty() {
            return Ok(Reply::ok(format!("{lost}there was nothing to do")));
        }
        let (old, new): (Vec<Uid>, Vec<Uid>) = pairs.into_iter().unzip();
        let (old, new): (UidSet, UidSet) = (old.into_iter().collect(), new.into_iter().collect());
        let Some(validity) = state.mailbox(to).map(|mailbox| mailbox.uid_validity) else {
            return Err(Refusal::NoTarget.into());
        };
        let code = format!("[COPYUID {validity} {old} {new}]");
        if moves {
            // Before the EXPUNGEs (RFC 6851 section 4.3).
            self.stream.write(format!("* OK {code} moved\r\n").as_bytes());
            return Ok(match state.mailbox(from).filter(|_| lost.is_empty() && self.modes.condstore) {
                Some(mailbox) => Reply::ok(format!("[HIGHESTMODSEQ {}] done", mailbox.modseq)),
                None => Reply::ok(format!("{lost}done")),
            });
        }
        Ok(Reply::ok(format!("{code} copied")))
    }
}
