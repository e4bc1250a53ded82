//! Reports of others about a tenant's mail, and the addresses to which it sends no mailings any more.

use pennypost_admin::{HeardAbout, HeardCounts, HeardReport, Permissions, SourceCounts};
use pennypost_directory::{Page, SuppressedBy};
use pennypost_model::{EventId, codec};
use pennypost_ports::{Ids, LogKind, LogRecord, RandomIds};
use serde_json::{Value, json};

use crate::support::{Office, Tenant};

const DAY: i64 = 24 * 3_600_000;

async fn note(office: &Office, home: &Tenant, name: &str, days: i64, about: HeardAbout) -> EventId {
    let now = office.administration.directory().now();
    let begin = pennypost_model::Timestamp((now.0 / DAY - days) * DAY);
    let report = HeardReport {
        name: name.to_owned(),
        reporter: "=Far".to_owned(),
        contact: "reports@far.example".to_owned(),
        author: "far.example".to_owned(),
        domain: home.domain.clone(),
        begin,
        end: begin.plus_millis(DAY - 1_000),
        about,
        letter: RandomIds.event(now),
        received: now,
        is_unproved: false,
    };
    let (id, value) = (report.id(), codec::encode(&report));
    // Twice, as when two note it at once.
    for _ in 0..2 {
        let record = LogRecord { tenant: home.id, kind: LogKind::Heard, id, time: now, value: value.clone() };
        office.log.append(&[record]).await.expect("noted");
    }
    id
}

