//! What the clock starts: every tenant and its accounts are sent to housekeeping once a day.
//!
//! Owns the control items `chores tenant/…`: when a tenant's chores were last sent. Nothing is remembered between two
//! ticks, since a function has no memory: accounts with a long tail are sent to housekeeping by whoever makes it long,
//! here they all come once a day, for what has passed its window. A server that runs all the time looks more closely
//! (`pennypost/src/sweep.rs`), with what is public here.
//!
//! Letters of members that go later are let go, too, where their time has come: servers do it sooner, and where none runs it is
//! done here.
//!
//! If the process dies in the middle of a tenant, all of it is sent again at the next tick; housekeeping can do
//! everything twice. A tick that has no time left leaves the other tenants to the next one.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Instant;

use pennypost_directory::{Directory, DirectoryError, Page, TenantState};
use pennypost_held::Releaser;
use pennypost_mailings::Runner;
use pennypost_model::codec::{self, Versioned};
use pennypost_model::event::{Event, House, Stage};
use pennypost_model::{TenantId, Timestamp};
use pennypost_ports::{Clock, Control, ControlKey, Expected, Journal, PortError, Queue};
use pennypost_runtime::Pipeline;
use serde::{Deserialize, Serialize};

/// Partition of the control table with the times of chores. They are the installation's, no tenant's.
pub const CHORES: &str = "chores";
/// A day.
pub const DAY_MILLIS: i64 = 86_400_000;
/// After so long chores are sent, however much is waiting: what goes on for hours, as copying a large account does, is in the
/// queue all the time.
pub const OVERDUE_MILLIS: i64 = DAY_MILLIS + 6 * 3_600_000;
const TENANT: &str = "tenant/";
/// Accounts that are taken at once.
const PAGE: usize = 500;

#[derive(Serialize, Deserialize)]
struct Sent {
    at: Timestamp,
}

impl Versioned for Sent {
    const KIND: &'static str = "chores of a tenant";
}

/// Why a tick was cut short.
#[derive(Debug, thiserror::Error)]
pub enum ScheduleError {
    /// The directory can't be read.
    #[error(transparent)]
    Directory(#[from] DirectoryError),
    /// A port does not answer.
    #[error(transparent)]
    Port(#[from] PortError),
    /// An event was not sent.
    #[error("an event was not sent: {0}")]
    NotSent(String),
}

/// What a tick did.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Ticked {
    /// Tenants whose chores were due and sent.
    pub tenants: usize,
    /// Events that were sent for them.
    pub events: usize,
    /// Tenants that are due and were left to the next tick.
    pub left: usize,
    /// Letters that were due.
    pub letters: usize,
}

/// The schedule.
pub struct Schedule {
    directory: Directory,
    journal: Arc<dyn Journal>,
    control: Arc<dyn Control>,
    queue: Arc<dyn Queue>,
    clock: Arc<dyn Clock>,
    pipeline: Pipeline,
    releaser: Option<Releaser>,
    mailings: Option<Runner>,
}

impl Schedule {
    /// A schedule over these ports; `pipeline` sends.
    #[must_use]
    pub fn new(
        directory: Directory,
        journal: Arc<dyn Journal>,
        control: Arc<dyn Control>,
        queue: Arc<dyn Queue>,
        clock: Arc<dyn Clock>,
        pipeline: Pipeline,
    ) -> Schedule {
        Schedule { directory, journal, control, queue, clock, pipeline, releaser: None, mailings: None }
    }

    /// The same, and letters go whose time has come.
    #[must_use]
    pub fn releasing(self, releaser: Releaser) -> Schedule {
        Schedule { releaser: Some(releaser), ..self }
    }

    /// The same, and letters of mailings go.
    #[must_use]
    pub fn mailing(self, runner: Runner) -> Schedule {
        Schedule { mailings: Some(runner), ..self }
    }

    /// Sends what is due, tenant by tenant, until `deadline`.
    ///
    /// # Errors
    /// [`ScheduleError`]; what was sent before it is sent.
    #[pennypost_ports::compiled_here]
    pub async fn tick(&self, deadline: Option<Instant>) -> Result<Ticked, ScheduleError> {
        let mut ticked = Ticked::default();
        if let Some(releaser) = &self.releaser {
            // What tenants need has the other half of the time.
            let now = Instant::now();
            let half = deadline.map(|deadline| now + deadline.saturating_duration_since(now) / 2);
            match releaser.look(half).await {
                Ok(letters) => ticked.letters = letters,
                // What tenants need does not wait for it.
                Err(error) => tracing::warn!(%error, "letters that are due can't be read"),
            }
        }
        if let Some(runner) = &self.mailings {
            let now = Instant::now();
            let half = deadline.map(|deadline| now + deadline.saturating_duration_since(now) / 2);
            if let Err(error) = runner.work(half).await {
                tracing::warn!(%error, "mailings that are due can't be read");
            }
        }
        let mut due = self.due(DAY_MILLIS).await?;
        // What is still waiting would only be sent a second time.
        if !due.is_empty() && self.housekeeping_is_busy().await? {
            let all = due.len();
            due = self.due(OVERDUE_MILLIS).await?;
            ticked.left = all.saturating_sub(due.len());
        }
        for (number, tenant) in due.iter().enumerate() {
            if deadline.is_some_and(|deadline| Instant::now() >= deadline) {
                ticked.left += due.len() - number;
                break;
            }
            ticked.events += self.send_tenant(*tenant).await?;
            ticked.tenants += 1;
        }
        Ok(ticked)
    }

