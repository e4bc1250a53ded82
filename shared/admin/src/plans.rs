//! Plans of tenants, and who has a VIP seat (PLN-01 … PLN-12, TEN-05, TEN-06, TEN-15).
//!
//! What a plan is, whether it was paid and whether it is known who the tenant is, are the operator's words; the tenant's
//! administrators read them, and say who has which seat.

use pennypost_directory::{
    Account, AccountAllowance, Capacities, Function, Limits, Listed, Page, Plan, SeatUse, Verification,
};
use pennypost_model::{AccountKey, TenantId, Timestamp};
use serde_json::{Value, json};

use crate::accounts::may_see;
use crate::action::Action;
use crate::authorise::Scope;
use crate::call::{About, Call};
use crate::{AdminError, Administration, Conflict};

/// The seats of a tenant: how many there are, and how many are taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Seats {
    /// How many there are, as the plan stands now.
    pub limits: Limits,
    /// How many are taken.
    pub taken: SeatUse,
    /// The plan was not paid in time, and is no more than basic (TEN-05).
    pub is_lowered: bool,
}

/// As a document for the log.
fn shown(plan: &Plan) -> Value {
    let functions: Vec<&str> = plan.switched_on().map(Function::name).collect();
    json!({
        "edition": plan.edition,
        "functions": functions,
        "seats": plan.seats,
        "vip_seats": plan.vip_seats,
        "business_mailboxes": plan.business_mailboxes,
        "capacities": [plan.capacities.ordinary, plan.capacities.vip, plan.capacities.business],
        "daily_messages": plan.daily_messages,
        "verified_daily_messages": plan.verified_daily_messages,
        "account_daily_messages": plan.account_daily_messages,
        "starts": plan.starts.map(Timestamp::rfc3339),
        "ends": plan.ends.map(Timestamp::rfc3339),
        "verification": plan.verification.name(),
        "payment": plan.payment.name(),
        "pay_by": plan.pay_by.map(Timestamp::rfc3339),
    })
}

impl Administration {
    /// The plan of a tenant; `None`: it has none, and is limited by nothing.
    ///
    /// # Errors
    /// [`AdminError`].
    #[pennypost_ports::compiled_here]
    pub async fn plan(&self, call: &Call, tenant: TenantId) -> Result<Option<Plan>, AdminError> {
        call.may(Action::PlanRead, &Scope::Tenant(tenant))?;
        Ok(self.stored_tenant(tenant).await?.plan)
    }

    /// The plan of a tenant, for somebody who wants to give it another one.
    ///
    /// # Errors
    /// [`AdminError`].
    #[pennypost_ports::compiled_here]
    pub async fn plan_for(&self, call: &Call, tenant: TenantId) -> Result<Option<Plan>, AdminError> {
        call.may(Action::PlanChange, &Scope::Tenant(tenant))?;
        Ok(self.stored_tenant(tenant).await?.plan)
    }

    /// Gives a tenant a plan, if that which it has is still as `expected`. What is held already stays.
    ///
    /// # Errors
    /// [`AdminError`].
    #[pennypost_ports::compiled_here]
    pub async fn change_plan(
        &self,
        call: &Call,
        tenant: TenantId,
        expected: Option<&Plan>,
        plan: &Plan,
    ) -> Result<Plan, AdminError> {
        let about = About::new(Some(tenant), Action::PlanChange, "plan")
            .from(expected.map(shown).unwrap_or_default())
            .to(shown(plan));
        self.permit(call, &Scope::Tenant(tenant), &about).await?;
        plan.check()?;
        let is_known = |plan: &Plan| plan.verification != Verification::Unverified;
        if is_known(plan) && !expected.is_some_and(is_known) {
            self.check_verifiable(tenant).await?;
        }
        let changed = async {
            let is_as_expected = self.directory.set_plan(tenant, expected, plan).await?;
            if is_as_expected { Ok(()) } else { Err(AdminError::Changed) }
        };
        self.act(call, &about, changed).await?;
        self.stored_tenant(tenant).await?.plan.ok_or(AdminError::Changed)
    }

    /// What mailboxes of a tenant hold by its plan, if it has one; for who sees an account of it.
    ///
    /// # Errors
    /// [`AdminError`].
    #[pennypost_ports::compiled_here]
    pub async fn capacities(&self, tenant: TenantId) -> Result<Option<Capacities>, AdminError> {
        Ok(self.stored_tenant(tenant).await?.capacities(self.clock.now()))
    }

