//! Secretaries through the API: appointed, applied for, ended, by whoever may.

use pennypost_admin::Permissions;
use serde_json::{Value, json};

use crate::support::{Answer, Office, Tenant};

struct Bench {
    office: Office,
    home: Tenant,
}

impl Bench {
    async fn as_member(
        &self,
        session: &str,
        method: &str,
        account: &str,
        rest: &str,
        body: Option<Value>,
    ) -> Answer {
        let path = format!("/tenants/{}/accounts/{account}{rest}", self.home.id);
        self.office.ask(session, method, &path, body.as_ref()).await
    }
}

fn items(answer: &Answer) -> Vec<Value> {
    answer.json()["items"].as_array().expect("items").clone()
}

/// Feature DLG-01: a member makes colleagues his secretaries, 10 at a time, not of business mailboxes, none in a circle; over the API, no page yet; for everybody as long as there are no VIP seats
/// Feature DLG-02: a colleague applies, the owner grants or refuses; each is told of it by a letter; over the API, no page yet
/// Feature DLG-04: five terms from the grant, chosen by the owner; a new grant begins anew
/// Feature BIZ-08 (part): a business mailbox has no secretary and is none; nothing is backed up yet
#[tokio::test(flavor = "multi_thread")]
async fn members_appoint_secretaries_and_apply() {
    let office = Office::unhurried().await;
    let home = office.tenant("home").await;
    let (owner, other) = (home.leavers[0], home.leavers[1]);
    let (owners, others) = (office.session(owner).await, office.session(other).await);
    let third = office.session(home.member).await;
    let (owner, other) = (owner.account.to_string(), other.account.to_string());
    let it = Bench { office, home };
    let place = format!("/secretaries/{other}");
    let at = |local: &str| format!("{local}@{}", it.home.domain);
    let named = |who: &str| Some(json!({ "secretary": at(who), "scope": "send-as", "term": "1-day" }));

    for (term, days) in [("1-day", 1), ("1-week", 7), ("1-month", 30), ("3-months", 90), ("6-months", 180)] {
        let new = json!({ "secretary": at("leaver2"), "scope": "full", "term": term });
        let granted = it.as_member(&owners, "POST", &owner, "/secretaries", Some(new)).await;
        assert_eq!(granted.status, 200, "{}", granted.text);
        let granted = granted.json()["granted"].clone();
        let time = |name: &str| {
            let text = granted[name].as_str().expect("a time");
            pennypost_model::Timestamp::from_rfc3339(text).expect("a time").0
        };
        assert_eq!(time("until") - time("since"), days * 24 * 60 * 60 * 1000, "{term}");
    }
    for (scope, term) in [("full", "2-days"), ("read", "1-day")] {
        let bad = json!({ "secretary": at("leaver2"), "scope": scope, "term": term });
        it.as_member(&owners, "POST", &owner, "/secretaries", Some(bad))
            .await
            .assert_problem(400, "bad-body");
    }
    let seen = items(&it.as_member(&owners, "GET", &owner, "/secretaries", None).await);
    assert_eq!(
        (seen.len(), &seen[0]["account"], &seen[0]["granted"]["scope"]),
        (1, &json!(other), &json!("full"))
    );
    let seen = items(&it.as_member(&others, "GET", &other, "/secretary-of", None).await);
    assert_eq!((seen.len(), &seen[0]["account"]), (1, &json!(owner)));

    // A member does it for himself only; no circle, also not over others; not with business mailboxes.
    let grant = async |session: &str, of: &str, who: &str| {
        it.as_member(session, "POST", of, "/secretaries", named(who)).await
    };
    grant(&others, &owner, "leaver2").await.assert_problem(403, "no-permission");
    it.as_member(&others, "GET", &owner, "/secretaries", None).await.assert_problem(403, "no-permission");
    grant(&others, &other, "leaver1").await.assert_problem(422, "invalid");
    grant(&owners, &owner, "leaver1").await.assert_problem(422, "invalid");
    let next = grant(&others, &other, "member").await;
    assert_eq!(next.status, 200, "{}", next.text);
    let member = it.home.member.account.to_string();
    grant(&third, &member, "leaver1").await.assert_problem(422, "invalid");
    grant(&owners, &owner, "business").await.assert_problem(409, "other-state");
    grant(&owners, &owner, "nobody").await.assert_problem(422, "unknown-reference");
    // Nobody appoints them for others, whatever he may do else, and no program does.
    let admin = it.office.key(Some(it.home.id), None, Permissions::of_tenant()).await;
    let own = it.office.key(Some(it.home.id), Some(it.home.leavers[0]), Permissions::of_tenant()).await;
    let creator = it.office.session(it.home.creator).await;
    for who in [&admin, &own, &creator] {
        grant(who, &owner, "leaver2").await.assert_problem(403, "no-permission");
        let wish = json!({ "owner": at("leaver1"), "scope": "full", "term": "1-day" });
        it.as_member(who, "POST", &other, "/secretary-of", Some(wish))
            .await
            .assert_problem(403, "no-permission");
    }
    // Administrators see them, and end it.
    for who in [&admin, &creator] {
        let seen = items(&it.as_member(who, "GET", &other, "/secretaries", None).await);
        assert_eq!((seen.len(), &seen[0]["account"]), (1, &json!(member)));
    }
    let ended = it.as_member(&admin, "DELETE", &other, &format!("/secretaries/{member}"), None).await;
    assert_eq!(ended.status, 204, "{}", ended.text);

    // Applied for: the owner grants it, or does not.
    let unbound = it.as_member(&owners, "DELETE", &owner, &place, None).await;
    assert_eq!(unbound.status, 204, "{}", unbound.text);
    it.as_member(&owners, "DELETE", &owner, &place, None).await.assert_problem(404, "not-found");
    let wish = |at: &str| Some(json!({ "owner": at, "scope": "send-on-behalf", "term": "1-week" }));
    let applied = it.as_member(&others, "POST", &other, "/secretary-of", wish(&at("leaver1"))).await;
    assert_eq!(
        (applied.status.as_u16(), &applied.json()["granted"]),
        (200, &json!(null)),
        "{}",
        applied.text
    );
    it.as_member(&others, "POST", &other, "/secretary-of", wish("nobody@nowhere.example"))
        .await
        .assert_problem(422, "unknown-reference");
    // The owner is told once, though the wish is said anew; then who applied is told what has come of it.
    let told = async || {
        let letters = it.office.letters().await.into_iter();
        let of = |(to, text): (Vec<String>, String)| (to.join(" "), text.contains("leaver"));
        letters.map(of).collect::<Vec<_>>()
    };
    it.as_member(&others, "POST", &other, "/secretary-of", wish(&at("leaver1"))).await;
    let letters = told().await;
    let to_owner = letters.iter().filter(|(to, _)| *to == at("leaver1")).count();
    assert_eq!((to_owner, letters.last()), (1, Some(&(at("leaver1"), true))), "{letters:?}");
    let waits = items(&it.as_member(&owners, "GET", &owner, "/secretaries", None).await);
    assert_eq!(waits[0]["applied"]["scope"], json!("send-on-behalf"));
    let granted = grant(&owners, &owner, "leaver2").await.json();
    assert_eq!((&granted["applied"], &granted["granted"]["scope"]), (&json!(null), &json!("send-as")));
    assert_eq!(told().await, [(at("leaver2"), true)]);
    let resigned = it.as_member(&others, "DELETE", &other, &format!("/secretary-of/{owner}"), None).await;
    assert_eq!(resigned.status, 204, "{}", resigned.text);
    it.as_member(&others, "POST", &other, "/secretary-of", wish(&at("leaver1"))).await;
    assert_eq!(it.as_member(&owners, "DELETE", &owner, &place, None).await.status, 204);
    assert_eq!(told().await, [(at("leaver1"), true), (at("leaver2"), true)]);
    assert!(items(&it.as_member(&others, "GET", &other, "/secretary-of", None).await).is_empty());

    // Ten at a time.
    for number in 0..=10 {
        let helper = format!("helper{number}");
        it.office.account(it.home.id, at(&helper)).await;
        let answer = grant(&owners, &owner, &helper).await;
        assert_eq!(answer.status.as_u16(), if number < 10 { 200 } else { 422 }, "{}", answer.text);
    }
    // What was not there leaves no trace.
    it.as_member(&owners, "DELETE", &owner, &format!("/secretaries/{owner}"), None)
        .await
        .assert_problem(404, "not-found");
    it.as_member(&others, "DELETE", &other, &format!("/secretary-of/{other}"), None)
        .await
        .assert_problem(404, "not-found");
    let log =
        it.office.ask(&admin, "GET", &format!("/tenants/{}/operations?limit=500", it.home.id), None).await;
    for action in ["secretary.grant", "secretary.end", "secretary.apply"] {
        assert!(log.text.contains(action), "{action}");
    }
    let ended = items(&log).into_iter().filter(|record| record["action"] == "secretary.end").count();
    assert_eq!(ended, 4);

    // Who takes his wish back and says it again and again has the owner written to three times in an hour.
    told().await;
    for _ in 0..5 {
        let applied = it.as_member(&third, "POST", &member, "/secretary-of", wish(&at("leaver2"))).await;
        assert_eq!(applied.status, 200, "{}", applied.text);
        let back = it.as_member(&third, "DELETE", &member, &format!("/secretary-of/{other}"), None).await;
        assert_eq!(back.status, 204, "{}", back.text);
    }
    let letters = told().await;
    assert_eq!(letters.iter().filter(|(to, _)| *to == at("leaver2")).count(), 3, "{letters:?}");
}
