//! The signal that ends all sessions.

use std::sync::Arc;

use tokio::sync::watch;

/// Cheap to clone; all clones are one signal, which is given once and never taken back.
#[derive(Debug, Clone)]
pub struct Shutdown(Arc<watch::Sender<bool>>);

impl Default for Shutdown {
    fn default() -> Shutdown {
        Shutdown(Arc::new(watch::Sender::new(false)))
    }
}

impl Shutdown {
    /// Gives the signal: listeners close, sessions say goodbye.
    pub fn begin(&self) {
        self.0.send_replace(true);
    }

    /// Was the signal given?
    #[must_use]
    pub fn is_begun(&self) -> bool {
        *self.0.borrow()
    }

    /// Waits for the signal; returns at once if it was given. Safe to drop and call again.
    pub async fn begun(&self) {
        // The sender lives as long as `self`, so the wait can't fail.
        let _ = self.0.subscribe().wait_for(|begun| *begun).await;
    }
}
