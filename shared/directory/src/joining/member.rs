//! Members who are in the directory and have not joined: they have no password yet (ORG-12).

use futures::stream::{self, StreamExt, TryStreamExt};
use pennypost_model::codec::Versioned;
use pennypost_model::{AccountKey, TenantId, Timestamp};
use pennypost_ports::{Consistency, ControlKey, Expected};
use serde::{Deserialize, Serialize};

use super::invitation::check_terms;
use super::{InvitationEnd, MEMBER, fresh_secret, hash, parts};
use crate::password::{Credential, credential_key};
use crate::password_rules::Names;
use crate::{Account, AccountKind, Directory, DirectoryError, Listed, Page};

/// Accounts that are looked at at once.
const LOOKUPS: usize = 16;

/// An invitation of a member, as it is told once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MemberInvitation {
    /// Whose account.
    pub account: Account,
    /// Until when it is good.
    pub until: Timestamp,
    /// The invitation.
    pub text: String,
}

/// As stored. Has no `Debug`, so that it gets into no log.
#[derive(Serialize, Deserialize)]
struct MemberItem {
    hash: [u8; 32],
    until: Timestamp,
}

impl Versioned for MemberItem {
    const KIND: &'static str = "invitation of a member";
}

fn member_key(key: AccountKey) -> ControlKey {
    ControlKey::new(format!("{}/member-invitations", key.tenant), key.account.to_string())
}

impl Directory {
    /// Is the text an invitation of somebody who has an account already?
    #[must_use]
    pub fn is_member_invitation(text: &str) -> bool {
        text.starts_with(MEMBER)
    }

    /// Has the member of this account no password yet, and could he be given one?
    async fn has_not_joined(&self, account: &Account) -> Result<bool, DirectoryError> {
        if account.kind != AccountKind::Member || !account.is_open(self.clock.now()) {
            return Ok(false);
        }
        let held = self.read::<Credential>(&credential_key(account.key), Consistency::Strong).await?;
        Ok(held.is_none())
    }

    async fn unless_joined(&self, account: Account) -> Result<Option<Account>, DirectoryError> {
        Ok(self.has_not_joined(&account).await?.then_some(account))
    }

    /// Members who have no password yet, in no order that means anything. A page may hold few though more follow.
    ///
    /// # Errors
    /// The port's.
    pub async fn not_joined(&self, tenant: TenantId, page: &Page) -> Result<Listed<Account>, DirectoryError> {
        let Listed { items, next } = self.accounts(tenant, page).await?;
        let looks: Vec<_> = items.into_iter().map(|account| self.unless_joined(account)).collect();
        let found: Vec<Option<Account>> = stream::iter(looks).buffered(LOOKUPS).try_collect().await?;
        Ok(Listed { items: found.into_iter().flatten().collect(), next })
    }

    /// Invites a member who has no password yet to set one. An invitation that he has already is worth nothing from here
    /// on.
    ///
    /// # Errors
    /// [`DirectoryError::NoAccount`], [`DirectoryError::AlreadyJoined`] for one who has a password, or whom nobody could
    /// give one, [`DirectoryError::InvitationTerms`], or the port's.
    pub async fn invite_member(
        &self,
        key: AccountKey,
        until: Timestamp,
    ) -> Result<MemberInvitation, DirectoryError> {
        let account = self.check_member_invitation(key, until).await?;
        let (secret, hash) = fresh_secret();
        self.write(&member_key(key), &MemberItem { hash, until }, Expected::Any).await?;
        Ok(MemberInvitation {
            account,
            until,
            text: format!("{MEMBER}{}{}{secret}", key.tenant, key.account),
        })
    }

    /// Could a member be invited until then? Changes nothing.
    ///
    /// # Errors
    /// Those of [`Directory::invite_member`].
    pub async fn check_member_invitation(
        &self,
        key: AccountKey,
        until: Timestamp,
    ) -> Result<Account, DirectoryError> {
        check_terms(1, until, self.clock.now())?;
        self.check_not_joined(key).await
    }

    /// The account of a member who has not joined.
    ///
    /// # Errors
    /// [`DirectoryError::NoAccount`], [`DirectoryError::AlreadyJoined`], or the port's.
    async fn check_not_joined(&self, key: AccountKey) -> Result<Account, DirectoryError> {
        let account = self.account(key).await?.ok_or_else(|| DirectoryError::NoAccount(key.to_string()))?;
        if self.has_not_joined(&account).await? {
            return Ok(account);
        }
        Err(DirectoryError::AlreadyJoined(account.address.to_string()))
    }

    /// Whom an invitation is for, if it is still good.
    ///
    /// # Errors
    /// [`DirectoryError::NoInvitation`], [`DirectoryError::InvitationOver`], [`DirectoryError::AlreadyJoined`], or the
    /// port's.
    pub async fn invited_member(&self, text: &str) -> Result<(Account, Timestamp), DirectoryError> {
        let (tenant, account, secret) = parts(text, MEMBER).ok_or(DirectoryError::NoInvitation)?;
        let account = account.parse().map_err(|_| DirectoryError::NoInvitation)?;
        let key = AccountKey { tenant, account };
        let held = self.read::<MemberItem>(&member_key(key), Consistency::Strong).await?;
        let item = held.map(|held| held.value).filter(|item| item.hash == hash(secret));
        let item = item.ok_or(DirectoryError::NoInvitation)?;
        self.joining_tenant(tenant).await?;
        if item.until <= self.clock.now() {
            return Err(DirectoryError::InvitationOver(InvitationEnd::Past));
        }
        match self.check_not_joined(key).await {
            Ok(account) => Ok((account, item.until)),
            Err(DirectoryError::NoAccount(_)) => Err(DirectoryError::NoInvitation),
            Err(error) => Err(error),
        }
    }

    /// Could a member set this first password by an invitation? Changes nothing.
    ///
    /// # Errors
    /// Those of [`Directory::join_as_member`].
    pub async fn check_joining_as_member(
        &self,
        text: &str,
        password: &str,
    ) -> Result<Account, DirectoryError> {
        let (account, _) = self.invited_member(text).await?;
        let names = Names { local: account.address.local(), display: &account.display_name };
        self.check_new_password(account.key.tenant, names, password).await?;
        Ok(account)
    }

    /// A member sets the first password by an invitation, which is worth nothing from here on.
    ///
    /// # Errors
    /// Those of [`Directory::invited_member`], [`DirectoryError::Password`], or the port's.
    pub async fn join_as_member(&self, text: &str, password: &str) -> Result<Account, DirectoryError> {
        let (account, _) = self.invited_member(text).await?;
        let rules = self.sign_in_rules(account.key.tenant).await?.passwords;
        let names = Names { local: account.address.local(), display: &account.display_name };
        let credential = self.own_credential(&rules, names, password).await?;
        let joined = || DirectoryError::AlreadyJoined(account.address.to_string());
        // Whoever was quicker has set it.
        self.write(&credential_key(account.key), &credential, Expected::Absent).await?.ok_or_else(joined)?;
        self.forget_member_invitation(account.key).await?;
        Ok(account)
    }

    /// An invitation of this account is worth nothing any more.
    pub(crate) async fn forget_member_invitation(&self, key: AccountKey) -> Result<(), DirectoryError> {
        self.erase(&member_key(key)).await
    }
}
