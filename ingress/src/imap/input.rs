//! Collecting the bytes of one command: lines and literals (RFC 3501 section 4.3, RFC 7888), within bounds.

use std::time::Duration;

use super::PATIENCE_FOR_MEMORY;
use super::ahead::Ahead;
use super::grammar;
use super::session::SignedIn;
use crate::net::{Holder, ImapLimits, Line, Memory, NetError, Share, Stream, wire};

/// Octets of literals in one command, but for the messages of APPEND.
const MAX_LITERALS: u64 = 64 * 1024;
/// A non-synchronising literal up to this size that is not wanted is read and thrown away; above it the
/// session ends (RFC 7888 section 4).
const MAX_DRAIN: u64 = 256 << 20;
/// The same before login.
const MAX_DRAIN_STRANGER: u64 = 64 * 1024;
/// Literals of one command: more than MULTIAPPEND takes.
const MAX_LITERAL_COUNT: usize = 2_000;
/// Bytes by which the memory of a command grows at least; a command within them needs no share of the memory
/// for messages under way.
const STEP: usize = 64 * 1024;
/// From so many bytes on, a command gets room for [`ROOM`] more at once: what was not written to is not memory yet, and
/// nothing is moved while it grows.
const MUCH: usize = 1 << 20;
const ROOM: usize = 32 << 20;

const TOO_LONG: &str = "[TOOBIG] the literal is too long";
const NO_MEMORY: &str = "[UNAVAILABLE] too many messages are under way, try again";

/// What came.
pub(super) enum Input {
    /// A whole command, without its last line end, its share of the memory for messages under way, and messages of
    /// it that are being prepared.
    Command(Vec<u8>, Option<Share>, Option<Box<Ahead>>),
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
    /// Who is signed in.
    pub member: Option<&'a SignedIn>,
    /// For messages under way.
    pub memory: &'a Memory,
}

/// Reads the next command.
///
/// # Errors
/// [`NetError`].
pub(super) async fn read_command(stream: &mut Stream, expect: &Expectation<'_>) -> Result<Input, NetError> {
    let share = expect.member.map(|member| expect.memory.share(Holder::Account(member.live.key())));
    let mut reader = Reader {
        bytes: Vec::new(),
        apart: 0,
        granted: 0,
        share,
        literals: 0,
        line_bytes: 0,
        refused: None,
        appends: false,
        ahead: None,
    };
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
        if reader.bytes.len() > MUCH {
            // Not by doubling what is large already.
            reader.bytes.reserve_exact(line.len() + 2);
        }
        reader.bytes.extend_from_slice(&line);
        let Some(literal) = literal_mark(&line) else { return Ok(reader.finish()) };
        if count >= MAX_LITERAL_COUNT {
            return Ok(Input::Hopeless(TOO_LONG));
        }
        if reader.refused.is_none() {
            reader.admit(&literal, expect);
        }
        if reader.refused.is_some() {
            if literal.synchronising {
                return Ok(reader.finish());
            }
            let most = if expect.member.is_some() { MAX_DRAIN } else { MAX_DRAIN_STRANGER };
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
        let is_name = reader.appends && is_mailbox_name(&reader.bytes);
        let apart = !is_name && reader.comes_apart(&line, &literal);
        reader.bytes.extend_from_slice(b"\r\n");
        let start = reader.bytes.len();
        reader.take(stream, literal.len, apart, expect.limits.literal_block).await?;
        if apart && reader.refused.is_none() {
            if let Some(ahead) = &mut reader.ahead {
                ahead.came_apart(start, literal.len);
            }
        } else if reader.appends
            && !is_name
            && reader.refused.is_none()
            && let Some(member) = expect.member
        {
            let bytes = &reader.bytes;
            let ahead = reader.ahead.get_or_insert_with(|| Box::new(member.ahead(&bytes[..start])));
            ahead.came(start..bytes.len(), bytes);
        }
        wire::received_bytes("literal", usize::try_from(literal.len).unwrap_or(usize::MAX));
        reader.literals += literal.len;
    }
    Ok(Input::Hopeless(TOO_LONG))
}

struct Reader {
    bytes: Vec<u8>,
    /// Octets of literals that came apart.
    apart: usize,
    /// Up to this length memory was asked for.
    granted: usize,
    /// A member's share of the memory for messages under way; holds no less than all that came beyond [`STEP`].
    share: Option<Share>,
    literals: u64,
    line_bytes: usize,
    refused: Option<(bool, &'static str)>,
    /// The literals are messages.
    appends: bool,
    ahead: Option<Box<Ahead>>,
}

impl Reader {
    fn tag(&self) -> Option<String> {
        grammar::tag(&self.bytes).map(str::to_owned)
    }

    fn finish(self) -> Input {
        match self.refused {
            None => Input::Command(self.bytes, self.share, self.ahead),
            Some((no, text)) => Input::Refused { tag: self.tag(), no, text },
        }
    }

