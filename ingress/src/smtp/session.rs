//! A session: reads commands, hands them to their handlers, writes replies, and ends when either side has
//! enough. Replies are sent when no further command is in the input buffer: one write per group (RFC 2920).

use std::sync::Arc;

use tokio::time::Instant;
use tracing::{debug, warn};

use super::Role;
use super::command::Command;
use super::reply::Reply;
use super::submission::Member;
use super::transaction::Transaction;
use crate::net::{Adapter, Holder, Line, NetError, Share, Stream, neighbourhood, wire};
use crate::sasl;

/// How the session goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Next {
    /// With the next command.
    Command,
    /// Not at all: what was written is sent and the connection closed.
    Close,
}

/// The client, as it named itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Hello {
    pub name: String,
    /// It said EHLO.
    pub extended: bool,
}

pub(crate) struct Session {
    pub adapter: Arc<Adapter>,
    pub stream: Stream,
    pub role: Role,
    /// Who has signed in; nobody does where other servers come.
    pub member: Option<Box<Member>>,
    pub hello: Option<Hello>,
    pub transaction: Option<Transaction>,
    /// Nothing is tested, and it is not counted per address.
    pub trusted: bool,
    /// Messages accepted.
    pub messages: usize,
    /// Recipients refused.
    pub refused: usize,
    errors: usize,
    commands: usize,
    started: Instant,
}

impl Session {
    pub fn new(adapter: Arc<Adapter>, stream: Stream, role: Role) -> Session {
        let is_at_home = matches!(role, Role::Home(_));
        let trusted = !is_at_home && adapter.limits.trusts(stream.peer().ip());
        Session {
            adapter,
            stream,
            role,
            member: None,
            hello: None,
            transaction: None,
            trusted,
            messages: 0,
            refused: 0,
            errors: 0,
            commands: 0,
            started: Instant::now(),
        }
    }

    /// Talks to the client to the end. The session is not moved: its parts would have a place in each future.
    pub async fn run(mut self: Box<Self>) {
        let greeting = Reply::owned(220, "", format!("{} ESMTP Pennypost", self.adapter.hostname));
        self.reply(&greeting);
        let ended = self.talk().await;
        let farewell = match &ended {
            Ok(()) => None,
            Err(NetError::ReadTimeout) => {
                Some(Reply::new(421, "4.4.2", "timed out waiting for you, closing"))
            }
            Err(NetError::Stopping) => {
                Some(Reply::new(421, "4.3.2", "the server is stopping, try again later"))
            }
            Err(_) => None,
        };
        if let Err(error) = &ended {
            debug!(%error, "session ends");
        }
        if let Some(farewell) = farewell {
            self.reply(&farewell);
        }
        self.stream.close().await;
    }

    async fn talk(&mut self) -> Result<(), NetError> {
        loop {
            let limits = &self.adapter.limits;
            let (max, patience) = match (self.role, &self.member) {
                (Role::Exchange | Role::Home(_), _) => (limits.smtp.command_line, limits.smtp.command),
                (Role::Submission, Some(_)) => {
                    (limits.smtp.command_line.max(sasl::MAX_LINE), limits.smtp.command)
                }
                (Role::Submission, None) => {
                    (limits.smtp.command_line.max(sasl::MAX_LINE), limits.submission.login)
                }
            };
            if !self.stream.has_buffered_line() {
                self.stream.flush().await?;
            }
            let line = self.stream.read_line(max, patience).await?;
            if let Some(end) = self.enough() {
                self.reply(&end);
                return Ok(());
            }
            let next = match line {
                Line::Eof => return Ok(()),
                Line::TooLong => {
                    self.mistake(&Reply::new(500, "5.5.6", "the line is too long"));
                    Next::Command
                }
                Line::BareLf(_) => {
                    self.mistake(&Reply::new(500, "5.5.2", "lines must end with CRLF"));
                    Next::Command
                }
                Line::Text(line) => {
                    wire::received(&line);
                    match Command::parse(&line) {
                        Ok(command) => {
                            self.count(command.verb());
                            self.handle(command).await?
                        }
                        Err(reply) => {
                            self.count("other");
                            self.mistake(&reply);
                            Next::Command
                        }
                    }
                }
            };
            if next == Next::Close {
                return Ok(());
            }
            self.stream.relieve().await?;
        }
    }

    /// Why the session ends now, if it does.
    fn enough(&mut self) -> Option<Reply> {
        let limits = &self.adapter.limits.smtp;
        self.commands += 1;
        let reason = if self.errors >= limits.errors {
            Reply::new(421, "4.7.0", "too many errors")
        } else if self.refused >= limits.refused_recipients {
            Reply::new(421, "4.7.0", "too many refused recipients")
        } else if self.commands > limits.commands_without_message {
            Reply::new(421, "4.7.0", "too many commands without a message")
        } else if Instant::now() > self.ends() {
            Reply::new(421, "4.4.2", "the session has taken too long")
        } else {
            return None;
        };
        warn!(reason = %reason.text, "session is cut off");
        Some(reason)
    }

    /// Is the peer one of ours: in a trusted network, or a member?
    pub const fn is_known(&self) -> bool {
        self.trusted || self.member.is_some()
    }

    /// Does this post office hand over mail of another organisation?
    pub const fn is_at_home(&self) -> bool {
        matches!(self.role, Role::Home(_))
    }

    /// When the session is over, whatever it is doing.
    pub fn ends(&self) -> Instant {
        self.started + self.adapter.limits.smtp.session
    }

    /// Memory for a message: as much as is there for this peer.
    pub fn memory(&self) -> Share {
        let ip = self.stream.peer().ip();
        let holder = match &self.member {
            Some(member) => Holder::Account(member.key()),
            None if self.trusted || self.is_at_home() => Holder::Trusted,
            None => Holder::Address(neighbourhood(ip)),
        };
        self.adapter.memory.share(holder)
    }

    fn count(&self, verb: &str) {
        self.adapter.metrics.commands.with_label_values(&[self.role.name(), verb]).inc();
    }

    /// Writes a reply into the output buffer.
    pub fn reply(&mut self, reply: &Reply) {
        let line = reply.line();
        wire::sent(line.as_bytes());
        self.stream.write(line.as_bytes());
    }

    /// Replies to a mistake of the client; too many end the session.
    pub fn mistake(&mut self, reply: &Reply) {
        self.errors += 1;
        self.reply(reply);
    }

    /// A message was accepted: the client is no longer suspect.
    pub const fn message_accepted(&mut self) {
        self.messages += 1;
        self.commands = 0;
    }
}
