//! Rules about what stands in members' letters.

use pennypost_admin::Permissions;
use serde_json::{Value, json};

use crate::support::{Answer, Office, Tenant};

struct Bench {
    office: Office,
    home: Tenant,
    key: String,
}

impl Bench {
    async fn open() -> Bench {
        let office = Office::open().await;
        let home = office.tenant("home").await;
        let key = office.key(Some(home.id), None, Permissions::of_tenant()).await;
        Bench { office, home, key }
    }

    fn path(&self) -> String {
        format!("/tenants/{}/content-rules", self.home.id)
    }

    async fn read(&self) -> Answer {
        self.office.ask(&self.key, "GET", &self.path(), None).await
    }

    async fn say(&self, seen: &str, body: &Value) -> Answer {
        self.office.ask_with(&self.key, "PUT", &self.path(), &[("if-match", seen)], Some(body)).await
    }

    async fn try_it(&self, body: &Value) -> Answer {
        self.office.ask(&self.key, "POST", &format!("{}/trial", self.path()), Some(body)).await
    }
}

fn rule(name: &str, condition: Value, action: Value) -> Value {
    let mut rule = json!({
        "name": name, "enabled": true, "whom": null, "except": [], "letters": "outside", "match": "all",
    });
    (rule["conditions"], rule["action"]) = (Value::Array(vec![condition]), action);
    rule
}

/// Feature APR-01 (part): conditions of letters, said and tried over the admin API; no page
#[tokio::test(flavor = "multi_thread")]
async fn rules_are_said_as_a_whole_and_tried() {
    let it = Bench::open().await;
    let open = it.read().await;
    assert_eq!(open.json(), json!({ "rules": [] }));
    let account = it.home.member.account.to_string();
    let words = json!({ "words": { "in": "subject", "words": ["Secret"], "match": "any" } });
    let mut rules = json!({ "rules": [
        rule("words", words, json!("note")),
        rule("cards", json!({ "found": { "what": "bank-card", "least": 2 } }), json!({ "refuse": { "text": "no" } })),
        rule("files", json!({ "attachment": ["xlsx", "image/*"] }), json!("note")),
        rule("large", json!({ "size": { "least": 10_000_000 } }), json!("note")),
        rule("many", json!({ "outside": { "least": 50 } }), json!("note")),
        rule("odd", json!("unread"), json!("note")),
        rule("shut", json!("encrypted"), json!("note")),
        rule("ids", json!({ "pattern": { "pattern": "A-\\d+", "least": 1 } }), json!("note")),
    ] });
    rules["rules"][0]["whom"] = json!([{ "department": it.home.department }, { "account": account }]);
    rules["rules"][0]["except"] = json!([{ "department": it.home.department }]);
    let said = it.say(open.header("etag"), &rules).await;
    assert_eq!((said.status.as_u16(), said.json()), (200, rules.clone()));
    assert_eq!(it.read().await.header("etag"), said.header("etag"));
    it.say(open.header("etag"), &rules).await.assert_problem(412, "changed");
    let log = it.office.ask(&it.key, "GET", &format!("/tenants/{}/operations", it.home.id), None).await.text;
    assert!(log.contains("content-rules.change") && !log.contains("Secret"), "{log}");

    // What was found is told, and hidden.
    let letter = "Subject: secret\r\n\r\n4111 1111 1111 1111, 5500-0000-0000-0004 A-17\r\n";
    let tried = it.try_it(&json!({ "letter": letter })).await;
    let result = tried.json();
    assert_eq!((&result["refused"], &result["noted"]), (&json!("cards"), &json!([])), "{result}");
    let of = |name: &str| {
        let rules = result["rules"].as_array().expect("rules");
        rules.iter().find(|rule| rule["rule"] == name).expect("the rule").clone()
    };
    let found = json!([{ "condition": "bank-card", "holds": true, "found": 2, "sample": "41****1" }]);
    assert_eq!((&of("cards")["conditions"], &of("cards")["holds"]), (&found, &json!(true)));
    assert_eq!(of("ids")["conditions"][0]["sample"], "A****");
    assert_eq!(of("large")["holds"], false);
    assert!(!tried.text.contains("4111"), "{}", tried.text);
    // Other rules than those that hold, for somebody, to nobody outside.
    let inside = json!({ "rules": rules, "letter": letter, "account": account, "outside": 0 });
    assert_eq!(it.try_it(&inside).await.json()["rules"], json!([]));
    // Whoever tries at the same time waits for his turn.
    let (one, other) = tokio::join!(it.try_it(&inside), it.try_it(&inside));
    assert_eq!((one.status.as_u16(), other.status.as_u16()), (200, 200));

    for (condition, pointer, within) in [
        (json!({ "pattern": { "pattern": "a(b" } }), "/rules/0/conditions/0/pattern/pattern", "character 2"),
        (json!({ "found": { "what": "iban", "least": 0 } }), "/rules/0/conditions/0/found/least", ""),
        (json!({ "words": { "words": [] } }), "/rules/0/conditions/0/words/words", ""),
        (json!({ "attachment": [".xlsx"] }), "/rules/0/conditions/0/attachment/0", ""),
    ] {
        let wrong = json!({ "rules": [rule("x", condition, json!("note"))] });
        let refused = it.say("*", &wrong).await;
        refused.assert_problem(422, "invalid");
        assert!(refused.text.contains(pointer) && refused.text.contains(within), "{}", refused.text);
        let refused = it.try_it(&json!({ "rules": wrong, "letter": "" })).await;
        refused.assert_problem(422, "invalid");
        assert!(refused.text.contains(&format!("/rules{pointer}")), "{}", refused.text);
    }
    let mut nobody = json!({ "rules": [rule("x", json!("unread"), json!("note"))] });
    nobody["rules"][0]["whom"] = json!([]);
    it.say("*", &nobody).await.assert_problem(422, "invalid");
    nobody["rules"][0]["whom"] = json!([{ "department": 9999 }]);
    it.say("*", &nobody).await.assert_problem(422, "unknown-reference");
    assert_eq!(it.read().await.json(), rules);
}
