//! Passkeys: made, named and removed by their owner, who signs in with them, and shows one before what can't be made undone.
//!
//! They are made for the host of the pages for people, which the operator says once; another host is another site, for
//! which no passkey is good.

use pennypost_directory::{
    AddedPasskey, Attempt, CHALLENGE_LIFE, Passkey, PasskeyId, PasskeyPurpose, Session, ShownPasskey,
    SignInKind, SignedInBy, user_handle,
};
use pennypost_model::AccountKey;
use pennypost_passkeys::{ALGORITHMS, Challenge, Refused, Registration, RelyingParty};
use serde_json::json;

use crate::action::Action;
use crate::authorise::Why;
use crate::call::{About, Call};
use crate::sessions::{NotSignedIn, Visitor};
use crate::{AdminError, Administration, Conflict, Invalid};

/// What a browser hands to an authenticator, so that it makes a passkey.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PasskeyOffer {
    /// The site, as its RP ID.
    pub site: String,
    /// What is to be signed.
    pub challenge: Challenge,
    /// Whose it will be, by a number.
    pub user: [u8; 16],
    /// The address.
    pub address: String,
    /// The name.
    pub name: String,
    /// The algorithms that are known here, the best first.
    pub algorithms: &'static [i32],
    /// Credentials that there are already.
    pub known: Vec<Vec<u8>>,
    /// Milliseconds for which it is good.
    pub timeout: i64,
}

/// What a browser hands to an authenticator, so that it shows a passkey.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PasskeyRequest {
    /// The site, as its RP ID.
    pub site: String,
    /// What is to be signed.
    pub challenge: Challenge,
    /// By which credentials; none: by any that the authenticator has for the site.
    pub credentials: Vec<Vec<u8>>,
    /// It has to look who it is.
    pub verified: bool,
    /// Milliseconds for which it is good.
    pub timeout: i64,
}

impl Administration {
    /// The host for which passkeys are made.
    async fn site(&self) -> Result<String, AdminError> {
        self.said_service().await?.web.ok_or(AdminError::Conflict(Conflict::NoPages))
    }

    /// The passkeys of an account.
    ///
    /// # Errors
    /// [`AdminError`].
    #[pennypost_ports::compiled_here]
    pub async fn passkeys(&self, call: &Call, key: AccountKey) -> Result<Vec<Passkey>, AdminError> {
        self.seen(call, Action::SecondFactorRead, key).await?;
        Ok(self.directory.passkeys(key).await?)
    }

    /// A passkey of an account.
    ///
    /// # Errors
    /// [`AdminError`].
    #[pennypost_ports::compiled_here]
    pub async fn passkey(&self, call: &Call, key: AccountKey, id: PasskeyId) -> Result<Passkey, AdminError> {
        let found = self.passkeys(call, key).await?.into_iter().find(|passkey| passkey.id == id);
        found.ok_or(AdminError::NotFound("passkey"))
    }

    /// What the owner's authenticator needs to make a passkey.
    ///
    /// # Errors
    /// [`AdminError`].
    #[pennypost_ports::compiled_here]
    pub async fn offer_passkey(&self, call: &Call, key: AccountKey) -> Result<PasskeyOffer, AdminError> {
        let object = key.account.to_string();
        let about = About::new(Some(key.tenant), Action::SecondFactorSet, &object);
        let (address, presence) = self.permitted_owner(call, &about, key).await?;
        let site = self.site().await?;
        let account = self.directory.account(key).await?.ok_or(AdminError::NotFound("account"))?;
        let known = self.directory.passkey_credentials(key).await?;
        let purpose = PasskeyPurpose::Add(presence.session);
        let challenge = self.directory.challenge_passkey(Some(key.tenant), purpose).await?;
        let name = if account.display_name.is_empty() { address.clone() } else { account.display_name };
        let (user, algorithms, timeout) = (user_handle(key), &ALGORITHMS[..], CHALLENGE_LIFE);
        Ok(PasskeyOffer { site, challenge, user, address, name, algorithms, known, timeout })
    }

    /// Keeps a passkey that the owner's authenticator has made, in the session in which it was asked for.
    ///
    /// # Errors
    /// [`AdminError`].
    pub async fn add_passkey(
        &self,
        call: &Call,
        key: AccountKey,
        name: &str,
        shown: &Registration<'_>,
    ) -> Result<Passkey, AdminError> {
        let object = key.account.to_string();
        let about = About::new(Some(key.tenant), Action::SecondFactorSet, &object);
        let (address, presence) = self.permitted_owner(call, &about, key).await?;
        let site = self.site().await?;
        let taken = self.directory.take_passkey_challenge(Some(key.tenant), shown.client_data).await?;
        let challenge = match taken {
            Some((challenge, PasskeyPurpose::Add(session))) if session == presence.session => challenge,
            _ => return Err(Invalid::Passkey(Refused::Elsewhere).into()),
        };
        let made = RelyingParty::at(&site).register(&challenge, shown).map_err(Invalid::Passkey)?;
        let is_verified = made.is_verified;
        let about = About { object: &address, ..about }.to(json!({ "passkey": name }));
        let adding = async {
            match self.directory.add_passkey(key, name, made).await? {
                AddedPasskey::Added(passkey) => Ok(passkey),
                AddedPasskey::Known => Err(AdminError::Conflict(Conflict::PasskeyKnown)),
            }
        };
        let passkey = self.act(call, &about, adding).await?;
        // Whoever has just made one, and was looked at, has shown who he is; and has what the tenant asks for.
        if is_verified {
            self.directory.confirm_session(key, presence.session).await?;
        }
        Ok(passkey)
    }

