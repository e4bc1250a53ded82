//! Signing in for a session: by password, with a code where there is a second factor; or because another program of the
//! organisation answers for somebody (INT-01).
//!
//! Both pass what mail programs pass ([`crate::sign_in`]): rules of addresses, locks, the record. One attempt is one record:
//! of a right password without its code it says just that, since nobody was let in.

use pennypost_model::{AccountKey, TenantId};

use crate::sign_in::{Checked, Subject, flatten, or_refuse};
use crate::sign_in_rules::Gate;
use crate::throttle::{Counters, Whose};
use crate::{Account, AccountKind, Attempt, Directory, MailAddress, SignInError, SignInOutcome, Standing};

/// Whom somebody else says that somebody is.
#[derive(Debug, Clone, Copy, Default)]
pub struct Word<'a> {
    /// Whose word it is, for the record; `None`: nobody's here.
    pub tenant: Option<TenantId>,
    /// The address that was said, if one was.
    pub login: &'a str,
    /// Who it is; `None`: nobody.
    pub account: Option<AccountKey>,
}

/// What a right password has come to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PasswordShown {
    /// It opens, with the code that was shown where one is needed.
    Enough(Box<Standing>),
    /// A code is needed with it.
    NeedsCode(AccountKey),
}

impl Directory {
    /// Signs in somebody who is to have a session. Codes are used up ([`Directory::check_code`]); wrong ones count, and lock,
    /// apart from passwords.
    ///
    /// # Errors
    /// [`SignInError`]; of a token, which opens mailboxes for programs and no session, [`SignInError::Denied`].
    #[pennypost_ports::compiled_here]
    pub async fn sign_in_for_session(
        &self,
        attempt: &Attempt,
        login: &str,
        password: &str,
        code: Option<&str>,
    ) -> Result<PasswordShown, SignInError> {
        let mut subject = Subject::default();
        let shown = (password, code);
        let result = flatten(self.check_for_session(attempt, login, shown, &mut subject).await);
        match &result {
            Ok(PasswordShown::Enough(standing)) => {
                let mechanism = if standing.has_factor { "password-and-code" } else { attempt.mechanism };
                let attempt = Attempt { mechanism, ..attempt.clone() };
                self.record_as(&attempt, &subject, SignInOutcome::Ok, None);
            }
            Ok(PasswordShown::NeedsCode(_)) => {
                self.record_as(attempt, &subject, SignInOutcome::CodeNeeded, None);
            }
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
    ) -> Checked<PasswordShown> {
        let standing = or_refuse!(self.check_password(attempt, login, password, subject).await?);
        if !standing.is_by_password() {
            subject.outcome = Some(SignInOutcome::Closed);
            return Ok(Err(SignInError::Denied));
        }
        let (is_secure, key) = (standing.is_secure, standing.account.key);
        if !standing.has_factor {
            // Secure sign-in: a password alone opens nothing (AUT-08).
            let enough = PasswordShown::Enough(Box::new(standing));
            return Ok(if is_secure { Err(SignInError::Closed) } else { Ok(enough) });
        }
        let Some(code) = code else { return Ok(Ok(PasswordShown::NeedsCode(key))) };
        or_refuse!(self.take_code(key, (code, true), attempt, subject).await?);
        Ok(Ok(PasswordShown::Enough(Box::new(standing))))
    }

    /// Lets somebody in for whom another program of the organisation, or a provider of identities, answers. Wrong ones count
    /// for the network.
    ///
    /// # Errors
    /// [`SignInError`].
    pub async fn sign_in_by_word(&self, attempt: &Attempt, word: &Word<'_>) -> Result<Account, SignInError> {
        let login = MailAddress::parse(word.login).map(|address| address.to_string()).unwrap_or_default();
        let outcome = word.tenant.map(|_| SignInOutcome::UnknownAccount);
        let mut subject = Subject { tenant: word.tenant, login, outcome, ..Subject::default() };
        let result = flatten(self.check_word(attempt, word.account, &mut subject).await);
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
        let Some(key) = account else { return self.refuse_stranger(attempt).await };
        let (account, gate) = or_refuse!(self.admitted(attempt, key, subject).await?);
        self.note_network(key, &gate, attempt.client).await?;
        Ok(Ok(account))
    }

    /// Refuses somebody of whom nothing is known: it counts for the network.
    pub(crate) async fn refuse_stranger<T>(&self, attempt: &Attempt) -> Checked<T> {
        let counters = Counters::new(Whose::Unnamed, &Gate::default(), attempt.client, self.clock.now());
        or_refuse!(self.unbarred(&counters).await?);
        self.count_failure(&counters, attempt.client).await?;
        Ok(Err(SignInError::Denied))
    }

    /// May somebody who shows something else than a password sign in to this account, from where he is, and is it neither
    /// locked nor slowed? It is asked before what he shows is looked at.
    pub(crate) async fn admitted(
        &self,
        attempt: &Attempt,
        key: AccountKey,
        subject: &mut Subject,
    ) -> Checked<(Account, Gate)> {
        let (account, gate) = or_refuse!(self.open_to(attempt, key, subject).await?);
        let counters = Counters::new(Whose::Account(key), &gate, attempt.client, self.clock.now());
        or_refuse!(self.unbarred(&counters).await?);
        Ok(Ok((account, gate)))
    }

    /// The same, whether or not wrong passwords have locked it: a lock says nothing of whether there is an account behind it
    /// that may be used.
    pub(crate) async fn open_to(
        &self,
        attempt: &Attempt,
        key: AccountKey,
        subject: &mut Subject,
    ) -> Checked<(Account, Gate)> {
        let now = self.clock.now();
        let (tenant, account, gate) =
            futures::try_join!(self.active_tenant(key.tenant), self.account(key), self.gate(key))?;
        if let Some(account) = &account {
            subject.login = account.address.to_string();
            (subject.tenant, subject.account) = (Some(key.tenant), Some(key.account));
        }
        if !self.admits(&gate, account.as_ref().map(|account| account.key), attempt.client).await? {
            return Ok(Err(SignInError::Elsewhere));
        }
        // A business mailbox is signed in to by nobody (BIZ-01).
        let may = |account: &Account| account.is_open(now) && account.kind == AccountKind::Member;
        let account = account.filter(may);
        let (Some(_), Some(account)) = (tenant, account) else {
            subject.outcome = Some(SignInOutcome::NotActive);
            return Ok(Err(SignInError::Denied));
        };
        Ok(Ok((account, gate)))
    }
}
