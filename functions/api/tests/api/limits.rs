//! What accounts may do with mail, what the operator blocks, and the mail of accounts that go.

use pennypost_admin::Permissions;
use pennypost_model::{AccountId, AccountKey};
use serde_json::{Value, json};

use crate::support::{Office, Tenant, permissions};

struct Bench {
    office: Office,
    home: Tenant,
    key: String,
}

async fn bench() -> Bench {
    let office = Office::open().await;
    let home = office.tenant("home").await;
    let key = office.key(Some(home.id), None, Permissions::of_tenant()).await;
    Bench { office, home, key }
}

impl Bench {
    fn at(&self, path: &str) -> String {
        format!("/tenants/{}{path}", self.home.id)
    }

    async fn by(&self, key: &str, method: &str, path: &str, body: Option<&Value>) -> crate::support::Answer {
        self.office.ask(key, method, &self.at(path), body).await
    }
}

/// Feature ORG-07: said over the admin API by whoever administers the account
#[tokio::test(flavor = "multi_thread")]
async fn who_exchanges_mail_with_whom_is_said_over_the_api() {
    let it = bench().await;
    let path = format!("/accounts/{}/mail-permission", it.home.member.account);
    let open = it.by(&it.key, "GET", &path, None).await;
    assert_eq!(open.json(), json!({ "send": "anyone", "receive": "anyone" }));
    let inside = json!({ "send": "inside", "receive": "nobody" });
    let with = [("if-match", open.header("etag"))];
    let changed = it.office.ask_with(&it.key, "PUT", &it.at(&path), &with, Some(&inside)).await;
    assert_eq!((changed.status.as_u16(), changed.json()), (200, inside.clone()));
    let again = it.office.ask_with(&it.key, "PUT", &it.at(&path), &with, Some(&inside)).await;
    again.assert_problem(412, "changed");
    it.by(&it.key, "PUT", &path, Some(&json!({ "send": "somebody" }))).await.assert_problem(400, "bad-body");
    // The member sees it, and says nothing about it.
    let session = it.office.session(it.home.member).await;
    assert_eq!(it.by(&session, "GET", &path, None).await.json(), inside);
    assert_eq!(it.by(&session, "PUT", &path, Some(&inside)).await.status, 403);
    let log = it.by(&it.key, "GET", "/operations?limit=500", None).await.text;
    assert!(log.contains("account.mail-permission"), "{log}");
}

/// Feature TEN-10 (part): letters of a member are hidden, shown again and deleted over the admin API by the operator alone, as tasks
#[tokio::test(flavor = "multi_thread")]
async fn the_operator_orders_what_becomes_of_letters() {
    let it = bench().await;
    let operator = it.office.key(None, None, Permissions::all()).await;
    let careful = it.office.key(None, None, permissions(&["installation:write"])).await;
    let path = |deed: &str| format!("/accounts/{}/letters/{deed}", it.home.member.account);
    let order = json!({ "letters": [it.home.letter], "reason": "a complaint" });
    assert_eq!(it.by(&it.key, "POST", &path("hidden"), Some(&order)).await.status, 403);
    // For good takes more.
    it.by(&careful, "POST", &path("deleted"), Some(&order)).await.assert_problem(403, "confirmation-needed");
    for (key, deed) in [(&careful, "hidden"), (&careful, "shown"), (&operator, "deleted")] {
        let ordered = it.by(key, "POST", &path(deed), Some(&order)).await;
        assert_eq!(ordered.status, 202, "{deed} {}", ordered.text);
        let id = ordered.json()["id"].as_str().expect("an id").to_owned();
        // The administrators of the tenant see it, and do not stop it.
        let task = it.by(&it.key, "GET", &format!("/tasks/{id}"), None).await.json();
        let told = (&task["kind"], &task["object"], &task["by"]);
        let address = format!("member@{}", it.home.domain);
        assert_eq!((told.0, told.1), (&json!(format!("letters-{deed}")), &json!(address)), "{told:?}");
        let stop = format!("/tasks/{id}/cancellation");
        assert_eq!(it.by(&it.key, "POST", &stop, None).await.status, 403);
        assert_eq!(it.by(&operator, "POST", &stop, None).await.json()["state"], "cancelled");
    }
    for (wrong, kind) in [
        (json!({ "letters": [], "reason": "a complaint" }), "unknown-reference"),
        (json!({ "letters": ["x"], "reason": "a complaint" }), "unknown-reference"),
        (json!({ "letters": ["01KAEV3Q8WJ7R9T2N5X4M6C0BD"], "reason": "a complaint" }), "unknown-reference"),
        (json!({ "letters": [it.home.letter], "reason": " " }), "invalid"),
    ] {
        it.by(&operator, "POST", &path("hidden"), Some(&wrong)).await.assert_problem(422, kind);
    }
    let other = format!("/accounts/{}/letters/hidden", it.home.chief.account);
    it.by(&operator, "POST", &other, Some(&order)).await.assert_problem(422, "unknown-reference");
    let log = it.by(&it.key, "GET", "/operations?limit=500", None).await.text;
    assert!(log.contains("letter.delete") && log.contains("a complaint"), "{log}");
}

