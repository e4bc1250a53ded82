//! LOGIN (RFC 3501 section 6.2.3) and AUTHENTICATE (section 6.2.2) with PLAIN (RFC 4616) and LOGIN.
//!
//! Passwords are taken over TLS or from this machine only; the directory counts and slows failures.

use base64::Engine;
use base64::alphabet::STANDARD;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use pennypost_directory::SignInError;
use tokio::time::Instant;

use super::Answer;
use crate::imap::response::Reply;
use crate::imap::session::{Done, End, Session, SignedIn};
use crate::net::{Line, wire};

/// Padding is often forgotten.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);
/// Bytes of a line of AUTHENTICATE.
const MAX_LINE: usize = 12 * 1024;

impl Session {
    pub(super) async fn login(&mut self, user: &[u8], password: &[u8]) -> Answer {
        self.may_sign_in()?;
        Ok(self.sign_in(user, password).await)
    }

    pub(super) async fn authenticate(&mut self, mechanism: &str, initial: Option<Vec<u8>>) -> Done {
        if let Err(refused) = self.may_sign_in() {
            return Ok(refused);
        }
        match mechanism {
            "PLAIN" => {
                let Some(answer) = self.sasl_answer(b"", initial).await? else { return Ok(cancelled()) };
                let mut parts = answer.splitn(3, |byte| *byte == 0);
                let (Some(acts_as), Some(user), Some(password)) = (parts.next(), parts.next(), parts.next())
                else {
                    return Ok(Reply::bad("not a PLAIN answer"));
                };
                if !acts_as.is_empty() && acts_as != user {
                    return Ok(Reply::no("[AUTHORIZATIONFAILED] nobody may act as somebody else"));
                }
                Ok(self.sign_in(user, password).await)
            }
            "LOGIN" => {
                let Some(user) = self.sasl_answer(b"Username:", initial).await? else {
                    return Ok(cancelled());
                };
                let Some(password) = self.sasl_answer(b"Password:", None).await? else {
                    return Ok(cancelled());
                };
                Ok(self.sign_in(&user, &password).await)
            }
            _ => Ok(Reply::no("[CANNOT] unknown mechanism")),
        }
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

    /// An answer of the client, asked for unless it came with the command. `None` if the client cancels or
    /// does not send base64.
    async fn sasl_answer(&mut self, ask: &[u8], given: Option<Vec<u8>>) -> Result<Option<Vec<u8>>, End> {
        let encoded = match given {
            Some(given) if given == b"=" => return Ok(Some(Vec::new())),
            Some(given) => given,
            None => {
                self.stream.write(format!("+ {}\r\n", BASE64.encode(ask)).as_bytes());
                self.stream.flush().await?;
                match self.stream.read_line(MAX_LINE, self.adapter.limits.imap.login).await? {
                    Line::Text(line) | Line::BareLf(line) => {
                        wire::received_bytes("SASL answer", line.len());
                        line.to_vec()
                    }
                    Line::TooLong => return Ok(None),
                    Line::Eof => return Err(End::CutOff),
                }
            }
        };
        Ok(BASE64.decode(encoded.trim_ascii()).ok())
    }

    async fn sign_in(&mut self, user: &[u8], password: &[u8]) -> Reply {
        let denied = || Reply::no("[AUTHENTICATIONFAILED] address or password is wrong");
        let (Ok(user), Ok(password)) = (std::str::from_utf8(user), std::str::from_utf8(password)) else {
            self.failed_sign_ins += 1;
            return denied();
        };
        let ip = self.stream.peer().ip();
        let standing = match self.adapter.sign_in("imap", user, password, ip).await {
            Ok(standing) => standing,
            Err(error) => {
                self.failed_sign_ins += 1;
                return match error {
                    SignInError::Denied => denied(),
                    slowed @ SignInError::TooManyFailures { .. } => {
                        Reply::no(format!("[UNAVAILABLE] {slowed}"))
                    }
                    SignInError::Unavailable => Reply::no("[UNAVAILABLE] not possible at the moment"),
                };
            }
        };
        match self.adapter.mailroom.account(standing.account.key).await {
            Ok(live) => {
                self.signed_in = Some(SignedIn { standing, live, checked: Instant::now() });
                Reply::ok(format!("[CAPABILITY {}] signed in", self.capabilities()))
            }
            Err(error) => error.into(),
        }
    }
}

fn cancelled() -> Reply {
    Reply::bad("AUTHENTICATE was cancelled")
}