    /// The seats of a tenant; `None`: it has no plan, and nobody counts.
    ///
    /// # Errors
    /// [`AdminError`].
    #[pennypost_ports::compiled_here]
    pub async fn seats(&self, call: &Call, tenant: TenantId) -> Result<Option<Seats>, AdminError> {
        call.may(Action::PlanRead, &Scope::Tenant(tenant))?;
        let Some(plan) = self.stored_tenant(tenant).await?.plan else { return Ok(None) };
        let now = self.clock.now();
        let (limits, is_lowered) = (plan.in_force(now).limits(), plan.is_lowered(now));
        let taken = self.directory.seat_use(tenant).await?;
        Ok(taken.map(|taken| Seats { limits, taken, is_lowered }))
    }

    /// What a tenant may send in a day by its plan (`None`: any number), and has sent today (PLN-11).
    ///
    /// # Errors
    /// [`AdminError`].
    #[pennypost_ports::compiled_here]
    pub async fn tenant_allowance(
        &self,
        call: &Call,
        tenant: TenantId,
    ) -> Result<(Option<u64>, u64), AdminError> {
        call.may(Action::PlanRead, &Scope::Tenant(tenant))?;
        let limit = self.stored_tenant(tenant).await?.plan.and_then(|plan| plan.daily_allowance());
        let sent = if limit.is_some() { self.directory.sent_today(tenant).await? } else { 0 };
        Ok((limit, sent))
    }

    /// What an account may send in a day (`None`: any number), with what is said of it alone, and has sent today (PLN-11).
    ///
    /// # Errors
    /// [`AdminError`].
    #[pennypost_ports::compiled_here]
    pub async fn account_allowance(
        &self,
        call: &Call,
        key: AccountKey,
    ) -> Result<(Option<u64>, AccountAllowance), AdminError> {
        self.account(call, key).await?;
        self.known_allowance(key).await
    }

    async fn known_allowance(&self, key: AccountKey) -> Result<(Option<u64>, AccountAllowance), AdminError> {
        let plan = self.stored_tenant(key.tenant).await?.plan;
        let allowance = self.directory.account_allowance(key).await?;
        let limit = plan.and_then(|plan| plan.account_daily_messages);
        Ok((limit.map(|limit| allowance.exception.unwrap_or(limit)), allowance))
    }

    /// Says how many messages an account may send in a day, where the plan says it of each; `None`: what that says.
    ///
    /// # Errors
    /// [`AdminError`].
    #[pennypost_ports::compiled_here]
    pub async fn set_account_allowance(
        &self,
        call: &Call,
        key: AccountKey,
        exception: Option<u64>,
    ) -> Result<(Option<u64>, AccountAllowance), AdminError> {
        let setting = self.directory.set_account_allowance(key, exception);
        self.upon(call, Action::AccountAllowance, key, json!({ "messages": exception }), setting).await?;
        self.known_allowance(key).await
    }

    /// Makes the book of seats count what there is; before and now, if it counted something else.
    ///
    /// # Errors
    /// [`AdminError`].
    #[pennypost_ports::compiled_here]
    pub async fn recount_seats(
        &self,
        call: &Call,
        tenant: TenantId,
    ) -> Result<Option<(SeatUse, SeatUse)>, AdminError> {
        let about = About::new(Some(tenant), Action::PlanChange, "seats");
        self.permit(call, &Scope::Tenant(tenant), &about).await?;
        self.stored_tenant(tenant).await?;
        self.act(call, &about, self.directory.recount_seats(tenant)).await
    }

    /// Gives a member a VIP seat, or withdraws it (PLN-03).
    ///
    /// # Errors
    /// [`AdminError`].
    #[pennypost_ports::compiled_here]
    pub async fn set_vip(&self, call: &Call, key: AccountKey, is_vip: bool) -> Result<Account, AdminError> {
        let setting = self.directory.set_vip(key, is_vip);
        self.upon(call, Action::AccountVip, key, json!({ "vip": is_vip }), setting).await?;
        self.stored_account(key).await
    }

    /// Members with a VIP seat that the actor may see. A page may hold few though more follow.
    ///
    /// # Errors
    /// [`AdminError`].
    #[pennypost_ports::compiled_here]
    pub async fn vips(
        &self,
        call: &Call,
        tenant: TenantId,
        page: &Page,
    ) -> Result<Listed<Account>, AdminError> {
        call.may(Action::AccountRead, &Scope::SomeAccount(tenant))?;
        let Listed { items, next } = self.directory.vips(tenant, page).await?;
        let places = self.places(call, tenant).await?;
        let items = items.into_iter().filter(|account| may_see(call, account, &places)).collect();
        Ok(Listed { items, next })
    }

    /// Does the tenant's plan have the function (PLN-09)?
    pub(crate) async fn needs_function(
        &self,
        tenant: TenantId,
        function: Function,
    ) -> Result<(), AdminError> {
        let stored = self.stored_tenant(tenant).await?;
        if stored.has(function, self.clock.now()) {
            Ok(())
        } else {
            Err(AdminError::Conflict(Conflict::NotInPlan(function)))
        }
    }
}
