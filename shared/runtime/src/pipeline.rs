//! Handlers joined: what follows from an event is handed on in memory or sent.

use std::collections::BTreeMap;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use futures::FutureExt;
use futures::future::BoxFuture;
use pennypost_model::codec;
use pennypost_model::event::{Event, Stage};
use pennypost_ports::{Outgoing, PortError, Queue};

use crate::usage::{Depth, Usages};
use crate::{Failure, Fusing, Handler, Outcome};

/// Bytes of an event that every queue takes.
const QUEUE_LIMIT: usize = 255 * 1024;

/// Makes an event lighter that has grown too large for the queue of the next stage.
#[async_trait]
pub trait Lighten: Send + Sync {
    /// The same event with its bytes elsewhere, durably; as it is if it has none.
    async fn lighten(&self, event: Event) -> Result<Event, Failure>;
}

/// The stages of this process.
pub struct Pipeline {
    handlers: BTreeMap<Stage, Arc<dyn Handler>>,
    fusing: Fusing,
    queue: Arc<dyn Queue>,
    lighten: Option<Arc<dyn Lighten>>,
    usages: Usages,
}

impl Pipeline {
    /// Joins handlers. A stage without a handler here is always sent.
    #[must_use]
    pub fn new(
        handlers: impl IntoIterator<Item = Arc<dyn Handler>>,
        fusing: Fusing,
        queue: Arc<dyn Queue>,
    ) -> Pipeline {
        let handlers = handlers.into_iter().map(|handler| (handler.stage(), handler)).collect();
        Pipeline { handlers, fusing, queue, lighten: None, usages: Usages::default() }
    }

    /// As it is, but an event that is too large for the queue of a stage without a handler here is made lighter.
    #[must_use]
    pub fn lightening(self, lighten: Arc<dyn Lighten>) -> Pipeline {
        Pipeline { lighten: Some(lighten), ..self }
    }

    /// As it is, but what it uses is put down as that of a function with so many megabytes of memory.
    #[must_use]
    pub fn of_function(self, megabytes: u64) -> Pipeline {
        Pipeline { usages: Usages::of_function(megabytes), ..self }
    }

    /// What its batches used. A driver handles a batch inside [`Usages::batch`]; what is run outside any is carried.
    #[must_use]
    pub fn usages(&self) -> &Usages {
        &self.usages
    }

    /// Does the stage run here in the invocation of the one before it? Then nothing is sent to its queue from here: what
    /// lies there was sent by somebody else, or before the stages were joined.
    #[must_use]
    pub fn is_joined(&self, stage: Stage) -> bool {
        self.fusing.joins(stage) && self.handlers.contains_key(&stage)
    }

