//! What calls cost, as the service counts it. A change here is a change of every bill.
//!
//! As the suites of `contract.rs`, it needs services, and ones that tell consumed capacity as DynamoDB does.

#![allow(clippy::unwrap_used, reason = "in tests a panic is the report")]

use std::sync::Arc;

use bytes::Bytes;
use pennypost_backend_aws::{Aws, Settings};
use pennypost_meter::{Counts, Tally, Unit, metered};
use pennypost_model::journal::{Actor, Entry, Usage};
use pennypost_model::{AccountId, AccountKey, Seq, TenantId, Timestamp};
use pennypost_ports::{
    Appended, Consistency, ControlKey, Expected, Head, Ids, LogKind, LogQuery, LogRecord, RandomIds,
};

const ACCOUNT: AccountKey = AccountKey { tenant: TenantId(1), account: AccountId(2) };
const NOW: Timestamp = Timestamp(1_795_132_800_000);

fn entry(seq: u64) -> Entry {
    Entry {
        seq: Seq(seq),
        time: NOW,
        actor: Actor::System,
        next_uid: 1,
        used: Usage::default(),
        ops: Vec::new(),
    }
}

/// What `work` is billed, in thousandths of units.
async fn billed<T>(work: impl Future<Output = T>) -> (T, Vec<(Unit, u64)>) {
    let tally = Arc::new(Tally::new());
    let done = metered(Arc::clone(&tally), work).await;
    let counts: Counts = tally.counts();
    let used = Unit::ALL.into_iter().map(|unit| (unit, counts.milli(unit))).filter(|(_, milli)| *milli > 0);
    (done, used.collect())
}

#[tokio::test]
async fn calls_cost_what_they_should() {
    if std::env::var("PENNYPOST_TEST_AWS").is_ok_and(|value| value == "1") {
        let stack = format!("test-{:016x}", RandomIds.random());
        let aws = Aws::connect(Settings::of_stack(&stack)).await.unwrap();
        aws.create_missing().await.unwrap();
        journal(&aws).await;
        control(&aws).await;
        log(&aws).await;
        objects(&aws).await;
    } else {
        eprintln!("skipped: needs PENNYPOST_TEST_AWS=1 (tests/cloud/emulator run)");
    }
}

async fn journal(aws: &Aws) {
    use Unit::{JournalRead, JournalWrite};
    let journal = aws.journal();
    // The first entry of an account notes the account, too.
    let (appended, bill) = billed(journal.append(ACCOUNT, &entry(1))).await;
    assert_eq!((appended, bill), (Ok(Appended::Committed), vec![(JournalWrite, 2_000)]));
    for seq in 2..=6 {
        let (appended, bill) = billed(journal.append(ACCOUNT, &entry(seq))).await;
        assert_eq!((appended, bill), (Ok(Appended::Committed), vec![(JournalWrite, 1_000)]));
    }
    // A lost race is billed as a write, and tells the winner for no more.
    let (appended, bill) = billed(journal.append(ACCOUNT, &entry(6))).await;
    assert_eq!((appended, bill), (Ok(Appended::Lost(Box::new(entry(6)))), vec![(JournalWrite, 1_000)]));
    let head = Head { base_seq: Seq(6), base: "t/ix/a/1".to_owned() };
    let (moved, bill) = billed(journal.advance_head(ACCOUNT, &head)).await;
    assert_eq!((moved, bill), (Ok(true), vec![(JournalWrite, 1_000)]));
    // Newest entries and head in half a unit.
    let (newest, bill) = billed(journal.newest(ACCOUNT, 4, Consistency::Eventual)).await;
    assert_eq!(bill, [(JournalRead, 500)]);
    assert_eq!(newest.unwrap().entries.len(), 4);
    let (_, bill) = billed(journal.since(ACCOUNT, Seq(2), 100, Consistency::Strong)).await;
    assert_eq!(bill, [(JournalRead, 1_000)]);
    let (_, bill) = billed(journal.before(ACCOUNT, Seq(5), 100)).await;
    assert_eq!(bill, [(JournalRead, 500)]);
}

