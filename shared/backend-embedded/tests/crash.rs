//! A process that dies at each of the backend's crash points, or at any moment: what it was told is durable
//! is there, and nothing is half there.
//!
//! The process is this test program itself, started for its one ignored test.

#![allow(clippy::unwrap_used, reason = "in tests a panic is the report")]

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use bytes::Bytes;
use pennypost_backend_embedded::{Embedded, Options};
use pennypost_model::event::Stage;
use pennypost_model::journal::{Actor, Entry, Usage};
use pennypost_model::{AccountId, AccountKey, EventId, Seq, TenantId, Timestamp};
use pennypost_ports::{
    Appended, Consistency, ControlKey, Expected, Head, LogKind, LogQuery, LogRecord, Outgoing, Put, Replaced,
    crash,
};
use tempfile::tempdir;

const DIRECTORY: &str = "PENNYPOST_TEST_CRASH_DIRECTORY";
const POINT: &str = "PENNYPOST_TEST_CRASH_POINT";
const TENANT: TenantId = TenantId(3);
const ACCOUNT: AccountKey = AccountKey { tenant: TENANT, account: AccountId(7) };
const STAGE: Stage = Stage::InboundParse;
const LONG: Duration = Duration::from_secs(600);

fn entry(seq: u64) -> Entry {
    Entry {
        seq: Seq(seq),
        time: Timestamp(1),
        actor: Actor::System,
        next_uid: 1,
        used: Usage::default(),
        ops: Vec::new(),
    }
}

fn control_key() -> ControlKey {
    ControlKey::new("p", "counter")
}

fn id(number: u64) -> EventId {
    EventId::from_parts(Timestamp(number.cast_signed()), 1)
}

fn say(what: &str, number: u64) {
    let mut out = std::io::stdout().lock();
    writeln!(out, "done {what} {number}").unwrap();
    out.flush().unwrap();
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "the process that the tests of this file start and kill"]
async fn victim() {
    let Some(directory) = std::env::var_os(DIRECTORY) else { return };
    if let Ok(point) = std::env::var(POINT) {
        crash::arm(&point).unwrap();
    }
    let store = Embedded::open(Path::new(&directory), &Options::server()).unwrap();
    let queue = store.queue();
    store.objects().put_unique("t/state/counter", Bytes::from_static(b"0")).await.unwrap();
    for number in 1.. {
        let message =
            Outgoing { tenant: TENANT, body: format!("{number}").into_bytes(), delay: Duration::ZERO };
        queue.send_batch(STAGE, vec![message]).await.remove(0).unwrap();
        say("send", number);
        assert_eq!(store.journal().append(ACCOUNT, &entry(number)).await.unwrap(), Appended::Committed);
        say("append", number);
        let head = Head { base_seq: Seq(number), base: format!("base {number}") };
        assert!(store.journal().advance_head(ACCOUNT, &head).await.unwrap());
        say("head", number);
        let name = format!("t/pack/{}/{number}", number % 3);
        store.objects().put_unique(&name, Bytes::from(vec![number as u8; 10_000])).await.unwrap();
        say("put", number);
        let (_, etag) = store.objects().get("t/state/counter").await.unwrap();
        let next = Bytes::from(number.to_string());
        let replaced = store.objects().put_if_match("t/state/counter", next, &etag).await.unwrap();
        assert_eq!(replaced, Replaced::Stored);
        say("replace", number);
        let value = number.to_string().into_bytes();
        let put = store.control().put_if(&control_key(), &value, Expected::Any).await.unwrap();
        assert_eq!(put, Put::Stored(number));
        say("control", number);
        let record =
            LogRecord { tenant: TENANT, kind: LogKind::Trace, id: id(number), time: Timestamp(1), value };
        store.log().append(&[record]).await.unwrap();
        say("log", number);
        let received = queue.receive(STAGE, 1, LONG, LONG).await.unwrap().remove(0);
        let body: u64 = std::str::from_utf8(&received.body).unwrap().parse().unwrap();
        match body % 3 {
            0 => queue.ack(STAGE, &[received.receipt]).await.unwrap(),
            1 => {
                queue.dead_letter(STAGE, &received.receipt, "every third").await.unwrap();
                say("bury", body);
            }
            // Stays out.
            _ => say("receive", body),
        }
        if body.is_multiple_of(3) {
            // An acknowledgement is not waited for; give it the time for a commit of its own.
            tokio::time::sleep(Duration::from_millis(40)).await;
        }
    }
}

/// Runs the victim until it dies; gives the last number that was done of each kind.
fn run(directory: &Path, point: Option<&str>, kill_after: Option<Duration>) -> BTreeMap<String, u64> {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", "victim", "--ignored", "--nocapture", "--test-threads=1"]);
    command.env(DIRECTORY, directory).stdout(Stdio::piped()).stderr(Stdio::null());
    match point {
        Some(point) => command.env(POINT, point),
        None => command.env_remove(POINT),
    };
    let mut child = command.spawn().unwrap();
    let out = BufReader::new(child.stdout.take().unwrap());
    let reader = std::thread::spawn(move || {
        let mut done = BTreeMap::new();
        for line in out.lines().map_while(Result::ok) {
            if let Some((_, said)) = line.split_once("done ") {
                let (what, number) = said.split_once(' ').unwrap();
                done.insert(what.to_owned(), number.parse().unwrap());
            }
        }
        done
    });
    if let Some(time) = kill_after {
        std::thread::sleep(time);
        child.kill().unwrap();
    }
    let status = child.wait().unwrap();
    assert_eq!(status.code(), None, "the victim ended by itself: {status}");
    reader.join().unwrap()
}

