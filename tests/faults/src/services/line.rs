//! The line between the SDK and the services: what gets lost on it, and who answers.

use std::future::pending;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use aws_smithy_runtime_api::client::http::{
    HttpClient, HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpConnector,
};
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
use aws_smithy_runtime_api::client::result::ConnectorError;
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use aws_smithy_runtime_api::http::StatusCode;
use aws_smithy_types::body::SdkBody;
use bytes::Bytes;
use pennypost_simulation::executor::turn;
use rand::Rng;
use serde_json::json;

use super::fields::{Fault, strange};
use super::s3;
use super::{Outage, Services};

/// Requests of a thousand to which something happens on the line.
const PER_MILLE: u32 = 50;

/// Whether a process lives. What a dead one has sent and not yet got through never arrives.
#[derive(Debug, Clone)]
pub struct Alive(Arc<AtomicBool>);

impl Default for Alive {
    fn default() -> Alive {
        Alive(Arc::new(AtomicBool::new(true)))
    }
}

impl Alive {
    /// It dies.
    pub fn end(&self) {
        self.0.store(false, Ordering::Relaxed);
    }

    async fn check(&self) {
        if !self.0.load(Ordering::Relaxed) {
            pending::<()>().await;
        }
    }
}

/// What happens to a request.
#[derive(Debug, Clone, Copy)]
enum Fate {
    Good,
    Slow(u32),
    /// It never arrives; the connection breaks, or nothing is heard.
    RequestLost,
    NeverArrives,
    /// It is answered, and the answer never comes.
    AnswerLost,
    NeverAnswered,
    /// The service has too much to do.
    Throttled,
    /// The service fails before or after it has done it.
    FailedBefore,
    FailedAfter,
}

/// A request, taken apart.
pub(super) struct Request {
    pub(super) method: String,
    /// Without the query.
    pub(super) path: String,
    pub(super) query: Vec<(String, String)>,
    pub(super) headers: Vec<(String, String)>,
    pub(super) body: Bytes,
}

impl Request {
    pub(super) fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    fn target(&self) -> Option<(&str, &str)> {
        self.header("x-amz-target")?.split_once('.')
    }
}

/// An answer: status, headers, body.
pub(super) struct Reply {
    pub(super) status: u16,
    pub(super) headers: Vec<(String, String)>,
    pub(super) body: Bytes,
}

#[derive(Clone)]
pub(super) struct Lines {
    pub(super) services: Arc<Services>,
    pub(super) alive: Alive,
}

impl std::fmt::Debug for Lines {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("a line to the stand-in")
    }
}

impl HttpClient for Lines {
    fn http_connector(&self, _: &HttpConnectorSettings, _: &RuntimeComponents) -> SharedHttpConnector {
        SharedHttpConnector::new(self.clone())
    }
}

impl HttpConnector for Lines {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let lines = self.clone();
        HttpConnectorFuture::new(async move { lines.carry(&request).await })
    }
}

fn lost() -> ConnectorError {
    ConnectorError::io("lost on the line".into())
}

impl Lines {
    fn fate(&self) -> Fate {
        let source = &self.services.source;
        if source.chance(PER_MILLE) {
            return match source.random(|random| random.random_range(0..16)) {
                0..3 => Fate::RequestLost,
                3..6 => Fate::AnswerLost,
                6..9 => Fate::Throttled,
                9..11 => Fate::FailedBefore,
                11..14 => Fate::FailedAfter,
                14 => Fate::NeverArrives,
                _ => Fate::NeverAnswered,
            };
        }
        match source.fate(0, false) {
            crate::source::Fate::Slow(turns) => Fate::Slow(turns),
            _ => Fate::Good,
        }
    }

