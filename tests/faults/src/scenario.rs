//! One run: processes start, work, die and start again; then everything runs out and is judged.

use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use pennypost_mailstore::Mailroom;
use pennypost_model::event::Stage as QueueStage;
use pennypost_runtime::Fusing;
use pennypost_runtime::batch::Acknowledgement;
use pennypost_runtime_lambda::Takeover;
use pennypost_simulation::executor::{Executor, Step};
use pennypost_simulation::stage::{Ledger, MIN_AGE_MINUTES, Stage, dice};
use pennypost_simulation::{actors, verdict};
use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};
use tokio::runtime::Runtime;

use crate::backend::{Backend, Open};
use crate::faulty::{Faulty, FaultyClock, SeededIds, Trouble};
use crate::functions::Functions;
use crate::hours::{Hours, Pace};
use crate::outside::Outside;
use crate::post::{Driver, POISON, Poison, VISIBILITY, accept, accept_many, poison, poison_body};
use crate::services::Alive;
use crate::source::Source;

/// How much happens in a run.
#[derive(Debug, Clone, Copy)]
pub struct Plan {
    /// Letters that come, in each of the two rounds.
    pub letters: usize,
    /// Steps of a round before everything is let run out.
    pub steps: usize,
    /// Letters that come at once, once in each round: with AWS they share messages of the queue.
    pub at_once: usize,
    /// Half of what works the queues are functions that a service invokes. Only with AWS.
    pub functions: bool,
}

impl Plan {
    /// About as much work for the machine on each backend.
    #[must_use]
    pub const fn of(backend: Backend) -> Plan {
        match backend {
            Backend::Embedded => Plan { letters: 4, steps: 500, at_once: 0, functions: false },
            // Each step of a round may be one of several requests of a call.
            Backend::Aws => Plan { letters: 3, steps: 250, at_once: 0, functions: false },
        }
    }

    /// For AWS: functions, and events that share messages.
    #[must_use]
    pub const fn of_functions() -> Plan {
        Plan { letters: 1, steps: 300, at_once: 14, functions: true }
    }
}

/// What a run has shown.
#[derive(Debug, Default)]
pub struct Report {
    /// Violations.
    pub broken: Vec<String>,
    /// Letters whose senders were told that they were taken.
    pub accepted: usize,
    /// Port calls and, on a line, requests.
    pub calls: u64,
    /// Things that went wrong.
    pub faults: u64,
    /// Processes that died at their work.
    pub deaths: u64,
    /// Messages of queues with several events in them.
    pub shared: u64,
    /// What happened, as a number: two runs of a seed have the same.
    pub print: u64,
}

/// Processes: one that accepts, two that drive, one of sessions, one that keeps house, and at last one that is well.
const PROCESSES: usize = 5;
const ADAPTER: usize = 0;
const DRIVERS: [usize; 2] = [1, 2];
const SESSIONS: usize = 3;
/// Rounds. What was written in one is old enough to be removed in the next.
const ROUNDS: usize = 2;
/// Calls of a thousand that fail at a port.
const PER_MILLE: u32 = 25;
/// Turns without an end are none.
const MANY: usize = 2_000_000;

fn runtime() -> Result<Runtime, String> {
    let mut builder = tokio::runtime::Builder::new_current_thread();
    builder.enable_time().start_paused(true).build().map_err(|error| error.to_string())
}

/// Runs `seed` on a backend.
///
/// # Panics
/// Where a handler or a backend does.
#[must_use]
pub fn run(backend: Backend, seed: u64, plan: Plan) -> Report {
    // The pauses of clients are random; here they follow the seed.
    fastrand::seed(seed);
    let ran = runtime().and_then(|runtime| match backend {
        Backend::Embedded => {
            let pace = Pace::Apart(Arc::new(runtime));
            futures::executor::block_on(run_at(backend, pace, seed, plan))
        }
        Backend::Aws => runtime.block_on(run_at(backend, Pace::Together, seed, plan)),
    });
    ran.unwrap_or_else(|error| Report { broken: vec![error], ..Report::default() })
}

