//! What DNSSEC proves, by the word of a name server that validates: its AD bit (RFC 6840 section 5.8).

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use async_trait::async_trait;
use hickory_resolver::config::{NameServerConfig, ResolverOpts};
use hickory_resolver::net::runtime::TokioRuntimeProvider;
use hickory_resolver::net::xfer::{DnsHandle, FirstAnswer, RetryDnsHandle};
use hickory_resolver::net::{self, NetError};
use hickory_resolver::proto::op::{DnsRequestOptions, Query};
use hickory_resolver::proto::rr::{Name, RData, Record, RecordType};
use hickory_resolver::{NameServerPool, PoolContext, TlsConfig, system_conf};
use pennypost_ports::{Association, DnsError, Proved, ProvingDns};

use crate::dns::{WAIT, host, name_server};

/// Aliases that are followed within an answer.
const MAX_ALIASES: usize = 16;
/// Where a container's name server listens that hands on what others say, whoever they are.
const OF_DOCKER: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(127, 0, 0, 11));

/// Whose word is believed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Believed {
    /// Of name servers on this machine: nobody is between them and us.
    #[default]
    OfThisMachine,
    /// Of all: the operator trusts the way to them.
    OfAll,
}

/// Name servers that are believed.
pub struct Proving(RetryDnsHandle<NameServerPool<TokioRuntimeProvider>>);

impl Proving {
    /// The servers of the machine; none, if they are not all of those that are believed.
    ///
    /// # Errors
    /// [`DnsError`]: the machine has no configuration for DNS, or one that cannot be used.
    pub fn of_system(believed: Believed) -> Result<Option<Proving>, DnsError> {
        let (config, options) =
            system_conf::read_system_conf().map_err(|error| DnsError(error.to_string()))?;
        Proving::build(config.name_servers().to_vec(), options, believed)
    }

    /// These servers; none, if they are not all of those that are believed.
    ///
    /// # Errors
    /// [`DnsError`].
    pub fn over(servers: &[SocketAddr], believed: Believed) -> Result<Option<Proving>, DnsError> {
        let servers = servers.iter().map(name_server).collect();
        Proving::build(servers, ResolverOpts::default(), believed)
    }

    fn build(
        servers: Vec<NameServerConfig>,
        mut options: ResolverOpts,
        believed: Believed,
    ) -> Result<Option<Proving>, DnsError> {
        let is_believed = |ip: IpAddr| match believed {
            Believed::OfThisMachine => ip.is_loopback() && ip != OF_DOCKER,
            Believed::OfAll => true,
        };
        if servers.is_empty() || !servers.iter().all(|server| is_believed(server.ip)) {
            return Ok(None);
        }
        options.timeout = WAIT;
        options.attempts = 2;
        options.try_tcp_on_error = true;
        let attempts = options.attempts;
        let tls = TlsConfig::new().map_err(|error| DnsError(error.to_string()))?;
        let context = Arc::new(PoolContext::new(options, tls));
        let pool = NameServerPool::from_config(servers, context, TokioRuntimeProvider::default());
        Ok(Some(Proving(RetryDnsHandle::new(pool, attempts))))
    }

    /// Records of that kind, behind aliases. The name server remembers answers: nothing is kept here.
    async fn ask<T>(
        &self,
        name: &str,
        kind: RecordType,
        read: impl Fn(&RData) -> Option<T>,
    ) -> Result<Proved<T>, DnsError> {
        let none = |name: &str| Proved { found: Vec::new(), is_secure: false, name: name.to_owned() };
        // With the dot: nothing of the machine's own is put behind it.
        let asked = Name::from_ascii(format!("{}.", name.trim_end_matches('.')));
        let Ok(asked) = asked else { return Ok(none(name)) };
        let mut options = DnsRequestOptions::default();
        // Who asks for signatures is told whether they hold.
        options.use_edns = true;
        options.edns_set_dnssec_ok = true;
        let answer = self.0.lookup(Query::query(asked.clone(), kind), options).first_answer().await;
        let answer = answer.and_then(|answer| net::DnsError::from_response(answer).map_err(NetError::from));
        let answer = match answer {
            Ok(answer) => answer,
            Err(error) if error.is_no_records_found() => return Ok(none(name)),
            Err(error) => return Err(DnsError(error.to_string())),
        };
        let last = if kind == RecordType::CNAME { asked } else { behind_aliases(&answer.answers, asked) };
        let here = answer.answers.iter().filter(|record| record.name == last && record.record_type() == kind);
        let found: Vec<T> = here.filter_map(|record| read(&record.data)).collect();
        Ok(Proved { is_secure: answer.authentic_data && !found.is_empty(), found, name: host(&last) })
    }
}

