//! Secretaries: members who act for another one (DLG-01 … DLG-04).

use pennypost_directory::{
    Account, DirectoryError, MailAddress, Secretary, SecretaryApplication, SecretaryGrant, SecretaryScope,
    SecretaryTerm,
};
use pennypost_model::{AccountId, AccountKey};
use serde_json::json;

use crate::action::Action;
use crate::call::{About, Call};
use crate::{AdminError, Administration};

/// Somebody who is a secretary, or applies for it, seen by the other side: which that is depends on who asks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Deputy {
    /// The other account.
    pub account: AccountId,
    /// Its address; `None` if it is gone.
    pub address: Option<MailAddress>,
    /// Its name; may be empty.
    pub name: String,
    /// What the secretary is.
    pub granted: Option<SecretaryGrant>,
    /// What he would like to be.
    pub applied: Option<SecretaryApplication>,
}

impl Deputy {
    fn of(account: AccountId, found: Option<Account>, entry: &Secretary) -> Deputy {
        let (granted, applied) = (entry.granted, entry.applied);
        let name = found.as_ref().map(|found| found.display_name.clone()).unwrap_or_default();
        Deputy { account, address: found.map(|found| found.address), name, granted, applied }
    }
}

impl Administration {
    /// Who is a member's secretary, and who applies for it.
    ///
    /// # Errors
    /// [`AdminError`].
    #[pennypost_ports::compiled_here]
    pub async fn secretaries(&self, call: &Call, owner: AccountKey) -> Result<Vec<Deputy>, AdminError> {
        self.seen(call, Action::SecretaryRead, owner).await?;
        let mut deputies = Vec::new();
        for entry in self.directory.secretaries(owner).await? {
            deputies.push(self.deputy(owner, &entry).await?);
        }
        Ok(deputies)
    }

    async fn deputy(&self, owner: AccountKey, entry: &Secretary) -> Result<Deputy, AdminError> {
        let found = self.directory.account(AccountKey { account: entry.account, ..owner }).await?;
        Ok(Deputy::of(entry.account, found, entry))
    }

    /// Whose secretary an account is, or would like to be.
    ///
    /// # Errors
    /// [`AdminError`].
    #[pennypost_ports::compiled_here]
    pub async fn secretary_of(&self, call: &Call, secretary: AccountKey) -> Result<Vec<Deputy>, AdminError> {
        self.seen(call, Action::SecretaryRead, secretary).await?;
        let of = self.directory.secretary_of(secretary).await?;
        Ok(of.into_iter().map(|(owner, entry)| Deputy::of(owner.key.account, Some(owner), &entry)).collect())
    }

    /// A member makes the colleague at an address his secretary, from now on for that term (DLG-01, DLG-04).
    ///
    /// # Errors
    /// [`AdminError`].
    #[pennypost_ports::compiled_here]
    pub async fn grant_secretary(
        &self,
        call: &Call,
        owner: AccountKey,
        secretary: &str,
        (scope, term): (SecretaryScope, SecretaryTerm),
    ) -> Result<Deputy, AdminError> {
        let after = json!({ "secretary": secretary, "scope": scope.name(), "term": term.name() });
        let granting = async {
            let found = self.colleague(owner, secretary).await?;
            let granted = self.directory.grant_secretary(owner, found.key.account, (scope, term));
            let entry = granted.await?;
            Ok((found, entry))
        };
        let granted = self.about_secretaries(call, Action::SecretaryGrant, owner, after, granting).await;
        let (of, (found, entry)) = granted?;
        self.tell_of_answer(&of, &found, Some(&entry)).await;
        Ok(Deputy::of(found.key.account, Some(found), &entry))
    }

    async fn colleague(&self, of: AccountKey, address: &str) -> Result<Account, DirectoryError> {
        let found = self.directory.colleague(of.tenant, address).await?;
        found.ok_or_else(|| DirectoryError::NoAccount(address.to_owned()))
    }

