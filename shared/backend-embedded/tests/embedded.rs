//! What the embedded backend promises beyond the ports' contracts: several handles on one directory, what
//! stays after closing, and damage.

#![allow(clippy::unwrap_used, reason = "in tests a panic is the report")]

use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use pennypost_backend_embedded::{Embedded, Error, Options};
use pennypost_model::event::Stage;
use pennypost_model::journal::{Actor, Entry, MailboxOp, Op, Usage};
use pennypost_model::{AccountId, AccountKey, EventId, MailboxId, Seq, TenantId, Timestamp};
use pennypost_ports::{
    Appended, Consistency, ControlKey, Created, Expected, Head, LogKind, LogQuery, LogRecord, NewObject,
    Outgoing, PortError, Put, Queue, Received,
};
use tempfile::tempdir;

const TENANT: TenantId = TenantId(0xfeed_0000_0000_0001);
const ACCOUNT: AccountKey = AccountKey { tenant: TENANT, account: AccountId(7) };
const STAGE: Stage = Stage::InboundParse;
const LONG: Duration = Duration::from_secs(600);

fn serve(directory: &Path) -> Embedded {
    Embedded::open(directory, &Options::server()).unwrap()
}

fn tool(directory: &Path) -> Embedded {
    Embedded::open(directory, &Options { create: true, ..Options::tool() }).unwrap()
}

fn failure(directory: &Path) -> Error {
    Embedded::open(directory, &Options::server()).err().expect("it opened")
}

fn entry(seq: u64, who: u64) -> Entry {
    Entry {
        seq: Seq(seq),
        time: Timestamp(1),
        actor: Actor::System,
        next_uid: 1,
        used: Usage { bytes: who, messages: 0 },
        ops: Vec::new(),
    }
}

/// An entry that does not fit into its row.
fn large_entry(seq: u64) -> Entry {
    let name = format!("{seq:01900}");
    let rename = |id| Op::Mailbox(MailboxOp::Rename { id: MailboxId(id), name: name.clone() });
    Entry { ops: (1..40).map(rename).collect(), ..entry(seq, 1) }
}

async fn send(queue: &Arc<dyn Queue>, body: &str) {
    let message = Outgoing { tenant: TENANT, body: body.as_bytes().to_vec(), delay: Duration::ZERO };
    for result in queue.send_batch(STAGE, vec![message]).await {
        result.unwrap();
    }
}

async fn next(queue: &Arc<dyn Queue>) -> Received {
    queue.receive(STAGE, 1, LONG, LONG).await.unwrap().remove(0)
}

fn log_record(value: &str) -> LogRecord {
    LogRecord {
        tenant: TENANT,
        kind: LogKind::Audit,
        id: EventId::from_parts(Timestamp(5000), 1),
        time: Timestamp(5000),
        value: value.as_bytes().to_vec(),
    }
}

async fn fill(store: &Embedded) {
    for seq in 1..=50 {
        assert_eq!(store.journal().append(ACCOUNT, &entry(seq, 0)).await.unwrap(), Appended::Committed);
    }
    let head = Head { base_seq: Seq(20), base: "t/base/20".to_owned() };
    assert!(store.journal().advance_head(ACCOUNT, &head).await.unwrap());
    let put = store.control().put_if(&ControlKey::new("p", "s"), b"item", Expected::Absent).await;
    assert_eq!(put.unwrap(), Put::Stored(1));
    store.log().append(&[log_record("record")]).await.unwrap();
    let created = store.objects().put_unique("t/pack/1", Bytes::from_static(b"object")).await;
    assert_eq!(created.unwrap(), Created::Stored);
    for number in 0..5 {
        send(&store.queue(), &format!("letter {number}")).await;
    }
    let received = next(&store.queue()).await;
    store.queue().dead_letter(STAGE, &received.receipt, "poison").await.unwrap();
    let received = next(&store.queue()).await;
    store.queue().ack(STAGE, &[received.receipt]).await.unwrap();
}

