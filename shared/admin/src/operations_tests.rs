//! Feature LOG-06: log of operations over the API and by commands: chained, by days, as CSV

use std::sync::Arc;

use async_trait::async_trait;
use parking_lot::Mutex;
use pennypost_backend_embedded::{Embedded, Options};
use pennypost_directory::Directory;
use pennypost_ports::{Clock, Control, RandomIds};

use super::*;

const DAY: i64 = 86_400_000;
const BOOK: Book = Some(TenantId(5));

/// A time that the test sets.
struct Hands(Mutex<i64>);

#[async_trait]
impl Clock for Hands {
    fn now(&self) -> Timestamp {
        Timestamp(*self.0.lock())
    }

    async fn sleep(&self, _duration: std::time::Duration) {}
}

struct Bench {
    _dir: tempfile::TempDir,
    control: Arc<dyn Control>,
    clock: Arc<Hands>,
}

impl Bench {
    fn open() -> Bench {
        let dir = tempfile::tempdir().expect("a temporary folder");
        let backend = Embedded::open(dir.path(), &Options::server()).expect("opens");
        Bench { _dir: dir, control: backend.control(), clock: Arc::new(Hands(Mutex::new(10 * DAY))) }
    }

    /// A process that remembers nothing.
    fn process(&self) -> Administration {
        let (control, clock) = (Arc::clone(&self.control), Arc::clone(&self.clock) as Arc<dyn Clock>);
        let ids = Arc::new(RandomIds);
        let directory = Directory::new(Arc::clone(&control), Arc::clone(&clock), Arc::clone(&ids) as _);
        Administration::new(directory, control, clock, ids)
    }
}

fn entry(object: &str) -> Entry {
    Entry {
        by: By::Operator,
        origin: Origin::Command,
        action: "account.add".to_owned(),
        object: object.to_owned(),
        before: None,
        after: Some("{}".to_owned()),
        outcome: Outcome::Ordered,
    }
}

