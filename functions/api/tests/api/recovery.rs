//! Forgotten passwords, first passwords, and the letters that go for them.

use std::time::Duration;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use pennypost_admin::Assignment;
use pennypost_directory::{Attempt, BinCause, SignInKind};
use pennypost_model::event::{Body, Event, SourceKind, Stage, Via};
use pennypost_model::{AccountKey, codec};
use serde_json::{Value, json};

use crate::support::{Answer, OPERATOR, Office, Tenant};

const PASSWORD: &str = "a long password";
const ANOTHER: &str = "another password of mine";

struct Bench {
    office: Office,
    home: Tenant,
}

async fn bench() -> Bench {
    bench_of(Office::open().await).await
}

async fn bench_of(office: Office) -> Bench {
    let home = office.tenant("home").await;
    let it = Bench { office, home };
    // Users of the tenant's business mailboxes were told.
    it.letters().await;
    it
}

impl Bench {
    fn address(&self, local: &str) -> String {
        format!("{local}@{}", self.home.domain)
    }

    fn of_member(&self, path: &str) -> String {
        format!("/tenants/{}/accounts/{}{path}", self.home.id, self.home.member.account)
    }

    async fn post(&self, key: &str, path: &str, body: Value) -> Answer {
        self.office.ask(key, "POST", path, Some(&body)).await
    }

    async fn sign_in(&self, local: &str, password: &str) -> Answer {
        self.post("", "/sessions", json!({ "address": self.address(local), "password": password })).await
    }

    async fn token(&self) -> String {
        let opened = self.sign_in("member", PASSWORD).await;
        opened.json()["token"].as_str().unwrap_or_else(|| panic!("{}", opened.text)).to_owned()
    }

