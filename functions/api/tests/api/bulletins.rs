//! What the operator tells administrators.

use pennypost_admin::{Grants, Permissions};
use pennypost_ports::{Consistency, ControlKey, Expected};
use serde_json::{Value, json};

use crate::support::{OPERATOR, Office, Tenant, permissions};

fn titles(page: &Value) -> Vec<(String, Value)> {
    let rows = page["items"].as_array().expect("rows").iter();
    rows.map(|row| (row["en"]["title"].as_str().expect("a title").to_owned(), row["read"].clone())).collect()
}

/// Feature LOG-09: the operator publishes bulletins in both languages for all tenants or some, from then and until then; administrators read them with what each has read
#[tokio::test(flavor = "multi_thread")]
async fn administrators_read_what_the_operator_tells() {
    let office = Office::open().await;
    let (home, other) = (office.tenant("home").await, office.tenant("other").await);
    let operator = office.key(None, None, Permissions::all()).await;
    let publish = async |title: &str, more: Value| {
        let mut wish = json!({
            "kind": "notice", "en": { "title": title, "text": "as it is" }, "zh": { "title": "题", "text": "文" },
        });
        wish.as_object_mut().expect("an object").extend(more.as_object().expect("an object").clone());
        office.ask(&operator, "POST", "/bulletins", Some(&wish)).await
    };
    let first = publish("for home", json!({ "tenants": [home.id.to_string()] })).await;
    assert_eq!(first.status, 200, "{}", first.text);
    let first = first.json()["id"].as_str().expect("an id").to_owned();
    assert_eq!(publish("later", json!({ "from": "2099-01-01T00:00:00Z" })).await.status, 200);
    // Ids go by milliseconds.
    tokio::time::sleep(std::time::Duration::from_millis(3)).await;
    assert_eq!(publish("for all", json!({ "until": "2099-01-01T00:00:00Z" })).await.status, 200);
    publish("", json!({})).await.assert_problem(422, "invalid");
    publish("over", json!({ "until": "2001-01-01T00:00:00Z" })).await.assert_problem(422, "invalid");
    publish("nobody", json!({ "tenants": ["00000000000000aa"] })).await.assert_problem(404, "not-found");

    let place = format!("/tenants/{}/bulletins", home.id);
    let (creator, chief) = (office.session(home.creator).await, office.session(home.chief).await);
    let read = async |who: &str| titles(&office.ask(who, "GET", &place, None).await.json());
    let row = |title: &str, read: Value| (title.to_owned(), read);
    assert_eq!(read(&creator).await, [row("for all", false.into()), row("for home", false.into())]);
    let abroad = office.session(other.creator).await;
    let theirs = format!("/tenants/{}/bulletins", other.id);
    let seen = titles(&office.ask(&abroad, "GET", &theirs, None).await.json());
    assert_eq!(seen, [row("for all", false.into())]);
    office
        .ask(&abroad, "POST", &format!("{theirs}/{first}/read"), None)
        .await
        .assert_problem(404, "not-found");

    // What one has read the other has not.
    let mark = format!("{place}/{first}/read");
    for _ in 0..2 {
        assert_eq!(office.ask(&creator, "POST", &mark, None).await.status, 204);
    }
    assert_eq!(read(&creator).await, [row("for all", false.into()), row("for home", true.into())]);
    assert_eq!(read(&chief).await, [row("for all", false.into()), row("for home", false.into())]);
    let all = format!("/tenants/{}/bulletins-read", home.id);
    // What came between looking and saying so was not seen.
    let shown = office.ask(&chief, "GET", &place, None).await.json()["items"][0]["id"].clone();
    tokio::time::sleep(std::time::Duration::from_millis(3)).await;
    publish("the newest", json!({})).await;
    let up_to = json!({ "newest": shown });
    assert_eq!(office.ask(&chief, "POST", &all, Some(&up_to)).await.status, 204);
    let rest = [row("for all", true.into()), row("for home", true.into())];
    assert_eq!(read(&chief).await[0], row("the newest", false.into()));
    assert_eq!(read(&chief).await[1..], rest);
    let bad = json!({ "newest": "the last" });
    office.ask(&chief, "POST", &all, Some(&bad)).await.assert_problem(422, "invalid");
    // A program reads what is there, and has read nothing.
    let program = office.key(Some(home.id), None, permissions(&["tenant:read"])).await;
    assert_eq!(read(&program).await[2], row("for home", Value::Null));
    office.ask(&program, "POST", &all, Some(&up_to)).await.assert_problem(403, "no-permission");
    let member = office.session(home.member).await;
    office.ask(&member, "GET", &place, None).await.assert_problem(403, "no-permission");

    // Page by page nothing is skipped, nor told twice.
    let (mut found, mut after) = (Vec::new(), String::new());
    loop {
        let page = office.ask(&creator, "GET", &format!("{place}?limit=1{after}"), None).await.json();
        found.extend(titles(&page).into_iter().map(|(title, _)| title));
        let Some(next) = page["next"].as_str() else { break };
        after = format!("&after={next}");
    }
    assert_eq!(found, ["the newest", "for all", "for home"]);

    assert_eq!(office.ask(&operator, "DELETE", &format!("/bulletins/{first}"), None).await.status, 204);
    assert_eq!(read(&creator).await.len(), 2);
    office
        .ask(&operator, "DELETE", &format!("/bulletins/{first}"), None)
        .await
        .assert_problem(404, "not-found");
    office.ask(&creator, "GET", "/bulletins", None).await.assert_problem(403, "no-permission");
    let published = office.ask(&operator, "GET", "/bulletins", None).await.json();
    let listed: Vec<String> = titles(&published).into_iter().map(|(title, _)| title).collect();
    assert_eq!(listed, ["later", "the newest", "for all"]);
    let log = office.ask(&operator, "GET", "/operations?limit=500", None).await.text;
    assert!(log.contains("bulletin.publish") && log.contains("bulletin.withdraw"), "{log}");

    // Nobody is behind with what was told before he, or his organisation, was there.
    let late = office.account(home.id, format!("late@{}", home.domain)).await;
    let grants = Grants { is_super: true, roles: Vec::new() };
    let given = office.administration.change_grants(&OPERATOR, late, &Grants::default(), grants).await;
    given.expect("granted");
    let late = office.session(late).await;
    assert_eq!(read(&late).await, [row("the newest", true.into()), row("for all", true.into())]);
    let young = office.tenant("young").await;
    let session = office.session(young.creator).await;
    let theirs = format!("/tenants/{}/bulletins", young.id);
    assert_eq!(office.ask(&session, "GET", &theirs, None).await.json()["items"], json!([]));

    // A mark leads to a bulletin, and does not say for whom it is.
    let theirs = format!("/tenants/{}/bulletins", other.id);
    let only = publish("for home alone", json!({ "tenants": [home.id.to_string()] })).await.json();
    let id = only["id"].as_str().expect("an id");
    let marks = |of: &Tenant| format!("{}/bulletins", of.id);
    let mark = ControlKey::new(marks(&home), id);
    let mark = office.control.get(&mark, Consistency::Strong).await.expect("read").expect("a mark").value;
    let astray = ControlKey::new(marks(&other), id);
    office.control.put_if(&astray, &mark, Expected::Absent).await.expect("written");
    assert_eq!(read(&creator).await[0].0, "for home alone");
    let seen = titles(&office.ask(&abroad, "GET", &theirs, None).await.json());
    assert!(!seen.iter().any(|(title, _)| title == "for home alone"), "{seen:?}");
}
