//! Runs the dialogues in `tests/dialogues`. A line of such a file is one of
//!
//! ```text
//! # a comment
//! set: NAME          a setting: untrusted, few-errors, small, slow-rate, slow-tenant
//! c: TEXT            the client says the line TEXT; \r \n \0 \t \\ and \xHH as in Rust
//! c- TEXT            the client sends TEXT without a line end
//! s: PATTERN         the server says a line; * stands for anything
//! s...: PATTERN      the server says any number of lines, the last of which is this
//! tls:               both begin TLS
//! close:             the server closes
//! accepted: N        so many messages were accepted since the last time that was asked
//! ```

use std::path::{Path, PathBuf};

use crate::office::{Office, PASSWORD, settings, untrusting};
use crate::wire::Client;

fn files(protocol: &str) -> Vec<PathBuf> {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/dialogues").join(protocol);
    let entries = std::fs::read_dir(&dir).expect("dialogues");
    let mut files: Vec<PathBuf> = entries.map(|entry| entry.expect("entry").path()).collect();
    files.retain(|path| path.extension().is_some_and(|extension| extension == "txt"));
    files.sort();
    assert!(!files.is_empty());
    files
}

#[tokio::test(flavor = "multi_thread")]
async fn smtp_goes_as_written() {
    for file in files("smtp") {
        run(&file, "smtp").await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn submission_goes_as_written() {
    for file in files("submission") {
        run(&file, "submission").await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn pop3_goes_as_written() {
    for file in files("pop3") {
        run(&file, "pop3").await;
    }
}

async fn run(file: &Path, protocol: &str) {
    let text = std::fs::read_to_string(file).expect("dialogue");
    let text = text.replace("{PASSWORD}", PASSWORD);
    let mut chosen = settings();
    for line in text.lines() {
        match line.strip_prefix("set: ").map(str::trim) {
            Some("untrusted") => chosen.limits.trusted_networks = untrusting().limits.trusted_networks,
            Some("few-errors") => {
                chosen.limits.smtp.errors = 3;
                chosen.limits.smtp.refused_recipients = 3;
                chosen.limits.pop3.errors = 3;
            }
            Some("small") => {
                chosen.limits.smtp.message_size = 1000;
                chosen.limits.smtp.recipients = 2;
                chosen.limits.smtp.command_line = 512;
            }
            Some("slow-rate") => chosen.limits.smtp.messages_per_minute_and_ip = 1,
            Some("slow-tenant") => chosen.limits.smtp.messages_per_minute_and_tenant = 1,
            Some(other) => panic!("{}: no setting {other}", file.display()),
            None => {}
        }
    }
    let office = Office::open(chosen).await;
    let address = match protocol {
        "smtp" => office.smtp,
        "submission" => office.submission,
        _ => office.pop3,
    };
    let mut client = Client::connect(address).await;
    for (number, line) in text.lines().enumerate() {
        let place = format!("{}:{}", file.display(), number + 1);
        let (word, rest) = line.split_once(' ').unwrap_or((line, ""));
        match word {
            "" | "#" | "set:" => {}
            "c:" => client.send(&[&*unescaped(rest), b"\r\n"].concat()).await,
            "c-" => client.send(&unescaped(rest)).await,
            "s:" => {
                let said = client.line().await.unwrap_or_else(|| panic!("{place}: closed"));
                assert!(matches(rest, &said), "{place}: {said:?} is not {rest:?}");
            }
            "s...:" => {
                let mut said: Vec<String> = Vec::new();
                while said.last().is_none_or(|last| !matches(rest, last)) {
                    match client.line().await {
                        Some(line) => said.push(line),
                        None => panic!("{place}: closed after {said:?}"),
                    }
                }
            }
            "tls:" => client.tls(&office.certificate()).await,
            "close:" => assert_eq!(client.line().await, None, "{place}"),
            "accepted:" => {
                let accepted = office.accepted().await.len();
                assert_eq!(accepted.to_string(), rest, "{place}");
            }
            other => panic!("{place}: what is {other:?}?"),
        }
    }
    office.adapter.shutdown.begin();
}

fn unescaped(text: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut rest = text;
    while let Some(at) = rest.find('\\') {
        bytes.extend_from_slice(&rest.as_bytes()[..at]);
        let (value, len) = match rest.as_bytes()[at + 1] {
            b'r' => (b'\r', 2),
            b'n' => (b'\n', 2),
            b't' => (b'\t', 2),
            b'0' => (0, 2),
            b'x' => (u8::from_str_radix(&rest[at + 2..at + 4], 16).expect("hex"), 4),
            other => (other, 2),
        };
        bytes.push(value);
        rest = &rest[at + len..];
    }
    bytes.extend_from_slice(rest.as_bytes());
    bytes
}

fn matches(pattern: &str, line: &str) -> bool {
    let mut pieces = pattern.split('*');
    let Some(mut rest) = line.strip_prefix(pieces.next().unwrap_or("")) else { return false };
    let mut pieces = pieces.peekable();
    if pieces.peek().is_none() {
        return rest.is_empty();
    }
    while let Some(piece) = pieces.next() {
        if pieces.peek().is_none() {
            return rest.ends_with(piece);
        }
        match rest.find(piece) {
            Some(at) => rest = &rest[at + piece.len()..],
            None => return false,
        }
    }
    true
}
