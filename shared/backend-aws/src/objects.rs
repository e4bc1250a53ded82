//! Objects in a bucket of S3, under their names.
//!
//! Each put carries a random mark in the object's metadata, and the version that it replaces: a put that the SDK repeats
//! because its first answer was lost finds its own object by the mark, or by the version that another put was faster.

use std::collections::HashMap;
use std::time::Duration;

use async_trait::async_trait;
use aws_sdk_s3::Client;
use aws_sdk_s3::operation::get_object::GetObjectOutput;
use aws_sdk_s3::primitives::ByteStream;
use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use aws_smithy_runtime_api::client::result::SdkError;
use aws_smithy_types::error::metadata::ProvideErrorMetadata;
use bytes::Bytes;
use pennypost_meter::{MILLI, Unit, count};
use pennypost_model::Timestamp;
use pennypost_ports::{
    BadObjectName, Created, Etag, ObjectInfo, Objects, PortError, PortResult, Replaced, check_object_name,
    check_object_prefix,
};

use crate::clients::timeouts;
use crate::doubt::Doubt;
use crate::failure::failure;
use crate::table::pause;

pub(crate) const PORT: &str = "objects";
/// The metadata that holds the mark of a put (`x-amz-meta-put`).
const MARK: &str = "put";
/// The metadata that holds the version that a put replaced, without its quotes (`x-amz-meta-over`).
const OVER: &str = "over";
/// No object is as large: a range that begins here is empty, and one that ends here ends with the object.
const BEYOND: u64 = 1 << 50;
/// The most names that the service lists in one answer.
const LARGEST_PAGE: usize = 1000;
/// How often a read is begun whose bytes then stop coming.
const READS: u32 = 4;
/// How often a put is made that the service can't decide on because of another one at the same time.
const CONFLICTS: u32 = 10;

/// [`Objects`] in a bucket.
#[derive(Debug, Clone)]
pub(crate) struct AwsObjects {
    pub(crate) client: Client,
    pub(crate) bucket: String,
}

/// What a put asks of what is there.
enum Condition<'a> {
    Nothing,
    Version(&'a Etag),
}

impl Condition<'_> {
    /// As metadata of the put: the version to replace.
    fn over(&self) -> Option<String> {
        match self {
            Condition::Nothing => None,
            Condition::Version(etag) => Some(etag.0.trim_matches('"').to_owned()),
        }
    }
}

/// What an object says of the put that it comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Origin {
    mark: Option<String>,
    over: Option<String>,
}

/// Was the put under `mark` over `over` done, if an attempt of it may have been and this is there now? `None` if that can't
/// be told: what it wrote may have been replaced or deleted since.
fn was_done(mark: &str, over: Option<&str>, there: Option<&Origin>) -> Option<bool> {
    let there = there?;
    if there.mark.as_deref() == Some(mark) {
        return Some(true);
    }
    // Only one put replaces a version, and this was another one.
    (there.over.as_deref() == over).then_some(false)
}

fn refused(bad: &BadObjectName) -> PortError {
    PortError::Refused { port: PORT, cause: bad.to_string() }
}

fn check(name: &str) -> PortResult<()> {
    check_object_name(name).map_err(|bad| refused(&bad))
}

fn not_found(name: &str) -> PortError {
    PortError::NotFound { port: PORT, what: format!("object {name}") }
}

/// The HTTP status of the service's answer, if it gave one.
fn status<E>(error: &SdkError<E, HttpResponse>) -> Option<u16> {
    error.raw_response().map(|response| response.status().as_u16())
}

fn is_missing<E: ProvideErrorMetadata>(error: &SdkError<E, HttpResponse>) -> bool {
    status(error) == Some(404) && error.code() != Some("NoSuchBucket")
}

impl AwsObjects {
    fn failed<E: ProvideErrorMetadata>(&self, error: &SdkError<E, HttpResponse>) -> PortError {
        failure(PORT, &format!("bucket {}", self.bucket), error)
    }

    /// Counts a call that ended so. What the service refuses is billed, what it fails at is not.
    fn count<T, E>(&self, unit: Unit, result: &Result<T, SdkError<E, HttpResponse>>) {
        let billed = match result {
            Ok(_) => true,
            Err(error) => status(error).is_some_and(|status| status < 500),
        };
        if billed {
            count(unit, MILLI);
        }
    }

    /// What the put of an object says of itself; `None` if there is no object.
    async fn origin(&self, name: &str) -> PortResult<Option<Origin>> {
        let head = self.client.head_object().bucket(&self.bucket).key(name).send().await;
        self.count(Unit::ObjectRead, &head);
        match head {
            Ok(head) => {
                let metadata = |key| head.metadata().and_then(|metadata| metadata.get(key)).cloned();
                Ok(Some(Origin { mark: metadata(MARK), over: metadata(OVER) }))
            }
            Err(error) if is_missing(&error) => Ok(None),
            Err(error) => Err(self.failed(&error)),
        }
    }

