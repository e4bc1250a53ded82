//! Looking after one account: what is past its window is forgotten, the tail becomes a base.

use pennypost_fold::{DraftError, State};
use pennypost_mailstore::{ChangeError, StoreError, long_tail, names};
use pennypost_model::journal::{Actor, DeleteReason};
use pennypost_model::{AccountKey, Seq, Uid, UidSet};
use pennypost_ports::{Consistency, Head};

use crate::hints::Hint;
use crate::{Housekeep, Settings};

/// Bases that are kept: the newest, and two before it for an administrator who looks into a damaged one. Loading
/// does not use those: it falls back to the whole journal.
const BASES_KEPT: usize = 3;
/// Every how many bases older ones are looked for: a listing costs as much as a put.
const BASES_LISTED: u8 = 4;
/// So many messages that no base has are read again by whoever opens the account.
const MANY: u64 = 4_096;
impl Housekeep {
    /// Does everything for one account but its segments; its state.
    ///
    /// # Errors
    /// [`StoreError`]; each step stands by itself.
    #[pennypost_ports::compiled_here]
    pub async fn keep_account(&self, account: AccountKey) -> Result<State, StoreError> {
        let head = self.store.journal().newest(account, 1, Consistency::Strong).await?.head;
        let state = self.store.load(account, Consistency::Strong).await?;
        let state = self.forget(account, state).await?;
        let base_seq = head.map_or(Seq::ZERO, |head| head.base_seq);
        let tail = state.seq.0 - base_seq.0.min(state.seq.0);
        let wants_base = tail >= long_tail(self.settings.long_tail.max(1), state.used.messages)
            || self.has_many_since(account, base_seq, state.used.messages).await?;
        if wants_base
            && let Some(head) = self.store.build_base_of(account, &state).await?
            && is_turn_of(&head)
        {
            self.drop_old_bases(account, &head).await?;
        }
        Ok(state)
    }

    /// Has a large part of the account's messages come after this entry? Then few entries may hold them.
    async fn has_many_since(
        &self,
        account: AccountKey,
        base: Seq,
        messages: u64,
    ) -> Result<bool, StoreError> {
        if messages < MANY {
            return Ok(false);
        }
        let at = self.store.journal().before(account, base, 1).await?;
        let before = at.last().map_or(0, |entry| entry.used.messages);
        Ok(messages.saturating_sub(before) >= (messages / 4).max(MANY))
    }

    /// Gives up deleted messages whose window has passed. The hints are written first: they are verified
    /// before they are believed, so one too many does no harm, and none is missing if the process dies here.
    /// Only what was hinted is given up, however much more has passed its window when the commit comes through.
    async fn forget(&self, account: AccountKey, state: State) -> Result<State, StoreError> {
        let Settings { restore_days, hidden_days, .. } = self.settings;
        let (before, hidden_before) =
            (self.days_ago(restore_days), self.days_ago(hidden_days.max(restore_days)));
        let past = state.deleted().iter().filter(|deleted| match deleted.reason {
            // Whether it was rightly hidden may be asked for long: until then nothing is lost by it.
            DeleteReason::Admin => deleted.at < hidden_before,
            _ => deleted.at < before,
        });
        let (uids, hints): (Vec<Uid>, Vec<Hint>) = past.map(|d| (d.row.uid, Hint::of(d.row.blob))).unzip();
        if hints.is_empty() {
            return Ok(state);
        }
        self.write_hints(account.tenant, &hints).await?;
        let uids: UidSet = uids.into_iter().collect();
        let forgetting = self.store.commit(account, state, &Actor::System, |draft| {
            draft.forget_deleted(&uids);
            Ok::<(), DraftError>(())
        });
        match forgetting.await {
            Ok(committed) => Ok(committed.state),
            Err(ChangeError::Store(error)) => Err(error),
            Err(ChangeError::Decided(error)) => Err(StoreError::Damaged(error.to_string())),
        }
    }

    /// Removes bases other than the newest few. Orphans of builds that lost a race go the same way.
    async fn drop_old_bases(&self, account: AccountKey, head: &Head) -> Result<(), StoreError> {
        let bases = self.store.objects().list(&names::bases(account), None, 1000).await?;
        let older: Vec<_> = bases.iter().filter(|base| base.name < head.base).collect();
        let surplus = older.len().saturating_sub(BASES_KEPT - 1);
        for base in &older[..surplus] {
            self.store.objects().delete(&base.name).await?;
        }
        Ok(())
    }
}

/// Names end at random, so that about each fourth base has its turn.
fn is_turn_of(head: &Head) -> bool {
    head.base.bytes().last().is_some_and(|last| last.is_multiple_of(BASES_LISTED))
}
