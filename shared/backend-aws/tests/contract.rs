//! The contract suites on services: each port on tables and a bucket of its own.
//!
//! They need services that answer, so they run only with `PENNYPOST_TEST_AWS=1`: `tests/cloud/emulator run` starts
//! emulators and sets it.

#![allow(clippy::unwrap_used, reason = "in tests a panic is the report")]

use pennypost_backend_aws::{Aws, Settings};
use pennypost_ports::{Ids, RandomIds};

/// Are there services to test against?
fn services(suite: &str) -> bool {
    let there = std::env::var("PENNYPOST_TEST_AWS").is_ok_and(|value| value == "1");
    if !there {
        eprintln!("skipped: {suite} needs PENNYPOST_TEST_AWS=1 (tests/cloud/emulator run)");
    }
    there
}

async fn fresh() -> Aws {
    let stack = format!("test-{:016x}", RandomIds.random());
    let aws = Aws::connect(Settings::of_stack(&stack)).await.unwrap();
    aws.create_missing().await.unwrap();
    // What is there already is no error.
    aws.create_missing().await.unwrap();
    aws
}

#[tokio::test(flavor = "multi_thread")]
async fn journal() {
    if services("journal") {
        pennypost_contract::journal::all(async || fresh().await.journal()).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn control() {
    if services("control") {
        pennypost_contract::control::all(async || fresh().await.control()).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn log() {
    if services("log") {
        pennypost_contract::log::all(async || fresh().await.log()).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn objects() {
    if services("objects") {
        pennypost_contract::objects::all(async || fresh().await.objects()).await;
    }
}
