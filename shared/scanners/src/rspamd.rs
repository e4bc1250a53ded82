//! rspamd: `POST /checkv2` (<https://rspamd.com/doc/architecture/protocol.html>). The letter is the body, its envelope stands
//! in header fields, and a document in JSON comes back.

use std::collections::BTreeMap;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use http_body_util::{BodyExt, Full, Limited};
use hyper::Request;
use hyper::client::conn::http1;
use hyper::header::{HeaderName, HeaderValue};
use hyper_util::rt::TokioIo;
use pennypost_model::scan::{Finding, Points, ScanReport, SpamFinding};
use pennypost_ports::{ScanError, ScanLetter, Scanner, ScansFor};
use serde::Deserialize;

use crate::place::{Connection, Place};

const NAME: &str = "rspamd";
/// Bytes of an answer at most.
const MAX_ANSWER: usize = 1 << 20;
/// Symbols that are kept.
const MAX_SYMBOLS: usize = 20;
/// Bytes of a word that is kept.
const MAX_WORD: usize = 60;

/// A worker of rspamd.
pub struct Rspamd {
    place: Place,
    wait: Duration,
    max_bytes: u64,
}

/// What it answers, as far as it is asked for here.
#[derive(Deserialize)]
struct Answer {
    #[serde(default)]
    is_skipped: bool,
    score: Option<f64>,
    #[serde(default)]
    action: String,
    #[serde(default)]
    symbols: BTreeMap<String, Symbol>,
}

#[derive(Deserialize)]
struct Symbol {
    #[serde(default)]
    score: f64,
}

fn word(text: &str) -> String {
    let plain = text.chars().filter(|c| c.is_ascii_graphic() || *c == ' ');
    plain.take(MAX_WORD).collect()
}

fn meant(answer: Answer) -> Option<Finding> {
    // By its own test letter it says both: that it has looked no further, and what it thinks of it.
    if answer.is_skipped && !answer.score.is_some_and(|score| score > 0.0) {
        return Some(Finding::Unscanned("rspamd has passed it over, as its operator has said".to_owned()));
    }
    let points = Points::of(answer.score?)?;
    let mut symbols: Vec<(String, f64)> =
        answer.symbols.into_iter().map(|(name, symbol)| (word(&name), symbol.score)).collect();
    symbols.sort_by(|one, other| other.1.abs().total_cmp(&one.1.abs()));
    let symbols = symbols.into_iter().take(MAX_SYMBOLS).map(|(name, _)| name).collect();
    Some(Finding::Spam(SpamFinding { points, action: word(&answer.action), symbols }))
}

impl Rspamd {
    /// The one at that place, which is waited for so long, and gets letters of up to so many bytes.
    #[must_use]
    pub fn new(place: Place, wait: Duration, max_bytes: u64) -> Rspamd {
        Rspamd { place, wait, max_bytes }
    }

    async fn asked(&self, letter: &ScanLetter<'_>) -> Result<ScanReport, ScanError> {
        let connected = self.place.connect().await;
        let connection = connected.map_err(|cause| ScanError::Unavailable { scanner: NAME, cause })?;
        let told = self.asked_over(connection, letter).await;
        told.map_err(|cause| ScanError::Failed { scanner: NAME, cause })
    }

    async fn asked_over(
        &self,
        connection: Box<dyn Connection>,
        letter: &ScanLetter<'_>,
    ) -> Result<ScanReport, String> {
        let io = TokioIo::new(connection);
        let told = |error: hyper::Error| format!("no answer: {error}");
        let (mut sender, connection) = http1::handshake(io).await.map_err(told)?;
        let request = request(letter)?;
        let asking = async {
            let response = sender.send_request(request).await.map_err(told)?;
            let (head, body) = response.into_parts();
            let body = Limited::new(body, MAX_ANSWER).collect().await;
            let body = body.map_err(|_| "its answer broke off, or is too long".to_owned())?.to_bytes();
            if head.status != hyper::StatusCode::OK {
                return Err(format!("HTTP status {}", head.status.as_u16()));
            }
            let server = head.headers.get(hyper::header::SERVER).and_then(|value| value.to_str().ok());
            let version = server.map(word).unwrap_or_default();
            let answer: Answer =
                serde_json::from_slice(&body).map_err(|_| "no document of a scan".to_owned())?;
            let finding = meant(answer).ok_or("no score in its answer")?;
            Ok(ScanReport { scanner: NAME, version, finding })
        };
        // The connection is driven as long as something is asked over it, and no longer.
        let (connection, mut asking) = (std::pin::pin!(connection), std::pin::pin!(asking));
        tokio::select! {
            biased;
            report = &mut asking => report,
            // What had come by then is read; what had not is an error there.
            _ = connection => asking.await,
        }
    }
}

