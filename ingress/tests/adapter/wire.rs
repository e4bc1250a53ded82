//! A client that says what it is told, plain or over TLS.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpSocket;
use tokio_rustls::TlsConnector;

trait Socket: AsyncRead + AsyncWrite + Unpin + Send {}
impl<T: AsyncRead + AsyncWrite + Unpin + Send> Socket for T {}

pub struct Client {
    socket: Option<Box<dyn Socket>>,
    input: Vec<u8>,
}

/// Nothing here takes so long unless it hangs.
const PATIENCE: Duration = Duration::from_secs(20);

impl Client {
    pub async fn connect(address: SocketAddr) -> Client {
        Client::connect_from([127, 0, 0, 1], address).await
    }

    /// Connects from an address of this machine.
    pub async fn connect_from(ip: [u8; 4], address: SocketAddr) -> Client {
        let socket = TcpSocket::new_v4().expect("socket");
        socket.bind(SocketAddr::from((ip, 0))).expect("bound");
        let socket = socket.connect(address).await.expect("connected");
        socket.set_nodelay(true).expect("no delay");
        Client { socket: Some(Box::new(socket)), input: Vec::new() }
    }

    /// At the other end of a connection that there is.
    pub fn over(socket: impl AsyncRead + AsyncWrite + Unpin + Send + 'static) -> Client {
        Client { socket: Some(Box::new(socket)), input: Vec::new() }
    }

    /// Connects, and takes the greeting and the reply to EHLO.
    pub async fn smtp(address: SocketAddr) -> Client {
        Client::smtp_from([127, 0, 0, 1], address).await
    }

    /// The same from an address of this machine.
    pub async fn smtp_from(ip: [u8; 4], address: SocketAddr) -> Client {
        let mut client = Client::connect_from(ip, address).await;
        client.expect("220 ").await;
        client.say("EHLO client.example").await;
        while client.line().await.expect("EHLO reply").starts_with("250-") {}
        client
    }

    pub async fn tls(&mut self, certificate: &Path) {
        self.try_tls(certificate).await.expect("handshake");
    }

    pub async fn try_tls(&mut self, certificate: &Path) -> std::io::Result<()> {
        let mut roots = rustls::RootCertStore::empty();
        let pem = std::fs::read(certificate).expect("certificate");
        roots.add(CertificateDer::from_pem_slice(&pem).expect("PEM")).expect("root");
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = rustls::ClientConfig::builder_with_provider(provider)
            .with_protocol_versions(rustls::DEFAULT_VERSIONS)
            .expect("versions")
            .with_root_certificates(roots)
            .with_no_client_auth();
        let name = ServerName::try_from("localhost").expect("name");
        let socket = self.socket.take().expect("socket");
        let socket = TlsConnector::from(Arc::new(config)).connect(name, socket).await?;
        self.socket = Some(Box::new(socket));
        Ok(())
    }

    fn socket(&mut self) -> &mut Box<dyn Socket> {
        self.socket.as_mut().expect("socket")
    }

    pub async fn send(&mut self, bytes: &[u8]) {
        self.try_send(bytes).await.expect("sent");
    }

    pub async fn try_send(&mut self, bytes: &[u8]) -> std::io::Result<()> {
        let socket = self.socket();
        socket.write_all(bytes).await?;
        socket.flush().await
    }

    pub async fn say(&mut self, line: &str) {
        self.send(format!("{line}\r\n").as_bytes()).await;
    }

    /// The next line without its end; `None` when the server has closed.
    pub async fn line(&mut self) -> Option<String> {
        loop {
            if let Some(end) = self.input.iter().position(|byte| *byte == b'\n') {
                let line: Vec<u8> = self.input.drain(..=end).collect();
                assert!(line.ends_with(b"\r\n"), "a line ends with a bare LF: {line:?}");
                return Some(String::from_utf8_lossy(&line[..line.len() - 2]).into_owned());
            }
            if !self.fill().await {
                return None;
            }
        }
    }

    async fn fill(&mut self) -> bool {
        let mut block = vec![0; 64 * 1024];
        let reading = self.socket.as_mut().expect("socket").read(&mut block);
        let read = tokio::time::timeout(PATIENCE, reading).await.expect("the server hangs");
        let count = read.unwrap_or(0);
        self.input.extend_from_slice(&block[..count]);
        count > 0
    }

    pub async fn expect(&mut self, start: &str) -> String {
        let line = self.line().await.unwrap_or_else(|| panic!("closed instead of {start:?}"));
        assert!(line.starts_with(start), "{line:?} does not start with {start:?}");
        line
    }

    pub async fn command(&mut self, line: &str, start: &str) -> String {
        self.say(line).await;
        self.expect(start).await
    }

    /// A dot-stuffed response up to its end, unstuffed.
    pub async fn multiline(&mut self) -> Vec<u8> {
        let mut message = Vec::new();
        loop {
            let end = loop {
                if let Some(end) = self.input.iter().position(|byte| *byte == b'\n') {
                    break end;
                }
                assert!(self.fill().await, "closed in the middle");
            };
            let line: Vec<u8> = self.input.drain(..=end).collect();
            match &*line {
                b".\r\n" => return message,
                [b'.', rest @ ..] => message.extend_from_slice(rest),
                line => message.extend_from_slice(line),
            }
        }
    }

    /// Sends the end of input, and reads until the server closes, whatever it says.
    pub async fn finish(&mut self) {
        let _ = self.socket().shutdown().await;
        while self.fill().await {
            self.input.clear();
        }
    }

    /// Waits for the server to close.
    pub async fn expect_close(&mut self) {
        if let Some(line) = self.line().await {
            panic!("{line:?} instead of the end");
        }
    }

    /// One letter from a@b.example to `recipient`.
    pub async fn letter(&mut self, recipient: &str, message: &[u8]) -> String {
        self.command("MAIL FROM:<a@b.example>", "250").await;
        self.command(&format!("RCPT TO:<{recipient}>"), "250").await;
        self.command("DATA", "354").await;
        self.send(&stuffed(message)).await;
        self.line().await.expect("reply to the message")
    }
}

/// What a client sends for a message, its end included.
pub fn stuffed(message: &[u8]) -> Vec<u8> {
    let mut wire = Vec::with_capacity(message.len() + 16);
    for line in message.split_inclusive(|byte| *byte == b'\n') {
        if line.starts_with(b".") {
            wire.push(b'.');
        }
        wire.extend_from_slice(line);
    }
    wire.extend_from_slice(b".\r\n");
    wire
}
