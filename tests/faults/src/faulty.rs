//! Wrappers around any port whose calls fail as a seed wants it.
//!
//! Each call may fail before or after its effect, or be slow; others have their turn before and after it, and whoever
//! makes it may die there. A read that may be stale sometimes is; batches fail in part; queues hand out twice and in any
//! order; clocks are wrong and step back.

mod clock;
mod control;
mod journal;
mod log;
mod objects;
mod queue;

use std::collections::BTreeMap;
use std::sync::Arc;

use parking_lot::Mutex;
use pennypost_model::Timestamp;
use pennypost_model::event::Stage;
use pennypost_ports::{ControlKey, Item, PortResult, Received};
use pennypost_simulation::executor::turn;

pub use self::clock::{FaultyClock, SeededIds};
use crate::hours::Hours;
use crate::source::{Fate, Source, fault};

/// A port whose calls may fail.
pub struct Faulty<P: ?Sized> {
    inner: Arc<P>,
    trouble: Trouble,
}

impl<P: ?Sized> Faulty<P> {
    /// `inner`, in trouble.
    #[must_use]
    pub fn new(inner: Arc<P>, trouble: &Trouble) -> Arc<Faulty<P>> {
        Arc::new(Faulty { inner, trouble: trouble.clone() })
    }
}

/// What the wrappers of a run share.
#[derive(Clone)]
pub struct Trouble {
    /// What goes wrong.
    pub source: Arc<Source>,
    /// When.
    pub hours: Hours,
    /// Calls of a thousand that fail here.
    pub per_mille: u32,
    memory: Arc<Mutex<Memory>>,
}

/// What stale reads and repeated deliveries are taken from.
#[derive(Default)]
struct Memory {
    /// What each item was before its last write.
    before: BTreeMap<ControlKey, Option<Item>>,
    /// When objects were written, by the world's clock.
    written: BTreeMap<String, Timestamp>,
    handed_out: Vec<(Stage, Received)>,
}

impl Trouble {
    /// Trouble from a source.
    #[must_use]
    pub fn new(source: Arc<Source>, hours: Hours, per_mille: u32) -> Trouble {
        Trouble { source, hours, per_mille, memory: Arc::default() }
    }

    async fn read<T>(&self, port: &'static str, call: impl Future<Output = PortResult<T>>) -> PortResult<T> {
        self.make(port, false, call).await
    }

    async fn write<T>(&self, port: &'static str, call: impl Future<Output = PortResult<T>>) -> PortResult<T> {
        self.make(port, true, call).await
    }

    async fn make<T>(
        &self,
        port: &'static str,
        writes: bool,
        call: impl Future<Output = PortResult<T>>,
    ) -> PortResult<T> {
        turn().await;
        let result = match self.source.fate(self.per_mille, writes) {
            Fate::Good => self.hours.call(call).await,
            Fate::Slow(turns) => {
                for _ in 0..turns {
                    turn().await;
                }
                self.hours.call(call).await
            }
            Fate::Before => Err(fault(port)),
            Fate::After => self.hours.call(call).await.and_then(|_| Err(fault(port))),
        };
        turn().await;
        result
    }
}
