//! Who sends nothing to others, and how often the others may.

use pennypost_admin::Permissions;
use pennypost_directory::{Frequency, MemberLimits, Tally};
use pennypost_ports::{Ids, RandomIds};
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

    async fn read(&self, path: &str) -> Answer {
        self.office.ask(&self.key, "GET", &format!("/tenants/{}{path}", self.home.id), None).await
    }

    async fn say(&self, seen: &str, body: &Value) -> Answer {
        let path = format!("/tenants/{}/sending-rules", self.home.id);
        self.office.ask_with(&self.key, "PUT", &path, &[("if-match", seen)], Some(body)).await
    }
}

/// Feature SND-21: how often members send outside, said over the admin API of everybody, departments, tags and accounts, with exceptions
/// Feature SND-22: who sends nothing outside, said over the admin API of departments, tags and accounts
/// Feature ORG-25 (part): tags chosen in restrictions of sending; approval is not built
#[tokio::test(flavor = "multi_thread")]
async fn who_sends_outside_and_how_often_is_said_over_the_api() {
    let it = Bench::open().await;
    let directory = it.office.administration.directory();
    let tag = directory.add_tag(it.home.id, "drivers").await.expect("tag").id.0;
    let (member, chief) = (it.home.member.account.to_string(), it.home.creator.account.to_string());
    let open = it.read("/sending-rules").await;
    assert_eq!(open.json(), json!({ "forbidden": [], "everybody": null, "limits": [] }));
    let rules = json!({
        "forbidden": [{ "department": it.home.department }, { "tag": tag }, { "account": chief }],
        "everybody": { "messages": 50, "minutes": 60 },
        "limits": [
            { "of": { "tag": tag }, "limit": null },
            { "of": { "account": member }, "limit": { "messages": 2, "minutes": 1440 } },
        ],
    });
    let said = it.say(open.header("etag"), &rules).await;
    assert_eq!((said.status.as_u16(), said.json()), (200, rules.clone()));
    assert_eq!(it.read("/sending-rules").await.header("etag"), said.header("etag"));
    it.say(open.header("etag"), &rules).await.assert_problem(412, "changed");
    // Whoever is named is there, and said once; a limit is one.
    let (few, limit) = (json!([]), json!({ "messages": 1, "minutes": 1 }));
    for (wrong, kind, pointer) in [
        (json!({ "forbidden": [{ "department": 9999 }], "limits": few }), "unknown-reference", ""),
        (json!({ "forbidden": [{ "tag": 9999 }], "limits": few }), "unknown-reference", ""),
        (json!({ "forbidden": [{ "account": "00000000000000ff" }], "limits": few }), "unknown-reference", ""),
        (json!({ "forbidden": [{ "account": "me" }], "limits": few }), "invalid", "/forbidden/0/account"),
        (json!({ "forbidden": [{ "tag": tag }, { "tag": tag }], "limits": few }), "invalid", "/forbidden/1"),
        (
            json!({ "forbidden": few, "limits": [
                { "of": { "tag": tag }, "limit": null }, { "of": { "tag": tag }, "limit": limit },
            ] }),
            "invalid",
            "/limits/1",
        ),
        (
            json!({ "forbidden": few, "limits": few, "everybody": { "messages": 0, "minutes": 1 } }),
            "invalid",
            "/everybody",
        ),
        (
            json!({ "forbidden": few, "limits": [
                { "of": { "account": member }, "limit": { "messages": 1, "minutes": 44_641 } },
            ] }),
            "invalid",
            "/limits/0/limit",
        ),
    ] {
        let refused = it.say("*", &wrong).await;
        refused.assert_problem(422, kind);
        assert!(refused.text.contains(pointer), "{pointer} {}", refused.text);
    }
    // What is not said is no exception.
    let unsaid = json!({ "forbidden": few, "limits": [{ "of": { "account": member } }] });
    it.say("*", &unsaid).await.assert_problem(400, "bad-body");
    let many: Vec<Value> = (1..=1_001).map(|number| json!({ "department": number })).collect();
    it.say("*", &json!({ "forbidden": many, "limits": few })).await.assert_problem(422, "invalid");
    let many: Vec<Value> = (1..=51).map(|number| json!({ "tag": number })).collect();
    it.say("*", &json!({ "forbidden": many, "limits": few })).await.assert_problem(422, "invalid");
    assert_eq!(it.read("/sending-rules").await.json(), rules);

    // What holds for one.
    let of = |account: &str| format!("/accounts/{account}/sending");
    let own = it.read(&of(&member)).await.json();
    let two = json!({ "messages": 2, "minutes": 1440 });
    assert_eq!(own, json!({ "forbidden": false, "limit": two, "sent": 0, "until": null }));
    let outside = Frequency::new(2, 1440).ok();
    let limits = MemberLimits { daily: None, outside };
    for (number, expected) in [(1, true), (2, true), (3, false)] {
        let message = RandomIds.event(directory.now());
        let tally = directory.count_sent_by(it.home.member, message, limits).await.expect("counted");
        assert_eq!(tally == Tally::Counted, expected, "{number} {tally:?}");
    }
    let session = it.office.session(it.home.member).await;
    let path = format!("/tenants/{}{}", it.home.id, of(&member));
    let own = it.office.ask(&session, "GET", &path, None).await.json();
    assert_eq!((&own["sent"], own["until"].is_string()), (&json!(2), true), "{own}");
    let closed = json!({ "forbidden": true, "limit": null, "sent": null, "until": null });
    assert_eq!(it.read(&of(&chief)).await.json(), closed);
    // A member says nothing about it.
    let path = format!("/tenants/{}/sending-rules", it.home.id);
    let with = [("if-match", "*")];
    assert_eq!(it.office.ask_with(&session, "PUT", &path, &with, Some(&rules)).await.status, 403);

    let log = it.read("/operations?limit=500").await.text;
    assert!(log.contains("sending-rules.change") && log.contains(&format!("account {chief}")), "{log}");
}
