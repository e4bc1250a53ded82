//! Mobile numbers and text messages, by a connector over HTTP.

use pennypost_admin::{AdminError, InvitationWay, Permissions, SmsError};
use pennypost_directory::{Attempt, BinCause, MobileNumber, SignInError, SignInKind};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::support::connector::Connector;
use crate::support::{Answer, OPERATOR, Office, Tenant};

pub const NUMBER: &str = "+8613800000001";
const PASSWORD: &str = "a long password";
const ANOTHER: &str = "another password of mine";

pub struct Bench {
    pub connector: Connector,
    pub office: Office,
    pub home: Tenant,
}

pub async fn bench() -> Bench {
    let connector = Connector::open().await;
    let office = Office::texting(&connector, 100).await;
    let home = office.tenant("home").await;
    Bench { connector, office, home }
}

impl Bench {
    pub async fn post(&self, key: &str, path: &str, body: Value) -> Answer {
        self.office.ask(key, "POST", path, Some(&body)).await
    }

    pub fn at(&self, account: pennypost_model::AccountKey) -> String {
        format!("/tenants/{}/accounts/{}/mobile", self.home.id, account.account)
    }

    /// A member says that a number is his, and proves it.
    pub async fn bind(&self, account: pennypost_model::AccountKey, written: &str, number: &str) -> Answer {
        let session = self.office.session(account).await;
        let path = self.at(account);
        let begun = self.post(&session, &path, json!({ "number": written })).await;
        assert_eq!(begun.status, 204, "{}", begun.text);
        let code = self.connector.code(number, "bind").await;
        self.post(&session, &format!("{path}/confirmation"), json!({ "code": code })).await
    }

    pub async fn ask_code(&self, number: &str, purpose: &str) {
        let wish = json!({ "domain": self.home.domain, "number": number, "purpose": purpose });
        let began = std::time::Instant::now();
        let asked = self.post("", "/mobile-codes", wish).await;
        assert_eq!((asked.status.as_u16(), asked.text.as_str()), (204, ""));
        assert!(began.elapsed() >= std::time::Duration::from_millis(400));
    }

    pub async fn sign_in(&self, number: &str, code: &str, factor: Option<&str>) -> Answer {
        let shown =
            json!({ "domain": self.home.domain, "number": number, "code": code, "second_factor": factor });
        self.post("", "/mobile-sessions", shown).await
    }

    async fn sign_in_by_password(&self, password: &str) -> Answer {
        let address = format!("member@{}", self.home.domain);
        self.post("", "/sessions", json!({ "address": address, "password": password })).await
    }
}

pub fn wrong(code: &str) -> String {
    if code == "00000000" { "00000001".to_owned() } else { "00000000".to_owned() }
}

/// The lane in which a name waits for its turn.
fn lane(name: &str) -> u16 {
    let digest = Sha256::digest(name.as_bytes());
    u16::from_le_bytes([digest[0], digest[1]]) % 1024
}

