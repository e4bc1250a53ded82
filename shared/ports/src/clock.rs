//! Time and fresh ids, as ports so that schedules can be repeated.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use async_trait::async_trait;
use pennypost_model::{EventId, Timestamp};

/// The time of day. May step back; nobody may rely on it for order.
#[async_trait]
pub trait Clock: Send + Sync {
    /// Now.
    fn now(&self) -> Timestamp;

    /// Returns after `duration` or a little later.
    async fn sleep(&self, duration: Duration);
}

/// Fresh ids.
pub trait Ids: Send + Sync {
    /// An id that nobody has got or will get, with the time `now` in it.
    fn event(&self, now: Timestamp) -> EventId;
    /// 64 random bits, never 0: for tenant and account ids.
    fn random(&self) -> u64;
}

/// The machine's clock.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemClock;

#[async_trait]
impl Clock for SystemClock {
    fn now(&self) -> Timestamp {
        let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Timestamp(i64::try_from(since_epoch.as_millis()).unwrap_or(i64::MAX))
    }

    async fn sleep(&self, duration: Duration) {
        tokio::time::sleep(duration).await;
    }
}

/// Ids from the operating system's randomness.
#[derive(Debug, Clone, Copy, Default)]
pub struct RandomIds;

impl Ids for RandomIds {
    fn event(&self, now: Timestamp) -> EventId {
        EventId::from_parts(now, rand::random::<u128>() >> 48)
    }

    fn random(&self) -> u64 {
        rand::random::<u64>().max(1)
    }
}
