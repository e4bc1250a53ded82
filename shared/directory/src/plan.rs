//! What a tenant has: its plan (PLN-01 … PLN-12, TEN-05, TEN-15).
//!
//! A plan lies in the tenant's own item, which signing in and receiving read anyway. A tenant without a plan is limited by
//! nothing. What the plan says of seats is enforced in [`crate::seats`], what it says of capacities wherever a mailbox is
//! filled, its end wherever a tenant is asked whether it may use the post office.

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, Ordering};

use pennypost_model::{TenantId, Timestamp};
use serde::{Deserialize, Serialize};

use crate::store::{MAX_ATTEMPTS, name_for_people};
use crate::{Account, AccountKind, Blockable, Directory, DirectoryError, Tenant, TenantState};

/// Characters of the name of an edition.
const MAX_EDITION: usize = 50;
/// Bytes that an ordinary mailbox holds in the editions that there are: 1 GB (PLN-04).
const ORDINARY: u64 = 1_000_000_000;
/// Accounts that a tenant has at first (TEN-15).
const SEATS: u32 = 200;
/// Business mailboxes that a tenant has without free VIP seats (PLN-12).
const BUSINESS_MAILBOXES: u32 = 3;
/// Domains of its own that a tenant has with [`Function::MoreDomains`] (DOM-02).
const PRO_DOMAINS: usize = 20;
/// Orders that a plan remembers.
const MAX_ORDERS: usize = 32;
const DAY: i64 = 24 * 60 * 60 * 1000;
/// Days for which logs and statistics are shown where the plan has [`Function::LongLogs`], or there is none; no plan shows
/// more (LOG-02, LOG-04, LOG-05).
pub const LONG_LOG_DAYS: i64 = 180;
/// Days for which they are shown else.
const LOG_DAYS: i64 = 90;

macro_rules! functions {
    ($($(#[$doc:meta])* $variant:ident $name:literal;)*) => {
        /// A function that not every edition has (PLN-09). Stored: new ones at the end, also what is built of
        /// [`Function::RETIRED`].
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
        pub enum Function {
            $($(#[$doc])* $variant,)*
        }

        impl Function {
            /// Its name for programs.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self { $(Function::$variant => $name,)* }
            }
        }
    };
}

functions! {
    /// A card of the enterprise.
    EnterpriseCard "enterprise-card";
    /// More than one card for a member.
    MemberCards "member-cards";
    /// Saying who may forward by themselves.
    ForwardPermission "forward-permission";
    /// Saying who may recover deleted mail.
    RecoveryPermission "recovery-permission";
    /// Recall of mail by an administrator.
    Recall "recall";
    /// Approval of mail.
    Approval "approval";
    /// Whether mail was read.
    ReadStatus "read-status";
    /// Deleting mail that members have received.
    DeleteReceived "delete-received";
    /// A sign-in page of one's own.
    LoginPage "login-page";
    /// HTTPS on one's own domain.
    OwnHttps "own-https";
    /// Rules of addresses from which members sign in.
    AddressRules "address-rules";
    /// Where one comes to after signing out.
    LogoutRedirect "logout-redirect";
    /// Backup of mail into other accounts.
    Backup "backup";
    /// The archive.
    Archive "archive";
    /// Keys for programs.
    Api "api";
    /// Administrators with roles.
    GradedAdministrators "graded-administrators";
    /// 20 domains of one's own instead of one (DOM-02).
    MoreDomains "more-domains";
    /// Logs that are kept longer.
    LongLogs "long-logs";
    /// More than one card for members (BRD-12).
    Cards "member-cards";
}

impl Function {
    /// Every function that is there and asks for the plan.
    pub const ALL: &'static [Function] = &[
        Function::AddressRules,
        Function::Backup,
        Function::Api,
        Function::GradedAdministrators,
        Function::MoreDomains,
        Function::LongLogs,
        Function::Cards,
    ];

    /// Functions that plans switched on before anything of them was built. They keep their places in what is stored, nobody is
    /// told of them, and nobody can switch them on. What is built of them later gets a new variant at the end, with the name:
    /// in the place of before it would come alive in old plans, and not in new ones.
    pub const RETIRED: &'static [Function] = &[
        Function::EnterpriseCard,
        Function::MemberCards,
        Function::ForwardPermission,
        Function::RecoveryPermission,
        Function::Recall,
        Function::Approval,
        Function::ReadStatus,
        Function::DeleteReceived,
        Function::LoginPage,
        Function::OwnHttps,
        Function::LogoutRedirect,
        Function::Archive,
    ];
}

impl std::str::FromStr for Function {
    type Err = NoFunction;

    fn from_str(text: &str) -> Result<Function, NoFunction> {
        let found = Function::ALL.iter().find(|function| function.name() == text);
        found.copied().ok_or_else(|| NoFunction(text.chars().take(100).collect()))
    }
}

/// There is no function of that name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("there is no function {0}")]
pub struct NoFunction(pub String);

/// Bytes that mailboxes may hold by a plan; `None`: any number (PLN-04).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Capacities {
    /// A member's without a VIP seat.
    pub ordinary: Option<u64>,
    /// A member's with one (PLN-02).
    pub vip: Option<u64>,
    /// A business mailbox (BIZ-01).
    pub business: Option<u64>,
}

