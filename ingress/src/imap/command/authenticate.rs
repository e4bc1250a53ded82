//! LOGIN (RFC 3501 section 6.2.3) and AUTHENTICATE (section 6.2.2) with the mechanisms of [`crate::sasl`].
//!
//! Sign-ins are taken over TLS or from this machine only; the directory counts and slows failures.

use base64::Engine;
use pennypost_directory::{Attempt, ClientProtocol, SignInError, SignInKind, Standing};
use tokio::time::Instant;

use super::Answer;
use crate::imap::response::Reply;
use crate::imap::session::{Done, Session, SignedIn};
use crate::net::{Line, NetError, Stream, sight, wire};
use crate::sasl::{self, BASE64, Carrier, MAX_LINE, Refusal};

impl Session {
    pub(super) async fn login(&mut self, user: &[u8], password: &[u8]) -> Answer {
        self.may_sign_in()?;
        let (Ok(user), Ok(password)) = (std::str::from_utf8(user), std::str::from_utf8(password)) else {
            return Ok(self.refused(Refusal::SignIn(SignInError::Denied)));
        };
        let client = self.stream.peer().ip();
        let program = self.program.clone();
        let attempt = Attempt { kind: SignInKind::Imap, mechanism: "LOGIN", client, program };
        Ok(match self.adapter.sign_in(&attempt, user, password).await {
            Ok(standing) => self.open_account(standing).await,
            Err(error) => self.refused(error.into()),
        })
    }

    pub(super) async fn authenticate(&mut self, mechanism: &str, initial: Option<Vec<u8>>) -> Done {
        if let Err(refused) = self.may_sign_in() {
            return Ok(refused);
        }
        let initial = match initial {
            None => None,
            // An empty response (RFC 4959 section 3).
            Some(given) if given == b"=" => Some(Vec::new()),
            Some(given) => match BASE64.decode(given) {
                Ok(decoded) => Some(decoded),
                Err(_) => return Ok(self.refused(Refusal::Cancelled)),
            },
        };
        let adapter = std::sync::Arc::clone(&self.adapter);
        let outcome = sasl::sign_in(&adapter, ClientProtocol::Imap, self, mechanism, initial).await?;
        Ok(match outcome {
            Ok(standing) => self.open_account(standing).await,
            Err(refusal) => self.refused(refusal),
        })
    }

    fn may_sign_in(&self) -> Result<(), Reply> {
        if self.signed_in.is_some() {
            return Err(Reply::bad("you have signed in already"));
        }
        if !self.stream.is_private() {
            return Err(Reply::no("[PRIVACYREQUIRED] use STARTTLS first"));
        }
        Ok(())
    }

    /// With the response codes of RFC 5530.
    fn refused(&mut self, refusal: Refusal) -> Reply {
        if let Refusal::SignIn(_) | Refusal::ActsForOther = refusal {
            self.failed_sign_ins += 1;
        }
        match refusal {
            Refusal::UnknownMechanism => Reply::no("[CANNOT] unknown mechanism"),
            Refusal::Cancelled => Reply::bad("AUTHENTICATE was cancelled"),
            Refusal::Malformed(text) => Reply::bad(text),
            Refusal::ActsForOther => Reply::no("[AUTHORIZATIONFAILED] nobody may act as somebody else"),
            Refusal::SignIn(SignInError::Denied) => {
                Reply::no("[AUTHENTICATIONFAILED] address or password is wrong")
            }
            Refusal::SignIn(SignInError::Closed) => Reply::no("[CONTACTADMIN] IMAP is not open to you"),
            Refusal::SignIn(slowed @ SignInError::TooManyFailures { .. }) => {
                Reply::no(format!("[UNAVAILABLE] {slowed}"))
            }
            Refusal::SignIn(barred @ (SignInError::Locked { .. } | SignInError::Elsewhere)) => {
                Reply::no(format!("[CONTACTADMIN] {barred}"))
            }
            Refusal::SignIn(expired @ SignInError::Expired) => Reply::no(format!("[EXPIRED] {expired}")),
            Refusal::SignIn(SignInError::Unavailable) => {
                Reply::no("[UNAVAILABLE] not possible at the moment")
            }
        }
    }

    async fn open_account(&mut self, standing: Standing) -> Reply {
        match self.adapter.mailroom.account(standing.account.key).await {
            Ok(live) => {
                let sight = sight(&standing.rules.imap, self.adapter.clock.now());
                let live = self.adapter.sights.account(live, sight);
                self.signed_in = Some(SignedIn { standing, live, checked: Instant::now() });
                Reply::ok(format!("[CAPABILITY {}] signed in", self.capabilities()))
            }
            Err(error) => error.into(),
        }
    }
}

impl Carrier for Session {
    async fn ask(&mut self, challenge: &[u8]) -> Result<Option<Vec<u8>>, NetError> {
        self.stream.write(format!("+ {}\r\n", BASE64.encode(challenge)).as_bytes());
        self.stream.flush().await?;
        match self.stream.read_line(MAX_LINE, self.adapter.limits.imap.login).await? {
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

    fn program(&self) -> Option<std::sync::Arc<str>> {
        self.program.clone()
    }
}
