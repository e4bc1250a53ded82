//! Waking across processes: whoever changes accounts tells the adapters whose sessions watch them.
//!
//! Owns: the partition [`ADAPTERS`] of the control table, in which each adapter says where it is told and which accounts
//! are watched there ([`registration`]), the adapters' own queues `<stack>-adapter-<id>` ([`bell`]).
//!
//! What it costs: nothing for an account that nobody watches. Who watches is read once in [`FRESH`] by each process that
//! has something to tell, and not for each account; a batch of changes is one message for each adapter that watches any
//! of its accounts. An adapter writes its registration once a minute, and when its watchers change, at most every few
//! seconds; it polls its queue at length.
//!
//! All of it is hints. A watcher of whom nobody knows yet looks once for itself a little later than [`FRESH`]; adapters
//! look for all of their watchers every few minutes. If an adapter dies, its registration expires, and the next one to
//! start removes its queue.

mod bell;
mod registration;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use aws_sdk_sqs::Client;
use pennypost_meter::{MILLI, Unit, count};
use pennypost_model::codec::{self, Versioned};
use pennypost_model::{AccountKey, Seq, Timestamp};
use pennypost_ports::{Clock, Control, PortError, PortResult, SystemClock, Wakeups};
use serde::{Deserialize, Serialize};
use tokio::sync::Mutex;

pub use self::bell::Bell;
use self::registration::Registration;
use crate::failure::failure;
use crate::queue::body;

const PORT: &str = "wake-ups";
/// Partition of the control table with the adapters that can be told.
pub const ADAPTERS: &str = "adapters";
/// How long what was read of the adapters is good for.
pub const FRESH: Duration = Duration::from_secs(10);
/// Accounts in one message: far below what a message holds.
const IN_A_MESSAGE: usize = 1000;

/// What an adapter is told.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct News(Vec<(AccountKey, Seq)>);

impl Versioned for News {
    const KIND: &'static str = "wake-up";
}

/// [`Wakeups`] by messages to adapters.
pub struct AwsWakeups {
    client: Client,
    control: Arc<dyn Control>,
    /// The adapter that this process is, which tells itself.
    except: Option<String>,
    known: Mutex<Option<(Timestamp, Arc<Vec<Registration>>)>>,
}

impl AwsWakeups {
    pub(crate) fn new(client: Client, control: Arc<dyn Control>, except: Option<String>) -> AwsWakeups {
        AwsWakeups { client, control, except, known: Mutex::default() }
    }

    /// The adapters that were alive a moment ago.
    async fn adapters(&self) -> PortResult<Arc<Vec<Registration>>> {
        let mut known = self.known.lock().await;
        let now = SystemClock.now();
        let fresh = i64::try_from(FRESH.as_millis()).unwrap_or(i64::MAX);
        if let Some((at, adapters)) = &*known
            && (0..fresh).contains(&(now.0 - at.0))
        {
            return Ok(Arc::clone(adapters));
        }
        let mut adapters = registration::all(&*self.control).await?;
        adapters.retain(|one| one.expires > now && Some(&one.id) != self.except.as_ref());
        let adapters = Arc::new(adapters);
        *known = Some((now, Arc::clone(&adapters)));
        Ok(adapters)
    }

    async fn tell(&self, adapter: &Registration, news: Vec<(AccountKey, Seq)>) -> PortResult<()> {
        let text = body::encode(&codec::encode(&News(news)));
        let sent = self.client.send_message().queue_url(&adapter.url).message_body(text).send().await;
        count(Unit::QueueRequest, MILLI);
        match sent {
            Ok(_) => Ok(()),
            // It has just gone, and its sessions with it.
            Err(error) if error.as_service_error().is_some_and(|error| error.is_queue_does_not_exist()) => {
                Ok(())
            }
            Err(error) => Err(failure(PORT, &format!("adapter {}", adapter.id), &error)),
        }
    }
}

#[async_trait]
impl Wakeups for AwsWakeups {
    async fn wake(&self, account: AccountKey, seq: Seq) -> PortResult<()> {
        self.wake_many(&[(account, seq)]).await
    }

    async fn wake_many(&self, news: &[(AccountKey, Seq)]) -> PortResult<()> {
        if news.is_empty() {
            return Ok(());
        }
        let mut newest: BTreeMap<AccountKey, Seq> = BTreeMap::new();
        for (account, seq) in news {
            let known = newest.entry(*account).or_insert(*seq);
            *known = (*known).max(*seq);
        }
        let adapters = self.adapters().await?;
        let mut calls = Vec::new();
        for adapter in adapters.iter() {
            let watched: Vec<(AccountKey, Seq)> = newest
                .iter()
                .filter(|(account, _)| adapter.watches(**account))
                .map(|(account, seq)| (*account, *seq))
                .collect();
            calls.extend(watched.chunks(IN_A_MESSAGE).map(|part| self.tell(adapter, part.to_vec())));
        }
        // Everybody is told, whoever of them can't be.
        let told: Vec<PortResult<()>> = futures::future::join_all(calls).await;
        told.into_iter().collect()
    }
}

/// The news in a message; none if it is no such message.
fn read(text: &str) -> Vec<(AccountKey, Seq)> {
    let news = body::decode(text).map(|bytes| codec::decode::<News>(&bytes));
    match news {
        Some(Ok(News(news))) => news,
        _ => {
            tracing::debug!("a message to this adapter is no wake-up");
            Vec::new()
        }
    }
}

fn damaged(cause: String) -> PortError {
    PortError::Damaged { port: PORT, cause }
}
