//! The sample events, made anew from nothing: what lies in `events` is this.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Arc;

use pennypost_backend_aws::queue::body as queue_body;
use pennypost_inbound_parse::InboundParse;
use pennypost_mailstore::compress::compress;
use pennypost_model::event::{
    Accepted, AuthResults, Body, Changed, Event, House, Recipient, Source, SourceKind, Stage, Verdict, Via,
};
use pennypost_model::{AccountKey, EventId, Seq, TenantId, codec};
use pennypost_policy_filter::PolicyFilter;
use pennypost_runtime::Handler;
use pennypost_runtime_lambda::{SqsEvent, SqsRecord};

use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::office::{ALICE, BOB, Fixed, Office};

/// Where the samples lie.
pub fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../events")
}

/// A file of the samples.
pub struct Sample {
    /// `inbound/letters.json`
    pub path: String,
    /// Its event.
    pub event: Value,
}

/// A message of a queue as the service hands it to a function.
fn record(stage: Stage, number: usize, tries: u32, text: String, tenant: TenantId) -> SqsRecord {
    let attributes = [
        ("ApproximateReceiveCount", tries.to_string()),
        ("SentTimestamp", Fixed::NOW.0.to_string()),
        ("ApproximateFirstReceiveTimestamp", Fixed::NOW.plus_millis(20).0.to_string()),
        ("SenderId", "AIDAEXAMPLE".to_owned()),
        ("MessageGroupId", tenant.to_string()),
    ];
    let name = stage.queue();
    SqsRecord {
        message_id: format!("00000000-0000-4000-8000-{number:012}"),
        receipt_handle: format!("sample-{name}-{number}"),
        body: text,
        attributes: HashMap::from(attributes.map(|(name, value)| (name.to_owned(), value))),
        event_source: "aws:sqs".to_owned(),
        event_source_arn: format!("arn:aws:sqs:eu-central-1:123456789012:pennypost-{name}"),
        aws_region: "eu-central-1".to_owned(),
    }
}

fn batch(stage: Stage, tries: u32, tenant: TenantId, texts: Vec<String>) -> SqsEvent {
    let record = |(number, text)| record(stage, number + 1, tries, text, tenant);
    SqsEvent { records: texts.into_iter().enumerate().map(record).collect() }
}

fn text(event: &Event) -> String {
    queue_body::encode(&codec::encode(event))
}

fn texts(events: &[Event]) -> Vec<String> {
    events.iter().map(text).collect()
}

const LETTERS: [(&str, &[&str], &str); 3] = [
    ("Penny post", &[ALICE], "Content-Type: text/plain; charset=utf-8\r\n\r\nA letter for a penny.\r\n"),
    (
        "Minutes of Monday",
        &[ALICE, BOB],
        "MIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=part\r\n\r\n--part\r\n\
         Content-Type: text/html; charset=utf-8\r\n\r\n<p>The minutes are <b>attached</b>.</p>\r\n--part\r\n\
         Content-Type: text/csv; name=minutes.csv\r\nContent-Disposition: attachment; filename=minutes.csv\r\n\r\n\
         topic,decision\r\nstamps,black\r\n--part--\r\n",
    ),
    (
        "=?utf-8?B?6YKu5bGA?=",
        &[BOB],
        "MIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\n\r\n你好,世界。\r\n",
    ),
];

/// A letter as its sender wrote it.
fn raw(number: usize) -> String {
    let (subject, to, rest) = LETTERS[number - 1];
    format!(
        "From: Rowland <rowland@hill.example>\r\nTo: {}\r\nSubject: {subject}\r\n\
         Date: Thu, 19 Nov 2026 08:15:0{number} +0000\r\nMessage-ID: <{number}@hill.example>\r\n{rest}",
        to.join(", ")
    )
}

/// SES's id of a letter.
fn ses_id(number: usize) -> String {
    format!("sample0000000000000000000000000000000{number:03}")
}

