//! The domain name system, by hickory.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use async_trait::async_trait;
use hickory_resolver::config::{ConnectionConfig, NameServerConfig, ResolverConfig, ResolverOpts};
use hickory_resolver::net::runtime::TokioRuntimeProvider;
use hickory_resolver::proto::rr::{Name, RData, RecordType};
use hickory_resolver::{TokioResolver, system_conf};
use pennypost_ports::{Dns, DnsError, DnsKind, DnsRecord};

/// How long to wait for one answer.
pub(crate) const WAIT: Duration = Duration::from_secs(3);
/// Whoever has just set a record wants to see it.
const OLDEST: Duration = Duration::from_secs(60);

/// What is no address of a DNS server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BadServer(pub String);

impl std::fmt::Display for BadServer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:?} is no address of a DNS server", self.0)
    }
}

impl std::error::Error for BadServer {}

/// The resolver.
pub struct Resolver(TokioResolver);

impl Resolver {
    /// Over the servers of the machine.
    ///
    /// # Errors
    /// [`DnsError`]: the machine has no configuration for DNS, or one that cannot be used.
    pub fn of_system() -> Result<Resolver, DnsError> {
        let (config, options) =
            system_conf::read_system_conf().map_err(|error| DnsError(error.to_string()))?;
        Resolver::build(config, options)
    }

    /// Over these servers.
    ///
    /// # Errors
    /// [`DnsError`].
    pub fn over(servers: &[SocketAddr]) -> Result<Resolver, DnsError> {
        let servers = servers.iter().map(name_server).collect();
        let config = ResolverConfig::from_parts(None, Vec::new(), servers);
        Resolver::build(config, ResolverOpts::default())
    }

    /// Over servers as they are written: addresses with or without a port, separated by commas or blanks.
    ///
    /// # Errors
    /// [`BadServer`].
    pub fn servers(text: &str) -> Result<Vec<SocketAddr>, BadServer> {
        let words = text.split([',', ' ']).filter(|word| !word.is_empty());
        words
            .map(|word| {
                let alone = || word.parse().ok().map(|ip: IpAddr| SocketAddr::new(ip, 53));
                word.parse().ok().or_else(alone).ok_or_else(|| BadServer(word.to_owned()))
            })
            .collect()
    }

    fn build(config: ResolverConfig, mut options: ResolverOpts) -> Result<Resolver, DnsError> {
        options.timeout = WAIT;
        options.attempts = 2;
        options.cache_size = 512;
        options.positive_max_ttl = Some(OLDEST);
        options.negative_max_ttl = Some(OLDEST);
        // Answers that do not fit into a datagram are cut off without a word by some servers.
        options.try_tcp_on_error = true;
        let builder = TokioResolver::builder_with_config(config, TokioRuntimeProvider::default());
        let resolver = builder.with_options(options).build();
        resolver.map(Resolver).map_err(|error| DnsError(error.to_string()))
    }

    async fn ask(&self, name: &Name, kind: RecordType, found: &mut Vec<DnsRecord>) -> Result<(), DnsError> {
        let lookup = match self.0.lookup(name.clone(), kind).await {
            Ok(lookup) => lookup,
            Err(error) if error.is_no_records_found() => return Ok(()),
            Err(error) => return Err(DnsError(error.to_string())),
        };
        found.extend(lookup.answers().iter().filter_map(|record| shown(&record.data, kind)));
        Ok(())
    }
}

/// How a server is asked.
pub(crate) fn name_server(server: &SocketAddr) -> NameServerConfig {
    let connections = [ConnectionConfig::udp(), ConnectionConfig::tcp()].map(|mut connection| {
        connection.port = server.port();
        connection
    });
    NameServerConfig::new(server.ip(), true, connections.to_vec())
}

/// A name as records here have it.
pub(crate) fn host(name: &Name) -> String {
    name.to_ascii().trim_end_matches('.').to_ascii_lowercase()
}

