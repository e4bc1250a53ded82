//! The items and their rows.

use std::collections::BTreeSet;
use std::sync::Arc;

use futures::future::BoxFuture;
use futures::{FutureExt, StreamExt};
use pennypost_model::codec;
use pennypost_model::{AccountId, Seq, TenantId, Timestamp};
use pennypost_ports::{Clock, Consistency, Control, ControlKey, Expected, PortResult, Put};

use crate::HookError;
use crate::subscription::{NoticeKind, Subscription, SubscriptionId, SubscriptionsItem};
use crate::waiting::{Due, FORM, Look, Progress, State, Waiting, WaitingFor};

/// Partition of the control table with the rows. They are the installation's, no tenant's.
const DUE: &str = "hooks-due";
/// How often a compare-and-set loop begins again before it gives up.
const MAX_ATTEMPTS: usize = 32;
/// Milliseconds to which the times of rows are rounded up: a row is not looked at before the last one of its second was
/// written.
const STEP: i64 = 1_000;
/// Writes and deletions of what waits that are under way at once for one subscription.
const AT_ONCE: usize = 16;

/// Of what was refused, so many are told anew at once.
const PAGE: usize = 200;

/// Some of the rows whose time has come.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct DuePage {
    /// Those that have waited longest first.
    pub due: Vec<Due>,
    /// Behind what to go on, if there may be more.
    pub next: Option<String>,
}

/// Subscriptions and what waits, over the control port. Cheap to clone.
#[derive(Clone)]
pub struct Hooks(Arc<dyn Control>);

fn subscriptions_key(tenant: TenantId) -> ControlKey {
    ControlKey::new(tenant.to_string(), "subscriptions")
}

fn state_key(tenant: TenantId, id: SubscriptionId) -> ControlKey {
    ControlKey::new(format!("{tenant}/subscription-states"), id.to_string())
}

fn notices(tenant: TenantId) -> String {
    format!("{tenant}/notices")
}

/// The end of the second.
fn rounded(at: Timestamp) -> Timestamp {
    Timestamp(at.0.div_euclid(STEP).saturating_add(1).saturating_mul(STEP))
}

impl Hooks {
    /// Over that port.
    #[must_use]
    pub fn new(control: Arc<dyn Control>) -> Hooks {
        Hooks(control)
    }

    /// Where a secret lies, for what seals it.
    #[must_use]
    pub fn place_of_secret(tenant: TenantId, id: SubscriptionId) -> String {
        format!("{tenant}/subscriptions/{id}")
    }

    /// The subscriptions of a tenant, in the order in which they were added.
    ///
    /// # Errors
    /// [`HookError`].
    #[pennypost_ports::compiled_here]
    pub async fn subscriptions(
        &self,
        tenant: TenantId,
        consistency: Consistency,
    ) -> Result<Vec<Subscription>, HookError> {
        let Some(item) = self.0.get(&subscriptions_key(tenant), consistency).await? else {
            return Ok(Vec::new());
        };
        Ok(codec::decode::<SubscriptionsItem>(&item.value)?.subscriptions)
    }

    /// Changes the subscriptions of a tenant; may be called again for what others have written meanwhile.
    ///
    /// # Errors
    /// [`HookError`], or what the change says.
    pub async fn change<E: From<HookError>>(
        &self,
        tenant: TenantId,
        mut change: impl FnMut(&mut Vec<Subscription>) -> Result<(), E> + Send,
    ) -> Result<(), E> {
        let key = subscriptions_key(tenant);
        for _ in 0..MAX_ATTEMPTS {
            let found = self.0.get(&key, Consistency::Strong).await.map_err(HookError::from)?;
            let (mut item, expected) = match found {
                Some(found) => {
                    let item: SubscriptionsItem = codec::decode(&found.value).map_err(HookError::from)?;
                    (item, Expected::Version(found.version))
                }
                None => (SubscriptionsItem::default(), Expected::Absent),
            };
            change(&mut item.subscriptions)?;
            let put = self.0.put_if(&key, &codec::encode(&item), expected).await.map_err(HookError::from)?;
            if matches!(put, Put::Stored(_)) {
                return Ok(());
            }
        }
        Err(HookError::Contended.into())
    }

    /// How telling goes, with the version of the item; the default where nothing was told yet.
    ///
    /// # Errors
    /// [`HookError`].
    #[pennypost_ports::compiled_here]
    pub async fn state(
        &self,
        tenant: TenantId,
        id: SubscriptionId,
    ) -> Result<(State, Option<u64>), HookError> {
        match self.0.get(&state_key(tenant, id), Consistency::Strong).await? {
            Some(item) => Ok((codec::decode(&item.value)?, Some(item.version))),
            None => Ok((State::default(), None)),
        }
    }

