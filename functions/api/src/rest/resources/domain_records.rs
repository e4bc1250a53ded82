//! What domains have to have in DNS: whose they are, what is to be set, what is found, what is wrong (DOM-06 to DOM-11);
//! and how a domain ends (DOM-13).

use pennypost_admin::{Action, DomainRecords, DomainRules, removal_code};
use pennypost_domains::{Checked, Subject};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::domains::{Domain, show};
use crate::rest::operation::{Good, Method, Operation, Query, shape};
use crate::rest::problem::Kind;
use crate::rest::problem::Refusal;
use crate::rest::problem::details::bad_parameter;
use crate::rest::reply::Reply;

/// A sentence in both languages.
#[derive(Serialize, JsonSchema)]
struct Said {
    /// English.
    en: String,
    /// Simplified Chinese.
    #[serde(rename = "zh-CN")]
    zh: String,
}

impl Said {
    fn of((en, zh): (&str, &str)) -> Said {
        Said { en: en.to_owned(), zh: zh.to_owned() }
    }
}

/// A record to be set, to be copied as it stands.
#[derive(Serialize, JsonSchema)]
struct Record {
    /// For what: `mx`, `spf`, `dkim`, `dmarc`, `mta-sts`, `tls-rpt`, `autoconfig` and others.
    subject: &'static str,
    /// For people.
    title: Said,
    /// `required`, `recommended` or `optional`.
    importance: &'static str,
    /// The whole name.
    name: String,
    /// `MX`, `TXT`, `CNAME` or `SRV`.
    #[serde(rename = "type")]
    kind: &'static str,
    /// The value; of a text, without quotation marks.
    value: String,
    /// Seconds.
    ttl: u32,
    /// All of it as a line of a zone.
    line: String,
}

/// What was found of one thing.
#[derive(Serialize, JsonSchema)]
struct Found {
    /// For what.
    subject: &'static str,
    /// For people.
    title: Said,
    /// At which name.
    name: String,
    /// `good`, `warning`, `missing`, `wrong`, or `unknown` where DNS did not answer.
    verdict: &'static str,
    /// What stands there.
    found: Vec<String>,
    /// What is not as it should be.
    faults: Vec<Said>,
}

/// What the zone of a domain should have, and what it has.
#[derive(Serialize, JsonSchema)]
pub(crate) struct Records {
    /// The domain.
    domain: Domain,
    /// What should be set.
    wanted: Vec<Record>,
    /// When somebody looked; null: nobody has.
    checked: Option<String>,
    /// What was found then.
    found: Vec<Found>,
}

/// Whether the zone proves whose the domain is.
#[derive(Serialize, JsonSchema)]
pub(crate) struct Verification {
    /// The domain, as it is now.
    domain: Domain,
    /// What was found.
    found: Found,
}

/// Rules for the domains of a tenant.
#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "DomainRules")]
pub(crate) struct Rules {
    /// No accounts, aliases or groups are added in a domain whose mail is not brought here yet.
    lock_until_active: bool,
}

/// For which domain another one stands.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct AliasPut {
    /// A domain of the tenant, or null: it stands for itself.
    of: Option<String>,
}

/// Is a domain closed?
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct SuspensionPut {
    /// Mail to it is put off.
    suspended: bool,
}

/// What goes with a domain.
#[derive(Serialize, JsonSchema)]
pub(crate) struct Removal {
    /// Accounts, which go to the recycle bin with their mail.
    accounts: usize,
    /// Aliases, which are gone.
    aliases: usize,
    /// Groups, which are gone.
    groups: usize,
    /// What is sent to confirm it. Worth nothing once something of it has changed.
    confirmation: String,
    /// Is the domain gone already?
    gone: bool,
}

const CONFIRMATION: &[Query] =
    &[Query { name: "confirmation", about: "What the removal says of itself.", is_number: false }];

fn found(checked: Checked) -> Found {
    let faults = checked.faults.iter().map(|fault| Said { en: fault.english(), zh: fault.chinese() });
    Found {
        subject: checked.subject.name(),
        title: Said::of(checked.subject.titles()),
        faults: faults.collect(),
        name: checked.name,
        verdict: checked.verdict.name(),
        found: checked.found,
    }
}

