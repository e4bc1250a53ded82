//! One schedule: processes start, run, die and start again; then everything runs out and is judged.

use std::sync::Arc;

use parking_lot::Mutex;
use pennypost_mailstore::Mailroom;
use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};

use crate::actors;
use crate::deliveries::{self, Simulated};
use crate::executor::{Executor, Step};
use crate::ports::{Ports, World};
use crate::stage::{Ledger, MIN_AGE_MINUTES, Stage, dice};
use crate::verdict;

/// How much happens in a schedule.
#[derive(Debug, Clone, Copy)]
pub struct Plan {
    /// Letters accepted.
    pub letters: usize,
    /// Steps before everything is let run out.
    pub steps: usize,
}

impl Default for Plan {
    fn default() -> Plan {
        Plan { letters: 12, steps: 900 }
    }
}

const PROCESSES: usize = 5;
const HOUSEKEEPING: usize = 4;

/// Runs the schedule of `seed`; the violations found.
#[must_use]
pub fn run(seed: u64, plan: Plan) -> Vec<String> {
    let mut random = SmallRng::seed_from_u64(seed ^ 0x9e37_79b9_7f4a_7c15);
    let world = World::new(seed);
    let ledger: Arc<Mutex<Ledger>> = Arc::default();
    let chance = dice(seed.rotate_left(17));
    let simulated = |process: usize, random: &mut SmallRng| {
        // The world's own clock is right; processes are up to a minute off.
        let skew = if process == PROCESSES { 0 } else { random.random_range(-55_000..=55_000) };
        let ports = Arc::new(Ports::new(Arc::clone(&world), skew));
        let stage = Stage {
            journal: Arc::clone(&ports) as _,
            objects: Arc::clone(&ports) as _,
            control: Arc::clone(&ports) as _,
            log: Arc::clone(&ports) as _,
            queue: Arc::clone(&ports) as _,
            clock: Arc::clone(&ports) as _,
            ids: ports,
            dice: Arc::clone(&chance),
            ledger: Arc::clone(&ledger),
        };
        Simulated { stage, world: Arc::clone(&world) }
    };
    let mut executor = Executor::default();
    let mut letters = plan.letters;
    for _ in 0..plan.steps {
        if letters > 0 && random.random_range(0..plan.steps) < 2 * plan.letters {
            letters -= 1;
            deliveries::accept(&simulated(PROCESSES, &mut random));
        }
        if random.random_range(0..120) == 0 {
            let dying = random.random_range(0..PROCESSES);
            ledger.lock().housekeeping_died |= dying == HOUSEKEEPING;
            executor.kill(dying);
        }
        let process = random.random_range(0..PROCESSES);
        if executor.is_idle(process) {
            let here = simulated(process, &mut random);
            let stage = here.stage.clone();
            match process {
                0 | 1 => {
                    let handler = actors::deliverer(&stage);
                    for _ in 0..2 {
                        executor.spawn(process, deliveries::deliver(here.clone(), Arc::clone(&handler), 3));
                    }
                }
                2 | 3 => {
                    let room = Mailroom::new(stage.store());
                    for _ in 0..2 {
                        executor.spawn(process, actors::member(stage.clone(), room.clone(), 5));
                    }
                }
                _ => executor.spawn(process, actors::housekeep(stage, 3)),
            }
        }
        executor.step(&mut random);
        pass_time(&world, &ledger, &mut random);
    }
    for _ in 0..letters {
        deliveries::accept(&simulated(PROCESSES, &mut random));
    }
    (0..PROCESSES).for_each(|process| executor.kill(process));
    world.with(|durable| durable.harsh = false);
    let last = simulated(PROCESSES, &mut random);
    let mut ends = finish(&mut executor, deliveries::deliver_all(last.clone()), &mut random);
    let last = last.stage;
    world.with(|durable| durable.now += 60_000 * 2 * MIN_AGE_MINUTES as i64);
    ends &= finish(&mut executor, actors::collect_all(last.clone()), &mut random);
    ends &= finish(&mut executor, verdict::judge_collection(last.clone()), &mut random);
    ends &= finish(&mut executor, actors::audit_all(last.clone()), &mut random);
    ends &= finish(&mut executor, verdict::judge(last), &mut random);
    let mut broken = std::mem::take(&mut ledger.lock().broken);
    if !ends {
        broken.push("something does not come to an end".to_owned());
    }
    broken
}

/// Runs a task to its end. `false` if it has none.
fn finish(
    executor: &mut Executor,
    task: impl Future<Output = ()> + Send + 'static,
    random: &mut SmallRng,
) -> bool {
    const MANY: usize = 1_000_000;
    executor.spawn(PROCESSES, task);
    let ends = (0..MANY).any(|_| executor.step(random) == Step::Idle);
    executor.kill(PROCESSES);
    ends
}

/// Time passes by milliseconds, now and then by minutes or hours; but no event waits in a queue for as long as
/// bytes are kept, which is what queues promise.
fn pass_time(world: &World, ledger: &Mutex<Ledger>, random: &mut SmallRng) {
    let jump = match random.random_range(0..100) {
        0 => random.random_range(0..6 * 3_600_000),
        1..4 => random.random_range(0..40 * 60_000),
        _ => random.random_range(0..50),
    };
    let oldest = ledger.lock().queued.keys().map(|id| id.time().0).min();
    world.with(|durable| {
        let limit = oldest.map_or(i64::MAX, |oldest| oldest + (MIN_AGE_MINUTES as i64) * 60_000 / 2);
        if durable.now + jump < limit {
            durable.now += jump;
        }
    });
}
