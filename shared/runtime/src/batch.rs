//! Handling of messages that were handed out, for every driver: what becomes of each.
//!
//! Owns the rules by which an event is done, tried again or given up, and the control items of the partition
//! [`SUSPECTS`]: the events that are in hand alone. A panic or a bad record fails one event, never its batch. If the
//! process dies, what it had in hand comes again; an event that was in hand alone too often then is given up.

use std::collections::VecDeque;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use pennypost_meter::Counts;
use pennypost_model::codec;
use pennypost_model::event::{Event, Stage};
use pennypost_model::trace::{TraceRecord, TraceStep};
use pennypost_model::{EventId, TenantId, Timestamp};
use pennypost_ports::{
    Clock, Consistency, Control, ControlKey, Expected, Log, LogKind, LogRecord, PortResult, Queue, Receipt,
    Received,
};
use serde::Deserialize;

use crate::needs::SUSPECTS;
use crate::{Failure, Pipeline};

/// From this try on an event is handled by itself, so that it can't take others with it.
const ALONE_FROM_TRY: u32 = 3;
/// After so long with events that are handled by themselves, one after the other, the rest of the batch is left for another time: before
/// the queue hands it out again, or the time of a function is over.
const ALONE_FOR: Duration = Duration::from_secs(15);
/// What was left so comes again then.
const LEFT: Duration = Duration::from_secs(1);
/// Events of which it is remembered that they wait for something.
const WAITING: usize = 10_000;

/// When an event is tried again, and when it is given up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
pub struct Patience {
    /// Tries before an event that makes its handler panic, or the process die, goes to the dead letters.
    pub max_tries: u32,
    /// Hours before an event that fails for a passing reason (disk full, port unavailable) does.
    pub give_up_hours: u64,
    /// Seconds before the first retry; doubles with each further one, up to an hour.
    pub first_retry_seconds: u64,
}

impl Default for Patience {
    fn default() -> Patience {
        Patience { max_tries: 8, give_up_hours: 48, first_retry_seconds: 2 }
    }
}

impl Patience {
    /// The pause before an event that has been tried `tries` times is tried again.
    #[must_use]
    pub fn retry_delay(&self, tries: u32) -> Duration {
        let doubled = self.first_retry_seconds.saturating_mul(1 << tries.saturating_sub(1).min(12));
        Duration::from_secs(doubled.min(3600))
    }
}

/// Who tells the queue that messages are done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Acknowledgement {
    /// This module, by the queue port.
    Here,
    /// Whoever handed the messages out, from [`Settled::open`]. What is done is told here nevertheless before an
    /// event is taken in hand alone: should the process die with that, the others are not handled again.
    ByTheCaller,
}

/// What became of the messages of a batch.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Settled {
    /// So many are done.
    pub done: usize,
    /// So many come again later.
    pub retried: usize,
    /// So many are dead letters now.
    pub dead: usize,
    /// Those that must come again: to be retried, or because the queue did not take what was decided.
    pub open: Vec<Receipt>,
}

impl Settled {
    fn add(&mut self, other: Settled) {
        self.done += other.done;
        self.retried += other.retried;
        self.dead += other.dead;
        self.open.extend(other.open);
    }
}

/// What handles batches: the pipeline with what else decides about its events.
#[derive(Clone)]
pub struct Desk {
    pipeline: Arc<Pipeline>,
    queue: Arc<dyn Queue>,
    log: Arc<dyn Log>,
    suspects: Suspects,
    /// Events that have come to an end here without taking anything with them, and wait for something that their handler has named a time
    /// for. However often that was, they need not be handled by themselves: of many that wait each would take its time.
    waiting: Arc<Mutex<VecDeque<String>>>,
    clock: Arc<dyn Clock>,
    patience: Patience,
    acknowledgement: Acknowledgement,
}

impl Desk {
    /// A desk for these stages.
    #[must_use]
    pub fn new(
        pipeline: Arc<Pipeline>,
        queue: Arc<dyn Queue>,
        log: Arc<dyn Log>,
        control: Arc<dyn Control>,
        clock: Arc<dyn Clock>,
        patience: Patience,
        acknowledgement: Acknowledgement,
    ) -> Desk {
        let (suspects, waiting) = (Suspects(control), Arc::default());
        Desk { pipeline, queue, log, suspects, waiting, clock, patience, acknowledgement }
    }

