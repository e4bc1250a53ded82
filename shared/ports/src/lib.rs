//! The traits through which every handler reaches the world. The doc comment of each is its contract; the
//! suites in `tests/contract` hold every backend to it.
//!
//! Common to all: a call that returns `Ok` for a write is durable; a call that returns `Err` may or may not
//! have taken effect; a future that is dropped may or may not have taken effect. All calls are safe to
//! repeat. Nothing here is ordered unless it says so.

pub mod clock;
pub mod control;
pub mod crash;
pub mod dns;
pub mod journal;
pub mod log;
mod object_names;
pub mod objects;
pub mod proving;
pub mod queue;
pub mod scanner;
pub mod secrets;
pub mod wakeups;

pub use clock::{Clock, Ids, RandomIds, SystemClock};
pub use control::{Control, ControlKey, Expected, Item, Put};
pub use dns::{Dns, DnsError, DnsKind, DnsRecord, FetchError, Https, HttpsPost, HttpsRequest};
pub use journal::{Appended, Head, Journal, Newest};
pub use log::{Log, LogKind, LogQuery, LogRecord};
pub use object_names::{BadObjectName, check_object_name, check_object_prefix};
pub use objects::{Created, Etag, NewObject, ObjectInfo, Objects, Replaced};
pub use proving::{Association, Proved, ProvingDns};
pub use queue::{DeadLetter, DeadLetterId, Depth, Outgoing, Queue, Receipt, Received};
pub use scanner::{ScanError, ScanLetter, Scanner, ScansFor};
pub use secrets::Secrets;
pub use wakeups::Wakeups;

/// Has the body of an `async fn` compiled in the crate where it stands: its future comes in a box. The body of any other
/// is compiled by every crate that awaits it, with all that it awaits itself: once more in every program and every test.
pub use async_recursion::async_recursion as compiled_here;

/// May a read miss what was written a moment ago?
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Consistency {
    /// It may: cheaper in the cloud. Every caller must be right even if the answer is old.
    Eventual,
    /// It may not: everything that was durable when the call began is seen.
    Strong,
}

/// Why a port did not do what it was asked.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PortError {
    /// Not now: trying again later may help. Disk full, throttling, network, time-out.
    #[error("{port} is unavailable: {cause}")]
    Unavailable {
        /// Which port.
        port: &'static str,
        /// What happened, without secrets and addresses.
        cause: String,
    },
    /// What is stored there is not what was written.
    #[error("{port} holds damaged data: {cause}")]
    Damaged {
        /// Which port.
        port: &'static str,
        /// What is wrong, and where.
        cause: String,
    },
    /// No such thing.
    #[error("{port} has no {what}")]
    NotFound {
        /// Which port.
        port: &'static str,
        /// What was asked for.
        what: String,
    },
    /// The caller asks for something that this port never does (too large, bad name).
    #[error("{port} refuses: {cause}")]
    Refused {
        /// Which port.
        port: &'static str,
        /// Why.
        cause: String,
    },
}

impl PortError {
    /// Can the same call succeed later?
    #[must_use]
    pub const fn is_temporary(&self) -> bool {
        matches!(self, PortError::Unavailable { .. })
    }
}

/// Result of a port call.
pub type PortResult<T> = Result<T, PortError>;
