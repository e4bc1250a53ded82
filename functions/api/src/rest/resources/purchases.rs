//! Orders of plans: submitted by administrators and decided by the operator, or written down by him; and the papers that go
//! with them.

use pennypost_admin::{Action, NewOrder, OrderTerms, Paper, Purchase, PurchaseChange, PurchaseKind};
use pennypost_model::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, Serialize};

use super::page_of;
use crate::rest::ask::{Ask, rows, said_time, time};
use crate::rest::operation::{Good, Method, Operation, PAGE, shape};
use crate::rest::problem::details::no_such;
use crate::rest::problem::{Kind, Refusal};
use crate::rest::reply::Reply;

/// What an order is for.
#[derive(Clone, Copy, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
#[schemars(rename = "OrderKind")]
pub(crate) enum OrderKind {
    /// A first plan.
    Buy,
    /// Another term.
    Renew,
    /// More seats.
    Extend,
    /// Pro for 15 days without paying, once.
    Trial,
    /// More accounts than there may be.
    Ceiling,
}

/// How an order stands that an administrator has submitted.
#[derive(Clone, Copy, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum OrderState {
    /// The operator has not decided.
    Submitted,
    /// It was withdrawn before that.
    Withdrawn,
    /// The operator has refused it.
    Refused,
    /// It is approved, and is being carried out.
    Approved,
    /// The plan is as it says.
    Done,
}

/// What an administrator has submitted; nobody changes it afterwards.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "OrderApplication")]
pub(crate) struct Application {
    /// Who.
    by: String,
    /// Years that are wished for; 0 where none are.
    years: u32,
    /// Why.
    reason: String,
    /// How it stands.
    state: OrderState,
    /// When it was decided, or withdrawn.
    decided: Option<String>,
    /// Why it was refused; null where it was not.
    answer: Option<String>,
}

/// How a paper stands that goes with an order.
#[derive(Clone, Copy, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum PaperState {
    /// Nobody has asked for it.
    None,
    /// An administrator has asked for it.
    Requested,
    /// It was issued.
    Issued,
}

/// An order of a plan.
#[derive(Serialize, JsonSchema)]
pub(crate) struct Order {
    /// 16 hex digits.
    id: String,
    /// What it is for.
    kind: OrderKind,
    /// Of which edition.
    edition: String,
    /// Seats.
    seats: u32,
    /// VIP seats.
    vip_seats: u32,
    /// What it costs, in hundredths of the currency's unit.
    amount: u64,
    /// ISO 4217; null before it is known.
    currency: Option<String>,
    /// When the term that it pays for begins; null before it is known.
    starts: Option<String>,
    /// When it ends; null before it is known.
    ends: Option<String>,
    /// What the operator says to it.
    note: String,
    /// When it was paid; null: it was not.
    paid: Option<String>,
    /// The invoice.
    invoice: PaperState,
    /// The contract.
    contract: PaperState,
    /// When it was written.
    created: String,
    /// What an administrator has submitted; null: the operator has written it down.
    application: Option<Application>,
}

page_of!(Orders, Order);

/// An order that waits for the operator's word.
#[derive(Serialize, JsonSchema)]
pub(crate) struct OpenOrder {
    /// Whose: 16 hex digits.
    tenant: String,
    /// What it is called.
    tenant_name: String,
    /// The order.
    order: Order,
}

page_of!(OpenOrders, OpenOrder);

/// An order to be submitted.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "SubmittedOrder")]
pub(crate) struct NewSubmission {
    /// What it is for.
    kind: OrderKind,
    /// Accounts: to extend, that many more; of a ceiling, that many in all.
    #[serde(default)]
    seats: u32,
    /// VIP seats: to buy, that many; to extend, that many more; of a trial 1 to 10.
    #[serde(default)]
    vip_seats: u32,
    /// To buy and to renew: 1 to 10.
    #[serde(default)]
    years: u32,
    /// Up to 500 characters; of a ceiling 1 at least.
    #[serde(default)]
    reason: String,
}