/// Feature TEN-10 (part): single functions are blocked over the admin API by the operator alone
#[tokio::test(flavor = "multi_thread")]
async fn the_operator_blocks_single_functions() {
    let it = bench().await;
    let operator = it.office.key(None, None, Permissions::all()).await;
    let of_account = format!("/accounts/{}/block", it.home.member.account);
    let spam = json!({ "functions": ["sending", "mail-programs"], "reason": "spam complaints" });
    for path in [of_account.as_str(), "/block"] {
        assert_eq!(it.by(&it.key, "GET", path, None).await.json()["functions"], json!([]));
        let seen = it.by(&it.key, "GET", path, None).await;
        let with = [("if-match", seen.header("etag"))];
        let put = async |key: &str, body: &Value| {
            it.office.ask_with(key, "PUT", &it.at(path), &with, Some(body)).await
        };
        assert_eq!(put(&it.key, &spam).await.status, 403);
        let blocked = put(&operator, &spam).await;
        assert_eq!((blocked.status.as_u16(), &blocked.json()["functions"]), (200, &spam["functions"]));
        let seen = it.by(&it.key, "GET", path, None).await.json();
        assert_eq!((&seen["reason"], &seen["functions"]), (&spam["reason"], &spam["functions"]));
        // A whole tenant is blocked only by who has seen what is blocked.
        if path == "/block" {
            put(&operator, &spam).await.assert_problem(412, "changed");
            let unseen = it.office.ask_with(&operator, "PUT", &it.at(path), &[], Some(&spam)).await;
            unseen.assert_problem(428, "precondition-required");
        }
        let any = [("if-match", "*")];
        for wrong in
            [json!({ "functions": ["postage"], "reason": "spam" }), json!({ "functions": ["sending"] })]
        {
            let refused = it.office.ask_with(&operator, "PUT", &it.at(path), &any, Some(&wrong)).await;
            refused.assert_problem(422, "invalid");
        }
    }
    let block_all = async |body: Value| {
        it.office.ask_with(&operator, "PUT", &it.at("/block"), &[("if-match", "*")], Some(&body)).await
    };
    // A function of plans is a whole tenant's.
    let keys = json!({ "functions": ["graded-administrators"], "reason": "misuse" });
    it.by(&operator, "PUT", &of_account, Some(&keys)).await.assert_problem(422, "invalid");
    block_all(keys).await;
    let role = json!({ "name": "new", "permissions": ["groups:read"] });
    it.by(&it.key, "POST", "/roles", Some(&role)).await.assert_problem(409, "plan-limit");
    // Keys that were made before open nothing, and no mail is backed up.
    let backup = format!("/accounts/{}/backup", it.home.deleted.account);
    let to = json!({ "to": it.home.leavers[0].account.to_string() });
    block_all(json!({ "functions": ["backup"], "reason": "misuse" })).await;
    it.by(&it.key, "POST", &backup, Some(&to)).await.assert_problem(409, "plan-limit");
    block_all(json!({ "functions": ["api"], "reason": "misuse" })).await;
    assert_eq!(it.by(&it.key, "GET", "/block", None).await.status, 401);
    let open = block_all(json!({ "functions": [] })).await;
    assert_eq!(open.json(), json!({ "functions": [], "reason": null, "since": null }));
    assert_eq!(it.by(&it.key, "POST", "/roles", Some(&role)).await.status, 201);
}