/// The letters as SES puts them into the bucket, by their names behind the prefix.
pub fn raw_letters() -> Vec<(String, Vec<u8>)> {
    let letter = |number: usize| {
        let (id, to) = (ses_id(number), LETTERS[number - 1].1[0]);
        let raw = format!(
            "Return-Path: <rowland@hill.example>\r\nReceived: from mx.hill.example (mx.hill.example [192.0.2.25])\r\n by \
             inbound-smtp.eu-central-1.amazonaws.com with SMTP id {id}\r\n for {to};\r\n Thu, 19 Nov 2026 08:15:30 +0000 \
             (UTC)\r\nX-SES-Spam-Verdict: PASS\r\nX-SES-Virus-Verdict: PASS\r\n{}",
            raw(number)
        );
        (id, raw.into_bytes())
    };
    (1..=LETTERS.len()).map(letter).collect()
}

/// What SES's S3 action publishes of a letter; the text of a message with raw delivery.
fn notification(number: usize, to: &[&str]) -> Value {
    let id = ses_id(number);
    let time = Fixed::NOW.plus_millis(number as i64).rfc3339();
    let status = |status: &str| json!({ "status": status });
    json!({
        "notificationType": "Received",
        "mail": {
            "timestamp": time,
            "source": "rowland@hill.example",
            "messageId": id,
            "destination": to,
            "headersTruncated": false,
            "headers": [{ "name": "From", "value": "Rowland <rowland@hill.example>" }],
            "commonHeaders": { "from": ["Rowland <rowland@hill.example>"], "messageId": format!("<{number}@hill.example>") },
        },
        "receipt": {
            "timestamp": time,
            "processingTimeMillis": 222,
            "recipients": to,
            "spamVerdict": status("PASS"),
            "virusVerdict": status("PASS"),
            "spfVerdict": status("PASS"),
            "dkimVerdict": status("PASS"),
            "dmarcVerdict": status("PASS"),
            "action": {
                "type": "S3",
                "topicArn": "arn:aws:sns:eu-central-1:123456789012:pennypost-received",
                "bucketName": "pennypost-raw",
                "objectKeyPrefix": "inbound/",
                "objectKey": format!("inbound/{id}"),
            },
        },
    })
}

/// What is said of mail that SES has received.
fn received(tenant: TenantId, unknown: &str) -> Vec<Sample> {
    let of_letter = |number: usize| notification(number, LETTERS[number - 1].1);
    let sample = |path: &str, said: &[Value]| Sample {
        path: format!("receive/{path}.json"),
        event: json!(batch(Stage::Receive, 1, tenant, said.iter().map(Value::to_string).collect())),
    };
    let mut missing = of_letter(1);
    missing["mail"]["messageId"] = json!("sample-that-is-nowhere");
    missing["receipt"]["action"]["objectKey"] = json!("inbound/sample-that-is-nowhere");
    let mut elsewhere = of_letter(1);
    elsewhere["receipt"]["action"]["bucketName"] = json!("somebody-elses");
    let mut infected = of_letter(2);
    infected["receipt"]["virusVerdict"]["status"] = json!("FAIL");
    let of_bucket = json!({
        "Records": [{
            "eventVersion": "2.1",
            "eventSource": "aws:s3",
            "eventName": "ObjectCreated:Put",
            "s3": { "bucket": { "name": "pennypost-raw" }, "object": { "key": format!("inbound/{}", ses_id(1)) } },
        }],
    });
    let wrapped =
        json!({ "Type": "Notification", "Message": notification(3, &[BOB, "nobody@demo.test"]).to_string() });
    let mixed = [of_letter(1), json!({ "hello": "world" }), of_bucket, missing, elsewhere, infected, wrapped];
    let mut mixed = sample("mixed", &mixed);
    // A version that nobody writes yet.
    mixed.event["Records"][1]["body"] = json!(unknown);
    let mut made = of_letter(1);
    made["mail"]["messageId"] = json!("AMAZON_SES_SETUP_NOTIFICATION");
    vec![
        sample("letters", &[of_letter(1), of_letter(2), of_letter(3)]),
        mixed,
        sample("rule-was-made", &[made]),
    ]
}

