//! Whose is a domain? Who can write into its zone what only this post office and the tenant know (DOM-08).

use pennypost_ports::{Dns, DnsKind, DnsRecord};
use serde::{Deserialize, Serialize};

use crate::Service;
use crate::report::{Checked, Fault, Subject, Verdict};
use crate::wanted::{Importance, Wanted};

/// What stands in front of the token.
const PREFIX: &str = "pennypost-verification=";
/// What stands in front of the digits of a label.
const LABEL: &str = "pennypost";

/// What a tenant has to write into the zone of a domain: a text, or an alias.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Challenge {
    /// 32 hex digits.
    pub token: String,
    /// 8 hex digits, for the label.
    pub digits: String,
}

/// What DNS says of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Proof {
    /// It stands there.
    Shown(Checked),
    /// It does not, or nobody knows.
    NotShown(Checked),
}

impl Challenge {
    /// Of random numbers.
    #[must_use]
    pub fn of(high: u64, low: u64, label: u64) -> Challenge {
        Challenge { token: format!("{high:016x}{low:016x}"), digits: format!("{:08x}", label & 0xffff_ffff) }
    }

    fn text(&self) -> String {
        format!("{PREFIX}{}", self.token)
    }

    fn text_name(domain: &str) -> String {
        format!("_pennypost-challenge.{domain}")
    }

    fn label(&self, domain: &str) -> String {
        format!("{LABEL}{}.{domain}", self.digits)
    }

    /// The records of which one has to be set.
    #[must_use]
    pub fn wanted(&self, domain: &str, service: &Service) -> Vec<Wanted> {
        let record = |name, kind, value| Wanted {
            subject: Subject::Ownership,
            name,
            kind,
            value,
            ttl: service.ttl,
            importance: Importance::Required,
        };
        let mut wanted = vec![record(Challenge::text_name(domain), "TXT", self.text())];
        if let Some(host) = &service.ownership_host {
            wanted.push(record(self.label(domain), "CNAME", host.clone()));
        }
        wanted
    }
}

/// Does the zone of the domain show the challenge?
#[pennypost_ports::compiled_here]
pub async fn prove(dns: &dyn Dns, domain: &str, challenge: &Challenge, service: &Service) -> Proof {
    let name = Challenge::text_name(domain);
    let checked = Checked::new(Subject::Ownership, &name);
    let mut no_answer = None;
    let mut found = Vec::new();
    match dns.look_up(&name, DnsKind::Txt).await {
        Ok(records) => {
            for record in records {
                if let DnsRecord::Txt(text) = record {
                    found.push(text);
                }
            }
        }
        Err(error) => no_answer = Some(error.0),
    }
    if found.iter().any(|text| text.trim() == challenge.text()) {
        return Proof::Shown(checked.finding(found));
    }
    let has_other = found.iter().any(|text| text.trim().starts_with(PREFIX));
    let checked = checked.finding(found);
    if let Some(host) = &service.ownership_host {
        let points = async |name: &str| {
            let records = dns.look_up(name, DnsKind::Cname).await?;
            Ok::<_, pennypost_ports::DnsError>(records.contains(&DnsRecord::Cname(host.clone())))
        };
        let label = challenge.label(domain);
        // Whoever has an alias for every name has not meant this one.
        let other = format!("{LABEL}-no-{}.{domain}", challenge.digits);
        match (points(&label).await, points(&other).await) {
            (Ok(true), Ok(false)) => {
                return Proof::Shown(Checked::new(Subject::Ownership, &label).finding([host.clone()]));
            }
            (Ok(true), Ok(true)) => return Proof::NotShown(checked.with(Verdict::Wrong, Fault::Wildcard)),
            (Ok(false), _) => {}
            (Err(error), _) | (_, Err(error)) => no_answer = Some(error.0),
        }
    }
    Proof::NotShown(match no_answer {
        Some(cause) => checked.with(Verdict::Unknown, Fault::NoAnswer(cause)),
        None if has_other => checked.with(Verdict::Wrong, Fault::OtherToken),
        None => checked.with(Verdict::Missing, Fault::NoRecord),
    })
}