/// Feature ORG-22: backups are ordered over the admin API
/// Feature ORG-23 (part): backups are ordered from the recycle bin over the admin API, and what was erased is listed; contacts to back up not yet
#[tokio::test(flavor = "multi_thread")]
async fn backups_are_ordered_of_accounts_that_go() {
    let it = bench().await;
    let of = |key: AccountKey| format!("/accounts/{}/backup", key.account);
    let to = |account: AccountId| json!({ "to": account.to_string() });
    let target = it.home.leavers[0];
    // What is in use is deleted with it, or not backed up.
    let in_use = it.by(&it.key, "POST", &of(it.home.member), Some(&to(target.account))).await;
    in_use.assert_problem(409, "other-state");
    let nobody = it.by(&it.key, "POST", &of(it.home.deleted), Some(&to(AccountId(7)))).await;
    nobody.assert_problem(422, "unknown-reference");
    let itself = it.by(&it.key, "POST", &of(it.home.deleted), Some(&to(it.home.deleted.account))).await;
    itself.assert_problem(422, "unknown-reference");
    let no_id = it.by(&it.key, "POST", &of(it.home.deleted), Some(&json!({ "to": "bob" }))).await;
    no_id.assert_problem(422, "invalid");
    let ordered = it.by(&it.key, "POST", &of(it.home.deleted), Some(&to(target.account))).await;
    assert_eq!(ordered.status, 202, "{}", ordered.text);
    let task = ordered.json();
    assert_eq!((&task["kind"], &task["state"]), (&json!("backup"), &json!("queued")));
    assert_eq!(task["object"], json!(format!("deleted@{}", it.home.domain)));
    let location = ordered.header("location").strip_prefix("/api/v1").expect("below the API").to_owned();
    assert_eq!(it.office.ask(&it.key, "GET", &location, None).await.json(), task);
    // Nobody reads the mail of who can do more than he.
    let graded = it.office.key(Some(it.home.id), Some(it.home.graded), Permissions::of_tenant()).await;
    let refused = it.by(&graded, "POST", &of(it.home.deleted), Some(&to(target.account))).await;
    assert_eq!(refused.status, 403);
    let erased = it.by(&it.key, "GET", "/erased-accounts", None).await.json();
    assert_eq!(erased, json!({ "items": [], "next": null }));
}

