//! Seeded runs on both backends. `FAULT_RUNS=n` asks for another number for each, `FAULT_SEED=n` for one seed alone;
//! `tests/run` makes some more than an ordinary test run, `tests/cloud/faults` 5,000 of each.

use pennypost_faults::{Backend, Plan, run};

const PARTS: u64 = 2;

/// Runs of each backend that fit into an ordinary test run.
const fn fitting(backend: Backend) -> u64 {
    match backend {
        Backend::Embedded => 60,
        Backend::Aws => 30,
    }
}

fn runs(backend: Backend, part: u64) {
    seeds(backend, part, Plan::of(backend), fitting(backend));
}

fn seeds(backend: Backend, part: u64, plan: Plan, fitting: u64) {
    let number = |name: &str| std::env::var(name).ok().and_then(|text| text.parse::<u64>().ok());
    let seeds: Vec<u64> = match number("FAULT_SEED") {
        Some(seed) => (seed % PARTS == part).then_some(seed).into_iter().collect(),
        None => (part..number("FAULT_RUNS").unwrap_or(fitting)).step_by(PARTS as usize).collect(),
    };
    let (mut accepted, mut calls, mut faults, mut deaths, mut shared) = (0, 0, 0, 0, 0);
    let mut failed = Vec::new();
    for seed in &seeds {
        let report = run(backend, *seed, plan);
        if !report.broken.is_empty() {
            println!("FAULT_SEED={seed} on {backend:?} breaks invariants:\n{}", report.broken.join("\n"));
            failed.push(*seed);
        }
        accepted += report.accepted;
        calls += report.calls;
        faults += report.faults;
        deaths += report.deaths;
        shared += report.shared;
    }
    let count = seeds.len();
    println!(
        "{backend:?}: {count} runs, {accepted} letters, {calls} calls, {faults} faults, {deaths} deaths, {shared} shared messages"
    );
    assert!(shared > 0 || plan.at_once == 0 || count == 0, "no events have shared a message");
    assert!(failed.is_empty(), "seeds on {backend:?} that break invariants (FAULT_SEED): {failed:?}");
}

#[test]
fn embedded_first_part() {
    runs(Backend::Embedded, 0);
}

#[test]
fn embedded_second_part() {
    runs(Backend::Embedded, 1);
}

#[test]
fn aws_first_part() {
    runs(Backend::Aws, 0);
}

#[test]
fn aws_second_part() {
    runs(Backend::Aws, 1);
}

#[test]
fn functions_first_part() {
    seeds(Backend::Aws, 0, Plan::of_functions(), 20);
}

#[test]
fn functions_second_part() {
    seeds(Backend::Aws, 1, Plan::of_functions(), 20);
}

#[test]
fn a_seed_is_one_run() {
    let prints = |backend, count| -> Vec<u64> {
        (0..count).map(|_| run(backend, 77, Plan::of(backend)).print).collect()
    };
    let aws = prints(Backend::Aws, 3);
    assert!(aws.iter().all(|print| *print == aws[0]), "{aws:?}");
    // The embedded queue counts hand-outs ahead, on a thread beside whoever receives: what a receiver gets may hang on how
    // fast that is. So a seed is one run mostly, and not always.
    let mut embedded = prints(Backend::Embedded, 6);
    embedded.sort_unstable();
    assert!(embedded.windows(2).any(|pair| pair[0] == pair[1]), "{embedded:?}");
}
