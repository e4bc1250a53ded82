//! The authorisation walk: every route of the document, by every kind of caller, at home and abroad. Routes are taken from
//! the OpenAPI document: one that nobody has thought of here fails the test.

mod support;

use std::collections::BTreeMap;

use pennypost_admin::{Action, Actor, Authority, Decision, Permissions, Scope, Target, authorise};
use pennypost_api::rest::document;
use pennypost_model::TenantId;
use serde_json::{Value, json};

use support::{OPERATOR, Office, Tenant, permissions};

/// A route of the document.
struct Route {
    name: String,
    method: String,
    path: String,
    action: Option<Action>,
    has_body: bool,
}

/// Routes, those that only look first, those that remove last.
fn routes() -> Vec<Route> {
    let document = document();
    let mut routes = Vec::new();
    for (path, methods) in document["paths"].as_object().expect("paths") {
        for (method, operation) in methods.as_object().expect("methods") {
            let action = operation["x-pennypost-action"].as_str();
            let named = |name: &str| Action::ALL.iter().copied().find(|action| action.name() == name);
            routes.push(Route {
                name: operation["operationId"].as_str().expect("a name").to_owned(),
                method: method.to_uppercase(),
                path: path.clone(),
                action: action.map(|name| named(name).expect("an action")),
                has_body: operation.get("requestBody").is_some(),
            });
        }
    }
    let rank = |method: &str| ["GET", "POST", "PATCH", "PUT", "DELETE"].iter().position(|one| *one == method);
    routes.sort_by_key(|route| rank(&route.method));
    assert!(routes.len() >= 45, "{}", routes.len());
    routes
}

/// A body that a permitted caller succeeds with.
fn body(route: &Route, of: &Tenant) -> Option<Value> {
    if !route.has_body {
        return None;
    }
    let domain = &of.domain;
    let clients = json!({
        "imap": { "open": true, "range": "year", "folders": null, "junk": null },
        "pop3": { "open": null, "range": null, "folders": null, "junk": null },
        "passwords": null, "pop3_deletes": null,
    });
    Some(match route.name.as_str() {
        "add-tenant" => json!({ "name": format!("new {:016x}", rand::random::<u64>()) }),
        "change-tenant" => json!({ "state": "active" }),
        "add-domain" => json!({ "name": format!("new{domain}") }),
        "change-domain" => json!({ "catch_all": format!("member@{domain}") }),
        "add-account" => json!({ "address": format!("new@{domain}"), "password": "a long password" }),
        "change-account" => json!({ "quota_bytes": 7_000_000 }),
        "set-password" => json!({ "password": "another long password" }),
        "change-tenant-clients" | "change-account-clients" => clients,
        "add-token" => json!({ "name": "new" }),
        "add-alias" => {
            json!({ "address": format!("new-alias@{domain}"), "targets": [format!("member@{domain}")] })
        }
        "add-group" => json!({ "address": format!("new-group@{domain}"), "members": [] }),
        "change-group" => json!({ "members": [format!("chief@{domain}")] }),
        "change-policy" => json!({
            "blacklist": ["spam.example"], "whitelist": [], "subject_filter": [], "dmarc_reject": true,
            "junk_threshold": 40,
        }),
        "add-role" => json!({ "name": "new", "permissions": ["groups:read"] }),
        "change-role" => json!({ "name": "spare", "permissions": ["groups:write"] }),
        "change-grants" => json!({ "super": false, "roles": [] }),
        "change-creator" => json!({ "account": of.creator.account.to_string() }),
        "add-key" => json!({ "name": "new", "permissions": ["groups:read"] }),
        "add-operator-key" => json!({ "name": "new", "permissions": ["installation:read"] }),
        other => panic!("what is the body of {other}?"),
    })
}

/// The path with objects of a tenant, below some tenant.
fn path(route: &Route, below: &str, of: &Tenant) -> String {
    let mut path = route.path.replace("{tenant}", below);
    for (name, word) in words(of) {
        path = path.replace(&format!("{{{name}}}"), &word);
    }
    assert!(!path.contains('{'), "what is in {path}?");
    path
}

fn words(of: &Tenant) -> BTreeMap<&'static str, String> {
    BTreeMap::from([
        ("account", of.member.account.to_string()),
        ("domain", of.domain.clone()),
        ("alias", format!("alias@{}", of.domain)),
        ("group", format!("group@{}", of.domain)),
        ("role", of.role.clone()),
        ("key", of.key.clone()),
        ("token", of.token.clone()),
    ])
}

/// Everything by which the tenant could be known.
fn marks(of: &Tenant) -> Vec<String> {
    let accounts = [of.creator, of.chief, of.graded, of.member].map(|key| key.account.to_string());
    let mut marks =
        vec![of.id.to_string(), of.name.clone(), of.role.clone(), of.key.clone(), of.token.clone()];
    marks.extend(accounts);
    marks
}