/// Is it known who the tenant is (TEN-13)? Stored: new ones at the end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Verification {
    /// No.
    Unverified,
    /// It has shown that it is real.
    Verified,
    /// Somebody who certifies has looked at its documents.
    Certified,
}

impl Verification {
    /// Every state.
    pub const ALL: [Verification; 3] =
        [Verification::Unverified, Verification::Verified, Verification::Certified];

    /// Its name for programs.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Verification::Unverified => "unverified",
            Verification::Verified => "verified",
            Verification::Certified => "certified",
        }
    }
}

/// Has the plan been paid? The operator's word. Stored: new ones at the end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Payment {
    /// It costs nothing.
    Free,
    /// It is tried out (TEN-05).
    Trial,
    /// It was ordered.
    Unpaid,
    /// It was paid.
    Paid,
}

impl Payment {
    /// Every state.
    pub const ALL: [Payment; 4] = [Payment::Free, Payment::Trial, Payment::Unpaid, Payment::Paid];

    /// Its name for programs.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Payment::Free => "free",
            Payment::Trial => "trial",
            Payment::Unpaid => "unpaid",
            Payment::Paid => "paid",
        }
    }

    /// Days within which it has to be paid, if nothing else is said (TEN-05).
    #[must_use]
    pub const fn days(self) -> Option<i64> {
        match self {
            Payment::Trial => Some(15),
            Payment::Unpaid => Some(7),
            Payment::Free | Payment::Paid => None,
        }
    }
}

/// A tenant's plan.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Plan {
    /// What it is called.
    pub edition: String,
    /// Functions that are switched on (PLN-01).
    pub functions: BTreeSet<Function>,
    /// Members' accounts that there may be, with VIP seats and without; `None`: any number (TEN-15).
    pub seats: Option<u32>,
    /// How many of these may have a VIP seat (PLN-02).
    pub vip_seats: u32,
    /// Business mailboxes that there may be beside one for each free VIP seat; `None`: any number (PLN-12).
    pub business_mailboxes: Option<u32>,
    /// What mailboxes may hold.
    pub capacities: Capacities,
    /// Messages that the tenant may send in a day; `None`: any number (PLN-11). They are counted in
    /// `T` / `sent-today`.
    pub daily_messages: Option<u64>,
    /// When service began (PLN-06).
    pub starts: Option<Timestamp>,
    /// From then on there is none (PLN-07, TEN-11); `None`: it does not end.
    pub ends: Option<Timestamp>,
    /// Is it known who the tenant is?
    pub verification: Verification,
    /// Has it been paid?
    pub payment: Payment,
    /// Until when a trial lasts, or an order has to be paid: from then on the plan is no more than basic (TEN-05). If nothing
    /// is said, [`Payment::days`] from when it is set; nothing of what is free or paid.
    pub pay_by: Option<Timestamp>,
    /// Messages in a day instead, once it is known who the tenant is (TEN-14); `None`: as many as before.
    pub verified_daily_messages: Option<u64>,
    /// Messages that each account may send in a day, if nothing else is said of it; `None`: any number (PLN-11).
    pub account_daily_messages: Option<u64>,
    /// Pro was tried out once: it is not a second time (TEN-05).
    pub was_tried: bool,
    /// The orders that were carried out last: none is a second time. [`MAX_ORDERS`] are remembered.
    pub orders: Vec<u64>,
    /// The order that has to be paid, where [`Payment::Unpaid`] comes from one.
    pub unpaid_order: Option<u64>,
    /// What was agreed before pro was tried out, and is so again afterwards.
    pub untried: Option<Untried>,
}

