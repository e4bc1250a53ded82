//! MULTIAPPEND (RFC 3502) of so much that it is prepared while it comes.

use crate::dialogue::Client;
use crate::server::{ALICE, Server};

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

async fn append_all(client: &mut Client, messages: &[Vec<u8>], mailbox: &str) -> String {
    let mut command = format!("t APPEND {mailbox}").into_bytes();
    for raw in messages {
        command.extend_from_slice(format!(" (\\Seen) {{{}+}}\r\n", raw.len()).as_bytes());
        command.extend_from_slice(raw);
    }
    command.extend_from_slice(b"\r\n");
    client.send(&command).await;
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
            client.send(format!("f FETCH {number} (FLAGS BODY.PEEK[])\r\n").as_bytes()).await;
            let head = client.line().await.expect("a message");
            assert!(head.contains("\\Seen"), "{head}");
            let size = head.rsplit_once('{').and_then(|(_, size)| size.strip_suffix('}')?.parse().ok());
            assert_eq!(size, Some(raw.len()), "{head}");
            assert_eq!(&client.bytes(raw.len()).await, raw, "message {number}");
            while !client.line().await.expect("the end").starts_with("f OK") {}
        }
    }
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
