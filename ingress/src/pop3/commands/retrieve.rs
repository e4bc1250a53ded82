//! RETR and TOP (RFC 1939 sections 5 and 7).

use pennypost_mailstore::StoreError;
use pennypost_mailstore::blobs::Message;
use tracing::warn;

use super::{NO_MESSAGE, SIGN_IN_FIRST};
use crate::net::NetError;
use crate::pop3::session::{Next, Session};
use crate::pop3::stuffing::Stuffer;

/// How much of a message is in memory at once, beside its header.
const PIECE: u64 = 256 * 1024;

impl Session {
    /// Sends a message, or its header and the first `lines` of its body.
    pub(super) async fn retrieve(&mut self, number: u32, lines: Option<u64>) -> Result<Next, NetError> {
        let Some(maildrop) = &self.maildrop else {
            self.mistake(SIGN_IN_FIRST);
            return Ok(Next::Command);
        };
        let Some(row) = maildrop.row(number).copied() else {
            self.mistake(NO_MESSAGE);
            return Ok(Next::Command);
        };
        let account = maildrop.account.key();
        let store = maildrop.account.store().clone();
        let opened = async {
            let message = store.open(account.tenant, row.blob).await?;
            let header = message.header().await?;
            Ok::<_, StoreError>((message, header))
        };
        let (message, header) = match opened.await {
            Ok(opened) => opened,
            Err(error) => {
                warn!(%account, uid = %row.uid, %error, "a message can't be read");
                let kind = if error.is_temporary() { "SYS/TEMP" } else { "SYS/PERM" };
                self.err(&format!("[{kind}] the message can't be read"));
                return Ok(Next::Command);
            }
        };
        self.ok(&format!("{} octets", message.size()));
        match self.send(&message, &header, lines).await? {
            Ok(()) => Ok(Next::Command),
            Err(error) => {
                // In the middle of a message there is no other way to say that it is not whole.
                warn!(%account, uid = %row.uid, %error, "a message can't be read to its end");
                Ok(Next::Close)
            }
        }
    }

    async fn send(
        &mut self,
        message: &Message,
        header: &[u8],
        lines: Option<u64>,
    ) -> Result<Result<(), StoreError>, NetError> {
        let mut stuffer = Stuffer::new();
        for piece in header.chunks(PIECE as usize) {
            stuffer.write(piece, |bytes| self.stream.write(bytes));
            self.stream.relieve().await?;
        }
        let mut left = lines.unwrap_or(u64::MAX);
        let mut at = message.header_len();
        while at < message.size() && left > 0 {
            let piece = match message.range(at..at + PIECE).await {
                Ok(piece) if !piece.is_empty() => piece,
                Ok(_) => return Ok(Err(StoreError::Damaged("the message is cut".to_owned()))),
                Err(error) => return Ok(Err(error)),
            };
            at += piece.len() as u64;
            let wanted = if lines.is_some() { first_lines(&piece, &mut left) } else { &*piece };
            stuffer.write(wanted, |bytes| self.stream.write(bytes));
            self.stream.relieve().await?;
        }
        stuffer.finish(|bytes| self.stream.write(bytes));
        Ok(Ok(()))
    }
}

/// What of the text is within the next `left` lines.
fn first_lines<'a>(text: &'a [u8], left: &mut u64) -> &'a [u8] {
    for end in memchr::memchr_iter(b'\n', text) {
        *left -= 1;
        if *left == 0 {
            return &text[..=end];
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_counted_across_pieces() {
        let mut left = 3;
        assert_eq!(first_lines(b"a\r\nb\r\nc", &mut left), b"a\r\nb\r\nc");
        assert_eq!(left, 1);
        assert_eq!(first_lines(b"c\r\nd\r\n", &mut left), b"c\r\n");
        assert_eq!(left, 0);
    }
}
