//! Plans through the API: the operator's word, what administrators see and give, and what is refused.
//!
//! Feature PLN-01: plans with functions that are switched on or off, given by the operator; administrators see which one is in use and which functions it lacks; what is switched is what is there (PLN-09 says what is not); no DNS targets by edition: one service, one set of targets
//! Feature PLN-07: edition, beginning, end, seats and their use over the API
//! Feature PLN-09 (part): keys, roles, rules of addresses, backup of mail, 20 domains and 180 days of logs ask for it; not built, and so not to be switched on: enterprise card, more member cards, permissions for forwarding and recovery, recall, approval, read status, deletion of received mail, login page, own HTTPS, logout redirect, archive
//! Feature TEN-13: the state of verification is the operator’s word, who proves it as he likes

use pennypost_admin::Permissions;
use pennypost_directory::BinCause;
use serde_json::{Value, json};

use crate::support::{Answer, OPERATOR, Office, Tenant, permissions};

struct Bench {
    office: Office,
    home: Tenant,
    operator: String,
    administrator: String,
}

async fn bench() -> Bench {
    let office = Office::open().await;
    let home = office.tenant("home").await;
    let operator = office.key(None, None, Permissions::all()).await;
    let administrator = office.key(Some(home.id), None, Permissions::of_tenant()).await;
    Bench { office, home, operator, administrator }
}

impl Bench {
    async fn ask(&self, key: &str, method: &str, path: &str, body: Option<&Value>) -> Answer {
        let path = format!("/tenants/{}{path}", self.home.id);
        self.office.ask(key, method, &path, body).await
    }

    async fn get(&self, path: &str) -> Value {
        let answer = self.ask(&self.administrator, "GET", path, None).await;
        assert_eq!(answer.status, 200, "{path}: {}", answer.text);
        answer.json()
    }

    async fn set(&self, plan: &Value) -> Value {
        let answer = self.ask(&self.operator, "PUT", "/plan", Some(plan)).await;
        assert_eq!(answer.status, 200, "{}", answer.text);
        answer.json()
    }

    async fn add(&self, local: &str) -> Answer {
        let address = format!("{local}@{}", self.home.domain);
        let new = json!({ "address": address, "password": "a long password" });
        self.ask(&self.administrator, "POST", "/accounts", Some(&new)).await
    }

