//! A connection with buffers of its own and a bound on every wait.

use std::cell::RefCell;
use std::future::poll_fn;
use std::net::{Ipv4Addr, SocketAddr};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::{Buf, Bytes, BytesMut};
use prometheus::IntCounter;
use rustls::ProtocolVersion;
use tokio::io::{AsyncRead, AsyncWriteExt, DuplexStream, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout_at};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

use super::deflate::Deflate;
use super::{Adapter, Shutdown, Tls};
use crate::sasl::Binding;

/// What is read from a socket at once.
const BLOCK: usize = 64 * 1024;
/// A compressed line of which so much was thrown away is a bomb: no network slows it.
const MAX_SKIPPED: usize = 1 << 20;
/// From so many bytes on, output is sent before more is made ([`Stream::relieve`]).
const OUTPUT_MARK: usize = 64 * 1024;

thread_local! {
    /// Where what a socket has for us lands first. There is one for each thread, and none for each connection:
    /// whoever waits for a peer holds no buffer at all, however long and however many of them wait.
    static LANDING: RefCell<Box<[u8]>> = RefCell::new(vec![0; BLOCK].into_boxed_slice());
}

/// Why a connection is over.
#[derive(Debug, thiserror::Error)]
pub enum NetError {
    /// The peer did not send in time, or too slowly.
    #[error("timed out waiting for the peer")]
    ReadTimeout,
    /// The peer did not take what we sent in time.
    #[error("timed out sending to the peer")]
    WriteTimeout,
    /// The peer closed in the middle of something.
    #[error("the peer closed the connection")]
    Closed,
    /// The peer sent bytes after STARTTLS and before the handshake.
    #[error("the peer sent input ahead of the TLS handshake")]
    Injected,
    /// What the peer sends compressed is a line without end.
    #[error("the peer's compressed input is too large")]
    Bomb,
    /// The server is stopping; given only while waiting for a command.
    #[error("the server is stopping")]
    Stopping,
    /// The socket or TLS failed.
    #[error(transparent)]
    Io(#[from] std::io::Error),
}

/// What [`Stream::read_line`] found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Line {
    /// A line, without its end.
    Text(Bytes),
    /// A line that ended with a bare LF although only CRLF is accepted.
    BareLf(Bytes),
    /// A line above the limit; all of it was thrown away.
    TooLong,
    /// The peer closed. A last line without end is not given out.
    Eof,
}

enum Socket {
    Plain(TcpStream),
    Tls(Box<TlsStream<TcpStream>>),
    /// Within this process.
    Home(DuplexStream),
    /// Only while a handshake is under way, or after it failed.
    Gone,
}

/// A deadline that moves with progress, but never further ahead than one patience: a peer that is silent for
/// that long is late, and so is one that falls behind the slowest bearable pace for that long, whatever it
/// moved before.
#[derive(Debug, Clone, Copy)]
pub struct Pace {
    deadline: Instant,
    patience: Duration,
    slowest: u64,
}

impl Pace {
    /// Begins now: at least `slowest` bytes a second over any time of `patience`.
    #[must_use]
    pub fn new(patience: Duration, slowest: u64) -> Pace {
        Pace { deadline: Instant::now() + patience, patience, slowest: slowest.max(1) }
    }

    /// So many bytes more were moved.
    pub fn advance(&mut self, bytes: usize) {
        let earned = Duration::from_micros((bytes as u64).saturating_mul(1_000_000) / self.slowest);
        self.deadline = (self.deadline + earned).min(Instant::now() + self.patience);
    }

    /// When patience ends as things stand.
    #[must_use]
    pub const fn deadline(&self) -> Instant {
        self.deadline
    }
}

/// A connection, plain or TLS, with an input buffer and an output buffer. Nothing is sent before
/// [`Stream::flush`] or [`Stream::relieve`]. Reading is safe to cancel (in `select!`): no input is lost.
pub struct Stream {
    socket: Socket,
    peer: SocketAddr,
    tls: Option<String>,
    /// Our certificate as channel bindings have it.
    end_point: Option<Arc<[u8]>>,
    input: BytesMut,
    /// Input before this has no LF in it.
    scanned: usize,
    /// In the middle of throwing away a line that is too long.
    skipping: bool,
    output: BytesMut,
    /// Both directions are compressed.
    deflate: Option<Box<Deflate>>,
    bare_lf: bool,
    write_timeout: Duration,
    slowest: u64,
    shutdown: Shutdown,
    bytes_in: IntCounter,
    bytes_out: IntCounter,
}

