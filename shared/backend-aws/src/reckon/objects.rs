//! Objects: one request for each call; listings by pages.

use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use pennypost_meter::{MILLI, Unit, count};
use pennypost_ports::{Created, Etag, ObjectInfo, Objects, PortResult, Replaced};

/// Names that one answer lists at most.
const PAGE: usize = 1000;

pub(super) struct ReckonedObjects(pub(super) Arc<dyn Objects>);

fn count_put(len: usize, is_stored: bool) {
    count(Unit::ObjectWrite, MILLI);
    if is_stored {
        count(Unit::ObjectBytesWritten, len as u64 * MILLI);
    }
}

fn count_get(len: usize) {
    count(Unit::ObjectRead, MILLI);
    count(Unit::ObjectBytesRead, len as u64 * MILLI);
}

#[async_trait]
impl Objects for ReckonedObjects {
    async fn put_unique(&self, name: &str, bytes: Bytes) -> PortResult<Created> {
        let len = bytes.len();
        let created = self.0.put_unique(name, bytes).await?;
        count_put(len, created == Created::Stored);
        Ok(created)
    }

    async fn get(&self, name: &str) -> PortResult<(Bytes, Etag)> {
        let got = self.0.get(name).await;
        count_get(got.as_ref().map_or(0, |(bytes, _)| bytes.len()));
        got
    }

    async fn get_range(&self, name: &str, start: u64, len: u64) -> PortResult<Bytes> {
        let got = self.0.get_range(name, start, len).await;
        count_get(got.as_ref().map_or(0, Bytes::len));
        got
    }

    async fn put_if_match(&self, name: &str, bytes: Bytes, etag: &Etag) -> PortResult<Replaced> {
        let len = bytes.len();
        let replaced = self.0.put_if_match(name, bytes, etag).await?;
        count_put(len, replaced == Replaced::Stored);
        Ok(replaced)
    }

    async fn delete(&self, name: &str) -> PortResult<()> {
        count(Unit::ObjectDelete, MILLI);
        self.0.delete(name).await
    }

    async fn list(&self, prefix: &str, after: Option<&str>, limit: usize) -> PortResult<Vec<ObjectInfo>> {
        let found = self.0.list(prefix, after, limit).await?;
        count(Unit::ObjectList, found.len().div_ceil(PAGE).max(1) as u64 * MILLI);
        Ok(found)
    }
}
