//! Members who are in the directory and have not joined: they have no password yet (ORG-12).

use futures::stream::{self, StreamExt, TryStreamExt};
use pennypost_model::codec::{CodecError, Versioned, decode_plain};
use pennypost_model::{AccountKey, TenantId, Timestamp};
use pennypost_ports::{Consistency, ControlKey, Expected};
use serde::{Deserialize, Serialize};

use super::invitation::check_terms;
use super::{InvitationEnd, MEMBER, fresh_secret, hash, parts};
use crate::password::{Credential, credential_key};
use crate::password_rules::Names;
use crate::store::MAX_ATTEMPTS;
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
    /// The one before, which is good until what brings this one has it.
    before: Option<([u8; 32], Timestamp)>,
    /// What brings it has it, by the call of that name.
    sent: Option<[u8; 32]>,
}

impl MemberItem {
    /// Until when an invitation with that hash is good.
    fn until(&self, hash: &[u8; 32]) -> Option<Timestamp> {
        let of_before = || self.before.filter(|(before, _)| before == hash).map(|(_, until)| until);
        if self.hash == *hash { Some(self.until) } else { of_before() }
    }
}

impl Versioned for MemberItem {
    const KIND: &'static str = "invitation of a member";
    const VERSION: u8 = 2;

    fn upgrade(found: u8, bytes: &[u8]) -> Result<MemberItem, CodecError> {
        if found != 1 {
            return Err(CodecError::Version { kind: Self::KIND, found, known: Self::VERSION });
        }
        let (hash, until): ([u8; 32], Timestamp) = decode_plain(Self::KIND, bytes)?;
        Ok(MemberItem { hash, until, before: None, sent: None })
    }
}

