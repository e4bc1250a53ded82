//! Picking people through the API.

use std::collections::BTreeSet;

use pennypost_admin::{DepartmentId, Grant, Grants, NewBusinessMailbox, Permissions, Reach};
use pennypost_directory::MailboxUsers;
use serde_json::{Value, json};

use crate::support::{OPERATOR, Office, permissions};

fn texts<'a>(found: &'a Value, kind: &str, field: &str) -> Vec<&'a str> {
    found[kind].as_array().expect("rows").iter().map(|row| row[field].as_str().expect("a text")).collect()
}

/// Feature ADM-15: departments, members, tags, groups and business mailboxes are found by name, pinyin, initials or address within the reach of who looks, and a selection of them with exceptions is told as members; public contacts can’t be picked, since there are none yet; no page yet
#[tokio::test(flavor = "multi_thread")]
async fn what_is_picked_is_found_and_told_as_members() {
    let office = Office::open().await;
    let home = office.tenant("home").await;
    let (it, domain) = (&office.administration, &home.domain);
    let key = office.key(Some(home.id), None, Permissions::of_tenant()).await;
    let ask = async |key: &str, method: &str, path: &str, body: Option<&Value>| {
        let answer = office.ask(key, method, &format!("/tenants/{}{path}", home.id), body).await;
        assert!(answer.status.is_success(), "{path}: {}", answer.text);
        answer.json()
    };
    let add = async |parent: u64, name: &str| {
        let made = ask(&key, "POST", "/departments", Some(&json!({ "parent": parent, "name": name }))).await;
        made["id"].as_u64().expect("a number")
    };
    let sales = add(1, "销售部").await;
    let south = add(sales, "华南").await;
    let other = add(1, "销毁").await;
    let person = async |local: &str, name: &str, department: u64| {
        let new = json!({
            "address": format!("{local}@{domain}"), "password": "a long password", "display_name": name,
            "departments": [department],
        });
        ask(&key, "POST", "/accounts", Some(&new)).await["id"].as_str().expect("an id").to_owned()
    };
    let wang = person("p1", "王小山", sales).await;
    let li = person("p2", "李晓声", south).await;
    let xu = person("p3", "徐霞", other).await;
    let tag = ask(&key, "POST", "/tags", Some(&json!({ "name": "项目组" }))).await["id"].clone();
    let place = format!("/tags/{tag}");
    let marked = json!({ "departments": [south], "accounts": [xu] });
    ask(&key, "PATCH", &place, Some(&marked)).await;
    let inner = format!("inner@{domain}");
    it.add_group(&OPERATOR, home.id, &inner, "小组", &[format!("p3@{domain}")]).await.expect("a group");
    let outer = format!("outer@{domain}");
    it.add_group(&OPERATOR, home.id, &outer, "Xmas", &[inner.clone(), format!("p1@{domain}")])
        .await
        .expect("a group");
    let users = MailboxUsers { accounts: [home.member.account].into(), departments: BTreeSet::default() };
    let address = format!("sales@{domain}");
    let new =
        NewBusinessMailbox { address, name: "销售".to_owned(), users, ..NewBusinessMailbox::default() };
    let desk = it.add_business_mailbox(&OPERATOR, home.id, &new).await.expect("a mailbox").key;
    let desk = desk.account.to_string();

    // By characters, pinyin, initials, and what stands before the @.
    let found = ask(&key, "GET", "/pickable?q=xiao", None).await;
    assert_eq!(found["departments"].as_array().expect("rows").len(), 2);
    assert_eq!(texts(&found, "members", "display_name"), ["王小山", "李晓声"]);
    assert_eq!(texts(&found, "groups", "name"), ["小组"]);
    assert_eq!(texts(&found, "business_mailboxes", "name"), ["销售"]);
    let found = ask(&key, "GET", "/pickable?q=hn", None).await;
    assert_eq!(found["departments"][0]["path"], json!(["销售部", "华南"]));
    let found = ask(&key, "GET", "/pickable?q=xm&kinds=tags,groups", None).await;
    assert_eq!(
        (texts(&found, "tags", "name"), texts(&found, "groups", "name")),
        (vec!["项目组"], vec!["Xmas"])
    );
    let found = ask(&key, "GET", "/pickable?q=inner%40home&kinds=groups&limit=1", None).await;
    assert_eq!(texts(&found, "groups", "address"), [inner.as_str()]);
    let found = ask(&key, "GET", "/pickable?q=%40home&kinds=groups", None).await;
    assert!(texts(&found, "groups", "address").contains(&outer.as_str()), "{found}");
    for bad in ["/pickable", "/pickable?q=x&kinds=people", "/pickable?q=x&limit=0"] {
        let path = format!("/tenants/{}{bad}", home.id);
        office.ask(&key, "GET", &path, None).await.assert_problem(400, "bad-parameter");
    }

    let meant = async |key: &str, wish: &Value| {
        let told = ask(key, "POST", "/selection", Some(wish)).await;
        let ids: Vec<String> = texts(&told, "items", "account").into_iter().map(str::to_owned).collect();
        assert_eq!((told["count"].as_u64(), &told["next"]), (Some(ids.len() as u64), &Value::Null));
        ids
    };
    assert_eq!(meant(&key, &json!({ "departments": [sales] })).await, [wang.clone(), li.clone()]);
    assert_eq!(meant(&key, &json!({ "tags": [tag] })).await, [li.clone(), xu.clone()]);
    assert_eq!(meant(&key, &json!({ "groups": [outer] })).await, [wang.clone(), xu.clone()]);
    let without =
        json!({ "departments": [sales, other], "except": { "departments": [south], "groups": [inner] } });
    assert_eq!(meant(&key, &without).await, std::slice::from_ref(&wang));
    let all = json!({ "departments": [1], "except": { "tags": [tag] } });
    let everybody = meant(&key, &all).await;
    assert!(everybody.contains(&wang) && everybody.contains(&home.member.account.to_string()));
    assert!(!everybody.contains(&li) && !everybody.contains(&xu));
    assert!(!everybody.contains(&home.deleted.account.to_string()), "it lies in the recycle bin");
    // Everybody is every member: a business mailbox is meant where it is named, by itself or by a group.
    let business = [desk.clone(), home.business.account.to_string()];
    assert!(!business.iter().any(|one| everybody.contains(one)), "{everybody:?}");
    let named = json!({ "accounts": [desk], "except": { "departments": [1] } });
    assert_eq!(meant(&key, &named).await, std::slice::from_ref(&desk));
    it.add_group(&OPERATOR, home.id, &format!("desks@{domain}"), "", &[format!("sales@{domain}")])
        .await
        .expect("a group");
    let by_group = json!({ "groups": [format!("desks@{domain}")] });
    assert_eq!(meant(&key, &by_group).await, std::slice::from_ref(&desk));
    // Who can't be reached by mail is told as such.
    let disabled = json!({ "state": "disabled" });
    let path = format!("/tenants/{}/accounts/{xu}", home.id);
    assert_eq!(office.ask(&key, "PATCH", &path, Some(&disabled)).await.status, 200);
    let told = ask(&key, "POST", "/selection", Some(&json!({ "accounts": [wang, xu] }))).await;
    let active = |at: usize| told["items"][at]["active"].clone();
    assert_eq!((active(0), active(1)), (json!(true), json!(false)), "{told}");
    assert_eq!(meant(&key, &json!({})).await, [""; 0]);

    // Page by page.
    let (mut found, mut after) = (Vec::new(), String::new());
    loop {
        let page = ask(&key, "POST", &format!("/selection?limit=2{after}"), Some(&all)).await;
        assert_eq!(page["count"], everybody.len());
        found.extend(texts(&page, "items", "account").into_iter().map(str::to_owned));
        let Some(next) = page["next"].as_str() else { break };
        after = format!("&after={next}");
    }
    assert_eq!(found, everybody);

    let place = format!("/tenants/{}/selection", home.id);
    for missing in [json!({ "tags": [99] }), json!({ "groups": [format!("nobody@{domain}")] })] {
        office.ask(&key, "POST", &place, Some(&missing)).await.assert_problem(404, "not-found");
    }
    let many = json!({ "departments": (1..1_002).collect::<Vec<_>>() });
    office.ask(&key, "POST", &place, Some(&many)).await.assert_problem(422, "invalid");
    let many = json!({ "tags": (1..52).collect::<Vec<_>>() });
    office.ask(&key, "POST", &place, Some(&many)).await.assert_problem(422, "invalid");
    // Who sees nobody but himself picks nobody.
    let member = office.session(home.member).await;
    let himself = json!({ "accounts": [home.member.account.to_string()] });
    office.ask(&member, "POST", &place, Some(&himself)).await.assert_problem(403, "no-permission");

    // Who administers one department picks there.
    let account = office.account(home.id, format!("warden@{domain}")).await;
    let role =
        it.add_role(&OPERATOR, home.id, "warden", permissions(&["members:write"])).await.expect("role");
    let reach = Reach::Departments([DepartmentId(u32::try_from(south).expect("small"))].into());
    let grants = Grants { is_super: false, roles: vec![Grant { role: role.id, reach }] };
    it.change_grants(&OPERATOR, account, &Grants::default(), grants).await.expect("granted");
    let warden = office.key(Some(home.id), Some(account), Permissions::of_tenant()).await;
    assert_eq!(
        meant(&warden, &json!({ "departments": [1], "accounts": [wang] })).await,
        [li.as_str(), &account.account.to_string()]
    );
    let found = ask(&warden, "GET", "/pickable?q=x", None).await;
    assert_eq!(texts(&found, "members", "display_name"), ["李晓声"]);
    // The department above his is seen in paths, and is not his to pick.
    assert_eq!(found["departments"], json!([]));
    let own = ask(&warden, "GET", "/pickable?q=hn", None).await;
    assert_eq!(own["departments"][0]["path"], json!(["销售部", "华南"]));
    assert_eq!((found["tags"].clone(), found["groups"].clone()), (json!([]), json!([])));
    office
        .ask(&warden, "POST", &place, Some(&json!({ "tags": [tag] })))
        .await
        .assert_problem(403, "out-of-reach");
}
