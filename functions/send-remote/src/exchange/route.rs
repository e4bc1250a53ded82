//! Which hosts take mail for a destination, in which order (RFC 5321 section 5.1, RFC 7505).

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use pennypost_lookup::is_public;
use pennypost_ports::{Dns, DnsError, DnsKind, DnsRecord, ProvingDns};

use super::dane::Dane;
use super::demand::Demand;
use super::{Reach, Settings, SmartHost};

/// Hosts that are asked for their addresses.
const MAX_HOSTS: usize = 8;
/// Hosts that are shown.
const MAX_SHOWN: usize = 4;
/// Addresses that are tried.
const MAX_ADDRESSES: usize = 8;

/// One address of a host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Hop {
    pub host: String,
    pub address: SocketAddr,
    /// What is published of it and proved, or why that can't be known.
    pub dane: Option<Result<Arc<Dane>, String>>,
    /// Nobody on the way here can have said that it is a server of the destination: that is proved, the operator has named it, or it
    /// has the name of the destination.
    pub is_sure: bool,
}

impl Hop {
    /// By what name it is called in the handshake.
    pub(crate) fn name(&self) -> &str {
        match &self.dane {
            Some(Ok(dane)) => &dane.base,
            _ => &self.host,
        }
    }

    /// As traces show it.
    pub(crate) fn shown(&self) -> String {
        format!("{} [{}]:{}", self.host, self.address.ip(), self.address.port())
    }
}

/// Why there is nobody to try.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum NoRoute {
    #[error("the domain can't be looked up at present: {0}")]
    Dns(String),
    #[error("the domain takes no mail")]
    NullMx,
    #[error("there is no server for this domain")]
    NoHost,
    #[error("the servers of this domain have no address that can be reached from here")]
    Private,
    #[error("the domain's policy for TLS (MTA-STS) names none of its servers: {0}")]
    Unnamed(String),
    #[error("the domain's mail would come back to this server, which is not set up for it")]
    Loop,
}

impl NoRoute {
    pub(crate) const fn is_temporary(&self) -> bool {
        matches!(self, NoRoute::Dns(_) | NoRoute::Unnamed(_))
    }

    /// The status (RFC 3463, RFC 7505).
    pub(crate) const fn status(&self) -> &'static str {
        match self {
            NoRoute::Dns(_) => "4.4.3",
            // Who can change the answers of DNS could else have everything returned.
            NoRoute::Unnamed(_) => "4.7.0",
            NoRoute::NullMx => "5.1.10",
            NoRoute::NoHost | NoRoute::Private => "5.1.2",
            NoRoute::Loop => "5.4.6",
        }
    }
}

impl From<DnsError> for NoRoute {
    fn from(error: DnsError) -> NoRoute {
        NoRoute::Dns(error.to_string())
    }
}

/// Who is asked for names.
#[derive(Clone, Copy)]
pub(crate) struct Names<'a> {
    pub dns: &'a dyn Dns,
    /// Who says what is proved, too: servers are known by it.
    pub proving: Option<&'a dyn ProvingDns>,
}

/// The addresses to try, one after the other.
pub(crate) async fn route(
    names: Names<'_>,
    (settings, smart_host): (&Settings, Option<&SmartHost>),
    own_name: &str,
    destination: &str,
    demand: Option<&Demand>,
) -> Result<Vec<Hop>, NoRoute> {
    let dns = names.dns;
    if let Some(SmartHost { host, port, .. }) = smart_host {
        let hosts = named(vec![host.clone()], demand)?;
        // The operator has named it: it may be anywhere.
        return hops(dns, hosts, (*port, true), Reach::Everything).await;
    }
    let (exchangers, proving) = exchangers(names, destination).await?;
    let is_sure = exchangers.is_empty();
    let hosts = if exchangers.is_empty() {
        vec![destination.to_owned()]
    } else {
        by_preference(exchangers, own_name)?
    };
    match proving {
        Some(proving) => proved_hops(proving, hosts, settings, destination, demand).await,
        None => hops(dns, named(hosts, demand)?, (settings.port, is_sure), settings.reach).await,
    }
}