    /// The stages that have a handler.
    pub fn stages(&self) -> impl Iterator<Item = Stage> + '_ {
        self.handlers.keys().copied()
    }

    /// Handles events of one stage with all that follows from them: one result for each, in order. `Ok` means
    /// that the event can be acknowledged.
    pub fn run(&self, stage: Stage, events: Vec<Event>) -> BoxFuture<'_, Vec<Result<(), Failure>>> {
        async move {
            let tenants = events.iter().filter(|event| !event.is_nobodys()).map(Event::tenant);
            match Depth::enter(tenants) {
                Some(_depth) => self.run_stage(stage, events).await,
                None => self.usages.carry(self.run(stage, events)).await,
            }
        }
        .boxed()
    }

    async fn run_stage(&self, stage: Stage, events: Vec<Event>) -> Vec<Result<(), Failure>> {
        let count = events.len();
        let Some(handler) = self.handlers.get(&stage) else {
            let failure = Failure::permanent(&format!("no handler for {}", stage.queue()));
            return vec![Err(failure); count];
        };
        let outcomes = guarded(&**handler, events).await;
        let mut results: Vec<Result<(), Failure>> = Vec::with_capacity(count);
        let mut following: BTreeMap<Stage, Vec<(usize, Event)>> = BTreeMap::new();
        for (index, outcome) in outcomes.into_iter().enumerate() {
            match outcome {
                Ok(events) => {
                    for event in events {
                        following.entry(event.stage()).or_default().push((index, event));
                    }
                    results.push(Ok(()));
                }
                Err(failure) => results.push(Err(failure)),
            }
        }
        for (next, events) in following {
            self.hand_on(next, events, &mut results).await;
        }
        results
    }

    /// Hands events on to the next stage; what fails there fails the event it came from.
    async fn hand_on(&self, next: Stage, events: Vec<(usize, Event)>, results: &mut [Result<(), Failure>]) {
        let (origins, events): (Vec<usize>, Vec<Event>) = events.into_iter().unzip();
        let outcomes = if self.is_joined(next) {
            self.run(next, events).await
        } else {
            self.send_on(next, events).await
        };
        for (origin, outcome) in origins.into_iter().zip(outcomes) {
            let Err(failure) = outcome else { continue };
            if is_hint(next) {
                tracing::warn!(stage = next.queue(), cause = failure.cause, "a hint was lost");
            } else {
                results[origin] = Err(failure);
            }
        }
    }

    /// Sends events; one that has grown too large for any queue is handled here at once instead, or made lighter where
    /// its stage has no handler.
    async fn send_on(&self, next: Stage, events: Vec<Event>) -> Vec<Result<(), Failure>> {
        let too_large = |event: &Event| codec::encode(event).len() > QUEUE_LIMIT;
        if !events.iter().any(too_large) {
            return self.send(next, events).await;
        }
        let mut results = Vec::with_capacity(events.len());
        for event in events {
            let result = if !too_large(&event) {
                self.send(next, vec![event]).await
            } else if self.handlers.contains_key(&next) {
                self.run(next, vec![event]).await
            } else {
                match self.lightened(event).await {
                    Ok(event) => self.send(next, vec![event]).await,
                    Err(failure) => vec![Err(failure)],
                }
            };
            results.extend(result);
        }
        results
    }

    async fn lightened(&self, event: Event) -> Result<Event, Failure> {
        match &self.lighten {
            Some(lighten) => lighten.lighten(event).await,
            None => Ok(event),
        }
    }

    /// Sends events to the queue of their stage.
    pub async fn send(&self, stage: Stage, events: Vec<Event>) -> Vec<Result<(), Failure>> {
        let messages = events.iter().map(|event| Outgoing {
            tenant: event.tenant(),
            body: codec::encode(event),
            delay: Duration::ZERO,
        });
        let sent = self.queue.send_batch(stage, messages.collect()).await;
        let failure = |error: PortError| match error {
            PortError::Refused { .. } => Failure::permanent(&error),
            other => Failure::temporary(&other),
        };
        sent.into_iter().map(|result| result.map_err(failure)).collect()
    }
}

/// Events of this stage only tell somebody to look; nothing depends on their arrival. A change of an account is none: notices
/// that somebody has subscribed to come from it.
const fn is_hint(stage: Stage) -> bool {
    matches!(stage, Stage::Housekeep)
}

/// Runs the handler; if it panics, every event of the batch fails as panicked and the driver finds the guilty
/// one by handling each by itself.
async fn guarded(handler: &dyn Handler, events: Vec<Event>) -> Vec<Outcome> {
    let count = events.len();
    match AssertUnwindSafe(handler.handle(events)).catch_unwind().await {
        Ok(outcomes) if outcomes.len() == count => outcomes,
        Ok(_) => vec![Err(Failure::permanent("the handler lost count of its events")); count],
        Err(panic) => {
            let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
            let text = text.or_else(|| panic.downcast_ref::<String>().cloned());
            let cause = format!("the handler panicked: {}", text.unwrap_or_default());
            vec![Err(Failure { panicked: true, ..Failure::temporary(&cause) }); count]
        }
    }
}
