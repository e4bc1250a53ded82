//! Many values, ascending by UID, in a tree of shared pieces: a clone shares everything, and a change copies the
//! pieces on the way to what it touches, however many values there are.
//!
//! Values lie in chunks of about [`CHUNK`], and chunks in groups of about [`FAN`]. A million values are 61 groups:
//! what a clone counts, a change copies and a position sums up stays in the hundreds.
//!
//! Invariants: no chunk and no group is empty; UIDs ascend over all of them; each length equals a recount.

use std::sync::Arc;

use pennypost_model::{Uid, UidSet};

/// Values of a chunk; twice as many after insertions.
const CHUNK: usize = 256;
/// Chunks of a group; twice as many after insertions.
const FAN: usize = 64;

/// What stands under a UID.
pub trait Numbered: Clone {
    /// Its UID; a change of the value leaves it alone.
    fn uid(&self) -> Uid;
}

/// Values, ascending by UID.
#[derive(Debug, Clone)]
pub struct Ascending<T> {
    groups: Vec<Arc<Group<T>>>,
    len: usize,
}

#[derive(Debug, Clone)]
pub(crate) struct Group<T> {
    pub(crate) chunks: Vec<Arc<Vec<T>>>,
    pub(crate) len: usize,
}

impl<T> Default for Ascending<T> {
    fn default() -> Ascending<T> {
        Ascending { groups: Vec::new(), len: 0 }
    }
}

impl<T: Numbered> Group<T> {
    fn of(chunk: Vec<T>) -> Group<T> {
        Group { len: chunk.len(), chunks: vec![Arc::new(chunk)] }
    }

    /// The values that are to be kept; what stays as it is, is shared. `None`: no value is.
    pub(crate) fn filtered(self: &Arc<Self>, keep: impl Fn(&T) -> bool) -> Option<Arc<Group<T>>> {
        let filtered = |chunk: &Arc<Vec<T>>| {
            if chunk.iter().all(&keep) {
                return Some(Arc::clone(chunk));
            }
            let kept: Vec<T> = chunk.iter().filter(|value| keep(value)).cloned().collect();
            (!kept.is_empty()).then(|| Arc::new(kept))
        };
        let chunks: Vec<Arc<Vec<T>>> = self.chunks.iter().filter_map(filtered).collect();
        let len = chunks.iter().map(|chunk| chunk.len()).sum();
        match len {
            0 => None,
            len if len == self.len => Some(Arc::clone(self)),
            len => Some(Arc::new(Group { chunks, len })),
        }
    }

    fn begins_at_or_below(&self, uid: Uid) -> bool {
        self.chunks.first().is_some_and(|chunk| begins_at_or_below(chunk, uid))
    }
}

fn begins_at_or_below<T: Numbered>(chunk: &[T], uid: Uid) -> bool {
    chunk.first().is_some_and(|value| value.uid() <= uid)
}

