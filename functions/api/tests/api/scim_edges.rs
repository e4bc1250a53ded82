//! Provisioning over SCIM 2.0 where requests are wrong, late, half, or written otherwise (decision 0040).

use pennypost_directory::AccountState;
use pennypost_model::AccountKey;
use serde_json::{Value, json};

use crate::scim::{Bench, ENTERPRISE, GROUP, PATCH, USER, asked, bench, id_of};
use crate::support::{OPERATOR, permissions};

fn key_of(it: &Bench, id: &str) -> AccountKey {
    AccountKey { tenant: it.home.id, account: id.parse().expect("an id") }
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_stays_in_for_something_else_in_the_same_request() {
    let it = bench().await;
    let address = it.address("ann");
    let wrong_phone = json!([{ "type": "work", "value": "ext. 12" }]);
    for (method, body) in [
        (
            "PUT",
            json!({ "schemas": [USER], "userName": address, "active": false, "phoneNumbers": wrong_phone }),
        ),
        ("PUT", json!({ "schemas": [USER], "userName": it.address("other"), "active": "False" })),
        ("PUT", json!({ "schemas": [USER], "userName": address, "active": false, "title": "t".repeat(65) })),
        (
            "PATCH",
            json!({ "schemas": [PATCH], "Operations": [
                { "op": "Replace", "path": "title[", "value": "x" },
                { "op": "Replace", "path": format!("{USER}:active"), "value": "False" },
            ] }),
        ),
        (
            "PATCH",
            json!({ "schemas": [PATCH], "Operations": [
                { "op": "replace", "value": { "active": false, "userName": it.address("other") } },
            ] }),
        ),
    ] {
        let found = it.found("Users", &format!("userName eq \"{address}\"")).await;
        let id = match found.first() {
            Some(user) => user["id"].as_str().expect("an id").to_owned(),
            None => it.new_user("ann").await,
        };
        let path = format!("/Users/{id}");
        let on = json!([{ "op": "replace", "path": "active", "value": true }]);
        assert_eq!(it.patch(&path, on).await.status, 200);
        assert_eq!(it.state(&id).await, AccountState::Active);
        let refused = it.ask(method, &path, Some(&body)).await;
        assert_eq!(refused.status, 400, "{body}: {}", refused.text);
        assert_eq!(it.state(&id).await, AccountState::Disabled, "{body}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_is_suspended_meanwhile_leaves_all_the_same() {
    let it = bench().await;
    let id = it.new_user("ann").await;
    let (path, key) = (format!("/Users/{id}"), key_of(&it, &id));
    let administration = &it.office.administration;
    administration.suspend_account(&OPERATOR, key, true).await.expect("suspended");
    // Who sends back what is shown says nothing by it.
    let read = it.ask("GET", &path, None).await.json();
    assert_eq!(read["active"], false);
    assert_eq!(it.ask("PUT", &path, Some(&read)).await.status, 200);
    assert_eq!(it.state(&id).await, AccountState::Active);
    // Who says it means it.
    let off = json!([{ "op": "Replace", "path": "active", "value": "False" }]);
    assert_eq!(it.patch(&path, off).await.status, 200);
    administration.suspend_account(&OPERATOR, key, false).await.expect("lifted");
    assert_eq!(it.state(&id).await, AccountState::Disabled);
    assert_eq!(it.ask("GET", &path, None).await.json()["active"], false);
}

#[tokio::test(flavor = "multi_thread")]
async fn who_is_disabled_from_the_beginning_was_never_enabled() {
    let it = bench().await;
    let reader = it.office.key(Some(it.home.id), None, permissions(&["log:read"])).await;
    let path = format!("/tenants/{}/operations?limit=500", it.home.id);
    let told = async |action: &str| {
        let log = it.office.ask(&reader, "GET", &path, None).await.text;
        log.matches(&format!("\"{action}\"")).count()
    };
    let (added, changed) = (told("account.add").await, told("account.change").await);
    let user = json!({ "schemas": [USER], "userName": it.address("idle"), "active": false });
    let made = it.ask("POST", "/Users", Some(&user)).await;
    assert_eq!((made.status.as_u16(), &made.json()["active"]), (201, &json!(false)), "{}", made.text);
    assert_eq!(it.state(&id_of(&made)).await, AccountState::Disabled);
    // Made so, not changed.
    assert_eq!((told("account.add").await, told("account.change").await), (added + 1, changed));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_found_by_post_is_found_by_a_filter() {
    let it = bench().await;
    let made = it.new_user("jos\u{e9}").await;
    let name = it.address("jose\u{301}");
    for attribute in ["userName", "emails", "emails.value"] {
        let found = it.found("Users", &format!("{attribute} eq \"{name}\"")).await;
        assert_eq!(found.first().map(|user| user["id"].clone()), Some(json!(made)), "{attribute}");
    }
    assert_eq!(
        it.found("Users", &format!("emails[type eq \"work\" and value eq \"{name}\"]")).await.len(),
        1
    );
    assert!(it.found("Users", &format!("id eq \"{made}\" and userName ne \"{name}\"")).await.is_empty());
    for (called, wanted) in [
        ("Caf\u{e9}", "Cafe\u{301}"),
        ("QA", "\u{ff31}\u{ff21}"),
        ("Sales", "sales "),
        ("\u{ff31}\u{ff22}", "qb"),
    ] {
        let group = json!({ "schemas": [GROUP], "displayName": called });
        let id = id_of(&it.ask("POST", "/Groups", Some(&group)).await);
        let again = json!({ "schemas": [GROUP], "displayName": wanted });
        Bench::refused(&it.ask("POST", "/Groups", Some(&again)).await, 409, Some("uniqueness"));
        assert_eq!(
            it.found("Groups", &format!("displayName eq \"{wanted}\"")).await[0]["id"],
            id,
            "{wanted}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_half_done_that_can_be_known_before() {
    let it = bench().await;
    let id = it.new_user("ann").await;
    let path = format!("/Users/{id}");
    let off = json!([{ "op": "replace", "path": "active", "value": false }]);
    assert_eq!(it.patch(&path, off).await.status, 200);
    let department =
        |path: &str| json!({ "op": "add", "path": format!("{ENTERPRISE}:department"), "value": path });
    let on = json!({ "op": "replace", "path": "active", "value": true });
    for wrong in [
        department(&"x".repeat(51)),
        department(&format!("Half/Done/{}", "x".repeat(51))),
        department("#1"),
        department(&"a/".repeat(16)),
        json!({ "op": "replace", "path": "displayName", "value": "An\u{200b}n" }),
    ] {
        let refused = it.patch(&path, json!([on, wrong])).await;
        Bench::refused(&refused, 400, Some("invalidValue"));
        assert_eq!(it.state(&id).await, AccountState::Disabled, "{wrong}");
    }
    let elsewhere = json!({
        "schemas": [USER], "userName": "x@elsewhere.example", ENTERPRISE: { "department": "Half/Done" },
    });
    Bench::refused(&it.ask("POST", "/Users", Some(&elsewhere)).await, 400, Some("invalidValue"));
    let departments = format!("/tenants/{}/departments", it.home.id);
    let reader = it.office.key(Some(it.home.id), None, permissions(&["members:read"])).await;
    let departments = it.office.ask(&reader, "GET", &departments, None).await.text;
    assert!(!departments.contains("Half") && !departments.contains("Done"), "{departments}");
    // A group keeps its name where its members can't be.
    let group = json!({ "schemas": [GROUP], "displayName": "all" });
    let group = format!("/Groups/{}", id_of(&it.ask("POST", "/Groups", Some(&group)).await));
    let members: Vec<Value> = (0..10_001).map(|n| json!({ "value": format!("{n:016x}") })).collect();
    let whole = json!({ "schemas": [GROUP], "displayName": "renamed", "members": members });
    Bench::refused(&it.ask("PUT", &group, Some(&whole)).await, 400, Some("invalidValue"));
    assert_eq!(it.ask("GET", &group, None).await.json()["displayName"], "all");
    let number = json!({ "schemas": [GROUP], "displayName": "#general" });
    let refused = it.ask("POST", "/Groups", Some(&number)).await;
    Bench::refused(&refused, 400, Some("invalidValue"));
    assert!(refused.text.contains("begin with #"), "{}", refused.text);
}

#[tokio::test(flavor = "multi_thread")]
async fn of_changes_at_once_none_is_lost_and_a_version_is_this_requests_own() {
    let it = bench().await;
    let id = it.new_user("ann").await;
    let path = format!("/Users/{id}");
    for round in 0..5 {
        let external = json!([{ "op": "replace", "path": "externalId", "value": format!("e-{round}") }]);
        let family = json!([{ "op": "replace", "path": "name.familyName", "value": format!("Li{round}") }]);
        let off = json!([{ "op": "replace", "path": "active", "value": round % 2 == 0 }]);
        let (one, two, three) =
            tokio::join!(it.patch(&path, external), it.patch(&path, family), it.patch(&path, off));
        for answer in [one, two, three] {
            assert_eq!(answer.status, 200, "{}", answer.text);
        }
        let now = it.ask("GET", &path, None).await.json();
        assert_eq!(now["externalId"], format!("e-{round}"), "{now}");
        assert_eq!(now["name"]["familyName"], format!("Li{round}"), "{now}");
        assert_eq!(it.found("Users", &format!("externalId eq \"e-{round}\"")).await.len(), 1);
    }
    // Several writes of one request are no change of somebody else's.
    let tag = it.ask("GET", &path, None).await.header("etag").to_owned();
    let body = json!({ "schemas": [PATCH], "Operations": [
        { "op": "replace", "value": { "active": false, "title": "Head", "externalId": "e-9", "displayName": "Ann" } },
    ] });
    let changed = asked(&it.office, &it.key, "PATCH", &path, &[("if-match", &tag)], Some(&body)).await;
    assert_eq!(changed.status, 200, "{}", changed.text);
    assert_eq!((&changed.json()["title"], &changed.json()["externalId"]), (&json!("Head"), &json!("e-9")));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_id_finds_again_whom_it_has_found_before() {
    let it = bench().await;
    let (ann, by) = (it.new_user("ann").await, "externalId eq \"e-1\"");
    let path = format!("/Users/{ann}");
    let say = |id: &str| json!([{ "op": "replace", "path": "externalId", "value": id }]);
    assert_eq!(it.patch(&path, say("e-1")).await.status, 200);
    assert_eq!(it.ask("DELETE", &path, None).await.status, 204);
    // Somebody else has it while she lies in the bin, and gives it up.
    let bob = it.new_user("bob").await;
    for id in ["e-1", "e-2"] {
        assert_eq!(it.patch(&format!("/Users/{bob}"), say(id)).await.status, 200);
    }
    it.office.administration.restore_account(&OPERATOR, key_of(&it, &ann)).await.expect("restored");
    assert_eq!(it.found("Users", by).await[0]["id"], ann);
    // The same while both are in; the next word of the client leads to her again.
    for id in ["e-1", "e-2"] {
        assert_eq!(it.patch(&format!("/Users/{bob}"), say(id)).await.status, 200);
    }
    assert_eq!(it.patch(&path, say("e-1")).await.status, 200);
    assert_eq!(it.found("Users", by).await[0]["id"], ann);
}

#[tokio::test(flavor = "multi_thread")]
async fn names_are_those_that_are_said() {
    let it = bench().await;
    let name = json!({ "givenName": "Ann", "familyName": "Li" });
    let user =
        json!({ "schemas": [USER], "userName": it.address("ann"), "displayName": "Ann Li", "name": name });
    let path = format!("/Users/{}", id_of(&it.ask("POST", "/Users", Some(&user)).await));
    // Parts that are taken away are no other name.
    let now = it.patch(&path, json!([{ "op": "remove", "path": "name.familyName" }])).await.json();
    assert_eq!((&now["displayName"], &now["name"]["givenName"]), (&json!("Ann Li"), &json!("Ann")), "{now}");
    let now = it.patch(&path, json!([{ "op": "remove", "path": "name" }])).await.json();
    assert_eq!(now["displayName"], "Ann Li", "{now}");
    assert_eq!(it.ask("PUT", &path, Some(&user)).await.json()["name"]["familyName"], "Li");
    // Of a name that an administrator gave, the old parts are none.
    let account = it
        .office
        .administration
        .account(&OPERATOR, key_of(&it, &path["/Users/".len()..]))
        .await
        .expect("there");
    let change = pennypost_admin::PersonChange {
        display_name: Some("Bob Wu".to_owned()),
        ..pennypost_admin::PersonChange::default()
    };
    it.office.administration.change_person(&OPERATOR, &account, &change).await.expect("renamed");
    let bare = json!({ "schemas": [USER], "userName": it.address("ann"), "active": true });
    let now = it.ask("PUT", &path, Some(&bare)).await.json();
    assert_eq!(now["name"], json!({ "formatted": "Bob Wu" }), "{now}");
    // Of a type there is one number: the one that was said last.
    for number in ["+86 10 1234", "+86 10 9999"] {
        let add =
            json!([{ "op": "add", "path": "phoneNumbers", "value": [{ "type": "work", "value": number }] }]);
        let now = it.patch(&path, add).await.json();
        assert_eq!(now["phoneNumbers"], json!([{ "type": "work", "value": number }]));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn departments_are_called_by_their_names() {
    let it = bench().await;
    let path = format!("/Users/{}", it.new_user("ann").await);
    let extension = "urn:ietf:params:scim:schemas:extension:contoso:2.0:User";
    // What is not kept holds nothing up.
    let operations = json!([
        { "op": "Add", "path": format!("{extension}:badge"), "value": "7" },
        { "op": "Remove", "path": format!("{extension}:colour") },
        { "op": "add", "path": "schemas", "value": [extension] },
        { "op": "replace", "value": { extension: { "badge": "7" }, "$ref": "x", "_x": 1, "title": "Head" } },
    ]);
    let now = it.patch(&path, operations).await;
    assert_eq!((now.status.as_u16(), &now.json()["title"]), (200, &json!("Head")), "{}", now.text);
    // A number is a department's name nowhere: not the department of that number.
    let number = format!("#{}", it.home.department);
    let refused = it
        .patch(&path, json!([{ "op": "add", "path": format!("{ENTERPRISE}:department"), "value": number }]))
        .await;
    Bench::refused(&refused, 400, Some("invalidValue"));
    assert!(it.ask("GET", &path, None).await.json().get(ENTERPRISE).is_none());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_is_given_by_whoever_may_do_what_it_does() {
    let it = bench().await;
    let path = format!("/tenants/{}/keys", it.home.id);
    let new = json!({ "name": "directory", "permissions": ["provisioning:write"] });
    for (own, status) in [
        (vec!["keys:write", "provisioning:write"], 403),
        (vec!["keys:write", "provisioning:write", "members:read"], 403),
        (vec!["keys:write", "provisioning:write", "members:write"], 201),
    ] {
        let maker = it.office.key(Some(it.home.id), None, permissions(&own)).await;
        let made = it.office.ask(&maker, "POST", &path, Some(&new)).await;
        assert_eq!(made.status.as_u16(), status, "{own:?}: {}", made.text);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn lists_of_all_are_counted_as_what_they_cost() {
    let office = crate::support::Office::open().await;
    let home = office.tenant("home").await;
    let key = office.key(Some(home.id), None, permissions(&["provisioning:read"])).await;
    // Each is a request and a query: of 200 at once, half as many.
    let mut lists = 0;
    let mut last = asked(&office, &key, "GET", "/Users?count=0", &[], None).await;
    while last.status == 200 {
        lists += 1;
        assert!(lists < 200, "nothing but requests is counted");
        last = asked(&office, &key, "GET", "/Users?count=0", &[], None).await;
    }
    Bench::refused(&last, 429, None);
}
