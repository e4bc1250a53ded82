//! The bound on messages that are in memory at one time, over all connections.

use std::sync::Arc;

use prometheus::IntGauge;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Memory is handed out in pages of so many bytes.
const PAGE: usize = 64 * 1024;

/// All the memory that messages in flight may take.
#[derive(Debug, Clone)]
pub(crate) struct Memory {
    pages: Arc<Semaphore>,
    gauge: IntGauge,
}

/// The share of one message; given back when dropped.
#[derive(Debug)]
pub(crate) struct Share {
    memory: Memory,
    permits: Option<OwnedSemaphorePermit>,
}

impl Memory {
    pub fn new(bytes: usize, gauge: IntGauge) -> Memory {
        Memory { pages: Arc::new(Semaphore::new((bytes / PAGE).max(1))), gauge }
    }

    /// The share of a message that has not begun.
    pub fn share(&self) -> Share {
        Share { memory: self.clone(), permits: None }
    }
}

impl Share {
    /// Makes the share large enough for `bytes`; `false`, and no change, when there is not that much left.
    pub fn grow(&mut self, bytes: usize) -> bool {
        let has = self.permits.as_ref().map_or(0, OwnedSemaphorePermit::num_permits);
        let more = bytes.div_ceil(PAGE).saturating_sub(has);
        if more == 0 {
            return true;
        }
        let Ok(more) = u32::try_from(more) else { return false };
        let Ok(permit) = Arc::clone(&self.memory.pages).try_acquire_many_owned(more) else { return false };
        self.memory.gauge.add(i64::from(more) * PAGE as i64);
        match &mut self.permits {
            Some(permits) => permits.merge(permit),
            None => self.permits = Some(permit),
        }
        true
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        let has = self.permits.as_ref().map_or(0, OwnedSemaphorePermit::num_permits);
        self.memory.gauge.sub((has * PAGE) as i64);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_is_shared_and_comes_back() {
        let gauge = IntGauge::new("x", "x").expect("gauge");
        let memory = Memory::new(4 * PAGE, gauge.clone());
        let (mut first, mut second) = (memory.share(), memory.share());
        assert!(first.grow(3 * PAGE) && first.grow(1) && second.grow(PAGE));
        assert!(!second.grow(PAGE + 1) && !first.grow(3 * PAGE + 1));
        assert_eq!(gauge.get(), 4 * PAGE as i64);
        drop(first);
        assert!(second.grow(4 * PAGE));
        drop(second);
        assert_eq!(gauge.get(), 0);
    }
}