/// What a trial puts something else in the place of.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Untried {
    functions: BTreeSet<Function>,
    vip_seats: u32,
    business_mailboxes: Option<u32>,
    capacities: Capacities,
}

/// As stored before orders were carried out.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct PlanV1 {
    pub(crate) edition: String,
    pub(crate) functions: BTreeSet<Function>,
    pub(crate) seats: Option<u32>,
    pub(crate) vip_seats: u32,
    pub(crate) business_mailboxes: Option<u32>,
    pub(crate) capacities: Capacities,
    pub(crate) daily_messages: Option<u64>,
    pub(crate) starts: Option<Timestamp>,
    pub(crate) ends: Option<Timestamp>,
    pub(crate) verification: Verification,
    pub(crate) payment: Payment,
    pub(crate) pay_by: Option<Timestamp>,
}

impl PlanV1 {
    pub(crate) fn upgraded(self) -> Plan {
        let PlanV1 { edition, functions, seats, vip_seats, business_mailboxes, capacities, .. } = self;
        Plan {
            edition,
            functions,
            seats,
            vip_seats,
            business_mailboxes,
            capacities,
            daily_messages: self.daily_messages,
            starts: self.starts,
            ends: self.ends,
            verification: self.verification,
            payment: self.payment,
            pay_by: self.pay_by,
            verified_daily_messages: None,
            account_daily_messages: None,
            was_tried: self.payment == Payment::Trial,
            orders: Vec::new(),
            unpaid_order: None,
            untried: None,
        }
    }
}

/// How many of what a plan allows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Members' accounts.
    pub seats: Option<u32>,
    /// Of these with a VIP seat.
    pub vip_seats: u32,
    /// Business mailboxes, beside one for each free VIP seat.
    pub business_mailboxes: Option<u32>,
}

impl Limits {
    /// VIP seats that business mailboxes beyond their own number use (PLN-12).
    #[must_use]
    pub fn vip_by_business(&self, business: u32) -> u32 {
        self.business_mailboxes.map_or(0, |own| business.saturating_sub(own))
    }

    /// Business mailboxes that there may be where so many members have a VIP seat (PLN-12).
    #[must_use]
    pub fn business_allowed(&self, vip: u32) -> Option<u32> {
        Some(self.business_mailboxes?.saturating_add(self.vip_seats.saturating_sub(vip)))
    }
}

/// The larger of two numbers, where none means any.
fn more<T: Ord>(one: Option<T>, other: Option<T>) -> Option<T> {
    one.zip(other).map(|(one, other)| one.max(other))
}

/// The smaller of two numbers, where none means any.
fn less<T: Ord>(one: Option<T>, other: Option<T>) -> Option<T> {
    match (one, other) {
        (Some(one), Some(other)) => Some(one.min(other)),
        (one, other) => one.or(other),
    }
}

