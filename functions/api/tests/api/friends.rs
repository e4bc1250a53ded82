//! Friends: invited by a letter, by administrators and by members; they agree and leave on a page, without a key.

use axum::body::Body;
use axum::http::{Request, StatusCode};
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use pennypost_directory::{MailAddress, MailPermission, MailReach, Plan, Reach};
use pennypost_model::event::{Body as Stored, Event, SourceKind, Stage};
use pennypost_model::{EventId, Timestamp, codec};
use serde_json::json;
use std::time::Duration;

use crate::support::{Answer, OPERATOR, Office, Tenant, permissions};

const BEA: &str = "bea@elsewhere.example";

/// The path of the page in the one letter that is in the queue.
async fn link(office: &Office, tenant: &Tenant) -> String {
    let (visible, wait) = (Duration::from_secs(60), Duration::ZERO);
    let found = office.queue.receive(Stage::InboundParse, 10, visible, wait).await.expect("received");
    let mut links = Vec::new();
    for message in found {
        let event: Event = codec::decode(&message.body).expect("an event");
        let Event::Accepted(accepted) = event else { panic!("a letter") };
        if accepted.recipients[0].address == BEA {
            assert!(matches!(accepted.source.kind, SourceKind::Notice(about) if about.tenant == tenant.id));
            let Stored::Inline(stored) = &accepted.body else { panic!("it is short") };
            let raw = pennypost_mailstore::compress::decompress(stored).expect("whole");
            let raw = String::from_utf8(raw).expect("UTF-8");
            let body = raw.split_once("\r\n\r\n").expect("a head").1.replace("\r\n", "");
            let text = String::from_utf8(BASE64_STANDARD.decode(body).expect("base64")).expect("UTF-8");
            let path = text.split_once("https://mail.post.example").expect("a link").1;
            links.push(path.split_whitespace().next().expect("a path").to_owned());
        }
        office.queue.ack(Stage::InboundParse, &[message.receipt]).await.expect("acknowledged");
    }
    let [link] = &links[..] else { panic!("{links:?}") };
    link.clone()
}

async fn page(office: &Office, method: &str, path: &str) -> Answer {
    let form = if method == "POST" { "List-Unsubscribe=One-Click" } else { "" };
    let request = Request::builder().method(method).uri(path);
    let request = request.header("content-type", "application/x-www-form-urlencoded");
    office.send(request.body(Body::from(form)).expect("a request")).await
}

async fn standing(office: &Office, key: &str, tenant: &Tenant) -> String {
    let listed = office.ask(key, "GET", &format!("/tenants/{}/friends", tenant.id), None).await;
    assert_eq!(listed.status, StatusCode::OK, "{}", listed.text);
    let listed = listed.json();
    let items = listed["items"].as_array().expect("rows");
    let one = items.iter().find(|one| one["address"] == BEA);
    one.map_or("none", |one| one["standing"].as_str().expect("a word")).to_owned()
}

