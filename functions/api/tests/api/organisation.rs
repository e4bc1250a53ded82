//! The organisation through the API: departments, people, the recycle bin, tags, rules of groups; and how far an
//! administrator of some departments reaches.

use std::collections::BTreeSet;

use pennypost_admin::{DepartmentId, Grant, Grants, Permissions, Reach};
use serde_json::{Value, json};

use crate::support::{Answer, OPERATOR, Office, Tenant, permissions};

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
    async fn by(&self, key: &str, method: &str, path: &str, body: Option<&Value>) -> Answer {
        let path = format!("/tenants/{}{path}", self.home.id);
        self.office.ask(key, method, &path, body).await
    }

    async fn get(&self, path: &str) -> Value {
        let answer = self.by(&self.key, "GET", path, None).await;
        assert_eq!(answer.status, 200, "{path}: {}", answer.text);
        answer.json()
    }

    async fn ask(&self, method: &str, path: &str, body: &Value) -> Answer {
        self.by(&self.key, method, path, Some(body)).await
    }

    /// The id of what was made.
    async fn department(&self, parent: u64, name: &str) -> u64 {
        let made = self.ask("POST", "/departments", &json!({ "parent": parent, "name": name })).await;
        assert_eq!(made.status, 201, "{}", made.text);
        made.json()["id"].as_u64().expect("a number")
    }

    async fn person(&self, local: &str, name: &str, departments: &[u64]) -> String {
        let new = json!({
            "address": format!("{local}@{}", self.home.domain), "password": "a long password",
            "display_name": name, "departments": departments,
        });
        let made = self.ask("POST", "/accounts", &new).await;
        assert_eq!(made.status, 201, "{}", made.text);
        made.json()["id"].as_str().expect("an id").to_owned()
    }

    /// The key of a person who administers members of these departments.
    async fn warden(&self, local: &str, departments: &[u64]) -> String {
        let it = &self.office.administration;
        let id = self.home.id;
        let account = self.office.account(id, format!("{local}@{}", self.home.domain)).await;
        let role = it.add_role(&OPERATOR, id, local, permissions(&["members:write"])).await.expect("role");
        let of = |id: &u64| DepartmentId(u32::try_from(*id).expect("small"));
        let reach = Reach::Departments(departments.iter().map(of).collect::<BTreeSet<_>>());
        let grants = Grants { is_super: false, roles: vec![Grant { role: role.id, reach }] };
        it.change_grants(&OPERATOR, account, &Grants::default(), grants).await.expect("granted");
        self.office.key(Some(id), Some(account), Permissions::of_tenant()).await
    }
}

fn names(list: &Value) -> Vec<&str> {
    let items = list["items"].as_array().expect("items");
    items.iter().map(|row| row["display_name"].as_str().or(row["name"].as_str()).expect("a name")).collect()
}

