//! Documents over HTTPS, as small as it gets: one request, one answer, the connection ends.

use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use async_trait::async_trait;
use pennypost_ports::{Dns, DnsKind, DnsRecord, FetchError, Https, HttpsPost, HttpsRequest};
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, RootCertStore};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use crate::Authorities;

/// Bytes of an answer at most, with its head.
const MAX_ANSWER: usize = 64 * 1024;
/// How long all of it may take.
const WAIT: Duration = Duration::from_secs(15);
/// Addresses of a host that are tried.
const TRIES: usize = 3;

/// Documents over HTTPS.
pub struct Documents {
    dns: Arc<dyn Dns>,
    /// Made when it is needed: most processes never ask for a document. Only with authorities.
    tls: OnceLock<TlsConnector>,
    authorities: Authorities,
    port: u16,
    /// Of the operator's own networks, and of tests: this machine is asked, too.
    is_private_asked: bool,
    /// Hosts with ports that may be asked for more than documents on networks that are not public: the operator's word.
    known: Vec<(String, u16)>,
}

impl Documents {
    /// With the authorities that this machine believes. Hosts are looked up with `dns`.
    #[must_use]
    pub fn new(dns: Arc<dyn Dns>) -> Documents {
        Documents::with(dns, Authorities::default(), false)
    }

    /// With these authorities; of private networks, too, if that is said.
    #[must_use]
    pub fn with(dns: Arc<dyn Dns>, authorities: Authorities, is_private_asked: bool) -> Documents {
        Documents { dns, tls: OnceLock::new(), authorities, port: 443, is_private_asked, known: Vec::new() }
    }

    /// The same, asking these hosts on whatever network they are, for more than documents: each at the port that is said with
    /// it, or at 443. What can't be read is nobody.
    #[must_use]
    pub fn knowing(self, hosts: &str) -> Documents {
        let known = hosts.split(',').filter_map(|text| {
            let known = known_host(text.trim());
            if known.is_none() && !text.trim().is_empty() {
                tracing::warn!(text, "no host with a port: nobody is asked there");
            }
            known
        });
        Documents { known: known.collect(), ..self }
    }

    /// For tests: with these authorities, on another port, of this machine, too.
    #[must_use]
    pub fn believing(
        dns: Arc<dyn Dns>,
        roots: RootCertStore,
        port: u16,
        is_private_asked: bool,
    ) -> Documents {
        let tls = OnceLock::from(connector(roots));
        let authorities = Authorities::default();
        Documents { dns, tls, authorities, port, is_private_asked, known: Vec::new() }
    }

    fn tls(&self) -> Result<TlsConnector, FetchError> {
        if let Some(known) = self.tls.get() {
            return Ok(known.clone());
        }
        let (roots, is_whole) = self.authorities.roots().map_err(FetchError::Connection)?;
        let tls = connector(roots);
        if is_whole {
            let _ = self.tls.set(tls.clone());
        }
        Ok(tls)
    }

    async fn connect(&self, host: &str, port: u16, is_known: bool) -> Result<TcpStream, FetchError> {
        let failed = |error: &dyn std::fmt::Display| FetchError::Connection(error.to_string());
        let found = self.dns.look_up(host, DnsKind::Address).await.map_err(|error| failed(&error))?;
        let public = found.into_iter().filter_map(|record| match record {
            DnsRecord::Address(ip) if self.is_private_asked || is_known || is_public(ip) => Some(ip),
            _ => None,
        });
        let mut last = FetchError::NoHost;
        for ip in public.take(TRIES) {
            match TcpStream::connect(SocketAddr::new(ip, port)).await {
                Ok(stream) => return Ok(stream),
                Err(error) => last = failed(&error),
            }
        }
        Err(last)
    }

    async fn document(&self, host: &str, path: &str) -> Result<Vec<u8>, FetchError> {
        if !is_path(path) {
            return Err(FetchError::Answer);
        }
        // HTTP/1.0: the answer comes in one piece, and its end is that of the connection.
        let request = format!(
            "GET {path} HTTP/1.0\r\nHost: {host}\r\nUser-Agent: pennypost\r\nAccept: text/plain\r\n\r\n"
        );
        self.answer((host, self.port, false), &request).await
    }

