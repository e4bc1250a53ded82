//! Where letters are looked into for rules about contents: beside the workers that answer everybody, a few at a time.
//!
//! A small letter may have a document of many megabytes in it, so its size says nothing of the time that this takes. What rules
//! are compiled to is kept for all sessions and letters of those for whom the same rules hold.

use std::collections::HashMap;
use std::sync::{Arc, LazyLock, Weak};

use parking_lot::Mutex;
use pennypost_model::TenantId;
use pennypost_policy::content::{ContentFilter, ContentRule};
use tokio::runtime::Handle;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::JoinError;

/// Patterns of the filters that are kept: each takes up to a third of a megabyte. Filters in use live on.
const KEPT_PATTERNS: usize = 200;
/// Filters that are kept.
const KEPT: usize = 64;

/// Turns to look at something: one core is left for all else.
static TURNS: LazyLock<Arc<Semaphore>> = LazyLock::new(|| {
    let cores = std::thread::available_parallelism().map_or(2, usize::from);
    Arc::new(Semaphore::new(cores.saturating_sub(1).max(1)))
});

/// Of all organisations: a filter is what its rules are, and nothing else.
static FILTERS: LazyLock<Mutex<Filters>> = LazyLock::new(Mutex::default);

/// Each organisation has one turn at a time: many letters of one wait behind each other, and not before those of others.
static THEIRS: LazyLock<Mutex<HashMap<TenantId, Weak<Semaphore>>>> = LazyLock::new(Mutex::default);

/// A turn of an organisation, held to the end of the work.
struct Turn {
    _common: Option<OwnedSemaphorePermit>,
    _own: Option<OwnedSemaphorePermit>,
}

async fn turn_of(tenant: TenantId) -> Turn {
    let own = {
        let mut theirs = THEIRS.lock();
        let known = theirs.get(&tenant).and_then(Weak::upgrade);
        known.unwrap_or_else(|| {
            theirs.retain(|_, turns| turns.strong_count() > 0);
            let turns = Arc::new(Semaphore::new(1));
            theirs.insert(tenant, Arc::downgrade(&turns));
            turns
        })
    };
    // Nobody closes them.
    let own = own.acquire_owned().await.ok();
    Turn { _common: Arc::clone(&TURNS).acquire_owned().await.ok(), _own: own }
}

/// Does work that an organisation's rules about contents ask for, without keeping anybody waiting who has no such rules. Where there is no
/// runtime it is done at once.
///
/// # Errors
/// The work has panicked, or the runtime ends.
pub async fn look_into<T: Send + 'static>(
    tenant: TenantId,
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, JoinError> {
    if Handle::try_current().is_err() {
        return Ok(work());
    }
    let turn = turn_of(tenant).await;
    let looking = tokio::task::spawn_blocking(move || {
        let done = work();
        // Held to the end of the work, also where nobody waits for it any more.
        drop(turn);
        done
    });
    looking.await
}

/// The filter of these rules, all of which are on.
pub(crate) async fn filter_of(
    tenant: TenantId,
    rules: Vec<ContentRule>,
) -> Result<Arc<ContentFilter>, JoinError> {
    if rules.is_empty() {
        return Ok(Arc::default());
    }
    if let Some(known) = FILTERS.lock().find(&rules) {
        return Ok(known);
    }
    // Many may want the same at once, after a change: the first one makes it.
    let making = look_into(tenant, move || {
        if let Some(known) = FILTERS.lock().find(&rules) {
            return known;
        }
        let filter = Arc::new(ContentFilter::new(rules));
        FILTERS.lock().keep(&filter);
        filter
    });
    making.await
}

/// Filters by what their rules are.
#[derive(Default)]
struct Filters(Vec<Arc<ContentFilter>>);

impl Filters {
    fn find(&self, rules: &[ContentRule]) -> Option<Arc<ContentFilter>> {
        self.0.iter().find(|filter| filter.is_of(rules)).cloned()
    }

    fn keep(&mut self, filter: &Arc<ContentFilter>) {
        let patterns: usize = self.0.iter().chain([filter]).map(|kept| kept.patterns()).sum();
        if self.0.len() >= KEPT || patterns > KEPT_PATTERNS {
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

    const TENANT: TenantId = TenantId(77);

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
        let [one, same] = [
            filter_of(TENANT, vec![rule("of looking")]).await,
            filter_of(TENANT, vec![rule("of looking")]).await,
        ];
        assert!(Arc::ptr_eq(&one.expect("made"), &same.expect("kept")));
        assert!(filter_of(TENANT, Vec::new()).await.expect("none").is_empty());
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
        assert_eq!(look_into(TENANT, || 7).now_or_never().expect("at once").expect("done"), 7);
    }

    #[tokio::test]
    async fn what_panics_is_an_error_and_gives_its_turn_back() {
        let turns = TURNS.available_permits().max(1);
        for _ in 0..=turns {
            assert!(look_into(TENANT, || assert!(std::hint::black_box(false), "on purpose")).await.is_err());
        }
        assert_eq!(look_into(TENANT, || 7).await.expect("done"), 7);
    }

    #[tokio::test]
    async fn letters_of_one_organisation_do_not_stand_before_those_of_another() {
        // No other test's.
        let tenant = TenantId(79);
        let (let_go, wait) = std::sync::mpsc::channel::<()>();
        let first = tokio::spawn(look_into(tenant, move || {
            let _ = wait.recv();
        }));
        let behind: Vec<_> = (0..3).map(|_| tokio::spawn(look_into(tenant, || ()))).collect();
        let other = tokio::spawn(look_into(TenantId(78), || ()));
        tokio::task::yield_now().await;
        // All but one of those who wait do so for their own organisation's turn.
        let own = THEIRS.lock().get(&tenant).and_then(Weak::upgrade).expect("known");
        assert_eq!(own.available_permits(), 0);
        let_go.send(()).expect("waits");
        for one in [first, other].into_iter().chain(behind) {
            one.await.expect("ends").expect("done");
        }
        assert_eq!(own.available_permits(), 1);
    }
}
