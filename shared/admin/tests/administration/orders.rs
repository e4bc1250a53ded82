//! Orders of plans: whoever dies in a decision, the plan follows once.

use std::sync::Arc;

use crate::memory::{Death, House, Memory};
use pennypost_admin::{
    AdminError, Administration, Approval, Call, Conflict, NewOrder, OrderState, Purchase, PurchaseKind,
};
use pennypost_directory::{Page, Payment, Plan};
use pennypost_model::TenantId;
use pennypost_ports::{Clock, Control, RandomIds};

const OPERATOR: Call = Call::of_operator();

fn process(house: &House, memory: Memory) -> Administration {
    let control: Arc<dyn Control> = Arc::new(memory);
    let directory = house.process_on(Arc::clone(&control));
    Administration::new(directory, control, Arc::clone(&house.clock) as Arc<dyn Clock>, Arc::new(RandomIds))
}

fn more() -> NewOrder {
    NewOrder { kind: PurchaseKind::Extend, seats: 7, vip_seats: 2, years: 0, reason: String::new() }
}

fn paid() -> Approval {
    let (amount, currency, note) = (100, "CNY".to_owned(), String::new());
    Approval { amount, currency, starts: None, is_paid: true, note }
}

async fn plan(it: &Administration, tenant: TenantId) -> Plan {
    it.plan(&OPERATOR, tenant).await.expect("read").expect("a plan")
}

async fn state(it: &Administration, tenant: TenantId, order: &Purchase) -> OrderState {
    let order = it.purchase(&OPERATOR, tenant, order.id).await.expect("an order");
    order.application.expect("submitted").state
}

#[tokio::test]
async fn whoever_dies_in_a_decision_the_plan_follows_once() {
    for death in [Death::BeforeWrite, Death::AfterWrite] {
        let mut survived = false;
        for writes in 0..40 {
            let (house, tenant) = House::with_acme().await;
            let it = process(&house, Memory::new(&house.disk));
            assert_eq!(house.directory.set_plan(tenant, None, &Plan::pro()).await, Ok(true));
            let (first, second) = (more(), more());
            let first = it.submit_order(&OPERATOR, tenant, first).await.expect("submitted");
            let second = it.submit_order(&OPERATOR, tenant, second).await.expect("submitted");
            let mortal = process(&house, Memory::dying(&house.disk, writes, death));
            survived |= mortal.approve_order(&OPERATOR, tenant, first.id, &paid()).await.is_ok();
            // The daily round, twice; or the next decision comes first.
            if writes % 2 == 0 {
                it.settle_orders(tenant).await.expect("settled");
                it.settle_orders(tenant).await.expect("settled");
            }
            it.approve_order(&OPERATOR, tenant, second.id, &paid()).await.expect("the other one");
            match it.approve_order(&OPERATOR, tenant, first.id, &paid()).await {
                Ok(_) | Err(AdminError::Conflict(Conflict::OrderDecided)) => {}
                Err(error) => panic!("{writes} {death:?}: {error}"),
            }
            let plan = plan(&it, tenant).await;
            assert_eq!((plan.seats, plan.vip_seats), (Some(214), 4), "{writes} {death:?}");
            assert_eq!(state(&it, tenant, &first).await, OrderState::Done);
            let open = it.open_orders(&OPERATOR, &Page::default()).await.expect("listed").items;
            assert_eq!(open.len(), 0);
        }
        assert!(survived, "it takes more writes than were tried");
    }
}

