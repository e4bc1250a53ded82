//! Dialogues as text: what clients say and what the server must answer.
//!
//! ```text
//! c: a NOOP            the client sends this line
//! s: a OK [[*]]        the server's next line; [[*]] stands for anything
//! s~: a                lines up to the first that begins so are passed over, and that one too
//! c: a APPEND x {LIT}  a literal of the l: lines that follow, then the rest of the line; {LIT+} does not wait
//! l: Subject: x
//! c2: …  s2: …  l2:    the same on a second connection
//! login 2              a second connection signs in as alice
//! ```
//! Every connection has said LOGIN already; `raw` as the first line leaves that to the dialogue.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;

use crate::server::{ALICE, PASSWORD, Server};

const PATIENCE: Duration = Duration::from_secs(20);

/// A client that speaks lines.
pub struct Client {
    stream: BufReader<TcpStream>,
}

impl Client {
    /// Connects and takes the greeting.
    pub async fn connect(address: SocketAddr) -> Client {
        let stream = TcpStream::connect(address).await.expect("connect");
        let mut client = Client { stream: BufReader::new(stream) };
        let greeting = client.line().await.expect("greeting");
        assert!(greeting.starts_with("* OK [CAPABILITY IMAP4rev1"), "{greeting}");
        client
    }

    /// Connects and signs in.
    pub async fn login(address: SocketAddr, user: &str) -> Client {
        let mut client = Client::connect(address).await;
        client.ok(&format!("LOGIN {user} \"{PASSWORD}\"")).await;
        client
    }

    pub async fn send(&mut self, bytes: &[u8]) {
        self.stream.get_mut().write_all(bytes).await.expect("send");
    }

    /// The next line without its end; `None` when the server has closed.
    pub async fn line(&mut self) -> Option<String> {
        let mut line = Vec::new();
        let reading = self.stream.read_until(b'\n', &mut line);
        let count =
            tokio::time::timeout(PATIENCE, reading).await.expect("the server says nothing").unwrap_or(0);
        let line = String::from_utf8_lossy(&line).into_owned();
        (count > 0).then(|| line.strip_suffix("\r\n").unwrap_or(&line).to_owned())
    }

    pub async fn bytes(&mut self, count: usize) -> Vec<u8> {
        let mut bytes = vec![0; count];
        let reading = self.stream.read_exact(&mut bytes);
        tokio::time::timeout(PATIENCE, reading).await.expect("the server says nothing").expect("bytes");
        bytes
    }

    /// Sends a command and gives the untagged lines and the tagged one.
    pub async fn command(&mut self, command: &str) -> (Vec<String>, String) {
        self.send(format!("t {command}\r\n").as_bytes()).await;
        self.answers().await
    }

    /// Sends a command that must be answered with OK; gives the untagged lines.
    pub async fn ok(&mut self, command: &str) -> Vec<String> {
        let (untagged, tagged) = self.command(command).await;
        assert!(tagged.starts_with("OK"), "{command}: {tagged}");
        untagged
    }

    /// Appends a message; gives the untagged lines and the tagged one.
    pub async fn append_told(&mut self, mailbox: &str, raw: &[u8]) -> (Vec<String>, String) {
        self.send(format!("t APPEND {mailbox} {{{}+}}\r\n", raw.len()).as_bytes()).await;
        self.send(raw).await;
        self.send(b"\r\n").await;
        self.answers().await
    }

    /// Appends a message; gives the tagged line.
    pub async fn append(&mut self, mailbox: &str, raw: &[u8]) -> String {
        self.append_told(mailbox, raw).await.1
    }

    async fn answers(&mut self) -> (Vec<String>, String) {
        let mut untagged = Vec::new();
        loop {
            let line = self.line().await.expect("an answer");
            if let Some(tagged) = line.strip_prefix("t ") {
                return (untagged, tagged.to_owned());
            }
            untagged.push(line);
        }
    }
}

