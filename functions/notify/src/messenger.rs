//! What tells receivers of what waits.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use pennypost_admin::{AdminError, Administration};
use pennypost_directory::{Blockable, Directory, DirectoryError, Function};
use pennypost_hooks::{Attempted, Due, HookError, Hooks, PauseCause, State, Subscription, SubscriptionId};
use pennypost_mailstore::{Mailstore, StoreError};
use pennypost_model::{TenantId, Timestamp};
use pennypost_outbound::retry_after;
use pennypost_ports::{Clock, Consistency, Https, Secrets};
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;

use crate::turn::{Tally, Turn};

/// For so many milliseconds a subscription is somebody's: longer than anybody goes on with it.
const CLAIM: i64 = 5 * 60_000;
/// Between two looks at what is due.
const PAUSE: Duration = Duration::from_secs(5);
/// Between the bell and the look: a row is looked at when its second is over.
const BEHIND_BELL: Duration = Duration::from_millis(1_050);
/// Rows that are read at once.
const PAGE: usize = 200;
/// Rows of one look, and of these such of one subscription: the others are found once these are done.
const MAX_ROWS: usize = 20_000;
const MAX_ROWS_EACH: usize = 1_000;
/// A receiver that answers is asked again after as many failures as lead to half an hour, not later: letters that come
/// meanwhile wait for that.
const TRIES_OF_ANSWERED: u32 = 4;
/// How long what is in hand is waited for when the process stops.
const FAREWELL: Duration = Duration::from_secs(15);

