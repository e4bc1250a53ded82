use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use pennypost_backend_embedded::{Embedded, Options};
use pennypost_directory::{AccountState, Plan, TenantState};
use pennypost_model::Timestamp;
use pennypost_model::event::{Accepted, Body, SourceKind};
use pennypost_ports::{Created, RandomIds, Receipt, SystemClock};
use serde_json::{Value, json};

use super::*;

const RAW: &[u8] = b"Received: from mx.hill.example (mx.hill.example [192.0.2.25])\r\n by \
    inbound-smtp.eu-west-1.amazonaws.com with SMTP id one\r\n for ann@acme.example;\r\n Thu, 19 Nov 2026 08:15:30 +0000 \
    (UTC)\r\nFrom: Rowland <rowland@hill.example>\r\nSubject: penny\r\n\r\na letter\r\n";

struct Bench {
    _dir: tempfile::TempDir,
    backend: Embedded,
    directory: Directory,
    acme: TenantId,
    other: TenantId,
    receive: Receive,
}

async fn bench() -> Bench {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let backend = Embedded::open(dir.path(), &Options::server()).expect("opens");
    let (clock, ids): (Arc<dyn Clock>, Arc<dyn Ids>) = (Arc::new(SystemClock), Arc::new(RandomIds));
    let directory = Directory::new(backend.control(), Arc::clone(&clock), Arc::clone(&ids));
    let mut tenants = Vec::new();
    for (tenant, domain, people) in
        [("acme", "acme.example", ["ann", "ben"]), ("other", "other.example", ["eve", "joe"])]
    {
        let id = directory.add_tenant(tenant).await.expect("tenant").id;
        directory.add_domain(id, domain).await.expect("domain");
        for name in people {
            let address = format!("{name}@{domain}");
            directory.add_account(&address, "a long password", "", None).await.expect("account");
        }
        tenants.push(id);
    }
    let ports = Ports {
        raw: backend.objects(),
        objects: backend.objects(),
        queue: backend.queue(),
        log: backend.log(),
        directory: directory.clone(),
        clock,
        ids,
    };
    let settings = Settings { bucket: Some("raw".to_owned()), hostname: "mx.acme.example".to_owned() };
    let receive = Receive::new(ports, settings);
    Bench { _dir: dir, backend, directory, acme: tenants[0], other: tenants[1], receive }
}

fn notification(id: &str, to: &[&str]) -> Value {
    json!({
        "notificationType": "Received",
        "mail": { "messageId": id, "timestamp": "2026-11-19T08:15:30.000Z", "source": "rowland@hill.example" },
        "receipt": {
            "recipients": to,
            "spamVerdict": { "status": "PASS" },
            "virusVerdict": { "status": "PASS" },
            "spfVerdict": { "status": "PASS" },
            "dkimVerdict": { "status": "GRAY" },
            "dmarcVerdict": { "status": "PASS" },
            "action": {
                "type": "S3",
                "topicArn": "arn:aws:sns:eu-west-1:123456789012:pennypost-received",
                "bucketName": "raw",
                "objectKey": format!("inbound/{id}"),
            },
        },
    })
}

fn event(document: &Value) -> Event {
    Event::read(Stage::Receive, document.to_string().as_bytes()).expect("a document")
}

impl Bench {
    async fn put(&self, id: &str, raw: &'static [u8]) {
        let put = self.backend.objects().put_unique(&format!("inbound/{id}"), Bytes::from_static(raw)).await;
        assert_eq!(put, Ok(Created::Stored));
    }

    async fn is_there(&self, id: &str) -> bool {
        self.backend.objects().get(&format!("inbound/{id}")).await.is_ok()
    }

    async fn handle(&self, documents: &[Value]) -> Vec<Outcome> {
        self.receive.handle(documents.iter().map(event).collect()).await
    }

    async fn one(&self, document: &Value) -> Outcome {
        self.handle(std::slice::from_ref(document)).await.remove(0)
    }

