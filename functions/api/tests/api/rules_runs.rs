//! A member's rules, run on mail that lies in a folder, and as a script of Sieve.

use pennypost_admin::{Permissions, Worked};
use pennypost_fold::State;
use pennypost_mailstore::{Incoming, Mailroom};
use pennypost_model::journal::{Actor, Protocol};
use pennypost_model::{FlagSet, MailboxId, TaskId, Timestamp};
use pennypost_ports::{Clock, Consistency, Ids, RandomIds};
use serde_json::{Value, json};

use crate::support::{Answer, Office, Tenant};

struct Bench {
    office: Office,
    home: Tenant,
    session: String,
    path: String,
}

impl Bench {
    async fn open() -> Bench {
        let office = Office::open().await;
        let home = office.tenant("home").await;
        let session = office.session(home.member).await;
        let path = format!("/tenants/{}/accounts/{}", home.id, home.member.account);
        Mailroom::new(office.store.clone()).account(home.member).await.expect("journal");
        Bench { office, home, session, path }
    }

    async fn ask(&self, method: &str, path: &str, body: Option<&Value>) -> Answer {
        self.office.ask(&self.session, method, &format!("{}{path}", self.path), body).await
    }

    async fn state(&self) -> State {
        self.office.store.load(self.home.member, Consistency::Strong).await.expect("state")
    }

    /// Letters in a folder: every other one is about a bill, for several people.
    async fn put(&self, folder: MailboxId, count: usize) {
        let letter = |number: usize| {
            let subject = if number.is_multiple_of(2) { "bill" } else { "news" };
            let to = format!("a@far.example, b@far.example, member@{}", self.home.domain);
            let raw =
                format!("From: a@shop.example\r\nTo: {to}\r\nSubject: {subject} {number}\r\n\r\nhello\r\n");
            let event = RandomIds.event(self.office.clock.now());
            Incoming::prepare(raw.as_bytes(), event, FlagSet::default(), Timestamp(77_000)).expect("prepares")
        };
        let letters: Vec<Incoming> = (0..count).map(letter).collect();
        for some in letters.chunks(200) {
            let (state, actor) = (self.state().await, Actor::Member(Protocol::Import));
            let storing = self.office.store.store(self.home.member, state, &actor, folder, some, |_| Ok(()));
            storing.await.expect("stores");
        }
    }

    async fn count(&self, folder: MailboxId) -> usize {
        self.state().await.mailbox(folder).expect("a folder").rows.len()
    }

    async fn say(&self, rules: &Value) {
        let said = self.ask("PUT", "/rules", Some(&json!({ "rules": rules }))).await;
        assert_eq!(said.status, 200, "{}", said.text);
    }

    async fn order(&self, body: &Value) -> TaskId {
        let ordered = self.ask("POST", "/rules/runs", Some(body)).await;
        assert_eq!(ordered.status, 202, "{}", ordered.text);
        let id = ordered.json()["id"].as_str().expect("an id").to_owned();
        assert_eq!(ordered.header("location"), format!("/api/v1{}/rules/runs/{id}", self.path));
        id.parse().expect("an id")
    }

    async fn run(&self, id: TaskId) -> Value {
        self.ask("GET", &format!("/rules/runs/{id}"), None).await.json()
    }
}

fn bills() -> Value {
    json!([{
        "name": "Bills", "conditions": [{ "subject": { "words": ["BILL"] } }, "to-me"],
        "actions": [{ "label": "unpaid" }, { "move": { "folder": "Archive" } }, { "reply": "Thank you." }],
    }])
}