    async fn asked(&self, asked: &HttpsRequest<'_>) -> Result<Vec<u8>, FetchError> {
        let HttpsRequest { host, port, path, authorization, form } = *asked;
        if !is_path(path) || !authorization.is_none_or(is_line) {
            return Err(FetchError::Answer);
        }
        let method = if form.is_some() { "POST" } else { "GET" };
        let named = named(host, port, 443);
        let mut request = format!(
            "{method} {path} HTTP/1.0\r\nHost: {named}\r\nUser-Agent: pennypost\r\nAccept: application/json\r\n"
        );
        if let Some(authorization) = authorization {
            request.push_str(&format!("Authorization: {authorization}\r\n"));
        }
        match form {
            Some(form) => request.push_str(&format!(
                "Content-Type: application/x-www-form-urlencoded\r\nContent-Length: {}\r\n\r\n{form}",
                form.len()
            )),
            None => request.push_str("\r\n"),
        }
        self.answer((host, port, self.is_known(host, port)), &request).await
    }

    async fn posted(&self, post: &HttpsPost<'_>) -> Result<u16, FetchError> {
        let HttpsPost { host, port, path, headers, body, is_plain } = *post;
        if !is_path(path) || !headers.iter().all(is_field) {
            return Err(FetchError::Answer);
        }
        if is_plain && !self.is_known(host, port) {
            return Err(FetchError::NoHost);
        }
        let mut request = format!(
            "POST {path} HTTP/1.0\r\nHost: {}\r\nUser-Agent: pennypost\r\nContent-Type: application/json\r\n",
            named(host, port, if is_plain { 80 } else { 443 })
        );
        for (name, value) in headers {
            request.push_str(&format!("{name}: {value}\r\n"));
        }
        request.push_str(&format!("Content-Length: {}\r\n\r\n{body}", body.len()));
        let place = (host, port, self.is_known(host, port));
        let answer = if is_plain {
            spoken(self.connect(host, port, true).await?, &request, has_head).await?
        } else {
            self.exchange(place, &request, has_head).await?
        };
        Ok(head_of(&answer)?.0)
    }

    fn is_known(&self, host: &str, port: u16) -> bool {
        self.known.iter().any(|(name, at)| name == host && *at == port)
    }

    async fn answer(&self, place: (&str, u16, bool), request: &str) -> Result<Vec<u8>, FetchError> {
        body(&self.exchange(place, request, |_| false).await?)
    }

    /// What comes back until the server ends it, or `is_enough`.
    async fn exchange(
        &self,
        (host, port, is_known): (&str, u16, bool),
        request: &str,
        is_enough: fn(&[u8]) -> bool,
    ) -> Result<Vec<u8>, FetchError> {
        let failed = |error: std::io::Error| FetchError::Connection(error.to_string());
        let name = ServerName::try_from(host.to_owned()).map_err(|_| FetchError::NoHost)?;
        let tls = self.tls()?;
        let stream = self.connect(host, port, is_known).await?;
        let stream = tls.connect(name, stream).await.map_err(|error| {
            let is_of_tls = error.get_ref().is_some_and(|inner| inner.is::<rustls::Error>());
            if is_of_tls { FetchError::Certificate(error.to_string()) } else { failed(error) }
        })?;
        spoken(stream, request, is_enough).await
    }
}

/// What is answered to a request on a connection, until it ends or `is_enough`.
async fn spoken(
    mut stream: impl AsyncRead + AsyncWrite + Unpin,
    request: &str,
    is_enough: fn(&[u8]) -> bool,
) -> Result<Vec<u8>, FetchError> {
    let failed = |error: std::io::Error| FetchError::Connection(error.to_string());
    stream.write_all(request.as_bytes()).await.map_err(failed)?;
    stream.flush().await.map_err(failed)?;
    let mut answer = Vec::new();
    let mut piece = [0; 4096];
    loop {
        match stream.read(&mut piece).await {
            Ok(0) => break,
            Ok(len) => answer.extend_from_slice(piece.get(..len).unwrap_or_default()),
            // Servers that go without a goodbye of TLS are many; what is cut off has no good length.
            Err(error) if error.kind() == std::io::ErrorKind::UnexpectedEof => break,
            Err(error) => return Err(failed(error)),
        }
        if is_enough(&answer) {
            break;
        }
        if answer.len() > MAX_ANSWER {
            return Err(FetchError::Answer);
        }
    }
    Ok(answer)
}