    /// Is there such an object?
    async fn exists(&self, name: &str) -> PortResult<bool> {
        Ok(self.origin(name).await?.is_some())
    }

    /// Puts the object if the condition holds. `false` if it does not.
    async fn put(&self, name: &str, bytes: Bytes, condition: Condition<'_>) -> PortResult<bool> {
        let (mark, over) = (format!("{:032x}", rand::random::<u128>()), condition.over());
        let mut metadata = HashMap::from([(MARK.to_owned(), mark.clone())]);
        metadata.extend(over.clone().map(|over| (OVER.to_owned(), over)));
        let doubt = Doubt::default();
        let len = bytes.len() as u64;
        for conflict in 1..=CONFLICTS {
            let put = self
                .client
                .put_object()
                .bucket(&self.bucket)
                .key(name)
                .set_metadata(Some(metadata.clone()))
                .body(ByteStream::from(bytes.clone()));
            let put = match &condition {
                Condition::Nothing => put.if_none_match("*"),
                Condition::Version(etag) => put.if_match(&etag.0),
            };
            let time_outs = aws_sdk_s3::config::Config::builder().timeout_config(timeouts(len));
            let put = put.customize().config_override(time_outs).interceptor(doubt.clone()).send().await;
            self.count(Unit::ObjectWrite, &put);
            let error = match put {
                Ok(_) => {
                    count(Unit::ObjectBytesWritten, len * MILLI);
                    return Ok(true);
                }
                Err(error) => error,
            };
            match status(&error) {
                // Another put is under way, and its end will decide.
                Some(409) => tokio::time::sleep(pause(conflict)).await,
                Some(404 | 412) if doubt.is_there() && error.code() != Some("NoSuchBucket") => {
                    let there = self.origin(name).await?;
                    let done = was_done(&mark, over.as_deref(), there.as_ref());
                    if done == Some(true) {
                        count(Unit::ObjectBytesWritten, len * MILLI);
                    }
                    return done.ok_or_else(|| {
                        let cause = format!("whether object {name} was put is not known: an answer was lost");
                        PortError::Unavailable { port: PORT, cause }
                    });
                }
                Some(412) => return Ok(false),
                Some(404) if over.is_some() && is_missing(&error) => return Ok(false),
                _ => return Err(self.failed(&error)),
            }
        }
        let cause = format!("other puts of object {name} did not end");
        Err(PortError::Unavailable { port: PORT, cause })
    }

    /// The bytes of an answer, or nothing when they stopped coming.
    async fn body(&self, output: GetObjectOutput) -> Option<Bytes> {
        let len = output.content_length().and_then(|len| u64::try_from(len).ok()).unwrap_or(0);
        let longest = timeouts(len).operation_attempt_timeout().unwrap_or(Duration::MAX);
        let collected = tokio::time::timeout(longest, output.body.collect()).await;
        let bytes = collected.ok()?.ok()?.into_bytes();
        count(Unit::ObjectBytesRead, bytes.len() as u64 * MILLI);
        Some(bytes)
    }

    fn stopped(&self, name: &str) -> PortError {
        let cause = format!("bucket {} has not sent all of object {name} in time", self.bucket);
        PortError::Unavailable { port: PORT, cause }
    }
}

#[async_trait]
impl Objects for AwsObjects {
    async fn put_unique(&self, name: &str, bytes: Bytes) -> PortResult<Created> {
        check(name)?;
        let stored = self.put(name, bytes, Condition::Nothing).await?;
        Ok(if stored { Created::Stored } else { Created::Exists })
    }

    async fn get(&self, name: &str) -> PortResult<(Bytes, Etag)> {
        check(name)?;
        for attempt in 1..=READS {
            let got = self.client.get_object().bucket(&self.bucket).key(name).send().await;
            self.count(Unit::ObjectRead, &got);
            let output = match got {
                Ok(output) => output,
                Err(error) if is_missing(&error) => return Err(not_found(name)),
                Err(error) => return Err(self.failed(&error)),
            };
            let etag = Etag(output.e_tag().unwrap_or_default().to_owned());
            if let Some(bytes) = self.body(output).await {
                return Ok((bytes, etag));
            }
            tokio::time::sleep(pause(attempt)).await;
        }
        Err(self.stopped(name))
    }

