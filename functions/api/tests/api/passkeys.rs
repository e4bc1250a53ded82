//! Passkeys, as browsers make and show them.

use pennypost_directory::{Attempt, SignInKind};
use serde_json::{Value, json};

use crate::support::authenticator::Authenticator;
use crate::support::{Answer, OPERATOR, Office, Tenant};

const PASSWORD: &str = "a long password";
const ORIGIN: &str = "https://mail.post.example";

struct Bench {
    office: Office,
    home: Tenant,
}

async fn bench() -> Bench {
    let office = Office::open().await;
    let home = office.tenant("home").await;
    Bench { office, home }
}

impl Bench {
    fn address(&self, local: &str) -> String {
        format!("{local}@{}", self.home.domain)
    }

    fn of_member(&self, path: &str) -> String {
        format!("/tenants/{}/accounts/{}{path}", self.home.id, self.home.member.account)
    }

    async fn ask(&self, key: &str, method: &str, path: &str, body: Option<&Value>) -> Answer {
        self.office.ask(key, method, path, body).await
    }

    /// What a door or an operation answers to this.
    async fn post(&self, key: &str, path: &str, body: Value) -> Answer {
        self.office.ask(key, "POST", path, Some(&body)).await
    }

    async fn by_password(&self) -> String {
        let body = json!({ "address": self.address("member"), "password": PASSWORD });
        let answer = self.post("", "/sessions", body).await;
        assert_eq!(answer.status, 201, "{}", answer.text);
        answer.json()["token"].as_str().expect("a token").to_owned()
    }

    async fn offer(&self, token: &str) -> Value {
        let offer = self.ask(token, "POST", &self.of_member("/passkey-offers"), None).await;
        assert_eq!(offer.status, 200, "{}", offer.text);
        offer.json()
    }

    /// The member makes a passkey.
    async fn add(&self, token: &str, name: &str, with: &mut Authenticator) -> Value {
        let credential = with.create(&self.offer(token).await);
        let kept = json!({ "name": name, "credential": credential });
        let kept = self.post(token, &self.of_member("/passkeys"), kept).await;
        assert_eq!(kept.status, 201, "{}", kept.text);
        kept.json()
    }

    async fn options(&self, body: Value) -> Value {
        let options = self.post("", "/passkey-challenges", body).await;
        assert_eq!(options.status, 200, "{}", options.text);
        options.json()
    }

    async fn sign_in(&self, credential: Value) -> Answer {
        self.post("", "/passkey-sessions", json!({ "credential": credential })).await
    }

    async fn confirmation(&self, token: &str, with: &mut Authenticator) -> Answer {
        let path = self.of_member("/second-factor/passkey-challenge");
        let options = self.ask(token, "POST", &path, None).await;
        assert_eq!(options.status, 200, "{}", options.text);
        let shown = json!({ "credential": with.get(&options.json()) });
        self.post(token, &self.of_member("/second-factor/passkey-confirmation"), shown).await
    }
}

