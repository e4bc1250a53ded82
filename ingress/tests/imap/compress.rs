//! COMPRESS=DEFLATE over a real socket, against the stream interface of the same codec as a client has it.

use std::time::Duration;

use miniz_oxide::deflate::core::{CompressorOxide, create_comp_flags_from_zip_params};
use miniz_oxide::deflate::stream::deflate;
use miniz_oxide::inflate::stream::{InflateState, inflate};
use miniz_oxide::{DataFormat, MZFlush};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::server::{ALICE, PASSWORD, Server};

struct Compressed {
    socket: TcpStream,
    deflater: Box<CompressorOxide>,
    inflater: Box<InflateState>,
    text: String,
}

impl Compressed {
    async fn connect(server: &Server) -> Compressed {
        let mut socket = TcpStream::connect(server.address).await.expect("connected");
        socket
            .write_all(format!("a LOGIN {ALICE} \"{PASSWORD}\"\r\nb COMPRESS DEFLATE\r\n").as_bytes())
            .await
            .expect("sent");
        let mut said = String::new();
        while !said.contains("\r\nb OK") || !said.ends_with("\r\n") {
            let mut byte = [0];
            socket.read_exact(&mut byte).await.expect("answer");
            said.push(char::from(byte[0]));
        }
        let flags = create_comp_flags_from_zip_params(9, -15, 0);
        Compressed {
            socket,
            deflater: Box::new(CompressorOxide::new(flags)),
            inflater: InflateState::new_boxed(DataFormat::Raw),
            text: String::new(),
        }
    }

    async fn send(&mut self, text: &[u8]) {
        let mut out = vec![0; text.len() + 1_000];
        let result = deflate(&mut self.deflater, text, &mut out, MZFlush::Sync);
        assert_eq!(result.bytes_consumed, text.len());
        self.socket.write_all(&out[..result.bytes_written]).await.expect("sent");
    }

    /// Reads until a line begins so; `None` when the server has closed.
    async fn until(&mut self, start: &str) -> Option<String> {
        loop {
            if self.text.split_inclusive("\r\n").any(|line| line.starts_with(start) && line.ends_with("\r\n"))
            {
                return Some(std::mem::take(&mut self.text));
            }
            let mut bytes = vec![0; 4_096];
            let reading = self.socket.read(&mut bytes);
            let count = tokio::time::timeout(Duration::from_secs(20), reading).await.expect("silence");
            let count = count.unwrap_or(0);
            if count == 0 {
                return None;
            }
            let mut input = &bytes[..count];
            let mut out = vec![0; 64 * 1024];
            loop {
                let result = inflate(&mut self.inflater, input, &mut out, MZFlush::None);
                input = &input[result.bytes_consumed..];
                self.text.push_str(&String::from_utf8_lossy(&out[..result.bytes_written]));
                if result.bytes_written == 0 && input.is_empty() || result.status.is_err() {
                    break;
                }
            }
        }
    }

    async fn ok(&mut self, command: &str) -> String {
        self.send(format!("t {command}\r\n").as_bytes()).await;
        let answer = self.until("t ").await.expect("answer");
        assert!(answer.contains("t OK"), "{command}: {answer}");
        answer
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn both_directions_are_compressed_and_rest_in_between() {
    let server = Server::start().await;
    let mut client = Compressed::connect(&server).await;
    client.ok("SELECT INBOX").await;
    let body = "Subject: x\r\n\r\n".to_owned() + &"the same line again and again\r\n".repeat(20_000);
    client.send(format!("t APPEND INBOX {{{}+}}\r\n{body}\r\n", body.len()).as_bytes()).await;
    assert!(client.until("t ").await.expect("answer").contains("t OK [APPENDUID"));
    let before = server.adapter.metrics.bytes_out.with_label_values(&["imap"]).get();
    let fetched = client.ok("FETCH 1 BODY.PEEK[]").await;
    assert!(fetched.contains(&body), "the body differs");
    let sent = server.adapter.metrics.bytes_out.with_label_values(&["imap"]).get() - before;
    assert!(sent < body.len() as u64 / 20, "{sent} bytes for {}", body.len());
    // Long enough for the server to put away what it can, several times.
    for _ in 0..2 {
        tokio::time::sleep(Duration::from_millis(2_300)).await;
        client.ok("NOOP").await;
        assert!(client.ok("FETCH 1 BODY.PEEK[HEADER]").await.contains("Subject: x"));
    }
    // Many commands in one block, and one in many.
    let many: String = (0..500).map(|number| format!("p{number} NOOP\r\n")).collect();
    client.send(many.as_bytes()).await;
    client.until("p499 OK").await.expect("answer");
    for byte in b"t NOOP\r\n" {
        client.send(&[*byte]).await;
    }
    client.until("t OK").await.expect("answer");
    client.send(b"t COMPRESS DEFLATE\r\n").await;
    assert!(client.until("t ").await.expect("answer").starts_with("t NO [COMPRESSIONACTIVE]"));
    // RFC 8437 section 3: compression stays.
    client.ok("UNAUTHENTICATE").await;
    client.send(b"t STARTTLS\r\n").await;
    assert!(client.until("t ").await.expect("answer").starts_with("t BAD"));
    client.ok(&format!("LOGIN {ALICE} \"{PASSWORD}\"")).await;
    client.ok("LOGOUT").await;
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn bombs_and_garbage_end_their_session_only() {
    let server = Server::start().await;
    // A line of 100 MB without an end.
    let mut client = Compressed::connect(&server).await;
    let piece = vec![b'x'; 1 << 20];
    for _ in 0..100 {
        let mut out = vec![0; piece.len()];
        let result = deflate(&mut client.deflater, &piece, &mut out, MZFlush::Sync);
        if client.socket.write_all(&out[..result.bytes_written]).await.is_err() {
            break;
        }
    }
    assert_eq!(client.until("never").await, None);
    // A literal that is too large, compressed to nothing.
    let mut client = Compressed::connect(&server).await;
    client.send(b"t APPEND INBOX {4294967295}\r\n").await;
    assert!(client.until("t ").await.expect("answer").starts_with("t NO [TOOBIG]"));
    client.ok("NOOP").await;
    // What is no deflate.
    let mut client = Compressed::connect(&server).await;
    client.socket.write_all(&[0xff; 64]).await.expect("sent");
    assert_eq!(client.until("never").await, None);
    let mut client = Compressed::connect(&server).await;
    client.ok("NOOP").await;
    server.stop().await;
}