/// The mail exchangers of a destination, and who says what is proved of them, if they are proved themselves.
async fn exchangers<'a>(
    Names { dns, proving }: Names<'a>,
    destination: &str,
) -> Result<(Vec<(u16, u32, String)>, Option<&'a dyn ProvingDns>), NoRoute> {
    let ordered = |(preference, host)| (preference, fastrand::u32(..), host);
    if let Some(proving) = proving {
        let known = proving.exchangers(destination).await?;
        // Where there are none the addresses of the domain itself are proved, or not.
        let is_secure = known.is_secure || known.found.is_empty();
        let exchangers = known.found.into_iter().map(ordered).collect();
        return Ok((exchangers, is_secure.then_some(proving)));
    }
    let found = dns.look_up(destination, DnsKind::Mx).await?.into_iter();
    let found = found.filter_map(|record| match record {
        DnsRecord::Mx { preference, host } => Some(ordered((preference, host))),
        _ => None,
    });
    Ok((found.collect(), None))
}

/// Those that may take the mail.
fn named(hosts: Vec<String>, demand: Option<&Demand>) -> Result<Vec<String>, NoRoute> {
    let Some(demand) = demand else { return Ok(hosts) };
    let (left_out, named): (Vec<String>, Vec<String>) =
        hosts.into_iter().partition(|host| demand.leaves_out(host));
    if named.is_empty() && !left_out.is_empty() {
        let shown: Vec<String> = left_out.into_iter().take(MAX_SHOWN).collect();
        return Err(NoRoute::Unnamed(shown.join(", ")));
    }
    Ok(named)
}

/// The hosts in their order; those of the same preference by chance. Where we are among them only those before us count.
fn by_preference(mut exchangers: Vec<(u16, u32, String)>, own_name: &str) -> Result<Vec<String>, NoRoute> {
    let own = exchangers.iter().filter(|(.., host)| host.eq_ignore_ascii_case(own_name));
    if let Some(ours) = own.map(|(preference, ..)| *preference).min() {
        exchangers.retain(|(preference, ..)| *preference < ours);
        if exchangers.is_empty() {
            return Err(NoRoute::Loop);
        }
    }
    exchangers.sort_unstable();
    // The root, alone: RFC 7505. Beside others it is nobody's name.
    if matches!(&*exchangers, [(.., only)] if only.is_empty()) {
        return Err(NoRoute::NullMx);
    }
    Ok(exchangers.into_iter().map(|(.., host)| host).filter(|host| !host.is_empty()).collect())
}

pub(super) async fn hops(
    dns: &dyn Dns,
    hosts: Vec<String>,
    (port, is_sure): (u16, bool),
    reach: Reach,
) -> Result<Vec<Hop>, NoRoute> {
    let mut hops = Vec::new();
    let mut why = NoRoute::NoHost;
    for host in hosts.into_iter().take(MAX_HOSTS) {
        let found = match host.parse::<IpAddr>() {
            Ok(literal) => vec![literal],
            Err(_) => match dns.look_up(&host, DnsKind::Address).await {
                Ok(records) => records.iter().filter_map(address).collect(),
                Err(error) => {
                    // Nobody knows what it would have said.
                    why = error.into();
                    continue;
                }
            },
        };
        for ip in found {
            let is_reached = match reach {
                Reach::Public => is_public(ip),
                Reach::Everything => true,
            };
            if is_reached {
                let address = SocketAddr::new(ip, port);
                hops.push(Hop { host: host.clone(), address, dane: None, is_sure });
            } else if why == NoRoute::NoHost {
                why = NoRoute::Private;
            }
        }
    }
    hops.truncate(MAX_ADDRESSES);
    if hops.is_empty() { Err(why) } else { Ok(hops) }
}

