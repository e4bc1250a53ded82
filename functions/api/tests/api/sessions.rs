//! Sessions, second factors, confirmation and tickets, as programs and browsers meet them.

use axum::body::Body;
use axum::http::Request;
use pennypost_admin::{Administration, Grant, Grants, Permissions, Reach};
use pennypost_api::Client;
use pennypost_directory::{Attempt, PasswordShown, SignInError, SignInKind};
use ring::hmac;
use serde_json::{Value, json};

use crate::support::{Answer, OPERATOR, Office, Tenant, permissions};

const PASSWORD: &str = "a long password";

struct Bench {
    office: Office,
    home: Tenant,
}

async fn bench() -> Bench {
    let office = Office::open().await;
    let home = office.tenant("home").await;
    Bench { office, home }
}

/// The code that an authenticator shows, so many steps from now.
pub fn code(secret: &str, steps: i64) -> String {
    let digit = |c: char| "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567".find(c).expect("base32");
    let (mut bytes, mut bits, mut held) = (Vec::new(), 0, 0_u32);
    for c in secret.chars() {
        held = held << 5 | u32::try_from(digit(c)).expect("small");
        bits += 5;
        if bits >= 8 {
            bits -= 8;
            bytes.push((held >> bits & 0xff) as u8);
        }
    }
    let seconds = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).expect("after 1970");
    let step = seconds.as_secs() as i64 / 30 + steps;
    let key = hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, &bytes);
    let tag = hmac::sign(&key, &step.to_be_bytes());
    let at = usize::from(tag.as_ref()[19] & 0xf);
    let word = u32::from_be_bytes(tag.as_ref()[at..at + 4].try_into().expect("four"));
    format!("{:06}", (word & 0x7fff_ffff) % 1_000_000)
}

impl Bench {
    fn address(&self, local: &str) -> String {
        format!("{local}@{}", self.home.domain)
    }

    fn at(&self, path: &str) -> String {
        format!("/tenants/{}{path}", self.home.id)
    }

    /// The path of something of the member.
    fn of_member(&self, path: &str) -> String {
        self.at(&format!("/accounts/{}{path}", self.home.member.account))
    }

    async fn sign_in(&self, body: &Value) -> Answer {
        self.office.ask("", "POST", "/sessions", Some(body)).await
    }

    async fn token(&self, local: &str, code: Option<&str>) -> String {
        let body = json!({ "address": self.address(local), "password": PASSWORD, "code": code });
        let answer = self.sign_in(&body).await;
        assert_eq!(answer.status, 201, "{}", answer.text);
        answer.json()["token"].as_str().expect("a token").to_owned()
    }

    async fn ask(&self, key: &str, method: &str, path: &str, body: Option<&Value>) -> Answer {
        self.office.ask(key, method, path, body).await
    }

    /// Sets up an authenticator: its secret and the recovery codes.
    async fn set_up(&self, token: &str, path: &str) -> (String, Vec<String>) {
        let begun = self.ask(token, "POST", &format!("{path}/authenticator"), None).await;
        assert_eq!(begun.status, 200, "{}", begun.text);
        let secret = begun.json()["secret"].as_str().expect("a secret").to_owned();
        let url = begun.json()["address"].as_str().expect("an address").to_owned();
        assert!(url.starts_with("otpauth://totp/") && url.contains(&format!("secret={secret}")), "{url}");
        let first = json!({ "code": code(&secret, 0) });
        let done = self.ask(token, "POST", &format!("{path}/authenticator/first-code"), Some(&first)).await;
        assert_eq!(done.status, 200, "{}", done.text);
        let codes = done.json()["recovery_codes"].as_array().expect("codes").clone();
        let codes: Vec<String> = codes.iter().map(|one| one.as_str().expect("text").to_owned()).collect();
        assert_eq!(codes.len(), 10);
        (secret, codes)
    }

    /// So many failures lock.
    async fn lock_after(&self, key: &str, count: u32) {
        let mut rules = self.ask(key, "GET", &self.at("/sign-in-rules"), None).await.json();
        rules["lock"]["count"] = count.into();
        let said = self.ask(key, "PUT", &self.at("/sign-in-rules"), Some(&rules)).await;
        assert_eq!(said.status, 200, "{}", said.text);
    }

    /// What is recorded of the member: result, mechanism, address.
    async fn recorded(&self, key: &str, query: &str) -> Vec<String> {
        self.administration().directory().sign_in_log().expect("a record").finish().await;
        let found = self.ask(key, "GET", &self.of_member(&format!("/sign-ins?{query}")), None).await.json();
        let shown = |one: &Value| {
            ["outcome", "mechanism", "address"].map(|name| one[name].as_str().expect("text")).join(" ")
        };
        found["items"].as_array().expect("records").iter().map(shown).collect()
    }

