//! A second factor by codes that go to the mobile number.

use pennypost_directory::{Attempt, MobileNumber, MobilePurpose, SignInKind};
use pennypost_model::AccountKey;
use serde_json::{Value, json};

use crate::mobiles::{Bench, NUMBER, bench, wrong};
use crate::support::{Answer, OPERATOR, Office, Tenant};

const PASSWORD: &str = "a long password";

fn at(home: &Tenant, account: AccountKey, rest: &str) -> String {
    format!("/tenants/{}/accounts/{}/second-factor{rest}", home.id, account.account)
}

async fn sign_in(office: &Office, home: &Tenant, code: Option<&str>) -> Answer {
    let address = format!("member@{}", home.domain);
    let shown = json!({ "address": address, "password": PASSWORD, "code": code });
    office.ask("", "POST", "/sessions", Some(&shown)).await
}

/// A code for a purpose, as one that is sent; what is sent is bounded.
async fn code(office: &Office, account: AccountKey, purpose: MobilePurpose) -> String {
    let number = MobileNumber::parse(NUMBER).expect("a number");
    let made = office.administration.directory().begin_mobile_code(account, &number, purpose).await;
    made.expect("made").expect("it is the member's number")
}

/// The member's number, proved; and a second factor by SMS, with the recovery codes.
async fn set_up(office: &Office, home: &Tenant) -> Vec<String> {
    let directory = office.administration.directory();
    let number = MobileNumber::parse(NUMBER).expect("a number");
    let said = directory.begin_mobile(home.member, &number).await.expect("begun");
    assert_eq!(directory.finish_mobile(home.member, &said).await, Ok(true));
    let session = office.session(home.member).await;
    let first = json!({ "code": code(office, home.member, MobilePurpose::Factor).await });
    let path = at(home, home.member, "/sms/first-code");
    let done = office.ask(&session, "POST", &path, Some(&first)).await;
    assert_eq!(done.status, 200, "{}", done.text);
    let codes = done.json()["recovery_codes"].as_array().expect("codes").clone();
    codes.iter().map(|one| one.as_str().expect("text").to_owned()).collect()
}

/// Feature AUT-11: by SMS to the proved number: switched on and off with a code by SMS, asked for after the right password
#[tokio::test(flavor = "multi_thread")]
async fn a_code_by_sms_is_asked_for_after_the_password() {
    let it = bench().await;
    let (office, home) = (&it.office, &it.home);
    let session = office.session(home.member).await;
    let path = at(home, home.member, "/sms");
    let none = it.post(&session, &path, json!({})).await.assert_problem(409, "other-state");
    assert_eq!(none["detail"], "there is no mobile number that was proved");
    it.bind(home.member, NUMBER, NUMBER).await;
    // Until the first code was said, the password opens alone.
    assert_eq!(it.post(&session, &path, json!({})).await.status, 204);
    let first = it.connector.code(NUMBER, "second-factor").await;
    let bad = json!({ "code": wrong(&first) });
    it.post(&session, &format!("{path}/first-code"), bad).await.assert_problem(422, "wrong-code");
    assert_eq!(sign_in(office, home, None).await.status, 201);
    let done = it.post(&session, &format!("{path}/first-code"), json!({ "code": first })).await;
    assert_eq!(done.json()["recovery_codes"].as_array().map(Vec::len), Some(10), "{}", done.text);
    let told = office.ask(&session, "GET", &at(home, home.member, ""), None).await.json();
    assert_eq!(
        (&told["on"], &told["sms"], &told["authenticator"]),
        (&json!(true), &json!(true), &json!(false))
    );

    // A wrong password has nothing sent; the right one a code, without which nobody is let in.
    let guess = json!({ "address": format!("member@{}", home.domain), "password": "a wrong password" });
    it.post("", "/sessions", guess).await.assert_problem(401, "sign-in-refused");
    let asked = sign_in(office, home, None).await.assert_problem(401, "code-needed");
    assert!(asked["detail"].as_str().is_some_and(|told| told.contains("+***0001")), "{asked}");
    let sent = it.connector.code(NUMBER, "second-factor").await;
    sign_in(office, home, Some(&wrong(&sent))).await.assert_problem(401, "sign-in-refused");
    let opened = sign_in(office, home, Some(&sent)).await;
    assert_eq!(opened.json()["signed_in_by"], "password-and-code", "{}", opened.text);
    sign_in(office, home, Some(&sent)).await.assert_problem(401, "sign-in-refused");
    // Strangers take nothing of it: they have three of the number, and its owner, who has shown the password, three more. There is
    // no fourth, and nobody is let in for that.
    for _ in 0..2 {
        it.ask_code(NUMBER, "sign-in").await;
    }
    sign_in(office, home, None).await.assert_problem(401, "code-needed");
    let kinds: Vec<Value> = it.connector.sent(3).await.iter().map(|sent| sent["kind"].clone()).collect();
    assert_eq!(kinds, ["sign-in", "sign-in", "second-factor"]);
    it.ask_code(NUMBER, "sign-in").await;
    sign_in(office, home, None).await.assert_problem(429, "too-many-requests");
    assert_eq!(it.connector.sent(0).await, Vec::<Value>::new());
    // Mail programs take tokens, as with every second factor.
    let imap = Attempt::new(SignInKind::Imap, "PLAIN", "192.0.2.77".parse().expect("an address"));
    let address = format!("member@{}", home.domain);
    office.administration.directory().sign_in(&imap, &address, PASSWORD).await.expect_err("closed");
    // The number is needed for it.
    let number = it.at(home.member);
    office.ask(&session, "DELETE", &number, None).await.assert_problem(409, "other-state");
    let log = office.administration.operations(&OPERATOR, Some(home.id), (None, None), 0, 500).await;
    let log = format!("{:?}", log.expect("reads").0);
    assert!(log.contains("second-factor") && !log.contains(&sent) && !log.contains("13800000001"), "{log}");

    // Off, in a session that a code by SMS has confirmed: that with a code of before is not.
    let token = opened.json()["token"].as_str().expect("a session").to_owned();
    let confirmation = json!({ "code": code(office, home.member, MobilePurpose::Factor).await });
    let confirmed = it.post(&token, &at(home, home.member, "/confirmation"), confirmation).await;
    assert_eq!(confirmed.status, 204, "{}", confirmed.text);
    assert_eq!(office.ask(&token, "DELETE", &path, None).await.status, 204);
    office.ask(&token, "DELETE", &path, None).await.assert_problem(409, "other-state");
    assert_eq!(sign_in(office, home, None).await.status, 201);
    assert_eq!(office.ask(&token, "DELETE", &number, None).await.status, 204);
}

