//! How letters of a member are answered and forwarded by themselves.

use std::time::Duration;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use pennypost_admin::Permissions;
use pennypost_model::codec;
use pennypost_model::event::{Body, Event, Stage};
use serde_json::{Value, json};

use crate::support::{Answer, Office, Tenant, permissions};

struct Bench {
    office: Office,
    home: Tenant,
    session: String,
}

impl Bench {
    async fn open() -> Bench {
        let office = Office::sending_out().await;
        let home = office.tenant("home").await;
        let session = office.session(home.member).await;
        let it = Bench { office, home, session };
        // Users of the tenant's business mailboxes were told.
        it.letters().await;
        it
    }

    fn path(&self, of_member: &str) -> String {
        format!("/tenants/{}/accounts/{}{of_member}", self.home.id, self.home.member.account)
    }

    async fn read(&self) -> Answer {
        self.office.ask(&self.session, "GET", &self.path("/automatic"), None).await
    }

    async fn say(&self, seen: &str, body: &Value) -> Answer {
        let path = self.path("/automatic");
        self.office.ask_with(&self.session, "PUT", &path, &[("if-match", seen)], Some(body)).await
    }

    async fn post(&self, path: &str, body: Value) -> Answer {
        self.office.ask(&self.session, "POST", &self.path(path), Some(&body)).await
    }

    /// The letters in the queue: to whom, and what they say.
    async fn letters(&self) -> Vec<(String, String)> {
        let queue = &self.office.queue;
        let found = queue.receive(Stage::InboundParse, 10, Duration::from_secs(60), Duration::ZERO).await;
        let mut letters = Vec::new();
        for message in &found.expect("received") {
            let Ok(Event::Accepted(accepted)) = codec::decode(&message.body) else { panic!("a letter") };
            let Body::Inline(stored) = &accepted.body else { panic!("it is short") };
            let raw = pennypost_mailstore::compress::decompress(stored).expect("whole");
            let raw = String::from_utf8(raw).expect("UTF-8");
            let body = raw.split_once("\r\n\r\n").expect("a head").1.replace("\r\n", "");
            let text = String::from_utf8(BASE64_STANDARD.decode(body).expect("base64")).expect("UTF-8");
            letters.push((accepted.recipients[0].address.clone(), text));
            queue.ack(Stage::InboundParse, std::slice::from_ref(&message.receipt)).await.expect("done");
        }
        letters
    }

    /// The organisation says who may forward.
    async fn allow(&self, rules: &Value) -> Answer {
        let key = self.office.key(Some(self.home.id), None, Permissions::of_tenant()).await;
        let path = format!("/tenants/{}/forwarding", self.home.id);
        let seen = self.office.ask(&key, "GET", &path, None).await;
        self.office.ask_with(&key, "PUT", &path, &[("if-match", seen.header("etag"))], Some(rules)).await
    }
}

/// Feature RUL-07 (part): text, subject, period and whom it is for, over the API; address books are missing
#[tokio::test(flavor = "multi_thread")]
async fn a_member_says_how_letters_are_answered() {
    let it = Bench::open().await;
    let open = it.read().await;
    assert_eq!(open.json(), json!({ "reply": null, "forward": null, "may_forward": false }));
    let reply = json!({
        "enabled": true, "subject": "Away", "text": "I am away.\n不在", "to_colleagues": "At the sea.",
        "only_colleagues": false,
        "period": { "from": "2026-12-24T18:00", "until": "2027-01-04T00:00", "zone": "Asia/Shanghai" },
    });
    let said = it.say(open.header("etag"), &json!({ "reply": reply })).await;
    assert_eq!((said.status.as_u16(), &said.json()["reply"]), (200, &reply), "{}", said.text);
    assert_eq!(it.read().await.header("etag"), said.header("etag"));
    it.say(open.header("etag"), &json!({ "reply": reply })).await.assert_problem(412, "changed");
    let with = |name: &str, value: Value| {
        let mut reply = reply.clone();
        reply[name] = value;
        json!({ "reply": reply })
    };
    let period = |from: &str, until: &str, zone: &str| {
        with("period", json!({ "from": from, "until": until, "zone": zone }))
    };
    for (wrong, pointer) in [
        (with("text", json!("x".repeat(401))), "/reply/text"),
        (with("text", json!("")), "/reply/text"),
        (with("to_colleagues", json!(" ")), "/reply/to_colleagues"),
        (with("subject", json!("x".repeat(101))), "/reply/subject"),
        (period("2026-12-24", "2026-12-23", "Asia/Shanghai"), "/reply/period"),
        (period("tomorrow", "2026-12-23", "Asia/Shanghai"), "/reply/period/from"),
        (period("2026-12-24", "2026-12-25", "Mars"), "/reply/period/zone"),
        (json!({ "forward": { "to": [] } }), "/forward/to"),
        (json!({ "forward": { "to": ["no address"] } }), "/forward/to/0"),
    ] {
        let refused = it.say(said.header("etag"), &wrong).await;
        refused.assert_problem(422, "invalid");
        assert!(refused.text.contains(&format!("\"{pointer}\"")), "{pointer}: {}", refused.text);
    }
    // Rules are said beside it, and do not touch it.
    let rules = it.path("/rules");
    let seen = it.office.ask(&it.session, "GET", &rules, None).await;
    let rule =
        json!({ "rules": [{ "name": "x", "conditions": ["to-me"], "actions": [{ "reply": "Later." }] }] });
    let put = it
        .office
        .ask_with(&it.session, "PUT", &rules, &[("if-match", seen.header("etag"))], Some(&rule))
        .await;
    assert_eq!(put.json()["rules"][0]["actions"], json!([{ "reply": "Later." }]), "{}", put.text);
    assert_eq!(it.read().await.json()["reply"], reply);
}

