//! An IMAP client that counts answers as they pass (RFC 9051, RFC 3501).

use crate::BenchError;
use crate::wire::{Endpoint, Wire};

/// What a command's answers held.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(crate) struct Seen {
    /// FETCH responses with the item that was asked for.
    pub(crate) fetched: u64,
    /// Numbers in SEARCH and ESEARCH responses.
    pub(crate) found: u64,
    /// EXPUNGE responses, and UIDs in VANISHED ones.
    pub(crate) expunged: u64,
    /// Messages that STATUS told of.
    pub(crate) messages: Option<u64>,
    /// UIDNEXT, of SELECT or STATUS.
    pub(crate) uid_next: Option<u64>,
    /// UIDs of the response code COPYUID or APPENDUID.
    pub(crate) uids: u64,
    /// The last literal, if it was asked for.
    pub(crate) literal: Vec<u8>,
    /// Octets of all literals.
    pub(crate) octets: u64,
}

/// Which answers to look at.
#[derive(Clone, Copy, Default)]
pub(crate) struct Look<'a> {
    /// A FETCH response counts if this stands in it before any literal.
    pub(crate) item: &'a str,
    /// Keep the last literal.
    pub(crate) literal: bool,
}

pub(crate) struct Imap {
    wire: Wire,
    tags: u64,
    /// Messages of the selected mailbox.
    pub(crate) exists: u64,
    capabilities: String,
}

impl Imap {
    /// Connects, reads the greeting, logs in.
    pub(crate) async fn login(to: &Endpoint, user: &str, password: &str) -> Result<Imap, BenchError> {
        Imap::login_from(to, 0, user, password).await
    }

    pub(crate) async fn login_from(
        to: &Endpoint,
        source: u8,
        user: &str,
        password: &str,
    ) -> Result<Imap, BenchError> {
        let mut wire = Wire::connect_from(to, source).await?;
        let greeting = wire.line().await?;
        if !greeting.starts_with(b"* OK") {
            return Err(BenchError::refused("connecting", greeting));
        }
        let mut imap = Imap { wire, tags: 0, exists: 0, capabilities: String::new() };
        let tag = imap.begin(&format!("LOGIN {} {}", quoted(user), quoted(password))).await?;
        imap.finish(&tag, "LOGIN", Look::default()).await?;
        Ok(imap)
    }

    /// Does the server offer it? Asks once.
    pub(crate) async fn offers(&mut self, capability: &str) -> Result<bool, BenchError> {
        if self.capabilities.is_empty() {
            self.run("CAPABILITY").await?;
        }
        Ok(self.capabilities.split_ascii_whitespace().any(|offered| offered.eq_ignore_ascii_case(capability)))
    }

    pub(crate) async fn run(&mut self, command: &str) -> Result<Seen, BenchError> {
        self.look(command, Look::default()).await
    }

    pub(crate) async fn look(&mut self, command: &str, look: Look<'_>) -> Result<Seen, BenchError> {
        let tag = self.begin(command).await?;
        self.finish(&tag, command, look).await
    }

    pub(crate) async fn select(&mut self, mailbox: &str) -> Result<Seen, BenchError> {
        self.run(&format!("SELECT {}", quoted(mailbox))).await
    }

    /// Number of messages by STATUS.
    pub(crate) async fn count(&mut self, mailbox: &str) -> Result<u64, BenchError> {
        let command = format!("STATUS {} (MESSAGES)", quoted(mailbox));
        let seen = self.run(&command).await?;
        seen.messages.ok_or_else(|| BenchError::wrong(&command, &"a STATUS response", &"none"))
    }

    /// Begins a command; its answer is read by [`Imap::finish`] with the tag.
    pub(crate) async fn begin(&mut self, command: &str) -> Result<String, BenchError> {
        let tag = self.tag();
        self.wire.send(format!("{tag} {command}\r\n").as_bytes()).await?;
        Ok(tag)
    }

    pub(crate) fn tag(&mut self) -> String {
        self.tags += 1;
        format!("a{}", self.tags)
    }

    pub(crate) async fn send(&mut self, octets: &[u8]) -> Result<(), BenchError> {
        self.wire.send(octets).await
    }

    /// The line `+ …` that lets a client go on.
    pub(crate) async fn go_on(&mut self, command: &str) -> Result<(), BenchError> {
        loop {
            let line = self.wire.line().await?;
            if line.starts_with(b"+") {
                return Ok(());
            }
            if !line.starts_with(b"* ") {
                return Err(BenchError::refused(command, line));
            }
            if let Some((number, b"EXISTS")) = numbered(line) {
                self.exists = number;
            }
        }
    }

