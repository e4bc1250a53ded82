//! The authorisation walk: every route of the document, by every kind of caller, at home and abroad. Routes are taken from
//! the OpenAPI document: one that nobody has thought of here fails the test.
//!
//! Feature TEN-10 (part): suspending and resuming tenants and accounts over the admin API too
//! Feature ADM-12: every operation of the API is checked; refusals in English and Chinese

use std::collections::BTreeMap;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use pennypost_admin::{Action, Actor, Authority, Decision, Permissions, Scope, Target, authorise};
use pennypost_api::rest::document;
use pennypost_model::{AccountKey, TenantId};
use pennypost_ports::{Clock, SystemClock};
use serde_json::{Value, json};

use crate::support::{OPERATOR, Office, Tenant, permissions};

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
            // Doors, where one comes in without a key, have tests of their own.
            if operation["security"] == json!([]) {
                continue;
            }
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
    // Who has left is not there any more.
    routes.sort_by_key(|route| (route.name == "leave", rank(&route.method)));
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
        "change-plan" => {
            let functions = ["api", "graded-administrators", "address-rules"];
            json!({ "edition": "pro", "functions": functions, "vip_seats": 2 })
        }
        "set-vip" => json!({ "vip": false }),
        "change-account" => json!({ "quota_bytes": 7_000_000 }),
        "set-password" => json!({ "password": "another long password" }),
        "change-tenant-clients" | "change-account-clients" => clients,
        "add-token" => json!({ "name": "new" }),
        "change-member-rules" => json!({ "blacklist": ["spam.example"], "rules": [{
            "name": "new", "conditions": ["to-me"], "actions": ["flag"],
        }] }),
        "try-member-rules" => json!({ "rules": null }),
        "run-member-rules" => json!({ "folder": "INBOX" }),
        "answer-receipt-request" => json!({ "give": true }),
        "report-spam" | "refuse-sender" => json!({ "folder": "INBOX", "uid": 1 }),
        "change-member-rules-script" => json!("if true { addflag \"new\"; }"),
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
        "add-domain-key" => json!({ "algorithm": "rsa-2048" }),
        "change-key-rotation" => json!({ "after_days": null, "publish_days": 14 }),
        "change-domain-tls" => json!({ "mode": "testing" }),
        "set-domain-alias" => json!({ "of": null }),
        "suspend-domain" => json!({ "suspended": false }),
        "change-domain-rules" => json!({ "lock_until_active": false }),
        "change-service" => json!({
            "mx": [{ "preference": 10, "host": "mx.post.example" }], "spf": "mx", "web": "mail.post.example",
        }),
        "change-security" => json!({
            "idle_minutes": 60, "session_minutes": 600, "second_factor": "nobody", "four_eyes": false,
        }),
        "finish-authenticator" | "finish-sms-factor" | "confirm-session" => json!({ "code": "000000" }),
        "add-passkey" => {
            json!({ "name": "new", "credential": { "response": { "clientDataJSON": "", "attestationObject": "" } } })
        }
        "change-passkey" => json!({ "name": "another name" }),
        "confirm-session-by-passkey" => json!({ "credential": {
            "rawId": "AAAA",
            "response": { "clientDataJSON": "", "authenticatorData": "", "signature": "" },
        } }),
        "add-provider" => json!({
            "name": "new", "issuer": "https://new.example", "client_id": "c", "client_secret": "s",
            "matching": "bound",
        }),
        "change-provider" => {
            json!({ "name": "another", "client_id": "c", "client_secret": null, "matching": "email", "on": true })
        }
        "add-subscription" => {
            json!({ "name": "new", "url": "https://portal.example/new", "events": ["mail.received"] })
        }
        "change-subscription" => json!({
            "name": "changed", "url": "https://portal.example", "events": ["mailbox.unread"], "sender": true,
            "subject": false, "accounts": [of.member.account.to_string()], "departments": [of.department],
            "on": true,
        }),
        "begin-recovery-address" => json!({ "address": format!("graded@{domain}") }),
        "finish-recovery-address" => json!({ "code": "00000000x" }),
        "add-binding" => json!({ "state": "", "code": "", "iss": null, "key": "" }),
        "add-operator-key" => json!({ "name": "new", "permissions": ["installation:read"] }),
        "add-department" => json!({ "name": "new" }),
        "change-department" => json!({ "description": "changed" }),
        "add-department-group" => json!({ "domain": domain }),
        "change-profile" => json!({ "title": "head" }),
        "expire-account" => json!({ "expires": "2099-01-01T00:00:00Z" }),
        "suspend-account" => json!({ "suspended": true }),
        "back-up-account" => json!({ "to": of.newcomer.account.to_string(), "delete": true }),
        "change-mail-permission" => json!({ "send": "inside", "receive": "anyone" }),
        "block-tenant" | "block-account" => json!({ "functions": ["sending"], "reason": "spam" }),
        "add-mailing" => json!({
            "file_name": "guests.csv", "table": BASE64_STANDARD.encode(format!("email\nmember@{domain}\n")),
            "subject": "hello",
        }),
        "change-mailing-rules" => json!({ "recipients": 500 }),
        "try-mailing" => json!({ "row": 1 }),
        "add-mail-template" => json!({ "name": "new", "subject": "hello", "text": "hello" }),
        "put-off-held-letter" => json!({ "time": "2030-01-31T08:00" }),
        "change-undo-window" => json!({ "seconds": 20 }),
        "hide-letters" | "show-letters" | "delete-letters" => {
            json!({ "letters": [of.letter], "reason": "a complaint" })
        }
        "add-member" => json!({ "address": format!("new-member@{domain}"), "display_name": "New" }),
        "add-order" => json!({
            "kind": "buy", "edition": "pro", "seats": 5, "amount": 100, "currency": "CNY",
            "starts": "2026-01-01T00:00:00Z", "ends": "2099-01-01T00:00:00Z",
        }),
        "change-account-allowance" => json!({ "messages": 5 }),
        "submit-order" => json!({ "kind": "buy", "vip_seats": 2, "years": 1 }),
        "approve-order" => json!({ "amount": 100, "currency": "CNY", "paid": true }),
        "refuse-order" => json!({ "reason": "nobody has paid" }),
        "order-erasure" => json!({ "name": of.name, "reason": "a contract that was broken" }),
        "hold-tenant" => json!({ "reason": "a court" }),
        "change-ending-rules" => json!({ "grace_days": 30 }),
        "change-order" => json!({ "invoice": "issued" }),
        "publish-terms" => json!({ "title": "Terms", "text": "Be good." }),
        "resolve-selection" => json!({ "departments": [of.department] }),
        "change-nickname" => json!({ "nickname": "Annie" }),
        "change-contact" | "change-tenant-contact" => json!({ "name": "The Post", "phone": "+86 10 1" }),
        "mark-bulletins" => json!({ "newest": of.bulletin }),
        "publish-bulletin" => json!({
            "kind": "maintenance", "en": { "title": "a", "text": "b" }, "zh": { "title": "甲", "text": "乙" },
            "tenants": [of.id.to_string()],
        }),
        "change-sending-rules" => json!({
            "forbidden": [{ "department": of.department }], "everybody": { "messages": 50, "minutes": 60 },
            "limits": [{ "of": { "account": of.member.account.to_string() }, "limit": null }],
        }),
        "change-content-rules" => json!({ "rules": [{
            "name": "main", "whom": [{ "department": of.department }], "conditions": ["encrypted"], "action": "note",
        }] }),
        "try-content-rules" => json!({ "letter": "Subject: x\r\n\r\nx" }),
        "change-footers" => json!({
            "footers": [{ "name": "main", "text": "{company}", "place": "below", "letters": "both" }],
            "in_force": "main", "departments": [{ "department": of.department }],
        }),
        "change-cards" => json!({ "cards": [{
            "name": "main", "text": "{name}", "departments": [1], "published": true, "compulsory": false,
        }] }),
        "choose-card" => json!({ "card": null }),
        "change-route" => {
            json!({ "way": "smart-host", "host": "relay.example", "user": "me", "password": "a secret" })
        }
        "change-report-addresses" => json!({ "addresses": [] }),
        "add-suppressed-addresses" => json!({ "addresses": ["other@far.example"] }),
        "change-scan-policy" => json!({
            "virus": "delete", "without_virus_scanner": "pass", "without_spam_scanner": "hold",
            "junk": 5.5, "quarantine": 10, "delete": null, "tell_recipients": false,
        }),
        "change-quarantine-digest" => json!({ "enabled": true }),
        // More than this is for the owner alone to say; whoever administrates him may take away.
        "change-automatic" => json!({ "reply": null, "forward": null }),
        "begin-forward-target" | "remove-forward-target" => json!({ "address": "me@elsewhere.example" }),
        "finish-forward-target" => json!({ "code": "00000000" }),
        "change-forwarding" => json!({
            "everybody": true, "accounts": [{ "account": of.member.account.to_string(), "allowed": false }],
        }),
        "change-read-status" => json!({ "begin": "after-48-hours" }),
        "change-names" => json!({ "unified": true, "form": "{name} ({department})" }),
        "assign-account" => json!({ "display_name": "new owner" }),
        "convert-account" => json!({ "name": "sales" }),
        "add-business-mailbox" => json!({
            "address": format!("new-business@{domain}"), "users": { "accounts": [of.member.account.to_string()] },
        }),
        "change-mailbox-users" | "add-mailbox-users" => json!({
            "accounts": [of.creator.account.to_string(), of.member.account.to_string()],
        }),
        "add-business-token" => json!({ "name": "new" }),
        "grant-secretary" => {
            json!({ "secretary": format!("chief@{domain}"), "scope": "full", "term": "1-day" })
        }
        "apply-as-secretary" => {
            json!({ "owner": format!("graded@{domain}"), "scope": "send-as", "term": "6-months" })
        }
        "readdress-group" => json!({ "prefix": "research" }),
        "change-organisation" => json!({ "contact": "1 Mail Road" }),
        "change-joining" => {
            json!({ "open": true, "approval": true, "department": 1, "domain": domain })
        }
        "add-invitation" => json!({ "until": tomorrow() }),
        "renew-invitation" => json!({ "uses": 2, "until": tomorrow() }),
        "invite-member" => json!({ "until": tomorrow() }),
        "invite-members" => {
            let newcomer =
                json!({ "account": of.newcomer.account.to_string(), "mail": "new@elsewhere.example" });
            json!({ "until": tomorrow(), "members": [newcomer] })
        }
        "invite-friend" | "invite-friend-as-member" => json!({
            "address": format!("{}@elsewhere.example", of.domain.replace('.', "-")),
            "group": format!("group@{domain}"),
        }),
        "begin-mobile" => json!({ "number": "+86 138 0000 0000" }),
        "finish-mobile" => json!({ "code": "000000" }),
        "change-own-prefix" => json!({ "prefix": "somebody" }),
        "take-trial-domain" => json!({ "label": "walked" }),
        "refuse-application" => json!({ "reason": "nobody knows you" }),
        "add-tag" => json!({ "name": "new" }),
        "change-tag" => json!({ "name": "changed" }),
        "change-group-rules" => json!({ "senders": "inside" }),
        "change-sign-in-rules" => sign_in_rules(),
        "change-account-sign-in-rules" => json!({ "addresses": null, "secure_forced": true }),
        "unlock-accounts" => json!({ "accounts": [of.member.account.to_string()] }),
        "import-organisation" => json!({
            "file_name": "people.csv",
            "content": BASE64_STANDARD.encode(format!("address\nimported@{domain}\n")),
        }),
        "export-organisation" => json!({ "table": "people" }),
        "set-secure-sign-in" => json!({ "secure": true }),
        "change-own-password" => json!({ "old": "a long password", "new": "a password of one's own" }),
        other => panic!("what is the body of {other}?"),
    })
}

