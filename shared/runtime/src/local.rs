//! The local driver: workers in one process that feed the pipeline from the queue port.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;
use std::time::Duration;

use pennypost_meter::{Counts, Tally, metered};
use pennypost_model::codec;
use pennypost_model::event::{Event, Stage};
use pennypost_model::trace::{TraceRecord, TraceStep};
use pennypost_model::{EventId, TenantId};
use pennypost_ports::{
    Clock, Consistency, Control, ControlKey, Expected, Log, LogKind, LogRecord, PortResult, Queue, Received,
};
use prometheus::{IntCounterVec, Opts, Registry};
use serde::Deserialize;
use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::{Failure, Pipeline};

/// How the local driver works a queue.
#[derive(Debug, Clone, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    /// Workers for each stage of the mail path.
    pub workers: usize,
    /// Events that a worker takes at once.
    pub batch: usize,
    /// After so many seconds without an answer an event is handed out again.
    pub visibility_seconds: u64,
    /// Tries before an event that makes its handler panic, or the process die, goes to the dead letters.
    pub max_tries: u32,
    /// Hours before an event that fails for a passing reason (disk full, port unavailable) does.
    pub give_up_hours: u64,
    /// Seconds before the first retry; doubles with each further one, up to an hour.
    pub first_retry_seconds: u64,
}

impl Default for Settings {
    fn default() -> Settings {
        Settings {
            workers: 2,
            batch: 64,
            visibility_seconds: 120,
            max_tries: 8,
            give_up_hours: 48,
            first_retry_seconds: 2,
        }
    }
}

impl Settings {
    /// The pause before an event that has been tried `tries` times is tried again.
    #[must_use]
    pub fn retry_delay(&self, tries: u32) -> Duration {
        let doubled = self.first_retry_seconds.saturating_mul(1 << tries.saturating_sub(1).min(12));
        Duration::from_secs(doubled.min(3600))
    }
}

/// From this try on an event is handled by itself, so that it can't take others with it.
const ALONE_FROM_TRY: u32 = 3;

/// The local driver.
#[derive(Clone)]
pub struct Driver {
    pipeline: Arc<Pipeline>,
    queue: Arc<dyn Queue>,
    log: Arc<dyn Log>,
    suspects: Suspects,
    clock: Arc<dyn Clock>,
    settings: Settings,
    handled: IntCounterVec,
}

impl Driver {
    /// A driver for these stages; its counters go into `registry`.
    ///
    /// # Errors
    /// When the registry already has counters of these names.
    pub fn new(
        pipeline: Arc<Pipeline>,
        queue: Arc<dyn Queue>,
        log: Arc<dyn Log>,
        control: Arc<dyn Control>,
        clock: Arc<dyn Clock>,
        settings: Settings,
        registry: &Registry,
    ) -> Result<Driver, prometheus::Error> {
        let options = Opts::new("pennypost_events_total", "Events by stage and result.");
        let handled = IntCounterVec::new(options, &["stage", "result"])?;
        registry.register(Box::new(handled.clone()))?;
        Ok(Driver { pipeline, queue, log, suspects: Suspects(control), clock, settings, handled })
    }

    /// Works all queues until `stop` turns true; then each worker ends what it has in hand.
    pub async fn run(self, stop: watch::Receiver<bool>) {
        self.run_some(|_| true, stop).await;
    }

    /// The same for some of the stages.
    pub async fn run_some(self, is_wanted: impl Fn(Stage) -> bool, stop: watch::Receiver<bool>) {
        let mut workers = JoinSet::new();
        for stage in self.pipeline.stages().filter(|stage| is_wanted(*stage)) {
            let count = if stage == Stage::Housekeep { 1 } else { self.settings.workers.max(1) };
            for _ in 0..count {
                workers.spawn(self.clone().work(stage, stop.clone()));
            }
        }
        while workers.join_next().await.is_some() {}
    }

    async fn work(self, stage: Stage, mut stop: watch::Receiver<bool>) {
        let visibility = Duration::from_secs(self.settings.visibility_seconds);
        // A chore may take seconds: whoever stops waits for one only.
        let batch = if stage == Stage::Housekeep { 1 } else { self.settings.batch };
        while !*stop.borrow() {
            let wait = Duration::from_secs(20);
            let tally = Arc::new(Tally::new());
            let receive = metered(Arc::clone(&tally), self.queue.receive(stage, batch, visibility, wait));
            let received = tokio::select! {
                received = receive => received,
                _ = stop.changed() => break,
            };
            match received {
                // Looking for work that is not there is nobody's: it costs the same however many tenants there are.
                Ok(messages) if messages.is_empty() => {}
                Ok(messages) => self.handle_received(stage, messages, &tally.counts()).await,
                Err(error) => {
                    tracing::error!(stage = stage.queue(), %error, "the queue does not answer");
                    tokio::time::sleep(Duration::from_secs(1)).await;
                }
            }
        }
    }

