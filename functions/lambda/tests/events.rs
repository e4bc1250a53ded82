//! The samples in `events` are what they should be, and each has the effects that it should have: fused, unfused, twice,
//! and with records that nobody can handle.
//!
//! `events/generate` writes them anew.

#![allow(clippy::unwrap_used)] // a test may panic

mod support;

use std::collections::BTreeSet;
use std::path::Path;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use pennypost_model::Seq;
use pennypost_model::event::{Event, House, Stage};
use pennypost_model::trace::{TraceRecord, TraceStep};
use pennypost_runtime_lambda::SqsEvent;
use serde_json::{Value, json};

use support::office::Office;
use support::samples::{self, read};

/// As it is written: keys in order, so that a file changes only where its event does.
fn written(event: &Value) -> String {
    format!("{event:#}\n")
}

fn files(folder: &Path) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            let name = path.file_name().unwrap().to_string_lossy().into_owned();
            found.extend(files(&path).into_iter().map(|file| format!("{name}/{file}")));
        } else if path.extension().is_some_and(|extension| extension == "json" || extension == "eml") {
            found.insert(path.file_name().unwrap().to_string_lossy().into_owned());
        }
    }
    found
}

#[tokio::test(flavor = "multi_thread")]
async fn samples_are_up_to_date() {
    let folder = samples::folder();
    let update = std::env::var("PENNYPOST_UPDATE_EVENTS").is_ok();
    let samples = samples::all().await;
    for sample in &samples {
        let path = folder.join(&sample.path);
        if update {
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(&path, written(&sample.event)).unwrap();
        }
        let there = std::fs::read_to_string(&path).unwrap_or_default();
        assert!(there == written(&sample.event), "{} is not what events/generate writes", sample.path);
    }
    let mut expected: BTreeSet<String> = samples.into_iter().map(|sample| sample.path).collect();
    for (name, bytes) in samples::raw_letters() {
        let path = format!("receive/raw/{name}.eml");
        if update {
            std::fs::create_dir_all(folder.join("receive/raw")).unwrap();
            std::fs::write(folder.join(&path), &bytes).unwrap();
        }
        let there = std::fs::read(folder.join(&path)).unwrap_or_default();
        assert!(there == bytes, "{path} is not what events/generate writes");
        expected.insert(path);
    }
    assert_eq!(files(&folder), expected, "every file is generated and tested");
}

const ALICES: [&str; 2] = ["Penny post", "Minutes of Monday"];
const BOBS: [&str; 2] = ["Minutes of Monday", "邮局"];

async fn assert_delivered_once(office: &Office) {
    assert_eq!(office.subjects(office.alice).await, ALICES);
    assert_eq!(office.subjects(office.bob).await, BOBS);
    let traces = office.traces().await;
    assert_eq!(traces.len(), 3);
    for steps in traces.values() {
        let is_fine = |record: &TraceRecord| match &record.step {
            TraceStep::Delivered { .. } => true,
            TraceStep::Received { held, unreached, .. } => held.is_none() && unreached.is_empty(),
            _ => false,
        };
        assert!(steps.iter().all(is_fine), "{steps:?}");
    }
}