/// Codes by SMS are not guessed: each is looked at five times, wrong ones slow and lock as those of an authenticator.
#[tokio::test(flavor = "multi_thread")]
async fn codes_of_the_second_factor_are_looked_at_five_times() {
    let office = Office::open().await;
    let home = office.tenant("home").await;
    set_up(&office, &home).await;
    let directory = office.administration.directory();
    let sent = code(&office, home.member, MobilePurpose::Factor).await;
    for _ in 0..5 {
        sign_in(&office, &home, Some(&wrong(&sent))).await.assert_problem(401, "sign-in-refused");
        directory.unlock(home.member).await.expect("unlocked");
    }
    sign_in(&office, &home, Some(&sent)).await.assert_problem(401, "sign-in-refused");
    directory.unlock(home.member).await.expect("unlocked");
    let sent = code(&office, home.member, MobilePurpose::Factor).await;
    assert_eq!(sign_in(&office, &home, Some(&sent)).await.status, 201);
    // Wrong ones lock where the tenant says so.
    let mut rules = directory.sign_in_rules(home.id).await.expect("rules");
    rules.lock.count = 3;
    directory.set_sign_in_rules(home.id, &rules).await.expect("set").expect("as it was");
    let sent = code(&office, home.member, MobilePurpose::Factor).await;
    for _ in 0..3 {
        sign_in(&office, &home, Some(&wrong(&sent))).await.assert_problem(401, "sign-in-refused");
    }
    sign_in(&office, &home, Some(&sent)).await.assert_problem(401, "sign-in-refused");
    assert!(directory.unlock(home.member).await.expect("unlocked") > 0);
    assert_eq!(sign_in(&office, &home, Some(&sent)).await.status, 201);
}

/// Whoever has the telephone alone has one thing of two.
#[tokio::test(flavor = "multi_thread")]
async fn the_telephone_alone_opens_nothing() {
    let it = bench().await;
    let recovery = set_up(&it.office, &it.home).await;
    let signing_in = code(&it.office, it.home.member, MobilePurpose::SignIn).await;
    it.sign_in(NUMBER, &signing_in, None).await.assert_problem(401, "code-needed");
    assert_eq!(it.connector.sent(0).await, Vec::<Value>::new());
    let factor = code(&it.office, it.home.member, MobilePurpose::Factor).await;
    it.sign_in(NUMBER, &signing_in, Some(&factor)).await.assert_problem(401, "sign-in-refused");
    let forgotten = code(&it.office, it.home.member, MobilePurpose::Password).await;
    let shown = json!({ "domain": it.home.domain, "number": NUMBER, "code": forgotten });
    it.post("", "/mobile-recoveries", shown).await.assert_problem(401, "sign-in-refused");
    let opened = it.sign_in(NUMBER, &signing_in, Some(&recovery[0])).await;
    assert_eq!(opened.json()["signed_in_by"], "mobile-and-code", "{}", opened.text);
}

