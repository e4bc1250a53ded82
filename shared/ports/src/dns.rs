//! Looking things up on the internet that tenants have to set: records of their domains, and policies over HTTPS.

use std::net::IpAddr;

use async_trait::async_trait;

/// Kinds of records that are looked up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum DnsKind {
    /// Addresses of both families.
    Address,
    /// An alias for another name, itself: it is not followed.
    Cname,
    /// Mail exchangers.
    Mx,
    /// Text.
    Txt,
    /// Servers of a service.
    Srv,
    /// Names of an address, at its reverse name.
    Pointer,
}

/// A record. Names are in lower case, without the dot at the end; the root is an empty name.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum DnsRecord {
    /// An address.
    Address(IpAddr),
    /// An alias for this name.
    Cname(String),
    /// A mail exchanger.
    Mx {
        /// Lower ones come first.
        preference: u16,
        /// The host.
        host: String,
    },
    /// A text, its pieces put together; what is not UTF-8 is replaced.
    Txt(String),
    /// A name that an address has.
    Pointer(String),
    /// A server.
    Srv {
        /// Lower ones come first.
        priority: u16,
        /// How much of the load.
        weight: u16,
        /// Its port.
        port: u16,
        /// The host.
        host: String,
    },
}

/// DNS did not answer. Says nothing about whether there are records.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("DNS does not answer: {0}")]
pub struct DnsError(pub String);

/// The domain name system.
#[async_trait]
pub trait Dns: Send + Sync {
    /// Records of that kind at that name, in no order; none, where there are none or there is no such name. An answer may
    /// be as old as the records allow, and no older than a minute.
    ///
    /// # Errors
    /// [`DnsError`]: no answer in a few seconds, or none that can be believed.
    async fn look_up(&self, name: &str, kind: DnsKind) -> Result<Vec<DnsRecord>, DnsError>;
}

/// Why there is no document.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FetchError {
    /// The host has no address that the world could reach.
    #[error("the host has no public address")]
    NoHost,
    /// The connection failed, or took too long.
    #[error("no connection: {0}")]
    Connection(String),
    /// The certificate is not one for this name that is believed.
    #[error("the certificate is not valid: {0}")]
    Certificate(String),
    /// Another status than 200.
    #[error("HTTP status {0}")]
    Status(u16),
    /// Larger than is taken, or no answer of HTTP.
    #[error("the answer can't be read")]
    Answer,
}

/// Something that is asked over HTTPS of a server that is no tenant's own host for mail: of a provider of identities.
#[derive(Clone, Copy)]
pub struct HttpsRequest<'a> {
    /// The host.
    pub host: &'a str,
    /// Its port.
    pub port: u16,
    /// The path with what is asked of it.
    pub path: &'a str,
    /// The header `Authorization`, if there is to be one. Printable ASCII.
    pub authorization: Option<&'a str>,
    /// The form that is sent by POST; none: it is a GET.
    pub form: Option<&'a str>,
}

/// Something that is told to a server over HTTPS which a tenant has named, or the operator.
#[derive(Clone, Copy)]
pub struct HttpsPost<'a> {
    /// The host.
    pub host: &'a str,
    /// Its port.
    pub port: u16,
    /// The path with what is asked of it.
    pub path: &'a str,
    /// Header fields beside those that every request has. Printable ASCII.
    pub headers: &'a [(&'a str, &'a str)],
    /// JSON.
    pub body: &'a str,
    /// Without TLS: only where the operator has named the host with its port.
    pub is_plain: bool,
}

/// Documents over HTTPS.
#[async_trait]
pub trait Https: Send + Sync {
    /// What `https://HOST/PATH` says, at most 64 KB. Redirections are not followed, the certificate has to be valid for
    /// the host, and hosts on networks that are not public are not asked.
    ///
    /// # Errors
    /// [`FetchError`].
    async fn fetch(&self, host: &str, path: &str) -> Result<Vec<u8>, FetchError>;

    /// What a server answers to a request, as JSON and at most 64 KB. As [`Https::fetch`], but that the operator may have
    /// named hosts that are asked on whatever network they are.
    ///
    /// # Errors
    /// [`FetchError`].
    async fn ask(&self, request: &HttpsRequest<'_>) -> Result<Vec<u8>, FetchError>;

    /// Tells a server something: the status of its answer, whatever that is. Redirections are not followed, what else is in
    /// the answer is not read; hosts as for [`Https::ask`].
    ///
    /// # Errors
    /// [`FetchError`]. The server may have understood all the same.
    async fn post(&self, post: &HttpsPost<'_>) -> Result<u16, FetchError> {
        let _ = post;
        Err(FetchError::Connection("nothing is told to others from here".to_owned()))
    }
}
