//! Where letters are looked into for rules about contents: beside the workers that answer everybody, a few at a time.
//!
//! A small letter may have a document of many megabytes in it, so its size says nothing of the time that this takes. What rules
//! are compiled to is kept for all sessions and letters of those for whom the same rules hold.

use std::sync::{Arc, LazyLock};

use parking_lot::Mutex;
use pennypost_policy::content::{ContentFilter, ContentRule};
use tokio::runtime::Handle;
use tokio::sync::Semaphore;
use tokio::task::JoinError;

/// Filters that are kept. Those in use live on.
const KEPT: usize = 64;

/// Turns to look at something: one core is left for all else.
static TURNS: LazyLock<Arc<Semaphore>> = LazyLock::new(|| {
    let cores = std::thread::available_parallelism().map_or(2, usize::from);
    Arc::new(Semaphore::new(cores.saturating_sub(1).max(1)))
});

/// Of all organisations: a filter is what its rules are, and nothing else.
static FILTERS: LazyLock<Mutex<Filters>> = LazyLock::new(Mutex::default);

/// Does work that rules about contents ask for, without keeping anybody waiting who has no such rules. Where there is no runtime it is
/// done at once.
///
/// # Errors
/// The work has panicked, or the runtime ends.
pub async fn look_into<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T, JoinError> {
    if Handle::try_current().is_err() {
        return Ok(work());
    }
    // Nobody closes it.
    let turn = Arc::clone(&TURNS).acquire_owned().await.ok();
    let looking = tokio::task::spawn_blocking(move || {
        let done = work();
        // Held to the end of the work, also where nobody waits for it any more.
        drop(turn);
        done
    });
    looking.await
}

/// The filter of these rules, all of which are on.
pub(crate) async fn filter_of(rules: Vec<ContentRule>) -> Result<Arc<ContentFilter>, JoinError> {
    if rules.is_empty() {
        return Ok(Arc::default());
    }
    if let Some(known) = FILTERS.lock().find(&rules) {
        return Ok(known);
    }
    let filter = Arc::new(look_into(move || ContentFilter::new(rules)).await?);
    FILTERS.lock().keep(&filter);
    Ok(filter)
}

/// Filters by what their rules are.
#[derive(Default)]
struct Filters(Vec<Arc<ContentFilter>>);

impl Filters {
    fn find(&self, rules: &[ContentRule]) -> Option<Arc<ContentFilter>> {
        self.0.iter().find(|filter| filter.is_of(rules)).cloned()
    }

    fn keep(&mut self, filter: &Arc<ContentFilter>) {
        if self.0.len() >= KEPT {
            self.0.clear();
        }
        self.0.push(Arc::clone(filter));
    }
}

#[cfg(test)]
mod tests {
    use futures::FutureExt;
    use pennypost_policy::content::{ContentAction, ContentCondition};
    use pennypost_policy::rules::Join;

    use super::*;

    fn rule(name: &str) -> ContentRule {
        ContentRule {
            name: name.to_owned(),
            enabled: true,
            is_outside_only: false,
            join: Join::Any,
            conditions: vec![ContentCondition::Pattern { pattern: "a+".to_owned(), least: 1 }],
            action: ContentAction::Note,
        }
    }

    #[tokio::test]
    async fn the_same_rules_are_compiled_once() {
        let [one, same] =
            [filter_of(vec![rule("of looking")]).await, filter_of(vec![rule("of looking")]).await];
        assert!(Arc::ptr_eq(&one.expect("made"), &same.expect("kept")));
        assert!(filter_of(Vec::new()).await.expect("none").is_empty());
    }

    #[test]
    fn few_filters_are_kept() {
        let mut filters = Filters::default();
        for number in 0..=KEPT {
            filters.keep(&Arc::new(ContentFilter::new([rule(&number.to_string())])));
        }
        assert_eq!(filters.0.len(), 1);
        assert!(filters.find(&[rule("0")]).is_none() && filters.find(&[rule(&KEPT.to_string())]).is_some());
    }

    #[test]
    fn without_a_runtime_it_is_done_at_once() {
        assert_eq!(look_into(|| 7).now_or_never().expect("at once").expect("done"), 7);
    }

    #[tokio::test]
    async fn what_panics_is_an_error_and_gives_its_turn_back() {
        let turns = TURNS.available_permits().max(1);
        for _ in 0..=turns {
            assert!(look_into(|| assert!(std::hint::black_box(false), "on purpose")).await.is_err());
        }
        assert_eq!(look_into(|| 7).await.expect("done"), 7);
    }
}
