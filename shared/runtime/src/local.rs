//! The local driver: workers in one process that feed the pipeline from the queue port.

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use pennypost_meter::{Counts, Tally, metered};
use pennypost_model::event::Stage;
use pennypost_ports::{Clock, Control, Log, Queue, Received};
use prometheus::{IntCounterVec, Opts, Registry};
use serde::Deserialize;
use tokio::sync::{Mutex, watch};
use tokio::task::JoinSet;

use crate::Pipeline;
use crate::batch::{Acknowledgement, Desk, Patience};

/// After so long with a batch in hand a worker lets another one of its stage take the next.
const TURN: Duration = Duration::from_millis(20);
/// A batch of so many messages shares enough: the next one is taken beside it.
const LARGE: usize = 16;

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
    /// See [`Patience::max_tries`].
    pub max_tries: u32,
    /// See [`Patience::give_up_hours`].
    pub give_up_hours: u64,
    /// See [`Patience::first_retry_seconds`].
    pub first_retry_seconds: u64,
}

impl Default for Settings {
    fn default() -> Settings {
        let Patience { max_tries, give_up_hours, first_retry_seconds } = Patience::default();
        Settings {
            workers: 2,
            batch: 64,
            visibility_seconds: 120,
            max_tries,
            give_up_hours,
            first_retry_seconds,
        }
    }
}

impl Settings {
    /// When an event is tried again, and when it is given up.
    #[must_use]
    pub const fn patience(&self) -> Patience {
        Patience {
            max_tries: self.max_tries,
            give_up_hours: self.give_up_hours,
            first_retry_seconds: self.first_retry_seconds,
        }
    }
}

/// The local driver.
#[derive(Clone)]
pub struct Driver {
    desk: Desk,
    queue: Arc<dyn Queue>,
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
        let here = Acknowledgement::Here;
        let desk = Desk::new(pipeline, Arc::clone(&queue), log, control, clock, settings.patience(), here);
        Ok(Driver { desk, queue, settings, handled })
    }

    /// A driver with the same settings and counters for a pipeline on other ports.
    #[must_use]
    pub fn beside(
        &self,
        pipeline: Arc<Pipeline>,
        queue: Arc<dyn Queue>,
        log: Arc<dyn Log>,
        control: Arc<dyn Control>,
        clock: Arc<dyn Clock>,
    ) -> Driver {
        let patience = self.settings.patience();
        let desk =
            Desk::new(pipeline, Arc::clone(&queue), log, control, clock, patience, Acknowledgement::Here);
        Driver { desk, queue, settings: self.settings.clone(), handled: self.handled.clone() }
    }

    /// Works all queues until `stop` turns true; then each worker ends what it has in hand.
    #[pennypost_ports::compiled_here]
    pub async fn run(self, stop: watch::Receiver<bool>) {
        self.run_some(|_| true, stop).await;
    }

    /// The same for some of the stages.
    pub async fn run_some(self, is_wanted: impl Fn(Stage) -> bool, stop: watch::Receiver<bool>) {
        let mut workers = JoinSet::new();
        for stage in self.desk.pipeline().stages().filter(|stage| is_wanted(*stage)) {
            let count = if stage == Stage::Housekeep { 1 } else { self.settings.workers.max(1) };
            let turn = Arc::new(Mutex::new(()));
            for _ in 0..count {
                workers.spawn(self.clone().work(stage, Arc::clone(&turn), stop.clone()));
            }
        }
        while workers.join_next().await.is_some() {}
    }

    /// Looks into the queues of some stages only now and then, one queue after the other: for those that nothing is sent
    /// to as long as the stages are joined, but in which something may lie that was sent before, or that was replayed.
    #[pennypost_ports::compiled_here]
    pub async fn look_into(self, stages: Vec<Stage>, pause: Duration, mut stop: watch::Receiver<bool>) {
        while !stages.is_empty() && !*stop.borrow() {
            for stage in &stages {
                self.drain(*stage, &stop).await;
            }
            tokio::select! {
                () = tokio::time::sleep(pause) => {}
                _ = stop.changed() => break,
            }
        }
    }

    /// Handles what lies in a queue, until nothing is handed out any more.
    async fn drain(&self, stage: Stage, stop: &watch::Receiver<bool>) {
        let visibility = Duration::from_secs(self.settings.visibility_seconds);
        while !*stop.borrow() {
            let received = self.queue.receive(stage, self.settings.batch, visibility, Duration::ZERO).await;
            match received {
                Ok(messages) if messages.is_empty() => return,
                Ok(messages) => self.handle(stage, messages).await,
                Err(error) => {
                    tracing::warn!(stage = stage.queue(), %error, "a queue that is seldom used does not answer");
                    return;
                }
            }
        }
    }

    /// Takes batches in turn with the others of its stage: what arrives while one of them has a batch in hand becomes one
    /// batch, for which syncs, packs and entries are shared. Nobody waits for a batch that takes long, or that is large already.
    async fn work(self, stage: Stage, turn: Arc<Mutex<()>>, mut stop: watch::Receiver<bool>) {
        let visibility = Duration::from_secs(self.settings.visibility_seconds);
        // A chore may take seconds: whoever stops waits for one only.
        let batch = if stage == Stage::Housekeep { 1 } else { self.settings.batch };
        while !*stop.borrow() {
            let wait = Duration::from_secs(20);
            let tally = Arc::new(Tally::new());
            let receive = metered(Arc::clone(&tally), self.queue.receive(stage, batch, visibility, wait));
            let taken = async { (turn.lock().await, receive.await) };
            let (mine, received) = tokio::select! {
                taken = taken => taken,
                _ = stop.changed() => break,
            };
            match received {
                // Looking for work that is not there is nobody's: it costs the same however many tenants there are.
                Ok(messages) if messages.is_empty() => {}
                Ok(messages) => {
                    let mine = Some(mine).filter(|_| messages.len() < batch.min(LARGE));
                    let before = tally.counts();
                    let mut handled = pin!(self.handle_received(stage, messages, &before));
                    let done = tokio::time::timeout(TURN, &mut handled).await.is_ok();
                    drop(mine);
                    if !done {
                        handled.await;
                    }
                }
                Err(error) => {
                    drop(mine);
                    tracing::error!(stage = stage.queue(), %error, "the queue does not answer");
                    tokio::time::sleep(Duration::from_secs(1)).await;
                }
            }
        }
    }

    /// Handles messages that were handed out, and acknowledges, delays or buries each.
    #[pennypost_ports::compiled_here]
    pub async fn handle(&self, stage: Stage, messages: Vec<Received>) {
        self.handle_received(stage, messages, &Counts::default()).await;
    }

    /// The same, where it is known what it took to get them.
    async fn handle_received(&self, stage: Stage, messages: Vec<Received>, before: &Counts) {
        let count = messages.len();
        let (settled, used) = self.desk.handle(stage, messages, before).await;
        for (result, count) in [("done", settled.done), ("retried", settled.retried), ("dead", settled.dead)]
        {
            self.handled.with_label_values(&[stage.queue(), result]).inc_by(count as u64);
        }
        if !used.is_empty() {
            tracing::debug!(stage = stage.queue(), count, units = %used, "batch");
        }
    }
}
