//! Every bound of the adapter, as it stands in the configuration file. Times are seconds, fractions allowed;
//! sizes are bytes.

use std::net::IpAddr;
use std::str::FromStr;
use std::time::Duration;

use serde::{Deserialize, Serialize};

/// Bounds common to all protocols, and those of each.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Limits {
    /// Connections in all, over all listeners.
    pub connections: usize,
    /// Connections from one address (IPv6: one /64). Trusted networks are bounded by `connections` alone.
    pub connections_per_ip: usize,
    /// Networks whose connections are not counted per address, and whose mail is not tested.
    pub trusted_networks: Vec<Network>,
    /// How long sessions may take to end when the server stops.
    #[serde(with = "seconds")]
    pub drain: Duration,
    /// How long a TLS handshake may take.
    #[serde(with = "seconds")]
    pub tls_handshake: Duration,
    /// How long a peer may leave what we send unread.
    #[serde(with = "seconds")]
    pub write: Duration,
    /// Bytes a second that a peer must keep up while it sends or fetches a long text, on the average of the
    /// time-out that holds for one block of it.
    pub slowest: u64,
    /// Memory for messages on their way in and out at one time, over all connections of all protocols. One
    /// address (IPv6: one /64) or one account can have a quarter of it, or what the largest message takes if
    /// that is more; trusted networks are not bounded among themselves.
    pub bytes_in_flight: usize,
    /// Memory for the states of accounts that are open or were a moment ago: about 100 bytes a message. Accounts
    /// without sessions go when it is full; those with sessions stay, and share one state each.
    pub live_bytes: usize,
    /// How long a session goes on after its account was disabled, its tenant suspended or its password
    /// changed; the quota is read again as often. An idle session is looked at every ten times that.
    #[serde(with = "seconds")]
    pub recheck: Duration,
    /// SMTP.
    pub smtp: SmtpLimits,
    /// Submission: what is another number than that of SMTP.
    pub submission: SubmissionLimits,
    /// IMAP.
    pub imap: ImapLimits,
    /// POP3.
    pub pop3: Pop3Limits,
}

impl Default for Limits {
    fn default() -> Limits {
        Limits {
            connections: 16_384,
            connections_per_ip: 64,
            trusted_networks: vec![Network::LOOPBACK_4, Network::LOOPBACK_6],
            drain: Duration::from_secs(10),
            tls_handshake: Duration::from_secs(30),
            write: Duration::from_secs(60),
            slowest: 1024,
            bytes_in_flight: 256 << 20,
            live_bytes: 256 << 20,
            recheck: Duration::from_secs(30),
            smtp: SmtpLimits::default(),
            submission: SubmissionLimits::default(),
            imap: ImapLimits::default(),
            pop3: Pop3Limits::default(),
        }
    }
}

impl Limits {
    /// Is the address in a trusted network?
    #[must_use]
    pub fn trusts(&self, ip: IpAddr) -> bool {
        self.trusted_networks.iter().any(|network| network.contains(ip))
    }
}