/// Nothing that could end a line of a request.
fn is_line(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_graphic() || byte == b' ')
}

fn is_path(text: &str) -> bool {
    is_line(text) && !text.contains(' ')
}

fn is_field((name, value): &(&str, &str)) -> bool {
    is_line(value) && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
}

/// A host as requests name it.
fn named(host: &str, port: u16, usual: u16) -> String {
    if port == usual { host.to_owned() } else { format!("{host}:{port}") }
}

/// `HOST[:PORT]`.
fn known_host(text: &str) -> Option<(String, u16)> {
    let (host, port) = match text.split_once(':') {
        Some((host, port)) => (host, port.parse().ok()?),
        None => (text, 443),
    };
    (!host.is_empty() && port > 0).then(|| (host.to_ascii_lowercase(), port))
}

fn connector(roots: RootCertStore) -> TlsConnector {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ClientConfig::builder_with_provider(provider);
    let builder = match builder.with_protocol_versions(rustls::DEFAULT_VERSIONS) {
        Ok(builder) => builder,
        Err(error) => unreachable!("ring has the versions of rustls: {error}"),
    };
    TlsConnector::from(Arc::new(builder.with_root_certificates(roots).with_no_client_auth()))
}

#[async_trait]
impl Https for Documents {
    async fn fetch(&self, host: &str, path: &str) -> Result<Vec<u8>, FetchError> {
        let late = || Err(FetchError::Connection("it took too long".to_owned()));
        tokio::time::timeout(WAIT, self.document(host, path)).await.unwrap_or_else(|_| late())
    }

    async fn ask(&self, request: &HttpsRequest<'_>) -> Result<Vec<u8>, FetchError> {
        let late = || Err(FetchError::Connection("it took too long".to_owned()));
        tokio::time::timeout(WAIT, self.asked(request)).await.unwrap_or_else(|_| late())
    }

    async fn post(&self, post: &HttpsPost<'_>) -> Result<u16, FetchError> {
        let late = || Err(FetchError::Connection("it took too long".to_owned()));
        tokio::time::timeout(WAIT, self.posted(post)).await.unwrap_or_else(|_| late())
    }
}

fn end_of_head(answer: &[u8]) -> Option<usize> {
    answer.windows(4).position(|four| four == b"\r\n\r\n")
}

fn has_head(answer: &[u8]) -> bool {
    end_of_head(answer).is_some()
}

/// The status of an answer, its header fields, and its body as far as it is there.
fn head_of(answer: &[u8]) -> Result<(u16, std::str::Split<'_, &'static str>, &[u8]), FetchError> {
    let end = end_of_head(answer).ok_or(FetchError::Answer)?;
    let (head, body) = (answer.get(..end).unwrap_or_default(), answer.get(end + 4..).unwrap_or_default());
    let head = std::str::from_utf8(head).map_err(|_| FetchError::Answer)?;
    let mut lines = head.split("\r\n");
    let mut first = lines.next().unwrap_or_default().split(' ');
    let is_http = first.next().is_some_and(|version| version.starts_with("HTTP/1."));
    let status = first.next().and_then(|status| status.parse::<u16>().ok());
    let (true, Some(status)) = (is_http, status) else { return Err(FetchError::Answer) };
    Ok((status, lines, body))
}

