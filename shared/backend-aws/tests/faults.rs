//! The contract suites over a line on which calls get lost, answers get lost, and services are busy: what the ports
//! promise holds all the same, and nothing is done twice.
//!
//! As the suites of `contract.rs`, they need services.

#![allow(clippy::unwrap_used, reason = "in tests a panic is the report")]

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use aws_config::BehaviorVersion;
use aws_smithy_runtime_api::client::http::{
    HttpClient, HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpConnector,
};
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
use aws_smithy_runtime_api::client::result::ConnectorError;
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use aws_smithy_runtime_api::http::StatusCode;
use aws_smithy_types::body::SdkBody;
use aws_smithy_types::retry::RetryConfig;
use bytes::Bytes;
use pennypost_backend_aws::{Aws, Settings};
use pennypost_ports::{
    Consistency, Control, ControlKey, Created, Etag, Expected, Ids, Item, ObjectInfo, Objects, PortResult,
    Put, RandomIds, Replaced,
};

fn services(suite: &str) -> bool {
    let there = std::env::var("PENNYPOST_TEST_AWS").is_ok_and(|value| value == "1");
    if !there {
        eprintln!("skipped: {suite} needs PENNYPOST_TEST_AWS=1 (tests/cloud/emulator run)");
    }
    there
}

/// What happens to a call.
#[derive(Debug, Clone, Copy)]
enum Fate {
    Good,
    /// It never reaches the service.
    RequestLost,
    /// It takes effect, and nobody is told.
    AnswerLost,
    /// The service has too much to do.
    Throttled,
    /// The service failed after it did what it was asked.
    FailedAfterwards,
}

/// A line with faults, one call in five. A seed gives their order; which call meets which is up to the scheduler.
#[derive(Debug, Clone)]
struct Line {
    inner: SharedHttpConnector,
    state: Arc<AtomicU64>,
}

