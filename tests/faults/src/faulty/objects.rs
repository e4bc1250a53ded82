use async_trait::async_trait;
use bytes::Bytes;
use pennypost_ports::{Created, Etag, ObjectInfo, Objects, PortResult, Replaced};

use super::Faulty;

const PORT: &str = "objects";

impl<P: ?Sized> Faulty<P> {
    /// The machine's clock, which a backend may put beside an object, knows nothing of the run's.
    pub(super) fn note_written(&self, name: &str) {
        let now = self.trouble.hours.now();
        self.trouble.memory.lock().written.insert(name.to_owned(), now);
    }
}

#[async_trait]
impl<P: Objects + ?Sized> Objects for Faulty<P> {
    async fn put_unique(&self, name: &str, bytes: Bytes) -> PortResult<Created> {
        let put = async {
            let created = self.inner.put_unique(name, bytes).await;
            if created != Ok(Created::Exists) {
                self.note_written(name);
            }
            created
        };
        self.trouble.write(PORT, put).await
    }

    async fn get(&self, name: &str) -> PortResult<(Bytes, Etag)> {
        self.trouble.read(PORT, self.inner.get(name)).await
    }

    async fn get_range(&self, name: &str, start: u64, len: u64) -> PortResult<Bytes> {
        self.trouble.read(PORT, self.inner.get_range(name, start, len)).await
    }

    async fn put_if_match(&self, name: &str, bytes: Bytes, etag: &Etag) -> PortResult<Replaced> {
        let put = async {
            let replaced = self.inner.put_if_match(name, bytes, etag).await;
            if replaced != Ok(Replaced::Mismatch) {
                self.note_written(name);
            }
            replaced
        };
        self.trouble.write(PORT, put).await
    }

    async fn delete(&self, name: &str) -> PortResult<()> {
        self.trouble.write(PORT, self.inner.delete(name)).await
    }

    async fn list(&self, prefix: &str, after: Option<&str>, limit: usize) -> PortResult<Vec<ObjectInfo>> {
        let mut listed = self.trouble.read(PORT, self.inner.list(prefix, after, limit)).await?;
        let memory = self.trouble.memory.lock();
        for info in &mut listed {
            if let Some(written) = memory.written.get(&info.name) {
                info.modified = *written;
            }
        }
        Ok(listed)
    }
}
