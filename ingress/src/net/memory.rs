//! The bound on messages that are in memory at one time: one pool for all connections of the process, out of
//! which nobody can take more than a share.
//!
//! Invariants: what is held is never more than the pool, and what one holder keeps while a peer sends or
//! reads is never more than the share. What the server itself needs for a moment to get done with a message
//! is bounded by the pool alone ([`Share::grow_beyond`]).

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use pennypost_model::AccountKey;
use prometheus::IntGauge;
use tokio::sync::Notify;
use tokio::time::Instant;

/// Memory is handed out in pages of so many bytes.
const PAGE: usize = 64 * 1024;

/// Who holds memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Holder {
    /// Peers of the trusted networks: bounded by the pool alone.
    Trusted,
    /// A peer, as [`super::neighbourhood`] counts them.
    Address(IpAddr),
    /// A member.
    Account(AccountKey),
}

/// All the memory that messages in flight may take. Clones are the same pool.
#[derive(Debug, Clone)]
pub(crate) struct Memory(Arc<Pool>);

#[derive(Debug)]
struct Pool {
    pages: usize,
    /// What one holder may have.
    share: usize,
    held: Mutex<Held>,
    /// Something was given back.
    freed: Notify,
    gauge: IntGauge,
}

#[derive(Debug, Default)]
struct Held {
    all: usize,
    by_holder: HashMap<Holder, usize>,
}

/// The memory of one message; given back when dropped.
#[derive(Debug)]
pub(crate) struct Share {
    memory: Memory,
    holder: Holder,
    pages: usize,
}

impl Memory {
    /// A pool of `bytes`. A quarter of it is a holder's share, or more where a message of the `largest` size
    /// would not fit into that.
    pub fn new(bytes: usize, largest: usize, gauge: IntGauge) -> Memory {
        let pages = (bytes / PAGE).max(1);
        // A body that grows has up to an eighth of reserve.
        let largest = (largest + largest / 8).div_ceil(PAGE) + 1;
        let share = (pages / 4).max(largest).min(pages);
        Memory(Arc::new(Pool { pages, share, held: Mutex::default(), freed: Notify::new(), gauge }))
    }

    /// The share of a message that has not begun.
    pub fn share(&self, holder: Holder) -> Share {
        Share { memory: self.clone(), holder, pages: 0 }
    }

    /// The bytes that one holder can have at most.
    pub fn most(&self) -> usize {
        self.0.share * PAGE
    }
}

impl Share {
    /// Makes the share large enough for `bytes`; `false`, and no change, when there is not that much left, or
    /// not for this holder.
    pub fn grow(&mut self, bytes: usize) -> bool {
        let bound = if self.holder == Holder::Trusted { usize::MAX } else { self.memory.0.share };
        self.grow_to(bytes, bound)
    }

    /// As [`Share::grow`], whatever the holder has already: only for what ends without waiting for a peer.
    pub fn grow_beyond(&mut self, bytes: usize) -> bool {
        self.grow_to(bytes, usize::MAX)
    }

    /// As [`Share::grow`], but waits for others to give back what they have; not for what can never be.
    pub async fn grow_within(&mut self, bytes: usize, patience: Duration) -> bool {
        let pool = Arc::clone(&self.memory.0);
        let deadline = Instant::now() + patience;
        loop {
            let freed = pool.freed.notified();
            tokio::pin!(freed);
            freed.as_mut().enable();
            if self.grow(bytes) {
                return true;
            }
            if bytes.div_ceil(PAGE) > pool.share || tokio::time::timeout_at(deadline, freed).await.is_err() {
                return false;
            }
        }
    }

    fn grow_to(&mut self, bytes: usize, bound: usize) -> bool {
        let more = bytes.div_ceil(PAGE).saturating_sub(self.pages);
        if more == 0 {
            return true;
        }
        let pool = &self.memory.0;
        let mut held = pool.held.lock();
        let of_holder = held.by_holder.get(&self.holder).copied().unwrap_or_default();
        if held.all + more > pool.pages || of_holder + more > bound {
            return false;
        }
        held.all += more;
        held.by_holder.insert(self.holder, of_holder + more);
        self.pages += more;
        pool.gauge.add((more * PAGE) as i64);
        true
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        if self.pages == 0 {
            return;
        }
        let pool = &self.memory.0;
        let mut held = pool.held.lock();
        held.all -= self.pages;
        if let Entry::Occupied(mut of_holder) = held.by_holder.entry(self.holder) {
            *of_holder.get_mut() -= self.pages;
            if *of_holder.get() == 0 {
                of_holder.remove();
            }
        }
        drop(held);
        pool.gauge.sub((self.pages * PAGE) as i64);
        pool.freed.notify_waiters();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn memory(pages: usize, largest: usize) -> (Memory, IntGauge) {
        let gauge = IntGauge::new("x", "x").expect("gauge");
        (Memory::new(pages * PAGE, largest, gauge.clone()), gauge)
    }

    fn peer(number: u8) -> Holder {
        Holder::Address(IpAddr::from([192, 0, 2, number]))
    }

    #[test]
    fn memory_is_shared_and_comes_back() {
        let (memory, gauge) = memory(4, 0);
        let (mut first, mut second) = (memory.share(Holder::Trusted), memory.share(Holder::Trusted));
        assert!(first.grow(3 * PAGE) && first.grow(1) && second.grow(PAGE));
        assert!(!second.grow(PAGE + 1) && !first.grow(3 * PAGE + 1));
        assert_eq!(gauge.get(), 4 * PAGE as i64);
        drop(first);
        assert!(second.grow(4 * PAGE));
        drop(second);
        assert_eq!(gauge.get(), 0);
        assert!(memory.0.held.lock().by_holder.is_empty());
    }

    #[test]
    fn nobody_takes_more_than_a_share() {
        let (memory, _) = memory(16, 0);
        let (mut first, mut second) = (memory.share(peer(1)), memory.share(peer(1)));
        assert!(first.grow(3 * PAGE) && second.grow(PAGE) && !second.grow(2 * PAGE));
        assert!(second.grow_beyond(2 * PAGE), "what passes at once may be more");
        assert!(memory.share(peer(2)).grow(4 * PAGE));
        assert!(memory.share(Holder::Trusted).grow(11 * PAGE));
        // The largest message fits into a share, if into the pool at all.
        assert_eq!(self::memory(16, 8 * PAGE).0.most(), 10 * PAGE);
        assert_eq!(self::memory(4, 8 * PAGE).0.most(), 4 * PAGE);
    }

    #[tokio::test(start_paused = true)]
    async fn waiting_ends_with_room_or_with_patience() {
        let (memory, _) = memory(16, 0);
        let mut first = memory.share(peer(1));
        assert!(first.grow(4 * PAGE));
        let mut second = memory.share(peer(1));
        let before = Instant::now();
        assert!(!second.grow_within(PAGE, Duration::from_secs(30)).await);
        assert_eq!(before.elapsed().as_secs(), 30);
        assert!(!second.grow_within(5 * PAGE, Duration::from_secs(30)).await);
        assert_eq!(before.elapsed().as_secs(), 30, "what can never be is not waited for");
        let waiting = tokio::spawn(async move { second.grow_within(PAGE, Duration::from_secs(30)).await });
        tokio::time::sleep(Duration::from_secs(1)).await;
        drop(first);
        assert!(waiting.await.expect("task"));
        assert_eq!(before.elapsed().as_secs(), 31);
    }
}
