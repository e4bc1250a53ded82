//! APPEND (RFC 3501 section 6.3.11), of several messages at once with MULTIAPPEND (RFC 3502): all or none; REPLACE
//! (RFC 8508). What CATENATE puts together is made in `catenate`.

use pennypost_fold::{Draft, DraftError, State};
use pennypost_mailstore::{Incoming, Prepared, StoreError};
use pennypost_mime::without_binary_nul;
use pennypost_model::journal::DeleteReason;
use pennypost_model::{AccountKey, Rights, UidSet};

use super::{Answer, named, no_such_numbers, nothing_selected, read_only};
use crate::imap::access::{no_right, permitted};
use crate::imap::grammar::{AppendData, AppendMessage, Name, SequenceSet};
use crate::imap::response::{Refusal, Reply};
use crate::imap::session::{ACTOR, Session};

/// Above this parsing and compressing would hold up other sessions of this thread.
const LARGE: usize = 64 * 1024;
/// From so many messages on, what was made of them is freed on another thread.
const MANY: usize = 100;

impl Session {
    pub(super) async fn append(&mut self, name: &Name, messages: &[AppendMessage], bytes: &[u8]) -> Answer {
        let code = self.append_messages(name, messages, bytes).await?;
        Ok(Reply::ok(format!("{code}appended")))
    }

    /// REPLACE: the new message is stored before the old one goes, so that one of them is always there.
    pub(super) async fn replace(
        &mut self,
        replaced: &SequenceSet,
        by_uid: bool,
        name: &Name,
        message: &AppendMessage,
        bytes: &[u8],
    ) -> Answer {
        self.refreshed().await?;
        let view = self.view.as_ref().ok_or_else(nothing_selected)?;
        if view.read_only {
            return Err(read_only());
        }
        if !view.rights().contains(Rights::EXPUNGE) {
            return Err(no_right());
        }
        let (from, old) = (view.id, view.live().clone());
        let uids = view.uids(replaced, by_uid).ok_or_else(no_such_numbers)?;
        if uids.is_empty() || uids.iter().any(|uid| !view.is_there(uid)) {
            return Err(Reply::no("[NONEXISTENT] there is no such message"));
        }
        let code = self.append_messages(name, std::slice::from_ref(message), bytes).await?;
        // Before the EXPUNGE (RFC 8508 section 3.3).
        self.stream.write(format!("* OK {code}the replacement is stored\r\n").as_bytes());
        let delete = |draft: &mut Draft| {
            draft.delete_messages(from, &uids, DeleteReason::Expunge)?;
            Ok::<(), Refusal>(())
        };
        let (state, ()) = old.change(&ACTOR, delete).await?;
        Ok(match state.mailbox(from).filter(|_| self.modes.condstore) {
            Some(mailbox) => Reply::ok(format!("[HIGHESTMODSEQ {}] replaced", mailbox.modseq)),
            None => Reply::ok("replaced"),
        })
    }

    /// Stores messages; the answer is the response code with their UIDs, or nothing.
    async fn append_messages(
        &mut self,
        name: &Name,
        messages: &[AppendMessage],
        bytes: &[u8],
    ) -> Result<String, Reply> {
        self.live()?;
        let access = self.reach_target(named(name)?).await?;
        let (mailbox, quota, rights) = (access.id(), access.quota, access.rights);
        let (live, state) = (access.live, access.state);
        let apart = self.ahead.as_ref().map_or(0, |ahead| ahead.octets_apart());
        let literals = messages.iter().map(AppendMessage::literal_len).sum::<u64>() + apart;
        if state.used.bytes.saturating_add(literals) > quota {
            return Err(Refusal::OverQuota.into());
        }
        if let Some(ahead) = &mut self.ahead {
            ahead.complete(bytes);
        }
        let mut incoming = Vec::with_capacity(messages.len());
        for message in messages {
            self.allow_utf8(message)?;
            let prepared = match self.prepared_ahead(message, live.key()).await? {
                Some(prepared) => prepared,
                None => self.prepare(message, bytes).await?,
            };
            let now = self.adapter.clock.now();
            let flags = permitted(rights, &message.flags);
            let date = message.internal_date.unwrap_or(now);
            let event = prepared.event().unwrap_or_else(|| self.adapter.ids.event(now));
            incoming.push(Incoming::new(prepared, event, flags, date));
        }
        let written = self.ahead.as_mut().and_then(|ahead| ahead.packs());
        let total: u64 = incoming.iter().map(Incoming::size).sum();
        let is_over = |state: &State| state.used.bytes.saturating_add(total) > quota;
        let mut is_full = false;
        let allow = |state: &State| {
            is_full = is_over(state);
            if is_full { Err(DraftError::TooManyMessages) } else { Ok(()) }
        };
        let stored = live.store_messages_after(written, &ACTOR, mailbox, &incoming, allow).await;
        if incoming.len() >= MANY {
            // Takes milliseconds, for which nobody waits.
            tokio::task::spawn_blocking(move || drop(incoming));
        }
        if is_full {
            return Err(Refusal::OverQuota.into());
        }
        let (state, placed) = match stored {
            Err(pennypost_mailstore::ChangeError::Decided(DraftError::NoMailbox)) => {
                return Err(Refusal::NoTarget.into());
            }
            other => other?,
        };
        let Some(mailbox) = state.mailbox(mailbox) else { return Ok(String::new()) };
        let uids: UidSet = placed.iter().map(|placed| placed.uid).collect();
        Ok(format!("[APPENDUID {} {uids}] ", mailbox.uid_validity))
    }

    /// The message, if it was prepared while the command came.
    async fn prepared_ahead(
        &mut self,
        message: &AppendMessage,
        account: AccountKey,
    ) -> Result<Option<Prepared>, Reply> {
        let (AppendData::Octets(range) | AppendData::Utf8(range)) = &message.data else { return Ok(None) };
        let Some(ahead) = &mut self.ahead else { return Ok(None) };
        let prepared = ahead.take(range.start, account).await;
        if prepared.is_none() && ahead.came_apart_at(range.start) {
            return Err(Reply::no("[UNAVAILABLE] a message could not be stored, try again"));
        }
        Ok(prepared)
    }

    /// Prepares a message of the command's text, or one that is put together.
    async fn prepare(&mut self, message: &AppendMessage, bytes: &[u8]) -> Result<Prepared, Reply> {
        let (raw, _share) = self.octets_of(message, bytes).await?;
        if raw.is_empty() {
            return Err(Reply::no("[CANNOT] a message can't be empty"));
        }
        prepare(&without_binary_nul(&raw)).await
    }
}

async fn prepare(raw: &[u8]) -> Result<Prepared, Reply> {
    if raw.len() <= LARGE {
        return Ok(Prepared::new(raw)?);
    }
    let raw = raw.to_vec();
    match tokio::task::spawn_blocking(move || Prepared::new(&raw)).await {
        Ok(prepared) => Ok(prepared?),
        Err(panicked) => Err(StoreError::Damaged(panicked.to_string()).into()),
    }
}
