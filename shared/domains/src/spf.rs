//! SPF (RFC 7208) as a receiver evaluates it: who may send, after how many look-ups?

use std::collections::BTreeSet;
use std::net::IpAddr;

use futures::future::BoxFuture;
use pennypost_ports::{Dns, DnsKind, DnsRecord};

use crate::Service;
use crate::report::{Checked, Fault, Subject, Verdict};

/// Terms that ask DNS, at most (section 4.6.4).
const MAX_LOOK_UPS: usize = 10;
/// Those of them that find nothing, at most.
const MAX_VOID: usize = 2;
/// Look-ups after which counting ends: how much over it is does not matter any more.
const GIVE_UP: usize = 30;
/// Hosts and addresses that are looked at of one term (section 4.6.4).
const MAX_HOSTS: usize = 10;

/// What a record says of an address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Outcome {
    Pass,
    Fail,
    SoftFail,
    Neutral,
    /// There is no record.
    None,
}

/// Why it can't be said.
enum Stop {
    Permanent(Fault),
    Temporary(String),
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Mechanism {
    All,
    Include(String),
    A(Option<String>, Prefix),
    Mx(Option<String>, Prefix),
    Ip(IpAddr, u8),
    Exists(String),
    Ptr,
}

/// Bits of an address that count, of both families.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Prefix(u8, u8);

struct Record {
    terms: Vec<(Outcome, Mechanism)>,
    redirect: Option<String>,
}

/// Is it one mechanism that names somebody?
pub(crate) fn is_mechanism(text: &str) -> bool {
    matches!(mechanism(text), Ok(mechanism) if !matches!(mechanism, Mechanism::All | Mechanism::Ptr))
}

fn is_spf(text: &str) -> bool {
    let first = text.split(' ').next().unwrap_or_default();
    first.eq_ignore_ascii_case("v=spf1")
}

fn parse(text: &str) -> Result<Record, Fault> {
    let mut record = Record { terms: Vec::new(), redirect: None };
    for term in text.split(' ').skip(1).filter(|term| !term.is_empty()) {
        let wrong = || Fault::Syntax(term.chars().take(100).collect());
        let name_end = term.find([':', '/', '=']).unwrap_or(term.len());
        let (name, rest) = term.split_at(name_end);
        if let Some(value) = rest.strip_prefix('=') {
            if name.eq_ignore_ascii_case("redirect")
                && (value.is_empty() || record.redirect.replace(value.to_ascii_lowercase()).is_some())
            {
                return Err(wrong());
            }
            continue;
        }
        let (outcome, text) = match term.as_bytes().first() {
            Some(b'+') => (Outcome::Pass, term.get(1..)),
            Some(b'-') => (Outcome::Fail, term.get(1..)),
            Some(b'~') => (Outcome::SoftFail, term.get(1..)),
            Some(b'?') => (Outcome::Neutral, term.get(1..)),
            _ => (Outcome::Pass, Some(term)),
        };
        let mechanism = text.ok_or(()).and_then(mechanism).map_err(|()| wrong())?;
        record.terms.push((outcome, mechanism));
    }
    Ok(record)
}

fn mechanism(text: &str) -> Result<Mechanism, ()> {
    let text = text.to_ascii_lowercase();
    let name_end = text.find([':', '/']).unwrap_or(text.len());
    let (name, rest) = text.split_at(name_end);
    let argument = rest.strip_prefix(':');
    let named = |argument: Option<&str>| argument.filter(|it| !it.is_empty()).map(str::to_owned).ok_or(());
    match name {
        "all" if rest.is_empty() => Ok(Mechanism::All),
        "include" => named(argument).map(Mechanism::Include),
        "exists" => named(argument).map(Mechanism::Exists),
        "ptr" => Ok(Mechanism::Ptr),
        "a" | "mx" => {
            let (domain, bits) = match rest.find('/') {
                Some(at) => rest.split_at(at),
                None => (rest, ""),
            };
            let domain = match domain {
                "" => None,
                domain => Some(named(domain.strip_prefix(':'))?),
            };
            let prefix = prefix(bits)?;
            Ok(if name == "a" { Mechanism::A(domain, prefix) } else { Mechanism::Mx(domain, prefix) })
        }
        "ip4" | "ip6" => {
            let argument = argument.ok_or(())?;
            let (ip, bits) = argument.split_once('/').map_or((argument, None), |(ip, bits)| (ip, Some(bits)));
            let ip: IpAddr = ip.parse().map_err(|_| ())?;
            let most = if ip.is_ipv4() { 32 } else { 128 };
            if ip.is_ipv4() != (name == "ip4") {
                return Err(());
            }
            let bits = bits.map_or(Ok(most), |bits| bits.parse().map_err(|_| ()))?;
            if bits <= most { Ok(Mechanism::Ip(ip, bits)) } else { Err(()) }
        }
        _ => Err(()),
    }
}

/// `/24`, `//64`, `/24//64` or nothing.
fn prefix(text: &str) -> Result<Prefix, ()> {
    let number = |text: &str, most: u8| text.parse().ok().filter(|bits| *bits <= most).ok_or(());
    let Some(text) = text.strip_prefix('/') else {
        return if text.is_empty() { Ok(Prefix(32, 128)) } else { Err(()) };
    };
    if let Some(six) = text.strip_prefix('/') {
        return Ok(Prefix(32, number(six, 128)?));
    }
    match text.split_once("//") {
        Some((four, six)) => Ok(Prefix(number(four, 32)?, number(six, 128)?)),
        None => Ok(Prefix(number(text, 32)?, 128)),
    }
}

fn is_within(ip: IpAddr, network: IpAddr, bits: u8) -> bool {
    let (ip, network, width) = match (ip, network) {
        (IpAddr::V4(ip), IpAddr::V4(network)) => {
            (u128::from(ip.to_bits()), u128::from(network.to_bits()), 32)
        }
        (IpAddr::V6(ip), IpAddr::V6(network)) => (ip.to_bits(), network.to_bits(), 128),
        _ => return false,
    };
    let shift = u32::from(width - bits.min(width));
    ip.checked_shr(shift).unwrap_or(0) == network.checked_shr(shift).unwrap_or(0)
}

/// One evaluation.
struct Walk<'a> {
    dns: &'a dyn Dns,
    ip: IpAddr,
    look_ups: usize,
    void: usize,
    has_macros: bool,
}

