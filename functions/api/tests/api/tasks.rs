//! Import and export of the organisation through the API, as tasks.
//!
//! Feature ORG-09: import over the API as a task with progress, from XLSX and CSV, with a dry run and a file of the rows that were refused, in both languages
//! Feature ORG-28: departments, people, or the people of one department, exported over the API
//! Feature GRP-08: groups imported and exported over the API

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use pennypost_admin::Permissions;
use pennypost_model::TaskId;
use serde_json::{Value, json};

use crate::support::{Answer, Office, Tenant, permissions};

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

fn file(name: &str, bytes: &[u8]) -> Value {
    json!({ "file_name": name, "content": BASE64_STANDARD.encode(bytes) })
}

impl Bench {
    async fn by(
        &self,
        key: &str,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: Option<&Value>,
    ) -> Answer {
        let path = format!("/tenants/{}{path}", self.home.id);
        self.office.ask_with(key, method, &path, headers, body).await
    }

    async fn ask(&self, method: &str, path: &str, body: Option<&Value>) -> Answer {
        self.by(&self.key, method, path, &[], body).await
    }

    /// The path of a task that was ordered, below the tenant.
    fn place(&self, answer: &Answer) -> String {
        assert_eq!(answer.status, 202, "{}", answer.text);
        let location = answer.header("location");
        let below = format!("/api/v1/tenants/{}", self.home.id);
        let place = location.strip_prefix(&below).expect("below the tenant").to_owned();
        assert_eq!(place, format!("/tasks/{}", answer.json()["id"].as_str().expect("an id")));
        place
    }