async fn run_at(backend: Backend, pace: Pace, seed: u64, plan: Plan) -> Result<Report, String> {
    let source = Source::new(seed.rotate_left(23));
    let hours = Hours::new(pace.clone());
    let open = Open::new(backend, &source, &hours)?;
    let trouble = Trouble::new(Arc::clone(&source), hours.clone(), PER_MILLE);
    let mut town = Town {
        random: SmallRng::seed_from_u64(seed ^ 0x9e37_79b9_7f4a_7c15),
        chance: dice(seed.rotate_left(17)),
        ledger: Arc::default(),
        executor: Executor::default(),
        alive: (0..=PROCESSES).map(|_| Alive::default()).collect(),
        poisoned: Arc::default(),
        outside: Outside::default(),
        functions: plan.functions,
        deaths: 0,
        open,
        trouble,
        source,
        hours,
    };
    for _ in 0..ROUNDS {
        town.source.set_harsh(true);
        town.round(plan).await;
        town.source.set_harsh(false);
        town.run_out().await;
        town.hours.pass(minutes(2.0 * MIN_AGE_MINUTES)).await;
        town.tidy_up().await;
    }
    town.judge().await;
    let (calls, faults) = town.source.counts();
    let print = town.source.random(|random| random.random::<u64>()) ^ town.random.random::<u64>();
    let Town { ledger, executor, open, deaths, alive, .. } = town;
    // Those who hold connections go first.
    drop(executor);
    alive.iter().for_each(Alive::end);
    let (mut broken, accepted) = {
        let mut ledger = ledger.lock();
        (std::mem::take(&mut ledger.broken), ledger.accepted.len())
    };
    broken.extend(open.misunderstood());
    let shared = open.services().map_or(0, |services| services.shared());
    open.close(&pace).await;
    Ok(Report { broken, accepted, calls, faults, deaths, shared, print })
}

fn minutes(minutes: f64) -> Duration {
    Duration::from_secs_f64(60.0 * minutes)
}

struct Town {
    random: SmallRng,
    chance: Arc<Mutex<SmallRng>>,
    ledger: Arc<Mutex<Ledger>>,
    executor: Executor,
    alive: Vec<Alive>,
    poisoned: Poison,
    outside: Outside,
    functions: bool,
    deaths: u64,
    open: Open,
    trouble: Trouble,
    source: Arc<Source>,
    hours: Hours,
}

impl Town {
    /// The ports as a process sees them that starts now.
    fn stage(&mut self, process: usize) -> Stage {
        self.process(process).0
    }

    /// The same, with what functions need besides.
    fn process(&mut self, process: usize) -> (Stage, Option<Arc<dyn Takeover>>) {
        self.alive[process] = Alive::default();
        let ports = self.open.ports(&self.alive[process]);
        // The last one's clock is right; the others are up to a minute off.
        let skew = if process == PROCESSES { 0 } else { self.random.random_range(-55_000..=55_000) };
        let stage = Stage {
            journal: Faulty::new(ports.journal, &self.trouble),
            objects: Faulty::new(ports.objects, &self.trouble),
            control: Faulty::new(ports.control, &self.trouble),
            log: Faulty::new(ports.log, &self.trouble),
            queue: Faulty::new(ports.queue, &self.trouble),
            clock: Arc::new(FaultyClock { trouble: self.trouble.clone(), skew }),
            ids: Arc::new(SeededIds(Arc::clone(&self.source))),
            dice: Arc::clone(&self.chance),
            ledger: Arc::clone(&self.ledger),
        };
        (stage, ports.takeover)
    }

