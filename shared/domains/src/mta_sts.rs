//! MTA-STS (RFC 8461) and reports of TLS (RFC 8460).

use pennypost_ports::{Dns, DnsKind, DnsRecord, Https};

use crate::Service;
use crate::check::Question;
use crate::published::{POLICY_PATH, fields, is_host, policy_id};
use crate::report::{Checked, Fault, Subject, Verdict};
use crate::tags::{is_version, tag, tags};

/// Seconds for which a policy has to be kept to protect anybody.
const DAY: u64 = 86_400;

async fn texts(dns: &dyn Dns, name: &str, version: &str) -> Result<Vec<String>, Fault> {
    let found = dns.look_up(name, DnsKind::Txt).await.map_err(|error| Fault::NoAnswer(error.0))?;
    let texts = found.into_iter().filter_map(|record| match record {
        DnsRecord::Txt(text) if is_version(&text, version) => Some(text),
        _ => None,
    });
    Ok(texts.collect())
}

/// `None`: no policy is published for the domain, neither here nor elsewhere.
pub(crate) async fn check(dns: &dyn Dns, https: &dyn Https, question: Question<'_>) -> Option<Checked> {
    let name = format!("_mta-sts.{}", question.domain);
    let found = match texts(dns, &name, "STSv1").await {
        Ok(found) => found,
        Err(fault) => return Some(Checked::new(Subject::MtaSts, &name).with(Verdict::Unknown, fault)),
    };
    if found.is_empty() && question.policy.is_none() {
        return None;
    }
    Some(judged(https, question, Checked::new(Subject::MtaSts, &name), &found).await)
}

async fn judged(https: &dyn Https, question: Question<'_>, checked: Checked, found: &[String]) -> Checked {
    let Question { domain, service, policy: own, .. } = question;
    let mut checked = checked.finding(found.iter().cloned());
    match found {
        [] => return checked.with(Verdict::Missing, Fault::NoRecord),
        [one] => {
            let id = policy_id([one.as_str()]);
            if id.is_none() {
                checked = checked.with(Verdict::Wrong, Fault::Syntax("id=".to_owned()));
            } else if own.is_some_and(|own| id != Some(own.id(service))) {
                checked = checked.with(Verdict::Wrong, Fault::OldPolicy);
            }
        }
        several => return checked.with(Verdict::Wrong, Fault::Several(several.len())),
    }
    match https.fetch(&format!("mta-sts.{domain}"), POLICY_PATH).await {
        Ok(bytes) => {
            let text = String::from_utf8_lossy(&bytes);
            let is_other =
                own.is_some_and(|own| !text.split_whitespace().eq(own.text(service).split_whitespace()));
            let checked = if is_other { checked.with(Verdict::Wrong, Fault::OtherPolicy) } else { checked };
            policy(checked, &text, service)
        }
        Err(error) => checked.with(Verdict::Wrong, Fault::PolicyNotThere(error.to_string())),
    }
}

fn policy(mut checked: Checked, text: &str, service: &Service) -> Checked {
    let fields = fields(text);
    let field = |wanted: &str| fields.iter().find(|(name, _)| *name == wanted).map(|(_, value)| *value);
    checked = checked.finding([text.split_whitespace().collect::<Vec<_>>().join(" ")]);
    if field("version") != Some("STSv1") {
        return checked.with(Verdict::Wrong, Fault::Syntax("version:".to_owned()));
    }
    match field("mode") {
        Some("enforce") => {}
        Some("testing") => checked = checked.with(Verdict::Warning, Fault::PolicyTests),
        Some("none") => return checked.with(Verdict::Warning, Fault::PolicyIsNone),
        _ => return checked.with(Verdict::Wrong, Fault::Syntax("mode:".to_owned())),
    }
    match field("max_age").map(str::parse::<u64>) {
        Some(Ok(seconds)) if seconds < DAY => checked = checked.with(Verdict::Warning, Fault::PolicyIsShort),
        Some(Ok(_)) => {}
        _ => checked = checked.with(Verdict::Wrong, Fault::Syntax("max_age:".to_owned())),
    }
    for mx in &service.mx {
        let is_named = fields.iter().any(|(name, value)| *name == "mx" && is_host(value, &mx.host));
        if !is_named {
            checked = checked.with(Verdict::Wrong, Fault::PolicyLacks(mx.host.clone()));
        }
    }
    checked
}

pub(crate) async fn reports(dns: &dyn Dns, domain: &str) -> Checked {
    let name = format!("_smtp._tls.{domain}");
    let checked = Checked::new(Subject::TlsReports, &name);
    let found = match texts(dns, &name, "TLSRPTv1").await {
        Ok(found) => found,
        Err(fault) => return checked.with(Verdict::Unknown, fault),
    };
    let checked = checked.finding(found.iter().cloned());
    match found.as_slice() {
        [] => checked.with(Verdict::Missing, Fault::NoRecord),
        [one] => {
            let rua = tags(one).and_then(|tags| tag(&tags, "rua").map(str::to_owned));
            let is_place = rua.is_some_and(|rua| {
                rua.split(',')
                    .all(|place| ["mailto:", "https:"].iter().any(|kind| place.trim().starts_with(kind)))
            });
            if is_place { checked } else { checked.with(Verdict::Wrong, Fault::Syntax("rua=".to_owned())) }
        }
        several => checked.with(Verdict::Wrong, Fault::Several(several.len())),
    }
}