/// Feature ORG-03: the creator’s mailbox by one call, its address the name in pinyin
/// Feature ORG-04: a member with a mobile number and an invitation by which the first password is set
/// Feature ORG-05: a member with an initial password, which is to be changed in the browser
/// Feature ORG-06 (part): an account with profile, departments, aliases, groups, permissions and a first password or an invitation, by one call; permission to forward is said apart
#[tokio::test(flavor = "multi_thread")]
async fn a_member_is_added_with_all_that_belongs_to_it() {
    let it = bench().await;
    let domain = &it.home.domain;
    let new = json!({
        "address": format!("li@{domain}"), "display_name": "李雷", "mobile": "+86 138 0000 0000",
        "departments": [it.home.department], "aliases": [format!("lilei@{domain}")],
        "groups": [format!("group@{domain}")], "mail": { "send": "inside" }, "password": "an initial password",
    });
    let made = it.by(&it.key, "POST", "/members", Some(&new)).await;
    assert_eq!((made.status.as_u16(), &made.json()["left"]), (201, &json!([])), "{}", made.text);
    let id = made.json()["account"]["id"].as_str().expect("an id").to_owned();
    let at = |rest: &str| format!("/accounts/{id}{rest}");
    let profile = it.by(&it.key, "GET", &at("/profile"), None).await.json();
    assert_eq!((&profile["mobile"], &profile["departments"]), (&new["mobile"], &new["departments"]));
    let mail = it.by(&it.key, "GET", &at("/mail-permission"), None).await.json();
    assert_eq!(mail, json!({ "send": "inside", "receive": "anyone" }));
    let directory = it.office.administration.directory();
    let resolved = format!("{:?}", directory.resolve(&format!("lilei@{domain}")).await.expect("resolved"));
    assert!(resolved.contains(&format!("lilei@{domain}")) && resolved.starts_with("Local"), "{resolved}");
    let group = it.by(&it.key, "GET", &format!("/groups/group@{domain}"), None).await.text;
    assert!(
        group.contains(&format!("li@{domain}")) && group.contains(&format!("member@{domain}")),
        "{group}"
    );
    let client = std::net::IpAddr::from([127, 0, 0, 1]);
    let standing = directory.authenticate(&format!("li@{domain}"), "an initial password", client).await;
    let key = standing.expect("signed in").key;
    let age = directory.password_age(key).await.expect("looked").expect("a password");
    assert!(age.must_change, "{age:?}");

    // What can be known to fail leaves no account behind.
    let han = |change: &str, value: Value| {
        let mut han = json!({ "address": format!("han@{domain}") });
        han[change] = value;
        han
    };
    let both = json!({
        "address": format!("han@{domain}"), "password": "an initial password",
        "invitation_until": "2026-12-01T00:00:00Z",
    });
    let taken = han("aliases", json!([format!("li@{domain}")]));
    let no_group = han("groups", json!([format!("nobodys@{domain}")]));
    let elsewhere = han("aliases", json!(["a@elsewhere.example"]));
    for (body, status) in [(both, 422), (taken, 409), (no_group, 404), (elsewhere, 422)] {
        let refused = it.by(&it.key, "POST", "/members", Some(&body)).await;
        assert_eq!(refused.status, status, "{body} {}", refused.text);
    }
    assert_eq!(directory.account_at(&format!("han@{domain}")).await.expect("looked"), None);

    // An address that is made of the name, and an invitation in the place of a password.
    let until = directory.now().plus_millis(60 * 60 * 1000).rfc3339();
    for expected in ["hanmeimei", "hanmeimei2"] {
        let new = json!({ "display_name": "韩梅梅", "domain": domain, "invitation_until": until });
        let made = it.by(&it.key, "POST", "/members", Some(&new)).await;
        assert_eq!(made.status, 201, "{}", made.text);
        let made = made.json();
        assert_eq!(made["account"]["address"], json!(format!("{expected}@{domain}")));
        let invitation = made["invitation"].as_str().expect("an invitation");
        let leads = it.office.administration.seen_invitation(invitation).await.expect("it is good").leads;
        assert!(format!("{leads:?}").contains(expected), "{leads:?}");
    }

    // The first account of a tenant is its creator's.
    let operator = it.office.key(None, None, Permissions::all()).await;
    let name = format!("fresh{:016x}", rand::random::<u64>());
    let fresh =
        it.office.administration.add_tenant(&crate::support::OPERATOR, &name).await.expect("tenant").id;
    let domain = format!("{name}.example");
    it.office.administration.add_domain(&crate::support::OPERATOR, fresh, &domain).await.expect("domain");
    let creator = json!({
        "display_name": "王芳", "domain": domain, "creator": true, "password": "an initial password",
    });
    let path = format!("/tenants/{fresh}");
    let made = it.office.ask(&operator, "POST", &format!("{path}/members"), Some(&creator)).await;
    assert_eq!((made.status.as_u16(), &made.json()["left"]), (201, &json!([])), "{}", made.text);
    let made = made.json();
    assert_eq!(made["account"]["address"], json!(format!("wangfang@{domain}")));
    let known = it.office.ask(&operator, "GET", &format!("{path}/creator"), None).await.json();
    assert_eq!(known["account"], made["account"]["id"]);
    let second = json!({ "display_name": "x", "domain": domain, "creator": true });
    let second = it.office.ask(&operator, "POST", &format!("{path}/members"), Some(&second)).await;
    second.assert_problem(412, "changed");
}

