//! Who of their colleagues has read what members sent (DLV-06).
//!
//! Nothing is stored of it: it is what the recipient's own mailbox says when one asks. A copy is read if it is marked so (\Seen),
//! by whatever program, by a rule, or by one of several who use the mailbox; of one that was deleted that counts which it was
//! then, as long as it can be restored. Nothing is told of letters that were handed in before the organisation's members could
//! know that it is told.

use std::collections::{BTreeMap, BTreeSet};

use futures::stream::{self, StreamExt};
use pennypost_model::{AccountId, AccountKey, Rid, TenantId};

use crate::own_letters::{DeliveryState, OwnLetter, RecipientState};
use crate::{AdminError, Administration};

/// Mailboxes that are looked into for one page, unless its first letter alone has more.
const MAX_MAILBOXES: usize = 100;
/// The same for a page of one letter.
const MAX_MAILBOXES_OF_ONE: usize = 1_000;
/// Mailboxes that are looked into at once.
const AT_ONCE: usize = 8;

/// Has a recipient read a letter?
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ReadState {
    /// Yes: it is marked so, or the recipient has sent a receipt.
    Read,
    /// It is not marked so.
    Unread,
    /// Nobody can tell: it is elsewhere, or not there any more.
    Unknown,
}

impl ReadState {
    /// Its name for programs.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            ReadState::Read => "read",
            ReadState::Unread => "unread",
            ReadState::Unknown => "unknown",
        }
    }
}

/// Which copies of an account are read, of those that are known.
type Seen = BTreeMap<(AccountId, Rid), bool>;

/// Of a group it is read when all have read it.
fn state_of(recipient: &RecipientState, seen: &Seen) -> ReadState {
    if recipient.state != DeliveryState::Delivered || recipient.copies.is_empty() {
        return ReadState::Unknown;
    }
    let states: BTreeSet<Option<bool>> =
        recipient.copies.iter().map(|copy| seen.get(copy).copied()).collect();
    if states.contains(&Some(false)) {
        ReadState::Unread
    } else if states.contains(&None) {
        ReadState::Unknown
    } else {
        ReadState::Read
    }
}

impl Administration {
    /// Says of letters who has read them, where the organisation has that told: of as many, from the first on, as few enough
    /// mailboxes have to be looked into for.
    pub(crate) async fn tell_reads(
        &self,
        tenant: TenantId,
        letters: &mut [OwnLetter],
    ) -> Result<(), AdminError> {
        let Some(mail) = self.mail.as_ref().filter(|_| !letters.is_empty()) else { return Ok(()) };
        let status = self.directory.read_status(tenant).await?;
        let Some(since) = status.began(self.clock.now()) else { return Ok(()) };
        let most = if letters.len() == 1 { MAX_MAILBOXES_OF_ONE } else { MAX_MAILBOXES };
        let mut wanted: BTreeMap<AccountId, Vec<Rid>> = BTreeMap::new();
        let mut told: Vec<&mut OwnLetter> = Vec::new();
        for letter in letters.iter_mut().filter(|letter| letter.goes.is_none() && letter.time >= since) {
            let copies = || letter.recipients.iter().flat_map(|recipient| &recipient.copies);
            let more: BTreeSet<AccountId> = copies()
                .map(|(account, _)| *account)
                .filter(|account| !wanted.contains_key(account))
                .collect();
            if wanted.len() + more.len() > most {
                break;
            }
            for (account, copy) in copies() {
                wanted.entry(*account).or_default().push(*copy);
            }
            told.push(letter);
        }
        let looks = wanted.into_iter().map(async |(account, copies)| {
            match mail.seen(AccountKey { tenant, account }, &copies).await {
                Ok(seen) => seen.into_iter().map(|(copy, is_seen)| ((account, copy), is_seen)).collect(),
                // One mailbox that can't be read does not take the list away.
                Err(error) => {
                    tracing::warn!(%tenant, %account, %error, "nobody can tell what was read");
                    Vec::new()
                }
            }
        });
        let found: Vec<Vec<((AccountId, Rid), bool)>> =
            stream::iter(looks.collect::<Vec<_>>()).buffered(AT_ONCE).collect().await;
        let seen: Seen = found.into_iter().flatten().collect();
        for recipient in told.into_iter().flat_map(|letter| &mut letter.recipients) {
            let state = state_of(recipient, &seen);
            recipient.read.get_or_insert(state);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_group_has_read_what_all_of_it_have_read() {
        let copies: Vec<(AccountId, Rid)> = [1, 2].map(|n| (AccountId(n), Rid(n))).into();
        let of = |state, copies: &[(AccountId, Rid)], seen: &[(u64, bool)]| {
            let recipient = RecipientState { copies: copies.to_vec(), ..RecipientState::new(state) };
            let seen = seen.iter().map(|(n, is_seen)| ((AccountId(*n), Rid(*n)), *is_seen)).collect();
            state_of(&recipient, &seen)
        };
        let there = DeliveryState::Delivered;
        assert_eq!(of(there, &copies, &[(1, true), (2, true)]), ReadState::Read);
        assert_eq!(of(there, &copies, &[(1, true), (2, false)]), ReadState::Unread);
        assert_eq!(of(there, &copies, &[(2, false)]), ReadState::Unread);
        assert_eq!(of(there, &copies, &[(1, true)]), ReadState::Unknown);
        assert_eq!(of(there, &[], &[]), ReadState::Unknown);
        assert_eq!(of(DeliveryState::Refused, &copies, &[(1, true), (2, true)]), ReadState::Unknown);
    }
}
