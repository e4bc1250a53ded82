//! Handler: wakes the sessions that watch an account, and tells programs that have subscribed to new mail (INT-01).
//!
//! Two parts. The *handler* wakes, which may be lost: it only delays a session until its next command or poll, and fails no
//! event. For tenants with subscriptions it also puts down what is to be told ([`pennypost_hooks`]), through its [`Announcer`];
//! when it says that an event is done, that is durable, else the event comes again, with the one that it followed from. The *worker* ([`Messenger`]) looks after what is due and tells: it runs in a server, since receivers may
//! take long and functions must not wait.
//!
//! If the process dies: before a notice is put down, the event comes again, also where stages share an invocation; with one in hand, it is told again when the claim
//! is over, under the same id.

mod announce;
mod letters;
mod messenger;
mod turn;

use std::collections::BTreeMap;
use std::sync::Arc;

use async_trait::async_trait;
use pennypost_model::event::{Changed, Event, Stage};
use pennypost_model::{AccountKey, Seq};
use pennypost_ports::Wakeups;
use pennypost_runtime::{Failure, Handler, Outcome};

pub use announce::{Announcer, FRESH};
pub use messenger::{Messenger, MessengerError, Ports, Settings};

/// The handler.
pub struct Notify {
    wakeups: Arc<dyn Wakeups>,
    announcer: Announcer,
}

impl Notify {
    /// A handler that wakes through `wakeups`, and puts down through `announcer` what is to be told.
    #[must_use]
    pub fn new(wakeups: Arc<dyn Wakeups>, announcer: Announcer) -> Notify {
        Notify { wakeups, announcer }
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
        if let Err(error) = self.wakeups.wake_many(&newest).await {
            tracing::warn!(%error, "sessions learn late of letters that came");
        }
        let changed: Vec<Changed> = events
            .iter()
            .filter_map(|event| match event {
                Event::Changed(changed) => Some(*changed),
                _ => None,
            })
            .collect();
        let failed = self.announcer.put_down(&changed).await;
        let outcome = |event: &Event| match event {
            Event::Changed(changed) => match failed.get(&changed.account.tenant) {
                Some(error) => Err(Failure::temporary(error)),
                None => Ok(Vec::new()),
            },
            other => Err(Failure::misrouted(other, Stage::Notify)),
        };
        events.iter().map(outcome).collect()
    }
}