/// The invitation, as it is told once.
fn text_of(key: AccountKey, secret: &str) -> String {
    format!("{MEMBER}{}{}{secret}", key.tenant, key.account)
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
    #[pennypost_ports::compiled_here]
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
    #[pennypost_ports::compiled_here]
    pub async fn invite_member(
        &self,
        key: AccountKey,
        until: Timestamp,
    ) -> Result<MemberInvitation, DirectoryError> {
        let account = self.check_member_invitation(key, until).await?;
        let (secret, hash) = fresh_secret();
        let item = MemberItem { hash, until, before: None, sent: None };
        self.write(&member_key(key), &item, Expected::Any).await?;
        Ok(MemberInvitation { account, until, text: text_of(key, &secret) })
    }

    /// The same for one that is to be sent: the invitation that he has stays good beside it, until it is said what became of
    /// the sending ([`Directory::invitation_was_sent`], [`Directory::take_invitation_back`]).
    ///
    /// # Errors
    /// Those of [`Directory::invite_member`].
    #[pennypost_ports::compiled_here]
    pub async fn invite_by_message(
        &self,
        key: AccountKey,
        until: Timestamp,
    ) -> Result<MemberInvitation, DirectoryError> {
        let account = self.check_member_invitation(key, until).await?;
        let (secret, hash) = fresh_secret();
        for _ in 0..MAX_ATTEMPTS {
            let held = self.read::<MemberItem>(&member_key(key), Consistency::Strong).await?;
            let expected = held.as_ref().map_or(Expected::Absent, |held| Expected::Version(held.version));
            let before = held.map(|held| (held.value.hash, held.value.until));
            let item = MemberItem { hash, until, before, sent: None };
            if self.write(&member_key(key), &item, expected).await?.is_some() {
                return Ok(MemberInvitation { account, until, text: text_of(key, &secret) });
            }
        }
        Err(DirectoryError::Contended)
    }

    /// What brings an invitation has it: the one before is worth nothing any more. A call of that name sends no other one.
    ///
    /// # Errors
    /// The port's.
    #[pennypost_ports::compiled_here]
    pub async fn invitation_was_sent(
        &self,
        text: &str,
        call: Option<[u8; 32]>,
    ) -> Result<(), DirectoryError> {
        self.end_sending(text, |item| Some(MemberItem { before: None, sent: call, ..item })).await
    }

    /// An invitation was not sent: the one before is the one again.
    ///
    /// # Errors
    /// The port's.
    #[pennypost_ports::compiled_here]
    pub async fn take_invitation_back(&self, text: &str) -> Result<(), DirectoryError> {
        let before = |item: MemberItem| {
            item.before.map(|(hash, until)| MemberItem { hash, until, before: None, sent: None })
        };
        self.end_sending(text, before).await
    }

    /// Changes the item of an invitation, as long as that is the last one; `None`: there is none any more.
    async fn end_sending(
        &self,
        text: &str,
        end: impl FnOnce(MemberItem) -> Option<MemberItem>,
    ) -> Result<(), DirectoryError> {
        let (tenant, account, secret) = parts(text, MEMBER).ok_or(DirectoryError::NoInvitation)?;
        let account = account.parse().map_err(|_| DirectoryError::NoInvitation)?;
        let item_key = member_key(AccountKey { tenant, account });
        let held = self.read::<MemberItem>(&item_key, Consistency::Strong).await?;
        // Who came after, or has joined with it, was faster.
        let Some(held) = held.filter(|held| held.value.hash == hash(secret)) else { return Ok(()) };
        match end(held.value) {
            Some(item) => self.write(&item_key, &item, Expected::Version(held.version)).await.map(drop),
            None => Ok(self.control.delete_if(&item_key, held.version).await.map(drop)?),
        }
    }

    /// Was the last invitation of a member sent by the call of that name?
    ///
    /// # Errors
    /// The port's.
    #[pennypost_ports::compiled_here]
    pub async fn was_invited_by(&self, key: AccountKey, call: &[u8; 32]) -> Result<bool, DirectoryError> {
        let held = self.read::<MemberItem>(&member_key(key), Consistency::Strong).await?;
        Ok(held.is_some_and(|held| held.value.sent.as_ref() == Some(call)))
    }

    /// Could a member be invited until then? Changes nothing.
    ///
    /// # Errors
    /// Those of [`Directory::invite_member`].
    #[pennypost_ports::compiled_here]
    pub async fn check_member_invitation(
        &self,
        key: AccountKey,
        until: Timestamp,
    ) -> Result<Account, DirectoryError> {
        check_terms(1, until, self.clock.now())?;
        self.check_not_joined(key).await
    }

    /// Can an invitation be good until then?
    ///
    /// # Errors
    /// Those of a term that can't be.
    pub fn check_invitation_term(&self, until: Timestamp) -> Result<(), DirectoryError> {
        check_terms(1, until, self.clock.now())
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
    #[pennypost_ports::compiled_here]
    pub async fn invited_member(&self, text: &str) -> Result<(Account, Timestamp), DirectoryError> {
        let (tenant, account, secret) = parts(text, MEMBER).ok_or(DirectoryError::NoInvitation)?;
        let account = account.parse().map_err(|_| DirectoryError::NoInvitation)?;
        let key = AccountKey { tenant, account };
        let held = self.read::<MemberItem>(&member_key(key), Consistency::Strong).await?;
        let until = held.and_then(|held| held.value.until(&hash(secret)));
        let until = until.ok_or(DirectoryError::NoInvitation)?;
        self.joining_tenant(tenant).await?;
        if until <= self.clock.now() {
            return Err(DirectoryError::InvitationOver(InvitationEnd::Past));
        }
        match self.check_not_joined(key).await {
            Ok(account) => Ok((account, until)),
            Err(DirectoryError::NoAccount(_)) => Err(DirectoryError::NoInvitation),
            Err(error) => Err(error),
        }
    }

    /// Could a member set this first password by an invitation? Changes nothing.
    ///
    /// # Errors
    /// Those of [`Directory::join_as_member`].
    #[pennypost_ports::compiled_here]
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
    #[pennypost_ports::compiled_here]
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

#[cfg(test)]
mod tests {
    use pennypost_model::codec::{decode, encode_plain};

    use super::*;

    #[test]
    fn invitations_of_before_some_were_sent_are_read() {
        let old = encode_plain(&([7_u8; 32], Timestamp(2_000)), 1);
        let read: MemberItem = decode(&old).expect("read");
        assert_eq!((read.until(&[7; 32]), read.until(&[8; 32])), (Some(Timestamp(2_000)), None));
        let next = MemberItem {
            hash: [8; 32],
            until: Timestamp(3_000),
            before: Some((read.hash, read.until)),
            sent: None,
        };
        let until = |hash: u8| next.until(&[hash; 32]).map(|until| until.0);
        assert_eq!((until(7), until(8), until(9)), (Some(2_000), Some(3_000), None));
    }
}