async fn append(administration: &Administration, count: usize) {
    for n in 0..count {
        administration.append(BOOK, entry(&n.to_string())).await.expect("appended");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn writers_at_once_make_one_chain() {
    let it = Bench::open();
    let processes: Vec<Administration> = (0..4).map(|_| it.process()).collect();
    let writing =
        processes.iter().cloned().map(|process| tokio::spawn(async move { append(&process, 25).await }));
    for writer in writing.collect::<Vec<_>>() {
        writer.await.expect("writes");
    }
    let checked = it.process().check_operations(BOOK).await.expect("reads");
    assert_eq!(checked, Checked { records: 100, wrong: Vec::new() });
    // A process that starts finds the end from the hint, and another book is another chain.
    let late = it.process();
    assert_eq!(late.append(BOOK, entry("late")).await, Ok(101));
    assert_eq!(late.append(None, entry("first")).await, Ok(1));
    assert_eq!(it.process().check_operations(None).await.expect("reads").records, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_changed_or_removed_is_found() {
    let it = Bench::open();
    append(&it.process(), 40).await;
    let key = record_key(BOOK, 7);
    let item = it.control.get(&key, Consistency::Strong).await.expect("reads").expect("is there");
    let mut record: Record = decode(&item.value).expect("a record");
    record.entry.object = "somebody else".to_owned();
    it.control.put_if(&key, &encode(&record), Expected::Any).await.expect("forged");
    let wrong = it.process().check_operations(BOOK).await.expect("reads").wrong;
    assert_eq!(wrong, ["operation 7 is not what it was when 8 was written"]);

    it.control.put_if(&key, &item.value, Expected::Any).await.expect("as before");
    assert_eq!(it.process().check_operations(BOOK).await.expect("reads").wrong, Vec::<String>::new());
    it.control.put_if(&key, b"\x01rubbish", Expected::Any).await.expect("damaged");
    let wrong = it.process().check_operations(BOOK).await.expect("reads").wrong;
    assert_eq!(wrong.len(), 2, "{wrong:?}");
    assert!(wrong[0].contains("7 can't be read"), "{wrong:?}");

    let version = it.control.get(&key, Consistency::Strong).await.expect("reads").expect("there").version;
    assert!(it.control.delete_if(&key, version).await.expect("removed"));
    let wrong = it.process().check_operations(BOOK).await.expect("reads").wrong;
    assert_eq!(wrong, ["operation 8 follows 6"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_end_that_was_cut_off_is_found_and_not_built_upon() {
    let it = Bench::open();
    append(&it.process(), 32).await;
    for seq in 30..=32 {
        let key = record_key(BOOK, seq);
        let version = it.control.get(&key, Consistency::Strong).await.expect("reads").expect("there").version;
        assert!(it.control.delete_if(&key, version).await.expect("removed"));
    }
    let process = it.process();
    let wrong = process.check_operations(BOOK).await.expect("reads").wrong;
    assert_eq!(wrong, ["operations end at 29, but there was number 32"]);
    let error = process.append(BOOK, entry("x")).await.expect_err("refused").to_string();
    assert!(error.contains("operation 32"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn days_are_found_by_halving_though_clocks_step_back() {
    let it = Bench::open();
    let process = it.process();
    append(&process, 30).await;
    *it.clock.0.lock() = 11 * DAY + 5;
    append(&process, 30).await;
    *it.clock.0.lock() = 3 * DAY;
    append(&process, 10).await;
    *it.clock.0.lock() = 14 * DAY;
    append(&process, 10).await;
    let seqs = async |from: Option<i64>, until: Option<i64>, after, limit| {
        let (from, until) = (from.map(Timestamp), until.map(Timestamp));
        let (records, next) = process.records(BOOK, from, until, after, limit).await.expect("reads");
        (records.iter().map(|record| record.seq).collect::<Vec<_>>(), next)
    };
    assert_eq!(seqs(None, Some(11 * DAY), 0, 500).await, ((1..=30).collect(), None));
    assert_eq!(seqs(Some(11 * DAY), Some(12 * DAY), 0, 500).await, ((31..=70).collect(), None));
    assert_eq!(seqs(Some(12 * DAY), Some(14 * DAY), 0, 500).await, (Vec::new(), None));
    assert_eq!(seqs(Some(12 * DAY), None, 0, 500).await, ((71..=80).collect(), None));
    assert_eq!(seqs(Some(0), None, 0, 2).await, (vec![1, 2], Some(2)));
    assert_eq!(seqs(Some(0), None, 78, 2).await, (vec![79, 80], Some(80)));
    assert_eq!(seqs(Some(0), None, 80, 2).await, (Vec::new(), None));
    assert_eq!(process.check_operations(BOOK).await.expect("reads").wrong, Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn an_operation_costs_one_write_and_a_sixteenth() {
    let it = Bench::open();
    let process = it.process();
    append(&process, 64).await;
    let hint = it.control.get(&hint_key(BOOK), Consistency::Strong).await.expect("reads").expect("a hint");
    assert_eq!(hint.version, 4, "one note for sixteen records");
}

#[test]
fn tables_hold_no_formulas() {
    for (cell, written) in [
        ("plain", "plain"),
        ("=1+1", "'=1+1"),
        ("@x", "'@x"),
        ("a,\"b\"", "\"a,\"\"b\"\"\""),
        ("＝1+1", "'＝1+1"),
        ("x;=1+1", "\"x;=1+1\""),
        ("two\nlines", "\"two\nlines\""),
    ] {
        assert_eq!(quoted(cell), written);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_somebody_has_written_is_cut() {
    let it = Bench::open();
    let long = "长".repeat(200_000);
    let outcome = Outcome::Failed { of: 1, cause: long.clone() };
    let entry = Entry { before: Some(long.clone()), outcome, ..entry(&long) };
    it.process().append(BOOK, entry).await.expect("appended");
    let records = it.process().records(BOOK, None, None, 0, 1).await.expect("reads").0;
    assert!(encode(&records[0]).len() < 20_000);
    assert_eq!(records[0].entry.object.chars().count(), MAX_TEXT);
}
