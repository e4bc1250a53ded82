//! A check: everything that a domain should have is looked up, and judged.

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use futures::future::join_all;
use pennypost_model::Timestamp;
use pennypost_ports::{Dns, DnsKind, DnsRecord, Https};

use crate::report::{Checked, Fault, Report, Subject, Verdict};
use crate::tags::{tag, tags};
use crate::wanted::{hosts, services};
use crate::{Server, Service, TlsPolicy, dmarc, mta_sts, spf};

/// A key for signatures that others have to find.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DkimRecord {
    /// Its selector.
    pub selector: String,
    /// The value of its record.
    pub value: String,
    /// Is it used, or to be used soon, or has signed what may be on its way? What is no longer used may be gone.
    pub is_needed: bool,
}

/// What is to be checked.
#[derive(Debug, Clone, Copy)]
pub struct Question<'a> {
    /// The domain, in A-labels.
    pub domain: &'a str,
    /// What it has to point at.
    pub service: &'a Service,
    /// Its keys.
    pub keys: &'a [DkimRecord],
    /// The policy for TLS that is published for it here, if one is.
    pub policy: Option<&'a TlsPolicy>,
}

/// Looks everything up, at once.
pub async fn check(dns: &dyn Dns, https: &dyn Https, question: Question<'_>, time: Timestamp) -> Report {
    let Question { domain, service, keys, policy } = question;
    let dkim = async {
        if keys.is_empty() {
            let none = Checked::new(Subject::Dkim, &format!("_domainkey.{domain}"));
            return vec![none.with(Verdict::Missing, Fault::NoKey)];
        }
        join_all(keys.iter().map(|key| dkim(dns, domain, key))).await
    };
    let hosts =
        hosts(service, policy).into_iter().filter_map(|(subject, label, host)| Some((subject, label, host?)));
    let hosts =
        join_all(hosts.map(|(subject, label, host)| points(dns, subject, format!("{label}.{domain}"), host)));
    let servers =
        services(service).into_iter().filter_map(|(subject, label, server)| Some((subject, label, server?)));
    let servers = join_all(
        servers.map(|(subject, label, server)| serves(dns, subject, format!("{label}.{domain}"), server)),
    );
    let (mx, spf, dkim, dmarc, sts, reports, hosts, servers) = futures::join!(
        mx(dns, domain, service),
        spf::check(dns, domain, service),
        dkim,
        dmarc::check(dns, domain),
        mta_sts::check(dns, https, question),
        mta_sts::reports(dns, domain),
        hosts,
        servers,
    );
    let mut checked = vec![mx, spf, dmarc, reports];
    checked.extend(sts);
    checked.extend(dkim.into_iter().chain(hosts).chain(servers));
    checked.sort_by_key(|checked| checked.subject);
    Report { time, checked }
}

async fn mx(dns: &dyn Dns, domain: &str, service: &Service) -> Checked {
    let checked = Checked::new(Subject::Mx, domain);
    let found = match dns.look_up(domain, DnsKind::Mx).await {
        Ok(found) => found,
        Err(error) => return checked.with(Verdict::Unknown, Fault::NoAnswer(error.0)),
    };
    let mut found: Vec<(u16, String)> = found
        .into_iter()
        .filter_map(|record| match record {
            DnsRecord::Mx { preference, host } => Some((preference, host)),
            _ => None,
        })
        .collect();
    found.sort();
    let mut checked = checked.finding(found.iter().map(|(preference, host)| format!("{preference} {host}")));
    let is_ours = |host: &str| service.mx.iter().any(|mx| mx.host == host);
    let Some((best, _)) = found.first() else { return checked.with(Verdict::Missing, Fault::NoRecord) };
    if found.iter().any(|(_, host)| host.is_empty()) {
        return checked.with(Verdict::Wrong, Fault::NullMx);
    }
    if !found.iter().any(|(_, host)| is_ours(host)) {
        return checked.with(Verdict::Wrong, Fault::NoHostOfOurs);
    }
    for (preference, host) in found.iter().filter(|(_, host)| !is_ours(host)) {
        checked = if preference == best {
            checked.with(Verdict::Wrong, Fault::OthersFirst(host.clone()))
        } else {
            checked.with(Verdict::Warning, Fault::OthersToo(host.clone()))
        };
    }
    for mx in &service.mx {
        if !found.iter().any(|(_, host)| *host == mx.host) {
            checked = checked.with(Verdict::Warning, Fault::HostNotNamed(mx.host.clone()));
        }
    }
    checked
}

