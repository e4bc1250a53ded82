//! Counters: of a scope, and of the process.

use std::array;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::{MILLI, Unit};

const KINDS: usize = Unit::ALL.len();

/// The counters of a scope.
#[derive(Debug)]
pub struct Tally([AtomicU64; KINDS]);

/// What was counted, in thousandths of a unit.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts([u64; KINDS]);

static TOTAL: Tally = Tally::new();

tokio::task_local! {
    static SCOPE: Arc<Scope>;
}

/// A scope within the scope that its beginning was in.
struct Scope {
    tally: Arc<Tally>,
    outer: Option<Arc<Scope>>,
}

impl Tally {
    /// All at zero.
    #[must_use]
    pub const fn new() -> Tally {
        Tally([const { AtomicU64::new(0) }; KINDS])
    }

    /// What was counted so far.
    #[must_use]
    pub fn counts(&self) -> Counts {
        Counts(array::from_fn(|kind| self.0[kind].load(Ordering::Relaxed)))
    }

    /// Counts thousandths of a unit in this tally alone.
    pub fn add(&self, unit: Unit, milli: u64) {
        self.0[unit as usize].fetch_add(milli, Ordering::Relaxed);
    }

    /// Counts what was counted elsewhere in this tally too.
    pub fn add_all(&self, counts: &Counts) {
        counts.used().for_each(|(unit, milli)| self.add(unit, milli));
    }
}

impl Default for Tally {
    fn default() -> Tally {
        Tally::new()
    }
}

impl Counts {
    /// Thousandths of this unit.
    #[must_use]
    pub const fn milli(&self, unit: Unit) -> u64 {
        self.0[unit as usize]
    }

    /// Counts thousandths of a unit.
    pub fn add(&mut self, unit: Unit, milli: u64) {
        let place = &mut self.0[unit as usize];
        *place = place.saturating_add(milli);
    }

    /// Nothing was counted.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.iter().all(|milli| *milli == 0)
    }

    /// What was counted, by kind; kinds without a count are left out.
    pub fn used(&self) -> impl Iterator<Item = (Unit, u64)> + '_ {
        Unit::ALL.into_iter().map(|unit| (unit, self.milli(unit))).filter(|(_, milli)| *milli > 0)
    }

    /// The counts of these kinds only.
    #[must_use]
    pub fn only(&self, is_wanted: impl Fn(Unit) -> bool) -> Counts {
        let mut some = Counts::default();
        self.used().filter(|(unit, _)| is_wanted(*unit)).for_each(|(unit, milli)| some.add(unit, milli));
        some
    }

    /// Divides every count by the weights, without remainder: the shares add up to these counts. Where all weights
    /// are 0, the shares are equal. No shares without weights.
    #[must_use]
    pub fn divided(&self, weights: &[u32]) -> Vec<Counts> {
        let weight =
            |index: usize| if weights.iter().all(|weight| *weight == 0) { 1 } else { weights[index] };
        let all: u128 = (0..weights.len()).map(|index| u128::from(weight(index))).sum();
        let mut shares = vec![Counts::default(); weights.len()];
        for kind in 0..KINDS {
            let (mut passed, mut given) = (0_u128, 0_u64);
            for (index, share) in shares.iter_mut().enumerate() {
                passed += u128::from(weight(index));
                // At the last one this is the whole count.
                let upto = (u128::from(self.0[kind]) * passed / all) as u64;
                share.0[kind] = upto - given;
                given = upto;
            }
        }
        shares
    }

    /// What was counted since `earlier`, of the same counters.
    #[must_use]
    pub fn since(&self, earlier: &Counts) -> Counts {
        Counts(array::from_fn(|kind| self.0[kind].saturating_sub(earlier.0[kind])))
    }

    /// Both together.
    #[must_use]
    pub fn plus(&self, other: &Counts) -> Counts {
        Counts(array::from_fn(|kind| self.0[kind].saturating_add(other.0[kind])))
    }
}

