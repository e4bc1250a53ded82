//! What organisations say of themselves through the API.

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use pennypost_admin::Permissions;
use serde_json::{Value, json};

use crate::support::{Office, permissions};

/// Feature TEN-12: logo and contact address are changed, id, names, numbers of members and departments and the time of opening are read; no page asks to complete them, no other console is synchronised
#[tokio::test(flavor = "multi_thread")]
async fn organisations_say_where_they_are_and_show_a_logo() {
    let office = Office::open().await;
    let home = office.tenant("home").await;
    let admin = office.key(Some(home.id), None, Permissions::of_tenant()).await;
    let path = format!("/tenants/{}/profile", home.id);
    let read = office.ask(&admin, "GET", &path, None).await;
    let document = read.json();
    assert_eq!((&document["id"], &document["name"]), (&json!(home.id.to_string()), &json!(home.name)));
    assert_eq!((&document["short_name"], &document["logo"]), (&json!(home.name), &Value::Null));
    let root = format!("/tenants/{}/departments/1", home.id);
    assert_eq!(office.ask(&admin, "PATCH", &root, Some(&json!({ "name": "邮局" }))).await.status, 200);
    assert_eq!(office.ask(&admin, "GET", &path, None).await.json()["short_name"], "邮局");

    let logo = BASE64_STANDARD.encode(b"\x89PNG\r\n\x1a\nlooks like one");
    let said = json!({ "contact": " 1 Mail Road ", "logo": logo });
    let seen = [("if-match", read.header("etag"))];
    // The name has been changed since.
    let stale = office.ask_with(&admin, "PUT", &path, &seen, Some(&said)).await;
    stale.assert_problem(412, "changed");
    let changed = office.ask(&admin, "PUT", &path, Some(&said)).await.json();
    let expected = json!({ "media_type": "image/png", "content": logo });
    assert_eq!((&changed["contact"], &changed["logo"]), (&json!("1 Mail Road"), &expected), "{changed}");
    assert_eq!(office.ask(&admin, "GET", &path, None).await.json(), changed);
    for bad in [
        json!({ "contact": "x".repeat(301) }),
        json!({ "contact": "a\nb" }),
        json!({ "logo": BASE64_STANDARD.encode("<svg/>") }),
        json!({ "logo": "not base64" }),
        json!({ "logo": BASE64_STANDARD.encode([&b"\xff\xd8\xff\xe0"[..], &[0; 64 * 1024]].concat()) }),
    ] {
        office.ask(&admin, "PUT", &path, Some(&bad)).await.assert_problem(422, "invalid");
    }
    let counts = office.ask(&admin, "GET", &format!("/tenants/{}/counts", home.id), None).await.json();
    assert_eq!(counts, json!({ "members": 8, "departments": 1 }));
    // Who only reads the tenant says nothing of it.
    let reader = office.key(Some(home.id), None, permissions(&["tenant:read"])).await;
    assert_eq!(office.ask(&reader, "GET", &path, None).await.status, 200);
    office.ask(&reader, "PUT", &path, Some(&said)).await.assert_problem(403, "no-permission");
    let log = office.ask(&admin, "GET", &format!("/tenants/{}/operations?limit=500", home.id), None).await;
    assert!(log.text.contains("organisation.change") && !log.text.contains(&logo), "{}", log.text);
}
