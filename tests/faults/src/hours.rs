//! Time that passes when the run says so.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use pennypost_model::Timestamp;
use pennypost_ports::{Clock, PortResult, SystemClock};
use tokio::runtime::Runtime;
use tokio::time::Instant;

/// How calls are made and time passes. In both ways tokio's clock stands still except for what is said here.
#[derive(Clone)]
pub enum Pace {
    /// Everything runs in one runtime of tokio; a call may pause at any request that it makes, and time passes by itself
    /// when everybody waits.
    Together,
    /// The backend has threads of its own: each call runs in a runtime of its own, from its beginning to its end, while all
    /// else stands still. Otherwise the speed of the threads would decide what happens.
    Apart(Arc<Runtime>),
}

/// The world's clock.
#[derive(Clone)]
pub struct Hours {
    pace: Pace,
    start: Timestamp,
    from: Option<Instant>,
    passed: Arc<AtomicI64>,
}

impl Hours {
    /// Time begins now. With [`Pace::Together`] to be called within the runtime.
    #[must_use]
    pub fn new(pace: Pace) -> Hours {
        let from = matches!(pace, Pace::Together).then(Instant::now);
        // Some backends put the machine's time beside what they store.
        Hours { pace, start: SystemClock.now(), from, passed: Arc::default() }
    }

    /// Makes a call.
    pub async fn call<T>(&self, call: impl Future<Output = PortResult<T>>) -> PortResult<T> {
        self.run(call).await
    }

    /// The same for what is no result.
    pub async fn run<T>(&self, call: impl Future<Output = T>) -> T {
        match &self.pace {
            Pace::Together => call.await,
            Pace::Apart(runtime) => runtime.block_on(call),
        }
    }

    /// Lets time pass.
    pub async fn pass(&self, duration: Duration) {
        match &self.pace {
            Pace::Together => tokio::time::advance(duration).await,
            Pace::Apart(runtime) => {
                runtime.block_on(tokio::time::advance(duration));
                self.passed.fetch_add(duration.as_millis() as i64, Ordering::Relaxed);
            }
        }
    }

    /// Lets the backend's own tasks go on.
    pub async fn give_way(&self) {
        if matches!(self.pace, Pace::Together) {
            tokio::task::yield_now().await;
        }
    }

    /// Waits for as long, if time passes by itself.
    pub async fn sleep(&self, duration: Duration) {
        match self.pace {
            Pace::Together => tokio::time::sleep(duration).await,
            Pace::Apart(_) => pennypost_simulation::executor::turn().await,
        }
    }

    /// Milliseconds since the beginning.
    #[must_use]
    pub fn millis(&self) -> i64 {
        let passed = self.passed.load(Ordering::Relaxed);
        self.from.map_or(passed, |from| from.elapsed().as_millis() as i64)
    }

    /// The time of day.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        self.start.plus_millis(self.millis())
    }
}