/// Where no text messages are sent nobody is let in for that; recovery codes open, and an administrator takes it away.
#[tokio::test(flavor = "multi_thread")]
async fn without_a_gateway_the_second_factor_stays_closed() {
    let office = Office::open().await;
    let home = office.tenant("home").await;
    let recovery = set_up(&office, &home).await;
    let told = sign_in(&office, &home, None).await.assert_problem(409, "other-state");
    assert_eq!(told["detail"], "no text messages are sent from here");
    assert_eq!(sign_in(&office, &home, Some(&recovery[0])).await.status, 201);
    let chief = office.session(home.chief).await;
    let reset = office.ask(&chief, "DELETE", &at(&home, home.member, ""), None).await;
    assert_eq!(reset.status, 204, "{}", reset.text);
    assert_eq!(sign_in(&office, &home, None).await.status, 201);
}

/// Where a second factor is wanted of everybody, a code by SMS is one, and the number is proved on the way to it.
#[tokio::test(flavor = "multi_thread")]
async fn codes_by_sms_are_what_an_organisation_wants() {
    let it = bench().await;
    let (office, home) = (&it.office, &it.home);
    let chief = office.session(home.chief).await;
    let rules = json!({
        "idle_minutes": 30, "session_minutes": 60, "second_factor": "everybody", "four_eyes": false,
    });
    let security = format!("/tenants/{}/security", home.id);
    assert_eq!(office.ask(&chief, "PUT", &security, Some(&rules)).await.status, 200);
    let opened = sign_in(office, home, None).await.json();
    assert_eq!(opened["second_factor_missing"], true);
    let token = opened["token"].as_str().expect("a session").to_owned();
    let own = format!("/tenants/{}/accounts/{}/tokens", home.id, home.member.account);
    office.ask(&token, "GET", &own, None).await.assert_problem(403, "second-factor-missing");
    let (number, path) = (it.at(home.member), at(home, home.member, "/sms"));
    assert_eq!(it.post(&token, &number, json!({ "number": NUMBER })).await.status, 204);
    let said = json!({ "code": it.connector.code(NUMBER, "bind").await });
    assert_eq!(it.post(&token, &format!("{number}/confirmation"), said).await.status, 200);
    assert_eq!(it.post(&token, &path, json!({})).await.status, 204);
    let said = json!({ "code": it.connector.code(NUMBER, "second-factor").await });
    assert_eq!(it.post(&token, &format!("{path}/first-code"), said).await.status, 200);
    assert_eq!(office.ask(&token, "GET", &own, None).await.status, 200);
    sign_in(office, home, None).await.assert_problem(401, "code-needed");
    let sent = it.connector.code(NUMBER, "second-factor").await;
    let opened = sign_in(office, home, Some(&sent)).await.json();
    assert_eq!(opened["second_factor_missing"], false, "{opened}");
}

/// Feature AUT-18: a member says another number, and proves it by a code; the one before leads nowhere, and administrators change neither
#[tokio::test(flavor = "multi_thread")]
async fn a_member_changes_the_own_number_and_nobody_else_does() {
    const OTHER: &str = "+8613800000002";
    let it: Bench = bench().await;
    it.bind(it.home.member, NUMBER, NUMBER).await;
    let changed = it.bind(it.home.member, OTHER, OTHER).await;
    assert_eq!(changed.json()["number"], OTHER, "{}", changed.text);
    it.ask_code(NUMBER, "sign-in").await;
    assert_eq!(it.connector.sent(0).await, Vec::<Value>::new());
    it.ask_code(OTHER, "sign-in").await;
    let sent = it.connector.code(OTHER, "sign-in").await;
    assert_eq!(it.sign_in(OTHER, &sent, None).await.status, 201);
    let path = it.at(it.home.member);
    for account in [it.home.creator, it.home.chief] {
        let session = it.office.session(account).await;
        let said = json!({ "number": NUMBER });
        it.post(&session, &path, said.clone()).await.assert_problem(403, "no-permission");
        it.post(&session, &format!("{path}/confirmation"), json!({ "code": "12345678" }))
            .await
            .assert_problem(403, "no-permission");
        it.office.ask(&session, "DELETE", &path, None).await.assert_problem(403, "no-permission");
    }
    let kept = it.office.ask(&it.office.session(it.home.member).await, "GET", &path, None).await.json();
    assert_eq!(kept["number"], OTHER);
}