    /// Reads until the tagged answer, which must be OK.
    pub(crate) async fn finish(
        &mut self,
        tag: &str,
        command: &str,
        look: Look<'_>,
    ) -> Result<Seen, BenchError> {
        let mut seen = Seen::default();
        loop {
            let line = self.wire.line().await?;
            let literal = literal_at_end(line);
            if line.starts_with(b"* ") {
                untagged(line, look, &mut seen, &mut self.exists, &mut self.capabilities);
            } else if let Some(rest) =
                line.strip_prefix(tag.as_bytes()).and_then(|rest| rest.strip_prefix(b" "))
            {
                if !rest.starts_with(b"OK") {
                    return Err(BenchError::refused(command, line));
                }
                response_code(rest, &mut seen);
                return Ok(seen);
            } else {
                return Err(BenchError::refused(command, line));
            }
            self.rest_of_response(literal, look, &mut seen).await?;
        }
    }

    async fn rest_of_response(
        &mut self,
        mut literal: Option<u64>,
        look: Look<'_>,
        seen: &mut Seen,
    ) -> Result<(), BenchError> {
        while let Some(length) = literal {
            seen.octets += length;
            if look.literal {
                seen.literal.clear();
                self.wire.octets(length, &mut |piece| seen.literal.extend_from_slice(piece)).await?;
            } else {
                self.wire.octets(length, &mut |_| {}).await?;
            }
            literal = literal_at_end(self.wire.line().await?);
        }
        Ok(())
    }

    /// Waits for EXISTS while IDLE; gives the number.
    pub(crate) async fn next_exists(&mut self) -> Result<u64, BenchError> {
        loop {
            let line = self.wire.line().await?;
            match numbered(line) {
                Some((number, b"EXISTS")) => {
                    self.exists = number;
                    return Ok(number);
                }
                _ if line.starts_with(b"* BYE") => return Err(BenchError::refused("IDLE", line)),
                _ => {}
            }
        }
    }

    /// From now on it mostly waits.
    pub(crate) fn rest(&mut self) {
        self.capabilities = String::new();
        self.wire.rest();
    }
}

fn untagged(line: &[u8], look: Look<'_>, seen: &mut Seen, exists: &mut u64, capabilities: &mut String) {
    match numbered(line) {
        Some((number, b"EXISTS")) => *exists = number,
        Some((_, b"EXPUNGE")) => {
            seen.expunged += 1;
            *exists = exists.saturating_sub(1);
        }
        Some((_, b"FETCH")) => {
            seen.fetched += u64::from(memchr::memmem::find(line, look.item.as_bytes()).is_some());
        }
        Some(_) => {}
        None => {
            let line = &line[2..];
            if let Some(numbers) = line.strip_prefix(b"SEARCH") {
                seen.found += memchr::memchr_iter(b' ', numbers.trim_ascii_end()).count() as u64;
            } else if let Some(result) = line.strip_prefix(b"ESEARCH") {
                let text = String::from_utf8_lossy(result);
                let all = text.split_once(" ALL ").map(|(_, set)| set.split(' ').next().unwrap_or_default());
                seen.found += all.map_or(0, set_size);
            } else if let Some(set) = line.strip_prefix(b"VANISHED ") {
                if !set.starts_with(b"(EARLIER)") {
                    let count = set_size(&String::from_utf8_lossy(set));
                    seen.expunged += count;
                    *exists = exists.saturating_sub(count);
                }
            } else if line.starts_with(b"STATUS ") {
                seen.messages = number_after(line, b"MESSAGES ").or(seen.messages);
                seen.uid_next = number_after(line, b"UIDNEXT ").or(seen.uid_next);
            } else if let Some(list) = line.strip_prefix(b"CAPABILITY ") {
                *capabilities = String::from_utf8_lossy(list).into_owned();
            } else if line.starts_with(b"OK [") {
                response_code(line, seen);
            }
        }
    }
}

fn response_code(line: &[u8], seen: &mut Seen) {
    seen.uid_next = number_after(line, b"[UIDNEXT ").or(seen.uid_next);
    for code in ["[COPYUID ", "[APPENDUID "] {
        if let Some(at) = memchr::memmem::find(line, code.as_bytes()) {
            let rest = String::from_utf8_lossy(&line[at + code.len()..]).into_owned();
            let set = rest.split(']').next().and_then(|inside| inside.split(' ').nth(1));
            seen.uids += set.map_or(0, set_size);
        }
    }
}