/// Feature RUL-04 (part): a member runs rules on the mail of a folder, as a task with progress, over the API; it goes on after a crash, is stopped, and changes nothing when it is run again; nothing is forwarded or answered; no page
#[tokio::test(flavor = "multi_thread")]
async fn rules_are_run_on_the_mail_of_a_folder() {
    let it = Bench::open().await;
    it.say(&bills()).await;
    let inbox = json!({ "folder": "inbox" });
    // More than one step, and more than one entry in each.
    it.put(MailboxId::INBOX, 2_150).await;
    let id = it.order(&inbox).await;
    let queued = it.run(id).await;
    assert_eq!((&queued["state"], &queued["folder"]), (&json!("queued"), &json!("INBOX")));
    assert_eq!((&queued["rules"], &queued["total"]), (&json!(["Bills"]), &Value::Null));
    it.ask("POST", "/rules/runs", Some(&inbox)).await.assert_problem(409, "other-state");
    // What comes meanwhile was asked when it came.
    it.office.work_on(it.home.id, id).await;
    let done = it.run(id).await;
    let told = [&done["state"], &done["looked_at"], &done["total"], &done["changed"], &done["damaged"]];
    assert_eq!(told, [&json!("done"), &json!(2_150), &json!(2_150), &json!(1_075), &json!(0)]);
    assert_eq!((it.count(MailboxId::INBOX).await, it.count(MailboxId::ARCHIVE).await), (1_075, 1_075));
    let before = it.state().await;
    let again = it.order(&inbox).await;
    it.office.work_on(it.home.id, again).await;
    assert_eq!((&it.run(again).await["changed"], it.state().await.seq), (&json!(0), before.seq));

    // Whoever dies at any write leaves a run that goes on, and does nothing twice.
    for writes in 0..5 {
        it.put(MailboxId::INBOX, 10).await;
        let (inbox_before, archived) = (it.count(MailboxId::INBOX).await, it.count(MailboxId::ARCHIVE).await);
        let id = it.order(&inbox).await;
        it.office.dying.after(writes);
        let _ = it.office.administration.work_on(it.home.id, id, Timestamp(i64::MAX)).await;
        it.office.dying.after(i64::MAX);
        let worked = it.office.administration.work_on(it.home.id, id, Timestamp(i64::MAX)).await;
        assert_eq!(worked, Ok(Worked::Over), "{writes}");
        assert_eq!(it.run(id).await["state"], "done", "{writes}");
        let counts = (it.count(MailboxId::INBOX).await, it.count(MailboxId::ARCHIVE).await);
        assert_eq!(counts, (inbox_before - 5, archived + 5), "{writes}");
    }

    // Stopped before it was begun, nothing is done.
    it.put(MailboxId::INBOX, 2).await;
    let before = it.state().await.seq;
    let id = it.order(&inbox).await;
    let stop = format!("/rules/runs/{id}/cancellation");
    assert_eq!(it.ask("POST", &stop, None).await.json()["state"], "cancelled");
    it.ask("POST", &stop, None).await.assert_problem(409, "other-state");
    it.office.work_on(it.home.id, id).await;
    assert_eq!(it.state().await.seq, before);
    let listed = it.ask("GET", "/rules/runs", None).await.json();
    assert_eq!(listed["items"].as_array().expect("runs").len(), 8);
    assert_eq!(listed["items"][0]["id"], id.to_string());

    // Only the owner runs them and looks at them, and only on what there is.
    let admin = it.office.key(Some(it.home.id), None, Permissions::of_tenant()).await;
    let runs = format!("{}/rules/runs", it.path);
    it.office.ask(&admin, "POST", &runs, Some(&inbox)).await.assert_problem(403, "no-permission");
    it.office.ask(&admin, "GET", &runs, None).await.assert_problem(403, "no-permission");
    it.office.ask(&admin, "GET", &format!("{runs}/{id}"), None).await.assert_problem(403, "no-permission");
    let theirs = it.office.tenant("theirs").await;
    let stranger = it.office.session(theirs.member).await;
    it.office.ask(&stranger, "GET", &runs, None).await.assert_problem(404, "not-found");
    let chief = it.office.session(it.home.chief).await;
    let other = format!("/tenants/{}/accounts/{}/rules/runs/{id}", it.home.id, it.home.chief.account);
    it.office.ask(&chief, "GET", &other, None).await.assert_problem(404, "not-found");
    for (body, kind, pointer) in [
        (json!({ "folder": "Nowhere" }), "unknown-reference", "/folder"),
        (json!({ "folder": "INBOX", "rules": ["Bills", "Other"] }), "unknown-reference", "/rules/1"),
    ] {
        let refused = it.ask("POST", "/rules/runs", Some(&body)).await.assert_problem(422, kind);
        assert_eq!(refused["errors"][0]["pointer"], pointer);
    }
    it.say(&json!([{ "name": "Answer", "conditions": ["to-me"], "actions": [{ "reply": "Hello." }] }])).await;
    let refused = it.ask("POST", "/rules/runs", Some(&inbox)).await.assert_problem(422, "invalid");
    assert_eq!(refused["errors"][0]["pointer"], "/rules");
}

