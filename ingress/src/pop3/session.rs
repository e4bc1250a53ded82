//! A session: its states (RFC 1939 sections 4 to 6), and the loop that reads commands and writes replies, one
//! write per group of commands.

use std::sync::Arc;

use pennypost_directory::{ClientProtocol, Standing};
use pennypost_fold::{Mailbox, Row};
use pennypost_model::{MailboxId, MailboxRole, UidSet};
use tokio::time::Instant;
use tracing::{debug, warn};

use super::command::Command;
use crate::net::{Adapter, ClientAccount, Line, NetError, Stream, wire};

/// Bytes of a command line: RFC 2449 asks for 255, RFC 5034 for more with SASL.
const MAX_LINE: usize = 8 * 1024;

/// How the session goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Next {
    Command,
    Close,
}

/// An open maildrop, as it was at the moment of sign-in: the Inbox, and what else the member wants POP3 to see
/// (CLI-04, CLI-05).
pub(super) struct Maildrop {
    pub account: ClientAccount,
    /// Its mailboxes, one after the other; those with messages.
    mailboxes: Vec<Arc<Mailbox>>,
    /// Marked by DELE, by position.
    pub deleted: Vec<bool>,
    /// What the session stands on, and when that was looked at.
    pub standing: Standing,
    checked: Instant,
}

impl Maildrop {
    pub fn new(account: ClientAccount, standing: Standing) -> Maildrop {
        let state = account.state();
        let rules = &standing.rules.pop3;
        let is_open = |mailbox: &Mailbox| match mailbox.role {
            Some(MailboxRole::Inbox) => true,
            Some(MailboxRole::Junk) => rules.junk,
            Some(_) => false,
            None => rules.folders,
        };
        let open = state.mailboxes().filter(|mailbox| is_open(mailbox) && !mailbox.rows.is_empty());
        let mailboxes: Vec<Arc<Mailbox>> = open.map(Arc::clone).collect();
        let count = mailboxes.iter().map(|mailbox| mailbox.rows.len()).sum();
        Maildrop { account, mailboxes, deleted: vec![false; count], standing, checked: Instant::now() }
    }

    /// The message of that number, unless it is marked as deleted.
    pub fn row(&self, number: u32) -> Option<&Row> {
        let position = (number as usize).checked_sub(1)?;
        if *self.deleted.get(position)? {
            return None;
        }
        let mut left = position;
        self.mailboxes.iter().find_map(|mailbox| {
            let row = mailbox.rows.at(left);
            left = left.saturating_sub(mailbox.rows.len());
            row
        })
    }

    /// Messages that are not marked as deleted, with their numbers.
    pub fn rows(&self) -> impl Iterator<Item = (usize, &Row)> {
        let rows = self.mailboxes.iter().flat_map(|mailbox| mailbox.rows.iter());
        let numbered = rows.zip(&self.deleted).enumerate();
        numbered.filter(|(_, (_, deleted))| !**deleted).map(|(index, (row, _))| (index + 1, row))
    }

    /// Those that are, by their mailboxes.
    pub fn marked(&self) -> Vec<(MailboxId, UidSet)> {
        let mut marks = self.deleted.iter();
        let of = |mailbox: &Arc<Mailbox>| {
            let marked = mailbox.rows.iter().zip(&mut marks).filter(|(_, deleted)| **deleted);
            (mailbox.id, marked.map(|(row, _)| row.uid).collect())
        };
        let all = self.mailboxes.iter().map(of);
        all.filter(|(_, uids): &(MailboxId, UidSet)| !uids.is_empty()).collect()
    }
}

pub(super) struct Session {
    pub adapter: Arc<Adapter>,
    pub stream: Stream,
    /// What USER said.
    pub user: Option<String>,
    pub maildrop: Option<Maildrop>,
    errors: usize,
}

impl Session {
    pub fn new(adapter: Arc<Adapter>, mut stream: Stream) -> Session {
        stream.accept_bare_lf();
        Session { adapter, stream, user: None, maildrop: None, errors: 0 }
    }

    /// Talks to the client to the end. The session is not moved: its parts would have a place in each future.
    pub async fn run(mut self: Box<Self>) {
        self.ok(&format!("{} Pennypost POP3", self.adapter.hostname.clone()));
        match self.talk().await {
            Ok(()) => {}
            Err(NetError::ReadTimeout) => self.err("[SYS/TEMP] timed out waiting for you, closing"),
            Err(NetError::Stopping) => self.err("[SYS/TEMP] the server is stopping, try again later"),
            Err(error) => debug!(%error, "session ends"),
        }
        self.stream.close().await;
    }

    async fn talk(&mut self) -> Result<(), NetError> {
        loop {
            let limits = &self.adapter.limits.pop3;
            let patience = if self.maildrop.is_some() { limits.idle } else { limits.login };
            if self.errors >= limits.errors {
                self.err("[SYS/PERM] too many errors, closing");
                return Ok(());
            }
            if !self.stream.has_buffered_line() {
                self.stream.flush().await?;
            }
            match self.stream.read_line(MAX_LINE, patience).await? {
                Line::Eof => return Ok(()),
                Line::TooLong => self.mistake("the line is too long"),
                Line::Text(line) | Line::BareLf(line) => {
                    wire::received(&line);
                    if !self.still_stands().await {
                        // What was marked stays: this is no QUIT.
                        self.err("[AUTH] the account or its password has changed, sign in again");
                        return Ok(());
                    }
                    match Command::parse(&line) {
                        Ok(command) => {
                            self.count(command.verb());
                            if Box::pin(self.handle(command)).await? == Next::Close {
                                return Ok(());
                            }
                        }
                        Err(text) => {
                            self.count("other");
                            self.mistake(text);
                        }
                    }
                }
            }
            self.stream.relieve().await?;
        }
    }

    /// May the member, looked at now and then, still be here?
    async fn still_stands(&mut self) -> bool {
        let Some(maildrop) = &mut self.maildrop else { return true };
        if maildrop.checked.elapsed() < self.adapter.limits.recheck {
            return true;
        }
        maildrop.checked = Instant::now();
        match Box::pin(self.adapter.still_stands(&maildrop.standing, ClientProtocol::Pop3)).await {
            Ok(Some(standing)) => {
                maildrop.standing = standing;
                true
            }
            Ok(None) => false,
            // Nobody is thrown out because the directory does not answer.
            Err(error) => {
                warn!(%error, "the account can't be looked at");
                true
            }
        }
    }

    fn count(&self, verb: &str) {
        self.adapter.metrics.commands.with_label_values(&["pop3", verb]).inc();
    }

    /// Writes `+OK`.
    pub fn ok(&mut self, text: &str) {
        self.line(&format!("+OK {text}"));
    }

    /// Writes `-ERR`.
    pub fn err(&mut self, text: &str) {
        self.line(&format!("-ERR {text}"));
    }

    /// Writes `-ERR`; too many of these end the session.
    pub fn mistake(&mut self, text: &str) {
        self.errors += 1;
        self.err(text);
    }

    /// Writes a line.
    pub fn line(&mut self, text: &str) {
        wire::sent(text.as_bytes());
        self.stream.write(text.as_bytes());
        self.stream.write(b"\r\n");
    }
}