/// Feature AUT-03: by a code to the mobile number
/// Feature AUT-01: by a mobile number that its owner has proved and a code by SMS, beside the ways that there were; no page yet
#[tokio::test(flavor = "multi_thread")]
async fn a_member_signs_in_by_a_mobile_number() {
    let it = bench().await;
    let member = it.home.member;
    let path = it.at(member);
    let session = it.office.session(member).await;
    for bad in ["call me", "23800000000", ""] {
        it.post(&session, &path, json!({ "number": bad })).await.assert_problem(422, "invalid");
    }
    let bound = it.bind(member, "138 0000-0001", NUMBER).await;
    assert_eq!((bound.status.as_u16(), &bound.json()["number"]), (200, &json!(NUMBER)), "{}", bound.text);
    let letters = it.office.letters().await;
    assert!(letters.iter().any(|(to, text)| to[0].starts_with("member@") && text.contains("+***0001")));
    let ways = it.post("", "/sign-in-ways", json!({ "address": format!("x@{}", it.home.domain) })).await;
    assert_eq!(ways.json()["mobile"], true);

    it.ask_code("13800000001", "sign-in").await;
    let code = it.connector.code(NUMBER, "sign-in").await;
    // A code for one purpose is none for another, and none of another organisation.
    let theirs = it.office.tenant("theirs").await;
    let abroad = json!({ "domain": theirs.domain, "number": NUMBER, "code": code });
    it.post("", "/mobile-sessions", abroad).await.assert_problem(401, "sign-in-refused");
    let recovery = json!({ "domain": it.home.domain, "number": NUMBER, "code": code });
    it.post("", "/mobile-recoveries", recovery).await.assert_problem(401, "sign-in-refused");
    it.sign_in(NUMBER, &wrong(&code), None).await.assert_problem(401, "sign-in-refused");
    let opened = it.sign_in(NUMBER, &code, None).await;
    assert_eq!(
        (opened.status.as_u16(), &opened.json()["signed_in_by"]),
        (201, &json!("mobile")),
        "{}",
        opened.text
    );
    let token = opened.json()["token"].as_str().expect("a session").to_owned();
    assert_eq!(it.office.ask(&token, "GET", "/me", None).await.status, 200);
    // It is good once.
    it.sign_in(NUMBER, &code, None).await.assert_problem(401, "sign-in-refused");

    // Whoever has no number looks like whoever has one; nothing is sent.
    it.ask_code("+8613800000099", "sign-in").await;
    assert_eq!(it.connector.sent(0).await, Vec::<Value>::new());
    it.sign_in("+8613800000099", "123456", None).await.assert_problem(401, "sign-in-refused");
    let log = it.office.administration.operations(&OPERATOR, Some(it.home.id), (None, None), 0, 500).await;
    let log = format!("{:?}", log.expect("reads").0);
    assert!(log.contains("sms.send") && !log.contains("13800000001"), "{log}");

    // The number goes with the member's word.
    assert_eq!(it.office.ask(&session, "DELETE", &path, None).await.status, 204);
    it.ask_code(NUMBER, "sign-in").await;
    assert_eq!(it.connector.sent(0).await, Vec::<Value>::new());
}

/// Wrong codes end a code, slow, and lock; what is asked for too often is not sent.
#[tokio::test(flavor = "multi_thread")]
async fn codes_are_not_guessed_and_not_sent_without_end() {
    let it = bench().await;
    it.bind(it.home.member, NUMBER, NUMBER).await;
    it.ask_code(NUMBER, "sign-in").await;
    let code = it.connector.code(NUMBER, "sign-in").await;
    for _ in 0..5 {
        it.sign_in(NUMBER, &wrong(&code), None).await.assert_problem(401, "sign-in-refused");
    }
    // Also the right one, as wrong as any other, though nothing slows any more.
    let directory = it.office.administration.directory();
    directory.unlock(it.home.member).await.expect("unlocked");
    it.sign_in(NUMBER, &code, None).await.assert_problem(401, "sign-in-refused");
    // With that for the binding three have gone; of a fourth nobody is told.
    it.ask_code(NUMBER, "sign-in").await;
    let code = it.connector.code(NUMBER, "sign-in").await;
    directory.unlock(it.home.member).await.expect("unlocked");
    assert_eq!(it.sign_in(NUMBER, &code, None).await.status, 201);
    it.ask_code(NUMBER, "password").await;
    assert_eq!(it.connector.sent(0).await, Vec::<Value>::new());
    let session = it.office.session(it.home.member).await;
    let path = it.at(it.home.member);
    it.post(&session, &path, json!({ "number": NUMBER })).await.assert_problem(429, "too-many-requests");
    let foreign = format!("/tenants/{}/accounts/{}/mobile", it.home.id, it.home.graded.account);
    let theirs = it.post(&session, &foreign, json!({ "number": NUMBER })).await;
    theirs.assert_problem(403, "no-permission");
}

/// Of a number that is to be one's own a code is looked at five times, and a member has three messages sent in an hour,
/// whatever numbers he says: the day is his organisation's.
#[tokio::test(flavor = "multi_thread")]
async fn a_member_does_not_try_codes_nor_numbers_without_end() {
    let it = bench().await;
    let (session, path) = (it.office.session(it.home.member).await, it.at(it.home.member));
    let begin = async |number: &str| it.post(&session, &path, json!({ "number": number })).await;
    let say =
        async |code: &str| it.post(&session, &format!("{path}/confirmation"), json!({ "code": code })).await;
    assert_eq!(begin(NUMBER).await.status, 204);
    let code = it.connector.code(NUMBER, "bind").await;
    for _ in 0..5 {
        say(&wrong(&code)).await.assert_problem(422, "wrong-code");
    }
    say(&code).await.assert_problem(422, "wrong-code");
    for number in ["+8613800000005", "+8613800000006"] {
        assert_eq!(begin(number).await.status, 204);
    }
    begin("+8613800000007").await.assert_problem(429, "too-many-requests");
    assert_eq!(it.office.ask(&session, "DELETE", &path, None).await.status, 204);
    begin("+8613800000008").await.assert_problem(429, "too-many-requests");
    assert_eq!(it.connector.sent(2).await.len(), 2);
    assert_eq!(it.bind(it.home.graded, "+8613800000007", "+8613800000007").await.status, 200);
}