fn tomorrow() -> String {
    SystemClock.now().plus_millis(24 * 60 * 60 * 1000).rfc3339()
}

fn sign_in_rules() -> Value {
    json!({
        "passwords": {
            "min_length": 9, "max_length": 0, "classes": 2, "capital": false, "no_sequences": false,
            "no_account_name": false, "history": 0, "lifetime_days": 0, "expires_in_clients": false,
            "change_first": false,
        },
        "lock": { "count": 5, "window_minutes": 60, "minutes": 30, "trusted": ["192.0.2.0/24"] },
        "addresses": { "allow": [], "deny": ["203.0.113.0/24"], "others": "allow" },
        "exempt": { "accounts": [], "departments": [] },
        "secure": false,
    })
}

/// The path with objects of a tenant, below some tenant.
fn path(route: &Route, below: &str, of: &Tenant) -> String {
    let mut path = route.path.replace("{tenant}", below);
    // One that is only claimed, and that nothing else needs.
    if ["verify-domain", "remove-domain"].contains(&&*route.name) {
        path = path.replace("{domain}", &format!("claimed.{}", of.domain));
    }
    if route.name == "remove-domain" {
        path = format!("{path}?confirmation=claimed.{}-0-0-0", of.domain);
    }
    for (name, word) in words(route, of) {
        path = path.replace(&format!("{{{name}}}"), &word);
    }
    assert!(!path.contains('{'), "what is in {path}?");
    if ["search-people", "find-pickable"].contains(&&*route.name) {
        path.push_str("?q=mem");
    }
    path
}

