//! IMAP over real sockets on the embedded backend.

#[path = "../common/alone.rs"]
mod alone;
mod business;
mod compress;
mod dialogue;
mod hostile;
mod many;
mod memory;
mod progress;
mod resync;
mod sasl;
mod scale;
#[path = "../common/scram.rs"]
mod scram;
mod secretary;
mod segments;
mod server;
mod sessions;
mod sharing;
mod sight;
mod standing;

use std::path::Path;

use dialogue::Client;
use server::{ALICE, PASSWORD, Server};

/// Every file in `dialogues/`.
#[tokio::test(flavor = "multi_thread")]
async fn dialogues() {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/imap/dialogues");
    let mut files: Vec<_> =
        std::fs::read_dir(dir).expect("dialogues").map(|entry| entry.expect("file").path()).collect();
    files.sort();
    assert!(files.len() > 5, "the dialogues are missing");
    let running = files.into_iter().map(|file| tokio::spawn(async move { dialogue::run(&file).await }));
    for running in running.collect::<Vec<_>>() {
        running.await.expect("dialogue");
    }
}

/// Python's imaplib, over STARTTLS and implicit TLS.
///
/// Feature AUT-22: IMAP over TLS from the first byte, and over STARTTLS
#[tokio::test(flavor = "multi_thread")]
async fn imaplib_works() {
    let server = Server::start().await;
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/imap/smoke.py");
    for (mode, address) in [("starttls", server.address), ("tls", server.tls_address)] {
        let mut python = std::process::Command::new("python3");
        python.arg(&script).args([mode, &address.port().to_string(), ALICE, PASSWORD]);
        let output =
            tokio::task::spawn_blocking(move || python.output()).await.expect("task").expect("python3");
        assert!(output.status.success(), "{mode}: {}", String::from_utf8_lossy(&output.stderr));
    }
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_fetched_message_is_the_appended_one() {
    let server = Server::start().await;
    let mut client = Client::login(server.address, ALICE).await;
    client.ok("SELECT INBOX").await;
    let small = b"Subject: \xff\0x\r\n\r\nbare\nlines\rand \0 bytes".to_vec();
    let large: Vec<u8> = b"Subject: large\r\n\r\n"
        .iter()
        .copied()
        .chain((0..3_000_000_u32).map(|n| (n.wrapping_mul(2_654_435_761) >> 24) as u8))
        .collect();
    for raw in [small, large] {
        assert!(client.append("INBOX", &raw).await.starts_with("OK [APPENDUID"));
        client.send(b"f FETCH * BODY.PEEK[]\r\n").await;
        let head = client.line().await.expect("fetch");
        assert!(head.ends_with(&format!("BODY[] {{{}}}", raw.len())), "{head}");
        assert!(client.bytes(raw.len()).await == raw, "bytes differ");
        assert_eq!(client.line().await.as_deref(), Some(")"));
        assert_eq!(client.line().await.as_deref(), Some("f OK fetched"));
        let (first, count) = (raw.len() / 3, raw.len() / 2);
        client.send(format!("f FETCH * BODY.PEEK[]<{first}.{count}>\r\n").as_bytes()).await;
        let head = client.line().await.expect("fetch");
        assert!(head.ends_with(&format!("BODY[]<{first}> {{{count}}}")), "{head}");
        assert!(client.bytes(count).await == raw[first..first + count], "bytes differ");
        assert_eq!(client.line().await.as_deref(), Some(")"));
        assert_eq!(client.line().await.as_deref(), Some("f OK fetched"));
    }
    server.stop().await;
}

/// Where many are asked for at once others read ahead: letters of every size come in their order, each as it was.
#[tokio::test(flavor = "multi_thread")]
async fn many_fetched_messages_are_the_appended_ones() {
    let server = Server::start().await;
    let mut client = Client::login(server.address, ALICE).await;
    client.ok("SELECT INBOX").await;
    // Some fill a group alone, some are too large for one.
    let sizes = [10, 3_000, 90_000, 0, 270_000, 40_000, 262_000, 700_000];
    let letters: Vec<Vec<u8>> = (0..40_usize)
        .map(|number| {
            let body = (0..sizes[number % sizes.len()]).map(|n| (n * 31 + number) as u8 | 1);
            format!("Subject: {number}\r\n\r\n").into_bytes().into_iter().chain(body).collect()
        })
        .collect();
    for letter in &letters {
        assert!(client.append("INBOX", letter).await.starts_with("OK [APPENDUID"));
    }
    for set in ["1:40", "3:5,7:38"] {
        let numbers: Vec<usize> =
            if set == "1:40" { (1..=40).collect() } else { (3..=5).chain(7..=38).collect() };
        client.send(format!("f FETCH {set} (UID BODY.PEEK[])\r\n").as_bytes()).await;
        for number in numbers {
            let letter = &letters[number - 1];
            let head = client.line().await.expect("fetch");
            assert_eq!(head, format!("* {number} FETCH (UID {number} BODY[] {{{}}}", letter.len()));
            assert!(client.bytes(letter.len()).await == *letter, "bytes of {number} differ");
            assert_eq!(client.line().await.as_deref(), Some(")"));
        }
        assert_eq!(client.line().await.as_deref(), Some("f OK fetched"));
    }
    server.stop().await;
}