impl Walk<'_> {
    async fn look_up(&mut self, name: &str, kind: DnsKind) -> Result<Vec<DnsRecord>, Stop> {
        let found = self.dns.look_up(name, kind).await.map_err(|error| Stop::Temporary(error.0))?;
        if found.is_empty() {
            self.void += 1;
        }
        Ok(found)
    }

    /// One of the terms that are counted. Counting goes on beyond the limit, to say by how much.
    fn count(&mut self) -> Result<(), Stop> {
        self.look_ups += 1;
        if self.look_ups > GIVE_UP {
            Err(Stop::Permanent(Fault::TooManyLookUps(self.look_ups)))
        } else {
            Ok(())
        }
    }

    async fn addresses(&mut self, host: &str, prefix: Prefix) -> Result<bool, Stop> {
        let found = self.look_up(host, DnsKind::Address).await?;
        Ok(found.into_iter().take(2 * MAX_HOSTS).any(|record| match record {
            DnsRecord::Address(found) => {
                is_within(self.ip, found, if found.is_ipv4() { prefix.0 } else { prefix.1 })
            }
            _ => false,
        }))
    }

    async fn matches(&mut self, mechanism: &Mechanism, domain: &str) -> Result<bool, Stop> {
        let named = match mechanism {
            Mechanism::Include(name) | Mechanism::Exists(name) => Some(name.as_str()),
            Mechanism::A(name, _) | Mechanism::Mx(name, _) => name.as_deref(),
            _ => None,
        };
        let counts = !matches!(mechanism, Mechanism::All | Mechanism::Ip(..));
        if counts {
            self.count()?;
        }
        // What depends on the sender of each message can't be said in advance.
        if named.is_some_and(|name| name.contains('%')) {
            self.has_macros = true;
            return Ok(false);
        }
        let target = named.unwrap_or(domain);
        match mechanism {
            Mechanism::All => Ok(true),
            Mechanism::Ip(network, bits) => Ok(is_within(self.ip, *network, *bits)),
            Mechanism::A(_, prefix) => self.addresses(target, *prefix).await,
            Mechanism::Mx(_, prefix) => {
                let hosts = self.look_up(target, DnsKind::Mx).await?;
                for record in hosts.into_iter().take(MAX_HOSTS) {
                    if let DnsRecord::Mx { host, .. } = record
                        && self.addresses(&host, *prefix).await?
                    {
                        return Ok(true);
                    }
                }
                Ok(false)
            }
            Mechanism::Exists(_) => Ok(!self.look_up(target, DnsKind::Address).await?.is_empty()),
            Mechanism::Include(_) => match self.evaluate(target.to_owned()).await? {
                Outcome::Pass => Ok(true),
                Outcome::None => Err(Stop::Permanent(Fault::IncludesNothing(target.to_owned()))),
                _ => Ok(false),
            },
            // Nobody should use it, and nobody says by it who may send (section 5.5).
            Mechanism::Ptr => Ok(false),
        }
    }

    fn evaluate(&mut self, domain: String) -> BoxFuture<'_, Result<Outcome, Stop>> {
        Box::pin(async move {
            let texts = self.look_up(&domain, DnsKind::Txt).await?;
            let mut records = texts.into_iter().filter_map(|record| match record {
                DnsRecord::Txt(text) if is_spf(&text) => Some(text),
                _ => None,
            });
            let Some(text) = records.next() else { return Ok(Outcome::None) };
            let further = records.count();
            if further > 0 {
                return Err(Stop::Permanent(Fault::Several(further + 1)));
            }
            let record = parse(&text).map_err(Stop::Permanent)?;
            for (outcome, mechanism) in &record.terms {
                if self.matches(mechanism, &domain).await? {
                    return Ok(*outcome);
                }
            }
            match record.redirect {
                Some(target) if !target.contains('%') => {
                    self.count()?;
                    match self.evaluate(target.clone()).await? {
                        Outcome::None => Err(Stop::Permanent(Fault::IncludesNothing(target))),
                        other => Ok(other),
                    }
                }
                Some(_) => {
                    self.has_macros = true;
                    Ok(Outcome::Neutral)
                }
                None => Ok(Outcome::Neutral),
            }
        })
    }
}