/// Feature AUT-02: signing in without a password, with a passkey in the place of a scan; no page shows it yet
/// Feature AUT-01: by password, by password and code, by a passkey
#[tokio::test(flavor = "multi_thread")]
async fn a_member_signs_in_with_a_passkey() {
    let it = bench().await;
    let token = it.by_password().await;
    let mut phone = Authenticator::at(ORIGIN);
    let made = it.add(&token, "phone", &mut phone).await;
    assert_eq!((&made["name"], &made["used"]), (&json!("phone"), &Value::Null));

    // By any that the authenticator has, and by those of an address.
    for wish in [json!({}), json!({ "address": it.address("member") })] {
        let options = it.options(wish.clone()).await;
        assert_eq!(
            (&options["rpId"], &options["userVerification"]),
            (&json!("mail.post.example"), &json!("required"))
        );
        let allowed = options["allowCredentials"].as_array().expect("credentials").clone();
        let expected = if wish == json!({}) { vec![] } else { vec![phone.credential()] };
        let allowed: Vec<&str> = allowed.iter().map(|one| one["id"].as_str().expect("an id")).collect();
        assert_eq!(allowed, expected);
        let credential = phone.get(&options);
        let opened = it.sign_in(credential.clone()).await;
        assert_eq!(opened.status, 201, "{}", opened.text);
        assert_eq!(opened.json()["signed_in_by"], "passkey");
        // It is answered once.
        it.sign_in(credential).await.assert_problem(401, "sign-in-refused");
        // Both factors were shown: what is dangerous may be done.
        let token = opened.json()["token"].as_str().expect("a token").to_owned();
        it.offer(&token).await;
    }
    let listed = it.ask(&token, "GET", &it.of_member("/passkeys"), None).await.json();
    assert!(listed["items"][0]["used"].is_string(), "{listed}");

    // The record of sign-ins has it.
    it.office.administration.directory().sign_in_log().expect("a record").finish().await;
    let found = it.ask(&token, "GET", &it.of_member("/sign-ins?limit=50"), None).await.text;
    assert!(found.contains("\"mechanism\":\"passkey\""), "{found}");

    // A cookie takes a page of ours.
    let options = it.options(json!({})).await;
    let body = json!({ "credential": phone.get(&options), "cookie": true });
    it.post("", "/passkey-sessions", body.clone()).await.assert_problem(403, "other-page");
    let page = [("pennypost-page", "1")];
    let set = it.office.ask_with("", "POST", "/passkey-sessions", &page, Some(&body)).await;
    assert!(set.status == 201 && set.header("set-cookie").contains("__Host-pennypost=pps_"), "{}", set.text);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_passkey_that_is_not_quite_right_opens_nothing() {
    let it = bench().await;
    let token = it.by_password().await;
    let mut phone = Authenticator::at(ORIGIN);
    it.add(&token, "phone", &mut phone).await;

    // The authenticator has not looked who it is: it is one factor of two.
    phone.verifies = false;
    let options = it.options(json!({})).await;
    it.sign_in(phone.get(&options)).await.assert_problem(401, "sign-in-refused");
    // Which is enough for somebody who is in already.
    assert_eq!(it.confirmation(&token, &mut phone).await.status, 204);
    phone.verifies = true;

    // A copy of it, whose counter stood still.
    let before = phone.counter;
    let options = it.options(json!({})).await;
    phone.counter = before - 1;
    it.sign_in(phone.get(&options)).await.assert_problem(401, "sign-in-refused");
    phone.counter = before + 1;

    // A page of somebody else's, to which somebody was led.
    let mut led = Authenticator::at("https://mail.post.example.evil.example");
    let offer = it.offer(&token).await;
    let kept = json!({ "name": "led", "credential": led.create(&offer) });
    let path = it.of_member("/passkeys");
    it.post(&token, &path, kept).await.assert_problem(422, "wrong-passkey");
    // A challenge that was made for something else.
    let mut other = Authenticator::at(ORIGIN);
    let mut offer = it.offer(&token).await;
    offer["challenge"] = it.options(json!({})).await["challenge"].clone();
    let kept = json!({ "name": "other", "credential": other.create(&offer) });
    it.post(&token, &path, kept).await.assert_problem(422, "wrong-passkey");
    // One that nobody has registered; and no passkey at all.
    let options = it.options(json!({})).await;
    other.create(&it.offer(&token).await);
    it.sign_in(other.get(&options)).await.assert_problem(401, "sign-in-refused");
    it.sign_in(json!({ "rawId": "*", "response": {} })).await.assert_problem(400, "bad-body");

    // Another member's session confirms with nothing of this one's.
    let chief = it.office.session(it.home.chief).await;
    let theirs = it.of_member("/second-factor/passkey-challenge");
    it.ask(&chief, "POST", &theirs, None).await.assert_problem(403, "no-permission");

    // Whether there is such an account is not told: there is one credential in any case, always the same.
    let address = it.address("nobody");
    let (a, b) =
        (it.options(json!({ "address": address })).await, it.options(json!({ "address": address })).await);
    assert_eq!(a["allowCredentials"], b["allowCredentials"]);
    assert_eq!(a["allowCredentials"].as_array().expect("credentials").len(), 1);
    assert_ne!(a["challenge"], b["challenge"]);
}

/// Feature ADM-13: confirmed by a code of the authenticator or a passkey, for what administration holds dangerous
#[tokio::test(flavor = "multi_thread")]
async fn a_passkey_confirms_and_guards_what_changes_passkeys() {
    let it = bench().await;
    let token = it.by_password().await;
    // Without one there is nothing to show.
    let path = it.of_member("/second-factor/passkey-challenge");
    it.ask(&token, "POST", &path, None).await.assert_problem(409, "other-state");
    let mut phone = Authenticator::at(ORIGIN);
    let made = it.add(&token, "phone", &mut phone).await;

    // Whoever has only the password does not add one, nor an authenticator of codes, nor takes one away.
    let stolen = it.by_password().await;
    let one = it.of_member(&format!("/passkeys/{}", made["id"].as_str().expect("an id")));
    for (method, path) in [
        ("POST", it.of_member("/passkey-offers")),
        ("POST", it.of_member("/second-factor/authenticator")),
        ("DELETE", one.clone()),
    ] {
        it.ask(&stolen, method, &path, None).await.assert_problem(403, "confirmation-needed");
    }
    assert_eq!(it.confirmation(&stolen, &mut phone).await.status, 204);
    let offer = it.offer(&stolen).await;
    assert_eq!(offer["excludeCredentials"][0]["id"], phone.credential());
    // It is there already.
    let kept = json!({ "name": "again", "credential": phone.create(&offer) });
    it.post(&stolen, &it.of_member("/passkeys"), kept).await.assert_problem(409, "taken");

    // Ten, and no more.
    for n in 2..=10 {
        it.add(&stolen, &format!("key {n}"), &mut Authenticator::at(ORIGIN)).await;
    }
    let credential = Authenticator::at(ORIGIN).create(&it.offer(&stolen).await);
    let kept = json!({ "name": "one more", "credential": credential });
    it.post(&stolen, &it.of_member("/passkeys"), kept).await.assert_problem(422, "invalid");

    // Another name, for whoever has seen the one that it has.
    let seen = it.ask(&stolen, "GET", &one, None).await;
    let (tag, name) = (seen.header("etag").to_owned(), json!({ "name": "old phone" }));
    let renamed =
        it.office.ask_with(&stolen, "PATCH", &one, &[("if-match", tag.as_str())], Some(&name)).await;
    assert_eq!((renamed.status.as_u16(), &renamed.json()["name"]), (200, &json!("old phone")));
    let late = it.office.ask_with(&stolen, "PATCH", &one, &[("if-match", tag.as_str())], Some(&name)).await;
    late.assert_problem(412, "changed");
    let other = it.office.session(it.home.member).await;
    assert_eq!(it.ask(&stolen, "DELETE", &one, None).await.status, 204);
    // Whoever had the phone may have opened others.
    it.ask(&other, "GET", "/me", None).await.assert_problem(401, "unauthorised");
    let options = it.options(json!({})).await;
    it.sign_in(phone.get(&options)).await.assert_problem(401, "sign-in-refused");
    it.ask(&stolen, "DELETE", &one, None).await.assert_problem(404, "not-found");
    let log = it.office.administration.operations(&OPERATOR, Some(it.home.id), (None, None), 0, 500).await;
    let log = format!("{:?}", log.expect("reads").0);
    assert!(log.contains("old phone") && log.contains("session.confirm"), "{log}");
}

/// Feature AUT-08: with secure sign-in the password alone opens nothing, a passkey does; no page yet
/// Feature AUT-04: where a second identity is asked of everybody, nothing else comes before it; a passkey is one
#[tokio::test(flavor = "multi_thread")]
async fn what_else_is_asked_for_is_asked_with_passkeys() {
    let it = bench().await;
    let token = it.by_password().await;
    let mut phone = Authenticator::at(ORIGIN);
    it.add(&token, "phone", &mut phone).await;
    // Secure sign-in: the password alone opens nothing, the passkey does.
    let secure = json!({ "secure": true });
    let said = it.ask(&token, "PUT", &it.of_member("/secure-sign-in"), Some(&secure)).await;
    assert_eq!(said.status, 200, "{}", said.text);
    let body = json!({ "address": it.address("member"), "password": PASSWORD });
    it.post("", "/sessions", body).await.assert_problem(401, "sign-in-refused");
    let options = it.options(json!({})).await;
    assert_eq!(it.sign_in(phone.get(&options)).await.status, 201);

    // Where a second factor is asked of everybody, who came by the password shows the passkey.
    let chief = it.office.session(it.home.chief).await;
    let rules = json!({
        "idle_minutes": 30, "session_minutes": 60, "second_factor": "everybody", "four_eyes": false,
    });
    let path = format!("/tenants/{}/security", it.home.id);
    assert_eq!(it.ask(&chief, "PUT", &path, Some(&rules)).await.status, 200);
    let open = json!({ "secure": false });
    let said = it.ask(&token, "PUT", &it.of_member("/secure-sign-in"), Some(&open)).await;
    assert_eq!(said.status, 200, "{}", said.text);
    let token = it.by_password().await;
    let tokens = it.of_member("/tokens");
    it.ask(&token, "GET", &tokens, None).await.assert_problem(403, "second-factor-missing");
    assert_eq!(it.confirmation(&token, &mut phone).await.status, 204);
    assert_eq!(it.ask(&token, "GET", &tokens, None).await.status, 200);

    // Rules of addresses hold for passkeys, too.
    let account = it.of_member("/sign-in-rules");
    let rule = json!({ "addresses": { "allow": ["198.51.100.0/24"], "deny": [], "others": "deny" }, "secure_forced": false });
    let said = it.ask(&chief, "PUT", &account, Some(&rule)).await;
    assert_eq!(said.status, 200, "{}", said.text);
    let options = it.options(json!({})).await;
    it.sign_in(phone.get(&options)).await.assert_problem(403, "elsewhere");
    let rule = json!({ "addresses": null, "secure_forced": false });
    assert_eq!(it.ask(&chief, "PUT", &account, Some(&rule)).await.status, 200);

    // An administrator takes it away from somebody who has lost it; whose mailbox it was is nobody's any more.
    let gone = it.ask(&chief, "DELETE", &it.of_member("/second-factor"), None).await;
    assert_eq!(gone.status, 204, "{}", gone.text);
    it.ask(&token, "GET", "/me", None).await.assert_problem(401, "unauthorised");
    let options = it.options(json!({})).await;
    it.sign_in(phone.get(&options)).await.assert_problem(401, "sign-in-refused");
    // The password goes on opening mail programs, which know nothing of passkeys.
    let (directory, from) = (it.office.administration.directory(), "192.0.2.77".parse().expect("an address"));
    let imap = Attempt::new(SignInKind::Imap, "PLAIN", from);
    directory.sign_in(&imap, &it.address("member"), PASSWORD).await.expect("opens");
}