fn number_after(line: &[u8], name: &[u8]) -> Option<u64> {
    let at = memchr::memmem::find(line, name)? + name.len();
    let digits = line[at..].iter().take_while(|byte| byte.is_ascii_digit());
    digits.fold(None, |number, digit| {
        Some(number.unwrap_or(0_u64).saturating_mul(10).saturating_add(u64::from(digit - b'0')))
    })
}

/// Number and word of `* 23 EXISTS`.
fn numbered(line: &[u8]) -> Option<(u64, &[u8])> {
    let rest = line.strip_prefix(b"* ")?;
    let digits = rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
    let number = std::str::from_utf8(&rest[..digits]).ok()?.parse().ok()?;
    let word = rest.get(digits + 1..)?;
    Some((number, word.split(|byte| *byte == b' ').next().unwrap_or_default()))
}

/// How many numbers a sequence set without `*` holds.
fn set_size(set: &str) -> u64 {
    let ranges = set.split(',').filter_map(|range| {
        let (first, last) = range.split_once(':').unwrap_or((range, range));
        Some((first.trim().parse::<u64>().ok()?, last.trim().parse::<u64>().ok()?))
    });
    ranges.map(|(first, last)| first.abs_diff(last) + 1).sum()
}

/// Length of the literal that follows the line.
fn literal_at_end(line: &[u8]) -> Option<u64> {
    let inside = line.strip_suffix(b"}")?;
    let open = inside.iter().rposition(|byte| *byte == b'{')?;
    std::str::from_utf8(&inside[open + 1..]).ok()?.parse().ok()
}

pub(crate) fn quoted(text: &str) -> String {
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""))
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    #[test]
    fn answers_are_read() {
        assert_eq!(numbered(b"* 23 EXISTS"), Some((23, &b"EXISTS"[..])));
        assert_eq!(numbered(b"* OK hello"), None);
        assert_eq!(literal_at_end(b"* 1 FETCH (BODY[] {42}"), Some(42));
        assert_eq!(literal_at_end(b"* 1 FETCH (FLAGS ())"), None);
        assert_eq!(set_size("1:3,5,9:8"), 6);
        assert_eq!(set_size("zzz"), 0);
        assert_eq!(number_after(b"* STATUS x (MESSAGES 12)", b"MESSAGES "), Some(12));
        assert_eq!(quoted(r#"a"b\"#), r#""a\"b\\""#);
    }

    /// A server that says what it is told to, and an Imap that is logged in to it.
    async fn scripted(answers: &'static [u8]) -> Imap {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("bind");
        let port = listener.local_addr().expect("address").port();
        tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.expect("accept");
            stream.write_all(b"* OK ready\r\na1 OK in\r\n").await.expect("write");
            stream.write_all(answers).await.expect("write");
            let mut nothing = [0; 1024];
            while stream.read(&mut nothing).await.is_ok_and(|read| read > 0) {}
        });
        Imap::login(&Endpoint::Tcp("127.0.0.1".to_owned(), port), "u", "p").await.expect("login")
    }

    #[tokio::test]
    async fn tags_inside_literals_do_not_end_an_answer() {
        let mut imap = scripted(
            b"* 1 FETCH (UID 1 BODY[] {13}\r\na2 NO trap\r\nx FLAGS ())\r\n* SEARCH 4 5 6\r\na2 OK done\r\n",
        )
        .await;
        let seen = imap.look("FETCH 1 BODY[]", Look { item: "BODY[]", literal: true }).await.expect("ok");
        assert_eq!((seen.fetched, seen.found), (1, 3));
        assert_eq!(seen.literal, b"a2 NO trap\r\nx");
    }

    #[tokio::test]
    async fn a_refusal_is_an_error() {
        let mut imap = scripted(b"* 3 EXISTS\r\na2 NO [SERVERBUG] not now\r\n").await;
        let error = imap.run("SELECT INBOX").await.expect_err("refused");
        assert!(error.to_string().contains("SERVERBUG"), "{error}");
        assert_eq!(imap.exists, 3);
    }

    #[tokio::test]
    async fn expunges_are_counted() {
        let mut imap = scripted(
            b"* 9 EXISTS\r\n* 3 EXPUNGE\r\n* VANISHED 4:6\r\n* VANISHED (EARLIER) 1:2\r\na2 OK [COPYUID 1 2:4 7:9] ok\r\n",
        )
        .await;
        let seen = imap.run("EXPUNGE").await.expect("ok");
        assert_eq!((seen.expunged, imap.exists, seen.uids), (4, 5, 3));
    }
}
