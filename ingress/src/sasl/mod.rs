//! SASL (RFC 4422) for whichever protocol carries it: PLAIN (RFC 4616), LOGIN, SCRAM-SHA-256 and
//! SCRAM-SHA-256-PLUS (RFC 5802, RFC 7677), OAUTHBEARER (RFC 7628) and XOAUTH2.
//!
//! Owns the exchanges; the messages of each mechanism are read by functions without I/O, the directory knows who
//! is who and slows who guesses. Bearer tokens are those that the directory made: those of other issuers are
//! not asked about. Nothing survives an exchange but its outcome; if the process dies, the client asks again.

mod bearer;
mod binding;
mod plain;
mod scram;

use base64::alphabet::STANDARD;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use pennypost_directory::{Attempt, ClientProtocol, SignInError, Standing};

pub(crate) use binding::{Binding, end_point_of};

use crate::net::{Adapter, NetError, Stream};

/// Padding is often forgotten.
pub(crate) const BASE64: GeneralPurpose = GeneralPurpose::new(
    &STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// Bytes of a response's line.
pub(crate) const MAX_LINE: usize = 12 * 1024;

/// What carries an exchange.
pub(crate) trait Carrier {
    /// Sends a challenge and gives the response, decoded; `None` if the client cancels or does not send base64.
    async fn ask(&mut self, challenge: &[u8]) -> Result<Option<Vec<u8>>, NetError>;

    /// The connection.
    fn stream(&self) -> &Stream;

    /// What the program calls itself, if it has said.
    fn program(&self) -> Option<std::sync::Arc<str>> {
        None
    }
}

/// Why nobody is signed in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Refusal {
    /// No such mechanism here and now.
    UnknownMechanism,
    /// The client has given up, or sent what is no base64.
    Cancelled,
    /// A message is not as the mechanism has it.
    Malformed(&'static str),
    /// Nobody acts for somebody else here.
    ActsForOther,
    /// The directory says no.
    SignIn(SignInError),
}

impl From<SignInError> for Refusal {
    fn from(error: SignInError) -> Refusal {
        Refusal::SignIn(error)
    }
}

/// A refusal is an answer; an error is the end of the connection.
type Outcome = Result<Result<Standing, Refusal>, NetError>;

/// The mechanisms that may be used on this connection now, strongest first.
pub(crate) fn mechanisms(stream: &Stream) -> &'static [&'static str] {
    const OVER_TLS: [&str; 6] =
        ["SCRAM-SHA-256-PLUS", "SCRAM-SHA-256", "OAUTHBEARER", "XOAUTH2", "PLAIN", "LOGIN"];
    if !stream.is_private() {
        return &[];
    }
    if stream.offers_binding() { &OVER_TLS } else { OVER_TLS.split_at(1).1 }
}

/// What an exchange knows of itself.
struct Exchange<'a, C> {
    adapter: &'a Adapter,
    attempt: Attempt,
    carrier: &'a mut C,
}

/// Runs an exchange to its end; `initial` is the client's first response if it came with the command. Counts
/// and logs the outcome.
///
/// # Errors
/// The connection is over.
pub(crate) async fn sign_in<C: Carrier>(
    adapter: &Adapter,
    protocol: ClientProtocol,
    carrier: &mut C,
    mechanism: &str,
    initial: Option<Vec<u8>>,
) -> Outcome {
    let known = mechanisms(carrier.stream()).iter().find(|known| mechanism.eq_ignore_ascii_case(known));
    let Some(mechanism) = known.copied() else { return Ok(Err(Refusal::UnknownMechanism)) };
    let client = carrier.stream().peer().ip();
    let attempt = Attempt { kind: protocol.into(), mechanism, client, program: carrier.program() };
    let mut exchange = Exchange { adapter, attempt, carrier };
    match mechanism {
        "PLAIN" => exchange.plain(initial).await,
        "LOGIN" => exchange.login(initial).await,
        "OAUTHBEARER" => exchange.oauthbearer(initial).await,
        "XOAUTH2" => exchange.xoauth2(initial).await,
        _ => exchange.scram(initial, mechanism == "SCRAM-SHA-256-PLUS").await,
    }
}

impl<C: Carrier> Exchange<'_, C> {
    /// The first response of a mechanism in which the client speaks first.
    async fn first(&mut self, initial: Option<Vec<u8>>) -> Result<Option<Vec<u8>>, NetError> {
        match initial {
            Some(initial) => Ok(Some(initial)),
            None => self.carrier.ask(b"").await,
        }
    }

    async fn with_password(&self, login: &[u8], password: &[u8]) -> Result<Standing, Refusal> {
        let (Ok(login), Ok(password)) = (std::str::from_utf8(login), std::str::from_utf8(password)) else {
            return Err(Refusal::SignIn(SignInError::Denied));
        };
        Ok(self.adapter.sign_in(&self.attempt, login, password).await?)
    }
}