impl Line {
    fn fate(&self) -> Fate {
        // SplitMix64.
        let state = self.state.fetch_add(0x9E37_79B9_7F4A_7C15, Ordering::Relaxed);
        let mixed = (state ^ (state >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        match (mixed ^ (mixed >> 31)) % 20 {
            0 => Fate::RequestLost,
            1 => Fate::AnswerLost,
            2 => Fate::Throttled,
            3 => Fate::FailedAfterwards,
            _ => Fate::Good,
        }
    }
}

fn is_dynamodb(request: &HttpRequest) -> bool {
    request.headers().get("x-amz-target").is_some()
}

fn answer(status: u16, code: &str, json: bool) -> HttpResponse {
    let body = if json {
        format!(r#"{{"__type":"com.amazonaws.dynamodb.v20120810#{code}","message":"as the test wants"}}"#)
    } else {
        format!("<Error><Code>{code}</Code><Message>as the test wants</Message></Error>")
    };
    HttpResponse::new(StatusCode::try_from(status).unwrap(), SdkBody::from(body))
}

impl HttpConnector for Line {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let (inner, json) = (self.inner.clone(), is_dynamodb(&request));
        let lost = || ConnectorError::io("lost on the line".into());
        // A table, a bucket: making them is not what is tested.
        let making = match request.headers().get("x-amz-target") {
            Some(target) => !target.ends_with("Item") && !target.ends_with("Query"),
            None => {
                request.uri().trim_end_matches('/').matches('/').count() == 3 && request.method() == "PUT"
            }
        };
        match if making { Fate::Good } else { self.fate() } {
            Fate::Good => inner.call(request),
            Fate::RequestLost => HttpConnectorFuture::ready(Err(lost())),
            Fate::Throttled if json => {
                let busy = answer(400, "ProvisionedThroughputExceededException", json);
                HttpConnectorFuture::ready(Ok(busy))
            }
            Fate::Throttled => HttpConnectorFuture::ready(Ok(answer(503, "SlowDown", json))),
            Fate::AnswerLost => HttpConnectorFuture::new(async move {
                inner.call(request).await?;
                Err(lost())
            }),
            Fate::FailedAfterwards => HttpConnectorFuture::new(async move {
                inner.call(request).await?;
                let code = if json { "InternalServerError" } else { "InternalError" };
                Ok(answer(500, code, json))
            }),
        }
    }
}

/// Makes such lines.
#[derive(Debug)]
struct Lines {
    inner: aws_smithy_runtime_api::client::http::SharedHttpClient,
    state: Arc<AtomicU64>,
}

impl HttpClient for Lines {
    fn http_connector(
        &self,
        settings: &HttpConnectorSettings,
        components: &RuntimeComponents,
    ) -> SharedHttpConnector {
        let inner = self.inner.http_connector(settings, components);
        SharedHttpConnector::new(Line { inner, state: Arc::clone(&self.state) })
    }
}

async fn fresh(state: &Arc<AtomicU64>) -> Aws {
    let inner = aws_smithy_http_client::Builder::new().build_http();
    let configuration = aws_config::defaults(BehaviorVersion::latest())
        .http_client(Lines { inner, state: Arc::clone(state) })
        .retry_config(
            RetryConfig::standard()
                .with_max_attempts(20)
                .with_initial_backoff(Duration::from_millis(1))
                .with_max_backoff(Duration::from_millis(20)),
        )
        .load()
        .await;
    let stack = format!("test-{:016x}", RandomIds.random());
    let aws = Aws::with_configuration(Settings::of_stack(&stack), &configuration);
    aws.create_missing().await.unwrap();
    aws
}

fn seed(suite: &str) -> Arc<AtomicU64> {
    const NAME: &str = "PENNYPOST_TEST_SEED";
    let seed = std::env::var(NAME).ok().and_then(|seed| seed.parse().ok());
    let seed = seed.unwrap_or_else(|| RandomIds.random());
    eprintln!("{suite}: {NAME}={seed}");
    Arc::new(AtomicU64::new(seed))
}

#[tokio::test(flavor = "multi_thread")]
async fn journal() {
    if services("journal") {
        let state = seed("journal");
        // An entry that lies there already, and whose put is in doubt, counts as put.
        let counted = ["a_taken_number_gives_the_entry_that_has_it"];
        pennypost_contract::journal::all_but(&counted, async || fresh(&state).await.journal()).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn log() {
    if services("log") {
        let state = seed("log");
        pennypost_contract::log::all(async || fresh(&state).await.log()).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn objects() {
    if services("objects") {
        let state = seed("objects");
        // Where many replace one object, what became of a put can be unknown: counted below.
        let counted = ["racing_replacements_lose_nothing"];
        pennypost_contract::objects::all_but(&counted, async || {
            Arc::new(Asked(fresh(&state).await.objects())) as Arc<dyn Objects>
        })
        .await;
        replacements_are_done_once_or_in_doubt(fresh(&state).await.objects()).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn control() {
    if services("control") {
        let state = seed("control");
        let counted = ["racing_increments_lose_nothing"];
        pennypost_contract::control::all_but(&counted, async || {
            Arc::new(Asked(fresh(&state).await.control())) as Arc<dyn Control>
        })
        .await;
        increments_are_done_once_or_in_doubt(fresh(&state).await.control()).await;
    }
}

/// Increments of a counter that were answered for, and those of which nobody knows.
#[derive(Default)]
struct Increments {
    done: AtomicU64,
    doubtful: AtomicU64,
}

impl Increments {
    fn check(&self, counter: u64) {
        let (done, doubtful) = (self.done.load(Ordering::Relaxed), self.doubtful.load(Ordering::Relaxed));
        eprintln!("{counter} increments: {done} done, {doubtful} in doubt");
        assert!(done <= counter && counter <= done + doubtful);
        assert!(done > 0);
    }
}

async fn race<F: Future<Output = ()> + Send + 'static>(racer: impl Fn() -> F) {
    let racers: Vec<_> = (0..8).map(|_| tokio::spawn(racer())).collect();
    for racer in racers {
        racer.await.unwrap();
    }
}

fn count(bytes: &[u8]) -> u64 {
    std::str::from_utf8(bytes).unwrap().parse().unwrap()
}

async fn increments_are_done_once_or_in_doubt(control: Arc<dyn Control>) {
    let key = ControlKey::new("counters", "one");
    control.put_if(&key, b"0", Expected::Any).await.unwrap();
    let increments = Arc::new(Increments::default());
    race(|| {
        let (control, key, increments) = (Arc::clone(&control), key.clone(), Arc::clone(&increments));
        async move {
            for _ in 0..20 {
                loop {
                    let there = control.get(&key, Consistency::Strong).await;
                    let Ok(Some(item)) = there else { continue };
                    let next = (count(&item.value) + 1).to_string();
                    let expected = Expected::Version(item.version);
                    let place = match control.put_if(&key, next.as_bytes(), expected).await {
                        Ok(Put::Stored(_)) => &increments.done,
                        Ok(Put::Conflict(_)) => continue,
                        Err(_) => &increments.doubtful,
                    };
                    place.fetch_add(1, Ordering::Relaxed);
                    break;
                }
            }
        }
    })
    .await;
    let counter = control.get(&key, Consistency::Strong).await.unwrap().unwrap();
    increments.check(count(&counter.value));
}

async fn replacements_are_done_once_or_in_doubt(objects: Arc<dyn Objects>) {
    let name = "0000000000000001/state/counter";
    objects.put_unique(name, Bytes::from_static(b"0")).await.unwrap();
    let increments = Arc::new(Increments::default());
    race(|| {
        let (objects, increments) = (Arc::clone(&objects), Arc::clone(&increments));
        async move {
            for _ in 0..10 {
                loop {
                    let Ok((bytes, etag)) = objects.get(name).await else { continue };
                    let next = Bytes::from((count(&bytes) + 1).to_string());
                    let place = match objects.put_if_match(name, next, &etag).await {
                        Ok(Replaced::Stored) => &increments.done,
                        Ok(Replaced::Mismatch) => continue,
                        Err(_) => &increments.doubtful,
                    };
                    place.fetch_add(1, Ordering::Relaxed);
                    break;
                }
            }
        }
    })
    .await;
    increments.check(count(&objects.get(name).await.unwrap().0));
}

/// A port whose caller, told that something may or may not have been its own doing, looks again: the contract allows
/// that answer, and the suites, which have no rivals there, know what it means.
struct Asked<P: ?Sized>(Arc<P>);

#[async_trait]
impl Control for Asked<dyn Control> {
    async fn get(&self, key: &ControlKey, consistency: Consistency) -> PortResult<Option<Item>> {
        self.0.get(key, consistency).await
    }

    async fn put_if(&self, key: &ControlKey, value: &[u8], expected: Expected) -> PortResult<Put> {
        match self.0.put_if(key, value, expected).await {
            Err(error) if error.is_temporary() => match self.get(key, Consistency::Strong).await? {
                Some(item) if item.value == value => Ok(Put::Stored(item.version)),
                there => Ok(Put::Conflict(there)),
            },
            put => put,
        }
    }

    async fn delete_if(&self, key: &ControlKey, version: u64) -> PortResult<bool> {
        let there = self.get(key, Consistency::Strong).await?.is_some_and(|item| item.version == version);
        match self.0.delete_if(key, version).await {
            Err(error) if error.is_temporary() => {
                Ok(there && self.get(key, Consistency::Strong).await?.is_none())
            }
            deleted => deleted,
        }
    }

    async fn query(
        &self,
        partition: &str,
        prefix: &str,
        after: Option<&str>,
        limit: usize,
    ) -> PortResult<Vec<(String, Item)>> {
        self.0.query(partition, prefix, after, limit).await
    }
}

#[async_trait]
impl Objects for Asked<dyn Objects> {
    async fn put_unique(&self, name: &str, bytes: Bytes) -> PortResult<Created> {
        self.0.put_unique(name, bytes).await
    }

    async fn get(&self, name: &str) -> PortResult<(Bytes, Etag)> {
        self.0.get(name).await
    }

    async fn get_range(&self, name: &str, start: u64, len: u64) -> PortResult<Bytes> {
        self.0.get_range(name, start, len).await
    }

    async fn put_if_match(&self, name: &str, bytes: Bytes, etag: &Etag) -> PortResult<Replaced> {
        match self.0.put_if_match(name, bytes.clone(), etag).await {
            Err(error) if error.is_temporary() => {
                let there = self.get(name).await.is_ok_and(|(there, _)| there == bytes);
                Ok(if there { Replaced::Stored } else { Replaced::Mismatch })
            }
            replaced => replaced,
        }
    }

    async fn delete(&self, name: &str) -> PortResult<()> {
        self.0.delete(name).await
    }

    async fn list(&self, prefix: &str, after: Option<&str>, limit: usize) -> PortResult<Vec<ObjectInfo>> {
        self.0.list(prefix, after, limit).await
    }
}
