//! Object storage: immutable bytes under names, whole objects in one write.
//!
//! Names are `tenant/kind/…` of ASCII letters, digits, `-`, `_`, `.` and `/`; no empty, `.` or `..` component;
//! at most 512 bytes, and 200 in a component (what every file system carries). Another name is
//! [`crate::PortError::Refused`], as [`crate::check_object_name`] says. No name goes on where another one ends (`a/b`
//! and `a/b/c`).

use async_trait::async_trait;
use bytes::Bytes;
use pennypost_model::Timestamp;

use crate::PortResult;

/// Identifies one version of an object's bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Etag(pub String);

/// An object to be put under a name that nobody else uses: one with a fresh id in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewObject {
    /// Its name.
    pub name: String,
    /// Its bytes.
    pub bytes: Bytes,
}

/// What became of a `put_unique`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Created {
    /// The bytes are there, durably.
    Stored,
    /// The name was taken; nothing was changed.
    Exists,
}

/// What became of a `put_if_match`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Replaced {
    /// The new bytes are there, durably.
    Stored,
    /// The object has changed or is gone; nothing was changed.
    Mismatch,
}

/// An object in a listing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ObjectInfo {
    /// Its name.
    pub name: String,
    /// Its bytes.
    pub size: u64,
    /// When it was written.
    pub modified: Timestamp,
}

/// Object storage. Reads see every write that returned before they began; a reader sees the old bytes or the
/// new, never a mixture or a part.
#[async_trait]
pub trait Objects: Send + Sync {
    /// Writes a new object. Of two racing writers exactly one gets `Stored`.
    async fn put_unique(&self, name: &str, bytes: Bytes) -> PortResult<Created>;

    /// As [`Objects::put_unique`], of bytes that lie in pieces.
    async fn put_unique_pieces(&self, name: &str, pieces: Vec<Bytes>) -> PortResult<Created> {
        self.put_unique(name, pieces.concat().into()).await
    }

    /// All bytes and their version.
    async fn get(&self, name: &str) -> PortResult<(Bytes, Etag)>;

    /// `len` bytes from `start`; fewer where the object ends. [`crate::PortError::NotFound`] if there is no
    /// such object.
    async fn get_range(&self, name: &str, start: u64, len: u64) -> PortResult<Bytes>;

    /// Replaces the object if its version still is `etag`.
    async fn put_if_match(&self, name: &str, bytes: Bytes, etag: &Etag) -> PortResult<Replaced>;

    /// Deletes the object; `Ok` also when there is none.
    async fn delete(&self, name: &str) -> PortResult<()>;

    /// Objects whose names begin with `prefix` (which ends with `/` or is empty) and come after `after`, in
    /// ascending order of their names, at most `limit`.
    async fn list(&self, prefix: &str, after: Option<&str>, limit: usize) -> PortResult<Vec<ObjectInfo>>;
}