    /// Writes the state over the version that was read: its new version, unless somebody else has written it since.
    ///
    /// # Errors
    /// [`HookError`].
    #[pennypost_ports::compiled_here]
    pub async fn save_state(
        &self,
        tenant: TenantId,
        id: SubscriptionId,
        state: &State,
        seen: Option<u64>,
    ) -> Result<Option<u64>, HookError> {
        let expected = seen.map_or(Expected::Absent, Expected::Version);
        match self.0.put_if(&state_key(tenant, id), &codec::encode(state), expected).await? {
            Put::Stored(version) => Ok(Some(version)),
            Put::Conflict(_) => Ok(None),
        }
    }

    /// Forgets how telling went.
    ///
    /// # Errors
    /// [`HookError`].
    #[pennypost_ports::compiled_here]
    pub async fn forget_state(&self, tenant: TenantId, id: SubscriptionId) -> Result<(), HookError> {
        let key = state_key(tenant, id);
        if let Some(item) = self.0.get(&key, Consistency::Strong).await? {
            self.0.delete_if(&key, item.version).await?;
        }
        Ok(())
    }

    /// Begins anew with a receiver: that it has taken nothing is forgotten, and what it has refused may be told at once, of
    /// each kind 200.
    ///
    /// # Errors
    /// [`HookError`].
    #[pennypost_ports::compiled_here]
    pub async fn begin_anew(&self, tenant: TenantId, id: SubscriptionId) -> Result<(), HookError> {
        for _ in 0..MAX_ATTEMPTS {
            let (state, seen) = self.state(tenant, id).await?;
            // Whoever is at it right now keeps the claim, and finds out that the state is another one.
            let anew = State { next: Timestamp::default(), failing_since: None, tries: 0, ..state.clone() };
            if anew == state || self.save_state(tenant, id, &anew, seen).await?.is_some() {
                for one in self.waiting(tenant, id, Timestamp(i64::MAX), PAGE).await?.waiting {
                    if one.progress.until > Timestamp::default() {
                        let progress = Progress { until: Timestamp::default(), ..one.progress.clone() };
                        self.keep(tenant, id, &one, &progress).await?;
                    }
                }
                return Ok(());
            }
        }
        Err(HookError::Contended)
    }

    /// Puts down that entries have brought letters: what waits, and behind all of it where to look.
    ///
    /// # Errors
    /// [`HookError`]; what could be written is written.
    #[pennypost_ports::compiled_here]
    pub async fn put_down(
        &self,
        tenant: TenantId,
        subscription: &Subscription,
        entries: &[(AccountId, Seq)],
        clock: &dyn Clock,
    ) -> Result<(), HookError> {
        let (id, now) = (subscription.id, clock.now());
        let mut sorts = BTreeSet::new();
        for kind in &subscription.kinds {
            sorts.extend(entries.iter().map(|(account, seq)| match kind {
                NoticeKind::Received => Waiting::sort_of(id, now, *account, *seq),
                NoticeKind::Unread => format!("{}{account}", Waiting::unread(id)),
            }));
        }
        let write = |sort: String| {
            let key = ControlKey::new(notices(tenant), sort);
            async move { self.0.put_if(&key, FORM, Expected::Any).await.map(drop) }.boxed()
        };
        let written = all(sorts.into_iter().map(write).collect()).await;
        // Its second is that in which it is written, not that in which the writes began: nobody has looked after it yet.
        self.remind(tenant, id, clock.now()).await?;
        Ok(written?)
    }

    /// Writes a row: the subscription will be looked after at the end of that second.
    ///
    /// # Errors
    /// [`HookError`].
    #[pennypost_ports::compiled_here]
    pub async fn remind(
        &self,
        tenant: TenantId,
        subscription: SubscriptionId,
        at: Timestamp,
    ) -> Result<Due, HookError> {
        let at = rounded(at);
        let sort = Due::sort_of(at, tenant, subscription);
        let put = self.0.put_if(&ControlKey::new(DUE, &*sort), FORM, Expected::Any).await?;
        let version = match put {
            Put::Stored(version) => version,
            // Nothing was asked for.
            Put::Conflict(found) => found.map_or(0, |found| found.version),
        };
        Ok(Due { at, tenant, subscription, sort, version })
    }

    /// The rows whose time has come, behind the last one of the page before. What is no row is removed.
    ///
    /// # Errors
    /// [`HookError`].
    #[pennypost_ports::compiled_here]
    pub async fn due(&self, now: Timestamp, after: Option<&str>, limit: usize) -> Result<DuePage, HookError> {
        let rows = self.0.query(DUE, "", after, limit).await?;
        let next = rows.last().filter(|_| rows.len() >= limit).map(|(sort, _)| sort.clone());
        let mut page = DuePage { due: Vec::with_capacity(rows.len()), next };
        for (sort, item) in rows {
            match Due::read(sort.clone(), item.version) {
                Some(due) if due.at > now => return Ok(DuePage { next: None, ..page }),
                Some(due) => page.due.push(due),
                None => {
                    tracing::warn!(sort, "a row of what is due can't be read, and is removed");
                    self.0.delete_if(&ControlKey::new(DUE, sort), item.version).await?;
                }
            }
        }
        Ok(page)
    }

