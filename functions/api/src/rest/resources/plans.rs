//! Plans of tenants, their seats, and who has a VIP seat.

use std::collections::BTreeSet;

use pennypost_admin::Action;
use pennypost_directory as directory;
use pennypost_directory::{Capacities, Function};
use pennypost_model::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::accounts::{Account, Accounts, show as show_account, shown as shown_account};
use crate::rest::ask::{rows, time};
use crate::rest::operation::{Good, Method, Operation, PAGE, shape};
use crate::rest::problem::details::no_function;
use crate::rest::problem::{Kind, Refusal};
use crate::rest::reply::Reply;

/// Is it known who the tenant is? The operator's word.
#[derive(Clone, Copy, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum TenantVerification {
    /// No.
    #[default]
    Unverified,
    /// It has shown that it is real.
    Verified,
    /// Somebody who certifies has looked at its documents.
    Certified,
}

/// Has the plan been paid? The operator's word.
#[derive(Clone, Copy, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Payment {
    /// It costs nothing.
    #[default]
    Free,
    /// It is tried out.
    Trial,
    /// It was ordered.
    Unpaid,
    /// It was paid.
    Paid,
}

/// Bytes that mailboxes may hold; null: any number.
#[derive(Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct MailboxCapacities {
    /// A member's without a VIP seat.
    ordinary: Option<u64>,
    /// A member's with one.
    vip: Option<u64>,
    /// A business mailbox.
    business: Option<u64>,
}

/// A plan.
#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Plan {
    /// What it is called: 1 to 50 characters.
    edition: String,
    /// Functions that are switched on: address-rules, backup, api, graded-administrators, more-domains, long-logs, member-cards.
    #[serde(default)]
    functions: Vec<String>,
    /// Members' accounts that there may be, with VIP seats and without; null: any number.
    #[serde(default)]
    seats: Option<u32>,
    /// How many of these may have a VIP seat.
    #[serde(default)]
    vip_seats: u32,
    /// Business mailboxes that there may be beside one for each free VIP seat; null: any number.
    #[serde(default)]
    business_mailboxes: Option<u32>,
    /// What mailboxes may hold.
    #[serde(default)]
    capacities: MailboxCapacities,
    /// Messages that the tenant may send in a day; null: any number.
    #[serde(default)]
    daily_messages: Option<u64>,
    /// Messages in a day instead, once it is known who the tenant is; null: as many as before.
    #[serde(default)]
    verified_daily_messages: Option<u64>,
    /// Messages that each account may send in a day, if nothing else is said of it; null: any number.
    #[serde(default)]
    account_daily_messages: Option<u64>,
    /// When service began.
    #[serde(default)]
    starts: Option<String>,
    /// From then on nobody signs in and mail is put off; null: it does not end.
    #[serde(default)]
    ends: Option<String>,
    /// Is it known who the tenant is?
    #[serde(default)]
    verification: TenantVerification,
    /// Has it been paid?
    #[serde(default)]
    payment: Payment,
    /// Until when a trial lasts, or an order has to be paid; null: 15 days, or 7.
    #[serde(default)]
    pay_by: Option<String>,
}

/// The seats of a tenant, as its plan stands now.
#[derive(Serialize, JsonSchema)]
pub(crate) struct Seats {
    /// The plan was not paid in time: it has no functions and no VIP seats, and mailboxes hold what the basic edition lets
    /// them.
    lowered: bool,
    /// Members' accounts that there may be; null: any number.
    seats: Option<u32>,
    /// Members' accounts that there are. What is being done at the moment counts as done.
    members: u32,
    /// VIP seats that there are.
    vip_seats: u32,
    /// VIP seats that members have.
    vip_members: u32,
    /// VIP seats that business mailboxes use.
    vip_by_business: u32,
    /// VIP seats that are free.
    vip_free: u32,
    /// Business mailboxes that there may be at present; null: any number.
    business_allowed: Option<u32>,
    /// Business mailboxes that there are.
    business_mailboxes: u32,
}

/// What may be sent in a day.
#[derive(Serialize, JsonSchema)]
pub(crate) struct Allowance {
    /// Messages that may be sent in a day, which begins at midnight UTC; null: any number.
    limit: Option<u64>,
    /// Messages of today; of those nobody counts, none.
    used: u64,
    /// Messages that may still be sent today; null: any number.
    left: Option<u64>,
}

