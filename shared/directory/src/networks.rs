//! Networks, and rules from which of them somebody may sign in (AUT-14, AUT-15). Pure.
//!
//! A network is a first and a last address of one family: a single address, a CIDR block and a range are all of that kind.
//! IPv4 addresses within IPv6 (`::ffff:192.0.2.1`) are the IPv4 addresses that they stand for.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// Networks that a list may hold.
pub const MAX_NETWORKS: usize = 200;

/// A range of addresses, both ends among them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Network {
    first: IpAddr,
    last: IpAddr,
}

/// A text that names no network.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NetworkError {
    /// Neither an address nor a block nor a range.
    #[error(
        "{0:?} is no network: write 192.0.2.1, 192.0.2.0/24, 192.0.2.10-192.0.2.20 or the like with IPv6"
    )]
    Form(String),
    /// The range ends before it begins, or in another family.
    #[error("the range {0} ends before it begins")]
    Order(String),
    /// A block with addresses before its first: most likely another one was meant.
    #[error("{0} is not the first address of its block; that is {1}")]
    NotFirst(String, Network),
}

fn bits(address: IpAddr) -> u128 {
    match address {
        IpAddr::V4(address) => u128::from(u32::from(address)),
        IpAddr::V6(address) => u128::from(address),
    }
}

/// The address of the same family with these bits.
fn of_bits(like: IpAddr, bits: u128) -> IpAddr {
    match like {
        IpAddr::V4(_) => IpAddr::V4(Ipv4Addr::from(u32::try_from(bits).unwrap_or(u32::MAX))),
        IpAddr::V6(_) => IpAddr::V6(Ipv6Addr::from(bits)),
    }
}

const fn width(address: IpAddr) -> u32 {
    match address {
        IpAddr::V4(_) => 32,
        IpAddr::V6(_) => 128,
    }
}

impl Network {
    /// The block of so many leading bits in which an address is.
    #[must_use]
    pub fn around(address: IpAddr, prefix: u32) -> Network {
        let address = address.to_canonical();
        let host = width(address).saturating_sub(prefix);
        let mask = if host >= 128 { u128::MAX } else { (1_u128 << host) - 1 };
        let first = bits(address) & !mask;
        Network { first: of_bits(address, first), last: of_bits(address, first | mask) }
    }

    /// Is the address in it?
    #[must_use]
    pub fn contains(&self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        address.is_ipv4() == self.first.is_ipv4() && (self.first..=self.last).contains(&address)
    }

    /// How many addresses are behind its first one.
    #[must_use]
    pub fn span(&self) -> u128 {
        bits(self.last) - bits(self.first)
    }

    /// How many leading bits all its addresses share, if it is exactly such a block.
    fn prefix(&self) -> Option<u32> {
        let (first, last) = (bits(self.first), bits(self.last));
        let host = 128 - (first ^ last).leading_zeros();
        let prefix = width(self.first) - host;
        (Network::around(self.first, prefix) == *self).then_some(prefix)
    }
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Network { first, last } = self;
        match self.prefix() {
            _ if first == last => write!(f, "{first}"),
            Some(prefix) => write!(f, "{first}/{prefix}"),
            None => write!(f, "{first}-{last}"),
        }
    }
}

impl FromStr for Network {
    type Err = NetworkError;

    fn from_str(text: &str) -> Result<Network, NetworkError> {
        let text = text.trim();
        let shown = || text.chars().take(100).collect::<String>();
        let form = || NetworkError::Form(shown());
        let address = |text: &str| text.trim().parse::<IpAddr>().map_err(|_| form());
        if let Some((first, last)) = text.split_once('-') {
            let (first, last) = (address(first)?.to_canonical(), address(last)?.to_canonical());
            let is_in_order = first.is_ipv4() == last.is_ipv4() && first <= last;
            return if is_in_order { Ok(Network { first, last }) } else { Err(NetworkError::Order(shown())) };
        }
        let Some((first, prefix)) = text.split_once('/') else {
            let only = address(text)?.to_canonical();
            return Ok(Network { first: only, last: only });
        };
        let first = address(first)?;
        let is_number = !prefix.is_empty() && prefix.len() <= 3 && prefix.bytes().all(|b| b.is_ascii_digit());
        let said: u32 = if is_number { prefix.parse().map_err(|_| form())? } else { return Err(form()) };
        // A block of IPv4 addresses within IPv6 counts its bits from the front of the IPv6 address.
        let canonical = first.to_canonical();
        let skipped = width(first) - width(canonical);
        let prefix =
            said.checked_sub(skipped).filter(|prefix| *prefix <= width(canonical)).ok_or_else(form)?;
        let block = Network::around(canonical, prefix);
        if block.first == canonical { Ok(block) } else { Err(NetworkError::NotFirst(shown(), block)) }
    }
}

/// May somebody sign in?
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub enum Verdict {
    /// Yes.
    #[default]
    Allow,
    /// No.
    Deny,
}