/// The same of hosts that are proved to be those of the destination, with what is published of each. A host of which something
/// is published may take the mail whether or not the domain's policy names it.
async fn proved_hops(
    dns: &dyn ProvingDns,
    hosts: Vec<String>,
    settings: &Settings,
    destination: &str,
    demand: Option<&Demand>,
) -> Result<Vec<Hop>, NoRoute> {
    let (mut hops, mut left_out) = (Vec::new(), Vec::new());
    let mut why = NoRoute::NoHost;
    for host in hosts.into_iter().take(MAX_HOSTS) {
        let (found, dane) = match host.parse::<IpAddr>() {
            Ok(literal) => (vec![literal], None),
            Err(_) => match dns.addresses(&host).await {
                Ok(known) => {
                    let dane = Dane::of(dns, (&host, settings.port), &known, destination).await;
                    (known.found, dane)
                }
                Err(error) => {
                    why = error.into();
                    continue;
                }
            },
        };
        if dane.is_none() && demand.is_some_and(|demand| demand.leaves_out(&host)) {
            left_out.push(host);
            continue;
        }
        for ip in found {
            if settings.reach == Reach::Everything || is_public(ip) {
                let address = SocketAddr::new(ip, settings.port);
                hops.push(Hop { host: host.clone(), address, dane: dane.clone(), is_sure: true });
            } else if why == NoRoute::NoHost {
                why = NoRoute::Private;
            }
        }
    }
    if hops.is_empty() && why == NoRoute::NoHost && !left_out.is_empty() {
        left_out.truncate(MAX_SHOWN);
        why = NoRoute::Unnamed(left_out.join(", "));
    }
    hops.truncate(MAX_ADDRESSES);
    if hops.is_empty() { Err(why) } else { Ok(hops) }
}

