//! Signing in by a provider of identities, which is asked over TLS.

use axum::body::Body;
use axum::http::Request;
use pennypost_admin::{Assignment, Permissions, SIGN_IN_RETURN};
use pennypost_directory::BinCause;
use serde_json::{Value, json};

use crate::support::provider::{CLIENT, Provider, SECRET};
use crate::support::{Answer, OPERATOR, Office, Tenant};

struct Bench {
    office: Office,
    home: Tenant,
    identities: Provider,
}

async fn bench() -> Bench {
    let (office, identities) = (Office::open().await, Provider::open().await);
    office.zone.reach(identities.reach());
    let home = office.tenant("home").await;
    Bench { office, home, identities }
}

impl Bench {
    fn at(&self, path: &str) -> String {
        format!("/tenants/{}{path}", self.home.id)
    }

    fn of_member(&self, path: &str) -> String {
        self.at(&format!("/accounts/{}{path}", self.home.member.account))
    }

    async fn post(&self, key: &str, path: &str, body: Value) -> Answer {
        self.office.ask(key, "POST", path, Some(&body)).await
    }

    /// The creator adds the provider: its id.
    async fn add(&self, matching: &str) -> String {
        let creator = self.office.session(self.home.creator).await;
        let new = json!({
            "name": "Acme ID", "issuer": self.identities.issuer, "client_id": CLIENT, "client_secret": SECRET,
            "matching": matching,
        });
        let added = self.post(&creator, &self.at("/providers"), new).await;
        assert_eq!(added.status, 201, "{}", added.text);
        assert!(!added.text.contains("s3cret"), "{}", added.text);
        added.json()["id"].as_str().expect("an id").to_owned()
    }

    /// Begins to sign in: where the browser goes, and the key.
    async fn begin(&self, provider: &str) -> (String, String) {
        let wish = json!({ "tenant": self.home.id.to_string(), "provider": provider });
        let begun = self.post("", "/provider-requests", wish).await;
        assert_eq!(begun.status, 200, "{}", begun.text);
        let text = |name: &str| begun.json()[name].as_str().expect("text").to_owned();
        (text("url"), text("key"))
    }

    /// Signs in as whom the provider knows so.
    async fn sign_in(&self, provider: &str, claims: Value) -> Answer {
        let (url, key) = self.begin(provider).await;
        let (state, code, _) = self.identities.sign_in(&url, claims);
        self.post("", "/provider-sessions", self.back(&state, &code, &key)).await
    }

    fn back(&self, state: &str, code: &str, key: &str) -> Value {
        json!({ "state": state, "code": code, "iss": self.identities.issuer, "key": key })
    }

    /// The member binds himself.
    async fn bind(&self, token: &str, provider: &str, claims: Value) -> Answer {
        let path = self.of_member(&format!("/bindings/{provider}/request"));
        let begun = self.office.ask(token, "POST", &path, None).await;
        assert_eq!(begun.status, 200, "{}", begun.text);
        let begun = begun.json();
        let (state, code, back) = self.identities.sign_in(begun["url"].as_str().expect("text"), claims);
        assert_eq!(back, "https://mail.post.example/sign-in/binding");
        let key = begun["key"].as_str().expect("a key");
        self.post(token, &self.of_member("/bindings"), self.back(&state, &code, key)).await
    }
}

