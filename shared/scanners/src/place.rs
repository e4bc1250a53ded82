//! Where a scanner listens.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use serde::Deserialize;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
#[cfg(unix)]
use tokio::net::UnixStream;

/// How long connecting may take: a scanner stands nearby.
const CONNECTING: Duration = Duration::from_secs(5);

/// Where a scanner listens.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub enum Place {
    /// `HOST:PORT`.
    Tcp(String),
    /// `/PATH/OF/A/SOCKET`.
    Unix(PathBuf),
}

/// A text that names no place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BadPlace(String);

impl fmt::Display for BadPlace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?} is neither HOST:PORT nor the path of a socket", self.0)
    }
}

impl FromStr for Place {
    type Err = BadPlace;

    fn from_str(text: &str) -> Result<Place, BadPlace> {
        let path = text.strip_prefix("unix:").unwrap_or(text);
        if path.starts_with('/') {
            return Ok(Place::Unix(PathBuf::from(path)));
        }
        let bad = || BadPlace(text.to_owned());
        let (host, port) = text.rsplit_once(':').ok_or_else(bad)?;
        let is_port = port.parse::<u16>().is_ok_and(|port| port > 0);
        let is_host = !host.is_empty() && host.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'/');
        if is_port && is_host { Ok(Place::Tcp(text.to_owned())) } else { Err(bad()) }
    }
}

impl TryFrom<String> for Place {
    type Error = BadPlace;

    fn try_from(text: String) -> Result<Place, BadPlace> {
        text.parse()
    }
}

/// A connection to a scanner.
pub(crate) trait Connection: AsyncRead + AsyncWrite + Send + Unpin {}
impl<S: AsyncRead + AsyncWrite + Send + Unpin> Connection for S {}

impl Place {
    pub(crate) async fn connect(&self) -> Result<Box<dyn Connection>, String> {
        let connecting = async {
            Ok::<Box<dyn Connection>, std::io::Error>(match self {
                Place::Tcp(address) => Box::new(TcpStream::connect(address.as_str()).await?),
                #[cfg(unix)]
                Place::Unix(path) => Box::new(UnixStream::connect(path).await?),
                #[cfg(not(unix))]
                Place::Unix(_) => return Err(std::io::ErrorKind::Unsupported.into()),
            })
        };
        match tokio::time::timeout(CONNECTING, connecting).await {
            Ok(Ok(connection)) => Ok(connection),
            // Traces are read by tenants: where the operator's machines are is none of their business.
            Ok(Err(error)) => Err(format!("no connection: {}", error.kind())),
            Err(_) => Err("no connection: it took too long".to_owned()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_ports_of_hosts_or_sockets() {
        assert_eq!("127.0.0.1:3310".parse(), Ok(Place::Tcp("127.0.0.1:3310".to_owned())));
        assert_eq!("[::1]:3310".parse(), Ok(Place::Tcp("[::1]:3310".to_owned())));
        let socket = Place::Unix(PathBuf::from("/run/clamd.ctl"));
        assert_eq!("/run/clamd.ctl".parse(), Ok(socket.clone()));
        assert_eq!("unix:/run/clamd.ctl".parse(), Ok(socket));
        for bad in ["", "clamd", ":3310", "clamd:0", "clamd:x", "http://clamd:3310", "run/clamd.ctl"] {
            assert!(bad.parse::<Place>().is_err(), "{bad}");
        }
    }
}