/// Checks what the domain says of who sends for it.
pub(crate) async fn check(dns: &dyn Dns, domain: &str, service: &Service) -> Checked {
    let mut checked = Checked::new(Subject::Spf, domain);
    let texts = match dns.look_up(domain, DnsKind::Txt).await {
        Ok(texts) => texts,
        Err(error) => return checked.with(Verdict::Unknown, Fault::NoAnswer(error.0)),
    };
    let records: Vec<String> = texts
        .into_iter()
        .filter_map(|record| match record {
            DnsRecord::Txt(text) if is_spf(&text) => Some(text),
            _ => None,
        })
        .collect();
    checked = checked.finding(records.iter().cloned());
    let record = match records.as_slice() {
        [] => return checked.with(Verdict::Missing, Fault::NoRecord),
        [one] => match parse(one) {
            Ok(record) => record,
            Err(fault) => return checked.with(Verdict::Wrong, fault),
        },
        several => return checked.with(Verdict::Wrong, Fault::Several(several.len())),
    };
    let all = record.terms.iter().find(|(_, mechanism)| *mechanism == Mechanism::All);
    match all {
        Some((Outcome::Pass, _)) => checked = checked.with(Verdict::Wrong, Fault::LetsEverybody),
        None if record.redirect.is_none() => checked = checked.with(Verdict::Warning, Fault::NoEnd),
        _ => {}
    }
    // An address that nobody has sees all terms, and with that all look-ups.
    let mut ips: Vec<(String, IpAddr)> = vec![(String::new(), IpAddr::from([192, 0, 2, 255]))];
    for host in service.senders() {
        match dns.look_up(host, DnsKind::Address).await {
            Ok(found) => ips.extend(found.into_iter().filter_map(|record| match record {
                DnsRecord::Address(ip) => Some((host.to_owned(), ip)),
                _ => None,
            })),
            Err(error) => return checked.with(Verdict::Unknown, Fault::NoAnswer(error.0)),
        }
    }
    let mut failed: BTreeSet<String> = BTreeSet::new();
    for (host, ip) in ips {
        let mut walk = Walk { dns, ip, look_ups: 0, void: 0, has_macros: false };
        let outcome = walk.evaluate(domain.to_owned()).await;
        let nobody = host.is_empty();
        let stop = match outcome {
            Ok(Outcome::Pass) => None,
            Ok(_) if nobody => None,
            Ok(_) if walk.has_macros => Some((Verdict::Warning, Fault::Macros)),
            Ok(_) => {
                if failed.insert(host.clone()) {
                    Some((Verdict::Wrong, Fault::DoesNotPass(format!("{host} ({ip})"))))
                } else {
                    None
                }
            }
            Err(Stop::Permanent(fault)) => Some((Verdict::Wrong, fault)),
            Err(Stop::Temporary(cause)) => Some((Verdict::Unknown, Fault::NoAnswer(cause))),
        };
        let limits = [
            (walk.look_ups > MAX_LOOK_UPS).then_some(Fault::TooManyLookUps(walk.look_ups)),
            (walk.void > MAX_VOID).then_some(Fault::TooManyVoid(walk.void)),
        ];
        let limits = limits.into_iter().flatten().map(|fault| (Verdict::Wrong, fault));
        for (verdict, fault) in stop.into_iter().chain(limits) {
            let is_known = checked.faults.iter().any(|known| {
                std::mem::discriminant(known) == std::mem::discriminant(&fault)
                    && !matches!(fault, Fault::DoesNotPass(_))
            });
            if !is_known {
                checked = checked.with(verdict, fault);
            }
        }
    }
    checked
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn terms_are_read() {
        for good in [
            "v=spf1",
            "v=spf1 mx a:b.example/24//64 ip4:192.0.2.0/24 ip6:2001:db8::/32 -all",
            "v=spf1 exp=x.y",
        ] {
            assert!(parse(good).is_ok(), "{good}");
        }
        for bad in ["v=spf1 ip4:2001:db8::", "v=spf1 foo", "v=spf1 include:", "v=spf1 a/33", "v=spf1 all:x"] {
            assert!(parse(bad).is_err(), "{bad}");
        }
        assert!(is_mechanism("include:a.example") && is_mechanism("ip4:192.0.2.1") && !is_mechanism("-all"));
    }

    proptest! {
        #[test]
        fn nothing_panics(text in "v=spf1 [+~?-]?(a|mx|ip4|ip6|include|redirect|exists)[:=/][0-9a-f.:/%]{0,30}", any in ".{0,60}") {
            let _ = parse(&text);
            let _ = parse(&any);
            let _ = crate::tags::tags(&any);
        }
    }
}
