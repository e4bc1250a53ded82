//! Handler: wakes the sessions that watch an account.
//!
//! Owns nothing; a lost wake-up only delays a session until its next command or poll.

use std::collections::BTreeMap;
use std::sync::Arc;

use async_trait::async_trait;
use pennypost_model::event::{Event, Stage};
use pennypost_model::{AccountKey, Seq};
use pennypost_ports::Wakeups;
use pennypost_runtime::{Failure, Handler, Outcome};

/// The handler.
pub struct Notify {
    wakeups: Arc<dyn Wakeups>,
}

impl Notify {
    /// A handler that wakes through `wakeups`.
    #[must_use]
    pub fn new(wakeups: Arc<dyn Wakeups>) -> Notify {
        Notify { wakeups }
    }
}

#[async_trait]
impl Handler for Notify {
    fn stage(&self) -> Stage {
        Stage::Notify
    }

    async fn handle(&self, events: Vec<Event>) -> Vec<Outcome> {
        // One wake-up for each account, with the newest entry of the batch.
        let mut newest = BTreeMap::new();
        for event in &events {
            if let Event::Changed(changed) = event {
                let seq = newest.entry(changed.account).or_insert(changed.seq);
                *seq = changed.seq.max(*seq);
            }
        }
        let newest: Vec<(AccountKey, Seq)> = newest.into_iter().collect();
        let told = self.wakeups.wake_many(&newest).await.map_err(|error| Failure::temporary(&error));
        let outcome = |event: &Event| match event {
            Event::Changed(_) => told.clone().map(|()| Vec::new()),
            other => Err(Failure::misrouted(other, Stage::Notify)),
        };
        events.iter().map(outcome).collect()
    }
}