fn records(all: DomainRecords) -> Records {
    let wanted = all.wanted.into_iter().map(|wanted| Record {
        subject: wanted.subject.name(),
        title: Said::of(Subject::titles(wanted.subject)),
        importance: wanted.importance.name(),
        line: wanted.line(),
        name: wanted.name,
        kind: wanted.kind,
        value: wanted.value,
        ttl: wanted.ttl,
    });
    Records {
        domain: show(all.domain),
        wanted: wanted.collect(),
        checked: all.report.as_ref().map(|report| report.time.rfc3339()),
        found: all.report.map(|report| report.checked.into_iter().map(found).collect()).unwrap_or_default(),
    }
}

pub(super) const OPERATIONS: &[Operation] = &[
    Operation {
        name: "read-domain-records",
        method: Method::Get,
        path: "/tenants/{tenant}/domains/{domain}/records",
        action: Some(Action::DomainRead),
        summary: "What the zone of a domain should have, and what it had when somebody last looked",
        query: &[],
        body: None,
        is_update: false,
        good: Good::list(shape::<Records>),
        problems: &[Kind::OtherState],
        handler: |ask| {
            Box::pin(async move {
                let (tenant, name) = (ask.tenant()?, ask.word("domain"));
                let all = ask.administration.domain_records(&ask.call, tenant, name).await?;
                Ok(Reply::document(&records(all)))
            })
        },
    },
    Operation {
        name: "check-domain",
        method: Method::Post,
        path: "/tenants/{tenant}/domains/{domain}/check",
        action: Some(Action::DomainCheck),
        summary: "Look now at everything that the zone of a domain should have",
        query: &[],
        body: None,
        is_update: false,
        good: Good::list(shape::<Records>),
        problems: &[],
        handler: |ask| {
            Box::pin(async move {
                let (tenant, name) = (ask.tenant()?, ask.word("domain"));
                let all = ask.administration.check_domain(&ask.call, tenant, name).await?;
                Ok(Reply::document(&records(all)))
            })
        },
    },
    Operation {
        name: "verify-domain",
        method: Method::Post,
        path: "/tenants/{tenant}/domains/{domain}/verification",
        action: Some(Action::DomainVerify),
        summary: "Look now whether the zone of a claimed domain proves whose it is",
        query: &[],
        body: None,
        is_update: false,
        good: Good::list(shape::<Verification>),
        problems: &[],
        handler: |ask| {
            Box::pin(async move {
                let (tenant, name) = (ask.tenant()?, ask.word("domain"));
                let (domain, checked) = ask.administration.verify_domain(&ask.call, tenant, name).await?;
                Ok(Reply::document(&Verification { domain: show(domain), found: found(checked) }))
            })
        },
    },
    Operation {
        name: "read-domain-rules",
        method: Method::Get,
        path: "/tenants/{tenant}/domain-rules",
        action: Some(Action::DomainRead),
        summary: "Rules for the domains of a tenant",
        query: &[],
        body: None,
        is_update: false,
        good: Good::one(shape::<Rules>),
        problems: &[],
        handler: |ask| {
            Box::pin(async move {
                let DomainRules { lock_until_active } =
                    ask.administration.domain_rules(&ask.call, ask.tenant()?).await?;
                Ok(Reply::tagged(&Rules { lock_until_active }))
            })
        },
    },
    Operation {
        name: "change-domain-rules",
        method: Method::Put,
        path: "/tenants/{tenant}/domain-rules",
        action: Some(Action::DomainChange),
        summary: "Change the rules for the domains of a tenant",
        query: &[],
        body: Some(shape::<Rules>),
        is_update: true,
        good: Good::one(shape::<Rules>),
        problems: &[],
        handler: |ask| {
            Box::pin(async move {
                let Rules { lock_until_active } = ask.body()?;
                let tenant = ask.tenant()?;
                let seen = ask.administration.domain_rules(&ask.call, tenant).await?;
                ask.must_match(&Rules { lock_until_active: seen.lock_until_active })?;
                let rules = DomainRules { lock_until_active };
                let DomainRules { lock_until_active } =
                    ask.administration.change_domain_rules(&ask.call, tenant, rules).await?;
                Ok(Reply::tagged(&Rules { lock_until_active }))
            })
        },
    },
    Operation {
        name: "set-domain-alias",
        method: Method::Put,
        path: "/tenants/{tenant}/domains/{domain}/alias",
        action: Some(Action::DomainAlias),
        summary: "Make a domain stand for another one of the tenant, or for itself",
        query: &[],
        body: Some(shape::<AliasPut>),
        is_update: true,
        good: Good::one(shape::<Domain>),
        problems: &[Kind::Unknown, Kind::Invalid],
        handler: |ask| {
            Box::pin(async move {
                let AliasPut { of } = ask.body()?;
                let (tenant, name) = (ask.tenant()?, ask.word("domain"));
                let seen = ask.administration.domain(&ask.call, tenant, name).await?;
                ask.must_match(&show(seen))?;
                let change = ask.administration.set_domain_alias(&ask.call, tenant, name, of.as_deref());
                Ok(Reply::tagged(&show(change.await?)))
            })
        },
    },
    Operation {
        name: "suspend-domain",
        method: Method::Put,
        path: "/tenants/{tenant}/domains/{domain}/suspension",
        action: Some(Action::DomainSuspend),
        summary: "Close a domain, or open it again",
        query: &[],
        body: Some(shape::<SuspensionPut>),
        is_update: true,
        good: Good::one(shape::<Domain>),
        problems: &[],
        handler: |ask| {
            Box::pin(async move {
                let SuspensionPut { suspended } = ask.body()?;
                let (tenant, name) = (ask.tenant()?, ask.word("domain"));
                let seen = ask.directory().domain_in(tenant, name).await?.ok_or(Kind::NotFound)?;
                ask.must_match(&show(seen))?;
                let change = ask.administration.suspend_domain(&ask.call, tenant, name, suspended);
                Ok(Reply::tagged(&show(change.await?)))
            })
        },
    },
    Operation {
        name: "read-domain-removal",
        method: Method::Get,
        path: "/tenants/{tenant}/domains/{domain}/removal",
        action: Some(Action::DomainRead),
        summary: "What goes with a domain if it is removed, and how that is confirmed",
        query: &[],
        body: None,
        is_update: false,
        good: Good::list(shape::<Removal>),
        problems: &[],
        handler: |ask| {
            Box::pin(async move {
                let (tenant, name) = (ask.tenant()?, ask.word("domain"));
                let (domain, contents) = ask.administration.domain_contents(&ask.call, tenant, name).await?;
                Ok(Reply::document(&Removal {
                    accounts: contents.accounts,
                    aliases: contents.aliases,
                    groups: contents.groups,
                    confirmation: removal_code(&domain, &contents),
                    gone: false,
                }))
            })
        },
    },
    Operation {
        name: "remove-domain",
        method: Method::Delete,
        path: "/tenants/{tenant}/domains/{domain}",
        action: Some(Action::DomainRemove),
        summary: "Remove a domain: its accounts go to the recycle bin. To be repeated until it is gone",
        query: CONFIRMATION,
        body: None,
        is_update: false,
        good: Good::list(shape::<Removal>),
        problems: &[],
        handler: |ask| {
            Box::pin(async move {
                let (tenant, name) = (ask.tenant()?, ask.word("domain"));
                let missing = || Refusal::new(Kind::BadParameter, bad_parameter("confirmation"));
                ask.administration.domain(&ask.call, tenant, name).await?;
                let confirmation = ask.parameter("confirmation").ok_or_else(missing)?;
                let gone = ask.administration.remove_domain(&ask.call, tenant, name, confirmation).await?;
                if gone {
                    let (confirmation, accounts) = (String::new(), 0);
                    let removal = Removal { accounts, aliases: 0, groups: 0, confirmation, gone };
                    return Ok(Reply::document(&removal));
                }
                let (domain, contents) = ask.administration.domain_contents(&ask.call, tenant, name).await?;
                let confirmation = removal_code(&domain, &contents);
                let (accounts, aliases, groups) = (contents.accounts, contents.aliases, contents.groups);
                Ok(Reply::document(&Removal { accounts, aliases, groups, confirmation, gone }))
            })
        },
    },
];
