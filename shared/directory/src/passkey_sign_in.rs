//! Signing in with a passkey, and showing one again.
//!
//! It passes what a password passes ([`crate::sign_in`]): rules of addresses, locks, the record. It stands for both factors
//! where the authenticator has looked who it was, and only then signs anybody in. What is wrong counts for the network:
//! signatures are not guessed, and nobody is to lock another out by sending some.

use pennypost_model::AccountKey;
use pennypost_passkeys::{Challenge, RelyingParty};

use crate::passkey::{PasskeyPurpose, ShownPasskey, account_in};
use crate::scram::salt_of_nobody;
use crate::session::SessionId;
use crate::sign_in::{Checked, Subject, flatten, or_refuse};
use crate::{Account, Attempt, Directory, DirectoryError, SignInError, SignInOutcome};

/// Bytes of credentials as authenticators make them up.
const LENGTHS: [usize; 4] = [16, 20, 32, 64];

/// A credential for a login that has none: the same each time, and as long as others are.
fn credential_of_nobody(key: &[u8; 32], login: &str) -> Vec<u8> {
    let made = |part: usize| salt_of_nobody(key, &format!("passkey of {login} {part}"));
    let [at, ..] = salt_of_nobody(key, &format!("length of the passkey of {login}"));
    let length = LENGTHS.get(usize::from(at) % LENGTHS.len()).copied().unwrap_or(16);
    (0..).flat_map(made).take(length).collect()
}

impl Directory {
    /// Asks whoever wants to sign in for a passkey: what is to be signed, and by which credentials, if an address was said.
    /// An address of nobody, or of somebody without passkeys, has a credential that is made up and stays the same.
    ///
    /// # Errors
    /// The port's.
    #[pennypost_ports::compiled_here]
    pub async fn begin_passkey_sign_in(
        &self,
        login: Option<&str>,
    ) -> Result<(Challenge, Vec<Vec<u8>>), DirectoryError> {
        let Some(login) = login else {
            let challenge = self.challenge_passkey(None, PasskeyPurpose::SignIn(None)).await?;
            return Ok((challenge, Vec::new()));
        };
        let mut subject = Subject { login: login.to_owned(), ..Subject::default() };
        let (tenant, account) = self.named(login, &mut subject).await?;
        // An account that there is not: the rules of its tenant hold for it.
        let nobody = AccountKey { tenant: tenant.unwrap_or_default(), ..AccountKey::default() };
        let account = account.unwrap_or(nobody);
        let mut credentials = self.passkey_credentials(account).await?;
        if credentials.is_empty() {
            credentials.push(credential_of_nobody(self.salt_key().await?, &subject.login));
        }
        let purpose = PasskeyPurpose::SignIn(Some(account));
        Ok((self.challenge_passkey(None, purpose).await?, credentials))
    }

    /// Signs in with a passkey whose authenticator has looked who it was.
    ///
    /// # Errors
    /// [`SignInError`].
    pub async fn sign_in_by_passkey(
        &self,
        attempt: &Attempt,
        site: &RelyingParty<'_>,
        shown: &ShownPasskey<'_>,
    ) -> Result<Account, SignInError> {
        let mut subject = Subject::default();
        let result = flatten(self.check_passkey_sign_in(attempt, site, shown, &mut subject).await);
        match &result {
            Ok(_) => self.record_as(attempt, &subject, SignInOutcome::Ok, None),
            Err(error) => self.record_refusal(attempt, &subject, error),
        }
        result
    }

    async fn check_passkey_sign_in(
        &self,
        attempt: &Attempt,
        site: &RelyingParty<'_>,
        shown: &ShownPasskey<'_>,
        subject: &mut Subject,
    ) -> Checked<Account> {
        let taken = self.take_passkey_challenge(None, shown.assertion.client_data).await?;
        let said = shown.user.and_then(account_in);
        let meant = match taken {
            Some((challenge, PasskeyPurpose::SignIn(asked))) => {
                // Whoever was asked for by name, and says who he is, is the same.
                let is_same = asked.is_none() || said.is_none() || asked == said;
                asked.or(said).filter(|_| is_same).map(|key| (key, challenge))
            }
            _ => None,
        };
        let Some((key, challenge)) = meant else { return self.refuse_stranger(attempt).await };
        let (account, gate) = match self.admitted(attempt, key, subject).await? {
            Ok(admitted) => admitted,
            Err(SignInError::Elsewhere) => return Ok(Err(SignInError::Elsewhere)),
            // That somebody has guessed passwords of this address would tell that it is somebody's.
            Err(error) => {
                subject.outcome.get_or_insert(SignInOutcome::of(&error));
                return self.refuse_stranger(attempt).await;
            }
        };
        if self.prove_passkey(key, site, &challenge, shown).await? != Some(true) {
            subject.outcome = Some(SignInOutcome::WrongPasskey);
            return self.refuse_stranger(attempt).await;
        }
        self.note_network(key, &gate, attempt.client).await?;
        Ok(Ok(account))
    }

    /// Checks a passkey of somebody in a session, who was asked for it there. A refusal is in the record of sign-ins.
    ///
    /// # Errors
    /// [`SignInError`].
    pub async fn check_passkey(
        &self,
        (key, session): (AccountKey, SessionId),
        attempt: &Attempt,
        site: &RelyingParty<'_>,
        shown: &ShownPasskey<'_>,
    ) -> Result<(), SignInError> {
        let mut subject = Subject::default();
        let checked = flatten(self.try_passkey((key, session), attempt, site, shown, &mut subject).await);
        if let Err(error) = &checked {
            self.record_refusal(attempt, &subject, error);
        }
        checked
    }

    async fn try_passkey(
        &self,
        (key, session): (AccountKey, SessionId),
        attempt: &Attempt,
        site: &RelyingParty<'_>,
        shown: &ShownPasskey<'_>,
        subject: &mut Subject,
    ) -> Checked<()> {
        let taken = self.take_passkey_challenge(Some(key.tenant), shown.assertion.client_data).await?;
        or_refuse!(self.admitted(attempt, key, subject).await?);
        let is_right = match taken {
            Some((challenge, PasskeyPurpose::Confirm(asked))) if asked == session => {
                self.prove_passkey(key, site, &challenge, shown).await?.is_some()
            }
            _ => false,
        };
        if is_right {
            return Ok(Ok(()));
        }
        subject.outcome = Some(SignInOutcome::WrongPasskey);
        self.refuse_stranger(attempt).await
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn credentials_of_nobody_stay_and_are_of_every_length() {
        let made = |login: &str| credential_of_nobody(&[7; 32], login);
        assert_eq!(made("a@b.example"), made("a@b.example"));
        assert_ne!(made("a@b.example"), made("c@b.example"));
        let lengths: BTreeSet<usize> = (0..100).map(|n| made(&format!("{n}@b.example")).len()).collect();
        assert!(lengths.into_iter().eq(LENGTHS));
        // No piece comes twice.
        let long = (0..).map(|n| made(&format!("{n}@b.example"))).find(|one| one.len() == 64).expect("one");
        assert_eq!(long.chunks(16).collect::<BTreeSet<_>>().len(), 4);
    }
}