/// Who says wrong codes learns nothing, from wherever: one of a member's number goes as one of nobody's.
#[tokio::test(flavor = "multi_thread")]
async fn wrong_codes_do_not_tell_whether_a_number_is_somebodys() {
    let it = bench().await;
    it.bind(it.home.member, NUMBER, NUMBER).await;
    let directory = it.office.administration.directory().clone();
    let mut rules = directory.sign_in_rules(it.home.id).await.expect("rules");
    rules.lock.trusted = vec!["198.51.100.0/24".parse().expect("a network")];
    directory.set_sign_in_rules(it.home.id, &rules).await.expect("set").expect("as it was");
    let tries = async |number: &str, client: &str| {
        let number = MobileNumber::parse(number).expect("a number");
        let attempt = Attempt::new(SignInKind::Web, "mobile-code", client.parse().expect("an address"));
        let mut refusals = Vec::new();
        for _ in 0..25 {
            let whose = (Some(it.home.id), &number);
            let tried = directory.sign_in_by_mobile(&attempt, whose, "no code", None).await;
            refusals.push(std::mem::discriminant(&tried.expect_err("refused")));
        }
        refusals
    };
    let nobody = "+8613800000099";
    for (one, other) in [("203.0.113.1", "203.0.113.2"), ("198.51.100.1", "198.51.100.2")] {
        assert_eq!(tries(NUMBER, one).await, tries(nobody, other).await, "{one}");
    }
    let last = tries(NUMBER, "198.51.100.3").await;
    assert_eq!(last[24], std::mem::discriminant(&SignInError::Denied), "a trusted network is not slowed");
}

/// A password that was guessed locks the account for strangers: no code leads around that, nor says that it is so.
#[tokio::test(flavor = "multi_thread")]
async fn a_lock_holds_for_codes_too() {
    let it = bench().await;
    it.bind(it.home.member, NUMBER, NUMBER).await;
    let directory = it.office.administration.directory().clone();
    let mut rules = directory.sign_in_rules(it.home.id).await.expect("rules");
    rules.lock.count = 3;
    directory.set_sign_in_rules(it.home.id, &rules).await.expect("set").expect("as it was");
    let address = format!("member@{}", it.home.domain);
    let web = Attempt::new(SignInKind::Web, "password", "192.0.2.9".parse().expect("an address"));
    for _ in 0..3 {
        directory.sign_in(&web, &address, "a wrong password").await.expect_err("refused");
    }
    it.ask_code(NUMBER, "sign-in").await;
    let code = it.connector.code(NUMBER, "sign-in").await;
    it.sign_in(NUMBER, &code, None).await.assert_problem(401, "sign-in-refused");
    assert!(directory.unlock(it.home.member).await.expect("unlocked") > 0);
    assert_eq!(it.sign_in(NUMBER, &code, None).await.status, 201);
    // Where secure sign-in is on, a code alone opens no more than a password does.
    let mut rules = directory.sign_in_rules(it.home.id).await.expect("rules");
    rules.secure = true;
    directory.set_sign_in_rules(it.home.id, &rules).await.expect("set").expect("as it was");
    it.ask_code(NUMBER, "sign-in").await;
    let code = it.connector.code(NUMBER, "sign-in").await;
    it.sign_in(NUMBER, &code, None).await.assert_problem(401, "sign-in-refused");
}

