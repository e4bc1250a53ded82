//! Segments of one account, piece by piece.
//!
//! Invariants: what is to be done is found out without the account's state, which costs as much as the account is
//! large; a state is loaded where at least a share of its messages has no segment yet, and then for many pieces. So
//! the work for each letter stays the same however many there are.

use pennypost_fold::State;
use pennypost_mailstore::StoreError;
use pennypost_mailstore::segment::{self, Indexed};
use pennypost_model::event::{Event, House};
use pennypost_model::journal::Entry;
use pennypost_model::{AccountKey, Seq, Timestamp};
use pennypost_ports::Consistency;

use crate::{Housekeep, Index};

/// From so many entries behind the last segment on, an account gets one although it is busy.
const URGENT: u64 = 1_024;
/// In a large account, a segment is for no fewer than this share of its messages.
const SHARE: u64 = 256;
/// Pieces of one account are done one after the other for so long. Then others have their turn, and the event can
/// be acknowledged in time.
const TURN_MILLIS: i64 = 10_000;
/// No more than so many, whatever the clock says.
const PIECES: usize = 64;

impl Housekeep {
    /// Does what is to be done about an account's segments, for a while; gives the event for the rest.
    ///
    /// # Errors
    /// [`StoreError`].
    #[pennypost_ports::compiled_here]
    pub async fn keep_segments(&self, account: AccountKey) -> Result<Vec<Event>, StoreError> {
        let newest = self.store.journal().newest(account, 1, Consistency::Strong).await?;
        let Some(last) = newest.entries.last() else { return Ok(Vec::new()) };
        self.store.look_at_segments_again(account);
        let settings = self.segment_settings(last.used.messages);
        // Where only those get segments that somebody opens, this is their only chance.
        let waits = self.settings.index == Index::All && self.must_wait(account, last).await?;
        if waits || self.store.is_indexed(account, settings.tail).await? {
            return Ok(Vec::new());
        }
        let state = self.keep_account(account).await?;
        self.index(account, &state).await
    }

    /// The same for an account that has been loaded. What has gone for good leaves its segments, too.
    ///
    /// # Errors
    /// [`StoreError`].
    #[pennypost_ports::compiled_here]
    pub async fn keep_segments_of(
        &self,
        account: AccountKey,
        state: &State,
    ) -> Result<Vec<Event>, StoreError> {
        let newest = self.store.journal().newest(account, 1, Consistency::Strong).await?;
        self.store.look_at_segments_again(account);
        match newest.entries.last() {
            Some(last) if self.gets_segments(account).await? && !self.must_wait(account, last).await? => {
                self.index(account, state).await
            }
            _ => Ok(Vec::new()),
        }
    }

    /// Is the account one of those that get segments? Those that have some do, whoever asked for them.
    async fn gets_segments(&self, account: AccountKey) -> Result<bool, StoreError> {
        Ok(self.settings.index == Index::All
            || self.store.is_wanted(account)
            || self.store.indexed_up_to(account).await? > Seq::ZERO)
    }

    /// An account in which something happens at the moment waits: mail that comes in has the machine first. Unless
    /// somebody reads what has no segment.
    async fn must_wait(&self, account: AccountKey, last: &Entry) -> Result<bool, StoreError> {
        let quiet = i64::try_from(self.settings.quiet_seconds).unwrap_or(i64::MAX).saturating_mul(1000);
        let is_read = self.store.is_wanted_now(account);
        let waits = !is_read
            && self.store.clock().now().0 < last.time.0.saturating_add(quiet)
            && last.seq.0 < self.store.indexed_up_to(account).await?.0 + URGENT;
        if waits {
            self.store.want_index(account);
        }
        Ok(waits)
    }

    async fn index(&self, account: AccountKey, state: &State) -> Result<Vec<Event>, StoreError> {
        let work = self.store.indexing(account, state, self.segment_settings(state.used.messages));
        let end: Timestamp = self.store.clock().now().plus_millis(TURN_MILLIS);
        for _ in 0..PIECES {
            let Indexed { written, removed, more } = work.step().await?;
            if written + removed > 0 {
                tracing::debug!(%account, written, removed, "segments");
            }
            if !more {
                return Ok(Vec::new());
            }
            if self.store.clock().now() > end {
                break;
            }
        }
        Ok(vec![Event::House(House::Segments(account))])
    }

    fn segment_settings(&self, messages: u64) -> segment::Settings {
        let share = usize::try_from(messages / SHARE).unwrap_or(usize::MAX);
        segment::Settings {
            tail: self.settings.segment_tail.max(share),
            max_messages: self.settings.segment_messages,
        }
    }
}
