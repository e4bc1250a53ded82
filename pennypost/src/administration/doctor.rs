//! `pennypost doctor DOMAIN`: what receivers dislike about a domain's letters.

use clap::Args;
use pennypost_admin::DomainRecords;
use pennypost_domains::{Checked, Importance, Lists, Subject, Verdict};
use serde_json::{Value, json};

use super::domain::{found, pick, said, whose};
use super::{OPERATOR, refused};
use crate::office::Office;
use crate::print::{Output, clean};
use crate::text::Text;
use crate::{Failed, say};

/// What `doctor` takes.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  pennypost doctor example.com
  pennypost doctor example.com --no-lists --json
  pennypost doctor example.com --list dnsbl.example --domain-list dbl.example
Looks at the records of the domain, at the names of the addresses that its letters come from, at public lists of those from whom
others take nothing, and at its logo (BIMI). The lists learn which addresses and domain are asked about. Ends with 1 where
there is something that letters are refused or put aside for. DNS servers other than the machine's are named by the environment variable
PENNYPOST_DNS; many lists answer to no public ones.")]
pub struct DoctorArgs {
    /// The domain
    name: String,
    /// Name or id of the tenant, for a claim
    #[arg(long)]
    tenant: Option<String>,
    /// A list of addresses that is asked; may be said several times
    #[arg(long = "list", value_name = "ZONE", default_values = ["zen.spamhaus.org", "bl.spamcop.net"], value_parser = zone)]
    lists: Vec<String>,
    /// A list of domains that is asked; may be said several times
    #[arg(long = "domain-list", value_name = "ZONE", default_values = ["dbl.spamhaus.org"], value_parser = zone)]
    domain_lists: Vec<String>,
    /// No list is asked
    #[arg(long)]
    no_lists: bool,
}

fn zone(name: &str) -> Result<String, String> {
    let name = name.trim_end_matches('.').to_ascii_lowercase();
    let is_label = |label: &str| {
        let mut bytes = label.bytes();
        (1..=63).contains(&label.len())
            && bytes.all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte))
    };
    let is_name = name.len() <= 200 && name.split('.').all(is_label);
    if is_name { Ok(name) } else { Err("it is no name of a zone".to_owned()) }
}

/// How much a finding weighs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Weight {
    /// Letters are refused or put aside for it.
    Problem,
    /// It could be better.
    Hint,
    /// It can't be said.
    Unknown,
    /// Nobody minds.
    Good,
}

fn weight(checked: &Checked, records: &DomainRecords) -> Weight {
    match (checked.verdict, checked.subject) {
        (Verdict::Good, _) => Weight::Good,
        (Verdict::Unknown, _) => Weight::Unknown,
        // Without a logo letters arrive as well as with one.
        (Verdict::Warning, _) | (_, Subject::Bimi) => Weight::Hint,
        (Verdict::Wrong, _) | (_, Subject::Sender | Subject::Reverse) => Weight::Problem,
        (Verdict::Missing, subject) => {
            let mut wanted = records.wanted.iter().filter(|wanted| wanted.subject == subject);
            let is_needed = wanted.any(|wanted| wanted.importance != Importance::Optional);
            if is_needed || subject == Subject::Dkim { Weight::Problem } else { Weight::Hint }
        }
    }
}

/// The lines that would make it right.
fn to_set(checked: &Checked, records: &DomainRecords) -> Vec<String> {
    match (checked.subject, checked.verdict) {
        (_, Verdict::Good) => Vec::new(),
        (Subject::Bimi, Verdict::Missing) => {
            let domain = records.domain.name.as_str();
            let value = format!("v=BIMI1; l=https://www.{domain}/logo.svg; a=https://www.{domain}/logo.pem");
            vec![format!("{}. 3600 IN TXT \"{value}\"", checked.name)]
        }
        (subject, _) => {
            let wanted = records.wanted.iter();
            let wanted = wanted.filter(|wanted| wanted.subject == subject && wanted.name == checked.name);
            wanted.map(|wanted| wanted.line()).collect()
        }
    }
}

/// Does what was asked.
pub(crate) async fn run(
    office: &Office,
    args: &DoctorArgs,
    text: &Text,
    output: &mut Output<'_>,
) -> Result<(), Failed> {
    let tenant = whose(office, &args.name, args.tenant.as_deref(), text).await?;
    let lists = if args.no_lists {
        Lists::default()
    } else {
        Lists { addresses: args.lists.clone(), domains: args.domain_lists.clone() }
    };
    let administration = office.administration();
    let examined = administration.examine_domain(&OPERATOR, tenant, &args.name, &lists).await;
    let (records, more) = examined.map_err(|error| refused(error, text))?;
    let of_zone = records.report.iter().flat_map(|report| &report.checked);
    let mut all: Vec<(Weight, &Checked)> =
        of_zone.chain(&more).map(|checked| (weight(checked, &records), checked)).collect();
    all.sort_by_key(|(weight, checked)| (*weight, checked.subject));
    let of =
        |wanted: Weight| all.iter().filter(move |(weight, _)| *weight == wanted).map(|(_, checked)| *checked);
    let problems = of(Weight::Problem).count();
    if output.json {
        let list = |weight| of(weight).map(|checked| shown(checked, &records)).collect::<Vec<Value>>();
        let document = json!({
            "domain": records.domain.name, "problems": list(Weight::Problem), "hints": list(Weight::Hint),
            "unknown": list(Weight::Unknown), "good": list(Weight::Good),
        });
        output.line(&document.to_string())?;
    } else {
        for checked in all.iter().filter(|(weight, _)| *weight != Weight::Good).map(|(_, checked)| *checked) {
            one(checked, &records, text, output)?;
        }
        let mut good: Vec<&str> =
            of(Weight::Good).map(|checked| pick(checked.subject.titles(), text)).collect();
        good.dedup();
        if !good.is_empty() {
            output.line(&say!(text, "doctor-good", list = good.join(&say!(text, "doctor-comma"))))?;
        }
    }
    let name = records.domain.name.to_unicode();
    if problems > 0 {
        return Err(Failed::Said(say!(text, "doctor-problems", name = name, count = problems)));
    }
    if !output.json {
        let unknown = of(Weight::Unknown).count();
        output.line(&say!(text, "doctor-fine", name = name, unknown = unknown))?;
    }
    Ok(())
}

fn one(
    checked: &Checked,
    records: &DomainRecords,
    text: &Text,
    output: &mut Output<'_>,
) -> Result<(), Failed> {
    let (title, verdict) = (pick(checked.subject.titles(), text), pick(checked.verdict.titles(), text));
    output.line(&format!("{title}: {verdict}  {}", checked.name))?;
    for found in &checked.found {
        output.line(&say!(text, "domain-found", value = clean(found)))?;
    }
    for fault in &checked.faults {
        output.line(&format!("  - {}", said(fault, text)))?;
    }
    for line in to_set(checked, records) {
        output.line(&say!(text, "domain-set", line = line))?;
    }
    Ok(())
}

fn shown(checked: &Checked, records: &DomainRecords) -> Value {
    let mut shown = found(checked);
    shown["set"] = to_set(checked, records).into();
    shown
}