/// What may stand in a header field; what may not is left out.
fn value(text: &str) -> Option<HeaderValue> {
    HeaderValue::from_str(text).ok().filter(|_| !text.is_empty())
}

fn request(letter: &ScanLetter<'_>) -> Result<Request<Full<Bytes>>, String> {
    let body = Full::new(Bytes::copy_from_slice(letter.raw));
    let mut request =
        Request::post("/checkv2").header("host", "rspamd").body(body).map_err(|e| e.to_string())?;
    let id = letter.id.to_string();
    let ip = letter.ip.map(|ip| ip.to_string()).unwrap_or_default();
    let fields =
        [("queue-id", id.as_str()), ("from", letter.reverse_path), ("ip", &ip), ("helo", letter.helo)];
    let recipients = letter.recipients.iter().map(|recipient| ("rcpt", *recipient));
    for (name, text) in fields.into_iter().chain(recipients) {
        if let Some(value) = value(text) {
            request.headers_mut().append(HeaderName::from_static(name), value);
        }
    }
    Ok(request)
}

#[async_trait]
impl Scanner for Rspamd {
    fn name(&self) -> &'static str {
        NAME
    }

    fn scans_for(&self) -> ScansFor {
        ScansFor::Spam
    }

    async fn scan(&self, letter: &ScanLetter<'_>) -> Result<ScanReport, ScanError> {
        if letter.raw.len() as u64 > self.max_bytes {
            let cause = format!("it has more than {} bytes", self.max_bytes);
            return Err(ScanError::Refused { scanner: NAME, cause });
        }
        match tokio::time::timeout(self.wait, self.asked(letter)).await {
            Ok(report) => report,
            Err(_) => {
                let cause = format!("it took longer than {} s", self.wait.as_secs());
                Err(ScanError::Failed { scanner: NAME, cause })
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use pennypost_model::EventId;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;

    use super::*;

    /// Answers once, with that document and status; what was asked.
    async fn rspamd(status: &str, document: &str) -> (Place, tokio::task::JoinHandle<String>) {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("listens");
        let place = Place::Tcp(listener.local_addr().expect("an address").to_string());
        let answer = format!(
            "HTTP/1.1 {status}\r\nServer: rspamd/3.8.1\r\nConnection: close\r\nContent-Length: {}\r\n\r\n{document}",
            document.len()
        );
        let asked = tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.expect("a connection");
            let mut asked = Vec::new();
            while !asked.ends_with(b"THE END") {
                if stream.read_buf(&mut asked).await.expect("read") == 0 {
                    break;
                }
            }
            stream.write_all(answer.as_bytes()).await.expect("said");
            String::from_utf8_lossy(&asked).into_owned()
        });
        (place, asked)
    }

    fn letter<'a>(raw: &'a [u8], recipients: &'a [&'a str]) -> ScanLetter<'a> {
        let (ip, id) = (Some([192, 0, 2, 1].into()), EventId::from_bytes([0; 16]));
        ScanLetter { id, raw, reverse_path: "a@b.example", recipients, ip, helo: "mx.b.example" }
    }

    async fn scan(place: Place) -> Result<ScanReport, ScanError> {
        let recipients = ["one@t.test", "two@t.test", "bad\r\nX: y@t.test"];
        Rspamd::new(place, Duration::from_secs(20), 1 << 20).scan(&letter(b"\r\nTHE END", &recipients)).await
    }

    #[tokio::test]
    async fn the_envelope_goes_with_the_letter_and_the_score_comes_back() {
        let document = r#"{"is_skipped":false,"score":15.5,"required_score":15.0,"action":"reject","symbols":
            {"SMALL":{"name":"SMALL","score":0.5},"GTUBE":{"name":"GTUBE","score":15.0,"options":["x"]}},"more":1}"#;
        let (place, asked) = rspamd("200 OK", document).await;
        let report = scan(place).await.expect("an answer");
        assert_eq!((report.scanner, report.version.as_str()), (NAME, "rspamd/3.8.1"));
        let Finding::Spam(found) = report.finding else { panic!("{report:?}") };
        assert_eq!((found.points, found.action.as_str()), (Points(1550), "reject"));
        assert_eq!(found.symbols, ["GTUBE", "SMALL"]);
        let asked = asked.await.expect("asked").to_lowercase();
        assert!(asked.starts_with("post /checkv2 http/1.1\r\n"), "{asked}");
        for line in [
            "from: a@b.example",
            "rcpt: one@t.test",
            "rcpt: two@t.test",
            "ip: 192.0.2.1",
            "helo: mx.b.example",
        ] {
            assert!(asked.contains(&format!("{line}\r\n")), "{line}: {asked}");
        }
        assert!(!asked.contains("x: y") && asked.contains("queue-id: "), "{asked}");
    }

    #[tokio::test]
    async fn what_is_no_answer_is_a_failure_and_what_was_skipped_is_told() {
        for (status, document) in [
            ("500 Oops", "{}"),
            ("200 OK", "{}"),
            ("200 OK", r#"{"score":1e300}"#),
            ("200 OK", r#"{"score":"high"}"#),
            ("200 OK", "<html>"),
        ] {
            let (place, _asked) = rspamd(status, document).await;
            let scanned = scan(place).await;
            assert!(matches!(scanned, Err(ScanError::Failed { .. })), "{document} {scanned:?}");
        }
        let (place, _asked) = rspamd("200 OK", r#"{"is_skipped":true}"#).await;
        assert!(matches!(scan(place).await, Ok(ScanReport { finding: Finding::Unscanned(_), .. })));
        // What 3.4 says of a GTUBE.
        let gtube = r#"{"is_skipped":true,"score":15.0,"required_score":15.0,"action":"reject","symbols":
            {"GTUBE":{"name":"GTUBE","score":0.0,"metric_score":0.0}},"messages":{"smtp_message":"Gtube pattern"}}"#;
        let (place, _asked) = rspamd("200 OK", gtube).await;
        let report = scan(place).await.expect("an answer");
        assert!(matches!(report.finding, Finding::Spam(found) if found.points == Points(1_500)));
        let large = vec![b'x'; 2 << 20];
        let (place, _asked) = rspamd("200 OK", "{}").await;
        let scanned = Rspamd::new(place, Duration::from_secs(1), 1 << 20).scan(&letter(&large, &[])).await;
        assert!(matches!(scanned, Err(ScanError::Refused { .. })));
    }

    #[tokio::test]
    async fn who_closes_or_is_silent_is_not_waited_for() {
        for is_silent in [false, true] {
            let listener = TcpListener::bind("127.0.0.1:0").await.expect("listens");
            let place = Place::Tcp(listener.local_addr().expect("an address").to_string());
            let served = tokio::spawn(async move {
                let accepted = listener.accept().await;
                if is_silent {
                    std::future::pending::<()>().await;
                }
                drop(accepted);
            });
            let scanned =
                Rspamd::new(place, Duration::from_millis(500), 1 << 20).scan(&letter(b"x", &[])).await;
            assert!(matches!(scanned, Err(ScanError::Failed { .. })), "{scanned:?}");
            served.abort();
        }
        let nobody =
            Rspamd::new(Place::Unix("/nowhere/rspamd.sock".into()), Duration::from_secs(20), 1 << 20);
        let scanned = nobody.scan(&letter(b"x", &[])).await;
        assert!(matches!(scanned, Err(ScanError::Unavailable { .. })), "{scanned:?}");
    }
}