impl Stream {
    pub(super) fn new(socket: TcpStream, peer: SocketAddr, adapter: &Adapter, protocol: &str) -> Stream {
        Stream::of(Socket::Plain(socket), peer, adapter, protocol)
    }

    /// A connection within this process; its other end counts as this machine.
    pub(crate) fn at_home(socket: DuplexStream, adapter: &Adapter, protocol: &str) -> Stream {
        Stream::of(Socket::Home(socket), (Ipv4Addr::LOCALHOST, 0).into(), adapter, protocol)
    }

    fn of(socket: Socket, peer: SocketAddr, adapter: &Adapter, protocol: &str) -> Stream {
        Stream {
            socket,
            peer,
            tls: None,
            end_point: None,
            input: BytesMut::new(),
            scanned: 0,
            skipping: false,
            output: BytesMut::new(),
            deflate: None,
            bare_lf: false,
            write_timeout: adapter.limits.write,
            slowest: adapter.limits.slowest,
            shutdown: adapter.shutdown.clone(),
            bytes_in: adapter.metrics.bytes_in.with_label_values(&[protocol]),
            bytes_out: adapter.metrics.bytes_out.with_label_values(&[protocol]),
        }
    }

    /// The other end. An IPv4 address mapped into IPv6 is given as IPv4.
    #[must_use]
    pub fn peer(&self) -> SocketAddr {
        SocketAddr::new(self.peer.ip().to_canonical(), self.peer.port())
    }

    /// Is the connection encrypted?
    #[must_use]
    pub const fn is_tls(&self) -> bool {
        self.tls.is_some()
    }

    /// TLS version and cipher suite, for Received fields and logs: `TLSv1_3 TLS13_AES_256_GCM_SHA384`.
    #[must_use]
    pub fn tls(&self) -> Option<&str> {
        self.tls.as_deref()
    }

    /// May a password be sent here: over TLS, or from this machine?
    #[must_use]
    pub fn is_private(&self) -> bool {
        self.is_tls() || self.peer().ip().is_loopback()
    }

    /// Takes a bare LF as the end of a line from now on (IMAP and POP3 clients by hand). At first only CRLF
    /// is one.
    pub const fn accept_bare_lf(&mut self) {
        self.bare_lf = true;
    }

    /// Has the peer sent more than was read: is it pipelining?
    #[must_use]
    pub fn has_buffered_input(&self) -> bool {
        !self.input.is_empty()
    }

    /// Is a whole line in the input buffer: will [`Stream::read_line`] answer at once?
    #[must_use]
    pub fn has_buffered_line(&self) -> bool {
        memchr::memchr(b'\n', &self.input[self.scanned..]).is_some()
    }

    /// Input that was received and not consumed.
    #[must_use]
    pub fn buffered(&self) -> &[u8] {
        &self.input
    }

    /// Removes the first `count` bytes of [`Stream::buffered`].
    pub fn consume(&mut self, count: usize) {
        self.input.advance(count.min(self.input.len()));
        self.scanned = 0;
    }

    /// Waits for more input and adds it to [`Stream::buffered`]; 0 when the peer has closed.
    ///
    /// # Errors
    /// [`NetError::ReadTimeout`] at the deadline, [`NetError::Io`].
    pub async fn fill(&mut self, deadline: Instant) -> Result<usize, NetError> {
        let reading = self.receive();
        timeout_at(deadline, reading).await.map_err(|_| NetError::ReadTimeout)?
    }

