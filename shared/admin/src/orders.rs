//! Orders that administrators submit (TEN-05, TEN-06, TEN-15, PLN-05 … PLN-07): to buy, to renew, more seats, a trial, more
//! accounts than there may be. The operator decides, and the plan follows by itself, once.
//!
//! An order is a [`Purchase`] with an [`Application`]. `installation/open-orders` tells the operator which ones wait: its rows
//! are written before the order and removed after it is decided, so that it names too many at most.
//!
//! | from | to | by |
//! | --- | --- | --- |
//! | submitted | withdrawn | an administrator |
//! | submitted | refused, approved | the operator; of a trial, and of more accounts for who is verified, nobody |
//! | approved | done | whoever comes by: the plan remembers the orders that were carried out |
//! | approved | refused | whoever comes by, if the plan has become one upon which it can't be |
//!
//! If the process dies behind *approved*, the order is carried out by the next one of the tenant that is submitted or approved,
//! before that, or by the daily round. So never more are under way than the plan remembers.

use pennypost_directory::{
    DirectoryError, Listed, MAX_PAGE, Page, Payment, Plan, Tenant, TenantState, Verification,
};
use pennypost_model::codec::Versioned;
use pennypost_model::{TenantId, Timestamp};
use pennypost_ports::{ControlKey, Expected};
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::action::Action;
use crate::authorise::Scope;
use crate::call::{About, Call};
use crate::operations::By;
use crate::purchases::{
    Application, MAX_NOTE, MAX_PURCHASES, OrderState, OrderTerms, Purchase, PurchaseKind, is_text, key_of,
    partition,
};
use crate::store::MAX_ATTEMPTS;
use crate::{AdminError, Administration, Conflict, Invalid};

/// Years that are bought at once.
const MAX_YEARS: u32 = 10;
/// Seats of an order.
const MAX_SEATS: u32 = 1_000_000;
/// VIP seats of a trial.
const TRIAL_SEATS: u32 = 10;
/// Accounts that a tenant gets without anybody looking, once it is known who it is (TEN-14).
const FREE_CEILING: u32 = 1_000;
/// Orders of a tenant that wait at once.
const MAX_WAITING: usize = 10;
const OPEN: &str = "installation/open-orders";

/// An order that is to be submitted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewOrder {
    /// What it is for.
    pub kind: PurchaseKind,
    /// Accounts: of [`PurchaseKind::Extend`] that many more, of [`PurchaseKind::Ceiling`] that many in all.
    pub seats: u32,
    /// VIP seats: of [`PurchaseKind::Extend`] that many more.
    pub vip_seats: u32,
    /// Years.
    pub years: u32,
    /// Why; may be empty but for [`PurchaseKind::Ceiling`].
    pub reason: String,
}

/// What the operator says of an order that he approves.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Approval {
    /// What it costs, in hundredths of the currency's unit.
    pub amount: u64,
    /// Its currency; may be empty of what costs nothing.
    pub currency: String,
    /// When the term begins; `None`: now (PLN-06).
    pub starts: Option<Timestamp>,
    /// It was paid. If not, the plan is lowered after 7 days (TEN-05).
    pub is_paid: bool,
    /// What he says to it.
    pub note: String,
}

/// That an order may wait.
#[derive(Debug, Serialize, Deserialize)]
struct Open;

impl Versioned for Open {
    const KIND: &'static str = "open order";
}

pub(crate) fn open_key(tenant: TenantId, id: u64) -> ControlKey {
    ControlKey::new(OPEN, format!("{id:016x}/{tenant}"))
}

/// Was an order of that id begun so long ago that nobody is still about to write it?
fn is_old(id: u64, now: Timestamp) -> bool {
    let begun = i64::try_from(!(id >> 16) & 0xffff_ffff_ffff).unwrap_or_default();
    now.0.saturating_sub(begun) > 24 * 60 * 60 * 1000
}

