//! MULTIAPPEND (RFC 3502) of so much that it is prepared while it comes.

use std::collections::BTreeSet;
use std::time::Duration;

use crate::dialogue::Client;
use crate::server::{ALICE, BOB, PASSWORD, Server};

/// Messages of all sizes, the larger ones among the small; some with a NUL for a binary literal.
fn messages(count: usize) -> Vec<Vec<u8>> {
    let message = |number: usize| {
        let mut raw = format!("Subject: number {number}\r\n\r\n").into_bytes();
        let len = match number % 50 {
            0 => 0,
            7 => 90_000,
            _ => 200 + number * 37 % 9_000,
        };
        raw.extend((0..len).map(|at| b'a' + ((at * 7 + number) % 26) as u8));
        raw
    };
    (0..count).map(message).collect()
}

/// All of the command but its last line end.
fn command(messages: &[Vec<u8>], mailbox: &str) -> Vec<u8> {
    let mut command = format!("t APPEND {mailbox}").into_bytes();
    for raw in messages {
        command.extend_from_slice(format!(" (\\Seen) {{{}+}}\r\n", raw.len()).as_bytes());
        command.extend_from_slice(raw);
    }
    command
}

async fn append_all(client: &mut Client, messages: &[Vec<u8>], mailbox: &str) -> String {
    client.send(&command(messages, mailbox)).await;
    complete(client).await
}

async fn complete(client: &mut Client) -> String {
    client.send(b"\r\n").await;
    loop {
        let line = client.line().await.expect("an answer");
        if let Some(tagged) = line.strip_prefix("t ") {
            return tagged.to_owned();
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_message_of_a_large_append_is_what_was_sent() {
    let server = Server::start().await;
    let mut client = Client::login(server.address, ALICE).await;
    client.ok("CREATE many").await;
    client.ok("SELECT many").await;
    let messages = messages(300);
    // Twice: what the first command has prepared must not get into the second.
    for round in 0..2_usize {
        let sent: Vec<Vec<u8>> = messages.iter().skip(round).cloned().collect();
        let told = append_all(&mut client, &sent, "many").await;
        assert!(told.starts_with("OK [APPENDUID"), "{told}");
        let before = if round == 0 { 0 } else { messages.len() };
        for (number, raw) in (before + 1..).zip(&sent) {
            is_there(&mut client, number, raw).await;
        }
    }
}

async fn is_there(client: &mut Client, number: usize, raw: &[u8]) {
    client.send(format!("f FETCH {number} (FLAGS BODY.PEEK[])\r\n").as_bytes()).await;
    let head = client.line().await.expect("a message");
    assert!(head.contains("\\Seen"), "{head}");
    let size = head.rsplit_once('{').and_then(|(_, size)| size.strip_suffix('}')?.parse().ok());
    assert_eq!(size, Some(raw.len()), "{head}");
    assert_eq!(client.bytes(raw.len()).await, raw, "message {number}");
    while !client.line().await.expect("the end").starts_with("f OK") {}
}

#[tokio::test(flavor = "multi_thread")]
async fn much_is_packed_before_its_command_is_complete() {
    let server = Server::start().await;
    let mut client = Client::login(server.address, ALICE).await;
    client.ok("CREATE many").await;
    let messages = messages(900);
    client.send(&command(&messages, "many")).await;
    while server.packs().is_empty() {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let mut other = Client::login(server.address, ALICE).await;
    assert_eq!(other.ok("STATUS many (MESSAGES)").await, ["* STATUS many (MESSAGES 0)"]);
    let told = complete(&mut client).await;
    assert!(told.starts_with("OK [APPENDUID"), "{told}");
    assert!(server.packs().len() > 1);
    client.ok("SELECT many").await;
    for (number, raw) in (1..).zip(&messages).step_by(7) {
        is_there(&mut client, number, raw).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_goes_to_a_colleague_lies_in_packs_of_the_colleague() {
    const CAROL: &str = "carol@example.test";
    let server = Server::start().await;
    server.adapter.directory.add_account(CAROL, PASSWORD, "Carol", None).await.expect("account");
    let mut carol = Client::login(server.address, CAROL).await;
    carol.ok("CREATE Team").await;
    carol.ok("SETACL Team alice@example.test lrswipkxte").await;
    let mut alice = Client::login(server.address, ALICE).await;
    let messages = messages(900);
    carol.ok("SELECT Team").await;
    let name = "Other Users/carol@example.test/Team";
    // As a literal it is only known when all has come.
    for (round, name) in [format!("\"{name}\""), format!("{{{}+}}\r\n{name}", name.len())].iter().enumerate()
    {
        let told = append_all(&mut alice, &messages, name).await;
        assert!(told.starts_with("OK [APPENDUID"), "{told}");
        carol.ok("NOOP").await;
        for (number, raw) in (1 + round * messages.len()..).zip(&messages).step_by(31) {
            is_there(&mut carol, number, raw).await;
        }
    }
    let account = server.adapter.directory.account_at(CAROL).await.expect("directory");
    let key = account.expect("carol").key;
    let mailroom = &server.adapter.mailroom;
    let state = mailroom.account(key).await.expect("account").state();
    let rows = &state.mailbox_named("Team").expect("mailbox").rows;
    assert_eq!(rows.len(), 2 * messages.len());
    let packs: BTreeSet<_> = rows.iter().map(|row| row.blob.pack).collect();
    for pack in packs {
        let entries = mailroom.store().toc(key.tenant, pack).await.expect("pack");
        assert!(entries.iter().all(|entry| entry.owners == [key.account]));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_packed_ahead_that_there_is_no_room_for() {
    let server = Server::start().await;
    let mut bob = Client::login(server.address, BOB).await;
    let told = append_all(&mut bob, &messages(900), "INBOX").await;
    assert!(told.starts_with("NO [OVERQUOTA]"), "{told}");
    assert_eq!(server.packs(), Vec::<std::path::PathBuf>::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refused_append_leaves_nothing_behind() {
    let server = Server::start().await;
    let mut client = Client::login(server.address, ALICE).await;
    client.ok("CREATE many").await;
    let mut sent = messages(120);
    let told = append_all(&mut client, &sent, "nowhere").await;
    assert!(told.starts_with("NO [TRYCREATE]"), "{told}");
    // An empty message in the middle: all or none.
    sent[60].clear();
    let told = append_all(&mut client, &sent, "many").await;
    assert!(told.starts_with("NO"), "{told}");
    let status = client.ok("STATUS many (MESSAGES)").await;
    assert_eq!(status, ["* STATUS many (MESSAGES 0)"]);
    let told = append_all(&mut client, &sent[..2], "many").await;
    assert!(told.starts_with("OK [APPENDUID"), "{told}");
}