/// With a second factor the code alone opens nothing, and is not used up by asking for the other one.
#[tokio::test(flavor = "multi_thread")]
async fn a_second_factor_is_asked_for_beside_a_mobile_code() {
    let it = bench().await;
    // The code and the factor have one lane here, as they have for one in 1,024: he does not wait for himself.
    let of_factor = lane(&format!("second factor of {}", it.home.member));
    let number = (0..100_000_u32)
        .map(|number| format!("+86138{number:08}"))
        .find(|number| lane(&format!("mobile code of {number} in {}", it.home.id)) == of_factor);
    let number = number.expect("some number has that lane");
    it.bind(it.home.member, &number, &number).await;
    let session = it.office.session(it.home.member).await;
    let path = format!("/tenants/{}/accounts/{}/second-factor", it.home.id, it.home.member.account);
    let begun = it.office.ask(&session, "POST", &format!("{path}/authenticator"), None).await.json();
    let secret = begun["secret"].as_str().expect("a secret").to_owned();
    let first = json!({ "code": crate::sessions::code(&secret, 0) });
    let done = it.post(&session, &format!("{path}/authenticator/first-code"), first).await;
    assert_eq!(done.status, 200, "{}", done.text);
    it.ask_code(&number, "sign-in").await;
    let code = it.connector.code(&number, "sign-in").await;
    it.sign_in(&number, &code, None).await.assert_problem(401, "code-needed");
    it.sign_in(&number, &code, Some("AAAA-BBBB")).await.assert_problem(401, "sign-in-refused");
    let factor = crate::sessions::code(&secret, 1);
    it.sign_in(&number, &wrong(&code), Some(&factor)).await.assert_problem(401, "sign-in-refused");
    let opened = it.sign_in(&number, &code, Some(&factor)).await;
    assert_eq!(opened.json()["signed_in_by"], "mobile-and-code", "{}", opened.text);
}

/// Feature AUT-07: another password by a code that went to the mobile number by SMS; not yet on a page
#[tokio::test(flavor = "multi_thread")]
async fn a_forgotten_password_is_set_anew_by_mobile() {
    let it = bench().await;
    it.bind(it.home.member, NUMBER, NUMBER).await;
    it.ask_code(NUMBER, "password").await;
    let code = it.connector.code(NUMBER, "password").await;
    it.sign_in(NUMBER, &code, None).await.assert_problem(401, "sign-in-refused");
    let recovery = json!({ "domain": it.home.domain, "number": NUMBER, "code": code });
    let given = it.post("", "/mobile-recoveries", recovery.clone()).await;
    let secret = given.json()["secret"].as_str().expect("a secret").to_owned();
    it.post("", "/mobile-recoveries", recovery).await.assert_problem(401, "sign-in-refused");
    let set = json!({ "secret": secret, "password": ANOTHER });
    assert_eq!(it.post("", "/recovered-passwords", set.clone()).await.status, 204);
    it.post("", "/recovered-passwords", set).await.assert_problem(401, "sign-in-refused");
    it.sign_in_by_password(PASSWORD).await.assert_problem(401, "sign-in-refused");
    assert_eq!(it.sign_in_by_password(ANOTHER).await.status, 201);

    // What was given is worth nothing once the number is another one.
    it.ask_code(NUMBER, "password").await;
    let code = it.connector.code(NUMBER, "password").await;
    let recovery = json!({ "domain": it.home.domain, "number": NUMBER, "code": code });
    let given = it.post("", "/mobile-recoveries", recovery).await.json();
    it.bind(it.home.member, "+8613800000002", "+8613800000002").await;
    let late = json!({ "secret": given["secret"], "password": PASSWORD });
    it.post("", "/recovered-passwords", late).await.assert_problem(401, "sign-in-refused");
}