    /// May this literal come? If not, `refused` says why.
    fn admit(&mut self, literal: &Literal, expect: &Expectation<'_>) {
        let appends = self.appends || expect.member.is_some() && grammar::takes_messages(&self.bytes);
        self.appends = appends;
        let all = self.literals.saturating_add(literal.len);
        if !appends {
            if all > MAX_LITERALS {
                self.refused = Some((false, "the literal is too long"));
            }
        } else if literal.len > expect.limits.message_size as u64 {
            self.refused = Some((true, "[TOOBIG] the message is too large"));
        } else if all + STEP as u64 > expect.memory.most() as u64 && all > literal.len {
            self.refused = Some((true, "[LIMIT] the messages are too large for one command"));
        }
    }

    /// Does this literal, with whose mark the line and the text end, come apart from the text? If so, an empty one
    /// stands for it. Pieces of messages stay in the text.
    fn comes_apart(&mut self, line: &[u8], literal: &Literal) -> bool {
        let Some(ahead) = &mut self.ahead else { return false };
        let mark = line.iter().rev().position(|byte| *byte == b'{').map(|behind| behind + 1);
        let Some(mark) = mark.filter(|_| self.appends && !names_pieces(line)) else { return false };
        if !ahead.takes(literal.len) {
            return false;
        }
        self.bytes.truncate(self.bytes.len() - mark);
        self.bytes.extend_from_slice(b"{0}");
        true
    }

    /// Takes a literal that was admitted. Memory is asked for as bytes come, not as they are announced; where
    /// there is none in time, the rest is thrown away.
    async fn take(
        &mut self,
        stream: &mut Stream,
        len: u64,
        apart: bool,
        patience: Duration,
    ) -> Result<(), NetError> {
        let mut pace = stream.pace(patience);
        let mut left = len;
        while left > 0 {
            if !stream.has_buffered_input() && stream.fill(pace.deadline()).await? == 0 {
                return Err(NetError::Closed);
            }
            let piece = stream.buffered().len().min(usize::try_from(left).unwrap_or(usize::MAX));
            if !self.has_room(piece) && !self.make_room(piece, left, apart).await {
                (self.bytes, self.share) = (self.bytes.drain(..self.bytes.len().min(STEP)).collect(), None);
                self.ahead = None;
                self.refused = Some((true, NO_MEMORY));
                return stream.skip(left, patience).await;
            }
            let octets = &stream.buffered()[..piece];
            match &mut self.ahead {
                Some(ahead) if apart => {
                    ahead.buffer().extend_from_slice(octets);
                    self.apart += piece;
                }
                _ => self.bytes.extend_from_slice(octets),
            }
            stream.consume(piece);
            pace.advance(piece);
            left -= piece as u64;
        }
        Ok(())
    }

    fn has_room(&self, piece: usize) -> bool {
        self.bytes.len() + self.apart + piece <= self.granted
    }

    /// Room for a piece of the `left` bytes of a literal: in steps, close to what has come.
    async fn make_room(&mut self, piece: usize, left: u64, apart: bool) -> bool {
        let len = self.bytes.len() + self.apart;
        let step = (len / 4).max(STEP).min(usize::try_from(left).unwrap_or(usize::MAX)).max(piece);
        if let Some(share) = &mut self.share
            && len + step > STEP
            && !share.grow_within(len + step, PATIENCE_FOR_MEMORY).await
        {
            return false;
        }
        self.granted = len + step;
        let needed = self.bytes.len() + step;
        if !apart && needed > self.bytes.capacity() {
            self.bytes.reserve_exact(if needed > MUCH { step.max(ROOM) } else { step });
        }
        true
    }
}

/// Is the literal with whose mark the text of APPEND or REPLACE ends the mailbox's name?
fn is_mailbox_name(text: &[u8]) -> bool {
    let mut words = text.rsplit(|byte| *byte == b' ').skip(1);
    let (last, before) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
    last.eq_ignore_ascii_case(b"APPEND") || before.eq_ignore_ascii_case(b"REPLACE")
}

/// May the line be about pieces of a message (CATENATE), or about UTF8? It may also say so by chance.
fn names_pieces(line: &[u8]) -> bool {
    let mut words = line.split(|byte| !byte.is_ascii_alphanumeric());
    words.any(|word| {
        [&b"CATENATE"[..], b"TEXT", b"URL", b"UTF8"].iter().any(|name| word.eq_ignore_ascii_case(name))
    })
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
    fn names_and_pieces_of_messages_stay_in_the_text() {
        for text in [&b"a APPEND {3+}"[..], b"a append ~{3}", b"a REPLACE 4 {3+}", b"a UID REPLACE 4 {3+}"] {
            assert!(is_mailbox_name(text), "{}", String::from_utf8_lossy(text));
        }
        for text in
            [&b"a APPEND box {3+}"[..], b"a APPEND \"b x\" (\\Seen) {3+}", b"a REPLACE 4 box {3+}", b""]
        {
            assert!(!is_mailbox_name(text), "{}", String::from_utf8_lossy(text));
        }
        for line in [&b" CATENATE (TEXT {3+}"[..], b" text {3+}", b" UTF8 (~{3+}", b" URL \"x\" TEXT {3+}"] {
            assert!(names_pieces(line), "{}", String::from_utf8_lossy(line));
        }
        assert!(!names_pieces(b" (\\Seen) \" 1-Jan-2026 00:00:00 +0000\" ~{3+}"));
    }

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