/// The name to which the aliases of an answer lead.
fn behind_aliases(answers: &[Record], mut name: Name) -> Name {
    for _ in 0..MAX_ALIASES {
        let next = answers.iter().find_map(|record| match &record.data {
            RData::CNAME(alias) if record.name == name => Some(alias.0.clone()),
            _ => None,
        });
        match next {
            Some(next) => name = next,
            None => break,
        }
    }
    name
}

#[async_trait]
impl ProvingDns for Proving {
    async fn exchangers(&self, domain: &str) -> Result<Proved<(u16, String)>, DnsError> {
        let read = |data: &RData| match data {
            RData::MX(mx) => Some((mx.preference, host(&mx.exchange))),
            _ => None,
        };
        self.ask(domain, RecordType::MX, read).await
    }

    async fn addresses(&self, name: &str) -> Result<Proved<IpAddr>, DnsError> {
        let old = |data: &RData| match data {
            RData::A(address) => Some(IpAddr::V4(address.0)),
            _ => None,
        };
        let new = |data: &RData| match data {
            RData::AAAA(address) => Some(IpAddr::V6(address.0)),
            _ => None,
        };
        let (old, new) =
            tokio::join!(self.ask(name, RecordType::A, old), self.ask(name, RecordType::AAAA, new));
        match (old, new) {
            (Ok(mut old), Ok(new)) if !old.found.is_empty() && !new.found.is_empty() => {
                // Both are used: what is proved of one of them alone is proved of neither.
                old.is_secure &= new.is_secure && old.name == new.name;
                old.found.extend(new.found);
                Ok(old)
            }
            (Ok(old), Ok(new)) => Ok(if new.found.is_empty() { old } else { new }),
            (Ok(one), Err(_)) | (Err(_), Ok(one)) if !one.found.is_empty() => Ok(one),
            (Err(error), _) | (_, Err(error)) => Err(error),
        }
    }

    async fn is_proved_alias(&self, name: &str) -> Result<bool, DnsError> {
        let read = |data: &RData| matches!(data, RData::CNAME(_)).then_some(());
        Ok(self.ask(name, RecordType::CNAME, read).await?.is_secure)
    }

    async fn associations(&self, name: &str) -> Result<Proved<Association>, DnsError> {
        let read = |data: &RData| match data {
            RData::TLSA(tlsa) => Some(Association {
                usage: tlsa.cert_usage.into(),
                selector: tlsa.selector.into(),
                matching: tlsa.matching.into(),
                data: tlsa.cert_data.clone(),
            }),
            _ => None,
        };
        self.ask(name, RecordType::TLSA, read).await
    }
}

#[cfg(test)]
mod tests {
    use hickory_resolver::proto::op::{Message, ResponseCode};
    use hickory_resolver::proto::rr::rdata::TLSA;
    use hickory_resolver::proto::rr::rdata::{A, CNAME, MX};
    use tokio::net::UdpSocket;

    use super::*;

    fn name(text: &str) -> Name {
        Name::from_ascii(text).expect("a name")
    }

