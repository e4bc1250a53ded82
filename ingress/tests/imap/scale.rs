//! Many sessions in one process: what an idle one costs, who is woken by what, and what is read for it.

use std::sync::Arc;
use std::time::Duration;

use pennypost_backend_embedded::{Embedded, Options};
use pennypost_ingress::net::Limits;
use pennypost_mailstore::{Incoming, Mailroom, Mailstore};
use pennypost_model::journal::Actor;
use pennypost_model::{AccountKey, FlagSet, MailboxId};
use pennypost_ports::{Clock, Ids, RandomIds, SystemClock, Wakeups};

use crate::dialogue::Client;
use crate::server::{ALICE, BOB, Server};

/// Proportional memory of this process, in bytes.
fn proportional_bytes() -> u64 {
    let rollup = std::fs::read_to_string("/proc/self/smaps_rollup").expect("smaps_rollup");
    let line = rollup.lines().find_map(|line| line.strip_prefix("Pss:")).expect("Pss");
    line.trim().trim_end_matches(" kB").trim().parse::<u64>().expect("number") * 1024
}

async fn account(server: &Server, address: &str) -> AccountKey {
    server.adapter.directory.account_at(address).await.expect("directory").expect("account").key
}

/// As a delivery does it: by another path than the sessions' own.
async fn deliver(store: &Mailstore, account: AccountKey, subject: &str) -> pennypost_model::Seq {
    let live = Mailroom::new(store.clone()).account(account).await.expect("account");
    let now = SystemClock.now();
    let raw = format!("Subject: {subject}\r\n\r\nx\r\n");
    let incoming =
        Incoming::prepare(raw.as_bytes(), RandomIds.event(now), FlagSet::default(), now).expect("prepared");
    let stored = live.store_messages(&Actor::Delivery, MailboxId::INBOX, &[incoming], |_| Ok(())).await;
    stored.expect("stored").0.seq
}

async fn idling(server: &Server, user: &str) -> Client {
    let mut client = Client::login(server.address, user).await;
    client.ok("SELECT INBOX").await;
    client.send(b"i IDLE\r\n").await;
    assert_eq!(client.line().await.as_deref(), Some("+ idling"));
    client
}

