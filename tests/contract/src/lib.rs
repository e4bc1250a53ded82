//! One contract suite per port, for every backend.
//!
//! Each suite has an `all` that takes a factory of the port. Every call of the factory gives a port on an
//! empty store (a fresh directory; fresh tables and queues). The suites hold a backend to the doc comments in
//! `pennypost-ports` and to nothing else; they wait as long as it takes and never demand speed. A failed
//! clause panics; the name of the case stands on standard error before it.
//!
//! A backend's own tests call them:
//!
//! ```ignore
//! #[tokio::test(flavor = "multi_thread")]
//! async fn journal() {
//!     pennypost_contract::journal::all(async || Store::fresh().journal()).await;
//! }
//! ```

pub mod control;
pub mod journal;
pub mod log;
pub mod objects;
pub mod queue;
pub mod together;

use std::fmt::Debug;
use std::sync::Arc;

use pennypost_model::{AccountId, AccountKey, EventId, TenantId, Timestamp};
use pennypost_ports::{Ids, PortError, PortResult, RandomIds};

/// Makes `all`, which runs each case on a port of its own.
macro_rules! suite {
    ($port:ident: $($case:ident),* $(,)?) => {
        /// Runs every case, each on a port from `make`.
        pub async fn all(make: impl AsyncFn() -> std::sync::Arc<dyn pennypost_ports::$port>) {
            all_but(&[], make).await;
        }

        /// Runs every case whose name is not in `left_out`: for what an emulator does not do as its service does.
        pub async fn all_but(
            left_out: &[&str],
            make: impl AsyncFn() -> std::sync::Arc<dyn pennypost_ports::$port>,
        ) {
            let cases = [$(stringify!($case)),*];
            for name in left_out {
                assert!(cases.contains(name), "no case is called {name}");
            }
            $(
                if left_out.contains(&stringify!($case)) {
                    eprintln!(concat!(stringify!($port), ": left out: ", stringify!($case)));
                } else {
                    eprintln!(concat!(stringify!($port), ": ", stringify!($case)));
                    // On the heap: the states of all cases together would be one very large future.
                    Box::pin($case(make().await)).await;
                }
            )*
        }
    };
}
pub(crate) use suite;

/// Racing writers in the cases about races.
const RACERS: usize = 16;

fn tenant() -> TenantId {
    TenantId(RandomIds.random())
}

fn account() -> AccountKey {
    account_of(tenant())
}

fn account_of(tenant: TenantId) -> AccountKey {
    AccountKey { tenant, account: AccountId(RandomIds.random()) }
}

fn event(time: i64) -> EventId {
    RandomIds.event(Timestamp(time))
}

/// The value of a call that must succeed.
#[track_caller]
fn ok<T>(result: PortResult<T>) -> T {
    match result {
        Ok(value) => value,
        Err(error) => panic!("the port failed: {error}"),
    }
}

#[track_caller]
fn assert_refused<T: Debug>(result: &PortResult<T>) {
    assert!(matches!(result, Err(PortError::Refused { .. })), "not refused: {result:?}");
}

#[track_caller]
fn assert_not_found<T: Debug>(result: &PortResult<T>) {
    assert!(matches!(result, Err(PortError::NotFound { .. })), "found: {result:?}");
}

/// Runs `racers` tasks at once and gives what each returned.
async fn race<P: ?Sized + Send + Sync + 'static, T: Send + 'static, F>(
    port: &Arc<P>,
    racers: usize,
    run: impl Fn(Arc<P>, usize) -> F,
) -> Vec<T>
where
    F: Future<Output = T> + Send + 'static,
{
    let tasks: Vec<_> = (0..racers).map(|racer| tokio::spawn(run(Arc::clone(port), racer))).collect();
    let mut results = Vec::with_capacity(racers);
    for task in tasks {
        match task.await {
            Ok(result) => results.push(result),
            Err(error) => panic!("a racer died: {error}"),
        }
    }
    results
}
