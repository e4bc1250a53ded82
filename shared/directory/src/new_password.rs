//! Setting passwords: by an administrator, and by whose it is (AUT-05, AUT-06, AUT-13).

use pennypost_model::{AccountKey, TenantId, Timestamp};
use pennypost_ports::{Consistency, Expected};

use crate::password::{Credential, MAX_PASSWORD, credential_key, prepare};
use crate::password_rules::{Broken, Names, PasswordRules, Weakness};
use crate::sign_in::{Subject, flatten};
use crate::{Account, AccountKind, Attempt, Directory, DirectoryError, SignInError};

const DAY: i64 = 24 * 60 * 60 * 1000;
/// Bytes of a text that is looked at at all.
const MOST_BYTES: usize = 16 * MAX_PASSWORD;

/// Why a member's own password stays as it is.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ChangePasswordError {
    /// The old one is not right, or may not be tried.
    #[error(transparent)]
    Old(SignInError),
    /// The new one can't be it.
    #[error(transparent)]
    New(#[from] DirectoryError),
}

/// The age of a password.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PasswordAge {
    /// Since when it holds.
    pub since: Timestamp,
    /// When its life is over (AUT-12).
    pub expires: Option<Timestamp>,
    /// Its owner has to set another one (AUT-06).
    pub must_change: bool,
}

fn prepared(rules: &PasswordRules, names: Names<'_>, password: &str) -> Result<String, DirectoryError> {
    if password.len() > MOST_BYTES {
        let max = if rules.max_length == 0 { MAX_PASSWORD } else { usize::from(rules.max_length) };
        return Err(DirectoryError::Password(Weakness(vec![Broken::TooLong { max }])));
    }
    let prepared = prepare(password);
    let broken = rules.broken_by(&prepared, names);
    if broken.is_empty() { Ok(prepared) } else { Err(DirectoryError::Password(Weakness(broken))) }
}

impl Directory {
    /// Would the tenant's rules let this be a new account's password?
    pub(crate) async fn check_new_password(
        &self,
        tenant: TenantId,
        names: Names<'_>,
        password: &str,
    ) -> Result<(), DirectoryError> {
        let rules = self.sign_in_rules(tenant).await?.passwords;
        prepared(&rules, names, password).map(drop)
    }

    /// May this be the password of somebody who is to have such an address and name in the tenant?
    ///
    /// # Errors
    /// Those of a password that breaks its rules, or the port's.
    #[pennypost_ports::compiled_here]
    pub async fn check_wished_password(
        &self,
        tenant: TenantId,
        local: &str,
        display: &str,
        password: &str,
    ) -> Result<(), DirectoryError> {
        self.check_new_password(tenant, Names { local, display }, password).await
    }

    /// What is stored of a password that an administrator gives: its owner is to set another one where he or the tenant
    /// says so. `before` is what it follows.
    pub(crate) async fn new_credential(
        &self,
        tenant: TenantId,
        names: Names<'_>,
        password: &str,
        must_change: bool,
        before: Option<Credential>,
    ) -> Result<Credential, DirectoryError> {
        let rules = self.sign_in_rules(tenant).await?.passwords;
        let must_change = must_change || rules.change_first;
        self.credential(&rules, names, password, must_change, before).await
    }

    /// What is stored of the first password that its owner sets.
    pub(crate) async fn own_credential(
        &self,
        rules: &PasswordRules,
        names: Names<'_>,
        password: &str,
    ) -> Result<Credential, DirectoryError> {
        self.credential(rules, names, password, false, None).await
    }

    async fn credential(
        &self,
        rules: &PasswordRules,
        names: Names<'_>,
        password: &str,
        must_change: bool,
        before: Option<Credential>,
    ) -> Result<Credential, DirectoryError> {
        let prepared = prepared(rules, names, password)?;
        let mut history: Vec<String> = match before {
            Some(before) => std::iter::once(before.phc).chain(before.history).collect(),
            None => Vec::new(),
        };
        history.truncate(usize::from(rules.history));
        if !history.is_empty() && self.sign_ins.is_one_of(prepared.clone(), history.clone()).await? {
            let used = Broken::Used { history: rules.history };
            return Err(DirectoryError::Password(Weakness(vec![used])));
        }
        let (phc, scram) = self.sign_ins.hash(prepared).await?;
        Ok(Credential { phc, scram: Some(scram), set: Some(self.clock.now()), must_change, history })
    }

    /// Replaces the password. Sign-ins with the old one fail from here on, also those remembered in memory. Its owner has
    /// to set another one at the next sign-in that can ask for it, if the tenant says so.
    ///
    /// # Errors
    /// [`DirectoryError::Password`], [`DirectoryError::NoAccount`], [`DirectoryError::WrongKind`] for a business mailbox,
    /// [`DirectoryError::InBin`], or the port's.
    #[pennypost_ports::compiled_here]
    pub async fn set_password(&self, key: AccountKey, password: &str) -> Result<(), DirectoryError> {
        self.give_password(key, password, false).await
    }

