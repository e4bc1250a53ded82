//! How many messages a tenant has sent today (PLN-11).
//!
//! One item, `T` / `sent-today`, counts the messages of one day, which begins at midnight UTC; it is there from the first
//! message of a tenant on whose plan says how many there may be. It is changed by compare-and-set and knows the messages
//! that it counted last, so that an attempt whose answer was lost counts nothing when it is made again. Within a process
//! messages of a tenant take their turn at it. If the process dies between counting and accepting, a message is counted that
//! nobody has sent.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use parking_lot::Mutex;
use pennypost_model::codec::Versioned;
use pennypost_model::{EventId, TenantId, Timestamp};
use pennypost_ports::{Consistency, ControlKey, Expected};
use serde::{Deserialize, Serialize};

use crate::store::MAX_ATTEMPTS;
use crate::{Directory, DirectoryError};

const DAY: i64 = 24 * 60 * 60 * 1000;
/// Messages that the item remembers.
const MAX_LATEST: usize = 32;
/// Tenants whose turns a process remembers.
const MAX_TURNS: usize = 1_000;

/// What a tenant has sent on one day.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
struct SentToday {
    /// Days since 1970.
    day: i64,
    messages: u64,
    latest: VecDeque<EventId>,
}

impl Versioned for SentToday {
    const KIND: &'static str = "messages sent today";
}

impl SentToday {
    /// As it is on the day of `now`; a clock that is behind does not begin a day anew that another one has ended.
    fn on(self, now: Timestamp) -> SentToday {
        let day = now.0.div_euclid(DAY);
        if self.day >= day { self } else { SentToday { day, ..SentToday::default() } }
    }

    /// Counts a message that is not counted yet; `false` if that would be more than `limit`.
    fn count(&mut self, message: EventId, limit: u64) -> bool {
        if self.latest.contains(&message) {
            return true;
        }
        if self.messages >= limit {
            return false;
        }
        self.messages += 1;
        self.latest.push_back(message);
        if self.latest.len() > MAX_LATEST {
            self.latest.pop_front();
        }
        true
    }

    /// Takes a message back that it remembers.
    fn uncount(&mut self, message: EventId) {
        let before = self.latest.len();
        self.latest.retain(|known| *known != message);
        self.messages = self.messages.saturating_sub((before - self.latest.len()) as u64);
    }
}

/// Whose turn it is at the item of a tenant, in this process. Only spares lost races.
#[derive(Debug, Default)]
pub(crate) struct Turns(Mutex<HashMap<TenantId, Arc<tokio::sync::Mutex<()>>>>);

impl Turns {
    fn of(&self, tenant: TenantId) -> Arc<tokio::sync::Mutex<()>> {
        let mut turns = self.0.lock();
        if turns.len() >= MAX_TURNS {
            turns.retain(|_, turn| Arc::strong_count(turn) > 1);
        }
        Arc::clone(turns.entry(tenant).or_default())
    }
}

impl Directory {
    /// Counts a message against the day's allowance of a tenant; `false` if `limit` messages were counted today. Counting
    /// the same message once more counts nothing, while it is among the last 32.
    ///
    /// # Errors
    /// [`DirectoryError::Contended`], or the port's: then it may have been counted.
    pub async fn count_sent(
        &self,
        tenant: TenantId,
        message: EventId,
        limit: u64,
    ) -> Result<bool, DirectoryError> {
        self.change_sent(tenant, |sent| sent.count(message, limit)).await
    }

    /// A message that was counted was not accepted after all.
    ///
    /// # Errors
    /// Those of [`Directory::count_sent`].
    pub async fn uncount_sent(&self, tenant: TenantId, message: EventId) -> Result<(), DirectoryError> {
        self.change_sent(tenant, |sent| sent.uncount(message)).await
    }

    async fn change_sent<R>(
        &self,
        tenant: TenantId,
        change: impl Fn(&mut SentToday) -> R,
    ) -> Result<R, DirectoryError> {
        let turn = self.turns.of(tenant);
        let _turn = turn.lock().await;
        let key = ControlKey::new(tenant.to_string(), "sent-today");
        for _ in 0..MAX_ATTEMPTS {
            let held = self.read::<SentToday>(&key, Consistency::Strong).await?;
            let expected = held.as_ref().map_or(Expected::Absent, |held| Expected::Version(held.version));
            let stored = held.map(|held| held.value).unwrap_or_default();
            let mut sent = stored.clone().on(self.clock.now());
            let result = change(&mut sent);
            if sent == stored || self.write(&key, &sent, expected).await?.is_some() {
                return Ok(result);
            }
        }
        Err(DirectoryError::Contended)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_is_counted_once_and_the_day_ends_at_midnight() {
        let id = |number| EventId::from_parts(Timestamp(1), number);
        let evening = Timestamp(3 * DAY - 1);
        let mut sent = SentToday::default().on(evening);
        assert_eq!(
            [id(1), id(1), id(2), id(3), id(1)].map(|id| sent.count(id, 2)),
            [true, true, true, false, true]
        );
        sent.uncount(id(9));
        assert!(!sent.count(id(3), 2));
        sent.uncount(id(2));
        assert!(sent.count(id(3), 2) && !sent.count(id(2), 2));
        let mut next = sent.clone().on(Timestamp(3 * DAY));
        assert!(next.count(id(2), 2) && next.messages == 1);
        assert_eq!(next.on(evening).messages, 1);
        let mut many = SentToday::default().on(evening);
        assert!((0..100).all(|number| many.count(id(number), 100)));
        assert_eq!((many.messages, many.latest.len()), (100, MAX_LATEST));
    }
}