    async fn vip(&self, account: &str, vip: bool) -> Answer {
        let path = format!("/accounts/{account}/vip");
        self.ask(&self.administrator, "PUT", &path, Some(&json!({ "vip": vip }))).await
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_operator_gives_a_plan_and_administrators_see_it() {
    let it = bench().await;
    assert_eq!((it.get("/plan").await, it.get("/seats").await), (Value::Null, Value::Null));
    let plan = json!({
        "edition": "专业版", "functions": ["backup", "api"], "seats": 100, "vip_seats": 5, "business_mailboxes": 3,
        "capacities": { "ordinary": 1_000_000_000 }, "daily_messages": 500, "starts": "2026-01-01T00:00:00.000Z",
        "ends": "2099-01-01T00:00:00.000Z", "verification": "certified", "payment": "paid",
    });
    // Nobody gives it to himself.
    it.ask(&it.administrator, "PUT", "/plan", Some(&plan)).await.assert_problem(403, "no-permission");
    let path = format!("/tenants/{}/plan", it.home.id);
    let unseen = it.office.ask_with(&it.operator, "PUT", &path, &[], Some(&plan)).await;
    unseen.assert_problem(428, "precondition-required");
    let set = it.set(&plan).await;
    for (name, value) in plan.as_object().expect("fields").iter().filter(|(name, _)| *name != "capacities") {
        assert_eq!(set[name], *value, "{name}");
    }
    assert_eq!(set["capacities"], json!({ "ordinary": 1_000_000_000, "vip": null, "business": null }));
    let read = it.ask(&it.administrator, "GET", "/plan", None).await;
    assert_eq!(read.json(), set);
    // Four, three that are to leave, and one who has not joined; three lie in the bin.
    let seats = json!({
        "lowered": false, "seats": 100, "members": 8, "vip_seats": 5, "vip_members": 0, "vip_by_business": 0,
        "vip_free": 5, "business_allowed": 8, "business_mailboxes": 2,
    });
    assert_eq!(it.get("/seats").await, seats);
    // What was seen is changed, and nothing else.
    let seen = [("if-match", read.header("etag"))];
    let mut next = set.clone();
    next["seats"] = 50.into();
    let changed = it.office.ask_with(&it.operator, "PUT", &path, &seen, Some(&next)).await;
    assert_eq!((changed.status.as_u16(), &changed.json()["seats"]), (200, &json!(50)));
    let again = it.office.ask_with(&it.operator, "PUT", &path, &seen, Some(&next)).await;
    again.assert_problem(412, "changed");
    for (bad, pointer) in [
        (json!({ "edition": "x", "functions": ["api", "flying"] }), "/functions/1"),
        (json!({ "edition": "x", "vip_seats": -1 }), "/vip_seats"),
        (json!({ "edition": "x", "ends": "soon" }), "/ends"),
        (json!({ "edition": "x", "payment": "perhaps" }), "/payment"),
        (json!({ "edition": "x", "vips": 1 }), "/vips"),
    ] {
        let refused = it.ask(&it.operator, "PUT", "/plan", Some(&bad)).await;
        assert!([400, 422].contains(&refused.status.as_u16()), "{bad}: {}", refused.text);
        assert_eq!(refused.json()["errors"][0]["pointer"], pointer, "{bad}: {}", refused.text);
    }
    for bad in [
        json!({ "edition": " " }),
        json!({ "edition": "x", "starts": "2027-01-02T00:00:00Z", "ends": "2027-01-01T00:00:00Z" }),
    ] {
        it.ask(&it.operator, "PUT", "/plan", Some(&bad)).await.assert_problem(422, "invalid");
    }
    // The operator's word is in the tenant's own log.
    let log = it.get("/operations?limit=500").await;
    let records = log["items"].as_array().expect("records");
    let mut changes = records.iter().filter(|record| record["action"] == "plan.change");
    assert_eq!(changes.next().expect("recorded")["outcome"], "denied");
    let change = changes.next().expect("recorded");
    assert_eq!((&change["before"], &change["after"]["vip_seats"]), (&Value::Null, &json!(5)));
}

/// Feature TEN-09: administrators add members within the seats that there are, and say what mailboxes hold within the plan
#[tokio::test(flavor = "multi_thread")]
async fn what_a_plan_does_not_allow_is_refused() {
    let it = bench().await;
    // As many business mailboxes as there are.
    it.set(&json!({ "edition": "small", "functions": ["api"], "seats": 9, "vip_seats": 1, "business_mailboxes": 2 }))
        .await;
    let made = it.add("new").await;
    assert_eq!(made.status, 201, "{}", made.text);
    assert_eq!((&made.json()["quota_bytes"], &made.json()["capacity_bytes"]), (&Value::Null, &Value::Null));
    // What a mailbox holds is told, and an administrator's word is taken back.
    it.set(&json!({
        "edition": "small", "functions": ["api"], "seats": 9, "vip_seats": 1, "business_mailboxes": 2,
        "capacities": { "ordinary": 5_000, "vip": 7_000 },
    }))
    .await;
    let new = format!("/accounts/{}", made.json()["id"].as_str().expect("an id"));
    for (said, capacity) in [(json!(9_000), 5_000), (json!(3_000), 3_000), (Value::Null, 5_000)] {
        let patch = json!({ "quota_bytes": said });
        let changed = it.ask(&it.administrator, "PATCH", &new, Some(&patch)).await;
        assert_eq!(changed.status, 200, "{}", changed.text);
        assert_eq!(changed.json(), it.get(&new).await);
        let told = (&changed.json()["quota_bytes"], &changed.json()["capacity_bytes"]);
        assert_eq!(told, (&said, &json!(capacity)));
    }
    let listed = it.get("/accounts?limit=500").await;
    let bytes = |row: &&Value| row["address"].as_str().is_some_and(|address| address.starts_with("new@"));
    let row = listed["items"].as_array().expect("rows").iter().find(bytes).expect("listed");
    assert_eq!(row["capacity_bytes"], 5_000);
    let full = it.add("one-more").await.assert_problem(409, "plan-limit");
    assert!(full["detail"].as_str().expect("why").contains("all 9 seats"), "{full}");
    let path = format!("/tenants/{}/accounts", it.home.id);
    let new = json!({ "address": format!("one-more@{}", it.home.domain), "password": "a long password" });
    let chinese = [("accept-language", "zh-CN")];
    let full = it.office.ask_with(&it.administrator, "POST", &path, &chinese, Some(&new)).await;
    assert!(full.json()["detail"].as_str().expect("why").contains("9 个账号名额已用完"), "{}", full.text);
    let deleted = format!("/accounts/{}/restore", it.home.deleted.account);
    it.ask(&it.administrator, "POST", &deleted, None).await.assert_problem(409, "plan-limit");
    // What can be known before it is tried is no operation: nothing was added, nothing is in the log.
    let log = it.get("/operations?limit=500").await.to_string();
    assert!(!log.contains("one-more"), "{log}");

    let (member, other) = (it.home.member.account.to_string(), it.home.leavers[0].account.to_string());
    let given = it.vip(&member, true).await;
    assert_eq!((given.status.as_u16(), &given.json()["vip"]), (200, &json!(true)), "{}", given.text);
    it.vip(&other, true).await.assert_problem(409, "plan-limit");
    // Nobody withdraws the seat of somebody above him.
    let chief = it.home.chief.account;
    let helper = it.office.key(Some(it.home.id), None, permissions(&["members:write"])).await;
    let withdrawn = json!({ "vip": false });
    let refused = it.ask(&helper, "PUT", &format!("/accounts/{chief}/vip"), Some(&withdrawn)).await;
    refused.assert_problem(403, "above-actor");
    let done = it.ask(&helper, "PUT", &format!("/accounts/{other}/vip"), Some(&withdrawn)).await;
    assert_eq!(done.status, 200, "{}", done.text);
    let listed = it.get("/vip-accounts").await;
    let ids: Vec<&Value> = listed["items"].as_array().expect("rows").iter().map(|row| &row["id"]).collect();
    assert_eq!(ids, [&json!(member)]);
    assert_eq!(it.get("/seats").await["vip_free"], 0);
    let desk = json!({ "address": format!("desk@{}", it.home.domain) });
    let full = it.ask(&it.administrator, "POST", "/business-mailboxes", Some(&desk)).await;
    let full = full.assert_problem(409, "plan-limit");
    assert!(full["detail"].as_str().expect("why").contains("allows 2 business mailboxes"), "{full}");
    assert!(!it.get("/operations?limit=500").await.to_string().contains("desk@"));
    // An ordinary member's mailbox is none for others; a VIP member's brings its seat along.
    let convert = |account: &str| format!("/accounts/{account}/conversion");
    let named = json!({ "name": "sales" });
    let refused = it.ask(&it.administrator, "POST", &convert(&other), Some(&named)).await;
    refused.assert_problem(409, "plan-limit");
    let converted = it.ask(&it.administrator, "POST", &convert(&member), Some(&named)).await;
    assert_eq!((converted.status.as_u16(), &converted.json()["business"]), (200, &json!(true)));
    let seats = it.get("/seats").await;
    let told = (&seats["members"], &seats["vip_by_business"], &seats["business_mailboxes"]);
    assert_eq!(told, (&json!(8), &json!(1), &json!(3)));
    it.vip(&other, true).await.assert_problem(409, "plan-limit");
    let administration = &it.office.administration;
    administration.delete_account(&OPERATOR, it.home.member, BinCause::Withdrawn).await.expect("withdrawn");
    assert_eq!(it.vip(&other, true).await.status, 200);
    assert_eq!(it.vip(&other, false).await.status, 200);
    assert!(it.get("/vip-accounts").await["items"].as_array().expect("rows").is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn functions_that_are_switched_off_are_refused_and_what_is_there_stays() {
    let it = bench().await;
    let office = &it.office;
    it.set(&json!({ "edition": "basic" })).await;
    let chief = office.session(it.home.chief).await;
    let role = json!({ "name": "help desk", "permissions": ["members:read"] });
    let key = json!({ "name": "hr", "permissions": ["members:read"] });
    let grants = json!({ "super": false, "roles": [{ "role": it.home.role, "departments": null }] });
    let granted = format!("/grants/{}", it.home.member.account);
    let own = format!("/accounts/{}/sign-in-rules", it.home.member.account);
    let rule = json!({ "allow": ["192.0.2.0/24"], "deny": [], "others": "deny" });
    let mut rules = it.get("/sign-in-rules").await;
    rules["addresses"] = rule.clone();
    let own_rule = json!({ "addresses": rule, "secure_forced": false });
    let asked = [
        ("POST", "/roles", &role, "graded-administrators"),
        ("PUT", granted.as_str(), &grants, "graded-administrators"),
        ("POST", "/keys", &key, "api"),
        ("PUT", "/sign-in-rules", &rules, "address-rules"),
        ("PUT", own.as_str(), &own_rule, "address-rules"),
    ];
    for (method, path, body, function) in asked {
        let refused = it.ask(&chief, method, path, Some(body)).await.assert_problem(409, "plan-limit");
        assert!(refused["detail"].as_str().expect("why").contains(function), "{refused}");
    }
    // Keys and roles that there are go on.
    assert_eq!(it.get("/roles").await["items"].as_array().map(Vec::len), Some(2));
    let functions: Vec<&str> = asked.iter().map(|(.., function)| *function).collect();
    it.set(&json!({ "edition": "pro", "functions": functions })).await;
    for (method, path, body, _) in asked {
        let done = it.ask(&chief, method, path, Some(body)).await;
        assert!(done.status.is_success(), "{method} {path}: {}", done.text);
    }
    // Not paid in time: as if there were none.
    let late = json!({
        "edition": "pro", "functions": functions, "vip_seats": 5, "payment": "unpaid", "pay_by": "2026-01-01T00:00:00Z",
    });
    it.set(&late).await;
    let key = json!({ "name": "hr 2", "permissions": ["members:read"] });
    it.ask(&chief, "POST", "/keys", Some(&key)).await.assert_problem(409, "plan-limit");
    // What is there is made safer, and no more than that is given.
    let narrow =
        json!({ "super": false, "roles": [{ "role": it.home.role, "departments": [it.home.department] }] });
    assert_eq!(it.ask(&chief, "PUT", &granted, Some(&narrow)).await.status, 200);
    it.ask(&chief, "PUT", &granted, Some(&grants)).await.assert_problem(409, "plan-limit");
    let tighter = json!({ "allow": ["192.0.2.0/25"], "deny": ["192.0.2.99"], "others": "deny" });
    let mut rules = it.get("/sign-in-rules").await;
    rules["addresses"] = tighter.clone();
    let own_rule = json!({ "addresses": tighter, "secure_forced": false });
    for (path, body) in [("/sign-in-rules", &rules), (own.as_str(), &own_rule)] {
        let done = it.ask(&chief, "PUT", path, Some(body)).await;
        assert_eq!(done.status, 200, "{path}: {}", done.text);
    }
    let none = json!({ "addresses": null, "secure_forced": false });
    assert_eq!(it.ask(&chief, "PUT", &own, Some(&none)).await.status, 200);
    it.ask(&chief, "PUT", &own, Some(&own_rule)).await.assert_problem(409, "plan-limit");
    let seats = it.get("/seats").await;
    assert_eq!((&seats["lowered"], &seats["vip_seats"]), (&json!(true), &json!(0)));
    // Over: nobody comes in any more, but the operator.
    it.set(&json!({ "edition": "pro", "ends": "2026-01-01T00:00:00Z" })).await;
    it.ask(&it.administrator, "GET", "/plan", None).await.assert_problem(401, "unauthorised");
    it.ask(&chief, "GET", "/plan", None).await.assert_problem(401, "unauthorised");
    let weak = office.key(None, None, permissions(&["installation:write"])).await;
    let prolonged = json!({ "edition": "pro" });
    it.ask(&weak, "PUT", "/plan", Some(&prolonged)).await.assert_problem(403, "confirmation-needed");
    it.set(&prolonged).await;
    it.get("/plan").await;
}

/// Feature DOM-02: one domain of one's own, or 20, as the plan says; what the operator gives is not counted
#[tokio::test(flavor = "multi_thread")]
async fn a_plan_says_how_many_domains_there_may_be() {
    let it = bench().await;
    let claim = async |name: &str| {
        let new = json!({ "name": format!("{name}.{}", it.home.domain) });
        it.ask(&it.administrator, "POST", "/domains", Some(&new)).await
    };
    // There is one that was given, and one that is claimed.
    it.set(&json!({ "edition": "basic", "functions": ["api"] })).await;
    let refused = claim("a").await.assert_problem(409, "plan-limit");
    assert!(refused["detail"].as_str().expect("a detail").contains("more-domains"), "{refused}");
    it.set(&json!({ "edition": "pro", "functions": ["api", "more-domains"] })).await;
    for number in 2..=20 {
        let claimed = claim(&format!("d{number}")).await;
        assert_eq!(claimed.status, 201, "{number}: {}", claimed.text);
    }
    let refused = claim("b").await.assert_problem(409, "plan-limit");
    assert!(refused["detail"].as_str().expect("a detail").contains("20 domains"), "{refused}");
    // What it has already is that, and no matter of the plan; what the operator claims for it is no matter of it either.
    claim("d2").await.assert_problem(409, "taken");
    let name = format!("given.{}", it.home.domain);
    it.office.administration.claim_domain(&OPERATOR, it.home.id, &name).await.expect("claimed");
    // What is there stays.
    it.set(&json!({ "edition": "basic", "functions": ["api"] })).await;
    assert!(it.get("/domains?limit=500").await["items"].as_array().expect("domains").len() >= 21);
}