/// Feature ORG-01: departments to 15 levels, with description, below the one that is chosen
/// Feature ORG-02: rename, describe, move, order and remove departments; numbers of people and of departments in each; the organisation renamed
#[tokio::test(flavor = "multi_thread")]
async fn departments_are_a_tree_of_fifteen_levels() {
    let it = bench().await;
    let research = it.department(1, "研究").await;
    let sales = it.department(1, "Sales").await;
    let mut deepest = research;
    for level in 2..=15 {
        deepest = it.department(deepest, &format!("level {level}")).await;
    }
    let too_deep = it.ask("POST", "/departments", &json!({ "parent": deepest, "name": "level 16" })).await;
    let document = too_deep.assert_problem(422, "invalid");
    assert!(document["detail"].as_str().expect("a detail").contains("15"), "{document}");
    let again = it.ask("POST", "/departments", &json!({ "name": "sales" })).await;
    again.assert_problem(409, "taken");

    it.person("li", "李雷", &[research]).await;
    it.person("han", "韩梅梅", &[research, sales]).await;
    // A page at a time, with numbers.
    let (mut rows, mut after) = (Vec::new(), String::new());
    loop {
        let page = it.get(&format!("/departments?counts=true&limit=5{after}")).await;
        rows.extend(page["items"].as_array().expect("items").clone());
        let Some(next) = page["next"].as_str() else { break };
        after = format!("&after={next}");
    }
    assert_eq!(rows.len(), 18, "{rows:?}");
    assert_eq!((&rows[0]["id"], &rows[0]["level"]), (&json!(1), &json!(0)));
    let row = |id: u64| rows.iter().find(|row| row["id"] == json!(id)).expect("listed").clone();
    assert_eq!((&row(research)["people"], &row(sales)["people"]), (&json!(2), &json!(1)));
    assert_eq!((&row(research)["departments"], &row(deepest)["level"]), (&json!(1), &json!(15)));

    // No department below itself, and no change of what has changed.
    let cycle = it.ask("PATCH", &format!("/departments/{research}"), &json!({ "parent": deepest })).await;
    cycle.assert_problem(422, "invalid");
    let path = format!("/tenants/{}/departments/{sales}", it.home.id);
    let seen = it.office.ask(&it.key, "GET", &path, None).await;
    let with = [("if-match", seen.header("etag"))];
    let first = json!({ "place": 0, "description": "sells", "name": "Selling" });
    let moved = it.office.ask_with(&it.key, "PATCH", &path, &with, Some(&first)).await;
    assert_eq!((moved.status.as_u16(), &moved.json()["path"]), (200, &json!(["Selling"])), "{}", moved.text);
    it.office.ask_with(&it.key, "PATCH", &path, &with, Some(&first)).await.assert_problem(412, "changed");
    assert_eq!(it.get("/departments").await["items"][1]["id"], json!(sales));
    let renamed = it.ask("PATCH", "/departments/1", &json!({ "name": "家园" })).await;
    assert_eq!(renamed.json()["name"], json!("家园"), "{}", renamed.text);

    it.ask("DELETE", &format!("/departments/{sales}"), &json!({})).await.assert_problem(409, "held");
    it.ask("DELETE", &format!("/departments/{research}"), &json!({})).await.assert_problem(409, "held");
    let removed = it.ask("DELETE", &format!("/departments/{deepest}"), &json!({})).await;
    assert_eq!(removed.status, 204, "{}", removed.text);
    let gone = it.by(&it.key, "GET", &format!("/departments/{deepest}"), None).await;
    gone.assert_problem(404, "not-found");
}

/// Feature ORG-15: name, departments, landline and the other fields of a person are changed through the API
/// Feature ORG-16: into one or several departments, and from one to another
#[tokio::test(flavor = "multi_thread")]
async fn people_are_found_and_changed() {
    let it = bench().await;
    let (one, two) = (it.department(1, "One").await, it.department(1, "Two").await);
    let wang = it.person("wxm", "王小明", &[one]).await;
    for n in 0..7 {
        it.person(&format!("w{n}"), &format!("王{n}"), &[one]).await;
    }
    for text in ["王小", "wangxiao", "wxm", "小明", "xiaom"] {
        let found = it.get(&format!("/people?q={}", encoded(text))).await;
        assert_eq!(names(&found), ["王小明"], "{text}");
    }
    // Pages hold everybody once, whichever of the terms of a name is found.
    let (mut found, mut after) = (Vec::new(), String::new());
    loop {
        let page = it.get(&format!("/people?q=w&limit=3{after}")).await;
        found.extend(names(&page).into_iter().map(str::to_owned));
        let Some(next) = page["next"].as_str() else { break };
        after = format!("&after={next}");
    }
    let unique: BTreeSet<&String> = found.iter().collect();
    assert_eq!((found.len(), unique.len()), (8, 8), "{found:?}");
    it.by(&it.key, "GET", "/people", None).await.assert_problem(400, "bad-parameter");

    let profile = format!("/accounts/{wang}/profile");
    let patch = json!({ "title": "工程师", "phone": "+86 10 1234", "departments": [two, one] });
    let changed = it.ask("PATCH", &profile, &patch).await.json();
    assert_eq!((&changed["title"], &changed["departments"]), (&json!("工程师"), &json!([two, one])));
    assert_eq!(changed["display_name"], json!("王小明"));
    let listed = it.get(&format!("/departments/{two}/people")).await;
    assert_eq!((names(&listed), &listed["items"][0]["title"]), (vec!["王小明"], &json!("工程师")));
    it.ask("PATCH", &profile, &json!({ "phone": "call me" })).await.assert_problem(422, "invalid");
    it.ask("PATCH", &profile, &json!({ "departments": [4000] }))
        .await
        .assert_problem(422, "unknown-reference");
    let out = it.ask("PATCH", &profile, &json!({ "departments": [] })).await.json();
    assert_eq!(out["departments"], json!([]));
}

