//! Statistics of a tenant: days that are over are counted from the traces, and what each mailbox holds is noted.

use std::time::Duration;

use futures::future::BoxFuture;
use futures::{FutureExt, StreamExt, TryStreamExt, stream};
use pennypost_admin::{AdminError, Administration, UsedBytes, Worked};
use pennypost_model::codec;
use pennypost_model::event::{Event, House, Stage};
use pennypost_model::{AccountId, AccountKey, TenantId};
use pennypost_ports::{Consistency, Outgoing, PortResult};
use pennypost_runtime::Failure;

use crate::Housekeep;

/// Milliseconds after which no further day is counted on one event: others wait behind it.
const WORKS: i64 = 10_000;
/// Accounts that are listed at once.
const PAGE: usize = 500;
/// Journals that are read at once.
const CONCURRENT: usize = 16;

impl Housekeep {
    /// Counts days, and when none is left, notes what mailboxes hold. Days that are left are another event: it is in the queue
    /// before this one is done.
    pub(crate) async fn keep_statistics(&self, tenant: TenantId) -> Result<(), Failure> {
        let Some(administration) = &self.administration else { return Ok(()) };
        let until = self.store.clock().now().plus_millis(WORKS);
        match administration.roll_up(tenant, until).await.map_err(|error| failed(&error))? {
            Worked::More => self.send_statistics(tenant).await,
            Worked::Over => self.note_mailbox_use(administration, tenant).await,
        }
    }

    async fn note_mailbox_use(
        &self,
        administration: &Administration,
        tenant: TenantId,
    ) -> Result<(), Failure> {
        let taken = self.store.clock().now();
        let used = self.mailbox_use(tenant).await.map_err(|error| failed(&error.into()))?;
        administration.keep_mailbox_use(tenant, taken, &used).await.map_err(|error| failed(&error))?;
        tracing::info!(%tenant, mailboxes = used.len(), "statistics kept");
        Ok(())
    }

    /// What each mailbox holds: the newest entry of its journal says it.
    async fn mailbox_use(&self, tenant: TenantId) -> PortResult<Vec<(AccountId, UsedBytes)>> {
        let journal = self.store.journal();
        let (mut found, mut after) = (Vec::new(), None);
        loop {
            let accounts = journal.accounts(tenant, after, PAGE).await?;
            after = accounts.last().copied();
            let is_last = accounts.len() < PAGE;
            let looks: Vec<BoxFuture<'_, _>> =
                accounts.into_iter().map(|account| self.used(account).boxed()).collect();
            let some: Vec<_> = stream::iter(looks).buffered(CONCURRENT).try_collect().await?;
            found.extend(some);
            if is_last {
                return Ok(found);
            }
        }
    }

    async fn used(&self, account: AccountKey) -> PortResult<(AccountId, UsedBytes)> {
        let newest = self.store.journal().newest(account, 1, Consistency::Eventual).await?;
        let used = newest.entries.last().map(|entry| entry.used).unwrap_or_default();
        Ok((account.account, UsedBytes { bytes: used.bytes, messages: used.messages }))
    }

    async fn send_statistics(&self, tenant: TenantId) -> Result<(), Failure> {
        let body = codec::encode(&Event::House(House::Statistics(tenant)));
        let message = Outgoing { tenant, body, delay: Duration::ZERO };
        for sent in self.queue.send_batch(Stage::Housekeep, vec![message]).await {
            sent.map_err(|error| Failure::temporary(&error))?;
        }
        Ok(())
    }
}

fn failed(error: &AdminError) -> Failure {
    if error.is_temporary() { Failure::temporary(error) } else { Failure::permanent(error) }
}
