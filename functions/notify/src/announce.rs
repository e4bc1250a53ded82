//! Putting down what is to be told: nothing for tenants without subscriptions, which is known without a call.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures::future::BoxFuture;
use futures::{FutureExt, StreamExt};
use parking_lot::Mutex;
use pennypost_hooks::{HookError, Hooks, Subscription};
use pennypost_model::event::Changed;
use pennypost_model::{AccountId, Seq, TenantId};
use pennypost_ports::{Clock, Consistency};

/// How old may be what is known of a tenant's subscriptions: as a policy. Whoever subscribes is told of what comes later.
pub const FRESH: Duration = Duration::from_secs(10);
/// Tenants whose subscriptions are remembered at once.
const MAX_REMEMBERED: usize = 10_000;
/// Tenants for which is put down at once.
const TENANTS: usize = 8;

struct Remembered {
    active: Arc<[Subscription]>,
    read: Instant,
}

/// Puts down what is to be told. Cheap to clone; clones share what they remember.
#[derive(Clone)]
pub struct Announcer(Arc<Inner>);

struct Inner {
    hooks: Hooks,
    clock: Arc<dyn Clock>,
    remembered: Mutex<HashMap<TenantId, Remembered>>,
    /// Rung when something was put down.
    bell: Arc<tokio::sync::Notify>,
}

impl Announcer {
    /// Over these ports.
    #[must_use]
    pub fn new(hooks: Hooks, clock: Arc<dyn Clock>) -> Announcer {
        let (remembered, bell) = (Mutex::default(), Arc::default());
        Announcer(Arc::new(Inner { hooks, clock, remembered, bell }))
    }

    /// What is rung when something was put down here.
    #[must_use]
    pub fn bell(&self) -> Arc<tokio::sync::Notify> {
        Arc::clone(&self.0.bell)
    }

    /// Puts down, for each subscription that may want it, that these entries have brought letters. The tenants for which that
    /// did not succeed, or not wholly: their entries are to come again.
    #[pennypost_ports::compiled_here]
    pub async fn put_down(&self, changed: &[Changed]) -> BTreeMap<TenantId, HookError> {
        let mut by_tenant: BTreeMap<TenantId, BTreeSet<(AccountId, Seq)>> = BTreeMap::new();
        for Changed { account, seq } in changed.iter().copied() {
            by_tenant.entry(account.tenant).or_default().insert((account.account, seq));
        }
        let putting = by_tenant.into_iter().map(|(tenant, entries)| async move {
            self.put_down_of(tenant, &entries).await.err().map(|error| (tenant, error))
        });
        // Boxed: a stream of borrowing futures is not general enough for the handler's own.
        let putting: Vec<BoxFuture<'_, _>> = putting.map(FutureExt::boxed).collect();
        futures::stream::iter(putting)
            .buffer_unordered(TENANTS)
            .filter_map(std::future::ready)
            .collect()
            .await
    }

    async fn put_down_of(
        &self,
        tenant: TenantId,
        entries: &BTreeSet<(AccountId, Seq)>,
    ) -> Result<(), HookError> {
        let active = self.active(tenant).await?;
        let mut result = Ok(());
        for subscription in active.iter() {
            let wanted: Vec<_> =
                entries.iter().copied().filter(|(account, _)| subscription.may_want(*account)).collect();
            if wanted.is_empty() {
                continue;
            }
            // One that fails takes nothing from the others.
            let putting = self.0.hooks.put_down(tenant, subscription, &wanted, &*self.0.clock);
            result = putting.await.and(result);
            self.0.bell.notify_one();
        }
        result
    }

    /// The subscriptions to which anything is told. A read every [`FRESH`].
    async fn active(&self, tenant: TenantId) -> Result<Arc<[Subscription]>, HookError> {
        let known =
            self.0.remembered.lock().get(&tenant).map(|known| (Arc::clone(&known.active), known.read));
        if let Some((active, read)) = &known
            && read.elapsed() < FRESH
        {
            return Ok(Arc::clone(active));
        }
        let read = Instant::now();
        let mut active = match (self.0.hooks.subscriptions(tenant, Consistency::Eventual).await, known) {
            (Ok(active), _) => active,
            // Letters are not held up by what nobody can mend by sending them again.
            (Err(HookError::Item(error)), _) => {
                tracing::error!(%tenant, %error, "the subscriptions of a tenant can't be read: nobody is told");
                Vec::new()
            }
            // Nor those of tenants without subscriptions by a table that has no time: what was known goes on.
            (Err(error), Some((active, _))) => {
                tracing::warn!(%tenant, %error, "the subscriptions of a tenant are those known before");
                return Ok(active);
            }
            (Err(error), None) => return Err(error),
        };
        active.retain(Subscription::is_active);
        let active: Arc<[Subscription]> = active.into();
        let mut remembered = self.0.remembered.lock();
        if remembered.len() >= MAX_REMEMBERED {
            remembered.retain(|_, known| known.read.elapsed() < FRESH);
        }
        if remembered.len() < MAX_REMEMBERED {
            remembered.insert(tenant, Remembered { active: Arc::clone(&active), read });
        }
        Ok(active)
    }
}