    async fn round(&mut self, plan: Plan) {
        let began = self.hours.millis();
        let mut letters = plan.letters;
        let flood = (plan.at_once > 0).then(|| self.random.random_range(0..plan.steps / 2));
        for step in 0..plan.steps {
            if flood == Some(step) {
                let stage = self.stage(ADAPTER);
                let many = accept_many(stage, self.hours.clone(), plan.at_once, Arc::clone(&self.poisoned));
                self.executor.spawn(ADAPTER, many);
            }
            if letters > 0 && self.random.random_range(0..plan.steps) < 2 * plan.letters {
                letters -= 1;
                self.accept();
            }
            if self.random.random_range(0..150) == 0 {
                let dying = self.random.random_range(0..PROCESSES);
                self.kill(dying);
            }
            let process = self.random.random_range(1..PROCESSES);
            if self.executor.is_idle(process) {
                self.start(process);
            }
            for _ in 0..8 {
                if self.executor.step(&mut self.random) != Step::Ran {
                    break;
                }
            }
            self.let_time_pass(step, began).await;
        }
        for _ in 0..letters {
            self.accept();
        }
        // Whoever accepts gets to his end; all others die where they stand.
        (1..PROCESSES).for_each(|process| self.kill(process));
        self.finish().await;
    }

    fn accept(&mut self) {
        let stage = self.stage(ADAPTER);
        if self.random.random_range(0..6) == 0 {
            let step = QueueStage::ALL[self.random.random_range(0..QueueStage::ALL.len())];
            self.executor.spawn(ADAPTER, poison(stage.clone(), Arc::clone(&self.poisoned), step));
        }
        let accepting = accept(stage, self.hours.clone(), self.outside.clone());
        self.executor.spawn(ADAPTER, accepting);
    }

    fn kill(&mut self, process: usize) {
        if !self.executor.is_idle(process) {
            self.deaths += 1;
            self.ledger.lock().housekeeping_died |= process != ADAPTER && process != SESSIONS;
        }
        self.alive[process].end();
        self.executor.kill(process);
    }

    fn start(&mut self, process: usize) {
        let (stage, takeover) = self.process(process);
        let services = self.open.services().filter(|_| self.functions && process == DRIVERS[0]);
        if let (Some(services), Some(takeover)) = (services, takeover) {
            let functions = Functions::new(stage, takeover, services, self.fusing(), &self.outside);
            for _ in 0..2 {
                self.executor.spawn(process, functions.clone().work(4));
            }
        } else if DRIVERS.contains(&process) {
            let (acknowledgement, fusing) = (self.acknowledgement(), self.fusing());
            let driver = Driver::new(stage, acknowledgement, fusing, &self.outside);
            for _ in 0..2 {
                self.executor.spawn(process, driver.clone().work(4));
            }
        } else if process == SESSIONS {
            let room = Mailroom::new(stage.store());
            for _ in 0..2 {
                self.executor.spawn(process, actors::member(stage.clone(), room.clone(), 4));
            }
        } else {
            self.executor.spawn(process, actors::housekeep(stage, 2));
        }
    }

    fn acknowledgement(&mut self) -> Acknowledgement {
        if self.random.random() { Acknowledgement::Here } else { Acknowledgement::ByTheCaller }
    }

    fn fusing(&mut self) -> Fusing {
        let all = [QueueStage::PolicyFilter, QueueStage::Deliver, QueueStage::Notify];
        match self.random.random_range(0..3) {
            0 => Fusing::fused(),
            1 => Fusing::unfused(),
            _ => Fusing::of(all.into_iter().filter(|_| self.random.random())),
        }
    }

    /// Time passes by milliseconds, now and then by minutes; in a round not so much that bytes grow old which a message
    /// needs that still waits.
    async fn let_time_pass(&mut self, step: usize, began: i64) {
        let millis = match self.random.random_range(0..100) {
            0 => self.random.random_range(0..20 * 60_000),
            1..4 => self.random.random_range(0..100_000),
            _ if step.is_multiple_of(4) => self.random.random_range(0..200),
            _ => return self.give_way().await,
        };
        if self.hours.millis() - began + millis < (MIN_AGE_MINUTES * 60_000.0 / 2.0) as i64 {
            self.hours.pass(Duration::from_millis(millis.unsigned_abs())).await;
        }
        self.give_way().await;
    }

    /// What the backend does by itself goes on.
    async fn give_way(&self) {
        self.hours.give_way().await;
    }

