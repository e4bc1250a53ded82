//! One SMTP or LMTP connection.

use std::time::{Duration, Instant};

use crate::BenchError;
use crate::wire::{Endpoint, Wire};

pub(crate) struct Session {
    wire: Wire,
    lmtp: bool,
    pipelining: bool,
}

impl Session {
    pub(crate) async fn open(to: &Endpoint, lmtp: bool) -> Result<Session, BenchError> {
        let mut session = Session { wire: Wire::connect(to).await?, lmtp, pipelining: false };
        session.reply("connecting").await?;
        let hello = if lmtp { "LHLO" } else { "EHLO" };
        session.wire.send(format!("{hello} load.bench.example\r\n").as_bytes()).await?;
        loop {
            let line = session.wire.line().await?;
            if line.first() != Some(&b'2') {
                return Err(BenchError::refused(hello, line));
            }
            let last = line.get(3) != Some(&b'-');
            session.pipelining |= line.get(4..).is_some_and(|word| word.eq_ignore_ascii_case(b"PIPELINING"));
            if last {
                return Ok(session);
            }
        }
    }

    /// Sends a letter; gives the time from the last of its octets to the (last) reply.
    pub(crate) async fn deliver(
        &mut self,
        recipients: &[String],
        letter: &[u8],
    ) -> Result<Duration, BenchError> {
        let mut commands = vec!["MAIL FROM:<sender@bench.example> BODY=8BITMIME\r\n".to_owned()];
        commands.extend(recipients.iter().map(|recipient| format!("RCPT TO:<{recipient}>\r\n")));
        commands.push("DATA\r\n".to_owned());
        if self.pipelining {
            self.wire.send(commands.concat().as_bytes()).await?;
        }
        for command in &commands {
            if !self.pipelining {
                self.wire.send(command.as_bytes()).await?;
            }
            self.reply(command.trim_end()).await?;
        }
        self.wire.send(&stuffed(letter)).await?;
        let began = Instant::now();
        // LMTP replies once for each recipient (RFC 2033 section 4.2).
        for _ in 0..if self.lmtp { recipients.len() } else { 1 } {
            self.reply("DATA").await?;
        }
        Ok(began.elapsed())
    }

    pub(crate) async fn quit(&mut self) -> Result<(), BenchError> {
        self.wire.send(b"QUIT\r\n").await?;
        self.reply("QUIT").await
    }

    /// Reads one reply, which must be positive.
    async fn reply(&mut self, command: &str) -> Result<(), BenchError> {
        loop {
            let line = self.wire.line().await?;
            if !matches!(line.first(), Some(b'2' | b'3')) {
                return Err(BenchError::refused(command, line));
            }
            if line.get(3) != Some(&b'-') {
                return Ok(());
            }
        }
    }
}

/// The letter with its dots doubled at the beginning of lines, and the final dot (RFC 5321 section 4.5.2).
fn stuffed(letter: &[u8]) -> Vec<u8> {
    let mut octets = Vec::with_capacity(letter.len() + 64);
    let mut done = 0;
    if letter.first() == Some(&b'.') {
        octets.push(b'.');
    }
    for at in memchr::memmem::find_iter(letter, b"\n.") {
        octets.extend_from_slice(&letter[done..=at]);
        octets.push(b'.');
        done = at + 1;
    }
    octets.extend_from_slice(&letter[done..]);
    octets.extend_from_slice(b".\r\n");
    octets
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dots_are_doubled_at_the_beginning_of_lines() {
        assert_eq!(stuffed(b".a\r\n..b\r\nc.\r\n"), b"..a\r\n...b\r\nc.\r\n.\r\n");
    }
}
