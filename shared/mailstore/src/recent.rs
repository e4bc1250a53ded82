//! Values by use, bounded by their bytes: the one that was not used for longest goes first.

use std::collections::{HashMap, VecDeque};
use std::hash::Hash;

/// What knows how many bytes it takes.
pub(crate) trait Memory {
    fn memory(&self) -> usize;
}

/// Values that were used lately.
pub(crate) struct Recent<K, V> {
    values: HashMap<K, (V, u64)>,
    /// Uses in their order; the last one of a key counts.
    uses: VecDeque<(K, u64)>,
    clock: u64,
    bytes: usize,
    capacity: usize,
}

impl<K: Eq + Hash + Clone, V: Memory + Clone> Recent<K, V> {
    /// For so many bytes.
    pub(crate) fn new(capacity: usize) -> Recent<K, V> {
        Recent { values: HashMap::new(), uses: VecDeque::new(), clock: 0, bytes: 0, capacity }
    }

    pub(crate) fn find(&mut self, key: &K) -> Option<V> {
        self.clock += 1;
        let now = self.clock;
        let (value, used) = self.values.get_mut(key)?;
        *used = now;
        let value = value.clone();
        self.uses.push_back((key.clone(), now));
        self.trim();
        Some(value)
    }

    pub(crate) fn keep(&mut self, key: K, value: V) {
        self.clock += 1;
        let now = self.clock;
        self.bytes += value.memory();
        if let Some((old, _)) = self.values.insert(key.clone(), (value, now)) {
            self.bytes -= old.memory();
        }
        self.uses.push_back((key, now));
        self.trim();
    }

    /// Keeps to the bounds, of bytes and of the list of uses.
    fn trim(&mut self) {
        while self.bytes > self.capacity || self.uses.len() > 4 * self.values.len() + 64 {
            let Some((key, used)) = self.uses.pop_front() else { return };
            let is_last_use = self.values.get(&key).is_some_and(|(_, last)| *last == used);
            if !is_last_use {
                continue;
            }
            if self.bytes > self.capacity {
                if let Some((value, _)) = self.values.remove(&key) {
                    self.bytes -= value.memory();
                }
            } else {
                self.uses.push_back((key, used));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    impl Memory for std::sync::Arc<Vec<u8>> {
        fn memory(&self) -> usize {
            self.capacity()
        }
    }

    #[test]
    fn the_bounds_are_kept_and_what_is_used() {
        let mut recent = Recent::new(64 << 20);
        let value = || std::sync::Arc::new(vec![0_u8; 1 << 20]);
        for number in 0..1_000 {
            recent.keep((0, number), value());
            recent.keep((1, number % 3), value());
            assert!(recent.find(&(0, 0)).is_some());
        }
        assert!(recent.bytes <= recent.capacity, "{}", recent.bytes);
        assert!(recent.uses.len() <= 4 * recent.values.len() + 64);
        assert!(recent.values.len() > 32);
        let sum: usize = recent.values.values().map(|(value, _)| value.memory()).sum();
        assert_eq!(sum, recent.bytes);
    }
}