    /// As [`Directory::set_password`]; with `must_change` its owner has to set another one in any case (AUT-06).
    ///
    /// # Errors
    /// Those of [`Directory::set_password`].
    #[pennypost_ports::compiled_here]
    pub async fn give_password(
        &self,
        key: AccountKey,
        password: &str,
        must_change: bool,
    ) -> Result<(), DirectoryError> {
        let (account, before) = self.passworded(key).await?;
        let names = Names { local: account.address.local(), display: &account.display_name };
        let credential = self.new_credential(key.tenant, names, password, must_change, before).await?;
        self.write(&credential_key(key), &credential, Expected::Any).await?;
        Ok(())
    }

    /// A member sets another password in the place of the one that he knows (AUT-05). A wrong old one counts as a failed
    /// sign-in. Sessions that stand on the old one end.
    ///
    /// # Errors
    /// [`ChangePasswordError`].
    #[pennypost_ports::compiled_here]
    pub async fn change_own_password(
        &self,
        attempt: &Attempt,
        key: AccountKey,
        old: &str,
        new: &str,
    ) -> Result<(), ChangePasswordError> {
        let (account, before) = self.passworded(key).await?;
        let login = account.address.to_string();
        let mut subject = Subject::default();
        let shown = flatten(self.check_password(attempt, &login, old, &mut subject).await);
        match &shown {
            // A token is no password, and changes none.
            Ok(standing) if standing.is_by_password() => {}
            Ok(_) => return Err(ChangePasswordError::Old(SignInError::Denied)),
            Err(error) => {
                self.record(attempt, &subject, &shown);
                return Err(ChangePasswordError::Old(error.clone()));
            }
        }
        let rules = self.sign_in_rules(key.tenant).await?.passwords;
        let names = Names { local: account.address.local(), display: &account.display_name };
        if old == new {
            let used = Broken::Used { history: rules.history.max(1) };
            return Err(DirectoryError::Password(Weakness(vec![used])).into());
        }
        let credential = self.credential(&rules, names, new, false, before).await?;
        self.write(&credential_key(key), &credential, Expected::Any)
            .await
            .map_err(ChangePasswordError::New)?;
        Ok(())
    }

    /// What is stored of a password that a member sets who has shown otherwise who he is.
    pub(crate) async fn next_own_credential(
        &self,
        account: &Account,
        new: &str,
        before: Option<Credential>,
    ) -> Result<Credential, DirectoryError> {
        let rules = self.sign_in_rules(account.key.tenant).await?.passwords;
        let names = Names { local: account.address.local(), display: &account.display_name };
        self.credential(&rules, names, new, false, before).await
    }

    /// A member sets the first password, who has none and has signed in otherwise (AUT-05); `false`: there is one.
    ///
    /// # Errors
    /// [`DirectoryError::Password`], [`DirectoryError::NoAccount`], [`DirectoryError::WrongKind`] for a business mailbox,
    /// [`DirectoryError::InBin`], or the port's.
    #[pennypost_ports::compiled_here]
    pub async fn set_first_password(&self, key: AccountKey, new: &str) -> Result<bool, DirectoryError> {
        let (account, before) = self.passworded(key).await?;
        if before.is_some() {
            return Ok(false);
        }
        let credential = self.next_own_credential(&account, new, None).await?;
        Ok(self.write(&credential_key(key), &credential, Expected::Absent).await?.is_some())
    }

    /// Since when the password holds and until when, if there is one.
    ///
    /// # Errors
    /// [`DirectoryError::NoAccount`], or the port's.
    #[pennypost_ports::compiled_here]
    pub async fn password_age(&self, key: AccountKey) -> Result<Option<PasswordAge>, DirectoryError> {
        let account = self.account(key).await?.ok_or_else(|| DirectoryError::NoAccount(key.to_string()))?;
        let held = self.read::<Credential>(&credential_key(key), Consistency::Strong).await?;
        let Some(Credential { set, must_change, .. }) = held.map(|held| held.value) else { return Ok(None) };
        let days = i64::from(self.sign_in_rules(key.tenant).await?.passwords.lifetime_days);
        let since = set.unwrap_or(account.created);
        let expires = (days != 0).then(|| since.plus_millis(days * DAY));
        Ok(Some(PasswordAge { since, expires, must_change }))
    }

    /// An account that has a password, or may be given one; and what is stored of it.
    async fn passworded(&self, key: AccountKey) -> Result<(Account, Option<Credential>), DirectoryError> {
        let account = self.account(key).await?.ok_or_else(|| DirectoryError::NoAccount(key.to_string()))?;
        if account.kind == AccountKind::Business {
            return Err(DirectoryError::WrongKind(account.address.to_string()));
        }
        if account.binned.is_some() {
            return Err(DirectoryError::InBin(account.address.to_string()));
        }
        let before = self.read::<Credential>(&credential_key(key), Consistency::Strong).await?;
        Ok((account, before.map(|held| held.value)))
    }
}