/// Why a subscription was not looked after.
#[derive(Debug, thiserror::Error)]
pub enum MessengerError {
    /// Its items.
    #[error(transparent)]
    Hooks(#[from] HookError),
    /// Who is who.
    #[error(transparent)]
    Directory(#[from] DirectoryError),
    /// The mail.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// It could not be paused.
    #[error(transparent)]
    Admin(#[from] AdminError),
}

/// What it works with.
#[derive(Clone)]
pub struct Ports {
    /// Subscriptions, and what waits.
    pub hooks: Hooks,
    /// Who is who.
    pub directory: Directory,
    /// The mail.
    pub store: Mailstore,
    /// What pauses subscriptions, and records that.
    pub administration: Administration,
    /// The way to receivers.
    pub https: Arc<dyn Https>,
    /// What opens secrets.
    pub secrets: Arc<dyn Secrets>,
    /// The time.
    pub clock: Arc<dyn Clock>,
}

/// How it works.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Settings {
    /// After so many milliseconds in which a receiver has taken nothing its subscription is paused; for so long a notice
    /// waits at most.
    pub patience: i64,
    /// Subscriptions at once.
    pub at_once: usize,
    /// Of these, such of one tenant.
    pub at_once_each: usize,
}

impl Default for Settings {
    fn default() -> Settings {
        Settings { patience: 24 * 3_600_000, at_once: 50, at_once_each: 3 }
    }
}

/// The worker. Cheap to clone.
#[derive(Clone)]
pub struct Messenger {
    pub(crate) ports: Ports,
    pub(crate) settings: Settings,
    /// Subscriptions that this process looks after right now.
    in_hand: Arc<Mutex<HashMap<TenantId, Vec<SubscriptionId>>>>,
    /// Who holds it looks at an account's mail as a whole, which takes memory: one at a time.
    pub(crate) loading: Arc<Semaphore>,
}

/// What is due of one subscription.
type Rows = BTreeMap<(TenantId, SubscriptionId), Vec<Due>>;

impl Messenger {
    /// Over these ports.
    #[must_use]
    pub fn new(ports: Ports, settings: Settings) -> Messenger {
        let loading = Arc::new(Semaphore::new(1));
        Messenger { ports, settings, in_hand: Arc::default(), loading }
    }

    /// Looks after what is due until `stop` turns true. What is cut off then is told again when its claim is over.
    #[pennypost_ports::compiled_here]
    pub async fn run(self, bell: Arc<tokio::sync::Notify>, mut stop: watch::Receiver<bool>) {
        let mut turns = JoinSet::new();
        while !*stop.borrow() {
            match self.due().await {
                Ok(due) => self.begin(due, &mut turns),
                Err(error) => tracing::warn!(%error, "what is due for subscriptions can't be read"),
            }
            let rung = async {
                bell.notified().await;
                tokio::time::sleep(BEHIND_BELL).await;
            };
            tokio::select! {
                () = tokio::time::sleep(PAUSE) => {}
                () = rung => {}
                changed = stop.changed() => if changed.is_err() { break },
            }
            while turns.try_join_next().is_some() {}
        }
        let ending = async { while turns.join_next().await.is_some() {} };
        let _ = tokio::time::timeout(FAREWELL, ending).await;
    }

    /// All that is due, by subscription.
    async fn due(&self) -> Result<Rows, HookError> {
        let now = self.ports.clock.now();
        let (mut rows, mut count) = (Rows::new(), 0);
        let mut after: Option<String> = None;
        loop {
            let page = self.ports.hooks.due(now, after.as_deref(), PAGE).await?;
            for due in page.due {
                let of_one = rows.entry((due.tenant, due.subscription)).or_default();
                if of_one.len() < MAX_ROWS_EACH {
                    of_one.push(due);
                }
                count += 1;
            }
            after = page.next;
            if after.is_none() || count >= MAX_ROWS {
                return Ok(rows);
            }
        }
    }

    /// Begins what there is room for; the other rows are found again.
    fn begin(&self, rows: Rows, turns: &mut JoinSet<()>) {
        // Who has waited longest has the first turn.
        let mut rows: Vec<_> = rows.into_iter().collect();
        rows.sort_by_key(|(_, due)| due.first().map(|due| due.at));
        for ((tenant, id), due) in rows {
            {
                let mut in_hand = self.in_hand.lock();
                let all: usize = in_hand.values().map(Vec::len).sum();
                let of_tenant = in_hand.get(&tenant).map_or(&[][..], Vec::as_slice);
                let is_busy = of_tenant.contains(&id) || of_tenant.len() >= self.settings.at_once_each;
                if is_busy || all >= self.settings.at_once {
                    continue;
                }
                in_hand.entry(tenant).or_default().push(id);
            }
            let this = self.clone();
            turns.spawn(async move {
                this.look_after(tenant, id, &due).await;
                let mut in_hand = this.in_hand.lock();
                if let Some(of_tenant) = in_hand.get_mut(&tenant) {
                    of_tenant.retain(|one| *one != id);
                    if of_tenant.is_empty() {
                        in_hand.remove(&tenant);
                    }
                }
            });
        }
    }

    /// Looks after all that is due now, one after the other. How many subscriptions there were.
    ///
    /// # Errors
    /// [`HookError`], where the rows can't be read.
    #[pennypost_ports::compiled_here]
    pub async fn work_off(&self) -> Result<usize, HookError> {
        let rows = self.due().await?;
        for ((tenant, id), due) in &rows {
            self.look_after(*tenant, *id, due).await;
        }
        Ok(rows.len())
    }

    async fn look_after(&self, tenant: TenantId, id: SubscriptionId, due: &[Due]) {
        if let Err(error) = self.follow(tenant, id, due).await {
            tracing::warn!(%tenant, subscription = %id, %error, "a subscription waits");
        }
    }

    /// Follows rows to what waits, and does what there is to do.
    async fn follow(&self, tenant: TenantId, id: SubscriptionId, due: &[Due]) -> Result<(), MessengerError> {
        let hooks = &self.ports.hooks;
        let subscriptions = hooks.subscriptions(tenant, Consistency::Strong).await?;
        let found = subscriptions.into_iter().find(|one| one.id == id);
        let Some(subscription) = found.filter(Subscription::is_active) else {
            return self.drop_all(tenant, id, due).await;
        };
        if !self.may_be_told(tenant).await? {
            return self.drop_all(tenant, id, due).await;
        }
        let (mut state, seen) = hooks.state(tenant, id).await?;
        let now = self.ports.clock.now();
        if state.claim > now {
            // It is somebody's, who may have looked at what waits before this row was written: it stays.
            return Ok(());
        }
        if state.next > now {
            // The row of the next try was written before the state, and stays, wherever the clock stood when this one was read.
            let over: Vec<Due> = due.iter().filter(|due| due.at < state.next).cloned().collect();
            return self.forget_all(&over).await;
        }
        state.claim = now.plus_millis(CLAIM);
        let claim = hooks.remind(tenant, id, state.claim).await?;
        let Some(seen) = hooks.save_state(tenant, id, &state, seen).await? else { return Ok(()) };
        let mut tally = Tally::default();
        let turn = self.turn(tenant, &subscription, &mut tally).await;
        if tally.taken > 0 {
            state.taken = state.taken.saturating_add(tally.taken);
            (state.failing_since, state.tries) = (None, 0);
            state.last = tally.last.take().map(|last| (self.ports.clock.now(), last)).or(state.last);
        }
        match turn {
            Ok(turn) => self.conclude(tenant, id, turn, tally, &mut state).await?,
            Err(error) => {
                // What is not the receiver's fault does not count against it: it is looked after in a minute.
                tracing::warn!(%tenant, subscription = %id, %error, "a turn of a subscription was broken off");
                state.next = hooks.remind(tenant, id, self.ports.clock.now().plus_millis(60_000)).await?.at;
            }
        }
        state.claim = Timestamp::default();
        // Who was too slow has lost it to somebody else, to whom the rows are left.
        if hooks.save_state(tenant, id, &state, Some(seen)).await?.is_some() {
            self.forget_all(due).await?;
            hooks.forget(&claim).await?;
        }
        Ok(())
    }

    /// Says in the state what follows from a turn, and writes before it where to look next.
    async fn conclude(
        &self,
        tenant: TenantId,
        id: SubscriptionId,
        turn: Turn,
        tally: Tally,
        state: &mut State,
    ) -> Result<(), MessengerError> {
        let (hooks, now) = (&self.ports.hooks, self.ports.clock.now());
        state.next = Timestamp::default();
        let failed = match &turn {
            Turn::Failed(attempted) => Some(attempted.clone()),
            // What is refused while other notices are taken is not the receiver's failing.
            Turn::Over(_) | Turn::More => tally.refused.filter(|_| tally.taken == 0),
        };
        let is_gone = failed.as_ref().is_some_and(Attempted::is_gone);
        if failed.is_some() {
            state.failing_since.get_or_insert(now);
        }
        let is_long = (failed.is_some() || tally.has_dropped)
            && state.failing_since.is_some_and(|since| now >= since.plus_millis(self.settings.patience));
        let is_answered = failed.as_ref().is_some_and(|failed| failed.status().is_some());
        if let Some(attempted) = failed {
            state.last = Some((now, attempted));
        }
        if is_gone || is_long {
            let cause = if is_gone { PauseCause::Gone } else { PauseCause::Failing };
            self.ports.administration.pause_subscription(tenant, id, cause).await?;
            (state.failing_since, state.tries) = (None, 0);
            // What waits is dropped by whoever finds it paused.
            hooks.remind(tenant, id, now).await?;
            return Ok(());
        }
        match turn {
            Turn::Failed(_) => {
                state.tries = state.tries.saturating_add(1);
                let tries = if is_answered { state.tries.min(TRIES_OF_ANSWERED) } else { state.tries };
                let pause = i64::try_from(retry_after(tries, fastrand::f64()).as_millis()).unwrap_or(0);
                state.next = hooks.remind(tenant, id, now.plus_millis(pause)).await?.at;
            }
            Turn::More => drop(hooks.remind(tenant, id, now).await?),
            Turn::Over(Some(next)) => drop(hooks.remind(tenant, id, next).await?),
            // Nothing waits that it has not taken.
            Turn::Over(None) => (state.failing_since, state.tries) = (None, 0),
        }
        Ok(())
    }

    /// As for keys: a tenant that is closed, and one whose interfaces the operator has blocked, tells nobody.
    async fn may_be_told(&self, tenant: TenantId) -> Result<bool, DirectoryError> {
        let found = self.ports.directory.tenant(tenant).await?;
        let (now, api) = (self.ports.clock.now(), Blockable::OfPlan(Function::Api));
        Ok(found.is_some_and(|tenant| tenant.is_open(now) && !tenant.is_blocked(api)))
    }

    /// Drops what waits, as long as nothing is to be told; what is told again from now on has rows of its own.
    async fn drop_all(
        &self,
        tenant: TenantId,
        id: SubscriptionId,
        due: &[Due],
    ) -> Result<(), MessengerError> {
        let hooks = &self.ports.hooks;
        let found = loop {
            let subscriptions = hooks.subscriptions(tenant, Consistency::Strong).await?;
            let found = subscriptions.into_iter().find(|one| one.id == id);
            if found.as_ref().is_some_and(Subscription::is_active) && self.may_be_told(tenant).await? {
                // The rows stay: they lead to what is left.
                return Ok(());
            }
            if !hooks.drop_some(tenant, id, PAGE).await? {
                break found;
            }
        };
        match found {
            // How it went before says nothing of how it goes when it begins again.
            Some(_) => hooks.begin_anew(tenant, id).await?,
            None => hooks.forget_state(tenant, id).await?,
        }
        self.forget_all(due).await
    }

    async fn forget_all(&self, due: &[Due]) -> Result<(), MessengerError> {
        for due in due {
            self.ports.hooks.forget(due).await?;
        }
        Ok(())
    }
}
