//! The accept loop: who may come in, and how sessions end when the server stops.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use parking_lot::Mutex;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tracing::{Instrument, debug, error, info, info_span, warn};

use super::{Adapter, Stream};

/// When a listener's connections become encrypted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TlsMode {
    /// From the first byte.
    Implicit,
    /// When the client asks.
    StartTls,
}

/// A protocol: what happens on a connection.
#[async_trait]
pub trait Protocol: Send + Sync + 'static {
    /// Its name in logs and metrics: `smtp`.
    fn name(&self) -> &'static str;

    /// What a client is told that can't come in now, with its line end.
    fn busy(&self) -> &'static [u8];

    /// Talks to a client until one of them has enough. A panic ends the session alone.
    async fn session(&self, adapter: Arc<Adapter>, stream: Stream);
}

/// Open connections, all and per address.
#[derive(Debug, Default)]
pub(super) struct Door(Mutex<Open>);

#[derive(Debug, Default)]
struct Open {
    all: usize,
    by_address: HashMap<IpAddr, usize>,
}

/// The place of one connection; free again when dropped.
struct Place {
    adapter: Arc<Adapter>,
    address: Option<IpAddr>,
    protocol: &'static str,
}

impl Place {
    fn take(adapter: &Arc<Adapter>, ip: IpAddr, protocol: &'static str) -> Result<Place, &'static str> {
        let limits = &adapter.limits;
        let address = (!limits.trusts(ip)).then(|| neighbourhood(ip));
        let mut open = adapter.door.0.lock();
        if open.all >= limits.connections {
            return Err("all");
        }
        if let Some(address) = address {
            let count = open.by_address.entry(address).or_default();
            if *count >= limits.connections_per_ip {
                return Err("address");
            }
            *count += 1;
        }
        open.all += 1;
        drop(open);
        adapter.metrics.connections.with_label_values(&[protocol]).inc();
        adapter.metrics.connections_total.with_label_values(&[protocol]).inc();
        Ok(Place { adapter: Arc::clone(adapter), address, protocol })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.adapter.metrics.connections.with_label_values(&[self.protocol]).dec();
        let mut open = self.adapter.door.0.lock();
        open.all -= 1;
        if let Some(address) = self.address
            && let Entry::Occupied(mut count) = open.by_address.entry(address)
        {
            *count.get_mut() -= 1;
            if *count.get() == 0 {
                count.remove();
            }
        }
    }
}

/// The unit in which addresses are counted: an IPv6 peer can have all of its /64.
pub(crate) fn neighbourhood(ip: IpAddr) -> IpAddr {
    match ip.to_canonical() {
        IpAddr::V6(ip) => IpAddr::V6(Ipv6Addr::from_bits(ip.to_bits() >> 64 << 64)),
        ip @ IpAddr::V4(_) => ip,
    }
}

/// Takes connections until the server stops, then waits for the sessions, at most `limits.drain`. Returns
/// when all are over. Survives every error of `accept` (no file descriptors left, peers gone).
pub async fn serve<P: Protocol>(adapter: Arc<Adapter>, listener: TcpListener, mode: TlsMode, protocol: P) {
    let protocol = Arc::new(protocol);
    let name = protocol.name();
    let mut sessions = JoinSet::new();
    loop {
        let accepted = tokio::select! {
            biased;
            () = adapter.shutdown.begun() => break,
            Some(ended) = sessions.join_next() => {
                report(&adapter, name, ended);
                continue;
            }
            accepted = listener.accept() => accepted,
        };
        match accepted {
            Ok((socket, peer)) => welcome(&adapter, &protocol, mode, socket, peer, &mut sessions),
            Err(error) => {
                // Mostly EMFILE: without a pause this would be a busy loop until somebody hangs up.
                warn!(protocol = name, %error, "can't take a connection");
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        }
    }
    drop(listener);
    info!(protocol = name, sessions = sessions.len(), "stopping");
    let draining = async {
        while let Some(ended) = sessions.join_next().await {
            report(&adapter, name, ended);
        }
    };
    if tokio::time::timeout(adapter.limits.drain, draining).await.is_err() {
        warn!(protocol = name, sessions = sessions.len(), "sessions did not end in time and are cut off");
        sessions.shutdown().await;
    }
}

fn welcome<P: Protocol>(
    adapter: &Arc<Adapter>,
    protocol: &Arc<P>,
    mode: TlsMode,
    socket: TcpStream,
    peer: SocketAddr,
    sessions: &mut JoinSet<()>,
) {
    let name = protocol.name();
    let place = match Place::take(adapter, peer.ip(), name) {
        Ok(place) => place,
        Err(reason) => {
            adapter.metrics.connections_refused.with_label_values(&[name, reason]).inc();
            debug!(protocol = name, %peer, reason, "too many connections");
            if mode == TlsMode::StartTls {
                let busy = protocol.busy();
                sessions.spawn(async move {
                    // On a fresh socket this fits into the send buffer; if it does not, the peer has to guess.
                    let _ = tokio::time::timeout(Duration::from_secs(1), socket.writable()).await;
                    let _ = socket.try_write(busy);
                });
            }
            return;
        }
    };
    let _ = socket.set_nodelay(true);
    let (adapter, protocol) = (Arc::clone(adapter), Arc::clone(protocol));
    let span = info_span!("session", protocol = name, %peer);
    let session = async move {
        let _place = place;
        let mut stream = Stream::new(socket, peer, &adapter, name);
        if mode == TlsMode::Implicit {
            // What a session does once is kept on the heap while it lasts: this future lives as long as the
            // connection, and there are thousands.
            let handshake = Box::pin(stream.start_tls(&adapter.tls, adapter.limits.tls_handshake));
            if let Err(error) = handshake.await {
                debug!(%error, "TLS handshake failed");
                return;
            }
        }
        debug!(tls = stream.tls(), "connected");
        protocol.session(adapter, stream).await;
        debug!("disconnected");
    };
    sessions.spawn(session.instrument(span));
}

fn report(adapter: &Adapter, protocol: &'static str, ended: Result<(), tokio::task::JoinError>) {
    if let Err(failure) = ended
        && failure.is_panic()
    {
        adapter.metrics.panics.inc();
        error!(protocol, %failure, "a session panicked");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ipv6_peers_are_counted_by_network() {
        let of = |text: &str| neighbourhood(text.parse().expect(text));
        assert_eq!(of("2001:db8::1"), of("2001:db8::2:3"));
        assert_ne!(of("2001:db8::1"), of("2001:db8:0:1::1"));
        assert_eq!(of("::ffff:192.0.2.1"), of("192.0.2.1"));
        assert_ne!(of("192.0.2.1"), of("192.0.2.2"));
    }
}