/// Feature TEN-08: versions of the terms of service kept by the operator, acceptance recorded with who, when, from where and which text
/// Feature TEN-09: an organisation's administrators accept for it; members are asked for nothing, and neither they nor programs accept
#[tokio::test(flavor = "multi_thread")]
async fn terms_of_service_are_kept_and_accepted() {
    let it = bench().await;
    let operator = it.office.key(None, None, Permissions::all()).await;
    let chief = it.office.session(it.home.chief).await;
    let publish = async |text: &str| {
        let new = json!({ "title": "Terms of service", "text": text });
        let published = it.office.ask(&operator, "POST", "/terms", Some(&new)).await;
        assert_eq!(published.status, 200, "{}", published.text);
        published.json()["number"].as_u64().expect("a number")
    };
    let first = publish("Pay in time.").await;
    let accept = |number: u64| format!("/terms/{number}/acceptance");
    let accepted = it.by(&chief, "POST", &accept(first), Some(&json!({}))).await;
    assert_eq!(accepted.status, 200, "{}", accepted.text);
    let digest = accepted.json()["sha256"].clone();
    // Once more is no more; the first time counts.
    assert_eq!(it.by(&chief, "POST", &accept(first), Some(&json!({}))).await.json(), accepted.json());
    let second = publish("Pay at once.").await;
    assert_eq!(second, first + 1);
    it.by(&chief, "POST", &accept(first), Some(&json!({}))).await.assert_problem(412, "changed");
    it.by(&chief, "POST", &accept(second + 1), Some(&json!({}))).await.assert_problem(404, "not-found");
    // Neither a program accepts anything, nor a member.
    assert_eq!(it.by(&it.key, "POST", &accept(second), Some(&json!({}))).await.status, 403);
    let member = it.office.session(it.home.member).await;
    assert_eq!(it.by(&member, "POST", &accept(second), Some(&json!({}))).await.status, 403);
    let creator = it.office.session(it.home.creator).await;
    assert_eq!(it.by(&creator, "POST", &accept(second), Some(&json!({}))).await.status, 200);
    let listed = it.by(&it.key, "GET", "/terms-accepted", None).await.json();
    let who: Vec<_> =
        listed["items"].as_array().expect("rows").iter().map(|row| (&row["number"], &row["by"])).collect();
    let (of_chief, of_creator) =
        (json!(format!("chief@{}", it.home.domain)), json!(format!("creator@{}", it.home.domain)));
    assert_eq!(who, [(&json!(first), &of_chief), (&json!(second), &of_creator)]);
    assert_eq!(listed["items"][0]["from"], json!("192.0.2.9"));
    // What was accepted stays readable.
    let read = it.by(&it.key, "GET", &format!("/terms/{first}"), None).await.json();
    assert_eq!((&read["text"], &read["sha256"]), (&json!("Pay in time."), &digest));
    let empty = json!({ "title": "Terms", "text": " " });
    it.office.ask(&operator, "POST", "/terms", Some(&empty)).await.assert_problem(422, "invalid");
    assert_eq!(it.office.ask(&it.key, "POST", "/terms", Some(&empty)).await.status, 403);
}