async fn check_filled(store: &Embedded, tries: u32) {
    let newest = store.journal().newest(ACCOUNT, 100, Consistency::Strong).await.unwrap();
    assert_eq!(newest.entries, (1..=50).map(|seq| entry(seq, 0)).collect::<Vec<_>>());
    assert_eq!(newest.head.unwrap().base_seq, Seq(20));
    let item = store.control().get(&ControlKey::new("p", "s"), Consistency::Strong).await.unwrap();
    assert_eq!(item.unwrap().value, b"item");
    let id = log_record("").id;
    let query = LogQuery { tenant: TENANT, kind: LogKind::Audit, from: id, to: id, limit: 10 };
    assert_eq!(store.log().query(&query).await.unwrap(), [log_record("record")]);
    assert_eq!(store.objects().get("t/pack/1").await.unwrap().0, "object");
    assert_eq!(store.queue().dead_letters(None, 10).await.unwrap().len(), 1);
    assert_eq!(store.queue().depth(STAGE).await.unwrap().waiting, 3);
    for _ in 0..3 {
        assert_eq!(next(&store.queue()).await.tries, tries);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn everything_is_there_after_an_orderly_end() {
    let directory = tempdir().unwrap();
    let store = serve(directory.path());
    fill(&store).await;
    store.shutdown().await;
    // Late calls are errors, and nothing hangs.
    let late = store.journal().append(ACCOUNT, &entry(51, 0)).await;
    assert!(matches!(late, Err(PortError::Unavailable { .. })), "{late:?}");
    assert!(store.queue().receive(STAGE, 1, LONG, LONG).await.is_err());
    store.shutdown().await;
    drop(store);
    // What was not handed out was not tried.
    let store = serve(directory.path());
    check_filled(&store, 1).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn everything_is_there_after_a_drop() {
    let directory = tempdir().unwrap();
    let store = serve(directory.path());
    fill(&store).await;
    drop(store);
    // Who knows what the one before did with them.
    check_filled(&serve(directory.path()), 2).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn tries_count_across_ends_of_every_kind() {
    let directory = tempdir().unwrap();
    let store = serve(directory.path());
    send(&store.queue(), "poison").await;
    drop(store);
    for tries in 2..8 {
        let store = serve(directory.path());
        assert_eq!(next(&store.queue()).await.tries, tries);
        if tries % 2 == 0 {
            store.shutdown().await;
        }
        drop(store);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn delays_and_retries_survive() {
    let directory = tempdir().unwrap();
    let store = serve(directory.path());
    send(&store.queue(), "later").await;
    let received = next(&store.queue()).await;
    store.queue().retry_later(STAGE, &received.receipt, LONG).await.unwrap();
    send(&store.queue(), "now").await;
    drop(store);
    let store = serve(directory.path());
    assert_eq!(next(&store.queue()).await.body, b"now");
    let more = store.queue().receive(STAGE, 1, LONG, Duration::from_millis(100)).await.unwrap();
    assert!(more.is_empty());
    assert_eq!(store.queue().depth(STAGE).await.unwrap().waiting, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn only_one_serves() {
    let directory = tempdir().unwrap();
    let store = serve(directory.path());
    let second = failure(directory.path());
    assert_eq!(second, Error::AlreadyServed { pid: Some(std::process::id()) });
    assert!(second.to_string().contains(&std::process::id().to_string()));
    drop(store);
    serve(directory.path());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tool_works_beside_the_server() {
    let directory = tempdir().unwrap();
    let server = serve(directory.path());
    let mut changes = server.foreign_changes();
    // The server's own commits are no news.
    server.journal().append(ACCOUNT, &entry(1, 0)).await.unwrap();
    tokio::time::sleep(Duration::from_millis(200)).await;
    assert!(!changes.has_changed().unwrap());

    let tool = tool(directory.path());
    assert!(matches!(tool.queue().receive(STAGE, 1, LONG, LONG).await, Err(PortError::Refused { .. })));
    // What the tool sends, the waiting server gets.
    let waiting = tokio::spawn({
        let queue = server.queue();
        async move { next(&queue).await }
    });
    send(&tool.queue(), "from the tool").await;
    let received = waiting.await.unwrap();
    assert_eq!((received.body.as_slice(), received.tries), (&b"from the tool"[..], 1));
    assert_eq!(tool.queue().depth(STAGE).await.unwrap().waiting, 1);
    // A dead letter of the server is replayed by the tool.
    server.queue().dead_letter(STAGE, &received.receipt, "x").await.unwrap();
    let letter = tool.queue().dead_letters(None, 10).await.unwrap().remove(0);
    assert!(tool.queue().replay_dead_letter(letter.id).await.unwrap());
    let received = next(&server.queue()).await;
    assert_eq!((received.body.as_slice(), received.tries), (&b"from the tool"[..], 1));
    // Sessions hear of its changes, and read them.
    assert_eq!(tool.journal().append(ACCOUNT, &entry(2, 0)).await.unwrap(), Appended::Committed);
    changes.changed().await.unwrap();
    let newest = server.journal().newest(ACCOUNT, 1, Consistency::Strong).await.unwrap();
    assert_eq!(newest.entries, [entry(2, 0)]);
}

#[tokio::test(flavor = "multi_thread")]
async fn many_handles_race_without_loss() {
    const EACH: u64 = 60;
    let directory = tempdir().unwrap();
    let server = serve(directory.path());
    let handles: Vec<Arc<Embedded>> = (0..3).map(|_| Arc::new(tool(directory.path()))).collect();
    let mut tasks = Vec::new();
    for (who, store) in handles.iter().enumerate() {
        let store = Arc::clone(store);
        tasks.push(tokio::spawn(async move {
            let mut won = 0;
            for number in 0..EACH {
                send(&store.queue(), &format!("{who}/{number}")).await;
                let created = store.objects().put_unique(&format!("t/race/{number}"), Bytes::new()).await;
                won += u64::from(created.unwrap() == Created::Stored);
                let seq = number + 1;
                store.journal().append(ACCOUNT, &entry(seq, who as u64)).await.unwrap();
                loop {
                    let (key, control) = (ControlKey::new("p", "counter"), store.control());
                    let (expected, count) = match control.get(&key, Consistency::Strong).await.unwrap() {
                        None => (Expected::Absent, 0),
                        Some(item) => (Expected::Version(item.version), item.value.len()),
                    };
                    let next = vec![b'x'; count + 1];
                    if let Put::Stored(_) = control.put_if(&key, &next, expected).await.unwrap() {
                        break;
                    }
                }
            }
            won
        }));
    }
    let mut won = 0;
    for task in tasks {
        won += task.await.unwrap();
    }
    assert_eq!(won, EACH);
    let count = server.control().get(&ControlKey::new("p", "counter"), Consistency::Strong).await.unwrap();
    assert_eq!(count.unwrap().value.len() as u64, 3 * EACH);
    let entries = server.journal().since(ACCOUNT, Seq::ZERO, 1000, Consistency::Strong).await.unwrap();
    assert_eq!(entries.len() as u64, EACH);
    let mut bodies = std::collections::BTreeSet::new();
    for _ in 0..3 * EACH {
        bodies.insert(next(&server.queue()).await.body);
    }
    assert_eq!(bodies.len() as u64, 3 * EACH);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_server_removes_what_dead_processes_left_and_nothing_else() {
    let directory = tempdir().unwrap();
    let tool = tool(directory.path());
    let temporary = directory.path().join("objects/~tmp");
    fs::write(temporary.join("dead.lock"), "").unwrap();
    fs::create_dir(temporary.join("dead")).unwrap();
    fs::write(temporary.join("dead/0"), "half a pack").unwrap();
    let server = serve(directory.path());
    assert!(!temporary.join("dead").exists() && !temporary.join("dead.lock").exists());
    let created = tool.objects().put_unique("t/pack/1", Bytes::from_static(b"x")).await;
    assert_eq!(created.unwrap(), Created::Stored);
    assert_eq!(server.objects().list("", None, 10).await.unwrap().len(), 1);
    drop((tool, server));
    assert_eq!(fs::read_dir(&temporary).unwrap().count(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn expired_log_records_are_gone() {
    let directory = tempdir().unwrap();
    let store = serve(directory.path());
    store.log().append(&vec![log_record("old"); 1300]).await.unwrap();
    assert_eq!(store.log().expire(LogKind::Audit, Timestamp(5000)).await.unwrap(), 0);
    assert_eq!(store.log().expire(LogKind::Audit, Timestamp(5001)).await.unwrap(), 1300);
    assert_eq!(store.log().expire(LogKind::Audit, Timestamp(5001)).await.unwrap(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_queue_sends_senders_away() {
    let directory = tempdir().unwrap();
    let options = Options { max_waiting: 3, ..Options::server() };
    let store = Embedded::open(directory.path(), &options).unwrap();
    for _ in 0..3 {
        send(&store.queue(), "x").await;
    }
    let message = Outgoing { tenant: TENANT, body: Vec::new(), delay: Duration::ZERO };
    let refused = store.queue().send_batch(STAGE, vec![message]).await.remove(0);
    assert!(matches!(refused, Err(PortError::Unavailable { .. })));
    let received = next(&store.queue()).await;
    store.queue().ack(STAGE, &[received.receipt]).await.unwrap();
    send(&store.queue(), "x").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn bodies_that_the_cache_has_no_room_for_come_from_the_table() {
    let directory = tempdir().unwrap();
    let options = Options { queue_cache: 100, ..Options::server() };
    let store = Embedded::open(directory.path(), &options).unwrap();
    let mut bodies = std::collections::BTreeSet::new();
    for number in 0..20 {
        send(&store.queue(), &format!("{number:060}")).await;
        bodies.insert(format!("{number:060}").into_bytes());
    }
    for _ in 0..20 {
        assert!(bodies.remove(&next(&store.queue()).await.body));
    }
}

fn change(directory: &Path, file: &str, sql: &str) {
    let connection = rusqlite::Connection::open(directory.join(file)).unwrap();
    assert!(connection.execute(sql, []).unwrap() > 0, "{sql} changed nothing");
}

#[tokio::test(flavor = "multi_thread")]
async fn damaged_values_are_errors_and_not_mail() {
    let directory = tempdir().unwrap();
    let store = serve(directory.path());
    fill(&store).await;
    let is_damage = |error: PortError| assert!(matches!(error, PortError::Damaged { .. }), "{error}");

    change(directory.path(), "mail.db", "UPDATE journal SET entry = substr(entry, 1, 3) WHERE seq = 50");
    is_damage(store.journal().newest(ACCOUNT, 1, Consistency::Strong).await.unwrap_err());
    is_damage(store.journal().append(ACCOUNT, &entry(50, 9)).await.unwrap_err());
    // Another one in its place, and one missing.
    change(
        directory.path(),
        "mail.db",
        "UPDATE journal SET entry = (SELECT entry FROM journal WHERE seq = 49) WHERE seq = 50",
    );
    is_damage(store.journal().newest(ACCOUNT, 1, Consistency::Strong).await.unwrap_err());
    change(directory.path(), "mail.db", "DELETE FROM journal WHERE seq = 30");
    is_damage(store.journal().since(ACCOUNT, Seq(25), 10, Consistency::Strong).await.unwrap_err());
    is_damage(store.journal().since(ACCOUNT, Seq(29), 10, Consistency::Strong).await.unwrap_err());
    is_damage(store.journal().before(ACCOUNT, Seq(35), 10).await.unwrap_err());
    assert_eq!(store.journal().before(ACCOUNT, Seq(29), 10).await.unwrap().len(), 10);

    change(directory.path(), "mail.db", "UPDATE control SET value = x'00'");
    is_damage(store.control().get(&ControlKey::new("p", "s"), Consistency::Strong).await.unwrap_err());
    change(directory.path(), "mail.db", "UPDATE log SET value = 'text'");
    let id = log_record("").id;
    let query = LogQuery { tenant: TENANT, kind: LogKind::Audit, from: id, to: id, limit: 10 };
    is_damage(store.log().query(&query).await.unwrap_err());
    // The port still works for what is whole.
    let other = AccountKey { tenant: TENANT, account: AccountId(8) };
    assert_eq!(store.journal().append(other, &entry(1, 0)).await.unwrap(), Appended::Committed);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_damaged_message_goes_to_the_dead_letters_and_the_others_come() {
    let directory = tempdir().unwrap();
    let store = serve(directory.path());
    for body in ["first", "second", "third", "fourth"] {
        send(&store.queue(), body).await;
    }
    drop(store);
    change(directory.path(), "queue.db", "UPDATE body SET body = x'112233445566' WHERE id = 2");
    change(directory.path(), "queue.db", "DELETE FROM body WHERE id = 3");
    change(directory.path(), "queue.db", "UPDATE message SET stage = 'unknown' WHERE id = 4");
    let store = serve(directory.path());
    assert_eq!(next(&store.queue()).await.body, b"first");
    let rest = store.queue().receive(STAGE, 10, LONG, Duration::from_millis(200)).await.unwrap();
    assert_eq!(rest, []);
    let letters = store.queue().dead_letters(None, 10).await.unwrap();
    assert_eq!(letters.len(), 2);
    assert!(letters.iter().all(|letter| letter.cause.contains("damaged")), "{letters:?}");
    assert!(letters.iter().any(|letter| letter.body == [0x11, 0x22, 0x33, 0x44, 0x55, 0x66]));
}

#[tokio::test(flavor = "multi_thread")]
async fn damaged_object_files_do_no_harm() {
    let directory = tempdir().unwrap();
    let store = serve(directory.path());
    fill(&store).await;
    let path = directory.path().join("objects/t/pack/1");
    let etag = store.objects().get("t/pack/1").await.unwrap().1;
    fs::write(&path, "obj").unwrap();
    assert_eq!(store.objects().get_range("t/pack/1", 2, 10).await.unwrap(), "j");
    assert_ne!(store.objects().get("t/pack/1").await.unwrap().1, etag);
    fs::remove_file(&path).unwrap();
    assert!(matches!(store.objects().get("t/pack/1").await, Err(PortError::NotFound { .. })));
    // A directory removed by hand is made again.
    fs::remove_dir_all(directory.path().join("objects/t")).unwrap();
    let created = store.objects().put_unique("t/pack/2", Bytes::from_static(b"x")).await;
    assert_eq!(created.unwrap(), Created::Stored);
    // Names that would need a file where a directory is, or the other way round.
    for name in ["t/pack", "t/pack/2/x"] {
        let refused = store.objects().put_unique(name, Bytes::new()).await;
        assert!(matches!(refused, Err(PortError::Refused { .. })), "{refused:?}");
    }
    fs::write(directory.path().join("objects/stray"), "x").unwrap();
    store.objects().list("", None, 10).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn foreign_and_damaged_databases_are_refused_with_a_reason() {
    // Not a database at all.
    let directory = tempdir().unwrap();
    fs::write(directory.path().join("mail.db"), vec![0x5a; 100_000]).unwrap();
    assert!(matches!(failure(directory.path()), Error::Database { file: "mail.db", .. }));

    // Of another program.
    let directory = tempdir().unwrap();
    let other = rusqlite::Connection::open(directory.path().join("queue.db")).unwrap();
    other.execute_batch("CREATE TABLE cats (name TEXT)").unwrap();
    drop(other);
    assert_eq!(failure(directory.path()), Error::NotOurs { file: "queue.db" });

    // Of a newer version.
    let directory = tempdir().unwrap();
    drop(serve(directory.path()));
    let newer = rusqlite::Connection::open(directory.path().join("mail.db")).unwrap();
    newer.pragma_update(None, "user_version", 99).unwrap();
    drop(newer);
    let error = failure(directory.path());
    assert_eq!(error, Error::Newer { file: "mail.db", found: 99, known: 3 });
}

/// Whatever is cut off or overwritten: an error or an answer, never a panic or a hang.
#[tokio::test(flavor = "multi_thread")]
async fn torn_databases_never_panic() {
    let original = tempdir().unwrap();
    let store = serve(original.path());
    fill(&store).await;
    store.shutdown().await;
    drop(store);
    for file in ["mail.db", "queue.db"] {
        let whole = fs::read(original.path().join(file)).unwrap();
        for damage in 0..24 {
            let mut bytes = whole.clone();
            if damage % 2 == 0 {
                bytes.truncate(whole.len() * damage / 24);
            } else {
                let at = whole.len() * damage / 24;
                let end = (at + 3000).min(bytes.len());
                bytes[at..end].fill(0xa5);
            }
            let directory = tempdir().unwrap();
            for other in ["mail.db", "queue.db"] {
                fs::copy(original.path().join(other), directory.path().join(other)).unwrap();
            }
            fs::write(directory.path().join(file), bytes).unwrap();
            let Ok(store) = Embedded::open(directory.path(), &Options::server()) else { continue };
            let _ = store.journal().newest(ACCOUNT, 100, Consistency::Strong).await;
            let _ = store.journal().append(ACCOUNT, &entry(51, 0)).await;
            let _ = store.journal().accounts(TENANT, None, 10).await;
            let _ = store.control().query("p", "", None, 10).await;
            let _ = store.log().append(&[log_record("y")]).await;
            let _ = store.queue().receive(STAGE, 10, LONG, Duration::from_millis(10)).await;
            let _ = store.queue().dead_letters(None, 10).await;
            store.shutdown().await;
        }
    }
}

#[test]
fn only_who_may_create_creates_a_directory() {
    let place = tempdir().unwrap();
    let (missing, file) = (place.path().join("mistyped"), place.path().join("file"));
    fs::write(&file, "").unwrap();
    let opened = |dir: &Path| Embedded::open(dir, &Options::tool()).err();
    assert_eq!(opened(&missing), Some(Error::Missing { dir: missing.clone() }));
    assert!(!missing.exists());
    assert_eq!(opened(place.path()), Some(Error::Missing { dir: place.path().to_owned() }));
    assert_eq!(fs::read_dir(place.path()).unwrap().count(), 1);
    assert_eq!(opened(&file), Some(Error::NotADirectory { dir: file.clone() }));
    assert_eq!(failure(&file), Error::NotADirectory { dir: file });
    drop(Embedded::open(&missing, &Options { create: true, ..Options::tool() }).unwrap());
    assert_eq!(opened(&missing), None);
}

#[tokio::test(flavor = "multi_thread")]
async fn files_are_private_in_a_directory_that_is_not() {
    use std::os::unix::fs::PermissionsExt;
    let place = tempdir().unwrap();
    let mode = |name: &str| fs::metadata(place.path().join(name)).unwrap().permissions().mode() & 0o777;
    fs::set_permissions(place.path(), fs::Permissions::from_mode(0o755)).unwrap();
    let files =
        ["mail.db", "mail.db-wal", "mail.db-shm", "queue.db", "queue.db-wal", "open.lock", "serve.lock"];
    let store = serve(place.path());
    fill(&store).await;
    for name in files {
        assert_eq!(mode(name), 0o600, "{name}");
    }
    assert_eq!(mode("objects"), 0o700);
    store.shutdown().await;
    drop(store);
    // As an earlier program has made them.
    fs::set_permissions(place.path().join("mail.db"), fs::Permissions::from_mode(0o644)).unwrap();
    fs::set_permissions(place.path().join("objects"), fs::Permissions::from_mode(0o755)).unwrap();
    let store = tool(place.path());
    assert_eq!((mode("mail.db"), mode("objects")), (0o600, 0o700));
    assert_eq!(mode(""), 0o755);
    drop(store);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backup_is_read_without_writing() {
    let place = tempdir().unwrap();
    let backup = place.path().join("a backup?#100%");
    let store = serve(&backup);
    fill(&store).await;
    assert_eq!(
        Embedded::open_read_only(&backup, &Options::tool()).err(),
        Some(Error::AlreadyServed { pid: None })
    );
    store.shutdown().await;
    drop(store);
    let listing = || {
        let entries = fs::read_dir(&backup).unwrap().map(|entry| entry.unwrap());
        let mut names: Vec<_> = entries.map(|e| (e.file_name(), e.metadata().unwrap().len())).collect();
        names.sort();
        names
    };
    let before = listing();
    let store = Embedded::open_read_only(&backup, &Options::tool()).unwrap();
    let entries = store.journal().since(ACCOUNT, Seq(0), 100, Consistency::Strong).await.unwrap();
    assert_eq!(entries.len(), 50);
    assert_eq!(&store.objects().get("t/pack/1").await.unwrap().0[..], b"object");
    assert_eq!(store.queue().depth(STAGE).await.unwrap().waiting, 3);
    let put = store.control().put_if(&ControlKey::new("p", "s"), b"other", Expected::Any).await;
    assert!(
        matches!(&put, Err(PortError::Unavailable { cause, .. }) if cause.contains("read-only")),
        "{put:?}"
    );
    assert!(store.objects().put_unique("t/pack/2", Bytes::from_static(b"object")).await.is_err());
    store.shutdown().await;
    drop(store);
    assert_eq!(listing(), before);
    // What lies in a WAL would be missed.
    fs::write(backup.join("mail.db-wal"), "frames").unwrap();
    let refused = Embedded::open_read_only(&backup, &Options::tool()).err();
    assert_eq!(refused, Some(Error::UnmergedWal { file: "mail.db" }));
    let missing = Embedded::open_read_only(place.path(), &Options::tool()).err();
    assert!(matches!(missing, Some(Error::Database { .. })), "{missing:?}");
}

/// A directory of the first format: without tables for objects and for large entries.
#[tokio::test(flavor = "multi_thread")]
async fn the_format_before_is_taken_over() {
    let directory = tempdir().unwrap();
    let first = serve(directory.path());
    first.journal().append(ACCOUNT, &entry(1, 7)).await.unwrap();
    let file = format!("{TENANT}/pack/file");
    first.objects().put_unique(&file, Bytes::from_static(b"file")).await.unwrap();
    first.shutdown().await;
    drop(first);
    let database = rusqlite::Connection::open(directory.path().join("mail.db")).unwrap();
    database
        .execute_batch(
            "DROP TABLE object; DROP TABLE large_entry; PRAGMA user_version = 1; PRAGMA journal_mode = DELETE",
        )
        .unwrap();
    drop(database);

    let old = Embedded::open_read_only(directory.path(), &Options::tool()).unwrap();
    assert_eq!(old.objects().get(&file).await.unwrap().0, "file");
    assert_eq!(old.objects().list("", None, 10).await.unwrap().len(), 1);
    drop(old);

    // A tool leaves it as it is: the server beside it may know no other format.
    let beside = tool(directory.path());
    assert_eq!(beside.journal().takes_objects(), 0);
    assert_eq!(beside.objects().get(&file).await.unwrap().0, "file");
    assert_eq!(beside.objects().list("", None, 10).await.unwrap().len(), 1);
    let inside = large_entry(2);
    assert_eq!(beside.journal().append(ACCOUNT, &inside).await.unwrap(), Appended::Committed);
    beside.shutdown().await;
    drop(beside);
    let database = rusqlite::Connection::open(directory.path().join("mail.db")).unwrap();
    let format: i64 = database.query_row("PRAGMA user_version", [], |row| row.get(0)).unwrap();
    assert_eq!(format, 1);
    drop(database);

    let store = serve(directory.path());
    assert!(store.journal().takes_objects() > 0);
    let row = NewObject { name: format!("{TENANT}/pack/row"), bytes: Bytes::from_static(b"row") };
    store.journal().append_with(ACCOUNT, &entry(3, 7), row.clone()).await.unwrap();
    let beside_it = large_entry(4);
    assert_eq!(store.journal().append(ACCOUNT, &beside_it).await.unwrap(), Appended::Committed);
    for late in [entry(4, 9), large_entry(4)] {
        let lost = store.journal().append(ACCOUNT, &late).await.unwrap();
        assert_eq!(lost, Appended::Lost(Box::new(beside_it.clone())));
    }
    store.shutdown().await;
    drop(store);
    let database = rusqlite::Connection::open(directory.path().join("mail.db")).unwrap();
    let apart: i64 = database.query_row("SELECT count(*) FROM large_entry", [], |row| row.get(0)).unwrap();
    assert_eq!(apart, 1);
    drop(database);
    let entries = [entry(1, 7), inside, entry(3, 7), beside_it];
    for store in [serve(directory.path()), tool(directory.path())] {
        let journal = store.journal();
        assert_eq!(journal.since(ACCOUNT, Seq::ZERO, 9, Consistency::Strong).await.unwrap(), entries);
        assert_eq!(journal.before(ACCOUNT, Seq(4), 1).await.unwrap(), entries[3..]);
        assert_eq!(journal.newest(ACCOUNT, 9, Consistency::Strong).await.unwrap().entries, entries);
        assert_eq!(store.objects().get(&row.name).await.unwrap().0, row.bytes);
        assert_eq!(store.objects().get(&file).await.unwrap().0, "file");
        store.shutdown().await;
    }
}
