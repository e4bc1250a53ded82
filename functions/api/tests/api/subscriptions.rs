//! Subscriptions to notices of new mail, and unread counts (INT-01). What is told of letters: notify's tests.

use pennypost_admin::Permissions;
use pennypost_mailstore::{Incoming, Mailroom};
use pennypost_model::journal::Actor;
use pennypost_model::{FlagSet, MailboxId, Timestamp};
use pennypost_ports::{Consistency, Ids, RandomIds};
use serde_json::{Value, json};

use crate::support::provider::Provider;
use crate::support::{Office, permissions};

fn wish(url: &str) -> Value {
    json!({ "name": "Portal", "url": url, "events": ["mailbox.unread", "mail.received"], "sender": true })
}

/// Feature INT-01: subscriptions to notices of new mail are added, tried, changed and removed by administrators and keys
#[tokio::test(flavor = "multi_thread")]
async fn a_subscription_is_added_tried_changed_and_removed() {
    let (office, receiver) = (Office::open().await, Provider::open().await);
    office.zone.reach(receiver.reach());
    let home = office.tenant("home").await;
    let list = format!("/tenants/{}/subscriptions", home.id);
    let key = office.key(Some(home.id), None, permissions(&["notices:write"])).await;
    let added = office.ask(&key, "POST", &list, Some(&wish(&format!("{}/hook", receiver.issuer)))).await;
    assert_eq!(added.status, 201, "{}", added.text);
    let document = added.json();
    let secret = document["secret"].as_str().expect("a secret");
    let one = format!("{list}/{}", document["subscription"]["id"].as_str().expect("an id"));
    assert!(secret.starts_with("whsec_") && secret.len() > 40, "{secret}");
    assert_eq!(document["subscription"]["events"], json!(["mail.received", "mailbox.unread"]));
    // The secret is told once.
    for path in [&list, &one] {
        let seen = office.ask(&key, "GET", path, None).await;
        assert!(seen.status == 200 && !seen.text.contains("whsec_"), "{}", seen.text);
    }
    let tried = office.ask(&key, "POST", &format!("{one}/test"), None).await.json();
    assert_eq!((&tried["taken"], &tried["status"]), (&json!(true), &json!(204)));
    let told = receiver.notices();
    assert_eq!(
        (told.len(), &told[0]["type"], &told[0]["data"]["tenant"]),
        (1, &json!("test"), &json!(home.id.to_string()))
    );

    // Changed by who has seen it.
    let seen = office.ask(&key, "GET", &one, None).await;
    let mut update = seen.json();
    for name in ["id", "paused", "created"] {
        update.as_object_mut().expect("an object").remove(name);
    }
    update["url"] = format!("{}/nowhere", receiver.issuer).into();
    update["accounts"] = json!([home.member.account.to_string()]);
    let tag = seen.header("etag").to_owned();
    let changed = office.ask_with(&key, "PUT", &one, &[("if-match", &tag)], Some(&update)).await;
    assert_eq!(changed.status, 200, "{}", changed.text);
    let late = office.ask_with(&key, "PUT", &one, &[("if-match", &tag)], Some(&update)).await;
    late.assert_problem(412, "changed");
    let tried = office.ask(&key, "POST", &format!("{one}/test"), None).await.json();
    assert_eq!((&tried["taken"], &tried["status"]), (&json!(false), &json!(404)));
    let state = office.ask(&key, "GET", &format!("{one}/state"), None).await.json();
    assert_eq!((&state["taken"], &state["failing_since"]), (&json!(0), &Value::Null));
    let resumed = office.ask(&key, "POST", &format!("{one}/resume"), None).await;
    assert_eq!((resumed.status.as_u16(), &resumed.json()["paused"]), (200, &Value::Null));
    assert_eq!(office.ask(&key, "DELETE", &one, None).await.status, 204);
    office.ask(&key, "GET", &one, None).await.assert_problem(404, "not-found");
    // Every change is in the log of operations, with who made it and without the secret.
    let log = office.key(Some(home.id), None, permissions(&["log:read"])).await;
    let log = office.ask(&log, "GET", &format!("/tenants/{}/operations", home.id), None).await;
    assert!(
        log.text.matches("subscription.change").count() >= 6 && !log.text.contains(secret),
        "{}",
        log.text
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn what_no_subscription_can_be_is_refused() {
    let office = Office::open().await;
    let home = office.tenant("home").await;
    let list = format!("/tenants/{}/subscriptions", home.id);
    let key = office.key(Some(home.id), None, permissions(&["notices:write"])).await;
    for bad in
        ["http://portal.example", "https://127.0.0.1/", "https://localhost", "https://a@portal.example", "x"]
    {
        office.ask(&key, "POST", &list, Some(&wish(bad))).await.assert_problem(422, "invalid");
    }
    let good = wish("https://portal.example/hook");
    for (name, value) in [
        ("events", json!([])),
        ("name", json!("")),
        ("accounts", json!(vec!["00000000000000aa"; 1])),
        ("departments", json!([4_000])),
        ("departments", json!((1..=101).collect::<Vec<u32>>())),
    ] {
        let mut bad = good.clone();
        bad[name] = value;
        let refused = office.ask(&key, "POST", &list, Some(&bad)).await;
        assert_eq!(refused.status, 422, "{name}: {}", refused.text);
    }
    for _ in 0..10 {
        assert_eq!(office.ask(&key, "POST", &list, Some(&good)).await.status, 201);
    }
    office.ask(&key, "POST", &list, Some(&good)).await.assert_problem(422, "invalid");
    // Whoever may only look does not subscribe, and who has another permission sees nothing.
    let reader = office.key(Some(home.id), None, permissions(&["notices:read"])).await;
    assert_eq!(
        office.ask(&reader, "GET", &list, None).await.json()["items"].as_array().map(Vec::len),
        Some(10)
    );
    office.ask(&reader, "POST", &list, Some(&good)).await.assert_problem(403, "no-permission");
    let other = office.key(Some(home.id), None, permissions(&["members:write"])).await;
    office.ask(&other, "GET", &list, None).await.assert_problem(403, "no-permission");
    // A host that is not on a network of the world is not told: this machine is what its name leads to.
    let first = office.ask(&key, "GET", &list, None).await.json()["items"][0]["id"].clone();
    let test = format!("{list}/{}/test", first.as_str().expect("an id"));
    let tried = office.ask(&key, "POST", &test, None).await.json();
    assert_eq!((&tried["taken"], &tried["status"]), (&json!(false), &Value::Null));
    assert!(tried["cause"].as_str().is_some_and(|cause| cause.contains("public")), "{tried}");
}

/// Feature INT-01: how many unread letters a member has, by a key
#[tokio::test(flavor = "multi_thread")]
async fn unread_letters_are_counted() {
    let office = Office::open().await;
    let home = office.tenant("home").await;
    let path = format!("/tenants/{}/accounts/{}/unread", home.id, home.member.account);
    let room = Mailroom::new(office.store.clone());
    room.account(home.member).await.expect("a journal");
    for (mailbox, seen) in [(MailboxId::INBOX, false), (MailboxId::INBOX, true), (MailboxId::JUNK, false)] {
        let flags =
            if seen { FlagSet::system(pennypost_model::SystemFlags::SEEN) } else { FlagSet::default() };
        let now = Timestamp(1_795_076_130_000);
        let raw = b"Subject: x\r\n\r\nx\r\n";
        let incoming = [Incoming::prepare(raw, RandomIds.event(now), flags, now).expect("prepares")];
        let state = office.store.load(home.member, Consistency::Strong).await.expect("state");
        let stored = office.store.store(home.member, state, &Actor::Delivery, mailbox, &incoming, |_| Ok(()));
        stored.await.expect("stores");
    }
    let key = office.key(Some(home.id), None, permissions(&["notices:read"])).await;
    let counted = office.ask(&key, "GET", &path, None).await;
    assert_eq!((counted.status.as_u16(), &counted.json()["unread"]), (200, &json!(1)), "{}", counted.text);
    let mailboxes = counted.json()["mailboxes"].clone();
    assert_eq!(mailboxes[0], json!({ "name": "INBOX", "role": "inbox", "messages": 2, "unread": 1 }),);
    // The member sees the own, and nobody else's; a key for other things sees none.
    let own = office.session(home.member).await;
    assert_eq!(office.ask(&own, "GET", &path, None).await.status, 200);
    let chief = format!("/tenants/{}/accounts/{}/unread", home.id, home.chief.account);
    assert_eq!(office.ask(&own, "GET", &chief, None).await.status, 403);
    let mut all = Permissions::of_tenant().iter().map(|one| one.to_string()).collect::<Vec<_>>();
    all.retain(|one| !one.starts_with("notices"));
    let rest = permissions(&all.iter().map(String::as_str).collect::<Vec<_>>());
    let key = office.key(Some(home.id), None, rest).await;
    office.ask(&key, "GET", &path, None).await.assert_problem(403, "no-permission");
}
