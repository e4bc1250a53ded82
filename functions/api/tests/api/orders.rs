//! Orders of plans, from an administrator's to the plan that follows.

use pennypost_admin::Permissions;
use pennypost_directory::{MemberLimits, Tally};
use pennypost_ports::{Ids, RandomIds};
use serde_json::{Value, json};

use crate::support::{Answer, Office, Tenant};

struct Bench {
    office: Office,
    home: Tenant,
    key: String,
    operator: String,
}

impl Bench {
    async fn open() -> Bench {
        let office = Office::open().await;
        let home = office.tenant("home").await;
        let key = office.key(Some(home.id), None, Permissions::of_tenant()).await;
        let operator = office.key(None, None, Permissions::all()).await;
        Bench { office, home, key, operator }
    }

    async fn by(&self, key: &str, method: &str, path: &str, body: Option<Value>) -> Answer {
        let path = format!("/tenants/{}{path}", self.home.id);
        self.office.ask_with(key, method, &path, &[("if-match", "*")], body.as_ref()).await
    }

    async fn basic(&self) {
        let functions = ["api", "graded-administrators"];
        let plan =
            json!({ "edition": "basic", "functions": functions, "seats": 200, "business_mailboxes": 3 });
        assert_eq!(self.by(&self.operator, "PUT", "/plan", Some(plan)).await.status, 200);
    }

    async fn plan(&self) -> Value {
        self.by(&self.key, "GET", "/plan", None).await.json()
    }

    async fn submit(&self, order: Value) -> Answer {
        self.by(&self.key, "POST", "/submitted-orders", Some(order)).await
    }

    /// The id of an order that was submitted.
    async fn order(&self, order: Value) -> String {
        let submitted = self.submit(order).await;
        assert_eq!(submitted.status, 201, "{}", submitted.text);
        assert_eq!(submitted.json()["application"]["state"], "submitted");
        submitted.json()["id"].as_str().expect("an id").to_owned()
    }

    async fn decide(&self, order: &str, how: &str, body: Value) -> Answer {
        self.by(&self.operator, "POST", &format!("/orders/{order}/{how}"), Some(body)).await
    }

    /// Ids of the orders that wait for the operator.
    async fn waiting(&self) -> Vec<Value> {
        let listed = self.office.ask(&self.operator, "GET", "/open-orders", None).await.json();
        listed["items"].as_array().expect("rows").iter().map(|row| row["order"]["id"].clone()).collect()
    }
}