impl Plan {
    /// The edition without VIP seats: 200 accounts of 1 GB, 3 business mailboxes of 1 GB, none of the functions.
    #[must_use]
    pub fn basic() -> Plan {
        let capacity = Some(ORDINARY);
        Plan {
            edition: "basic".to_owned(),
            functions: BTreeSet::new(),
            seats: Some(SEATS),
            vip_seats: 0,
            business_mailboxes: Some(BUSINESS_MAILBOXES),
            capacities: Capacities { ordinary: capacity, vip: capacity, business: capacity },
            daily_messages: None,
            starts: None,
            ends: None,
            verification: Verification::Unverified,
            payment: Payment::Free,
            pay_by: None,
            verified_daily_messages: None,
            account_daily_messages: None,
            was_tried: false,
            orders: Vec::new(),
            unpaid_order: None,
            untried: None,
        }
    }

    /// The edition in which members can have VIP seats: VIP and business mailboxes hold any number of bytes, and all
    /// functions are on. The number of seats is still to be said.
    #[must_use]
    pub fn pro() -> Plan {
        Plan {
            edition: "pro".to_owned(),
            functions: Function::ALL.iter().copied().collect(),
            capacities: Capacities { ordinary: Some(ORDINARY), vip: None, business: None },
            payment: Payment::Paid,
            ..Plan::basic()
        }
    }

    /// The same edition for a tenant that has a plan: what was agreed with it stays, and what was done with it.
    #[must_use]
    pub fn agreed(self, seen: Option<&Plan>) -> Plan {
        let Some(seen) = seen else { return self };
        Plan {
            seats: seen.seats,
            daily_messages: seen.daily_messages,
            verified_daily_messages: seen.verified_daily_messages,
            account_daily_messages: seen.account_daily_messages,
            starts: seen.starts,
            ends: seen.ends,
            verification: seen.verification,
            was_tried: seen.was_tried,
            orders: seen.orders.clone(),
            ..self
        }
    }

    /// Pro, tried out upon the plan that there is (TEN-05): nothing is less than it was, and afterwards it is so again.
    #[must_use]
    pub fn tried(seen: &Plan, vip_seats: u32) -> Plan {
        let pro = Plan::pro();
        let capacities = Capacities {
            ordinary: more(seen.capacities.ordinary, pro.capacities.ordinary),
            vip: more(seen.capacities.vip, pro.capacities.vip),
            business: more(seen.capacities.business, pro.capacities.business),
        };
        Plan {
            vip_seats: vip_seats.max(seen.vip_seats),
            business_mailboxes: more(seen.business_mailboxes, pro.business_mailboxes),
            capacities,
            payment: Payment::Trial,
            pay_by: None,
            untried: Some(Untried {
                functions: seen.switched_on().collect(),
                vip_seats: seen.vip_seats,
                business_mailboxes: seen.business_mailboxes,
                capacities: seen.capacities,
            }),
            ..pro.agreed(Some(seen))
        }
    }

    /// The functions that are there and switched on.
    pub fn switched_on(&self) -> impl Iterator<Item = Function> {
        Function::ALL.iter().copied().filter(|function| self.functions.contains(function))
    }

    /// Messages that the tenant may send in a day (PLN-11): more, once it is known who it is (TEN-14).
    #[must_use]
    pub fn daily_allowance(&self) -> Option<u64> {
        match self.verification {
            Verification::Unverified => self.daily_messages,
            Verification::Verified | Verification::Certified => {
                self.daily_messages.map(|messages| self.verified_daily_messages.unwrap_or(messages))
            }
        }
    }

    /// Was it not paid in time, so that it is no more than basic (TEN-05)?
    #[must_use]
    pub fn is_lowered(&self, now: Timestamp) -> bool {
        self.payment.days().is_some() && self.pay_by.is_some_and(|by| by <= now)
    }

