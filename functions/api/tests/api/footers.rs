//! Footers, a disclaimer, and cards.

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

    async fn read(&self, key: &str, path: &str) -> Answer {
        self.office.ask(key, "GET", &format!("/tenants/{}{path}", self.home.id), None).await
    }

    async fn say(&self, key: &str, path: &str, seen: &str, body: &Value) -> Answer {
        let path = format!("/tenants/{}{path}", self.home.id);
        self.office.ask_with(key, "PUT", &path, &[("if-match", seen)], Some(body)).await
    }
}

/// Feature BRD-09: templates, the one in force, above or below the signature, exceptions by department, a disclaimer, over the admin API; no page
#[tokio::test(flavor = "multi_thread")]
async fn footers_are_said_as_a_whole_and_shown_as_they_will_stand() {
    let it = Bench::open().await;
    let open = it.read(&it.key, "/footers").await;
    let nothing = json!({ "footers": [], "in_force": null, "departments": [], "disclaimer": null });
    assert_eq!(open.json(), nothing);
    let member = format!("/accounts/{}", it.home.member.account);
    let preview = format!("{member}/letter-footers");
    assert_eq!(it.read(&it.key, &preview).await.json(), json!({ "inside": [], "outside": [] }));
    let footer = |name: &str, text: &str, letters: &str| json!({ "name": name, "text": text, "html": null, "place": "above", "letters": letters });
    let mut rules = json!({
        "footers": [footer("main", "{company} {email}", "both"), footer("other", "x < y", "inside")],
        "in_force": "main", "departments": [],
        "disclaimer": { "text": "secret", "html": "<b>secret {title}</b>" },
    });
    let said = it.say(&it.key, "/footers", open.header("etag"), &rules).await;
    assert_eq!((said.status.as_u16(), said.json()), (200, rules.clone()));
    assert_eq!(it.read(&it.key, "/footers").await.header("etag"), said.header("etag"));
    it.say(&it.key, "/footers", open.header("etag"), &rules).await.assert_problem(412, "changed");
    let shown = it.read(&it.key, &preview).await.json();
    let address = shown["inside"][0]["text"].as_str().expect("a text").to_owned();
    assert!(address.ends_with(&format!("member@{}", it.home.domain)), "{shown}");
    assert_eq!(shown["inside"].as_array().map(Vec::len), Some(1));
    assert_eq!(shown["outside"][1], json!({ "text": "secret", "html": "<b>secret </b>", "place": "below" }));

    // Another one for a department, or none.
    rules["departments"] = json!([{ "department": 1, "footer": "OTHER" }]);
    rules["disclaimer"] = Value::Null;
    it.say(&it.key, "/footers", "*", &rules).await;
    let shown = it.read(&it.key, &preview).await.json();
    let other = json!([{ "text": "x < y", "html": "x &lt; y", "place": "above" }]);
    assert_eq!(shown, json!({ "inside": other, "outside": [] }));

    for (wrong, kind, pointer) in [
        (json!({ "footers": [footer("a", "", "both")] }), "invalid", "/footers/0/text"),
        (json!({ "footers": [footer("a", "{fax}", "both")] }), "invalid", "/footers/0/text"),
        (
            json!({ "footers": [footer("a", "x", "both"), footer("A", "x", "both")] }),
            "invalid",
            "/footers/1/name",
        ),
        (json!({ "footers": [], "in_force": "a" }), "invalid", "/in_force"),
        (
            json!({ "footers": [], "disclaimer": { "text": "x", "html": "<script>x</script>" } }),
            "invalid",
            "/disclaimer/html",
        ),
        (
            json!({ "footers": [], "departments": [{ "department": 1 }, { "department": 1 }] }),
            "invalid",
            "/departments/1/department",
        ),
        (json!({ "footers": [], "departments": [{ "department": 9999 }] }), "unknown-reference", ""),
    ] {
        let refused = it.say(&it.key, "/footers", "*", &wrong).await;
        refused.assert_problem(422, kind);
        assert!(refused.text.contains(pointer), "{pointer} {}", refused.text);
    }
    assert_eq!(it.read(&it.key, "/footers").await.json()["in_force"], "main");
    // A member sees what stands in his letters, and says nothing about it.
    let session = it.office.session(it.home.member).await;
    assert_eq!(it.read(&session, &preview).await.json(), shown);
    assert_eq!(it.say(&session, "/footers", "*", &nothing).await.status, 403);
    assert_eq!(it.read(&session, "/footers").await.status, 403);
    let log = it.read(&it.key, "/operations?limit=500").await.text;
    assert!(log.contains("footer.change"), "{log}");
}

/// Feature BRD-12 (part): cards for departments, published or not, compulsory or optional, over the admin API; no page
/// Feature SND-10 (part): a member chooses among the cards that are offered to him
#[tokio::test(flavor = "multi_thread")]
async fn cards_are_given_out_and_chosen() {
    let it = Bench::open().await;
    let card = |name: &str, published: bool, compulsory: bool| {
        json!({
            "name": name, "text": format!("{name} {{email}}"), "html": null, "departments": [1],
            "published": published, "compulsory": compulsory,
        })
    };
    let open = it.read(&it.key, "/cards").await;
    assert_eq!(open.json(), json!({ "cards": [] }));
    let cards = json!({ "cards": [card("one", true, false), card("two", false, true)] });
    let said = it.say(&it.key, "/cards", open.header("etag"), &cards).await;
    assert_eq!(said.status, 200, "{}", said.text);
    assert!(said.json()["cards"][0]["assigned"].is_string(), "{}", said.text);
    assert_eq!(it.read(&it.key, "/cards").await.header("etag"), said.header("etag"));

    let session = it.office.session(it.home.member).await;
    let own = format!("/accounts/{}/card", it.home.member.account);
    let seen = it.read(&session, &own).await;
    let text = format!("one member@{}", it.home.domain);
    let offered = json!([{ "name": "one", "text": text, "html": text }]);
    assert_eq!(seen.json(), json!({ "compulsory": null, "offered": offered, "card": null, "always": false }));
    let chosen = json!({ "card": "ONE", "always": true });
    let said = it.say(&session, &own, seen.header("etag"), &chosen).await;
    assert_eq!((&said.json()["card"], &said.json()["always"]), (&json!("ONE"), &json!(true)));
    it.say(&session, &own, seen.header("etag"), &chosen).await.assert_problem(412, "changed");
    let preview = format!("/accounts/{}/letter-footers", it.home.member.account);
    assert_eq!(it.read(&session, &preview).await.json()["inside"][0]["text"], text);
    let refused = it.say(&session, &own, "*", &json!({ "card": "two" })).await;
    refused.assert_problem(422, "invalid");

    // Compulsory cards are one for a department, and nobody chooses there.
    let cards = json!({ "cards": [card("one", true, true), card("two", true, true)] });
    let refused = it.say(&it.key, "/cards", "*", &cards).await;
    refused.assert_problem(422, "invalid");
    assert!(
        refused.text.contains("/cards/1/departments") && refused.text.contains("one"),
        "{}",
        refused.text
    );
    let cards = json!({ "cards": [card("two", true, true)] });
    assert_eq!(it.say(&it.key, "/cards", "*", &cards).await.status, 200);
    let locked = it.read(&session, &own).await.json();
    assert_eq!((&locked["compulsory"]["name"], &locked["card"]), (&json!("two"), &Value::Null));
    it.say(&session, &own, "*", &chosen).await.assert_problem(409, "other-state");
    assert_eq!(it.say(&session, "/cards", "*", &cards).await.status, 403);
}