fn encoded(text: &str) -> String {
    text.bytes().map(|byte| format!("%{byte:02X}")).collect()
}

/// Feature ORG-17: disable and enable through the API, in lists of departments as such
/// Feature ORG-18: an account ends at a time; what was deleted is kept for a while and comes back
/// Feature ORG-20: unbind: neither password nor token opens it, it lies in the recycle bin for 60 days and is given to another member or becomes a business mailbox
/// Feature ORG-21: a deleted account leaves the directory at once and lies in the recycle bin for 30 days
#[tokio::test(flavor = "multi_thread")]
async fn accounts_go_and_come_back() {
    let it = bench().await;
    let one = it.department(1, "One").await;
    let ann = it.person("ann", "Ann", &[one]).await;
    let of = |rest: &str| format!("/accounts/{ann}{rest}");
    let bin = async || {
        let listed = it.get("/recycle-bin").await;
        let mine = listed["items"].as_array().expect("items").iter().find(|row| row["account"]["id"] == ann);
        mine.cloned()
    };
    it.ask("PATCH", &of(""), &json!({ "state": "disabled" })).await;
    assert_eq!(it.get(&format!("/departments/{one}/people")).await["items"][0]["active"], json!(false));
    it.ask("PATCH", &of(""), &json!({ "state": "active" })).await;
    let ends = it.ask("PUT", &of("/expiry"), &json!({ "expires": "2099-01-01T00:00:00Z" })).await;
    assert_eq!((ends.status.as_u16(), &ends.json()["expires"]), (200, &json!("2099-01-01T00:00:00.000Z")));
    it.ask("PUT", &of("/expiry"), &json!({ "expires": "soon" })).await.assert_problem(422, "invalid");
    it.ask("PUT", &of("/expiry"), &json!({ "expires": null })).await;

    it.ask("POST", &of("/restore"), &json!({})).await.assert_problem(409, "other-state");
    assert_eq!(it.by(&it.key, "DELETE", &of(""), None).await.status, 204);
    let lies = bin().await.expect("in the bin");
    assert_eq!((&lies["cause"], &lies["expired"]), (&json!("deleted"), &json!(false)));
    assert_eq!(names(&it.get(&format!("/departments/{one}/people")).await), [""; 0]);
    it.ask("PUT", &of("/password"), &json!({ "password": "another password" }))
        .await
        .assert_problem(409, "other-state");
    let back = it.ask("POST", &of("/restore"), &json!({})).await;
    assert_eq!((back.status.as_u16(), &back.json()["in_recycle_bin"]), (200, &json!(false)));
    assert_eq!(names(&it.get(&format!("/departments/{one}/people")).await), ["Ann"]);

    assert_eq!(it.ask("POST", &of("/unbind"), &json!({})).await.status, 204);
    it.ask("POST", &of("/restore"), &json!({})).await.assert_problem(409, "other-state");
    let to = json!({ "display_name": "Bob", "departments": [one] });
    let given = it.ask("POST", &of("/assign"), &to).await;
    assert_eq!((given.status.as_u16(), &given.json()["display_name"]), (200, &json!("Bob")));
    let business = it.ask("POST", &of("/conversion"), &json!({ "name": "Info" })).await;
    assert_eq!(business.status, 200, "{}", business.text);
    assert_eq!(names(&it.get(&format!("/departments/{one}/people")).await), [""; 0]);
    let password = it.ask("PUT", &of("/password"), &json!({ "password": "another password" })).await;
    password.assert_problem(409, "other-state");

    let eve = it.person("eve", "Eve", &[]).await;
    it.by(&it.key, "DELETE", &format!("/accounts/{eve}"), None).await;
    assert_eq!(it.ask("POST", &format!("/accounts/{eve}/erase"), &json!({})).await.status, 204);
    it.ask("POST", &format!("/accounts/{eve}/restore"), &json!({})).await.assert_problem(409, "other-state");
    // Everything has its record.
    let log = it.get("/operations?limit=500").await.to_string();
    for action in ["account.delete", "account.restore", "account.unbind", "account.assign", "account.convert"]
    {
        assert!(log.contains(action), "{action}");
    }
}

