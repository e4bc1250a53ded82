//! What receivers look at beside the zone of a domain: the hosts that bring its letters, their names, and lists of those from
//! whom nothing is taken.

use std::net::IpAddr;

use futures::future::join_all;
use pennypost_ports::{Dns, DnsKind, DnsRecord, Https};

use crate::report::{Checked, Fault, Report, Subject, Verdict};
use crate::{Service, bimi};

/// Addresses that are looked at, of all hosts together.
const MAX_ADDRESSES: usize = 32;
/// Characters of what a list says.
const MAX_SAID: usize = 200;

/// Which lists are asked (RFC 5782): none is, unless it is named.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Lists {
    /// For addresses, such as `zen.spamhaus.org`.
    pub addresses: Vec<String>,
    /// For domains, such as `dbl.spamhaus.org`.
    pub domains: Vec<String>,
}

/// Looks at everything that receivers judge a domain's letters by, and that its zone does not say. `report` is what the check of
/// its zone has found.
pub async fn reception(
    dns: &dyn Dns,
    https: &dyn Https,
    (domain, service, report): (&str, &Service, &Report),
    lists: &Lists,
) -> Vec<Checked> {
    let hosts = join_all(service.senders().into_iter().map(|host| sender(dns, host))).await;
    let (mut checked, mut ips) = (Vec::new(), Vec::new());
    for (of_host, of_it) in hosts {
        checked.push(of_host);
        ips.extend(of_it);
    }
    ips.sort_unstable();
    ips.dedup();
    ips.truncate(MAX_ADDRESSES);
    checked.extend(join_all(ips.iter().map(|ip| reverse(dns, *ip))).await);
    checked.extend(listed(dns, lists, &ips, domain).await);
    checked.push(bimi::check(dns, https, domain, report).await);
    checked
}

async fn addresses(dns: &dyn Dns, host: &str) -> Result<Vec<IpAddr>, Fault> {
    let found = dns.look_up(host, DnsKind::Address).await.map_err(|error| Fault::NoAnswer(error.0))?;
    let ips = found.into_iter().filter_map(|record| match record {
        DnsRecord::Address(ip) => Some(ip),
        _ => None,
    });
    Ok(ips.collect())
}

/// The host, and its addresses.
async fn sender(dns: &dyn Dns, host: &str) -> (Checked, Vec<IpAddr>) {
    let checked = Checked::new(Subject::Sender, host);
    let ips = match addresses(dns, host).await {
        Ok(ips) => ips,
        Err(fault) => return (checked.with(Verdict::Unknown, fault), Vec::new()),
    };
    let mut checked = checked.finding(ips.iter().map(ToString::to_string));
    if ips.is_empty() {
        checked = checked.with(Verdict::Missing, Fault::NoRecord);
    }
    if ips.iter().any(|ip| is_at_home(*ip)) {
        checked = checked.with(Verdict::Wrong, Fault::NotPublic);
    }
    (checked, ips)
}

fn is_at_home(ip: IpAddr) -> bool {
    match ip.to_canonical() {
        IpAddr::V4(ip) => ip.is_private() || ip.is_loopback() || ip.is_link_local() || ip.is_unspecified(),
        IpAddr::V6(ip) => {
            ip.is_loopback() || ip.is_unique_local() || ip.is_unicast_link_local() || ip.is_unspecified()
        }
    }
}

/// The labels of an address from behind, as reverse names (RFC 1035 section 3.5, RFC 3596 section 2.5) and lists have them.
fn backwards(ip: IpAddr) -> String {
    match ip {
        IpAddr::V4(ip) => {
            let [a, b, c, d] = ip.octets();
            format!("{d}.{c}.{b}.{a}")
        }
        IpAddr::V6(ip) => {
            let digits = ip.octets().into_iter().rev().flat_map(|byte| [byte & 15, byte >> 4]);
            digits.map(|digit| format!("{digit:x}")).collect::<Vec<_>>().join(".")
        }
    }
}

