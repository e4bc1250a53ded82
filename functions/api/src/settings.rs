//! Servers and ports as the world reaches them.

use std::borrow::Cow;
use std::net::IpAddr;
use std::str::FromStr;

use crate::sites::Sites;

/// What programs are told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// The adapter's name, as in its certificate: what the installation is called.
    pub host: String,
    /// The host of IMAP: the same, but for who is told of a site.
    pub imap_host: String,
    /// The host of POP3.
    pub pop3_host: String,
    /// Its port of IMAP over TLS; `None`: not offered.
    pub imaps: Option<u16>,
    /// Its port of POP3 over TLS; `None`: not offered.
    pub pop3s: Option<u16>,
    /// Through what people send; `None`: not offered.
    pub outgoing: Option<Outgoing>,
    /// Places with hosts of their own.
    pub sites: Sites,
}

/// A server for sending: ours, or another one that people send through.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outgoing {
    /// Its name.
    pub host: String,
    /// Its port.
    pub port: u16,
    /// How the connection is protected.
    pub security: Security,
}

/// How a connection is protected.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Security {
    /// TLS from the first byte (RFC 8314).
    Tls,
    /// STARTTLS.
    StartTls,
}

impl Outgoing {
    /// One with TLS from the first byte; `None` for port 0.
    #[must_use]
    pub fn over_tls(host: &str, port: u16) -> Option<Outgoing> {
        (port > 0).then(|| Outgoing { host: host.to_owned(), port, security: Security::Tls })
    }
}

/// What is no server.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadSetting {
    /// No name.
    #[error("{0:?} is no host name")]
    Host(String),
    /// Not a name, a colon and a port.
    #[error("{0:?} is no server: write NAME:PORT")]
    Server(String),
    /// No site.
    #[error("a site can't be: {0}")]
    Site(String),
}

impl Settings {
    /// # Errors
    /// [`BadSetting::Host`] for what is no name under which the world could find a server.
    pub fn new(
        host: &str,
        imaps: Option<u16>,
        pop3s: Option<u16>,
        outgoing: Option<Outgoing>,
    ) -> Result<Settings, BadSetting> {
        if !is_host(host) {
            return Err(BadSetting::Host(host.to_owned()));
        }
        let (imaps, pop3s) = (imaps.filter(|port| *port > 0), pop3s.filter(|port| *port > 0));
        let host = host.to_owned();
        let (imap_host, pop3_host) = (host.clone(), host.clone());
        Ok(Settings { host, imap_host, pop3_host, imaps, pop3s, outgoing, sites: Sites::default() })
    }

    /// The same with places that have hosts of their own.
    #[must_use]
    pub fn with_sites(self, sites: Sites) -> Settings {
        Settings { sites, ..self }
    }

    /// What whoever comes from there is told: the hosts of the best site.
    pub(crate) fn told(&self, client: Option<IpAddr>) -> Cow<'_, Settings> {
        let Some(site) = self.sites.best(client) else { return Cow::Borrowed(self) };
        let Settings { host, imap_host, pop3_host, imaps, pop3s, outgoing, sites: _ } = self;
        let (imaps, pop3s) = (*imaps, *pop3s);
        let (host, imap_host, pop3_host) = (host.clone(), imap_host.clone(), pop3_host.clone());
        // Not the sites: their networks may be many.
        let sites = Sites::default();
        let mut told =
            Settings { host, imap_host, pop3_host, imaps, pop3s, outgoing: outgoing.clone(), sites };
        let replace = |host: &mut String, own: &Option<String>| {
            if let Some(own) = own {
                host.clone_from(own);
            }
        };
        replace(&mut told.imap_host, &site.imap);
        replace(&mut told.pop3_host, &site.pop3);
        if let Some(outgoing) = &mut told.outgoing {
            replace(&mut outgoing.host, &site.smtp);
        }
        Cow::Owned(told)
    }
}

impl FromStr for Outgoing {
    type Err = BadSetting;

    fn from_str(text: &str) -> Result<Outgoing, BadSetting> {
        let wrong = || BadSetting::Server(text.to_owned());
        let (host, port) = text.trim().rsplit_once(':').ok_or_else(wrong)?;
        let port: u16 = port.parse().ok().filter(|port| *port > 0).ok_or_else(wrong)?;
        if !is_host(host) {
            return Err(wrong());
        }
        // RFC 8314 section 7.3.
        let security = if port == 465 { Security::Tls } else { Security::StartTls };
        Ok(Outgoing { host: host.to_owned(), port, security })
    }
}

pub(crate) fn is_host(name: &str) -> bool {
    let is_part = |byte: u8| byte.is_ascii_alphanumeric() || b"-.".contains(&byte);
    !name.is_empty() && name.len() <= 253 && name.bytes().all(is_part)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn servers_are_read_as_they_are_written() {
        let outgoing = |text: &str| text.parse::<Outgoing>();
        let of = |port, security| Outgoing { host: "smtp.example.net".to_owned(), port, security };
        assert_eq!(outgoing("smtp.example.net:465"), Ok(of(465, Security::Tls)));
        assert_eq!(outgoing(" smtp.example.net:587 "), Ok(of(587, Security::StartTls)));
        assert_eq!(Outgoing::over_tls("smtp.example.net", 2465), Some(of(2465, Security::Tls)));
        assert_eq!(Outgoing::over_tls("smtp.example.net", 0), None);
        for bad in [
            "",
            "smtp.example.net",
            "smtp.example.net:0",
            ":465",
            "a b:465",
            "smtp.example.net:65536",
            "<x>:1",
        ] {
            assert!(outgoing(bad).is_err(), "{bad}");
        }
        assert!(Settings::new("mx.example", Some(993), None, None).is_ok());
        assert_eq!(Settings::new("mx.example", Some(0), None, None).map(|it| it.imaps), Ok(None));
        for bad in ["", "mx example", "mx.example\r\n", "[::1]"] {
            assert!(Settings::new(bad, None, None, None).is_err(), "{bad}");
        }
    }
}