    /// The stages that it handles.
    #[must_use]
    pub fn pipeline(&self) -> &Pipeline {
        &self.pipeline
    }

    /// The time by its clock.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// Handles messages that were handed out, and acknowledges, delays or buries each. What became of them, and what
    /// it took, `before` included: what it took to get them.
    pub async fn handle(&self, stage: Stage, messages: Vec<Received>, before: &Counts) -> (Settled, Counts) {
        let work = self.handle_each(stage, messages);
        self.pipeline.usages().batch(stage, &*self.log, &*self.clock, before, work).await
    }

    async fn handle_each(&self, stage: Stage, messages: Vec<Received>) -> Settled {
        let (alone, together): (Vec<Received>, Vec<Received>) = messages
            .into_iter()
            .partition(|message| message.tries >= ALONE_FROM_TRY && !self.has_waited(stage, message));
        let at_once = !alone.is_empty();
        let mut settled = self.handle_batch(stage, together, at_once).await;
        let begun = Instant::now();
        for message in alone {
            settled.add(match begun.elapsed() < ALONE_FOR {
                true => self.handle_suspect(stage, message).await,
                false => self.leave(stage, message).await,
            });
        }
        settled
    }

    /// Leaves an event for another time.
    async fn leave(&self, stage: Stage, message: Received) -> Settled {
        if let Err(error) = self.queue.retry_later(stage, &message.receipt, LEFT).await {
            tracing::warn!(stage = stage.queue(), %error, "event stays in flight until its time-out");
        }
        Settled { retried: 1, open: vec![message.receipt], ..Settled::default() }
    }

    /// Has it waited for something when it was tried last? Then it does not count as one that waits any more.
    fn has_waited(&self, stage: Stage, message: &Received) -> bool {
        let mut waiting = self.waiting.lock();
        if waiting.is_empty() {
            return false;
        }
        let key = suspect_key(stage, message).sort;
        let place = waiting.iter().position(|known| *known == key);
        place.is_some_and(|place| waiting.remove(place).is_some())
    }

    /// Notes that it waits for something.
    fn note_waiting(&self, stage: Stage, message: &Received) {
        let mut waiting = self.waiting.lock();
        if waiting.len() >= WAITING {
            waiting.pop_front();
        }
        waiting.push_back(suspect_key(stage, message).sort);
    }

    /// Handles an event that has failed before. What is in hand is noted first: an event that is found noted too
    /// often has taken the process with it each time.
    async fn handle_suspect(&self, stage: Stage, message: Received) -> Settled {
        let key = suspect_key(stage, &message);
        let deaths = match self.suspects.enter(&key).await {
            Ok(deaths) => deaths,
            Err(error) => {
                tracing::warn!(stage = stage.queue(), %error, "event waits: it can't be noted as in hand");
                return Settled { open: vec![message.receipt], ..Settled::default() };
            }
        };
        let mut settled = Settled::default();
        if deaths >= self.patience.max_tries {
            let failure = Failure::permanent(&format!("the process died with it {deaths} times"));
            let event = Event::read(stage, &message.body).ok();
            let subject = event.as_ref().map(Subject::of);
            self.failed(stage, message, subject, &failure, &mut settled).await;
        } else {
            settled = self.handle_batch(stage, vec![message], true).await;
        }
        self.suspects.leave(&key).await;
        settled
    }

    async fn handle_batch(&self, stage: Stage, messages: Vec<Received>, at_once: bool) -> Settled {
        let mut settled = Settled::default();
        let mut readable = Vec::with_capacity(messages.len());
        let mut events = Vec::with_capacity(messages.len());
        for message in messages {
            match Event::read(stage, &message.body) {
                Ok(event) => {
                    readable.push((Subject::of(&event), message));
                    events.push(event);
                }
                Err(error) => {
                    self.failed(stage, message, None, &Failure::permanent(&error), &mut settled).await;
                }
            }
        }
        if events.is_empty() {
            return settled;
        }
        let results = self.pipeline.run(stage, events).await;
        let in_company = readable.len() > 1;
        let mut done = Vec::with_capacity(readable.len());
        for ((subject, message), result) in readable.into_iter().zip(results) {
            match result {
                Ok(()) => done.push(message.receipt),
                Err(failure) if failure.panicked && in_company => {
                    settled.add(Box::pin(self.handle_batch(stage, vec![message], at_once)).await);
                }
                Err(failure) => self.failed(stage, message, Some(subject), &failure, &mut settled).await,
            }
        }
        settled.done += done.len();
        if at_once || self.acknowledgement == Acknowledgement::Here {
            self.acknowledge(stage, &done).await;
        }
        settled
    }

