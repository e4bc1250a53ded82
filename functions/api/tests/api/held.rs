//! Letters of a member that go later, and what became of those that went.

use std::sync::Arc;

use pennypost_held::{Ports, Releaser, State};
use pennypost_model::event::Verdict;
use pennypost_model::trace::{
    Attempt, CameBack, Outcome, RemoteAnswer, RemoteOutcome, RemoteRecipient, Submitter, TraceRecipient,
    TraceRecord, TraceStep,
};
use pennypost_model::{Rid, Seq, Uid, codec};
use pennypost_ports::{Ids, LogKind, LogRecord, RandomIds};
use serde_json::{Value, json};

use crate::support::{Office, Tenant};

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
        Bench { office, home, session, account }
    }

    async fn hold(&self) -> String {
        self.office.hold(self.home.member, &self.home.domain, State::Waiting).await
    }

    async fn read(&self, path: &str) -> Value {
        let answer = self.office.ask(&self.session, "GET", &format!("{}/{path}", self.account), None).await;
        assert_eq!(answer.status.as_u16(), 200, "{}", answer.text);
        answer.json()
    }
}

/// Feature SND-08 (part): letters that go later are listed, put off, sent now and taken back over the API, in any time zone; no page yet
#[tokio::test(flavor = "multi_thread")]
async fn letters_that_go_later_are_in_their_writers_hands() {
    let it = Bench::open().await;
    let (first, second) = (it.hold().await, it.hold().await);
    let listed = it.read("held-letters").await;
    let of = |id: &str| {
        let items = listed["items"].as_array().expect("a list");
        items.iter().find(|one| one["id"] == id).expect("listed").clone()
    };
    let waiting = of(&first);
    assert_eq!((&waiting["state"], &waiting["subject"]), (&json!("scheduled"), &json!("later")));
    assert_eq!(waiting["recipients"], json!([format!("bob@{}", it.home.domain)]));
    assert_eq!(of(&it.home.held)["state"], "sent");

    // Put off, as clocks show it somewhere.
    let path = format!("{}/held-letters/{first}", it.account);
    let tomorrow = it.office.administration.directory().now().plus_millis(24 * 3_600_000).rfc3339();
    let body = json!({ "time": tomorrow[..16], "zone": "Asia/Tokyo" });
    let put_off = it.office.ask(&it.session, "PUT", &format!("{path}/time"), Some(&body)).await.json();
    let local = put_off["local_time"].as_str().expect("a time");
    assert_eq!(
        (local.replace(' ', "T"), &put_off["zone"]),
        (format!("{}:00", &tomorrow[..16]), &json!("Asia/Tokyo"))
    );
    for (wrong, zone) in [
        ("2020-01-01T08:00", None),
        ("2099-01-01T08:00", None),
        ("soon", None),
        (&*tomorrow, Some("Asia/Nowhere")),
    ] {
        let body = json!({ "time": wrong, "zone": zone });
        let refused = it.office.ask(&it.session, "PUT", &format!("{path}/time"), Some(&body)).await;
        refused.assert_problem(422, "invalid");
    }

    // Taken back, once; whoever comes later is told.
    let back = it.office.ask(&it.session, "POST", &format!("{path}/taken-back"), None).await;
    assert_eq!((back.status.as_u16(), &back.json()["state"]), (200, &json!("taken-back")), "{}", back.text);
    for deed in ["taken-back", "sent"] {
        let again = it.office.ask(&it.session, "POST", &format!("{path}/{deed}"), None).await;
        again.assert_problem(409, "other-state");
    }
    let now =
        it.office.ask(&it.session, "POST", &format!("{}/held-letters/{second}/sent", it.account), None).await;
    assert_eq!((now.status.as_u16(), &now.json()["state"]), (200, &json!("scheduled")), "{}", now.text);
    let missing = format!("{}/held-letters/{}", it.account, it.home.letter);
    it.office.ask(&it.session, "GET", &missing, None).await.assert_problem(404, "not-found");
    // Nobody else of the organisation sees them, nor does another one.
    let other = it.office.tenant("other").await;
    let stranger = it.office.session(other.member).await;
    it.office.ask(&stranger, "GET", &path, None).await.assert_problem(404, "not-found");
    let colleague = it.office.session(it.home.leavers[0]).await;
    it.office.ask(&colleague, "GET", &path, None).await.assert_problem(403, "no-permission");
}

