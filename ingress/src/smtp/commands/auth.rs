//! AUTH (RFC 4954), with the mechanisms of [`crate::sasl`]: where members hand mail in.

use std::sync::Arc;

use base64::Engine;
use pennypost_directory::{ClientProtocol, SignInError};

use crate::net::{Line, NetError, Stream, wire};
use crate::sasl::{self, BASE64, Carrier, MAX_LINE, Refusal};
use crate::smtp::Role;
use crate::smtp::command::Auth;
use crate::smtp::reply::Reply;
use crate::smtp::session::Session;
use crate::smtp::submission::Member;

impl Session {
    pub(super) async fn auth(&mut self, auth: Auth) -> Result<(), NetError> {
        let Auth { mechanism, initial } = auth;
        if let Some(mistake) = self.why_not_now() {
            self.mistake(&mistake);
            return Ok(());
        }
        let initial = match initial.as_deref() {
            None => None,
            // An empty response (RFC 4954 section 4).
            Some("=") => Some(Vec::new()),
            Some(given) => match BASE64.decode(given) {
                Ok(decoded) => Some(decoded),
                Err(_) => {
                    self.mistake(&refused(&Refusal::Cancelled));
                    return Ok(());
                }
            },
        };
        let adapter = Arc::clone(&self.adapter);
        match sasl::sign_in(&adapter, ClientProtocol::Smtp, self, &mechanism, initial).await? {
            Ok(standing) => {
                self.member = Some(Box::new(Member::new(standing)));
                self.reply(&Reply::new(235, "2.7.0", "signed in"));
            }
            Err(refusal) => self.mistake(&refused(&refusal)),
        }
        Ok(())
    }

    /// Why nobody can sign in now, if so.
    fn why_not_now(&self) -> Option<Reply> {
        if self.role != Role::Submission {
            return Some(Reply::new(502, "5.5.1", "AUTH is not offered here"));
        }
        if self.hello.as_ref().is_none_or(|hello| !hello.extended) {
            return Some(Reply::bad_sequence("say EHLO first"));
        }
        if self.transaction.is_some() {
            return Some(Reply::bad_sequence("a transaction is under way"));
        }
        if self.member.is_some() {
            return Some(Reply::bad_sequence("you have signed in already"));
        }
        let is_private = self.stream.is_private();
        (!is_private).then(|| Reply::new(538, "5.7.11", "passwords are taken over TLS only: use STARTTLS"))
    }
}

/// With the codes of RFC 4954 sections 4 and 6.
fn refused(refusal: &Refusal) -> Reply {
    match refusal {
        Refusal::UnknownMechanism => Reply::new(504, "5.5.4", "unknown mechanism"),
        Refusal::Cancelled => Reply::new(501, "5.5.2", "the exchange was cancelled, or is not base64"),
        Refusal::Malformed(text) => Reply::new(501, "5.5.2", text),
        Refusal::ActsForOther => Reply::new(535, "5.7.8", "nobody may act as somebody else"),
        Refusal::SignIn(SignInError::Denied) => Reply::new(535, "5.7.8", "address or password is wrong"),
        Refusal::SignIn(SignInError::Closed) => Reply::new(535, "5.7.8", "sending is not open to you"),
        Refusal::SignIn(
            barred @ (SignInError::Locked { .. } | SignInError::Elsewhere | SignInError::Expired),
        ) => Reply::owned(535, "5.7.8", barred.to_string()),
        Refusal::SignIn(slowed @ SignInError::TooManyFailures { .. }) => {
            Reply::owned(454, "4.7.0", slowed.to_string())
        }
        Refusal::SignIn(SignInError::Unavailable) => {
            Reply::new(454, "4.7.0", "signing in is not possible at the moment")
        }
    }
}

impl Carrier for Session {
    async fn ask(&mut self, challenge: &[u8]) -> Result<Option<Vec<u8>>, NetError> {
        self.stream.write(format!("334 {}\r\n", BASE64.encode(challenge)).as_bytes());
        self.stream.flush().await?;
        match self.stream.read_line(MAX_LINE, self.adapter.limits.submission.login).await? {
            Line::Text(line) => {
                wire::received_bytes("SASL response", line.len());
                Ok(BASE64.decode(line.trim_ascii()).ok())
            }
            Line::TooLong | Line::BareLf(_) => Ok(None),
            Line::Eof => Err(NetError::Closed),
        }
    }

    fn stream(&self) -> &Stream {
        &self.stream
    }
}