/// Runs a dialogue against a server of its own.
pub async fn run(path: &Path) {
    let text = std::fs::read_to_string(path).expect("dialogue");
    let server = Server::start().await;
    let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let mut clients: BTreeMap<usize, Client> = BTreeMap::new();
    if !text.starts_with("raw\n") {
        clients.insert(1, Client::login(server.address, ALICE).await);
    } else {
        clients.insert(1, Client::connect(server.address).await);
    }
    let lines: Vec<&str> = text.lines().collect();
    let mut at = 0;
    while at < lines.len() {
        let (line, place) = (lines[at], format!("{name}:{}", at + 1));
        at += 1;
        if line.is_empty() || line.starts_with('#') || line == "raw" {
            continue;
        }
        if let Some(number) = line.strip_prefix("login ") {
            let number = number.parse().expect("number");
            clients.insert(number, Client::login(server.address, ALICE).await);
            continue;
        }
        let (kind, rest) = line.split_once(':').unwrap_or_else(|| panic!("{place}: {line}"));
        let rest = rest.strip_prefix(' ').unwrap_or(rest);
        let number: usize = kind.replace(|c: char| !c.is_ascii_digit(), "").parse().unwrap_or(1);
        let client = clients.get_mut(&number).unwrap_or_else(|| panic!("{place}: no such client"));
        match kind.replace(|c: char| c.is_ascii_digit(), "").as_str() {
            "c" => {
                let mut literal = String::new();
                let literal_at = rest.find("{LIT}").or_else(|| rest.find("{LIT+}"));
                let Some(literal_at) = literal_at else {
                    client.send(format!("{rest}\r\n").as_bytes()).await;
                    continue;
                };
                let (head, tail) = rest.split_at(literal_at);
                let (mark, tail) = tail.split_at(tail.find('}').map_or(tail.len(), |end| end + 1));
                while at < lines.len() && lines[at].starts_with('l') {
                    let text = lines[at].split_once(':').map_or("", |(_, text)| text);
                    literal.push_str(text.strip_prefix(' ').unwrap_or(text));
                    literal.push_str("\r\n");
                    at += 1;
                }
                let plus = if mark == "{LIT+}" { "+" } else { "" };
                client.send(format!("{head}{{{}{plus}}}\r\n", literal.len()).as_bytes()).await;
                if plus.is_empty() {
                    let go_on = client.line().await.unwrap_or_default();
                    assert!(go_on.starts_with("+ "), "{place}: {go_on}");
                }
                client.send(literal.as_bytes()).await;
                client.send(format!("{tail}\r\n").as_bytes()).await;
            }
            "s" => {
                let line = client.line().await;
                let line = line.unwrap_or_else(|| "(the server has closed)".to_owned());
                assert!(matches(rest, &line), "{place}:\n  expected {rest}\n  got      {line}");
            }
            "s~" => loop {
                let line = client.line().await.unwrap_or_else(|| panic!("{place}: the server has closed"));
                if line.starts_with(rest) {
                    break;
                }
            },
            "end" => assert_eq!(client.line().await, None, "{place}: the server goes on"),
            _ => panic!("{place}: {line}"),
        }
    }
    drop(clients);
    server.stop().await;
}

/// Does a line match, with `[[*]]` for anything?
fn matches(pattern: &str, line: &str) -> bool {
    let mut rest = line;
    let mut parts = pattern.split("[[*]]");
    let first = parts.next().unwrap_or_default();
    let Some(after) = rest.strip_prefix(first) else { return false };
    rest = after;
    let parts: Vec<&str> = parts.collect();
    for (index, part) in parts.iter().enumerate() {
        if index == parts.len() - 1 {
            return rest.ends_with(part);
        }
        match rest.find(part) {
            Some(found) => rest = &rest[found + part.len()..],
            None => return false,
        }
    }
    rest.is_empty()
}