/// Everything that the tenant has.
async fn state(office: &Office, of: &Tenant) -> String {
    let it = &office.administration;
    let page = Default::default();
    let mut state = format!("{:?}", it.tenant(&OPERATOR, of.id).await);
    state += &format!("{:?}", it.domains(&OPERATOR, of.id, &page).await);
    state += &format!("{:?}", it.accounts(&OPERATOR, of.id, &page).await);
    state += &format!("{:?}", it.tokens(&OPERATOR, of.member).await);
    state += &format!("{:?}", it.aliases(&OPERATOR, of.id, &page).await);
    state += &format!("{:?}", it.groups(&OPERATOR, of.id, &page).await);
    state += &format!("{:?}", it.policy(&OPERATOR, of.id).await);
    state += &format!("{:?}", it.roles(&OPERATOR, of.id).await);
    state += &format!("{:?}", it.grants(&OPERATOR, of.id, &page).await);
    state += &format!("{:?}", it.creator(&OPERATOR, of.id).await);
    let keys = it.keys(&OPERATOR, Some(of.id), &page).await.expect("keys").items;
    // When one was used changes.
    state += &format!("{:?}", keys.iter().map(|key| (key.id, &key.permissions)).collect::<Vec<_>>());
    state
}

/// Callers of a tenant: name and key.
async fn callers(office: &Office, of: &Tenant) -> Vec<(&'static str, String)> {
    let (id, all) = (Some(of.id), Permissions::of_tenant);
    let mut callers = Vec::new();
    for (name, account) in
        [("creator", of.creator), ("super", of.chief), ("graded", of.graded), ("member", of.member)]
    {
        callers.push((name, office.key(id, Some(account), all()).await));
    }
    callers.push(("service", office.key(id, None, all()).await));
    callers.push(("log reader", office.key(id, None, permissions(&["log:read"])).await));
    callers.push(("members' reader", office.key(id, None, permissions(&["members:read"])).await));
    callers.push((
        "super with a key for groups",
        office.key(id, Some(of.chief), permissions(&["groups:write"])).await,
    ));
    callers
}

/// What is another tenant's is as what is nobody's, for everybody and everywhere.
#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_told_or_changed_abroad() {
    let office = Office::open().await;
    let (ours, theirs) = (office.tenant("ours").await, office.tenant("theirs").await);
    let nobody = TenantId(rand::random());
    let before = state(&office, &theirs).await;
    let mut asked = 0;
    for (name, key) in callers(&office, &ours).await {
        for route in routes() {
            let told = |answer: &support::Answer| (answer.status.as_u16(), answer.text.clone());
            let shown = format!("{} by {name}", route.name);
            let body = body(&route, &theirs);
            if route.path.contains("{tenant}") {
                // Below their tenant.
                let abroad = path(&route, &theirs.id.to_string(), &theirs);
                let answer = office.ask(&key, &route.method, &abroad, body.as_ref()).await;
                let nowhere = path(&route, &nobody.to_string(), &theirs);
                let missing = office.ask(&key, &route.method, &nowhere, body.as_ref()).await;
                assert_eq!(told(&answer), told(&missing), "{shown}");
                answer.assert_problem(404, "not-found");
                asked += 2;
                // Below one's own, with the names of their objects.
                let inside = path(&route, &ours.id.to_string(), &theirs);
                let names_an_object = inside.matches('/').count() > 3;
                let gives_an_address = ["add-account", "add-alias", "add-group"].contains(&&*route.name);
                if names_an_object || gives_an_address {
                    let answer = office.ask(&key, &route.method, &inside, body.as_ref()).await;
                    let missing = if names_an_object { 404 } else { 422 };
                    assert!(
                        [403, missing].contains(&answer.status.as_u16()),
                        "{shown}: {} {}",
                        answer.status,
                        answer.text
                    );
                    asked += 1;
                    leaks(&answer.text, &theirs, &shown);
                }
                leaks(&missing.text, &theirs, &shown);
                leaks(&answer.text, &theirs, &shown);
            } else {
                let own = path(&route, "", &theirs);
                let answer = office.ask(&key, &route.method, &own, body.as_ref()).await;
                let expected = if route.action.is_none() { 200 } else { 403 };
                assert_eq!(answer.status.as_u16(), expected, "{shown}: {}", answer.text);
                leaks(&answer.text, &theirs, &shown);
                asked += 1;
            }
        }
    }
    assert!(asked > 700, "{asked}");
    assert_eq!(state(&office, &theirs).await, before);
    assert_eq!(office.administration.check_operations(Some(ours.id)).await.expect("reads").wrong, [""; 0]);
}

#[track_caller]
fn leaks(text: &str, of: &Tenant, shown: &str) {
    for mark in marks(of) {
        // What the caller has said himself may be said back.
        assert!(!text.contains(&mark), "{shown} tells {mark}: {text}");
    }
}