/// Feature ORG-10: a mobile number is one member's of the organisation: who proves another one's is refused
#[tokio::test(flavor = "multi_thread")]
async fn a_number_is_one_members() {
    let it = bench().await;
    assert_eq!(it.bind(it.home.member, NUMBER, NUMBER).await.status, 200);
    it.bind(it.home.graded, NUMBER, NUMBER).await.assert_problem(409, "taken");
    let seen = it.office.session(it.home.graded).await;
    let seen = it.office.ask(&seen, "GET", &it.at(it.home.graded), None).await.json();
    assert_eq!(seen["number"], Value::Null);
    // Of another organisation it may be somebody's, too; and of whoever comes after one who has left.
    let theirs = it.office.tenant("theirs").await;
    let directory = it.office.administration.directory();
    let number = pennypost_directory::MobileNumber::parse(NUMBER).expect("a number");
    let code = directory.begin_mobile(theirs.member, &number).await.expect("begun");
    assert_eq!(directory.finish_mobile(theirs.member, &code).await, Ok(true));
    it.office.administration.recover_account(&OPERATOR, it.home.member).await.expect("recovered");
    let code = directory.begin_mobile(it.home.graded, &number).await.expect("begun");
    assert_eq!(directory.finish_mobile(it.home.graded, &code).await, Ok(true));
    // A code that another wish has replaced sets nothing, and takes nothing away.
    let code = directory.begin_mobile(it.home.graded, &number).await.expect("begun");
    let other = MobileNumber::parse("+8613800000009").expect("a number");
    directory.begin_mobile(it.home.graded, &other).await.expect("begun");
    assert_eq!(directory.finish_mobile(it.home.graded, &code).await, Ok(false));
    assert_eq!(directory.mobile_owner(it.home.id, &number).await, Ok(Some(it.home.graded)));
    // Whoever is in the recycle bin keeps it from nobody who has the telephone now.
    directory.bin_account(it.home.graded, BinCause::Deleted).await.expect("in the bin");
    let code = directory.begin_mobile(it.home.chief, &number).await.expect("begun");
    assert_eq!(directory.finish_mobile(it.home.chief, &code).await, Ok(true));
    assert_eq!(directory.mobile_owner(it.home.id, &number).await, Ok(Some(it.home.chief)));
    let left = directory.mobile(it.home.graded).await.expect("read");
    assert_eq!(left.number, None);
    assert_eq!(directory.mobile_owner(theirs.id, &number).await, Ok(Some(theirs.member)));
}

/// Feature ORG-12: or by SMS to the mobile number in the directory, by a connector of the operator; a message that the connector took is not sent twice though its answer fails
/// Feature ORG-04: a member with a mobile number gets the invitation by SMS, by which the first password is set
/// Feature ORG-09: members who were imported are invited by SMS, 100 with a call
#[tokio::test(flavor = "multi_thread")]
async fn members_are_invited_by_sms() {
    let it = bench().await;
    let key = it.office.key(Some(it.home.id), None, Permissions::of_tenant()).await;
    let newcomer = it.home.newcomer;
    let until = it.office.administration.directory().now().plus_millis(60 * 60 * 1000).rfc3339();
    let path = format!("/tenants/{}/member-invitations", it.home.id);
    let wanted = json!({ "until": until, "members": [{ "account": newcomer.account.to_string() }] });
    // Nobody has said a number.
    let none = it.post(&key, &path, wanted.clone()).await.json();
    assert_eq!(none["items"][0]["problem"], "urn:pennypost:problem:invalid", "{none}");
    let profile = format!("/tenants/{}/accounts/{}/profile", it.home.id, newcomer.account);
    let changed =
        it.office.ask(&key, "PATCH", &profile, Some(&json!({ "mobile": "+86 138 0000 0003" }))).await;
    assert_eq!(changed.status, 200, "{}", changed.text);
    it.connector.fail(2);
    let sent = it.post(&key, &path, wanted.clone()).await.json();
    assert_eq!(sent["items"][0]["sent"], true, "{sent}");
    let messages = it.connector.sent(1).await;
    let [message] = &messages[..] else { panic!("{messages:?}") };
    assert_eq!((&message["to"], &message["kind"]), (&json!("+8613800000003"), &json!("invitation")));
    let text = message["text"].as_str().expect("a text");
    let mut words = text.split(|c: char| !c.is_ascii_alphanumeric() && c != '_');
    let invitation = words.find(|word| word.starts_with("ppm_")).expect("an invitation");
    let joined = it.post("", "/joining", json!({ "invitation": invitation, "password": ANOTHER })).await;
    assert_eq!(joined.json()["state"], "joined", "{}", joined.text);

    // A connector that does not answer is told of, and the member may be invited again.
    let fresh = it.office.administration.directory();
    let address = format!("second@{}", it.home.domain);
    let new = pennypost_directory::NewAccount { address: &address, ..Default::default() };
    let second = fresh.add_account_with(&new).await.expect("added").key;
    let profile = format!("/tenants/{}/accounts/{}/profile", it.home.id, second.account);
    it.office.ask(&key, "PATCH", &profile, Some(&json!({ "mobile": "+8613800000004" }))).await;
    let wanted = json!({ "until": until, "members": [{ "account": second.account.to_string() }] });
    it.connector.fail(3);
    let failed = it.post(&key, &path, wanted.clone()).await.json();
    assert_eq!(failed["items"][0]["problem"], "urn:pennypost:problem:unavailable", "{failed}");
    assert_eq!(it.post(&key, &path, wanted).await.json()["items"][0]["sent"], true);
}

