//! Destinations that are left alone: by whoever has found in a row that they are not reached, or have too much to do, and by all other
//! processes, too.
//!
//! A pause stands in the control table ([`pennypost_outbound::Pause`]). It is written when it begins and when it grows, and removed when
//! the destination answers again; what goes well writes nothing. All pauses are read at once, twice in a minute while something is due.
//! What waits for one stays where it lies and is no attempt, for an hour at most: each letter has its tries, and its sender is told that
//! it takes long.
//!
//! Who reaches nobody has no network, and says nothing of others: a pause is begun by who was answered by anybody a short while ago.

use std::time::Duration;

use parking_lot::Mutex;
use pennypost_model::Timestamp;
use pennypost_outbound::{Due, Pause, Pauses};

use crate::SendRemote;
use crate::exchange::Verdict;
use crate::slots::Mood;

/// Between two looks at what others have found.
const READ: Duration = Duration::from_secs(30);
/// For so long a letter waits for a destination that is left alone.
const MOST_WAITED: Duration = Duration::from_secs(3_600);
/// For so long who was answered is taken to have a network.
const HEARD: Duration = Duration::from_secs(3 * 60);
/// Minutes of the first pauses in a row.
const FIRST: [u64; 4] = [1, 2, 4, 8];
/// Minutes of all others.
const LAST: u64 = 15;

/// What this process knows.
#[derive(Default)]
pub(crate) struct Known {
    pauses: Mutex<Pauses>,
    /// When they were read last.
    read: Mutex<Option<Timestamp>>,
    /// When anybody has answered last.
    heard: Mutex<Option<Timestamp>>,
}

fn millis(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}

/// The length of a pause; `chance` is from 0 up to 1: a tenth more or less.
fn length(times: u32, chance: f64) -> Duration {
    let place = usize::try_from(times.saturating_sub(1)).unwrap_or(usize::MAX);
    let minutes = FIRST.get(place).copied().unwrap_or(LAST);
    Duration::from_secs_f64(minutes as f64 * 60.0 * (0.9 + 0.2 * chance.clamp(0.0, 1.0)))
}

/// Is it the destination that was not reached, or wants to be left alone? What we could not look up, or would not send without TLS, says
/// nothing of that; nor that it puts off a letter that it does not know yet, or does not like a sender.
fn is_destinations(verdicts: &[Verdict]) -> bool {
    let is_its = |(_, answer): &Verdict| match answer.code {
        Some(code) => code == 421 && !answer.status.starts_with("4.7."),
        None => matches!(&*answer.status, "4.4.1" | "4.4.2" | "4.4.7"),
    };
    !verdicts.is_empty() && verdicts.iter().all(is_its)
}

impl SendRemote {
    /// Learns what others have found: one query in half a minute.
    pub(crate) async fn learn_pauses(&self, now: Timestamp) {
        let known = &self.0.pauses;
        {
            let mut read = known.read.lock();
            let pause = millis(self.hurried(READ));
            if read.is_some_and(|read| (read..read.plus_millis(pause)).contains(&now)) {
                return;
            }
            *read = Some(now);
        }
        match self.0.outbox.pauses(now).await {
            Ok(found) => {
                // When its pause is over it is tried by one.
                found.keys().for_each(|destination| self.0.slots.narrow(destination));
                *known.pauses.lock() = found;
            }
            Err(error) => tracing::warn!(%error, "which destinations are left alone can't be read"),
        }
    }

    /// Is a row to be left where it is, since its destination is left alone?
    pub(crate) fn is_left_alone(&self, due: &Due, now: Timestamp) -> bool {
        let is_paused = |(pause, _): &(Pause, u64)| now < pause.until;
        self.0.pauses.pauses.lock().get(&due.destination).is_some_and(is_paused)
            && now < due.at.plus_millis(millis(self.hurried(MOST_WAITED)))
    }

    /// Notes what an attempt has shown of its destination, for all processes.
    pub(crate) async fn note_pause(&self, destination: &str, mood: Mood, verdicts: &[Verdict]) {
        let (now, known) = (self.0.ports.clock.now(), &self.0.pauses);
        if verdicts.iter().any(|(_, answer)| answer.code.is_some()) {
            *known.heard.lock() = Some(now);
        }
        let changed = match mood {
            Mood::Well => {
                let Some((_, version)) = known.pauses.lock().remove(destination) else { return };
                self.0.outbox.resume(destination, version).await
            }
            Mood::Unwell => {
                let has_network = known.heard.lock().is_some_and(|at| at.plus_millis(millis(HEARD)) >= now);
                if !has_network || !is_destinations(verdicts) || self.0.slots.window(destination) > 1 {
                    return;
                }
                let before = known.pauses.lock().get(destination).copied();
                let (times, version) = match before {
                    // It was begun before the pause, or has waited for too long.
                    Some((pause, _)) if now < pause.until => return,
                    Some((pause, version)) if pause.is_forgotten(now) => (1, Some(version)),
                    Some((pause, version)) => (pause.times.saturating_add(1), Some(version)),
                    None => (1, None),
                };
                let until = now.plus_millis(millis(self.hurried(length(times, fastrand::f64()))));
                let written = self.0.outbox.pause(destination, Pause { until, times }, version).await;
                written.map(|holds| {
                    if let Some((pause, version)) = holds {
                        let until = pause.until.rfc3339();
                        tracing::info!(destination, until, pause.times, "a destination is left alone");
                        known.pauses.lock().insert(destination.to_owned(), (pause, version));
                    }
                })
            }
        };
        if let Err(error) = changed {
            tracing::warn!(destination, %error, "what was found of a destination is not known to others");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_up_to_a_quarter_of_an_hour() {
        let minutes = |times| (length(times, 0.5).as_secs_f64() / 60.0).round() as u64;
        assert_eq!([1, 2, 3, 4, 5, 6, u32::MAX].map(minutes), [1, 2, 4, 8, 15, 15, 15]);
        assert_eq!((length(1, 0.0).as_secs(), length(1, 1.0).as_secs()), (54, 66));
    }
}