/// What the operator says of an order that he approves.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "OrderApproval")]
pub(crate) struct Approval {
    /// What it costs, in hundredths of the currency's unit.
    #[serde(default)]
    amount: u64,
    /// ISO 4217: three capital letters; may be left out of what costs nothing.
    #[serde(default)]
    currency: String,
    /// When the term begins; null: now.
    #[serde(default)]
    starts: Option<String>,
    /// It was paid. What is bought may be used for 7 days before it is; what is renewed or extended is paid.
    #[serde(default)]
    paid: bool,
    /// What the operator says to it: up to 500 characters.
    #[serde(default)]
    note: String,
}

/// Why an order is refused.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "OrderRefusal")]
pub(crate) struct NewRefusal {
    /// 1 to 500 characters, which administrators read.
    reason: String,
}

/// An order to be written.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "NewOrder")]
pub(crate) struct WrittenOrder {
    /// What it is for.
    kind: OrderKind,
    /// Of which edition: 1 to 50 characters.
    edition: String,
    /// Seats.
    seats: u32,
    /// VIP seats.
    #[serde(default)]
    vip_seats: u32,
    /// What it costs, in hundredths of the currency's unit.
    amount: u64,
    /// ISO 4217: three capital letters.
    currency: String,
    /// When the term begins: RFC 3339, in UTC.
    starts: String,
    /// When it ends.
    ends: String,
    /// What the operator says to it: up to 500 characters.
    #[serde(default)]
    note: String,
}

/// What is to be different; what is not named stays as it is.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct OrderPatch {
    /// When it was paid, or null: it was not.
    #[serde(default, deserialize_with = "said")]
    #[schemars(with = "Option<String>")]
    paid: Option<Option<String>>,
    /// The invoice.
    invoice: Option<PaperState>,
    /// The contract.
    contract: Option<PaperState>,
}

/// Null is something that is said.
fn said<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Option<String>>, D::Error> {
    Option::deserialize(deserializer).map(Some)
}

const fn paper(state: pennypost_admin::PaperState) -> PaperState {
    match state {
        pennypost_admin::PaperState::None => PaperState::None,
        pennypost_admin::PaperState::Requested => PaperState::Requested,
        pennypost_admin::PaperState::Issued => PaperState::Issued,
    }
}

const fn paper_meant(state: PaperState) -> pennypost_admin::PaperState {
    match state {
        PaperState::None => pennypost_admin::PaperState::None,
        PaperState::Requested => pennypost_admin::PaperState::Requested,
        PaperState::Issued => pennypost_admin::PaperState::Issued,
    }
}

const fn kind(kind: PurchaseKind) -> OrderKind {
    match kind {
        PurchaseKind::Buy => OrderKind::Buy,
        PurchaseKind::Renew => OrderKind::Renew,
        PurchaseKind::Extend => OrderKind::Extend,
        PurchaseKind::Trial => OrderKind::Trial,
        PurchaseKind::Ceiling => OrderKind::Ceiling,
    }
}

const fn kind_meant(kind: OrderKind) -> PurchaseKind {
    match kind {
        OrderKind::Buy => PurchaseKind::Buy,
        OrderKind::Renew => PurchaseKind::Renew,
        OrderKind::Extend => PurchaseKind::Extend,
        OrderKind::Trial => PurchaseKind::Trial,
        OrderKind::Ceiling => PurchaseKind::Ceiling,
    }
}

fn show_application(application: pennypost_admin::Application) -> Application {
    use pennypost_admin::OrderState as State;
    Application {
        by: application.by.shown(),
        years: application.years,
        reason: application.reason,
        state: match application.state {
            State::Submitted => OrderState::Submitted,
            State::Withdrawn => OrderState::Withdrawn,
            State::Refused => OrderState::Refused,
            State::Approved => OrderState::Approved,
            State::Done => OrderState::Done,
        },
        decided: application.decided.map(Timestamp::rfc3339),
        answer: Some(application.answer).filter(|answer| !answer.is_empty()),
    }
}

