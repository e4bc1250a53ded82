//! What all actors share: the ports of their process, chance, and what was promised to senders.

use std::collections::BTreeMap;
use std::sync::Arc;

use parking_lot::Mutex;
use pennypost_mailstore::Mailstore;
use pennypost_model::event::Decided;
use pennypost_model::{AccountId, AccountKey, EventId, TenantId};
use pennypost_ports::{Clock, Control, Ids, Journal, Log, Objects, Queue};
use rand::SeedableRng;
use rand::rngs::SmallRng;

use crate::letter::Copies;

/// Accounts of two tenants; the numbers of accounts overlap on purpose.
pub const ACCOUNTS: [AccountKey; 3] = [
    AccountKey { tenant: TenantId(1), account: AccountId(1) },
    AccountKey { tenant: TenantId(1), account: AccountId(2) },
    AccountKey { tenant: TenantId(2), account: AccountId(1) },
];

/// Minutes after which deleted mail is forgotten.
pub const RESTORE_MINUTES: f64 = 30.0;
/// Minutes after which bytes may be removed.
pub const MIN_AGE_MINUTES: f64 = 240.0;

/// The events that are not acknowledged yet, and everything that was ever accepted.
#[derive(Default)]
pub struct Ledger {
    /// What a schedule that is its own queue hands out.
    pub queued: BTreeMap<EventId, Decided>,
    /// Who gets copies of every message whose sender was told that it was taken.
    pub accepted: Copies,
    /// The same of messages of which nobody knows whether they were taken: their senders were told to try again.
    pub doubtful: Copies,
    /// Did a process die that kept house? Then a hint may be lost, and only the audit finds what it named.
    pub housekeeping_died: bool,
    /// Violations seen on the way.
    pub broken: Vec<String>,
}

impl Ledger {
    /// The sender was told that a doubtful message was taken.
    pub fn accept(&mut self, copies: Copies) {
        self.doubtful.retain(|event, _| !copies.contains_key(event));
        self.accepted.extend(copies);
    }
}

/// The ports as one process sees them, and what all processes share.
#[derive(Clone)]
pub struct Stage {
    /// Its journal port.
    pub journal: Arc<dyn Journal>,
    /// Its object port.
    pub objects: Arc<dyn Objects>,
    /// Its control port.
    pub control: Arc<dyn Control>,
    /// Its log port.
    pub log: Arc<dyn Log>,
    /// Its queue port.
    pub queue: Arc<dyn Queue>,
    /// Its clock.
    pub clock: Arc<dyn Clock>,
    /// Its fresh ids.
    pub ids: Arc<dyn Ids>,
    /// Chance, from one seed for all processes.
    pub dice: Arc<Mutex<SmallRng>>,
    /// What was promised.
    pub ledger: Arc<Mutex<Ledger>>,
}

impl Stage {
    /// The mail store on these ports.
    #[must_use]
    pub fn store(&self) -> Mailstore {
        Mailstore::new(
            Arc::clone(&self.journal),
            Arc::clone(&self.objects),
            Arc::clone(&self.clock),
            Arc::clone(&self.ids),
        )
    }

    /// Draws from the seed.
    pub fn random<T>(&self, draw: impl FnOnce(&mut SmallRng) -> T) -> T {
        draw(&mut self.dice.lock())
    }

    /// Notes a violation.
    pub fn broken(&self, what: String) {
        self.ledger.lock().broken.push(what);
    }
}

/// Chance from a seed.
#[must_use]
pub fn dice(seed: u64) -> Arc<Mutex<SmallRng>> {
    Arc::new(Mutex::new(SmallRng::seed_from_u64(seed)))
}