/// Feature GRP-07 (part): a stranger is invited by mail and becomes a friend by agreeing on a page
#[tokio::test(flavor = "multi_thread")]
async fn a_stranger_agrees_on_a_page_and_leaves_by_one_post() {
    let office = Office::sending_out().await;
    let home = office.tenant("home").await;
    let key = office.key(Some(home.id), None, permissions(&["groups:write", "groups:read"])).await;
    let path = format!("/tenants/{}/friends", home.id);
    let group = format!("group@{}", home.domain);
    let wanted = json!({ "address": BEA, "group": group });
    for (bad, status, problem) in [
        (json!({ "address": "nonsense", "group": group }), 422, "invalid"),
        (json!({ "address": BEA, "group": format!("nobody@{}", home.domain) }), 404, "not-found"),
        // A mailbox here is named as what it is.
        (json!({ "address": format!("member@{}", home.domain), "group": group }), 409, "other-state"),
    ] {
        office.ask(&key, "POST", &path, Some(&bad)).await.assert_problem(status, problem);
    }
    let invited = office.ask(&key, "POST", &path, Some(&wanted)).await;
    assert_eq!((invited.status, &invited.json()["standing"]), (StatusCode::OK, &json!("stranger")));
    let again = office.ask(&key, "POST", &path, Some(&wanted)).await;
    again.assert_problem(429, "too-many-requests");
    // Whose domain is kept here is told to nobody: somebody of another organisation here is invited as anybody is.
    let other = office.tenant("other").await;
    let here = json!({ "address": format!("member@{}", other.domain), "group": group });
    let as_anybody = office.ask(&key, "POST", &path, Some(&here)).await;
    assert_eq!((as_anybody.status, &as_anybody.json()["standing"]), (StatusCode::OK, &json!("stranger")));
    let link = link(&office, &home).await;

    // To look does nothing: programs do that on their own.
    let shown = page(&office, "GET", &link).await;
    assert!(
        shown.status == StatusCode::OK && shown.text.contains("<form method=\"post\">"),
        "{}",
        shown.text
    );
    assert_eq!(standing(&office, &key, &home).await, "stranger");
    for bad in [format!("{link}0"), "/friends/ppf_".to_owned(), link.replace("ppf_", "ppl_")] {
        assert_eq!(page(&office, "POST", &bad).await.status, StatusCode::NOT_FOUND, "{bad}");
    }
    for _ in 0..2 {
        assert_eq!(page(&office, "POST", &link).await.status, StatusCode::OK);
    }
    assert_eq!(standing(&office, &key, &home).await, "friend");
    // Who has agreed is not asked again.
    let asked = office.ask(&key, "POST", &path, Some(&wanted)).await;
    assert_eq!((asked.status, &asked.json()["standing"]), (StatusCode::OK, &json!("friend")));

    // What stands in every letter ends it, by the POST of RFC 8058.
    let directory = office.administration.directory();
    let author = directory.account(home.member).await.expect("read").expect("there");
    let bea = MailAddress::parse(BEA).expect("an address");
    let Ok(Reach::Friends(friends)) = directory.reach(&author, &[bea]).await else { panic!("a friend") };
    let group = MailAddress::parse(&group).expect("an address");
    let leave = friends[0].member(EventId::from_parts(Timestamp(1), 1), &group).leave;
    assert_eq!(page(&office, "GET", &format!("/friends/{leave}")).await.status, StatusCode::OK);
    assert_eq!(standing(&office, &key, &home).await, "friend");
    assert_eq!(page(&office, "POST", &format!("/friends/{leave}")).await.status, StatusCode::OK);
    assert_eq!(standing(&office, &key, &home).await, "left");
    // He is left alone, and what had brought him in does not do so again.
    office.ask(&key, "POST", &path, Some(&wanted)).await.assert_problem(409, "other-state");
    assert_eq!(page(&office, "POST", &link).await.status, StatusCode::NOT_FOUND);
    assert_eq!(standing(&office, &key, &home).await, "left");
    let log = office.administration.operations(&OPERATOR, Some(home.id), (None, None), 0, 500).await;
    let log = format!("{:?}", log.expect("reads").0);
    for word in ["friend.invite", "friend.accept", "friend.leave"] {
        assert!(log.contains(word), "{word}: {log}");
    }
    assert!(!log.contains("ppf_") && !log.contains("ppl_"), "{log}");

    let one = format!("{path}/{BEA}");
    assert_eq!(office.ask(&key, "DELETE", &one, None).await.status, StatusCode::NO_CONTENT);
    office.ask(&key, "DELETE", &one, None).await.assert_problem(404, "not-found");
    assert_eq!(standing(&office, &key, &home).await, "none");
}

/// Feature GRP-07 (part): members invite strangers themselves, where there is a plan with a VIP seat only
#[tokio::test(flavor = "multi_thread")]
async fn a_member_with_a_seat_invites_a_stranger() {
    let office = Office::sending_out().await;
    let home = office.tenant("home").await;
    let directory = office.administration.directory();
    let session = office.session(home.member).await;
    let path = format!("/tenants/{}/accounts/{}/friends", home.id, home.member.account);
    let wanted = json!({ "address": BEA, "group": format!("group@{}", home.domain) });
    let found = directory.tenant(home.id).await.expect("read").expect("there").plan;
    let pro = Plan { vip_seats: 2, ..Plan::pro() };
    assert_eq!(directory.set_plan(home.id, found.as_ref(), &pro).await, Ok(true));
    office.ask(&session, "POST", &path, Some(&wanted)).await.assert_problem(409, "other-state");
    directory.set_vip(home.member, true).await.expect("a seat");
    // Nobody but members of the group.
    office.ask(&session, "POST", &path, Some(&wanted)).await.assert_problem(409, "other-state");
    let list = format!("group@{}", home.domain);
    directory.change_members(&list, &[BEA, "cy@elsewhere.example"], &[]).await.expect("named");
    // Nor by whoever may not send outside.
    let known = MailPermission::default();
    let inside = MailPermission { send: MailReach::Inside, ..known };
    assert_eq!(directory.change_mail_permission(home.member, known, inside).await, Ok(true));
    office.ask(&session, "POST", &path, Some(&wanted)).await.assert_problem(409, "other-state");
    assert_eq!(directory.change_mail_permission(home.member, inside, known).await, Ok(true));
    let invited = office.ask(&session, "POST", &path, Some(&wanted)).await;
    assert_eq!(invited.status, StatusCode::OK, "{}", invited.text);
    // A group to which he may not send is none for him.
    let group = format!("group@{}", home.domain);
    let named =
        |rules: &mut pennypost_directory::GroupRules| rules.senders = pennypost_directory::Senders::Named;
    directory.change_group_rules(&group, named).await.expect("changed");
    let other = json!({ "address": "cy@elsewhere.example", "group": group });
    office.ask(&session, "POST", &path, Some(&other)).await.assert_problem(404, "not-found");
}
