//! APPEND (RFC 3501 section 6.3.11), of several messages at once with MULTIAPPEND (RFC 3502): all or none.

use pennypost_fold::{DraftError, State};
use pennypost_mailstore::{Incoming, StoreError};
use pennypost_model::{Rights, UidSet};

use super::{Answer, named};
use crate::imap::access::permitted;
use crate::imap::grammar::{AppendMessage, Name};
use crate::imap::response::{Refusal, Reply};
use crate::imap::session::{ACTOR, Session};

/// Above this parsing and compressing would hold up other sessions of this thread.
const LARGE: usize = 64 * 1024;

impl Session {
    pub(super) async fn append(&mut self, name: &Name, messages: &[AppendMessage], bytes: &[u8]) -> Answer {
        self.live()?;
        let access = self.reach_target(named(name)?).await?;
        let (mailbox, quota, rights) = (access.id(), access.quota, access.rights);
        let (live, state) = (access.live, access.state);
        let total: u64 = messages.iter().map(|message| message.octets.len() as u64).sum();
        let is_over = |state: &State| state.used.bytes.saturating_add(total) > quota;
        if is_over(&state) {
            return Err(Refusal::OverQuota.into());
        }
        let mut incoming = Vec::with_capacity(messages.len());
        for message in messages {
            let raw = bytes.get(message.octets.clone()).unwrap_or_default();
            if raw.is_empty() {
                return Err(Reply::no("[CANNOT] a message can't be empty"));
            }
            incoming.push(self.prepare(raw, message, rights).await?);
        }
        let mut is_full = false;
        let allow = |state: &State| {
            is_full = is_over(state);
            if is_full { Err(DraftError::TooManyMessages) } else { Ok(()) }
        };
        let stored = live.store_messages(&ACTOR, mailbox, &incoming, allow).await;
        if is_full {
            return Err(Refusal::OverQuota.into());
        }
        let (state, placed) = match stored {
            Err(pennypost_mailstore::ChangeError::Decided(DraftError::NoMailbox)) => {
                return Err(Refusal::NoTarget.into());
            }
            other => other?,
        };
        let Some(mailbox) = state.mailbox(mailbox) else { return Ok(Reply::ok("appended")) };
        let uids: UidSet = placed.iter().map(|placed| placed.uid).collect();
        Ok(Reply::ok(format!("[APPENDUID {} {uids}] appended", mailbox.uid_validity)))
    }

    async fn prepare(&self, raw: &[u8], message: &AppendMessage, rights: Rights) -> Result<Incoming, Reply> {
        let now = self.adapter.clock.now();
        let event = self.adapter.ids.event(now);
        let (flags, date) = (permitted(rights, &message.flags), message.internal_date.unwrap_or(now));
        if raw.len() <= LARGE {
            return Ok(Incoming::prepare(raw, event, flags, date)?);
        }
        let raw = raw.to_vec();
        let prepared = tokio::task::spawn_blocking(move || Incoming::prepare(&raw, event, flags, date)).await;
        match prepared {
            Ok(prepared) => Ok(prepared?),
            Err(panicked) => Err(StoreError::Damaged(panicked.to_string()).into()),
        }
    }
}