#[tokio::test]
async fn of_two_who_decide_at_once_one_does() {
    let (house, tenant) = House::with_acme().await;
    let it = process(&house, Memory::new(&house.disk));
    assert_eq!(house.directory.set_plan(tenant, None, &Plan::basic()).await, Ok(true));
    for _ in 0..5 {
        let before = plan(&it, tenant).await;
        let order = it.submit_order(&OPERATOR, tenant, more()).await.expect("submitted");
        let (one, other) = (process(&house, Memory::new(&house.disk)), it.clone());
        let (operator, paid) = (OPERATOR, paid());
        let (approved, refused, withdrawn) = tokio::join!(
            one.approve_order(&operator, tenant, order.id, &paid),
            other.refuse_order(&operator, tenant, order.id, "no"),
            it.withdraw_order(&operator, tenant, order.id),
        );
        let done = [approved.is_ok(), refused.is_ok(), withdrawn.is_ok()];
        assert_eq!(done.iter().filter(|is_done| **is_done).count(), 1, "{done:?}");
        let more = if done[0] { 7 } else { 0 };
        let seats = before.seats.map(|seats| seats + more);
        assert_eq!(plan(&it, tenant).await.seats, seats);
    }
}

fn buy(vip_seats: u32) -> NewOrder {
    NewOrder { kind: PurchaseKind::Buy, vip_seats, seats: 0, years: 1, reason: String::new() }
}

#[tokio::test]
async fn what_is_bought_begins_on_the_day_that_the_operator_names() {
    let (house, tenant) = House::with_acme().await;
    let it = process(&house, Memory::new(&house.disk));
    assert_eq!(house.directory.set_plan(tenant, None, &Plan::basic()).await, Ok(true));
    let day = house.clock.now().plus_millis(20 * 86_400_000);
    let order = it.submit_order(&OPERATOR, tenant, buy(3)).await.expect("submitted");
    let later = Approval { starts: Some(day), is_paid: false, ..paid() };
    let order = it.approve_order(&OPERATOR, tenant, order.id, &later).await.expect("approved");
    it.settle_orders(tenant).await.expect("nothing to be done");
    assert_eq!(state(&it, tenant, &order).await, OrderState::Approved);
    assert_eq!(plan(&it, tenant).await, Plan::basic());
    // Paid before its day, it needs not be paid afterwards.
    let now = house.clock.now();
    let change = pennypost_admin::PurchaseChange { paid: Some(Some(now)), ..Default::default() };
    it.change_purchase(&OPERATOR, tenant, &order, change).await.expect("paid");
    house.clock.advance(20 * 86_400_000);
    it.settle_orders(tenant).await.expect("settled");
    assert_eq!(state(&it, tenant, &order).await, OrderState::Done);
    let bought = plan(&it, tenant).await;
    assert_eq!((bought.vip_seats, bought.starts, bought.payment), (3, Some(day), Payment::Paid));
}

#[tokio::test]
async fn a_payment_lifts_what_was_bought_with_it_and_nothing_else() {
    let (house, tenant) = House::with_acme().await;
    let it = process(&house, Memory::new(&house.disk));
    let unpaid = Approval { is_paid: false, ..paid() };
    let mut orders = Vec::new();
    for vip_seats in [3, 5] {
        let order = it.submit_order(&OPERATOR, tenant, buy(vip_seats)).await.expect("submitted");
        orders.push(it.approve_order(&OPERATOR, tenant, order.id, &unpaid).await.expect("approved"));
    }
    let now = house.clock.now();
    let pay = pennypost_admin::PurchaseChange { paid: Some(Some(now)), ..Default::default() };
    let first = it.change_purchase(&OPERATOR, tenant, &orders[0], pay).await.expect("paid");
    assert_eq!(plan(&it, tenant).await.payment, Payment::Unpaid, "the second one stands");
    let invoice = Some(pennypost_admin::PaperState::Issued);
    let paper = pennypost_admin::PurchaseChange { invoice, ..Default::default() };
    it.change_purchase(&OPERATOR, tenant, &first, paper).await.expect("an invoice");
    assert_eq!(plan(&it, tenant).await.payment, Payment::Unpaid);
    it.change_purchase(&OPERATOR, tenant, &orders[1], pay).await.expect("paid");
    assert_eq!(plan(&it, tenant).await.payment, Payment::Paid);
}