/// Feature RUL-06 (part): targets, elsewhere after a code that went there, over the API
/// Feature RUL-08 (part): the organisation's permission, with exceptions of accounts, over the API; no scan, no page
#[tokio::test(flavor = "multi_thread")]
async fn a_member_says_where_letters_are_forwarded() {
    let it = Bench::open().await;
    let colleague = format!("graded@{}", it.home.domain);
    let directory = it.office.administration.directory();
    let group = format!("all@{}", it.home.domain);
    directory.add_group(&group, "All", &[colleague.as_str()]).await.expect("a group");
    let forward = |to: &[&str]| json!({ "forward": { "enabled": true, "to": to, "keep": false } });
    let seen = it.read().await;
    for (to, pointer) in [
        (group.clone(), "/forward/to/0"),
        (format!("member@{}", it.home.domain), "/forward/to/0"),
        (format!("nobody-here@{}", it.home.domain), "/forward/to/0"),
    ] {
        let refused = it.say(seen.header("etag"), &forward(&[&to])).await;
        refused.assert_problem(422, "invalid");
        assert!(refused.text.contains(pointer), "{to}: {}", refused.text);
    }
    let said = it.say(seen.header("etag"), &forward(&[&colleague, "me@far.example"])).await;
    let states = |answer: &Answer| answer.json()["targets"].clone();
    let state = |near: &str, far: &str| json!([{ "address": colleague, "state": near }, { "address": "me@far.example", "state": far }]);
    assert_eq!(
        (said.status.as_u16(), states(&said)),
        (200, state("not-allowed", "unconfirmed")),
        "{}",
        said.text
    );
    it.post("/forward-targets", json!({ "address": "me@far.example" }))
        .await
        .assert_problem(409, "other-state");
    assert_eq!(it.allow(&json!({ "everybody": true })).await.status, 200);
    assert_eq!(states(&it.read().await), state("inside", "unconfirmed"));

    assert_eq!(it.post("/forward-targets", json!({ "address": "Me@Far.example" })).await.status, 204);
    it.post("/forward-targets", json!({ "address": colleague })).await.assert_problem(409, "other-state");
    let letters = it.letters().await;
    let [(to, text)] = &letters[..] else { panic!("{letters:?}") };
    assert_eq!(to, "me@far.example");
    let mut words = text.split(|c: char| !c.is_ascii_digit());
    let code = words.find(|word| word.len() == 8).expect("a code").to_owned();
    assert_eq!(it.read().await.json()["pending"], "me@far.example");
    it.post("/forward-targets/confirmation", json!({ "code": "00000000" })).await;
    let said = it.post("/forward-targets/confirmation", json!({ "code": code })).await;
    assert_eq!((said.status.as_u16(), states(&said)), (200, state("inside", "confirmed")), "{}", said.text);
    let told = it.letters().await;
    assert!(
        matches!(&told[..], [(to, text)] if to.starts_with("member@") && text.contains("me@far.example")),
        "{told:?}"
    );
    it.post("/forward-targets/confirmation", json!({ "code": code })).await.assert_problem(422, "wrong-code");

    let account = it.home.member.account.to_string();
    let but = json!({ "everybody": true, "accounts": [{ "account": account, "allowed": false }] });
    assert_eq!(it.allow(&but).await.json(), but);
    let seen = it.read().await;
    assert_eq!(states(&seen), state("not-allowed", "not-allowed"));
    assert_eq!(
        (&seen.json()["may_forward"], &seen.json()["forward"]["keep"]),
        (&json!(false), &json!(false))
    );
    let twice = json!({ "everybody": true, "accounts": [but["accounts"][0], but["accounts"][0]] });
    it.allow(&twice).await.assert_problem(422, "invalid");
    let nobody =
        json!({ "everybody": true, "accounts": [{ "account": "00000000000000ff", "allowed": true }] });
    it.allow(&nobody).await.assert_problem(422, "unknown-reference");

    assert_eq!(it.allow(&json!({ "everybody": true })).await.status, 200);
    assert_eq!(it.post("/forward-targets/removal", json!({ "address": "me@far.example" })).await.status, 204);
    assert_eq!(states(&it.read().await), state("inside", "unconfirmed"));
    it.post("/forward-targets/removal", json!({ "address": "me@far.example" }))
        .await
        .assert_problem(404, "not-found");
}

