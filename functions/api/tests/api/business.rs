//! Business mailboxes through the API: made, used, taken away; and what their users do themselves.

use pennypost_admin::Permissions;
use pennypost_directory::{AccountState, NewDepartment, SignInError, SignInKind};
use serde_json::{Value, json};

use crate::support::{Office, permissions};

/// Feature BIZ-01: a mailbox that is no person's: no password, no personal data, no department; used by members whom the administrator chooses; it holds what the plan gives, 1 GB without one, or less if he says so
/// Feature BIZ-02: added with name, address and users, members and departments with those below; each user is told by a letter
/// Feature BIZ-04: name and users changed, with If-Match, or one by one; a withdrawn one keeps its users for when it comes back, and only loses some
/// Feature BIZ-06: the business mailboxes that a member uses are listed; in webmail not yet
#[tokio::test(flavor = "multi_thread")]
async fn administrators_say_who_uses_a_business_mailbox() {
    let office = Office::open().await;
    let home = office.tenant("home").await;
    let key = office.key(Some(home.id), None, Permissions::of_tenant()).await;
    let at = format!("/tenants/{}", home.id);
    let (creator, member) = (home.creator.account.to_string(), home.member.account.to_string());
    let ask = async |method: &str, path: &str, body: &Value| {
        office.ask(&key, method, &format!("{at}{path}"), Some(body)).await
    };
    let get = async |path: &str| office.ask(&key, "GET", &format!("{at}{path}"), None).await;

    let new = json!({
        "address": format!("sales@{}", home.domain), "name": "Sales",
        "users": { "accounts": [member], "departments": [home.department] },
    });
    let below = NewDepartment { path: "研发/Tests".to_owned(), description: String::new() };
    let directory = office.administration.directory();
    let tree = directory.ensure_departments(home.id, &[below], false).await.expect("departments").tree;
    let below = vec![tree.find("研发/Tests").expect("there")];
    directory.set_departments(home.graded, &below).await.expect("moved");
    office.letters().await;
    let made = ask("POST", "/business-mailboxes", &new).await;
    assert_eq!(made.status, 201, "{}", made.text);
    // Who uses it by himself, and who does as one of a department or of one below it: one letter, no user twice.
    let [(to, text)] = &office.letters().await[..] else { panic!("one letter") };
    let mut to = to.clone();
    to.sort();
    assert_eq!(to, [format!("graded@{}", home.domain), format!("member@{}", home.domain)]);
    assert!(text.contains("Sales") && text.contains(&format!("sales@{}", home.domain)), "{text}");
    let mailbox = made.json();
    assert_eq!((&mailbox["business"], &mailbox["quota_bytes"]), (&json!(true), &Value::Null));
    let stored = office.administration.directory().account_at(&format!("sales@{}", home.domain)).await;
    let stored = stored.expect("directory").expect("a mailbox");
    assert_eq!(stored.capacity(None), 1_000_000_000);
    assert_eq!((&mailbox["display_name"], &mailbox["departments"]), (&json!("Sales"), &json!([])));
    let id = mailbox["id"].as_str().expect("an id");
    assert!(made.header("location").ends_with(&format!("/accounts/{id}")));
    let of = |rest: &str| format!("/accounts/{id}{rest}");
    ask("POST", "/business-mailboxes", &new).await.assert_problem(409, "taken");

    // Whoever can't be a user leaves nothing behind.
    for users in [
        json!({ "accounts": ["00000000000000ff"] }),
        json!({ "departments": [4_000_000] }),
        json!({ "accounts": [id] }),
    ] {
        let wrong = json!({ "address": format!("other@{}", home.domain), "users": users });
        let refused = ask("POST", "/business-mailboxes", &wrong).await;
        assert!([409, 422].contains(&refused.status.as_u16()), "{}", refused.text);
    }
    // Nor do more than there may be, though each of them could.
    let paths: Vec<NewDepartment> = (0..501)
        .map(|number| NewDepartment { path: format!("d{number}"), description: String::new() })
        .collect();
    let grown = office.administration.directory().ensure_departments(home.id, &paths, false).await;
    let tree = grown.expect("departments").tree;
    let many: Vec<u32> = paths.iter().map(|new| tree.find(&new.path).expect("there").0).collect();
    let strangers: Vec<String> = (0..501).map(|number| format!("{number:016x}")).collect();
    for users in [json!({ "departments": many }), json!({ "accounts": strangers })] {
        let wrong = json!({ "address": format!("other@{}", home.domain), "users": users });
        ask("POST", "/business-mailboxes", &wrong).await.assert_problem(422, "invalid");
    }
    let found = get(&format!("/accounts?address=other@{}", home.domain)).await;
    assert_eq!(found.json()["items"], json!([]));

    // Nothing of a person.
    ask("PUT", &of("/password"), &json!({ "password": "a long password" }))
        .await
        .assert_problem(409, "other-state");
    for profile in [json!({ "mobile": "+8613800138000" }), json!({ "departments": [home.department] })] {
        ask("PATCH", &of("/profile"), &profile).await.assert_problem(409, "other-state");
    }
    let renamed = ask("PATCH", &of("/profile"), &json!({ "display_name": "销售" })).await;
    assert_eq!(renamed.status, 200, "{}", renamed.text);

    // Users as a whole, by whoever has seen them, and one by one.
    let seen = get(&of("/users")).await;
    assert_eq!(seen.json(), json!({ "accounts": [member], "departments": [home.department] }));
    let path = format!("{at}{}", of("/users"));
    let with = [("if-match", seen.header("etag"))];
    let nobody = json!({ "accounts": [] });
    let changed = office.ask_with(&key, "PUT", &path, &with, Some(&nobody)).await;
    assert_eq!(
        (changed.status.as_u16(), changed.json()),
        (200, json!({ "accounts": [], "departments": [] }))
    );
    assert_eq!(office.letters().await, []);
    office.ask_with(&key, "PUT", &path, &with, Some(&nobody)).await.assert_problem(412, "changed");
    office
        .ask_with(&key, "PUT", &path, &[], Some(&nobody))
        .await
        .assert_problem(428, "precondition-required");
    for _ in 0..2 {
        let added = ask("POST", &of("/users"), &json!({ "accounts": [member, creator] })).await;
        assert_eq!(added.json()["accounts"].as_array().map(Vec::len), Some(2), "{}", added.text);
    }
    let out = office.ask(&key, "DELETE", &format!("{path}/{creator}"), None).await;
    assert_eq!(out.status, 204, "{}", out.text);
    assert_eq!(get(&of("/users")).await.json()["accounts"], json!([member]));
    let departments = json!({ "departments": [many[0], many[1]] });
    assert_eq!(ask("POST", &of("/users"), &departments).await.status, 200);
    let out = office.ask(&key, "DELETE", &format!("{path}/departments/{}", many[0]), None).await;
    assert_eq!(out.status, 204, "{}", out.text);
    let left = get(&of("/users")).await.json();
    assert_eq!(left, json!({ "accounts": [member], "departments": [many[1]] }));
    let members = json!({ "accounts": [member] });
    ask("POST", &format!("/accounts/{creator}/users"), &members).await.assert_problem(409, "other-state");
    ask("POST", &of("/users"), &json!({ "departments": many })).await.assert_problem(422, "invalid");

    // What a member uses; withdrawn it is nobody's, and comes back with its users.
    let used = async |account: &str| {
        let listed = get(&format!("/accounts/{account}/business-mailboxes")).await.json();
        let rows = listed["items"].as_array().expect("items").clone();
        rows.iter().any(|row| row["id"] == json!(id) && row["name"] == json!("销售"))
    };
    assert!(used(&member).await && !used(&creator).await);
    let withdrawn = office.ask(&key, "POST", &format!("{at}{}", of("/withdrawal")), None).await;
    assert_eq!(withdrawn.status, 204, "{}", withdrawn.text);
    assert!(!used(&member).await);
    // Nobody is let in meanwhile; who is thrown out stays out.
    ask("POST", &of("/users"), &json!({ "accounts": [creator] })).await.assert_problem(409, "other-state");
    let out = office.ask(&key, "DELETE", &format!("{path}/departments/{}", many[1]), None).await;
    assert_eq!(out.status, 204, "{}", out.text);
    let back = office.ask(&key, "POST", &format!("{at}{}", of("/restore")), None).await;
    assert_eq!(back.status, 200, "{}", back.text);
    assert!(used(&member).await);
    assert_eq!(get(&of("/users")).await.json(), json!({ "accounts": [member], "departments": [] }));
    let person = office.ask(&key, "POST", &format!("{at}/accounts/{member}/withdrawal"), None).await;
    person.assert_problem(409, "other-state");
    let operations = async |action: &str| {
        let log = get("/operations?limit=500").await.json();
        let records = log["items"].as_array().expect("items").clone();
        records.iter().filter(|record| record["action"] == action).count()
    };
    assert!(operations("business.add").await > 0);
    // What is so already is none.
    let before = operations("mailbox-users.change").await;
    assert!(before > 0);
    assert_eq!(ask("POST", &of("/users"), &json!({ "accounts": [member] })).await.status, 200);
    let gone = office.ask(&key, "DELETE", &format!("{path}/{creator}"), None).await;
    assert_eq!(gone.status, 204, "{}", gone.text);
    assert_eq!(operations("mailbox-users.change").await, before);

    // Who only reads changes nothing.
    let reader = office.key(Some(home.id), None, permissions(&["members:read"])).await;
    office.ask(&reader, "POST", &path, Some(&members)).await.assert_problem(403, "no-permission");
}