/// Feature AUT-19: bindings with providers are listed and cut; no page, no WeChat
/// Feature ORG-20: unbinding cuts bindings with providers, too
#[tokio::test(flavor = "multi_thread")]
async fn a_member_binds_himself_and_signs_in_by_a_provider() {
    let it = bench().await;
    let provider = it.add("bound").await;
    let who =
        json!({ "sub": "ann-1", "email": format!("member@{}", it.home.domain), "email_verified": true });
    // It has to be said first who that is, whatever the address.
    it.sign_in(&provider, who.clone()).await.assert_problem(401, "sign-in-refused");

    let token = it.office.session(it.home.member).await;
    let bound = it.bind(&token, &provider, who.clone()).await;
    assert_eq!((bound.status.as_u16(), &bound.json()["subject"]), (201, &json!("ann-1")), "{}", bound.text);
    let opened = it.sign_in(&provider, who.clone()).await;
    assert_eq!(opened.status, 201, "{}", opened.text);
    let opened = opened.json();
    assert_eq!(
        (&opened["signed_in_by"], &opened["account"]),
        (&json!("provider"), &json!(it.home.member.account.to_string()))
    );
    // Another person of the provider is nobody, nor can another member be the same.
    it.sign_in(&provider, json!({ "sub": "ann-2" })).await.assert_problem(401, "sign-in-refused");
    let chief = it.office.session(it.home.chief).await;
    let path = it.at(&format!("/accounts/{}/bindings", it.home.chief.account));
    let begun = it.office.ask(&chief, "POST", &format!("{path}/{provider}/request"), None).await.json();
    let (state, code, _) = it.identities.sign_in(begun["url"].as_str().expect("text"), who.clone());
    let key = begun["key"].as_str().expect("a key");
    it.post(&chief, &path, it.back(&state, &code, key)).await.assert_problem(409, "taken");
    assert_eq!(it.office.ask(&chief, "GET", &path, None).await.json()["items"], json!([]));

    // It is listed, and cut.
    let listed = it.office.ask(&token, "GET", &it.of_member("/bindings"), None).await.json();
    let row = &listed["items"][0];
    assert_eq!((&row["provider"], &row["name"]), (&json!(provider), &json!("Acme ID")));
    let one = it.of_member(&format!("/bindings/{provider}"));
    assert_eq!(it.office.ask(&chief, "DELETE", &one, None).await.status, 204);
    it.sign_in(&provider, who.clone()).await.assert_problem(401, "sign-in-refused");
    it.office.ask(&chief, "DELETE", &one, None).await.assert_problem(404, "not-found");
    // What it had opened has ended with it.
    let by_provider = opened["token"].as_str().expect("a token");
    it.office.ask(by_provider, "GET", "/me", None).await.assert_problem(401, "unauthorised");
    let token = it.office.session(it.home.member).await;

    // Unbinding the mailbox cuts it, too: whoever has it next is not the one before.
    assert_eq!(it.bind(&token, &provider, who.clone()).await.status, 201);
    assert_eq!(it.sign_in(&provider, who.clone()).await.status, 201);
    let administration = &it.office.administration;
    administration.delete_account(&OPERATOR, it.home.member, BinCause::Unbound).await.expect("in the bin");
    let owner = Assignment { display_name: "somebody else".to_owned(), ..Assignment::default() };
    administration.assign_account(&OPERATOR, it.home.member, &owner).await.expect("assigned");
    it.sign_in(&provider, who).await.assert_problem(401, "sign-in-refused");
    let bindings = administration.bindings(&OPERATOR, it.home.member).await.expect("read");
    assert_eq!(bindings, []);
}