impl NewOrder {
    /// Can such an order be, of a tenant with that plan?
    fn check(&self, plan: Option<&Plan>) -> Result<(), AdminError> {
        use PurchaseKind as K;
        let has_years = (1..=MAX_YEARS).contains(&self.years);
        let seats = self.seats.max(self.vip_seats);
        let is_possible = seats <= MAX_SEATS
            && is_text(&self.reason, MAX_NOTE)
            && match self.kind {
                K::Buy => has_years && self.vip_seats > 0,
                K::Renew => has_years && seats == 0,
                K::Extend => self.years == 0 && seats > 0,
                K::Trial => self.years == 0 && self.seats == 0 && (1..=TRIAL_SEATS).contains(&self.vip_seats),
                K::Ceiling => {
                    let more = plan.and_then(|plan| plan.seats).is_none_or(|seats| self.seats > seats);
                    self.years == 0 && self.vip_seats == 0 && more && !self.reason.trim().is_empty()
                }
            };
        if !is_possible {
            return Err(Invalid::Order.into());
        }
        match (self.kind, plan) {
            (K::Buy, _) => Ok(()),
            (_, None) => Err(AdminError::Conflict(Conflict::NoPlan)),
            (K::Trial, Some(plan)) if plan.was_tried || plan.payment != Payment::Free => {
                Err(AdminError::Conflict(Conflict::Tried))
            }
            _ => Ok(()),
        }
    }

    /// Is nobody asked?
    fn is_approved_at_once(&self, plan: Option<&Plan>) -> bool {
        match self.kind {
            PurchaseKind::Trial => true,
            PurchaseKind::Ceiling => {
                let is_known = plan.is_some_and(|plan| plan.verification != Verification::Unverified);
                is_known && self.seats <= FREE_CEILING
            }
            PurchaseKind::Buy | PurchaseKind::Renew | PurchaseKind::Extend => false,
        }
    }
}

/// The same day of a later year; of the 29th of February the 1st of March, where there is none.
fn in_years(from: Timestamp, years: u32) -> Timestamp {
    let text = from.rfc3339();
    let (year, _, _) = from.civil_day();
    let later = year + i64::from(years);
    let same = Timestamp::from_rfc3339(&format!("{later:04}{}", &text[4..]));
    same.or_else(|| Timestamp::from_rfc3339(&format!("{later:04}-03-01{}", &text[10..]))).unwrap_or(from)
}

/// When a term ends that begins then.
fn term_from(from: Timestamp, years: u32) -> Result<Timestamp, AdminError> {
    let ends = in_years(from, years);
    if ends > from { Ok(ends) } else { Err(DirectoryError::PlanTerm.into()) }
}

/// The plan that follows from an order, if it can be carried out upon that which there is.
fn effect(order: &Purchase, years: u32, seen: Option<&Plan>) -> Result<Plan, AdminError> {
    let terms = &order.terms;
    let stored = || seen.cloned().ok_or(AdminError::Conflict(Conflict::NoPlan));
    Ok(match terms.kind {
        PurchaseKind::Buy => {
            // Only what is bought first may be used before it is paid: a term that was paid is not thrown away for it.
            let is_paid = |plan: &Plan| plan.payment == Payment::Paid && !plan.is_over(terms.starts);
            if order.paid.is_none() && seen.is_some_and(is_paid) {
                return Err(Invalid::Approval.into());
            }
            let payment = if order.paid.is_some() { Payment::Paid } else { Payment::Unpaid };
            let agreed = Plan::pro().agreed(seen);
            Plan {
                vip_seats: terms.vip_seats,
                seats: agreed.seats.map(|seats| seats.max(terms.seats)),
                starts: Some(terms.starts),
                ends: Some(term_from(terms.starts, years)?),
                payment,
                pay_by: None,
                unpaid_order: order.paid.is_none().then_some(order.id),
                ..agreed
            }
        }
        PurchaseKind::Renew => {
            let plan = stored()?;
            let from = plan.ends.map_or(terms.starts, |ends| ends.max(terms.starts));
            Plan { ends: Some(term_from(from, years)?), payment: Payment::Paid, pay_by: None, ..plan }
        }
        PurchaseKind::Extend => {
            let plan = stored()?;
            Plan {
                vip_seats: plan.vip_seats.saturating_add(terms.vip_seats),
                seats: plan.seats.map(|seats| seats.saturating_add(terms.seats)),
                ..plan
            }
        }
        PurchaseKind::Trial => {
            let plan = stored()?;
            if plan.was_tried || plan.payment != Payment::Free {
                return Err(AdminError::Conflict(Conflict::Tried));
            }
            Plan::tried(&plan, terms.vip_seats)
        }
        PurchaseKind::Ceiling => {
            let plan = stored()?;
            Plan { seats: plan.seats.map(|seats| seats.max(terms.seats)), ..plan }
        }
    })
}

