//! Token buckets: how many messages a minute from one address, and for one tenant.

use std::collections::HashMap;
use std::hash::Hash;

use parking_lot::Mutex;
use tokio::time::Instant;

/// Buckets that are remembered at once; beyond that the full ones, which say nothing, are forgotten.
const MAX_BUCKETS: usize = 50_000;

/// A bucket per key: it holds one minute's worth, or an hour's, and refills steadily.
#[derive(Debug)]
pub(crate) struct Buckets<K> {
    per_minute: f64,
    most: f64,
    buckets: Mutex<HashMap<K, Bucket>>,
}

#[derive(Debug, Clone, Copy)]
struct Bucket {
    tokens: f64,
    at: Instant,
}

impl<K: Hash + Eq> Buckets<K> {
    /// 0 is no limit.
    pub fn new(per_minute: u32) -> Buckets<K> {
        let per_minute = f64::from(per_minute);
        Buckets { per_minute, most: per_minute, buckets: Mutex::default() }
    }

    /// So many in an hour; 0 is no limit.
    pub fn in_an_hour(count: u32) -> Buckets<K> {
        let most = f64::from(count);
        Buckets { per_minute: most / 60.0, most, buckets: Mutex::default() }
    }

    /// Takes one token of `key`; `false` when there is none.
    pub fn take(&self, key: K, now: Instant) -> bool {
        if self.per_minute == 0.0 {
            return true;
        }
        let (per_minute, most) = (self.per_minute, self.most);
        let refilled = |bucket: &Bucket| {
            let minutes = now.saturating_duration_since(bucket.at).as_secs_f64() / 60.0;
            (bucket.tokens + minutes * per_minute).min(most)
        };
        let mut buckets = self.buckets.lock();
        if buckets.len() >= MAX_BUCKETS && !buckets.contains_key(&key) {
            buckets.retain(|_, bucket| refilled(bucket) < most);
            if buckets.len() >= MAX_BUCKETS {
                // So many senders at once that nothing can be said of any: memory has its bound all the same.
                buckets.clear();
            }
        }
        let bucket = buckets.entry(key).or_insert(Bucket { tokens: most, at: now });
        bucket.tokens = refilled(bucket);
        bucket.at = now;
        let is_there = bucket.tokens >= 1.0;
        if is_there {
            bucket.tokens -= 1.0;
        }
        is_there
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn buckets_empty_and_refill() {
        let buckets = Buckets::new(6);
        let now = Instant::now();
        assert!((0..6).all(|_| buckets.take("a", now)));
        assert!(!buckets.take("a", now));
        assert!(buckets.take("b", now), "another key has its own");
        assert!(!buckets.take("a", now + Duration::from_secs(9)));
        assert!(buckets.take("a", now + Duration::from_secs(20)));
        let hourly = Buckets::in_an_hour(10);
        assert!((0..10).all(|_| hourly.take("a", now)) && !hourly.take("a", now + Duration::from_secs(300)));
        assert!(hourly.take("a", now + Duration::from_secs(400)));
        let unlimited = Buckets::new(0);
        assert!((0..10_000).all(|_| unlimited.take("a", now)));
    }

    #[test]
    fn memory_is_bounded() {
        let buckets = Buckets::new(6);
        let now = Instant::now();
        for key in 0..2 * MAX_BUCKETS {
            buckets.take(key, now);
        }
        assert!(buckets.buckets.lock().len() <= MAX_BUCKETS);
    }
}
