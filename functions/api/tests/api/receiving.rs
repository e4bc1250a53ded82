//! What members say of the letters that they receive.

use pennypost_admin::Permissions;
use serde_json::{Value, json};

use crate::support::{Answer, Office, Tenant, permissions};

struct Bench {
    office: Office,
    home: Tenant,
    session: String,
    path: String,
}

impl Bench {
    async fn open() -> Bench {
        let office = Office::open().await;
        let home = office.tenant("home").await;
        let session = office.session(home.member).await;
        let path = format!("/tenants/{}/accounts/{}/rules", home.id, home.member.account);
        Bench { office, home, session, path }
    }

    async fn read(&self) -> Answer {
        self.office.ask(&self.session, "GET", &self.path, None).await
    }

    async fn say(&self, seen: &str, body: &Value) -> Answer {
        self.office.ask_with(&self.session, "PUT", &self.path, &[("if-match", seen)], Some(body)).await
    }
}

fn rules() -> Value {
    json!({
        "whitelist": ["friend@other.example"],
        "blacklist": ["spam.example"],
        "rules": [
            {
                "name": "Everything", "enabled": true, "moment": "receive", "match": "any",
                "conditions": [
                    { "sender": { "words": ["shop", "店"], "match": "all" } },
                    { "recipient": { "words": ["team@"], "match": "any" } },
                    { "sender-domain": { "words": ["shop.example"], "match": "any" } },
                    "only-to-me", "to-me",
                    { "subject": { "words": ["bill"], "match": "any" } },
                    { "size": { "at-least": 10, "below": 1_000_000 } },
                    { "time": { "from": "2026-01-01T00:00:00.000Z", "until": "2027-01-01T00:00:00.000Z" } },
                    { "hours": { "from": "22:00", "until": "07:30", "zone": "Asia/Shanghai" } },
                ],
                "actions": [{ "move": { "folder": "Archive" } }, { "label": "paid" }, "mark-read", "flag"],
                "stop": true,
            },
            {
                "name": "Noise", "enabled": false, "moment": "receive", "match": "all",
                "conditions": [{ "size": { "below": 5 } }], "actions": ["delete"], "stop": false,
            },
        ],
    })
}

