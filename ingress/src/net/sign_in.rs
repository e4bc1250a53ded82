//! Signing in: the directory is asked who this is, and the answer is counted and logged. The directory counts
//! and slows failures. Callers have made sure that the connection is private ([`super::Stream::is_private`]).

use std::net::IpAddr;

use pennypost_directory::{ClientProtocol, DirectoryError, ScramExchange, SignInError, Standing};
use tracing::info;

use super::Adapter;

/// An attempt, for the log.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Attempt {
    pub protocol: ClientProtocol,
    /// SASL mechanism, or the protocol's own command.
    pub mechanism: &'static str,
    pub ip: IpAddr,
}

impl Adapter {
    /// With login and password.
    ///
    /// # Errors
    /// [`SignInError`].
    pub(crate) async fn sign_in(
        &self,
        attempt: Attempt,
        login: &str,
        password: &str,
    ) -> Result<Standing, SignInError> {
        let answer = self.directory.open_session(login, password, attempt.ip).await;
        self.signed_in(attempt, answer)
    }

    /// With a token, perhaps with the login that has to be its account's.
    ///
    /// # Errors
    /// [`SignInError`].
    pub(crate) async fn sign_in_with_token(
        &self,
        attempt: Attempt,
        login: Option<&str>,
        token: &str,
    ) -> Result<Standing, SignInError> {
        let answer = self.directory.open_session_with_token(login, token, attempt.ip).await;
        self.signed_in(attempt, answer)
    }

    /// Begins a SCRAM exchange.
    ///
    /// # Errors
    /// [`SignInError`].
    pub(crate) async fn begin_scram(
        &self,
        attempt: Attempt,
        login: &str,
    ) -> Result<ScramExchange, SignInError> {
        let answer = self.directory.begin_scram(login, attempt.ip).await;
        answer.map_err(|error| self.denied(attempt, error))
    }

    /// Ends a SCRAM exchange; with the server's signature.
    ///
    /// # Errors
    /// [`SignInError`].
    pub(crate) async fn finish_scram(
        &self,
        attempt: Attempt,
        exchange: ScramExchange,
        auth_message: &[u8],
        proof: &[u8],
    ) -> Result<(Standing, [u8; 32]), SignInError> {
        match self.directory.finish_scram(exchange, auth_message, proof).await {
            Ok((standing, signature)) => Ok((self.signed_in(attempt, Ok(standing))?, signature)),
            Err(error) => Err(self.denied(attempt, error)),
        }
    }

    /// The answer, unless what was shown does not open this protocol (CLI-08).
    fn signed_in(
        &self,
        attempt: Attempt,
        answer: Result<Standing, SignInError>,
    ) -> Result<Standing, SignInError> {
        let Attempt { protocol, mechanism, ip } = attempt;
        let standing = answer.map_err(|error| self.denied(attempt, error))?;
        if !standing.opens(protocol) {
            return Err(self.denied(attempt, SignInError::Closed));
        }
        self.metrics.sign_ins.with_label_values(&[protocol.name(), mechanism, "ok"]).inc();
        let key = standing.account.key;
        let protocol = protocol.name();
        info!(protocol, mechanism, tenant = %key.tenant, account = %key.account, %ip, "signed in");
        Ok(standing)
    }

    /// The session's standing as it is now; `None` if it has to end.
    ///
    /// # Errors
    /// The port's.
    pub(crate) async fn still_stands(
        &self,
        standing: &Standing,
        protocol: ClientProtocol,
    ) -> Result<Option<Standing>, DirectoryError> {
        let standing = self.directory.still_stands(standing).await?;
        Ok(standing.filter(|standing| standing.opens(protocol)))
    }

    fn denied(&self, attempt: Attempt, error: SignInError) -> SignInError {
        let Attempt { protocol, mechanism, ip } = attempt;
        let result = match &error {
            SignInError::Denied => "denied",
            SignInError::Closed => "closed",
            SignInError::TooManyFailures { .. } => "slowed",
            SignInError::Unavailable => "unavailable",
        };
        self.metrics.sign_ins.with_label_values(&[protocol.name(), mechanism, result]).inc();
        // The login may be a password typed into the wrong field: it is not logged.
        info!(protocol = protocol.name(), mechanism, %ip, result, %error, "sign-in failed");
        error
    }
}