impl<T: Numbered> Ascending<T> {
    /// How many there are.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.len
    }

    /// None at all.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// All values, ascending.
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = &T> + Clone {
        self.groups.iter().flat_map(|group| group.chunks.iter()).flat_map(|chunk| chunk.iter())
    }

    /// The value at `position`, counted from 0 (of a message: its sequence number less one).
    #[must_use]
    pub fn at(&self, position: usize) -> Option<&T> {
        let (group, chunk, index) = self.place_of(position)?;
        self.groups.get(group)?.chunks.get(chunk)?.get(index)
    }

    /// Values from `position` on.
    pub fn from_position(&self, position: usize) -> impl Iterator<Item = &T> {
        let (group, chunk, index) = self.place_of(position).unwrap_or((self.groups.len(), 0, 0));
        let first = self.groups.get(group).map_or(&[][..], |group| &group.chunks[chunk..]);
        let rest = self.groups.get(group + 1..).unwrap_or_default();
        let chunks = first.iter().chain(rest.iter().flat_map(|group| group.chunks.iter()));
        chunks.flat_map(|chunk| chunk.iter()).skip(index)
    }

    /// The position of `uid` and its value.
    #[must_use]
    pub fn find(&self, uid: Uid) -> Option<(usize, &T)> {
        let (group, chunk) = self.chunk_of(uid)?;
        let values = &self.groups[group].chunks[chunk];
        let index = values.binary_search_by_key(&uid, T::uid).ok()?;
        Some((self.before(group, chunk) + index, &values[index]))
    }

    /// How many have a UID below `uid`: the position at which it is or would be.
    #[must_use]
    pub fn position_of(&self, uid: Uid) -> usize {
        let Some((group, chunk)) = self.chunk_of(uid) else { return 0 };
        let values = &self.groups[group].chunks[chunk];
        self.before(group, chunk) + values.partition_point(|value| value.uid() < uid)
    }

    /// The highest.
    #[must_use]
    pub fn last(&self) -> Option<&T> {
        self.groups.last()?.chunks.last()?.last()
    }

    /// Values whose UIDs are in `uids`, ascending, with their positions.
    pub fn select<'a>(&'a self, uids: &'a UidSet) -> impl Iterator<Item = (usize, &'a T)> + 'a {
        uids.ranges().iter().flat_map(move |(first, last)| {
            let start = self.position_of(Uid(*first));
            self.from_position(start)
                .take_while(move |value| value.uid().0 <= *last)
                .enumerate()
                .map(move |(index, value)| (start + index, value))
        })
    }

    /// Of pieces that hold ascending values.
    pub(crate) fn from_groups(groups: Vec<Arc<Group<T>>>) -> Ascending<T> {
        let len = groups.iter().map(|group| group.len).sum();
        Ascending { groups, len }
    }

    /// The shared pieces, for comparing two states without looking at what they share.
    pub(crate) fn groups(&self) -> &[Arc<Group<T>>] {
        &self.groups
    }

    /// Appends a value with a UID above all others; another UID finds its place by insertion. `false`, and no
    /// change, if the UID is there already.
    pub(crate) fn push(&mut self, value: T) -> bool {
        let in_order = self.last().is_none_or(|last| last.uid() < value.uid());
        let done = if in_order { self.append(value) } else { self.insert(value) };
        self.len += usize::from(done);
        done
    }

    fn append(&mut self, value: T) -> bool {
        let Some(last) = self.groups.last_mut() else {
            self.groups.push(Arc::new(Group::of(vec![value])));
            return true;
        };
        let is_full = |group: &Group<T>| {
            group.chunks.len() >= FAN && group.chunks.last().is_none_or(|chunk| chunk.len() >= CHUNK)
        };
        if is_full(last) {
            self.groups.push(Arc::new(Group::of(vec![value])));
            return true;
        }
        let group = Arc::make_mut(last);
        group.len += 1;
        match group.chunks.last_mut() {
            Some(chunk) if chunk.len() < CHUNK => match Arc::get_mut(chunk) {
                Some(own) => own.push(value),
                None => {
                    // With room for the next ones: a clone has none.
                    let mut own = Vec::with_capacity((chunk.len() + chunk.len() / 8 + 8).min(CHUNK));
                    own.extend_from_slice(chunk);
                    own.push(value);
                    *chunk = Arc::new(own);
                }
            },
            _ => {
                let mut chunk = Vec::with_capacity(8);
                chunk.push(value);
                group.chunks.push(Arc::new(chunk));
            }
        }
        true
    }

    fn insert(&mut self, value: T) -> bool {
        let (at, chunk_at) = self.chunk_of(value.uid()).unwrap_or_default();
        let place = match self.groups[at].chunks[chunk_at].binary_search_by_key(&value.uid(), T::uid) {
            Ok(_) => return false,
            Err(place) => place,
        };
        let group = Arc::make_mut(&mut self.groups[at]);
        group.len += 1;
        let chunk = Arc::make_mut(&mut group.chunks[chunk_at]);
        chunk.insert(place, value);
        if chunk.len() > 2 * CHUNK {
            let upper = chunk.split_off(CHUNK);
            group.chunks.insert(chunk_at + 1, Arc::new(upper));
        }
        if group.chunks.len() > 2 * FAN {
            let chunks = group.chunks.split_off(FAN);
            let len = chunks.iter().map(|chunk| chunk.len()).sum();
            group.len -= len;
            self.groups.insert(at + 1, Arc::new(Group { chunks, len }));
        }
        true
    }

    /// Calls `change` for each value in `uids`. The UID must not be changed.
    pub(crate) fn update(&mut self, uids: &UidSet, mut change: impl FnMut(&mut T)) {
        for (first, last) in uids.ranges() {
            let (mut at, mut chunk_at) = self.chunk_of(Uid(*first)).unwrap_or_default();
            while let Some(group) = self.groups.get_mut(at).filter(|g| g.begins_at_or_below(Uid(*last))) {
                while let Some(chunk) =
                    group.chunks.get(chunk_at).filter(|c| begins_at_or_below(c, Uid(*last)))
                {
                    let from = chunk.partition_point(|value| value.uid().0 < *first);
                    let to = chunk.partition_point(|value| value.uid().0 <= *last);
                    if from < to {
                        let chunk = Arc::make_mut(&mut Arc::make_mut(group).chunks[chunk_at]);
                        chunk[from..to].iter_mut().for_each(&mut change);
                    }
                    chunk_at += 1;
                }
                (at, chunk_at) = (at + 1, 0);
            }
        }
    }

    /// Takes the values in `uids` out, ascending.
    pub(crate) fn remove(&mut self, uids: &UidSet) -> Vec<T> {
        let mut removed = Vec::new();
        for (first, last) in uids.ranges() {
            let (mut at, mut chunk_at) = self.chunk_of(Uid(*first)).unwrap_or_default();
            while let Some(group) = self.groups.get_mut(at).filter(|g| g.begins_at_or_below(Uid(*last))) {
                while let Some(chunk) =
                    group.chunks.get(chunk_at).filter(|c| begins_at_or_below(c, Uid(*last)))
                {
                    let from = chunk.partition_point(|value| value.uid().0 < *first);
                    let to = chunk.partition_point(|value| value.uid().0 <= *last);
                    if from == to {
                        chunk_at += 1;
                        continue;
                    }
                    let group = Arc::make_mut(group);
                    group.len -= to - from;
                    let chunk = Arc::make_mut(&mut group.chunks[chunk_at]);
                    removed.extend(chunk.drain(from..to));
                    if chunk.is_empty() {
                        group.chunks.remove(chunk_at);
                    } else {
                        chunk_at += 1;
                    }
                }
                if group.chunks.is_empty() {
                    self.groups.remove(at);
                } else {
                    at += 1;
                }
                chunk_at = 0;
            }
        }
        self.len -= removed.len();
        self.merge_small_chunks();
        removed
    }

    /// Makes the tree anew where removals have left it with much less than it has room for.
    fn merge_small_chunks(&mut self) {
        let chunks: usize = self.groups.iter().map(|group| group.chunks.len()).sum();
        if chunks < 16 || self.len > chunks * CHUNK / 4 {
            return;
        }
        let mut merged = Ascending::default();
        for value in self.iter() {
            merged.push(value.clone());
        }
        *self = merged;
    }

    /// Group, chunk and index of a position.
    fn place_of(&self, position: usize) -> Option<(usize, usize, usize)> {
        let mut left = position;
        let group_at = self.groups.iter().position(|group| {
            let is_here = left < group.len;
            left -= if is_here { 0 } else { group.len };
            is_here
        })?;
        let chunk_at = self.groups[group_at].chunks.iter().position(|chunk| {
            let is_here = left < chunk.len();
            left -= if is_here { 0 } else { chunk.len() };
            is_here
        })?;
        Some((group_at, chunk_at, left))
    }

    /// Group and chunk in which `uid` is or would be; `None` if all are above it.
    fn chunk_of(&self, uid: Uid) -> Option<(usize, usize)> {
        let group = self.groups.partition_point(|group| group.begins_at_or_below(uid)).checked_sub(1)?;
        let chunks = &self.groups[group].chunks;
        let chunk = chunks.partition_point(|chunk| begins_at_or_below(chunk, uid)).checked_sub(1)?;
        Some((group, chunk))
    }

    /// How many values lie before a chunk.
    fn before(&self, group: usize, chunk: usize) -> usize {
        let groups: usize = self.groups[..group].iter().map(|group| group.len).sum();
        let chunks: usize = self.groups[group].chunks[..chunk].iter().map(|chunk| chunk.len()).sum();
        groups + chunks
    }
}

