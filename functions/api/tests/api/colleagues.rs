//! What members see of their organisation through the API.

use pennypost_admin::Permissions;
use serde_json::{Value, json};

use crate::support::Office;

/// As it stands in an address.
fn encoded(text: &str) -> String {
    let shown = |byte: u8| match byte {
        b'a'..=b'z' | b'0'..=b'9' | b'.' | b'@' | b'-' => char::from(byte).to_string(),
        other => format!("%{other:02X}"),
    };
    text.bytes().map(shown).collect()
}

/// Feature GRP-09: a group is shared or not; shared ones that take mail are in the directory that members see, found by name, pinyin, initials and address, without whom they name
/// Feature CON-01 (part): the tree, who is in a department, and colleagues found by name, pinyin, initials and address, over the API; no page yet, nothing is copied into an own address book
#[tokio::test(flavor = "multi_thread")]
async fn members_see_colleagues_and_shared_groups() {
    let office = Office::unhurried().await;
    let home = office.tenant("home").await;
    let other = office.tenant("other").await;
    let admin = office.key(Some(home.id), None, Permissions::of_tenant()).await;
    let member = office.session(home.member).await;
    let own = format!("/tenants/{}/accounts/{}/directory", home.id, home.member.account);
    let see = async |path: &str| {
        let answer = office.ask(&member, "GET", &format!("{own}{path}"), None).await;
        assert_eq!(answer.status, 200, "{path}: {}", answer.text);
        answer.json()["items"].as_array().expect("rows").clone()
    };
    let of = |rows: &[Value], name: &str| -> Vec<String> {
        rows.iter().map(|row| row[name].as_str().expect("text").to_owned()).collect()
    };
    let change = async |method: &str, path: &str, body: Value| {
        let path = format!("/tenants/{}{path}", home.id);
        let answer = office.ask(&admin, method, &path, Some(&body)).await;
        assert!(answer.status.is_success(), "{path}: {}", answer.text);
        answer.json()
    };

    let person = format!("/accounts/{}/profile", home.leavers[0].account);
    let said = json!({ "display_name": "王小明", "title": "工程师", "note": "secret", "departments": [home.department] });
    change("PATCH", &person, said).await;
    let colleague = json!({
        "address": format!("leaver1@{}", home.domain), "name": "王小明", "title": "工程师", "phone": "",
        "departments": [home.department],
    });
    for q in ["王", "小明", "wangx", "wxm", "leaver1"] {
        assert!(see(&format!("/people?q={}", encoded(q))).await.contains(&colleague), "{q}");
    }
    assert_eq!(see(&format!("/people?department={}", home.department)).await, [colleague]);
    let all = of(&see("/people").await, "address");
    assert!(all.contains(&format!("chief@{}", home.domain)), "{all:?}");
    // Nobody who has gone, and no mailbox of a function.
    for gone in ["deleted", "unbound", "business"] {
        assert!(!all.contains(&format!("{gone}@{}", home.domain)), "{all:?}");
    }
    change("PATCH", &format!("/accounts/{}", home.leavers[0].account), json!({ "state": "disabled" })).await;
    assert!(see("/people?q=wxm").await.is_empty());
    let departments = see("/departments").await;
    let names: Vec<(&Value, &Value)> = departments.iter().map(|one| (&one["level"], &one["name"])).collect();
    assert_eq!(names, [(&json!(0), &json!("")), (&json!(1), &json!("研发"))]);

    assert!(see("/groups").await.is_empty());
    let group = format!("市场部@{}", home.domain);
    change("POST", "/groups", json!({ "address": group, "name": "市场部", "members": [] })).await;
    let rules = format!("/groups/group@{}/rules", home.domain);
    change("PUT", &rules, json!({ "senders": "everyone", "shared": true })).await;
    let market = format!("/groups/{}/rules", encoded(&group));
    change("PUT", &market, json!({ "senders": "inside", "shared": true })).await;
    let seen = see("/groups").await;
    assert_eq!(of(&seen, "name"), ["", "市场部"]);
    assert!(seen.iter().all(|row| row.as_object().is_some_and(|row| row.len() == 2)), "{seen:?}");
    for q in ["scb", "shichang", "市", "部"] {
        assert_eq!(of(&see(&format!("/groups?q={}", encoded(q))).await, "name"), ["市场部"], "{q}");
    }
    change("PUT", &market, json!({ "senders": "inside", "shared": true, "disabled": true })).await;
    assert!(see("/groups?q=scb").await.is_empty());
    // The group of a department bears its name, whatever that becomes.
    let made =
        change("POST", &format!("/departments/{}/group", home.department), json!({ "domain": home.domain }))
            .await;
    let followed = format!("/groups/{}/rules", made["address"].as_str().expect("an address"));
    let mut rules = office.ask(&admin, "GET", &format!("/tenants/{}{followed}", home.id), None).await.json();
    rules["shared"] = true.into();
    change("PUT", &followed, rules).await;
    change("PATCH", &format!("/departments/{}", home.department), json!({ "name": "研究" })).await;
    assert_eq!(of(&see("/groups?q=yanjiu").await, "name"), ["研究"]);

    // One's own view only, and one's own organisation.
    let path = format!("/tenants/{}/accounts/{}/directory/people", home.id, home.chief.account);
    office.ask(&member, "GET", &path, None).await.assert_problem(403, "no-permission");
    let path = format!("/tenants/{}/accounts/{}/directory/people", other.id, other.member.account);
    office.ask(&member, "GET", &path, None).await.assert_problem(404, "not-found");
    for bad in ["/people?department=x", "/people?q=a&department=1"] {
        office.ask(&member, "GET", &format!("{own}{bad}"), None).await.assert_problem(400, "bad-parameter");
    }
    office
        .ask(&member, "GET", &format!("{own}/people?department=77"), None)
        .await
        .assert_problem(422, "unknown-reference");
}
