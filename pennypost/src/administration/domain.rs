//! `pennypost domain claim|verify|records|check|alias|suspend|resume|remove|dkim|mta-sts`: what a domain has to have in DNS, and how it
//! ends.

use clap::Subcommand;
use pennypost_admin::{DomainRecords, Policed, removal_code};
use pennypost_directory::{Domain, DomainContents};
use pennypost_domains::{Checked, Fault, TlsMode, TlsPolicy};
use pennypost_model::TenantId;
use serde_json::{Value, json};

use super::domain_keys::{self, DkimCommand};
use super::{OPERATOR, refused, tenant};
use crate::office::Office;
use crate::print::{Output, clean};
use crate::text::{Lang, Text};
use crate::{Failed, say};

/// Seconds for which a policy for TLS is remembered, if nothing is said.
const WEEK: u32 = 604_800;

/// Subcommands of `domain` that go through administration.
#[derive(Debug, Subcommand)]
pub enum RecordsCommand {
    /// Keys with which letters of a domain are signed
    #[command(subcommand)]
    Dkim(DkimCommand),
    /// Note that a tenant says a domain is its own; its zone has to prove it
    #[command(after_help = "Example:\n  pennypost domain claim example.com --tenant acme")]
    Claim {
        /// The domain
        name: String,
        /// Name or id of the tenant; may be left out if there is only one
        #[arg(long)]
        tenant: Option<String>,
    },
    /// Look whether the zone of a claimed domain proves whose it is
    #[command(after_help = "Example:\n  pennypost domain verify example.com --tenant acme")]
    Verify {
        /// The domain
        name: String,
        /// Name or id of the tenant; may be left out if there is only one
        #[arg(long)]
        tenant: Option<String>,
    },
    /// Show the records that the zone of a domain should have, as lines to be copied
    #[command(after_help = "Example:\n  pennypost domain records example.com > example.com.zone")]
    Records {
        /// The domain
        name: String,
        /// Name or id of the tenant, for a claim
        #[arg(long)]
        tenant: Option<String>,
    },
    /// Look now at everything that the zone of a domain should have
    #[command(after_help = "Examples:
  pennypost domain check example.com
  pennypost domain check example.com --json
DNS servers other than the machine's are named by the environment variable PENNYPOST_DNS.")]
    Check {
        /// The domain
        name: String,
        /// Name or id of the tenant, for a claim
        #[arg(long)]
        tenant: Option<String>,
    },
    /// Show or say whether mail for a domain may be brought without TLS (MTA-STS)
    #[command(after_help = "Examples:
  pennypost domain mta-sts example.com
  pennypost domain mta-sts example.com --mode testing
  pennypost domain mta-sts example.com --mode enforce --max-age 2592000
The policy is served at https://mta-sts.example.com/.well-known/mta-sts.txt, for which the proxy in front of the server
needs a certificate. Its record has to be set anew after each change; see “domain records”.")]
    MtaSts {
        /// The domain
        name: String,
        /// What senders do where mail can't be brought over TLS: testing, enforce; none: there is no policy any more
        #[arg(long, value_parser = mode)]
        mode: Option<TlsMode>,
        /// Seconds for which they remember it
        #[arg(long, value_name = "SECONDS")]
        max_age: Option<u32>,
    },
    /// Make a domain stand for another one of the tenant: mail to x@it is mail to x there
    #[command(after_help = "Examples:\n  pennypost domain alias example.net --of example.com\n  \
                            pennypost domain alias example.net --off")]
    Alias {
        /// The domain
        name: String,
        /// The other one
        #[arg(long, required_unless_present = "off")]
        of: Option<String>,
        /// It stands for itself again
        #[arg(long, conflicts_with = "of")]
        off: bool,
    },
    /// Close a domain: mail to it is put off
    #[command(after_help = "Example:\n  pennypost domain suspend example.com")]
    Suspend {
        /// The domain
        name: String,
    },
    /// Open a closed domain again
    #[command(after_help = "Example:\n  pennypost domain resume example.com")]
    Resume {
        /// The domain
        name: String,
    },
    /// Remove a domain: its accounts go to the recycle bin, its aliases and groups are gone
    #[command(after_help = "Examples:
  pennypost domain remove example.com                                     says what goes with it
  pennypost domain remove example.com --confirm example.com-12-3-1")]
    Remove {
        /// The domain
        name: String,
        /// Name or id of the tenant, for a claim
        #[arg(long)]
        tenant: Option<String>,
        /// What the command says without it
        #[arg(long, value_name = "CODE")]
        confirm: Option<String>,
    },
}