    /// Lets all tasks run to their ends.
    async fn finish(&mut self) {
        for _ in 0..MANY {
            match self.executor.step(&mut self.random) {
                Step::Ran => {}
                Step::Waiting => self.executor.wait().await,
                Step::Idle => return,
            }
        }
        self.ledger.lock().broken.push("something does not come to an end".to_owned());
    }

    async fn finish_alone(&mut self, task: impl Future<Output = ()> + Send + 'static) {
        self.executor.spawn(PROCESSES, task);
        self.finish().await;
    }

    /// Everything in the queues is handled.
    async fn run_out(&mut self) {
        const LONG: usize = 200;
        let stage = self.stage(PROCESSES);
        let (acknowledgement, fusing) = (self.acknowledgement(), self.fusing());
        let driver = Driver::new(stage.clone(), acknowledgement, fusing, &self.outside);
        for _ in 0..LONG {
            let left = Arc::new(Mutex::new(0_u64));
            let (looked, stage, driver) = (Arc::clone(&left), stage.clone(), driver.clone());
            let outside = self.outside.clone();
            let drain = async move {
                for step in QueueStage::ALL {
                    while driver.batch(step, 10).await > 0 {}
                }
                driver.work_off().await;
                *looked.lock() += outside.waiting(&stage).await;
                for step in QueueStage::ALL {
                    match stage.queue.depth(step).await {
                        Ok(depth) => *looked.lock() += depth.waiting + depth.in_flight,
                        Err(error) => stage.broken(format!("the depth of a queue is not told: {error}")),
                    }
                }
            };
            self.finish_alone(drain).await;
            if *left.lock() == 0 {
                return;
            }
            self.hours.pass(VISIBILITY).await;
        }
        self.ledger.lock().broken.push("the queues do not become empty".to_owned());
    }

    /// Sometimes all bases are new and all that is dead is gone before repetitions of what is in them come.
    async fn tidy_up(&mut self) {
        if self.random.random() {
            let stage = self.stage(PROCESSES);
            self.finish_alone(actors::collect_all(stage)).await;
        }
    }

    async fn judge(&mut self) {
        let stage = self.stage(PROCESSES);
        self.finish_alone(dead_letters(stage.clone(), Arc::clone(&self.poisoned))).await;
        self.run_out().await;
        let (outside, judging) = (self.outside.clone(), stage.clone());
        self.finish_alone(async move { outside.judge(&judging).await }).await;
        self.finish_alone(bury_all(stage.clone())).await;
        self.finish_alone(actors::collect_all(stage.clone())).await;
        self.finish_alone(verdict::judge_collection(stage.clone())).await;
        self.finish_alone(actors::audit_all(stage.clone())).await;
        self.finish_alone(verdict::judge(stage)).await;
    }
}

/// All poison is dead, and nothing else; one of the dead is tried again.
async fn dead_letters(stage: Stage, poisoned: Poison) {
    let Ok(letters) = stage.queue.dead_letters(None, 1_000).await else {
        return stage.broken("dead letters are not listed".to_owned());
    };
    for letter in letters.iter().filter(|letter| !letter.body.starts_with(POISON)) {
        stage.broken(format!("a dead letter that is no poison: {} ({})", letter.cause, letter.stage.queue()));
    }
    for (number, _) in poisoned.lock().iter().filter(|(_, taken)| **taken) {
        if !letters.iter().any(|letter| letter.body == poison_body(*number)) {
            stage.broken(format!("poison {number} is gone"));
        }
    }
    if let Some(first) = letters.first()
        && stage.queue.replay_dead_letter(first.id).await != Ok(true)
    {
        stage.broken("a dead letter can't be replayed".to_owned());
    }
}

/// What was replayed is dead again; all of it is ended.
async fn bury_all(stage: Stage) {
    let Ok(letters) = stage.queue.dead_letters(None, 1_000).await else {
        return stage.broken("dead letters are not listed".to_owned());
    };
    for letter in letters {
        if !letter.body.starts_with(POISON) {
            stage.broken("a dead letter is no poison".to_owned());
        }
        if stage.queue.discard_dead_letter(letter.id).await != Ok(true) {
            stage.broken("a dead letter can't be ended".to_owned());
        }
    }
}
