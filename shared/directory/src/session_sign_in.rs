//! Signing in for a session: by password, with a code where there is a second factor; or because another program of the
//! organisation answers for somebody (INT-01).
//!
//! Both pass what mail programs pass ([`crate::sign_in`]): rules of addresses, locks, the record. One attempt is one record:
//! of a right password without its code it says just that, since nobody was let in.

use pennypost_model::AccountKey;

use crate::sign_in::{Checked, Subject, flatten, or_refuse};
use crate::sign_in_rules::Gate;
use crate::throttle::{Counters, Whose};
use crate::{Account, AccountKind, Attempt, Directory, SignInError, SignInOutcome, Standing};

impl Directory {
    /// Signs in somebody who is to have a session. `None`: the password is right, and a code is needed with it. Codes are
    /// used up ([`Directory::check_code`]); wrong ones count, and lock, apart from passwords.
    ///
    /// # Errors
    /// [`SignInError`]; of a token, which opens mailboxes for programs and no session, [`SignInError::Denied`].
    pub async fn sign_in_for_session(
        &self,
        attempt: &Attempt,
        login: &str,
        password: &str,
        code: Option<&str>,
    ) -> Result<Option<Standing>, SignInError> {
        let mut subject = Subject::default();
        let shown = (password, code);
        let result = flatten(self.check_for_session(attempt, login, shown, &mut subject).await);
        match &result {
            Ok(Some(standing)) => {
                let mechanism = if standing.has_factor { "password-and-code" } else { attempt.mechanism };
                let attempt = Attempt { mechanism, ..attempt.clone() };
                self.record_as(&attempt, &subject, SignInOutcome::Ok, None);
            }
            Ok(None) => self.record_as(attempt, &subject, SignInOutcome::CodeNeeded, None),
            Err(error) => self.record_refusal(attempt, &subject, error),
        }
        result
    }

    async fn check_for_session(
        &self,
        attempt: &Attempt,
        login: &str,
        (password, code): (&str, Option<&str>),
        subject: &mut Subject,
    ) -> Checked<Option<Standing>> {
        let standing = or_refuse!(self.check_password(attempt, login, password, subject).await?);
        if !standing.is_by_password() {
            subject.outcome = Some(SignInOutcome::Closed);
            return Ok(Err(SignInError::Denied));
        }
        if !standing.has_factor {
            // Secure sign-in: a password alone opens nothing (AUT-08).
            return Ok(if standing.is_secure { Err(SignInError::Closed) } else { Ok(Some(standing)) });
        }
        let Some(code) = code else { return Ok(Ok(None)) };
        or_refuse!(self.take_code(standing.account.key, code, attempt, subject).await?);
        Ok(Ok(Some(standing)))
    }

    /// Lets somebody in for whom another program of the organisation answers, who has shown a ticket of hers: for `account`,
    /// or a wrong one. Wrong ones count for the network.
    ///
    /// # Errors
    /// [`SignInError`].
    pub async fn sign_in_by_word(
        &self,
        attempt: &Attempt,
        account: Option<AccountKey>,
    ) -> Result<Account, SignInError> {
        let mut subject = Subject::default();
        let result = flatten(self.check_word(attempt, account, &mut subject).await);
        match &result {
            Ok(_) => self.record_as(attempt, &subject, SignInOutcome::Ok, None),
            Err(error) => self.record_refusal(attempt, &subject, error),
        }
        result
    }

    async fn check_word(
        &self,
        attempt: &Attempt,
        account: Option<AccountKey>,
        subject: &mut Subject,
    ) -> Checked<Account> {
        let now = self.clock.now();
        let Some(key) = account else {
            let counters = Counters::new(Whose::Unnamed, &Gate::default(), attempt.client, now);
            or_refuse!(self.unbarred(&counters).await?);
            self.count_failure(&counters, attempt.client).await?;
            return Ok(Err(SignInError::Denied));
        };
        let (tenant, account, gate) =
            futures::try_join!(self.active_tenant(key.tenant), self.account(key), self.gate(key))?;
        subject.login = account.as_ref().map(|account| account.address.to_string()).unwrap_or_default();
        (subject.tenant, subject.account) = (Some(key.tenant), Some(key.account));
        if !self.admits(&gate, Some(key), attempt.client).await? {
            return Ok(Err(SignInError::Elsewhere));
        }
        let counters = Counters::new(Whose::Account(key), &gate, attempt.client, now);
        or_refuse!(self.unbarred(&counters).await?);
        // A business mailbox is signed in to by nobody (BIZ-01).
        let may = |account: &Account| account.is_open(now) && account.kind == AccountKind::Member;
        let account = account.filter(may);
        let (Some(_), Some(account)) = (tenant, account) else {
            subject.outcome = Some(SignInOutcome::NotActive);
            return Ok(Err(SignInError::Denied));
        };
        self.note_network(key, &gate, attempt.client).await?;
        Ok(Ok(account))
    }
}