/// A request as an HTTP API hands it to its function (payload format 2.0).
fn http(method: &str, path: &str, query: &str, body: Option<&str>) -> Value {
    let mut event = json!({
        "version": "2.0",
        "routeKey": "$default",
        "rawPath": path,
        "rawQueryString": query,
        "headers": { "accept-language": "zh-CN", "host": "autoconfig.demo.test", "user-agent": "sample" },
        "requestContext": {
            "accountId": "123456789012",
            "apiId": "sample",
            "domainName": "autoconfig.demo.test",
            "domainPrefix": "autoconfig",
            "http": {
                "method": method,
                "path": path,
                "protocol": "HTTP/1.1",
                "sourceIp": "192.0.2.25",
                "userAgent": "sample",
            },
            "requestId": "sample",
            "routeKey": "$default",
            "stage": "$default",
            "time": "19/Nov/2026:08:15:30 +0000",
            "timeEpoch": Fixed::NOW.0,
        },
        "isBase64Encoded": false,
    });
    if let Some(body) = body {
        event["body"] = json!(body);
        event["headers"]["content-type"] = json!("text/xml");
    }
    event
}

/// A call of the admin API about the tenant of the demo. The key is nobody's: put one of `pennypost key add` there.
fn admin(method: &str, path: &str, body: Option<&str>) -> Value {
    let mut event = http(method, &format!("/api/v1/tenants/0000000000000001{path}"), "", body);
    event["headers"]["authorization"] = json!(format!("Bearer ppk_{}", "0".repeat(96)));
    if body.is_some() {
        event["headers"]["content-type"] = json!("application/json");
    }
    event
}

