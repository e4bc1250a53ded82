//! The commands, one file each; those that are one reply are here.

mod auth;
mod bdat;
mod data;
mod hello;
mod mail;
mod rcpt;
mod start_tls;

pub(super) use mail::Admitted;
use mail::limits_of_hold;

use super::Role;
use super::command::Command;
use super::reply::Reply;
use super::session::{Next, Session};
use crate::net::NetError;

impl Session {
    /// Does what the command asks and writes its reply.
    pub(super) async fn handle(&mut self, command: Command) -> Result<Next, NetError> {
        match command {
            Command::Helo(name) => self.hello(name, false),
            Command::Ehlo(name) => self.hello(name, true),
            // What waits long or needs much is on the heap while it lasts: a session between commands is small.
            Command::Mail(mail) => {
                if self.may_begin(&mail) {
                    let admitted = match self.role {
                        Role::Exchange | Role::Home(_) => self.admit_peer(),
                        Role::Submission => Box::pin(self.admit_member(&mail.reverse_path)).await,
                    };
                    self.begin(mail, admitted);
                }
            }
            Command::Rcpt(rcpt) => Box::pin(self.rcpt(rcpt)).await,
            Command::Data => return Box::pin(self.data()).await,
            Command::Bdat { len, last } => return Box::pin(self.bdat(len, last)).await,
            Command::StartTls => return Box::pin(self.start_tls()).await,
            Command::Auth(auth) => Box::pin(self.auth(auth)).await?,
            Command::Rset => {
                self.transaction = None;
                self.reply(&Reply::new(250, "2.0.0", "ok"));
            }
            Command::Noop => self.reply(&Reply::new(250, "2.0.0", "ok")),
            // RFC 5321 section 3.5.3: who is here is told by RCPT alone, where it is slowed.
            Command::Vrfy => self.reply(&Reply::new(252, "2.1.5", "send mail to it to find out")),
            Command::Expn => self.reply(&Reply::new(502, "5.5.1", "EXPN is not offered")),
            Command::Help => {
                let text = match self.role {
                    Role::Exchange | Role::Home(_) => {
                        "EHLO HELO MAIL RCPT DATA BDAT RSET NOOP VRFY HELP STARTTLS QUIT"
                    }
                    Role::Submission => {
                        "EHLO HELO STARTTLS AUTH MAIL RCPT DATA BDAT RSET NOOP VRFY HELP QUIT"
                    }
                };
                self.reply(&Reply::new(214, "2.0.0", text));
            }
            Command::Quit => {
                self.reply(&Reply::new(221, "2.0.0", "bye"));
                return Ok(Next::Close);
            }
        }
        Ok(Next::Command)
    }
}