/// Can an order not be carried out upon the plan that there is, however often it is tried?
const fn is_impossible(error: &AdminError) -> bool {
    matches!(
        error,
        AdminError::Conflict(_) | AdminError::Invalid(_) | AdminError::Directory(DirectoryError::PlanTerm)
    )
}

/// Is it time to carry out what was approved? What is bought begins on the day that the operator names (PLN-06); another term,
/// and more of what there is, are added at once.
fn has_come(order: &Purchase, now: Timestamp) -> bool {
    order.terms.kind != PurchaseKind::Buy || order.terms.starts <= now
}

impl Administration {
    /// Submits an order. It can't be changed any more; it can be withdrawn until it is decided.
    ///
    /// # Errors
    /// [`Invalid::Order`], [`Invalid::TooMany`], [`Conflict::NoPlan`], [`Conflict::Tried`], or others of [`AdminError`].
    #[pennypost_ports::compiled_here]
    pub async fn submit_order(
        &self,
        call: &Call,
        tenant: TenantId,
        new: NewOrder,
    ) -> Result<Purchase, AdminError> {
        let (id, created) = self.fresh_order();
        let object = format!("{id:016x}");
        let about = About::new(Some(tenant), Action::OrderSubmit, &object).to(json!({
            "kind": format!("{:?}", new.kind), "seats": new.seats, "vip_seats": new.vip_seats,
            "years": new.years, "reason": new.reason,
        }));
        self.permit(call, &Scope::Tenant(tenant), &about).await?;
        let plan = self.open_tenant(tenant).await?.plan;
        new.check(plan.as_ref())?;
        let page = Page { after: None, limit: MAX_PAGE };
        let all = self.list::<Purchase>(&partition(tenant), &page).await?.items;
        let is_open = |order: &Purchase| {
            order.application.as_ref().is_some_and(|one| one.state == OrderState::Submitted)
        };
        if all.iter().filter(|(_, order)| is_open(order)).count() >= MAX_WAITING {
            return Err(Invalid::TooMany { limit: MAX_WAITING }.into());
        }
        self.room_for_order(tenant, &all).await?;
        let is_at_once = new.is_approved_at_once(plan.as_ref());
        let NewOrder { kind, seats, vip_seats, years, reason } = new;
        let edition = match (kind, plan) {
            (PurchaseKind::Buy | PurchaseKind::Trial, _) | (_, None) => Plan::pro().edition,
            (_, Some(plan)) => plan.edition,
        };
        let unknown = Timestamp(0);
        let terms = OrderTerms {
            kind,
            edition,
            seats,
            vip_seats,
            amount: 0,
            currency: String::new(),
            starts: if is_at_once { created } else { unknown },
            ends: unknown,
            note: String::new(),
        };
        let application = Application {
            by: By::of(&call.actor),
            years,
            reason: reason.trim().to_owned(),
            state: if is_at_once { OrderState::Approved } else { OrderState::Submitted },
            decided: is_at_once.then_some(created),
            answer: String::new(),
        };
        let order = Purchase { application: Some(application), ..Purchase::new(id, terms, created) };
        self.act(call, &about, async {
            self.settle_before(tenant).await?;
            self.write(&open_key(tenant, id), &Open, Expected::Any).await?;
            if !self.write(&key_of(tenant, id), &order, Expected::Absent).await? {
                return Err(AdminError::Changed);
            }
            if is_at_once { self.carry_out(tenant, id).await } else { Ok(order) }
        })
        .await
    }

    /// A tenant of which something may be said: not one that is being erased.
    async fn open_tenant(&self, tenant: TenantId) -> Result<Tenant, AdminError> {
        let stored = self.stored_tenant(tenant).await?;
        if stored.state == TenantState::Erasing {
            return Err(AdminError::Conflict(Conflict::ErasingBegun));
        }
        Ok(stored)
    }

