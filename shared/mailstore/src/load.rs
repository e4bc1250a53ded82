//! Loading an account: base, then tail.

use pennypost_fold::{State, base};
use pennypost_model::journal::Entry;
use pennypost_model::{AccountKey, Seq};
use pennypost_ports::{Consistency, Head, PortError};

use crate::{Mailstore, StoreError, names};

/// Entries that are read in one call.
const PAGE: usize = 500;

/// From how many entries on a tail wants a base: at least `floor`, and more where the base is large, so that what
/// bases cost by the message stays the same however many messages there are.
#[must_use]
pub const fn long_tail(floor: u64, messages: u64) -> u64 {
    let share = messages / 32;
    if share > floor { share } else { floor }
}

impl Mailstore {
    /// The account's state. With [`Consistency::Eventual`] it may be that of a moment ago.
    ///
    /// A base that is missing or damaged is passed over: the journal holds everything.
    ///
    /// # Errors
    /// [`StoreError::Port`], [`StoreError::Journal`].
    #[pennypost_ports::compiled_here]
    pub async fn load(&self, account: AccountKey, consistency: Consistency) -> Result<State, StoreError> {
        let mut state = self.newest_base(account, consistency).await?;
        self.advance(account, &mut state, consistency).await?;
        Ok(state)
    }

    /// As [`Mailstore::load`], for somebody who is about to list messages: what the tail tells of them is kept.
    ///
    /// # Errors
    /// [`StoreError::Port`], [`StoreError::Journal`].
    pub(crate) async fn load_to_list(
        &self,
        account: AccountKey,
        consistency: Consistency,
    ) -> Result<State, StoreError> {
        let mut state = self.newest_base(account, consistency).await?;
        self.advance_by(account, &mut state, consistency, |entries| self.keep_envelopes(entries)).await?;
        Ok(state)
    }

    async fn newest_base(&self, account: AccountKey, consistency: Consistency) -> Result<State, StoreError> {
        let newest = self.journal.newest(account, 1, consistency).await?;
        match newest.head {
            Some(head) => Ok(self.load_base(account, &head).await?.unwrap_or_default()),
            None => Ok(State::default()),
        }
    }

    /// Folds what came after `state`. `true` if anything did.
    ///
    /// # Errors
    /// [`StoreError::Port`], [`StoreError::Journal`].
    #[pennypost_ports::compiled_here]
    pub async fn advance(
        &self,
        account: AccountKey,
        state: &mut State,
        consistency: Consistency,
    ) -> Result<bool, StoreError> {
        self.advance_by(account, state, consistency, |_| {}).await
    }

    async fn advance_by(
        &self,
        account: AccountKey,
        state: &mut State,
        consistency: Consistency,
        look: impl Fn(&[Entry]),
    ) -> Result<bool, StoreError> {
        let before = state.seq;
        loop {
            let entries = self.journal.since(account, state.seq, PAGE, consistency).await?;
            look(&entries);
            for entry in &entries {
                state.fold(entry)?;
            }
            if entries.len() < PAGE {
                return Ok(state.seq != before);
            }
        }
    }

    /// The account's state folded from its first entry, without any base: the truth that bases are checked
    /// against.
    ///
    /// # Errors
    /// [`StoreError::Port`], [`StoreError::Journal`].
    #[pennypost_ports::compiled_here]
    pub async fn replay(&self, account: AccountKey) -> Result<State, StoreError> {
        let mut state = State::default();
        self.advance(account, &mut state, Consistency::Strong).await?;
        Ok(state)
    }

    /// The state in the base that `head` names; `None` if it is gone or damaged.
    ///
    /// # Errors
    /// [`StoreError::Port`] when the object port can't answer now.
    #[pennypost_ports::compiled_here]
    pub async fn load_base(&self, account: AccountKey, head: &Head) -> Result<Option<State>, StoreError> {
        let bytes = match self.objects.get(&head.base).await {
            Ok((bytes, _)) => bytes,
            Err(PortError::NotFound { .. }) => return Ok(None),
            Err(error) => return Err(error.into()),
        };
        match base::decode(&bytes) {
            Ok(state) if state.seq == head.base_seq => Ok(Some(state)),
            Ok(_) => Ok(None),
            Err(error) => {
                tracing::warn!(%account, base = head.base, %error, "base passed over");
                Ok(None)
            }
        }
    }

    /// Builds the base of the account's newest state and moves the head hint to it. `None` if there is nothing
    /// to add to the one that is there.
    ///
    /// # Errors
    /// [`StoreError`]. A base without a hint is an orphan that housekeeping removes.
    #[pennypost_ports::compiled_here]
    pub async fn build_base(&self, account: AccountKey) -> Result<Option<Head>, StoreError> {
        let newest = self.journal.newest(account, 1, Consistency::Strong).await?;
        let state = self.load(account, Consistency::Strong).await?;
        if newest.head.is_some_and(|head| head.base_seq >= state.seq) {
            return Ok(None);
        }
        self.build_base_of(account, &state).await
    }

    /// Builds the base of a state that was loaded, for which there is none, and moves the head hint to it. `None` if
    /// there is nothing in it, or somebody else has built a newer one.
    ///
    /// # Errors
    /// [`StoreError`]. A base without a hint is an orphan that housekeeping removes.
    #[pennypost_ports::compiled_here]
    pub async fn build_base_of(
        &self,
        account: AccountKey,
        state: &State,
    ) -> Result<Option<Head>, StoreError> {
        if state.seq == Seq::ZERO {
            return Ok(None);
        }
        let bytes = base::encode(state).map_err(|error| StoreError::Damaged(error.to_string()))?;
        let name = names::base(account, state.seq, self.ids.event(self.clock.now()));
        self.objects.put_unique(&name, bytes.into()).await?;
        let head = Head { base_seq: state.seq, base: name };
        let moved = self.journal.advance_head(account, &head).await?;
        Ok(moved.then_some(head))
    }
}