/// The account to which the route does something: what becomes of it may not stand in the way of another route.
fn account(route: &Route, of: &Tenant) -> AccountKey {
    match route.name.as_str() {
        "delete-account" => of.leavers[0],
        "unbind-account" => of.leavers[1],
        "convert-account" => of.leavers[2],
        "withdraw-account" => of.retired,
        _ if route.path.contains("{account}/users") => of.business,
        "restore-account" | "back-up-account" => of.deleted,
        "erase-account" => of.doomed,
        "assign-account" => of.unbound,
        "invite-member" => of.newcomer,
        _ => of.member,
    }
}

fn words(route: &Route, of: &Tenant) -> BTreeMap<&'static str, String> {
    let applicant = if route.name == "refuse-application" { "unwanted" } else { "applicant" };
    let token = if route.name == "revoke-business-token" { &of.business_token } else { &of.token };
    BTreeMap::from([
        ("account", account(route, of).account.to_string()),
        ("domain", of.domain.clone()),
        ("destinations", "*.partner.example".to_owned()),
        ("selector", of.selector.clone()),
        ("alias", format!("alias@{}", of.domain)),
        ("address", format!("gone@{}.elsewhere.example", of.domain)),
        ("friend", format!("friend@{}.elsewhere.example", of.domain)),
        (
            "group",
            format!("{}@{}", if route.name == "readdress-group" { "yanfa" } else { "group" }, of.domain),
        ),
        ("role", of.role.clone()),
        ("key", of.key.clone()),
        ("token", token.clone()),
        ("mailbox", of.business.account.to_string()),
        ("user", of.creator.account.to_string()),
        ("secretary", of.chief.account.to_string()),
        ("owner", of.graded.account.to_string()),
        ("department", of.department.to_string()),
        ("tag", of.tag.to_string()),
        ("session", of.session.clone()),
        ("passkey", of.passkey.clone()),
        ("provider", of.provider.clone()),
        ("subscription", of.subscription.clone()),
        ("request", of.request.clone()),
        ("task", of.task.clone()),
        ("letter", of.letter.clone()),
        ("held", of.held.clone()),
        ("mailing", of.mailing.clone()),
        ("template", of.template.clone()),
        ("order", of.order.clone()),
        ("bulletin", of.bulletin.clone()),
        ("number", of.terms.to_string()),
        ("invitation", of.invitation.clone()),
        ("application", format!("{applicant}@{}", of.domain)),
    ])
}