/// What an account may send in a day.
#[derive(Serialize, JsonSchema)]
pub(crate) struct AccountAllowance {
    /// Messages that it may send in a day; null: any number.
    limit: Option<u64>,
    /// What is said of it alone; null: what the plan says of each account.
    exception: Option<u64>,
    /// Messages of today; of those nobody counts, none.
    used: u64,
    /// Messages that it may still send today; null: any number.
    left: Option<u64>,
}

/// How many messages an account may send in a day, where the plan says it of each.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewAllowance {
    /// Null: as many as the plan says.
    messages: Option<u64>,
}

/// Is a member to have a VIP seat?
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Vip {
    /// Yes or no.
    vip: bool,
}

fn show(plan: directory::Plan) -> Plan {
    let Capacities { ordinary, vip, business } = plan.capacities;
    let functions = plan.switched_on().map(|function| function.name().to_owned()).collect();
    Plan {
        edition: plan.edition,
        functions,
        seats: plan.seats,
        vip_seats: plan.vip_seats,
        business_mailboxes: plan.business_mailboxes,
        capacities: MailboxCapacities { ordinary, vip, business },
        daily_messages: plan.daily_messages,
        verified_daily_messages: plan.verified_daily_messages,
        account_daily_messages: plan.account_daily_messages,
        starts: plan.starts.map(Timestamp::rfc3339),
        ends: plan.ends.map(Timestamp::rfc3339),
        verification: match plan.verification {
            directory::Verification::Unverified => TenantVerification::Unverified,
            directory::Verification::Verified => TenantVerification::Verified,
            directory::Verification::Certified => TenantVerification::Certified,
        },
        payment: match plan.payment {
            directory::Payment::Free => Payment::Free,
            directory::Payment::Trial => Payment::Trial,
            directory::Payment::Unpaid => Payment::Unpaid,
            directory::Payment::Paid => Payment::Paid,
        },
        pay_by: plan.pay_by.map(Timestamp::rfc3339),
    }
}

fn meant(plan: Plan) -> Result<directory::Plan, Refusal> {
    let mut functions = BTreeSet::new();
    for (number, name) in plan.functions.iter().enumerate() {
        let function = name.parse::<Function>().map_err(|error| {
            let detail = no_function(&error);
            Refusal::new(Kind::Invalid, detail.clone()).at(format!("/functions/{number}"), detail)
        })?;
        functions.insert(function);
    }
    let MailboxCapacities { ordinary, vip, business } = plan.capacities;
    Ok(directory::Plan {
        edition: plan.edition,
        functions,
        seats: plan.seats,
        vip_seats: plan.vip_seats,
        business_mailboxes: plan.business_mailboxes,
        capacities: Capacities { ordinary, vip, business },
        daily_messages: plan.daily_messages,
        verified_daily_messages: plan.verified_daily_messages,
        account_daily_messages: plan.account_daily_messages,
        starts: time(plan.starts.as_ref(), "/starts")?,
        ends: time(plan.ends.as_ref(), "/ends")?,
        verification: match plan.verification {
            TenantVerification::Unverified => directory::Verification::Unverified,
            TenantVerification::Verified => directory::Verification::Verified,
            TenantVerification::Certified => directory::Verification::Certified,
        },
        payment: match plan.payment {
            Payment::Free => directory::Payment::Free,
            Payment::Trial => directory::Payment::Trial,
            Payment::Unpaid => directory::Payment::Unpaid,
            Payment::Paid => directory::Payment::Paid,
        },
        pay_by: time(plan.pay_by.as_ref(), "/pay_by")?,
        ..directory::Plan::basic()
    })
}

fn show_allowance((limit, known): (Option<u64>, directory::AccountAllowance)) -> AccountAllowance {
    AccountAllowance {
        limit,
        exception: known.exception,
        used: known.sent,
        left: limit.map(|limit| limit.saturating_sub(known.sent)),
    }
}

fn show_seats(seats: pennypost_admin::Seats) -> Seats {
    let pennypost_admin::Seats { limits, taken, is_lowered } = seats;
    let vip_by_business = limits.vip_by_business(taken.business);
    Seats {
        lowered: is_lowered,
        seats: limits.seats,
        members: taken.members,
        vip_seats: limits.vip_seats,
        vip_members: taken.vip,
        vip_by_business,
        vip_free: limits.vip_seats.saturating_sub(taken.vip).saturating_sub(vip_by_business),
        business_allowed: limits.business_allowed(taken.vip),
        business_mailboxes: taken.business,
    }
}

