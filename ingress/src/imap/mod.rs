//! IMAP4rev1 (RFC 3501) and IMAP4rev2 (RFC 9051) with the extensions in [`capability`]'s table; which file and which
//! test is behind each stands in `docs/rfc/index.toml`, what is left out in `docs/decisions/0006-imap-left-out.md`.
//!
//! Owns: the grammar (`grammar`, without I/O), the collecting of commands (`input`), the session and its states
//! (`session`), which mailbox a name means and what may be done with it (`access`), the session's view of the
//! selected mailbox (`view`), one file per command (`command`), and the
//! writing of answers (`response`).
//!
//! Invariants: sequence numbers mean what the client was last told (`view`); a change is answered with OK only
//! after its journal entry is durable; no buffer grows with what a client sends or leaves unread; no bytes of
//! a client make it panic. If the process dies, connections break; what was answered stands.

mod access;
mod ahead;
mod capability;
mod collation;
mod command;
pub mod grammar;
mod input;
mod modes;
mod print;
mod progress;
mod response;
mod session;
mod threads;
mod vanished;
mod view;

use std::sync::{Arc, LazyLock};
use std::time::Duration;

use async_trait::async_trait;
use tokio::net::TcpListener;

use crate::net::{Adapter, Protocol, Stream, TlsMode, serve};
use session::Session;
use view::RecentMarks;

/// Serves IMAP on `listener` until the adapter's shutdown; returns when all sessions are over.
#[pennypost_ports::compiled_here]
pub async fn run(adapter: Arc<Adapter>, listener: TcpListener, tls: TlsMode) {
    let shared = Arc::new(Shared { recent: Arc::clone(&RECENT) });
    serve(adapter, listener, tls, Imap { shared }).await;
}

/// What the sessions of a listener share.
struct Shared {
    /// Who has seen which message first. One table for all listeners of the process: account ids are random
    /// and never reused, so that accounts of different stores do not meet.
    recent: Arc<RecentMarks>,
}

static RECENT: LazyLock<Arc<RecentMarks>> = LazyLock::new(Arc::default);

/// How long a large message waits for its share of the memory for messages under way.
const PATIENCE_FOR_MEMORY: Duration = Duration::from_secs(30);

struct Imap {
    shared: Arc<Shared>,
}

#[async_trait]
impl Protocol for Imap {
    fn name(&self) -> &'static str {
        "imap"
    }

    fn busy(&self) -> &'static [u8] {
        b"* BYE [UNAVAILABLE] too many connections, try again later\r\n"
    }

    async fn session(&self, adapter: Arc<Adapter>, stream: Stream) {
        Box::new(Session::new(adapter, Arc::clone(&self.shared), stream)).run().await;
    }
}
