//! An adapter's own queue, by which other processes wake its sessions.

use std::sync::Arc;
use std::time::Duration;

use aws_sdk_sqs::Client;
use aws_sdk_sqs::types::QueueAttributeName;
use pennypost_meter::{MILLI, Unit, count};
use pennypost_model::{AccountKey, Seq};
use pennypost_ports::{Clock, Control, Ids, PortResult, RandomIds, SystemClock};
use tokio::sync::Mutex;

use super::registration::{self, Registration, Watched};
use super::{AwsWakeups, PORT, damaged, read};
use crate::failure::failure;
use crate::queue::{LONG_POLL, calls};

/// After this without a word an adapter is taken for dead.
const LIFE_MILLIS: i64 = 180_000;
/// A dead adapter's queue is removed by another after this: by then nobody tells it anything.
const GONE_MILLIS: i64 = 3_600_000;
/// The shortest that SQS keeps messages: older ones wake nobody.
const RETENTION_SECONDS: u32 = 60;
/// A wake-up is deleted as soon as it was read.
const VISIBILITY: Duration = Duration::from_secs(30);

/// Rings when another process has changed an account that is watched here.
pub struct Bell {
    client: Client,
    control: Arc<dyn Control>,
    name: String,
    registration: Mutex<Registration>,
}

impl Bell {
    /// Creates the queue and tells the others of it; nobody is watched yet. Removes what adapters that died have left.
    pub(crate) async fn hang(client: Client, control: Arc<dyn Control>, stack: &str) -> PortResult<Bell> {
        let id = format!("{:016x}", RandomIds.random());
        let name = format!("queue {stack}-adapter-{id}");
        let created = client
            .create_queue()
            .queue_name(format!("{stack}-adapter-{id}"))
            .attributes(QueueAttributeName::MessageRetentionPeriod, RETENTION_SECONDS.to_string())
            .send()
            .await;
        count(Unit::QueueRequest, MILLI);
        let created = created.map_err(|error| failure(PORT, &name, &error))?;
        let url = created.queue_url.ok_or_else(|| damaged(format!("{name} was given no address")))?;
        let expires = SystemClock.now().plus_millis(LIFE_MILLIS);
        let registration = Registration { id, url, expires, watched: Watched::Nobodys };
        registration.write(&*control).await?;
        let bell = Bell { client, control, name, registration: Mutex::new(registration) };
        if let Err(error) = bell.remove_the_dead().await {
            tracing::warn!(%error, "queues of adapters that died may be left");
        }
        Ok(bell)
    }

    /// Wakes the sessions of the other adapters.
    #[pennypost_ports::compiled_here]
    pub async fn others(&self) -> AwsWakeups {
        let id = self.registration.lock().await.id.clone();
        AwsWakeups::new(self.client.clone(), Arc::clone(&self.control), Some(id))
    }

    /// Says that this adapter lives, and whose changes it wants to hear of. To be repeated within three minutes.
    ///
    /// # Errors
    /// When the control table can't be written.
    #[pennypost_ports::compiled_here]
    pub async fn announce(&self, watched: &[AccountKey]) -> PortResult<()> {
        let mut registration = self.registration.lock().await;
        registration.expires = SystemClock.now().plus_millis(LIFE_MILLIS);
        registration.watched = Watched::of(watched);
        registration.write(&*self.control).await
    }

    /// Waits for news, up to 20 s; the accounts that have changed.
    ///
    /// # Errors
    /// When the queue does not answer.
    #[pennypost_ports::compiled_here]
    pub async fn listen(&self) -> PortResult<Vec<(AccountKey, Seq)>> {
        let url = self.registration.lock().await.url.clone();
        let records =
            calls::receive(&self.client, &self.name, &url, calls::AT_ONCE, VISIBILITY, LONG_POLL).await?;
        let handles: Vec<&str> = records.iter().map(|record| record.handle.as_str()).collect();
        let news = records.iter().flat_map(|record| read(&record.text)).collect();
        // What comes a second time wakes somebody in vain.
        if let Err(error) = calls::delete(&self.client, &self.name, &url, &handles).await {
            tracing::debug!(%error, "wake-ups will come again");
        }
        Ok(news)
    }

    /// Removes registration and queue, in this order: nobody is to write to a queue that is gone.
    ///
    /// # Errors
    /// When one of them can't be removed; another adapter does it later.
    #[pennypost_ports::compiled_here]
    pub async fn take_down(&self) -> PortResult<()> {
        let registration = self.registration.lock().await;
        registration.remove(&*self.control).await?;
        self.remove_queue(&registration).await
    }

    async fn remove_queue(&self, registration: &Registration) -> PortResult<()> {
        let removed = self.client.delete_queue().queue_url(&registration.url).send().await;
        count(Unit::QueueRequest, MILLI);
        match removed {
            Ok(_) => Ok(()),
            Err(error) if error.as_service_error().is_some_and(|error| error.is_queue_does_not_exist()) => {
                Ok(())
            }
            Err(error) => Err(failure(PORT, &format!("adapter {}", registration.id), &error)),
        }
    }

    async fn remove_the_dead(&self) -> PortResult<()> {
        let gone = SystemClock.now().plus_millis(-GONE_MILLIS);
        for registration in registration::all(&*self.control).await? {
            if registration.expires < gone {
                // The queue first: without its registration nobody would know of it.
                self.remove_queue(&registration).await?;
                registration.remove(&*self.control).await?;
            }
        }
        Ok(())
    }
}