    /// Removes a row. One that was written anew meanwhile stays.
    ///
    /// # Errors
    /// [`HookError`].
    #[pennypost_ports::compiled_here]
    pub async fn forget(&self, due: &Due) -> Result<(), HookError> {
        self.0.delete_if(&ControlKey::new(DUE, &*due.sort), due.version).await?;
        Ok(())
    }

    /// Some of what may be told now: of each kind about as many as this.
    ///
    /// # Errors
    /// [`HookError`].
    #[pennypost_ports::compiled_here]
    pub async fn waiting(
        &self,
        tenant: TenantId,
        id: SubscriptionId,
        now: Timestamp,
        limit: usize,
    ) -> Result<Look, HookError> {
        let partition = notices(tenant);
        let mut look = Look::default();
        for (prefix, is_by_time) in [(Waiting::received(id), true), (Waiting::unread(id), false)] {
            let (mut after, wanted) = (None::<String>, look.waiting.len() + limit);
            loop {
                let page = self.0.query(&partition, &prefix, after.as_deref(), limit).await?;
                let mut is_last = page.len() < limit;
                after = page.last().map(|(sort, _)| sort.clone());
                for (sort, item) in page {
                    match Waiting::read(sort.clone(), &item.value, item.version) {
                        Some(one) if one.progress.until > now => {
                            let until = one.progress.until;
                            look.next = Some(look.next.map_or(until, |next| next.min(until)));
                            // Behind it are only those that are put off for longer.
                            is_last |= is_by_time;
                        }
                        Some(one) => look.waiting.push(one),
                        None => {
                            tracing::warn!(%tenant, sort, "a notice that waits can't be read, and is dropped");
                            self.0.delete_if(&ControlKey::new(&*partition, sort), item.version).await?;
                        }
                    }
                }
                if is_last || look.waiting.len() >= wanted {
                    break;
                }
            }
        }
        Ok(look)
    }

    /// It waits on, and how it went with it is kept: in its place, or behind the others where it is tried again later. What
    /// has come again meanwhile stays as it is.
    ///
    /// # Errors
    /// [`HookError`].
    #[pennypost_ports::compiled_here]
    pub async fn keep(
        &self,
        tenant: TenantId,
        id: SubscriptionId,
        waiting: &Waiting,
        progress: &Progress,
    ) -> Result<(), HookError> {
        let sort = match waiting.of {
            WaitingFor::Received(seq) if progress.until > waiting.progress.until => {
                Waiting::sort_of(id, progress.until, waiting.account, seq)
            }
            _ => waiting.sort.clone(),
        };
        let (partition, value) = (notices(tenant), codec::encode(progress));
        if sort == waiting.sort {
            let expected = Expected::Version(waiting.version);
            self.0.put_if(&ControlKey::new(partition, sort), &value, expected).await?;
            return Ok(());
        }
        self.0.put_if(&ControlKey::new(partition, sort), &value, Expected::Any).await?;
        self.done(tenant, waiting).await
    }

    /// It waits no more. What has come again meanwhile stays.
    ///
    /// # Errors
    /// [`HookError`].
    #[pennypost_ports::compiled_here]
    pub async fn done(&self, tenant: TenantId, waiting: &Waiting) -> Result<(), HookError> {
        self.0.delete_if(&ControlKey::new(notices(tenant), &*waiting.sort), waiting.version).await?;
        Ok(())
    }

    /// Several wait no more.
    ///
    /// # Errors
    /// [`HookError`].
    #[pennypost_ports::compiled_here]
    pub async fn all_done(&self, tenant: TenantId, waiting: &[Waiting]) -> Result<(), HookError> {
        let remove = |one: &Waiting| {
            let (key, version) = (ControlKey::new(notices(tenant), &*one.sort), one.version);
            async move { self.0.delete_if(&key, version).await.map(drop) }.boxed()
        };
        Ok(all(waiting.iter().map(remove).collect()).await?)
    }

    /// Drops some of what waits; `true` if there may be more.
    ///
    /// # Errors
    /// [`HookError`].
    #[pennypost_ports::compiled_here]
    pub async fn drop_some(
        &self,
        tenant: TenantId,
        id: SubscriptionId,
        limit: usize,
    ) -> Result<bool, HookError> {
        let waiting = self.waiting(tenant, id, Timestamp(i64::MAX), limit).await?.waiting;
        self.all_done(tenant, &waiting).await?;
        Ok(!waiting.is_empty())
    }
}

/// Runs all, some at once; an error where one failed.
async fn all(calls: Vec<BoxFuture<'_, PortResult<()>>>) -> PortResult<()> {
    let results: Vec<PortResult<()>> = futures::stream::iter(calls).buffer_unordered(AT_ONCE).collect().await;
    results.into_iter().collect()
}
