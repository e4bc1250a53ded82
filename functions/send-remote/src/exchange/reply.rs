//! Replies of other servers: read within bounds, whatever they are.

use std::time::Duration;

use pennypost_model::message::cut;
use pennypost_model::trace::{RemoteAnswer, RemoteOutcome};
use tokio::io::{AsyncRead, AsyncReadExt};

/// Bytes of a line at most. RFC 5321 section 4.5.3.1.5 says 512; some say more.
const MAX_LINE: usize = 2_048;
/// Bytes of a reply at most.
const MAX_REPLY: usize = 16 * 1024;
/// Bytes of its text that are kept.
const MAX_TEXT: usize = 400;

/// Why there is no reply.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Broken {
    #[error("the server does not answer in time")]
    Late,
    #[error("the server has closed the connection")]
    Closed,
    #[error("the connection failed: {0}")]
    Failed(String),
    #[error("the server's reply is too long")]
    TooLong,
    #[error("the server does not speak SMTP")]
    NoSmtp,
    #[error("the server says more than it was asked")]
    Unasked,
}

/// A reply.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Reply {
    pub code: u16,
    /// Its lines without their codes.
    pub lines: Vec<String>,
}

impl Reply {
    pub(crate) const fn is_good(&self) -> bool {
        self.code / 100 == 2
    }

    pub(crate) const fn refuses(&self) -> bool {
        matches!(self.code / 100, 4 | 5)
    }

    pub(crate) const fn is_permanent(&self) -> bool {
        self.code / 100 == 5
    }

    /// What it says of a recipient. Where the enhanced status code (RFC 2034) and the reply code disagree about who has to
    /// do something, the reply code decides (RFC 5321 section 4.2).
    pub(crate) fn verdict(&self) -> (RemoteOutcome, RemoteAnswer) {
        let outcome = match self.code / 100 {
            2 => RemoteOutcome::Sent,
            5 => RemoteOutcome::Failed,
            _ => RemoteOutcome::Deferred,
        };
        let class = match outcome {
            RemoteOutcome::Sent => '2',
            RemoteOutcome::Failed => '5',
            RemoteOutcome::Deferred => '4',
        };
        let first = self.lines.first().map_or("", String::as_str);
        let said = first.split(' ').next().filter(|word| is_status(word) && word.starts_with(class));
        let status = said.map_or_else(|| format!("{class}.0.0"), str::to_owned);
        // Each line repeats the status (RFC 2034 section 4).
        let texts = self.lines.iter().map(|line| match line.split_once(' ') {
            Some((word, rest)) if is_status(word) => rest,
            _ => line.as_str(),
        });
        let text = texts.collect::<Vec<_>>().join(" ");
        let text = cut(text.trim(), MAX_TEXT).to_owned();
        (outcome, RemoteAnswer { code: Some(self.code), status, text })
    }
}

/// Is it an enhanced status code (RFC 3463 section 2)?
fn is_status(word: &str) -> bool {
    let mut parts = word.split('.');
    let is_class = matches!(parts.next(), Some("2" | "4" | "5"));
    let is_number =
        |part: &str| (1..=3).contains(&part.len()) && part.bytes().all(|byte| byte.is_ascii_digit());
    is_class
        && parts.next().is_some_and(is_number)
        && parts.next().is_some_and(is_number)
        && parts.next().is_none()
}

/// Bytes that have come and are not read yet.
#[derive(Debug, Default)]
pub(crate) struct Incoming {
    buffer: Vec<u8>,
}

impl Incoming {
    pub(crate) fn is_empty(&self) -> bool {
        self.buffer.is_empty()
    }

    /// The next reply. All of it has to come in time: a server that sends a byte now and then is late, too.
    pub(crate) async fn reply<S: AsyncRead + Unpin>(
        &mut self,
        stream: &mut S,
        patience: Duration,
    ) -> Result<Reply, Broken> {
        tokio::time::timeout(patience, self.lines(stream)).await.unwrap_or(Err(Broken::Late))
    }

    async fn lines<S: AsyncRead + Unpin>(&mut self, stream: &mut S) -> Result<Reply, Broken> {
        let mut reply: Option<Reply> = None;
        let mut bytes = 0;
        loop {
            let line = self.line(stream).await?;
            bytes += line.len();
            if bytes > MAX_REPLY {
                return Err(Broken::TooLong);
            }
            let (code, is_last, text) = read_line(&line).ok_or(Broken::NoSmtp)?;
            let reply = reply.get_or_insert_with(|| Reply { code, lines: Vec::new() });
            if reply.code != code {
                return Err(Broken::NoSmtp);
            }
            reply.lines.push(text);
            if is_last {
                return Ok(reply.clone());
            }
        }
    }

