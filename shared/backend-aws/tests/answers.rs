//! What the ports make of answers that services give seldom: each call is answered from a script.

#![allow(clippy::unwrap_used, reason = "in tests a panic is the report")]

use std::sync::{Arc, Mutex};
use std::time::Duration;

use aws_config::BehaviorVersion;
use aws_sdk_dynamodb::config::{Credentials, Region, SharedCredentialsProvider};
use aws_smithy_runtime_api::client::http::{
    HttpClient, HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpConnector,
};
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use aws_smithy_runtime_api::http::StatusCode;
use aws_smithy_types::body::SdkBody;
use aws_smithy_types::retry::RetryConfig;
use aws_smithy_types::timeout::TimeoutConfig;
use bytes::Bytes;
use pennypost_backend_aws::{Aws, Settings};
use pennypost_model::event::Stage;
use pennypost_model::journal::{Actor, Entry, Usage};
use pennypost_model::{AccountId, AccountKey, EventId, Seq, TenantId, Timestamp};
use pennypost_ports::{
    Appended, Consistency, ControlKey, Created, Expected, Head, LogKind, LogRecord, Newest, Outgoing,
    PortError, PortResult, Put, Queue, Receipt,
};

const SECRET: &str = "a-secret-access-key";
const ATTEMPTS: u32 = 3;

/// One answer of the script.
#[derive(Debug, Clone)]
enum Answer {
    Say(u16, String),
    /// Never.
    Silence,
}

/// A service that answers from a script, and goes on with its last answer.
#[derive(Debug, Clone)]
struct Scripted {
    script: Arc<Vec<Answer>>,
    asked: Arc<Mutex<Vec<String>>>,
}

impl Scripted {
    /// Bodies of the calls so far.
    fn asked(&self) -> Vec<String> {
        self.asked.lock().unwrap().clone()
    }
}

impl HttpConnector for Scripted {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let body = request.body().bytes().map(|bytes| String::from_utf8_lossy(bytes).into_owned());
        let mut asked = self.asked.lock().unwrap();
        let answer = self.script[asked.len().min(self.script.len() - 1)].clone();
        asked.push(body.unwrap_or_default());
        match answer {
            Answer::Say(status, body) => {
                let status = StatusCode::try_from(status).unwrap();
                HttpConnectorFuture::ready(Ok(HttpResponse::new(status, SdkBody::from(body))))
            }
            Answer::Silence => HttpConnectorFuture::new(std::future::pending()),
        }
    }
}

impl HttpClient for Scripted {
    fn http_connector(&self, _: &HttpConnectorSettings, _: &RuntimeComponents) -> SharedHttpConnector {
        SharedHttpConnector::new(self.clone())
    }
}

async fn answering(script: impl Into<Vec<Answer>>) -> (Aws, Scripted) {
    let service = Scripted { script: Arc::new(script.into()), asked: Arc::default() };
    let credentials = Credentials::new("an-id", SECRET, None, None, "test");
    let configuration = aws_config::defaults(BehaviorVersion::latest())
        .http_client(service.clone())
        .region(Region::new("eu-central-1"))
        .credentials_provider(SharedCredentialsProvider::new(credentials))
        .retry_config(
            RetryConfig::standard()
                .with_max_attempts(ATTEMPTS)
                .with_initial_backoff(Duration::from_millis(1))
                .with_max_backoff(Duration::from_millis(2)),
        )
        .timeout_config(TimeoutConfig::builder().operation_attempt_timeout(Duration::from_millis(30)).build())
        .load()
        .await;
    (Aws::with_configuration(Settings::of_stack("post"), &configuration), service)
}