impl fmt::Display for Counts {
    /// `journal-write=30 object-write=1 journal-read=0.5`, for log lines.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut gap = "";
        for (unit, milli) in self.used() {
            write!(f, "{gap}{}={}", unit.name(), milli / MILLI)?;
            if !milli.is_multiple_of(MILLI) {
                write!(f, ".{:03}", milli % MILLI)?;
            }
            gap = " ";
        }
        Ok(())
    }
}

/// Counts thousandths of a unit, for the process and for the scopes that the caller's task is in.
pub fn count(unit: Unit, milli: u64) {
    TOTAL.add(unit, milli);
    // Outside any scope only the process counts.
    let _ = SCOPE.try_with(|scope| {
        let mut inner = Some(scope);
        while let Some(scope) = inner {
            scope.tally.add(unit, milli);
            inner = scope.outer.as_ref();
        }
    });
}

/// What the process has counted since its start.
#[must_use]
pub fn total() -> Counts {
    TOTAL.counts()
}

/// Runs `work`; what its task counts meanwhile is counted in `tally` too, and in the scopes around it. A task that
/// `work` spawns is outside unless it is wrapped by itself.
pub async fn metered<F: Future>(tally: Arc<Tally>, work: F) -> F::Output {
    let outer = SCOPE.try_with(Arc::clone).ok();
    SCOPE.scope(Arc::new(Scope { tally, outer }), work).await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_scope_counts_its_own_task_only() {
        let tally = Arc::new(Tally::new());
        let before = total();
        count(Unit::QueueRequest, MILLI);
        metered(Arc::clone(&tally), async {
            count(Unit::JournalRead, MILLI / 2);
            count(Unit::JournalRead, MILLI / 2);
            let outside = tokio::spawn(async { count(Unit::JournalRead, MILLI) });
            assert!(outside.await.is_ok());
        })
        .await;
        assert_eq!(tally.counts().milli(Unit::JournalRead), MILLI);
        assert_eq!(tally.counts().milli(Unit::QueueRequest), 0);
        let counted = total().since(&before);
        assert!(counted.milli(Unit::JournalRead) >= 2 * MILLI);
        assert!(counted.milli(Unit::QueueRequest) >= MILLI);
    }

    #[tokio::test]
    async fn what_an_inner_scope_counts_the_outer_one_counts_too() {
        let (outer, inner) = (Arc::new(Tally::new()), Arc::new(Tally::new()));
        metered(Arc::clone(&outer), async {
            count(Unit::ObjectRead, 1);
            metered(Arc::clone(&inner), async { count(Unit::ObjectRead, 10) }).await;
            count(Unit::ObjectRead, 100);
        })
        .await;
        assert_eq!(inner.counts().milli(Unit::ObjectRead), 10);
        assert_eq!(outer.counts().milli(Unit::ObjectRead), 111);
    }

    #[test]
    fn shares_add_up_to_what_was_divided() {
        let mut counts = Counts::default();
        counts.add(Unit::JournalWrite, 31_000);
        counts.add(Unit::ObjectWrite, 1_000);
        counts.add(Unit::ObjectBytesWritten, u64::MAX);
        for weights in [vec![1; 30], vec![3, 1, 0, 7, 7], vec![0, 0, 0], vec![u32::MAX, 1, u32::MAX], vec![5]]
        {
            let shares = counts.divided(&weights);
            let sum = shares.iter().fold(Counts::default(), |sum, share| sum.plus(share));
            assert_eq!(sum, counts, "{weights:?}");
        }
        let thirds = counts.divided(&[1, 1, 1]);
        assert_eq!(
            thirds.iter().map(|share| share.milli(Unit::ObjectWrite)).collect::<Vec<_>>(),
            [333, 333, 334]
        );
        assert!(counts.divided(&[]).is_empty());
        assert!(counts.divided(&[1, 0])[1].is_empty());
    }

    #[test]
    fn every_kind_has_its_own_place_and_name() {
        let mut places: Vec<usize> = Unit::ALL.iter().map(|unit| *unit as usize).collect();
        places.sort_unstable();
        assert_eq!(places, (0..KINDS).collect::<Vec<_>>());
        let mut names: Vec<&str> = Unit::ALL.iter().map(|unit| unit.name()).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), KINDS);
    }
}