    /// The owner gives a passkey another name, if it is still called as he has seen it.
    ///
    /// # Errors
    /// [`AdminError`].
    #[pennypost_ports::compiled_here]
    pub async fn rename_passkey(
        &self,
        call: &Call,
        key: AccountKey,
        seen: &Passkey,
        name: &str,
    ) -> Result<Passkey, AdminError> {
        let object = key.account.to_string();
        let about = About::new(Some(key.tenant), Action::SecondFactorSet, &object);
        let (address, _) = self.permitted_owner(call, &about, key).await?;
        let about = About { object: &address, ..about }
            .from(json!({ "passkey": seen.name }))
            .to(json!({ "passkey": name }));
        let renaming = async {
            let renamed = self.directory.rename_passkey(key, seen, name).await?;
            renamed.ok_or(AdminError::Changed)
        };
        self.act(call, &about, renaming).await
    }

    /// The owner removes a passkey; the other sessions of the account end.
    ///
    /// # Errors
    /// [`AdminError`].
    #[pennypost_ports::compiled_here]
    pub async fn remove_passkey(
        &self,
        call: &Call,
        key: AccountKey,
        id: PasskeyId,
    ) -> Result<(), AdminError> {
        let object = key.account.to_string();
        let about = About::new(Some(key.tenant), Action::SecondFactorSet, &object);
        let (address, presence) = self.permitted_owner(call, &about, key).await?;
        let before = self.passkey(call, key, id).await?;
        let about = About { object: &address, ..about }.from(json!({ "passkey": before.name }));
        let removing = async {
            if !self.directory.remove_passkey(key, id).await? {
                return Err(AdminError::NotFound("passkey"));
            }
            // Whoever has found it may have opened some.
            self.directory.end_sessions(key, Some(presence.session)).await?;
            Ok(())
        };
        self.act(call, &about, removing).await
    }

    /// What the owner's authenticator needs to show again who is in this session.
    ///
    /// # Errors
    /// [`AdminError`].
    #[pennypost_ports::compiled_here]
    pub async fn request_passkey(&self, call: &Call, key: AccountKey) -> Result<PasskeyRequest, AdminError> {
        let object = key.account.to_string();
        let about = About::new(Some(key.tenant), Action::SessionConfirm, &object);
        self.permitted(call, &about, key).await?;
        let presence = *call.actor.presence().ok_or(AdminError::Denied(Why::NoPermission))?;
        let site = self.site().await?;
        let credentials = self.directory.passkey_credentials(key).await?;
        if credentials.is_empty() {
            return Err(Invalid::NoPasskey.into());
        }
        let purpose = PasskeyPurpose::Confirm(presence.session);
        let challenge = self.directory.challenge_passkey(Some(key.tenant), purpose).await?;
        Ok(PasskeyRequest { site, challenge, credentials, verified: false, timeout: CHALLENGE_LIFE })
    }

    /// Shows a passkey again: for five minutes the session may do what can't be made undone (ADM-13).
    ///
    /// # Errors
    /// [`AdminError`].
    pub async fn confirm_by_passkey(
        &self,
        call: &Call,
        key: AccountKey,
        shown: &ShownPasskey<'_>,
        visitor: Visitor<'_>,
    ) -> Result<(), AdminError> {
        let object = key.account.to_string();
        let about = About::new(Some(key.tenant), Action::SessionConfirm, &object);
        let account = self.permitted(call, &about, key).await?;
        let presence = *call.actor.presence().ok_or(AdminError::Denied(Why::NoPermission))?;
        let site = self.site().await?;
        let address = account.address.to_string();
        let about = About { object: &address, ..about };
        let attempt = Attempt::new(SignInKind::Web, "passkey", visitor.counted());
        let confirmed = async {
            let site = RelyingParty::at(&site);
            let whose = (key, presence.session);
            let checked = self.directory.check_passkey(whose, &attempt, &site, shown).await;
            checked.map_err(AdminError::Passkey)?;
            let is_there = self.directory.confirm_session(key, presence.session).await?;
            if is_there { Ok(()) } else { Err(AdminError::NotFound("session")) }
        };
        self.act(call, &about, confirmed).await
    }

    /// What an authenticator needs to let somebody in: by any passkey that it has for the site, or by those of an address.
    ///
    /// # Errors
    /// [`AdminError`].
    #[pennypost_ports::compiled_here]
    pub async fn request_sign_in_by_passkey(
        &self,
        address: Option<&str>,
    ) -> Result<PasskeyRequest, AdminError> {
        let site = self.site().await?;
        let (challenge, credentials) = self.directory.begin_passkey_sign_in(address).await?;
        Ok(PasskeyRequest { site, challenge, credentials, verified: true, timeout: CHALLENGE_LIFE })
    }

    /// Signs in with a passkey, which stands for both factors: the session, and its text, which is never told again.
    ///
    /// # Errors
    /// [`NotSignedIn`].
    pub async fn sign_in_by_passkey(
        &self,
        shown: &ShownPasskey<'_>,
        kind: SignInKind,
        visitor: Visitor<'_>,
    ) -> Result<(Session, String), NotSignedIn> {
        let site = self.site().await?;
        let program = Some(visitor.client.into());
        let attempt = Attempt { kind, mechanism: "passkey", client: visitor.counted(), program };
        let site = RelyingParty::at(&site);
        let account = self.directory.sign_in_by_passkey(&attempt, &site, shown).await?;
        Ok(self.let_in(account.key, SignedInBy::Passkey, visitor, (true, false)).await?)
    }
}