/// Does what was asked.
pub(crate) async fn run(
    office: &Office,
    command: &RecordsCommand,
    text: &Text,
    output: &mut Output<'_>,
) -> Result<(), Failed> {
    let administration = office.administration();
    let told = |error| refused(error, text);
    match command {
        RecordsCommand::Dkim(command) => domain_keys::run(office, command, text, output).await,
        RecordsCommand::Claim { name, tenant: of } => {
            let tenant = tenant(office, of.as_deref(), text).await?.id;
            let domain = administration.claim_domain(&OPERATOR, tenant, name).await.map_err(told)?;
            let records = administration.domain_records(&OPERATOR, tenant, name).await.map_err(told)?;
            if output.json {
                return Ok(output.line(&document(&records).to_string())?);
            }
            output.line(&say!(text, "domain-claimed", name = domain.name.to_unicode()))?;
            let own = records.wanted.iter().filter(|wanted| wanted.subject.name() == "ownership");
            for wanted in own {
                output.line(&wanted.line())?;
            }
            Ok(())
        }
        RecordsCommand::Verify { name, tenant: of } => {
            let tenant = tenant(office, of.as_deref(), text).await?.id;
            let (domain, checked) =
                administration.verify_domain(&OPERATOR, tenant, name).await.map_err(told)?;
            let (shown, state) = (domain.name.to_unicode(), state(&domain, text));
            if output.json {
                let document =
                    json!({ "domain": domain.name, "state": domain.state.name(), "found": found(&checked) });
                return Ok(output.line(&document.to_string())?);
            }
            output.line(&say!(text, "domain-verified", name = shown, state = state))?;
            checked.faults.iter().try_for_each(|fault| output.line(&format!("  {}", said(fault, text))))?;
            Ok(())
        }
        RecordsCommand::Records { name, tenant: of } => {
            let tenant = whose(office, name, of.as_deref(), text).await?;
            let records = administration.domain_records(&OPERATOR, tenant, name).await.map_err(told)?;
            if output.json {
                return Ok(output.line(&document(&records).to_string())?);
            }
            for wanted in &records.wanted {
                let importance = pick(wanted.importance.titles(), text);
                output.line(&format!("; {} ({importance})", pick(wanted.subject.titles(), text)))?;
                output.line(&wanted.line())?;
            }
            Ok(())
        }
        RecordsCommand::Check { name, tenant: of } => {
            let tenant = whose(office, name, of.as_deref(), text).await?;
            let records = administration.check_domain(&OPERATOR, tenant, name).await.map_err(told)?;
            if output.json {
                return Ok(output.line(&document(&records).to_string())?);
            }
            report(&records, text, output)
        }
        RecordsCommand::MtaSts { name, mode, max_age } => {
            let tenant = whose(office, name, None, text).await?;
            let mut found = administration.domain_tls(&OPERATOR, tenant, name).await.map_err(told)?;
            if mode.is_some() || max_age.is_some() {
                let seen = found.policy;
                let policy = TlsPolicy {
                    mode: mode.or(seen.map(|seen| seen.mode)).unwrap_or(TlsMode::Testing),
                    max_age: max_age.or(seen.map(|seen| seen.max_age)).unwrap_or(WEEK),
                };
                let changed = administration.change_domain_tls(&OPERATOR, tenant, name, seen, policy).await;
                found = changed.map_err(told)?;
            }
            tls(&found, text, output)
        }
        RecordsCommand::Alias { name, of, off } => {
            let tenant = whose(office, name, None, text).await?;
            let of = of.as_deref().filter(|_| !off);
            let domain = administration.set_domain_alias(&OPERATOR, tenant, name, of).await.map_err(told)?;
            let (shown, of) = (domain.name.to_unicode(), domain.alias_of.as_ref().map(|of| of.to_unicode()));
            let sentence = match &of {
                Some(of) => say!(text, "domain-alias", name = shown, of = of),
                None => say!(text, "domain-no-alias", name = shown),
            };
            Ok(output.result(&sentence, &json!({ "domain": domain.name, "alias_of": domain.alias_of }))?)
        }
        RecordsCommand::Suspend { name } => suspend(office, name, true, text, output).await,
        RecordsCommand::Resume { name } => suspend(office, name, false, text, output).await,
        RecordsCommand::Remove { name, tenant: of, confirm } => {
            let tenant = whose(office, name, of.as_deref(), text).await?;
            let (domain, contents) =
                administration.domain_contents(&OPERATOR, tenant, name).await.map_err(told)?;
            let Some(confirm) = confirm else { return warn(&domain, &contents, text, output) };
            while !administration.remove_domain(&OPERATOR, tenant, name, confirm).await.map_err(told)? {}
            let shown = domain.name.to_unicode();
            Ok(output.result(
                &say!(text, "domain-removed", name = shown),
                &json!({ "domain": domain.name, "removed": true }),
            )?)
        }
    }
}

/// The tenant that is named, else the one that has the domain.
pub(super) async fn whose(
    office: &Office,
    name: &str,
    of: Option<&str>,
    text: &Text,
) -> Result<TenantId, Failed> {
    if of.is_some() {
        return Ok(tenant(office, of, text).await?.id);
    }
    match office.directory.domain(name).await? {
        Some(domain) => Ok(domain.tenant),
        None => Err(Failed::Said(say!(text, "error-no-domain", name = clean(name)))),
    }
}