    /// What lies in the queue, taken out of it; in order of tenants.
    async fn sent(&self) -> Vec<Accepted> {
        let queue = self.backend.queue();
        let minute = Duration::from_secs(60);
        let received = queue.receive(Stage::InboundParse, 100, minute, Duration::ZERO).await.expect("queue");
        let receipts: Vec<Receipt> = received.iter().map(|message| message.receipt.clone()).collect();
        queue.ack(Stage::InboundParse, &receipts).await.expect("acknowledged");
        let accepted = |body: &[u8]| match codec::decode(body) {
            Ok(Event::Accepted(accepted)) => *accepted,
            other => panic!("{other:?}"),
        };
        let mut sent: Vec<Accepted> = received.iter().map(|message| accepted(&message.body)).collect();
        sent.sort_by_key(|accepted| accepted.recipients.first().map(|first| first.address.clone()));
        sent
    }

    async fn steps(&self, tenant: TenantId) -> Vec<TraceStep> {
        let (from, to) = (EventId::from_bytes([0; 16]), EventId::from_bytes([255; 16]));
        let query = LogQuery { tenant, kind: LogKind::Trace, from, to, limit: 100 };
        let records = self.backend.log().query(&query).await.expect("log");
        let step = |record: &LogRecord| codec::decode::<TraceRecord>(&record.value).expect("record").step;
        records.iter().map(step).collect()
    }
}

fn addresses(accepted: &Accepted) -> Vec<&str> {
    accepted.recipients.iter().map(|recipient| recipient.address.as_str()).collect()
}

fn cause(outcome: &Outcome) -> (&str, bool) {
    let failure = outcome.as_ref().expect_err("fails");
    (&failure.cause, failure.temporary)
}

#[tokio::test]
async fn a_letter_is_accepted_for_each_tenant_and_removed() {
    let it = bench().await;
    it.put("one", RAW).await;
    let to = ["ann@acme.example", "ben+tag@acme.example", "Ann@Acme.Example", "eve@other.example"];
    assert_eq!(it.one(&notification("one", &to)).await, Ok(Vec::new()));
    assert!(!it.is_there("one").await);
    let sent = it.sent().await;
    assert_eq!(sent.len(), 2);
    assert_eq!((sent[0].tenant, sent[1].tenant), (it.acme, it.other));
    assert_eq!(sent[0].recipients.len(), 2, "each account once");
    assert_eq!(addresses(&sent[1]), ["eve@other.example"]);
    assert_ne!(sent[0].id, sent[1].id);
    let accepted = &sent[1];
    assert!(accepted.names_only_its_tenant());
    assert_eq!(accepted.time.rfc3339(), "2026-11-19T08:15:30.000Z");
    assert_eq!(accepted.id.time(), accepted.time);
    assert_eq!(accepted.reverse_path, "rowland@hill.example");
    assert_eq!(accepted.source.kind, SourceKind::Service { spam: Verdict::Pass });
    assert_eq!(accepted.source.ip, "192.0.2.25".parse().ok());
    assert_eq!(accepted.source.helo, "mx.hill.example");
    let auth = &accepted.auth;
    assert_eq!((auth.spf, auth.dkim, auth.dmarc), (Verdict::Pass, Verdict::None, Verdict::Pass));
    let Body::Inline(stored) = &accepted.body else { panic!("it is small") };
    assert_eq!(pennypost_mailstore::compress::decompress(stored).expect("whole"), RAW);
    for part in [
        "Received: from inbound-smtp.eu-west-1.amazonaws.com (Amazon SES one)\r\n\tby mx.acme.example id ",
        "\r\n\tfor <eve@other.example>;\r\n\t",
        " +0000\r\nAuthentication-Results: mx.acme.example;\r\n\tspf=pass (found by Amazon SES) \
         smtp.mailfrom=\"rowland@hill.example\";\r\n\tdkim=none (found by Amazon SES);\r\n\tdmarc=pass (found by \
         Amazon SES)\r\n",
    ] {
        assert!(accepted.receipt.contains(part), "{}", accepted.receipt);
    }
    assert!(!sent[0].receipt.contains("for <"), "nobody sees the others");
    let step =
        TraceStep::Received { by: "ses".to_owned(), id: "one".to_owned(), unreached: vec![], held: None };
    assert_eq!((it.steps(it.acme).await, it.steps(it.other).await), (vec![step.clone()], vec![step]));
}