/// Has an address a name that leads back to it?
async fn reverse(dns: &dyn Dns, ip: IpAddr) -> Checked {
    let zone = if ip.is_ipv4() { "in-addr.arpa" } else { "ip6.arpa" };
    let checked = Checked::new(Subject::Reverse, &ip.to_string());
    let found = match dns.look_up(&format!("{}.{zone}", backwards(ip)), DnsKind::Pointer).await {
        Ok(found) => found,
        Err(error) => return checked.with(Verdict::Unknown, Fault::NoAnswer(error.0)),
    };
    let names: Vec<String> = found
        .into_iter()
        .filter_map(|record| match record {
            DnsRecord::Pointer(name) => Some(name),
            _ => None,
        })
        .collect();
    let checked = checked.finding(names.iter().cloned());
    let Some(first) = names.first() else { return checked.with(Verdict::Missing, Fault::NoReverse) };
    let mut unanswered = None;
    for name in names.iter().take(crate::report::MAX_FOUND) {
        match addresses(dns, name).await {
            Ok(ips) if ips.contains(&ip) => return checked,
            Ok(_) => {}
            Err(fault) => unanswered = Some(fault),
        }
    }
    match unanswered {
        Some(fault) => checked.with(Verdict::Unknown, fault),
        None => checked.with(Verdict::Wrong, Fault::ReverseElsewhere(first.clone())),
    }
}

/// What each list says of each address, and of the domain.
async fn listed(dns: &dyn Dns, lists: &Lists, ips: &[IpAddr], domain: &str) -> Vec<Checked> {
    let of_addresses = lists.addresses.iter().map(|list| async move {
        // What each list has, and what none has (RFC 5782 section 5).
        if !works(dns, list, Some("2.0.0.127"), "1.0.0.127").await {
            return vec![
                Checked::new(Subject::Blocklist, list).with(Verdict::Unknown, Fault::ListTellsNothing),
            ];
        }
        join_all(ips.iter().map(|ip| entry(dns, list, backwards(*ip), ip.to_string()))).await
    });
    let of_domains = lists.domains.iter().map(|list| async move {
        // That a list of domains has TEST is asked of it, too, and not done by all.
        if !works(dns, list, None, "invalid").await {
            return vec![
                Checked::new(Subject::Blocklist, list).with(Verdict::Unknown, Fault::ListTellsNothing),
            ];
        }
        vec![entry(dns, list, domain.to_owned(), domain.to_owned()).await]
    });
    let (of_addresses, of_domains) = futures::join!(join_all(of_addresses), join_all(of_domains));
    of_addresses.into_iter().chain(of_domains).flatten().collect()
}

async fn works(dns: &dyn Dns, list: &str, has: Option<&str>, has_not: &str) -> bool {
    let told = async |label: &str| addresses(dns, &format!("{label}.{list}")).await;
    let has = match has {
        Some(label) => told(label).await.is_ok_and(|ips| ips.iter().any(|ip| is_word(*ip))),
        None => true,
    };
    has && told(has_not).await.is_ok_and(|ips| ips.is_empty())
}

/// Is it a list's word for “yes”? Those of 127.255.255 say that it does not answer to whoever asks, and so does 127.0.0.1 and
/// what ends with 255 of lists for domains.
fn is_word(ip: IpAddr) -> bool {
    let IpAddr::V4(ip) = ip else { return false };
    let [a, b, c, d] = ip.octets();
    a == 127 && (b, c) != (255, 255) && (b, c, d) != (0, 0, 1) && d != 255
}

async fn entry(dns: &dyn Dns, list: &str, label: String, of: String) -> Checked {
    let checked = Checked::new(Subject::Blocklist, &format!("{list}: {of}"));
    let name = format!("{label}.{list}");
    let ips = match addresses(dns, &name).await {
        Ok(ips) => ips,
        Err(fault) => return checked.with(Verdict::Unknown, fault),
    };
    let checked = checked.finding(ips.iter().map(ToString::to_string));
    if ips.is_empty() {
        return checked;
    }
    if !ips.iter().any(|ip| is_word(*ip)) {
        return checked.with(Verdict::Unknown, Fault::ListTellsNothing);
    }
    let said = dns.look_up(&name, DnsKind::Txt).await.unwrap_or_default();
    let said = said.into_iter().find_map(|record| match record {
        DnsRecord::Txt(text) => Some(text.chars().take(MAX_SAID).collect()),
        _ => None,
    });
    checked.with(Verdict::Wrong, Fault::Listed(said.unwrap_or_default()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_written_backwards() {
        assert_eq!(backwards([192, 0, 2, 7].into()), "7.2.0.192");
        let v6: IpAddr = "2001:db8::567:89ab".parse().expect("an address");
        assert_eq!(backwards(v6), "b.a.9.8.7.6.5.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2");
    }

    #[test]
    fn what_a_list_says_of_itself_is_no_entry() {
        let words = ["127.0.0.2", "127.0.0.10", "127.0.1.2"];
        assert!(words.iter().all(|ip| is_word(ip.parse().expect("an address"))));
        let others = ["127.255.255.254", "127.0.0.1", "127.0.1.255", "192.0.2.1", "::1"];
        assert!(others.iter().all(|ip| !is_word(ip.parse().expect("an address"))));
    }
}