    async fn housekeeping_is_busy(&self) -> Result<bool, PortError> {
        let depth = self.queue.depth(Stage::Housekeep).await?;
        Ok(depth.waiting + depth.in_flight > 0)
    }

    /// The tenants whose chores were not sent for so long.
    async fn due(&self, millis: i64) -> Result<Vec<TenantId>, ScheduleError> {
        let now = self.clock.now();
        let mut last = HashMap::new();
        let mut after: Option<String> = None;
        loop {
            let page = self.control.query(CHORES, TENANT, after.as_deref(), PAGE).await?;
            let is_last = page.len() < PAGE;
            for (sort, item) in page {
                if let Ok(sent) = codec::decode::<Sent>(&item.value) {
                    last.insert(sort.clone(), sent.at);
                }
                after = Some(sort);
            }
            if is_last {
                break;
            }
        }
        let mut tenants = tenants(&self.directory).await?;
        let is_due =
            |tenant: &TenantId| last.get(&sort_key(*tenant)).is_none_or(|at| is_past(*at, now, millis));
        tenants.retain(is_due);
        Ok(tenants)
    }

    /// Sends one tenant's chores and accounts. How many events.
    async fn send_tenant(&self, tenant: TenantId) -> Result<usize, ScheduleError> {
        let now = self.clock.now();
        let Some(stored) = self.directory.tenant(tenant).await? else { return Ok(0) };
        if stored.state == TenantState::Erasing {
            // Before it is sent: the last pass of erasing takes this row with it.
            self.note_sent(tenant, now).await?;
            return self.send(vec![Event::House(House::Erase(tenant))]).await;
        }
        let mut count = self.send(chores(tenant)).await?;
        let mut after = None;
        loop {
            let accounts = self.journal.accounts(tenant, after, PAGE).await?;
            after = accounts.last().copied();
            let is_last = accounts.len() < PAGE;
            let events = accounts.into_iter().map(|account| Event::House(House::Account(account)));
            count += self.send(events.collect()).await?;
            if is_last {
                break;
            }
        }
        self.note_sent(tenant, now).await?;
        Ok(count)
    }

    async fn note_sent(&self, tenant: TenantId, at: Timestamp) -> Result<(), ScheduleError> {
        let key = ControlKey::new(CHORES, sort_key(tenant));
        self.control.put_if(&key, &codec::encode(&Sent { at }), Expected::Any).await?;
        Ok(())
    }

    async fn send(&self, events: Vec<Event>) -> Result<usize, ScheduleError> {
        let count = events.len();
        for sent in self.pipeline.send(Stage::Housekeep, events).await {
            sent.map_err(|failure| ScheduleError::NotSent(failure.cause))?;
        }
        Ok(count)
    }
}

fn sort_key(tenant: TenantId) -> String {
    format!("{TENANT}{tenant}")
}

/// The daily chores of a tenant: garbage collection, audit, the look at its domains, statistics.
#[must_use]
pub fn chores(tenant: TenantId) -> Vec<Event> {
    let chores = [
        House::CollectGarbage(tenant),
        House::Audit(tenant),
        House::Domains(tenant),
        House::Statistics(tenant),
    ];
    chores.into_iter().map(Event::House).collect()
}

/// Every tenant.
///
/// # Errors
/// [`DirectoryError`].
#[pennypost_ports::compiled_here]
pub async fn tenants(directory: &Directory) -> Result<Vec<TenantId>, DirectoryError> {
    let mut all = Vec::new();
    let mut page = Page::default();
    loop {
        let listed = directory.tenants(&page).await?;
        all.extend(listed.items.iter().map(|tenant| tenant.id));
        let Some(next) = listed.next else { return Ok(all) };
        page.after = Some(next);
    }
}

/// Have `millis` passed? Also if the clock stood wrong and `since` is yet to come.
#[must_use]
pub fn is_past(since: Timestamp, now: Timestamp, millis: i64) -> bool {
    !(0..millis).contains(&now.0.saturating_sub(since.0))
}

#[cfg(test)]
mod tests;
