//! Notices of new mail for other programs (INT-01): who wants them, what waits to be told, and how it is said.
//!
//! Owns these control items; `T` is the tenant's id, `S` a subscription's:
//!
//! | partition | sort | holds |
//! | --- | --- | --- |
//! | `T` | `subscriptions` | the [`Subscription`]s, each with its secret, sealed |
//! | `T/subscription-states` | `S` | how telling goes: the [`State`] |
//! | `T/notices` | `S/m/TIME/A/SEQ` | a notice that waits: entry `SEQ` of account `A` brought letters; `TIME` is when it was put down, or when it is tried again |
//! | `T/notices` | `S/u/A` | another one: how many unread letters `A` has is to be told |
//! | | | both: nothing but a form, or the [`Progress`] where a receiver has refused it or taken some of it |
//! | `hooks-due` | `TIME/T/S` | when to look after a subscription; the installation's |
//!
//! What is due is found by one query for all tenants together, and each subscription has one row for a second at most,
//! however much of it waits. Who tells is the worker's affair (`functions/notify`).
//!
//! Invariants: a subscription with something that waits has a row at its next time or earlier, or is paused: a row is written
//! behind what waits, and removed by whoever has looked since it was written; who looks after a subscription has claimed it by
//! a conditional write, behind a row at the end of the claim. A row too many says only where to look.
//!
//! If the process dies at any line, a row is left that leads to what waits; what was told and not removed is told again under
//! the same id.

mod say;
mod store;
mod subscription;
mod waiting;

pub use say::{Attempted, Notice, post, signature};
pub use store::{DuePage, Hooks};
pub use subscription::{
    MAX_SUBSCRIPTIONS, NoticeKind, Pause, PauseCause, Place, Subscription, SubscriptionId, Whose,
};
pub use waiting::{Due, Look, Progress, State, Waiting, WaitingFor};

use pennypost_model::codec::CodecError;
use pennypost_ports::PortError;

/// Why something was not read or written.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum HookError {
    /// The port.
    #[error(transparent)]
    Port(#[from] PortError),
    /// The item is damaged.
    #[error(transparent)]
    Item(#[from] CodecError),
    /// Others write it all the time.
    #[error("others change the subscriptions at the same time")]
    Contended,
}