/// Bounds of SMTP. The time-outs are those of RFC 5321 section 4.5.3.2.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct SmtpLimits {
    /// Bytes of a message at most (SIZE, RFC 1870).
    pub message_size: usize,
    /// Recipients of a transaction at most; RFC 5321 section 4.5.3.1.8 asks for 100.
    pub recipients: usize,
    /// Bytes of a command line at most, CRLF included. RFC 5321 asks for 512 and more for each extension.
    pub command_line: usize,
    /// Messages in one session at most.
    pub messages_per_session: usize,
    /// Errors after which the session ends.
    pub errors: usize,
    /// Refused recipients after which the session ends.
    pub refused_recipients: usize,
    /// Commands since the last accepted message after which the session ends.
    pub commands_without_message: usize,
    /// Wait before the answer to the first refused recipient, twice that before the second and so on, against
    /// harvesting of addresses (trusted networks are exempt).
    #[serde(with = "seconds")]
    pub tar_pit: Duration,
    /// Wait for a command.
    #[serde(with = "seconds")]
    pub command: Duration,
    /// Wait for the next block of a message.
    #[serde(with = "seconds")]
    pub data_block: Duration,
    /// A whole session at most.
    #[serde(with = "seconds")]
    pub session: Duration,
    /// Messages a minute from one address (trusted networks are exempt); 0 is no limit.
    pub messages_per_minute_and_ip: u32,
    /// Messages a minute for one tenant; 0 is no limit.
    pub messages_per_minute_and_tenant: u32,
    /// `Received` fields from which on a message is in a loop (RFC 5321 section 6.3).
    pub hops: usize,
    /// How long all DNS look-ups of one message may take together.
    #[serde(with = "seconds")]
    pub authentication: Duration,
    /// How long an account's use of its quota may be remembered.
    #[serde(with = "seconds")]
    pub quota_memory: Duration,
}

impl Default for SmtpLimits {
    fn default() -> SmtpLimits {
        SmtpLimits {
            message_size: 53_477_376,
            recipients: 100,
            command_line: 4096,
            messages_per_session: 10_000,
            errors: 20,
            refused_recipients: 50,
            commands_without_message: 2_000,
            tar_pit: Duration::from_millis(100),
            command: Duration::from_secs(300),
            data_block: Duration::from_secs(180),
            session: Duration::from_secs(4 * 3600),
            messages_per_minute_and_ip: 600,
            messages_per_minute_and_tenant: 0,
            hops: 100,
            authentication: Duration::from_secs(8),
            quota_memory: Duration::from_secs(5),
        }
    }
}

/// Bounds of what members hand in.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct SubmissionLimits {
    /// Wait for a command before sign-in.
    #[serde(with = "seconds")]
    pub login: Duration,
    /// Recipients of a message at most.
    pub recipients: usize,
    /// Messages a minute of one account; 0 is no limit.
    pub messages_per_minute_and_account: u32,
    /// Days for which a message is held at most that is to go later (FUTURERELEASE, RFC 4865).
    pub hold_days: u16,
}

impl Default for SubmissionLimits {
    fn default() -> SubmissionLimits {
        SubmissionLimits {
            login: Duration::from_secs(60),
            recipients: 500,
            messages_per_minute_and_account: 60,
            hold_days: 30,
        }
    }
}

/// Bounds of IMAP.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ImapLimits {
    /// Bytes of a message that APPEND takes at most.
    pub message_size: usize,
    /// Bytes of a command without its literals at most.
    pub command_line: usize,
    /// Wait for a command before login.
    #[serde(with = "seconds")]
    pub login: Duration,
    /// Wait for a command after login; RFC 3501 section 5.4 asks for 30 minutes.
    #[serde(with = "seconds")]
    pub idle: Duration,
    /// Wait for the next block of a literal.
    #[serde(with = "seconds")]
    pub literal_block: Duration,
    /// Between two notices of how far a command is; RFC 9585 section 4.1 asks for ten seconds at least.
    #[serde(with = "seconds")]
    pub progress: Duration,
    /// Errors after which the session ends.
    pub errors: usize,
}

impl Default for ImapLimits {
    fn default() -> ImapLimits {
        ImapLimits {
            message_size: 53_477_376,
            command_line: 64 * 1024,
            login: Duration::from_secs(60),
            idle: Duration::from_secs(31 * 60),
            literal_block: Duration::from_secs(120),
            progress: Duration::from_secs(10),
            errors: 50,
        }
    }
}

/// Bounds of POP3.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Pop3Limits {
    /// Wait for a command before login.
    #[serde(with = "seconds")]
    pub login: Duration,
    /// Wait for a command after login; RFC 1939 section 3 asks for 10 minutes at least.
    #[serde(with = "seconds")]
    pub idle: Duration,
    /// Errors after which the session ends.
    pub errors: usize,
}