    async fn line<S: AsyncRead + Unpin>(&mut self, stream: &mut S) -> Result<Vec<u8>, Broken> {
        loop {
            if let Some(end) = self.buffer.iter().position(|byte| *byte == b'\n') {
                let rest = self.buffer.split_off(end + 1);
                let mut line = std::mem::replace(&mut self.buffer, rest);
                line.pop();
                if line.last() == Some(&b'\r') {
                    line.pop();
                }
                return Ok(line);
            }
            if self.buffer.len() > MAX_LINE {
                return Err(Broken::TooLong);
            }
            let mut piece = [0; 1024];
            match stream.read(&mut piece).await {
                Ok(0) => return Err(Broken::Closed),
                Ok(count) => self.buffer.extend_from_slice(piece.get(..count).unwrap_or_default()),
                Err(error) if error.kind() == std::io::ErrorKind::UnexpectedEof => {
                    return Err(Broken::Closed);
                }
                Err(error) => return Err(Broken::Failed(error.to_string())),
            }
        }
    }
}

/// The code, whether the line is the last, and its text without what nobody should see in a report.
fn read_line(line: &[u8]) -> Option<(u16, bool, String)> {
    let code = std::str::from_utf8(line.get(..3)?).ok()?;
    let is_code = code.bytes().all(|byte| byte.is_ascii_digit()) && matches!(line.first(), Some(b'2'..=b'5'));
    let code = code.parse().ok().filter(|_| is_code)?;
    let (is_last, text) = match line.get(3) {
        None => (true, &[][..]),
        Some(b' ') => (true, line.get(4..)?),
        Some(b'-') => (false, line.get(4..)?),
        Some(_) => return None,
    };
    let text = String::from_utf8_lossy(text);
    Some((code, is_last, text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect()))
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn read(bytes: &[u8]) -> Result<Reply, Broken> {
        Incoming::default().reply(&mut &*bytes, Duration::from_secs(1)).await
    }

    #[tokio::test]
    async fn replies_are_read_as_servers_write_them() {
        let reply = read(b"250-mx.example\r\n250-SIZE 1000\n250 STARTTLS\r\n").await.expect("a reply");
        assert_eq!((reply.code, reply.lines.len(), reply.is_good()), (250, 3, true));
        assert_eq!(read(b"354\r\n").await.expect("a reply").lines, [""]);
        for bad in [&b"hello\r\n"[..], b"25 x\r\n", b"250x\r\n", b"150 x\r\n", b"250-a\r\n550 b\r\n", b"\r\n"]
        {
            assert_eq!(read(bad).await, Err(Broken::NoSmtp), "{bad:?}");
        }
        assert_eq!(read(b"250 x").await, Err(Broken::Closed));
        assert_eq!(read(&[b'2'; 10 << 20]).await, Err(Broken::TooLong));
        let endless = b"250-x\r\n".repeat(1 << 20);
        assert_eq!(read(&endless).await, Err(Broken::TooLong));
    }

    #[tokio::test]
    async fn what_a_reply_means_is_told_by_its_code() {
        for (bytes, outcome, status, text) in [
            (&b"250 2.1.5 fine\r\n"[..], RemoteOutcome::Sent, "2.1.5", "fine"),
            (b"550-5.1.1 nobody\r\n550 5.1.1 here\r\n", RemoteOutcome::Failed, "5.1.1", "nobody here"),
            (b"550 no\x1bbody\r\n", RemoteOutcome::Failed, "5.0.0", "no body"),
            (b"451 5.7.1 grey\r\n", RemoteOutcome::Deferred, "4.0.0", "grey"),
            (b"421 4.3.2\r\n", RemoteOutcome::Deferred, "4.3.2", "4.3.2"),
            (b"354 go on\r\n", RemoteOutcome::Deferred, "4.0.0", "go on"),
            (b"550 5.1.1234 x\r\n", RemoteOutcome::Failed, "5.0.0", "5.1.1234 x"),
        ] {
            let (found, answer) = read(bytes).await.expect("a reply").verdict();
            assert_eq!((found, answer.status.as_str(), answer.text.as_str()), (outcome, status, text));
        }
    }
}
