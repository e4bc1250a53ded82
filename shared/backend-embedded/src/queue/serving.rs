//! The lanes of the serving process, and how they hear of what was committed.

use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use parking_lot::{Mutex, MutexGuard};
use pennypost_model::event::Stage;
use pennypost_model::{TenantId, Timestamp};
use pennypost_ports::{Clock, SystemClock};
use rusqlite::Connection;
use tokio::sync::Notify;
use tokio::time::Instant;

use super::lane::{Id, Lane, Marked};
use super::table::{self, Waiting};
use crate::failure::Failure;

/// Rows of other processes that are read in one go.
const SCAN: usize = 10_000;
/// Waiting receivers that are woken at once; each wakes the next while there is more.
const WAKE: usize = 16;

/// One lane for each stage, and what they share.
pub(crate) struct Serving {
    lanes: [Mutex<Lane>; Stage::ALL.len()],
    arrivals: [Notify; Stage::ALL.len()],
    /// Rows up to this one are in the lanes. Only the writer's thread moves it.
    last_id: AtomicI64,
    cached: AtomicUsize,
    cache_limit: usize,
    next_number: AtomicU64,
    pub(super) max_waiting: usize,
    pub(super) closed: AtomicBool,
    /// Acknowledged, but the commit failed: they join the next acknowledgement.
    pub(super) unacknowledged: Mutex<Vec<Id>>,
}

impl Serving {
    pub(crate) fn new(cache_limit: usize, max_waiting: usize) -> Serving {
        Serving {
            lanes: Default::default(),
            arrivals: Default::default(),
            last_id: AtomicI64::new(0),
            cached: AtomicUsize::new(0),
            cache_limit,
            // Receipts of an earlier process must mean nothing to this one.
            next_number: AtomicU64::new(rand::random()),
            max_waiting,
            closed: AtomicBool::new(false),
            unacknowledged: Mutex::new(Vec::new()),
        }
    }

    pub(super) fn lane(&self, stage: Stage) -> MutexGuard<'_, Lane> {
        self.lanes[stage as usize].lock()
    }

    pub(super) fn arrival(&self, stage: Stage) -> &Notify {
        &self.arrivals[stage as usize]
    }

    pub(super) fn wake(&self, stage: Stage, messages: usize) {
        for _ in 0..messages.min(WAKE) {
            self.arrival(stage).notify_one();
        }
    }

    pub(super) fn number(&self) -> u64 {
        self.next_number.fetch_add(1, Ordering::Relaxed)
    }

    /// Takes over rows that other processes have committed (at the start: all). On the writer's thread.
    pub(crate) fn scan(&self, connection: &Connection) -> Result<(), Failure> {
        loop {
            let (now, clock) = (Instant::now(), SystemClock.now());
            let from = self.last_id.load(Ordering::Relaxed);
            let last = table::after(connection, from, SCAN, |waiting| self.add(&waiting, clock, now))?;
            let Some(last) = last else { return Ok(()) };
            self.last_id.store(last, Ordering::Relaxed);
        }
    }

    /// A row that waits. `clock` and `now` are the same moment.
    fn add(&self, waiting: &Waiting, clock: Timestamp, now: Instant) {
        let millis = waiting.due.0.saturating_sub(clock.0);
        let delay = Duration::from_millis(u64::try_from(millis).unwrap_or(0));
        self.lane(waiting.stage).add_waiting(waiting.id, waiting.tenant, delay, now);
        self.wake(waiting.stage, 1);
    }

    /// A row that this process has just committed, and that waits.
    pub(super) fn committed(&self, waiting: &Waiting) {
        self.last_id.fetch_max(waiting.id, Ordering::Relaxed);
        self.add(waiting, SystemClock.now(), Instant::now());
    }

    /// A row that this process has just committed as marked.
    pub(super) fn committed_marked(
        &self,
        stage: Stage,
        id: Id,
        tenant: TenantId,
        sent: Timestamp,
        body: Vec<u8>,
    ) {
        self.last_id.fetch_max(id, Ordering::Relaxed);
        let len = body.len();
        let has_room = self.cached.fetch_add(len, Ordering::Relaxed) + len <= self.cache_limit;
        if !has_room {
            self.cached.fetch_sub(len, Ordering::Relaxed);
        }
        let body = has_room.then_some(body);
        self.lane(stage).add_marked(Marked { id, tenant, sent, tries: 1, body });
        self.wake(stage, 1);
    }

    /// A body has left the cache.
    pub(super) fn uncached(&self, body: &[u8]) {
        self.cached.fetch_sub(body.len(), Ordering::Relaxed);
    }
}