    /// The letters in the queue for other servers, which stay there: in whose matter each is, and whether as a notice.
    async fn outside(&self) -> Vec<(AccountKey, bool)> {
        let found = self
            .office
            .queue
            .receive(Stage::InboundParse, 10, Duration::from_millis(1), Duration::ZERO)
            .await
            .expect("received");
        let mut outside = Vec::new();
        for message in &found {
            let Ok(Event::Accepted(accepted)) = codec::decode(&message.body) else { panic!("a letter") };
            for recipient in accepted.recipients.iter().filter(|one| one.via == Via::Outside) {
                let is_notice = accepted.source.kind == SourceKind::Notice(recipient.account);
                outside.push((recipient.account, is_notice));
            }
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
        outside
    }

    /// The letters in the queue: to whom, and what they say.
    async fn letters(&self) -> Vec<(String, String)> {
        let (visible, wait) = (Duration::from_secs(60), Duration::ZERO);
        let queue = &self.office.queue;
        let found = queue.receive(Stage::InboundParse, 10, visible, wait).await.expect("received");
        let mut letters = Vec::new();
        for message in &found {
            let event: Event = codec::decode(&message.body).expect("an event");
            let Event::Accepted(accepted) = event else { panic!("a letter") };
            let Body::Inline(stored) = &accepted.body else { panic!("it is short") };
            let raw = pennypost_mailstore::compress::decompress(stored).expect("whole");
            let raw = String::from_utf8(raw).expect("UTF-8");
            let (head, body) = raw.split_once("\r\n\r\n").expect("a head");
            assert!(head.contains("Auto-Submitted: auto-generated") && head.is_ascii(), "{head}");
            assert!(raw.split("\r\n").all(|line| line.len() <= 998), "{raw}");
            let text = BASE64_STANDARD.decode(body.replace("\r\n", "")).expect("base64");
            assert!(accepted.names_only_its_tenant() && accepted.reverse_path.is_empty());
            letters.push((accepted.recipients[0].address.clone(), String::from_utf8(text).expect("UTF-8")));
        }
        let receipts: Vec<_> = found.into_iter().map(|message| message.receipt).collect();
        queue.ack(Stage::InboundParse, &receipts).await.expect("done");
        letters
    }

    /// The one letter, and the word in it that begins so, or is of digits.
    async fn word(&self, to: &str, is_it: impl Fn(&str) -> bool) -> String {
        let letters = self.letters().await;
        let [(found, text)] = &letters[..] else { panic!("{letters:?}") };
        assert_eq!(*found, to);
        let mut words = text.split(|c: char| !c.is_ascii_alphanumeric() && c != '_');
        words.find(|word| is_it(word)).unwrap_or_else(|| panic!("{text}")).to_owned()
    }

    async fn code(&self, to: &str) -> String {
        self.word(to, |word| word.len() == 8 && word.bytes().all(|b| b.is_ascii_digit())).await
    }

    /// The member says that graded's mailbox is where he is reached.
    async fn set_up(&self, token: &str) {
        let to = self.address("graded");
        let path = self.of_member("/recovery-address");
        let begun = self.post(token, &path, json!({ "address": to })).await;
        assert_eq!(begun.status, 204, "{}", begun.text);
        let code = self.code(&to).await;
        let said = self.post(token, &format!("{path}/confirmation"), json!({ "code": code })).await;
        assert_eq!((said.status.as_u16(), &said.json()["address"]), (200, &json!(to)), "{}", said.text);
        self.is_told(&to).await;
    }

    /// The member has had a letter, and it is the only one, that says this.
    async fn is_told(&self, what: &str) {
        let letters = self.letters().await;
        let [(to, text)] = &letters[..] else { panic!("{letters:?}") };
        assert_eq!(*to, self.address("member"));
        assert!(text.contains(what), "{text}");
    }

    async fn forgotten(&self, local: &str) {
        let asked = self.post("", "/password-recoveries", json!({ "address": self.address(local) })).await;
        assert_eq!((asked.status.as_u16(), asked.text.as_str()), (204, ""));
    }

    async fn secret(&self) -> String {
        self.forgotten("member").await;
        self.word(&self.address("graded"), |word| word.starts_with("ppr_")).await
    }

    async fn set(&self, secret: &str, password: &str) -> Answer {
        self.post("", "/recovered-passwords", json!({ "secret": secret, "password": password })).await
    }
}

/// Feature AUT-07: another password by a letter to a recovery address elsewhere, which was proved by a code; not yet on a page
#[tokio::test(flavor = "multi_thread")]
async fn a_member_is_reached_at_an_address_elsewhere() {
    let it = bench_of(Office::sending_out().await).await;
    let token = it.token().await;
    let path = it.of_member("/recovery-address");
    // Of another organisation of the same post office no letter is made, nor of one's own that nobody has.
    let theirs = it.office.tenant("theirs").await;
    it.letters().await;
    let abroad = json!({ "address": format!("member@{}", theirs.domain) });
    it.post(&token, &path, abroad).await.assert_problem(409, "other-state");
    it.post(&token, &path, json!({ "address": it.address("nobody-at-all") }))
        .await
        .assert_problem(422, "invalid");
    let to = "Ann@Elsewhere.example";
    assert_eq!(it.post(&token, &path, json!({ "address": to })).await.status, 204);
    let queued = it.outside().await;
    let [(account, is_notice)] = queued[..] else { panic!("{queued:?}") };
    assert_eq!((account, is_notice), (it.home.member, true));
    let code = it.code("ann@elsewhere.example").await;
    let confirmation = format!("{path}/confirmation");
    let said = it.post(&token, &confirmation, json!({ "code": code })).await;
    assert_eq!(said.json()["address"], "ann@elsewhere.example", "{}", said.text);
    it.is_told("ann@elsewhere.example").await;
    it.forgotten("member").await;
    let secret = it.word("ann@elsewhere.example", |word| word.starts_with("ppr_")).await;
    assert_eq!(it.set(&secret, ANOTHER).await.status, 204);
    assert_eq!(it.sign_in("member", ANOTHER).await.status, 201);

    // The domain is somebody's here from now on: whom the address reaches now was never asked.
    it.forgotten("member").await;
    let secret = it.word("ann@elsewhere.example", |word| word.starts_with("ppr_")).await;
    let administration = &it.office.administration;
    administration.add_domain(&OPERATOR, theirs.id, "elsewhere.example").await.expect("a domain");
    it.forgotten("member").await;
    assert_eq!(it.letters().await, []);
    it.set(&secret, PASSWORD).await.assert_problem(401, "sign-in-refused");
}

/// Feature AUT-07: another password by a letter to another member's mailbox as the recovery address; not yet on a page
#[tokio::test(flavor = "multi_thread")]
async fn a_forgotten_password_is_set_anew() {
    let it = bench().await;
    let token = it.token().await;
    it.set_up(&token).await;
    let secret = it.secret().await;
    it.set(&secret, "short").await.assert_problem(422, "invalid");
    // Guesses have locked the account in the meantime, which keeps nobody out who sets another password.
    let directory = it.office.administration.directory().clone();
    let from = "192.0.2.9".parse().expect("an address");
    let mut rules = directory.sign_in_rules(it.home.id).await.expect("rules");
    rules.lock.count = 3;
    directory.set_sign_in_rules(it.home.id, &rules).await.expect("set").expect("as it was");
    let web = Attempt::new(SignInKind::Web, "password", from);
    for _ in 0..3 {
        directory.sign_in(&web, &it.address("member"), "a wrong password").await.expect_err("refused");
    }
    assert_eq!(it.set(&secret, ANOTHER).await.status, 204);
    // It is good once, ends the sessions that stood on the password, and the new one opens.
    it.set(&secret, ANOTHER).await.assert_problem(401, "sign-in-refused");
    it.office.ask(&token, "GET", "/me", None).await.assert_problem(401, "unauthorised");
    it.sign_in("member", PASSWORD).await.assert_problem(401, "sign-in-refused");
    assert_eq!(it.sign_in("member", ANOTHER).await.status, 201);
    let log = it.office.administration.operations(&OPERATOR, Some(it.home.id), (None, None), 0, 500).await;
    let log = format!("{:?}", log.expect("reads").0);
    assert!(log.contains("password.recover") && !log.contains("ppr_"), "{log}");

    // Of two letters the second is worth nothing once the password is another one.
    let (first, second) = (it.secret().await, it.secret().await);
    assert_eq!(it.set(&first, "yet another password").await.status, 204);
    it.set(&second, ANOTHER).await.assert_problem(401, "sign-in-refused");
    // Three, as long as the first is good, and no more; nobody is told.
    it.forgotten("member").await;
    assert_eq!(it.letters().await, []);
}

#[tokio::test(flavor = "multi_thread")]
async fn whether_anybody_has_forgotten_is_told_to_nobody_else() {
    let it = bench().await;
    // Neither for nobody nor for somebody who has said nothing does a letter go; the answer is the same, and as late.
    for local in ["nobody", "member", "business", "deleted"] {
        let began = std::time::Instant::now();
        it.forgotten(local).await;
        assert!(began.elapsed() >= Duration::from_millis(400), "{local}");
    }
    it.post("", "/password-recoveries", json!({ "address": "no address" })).await;
    assert_eq!(it.letters().await, []);
    let made_up = format!("ppr_{}{}", it.home.id, "0".repeat(64));
    it.set(&made_up, ANOTHER).await.assert_problem(401, "sign-in-refused");
    it.set("ppr_", ANOTHER).await.assert_problem(401, "sign-in-refused");

    let token = it.token().await;
    let path = it.of_member("/recovery-address");
    // Where nothing is sent, or nothing would help.
    it.post(&token, &path, json!({ "address": "ann@elsewhere.example" }))
        .await
        .assert_problem(409, "other-state");
    let theirs = it.office.tenant("theirs").await;
    it.letters().await;
    let abroad = json!({ "address": format!("member@{}", theirs.domain) });
    it.post(&token, &path, abroad).await.assert_problem(409, "other-state");
    // What leads to one mailbox today leads to others tomorrow: only whose own address it is counts.
    let directory = it.office.administration.directory();
    directory.set_catch_all(&it.home.domain, Some(&it.address("graded"))).await.expect("a catch-all");
    for local in
        ["member", "alias", "group", "business", "deleted", "graded+tag", "nobody-at-all", "postmaster"]
    {
        it.post(&token, &path, json!({ "address": it.address(local) })).await.assert_problem(422, "invalid");
    }
    it.post(&token, &path, json!({ "address": "ann" })).await.assert_problem(422, "invalid");
    // A code that is wrong five times is none any more.
    let to = it.address("graded");
    assert_eq!(it.post(&token, &path, json!({ "address": to })).await.status, 204);
    let code = it.code(&to).await;
    let confirmation = format!("{path}/confirmation");
    for _ in 0..5 {
        let wrong = it.post(&token, &confirmation, json!({ "code": "00000000x" })).await;
        wrong.assert_problem(422, "wrong-code");
    }
    it.post(&token, &confirmation, json!({ "code": code })).await.assert_problem(422, "wrong-code");
    let told = it.office.ask(&token, "GET", &path, None).await.json();
    assert_eq!((&told["address"], &told["pending"]), (&Value::Null, &json!(to)));
    it.forgotten("member").await;
    assert_eq!(it.letters().await, []);

    // Whoever has only stolen a session with a second factor says no other address.
    it.set_up(&token).await;
    let secret = it.secret().await;
    assert_eq!(it.office.ask(&token, "DELETE", &path, None).await.status, 204);
    it.set(&secret, ANOTHER).await.assert_problem(401, "sign-in-refused");
    it.is_told("removed").await;
    // The mailbox is another's afterwards: the address goes with its owner.
    it.set_up(&token).await;
    // Saying one and removing it again sends no letters without end.
    assert_eq!(it.office.ask(&token, "DELETE", &path, None).await.status, 204);
    it.is_told("removed").await;
    it.post(&token, &path, json!({ "address": to })).await.assert_problem(429, "too-many-requests");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_recovery_address_ends_with_its_owner_and_with_that_of_its_mailbox() {
    let it = bench().await;
    let administration = &it.office.administration;
    let token = it.token().await;
    it.set_up(&token).await;
    // An administrator lets the member in again: whoever had got in before had perhaps set it.
    let secret = it.secret().await;
    administration.recover_account(&OPERATOR, it.home.member).await.expect("recovered");
    it.is_told("removed").await;
    it.set(&secret, ANOTHER).await.assert_problem(401, "sign-in-refused");
    it.forgotten("member").await;
    assert_eq!(it.letters().await, []);

    // The mailbox at which the member is reached gets another owner.
    let token = it.office.session(it.home.member).await;
    it.set_up(&token).await;
    let secret = it.secret().await;
    administration.delete_account(&OPERATOR, it.home.graded, BinCause::Unbound).await.expect("in the bin");
    let owner = Assignment { display_name: "a stranger".to_owned(), ..Assignment::default() };
    administration.assign_account(&OPERATOR, it.home.graded, &owner).await.expect("assigned");
    it.forgotten("member").await;
    assert_eq!(it.letters().await, []);
    it.set(&secret, ANOTHER).await.assert_problem(401, "sign-in-refused");

    // Of the member himself.
    it.set_up(&token).await;
    let secret = it.secret().await;
    let administration = &it.office.administration;
    administration.delete_account(&OPERATOR, it.home.member, BinCause::Unbound).await.expect("in the bin");
    let owner = Assignment { display_name: "somebody else".to_owned(), ..Assignment::default() };
    administration.assign_account(&OPERATOR, it.home.member, &owner).await.expect("assigned");
    it.set(&secret, ANOTHER).await.assert_problem(401, "sign-in-refused");
    let after = administration.recovery(&OPERATOR, it.home.member).await.expect("read");
    assert_eq!(after, pennypost_directory::Recovery::default());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lock_opens_no_account_that_is_closed() {
    let it = bench().await;
    let token = it.token().await;
    it.set_up(&token).await;
    let secret = it.secret().await;
    let directory = it.office.administration.directory().clone();
    let mut rules = directory.sign_in_rules(it.home.id).await.expect("rules");
    rules.lock.count = 3;
    directory.set_sign_in_rules(it.home.id, &rules).await.expect("set").expect("as it was");
    let web = Attempt::new(SignInKind::Web, "password", "192.0.2.9".parse().expect("an address"));
    for _ in 0..3 {
        directory.sign_in(&web, &it.address("member"), "a wrong password").await.expect_err("refused");
    }
    let administration = &it.office.administration;
    administration.suspend_account(&OPERATOR, it.home.member, true).await.expect("suspended");
    it.set(&secret, ANOTHER).await.assert_problem(401, "sign-in-refused");
    administration.suspend_account(&OPERATOR, it.home.member, false).await.expect("let in again");
    assert_eq!(it.set(&secret, ANOTHER).await.status, 204);
}

#[tokio::test(flavor = "multi_thread")]
async fn many_who_ask_at_once_are_told_the_same() {
    let it = bench().await;
    let token = it.token().await;
    it.set_up(&token).await;
    futures::future::join_all((0..40).map(|_| it.forgotten("member"))).await;
    assert_eq!(it.letters().await.len(), 3);
}

/// Feature AUT-05: who has no password yet sets the first one in a session that was opened otherwise; no page yet
#[tokio::test(flavor = "multi_thread")]
async fn who_has_no_password_sets_the_first_one() {
    let it = bench().await;
    let newcomer = it.home.newcomer;
    let path = format!("/tenants/{}/accounts/{}/password", it.home.id, newcomer.account);
    let first = json!({ "old": null, "new": ANOTHER });
    // A key of the person is nobody at hand.
    let all = pennypost_admin::Permissions::of_tenant();
    let key = it.office.key(Some(it.home.id), Some(newcomer), all).await;
    it.post(&key, &path, first.clone()).await.assert_problem(403, "confirmation-needed");
    let session = it.office.session(newcomer).await;
    let weak = json!({ "old": null, "new": "short" });
    it.post(&session, &path, weak).await.assert_problem(422, "invalid");
    assert_eq!(it.post(&session, &path, first.clone()).await.status, 204);
    assert_eq!(it.sign_in("newcomer", ANOTHER).await.status, 201);
    // There is one now, which has to be said.
    let session = it.office.session(newcomer).await;
    it.post(&session, &path, first).await.assert_problem(409, "other-state");
}