fn assert_said(office: &Office) {
    assert_eq!(*office.violations.lock(), Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn letters_are_delivered_by_one_function() {
    let office = Office::open().await;
    let handled = office.invoke(Stage::InboundParse, "true", &read("inbound/letters.json")).await;
    assert_eq!((handled.records, handled.done, handled.open), (3, 3, 0));
    assert_delivered_once(&office).await;
    let mut woken = office.woken.0.lock().clone();
    woken.sort();
    assert_eq!(woken, [(office.alice, Seq(1)), (office.bob, Seq(1))]);
    // The same batch again: the service delivers at least once.
    office.invoke(Stage::InboundParse, "true", &read("inbound/letters.json")).await;
    assert_delivered_once(&office).await;
    assert_said(&office);
}

#[tokio::test(flavor = "multi_thread")]
async fn letters_are_delivered_by_three_functions() {
    let office = Office::open().await;
    office.invoke(Stage::InboundParse, "false", &read("inbound/letters.json")).await;
    assert_eq!(office.subjects(office.alice).await, Vec::<String>::new());
    assert_sends(&office, Stage::PolicyFilter, "filter/letters.json").await;
    office.invoke(Stage::PolicyFilter, "false", &read("filter/letters.json")).await;
    assert_sends(&office, Stage::Deliver, "deliver/letters.json").await;
    office.invoke(Stage::Deliver, "false", &read("deliver/letters.json")).await;
    assert_delivered_once(&office).await;
    assert_eq!(office.sent(Stage::Notify).await.len(), 4, "one for each copy");
    assert!(office.woken.0.lock().is_empty());
    office.invoke(Stage::Notify, "false", &read("notify/changes.json")).await;
    assert_eq!(*office.woken.0.lock(), [(office.alice, Seq(3)), (office.bob, Seq(1))]);
    assert_said(&office);
}

/// What was sent to a queue is the sample of its function.
async fn assert_sends(office: &Office, stage: Stage, path: &str) {
    let records = read::<SqsEvent>(path).records.into_iter();
    let bodies = records.flat_map(|record| pennypost_backend_aws::queue::body::events(&record.body));
    let bodies = bodies.map(|body| pennypost_model::codec::decode::<Event>(&body).unwrap());
    assert_eq!(office.sent(stage).await, bodies.collect::<Vec<_>>(), "{path}");
}

#[tokio::test(flavor = "multi_thread")]
async fn letters_that_were_tried_before_are_handled_alone() {
    let office = Office::open().await;
    let handled =
        office.invoke(Stage::InboundParse, "true", &read("inbound/letters-tried-before.json")).await;
    assert_eq!((handled.done, handled.open), (3, 0));
    assert_delivered_once(&office).await;
    let packs = office.backend.objects().list(&format!("{}/pk/", office.tenant), None, 10).await.unwrap();
    assert_eq!(packs.len(), 3, "each in a pack of its own");
    assert_said(&office);
}

#[tokio::test(flavor = "multi_thread")]
async fn bad_records_fail_alone_and_with_their_cause() {
    for (path, causes) in [
        ("inbound/malformed.json", &["version", "damaged", "empty"][..]),
        ("inbound/unknown-version.json", &["format version 99"]),
        (
            "inbound/mixed.json",
            &["version", "format version 99", "an event for house", "damaged", "another tenant"],
        ),
    ] {
        for fuse in ["true", "false"] {
            let office = Office::open().await;
            let event: SqsEvent = read(path);
            let handled = office.invoke(Stage::InboundParse, fuse, &event).await;
            assert_eq!((handled.dead, handled.open), (causes.len(), 0), "{path}");
            assert_eq!(handled.done, event.records.len() - causes.len(), "{path}");
            let dead = office.dead().await;
            assert_eq!(dead.len(), causes.len(), "{dead:?}");
            for (cause, wanted) in dead.iter().zip(causes) {
                assert!(
                    dead.iter().any(|cause| cause.contains(wanted)),
                    "{wanted} is not in {dead:?} ({cause})"
                );
            }
            assert_said(&office);
        }
    }
    let office = Office::open().await;
    office.invoke(Stage::InboundParse, "true", &read("inbound/mixed.json")).await;
    assert_eq!(office.subjects(office.alice).await, ["Penny post"]);
    assert_eq!(office.subjects(office.bob).await, ["邮局"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn chores_are_done_with_what_housekeeping_says_that_it_needs() {
    let office = Office::open().await;
    for _ in 0..3 {
        office.invoke(Stage::InboundParse, "true", &read("inbound/letters.json")).await;
    }
    let handled = office.invoke(Stage::Housekeep, "true", &read("house/chores.json")).await;
    assert_eq!((handled.records, handled.done, handled.open), (4, 4, 0));
    assert_delivered_once(&office).await;
    assert_said(&office);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tick_sends_what_is_due_to_housekeeping() {
    let office = Office::open().await;
    office.invoke(Stage::InboundParse, "true", &read("inbound/letters.json")).await;
    let ticked = office.tick(read("schedule/tick.json")).await;
    assert_eq!(
        (ticked.tenants, ticked.events),
        (1, 6),
        "garbage collection, audit, domains, statistics and two accounts"
    );
    assert_eq!(office.sent(Stage::Housekeep).await.len(), 6);
    assert_eq!(office.tick(read("schedule/tick.json")).await.tenants, 0, "it is not due twice a day");
    assert_said(&office);
}

#[tokio::test(flavor = "multi_thread")]
async fn letters_that_a_service_has_received_are_delivered_once() {
    let office = Office::open().await;
    office.receive_letters().await;
    let said: SqsEvent = read("receive/letters.json");
    let handled = office.invoke(Stage::Receive, "true", &said).await;
    assert_eq!((handled.records, handled.done, handled.open), (3, 3, 0));
    assert_eq!(office.raw_letters().await, Vec::<String>::new());
    let accepted = office.sent(Stage::InboundParse).await;
    let batch = samples::batch_of(Stage::InboundParse, office.tenant, &accepted);
    office.invoke(Stage::InboundParse, "true", &batch).await;
    assert_delivered_once(&office).await;
    // The same batch again, after the letters were removed; and with them, as if their removal had failed.
    for letters_are_back in [false, true] {
        if letters_are_back {
            office.receive_letters().await;
        }
        let handled = office.invoke(Stage::Receive, "true", &said).await;
        assert_eq!((handled.done, handled.dead, handled.open), (3, 0, 0));
        let again = office.sent(Stage::InboundParse).await;
        assert_eq!(again.len(), if letters_are_back { 3 } else { 0 });
        let batch = samples::batch_of(Stage::InboundParse, office.tenant, &again);
        office.invoke(Stage::InboundParse, "true", &batch).await;
        assert_delivered_once(&office).await;
    }
    assert_said(&office);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_service_says_wrongly_fails_alone() {
    let office = Office::open().await;
    office.receive_letters().await;
    let handled = office.invoke(Stage::Receive, "true", &read("receive/mixed.json")).await;
    assert_eq!((handled.done, handled.dead, handled.open), (3, 4, 0));
    let dead = office.dead().await;
    for wanted in ["format version 99", "does not say for whom", "not in the bucket", "another bucket"] {
        assert!(dead.iter().any(|cause| cause.contains(wanted)), "{wanted} is not in {dead:?}");
    }
    let accepted = office.sent(Stage::InboundParse).await;
    assert_eq!(
        accepted.len(),
        2,
        "the first letter, and the third for the one of its recipients who is here"
    );
    // What has a virus in it stays.
    let left = office.raw_letters().await;
    assert!(matches!(&*left, [name] if name.ends_with("002")), "{left:?}");
    assert_said(&office);
    let office = Office::open().await;
    let handled = office.invoke(Stage::Receive, "true", &read("receive/rule-was-made.json")).await;
    assert_eq!((handled.done, handled.dead), (1, 0));
    assert!(office.sent(Stage::InboundParse).await.is_empty());
    assert_said(&office);
}

#[tokio::test(flavor = "multi_thread")]
async fn mail_programs_are_told_their_servers() {
    let office = Office::open().await;
    for (path, status, media_type, content) in [
        ("health", 200, "application/json", "\"ok\""),
        ("autoconfig", 200, "text/xml; charset=utf-8", "<hostname>mx.demo.test</hostname>"),
        ("autoconfig-by-name", 200, "text/xml; charset=utf-8", "<displayName>demo.test 邮箱</displayName>"),
        ("autodiscover", 200, "text/xml; charset=utf-8", "<LoginName>alice@demo.test</LoginName>"),
        ("autodiscover-malformed", 400, "application/problem+json", "urn:pennypost:problem:bad-request"),
        ("mobileconfig", 200, "application/x-apple-aspen-config; charset=utf-8", "<integer>993</integer>"),
        ("unknown-domain", 404, "application/problem+json", "此处不提供该域的邮件服务"),
        ("unknown-path", 404, "application/problem+json", "urn:pennypost:problem:no-such-page"),
    ] {
        let (told, answer) = office.ask(read(&format!("api/{path}.json"))).await;
        assert_eq!((told, answer["statusCode"].as_u64()), (status, Some(status)), "{path}: {answer}");
        assert_eq!(answer["headers"]["content-type"], media_type, "{path}: {answer}");
        let mut body = answer["body"].as_str().unwrap().to_owned();
        if answer["isBase64Encoded"].as_bool().unwrap() {
            body = String::from_utf8(BASE64_STANDARD.decode(&body).unwrap()).unwrap();
        }
        assert!(body.contains(content), "{path}: {body}");
    }
    assert_said(&office);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_admin_api_is_answered_by_the_function() {
    let office = Office::open().await;
    let ask = async |path: &str, key: Option<&str>| {
        let mut event: Value = read(path);
        if let Some(key) = key {
            event["headers"]["authorization"] = format!("Bearer {key}").into();
        }
        let (status, answer) = office.ask(serde_json::from_value(event).unwrap()).await;
        let mut body = answer["body"].as_str().unwrap().to_owned();
        if answer["isBase64Encoded"].as_bool().unwrap() {
            body = String::from_utf8(BASE64_STANDARD.decode(&body).unwrap()).unwrap();
        }
        (status, serde_json::from_str::<Value>(&body).unwrap())
    };
    let (status, problem) = ask("api/admin-accounts.json", None).await;
    assert_eq!((status, &problem["title"]), (401, &"需要有效的密钥".into()));
    let key = office.key(&["members:write", "log:read"]).await;
    let (status, listed) = ask("api/admin-accounts.json", Some(&key)).await;
    assert_eq!((status, listed["items"].as_array().unwrap().len()), (200, 2));
    let (status, account) = ask("api/admin-add-account.json", Some(&key)).await;
    assert_eq!((status, &account["address"]), (201, &"carol@demo.test".into()));
    let operations = office.operations().await;
    let last = operations.last().unwrap();
    assert_eq!((&*last.entry.action, &*last.entry.object), ("account.add", "carol@demo.test"));
    assert_eq!(last.entry.origin.shown(), "192.0.2.25", "the service says from where");
    assert_said(&office);
}

/// The function of the API puts a task down, that of housekeeping carries it out, and each says what it needs for that.
#[tokio::test(flavor = "multi_thread")]
async fn an_import_is_ordered_by_one_function_and_carried_out_by_another() {
    let office = Office::open().await;
    let key = office.key(&["members:write"]).await;
    let ask = async |method: &str, path: &str, body: Option<Value>| {
        let mut event: Value = read("api/admin-add-account.json");
        let path = format!("/api/v1/tenants/{}{path}", office.tenant);
        event["headers"]["authorization"] = format!("Bearer {key}").into();
        event["requestContext"]["http"]["method"] = method.into();
        event["requestContext"]["http"]["path"] = path.as_str().into();
        event["rawPath"] = path.into();
        event["body"] = body.map_or(Value::Null, |body| body.to_string().into());
        let (status, answer) = office.ask(serde_json::from_value(event).unwrap()).await;
        let mut text = answer["body"].as_str().unwrap().to_owned();
        if answer["isBase64Encoded"].as_bool().unwrap() {
            text = String::from_utf8(BASE64_STANDARD.decode(&text).unwrap()).unwrap();
        }
        (status, text)
    };
    let table = "address,name,department\ncarol@demo.test,Carol,Sales\nalice@demo.test,Alice,\n";
    let import = json!({ "file_name": "people.csv", "content": BASE64_STANDARD.encode(table) });
    let (status, ordered) = ask("POST", "/imports", Some(import)).await;
    assert_eq!(status, 202, "{ordered}");
    let ordered: Value = serde_json::from_str(&ordered).unwrap();
    let events = office.sent(Stage::Housekeep).await;
    assert!(matches!(events[..], [Event::House(House::Task(..))]), "{events:?}");
    let batch = samples::batch_of(Stage::Housekeep, office.tenant, &events);
    let handled = office.invoke(Stage::Housekeep, "true", &batch).await;
    assert_eq!((handled.done, handled.dead), (1, 0));
    let path = format!("/tasks/{}", ordered["id"].as_str().unwrap());
    let (_, task) = ask("GET", &path, None).await;
    let task: Value = serde_json::from_str(&task).unwrap();
    assert_eq!((&task["state"], &task["counts"]["people"]), (&"done".into(), &1.into()), "{task}");
    let (status, result) = ask("GET", &format!("{path}/result"), None).await;
    assert_eq!((status, result.lines().count()), (200, 2), "{result}");
    assert_said(&office);
}