    /// Makes room for an order among `all`, where there are too many: what was withdrawn longest ago goes for it.
    pub(crate) async fn room_for_order(
        &self,
        tenant: TenantId,
        all: &[(String, Purchase)],
    ) -> Result<(), AdminError> {
        if all.len() < MAX_PURCHASES {
            return Ok(());
        }
        let is_withdrawn = |order: &Purchase| {
            order.application.as_ref().is_some_and(|one| one.state == OrderState::Withdrawn)
        };
        let oldest = all.iter().rev().find(|(_, order)| is_withdrawn(order));
        let (_, order) = oldest.ok_or(Invalid::TooMany { limit: MAX_PURCHASES })?;
        self.erase(&key_of(tenant, order.id)).await.map(drop)
    }

    /// Decides on an order that waits, or withdraws it; the order after it. One that was decided so before is as it is.
    async fn decide(
        &self,
        tenant: TenantId,
        id: u64,
        decide: impl Fn(&mut Purchase, &mut Application) -> Result<(), AdminError>,
    ) -> Result<Purchase, AdminError> {
        self.open_tenant(tenant).await?;
        for _ in 0..MAX_ATTEMPTS {
            let (mut order, version) = self.stored_purchase(tenant, id).await?;
            let Some(mut application) = order.application.take() else {
                return Err(AdminError::Conflict(Conflict::OrderDecided));
            };
            if application.state != OrderState::Submitted {
                return Err(AdminError::Conflict(Conflict::OrderDecided));
            }
            decide(&mut order, &mut application)?;
            application.decided = Some(self.clock.now());
            order.application = Some(application);
            if self.write(&key_of(tenant, id), &order, Expected::Version(version)).await? {
                return Ok(order);
            }
        }
        Err(AdminError::Changed)
    }

    /// Withdraws an order, until it is decided.
    ///
    /// # Errors
    /// [`Conflict::OrderDecided`], or others of [`AdminError`].
    #[pennypost_ports::compiled_here]
    pub async fn withdraw_order(
        &self,
        call: &Call,
        tenant: TenantId,
        id: u64,
    ) -> Result<Purchase, AdminError> {
        let object = format!("{id:016x}");
        let about = About::new(Some(tenant), Action::OrderWithdraw, &object);
        self.permit(call, &Scope::Tenant(tenant), &about).await?;
        self.act(call, &about, async {
            let withdrawn = self.decide(tenant, id, |_, application| {
                application.state = OrderState::Withdrawn;
                Ok(())
            });
            let order = withdrawn.await?;
            self.erase(&open_key(tenant, id)).await?;
            Ok::<_, AdminError>(order)
        })
        .await
    }

    /// As the operator: refuses an order, and says why.
    ///
    /// # Errors
    /// [`Invalid::Reason`], [`Conflict::OrderDecided`], or others of [`AdminError`].
    #[pennypost_ports::compiled_here]
    pub async fn refuse_order(
        &self,
        call: &Call,
        tenant: TenantId,
        id: u64,
        reason: &str,
    ) -> Result<Purchase, AdminError> {
        let object = format!("{id:016x}");
        let about = About::new(Some(tenant), Action::OrderDecide, &object)
            .to(json!({ "approved": false, "reason": reason }));
        self.permit(call, &Scope::Tenant(tenant), &about).await?;
        if reason.trim().is_empty() || !is_text(reason, MAX_NOTE) {
            return Err(Invalid::Reason { limit: MAX_NOTE }.into());
        }
        self.act(call, &about, async {
            let refused = self.decide(tenant, id, |_, application| {
                application.state = OrderState::Refused;
                reason.trim().clone_into(&mut application.answer);
                Ok(())
            });
            let order = refused.await?;
            self.erase(&open_key(tenant, id)).await?;
            Ok::<_, AdminError>(order)
        })
        .await
    }

