//! USER and PASS (RFC 1939 section 7), and AUTH (RFC 5034) with the mechanisms of [`crate::sasl`].

use std::sync::Arc;

use base64::Engine;
use pennypost_directory::{Attempt, ClientProtocol, SignInError, SignInKind, Standing};
use tracing::warn;

use crate::net::{Line, NetError, Stream, pop3_sight, wire};
use crate::pop3::session::{Maildrop, Session};
use crate::sasl::{self, BASE64, Carrier, MAX_LINE, Refusal};

const NOT_PRIVATE: &str = "[AUTH] passwords are taken over TLS only: use STLS";
const SIGNED_IN: &str = "you are signed in";

impl Session {
    pub(super) fn user(&mut self, name: String) {
        if self.maildrop.is_some() {
            return self.mistake(SIGNED_IN);
        }
        if !self.stream.is_private() {
            return self.mistake(NOT_PRIVATE);
        }
        self.user = Some(name);
        self.ok("now the password");
    }

    pub(super) async fn pass(&mut self, password: &str) {
        let Some(user) = self.user.take() else { return self.mistake("say USER first") };
        if self.maildrop.is_some() {
            return self.mistake(SIGNED_IN);
        }
        let attempt = Attempt::new(SignInKind::Pop3, "USER", self.stream.peer().ip());
        match self.adapter.sign_in(&attempt, &user, password).await {
            Ok(standing) => self.open_maildrop(standing).await,
            Err(error) => self.refused(error.into()),
        }
    }

    pub(super) async fn auth(&mut self, mechanism: Option<(String, Option<String>)>) -> Result<(), NetError> {
        let Some((mechanism, initial)) = mechanism else {
            self.ok("mechanisms follow");
            for mechanism in sasl::mechanisms(&self.stream) {
                self.line(mechanism);
            }
            self.line(".");
            return Ok(());
        };
        if self.maildrop.is_some() {
            self.mistake(SIGNED_IN);
            return Ok(());
        }
        if !self.stream.is_private() {
            self.mistake(NOT_PRIVATE);
            return Ok(());
        }
        let initial = match initial.as_deref() {
            None => None,
            // An empty response (RFC 5034 section 4).
            Some("=") => Some(Vec::new()),
            Some(given) => match BASE64.decode(given) {
                Ok(decoded) => Some(decoded),
                Err(_) => {
                    self.refused(Refusal::Cancelled);
                    return Ok(());
                }
            },
        };
        let adapter = Arc::clone(&self.adapter);
        match sasl::sign_in(&adapter, ClientProtocol::Pop3, self, &mechanism, initial).await? {
            Ok(standing) => self.open_maildrop(standing).await,
            Err(refusal) => self.refused(refusal),
        }
        Ok(())
    }

    /// With the response codes of RFC 2449 and RFC 3206.
    fn refused(&mut self, refusal: Refusal) {
        match refusal {
            Refusal::UnknownMechanism => {
                let known = sasl::mechanisms(&self.stream).join(", ");
                self.mistake(&format!("unknown mechanism: there are {known}"));
            }
            Refusal::Cancelled => self.mistake("[AUTH] the exchange was cancelled"),
            Refusal::Malformed(text) => self.mistake(&format!("[AUTH] {text}")),
            Refusal::ActsForOther => self.mistake("[AUTH] nobody may act as somebody else"),
            Refusal::SignIn(SignInError::Denied) => self.mistake("[AUTH] address or password is wrong"),
            Refusal::SignIn(SignInError::Closed) => self.mistake("[AUTH] POP3 is not open to you"),
            Refusal::SignIn(slowed @ SignInError::TooManyFailures { .. }) => {
                self.mistake(&format!("[SYS/TEMP] {slowed}"));
            }
            Refusal::SignIn(barred @ (SignInError::Locked { .. } | SignInError::Elsewhere)) => {
                self.mistake(&format!("[SYS/PERM] {barred}"));
            }
            Refusal::SignIn(expired @ SignInError::Expired) => self.mistake(&format!("[AUTH] {expired}")),
            Refusal::SignIn(SignInError::Unavailable) => {
                self.err("[SYS/TEMP] signing in is not possible at the moment");
            }
        }
    }

    async fn open_maildrop(&mut self, standing: Standing) {
        match self.adapter.mailroom.account(standing.account.key).await {
            Ok(live) => {
                let sight = pop3_sight(&standing.rules.pop3, self.adapter.clock.now());
                let maildrop = Maildrop::new(self.adapter.sights.account(live, sight), standing);
                let count = maildrop.deleted.len();
                self.maildrop = Some(maildrop);
                self.ok(&format!("{count} messages"));
            }
            Err(error) => {
                warn!(account = %standing.account.key, %error, "a mailbox can't be opened");
                self.err("[SYS/TEMP] the mailbox can't be opened at the moment");
            }
        }
    }
}

impl Carrier for Session {
    async fn ask(&mut self, challenge: &[u8]) -> Result<Option<Vec<u8>>, NetError> {
        self.line(&format!("+ {}", BASE64.encode(challenge)));
        self.stream.flush().await?;
        let patience = self.adapter.limits.pop3.login;
        match self.stream.read_line(MAX_LINE, patience).await? {
            Line::Text(line) | Line::BareLf(line) => {
                wire::received_bytes("SASL response", line.len());
                Ok(BASE64.decode(line.trim_ascii()).ok())
            }
            Line::TooLong => Ok(None),
            Line::Eof => Err(NetError::Closed),
        }
    }

    fn stream(&self) -> &Stream {
        &self.stream
    }
}
