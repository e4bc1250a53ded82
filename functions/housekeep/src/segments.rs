//! Segments of one account: one piece of work for each event, which asks for the next one itself.

use pennypost_mailstore::StoreError;
use pennypost_mailstore::segment::{self, Indexed};
use pennypost_model::AccountKey;
use pennypost_model::event::{Event, House};
use pennypost_ports::Consistency;

use crate::Housekeep;

/// From so many entries behind the last segment on, an account gets one although it is busy.
const URGENT: u64 = 1_024;

impl Housekeep {
    /// Does a piece of what is to be done about an account's segments; gives the event for the next piece.
    ///
    /// An account in which something happens at the moment waits: mail that comes in has the machine first. Unless
    /// somebody reads what has no segment.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn keep_segments(&self, account: AccountKey) -> Result<Vec<Event>, StoreError> {
        let newest = self.store.journal().newest(account, 1, Consistency::Strong).await?;
        let Some(last) = newest.entries.last() else { return Ok(Vec::new()) };
        let quiet = i64::try_from(self.settings.quiet_seconds).unwrap_or(i64::MAX).saturating_mul(1000);
        let is_read = self.store.is_wanted_now(account);
        if !is_read
            && self.store.clock().now().0 < last.time.0.saturating_add(quiet)
            && last.seq.0 < self.store.indexed_up_to(account).await?.0 + URGENT
        {
            self.store.want_index(account);
            return Ok(Vec::new());
        }
        let state = self.store.load(account, Consistency::Strong).await?;
        let settings = segment::Settings {
            tail: self.settings.segment_tail,
            max_messages: self.settings.segment_messages,
        };
        let Indexed { written, removed, more } = self.store.index(account, &state, settings).await?;
        if written + removed > 0 {
            tracing::debug!(%account, written, removed, "segments");
        }
        Ok(if more { vec![Event::House(House::Account(account))] } else { Vec::new() })
    }
}