#[tokio::test(flavor = "multi_thread")]
async fn reports_of_others_are_listed_by_domain_day_and_kind() {
    let office = Office::open().await;
    let (home, other) = (office.tenant("home").await, office.tenant("other").await);
    let key = office.key(Some(home.id), None, Permissions::of_tenant()).await;
    let counts = HeardCounts { passed: 7, failed: 9, dkim: 5, spf: 2, quarantined: 0, rejected: 9 };
    let source = SourceCounts { source: Some([192, 0, 2, 1].into()), author: home.domain.clone(), counts };
    let dmarc = HeardAbout::Dmarc { counts, sources: vec![source], more: 3 };
    let first = note(&office, &home, "1", 2, dmarc).await;
    let second =
        note(&office, &home, "2", 1, HeardAbout::Tls { good: 4, bad: 0, failures: Vec::new(), more: 0 })
            .await;
    let read = async |query: &str| -> Vec<Value> {
        let path = format!("/tenants/{}/mail-reports{query}", home.id);
        let answer = office.ask(&key, "GET", &path, None).await;
        assert_eq!(answer.status.as_u16(), 200, "{}", answer.text);
        answer.json()["items"].as_array().expect("a list").clone()
    };
    let all = read("").await;
    let ids: Vec<&Value> = all.iter().map(|one| &one["id"]).collect();
    assert_eq!(ids, [&json!(first.to_string()), &json!(second.to_string())]);
    assert_eq!(all[0]["dmarc"]["sources"][0]["source"], "192.0.2.1");
    assert_eq!(all[0]["dmarc"]["counts"]["failed"], 9);
    assert_eq!((&all[1]["tls"]["good"], &all[1]["dmarc"]), (&json!(4), &Value::Null));
    assert_eq!(read("?kind=tls").await, all[1..]);
    assert_eq!(read(&format!("?domain={}", home.domain)).await, all);
    assert_eq!(read("?domain=far.example").await, [] as [Value; 0]);
    let day = all[1]["begin"].as_str().expect("a day")[..10].to_owned();
    assert_eq!(read(&format!("?from={day}&to={day}")).await, all[1..]);
    let path = format!("/tenants/{}/mail-reports", home.id);
    office.ask(&key, "GET", &format!("{path}?kind=x"), None).await.assert_problem(400, "bad-parameter");
    // Page by page.
    let page = office.ask(&key, "GET", &format!("{path}?limit=1"), None).await.json();
    assert_eq!(page["items"].as_array().expect("a list").len(), 1);
    let next = page["next"].as_str().expect("more").to_owned();
    let page = office.ask(&key, "GET", &format!("{path}?limit=1&after={next}"), None).await.json();
    assert_eq!(page["items"][0]["id"], json!(second.to_string()));
    let csv = office.ask_with(&key, "GET", &path, &[("accept", "text/csv")], None).await;
    assert!(csv.text.contains("\r\ndmarc,") && csv.text.contains(",'=Far,1,"), "{}", csv.text);
    assert_eq!(csv.text.lines().count(), 3, "{}", csv.text);
    // Another organisation has none.
    let stranger = office.key(Some(other.id), None, Permissions::of_tenant()).await;
    office.ask(&stranger, "GET", &path, None).await.assert_problem(404, "not-found");

    // Where they come in.
    let path = format!("/tenants/{}/report-addresses", home.id);
    let seen = office.ask(&key, "GET", &path, None).await;
    assert_eq!(seen.json(), json!({ "addresses": [] }));
    let say = async |seen: &str, addresses: Value| {
        let body = json!({ "addresses": addresses });
        office.ask_with(&key, "PUT", &path, &[("if-match", seen)], Some(&body)).await
    };
    let own = format!("member@{}", home.domain);
    let said = say(seen.header("etag"), json!([own])).await;
    assert_eq!((said.status.as_u16(), said.json()), (200, json!({ "addresses": [own] })), "{}", said.text);
    say(seen.header("etag"), json!([])).await.assert_problem(412, "changed");
    say("*", json!(["no address"])).await.assert_problem(422, "invalid");
    for nobody in
        [format!("nobody@{}", home.domain), format!("member@{}", other.domain), "x@far.example".to_owned()]
    {
        say("*", json!([nobody])).await.assert_problem(422, "unknown-reference");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn addresses_without_mailings_are_listed_added_and_removed() {
    let office = Office::open().await;
    let home = office.tenant("home").await;
    let key = office.key(Some(home.id), None, Permissions::of_tenant()).await;
    let path = format!("/tenants/{}/suppressed-addresses", home.id);
    let directory = office.administration.directory();
    let letter = RandomIds.event(directory.now());
    let by = SuppressedBy::Complaint;
    assert_eq!(directory.suppress(home.id, "Angry@Far.example", by, Some(letter)).await, Ok(true));
    let add = async |addresses: Value| {
        office.ask(&key, "POST", &path, Some(&json!({ "addresses": addresses }))).await
    };
    let added = add(json!(["B@far.example", "angry@far.example", "c@far.example"])).await;
    assert_eq!((added.status.as_u16(), added.json()), (200, json!({ "added": 2 })), "{}", added.text);
    let refused = add(json!(["d@far.example", "no address"])).await;
    refused.assert_problem(422, "invalid");
    assert!(refused.text.contains("/addresses/1"), "{}", refused.text);
    let many: Vec<String> = (0..501).map(|number| format!("{number}@far.example")).collect();
    assert!(add(json!(many)).await.status.is_client_error());
    let gone = format!("gone@{}.elsewhere.example", home.domain);
    let listed = office.ask(&key, "GET", &path, None).await.json();
    let items = listed["items"].as_array().expect("a list");
    let names: Vec<&str> = items.iter().map(|one| one["address"].as_str().expect("an address")).collect();
    assert_eq!(names, ["angry@far.example", "b@far.example", "c@far.example", &*gone]);
    assert_eq!((&items[0]["by"], &items[0]["letter"]), (&json!("complaint"), &json!(letter.to_string())));
    let found = office.ask(&key, "GET", &format!("{path}?prefix=B@"), None).await.json();
    assert_eq!(found["items"].as_array().expect("a list").len(), 1);
    let csv = office.ask_with(&key, "GET", &path, &[("accept", "text/csv")], None).await;
    assert_eq!(csv.text.lines().count(), 5, "{}", csv.text);
    let wanted: Vec<String> =
        ["ANGRY@far.example", "x@far.example", "c@far.example"].map(str::to_owned).into();
    let among = directory.suppressed_among(home.id, &wanted).await.expect("read");
    assert_eq!(among.len(), 2, "{among:?}");
    let removed = office.ask(&key, "DELETE", &format!("{path}/c@far.example"), None).await;
    assert_eq!(removed.status.as_u16(), 204, "{}", removed.text);
    office.ask(&key, "DELETE", &format!("{path}/c@far.example"), None).await.assert_problem(404, "not-found");
    assert_eq!(directory.suppressed_among(home.id, &wanted).await.expect("read").len(), 1);
    let page = Page { after: None, limit: 2 };
    let listed = directory.suppressed(home.id, "", &page).await.expect("read");
    let rest = directory.suppressed(home.id, "", &Page { after: listed.next, limit: 2 }).await.expect("read");
    assert_eq!((listed.items.len(), rest.items.len()), (2, 1));
}