#[tokio::test]
async fn a_notification_that_comes_again_gives_the_same_id_or_nothing() {
    let it = bench().await;
    it.put("one", RAW).await;
    let said = notification("one", &["ann@acme.example"]);
    // Twice in one batch, while the letter is there.
    assert_eq!(it.handle(&[said.clone(), said.clone()]).await, [Ok(Vec::new()), Ok(Vec::new())]);
    let sent = it.sent().await;
    assert_eq!((sent.len(), sent[0].id), (2, sent[1].id));
    // Again, when it is not.
    assert_eq!(it.one(&said).await, Ok(Vec::new()));
    assert!(it.sent().await.is_empty());
    // Of another message nobody knows anything.
    let outcome = it.one(&notification("two", &["ann@acme.example"])).await;
    assert!(cause(&outcome).0.contains("not in the bucket") && !cause(&outcome).1);
}

#[tokio::test]
async fn nobody_is_bounced_and_the_trace_tells_who_was_not_reached() {
    let it = bench().await;
    it.put("one", RAW).await;
    let to = ["ann@acme.example", "nobody@acme.example", "nobody@other.example", "who@elsewhere.example"];
    assert_eq!(it.one(&notification("one", &to)).await, Ok(Vec::new()));
    let sent = it.sent().await;
    assert_eq!((sent.len(), addresses(&sent[0])), (1, vec!["ann@acme.example"]));
    for (tenant, address) in [(it.acme, "nobody@acme.example"), (it.other, "nobody@other.example")] {
        let steps = it.steps(tenant).await;
        let [TraceStep::Received { unreached, held: None, .. }] = &*steps else { panic!("{steps:?}") };
        assert_eq!(*unreached, [(address.to_owned(), "nobody has this address".to_owned())]);
    }
    // For nobody at all.
    it.put("two", RAW).await;
    let eve = it.directory.account_at("eve@other.example").await.expect("directory").expect("account");
    it.directory.set_account_state(eve.key, AccountState::Disabled).await.expect("disabled");
    let to = ["eve@other.example", "nobody@other.example"];
    assert_eq!(it.one(&notification("two", &to)).await, Ok(Vec::new()));
    assert!(it.sent().await.is_empty() && !it.is_there("two").await);
    assert_eq!(it.steps(it.other).await.len(), 2);
}

#[tokio::test]
async fn a_domain_that_is_missing_here_loses_nothing() {
    let it = bench().await;
    it.put("one", RAW).await;
    let outcome = it.one(&notification("one", &["who@elsewhere.example"])).await;
    assert!(cause(&outcome).0.contains("the domain of none") && !cause(&outcome).1);
    assert!(it.is_there("one").await);
}

#[tokio::test]
async fn a_suspended_organisation_waits_and_the_others_do_not() {
    let it = bench().await;
    it.put("one", RAW).await;
    it.directory.set_tenant_state(it.other, TenantState::Suspended).await.expect("suspended");
    let said = notification("one", &["ann@acme.example", "eve@other.example"]);
    let outcome = it.one(&said).await;
    assert!(cause(&outcome).1, "it comes again");
    assert!(it.is_there("one").await);
    let first = it.sent().await;
    assert_eq!((first.len(), first[0].tenant), (1, it.acme));
    it.directory.set_tenant_state(it.other, TenantState::Active).await.expect("active");
    assert_eq!(it.one(&said).await, Ok(Vec::new()));
    let second = it.sent().await;
    assert_eq!((second.len(), second[0].id), (2, first[0].id), "deliver knows it by its id");
    assert!(!it.is_there("one").await);
}

/// SES has said 250: nobody could be told to come again, and what waits for good becomes a dead letter.
#[tokio::test]
async fn mail_after_the_end_of_a_term_is_kept() {
    let it = bench().await;
    it.put("one", RAW).await;
    let over = Plan { ends: Some(Timestamp(1)), ..Plan::pro() };
    assert_eq!(it.directory.set_plan(it.acme, None, &over).await, Ok(true));
    let said = notification("one", &["ann@acme.example"]);
    assert_eq!(it.one(&said).await, Ok(Vec::new()));
    assert_eq!(it.sent().await.len(), 1);
    assert!(!it.is_there("one").await);
    // Whom the operator has suspended gets none, whatever his plan says.
    it.directory.set_tenant_state(it.acme, TenantState::Suspended).await.expect("suspended");
    it.put("two", RAW).await;
    assert!(cause(&it.one(&notification("two", &["ann@acme.example"])).await).1, "it comes again");
    assert!(it.sent().await.is_empty());
}

