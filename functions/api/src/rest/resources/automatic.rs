//! How letters of a member are answered and forwarded by themselves, and who may have them forwarded.

use pennypost_admin::{Action, SeenAutomatic, way_names};
use pennypost_directory::ForwardingRules;
use pennypost_directory::rules::{AutoForward, AutoReply, Automatic, Period, RulesError, RulesFault};
use pennypost_model::AccountId;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::receiving::{one_line_ends, targets};
use crate::rest::ask::id_in;
use crate::rest::operation::{Good, Method, Operation, shape};
use crate::rest::problem::details::{named_twice, rules_error};
use crate::rest::problem::{Kind, Refusal};
use crate::rest::reply::Reply;

/// How letters of a member are answered and forwarded by themselves. Holds from the next letters on, within some seconds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "Automatic")]
pub struct AutomaticDocument {
    /// How letters are answered; null: they are not.
    #[serde(default)]
    reply: Option<ReplyDocument>,
    /// Where letters are forwarded; null: nowhere.
    #[serde(default)]
    forward: Option<ForwardDocument>,
    /// Where the addresses lead to which letters are forwarded, by the member's rules, too. Only told.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    targets: Vec<TargetDocument>,
    /// Addresses elsewhere that have agreed. Only told.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    confirmed: Vec<String>,
    /// One to which a code went that was not said yet. Only told.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pending: Option<String>,
    /// The organisation lets the member forward letters by themselves: what is said of it otherwise is kept, and not carried
    /// out. Only told.
    #[serde(default)]
    may_forward: bool,
    /// What was said before is damaged, and can't be shown. Only told.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    unreadable: bool,
}

/// How letters are answered: each sender once in seven days at most, and no lists, machines or letters that do not name the member.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "AutomaticReply")]
pub struct ReplyDocument {
    /// They are answered.
    #[serde(default = "yes")]
    enabled: bool,
    /// What the answer is about, 100 characters at most, behind `Auto: `; empty: what the letter is about.
    #[serde(default)]
    subject: String,
    /// What it says: 1 to 400 characters.
    text: String,
    /// What it says to members of the organisation; null: the same.
    #[serde(default)]
    to_colleagues: Option<String>,
    /// Members of the organisation are answered, and nobody else.
    #[serde(default)]
    only_colleagues: bool,
    /// When; null: always.
    #[serde(default)]
    period: Option<PeriodDocument>,
}

/// A time: one end at least.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "AutomaticReplyPeriod")]
pub struct PeriodDocument {
    /// Then or later, as `2026-12-24T18:00` in the time zone.
    #[serde(default)]
    from: Option<String>,
    /// Before that.
    #[serde(default)]
    until: Option<String>,
    /// A time zone of the IANA, such as `Asia/Shanghai`.
    zone: String,
}

/// Where letters are forwarded: all that are not taken for spam, nor deleted by a rule.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "AutomaticForward")]
pub struct ForwardDocument {
    /// They are forwarded.
    #[serde(default = "yes")]
    enabled: bool,
    /// Addresses: 1 to 3, no groups of the organisation.
    to: Vec<String>,
    /// They stay in the mailbox, too; otherwise they lie in Trash, read.
    #[serde(default = "yes")]
    keep: bool,
}

/// An address to which letters are forwarded.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "ForwardTarget")]
pub struct TargetDocument {
    /// The address.
    address: String,
    /// `inside`: a colleague's; `confirmed`: elsewhere, and agreed. Otherwise nothing goes there, since it is `unconfirmed`,
    /// `not-allowed` by the organisation, a `group`, `nobody`'s, or the account's own (`oneself`), or since the account sends nothing
    /// outside the organisation (`kept-inside`).
    state: String,
}

/// An address elsewhere.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "ForwardTargetWish")]
struct Wish {
    /// The address, outside the organisation.
    address: String,
}

/// A code.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "ForwardTargetCode")]
struct Code {
    /// Eight digits, as they were sent.
    code: String,
}

/// Of whom something else is said.
#[derive(Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "ForwardingAccount")]
struct AccountDocument {
    /// The id of an account.
    account: String,
    /// It may have letters forwarded by themselves.
    allowed: bool,
}

/// Who may have letters forwarded by themselves.
#[derive(Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "Forwarding")]
struct ForwardingDocument {
    /// Everybody may of whom nothing else is said. Nobody may, where nothing was ever said.
    everybody: bool,
    /// Accounts of which something else is said: 1,000 at most.
    #[serde(default)]
    accounts: Vec<AccountDocument>,
}

