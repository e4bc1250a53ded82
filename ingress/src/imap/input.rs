//! Collecting the bytes of one command: lines and literals (RFC 3501 section 4.3, RFC 7888), within bounds.

use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::Shared;
use super::grammar;
use crate::net::{ImapLimits, Line, NetError, Stream, wire};

/// Octets of literals in one command, but for the messages of APPEND.
const MAX_LITERALS: u64 = 64 * 1024;
/// A non-synchronising literal up to this size that is not wanted is read and thrown away; above it the
/// session ends (RFC 7888 section 4).
const MAX_DRAIN: u64 = 256 << 20;
/// The same before login.
const MAX_DRAIN_STRANGER: u64 = 64 * 1024;
/// Literals of one command: more than MULTIAPPEND takes.
const MAX_LITERAL_COUNT: usize = 2_000;
/// How long a large message waits for its share of the memory for messages under way.
const PATIENCE_FOR_MEMORY: Duration = Duration::from_secs(30);

const TOO_LONG: &str = "[TOOBIG] the literal is too long";

/// What came.
pub(super) enum Input {
    /// A whole command, without its last line end, and its share of the memory for messages under way.
    Command(Vec<u8>, Vec<OwnedSemaphorePermit>),
    /// A command that is too large in some way; all of it that the client has sent was thrown away.
    Refused {
        /// Its tag, if it had one.
        tag: Option<String>,
        /// Tagged NO instead of BAD, with a response code.
        no: bool,
        /// What the client is told.
        text: &'static str,
    },
    /// The client sends more than is thrown away politely.
    Hopeless(&'static str),
    /// The client closed.
    Eof,
}

/// Bounds for the command to come.
pub(super) struct Expectation<'a> {
    /// Of the configuration.
    pub limits: &'a ImapLimits,
    /// How long the client may take for the first line.
    pub patience: Duration,
    /// Is somebody signed in?
    pub signed_in: bool,
}

/// Reads the next command.
///
/// # Errors
/// [`NetError`].
pub(super) async fn read_command(
    stream: &mut Stream,
    shared: &Shared,
    expect: &Expectation<'_>,
) -> Result<Input, NetError> {
    let mut reader =
        Reader { bytes: Vec::new(), permits: Vec::new(), literals: 0, line_bytes: 0, refused: None };
    for count in 0.. {
        let left = expect.limits.command_line.saturating_sub(reader.line_bytes).max(2);
        let patience =
            if count == 0 { expect.patience } else { expect.patience.min(expect.limits.literal_block) };
        let line = match stream.read_line(left, patience).await? {
            Line::Text(line) | Line::BareLf(line) => line,
            // A literal mark at its end was thrown away with it, and the literal would be taken for commands.
            Line::TooLong => return Ok(Input::Hopeless("[TOOBIG] the command line is too long")),
            Line::Eof => return Ok(Input::Eof),
        };
        if count == 0 {
            wire::received(&line);
        } else {
            wire::received_bytes("rest of a command", line.len());
        }
        reader.line_bytes += line.len() + 2;
        reader.bytes.extend_from_slice(&line);
        let Some(literal) = literal_mark(&line) else { return Ok(reader.finish()) };
        if count >= MAX_LITERAL_COUNT {
            return Ok(Input::Hopeless(TOO_LONG));
        }
        if reader.refused.is_none() {
            reader.admit(&literal, shared, expect).await;
        }
        if reader.refused.is_some() {
            if literal.synchronising {
                return Ok(reader.finish());
            }
            let most = if expect.signed_in { MAX_DRAIN } else { MAX_DRAIN_STRANGER };
            if literal.len > most {
                return Ok(Input::Hopeless(TOO_LONG));
            }
            stream.skip(literal.len, expect.limits.literal_block).await?;
            continue;
        }
        if literal.synchronising {
            stream.write(b"+ go on\r\n");
            stream.flush().await?;
        }
        reader.bytes.extend_from_slice(b"\r\n");
        let len = literal.len as usize;
        reader.bytes.reserve(len);
        stream.read_exact(len, &mut reader.bytes, expect.limits.literal_block).await?;
        wire::received_bytes("literal", len);
        reader.literals += literal.len;
    }
    Ok(Input::Hopeless(TOO_LONG))
}

