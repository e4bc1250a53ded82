//! By which servers the letters of a tenant go, said by the operator.

use pennypost_admin::{Permissions, Routes};
use pennypost_model::codec;
use pennypost_outbound::Relay;
use pennypost_ports::Consistency;
use serde_json::{Value, json};

use crate::support::{Answer, OPERATOR, Office, Tenant};

struct Bench {
    office: Office,
    home: Tenant,
    key: String,
}

impl Bench {
    async fn open() -> Bench {
        let office = Office::open().await;
        let home = office.tenant("home").await;
        let key = office.key(None, None, Permissions::all()).await;
        Bench { office, home, key }
    }

    async fn ask(&self, key: &str, method: &str, to: &str, seen: &str, body: Option<&Value>) -> Answer {
        let path = format!("/tenants/{}/routes{to}", self.home.id);
        self.office.ask_with(key, method, &path, &[("if-match", seen)], body).await
    }

    async fn say(&self, to: &str, body: &Value) -> Answer {
        self.ask(&self.key, "PUT", &format!("/{to}"), "*", Some(body)).await
    }

    /// The password that is kept for a destination.
    async fn password(&self, to: &str) -> String {
        let key = Routes::key(self.home.id);
        let item = self.office.control.get(&key, Consistency::Strong).await.expect("read").expect("an item");
        let routes: Routes = codec::decode(&item.value).expect("routes");
        let relay = routes.to(to).and_then(|route| route.relay.clone()).expect("a relay");
        let login = relay.login.clone().expect("a login");
        let place = Relay::place(self.home.id, (&relay.host, relay.port), &login.user);
        let opened = self.office.secrets.open(&place, &login.password).await.expect("opens");
        String::from_utf8(opened).expect("a text")
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_operator_says_by_which_servers_letters_go() {
    let it = Bench::open().await;
    let nothing = it.ask(&it.key, "GET", "/*", "*", None).await;
    assert_eq!(
        nothing.json(),
        json!({
            "destinations": "*", "way": "default", "host": null, "port": null, "tls": null, "region": null,
            "user": null, "identity": { "name": null, "address": null },
        })
    );
    let relay = json!({
        "way": "smart-host", "host": "Relay.Example", "user": "us", "password": "open sesame",
        "identity": { "name": "mail.home.example", "address": "192.0.2.1" },
    });
    let said = it.ask(&it.key, "PUT", "/*", nothing.header("etag"), Some(&relay)).await;
    let expected = json!({
        "destinations": "*", "way": "smart-host", "host": "relay.example", "port": 587, "tls": "starttls", "region": null,
        "user": "us", "identity": { "name": "mail.home.example", "address": "192.0.2.1" },
    });
    assert_eq!((said.status.as_u16(), said.json()), (200, expected.clone()));
    it.ask(&it.key, "PUT", "/*", nothing.header("etag"), Some(&relay)).await.assert_problem(412, "changed");
    assert_eq!(it.password("a.example").await, "open sesame");
    // The password stays where it is for the same server and user, and nowhere else.
    let again = json!({ "way": "smart-host", "host": "relay.example", "user": "us" });
    assert_eq!(it.say("*", &again).await.status, 200);
    assert_eq!(it.password("a.example").await, "open sesame");
    for other in [
        json!({ "way": "smart-host", "host": "evil.example", "user": "us" }),
        json!({ "way": "smart-host", "host": "relay.example", "port": 465, "user": "us" }),
        json!({ "way": "smart-host", "host": "relay.example", "user": "me" }),
    ] {
        let refused = it.say("*", &other).await;
        refused.assert_problem(422, "invalid");
        assert!(refused.text.contains("/password"), "{}", refused.text);
    }
    // Amazon SES, by a secret key that is not kept.
    let ses =
        json!({ "way": "ses", "region": "eu-central-1", "user": "AKIAUS", "secret_key": "some+secret+key" });
    let said = it.say("*.partner.example", &ses).await.json();
    assert_eq!(
        (&said["host"], &said["port"]),
        (&json!("email-smtp.eu-central-1.amazonaws.com"), &json!(465))
    );
    assert_eq!(it.password("x.partner.example").await, "BMXhUYlu5Z3gSXVQORxlVa7XPaz91aGWdfHxvkOZdWZ2");
    assert_eq!(it.say("partner.example", &json!({ "way": "mx" })).await.status, 200);
    let listed = it.ask(&it.key, "GET", "", "*", None).await.json();
    let shown = |row: &Value| format!("{} {}", row["destinations"], row["way"]).replace('"', "");
    let listed: Vec<String> = listed["items"].as_array().expect("rows").iter().map(shown).collect();
    assert_eq!(listed, ["* smart-host", "*.partner.example ses", "partner.example mx"]);
    // What can't be is told where it is.
    for (to, wrong, pointer) in [
        ("me@a.example", json!({ "way": "mx" }), ""),
        ("a.example", json!({ "way": "default" }), "/way"),
        ("a.example", json!({ "way": "mx", "host": "relay.example" }), "/host"),
        ("a.example", json!({ "way": "smart-host" }), "/host"),
        ("a.example", json!({ "way": "smart-host", "host": "relay" }), "/host"),
        ("a.example", json!({ "way": "smart-host", "host": "relay.example", "port": 0 }), "/host"),
        ("a.example", json!({ "way": "smart-host", "host": "relay.example", "password": "x" }), "/password"),
        (
            "a.example",
            json!({ "way": "ses", "region": "eu central", "user": "A", "password": "x" }),
            "/region",
        ),
        ("a.example", json!({ "way": "ses", "region": "eu-central-1", "password": "x" }), "/user"),
        ("a.example", json!({ "way": "mx", "identity": { "name": "me" } }), "/identity"),
    ] {
        let refused = it.say(to, &wrong).await;
        refused.assert_problem(422, "invalid");
        assert!(refused.text.contains(pointer), "{pointer} {}", refused.text);
    }
    // Its creator sees it, without passwords, and says nothing.
    let creator = it.office.key(Some(it.home.id), Some(it.home.creator), Permissions::of_tenant()).await;
    let seen = it.ask(&creator, "GET", "/*", "*", None).await;
    assert!(seen.status == 200 && !seen.text.contains("sesame"), "{}", seen.text);
    assert_eq!(it.ask(&creator, "PUT", "/*", "*", Some(&relay)).await.status, 403);
    assert_eq!(it.ask(&creator, "POST", "/*/test", "*", None).await.status, 403);
    // Nor does the log tell any.
    let log = it.office.administration.operations(&OPERATOR, Some(it.home.id), (None, None), 0, 500).await;
    let log = format!("{:?}", log.expect("a log"));
    assert!(log.contains("route.change") && log.contains("relay.example"), "{log}");
    assert!(!log.contains("sesame") && !log.contains("some+secret"), "{log}");

    // Tried: what the server says is told.
    let tested = it.ask(&it.key, "POST", "/*/test", "*", None).await;
    assert_eq!(tested.status, 200, "{}", tested.text);
    let tested = tested.json();
    assert_eq!(
        (&tested["good"], &tested["code"], &tested["status"]),
        (&json!(false), &json!(535), &json!("4.7.8"))
    );
    assert_eq!(*it.office.probed.lock(), ["relay.example:587 us open sesame"]);
    it.ask(&it.key, "POST", "/partner.example/test", "*", None).await.assert_problem(409, "other-state");
    // Nothing is said any more.
    assert_eq!(it.ask(&it.key, "DELETE", "/*", "*", None).await.status, 204);
    assert_eq!(it.ask(&it.key, "GET", "/*", "*", None).await.json()["way"], "default");
    let many = json!({ "way": "mx" });
    for number in 0..48 {
        assert_eq!(it.say(&format!("d{number}.example"), &many).await.status, 200);
    }
    it.say("e.example", &many).await.assert_problem(422, "invalid");
}
