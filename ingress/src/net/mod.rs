//! What every protocol stands on: the shared [`Adapter`], the accept loop ([`serve`]), the buffered
//! [`Stream`] with its time-outs, TLS, limits, metrics, and the redacted protocol trace ([`wire`]).
//!
//! Owns sockets and nothing that must survive. Invariants: nothing read before a TLS handshake is used after
//! it (CVE-2011-0411); every wait has an end; every buffer has a bound. If the process dies, connections
//! break and peers ask again.

mod accept;
mod adapter;
mod client_account;
mod deflate;
mod limits;
mod memory;
mod metrics;
mod occupancy;
mod shutdown;
mod sign_in;
mod stream;
mod tls;
pub mod wire;

pub(crate) use accept::neighbourhood;
pub use accept::{Protocol, TlsMode, serve};
pub use adapter::{Adapter, AdapterError, Ports, Settings};
pub(crate) use client_account::{ClientAccount, pop3_sight, sight};
pub(crate) use limits::seconds;
pub use limits::{ImapLimits, Limits, Network, Pop3Limits, SmtpLimits, SubmissionLimits};
pub(crate) use memory::{Holder, Memory, Share};
pub use metrics::Metrics;
pub use shutdown::Shutdown;
pub use stream::{Line, NetError, Pace, Stream};
pub use tls::{Tls, TlsError, load_or_create_tls};
