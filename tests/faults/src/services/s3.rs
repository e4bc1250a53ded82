//! S3: objects in memory, with conditional puts, ranges and lists.

use std::collections::BTreeMap;
use std::ops::Bound;

use bytes::Bytes;
use pennypost_model::Timestamp;
use sha2::{Digest, Sha256};

use super::fields::{Answer, Fault, refused, strange};
use super::line::{Reply, Request};
use crate::source::Source;

const LARGEST_PAGE: usize = 1000;

struct Object {
    bytes: Bytes,
    etag: String,
    /// `x-amz-meta-…`, with the values.
    metadata: Vec<(String, String)>,
    modified: Timestamp,
}

/// The service.
#[derive(Default)]
pub(super) struct Buckets {
    buckets: BTreeMap<String, BTreeMap<String, Object>>,
}

/// Headers that a request may have besides its conditions and metadata.
const HEADERS: &[&str] = &[
    "accept",
    "amz-sdk-invocation-id",
    "amz-sdk-request",
    "authorization",
    "content-length",
    "content-type",
    "user-agent",
    "x-amz-checksum-crc32",
    "x-amz-checksum-mode",
    "x-amz-content-sha256",
    "x-amz-date",
    "x-amz-sdk-checksum-algorithm",
    "x-amz-user-agent",
];

/// An error as the service writes it.
pub(super) fn error(status: u16, code: &str) -> Reply {
    let body = format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<Error><Code>{code}</Code><Message>as documented</Message></Error>"
    );
    reply(status, vec![("content-type", "application/xml".to_owned())], body.into())
}

fn reply(status: u16, headers: Vec<(&str, String)>, body: Bytes) -> Reply {
    let headers = headers.into_iter().map(|(name, value)| (name.to_owned(), value));
    Reply { status, headers: headers.collect(), body }
}

fn not(status: u16, code: &'static str) -> Fault {
    Fault::Refused(status, code, serde_json::Value::Null)
}

/// What a request says beside its path.
#[derive(Default)]
struct Said {
    if_none_match: Option<String>,
    if_match: Option<String>,
    range: Option<String>,
    metadata: Vec<(String, String)>,
}

fn said(request: &Request) -> Answer<Said> {
    let mut said = Said::default();
    for (name, value) in &request.headers {
        match name.as_str() {
            "if-none-match" => said.if_none_match = Some(value.clone()),
            "if-match" => said.if_match = Some(value.clone()),
            "range" => said.range = Some(value.clone()),
            name if name.starts_with("x-amz-meta-") => said.metadata.push((name.to_owned(), value.clone())),
            name if HEADERS.contains(&name) => {}
            other => return strange(format!("a header {other}")),
        }
    }
    if request.header("authorization").is_none() {
        return strange("a request that is not signed");
    }
    Ok(said)
}

impl Buckets {
    pub(super) fn install(&mut self, name: &str) {
        self.buckets.insert(name.to_owned(), BTreeMap::new());
    }

    pub(super) fn answer(&mut self, request: &Request, now: Timestamp, source: &Source) -> Answer<Reply> {
        let said = said(request)?;
        let path = request.path.trim_start_matches('/');
        let (bucket, key) = path.split_once('/').unwrap_or((path, ""));
        let mut query = request.query.clone();
        query.retain(|(name, _)| name != "x-id");
        if key.is_empty() && request.method == "PUT" && query.is_empty() {
            if self.buckets.contains_key(bucket) {
                return Err(not(409, "BucketAlreadyOwnedByYou"));
            }
            self.install(bucket);
            return Ok(reply(200, vec![], Bytes::new()));
        }
        let Some(objects) = self.buckets.get_mut(bucket) else { return Err(not(404, "NoSuchBucket")) };
        if key.is_empty() && request.method == "GET" {
            return list(objects, &query);
        }
        if !query.is_empty() || key.is_empty() {
            return strange(format!("the query {query:?}"));
        }
        match request.method.as_str() {
            "PUT" => put(objects, key, &said, &request.body, now, source),
            "GET" => get(objects, key, &said),
            "HEAD" => match objects.get(key) {
                Some(object) => Ok(reply(200, about(object, object.bytes.len()), Bytes::new())),
                // Without a body there is no code.
                None => Ok(reply(404, vec![], Bytes::new())),
            },
            "DELETE" => {
                objects.remove(key);
                Ok(reply(204, vec![], Bytes::new()))
            }
            other => strange(format!("a {other}")),
        }
    }
}

