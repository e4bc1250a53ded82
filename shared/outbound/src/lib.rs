//! Messages on their way to other servers, as they stand in the control table.
//!
//! Owns these kinds of control items. `T/outbound`, by message, destination and part: [`Outbound`]s for each domain that a
//! message goes to, with what became of each recipient; of many recipients each part is an item, so that its end can be
//! written whatever is answered. And `outbound-due`, which is the installation's: a row for each of
//! them by the time at which it is to be looked at, so that whoever looks finds what is due without looking at anything
//! else. Who tries, and what is done about it, is send-remote's. Beside them, `T` / `routes`: by which servers a tenant's letters go
//! ([`Routes`]), which administration writes; and `outbound-pauses`, the installation's: by destination until when it is left alone
//! ([`Pause`]).
//!
//! Invariants: an item that is not settled has a row at its time or earlier, since a row is written before its item and
//! removed after it; a row may be more than there should be, and says only where to look. An item changes by conditional
//! writes alone: of two that try the same destination one has it.
//!
//! If the process dies at any line, a row is left that leads to the item as it was or as it is.

mod item;
mod outbox;
mod pauses;
mod retry;
mod routes;

pub use item::{Addressee, Asked, FIRST_FORWARD, Outbound};
pub use outbox::{Due, KEPT, Outbox, OutboxError};
pub use pauses::{Pause, Pauses};
pub use retry::{Patience, retry_after};
pub use routes::{Destinations, Identity, Relay, Route, Routes, SealedLogin};
