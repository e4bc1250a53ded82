//! Handler: bases, segments, garbage collection, statistics, long operations of administration, the daily look at domains,
//! and the erasing of tenants that have ended.
//!
//! Owns everything that can be thrown away and made anew, and the removal of what nobody needs. Ports: journal,
//! objects, control (dead hints), queue (dead letters that still need a spooled message, tasks that go on), log (traces
//! that are counted, and go with their tenant). Tasks, statistics, the recycle bin and the end of tenants are
//! [`pennypost_admin`]'s: what they are, and that they are done once.
//!
//! Invariants: bytes are removed by hint *and* verification (architecture section 6): a hint says that an entry
//! of a pack may be dead; before anything is removed every owner of the entry is loaded strongly and none may
//! refer to it, live or restorable; an owner that can't be read counts as referring. Nothing younger than
//! [`Settings::min_age_days`] is removed at all: an event that is given up becomes a dead letter long before that,
//! and what a dead letter needs is kept. Hints may be lost or repeated; what they miss, the audit finds. A damaged
//! pack is reported and left alone, and never keeps the others from being looked at.
//!
//! If the process dies at any line: bases and segments that nobody reads are orphans that the next run removes;
//! dead hints stay and are verified again; a pack is deleted or replaced in one step.

mod account;
mod cards;
mod domains;
mod erasing;
mod garbage;
mod hints;
mod junk;
mod mail;
mod receipts;
mod references;
mod rules;
#[cfg(test)]
mod segment_tests;
mod segments;
mod spool;
mod statistics;
mod tasks;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use async_trait::async_trait;
pub use mail::KeptMail;
use pennypost_admin::Administration;
use pennypost_mailstore::{Mailstore, StoreError, segment};
use pennypost_model::event::{Event, House, Stage};
use pennypost_model::{AccountKey, TenantId, Timestamp};
use pennypost_ports::{Control, Queue};
use pennypost_runtime::{Failure, Handler, Outcome};
use serde::Deserialize;

/// What housekeeping waits for.
#[derive(Debug, Clone, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    /// Deleted messages can be restored for so many days (FLD-06).
    pub restore_days: f64,
    /// Letters that the operator has hidden can be shown again for so many days (TEN-10), and no fewer than other deleted ones.
    pub hidden_days: f64,
    /// Bytes younger than so many days are never removed: more than an event is tried before it
    /// becomes a dead letter.
    pub min_age_days: f64,
    /// A tail of so many entries gets a base; in a large account, of a 32nd of its messages.
    pub long_tail: u64,
    /// So many messages without segment get one.
    pub segment_tail: usize,
    /// Messages of the largest segments.
    pub segment_messages: usize,
    /// An account gets segments when nothing came for so many seconds, unless much is waiting.
    pub quiet_seconds: u64,
    /// Which accounts get segments.
    pub index: Index,
}

/// Which accounts get segments.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Index {
    /// All of them: the first search is as fast as the next one.
    #[default]
    All,
    /// Those that somebody has opened or searched, from then on. What nobody looks into costs nothing.
    Opened,
}

impl Default for Settings {
    fn default() -> Settings {
        Settings {
            restore_days: 14.0,
            hidden_days: 180.0,
            min_age_days: 16.0,
            long_tail: 128,
            segment_tail: 128,
            segment_messages: segment::MAX_MESSAGES,
            quiet_seconds: 2,
            index: Index::All,
        }
    }
}

/// Settings that can't be.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum SettingsError {
    /// Too few days, or no number of days.
    #[error("{name} is {value}; it must be at least {least}")]
    Days {
        /// Which of them.
        name: &'static str,
        /// What it is.
        value: f64,
        /// What it must be at least.
        least: f64,
    },
    /// What can be restored needs its bytes.
    #[error("min_age_days is {value}; it must be at least {least}, a day more than restore_days")]
    TooYoung {
        /// What it is.
        value: f64,
        /// What it must be at least.
        least: f64,
    },
}

impl Settings {
    /// Can these settings be?
    ///
    /// # Errors
    /// [`SettingsError`].
    pub fn check(&self) -> Result<(), SettingsError> {
        for (name, value, least) in [
            ("restore_days", self.restore_days, 0.0),
            ("hidden_days", self.hidden_days, 0.0),
            ("min_age_days", self.min_age_days, 1.0),
        ] {
            if !value.is_finite() || value < least {
                return Err(SettingsError::Days { name, value, least });
            }
        }
        let least = self.restore_days + 1.0;
        if self.min_age_days < least {
            return Err(SettingsError::TooYoung { value: self.min_age_days, least });
        }
        Ok(())
    }
}

/// The handler.
pub struct Housekeep {
    store: Mailstore,
    control: Arc<dyn Control>,
    queue: Arc<dyn Queue>,
    settings: Settings,
    /// Whose tasks are carried out.
    administration: Option<Administration>,
}

/// What a run removed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Removed {
    /// Whole packs.
    pub packs: u64,
    /// Packs that were rewritten without their dead entries.
    pub rewritten: u64,
    /// Spooled messages.
    pub spooled: u64,
}

impl Housekeep {
    /// A handler over these ports.
    #[must_use]
    pub fn new(
        store: Mailstore,
        control: Arc<dyn Control>,
        queue: Arc<dyn Queue>,
        settings: Settings,
    ) -> Housekeep {
        Housekeep { store, control, queue, settings, administration: None }
    }