async fn check(directory: &Path, done: &BTreeMap<String, u64>, context: &str) {
    let last = |what: &str| done.get(what).copied().unwrap_or(0);
    let store = Embedded::open(directory, &Options::server()).unwrap();

    let entries = store.journal().since(ACCOUNT, Seq::ZERO, 1 << 20, Consistency::Strong).await.unwrap();
    let count = entries.len() as u64;
    assert!(count == last("append") || count == last("append") + 1, "{context}: {count} entries");
    assert_eq!(entries, (1..=count).map(entry).collect::<Vec<_>>(), "{context}");
    let head = store.journal().newest(ACCOUNT, 1, Consistency::Strong).await.unwrap().head;
    let head = head.map_or(0, |head| head.base_seq.0);
    assert!(head == last("head") || head == last("head") + 1, "{context}: head {head}");

    let objects = store.objects();
    for number in 1..=last("put") + 1 {
        let name = format!("t/pack/{}/{number}", number % 3);
        match objects.get(&name).await {
            Ok((bytes, _)) => assert_eq!(bytes, vec![number as u8; 10_000], "{context}: {name}"),
            Err(_) => assert!(number > last("put"), "{context}: {name} is lost"),
        }
    }
    if last("send") > 0 {
        let (counter, _) = objects.get("t/state/counter").await.unwrap();
        let counter: u64 = std::str::from_utf8(&counter).unwrap().parse().unwrap();
        assert!(counter == last("replace") || counter == last("replace") + 1, "{context}: {counter}");
    }
    let temporary = std::fs::read_dir(directory.join("objects/~tmp")).unwrap().count();
    assert_eq!(temporary, 2, "{context}: our own place and its lock");

    let item = store.control().get(&control_key(), Consistency::Strong).await.unwrap();
    let version = item.map_or(0, |item| item.version);
    assert!(version == last("control") || version == last("control") + 1, "{context}: version {version}");
    let query =
        LogQuery { tenant: TENANT, kind: LogKind::Trace, from: id(0), to: id(1 << 40), limit: 1 << 20 };
    let records = store.log().query(&query).await.unwrap().len() as u64;
    assert!(records == last("log") || records == last("log") + 1, "{context}: {records} records");

    // Of every message that was sent: it is in the queue, in the dead letters, or was acknowledged.
    let queue = store.queue();
    let number = |body: &[u8]| -> u64 { std::str::from_utf8(body).unwrap().parse().unwrap() };
    let mut places: BTreeMap<u64, u32> = BTreeMap::new();
    for letter in queue.dead_letters(None, 1 << 20).await.unwrap() {
        assert_eq!(number(&letter.body) % 3, 1);
        *places.entry(number(&letter.body)).or_default() += 1;
    }
    for buried in (1..=last("bury")).step_by(3) {
        assert!(places.contains_key(&buried), "{context}: dead letter {buried} is lost");
    }
    loop {
        let batch = queue.receive(STAGE, 100, LONG, Duration::from_millis(200)).await.unwrap();
        if batch.is_empty() {
            break;
        }
        for received in batch {
            let number = number(&received.body);
            *places.entry(number).or_default() += 1;
            let handed_out = number % 3 == 2 && number <= last("receive");
            assert!(!handed_out || received.tries >= 2, "{context}: {number} has {} tries", received.tries);
        }
    }
    for sent in 1..=last("send") {
        let times = places.get(&sent).copied().unwrap_or(0);
        assert!(times <= 1, "{context}: message {sent} is in {times} places");
        assert!(times == 1 || sent.is_multiple_of(3), "{context}: message {sent} is lost");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_lost_at_any_crash_point() {
    let ours = ["queue-", "object.", "journal-", "log-", "control-", "head-"];
    let points: Vec<&&str> =
        crash::POINTS.iter().filter(|point| ours.iter().any(|prefix| point.starts_with(prefix))).collect();
    assert!(points.len() >= 17, "points were renamed: {points:?}");
    for point in points {
        for passing in [1, 2, 7] {
            let directory = tempdir().unwrap();
            let point = format!("{point}:{passing}");
            let done = run(directory.path(), Some(&point), None);
            check(directory.path(), &done, &point).await;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_lost_when_the_process_is_killed() {
    for round in 0..20_u64 {
        let directory = tempdir().unwrap();
        // Spread over the first half second: before, while and after the directory is made.
        let time = Duration::from_millis(20 + round * 29 % 500);
        let done = run(directory.path(), None, Some(time));
        if directory.path().join("objects").exists() {
            check(directory.path(), &done, &format!("round {round}, {time:?}")).await;
        }
    }
}