    /// As the operator: approves an order. What follows from it happens with it, and once.
    ///
    /// # Errors
    /// [`Invalid::Approval`], [`Conflict::OrderDecided`], or others of [`AdminError`].
    #[pennypost_ports::compiled_here]
    pub async fn approve_order(
        &self,
        call: &Call,
        tenant: TenantId,
        id: u64,
        approval: &Approval,
    ) -> Result<Purchase, AdminError> {
        let Approval { amount, currency, starts, is_paid, note } = approval;
        let object = format!("{id:016x}");
        let about = About::new(Some(tenant), Action::OrderDecide, &object).to(json!({
            "approved": true, "amount": amount, "currency": currency, "paid": is_paid,
            "starts": starts.map(Timestamp::rfc3339),
        }));
        self.permit(call, &Scope::Tenant(tenant), &about).await?;
        let is_currency = currency.len() == 3 && currency.bytes().all(|b| b.is_ascii_uppercase());
        if !(is_currency || *amount == 0 && currency.is_empty()) || !is_text(note, MAX_NOTE) {
            return Err(Invalid::Approval.into());
        }
        let now = self.clock.now();
        self.act(call, &about, async {
            self.settle_before(tenant).await?;
            let plan = self.open_tenant(tenant).await?.plan;
            let approved = self.decide(tenant, id, |order, application| {
                // Only what is bought first may be used before it is paid.
                order.paid = order.paid.or(is_paid.then_some(now));
                if order.paid.is_none()
                    && matches!(order.terms.kind, PurchaseKind::Renew | PurchaseKind::Extend)
                {
                    return Err(Invalid::Approval.into());
                }
                application.state = OrderState::Approved;
                order.terms.amount = *amount;
                order.terms.currency.clone_from(currency);
                order.terms.starts = starts.unwrap_or(now);
                order.terms.note.clone_from(note);
                // Said before it is approved rather than found out afterwards.
                Ok(effect(order, application.years, plan.as_ref())?.check()?)
            });
            let order = approved.await?;
            if has_come(&order, self.clock.now()) {
                self.carry_out(tenant, order.id).await
            } else {
                Ok(order)
            }
        })
        .await
    }

    /// Carries out an order that is approved; the order after it. One that can't be carried out upon the plan that there is by
    /// now is refused, and stands in nobody's way.
    async fn carry_out(&self, tenant: TenantId, id: u64) -> Result<Purchase, AdminError> {
        // As it is now: it may have been paid meanwhile.
        let (order, _) = self.stored_purchase(tenant, id).await?;
        let years = order.application.as_ref().map_or(0, |application| application.years);
        let carried = self.directory.carry_out_order(tenant, id, |plan| effect(&order, years, plan)).await;
        let carried = match carried {
            Ok(plan) => Ok(plan),
            Err(error) if is_impossible(&error) => Err(error.to_string()),
            Err(error) => return Err(error),
        };
        let key = key_of(tenant, id);
        for _ in 0..MAX_ATTEMPTS {
            let (mut order, version) = self.stored_purchase(tenant, id).await?;
            if carried.is_ok() && order.paid.is_some() && order.terms.kind == PurchaseKind::Buy {
                // Paid while the plan was being written.
                self.directory.note_paid(tenant, id).await?;
            }
            if let Some(application) = order.application.as_mut()
                && application.state == OrderState::Approved
            {
                match &carried {
                    Ok(plan) => {
                        application.state = OrderState::Done;
                        order.terms.ends = plan.ends.or(plan.pay_by).unwrap_or(order.terms.starts);
                    }
                    Err(why) => {
                        application.state = OrderState::Refused;
                        application.answer = why.chars().take(MAX_NOTE).collect();
                    }
                }
                if !self.write(&key, &order, Expected::Version(version)).await? {
                    continue;
                }
            }
            self.erase(&open_key(tenant, order.id)).await?;
            return Ok(order);
        }
        Err(AdminError::Changed)
    }

    /// Carries out what was approved when somebody died, or for a day that has come. One that fails keeps none of the others
    /// from it, nor is anything said of a tenant that is being erased.
    ///
    /// # Errors
    /// [`AdminError`]: that of the first order that could not be carried out.
    #[pennypost_ports::compiled_here]
    pub async fn settle_orders(&self, tenant: TenantId) -> Result<(), AdminError> {
        match self.directory.tenant(tenant).await? {
            Some(stored) if stored.state != TenantState::Erasing => {}
            _ => return Ok(()),
        }
        let page = Page { after: None, limit: MAX_PAGE };
        let mut failed = Ok(());
        let now = self.clock.now();
        // The oldest first.
        for (_, order) in self.list::<Purchase>(&partition(tenant), &page).await?.items.iter().rev() {
            let is_approved = order.application.as_ref().is_some_and(|one| one.state == OrderState::Approved);
            if is_approved && has_come(order, now) {
                failed = failed.and(self.carry_out(tenant, order.id).await.map(drop));
            }
        }
        failed
    }

