//! Personalised mass mail: tables that are refused, letters that are looked at and tried, mailings that go and are stopped.

use std::sync::Arc;
use std::time::Duration;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use pennypost_held::{HeldLetters, Ports, Releaser};
use pennypost_mailings::{Mailings, Runner};
use pennypost_mailstore::compress;
use pennypost_model::codec;
use pennypost_model::event::{Accepted, Body, Event, Stage, Via};
use pennypost_outbound::Outbox;
use pennypost_ports::RandomIds;
use serde_json::{Value, json};

use crate::support::{Answer, Office, Tenant};

struct Bench {
    office: Office,
    home: Tenant,
    session: String,
    account: String,
}

impl Bench {
    async fn open() -> Bench {
        let office = Office::open().await;
        let home = office.tenant("home").await;
        let session = office.session(home.member).await;
        let account = format!("/tenants/{}/accounts/{}", home.id, home.member.account);
        let it = Bench { office, home, session, account };
        // What its users were told when it was set up.
        it.handed_in().await;
        it
    }

    async fn post(&self, path: &str, body: Option<Value>) -> Answer {
        let path = format!("{}/{path}", self.account);
        self.office.ask(&self.session, "POST", &path, body.as_ref()).await
    }

    async fn read(&self, path: &str) -> Value {
        let answer = self.office.ask(&self.session, "GET", &format!("{}/{path}", self.account), None).await;
        assert_eq!(answer.status.as_u16(), 200, "{}", answer.text);
        answer.json()
    }

    /// The table with its domain in the place of `@`.
    fn table(&self, text: &str) -> String {
        BASE64_STANDARD.encode(text.replace('@', &format!("@{}", self.home.domain)))
    }

    async fn add(&self, table: &str, more: Value) -> Answer {
        let mut body = json!({
            "file_name": "guests.csv", "table": self.table(table), "subject": "{{姓名}}的邀请",
        });
        for (name, value) in more.as_object().expect("an object") {
            body[name] = value.clone();
        }
        self.post("mailings", Some(body)).await
    }

    fn runner(&self) -> Runner {
        let ports = Ports {
            directory: self.office.administration.directory().clone(),
            objects: Arc::clone(&self.office.objects),
            queue: Arc::clone(&self.office.queue),
            clock: Arc::clone(&self.office.clock) as _,
            ids: Arc::new(RandomIds),
        };
        let control = &self.office.control;
        let releaser = Releaser::new(HeldLetters::new(Arc::clone(control)), ports, "mx.post.example");
        let mailings = Mailings::new(Arc::clone(control), Arc::clone(&self.office.objects));
        Runner::new(mailings, Outbox::new(Arc::clone(control)), releaser, false)
    }

    /// What was handed in since the last time, with its bytes.
    async fn handed_in(&self) -> Vec<(Accepted, String)> {
        let mut all = Vec::new();
        loop {
            let (queue, hidden) = (&self.office.queue, Duration::from_secs(600));
            let received = queue.receive(Stage::InboundParse, 10, hidden, Duration::ZERO).await;
            let received = received.expect("received");
            if received.is_empty() {
                return all;
            }
            for message in received {
                queue.ack(Stage::InboundParse, &[message.receipt]).await.expect("done");
                let Ok(Event::Accepted(accepted)) = codec::decode(&message.body) else { continue };
                let Body::Inline(stored) = &accepted.body else { panic!("small ones") };
                let raw = compress::decompress(stored).expect("whole");
                all.push((*accepted, String::from_utf8_lossy(&raw).into_owned()));
            }
        }
    }
}

