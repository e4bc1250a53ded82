//! Clients that mean no good or know no better: bounded memory and time, a precise answer, others unharmed.

use std::time::Duration;

use pennypost_ingress::net::Limits;

use crate::dialogue::Client;
use crate::server::{ALICE, Server};

/// The tagged answer; `None` if the server closes before.
async fn tagged(client: &mut Client, tag: &str) -> Option<String> {
    loop {
        let line = client.line().await?;
        if let Some(rest) = line.strip_prefix(&format!("{tag} ")) {
            return Some(rest.to_owned());
        }
    }
}

/// The last words of the server before it closes.
async fn last_words(client: &mut Client) -> String {
    let mut last = String::new();
    while let Some(line) = client.line().await {
        last = line;
    }
    last
}

#[tokio::test(flavor = "multi_thread")]
async fn ten_thousand_pipelined_commands_are_answered_in_order() {
    let server = Server::start().await;
    let mut client = Client::login(server.address, ALICE).await;
    client.append("INBOX", b"Subject: x\r\n\r\nbody\r\n").await;
    client.ok("SELECT INBOX").await;
    let commands: String = (0..10_000)
        .map(|n| match n % 4 {
            0 => format!("p{n} NOOP\r\n"),
            1 => format!("p{n} FETCH 1 (FLAGS BODY.PEEK[])\r\n"),
            2 if n < 100 => format!("p{n} NONSENSE\r\n"),
            2 => format!("p{n} SEARCH ALL\r\n"),
            _ => format!("p{n} STORE 1 {}FLAGS.SILENT (\\Flagged)\r\n", if n % 8 == 3 { '+' } else { '-' }),
        })
        .collect();
    client.send(commands.as_bytes()).await;
    for n in 0..10_000 {
        let answer = tagged(&mut client, &format!("p{n}")).await.expect("an answer");
        let expected = if n % 4 == 2 && n < 100 { "BAD" } else { "OK" };
        assert!(answer.starts_with(expected), "{n}: {answer}");
    }
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn too_much_is_refused_in_bounds() {
    let mut limits = Limits::default();
    limits.imap.message_size = 1_000;
    let server = Server::with_limits(limits).await;
    let mut client = Client::login(server.address, ALICE).await;
    // Read and thrown away, with what follows it.
    client
        .send(format!("a APPEND INBOX {{2000+}}\r\n{} {{3+}}\r\nabc\r\n", "x".repeat(2_000)).as_bytes())
        .await;
    assert_eq!(client.line().await.as_deref(), Some("a NO [TOOBIG] the message is too large"));
    client.send(format!("a SELECT {{70000+}}\r\n{}\r\n", "x".repeat(70_000)).as_bytes()).await;
    assert_eq!(client.line().await.as_deref(), Some("a BAD the literal is too long"));
    client.send(b"a SELECT {70000}\r\n").await;
    assert_eq!(client.line().await.as_deref(), Some("a BAD the literal is too long"));
    client.ok("SELECT INBOX").await;
    for (wild, answer) in [
        ("FETCH 1:* FLAGS", "OK"),
        ("STORE 1:* +FLAGS (x)", "OK"),
        ("FETCH 1 FLAGS", "BAD"),
        ("FETCH 2:* FLAGS", "BAD"),
        ("FETCH * FLAGS", "BAD"),
        ("FETCH 4294967296 FLAGS", "BAD"),
        ("FETCH 4294967295 FLAGS", "BAD"),
        ("UID FETCH * FLAGS", "OK"),
        ("UID FETCH 1:4294967295 FLAGS", "OK"),
        ("UID STORE 1:4294967295 +FLAGS (\\Deleted)", "OK"),
        ("UID SEARCH UID 1:4294967295", "OK"),
        ("UID COPY 1:4294967295 Trash", "OK"),
        ("SEARCH 1:*", "OK"),
    ] {
        let (_, tagged) = client.command(wild).await;
        assert!(tagged.starts_with(answer), "{wild}: {tagged}");
    }
    let (_, tagged) = client.command(&format!("SEARCH {}ALL", "NOT ".repeat(10_000))).await;
    assert!(tagged.starts_with("BAD"), "{tagged}");
    let (_, tagged) = client.command(&format!("LIST \"\" {}", "*a%".repeat(1_000))).await;
    assert!(tagged.starts_with("OK"), "{tagged}");

    client.send(b"a APPEND INBOX {4294967295+}\r\nabc").await;
    assert_eq!(last_words(&mut client).await, "* BYE [TOOBIG] the literal is too long");

    let mut client = Client::login(server.address, ALICE).await;
    client.send(&vec![b'x'; 3 << 20]).await;
    client.send(b"\r\n").await;
    assert_eq!(last_words(&mut client).await, "* BYE [TOOBIG] the command line is too long");

    let mut stranger = Client::connect(server.address).await;
    stranger.send(b"a LOGIN {100000+}\r\n").await;
    assert_eq!(last_words(&mut stranger).await, "* BYE [TOOBIG] the literal is too long");
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_errs_too_often_or_waits_too_long_has_to_go() {
    let mut limits = Limits::default();
    limits.imap.errors = 10;
    limits.imap.login = Duration::from_millis(300);
    let server = Server::with_limits(limits).await;
    let mut client = Client::login(server.address, ALICE).await;
    for _ in 0..11 {
        client.send(b"a NONSENSE\r\n").await;
    }
    assert_eq!(last_words(&mut client).await, "* BYE too many bad commands");
    // One now and then is nothing.
    let mut client = Client::login(server.address, ALICE).await;
    for _ in 0..30 {
        let (_, tagged) = client.command("NONSENSE").await;
        assert!(tagged.starts_with("BAD"), "{tagged}");
        client.ok("NOOP").await;
    }
    let mut silent = Client::connect(server.address).await;
    assert_eq!(last_words(&mut silent).await, "* BYE idle for too long");
    let mut chatty = Client::connect(server.address).await;
    let talking = async {
        loop {
            chatty.send(b"a NOOP\r\n").await;
            match chatty.line().await {
                Some(line) if line.starts_with("a OK") => tokio::time::sleep(Duration::from_millis(50)).await,
                other => return other,
            }
        }
    };
    let end = tokio::time::timeout(Duration::from_secs(10), talking).await.expect("it goes on for ever");
    assert_eq!(end.as_deref(), Some("* BYE it took too long to sign in"));
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_never_reads_is_cut_off() {
    let limits = Limits { write: Duration::from_millis(300), slowest: 1 << 30, ..Limits::default() };
    let server = Server::with_limits(limits).await;
    let mut client = Client::login(server.address, ALICE).await;
    client.append("INBOX", &vec![b'x'; 4 << 20]).await;
    client.ok("SELECT INBOX").await;
    for _ in 0..100 {
        client.send(b"a FETCH 1 BODY.PEEK[]\r\n").await;
    }
    let open = || server.adapter.metrics.connections.with_label_values(&["imap"]).get();
    for _ in 0..100 {
        if open() == 0 {
            break;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert_eq!(open(), 0, "the session is still there");
    drop(client);
    server.stop().await;
}

/// CVE-2011-0411: what was sent in the clear must not pass for what comes after the handshake.
#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_carried_across_starttls() {
    let server = Server::start().await;
    let mut client = Client::connect(server.address).await;
    client.send(b"a STARTTLS\r\nb CAPABILITY\r\n").await;
    assert_eq!(client.line().await.as_deref(), Some("a OK go ahead"));
    assert_eq!(client.line().await, None);
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stopping_server_says_goodbye() {
    let server = Server::start().await;
    let mut idle = Client::login(server.address, ALICE).await;
    idle.ok("SELECT INBOX").await;
    idle.send(b"i IDLE\r\n").await;
    assert_eq!(idle.line().await.as_deref(), Some("+ idling"));
    let mut waiting = Client::login(server.address, ALICE).await;
    server.stop().await;
    for client in [&mut idle, &mut waiting] {
        assert_eq!(last_words(client).await, "* BYE [UNAVAILABLE] the server is stopping");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn garbage_harms_nobody() {
    let server = Server::start().await;
    let mut random = 0x9E37_79B9_7F4A_7C15_u64;
    for round in 0..60 {
        let mut client = if round % 2 == 0 {
            Client::connect(server.address).await
        } else {
            let mut client = Client::login(server.address, ALICE).await;
            client.ok("SELECT INBOX").await;
            client
        };
        let mut garbage = Vec::new();
        for _ in 0..2_000 {
            random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            let byte = (random >> 33) as u8;
            garbage.push(match byte % 6 {
                0 => byte,
                1 => b'\n',
                2 => b' ',
                _ => b"a1UIDFETCH(){}[]<>*:,\"\\"[byte as usize % 23],
            });
        }
        client.send(&garbage).await;
        client.send(b"\r\nz LOGOUT\r\n").await;
        // It ends in one way or the other: goodbye, or the rest of a literal that never comes.
        drop(client);
    }
    let mut client = Client::login(server.address, ALICE).await;
    client.ok("NOOP").await;
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_damaged_message_does_not_keep_others_back() {
    let server = Server::start().await;
    let mut client = Client::login(server.address, ALICE).await;
    let mut before = server.packs();
    // More than goes beside its entry, so that there is a file.
    let mut random = 7_u64;
    let mut noise = || {
        random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        char::from(b'!' + (random >> 33) as u8 % 90)
    };
    let lines: String =
        (0..1_400).map(|_| (0..70).map(|_| noise()).chain("\r\n".chars()).collect::<String>()).collect();
    client.append("INBOX", format!("Subject: 1\r\n\r\nfirst body\r\n{lines}").as_bytes()).await;
    let mut pack = server.packs();
    pack.retain(|path| !before.contains(path));
    client.append("INBOX", b"Subject: 2\r\n\r\nsecond body\r\n").await;
    before.clear();
    assert_eq!(pack.len(), 1);
    client.ok("SELECT INBOX").await;
    for damage in [Damage::Flip, Damage::Cut, Damage::Gone] {
        damage.inflict(&pack[0]);
        let (untagged, tagged) = client.command("FETCH 1:2 (UID BODY.PEEK[])").await;
        assert!(tagged.starts_with("NO"), "{damage:?}: {tagged}");
        let text = untagged.join("\n");
        assert!(text.contains("second body") && !text.contains("UID 1 "), "{damage:?}: {text}");
        let (untagged, tagged) = client.command("FETCH 1:2 (FLAGS RFC822.SIZE)").await;
        assert!(tagged.starts_with("OK") && untagged.len() == 2, "{damage:?}: {tagged}");
        assert_eq!(client.ok("SEARCH BODY second").await, ["* SEARCH 2"]);
    }
    server.stop().await;
}

/// What no mail program says: an answer at once, in little memory, and the session goes on.
#[tokio::test(flavor = "multi_thread")]
async fn wild_arguments_are_answered() {
    let mut limits = Limits::default();
    // So that they come as far as the grammar.
    limits.imap.command_line = 1 << 20;
    let server = Server::with_limits(limits).await;
    let mut client = Client::login(server.address, ALICE).await;
    let mut bystander = Client::login(server.address, ALICE).await;
    bystander.ok("SELECT INBOX").await;
    // An empty mailbox: `*` is nobody.
    client.ok("SELECT Archive").await;
    for (command, answer) in [
        ("FETCH * FLAGS", "BAD"),
        ("FETCH 1:* FLAGS", "OK"),
        ("UID FETCH * FLAGS", "OK"),
        ("UID FETCH 1:* (FLAGS) (PARTIAL -1:-10)", "OK"),
        ("STORE * +FLAGS (\\Seen)", "BAD"),
        ("UID STORE * +FLAGS (\\Seen)", "OK"),
        ("UID STORE 1:4294967295 +FLAGS (\\Seen)", "OK"),
        ("COPY * INBOX", "BAD"),
        ("UID MOVE *:4294967295 INBOX", "OK"),
        ("UID EXPUNGE *", "OK"),
        ("REPLACE * INBOX {1+}\r\nx", "BAD"),
        ("SEARCH *", "OK"),
        ("SEARCH UID 4294967295:*", "OK"),
        ("SORT (DATE) UTF-8 *", "OK"),
        ("THREAD REFERENCES UTF-8 ALL", "OK"),
        ("FETCH $ FLAGS", "OK"),
        ("SEARCH 4294967296", "BAD"),
        ("UID FETCH 99999999999999999999:* FLAGS", "BAD"),
        ("UID STORE 4294967295:4294967296 +FLAGS (\\Seen)", "BAD"),
        ("SEARCH LARGER 18446744073709551616", "BAD"),
        ("SEARCH MODSEQ 9223372036854775808", "BAD"),
        ("UID SEARCH RETURN (PARTIAL 0:1) ALL", "BAD"),
        ("FETCH 1 BODY[1.2.3.4.5.4294967296]", "BAD"),
        ("SELECT INBOX (QRESYNC (1 1 1:4294967296))", "BAD"),
    ] {
        let (_, tagged) = client.command(command).await;
        assert!(tagged.starts_with(answer), "{command}: {tagged}");
        // Bad commands in a row would end the session.
        client.ok("NOOP").await;
    }
    for count in 0..10 {
        client.append("Archive", format!("Subject: {count}\r\n\r\n").as_bytes()).await;
    }
    let deep = 10_000;
    let nested = |open: &str, close: &str| format!("SEARCH {}ALL{}", open.repeat(deep), close.repeat(deep));
    for command in [nested("(", ")"), nested("NOT ", ""), nested("OR ALL ", "")] {
        let (_, tagged) = client.command(&command).await;
        assert!(tagged.starts_with("BAD"), "{tagged}");
        client.ok("NOOP").await;
    }
    let keys = format!("SEARCH {}", "SUBJECT x ".repeat(3_000).trim_end());
    assert!(client.command(&keys).await.1.starts_with("BAD"));
    // A million UIDs in one set, as one range, and as many ranges as a command takes.
    client.ok("UID STORE 1:1000000 +FLAGS.SILENT (\\Flagged)").await;
    assert_eq!(client.ok("SEARCH RETURN (COUNT) FLAGGED").await, ["* ESEARCH (TAG \"t\") COUNT 10"]);
    let odd: Vec<String> = (0..8_000).map(|n| (2 * n + 1).to_string()).collect();
    let (_, tagged) = client.command(&format!("UID STORE {} -FLAGS.SILENT (\\Flagged)", odd.join(","))).await;
    assert!(tagged.starts_with("OK"), "{tagged}");
    assert_eq!(client.ok("SEARCH RETURN (COUNT) FLAGGED").await, ["* ESEARCH (TAG \"t\") COUNT 5"]);
    // A thousand wildcards find what they find, without trying every way.
    let name = "a".repeat(400);
    client.ok(&format!("CREATE {name}")).await;
    for pattern in ["*a".repeat(500), "%a".repeat(500), format!("{}b", "*a*".repeat(330))] {
        client.ok(&format!("LIST \"\" {pattern}")).await;
    }
    bystander.ok("NOOP").await;
    server.stop().await;
}

/// A hundred sessions that expunge each other's mail end with the same mailbox.
#[tokio::test(flavor = "multi_thread")]
async fn sessions_that_expunge_each_others_mail_agree() {
    let server = Server::start().await;
    let mut first = Client::login(server.address, ALICE).await;
    for count in 0..40 {
        first.append("INBOX", format!("Subject: {count}\r\n\r\n").as_bytes()).await;
    }
    let address = server.address;
    let sessions = (0..100_u32).map(|number| {
        tokio::spawn(async move {
            let mut client = Client::login(address, ALICE).await;
            if number % 2 == 0 {
                client.ok("ENABLE QRESYNC").await;
            }
            client.ok("SELECT INBOX").await;
            let uid = number % 40 + 1;
            let (_, tagged) = client.command(&format!("UID STORE {uid} +FLAGS (\\Deleted)")).await;
            assert!(tagged.starts_with("OK"), "{tagged}");
            let (_, tagged) = client.command(if number % 3 == 0 { "EXPUNGE" } else { "NOOP" }).await;
            assert!(tagged.starts_with("OK"), "{tagged}");
            client.ok("LOGOUT").await;
        })
    });
    for session in sessions.collect::<Vec<_>>() {
        session.await.expect("session");
    }
    first.ok("SELECT INBOX").await;
    first.ok("EXPUNGE").await;
    assert_eq!(first.ok("UID SEARCH ALL").await, ["* SEARCH"]);
    server.stop().await;
}

#[derive(Debug, Clone, Copy)]
enum Damage {
    /// One bit in every 16 bytes behind the header.
    Flip,
    Cut,
    Gone,
}

impl Damage {
    fn inflict(self, path: &std::path::Path) {
        let mut bytes = std::fs::read(path).expect("pack");
        match self {
            Damage::Flip => bytes.iter_mut().skip(60).step_by(16).for_each(|byte| *byte ^= 1),
            Damage::Cut => bytes.truncate(70),
            Damage::Gone => return std::fs::remove_file(path).expect("removed"),
        }
        std::fs::write(path, bytes).expect("damaged");
    }
}