    /// The same before something else, which does not wait for an order that can't be carried out now or later.
    async fn settle_before(&self, tenant: TenantId) -> Result<(), AdminError> {
        match self.settle_orders(tenant).await {
            Err(error) if !error.is_temporary() => {
                tracing::warn!(%tenant, %error, "an order that was approved is not carried out");
                Ok(())
            }
            settled => settled,
        }
    }

    /// As the operator: orders that wait for his word, of all tenants, the newest first. A page may hold few though more
    /// follow.
    ///
    /// # Errors
    /// [`AdminError`].
    #[pennypost_ports::compiled_here]
    pub async fn open_orders(
        &self,
        call: &Call,
        page: &Page,
    ) -> Result<Listed<(Tenant, Purchase)>, AdminError> {
        call.may(Action::OrderList, &Scope::Installation)?;
        let Listed { items, next } = self.list::<Open>(OPEN, page).await?;
        let mut open = Vec::with_capacity(items.len());
        for (sort, _) in items {
            let Some((id, tenant)) = sort.split_once('/') else { continue };
            let (Ok(id), Ok(tenant)) = (u64::from_str_radix(id, 16), tenant.parse::<TenantId>()) else {
                continue;
            };
            let Some(tenant) = self.directory.tenant(tenant).await? else {
                // Its orders stay, but nobody decides on them.
                self.erase(&open_key(tenant, id)).await?;
                continue;
            };
            let found = self.read::<Purchase>(&key_of(tenant.id, id)).await?;
            let waits = |order: &Purchase| {
                order.application.as_ref().is_some_and(|one| one.state == OrderState::Submitted)
            };
            let is_open = tenant.state != TenantState::Erasing;
            match found {
                Some((order, _)) if waits(&order) => open.extend(is_open.then_some((tenant, order))),
                // Written by somebody who died before the order was, or decided by one who died before this went.
                found if found.is_some() || is_old(id, self.clock.now()) => {
                    self.erase(&open_key(tenant.id, id)).await?;
                }
                _ => {}
            }
        }
        Ok(Listed { items: open, next })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn order(kind: PurchaseKind, seats: u32, vip_seats: u32, paid: bool) -> Purchase {
        let starts = Timestamp::from_rfc3339("2024-02-29T08:00:00Z").expect("a time");
        let terms = OrderTerms {
            kind,
            edition: "pro".to_owned(),
            seats,
            vip_seats,
            amount: 1,
            currency: "CNY".to_owned(),
            starts,
            ends: Timestamp(0),
            note: String::new(),
        };
        Purchase { paid: paid.then_some(starts), ..Purchase::new(7, terms, starts) }
    }

    #[test]
    fn years_end_on_the_same_day() {
        let at = |text: &str| Timestamp::from_rfc3339(text).expect("a time");
        assert_eq!(in_years(at("2024-02-29T08:00:00Z"), 1), at("2025-03-01T08:00:00Z"));
        assert_eq!(in_years(at("2024-02-29T08:00:00Z"), 4), at("2028-02-29T08:00:00Z"));
        assert_eq!(in_years(at("2026-11-22T00:00:00Z"), 10), at("2036-11-22T00:00:00Z"));
    }

    #[test]
    fn ids_tell_when_an_order_was_begun() {
        let begun = Timestamp::from_rfc3339("2026-11-22T08:00:00Z").expect("a time");
        let id = ((u64::MAX - u64::try_from(begun.0).expect("a time")) << 16) | 77;
        let day = 24 * 60 * 60 * 1000;
        assert!(!is_old(id, begun.plus_millis(day)) && is_old(id, begun.plus_millis(day + 1)));
    }

    #[test]
    fn plans_follow_from_orders() {
        let basic = Plan { seats: Some(300), verification: Verification::Verified, ..Plan::basic() };
        let bought = effect(&order(PurchaseKind::Buy, 0, 9, true), 2, Some(&basic)).expect("a plan");
        assert_eq!((bought.edition.as_str(), bought.vip_seats, bought.seats), ("pro", 9, Some(300)));
        assert_eq!((bought.payment, bought.verification), (Payment::Paid, Verification::Verified));
        let ends = bought.ends.expect("an end").rfc3339();
        assert_eq!(ends, "2026-03-01T08:00:00.000Z");
        let unpaid = effect(&order(PurchaseKind::Buy, 400, 9, false), 1, Some(&basic)).expect("a plan");
        assert_eq!((unpaid.payment, unpaid.seats), (Payment::Unpaid, Some(400)));
        // What is renewed before its end goes on from there, what is renewed afterwards from then.
        let renewed = effect(&order(PurchaseKind::Renew, 0, 0, true), 1, Some(&bought)).expect("a plan");
        assert_eq!(renewed.ends.expect("an end").rfc3339(), "2027-03-01T08:00:00.000Z");
        let over = Plan { ends: Some(Timestamp(5)), ..bought.clone() };
        let renewed = effect(&order(PurchaseKind::Renew, 0, 0, true), 1, Some(&over)).expect("a plan");
        assert_eq!(
            (renewed.ends, renewed.vip_seats),
            (Some(in_years(order(PurchaseKind::Renew, 0, 0, true).terms.starts, 1)), 9)
        );
        let more = effect(&order(PurchaseKind::Extend, 50, 3, true), 0, Some(&bought)).expect("a plan");
        assert_eq!((more.seats, more.vip_seats, more.ends), (Some(350), 12, bought.ends));
        let tried = effect(&order(PurchaseKind::Trial, 0, 5, false), 0, Some(&basic)).expect("a plan");
        assert_eq!(
            (tried.payment, tried.vip_seats, tried.ends, tried.seats),
            (Payment::Trial, 5, None, Some(300))
        );
        // Upon another plan than it was submitted for it is not carried out.
        for plan in [Some(&bought), Some(&tried), None] {
            effect(&order(PurchaseKind::Trial, 0, 5, false), 0, plan).expect_err("no trial");
        }
        // A term that was paid is not thrown away for what is not, and there is no term without an end.
        effect(&order(PurchaseKind::Buy, 0, 9, false), 1, Some(&bought)).expect_err("paid first");
        let mut far = order(PurchaseKind::Buy, 0, 9, true);
        far.terms.starts = Timestamp::from_rfc3339("9995-01-01T00:00:00Z").expect("a time");
        assert_eq!(effect(&far, 10, Some(&basic)), Err(DirectoryError::PlanTerm.into()));
        let raised = effect(&order(PurchaseKind::Ceiling, 900, 0, false), 0, Some(&bought)).expect("a plan");
        assert_eq!((raised.seats, raised.payment), (Some(900), Payment::Paid));
    }

    #[test]
    fn orders_that_cannot_be_are_not_submitted() {
        use PurchaseKind as K;
        let new = |kind, seats, vip_seats, years, reason: &str| NewOrder {
            kind,
            seats,
            vip_seats,
            years,
            reason: reason.to_owned(),
        };
        let basic = Plan::basic();
        let pro = Plan { vip_seats: 1, ..Plan::pro() };
        for (good, plan) in [
            (new(K::Buy, 0, 1, 10, ""), None),
            (new(K::Buy, 0, 1, 1, ""), Some(&basic)),
            (new(K::Renew, 0, 0, 1, ""), Some(&pro)),
            (new(K::Extend, 1, 0, 0, ""), Some(&pro)),
            (new(K::Trial, 0, 10, 0, ""), Some(&basic)),
            (new(K::Ceiling, 201, 0, 0, "we grow"), Some(&basic)),
        ] {
            assert_eq!(good.check(plan), Ok(()), "{good:?}");
        }
        for bad in [
            new(K::Buy, 0, 0, 1, ""),
            new(K::Buy, 0, 1, 11, ""),
            new(K::Renew, 0, 0, 0, ""),
            new(K::Extend, 0, 0, 0, ""),
            new(K::Trial, 0, 11, 0, ""),
            new(K::Ceiling, 200, 0, 0, "we grow"),
            new(K::Ceiling, 201, 0, 0, " "),
            new(K::Extend, 1_000_001, 0, 0, ""),
        ] {
            assert_eq!(bad.check(Some(&basic)), Err(Invalid::Order.into()), "{bad:?}");
        }
        let trial = new(K::Trial, 0, 1, 0, "");
        let tried = Plan { was_tried: true, ..Plan::basic() };
        for plan in [&tried, &pro] {
            assert_eq!(trial.check(Some(plan)), Err(AdminError::Conflict(Conflict::Tried)));
        }
        assert_eq!(trial.check(None), Err(AdminError::Conflict(Conflict::NoPlan)));
    }
}