/// Feature PMG-04: headings, addresses and lines are looked at; each bad line is told with its number, in English and Chinese, and nothing goes
/// Feature PMG-06: 1,000 recipients at most
#[tokio::test(flavor = "multi_thread")]
async fn a_table_that_breaks_the_rules_is_refused_line_by_line() {
    let it = Bench::open().await;
    let bad = it.add("姓名,邮箱地址\n甲,member@\n乙,\n丙,a b@\n丁,nobody\n", json!({})).await;
    let problem = bad.assert_problem(422, "invalid");
    let errors = problem["errors"].as_array().expect("a list");
    let said: Vec<&str> = errors.iter().map(|one| one["detail"].as_str().expect("said")).collect();
    assert_eq!(said.len(), 3, "{said:?}");
    for (line, said) in ["line 3", "line 4", "line 5"].iter().zip(&said) {
        assert!(said.starts_with(line), "{said}");
    }
    let path = format!("{}/mailings", it.account);
    let body = json!({ "file_name": "a.csv", "table": it.table("姓名,邮箱地址\n乙,\n"), "subject": "x" });
    let chinese = [("accept-language", "zh-CN")];
    let refused = it.office.ask_with(&it.session, "POST", &path, &chinese, Some(&body)).await;
    assert!(refused.text.contains("第 2 行：缺少邮箱地址"), "{}", refused.text);
    let many = format!("email\n{}", "member@\n".repeat(1_001));
    for (table, more, part) in [
        ("姓名\n甲\n", json!({}), "邮箱地址"),
        ("姓.名,邮箱地址\n甲,member@\n", json!({}), "heading"),
        ("姓名,邮箱地址\n甲,member@\n", json!({ "subject": " " }), "subject"),
        ("姓名,邮箱地址\n甲,member@\n", json!({ "html": "{{工资}}" }), "工资"),
        ("姓名,邮箱地址\n甲,member@\n", json!({ "text": "{{姓名" }), "does not end"),
        ("姓名,邮箱地址\n甲,x@elsewhere\n", json!({}), "outside"),
        (&*many, json!({ "subject": "x" }), "1000"),
    ] {
        let answer = it.add(table, more).await;
        answer.assert_problem(422, "invalid");
        assert!(answer.text.contains(part), "{part}: {}", answer.text);
    }
    it.add("邮箱地址\nmember@\n", json!({ "subject": "x", "table": "%" }))
        .await
        .assert_problem(400, "bad-body");
    let listed = it.read("mailings").await;
    assert_eq!(listed["items"].as_array().expect("a list").len(), 1, "the one that was there: {listed}");
    assert_eq!(it.handed_in().await.len(), 0);
}

/// Feature PMG-01 (part): over the API and by commands; no page yet
/// Feature PMG-02 (part): each gets the headings and his row, as HTML and as text; no page yet
/// Feature PMG-05 (part): each letter is shown as it will be, one is tried, then all are let go; no page yet
/// Feature PMG-08 (part): each recipient with what became of his letter; Sent holds the first recipient's; no page yet
#[tokio::test(flavor = "multi_thread")]
async fn a_mailing_is_looked_at_tried_and_let_go() {
    let it = Bench::open().await;
    let added = it
        .add(
            "姓名,邮箱地址,工资\n\"甲\r\nBcc: evil\",member@,=1+1\n乙<b>,chief@,2\n丙,nobody@,3\n",
            json!({}),
        )
        .await;
    assert_eq!(added.status.as_u16(), 201, "{}", added.text);
    let mailing = added.json();
    assert_eq!((&mailing["state"], &mailing["recipients"]), (&json!("draft"), &json!(3)));
    let id = mailing["id"].as_str().expect("an id").to_owned();
    assert!(added.header("location").ends_with(&id));
    let preview = it.read(&format!("mailings/{id}/preview?row=2")).await;
    assert_eq!(
        (&preview["to"], &preview["subject"]),
        (&json!(format!("chief@{}", it.home.domain)), &json!("乙<b>的邀请"))
    );
    assert!(preview["html"].as_str().expect("HTML").contains("<td>乙&lt;b&gt;</td>"), "{preview}");
    assert!(preview["text"].as_str().expect("text").contains("工资: 2"), "{preview}");
    let wrong = format!("{}/mailings/{id}/preview?row=4", it.account);
    it.office.ask(&it.session, "GET", &wrong, None).await.assert_problem(422, "invalid");
    // Tried, for the member alone.
    let tried = it.post(&format!("mailings/{id}/trials"), Some(json!({ "row": 1 }))).await;
    assert_eq!(tried.status.as_u16(), 200, "{}", tried.text);
    let handed = it.handed_in().await;
    let [(trial, raw)] = &handed[..] else { panic!("one letter: {handed:?}") };
    assert_eq!((trial.recipients.len(), trial.recipients[0].account), (1, it.home.member));
    // What stands in a cell adds nothing to the header.
    let header = raw.split("\r\n\r\n").next().expect("a header");
    assert!(!header.to_ascii_lowercase().contains("\r\nbcc:"), "{header}");

    let going = it.post(&format!("mailings/{id}/sent"), None).await;
    assert_eq!((going.status.as_u16(), &going.json()["state"]), (202, &json!("going")), "{}", going.text);
    it.post(&format!("mailings/{id}/sent"), None).await.assert_problem(409, "other-state");
    it.runner().work(None).await.expect("worked");
    let handed = it.handed_in().await;
    let vias: Vec<(Via, bool)> =
        handed.iter().map(|(one, _)| (one.recipients[0].via, one.reverse_path.is_empty())).collect();
    // Two letters, the copy in Sent, and a report of the third.
    assert_eq!(
        vias,
        [(Via::Direct, false), (Via::Direct, false), (Via::Sent, false), (Via::Direct, true)],
        "{handed:?}"
    );
    let done = it.read(&format!("mailings/{id}")).await;
    assert_eq!(
        (&done["state"], &done["sent"], &done["refused"], &done["stopped"]),
        (&json!("done"), &json!(2), &json!(1), &json!(0))
    );
    let letters = it.read(&format!("mailings/{id}/letters?limit=2")).await;
    let next = letters["next"].as_str().expect("more").to_owned();
    assert_eq!(letters["items"][0]["state"], "handed-in");
    assert_eq!(letters["items"][1]["line"], 4);
    let letters = it.read(&format!("mailings/{id}/letters?after={next}")).await;
    assert_eq!(
        (&letters["items"][0]["state"], &letters["items"][0]["why"], &letters["next"]),
        (&json!("refused"), &json!("unknown-address"), &Value::Null)
    );
    it.post(&format!("mailings/{id}/stopped"), None).await.assert_problem(409, "other-state");
    // Nobody else of the organisation sees it, nor what it says.
    let colleague = it.office.session(it.home.leavers[0]).await;
    for path in ["", "/letters", "/preview"] {
        let path = format!("{}/mailings/{id}{path}", it.account);
        it.office.ask(&colleague, "GET", &path, None).await.assert_problem(403, "no-permission");
    }
}