/// What brings messages is away: no other member waits for it, and nobody's earlier invitation is lost. What was sent by a call
/// of that name is not sent again by it.
#[tokio::test(flavor = "multi_thread")]
async fn invitations_end_with_the_connector_and_are_sent_once() {
    let it = bench().await;
    let (administration, directory) = (&it.office.administration, it.office.administration.directory());
    let until = directory.now().plus_millis(60 * 60 * 1000);
    let mut wanted = Vec::new();
    for (name, number) in [("first", "+8613800000011"), ("second", "+8613800000012")] {
        let address = format!("{name}@{}", it.home.domain);
        let new = pennypost_directory::NewAccount { address: &address, ..Default::default() };
        let key = directory.add_account_with(&new).await.expect("added").key;
        let profile = format!("/tenants/{}/accounts/{}/profile", it.home.id, key.account);
        let chief = it.office.key(Some(it.home.id), None, Permissions::of_tenant()).await;
        it.office.ask(&chief, "PATCH", &profile, Some(&json!({ "mobile": number }))).await;
        wanted.push((key, InvitationWay::Sms));
    }
    let send = async |name: u8| {
        administration
            .send_member_invitations(&OPERATOR, until, &wanted, Some([name; 32]))
            .await
            .expect("looked at")
    };
    let invitations = async || {
        let mut found = Vec::new();
        for message in it.connector.sent(1).await {
            let text = message["values"]["invitation"].as_str().expect("one").to_owned();
            found.push(text[text.find("ppm_").expect("an invitation")..].to_owned());
        }
        found
    };
    assert_eq!(send(1).await, [Ok(()), Ok(())]);
    let first = invitations().await;
    assert_eq!(first.len(), 2);
    // The same call again, though its answer was not kept.
    assert_eq!(send(1).await, [Ok(()), Ok(())]);
    assert_eq!(it.connector.sent(0).await, Vec::<Value>::new());
    it.connector.fail(3);
    let failed = send(2).await;
    assert!(matches!(failed[0], Err(AdminError::Sms(SmsError::Unavailable(_)))), "{failed:?}");
    assert_eq!(failed[1], Err(AdminError::NotTried));
    // Perhaps the message came: both are good.
    let second = invitations().await;
    assert_eq!(second.len(), 1);
    for text in [&first[0], &first[1], &second[0]] {
        directory.invited_member(text).await.expect("good");
    }
    assert_eq!(send(3).await, [Ok(()), Ok(())]);
    for text in [&first[0], &first[1], &second[0]] {
        directory.invited_member(text).await.expect_err("another one was sent");
    }
    // A number gets no more for now: what was sent last is good.
    let third = invitations().await;
    assert_eq!(send(4).await[1], Ok(()));
    let fourth = invitations().await;
    assert_eq!((third.len(), fourth.len()), (2, 1));
    directory.invited_member(&third[0]).await.expect("good");
    directory.invited_member(&fourth[0]).await.expect("good");
}

#[tokio::test(flavor = "multi_thread")]
async fn where_no_text_messages_are_sent_it_is_said() {
    let office = Office::open().await;
    let home = office.tenant("home").await;
    let session = office.session(home.member).await;
    let path = format!("/tenants/{}/accounts/{}/mobile", home.id, home.member.account);
    let number = json!({ "number": NUMBER });
    let refused = office.ask(&session, "POST", &path, Some(&number)).await.assert_problem(409, "other-state");
    assert_eq!(refused["detail"], "no text messages are sent from here");
    let wish = json!({ "domain": home.domain, "number": NUMBER, "purpose": "sign-in" });
    office.ask("", "POST", "/mobile-codes", Some(&wish)).await.assert_problem(409, "other-state");
    let shown = json!({ "domain": home.domain, "number": NUMBER, "code": "123456" });
    for door in ["/mobile-sessions", "/mobile-recoveries"] {
        office.ask("", "POST", door, Some(&shown)).await.assert_problem(409, "other-state");
    }
    let ways = json!({ "address": format!("x@{}", home.domain) });
    assert_eq!(office.ask("", "POST", "/sign-in-ways", Some(&ways)).await.json()["mobile"], false);
}