    async fn carry(&self, request: &HttpRequest) -> Result<HttpResponse, ConnectorError> {
        let services = &self.services;
        let request = match take_apart(request) {
            Ok(request) => request,
            Err(fault) => {
                services.note(&fault, "a request");
                return Err(lost());
            }
        };
        turn().await;
        self.alive.check().await;
        let reply = match self.fate() {
            Fate::Good => services.answer(&request).await,
            Fate::Slow(turns) => {
                for _ in 0..turns {
                    turn().await;
                }
                self.alive.check().await;
                services.answer(&request).await
            }
            Fate::RequestLost => return Err(lost()),
            Fate::NeverArrives => pending().await,
            Fate::Throttled => busy(&request),
            Fate::FailedBefore => failed(&request),
            Fate::AnswerLost => {
                services.answer(&request).await;
                return Err(lost());
            }
            Fate::NeverAnswered => {
                services.answer(&request).await;
                pending().await
            }
            Fate::FailedAfter => {
                services.answer(&request).await;
                failed(&request)
            }
        };
        turn().await;
        self.alive.check().await;
        let mut response = HttpResponse::new(
            StatusCode::try_from(reply.status).map_err(|error| ConnectorError::user(error.into()))?,
            SdkBody::from(reply.body),
        );
        for (name, value) in reply.headers {
            response.headers_mut().insert(name, value);
        }
        Ok(response)
    }
}

fn take_apart(request: &HttpRequest) -> Result<Request, Fault> {
    let uri = request.uri();
    let after_host = uri.split_once("://").map_or(uri, |(_, rest)| rest);
    let path = after_host.find('/').map_or("/", |at| &after_host[at..]);
    let (path, query) = path.split_once('?').unwrap_or((path, ""));
    let query = query.split('&').filter(|pair| !pair.is_empty());
    let query = query.map(|pair| pair.split_once('=').unwrap_or((pair, "")));
    let headers = request.headers().iter().map(|(name, value)| (name.to_ascii_lowercase(), value.to_owned()));
    let body = match request.body().bytes() {
        Some(bytes) => Bytes::copy_from_slice(bytes),
        None => return strange("a body that is not in memory"),
    };
    Ok(Request {
        method: request.method().to_owned(),
        path: decoded(path)?,
        query: query
            .map(|(name, value)| Ok((decoded(name)?, decoded(value)?)))
            .collect::<Result<_, Fault>>()?,
        headers: headers.collect(),
        body,
    })
}

/// What a part of a URL says.
fn decoded(part: &str) -> Result<String, Fault> {
    let mut bytes = Vec::with_capacity(part.len());
    let mut rest = part.bytes();
    while let Some(byte) = rest.next() {
        if byte != b'%' {
            bytes.push(byte);
            continue;
        }
        let digits =
            [rest.next(), rest.next()].map(|digit| digit.and_then(|digit| (digit as char).to_digit(16)));
        let [Some(high), Some(low)] = digits else { return strange(format!("a URL with {part}")) };
        bytes.push((high * 16 + low) as u8);
    }
    String::from_utf8(bytes).or_else(|_| strange(format!("a URL with {part}")))
}

fn json_error(status: u16, code: &str, more: serde_json::Value, prefix: &str) -> Reply {
    let mut body = more;
    body["__type"] = json!(format!("{prefix}#{code}"));
    body["message"] = json!("as documented");
    Reply {
        status,
        headers: vec![("content-type".to_owned(), "application/x-amz-json-1.0".to_owned())],
        body: body.to_string().into(),
    }
}

fn prefix(request: &Request) -> Option<&'static str> {
    match request.target()?.0 {
        "DynamoDB_20120810" => Some("com.amazonaws.dynamodb.v20120810"),
        _ => Some("com.amazonaws.sqs"),
    }
}

fn busy(request: &Request) -> Reply {
    match prefix(request) {
        Some(prefix) if prefix.contains("dynamodb") => {
            json_error(400, "ProvisionedThroughputExceededException", json!({}), prefix)
        }
        Some(prefix) => json_error(400, "RequestThrottled", json!({}), prefix),
        None => s3::error(503, "SlowDown"),
    }
}