    /// When service ends (PLN-07). The term of an order that was not paid in time is none: what is left of it is the basic
    /// edition, which costs nothing.
    #[must_use]
    pub fn term_ends(&self, now: Timestamp) -> Option<Timestamp> {
        let is_forfeit = |ends: Timestamp| {
            self.payment == Payment::Unpaid
                && self.is_lowered(now)
                && self.pay_by.is_some_and(|pay_by| pay_by < ends)
        };
        self.ends.filter(|ends| !is_forfeit(*ends))
    }

    /// Is there no service any more (PLN-07)?
    #[must_use]
    pub fn is_over(&self, now: Timestamp) -> bool {
        self.term_ends(now).is_some_and(|ends| ends <= now)
    }

    /// Does it cost nothing, as it stands: by what was agreed, or since it was lowered?
    #[must_use]
    pub fn is_free(&self, now: Timestamp) -> bool {
        self.payment == Payment::Free || self.is_lowered(now)
    }

    /// What holds at that time.
    #[must_use]
    pub fn in_force(&self, now: Timestamp) -> Cow<'_, Plan> {
        if !self.is_lowered(now) {
            return Cow::Borrowed(self);
        }
        if let (Payment::Trial, Some(untried)) = (self.payment, &self.untried) {
            let Untried { functions, vip_seats, business_mailboxes, capacities } = untried.clone();
            return Cow::Owned(Plan { functions, vip_seats, business_mailboxes, capacities, ..self.clone() });
        }
        let basic = Plan::basic();
        let (own, most) = (self.capacities, basic.capacities);
        Cow::Owned(Plan {
            functions: basic.functions,
            vip_seats: basic.vip_seats,
            business_mailboxes: less(self.business_mailboxes, basic.business_mailboxes),
            capacities: Capacities {
                ordinary: less(own.ordinary, most.ordinary),
                vip: less(own.vip, most.vip),
                business: less(own.business, most.business),
            },
            ..self.clone()
        })
    }

    /// How many of what it allows, as it stands.
    #[must_use]
    pub const fn limits(&self) -> Limits {
        let Plan { seats, vip_seats, business_mailboxes, .. } = self;
        Limits { seats: *seats, vip_seats: *vip_seats, business_mailboxes: *business_mailboxes }
    }

    /// Can there be such a plan?
    ///
    /// # Errors
    /// [`DirectoryError::Name`], [`DirectoryError::PlanTerm`].
    pub fn check(&self) -> Result<(), DirectoryError> {
        self.checked(Timestamp(0)).map(drop)
    }

    /// As it is stored, if it can be.
    fn checked(&self, now: Timestamp) -> Result<Plan, DirectoryError> {
        let edition = name_for_people(&self.edition, MAX_EDITION)?;
        if let (Some(starts), Some(ends)) = (self.starts, self.ends)
            && ends <= starts
        {
            return Err(DirectoryError::PlanTerm);
        }
        let in_days = |days: i64| Timestamp(now.0.saturating_add(days * DAY));
        let pay_by = self.payment.days().map(|days| self.pay_by.unwrap_or_else(|| in_days(days)));
        let functions = self.switched_on().collect();
        Ok(Plan { edition, pay_by, functions, ..self.clone() })
    }
}

impl Tenant {
    /// Domains that it may claim (DOM-02), beside those that the operator gives it; `None`: as many as anybody.
    #[must_use]
    pub fn domains_allowed(&self, now: Timestamp) -> Option<usize> {
        self.plan.as_ref()?;
        Some(if self.has(Function::MoreDomains, now) { PRO_DOMAINS } else { 1 })
    }

    /// May it use the post office at that time: is it active, and has its term not ended?
    #[must_use]
    pub fn is_open(&self, now: Timestamp) -> bool {
        self.state == TenantState::Active && !self.plan.as_ref().is_some_and(|plan| plan.is_over(now))
    }

    /// Is the function switched on? Without a plan every one is, that the operator has not blocked.
    #[must_use]
    pub fn has(&self, function: Function, now: Timestamp) -> bool {
        Function::ALL.contains(&function)
            && !self.is_blocked(Blockable::OfPlan(function))
            && self.plan.as_ref().is_none_or(|plan| plan.in_force(now).functions.contains(&function))
    }

