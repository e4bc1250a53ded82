//! Second factors: set up by their owner, taken away by an administrator when they are lost, and shown again before what
//! can't be made undone (ADM-13).

use std::net::IpAddr;

use pennypost_directory::{Attempt, NewAuthenticator, SecondFactor, SignInKind};
use pennypost_model::AccountKey;
use serde_json::json;

use crate::action::Action;
use crate::authorise::{Presence, Why};
use crate::call::{About, Call};
use crate::{AdminError, Administration, Invalid};

const fn attempt(client: IpAddr) -> Attempt {
    Attempt::new(SignInKind::Web, "code", client)
}

impl Administration {
    /// The second factor of an account, if it has one.
    ///
    /// # Errors
    /// [`AdminError`].
    pub async fn second_factor(
        &self,
        call: &Call,
        key: AccountKey,
    ) -> Result<Option<SecondFactor>, AdminError> {
        self.seen(call, Action::SecondFactorRead, key).await?;
        Ok(self.directory.second_factor(key).await?)
    }

    /// The owner, who has just signed in, or has shown the second factor that there is.
    pub(crate) async fn permitted_owner(
        &self,
        call: &Call,
        about: &About<'_>,
        key: AccountKey,
    ) -> Result<(String, Presence), AdminError> {
        let account = self.permitted(call, about, key).await?;
        let presence = *call.actor.presence().ok_or(AdminError::Denied(Why::NoPermission))?;
        let has_factor = self.directory.second_factor(key).await?.is_some();
        let is_sure = if has_factor { presence.is_confirmed } else { presence.is_fresh };
        if !is_sure {
            self.note_denied(call, about, Why::Unconfirmed).await?;
            return Err(AdminError::Denied(Why::Unconfirmed));
        }
        Ok((account.address.to_string(), presence))
    }

    /// Makes a secret for the owner's authenticator; it counts from its first code on.
    ///
    /// # Errors
    /// [`AdminError`].
    pub async fn begin_authenticator(
        &self,
        call: &Call,
        key: AccountKey,
    ) -> Result<NewAuthenticator, AdminError> {
        let object = key.account.to_string();
        let about = About::new(Some(key.tenant), Action::SecondFactorSet, &object);
        let (address, _) = self.permitted_owner(call, &about, key).await?;
        let about = About { object: &address, ..about }.to(json!({ "authenticator": "begun" }));
        self.act(call, &about, self.directory.begin_authenticator(key)).await
    }

    /// The authenticator's first code: it counts from now on. The recovery codes, which are told once.
    ///
    /// # Errors
    /// [`AdminError`].
    pub async fn finish_authenticator(
        &self,
        call: &Call,
        key: AccountKey,
        code: &str,
        client: IpAddr,
    ) -> Result<Vec<String>, AdminError> {
        let object = key.account.to_string();
        let about = About::new(Some(key.tenant), Action::SecondFactorSet, &object);
        let (address, presence) = self.permitted_owner(call, &about, key).await?;
        let about = About { object: &address, ..about }.to(json!({ "authenticator": "set up" }));
        let codes = self.act(call, &about, async {
            let codes = self.directory.finish_authenticator(key, code, &attempt(client)).await;
            codes.map_err(AdminError::Code)
        });
        let codes = codes.await?;
        self.directory.confirm_session(key, presence.session).await?;
        Ok(codes)
    }

    /// Makes new recovery codes in the place of the earlier ones.
    ///
    /// # Errors
    /// [`AdminError`].
    pub async fn new_recovery_codes(&self, call: &Call, key: AccountKey) -> Result<Vec<String>, AdminError> {
        let object = key.account.to_string();
        let about = About::new(Some(key.tenant), Action::SecondFactorSet, &object);
        let (address, _) = self.permitted_owner(call, &about, key).await?;
        let about = About { object: &address, ..about }.to(json!({ "recovery_codes": "new" }));
        let codes = self.act(call, &about, self.directory.new_recovery_codes(key)).await?;
        codes.ok_or(AdminError::Invalid(Invalid::NoFactor))
    }

    /// The owner takes the own second factor away.
    ///
    /// # Errors
    /// [`AdminError`].
    pub async fn remove_second_factor(&self, call: &Call, key: AccountKey) -> Result<(), AdminError> {
        let object = key.account.to_string();
        let about = About::new(Some(key.tenant), Action::SecondFactorSet, &object);
        let (address, _) = self.permitted_owner(call, &about, key).await?;
        if self.directory.second_factor(key).await?.is_none() {
            return Err(Invalid::NoFactor.into());
        }
        let about = About { object: &address, ..about }.to(json!({ "authenticator": "removed" }));
        self.act(call, &about, self.directory.remove_second_factor(key)).await.map(drop)
    }

    /// Takes away the second factor of somebody who has lost it.
    ///
    /// # Errors
    /// [`AdminError`].
    pub async fn reset_second_factor(&self, call: &Call, key: AccountKey) -> Result<(), AdminError> {
        let object = key.account.to_string();
        let about = About::new(Some(key.tenant), Action::SecondFactorReset, &object);
        let account = self.permitted(call, &about, key).await?;
        let address = account.address.to_string();
        let about = About { object: &address, ..about };
        // Without one there is nothing to do, which is no mistake.
        self.act(call, &about, self.directory.remove_second_factor(key)).await.map(drop)
    }

    /// Shows the second factor again: for five minutes the session may do what can't be made undone (ADM-13).
    ///
    /// # Errors
    /// [`AdminError`].
    pub async fn confirm(
        &self,
        call: &Call,
        key: AccountKey,
        code: &str,
        client: IpAddr,
    ) -> Result<(), AdminError> {
        let object = key.account.to_string();
        let about = About::new(Some(key.tenant), Action::SessionConfirm, &object);
        let account = self.permitted(call, &about, key).await?;
        let presence = *call.actor.presence().ok_or(AdminError::Denied(Why::NoPermission))?;
        if self.directory.second_factor(key).await?.is_none() {
            return Err(Invalid::NoFactor.into());
        }
        let address = account.address.to_string();
        let about = About { object: &address, ..about };
        let confirmed = async {
            self.directory.check_code(key, code, &attempt(client)).await.map_err(AdminError::Code)?;
            let is_there = self.directory.confirm_session(key, presence.session).await?;
            if is_there { Ok(()) } else { Err(AdminError::NotFound("session")) }
        };
        self.act(call, &about, confirmed).await
    }
}
