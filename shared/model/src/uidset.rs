//! Sets of UIDs as ascending, disjoint, non-adjacent ranges: one entry can name 10,000 messages briefly.

use serde::{Deserialize, Serialize};

use crate::Uid;

/// A set of UIDs. Equal sets have equal representations.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct UidSet {
    ranges: Vec<(u32, u32)>,
}

impl UidSet {
    /// The set without members.
    #[must_use]
    pub const fn new() -> UidSet {
        UidSet { ranges: Vec::new() }
    }

    /// From inclusive ranges in any order, overlapping or not; a reversed range counts as its mirror.
    #[must_use]
    pub fn from_ranges(ranges: impl IntoIterator<Item = (u32, u32)>) -> UidSet {
        let mut sorted: Vec<(u32, u32)> =
            ranges.into_iter().map(|(a, b)| if a <= b { (a, b) } else { (b, a) }).collect();
        sorted.sort_unstable();
        let mut merged: Vec<(u32, u32)> = Vec::with_capacity(sorted.len());
        for (first, last) in sorted {
            match merged.last_mut() {
                Some(previous) if first <= previous.1.saturating_add(1) => previous.1 = previous.1.max(last),
                _ => merged.push((first, last)),
            }
        }
        UidSet { ranges: merged }
    }

    /// The inclusive ranges, ascending.
    #[must_use]
    pub fn ranges(&self) -> &[(u32, u32)] {
        &self.ranges
    }

    /// Has no members.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.ranges.is_empty()
    }

    /// The number of members.
    #[must_use]
    pub fn len(&self) -> u64 {
        self.ranges.iter().map(|(first, last)| u64::from(last - first) + 1).sum()
    }

    /// Is `uid` a member? Logarithmic in the number of ranges.
    #[must_use]
    pub fn contains(&self, uid: Uid) -> bool {
        let after = self.ranges.partition_point(|(first, _)| *first <= uid.0);
        after > 0 && self.ranges[after - 1].1 >= uid.0
    }

    /// The members, ascending.
    pub fn iter(&self) -> impl Iterator<Item = Uid> + '_ {
        self.ranges.iter().flat_map(|(first, last)| (*first..=*last).map(Uid))
    }

    /// Adds a member that is larger than all others: constant time.
    pub fn push(&mut self, uid: Uid) {
        match self.ranges.last_mut() {
            Some((_, last)) if uid.0 == last.wrapping_add(1) && *last != u32::MAX => *last = uid.0,
            Some((_, last)) if uid.0 <= *last => {
                let ranges = std::mem::take(&mut self.ranges);
                *self = UidSet::from_ranges(ranges.into_iter().chain([(uid.0, uid.0)]));
            }
            _ => self.ranges.push((uid.0, uid.0)),
        }
    }
}

impl FromIterator<Uid> for UidSet {
    fn from_iter<I: IntoIterator<Item = Uid>>(uids: I) -> UidSet {
        let mut set = UidSet::new();
        let mut unsorted = Vec::new();
        for uid in uids {
            match set.ranges.last() {
                Some((_, last)) if uid.0 <= *last => unsorted.push((uid.0, uid.0)),
                _ => set.push(uid),
            }
        }
        if !unsorted.is_empty() {
            set = UidSet::from_ranges(set.ranges.into_iter().chain(unsorted));
        }
        set
    }
}

impl std::fmt::Display for UidSet {
    /// As RFC 3501 `sequence-set`: `1:4,7`. An empty set is an empty text.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        for (index, (first, last)) in self.ranges.iter().enumerate() {
            let comma = if index == 0 { "" } else { "," };
            if first == last {
                write!(f, "{comma}{first}")?;
            } else {
                write!(f, "{comma}{first}:{last}")?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_merge_whatever_their_order() {
        let set = UidSet::from_ranges([(9, 7), (1, 2), (3, 3), (8, 12), (u32::MAX, u32::MAX)]);
        assert_eq!(set.to_string(), "1:3,7:12,4294967295");
        assert_eq!(set.len(), 10);
        assert!(set.contains(Uid(12)) && !set.contains(Uid(4)) && !set.contains(Uid(0)));
        let again: UidSet = [12, 3, 1, 2, 7, 8, 9, 10, 11, u32::MAX].into_iter().map(Uid).collect();
        assert_eq!(set, again);
    }
}
