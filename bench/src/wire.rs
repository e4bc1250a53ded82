//! One connection: lines and octets in, octets out.
//!
//! Reads into one buffer that is used again, so that an answer of any length passes through without being held;
//! only a single line is, up to [`MAX_LINE`].

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpSocket, UnixStream};
use tokio::time::timeout;

use crate::BenchError;

/// Longest line: a SEARCH that finds a million messages is some 8 MB.
const MAX_LINE: usize = 32 << 20;
/// No answer for so long ends a measurement.
const PATIENCE: Duration = Duration::from_secs(300);
const CHUNK: usize = 128 * 1024;
/// A buffer that a long line made larger than this is given back.
const KEPT: usize = 1 << 20;

trait Duplex: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Duplex for T {}

/// Where a server listens.
#[derive(Debug, Clone)]
pub(crate) enum Endpoint {
    /// Host name or address, port.
    Tcp(String, u16),
    Unix(PathBuf),
}

impl Endpoint {
    fn shown(&self) -> String {
        match self {
            Endpoint::Tcp(host, port) => format!("{host} port {port}"),
            Endpoint::Unix(path) => path.display().to_string(),
        }
    }
}

pub(crate) struct Wire {
    stream: Box<dyn Duplex>,
    input: Vec<u8>,
    start: usize,
    chunk: usize,
    patience: Duration,
}

impl Wire {
    pub(crate) async fn connect(to: &Endpoint) -> Result<Wire, BenchError> {
        Wire::connect_from(to, 0).await
    }

    /// Connects; to a loopback address from the address `127.0.0.(1 + source)`, because each address has but some
    /// 28,000 ports to connect from.
    pub(crate) async fn connect_from(to: &Endpoint, source: u8) -> Result<Wire, BenchError> {
        let failed = |cause| BenchError::Connect { to: to.shown(), cause };
        let stream: Box<dyn Duplex> = match to {
            Endpoint::Unix(path) => Box::new(UnixStream::connect(path).await.map_err(failed)?),
            Endpoint::Tcp(host, port) => {
                let mut found = tokio::net::lookup_host((host.as_str(), *port)).await.map_err(failed)?;
                let address = found
                    .next()
                    .ok_or_else(|| failed(std::io::Error::new(std::io::ErrorKind::NotFound, "no address")))?;
                let socket = if address.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() };
                let socket = socket.map_err(failed)?;
                if source > 0 && address.ip() == IpAddr::V4(Ipv4Addr::LOCALHOST) {
                    let own = Ipv4Addr::new(127, 0, 0, 1 + source);
                    socket.bind(SocketAddr::from((own, 0))).map_err(failed)?;
                }
                socket.set_nodelay(true).map_err(failed)?;
                Box::new(timeout(PATIENCE, socket.connect(address)).await.map_err(silent)?.map_err(failed)?)
            }
        };
        Ok(Wire { stream, input: Vec::new(), start: 0, chunk: CHUNK, patience: PATIENCE })
    }

    /// From now on a connection that mostly waits: small buffers, and patience for ever.
    pub(crate) fn rest(&mut self) {
        self.input.drain(..self.start);
        self.start = 0;
        self.input.shrink_to(256);
        self.chunk = 256;
        self.patience = Duration::MAX;
    }

    pub(crate) async fn send(&mut self, octets: &[u8]) -> Result<(), BenchError> {
        let sent = async {
            self.stream.write_all(octets).await?;
            self.stream.flush().await
        };
        Ok(timeout(PATIENCE, sent).await.map_err(silent)??)
    }

    /// The next line without its end. It stays until the next call.
    pub(crate) async fn line(&mut self) -> Result<&[u8], BenchError> {
        let mut scanned = 0;
        let length = loop {
            if let Some(at) = memchr::memchr(b'\n', &self.input[self.start + scanned..]) {
                break scanned + at;
            }
            scanned = self.input.len() - self.start;
            if scanned > MAX_LINE {
                return Err(BenchError::wrong("a line", &format!("{MAX_LINE} octets"), &"more"));
            }
            self.more().await?;
        };
        let begin = self.start;
        self.start += length + 1;
        let line = &self.input[begin..begin + length];
        Ok(line.strip_suffix(b"\r").unwrap_or(line))
    }

    /// Passes over so many octets, handing each piece to `piece`.
    pub(crate) async fn octets(
        &mut self,
        mut left: u64,
        piece: &mut (dyn FnMut(&[u8]) + Send),
    ) -> Result<(), BenchError> {
        while left > 0 {
            if self.start == self.input.len() {
                self.more().await?;
            }
            let here = usize::try_from(left).unwrap_or(usize::MAX).min(self.input.len() - self.start);
            piece(&self.input[self.start..self.start + here]);
            self.start += here;
            left -= here as u64;
        }
        Ok(())
    }

    async fn more(&mut self) -> Result<(), BenchError> {
        if self.start == self.input.len() {
            self.input.clear();
            self.start = 0;
            if self.input.capacity() > KEPT {
                self.input.shrink_to(self.chunk);
            }
        } else if self.start > 0 && self.input.len() - self.start < self.start {
            self.input.drain(..self.start);
            self.start = 0;
        }
        self.input.reserve(self.chunk);
        let read = self.stream.read_buf(&mut self.input);
        let read = if self.patience == Duration::MAX {
            read.await?
        } else {
            timeout(self.patience, read).await.map_err(silent)??
        };
        if read == 0 { Err(BenchError::Closed) } else { Ok(()) }
    }
}

fn silent<E>(_: E) -> BenchError {
    BenchError::Silent { seconds: PATIENCE.as_secs() }
}