/// From where somebody may sign in. What is denied is denied, though it be allowed, too.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct AddressRule {
    /// From here.
    pub allow: Vec<Network>,
    /// Not from here.
    pub deny: Vec<Network>,
    /// From everywhere else?
    pub others: Verdict,
}

impl AddressRule {
    /// What it says about an address.
    #[must_use]
    pub fn verdict(&self, address: IpAddr) -> Verdict {
        let has = |list: &[Network]| list.iter().any(|network| network.contains(address));
        match (has(&self.deny), has(&self.allow)) {
            (true, _) => Verdict::Deny,
            (false, true) => Verdict::Allow,
            (false, false) => self.others,
        }
    }

    /// Could it ever deny?
    #[must_use]
    pub fn is_open(&self) -> bool {
        self.deny.is_empty() && self.others == Verdict::Allow
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn network(text: &str) -> Network {
        text.parse().unwrap_or_else(|error| panic!("{error}"))
    }

    fn is_in(text: &str, address: &str) -> bool {
        network(text).contains(address.parse().expect("an address"))
    }

    #[test]
    fn single_addresses_blocks_and_ranges_hold_what_they_say() {
        for (text, inside, outside) in [
            ("192.0.2.7", "192.0.2.7", "192.0.2.8"),
            ("192.0.2.0/24", "192.0.2.255", "192.0.3.0"),
            ("0.0.0.0/0", "255.255.255.255", "::1"),
            ("192.0.2.10-192.0.2.20", "192.0.2.20", "192.0.2.21"),
            ("2001:db8::/32", "2001:db8:ffff::1", "2001:db9::"),
            ("::/0", "2001:db8::", "192.0.2.1"),
            ("2001:db8::1-2001:db8::9", "2001:db8::9", "2001:db8::a"),
            (" 192.0.2.1 - 192.0.2.3 ", "192.0.2.2", "192.0.2.4"),
        ] {
            assert!(is_in(text, inside), "{inside} in {text}");
            assert!(!is_in(text, outside), "{outside} in {text}");
        }
    }

    #[test]
    fn ipv4_within_ipv6_is_ipv4() {
        assert!(is_in("192.0.2.0/24", "::ffff:192.0.2.9"));
        assert_eq!(network("::ffff:192.0.2.1"), network("192.0.2.1"));
        assert_eq!(network("::ffff:192.0.2.0/120"), network("192.0.2.0/24"));
        assert_eq!(network("::ffff:192.0.2.1-::ffff:192.0.2.5"), network("192.0.2.1-192.0.2.5"));
        assert!("::ffff:192.0.2.0/64".parse::<Network>().is_err());
    }

    #[test]
    fn networks_are_written_as_they_are_read() {
        for text in ["192.0.2.1", "192.0.2.0/24", "192.0.2.1-192.0.2.4", "2001:db8::/48", "::/0", "0.0.0.0/0"]
        {
            assert_eq!(network(text).to_string(), text);
        }
        assert_eq!(network("192.0.2.0-192.0.2.255").to_string(), "192.0.2.0/24");
        assert_eq!(network("192.0.2.1/32").to_string(), "192.0.2.1");
    }

    #[test]
    fn what_is_no_network_is_refused() {
        for bad in [
            "",
            "x",
            "192.0.2",
            "192.0.2.1/",
            "192.0.2.0/33",
            "192.0.2.0/+8",
            "::/129",
            "192.0.2.9-192.0.2.1",
            "192.0.2.1-::1",
            "1-2",
            "192.0.2.1-",
            "-192.0.2.1",
            "192.0.2.1/24",
            "2001:db8::1/64",
            "192.0.2.0/0024",
        ] {
            assert!(bad.parse::<Network>().is_err(), "{bad}");
        }
        let told = "192.0.2.1/24".parse::<Network>().expect_err("refused");
        assert_eq!(told, NetworkError::NotFirst("192.0.2.1/24".to_owned(), network("192.0.2.0/24")));
    }

    #[test]
    fn denying_wins_and_others_are_as_said() {
        let rule = AddressRule {
            allow: vec![network("192.0.2.0/24"), network("2001:db8::/32")],
            deny: vec![network("192.0.2.66")],
            others: Verdict::Deny,
        };
        let verdict = |rule: &AddressRule, text: &str| rule.verdict(text.parse().expect("an address"));
        for (address, expected) in [
            ("192.0.2.1", Verdict::Allow),
            ("192.0.2.66", Verdict::Deny),
            ("198.51.100.1", Verdict::Deny),
            ("2001:db8::1", Verdict::Allow),
            ("::ffff:192.0.2.1", Verdict::Allow),
        ] {
            assert_eq!(verdict(&rule, address), expected, "{address}");
        }
        let rule = AddressRule { others: Verdict::Allow, ..rule };
        assert_eq!(verdict(&rule, "198.51.100.1"), Verdict::Allow);
        assert!(AddressRule::default().is_open() && !rule.is_open());
    }
}