const fn yes() -> bool {
    true
}

impl From<&SeenAutomatic> for AutomaticDocument {
    fn from(seen: &SeenAutomatic) -> AutomaticDocument {
        let Automatic { reply, forward } = &seen.automatic;
        let targets = way_names(&seen.ways).into_iter();
        AutomaticDocument {
            reply: reply.as_ref().map(show_reply),
            forward: forward.as_ref().map(|forward| ForwardDocument {
                enabled: forward.enabled,
                to: forward.to.iter().map(ToString::to_string).collect(),
                keep: forward.keep,
            }),
            targets: targets
                .map(|(address, state)| TargetDocument { address, state: state.to_owned() })
                .collect(),
            confirmed: seen.targets.proved.iter().map(|(address, _)| address.to_string()).collect(),
            pending: seen.targets.pending.as_ref().map(ToString::to_string),
            may_forward: seen.may_forward,
            unreadable: seen.unreadable,
        }
    }
}

fn show_reply(reply: &AutoReply) -> ReplyDocument {
    let period = reply.period.as_ref().map(|period| PeriodDocument {
        from: period.from.map(|from| period.shown(from)),
        until: period.until.map(|until| period.shown(until)),
        zone: period.zone.clone(),
    });
    ReplyDocument {
        enabled: reply.enabled,
        subject: reply.subject.clone(),
        text: reply.text.clone(),
        to_colleagues: reply.to_colleagues.clone(),
        only_colleagues: reply.only_colleagues,
        period,
    }
}

impl PeriodDocument {
    fn meant(self) -> Result<Period, RulesError> {
        let PeriodDocument { from, until, zone } = self;
        if Period::moment("2026-01-01", &zone).is_none() {
            return Err(RulesFault::Zone.at("/reply/period/zone"));
        }
        let moment = |text: Option<String>, name: &str| {
            let wrong = || RulesFault::Period.at(format!("/reply/period/{name}"));
            text.map(|text| Period::moment(&text, &zone).ok_or_else(wrong)).transpose()
        };
        let (from, until) = (moment(from, "from")?, moment(until, "until")?);
        Ok(Period { from, until, zone })
    }
}

impl AutomaticDocument {
    /// What is meant.
    ///
    /// # Errors
    /// What can't be, and where.
    pub fn meant(self) -> Result<Automatic, RulesError> {
        let reply = self.reply.map(|reply| -> Result<AutoReply, RulesError> {
            Ok(AutoReply {
                enabled: reply.enabled,
                subject: reply.subject.trim().to_owned(),
                text: one_line_ends(&reply.text),
                to_colleagues: reply.to_colleagues.as_deref().map(one_line_ends),
                only_colleagues: reply.only_colleagues,
                period: reply.period.map(PeriodDocument::meant).transpose()?,
            })
        });
        let forward = self.forward.map(|forward| -> Result<AutoForward, RulesError> {
            let to = targets(&forward.to, "/forward/to")?;
            Ok(AutoForward { enabled: forward.enabled, to, keep: forward.keep })
        });
        Ok(Automatic { reply: reply.transpose()?, forward: forward.transpose()? })
    }
}

fn show_forwarding(rules: &ForwardingRules) -> ForwardingDocument {
    let account = |(account, allowed): (&AccountId, &bool)| AccountDocument {
        account: account.to_string(),
        allowed: *allowed,
    };
    ForwardingDocument { everybody: rules.everybody, accounts: rules.accounts.iter().map(account).collect() }
}

fn forwarding_meant(document: &ForwardingDocument) -> Result<ForwardingRules, Refusal> {
    let mut rules = ForwardingRules { everybody: document.everybody, ..ForwardingRules::default() };
    for (number, AccountDocument { account, allowed }) in document.accounts.iter().enumerate() {
        let pointer = format!("/accounts/{number}");
        let id: AccountId = id_in(account, &format!("{pointer}/account"))?;
        if rules.accounts.insert(id, *allowed).is_some() {
            return Err(Refusal::new(Kind::Invalid, named_twice()).at(pointer, named_twice()));
        }
    }
    Ok(rules)
}

const PATH: &str = "/tenants/{tenant}/accounts/{account}/automatic";
const TARGETS: &str = "/tenants/{tenant}/accounts/{account}/forward-targets";

