//! DMARC: what others are to do with forged mail (RFC 7489; DOM-10). Where the domain says nothing, the domains above it
//! are asked, as receivers do.

use pennypost_ports::{Dns, DnsKind, DnsRecord};

use crate::report::{Checked, Fault, Subject, Verdict};
use crate::tags::{is_version, tag, tags};

/// Domains above that are asked.
const MAX_ABOVE: usize = 6;

async fn records(dns: &dyn Dns, name: &str) -> Result<Vec<String>, Fault> {
    let found = dns.look_up(name, DnsKind::Txt).await.map_err(|error| Fault::NoAnswer(error.0))?;
    let records = found.into_iter().filter_map(|record| match record {
        DnsRecord::Txt(text) if is_version(&text, "DMARC1") => Some(text),
        _ => None,
    });
    Ok(records.collect())
}

pub(crate) async fn check(dns: &dyn Dns, domain: &str) -> Checked {
    let name = format!("_dmarc.{domain}");
    let mut checked = Checked::new(Subject::Dmarc, &name);
    let mut above = domain;
    for level in 0..MAX_ABOVE {
        let found = match records(dns, &format!("_dmarc.{above}")).await {
            Ok(found) => found,
            Err(fault) => return checked.with(Verdict::Unknown, fault),
        };
        if !found.is_empty() {
            checked = checked.finding(found.iter().cloned());
            let [one] = found.as_slice() else {
                return checked.with(Verdict::Wrong, Fault::Several(found.len()));
            };
            if level > 0 {
                checked = checked.with(Verdict::Good, Fault::FromAbove(above.to_owned()));
            }
            return judged(checked, one, level > 0);
        }
        match above.split_once('.') {
            Some((_, rest)) if rest.contains('.') => above = rest,
            _ => break,
        }
    }
    checked.with(Verdict::Missing, Fault::NoRecord)
}

fn judged(mut checked: Checked, record: &str, is_from_above: bool) -> Checked {
    let Some(tags) = tags(record) else {
        return checked.with(Verdict::Wrong, Fault::Syntax(record.chars().take(100).collect()));
    };
    let policy = tag(&tags, "p");
    let policy = if is_from_above { tag(&tags, "sp").or(policy) } else { policy };
    match policy.map(str::to_ascii_lowercase).as_deref() {
        Some("none") => checked = checked.with(Verdict::Warning, Fault::OnlyWatches),
        Some("quarantine" | "reject") => {}
        other => {
            let said = other.unwrap_or("p=").to_owned();
            return checked.with(Verdict::Wrong, Fault::Syntax(said.chars().take(100).collect()));
        }
    }
    if let Some(part) = tag(&tags, "pct") {
        match part.parse::<u8>() {
            Ok(100) => {}
            Ok(part) if part < 100 => checked = checked.with(Verdict::Warning, Fault::OnlyAPart(part)),
            _ => checked = checked.with(Verdict::Wrong, Fault::Syntax(format!("pct={part}"))),
        }
    }
    if tag(&tags, "rua").is_none() {
        checked = checked.with(Verdict::Good, Fault::NoReports);
    }
    checked
}
