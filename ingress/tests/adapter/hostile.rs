//! Peers that mean harm or are broken: the server answers precisely, stays within its bounds and lives.

use crate::alone::is_alone;
use std::time::{Duration, Instant};

use pennypost_model::event::{Body, Via};
use tokio::net::TcpStream;

use crate::office::{Office, sample, settings, untrusting};
use crate::wire::{Client, stuffed};

async fn begin(client: &mut Client) {
    client.command("MAIL FROM:<a@b.example>", "250").await;
    client.command("RCPT TO:<ada@acme.example>", "250").await;
    client.command("DATA", "354").await;
}

/// The server still takes a letter.
async fn alive(office: &Office) {
    let mut client = Client::smtp(office.smtp).await;
    assert!(client.letter("ada@acme.example", b"x\r\n").await.starts_with("250"));
}

fn resident_bytes() -> u64 {
    let status = std::fs::read_to_string("/proc/self/statm").expect("statm");
    let pages: u64 = status.split(' ').nth(1).and_then(|pages| pages.parse().ok()).expect("pages");
    pages * 4096
}

#[tokio::test(flavor = "multi_thread")]
async fn a_gigabyte_without_a_line_end() {
    if !is_alone(module_path!(), "a_gigabyte_without_a_line_end") {
        return;
    }
    let office = Office::open(settings()).await;
    let block = vec![b'x'; 1 << 20];
    let mut client = Client::smtp(office.smtp).await;
    let before = resident_bytes();
    for _ in 0..1024 {
        client.send(&block).await;
    }
    client.send(b"\r\nNOOP\r\n").await;
    client.expect("500 5.5.6").await;
    client.expect("250").await;
    // As a message it is cut off some way beyond the limit.
    begin(&mut client).await;
    let mut sent = 0;
    while sent < 1024 && client.try_send(&block).await.is_ok() {
        sent += 1;
    }
    assert!(sent < 1024, "all of a gigabyte was read");
    let grown = resident_bytes().saturating_sub(before);
    assert!(grown < 200 << 20, "{grown} bytes more are in memory");
    alive(&office).await;
    assert_eq!(office.accepted().await.len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn ten_thousand_commands_in_a_row() {
    let mut settings = settings();
    settings.limits.smtp.commands_without_message = 20_000;
    let office = Office::open(settings).await;
    let mut client = Client::smtp(office.smtp).await;
    client.send("NOOP\r\n".repeat(10_000).as_bytes()).await;
    for _ in 0..10_000 {
        client.expect("250 2.0.0").await;
    }
    // And without end: shown out.
    let office = Office::open(crate::office::settings()).await;
    let mut client = Client::smtp(office.smtp).await;
    let _ = client.try_send("NOOP\r\n".repeat(10_000).as_bytes()).await;
    let mut last = String::new();
    while let Some(line) = client.line().await {
        last = line;
    }
    assert!(last.starts_with("421 4.7.0"), "{last}");
    alive(&office).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn no_mail_is_smuggled_in_another() {
    let office = Office::open(settings()).await;
    for name in
        ["lf-dot-crlf", "crlf-dot-lf", "lf-dot-lf", "cr-dot-cr", "cr-dot-crlf", "crlf-dot-cr", "nul-dot"]
    {
        let wire = sample(&format!("smuggle-{name}.eml"));
        let mut client = Client::smtp(office.smtp).await;
        begin(&mut client).await;
        client.send(&wire).await;
        client.send(b"NOOP\r\n").await;
        let reply = client.line().await.expect("reply");
        let expected = if name == "nul-dot" { "250 2.0.0" } else { "550 5.6.11" };
        assert!(reply.starts_with(expected), "{name}: {reply}");
        client.expect("250 2.0.0 ok").await;
        let accepted = office.accepted().await;
        assert_eq!(accepted.len(), usize::from(name == "nul-dot"), "{name}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_sample_arrives_as_it_was_sent() {
    let office = Office::open(settings()).await;
    let mut client = Client::smtp(office.smtp).await;
    let mails = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../samplemail/mails");
    let mut count = 0;
    for entry in std::fs::read_dir(mails).expect("samples") {
        let name = entry.expect("entry").file_name().into_string().expect("name");
        let raw = sample(&name);
        let text = String::from_utf8_lossy(&raw).replace("\r\n", "");
        let is_smtp = (raw.is_empty() || raw.ends_with(b"\r\n")) && !text.contains(['\r', '\n']);
        if !is_smtp || name.starts_with("smuggle") {
            continue;
        }
        let reply = client.letter("ada@acme.example", &raw).await;
        assert!(reply.starts_with("250"), "{name}: {reply}");
        let (_, back) = office.accepted().await.pop().expect("accepted");
        assert!(back == raw, "{name} has changed");
        count += 1;
    }
    assert!(count > 100, "{count} samples");
}

#[tokio::test(flavor = "multi_thread")]
async fn large_messages_are_spooled() {
    let office = Office::open(settings()).await;
    let mut client = Client::smtp(office.smtp).await;
    // Noise does not compress.
    let mut state = 1_u64;
    let mut noise = Vec::new();
    while noise.len() < 25 << 20 {
        let line: String = (0..76)
            .map(|_| {
                state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                char::from(b'!' + (state >> 57) as u8 % 90)
            })
            .collect();
        noise.extend_from_slice(line.as_bytes());
        noise.extend_from_slice(b"\r\n");
    }
    let reply = client.letter("all@acme.example", &noise).await;
    assert!(reply.starts_with("250"), "{reply}");
    let (accepted, raw) = office.accepted().await.pop().expect("accepted");
    assert!(raw == noise);
    assert!(matches!(accepted.body, Body::Spooled { .. }));
    let accounts: std::collections::HashSet<_> = accepted.recipients.iter().map(|r| r.account).collect();
    assert_eq!((accounts.len(), accepted.recipients.len()), (2, 2));
    assert!(accepted.recipients.iter().all(|r| r.via == Via::Group && r.account.tenant == office.tenant));
    let reply = client.letter("all@acme.example", b"small\r\n").await;
    let (accepted, _) = office.accepted().await.pop().expect("accepted");
    assert!(matches!(accepted.body, Body::Inline(_)));
    assert_eq!(reply, format!("250 2.0.0 queued as {}", accepted.id));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_loop_is_broken() {
    let office = Office::open(settings()).await;
    let mut client = Client::smtp(office.smtp).await;
    let hops = "Received: from a by b; Fri, 20 Nov 2026 00:00:00 +0000\r\n";
    let reply = client.letter("ada@acme.example", format!("{}\r\n", hops.repeat(100)).as_bytes()).await;
    assert!(reply.starts_with("250"), "{reply}");
    let reply = client.letter("ada@acme.example", format!("{}\r\n", hops.repeat(101)).as_bytes()).await;
    assert!(reply.starts_with("554 5.4.6"), "{reply}");
}

#[tokio::test(flavor = "multi_thread")]
async fn ten_million_header_lines() {
    let mut settings = settings();
    settings.limits.smtp.message_size = 60 << 20;
    let office = Office::open(settings).await;
    let mut client = Client::smtp(office.smtp).await;
    let message = "a:b\r\n".repeat(10_000_000).into_bytes();
    let reply = client.letter("ada@acme.example", &message).await;
    assert!(reply.starts_with("250"), "{reply}");
    let mut settings = untrusting();
    settings.limits.smtp.message_size = 60 << 20;
    let office = Office::open(settings).await;
    let mut client = Client::smtp(office.smtp).await;
    let reply = client.letter("ada@acme.example", &message).await;
    assert!(reply.starts_with("554 5.6.0"), "{reply}");
    alive(&office).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn slow_peers_are_cut_off() {
    let mut settings = settings();
    settings.limits.smtp.command = Duration::from_millis(300);
    settings.limits.smtp.data_block = Duration::from_millis(300);
    settings.limits.slowest = 1000;
    let office = Office::open(settings).await;
    // A command byte by byte.
    let mut client = Client::smtp(office.smtp).await;
    let begun = Instant::now();
    while client.try_send(b"N").await.is_ok() && begun.elapsed() < Duration::from_secs(5) {
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert!(begun.elapsed() < Duration::from_secs(4), "{:?}", begun.elapsed());
    // A silent one is told why.
    let mut client = Client::smtp(office.smtp).await;
    client.expect("421 4.4.2").await;
    client.expect_close().await;
    // A message byte by byte, each of them in time.
    let mut client = Client::smtp(office.smtp).await;
    begin(&mut client).await;
    let begun = Instant::now();
    while client.try_send(b"x").await.is_ok() && begun.elapsed() < Duration::from_secs(5) {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert!(begun.elapsed() < Duration::from_secs(4), "{:?}", begun.elapsed());
    // Nor does it help to have been fast at first.
    let mut client = Client::smtp(office.smtp).await;
    begin(&mut client).await;
    client.send(&b"0123456789\r\n".repeat(100_000)).await;
    let begun = Instant::now();
    while client.try_send(b"x").await.is_ok() && begun.elapsed() < Duration::from_secs(8) {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert!(begun.elapsed() < Duration::from_secs(7), "{:?}", begun.elapsed());
    assert!(office.accepted().await.is_empty());
    alive(&office).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn memory_for_messages_has_one_bound() {
    let mut settings = settings();
    settings.limits.bytes_in_flight = 1 << 20;
    let office = Office::open(settings).await;
    let mut client = Client::smtp(office.smtp).await;
    let large = format!("{}\r\n", "x".repeat(76)).repeat(40_000);
    let reply = client.letter("ada@acme.example", large.as_bytes()).await;
    assert!(reply.starts_with("452 4.3.1"), "{reply}");
    assert_eq!(office.adapter.metrics.bytes_in_flight.get(), 0);
    alive(&office).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn one_peer_does_not_take_the_memory_of_all() {
    let mut settings = untrusting();
    settings.limits.bytes_in_flight = 8 << 20;
    settings.limits.smtp.message_size = 1 << 20;
    settings.limits.imap.message_size = 1 << 20;
    let office = Office::open(settings).await;
    let block = format!("{}\r\n", "x".repeat(76)).repeat(9_000);
    let in_flight = || office.adapter.metrics.bytes_in_flight.get();
    let mut unfinished = Vec::new();
    for number in 1..=2 {
        let mut client = Client::smtp(office.smtp).await;
        begin(&mut client).await;
        client.send(block.as_bytes()).await;
        let begun = Instant::now();
        while in_flight() < number * block.len() as i64 && begun.elapsed() < Duration::from_secs(10) {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        unfinished.push(client);
    }
    // What is held is what has come and an eighth, not twice that.
    let (held, sent) = (in_flight(), 2 * block.len() as i64);
    assert!((sent..sent * 5 / 4).contains(&held), "{held} for {sent}");
    // The next one of the same peer is over its share of two megabytes.
    let mut third = Client::smtp(office.smtp).await;
    let reply = third.letter("ada@acme.example", block.as_bytes()).await;
    assert!(reply.starts_with("452 4.3.1"), "{reply}");
    let mut other = Client::smtp_from([127, 0, 0, 2], office.smtp).await;
    let reply = other.letter("ada@acme.example", block.as_bytes()).await;
    assert!(reply.starts_with("250"), "{reply}");
    for client in &mut unfinished {
        client.send(b".\r\n").await;
        client.expect("250").await;
    }
    assert_eq!(in_flight(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_ends_with_its_session() {
    let mut settings = settings();
    settings.limits.smtp.session = Duration::from_millis(700);
    let office = Office::open(settings).await;
    for body in ["DATA", "BDAT 1000000"] {
        let mut client = Client::smtp(office.smtp).await;
        client.command("MAIL FROM:<a@b.example>", "250").await;
        client.command("RCPT TO:<ada@acme.example>", "250").await;
        client.say(body).await;
        let begun = Instant::now();
        while client.try_send(b"line\r\n").await.is_ok() && begun.elapsed() < Duration::from_secs(5) {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        assert!(begun.elapsed() < Duration::from_secs(4), "{body}: {:?}", begun.elapsed());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn postmaster_is_reached_without_a_domain() {
    for (hostname, postmaster, expected) in [
        ("mx.mail.acme.example", None, "250"),
        ("post.example", None, "550 5.7.1"),
        ("post.example", Some("bob@acme.example"), "250"),
        ("mx.asleep.example", Some("bob@acme.example"), "450"),
    ] {
        let mut settings = settings();
        settings.hostname = hostname.to_owned();
        settings.postmaster = postmaster.map(str::to_owned);
        let office = Office::open(settings).await;
        let mut client = Client::smtp(office.smtp).await;
        client.command("MAIL FROM:<>", "250").await;
        client.command("RCPT TO:<Postmaster>", expected).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn too_many_connections_are_told_so() {
    let mut settings = untrusting();
    settings.limits.connections_per_ip = 2;
    let office = Office::open(settings).await;
    let _first = Client::smtp(office.smtp).await;
    let second = Client::smtp(office.smtp).await;
    let mut third = Client::connect(office.smtp).await;
    third.expect("421 4.3.2").await;
    drop(second);
    // Its place is free again when the server has noticed.
    for _ in 0..100 {
        let mut next = Client::connect(office.smtp).await;
        if next.line().await.is_some_and(|line| line.starts_with("220")) {
            return;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    panic!("the place was never free again");
}

#[tokio::test(flavor = "multi_thread")]
async fn garbage_instead_of_a_handshake() {
    let office = Office::open(settings()).await;
    let mut client = Client::smtp(office.smtp).await;
    client.command("STARTTLS", "220").await;
    let _ = client.try_send(&[0xff; 4096]).await;
    while client.line().await.is_some() {}
    let socket = TcpStream::connect(office.pop3s).await.expect("connected");
    socket.writable().await.expect("writable");
    let _ = socket.try_write(b"USER ada\r\nPASS x\r\n");
    drop(socket);
    alive(&office).await;
    assert_eq!(office.adapter.metrics.panics.get(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn half_a_message_is_none() {
    let office = Office::open(settings()).await;
    let mut client = Client::smtp(office.smtp).await;
    begin(&mut client).await;
    client.send(b"Subject: cut\r\n\r\nhalf").await;
    drop(client);
    let mut client = Client::smtp(office.smtp).await;
    client.command("MAIL FROM:<a@b.example>", "250").await;
    client.command("RCPT TO:<ada@acme.example>", "250").await;
    client.send(b"BDAT 100 LAST\r\nhalf").await;
    drop(client);
    alive(&office).await;
    assert_eq!(office.accepted().await.len(), 1, "only the one that shows that it lives");
}

#[tokio::test(flavor = "multi_thread")]
async fn stopping_is_polite() {
    let mut office = Office::open(settings()).await;
    let mut idle = Client::smtp(office.smtp).await;
    let mut busy = Client::smtp(office.smtp).await;
    begin(&mut busy).await;
    office.adapter.shutdown.begin();
    idle.expect("421 4.3.2").await;
    idle.expect_close().await;
    // A message that is coming in may still arrive.
    busy.send(&stuffed(b"the last\r\n")).await;
    busy.expect("250 2.0.0").await;
    busy.expect("421 4.3.2").await;
    for server in office.servers.drain(..) {
        tokio::time::timeout(Duration::from_secs(5), server).await.expect("ends").expect("no panic");
    }
    assert!(TcpStream::connect(office.smtp).await.is_err());
    assert_eq!(office.accepted().await.len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_made_durable_is_not_accepted() {
    let office = Office::open(settings()).await;
    let mut client = Client::smtp(office.smtp).await;
    begin(&mut client).await;
    office.store.shutdown().await;
    client.send(&stuffed(b"x\r\n")).await;
    client.expect("451 4.3.0").await;
    client.command("MAIL FROM:<a@b.example>", "250").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reader_that_does_not_read_is_cut_off() {
    if !is_alone(module_path!(), "a_reader_that_does_not_read_is_cut_off") {
        return;
    }
    let mut settings = settings();
    settings.limits.write = Duration::from_millis(300);
    settings.limits.slowest = 1 << 30;
    let office = Office::open(settings).await;
    crate::mailbox::fill(&office, &[b"0123456789\r\n".repeat(400_000)]).await;
    let mut client = Client::connect(office.pop3).await;
    client.expect("+OK").await;
    client.command("USER ada@acme.example", "+OK").await;
    client.command(&format!("PASS {}", crate::office::PASSWORD), "+OK").await;
    let before = resident_bytes();
    client.send("RETR 1\r\n".repeat(50).as_bytes()).await;
    let open = office.adapter.metrics.connections.with_label_values(&["pop3"]);
    let begun = Instant::now();
    while open.get() > 0 {
        assert!(begun.elapsed() < Duration::from_secs(10), "the session is still there");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert!(resident_bytes().saturating_sub(before) < 64 << 20);
}

/// Bytes, words and line ends in no order; the seed is in the message of a failure.
fn garbage(seed: u64) -> Vec<u8> {
    const WORDS: [&[u8]; 24] = [
        b"EHLO x",
        b"HELO",
        b"MAIL FROM:<a@b.example>",
        b"RCPT TO:<ada@acme.example>",
        b"DATA",
        b"BDAT 7 LAST",
        b"BDAT 3",
        b".",
        b"RSET",
        b"USER ada",
        b"PASS x",
        b"AUTH PLAIN =",
        b"RETR 1",
        b"CAPA",
        b"TOP 1 2",
        b"\r\n",
        b"\r\n",
        b"\r\n",
        b"\n",
        b"\r",
        b" ",
        b"\0",
        b"\xff\xfe",
        b"<>\"@",
    ];
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut bytes = Vec::new();
    for _ in 0..200 {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        bytes.extend_from_slice(WORDS[(state >> 33) as usize % WORDS.len()]);
        if state & 7 < 5 {
            bytes.extend_from_slice(b"\r\n");
        }
    }
    bytes
}

#[tokio::test(flavor = "multi_thread")]
async fn garbage_on_every_port() {
    let office = Office::open(settings()).await;
    for seed in 0..200 {
        for address in [office.smtp, office.pop3, office.pop3s] {
            let mut client = Client::connect(address).await;
            // The server may have had enough before all is sent.
            let _ = client.try_send(&garbage(seed)).await;
            client.finish().await;
            let panics = office.adapter.metrics.panics.get();
            assert_eq!(panics, 0, "seed {seed} at {address}");
        }
    }
    for (_, raw) in office.accepted().await {
        assert!(!raw.windows(2).any(|pair| pair[0] != b'\r' && pair[1] == b'\n'), "a bare LF came through");
    }
    alive(&office).await;
}