/// Beside an authenticator a code goes by SMS only where that is wished; each of the two opens, and stays when the other goes.
#[tokio::test(flavor = "multi_thread")]
async fn beside_an_authenticator_a_code_goes_where_it_is_wished() {
    let it = bench().await;
    let (office, home) = (&it.office, &it.home);
    set_up(office, home).await;
    let session = office.session(home.member).await;
    let begun = it.post(&session, &at(home, home.member, "/authenticator"), json!({})).await.json();
    let secret = begun["secret"].as_str().expect("a secret").to_owned();
    let first = json!({ "code": crate::sessions::code(&secret, 0) });
    let done = it.post(&session, &at(home, home.member, "/authenticator/first-code"), first).await;
    assert_eq!(done.status, 200, "{}", done.text);
    let address = format!("member@{}", home.domain);
    let sign_in = async |sms: bool, code: Option<&str>| {
        let shown = json!({ "address": address, "password": PASSWORD, "sms": sms, "code": code });
        it.post("", "/sessions", shown).await
    };
    let asked = sign_in(false, None).await.assert_problem(401, "code-needed");
    assert!(!asked["detail"].as_str().is_some_and(|told| told.contains("+***")), "{asked}");
    assert_eq!(it.connector.sent(0).await, Vec::<Value>::new());
    let asked = sign_in(true, None).await.assert_problem(401, "code-needed");
    assert!(asked["detail"].as_str().is_some_and(|told| told.contains("+***0001")), "{asked}");
    let sent = it.connector.code(NUMBER, "second-factor").await;
    // What was asked for keeps nobody from showing the other one.
    assert_eq!(sign_in(false, Some(&crate::sessions::code(&secret, 1))).await.status, 201);
    assert_eq!(sign_in(true, Some(&sent)).await.status, 201);
    assert_eq!(it.connector.sent(0).await, Vec::<Value>::new());
    // Without the one by SMS none goes, whatever is wished.
    assert_eq!(office.ask(&session, "DELETE", &at(home, home.member, "/sms"), None).await.status, 204);
    sign_in(true, None).await.assert_problem(401, "code-needed");
    assert_eq!(it.connector.sent(0).await, Vec::<Value>::new());
    office.clock.put_forward(30_000);
    assert_eq!(sign_in(true, Some(&crate::sessions::code(&secret, 2))).await.status, 201);
}

/// The number on which a second factor stands is changed in a confirmed session alone; codes that went to the one before are void.
#[tokio::test(flavor = "multi_thread")]
async fn a_number_that_is_a_second_factor_changes_in_a_confirmed_session() {
    const OTHER: &str = "+8613800000002";
    let it = bench().await;
    let (office, home) = (&it.office, &it.home);
    set_up(office, home).await;
    let session = office.session(home.member).await;
    office.clock.put_forward(6 * 60 * 1000);
    let (path, wish) = (it.at(home.member), json!({ "number": OTHER }));
    it.post(&session, &path, wish.clone()).await.assert_problem(403, "confirmation-needed");
    assert_eq!(it.connector.sent(0).await, Vec::<Value>::new());
    let confirm = async || {
        let shown = json!({ "code": code(office, home.member, MobilePurpose::Factor).await });
        let confirmed = it.post(&session, &at(home, home.member, "/confirmation"), shown).await;
        assert_eq!(confirmed.status, 204, "{}", confirmed.text);
    };
    confirm().await;
    assert_eq!(it.post(&session, &path, wish).await.status, 204);
    let said = json!({ "code": it.connector.code(OTHER, "bind").await });
    office.clock.put_forward(6 * 60 * 1000);
    let confirmation = format!("{path}/confirmation");
    it.post(&session, &confirmation, said.clone()).await.assert_problem(403, "confirmation-needed");
    // Until it is proved the one before is the second factor.
    confirm().await;
    let before = code(office, home.member, MobilePurpose::Factor).await;
    assert_eq!(it.post(&session, &confirmation, said).await.status, 200);
    sign_in(office, home, Some(&before)).await.assert_problem(401, "sign-in-refused");
    sign_in(office, home, None).await.assert_problem(401, "code-needed");
    let sent = it.connector.code(OTHER, "second-factor").await;
    assert_eq!(sign_in(office, home, Some(&sent)).await.status, 201);
}