async fn control(aws: &Aws) {
    use Unit::{ControlRead, ControlWrite};
    let (control, key) = (aws.control(), ControlKey::new("p", "s"));
    for expected in [Expected::Absent, Expected::Version(1), Expected::Any, Expected::Absent] {
        let (_, bill) = billed(control.put_if(&key, b"value", expected)).await;
        assert_eq!(bill, [(ControlWrite, 1_000)], "{expected:?}");
    }
    for (consistency, milli) in [(Consistency::Eventual, 500), (Consistency::Strong, 1_000)] {
        let (_, bill) = billed(control.get(&key, consistency)).await;
        assert_eq!(bill, [(ControlRead, milli)]);
    }
    let (_, bill) = billed(control.query("p", "", None, 100)).await;
    assert_eq!(bill, [(ControlRead, 1_000)]);
    let (deleted, bill) = billed(control.delete_if(&key, 3)).await;
    assert_eq!((deleted, bill), (Ok(true), vec![(ControlWrite, 1_000)]));
}

async fn log(aws: &Aws) {
    use Unit::{LogRead, LogWrite};
    let log = aws.log();
    // Thirty records of about 200 bytes, as a batch leaves them, of which half are digits and names that repeat.
    let records: Vec<LogRecord> = (0..30)
        .map(|at| {
            let time = NOW.plus_millis(at * 20);
            let value = format!(
                "[192.0.2.{at}] mx{at}.example.org <sender{at}@example.org> <recipient{at}@example.com> subject number {at} \
                 <{:032x}@example.org> spf=pass dkim=pass dmarc=pass stored in inbox",
                RandomIds.random()
            );
            let id = RandomIds.event(time);
            LogRecord { tenant: TenantId(1), kind: LogKind::Trace, id, time, value: value.into_bytes() }
        })
        .collect();
    let (appended, bill) = billed(log.append(&records)).await;
    appended.unwrap();
    eprintln!("thirty traces: {bill:?}");
    // A tenth of a unit for each, instead of one.
    assert!(matches!(bill[..], [(LogWrite, milli)] if milli <= 3_000), "{bill:?}");
    let query = LogQuery {
        tenant: TenantId(1),
        kind: LogKind::Trace,
        from: records[7].id,
        to: records[7].id,
        limit: 10,
    };
    let (found, bill) = billed(log.query(&query)).await;
    assert_eq!(found, Ok(vec![records[7].clone()]));
    assert!(matches!(bill[..], [(LogRead, milli)] if milli <= 2_000), "{bill:?}");
}

async fn objects(aws: &Aws) {
    use Unit::{ObjectBytesRead, ObjectBytesWritten, ObjectDelete, ObjectList, ObjectRead, ObjectWrite};
    let (objects, name) = (aws.objects(), "0000000000000001/pk/20261121/a");
    let (_, bill) = billed(objects.put_unique(name, Bytes::from_static(&[1; 1_000]))).await;
    assert_eq!(bill, [(ObjectWrite, 1_000), (ObjectBytesWritten, 1_000_000)]);
    let (_, bill) = billed(objects.put_unique(name, Bytes::from_static(&[1; 1_000]))).await;
    assert_eq!(bill, [(ObjectWrite, 1_000)]);
    let (_, bill) = billed(objects.get(name)).await;
    assert_eq!(bill, [(ObjectRead, 1_000), (ObjectBytesRead, 1_000_000)]);
    let (_, bill) = billed(objects.get_range(name, 10, 20)).await;
    assert_eq!(bill, [(ObjectRead, 1_000), (ObjectBytesRead, 20_000)]);
    let (_, bill) = billed(objects.list("0000000000000001/", None, 10)).await;
    assert_eq!(bill, [(ObjectList, 1_000)]);
    let (_, bill) = billed(objects.delete(name)).await;
    assert_eq!(bill, [(ObjectDelete, 1_000)]);
}
