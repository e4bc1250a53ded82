//! INPROGRESS (RFC 9585): with no time between two notices every step says how far it is.

use std::sync::Arc;
use std::time::Duration;

use pennypost_directory::Resolved;
use pennypost_fold::{Draft, DraftError};
use pennypost_ingress::net::Limits;
use pennypost_model::journal::Actor;

use crate::dialogue::Client;
use crate::server::{ALICE, BOB, Server};

/// What a command is told of its progress.
async fn told(client: &mut Client, command: &str) -> Vec<String> {
    let mut lines = client.ok(command).await;
    lines.retain(|line| line.contains("INPROGRESS"));
    lines
}

/// Three letters for Alice, in her Inbox.
async fn start(interval: Duration) -> (Server, Client) {
    let mut limits = Limits::default();
    limits.imap.progress = interval;
    let server = Server::with_limits(limits).await;
    let mut client = Client::login(server.address, ALICE).await;
    for count in 0..3 {
        let letter = format!("Subject: {count}\r\n\r\nx\r\n");
        assert!(client.append("INBOX", letter.as_bytes()).await.starts_with("OK"));
    }
    client.ok("SELECT INBOX").await;
    (server, client)
}

fn says(line: &str, progress: &str) -> bool {
    line.starts_with("* OK [INPROGRESS (\"") && line.ends_with(&format!("\" {progress})] still working"))
}

#[tokio::test(flavor = "multi_thread")]
async fn what_takes_long_says_how_far_it_is() {
    let (server, mut alice) = start(Duration::ZERO).await;
    let fetched = told(&mut alice, "FETCH 1:* BODY.PEEK[]").await;
    assert_eq!(fetched.len(), 2, "{fetched:?}");
    assert!(says(&fetched[0], "1 3") && says(&fetched[1], "2 3"), "{fetched:?}");

    // To another account they are carried one by one.
    let mut bob = Client::login(server.address, BOB).await;
    bob.ok("CREATE Team").await;
    bob.ok("SETACL Team alice@example.test lrswipkxte").await;
    let carried = told(&mut alice, "COPY 1:2 \"Other Users/bob@example.test/Team\"").await;
    assert!(says(&carried[0], "1 2"), "{carried:?}");
    server.stop().await;
}

/// One entry is made for all messages: that it goes on is all that can be said.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn what_waits_for_its_turn_says_that_it_goes_on() {
    let (server, mut alice) = start(Duration::from_millis(5)).await;
    let key = match server.adapter.directory.resolve(ALICE).await.expect("directory") {
        Resolved::Local { recipients, .. } => recipients[0].account,
        other => panic!("{other:?}"),
    };
    let live = server.adapter.mailroom.account(key).await.expect("account");
    for (command, end) in [
        ("STORE 1:* +FLAGS (\\Flagged)", "stored"),
        ("COPY 1:* Archive", "copied"),
        ("FETCH 1 BODY[]", "fetched"),
        ("UID MOVE 3 Archive", "done"),
        ("EXPUNGE", "expunged"),
    ] {
        // Another session has the turn until it is told to go on.
        let (began, beginning) = tokio::sync::oneshot::channel();
        let (release, released) = std::sync::mpsc::channel::<()>();
        let (live, mut began) = (Arc::clone(&live), Some(began));
        let holding = tokio::spawn(async move {
            let wait = move |_: &mut Draft| {
                began.take().map(|began| began.send(()));
                released.recv().map_err(|_| DraftError::NoMailbox)
            };
            live.change(&Actor::System, wait).await.map(drop)
        });
        beginning.await.expect("the turn");
        alice.send(format!("x {command}\r\n").as_bytes()).await;
        for _ in 0..2 {
            let line = alice.line().await.expect("a notice");
            assert_eq!(line, "* OK [INPROGRESS (\"x\" NIL NIL)] still working", "{command}");
        }
        release.send(()).expect("still waiting");
        holding.await.expect("task").expect("turn");
        let mut last = String::new();
        while !last.starts_with("x ") {
            last = alice.line().await.expect("an answer");
        }
        assert!(last.starts_with("x OK") && last.ends_with(end), "{command}: {last}");
    }
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_quick_says_nothing() {
    let (server, mut alice) = start(Limits::default().imap.progress).await;
    for command in ["FETCH 1:* BODY[]", "STORE 1:* +FLAGS (\\Flagged)", "COPY 1:* Archive", "MOVE 3 Archive"]
    {
        assert_eq!(told(&mut alice, command).await, [""; 0], "{command}");
    }
    server.stop().await;
}
