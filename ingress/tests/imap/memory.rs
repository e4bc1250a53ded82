//! What large messages take, and that one account does not take it from others.

use std::time::Duration;

use pennypost_ingress::net::Limits;
use pennypost_mailstore::Incoming;
use pennypost_model::journal::Actor;
use pennypost_model::{FlagSet, MailboxId};

use crate::dialogue::Client;
use crate::server::{ALICE, BOB, Server};

/// The most memory that this process has had.
fn peak_bytes() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").expect("status");
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).expect("peak");
    let kilobytes: u64 = line.trim().trim_end_matches(" kB").trim().parse().expect("number");
    kilobytes * 1024
}

async fn deliver(server: &Server, raw: &[u8]) {
    let adapter = &server.adapter;
    let alice = adapter.directory.account_at(ALICE).await.expect("directory").expect("alice");
    let live = adapter.mailroom.account(alice.key).await.expect("account");
    let now = adapter.clock.now();
    let incoming = Incoming::prepare(raw, adapter.ids.event(now), FlagSet::default(), now).expect("prepared");
    let stored = live.store_messages(&Actor::Delivery, MailboxId::INBOX, &[incoming], |_| Ok(())).await;
    stored.expect("stored");
}

#[tokio::test(flavor = "multi_thread")]
async fn one_account_does_not_take_the_memory_of_all() {
    let mut limits = Limits { bytes_in_flight: 8 << 20, drain: Duration::from_secs(1), ..Limits::default() };
    limits.imap.message_size = 1 << 20;
    limits.smtp.message_size = 1 << 20;
    let server = Server::with_limits(limits).await;
    let bob = server.adapter.directory.account_at(BOB).await.expect("directory").expect("bob");
    server.adapter.directory.set_quota(bob.key, 1 << 30).await.expect("quota");
    let in_flight = || server.adapter.metrics.bytes_in_flight.get();
    let mut clients = Vec::new();
    for _ in 0..12 {
        let mut client = Client::login(server.address, ALICE).await;
        client.send(b"t APPEND INBOX {1000000}\r\n").await;
        assert_eq!(client.line().await.as_deref(), Some("+ go on"));
        clients.push(client);
    }
    assert_eq!(in_flight(), 0, "announcing takes nothing");
    for client in &mut clients {
        client.send(&vec![b'x'; 900_000]).await;
    }
    while in_flight() < 3 << 19 {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert!((3 << 19..=2 << 20).contains(&in_flight()), "{} of the share of 2 MB", in_flight());
    let mut other = Client::login(server.address, BOB).await;
    let answer = other.append("INBOX", &[b"\r\n".to_vec(), vec![b'y'; 1_000_000]].concat()).await;
    assert!(answer.starts_with("OK"), "{answer}");
    other.ok("SELECT INBOX").await;
    assert_eq!(other.ok("SEARCH BODY yyy").await, ["* SEARCH 1"]);
    drop(clients);
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_larger_than_the_memory_is_searched_in_its_beginning() {
    let server = Server::with_limits(Limits { bytes_in_flight: 256 << 10, ..Limits::default() }).await;
    let filler = "filler of some length\r\n".repeat(50_000);
    deliver(&server, format!("Subject: x\r\n\r\nthe beginning\r\n{filler}the end\r\n").as_bytes()).await;
    let mut client = Client::login(server.address, ALICE).await;
    client.ok("SELECT INBOX").await;
    assert_eq!(client.ok("SEARCH BODY beginning").await, ["* SEARCH 1"]);
    assert_eq!(client.ok("SEARCH BODY end").await, ["* SEARCH"]);
    // What does not fit at all is told so, and what there was is given back.
    let answer = client.append("INBOX", &vec![b'x'; 300_000]).await;
    assert!(answer.starts_with("NO [UNAVAILABLE]"), "{answer}");
    assert_eq!(server.adapter.metrics.bytes_in_flight.get(), 0);
    client.ok("NOOP").await;
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn fifty_times_a_large_header_is_held_once() {
    if !crate::alone::is_alone(module_path!(), "fifty_times_a_large_header_is_held_once") {
        return;
    }
    let server = Server::start().await;
    let header = format!("X-Filler: {}\r\n", "x".repeat(60)).repeat(60_000);
    deliver(&server, format!("Subject: large\r\n{header}\r\nbody\r\n").as_bytes()).await;
    let mut client = Client::login(server.address, ALICE).await;
    client.ok("SELECT INBOX").await;
    let (_, tagged) = client.command(&format!("FETCH 1 ({})", vec!["BODY.PEEK[]"; 51].join(" "))).await;
    assert!(tagged.starts_with("BAD"), "{tagged}");
    let before = peak_bytes();
    let mut sections = vec!["BODY.PEEK[HEADER.FIELDS.NOT (Subject)]"; 25];
    sections.extend(["BODY.PEEK[HEADER]"; 25]);
    client.send(format!("a FETCH 1 ({})\r\n", sections.join(" ")).as_bytes()).await;
    // What is not read is not made.
    tokio::time::sleep(Duration::from_secs(1)).await;
    for section in 0..50 {
        let head = client.line().await.expect("a section");
        let (_, len) = head.rsplit_once('{').expect("a literal");
        let len: usize = len.trim_end_matches('}').parse().expect("a number");
        let bytes = client.bytes(len).await;
        assert!(bytes.ends_with(b"\r\n\r\n"), "{section}");
        assert_eq!(bytes.starts_with(b"Subject"), section >= 25);
        let expected = header.len() + 2 + if section >= 25 { "Subject: large\r\n".len() } else { 0 };
        assert_eq!(len, expected, "{section}");
    }
    assert_eq!(client.line().await.as_deref(), Some(")"));
    assert_eq!(client.line().await.as_deref(), Some("a OK fetched"));
    let grown = peak_bytes().saturating_sub(before);
    assert!(grown < 64 << 20, "{grown} bytes more");
    // A part of some fields.
    client.send(b"a FETCH 1 (BODY.PEEK[HEADER.FIELDS (Subject)]<9.7>)\r\n").await;
    let head = client.line().await.expect("a section");
    assert!(head.ends_with("BODY[HEADER.FIELDS (Subject)]<9> {7}"), "{head}");
    assert_eq!(client.bytes(7).await, b"large\r\n");
    server.stop().await;
}