/// Feature PMG-03 (part): the columns are variables of a text, as HTML and as text; no page yet
/// Feature PMG-07 (part): bodies are kept, listed, used and removed; no page yet
#[tokio::test(flavor = "multi_thread")]
async fn bodies_are_kept_and_used() {
    let it = Bench::open().await;
    let kept = it
        .post(
            "mail-templates",
            Some(json!({ "name": "邀请", "subject": "Dear {{姓名}}", "html": "<p>{{姓名}}</p>", "text": "{{姓名}}!" })),
        )
        .await;
    assert_eq!(kept.status.as_u16(), 201, "{}", kept.text);
    let id = kept.json()["id"].as_str().expect("an id").to_owned();
    let listed = it.read("mail-templates").await;
    assert!(listed["items"].as_array().expect("a list").iter().any(|one| one["id"] == id.as_str()));
    let file = json!([{ "name": "图.pdf", "media_type": "application/pdf", "content": "AQID" }]);
    let body = json!({
        "file_name": "guests.csv", "table": it.table("姓名,地址\nA&B,member@\n"), "template": id, "attachments": file,
    });
    let added = it.post("mailings", Some(body)).await;
    assert_eq!(added.status.as_u16(), 201, "{}", added.text);
    let mailing = added.json()["id"].as_str().expect("an id").to_owned();
    let preview = it.read(&format!("mailings/{mailing}/preview")).await;
    assert_eq!(
        (&preview["subject"], &preview["html"], &preview["text"]),
        (&json!("Dear A&B"), &json!("<p>A&amp;B</p>"), &json!("A&B!"))
    );
    let raw = BASE64_STANDARD.decode(preview["message"].as_str().expect("text")).expect("base64");
    assert!(String::from_utf8_lossy(&raw).contains("application/pdf"));
    // Stopped before it goes: nothing goes.
    let stopped = it.post(&format!("mailings/{mailing}/stopped"), None).await;
    assert_eq!((&stopped.json()["state"], &stopped.json()["stopped"]), (&json!("stopped"), &json!(1)));
    it.runner().work(None).await.expect("worked");
    assert_eq!(it.handed_in().await.len(), 0);
    let letters = it.read(&format!("mailings/{mailing}/letters")).await;
    assert_eq!(letters["items"][0]["state"], "stopped");
    let path = format!("{}/mail-templates/{id}", it.account);
    assert_eq!(it.office.ask(&it.session, "DELETE", &path, None).await.status.as_u16(), 204);
    it.office.ask(&it.session, "DELETE", &path, None).await.assert_problem(404, "not-found");
    let gone = json!({ "file_name": "a.csv", "table": it.table("email\nmember@\n"), "template": id });
    it.post("mailings", Some(gone)).await.assert_problem(422, "unknown-reference");
    let body = json!({ "name": "", "subject": "x", "text": "y" });
    it.post("mail-templates", Some(body)).await.assert_problem(422, "invalid");
}