/// What is asked over HTTP.
fn asked() -> Vec<Sample> {
    let sample = |path: &str, event: Value| Sample { path: format!("api/{path}.json"), event };
    let request = format!(
        "<?xml version=\"1.0\" encoding=\"utf-8\"?><Autodiscover \
         xmlns=\"http://schemas.microsoft.com/exchange/autodiscover/outlook/requestschema/2006\"><Request>\
         <EMailAddress>{ALICE}</EMailAddress></Request></Autodiscover>"
    );
    let by_address = |address: &str| format!("emailaddress={}", address.replace('@', "%40"));
    vec![
        sample("health", http("GET", "/health", "", None)),
        sample("autoconfig", http("GET", "/mail/config-v1.1.xml", &by_address(ALICE), None)),
        sample("autoconfig-by-name", http("GET", "/.well-known/autoconfig/mail/config-v1.1.xml", "", None)),
        sample("autodiscover", http("POST", "/autodiscover/autodiscover.xml", "", Some(&request))),
        sample("autodiscover-malformed", http("POST", "/autodiscover/autodiscover.xml", "", Some("{}"))),
        sample("mobileconfig", http("GET", "/mobileconfig", "email=alice%40demo.test", None)),
        sample("unknown-domain", http("GET", "/mail/config-v1.1.xml", &by_address("a@elsewhere.test"), None)),
        sample("unknown-path", http("GET", "/admin", "", None)),
        sample("admin-accounts", admin("GET", "/accounts", None)),
        sample(
            "admin-add-account",
            admin("POST", "/accounts", Some(r#"{"address":"carol@demo.test","password":"a long password"}"#)),
        ),
    ]
}

/// Events as the service hands them to the function of their queue.
pub fn batch_of(stage: Stage, tenant: TenantId, events: &[Event]) -> SqsEvent {
    batch(stage, 1, tenant, texts(events))
}

/// The events of the letters, as acceptance makes them.
fn accepted(office: &Office) -> Vec<Event> {
    let account = |address: &str| if address == ALICE { office.alice } else { office.bob };
    let recipient = |address: &&str| Recipient {
        account: account(address),
        address: (*address).to_owned(),
        via: Via::Direct,
    };
    let letter = |(number, (_, to, _)): (usize, &(&str, &[&str], &str))| {
        let raw = raw(number + 1);
        let number = number as i64 + 1;
        let time = Fixed::NOW.plus_millis(number);
        Event::Accepted(Box::new(Accepted {
            id: EventId::from_parts(time, number as u128),
            time,
            tenant: office.tenant,
            source: Source {
                kind: SourceKind::Smtp,
                ip: Some([192, 0, 2, 25].into()),
                helo: "mx.hill.example".to_owned(),
                tls: Some("TLSv1.3 TLS_AES_256_GCM_SHA384".to_owned()),
            },
            auth: AuthResults {
                spf: Verdict::Pass,
                dkim: Verdict::Pass,
                dmarc: Verdict::Pass,
                ..AuthResults::default()
            },
            reverse_path: "rowland@hill.example".to_owned(),
            recipients: to.iter().map(recipient).collect(),
            body: Body::Inline(compress(raw.as_bytes()).unwrap()),
            receipt: "Received: from mx.hill.example (192.0.2.25) by mx.demo.test with ESMTPS;\r\n \
                      Thu, 19 Nov 2026 08:15:30 +0000\r\n"
                .to_owned(),
        }))
    };
    LETTERS.iter().enumerate().map(letter).collect()
}

/// Every sample of a queue.
pub async fn all() -> Vec<Sample> {
    let office = Office::open().await;
    let tenant = office.tenant;
    let accepted = accepted(&office);
    let parse = InboundParse::new(office.backend.objects(), office.backend.log());
    let parsed: Vec<Event> =
        parse.handle(accepted.clone()).await.into_iter().flat_map(|outcome| outcome.unwrap()).collect();
    let filter = PolicyFilter::new(Arc::new(office.directory.clone()));
    let decided: Vec<Event> = Handler::handle(&filter, parsed.clone())
        .await
        .into_iter()
        .flat_map(|outcome| outcome.unwrap())
        .collect();
    let changed = |account: AccountKey, seq: u64| Event::Changed(Changed { account, seq: Seq(seq) });
    let house = [
        House::Account(office.alice),
        House::CollectGarbage(tenant),
        House::Audit(tenant),
        House::Statistics(tenant),
    ];

    let letter = text(&accepted[0]);
    // A version that nobody writes yet, and the middle cut out of an event.
    let unknown = queue_body::encode(&[&[99][..], &codec::encode(&accepted[1])[1..]].concat());
    let damaged = queue_body::encode(&codec::encode(&accepted[1])[..80]);
    let mut foreign = accepted[1].clone();
    if let Event::Accepted(foreign) = &mut foreign {
        foreign.recipients[0].account.tenant = TenantId(4_711);
    }
    let garbage = r#"{"hello": "world"}"#.to_owned();
    let mixed = vec![
        letter.clone(),
        garbage.clone(),
        unknown.clone(),
        text(&Event::House(house[0])),
        damaged.clone(),
        text(&foreign),
        text(&accepted[2]),
    ];
    let inbound = |path: &str, tries, texts| Sample {
        path: format!("inbound/{path}.json"),
        event: json!(batch(Stage::InboundParse, tries, tenant, texts)),
    };
    let of = |stage: Stage, path: &str, events: &[Event]| Sample {
        path: format!("{}/{path}.json", stage.queue()),
        event: json!(batch(stage, 1, tenant, texts(events))),
    };
    let mut all = received(tenant, &unknown);
    all.extend(asked());
    all.extend([
        inbound("letters", 1, texts(&accepted)),
        inbound("letters-tried-before", 3, texts(&accepted)),
        inbound("malformed", 1, vec![garbage, damaged, String::new()]),
        inbound("unknown-version", 1, vec![unknown]),
        inbound("mixed", 1, mixed),
        of(Stage::PolicyFilter, "letters", &parsed),
        of(Stage::Deliver, "letters", &decided),
        of(
            Stage::Notify,
            "changes",
            &[changed(office.alice, 2), changed(office.bob, 1), changed(office.alice, 3)],
        ),
        of(Stage::Housekeep, "chores", &house.map(Event::House)),
        // The scheduler sends what the template tells it to; by itself that is this.
        Sample {
            path: "schedule/tick.json".to_owned(),
            event: json!({
                "version": "0",
                "id": "00000000-0000-4000-8000-000000000001",
                "detail-type": "Scheduled Event",
                "source": "aws.scheduler",
                "account": "123456789012",
                "time": "2026-11-19T08:15:00Z",
                "region": "eu-central-1",
                "resources": ["arn:aws:scheduler:eu-central-1:123456789012:schedule/default/pennypost-schedule"],
                "detail": "{}",
            }),
        },
    ]);
    all
}

/// The sample as it lies in the folder.
pub fn read<T: DeserializeOwned>(path: &str) -> T {
    let text = std::fs::read_to_string(folder().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"));
    serde_json::from_str(&text).unwrap_or_else(|error| panic!("{path}: {error}"))
}