pub(super) const OPERATIONS: &[Operation] = &[
    Operation::new(
        (Method::Get, "/tenants/{tenant}/plan", "read-plan"),
        Action::PlanRead,
        "The plan of a tenant; null: it has none, and is limited by nothing",
        Good::one(shape::<Option<Plan>>),
        |ask| {
            Box::pin(async move {
                let plan = ask.administration.plan(&ask.call, ask.tenant()?).await?;
                Ok(Reply::tagged(&plan.map(show)))
            })
        },
    ),
    Operation::new(
        (Method::Put, "/tenants/{tenant}/plan", "change-plan"),
        Action::PlanChange,
        "As the operator: give a tenant a plan, say that it has paid, or that it is known who it is",
        Good::one(shape::<Option<Plan>>),
        |ask| {
            Box::pin(async move {
                let plan = meant(ask.body()?)?;
                let tenant = ask.tenant()?;
                let seen = ask.administration.plan_for(&ask.call, tenant).await?;
                ask.must_match(&seen.clone().map(show))?;
                let changed = ask.administration.change_plan(&ask.call, tenant, seen.as_ref(), &plan).await?;
                Ok(Reply::tagged(&Some(show(changed))))
            })
        },
    )
    .with(shape::<Plan>)
    .update()
    .refusing(&[Kind::Invalid]),
    Operation::new(
        (Method::Get, "/tenants/{tenant}/seats", "read-seats"),
        Action::PlanRead,
        "What is taken of the seats of a tenant; null: it has no plan, and nobody counts",
        Good::told(shape::<Option<Seats>>),
        |ask| {
            Box::pin(async move {
                let seats = ask.administration.seats(&ask.call, ask.tenant()?).await?;
                Ok(Reply::document(&seats.map(show_seats)))
            })
        },
    ),
    Operation::new(
        (Method::Get, "/tenants/{tenant}/allowance", "read-allowance"),
        Action::PlanRead,
        "How many messages the tenant may send in a day, and has sent today",
        Good::told(shape::<Allowance>),
        |ask| {
            Box::pin(async move {
                let (limit, used) = ask.administration.tenant_allowance(&ask.call, ask.tenant()?).await?;
                let left = limit.map(|limit| limit.saturating_sub(used));
                Ok(Reply::document(&Allowance { limit, used, left }))
            })
        },
    ),
    Operation::new(
        (Method::Get, "/tenants/{tenant}/accounts/{account}/allowance", "read-account-allowance"),
        Action::AccountRead,
        "How many messages the account may send in a day, and has sent today",
        Good::told(shape::<AccountAllowance>),
        |ask| {
            Box::pin(async move {
                let known = ask.administration.account_allowance(&ask.call, ask.account()?).await?;
                Ok(Reply::document(&show_allowance(known)))
            })
        },
    ),
    Operation::new(
        (Method::Put, "/tenants/{tenant}/accounts/{account}/allowance", "change-account-allowance"),
        Action::AccountAllowance,
        "Say how many messages the account may send in a day, where the plan says it of each",
        Good::told(shape::<AccountAllowance>),
        |ask| {
            Box::pin(async move {
                let NewAllowance { messages } = ask.body()?;
                let known = ask.administration.set_account_allowance(&ask.call, ask.account()?, messages);
                Ok(Reply::document(&show_allowance(known.await?)))
            })
        },
    )
    .with(shape::<NewAllowance>),
    Operation::new(
        (Method::Get, "/tenants/{tenant}/vip-accounts", "list-vip-accounts"),
        Action::AccountRead,
        "List members with a VIP seat",
        Good::list(shape::<Accounts>),
        |ask| {
            Box::pin(async move {
                let (tenant, page) = (ask.tenant()?, ask.page()?);
                let listed = ask.administration.vips(&ask.call, tenant, &page).await?;
                let capacities = ask.administration.capacities(tenant).await?;
                Ok(Reply::document(&rows(listed, |account| show_account(account, capacities))))
            })
        },
    )
    .asking(PAGE),
    Operation::new(
        (Method::Put, "/tenants/{tenant}/accounts/{account}/vip", "set-vip"),
        Action::AccountVip,
        "Give a member a VIP seat, or withdraw it: it is free again at once",
        Good::told(shape::<Account>),
        |ask| {
            Box::pin(async move {
                let Vip { vip } = ask.body()?;
                let account = ask.administration.set_vip(&ask.call, ask.account()?, vip).await?;
                Ok(Reply::document(&shown_account(ask, account).await?))
            })
        },
    )
    .with(shape::<Vip>)
    .refusing(&[Kind::PlanLimit]),
];