fn mode(word: &str) -> Result<TlsMode, String> {
    let found = TlsMode::ALL.into_iter().find(|mode| mode.name() == word);
    found.ok_or_else(|| "it is one of none, testing, enforce".to_owned())
}

fn tls(found: &Policed, text: &Text, output: &mut Output<'_>) -> Result<(), Failed> {
    let (document, id) = found.published.clone().unzip();
    if output.json {
        let (mode, max_age) = found.policy.map(|policy| (policy.mode.name(), policy.max_age)).unzip();
        let shown = json!({
            "domain": found.domain.name, "mode": mode, "max_age": max_age, "id": id, "text": document,
        });
        return Ok(output.line(&shown.to_string())?);
    }
    match document {
        Some(document) => document.lines().try_for_each(|line| output.line(line))?,
        None => output.line(&say!(text, "domain-tls-none", name = found.domain.name.to_unicode()))?,
    }
    Ok(())
}

async fn suspend(
    office: &Office,
    name: &str,
    suspended: bool,
    text: &Text,
    output: &mut Output<'_>,
) -> Result<(), Failed> {
    let tenant = whose(office, name, None, text).await?;
    let change = office.administration().suspend_domain(&OPERATOR, tenant, name, suspended).await;
    let domain = change.map_err(|error| refused(error, text))?;
    let (shown, state) = (domain.name.to_unicode(), state(&domain, text));
    let sentence = say!(text, "domain-is", name = shown, state = state);
    Ok(output.result(&sentence, &json!({ "domain": domain.name, "state": domain.state.name() }))?)
}

fn warn(
    domain: &Domain,
    contents: &DomainContents,
    text: &Text,
    output: &mut Output<'_>,
) -> Result<(), Failed> {
    let code = removal_code(domain, contents);
    let DomainContents { accounts, aliases, groups } = *contents;
    let name = domain.name.to_unicode();
    let document = json!({
        "domain": domain.name, "accounts": accounts, "aliases": aliases, "groups": groups, "confirm": code,
    });
    let sentence = say!(
        text,
        "domain-removal",
        name = name,
        accounts = accounts,
        aliases = aliases,
        groups = groups,
        code = code
    );
    Ok(output.result(&sentence, &document)?)
}

fn state(domain: &Domain, text: &Text) -> String {
    say!(text, "domain-state", state = domain.state.name())
}

pub(super) fn pick(titles: (&'static str, &'static str), text: &Text) -> &'static str {
    match text.lang() {
        Lang::En => titles.0,
        Lang::ZhCn => titles.1,
    }
}

/// What is wrong, in the person's language: the sentences stand beside what finds it, for the API says them, too.
pub(super) fn said(fault: &Fault, text: &Text) -> String {
    clean(&match text.lang() {
        Lang::En => fault.english(),
        Lang::ZhCn => fault.chinese(),
    })
}

fn report(records: &DomainRecords, text: &Text, output: &mut Output<'_>) -> Result<(), Failed> {
    let (name, state) = (records.domain.name.to_unicode(), state(&records.domain, text));
    output.line(&say!(text, "domain-is", name = name, state = state))?;
    for checked in records.report.iter().flat_map(|report| &report.checked) {
        let (title, verdict) = (pick(checked.subject.titles(), text), pick(checked.verdict.titles(), text));
        output.line(&format!("{title}: {verdict}  {}", checked.name))?;
        for found in &checked.found {
            output.line(&say!(text, "domain-found", value = clean(found)))?;
        }
        for fault in &checked.faults {
            output.line(&format!("  - {}", said(fault, text)))?;
        }
        if checked.verdict != pennypost_domains::Verdict::Good {
            let right = records
                .wanted
                .iter()
                .filter(|wanted| wanted.subject == checked.subject && wanted.name == checked.name);
            for wanted in right {
                output.line(&say!(text, "domain-set", line = wanted.line()))?;
            }
        }
    }
    Ok(())
}

pub(super) fn found(checked: &Checked) -> Value {
    let faults = checked.faults.iter();
    let faults: Vec<Value> =
        faults.map(|fault| json!({ "en": fault.english(), "zh-CN": fault.chinese() })).collect();
    json!({
        "subject": checked.subject.name(), "name": checked.name, "verdict": checked.verdict.name(),
        "found": checked.found, "faults": faults,
    })
}

fn document(records: &DomainRecords) -> Value {
    let wanted = records.wanted.iter().map(|wanted| {
        json!({
            "subject": wanted.subject.name(), "importance": wanted.importance.name(), "name": wanted.name,
            "type": wanted.kind, "value": wanted.value, "ttl": wanted.ttl, "line": wanted.line(),
        })
    });
    let report = records.report.as_ref();
    json!({
        "domain": records.domain.name,
        "state": records.domain.state.name(),
        "checked": report.map(|report| report.time.rfc3339()),
        "wanted": wanted.collect::<Vec<_>>(),
        "found": report.map(|report| report.checked.iter().map(found).collect::<Vec<_>>()).unwrap_or_default(),
    })
}