    /// The next line, of at most `max` bytes with its end. The whole line must come within `patience`. A
    /// waiting call ends with [`NetError::Stopping`] when the server stops; a line that was received whole
    /// comes first.
    ///
    /// # Errors
    /// [`NetError`].
    pub async fn read_line(&mut self, max: usize, patience: Duration) -> Result<Line, NetError> {
        if let Some(line) = self.buffered_line(max) {
            return Ok(line);
        }
        let deadline = Instant::now() + patience;
        let mut skipped = 0;
        let shutdown = self.shutdown.clone();
        loop {
            let received = tokio::select! {
                biased;
                received = self.receive() => received?,
                () = shutdown.begun() => return Err(NetError::Stopping),
                () = tokio::time::sleep_until(deadline) => return Err(NetError::ReadTimeout),
            };
            if received == 0 {
                return Ok(Line::Eof);
            }
            if let Some(line) = self.buffered_line(max) {
                return Ok(line);
            }
            if self.skipping && self.deflate.is_some() {
                skipped += received;
                if skipped > MAX_SKIPPED {
                    return Err(NetError::Bomb);
                }
            }
        }
    }

    /// Gives back the buffers that have nothing in them.
    fn release(&mut self) {
        if self.input.is_empty() {
            self.input = BytesMut::new();
            self.scanned = 0;
        }
        if self.output.is_empty() {
            self.output = BytesMut::new();
        }
        if let Some(deflate) = &mut self.deflate {
            deflate.rest();
        }
    }

    /// The next line if it is in the buffer already.
    fn buffered_line(&mut self, max: usize) -> Option<Line> {
        let Some(found) = memchr::memchr(b'\n', &self.input[self.scanned..]) else {
            self.scanned = self.input.len();
            if self.skipping || self.input.len() > max {
                self.skipping = true;
                self.input.clear();
                self.scanned = 0;
            }
            return None;
        };
        let end = self.scanned + found;
        let line = self.input.split_to(end + 1);
        self.scanned = 0;
        if std::mem::take(&mut self.skipping) || line.len() > max {
            return Some(Line::TooLong);
        }
        let line = line.freeze();
        Some(match line.strip_suffix(b"\r\n") {
            Some(text) => Line::Text(line.slice_ref(text)),
            None if self.bare_lf => Line::Text(line.slice(..end)),
            None => Line::BareLf(line.slice(..end)),
        })
    }

    /// Between 1 and `max` bytes, as they come; empty when the peer has closed.
    ///
    /// # Errors
    /// [`NetError`].
    pub async fn read_some(&mut self, max: usize, deadline: Instant) -> Result<Bytes, NetError> {
        if self.input.is_empty() && self.fill(deadline).await? == 0 {
            return Ok(Bytes::new());
        }
        let count = self.input.len().min(max);
        self.scanned = 0;
        Ok(self.input.split_to(count).freeze())
    }

    /// Reads and throws away `count` bytes. They must come at the slowest bearable pace.
    ///
    /// # Errors
    /// [`NetError::Closed`] when the peer closes before the last byte.
    pub async fn skip(&mut self, count: u64, patience: Duration) -> Result<(), NetError> {
        let mut pace = Pace::new(patience, self.slowest);
        let mut left = count;
        while left > 0 {
            if self.input.is_empty() && self.fill(pace.deadline()).await? == 0 {
                return Err(NetError::Closed);
            }
            let taken = (self.input.len() as u64).min(left) as usize;
            self.consume(taken);
            pace.advance(taken);
            left -= taken as u64;
        }
        Ok(())
    }

    /// A pace for a body on this connection.
    #[must_use]
    pub fn pace(&self, patience: Duration) -> Pace {
        Pace::new(patience, self.slowest)
    }

    /// Adds to the output buffer.
    pub fn write(&mut self, bytes: &[u8]) {
        self.output.extend_from_slice(bytes);
    }

    /// Bytes in the output buffer.
    #[must_use]
    pub fn unsent(&self) -> usize {
        self.output.len()
    }

    /// Sends the output buffer if there is much in it: to be called in between by whoever writes much.
    ///
    /// # Errors
    /// As [`Stream::flush`].
    pub async fn relieve(&mut self) -> Result<(), NetError> {
        if self.output.len() >= OUTPUT_MARK { self.flush().await } else { Ok(()) }
    }