fn failed(request: &Request) -> Reply {
    match prefix(request) {
        Some(prefix) if prefix.contains("dynamodb") => {
            json_error(500, "InternalServerError", json!({}), prefix)
        }
        Some(prefix) => json_error(500, "InternalError", json!({}), prefix),
        None => s3::error(500, "InternalError"),
    }
}

/// The answer while something is wrong, for requests that it concerns.
fn refused_for(outage: Outage, request: &Request) -> Option<Reply> {
    let call = request.target().map(|(_, call)| call);
    match (outage, prefix(request)) {
        (Outage::CredentialsExpired, Some(prefix)) => {
            Some(json_error(400, "ExpiredTokenException", json!({}), prefix))
        }
        (Outage::CredentialsExpired, None) => Some(s3::error(400, "ExpiredToken")),
        (Outage::BucketMissing, None) => Some(s3::error(404, "NoSuchBucket")),
        (Outage::TablesMissing, Some(prefix)) if prefix.contains("dynamodb") => {
            Some(json_error(400, "ResourceNotFoundException", json!({}), prefix))
        }
        (Outage::TablesFull, Some(prefix)) if prefix.contains("dynamodb") => {
            let writes = call.is_some_and(|call| !matches!(call, "GetItem" | "BatchGetItem" | "Query"));
            writes.then(|| json_error(400, "RequestLimitExceeded", json!({}), prefix))
        }
        _ => None,
    }
}

/// Headers that every request may have.
const HEADERS: &[&str] = &[
    "accept",
    "amz-sdk-invocation-id",
    "amz-sdk-request",
    "authorization",
    "content-length",
    "content-type",
    "user-agent",
    "x-amz-content-sha256",
    "x-amz-date",
    "x-amz-target",
    "x-amz-user-agent",
    "x-amzn-query-mode",
];

impl Services {
    fn note(&self, fault: &Fault, what: &str) {
        if let Fault::Strange(why) = fault {
            self.misunderstood.lock().push(format!("{what}: {why}"));
        }
    }

    async fn answer(&self, request: &Request) -> Reply {
        if let Some(reply) = (*self.outage.lock()).and_then(|outage| refused_for(outage, request)) {
            return reply;
        }
        let Some((_, call)) = request.target() else {
            let result = self.buckets.lock().answer(request, self.hours.now(), &self.source);
            return result.unwrap_or_else(|fault| match fault {
                Fault::Refused(status, code, _) => s3::error(status, code),
                Fault::Strange(_) => {
                    self.note(&fault, &format!("S3 {} {}", request.method, request.path));
                    s3::error(501, "NotImplemented")
                }
            });
        };
        let prefix = prefix(request).unwrap_or_default();
        let result = match known_headers(request) {
            Err(fault) => Err(fault),
            Ok(()) if prefix.contains("dynamodb") => {
                self.dynamo.lock().answer(call, &request.body, &self.source)
            }
            Ok(()) => self.sqs(call, &request.body).await,
        };
        match result {
            Ok(body) => Reply {
                status: 200,
                headers: vec![("content-type".to_owned(), "application/x-amz-json-1.0".to_owned())],
                body: body.to_string().into(),
            },
            Err(Fault::Refused(status, code, more)) => json_error(status, code, more, prefix),
            Err(fault @ Fault::Strange(_)) => {
                self.note(&fault, call);
                json_error(400, "UnknownOperationException", json!({}), prefix)
            }
        }
    }
}

fn known_headers(request: &Request) -> Result<(), Fault> {
    for (name, _) in &request.headers {
        if !HEADERS.contains(&name.as_str()) {
            return strange(format!("a header {name}"));
        }
    }
    match (request.method.as_str(), request.header("authorization")) {
        ("POST", Some(_)) => Ok(()),
        (_, None) => strange("a request that is not signed"),
        (method, _) => strange(format!("a {method}")),
    }
}