/// A record of the kind that was asked for; on the way to it there may be others.
fn shown(data: &RData, kind: RecordType) -> Option<DnsRecord> {
    match (data, kind) {
        (RData::A(address), RecordType::A) => Some(DnsRecord::Address(IpAddr::V4(address.0))),
        (RData::AAAA(address), RecordType::AAAA) => Some(DnsRecord::Address(IpAddr::V6(address.0))),
        (RData::CNAME(name), RecordType::CNAME) => Some(DnsRecord::Cname(host(&name.0))),
        (RData::MX(mx), RecordType::MX) => {
            Some(DnsRecord::Mx { preference: mx.preference, host: host(&mx.exchange) })
        }
        (RData::TXT(text), RecordType::TXT) => {
            let bytes = text.txt_data.concat();
            Some(DnsRecord::Txt(String::from_utf8_lossy(&bytes).into_owned()))
        }
        (RData::PTR(name), RecordType::PTR) => Some(DnsRecord::Pointer(host(&name.0))),
        (RData::SRV(srv), RecordType::SRV) => Some(DnsRecord::Srv {
            priority: srv.priority,
            weight: srv.weight,
            port: srv.port,
            host: host(&srv.target),
        }),
        _ => None,
    }
}

#[async_trait]
impl Dns for Resolver {
    async fn look_up(&self, name: &str, kind: DnsKind) -> Result<Vec<DnsRecord>, DnsError> {
        // With the dot: nothing of the machine's own is put behind it.
        let name = Name::from_ascii(format!("{}.", name.trim_end_matches('.')));
        let Ok(name) = name else { return Ok(Vec::new()) };
        let mut found = Vec::new();
        match kind {
            DnsKind::Address => {
                // Some servers break on the one or the other: what is found is enough.
                let old = self.ask(&name, RecordType::A, &mut found).await;
                let new = self.ask(&name, RecordType::AAAA, &mut found).await;
                if found.is_empty() {
                    old.and(new)?;
                }
            }
            DnsKind::Cname => self.ask(&name, RecordType::CNAME, &mut found).await?,
            DnsKind::Mx => self.ask(&name, RecordType::MX, &mut found).await?,
            DnsKind::Txt => self.ask(&name, RecordType::TXT, &mut found).await?,
            DnsKind::Srv => self.ask(&name, RecordType::SRV, &mut found).await?,
            DnsKind::Pointer => self.ask(&name, RecordType::PTR, &mut found).await?,
        }
        Ok(found)
    }
}

#[cfg(test)]
mod tests {
    use tokio::net::UdpSocket;

    use super::*;

    /// A server that knows one IPv4 address and fails with everything else. Where it listens.
    async fn half_broken() -> SocketAddr {
        let socket = UdpSocket::bind("127.0.0.1:0").await.expect("a port");
        let address = socket.local_addr().expect("an address");
        tokio::spawn(async move {
            let mut bytes = [0; 512];
            while let Ok((length, peer)) = socket.recv_from(&mut bytes).await {
                // The header, and the question: a name, its type, its class.
                let labels = bytes[12..length].iter().position(|byte| *byte == 0).expect("a name");
                let end = 12 + labels + 5;
                let is_a = bytes[end - 4..end - 2] == [0, 1];
                let (code, count) = if is_a { (0x80, 1) } else { (0x82, 0) };
                let mut reply = vec![bytes[0], bytes[1], 0x81, code, 0, 1, 0, count, 0, 0, 0, 0];
                reply.extend_from_slice(&bytes[12..end]);
                if is_a {
                    reply.extend_from_slice(&[0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 60, 0, 4, 192, 0, 2, 7]);
                }
                socket.send_to(&reply, peer).await.expect("sent");
            }
        });
        address
    }

    #[tokio::test]
    async fn one_family_that_fails_does_not_hide_the_other() {
        let resolver = Resolver::over(&[half_broken().await]).expect("a resolver");
        let found = resolver.look_up("mx.example", DnsKind::Address).await;
        assert_eq!(found, Ok(vec![DnsRecord::Address([192, 0, 2, 7].into())]));
        assert!(resolver.look_up("mx.example", DnsKind::Mx).await.is_err());
    }

    #[test]
    fn servers_are_read_as_they_are_written() {
        let servers = Resolver::servers("192.0.2.53, [2001:db8::53]:5353").expect("servers");
        assert_eq!(servers.iter().map(SocketAddr::port).collect::<Vec<_>>(), [53, 5353]);
        assert_eq!(Resolver::servers("192.0.2"), Err(BadServer("192.0.2".to_owned())));
    }
}