pub(super) const OPERATIONS: &[Operation] = &[
    Operation::new(
        (Method::Get, PATH, "read-automatic"),
        Action::AutomaticRead,
        "How letters of a member are answered and forwarded by themselves, and what of it is carried out",
        Good::one(shape::<AutomaticDocument>),
        |ask| {
            Box::pin(async move {
                let seen = ask.administration.automatic(&ask.call, ask.account()?).await?;
                Ok(Reply::tagged(&AutomaticDocument::from(&seen)))
            })
        },
    ),
    Operation::new(
        (Method::Put, PATH, "change-automatic"),
        Action::AutomaticChange,
        "Say how letters of a member are answered and forwarded by themselves",
        Good::one(shape::<AutomaticDocument>),
        |ask| {
            Box::pin(async move {
                let (key, document): (_, AutomaticDocument) = (ask.account()?, ask.body()?);
                let automatic = document.meant().map_err(|error| rules_error(&error))?;
                let seen = ask.administration.automatic(&ask.call, key).await?;
                ask.must_match(&AutomaticDocument::from(&seen))?;
                let seen = ask.administration.change_automatic(&ask.call, key, &seen, &automatic).await?;
                Ok(Reply::tagged(&AutomaticDocument::from(&seen)))
            })
        },
    )
    .with(shape::<AutomaticDocument>)
    .update()
    .refusing(&[Kind::Invalid, Kind::Unknown]),
    Operation::new(
        (Method::Post, TARGETS, "begin-forward-target"),
        Action::ForwardTargetSet,
        "Have a code sent to an address elsewhere to which one's own letters are to be forwarded",
        Good::NOTHING,
        |ask| {
            Box::pin(async move {
                let Wish { address } = ask.body()?;
                ask.administration.begin_forward_target(&ask.call, ask.account()?, &address).await?;
                Ok(Reply::nothing())
            })
        },
    )
    .with(shape::<Wish>)
    .refusing(&[Kind::Invalid, Kind::OtherState]),
    Operation::new(
        (
            Method::Post,
            "/tenants/{tenant}/accounts/{account}/forward-targets/confirmation",
            "finish-forward-target",
        ),
        Action::ForwardTargetSet,
        "Say the code that was sent: letters may be forwarded to that address from now on",
        Good::told(shape::<AutomaticDocument>),
        |ask| {
            Box::pin(async move {
                let Code { code } = ask.body()?;
                let key = ask.account()?;
                let seen = ask.administration.finish_forward_target(&ask.call, key, &code).await?;
                Ok(Reply::document(&AutomaticDocument::from(&seen)))
            })
        },
    )
    .with(shape::<Code>)
    .refusing(&[Kind::WrongCode]),
    Operation::new(
        (
            Method::Post,
            "/tenants/{tenant}/accounts/{account}/forward-targets/removal",
            "remove-forward-target",
        ),
        Action::ForwardTargetSet,
        "Forward nothing to an address elsewhere any more, until its owner agrees anew",
        Good::NOTHING,
        |ask| {
            Box::pin(async move {
                let Wish { address } = ask.body()?;
                ask.administration.remove_forward_target(&ask.call, ask.account()?, &address).await?;
                Ok(Reply::nothing())
            })
        },
    )
    .with(shape::<Wish>)
    .refusing(&[Kind::Invalid]),
    Operation::new(
        (Method::Get, "/tenants/{tenant}/forwarding", "read-forwarding"),
        Action::ForwardingRead,
        "Who may have letters forwarded by themselves",
        Good::one(shape::<ForwardingDocument>),
        |ask| {
            Box::pin(async move {
                let rules = ask.administration.forwarding_rules(&ask.call, ask.tenant()?).await?;
                Ok(Reply::tagged(&show_forwarding(&rules)))
            })
        },
    ),
    Operation::new(
        (Method::Put, "/tenants/{tenant}/forwarding", "change-forwarding"),
        Action::ForwardingChange,
        "Say who may have letters forwarded by themselves: what members have said is kept meanwhile",
        Good::one(shape::<ForwardingDocument>),
        |ask| {
            Box::pin(async move {
                let (tenant, document): (_, ForwardingDocument) = (ask.tenant()?, ask.body()?);
                let rules = forwarding_meant(&document)?;
                let seen = ask.administration.forwarding_rules(&ask.call, tenant).await?;
                ask.must_match(&show_forwarding(&seen))?;
                ask.administration.change_forwarding_rules(&ask.call, tenant, &seen, &rules).await?;
                Ok(Reply::tagged(&show_forwarding(&rules)))
            })
        },
    )
    .with(shape::<ForwardingDocument>)
    .update()
    .refusing(&[Kind::Invalid, Kind::Unknown]),
];