/// Feature PLN-05: an order is submitted with seats and years, is not changed afterwards, can be withdrawn until it is decided; the operator examines it, approves it with amount and payment, or refuses it with a reason; nothing is paid here
/// Feature PLN-06: service begins when the order is carried out, or on the day that the operator names
/// Feature PLN-07: edition, beginning, end and seats over the API; renewing and more seats are ordered, and follow by themselves
/// Feature PLN-08: all orders, submitted or written down by the operator, listed by administrators, who ask for invoice and contract within the term
/// Feature TEN-06: from basic to pro by an order, nothing registered anew, data stay
#[tokio::test(flavor = "multi_thread")]
async fn what_is_ordered_and_approved_follows_by_itself() {
    let it = Bench::open().await;
    it.basic().await;
    it.submit(json!({ "kind": "buy", "years": 1 })).await.assert_problem(422, "invalid");
    let order = it.order(json!({ "kind": "buy", "vip_seats": 5, "years": 2 })).await;
    assert_eq!(it.plan().await["edition"], "basic");
    assert_eq!(it.waiting().await, [json!(order)]);
    // Nobody of the tenant decides, and nobody pays by himself.
    let starts = it.office.administration.directory().now();
    let year = starts.civil_day().0;
    let good = json!({ "amount": 9_900, "currency": "CNY", "starts": starts.rfc3339() });
    let path = format!("/orders/{order}/approve");
    assert_eq!(it.by(&it.key, "POST", &path, Some(good.clone())).await.status, 403);
    it.decide(&order, "approve", json!({ "amount": 9_900 })).await.assert_problem(422, "invalid");
    let done = it.decide(&order, "approve", good.clone()).await;
    assert_eq!(
        (done.status.as_u16(), &done.json()["application"]["state"]),
        (200, &json!("done")),
        "{}",
        done.text
    );
    assert_eq!(done.json()["amount"], 9_900);
    let ends = done.json()["ends"].as_str().expect("an end").to_owned();
    assert!(ends.starts_with(&format!("{}-", year + 2)), "{ends}");
    assert_eq!(it.waiting().await, Vec::<Value>::new());
    let plan = it.plan().await;
    assert_eq!(
        (&plan["edition"], &plan["vip_seats"], &plan["seats"]),
        (&json!("pro"), &json!(5), &json!(200))
    );
    assert_eq!((&plan["payment"], &plan["starts"]), (&json!("unpaid"), &json!(starts.rfc3339())));
    assert!(plan["pay_by"].is_string(), "{plan}");
    // Decided once.
    it.decide(&order, "approve", good).await.assert_problem(409, "other-state");
    it.decide(&order, "refuse", json!({ "reason": "too late" })).await.assert_problem(409, "other-state");
    it.by(&it.key, "POST", &format!("/orders/{order}/withdraw"), None)
        .await
        .assert_problem(409, "other-state");
    // That it was paid follows, too.
    let paid = json!({ "paid": "2026-01-01T00:00:00Z" });
    assert_eq!(it.by(&it.operator, "PATCH", &format!("/orders/{order}"), Some(paid)).await.status, 200);
    let plan = it.plan().await;
    assert_eq!((&plan["payment"], &plan["pay_by"]), (&json!("paid"), &json!(null)));

    let more = it.order(json!({ "kind": "extend", "vip_seats": 2, "seats": 30 })).await;
    let unpaid = json!({ "amount": 100, "currency": "CNY" });
    it.decide(&more, "approve", unpaid.clone()).await.assert_problem(422, "invalid");
    let paid = json!({ "amount": 100, "currency": "CNY", "paid": true });
    assert_eq!(it.decide(&more, "approve", paid.clone()).await.status, 200);
    let longer = it.order(json!({ "kind": "renew", "years": 1 })).await;
    assert_eq!(it.decide(&longer, "approve", paid).await.status, 200);
    let plan = it.plan().await;
    assert_eq!((&plan["vip_seats"], &plan["seats"]), (&json!(7), &json!(230)));
    let ends = plan["ends"].as_str().expect("an end");
    assert!(ends.starts_with(&format!("{}-", year + 3)), "{ends}");

    // What is bought for a later day waits for it; the rest of a paid term is not thrown away for what is not paid.
    let next = it.order(json!({ "kind": "buy", "vip_seats": 9, "years": 1 })).await;
    let then = json!({ "amount": 100, "currency": "CNY", "starts": "2099-03-01T00:00:00Z", "paid": true });
    it.decide(&next, "approve", json!({ "amount": 100, "currency": "CNY" }))
        .await
        .assert_problem(422, "invalid");
    let approved = it.decide(&next, "approve", then).await;
    assert_eq!(approved.json()["application"]["state"], "approved", "{}", approved.text);
    assert_eq!(it.plan().await, plan);

    // What is refused or withdrawn changes nothing.
    let refused = it.order(json!({ "kind": "extend", "seats": 1 })).await;
    it.decide(&refused, "refuse", json!({ "reason": "" })).await.assert_problem(422, "invalid");
    let answer = it.decide(&refused, "refuse", json!({ "reason": "no longer sold" })).await.json();
    assert_eq!(answer["application"]["answer"], "no longer sold");
    let withdrawn = it.order(json!({ "kind": "extend", "seats": 1 })).await;
    let answer = it.by(&it.key, "POST", &format!("/orders/{withdrawn}/withdraw"), None).await.json();
    assert_eq!(answer["application"]["state"], "withdrawn");
    assert_eq!(it.plan().await, plan);
    let listed = it.by(&it.key, "GET", "/orders", None).await.json();
    let newest: Vec<&Value> =
        listed["items"].as_array().expect("rows").iter().map(|row| &row["id"]).collect();
    assert!(newest.contains(&&json!(order)) && newest[0] == &json!(withdrawn), "{newest:?}");
    let log = it.by(&it.key, "GET", "/operations?limit=500", None).await.text;
    assert!(
        ["order.submit", "order.withdraw", "order.decide"].iter().all(|name| log.contains(name)),
        "{log}"
    );
}

/// Feature TEN-05: a trial of 15 days begins at once by an administrator's order, once; the console has no step for it
#[tokio::test(flavor = "multi_thread")]
async fn pro_is_tried_out_once() {
    let it = Bench::open().await;
    it.submit(json!({ "kind": "trial", "vip_seats": 1 })).await.assert_problem(409, "other-state");
    it.basic().await;
    let tried = it.submit(json!({ "kind": "trial", "vip_seats": 3 })).await;
    assert_eq!(
        (tried.status.as_u16(), &tried.json()["application"]["state"]),
        (201, &json!("done")),
        "{}",
        tried.text
    );
    let plan = it.plan().await;
    assert_eq!(
        (&plan["edition"], &plan["payment"], &plan["vip_seats"]),
        (&json!("pro"), &json!("trial"), &json!(3))
    );
    assert_eq!((&plan["ends"], &plan["pay_by"]), (&json!(null), &tried.json()["ends"]));
    // Also not when the operator has given it the basic edition again.
    it.submit(json!({ "kind": "trial", "vip_seats": 3 })).await.assert_problem(409, "other-state");
    it.basic().await;
    it.submit(json!({ "kind": "trial", "vip_seats": 3 })).await.assert_problem(409, "other-state");
}