    /// Sends the output buffer. Not safe to cancel in the middle of a reply: a cancelled flush leaves the rest
    /// in the buffer, and the next flush goes on with it.
    ///
    /// # Errors
    /// [`NetError::WriteTimeout`], [`NetError::Io`].
    pub async fn flush(&mut self) -> Result<(), NetError> {
        let mut pace = Pace::new(self.write_timeout, self.slowest);
        let output = match &mut self.deflate {
            None => &mut self.output,
            Some(deflate) => {
                if !self.output.is_empty() {
                    deflate.deflate(&self.output)?;
                    self.output.clear();
                }
                &mut deflate.compressed
            }
        };
        while !output.is_empty() {
            let writing = async {
                match &mut self.socket {
                    Socket::Plain(socket) => socket.write_buf(output).await,
                    Socket::Tls(socket) => socket.write_buf(output).await,
                    Socket::Home(socket) => socket.write_buf(output).await,
                    Socket::Gone => Err(std::io::ErrorKind::NotConnected.into()),
                }
            };
            let written =
                timeout_at(pace.deadline(), writing).await.map_err(|_| NetError::WriteTimeout)??;
            if written == 0 {
                return Err(NetError::Closed);
            }
            pace.advance(written);
            self.bytes_out.inc_by(written as u64);
        }
        if let Socket::Tls(socket) = &mut self.socket {
            let deadline = Instant::now() + self.write_timeout;
            timeout_at(deadline, socket.flush()).await.map_err(|_| NetError::WriteTimeout)??;
        }
        if self.output.capacity() > 2 * OUTPUT_MARK {
            self.output = BytesMut::new();
        }
        Ok(())
    }

    /// Makes the connection a TLS one. Input that was received before is thrown away, and the connection is
    /// over: it was sent in the clear and must not pass for what comes after (CVE-2011-0411, RFC 3207
    /// section 4.2).
    ///
    /// # Errors
    /// [`NetError::Injected`], or what the handshake says. The connection is gone after any error.
    pub async fn start_tls(&mut self, tls: &Tls, patience: Duration) -> Result<(), NetError> {
        let injected = self.has_buffered_input();
        self.input.clear();
        self.scanned = 0;
        if injected {
            return Err(NetError::Injected);
        }
        let Socket::Plain(socket) = std::mem::replace(&mut self.socket, Socket::Gone) else {
            return Err(std::io::Error::other("the connection is not plain").into());
        };
        // On the heap while it lasts, so that it is not a part of every session for ever.
        let handshake = Box::pin(TlsAcceptor::from(Arc::clone(&tls.config)).accept(socket));
        let socket = tokio::time::timeout(patience, handshake).await.map_err(|_| NetError::ReadTimeout)??;
        let connection = socket.get_ref().1;
        let version = connection.protocol_version().and_then(|version| version.as_str()).unwrap_or("TLS");
        let suite = connection.negotiated_cipher_suite().and_then(|suite| suite.suite().as_str());
        self.tls = Some(format!("{version} {}", suite.unwrap_or("unknown")));
        self.socket = Socket::Tls(Box::new(socket));
        self.end_point.clone_from(&tls.end_point);
        Ok(())
    }

    /// Compresses both directions from now on (RFC 4978). What the client has sent already counts as compressed.
    ///
    /// # Errors
    /// As [`Stream::flush`].
    pub async fn compress(&mut self) -> Result<(), NetError> {
        self.flush().await?;
        let received = std::mem::take(&mut self.input);
        self.scanned = 0;
        self.deflate = Some(Box::new(Deflate::after(received)));
        Ok(())
    }

    /// Is the connection compressed?
    #[must_use]
    pub const fn is_compressed(&self) -> bool {
        self.deflate.is_some()
    }

    /// Is there a channel binding for SASL here?
    pub(crate) fn offers_binding(&self) -> bool {
        self.end_point.is_some() || self.channel_binding(Binding::TlsExporter).is_some()
    }

    /// The data of a channel binding; `None` where it can't be had.
    pub(crate) fn channel_binding(&self, binding: Binding) -> Option<Vec<u8>> {
        let Socket::Tls(socket) = &self.socket else { return None };
        match binding {
            Binding::TlsServerEndPoint => self.end_point.as_ref().map(|end_point| end_point.to_vec()),
            Binding::TlsExporter => {
                let connection = socket.get_ref().1;
                let is_own = connection.protocol_version() == Some(ProtocolVersion::TLSv1_3);
                let export =
                    |data| connection.export_keying_material(data, b"EXPORTER-Channel-Binding", None);
                is_own.then(|| export([0; 32]).ok())?.map(|data| data.to_vec())
            }
        }
    }