/// Feature AUT-01: by a provider of identities (OpenID Connect), whose verified address is the member's
#[tokio::test(flavor = "multi_thread")]
async fn a_provider_lets_in_whose_address_it_has_verified() {
    let it = bench().await;
    let provider = it.add("email").await;
    let email = format!("member@{}", it.home.domain);
    let who =
        |email: &str, verified: bool| json!({ "sub": "ann-1", "email": email, "email_verified": verified });
    // The way there, as a page finds it.
    let ways = it.post("", "/sign-in-ways", json!({ "address": email })).await.json();
    assert_eq!(ways["providers"][0]["provider"], json!(provider));
    let nowhere = it.post("", "/sign-in-ways", json!({ "address": "ann@nowhere.example" })).await.json();
    assert_eq!(nowhere["providers"], json!([]));

    assert_eq!(it.sign_in(&provider, who(&email, true)).await.status, 201);
    it.sign_in(&provider, who(&email, false)).await.assert_problem(401, "sign-in-refused");
    let theirs = it.office.tenant("theirs").await;
    let abroad = format!("member@{}", theirs.domain);
    it.sign_in(&provider, who(&abroad, true)).await.assert_problem(401, "sign-in-refused");

    // What comes back is good once, with its key, from its provider.
    let (url, key) = it.begin(&provider).await;
    let (state, code, _) = it.identities.sign_in(&url, who(&email, true));
    let (_, other) = it.begin(&provider).await;
    let wrong = it.back(&state, &code, &other);
    it.post("", "/provider-sessions", wrong).await.assert_problem(401, "sign-in-refused");
    // It is used up by that.
    let right = it.back(&state, &code, &key);
    it.post("", "/provider-sessions", right).await.assert_problem(401, "sign-in-refused");
    let (url, key) = it.begin(&provider).await;
    let (state, code, _) = it.identities.sign_in(&url, who(&email, true));
    let mut mixed = it.back(&state, &code, &key);
    mixed["iss"] = json!("https://other.example");
    it.post("", "/provider-sessions", mixed).await.assert_problem(401, "sign-in-refused");
    let (url, key) = it.begin(&provider).await;
    let (state, _, _) = it.identities.sign_in(&url, who(&email, true));
    let made_up = it.back(&state, "made up", &key);
    it.post("", "/provider-sessions", made_up).await.assert_problem(401, "sign-in-refused");
    // An ID token for somebody else's client is none.
    let (url, key) = it.begin(&provider).await;
    let mut claims = who(&email, true);
    claims["aud"] = json!("another client");
    let (state, code, _) = it.identities.sign_in(&url, claims);
    let foreign = it.back(&state, &code, &key);
    it.post("", "/provider-sessions", foreign).await.assert_problem(502, "provider-failed");

    // Rules of addresses and disabled accounts hold here, too.
    let chief = it.office.session(it.home.chief).await;
    let rules = it.of_member("/sign-in-rules");
    let rule = json!({ "addresses": { "allow": ["198.51.100.0/24"], "deny": [], "others": "deny" }, "secure_forced": true });
    assert_eq!(it.office.ask(&chief, "PUT", &rules, Some(&rule)).await.status, 200);
    it.sign_in(&provider, who(&email, true)).await.assert_problem(403, "elsewhere");
    let rule = json!({ "addresses": null, "secure_forced": true });
    assert_eq!(it.office.ask(&chief, "PUT", &rules, Some(&rule)).await.status, 200);
    assert_eq!(it.sign_in(&provider, who(&email, true)).await.status, 201);
    it.office.administration.directory().sign_in_log().expect("a record").finish().await;
    let found = it.office.ask(&chief, "GET", &it.of_member("/sign-ins"), None).await.text;
    assert!(found.contains("\"mechanism\":\"provider\"") && found.contains("\"elsewhere\""), "{found}");
    let off = json!({ "state": "disabled" });
    assert_eq!(it.office.ask(&chief, "PATCH", &it.of_member(""), Some(&off)).await.status, 200);
    it.sign_in(&provider, who(&email, true)).await.assert_problem(401, "sign-in-refused");
}

