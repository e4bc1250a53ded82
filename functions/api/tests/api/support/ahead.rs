//! A clock that a test puts forward.

use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use pennypost_model::Timestamp;
use pennypost_ports::{Clock, SystemClock};

/// The machine's clock, and so many milliseconds more.
#[derive(Default)]
pub struct Ahead(AtomicI64);

impl Ahead {
    pub fn put_forward(&self, millis: i64) {
        self.0.fetch_add(millis, Ordering::Relaxed);
    }
}

#[async_trait]
impl Clock for Ahead {
    fn now(&self) -> Timestamp {
        SystemClock.now().plus_millis(self.0.load(Ordering::Relaxed))
    }

    async fn sleep(&self, duration: Duration) {
        SystemClock.sleep(duration).await;
    }
}