    async fn acknowledge(&self, stage: Stage, done: &[Receipt]) {
        if let Err(error) = self.queue.ack(stage, done).await {
            tracing::warn!(stage = stage.queue(), %error, "events were not acknowledged and will come again");
        }
    }

    async fn failed(
        &self,
        stage: Stage,
        message: Received,
        subject: Option<Subject>,
        failure: &Failure,
        settled: &mut Settled,
    ) {
        let exhausted = if failure.panicked {
            message.tries >= self.patience.max_tries
        } else {
            let patience =
                i64::try_from(self.patience.give_up_hours).unwrap_or(i64::MAX).saturating_mul(3_600_000);
            self.clock.now() > message.sent.plus_millis(patience)
        };
        let cause = failure.cause.as_str();
        let again = failure.temporary && !exhausted;
        if again && failure.retry_after.is_some() && message.tries + 1 >= ALONE_FROM_TRY {
            self.note_waiting(stage, &message);
        }
        let result = if again {
            settled.retried += 1;
            let delay = failure.retry_after.unwrap_or_else(|| self.patience.retry_delay(message.tries));
            tracing::warn!(stage = stage.queue(), tries = message.tries, ?delay, cause, "event failed");
            self.queue.retry_later(stage, &message.receipt, delay).await
        } else {
            settled.dead += 1;
            tracing::error!(stage = stage.queue(), tries = message.tries, cause, "event is a dead letter");
            self.note_death(stage, subject, cause).await;
            self.queue.dead_letter(stage, &message.receipt, cause).await
        };
        if let Err(error) = &result {
            tracing::warn!(stage = stage.queue(), %error, "event stays in flight until its time-out");
        }
        if again || result.is_err() {
            settled.open.push(message.receipt);
        }
    }

    async fn note_death(&self, stage: Stage, subject: Option<Subject>, cause: &str) {
        // What is nobody's is about no message of anybody yet.
        let Some(Subject { tenant, message: Some(message) }) = subject else { return };
        let time = self.clock.now();
        let step = TraceStep::DeadLettered { queue: stage.queue().to_owned(), cause: cause.to_owned() };
        let value = codec::encode(&TraceRecord::new(tenant, message, time, step));
        let record = LogRecord { tenant, kind: LogKind::Trace, id: message, time, value };
        if let Err(error) = self.log.append(&[record]).await {
            tracing::warn!(%error, "a dead letter is not in the trace");
        }
    }
}

/// What the driver must still know of an event after it has handed it over.
#[derive(Clone, Copy)]
struct Subject {
    tenant: TenantId,
    message: Option<EventId>,
}

impl Subject {
    fn of(event: &Event) -> Subject {
        Subject { tenant: event.tenant(), message: event.message() }
    }
}

/// Names an event across hand-outs: by its bytes, since its receipt changes.
fn suspect_key(stage: Stage, message: &Received) -> ControlKey {
    let mut hasher = DefaultHasher::new();
    message.body.hash(&mut hasher);
    ControlKey::new(SUSPECTS, format!("{}/{:016x}-{}", stage.queue(), hasher.finish(), message.sent.0))
}

/// The events that are being handled alone, with how often each was in hand before without coming to an end.
#[derive(Clone)]
struct Suspects(Arc<dyn Control>);

impl Suspects {
    /// Notes an event as in hand; how often it was left so by a process that died.
    async fn enter(&self, key: &ControlKey) -> PortResult<u32> {
        let known = self.0.get(key, Consistency::Strong).await?;
        let deaths = known.and_then(|item| item.value.first().copied()).unwrap_or(0);
        self.0.put_if(key, &[deaths.saturating_add(1)], Expected::Any).await?;
        Ok(u32::from(deaths))
    }

    /// The event came to an end, good or bad.
    async fn leave(&self, key: &ControlKey) {
        let item = self.0.get(key, Consistency::Strong).await;
        let left = match item {
            Ok(Some(item)) => self.0.delete_if(key, item.version).await.map(drop),
            Ok(None) => Ok(()),
            Err(error) => Err(error),
        };
        if let Err(error) = left {
            tracing::warn!(%error, "an event stays noted as in hand");
        }
    }
}