    fn administration(&self) -> &Administration {
        &self.office.administration
    }
}

/// Feature AUT-21: ending the session
#[tokio::test(flavor = "multi_thread")]
async fn a_session_opens_is_listed_and_ends() {
    let it = bench().await;
    let wrong = json!({ "address": it.address("member"), "password": "another password" });
    it.sign_in(&wrong).await.assert_problem(401, "sign-in-refused");
    let nobody = json!({ "address": it.address("nobody"), "password": "another password" });
    let (a, b) = (it.sign_in(&wrong).await, it.sign_in(&nobody).await);
    assert_eq!(a.text, b.text, "whether somebody is there is told");

    let body = json!({ "address": it.address("member"), "password": PASSWORD });
    let answer = it.sign_in(&body).await;
    assert_eq!(answer.status, 201, "{}", answer.text);
    assert_eq!(answer.header("set-cookie"), "");
    let opened = answer.json();
    let token = opened["token"].as_str().expect("a token");
    assert!(token.starts_with("pps_"));
    let me = it.ask(token, "GET", "/me", None).await.json();
    assert_eq!(
        (&me["name"], &me["session"], &me["key"]),
        (&json!(it.address("member")), &opened["id"], &json!(null))
    );
    // A member has his own, and nobody else's.
    assert_eq!(it.ask(token, "GET", &it.of_member("/sessions"), None).await.status, 200);
    it.ask(token, "GET", &it.at("/roles"), None).await.assert_problem(403, "no-permission");
    let other = it.at(&format!("/accounts/{}/sessions", it.home.chief.account));
    it.ask(token, "GET", &other, None).await.assert_problem(403, "no-permission");

    let listed = it.ask(token, "GET", &it.of_member("/sessions"), None).await;
    assert!(!listed.text.contains("pps_"), "{}", listed.text);
    let rows = listed.json()["items"].as_array().expect("rows").clone();
    let row = rows.iter().find(|row| row["id"] == opened["id"]).expect("listed");
    assert_eq!((&row["from"], &row["signed_in_by"]), (&json!("192.0.2.9"), &json!("password")));

    // Forged ones open nothing: another secret, another account's number, another kind.
    let forged = [
        format!("{}{}", &token[..token.len() - 1], if token.ends_with('0') { '1' } else { '0' }),
        token.replacen(&it.home.member.account.to_string(), &it.home.chief.account.to_string(), 1),
        token.replacen("pps_", "ppk_", 1),
        token.replacen("pps_", "ppt_", 1),
    ];
    for forged in forged {
        it.ask(&forged, "GET", "/me", None).await.assert_problem(401, "unauthorised");
    }

    let second = it.token("member", None).await;
    let ended = it.ask(token, "DELETE", &it.of_member("/sessions"), None).await;
    assert_eq!(ended.status, 200, "{}", ended.text);
    it.ask(&second, "GET", "/me", None).await.assert_problem(401, "unauthorised");
    assert_eq!(it.ask(token, "DELETE", "/session", None).await.status, 204);
    it.ask(token, "GET", "/me", None).await.assert_problem(401, "unauthorised");

    // An administrator ends one.
    let third = it.token("member", None).await;
    let id = it.ask(&third, "GET", "/me", None).await.json()["session"].as_str().expect("id").to_owned();
    let chief = it.token("chief", None).await;
    let path = it.of_member(&format!("/sessions/{id}"));
    assert_eq!(it.ask(&chief, "DELETE", &path, None).await.status, 204);
    it.ask(&third, "GET", "/me", None).await.assert_problem(401, "unauthorised");
    // A plain member can't end the chief's.
    let chiefs = it.at(&format!("/accounts/{}/sessions", it.home.chief.account));
    let member = it.token("member", None).await;
    it.ask(&member, "DELETE", &chiefs, None).await.assert_problem(403, "no-permission");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_password_or_a_closed_account_ends_sessions() {
    let it = bench().await;
    let chief = it.token("chief", None).await;
    let token = it.token("member", None).await;
    let ticketed = it.office.session(it.home.member).await;
    let new = json!({ "password": "some other password" });
    assert_eq!(it.ask(&chief, "PUT", &it.of_member("/password"), Some(&new)).await.status, 204);
    for session in [&token, &ticketed] {
        it.ask(session, "GET", "/me", None).await.assert_problem(401, "unauthorised");
    }
    let body = json!({ "address": it.address("member"), "password": "some other password" });
    let token = it.sign_in(&body).await.json()["token"].as_str().expect("a token").to_owned();
    for state in ["disabled", "active"] {
        let patch = json!({ "state": state });
        assert_eq!(it.ask(&chief, "PATCH", &it.of_member(""), Some(&patch)).await.status, 200);
    }
    // What has ended does not begin again.
    it.ask(&token, "GET", "/me", None).await.assert_problem(401, "unauthorised");
    let listed = it.ask(&chief, "GET", &it.of_member("/sessions"), None).await.json();
    assert_eq!(listed["items"], json!([]));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_browser_holds_a_cookie_that_foreign_pages_cannot_use() {
    let it = bench().await;
    let body = json!({ "address": it.address("member"), "password": PASSWORD, "cookie": true });
    it.sign_in(&body).await.assert_problem(403, "other-page");
    let page = [("pennypost-page", "1"), ("host", "mail.example"), ("sec-fetch-site", "same-origin")];
    let answer = it.office.ask_with("", "POST", "/sessions", &page, Some(&body)).await;
    assert_eq!((answer.status.as_u16(), &answer.json()["token"]), (201, &json!(null)));
    let set = answer.header("set-cookie").to_owned();
    for part in ["__Host-pennypost=pps_", "; Path=/", "; Secure", "; HttpOnly", "; SameSite=Strict"] {
        assert!(set.contains(part), "{set}");
    }
    let cookie = set.split(';').next().expect("a cookie").to_owned();
    let with = |more: &[(&str, &str)]| -> Vec<(String, String)> {
        let own = [("cookie", cookie.as_str()), ("host", "mail.example")];
        own.iter().chain(more).map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    };
    let ask = async |method: &str, path: &str, more: &[(&str, &str)]| {
        let headers = with(more);
        let headers: Vec<(&str, &str)> =
            headers.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        it.office.ask_with("", method, path, &headers, None).await
    };
    assert_eq!(ask("GET", "/me", &[]).await.status, 200);
    let sessions = it.of_member("/sessions");
    ask("DELETE", &sessions, &[]).await.assert_problem(403, "other-page");
    let foreign = [("pennypost-page", "1"), ("origin", "https://evil.example")];
    ask("DELETE", &sessions, &foreign).await.assert_problem(403, "other-page");
    let cross = [("pennypost-page", "1"), ("sec-fetch-site", "cross-site")];
    ask("DELETE", &sessions, &cross).await.assert_problem(403, "other-page");
    let own = [("pennypost-page", "1"), ("origin", "https://mail.example")];
    assert_eq!(ask("DELETE", &sessions, &own).await.status, 200);
    let out = ask("DELETE", "/session", &own).await;
    assert!(out.status == 204 && out.header("set-cookie").contains("Max-Age=0"), "{out:?}", out = out.status);
    ask("GET", "/me", &[]).await.assert_problem(401, "unauthorised");
}

/// Feature AUT-11: a second factor by authenticator and recovery codes
#[tokio::test(flavor = "multi_thread")]
async fn with_a_second_factor_the_password_alone_opens_nothing() {
    let it = bench().await;
    let token = it.token("member", None).await;
    let path = it.of_member("/second-factor");
    // No key does it, nor anybody for another.
    let key = it.office.key(Some(it.home.id), Some(it.home.member), Permissions::of_tenant()).await;
    let chief = it.office.session(it.home.chief).await;
    for other in [&key, &chief] {
        let refused = it.ask(other, "POST", &format!("{path}/authenticator"), None).await;
        refused.assert_problem(403, "no-permission");
    }
    let (secret, recovery) = it.set_up(&token, &path).await;
    let told = it.ask(&token, "GET", &path, None).await;
    assert_eq!((&told.json()["on"], &told.json()["recovery_codes"]), (&json!(true), &json!(10)));
    assert!(!told.text.contains(&secret), "{}", told.text);

    let with =
        |code: Option<&str>| json!({ "address": it.address("member"), "password": PASSWORD, "code": code });
    it.sign_in(&with(None)).await.assert_problem(401, "code-needed");
    it.sign_in(&with(Some("000000"))).await.assert_problem(401, "sign-in-refused");
    // The code that set it up is used; the next one is good, once.
    it.sign_in(&with(Some(&code(&secret, 0)))).await.assert_problem(401, "sign-in-refused");
    let next = code(&secret, 1);
    let opened = it.sign_in(&with(Some(&next))).await;
    assert_eq!(opened.status, 201, "{}", opened.text);
    assert_eq!(opened.json()["signed_in_by"], "password-and-code");
    it.sign_in(&with(Some(&next))).await.assert_problem(401, "sign-in-refused");
    // So is a recovery code.
    assert_eq!(it.sign_in(&with(Some(&recovery[0]))).await.status, 201);
    it.sign_in(&with(Some(&recovery[0]))).await.assert_problem(401, "sign-in-refused");
    // A right password does not make wrong codes forgotten.
    for _ in 0..4 {
        it.sign_in(&with(Some("000000"))).await.assert_problem(401, "sign-in-refused");
        it.sign_in(&with(None)).await.assert_problem(401, "code-needed");
    }
    let slowed = it.sign_in(&with(Some(&recovery[1]))).await;
    slowed.assert_problem(429, "too-many-requests");
    assert!(!slowed.header("retry-after").is_empty());

    // Mail programs: the password opens none, a token does.
    let directory = it.administration().directory().clone();
    let (address, from) = (it.address("member"), "192.0.2.77".parse().expect("an address"));
    for kind in [SignInKind::Imap, SignInKind::Pop3, SignInKind::Smtp] {
        let refused = directory.sign_in(&Attempt::new(kind, "PLAIN", from), &address, PASSWORD).await;
        assert_eq!(refused.map(|_| ()), Err(SignInError::Closed));
    }
    let (_, app) = directory
        .add_token(it.home.member, "phone", pennypost_directory::TokenScope::ALL, None)
        .await
        .expect("a token");
    let imap = Attempt::new(SignInKind::Imap, "PLAIN", from);
    directory.sign_in(&imap, &address, &app).await.expect("a token opens");
    // Which is no way into a session.
    let body = json!({ "address": address, "password": app });
    it.sign_in(&body).await.assert_problem(401, "sign-in-refused");

    // It is taken away by whoever has shown it, or by an administrator who has shown his.
    let unconfirmed = it.token("chief", None).await;
    let refused = it.ask(&unconfirmed, "DELETE", &path, None).await;
    refused.assert_problem(403, "confirmation-needed");
    assert_eq!(it.ask(&chief, "DELETE", &path, None).await.status, 204);
    assert_eq!(it.sign_in(&with(None)).await.status, 201);
    directory.sign_in(&imap, &address, PASSWORD).await.expect("the password opens again");
    let log = it.administration().operations(&OPERATOR, Some(it.home.id), (None, None), 0, 500).await;
    let log = format!("{:?}", log.expect("reads").0);
    assert!(log.contains("second-factor.reset") && !log.contains(&secret) && !log.contains(&recovery[0]));
}

#[tokio::test(flavor = "multi_thread")]
async fn where_a_second_factor_is_wanted_nothing_else_comes_first() {
    let it = bench().await;
    let chief = it.office.session(it.home.chief).await;
    let rules = json!({
        "idle_minutes": 30, "session_minutes": 60, "second_factor": "administrators", "four_eyes": false,
    });
    assert_eq!(it.ask(&chief, "PUT", &it.at("/security"), Some(&rules)).await.status, 200);
    let bad = json!({
        "idle_minutes": 90, "session_minutes": 60, "second_factor": "nobody", "four_eyes": false,
    });
    it.ask(&chief, "PUT", &it.at("/security"), Some(&bad)).await.assert_problem(422, "invalid");
    // A member has no need of one.
    let member = it.token("member", None).await;
    assert_eq!(it.ask(&member, "GET", &it.of_member("/tokens"), None).await.status, 200);
    let graded = it.token("graded", None).await;
    let me = it.ask(&graded, "GET", "/me", None).await.json();
    assert_eq!(me["second_factor_missing"], true);
    let own = it.at(&format!("/accounts/{}", it.home.graded.account));
    for (method, path) in [("GET", it.at("/groups")), ("GET", own.clone()), ("GET", format!("{own}/tokens"))]
    {
        it.ask(&graded, method, &path, None).await.assert_problem(403, "second-factor-missing");
    }
    it.set_up(&graded, &format!("{own}/second-factor")).await;
    assert_eq!(it.ask(&graded, "GET", &it.at("/groups"), None).await.status, 200);
}

/// Feature ADM-13: a second factor before what can't be made undone, and a second administrator; for the operations that exist
#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_made_undone_is_confirmed_and_by_two() {
    let it = bench().await;
    let own = |key: pennypost_model::AccountKey| it.at(&format!("/accounts/{}/second-factor", key.account));
    let creator = it.token("creator", None).await;
    let heir = json!({ "account": it.home.member.account.to_string() });
    let path = it.at("/creator");
    let refused = it.ask(&creator, "PUT", &path, Some(&heir)).await;
    refused.assert_problem(403, "confirmation-needed");
    // A key that is not for it can't, nor can a session make itself one that is.
    let key = it.office.key(Some(it.home.id), Some(it.home.creator), permissions(&["administrators:write"]));
    let key = key.await;
    assert_eq!(it.ask(&key, "PUT", &it.at("/security"), None).await.status, 403);
    let new = json!({ "name": "around", "permissions": ["dangerous:write"] });
    let refused = it.ask(&creator, "POST", &it.at("/keys"), Some(&new)).await;
    refused.assert_problem(403, "confirmation-needed");

    let (secret, _) = it.set_up(&creator, &own(it.home.creator)).await;
    let rules = json!({
        "idle_minutes": 30, "session_minutes": 60, "second_factor": "nobody", "four_eyes": true,
    });
    assert_eq!(it.ask(&creator, "PUT", &it.at("/security"), Some(&rules)).await.status, 200);
    // Another session of the same person has to show it, too.
    let body = json!({ "code": code(&secret, 0) });
    let confirmation = format!("{}/confirmation", own(it.home.creator));
    it.ask(&creator, "POST", &confirmation, Some(&body)).await.assert_problem(422, "wrong-code");
    let body = json!({ "code": code(&secret, 1) });
    assert_eq!(it.ask(&creator, "POST", &confirmation, Some(&body)).await.status, 204);

    let waits = it.ask(&creator, "PUT", &path, Some(&heir)).await;
    assert_eq!(waits.status, 202, "{}", waits.text);
    let location = waits.header("location").strip_prefix("/api/v1").expect("below").to_owned();
    let id = waits.json()["id"].as_str().expect("an id").to_owned();
    assert_eq!(waits.json()["action"], "creator.change");
    let creator_is = async || it.ask(&creator, "GET", &path, None).await.json()["account"].clone();
    assert_eq!(creator_is().await, it.home.creator.account.to_string());

    // Nobody is his own second, nor is somebody who may not do it, nor somebody who has not shown who he is, nor a key.
    let confirm = format!("{location}/confirmation");
    it.ask(&creator, "POST", &confirm, None).await.assert_problem(409, "other-state");
    let member = it.office.session(it.home.member).await;
    it.ask(&member, "POST", &confirm, None).await.assert_problem(403, "no-permission");
    let unconfirmed = it.token("chief", None).await;
    it.ask(&unconfirmed, "POST", &confirm, None).await.assert_problem(403, "confirmation-needed");
    let service = it.office.key(Some(it.home.id), None, Permissions::of_tenant()).await;
    it.ask(&service, "POST", &confirm, None).await.assert_problem(403, "no-permission");
    // A super admin can't hand over the tenant, so he is no second for it either.
    let chief = it.office.session(it.home.chief).await;
    it.ask(&chief, "POST", &confirm, None).await.assert_problem(403, "no-permission");
    assert_eq!(it.ask(&creator, "DELETE", &location, None).await.status, 204);
    it.ask(&chief, "GET", &location, None).await.assert_problem(404, "not-found");

    // What both may do is done when the second says so, in his name, and once.
    let calm = json!({
        "idle_minutes": 45, "session_minutes": 60, "second_factor": "nobody", "four_eyes": false,
    });
    let waits = it.ask(&creator, "PUT", &it.at("/security"), Some(&calm)).await;
    assert_eq!(waits.status, 202, "{}", waits.text);
    let confirm =
        waits.header("location").strip_prefix("/api/v1").expect("below").to_owned() + "/confirmation";
    let listed = it.ask(&chief, "GET", &it.at("/requests"), None).await;
    assert!(listed.text.contains("security.change") && listed.text.contains(&it.address("creator")));
    // Whoever is to confirm it sees what is to be different.
    let listed = listed.json();
    let is_it = |row: &&Value| row["operation"] == "change-security" && row["body"] == calm;
    assert_eq!(listed["items"].as_array().expect("rows").iter().filter(is_it).count(), 1, "{listed}");
    let done = it.ask(&chief, "POST", &confirm, None).await;
    assert_eq!((done.status.as_u16(), &done.json()["status"]), (200, &json!(200)), "{}", done.text);
    assert_eq!(it.ask(&chief, "GET", &it.at("/security"), None).await.json(), calm);
    it.ask(&chief, "POST", &confirm, None).await.assert_problem(404, "not-found");

    let log = it.ask(&chief, "GET", &it.at("/operations?limit=500"), None).await.json();
    let told: Vec<String> = log["items"]
        .as_array()
        .expect("records")
        .iter()
        .filter(|record| record["outcome"] == "ordered")
        .map(|record| {
            format!("{} {}", record["action"].as_str().expect("text"), record["by"].as_str().expect("text"))
        })
        .collect();
    let (one, two) = (it.address("creator"), it.address("chief"));
    for expected in [
        format!("creator.change {one}"),
        format!("request.refuse {one}"),
        format!("security.change {one}"),
        format!("request.confirm {two}"),
        format!("security.change {two}"),
    ] {
        assert!(told.contains(&expected), "{expected} in {told:#?}");
    }
    assert!(!id.is_empty());
}

/// Feature ADM-13: also before a domain is removed or closed, and before somebody is made an administrator
#[tokio::test(flavor = "multi_thread")]
async fn domains_are_removed_and_administrators_made_by_who_has_confirmed() {
    let it = bench().await;
    let domain = format!("claimed.{}", it.home.domain);
    let removal = it.at(&format!("/domains/{domain}?confirmation={domain}-0-0-0"));
    let grants = it.at(&format!("/grants/{}", it.home.member.account));
    let over = json!({ "super": true, "roles": [] });
    let held = it.at(&format!("/roles/{}", it.home.role));
    let wider = json!({ "name": "spare", "permissions": ["groups:write"] });
    // Neither a session in which no code was shown does it, nor a key that is not for it.
    let creator = it.token("creator", None).await;
    let narrow = permissions(&["domains:write", "administrators:write"]);
    let key = it.office.key(Some(it.home.id), None, narrow).await;
    for shown in [&creator, &key] {
        it.ask(shown, "DELETE", &removal, None).await.assert_problem(403, "confirmation-needed");
        it.ask(shown, "PUT", &grants, Some(&over)).await.assert_problem(403, "confirmation-needed");
        it.ask(shown, "PUT", &held, Some(&wider)).await.assert_problem(403, "confirmation-needed");
    }
    let suspension = it.at(&format!("/domains/{}/suspension", it.home.domain));
    let closed = json!({ "suspended": true });
    let operator = it.office.key(None, None, permissions(&["installation:write"])).await;
    it.ask(&operator, "PUT", &suspension, Some(&closed)).await.assert_problem(403, "confirmation-needed");
    let wide = permissions(&["installation:write", "dangerous:write"]);
    let operator = it.office.key(None, None, wide).await;
    for suspended in [true, false] {
        let body = json!({ "suspended": suspended });
        let done = it.ask(&operator, "PUT", &suspension, Some(&body)).await;
        assert_eq!(done.status, 200, "{}", done.text);
    }

    // Where two are wanted, nobody orders what he could not do himself.
    let chief = it.office.session(it.home.chief).await;
    let rules = json!({
        "idle_minutes": 30, "session_minutes": 60, "second_factor": "nobody", "four_eyes": true,
    });
    assert_eq!(it.ask(&chief, "PUT", &it.at("/security"), Some(&rules)).await.status, 200);
    let of_administrators = permissions(&["administrators:write", "members:write"]);
    let role = it.administration().add_role(&OPERATOR, it.home.id, "appoints", of_administrators).await;
    let held = it.administration().grants_of(&OPERATOR, it.home.graded).await.expect("grants");
    let roles = vec![Grant { role: role.expect("a role").id, reach: Reach::Tenant }];
    let appointing = Grants { is_super: false, roles };
    it.administration().change_grants(&OPERATOR, it.home.graded, &held, appointing).await.expect("granted");
    let graded = it.office.session(it.home.graded).await;
    it.ask(&graded, "PUT", &grants, Some(&over)).await.assert_problem(403, "above-actor");
    let of_chief = it.at(&format!("/accounts/{}/second-factor", it.home.chief.account));
    it.ask(&graded, "DELETE", &of_chief, None).await.assert_problem(403, "above-actor");
    let wrong = it.at(&format!("/domains/{domain}?confirmation=yes"));
    it.ask(&chief, "DELETE", &wrong, None).await.assert_problem(409, "other-state");

    let creator = it.office.session(it.home.creator).await;
    for (method, path, body) in [("PUT", &grants, Some(&over)), ("DELETE", &removal, None)] {
        let waits = it.ask(&chief, method, path, body).await;
        assert_eq!(waits.status, 202, "{}", waits.text);
        let place = waits.header("location").strip_prefix("/api/v1").expect("below").to_owned();
        let done = it.ask(&creator, "POST", &format!("{place}/confirmation"), None).await;
        assert_eq!((done.status.as_u16(), &done.json()["status"]), (200, &json!(200)), "{}", done.text);
    }
    let made = it.ask(&creator, "GET", &grants, None).await.json();
    assert_eq!(made["super"], true);
    it.ask(&creator, "GET", &it.at(&format!("/domains/{domain}")), None)
        .await
        .assert_problem(404, "not-found");
}

/// Feature INT-01: single sign-on into the mailbox from a company portal
#[tokio::test(flavor = "multi_thread")]
async fn a_portal_lets_a_member_in_once() {
    let it = bench().await;
    let portal = it.office.key(Some(it.home.id), None, permissions(&["sign-on:write"])).await;
    let other = it.office.key(Some(it.home.id), None, permissions(&["members:write"])).await;
    let path = it.of_member("/tickets");
    it.ask(&other, "POST", &path, None).await.assert_problem(403, "no-permission");
    // Nobody is let in as somebody who can do more than the key.
    let above = it.at(&format!("/accounts/{}/tickets", it.home.chief.account));
    it.ask(&portal, "POST", &above, None).await.assert_problem(403, "above-actor");
    let ticket = it.ask(&portal, "POST", &path, None).await;
    assert_eq!(ticket.status, 200, "{}", ticket.text);
    let place = ticket.json()["path"].as_str().expect("a path").to_owned();
    let open = async |place: &str| {
        it.office.send(Request::builder().uri(place).body(Body::empty()).expect("a request")).await
    };
    let forged = format!("{}{}", &place[..place.len() - 1], if place.ends_with('0') { '1' } else { '0' });
    open(&forged).await.assert_problem(401, "sign-in-refused");
    let page = open(&place).await;
    assert_eq!(page.status, 200, "{}", page.text);
    let cookie = page.header("set-cookie").split(';').next().expect("a cookie").to_owned();
    let me = it.office.ask_with("", "GET", "/me", &[("cookie", &cookie)], None).await;
    assert_eq!((me.status.as_u16(), &me.json()["name"]), (200, &json!(it.address("member"))));
    assert_eq!(me.json()["confirmed"], false);
    open(&place).await.assert_problem(401, "sign-in-refused");
}

/// Feature INT-01: whoever comes with a ticket passes the rules of addresses and locks, and is recorded
#[tokio::test(flavor = "multi_thread")]
async fn tickets_pass_the_door_that_passwords_pass() {
    let it = bench().await;
    let all = it.office.key(Some(it.home.id), None, Permissions::of_tenant()).await;
    let knock = async |place: &str, from: [u8; 4]| {
        let mut request = Request::builder().uri(place).body(Body::empty()).expect("a request");
        request.extensions_mut().insert(Client(from.into()));
        it.office.send(request).await
    };
    let open = async |from: [u8; 4]| {
        let ticket = it.ask(&all, "POST", &it.of_member("/tickets"), None).await.json();
        knock(ticket["path"].as_str().expect("a path"), from).await
    };
    let (home, next, stranger) = ([203, 0, 113, 1], [203, 0, 113, 2], [198, 51, 100, 2]);
    assert_eq!(open(home).await.status, 200);
    let rules = |addresses: Value| json!({ "addresses": addresses, "secure_forced": false });
    let only = rules(json!({ "allow": ["203.0.113.1"], "deny": [], "others": "deny" }));
    let said = it.ask(&all, "PUT", &it.of_member("/sign-in-rules"), Some(&only)).await;
    assert_eq!(said.status, 200, "{}", said.text);
    open(next).await.assert_problem(403, "elsewhere");
    assert_eq!(open(home).await.status, 200);
    it.ask(&all, "PUT", &it.of_member("/sign-in-rules"), Some(&rules(Value::Null))).await;

    // What locks passwords out locks tickets out: strangers, and not the network from which one opened a session.
    it.lock_after(&all, 3).await;
    let directory = it.administration().directory();
    for _ in 0..3 {
        let guess = Attempt::new(SignInKind::Imap, "PLAIN", [198, 51, 100, 1].into());
        let guessed = directory.sign_in(&guess, &it.address("member"), "wrong").await;
        assert_eq!(guessed.map(drop), Err(SignInError::Denied));
    }
    open(stranger).await.assert_problem(401, "sign-in-refused");
    assert_eq!(open(home).await.status, 200);
    let mut told: Vec<String> = it.recorded(&all, "kind=sso").await;
    told.sort();
    told.dedup();
    assert_eq!(
        told,
        ["elsewhere ticket 203.0.113.2", "locked ticket 198.51.100.2", "ok ticket 203.0.113.1"],
        "{told:?}"
    );
    let days = it.ask(&all, "GET", &it.at("/sign-in-statistics"), None).await.json();
    let today = days["items"].as_array().and_then(|days| days.last()).expect("today").clone();
    assert_eq!(today["sso"], json!(3), "{today}");

    // Whoever guesses is slowed as with passwords.
    let forged = format!("/sso?ticket=ppo_{}{}", it.home.id, "0".repeat(64));
    for _ in 0..20 {
        knock(&forged, [192, 0, 2, 200]).await.assert_problem(401, "sign-in-refused");
    }
    knock(&forged, [192, 0, 2, 200]).await.assert_problem(429, "too-many-requests");
}

/// Feature LOG-05: a right password without its code is told apart from a sign-in
/// Feature AUT-16: wrong codes of a second factor lock, are listed and unlocked
#[tokio::test(flavor = "multi_thread")]
async fn half_a_sign_in_is_none_and_wrong_codes_lock() {
    let it = bench().await;
    let all = it.office.key(Some(it.home.id), None, Permissions::of_tenant()).await;
    it.lock_after(&all, 3).await;
    let token = it.token("member", None).await;
    let (secret, _) = it.set_up(&token, &it.of_member("/second-factor")).await;
    let with =
        |code: Option<&str>| json!({ "address": it.address("member"), "password": PASSWORD, "code": code });
    it.sign_in(&with(None)).await.assert_problem(401, "code-needed");
    for _ in 0..3 {
        it.sign_in(&with(Some("000000"))).await.assert_problem(401, "sign-in-refused");
    }
    let next = code(&secret, 1);
    it.sign_in(&with(Some(&next))).await.assert_problem(401, "sign-in-refused");
    let locks = it.ask(&all, "GET", &it.at("/locks"), None).await.json();
    let place = locks["items"][0]["place"].as_str().expect("locked");
    assert_eq!((place, &locks["items"][0]["wrong"]), ("code/192.0.2.0/24", &json!(3)), "{locks}");
    // The right password alone unlocks nothing.
    it.sign_in(&with(None)).await.assert_problem(401, "code-needed");
    it.sign_in(&with(Some(&next))).await.assert_problem(401, "sign-in-refused");
    let unlock = it.at(&format!("/locks/{}", it.home.member.account));
    assert_eq!(it.ask(&all, "DELETE", &unlock, None).await.status, 204);
    assert_eq!(it.sign_in(&with(Some(&next))).await.status, 201);

    let mut told = it.recorded(&all, "").await;
    told.sort();
    told.dedup();
    let expected = [
        "code-needed password 192.0.2.9",
        "lock-began password 192.0.2.9",
        "locked password 192.0.2.9",
        "ok password 192.0.2.9",
        "ok password-and-code 192.0.2.9",
        "unlocked unlock 0.0.0.0",
        "wrong-code password 192.0.2.9",
    ];
    assert_eq!(told, expected);
    let days = it.ask(&all, "GET", &it.at("/sign-in-statistics"), None).await.json();
    let today = days["items"].as_array().and_then(|days| days.last()).expect("today").clone();
    let counted = (&today["api"], &today["failed"], &today["locked"]);
    assert_eq!(counted, (&json!(2), &json!(5), &json!(1)), "{today}");

    // With a password alone a stranger does not become a neighbour, whose failures would be counted apart.
    let directory = it.administration().directory();
    let abroad = [198, 51, 100, 9].into();
    let attempt = Attempt::new(SignInKind::Web, "password", abroad);
    let half = directory.sign_in_for_session(&attempt, &it.address("member"), PASSWORD, None).await;
    assert_eq!(half, Ok(PasswordShown::NeedsCode(it.home.member)));
    let attempt = Attempt::new(SignInKind::Imap, "PLAIN", abroad);
    for _ in 0..3 {
        let guessed = directory.sign_in(&attempt, &it.address("member"), "wrong").await;
        assert_eq!(guessed.map(drop), Err(SignInError::Denied));
    }
    let locks = it.ask(&all, "GET", &it.at("/locks"), None).await.json();
    assert_eq!(locks["items"][0]["place"], json!("strangers"), "{locks}");
}

/// Feature AUT-15: sessions end with the address from which they were opened
#[tokio::test(flavor = "multi_thread")]
async fn a_session_ends_where_nobody_may_sign_in_any_more() {
    let it = bench().await;
    let all = it.office.key(Some(it.home.id), None, Permissions::of_tenant()).await;
    let token = it.token("member", None).await;
    let directory = it.administration().directory();
    let is_open = async || directory.session(&token).await.expect("looked up").is_some();
    for (deny, opens) in [("203.0.113.7", true), ("192.0.2.9", false), ("203.0.113.7", false)] {
        let addresses = json!({ "allow": [], "deny": [deny], "others": "allow" });
        let rules = json!({ "addresses": addresses, "secure_forced": false });
        let said = it.ask(&all, "PUT", &it.of_member("/sign-in-rules"), Some(&rules)).await;
        assert_eq!(said.status, 200, "{}", said.text);
        assert_eq!(is_open().await, opens, "{deny}");
    }
}