    /// Days for which its logs and statistics are shown, today being the last. They are kept as long for everybody: a tenant
    /// whose plan is raised sees what was there before.
    #[must_use]
    pub fn log_days(&self, now: Timestamp) -> i64 {
        if self.has(Function::LongLogs, now) { LONG_LOG_DAYS } else { LOG_DAYS }
    }

    /// What mailboxes may hold by its plan, if it has one.
    #[must_use]
    pub fn capacities(&self, now: Timestamp) -> Option<Capacities> {
        self.plan.as_ref().map(|plan| plan.in_force(now).capacities)
    }
}

impl Account {
    /// Bytes of messages that it may hold: what the tenant's plan gives a mailbox of its kind, or less, if an administrator
    /// has said so. Without a plan, what an administrator has said, or [`DEFAULT_QUOTA`](crate::DEFAULT_QUOTA), for a
    /// business mailbox [`BUSINESS_QUOTA`](crate::BUSINESS_QUOTA).
    #[must_use]
    pub fn capacity(&self, plan: Option<Capacities>) -> u64 {
        let Some(plan) = plan else { return self.quota_bytes.unwrap_or(self.kind.quota()) };
        let given = match self.kind {
            AccountKind::Business => plan.business,
            AccountKind::Member if self.is_vip => plan.vip,
            AccountKind::Member => plan.ordinary,
        };
        self.quota_bytes.unwrap_or(u64::MAX).min(given.unwrap_or(u64::MAX))
    }
}

impl Directory {
    /// Gives a tenant a plan, if that which it has is still as expected; `false` if it is not. From the first one on its
    /// seats are counted. What is taken already stays, also where the plan allows less: nothing is added then.
    ///
    /// # Errors
    /// [`DirectoryError::Name`], [`DirectoryError::PlanTerm`], [`DirectoryError::NoTenant`], or the port's.
    #[pennypost_ports::compiled_here]
    pub async fn set_plan(
        &self,
        tenant: TenantId,
        expected: Option<&Plan>,
        plan: &Plan,
    ) -> Result<bool, DirectoryError> {
        let plan = plan.checked(self.clock.now())?;
        let is_as_expected = AtomicBool::new(false);
        self.change_tenant(tenant, |stored| {
            let is_same = stored.plan.as_ref() == expected;
            is_as_expected.store(is_same, Ordering::Relaxed);
            if is_same {
                // What was done with the plan before is nobody's word.
                let before = stored.plan.take().unwrap_or_else(Plan::basic);
                let was_tried = before.was_tried || plan.payment == Payment::Trial;
                let unpaid_order = before.unpaid_order.filter(|_| plan.payment == Payment::Unpaid);
                let untried = before.untried.filter(|_| plan.payment == Payment::Trial);
                let orders = before.orders;
                stored.plan = Some(Plan { was_tried, orders, unpaid_order, untried, ..plan.clone() });
            }
        })
        .await?;
        let is_set = is_as_expected.into_inner();
        if is_set {
            // Now rather than with the first account that is added. The plan is in force, whatever becomes of that.
            if let Err(error) = self.open_seat_book(tenant).await {
                tracing::warn!(%tenant, %error, "seats are counted when the first one is asked for");
            }
        }
        Ok(is_set)
    }

    /// The order by which the plan stands is paid: what was bought with it is not lowered any more. Of any other order nothing
    /// follows.
    ///
    /// # Errors
    /// [`DirectoryError::NoTenant`], or the port's.
    #[pennypost_ports::compiled_here]
    pub async fn note_paid(&self, tenant: TenantId, order: u64) -> Result<(), DirectoryError> {
        self.change_tenant(tenant, |stored| {
            let plan = stored.plan.as_mut();
            if let Some(plan) =
                plan.filter(|plan| plan.unpaid_order == Some(order) && plan.payment == Payment::Unpaid)
            {
                (plan.payment, plan.pay_by, plan.unpaid_order) = (Payment::Paid, None, None);
            }
        })
        .await
    }

