//! Signing in: the directory is asked who this is, and the answer is counted and logged. The directory knows all rules,
//! counts failures and keeps the record of sign-ins. Callers have made sure that the connection is private ([`super::Stream::is_private`]).

use pennypost_directory::{Attempt, ClientProtocol, DirectoryError, ScramExchange, SignInError, Standing};
use tracing::info;

use super::Adapter;

impl Adapter {
    /// With login and password.
    ///
    /// # Errors
    /// [`SignInError`].
    pub(crate) async fn sign_in(
        &self,
        attempt: &Attempt,
        login: &str,
        password: &str,
    ) -> Result<Standing, SignInError> {
        let answer = self.directory.sign_in(attempt, login, password).await;
        self.tell(attempt, answer)
    }

    /// With a token, perhaps with the login that has to be its account's.
    ///
    /// # Errors
    /// [`SignInError`].
    pub(crate) async fn sign_in_with_token(
        &self,
        attempt: &Attempt,
        login: Option<&str>,
        token: &str,
    ) -> Result<Standing, SignInError> {
        let answer = self.directory.sign_in_with_token(attempt, login, token).await;
        self.tell(attempt, answer)
    }

    /// Begins a SCRAM exchange.
    ///
    /// # Errors
    /// [`SignInError`].
    pub(crate) async fn begin_scram(
        &self,
        attempt: &Attempt,
        login: &str,
    ) -> Result<ScramExchange, SignInError> {
        let answer = self.directory.begin_scram(attempt, login).await;
        answer.map_err(|error| self.denied(attempt, error))
    }

    /// Ends a SCRAM exchange; with the server's signature.
    ///
    /// # Errors
    /// [`SignInError`].
    pub(crate) async fn finish_scram(
        &self,
        attempt: &Attempt,
        exchange: ScramExchange,
        auth_message: &[u8],
        proof: &[u8],
    ) -> Result<(Standing, [u8; 32]), SignInError> {
        match self.directory.finish_scram(attempt, exchange, auth_message, proof).await {
            Ok((standing, signature)) => Ok((self.tell(attempt, Ok(standing))?, signature)),
            Err(error) => Err(self.denied(attempt, error)),
        }
    }

    fn tell(
        &self,
        attempt: &Attempt,
        answer: Result<Standing, SignInError>,
    ) -> Result<Standing, SignInError> {
        let standing = answer.map_err(|error| self.denied(attempt, error))?;
        let (protocol, mechanism, ip) = (attempt.kind.name(), attempt.mechanism, attempt.client);
        self.metrics.sign_ins.with_label_values(&[protocol, mechanism, "ok"]).inc();
        let key = standing.account.key;
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

    fn denied(&self, attempt: &Attempt, error: SignInError) -> SignInError {
        let (protocol, mechanism, ip, result) =
            (attempt.kind.name(), attempt.mechanism, attempt.client, error.name());
        self.metrics.sign_ins.with_label_values(&[protocol, mechanism, result]).inc();
        // The login may be a password typed into the wrong field: it is not logged.
        info!(protocol, mechanism, %ip, result, %error, "sign-in failed");
        error
    }
}