/// Feature ORG-25 (part): tags over departments and members, chosen as members of groups; no approval that could choose them yet
/// Feature GRP-04: four scopes of who may send, with those that are named beside them
/// Feature GRP-05: representatives are named; choosing the group's address in compose comes with a page for it
/// Feature GRP-06: the group of a department follows it, its address is pinyin, and is changed once
/// Feature GRP-10: a group is disabled and enabled again
#[tokio::test(flavor = "multi_thread")]
async fn tags_and_groups_name_people() {
    let it = bench().await;
    let research = it.department(1, "研发部").await;
    let li = it.person("li", "李雷", &[research]).await;
    let tag = it.ask("POST", "/tags", &json!({ "name": "骨干" })).await.json()["id"].clone();
    let of_tag = format!("/tags/{tag}");
    let marked = it.ask("PATCH", &of_tag, &json!({ "departments": [research], "accounts": [li] })).await;
    assert_eq!((marked.status.as_u16(), &marked.json()["accounts"]), (200, &json!([li])), "{}", marked.text);
    it.ask("POST", "/tags", &json!({ "name": "骨干" })).await.assert_problem(409, "taken");
    let nobody = json!({ "accounts": ["00000000000000ff"] });
    it.ask("PATCH", &of_tag, &nobody).await.assert_problem(422, "unknown-reference");
    assert_eq!(names(&it.get("/tags").await), ["spare", "骨干"]);

    let at = json!({ "domain": it.home.domain });
    let made = it.ask("POST", &format!("/departments/{research}/group"), &at).await.json();
    assert_eq!(made["address"], json!(format!("yanfabu@{}", it.home.domain)), "{made}");
    let of_group = format!("/groups/yanfabu@{}", it.home.domain);
    let rules = it.get(&format!("{of_group}/rules")).await;
    assert_eq!((&rules["follows"], &rules["departments"]), (&json!(research), &json!([research])));
    // Its members are the department's.
    it.ask("PATCH", &of_group, &json!({ "members": [] })).await.assert_problem(409, "other-state");
    let mut wanted = rules.clone();
    wanted["departments"] = json!([]);
    it.ask("PUT", &format!("{of_group}/rules"), &wanted).await.assert_problem(409, "other-state");
    wanted = rules.clone();
    (wanted["senders"], wanted["named"]) = (json!("named"), json!(["boss@partner.example"]));
    (wanted["representatives"], wanted["shared"]) = (json!([li]), json!(true));
    let changed = it.ask("PUT", &format!("{of_group}/rules"), &wanted).await;
    assert_eq!((changed.status.as_u16(), changed.json()), (200, wanted.clone()), "{}", changed.text);
    wanted["tags"] = json!([tag]);
    it.ask("PUT", &format!("{of_group}/rules"), &wanted).await.assert_problem(409, "other-state");

    // Its address is changed once; who names it names the new one.
    let outer = json!({ "address": format!("outer@{}", it.home.domain), "members": [made["address"]] });
    assert_eq!(it.ask("POST", "/groups", &outer).await.status, 201);
    let plain = format!("/groups/group@{}/rules", it.home.domain);
    it.ask("PUT", &plain, &json!({ "senders": "named", "named": [made["address"]] })).await;
    let place = format!("{of_group}/address");
    it.ask("POST", &place, &json!({ "prefix": "group" })).await.assert_problem(409, "taken");
    it.ask("POST", &place, &json!({ "prefix": "a b" })).await.assert_problem(422, "invalid");
    let moved = it.ask("POST", &place, &json!({ "prefix": "research" })).await;
    let research_at = format!("research@{}", it.home.domain);
    assert_eq!(
        (moved.status.as_u16(), &moved.json()["address"]),
        (200, &json!(research_at)),
        "{}",
        moved.text
    );
    let outer = it.get(&format!("/groups/outer@{}", it.home.domain)).await;
    assert_eq!(outer["members"], json!([research_at]));
    assert_eq!(it.get(&plain).await["named"], json!([research_at]));
    it.by(&it.key, "GET", &of_group, None).await.assert_problem(404, "not-found");
    let of_group = format!("/groups/{research_at}");
    let moved = it.get(&format!("{of_group}/rules")).await;
    assert_eq!((&moved["follows"], &moved["representatives"]), (&json!(research), &json!([li])));
    for fixed in [&of_group, &format!("/groups/group@{}", it.home.domain)] {
        let again = it.ask("POST", &format!("{fixed}/address"), &json!({ "prefix": "other" })).await;
        again.assert_problem(409, "other-state");
    }

    let by_tag = json!({ "senders": "members", "tags": [tag], "disabled": true });
    let changed = it.ask("PUT", &plain, &by_tag).await.json();
    assert_eq!((&changed["tags"], &changed["disabled"]), (&json!([tag]), &json!(true)));
    it.ask("PUT", &plain, &json!({ "senders": "members", "tags": [77] }))
        .await
        .assert_problem(422, "unknown-reference");
    let bad = it.ask("PUT", &plain, &json!({ "senders": "named", "named": ["no address"] })).await;
    assert_eq!(bad.assert_problem(422, "invalid")["errors"][0]["pointer"], json!("/named/0"));
    assert_eq!(it.by(&it.key, "DELETE", &of_tag, None).await.status, 204);
    it.by(&it.key, "GET", &of_tag, None).await.assert_problem(404, "not-found");
}