fn show(order: Purchase) -> Order {
    let OrderTerms { seats, vip_seats, amount, edition, currency, note, starts, ends, .. } = order.terms;
    let known = |time: Timestamp| (time > Timestamp(0)).then(|| time.rfc3339());
    Order {
        id: format!("{:016x}", order.id),
        kind: kind(order.terms.kind),
        edition,
        seats,
        vip_seats,
        amount,
        currency: Some(currency).filter(|currency| !currency.is_empty()),
        starts: known(starts),
        ends: known(ends),
        note,
        paid: order.paid.map(Timestamp::rfc3339),
        invoice: paper(order.invoice),
        contract: paper(order.contract),
        created: order.created.rfc3339(),
        application: order.application.map(show_application),
    }
}

fn id(ask: &Ask) -> Result<u64, Refusal> {
    let word = ask.word("order");
    let is_id = word.len() == 16 && word.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
    let id = if is_id { u64::from_str_radix(word, 16).ok() } else { None };
    id.ok_or_else(|| Refusal::new(Kind::NotFound, no_such("order")))
}

pub(super) const OPERATIONS: &[Operation] = &[
    Operation::new(
        (Method::Get, "/tenants/{tenant}/orders", "list-orders"),
        Action::PurchaseRead,
        "List the orders of plans, the newest first",
        Good::list(shape::<Orders>),
        |ask| {
            Box::pin(async move {
                let (tenant, page) = (ask.tenant()?, ask.page()?);
                let listed = ask.administration.purchases(&ask.call, tenant, &page).await?;
                Ok(Reply::document(&rows(listed, show)))
            })
        },
    )
    .asking(PAGE),
    Operation::new(
        (Method::Post, "/tenants/{tenant}/orders", "add-order"),
        Action::PurchaseAdd,
        "As the operator: write an order of a plan down",
        Good::made(shape::<Order>),
        |ask| {
            Box::pin(async move {
                let new: WrittenOrder = ask.body()?;
                let new = OrderTerms {
                    kind: kind_meant(new.kind),
                    edition: new.edition,
                    seats: new.seats,
                    vip_seats: new.vip_seats,
                    amount: new.amount,
                    currency: new.currency,
                    starts: said_time(&new.starts, "/starts")?,
                    ends: said_time(&new.ends, "/ends")?,
                    note: new.note,
                };
                let tenant = ask.tenant()?;
                let order = ask.administration.add_purchase(&ask.call, tenant, new).await?;
                let location = format!("/api/v1/tenants/{tenant}/orders/{:016x}", order.id);
                Ok(Reply::made(&show(order), location))
            })
        },
    )
    .with(shape::<WrittenOrder>)
    .refusing(&[Kind::Invalid]),
    Operation::new(
        (Method::Post, "/tenants/{tenant}/submitted-orders", "submit-order"),
        Action::OrderSubmit,
        "Submit an order: to buy, to renew, more seats, a trial, more accounts; a trial begins at once",
        Good::made(shape::<Order>),
        |ask| {
            Box::pin(async move {
                let NewSubmission { kind, seats, vip_seats, years, reason } = ask.body()?;
                let new = NewOrder { kind: kind_meant(kind), seats, vip_seats, years, reason };
                let tenant = ask.tenant()?;
                let order = ask.administration.submit_order(&ask.call, tenant, new).await?;
                let location = format!("/api/v1/tenants/{tenant}/orders/{:016x}", order.id);
                Ok(Reply::made(&show(order), location))
            })
        },
    )
    .with(shape::<NewSubmission>)
    .refusing(&[Kind::Invalid]),
    Operation::new(
        (Method::Post, "/tenants/{tenant}/orders/{order}/withdraw", "withdraw-order"),
        Action::OrderWithdraw,
        "Withdraw an order that is not decided",
        Good::told(shape::<Order>),
        |ask| {
            Box::pin(async move {
                let (tenant, id) = (ask.tenant()?, id(ask)?);
                let order = ask.administration.withdraw_order(&ask.call, tenant, id).await?;
                Ok(Reply::document(&show(order)))
            })
        },
    ),
    Operation::new(
        (Method::Post, "/tenants/{tenant}/orders/{order}/approve", "approve-order"),
        Action::OrderDecide,
        "As the operator: approve an order; the plan follows by itself",
        Good::told(shape::<Order>),
        |ask| {
            Box::pin(async move {
                let Approval { amount, currency, starts, paid, note } = ask.body()?;
                let starts = time(starts.as_ref(), "/starts")?;
                let approval = pennypost_admin::Approval { amount, currency, starts, is_paid: paid, note };
                let (tenant, id) = (ask.tenant()?, id(ask)?);
                let order = ask.administration.approve_order(&ask.call, tenant, id, &approval).await?;
                Ok(Reply::document(&show(order)))
            })
        },
    )
    .with(shape::<Approval>)
    .refusing(&[Kind::Invalid]),
    Operation::new(
        (Method::Post, "/tenants/{tenant}/orders/{order}/refuse", "refuse-order"),
        Action::OrderDecide,
        "As the operator: refuse an order, and say why",
        Good::told(shape::<Order>),
        |ask| {
            Box::pin(async move {
                let NewRefusal { reason } = ask.body()?;
                let (tenant, id) = (ask.tenant()?, id(ask)?);
                let order = ask.administration.refuse_order(&ask.call, tenant, id, &reason).await?;
                Ok(Reply::document(&show(order)))
            })
        },
    )
    .with(shape::<NewRefusal>)
    .refusing(&[Kind::Invalid]),
    Operation::new(
        (Method::Get, "/open-orders", "list-open-orders"),
        Action::OrderList,
        "As the operator: list orders of all tenants that wait to be decided, the newest first",
        Good::list(shape::<OpenOrders>),
        |ask| {
            Box::pin(async move {
                let listed = ask.administration.open_orders(&ask.call, &ask.page()?).await?;
                let shown = |(tenant, order): (pennypost_directory::Tenant, Purchase)| OpenOrder {
                    tenant: tenant.id.to_string(),
                    tenant_name: tenant.name,
                    order: show(order),
                };
                Ok(Reply::document(&rows(listed, shown)))
            })
        },
    )
    .asking(PAGE),
    Operation::new(
        (Method::Get, "/tenants/{tenant}/orders/{order}", "read-order"),
        Action::PurchaseRead,
        "An order of a plan",
        Good::one(shape::<Order>),
        |ask| {
            Box::pin(async move {
                let (tenant, id) = (ask.tenant()?, id(ask)?);
                Ok(Reply::tagged(&show(ask.administration.purchase(&ask.call, tenant, id).await?)))
            })
        },
    ),
    Operation::new(
        (Method::Patch, "/tenants/{tenant}/orders/{order}", "change-order"),
        Action::PurchaseChange,
        "As the operator: say that an order was paid, or that its papers were issued",
        Good::one(shape::<Order>),
        |ask| {
            Box::pin(async move {
                let OrderPatch { paid, invoice, contract } = ask.body()?;
                let paid = paid.map(|paid| time(paid.as_ref(), "/paid")).transpose()?;
                let (tenant, id) = (ask.tenant()?, id(ask)?);
                let seen = ask.administration.purchase_to_change(&ask.call, tenant, id).await?;
                ask.must_match(&show(seen.clone()))?;
                let change = PurchaseChange {
                    paid,
                    invoice: invoice.map(paper_meant),
                    contract: contract.map(paper_meant),
                };
                let changed = ask.administration.change_purchase(&ask.call, tenant, &seen, change).await?;
                Ok(Reply::tagged(&show(changed)))
            })
        },
    )
    .with(shape::<OrderPatch>)
    .update()
    .refusing(&[Kind::Invalid]),
    Operation::new(
        (Method::Post, "/tenants/{tenant}/orders/{order}/invoice", "request-invoice"),
        Action::PaperRequest,
        "Ask for the invoice of an order whose term is not over",
        Good::told(shape::<Order>),
        |ask| Box::pin(request(ask, Paper::Invoice)),
    ),
    Operation::new(
        (Method::Post, "/tenants/{tenant}/orders/{order}/contract", "request-contract"),
        Action::PaperRequest,
        "Ask for the contract of an order whose term is not over",
        Good::told(shape::<Order>),
        |ask| Box::pin(request(ask, Paper::Contract)),
    ),
];

async fn request(ask: &Ask, paper: Paper) -> Result<Reply, Refusal> {
    let (tenant, id) = (ask.tenant()?, id(ask)?);
    Ok(Reply::document(&show(ask.administration.request_paper(&ask.call, tenant, id, paper).await?)))
}
