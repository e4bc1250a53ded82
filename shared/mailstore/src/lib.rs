//! The mail store over the ports: where bytes lie ([`pack`], [`blobs`]), what is derived from them ([`segment`]), how an account is loaded and changed
//! ([`Mailstore`]), and the live accounts that sessions share ([`Mailroom`]).
//!
//! Invariants: a pack is durable before an entry refers to it; an entry is committed only as the next one of
//! its account (architecture section 4); what a caller sees committed is durable.
//!
//! If the process dies: before the pack, nothing happened; between pack and entry, the pack is an orphan that
//! housekeeping removes; after the entry, the change stands and an unanswered caller may see it when it asks
//! again.

pub mod accept;
pub mod blobs;
mod cards;
pub mod check;
mod commit;
pub mod compress;
mod error;
pub mod fresh;
mod live;
mod load;
pub mod names;
pub mod pack;
mod recent;
pub mod segment;
pub mod summary;
mod write;

use std::sync::Arc;

use parking_lot::Mutex;
use pennypost_ports::{Clock, Ids, Journal, Objects};

pub use commit::Committed;
pub use error::{ChangeError, StoreError};
pub use live::{LiveAccount, Mailroom, Occupancy, Others};
pub use load::long_tail;
pub use write::{Effort, Incoming, Placed, Prepared, Writing};

/// The ports that mail lives on, and everything that is done with them. Cheap to clone.
#[derive(Clone)]
pub struct Mailstore {
    pub(crate) journal: Arc<dyn Journal>,
    pub(crate) objects: Arc<dyn Objects>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) ids: Arc<dyn Ids>,
    /// Of segments.
    pub(crate) cache: Arc<segment::Cache>,
    pub(crate) wanted: Arc<segment::Wanted>,
    /// Messages that were read as a whole.
    pub(crate) kept: Arc<Mutex<blobs::Kept>>,
}

impl Mailstore {
    /// A store over these ports.
    #[must_use]
    pub fn new(
        journal: Arc<dyn Journal>,
        objects: Arc<dyn Objects>,
        clock: Arc<dyn Clock>,
        ids: Arc<dyn Ids>,
    ) -> Mailstore {
        let kept = Arc::new(Mutex::new(blobs::Kept::new(blobs::KEPT_BYTES)));
        Mailstore { journal, objects, clock, ids, cache: Arc::default(), wanted: Arc::default(), kept }
    }

    /// The journal port.
    #[must_use]
    pub fn journal(&self) -> &dyn Journal {
        &*self.journal
    }

    /// The object port.
    #[must_use]
    pub fn objects(&self) -> &dyn Objects {
        &*self.objects
    }

    /// The same, for whoever keeps it.
    #[must_use]
    pub fn shared_objects(&self) -> Arc<dyn Objects> {
        Arc::clone(&self.objects)
    }

    /// The clock.
    #[must_use]
    pub fn clock(&self) -> &dyn Clock {
        &*self.clock
    }

    /// The source of ids.
    #[must_use]
    pub fn ids(&self) -> &dyn Ids {
        &*self.ids
    }
}