async fn dkim(dns: &dyn Dns, domain: &str, key: &DkimRecord) -> Checked {
    let name = format!("{}._domainkey.{domain}", key.selector);
    let checked = Checked::new(Subject::Dkim, &name);
    let found = match dns.look_up(&name, DnsKind::Txt).await {
        Ok(found) => found,
        Err(error) => return checked.with(Verdict::Unknown, Fault::NoAnswer(error.0)),
    };
    let texts: Vec<String> = found
        .into_iter()
        .filter_map(|record| match record {
            DnsRecord::Txt(text) => Some(text),
            _ => None,
        })
        .collect();
    let checked = checked.finding(texts.iter().cloned());
    if !key.is_needed {
        let is_there = !texts.is_empty();
        return if is_there { checked.with(Verdict::Good, Fault::NoLongerUsed) } else { checked };
    }
    let one = match texts.as_slice() {
        [] => return checked.with(Verdict::Missing, Fault::NoRecord),
        [one] => one,
        several => return checked.with(Verdict::Wrong, Fault::Several(several.len())),
    };
    let Some(found) = tags(one) else {
        return checked.with(Verdict::Wrong, Fault::Syntax(one.chars().take(100).collect()));
    };
    // What receivers take for no key of ours (RFC 6376 section 3.6.1).
    for (name, some) in [("v", &["DKIM1"][..]), ("h", &["sha256"]), ("s", &["*", "email"])] {
        if let Some(list) = tag(&found, name).filter(|list| !has_any(list, some)) {
            return checked.with(Verdict::Wrong, Fault::Syntax(format!("{name}={list}")));
        }
    }
    let wanted = tags(&key.value).unwrap_or_default();
    let public = |tags: &[(String, String)]| {
        let text: String = tag(tags, "p")?.chars().filter(|c| !c.is_whitespace()).collect();
        BASE64_STANDARD.decode(text).ok()
    };
    let kind = |tags: &[(String, String)]| tag(tags, "k").unwrap_or("rsa").to_ascii_lowercase();
    match public(&found) {
        Some(public) if public.is_empty() => checked.with(Verdict::Wrong, Fault::Revoked),
        None => checked.with(Verdict::Wrong, Fault::Syntax("p=".to_owned())),
        found_key if found_key == public(&wanted) && kind(&found) == kind(&wanted) => checked,
        Some(_) => checked.with(Verdict::Wrong, Fault::OtherKey),
    }
}

/// Does a list with colons have any of these?
fn has_any(list: &str, some: &[&str]) -> bool {
    list.split(':').any(|one| some.iter().any(|some| one.trim().eq_ignore_ascii_case(some)))
}

/// Does a name stand for a host: as its alias, or by the same addresses?
async fn points(dns: &dyn Dns, subject: Subject, name: String, host: &str) -> Checked {
    let checked = Checked::new(subject, &name);
    let unknown = |checked: Checked, cause: String| checked.with(Verdict::Unknown, Fault::NoAnswer(cause));
    let alias = match dns.look_up(&name, DnsKind::Cname).await {
        Ok(found) => found,
        Err(error) => return unknown(checked, error.0),
    };
    if let Some(DnsRecord::Cname(target)) = alias.first() {
        let is_right = target == host;
        let checked = checked.finding([target.clone()]);
        return if is_right { checked } else { checked.with(Verdict::Wrong, Fault::PointsElsewhere) };
    }
    let addresses = |found: Vec<DnsRecord>| -> Vec<String> {
        let mut all: Vec<String> = found
            .into_iter()
            .filter_map(|record| match record {
                DnsRecord::Address(ip) => Some(ip.to_string()),
                _ => None,
            })
            .collect();
        all.sort();
        all
    };
    let own = match dns.look_up(&name, DnsKind::Address).await {
        Ok(found) => addresses(found),
        Err(error) => return unknown(checked, error.0),
    };
    if own.is_empty() {
        return checked.with(Verdict::Missing, Fault::NoRecord);
    }
    let checked = checked.finding(own.iter().cloned());
    match dns.look_up(host, DnsKind::Address).await {
        Ok(found) => {
            let theirs = addresses(found);
            let is_right = own.iter().all(|ip| theirs.contains(ip));
            if is_right { checked } else { checked.with(Verdict::Wrong, Fault::PointsElsewhere) }
        }
        Err(error) => unknown(checked, error.0),
    }
}

async fn serves(dns: &dyn Dns, subject: Subject, name: String, server: &Server) -> Checked {
    let checked = Checked::new(subject, &name);
    let found = match dns.look_up(&name, DnsKind::Srv).await {
        Ok(found) => found,
        Err(error) => return checked.with(Verdict::Unknown, Fault::NoAnswer(error.0)),
    };
    let mut found: Vec<(u16, u16, u16, String)> = found
        .into_iter()
        .filter_map(|record| match record {
            DnsRecord::Srv { priority, weight, port, host } => Some((priority, weight, port, host)),
            _ => None,
        })
        .collect();
    found.sort();
    let shown =
        found.iter().map(|(priority, weight, port, host)| format!("{priority} {weight} {port} {host}"));
    let checked = checked.finding(shown);
    let is_ours = |(_, _, port, host): &(u16, u16, u16, String)| *port == server.port && *host == server.host;
    match found.first() {
        None => checked.with(Verdict::Missing, Fault::NoRecord),
        Some(first) if is_ours(first) => checked,
        Some(_) => checked.with(Verdict::Wrong, Fault::PointsElsewhere),
    }
}