#[tokio::test]
async fn nothing_is_decided_for_a_tenant_that_is_being_erased() {
    let (house, tenant) = House::with_acme().await;
    let it = process(&house, Memory::new(&house.disk));
    let order = it.submit_order(&OPERATOR, tenant, buy(3)).await.expect("submitted");
    assert_eq!(house.directory.begin_erasing_tenant(tenant, |_| true).await, Ok(true));
    let begun = Err(AdminError::Conflict(Conflict::ErasingBegun));
    assert_eq!(it.approve_order(&OPERATOR, tenant, order.id, &paid()).await, begun);
    assert_eq!(it.submit_order(&OPERATOR, tenant, buy(3)).await, begun);
    assert_eq!(it.settle_orders(tenant).await, Ok(()));
    // What it paid can still be written down.
    let now = house.clock.now();
    let pay = pennypost_admin::PurchaseChange { paid: Some(Some(now)), ..Default::default() };
    it.change_purchase(&OPERATOR, tenant, &order, pay).await.expect("paid");
}

#[tokio::test]
async fn a_trial_is_not_carried_out_upon_what_was_paid_meanwhile() {
    let mut refused = 0;
    for writes in 0..12 {
        let (house, tenant) = House::with_acme().await;
        let it = process(&house, Memory::new(&house.disk));
        assert_eq!(house.directory.set_plan(tenant, None, &Plan::basic()).await, Ok(true));
        let trial = NewOrder { kind: PurchaseKind::Trial, years: 0, ..buy(3) };
        let mortal = process(&house, Memory::dying(&house.disk, writes, Death::AfterWrite));
        let _ = mortal.submit_order(&OPERATOR, tenant, trial).await;
        let seen = plan(&it, tenant).await;
        if seen.payment == Payment::Trial {
            break;
        }
        let sold = Plan { vip_seats: 50, ..Plan::pro() };
        assert_eq!(house.directory.set_plan(tenant, Some(&seen), &sold).await, Ok(true));
        it.settle_orders(tenant).await.expect("settled");
        let after = plan(&it, tenant).await;
        assert_eq!((after.payment, after.vip_seats), (Payment::Paid, 50), "{writes}");
        for order in it.purchases(&OPERATOR, tenant, &Page::default()).await.expect("orders").items {
            assert_eq!(state(&it, tenant, &order).await, OrderState::Refused, "{writes}");
            refused += 1;
        }
    }
    assert!(refused > 0, "nobody died between the two");
}

#[tokio::test]
async fn what_was_bought_and_is_paid_later_is_not_lowered() {
    let (house, tenant) = House::with_acme().await;
    let it = process(&house, Memory::new(&house.disk));
    let buy = NewOrder { kind: PurchaseKind::Buy, vip_seats: 3, seats: 0, years: 1, reason: String::new() };
    let order = it.submit_order(&OPERATOR, tenant, buy).await.expect("submitted");
    let unpaid = Approval { is_paid: false, ..paid() };
    let order = it.approve_order(&OPERATOR, tenant, order.id, &unpaid).await.expect("approved");
    let bought = plan(&it, tenant).await;
    assert_eq!((bought.payment, bought.vip_seats), (Payment::Unpaid, 3));
    house.clock.advance(7 * 86_400_000);
    assert!(bought.is_lowered(house.clock.now()));
    let change =
        pennypost_admin::PurchaseChange { paid: Some(Some(house.clock.now())), ..Default::default() };
    it.change_purchase(&OPERATOR, tenant, &order, change).await.expect("paid");
    let paid = plan(&it, tenant).await;
    assert!(!paid.is_lowered(house.clock.now()) && paid.payment == Payment::Paid, "{paid:?}");
    // The operator's word about another payment stays.
    let seen = plan(&it, tenant).await;
    let free = Plan { payment: Payment::Free, ..seen.clone() };
    it.change_plan(&OPERATOR, tenant, Some(&seen), &free).await.expect("said");
    let known = it.purchase(&OPERATOR, tenant, order.id).await.expect("an order");
    it.change_purchase(&OPERATOR, tenant, &known, change).await.expect("said again");
    assert_eq!(plan(&it, tenant).await.payment, Payment::Free);
}