/// Feature SND-08 (part): a member says over the API for how long his letters wait, so that he can take them back
#[tokio::test(flavor = "multi_thread")]
async fn a_member_says_for_how_long_he_can_think_better_of_it() {
    let it = Bench::open().await;
    let path = format!("{}/undo-window", it.account);
    let read = it.office.ask(&it.session, "GET", &path, None).await;
    assert_eq!(read.json(), json!({ "seconds": null }));
    let say = async |seen: &str, seconds: Value| {
        let body = json!({ "seconds": seconds });
        it.office.ask_with(&it.session, "PUT", &path, &[("if-match", seen)], Some(&body)).await
    };
    let said = say(read.header("etag"), json!(20)).await;
    assert_eq!((said.status.as_u16(), said.json()), (200, json!({ "seconds": 20 })), "{}", said.text);
    say(read.header("etag"), json!(30)).await.assert_problem(412, "changed");
    for wrong in [0, 4, 121] {
        say(said.header("etag"), json!(wrong)).await.assert_problem(422, "invalid");
    }
    let off = say(said.header("etag"), json!(null)).await;
    assert_eq!(off.json(), json!({ "seconds": null }));
}

/// Feature DLV-01 (part): a member sees what became of the letters that he has sent, over the API; no page yet
/// Feature DLV-02 (part): each state by its name, inside and outside the organisation, "unknown operation" among them; members have no page for it yet
/// Feature DLV-04 (part): of 30 days, those that go later among them; no page yet
/// Feature DLV-05 (part): letters that one has sent, and letters that came in with where they were put; sign-ins and reported letters stand in records of their own; what was deleted not yet
/// Feature DLV-03: all that members send is tracked, so that nobody has to switch it on
/// Feature DLV-08: of 90 days, all that was sent, which is all tracked
#[tokio::test(flavor = "multi_thread")]
async fn members_see_what_became_of_what_they_sent() {
    let it = Bench::open().await;
    let waiting = it.hold().await;
    let (member, domain) = (it.home.member, it.home.domain.clone());
    let now = it.office.administration.directory().now();
    let id = RandomIds.event(now);
    let recipient = |address: &str, outcome| TraceRecipient {
        address: address.to_owned(),
        account: member,
        reasons: Vec::new(),
        outcome,
    };
    let stored = Outcome::Stored { seq: Seq(1), uid: Uid(1), rid: Rid(1), mailbox: "inbox".to_owned() };
    let delivered = TraceStep::Delivered {
        accepted: now,
        peer: String::new(),
        reverse_path: format!("member@{domain}"),
        subject: "hello".to_owned(),
        message_id: "1@x".to_owned(),
        size: 7,
        auth: [Verdict::None; 3],
        recipients: vec![
            recipient(&format!("bob@{domain}"), stored),
            recipient("slow@far.example", Outcome::Outside),
            recipient("new@far.example", Outcome::Outside),
            recipient("gone@near.example", Outcome::Outside),
        ],
    };
    let (status, text) = ("4.2.0".to_owned(), "later".to_owned());
    let attempted = TraceStep::Attempted(Attempt {
        destination: "far.example".to_owned(),
        number: 1,
        host: "mx.far.example".to_owned(),
        tls: None,
        recipients: vec![RemoteRecipient {
            address: "slow@far.example".to_owned(),
            outcome: RemoteOutcome::Deferred,
            answer: RemoteAnswer { code: Some(450), status, text },
        }],
        next: Some(now.plus_millis(3_600_000)),
        reported: None,
    });
    let taken = TraceStep::Attempted(Attempt {
        destination: "near.example".to_owned(),
        number: 1,
        host: "mx.near.example".to_owned(),
        tls: None,
        recipients: vec![RemoteRecipient {
            address: "gone@near.example".to_owned(),
            outcome: RemoteOutcome::Sent,
            answer: RemoteAnswer { code: Some(250), status: "2.0.0".to_owned(), text: "taken".to_owned() },
        }],
        next: None,
        reported: None,
    });
    let back = TraceStep::CameBack(CameBack {
        address: "gone@near.example".to_owned(),
        answer: RemoteAnswer {
            code: None,
            status: "5.1.1".to_owned(),
            text: "nobody is called so".to_owned(),
        },
        reporter: "inner.near.example".to_owned(),
        report: id.report(),
    });
    let submitter =
        Submitter { account: member, address: format!("member@{domain}"), protocol: "ESMTPSA".to_owned() };
    let records: Vec<LogRecord> = [delivered, attempted, taken, back]
        .into_iter()
        .map(|step| {
            let record = TraceRecord {
                submitter: Some(submitter.clone()),
                ..TraceRecord::new(it.home.id, id, now, step)
            };
            let value = codec::encode(&record);
            LogRecord { tenant: it.home.id, kind: LogKind::Trace, id, time: now, value }
        })
        .collect();
    it.office.log.append(&records).await.expect("traced");
    let listed = it.read("sent-letters").await;
    let items = listed["items"].as_array().expect("a list");
    assert_eq!(items.len(), 2, "what one gets is not among them: {listed}");
    assert_eq!((&items[0]["id"], &items[0]["state"]), (&json!(waiting), &json!("scheduled")));
    assert_eq!((&items[1]["id"], &items[1]["state"]), (&json!(id.to_string()), &json!("refused")));
    let states: Vec<&Value> =
        items[1]["recipients"].as_array().expect("some").iter().map(|one| &one["state"]).collect();
    assert_eq!(states, ["delivered", "redelivering", "processing", "refused"]);
    assert_eq!(items[1]["recipients"][1]["cause"], "450 4.2.0 later");
    let back = &items[1]["recipients"][3];
    assert_eq!(
        (&back["cause"], &back["reported_by"]),
        (&json!("5.1.1 nobody is called so"), &json!("inner.near.example"))
    );
    assert_eq!(items[1]["recipients"][1]["reported_by"], json!(null));
    let came = it.read("received-letters").await;
    let items = came["items"].as_array().expect("a list");
    let subjects: Vec<&Value> = items.iter().map(|item| &item["subject"]).collect();
    assert_eq!(subjects, ["hello", "Invoice 4711"], "what goes elsewhere has not come in: {came}");
    assert_eq!((&items[0]["id"], &items[0]["state"]), (&json!(id.to_string()), &json!("delivered")));
    assert_eq!(items[0]["folder"], "inbox");
    for path in ["sent-letters", "received-letters"] {
        let wrong = format!("{}/{path}?days=91", it.account);
        it.office.ask(&it.session, "GET", &wrong, None).await.assert_problem(400, "bad-parameter");
    }
    // A letter of which nothing was heard for longer than anything waits.
    let before = now.plus_millis(-8 * 24 * 3_600_000);
    let lost = RandomIds.event(before);
    let step = TraceStep::Delivered {
        accepted: before,
        peer: String::new(),
        reverse_path: format!("member@{domain}"),
        subject: "lost".to_owned(),
        message_id: "2@x".to_owned(),
        size: 7,
        auth: [Verdict::None; 3],
        recipients: vec![recipient("lost@far.example", Outcome::Outside)],
    };
    let record =
        TraceRecord { submitter: Some(submitter), ..TraceRecord::new(it.home.id, lost, before, step) };
    let value = codec::encode(&record);
    let record = LogRecord { tenant: it.home.id, kind: LogKind::Trace, id: lost, time: before, value };
    it.office.log.append(&[record]).await.expect("traced");
    let listed = it.read("sent-letters").await;
    assert_eq!(
        (&listed["items"][2]["subject"], &listed["items"][2]["state"]),
        (&json!("lost"), &json!("unknown"))
    );

    // When its time has come it goes, and is told of as any other.
    let directory = it.office.administration.directory();
    it.office.ask(&it.session, "POST", &format!("{}/held-letters/{waiting}/sent", it.account), None).await;
    let held = pennypost_held::HeldLetters::new(directory.control());
    let ports = Ports {
        directory: directory.clone(),
        objects: Arc::clone(&it.office.objects),
        queue: Arc::clone(&it.office.queue),
        clock: Arc::clone(&it.office.clock) as _,
        ids: Arc::new(RandomIds),
    };
    Releaser::new(held, ports, "mx.example").look(None).await.expect("looked");
    let shown = it.read(&format!("held-letters/{waiting}")).await;
    // Its bytes were never there.
    assert_eq!((&shown["state"], &shown["why"]), (&json!("unsent"), &json!("lost")));
}