    /// Orders a task and carries it out: what it is then, and its result.
    async fn carry_out(&self, path: &str, body: &Value) -> (Value, String) {
        let place = self.place(&self.ask("POST", path, Some(body)).await);
        let id: TaskId = place["/tasks/".len()..].parse().expect("an id");
        self.office.work_on(self.home.id, id).await;
        let task = self.ask("GET", &place, None).await.json();
        let result = self.ask("GET", &format!("{place}/result"), None).await;
        assert_eq!(result.status, 200, "{}", result.text);
        assert!(result.header("content-type").starts_with("text/csv"));
        (task, result.text)
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_organisation_is_imported_and_exported_over_the_api() {
    let it = bench().await;
    let domain = &it.home.domain;
    // GB18030, as spreadsheets in China write it: 姓名,邮箱,部门 and 王.
    let mut people = b"\xd0\xd5\xc3\xfb,\xd3\xca\xcf\xe4,\xb2\xbf\xc3\xc5\n".to_vec();
    people.extend(format!("\u{1}a,wang@{domain},Sales/North\nx,member@{domain},\ny,=1,\n").bytes());
    let at = people.iter().position(|byte| *byte == 1).expect("there");
    drop(people.splice(at..=at, *b"\xcd\xf5"));
    let (queued, before) = {
        let answer = it.ask("POST", "/imports", Some(&file("people.csv", &people))).await;
        (answer.json(), it.place(&answer))
    };
    assert_eq!((&queued["state"], &queued["total"]), (&json!("queued"), &Value::Null));
    it.ask("GET", &format!("{before}/result"), None).await.assert_problem(409, "other-state");
    let stopped = it.ask("POST", &format!("{before}/cancellation"), None).await;
    assert_eq!((stopped.status.as_u16(), &stopped.json()["state"]), (200, &json!("cancelled")));
    it.ask("POST", &format!("{before}/cancellation"), None).await.assert_problem(409, "other-state");

    let mut dry = file("people.csv", &people);
    dry["dry_run"] = true.into();
    let (task, told) = it.carry_out("/imports", &dry).await;
    assert_eq!((&task["state"], &task["dry_run"]), (&json!("done"), &json!(true)), "{task}");
    let counts = json!({ "departments": 2, "people": 1, "groups": 0, "skipped": 0, "refused": 2 });
    assert_eq!((&task["counts"], &task["done"], &task["total"]), (&counts, &json!(3), &json!(3)));
    assert_eq!(told.lines().count(), 3, "{told}");
    assert!(told.contains("people.csv,4,“=1” is a formula,“=1”是公式"), "{told}");
    let accounts = format!("/accounts?address=wang@{domain}");
    assert_eq!(it.ask("GET", &accounts, None).await.json()["items"], json!([]));

    let (task, _) = it.carry_out("/imports", &file("people.csv", &people)).await;
    assert_eq!((&task["counts"], &task["problem"]), (&counts, &Value::Null));
    let wang = it.ask("GET", &accounts, None).await.json();
    assert_eq!(wang["items"][0]["display_name"], "王a", "{wang}");
    let groups = format!("address,members\nsales@{domain},wang@{domain}\n");
    let (task, _) = it.carry_out("/imports", &file("groups.csv", groups.as_bytes())).await;
    assert_eq!(task["counts"]["groups"], 1, "{task}");

    let departments = it.ask("GET", "/departments", None).await.json();
    let sales = departments["items"].as_array().expect("items").iter().find(|row| row["name"] == "Sales");
    let sales = &sales.expect("Sales")["id"];
    let wanted = json!({ "table": "people", "department": sales, "language": "zh-CN" });
    let (task, table) = it.carry_out("/exports", &wanted).await;
    assert_eq!((&task["kind"], &task["object"]), (&json!("export"), &json!("people")));
    assert!(table.starts_with("\u{feff}邮箱,姓名,部门"), "{table}");
    assert!(
        table.lines().count() == 2 && table.contains(&format!("wang@{domain},王a,Sales/North")),
        "{table}"
    );
    let (_, table) = it.carry_out("/exports", &json!({ "table": "groups" })).await;
    assert!(table.contains(&format!("sales@{domain},,wang@{domain}")), "{table}");

    let listed = it.ask("GET", "/tasks?limit=2", None).await.json();
    assert_eq!(listed["items"][0]["object"], "groups", "the newest first");
    let next = format!("/tasks?after={}", listed["next"].as_str().expect("more"));
    assert_eq!(it.ask("GET", &next, None).await.json()["items"].as_array().map(Vec::len), Some(5));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_table_is_refused_in_the_language_of_whoever_asks() {
    let it = bench().await;
    let ask = async |body: &Value| {
        it.by(&it.key, "POST", "/imports", &[("accept-language", "zh")], Some(body)).await
    };
    let refused = ask(&file("x.csv", b"colour\nred\n")).await.assert_problem(422, "invalid");
    let detail = refused["detail"].as_str().expect("a detail");
    assert!(detail.contains("x.csv") && detail.contains("colour") && detail.contains("列名"), "{detail}");
    ask(&file("x.xlsx", b"PK\x03\x04")).await.assert_problem(422, "invalid");
    ask(&file("x.csv", b"address\n")).await.assert_problem(422, "invalid");
    let bad = ask(&json!({ "file_name": "x.csv", "content": "not base64!" })).await;
    assert_eq!(bad.assert_problem(400, "bad-body")["errors"][0]["pointer"], "/content");
    let mut elsewhere = file("x.csv", b"address\nx@y.example\n");
    elsewhere["department"] = 4_711.into();
    ask(&elsewhere).await.assert_problem(422, "unknown-reference");
    // Larger than other bodies may be, and bounded.
    let large = format!("address\n{}", "x".repeat(1_000_000));
    let accepted = ask(&file("x.csv", large.as_bytes())).await;
    assert_eq!(accepted.status, 202, "{}", accepted.text);
    ask(&file("x.csv", &vec![b'x'; 4_200_000])).await.assert_problem(413, "too-large");
    let policies = it.office.key(Some(it.home.id), None, permissions(&["policies:write"])).await;
    let denied = it.by(&policies, "POST", "/exports", &[], Some(&json!({ "table": "people" }))).await;
    denied.assert_problem(403, "no-permission");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_order_sent_again_is_one_task() {
    let it = bench().await;
    let body = file("people.csv", format!("address\nnew@{}\n", it.home.domain).as_bytes());
    let key = [("idempotency-key", "one")];
    let first = it.by(&it.key, "POST", "/imports", &key, Some(&body)).await;
    let again = it.by(&it.key, "POST", "/imports", &key, Some(&body)).await;
    assert_eq!(it.place(&first), it.place(&again));
    assert_eq!(again.header("idempotent-replayed"), "true");
    let other = it.by(&it.key, "POST", "/exports", &key, Some(&json!({ "table": "people" }))).await;
    other.assert_problem(422, "idempotency-key-reused");
    let tasks = it.ask("GET", "/tasks", None).await.json();
    assert_eq!(tasks["items"].as_array().map(Vec::len), Some(2), "this one, and that of the tenant");
}