fn address(record: &DnsRecord) -> Option<IpAddr> {
    match record {
        DnsRecord::Address(ip) => Some(*ip),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use async_trait::async_trait;
    use pennypost_domains::PublishedPolicy;

    use super::*;

    /// `MX name preference host`, `A name address`, `FAIL name`.
    struct Zone(&'static [&'static str]);

    #[async_trait]
    impl Dns for Zone {
        async fn look_up(&self, name: &str, kind: DnsKind) -> Result<Vec<DnsRecord>, DnsError> {
            let mut found = Vec::new();
            for line in self.0 {
                if line.strip_prefix("FAIL ") == Some(name) {
                    return Err(DnsError("test".to_owned()));
                }
                let words: Vec<&str> = line.split(' ').collect();
                match (&*words, kind) {
                    (["MX", owner, preference, host], DnsKind::Mx) if *owner == name => {
                        let preference = preference.parse().expect("a number");
                        found.push(DnsRecord::Mx { preference, host: host.trim_end_matches('.').to_owned() });
                    }
                    (["A", owner, ip], DnsKind::Address) if *owner == name => {
                        found.push(DnsRecord::Address(ip.parse().expect("an address")));
                    }
                    _ => {}
                }
            }
            Ok(found)
        }
    }

    async fn to(zone: &'static [&'static str], settings: &Settings) -> Result<Vec<String>, NoRoute> {
        by(zone, settings, None).await
    }

    async fn by(
        zone: &'static [&'static str],
        settings: &Settings,
        demand: Option<&Demand>,
    ) -> Result<Vec<String>, NoRoute> {
        let names = Names { dns: &Zone(zone), proving: None };
        let ways = (settings, settings.smart_host.as_ref());
        let hops = route(names, ways, "mx.own.example", "d.example", demand).await?;
        Ok(hops.into_iter().map(|hop| format!("{} {}", hop.host, hop.address)).collect())
    }

    #[tokio::test]
    async fn exchangers_come_by_preference_with_both_families() {
        let zone = &[
            "MX d.example 20 b.example",
            "MX d.example 10 a.example",
            "A a.example 2600::1",
            "A a.example 8.8.8.8",
            "A b.example 9.9.9.9",
        ];
        let hops = to(zone, &Settings::default()).await.expect("a route");
        assert_eq!(hops, ["a.example [2600::1]:25", "a.example 8.8.8.8:25", "b.example 9.9.9.9:25"]);
        let settings = Settings { port: 2525, ..Settings::default() };
        assert_eq!(
            to(&["A d.example 8.8.8.8"], &settings).await.expect("a route"),
            ["d.example 8.8.8.8:2525"]
        );
    }

    #[tokio::test]
    async fn where_nothing_can_be_sent_it_is_said_why() {
        let settings = Settings::default();
        for (zone, why) in [
            (&["MX d.example 0 ."][..], NoRoute::NullMx),
            (&[][..], NoRoute::NoHost),
            (&["MX d.example 0 a.example"], NoRoute::NoHost),
            (&["A d.example 127.0.0.1"], NoRoute::Private),
            (&["MX d.example 0 a.example", "A a.example 10.0.0.1", "A a.example ::1"], NoRoute::Private),
            (
                &["MX d.example 0 mx.own.example", "MX d.example 9 a.example", "A a.example 8.8.8.8"],
                NoRoute::Loop,
            ),
        ] {
            let found = to(zone, &settings).await.expect_err("no route");
            assert_eq!((&found, found.is_temporary()), (&why, false));
            assert!(found.status().starts_with('5'));
        }
        for zone in [&["FAIL d.example"][..], &["MX d.example 0 a.example", "FAIL a.example"]] {
            assert!(to(zone, &settings).await.expect_err("no route").is_temporary());
        }
        // Those before us are tried; of two hosts one that can't be looked up does not stand in the way.
        let zone = &["MX d.example 5 mx.own.example", "MX d.example 1 a.example", "A a.example 8.8.8.8"];
        assert_eq!(to(zone, &settings).await.expect("a route"), ["a.example 8.8.8.8:25"]);
        let zone = &[
            "MX d.example 1 x.example",
            "MX d.example 2 a.example",
            "FAIL x.example",
            "A a.example 8.8.8.8",
        ];
        assert_eq!(to(zone, &settings).await.expect("a route"), ["a.example 8.8.8.8:25"]);
    }

    #[tokio::test]
    async fn servers_that_a_policy_does_not_name_are_left_out() {
        let policy = |mode: &str| {
            let text = format!("version: STSv1\nmode: {mode}\nmx: b.example\nmax_age: 86400\n");
            Demand::Policy(PublishedPolicy::parse(&text).expect("a policy"))
        };
        let zone = &[
            "MX d.example 10 a.example",
            "MX d.example 20 b.example",
            "A a.example 8.8.8.8",
            "A b.example 9.9.9.9",
        ];
        let settings = Settings::default();
        let (enforced, tested) = (policy("enforce"), policy("testing"));
        assert_eq!(by(zone, &settings, Some(&enforced)).await.expect("a route"), ["b.example 9.9.9.9:25"]);
        assert_eq!(by(zone, &settings, Some(&tested)).await.expect("a route").len(), 2);
        // Also where the domain itself is its server.
        for zone in [&["MX d.example 10 a.example", "A a.example 8.8.8.8"][..], &["A d.example 8.8.8.8"]] {
            let found = by(zone, &settings, Some(&enforced)).await.expect_err("no route");
            assert!(matches!(found, NoRoute::Unnamed(_)) && found.is_temporary(), "{found}");
            assert_eq!(found.status(), "4.7.0");
        }
    }

    #[tokio::test]
    async fn operators_may_allow_private_networks_and_name_a_smart_host() {
        let settings = Settings { reach: Reach::Everything, ..Settings::default() };
        assert_eq!(
            to(&["A d.example 127.0.0.1"], &settings).await.expect("a route"),
            ["d.example 127.0.0.1:25"]
        );
        let smart_host = Some(SmartHost::open("relay.example", 587));
        let settings = Settings { smart_host, ..Settings::default() };
        let zone = &["MX d.example 0 .", "A relay.example 10.0.0.1"];
        assert_eq!(to(zone, &settings).await.expect("a route"), ["relay.example 10.0.0.1:587"]);
        let smart_host = Some(SmartHost::open("127.0.0.1", 2525));
        let settings = Settings { smart_host, ..Settings::default() };
        assert_eq!(to(&[], &settings).await.expect("a route"), ["127.0.0.1 127.0.0.1:2525"]);
    }
}