/// Feature RUL-01: a member says several rules, over the API; no page shows it yet
/// Feature RUL-05: order, stop, editing, switching off and deleting, over the API
/// Feature RCV-07 (part): addresses and domains, 100 at most, over the API; letters go to Junk and are not refused
/// Feature RCV-08: a member's whitelist, over the API
#[tokio::test(flavor = "multi_thread")]
async fn a_member_says_rules_over_the_api() {
    let it = Bench::open().await;
    let open = it.read().await;
    assert_eq!(open.json(), json!({ "whitelist": [], "blacklist": [], "rules": [] }));
    let said = it.say(open.header("etag"), &rules()).await;
    assert_eq!((said.status.as_u16(), said.json()), (200, rules()), "{}", said.text);
    let read = it.read().await;
    assert_eq!((read.json(), read.header("etag")), (rules(), said.header("etag")));
    it.say(open.header("etag"), &rules()).await.assert_problem(412, "changed");
    it.office
        .ask_with(&it.session, "PUT", &it.path, &[], Some(&rules()))
        .await
        .assert_problem(428, "precondition-required");

    let condition = |condition: Value| json!({ "rules": [{ "name": "x", "conditions": [condition], "actions": ["flag"] }] });
    let action =
        |actions: Value| json!({ "rules": [{ "name": "x", "conditions": ["to-me"], "actions": actions }] });
    let twice = json!({ "name": "x", "conditions": ["to-me"], "actions": ["flag"] });
    let senders: Vec<String> = (0..101).map(|number| format!("{number}.example")).collect();
    let rule = |number: usize| {
        let words = json!({ "subject": { "words": vec!["x"; 50] } });
        json!({ "name": format!("r{number}"), "conditions": [words], "actions": ["flag"] })
    };
    let many_words = json!({ "rules": (0..21).map(rule).collect::<Vec<_>>() });
    for (wrong, kind, pointer) in [
        (json!({ "blacklist": ["no sender"] }), "invalid", "/blacklist/0"),
        (json!({ "whitelist": senders }), "invalid", "/whitelist"),
        (json!({ "blacklist": vec!["a.example"; 1_001] }), "invalid", "/blacklist"),
        (many_words, "invalid", "/rules/20"),
        (json!({ "rules": [twice.clone(), twice] }), "invalid", "/rules/1/name"),
        (action(json!([])), "invalid", "/rules/0/actions"),
        (action(json!(["delete", { "move": { "folder": "Archive" } }])), "invalid", "/rules/0/actions"),
        (action(json!([{ "label": "\\Seen" }])), "invalid", "/rules/0/actions/0/label"),
        (action(json!([{ "label": "重要" }])), "invalid", "/rules/0/actions/0/label"),
        (
            action(json!([{ "move": { "folder": "Nowhere" } }])),
            "unknown-reference",
            "/rules/0/actions/0/move/folder",
        ),
        (condition(json!({ "subject": { "words": [] } })), "invalid", "/rules/0/conditions/0/subject/words"),
        (
            condition(json!({ "sender-domain": { "words": ["a b"] } })),
            "invalid",
            "/rules/0/conditions/0/sender-domain/words/0",
        ),
        (condition(json!({ "size": {} })), "invalid", "/rules/0/conditions/0/size"),
        (condition(json!({ "time": { "from": "today" } })), "invalid", "/rules/0/conditions/0/time/from"),
        (
            condition(json!({ "time": { "from": "2026-01-01T00:00:00+08:00" } })),
            "invalid",
            "/rules/0/conditions/0/time/from",
        ),
        (
            condition(json!({ "hours": { "from": "7:00", "until": "08:00", "zone": "UTC" } })),
            "invalid",
            "/rules/0/conditions/0/hours/from",
        ),
        (
            condition(json!({ "hours": { "from": "07:00", "until": "08:00", "zone": "Mars/Base" } })),
            "invalid",
            "/rules/0/conditions/0/hours/zone",
        ),
    ] {
        let refused = it.say("*", &wrong).await;
        let problem = refused.assert_problem(422, kind);
        assert_eq!(problem["errors"][0]["pointer"], pointer, "{}", refused.text);
        let chinese = [("if-match", "*"), ("accept-language", "zh-CN")];
        let told = it.office.ask_with(&it.session, "PUT", &it.path, &chinese, Some(&wrong)).await.json();
        assert!(!told["detail"].as_str().expect("a detail").is_ascii(), "{told}");
    }
    it.say("*", &condition(json!("to-them"))).await.assert_problem(400, "bad-body");
    it.say("*", &condition(json!({ "size": { "above": 5 } }))).await.assert_problem(400, "bad-body");
    assert_eq!(it.read().await.json(), rules(), "what is refused changes nothing");

    // Who administers members looks at rules and changes them, and does not try them on somebody else's letters.
    let admin = it.office.key(Some(it.home.id), None, Permissions::of_tenant()).await;
    assert_eq!(it.office.ask(&admin, "GET", &it.path, None).await.json(), rules());
    let trial = format!("{}/trial", it.path);
    let asked = it.office.ask(&admin, "POST", &trial, Some(&json!({}))).await;
    asked.assert_problem(403, "no-permission");
    let reader = it.office.key(Some(it.home.id), None, permissions(&["members:read"])).await;
    it.office.ask(&reader, "PUT", &it.path, Some(&rules())).await.assert_problem(403, "no-permission");
    let chief = it.office.session(it.home.member).await;
    let own = it.office.ask(&chief, "POST", &trial, Some(&json!({ "rules": rules() }))).await;
    assert_eq!((own.status.as_u16(), own.json()), (200, json!({ "letters": [] })), "{}", own.text);
    let wrong = json!({ "rules": { "blacklist": ["no sender"] } });
    let refused = it.office.ask(&chief, "POST", &trial, Some(&wrong)).await.assert_problem(422, "invalid");
    assert_eq!(refused["errors"][0]["pointer"], "/rules/blacklist/0");
    let wrong = json!({ "rules": action(json!(["flag", { "move": { "folder": "Nowhere" } }])) });
    let refused = it.office.ask(&chief, "POST", &trial, Some(&wrong)).await;
    let refused = refused.assert_problem(422, "unknown-reference");
    assert_eq!(refused["errors"][0]["pointer"], "/rules/rules/0/actions/1/move/folder");
    // Another tenant's are not there.
    let theirs = it.office.tenant("theirs").await;
    let stranger = it.office.session(theirs.member).await;
    it.office.ask(&stranger, "GET", &it.path, None).await.assert_problem(404, "not-found");
    it.office.ask(&stranger, "PUT", &it.path, Some(&rules())).await.assert_problem(404, "not-found");

    let nothing = it.say("*", &json!({})).await;
    assert_eq!(nothing.json(), open.json());
    assert_eq!(it.read().await.header("etag"), open.header("etag"));
}
