//! What a tenant lets in.

use pennypost_admin::Action;
use pennypost_directory::{DirectoryError, TenantPolicy};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::rest::operation::{Good, Method, Operation, shape};
use crate::rest::problem::{Kind, Refusal};
use crate::rest::reply::Reply;

/// What a tenant lets in.
#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Policy {
    /// Addresses and domains whose mail nobody gets: 1,000 at most.
    blacklist: Vec<String>,
    /// Addresses and domains whose mail is not intercepted: 1,000 at most.
    whitelist: Vec<String>,
    /// Mail whose subject contains one of these is refused: 1,000 at most, 60 characters each.
    subject_filter: Vec<String>,
    /// Refuse what the domain of the sender asks to be refused (DMARC `p=reject`).
    dmarc_reject: bool,
    /// Mail with at least so many points goes to the junk folder.
    junk_threshold: i32,
}

fn show(policy: &TenantPolicy) -> Policy {
    Policy {
        blacklist: policy.blacklist.iter().map(ToString::to_string).collect(),
        whitelist: policy.whitelist.iter().map(ToString::to_string).collect(),
        subject_filter: policy.subject_filter.clone(),
        dmarc_reject: policy.dmarc_reject,
        junk_threshold: policy.junk_threshold,
    }
}

fn read(policy: &Policy) -> Result<TenantPolicy, Refusal> {
    let mut read = TenantPolicy {
        dmarc_reject: policy.dmarc_reject,
        junk_threshold: policy.junk_threshold,
        ..TenantPolicy::default()
    };
    type Add = fn(&mut TenantPolicy, &str) -> Result<bool, pennypost_directory::PolicyError>;
    let lists: [(&str, &[String], Add); 3] = [
        ("blacklist", &policy.blacklist, TenantPolicy::add_to_blacklist),
        ("whitelist", &policy.whitelist, TenantPolicy::add_to_whitelist),
        ("subject_filter", &policy.subject_filter, TenantPolicy::add_to_subject_filter),
    ];
    for (name, entries, add) in lists {
        for (index, entry) in entries.iter().enumerate() {
            if let Err(error) = add(&mut read, entry) {
                let refusal = Refusal::from(DirectoryError::from(error));
                let detail = refusal.detail.clone();
                return Err(match detail {
                    Some(detail) => refusal.at(format!("/{name}/{index}"), detail),
                    None => refusal,
                });
            }
        }
    }
    Ok(read)
}

pub(super) const OPERATIONS: &[Operation] = &[
    Operation {
        name: "read-policy",
        method: Method::Get,
        path: "/tenants/{tenant}/policy",
        action: Some(Action::PolicyRead),
        summary: "What the tenant lets in",
        query: &[],
        body: None,
        is_update: false,
        good: Good::one(shape::<Policy>),
        problems: &[],
        handler: |ask| {
            Box::pin(async move {
                let policy = ask.administration.policy(&ask.call, ask.tenant()?).await?;
                Ok(Reply::tagged(&show(&policy)))
            })
        },
    },
    Operation {
        name: "change-policy",
        method: Method::Put,
        path: "/tenants/{tenant}/policy",
        action: Some(Action::PolicyChange),
        summary: "Change what the tenant lets in",
        query: &[],
        body: Some(shape::<Policy>),
        is_update: true,
        good: Good::one(shape::<Policy>),
        problems: &[Kind::Invalid],
        handler: |ask| {
            Box::pin(async move {
                let policy = read(&ask.body()?)?;
                let tenant = ask.tenant()?;
                let seen = ask.administration.policy(&ask.call, tenant).await?;
                ask.must_match(&show(&seen))?;
                let changed = ask.administration.change_policy(&ask.call, tenant, &seen, &policy).await?;
                Ok(Reply::tagged(&show(&changed)))
            })
        },
    },
];