impl Default for Pop3Limits {
    fn default() -> Pop3Limits {
        Pop3Limits { login: Duration::from_secs(60), idle: Duration::from_secs(600), errors: 20 }
    }
}

/// A network in CIDR form: `10.0.0.0/8`, `::1`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Network {
    address: IpAddr,
    prefix: u8,
}

impl Network {
    /// `127.0.0.0/8`
    pub const LOOPBACK_4: Network =
        Network { address: IpAddr::V4(std::net::Ipv4Addr::new(127, 0, 0, 0)), prefix: 8 };
    /// `::1`
    pub const LOOPBACK_6: Network =
        Network { address: IpAddr::V6(std::net::Ipv6Addr::LOCALHOST), prefix: 128 };

    /// Is the address in it? An IPv4 address mapped into IPv6 counts as IPv4.
    #[must_use]
    pub fn contains(&self, ip: IpAddr) -> bool {
        match (self.address, ip.to_canonical()) {
            (IpAddr::V4(network), IpAddr::V4(ip)) => {
                let shift = 32 - u32::from(self.prefix);
                (u64::from(network.to_bits()) >> shift) == (u64::from(ip.to_bits()) >> shift)
            }
            (IpAddr::V6(network), IpAddr::V6(ip)) => {
                let shift = 128 - u32::from(self.prefix);
                network.to_bits().checked_shr(shift) == ip.to_bits().checked_shr(shift)
            }
            _ => false,
        }
    }
}

impl FromStr for Network {
    type Err = String;
    fn from_str(text: &str) -> Result<Network, String> {
        let failed = || format!("{text:?} is not a network such as 10.0.0.0/8 or 2001:db8::/32");
        let (address, prefix) = match text.split_once('/') {
            Some((address, prefix)) => (address, Some(prefix)),
            None => (text, None),
        };
        let address: IpAddr = address.trim().parse().map_err(|_| failed())?;
        let longest = if address.is_ipv4() { 32 } else { 128 };
        let prefix = match prefix {
            Some(prefix) => prefix.trim().parse().ok().filter(|p| *p <= longest).ok_or_else(failed)?,
            None => longest,
        };
        Ok(Network { address, prefix })
    }
}

impl TryFrom<String> for Network {
    type Error = String;
    fn try_from(text: String) -> Result<Network, String> {
        text.parse()
    }
}

impl From<Network> for String {
    fn from(network: Network) -> String {
        format!("{}/{}", network.address, network.prefix)
    }
}

/// Durations as numbers of seconds.
pub(crate) mod seconds {
    use std::time::Duration;

    use serde::{Deserialize, Deserializer, Serializer};

    pub fn serialize<S: Serializer>(duration: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_f64(duration.as_secs_f64())
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
        let seconds = f64::deserialize(deserializer)?;
        Duration::try_from_secs_f64(seconds).map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn networks_contain_their_addresses() {
        for (network, ip, inside) in [
            ("10.0.0.0/8", "10.1.2.3", true),
            ("10.0.0.0/8", "11.1.2.3", false),
            ("10.0.0.0/8", "::ffff:10.1.2.3", true),
            ("0.0.0.0/0", "203.0.113.9", true),
            ("::/0", "2001:db8::1", true),
            ("::/0", "203.0.113.9", false),
            ("2001:db8::/32", "2001:db8:1::1", true),
            ("2001:db8::/32", "2001:db9::1", false),
            ("::1", "::1", true),
            ("127.0.0.1", "127.0.0.2", false),
        ] {
            let network: Network = network.parse().expect(network);
            assert_eq!(network.contains(ip.parse().expect(ip)), inside, "{network:?} {ip}");
        }
        for bad in ["", "10.0.0.0/33", "::/129", "10.0.0/8", "x", "10.0.0.0/-1"] {
            assert!(bad.parse::<Network>().is_err(), "{bad}");
        }
    }
}