/// Everything by which the tenant could be known.
fn marks(of: &Tenant) -> Vec<String> {
    let accounts =
        [of.creator, of.chief, of.graded, of.member, of.business].map(|key| key.account.to_string());
    let mut marks =
        vec![of.id.to_string(), of.name.clone(), of.role.clone(), of.key.clone(), of.token.clone()];
    marks.extend([of.session.clone(), of.request.clone(), of.task.clone(), of.business_token.clone()]);
    marks.extend([of.passkey.clone(), of.provider.clone(), of.subscription.clone()]);
    marks.push(of.letter.clone());
    marks.push(of.held.clone());
    marks.extend([of.mailing.clone(), of.template.clone()]);
    marks.push(of.invitation.clone());
    marks.extend(accounts);
    marks
}

/// Everything that the tenant has.
async fn state(office: &Office, of: &Tenant) -> String {
    let it = &office.administration;
    let page = Default::default();
    let mut state = format!("{:?}", it.tenant(&OPERATOR, of.id).await);
    state += &format!("{:?}", it.domains(&OPERATOR, of.id, &page).await);
    state += &format!("{:?}", it.domain_tls(&OPERATOR, of.id, &of.domain).await);
    state += &format!("{:?}", it.domain_keys(&OPERATOR, of.id, &of.domain).await);
    state += &format!("{:?}", it.accounts(&OPERATOR, of.id, &page).await);
    state += &format!("{:?}", it.tokens(&OPERATOR, of.member).await);
    state += &format!("{:?}", it.tokens(&OPERATOR, of.business).await);
    state += &format!("{:?}", it.mailbox_users(&OPERATOR, of.business).await);
    state += &format!("{:?}", it.secretaries(&OPERATOR, of.member).await);
    state += &format!("{:?}", it.secretary_of(&OPERATOR, of.member).await);
    state += &format!("{:?}", it.member_rules(&OPERATOR, of.member).await);
    state += &format!("{:?}", it.mailings(&OPERATOR, of.member, None, 10).await);
    state += &format!("{:?}", it.mail_templates(&OPERATOR, of.member).await);
    state += &format!("{:?}", it.aliases(&OPERATOR, of.id, &page).await);
    state += &format!("{:?}", it.groups(&OPERATOR, of.id, &page).await);
    state += &format!("{:?}", it.friends(&OPERATOR, of.id, &page).await);
    state += &format!("{:?}", it.policy(&OPERATOR, of.id).await);
    state += &format!("{:?}", it.scan_policy(&OPERATOR, of.id).await);
    state += &format!("{:?}", it.quarantine_digest(&OPERATOR, of.member).await);
    state += &format!("{:?}", it.quarantined(&OPERATOR, of.id, &page).await);
    state += &format!("{:?}", it.sign_in_rules(&OPERATOR, of.id).await);
    state += &format!("{:?}", it.account_rules(&OPERATOR, of.member).await);
    state += &format!("{:?}", it.roles(&OPERATOR, of.id).await);
    state += &format!("{:?}", it.grants(&OPERATOR, of.id, &page).await);
    state += &format!("{:?}", it.creator(&OPERATOR, of.id).await);
    state += &format!("{:?}", it.departments(&OPERATOR, of.id, false).await.expect("departments").seen);
    state += &format!("{:?}", it.plan(&OPERATOR, of.id).await);
    state += &format!("{:?}", it.purchases(&OPERATOR, of.id, &page).await);
    state += &format!("{:?}", it.ending(&OPERATOR, of.id).await);
    state += &format!("{:?}", it.accepted_terms(&OPERATOR, of.id, &page).await);
    state += &format!("{:?}", it.recycle_bin(&OPERATOR, of.id, &page).await);
    let tag = pennypost_directory::TagId(of.tag);
    state += &format!("{:?}", it.tag(&OPERATOR, of.id, tag).await);
    state += &format!("{:?}", it.group_rules(&OPERATOR, of.id, &format!("group@{}", of.domain)).await);
    let keys = it.keys(&OPERATOR, Some(of.id), &page).await.expect("keys").items;
    state += &format!("{:?}", it.sessions(&OPERATOR, of.member).await);
    state += &format!("{:?}", it.second_factor(&OPERATOR, of.member).await);
    state += &format!("{:?}", it.passkeys(&OPERATOR, of.member).await);
    state += &format!("{:?}", it.providers(&OPERATOR, of.id).await);
    state += &format!("{:?}", it.routes(&OPERATOR, of.id).await);
    state += &format!("{:?}", it.subscriptions(&OPERATOR, of.id).await);
    state += &format!("{:?}", it.bindings(&OPERATOR, of.member).await);
    state += &format!("{:?}", it.recovery(&OPERATOR, of.member).await);
    state += &format!("{:?}", it.mobile(&OPERATOR, of.member).await);
    state += &format!("{:?}", it.security_rules(&OPERATOR, of.id).await);
    state += &format!("{:?}", it.requests(&OPERATOR, of.id, &page).await);
    state += &format!("{:?}", it.tasks(&OPERATOR, of.id, &page).await);
    state += &format!("{:?}", it.joining_rules(&OPERATOR, of.id).await);
    state += &format!("{:?}", it.invitations(&OPERATOR, of.id).await);
    state += &format!("{:?}", it.applications(&OPERATOR, of.id, &page).await);
    state += &format!("{:?}", it.organisation(&OPERATOR, of.id).await);
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
    for (name, account) in [
        ("creator's session", of.creator),
        ("super's session", of.chief),
        ("graded's session", of.graded),
        ("member's session", of.member),
    ] {
        callers.push((name, office.session(account).await));
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

/// Every how many-th caller asks: all, unless `WALK_PART` says otherwise.
fn part() -> usize {
    std::env::var("WALK_PART").ok().and_then(|part| part.parse().ok()).filter(|part| *part > 0).unwrap_or(1)
}

/// What is another tenant's is as what is nobody's, for everybody and everywhere.
#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_told_or_changed_abroad() {
    let office = Office::unhurried().await;
    let (ours, theirs) = (office.tenant_with_more("ours").await, office.tenant_with_more("theirs").await);
    let nobody = TenantId(rand::random());
    let before = state(&office, &theirs).await;
    let mut asked = 0;
    for (name, key) in callers(&office, &ours).await.into_iter().step_by(part()) {
        // Whoever signs out has nothing to ask with.
        for route in routes().into_iter().filter(|route| route.name != "sign-out") {
            let told = |answer: &crate::support::Answer| (answer.status.as_u16(), answer.text.clone());
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
                // Departments and tags have numbers that each tenant gives anew: theirs are ours, too.
                // Terms of service are everybody's.
                // Destinations are the world's.
                let numbered = ["{department}", "{tag}", "{number}", "{destinations}"];
                let is_numbered = numbered.iter().any(|name| route.path.contains(name));
                // A trial of rules that are in its body names nothing of theirs.
                let is_trial = route.name == "try-content-rules";
                let names_an_object = inside.matches('/').count() > 3 && !is_numbered && !is_trial;
                let gives_an_address =
                    ["add-account", "add-alias", "add-group", "add-business-mailbox", "add-member"]
                        .contains(&&*route.name);
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
                let expected = if route.action.is_none() { 200..=204 } else { 403..=403 };
                assert!(expected.contains(&answer.status.as_u16()), "{shown}: {}", answer.text);
                leaks(&answer.text, &theirs, &shown);
                asked += 1;
            }
        }
    }
    assert!(asked > 1_500 / part(), "{asked}");
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
    let office = Office::unhurried().await;
    let (mut permitted, mut refused) = (0, 0);
    for n in (0..14).step_by(part()) {
        let home = office.tenant_with_more("home").await;
        let mut callers = callers(&office, &home).await;
        callers.push(("operator", office.key(None, None, Permissions::all()).await));
        callers.push(("installer", office.key(None, None, permissions(&["installation:write"])).await));
        let (name, mut key) = callers.swap_remove(n);
        for route in routes() {
            if let Err(ended) = office.administration.authenticate(&key).await {
                // It was ended by the way.
                assert!(name.ends_with("session"), "{name}: {ended}");
                let account = match n {
                    4 => home.creator,
                    5 => home.chief,
                    6 => home.graded,
                    _ => home.member,
                };
                key = office.session(account).await;
            }
            let actor = office.administration.authenticate(&key).await.expect("a key");
            let shown = format!("{} by {name}", route.name);
            let body = body(&route, &home);
            let path = path(&route, &home.id.to_string(), &home);
            if route.name == "cut-binding" {
                // Whoever has recovered the account has cut it.
                office.bind(home.member, home.provider.parse().expect("an id")).await;
            }
            let before = state(&office, &home).await;
            let answer = office.ask(&key, &route.method, &path, body.as_ref()).await;
            let status = answer.status.as_u16();
            if may(&actor, &route, &home) {
                // A role that was removed, a key that was revoked: what was there a moment ago.
                let is_gone = route.path.starts_with("/keys/")
                    || [
                        "refuse-request",
                        "end-session",
                        "remove-forward-target",
                        // It is an export.
                        "read-rules-run",
                        "cancel-rules-run",
                        // It asks for none.
                        "read-receipt-request",
                        "answer-receipt-request",
                    ]
                    .contains(&&*route.name);
                let is_wrong = [
                    "finish-authenticator",
                    "finish-sms-factor",
                    "add-passkey",
                    "confirm-session-by-passkey",
                    "add-binding",
                    "finish-recovery-address",
                    "finish-mobile",
                    "finish-forward-target",
                    // There are no rules yet, and no letters.
                    "run-member-rules",
                    "report-spam",
                    "refuse-sender",
                ]
                .contains(&&*route.name);
                let has_no_factor = [
                    "confirm-session",
                    "renew-recovery-codes",
                    "remove-authenticator",
                    "remove-sms-factor",
                    "send-confirmation-code",
                ];
                // The order is a record of the operator's own.
                let has_ended = [
                    // No server is said yet.
                    "test-route",
                    "cancel-task",
                    "withdraw-order",
                    "approve-order",
                    "refuse-order",
                    "put-off-held-letter",
                    "send-held-letter",
                    "take-held-letter-back",
                ]
                .contains(&&*route.name);
                // The member is not the creator.
                let is_not_his = route.name == "change-own-prefix";
                // Nobody answers at its address.
                let is_mute = route.name == "begin-binding";
                // No text messages are sent from there.
                let is_dumb =
                    ["begin-mobile", "begin-sms-factor", "take-trial-domain"].contains(&&*route.name);
                // Nor letters to other servers.
                let is_at_home = ["invite-friend", "invite-friend-as-member", "begin-forward-target"]
                    .contains(&&*route.name);
                let expected = match route.name.as_str() {
                    // The chief's own order.
                    "confirm-request" if is_of(&actor, home.chief) => 409..=409,
                    "refuse-request" if is_of(&actor, home.chief) => 204..=204,
                    _ if is_gone => 404..=404,
                    _ if is_wrong => 422..=422,
                    _ if has_ended => 409..=409,
                    _ if is_mute => 502..=502,
                    _ if is_dumb || is_at_home || is_not_his => 409..=409,
                    name if has_no_factor.contains(&name) => 409..=409,
                    _ => 200..=204,
                };
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
    assert!(permitted > 150 / part() && refused > 150 / part(), "{permitted} {refused}");
}

fn is_of(actor: &Actor, wanted: AccountKey) -> bool {
    matches!(actor, Actor::Person { account, .. } if *account == wanted)
}

/// What the table says of an ordinary object of the tenant.
fn may(actor: &Actor, route: &Route, home: &Tenant) -> bool {
    let Some(action) = route.action else { return true };
    let plain = Authority::default();
    let scope = match action.target() {
        Target::Installation => Scope::Installation,
        Target::Tenant => Scope::Tenant(home.id),
        Target::Department => Scope::Department { tenant: home.id, departments: &[] },
        Target::Account
            if [
                "list-accounts",
                "list-recycle-bin",
                "list-locks",
                "list-vip-accounts",
                "list-not-joined",
            ]
            .contains(&&*route.name) =>
        {
            Scope::SomeAccount(home.id)
        }
        Target::Account if [Action::AccountAdd, Action::BusinessAdd].contains(&action) => {
            Scope::NewAccount { tenant: home.id, departments: &[] }
        }
        Target::Account => Scope::Account { key: home.member, departments: &[], authority: &plain },
    };
    authorise(actor, action, &scope) == Decision::Allow
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_key_nothing_opens() {
    let office = Office::unhurried().await;
    let home = office.tenant_with_more("home").await;
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
    let office = Office::unhurried().await;
    let (ours, theirs) = (office.tenant("ours").await, office.tenant("theirs").await);
    let key = office.key(Some(ours.id), None, Permissions::of_tenant()).await;
    let domain = &ours.domain;
    for (method, place, body) in [
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
    // A group may name anybody elsewhere: another tenant's people are as those of any other server, whether there are any.
    let path = format!("/tenants/{}/groups/group@{domain}", ours.id);
    let mut told = Vec::new();
    for who in [
        format!("member@{}", theirs.domain),
        format!("nobody@{}", theirs.domain),
        "me@nowhere.example".to_owned(),
    ] {
        let answer = office.ask(&key, "PATCH", &path, Some(&json!({ "members": [who] }))).await;
        told.push((answer.status.as_u16(), answer.text.replace(&who, "WHO")));
    }
    assert!(told[0].0 == 200 && told.iter().all(|one| *one == told[0]), "{told:?}");
    let unknown = json!({ "members": [format!("nobody@{domain}")] });
    office.ask(&key, "PATCH", &path, Some(&unknown)).await.assert_problem(422, "unknown-reference");
}
