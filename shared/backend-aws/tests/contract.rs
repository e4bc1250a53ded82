//! The contract suites on services: each port on tables and a bucket of its own.
//!
//! They need services that answer, so they run only with `PENNYPOST_TEST_AWS=1`: `tests/cloud/emulator run` starts
//! emulators and sets it.

#![allow(clippy::unwrap_used, reason = "in tests a panic is the report")]

use pennypost_backend_aws::{Aws, Settings, schema};
use pennypost_model::journal::{Actor, Entry, MailboxOp, Op, Usage};
use pennypost_model::{AccountId, AccountKey, MailboxId, Seq, TenantId, Timestamp};
use pennypost_ports::{Appended, Consistency, Ids, PortError, RandomIds};

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

/// An entry of about 150 KB that cannot be compressed.
fn large(seq: u64) -> Entry {
    let names = (0..5_000).map(|id| MailboxOp::Rename {
        id: MailboxId(id),
        name: format!("{:016x}{:016x}", RandomIds.random(), RandomIds.random()),
    });
    Entry {
        seq: Seq(seq),
        time: Timestamp(1_795_132_800_000),
        actor: Actor::System,
        next_uid: 1,
        used: Usage::default(),
        ops: names.map(Op::Mailbox).collect(),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn large_entries_lie_beside_the_table() {
    if !services("large_entries_lie_beside_the_table") {
        return;
    }
    let aws = fresh().await;
    let (journal, objects) = (aws.journal(), aws.objects());
    let account = AccountKey { tenant: TenantId(3), account: AccountId(4) };
    let beside = format!("{}/{}/{}/", account.tenant, schema::JOURNAL_OBJECTS, account.account);
    let entries = [large(1), large(2), large(3)];
    for entry in &entries {
        assert_eq!(journal.append(account, entry).await, Ok(Appended::Committed));
    }
    assert_eq!(objects.list(&beside, None, 10).await.unwrap().len(), 3);
    assert_eq!(journal.since(account, Seq(0), 10, Consistency::Strong).await.unwrap(), entries);
    assert_eq!(journal.before(account, Seq(2), 1).await.unwrap(), entries[1..2]);
    assert_eq!(journal.newest(account, 2, Consistency::Eventual).await.unwrap().entries, entries[1..]);
    // Who loses the number takes the object along.
    let lost = journal.append(account, &large(2)).await;
    assert_eq!(lost, Ok(Appended::Lost(Box::new(entries[1].clone()))));
    let left = objects.list(&beside, None, 10).await.unwrap();
    assert_eq!(left.len(), 3);
    // Without its object an entry is damaged, not missing.
    objects.delete(&left[2].name).await.unwrap();
    let damaged = journal.newest(account, 1, Consistency::Strong).await;
    assert!(matches!(damaged, Err(PortError::Damaged { .. })), "{damaged:?}");
}
