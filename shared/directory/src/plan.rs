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

use crate::store::name_for_people;
use crate::{Account, AccountKind, Directory, DirectoryError, Tenant, TenantState};

/// Characters of the name of an edition.
const MAX_EDITION: usize = 50;
/// Bytes that an ordinary mailbox holds in the editions that there are: 1 GB (PLN-04).
const ORDINARY: u64 = 1_000_000_000;
/// Accounts that a tenant has at first (TEN-15).
const SEATS: u32 = 200;
/// Business mailboxes that a tenant has without free VIP seats (PLN-12).
const BUSINESS_MAILBOXES: u32 = 3;
const DAY: i64 = 24 * 60 * 60 * 1000;
/// Days for which logs and statistics are shown where the plan has [`Function::LongLogs`], or there is none; no plan shows
/// more (LOG-02, LOG-04, LOG-05).
pub const LONG_LOG_DAYS: i64 = 180;
/// Days for which they are shown else.
const LOG_DAYS: i64 = 90;

macro_rules! functions {
    ($($(#[$doc:meta])* $variant:ident $name:literal;)*) => {
        /// A function that not every edition has (PLN-09). Stored: new ones at the end.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
        pub enum Function {
            $($(#[$doc])* $variant,)*
        }

        impl Function {
            /// Every function.
            pub const ALL: &'static [Function] = &[$(Function::$variant,)*];

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
    /// More domains than one edition has.
    MoreDomains "more-domains";
    /// Logs that are kept longer.
    LongLogs "long-logs";
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

    /// Was it not paid in time, so that it is no more than basic (TEN-05)?
    #[must_use]
    pub fn is_lowered(&self, now: Timestamp) -> bool {
        self.payment.days().is_some() && self.pay_by.is_some_and(|by| by <= now)
    }

    /// Is there no service any more (PLN-07)?
    #[must_use]
    pub fn is_over(&self, now: Timestamp) -> bool {
        self.ends.is_some_and(|ends| ends <= now)
    }

    /// What holds at that time.
    #[must_use]
    pub fn in_force(&self, now: Timestamp) -> Cow<'_, Plan> {
        if !self.is_lowered(now) {
            return Cow::Borrowed(self);
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
        Ok(Plan { edition, pay_by, ..self.clone() })
    }
}

impl Tenant {
    /// May it use the post office at that time: is it active, and has its term not ended?
    #[must_use]
    pub fn is_open(&self, now: Timestamp) -> bool {
        self.state == TenantState::Active && !self.plan.as_ref().is_some_and(|plan| plan.is_over(now))
    }

    /// Is the function switched on? Without a plan every one is.
    #[must_use]
    pub fn has(&self, function: Function, now: Timestamp) -> bool {
        self.plan.as_ref().is_none_or(|plan| plan.in_force(now).functions.contains(&function))
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
                stored.plan = Some(plan.clone());
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
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_function_is_found_by_its_name() {
        for function in Function::ALL {
            assert_eq!(function.name().parse(), Ok(*function));
        }
        assert_eq!("flying".parse::<Function>(), Err(NoFunction("flying".to_owned())));
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