#[tokio::test(flavor = "multi_thread")]
async fn an_idle_session_is_small() {
    const SESSIONS: usize = 300;
    if !crate::alone::is_alone(module_path!(), "an_idle_session_is_small") {
        return;
    }
    let server = Server::start().await;
    // What is made once, and what the allocator takes for the peak of signing in.
    let mut warm = Vec::new();
    for _ in 0..50 {
        warm.push(idling(&server, ALICE).await);
    }
    let before = proportional_bytes();
    let mut sessions = Vec::new();
    for _ in 0..SESSIONS {
        sessions.push(idling(&server, ALICE).await);
    }
    let each = proportional_bytes().saturating_sub(before) / SESSIONS as u64;
    // With what the clients of this test take: a buffer of 8 KB each.
    assert!(each < (16 + 8) << 10, "{each} bytes for each session and its client");
    drop((warm, sessions));
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_read_where_nothing_has_changed() {
    let server = Server::start().await;
    let alice = account(&server, ALICE).await;
    let store = server.adapter.mailroom.store().clone();
    let mut client = Client::login(server.address, ALICE).await;
    client.ok("SELECT INBOX").await;
    let reads = || server.adapter.mailroom.occupancy().reads;
    let before = reads();
    for _ in 0..50 {
        assert!(client.ok("NOOP").await.is_empty());
    }
    client.append("INBOX", b"Subject: own\r\n\r\nx\r\n").await;
    client.ok("STORE 1 +FLAGS (\\Seen)").await;
    assert_eq!(reads(), before, "this process knows what it has written itself");
    // Delivered by another part of the process, and nobody was woken.
    deliver(&store, alice, "delivered").await;
    assert!(client.ok("NOOP").await.contains(&"* 2 EXISTS".to_owned()));
    client.ok("NOOP").await;
    assert_eq!(reads(), before + 1);
    server.stop().await;
}

/// What another process has committed and answered is seen by the next command, not some time later.
#[tokio::test(flavor = "multi_thread")]
async fn changes_by_other_processes_are_seen_at_once() {
    let server = Server::start().await;
    let alice = account(&server, ALICE).await;
    let tool = Embedded::open(&server.data(), &Options::tool()).expect("a tool");
    let (clock, ids): (Arc<dyn Clock>, Arc<dyn Ids>) = (Arc::new(SystemClock), Arc::new(RandomIds));
    let store = Mailstore::new(tool.journal(), tool.objects(), clock, ids);
    let mut client = Client::login(server.address, ALICE).await;
    client.ok("SELECT INBOX").await;
    for number in 1..=40 {
        deliver(&store, alice, "imported").await;
        let told = client.ok("NOOP").await;
        assert!(told.contains(&format!("* {number} EXISTS")), "{number}: {told:?}");
    }
    tool.shutdown().await;
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn all_idle_sessions_of_an_account_share_one_look() {
    const SESSIONS: usize = 100;
    let server = Server::start().await;
    let alice = account(&server, ALICE).await;
    let store = server.adapter.mailroom.store().clone();
    let mut sessions = Vec::new();
    for _ in 0..SESSIONS {
        sessions.push(idling(&server, ALICE).await);
    }
    let before = server.adapter.mailroom.occupancy();
    for number in 1..=10 {
        let seq = deliver(&store, alice, "news").await;
        server.adapter.mailroom.wake(alice, seq).await.expect("woken");
        for session in &mut sessions {
            assert_eq!(session.line().await, Some(format!("* {number} EXISTS")));
            let recent = session.line().await.expect("RECENT");
            assert!(recent.ends_with(" RECENT"), "{recent}");
        }
    }
    let after = server.adapter.mailroom.occupancy();
    assert_eq!(after.reads - before.reads, 10);
    assert!(after.spared - before.spared >= 10 * (SESSIONS as u64 - 1));
    drop(sessions);
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn accounts_without_sessions_make_room() {
    let server = Server::with_limits(Limits { live_bytes: 1, ..Limits::default() }).await;
    let (alice, bob) = (account(&server, ALICE).await, account(&server, BOB).await);
    let room = &server.adapter.mailroom;
    let mut client = Client::login(server.address, ALICE).await;
    client.ok("SELECT INBOX").await;
    for _ in 0..2 {
        let mut other = Client::login(server.address, BOB).await;
        other.ok("SELECT INBOX").await;
        other.ok("LOGOUT").await;
        drop(other);
        // Its session has to end before it can go; whoever comes next makes room.
        let open = || server.adapter.metrics.connections.with_label_values(&["imap"]).get();
        while open() > 1 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        let carol = AccountKey { account: pennypost_model::AccountId(bob.account.0 ^ 1), ..bob };
        drop(room.account(carol).await.expect("a third account"));
        assert!(room.account(bob).await.is_ok());
    }
    let occupancy = room.occupancy();
    assert!(occupancy.dropped >= 2, "{occupancy:?}");
    assert!(occupancy.loaded > 3, "{occupancy:?}");
    // Who has a session keeps its state, and is woken.
    client.send(b"i IDLE\r\n").await;
    assert_eq!(client.line().await.as_deref(), Some("+ idling"));
    let seq = deliver(&room.store().clone(), alice, "news").await;
    room.wake(alice, seq).await.expect("woken");
    assert_eq!(client.line().await.as_deref(), Some("* 1 EXISTS"));
    let weight = room.occupancy().bytes;
    assert!(weight > 0 && weight < 1 << 20, "{weight}");
    drop(client);
    server.stop().await;
}

/// A reader that stops reads nothing of anybody else's: others go on, and it costs no more than what was made for
/// it before it stopped.
#[tokio::test(flavor = "multi_thread")]
async fn a_hundred_silent_readers_harm_nobody() {
    const READERS: usize = 100;
    if !crate::alone::is_alone(module_path!(), "a_hundred_silent_readers_harm_nobody") {
        return;
    }
    let server = Server::start().await;
    let bob = account(&server, BOB).await;
    server.adapter.directory.set_quota(bob, 1 << 30).await.expect("quota");
    let mut filler = Client::login(server.address, ALICE).await;
    filler.append("INBOX", &vec![b'x'; 4 << 20]).await;
    let before = proportional_bytes();
    let mut readers = Vec::new();
    for _ in 0..READERS {
        let mut reader = Client::login(server.address, ALICE).await;
        reader.ok("SELECT INBOX").await;
        for _ in 0..20 {
            reader.send(b"a FETCH 1 BODY.PEEK[]\r\n").await;
        }
        readers.push(reader);
    }
    let mut other = Client::login(server.address, BOB).await;
    other.ok("SELECT INBOX").await;
    for number in 1..=20 {
        assert!(other.append("INBOX", b"Subject: x\r\n\r\nx\r\n").await.starts_with("OK"));
        assert_eq!(other.ok("SEARCH SUBJECT x").await.len(), 1, "{number}");
    }
    let each = proportional_bytes().saturating_sub(before) / READERS as u64;
    assert!(each < 1 << 20, "{each} bytes for each reader of 80 MB");
    drop((readers, filler));
    server.stop().await;
}

/// A hundred clients that delete and expunge the same mail, at once and on their own: each gets an answer, and in
/// the end all see the same.
#[tokio::test(flavor = "multi_thread")]
async fn a_hundred_clients_expunge_each_others_mail() {
    const CLIENTS: usize = 100;
    let server = Server::start().await;
    let mut filler = Client::login(server.address, ALICE).await;
    for number in 0..CLIENTS {
        filler.append("INBOX", format!("Subject: {number}\r\n\r\nx\r\n").as_bytes()).await;
    }
    let mut clients = Vec::new();
    for _ in 0..CLIENTS {
        let mut client = Client::login(server.address, ALICE).await;
        client.ok("SELECT INBOX").await;
        clients.push(client);
    }
    let running: Vec<_> = (1..)
        .zip(clients)
        .map(|(uid, mut client)| {
            tokio::spawn(async move {
                let mut left = CLIENTS as i64;
                let mut told = Vec::new();
                // Its own and its neighbour's.
                for command in [
                    format!("UID STORE {uid}:{} +FLAGS.SILENT (\\Deleted)", uid + 1),
                    "EXPUNGE".to_owned(),
                    "NOOP".to_owned(),
                ] {
                    told.extend(client.ok(&command).await);
                }
                left -= told.iter().filter(|line| line.ends_with(" EXPUNGE")).count() as i64;
                (client, left)
            })
        })
        .collect();
    let mut clients = Vec::new();
    for running in running {
        clients.push(running.await.expect("a client"));
    }
    for (client, left) in &mut clients {
        let told = client.ok("NOOP").await;
        *left -= told.iter().filter(|line| line.ends_with(" EXPUNGE")).count() as i64;
        assert_eq!(*left, 0, "each message goes once for each client");
        assert_eq!(client.ok("UID SEARCH ALL").await, ["* SEARCH"]);
    }
    drop((clients, filler));
    server.stop().await;
}

/// A command that is under way when the server stops is answered; then the session says goodbye.
#[tokio::test(flavor = "multi_thread")]
async fn what_is_under_way_is_finished_before_goodbye() {
    let server = Server::start().await;
    let mut client = Client::login(server.address, ALICE).await;
    client.ok("SELECT INBOX").await;
    let commands: String =
        (0..200).map(|number| format!("a{number} APPEND INBOX {{5+}}\r\nx: y\n\r\n")).collect();
    client.send(commands.as_bytes()).await;
    assert!(client.line().await.is_some());
    let address = server.address;
    server.stop().await;
    let (mut answered, mut last) = (0, String::new());
    while let Some(line) = client.line().await {
        answered += usize::from(line.starts_with('a') && line.contains(" OK "));
        last = line;
    }
    assert!(answered >= 1);
    assert_eq!(last, "* BYE [UNAVAILABLE] the server is stopping");
    assert!(tokio::net::TcpStream::connect(address).await.is_err(), "nobody else comes in");
}
