//! Long operations of administration: an event for each, which works for a while and then is sent again.

use std::time::Duration;

use pennypost_admin::{AdminError, Administration, Worked};
use pennypost_model::codec;
use pennypost_model::event::{Event, House, Stage};
use pennypost_model::{TaskId, TenantId};
use pennypost_ports::Outgoing;
use pennypost_runtime::Failure;

use crate::Housekeep;

/// Milliseconds that are worked on one event: others wait behind it, a server that is stopped waits for it, and a function has
/// to have ended by a time.
pub(crate) const WORKS: i64 = 10_000;

impl Housekeep {
    pub(crate) fn administration(&self) -> Result<&Administration, Failure> {
        let nowhere = || Failure::temporary("long operations are not carried out by this process");
        self.administration.as_ref().ok_or_else(nowhere)
    }

    /// Works on a task. What is left of it is another event: it is in the queue before this one is done.
    pub(crate) async fn work_on(&self, tenant: TenantId, task: TaskId) -> Result<(), Failure> {
        let until = self.store.clock().now().plus_millis(WORKS);
        let worked = self.administration()?.work_on(tenant, task, until).await;
        match worked.map_err(|error| failed(&error))? {
            Worked::Over => Ok(()),
            Worked::More => self.send(tenant, House::Task(tenant, task)).await,
        }
    }

    /// Forgets old tasks, and sends those again of which nothing was heard.
    pub(crate) async fn sweep_tasks(&self, tenant: TenantId) -> Result<(), Failure> {
        let Some(administration) = &self.administration else { return Ok(()) };
        let swept = administration.sweep_tasks(tenant).await.map_err(|error| failed(&error))?;
        for task in &swept.idle {
            self.send(tenant, House::Task(tenant, *task)).await?;
        }
        let (idle, forgotten, files) = (swept.idle.len(), swept.forgotten, swept.files);
        tracing::info!(%tenant, idle, forgotten, files, "tasks swept");
        Ok(())
    }

    /// Tells members whose passwords expire soon.
    pub(crate) async fn remind_of_passwords(&self, tenant: TenantId) -> Result<(), Failure> {
        let Some(administration) = &self.administration else { return Ok(()) };
        let told = administration.remind_of_passwords(tenant).await.map_err(|error| failed(&error))?;
        tracing::info!(%tenant, told, "reminded of passwords");
        Ok(())
    }

    /// Tells members that they will see who has read what they sent, if that was not finished.
    pub(crate) async fn tell_of_read_status(&self, tenant: TenantId) -> Result<(), Failure> {
        let Some(administration) = &self.administration else { return Ok(()) };
        let told = administration.tell_of_read_status(tenant).await.map_err(|error| failed(&error))?;
        if told > 0 {
            tracing::info!(%tenant, told, "told of read status");
        }
        Ok(())
    }

    /// Tells members which cards are theirs, if that was not finished.
    pub(crate) async fn tell_of_cards(&self, tenant: TenantId) -> Result<(), Failure> {
        let Some(administration) = &self.administration else { return Ok(()) };
        let told = administration.tell_of_cards(tenant).await.map_err(|error| failed(&error))?;
        if told > 0 {
            tracing::info!(%tenant, told, "told of cards");
        }
        Ok(())
    }

    /// Removes what has lain in quarantine for its time, and tells those who want it what has come there.
    pub(crate) async fn look_after_quarantine(&self, tenant: TenantId) -> Result<(), Failure> {
        let Some(administration) = &self.administration else { return Ok(()) };
        let removed = administration.look_after_quarantine(tenant).await;
        // Whatever became of that: people are told of what lies there.
        let told = administration.send_quarantine_digests(tenant).await.map_err(|error| failed(&error))?;
        let removed = removed.map_err(|error| failed(&error))?;
        tracing::info!(%tenant, removed, told, "quarantine looked after");
        Ok(())
    }

    /// Carries out orders that were approved by somebody who died then.
    pub(crate) async fn settle_orders(&self, tenant: TenantId) -> Result<(), Failure> {
        let Some(administration) = &self.administration else { return Ok(()) };
        administration.settle_orders(tenant).await.map_err(|error| failed(&error))
    }

    /// Erases what has been in the recycle bin for its time. What is left is another event's.
    pub(crate) async fn empty_recycle_bin(&self, tenant: TenantId) -> Result<(), Failure> {
        // Nobody else could do it: what is left here is done tomorrow.
        let Some(administration) = &self.administration else { return Ok(()) };
        let until = self.store.clock().now().plus_millis(WORKS);
        let worked = administration.empty_recycle_bin(tenant, until).await;
        match worked.map_err(|error| failed(&error))? {
            Worked::Over => Ok(()),
            Worked::More => self.send(tenant, House::RecycleBin(tenant)).await,
        }
    }

    pub(crate) async fn send(&self, tenant: TenantId, house: House) -> Result<(), Failure> {
        let body = codec::encode(&Event::House(house));
        let message = Outgoing { tenant, body, delay: Duration::ZERO };
        for sent in self.queue.send_batch(Stage::Housekeep, vec![message]).await {
            sent.map_err(|error| Failure::temporary(&error))?;
        }
        Ok(())
    }
}

pub(crate) fn failed(error: &AdminError) -> Failure {
    if error.is_temporary() { Failure::temporary(error) } else { Failure::permanent(error) }
}
