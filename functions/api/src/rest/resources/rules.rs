//! Rules of groups: who may send to them, who speaks for them, members by department and tag.

use std::collections::BTreeSet;

use pennypost_admin::{Action, DepartmentId};
use pennypost_directory::{GroupRules, MailAddress, TagId};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::tags::accounts_in;
use crate::rest::operation::{Good, Method, Operation, shape};
use crate::rest::problem::{Kind, Refusal};
use crate::rest::reply::Reply;

/// Who may send to a group.
#[derive(Clone, Copy, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Senders {
    /// Everybody, also from outside.
    Everyone,
    /// Every account of the tenant.
    Inside,
    /// Members, and those that are named.
    Members,
    /// Only those that are named.
    Named,
}

/// The rules of a group.
#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Rules {
    /// Who may send to it.
    senders: Senders,
    /// Who else may: addresses of accounts and groups of the tenant, and outside. 500 at most, as of all lists here.
    #[serde(default)]
    named: BTreeSet<String>,
    /// The numbers of departments whose members may, too, and those of departments below them.
    #[serde(default)]
    named_departments: BTreeSet<u32>,
    /// The ids of accounts that may send in its name, and always to it.
    #[serde(default)]
    representatives: Vec<String>,
    /// It is in the directory that members see.
    #[serde(default)]
    shared: bool,
    /// It takes no mail.
    #[serde(default)]
    disabled: bool,
    /// The numbers of departments: everybody in and below them is a member.
    #[serde(default)]
    departments: BTreeSet<u32>,
    /// The numbers of tags: everybody whom they mark is a member.
    #[serde(default)]
    tags: BTreeSet<u32>,
    /// The department whose group it is: its name and members follow. Nobody changes it.
    #[serde(default)]
    follows: Option<u32>,
}

impl From<Senders> for pennypost_directory::Senders {
    fn from(senders: Senders) -> pennypost_directory::Senders {
        match senders {
            Senders::Everyone => pennypost_directory::Senders::Everyone,
            Senders::Inside => pennypost_directory::Senders::Inside,
            Senders::Members => pennypost_directory::Senders::Members,
            Senders::Named => pennypost_directory::Senders::Named,
        }
    }
}

impl From<pennypost_directory::Senders> for Senders {
    fn from(senders: pennypost_directory::Senders) -> Senders {
        match senders {
            pennypost_directory::Senders::Everyone => Senders::Everyone,
            pennypost_directory::Senders::Inside => Senders::Inside,
            pennypost_directory::Senders::Members => Senders::Members,
            pennypost_directory::Senders::Named => Senders::Named,
        }
    }
}

fn show(rules: &GroupRules) -> Rules {
    Rules {
        senders: rules.senders.into(),
        named: rules.named.iter().map(ToString::to_string).collect(),
        named_departments: rules.named_departments.iter().map(|id| id.0).collect(),
        representatives: rules.representatives.iter().map(ToString::to_string).collect(),
        shared: rules.is_shared,
        disabled: rules.is_disabled,
        departments: rules.departments.iter().map(|id| id.0).collect(),
        tags: rules.tags.iter().map(|tag| tag.0).collect(),
        follows: rules.follows.map(|id| id.0),
    }
}

fn read(rules: &Rules) -> Result<GroupRules, Refusal> {
    let mut named = BTreeSet::new();
    for (index, address) in rules.named.iter().enumerate() {
        let parsed = MailAddress::parse(address).map_err(pennypost_directory::DirectoryError::from);
        named.insert(parsed.map_err(|error| {
            let refusal = Refusal::from(error);
            match refusal.detail.clone() {
                Some(detail) => refusal.at(format!("/named/{index}"), detail),
                None => refusal,
            }
        })?);
    }
    Ok(GroupRules {
        senders: rules.senders.into(),
        named,
        named_departments: rules.named_departments.iter().copied().map(DepartmentId).collect(),
        representatives: accounts_in(&rules.representatives, "/representatives")?,
        is_shared: rules.shared,
        is_disabled: rules.disabled,
        departments: rules.departments.iter().copied().map(DepartmentId).collect(),
        tags: rules.tags.iter().copied().map(TagId).collect(),
        follows: rules.follows.map(DepartmentId),
    })
}

pub(super) const OPERATIONS: &[Operation] = &[
    Operation::new(
        (Method::Get, "/tenants/{tenant}/groups/{group}/rules", "read-group-rules"),
        Action::GroupRead,
        "Who may send to a group, who speaks for it, and its members by department and tag",
        Good::one(shape::<Rules>),
        |ask| {
            Box::pin(async move {
                let rules =
                    ask.administration.group_rules(&ask.call, ask.tenant()?, ask.word("group")).await?;
                Ok(Reply::tagged(&show(&rules)))
            })
        },
    ),
    Operation::new(
        (Method::Put, "/tenants/{tenant}/groups/{group}/rules", "change-group-rules"),
        Action::GroupChange,
        "Replace the rules of a group",
        Good::one(shape::<Rules>),
        |ask| {
            Box::pin(async move {
                let rules = read(&ask.body()?)?;
                let (tenant, group) = (ask.tenant()?, ask.word("group"));
                let seen = ask.administration.group_rules(&ask.call, tenant, group).await?;
                ask.must_match(&show(&seen))?;
                let changing = ask.administration.change_group_rules(&ask.call, tenant, group, &seen, &rules);
                Ok(Reply::tagged(&show(&changing.await?)))
            })
        },
    )
    .with(shape::<Rules>)
    .update()
    .refusing(&[Kind::Unknown, Kind::Invalid]),
];
