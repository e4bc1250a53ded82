//! POP3 (RFC 1939) with CAPA (RFC 2449), STLS (RFC 2595), SASL (RFC 5034), response codes (RFC 2449, RFC 3206),
//! pipelining, UTF8 and LANG (RFC 6856; replies are in English). APOP needs plaintext passwords in the store and is not offered.
//!
//! A session sees the Inbox as it was at sign-in. Several sessions may be open: DELE takes effect at QUIT, in
//! one journal entry, for those messages that are still there. A message goes out in pieces and is never
//! held whole. Invariants: bytes go out as received, dots doubled; passwords are taken over TLS or from this
//! machine only. If the process dies before QUIT, nothing was deleted.

mod command;
mod commands;
mod session;
mod stuffing;

use std::sync::Arc;

use async_trait::async_trait;
use tokio::net::TcpListener;

use crate::net::{Adapter, Protocol, Stream, TlsMode, serve};

/// Serves mailboxes on this listener until the server stops.
#[pennypost_ports::compiled_here]
pub async fn run(adapter: Arc<Adapter>, listener: TcpListener, mode: TlsMode) {
    serve(adapter, listener, mode, Pop3).await;
}

struct Pop3;

#[async_trait]
impl Protocol for Pop3 {
    fn name(&self) -> &'static str {
        "pop3"
    }

    fn busy(&self) -> &'static [u8] {
        b"-ERR [SYS/TEMP] too many connections, try again later\r\n"
    }

    async fn session(&self, adapter: Arc<Adapter>, stream: Stream) {
        Box::new(session::Session::new(adapter, stream)).run().await;
    }
}