/// Who administers members takes away and switches off: what is written and where letters go is for the owner alone to say.
#[tokio::test(flavor = "multi_thread")]
async fn who_administers_members_takes_away_only() {
    let it = Bench::open().await;
    let key = it.office.key(Some(it.home.id), None, permissions(&["members:write"])).await;
    let path = it.path("/automatic");
    let as_key = async |body: &Value| {
        let seen = it.office.ask(&key, "GET", &path, None).await;
        it.office.ask_with(&key, "PUT", &path, &[("if-match", seen.header("etag"))], Some(body)).await
    };
    let said = |text: &str, reply: bool, to: &[&str], forward: bool, keep: bool| {
        json!({
            "reply": { "enabled": reply, "text": text },
            "forward": { "enabled": forward, "to": to, "keep": keep },
        })
    };
    let (one, two) = (format!("graded@{}", it.home.domain), "me@far.example");
    let reply = json!({ "reply": { "text": "Away." } });
    assert_eq!(as_key(&reply).await.status, 403);
    let own = it.say(it.read().await.header("etag"), &said("Away.", true, &[&one, two], true, true)).await;
    assert_eq!(own.status, 200, "{}", own.text);
    for refused in [
        said("Other.", true, &[&one, two], true, true),
        said("Away.", true, &[&one, "else@far.example"], true, true),
        said("Away.", true, &[&one, two], true, false),
    ] {
        let answer = as_key(&refused).await;
        assert_eq!(answer.status, 403, "{}", answer.text);
    }
    for taken in [said("Away.", true, &[&one], true, true), said("Away.", false, &[&one], false, true)] {
        let answer = as_key(&taken).await;
        assert_eq!(answer.status, 200, "{}", answer.text);
    }
    assert_eq!(as_key(&said("Away.", true, &[&one], false, true)).await.status, 403, "it is off");
    let rules_path = it.path("/rules");
    let rule = json!({ "rules": [{
        "name": "all", "conditions": ["to-me"], "actions": [{ "forward": [one] }],
    }] });
    let seen = it.office.ask(&key, "GET", &rules_path, None).await;
    let etag = [("if-match", seen.header("etag"))];
    let refused = it.office.ask_with(&key, "PUT", &rules_path, &etag, Some(&rule)).await;
    assert_eq!(refused.status, 403, "{}", refused.text);
    let target = json!({ "address": "me@far.example" });
    let refused = it.office.ask(&key, "POST", &it.path("/forward-targets"), Some(&target)).await;
    assert_eq!(refused.status, 403, "{}", refused.text);
    let reader = it.office.key(Some(it.home.id), None, permissions(&["members:read"])).await;
    let seen = it.read().await;
    let refused =
        it.office.ask_with(&reader, "PUT", &path, &[("if-match", seen.header("etag"))], Some(&reply)).await;
    assert_eq!(refused.status, 403, "{}", refused.text);
    let operator = crate::support::OPERATOR;
    let log = it.office.administration.operations(&operator, Some(it.home.id), (None, None), 0, 500);
    let log = format!("{:?}", log.await.expect("reads").0);
    assert!(log.contains("automatic.change") && !log.contains("Away."), "{log}");

    // Whoever runs the program says it for him, and he is told.
    it.letters().await;
    let account = it.home.member;
    let seen = it.office.administration.automatic(&operator, account).await.expect("reads");
    let mut automatic = seen.automatic.clone();
    automatic.forward.as_mut().expect("said").enabled = true;
    it.office.administration.change_automatic(&operator, account, &seen, &automatic).await.expect("said");
    let told = it.letters().await;
    assert!(
        matches!(&told[..], [(to, text)] if to.starts_with("member@") && text.contains(&one)),
        "{told:?}"
    );
}