/// At home each may do what the table says: all of it, and nothing else.
#[tokio::test(flavor = "multi_thread")]
async fn everybody_does_what_the_table_says() {
    let office = Office::open().await;
    let (mut permitted, mut refused) = (0, 0);
    for n in 0..10 {
        let home = office.tenant("home").await;
        let mut callers = callers(&office, &home).await;
        callers.push(("operator", office.key(None, None, Permissions::all()).await));
        callers.push(("installer", office.key(None, None, permissions(&["installation:write"])).await));
        let (name, key) = callers.swap_remove(n);
        let actor = office.administration.authenticate(&key).await.expect("a key");
        for route in routes() {
            let shown = format!("{} by {name}", route.name);
            let body = body(&route, &home);
            let path = path(&route, &home.id.to_string(), &home);
            let before = state(&office, &home).await;
            let answer = office.ask(&key, &route.method, &path, body.as_ref()).await;
            let status = answer.status.as_u16();
            if may(&actor, &route, &home) {
                // A role that was removed, a key that was revoked: what was there a moment ago.
                let is_operators = route.path.starts_with("/keys/");
                let expected = if is_operators { 404..=404 } else { 200..=204 };
                assert!(expected.contains(&status), "{shown}: {status} {}", answer.text);
                permitted += 1;
            } else {
                assert_eq!(status, 403, "{shown}: {}", answer.text);
                assert_eq!(state(&office, &home).await, before, "{shown}");
                refused += 1;
            }
        }
        let checked = office.administration.check_operations(Some(home.id)).await.expect("reads");
        assert_eq!(checked.wrong, [""; 0]);
    }
    assert!(permitted > 150 && refused > 150, "{permitted} {refused}");
}

/// What the table says of an ordinary object of the tenant.
fn may(actor: &Actor, route: &Route, home: &Tenant) -> bool {
    let Some(action) = route.action else { return true };
    let plain = Authority::default();
    let scope = match action.target() {
        Target::Installation => Scope::Installation,
        Target::Tenant => Scope::Tenant(home.id),
        Target::Account if route.name == "list-accounts" => Scope::SomeAccount(home.id),
        Target::Account if action == Action::AccountAdd => {
            Scope::NewAccount { tenant: home.id, departments: &[] }
        }
        Target::Account => Scope::Account { key: home.member, departments: &[], authority: &plain },
    };
    authorise(actor, action, &scope) == Decision::Allow
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_key_nothing_opens() {
    let office = Office::open().await;
    let home = office.tenant("home").await;
    let good = office.key(Some(home.id), None, Permissions::of_tenant()).await;
    let before = state(&office, &home).await;
    let altered = format!("{}{}", &good[..good.len() - 1], if good.ends_with('0') { '1' } else { '0' });
    for route in routes() {
        let path = path(&route, &home.id.to_string(), &home);
        let body = body(&route, &home);
        let answer = office.ask("", &route.method, &path, body.as_ref()).await;
        answer.assert_problem(401, "unauthorised");
        assert_eq!(answer.header("www-authenticate"), "Bearer realm=\"pennypost\"");
    }
    for bad in ["x", "ppk_", altered.as_str()] {
        office.ask(bad, "GET", "/me", None).await.assert_problem(401, "unauthorised");
    }
    assert_eq!(state(&office, &home).await, before);
}

/// Whom a group or an alias names: another tenant's people are as nobody.
#[tokio::test(flavor = "multi_thread")]
async fn people_abroad_are_nobody() {
    let office = Office::open().await;
    let (ours, theirs) = (office.tenant("ours").await, office.tenant("theirs").await);
    let key = office.key(Some(ours.id), None, Permissions::of_tenant()).await;
    let domain = &ours.domain;
    for (method, place, body) in [
        ("POST", "/groups".to_owned(), json!({ "address": format!("g@{domain}"), "members": ["WHO"] })),
        ("PATCH", format!("/groups/group@{domain}"), json!({ "members": ["WHO"] })),
        ("POST", "/aliases".to_owned(), json!({ "address": format!("a@{domain}"), "targets": ["WHO"] })),
        ("PATCH", format!("/domains/{domain}"), json!({ "catch_all": "WHO" })),
    ] {
        let mut told = Vec::new();
        for who in [
            format!("member@{}", theirs.domain),
            "member@nowhere.example".to_owned(),
            format!("nobody@{domain}"),
        ] {
            let body: Value = serde_json::from_str(&body.to_string().replace("WHO", &who)).expect("JSON");
            let path = format!("/tenants/{}{place}", ours.id);
            let answer = office.ask(&key, method, &path, Some(&body)).await;
            answer.assert_problem(422, "unknown-reference");
            told.push(answer.text);
        }
        assert!(told.iter().all(|text| *text == told[0]), "{told:?}");
    }
}