#[tokio::test(flavor = "multi_thread")]
async fn who_is_bound_is_one_person_of_a_provider_whatever_addresses_it_tells() {
    let it = bench().await;
    let provider = it.add("email").await;
    let email = format!("member@{}", it.home.domain);
    let who = |sub: &str| json!({ "sub": sub, "email": email, "email_verified": true });
    let token = it.office.session(it.home.member).await;
    assert_eq!(it.bind(&token, &provider, who("ann-1")).await.status, 201);
    assert_eq!(it.sign_in(&provider, who("ann-1")).await.status, 201);
    // The address is given to somebody else there.
    it.sign_in(&provider, who("ann-2")).await.assert_problem(401, "sign-in-refused");
    // What was cut stays so until the member binds himself again.
    let one = it.of_member(&format!("/bindings/{provider}"));
    assert_eq!(it.office.ask(&token, "DELETE", &one, None).await.status, 204);
    for sub in ["ann-1", "ann-2"] {
        it.sign_in(&provider, who(sub)).await.assert_problem(401, "sign-in-refused");
    }
    assert_eq!(it.bind(&token, &provider, who("ann-2")).await.status, 201);
    assert_eq!(it.sign_in(&provider, who("ann-2")).await.status, 201);
    // An administrator who lets the member in again cuts it, too.
    it.office.administration.recover_account(&OPERATOR, it.home.member).await.expect("recovered");
    it.sign_in(&provider, who("ann-2")).await.assert_problem(401, "sign-in-refused");
    let log = it.office.administration.operations(&OPERATOR, Some(it.home.id), (None, None), 0, 500).await;
    let log = format!("{:?}", log.expect("reads").0);
    assert!(log.contains("ann-2"), "{log}");
    // The tenant sees who was refused.
    it.office.administration.directory().sign_in_log().expect("a record").finish().await;
    let chief = it.office.session(it.home.chief).await;
    let record = it.office.ask(&chief, "GET", &it.at("/sign-ins?limit=100"), None).await.json();
    let is_refused = |row: &Value| {
        row["mechanism"] == "provider" && row["login"] == json!(email) && row["outcome"] == "unknown-account"
    };
    assert!(record["items"].as_array().expect("rows").iter().any(is_refused), "{record}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_address_that_the_token_leaves_out_is_asked_for() {
    let it = bench().await;
    let provider = it.add("email").await;
    let email = format!("member@{}", it.home.domain);
    let person = |sub: &str, verified: bool| {
        let person = json!({ "sub": sub, "email": email, "email_verified": verified });
        json!({ "sub": "ann-1", "person": person })
    };
    let opened = it.sign_in(&provider, person("ann-1", true)).await;
    assert_eq!(opened.status, 201, "{}", opened.text);
    it.sign_in(&provider, person("ann-1", false)).await.assert_problem(401, "sign-in-refused");
    it.sign_in(&provider, person("bob-1", true)).await.assert_problem(502, "provider-failed");
    // What providers have opened ends with any that is turned off.
    let token = opened.json()["token"].as_str().expect("a token").to_owned();
    assert_eq!(it.office.ask(&token, "GET", "/me", None).await.status, 200);
    let creator = it.office.session(it.home.creator).await;
    let off = json!({
        "name": "Acme", "client_id": CLIENT, "client_secret": null, "matching": "email", "on": false,
    });
    let one = it.at(&format!("/providers/{provider}"));
    assert_eq!(it.office.ask(&creator, "PUT", &one, Some(&off)).await.status, 200);
    it.office.ask(&token, "GET", "/me", None).await.assert_problem(401, "unauthorised");
    let mut on = off.clone();
    on["on"] = json!(true);
    assert_eq!(it.office.ask(&creator, "PUT", &one, Some(&on)).await.status, 200);
    let token = it.sign_in(&provider, person("ann-1", true)).await.json()["token"].clone();
    assert_eq!(it.office.ask(&creator, "DELETE", &one, None).await.status, 204);
    let token = token.as_str().expect("a token");
    it.office.ask(token, "GET", "/me", None).await.assert_problem(401, "unauthorised");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_browser_comes_back_to_a_page_that_signs_it_in() {
    let it = bench().await;
    let provider = it.add("email").await;
    let wish = json!({ "tenant": it.home.id.to_string(), "provider": provider, "cookie": true });
    it.post("", "/provider-requests", wish.clone()).await.assert_problem(403, "other-page");
    let page = [("pennypost-page", "1")];
    let begun = it.office.ask_with("", "POST", "/provider-requests", &page, Some(&wish)).await;
    assert_eq!((begun.status.as_u16(), &begun.json()["key"]), (200, &Value::Null), "{}", begun.text);
    let set = begun.header("set-cookie").to_owned();
    assert!(set.contains("__Host-pennypost-provider=") && set.contains("SameSite=Lax"), "{set}");
    let cookie = set.split(';').next().expect("a cookie").to_owned();
    let claims = json!({ "sub": "x", "email": format!("member@{}", it.home.domain), "email_verified": true });
    let begun = begun.json();
    let (state, code, back) = it.identities.sign_in(begun["url"].as_str().expect("text"), claims);
    assert_eq!(back, format!("https://mail.post.example{SIGN_IN_RETURN}"));
    let path = format!("{SIGN_IN_RETURN}?state={state}&code={code}&iss={}", it.identities.issuer);
    let request = Request::get(&path).header("cookie", cookie).body(Body::empty()).expect("a request");
    let page = it.office.send(request).await;
    assert_eq!(page.status, 200, "{}", page.text);
    assert!(page.header("set-cookie").starts_with("__Host-pennypost=pps_"), "{}", page.header("set-cookie"));
    // Without what the browser holds nobody is signed in as somebody else.
    let request = Request::get(&path).body(Body::empty()).expect("a request");
    it.office.send(request).await.assert_problem(401, "sign-in-refused");

    // Who has thought better of it at the provider has guessed nothing, and comes back with that request no more.
    let (url, key) = it.begin(&provider).await;
    let claims = json!({ "sub": "x", "email": format!("member@{}", it.home.domain), "email_verified": true });
    let (state, code, _) = it.identities.sign_in(&url, claims.clone());
    for _ in 0..25 {
        let path = format!("{SIGN_IN_RETURN}?state={state}&error=access_denied");
        let cookie = format!("__Host-pennypost-provider={key}");
        let request = Request::get(&path).header("cookie", cookie).body(Body::empty()).expect("a request");
        it.office.send(request).await.assert_problem(401, "sign-in-refused");
    }
    let late = it.back(&state, &code, &key);
    it.post("", "/provider-sessions", late).await.assert_problem(401, "sign-in-refused");
    assert_eq!(it.sign_in(&provider, claims).await.status, 201);
}

#[tokio::test(flavor = "multi_thread")]
async fn providers_are_configured_by_the_creator_who_confirms_it() {
    let it = bench().await;
    let provider = it.add("bound").await;
    let one = it.at(&format!("/providers/{provider}"));
    // Whoever says who members are can be anybody.
    let chief = it.office.session(it.home.chief).await;
    it.office.ask(&chief, "DELETE", &one, None).await.assert_problem(403, "no-permission");
    assert_eq!(it.office.ask(&chief, "GET", &one, None).await.status, 200);
    let body = json!({ "address": format!("creator@{}", it.home.domain), "password": "a long password" });
    let plain = it.post("", "/sessions", body).await.json()["token"].as_str().expect("a token").to_owned();
    it.office.ask(&plain, "DELETE", &one, None).await.assert_problem(403, "confirmation-needed");
    let creator = it.office.session(it.home.creator).await;
    for (issuer, name) in [
        ("http://id.example", "x"),
        ("https://10.0.0.1", "x"),
        ("https://localhost/", "x"),
        ("https://id.example?x", "x"),
        ("https://id.example", ""),
    ] {
        let new = json!({
            "name": name, "issuer": issuer, "client_id": "c", "client_secret": "s", "matching": "bound",
        });
        it.post(&creator, &it.at("/providers"), new).await.assert_problem(422, "invalid");
    }
    let seen = it.office.ask(&creator, "GET", &one, None).await;
    let tag = [("if-match", seen.header("etag"))];
    let off = json!({
        "name": "Acme", "client_id": CLIENT, "client_secret": null, "matching": "email", "on": false,
    });
    let changed = it.office.ask_with(&creator, "PUT", &one, &tag, Some(&off)).await;
    assert_eq!((changed.status.as_u16(), &changed.json()["on"]), (200, &json!(false)), "{}", changed.text);
    it.office.ask_with(&creator, "PUT", &one, &tag, Some(&off)).await.assert_problem(412, "changed");
    // One that is off sends nobody anywhere.
    let wish = json!({ "tenant": it.home.id.to_string(), "provider": provider });
    it.post("", "/provider-requests", wish.clone()).await.assert_problem(404, "not-found");
    assert_eq!(it.office.ask(&creator, "DELETE", &one, None).await.status, 204);
    it.office.ask(&creator, "GET", &one, None).await.assert_problem(404, "not-found");
    it.post("", "/provider-requests", wish).await.assert_problem(404, "not-found");
    // One that nobody reaches.
    let new = json!({
        "name": "x", "issuer": "https://nowhere.example", "client_id": "c", "client_secret": "s", "matching": "bound",
    });
    let nowhere = it.post(&creator, &it.at("/providers"), new).await.json()["id"].clone();
    let wish = json!({ "tenant": it.home.id.to_string(), "provider": nowhere });
    it.post("", "/provider-requests", wish).await.assert_problem(502, "provider-failed");
    // A key does it that is for such things, and the secret is in no log.
    let key = it.office.key(None, None, Permissions::all()).await;
    let path = it.at(&format!("/providers/{}", nowhere.as_str().expect("an id")));
    assert_eq!(it.office.ask(&key, "DELETE", &path, None).await.status, 204);
    let log = it.office.administration.operations(&OPERATOR, Some(it.home.id), (None, None), 0, 500).await;
    let log = format!("{:?}", log.expect("reads").0);
    assert!(log.contains("provider.change") && !log.contains("s3cret"), "{log}");
}