/// Feature PLN-08: orders that the operator writes down are records, too; invoice and contract are asked for within the term
#[tokio::test(flavor = "multi_thread")]
async fn orders_are_records_of_the_operator() {
    let it = bench().await;
    let operator = it.office.key(None, None, Permissions::all()).await;
    let new = |starts: &str, ends: &str| {
        json!({
            "kind": "renew", "edition": "pro", "seats": 50, "vip_seats": 3, "amount": 1_280_000,
            "currency": "CNY", "starts": starts, "ends": ends, "note": "by bank transfer",
        })
    };
    let (past, now, far) = ("2020-01-01T00:00:00Z", "2026-01-01T00:00:00Z", "2099-01-01T00:00:00Z");
    assert_eq!(it.by(&it.key, "POST", "/orders", Some(&new(now, far))).await.status, 403);
    it.by(&operator, "POST", "/orders", Some(&new(far, now))).await.assert_problem(422, "invalid");
    let over = it.by(&operator, "POST", "/orders", Some(&new(past, now))).await.json();
    let made = it.by(&operator, "POST", "/orders", Some(&new(now, far))).await;
    assert_eq!((made.status.as_u16(), &made.json()["paid"]), (201, &Value::Null), "{}", made.text);
    let order = made.json();
    let at = |order: &Value, rest: &str| format!("/orders/{}{rest}", order["id"].as_str().expect("an id"));
    // The newest first; the fixture has one, too.
    let listed = it.by(&it.key, "GET", "/orders", None).await.json();
    let ids: Vec<_> = listed["items"].as_array().expect("rows").iter().map(|row| row["id"].clone()).collect();
    assert_eq!(ids[..2], [order["id"].clone(), over["id"].clone()]);

    let asked = it.by(&it.key, "POST", &at(&order, "/invoice"), Some(&json!({}))).await.json();
    assert_eq!((&asked["invoice"], &asked["contract"]), (&json!("requested"), &json!("none")));
    it.by(&it.key, "POST", &at(&over, "/invoice"), Some(&json!({}))).await.assert_problem(409, "other-state");
    let paid = json!({ "paid": now, "invoice": "issued" });
    assert_eq!(it.by(&it.key, "PATCH", &at(&order, ""), Some(&paid)).await.status, 403);
    let seen = it.by(&operator, "GET", &at(&order, ""), None).await;
    let with = [("if-match", seen.header("etag"))];
    let path = it.at(&at(&order, ""));
    let changed = it.office.ask_with(&operator, "PATCH", &path, &with, Some(&paid)).await;
    assert_eq!((changed.status.as_u16(), &changed.json()["invoice"]), (200, &json!("issued")));
    assert_eq!(changed.json()["paid"], json!("2026-01-01T00:00:00.000Z"));
    let again = it.office.ask_with(&operator, "PATCH", &path, &with, Some(&paid)).await;
    again.assert_problem(412, "changed");
    // What was issued is not asked for again.
    let asked = it.by(&it.key, "POST", &at(&order, "/invoice"), Some(&json!({}))).await.json();
    assert_eq!(asked["invoice"], json!("issued"));
}

/// Feature ORG-27: a member says in a session what he is called in letters, as long as administrators do not give the names; the directory goes on showing theirs
#[tokio::test(flavor = "multi_thread")]
async fn members_choose_a_nickname_where_they_may() {
    let office = Office::open().await;
    let home = office.tenant("home").await;
    let session = office.session(home.member).await;
    let account = format!("/tenants/{}/accounts/{}", home.id, home.member.account);
    let place = format!("{account}/nickname");
    let say = async |key: &str, nickname: &str| {
        office.ask(key, "PUT", &place, Some(&json!({ "nickname": nickname }))).await
    };
    let read = office.ask(&session, "GET", &place, None).await;
    assert_eq!(read.json(), json!({ "nickname": "", "locked": false }));
    let said = say(&session, " 小王 ").await;
    assert_eq!(said.json(), json!({ "nickname": "小王", "locked": false }), "{}", said.text);
    let old = [("if-match", read.header("etag"))];
    let late = json!({ "nickname": "Late" });
    office.ask_with(&session, "PUT", &place, &old, Some(&late)).await.assert_problem(412, "changed");
    for bad in ["boss@bank.example", "boss＠bank", "boss﹫bank", "a\u{202e}b", &"x".repeat(51)] {
        say(&session, bad).await.assert_problem(422, "invalid");
    }
    // Nobody else's matter; administrators see it.
    let chief = office.session(home.chief).await;
    say(&chief, "Other").await.assert_problem(403, "no-permission");
    assert_eq!(office.ask(&chief, "GET", &place, None).await.json()["nickname"], "小王");
    assert_eq!(office.ask(&chief, "GET", &account, None).await.json()["display_name"], "");
    let names = format!("/tenants/{}/names", home.id);
    let given = office.ask(&chief, "PUT", &names, Some(&json!({ "unified": true }))).await;
    assert_eq!(given.status, 200, "{}", given.text);
    say(&session, "Other").await.assert_problem(409, "other-state");
    let locked = office.ask(&session, "GET", &place, None).await;
    assert_eq!(locked.json(), json!({ "nickname": "小王", "locked": true }));
    let log =
        office.ask(&chief, "GET", &format!("/tenants/{}/operations?limit=500", home.id), None).await.text;
    assert!(log.contains("nickname.change"), "{log}");
}