    /// Handles messages that were handed out, and acknowledges, delays or buries each.
    pub async fn handle(&self, stage: Stage, messages: Vec<Received>) {
        self.handle_received(stage, messages, &Counts::default()).await;
    }

    /// The same, where it is known what it took to get them.
    async fn handle_received(&self, stage: Stage, messages: Vec<Received>, before: &Counts) {
        let count = messages.len();
        let work = self.handle_each(stage, messages);
        let ((), used) = self.pipeline.usages().batch(stage, &*self.log, &*self.clock, before, work).await;
        if !used.is_empty() {
            tracing::debug!(stage = stage.queue(), count, units = %used, "batch");
        }
    }

    async fn handle_each(&self, stage: Stage, messages: Vec<Received>) {
        let (alone, together): (Vec<Received>, Vec<Received>) =
            messages.into_iter().partition(|message| message.tries >= ALONE_FROM_TRY);
        self.handle_batch(stage, together).await;
        for message in alone {
            self.handle_suspect(stage, message).await;
        }
    }

    /// Handles an event that has failed before. What is in hand is noted first: an event that is found noted too
    /// often has taken the process with it each time.
    async fn handle_suspect(&self, stage: Stage, message: Received) {
        let key = suspect_key(stage, &message);
        let deaths = match self.suspects.enter(&key).await {
            Ok(deaths) => deaths,
            Err(error) => {
                tracing::warn!(stage = stage.queue(), %error, "event waits: it can't be noted as in hand");
                return;
            }
        };
        if deaths >= self.settings.max_tries {
            let failure = Failure::permanent(&format!("the process died with it {deaths} times"));
            let event = codec::decode::<Event>(&message.body).ok();
            self.failed(stage, &message, event.as_ref().map(Subject::of), &failure).await;
        } else {
            self.handle_batch(stage, vec![message]).await;
        }
        self.suspects.leave(&key).await;
    }

    async fn handle_batch(&self, stage: Stage, messages: Vec<Received>) {
        let mut readable = Vec::with_capacity(messages.len());
        let mut events = Vec::with_capacity(messages.len());
        for message in messages {
            match codec::decode::<Event>(&message.body) {
                Ok(event) => {
                    readable.push((Subject::of(&event), message));
                    events.push(event);
                }
                Err(error) => self.failed(stage, &message, None, &Failure::permanent(&error)).await,
            }
        }
        if events.is_empty() {
            return;
        }
        let results = self.pipeline.run(stage, events).await;
        let in_company = readable.len() > 1;
        let mut done = Vec::with_capacity(readable.len());
        for ((subject, message), result) in readable.into_iter().zip(results) {
            match result {
                Ok(()) => done.push(message.receipt),
                Err(failure) if failure.panicked && in_company => {
                    Box::pin(self.handle_batch(stage, vec![message])).await;
                }
                Err(failure) => self.failed(stage, &message, Some(subject), &failure).await,
            }
        }
        self.handled.with_label_values(&[stage.queue(), "done"]).inc_by(done.len() as u64);
        if let Err(error) = self.queue.ack(stage, &done).await {
            tracing::warn!(stage = stage.queue(), %error, "events were not acknowledged and will come again");
        }
    }

    async fn failed(&self, stage: Stage, message: &Received, subject: Option<Subject>, failure: &Failure) {
        let exhausted = if failure.panicked {
            message.tries >= self.settings.max_tries
        } else {
            let patience =
                i64::try_from(self.settings.give_up_hours).unwrap_or(i64::MAX).saturating_mul(3_600_000);
            self.clock.now() > message.sent.plus_millis(patience)
        };
        let cause = failure.cause.as_str();
        let result = if failure.temporary && !exhausted {
            self.handled.with_label_values(&[stage.queue(), "retried"]).inc();
            let delay = failure.retry_after.unwrap_or_else(|| self.settings.retry_delay(message.tries));
            tracing::warn!(stage = stage.queue(), tries = message.tries, ?delay, cause, "event failed");
            self.queue.retry_later(stage, &message.receipt, delay).await
        } else {
            self.handled.with_label_values(&[stage.queue(), "dead"]).inc();
            tracing::error!(stage = stage.queue(), tries = message.tries, cause, "event is a dead letter");
            self.note_death(stage, subject, cause).await;
            self.queue.dead_letter(stage, &message.receipt, cause).await
        };
        if let Err(error) = result {
            tracing::warn!(stage = stage.queue(), %error, "event stays in flight until its time-out");
        }
    }

    async fn note_death(&self, stage: Stage, subject: Option<Subject>, cause: &str) {
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
    ControlKey::new("suspects", format!("{}/{:016x}-{}", stage.queue(), hasher.finish(), message.sent.0))
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