    /// Sends what is left and closes politely; errors no longer matter to anybody.
    pub async fn close(mut self) {
        let _ = self.flush().await;
        let closing = async {
            match &mut self.socket {
                Socket::Plain(socket) => socket.shutdown().await,
                Socket::Tls(socket) => socket.shutdown().await,
                Socket::Home(socket) => socket.shutdown().await,
                Socket::Gone => Ok(()),
            }
        };
        let _ = tokio::time::timeout(Duration::from_secs(2), closing).await;
        // A peer that is still sending would see a reset instead of our last words: take a little of it.
        let deadline = Instant::now() + Duration::from_millis(500);
        for _ in 0..16 {
            self.input.clear();
            match timeout_at(deadline, self.receive()).await {
                Ok(Ok(count)) if count > 0 => {}
                _ => break,
            }
        }
    }

    /// Adds to the input buffer; 0 when the peer has closed.
    async fn receive(&mut self) -> Result<usize, NetError> {
        loop {
            if let Some(deflate) = &mut self.deflate {
                // What comes out without waiting for the network must let others have their turn.
                tokio::task::consume_budget().await;
                let count = deflate.inflate(&mut self.input)?;
                if count > 0 {
                    return Ok(count);
                }
            }
            let count = self.receive_raw().await?;
            if count == 0 || self.deflate.is_none() {
                return Ok(count);
            }
        }
    }

    /// Adds to the buffer of what comes from the socket.
    async fn receive_raw(&mut self) -> Result<usize, NetError> {
        match poll_fn(|context| self.poll_receive(context)).await {
            Ok(count) => {
                self.bytes_in.inc_by(count as u64);
                Ok(count)
            }
            // A TLS peer that goes without close_notify, or a reset, is simply gone.
            Err(error)
                if matches!(
                    error.kind(),
                    std::io::ErrorKind::UnexpectedEof | std::io::ErrorKind::ConnectionReset
                ) =>
            {
                Ok(0)
            }
            Err(error) => Err(error.into()),
        }
    }

    /// Adds what the socket has to the input. While it has nothing, no empty buffer is kept.
    fn poll_receive(&mut self, context: &mut Context<'_>) -> Poll<std::io::Result<usize>> {
        let received = LANDING.with_borrow_mut(|landing| {
            let mut landed = ReadBuf::new(landing);
            ready!(match &mut self.socket {
                Socket::Plain(socket) => Pin::new(socket).poll_read(context, &mut landed),
                Socket::Tls(socket) => Pin::new(socket).poll_read(context, &mut landed),
                Socket::Home(socket) => Pin::new(socket).poll_read(context, &mut landed),
                Socket::Gone => Poll::Ready(Ok(())),
            })?;
            let buffer = self.deflate.as_mut().map_or(&mut self.input, |deflate| &mut deflate.received);
            buffer.extend_from_slice(landed.filled());
            Poll::Ready(Ok(landed.filled().len()))
        });
        if received.is_pending() {
            self.release();
        }
        received
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn who_was_fast_once_may_not_be_slow_for_ever() {
        let patience = Duration::from_secs(60);
        let sleep = |seconds| tokio::time::sleep(Duration::from_secs(seconds));
        let mut pace = Pace::new(patience, 1_000);
        pace.advance(50 << 20);
        assert_eq!(pace.deadline(), Instant::now() + patience);
        // At half the pace two patiences are enough to be late.
        let begun = Instant::now();
        while Instant::now() < pace.deadline() {
            sleep(1).await;
            pace.advance(500);
        }
        assert_eq!(begun.elapsed().as_secs(), 120);
        // At the pace it goes on.
        let mut pace = Pace::new(patience, 1_000);
        for _ in 0..1_000 {
            sleep(1).await;
            pace.advance(1_000);
        }
        assert!(pace.deadline() > Instant::now());
    }
}