/// Feature RUL-01: a member's rules as a script of Sieve, over the API, and rules on sending beside them
#[tokio::test(flavor = "multi_thread")]
async fn rules_are_read_and_said_as_a_script() {
    let it = Bench::open().await;
    let sending = json!({
        "name": "Sent", "moment": "send", "conditions": [{ "subject": { "words": ["offer"] } }],
        "actions": [{ "label": "offer" }],
    });
    let rules = json!({ "blacklist": ["spam.example"], "rules": [sending, {
        "name": "Archive", "conditions": ["only-to-me", { "size": { "at-least": 1000 } }],
        "actions": ["mark-read", { "move": { "folder": "Archive" } }],
    }] });
    let said = it.ask("PUT", "/rules", Some(&rules)).await;
    assert_eq!(said.status, 200, "{}", said.text);
    let script = it.ask("GET", "/rules.sieve", None).await;
    assert_eq!(script.header("content-type"), "application/sieve; charset=utf-8");
    assert!(
        script.text.contains("# rule:[Archive]\r\n") && !script.text.contains("offer"),
        "{}",
        script.text
    );
    // What was read is said again, by whoever has seen it.
    let path = format!("{}/rules.sieve", it.path);
    let body = Value::from(script.text.clone());
    let seen = [("if-match", script.header("etag"))];
    let again = it.office.ask_with(&it.session, "PUT", &path, &seen, Some(&body)).await;
    assert_eq!((again.status.as_u16(), &again.text), (200, &script.text));
    let kept = it.ask("GET", "/rules", None).await.json();
    let mut told = said.json();
    told["rules"].as_array_mut().expect("rules").reverse();
    assert_eq!(kept, told, "those on sending stay, behind the others");
    let other = Value::from("if true { discard; }");
    assert_eq!(it.ask("PUT", "/rules.sieve", Some(&other)).await.status, 200);
    it.office.ask_with(&it.session, "PUT", &path, &seen, Some(&body)).await.assert_problem(412, "changed");
    // Nothing is half taken, and all that is wrong is told with its place, in both languages.
    let bad = Value::from("if true { discard; }\r\nif true { notify \"no\"; }\r\nelse { fileinto \"A\"; }");
    let refused = it.ask("PUT", "/rules.sieve", Some(&bad)).await.assert_problem(422, "invalid");
    let errors: Vec<&str> = refused["errors"]
        .as_array()
        .expect("errors")
        .iter()
        .map(|error| error["detail"].as_str().expect("a detail"))
        .collect();
    assert_eq!(errors.len(), 2, "{refused}");
    assert!(errors[0].starts_with("line 2, column 11: ") && errors[1].starts_with("line 3, column 1: "));
    let chinese = [("if-match", "*"), ("accept-language", "zh-CN")];
    let told = it.office.ask_with(&it.session, "PUT", &path, &chinese, Some(&bad)).await.json();
    assert!(told["detail"].as_str().expect("a detail").starts_with("第 2 行第 11 列："), "{told}");
    let nowhere = Value::from("if true {\r\n  fileinto \"Nowhere\";\r\n}");
    let refused = it.ask("PUT", "/rules.sieve", Some(&nowhere)).await.json();
    assert!(refused["detail"].as_str().expect("a detail").starts_with("line 2, column 12: "), "{refused}");
    let kept = it.ask("GET", "/rules", None).await.json();
    assert_eq!(
        (kept["rules"].as_array().map(Vec::len), &kept["blacklist"]),
        (Some(2), &json!(["spam.example"]))
    );
}
