//! Letters to others outside the organisation: who sends none, and how often the others may.

use std::collections::{BTreeMap, BTreeSet};

use pennypost_admin::{Action, DepartmentId};
use pennypost_directory::{BadFrequency, Frequency, Outward, SendingRules, SendingTarget, TagId};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::rest::ask::id_in;
use crate::rest::operation::{Good, Method, Operation, or_null, shape};
use crate::rest::problem::details::{bad_frequency, named_twice};
use crate::rest::problem::{Kind, Refusal};
use crate::rest::reply::Reply;

/// Of whom something is said.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
#[schemars(rename = "SendingTarget")]
pub(crate) enum Target {
    /// The number of a department: its members, and those of departments below it. 1 is the organisation.
    Department(u32),
    /// The number of a tag: whom it marks, with the members in and below the departments that it marks.
    Tag(u32),
    /// The id of an account: a member, or a business mailbox.
    Account(String),
}

/// So many messages within so many minutes, counted from the first of them.
#[derive(Clone, Copy, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "SendingFrequency")]
pub(crate) struct Limit {
    /// 1 to 1,000,000.
    messages: u32,
    /// 1 to 44,640, which are 31 days.
    minutes: u32,
}

/// How often somebody may send outside.
#[derive(Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "SendingLimit")]
pub(crate) struct LimitOf {
    /// Of whom it is said.
    of: Target,
    /// How often; null: as often as he likes, whatever is said of others.
    #[serde(deserialize_with = "Option::deserialize")]
    #[schemars(required, schema_with = "or_null::<Limit>")]
    limit: Option<Limit>,
}

/// What an organisation says of letters to others outside it. What stays within it is not meant.
#[derive(Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "SendingRules")]
pub(crate) struct Rules {
    /// They send nothing outside: 1,000 at most.
    forbidden: Vec<Target>,
    /// How often each account may that nothing else is said of; null: as often as it likes.
    #[serde(default)]
    everybody: Option<Limit>,
    /// How often these may: 1,000 at most. What is said of an account itself goes before what is said of a tag, that before
    /// the nearest of its departments, and that before `everybody`. Of several tags or departments the least holds. 50 tags at
    /// most are named here and in `forbidden`.
    limits: Vec<LimitOf>,
}

/// What holds for an account's letters to others outside its organisation.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "AccountSending")]
pub(crate) struct Sending {
    /// It sends none.
    forbidden: bool,
    /// How often it may; null: as often as it likes, or not at all.
    limit: Option<Limit>,
    /// Messages since the first that counts; null without a limit.
    sent: Option<u64>,
    /// When it begins anew; null where nothing counts.
    until: Option<String>,
}

pub(super) fn show_target(target: SendingTarget) -> Target {
    match target {
        SendingTarget::Department(id) => Target::Department(id.0),
        SendingTarget::Tag(id) => Target::Tag(id.0),
        SendingTarget::Account(id) => Target::Account(id.to_string()),
    }
}

const fn show_limit(limit: Frequency) -> Limit {
    Limit { messages: limit.messages(), minutes: limit.minutes() }
}

fn show(rules: &SendingRules) -> Rules {
    let limit_of = |(target, limit): (&SendingTarget, &Option<Frequency>)| LimitOf {
        of: show_target(*target),
        limit: limit.map(show_limit),
    };
    Rules {
        forbidden: rules.forbidden.iter().copied().map(show_target).collect(),
        everybody: rules.everybody.map(show_limit),
        limits: rules.limits.iter().map(limit_of).collect(),
    }
}

fn target_meant(target: &Target, pointer: &str) -> Result<SendingTarget, Refusal> {
    Ok(match target {
        Target::Department(id) => SendingTarget::Department(DepartmentId(*id)),
        Target::Tag(id) => SendingTarget::Tag(TagId(*id)),
        Target::Account(id) => SendingTarget::Account(id_in(id, &format!("{pointer}/account"))?),
    })
}

fn limit_meant(limit: Limit, pointer: &str) -> Result<Frequency, Refusal> {
    Frequency::new(limit.messages, limit.minutes).map_err(|error: BadFrequency| {
        Refusal::new(Kind::Invalid, bad_frequency(error)).at(pointer.to_owned(), bad_frequency(error))
    })
}

fn meant(rules: &Rules) -> Result<SendingRules, Refusal> {
    let twice = |pointer: String| Refusal::new(Kind::Invalid, named_twice()).at(pointer, named_twice());
    let mut forbidden = BTreeSet::new();
    for (number, target) in rules.forbidden.iter().enumerate() {
        let pointer = format!("/forbidden/{number}");
        if !forbidden.insert(target_meant(target, &pointer)?) {
            return Err(twice(pointer));
        }
    }
    let mut limits = BTreeMap::new();
    for (number, LimitOf { of, limit }) in rules.limits.iter().enumerate() {
        let pointer = format!("/limits/{number}");
        let limit = limit.map(|limit| limit_meant(limit, &format!("{pointer}/limit"))).transpose()?;
        if limits.insert(target_meant(of, &format!("{pointer}/of"))?, limit).is_some() {
            return Err(twice(pointer));
        }
    }
    let everybody = rules.everybody.map(|limit| limit_meant(limit, "/everybody")).transpose()?;
    Ok(SendingRules { forbidden, everybody, limits })
}

pub(super) const OPERATIONS: &[Operation] = &[
    Operation::new(
        (Method::Get, "/tenants/{tenant}/sending-rules", "read-sending-rules"),
        Action::SendingRulesRead,
        "Who sends nothing outside the organisation, and how often the others may",
        Good::one(shape::<Rules>),
        |ask| {
            Box::pin(async move {
                let rules = ask.administration.sending_rules(&ask.call, ask.tenant()?).await?;
                Ok(Reply::tagged(&show(&rules)))
            })
        },
    ),
    Operation::new(
        (Method::Put, "/tenants/{tenant}/sending-rules", "change-sending-rules"),
        Action::SendingRulesChange,
        "Say who sends nothing outside the organisation, and how often the others may: it holds at once",
        Good::one(shape::<Rules>),
        |ask| {
            Box::pin(async move {
                let (tenant, rules): (_, Rules) = (ask.tenant()?, ask.body()?);
                let rules = meant(&rules)?;
                let seen = ask.administration.sending_rules(&ask.call, tenant).await?;
                ask.must_match(&show(&seen))?;
                ask.administration.change_sending_rules(&ask.call, tenant, &seen, &rules).await?;
                Ok(Reply::tagged(&show(&rules)))
            })
        },
    )
    .with(shape::<Rules>)
    .update()
    .refusing(&[Kind::Invalid, Kind::Unknown]),
    Operation::new(
        (Method::Get, "/tenants/{tenant}/accounts/{account}/sending", "read-account-sending"),
        Action::AccountRead,
        "What holds for an account's letters outside the organisation, and how many it has sent of late",
        Good::told(shape::<Sending>),
        |ask| {
            Box::pin(async move {
                let found = ask.administration.account_sending(&ask.call, ask.account()?).await?;
                let limit = if let Outward::Open(limit) = found.outward { limit } else { None };
                Ok(Reply::document(&Sending {
                    forbidden: found.outward == Outward::Forbidden,
                    limit: limit.map(show_limit),
                    sent: found.used.map(|used| used.messages),
                    until: found.used.and_then(|used| used.until).map(|until| until.rfc3339()),
                }))
            })
        },
    ),
];