/// The body of an answer of status 200.
fn body(answer: &[u8]) -> Result<Vec<u8>, FetchError> {
    let (status, lines, body) = head_of(answer)?;
    if status != 200 {
        return Err(FetchError::Status(status));
    }
    for line in lines {
        let Some((name, value)) = line.split_once(':') else { continue };
        let (name, value) = (name.trim().to_ascii_lowercase(), value.trim());
        let is_whole = match name.as_str() {
            "content-length" => value.parse() == Ok(body.len()),
            "transfer-encoding" => false,
            _ => true,
        };
        if !is_whole {
            return Err(FetchError::Answer);
        }
    }
    Ok(body.to_vec())
}

/// Could the world reach it? Nothing on our own networks is asked for what a tenant has named.
#[must_use]
pub fn is_public(ip: IpAddr) -> bool {
    match ip {
        IpAddr::V4(v4) => {
            let [a, b, c, _] = v4.octets();
            let is_shared = a == 100 && (64..128).contains(&b);
            // For protocols, and for measuring: IANA's registry of special purposes.
            let is_special = (a, b, c) == (192, 0, 0) || a == 198 && (b == 18 || b == 19);
            !(v4.is_private()
                || v4.is_loopback()
                || v4.is_link_local()
                || v4.is_unspecified()
                || v4.is_broadcast()
                || v4.is_documentation()
                || v4.is_multicast()
                || is_shared
                || is_special
                || a == 0
                || a >= 240)
        }
        IpAddr::V6(v6) => match v6.to_ipv4_mapped() {
            Some(v4) => is_public(IpAddr::V4(v4)),
            // 2000::/3 is what is given out; 6to4 and Teredo lead to addresses of the other family.
            None => {
                let [first, second, ..] = v6.segments();
                first >> 13 == 1 && first != 0x2002 && (first, second) != (0x2001, 0)
            }
        },
    }
}

#[cfg(test)]
mod tests {
    use pennypost_ports::DnsError;

    use super::*;

    #[test]
    fn whole_answers_of_status_200_are_read() {
        let good = b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabc";
        assert_eq!(body(good), Ok(b"abc".to_vec()));
        assert_eq!(body(b"HTTP/1.0 404 \r\n\r\n"), Err(FetchError::Status(404)));
        for bad in [
            &b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nabc"[..],
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
            b"HTTP/1.1 200 OK\r\n",
            b"220 mx.example ESMTP\r\n\r\n",
            b"",
        ] {
            assert_eq!(body(bad), Err(FetchError::Answer));
        }
    }

    struct Nobody;

    #[async_trait]
    impl Dns for Nobody {
        async fn look_up(&self, name: &str, _kind: DnsKind) -> Result<Vec<DnsRecord>, DnsError> {
            unreachable!("{name} is looked up")
        }
    }

    #[tokio::test]
    async fn what_is_no_path_is_asked_of_nobody() {
        let documents = Documents::new(Arc::new(Nobody));
        for path in ["/a b", "/a\r\nHost: b.example", "/\u{e9}"] {
            assert_eq!(documents.fetch("a.example", path).await, Err(FetchError::Answer), "{path:?}");
        }
    }

    #[test]
    fn hosts_are_known_with_their_ports() {
        let known = |text| known_host(text);
        assert_eq!(known("ID.acme.example"), Some(("id.acme.example".to_owned(), 443)));
        assert_eq!(known("id.acme.example:8443"), Some(("id.acme.example".to_owned(), 8443)));
        for bad in ["", ":443", "id.acme.example:", "id.acme.example:0", "id.acme.example:70000", "::1"] {
            assert_eq!(known(bad), None, "{bad}");
        }
    }

    #[test]
    fn networks_that_are_not_public_are_known() {
        for private in [
            "127.0.0.1",
            "10.1.2.3",
            "169.254.169.254",
            "100.64.0.1",
            "0.0.0.0",
            "192.0.0.170",
            "198.18.0.1",
            "198.19.255.255",
            "::1",
            "fe80::1",
            "fd00::1",
            "::ffff:10.0.0.1",
            "2002:a00:1::",
        ] {
            assert!(!is_public(private.parse().expect("an address")), "{private}");
        }
        for public in ["8.8.8.8", "192.0.1.1", "198.17.0.1", "198.20.0.1", "2606:4700::1"] {
            assert!(is_public(public.parse().expect("an address")), "{public}");
        }
    }
}
