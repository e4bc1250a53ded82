//! Looking up what DNSSEC proves (RFC 4035), as far as mail needs it.

use std::net::IpAddr;

use async_trait::async_trait;

use crate::DnsError;

/// What is found at a name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Proved<T> {
    /// The records, in no order; none, where there are none, or where there is no such name.
    pub found: Vec<T>,
    /// They, and each alias on the way to them, are proved to be what the domain has published. Of none it is never said.
    pub is_secure: bool,
    /// The name that has them, behind all aliases: in lower case, without the dot at the end.
    pub name: String,
}

/// A certificate or a key by which a server is known (TLSA: RFC 6698 section 2.1).
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Association {
    /// Certificate usage: 2 for an authority, 3 for the server's own.
    pub usage: u8,
    /// What is compared: 0 the certificate, 1 its key.
    pub selector: u8,
    /// How: 0 as it is, 1 by SHA-256, 2 by SHA-512.
    pub matching: u8,
    /// What it has to be.
    pub data: Vec<u8>,
}

/// The domain name system, with what DNSSEC proves. An answer that is proved to be forged is an error, as none at all is.
#[async_trait]
pub trait ProvingDns: Send + Sync {
    /// The mail exchangers of a domain with their preferences. The root is an empty name.
    ///
    /// # Errors
    /// [`DnsError`]: no answer in a few seconds, or none that can be believed.
    async fn exchangers(&self, domain: &str) -> Result<Proved<(u16, String)>, DnsError>;

    /// The addresses of a host, of both families. One family that can't be had does not hide the other.
    ///
    /// # Errors
    /// As [`ProvingDns::exchangers`].
    async fn addresses(&self, host: &str) -> Result<Proved<IpAddr>, DnsError>;

    /// Is the name proved to be an alias, whatever becomes of the name that it leads to?
    ///
    /// # Errors
    /// As [`ProvingDns::exchangers`].
    async fn is_proved_alias(&self, name: &str) -> Result<bool, DnsError>;

    /// The TLSA records at a name.
    ///
    /// # Errors
    /// As [`ProvingDns::exchangers`].
    async fn associations(&self, name: &str) -> Result<Proved<Association>, DnsError>;
}
