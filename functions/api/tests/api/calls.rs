//! The API as programs meet it.

use axum::body::Body;
use axum::http::Request;
use pennypost_admin::Permissions;
use pennypost_api::rest::document;
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

    async fn get(&self, path: &str) -> crate::support::Answer {
        self.office.ask(&self.key, "GET", &self.at(path), None).await
    }

    async fn post(&self, path: &str, body: &Value) -> crate::support::Answer {
        self.office.ask(&self.key, "POST", &self.at(path), Some(body)).await
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_account_lives_through_the_api() {
    let it = bench().await;
    let domain = &it.home.domain;
    let new =
        json!({ "address": format!("Li@{domain}"), "password": "a long password", "display_name": "李雷" });
    let made = it.post("/accounts", &new).await;
    assert_eq!(made.status, 201, "{}", made.text);
    let location = made.header("location").strip_prefix("/api/v1").expect("below the API").to_owned();
    let read = it.office.ask(&it.key, "GET", &location, None).await;
    assert_eq!((read.json(), read.status.as_u16()), (made.json(), 200));
    let account = read.json();
    assert_eq!((&account["display_name"], &account["state"]), (&json!("李雷"), &json!("active")));
    it.post("/accounts", &new).await.assert_problem(409, "taken");
    let found = it.get(&format!("/accounts?address=li@{domain}")).await.json();
    assert_eq!(found, json!({ "items": [account], "next": null }));

    // Updates need what was seen.
    let patch = json!({ "state": "disabled" });
    let without = it.office.ask_with(&it.key, "PATCH", &location, &[], Some(&patch)).await;
    without.assert_problem(428, "precondition-required");
    let tag = read.header("etag").to_owned();
    let with = [("if-match", tag.as_str())];
    let changed = it.office.ask_with(&it.key, "PATCH", &location, &with, Some(&patch)).await;
    assert_eq!((changed.status.as_u16(), &changed.json()["state"]), (200, &json!("disabled")));
    let again = it.office.ask_with(&it.key, "PATCH", &location, &with, Some(&patch)).await;
    again.assert_problem(412, "changed");
    let fresh = [("if-match", changed.header("etag"))];
    let quota = json!({ "quota_bytes": 5, "state": null });
    let changed = it.office.ask_with(&it.key, "PATCH", &location, &fresh, Some(&quota)).await.json();
    assert_eq!((&changed["quota_bytes"], &changed["state"]), (&json!(5), &json!("disabled")));

    let tokens = format!("{location}/tokens");
    let token = it.office.ask(&it.key, "POST", &tokens, Some(&json!({ "name": "phone" }))).await.json();
    assert!(token["token"].as_str().expect("a token").starts_with("ppt_"), "{token}");
    assert_eq!(token["scope"], json!(["imap", "pop3", "smtp"]));
    let listed = it.office.ask(&it.key, "GET", &format!("{location}/tokens"), None).await;
    assert!(!listed.text.contains("ppt_") && listed.text.contains("phone"), "{}", listed.text);
    let one = format!("{location}/tokens/{}", token["id"].as_str().expect("an id"));
    assert_eq!(it.office.ask(&it.key, "DELETE", &one, None).await.status, 204);
    it.office.ask(&it.key, "DELETE", &one, None).await.assert_problem(404, "not-found");

    let log = it.get("/operations?limit=500").await.json();
    let of_it = log["items"].as_array().expect("records").iter().filter(|record| {
        record["object"] == format!("li@{domain}")
            && record["by"].as_str().is_some_and(|by| by.starts_with("key"))
    });
    let told: Vec<String> =
        of_it.map(|record| format!("{} {}", record["action"], record["outcome"])).collect();
    let expected = ["account.add", "account.change", "account.change", "token.add", "token.revoke"];
    assert_eq!(told, expected.map(|action| format!("\"{action}\" \"ordered\"")));
    let change =
        log["items"].as_array().expect("records").iter().find(|record| record["action"] == "account.change");
    let change = change.expect("recorded");
    assert_eq!(
        (&change["before"]["state"], &change["after"]["state"]),
        (&json!("active"), &json!("disabled"))
    );
    assert_eq!(change["origin"], "192.0.2.9");
    assert!(!log.to_string().contains("long password") && !log.to_string().contains("ppt_"));
}

#[tokio::test(flavor = "multi_thread")]
async fn bodies_are_what_they_should_be_or_refused_with_the_place() {
    let it = bench().await;
    for (body, pointer) in [
        (json!({ "address": "a@b.example", "password": "long enough", "pasword": 1 }), "/pasword"),
        (json!({ "address": 7, "password": "long enough" }), "/address"),
        (json!({ "address": "a@b.example", "password": "long enough", "quota_bytes": -1 }), "/quota_bytes"),
        (json!({ "password": "long enough" }), "/address"),
        (json!([1]), "/1"),
        (json!("text"), ""),
    ] {
        let problem = it.post("/accounts", &body).await.assert_problem(400, "bad-body");
        let found = problem["errors"][0]["pointer"].as_str().unwrap_or_default();
        assert!(found == pointer || body.is_array(), "{problem}");
    }
    let clients = json!({ "imap": { "open": true, "range": "decade" }, "pop3": {} });
    let problem = it.office.ask(&it.key, "PUT", &it.at("/clients"), Some(&clients)).await;
    assert_eq!(problem.assert_problem(400, "bad-body")["errors"][0]["pointer"], "/imap/range");
    let policy = json!({
        "blacklist": ["good.example", "not a domain"], "whitelist": [], "subject_filter": [],
        "dmarc_reject": false, "junk_threshold": 1,
    });
    let problem = it.office.ask(&it.key, "PUT", &it.at("/policy"), Some(&policy)).await;
    assert_eq!(problem.assert_problem(422, "invalid")["errors"][0]["pointer"], "/blacklist/1");

    let raw = async |media: &str, body: Vec<u8>| {
        let request = Request::post(format!("/api/v1{}", it.at("/accounts")))
            .header("authorization", format!("Bearer {}", it.key))
            .header("content-type", media)
            .header("accept-language", "zh-CN");
        it.office.send(request.body(Body::from(body)).expect("a request")).await
    };
    for broken in ["", "{", "{\"address\":\"a@b.example\"", "null", "{} {}", "\u{feff}{}"] {
        let problem = raw("application/json", broken.into()).await.assert_problem(400, "bad-body");
        assert!(!problem["title"].as_str().expect("a title").is_ascii(), "{problem}");
    }
    raw("application/json", b"{\"address\":\"\xff\"}".to_vec()).await.assert_problem(400, "bad-body");
    raw("text/xml", b"{}".to_vec()).await.assert_problem(415, "other-media-type");
    raw("application/json", vec![b' '; 256 * 1024 + 1]).await.assert_problem(413, "too-large");
    let deep = "[".repeat(100_000);
    raw("application/json; charset=utf-8", deep.into()).await.assert_problem(400, "bad-body");
}

#[tokio::test(flavor = "multi_thread")]
async fn parameters_are_known_and_right() {
    let it = bench().await;
    for bad in
        ["limit=0", "limit=501", "limit=x", "after=!", "after=", "limit=1&limit=2", "first=1", "limit=%zz"]
    {
        it.get(&format!("/accounts?{bad}")).await.assert_problem(400, "bad-parameter");
    }
    it.get("/operations?from=yesterday").await.assert_problem(400, "bad-parameter");
    it.get("/operations?after=eA").await.assert_problem(400, "bad-parameter");
    for missing in [
        "/accounts/1",
        "/accounts/00000000000000zz",
        "/accounts/00C0FFEE00C0FFEE",
        "/nothing",
        "/domains/%00",
    ] {
        it.get(missing).await.assert_problem(404, "not-found");
    }
    let other = it.office.ask(&it.key, "DELETE", &it.at("/policy"), None).await;
    other.assert_problem(405, "other-method");
    assert!(other.header("allow").contains("PUT"), "{:?}", other.headers);
}

#[tokio::test(flavor = "multi_thread")]
async fn lists_have_pages() {
    let it = bench().await;
    let (mut seen, mut after) = (Vec::new(), String::new());
    loop {
        let page = it.get(&format!("/accounts?limit=1{after}")).await.json();
        let items = page["items"].as_array().expect("items").clone();
        assert!(items.len() <= 1);
        seen.extend(items);
        let Some(next) = page["next"].as_str() else { break };
        after = format!("&after={next}");
    }
    let mut addresses: Vec<&str> = seen.iter().filter_map(|account| account["address"].as_str()).collect();
    addresses.sort_unstable();
    let names = [
        "business", "chief", "creator", "deleted", "doomed", "graded", "leaver1", "leaver2", "leaver3",
        "member", "newcomer", "retired", "unbound",
    ];
    let expected = names.map(|name| format!("{name}@{}", it.home.domain));
    assert_eq!(addresses, expected);
    // The log, as pages and as CSV.
    let all = it.get("/operations").await.json()["items"].clone();
    let first = it.get("/operations?limit=3").await.json();
    let rest = it.get(&format!("/operations?after={}", first["next"].as_str().expect("more"))).await.json();
    let both =
        [first["items"].as_array().expect("items").clone(), rest["items"].as_array().expect("items").clone()];
    assert_eq!(json!(both.concat()), all);
    let path = it.at("/operations?limit=3");
    let csv = it.office.ask_with(&it.key, "GET", &path, &[("accept", "text/csv")], None).await;
    assert_eq!(csv.text.lines().count(), 4);
    assert!(csv.header("content-type").starts_with("text/csv"));
    let next = format!("<?after={}>; rel=\"next\"", first["next"].as_str().expect("more"));
    assert_eq!(csv.header("link"), next);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_with_its_key_is_done_once() {
    let it = bench().await;
    let path = it.at("/keys");
    let body = json!({ "name": "crm", "permissions": ["members:read"] });
    let once = [("idempotency-key", "8e03978e-40d5-43dd-bc93-6894a57f9324")];
    let first = it.office.ask_with(&it.key, "POST", &path, &once, Some(&body)).await;
    let again = it.office.ask_with(&it.key, "POST", &path, &once, Some(&body)).await;
    assert_eq!((first.status.as_u16(), again.status.as_u16()), (201, 201));
    assert_eq!(first.text, again.text, "with the secret that is told once");
    assert_eq!((first.header("idempotent-replayed"), again.header("idempotent-replayed")), ("", "true"));
    assert_eq!(first.header("location"), again.header("location"));
    let listed = it.get("/keys").await.json();
    let named = listed["items"].as_array().expect("keys").iter().filter(|key| key["name"] == "crm").count();
    assert_eq!(named, 1);
    // Another request with the same key, and the same key of another caller.
    let other = json!({ "name": "crm 2", "permissions": ["members:read"] });
    let reused = it.office.ask_with(&it.key, "POST", &path, &once, Some(&other)).await;
    reused.assert_problem(422, "idempotency-key-reused");
    let second = it.office.key(Some(it.home.id), None, Permissions::of_tenant()).await;
    let made = it.office.ask_with(&second, "POST", &path, &once, Some(&body)).await;
    assert_eq!((made.status.as_u16(), made.header("idempotent-replayed")), (201, ""));
    assert_ne!(made.text, first.text);
    // What is kept tells nobody the secret.
    let secret = first.json()["key"].as_str().expect("a key").to_owned();
    let partition = format!("{}/requests", it.home.id);
    let kept = it.office.control.query(&partition, "", None, 10).await.expect("reads");
    assert_eq!(kept.len(), 2);
    for (_, item) in kept {
        assert!(!String::from_utf8_lossy(&item.value).contains(&secret[20..40]));
    }
    // What was refused is asked anew.
    let wrong = [("idempotency-key", "2")];
    let bad = json!({ "name": "", "permissions": ["members:read"] });
    for _ in 0..2 {
        let refused = it.office.ask_with(&it.key, "POST", &path, &wrong, Some(&bad)).await;
        refused.assert_problem(422, "invalid");
    }
    let no_key = [("idempotency-key", "a b")];
    it.office
        .ask_with(&it.key, "POST", &path, &no_key, Some(&body))
        .await
        .assert_problem(400, "bad-parameter");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_request_at_once_is_done_once() {
    let it = bench().await;
    let path = it.at("/roles");
    let body = json!({ "name": "race", "permissions": ["members:read"] });
    let once = [("idempotency-key", "race")];
    let asking = (0..6).map(|_| it.office.ask_with(&it.key, "POST", &path, &once, Some(&body)));
    let answers = futures::future::join_all(asking).await;
    let mut statuses: Vec<u16> = answers.iter().map(|answer| answer.status.as_u16()).collect();
    statuses.sort_unstable();
    assert!(
        statuses.contains(&201) && statuses.iter().all(|status| [201, 409].contains(status)),
        "{statuses:?}"
    );
    for answer in answers.iter().filter(|answer| answer.status.as_u16() == 409) {
        answer.assert_problem(409, "in-progress");
    }
    let roles = it.get("/roles").await.json();
    let named =
        roles["items"].as_array().expect("roles").iter().filter(|role| role["name"] == "race").count();
    assert_eq!(named, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn two_who_change_the_same_do_not_write_over_each_other() {
    let it = bench().await;
    let path = it.at(&format!("/groups/group@{}", it.home.domain));
    let tag = it.office.ask(&it.key, "GET", &path, None).await.header("etag").to_owned();
    let domain = &it.home.domain;
    let bodies: Vec<Value> =
        (0..6).map(|n| json!({ "members": [format!("{}@{domain}", ["chief", "creator"][n % 2])] })).collect();
    let headers = [("if-match", tag.as_str())];
    let asking = bodies.iter().map(|body| it.office.ask_with(&it.key, "PATCH", &path, &headers, Some(body)));
    let answers = futures::future::join_all(asking).await;
    let done = answers.iter().filter(|answer| answer.status == 200).count();
    assert_eq!(done, 1, "{:?}", answers.iter().map(|answer| answer.status).collect::<Vec<_>>());
    assert!(answers.iter().all(|answer| [200, 412].contains(&answer.status.as_u16())));
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_asks_too_often_waits() {
    let it = bench().await;
    let mut last = 0;
    for _ in 0..400 {
        let answer = it.office.ask(&it.key, "GET", "/me", None).await;
        last = answer.status.as_u16();
        if last == 429 {
            answer.assert_problem(429, "too-many-requests");
            assert_eq!(answer.header("retry-after"), "1");
            break;
        }
    }
    assert_eq!(last, 429);
    // Another key is not held up by it.
    let other = it.office.key(Some(it.home.id), None, permissions(&["log:read"])).await;
    assert_eq!(it.office.ask(&other, "GET", "/me", None).await.status, 200);
    // Nor by keys that open nothing, until there were too many of them from one place.
    let mut refused = 0;
    for n in 0..60 {
        let guess = format!("ppk_{}{n:016x}{}", it.home.id, "0".repeat(64));
        let answer = it.office.ask(&guess, "GET", "/me", None).await;
        if answer.status == 429 {
            refused += 1;
        }
    }
    assert!(refused > 20, "{refused}");
    // Whoever sits behind the same address with a key that opens goes on.
    assert_eq!(it.office.ask(&other, "GET", "/me", None).await.status, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn people_are_told_in_their_language() {
    let it = bench().await;
    let ask = async |language: &str| {
        let headers = [("accept-language", language)];
        it.office.ask_with(&it.key, "GET", &it.at("/accounts/0000000000000000"), &headers, None).await
    };
    let (english, chinese) = (ask("en").await, ask("zh-CN,zh;q=0.9").await);
    assert_eq!(english.json()["detail"], "there is no such account here");
    assert_eq!(chinese.json()["detail"], "此处没有该账号");
    assert_eq!((english.header("content-language"), chinese.header("content-language")), ("en", "zh-CN"));
    assert_eq!(english.json()["type"], chinese.json()["type"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_document_and_its_page_stand_by_themselves() {
    let it = bench().await;
    let told = it.office.ask("", "GET", "/openapi.json", None).await;
    assert_eq!(told.json(), document());
    assert_eq!(told.json()["openapi"], "3.1.0");
    let page = it.office.ask("", "GET", "/reference", None).await;
    assert!(!page.text.contains("<script") && !page.text.contains("http"), "{}", page.text);
    assert!(page.header("content-security-policy").contains("default-src 'none'"));
    for path in document()["paths"].as_object().expect("paths").keys() {
        assert!(page.text.contains(path.as_str()), "{path}");
    }
    assert_eq!(it.office.ask("", "GET", "/reference.css", None).await.status, 200);
}

/// The document that lies in `docs` is that of the code: `PENNYPOST_UPDATE_DOCS=1 cargo test -p pennypost-api` writes it.
#[test]
fn the_document_in_docs_is_up_to_date() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/openapi.json");
    let text = format!("{:#}\n", document());
    if std::env::var_os("PENNYPOST_UPDATE_DOCS").is_some() {
        std::fs::write(path, &text).expect("written");
    }
    let there = std::fs::read_to_string(path).unwrap_or_default();
    assert!(there == text, "docs/openapi.json is not what the code says");
}