struct Reader {
    bytes: Vec<u8>,
    permits: Vec<OwnedSemaphorePermit>,
    literals: u64,
    line_bytes: usize,
    refused: Option<(bool, &'static str)>,
}

impl Reader {
    fn tag(&self) -> Option<String> {
        grammar::tag(&self.bytes).map(str::to_owned)
    }

    fn finish(self) -> Input {
        match self.refused {
            None => Input::Command(self.bytes, self.permits),
            Some((no, text)) => Input::Refused { tag: self.tag(), no, text },
        }
    }

    /// May this literal come? If not, `refused` says why.
    async fn admit(&mut self, literal: &Literal, shared: &Shared, expect: &Expectation<'_>) {
        let appends = expect.signed_in && grammar::verb(&self.bytes).as_deref() == Some("APPEND");
        if !appends {
            if self.literals + literal.len > MAX_LITERALS {
                self.refused = Some((false, "the literal is too long"));
            }
            return;
        }
        if literal.len > expect.limits.message_size as u64 {
            self.refused = Some((true, "[TOOBIG] the message is too large"));
            return;
        }
        // Of all messages of a MULTIAPPEND together.
        let units = (self.literals + literal.len) / Shared::MEMORY_UNIT;
        let held: usize = self.permits.iter().map(OwnedSemaphorePermit::num_permits).sum();
        let Some(missing) = units.checked_sub(held as u64).filter(|missing| *missing > 0) else { return };
        match share_of(shared, u32::try_from(missing).unwrap_or(u32::MAX)).await {
            Some(permit) => self.permits.push(permit),
            None => self.refused = Some((true, "[UNAVAILABLE] too many messages are under way, try again")),
        }
    }
}

async fn share_of(shared: &Shared, share: u32) -> Option<OwnedSemaphorePermit> {
    let memory = std::sync::Arc::clone(&shared.memory);
    let waiting = Semaphore::acquire_many_owned(memory, share);
    tokio::time::timeout(PATIENCE_FOR_MEMORY, waiting).await.ok()?.ok()
}

/// A literal mark at the end of a line.
#[derive(Debug, PartialEq, Eq)]
struct Literal {
    len: u64,
    synchronising: bool,
}

/// The mark with which a line ends, if it does. A number that is too large to be one counts as the largest.
fn literal_mark(line: &[u8]) -> Option<Literal> {
    let inside = line.strip_suffix(b"}")?;
    let (inside, synchronising) = match inside.strip_suffix(b"+") {
        Some(inside) => (inside, false),
        None => (inside, true),
    };
    let digits = inside.iter().rev().take_while(|byte| byte.is_ascii_digit()).count();
    let (before, digits) = inside.split_at(inside.len() - digits);
    if digits.is_empty() || before.last() != Some(&b'{') {
        return None;
    }
    let len = digits
        .iter()
        .fold(0_u64, |len, digit| len.saturating_mul(10).saturating_add(u64::from(digit - b'0')));
    Some(Literal { len, synchronising })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn literal_marks_end_a_line() {
        for (line, mark) in [
            (&b"a LOGIN {4}"[..], Some((4, true))),
            (b"a LOGIN {4+}", Some((4, false))),
            (b"a APPEND x ~{12+}", Some((12, false))),
            (b"{0}", Some((0, true))),
            (b"a {99999999999999999999999}", Some((u64::MAX, true))),
            (b"a LOGIN {4} ", None),
            (b"a LOGIN \"{4}\"", None),
            (b"a {}", None),
            (b"a {-1}", None),
            (b"a {+}", None),
            (b"4}", None),
            (b"", None),
        ] {
            let found = literal_mark(line).map(|literal| (literal.len, literal.synchronising));
            assert_eq!(found, mark, "{}", String::from_utf8_lossy(line));
        }
    }
}