    /// A name server that validates: who asks for signatures is told. Where it listens.
    async fn validating() -> SocketAddr {
        let socket = UdpSocket::bind("127.0.0.1:0").await.expect("a port");
        let address = socket.local_addr().expect("an address");
        tokio::spawn(async move {
            let mut bytes = [0; 4096];
            while let Ok((length, peer)) = socket.recv_from(&mut bytes).await {
                let asked = Message::from_vec(&bytes[..length]).expect("a query");
                let query = asked.queries.first().expect("a question").clone();
                let is_told = asked.edns.as_ref().is_some_and(|edns| edns.flags().dnssec_ok);
                let mut answer = Message::response(asked.id, asked.op_code);
                answer.add_query(query.clone());
                let record = |owner: &str, data| Record::from_rdata(name(owner), 60, data);
                let (owner, kind) = (query.name().to_lowercase().to_ascii(), query.query_type());
                match (owner.as_str(), kind) {
                    ("signed.test.", RecordType::MX) => {
                        let exchange = MX::new(10, name("MX.signed.test."));
                        answer.add_answer(record("signed.test.", RData::MX(exchange)));
                        answer.metadata.authentic_data = is_told;
                    }
                    ("unsigned.test.", RecordType::MX) => {
                        let exchange = MX::new(10, name("mx.signed.test."));
                        answer.add_answer(record("unsigned.test.", RData::MX(exchange)));
                    }
                    ("alias.signed.test.", RecordType::A) => {
                        let alias = CNAME(name("mx.signed.test."));
                        answer.add_answer(record("alias.signed.test.", RData::CNAME(alias)));
                        answer.add_answer(record("mx.signed.test.", RData::A(A::new(192, 0, 2, 7))));
                        answer.metadata.authentic_data = is_told;
                    }
                    ("_25._tcp.mx.signed.test.", RecordType::TLSA) => {
                        let tlsa = TLSA::new(3.into(), 1.into(), 1.into(), vec![7; 32]);
                        answer.add_answer(record("_25._tcp.mx.signed.test.", RData::TLSA(tlsa)));
                        answer.metadata.authentic_data = is_told;
                    }
                    ("bogus.test.", _) => answer.metadata.response_code = ResponseCode::ServFail,
                    // Also of what is not there it is said that it is proved.
                    _ => answer.metadata.authentic_data = true,
                }
                socket.send_to(&answer.to_vec().expect("bytes"), peer).await.expect("sent");
            }
        });
        address
    }

    #[tokio::test]
    async fn what_is_proved_is_told_from_what_is_not() {
        let servers = [validating().await];
        let dns = Proving::over(&servers, Believed::OfThisMachine).expect("servers").expect("believed");
        let found = dns.exchangers("signed.test").await.expect("an answer");
        assert_eq!((found.found, found.is_secure), (vec![(10, "mx.signed.test".to_owned())], true));
        let found = dns.exchangers("unsigned.test").await.expect("an answer");
        assert_eq!((found.found.len(), found.is_secure), (1, false));
        assert!(dns.exchangers("bogus.test").await.is_err());
        let found = dns.addresses("alias.signed.test").await.expect("an answer");
        assert_eq!((found.found, found.is_secure), (vec![IpAddr::from([192, 0, 2, 7])], true));
        assert_eq!(found.name, "mx.signed.test");
        let found = dns.associations("_25._tcp.mx.signed.test").await.expect("an answer");
        let wanted = Association { usage: 3, selector: 1, matching: 1, data: vec![7; 32] };
        assert_eq!((found.found, found.is_secure), (vec![wanted], true));
        let none = dns.associations("_25._tcp.other.test").await.expect("an answer");
        assert_eq!((none.found.len(), none.is_secure), (0, false));
    }

    #[test]
    fn others_are_believed_only_if_that_is_said() {
        let over = |server: &str, believed| {
            let servers = [server.parse().expect("a server")];
            Proving::over(&servers, believed).expect("servers").is_some()
        };
        assert!(over("127.0.0.1:53", Believed::OfThisMachine) && over("[::1]:53", Believed::OfThisMachine));
        for other in ["192.0.2.53:53", "127.0.0.11:53"] {
            assert!(!over(other, Believed::OfThisMachine) && over(other, Believed::OfAll), "{other}");
        }
        assert!(Proving::over(&[], Believed::OfAll).expect("none").is_none());
    }
}
