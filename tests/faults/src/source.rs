//! Where faults come from: one seeded source for all ports and lines of a run.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use parking_lot::Mutex;
use pennypost_ports::PortError;
use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};

/// Decides what goes wrong. Nothing does while it is calm.
pub struct Source {
    random: Mutex<SmallRng>,
    harsh: AtomicBool,
    calls: AtomicU64,
    faults: AtomicU64,
}

/// What happens to a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    /// It is made and answered.
    Good,
    /// It is made and answered after others had so many turns.
    Slow(u32),
    /// It fails before it has any effect.
    Before,
    /// It has its effect, and fails.
    After,
}

impl Source {
    /// The source of a seed; calm.
    #[must_use]
    pub fn new(seed: u64) -> Arc<Source> {
        Arc::new(Source {
            random: Mutex::new(SmallRng::seed_from_u64(seed)),
            harsh: AtomicBool::new(false),
            calls: AtomicU64::new(0),
            faults: AtomicU64::new(0),
        })
    }

    /// Lets faults happen, or no more.
    pub fn set_harsh(&self, harsh: bool) {
        self.harsh.store(harsh, Ordering::Relaxed);
    }

    /// Draws from the seed.
    pub fn random<T>(&self, draw: impl FnOnce(&mut SmallRng) -> T) -> T {
        draw(&mut self.random.lock())
    }

    /// In so many of a thousand cases, while it is harsh.
    pub fn chance(&self, per_mille: u32) -> bool {
        let yes = self.harsh.load(Ordering::Relaxed)
            && self.random(|random| random.random_range(0..1000)) < per_mille;
        self.faults.fetch_add(u64::from(yes), Ordering::Relaxed);
        yes
    }

    /// The fate of a call that fails in about so many of a thousand cases, and of which half of those that fail have had
    /// their effect if they are writes.
    pub fn fate(&self, per_mille: u32, writes: bool) -> Fate {
        self.calls.fetch_add(1, Ordering::Relaxed);
        if self.chance(per_mille) {
            let after = writes && self.random(|random| random.random());
            return if after { Fate::After } else { Fate::Before };
        }
        if self.chance(50) {
            return Fate::Slow(self.random(|random| random.random_range(1..20)));
        }
        Fate::Good
    }

    /// How many calls were made, and how many things went wrong.
    #[must_use]
    pub fn counts(&self) -> (u64, u64) {
        (self.calls.load(Ordering::Relaxed), self.faults.load(Ordering::Relaxed))
    }
}

/// The error of a call that failed as the seed wants it.
#[must_use]
pub fn fault(port: &'static str) -> PortError {
    PortError::Unavailable { port, cause: "as the seed wants it".to_owned() }
}
