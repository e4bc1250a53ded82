//! The end of tenants over the API: read by administrators, ordered, held and withdrawn by the operator alone.

use pennypost_admin::Permissions;
use serde_json::json;

use crate::support::Office;

/// Feature TEN-11: the end of a tenant, and when everything is erased, read over the admin API; the operator orders it with the tenant's name as confirmation, withdraws it until it begins, and holds what there is
#[tokio::test(flavor = "multi_thread")]
async fn the_end_of_a_tenant_is_read_ordered_held_and_withdrawn() {
    let office = Office::open().await;
    let home = office.tenant("home").await;
    let key = office.key(Some(home.id), None, Permissions::of_tenant()).await;
    let operator = office.key(None, None, Permissions::all()).await;
    let place = format!("/tenants/{}/ending", home.id);
    let read = async || office.ask(&key, "GET", &place, None).await.json();
    let seen = read().await;
    assert_eq!(
        (&seen["state"], &seen["erased_from"], &seen["cause"]),
        (&json!("open"), &json!(null), &json!(null))
    );

    // A plan with an end tells when.
    office
        .ask_with(
            &operator,
            "PUT",
            &format!("/tenants/{}/plan", home.id),
            &[("if-match", "*")],
            Some(&json!({ "edition": "pro", "functions": ["api"], "ends": "2099-01-01T00:00:00Z" })),
        )
        .await;
    let seen = read().await;
    assert_eq!((&seen["state"], &seen["cause"]), (&json!("open"), &json!("term")));
    assert_eq!(seen["erased_from"], json!(null), "nothing goes by itself until the operator says so");
    let rules = office.ask(&operator, "GET", "/ending-rules", None).await;
    assert_eq!(rules.json(), json!({ "grace_days": null }));
    let with = [("if-match", rules.header("etag"))];
    let change = async |key: &str, days: u32| {
        let body = json!({ "grace_days": days });
        office.ask_with(key, "PUT", "/ending-rules", &with, Some(&body)).await
    };
    change(&operator, 13).await.assert_problem(422, "invalid");
    assert_eq!(change(&key, 30).await.status, 403);
    assert_eq!(change(&operator, 30).await.status, 200);
    change(&operator, 40).await.assert_problem(412, "changed");
    assert_eq!(read().await["erased_from"], "2099-01-31T00:00:00.000Z");

    // An order names the tenant, and says why.
    let order = format!("{place}/erasure");
    let good = json!({ "name": home.name, "reason": "spam, three times" });
    assert_eq!(office.ask(&key, "POST", &order, Some(&good)).await.status, 403);
    let other = json!({ "name": "another", "reason": "spam" });
    office.ask(&operator, "POST", &order, Some(&other)).await.assert_problem(409, "other-state");
    let silent = json!({ "name": home.name, "reason": " " });
    office.ask(&operator, "POST", &order, Some(&silent)).await.assert_problem(422, "invalid");
    let late = json!({ "name": home.name, "reason": "spam", "days": 366 });
    office.ask(&operator, "POST", &order, Some(&late)).await.assert_problem(422, "invalid");
    // A key of the operator that may do nothing dangerous does not.
    let careful = office.key(None, None, crate::support::permissions(&["installation:write"])).await;
    office.ask(&careful, "POST", &order, Some(&good)).await.assert_problem(403, "confirmation-needed");
    let ordered = office.ask(&operator, "POST", &order, Some(&good)).await;
    assert_eq!(
        (ordered.status.as_u16(), &ordered.json()["cause"]),
        (200, &json!("ordered")),
        "{}",
        ordered.text
    );
    assert_eq!(read().await["order"]["reason"], "spam, three times");
    // Held it is not carried out, and withdrawn neither.
    let hold = format!("{place}/hold");
    assert_eq!(office.ask(&key, "PUT", &hold, Some(&json!({ "reason": "a court" }))).await.status, 403);
    let held = office.ask(&operator, "PUT", &hold, Some(&json!({ "reason": "a court" }))).await;
    assert_eq!((&held.json()["state"], &held.json()["hold"]["reason"]), (&json!("held"), &json!("a court")));
    let listed = office.ask(&operator, "GET", "/endings", None).await.json();
    assert_eq!(listed["items"][0]["tenant"], home.id.to_string());
    assert_eq!(office.ask(&key, "GET", "/endings", None).await.status, 403);
    assert_eq!(office.ask(&operator, "DELETE", &hold, None).await.status, 204);
    assert_eq!(office.ask(&operator, "DELETE", &order, None).await.status, 204);
    let seen = read().await;
    assert_eq!(
        (&seen["state"], &seen["order"], &seen["cause"]),
        (&json!("open"), &json!(null), &json!("term"))
    );
    let log = office.ask(&key, "GET", &format!("/tenants/{}/operations?limit=500", home.id), None).await.text;
    assert!(
        log.contains("tenant.erase")
            && log.contains("tenant.erasure-withdraw")
            && log.contains("tenant.hold")
    );
}