    /// The same, carrying out the tasks of administration.
    #[must_use]
    pub fn carrying_out(self, administration: Administration) -> Housekeep {
        let mail = KeptMail::new(self.store.clone(), Arc::clone(&self.control));
        Housekeep { administration: Some(administration.upon_mail(Arc::new(mail))), ..self }
    }

    fn days_ago(&self, days: f64) -> Timestamp {
        self.store.clock().now().plus_millis(-((days * 86_400_000.0) as i64))
    }

    /// Nothing made after this may be removed.
    fn old_enough(&self) -> Timestamp {
        self.days_ago(self.settings.min_age_days)
    }

    async fn keep_house(&self, house: House) -> Result<Vec<Event>, Failure> {
        if !self.is_wanted(house).await? {
            return Ok(Vec::new());
        }
        let kept = match house {
            House::Account(account) => self.keep_account_and_segments(account).await,
            House::Segments(account) => self.keep_segments(account).await,
            House::CollectGarbage(tenant) => self.collect_garbage(tenant).await.map(|_| Vec::new()),
            House::Audit(tenant) => {
                // Whatever else fails, a tenant that is to be erased is.
                let looked = self.look_at_end(tenant).await;
                if !self.is_kept(tenant).await? {
                    return looked.map(|()| Vec::new());
                }
                let settled = self.settle_orders(tenant).await;
                let audited = self.audit(tenant).await;
                // A damaged pack is no reason to keep old files.
                self.sweep_tasks(tenant).await?;
                // What is left in quarantine today goes tomorrow.
                if let Err(failure) = self.look_after_quarantine(tenant).await {
                    tracing::warn!(%tenant, cause = failure.cause, "the quarantine was not looked after");
                }
                // Who is not reminded today is tomorrow.
                if let Err(failure) = self.remind_of_passwords(tenant).await {
                    tracing::warn!(%tenant, cause = failure.cause, "nobody was reminded of a password");
                }
                if let Err(failure) = self.tell_of_read_status(tenant).await {
                    tracing::warn!(%tenant, cause = failure.cause, "nobody was told of read status");
                }
                // What keeps accounts from being erased is tried again by itself, and not with all of this.
                if let Err(failure) = self.empty_recycle_bin(tenant).await {
                    tracing::warn!(%tenant, cause = failure.cause, "the recycle bin is not empty");
                    self.send(tenant, House::RecycleBin(tenant)).await?;
                }
                if let Err(failure) = self.tell_of_cards(tenant).await {
                    tracing::warn!(%tenant, cause = failure.cause, "nobody was told of cards");
                }
                looked.and(settled)?;
                audited.map(|_| Vec::new())
            }
            House::Task(tenant, task) => return self.work_on(tenant, task).await.map(|()| Vec::new()),
            House::Domains(tenant) => return self.look_after_domains(tenant).await.map(|()| Vec::new()),
            House::RecycleBin(tenant) => {
                return self.empty_recycle_bin(tenant).await.map(|()| Vec::new());
            }
            House::Erase(tenant) => return self.erase_tenant(tenant).await.map(|()| Vec::new()),
            House::Statistics(tenant) => return self.keep_statistics(tenant).await.map(|()| Vec::new()),
        };
        kept.map_err(|error| failed(&error))
    }

    /// Is there something to be kept? Of a tenant that is being erased, or is not there any more, nothing is made anew; the
    /// daily look at it, and erasing it, go on. Segments are not asked for: they come after each letter, and of one that is
    /// being erased nobody asks for them but by chance; the last pass takes them.
    async fn is_wanted(&self, house: House) -> Result<bool, Failure> {
        match house {
            House::Audit(_) | House::Erase(_) | House::Segments(_) => Ok(true),
            House::Account(account) => self.is_kept(account.tenant).await,
            House::CollectGarbage(tenant)
            | House::Task(tenant, _)
            | House::Domains(tenant)
            | House::RecycleBin(tenant)
            | House::Statistics(tenant) => self.is_kept(tenant).await,
        }
    }

    async fn keep_account_and_segments(&self, account: AccountKey) -> Result<Vec<Event>, StoreError> {
        let state = self.keep_account(account).await?;
        self.keep_segments_of(account, &state).await
    }

    /// Removes what a tenant does not refer to, found by comparison and not by hints.
    ///
    /// # Errors
    /// [`StoreError`]; what was removed before it is removed.
    #[pennypost_ports::compiled_here]
    pub async fn audit(&self, tenant: TenantId) -> Result<Removed, StoreError> {
        // The spool does not wait for the packs to be in order.
        let packs = self.audit_packs(tenant, garbage::AUDIT_PAGE).await;
        let spooled = self.sweep_spool(tenant).await;
        self.drop_card_runs(tenant).await?;
        let removed = Removed { spooled: spooled?, ..packs? };
        tracing::info!(%tenant, ?removed, "audit done");
        Ok(removed)
    }
}

#[async_trait]
impl Handler for Housekeep {
    fn stage(&self) -> Stage {
        Stage::Housekeep
    }

    async fn handle(&self, events: Vec<Event>) -> Vec<Outcome> {
        let mut done = Vec::new();
        let mut outcomes = Vec::with_capacity(events.len());
        for event in events {
            let Event::House(house) = event else {
                outcomes.push(Err(Failure::misrouted(&event, Stage::Housekeep)));
                continue;
            };
            if done.contains(&house) {
                outcomes.push(Ok(Vec::new()));
                continue;
            }
            let result = self.keep_house(house).await;
            done.push(house);
            outcomes.push(result);
        }
        outcomes
    }
}

fn failed(error: &StoreError) -> Failure {
    if error.is_temporary() { Failure::temporary(error) } else { Failure::permanent(error) }
}
