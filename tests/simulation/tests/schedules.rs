//! 20,000 random schedules, or as many as `SIMULATION_SCHEDULES` says, split so that they run on several cores.
//! `SIMULATION_SCHEDULES=n` asks for another number, `SIMULATION_SEED=n` for one schedule alone.

use pennypost_simulation::{Plan, run};

const PARTS: u64 = 4;

fn schedules(part: u64) {
    let number = |name: &str| std::env::var(name).ok().and_then(|text| text.parse::<u64>().ok());
    if let Some(seed) = number("SIMULATION_SEED") {
        if seed % PARTS == part {
            judge(seed);
        }
        return;
    }
    let all = number("SIMULATION_SCHEDULES").unwrap_or(20_000);
    let mut seed = part;
    while seed < all {
        judge(seed);
        seed += PARTS;
    }
}

fn judge(seed: u64) {
    let broken = run(seed, Plan::default());
    assert!(broken.is_empty(), "SIMULATION_SEED={seed} breaks invariants:\n{}", broken.join("\n"));
}

#[test]
fn schedules_first_part() {
    schedules(0);
}

#[test]
fn schedules_second_part() {
    schedules(1);
}

#[test]
fn schedules_third_part() {
    schedules(2);
}

#[test]
fn schedules_fourth_part() {
    schedules(3);
}