/// Feature BIZ-07: a user makes, lists and revokes his passwords for mail programs of a business mailbox; no page yet
#[tokio::test(flavor = "multi_thread")]
async fn users_make_their_own_passwords_for_mail_programs() {
    let office = Office::open().await;
    let home = office.tenant("home").await;
    let member = office.session(home.member).await;
    let chief = office.session(home.chief).await;
    let mailbox = home.business.account;
    let place = |account: &str| {
        format!("/tenants/{}/accounts/{account}/business-mailboxes/{mailbox}/tokens", home.id)
    };
    let (own, others) = (place(&home.member.account.to_string()), place(&home.chief.account.to_string()));
    let new = json!({ "name": "phone", "scope": ["imap"] });
    let made = office.ask(&member, "POST", &own, Some(&new)).await;
    assert_eq!(made.status, 201, "{}", made.text);
    let made = made.json();
    assert_eq!(made["user"], json!(home.member.account.to_string()));
    let opens = async || {
        let attempt = pennypost_directory::Attempt::new(SignInKind::Imap, "LOGIN", [192, 0, 2, 1].into());
        let text = made["token"].as_str().expect("a token");
        let login = format!("business@{}", home.domain);
        office.administration.directory().sign_in(&attempt, &login, text).await
    };
    assert_eq!(opens().await.expect("opens").account.key, home.business);
    // The one that was there, and this one; of nobody else's mailbox, nor of one that he does not use.
    let listed = office.ask(&member, "GET", &own, None).await.json();
    assert_eq!(listed["items"].as_array().map(Vec::len), Some(2), "{listed}");
    office.ask(&member, "GET", &others, None).await.assert_problem(403, "no-permission");
    office.ask(&chief, "POST", &others, Some(&new)).await.assert_problem(404, "not-found");
    let elsewhere = own.replace(&mailbox.to_string(), &home.chief.account.to_string());
    office.ask(&member, "POST", &elsewhere, Some(&new)).await.assert_problem(404, "not-found");
    // Nobody else makes one in his name, who would read the mailbox by it; they see and revoke what he has made.
    let creator = office.session(home.creator).await;
    let admin = office.key(Some(home.id), None, Permissions::of_tenant()).await;
    let own_key = office.key(Some(home.id), Some(home.member), Permissions::of_tenant()).await;
    for who in [&creator, &admin, &own_key] {
        office.ask(who, "POST", &own, Some(&new)).await.assert_problem(403, "no-permission");
    }
    let spare = format!("{own}/{}", home.business_token);
    assert_eq!(office.ask(&admin, "GET", &own, None).await.json()["items"], listed["items"]);
    assert_eq!(office.ask(&admin, "DELETE", &spare, None).await.status, 204);
    // Nobody opens a session as the mailbox; a key of the person that a mailbox was opens nothing any more.
    let portal = office.key(Some(home.id), None, permissions(&["sign-on:write"])).await;
    let tickets = format!("/tenants/{}/accounts/{mailbox}/tickets", home.id);
    office.ask(&portal, "POST", &tickets, None).await.assert_problem(409, "other-state");
    let session = office.session(home.business).await;
    office.ask(&session, "GET", "/me", None).await.assert_problem(401, "unauthorised");
    let leaver = home.leavers[2];
    let key = office.key(Some(home.id), Some(leaver), permissions(&["members:read"])).await;
    assert_eq!(office.ask(&key, "GET", "/me", None).await.status, 200);
    let directory = office.administration.directory();
    directory.convert_to_business(leaver, "desk").await.expect("converted");
    office.ask(&key, "GET", "/me", None).await.assert_problem(401, "unauthorised");

    for number in 2..=10 {
        let more = json!({ "name": format!("phone {number}") });
        assert_eq!(office.ask(&member, "POST", &own, Some(&more)).await.status, 201);
    }
    office.ask(&member, "POST", &own, Some(&new)).await.assert_problem(422, "invalid");
    let revoked = format!("{own}/{}", made["id"].as_str().expect("an id"));
    assert_eq!(office.ask(&member, "DELETE", &revoked, None).await.status, 204);
    assert_eq!(opens().await.expect_err("revoked"), SignInError::Denied);
    office.ask(&member, "DELETE", &revoked, None).await.assert_problem(404, "not-found");
    // Of a mailbox that is closed he still sees and revokes his own, but makes none.
    directory.set_account_state(home.business, AccountState::Disabled).await.expect("disabled");
    let seen = office.ask(&member, "GET", &own, None).await.json();
    let theirs = seen["items"].as_array().expect("items").clone();
    assert_eq!(theirs.len(), 9);
    let one = format!("{own}/{}", theirs[0]["id"].as_str().expect("an id"));
    assert_eq!(office.ask(&member, "DELETE", &one, None).await.status, 204);
    office.ask(&member, "POST", &own, Some(&new)).await.assert_problem(404, "not-found");
    directory.set_account_state(home.business, AccountState::Active).await.expect("enabled");
    // Who is out has no token left.
    let user = format!("/tenants/{}/accounts/{mailbox}/users/{}", home.id, home.member.account);
    assert_eq!(office.ask(&admin, "DELETE", &user, None).await.status, 204);
    let left = office.administration.directory().tokens(home.business).await.expect("tokens");
    assert!(left.is_empty(), "{left:?}");
    office.ask(&member, "GET", &own, None).await.assert_problem(404, "not-found");
}
