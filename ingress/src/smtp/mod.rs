//! SMTP in (RFC 5321): mail from other servers, for our domains only, without AUTH and relaying; and on ports of its own
//! from members, who sign in first (submission, RFC 6409; `submission`). What both do, they do by the same code.
//!
//! Offers SIZE (RFC 1870), 8BITMIME (RFC 6152), PIPELINING (RFC 2920), ENHANCEDSTATUSCODES (RFC 2034),
//! CHUNKING (RFC 3030), SMTPUTF8 (RFC 6531), STARTTLS (RFC 3207), and REQUIRETLS (RFC 8689) under TLS; to members AUTH (RFC 4954), DSN (RFC 3461) and
//! FUTURERELEASE (RFC 4865).
//!
//! Invariants: `250` to a message only after its event is durable in the queue; after it nothing refuses the
//! message, so every reason to refuse is looked at before. A transaction belongs to one tenant. What we add at
//! receipt stands beside the bytes. The memory of all messages in flight has one bound.
//!
//! If the process dies before the `250`, the sender sees a broken connection and sends again: the message may
//! then come twice, with two ids, as with every SMTP server (RFC 1047).

mod accept;
mod authenticate;
mod command;
mod commands;
mod decoder;
mod parameters;
mod path;
mod quota;
mod rate;
mod received;
mod reply;
mod report;
mod session;
mod submission;
mod transaction;

use std::net::IpAddr;
use std::sync::Arc;

use async_trait::async_trait;
use pennypost_directory::Resolved;
use pennypost_model::{AccountKey, EventId, TenantId};
use tokio::io::DuplexStream;
use tokio::net::TcpListener;
use tokio::runtime::{Handle, RuntimeFlavor};
use tracing::warn;

pub use authenticate::{Dns, DnsServers};

use crate::net::{Adapter, Limits, Protocol, Stream, TlsMode, serve};

/// Bytes on their way within the process.
const AT_HOME: usize = 64 * 1024;

/// Reports that go back to one sender elsewhere in an hour.
const RETURNED: u32 = 10;

/// What SMTP sessions share beside the adapter's ports.
pub(crate) struct Shared {
    authenticator: Arc<authenticate::Authenticator>,
    by_address: rate::Buckets<IpAddr>,
    by_tenant: rate::Buckets<TenantId>,
    by_account: rate::Buckets<AccountKey>,
    by_return_path: rate::Buckets<(TenantId, String)>,
    quotas: quota::Quotas,
}

impl Shared {
    /// # Errors
    /// A text for the operator when the DNS configuration can't be used.
    pub(crate) fn new(limits: &Limits, dns: &Dns) -> Result<Shared, String> {
        Ok(Shared {
            authenticator: Arc::new(authenticate::Authenticator::new(dns)?),
            by_address: rate::Buckets::new(limits.smtp.messages_per_minute_and_ip),
            by_tenant: rate::Buckets::new(limits.smtp.messages_per_minute_and_tenant),
            by_account: rate::Buckets::new(limits.submission.messages_per_minute_and_account),
            by_return_path: rate::Buckets::in_an_hour(RETURNED),
            quotas: quota::Quotas::default(),
        })
    }
}

/// Does work that takes time linear in `len` bytes; when that is long, without keeping other sessions waiting.
fn without_delay<T>(len: usize, work: impl FnOnce() -> T) -> T {
    let has_other_workers =
        || Handle::try_current().is_ok_and(|handle| handle.runtime_flavor() == RuntimeFlavor::MultiThread);
    if len >= 1 << 20 && has_other_workers() { tokio::task::block_in_place(work) } else { work() }
}

/// Takes mail on this listener until the server stops.
#[pennypost_ports::compiled_here]
pub async fn run(adapter: Arc<Adapter>, listener: TcpListener) {
    if matches!(adapter.postmaster().await, Ok(Resolved::UnknownDomain)) {
        warn!(
            hostname = adapter.hostname,
            "nobody gets mail to <postmaster>: let adapter.hostname be a name in a domain of yours, or set \
             adapter.postmaster"
        );
    }
    serve(adapter, listener, TlsMode::StartTls, Smtp(Role::Exchange)).await;
}

/// Takes mail from members on this listener until the server stops (RFC 6409, RFC 8314).
#[pennypost_ports::compiled_here]
pub async fn run_submission(adapter: Arc<Adapter>, listener: TcpListener, mode: TlsMode) {
    serve(adapter, listener, mode, Smtp(Role::Submission)).await;
}

/// A connection by which the post office hands itself what one organisation writes to another. The mail that comes by it
/// is treated as that of other servers, but that its sender is known: he has signed in here. It gets this id.
#[must_use]
pub fn connect_at_home(adapter: &Arc<Adapter>, id: EventId) -> DuplexStream {
    let (there, here) = tokio::io::duplex(AT_HOME);
    let role = Role::Home(id);
    let stream = Stream::at_home(here, adapter, role.name());
    let session = Box::new(session::Session::new(Arc::clone(adapter), stream, role));
    tokio::spawn(session.run());
    there
}

/// Who comes to a port.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Role {
    /// Other servers, with mail for people here.
    Exchange,
    /// Programs of members, with mail that these have written.
    Submission,
    /// This post office, with one message of another organisation, which is to have this id.
    Home(EventId),
}

impl Role {
    const fn name(self) -> &'static str {
        match self {
            Role::Exchange => "smtp",
            Role::Submission => "submission",
            Role::Home(_) => "home",
        }
    }
}

struct Smtp(Role);

#[async_trait]
impl Protocol for Smtp {
    fn name(&self) -> &'static str {
        self.0.name()
    }

    fn busy(&self) -> &'static [u8] {
        b"421 4.3.2 too many connections, try again later\r\n"
    }

    async fn session(&self, adapter: Arc<Adapter>, stream: Stream) {
        Box::new(session::Session::new(adapter, stream, self.0)).run().await;
    }
}
