//! COPY and MOVE between the mailboxes of two accounts of a tenant (RFC 4314: mailboxes that are shared).
//!
//! Each account has a journal of its own, and the bytes of a message are kept for the accounts that its pack names:
//! the messages are stored anew in the other account, all or none, in one entry there. MOVE deletes them where they
//! were after that: if the process dies in between, they are in both places and none is lost.

use pennypost_fold::{Draft, DraftError, State};
use pennypost_mailstore::{ChangeError, Incoming};
use pennypost_model::UidSet;
use pennypost_model::journal::DeleteReason;

use super::{Answer, nothing_selected};
use crate::imap::access::{Access, permitted};
use crate::imap::command::fetch::reserve;
use crate::imap::response::{Refusal, Reply};
use crate::imap::session::{ACTOR, Session};
use crate::net::Holder;

/// Messages of one command.
const MAX_MESSAGES: usize = 1_000;
/// Their octets.
const MAX_BYTES: u64 = 100_000_000;

impl Session {
    pub(super) async fn copy_across(
        &mut self,
        wanted: &UidSet,
        to: Access,
        moves: bool,
        tag: &str,
    ) -> Answer {
        let view = self.view.as_ref().ok_or_else(nothing_selected)?;
        let (source, from) = (view.live().clone(), view.id);
        let (state, newest) = (std::sync::Arc::clone(view.state()), std::sync::Arc::clone(view.newest()));
        let rows: Vec<_> = newest.rows.select(wanted).map(|(_, row)| *row).collect();
        let total: u64 = rows.iter().map(|row| row.size).sum();
        if rows.len() > MAX_MESSAGES || total > MAX_BYTES {
            return Err(Reply::no("[LIMIT] too much at once for another account"));
        }
        let lost = if rows.len() as u64 == wanted.len() { "" } else { "[EXPUNGEISSUED] " };
        if rows.is_empty() {
            return Ok(Reply::ok(format!("{lost}there was nothing to do")));
        }
        let is_over = |state: &State| state.used.bytes.saturating_add(total) > to.quota;
        if is_over(&to.state) {
            return Err(Refusal::OverQuota.into());
        }
        if moves && rows.iter().any(|row| !to.live.sees(row)) {
            return Err(Reply::no("[CANNOT] some are too old to be seen there: copy them"));
        }
        let mut share = self.adapter.memory.share(Holder::Account(self.live()?.key()));
        reserve(&mut share, total).await?;
        let mut incoming = Vec::with_capacity(rows.len());
        let mut progress = self.progress(tag, rows.len());
        for row in &rows {
            let raw = source.store().open(source.key().tenant, row.blob).await?.whole().await?;
            let event = self.adapter.ids.event(self.adapter.clock.now());
            let flags = permitted(to.rights, &state.flags(row.flags));
            incoming.push(Incoming::prepare(&raw, event, flags, row.internal_date)?);
            progress.went_on(&mut self.stream, 1).await.map_err(|_| Reply::no("the connection is over"))?;
            tokio::task::yield_now().await;
        }
        let mut is_full = false;
        let allow = |state: &State| {
            is_full = is_over(state);
            if is_full { Err(DraftError::TooManyMessages) } else { Ok(()) }
        };
        let storing = to.live.store_messages(&ACTOR, to.id(), &incoming, allow);
        let stored = self.patiently(tag, storing).await;
        if is_full {
            return Err(Refusal::OverQuota.into());
        }
        let (_, placed) = match stored {
            Err(ChangeError::Decided(DraftError::NoMailbox)) => return Err(Refusal::NoTarget.into()),
            other => other?,
        };
        let old: UidSet = rows.iter().map(|row| row.uid).collect();
        let new: UidSet = placed.iter().map(|placed| placed.uid).collect();
        let code = format!("[COPYUID {} {old} {new}]", to.mailbox.uid_validity);
        if !moves {
            return Ok(Reply::ok(format!("{code} copied")));
        }
        let leave = |draft: &mut Draft| {
            draft.delete_messages(from, &old, DeleteReason::Expunge).map(drop).map_err(Refusal::from)
        };
        self.patiently(tag, source.change(&ACTOR, leave)).await?;
        self.stream.write(format!("* OK {code} moved\r\n").as_bytes());
        Ok(Reply::ok(format!("{lost}done")))
    }
}
