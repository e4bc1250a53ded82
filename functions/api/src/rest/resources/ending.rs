//! The end of tenants: when it comes, what stands in the way of it, and how far everything is erased.

use pennypost_admin::{Action, EndingRules};
use pennypost_model::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::page_of;
use crate::rest::ask::rows;
use crate::rest::operation::{Good, Method, Operation, PAGE, shape};
use crate::rest::problem::Kind;
use crate::rest::reply::Reply;

/// How far the end of a tenant is.
#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum EndState {
    /// It has not come.
    Open,
    /// It has come; all is there still.
    Ended,
    /// It has come, and the operator holds what there is.
    Held,
    /// What there is is being erased.
    Erasing,
    /// Nothing is there any more.
    Erased,
}

/// Why a tenant has ended, or will.
#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum EndCause {
    /// Its term is over.
    Term,
    /// A free one, to whose domains mail has not been brought for 30 days in a row.
    NoMail,
    /// The operator has ordered that it is erased.
    Ordered,
}

/// The operator holds what there is.
#[derive(Serialize, JsonSchema)]
pub(crate) struct LegalHold {
    /// Why.
    reason: String,
    /// Since when.
    since: String,
}

/// An order of the operator that everything is erased.
#[derive(Serialize, JsonSchema)]
pub(crate) struct ErasureOrder {
    /// Why.
    reason: String,
    /// When it was ordered.
    at: String,
    /// Not before then.
    from: String,
}

/// What was erased so far: at least so many.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "ErasedCounts")]
pub(crate) struct Erased {
    /// Domains that others may have now.
    domains: u64,
    /// Accounts with mail.
    accounts: u64,
    /// Objects: packs, bases, segments, spooled letters, files.
    objects: u64,
    /// Letters that waited to be sent, and such as could not be dealt with.
    letters: u64,
    /// Items of the control table.
    items: u64,
    /// Pieces of logs.
    records: u64,
}

/// The end of a tenant.
#[derive(Serialize, JsonSchema)]
pub(crate) struct Ending {
    /// 16 hex digits.
    tenant: String,
    /// What it is called, or was.
    name: String,
    /// How far it is.
    state: EndState,
    /// Why; null where no end is in sight.
    cause: Option<EndCause>,
    /// When it has ended, or will.
    ended: Option<String>,
    /// From then on everything is erased: back up before. Null: not by itself.
    erased_from: Option<String>,
    /// The operator holds it.
    hold: Option<LegalHold>,
    /// The operator has ordered it.
    order: Option<ErasureOrder>,
    /// When erasing began.
    begun: Option<String>,
    /// When nothing was left.
    erased: Option<String>,
    /// What was erased so far.
    counts: Erased,
}

page_of!(Endings, Ending);

/// An order that everything of a tenant is erased.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewErasure {
    /// The tenant's name: that it is this one.
    name: String,
    /// Why: 1 to 500 characters, which administrators read.
    reason: String,
    /// Days until it is carried out, 0 to 365; 7, if nothing is said.
    #[serde(default = "a_week")]
    days: u32,
}

const fn a_week() -> u32 {
    7
}

/// Why a tenant is held.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewHold {
    /// 1 to 500 characters, which administrators read.
    reason: String,
}

/// How long tenants that have ended are kept.
#[derive(Clone, Copy, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "EndingRules")]
pub(crate) struct Rules {
    /// Days from the end until everything is erased, 14 to 3650; null: at the operator's order only.
    grace_days: Option<u32>,
}

fn show(ending: pennypost_admin::Ending) -> Ending {
    use pennypost_admin::{EndCause as Cause, EndState as State};
    let time = |time: Option<Timestamp>| time.map(Timestamp::rfc3339);
    let counts = ending.counts;
    Ending {
        tenant: ending.tenant.to_string(),
        name: ending.name,
        state: match ending.state {
            State::Open => EndState::Open,
            State::Ended => EndState::Ended,
            State::Held => EndState::Held,
            State::Erasing => EndState::Erasing,
            State::Erased => EndState::Erased,
        },
        cause: ending.cause.map(|cause| match cause {
            Cause::Term => EndCause::Term,
            Cause::NoMail => EndCause::NoMail,
            Cause::Ordered => EndCause::Ordered,
        }),
        ended: time(ending.ended),
        erased_from: time(ending.erased_from),
        hold: ending.hold.map(|hold| LegalHold { reason: hold.reason, since: hold.since.rfc3339() }),
        order: ending.order.map(|order| ErasureOrder {
            reason: order.reason,
            at: order.at.rfc3339(),
            from: order.from.rfc3339(),
        }),
        begun: time(ending.begun),
        erased: time(ending.erased),
        counts: Erased {
            domains: counts.domains,
            accounts: counts.accounts,
            objects: counts.objects,
            letters: counts.letters,
            items: counts.items,
            records: counts.records,
        },
    }
}