/// Feature TEN-15 (part): an administrator applies for more accounts with number and reason, the operator decides; no documents are uploaded
/// Feature TEN-14 (part): who is verified gets up to 1,000 accounts without anybody deciding, a higher daily allowance where the plan has one, and the mark in what the API tells of the organisation; nothing raises a drive
#[tokio::test(flavor = "multi_thread")]
async fn the_ceiling_of_accounts_is_raised() {
    let it = Bench::open().await;
    it.basic().await;
    it.submit(json!({ "kind": "ceiling", "seats": 500 })).await.assert_problem(422, "invalid");
    let wanted = |seats: u32| json!({ "kind": "ceiling", "seats": seats, "reason": "we grow" });
    it.submit(wanted(200)).await.assert_problem(422, "invalid");
    let order = it.order(wanted(500)).await;
    assert_eq!(it.plan().await["seats"], 200);
    assert_eq!(it.decide(&order, "approve", json!({})).await.status, 200);
    assert_eq!(it.plan().await["seats"], 500);
    let verified = json!({
        "edition": "basic", "functions": ["api", "graded-administrators"], "seats": 500,
        "verification": "verified", "daily_messages": 10, "verified_daily_messages": 50,
        "account_daily_messages": 5,
    });
    let mark = async || it.by(&it.key, "GET", "/profile", None).await.json()["verification"].clone();
    assert_eq!(mark().await, "unverified");
    assert_eq!(it.by(&it.operator, "PUT", "/plan", Some(verified)).await.status, 200);
    assert_eq!(mark().await, "verified");
    let allowance = it.by(&it.key, "GET", "/allowance", None).await.json();
    assert_eq!(allowance, json!({ "limit": 50, "used": 0, "left": 50 }));
    assert_eq!(it.submit(wanted(1_000)).await.json()["application"]["state"], "done");
    assert_eq!(it.plan().await["seats"], 1_000);
    it.order(wanted(1_001)).await;
    assert_eq!(it.plan().await["seats"], 1_000);
    for _ in 0..9 {
        it.order(wanted(1_001)).await;
    }
    it.submit(wanted(1_001)).await.assert_problem(422, "invalid");
}

/// Feature PLN-11: the allowances of a tenant and of an account with what is used and left over the API; that of an account is changed by administrators
#[tokio::test(flavor = "multi_thread")]
async fn allowances_are_told_and_changed() {
    let it = Bench::open().await;
    let path = format!("/accounts/{}/allowance", it.home.member.account);
    let read = async || it.by(&it.key, "GET", &path, None).await.json();
    assert_eq!(read().await, json!({ "limit": null, "exception": null, "used": 0, "left": null }));
    let plan = json!({
        "edition": "basic", "functions": ["api", "graded-administrators"], "daily_messages": 10,
        "account_daily_messages": 5,
    });
    assert_eq!(it.by(&it.operator, "PUT", "/plan", Some(plan)).await.status, 200);
    let directory = it.office.administration.directory();
    let message = RandomIds.event(directory.now());
    let limits = MemberLimits { daily: Some(5), outside: None };
    assert_eq!(directory.count_sent_by(it.home.member, message, limits).await, Ok(Tally::Counted));
    assert_eq!(directory.count_sent(it.home.id, message, 10).await, Ok(true));
    assert_eq!(read().await, json!({ "limit": 5, "exception": null, "used": 1, "left": 4 }));
    let changed = it.by(&it.key, "PUT", &path, Some(json!({ "messages": 9 }))).await;
    assert_eq!(
        changed.json(),
        json!({ "limit": 9, "exception": 9, "used": 1, "left": 8 }),
        "{}",
        changed.text
    );
    let of_all = it.by(&it.key, "GET", "/allowance", None).await.json();
    assert_eq!(of_all, json!({ "limit": 10, "used": 1, "left": 9 }));
    // The member reads it, and says nothing about it.
    let session = it.office.session(it.home.member).await;
    assert_eq!(it.by(&session, "GET", &path, None).await.json()["left"], 8);
    assert_eq!(it.by(&session, "PUT", &path, Some(json!({ "messages": 99 }))).await.status, 403);
    let log = it.by(&it.key, "GET", "/operations?limit=500", None).await.text;
    assert!(log.contains("account.allowance"), "{log}");
}