impl<T: Numbered> FromIterator<T> for Ascending<T> {
    /// Of values under the same UID the first stays.
    fn from_iter<I: IntoIterator<Item = T>>(values: I) -> Ascending<T> {
        let mut all = Ascending::default();
        for value in values {
            all.push(value);
        }
        all
    }
}

impl<T: Numbered + PartialEq> PartialEq for Ascending<T> {
    fn eq(&self, other: &Ascending<T>) -> bool {
        self.len == other.len && self.iter().eq(other.iter())
    }
}
impl<T: Numbered + Eq> Eq for Ascending<T> {}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    #[derive(Debug, Clone, PartialEq, Eq)]
    struct Value(u32, u32);

    impl Numbered for Value {
        fn uid(&self) -> Uid {
            Uid(self.0)
        }
    }

    #[derive(Debug, Clone)]
    enum Step {
        Append(u32),
        Insert(Vec<u32>),
        Update(u32, u32),
        Remove(u32, u32),
        RemoveEach(Vec<u32>),
    }

    fn step() -> impl Strategy<Value = Step> {
        const TOP: u32 = 60_000;
        prop_oneof![
            (1..20_000_u32).prop_map(Step::Append),
            proptest::collection::vec(1..TOP, 1..2_000).prop_map(Step::Insert),
            (1..TOP, 1..5_000_u32).prop_map(|(first, len)| Step::Update(first, first + len)),
            (1..TOP, 1..30_000_u32).prop_map(|(first, len)| Step::Remove(first, first + len)),
            proptest::collection::vec(1..TOP, 1..500).prop_map(Step::RemoveEach),
        ]
    }

    fn is_sound(tree: &Ascending<Value>, model: &BTreeMap<u32, u32>) {
        assert_eq!(tree.len(), model.len());
        assert!(
            tree.iter().map(|value| (value.0, value.1)).eq(model.iter().map(|(uid, data)| (*uid, *data)))
        );
        for group in tree.groups() {
            assert!(!group.chunks.is_empty() && group.chunks.iter().all(|chunk| !chunk.is_empty()));
            assert_eq!(group.len, group.chunks.iter().map(|chunk| chunk.len()).sum::<usize>());
        }
        for (position, uid) in model.keys().enumerate().step_by(97) {
            assert_eq!(tree.at(position).map(|value| value.0), Some(*uid));
            assert_eq!(
                tree.find(Uid(*uid)).map(|(position, value)| (position, value.0)),
                Some((position, *uid))
            );
            assert_eq!(tree.position_of(Uid(*uid)), position);
            assert_eq!(tree.from_position(position).next().map(|value| value.0), Some(*uid));
        }
        assert_eq!(tree.at(model.len()), None);
        assert_eq!(tree.from_position(model.len()).next(), None);
        assert_eq!(tree.position_of(Uid(u32::MAX)), model.len());
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

        /// Against an ordered map, with every older clone left as it was.
        #[test]
        fn the_tree_is_an_ordered_map(steps in proptest::collection::vec(step(), 1..12)) {
            let mut tree = Ascending::default();
            let mut model = BTreeMap::new();
            for (changes, step) in (1..).zip(steps) {
                let before = (tree.clone(), model.clone());
                match step {
                    Step::Append(count) => {
                        let first = model.last_key_value().map_or(1, |(uid, _)| uid + 1);
                        for uid in first..first + count {
                            assert!(tree.push(Value(uid, 0)));
                            model.insert(uid, 0);
                        }
                    }
                    Step::Insert(uids) => {
                        for uid in uids {
                            assert_eq!(tree.push(Value(uid, 0)), !model.contains_key(&uid));
                            model.entry(uid).or_insert(0);
                        }
                    }
                    Step::Update(first, last) => {
                        tree.update(&UidSet::from_ranges([(first, last)]), |value| value.1 = changes);
                        model.range_mut(first..=last).for_each(|(_, data)| *data = changes);
                    }
                    Step::Remove(first, last) => {
                        let removed = tree.remove(&UidSet::from_ranges([(first, last)]));
                        let expected: Vec<u32> = model.range(first..=last).map(|(uid, _)| *uid).collect();
                        assert!(removed.iter().map(|value| value.0).eq(expected.iter().copied()));
                        model.retain(|uid, _| !(first..=last).contains(uid));
                    }
                    Step::RemoveEach(uids) => {
                        let uids: UidSet = uids.into_iter().map(Uid).collect();
                        tree.remove(&uids);
                        model.retain(|uid, _| !uids.contains(Uid(*uid)));
                    }
                }
                is_sound(&tree, &model);
                is_sound(&before.0, &before.1);
            }
        }
    }

    /// What a change copies does not grow with the mailbox.
    #[test]
    fn a_change_copies_little_of_a_million() {
        let tree: Ascending<Value> = (1..=1_000_000).map(|uid| Value(uid, 0)).collect();
        let mut changed = tree.clone();
        assert!(changed.push(Value(1_000_001, 0)));
        changed.update(&UidSet::from_ranges([(500_000, 500_000)]), |value| value.1 = 1);
        assert_eq!(changed.remove(&UidSet::from_ranges([(7, 7)])), [Value(7, 0)]);
        let own = |(old, new): &(&Arc<Group<Value>>, &Arc<Group<Value>>)| !Arc::ptr_eq(old, new);
        let groups: Vec<_> = tree.groups().iter().zip(changed.groups()).filter(own).collect();
        assert_eq!(groups.len(), 3);
        let chunks = groups.iter().flat_map(|(old, new)| old.chunks.iter().zip(&new.chunks));
        assert_eq!(chunks.filter(|(old, new)| !Arc::ptr_eq(old, new)).count(), 3);
        assert!(tree.groups().len() < 100);
    }
}
