//! Under which names the world reaches this post office: what the operator says once, and every domain has to point at.

use pennypost_model::codec::Versioned;
use pennypost_ports::ControlKey;
use serde::{Deserialize, Serialize};

/// Hosts that take mail, at most.
const MAX_HOSTS: usize = 10;

/// A host that takes mail.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MailHost {
    /// Lower ones come first.
    pub preference: u16,
    /// Its name.
    pub host: String,
}

/// A server for mail programs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Server {
    /// Its name.
    pub host: String,
    /// Its port.
    pub port: u16,
}

/// Under which names the world reaches this post office.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Service {
    /// Where mail is to be brought (DOM-06).
    pub mx: Vec<MailHost>,
    /// The mechanism of SPF that names who sends for us, such as `include:spf.post.example` (DOM-09).
    pub spf: String,
    /// Is mail from elsewhere to fail (`-all`), or only to be suspicious (`~all`)?
    pub spf_is_hard: bool,
    /// Hosts whose addresses send for us; where none is named, those that take mail.
    pub senders: Vec<String>,
    /// The host that a label of a domain has to point at to prove whose the domain is (DOM-08); none: only by text.
    pub ownership_host: Option<String>,
    /// IMAP over TLS.
    pub imap: Option<Server>,
    /// POP3 over TLS.
    pub pop3: Option<Server>,
    /// Submission over TLS.
    pub submission: Option<Server>,
    /// The host of the pages for people (DOM-11).
    pub web: Option<String>,
    /// The host that mail programs ask when they set themselves up.
    pub setup: Option<String>,
    /// Where reports of DMARC and TLS go, if the tenant names nobody else.
    pub reports: Option<String>,
    /// Seconds for which records may be kept by others.
    pub ttl: u32,
}

impl Versioned for Service {
    const KIND: &'static str = "service";
}

/// What is wrong with a [`Service`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadService {
    /// No host name.
    #[error("{0:?} is no host name")]
    Host(String),
    /// No host takes mail, or too many do.
    #[error("1 to 10 hosts take mail")]
    Hosts,
    /// No mechanism of SPF.
    #[error("{0:?} is no mechanism of SPF")]
    Spf(String),
    /// No address.
    #[error("{0:?} is no mail address")]
    Reports(String),
    /// A time to live.
    #[error("records are kept for 60 to 86400 seconds")]
    Ttl,
    /// A port.
    #[error("0 is no port")]
    Port,
}

impl Service {
    /// Where it stands in the control table.
    #[must_use]
    pub fn key() -> ControlKey {
        ControlKey::new("installation", "service")
    }

    /// A post office at one host, that does all of it.
    #[must_use]
    pub fn at(host: &str) -> Service {
        let server = |port| Some(Server { host: host.to_owned(), port });
        Service {
            mx: vec![MailHost { preference: 10, host: host.to_owned() }],
            spf: "mx".to_owned(),
            spf_is_hard: false,
            senders: Vec::new(),
            ownership_host: None,
            imap: server(993),
            pop3: server(995),
            submission: None,
            web: None,
            setup: None,
            reports: None,
            ttl: 3600,
        }
    }

    /// The same with names in lower case and without a dot at the end, if it is one that can be.
    ///
    /// # Errors
    /// [`BadService`].
    pub fn checked(mut self) -> Result<Service, BadService> {
        let hosts = self.mx.iter_mut().map(|mx| &mut mx.host).chain(&mut self.senders);
        let servers = [&mut self.imap, &mut self.pop3, &mut self.submission].into_iter().flatten();
        let mut ports = Vec::new();
        let of_servers = servers.map(|server| {
            ports.push(server.port);
            &mut server.host
        });
        let others = [&mut self.ownership_host, &mut self.web, &mut self.setup].into_iter().flatten();
        for host in hosts.chain(of_servers).chain(others) {
            *host = host.trim().trim_end_matches('.').to_ascii_lowercase();
            if !is_host(host) {
                return Err(BadService::Host(host.clone()));
            }
        }
        if ports.contains(&0) {
            return Err(BadService::Port);
        }
        if self.mx.is_empty() || self.mx.len() > MAX_HOSTS || self.senders.len() > MAX_HOSTS {
            return Err(BadService::Hosts);
        }
        self.mx.sort_by(|a, b| (a.preference, &a.host).cmp(&(b.preference, &b.host)));
        self.spf = self.spf.trim().to_ascii_lowercase();
        let is_mechanism = self.spf.len() <= 200
            && self.spf.bytes().all(|byte| byte.is_ascii_graphic())
            && crate::spf::is_mechanism(&self.spf);
        if !is_mechanism {
            return Err(BadService::Spf(self.spf));
        }
        if let Some(address) = &self.reports {
            let is_address = address.len() <= 254
                && address.bytes().all(|byte| byte.is_ascii_graphic() && !b",;!\"<>\\".contains(&byte))
                && address.split_once('@').is_some_and(|(local, host)| !local.is_empty() && is_host(host));
            if !is_address {
                return Err(BadService::Reports(address.clone()));
            }
        }
        if (60..=86_400).contains(&self.ttl) { Ok(self) } else { Err(BadService::Ttl) }
    }

    pub(crate) fn senders(&self) -> Vec<&str> {
        if self.senders.is_empty() {
            return self.mx.iter().map(|mx| mx.host.as_str()).collect();
        }
        self.senders.iter().map(String::as_str).collect()
    }
}

fn is_host(name: &str) -> bool {
    let is_label = |label: &str| {
        (1..=63).contains(&label.len())
            && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_')
    };
    name.len() <= 253 && name.contains('.') && name.split('.').all(is_label)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_the_world_could_find_is_taken() {
        let good = Service { spf: "Include:SPF.post.example".to_owned(), ..Service::at("MX.Post.Example.") };
        let good = good.checked().expect("good");
        assert_eq!(
            (good.mx[0].host.as_str(), good.spf.as_str()),
            ("mx.post.example", "include:spf.post.example")
        );
        let at = || Service::at("mx.post.example");
        for bad in [
            Service::at("localhost"),
            Service::at("a b.example"),
            Service { mx: Vec::new(), ..at() },
            Service { spf: "all".to_owned(), ..at() },
            Service { spf: "v=spf1 mx".to_owned(), ..at() },
            Service { spf: "include:".to_owned(), ..at() },
            Service { reports: Some("nobody".to_owned()), ..at() },
            Service { ttl: 5, ..at() },
            Service { web: Some("https://x.example/".to_owned()), ..at() },
        ] {
            assert!(bad.clone().checked().is_err(), "{bad:?}");
        }
    }
}