fn about(object: &Object, length: usize) -> Vec<(&str, String)> {
    let mut headers = vec![
        ("content-type", "binary/octet-stream".to_owned()),
        ("content-length", length.to_string()),
        ("etag", object.etag.clone()),
    ];
    headers.extend(object.metadata.iter().map(|(name, value)| (name.as_str(), value.clone())));
    headers
}

fn put(
    objects: &mut BTreeMap<String, Object>,
    key: &str,
    said: &Said,
    bytes: &Bytes,
    now: Timestamp,
    source: &Source,
) -> Answer<Reply> {
    if key.len() > 1024 {
        return refused("KeyTooLongError");
    }
    // Another put at the same time.
    if source.chance(10) {
        return Err(not(409, "ConditionalRequestConflict"));
    }
    let there = objects.get(key);
    match (&said.if_none_match, &said.if_match, there) {
        (Some(star), None, None) if star == "*" => {}
        (Some(star), None, Some(_)) if star == "*" => return Err(not(412, "PreconditionFailed")),
        (None, Some(_), None) => return Err(not(404, "NoSuchKey")),
        (None, Some(etag), Some(there)) if there.etag == *etag => {}
        (None, Some(_), Some(_)) => return Err(not(412, "PreconditionFailed")),
        _ => return strange("a put with other conditions"),
    }
    // The same bytes have the same tag, whoever puts them.
    let digest = Sha256::digest(bytes);
    let etag = format!("\"{}\"", digest[..16].iter().map(|byte| format!("{byte:02x}")).collect::<String>());
    let (bytes, metadata) = (bytes.clone(), said.metadata.clone());
    objects.insert(key.to_owned(), Object { bytes, etag: etag.clone(), metadata, modified: now });
    Ok(reply(200, vec![("etag", etag)], Bytes::new()))
}

fn get(objects: &BTreeMap<String, Object>, key: &str, said: &Said) -> Answer<Reply> {
    let Some(object) = objects.get(key) else { return Err(not(404, "NoSuchKey")) };
    let Some(range) = &said.range else {
        return Ok(reply(200, about(object, object.bytes.len()), object.bytes.clone()));
    };
    let ends = range.strip_prefix("bytes=").and_then(|range| range.split_once('-'));
    let ends =
        ends.and_then(|(first, last)| Some((first.parse::<usize>().ok()?, last.parse::<usize>().ok()?)));
    let Some((first, last)) = ends.filter(|(first, last)| first <= last) else {
        return strange(format!("the range {range}"));
    };
    let len = object.bytes.len();
    if first >= len {
        return Err(not(416, "InvalidRange"));
    }
    let end = last.saturating_add(1).min(len);
    let mut headers = about(object, end - first);
    headers.push(("content-range", format!("bytes {first}-{}/{len}", end - 1)));
    Ok(reply(206, headers, object.bytes.slice(first..end)))
}

fn list(objects: &BTreeMap<String, Object>, query: &[(String, String)]) -> Answer<Reply> {
    let (mut prefix, mut after, mut most, mut version) = ("", "", LARGEST_PAGE, "");
    for (name, value) in query {
        match name.as_str() {
            "list-type" => version = value,
            "prefix" => prefix = value,
            "start-after" => after = value,
            "max-keys" => {
                let Ok(number) = value.parse::<usize>() else { return strange(format!("max-keys {value}")) };
                most = number.min(LARGEST_PAGE);
            }
            other => return strange(format!("the parameter {other}")),
        }
    }
    if version != "2" {
        return strange(format!("list-type {version}"));
    }
    let behind = objects.range::<str, _>((Bound::Excluded(after), Bound::Unbounded));
    let mut named = behind.filter(|(name, _)| name.starts_with(prefix));
    let mut contents = String::new();
    let mut count = 0;
    for (name, object) in named.by_ref().take(most) {
        count += 1;
        // The names that are allowed here need no escape.
        contents.push_str(&format!(
            "<Contents><Key>{name}</Key><LastModified>{}</LastModified><ETag>{}</ETag><Size>{}</Size></Contents>",
            // Seconds are all that the service keeps.
            Timestamp(object.modified.0 / 1000 * 1000).rfc3339(),
            object.etag.replace('"', "&quot;"),
            object.bytes.len(),
        ));
    }
    let more = named.next().is_some();
    let body = format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<ListBucketResult xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\">\
         <KeyCount>{count}</KeyCount><IsTruncated>{more}</IsTruncated>{contents}</ListBucketResult>"
    );
    Ok(reply(200, vec![("content-type", "application/xml".to_owned())], body.into()))
}