/// Feature ADM-10: an administrator of departments sees and changes those with all below them, and nothing beside
#[tokio::test(flavor = "multi_thread")]
async fn a_warden_of_departments_stays_within_them() {
    let it = bench().await;
    let (sales, other) = (it.department(1, "Sales").await, it.department(1, "Other").await);
    let east = it.department(sales, "East").await;
    it.person("inside", "Winner Inside", &[east]).await;
    let beyond = it.person("beyond", "Winner Beyond", &[other]).await;
    let key = it.warden("warden", &[sales]).await;
    let ask = async |method: &str, path: &str, body: Value| it.by(&key, method, path, Some(&body)).await;

    let listed = it.by(&key, "GET", "/departments", None).await.json();
    let seen: Vec<u64> =
        listed["items"].as_array().expect("items").iter().filter_map(|row| row["id"].as_u64()).collect();
    assert_eq!(seen, [1, sales, east], "{listed}");
    for closed in [format!("/departments/{other}"), "/departments/1".to_owned()] {
        it.by(&key, "GET", &closed, None).await.assert_problem(403, "out-of-reach");
        it.by(&key, "GET", &format!("{closed}/people"), None).await.assert_problem(403, "out-of-reach");
    }
    assert_eq!(names(&it.by(&key, "GET", "/people?q=winner", None).await.json()), ["Winner Inside"]);

    assert_eq!(ask("POST", "/departments", json!({ "parent": east, "name": "Coast" })).await.status, 201);
    ask("POST", "/departments", json!({ "parent": other, "name": "Mine" }))
        .await
        .assert_problem(403, "out-of-reach");
    ask("POST", "/departments", json!({ "name": "Mine" })).await.assert_problem(403, "out-of-reach");
    // To move one takes both ends.
    ask("PATCH", &format!("/departments/{east}"), json!({ "parent": other }))
        .await
        .assert_problem(403, "out-of-reach");
    ask("PATCH", &format!("/departments/{sales}"), json!({ "parent": east }))
        .await
        .assert_problem(403, "out-of-reach");
    ask("DELETE", &format!("/departments/{sales}"), json!({})).await.assert_problem(403, "out-of-reach");
    assert_eq!(
        ask("PATCH", &format!("/departments/{sales}"), json!({ "name": "Selling" })).await.status,
        200
    );

    // People: nobody is drawn in from elsewhere, nobody is pushed out to elsewhere.
    let found = it.by(&key, "GET", "/people?q=inside", None).await.json();
    let inside = found["items"][0]["account"].as_str().expect("an id").to_owned();
    let to = |department: u64| json!({ "departments": [department] });
    ask("PATCH", &format!("/accounts/{beyond}/profile"), to(sales)).await.assert_problem(403, "out-of-reach");
    ask("PATCH", &format!("/accounts/{inside}/profile"), to(other)).await.assert_problem(403, "out-of-reach");
    let out = json!({ "departments": [] });
    ask("PATCH", &format!("/accounts/{inside}/profile"), out).await.assert_problem(403, "out-of-reach");
    assert_eq!(ask("PATCH", &format!("/accounts/{inside}/profile"), to(sales)).await.status, 200);
    ask("DELETE", &format!("/accounts/{beyond}"), json!({})).await.assert_problem(403, "out-of-reach");
    assert_eq!(ask("POST", &format!("/accounts/{inside}/unbind"), json!({})).await.status, 204);
    assert_eq!(
        it.by(&key, "GET", "/recycle-bin", None).await.json()["items"].as_array().map(Vec::len),
        Some(1)
    );
    let given = json!({ "display_name": "New", "departments": [other] });
    ask("POST", &format!("/accounts/{inside}/assign"), given).await.assert_problem(403, "out-of-reach");
    // What belongs to all of the tenant is not theirs.
    ask("POST", "/tags", json!({ "name": "mine" })).await.assert_problem(403, "out-of-reach");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_wrong_is_said_exactly_in_both_languages() {
    let it = bench().await;
    let missing = it.ask("POST", "/departments", &json!({ "description": "no name" })).await;
    let document = missing.assert_problem(400, "bad-body");
    assert_eq!(document["errors"][0]["pointer"], json!("/name"), "{document}");
    let path = format!("/tenants/{}/departments", it.home.id);
    let chinese = [("accept-language", "zh-CN")];
    for (body, said) in [
        (json!({}), "缺少必需的字段 name"),
        (json!({ "name": "a", "colour": 1 }), "未知的字段 colour"),
        (json!({ "name": "x/y" }), "部门名称须为 1 至 50 个字符"),
        (json!({ "name": "x", "parent": 99 }), "没有部门 #99"),
        (json!({ "name": "研发" }), "同级已有名为“研发”的部门"),
    ] {
        let answer = it.office.ask_with(&it.key, "POST", &path, &chinese, Some(&body)).await;
        let detail = answer.json()["detail"].as_str().expect("a detail").to_owned();
        assert!(detail.contains(said), "{body}: {detail}");
    }
}