fn error(status: u16, code: &str) -> Answer {
    let body = format!(r#"{{"__type":"com.amazonaws.dynamodb.v20120810#{code}","message":"{SECRET}"}}"#);
    Answer::Say(status, body)
}

fn s3_error(status: u16, code: &str) -> Answer {
    Answer::Say(status, format!("<Error><Code>{code}</Code><Message>{SECRET}</Message></Error>"))
}

fn good() -> Answer {
    Answer::Say(200, "{}".to_owned())
}

const ACCOUNT: AccountKey = AccountKey { tenant: TenantId(1), account: AccountId(2) };

fn entry(seq: u64) -> Entry {
    let (time, used) = (Timestamp(1_795_132_800_000), Usage::default());
    Entry { seq: Seq(seq), time, actor: Actor::System, next_uid: 1, used, ops: Vec::new() }
}

fn key() -> ControlKey {
    ControlKey::new("p", "s")
}

#[track_caller]
fn cause<T: std::fmt::Debug>(result: PortResult<T>) -> String {
    match result {
        Err(PortError::Unavailable { cause, .. }) => {
            assert!(!cause.contains(SECRET), "{cause}");
            cause
        }
        other => panic!("not unavailable: {other:?}"),
    }
}

#[tokio::test]
async fn a_busy_table_is_asked_again_and_then_unavailable() {
    let (aws, service) = answering([error(400, "ProvisionedThroughputExceededException")]).await;
    let found = aws.control().get(&key(), Consistency::Strong).await;
    assert!(cause(found).contains("table post-control answered ProvisionedThroughputExceededException"));
    assert_eq!(service.asked().len(), ATTEMPTS as usize);
    let (aws, _) =
        answering([error(400, "ThrottlingException"), error(500, "InternalServerError"), good()]).await;
    assert_eq!(aws.control().get(&key(), Consistency::Strong).await, Ok(None));
}

#[tokio::test]
async fn what_an_operator_can_mend_is_unavailable_and_named() {
    for (code, says) in [
        ("ResourceNotFoundException", "table post-journal does not exist"),
        ("ExpiredTokenException", "the credentials do not open table post-journal"),
        ("UnrecognizedClientException", "the credentials do not open table post-journal"),
        ("AccessDeniedException", "the credentials do not open table post-journal"),
    ] {
        let (aws, _) = answering([error(400, code)]).await;
        let cause = cause(aws.journal().append(ACCOUNT, &entry(2)).await);
        assert!(cause.contains(says), "{code}: {cause}");
    }
    let (aws, _) = answering([s3_error(404, "NoSuchBucket")]).await;
    for cause in [
        cause(aws.objects().get("t/pk/a").await),
        cause(aws.objects().put_unique("t/pk/a", Bytes::new()).await),
        cause(aws.objects().delete("t/pk/a").await),
        cause(aws.objects().list("t/", None, 10).await),
    ] {
        assert!(cause.contains("bucket post-mail does not exist"), "{cause}");
    }
}

#[tokio::test]
async fn without_credentials_nothing_is_sent() {
    let service = Scripted { script: Arc::new(vec![good()]), asked: Arc::default() };
    let configuration = aws_config::defaults(BehaviorVersion::latest())
        .http_client(service.clone())
        .region(Region::new("eu-central-1"))
        .no_credentials()
        .load()
        .await;
    let aws = Aws::with_configuration(Settings::of_stack("post"), &configuration);
    cause(aws.control().get(&key(), Consistency::Strong).await);
    assert_eq!(service.asked().len(), 0);
}

#[tokio::test]
async fn a_service_that_does_not_answer_is_unavailable() {
    let (aws, service) = answering([Answer::Silence]).await;
    let found = aws.journal().newest(ACCOUNT, 4, Consistency::Eventual).await;
    assert!(cause(found).contains("table post-journal has not answered in time"));
    assert_eq!(service.asked().len(), ATTEMPTS as usize);
}

#[tokio::test]
async fn what_cannot_succeed_is_refused_at_once() {
    let (aws, service) = answering([error(400, "ValidationException")]).await;
    let put = aws.control().put_if(&key(), b"x", Expected::Absent).await;
    assert!(matches!(put, Err(PortError::Refused { .. })), "{put:?}");
    assert_eq!(service.asked().len(), 1);
}

/// The attribute `name` in the body of a call.
fn attribute(body: &str, name: &str) -> String {
    let (_, rest) = body.split_once(&format!(r#""{name}":{{"#)).unwrap();
    let (value, _) = rest.split_once('}').unwrap();
    format!(r#""{name}":{{{value}}}"#)
}

#[tokio::test]
async fn an_entry_whose_first_answer_was_lost_is_committed() {
    // What the first attempt put is only known when it was asked.
    let (aws, service) =
        answering([error(500, "InternalServerError"), error(500, "InternalServerError")]).await;
    cause(aws.journal().append(ACCOUNT, &entry(2)).await);
    let value = attribute(&service.asked()[0], "V");
    let taken = format!(
        r#"{{"__type":"com.amazonaws.dynamodb.v20120810#ConditionalCheckFailedException","Item":{{{value}}}}}"#
    );
    let (aws, _) = answering([error(500, "InternalServerError"), Answer::Say(400, taken.clone())]).await;
    assert_eq!(aws.journal().append(ACCOUNT, &entry(2)).await, Ok(Appended::Committed));
    // Where no attempt is in doubt it is somebody else's, and comes with the refusal: nothing else is read.
    let (aws, service) = answering([error(400, "ThrottlingException"), Answer::Say(400, taken)]).await;
    let appended = aws.journal().append(ACCOUNT, &entry(2)).await;
    assert_eq!(appended, Ok(Appended::Lost(Box::new(entry(2)))));
    assert_eq!(service.asked().len(), 2);
}

#[tokio::test]
async fn a_damaged_entry_is_told() {
    let (aws, service) = answering([good()]).await;
    aws.journal().append(ACCOUNT, &entry(2)).await.unwrap();
    let value = attribute(&service.asked()[0], "V");
    let answer =
        |value: &str, seq: u64| Answer::Say(200, format!(r#"{{"Items":[{{{value},"S":{{"N":"{seq}"}}}}]}}"#));
    let since = async |answer| {
        let (aws, _) = answering([answer]).await;
        aws.journal().since(ACCOUNT, Seq(1), 10, Consistency::Strong).await
    };
    assert_eq!(since(answer(&value, 2)).await, Ok(vec![entry(2)]));
    // Under another number, cut short, with a flipped bit, without bytes, and behind a hole.
    let flipped = value.replacen("AQ", "AR", 1);
    assert_ne!(flipped, value);
    for damaged in [
        answer(&flipped, 2),
        answer(r#""V":{"B":"AAAA"}"#, 2),
        answer(r#""W":{"B":"AAAA"}"#, 2),
        answer(&value, 3),
    ] {
        let found = since(damaged.clone()).await;
        assert!(matches!(found, Err(PortError::Damaged { .. })), "{damaged:?}: {found:?}");
    }
}

#[tokio::test]
async fn what_a_stale_read_cannot_mean_is_read_consistently() {
    let mut items = Vec::new();
    for seq in 1..=3 {
        let (aws, service) = answering([good()]).await;
        aws.journal().append(ACCOUNT, &entry(seq)).await.unwrap();
        let value = attribute(service.asked().last().unwrap(), "V");
        items.push(format!(r#"{{{value},"S":{{"N":"{seq}"}}}}"#));
    }
    let (aws, service) = answering([good()]).await;
    let head = Head { base_seq: Seq(3), base: "t/ix/a/3".to_owned() };
    assert!(aws.journal().advance_head(ACCOUNT, &head).await.unwrap());
    let body = &service.asked()[0];
    let head_item =
        format!(r#"{{{},"N":{{"N":"3"}},"S":{{"N":"18446744073709551616"}}}}"#, attribute(body, "V"));
    let answer = |items: &[&String]| {
        let items: Vec<&str> = items.iter().map(|item| item.as_str()).collect();
        Answer::Say(200, format!(r#"{{"Items":[{}]}}"#, items.join(",")))
    };
    let consistent = |service: &Scripted| -> Vec<bool> {
        service.asked().iter().map(|body| body.contains(r#""ConsistentRead":true"#)).collect()
    };
    let all = vec![entry(1), entry(2), entry(3)];
    let [one, two, three] = &items[..] else { panic!("three items") };

    // A hole, as parts of an account on different machines can show it.
    let (aws, service) = answering([answer(&[one, three]), answer(&[one, two, three])]).await;
    let found = aws.journal().since(ACCOUNT, Seq(0), 10, Consistency::Eventual).await;
    assert_eq!((found, consistent(&service)), (Ok(all.clone()), vec![false, true]));
    // A prefix is what a stale read may be.
    let (aws, service) = answering([answer(&[one])]).await;
    let found = aws.journal().since(ACCOUNT, Seq(0), 10, Consistency::Eventual).await;
    assert_eq!((found, consistent(&service)), (Ok(all[..1].to_vec()), vec![false]));
    // The head is ahead of the entries.
    let script = [answer(&[&head_item, two, one]), answer(&[&head_item, three, two, one])];
    let (aws, service) = answering(script).await;
    let found = aws.journal().newest(ACCOUNT, 10, Consistency::Eventual).await;
    let whole = Newest { entries: all.clone(), head: Some(head) };
    assert_eq!((found, consistent(&service)), (Ok(whole), vec![false, true]));
    // The entry that was asked for has been seen by the caller: it must be there.
    let (aws, service) = answering([answer(&[two, one]), answer(&[three, two, one])]).await;
    let found = aws.journal().before(ACCOUNT, Seq(3), 10).await;
    assert_eq!((found, consistent(&service)), (Ok(all), vec![false, true]));
}

#[tokio::test]
async fn records_are_given_their_end() {
    let (aws, service) = answering([good()]).await;
    for kind in [LogKind::Trace, LogKind::Login, LogKind::Usage, LogKind::Audit] {
        let time = Timestamp(1_000_000);
        let id = EventId::from_parts(time, 1);
        let record = LogRecord { tenant: TenantId(1), kind, id, time, value: vec![1] };
        aws.log().append(&[record]).await.unwrap();
    }
    let end = format!(r#""E":{{"N":"{}"}}"#, 1_000 + 180 * 86_400);
    let ends: Vec<bool> = service.asked().iter().map(|body| body.contains(&end)).collect();
    assert_eq!(ends, [true, true, true, false]);
    assert!(!service.asked()[3].contains(r#""E":"#));
}

#[tokio::test]
async fn what_a_batch_leaves_out_is_sent_again() {
    let record = |at: i64| LogRecord {
        tenant: TenantId(at.cast_unsigned()),
        kind: LogKind::Login,
        id: EventId::from_parts(Timestamp(at), 1),
        time: Timestamp(at),
        value: vec![1, 2, 3],
    };
    let left =
        r#"{"UnprocessedItems":{"post-log":[{"PutRequest":{"Item":{"T":{"B":"bAAA"},"I":{"B":"AAEC"}}}}]}}"#;
    let (aws, service) = answering([Answer::Say(200, left.to_owned()), good()]).await;
    aws.log().append(&[record(1), record(2)]).await.unwrap();
    let asked = service.asked();
    assert_eq!(asked.iter().map(|body| body.matches("PutRequest").count()).collect::<Vec<_>>(), [2, 1]);
    assert!(asked[1].contains("AAEC"));
    // More than a batch takes goes in several.
    let (aws, service) = answering([good()]).await;
    aws.log().append(&(0..60).map(record).collect::<Vec<_>>()).await.unwrap();
    let sizes: Vec<usize> = service.asked().iter().map(|body| body.matches("PutRequest").count()).collect();
    assert_eq!(sizes, [25, 25, 10]);
}

#[tokio::test]
async fn a_put_that_meets_another_is_made_again() {
    let conflict = s3_error(409, "ConditionalRequestConflict");
    let (aws, service) = answering([conflict.clone(), conflict, Answer::Say(200, String::new())]).await;
    let put = aws.objects().put_unique("t/pk/a", Bytes::from_static(b"x")).await;
    assert_eq!(put, Ok(Created::Stored));
    assert_eq!(service.asked().len(), 3);
    let (aws, service) = answering([s3_error(412, "PreconditionFailed")]).await;
    let put = aws.objects().put_unique("t/pk/a", Bytes::from_static(b"x")).await;
    assert_eq!(put, Ok(Created::Exists));
    assert_eq!(service.asked().len(), 1);
}

#[tokio::test]
async fn a_conflict_brings_the_item_that_is_there() {
    let (aws, service) = answering([good()]).await;
    assert_eq!(aws.control().put_if(&key(), b"there", Expected::Version(6)).await, Ok(Put::Stored(7)));
    let body = &service.asked()[0];
    let item = [attribute(body, "V"), attribute(body, "W"), r#""N":{"N":"7"}"#.to_owned()].join(",");
    let lost = format!(
        r#"{{"__type":"com.amazonaws.dynamodb.v20120810#ConditionalCheckFailedException","Item":{{{item}}}}}"#
    );
    let (aws, service) = answering([Answer::Say(400, lost)]).await;
    let Ok(Put::Conflict(Some(there))) = aws.control().put_if(&key(), b"new", Expected::Absent).await else {
        panic!("no conflict")
    };
    assert_eq!((there.value.as_slice(), there.version), (&b"there"[..], 7));
    assert_eq!(service.asked().len(), 1);
}

const STAGE: Stage = Stage::InboundParse;

fn address() -> Answer {
    Answer::Say(200, r#"{"QueueUrl":"https://sqs.eu-central-1.amazonaws.com/1/post-inbound"}"#.to_owned())
}

/// The answer to a batch of which these entries failed: number, code, and whether it is the sender's fault.
fn failed(entries: &[(u32, &str, bool)]) -> Answer {
    let entry = |(id, code, fault): &(u32, &str, bool)| {
        format!(r#"{{"Id":"{id}","Code":"{code}","SenderFault":{fault},"Message":"{SECRET}"}}"#)
    };
    let entries: Vec<String> = entries.iter().map(entry).collect();
    Answer::Say(200, format!(r#"{{"Successful":[],"Failed":[{}]}}"#, entries.join(",")))
}

fn messages(count: u8) -> Vec<Outgoing> {
    let message = |number| Outgoing { tenant: TenantId(1), body: vec![number], delay: Duration::ZERO };
    (0..count).map(message).collect()
}

/// How many entries each call had, the one for the queue's address left out.
fn entries(service: &Scripted) -> Vec<usize> {
    service.asked()[1..].iter().map(|body| body.matches(r#""Id":"#).count()).collect()
}

fn receipts(count: u8) -> Vec<Receipt> {
    (0..count).map(|number| Receipt(format!("message-{number} handle-{number}"))).collect()
}

#[tokio::test]
async fn a_receipt_that_the_service_does_not_take_is_not_found() {
    for code in [
        "ReceiptHandleIsInvalid",
        "MessageNotInflight",
        "AWS.SimpleQueueService.MessageNotInflight",
        "InvalidParameterValue",
        "InvalidIdFormat",
    ] {
        let (aws, service) = answering([address(), error(400, code)]).await;
        let later = aws.queue().retry_later(STAGE, &receipts(1)[0], Duration::from_secs(1)).await;
        assert!(matches!(later, Err(PortError::NotFound { .. })), "{code}: {later:?}");
        assert_eq!(service.asked().len(), 2, "{code}");
    }
    // What is no receipt's fault stays what it is.
    for code in ["QueueDoesNotExist", "AccessDeniedException", "RequestThrottled"] {
        let (aws, _) = answering([address(), error(400, code)]).await;
        cause(aws.queue().retry_later(STAGE, &receipts(1)[0], Duration::from_secs(1)).await);
    }
}

#[tokio::test]
async fn acknowledging_ignores_receipts_that_the_service_does_not_take() {
    for (code, fault) in
        [("ReceiptHandleIsInvalid", true), ("InvalidParameterValue", true), ("ReceiptHandleIsInvalid", false)]
    {
        let (aws, service) = answering([address(), failed(&[(1, code, fault)])]).await;
        assert_eq!(aws.queue().ack(STAGE, &receipts(3)).await, Ok(()), "{code}");
        assert_eq!(entries(&service), [3], "{code}");
    }
}

#[tokio::test]
async fn deletions_that_fail_in_part_are_made_again_for_that_part() {
    let busy = |at| (at, "InternalError", false);
    let script = [
        address(),
        failed(&[busy(0), busy(2), (3, "ReceiptHandleIsInvalid", true)]),
        failed(&[busy(2)]),
        good(),
    ];
    let (aws, service) = answering(script).await;
    assert_eq!(aws.queue().ack(STAGE, &receipts(4)).await, Ok(()));
    assert_eq!(entries(&service), [4, 2, 1]);
    assert!(service.asked()[3].contains("handle-2"));
    // A whole batch that is throttled is asked for again, too.
    let (aws, service) = answering([address(), error(400, "RequestThrottled"), good()]).await;
    assert_eq!(aws.queue().ack(STAGE, &receipts(12)).await, Ok(()));
    assert_eq!(entries(&service), [10, 10, 2]);
    // What never succeeds is told: the messages come again.
    let (aws, service) = answering([address(), failed(&[busy(1)])]).await;
    let told = cause(aws.queue().ack(STAGE, &receipts(2)).await);
    assert!(told.contains("InternalError"), "{told}");
    assert_eq!(entries(&service)[0], 2);
    assert!(entries(&service)[1..].iter().all(|count| *count == 1), "{:?}", entries(&service));
}

#[tokio::test]
async fn messages_that_fail_in_part_are_sent_again_and_each_has_its_own_result() {
    let busy = |at| (at, "InternalError", false);
    let (aws, service) =
        answering([address(), failed(&[busy(1), busy(2)]), failed(&[busy(2)]), good()]).await;
    assert_eq!(aws.queue().send_batch(STAGE, messages(4)).await, [Ok(()), Ok(()), Ok(()), Ok(())]);
    assert_eq!(entries(&service), [4, 2, 1]);
    let (aws, service) = answering([address(), error(400, "RequestThrottled"), good()]).await;
    assert_eq!(aws.queue().send_batch(STAGE, messages(2)).await, [Ok(()), Ok(())]);
    assert_eq!(entries(&service), [2, 2]);
    // One that is refused and one that fails for ever take no other along.
    let refused = |at| (at, "InvalidMessageContents", true);
    let (aws, service) = answering([address(), failed(&[refused(0), busy(3)])]).await;
    let sent = aws.queue().send_batch(STAGE, messages(4)).await;
    assert!(matches!(&sent[0], Err(PortError::Refused { .. })), "{sent:?}");
    assert_eq!(sent[1..3], [Ok(()), Ok(())]);
    assert!(cause(sent[3].clone()).contains("InternalError"));
    assert_eq!(entries(&service)[..2], [4, 2]);
    // A service that fails whole calls leaves all of them unsent.
    let (aws, service) = answering([address(), error(500, "InternalError")]).await;
    for sent in aws.queue().send_batch(STAGE, messages(2)).await {
        cause(sent);
    }
    assert_eq!(entries(&service), [2; ATTEMPTS as usize]);
}