    /// Carries an order out, once however often it is asked for: the plan after it. `change` makes another plan of that which
    /// there is, or says why there can be none: it is asked of the very plan that is replaced.
    ///
    /// # Errors
    /// Those of `change` and of [`Directory::set_plan`], and [`DirectoryError::Contended`].
    pub async fn carry_out_order<E: From<DirectoryError>>(
        &self,
        tenant: TenantId,
        order: u64,
        change: impl Fn(Option<&Plan>) -> Result<Plan, E>,
    ) -> Result<Plan, E> {
        for _ in 0..MAX_ATTEMPTS {
            let stored =
                self.tenant(tenant).await?.ok_or_else(|| DirectoryError::NoTenant(tenant.to_string()))?;
            if let Some(plan) = stored.plan.as_ref().filter(|plan| plan.orders.contains(&order)) {
                return Ok(plan.clone());
            }
            let mut plan = change(stored.plan.as_ref())?.checked(self.clock.now())?;
            plan.was_tried |= plan.payment == Payment::Trial;
            plan.untried = plan.untried.filter(|_| plan.payment == Payment::Trial);
            plan.unpaid_order = plan.unpaid_order.filter(|_| plan.payment == Payment::Unpaid);
            plan.orders.push(order);
            let surplus = plan.orders.len().saturating_sub(MAX_ORDERS);
            plan.orders.drain(..surplus);
            let is_as_expected = AtomicBool::new(false);
            self.change_tenant(tenant, |found| {
                let is_same = found.plan == stored.plan;
                is_as_expected.store(is_same, Ordering::Relaxed);
                if is_same {
                    found.plan = Some(plan.clone());
                }
            })
            .await?;
            if is_as_expected.into_inner() {
                if let Err(error) = self.open_seat_book(tenant).await {
                    tracing::warn!(%tenant, %error, "seats are counted when the first one is asked for");
                }
                return Ok(plan);
            }
        }
        Err(DirectoryError::Contended.into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_function_is_found_by_its_name() {
        for function in Function::ALL {
            assert_eq!(function.name().parse(), Ok(*function));
        }
        for missing in ["flying", "recall"] {
            assert_eq!(missing.parse::<Function>(), Err(NoFunction(missing.to_owned())));
        }
    }

    #[test]
    fn what_was_switched_on_before_it_was_built_never_comes_alive() {
        for retired in Function::RETIRED {
            assert!(
                !Function::ALL.contains(retired),
                "{retired:?}: old plans have it; it needs a new variant"
            );
        }
        let plan = Plan { functions: BTreeSet::from([Function::Recall, Function::Api]), ..Plan::basic() };
        assert_eq!(plan.switched_on().collect::<Vec<_>>(), [Function::Api]);
        // Whatever is written anew is rid of them.
        let kept = plan.checked(Timestamp(0)).expect("a plan").functions;
        assert_eq!(kept, BTreeSet::from([Function::Api]));
        assert_eq!(Plan::pro().switched_on().count(), Function::ALL.len());
    }

    #[test]
    fn what_is_not_paid_in_time_is_basic() {
        let (before, at) = (Timestamp(99), Timestamp(100));
        let ordered = Plan { vip_seats: 9, seats: Some(500), pay_by: Some(at), ..Plan::pro() };
        for (payment, is_lowered) in
            [(Payment::Trial, true), (Payment::Unpaid, true), (Payment::Paid, false), (Payment::Free, false)]
        {
            let plan = Plan { payment, ..ordered.clone() };
            assert_eq!(*plan.in_force(before), plan);
            let later = plan.in_force(at);
            assert_eq!(plan.is_lowered(at), is_lowered, "{payment:?}");
            assert_eq!((later.vip_seats == 0, later.functions.is_empty()), (is_lowered, is_lowered));
            assert_eq!(later.capacities.vip.is_some(), is_lowered);
            // Accounts that there are may stay.
            assert_eq!(later.seats, Some(500));
        }
        // Not to pay gives nobody more.
        let capacities = Capacities { ordinary: Some(5), vip: None, business: Some(7) };
        let small = Plan { payment: Payment::Unpaid, business_mailboxes: Some(0), capacities, ..ordered };
        let later = small.in_force(at);
        assert_eq!(later.business_mailboxes, Some(0));
        assert_eq!(later.capacities, Capacities { vip: Some(ORDINARY), ..capacities });
    }

    #[test]
    fn the_term_of_what_was_not_paid_in_time_is_none() {
        let plan = |payment, pay_by| Plan {
            payment,
            pay_by: Some(Timestamp(pay_by)),
            ends: Some(Timestamp(50)),
            ..Plan::pro()
        };
        let late = Timestamp(60);
        let forfeit = plan(Payment::Unpaid, 40);
        assert!(!forfeit.is_over(late) && forfeit.is_free(late) && !forfeit.is_free(Timestamp(39)));
        assert_eq!(forfeit.term_ends(Timestamp(39)), Some(Timestamp(50)));
        // It was over before it had to be paid, and nothing opens it again.
        assert!(plan(Payment::Unpaid, 55).is_over(late) && plan(Payment::Paid, 40).is_over(late));
        assert!(plan(Payment::Trial, 40).is_over(late), "the term was agreed before the trial");
    }

    #[test]
    fn after_a_trial_all_is_as_it_was_agreed() {
        let agreed = Plan {
            functions: BTreeSet::from([Function::Api]),
            business_mailboxes: Some(10),
            capacities: Capacities { ordinary: Some(5 * ORDINARY), vip: None, business: Some(7) },
            ..Plan::basic()
        };
        let tried = Plan::tried(&agreed, 4).checked(Timestamp(0)).expect("a plan");
        assert_eq!((tried.vip_seats, tried.business_mailboxes), (4, Some(10)));
        assert_eq!(tried.capacities.ordinary, Some(5 * ORDINARY));
        assert!(tried.functions.contains(&Function::Backup));
        let later = tried.in_force(tried.pay_by.expect("a day"));
        assert_eq!(later.functions, agreed.functions);
        assert_eq!(later.limits(), agreed.limits());
        assert_eq!(later.capacities, agreed.capacities);
    }

    #[test]
    fn a_plan_ends_after_it_has_begun_and_has_a_name() {
        let plan = |starts, ends| Plan { starts, ends, ..Plan::basic() };
        let (one, two) = (Some(Timestamp(1)), Some(Timestamp(2)));
        let now = Timestamp(3);
        assert!(plan(one, two).checked(now).is_ok() && plan(two, None).checked(now).is_ok());
        assert_eq!(plan(two, one).checked(now), Err(DirectoryError::PlanTerm));
        assert_eq!(plan(one, one).checked(now), Err(DirectoryError::PlanTerm));
        let nameless = Plan { edition: " ".to_owned(), ..Plan::basic() };
        assert_eq!(nameless.checked(now), Err(DirectoryError::Name { limit: MAX_EDITION }));
    }

    #[test]
    fn trials_and_orders_have_an_end_of_their_own() {
        let said = Some(Timestamp(77));
        for (payment, pay_by, expected) in [
            (Payment::Trial, None, Some(Timestamp(5 + 15 * DAY))),
            (Payment::Unpaid, None, Some(Timestamp(5 + 7 * DAY))),
            (Payment::Unpaid, said, said),
            (Payment::Paid, said, None),
            (Payment::Free, said, None),
        ] {
            let plan = Plan { payment, pay_by, ..Plan::pro() };
            assert_eq!(plan.checked(Timestamp(5)).map(|plan| plan.pay_by), Ok(expected), "{payment:?}");
        }
    }
}