    async fn get_range(&self, name: &str, start: u64, len: u64) -> PortResult<Bytes> {
        check(name)?;
        if len == 0 || start >= BEYOND {
            return if self.exists(name).await? { Ok(Bytes::new()) } else { Err(not_found(name)) };
        }
        let last = start.saturating_add(len - 1).min(BEYOND);
        for attempt in 1..=READS {
            let range = format!("bytes={start}-{last}");
            let got = self.client.get_object().bucket(&self.bucket).key(name).range(range).send().await;
            self.count(Unit::ObjectRead, &got);
            let output = match got {
                Ok(output) => output,
                Err(error) if is_missing(&error) => return Err(not_found(name)),
                // It begins behind the last byte.
                Err(error) if status(&error) == Some(416) => return Ok(Bytes::new()),
                Err(error) => return Err(self.failed(&error)),
            };
            let whole = output.content_range().is_none();
            if let Some(bytes) = self.body(output).await {
                return Ok(if whole { cut(&bytes, start, len) } else { bytes });
            }
            tokio::time::sleep(pause(attempt)).await;
        }
        Err(self.stopped(name))
    }

    async fn put_if_match(&self, name: &str, bytes: Bytes, etag: &Etag) -> PortResult<Replaced> {
        check(name)?;
        let stored = self.put(name, bytes, Condition::Version(etag)).await?;
        Ok(if stored { Replaced::Stored } else { Replaced::Mismatch })
    }

    async fn delete(&self, name: &str) -> PortResult<()> {
        check(name)?;
        let deleted = self.client.delete_object().bucket(&self.bucket).key(name).send().await;
        self.count(Unit::ObjectDelete, &deleted);
        match deleted {
            Ok(_) => Ok(()),
            Err(error) if is_missing(&error) => Ok(()),
            Err(error) => Err(self.failed(&error)),
        }
    }

    async fn list(&self, prefix: &str, after: Option<&str>, limit: usize) -> PortResult<Vec<ObjectInfo>> {
        check_object_prefix(prefix).map_err(|bad| refused(&bad))?;
        let mut found: Vec<ObjectInfo> = Vec::new();
        let mut after = after.map(str::to_owned);
        while found.len() < limit {
            let wanted = (limit - found.len()).min(LARGEST_PAGE);
            let listed = self
                .client
                .list_objects_v2()
                .bucket(&self.bucket)
                .prefix(prefix)
                .set_start_after(after.take())
                .max_keys(i32::try_from(wanted).unwrap_or(i32::MAX))
                .send()
                .await;
            self.count(Unit::ObjectList, &listed);
            let listed = listed.map_err(|error| self.failed(&error))?;
            for object in listed.contents() {
                let Some(name) = object.key() else { continue };
                let size = object.size().and_then(|size| u64::try_from(size).ok()).unwrap_or(0);
                let modified = object.last_modified().and_then(|time| time.to_millis().ok()).unwrap_or(0);
                found.push(ObjectInfo { name: name.to_owned(), size, modified: Timestamp(modified) });
            }
            if listed.is_truncated() != Some(true) || listed.contents().is_empty() {
                break;
            }
            after = found.last().map(|last| last.name.clone());
        }
        Ok(found)
    }
}

/// The wanted range of a whole object, from a service that does not know ranges.
fn cut(whole: &Bytes, start: u64, len: u64) -> Bytes {
    let end = start.saturating_add(len).min(whole.len() as u64);
    let start = start.min(end);
    // Both are within the object now.
    whole.slice(start as usize..end as usize)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_put_in_doubt_is_known_by_its_mark_and_what_it_replaced() {
        let origin = |mark: &str, over: Option<&str>| {
            Some(Origin { mark: Some(mark.to_owned()), over: over.map(str::to_owned) })
        };
        for (over, there, done) in [
            (None, origin("ours", None), Some(true)),
            (None, origin("other", None), Some(false)),
            // Created, by us or not, and replaced since.
            (None, origin("other", Some("1")), None),
            (None, None, None),
            (Some("1"), origin("ours", Some("1")), Some(true)),
            (Some("1"), origin("other", Some("1")), Some(false)),
            (Some("1"), origin("other", Some("2")), None),
            (Some("1"), origin("other", None), None),
            (Some("1"), None, None),
        ] {
            assert_eq!(was_done("ours", over, there.as_ref()), done, "{over:?} {there:?}");
        }
    }

    #[test]
    fn a_range_is_cut_from_a_whole_object() {
        let whole = Bytes::from_static(b"0123456789");
        for (start, len, wanted) in
            [(0, 3, "012"), (8, 5, "89"), (10, 1, ""), (50, 1, ""), (3, u64::MAX, "3456789"), (0, 0, "")]
        {
            assert_eq!(cut(&whole, start, len), wanted.as_bytes());
        }
    }
}