    /// Ends that an account is a member's secretary, or answers its application with no.
    ///
    /// # Errors
    /// [`AdminError`].
    #[pennypost_ports::compiled_here]
    pub async fn end_secretary(
        &self,
        call: &Call,
        owner: AccountKey,
        secretary: AccountId,
    ) -> Result<(), AdminError> {
        let after = json!({ "secretary": secretary.to_string() });
        self.end_between(call, owner, (owner, secretary), after, "secretary").await
    }

    /// Ends it on the word of `by`, who is one of both.
    async fn end_between(
        &self,
        call: &Call,
        by: AccountKey,
        (owner, secretary): (AccountKey, AccountId),
        after: serde_json::Value,
        missing: &'static str,
    ) -> Result<(), AdminError> {
        let object = by.account.to_string();
        let about = About::new(Some(by.tenant), Action::SecretaryEnd, &object);
        let account = self.permitted(call, &about, by).await?;
        // What is not there is no operation.
        let known = self.directory.secretaries(owner).await?;
        let Some(entry) = known.iter().find(|one| one.account == secretary) else {
            return Err(AdminError::NotFound(missing));
        };
        let address = account.address.to_string();
        let about = About { object: &address, ..about }.to(after);
        let was_there = self.act(call, &about, self.directory.end_secretary(owner, secretary)).await?;
        if !was_there {
            return Err(AdminError::NotFound(missing));
        }
        // The owner's no to somebody who was none yet: he waits for an answer.
        if by == owner && entry.granted.is_none() {
            let key = AccountKey { account: secretary, ..owner };
            match self.directory.account(key).await {
                Ok(Some(found)) => self.tell_of_answer(&account, &found, None).await,
                Ok(None) => {}
                Err(error) => tracing::warn!(account = %key, %error, "an applicant was not told"),
            }
        }
        Ok(())
    }

    /// An account applies to be the secretary of the member at an address (DLG-02), who decides.
    ///
    /// # Errors
    /// [`AdminError`].
    #[pennypost_ports::compiled_here]
    pub async fn apply_as_secretary(
        &self,
        call: &Call,
        secretary: AccountKey,
        owner: &str,
        (scope, term): (SecretaryScope, SecretaryTerm),
    ) -> Result<Deputy, AdminError> {
        let after = json!({ "owner": owner, "scope": scope.name(), "term": term.name() });
        let applying = async {
            let owner = self.colleague(secretary, owner).await?;
            let before = self.directory.secretaries(owner.key).await?;
            let waits = |one: &Secretary| one.account == secretary.account && one.applied.is_some();
            let applied = self.directory.apply_as_secretary(owner.key, secretary.account, (scope, term));
            let entry = applied.await?;
            Ok((owner, entry, before.iter().any(waits)))
        };
        let applied = self.about_secretaries(call, Action::SecretaryApply, secretary, after, applying).await;
        let (applicant, (owner, entry, is_known)) = applied?;
        // Who changes what he wishes for is told of once.
        if !is_known {
            self.tell_of_application(&owner, &applicant).await;
        }
        Ok(Deputy::of(owner.key.account, Some(owner), &entry))
    }

    /// A secretary gives it up, or takes an application back.
    ///
    /// # Errors
    /// [`AdminError`].
    #[pennypost_ports::compiled_here]
    pub async fn resign_as_secretary(
        &self,
        call: &Call,
        secretary: AccountKey,
        owner: AccountId,
    ) -> Result<(), AdminError> {
        let after = json!({ "owner": owner.to_string() });
        let owner = AccountKey { account: owner, ..secretary };
        self.end_between(call, secretary, (owner, secretary.account), after, "owner").await
    }

    /// Records what an account does about secretaries, and does it: with the account.
    async fn about_secretaries<R>(
        &self,
        call: &Call,
        action: Action,
        key: AccountKey,
        after: serde_json::Value,
        effect: impl Future<Output = Result<R, DirectoryError>> + Send,
    ) -> Result<(Account, R), AdminError> {
        let object = key.account.to_string();
        let about = About::new(Some(key.tenant), action, &object);
        let account = self.permitted(call, &about, key).await?;
        let address = account.address.to_string();
        let about = About { object: &address, ..about }.to(after);
        let done = self.act(call, &about, effect).await?;
        Ok((account, done))
    }
}
