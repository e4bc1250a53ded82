//! Secrets at rest: stored so that whoever has only the store, or a copy of it, can't read them.

use async_trait::async_trait;

use crate::PortResult;

/// Seals secrets for the store, and opens them again.
#[async_trait]
pub trait Secrets: Send + Sync {
    /// Seals a secret, which may have up to 64 KB. The same secret is sealed to other bytes each time. `context` names the
    /// one place where it will lie (tenant, kind, object): nowhere else can it be opened, so that nobody who can write to
    /// the store makes one thing of another.
    async fn seal(&self, context: &str, secret: &[u8]) -> PortResult<Vec<u8>>;

    /// The secret that was sealed for this place: [`PortError::NotFound`](crate::PortError::NotFound) where the key is not
    /// here with which it was sealed, [`PortError::Damaged`](crate::PortError::Damaged) where it is not what was sealed, or
    /// was sealed for another place.
    async fn open(&self, context: &str, sealed: &[u8]) -> PortResult<Vec<u8>>;
}
