//! The commands; those that only look at the maildrop are here.

mod international;
mod quit;
mod retrieve;
mod sign_in;
mod stls;

use super::command::Command;
use super::session::{Next, Session};
use crate::net::NetError;

const SIGN_IN_FIRST: &str = "sign in first";
const NO_MESSAGE: &str = "there is no such message";

/// Capabilities that hold in every state.
const ALWAYS: &[&str] =
    &["TOP", "UIDL", "RESP-CODES", "AUTH-RESP-CODE", "PIPELINING", "EXPIRE NEVER", "UTF8 USER", "LANG"];

impl Session {
    /// Does what the command asks and writes its reply.
    pub(super) async fn handle(&mut self, command: Command) -> Result<Next, NetError> {
        match command {
            Command::Capa => self.capa(),
            Command::User(name) => self.user(name),
            Command::Pass(password) => self.pass(&password).await,
            Command::Auth(mechanism) => self.auth(mechanism).await?,
            Command::Stls => return self.stls().await,
            Command::Utf8 => self.utf8(),
            Command::Lang(range) => self.lang(range.as_deref()),
            Command::Stat => self.stat(),
            Command::List(number) => self.list(number).await?,
            Command::Uidl(number) => self.uidl(number).await?,
            Command::Retr(number) => return self.retrieve(number, None).await,
            Command::Top(number, lines) => return self.retrieve(number, Some(lines)).await,
            Command::Dele(number) => self.dele(number),
            Command::Rset => self.rset(),
            Command::Noop if self.maildrop.is_some() => self.ok("nothing done"),
            Command::Noop => self.mistake(SIGN_IN_FIRST),
            Command::Quit => {
                self.quit().await;
                return Ok(Next::Close);
            }
        }
        Ok(Next::Command)
    }

    /// CAPA (RFC 2449). What can't be used now is not listed.
    fn capa(&mut self) {
        self.ok("capabilities follow");
        for line in ALWAYS {
            self.line(line);
        }
        if self.stream.is_private() {
            self.line("USER");
            self.line(&format!("SASL {}", crate::sasl::mechanisms(&self.stream).join(" ")));
        }
        if !self.stream.is_tls() && self.maildrop.is_none() {
            self.line("STLS");
        }
        self.line("IMPLEMENTATION Pennypost");
        self.line(".");
    }

    fn stat(&mut self) {
        let Some(maildrop) = &self.maildrop else { return self.mistake(SIGN_IN_FIRST) };
        let (count, bytes) = maildrop.rows().fold((0, 0), |(n, sum), (_, row)| (n + 1, sum + row.size));
        self.ok(&format!("{count} {bytes}"));
    }

    async fn list(&mut self, number: Option<u32>) -> Result<(), NetError> {
        let Some(maildrop) = &self.maildrop else {
            self.mistake(SIGN_IN_FIRST);
            return Ok(());
        };
        if let Some(number) = number {
            match maildrop.row(number).map(|row| row.size) {
                Some(size) => self.ok(&format!("{number} {size}")),
                None => self.mistake(NO_MESSAGE),
            }
            return Ok(());
        }
        let lines = maildrop.rows().map(|(number, row)| format!("{number} {}\r\n", row.size)).collect();
        self.listing(lines).await
    }

    async fn uidl(&mut self, number: Option<u32>) -> Result<(), NetError> {
        let Some(maildrop) = &self.maildrop else {
            self.mistake(SIGN_IN_FIRST);
            return Ok(());
        };
        if let Some(number) = number {
            match maildrop.row(number).map(|row| row.rid) {
                Some(rid) => self.ok(&format!("{number} {rid}")),
                None => self.mistake(NO_MESSAGE),
            }
            return Ok(());
        }
        let lines = maildrop.rows().map(|(number, row)| format!("{number} {}\r\n", row.rid)).collect();
        self.listing(lines).await
    }

    /// A multi-line reply; about 20 bytes a message.
    async fn listing(&mut self, lines: String) -> Result<(), NetError> {
        self.ok("listing follows");
        self.stream.write(lines.as_bytes());
        self.line(".");
        self.stream.relieve().await
    }

    fn dele(&mut self, number: u32) {
        let Some(maildrop) = &mut self.maildrop else { return self.mistake(SIGN_IN_FIRST) };
        if maildrop.row(number).is_none() {
            return self.mistake(NO_MESSAGE);
        }
        maildrop.deleted[number as usize - 1] = true;
        self.ok("marked as deleted");
    }

    fn rset(&mut self) {
        let Some(maildrop) = &mut self.maildrop else { return self.mistake(SIGN_IN_FIRST) };
        maildrop.deleted.fill(false);
        self.ok("nothing is marked as deleted");
    }
}