#[tokio::test]
async fn what_has_a_virus_or_is_in_a_loop_stays_where_it_lies() {
    let it = bench().await;
    it.put("one", RAW).await;
    let mut said = notification("one", &["ann@acme.example"]);
    said["receipt"]["virusVerdict"]["status"] = json!("FAIL");
    assert_eq!(it.one(&said).await, Ok(Vec::new()));
    let looping = [b"Received: x\r\n".repeat(HOPS + 1), RAW.to_vec()].concat();
    let put = it.backend.objects().put_unique("inbound/two", looping.into()).await;
    assert_eq!(put, Ok(Created::Stored));
    assert_eq!(it.one(&notification("two", &["ann@acme.example"])).await, Ok(Vec::new()));
    assert!(it.sent().await.is_empty() && it.is_there("one").await && it.is_there("two").await);
    let steps = it.steps(it.acme).await;
    let why = |step: &TraceStep| match step {
        TraceStep::Received { held: Some(why), .. } => why.clone(),
        other => panic!("{other:?}"),
    };
    let mut whys: Vec<String> = steps.iter().map(why).collect();
    whys.sort();
    assert_eq!(whys, ["there is a virus in it", "too many hops: it is in a loop"]);
}

#[tokio::test]
async fn a_large_letter_is_spooled() {
    let it = bench().await;
    let mut state = 1_u64;
    let noise = (0..400_000).map(|_| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        b'!' + (state >> 57) as u8 % 90
    });
    let raw: Vec<u8> = RAW.iter().copied().chain(noise).collect();
    let put = it.backend.objects().put_unique("inbound/one", raw.clone().into()).await;
    assert_eq!(put, Ok(Created::Stored));
    assert_eq!(it.one(&notification("one", &["ann@acme.example"])).await, Ok(Vec::new()));
    let sent = it.sent().await;
    let Body::Spooled { object, size } = &sent[0].body else { panic!("it is large") };
    assert_eq!((*size, sent[0].names_only_its_tenant()), (raw.len() as u64, true));
    assert!(it.backend.objects().get(object).await.is_ok());
}

#[tokio::test]
async fn bad_notifications_fail_alone_and_reach_no_other_objects() {
    let it = bench().await;
    it.put("one", RAW).await;
    it.put("empty", b"").await;
    let private = format!("{}/pk/secret", it.acme);
    let put = it.backend.objects().put_unique(&private, Bytes::from_static(RAW)).await;
    assert_eq!(put, Ok(Created::Stored));
    let mut elsewhere = notification("one", &["ann@acme.example"]);
    elsewhere["receipt"]["action"]["bucketName"] = json!("another");
    let mut stealing = notification("one", &["ann@acme.example"]);
    stealing["receipt"]["action"]["objectKey"] = json!(private);
    let mut climbing = notification("one", &["ann@acme.example"]);
    climbing["receipt"]["action"]["objectKey"] = json!(format!("inbound/../{private}"));
    let batch = [
        json!({ "hello": "world" }),
        json!({ "Records": [{ "eventSource": "aws:s3" }] }),
        elsewhere,
        stealing,
        climbing,
        notification("empty", &["ann@acme.example"]),
        notification("missing", &["ann@acme.example"]),
        notification("one", &["ann@acme.example"]),
    ];
    let mut outcomes = it.handle(&batch).await;
    assert_eq!(outcomes.pop(), Some(Ok(Vec::new())));
    let wanted = [
        "notificationType",
        "does not say for whom",
        "another bucket",
        "does not begin",
        "objects",
        "empty",
        "not in",
    ];
    for (outcome, wanted) in outcomes.iter().zip(wanted) {
        let (cause, is_temporary) = cause(outcome);
        assert!(cause.contains(wanted) && !is_temporary, "{cause}");
    }
    assert_eq!(it.sent().await.len(), 1);
    assert!(it.backend.objects().get(&private).await.is_ok());
    let misrouted =
        it.receive.handle(vec![Event::House(pennypost_model::event::House::Audit(it.acme))]).await;
    assert!(cause(&misrouted[0]).0.contains("came to receive"));
}