const fn show_rules(rules: EndingRules) -> Rules {
    Rules { grace_days: rules.grace_days }
}

pub(super) const OPERATIONS: &[Operation] = &[
    Operation::new(
        (Method::Get, "/tenants/{tenant}/ending", "read-ending"),
        Action::TenantRead,
        "The end of the tenant: has it come, and when will everything be erased",
        Good::told(shape::<Ending>),
        |ask| {
            Box::pin(async move {
                let ending = ask.administration.ending(&ask.call, ask.tenant()?).await?;
                Ok(Reply::document(&show(ending)))
            })
        },
    ),
    Operation::new(
        (Method::Post, "/tenants/{tenant}/ending/erasure", "order-erasure"),
        Action::TenantErase,
        "As the operator: order that everything of the tenant is erased, for good",
        Good::told(shape::<Ending>),
        |ask| {
            Box::pin(async move {
                let NewErasure { name, reason, days } = ask.body()?;
                let it = &ask.administration;
                let ending = it.order_erasure(&ask.call, ask.tenant()?, &name, &reason, days).await?;
                Ok(Reply::document(&show(ending)))
            })
        },
    )
    .with(shape::<NewErasure>)
    .refusing(&[Kind::Invalid]),
    Operation::new(
        (Method::Delete, "/tenants/{tenant}/ending/erasure", "withdraw-erasure"),
        Action::TenantErasureWithdraw,
        "As the operator: withdraw that order, until it has begun to be carried out",
        Good::NOTHING,
        |ask| {
            Box::pin(async move {
                ask.administration.withdraw_erasure(&ask.call, ask.tenant()?).await?;
                Ok(Reply::nothing())
            })
        },
    ),
    Operation::new(
        (Method::Put, "/tenants/{tenant}/ending/hold", "hold-tenant"),
        Action::TenantHold,
        "As the operator: hold what there is of the tenant, whatever ends or is ordered",
        Good::told(shape::<Ending>),
        |ask| {
            Box::pin(async move {
                let NewHold { reason } = ask.body()?;
                let held = ask.administration.hold_tenant(&ask.call, ask.tenant()?, Some(&reason)).await?;
                Ok(Reply::document(&show(held)))
            })
        },
    )
    .with(shape::<NewHold>)
    .refusing(&[Kind::Invalid]),
    Operation::new(
        (Method::Delete, "/tenants/{tenant}/ending/hold", "release-tenant"),
        Action::TenantHold,
        "As the operator: hold it no longer",
        Good::NOTHING,
        |ask| {
            Box::pin(async move {
                ask.administration.hold_tenant(&ask.call, ask.tenant()?, None).await?;
                Ok(Reply::nothing())
            })
        },
    ),
    Operation::new(
        (Method::Get, "/endings", "list-endings"),
        Action::EndingList,
        "List tenants that have ended, are held, are to be erased or were",
        Good::list(shape::<Endings>),
        |ask| {
            Box::pin(async move {
                let listed = ask.administration.endings(&ask.call, &ask.page()?).await?;
                Ok(Reply::document(&rows(listed, show)))
            })
        },
    )
    .asking(PAGE),
    Operation::new(
        (Method::Get, "/ending-rules", "read-ending-rules"),
        Action::EndingRulesRead,
        "How long tenants that have ended are kept",
        Good::one(shape::<Rules>),
        |ask| {
            Box::pin(async move {
                Ok(Reply::tagged(&show_rules(ask.administration.ending_rules(&ask.call).await?)))
            })
        },
    ),
    Operation::new(
        (Method::Put, "/ending-rules", "change-ending-rules"),
        Action::EndingRulesChange,
        "Say how long tenants that have ended are kept",
        Good::one(shape::<Rules>),
        |ask| {
            Box::pin(async move {
                let Rules { grace_days } = ask.body()?;
                let seen = ask.administration.ending_rules(&ask.call).await?;
                ask.must_match(&show_rules(seen))?;
                let rules = EndingRules { grace_days };
                let changed = ask.administration.change_ending_rules(&ask.call, seen, rules).await?;
                Ok(Reply::tagged(&show_rules(changed)))
            })
        },
    )
    .with(shape::<Rules>)
    .update()
    .refusing(&[Kind::Invalid]),
];
