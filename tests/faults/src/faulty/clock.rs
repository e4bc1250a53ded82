//! Clocks that are wrong, and ids from a seed.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use pennypost_model::{EventId, Timestamp};
use pennypost_ports::{Clock, Ids};
use rand::Rng;

use super::Trouble;
use crate::source::Source;

/// A process's clock: off by a fixed time, and now and then it steps back a little.
pub struct FaultyClock {
    /// What it shares with the others.
    pub trouble: Trouble,
    /// Milliseconds that it is off.
    pub skew: i64,
}

#[async_trait]
impl Clock for FaultyClock {
    fn now(&self) -> Timestamp {
        let back = if self.trouble.source.chance(50) {
            self.trouble.source.random(|random| random.random_range(0..3_000))
        } else {
            0
        };
        self.trouble.hours.now().plus_millis(self.skew - back)
    }

    async fn sleep(&self, duration: Duration) {
        self.trouble.hours.sleep(duration).await;
    }
}

/// Fresh ids.
pub struct SeededIds(pub Arc<Source>);

impl Ids for SeededIds {
    fn event(&self, now: Timestamp) -> EventId {
        EventId::from_parts(now, self.0.random(|random| u128::from(random.random::<u64>())))
    }

    fn random(&self) -> u64 {
        self.0.random(|random| random.random::<u64>().max(1))
    }
}
