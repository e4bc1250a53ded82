//! When a destination that does not take a message is tried again.

use std::time::Duration;

/// How long it is tried.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Patience {
    /// After so long a recipient that still waits has failed.
    pub give_up: Duration,
    /// After so long the sender is told that it takes long.
    pub tell: Duration,
}

impl Default for Patience {
    fn default() -> Patience {
        Patience { give_up: Duration::from_secs(5 * 24 * 3600), tell: Duration::from_secs(4 * 3600) }
    }
}

/// Minutes after the first attempts; then it grows by half of itself each time.
const FIRST: [u64; 4] = [1, 5, 15, 30];
/// Minutes at most.
const LAST: u64 = 6 * 60;

/// The pause behind so many attempts. `chance` is from 0 up to 1: it is up to a tenth shorter or longer, so that what
/// failed together does not come again together.
#[must_use]
pub fn retry_after(attempts: u32, chance: f64) -> Duration {
    let number = attempts.saturating_sub(1) as usize;
    let minutes = match FIRST.get(number) {
        Some(minutes) => *minutes as f64,
        None => {
            let grown = i32::try_from(number - FIRST.len() + 1).unwrap_or(i32::MAX).min(30);
            (30.0 * 1.5_f64.powi(grown)).min(LAST as f64)
        }
    };
    Duration::from_secs_f64(minutes * 60.0 * (0.9 + 0.2 * chance.clamp(0.0, 1.0)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_up_to_six_hours() {
        let minutes = |attempts| (retry_after(attempts, 0.5).as_secs_f64() / 60.0).round() as u64;
        let pauses: Vec<u64> = (1..=12).map(minutes).collect();
        assert_eq!(pauses, [1, 5, 15, 30, 45, 68, 101, 152, 228, 342, 360, 360]);
        assert_eq!(minutes(u32::MAX), 360);
        assert_eq!(minutes(0), 1);
        // In five days it is tried some thirty times.
        let mut passed = Duration::ZERO;
        let tries = (1..).take_while(|attempts| {
            passed += retry_after(*attempts, 0.5);
            passed < Patience::default().give_up
        });
        assert!((25..40).contains(&tries.count()));
    }

    #[test]
    fn what_failed_together_comes_apart() {
        assert_eq!(retry_after(1, 0.0), Duration::from_secs(54));
        assert_eq!(retry_after(1, 1.0), Duration::from_secs(66));
    }
}
